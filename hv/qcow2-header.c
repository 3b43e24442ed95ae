/*
 * The header of a qcow2 image: read, checked, written.
 *
 * Nothing in a file is believed. A table whose header says that it has 2^27 entries is looked for
 * in the file before a byte of memory is taken for it, and what the format may say but we cannot
 * honour (a feature bit, encryption) is refused by name: to ignore it would be to damage the image.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

static const uint8_t MAGIC[QCOW2_MAGIC_SIZE] = {'Q', 'F', 'I', 0xfb};

bool qcow2_is_magic(const void *bytes)
{
    return !memcmp(bytes, MAGIC, sizeof MAGIC);
}

/* Features that who does not know them must not touch. */
static const struct {
    uint64_t bit;
    const char *reason;
} INCOMPATIBLE[] = {
    {1 << 0, "it was not closed (dirty bit): its reference counts are to be rebuilt first"},
    {1 << 1, "it is marked corrupt: it is to be repaired first"},
    {1 << 2, "its data is in another file (external data file), which is not supported"},
    {1 << 3,
     "its clusters are not compressed by deflate (compression type), which is not supported"},
    {1 << 4, "it has subclusters (extended L2 entries), which are not supported"},
};

/* Why the image needs something that we have not, or NULL. */
static const char *unknown_feature(uint64_t bits)
{
    for (unsigned i = 0; i < sizeof INCOMPATIBLE / sizeof *INCOMPATIBLE; i++)
        if (bits & INCOMPATIBLE[i].bit)
            return INCOMPATIBLE[i].reason;
    return bits ? "it has a feature that is not known here (incompatible feature bits)" : NULL;
}

/* Are `count` bytes from `offset` in the file, on a cluster boundary, behind the header? */
static bool holds(const struct qcow2_header *h, uint64_t file, uint64_t offset, uint64_t count)
{
    uint64_t cluster = 1ull << h->cluster_bits;
    return offset >= cluster && offset % cluster == 0 && offset <= file && count <= file - offset;
}

/* L2 tables, hence L1 entries, that a disk of this size needs. */
static uint64_t l1_needed(const struct qcow2_header *h)
{
    unsigned shift = 2 * h->cluster_bits - 3;
    return (h->size >> shift) + !!(h->size & ((1ull << shift) - 1));
}

