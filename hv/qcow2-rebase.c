/*
 * Putting an overlay on another backing file, so that its disk stays what it is.
 *
 * What the overlay does not have is read from the old backing file and from the new one; where they
 * differ, the overlay gets what the old one has. When that is flushed the header gets the new name
 * (qcow2-rename.c). Before that the overlay stands on the old file, afterwards on the new one, and
 * shows the same on both: a crash at any time leaves one of the two.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* Does an end say nothing, or zero, of the bytes at `at`? If so, `length` is cut to where it does.
 */
static int is_silent(struct qcow2_end *e, uint64_t at, uint64_t *length, bool *silent)
{
    struct qcow2_place place = {.kind = QCOW2_NOWHERE, .length = UINT64_MAX};
    *silent = at >= e->size;
    if (*silent || !e->image)
        return 0;
    int error = qcow2_find(e->image, at, &place);
    *silent = place.kind == QCOW2_NOWHERE || place.kind == QCOW2_ZERO;
    if (*silent && place.length < *length && at + place.length < e->size)
        *length = place.length;
    return error;
}

/* Whole clusters from `at` on, of which neither backing file has anything. */
static int find_gap(struct qcow2_end *old, struct qcow2_end *new, uint64_t at, uint64_t *gap)
{
    uint64_t length = old->size - at;
    bool silent = false;
    int error = is_silent(old, at, &length, &silent);
    if (!error && silent)
        error = is_silent(new, at, &length, &silent);
    bool to_end = length == old->size - at;
    *gap = !silent ? 0 : to_end ? length : length & ~(qcow2_cluster(old->image) - 1);
    return error;
}

/* Gives the overlay a cluster if the new backing file has another one. */
static int keep_cluster(struct qcow2 *q, struct qcow2_end *new, uint64_t at, size_t count,
                        uint8_t *bytes)
{
    uint8_t *other = bytes + count;
    int error = qcow2_read(q, at, bytes, count);
    error = error ? error : qcow2_end_read(new, at, other, count);
    if (error || !memcmp(bytes, other, count))
        return error;
    memset(other, 0, count);
    return memcmp(bytes, other, count) ? qcow2_write(q, at, bytes, count)
                                       : qcow2_zero(q, at, count);
}

static int keep_content(struct qcow2 *q, struct qcow2_end *new)
{
    struct qcow2_end old = {.image = q, .size = q->header.size};
    uint8_t *bytes = malloc(2 * qcow2_cluster(q));
    int error = bytes ? qcow2_guard_walk(q) : -ENOMEM;
    if (!error && new->image)
        error = qcow2_guard_walk(new->image);
    for (uint64_t at = 0; at < old.size && !error;) {
        uint64_t raw, gap = 0, count = qcow2_cluster(q);
        count = count < old.size - at ? count : old.size - at;
        error = qcow2_l2_get(q, at >> q->header.cluster_bits, &raw);
        if (!error && !raw)
            error = find_gap(&old, new, at, &gap);
        if (!error && !raw && !gap)
            error = keep_cluster(q, new, at, (size_t)count, bytes);
        at += gap ? gap : count;
    }
    free(bytes);
    return error ? error : qcow2_flush(q);
}

int qcow2_rebase_on(struct qcow2 *q, struct storage *file, const char *path,
                    const struct qcow2_rebasing *how, char *why)
{
    struct qcow2_end new = {0};
    int error = file ? qcow2_end_adopt(&new, file, path, how->format, QCOW2_READONLY, why) : 0;
    if (error)
        return error;
    const char *format = !file ? "" : new.image ? "qcow2" : "raw";
    if (!how->unsafe && (error = keep_content(q, &new)) != 0)
        error = *q->trouble ? qcow2_refuse_trouble(q, why)
                            : qcow2_refuse(why, q->path, "%s", strerror(-error));
    if (!error)
        error = qcow2_rename_backing(q, file ? how->backing : "", format, why);
    qcow2_end_close(&new); /* read-only: nothing can fail */
    return error;
}

/* The new backing file, looked for from the image's folder. NULL and `why`. */
static struct storage *open_new(const char *path, const char *backing, char **name, char *why)
{
    if (qcow2_is_protocol(backing)) {
        qcow2_refuse(why, path, "the backing file '%.80s' has a colon in its name", backing);
        return NULL;
    }
    if (strlen(backing) > QCOW2_NAME_MAX) {
        qcow2_refuse(why, path, "the backing file's name is longer than %d bytes", QCOW2_NAME_MAX);
        return NULL;
    }
    *name = qcow2_resolve(path, backing);
    if (!*name)
        qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    return *name ? storage_open(*name, true, why) : NULL;
}

int qcow2_rebase(const char *path, const struct qcow2_rebasing *how, char *why)
{
    char *name = NULL;
    bool any = how->backing && *how->backing;
    struct qcow2 *q = qcow2_open(path, how->unsafe ? QCOW2_ALONE : 0, why);
    if (!q)
        return -EINVAL;
    struct storage *file = any ? open_new(path, how->backing, &name, why) : NULL;
    int error = any && !file ? -EINVAL : qcow2_rebase_on(q, file, name, how, why);
    free(name);
    int closed = qcow2_close(q);
    return !error && closed ? qcow2_refuse(why, path, "%s", strerror(-closed)) : error;
}
