/*
 * Reference counts of a qcow2 image: which clusters of the file are in use.
 *
 *   refcount table, in memory      refcount blocks, a cluster each      clusters of the file
 *   [0] ------------------------>  1 1 1 1 2 0 0 1 ...                  0 ... 32767
 *   [1] ------------------------>  1 0 0 0 ...                          32768 ... 65535
 *   [2] 0: all counts are 0
 *
 * A block takes a cluster, which must be counted too. A new block is put into the first cluster
 * that it counts itself: then making one needs no other, and there is no recursion.
 *
 * Counting down waits. A cluster whose reference is gone from memory may still be referred to by
 * the file; if it were used for something else and then the machine crashed, the old reference
 * would show the new content. So what is released is kept in a list until the next flush has
 * written the new references.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* ---- one count ---------------------------------------------------------------------------- */

/* Counts narrower than a byte: the lower index is in the lower bits. */
uint64_t qcow2_refcount_in(const uint8_t *block, unsigned order, uint64_t index)
{
    if (order < 3) {
        unsigned bits = 1u << order, shift = (unsigned)(index << order) & 7;
        return block[(index << order) >> 3] >> shift & ((1u << bits) - 1);
    }
    uint64_t count = 0;
    size_t bytes = (size_t)1 << (order - 3);
    for (size_t i = 0; i < bytes; i++)
        count = count << 8 | block[index * bytes + i];
    return count;
}

void qcow2_refcount_put(uint8_t *block, unsigned order, uint64_t index, uint64_t count)
{
    if (order < 3) {
        unsigned bits = 1u << order, shift = (unsigned)(index << order) & 7;
        unsigned mask = ((1u << bits) - 1) << shift;
        uint8_t *byte = &block[(index << order) >> 3];
        *byte = (uint8_t)((*byte & ~mask) | (unsigned)count << shift);
        return;
    }
    size_t bytes = (size_t)1 << (order - 3);
    for (size_t i = bytes; i-- > 0; count >>= 8)
        block[index * bytes + i] = (uint8_t)count;
}

/* The block that counts a cluster, NULL: there is none. */
static int find_block(struct qcow2 *q, uint64_t cluster, struct qcow2_table **block)
{
    uint64_t i = cluster >> qcow2_refblock_bits(q);
    uint64_t entry = i < q->reftable.count ? q->reftable.entry[i] : 0;
    *block = NULL;
    if (!entry)
        return 0;
    if (entry & ~QCOW2_OFFSET)
        return qcow2_complain(q, "refcount table entry %llu is 0x%llx: reserved bits are set",
                              (unsigned long long)i, (unsigned long long)entry);
    return qcow2_table_get(q, QCOW2_REFBLOCK, entry, block);
}

static uint64_t place_in_block(const struct qcow2 *q, uint64_t cluster)
{
    return cluster & ((1ull << qcow2_refblock_bits(q)) - 1);
}

int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *count)
{
    struct qcow2_table *block;
    int error = find_block(q, cluster, &block);
    *count = 0;
    if (!error && block)
        *count =
            qcow2_refcount_in(block->bytes, q->header.refcount_order, place_in_block(q, cluster));
    return error;
}

static void put_count(struct qcow2 *q, struct qcow2_table *block, uint64_t cluster, uint64_t count)
{
    unsigned order = q->header.refcount_order;
    uint64_t i = place_in_block(q, cluster);
    qcow2_refcount_put(block->bytes, order, i, count);
    qcow2_table_touch(q, block, (size_t)((i << order) >> 3), order > 3 ? 1u << (order - 3) : 1);
}

int qcow2_refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
    struct qcow2_table *block;
    int error = find_block(q, cluster, &block);
    if (!error && !block)
        return qcow2_complain(q, "cluster %llu is in use and has no reference count",
                              (unsigned long long)cluster);
    if (!error)
        put_count(q, block, cluster, count);
    return error;
}

int qcow2_reftable_load(struct qcow2 *q)
{
    const struct qcow2_header *h = &q->header;
    if (q->reftable.entry)
        return 0;
    return qcow2_index_load(q, &q->reftable, h->reftable_offset,
                            ((uint64_t)h->reftable_clusters << h->cluster_bits) / 8);
}

/* ---- a larger refcount table -------------------------------------------------------------- */