/* Why the numbers make no sense, or NULL. Their order matters: shifts by a checked number only. */
static const char *bad_numbers(const struct qcow2_header *h, uint64_t file)
{
    if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
        return "its clusters are not of 512 bytes to 2 MiB";
    if (h->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
        return "its reference counts have more than 64 bits";
    if (h->size > INT64_MAX)
        return "the size of its disk makes no sense";
    if (h->l1_size > QCOW2_L1_MAX / 8)
        return "its L1 table is larger than 32 MiB";
    if (h->l1_size < l1_needed(h))
        return "its L1 table is too small for its disk";
    if (h->l1_size && !holds(h, file, h->l1_offset, 8ull * h->l1_size))
        return "its L1 table is not inside the file";
    if (h->reftable_clusters > (uint64_t)QCOW2_REFTABLE_MAX >> h->cluster_bits)
        return "its refcount table is larger than 8 MiB";
    if (!holds(h, file, h->reftable_offset, (uint64_t)h->reftable_clusters << h->cluster_bits))
        return "its refcount table is not inside the file";
    if (h->reftable_clusters == 0)
        return "it has no refcount table";
    return NULL;
}

static const char *decode(const struct qcow2_header_file *f, struct qcow2_header *h)
{
    h->version = be32toh(f->version);
    if (!qcow2_is_magic(f->magic))
        return "not a qcow2 image";
    if (h->version != 2 && h->version != 3)
        return "a qcow2 image of a version other than 2 and 3";
    h->cluster_bits = be32toh(f->cluster_bits);
    h->size = be64toh(f->size);
    h->l1_size = be32toh(f->l1_size);
    h->l1_offset = be64toh(f->l1_offset);
    h->reftable_offset = be64toh(f->reftable_offset);
    h->reftable_clusters = be32toh(f->reftable_clusters);
    h->snapshots = be32toh(f->snapshots);
    h->refcount_order = 4;
    if (f->crypt_method)
        return "it is encrypted, which is not supported";
    if (h->version == 2)
        return NULL;
    h->refcount_order = be32toh(f->refcount_order);
    h->autoclear = be64toh(f->autoclear);
    if (be32toh(f->header_length) < QCOW2_V3_LENGTH)
        return "its header is too short for version 3";
    return unknown_feature(be64toh(f->incompatible));
}

/* ---- what follows the header: extensions, the backing file's name ------------------------- */

/* Each: type, length, data, padded to 8 bytes; type 0 ends the list. */
static const char *read_extensions(struct qcow2_header *h, const uint8_t *bytes, size_t at,
                                   size_t end)
{
    while (end - at >= 8) {
        uint32_t word[2];
        memcpy(word, bytes + at, sizeof word);
        uint32_t type = be32toh(word[0]);
        size_t length = be32toh(word[1]);
        at += 8;
        if (type == 0)
            return NULL;
        if (length > end - at)
            return "a header extension is not inside the header";
        if (type == QCOW2_EXTENSION_FORMAT) {
            if (length > QCOW2_FORMAT_MAX)
                return "the name of its backing file's format is too long";
            memcpy(h->format, bytes + at, length);
            h->format[length] = '\0';
        }
        h->bitmaps |= type == QCOW2_EXTENSION_BITMAPS;
        length = (length + 7) & ~(size_t)7;
        at = length > end - at ? end : at + length;
    }
    return NULL;
}

static const char *read_backing(struct qcow2_header *h, const struct qcow2_header_file *f,
                                const uint8_t *bytes, size_t count)
{
    uint64_t offset = be64toh(f->backing_offset);
    uint32_t size = be32toh(f->backing_size);
    if (!offset || !size)
        return NULL;
    if (size > QCOW2_NAME_MAX)
        return "its backing file's name is longer than 1023 bytes";
    if (offset > count || size > count - offset)
        return "its backing file's name is not inside the header";
    if (memchr(bytes + offset, 0, size))
        return "its backing file's name has a zero byte";
    memcpy(h->backing, bytes + offset, size);
    h->backing[size] = '\0';
    h->backed = true;
    return NULL;
}

static const char *read_rest(struct qcow2_header *h, const struct qcow2_header_file *f,
                             const uint8_t *bytes, size_t count)
{
    size_t length = h->version == 2 ? QCOW2_V2_LENGTH : be32toh(f->header_length);
    uint64_t backing = be64toh(f->backing_offset);
    if (length > count)
        return "its header is not inside the first cluster";
    size_t end = backing > length && backing < count ? (size_t)backing : count;
    const char *reason = read_extensions(h, bytes, length, end);
    return reason ? reason : read_backing(h, f, bytes, count);
}

int qcow2_header_read(struct storage *file, const char *path, struct qcow2_header *h, char *why)
{
    struct qcow2_header_file f = {0};
    uint64_t size;
    *h = (struct qcow2_header){0};
    int error = storage_size(file, &size);
    if (!error)
        error = storage_read(file, 0, &f, sizeof f);
    if (error)
        return qcow2_refuse(why, path, "%s", strerror(-error));
    const char *reason = size < QCOW2_V2_LENGTH ? "not a qcow2 image" : decode(&f, h);
    if (!reason)
        reason = bad_numbers(h, size);
    if (reason)
        return qcow2_refuse(why, path, "%s", reason);
    size_t count = size < 1ull << h->cluster_bits ? (size_t)size : (size_t)1 << h->cluster_bits;
    uint8_t *bytes = malloc(count);
    if (!bytes)
        return qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    error = storage_read(file, 0, bytes, count);
    reason = error ? strerror(-error) : read_rest(h, &f, bytes, count);
    free(bytes);
    return reason ? qcow2_refuse(why, path, "%s", reason) : 0;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Appends an extension, returns where the next one begins. */
static size_t append(uint8_t *bytes, size_t at, uint32_t type, const void *text, size_t length)
{
    uint32_t word[2] = {htobe32(type), htobe32((uint32_t)length)};
    memcpy(bytes + at, word, sizeof word);
    memcpy(bytes + at + 8, text, length);
    return at + 8 + ((length + 7) & ~(size_t)7);
}

void qcow2_header_encode(const struct qcow2_header *h, uint8_t *bytes)
{
    struct qcow2_header_file f = {
        .version = htobe32(h->version),
        .cluster_bits = htobe32(h->cluster_bits),
        .size = htobe64(h->size),
        .l1_size = htobe32(h->l1_size),
        .l1_offset = htobe64(h->l1_offset),
        .reftable_offset = htobe64(h->reftable_offset),
        .reftable_clusters = htobe32(h->reftable_clusters),
        .refcount_order = htobe32(h->refcount_order),
        .header_length = htobe32(QCOW2_V3_LENGTH),
    };
    memcpy(f.magic, MAGIC, sizeof MAGIC);
    static const uint8_t zeros[64];
    size_t at = QCOW2_V3_LENGTH;
    if (h->note)
        at = append(bytes, at, QCOW2_NOTE, zeros, h->note);
    if (h->backed) {
        if (*h->format)
            at = append(bytes, at, QCOW2_EXTENSION_FORMAT, h->format, strlen(h->format));
        at += 8; /* type 0, length 0: the end */
        f.backing_offset = htobe64(at);
        f.backing_size = htobe32((uint32_t)strlen(h->backing));
        memcpy(bytes + at, h->backing, strlen(h->backing));
    }
    memcpy(bytes, &f, sizeof f);
}
