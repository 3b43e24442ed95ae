/*
 * Which clusters of a qcow2 file hold metadata, so that no data is ever written over them.
 *
 * In a damaged (or malicious) image an L2 entry may say that a guest's data is where the L1 table
 * is; a guest that wrote there would write its own translation. Header, tables and blocks are
 * therefore put down in a set when an image is opened for writing, and every write of data asks it.
 * Two tables in one cluster are found in the same way, and such an image is not written at all.
 *
 * The set is a hash table of cluster numbers with linear probing. Cluster 0, the header's, is what
 * an empty slot looks like; it is always in the set.
 */
#include <errno.h>
#include <stdlib.h>

#include "hv/qcow2_priv.h"

static uint64_t *slot_of(const struct qcow2_guard *g, uint64_t number)
{
    uint64_t i = (number * 0x9e3779b97f4a7c15u) >> 20;
    while (g->slot[i & (g->slots - 1)] && g->slot[i & (g->slots - 1)] != number)
        i++;
    return &g->slot[i & (g->slots - 1)];
}

static int grow(struct qcow2_guard *g)
{
    struct qcow2_guard wide = {.slots = g->slots ? 2 * g->slots : 64, .used = g->used};
    wide.slot = calloc(wide.slots, sizeof *wide.slot);
    if (!wide.slot)
        return -ENOMEM;
    for (uint64_t i = 0; i < g->slots; i++)
        if (g->slot[i])
            *slot_of(&wide, g->slot[i]) = g->slot[i];
    free(g->slot);
    *g = wide;
    return 0;
}

bool qcow2_guard_has(const struct qcow2 *q, uint64_t offset)
{
    uint64_t number = offset >> q->header.cluster_bits;
    return !number || (q->guard.slots && *slot_of(&q->guard, number));
}

int qcow2_guard_add(struct qcow2 *q, uint64_t offset)
{
    struct qcow2_guard *g = &q->guard;
    if (qcow2_guard_has(q, offset))
        return qcow2_complain(q, "two tables are in the cluster at 0x%llx",
                              (unsigned long long)offset);
    if (2 * g->used >= g->slots) {
        int error = grow(g);
        if (error)
            return error;
    }
    uint64_t number = offset >> q->header.cluster_bits;
    *slot_of(g, number) = number;
    g->used++;
    return 0;
}

static int add_run(struct qcow2 *q, uint64_t offset, uint64_t count)
{
    for (uint64_t at = 0; at < count; at += qcow2_cluster(q)) {
        int error = qcow2_guard_add(q, offset + at);
        if (error)
            return error;
    }
    return 0;
}

/* What the entries of L1 or of the refcount table point to. */
static int add_tables(struct qcow2 *q, const struct qcow2_index *index, const char *what)
{
    for (uint64_t i = 0; i < index->count; i++) {
        uint64_t offset = index->entry[i] & QCOW2_OFFSET;
        if (!offset)
            continue;
        int error = qcow2_check_table(q, offset, what);
        error = error ? error : qcow2_guard_add(q, offset);
        if (error)
            return error;
    }
    return 0;
}

int qcow2_guard_build(struct qcow2 *q)
{
    const struct qcow2_header *h = &q->header;
    qcow2_guard_free(&q->guard);
    int error = add_run(q, h->l1_offset, 8ull * h->l1_size);
    if (!error)
        error = add_run(q, h->reftable_offset, (uint64_t)h->reftable_clusters << h->cluster_bits);
    error = error ? error : add_tables(q, &q->l1, "an L2 table");
    return error ? error : add_tables(q, &q->reftable, "a refcount block");
}

void qcow2_guard_free(struct qcow2_guard *guard)
{
    free(guard->slot);
    *guard = (struct qcow2_guard){0};
}
