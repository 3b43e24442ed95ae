/* A disk's written blocks in memory. See disk-memory.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_NORESERVE */
#endif
#include "cpu/dev/disk-memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK = RAM_PAGE };
#define SIZE_MAX_BYTES (8ull << 40)

static void *map_zeroed(uint64_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

struct disk_memory *disk_memory_new(uint64_t size)
{
    struct disk_memory *m = size <= SIZE_MAX_BYTES ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
    m->size = size;
    m->blocks = (uint32_t)((size + BLOCK - 1) / BLOCK);
    m->bytes = map_zeroed((uint64_t)m->blocks * BLOCK);
    m->has = map_zeroed(m->blocks);
    if (m->bytes && m->has && !ram_track_init(&m->track, m->blocks))
        return m;
    disk_memory_free(m);
    return NULL;
}

void disk_memory_free(struct disk_memory *m)
{
    if (!m)
        return;
    if (m->bytes)
        munmap(m->bytes, (uint64_t)m->blocks * BLOCK);
    if (m->has)
        munmap(m->has, m->blocks);
    ram_track_free(&m->track, m->blocks);
    free(m);
}

static uint8_t *block_at(const struct disk_memory *m, uint32_t block)
{
    return m->bytes + (uint64_t)block * BLOCK;
}

static size_t block_size(const struct disk_memory *m, uint32_t block)
{
    uint64_t left = m->size - (uint64_t)block * BLOCK;
    return left < BLOCK ? (size_t)left : BLOCK;
}

/* The part of a transfer that lies in the block of its first byte. */
static size_t part_in_block(uint64_t at, size_t count)
{
    size_t rest = BLOCK - (size_t)(at % BLOCK);
    return count < rest ? count : rest;
}

int disk_memory_read(const struct disk_memory *m, uint64_t at, void *bytes, size_t count,
                     disk_transfer_fn read, void *context)
{
    int error = 0;
    for (uint8_t *to = bytes; count && !error;) {
        size_t part = part_in_block(at, count);
        if (m->has[at / BLOCK])
            memcpy(to, m->bytes + at, part);
        else
            error = read(context, at, to, part);
        to += part, at += part, count -= part;
    }
    return error;
}

static int fetch(struct disk_memory *m, uint32_t block, disk_transfer_fn read, void *context)
{
    if (m->has[block])
        return 0;
    int error = read(context, (uint64_t)block * BLOCK, block_at(m, block), block_size(m, block));
    m->has[block] = !error;
    m->held += !error;
    return error;
}

int disk_memory_write(struct disk_memory *m, uint64_t at, const void *bytes, size_t count,
                      disk_transfer_fn read, void *context)
{
    int error = 0;
    for (const uint8_t *from = bytes; count && !error;) {
        size_t part = part_in_block(at, count);
        error = fetch(m, (uint32_t)(at / BLOCK), read, context);
        if (error)
            break;
        ram_track_write(&m->track, (uint32_t)(at / BLOCK));
        memcpy(m->bytes + at, from, part);
        from += part, at += part, count -= part;
    }
    return error;
}

static void drop(struct disk_memory *m, uint32_t block)
{
    m->held -= m->has[block];
    m->has[block] = 0;
    madvise(block_at(m, block), BLOCK, MADV_DONTNEED);
}

int disk_memory_write_through(struct disk_memory *m, disk_transfer_fn write, void *context)
{
    int error = 0;
    for (uint32_t block = 0; block < m->blocks && !error; block++) {
        if (!m->has[block])
            continue;
        error =
            write(context, (uint64_t)block * BLOCK, block_at(m, block), block_size(m, block));
        if (!error)
            drop(m, block);
    }
    return error;
}

void disk_memory_put(void *memory, uint32_t block, const uint8_t *bytes)
{
    struct disk_memory *m = memory;
    if (!bytes) {
        drop(m, block);
        return;
    }
    memcpy(block_at(m, block), bytes, block_size(m, block));
    m->held += !m->has[block];
    m->has[block] = 1;
}

uint64_t disk_memory_bytes(const struct disk_memory *m)
{
    return (uint64_t)m->held * BLOCK;
}
