/* A raw disk image in a file of the host. */
#ifndef VITRINE_CPU_DISK_H
#define VITRINE_CPU_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR = 512, DISK_ERROR = 512 };

struct disk;

/* Opens an image; NULL and one line in `why` (DISK_ERROR bytes) that names the file and the reason:
 * missing, no permission (to write, unless `readonly`), not a regular file, empty, or not a multiple
 * of 512 bytes. */
struct disk *disk_open(const char *path, bool readonly, char *why);
void disk_close(struct disk *disk);

uint64_t disk_sectors(const struct disk *disk);
bool disk_is_readonly(const struct disk *disk);

/* Are these bytes, whole sectors, inside the disk? */
bool disk_holds(const struct disk *disk, uint64_t sector, size_t count);

/* Whole sectors; the range must be inside the disk. 0 or -errno (-EINVAL, -EROFS, -EIO ...). */
int disk_read(struct disk *disk, uint64_t sector, void *bytes, size_t count);
int disk_write(struct disk *disk, uint64_t sector, const void *bytes, size_t count);
int disk_flush(struct disk *disk);

/* From now on written blocks stay in memory (disk-memory.h) and the file is as it was, until they
 * are written through; what is not written through by disk_close() is dropped. 0 or -ENOMEM. */
int disk_keep(struct disk *disk);
/* NULL: they do not stay in memory. */
struct disk_memory *disk_memory_of(const struct disk *disk);
/* Writes the blocks through to the file, and flushes it. 0 or -errno. */
int disk_write_through(struct disk *disk);
/* The same, and from now on writes go to the file again. */
int disk_keep_end(struct disk *disk);
/* Writes one block of disk-memory.h, a whole one, to the file, whatever is in memory. 0 or -errno. */
int disk_write_block(struct disk *disk, uint32_t block, const uint8_t *bytes);

#endif