/* Where the new table and the blocks that count it go: behind all that the old table can count. */
struct growth {
    uint64_t first;              /* cluster: the blocks, then the table */
    uint64_t blocks, tables;     /* clusters of each */
    struct qcow2_index reftable; /* the new one */
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Half as large again, and its blocks count the table and themselves. */
static int plan_growth(struct qcow2 *q, struct growth *g)
{
    uint64_t entries = qcow2_cluster(q) / 8, old = q->reftable.count;
    g->tables = divide_up(old + old / 2 + 1, entries);
    g->first = old << qcow2_refblock_bits(q);
    for (g->blocks = 1;; g->blocks++)
        if ((g->blocks << qcow2_refblock_bits(q)) >= g->blocks + g->tables)
            break;
    if (g->tables > (uint64_t)QCOW2_REFTABLE_MAX >> q->header.cluster_bits ||
        (g->first + g->blocks + g->tables) >= QCOW2_END >> q->header.cluster_bits)
        return -EFBIG;
    g->reftable.count = g->tables * entries;
    g->reftable.entry = calloc(g->reftable.count, sizeof *g->reftable.entry);
    if (!g->reftable.entry)
        return -ENOMEM;
    memcpy(g->reftable.entry, q->reftable.entry, old * sizeof *q->reftable.entry);
    for (uint64_t i = 0; i < g->blocks; i++)
        g->reftable.entry[old + i] = (g->first + i) << q->header.cluster_bits;
    return 0;
}

static int write_blocks(struct qcow2 *q, const struct growth *g)
{
    unsigned bits = qcow2_refblock_bits(q);
    uint64_t used = g->blocks + g->tables;
    for (uint64_t i = 0; i < used; i++)
        if (qcow2_guard_has(q, (g->first + i) << q->header.cluster_bits))
            return qcow2_complain(q, "a table is in cluster %llu, which has no reference count",
                                  (unsigned long long)(g->first + i));
    for (uint64_t b = 0; b < g->blocks; b++) {
        memset(q->scratch, 0, qcow2_cluster(q));
        for (uint64_t i = b << bits; i < used && i < (b + 1) << bits; i++)
            qcow2_refcount_put(q->scratch, q->header.refcount_order, i - (b << bits), 1);
        int error =
            qcow2_put(q, (g->first + b) << q->header.cluster_bits, q->scratch, qcow2_cluster(q));
        if (error)
            return error;
    }
    return 0;
}

/* The header's two fields stand in one sector, so that a crash leaves both or none. */
static int switch_header(struct qcow2 *q, uint64_t offset, uint64_t clusters)
{
    struct {
        uint64_t offset;
        uint32_t clusters;
    } __attribute__((packed)) fields = {htobe64(offset), htobe32((uint32_t)clusters)};
    int error = qcow2_put(q, QCOW2_AT_REFTABLE, &fields, sizeof fields);
    return error ? error : qcow2_settle(q);
}

static int release_run(struct qcow2 *q, uint64_t offset, uint64_t clusters)
{
    for (uint64_t i = 0; i < clusters; i++) {
        int error = qcow2_release(q, offset + (i << q->header.cluster_bits));
        if (error)
            return error;
    }
    return 0;
}

/* Writes the blocks and the table; flushes; lets the header say where the table is; flushes. */
static int move_reftable(struct qcow2 *q, struct growth *g)
{
    uint64_t offset = (g->first + g->blocks) << q->header.cluster_bits;
    g->reftable.dirty_end = g->reftable.count;
    int error = write_blocks(q, g);
    error = error ? error : qcow2_index_write(q, &g->reftable, offset);
    error = error ? error : qcow2_settle(q);
    error = error ? error : switch_header(q, offset, g->tables);
    if (error) {
        free(g->reftable.entry);
        return error;
    }
    uint64_t old_offset = q->header.reftable_offset, old = q->header.reftable_clusters;
    free(q->reftable.entry);
    q->reftable = g->reftable;
    q->header.reftable_offset = offset;
    q->header.reftable_clusters = (uint32_t)g->tables;
    error = qcow2_guard_build(q);
    return error ? error : release_run(q, old_offset, old);
}

/* All that is pending goes to the file first: then the table's copy is all that there is to say. */
static int grow_reftable(struct qcow2 *q)
{
    struct growth g = {0};
    int error = qcow2_write_barrier(q);
    error = error ? error : plan_growth(q, &g);
    return error ? error : move_reftable(q, &g);
}

/* ---- free clusters ------------------------------------------------------------------------ */

/* The first cluster from the hint on that is counted 0, or counted by no block. */
static int find_free(struct qcow2 *q, uint64_t *cluster)
{
    for (uint64_t c = q->hint;; c++) {
        struct qcow2_table *block;
        int error = find_block(q, c, &block);
        if (error)
            return error;
        uint64_t i = place_in_block(q, c), end = 1ull << qcow2_refblock_bits(q);
        while (block && i < end && qcow2_refcount_in(block->bytes, q->header.refcount_order, i))
            i++, c++;
        if (!block || i < end) {
            *cluster = q->hint = c;
            return 0;
        }
        c--; /* the loop goes on with the next block's first */
    }
}

/* Makes the block that counts `cluster`, in that cluster itself. */
static int make_block(struct qcow2 *q, uint64_t cluster)
{
    struct qcow2_table *block;
    uint64_t offset = cluster << q->header.cluster_bits;
    int error = qcow2_guard_add(q, offset);
    error = error ? error : qcow2_table_new(q, QCOW2_REFBLOCK, offset, &block);
    if (error)
        return error;
    put_count(q, block, cluster, 1);
    qcow2_index_set(&q->reftable, cluster >> qcow2_refblock_bits(q), offset);
    q->hint = cluster + 1;
    return 0;
}

static int take(struct qcow2 *q, uint64_t cluster, uint64_t *offset)
{
    *offset = cluster << q->header.cluster_bits;
    if (qcow2_guard_has(q, *offset))
        return qcow2_complain(q, "the table at 0x%llx is counted as free",
                              (unsigned long long)*offset);
    q->hint = cluster + 1;
    return qcow2_refcount_set(q, cluster, 1);
}

int qcow2_allocate(struct qcow2 *q, uint64_t *offset)
{
    for (;;) {
        uint64_t cluster;
        int error = find_free(q, &cluster);
        if (error)
            return error;
        uint64_t i = cluster >> qcow2_refblock_bits(q);
        if (i < q->reftable.count && q->reftable.entry[i])
            return take(q, cluster, offset);
        error = i < q->reftable.count ? make_block(q, cluster) : grow_reftable(q);
        if (error)
            return error;
    }
}

/* ---- counting down ------------------------------------------------------------------------ */

int qcow2_list_add(struct qcow2_list *list, uint64_t number)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        uint64_t *at = realloc(list->at, room * sizeof *at);
        if (!at)
            return -ENOMEM;
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = number;
    return 0;
}

