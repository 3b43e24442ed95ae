/* Disks, and raw images in files of the host. See disk.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fallocate */
#endif
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
    const struct disk_ops *ops;
    void *self;
    uint64_t sectors;
    bool readonly;
    bool away;                  /* another program has the file */
    struct disk_memory *memory; /* NULL: writes go to what is behind the disk */
    uint64_t last;              /* sector of the last transfer */
    char last_access;           /* its kind; 0: there was none */
};

struct disk *disk_new(const struct disk_ops *ops, void *self, uint64_t sectors, bool readonly)
{
    struct disk *disk = malloc(sizeof *disk);
    if (disk)
        *disk = (struct disk){.ops = ops, .self = self, .sectors = sectors, .readonly = readonly};
    return disk;
}

struct disk *disk_new_away(const struct disk_ops *ops, void *self, uint64_t sectors)
{
    struct disk *disk = disk_new(ops, self, sectors, false);
    if (disk)
        disk->away = true;
    return disk;
}

int disk_close(struct disk *disk)
{
    int error = disk->ops->close(disk->self);
    disk_memory_free(disk->memory);
    free(disk);
    return error;
}

int disk_descriptor(const struct disk *disk, unsigned n)
{
    return disk->ops->descriptor ? disk->ops->descriptor(disk->self, n) : -1;
}

const char *disk_file(const struct disk *disk, unsigned n)
{
    return disk->ops->file ? disk->ops->file(disk->self, n) : NULL;
}

int disk_find(const struct disk *disk, uint64_t sector)
{
    return disk->ops->find ? disk->ops->find(disk->self, sector) : 0;
}

char disk_last_access(const struct disk *disk, uint64_t *sector)
{
    *sector = disk->last;
    return disk->last_access;
}

