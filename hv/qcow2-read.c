/*
 * Reading a qcow2 image: which layer has a cluster, and what is there.
 *
 * qcow2_find() is the whole idea of overlays: ask the top, and if it knows nothing ask the one
 * below. Everything else here takes bytes from where it says. In a long chain it goes on where an
 * earlier look-up ended (qcow2-which.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* ---- one entry ---------------------------------------------------------------------------- */

/* A compressed cluster: the lower bits say where its bytes begin, to the byte, and above them in
 * how many sectors of 512 besides the first they are. How many bits each has depends on the
 * cluster's size. */
static int decode_compressed(struct qcow2 *q, uint64_t raw, struct qcow2_entry *e)
{
    unsigned bits = 62 - (q->header.cluster_bits - 8);
    uint64_t host = raw & ((1ull << bits) - 1);
    uint64_t sectors = ((raw & (QCOW2_DEFLATED - 1)) >> bits) + 1;
    if (host < qcow2_cluster(q) || !qcow2_in_file(q, host, 1) || raw & QCOW2_COPIED)
        return qcow2_complain(q, "L2 entry 0x%llx: a compressed cluster outside the file",
                              (unsigned long long)raw);
    e->kind = QCOW2_COMPRESSED;
    e->host = host;
    e->deflated = (size_t)(sectors * 512 - host % 512);
    return 0;
}

static int check_host(struct qcow2 *q, uint64_t raw)
{
    uint64_t host = raw & QCOW2_OFFSET;
    if (host % qcow2_cluster(q))
        return qcow2_complain(q, "L2 entry 0x%llx: not the start of a cluster",
                              (unsigned long long)raw);
    if (host < qcow2_cluster(q) || !qcow2_in_file(q, host, 1))
        return qcow2_complain(q, "L2 entry 0x%llx: data outside the file", (unsigned long long)raw);
    return 0;
}

int qcow2_entry_decode(struct qcow2 *q, uint64_t raw, struct qcow2_entry *e)
{
    *e = (struct qcow2_entry){.kind = QCOW2_NOWHERE};
    if (raw & QCOW2_DEFLATED)
        return decode_compressed(q, raw, e);
    uint64_t known = QCOW2_OFFSET | QCOW2_COPIED;
    if (q->header.version >= 3) /* version 2 does not know clusters of zeros */
        known |= QCOW2_READS_ZERO;
    if (raw & ~known)
        return qcow2_complain(q, "L2 entry 0x%llx: reserved bits are set", (unsigned long long)raw);
    e->copied = raw & QCOW2_COPIED;
    e->host = raw & QCOW2_OFFSET;
    if (raw & QCOW2_READS_ZERO)
        e->kind = QCOW2_ZERO;
    else if (e->host)
        e->kind = QCOW2_DATA;
    return e->host ? check_host(q, raw) : 0;
}

/* ---- down the chain ----------------------------------------------------------------------- */

