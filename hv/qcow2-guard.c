/*
 * Which clusters of a qcow2 file hold metadata, so that no data is ever written over them.
 *
 * In a damaged (or malicious) image an L2 entry may say that a guest's data is where the L1 table
 * is; a guest that wrote there would write its own translation. Header, tables and blocks are
 * therefore put down in a set when an image is opened for writing, and every write of data asks it.
 * Two tables in one cluster are found in the same way, and such an image is not written at all.
 *
 * An image that is only read may be odd in this way, and its guest reads what it finds. But who
 * goes through the whole disk would go through a table as often as L1 names it, and the largest L1
 * table, 32 MiB, can name one table four million times. No tool writes such images. So before a
 * walk the tables are put down in a set of their own: what the walk costs is then bounded by the
 * files' size.
 *
 * The set is a hash table of cluster numbers with linear probing. Cluster 0, the header's, is what
 * an empty slot looks like; it is always in the set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static bool has(const struct qcow2_guard *g, uint64_t number)
{
    return !number || (g->slots && *slot_of(g, number));
}

/* A number that it has not. */
static int add(struct qcow2_guard *g, uint64_t number)
{
    int error = 2 * g->used >= g->slots ? grow(g) : 0;
    if (error)
        return error;
    *slot_of(g, number) = number;
    g->used++;
    return 0;
}

bool qcow2_guard_has(const struct qcow2 *q, uint64_t offset)
{
    return has(&q->guard, offset >> q->header.cluster_bits);
}

int qcow2_guard_add(struct qcow2 *q, uint64_t offset)
{
    if (qcow2_guard_has(q, offset))
        return qcow2_complain(q, "two tables are in the cluster at 0x%llx",
                              (unsigned long long)offset);
    return add(&q->guard, offset >> q->header.cluster_bits);
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

/* ---- before a walk ------------------------------------------------------------------------ */

/* Offsets that no table can have are passed over: whoever comes there is told so. */
static int look_at_l1(struct qcow2 *q, struct qcow2_guard *set)
{
    int error = 0;
    for (uint64_t i = 0; i < q->l1.count && !error; i++) {
        uint64_t offset = q->l1.entry[i] & QCOW2_OFFSET, number = offset >> q->header.cluster_bits;
        if (!number)
            continue;
        if (has(set, number))
            return qcow2_complain(q, "the L1 table names the L2 table at 0x%llx twice",
                                  (unsigned long long)offset);
        error = add(set, number);
    }
    return error;
}

int qcow2_guard_walk(struct qcow2 *top)
{
    int error = 0;
    for (struct qcow2 *q = top->walkable ? NULL : top; q && !error; q = q->backing) {
        struct qcow2_guard set = {0};
        error = look_at_l1(q, &set);
        if (error == -EIO && q != top)
            memcpy(top->trouble, q->trouble, sizeof top->trouble);
        qcow2_guard_free(&set);
    }
    top->walkable = !error;
    return error;
}

void qcow2_guard_free(struct qcow2_guard *guard)
{
    free(guard->slot);
    *guard = (struct qcow2_guard){0};
}
