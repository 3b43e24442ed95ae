/*
 * The KVM backend: a snapshot as what a file can hold, and back. See struct backend_ops.
 *
 * The file has memory page by page, what KVM keeps (state.h) and the devices' state tables. What a
 * guest writes to its disk is not part of it, so the disk must be read-only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/kvm/backend_priv.h"
#include "hv/kvm/state.h"
#include "hv/snapshot.h"

int kvm_backend_keep_files(void *self, char *why)
{
    struct kvm_backend *b = self;
    if (!b->config->disk || b->config->disk_readonly)
        return 0;
    snprintf(why, SESSION_ERROR,
             "%.300s: what an x86 guest writes to its disk is in no snapshot (--disk-readonly)",
             b->config->disk);
    return -ENOTSUP;
}

struct saving {
    const struct kvm_memory *memory;
    struct snapshot_file *out;
    struct snapshot_part *part;
};

static void see_page(void *context, uint64_t page)
{
    struct saving *s = context;
    snapshot_add_page(s->out, s->part, (uint32_t)page, s->memory->host + page * KVM_PAGE);
}

/* The guest stands, so its memory is what it was when the snapshot was taken. */
int kvm_backend_save_file(void *self, int id, int base, struct snapshot_file *out, char *why)
{
    struct kvm_backend *b = self;
    struct saving s = {.memory = &b->vm.memory, .out = out};
    s.part = snapshot_add_part(out, "memory", b->vm.memory.size, 1, false);
    int error = s.part ? kvm_layers_each(b->layers, id, base, see_page, &s) : -ENOSPC;
    error = error ? error : kvm_state_save(&b->vm, &out->kvm);
    error = error ? error : kvm_board_save(b->board, &out->tables);
    snapshot_sort(out);
    if (!error && (out->failed || out->tables.failed))
        error = -ENOMEM;
    out->about.exits = b->vm.exits->total;
    if (error)
        snprintf(why, SESSION_ERROR, "no snapshot: %s", strerror(-error));
    return error;
}

static void put_pages(struct kvm_memory *m, const struct snapshot_part *part)
{
    static const uint8_t zero[KVM_PAGE];
    for (uint32_t i = 0; i < part->count; i++) {
        uint64_t at = (uint64_t)part->page[i].index * KVM_PAGE;
        uint64_t gpa = at < m->low ? at : KVM_HIGH_BASE + (at - m->low);
        kvm_memory_write(m, gpa, part->page[i].bytes ? part->page[i].bytes : zero, KVM_PAGE);
    }
}

static int load_state(struct kvm_backend *b, const struct snapshot_file *from)
{
    size_t at = 0;
    int error = kvm_state_load(&b->vm, from->kvm.bytes, from->kvm.count, &at);
    if (error || at != from->kvm.count)
        return error ? error : -EINVAL;
    at = 0;
    error = kvm_board_load(b->board, from->tables.bytes, from->tables.count, &at);
    error = error ? error : kvm_board_reconnect(b->board);
    return error || at == from->tables.count ? error : -EINVAL;
}

static int load_all(struct kvm_backend *b, const struct snapshot_file *from)
{
    const struct snapshot_part *part = snapshot_find_part(from, "memory");
    if (!part || from->parts != 1 || part->size != b->vm.memory.size || !from->kvm.count)
        return -EINVAL;
    kvm_memory_clear(&b->vm.memory);
    put_pages(&b->vm.memory, part);
    return load_state(b, from);
}

/* Keeps the present state, to have something to go back to if the file's is refused. */
int kvm_backend_load_file(void *self, const struct snapshot_file *from, char *why)
{
    struct kvm_backend *b = self;
    char line[SESSION_ERROR];
    int before = kvm_backend_snapshot(self, "", why);
    int error = before < 0 ? before : load_all(b, from);
    if (before < 0)
        return error;
    b->detail[0] = 0;
    b->has_before = false;
    int id = error ? error : kvm_backend_snapshot(self, from->about.name, why);
    if (error)
        snprintf(why, SESSION_ERROR, "%s",
                 error == -EINVAL   ? "it does not fit to this guest, or makes no sense"
                 : error == -EPROTO ? "it was saved by a newer version of this program"
                                    : strerror(-error));
    if (id < 0)
        kvm_backend_restore(self, before, line);
    kvm_backend_snapshot_delete(self, before);
    return id;
}