int qcow2_release(struct qcow2 *q, uint64_t offset)
{
    return qcow2_list_add(&q->released, offset >> q->header.cluster_bits);
}

/* A compressed cluster may lie in two clusters of the file, and is counted in both. */
int qcow2_release_entry(struct qcow2 *q, const struct qcow2_entry *e)
{
    if (!e->host)
        return 0;
    uint64_t cluster = qcow2_cluster(q), last = e->host + (e->deflated ? e->deflated - 1 : 0);
    for (uint64_t at = e->host & ~(cluster - 1); at <= last; at += cluster) {
        int error = qcow2_release(q, at);
        if (error)
            return error;
    }
    return 0;
}

static int count_down(struct qcow2 *q, uint64_t cluster)
{
    uint64_t count;
    int error = qcow2_refcount_get(q, cluster, &count);
    if (!error && count == 0)
        return qcow2_complain(q, "cluster %llu was in use and is counted as free",
                              (unsigned long long)cluster);
    error = error ? error : qcow2_refcount_set(q, cluster, count - 1);
    if (!error && count == 1 && cluster < q->hint)
        q->hint = cluster;
    return error;
}

int qcow2_released_drop(struct qcow2 *q)
{
    int error = 0;
    while (q->released.count && !error) {
        error = count_down(q, q->released.at[--q->released.count]);
        if (!error && q->cache.dirty > q->cache.limit) /* counting down needs no order */
            error = qcow2_tables_write(q, QCOW2_REFBLOCK, false);
    }
    return error;
}
