/* A session directory: the snapshots in it, and what can be done with them. See snapshot.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC */
#endif
#include "hv/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hv/snapshot_priv.h"

enum { HEAD_BYTES = 65536 };

struct snapshot_dir {
    char path[RECORD_TEXT];
    int lock; /* descriptor of the locked file; -1: only reading */
    struct snapshot_disk disk;
    struct snapshot_config *config;
    struct snapshot_about *about; /* ascending ids */
    int count, room;
    int last_id; /* the highest ever seen here */
};

enum { PATH_BYTES = RECORD_TEXT + 32 };

static void file_path(const struct snapshot_dir *d, int id, char out[PATH_BYTES])
{
    if (id)
        snprintf(out, PATH_BYTES, "%s/snapshot-%d", d->path, id);
    else
        snprintf(out, PATH_BYTES, "%s/session", d->path);
}

/* The line of an -errno that has no line of its own. */
static int fail(const struct snapshot_dir *d, int id, int error, char *why)
{
    char path[PATH_BYTES];
    file_path(d, id, path);
    snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", path, strerror(-error));
    return error;
}

static int refuse(const struct snapshot_dir *d, int id, const char *reason, char *why)
{
    char path[PATH_BYTES];
    file_path(d, id, path);
    snprintf(why, SNAPSHOT_ERROR, "%.300s: %.200s", path, reason);
    return -EINVAL;
}

/* ---- the list ------------------------------------------------------------------------------- */

static int place_of(const struct snapshot_dir *d, int id)
{
    int at = 0;
    while (at < d->count && d->about[at].id < id)
        at++;
    return at;
}

static struct snapshot_about *find(const struct snapshot_dir *d, int id)
{
    int at = place_of(d, id);
    return at < d->count && d->about[at].id == id ? &d->about[at] : NULL;
}

