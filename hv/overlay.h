/*
 * Layers of pages: what a snapshot of memory is.
 *
 *      top      the memory itself: what was written since the newest snapshot is in place
 *      layer    the pages that differ from the layer below, frozen
 *      ...
 *      base     what memory is before anything was written: zeros, or a disk's file
 *
 * Freezing makes a layer of the pages that have changed since the one below and opens a new top:
 * its cost grows with the dirty pages, not with memory. Restoring puts back those pages only that
 * can differ. Who restores an older layer and goes on makes a branch, so layers form a tree.
 * Deleting a layer moves its pages into those that stand on it.
 *
 * Memory consists of *parts*, each a stretch of host memory. In a part with a struct ram_track the
 * pages that were written are known; one without is compared as a whole, which is right for
 * what is small. All of them are frozen and restored together.
 *
 * Looking a page up, two ways:
 *
 *   the scan    asks the layers one after the other, from the top down: this is what is drawn, and
 *               what a reader should have in mind
 *   the index   has, for each page, its newest content below the top, and each content leads to the
 *               one that it replaced. So a look-up costs the same under 1,000 layers as under one,
 *               and moving to another layer costs what the two differ in
 *
 * Functions return 0 or -errno. Where memory runs out nothing has changed.
 *
 * Source: the idea is that of qcow2's backing files, in memory; see docs/time.md.
 */
#ifndef VITRINE_HV_OVERLAY_H
#define VITRINE_HV_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/ram.h"

struct overlay;

enum { OVERLAY_PAGE = 4096, OVERLAY_PARTS = 8 };

struct overlay_part {
    const char *name;
    uint8_t *bytes;
    uint64_t size;           /* bytes; the last page may be a part of one */
    uint32_t unit;           /* bytes of an element, for those who write the pages to a file */
    struct ram_track *track; /* which pages were written; NULL: all are compared */
    bool backed;             /* the base is not zeros, but something that put() knows */
    /* Makes page `page` what it is to be; `bytes` NULL: as it is in the base. May be NULL: the
     * bytes are copied. */
    void (*put)(void *context, uint32_t page, const uint8_t *bytes);
    /* These pages count as clean from now on. May be NULL. */
    void (*cleaned)(void *context, const uint32_t *page, uint32_t count);
    void *context;
};

/* At most OVERLAY_PARTS. Nothing is frozen yet. NULL: no memory. The parts' memory must outlive it.
 */
struct overlay *overlay_new(const struct overlay_part *part, unsigned parts);
void overlay_free(struct overlay *overlay);

/* Freezes the top and opens a new one. The layer's id (> 0, never used again), or -ENOMEM. */
int overlay_freeze(struct overlay *overlay);
/* Makes memory what it was when `id` was frozen; the new top stands on it. -ENOENT, -ENOMEM. */
int overlay_restore(struct overlay *overlay, int id);
/* Forgets a layer: its pages go to those that stand on it, and to the top. -ENOENT, -ENOMEM. */
int overlay_delete(struct overlay *overlay, int id);

/* The layer on which the top stands; 0: none. */
int overlay_current(const struct overlay *overlay);
/* Below `id`; 0: the base, or no such layer. */
int overlay_parent(const struct overlay *overlay, int id);
/* Pages that layer `id` has itself. */
uint64_t overlay_pages(const struct overlay *overlay, int id);
/* Bytes of host memory that all layers together take. */
uint64_t overlay_bytes(const struct overlay *overlay);
/* The same of what only layer `id` has. */
uint64_t overlay_layer_bytes(const struct overlay *overlay, int id);

/* The parts, as overlay_new() was told; NULL: there are not so many. */
const struct overlay_part *overlay_part_at(const struct overlay *overlay, unsigned part);
/* Each page in which layer `id` may differ from layer `base` below it (0: from the base), with its
 * content in `id`; in no order. Of the last page of a part the bytes behind the part's end are
 * anything. -ENOENT: there is no such layer, or it does not stand on `base`. */
typedef void (*overlay_see_fn)(void *context, unsigned part, uint32_t page, const uint8_t *bytes);
int overlay_each(struct overlay *overlay, int id, int base, overlay_see_fn see, void *context);

/* What the newest layer below the top that has this page says of it; NULL: none has, it is as in
 * the base. By the index. */
const uint8_t *overlay_look(const struct overlay *overlay, unsigned part, uint32_t page);
/* The same by the scan. `id`: of the layer that has answered, 0: the base; `steps`: how many were
 * asked. */
const uint8_t *overlay_scan(const struct overlay *overlay, unsigned part, uint32_t page, int *id,
                            int *steps);
/* May the page differ from what overlay_look() says: would the top answer for it? */
bool overlay_in_top(const struct overlay *overlay, unsigned part, uint32_t page);
/* Does it differ? And how many pages do, those that the next layer would have? */
bool overlay_top_has(const struct overlay *overlay, unsigned part, uint32_t page);
uint64_t overlay_top_pages(const struct overlay *overlay);

#endif
