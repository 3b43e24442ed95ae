/*
 * Writing to a qcow2 image, and the order in which things reach the file (drawn in qcow2.h).
 */
#include <errno.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* ---- the barrier -------------------------------------------------------------------------- */

/* Step 1: what nothing in the file refers to yet. Data is there already. A refcount block must be
 * durable before its entry in the table is: between the two, clusters would be counted at random.
 */
static int write_counts(struct qcow2 *q)
{
    int error = qcow2_tables_write(q, QCOW2_L2, true);
    error = error ? error : qcow2_tables_write(q, QCOW2_REFBLOCK, true);
    error = error ? error : qcow2_tables_write(q, QCOW2_REFBLOCK, false);
    if (!error && q->reftable.dirty != q->reftable.dirty_end) {
        error = qcow2_settle(q);
        error = error ? error : qcow2_index_write(q, &q->reftable, q->header.reftable_offset);
    }
    error = error ? error : qcow2_settle(q);
    if (!error)
        qcow2_tables_settle(q, QCOW2_REFBLOCK);
    return error;
}

/* Step 2: the references. */
static int write_references(struct qcow2 *q)
{
    int error = qcow2_tables_write(q, QCOW2_L2, false);
    error = error ? error : qcow2_index_write(q, &q->l1, q->header.l1_offset);
    error = error ? error : qcow2_settle(q);
    if (!error)
        qcow2_tables_settle(q, QCOW2_L2);
    return error;
}

int qcow2_write_barrier(struct qcow2 *q)
{
    if (q->broken)
        return -EIO;
    int error = write_counts(q);
    error = error ? error : write_references(q);
    return error ? error : qcow2_released_drop(q); /* step 3 */
}

int qcow2_flush(struct qcow2 *q)
{
    return q->readonly ? 0 : qcow2_write_barrier(q);
}

/* Deferred changes take memory: with many of them the barrier comes before the guest asks. */
enum { RELEASED_MAX = 4096 };

static int bound_memory(struct qcow2 *q)
{
    bool much = q->cache.dirty > q->cache.limit / 2 || q->released.count > RELEASED_MAX;
    return q->cache.limit && much ? qcow2_write_barrier(q) : 0;
}

/* ---- one cluster -------------------------------------------------------------------------- */

/* Part of a guest's cluster, and what stands for it now. */
struct piece {
    uint64_t cluster; /* number */
    uint64_t skip;    /* bytes before it in the cluster */
    size_t count;
    struct qcow2_entry entry;
};

static int look_up(struct qcow2 *q, uint64_t at, uint64_t count, struct piece *p)
{
    uint64_t raw, left;
    p->cluster = at >> q->header.cluster_bits;
    p->skip = at & (qcow2_cluster(q) - 1);
    left = qcow2_cluster(q) - p->skip;
    p->count = (size_t)(count < left ? count : left);
    int error = qcow2_l2_get(q, p->cluster, &raw);
    return error ? error : qcow2_entry_decode(q, raw, &p->entry);
}

/* Data never goes where metadata is, whatever an entry says. */
static int put_data(struct qcow2 *q, uint64_t host, const void *bytes, size_t count)
{
    if (qcow2_guard_has(q, host))
        return qcow2_complain(q, "data at 0x%llx would overwrite a table",
                              (unsigned long long)host);
    return qcow2_put(q, host, bytes, count);
}

/* The cluster as the guest sees it now, with the piece changed, in q->scratch. `bytes` NULL: zero.
 * The last cluster of a disk may be only in part on it. */
static int compose(struct qcow2 *q, const struct piece *p, const void *bytes)
{
    uint64_t start = p->cluster << q->header.cluster_bits, left = q->header.size - start;
    size_t size = (size_t)(left < qcow2_cluster(q) ? left : qcow2_cluster(q));
    memset(q->scratch, 0, qcow2_cluster(q));
    int error = p->count < size ? qcow2_read(q, start, q->scratch, size) : 0;
    if (error)
        return error;
    if (bytes)
        memcpy(q->scratch + p->skip, bytes, p->count);
    else
        memset(q->scratch + p->skip, 0, p->count);
    return 0;
}

/* A cluster to write to: the one that is kept for a cluster of zeros, or a new one. */
static int choose_host(struct qcow2 *q, const struct qcow2_entry *e, uint64_t *host)
{
    *host = e->host;
    return e->kind == QCOW2_ZERO && e->host && e->copied ? 0 : qcow2_allocate(q, host);
}

