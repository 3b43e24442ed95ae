/*
 * Tables of a qcow2 image in memory, and which of their bytes the file does not have yet.
 *
 * L1 and the refcount table are held whole: they are small. L2 tables and refcount blocks, a
 * cluster each, are held as long as they are used much (a cache), and in any case while they are
 * dirty: what may be written when is for qcow2_flush() to say (qcow2-write.c), not for a cache that
 * runs full.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* ---- the cache ---------------------------------------------------------------------------- */

enum { CACHE_BYTES = 4 << 20, CACHE_MIN = 8, CACHE_MAX = 256 };

static bool is_dirty(const struct qcow2_table *t)
{
    return t->dirty != t->dirty_end;
}

static struct qcow2_table *find(struct qcow2_cache *c, uint64_t offset)
{
    if (c->last < c->count && c->table[c->last].offset == offset)
        return &c->table[c->last];
    for (unsigned i = 0; i < c->count; i++)
        if (c->table[i].offset == offset) {
            c->last = i;
            return &c->table[i];
        }
    return NULL;
}

/* The table that was not used for the longest time and can be forgotten, or NULL. */
static struct qcow2_table *find_oldest(struct qcow2_cache *c)
{
    struct qcow2_table *oldest = NULL;
    for (unsigned i = 0; i < c->count; i++) {
        struct qcow2_table *t = &c->table[i];
        if (!is_dirty(t) && !t->fresh && (!oldest || t->used < oldest->used))
            oldest = t;
    }
    return oldest;
}

static void choose_limit(struct qcow2 *q)
{
    uint64_t limit = CACHE_BYTES >> q->header.cluster_bits;
    q->cache.limit = limit < CACHE_MIN   ? CACHE_MIN
                     : limit > CACHE_MAX ? CACHE_MAX
                                         : (unsigned)limit;
}

enum { CHAIN_BYTES = 128 << 20 };

void qcow2_cache_share(struct qcow2 *q, unsigned images)
{
    uint64_t share = ((uint64_t)CHAIN_BYTES >> q->header.cluster_bits) / images;
    choose_limit(q);
    if (share < q->cache.limit)
        q->cache.limit = share ? (unsigned)share : 1;
    q->bare = share == 0;
}

/* One more slot, with room for a cluster. */
static struct qcow2_table *add_slot(struct qcow2 *q)
{
    struct qcow2_cache *c = &q->cache;
    struct qcow2_table *table = realloc(c->table, (c->count + 1) * sizeof *table);
    if (!table)
        return NULL;
    c->table = table;
    table[c->count] = (struct qcow2_table){.bytes = malloc(qcow2_cluster(q))};
    return table[c->count].bytes ? &table[c->count++] : NULL;
}

static struct qcow2_table *take_slot(struct qcow2 *q)
{
    if (!q->cache.limit)
        choose_limit(q);
    struct qcow2_table *t = q->cache.count >= q->cache.limit ? find_oldest(&q->cache) : NULL;
    return t ? t : add_slot(q);
}

static void fill_slot(struct qcow2 *q, struct qcow2_table *t, enum qcow2_table_kind kind,
                      uint64_t offset, bool fresh)
{
    *t = (struct qcow2_table){.offset = offset, .bytes = t->bytes, .kind = kind, .fresh = fresh};
    t->used = ++q->cache.clock;
}

int qcow2_table_get(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
                    struct qcow2_table **table)
{
    struct qcow2_table *t = find(&q->cache, offset);
    if (t) {
        if (t->kind != kind)
            return qcow2_complain(q, "the cluster at 0x%llx is an L2 table and a refcount block",
                                  (unsigned long long)offset);
        t->used = ++q->cache.clock;
        *table = t;
        return 0;
    }
    int error = qcow2_check_table(q, offset, kind == QCOW2_L2 ? "an L2 table" : "a refcount block");
    if (error)
        return error;
    t = take_slot(q);
    if (!t)
        return -ENOMEM;
    t->offset = 0; /* what it held is forgotten, whether the next can be read or not */
    error = storage_read(q->file, offset, t->bytes, qcow2_cluster(q));
    if (error)
        return error;
    fill_slot(q, t, kind, offset, false);
    *table = t;
    return 0;
}

int qcow2_table_new(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
                    struct qcow2_table **table)
{
    struct qcow2_table *t = take_slot(q);
    if (!t)
        return -ENOMEM;
    memset(t->bytes, 0, qcow2_cluster(q));
    fill_slot(q, t, kind, offset, true);
    qcow2_table_touch(q, t, 0, qcow2_cluster(q));
    *table = t;
    return 0;
}

void qcow2_table_touch(struct qcow2 *q, struct qcow2_table *t, size_t at, size_t count)
{
    if (!is_dirty(t)) {
        q->cache.dirty++;
        t->dirty = at;
        t->dirty_end = at + count;
    }
    t->dirty = at < t->dirty ? at : t->dirty;
    t->dirty_end = at + count > t->dirty_end ? at + count : t->dirty_end;
}

int qcow2_tables_write(struct qcow2 *q, enum qcow2_table_kind kind, bool fresh)
{
    for (unsigned i = 0; i < q->cache.count; i++) {
        struct qcow2_table *t = &q->cache.table[i];
        if (!t->offset || t->kind != kind || t->fresh != fresh || !is_dirty(t))
            continue;
        int error =
            qcow2_put(q, t->offset + t->dirty, t->bytes + t->dirty, t->dirty_end - t->dirty);
        if (error)
            return error;
        t->dirty = t->dirty_end = 0;
        q->cache.dirty--;
    }
    return 0;
}

