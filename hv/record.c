/* A session as a file: writing and reading it. See record.h for the format. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkostemp */
#endif
#include "hv/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/state.h"
#include "hv/bytes.h"
#include "hv/session.h"
#include "hv/storage.h"

static const char MAGIC[8] = "VITRREC";

enum { ENTRY_BYTES = 25, FILE_MOST = 256 << 20 };

/* Each kind of entry: since which version, and up to what its `a` goes. */
static const struct {
    uint32_t version;
    uint64_t most;
} KINDS[RECORD_KINDS] = {
    [RECORD_INPUT] = {1, UINT8_MAX},    [RECORD_DIGEST] = {1, UINT64_MAX},
    [RECORD_RESET] = {1, UINT64_MAX},   [RECORD_END] = {1, UINT64_MAX},
    [RECORD_BALLOON] = {2, UINT32_MAX},
};

/* ---- life ----------------------------------------------------------------------------------- */

struct record *record_new(void)
{
    return calloc(1, sizeof(struct record));
}

void record_free(struct record *r)
{
    if (r)
        free(r->entry);
    free(r);
}

bool record_add(struct record *r, struct record_entry entry)
{
    if (r->count == r->room) {
        size_t room = r->room * 2 + 256;
        struct record_entry *grown = realloc(r->entry, room * sizeof *grown);
        if (!grown)
            return false;
        r->entry = grown;
        r->room = room;
    }
    r->entry[r->count++] = entry;
    return true;
}

static int fail(char *why, const char *path, int error)
{
    snprintf(why, RECORD_ERROR, "%.400s: %s", path, strerror(-error));
    return error;
}

int record_look_at(struct record_file *file, const char *path, char *why)
{
    static const size_t SIZE = 1 << 16;
    struct digest digest;
    *file = (struct record_file){0};
    if (strlen(path) >= sizeof file->path)
        return fail(why, path, -ENAMETOOLONG);
    uint8_t *bytes = malloc(SIZE);
    int fd = bytes ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    ssize_t got = fd < 0 ? -1 : 0;
    digest_init(&digest);
    while (fd >= 0 && (got = read(fd, bytes, SIZE)) > 0) {
        digest_bytes(&digest, bytes, (size_t)got);
        file->size += (uint64_t)got;
    }
    int error = got < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(bytes);
    if (error)
        return fail(why, path, error);
    strcpy(file->path, path);
    file->digest = digest.value;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_file(struct state_buffer *b, const struct record_file *file)
{
    bytes_put_text(b, file->path);
    bytes_put(b, file->size, 8);
    bytes_put(b, file->digest, 8);
}

static uint64_t checksum(const uint8_t *bytes, size_t count)
{
    struct digest digest;
    digest_init(&digest);
    digest_bytes(&digest, bytes, count);
    return digest.value;
}

static uint32_t version_of(const struct record *r)
{
    uint32_t version = 1;
    for (size_t i = 0; i < r->count; i++)
        if (KINDS[r->entry[i].kind].version > version)
            version = KINDS[r->entry[i].kind].version;
    return version;
}

static void serialise(const struct record *r, struct state_buffer *b)
{
    state_buffer_add(b, MAGIC, sizeof MAGIC);
    bytes_put(b, version_of(r), 4);
    bytes_put(b, r->under, 1);
    bytes_put(b, r->misaligned_trap, 1);
    bytes_put(b, r->ad_trap, 1);
    bytes_put(b, r->disk_readonly, 1);
    bytes_put(b, r->no_reboot, 1);
    bytes_put(b, r->virtio_console, 1);
    bytes_put(b, r->rng, 1);
    bytes_put(b, r->balloon, 1);
    bytes_put(b, r->rng_seed, 8);
    bytes_put(b, r->balloon_pages, 4);
    bytes_put(b, r->memory, 8);
    bytes_put(b, r->max_instructions, 8);
    bytes_put_text(b, r->kernel_args);
    put_file(b, &r->image);
    put_file(b, &r->disk);
    bytes_put(b, r->count, 4);
    for (size_t i = 0; i < r->count; i++) {
        const struct record_entry *e = &r->entry[i];
        bytes_put(b, e->kind, 1);
        bytes_put(b, e->instruction, 8);
        bytes_put(b, e->a, 8);
        bytes_put(b, e->b, 8);
    }
    if (!b->failed)
        bytes_put(b, checksum(b->bytes, b->count), 8);
}

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t put = write(fd, bytes, count);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        bytes += put;
        count -= (size_t)put;
    }
    return fsync(fd) ? -errno : 0;
}

