/*
 * Changing which file a qcow2 image stands on: the name in its header.
 *
 * What is to change together stands in one sector, which a disk writes whole or not at all:
 *
 *   sector 0     header (where the name is, and how long), extensions (its format), the name if it
 *                fits
 *   behind it    else the name, where the old one is not: written and flushed before sector 0 is
 *
 * So after a crash the header has the old name or the new one. An extension that is not known here
 * is kept; the table of feature names, which only makes messages of old programs nicer, is not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

enum { SECTOR = 512, AT_BACKING = 8, EXTENSION_FEATURES = 0x6803f857 };

/* The first cluster as it is, and its first sector as it shall be. */
struct renaming {
    uint8_t *old;
    size_t count; /* bytes of a cluster */
    uint8_t sector[SECTOR];
    size_t end; /* in the sector: behind the extensions */
};

static uint32_t get32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static uint64_t get64(const uint8_t *bytes)
{
    return (uint64_t)get32(bytes) << 32 | get32(bytes + 4);
}

static void put32(uint8_t *bytes, uint32_t value)
{
    value = htobe32(value);
    memcpy(bytes, &value, sizeof value);
}

/* Appends an extension to the sector; false: it has no room with the end of the list behind it. */
static bool append(struct renaming *r, uint32_t type, const uint8_t *bytes, size_t length)
{
    size_t padded = (length + 7) & ~(size_t)7;
    if (padded > SECTOR || r->end + 8 + padded + 8 > SECTOR)
        return false;
    put32(r->sector + r->end, type);
    put32(r->sector + r->end + 4, (uint32_t)length);
    memcpy(r->sector + r->end + 8, bytes, length);
    r->end += 8 + padded;
    return true;
}

/* Those of the old header that stay. It was opened: the list is inside the cluster. */
static bool keep_extensions(struct renaming *r, size_t at, size_t end)
{
    while (end - at >= 8 && get32(r->old + at)) {
        uint32_t type = get32(r->old + at);
        size_t length = get32(r->old + at + 4), padded = (length + 7) & ~(size_t)7;
        bool stays = type != QCOW2_EXTENSION_FORMAT && type != EXTENSION_FEATURES;
        at += 8;
        if (length > end - at || (stays && !append(r, type, r->old + at, length)))
            return false;
        at = padded > end - at ? end : at + padded;
    }
    return true;
}

/* Where a name behind the first sector does not touch the one that still counts; 0: nowhere. */
static size_t place_name(const struct renaming *r, size_t length)
{
    uint64_t old = get64(r->old + AT_BACKING), old_end = old + get32(r->old + AT_BACKING + 8);
    for (size_t at = SECTOR; at + length <= r->count; at += SECTOR)
        if (at + length <= old || at >= old_end)
            return at;
    return 0;
}

/* The new first sector; `*at` is where the name is to be, 0: there is none. */
static const char *compose(struct qcow2 *q, struct renaming *r, const char *name,
                           const char *format, size_t *at)
{
    uint64_t backing = get64(r->old + AT_BACKING);
    size_t length = q->header.version == 2 ? QCOW2_V2_LENGTH : get32(r->old + 100);
    size_t end = backing > length && backing < r->count ? (size_t)backing : r->count;
    if (length > SECTOR / 2)
        return "its header is longer than is known here";
    memcpy(r->sector, r->old, length);
    r->end = length;
    bool fits =
        !*format || append(r, QCOW2_EXTENSION_FORMAT, (const uint8_t *)format, strlen(format));
    if (!fits || !keep_extensions(r, length, end))
        return "its header has extensions that leave no room for the backing file's format";
    r->end += 8; /* the end of the list */
    size_t name_length = strlen(name);
    *at = !name_length ? 0 : r->end + name_length <= SECTOR ? r->end : place_name(r, name_length);
    if (name_length && !*at)
        return "its clusters are too small for so long a name of a backing file";
    memset(r->sector + AT_BACKING, 0, 12);
    put32(r->sector + AT_BACKING + 4, (uint32_t)*at); /* of 64 bits; a cluster has 2 MiB at most */
    put32(r->sector + AT_BACKING + 8, (uint32_t)name_length);
    if (*at && *at < SECTOR)
        memcpy(r->sector + *at, name, name_length);
    return NULL;
}

static int write_renaming(struct qcow2 *q, const struct renaming *r, const char *name, size_t at)
{
    int error = 0;
    if (at >= SECTOR) {
        error = qcow2_put(q, at, name, strlen(name));
        error = error ? error : qcow2_settle(q);
    }
    error = error ? error : qcow2_put(q, 0, r->sector, SECTOR);
    return error ? error : qcow2_settle(q);
}

int qcow2_rename_backing(struct qcow2 *q, const char *name, const char *format, char *why)
{
    if (q->readonly)
        return qcow2_refuse(why, q->path, "%s", strerror(EROFS));
    struct renaming r = {.count = qcow2_cluster(q), .old = malloc(qcow2_cluster(q))};
    size_t at = 0;
    int error = r.old ? storage_read(q->file, 0, r.old, r.count) : -ENOMEM;
    const char *reason = error ? NULL : compose(q, &r, name, format, &at);
    if (!error && !reason)
        error = write_renaming(q, &r, name, at);
    free(r.old);
    if (reason)
        return qcow2_refuse(why, q->path, "%s", reason);
    return error ? qcow2_refuse(why, q->path, "%s", strerror(-error)) : 0;
}
