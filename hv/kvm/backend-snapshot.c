/*
 * The KVM backend: snapshots.
 *
 * A snapshot is a layer of memory (layers.h) and one of the disk's written blocks (backend-disk.c),
 * together with everything else as bytes: what KVM keeps of the vCPUs and controllers (state.h) and
 * what the devices keep (their state tables).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/kvm/backend_priv.h"
#include "hv/kvm/state.h"
#include "hv/view-layers.h"

int kvm_backend_save(struct kvm_backend *b, struct state_buffer *buffer)
{
    int error = kvm_state_save(&b->vm, buffer);
    return error ? error : kvm_board_save(b->board, buffer);
}

int kvm_backend_load(struct kvm_backend *b, const struct state_buffer *buffer)
{
    size_t at = 0;
    int error = kvm_state_load(&b->vm, buffer->bytes, buffer->count, &at);
    return error ? error : kvm_board_load(b->board, buffer->bytes, buffer->count, &at);
}

struct kvm_snapshot *kvm_backend_find_snapshot(struct kvm_backend *b, int id)
{
    for (int i = 0; i < b->snapshots; i++)
        if (b->snapshot[i].layer == id)
            return &b->snapshot[i];
    return NULL;
}

/* ---- exits ---------------------------------------------------------------------------------- */

static struct kvm_exit_counts get_exits(const struct kvm_backend *b)
{
    struct kvm_exit_counts counts = {.total = b->vm.exits->total};
    memcpy(counts.count, b->vm.exits->count, sizeof counts.count);
    memcpy(counts.ns, b->vm.exits->ns, sizeof counts.ns);
    return counts;
}

/* The counts go on from these. What the log has of another run is not this one's. */
void kvm_backend_set_exits(struct kvm_backend *b, const struct kvm_exit_counts *counts)
{
    b->vm.exits->total = counts->total;
    memcpy(b->vm.exits->count, counts->count, sizeof counts->count);
    memcpy(b->vm.exits->ns, counts->ns, sizeof counts->ns);
    memset(b->vm.exits->ring, 0, sizeof b->vm.exits->ring);
}

/* ---- taking --------------------------------------------------------------------------------- */

static int keep_state(struct kvm_backend *b, struct kvm_snapshot *s)
{
    int error = kvm_state_save(&b->vm, &s->state);
    s->devices = s->state.count;
    error = error ? error : kvm_board_save(b->board, &s->state);
    return error ? error : s->state.failed ? -ENOMEM : 0;
}

/* Memory's layer is the last that can fail: it is the snapshot's id. */
static int freeze(struct kvm_backend *b, struct kvm_snapshot *s)
{
    int error = keep_state(b, s);
    error = error ? error : kvm_backend_keep_disk(b);
    if (!error && b->disk)
        s->disk = overlay_freeze(b->disk);
    if (error || s->disk < 0)
        return error ? error : s->disk;
    s->layer = kvm_layers_freeze(b->layers);
    if (s->layer < 0 && s->disk)
        overlay_delete(b->disk, s->disk);
    return s->layer;
}

int kvm_backend_snapshot(void *self, const char *name, char *why)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = &b->snapshot[b->snapshots];
    if (b->snapshots == SNAPSHOTS_MAX) {
        snprintf(why, SESSION_ERROR, "there are %d snapshots already: delete one", SNAPSHOTS_MAX);
        return -ENOSPC;
    }
    *s = (struct kvm_snapshot){.exits = get_exits(b)};
    int layer = freeze(b, s);
    if (layer < 0) {
        state_buffer_free(&s->state);
        snprintf(why, SESSION_ERROR, "no snapshot: %s", strerror(-layer));
        return layer;
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    b->snapshots++;
    return layer;
}

int kvm_backend_restore(void *self, int id, char *why)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = kvm_backend_find_snapshot(b, id);
    int error = s ? kvm_layers_restore(b->layers, id) : -ENOENT;
    if (!error && s->disk)
        error = overlay_restore(b->disk, s->disk);
    if (!error)
        error = kvm_backend_load(b, &s->state);
    if (!error)
        kvm_backend_set_exits(b, &s->exits);
    b->detail[0] = 0;
    b->has_before = false;
    if (error)
        snprintf(why, SESSION_ERROR, "snapshot %d: %s", id,
                 s ? strerror(-error) : "there is no such snapshot");
    return error;
}

