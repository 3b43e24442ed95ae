/*
 * Which layer of a chain has a cluster: an index, so that a read costs the same whether there are
 * two layers or a thousand.
 *
 * The scan (qcow2-read.c) asks one layer after the other. What it has found is noted here, for each
 * unit of the disk the depth that answered, or of the lowest image that was asked; the next look-up
 * asks the top and goes on at that depth. The top is always asked itself, and the images below it
 * are locked against writers: so what is noted stays true, whatever is written.
 *
 *   unit    0    1    2    3    4        a unit is as large as the smallest cluster of the chain:
 *   noted   7    0   999   2    0        all of it has one answer. 0: not known, ask them all
 *
 * An image may end before the one above it, anywhere in a unit; then nobody below it is asked. So
 * there is beside it how far into the disk each depth can be asked at all.
 *
 * Memory is bounded: notes are held by regions of 4096 units, a region takes the place of the one
 * that had its slot, and what is forgotten is found again by the scan.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

enum { UNITS_BITS = 12, UNITS = 1 << UNITS_BITS, REGIONS = 1024 };

/* An image of the chain. */
struct step {
    struct qcow2 *image;
    uint64_t end; /* bytes of the disk for which it is asked: no image down to it is shorter */
};

struct region {
    uint64_t number; /* of the units >> UNITS_BITS */
    uint16_t depth[UNITS];
};

struct qcow2_which {
    struct step *step; /* of depth 0, 1 ... */
    unsigned steps;
    unsigned unit_bits;
    struct region *slot[REGIONS];
};

static unsigned count_images(const struct qcow2 *top)
{
    unsigned count = 0;
    for (; top; top = top->backing)
        count++;
    return count;
}

int qcow2_which_build(struct qcow2 *top)
{
    unsigned count = count_images(top);
    if (count <= 2) /* the top, and one to go on with */
        return 0;
    struct qcow2_which *w = calloc(1, sizeof *w);
    struct step *step = calloc(count, sizeof *step);
    if (!w || !step) {
        free(w);
        free(step);
        return -ENOMEM;
    }
    *w = (struct qcow2_which){.step = step, .steps = count, .unit_bits = QCOW2_CLUSTER_BITS_MAX};
    uint64_t end = UINT64_MAX;
    for (struct qcow2 *q = top; q; q = q->backing) {
        end = q->header.size < end ? q->header.size : end;
        *step++ = (struct step){q, end};
        if (q->header.cluster_bits < w->unit_bits)
            w->unit_bits = q->header.cluster_bits;
        if (q != top)
            qcow2_cache_share(q, count);
    }
    top->which = w;
    return 0;
}

void qcow2_which_free(struct qcow2_which *w)
{
    if (!w)
        return;
    for (unsigned i = 0; i < REGIONS; i++)
        free(w->slot[i]);
    free(w->step);
    free(w);
}

/* The note for the unit with `at`, or NULL; with `make` its region is made if it is not there. */
static uint16_t *note_of(struct qcow2_which *w, uint64_t at, bool make)
{
    uint64_t unit = at >> w->unit_bits, number = unit >> UNITS_BITS;
    struct region **slot = &w->slot[number % REGIONS];
    if (make && !*slot && (*slot = calloc(1, sizeof **slot)))
        (*slot)->number = number;
    if (make && *slot && (*slot)->number != number) {
        memset(*slot, 0, sizeof **slot);
        (*slot)->number = number;
    }
    return *slot && (*slot)->number == number ? &(*slot)->depth[unit % UNITS] : NULL;
}

struct qcow2 *qcow2_which_get(struct qcow2 *top, uint64_t at, unsigned *depth, uint64_t *length)
{
    struct qcow2_which *w = top->which;
    const uint16_t *note = w ? note_of(w, at, false) : NULL;
    if (!note || !*note || at >= w->step[*note].end)
        return NULL;
    *depth = *note;
    *length = (1ull << w->unit_bits) - (at & ((1ull << w->unit_bits) - 1));
    return w->step[*note].image;
}

/* Where memory runs out nothing is noted, and the next look-up scans again. */
void qcow2_which_note(struct qcow2 *top, uint64_t at, unsigned depth)
{
    uint16_t *note = top->which && depth > 1 ? note_of(top->which, at, true) : NULL;
    if (note)
        *note = (uint16_t)(depth < top->which->steps ? depth : top->which->steps - 1);
}
