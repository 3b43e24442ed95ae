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
    if (b->disk_held) {
        snprintf(why, SESSION_ERROR, "no snapshots while the guest is protected");
        return -EBUSY;
    }
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

/* Of memory, or of the disk: the two have the same snapshots. Layers of the disk are known by those
 * of memory here, which are the snapshots' ids. */
struct stack {
    struct kvm_backend *b;
    struct view_layers *out;
    uint64_t offset; /* in memory's file, or byte of the disk */
    int answer;      /* id of the layer that has it; 0: the base, -1: the top */
};

/* false: there is nothing at this address. */
static bool find_page(struct stack *k)
{
    const struct kvm_memory *m = &k->b->vm.memory;
    const uint8_t *at = k->out->disk ? NULL : kvm_memory_at(m, k->out->page, KVM_PAGE);
    struct disk *disk = k->out->disk ? kvm_board_disk(k->b->board) : NULL;
    bool there = disk ? k->out->address / DISK_SECTOR < disk_sectors(disk) : at != NULL;
    k->offset = at ? (uint64_t)(at - m->host) : k->out->address;
    if (!there)
        snprintf(k->out->why, sizeof k->out->why, "%s",
                 disk ? "the disk ends before" : "there is no memory at this address");
    return there;
}

/* The snapshot whose layer of the disk this is; 0: none, that is the base. */
static int snapshot_of_disk(const struct kvm_backend *b, int layer)
{
    for (int i = 0; i < b->snapshots; i++)
        if (b->snapshot[i].disk == layer)
            return b->snapshot[i].layer;
    return 0;
}

static void find_answer(struct stack *k)
{
    uint32_t block = (uint32_t)(k->offset / OVERLAY_PAGE);
    int layer, steps;
    k->answer = -1;
    if (k->out->there && !k->out->disk)
        k->answer = kvm_layers_find(k->b->layers, k->offset);
    else if (k->out->there && !overlay_top_has(k->b->disk, 0, block)) {
        overlay_scan(k->b->disk, 0, block, &layer, &steps);
        k->answer = snapshot_of_disk(k->b, layer);
    }
}

static uint64_t pages_of(const struct stack *k, int id)
{
    const struct kvm_snapshot *s = kvm_backend_find_snapshot(k->b, id);
    if (k->out->disk)
        return id < 0 ? overlay_top_pages(k->b->disk) : s ? overlay_pages(k->b->disk, s->disk) : 0;
    return id < 0 ? kvm_layers_top_pages(k->b->layers) : kvm_layers_pages(k->b->layers, id);
}

/* `above`: the layer that stands on this one in the stack. Other snapshots may, too. */
static void add_layer(struct stack *k, int id, int above)
{
    struct kvm_backend *b = k->b;
    const struct kvm_snapshot *s = kvm_backend_find_snapshot(b, id);
    struct view_layer l = {.kind = id < 0 ? LAYER_TOP
                                   : id   ? LAYER_SNAPSHOT
                                          : LAYER_BASE,
                           .pages = pages_of(k, id)};
    if (s)
        memcpy(l.name, s->name, sizeof l.name);
    for (int i = 0; i < b->snapshots && id >= 0; i++)
        if (b->snapshot[i].layer != above &&
            kvm_layers_parent(b->layers, b->snapshot[i].layer) == id)
            view_layer_beside(&l, b->snapshot[i].name);
    if (id)
        view_layers_add(k->out, &l, id == k->answer, 1);
    else
        view_layers_add_base(k->out, &l, k->out->disk ? kvm_board_disk(b->board) : NULL);
}

void kvm_backend_view_layers(void *self, struct view_layers *out)
{
    struct stack k = {.b = self, .out = out};
    struct disk *disk = out->disk ? kvm_board_disk(k.b->board) : NULL;
    if (out->disk ? !k.b->disk : !k.b->vm.memory.frozen) {
        view_layers_disk(out, disk);
        return;
    }
    out->present = true;
    snprintf(out->base, sizeof out->base, "%s",
             !out->disk           ? "as at the first snapshot"
             : disk_file(disk, 0) ? "zeros"
                                  : "the disk's file");
    out->there = find_page(&k);
    find_answer(&k);
    int above = -1;
    add_layer(&k, -1, -1);
    for (int id = kvm_layers_current(k.b->layers); id; id = kvm_layers_parent(k.b->layers, id)) {
        add_layer(&k, id, above);
        above = id;
    }
    add_layer(&k, 0, above);
}
