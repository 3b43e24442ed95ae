/* Which format a disk image has, and disks made of qcow2 images. See disk-format.h. */
#include "hv/disk-format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/qcow2.h"

_Static_assert((int)DISK_ERROR >= (int)QCOW2_ERROR, "a reason fits");

/* ---- qcow2 -------------------------------------------------------------------------------- */

static int image_read(void *self, uint64_t sector, void *bytes, size_t count)
{
    return qcow2_read(self, sector * DISK_SECTOR, bytes, count);
}

static int image_write(void *self, uint64_t sector, const void *bytes, size_t count)
{
    return qcow2_write(self, sector * DISK_SECTOR, bytes, count);
}

static int image_zero(void *self, uint64_t sector, size_t count)
{
    return qcow2_zero(self, sector * DISK_SECTOR, count);
}

static int image_discard(void *self, uint64_t sector, size_t count)
{
    return qcow2_discard(self, sector * DISK_SECTOR, count);
}

static int image_flush(void *self)
{
    return qcow2_flush(self);
}

static int image_descriptor(void *self, unsigned n)
{
    return qcow2_descriptor(self, n);
}

static const char *image_file(void *self, unsigned n)
{
    return qcow2_file(self, n);
}

static int image_find(void *self, uint64_t sector)
{
    struct qcow2_place place;
    int error = qcow2_find(self, sector * DISK_SECTOR, &place);
    if (error)
        return error;
    return (int)(place.kind == QCOW2_NOWHERE ? qcow2_depth(self) : place.depth);
}

static int image_close(void *self)
{
    return qcow2_close(self);
}

/* `why` gets what is wrong with the image, if that is why. */
static int explain(struct qcow2 *image, int error, char *why)
{
    if (error)
        snprintf(why, DISK_ERROR, "%s", qcow2_trouble(image));
    return error;
}

static int image_look(void *self, char *why)
{
    return explain(self, qcow2_look(self), why);
}

static int image_take(void *self, char *why)
{
    return explain(self, qcow2_take(self), why);
}

static void image_give(void *self)
{
    qcow2_give(self);
}

static const struct disk_ops IMAGE_OPS = {
    .read = image_read,
    .write = image_write,
    .zero = image_zero,
    .discard = image_discard,
    .flush = image_flush,
    .descriptor = image_descriptor,
    .file = image_file,
    .find = image_find,
    .close = image_close,
    .look = image_look,
    .take = image_take,
    .give = image_give,
};

static const char *objection(const struct qcow2 *image)
{
    if (qcow2_size(image) == 0)
        return "the disk image is empty";
    if (qcow2_size(image) % DISK_SECTOR)
        return "the size of a disk image must be a multiple of 512 bytes";
    return NULL;
}

/* What is to become of a file. */
enum use {
    READS,    /* it is read */
    WRITES,   /* and written */
    LATER,    /* the same, when another program has done with it */
    DISCARDS, /* it is read, and the disk is written */
};

static struct disk *new_disk(const struct disk_ops *ops, void *self, uint64_t sectors, enum use use)
{
    return use == LATER ? disk_new_away(ops, self, sectors)
                        : disk_new(ops, self, sectors, use == READS);
}

static struct disk *open_image(const char *path, enum use use, char *why)
{
    static const unsigned flags[] = {
        [READS] = QCOW2_READONLY, [WRITES] = 0, [LATER] = QCOW2_AWAY, [DISCARDS] = QCOW2_READONLY};
    struct qcow2 *image = qcow2_open(path, flags[use], why);
    if (!image)
        return NULL;
    const char *reason = objection(image);
    struct disk *disk =
        reason ? NULL : new_disk(&IMAGE_OPS, image, qcow2_size(image) / DISK_SECTOR, use);
    if (disk)
        return disk;
    snprintf(why, DISK_ERROR, "%.400s: %s", path, reason ? reason : strerror(ENOMEM));
    qcow2_close(image); /* nothing was written */
    return NULL;
}

/* ---- raw, locked, with its first bytes guarded ---------------------------------------------- */

struct raw {
    struct disk *file;
    char path[400]; /* for messages */
};

static struct disk *file_of(void *self)
{
    return ((struct raw *)self)->file;
}

static int raw_read(void *self, uint64_t sector, void *bytes, size_t count)
{
    return disk_read(file_of(self), sector, bytes, count);
}

