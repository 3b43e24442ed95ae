/* A raw disk image in a file of the host. See disk.h. */
#include "cpu/dev/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/dev/disk-memory.h"

struct disk {
    int fd;
    uint64_t sectors;
    bool readonly;
    struct disk_memory *memory; /* NULL: writes go to the file */
};

/* Why this file cannot be a disk, or NULL. */
static const char *objection(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "a disk image must be a regular file";
    if (st->st_size == 0)
        return "the disk image is empty";
    if (st->st_size % DISK_SECTOR)
        return "the size of a disk image must be a multiple of 512 bytes";
    return NULL;
}

struct disk *disk_open(const char *path, bool readonly, char *why)
{
    /* Not blocking: opening a FIFO must not hang. */
    int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        bool may_read = errno == EACCES || errno == EROFS;
        snprintf(why, DISK_ERROR, "%.400s: %s%s", path, strerror(errno),
                 !readonly && may_read ? " (--disk-readonly opens it for reading only)" : "");
        return NULL;
    }
    struct stat st;
    const char *reason = fstat(fd, &st) ? strerror(errno) : objection(&st);
    struct disk *disk = reason ? NULL : calloc(1, sizeof *disk);
    if (!disk) {
        snprintf(why, DISK_ERROR, "%.400s: %s", path, reason ? reason : strerror(ENOMEM));
        close(fd);
        return NULL;
    }
    *disk = (struct disk){fd, (uint64_t)st.st_size / DISK_SECTOR, readonly, NULL};
    return disk;
}

void disk_close(struct disk *disk)
{
    disk_memory_free(disk->memory);
    close(disk->fd);
    free(disk);
}

uint64_t disk_sectors(const struct disk *disk)
{
    return disk->sectors;
}

bool disk_is_readonly(const struct disk *disk)
{
    return disk->readonly;
}

bool disk_holds(const struct disk *disk, uint64_t sector, size_t count)
{
    return count % DISK_SECTOR == 0 && sector <= disk->sectors &&
           count / DISK_SECTOR <= disk->sectors - sector;
}

static int read_file(void *context, uint64_t from, void *bytes, size_t count)
{
    struct disk *disk = context;
    off_t at = (off_t)from;
    for (uint8_t *to = bytes; count;) {
        ssize_t got = pread(disk->fd, to, count, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) /* 0: somebody has cut the file short meanwhile */
            return got < 0 ? -errno : -EIO;
        to += got, at += got, count -= (size_t)got;
    }
    return 0;
}

static int write_file(struct disk *disk, uint64_t to, const void *bytes, size_t count)
{
    off_t at = (off_t)to;
    for (const uint8_t *from = bytes; count;) {
        ssize_t put = pwrite(disk->fd, from, count, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        from += put, at += put, count -= (size_t)put;
    }
    return 0;
}

int disk_read(struct disk *disk, uint64_t sector, void *bytes, size_t count)
{
    if (!disk_holds(disk, sector, count))
        return -EINVAL;
    uint64_t at = sector * DISK_SECTOR;
    return disk->memory ? disk_memory_read(disk->memory, at, bytes, count, read_file, disk)
                        : read_file(disk, at, bytes, count);
}

int disk_write(struct disk *disk, uint64_t sector, const void *bytes, size_t count)
{
    if (disk->readonly)
        return -EROFS;
    if (!disk_holds(disk, sector, count))
        return -EINVAL;
    uint64_t at = sector * DISK_SECTOR;
    return disk->memory ? disk_memory_write(disk->memory, at, bytes, count, read_file, disk)
                        : write_file(disk, at, bytes, count);
}

int disk_keep(struct disk *disk)
{
    if (!disk->memory)
        disk->memory = disk_memory_new(disk->sectors * DISK_SECTOR);
    return disk->memory ? 0 : -ENOMEM;
}

struct disk_memory *disk_memory_of(const struct disk *disk)
{
    return disk->memory;
}

static int write_block(void *context, uint64_t at, void *bytes, size_t count)
{
    return write_file(context, at, bytes, count);
}

int disk_write_through(struct disk *disk)
{
    int error = disk->memory ? disk_memory_write_through(disk->memory, write_block, disk) : 0;
    return error ? error : disk_flush(disk);
}

int disk_keep_end(struct disk *disk)
{
    int error = disk_write_through(disk);
    if (error)
        return error;
    disk_memory_free(disk->memory);
    disk->memory = NULL;
    return 0;
}

int disk_write_block(struct disk *disk, uint32_t block, const uint8_t *bytes)
{
    uint64_t at = (uint64_t)block * RAM_PAGE, size = disk->sectors * DISK_SECTOR;
    if (at >= size || disk->readonly)
        return -EINVAL;
    return write_file(disk, at, bytes, size - at < RAM_PAGE ? (size_t)(size - at) : RAM_PAGE);
}

int disk_flush(struct disk *disk)
{
    return !disk->readonly && fdatasync(disk->fd) ? -errno : 0;
}
