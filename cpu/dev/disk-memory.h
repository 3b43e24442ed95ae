/*
 * A disk's written blocks in memory, in front of its file: so that they can be put back with the
 * rest of the machine when somebody goes back in time. The file stays as it was until the blocks are
 * written through to it.
 *
 * A block is 4096 bytes, so that a layer of memory pages (hv/overlay.h) can hold it; that is all that
 * decides about its size.
 */
#ifndef VITRINE_CPU_DISK_MEMORY_H
#define VITRINE_CPU_DISK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/ram.h"

struct disk_memory {
    uint64_t size;   /* of the disk, in bytes */
    uint32_t blocks; /* the last may be shorter */
    uint8_t *bytes;  /* of the whole disk; only blocks that it has take memory of the host */
    uint8_t *has;    /* by block: it is here, and not as it is in the file */
    uint32_t held;   /* blocks that it has */
    struct ram_track track; /* blocks written */
};

/* How the file is read and written: 0 or -errno. */
typedef int (*disk_transfer_fn)(void *context, uint64_t at, void *bytes, size_t count);

/* NULL: no memory, or larger than 8 TiB. */
struct disk_memory *disk_memory_new(uint64_t size);
void disk_memory_free(struct disk_memory *memory);

/* At byte `at` of the disk; the range is inside it. Errors are those of `read`. */
int disk_memory_read(const struct disk_memory *memory, uint64_t at, void *bytes, size_t count,
                     disk_transfer_fn read, void *context);
int disk_memory_write(struct disk_memory *memory, uint64_t at, const void *bytes, size_t count,
                      disk_transfer_fn read, void *context);
/* Writes all that it has, and has nothing any longer. After an error it still has what is left. */
int disk_memory_write_through(struct disk_memory *memory, disk_transfer_fn write, void *context);

/* Makes a block what it was; NULL: as it is in the file. For struct overlay_part. */
void disk_memory_put(void *memory, uint32_t block, const uint8_t *bytes);
/* Bytes of the host's memory that it takes. */
uint64_t disk_memory_bytes(const struct disk_memory *memory);

#endif