static void note_access(struct disk *disk, uint64_t sector, char access)
{
    disk->last = sector;
    disk->last_access = access;
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

/* For the blocks in memory: what is behind them. */
static int read_behind(void *context, uint64_t at, void *bytes, size_t count)
{
    const struct disk *disk = context;
    return disk->ops->read(disk->self, at / DISK_SECTOR, bytes, count);
}

static int write_behind(void *context, uint64_t at, void *bytes, size_t count)
{
    const struct disk *disk = context;
    return disk->ops->write(disk->self, at / DISK_SECTOR, bytes, count);
}

int disk_read(struct disk *disk, uint64_t sector, void *bytes, size_t count)
{
    if (!disk_holds(disk, sector, count))
        return -EINVAL;
    note_access(disk, sector, 'r');
    return disk->memory ? disk_memory_read(disk->memory, sector * DISK_SECTOR, bytes, count,
                                           read_behind, disk)
                        : disk->ops->read(disk->self, sector, bytes, count);
}

/* May sectors be changed? 0 or -errno. */
static int check_change(const struct disk *disk, uint64_t sector, size_t count)
{
    if (disk->readonly)
        return -EROFS;
    if (disk->away)
        return -EBUSY;
    return disk_holds(disk, sector, count) ? 0 : -EINVAL;
}

int disk_write(struct disk *disk, uint64_t sector, const void *bytes, size_t count)
{
    int error = check_change(disk, sector, count);
    if (error)
        return error;
    note_access(disk, sector, 'w');
    return disk->memory ? disk_memory_write(disk->memory, sector * DISK_SECTOR, bytes, count,
                                            read_behind, disk)
                        : disk->ops->write(disk->self, sector, bytes, count);
}

static int write_zeros(struct disk *disk, uint64_t sector, size_t count)
{
    static const uint8_t zeros[8 * DISK_SECTOR];
    int error = 0;
    while (count && !error) {
        size_t part = count < sizeof zeros ? count : sizeof zeros;
        error = disk_write(disk, sector, zeros, part);
        sector += part / DISK_SECTOR, count -= part;
    }
    return error;
}

int disk_zero(struct disk *disk, uint64_t sector, size_t count)
{
    int error = check_change(disk, sector, count);
    if (!error)
        error = disk->ops->zero && !disk->memory ? disk->ops->zero(disk->self, sector, count)
                                                 : -EOPNOTSUPP;
    return error == -EOPNOTSUPP ? write_zeros(disk, sector, count) : error;
}

int disk_discard(struct disk *disk, uint64_t sector, size_t count)
{
    int error = check_change(disk, sector, count);
    if (!error && disk->ops->discard && !disk->memory)
        error = disk->ops->discard(disk->self, sector, count);
    return error == -EOPNOTSUPP ? 0 : error;
}

int disk_flush_file(struct disk *disk)
{
    return disk->readonly ? 0 : disk->away ? -EBUSY : disk->ops->flush(disk->self);
}

/* What is kept in memory is not in the file, so flushing that would keep nothing safer. */
int disk_flush(struct disk *disk)
{
    return disk->memory ? 0 : disk_flush_file(disk);
}

/* ---- written blocks in memory ------------------------------------------------------------- */

/* What was written before does not wait for a flush that never comes; to a disk that is away
 * nothing was. */
int disk_keep(struct disk *disk)
{
    if (disk->memory)
        return 0;
    int error = disk->away ? 0 : disk_flush_file(disk);
    if (!error)
        disk->memory = disk_memory_new(disk->sectors * DISK_SECTOR);
    return error ? error : disk->memory ? 0 : -ENOMEM;
}

struct disk_memory *disk_memory_of(const struct disk *disk)
{
    return disk->memory;
}

int disk_write_through(struct disk *disk)
{
    if (disk->away)
        return -EBUSY;
    int error = disk->memory ? disk_memory_write_through(disk->memory, write_behind, disk) : 0;
    return error ? error : disk_flush_file(disk);
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
    if (disk->away)
        return -EBUSY;
    return disk->ops->write(disk->self, at / DISK_SECTOR, bytes,
                            size - at < RAM_PAGE ? (size_t)(size - at) : RAM_PAGE);
}

/* ---- changing hands ----------------------------------------------------------------------- */

bool disk_is_away(const struct disk *disk)
{
    return disk->away;
}

/* What an image counts down only after a flush is written by the next one. */
int disk_settle(struct disk *disk)
{
    int error = disk_flush_file(disk);
    return error ? error : disk_flush_file(disk);
}

int disk_look(struct disk *disk, char *why)
{
    return disk->away && disk->ops->look ? disk->ops->look(disk->self, why) : 0;
}

int disk_take(struct disk *disk, char *why)
{
    int error = disk->away && disk->ops->take ? disk->ops->take(disk->self, why) : 0;
    if (!error)
        disk->away = false;
    return error;
}

void disk_give(struct disk *disk)
{
    if (disk->readonly || disk->away)
        return;
    disk->away = true;
    if (disk->ops->give)
        disk->ops->give(disk->self);
}

/* ---- raw images --------------------------------------------------------------------------- */

struct raw {
    int fd;
};

static int raw_read(void *self, uint64_t sector, void *bytes, size_t count)
{
    const struct raw *raw = self;
    off_t at = (off_t)(sector * DISK_SECTOR);
    for (uint8_t *to = bytes; count;) {
        ssize_t got = pread(raw->fd, to, count, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) /* 0: somebody has cut the file short meanwhile */
            return got < 0 ? -errno : -EIO;
        to += got, at += got, count -= (size_t)got;
    }
    return 0;
}

static int raw_write(void *self, uint64_t sector, const void *bytes, size_t count)
{
    const struct raw *raw = self;
    off_t at = (off_t)(sector * DISK_SECTOR);
    for (const uint8_t *from = bytes; count;) {
        ssize_t put = pwrite(raw->fd, from, count, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        from += put, at += put, count -= (size_t)put;
    }
    return 0;
}

/* A hole in the file reads as zeros. -EOPNOTSUPP: the host's file system has none. */
static int raw_punch(void *self, uint64_t sector, size_t count)
{
    const struct raw *raw = self;
    if (count && fallocate(raw->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           (off_t)(sector * DISK_SECTOR), (off_t)count))
        return -errno;
    return 0;
}

static int raw_flush(void *self)
{
    return fdatasync(((struct raw *)self)->fd) ? -errno : 0;
}

static int raw_descriptor(void *self, unsigned n)
{
    return n == 0 ? ((struct raw *)self)->fd : -1;
}

/* Does not wait for the host's disk: what the kernel has been given outlives this program. */
static int raw_close(void *self)
{
    struct raw *raw = self;
    int error = close(raw->fd) ? -errno : 0;
    free(raw);
    return error;
}

static const struct disk_ops RAW_OPS = {
    .read = raw_read,
    .write = raw_write,
    .zero = raw_punch,
    .discard = raw_punch,
    .flush = raw_flush,
    .descriptor = raw_descriptor,
    .close = raw_close,
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
    struct raw *raw = reason ? NULL : malloc(sizeof *raw);
    struct disk *disk =
        raw ? disk_new(&RAW_OPS, raw, (uint64_t)st.st_size / DISK_SECTOR, readonly) : NULL;
    if (!disk) {
        snprintf(why, DISK_ERROR, "%.400s: %s", path, reason ? reason : strerror(ENOMEM));
        free(raw);
        close(fd);
        return NULL;
    }
    *raw = (struct raw){fd};
    return disk;
}