void qcow2_tables_settle(struct qcow2 *q, enum qcow2_table_kind kind)
{
    for (unsigned i = 0; i < q->cache.count; i++)
        if (q->cache.table[i].kind == kind)
            q->cache.table[i].fresh = false;
}

void qcow2_cache_free(struct qcow2_cache *c)
{
    for (unsigned i = 0; i < c->count; i++)
        free(c->table[i].bytes);
    free(c->table);
    *c = (struct qcow2_cache){0};
}

/* ---- L1 and the refcount table ------------------------------------------------------------ */

int qcow2_index_load(struct qcow2 *q, struct qcow2_index *index, uint64_t offset, uint64_t count)
{
    uint64_t *entry = malloc(count ? count * sizeof *entry : 1);
    if (!entry)
        return -ENOMEM;
    int error = storage_read(q->file, offset, entry, count * sizeof *entry);
    if (error) {
        free(entry);
        return error;
    }
    for (uint64_t i = 0; i < count; i++)
        entry[i] = be64toh(entry[i]);
    *index = (struct qcow2_index){.entry = entry, .count = count};
    return 0;
}

void qcow2_index_set(struct qcow2_index *index, uint64_t i, uint64_t value)
{
    bool dirty = index->dirty != index->dirty_end;
    index->entry[i] = value;
    index->dirty = dirty && index->dirty < i ? index->dirty : i;
    index->dirty_end = dirty && index->dirty_end > i ? index->dirty_end : i + 1;
}

int qcow2_index_write(struct qcow2 *q, struct qcow2_index *index, uint64_t offset)
{
    uint64_t count = index->dirty_end - index->dirty;
    uint64_t *bytes = malloc(count ? count * sizeof *bytes : 1);
    if (!bytes)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++)
        bytes[i] = htobe64(index->entry[index->dirty + i]);
    int error = count ? qcow2_put(q, offset + 8 * index->dirty, bytes, 8 * count) : 0;
    free(bytes);
    if (!error)
        index->dirty = index->dirty_end = 0;
    return error;
}

/* ---- the way through L1 and L2 ------------------------------------------------------------ */

/* Where the L2 table of a guest's cluster is; 0: there is none yet. */
static int find_l2_offset(struct qcow2 *q, uint64_t cluster, uint64_t *offset)
{
    uint64_t i = cluster >> qcow2_l2_bits(q);
    uint64_t entry = i < q->l1.count ? q->l1.entry[i] : 0;
    *offset = entry & QCOW2_OFFSET;
    if (entry & ~(QCOW2_OFFSET | QCOW2_COPIED))
        return qcow2_complain(q, "L1 entry %llu is 0x%llx: reserved bits are set",
                              (unsigned long long)i, (unsigned long long)entry);
    return entry && !*offset ? qcow2_check_table(q, 0, "an L2 table") : 0;
}

/* The table in memory; NULL: there is none yet. */
static int find_l2(struct qcow2 *q, uint64_t cluster, struct qcow2_table **table)
{
    uint64_t offset;
    int error = find_l2_offset(q, cluster, &offset);
    *table = NULL;
    return error || !offset ? error : qcow2_table_get(q, QCOW2_L2, offset, table);
}

static size_t place_in_l2(const struct qcow2 *q, uint64_t cluster)
{
    return 8 * (size_t)(cluster & ((1ull << qcow2_l2_bits(q)) - 1));
}

/* The same without the table, for one of very many images. */
static int read_entry(struct qcow2 *q, uint64_t cluster, uint64_t *entry)
{
    uint64_t offset;
    int error = find_l2_offset(q, cluster, &offset);
    *entry = 0;
    if (error || !offset)
        return error;
    error = qcow2_check_table(q, offset, "an L2 table");
    if (!error)
        error = storage_read(q->file, offset + place_in_l2(q, cluster), entry, sizeof *entry);
    *entry = be64toh(*entry);
    return error;
}

int qcow2_l2_get(struct qcow2 *q, uint64_t cluster, uint64_t *entry)
{
    struct qcow2_table *table;
    if (q->bare)
        return read_entry(q, cluster, entry);
    int error = find_l2(q, cluster, &table);
    *entry = 0;
    if (!error && table)
        memcpy(entry, table->bytes + place_in_l2(q, cluster), sizeof *entry);
    *entry = be64toh(*entry);
    return error;
}

/* A new L2 table, all zero; the file learns of it by the next flush. */
static int make_l2(struct qcow2 *q, uint64_t cluster)
{
    uint64_t offset;
    struct qcow2_table *table;
    int error = qcow2_allocate(q, &offset);
    if (error)
        return error;
    error = qcow2_guard_add(q, offset);
    error = error ? error : qcow2_table_new(q, QCOW2_L2, offset, &table);
    if (!error)
        qcow2_index_set(&q->l1, cluster >> qcow2_l2_bits(q), offset | QCOW2_COPIED);
    return error;
}

int qcow2_l2_set(struct qcow2 *q, uint64_t cluster, uint64_t entry)
{
    struct qcow2_table *table;
    int error = find_l2(q, cluster, &table);
    if (!error && !table) {
        error = make_l2(q, cluster);
        error = error ? error : find_l2(q, cluster, &table);
    }
    if (error)
        return error;
    uint64_t bytes = htobe64(entry);
    memcpy(table->bytes + place_in_l2(q, cluster), &bytes, sizeof bytes);
    qcow2_table_touch(q, table, place_in_l2(q, cluster), sizeof bytes);
    return 0;
}
