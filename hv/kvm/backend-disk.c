/*
 * The KVM backend: a disk that can be taken back with the rest of the guest.
 *
 * From the first snapshot on what the guest writes stays in memory (cpu/dev/disk-memory.h), in
 * layers (hv/overlay.h) that are frozen and restored with those of memory. The disk's file is as it
 * was until the session ends, or somebody wants it written.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu/dev/disk-memory.h"
#include "hv/kvm/backend_priv.h"
#include "hv/snapshot.h"

static struct disk_memory *memory_of(const struct kvm_backend *b)
{
    struct disk *disk = kvm_board_disk(b->board);
    return disk ? disk_memory_of(disk) : NULL;
}

int kvm_backend_keep_disk(struct kvm_backend *b)
{
    struct disk *disk = kvm_board_disk(b->board);
    if (b->disk || !disk || disk_is_readonly(disk))
        return 0;
    if (b->disk_held) /* the list of blocks written is protection's */
        return -EBUSY;
    int error = disk_keep(disk);
    if (error)
        return error;
    struct disk_memory *m = disk_memory_of(disk);
    const struct overlay_part part = {.name = "disk",
                                      .bytes = m->bytes,
                                      .size = m->size,
                                      .unit = 1,
                                      .track = &m->track,
                                      .backed = true,
                                      .put = disk_memory_put,
                                      .context = m};
    b->disk = overlay_new(&part, 1);
    return b->disk ? 0 : -ENOMEM;
}

int kvm_backend_end_disk(struct kvm_backend *b)
{
    if (!b->disk)
        return 0;
    overlay_free(b->disk);
    b->disk = NULL;
    return b->config->disk_discard ? 0 : disk_keep_end(kvm_board_disk(b->board));
}

static void forget(struct kvm_backend *b)
{
    while (b->snapshots)
        if (kvm_backend_snapshot_delete(b, b->snapshot[b->snapshots - 1].layer))
            break; /* no memory to merge what nobody will ask for */
    kvm_backend_forget_snapshots(b);
}

int kvm_backend_forget_past(void *self, char *why)
{
    int error = kvm_backend_write_disk(self, why);
    if (!error) /* without a disk that is written it has forgotten nothing */
        forget(self);
    return error;
}

int kvm_backend_write_disk(void *self, char *why)
{
    struct kvm_backend *b = self;
    if (!b->disk || b->config->disk_discard || disk_is_away(kvm_board_disk(b->board)))
        return 0;
    forget(b);
    int error = kvm_backend_end_disk(b);
    if (error)
        snprintf(why, SESSION_ERROR, "%.400s: %s", b->config->disk, strerror(-error));
    return error;
}

/* ---- as files ------------------------------------------------------------------------------- */

static void see_block(void *context, unsigned part, uint32_t block, const uint8_t *bytes)
{
    struct snapshot_file *out = context;
    snapshot_add_page(out, snapshot_find_part(out, "disk"), block, bytes);
}

int kvm_backend_save_disk(struct kvm_backend *b, const struct kvm_snapshot *s,
                          const struct kvm_snapshot *base, struct snapshot_file *out)
{
    if (!b->disk)
        return 0;
    if (!snapshot_add_part(out, "disk", memory_of(b)->size, 1, true))
        return -ENOSPC;
    return overlay_each(b->disk, s->disk, base ? base->disk : 0, see_block, out);
}

static void put_block(struct disk_memory *m, uint32_t block, const struct snapshot_page *its)
{
    static const uint8_t zero[RAM_PAGE];
    if (!its && !m->has[block])
        return;
    ram_track_write(&m->track, block);
    disk_memory_put(m, block, !its ? NULL : its->bytes ? its->bytes : zero);
}

int kvm_backend_load_disk(struct kvm_backend *b, const struct snapshot_file *from, bool look)
{
    const struct snapshot_part *part = snapshot_find_part(from, "disk");
    struct disk_memory *m = b->disk ? memory_of(b) : NULL;
    if (!part != !m || from->parts != 1 + (m != NULL) ||
        (m && (part->size != m->size || !part->backed)))
        return -EINVAL;
    for (uint32_t block = 0, next = 0; m && block < m->blocks && !look; block++) {
        bool there = next < part->count && part->page[next].index == block;
        put_block(m, block, there ? &part->page[next++] : NULL);
    }
    return 0;
}
