/* Who runs the guest: a file of one line, and locks. See fence.h. */
#include "config.h"

#include "hv/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hv/storage.h"

enum { STEP = 0, LIFE = 64, LINE = 14 + 20 + 1 + 16 + 1, TRY_MS = 5 };

/* ---- locks ---------------------------------------------------------------------------------- */

static int lock_byte(const struct fence *f, off_t at, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(f->fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* Asks again and again: a lock that one sleeps for cannot be given up after a time. */
static int lock_step(const struct fence *f, int patience_ms)
{
    for (int waited = 0;; waited += TRY_MS) {
        int error = lock_byte(f, STEP, F_WRLCK);
        if (error != -EAGAIN && error != -EACCES)
            return error;
        if (waited >= patience_ms)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
    }
}

static void unlock_step(const struct fence *f)
{
    lock_byte(f, STEP, F_UNLCK);
}

/* Does a program of any generation live? */
static int somebody_lives(const struct fence *f)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LIFE};
    if (fcntl(f->fd, F_OFD_GETLK, &lock))
        return -errno;
    return lock.l_type == F_UNLCK ? 0 : -EBUSY;
}

/* ---- the line, with the step's lock held ---------------------------------------------------- */

/* A file that is empty is at generation 0. */
static int read_line(const struct fence *f, uint64_t *generation, uint64_t *owner)
{
    char line[LINE + 2] = "", again[LINE + 2];
    ssize_t got = pread(f->fd, line, sizeof line - 1, 0);
    *generation = *owner = 0;
    if (got <= 0)
        return got ? -errno : 0;
    if (sscanf(line, "vitrine fence %20" SCNu64 " %16" SCNx64, generation, owner) != 2)
        return -EINVAL;
    snprintf(again, sizeof again, "vitrine fence %020" PRIu64 " %016" PRIx64 "\n", *generation,
             *owner);
    return strcmp(line, again) || *generation > INT64_MAX - LIFE - 1 ? -EINVAL : 0;
}

/* Writes the turn after `generation`, which is ours then. */
static int write_next(struct fence *f, uint64_t generation)
{
    char line[LINE + 1];
    struct fence next = {f->fd, generation + 1, 0};
    if (getrandom(&next.owner, sizeof next.owner, 0) != (ssize_t)sizeof next.owner)
        return -EIO;
    snprintf(line, sizeof line, "vitrine fence %020" PRIu64 " %016" PRIx64 "\n", next.generation,
             next.owner);
    int error = lock_byte(f, LIFE + (off_t)next.generation, F_WRLCK);
    if (error)
        return error == -EAGAIN ? -EBUSY : error;
    ssize_t put = pwrite(f->fd, line, LINE, 0);
    if (put != LINE || fsync(f->fd))
        return put < 0 || put == LINE ? -errno : -EIO;
    *f = next;
    return 0;
}

/* ---- the functions of fence.h --------------------------------------------------------------- */

/* A file may be lost in a crash as long as its folder is not flushed, and the turns with it. Who
 * has made it may have died before that: so whoever finds no line in it flushes the folder, and the
 * first line is written after that. */
int fence_open(struct fence *f, const char *path)
{
    struct stat st;
    *f = (struct fence){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600)};
    if (f->fd < 0)
        return -errno;
    int error = fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (!error && !st.st_size)
        error = storage_flush_folder(path);
    if (error)
        fence_close(f);
    return error;
}

void fence_close(struct fence *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int fence_begin(struct fence *f, int patience_ms)
{
    uint64_t generation, owner;
    int error = lock_step(f, patience_ms);
    if (error)
        return error;
    error = somebody_lives(f);
    error = error ? error : read_line(f, &generation, &owner);
    error = error ? error : write_next(f, generation);
    unlock_step(f);
    return error;
}

/* With the lock held: is it still the turn that we know? */
static int compare(const struct fence *f)
{
    uint64_t generation, owner;
    int error = read_line(f, &generation, &owner);
    return error ? error : generation == f->generation && owner == f->owner ? 0 : -ESTALE;
}

int fence_know(struct fence *f, uint64_t generation, uint64_t owner, int patience_ms)
{
    f->generation = generation;
    f->owner = owner;
    int error = fence_enter(f, patience_ms);
    if (!error)
        fence_leave(f);
    return error;
}

int fence_claim(struct fence *f, int patience_ms)
{
    int error = fence_enter(f, patience_ms);
    if (error)
        return error;
    error = write_next(f, f->generation);
    unlock_step(f);
    return error;
}

int fence_enter(struct fence *f, int patience_ms)
{
    int error = lock_step(f, patience_ms);
    if (error)
        return error;
    error = compare(f);
    if (error)
        unlock_step(f);
    return error;
}

void fence_leave(struct fence *f)
{
    unlock_step(f);
}
