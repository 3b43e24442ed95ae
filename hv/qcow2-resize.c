/*
 * Changing the size of a qcow2 image's disk.
 *
 * The size, and where the L1 table is, stand in the header's first sector: one write changes both.
 * So the order is that of all else here (qcow2.h), nothing is referred to before it is there:
 *
 *   growing      what the disk would show behind its old end is made zero; an L1 table that is too
 *                short is copied to where there is room; flush; the header; flush
 *   shrinking    the header; flush; then what lies behind the new end is given up
 *
 * Behind its end an image may have clusters: of a shrinking that was cut short. They are given up
 * before it grows again, or the disk would show what it had forgotten.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

static uint64_t l1_needed(const struct qcow2 *q, uint64_t size)
{
    unsigned shift = q->header.cluster_bits + qcow2_l2_bits(q);
    return (size >> shift) + !!(size & ((1ull << shift) - 1));
}

/* ---- the header --------------------------------------------------------------------------- */

/* One write in the first sector, from the size to the L1 table's place. */
static int write_size(struct qcow2 *q)
{
    enum { FROM = offsetof(struct qcow2_header_file, size) };
    enum { COUNT = offsetof(struct qcow2_header_file, reftable_offset) - FROM };
    struct qcow2_header_file f;
    int error = storage_read(q->file, 0, &f, sizeof f);
    f.size = htobe64(q->header.size);
    f.l1_size = htobe32(q->header.l1_size);
    f.l1_offset = htobe64(q->header.l1_offset);
    error = error ? error : qcow2_put(q, FROM, (const uint8_t *)&f + FROM, COUNT);
    return error ? error : qcow2_settle(q);
}

/* ---- clusters behind the end -------------------------------------------------------------- */

/* The entries of one L2 table, from guest cluster `from` to before `to`. */
static int forget(struct qcow2 *q, uint64_t from, uint64_t to)
{
    int error = 0;
    for (uint64_t c = from; c < to && !error; c++) {
        uint64_t raw;
        struct qcow2_entry entry;
        error = qcow2_l2_get(q, c, &raw);
        if (error || !raw)
            continue;
        error = qcow2_entry_decode(q, raw, &entry);
        error = error ? error : qcow2_l2_set(q, c, 0);
        error = error ? error : qcow2_release_entry(q, &entry);
    }
    return error;
}

/* Gives up all clusters that lie wholly behind the first `size` bytes. */
static int forget_behind(struct qcow2 *q, uint64_t size)
{
    uint64_t bits = qcow2_l2_bits(q),
             first = (size + qcow2_cluster(q) - 1) >> q->header.cluster_bits;
    int error = 0;
    for (uint64_t i = first >> bits; i < q->l1.count && !error; i++) {
        uint64_t start = i << bits;
        if (q->l1.entry[i])
            error = forget(q, start > first ? start : first, start + (1ull << bits));
        if (!error && q->l1.entry[i])
            error = qcow2_write_barrier(q); /* bounds what waits in memory */
    }
    return error;
}

/* ---- growing ------------------------------------------------------------------------------ */

/* Clusters in one run, wherever they are. */
static int allocate_run(struct qcow2 *q, uint64_t count, uint64_t *first)
{
    uint64_t have = 0, next;
    while (have < count) {
        int error = qcow2_allocate(q, &next);
        if (error)
            return error;
        if (have && next == *first + (have << q->header.cluster_bits)) {
            have++;
            continue;
        }
        for (uint64_t i = 0; i < have && !error; i++) /* too short: it is given back */
            error = qcow2_release(q, *first + (i << q->header.cluster_bits));
        if (error)
            return error;
        *first = next;
        have = 1;
    }
    return 0;
}

static int guard_run(struct qcow2 *q, uint64_t first, uint64_t count)
{
    int error = 0;
    for (uint64_t i = 0; i < count && !error; i++)
        error = qcow2_guard_add(q, first + (i << q->header.cluster_bits));
    return error;
}

