/* Copying qcow2 images: an overlay into its backing file, and a whole chain into a new file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/qcow2_priv.h"

enum { PIECE = 1 << 16 };

/* Where a copy goes: an image, or a raw file. */
struct sink {
    struct qcow2 *image;
    struct storage *raw;
    uint64_t size;
};

static int sink_write(struct sink *s, uint64_t at, const void *bytes, size_t count)
{
    return s->image ? qcow2_write(s->image, at, bytes, count)
                    : storage_write(s->raw, at, bytes, count);
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && !memcmp(bytes, bytes + 1, count - 1));
}

/* Zeros: `fresh` sinks have them everywhere already. */
static int sink_zero(struct sink *s, uint64_t at, uint64_t count, bool fresh)
{
    static const uint8_t zeros[PIECE];
    if (fresh)
        return 0;
    if (s->image)
        return qcow2_zero(s->image, at, count);
    for (int error; count;) {
        size_t part = count < PIECE ? (size_t)count : PIECE;
        if ((error = storage_write(s->raw, at, zeros, part)) != 0)
            return error;
        at += part, count -= part;
    }
    return 0;
}

static int sink_flush(struct sink *s)
{
    return s->image ? qcow2_flush(s->image) : storage_flush(s->raw);
}

static int sink_close(struct sink *s)
{
    int error = s->image ? qcow2_close(s->image) : 0;
    storage_close(s->raw);
    return error;
}

static int copy_data(struct qcow2 *from, struct sink *to, uint64_t at, uint64_t count, bool fresh)
{
    uint8_t *bytes = malloc(PIECE);
    int error = bytes ? 0 : -ENOMEM;
    while (count && !error) {
        size_t part = count < PIECE ? (size_t)count : PIECE;
        error = qcow2_read(from, at, bytes, part);
        if (!error && !(fresh && is_zero(bytes, part)))
            error = sink_write(to, at, bytes, part);
        at += part, count -= part;
    }
    free(bytes);
    return error;
}

/* All that `from` (and what is below it, if that is open) has. */
static int copy(struct qcow2 *from, struct sink *to, bool fresh)
{
    struct qcow2_place place;
    int error = 0;
    for (uint64_t at = 0; at < from->header.size && !error; at += place.length) {
        error = qcow2_extent(from, at, &place);
        if (error || place.kind == QCOW2_NOWHERE)
            continue;
        error = place.kind == QCOW2_ZERO ? sink_zero(to, at, place.length, fresh)
                                         : copy_data(from, to, at, place.length, fresh);
    }
    return error ? error : sink_flush(to);
}

/* The line for a copy that failed: what was found wrong in an image, or the error's name. */
static int explain(int error, struct qcow2 *from, const struct sink *to, const char *path,
                   char *why)
{
    const char *trouble = *from->trouble                     ? from->trouble
                          : to->image && *to->image->trouble ? to->image->trouble
                                                             : NULL;
    if (!trouble)
        return qcow2_refuse(why, path, "%s", strerror(-error));
    snprintf(why, QCOW2_ERROR, "%s", trouble);
    return -EINVAL;
}

/* ---- into the backing file ---------------------------------------------------------------- */

static int open_sink(struct qcow2 *q, const char *backing, struct sink *to, char *why)
{
    bool is_qcow2;
    struct storage *file = storage_open(backing, false, why);
    int error = file ? 0 : -EINVAL;
    error = error ? error : qcow2_probe(file, backing, q->header.format, &is_qcow2, why);
    if (error) {
        storage_close(file);
        return error;
    }
    if (!is_qcow2) {
        to->raw = file;
        error = storage_size(file, &to->size);
        return error ? qcow2_refuse(why, backing, "%s", strerror(-error)) : 0;
    }
    to->image = qcow2_open_on(file, backing, 0, why);
    to->size = to->image ? qcow2_size(to->image) : 0;
    return to->image ? 0 : -EINVAL;
}

static int commit(struct qcow2 *q, const char *backing, char *why)
{
    struct sink to = {0};
    int error = open_sink(q, backing, &to, why);
    if (!error && to.size < q->header.size)
        error = qcow2_refuse(why, backing, "its disk is smaller than that of %.160s", q->path);
    if (!error && (error = copy(q, &to, false)) != 0)
        error = explain(error, q, &to, backing, why);
    int closed = sink_close(&to);
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
    if (!q->header.backed)
        error = qcow2_refuse(why, path, "it has no backing file to commit into");
    else if (qcow2_is_protocol(q->header.backing))
        error = qcow2_refuse(why, path, "its backing file '%.80s' is not a file's name",
                             q->header.backing);
    else if (!(backing = qcow2_resolve(path, q->header.backing)))
        error = qcow2_refuse(why, path, "%s", strerror(ENOMEM));
    error = error ? error : commit(q, backing, why);
    free(backing);
    int closed = qcow2_close(q);
    return !error && closed ? qcow2_refuse(why, path, "%s", strerror(-closed)) : error;
}

/* ---- into a new file ---------------------------------------------------------------------- */

static int make_raw(const char *path, uint64_t size, struct sink *to, char *why)
{
    uint8_t zero = 0;
    to->raw = storage_create(path, why);
    if (!to->raw)
        return -EINVAL;
    int error = size ? storage_write(to->raw, size - 1, &zero, 1) : 0;
    return error ? qcow2_refuse(why, path, "%s", strerror(-error)) : 0;
}

static int make_image(const char *path, uint64_t size, struct sink *to, char *why)
{
    struct qcow2_creation creation = {.size = size};
    int error = qcow2_create(path, &creation, why);
    if (!error)
        to->image = qcow2_open(path, 0, why);
    return error || to->image ? error : -EINVAL;
}

static int convert(struct qcow2 *q, const char *to, bool is_qcow2, char *why)
{
    struct sink sink = {0};
    if (access(to, F_OK) == 0)
        return qcow2_refuse(why, to, "%s", strerror(EEXIST));
    int error = is_qcow2 ? make_image(to, q->header.size, &sink, why)
                         : make_raw(to, q->header.size, &sink, why);
    bool made = sink.image || sink.raw;
    if (!error && (error = copy(q, &sink, true)) != 0)
        error = explain(error, q, &sink, to, why);
    int closed = made ? sink_close(&sink) : 0;
    if (!error && closed)
        error = qcow2_refuse(why, to, "%s", strerror(-closed));
    if (error && made)
        unlink(to);
    return error;
}

int qcow2_convert(const char *path, const char *to, const char *format, char *why)
{
    bool is_qcow2 = !strcmp(format, "qcow2");
    if (!is_qcow2 && strcmp(format, "raw"))
        return qcow2_refuse(why, to, "no format '%s'; known are raw and qcow2", format);
    struct qcow2 *q = qcow2_open(path, QCOW2_READONLY, why);
    if (!q)
        return -EINVAL;
    int error = convert(q, to, is_qcow2, why);
    qcow2_close(q); /* read-only: nothing can fail */
    return error;
}
