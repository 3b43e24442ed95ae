/* Opening qcow2 images, with the chain of files that they stand on, and closing them. See qcow2.h.
 */
#include "hv/qcow2.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* ---- what goes wrong ---------------------------------------------------------------------- */

int qcow2_refuse(char *why, const char *path, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(why, QCOW2_ERROR, "%.240s: %s", path, reason);
    return -EINVAL;
}

int qcow2_refuse_trouble(const struct qcow2 *q, char *why)
{
    snprintf(why, QCOW2_ERROR, "%s", q->trouble);
    return -EINVAL;
}

int qcow2_complain(struct qcow2 *q, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(q->trouble, sizeof q->trouble, "%.240s: corrupt: %s", q->path, reason);
    q->broken = true;
    return -EIO;
}

const char *qcow2_trouble(const struct qcow2 *q)
{
    return q->trouble;
}

/* ---- the file ----------------------------------------------------------------------------- */

bool qcow2_in_file(const struct qcow2 *q, uint64_t at, uint64_t count)
{
    return at <= q->end && count <= q->end - at;
}

int qcow2_check_table(struct qcow2 *q, uint64_t offset, const char *what)
{
    uint64_t cluster = qcow2_cluster(q);
    if (offset % cluster || offset < cluster)
        return qcow2_complain(q, "%s at 0x%llx, where none can be", what,
                              (unsigned long long)offset);
    if (!qcow2_in_file(q, offset, cluster))
        return qcow2_complain(q, "%s at 0x%llx, behind the end of the file", what,
                              (unsigned long long)offset);
    return 0;
}

int qcow2_put(struct qcow2 *q, uint64_t at, const void *bytes, size_t count)
{
    if (q->broken)
        return -EIO;
    q->unflushed = true;
    q->inflated_at = 0;
    int error = storage_write(q->file, at, bytes, count);
    if (!error && at + count > q->end)
        q->end = at + count;
    return error;
}

int qcow2_settle(struct qcow2 *q)
{
    if (!q->unflushed)
        return 0;
    int error = storage_flush(q->file);
    if (error)
        q->broken = true; /* the kernel may have dropped what it could not write */
    else
        q->unflushed = false;
    return error;
}

/* ---- what lies below ---------------------------------------------------------------------- */

char *qcow2_resolve(const char *path, const char *backing)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash && *backing != '/' ? (size_t)(slash - path) + 1 : 0;
    char *whole = malloc(folder + strlen(backing) + 1);
    if (!whole)
        return NULL;
    memcpy(whole, path, folder);
    strcpy(whole + folder, backing);
    return whole;
}

bool qcow2_is_protocol(const char *name)
{
    return name[strcspn(name, ":/")] == ':';
}

int qcow2_probe(struct storage *file, const char *path, const char *format, bool *is_qcow2,
                char *why)
{
    uint8_t magic[QCOW2_MAGIC_SIZE];
    if (format && *format) {
        *is_qcow2 = !strcmp(format, "qcow2");
        if (*is_qcow2 || !strcmp(format, "raw"))
            return 0;
        return qcow2_refuse(why, path, "is said to be of format '%s'; known are raw and qcow2",
                            format);
    }
    int error = storage_read(file, 0, magic, sizeof magic);
    *is_qcow2 = !error && qcow2_is_magic(magic);
    return error ? qcow2_refuse(why, path, "%s", strerror(-error)) : 0;
}

static struct qcow2 *open_one(struct storage *file, const char *path, bool readonly, char *why);

/* Is the file a part of the chain already? */
static bool is_in_chain(struct qcow2 *top, struct storage *file)
{
    for (struct qcow2 *q = top; q; q = q->backing)
        if (storage_is_same(q->file, file))
            return true;
    return false;
}

/* Hangs the backing file of `q`, the lowest image so far, below it. */
static int open_backing(struct qcow2 *top, struct qcow2 *q, char *why)
{
    const struct qcow2_header *h = &q->header;
    bool is_qcow2;
    if (qcow2_is_protocol(h->backing))
        return qcow2_refuse(why, q->path, "its backing file '%.80s' is not a file's name",
                            h->backing);
    q->backing_path = qcow2_resolve(q->path, h->backing);
    if (!q->backing_path)
        return qcow2_refuse(why, q->path, "%s", strerror(ENOMEM));
    struct storage *file = storage_open(q->backing_path, true, why);
    if (!file)
        return -EINVAL;
    int error = qcow2_probe(file, q->backing_path, h->format, &is_qcow2, why);
    if (!error && is_in_chain(top, file))
        error = qcow2_refuse(why, q->path, "its backing files go in a circle");
    if (!error && !is_qcow2 && (error = storage_size(file, &q->raw_size)) != 0)
        error = qcow2_refuse(why, q->backing_path, "%s", strerror(-error));
    if (error) {
        storage_close(file);
        return error;
    }
    if (!is_qcow2)
        q->raw = file;
    else
        q->backing = open_one(file, q->backing_path, true, why);
    return is_qcow2 && !q->backing ? -EINVAL : 0;
}

static int open_chain(struct qcow2 *top, char *why)
{
    unsigned depth = 1;
    for (struct qcow2 *q = top; q && q->header.backed; q = q->backing) {
        if (depth++ == QCOW2_DEPTH)
            return qcow2_refuse(why, top->path, "more than %d images on top of each other",
                                QCOW2_DEPTH);
        int error = open_backing(top, q, why);
        if (error)
            return error;
    }
    return qcow2_which_build(top) ? qcow2_refuse(why, top->path, "%s", strerror(ENOMEM)) : 0;
}

