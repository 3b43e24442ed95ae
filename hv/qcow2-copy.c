/* Copying qcow2 images: an overlay into its backing file, and a whole chain into a new file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/qcow2_priv.h"

enum { PIECE = 1 << 16 };

int qcow2_end_read(struct qcow2_end *e, uint64_t at, void *bytes, size_t count)
{
    uint64_t there = at < e->size ? e->size - at : 0;
    size_t part = count < there ? count : (size_t)there;
    memset((uint8_t *)bytes + part, 0, count - part);
    if (!part)
        return 0;
    return e->image ? qcow2_read(e->image, at, bytes, part) : storage_read(e->raw, at, bytes, part);
}

static int end_write(struct qcow2_end *e, uint64_t at, const void *bytes, size_t count)
{
    return e->image ? qcow2_write(e->image, at, bytes, count)
                    : storage_write(e->raw, at, bytes, count);
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && !memcmp(bytes, bytes + 1, count - 1));
}

/* Zeros: a `fresh` file has them everywhere already. */
static int end_zero(struct qcow2_end *e, uint64_t at, uint64_t count, bool fresh)
{
    static const uint8_t zeros[PIECE];
    if (fresh)
        return 0;
    if (e->image)
        return qcow2_zero(e->image, at, count);
    for (int error; count;) {
        size_t part = count < PIECE ? (size_t)count : PIECE;
        if ((error = storage_write(e->raw, at, zeros, part)) != 0)
            return error;
        at += part, count -= part;
    }
    return 0;
}

static int end_flush(struct qcow2_end *e)
{
    return e->image ? qcow2_flush(e->image) : storage_flush(e->raw);
}

int qcow2_end_close(struct qcow2_end *e)
{
    int error = e->image ? qcow2_close(e->image) : 0;
    storage_close(e->raw);
    return error;
}

int qcow2_end_adopt(struct qcow2_end *e, struct storage *file, const char *path, const char *format,
                    unsigned flags, char *why)
{
    bool is_qcow2;
    int error = qcow2_probe(file, path, format, &is_qcow2, why);
    if (error) {
        storage_close(file);
        return error;
    }
    if (!is_qcow2) {
        e->raw = file;
        error = storage_size(file, &e->size);
        return error ? qcow2_refuse(why, path, "%s", strerror(-error)) : 0;
    }
    e->image = qcow2_open_on(file, path, flags, why);
    e->size = e->image ? qcow2_size(e->image) : 0;
    return e->image ? 0 : -EINVAL;
}

static int end_open(struct qcow2_end *e, const char *path, unsigned flags, char *why)
{
    struct storage *file = storage_open(path, flags & QCOW2_READONLY, why);
    return file ? qcow2_end_adopt(e, file, path, NULL, flags, why) : -EINVAL;
}

static int copy_data(struct qcow2_end *from, struct qcow2_end *to, uint64_t at, uint64_t count,
                     bool fresh)
{
    uint8_t *bytes = malloc(PIECE);
    int error = bytes ? 0 : -ENOMEM;
    while (count && !error) {
        size_t part = count < PIECE ? (size_t)count : PIECE;
        error = qcow2_end_read(from, at, bytes, part);
        if (!error && !(fresh && is_zero(bytes, part)))
            error = end_write(to, at, bytes, part);
        at += part, count -= part;
    }
    free(bytes);
    return error;
}

/* All that an image (and what is below it, if that is open) has. */
static int copy_image(struct qcow2_end *from, struct qcow2_end *to, bool fresh)
{
    struct qcow2_place place;
    int error = 0;
    for (uint64_t at = 0; at < from->size && !error; at += place.length) {
        error = qcow2_extent(from->image, at, &place);
        if (error || place.kind == QCOW2_NOWHERE)
            continue;
        error = place.kind == QCOW2_ZERO ? end_zero(to, at, place.length, fresh)
                                         : copy_data(from, to, at, place.length, fresh);
    }
    return error;
}

static int copy(struct qcow2_end *from, struct qcow2_end *to, bool fresh)
{
    int error =
        from->image ? copy_image(from, to, fresh) : copy_data(from, to, 0, from->size, fresh);
    return error ? error : end_flush(to);
}