/* Enters it, in the place of one with the same id. */
static int list(struct snapshot_dir *d, const struct snapshot_about *about)
{
    struct snapshot_about *old = find(d, about->id);
    if (old) {
        *old = *about;
        return 0;
    }
    if (d->count == d->room) {
        int room = d->room * 2 + 16;
        struct snapshot_about *grown = realloc(d->about, (size_t)room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        d->about = grown;
        d->room = room;
    }
    int at = place_of(d, about->id);
    memmove(&d->about[at + 1], &d->about[at], (size_t)(d->count - at) * sizeof *d->about);
    d->about[at] = *about;
    d->count++;
    if (about->id > d->last_id)
        d->last_id = about->id;
    return 0;
}

static void unlist(struct snapshot_dir *d, int id)
{
    int at = place_of(d, id);
    d->count--;
    memmove(&d->about[at], &d->about[at + 1], (size_t)(d->count - at) * sizeof *d->about);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* "snapshot-12" is 12; 0: it is another file. */
static int id_of(const char *name)
{
    char again[32];
    long id = strncmp(name, "snapshot-", 9) ? 0 : strtol(name + 9, NULL, 10);
    if (id < 1 || id > INT32_MAX - 1)
        return 0;
    snprintf(again, sizeof again, "snapshot-%ld", id);
    return strcmp(again, name) ? 0 : (int)id;
}

/* What the beginning of the file says, or what is wrong with it. */
static void look_at(const struct snapshot_dir *d, int id, struct snapshot_about *about)
{
    char path[PATH_BYTES], why[SNAPSHOT_ERROR] = "";
    size_t count = 0;
    uint64_t size = 0;
    file_path(d, id, path);
    *about = (struct snapshot_about){.id = id};
    uint8_t *bytes = snapshot_disk_read(path, HEAD_BYTES, &count, &size);
    if (!bytes)
        snprintf(why, sizeof why, "%s", strerror(errno));
    else if (!snapshot_parse_about(bytes, count, about, NULL, why)) {
        if (about->id != id)
            snprintf(why, sizeof why, "it is the file of snapshot %d", about->id);
        else if (about->file_bytes != size)
            snprintf(why, sizeof why, "torn: the file has not the size that it should have");
        else if (d->config && about->config != snapshot_config_digest(d->config))
            snprintf(why, sizeof why, "it belongs to another session");
    }
    free(bytes);
    about->id = id;
    if (*why)
        *about = (struct snapshot_about){.id = id};
    if (*why)
        refuse(d, id, why, about->damage);
}

/* A snapshot whose parent is not there cannot be put together. */
static void check_parents(struct snapshot_dir *d)
{
    char text[80];
    for (int i = 0; i < d->count; i++) {
        struct snapshot_about *a = &d->about[i];
        const struct snapshot_about *parent = a->parent ? find(d, a->parent) : NULL;
        snprintf(text, sizeof text, "it stands on snapshot %d, which is %s", a->parent,
                 parent ? "damaged" : "missing");
        if (!*a->damage && a->parent && (!parent || *parent->damage))
            refuse(d, a->id, text, a->damage);
    }
}

static int read_config(struct snapshot_dir *d, char *why)
{
    char path[PATH_BYTES], line[SNAPSHOT_ERROR] = "";
    struct snapshot_about about;
    size_t count;
    uint64_t size;
    file_path(d, 0, path);
    uint8_t *bytes = snapshot_disk_read(path, HEAD_BYTES, &count, &size);
    if (!bytes)
        return errno == ENOENT ? 0 : fail(d, 0, -errno, why);
    d->config = malloc(sizeof *d->config);
    int error = d->config ? snapshot_parse_about(bytes, count, &about, d->config, line) : -ENOMEM;
    free(bytes);
    return error == -ENOMEM ? fail(d, 0, error, why) : error ? refuse(d, 0, line, why) : 0;
}

/* Lists the snapshots; whoever may write sweeps away what a crash has left half written. */
static int read_folder(struct snapshot_dir *d, char *why)
{
    DIR *folder = opendir(d->path);
    struct dirent *entry;
    int error = folder ? 0 : -errno;
    while (!error && (entry = readdir(folder))) {
        struct snapshot_about about;
        char path[PATH_BYTES + 256];
        const char *end = strrchr(entry->d_name, '.');
        int id = id_of(entry->d_name);
        snprintf(path, sizeof path, "%s/%s", d->path, entry->d_name);
        if (d->lock >= 0 && end && !strcmp(end, ".new"))
            unlink(path);
        if (!id)
            continue;
        look_at(d, id, &about);
        error = d->count < SNAPSHOT_FILES ? list(d, &about) : -E2BIG;
    }
    if (folder)
        closedir(folder);
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", d->path, strerror(-error));
    return error;
}

static int lock_folder(struct snapshot_dir *d, char *why)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/lock", d->path);
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    int error = d->lock < 0 || flock(d->lock, LOCK_EX | LOCK_NB) ? -errno : 0;
    if (error == -EWOULDBLOCK) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: another program writes there", d->path);
        return -EBUSY;
    }
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", path, strerror(-error));
    return error;
}

static int make_folder(struct snapshot_dir *d, enum snapshot_open how, char *why)
{
    struct stat st;
    if (how == SNAPSHOT_CREATE && mkdir(d->path, 0777) && errno != EEXIST) {
        int error = -errno;
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", d->path, strerror(-error));
        return error;
    }
    int error = stat(d->path, &st) ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", d->path, strerror(-error));
    return error ? error : how ? lock_folder(d, why) : 0;
}

struct snapshot_dir *snapshot_dir_open(const char *path, enum snapshot_open how, char *why)
{
    struct snapshot_dir *d = calloc(1, sizeof *d);
    if (!d || !*path || strlen(path) >= sizeof d->path) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", path, strerror(d ? ENAMETOOLONG : ENOMEM));
        free(d);
        return NULL;
    }
    strcpy(d->path, path);
    d->lock = -1;
    int error = make_folder(d, how, why);
    error = error ? error : read_config(d, why);
    error = error ? error : read_folder(d, why);
    if (!error && !d->config && (d->count || !how)) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: this is no session directory", path);
        error = -EINVAL;
    }
    if (error) {
        snapshot_dir_close(d);
        return NULL;
    }
    check_parents(d);
    return d;
}

