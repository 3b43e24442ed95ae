/*
 * New qcow2 images.
 *
 *   cluster  0       1               2               3 ...
 *           header  refcount table  refcount block  L1 table, all zero
 *
 * That is a whole image: its disk reads as its backing file, or as zero. It is written under
 * another name, flushed, and renamed: whoever finds a file of its name finds all of it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/qcow2_priv.h"

enum { AT_REFTABLE = 1, AT_REFBLOCK = 2, AT_L1 = 3 }; /* clusters */

/* ---- the header --------------------------------------------------------------------------- */

static int choose_layout(const struct qcow2_creation *c, const char *path, struct qcow2_header *h,
                         char *why)
{
    h->version = 3;
    h->cluster_bits = c->cluster_bits ? c->cluster_bits : 16;
    h->refcount_order = c->cluster_bits ? c->refcount_order : 4;
    h->reftable_clusters = 1;
    if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX ||
        h->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
        return qcow2_refuse(why, path, "no such size of clusters or counts");
    if (h->size % 512 || h->size > INT64_MAX)
        return qcow2_refuse(why, path, "the size of a disk must be a multiple of 512 bytes");
    unsigned shift = 2 * h->cluster_bits - 3; /* what one L2 table covers */
    uint64_t tables = (h->size >> shift) + !!(h->size & ((1ull << shift) - 1));
    uint64_t clusters = (8 * tables + (1ull << h->cluster_bits) - 1) >> h->cluster_bits;
    if (tables > QCOW2_L1_MAX / 8 ||
        AT_L1 + clusters > 1ull << (h->cluster_bits + 3 - h->refcount_order))
        return qcow2_refuse(why, path, "a disk of that size needs larger clusters");
    h->l1_size = (uint32_t)tables;
    h->l1_offset = (uint64_t)AT_L1 << h->cluster_bits;
    h->reftable_offset = (uint64_t)AT_REFTABLE << h->cluster_bits;
    return 0;
}

/* Looks into the backing file: is it there, what is it, how large is its disk? */
static int look_at_backing(const struct qcow2_creation *c, const char *path, struct qcow2_header *h,
                           char *why)
{
    bool is_qcow2;
    uint64_t size;
    char *name = qcow2_resolve(path, c->backing);
    if (!name)
        return qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    struct storage *file = storage_open(name, true, why);
    int error = file ? 0 : -EINVAL;
    error = error ? error : qcow2_probe(file, name, c->backing_format, &is_qcow2, why);
    if (!error && (error = storage_size(file, &size)) != 0)
        qcow2_refuse(why, name, "%s", strerror(-error));
    if (!error && is_qcow2) { /* it takes the file, and opens what is below too */
        struct qcow2 *q = qcow2_open_on(file, name, QCOW2_READONLY, why);
        file = NULL;
        error = q ? 0 : -EINVAL;
        size = q ? qcow2_size(q) : 0;
        if (q && qcow2_depth(q) >= QCOW2_DEPTH)
            error =
                qcow2_refuse(why, name, "%d images are on top of each other already", QCOW2_DEPTH);
        if (q)
            qcow2_close(q); /* read-only: nothing can fail */
    }
    storage_close(file);
    free(name);
    if (error)
        return error;
    h->size = c->size ? c->size : (size + 511) & ~511ull;
    strcpy(h->format, is_qcow2 ? "qcow2" : "raw");
    return 0;
}

static int believe_backing(const struct qcow2_creation *c, const char *path, struct qcow2_header *h,
                           char *why)
{
    const char *format = c->backing_format ? c->backing_format : "";
    if (!c->size)
        return qcow2_refuse(why, path, "the size must be given, if nobody looks at what is below");
    if (strlen(format) > QCOW2_FORMAT_MAX)
        return qcow2_refuse(why, path, "no such format of a backing file");
    strcpy(h->format, format);
    return 0;
}

