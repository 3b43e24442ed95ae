/*
 * A file of the host as storage. See storage.h.
 *
 * Locks are those that QEMU's block layer takes (its source, block/file-posix.c): byte 100 + p is
 * read-locked by whoever uses permission p, byte 200 + p by whoever does not let others use it. To
 * ask whether somebody does is to ask whether a write lock on that byte would be refused. Taking
 * first and asking then means that of two who come at once both may be refused, but never none.
 * The locks belong to the open file description (F_OFD_SETLK): unlike the older ones they are not
 * lost when some other part of the program opens and closes the same file.
 */
#include "config.h"

#include "hv/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    struct storage storage;
    int fd;
    dev_t device;
    ino_t inode;
};

static struct file *file_of(struct storage *storage)
{
    return (struct file *)storage;
}

/* ---- reading and writing ------------------------------------------------------------------ */

static int file_read(struct storage *storage, uint64_t at, void *bytes, size_t count)
{
    uint8_t *to = bytes;
    while (count) {
        ssize_t got = pread(file_of(storage)->fd, to, count, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0) {
            memset(to, 0, count);
            return 0;
        }
        to += got, at += (uint64_t)got, count -= (size_t)got;
    }
    return 0;
}

static int file_write(struct storage *storage, uint64_t at, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    while (count) {
        ssize_t put = pwrite(file_of(storage)->fd, from, count, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        from += put, at += (uint64_t)put, count -= (size_t)put;
    }
    return 0;
}

static int file_flush(struct storage *storage)
{
    return fdatasync(file_of(storage)->fd) ? -errno : 0;
}

static int file_size(struct storage *storage, uint64_t *size)
{
    struct stat st;
    if (fstat(file_of(storage)->fd, &st))
        return -errno;
    *size = (uint64_t)st.st_size;
    return 0;
}

static void file_close(struct storage *storage)
{
    storage_unlock_file(file_of(storage)->fd); /* a thread of ours may hold a copy of it */
    close(file_of(storage)->fd);
    free(storage);
}

static int file_descriptor(const struct storage *storage)
{
    return ((const struct file *)storage)->fd;
}

static void file_identity(struct storage *storage, uint64_t *device, uint64_t *inode)
{
    *device = file_of(storage)->device;
    *inode = file_of(storage)->inode;
}

/* ---- locks -------------------------------------------------------------------------------- */

enum { USES = 100, FORBIDS = 200 };                      /* the first byte of each row */
enum { READ = 1 << 0, WRITE = 1 << 1, RESIZE = 1 << 3 }; /* permissions */

static struct flock lock_of(short type, int first, int permission)
{
    int number = permission == READ ? 0 : permission == WRITE ? 1 : 3;
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = first + number, .l_len = 1};
}

static int take(int fd, int first, int permissions)
{
    for (int p = READ; p <= RESIZE; p <<= 1) {
        struct flock lock = lock_of(F_RDLCK, first, p);
        if (permissions & p && fcntl(fd, F_OFD_SETLK, &lock))
            return -errno;
    }
    return 0;
}

/* Does another hold any of these? */
static int refuse_if_held(int fd, int first, int permissions)
{
    for (int p = READ; p <= RESIZE; p <<= 1) {
        struct flock lock = lock_of(F_WRLCK, first, p);
        if (!(permissions & p))
            continue;
        if (fcntl(fd, F_OFD_GETLK, &lock))
            return -errno;
        if (lock.l_type != F_UNLCK)
            return -EBUSY;
    }
    return 0;
}

void storage_unlock_file(int fd)
{
    struct flock all = {
        .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = USES, .l_len = 2 * FORBIDS - USES};
    fcntl(fd, F_OFD_SETLK, &all); /* giving back does not fail */
}

/* Readers forbid writing, and a writer forbids other writers and, by writing, all readers. */
int storage_lock_file(int fd, bool readonly)
{
    int uses = readonly ? READ : READ | WRITE | RESIZE, forbids = WRITE | RESIZE;
    int error = take(fd, USES, uses);
    error = error ? error : take(fd, FORBIDS, forbids);
    error = error ? error : refuse_if_held(fd, USES, forbids);
    error = error ? error : refuse_if_held(fd, FORBIDS, uses);
    if (error)
        storage_unlock_file(fd);
    return error == -EAGAIN || error == -EACCES ? -EBUSY : error;
}

const char *storage_lock_error(int error)
{
    return error == -EBUSY ? "in use by another program, or by another disk of this one"
                           : strerror(-error);
}