void snapshot_dir_close(struct snapshot_dir *d)
{
    if (!d)
        return;
    if (d->lock >= 0)
        close(d->lock);
    free(d->config);
    free(d->about);
    free(d);
}

void snapshot_dir_watch(struct snapshot_dir *d, snapshot_step_fn step, void *context)
{
    d->disk = (struct snapshot_disk){step, context};
}

/* ---- questions ------------------------------------------------------------------------------ */

const char *snapshot_dir_path(const struct snapshot_dir *d)
{
    return d->path;
}

const struct snapshot_config *snapshot_dir_config(const struct snapshot_dir *d)
{
    return d->config;
}

int snapshot_dir_count(const struct snapshot_dir *d)
{
    return d->count;
}

const struct snapshot_about *snapshot_dir_at(const struct snapshot_dir *d, int index)
{
    return index >= 0 && index < d->count ? &d->about[index] : NULL;
}

const struct snapshot_about *snapshot_dir_find(const struct snapshot_dir *d, int id)
{
    return find(d, id);
}

int snapshot_dir_named(const struct snapshot_dir *d, const char *text, char *why)
{
    int found = 0, count = 0;
    char *end;
    long number = strtol(text, &end, 10);
    if (*text && !*end && number > 0 && number <= INT32_MAX && find(d, (int)number))
        return (int)number;
    for (int i = 0; i < d->count; i++)
        if (*text && !strcmp(d->about[i].name, text)) {
            found = d->about[i].id;
            count++;
        }
    if (count == 1)
        return found;
    snprintf(why, SNAPSHOT_ERROR, "%.300s: %s '%.100s'", d->path,
             count ? "several snapshots have the name" : "there is no snapshot", text);
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int may_write(const struct snapshot_dir *d, char *why)
{
    if (d->lock >= 0)
        return 0;
    snprintf(why, SNAPSHOT_ERROR, "%.400s: it was opened for reading only", d->path);
    return -EROFS;
}

static int write_file(struct snapshot_dir *d, struct snapshot_file *s, const char *path, char *why)
{
    struct state_buffer b = {0};
    int error = snapshot_serialise(s, &b);
    if (!error)
        error = snapshot_disk_replace(&d->disk, path, b.bytes, b.count);
    state_buffer_free(&b);
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: cannot write: %s", path, strerror(-error));
    return error;
}

/* As about.id says, and into the list. */
static int write_snapshot(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    char path[PATH_BYTES];
    s->about.config = snapshot_config_digest(d->config);
    file_path(d, s->about.id, path);
    int error = write_file(d, s, path, why);
    if (!error && list(d, &s->about))
        error = fail(d, s->about.id, -ENOMEM, why);
    return error;
}

int snapshot_dir_configure(struct snapshot_dir *d, const struct snapshot_config *config, char *why)
{
    char path[PATH_BYTES];
    if (d->config && snapshot_config_digest(d->config) != snapshot_config_digest(config))
        return refuse(d, 0, snapshot_config_difference(d->config, config), why);
    int error = d->config ? 0 : may_write(d, why);
    if (d->config || error)
        return error;
    struct snapshot_file *s = snapshot_new();
    d->config = malloc(sizeof *d->config);
    struct snapshot_config *copy = s ? malloc(sizeof *copy) : NULL;
    if (s)
        s->config = copy;
    error = d->config && copy ? 0 : fail(d, 0, -ENOMEM, why);
    if (!error) {
        *copy = *d->config = *config;
        bytes_put(&s->tables, 0, 1); /* a snapshot of nothing */
        file_path(d, 0, path);
        error = write_file(d, s, path, why);
    }
    if (error) {
        free(d->config);
        d->config = NULL;
    }
    snapshot_free(s);
    return error;
}

int snapshot_dir_add(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    int error = may_write(d, why);
    if (error)
        return error;
    if (!d->config || d->count >= SNAPSHOT_FILES || d->last_id >= INT32_MAX - 1)
        return fail(d, 0, d->config ? -ENOSPC : -EINVAL, why);
    s->about.id = d->last_id + 1;
    if (!s->about.time) /* one that is imported has been taken before */
        s->about.time = (uint64_t)time(NULL);
    error = write_snapshot(d, s, why);
    return error ? error : s->about.id;
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct snapshot_file *load_one(struct snapshot_dir *d, int id, char *why)
{
    char path[PATH_BYTES], line[SNAPSHOT_ERROR] = "";
    const struct snapshot_about *about = find(d, id);
    size_t count;
    uint64_t size;
    if (!about || *about->damage) {
        if (about)
            snprintf(why, SNAPSHOT_ERROR, "%s", about->damage);
        else
            snprintf(why, SNAPSHOT_ERROR, "%.400s: there is no snapshot %d", d->path, id);
        return NULL;
    }
    file_path(d, id, path);
    uint8_t *bytes = snapshot_disk_read(path, SIZE_MAX - 1, &count, &size);
    if (!bytes) {
        fail(d, id, -errno, why);
        return NULL;
    }
    struct snapshot_file *s = snapshot_parse(bytes, count, line);
    if (s && (s->about.id != id || s->about.config != about->config)) {
        snprintf(line, sizeof line, "another program has replaced it");
        snapshot_free(s);
        s = NULL;
    }
    if (!s)
        refuse(d, id, line, why);
    return s;
}

/* Those pages of `below` that `part` has not; both are in order. */
static void take_missing(struct snapshot_file *s, struct snapshot_part *part,
                         const struct snapshot_part *below)
{
    uint32_t own = part->count, at = 0;
    for (uint32_t i = 0; i < below->count; i++) {
        while (at < own && part->page[at].index < below->page[i].index)
            at++;
        if (at == own || part->page[at].index != below->page[i].index)
            snapshot_add_page(s, part, below->page[i].index, below->page[i].bytes);
    }
}

/* `s` gets what only `below` has, and keeps `below`, in which those pages are. */
static int stand_alone(struct snapshot_dir *d, struct snapshot_file *s, struct snapshot_file *below,
                       char *why)
{
    struct snapshot_file **last = &s->below;
    while (*last)
        last = &(*last)->below;
    *last = below;
    if (s->parts != below->parts)
        return refuse(d, s->about.id, "it does not fit to the one it stands on", why);
    for (unsigned i = 0; i < s->parts; i++) {
        const struct snapshot_part *from = snapshot_find_part(below, s->part[i].name);
        if (!from || from->size != s->part[i].size || from->unit != s->part[i].unit)
            return refuse(d, s->about.id, "it does not fit to the one it stands on", why);
        take_missing(s, &s->part[i], from);
    }
    snapshot_sort(s);
    return s->failed ? fail(d, s->about.id, -ENOMEM, why) : 0;
}

struct snapshot_file *snapshot_dir_load(struct snapshot_dir *d, int id, bool whole, char *why)
{
    struct snapshot_file *s = load_one(d, id, why);
    int parent = s && whole ? s->about.parent : 0;
    while (s && parent) {
        struct snapshot_file *below = load_one(d, parent, why);
        parent = below ? below->about.parent : 0;
        if (below && !stand_alone(d, s, below, why))
            continue;
        snapshot_free(s);
        return NULL;
    }
    return s;
}

/* ---- deleting and merging ------------------------------------------------------------------- */

static int remove_file(struct snapshot_dir *d, int id, char *why)
{
    char path[PATH_BYTES];
    file_path(d, id, path);
    int error = snapshot_disk_remove(&d->disk, path);
    if (error)
        return fail(d, id, error, why);
    unlist(d, id);
    return 0;
}

/* Snapshot `id` stands on `parent` from now on. `take`: and gets the pages of the one that it has
 * stood on. */
static int move_child(struct snapshot_dir *d, int id, int parent, bool take, char *why)
{
    struct snapshot_file *s = load_one(d, id, why), *old = NULL;
    int error = s ? 0 : -EINVAL;
    if (!error && take) {
        old = load_one(d, s->about.parent, why);
        error = old ? stand_alone(d, s, old, why) : -EINVAL;
    }
    if (!error) {
        s->about.parent = parent;
        error = write_snapshot(d, s, why);
    }
    snapshot_free(s);
    return error;
}

/* All that stand on `id`, but for `except`. */
static int move_children(struct snapshot_dir *d, int id, int except, int parent, bool take,
                         char *why)
{
    int error = 0;
    for (int i = 0; i < d->count && !error; i++)
        if (d->about[i].parent == id && d->about[i].id != except)
            error = move_child(d, d->about[i].id, parent, take, why);
    return error;
}

/* A damaged one that is deleted has no children: those are damaged as well. */
int snapshot_dir_delete(struct snapshot_dir *d, int id, char *why)
{
    const struct snapshot_about *gone = find(d, id);
    int error = may_write(d, why);
    if (error)
        return error;
    if (!gone) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: there is no snapshot %d", d->path, id);
        return -ENOENT;
    }
    error = move_children(d, id, 0, gone->parent, true, why);
    return error ? error : remove_file(d, id, why);
}

/*
 * In this order every step leaves every other snapshot as it was:
 *
 *   those beside it take over the parent's pages, and need the parent no more
 *   the parent becomes what this one is; this one has all its pages itself, so it stays what it is
 *   those that stand on this one stand on the parent, which is the same
 *   this one goes
 */
int snapshot_dir_commit(struct snapshot_dir *d, int id, char *why)
{
    const struct snapshot_about *about = find(d, id);
    int error = may_write(d, why);
    if (error)
        return error;
    if (!about || !about->parent) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: snapshot %d %s", d->path, id,
                 about ? "has no parent" : "is not there");
        return -ENOENT;
    }
    int parent = about->parent, grandparent;
    struct snapshot_file *s = load_one(d, id, why), *old = s ? load_one(d, parent, why) : NULL;
    error = old ? 0 : -EINVAL;
    grandparent = old ? old->about.parent : 0;
    if (!error)
        error = move_children(d, parent, id, grandparent, true, why);
    if (!error) {
        error = stand_alone(d, s, old, why);
        old = NULL;
    }
    if (!error) {
        s->about.id = parent;
        s->about.parent = grandparent;
        error = write_snapshot(d, s, why);
    }
    snapshot_free(old);
    snapshot_free(s);
    error = error ? error : move_children(d, id, 0, parent, false, why);
    return error ? error : remove_file(d, id, why);
}

