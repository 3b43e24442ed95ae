/* Which format a disk image has, and disks made of qcow2 images. See disk-format.h. */
#include "hv/disk-format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
};

static const char *objection(const struct qcow2 *image)
{
    if (qcow2_size(image) == 0)
        return "the disk image is empty";
    if (qcow2_size(image) % DISK_SECTOR)
        return "the size of a disk image must be a multiple of 512 bytes";
    return NULL;
}

static struct disk *open_image(const char *path, bool readonly, char *why)
{
    struct qcow2 *image = qcow2_open(path, readonly ? QCOW2_READONLY : 0, why);
    if (!image)
        return NULL;
    const char *reason = objection(image);
    struct disk *disk =
        reason ? NULL : disk_new(&IMAGE_OPS, image, qcow2_size(image) / DISK_SECTOR, readonly);
    if (disk)
        return disk;
    snprintf(why, DISK_ERROR, "%.400s: %s", path, reason ? reason : strerror(ENOMEM));
    qcow2_close(image); /* nothing was written */
    return NULL;
}

/* ---- raw, with its first bytes guarded ----------------------------------------------------- */

static int raw_read(void *self, uint64_t sector, void *bytes, size_t count)
{
    return disk_read(self, sector, bytes, count);
}

static int raw_write(void *self, uint64_t sector, const void *bytes, size_t count)
{
    if (sector == 0 && count >= QCOW2_MAGIC_SIZE && qcow2_is_magic(bytes))
        return -EPERM;
    return disk_write(self, sector, bytes, count);
}

static int raw_zero(void *self, uint64_t sector, size_t count)
{
    return disk_zero(self, sector, count);
}

static int raw_discard(void *self, uint64_t sector, size_t count)
{
    return disk_discard(self, sector, count);
}

static int raw_flush(void *self)
{
    return disk_flush(self);
}

static int raw_descriptor(void *self, unsigned n)
{
    return disk_descriptor(self, n);
}

static int raw_close(void *self)
{
    return disk_close(self);
}

static const struct disk_ops RAW_OPS = {
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .flush = raw_flush,
    .descriptor = raw_descriptor,
    .close = raw_close,
};

static struct disk *open_raw(const char *path, bool readonly, char *why)
{
    struct disk *raw = disk_open(path, readonly, why);
    if (!raw || readonly)
        return raw;
    struct disk *disk = disk_new(&RAW_OPS, raw, disk_sectors(raw), false);
    if (!disk) {
        disk_close(raw); /* nothing was written */
        snprintf(why, DISK_ERROR, "%.400s: %s", path, strerror(ENOMEM));
    }
    return disk;
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

struct disk *disk_format_open(const char *path, bool readonly, char *why)
{
    return is_image(path) ? open_image(path, readonly, why) : open_raw(path, readonly, why);
}
