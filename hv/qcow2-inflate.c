/*
 * One compressed cluster: a raw deflate stream with a window of 4 KiB (RFC 1951), by zlib.
 *
 * Compressed clusters are read, not made. A write to one takes a whole new cluster.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "hv/qcow2_priv.h"

enum { WINDOW_BITS = -12 }; /* negative: no header and no checksum around the stream */

/* The stream says itself where it ends; it must fill the cluster exactly. */
static int inflate_all(const uint8_t *from, size_t count, uint8_t *to, size_t room)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from,
                  .avail_in = (uInt)count,
                  .next_out = to,
                  .avail_out = (uInt)room};
    if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    int result = inflate(&z, Z_FINISH);
    bool whole = (result == Z_STREAM_END || result == Z_BUF_ERROR) && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? 0 : -EIO;
}

static int inflate_into(struct qcow2 *q, const struct qcow2_entry *e)
{
    uint8_t *bytes = malloc(e->deflated);
    if (!bytes)
        return -ENOMEM;
    int error = storage_read(q->file, e->host, bytes, e->deflated);
    error = error ? error : inflate_all(bytes, e->deflated, q->inflated, qcow2_cluster(q));
    free(bytes);
    return error == -EIO ? qcow2_complain(q, "the compressed cluster at 0x%llx is damaged",
                                          (unsigned long long)e->host)
                         : error;
}

int qcow2_inflate(struct qcow2 *q, const struct qcow2_entry *e)
{
    if (q->inflated && q->inflated_at == e->host)
        return 0;
    q->inflated_at = 0;
    if (!q->inflated && !(q->inflated = malloc(qcow2_cluster(q))))
        return -ENOMEM;
    int error = inflate_into(q, e);
    q->inflated_at = error ? 0 : e->host;
    return error;
}