static int take_backing_name(const struct qcow2_creation *c, const char *path,
                             struct qcow2_header *h, char *why)
{
    unsigned bits = c->cluster_bits ? c->cluster_bits : 16;
    size_t length = strlen(c->backing), room = bits < 16 ? (1u << bits) - 160 : QCOW2_NAME_MAX;
    if (length == 0 || length > room || length > QCOW2_NAME_MAX)
        return qcow2_refuse(why, path, "the backing file's name is too long, or empty");
    if (qcow2_is_protocol(c->backing))
        return qcow2_refuse(why, path, "the backing file '%.80s' has a colon in its name",
                            c->backing);
    strcpy(h->backing, c->backing);
    return 0;
}

static int describe(const struct qcow2_creation *c, const char *path, struct qcow2_header *h,
                    char *why)
{
    *h = (struct qcow2_header){.size = c->size, .backed = c->backing, .note = c->note};
    int error = c->backing ? take_backing_name(c, path, h, why) : 0;
    if (!error && c->backing)
        error =
            c->backing_unseen ? believe_backing(c, path, h, why) : look_at_backing(c, path, h, why);
    return error ? error : choose_layout(c, path, h, why);
}

/* ---- the file ----------------------------------------------------------------------------- */

static int put_cluster(struct storage *file, const struct qcow2_header *h, uint64_t number,
                       const void *bytes)
{
    return storage_write(file, number << h->cluster_bits, bytes, (size_t)1 << h->cluster_bits);
}

static int write_image(struct storage *file, const struct qcow2_header *h, uint8_t *bytes)
{
    size_t cluster = (size_t)1 << h->cluster_bits;
    uint64_t l1 = (8ull * h->l1_size + cluster - 1) >> h->cluster_bits;
    int error = 0;
    for (uint64_t i = 0; i < l1 && !error; i++)
        error = put_cluster(file, h, AT_L1 + i, bytes);
    for (uint64_t i = 0; i < AT_L1 + l1; i++)
        qcow2_refcount_put(bytes, h->refcount_order, i, 1);
    error = error ? error : put_cluster(file, h, AT_REFBLOCK, bytes);
    memset(bytes, 0, cluster);
    uint64_t entry = htobe64((uint64_t)AT_REFBLOCK << h->cluster_bits);
    memcpy(bytes, &entry, sizeof entry);
    error = error ? error : put_cluster(file, h, AT_REFTABLE, bytes);
    memset(bytes, 0, cluster);
    qcow2_header_encode(h, bytes);
    error = error ? error : put_cluster(file, h, 0, bytes);
    return error ? error : storage_flush(file);
}

/* Gives a flushed file its name, if that is free, and makes the name durable. */
static int publish(const char *aside, const char *path)
{
    if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE))
        return -errno;
    return storage_flush_folder(path);
}

int qcow2_create_on(struct storage *file, const char *path, const struct qcow2_creation *c,
                    char *why)
{
    struct qcow2_header h;
    int error = describe(c, path, &h, why);
    if (error)
        return error;
    uint8_t *bytes = calloc(1, (size_t)1 << h.cluster_bits);
    error = bytes ? write_image(file, &h, bytes) : -ENOMEM;
    free(bytes);
    return error ? qcow2_refuse(why, path, "%s", strerror(-error)) : 0;
}

static int create_aside(const char *path, const char *aside, const struct qcow2_creation *c,
                        char *why)
{
    struct storage *file = storage_create(aside, why);
    if (!file)
        return -EINVAL;
    int error = qcow2_create_on(file, path, c, why);
    if (!error && (error = publish(aside, path)) != 0)
        qcow2_refuse(why, path, "%s", strerror(-error));
    storage_close(file);
    if (error)
        unlink(aside);
    return error ? -EINVAL : 0;
}

int qcow2_create(const char *path, const struct qcow2_creation *c, char *why)
{
    char *aside = NULL;
    if (access(path, F_OK) == 0)
        return qcow2_refuse(why, path, "%s", strerror(EEXIST));
    if (asprintf(&aside, "%s.%ld.new", path, (long)getpid()) < 0)
        return qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    int error = create_aside(path, aside, c, why);
    free(aside);
    return error;
}