static int file_lock(struct storage *storage)
{
    return storage_lock_file(file_of(storage)->fd, false);
}

static void file_unlock(struct storage *storage)
{
    storage_unlock_file(file_of(storage)->fd);
}

static const struct storage_ops FILE_OPS = {
    .read = file_read,
    .write = file_write,
    .flush = file_flush,
    .size = file_size,
    .close = file_close,
    .descriptor = file_descriptor,
    .identity = file_identity,
    .lock = file_lock,
    .unlock = file_unlock,
};

/* ---- opening ------------------------------------------------------------------------------ */

static struct storage *refuse(const char *path, const char *reason, char *why)
{
    snprintf(why, STORAGE_ERROR, "%.400s: %s", path, reason);
    return NULL;
}

enum use { READS, WRITES, LATER };

static struct storage *adopt(int fd, const char *path, enum use use, char *why)
{
    struct stat st;
    const char *reason = NULL;
    struct file *file = calloc(1, sizeof *file);
    int error = 0;
    if (!file || fstat(fd, &st))
        reason = strerror(file ? errno : ENOMEM);
    else if (!S_ISREG(st.st_mode))
        reason = "a disk image must be a regular file";
    else if (use != LATER && (error = storage_lock_file(fd, use == READS)) != 0)
        reason = storage_lock_error(error);
    if (reason) {
        close(fd);
        free(file);
        return refuse(path, reason, why);
    }
    file->storage.ops = &FILE_OPS;
    file->fd = fd;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return &file->storage;
}

/* A chain of images has a file open for each, and the soft limit of a process is often 1024: it is
 * there for old programs that use select(). True if more may be opened now. */
static bool raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static struct storage *refuse_full(const char *path, char *why)
{
    struct rlimit limit = {0};
    char reason[100];
    getrlimit(RLIMIT_NOFILE, &limit); /* it cannot fail: raise_limit() has asked before */
    snprintf(reason, sizeof reason,
             "one open file more than the %llu that this host allows (ulimit -Hn)",
             (unsigned long long)limit.rlim_cur);
    return refuse(path, reason, why);
}

static struct storage *open_for(const char *path, enum use use, char *why)
{
    /* Not blocking: opening a FIFO must not hang. */
    int flags = (use == READS ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags);
    if (fd < 0 && errno == EMFILE) {
        if (!raise_limit())
            return refuse_full(path, why);
        fd = open(path, flags);
    }
    return fd < 0 ? refuse(path, strerror(errno), why) : adopt(fd, path, use, why);
}

struct storage *storage_open(const char *path, bool readonly, char *why)
{
    return open_for(path, readonly ? READS : WRITES, why);
}

struct storage *storage_open_unlocked(const char *path, char *why)
{
    return open_for(path, LATER, why);
}

struct storage *storage_create(const char *path, char *why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd < 0 ? refuse(path, strerror(errno), why) : adopt(fd, path, WRITES, why);
}

int storage_read(struct storage *storage, uint64_t at, void *bytes, size_t count)
{
    return at > INT64_MAX - count ? -EIO : storage->ops->read(storage, at, bytes, count);
}

int storage_write(struct storage *storage, uint64_t at, const void *bytes, size_t count)
{
    return at > INT64_MAX - count ? -EFBIG : storage->ops->write(storage, at, bytes, count);
}

int storage_flush(struct storage *storage)
{
    return storage->ops->flush(storage);
}

int storage_size(struct storage *storage, uint64_t *size)
{
    return storage->ops->size(storage, size);
}

int storage_descriptor(const struct storage *storage)
{
    return storage->ops->descriptor(storage);
}

int storage_flush_folder(const char *path)
{
    char *copy = strdup(path); /* dirname() changes it */
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int error = fd < 0 || fsync(fd) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return error == -EINVAL ? 0 : error;
}

bool storage_is_same(struct storage *a, struct storage *b)
{
    uint64_t device[2] = {0, 0}, inode[2] = {0, 0};
    a->ops->identity(a, &device[0], &inode[0]);
    b->ops->identity(b, &device[1], &inode[1]);
    return inode[0] && device[0] == device[1] && inode[0] == inode[1];
}

int storage_lock(struct storage *storage)
{
    return storage->ops->lock ? storage->ops->lock(storage) : 0;
}

void storage_unlock(struct storage *storage)
{
    if (storage->ops->unlock)
        storage->ops->unlock(storage);
}

void storage_close(struct storage *storage)
{
    if (storage)
        storage->ops->close(storage);
}
