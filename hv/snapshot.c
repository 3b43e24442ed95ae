/* A session directory: the files in it, written and read. See snapshot.h. */
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

#include "hv/qcow2.h"
#include "hv/snapshot_priv.h"

enum { HEAD_BYTES = 65536 };
static const char TORN[] = "torn: the file has not the size that it should have";

static void overlay_path(const struct snapshot_dir *d, int number, char out[SNAPSHOT_PATH])
{
    snprintf(out, SNAPSHOT_PATH, "%s/disk-%d.qcow2", d->path, number);
}

static void file_path(const struct snapshot_dir *d, int id, char out[SNAPSHOT_PATH])
{
    if (id)
        snprintf(out, SNAPSHOT_PATH, "%s/snapshot-%d", d->path, id);
    else
        snprintf(out, SNAPSHOT_PATH, "%s/session", d->path);
}

/* The line of an -errno that has no line of its own. */
int snapshot_dir_fail(const struct snapshot_dir *d, int id, int error, char *why)
{
    char path[SNAPSHOT_PATH];
    file_path(d, id, path);
    snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", path, strerror(-error));
    return error;
}

int snapshot_dir_refuse(const struct snapshot_dir *d, int id, const char *reason, char *why)
{
    char path[SNAPSHOT_PATH];
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

struct snapshot_about *snapshot_dir_about(const struct snapshot_dir *d, int id)
{
    int at = place_of(d, id);
    return at < d->count && d->about[at].id == id ? &d->about[at] : NULL;
}

/* Enters it, in the place of one with the same id. */
static int list(struct snapshot_dir *d, const struct snapshot_about *about)
{
    struct snapshot_about *old = snapshot_dir_about(d, about->id);
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

/* With before "snapshot-", "snapshot-12" is 12; 0: it is another file. */
static int number_of(const char *name, const char *before, const char *behind)
{
    char again[48];
    size_t length = strlen(before);
    long number = strncmp(name, before, length) ? 0 : strtol(name + length, NULL, 10);
    if (number < 1 || number > INT32_MAX - 1)
        return 0;
    snprintf(again, sizeof again, "%s%ld%s", before, number, behind);
    return strcmp(again, name) ? 0 : (int)number;
}

/* The first bytes of the overlay with this number; NULL and errno. */
static uint8_t *read_overlay_head(const struct snapshot_dir *d, int number, size_t *count,
                                  uint64_t *size)
{
    char path[SNAPSHOT_PATH];
    overlay_path(d, number, path);
    return snapshot_disk_read(path, SNAPSHOT_PAGE, count, size);
}

/* Only whether there is one: the rest is seen when it is read. */
static void look_at_overlay(const struct snapshot_dir *d, struct snapshot_about *about, char *why)
{
    size_t count;
    uint8_t *bytes =
        about->overlay ? read_overlay_head(d, about->overlay, &count, &about->overlay_bytes) : NULL;
    if (about->overlay && !bytes)
        snprintf(why, SNAPSHOT_ERROR, "its disk, disk-%d.qcow2: %s", about->overlay,
                 strerror(errno));
    free(bytes);
}

/* What the beginning of the file says, or what is wrong with it. */
static void look_at(const struct snapshot_dir *d, int id, struct snapshot_about *about)
{
    char path[SNAPSHOT_PATH], why[SNAPSHOT_ERROR] = "";
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
            snprintf(why, sizeof why, "%s", TORN);
        else if (d->config && about->config != snapshot_config_digest(d->config))
            snprintf(why, sizeof why, "it belongs to another session");
        else
            look_at_overlay(d, about, why);
    }
    free(bytes);
    about->id = id;
    if (*why)
        *about = (struct snapshot_about){.id = id};
    if (*why)
        snapshot_dir_refuse(d, id, why, about->damage);
}

/* A snapshot whose parent is not there cannot be put together. */
static void check_parents(struct snapshot_dir *d)
{
    char text[80];
    for (int i = 0; i < d->count; i++) {
        struct snapshot_about *a = &d->about[i];
        const struct snapshot_about *parent = a->parent ? snapshot_dir_about(d, a->parent) : NULL;
        snprintf(text, sizeof text, "it stands on snapshot %d, which is %s", a->parent,
                 parent ? "damaged" : "missing");
        if (!*a->damage && a->parent && (!parent || *parent->damage))
            snapshot_dir_refuse(d, a->id, text, a->damage);
    }
}

static int read_config(struct snapshot_dir *d, char *why)
{
    char path[SNAPSHOT_PATH], line[SNAPSHOT_ERROR] = "";
    struct snapshot_about about;
    size_t count;
    uint64_t size;
    file_path(d, 0, path);
    uint8_t *bytes = snapshot_disk_read(path, HEAD_BYTES, &count, &size);
    if (!bytes)
        return errno == ENOENT ? 0 : snapshot_dir_fail(d, 0, -errno, why);
    d->config = malloc(sizeof *d->config);
    int error = d->config ? snapshot_parse_about(bytes, count, &about, d->config, line) : -ENOMEM;
    if (!error && about.file_bytes != size) {
        snprintf(line, sizeof line, "%s", TORN);
        error = -EINVAL;
    }
    free(bytes);
    return error == -ENOMEM ? snapshot_dir_fail(d, 0, error, why)
           : error          ? snapshot_dir_refuse(d, 0, line, why)
                            : 0;
}

static bool is_damaged(const struct snapshot_dir *d)
{
    for (int i = 0; i < d->count; i++)
        if (*d->about[i].damage)
            return true;
    return false;
}

static bool has_overlay(const struct snapshot_dir *d, int number)
{
    for (int i = 0; i < d->count; i++)
        if (d->about[i].overlay == number)
            return true;
    return false;
}

/* Overlays to which no snapshot leads, of operations that were interrupted. A damaged snapshot may
 * lead anywhere; and what was not made here is somebody's. */
static void sweep_overlays(struct snapshot_dir *d)
{
    DIR *folder = is_damaged(d) ? NULL : opendir(d->path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char path[SNAPSHOT_PATH];
        size_t count;
        uint64_t size;
        int number = number_of(entry->d_name, "disk-", ".qcow2");
        uint8_t *bytes =
            number && !has_overlay(d, number) ? read_overlay_head(d, number, &count, &size) : NULL;
        overlay_path(d, number, path);
        if (bytes && snapshot_overlay_is_ours(bytes, count))
            unlink(path);
        free(bytes);
    }
    if (folder)
        closedir(folder);
}

/* A file that is written aside: what a crash leaves of it is nobody's. Others may end so, too. */
static bool is_aside(const char *name)
{
    return !strcmp(name, "session.new") || number_of(name, "snapshot-", ".new") ||
           number_of(name, "disk-", ".qcow2.new");
}

/* Lists the snapshots; whoever may write sweeps away what a crash has left half written. */
static int read_folder(struct snapshot_dir *d, char *why)
{
    DIR *folder = opendir(d->path);
    struct dirent *entry;
    int error = folder ? 0 : -errno;
    while (!error && (entry = readdir(folder))) {
        struct snapshot_about about;
        char path[SNAPSHOT_PATH + 256];
        int id = number_of(entry->d_name, "snapshot-", "");
        int overlay = number_of(entry->d_name, "disk-", ".qcow2");
        d->last_id = overlay > d->last_id ? overlay : d->last_id;
        snprintf(path, sizeof path, "%s/%s", d->path, entry->d_name);
        if (d->lock >= 0 && is_aside(entry->d_name))
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
    char path[SNAPSHOT_PATH];
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

/* What is in a new folder cannot outlive the host's crash if the folder does not. Where it may be
 * made but not looked at, nobody can do more. */
static int make_folder(const struct snapshot_dir *d)
{
    if (mkdir(d->path, 0777))
        return errno == EEXIST ? 0 : -errno;
    int error = snapshot_disk_flush_folder(&d->disk, d->path);
    return error == -EACCES ? 0 : error;
}

static int refuse_folder(const struct snapshot_dir *d, char *why)
{
    snprintf(why, SNAPSHOT_ERROR, "%.400s: this is no session directory", d->path);
    return -EINVAL;
}

/* Nothing is made in a folder that is somebody else's, not even the lock. */
static int open_folder(struct snapshot_dir *d, enum snapshot_open how, char *why)
{
    struct stat st;
    char session[SNAPSHOT_PATH];
    int error = how == SNAPSHOT_CREATE ? make_folder(d) : 0;
    if (!error)
        error = stat(d->path, &st) ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", d->path, strerror(-error));
    file_path(d, 0, session);
    if (!error && how == SNAPSHOT_WRITE && access(session, F_OK) && errno == ENOENT)
        error = refuse_folder(d, why);
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
    int error = open_folder(d, how, why);
    error = error ? error : read_config(d, why);
    error = error ? error : read_folder(d, why);
    if (!error && !d->config && (d->count || how != SNAPSHOT_CREATE))
        error = refuse_folder(d, why);
    if (error) {
        snapshot_dir_close(d);
        return NULL;
    }
    check_parents(d);
    if (d->lock >= 0) {
        sweep_overlays(d);
        snapshot_dir_heal(d);
    }
    return d;
}

void snapshot_dir_close(struct snapshot_dir *d)
{
    if (!d)
        return;
    if (d->lock >= 0)
        close(d->lock);
    free(d->config);
    free(d->guest_disk);
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
    return snapshot_dir_about(d, id);
}

int snapshot_dir_named(const struct snapshot_dir *d, const char *text, char *why)
{
    int found = 0, count = 0;
    char *end;
    long number = strtol(text, &end, 10);
    if (*text && !*end && number > 0 && number <= INT32_MAX && snapshot_dir_about(d, (int)number))
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

int snapshot_dir_may_write(const struct snapshot_dir *d, char *why)
{
    if (d->lock >= 0)
        return 0;
    snprintf(why, SNAPSHOT_ERROR, "%.400s: it was opened for reading only", d->path);
    return -EROFS;
}

int snapshot_dir_write_file(struct snapshot_dir *d, struct snapshot_file *s, const char *path,
                            char *why)
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

/* ---- overlays ------------------------------------------------------------------------------- */

/* "raw" or "qcow2"; NULL: nobody can tell now. */
static const char *format_of(const char *path)
{
    size_t count;
    uint64_t size;
    uint8_t *bytes = snapshot_disk_read(path, QCOW2_MAGIC_SIZE, &count, &size);
    const char *format = !bytes                                               ? NULL
                         : count == QCOW2_MAGIC_SIZE && qcow2_is_magic(bytes) ? "qcow2"
                                                                              : "raw";
    free(bytes);
    return format;
}

/* What the overlay of a snapshot with this parent stands on; "": on nothing. */
static const char *backing_of(const struct snapshot_dir *d, int parent, char name[32])
{
    const struct snapshot_about *below = parent ? snapshot_dir_about(d, parent) : NULL;
    if (!below || !below->overlay)
        return d->guest_disk ? d->guest_disk : d->config->disk.path;
    snprintf(name, 32, "disk-%d.qcow2", below->overlay);
    return name;
}

/* A parent that an older version has written has its blocks in its file: it gets an overlay. */
static int give_overlay(struct snapshot_dir *d, int id, char *why)
{
    struct snapshot_file *s = snapshot_dir_load_one(d, id, why);
    int error = s ? 0 : -EINVAL;
    if (!error)
        s->about.overlay = id;
    error = error ? error : snapshot_dir_write_overlay(d, s, why);
    error = error ? error : snapshot_dir_write_snapshot(d, s, why);
    snapshot_free(s);
    return error;
}

/* The lowest below `parent`, itself included, that has none. 0: all have. */
static int without_overlay(const struct snapshot_dir *d, int parent)
{
    const struct snapshot_about *a;
    int found = 0;
    for (; parent && (a = snapshot_dir_about(d, parent)); parent = a->parent)
        found = a->overlay ? found : a->id;
    return found;
}

int snapshot_dir_write_overlay(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    char path[SNAPSHOT_PATH], name[32], line[SNAPSHOT_ERROR] = "";
    struct state_buffer b = {0};
    const struct snapshot_part *part = snapshot_find_part(s, "disk");
    int error = 0, id;
    while (part && !error && (id = without_overlay(d, s->about.parent)))
        error = give_overlay(d, id, why);
    if (error || !part) {
        s->about.overlay = part ? s->about.overlay : 0;
        return error;
    }
    const char *backing = backing_of(d, s->about.parent, name);
    const char *format = backing == name ? "qcow2" : *backing ? format_of(backing) : NULL;
    overlay_path(d, s->about.overlay, path);
    error = snapshot_overlay_make(part, *backing ? backing : NULL, format,
                                  snapshot_config_digest(d->config), &b, line);
    if (!error && (error = snapshot_disk_replace(&d->disk, path, b.bytes, b.count)))
        snprintf(line, sizeof line, "cannot write: %s", strerror(-error));
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.300s: %.200s", path, line);
    s->about.overlay_bytes = b.count;
    state_buffer_free(&b);
    return error;
}

int snapshot_dir_drop_overlay(struct snapshot_dir *d, int number, char *why)
{
    char path[SNAPSHOT_PATH];
    if (!number || has_overlay(d, number))
        return 0;
    overlay_path(d, number, path);
    int error = snapshot_disk_remove(&d->disk, path);
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.400s: %s", path, strerror(-error));
    return error;
}

/* ---- keeping -------------------------------------------------------------------------------- */

int snapshot_dir_write_snapshot(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    char path[SNAPSHOT_PATH];
    s->about.config = snapshot_config_digest(d->config);
    file_path(d, s->about.id, path);
    int error = snapshot_dir_write_file(d, s, path, why);
    if (!error && list(d, &s->about))
        error = snapshot_dir_fail(d, s->about.id, -ENOMEM, why);
    return error;
}

int snapshot_dir_configure(struct snapshot_dir *d, const struct snapshot_config *config, char *why)
{
    char path[SNAPSHOT_PATH];
    if (d->config && snapshot_config_digest(d->config) != snapshot_config_digest(config))
        return snapshot_dir_refuse(d, 0, snapshot_config_difference(d->config, config), why);
    char *guest_disk = strdup(config->disk.path);
    if (!guest_disk)
        return snapshot_dir_fail(d, 0, -ENOMEM, why);
    free(d->guest_disk);
    d->guest_disk = guest_disk;
    int error = d->config ? 0 : snapshot_dir_may_write(d, why);
    if (d->config || error)
        return error;
    struct snapshot_file *s = snapshot_new();
    d->config = malloc(sizeof *d->config);
    struct snapshot_config *copy = s ? malloc(sizeof *copy) : NULL;
    if (s)
        s->config = copy;
    error = d->config && copy ? 0 : snapshot_dir_fail(d, 0, -ENOMEM, why);
    if (!error) {
        *copy = *d->config = *config;
        bytes_put(&s->tables, 0, 1); /* a snapshot of nothing */
        file_path(d, 0, path);
        error = snapshot_dir_write_file(d, s, path, why);
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
    int error = snapshot_dir_may_write(d, why);
    if (error)
        return error;
    if (!d->config || d->count >= SNAPSHOT_FILES || d->last_id >= INT32_MAX - 1)
        return snapshot_dir_fail(d, 0, d->config ? -ENOSPC : -EINVAL, why);
    s->about.id = d->last_id + 1;
    s->about.overlay = s->about.id;
    if (!s->about.time) /* one that is imported has been taken before */
        s->about.time = (uint64_t)time(NULL);
    error = snapshot_dir_write_overlay(d, s, why);
    error = error ? error : snapshot_dir_write_snapshot(d, s, why);
    return error ? error : s->about.id;
}

int snapshot_dir_remove(struct snapshot_dir *d, int id, char *why)
{
    char path[SNAPSHOT_PATH];
    int overlay = snapshot_dir_about(d, id)->overlay;
    file_path(d, id, path);
    int error = snapshot_disk_remove(&d->disk, path);
    if (error)
        return snapshot_dir_fail(d, id, error, why);
    unlist(d, id);
    return snapshot_dir_drop_overlay(d, overlay, why);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The disk's blocks, which are in an overlay. */
static int load_overlay(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    char path[SNAPSHOT_PATH], line[SNAPSHOT_ERROR] = "";
    size_t count;
    uint64_t size;
    overlay_path(d, s->about.overlay, path);
    uint8_t *bytes = snapshot_disk_read(path, SIZE_MAX - 1, &count, &size);
    int error = bytes ? snapshot_overlay_take(s, bytes, count, s->about.config, line) : -errno;
    if (error)
        snprintf(why, SNAPSHOT_ERROR, "%.300s: %.200s", path, bytes ? line : strerror(-error));
    return error;
}

struct snapshot_file *snapshot_dir_load_one(struct snapshot_dir *d, int id, char *why)
{
    char path[SNAPSHOT_PATH], line[SNAPSHOT_ERROR] = "";
    const struct snapshot_about *about = snapshot_dir_about(d, id);
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
        snapshot_dir_fail(d, id, -errno, why);
        return NULL;
    }
    struct snapshot_file *s = snapshot_parse(bytes, count, line);
    if (s && (s->about.id != id || s->about.config != about->config)) {
        snprintf(line, sizeof line, "another program has replaced it");
        snapshot_free(s);
        s = NULL;
    }
    if (!s)
        snapshot_dir_refuse(d, id, line, why);
    if (s && s->about.overlay && load_overlay(d, s, why)) {
        snapshot_free(s);
        s = NULL;
    }
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

int snapshot_dir_stand_alone(struct snapshot_dir *d, struct snapshot_file *s,
                             struct snapshot_file *below, char *why)
{
    struct snapshot_file **last = &s->below;
    while (*last)
        last = &(*last)->below;
    *last = below;
    if (s->parts != below->parts)
        return snapshot_dir_refuse(d, s->about.id, "it does not fit to the one it stands on", why);
    for (unsigned i = 0; i < s->parts; i++) {
        const struct snapshot_part *from = snapshot_find_part(below, s->part[i].name);
        if (!from || from->size != s->part[i].size || from->unit != s->part[i].unit)
            return snapshot_dir_refuse(d, s->about.id, "it does not fit to the one it stands on",
                                       why);
        take_missing(s, &s->part[i], from);
    }
    snapshot_sort(s);
    return s->failed ? snapshot_dir_fail(d, s->about.id, -ENOMEM, why) : 0;
}

struct snapshot_file *snapshot_dir_load(struct snapshot_dir *d, int id, bool whole, char *why)
{
    struct snapshot_file *s = snapshot_dir_load_one(d, id, why);
    int parent = s && whole ? s->about.parent : 0;
    while (s && parent) {
        struct snapshot_file *below = snapshot_dir_load_one(d, parent, why);
        parent = below ? below->about.parent : 0;
        if (below && !snapshot_dir_stand_alone(d, s, below, why))
            continue;
        snapshot_free(s);
        return NULL;
    }
    return s;
}

int snapshot_dir_check(struct snapshot_dir *d, void (*damaged)(void *context, const char *why),
                       void *context, char *why)
{
    int count = 0;
    for (int i = 0; i < d->count; i++) {
        char line[SNAPSHOT_ERROR];
        struct snapshot_file *s = snapshot_dir_load_one(d, d->about[i].id, line);
        if (!s && damaged)
            damaged(context, line);
        if (!s && !count++)
            snprintf(why, SNAPSHOT_ERROR, "%s", line);
        snapshot_free(s);
    }
    return count;
}
