/*
 * A disk: sectors of 512 bytes that can be read, written and flushed.
 *
 * What is behind it is a table of functions. One kind is here, a raw image in a file of the host;
 * who knows another format makes a disk of it with disk_new().
 */
#ifndef VITRINE_CPU_DISK_H
#define VITRINE_CPU_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR = 512, DISK_ERROR = 512 };

struct disk;

/* What is behind a disk. Whole sectors, inside the disk; 0 or -errno. */
struct disk_ops {
    int (*read)(void *self, uint64_t sector, void *bytes, size_t count);
    /* Not called if readonly. */
    int (*write)(void *self, uint64_t sector, const void *bytes, size_t count);
    /* The same, the sectors being zero. NULL, or -EOPNOTSUPP: zeros are written. */
    int (*zero)(void *self, uint64_t sector, size_t count);
    /* Gives back what room can be; the sectors are zeros or what they were. NULL, or
     * -EOPNOTSUPP: nothing can be. */
    int (*discard)(void *self, uint64_t sector, size_t count);
    /* What was written is durable after this, and need not be before. */
    int (*flush)(void *self);
    /* The n-th descriptor that reading and writing use; -1: there are no more. NULL: none. */
    int (*descriptor)(void *self, unsigned n);
    /* For a disk that is in layers of files: the n-th from the top, NULL: there are no more; and
     * which of them answers for a sector: its number, one more than the last: none, it is zero;
     * -errno. NULL: it is in one file, or in none. */
    const char *(*file)(void *self, unsigned n);
    int (*find)(void *self, uint64_t sector);
    int (*close)(void *self); /* hands everything to the host; gone in any case */
    /* For disks that change hands, see disk_take(). All NULL: nobody else can have it. look() and
     * take() leave a line in `why` (DISK_ERROR bytes) when they fail. */
    int (*look)(void *self, char *why);
    int (*take)(void *self, char *why);
    void (*give)(void *self);
};

/* NULL: no memory; `self` is still the caller's then. */
struct disk *disk_new(const struct disk_ops *ops, void *self, uint64_t sectors, bool readonly);
/* The same, of which another program has the file: see disk_take(). */
struct disk *disk_new_away(const struct disk_ops *ops, void *self, uint64_t sectors);

/* How a machine opens its disk: disk_open(), or what knows more formats. */
typedef struct disk *(*disk_open_fn)(const char *path, bool readonly, char *why);

/* Opens a raw image; NULL and one line in `why` (DISK_ERROR bytes) that names the file and the
 * reason: missing, no permission (to write, unless `readonly`), not a regular file, empty, or not a
 * multiple of 512 bytes. */
struct disk *disk_open(const char *path, bool readonly, char *why);
/* What was written outlives the program (though not, without a flush, the host's crash). Freed in
 * any case. */
int disk_close(struct disk *disk);

/* The n-th descriptor that the disk uses, and keeps; -1 behind the last. For threads that are
 * confined to a few. */
int disk_descriptor(const struct disk *disk, unsigned n);
/* The files and the search in them, as in disk_ops; without layers NULL, and 0. */
const char *disk_file(const struct disk *disk, unsigned n);
int disk_find(const struct disk *disk, uint64_t sector);
/* Where the last transfer began, and its kind, 'r' or 'w'; 0: there was none. */
char disk_last_access(const struct disk *disk, uint64_t *sector);
uint64_t disk_sectors(const struct disk *disk);
bool disk_is_readonly(const struct disk *disk);

/* Are these bytes, whole sectors, inside the disk? */
bool disk_holds(const struct disk *disk, uint64_t sector, size_t count);

/* Whole sectors; the range must be inside the disk. 0 or -errno (-EINVAL, -EROFS, -EIO ...). */
int disk_read(struct disk *disk, uint64_t sector, void *bytes, size_t count);
int disk_write(struct disk *disk, uint64_t sector, const void *bytes, size_t count);
/* With written blocks in memory it does nothing: they are no more and no less durable after it. */
int disk_flush(struct disk *disk);
/* What has got to the file, whatever is in memory, is durable. 0 or -errno. */
int disk_flush_file(struct disk *disk);
/* Whole sectors become zeros; the host's file gives their space back where it can, and they are
 * written where it cannot. Errors as disk_write(). */
int disk_zero(struct disk *disk, uint64_t sector, size_t count);
/* Nobody needs these sectors any longer: they are zeros or what they were. Errors as disk_write().
 */
int disk_discard(struct disk *disk, uint64_t sector, size_t count);

/* From now on written blocks stay in memory (disk-memory.h) and the file is as it was, until they
 * are written through; what is not written through by disk_close() is dropped. 0 or -ENOMEM. */
int disk_keep(struct disk *disk);
/* NULL: they do not stay in memory. */
struct disk_memory *disk_memory_of(const struct disk *disk);
/* Writes the blocks through to the file, and flushes it. 0 or -errno. */
int disk_write_through(struct disk *disk);
/* The same, and from now on writes go to the file again. */
int disk_keep_end(struct disk *disk);
/* Writes one block of disk-memory.h, a whole one, to the file, whatever is in memory. 0 or -errno.
 */
int disk_write_block(struct disk *disk, uint32_t block, const uint8_t *bytes);

/*
 * A disk that changes hands with its guest: one program writes its file at a time, and a lock says
 * which. A disk that is away is another's: nothing of it can be written, and what is read may be
 * old. Blocks in memory stay, and can be put.
 */
bool disk_is_away(const struct disk *disk);
/* All that was written to the file is durable, and nothing is left that would be written later. */
int disk_settle(struct disk *disk);
/* Could it be taken, if nobody else had it? Reads what that needs. 0, or -errno with a line in
 * `why` (DISK_ERROR bytes). */
int disk_look(struct disk *disk, char *why);
/* Takes it: 0, also if it was not away; -EBUSY: another has it; or -errno; with `why`. */
int disk_take(struct disk *disk, char *why);
/* Gives it away, after disk_settle(): nothing gets to the file any more. A disk that cannot be
 * written stays what it is: any number of programs may have it. */
void disk_give(struct disk *disk);

#endif
