/*
 * A VM's memory as layers of pages: what a snapshot of memory is.
 *
 *      top      what the guest has written since the newest snapshot; written in place
 *      layer    the pages that differ from the layer below, frozen
 *      ...
 *      base     the memfd as it was at the first snapshot
 *
 * The first snapshot freezes the memfd: the guest's mapping becomes a private (copy-on-write)
 * mapping of it, at the same host address, and nothing is copied. A later snapshot copies the pages
 * that have become dirty since: its cost is theirs. Restoring puts back those pages only that can
 * differ, from the newest layer that has them; pages that no layer has fall back to the base by
 * dropping the private copy. Snapshots form a tree: restoring an older one and going on makes a
 * branch.
 *
 * The guest itself never goes through layers: its mapping always shows the newest content.
 */
#ifndef VITRINE_KVM_LAYERS_H
#define VITRINE_KVM_LAYERS_H

#include "hv/kvm/vm.h"

struct kvm_layers;

/* Nothing is frozen yet. NULL: no memory. The VM must outlive it. */
struct kvm_layers *kvm_layers_new(struct kvm_vm *vm);
void kvm_layers_free(struct kvm_layers *layers);

/* Freezes the top and opens a new one. Returns the layer's id (> 0), or -errno. */
int kvm_layers_freeze(struct kvm_layers *layers);
/* Makes memory what it was when `id` was frozen. 0, -ENOENT, or -errno. */
int kvm_layers_restore(struct kvm_layers *layers, int id);
/* Forgets a layer: its pages go down into those that stand on it. 0, -ENOENT, -ENOMEM. */
int kvm_layers_delete(struct kvm_layers *layers, int id);

/* The layer on which the top stands; 0: none. */
int kvm_layers_current(const struct kvm_layers *layers);
/* Below `id`; 0: none. */
int kvm_layers_parent(const struct kvm_layers *layers, int id);
/* Pages that layer `id` holds itself. */
uint64_t kvm_layers_pages(const struct kvm_layers *layers, int id);
/* Each page that may differ between layer `id` and layer `base` below it; 0: each that may differ
 * from zeros. In no order, by its number, with its content in `id`, which stays where it is as long
 * as the layers do. -ENOENT, or -errno. */
int kvm_layers_each(struct kvm_layers *layers, int id, int base,
                    void (*see)(void *context, uint64_t page, const uint8_t *bytes), void *context);
/* Which layer would answer for the page at this offset of memory: an id, 0 the base, -1 the top. */
int kvm_layers_find(struct kvm_layers *layers, uint64_t offset);
/* Pages that the top has: those that the next layer will hold. */
uint64_t kvm_layers_top_pages(struct kvm_layers *layers);

/* ---- how hot pages are -------------------------------------------------------------------- */

/* Looks what was written since the last look. `written` pages are counted; heat fades by half each
 * look. The log of dirty pages begins with the first call. */
int kvm_layers_look(struct kvm_layers *layers, uint64_t *written);
/* 255: written before the newest look; halved at each later look. One byte a page. */
const uint8_t *kvm_layers_heat(const struct kvm_layers *layers);

/* ---- for who moves the guest to another host ------------------------------------------------ */

/* Keeps a second account of writes, which snapshots do not end. 0 or -errno. */
int kvm_layers_moves(struct kvm_layers *layers);
void kvm_layers_moves_end(struct kvm_layers *layers);
/* Sets a bit in `bits` for each page that was written since the last call. 0 or -errno. */
int kvm_layers_moved(struct kvm_layers *layers, uint64_t *bits);

#endif
