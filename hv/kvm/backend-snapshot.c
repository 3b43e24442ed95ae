/*
 * The KVM backend: snapshots.
 *
 * A snapshot is a layer of memory (layers.h) together with everything else as bytes: what KVM keeps
 * of the vCPUs and controllers (state.h) and what the devices keep (their state tables). What a
 * guest has written to a disk is not part of it.
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

int kvm_backend_load_state(struct kvm_backend *b, const struct state_buffer *buffer)
{
    size_t at = 0;
    int error = kvm_state_load(&b->vm, buffer->bytes, buffer->count, &at);
    return error ? error : kvm_board_load(b->board, buffer->bytes, buffer->count, &at);
}

int kvm_backend_load(struct kvm_backend *b, const struct state_buffer *buffer)
{
    int error = kvm_backend_load_state(b, buffer);
    return error ? error : kvm_board_reconnect(b->board);
}

static struct kvm_snapshot *find(struct kvm_backend *b, int id)
{
    for (int i = 0; i < b->snapshots; i++)
        if (b->snapshot[i].layer == id)
            return &b->snapshot[i];
    return NULL;
}

int kvm_backend_snapshot(void *self, const char *name, char *why)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = &b->snapshot[b->snapshots];
    if (b->snapshots == SNAPSHOTS_MAX) {
        snprintf(why, SESSION_ERROR, "there are %d snapshots already: delete one", SNAPSHOTS_MAX);
        return -ENOSPC;
    }
    *s = (struct kvm_snapshot){.exits = b->vm.exits->total};
    int error = kvm_backend_save(b, &s->state);
    int layer = error ? error : kvm_layers_freeze(b->layers);
    if (layer < 0) {
        state_buffer_free(&s->state);
        snprintf(why, SESSION_ERROR, "no snapshot: %s", strerror(-layer));
        return layer;
    }
    s->layer = layer;
    snprintf(s->name, sizeof s->name, "%s", name);
    b->snapshots++;
    return layer;
}

int kvm_backend_restore(void *self, int id, char *why)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = find(b, id);
    int error = s ? kvm_layers_restore(b->layers, id) : -ENOENT;
    if (!error)
        error = kvm_backend_load(b, &s->state);
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
        out[i] = (struct view_snapshot){
            .id = s->layer,
            .parent = kvm_layers_parent(b->layers, s->layer),
            .pages = pages,
            .bytes = pages * KVM_PAGE + s->state.count,
            .exits = s->exits,
            .current = s->layer == kvm_layers_current(b->layers),
        };
        memcpy(out[i].name, s->name, sizeof out[i].name);
    }
    return b->snapshots;
}

int kvm_backend_snapshot_delete(void *self, int id)
{
    struct kvm_backend *b = self;
    struct kvm_snapshot *s = find(b, id);
    int error = s ? kvm_layers_delete(b->layers, id) : -ENOENT;
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
    const struct kvm_snapshot *s = find(b, id);
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