int kvm_backend_snapshots(void *self, struct view_snapshot *out, int max)
{
    struct kvm_backend *b = self;
    for (int i = 0; i < b->snapshots && i < max; i++) {
        const struct kvm_snapshot *s = &b->snapshot[i];
        uint64_t pages = kvm_layers_pages(b->layers, s->layer);
        pages += s->disk ? overlay_pages(b->disk, s->disk) : 0;
        out[i] = (struct view_snapshot){
            .id = s->layer,
            .parent = kvm_layers_parent(b->layers, s->layer),
            .pages = pages,
            .bytes = pages * KVM_PAGE + s->state.count,
            .exits = s->exits.total,
            .current = s->layer == kvm_layers_current(b->layers),
        };
        memcpy(out[i].name, s->name, sizeof out[i].name);
    }
    return b->snapshots;
}

int kvm_backend_snapshot_delete(void *self, int id)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = kvm_backend_find_snapshot(b, id);
    int error = s ? kvm_layers_delete(b->layers, id) : -ENOENT;
    if (!error && s->disk)
        error = overlay_delete(b->disk, s->disk);
    if (error)
        return error;
    state_buffer_free(&s->state);
    int after = b->snapshots - (int)(s - b->snapshot) - 1;
    memmove(s, s + 1, (size_t)after * sizeof *s);
    b->snapshots--;
    return 0;
}

void kvm_backend_forget_snapshots(struct kvm_backend *b)
{
    for (int i = 0; i < b->snapshots; i++)
        state_buffer_free(&b->snapshot[i].state);
    b->snapshots = 0;
}

/* ---- the stack of layers, for a view ------------------------------------------------------ */

/* Where the page is in memory's file; false: there is no memory at this address. */
static bool find_page(struct kvm_backend *b, struct view_layers *out, uint64_t *offset)
{
    const uint8_t *at = kvm_memory_at(&b->vm.memory, out->page, KVM_PAGE);
    if (at)
        *offset = (uint64_t)(at - b->vm.memory.host);
    else
        snprintf(out->why, sizeof out->why, "there is no memory at this address");
    return at;
}

/* `above`: the layer that stands on this one in the stack. Other snapshots may, too. */
static void add_layer(struct kvm_backend *b, struct view_layers *out, int id, int above, int answer)
{
    const struct kvm_snapshot *s = kvm_backend_find_snapshot(b, id);
    struct view_layer l = {.kind = id < 0 ? LAYER_TOP : id ? LAYER_SNAPSHOT : LAYER_BASE};
    l.pages = id < 0 ? kvm_layers_top_pages(b->layers) : kvm_layers_pages(b->layers, id);
    if (s)
        memcpy(l.name, s->name, sizeof l.name);
    for (int i = 0; i < b->snapshots && id >= 0; i++)
        if (b->snapshot[i].layer != above &&
            kvm_layers_parent(b->layers, b->snapshot[i].layer) == id)
            view_layer_beside(&l, b->snapshot[i].name);
    view_layers_add(out, &l, id == answer, 1);
}

void kvm_backend_view_layers(void *self, struct view_layers *out)
{
    struct kvm_backend *b = self;
    uint64_t offset = 0;
    if (out->disk || !b->vm.memory.frozen)
        return;
    out->present = true;
    snprintf(out->base, sizeof out->base, "as at the first snapshot");
    out->there = find_page(b, out, &offset);
    int answer = out->there ? kvm_layers_find(b->layers, offset) : -1, above = -1;
    add_layer(b, out, -1, -1, answer);
    for (int id = kvm_layers_current(b->layers); id; id = kvm_layers_parent(b->layers, id)) {
        add_layer(b, out, id, above, answer);
        above = id;
    }
    add_layer(b, out, 0, above, answer);
}
