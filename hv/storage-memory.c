/* See storage-memory.h. */
#include "hv/storage-memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct memory {
    struct storage storage;
    struct state_buffer *bytes;
};

static struct state_buffer *bytes_of(const struct storage *storage)
{
    return ((const struct memory *)storage)->bytes;
}

static int memory_read(struct storage *storage, uint64_t at, void *bytes, size_t count)
{
    const struct state_buffer *b = bytes_of(storage);
    size_t there = at < b->count ? b->count - (size_t)at : 0;
    there = there < count ? there : count;
    if (there)
        memcpy(bytes, b->bytes + at, there);
    memset((uint8_t *)bytes + there, 0, count - there);
    return 0;
}

/* Twice as large whenever it is full, so that what grows by small pieces is not copied for each. */
static bool grow(struct state_buffer *b, size_t end)
{
    size_t size = b->size * 2 > end ? b->size * 2 : end;
    uint8_t *grown = end > b->size ? realloc(b->bytes, size) : b->bytes;
    if (!grown)
        return false;
    b->size = end > b->size ? size : b->size;
    b->bytes = grown;
    memset(b->bytes + b->count, 0, end - b->count);
    b->count = end;
    return true;
}

static int memory_write(struct storage *storage, uint64_t at, const void *bytes, size_t count)
{
    struct state_buffer *b = bytes_of(storage);
    if (at > SIZE_MAX / 4 || count > SIZE_MAX / 4)
        return -EFBIG;
    if (at + count > b->count && !grow(b, (size_t)at + count))
        return -ENOMEM;
    if (count)
        memcpy(b->bytes + at, bytes, count);
    return 0;
}

static int memory_flush(struct storage *storage)
{
    return 0;
}

static int memory_size(struct storage *storage, uint64_t *size)
{
    *size = bytes_of(storage)->count;
    return 0;
}

static void memory_close(struct storage *storage)
{
    free(storage);
}

static int memory_descriptor(const struct storage *storage)
{
    return -1;
}

static void memory_identity(struct storage *storage, uint64_t *device, uint64_t *inode)
{
    *device = *inode = 0; /* no file */
}

static const struct storage_ops MEMORY_OPS = {
    .read = memory_read,
    .write = memory_write,
    .flush = memory_flush,
    .size = memory_size,
    .close = memory_close,
    .descriptor = memory_descriptor,
    .identity = memory_identity,
};

struct storage *storage_memory_new(struct state_buffer *bytes)
{
    struct memory *m = malloc(sizeof *m);
    if (!m)
        return NULL;
    *m = (struct memory){{&MEMORY_OPS}, bytes};
    return &m->storage;
}
