/* Snapshots as files: what touches the disk, each step announced to whoever watches. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC */
#endif
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/snapshot_priv.h"
#include "hv/storage.h"

enum { CHUNK = 1 << 20 };

static void announce(const struct snapshot_disk *d, const struct snapshot_step *step)
{
    if (d->step)
        d->step(d->context, step);
}

static int write_all(const struct snapshot_disk *d, int fd, const char *path, const uint8_t *bytes,
                     size_t count)
{
    while (count) {
        size_t part = count < CHUNK ? count : CHUNK;
        announce(d, &(struct snapshot_step){"write", path, NULL, fd, bytes, part});
        ssize_t put = write(fd, bytes, part);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        bytes += put;
        count -= (size_t)put;
    }
    announce(d, &(struct snapshot_step){"fsync", path, NULL, fd, NULL, 0});
    return fsync(fd) ? -errno : 0;
}

int snapshot_disk_flush_folder(const struct snapshot_disk *d, const char *path)
{
    char copy[RECORD_TEXT + 32];
    snprintf(copy, sizeof copy, "%s", path);
    const char *folder = dirname(copy);
    announce(d, &(struct snapshot_step){"fsync folder", folder, NULL, -1, NULL, 0});
    return storage_flush_folder(path);
}

int snapshot_disk_replace(const struct snapshot_disk *d, const char *path, const uint8_t *bytes,
                          size_t count)
{
    char aside[RECORD_TEXT + 32];
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside)
        return -ENAMETOOLONG;
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return -errno;
    int error = write_all(d, fd, aside, bytes, count);
    if (close(fd) && !error)
        error = -errno;
    if (!error) {
        announce(d, &(struct snapshot_step){"rename", aside, path, -1, NULL, 0});
        error = rename(aside, path) ? -errno : 0;
    }
    if (error)
        unlink(aside);
    return error ? error : snapshot_disk_flush_folder(d, path);
}

int snapshot_disk_remove(const struct snapshot_disk *d, const char *path)
{
    announce(d, &(struct snapshot_step){"unlink", path, NULL, -1, NULL, 0});
    return unlink(path) ? -errno : snapshot_disk_flush_folder(d, path);
}

uint8_t *snapshot_disk_read(const char *path, size_t most, size_t *count, uint64_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    int error = fstat(fd, &st)        ? errno
                : S_ISREG(st.st_mode) ? 0
                : S_ISDIR(st.st_mode) ? EISDIR
                                      : EINVAL;
    *size = error ? 0 : (uint64_t)st.st_size;
    size_t wanted = *size < most ? (size_t)*size : most;
    uint8_t *bytes = error ? NULL : malloc(wanted + 1);
    for (*count = 0; bytes && !error && *count < wanted;) {
        ssize_t got = read(fd, bytes + *count, wanted - *count);
        if (got == 0)
            break; /* somebody has cut it short meanwhile */
        if (got < 0 && errno != EINTR)
            error = errno;
        *count += got > 0 ? (size_t)got : 0;
    }
    error = error ? error : !bytes ? ENOMEM : 0;
    close(fd);
    if (!error)
        return bytes;
    free(bytes);
    errno = error;
    return NULL;
}