/* ---- out and in ----------------------------------------------------------------------------- */

int snapshot_dir_export(struct snapshot_dir *d, int id, const char *path, char *why)
{
    int error = record_may_replace(path, why);
    struct snapshot_file *s = error ? NULL : snapshot_dir_load(d, id, true, why);
    if (!s)
        return error ? error : -EINVAL;
    s->about.parent = 0;
    s->config = s->config ? s->config : malloc(sizeof *s->config);
    if (s->config)
        *s->config = *d->config;
    error = s->config ? write_file(d, s, path, why) : fail(d, id, -ENOMEM, why);
    snapshot_free(s);
    return error;
}

int snapshot_dir_import(struct snapshot_dir *d, const char *path, char *why)
{
    char line[SNAPSHOT_ERROR] = "";
    size_t count;
    uint64_t size;
    int error = may_write(d, why);
    if (error)
        return error;
    uint8_t *bytes = snapshot_disk_read(path, SIZE_MAX - 1, &count, &size);
    if (!bytes)
        snprintf(line, sizeof line, "%s", strerror(errno));
    struct snapshot_file *s = bytes ? snapshot_parse(bytes, count, line) : NULL;
    if (s && (!s->config || s->about.parent || !s->about.id ||
              s->about.config != snapshot_config_digest(s->config)))
        snprintf(line, sizeof line, "this is no exported snapshot");
    if (*line) {
        snprintf(why, SNAPSHOT_ERROR, "%.300s: %.200s", path, line);
        snapshot_free(s);
        return -EINVAL;
    }
    error = snapshot_dir_configure(d, s->config, why);
    free(s->config);
    s->config = NULL;
    int id = error ? error : snapshot_dir_add(d, s, why);
    snapshot_free(s);
    return id;
}