/* A copy of the L1 table with more entries, in memory still; the file goes on with the old one. */
static int lengthen_l1(struct qcow2 *q, uint64_t needed)
{
    uint64_t each = qcow2_cluster(q) / 8, clusters = (needed + each - 1) / each, first = 0;
    uint64_t *entry = calloc(clusters * each, sizeof *entry);
    int error = entry ? allocate_run(q, clusters, &first) : -ENOMEM;
    error = error ? error : guard_run(q, first, clusters);
    if (error) {
        free(entry);
        return error;
    }
    memcpy(entry, q->l1.entry, q->l1.count * sizeof *entry);
    free(q->l1.entry);
    q->l1 = (struct qcow2_index){
        .entry = entry, .count = needed, .dirty = 0, .dirty_end = clusters * each};
    q->header.l1_offset = first;
    q->header.l1_size = (uint32_t)needed;
    return 0;
}

/* Bytes behind the old end that would not read as zero: of a cluster that was in part on the disk,
 * and of a backing file that is longer. */
static int zero_new(struct qcow2 *q, uint64_t from, uint64_t to)
{
    int error = 0;
    while (from < to && !error) {
        struct qcow2_place place;
        error = qcow2_find(q, from, &place);
        uint64_t count = place.length < to - from ? place.length : to - from;
        if (!error && (place.kind == QCOW2_DATA || place.kind == QCOW2_COMPRESSED))
            error = qcow2_zero(q, from, count);
        from += count;
    }
    return error;
}

static int release_l1(struct qcow2 *q, uint64_t offset, uint64_t entries)
{
    int error = 0;
    for (uint64_t at = 0; at < 8 * entries && !error; at += qcow2_cluster(q))
        error = qcow2_release(q, offset + at);
    return error;
}

static int grow(struct qcow2 *q, uint64_t size)
{
    struct qcow2_header old = q->header;
    uint64_t needed = l1_needed(q, size);
    int error = forget_behind(q, old.size);
    error = error ? error : qcow2_write_barrier(q);
    if (!error && needed > q->l1.count)
        error = lengthen_l1(q, needed);
    if (error)
        return error;
    q->header.size = size;
    error = zero_new(q, old.size, size);
    error = error ? error : qcow2_write_barrier(q);
    error = error ? error : write_size(q);
    if (!error && q->header.l1_offset != old.l1_offset) {
        error = qcow2_guard_build(q);
        error = error ? error : release_l1(q, old.l1_offset, old.l1_size);
    }
    return error;
}

static int shrink(struct qcow2 *q, uint64_t size)
{
    int error = qcow2_write_barrier(q);
    q->header.size = size;
    error = error ? error : write_size(q);
    return error ? error : forget_behind(q, size);
}

/* ---- the whole ---------------------------------------------------------------------------- */

int qcow2_resize_on(struct qcow2 *q, uint64_t size, bool may_shrink, char *why)
{
    if (q->readonly)
        return qcow2_refuse(why, q->path, "%s", strerror(EROFS));
    if (size % 512 || size > INT64_MAX)
        return qcow2_refuse(why, q->path, "the size of a disk must be a multiple of 512 bytes");
    if (l1_needed(q, size) > QCOW2_L1_MAX / 8)
        return qcow2_refuse(why, q->path, "a disk of that size needs larger clusters");
    if (size < q->header.size && !may_shrink)
        return qcow2_refuse(why, q->path,
                            "its disk has %llu bytes; what is behind the first %llu would be lost "
                            "(--shrink)",
                            (unsigned long long)q->header.size, (unsigned long long)size);
    int error = size < q->header.size ? shrink(q, size) : size > q->header.size ? grow(q, size) : 0;
    error = error ? error : qcow2_flush(q);
    if (!error)
        return 0;
    bool told = *q->trouble;
    q->broken = true; /* what is in memory is of no size: it is not to be written */
    return told ? qcow2_refuse_trouble(q, why) : qcow2_refuse(why, q->path, "%s", strerror(-error));
}

int qcow2_resize(const char *path, uint64_t size, bool may_shrink, char *why)
{
    struct qcow2 *q = qcow2_open(path, 0, why);
    if (!q)
        return -EINVAL;
    int error = qcow2_resize_on(q, size, may_shrink, why);
    int closed = qcow2_close(q);
    return !error && closed ? qcow2_refuse(why, path, "%s", strerror(-closed)) : error;
}