/* Copy on write: the whole cluster goes to a place where nobody sees it, then the entry changes. */
static int write_elsewhere(struct qcow2 *q, const struct piece *p, const void *bytes)
{
    uint64_t host;
    int error = choose_host(q, &p->entry, &host); /* before: it may use the scratch */
    if (error)
        return error;
    error = compose(q, p, bytes);
    error = error ? error : put_data(q, host, q->scratch, qcow2_cluster(q));
    error = error ? error : qcow2_l2_set(q, p->cluster, host | QCOW2_COPIED);
    if (host == p->entry.host)
        return error;
    if (error) {
        qcow2_release(q, host); /* fails only for want of memory, and then leaks: `error` counts */
        return error;
    }
    return qcow2_release_entry(q, &p->entry);
}

static int write_piece(struct qcow2 *q, const struct piece *p, const void *bytes)
{
    bool in_place = p->entry.kind == QCOW2_DATA && p->entry.copied;
    return in_place ? put_data(q, p->entry.host + p->skip, bytes, p->count)
                    : write_elsewhere(q, p, bytes);
}

static int check_write(const struct qcow2 *q, uint64_t at, uint64_t count)
{
    if (at > q->header.size || count > q->header.size - at)
        return -EINVAL;
    if (q->readonly)
        return -EROFS;
    return q->broken ? -EIO : 0;
}

int qcow2_write(struct qcow2 *q, uint64_t at, const void *bytes, size_t count)
{
    int error = check_write(q, at, count);
    for (const uint8_t *from = bytes; count && !error;) {
        struct piece p;
        error = look_up(q, at, count, &p);
        error = error ? error : write_piece(q, &p, from);
        error = error ? error : bound_memory(q);
        from += p.count, at += p.count, count -= p.count;
    }
    return error;
}

/* ---- zeros -------------------------------------------------------------------------------- */

/* Does the piece cover all of its cluster that is on the disk? */
static bool is_whole(const struct qcow2 *q, const struct piece *p)
{
    uint64_t end = (p->cluster << q->header.cluster_bits) + p->skip + p->count;
    return p->skip == 0 && (p->count == qcow2_cluster(q) || end == q->header.size);
}

/* Version 2 has no entry for "zero, whatever is below"; but with nothing below none is needed. */
static bool has_zero_entry(const struct qcow2 *q)
{
    return q->header.version >= 3 || !q->header.backed;
}

static int zero_whole(struct qcow2 *q, const struct piece *p)
{
    if (p->entry.kind == QCOW2_ZERO)
        return 0;
    if (p->entry.kind == QCOW2_NOWHERE && !q->header.backed)
        return 0;
    int error = qcow2_l2_set(q, p->cluster, q->header.version >= 3 ? QCOW2_READS_ZERO : 0);
    return error ? error : qcow2_release_entry(q, &p->entry);
}

/* Only what this image has, and only whole clusters of it: all else would take room. */
static int discard_piece(struct qcow2 *q, const struct piece *p)
{
    bool has = p->entry.kind == QCOW2_DATA || p->entry.kind == QCOW2_COMPRESSED;
    return has && is_whole(q, p) && has_zero_entry(q) ? zero_whole(q, p) : 0;
}

static int zero_piece(struct qcow2 *q, const struct piece *p)
{
    if (is_whole(q, p) && has_zero_entry(q))
        return zero_whole(q, p);
    int error = compose(q, p, NULL);
    if (error)
        return error;
    if (p->entry.kind == QCOW2_DATA && p->entry.copied)
        return put_data(q, p->entry.host + p->skip, q->scratch + p->skip, p->count);
    return write_elsewhere(q, p, NULL);
}

static int for_pieces(struct qcow2 *q, uint64_t at, uint64_t count,
                      int (*change)(struct qcow2 *q, const struct piece *p))
{
    int error = check_write(q, at, count);
    while (count && !error) {
        struct piece p;
        error = look_up(q, at, count, &p);
        error = error ? error : change(q, &p);
        error = error ? error : bound_memory(q);
        at += p.count, count -= p.count;
    }
    return error;
}

int qcow2_zero(struct qcow2 *q, uint64_t at, uint64_t count)
{
    return for_pieces(q, at, count, zero_piece);
}

int qcow2_discard(struct qcow2 *q, uint64_t at, uint64_t count)
{
    return for_pieces(q, at, count, discard_piece);
}
