/*
 * Checking a qcow2 image: do the reference counts tell the truth?
 *
 * It is done as an accountant would. Every reference in the file is a line in a ledger: which
 * cluster it is to, and what it takes it for. The ledger is sorted by clusters; then the lines of a
 * cluster stand together, and one pass over the ledger beside the counts finds all that can be
 * wrong:
 *
 *   lines = count          well
 *   lines > count          corrupt: the cluster could be taken for free while it is in use
 *   lines < count          a leak: never used again, nothing else
 *   a table and more       corrupt: data and metadata in one cluster
 *
 * Memory is bounded by the references that the file really holds; no table is gone through twice.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* What a reference takes a cluster for. All but the last two are metadata. */
enum use { USE_HEADER, USE_L1, USE_REFTABLE, USE_REFBLOCK, USE_L2, USE_DATA, USE_COMPRESSED };

static const char *const USE_NAMES[] = {
    "header", "L1 table", "refcount table", "refcount block", "L2 table", "data", "compressed data",
};

enum { USE_BITS = 3 };

struct checker {
    struct qcow2 *q;
    struct qcow2_verdict *verdict;
    qcow2_report_fn report;
    void *context;
    struct qcow2_list ledger; /* of cluster << USE_BITS | use */
};

static void say(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct checker *c, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (!c->report)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->report(c->context, text);
}

#define corrupt(c, ...) ((c)->verdict->corruptions++, say((c), "corrupt: " __VA_ARGS__))

typedef unsigned long long ull;

/* ---- the ledger --------------------------------------------------------------------------- */

static int enter(struct checker *c, uint64_t offset, enum use use)
{
    return qcow2_list_add(&c->ledger, (offset >> c->q->header.cluster_bits) << USE_BITS | use);
}

