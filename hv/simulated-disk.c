/*
 * The simulated backend: a disk whose writes are held back while the guest is protected. See struct
 * backend_move and hv/protect.h.
 *
 * What the guest writes stays in the disk's memory (cpu/dev/disk-memory.h); the list of blocks
 * written, which snapshots use otherwise, tells what is new in an epoch. So there is either a
 * history and snapshots, or protection.
 */
#include <errno.h>

#include "cpu/dev/disk-memory.h"
#include "cpu/dev/disk.h"
#include "hv/simulated_priv.h"

static struct disk_memory *memory_of(const struct simulated *s)
{
    return s->guest->disk_image ? disk_memory_of(s->guest->disk_image) : NULL;
}

static int hold(struct simulated *s)
{
    struct disk *disk = s->guest->disk_image;
    if (s->overlay || s->history.on)
        return -EBUSY;
    int error = disk && !disk_is_readonly(disk) ? disk_keep(disk) : 0;
    if (!error)
        s->disk_held = true;
    return error;
}

static int release(struct simulated *s)
{
    struct disk *disk = s->guest->disk_image;
    if (!s->disk_held)
        return 0;
    int error = disk && !s->config->disk_discard ? disk_keep_end(disk) : 0;
    s->disk_held = error != 0;
    return error;
}

int simulated_disk(void *self, enum move_disk how)
{
    return how == MOVE_DISK_HOLD ? hold(self) : release(self);
}

int simulated_disk_blocks(void *self,
                          int (*item)(void *context, uint32_t block, const uint8_t *bytes),
                          void *context)
{
    struct disk_memory *m = memory_of(self);
    int error = 0;
    for (uint32_t i = 0; m && i < m->track.count && !error; i++)
        error = item(context, m->track.dirty[i], m->bytes + (uint64_t)m->track.dirty[i] * RAM_PAGE);
    for (uint32_t i = 0; m && i < m->track.count && !error; i++)
        ram_track_clean(&m->track, m->track.dirty[i], RAM_CLEAN);
    if (m && !error)
        m->track.count = 0;
    return error;
}

int simulated_disk_put(void *self, uint32_t block, const uint8_t *bytes)
{
    struct disk_memory *m = memory_of(self);
    if (!m || block >= m->blocks)
        return -EINVAL;
    disk_memory_put(m, block, bytes);
    return 0;
}

int simulated_disk_commit(void *self, uint32_t block, const uint8_t *bytes)
{
    struct simulated *s = self;
    return s->config->disk_discard ? 0 : disk_write_block(s->guest->disk_image, block, bytes);
}