/* Where bytes are: the place as others see it, and what is needed to read them. */
struct found {
    struct qcow2_place place;
    struct qcow2 *layer;  /* that answered; NULL: the raw file */
    struct storage *file; /* DATA */
    struct qcow2_entry entry;
    uint64_t skip; /* bytes of the cluster before `at` */
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes from `at` on for which one look-up tells all: a cluster's, or, where there is no L2 table,
 * all that the table would be for. */
static uint64_t reach(const struct qcow2 *q, uint64_t at)
{
    unsigned bits = q->header.cluster_bits + qcow2_l2_bits(q);
    uint64_t unit = q->l1.entry[at >> bits] ? qcow2_cluster(q) : 1ull << bits;
    return least(unit - (at & (unit - 1)), q->header.size - at);
}

/* One image's own answer; NOWHERE if it has none. */
static int ask_layer(struct qcow2 *q, uint64_t at, struct found *f)
{
    uint64_t raw;
    q->asked++;
    f->skip = at & (qcow2_cluster(q) - 1);
    f->place.length = least(f->place.length, reach(q, at));
    int error = qcow2_l2_get(q, at >> q->header.cluster_bits, &raw);
    error = error ? error : qcow2_entry_decode(q, raw, &f->entry);
    f->layer = q;
    f->file = q->file;
    f->place.kind = f->entry.kind;
    f->place.offset = f->entry.kind == QCOW2_DATA ? f->entry.host + f->skip : 0;
    f->place.path = q->path;
    return error;
}

/* The raw file at the end of the chain has everything, up to its own end. */
static void ask_raw(struct qcow2 *q, uint64_t at, struct found *f)
{
    f->place.path = q->backing_path;
    f->place.depth++;
    if (at >= q->raw_size)
        return;
    f->layer = NULL;
    f->file = q->raw;
    f->place.kind = QCOW2_DATA;
    f->place.length = least(f->place.length, q->raw_size - at);
    f->place.offset = at;
}

/* Who has the bytes at `at`? Asks from `q`, at depth `depth`, downwards. A layer that ends before
 * has not, and nobody below it is asked. */
static int scan(struct qcow2 *q, unsigned depth, uint64_t at, struct found *f)
{
    for (; q && at < q->header.size; q = q->backing) {
        f->place.depth = depth++;
        int error = ask_layer(q, at, f);
        if (error)
            return error;
        if (f->place.kind != QCOW2_NOWHERE)
            return 0;
        if (q->raw)
            ask_raw(q, at, f);
    }
    return 0;
}

/* The same of a whole chain, by way of what was noted. */
static int find(struct qcow2 *top, uint64_t at, uint64_t want, struct found *f)
{
    unsigned depth = 1;
    uint64_t known = want;
    *f = (struct found){.place.length = want};
    if (!top->which)
        return scan(top, 0, at, f);
    int error = ask_layer(top, at, f);
    if (error || f->place.kind != QCOW2_NOWHERE)
        return error;
    struct qcow2 *next = qcow2_which_get(top, at, &depth, &known);
    if (next)
        f->place.length = least(f->place.length, known);
    error = scan(next ? next : top->backing, depth, at, f);
    if (!error && !next)
        qcow2_which_note(top, at, f->place.depth);
    return error;
}

static int read_found(struct found *f, void *bytes, size_t count)
{
    switch (f->place.kind) {
    case QCOW2_NOWHERE:
    case QCOW2_ZERO: memset(bytes, 0, count); return 0;
    case QCOW2_DATA: return storage_read(f->file, f->place.offset, bytes, count);
    case QCOW2_COMPRESSED: break;
    }
    int error = qcow2_inflate(f->layer, &f->entry);
    if (!error)
        memcpy(bytes, f->layer->inflated + f->skip, count);
    return error;
}

/* Who asks the top for what is wrong shall hear of layers below it, too. */
static int fail(struct qcow2 *top, const struct found *f, int error)
{
    if (f->layer && f->layer != top && *f->layer->trouble)
        memcpy(top->trouble, f->layer->trouble, sizeof top->trouble);
    return error;
}

static bool inside(const struct qcow2 *q, uint64_t at, uint64_t count)
{
    return at <= q->header.size && count <= q->header.size - at;
}

int qcow2_read(struct qcow2 *q, uint64_t at, void *bytes, size_t count)
{
    if (!inside(q, at, count))
        return -EINVAL;
    for (uint8_t *to = bytes; count;) {
        struct found f;
        int error = find(q, at, count, &f);
        error = error ? error : read_found(&f, to, (size_t)f.place.length);
        if (error)
            return fail(q, &f, error);
        to += f.place.length, at += f.place.length, count -= (size_t)f.place.length;
    }
    return 0;
}

int qcow2_find(struct qcow2 *q, uint64_t at, struct qcow2_place *place)
{
    struct found f;
    if (!inside(q, at, 1))
        return -EINVAL;
    int error = find(q, at, q->header.size - at, &f);
    if (!error && f.place.kind == QCOW2_NOWHERE &&
        q->which) { /* asked all, it may be much longer */
        f = (struct found){.place.length = q->header.size - at};
        error = scan(q, 0, at, &f);
    }
    *place = f.place;
    return error ? fail(q, &f, error) : 0;
}

int qcow2_extent(struct qcow2 *q, uint64_t at, struct qcow2_place *place)
{
    int error = qcow2_guard_walk(q);
    error = error ? error : qcow2_find(q, at, place);
    while (!error && at + place->length < q->header.size) {
        struct qcow2_place next;
        error = qcow2_find(q, at + place->length, &next);
        if (error || next.kind != place->kind || next.depth != place->depth ||
            (next.kind == QCOW2_DATA && next.offset != place->offset + place->length))
            break;
        place->length += next.length;
    }
    return error;
}