static int write_aside(const char *path, const struct state_buffer *b)
{
    char aside[RECORD_TEXT + 16];
    snprintf(aside, sizeof aside, "%s.XXXXXX", path);
    int fd = mkostemp(aside, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fchmod(fd, 0644) ? -errno : write_all(fd, b->bytes, b->count);
    if (close(fd) && !error)
        error = -errno;
    if (!error && rename(aside, path))
        error = -errno;
    if (error)
        unlink(aside);
    return error ? error : storage_flush_folder(path);
}

/* A device, say, must not be. */
int record_may_replace(const char *path, char *why)
{
    struct stat st;
    if (stat(path, &st) || S_ISREG(st.st_mode))
        return 0;
    snprintf(why, RECORD_ERROR, "%.400s: not a regular file", path);
    return -EEXIST;
}

int record_write(const struct record *r, const char *path, char *why)
{
    struct state_buffer b = {0};
    if (strlen(path) >= RECORD_TEXT)
        return fail(why, path, -ENAMETOOLONG);
    int refused = record_may_replace(path, why);
    if (refused)
        return refused;
    serialise(r, &b);
    int error = b.failed ? -ENOMEM : write_aside(path, &b);
    state_buffer_free(&b);
    return error ? fail(why, path, error) : 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void take_file(struct bytes_reader *r, struct record_file *file)
{
    bytes_take_text(r, file->path, RECORD_TEXT);
    file->size = bytes_take(r, 8);
    file->digest = bytes_take(r, 8);
}

static void take_configuration(struct bytes_reader *r, struct record *out)
{
    out->under = (uint8_t)bytes_take(r, 1);
    out->misaligned_trap = bytes_take(r, 1) & 1;
    out->ad_trap = bytes_take(r, 1) & 1;
    out->disk_readonly = bytes_take(r, 1) & 1;
    out->no_reboot = bytes_take(r, 1) & 1;
    out->virtio_console = bytes_take(r, 1) & 1;
    out->rng = bytes_take(r, 1) & 1;
    out->balloon = bytes_take(r, 1) & 1;
    out->rng_seed = bytes_take(r, 8);
    out->balloon_pages = (uint32_t)bytes_take(r, 4);
    out->memory = bytes_take(r, 8);
    out->max_instructions = bytes_take(r, 8);
    bytes_take_text(r, out->kernel_args, RECORD_TEXT);
    take_file(r, &out->image);
    take_file(r, &out->disk);
}

/* Entries come in the order of the run, and the last is the end. */
static const char *take_entries(struct bytes_reader *r, struct record *out, uint64_t version)
{
    uint64_t count = bytes_take(r, 4), position = 0;
    if (r->torn || count * ENTRY_BYTES != r->count - r->at)
        return "torn: entries are missing";
    for (uint64_t i = 0; i < count; i++) {
        struct record_entry e = {.kind = (uint8_t)bytes_take(r, 1)};
        e.instruction = bytes_take(r, 8);
        e.a = bytes_take(r, 8);
        e.b = bytes_take(r, 8);
        bool last = i + 1 == count;
        bool known = e.kind < RECORD_KINDS && KINDS[e.kind].version <= version;
        if (!known || e.instruction < position || last != (e.kind == RECORD_END) ||
            e.a > KINDS[e.kind].most || (last && (e.a & UINT8_MAX) >= RECORD_ENDS))
            return "damaged: its entries make no sense";
        position = e.kind == RECORD_RESET ? 0 : e.instruction;
        if (!record_add(out, e))
            return "the host has no memory left";
    }
    return count ? NULL : "damaged: it has no end";
}

static const char *parse(struct bytes_reader *r, struct record *out)
{
    if (r->count < sizeof MAGIC || memcmp(r->bytes, MAGIC, sizeof MAGIC))
        return "this is no record of a session";
    r->at = sizeof MAGIC;
    uint64_t version = bytes_take(r, 4);
    if (!r->torn && version > RECORD_VERSION)
        return "recorded by a newer version of this program";
    if (r->torn || version < 1 || r->count - r->at < 8)
        return "torn: it ends too early";
    struct bytes_reader sum = {r->bytes, r->count, r->count - 8, false};
    if (bytes_take(&sum, 8) != checksum(r->bytes, r->count - 8))
        return "torn or damaged: its checksum is wrong";
    r->count -= 8;
    take_configuration(r, out);
    if (r->torn || out->under > SESSION_HV || !*out->image.path)
        return "damaged: its configuration makes no sense";
    return take_entries(r, out, version);
}

struct record *record_parse(const uint8_t *bytes, size_t count, char *why)
{
    struct bytes_reader r = {bytes, count, 0, false};
    struct record *out = record_new();
    const char *objection = out ? parse(&r, out) : "the host has no memory left";
    if (!objection)
        return out;
    snprintf(why, RECORD_ERROR, "%s", objection);
    record_free(out);
    return NULL;
}

/* Why this file is not read, or NULL. */
static const char *objection(int fd, struct stat *st)
{
    if (fstat(fd, st))
        return strerror(errno);
    return S_ISDIR(st->st_mode)      ? strerror(EISDIR)
           : !S_ISREG(st->st_mode)   ? "not a regular file"
           : st->st_size > FILE_MOST ? "too large for a record"
                                     : NULL;
}

/* The bytes of a file, malloc()ed; NULL and the reason. */
static uint8_t *read_file(const char *path, size_t *count, const char **reason)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *reason = fd < 0 ? strerror(errno) : objection(fd, &st);
    uint8_t *bytes = *reason ? NULL : malloc((size_t)st.st_size + 1);
    ssize_t got = 1;
    *count = 0;
    while (bytes && got > 0 && *count < (size_t)st.st_size) {
        got = read(fd, bytes + *count, (size_t)st.st_size - *count);
        *count += got > 0 ? (size_t)got : 0;
    }
    if (!*reason && (!bytes || got < 0))
        *reason = strerror(bytes ? errno : ENOMEM);
    if (fd >= 0)
        close(fd);
    if (!*reason)
        return bytes;
    free(bytes);
    return NULL;
}

struct record *record_read(const char *path, char *why)
{
    size_t count;
    char damage[RECORD_ERROR];
    const char *reason;
    uint8_t *bytes = read_file(path, &count, &reason);
    if (!bytes) {
        snprintf(why, RECORD_ERROR, "%.400s: %s", path, reason);
        return NULL;
    }
    struct record *r = record_parse(bytes, count, damage);
    if (!r)
        snprintf(why, RECORD_ERROR, "%.300s: %.200s", path, damage);
    free(bytes);
    return r;
}
