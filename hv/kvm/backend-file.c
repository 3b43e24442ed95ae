/*
 * The KVM backend: a snapshot as what a file can hold, and back. See struct backend_ops.
 *
 * The file has memory page by page, the disk's written blocks, what KVM keeps (state.h) with the
 * counts of exits behind it, and the devices' state tables.
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
    int error = kvm_backend_keep_disk(self);
    if (error)
        snprintf(why, SESSION_ERROR, "no snapshots: %s", strerror(-error));
    return error;
}

static void see_page(void *context, uint64_t page, const uint8_t *bytes)
{
    struct snapshot_file *out = context;
    snapshot_add_page(out, snapshot_find_part(out, "memory"), (uint32_t)page, bytes);
}

/* A piece as those of state.c, which an older program has not written. */
static const char EXITS[16] = "exits";

static void put_exits(const struct kvm_exit_counts *counts, struct state_buffer *out)
{
    uint32_t size = sizeof *counts;
    state_buffer_add(out, EXITS, sizeof EXITS);
    state_buffer_add(out, &size, sizeof size);
    state_buffer_add(out, counts, sizeof *counts);
}

int kvm_backend_save_file(void *self, int id, int base, struct snapshot_file *out, char *why)
{
    struct kvm_backend *b = self;
    const struct kvm_snapshot *s = kvm_backend_find_snapshot(b, id);
    const struct kvm_snapshot *below = base ? kvm_backend_find_snapshot(b, base) : NULL;
    bool room = snapshot_add_part(out, "memory", b->vm.memory.size, 1, false);
    int error = !s || (base && !below) ? -ENOENT : room ? 0 : -ENOSPC;
    error = error ? error : kvm_layers_each(b->layers, id, base, see_page, out);
    error = error ? error : kvm_backend_save_disk(b, s, below, out);
    if (!error) {
        state_buffer_add(&out->kvm, s->state.bytes, s->devices);
        put_exits(&s->exits, &out->kvm);
        state_buffer_add(&out->tables, s->state.bytes + s->devices, s->state.count - s->devices);
        out->about.exits = s->exits.total;
    }
    snapshot_sort(out);
    if (!error && (out->failed || out->tables.failed || out->kvm.failed))
        error = -ENOMEM;
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

/* The piece behind what KVM keeps. An older file has only their sum. */
static int take_exits(const struct snapshot_file *from, size_t at, struct kvm_exit_counts *counts)
{
    char name[17];
    const uint8_t *bytes;
    size_t count;
    *counts = (struct kvm_exit_counts){.total = from->about.exits};
    if (at == from->kvm.count)
        return 0;
    if (!snapshot_next_piece(&from->kvm, &at, name, &bytes, &count) || strcmp(name, EXITS) ||
        count != sizeof *counts || at != from->kvm.count)
        return -EINVAL;
    memcpy(counts, bytes, sizeof *counts);
    return 0;
}

static int load_state(struct kvm_backend *b, const struct snapshot_file *from)
{
    struct kvm_exit_counts counts;
    size_t at = 0;
    int error = kvm_state_load(&b->vm, from->kvm.bytes, from->kvm.count, &at);
    error = error ? error : take_exits(from, at, &counts);
    if (error)
        return error;
    at = 0;
    error = kvm_board_load(b->board, from->tables.bytes, from->tables.count, &at);
    error = error ? error : kvm_board_reconnect(b->board);
    if (error || at != from->tables.count)
        return error ? error : -EINVAL;
    kvm_backend_set_exits(b, &counts);
    return 0;
}

static int load_all(struct kvm_backend *b, const struct snapshot_file *from)
{
    const struct snapshot_part *part = snapshot_find_part(from, "memory");
    int error = kvm_backend_load_disk(b, from, true);
    if (error || !part || part->size != b->vm.memory.size || !from->kvm.count)
        return -EINVAL;
    kvm_memory_clear(&b->vm.memory);
    put_pages(&b->vm.memory, part);
    error = load_state(b, from);
    return error ? error : kvm_backend_load_disk(b, from, false);
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