static int raw_write(void *self, uint64_t sector, const void *bytes, size_t count)
{
    if (sector == 0 && count >= QCOW2_MAGIC_SIZE && qcow2_is_magic(bytes))
        return -EPERM;
    return disk_write(file_of(self), sector, bytes, count);
}

static int raw_zero(void *self, uint64_t sector, size_t count)
{
    return disk_zero(file_of(self), sector, count);
}

static int raw_discard(void *self, uint64_t sector, size_t count)
{
    return disk_discard(file_of(self), sector, count);
}

static int raw_flush(void *self)
{
    return disk_flush(file_of(self));
}

static int raw_descriptor(void *self, unsigned n)
{
    return disk_descriptor(file_of(self), n);
}

static int raw_close(void *self)
{
    struct raw *raw = self;
    storage_unlock_file(disk_descriptor(raw->file, 0)); /* a thread may hold a copy of it */
    int error = disk_close(raw->file);
    free(raw);
    return error;
}

static int lock_raw(const struct raw *raw, bool readonly, char *why)
{
    int error = storage_lock_file(disk_descriptor(raw->file, 0), readonly);
    if (error)
        snprintf(why, DISK_ERROR, "%s: %s", raw->path, storage_lock_error(error));
    return error;
}

/* There is nothing to be known of a raw image but its size. */
static int raw_look(void *self, char *why)
{
    const struct raw *raw = self;
    struct stat st;
    int error = fstat(disk_descriptor(raw->file, 0), &st) ? -errno : 0;
    bool differs = !error && (uint64_t)st.st_size / DISK_SECTOR != disk_sectors(raw->file);
    if (error || differs)
        snprintf(why, DISK_ERROR, "%s: %s", raw->path,
                 error ? strerror(-error) : "its size is not what it was");
    return differs ? -EINVAL : error;
}

static int raw_take(void *self, char *why)
{
    const struct raw *raw = self;
    int error = lock_raw(raw, false, why);
    if (error)
        return error;
    error = raw_look(self, why);
    if (error)
        storage_unlock_file(disk_descriptor(raw->file, 0));
    return error;
}

static void raw_give(void *self)
{
    storage_unlock_file(disk_descriptor(file_of(self), 0));
}

static const struct disk_ops RAW_OPS = {
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .flush = raw_flush,
    .descriptor = raw_descriptor,
    .close = raw_close,
    .look = raw_look,
    .take = raw_take,
    .give = raw_give,
};

static struct disk *open_raw(const char *path, enum use use, char *why)
{
    bool readonly = use == READS || use == DISCARDS;
    struct raw *raw = calloc(1, sizeof *raw);
    if (!raw) {
        snprintf(why, DISK_ERROR, "%.400s: %s", path, strerror(ENOMEM));
        return NULL;
    }
    snprintf(raw->path, sizeof raw->path, "%s", path);
    raw->file = disk_open(path, readonly, why);
    struct disk *disk = NULL;
    if (raw->file && (use == LATER || !lock_raw(raw, readonly, why))) {
        disk = new_disk(&RAW_OPS, raw, disk_sectors(raw->file), use);
        if (!disk)
            snprintf(why, DISK_ERROR, "%s: %s", raw->path, strerror(ENOMEM));
    }
    if (disk)
        return disk;
    if (raw->file)
        disk_close(raw->file); /* nothing was written */
    free(raw);
    return NULL;
}

/* What cannot be looked at is left to who opens it, to say why. */
static bool is_image(const char *path)
{
    char magic[QCOW2_MAGIC_SIZE] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool whole = pread(fd, magic, sizeof magic, 0) == sizeof magic;
    close(fd);
    return whole && qcow2_is_magic(magic);
}

static struct disk *open_for(const char *path, enum use use, char *why)
{
    return is_image(path) ? open_image(path, use, why) : open_raw(path, use, why);
}

struct disk *disk_format_open(const char *path, bool readonly, char *why)
{
    return open_for(path, readonly ? READS : WRITES, why);
}

struct disk *disk_format_open_away(const char *path, bool readonly, char *why)
{
    return open_for(path, readonly ? READS : LATER, why);
}

struct disk *disk_format_open_discard(const char *path, bool readonly, char *why)
{
    return open_for(path, readonly ? READS : DISCARDS, why);
}