/* ---- opening ------------------------------------------------------------------------------ */

int qcow2_clear_autoclear(struct qcow2 *q)
{
    uint64_t none = 0;
    if (q->header.version < 3 || !q->header.autoclear)
        return 0;
    int error = qcow2_put(q, QCOW2_AT_AUTOCLEAR, &none, sizeof none);
    return error ? error : qcow2_settle(q);
}

int qcow2_prepare_writing(struct qcow2 *q)
{
    if (q->header.snapshots) {
        snprintf(q->trouble, sizeof q->trouble,
                 "%.240s: it has internal snapshots, so that it can be opened read-only only",
                 q->path);
        return -EINVAL;
    }
    int error = qcow2_reftable_load(q);
    return error ? error : qcow2_guard_build(q);
}

static int begin_writing(struct qcow2 *q, char *why)
{
    int error = qcow2_prepare_writing(q);
    error = error ? error : qcow2_clear_autoclear(q);
    if (!error)
        return 0;
    if (*q->trouble)
        return qcow2_refuse_trouble(q, why);
    return qcow2_refuse(why, q->path, "%s", strerror(-error));
}

/* One image without what lies below; the storage is its own, also on failure. */
static struct qcow2 *open_one(struct storage *file, const char *path, bool readonly, char *why)
{
    struct qcow2 *q = calloc(1, sizeof *q);
    if (!q) {
        storage_close(file);
        qcow2_refuse(why, path, "%s", strerror(ENOMEM));
        return NULL;
    }
    q->file = file;
    q->readonly = readonly;
    q->path = strdup(path);
    int error = qcow2_header_read(file, path, &q->header, why);
    if (!error) {
        q->scratch = malloc(qcow2_cluster(q));
        error = q->path && q->scratch ? storage_size(file, &q->end) : -ENOMEM;
        if (!error)
            error = qcow2_index_load(q, &q->l1, q->header.l1_offset, q->header.l1_size);
        if (error)
            qcow2_refuse(why, path, "%s", strerror(-error));
    }
    if (!error && !readonly)
        error = begin_writing(q, why);
    if (!error)
        return q;
    q->broken = true; /* nothing is to be written */
    qcow2_close(q);
    return NULL;
}

struct qcow2 *qcow2_open_on(struct storage *storage, const char *path, unsigned flags, char *why)
{
    struct qcow2 *q = open_one(storage, path, flags & (QCOW2_READONLY | QCOW2_AWAY), why);
    if (q)
        q->away = flags & QCOW2_AWAY;
    if (!q || flags & QCOW2_ALONE)
        return q;
    if (open_chain(q, why) == 0)
        return q;
    q->broken = true;
    qcow2_close(q);
    return NULL;
}

struct qcow2 *qcow2_open(const char *path, unsigned flags, char *why)
{
    struct storage *storage = flags & QCOW2_AWAY ? storage_open_unlocked(path, why)
                                                 : storage_open(path, flags & QCOW2_READONLY, why);
    return storage ? qcow2_open_on(storage, path, flags, why) : NULL;
}

static void free_one(struct qcow2 *q)
{
    storage_close(q->file);
    storage_close(q->raw);
    qcow2_cache_free(&q->cache);
    qcow2_guard_free(&q->guard);
    qcow2_which_free(q->which);
    free(q->l1.entry);
    free(q->reftable.entry);
    free(q->released.at);
    free(q->scratch);
    free(q->inflated);
    free(q->backing_path);
    free(q->path);
    free(q);
}

int qcow2_close(struct qcow2 *q)
{
    int error = qcow2_flush(q);
    if (!error)
        error = qcow2_flush(q); /* the counts that the first has taken down */
    while (q) {
        struct qcow2 *below = q->backing;
        free_one(q);
        q = below;
    }
    return error;
}

/* ---- questions ---------------------------------------------------------------------------- */

uint64_t qcow2_size(const struct qcow2 *q)
{
    return q->header.size;
}

bool qcow2_is_readonly(const struct qcow2 *q)
{
    return q->readonly;
}

unsigned qcow2_depth(const struct qcow2 *q)
{
    unsigned depth = 1;
    for (; q->backing; q = q->backing)
        depth++;
    return depth + (q->raw != NULL);
}

uint64_t qcow2_asked(const struct qcow2 *q)
{
    uint64_t asked = 0;
    for (; q; q = q->backing)
        asked += q->asked;
    return asked;
}

const char *qcow2_file(const struct qcow2 *q, unsigned n)
{
    for (; n && q->backing; n--)
        q = q->backing;
    return n == 0 ? q->path : n == 1 && q->raw ? q->backing_path : NULL;
}

int qcow2_descriptor(const struct qcow2 *q, unsigned n)
{
    for (; n && q->backing; n--)
        q = q->backing;
    if (n == 0)
        return storage_descriptor(q->file);
    return n == 1 && q->raw ? storage_descriptor(q->raw) : -1;
}

int qcow2_info(struct qcow2 *q, unsigned depth, struct qcow2_info *info)
{
    while (q && depth--)
        q = q->backing;
    if (!q)
        return -ENOENT;
    const struct qcow2_header *h = &q->header;
    *info = (struct qcow2_info){
        .version = h->version,
        .size = h->size,
        .cluster = qcow2_cluster(q),
        .refcount_bits = 1u << h->refcount_order,
        .snapshots = h->snapshots,
        .path = q->path,
        .backing = h->backed ? h->backing : NULL,
        .backing_path = q->backing_path,
        .backing_format = *h->format ? h->format : NULL,
    };
    return storage_size(q->file, &info->file);
}