/* Clusters from the one with `offset` to the one with the last of `count` bytes. */
static int enter_run(struct checker *c, uint64_t offset, uint64_t count, enum use use)
{
    uint64_t cluster = qcow2_cluster(c->q);
    for (uint64_t at = offset & ~(cluster - 1); count && at < offset + count; at += cluster) {
        int error = enter(c, at, use);
        if (error)
            return error;
    }
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_ledger(struct checker *c)
{
    if (c->ledger.count)
        qsort(c->ledger.at, c->ledger.count, sizeof *c->ledger.at, compare_lines);
}

/* ---- what the file refers to -------------------------------------------------------------- */

/* May a table be there? If not, that is one finding and the table is passed over. */
static bool is_table(struct checker *c, uint64_t offset, const char *what)
{
    if (qcow2_check_table(c->q, offset, what) == 0)
        return true;
    corrupt(c, "%s at 0x%llx: outside the file, or not the start of a cluster", what, (ull)offset);
    return false;
}

/* Lines for the tables that an index points to. */
static int enter_tables(struct checker *c, const struct qcow2_index *index, enum use use)
{
    uint64_t flag = use == USE_L2 ? QCOW2_COPIED : 0;
    for (uint64_t i = 0; i < index->count; i++) {
        uint64_t entry = index->entry[i], offset = entry & QCOW2_OFFSET;
        if (!entry)
            continue;
        if (entry & ~(QCOW2_OFFSET | flag))
            corrupt(c, "%s: entry %llu has reserved bits set", USE_NAMES[use], (ull)i);
        else if (flag && !(entry & flag))
            corrupt(c, "%s at 0x%llx: its entry says that it is shared", USE_NAMES[use],
                    (ull)offset);
        else if (is_table(c, offset, USE_NAMES[use])) {
            int error = enter(c, offset, use);
            if (error)
                return error;
        }
    }
    return 0;
}

static int enter_metadata(struct checker *c)
{
    const struct qcow2_header *h = &c->q->header;
    int error = enter(c, 0, USE_HEADER);
    error = error ? error : enter_run(c, h->l1_offset, 8ull * h->l1_size, USE_L1);
    if (!error)
        error = enter_run(c, h->reftable_offset, (uint64_t)h->reftable_clusters << h->cluster_bits,
                          USE_REFTABLE);
    error = error ? error : enter_tables(c, &c->q->reftable, USE_REFBLOCK);
    return error ? error : enter_tables(c, &c->q->l1, USE_L2);
}

/* A table to which two entries point would be gone through twice; it is corrupt enough already. */
static bool is_single(const struct checker *c, uint64_t offset, enum use use)
{
    uint64_t key = (offset >> c->q->header.cluster_bits) << USE_BITS | use;
    const uint64_t *found = bsearch(&key, c->ledger.at, c->ledger.count, sizeof key, compare_lines);
    return found && !(found > c->ledger.at && found[-1] >> USE_BITS == key >> USE_BITS) &&
           !(found + 1 < c->ledger.at + c->ledger.count && found[1] >> USE_BITS == key >> USE_BITS);
}

/* The "copied" bit must say whether the count is 1, or a write would go where it must not. */
static int check_copied(struct checker *c, const struct qcow2_entry *e, uint64_t guest)
{
    uint64_t count;
    int error = qcow2_refcount_get(c->q, e->host >> c->q->header.cluster_bits, &count);
    if (error) /* -EIO: no block there, which is a finding already */
        return error == -EIO ? 0 : error;
    if (e->copied != (count == 1))
        corrupt(c, "data at 0x%llx, of guest cluster %llu: copied is %d, the count %llu",
                (ull)e->host, (ull)guest, e->copied, (ull)count);
    return 0;
}

static int enter_entry(struct checker *c, uint64_t raw, uint64_t guest)
{
    struct qcow2_entry e;
    if (qcow2_entry_decode(c->q, raw, &e)) {
        corrupt(c, "guest cluster %llu: entry 0x%llx makes no sense", (ull)guest, (ull)raw);
        return 0;
    }
    c->verdict->data += e.kind == QCOW2_DATA;
    c->verdict->zero += e.kind == QCOW2_ZERO;
    c->verdict->compressed += e.kind == QCOW2_COMPRESSED;
    if (e.kind == QCOW2_COMPRESSED)
        return enter_run(c, e.host, e.deflated, USE_COMPRESSED);
    if (!e.host)
        return 0;
    int error = enter(c, e.host, USE_DATA);
    return error ? error : check_copied(c, &e, guest);
}

static int enter_l2(struct checker *c, uint64_t index, uint64_t offset, uint64_t *bytes)
{
    uint64_t entries = 1ull << qcow2_l2_bits(c->q);
    int error = storage_read(c->q->file, offset, bytes, qcow2_cluster(c->q));
    for (uint64_t i = 0; i < entries && !error; i++)
        if (bytes[i])
            error = enter_entry(c, be64toh(bytes[i]), index * entries + i);
    return error;
}

/* The data's lines come after those of the metadata were sorted, and do not disturb them: the
 * ledger is searched up to where it was sorted. */
static int enter_data(struct checker *c)
{
    struct checker tables = *c;
    uint64_t *bytes = malloc(qcow2_cluster(c->q));
    int error = bytes ? 0 : -ENOMEM;
    for (uint64_t i = 0; i < c->q->l1.count && !error; i++) {
        uint64_t offset = c->q->l1.entry[i] & QCOW2_OFFSET;
        tables.ledger.at = c->ledger.at; /* it moves when it grows */
        if (offset && is_single(&tables, offset, USE_L2))
            error = enter_l2(c, i, offset, bytes);
    }
    free(bytes);
    return error;
}

/* ---- the ledger beside the counts --------------------------------------------------------- */

/* The lines of one cluster. */
struct group {
    uint64_t cluster, lines;
    enum use use; /* the first: metadata before data */
};

static struct group take_group(const struct checker *c, size_t *at)
{
    struct group g = {c->ledger.at[*at] >> USE_BITS, 0, c->ledger.at[*at] & ((1 << USE_BITS) - 1)};
    for (; *at < c->ledger.count && c->ledger.at[*at] >> USE_BITS == g.cluster; ++*at)
        g.lines++;
    return g;
}

static void check_group(struct checker *c, const struct group *g, uint64_t count)
{
    if (g->use < USE_DATA && g->lines > 1)
        corrupt(c, "cluster %llu: a %s, and %llu more uses", (ull)g->cluster, USE_NAMES[g->use],
                (ull)g->lines - 1);
    if (g->lines > count)
        corrupt(c, "cluster %llu (%s): %llu uses, counted %llu", (ull)g->cluster, USE_NAMES[g->use],
                (ull)g->lines, (ull)count);
}

static int check_leak(struct checker *c, uint64_t cluster, uint64_t lines, uint64_t count,
                      bool repair)
{
    if (count <= lines)
        return 0;
    if (repair && lines == 0) { /* else entries that say "not copied" would have to change too */
        c->verdict->repaired++;
        return qcow2_refcount_set(c->q, cluster, 0);
    }
    c->verdict->leaks++;
    say(c, "leak: cluster %llu: %llu uses, counted %llu", (ull)cluster, (ull)lines, (ull)count);
    return 0;
}

/* One block: each of its counts beside the ledger's lines, from `*at` on. */
static int check_block(struct checker *c, uint64_t index, uint64_t offset, size_t *at, bool repair)
{
    unsigned bits = qcow2_refblock_bits(c->q), order = c->q->header.refcount_order;
    uint8_t *block = malloc(qcow2_cluster(c->q));
    int error = block ? storage_read(c->q->file, offset, block, qcow2_cluster(c->q)) : -ENOMEM;
    for (uint64_t i = 0; i < 1ull << bits && !error; i++) {
        uint64_t cluster = (index << bits) + i, count = qcow2_refcount_in(block, order, i);
        struct group g = {.cluster = cluster};
        if (*at < c->ledger.count && c->ledger.at[*at] >> USE_BITS == cluster) {
            g = take_group(c, at);
            if (!repair)
                check_group(c, &g, count);
        }
        error = check_leak(c, cluster, g.lines, count, repair);
    }
    free(block);
    return error;
}

/* Clusters in use that no block counts, up to the first that block `index` counts. */
static void check_uncounted(struct checker *c, uint64_t index, size_t *at)
{
    while (*at < c->ledger.count &&
           c->ledger.at[*at] >> USE_BITS >> qcow2_refblock_bits(c->q) < index) {
        struct group g = take_group(c, at);
        check_group(c, &g, 0);
    }
}

static int compare(struct checker *c, bool repair)
{
    size_t at = 0;
    const struct qcow2_index *table = &c->q->reftable;
    for (uint64_t i = 0; i < table->count; i++) {
        uint64_t offset = table->entry[i] & QCOW2_OFFSET;
        if (!offset || !is_single(c, offset, USE_REFBLOCK))
            continue;
        check_uncounted(c, i, &at);
        int error = check_block(c, i, offset, &at, repair);
        if (error)
            return error;
    }
    check_uncounted(c, UINT64_MAX, &at);
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* What else refers to clusters, which is not looked at: then the counts cannot be judged. */
static int refuse_unknown(struct qcow2 *q)
{
    const char *what = q->header.snapshots ? "internal snapshots"
                       : q->header.bitmaps ? "persistent bitmaps"
                                           : NULL;
    if (!what)
        return 0;
    snprintf(q->trouble, sizeof q->trouble, "%.240s: it has %s, which this check does not know",
             q->path, what);
    return -ENOTSUP;
}

static int check(struct checker *c, bool repair)
{
    int error = enter_metadata(c);
    if (error)
        return error;
    sort_ledger(c);
    error = enter_data(c);
    if (error)
        return error;
    sort_ledger(c);
    error = compare(c, false);
    if (error || !repair || c->verdict->corruptions || !c->verdict->leaks)
        return error;
    c->verdict->leaks = 0;
    error = compare(c, true);
    return error ? error : qcow2_flush(c->q);
}

int qcow2_check(struct qcow2 *q, bool repair, qcow2_report_fn report, void *context,
                struct qcow2_verdict *verdict)
{
    struct checker c = {.q = q, .verdict = verdict, .report = report, .context = context};
    *verdict = (struct qcow2_verdict){0};
    verdict->clusters =
        (q->header.size >> q->header.cluster_bits) + !!(q->header.size & (qcow2_cluster(q) - 1));
    int error = repair && q->readonly ? -EROFS : refuse_unknown(q);
    for (int i = 0; i < 2 && !error; i++) /* the second writes what the first has counted down */
        error = qcow2_flush(q);
    error = error ? error : qcow2_reftable_load(q);
    error = error ? error : check(&c, repair);
    free(c.ledger.at);
    return error;
}
