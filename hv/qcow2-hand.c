/*
 * A qcow2 image that changes hands: one program stops writing it, another begins. See qcow2.h.
 *
 * Tables of an image are in its writer's memory, and a good part of what they say is nowhere else
 * until it flushes. So a second program can do nothing with the file meanwhile but know its header:
 * size and backing file do not change. When the writer has flushed and stands, the second one reads
 * the tables, without a lock, to find out whether it could go on (look). The first one then gives
 * its lock away, the second takes it, and reads them once more: between the look and the lock the
 * first may have changed its mind, and have written. That costs some reads, and never an image.
 */
#include "hv/qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2_priv.h"

/* All that was learnt of the file is forgotten, and all that was not written. */
static void forget(struct qcow2 *q)
{
    qcow2_cache_free(&q->cache);
    qcow2_guard_free(&q->guard);
    free(q->l1.entry);
    free(q->reftable.entry);
    q->l1 = q->reftable = (struct qcow2_index){0};
    q->released.count = 0;
    q->hint = 0;
    q->inflated_at = 0;
    q->unflushed = q->broken = q->walkable = false;
    q->trouble[0] = 0;
}

/* What the guest, or the chain below, has been built upon. */
static bool is_same_image(const struct qcow2_header *a, const struct qcow2_header *b)
{
    return a->size == b->size && a->cluster_bits == b->cluster_bits &&
           a->refcount_order == b->refcount_order && a->backed == b->backed &&
           !strcmp(a->backing, b->backing) && !strcmp(a->format, b->format);
}

static int read_header(struct qcow2 *q)
{
    struct qcow2_header header;
    int error = qcow2_header_read(q->file, q->path, &header, q->trouble);
    if (error)
        return error;
    if (!is_same_image(&header, &q->header)) {
        qcow2_refuse(q->trouble, q->path, "its size or its backing file is not what it was");
        return -EINVAL;
    }
    q->header = header;
    return 0;
}

static int read_afresh(struct qcow2 *q)
{
    forget(q);
    int error = read_header(q);
    error = error ? error : storage_size(q->file, &q->end);
    error = error ? error : qcow2_index_load(q, &q->l1, q->header.l1_offset, q->header.l1_size);
    error = error ? error : qcow2_prepare_writing(q);
    if (error && !*q->trouble)
        qcow2_refuse(q->trouble, q->path, "%s", strerror(-error));
    return error;
}

int qcow2_look(struct qcow2 *q)
{
    return q->away ? read_afresh(q) : 0;
}

int qcow2_take(struct qcow2 *q)
{
    if (!q->away)
        return 0;
    int error = storage_lock(q->file);
    if (error) {
        qcow2_refuse(q->trouble, q->path, "%s", storage_lock_error(error));
        return error;
    }
    error = read_afresh(q);
    error = error ? error : qcow2_clear_autoclear(q);
    if (error) {
        storage_unlock(q->file);
        return error;
    }
    q->away = q->readonly = false;
    return 0;
}

void qcow2_give(struct qcow2 *q)
{
    if (q->readonly)
        return;
    q->away = q->readonly = true;
    storage_unlock(q->file);
}