/* The line for a copy that failed: what was found wrong in an image, or the error's name. */
static int explain(int error, const struct qcow2_end *from, const struct qcow2_end *to,
                   const char *path, char *why)
{
    const char *trouble = from->image && *from->image->trouble ? from->image->trouble
                          : to->image && *to->image->trouble   ? to->image->trouble
                                                               : NULL;
    if (!trouble)
        return qcow2_refuse(why, path, "%s", strerror(-error));
    snprintf(why, QCOW2_ERROR, "%s", trouble);
    return -EINVAL;
}

/* ---- into the backing file ---------------------------------------------------------------- */

int qcow2_commit_on(struct qcow2 *q, struct storage *file, const char *backing, char *why)
{
    struct qcow2_end from = {.image = q, .size = q->header.size}, to = {0};
    int error = qcow2_end_adopt(&to, file, backing, q->header.format, 0, why);
    if (!error && to.size < from.size)
        error = qcow2_refuse(why, backing, "its disk is smaller than that of %.160s", q->path);
    if (!error && (error = copy(&from, &to, false)) != 0)
        error = explain(error, &from, &to, backing, why);
    int closed = qcow2_end_close(&to);
    return !error && closed ? qcow2_refuse(why, backing, "%s", strerror(-closed)) : error;
}

int qcow2_commit(const char *path, char *why)
{
    /* Alone: the backing file is to be opened for writing, by nobody but us. Writable: nobody may
     * change the overlay meanwhile. */
    struct qcow2 *q = qcow2_open(path, QCOW2_ALONE, why);
    if (!q)
        return -EINVAL;
    int error = 0;
    char *backing = NULL;
    struct storage *file = NULL;
    if (!q->header.backed)
        error = qcow2_refuse(why, path, "it has no backing file to commit into");
    else if (qcow2_is_protocol(q->header.backing))
        error = qcow2_refuse(why, path, "its backing file '%.80s' is not a file's name",
                             q->header.backing);
    else if (!(backing = qcow2_resolve(path, q->header.backing)))
        error = qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    else if (!(file = storage_open(backing, false, why)))
        error = -EINVAL;
    error = error ? error : qcow2_commit_on(q, file, backing, why);
    free(backing);
    int closed = qcow2_close(q);
    return !error && closed ? qcow2_refuse(why, path, "%s", strerror(-closed)) : error;
}

/* ---- into a new file ---------------------------------------------------------------------- */

static int make_raw(const char *path, uint64_t size, struct qcow2_end *to, char *why)
{
    uint8_t zero = 0;
    to->raw = storage_create(path, why);
    if (!to->raw)
        return -EINVAL;
    int error = size ? storage_write(to->raw, size - 1, &zero, 1) : 0;
    return error ? qcow2_refuse(why, path, "%s", strerror(-error)) : 0;
}

static int make_image(const char *path, uint64_t size, struct qcow2_end *to, char *why)
{
    struct qcow2_creation creation = {.size = size};
    int error = qcow2_create(path, &creation, why);
    if (!error)
        to->image = qcow2_open(path, 0, why);
    return error || to->image ? error : -EINVAL;
}

static int convert(struct qcow2_end *from, const char *path, bool is_qcow2, char *why)
{
    struct qcow2_end to = {0};
    if (access(path, F_OK) == 0)
        return qcow2_refuse(why, path, "%s", strerror(EEXIST));
    int error = is_qcow2 ? make_image(path, (from->size + 511) & ~511ull, &to, why)
                         : make_raw(path, from->size, &to, why);
    bool made = to.image || to.raw;
    if (!error && (error = copy(from, &to, true)) != 0)
        error = explain(error, from, &to, path, why);
    int closed = made ? qcow2_end_close(&to) : 0;
    if (!error && closed)
        error = qcow2_refuse(why, path, "%s", strerror(-closed));
    if (error && made)
        unlink(path);
    return error;
}

int qcow2_convert(const char *path, const char *to, const char *format, char *why)
{
    struct qcow2_end from = {0};
    bool is_qcow2 = !strcmp(format, "qcow2");
    if (!is_qcow2 && strcmp(format, "raw"))
        return qcow2_refuse(why, to, "no format '%s'; known are raw and qcow2", format);
    int error = end_open(&from, path, QCOW2_READONLY, why);
    error = error ? error : convert(&from, to, is_qcow2, why);
    qcow2_end_close(&from); /* read-only: nothing can fail */
    return error;
}
