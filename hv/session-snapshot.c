/*
 * A session's snapshots: in memory, where the backend keeps them, and as files of a directory.
 *
 * Of a file that this program has written or restored there is the same snapshot in memory, its
 * *peer*. So going back to it reads no file, and the next file needs only the pages that were
 * written since.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* realpath */
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/session_priv.h"
#include "hv/snapshot.h"

int session_check_snapshots(struct session *s, bool has, char *why)
{
    bool moves = s->standing || s->arrival;
    int error = !has                                   ? -ENOTSUP
                : s->state == SESSION_RUNNING || moves ? -EBUSY
                : session_is_away(s)                   ? -ESHUTDOWN
                                                       : 0;
    if (error)
        snprintf(why, SESSION_ERROR, "%s",
                 !has                  ? "this kind of guest has no snapshots"
                 : error == -ESHUTDOWN ? "the guest has moved to another host"
                 : moves               ? "the guest is being moved"
                                       : "the guest runs");
    return error;
}

/* ---- peers ---------------------------------------------------------------------------------- */

struct snapshot_peer *session_peer(struct session *s, int file)
{
    for (int i = 0; i < s->peers; i++)
        if (s->peer[i].file == file)
            return &s->peer[i];
    return NULL;
}

static int file_of_memory(const struct session *s, int memory)
{
    for (int i = 0; i < s->peers; i++)
        if (s->peer[i].memory == memory)
            return s->peer[i].file;
    return 0;
}

/* Before there is something to enter, so that it cannot fail then. */
static bool make_peer_room(struct session *s)
{
    struct snapshot_peer *grown = realloc(s->peer, (size_t)(s->peers + 1) * sizeof *grown);
    s->peer = grown ? grown : s->peer;
    return grown;
}

void session_forget_peer(struct session *s, struct snapshot_peer *peer)
{
    s->ops->snapshot_delete(s->backend, peer->memory);
    *peer = s->peer[--s->peers];
}

/* The snapshot in memory that the guest goes on from; 0: none. */
static int current_memory(struct session *s, int *parent_of)
{
    int count = s->ops->snapshots(s->backend, NULL, 0), current = 0;
    struct view_snapshot *list = count > 0 ? malloc((size_t)count * sizeof *list) : NULL;
    if (list)
        s->ops->snapshots(s->backend, list, count);
    for (int i = 0; list && i < count; i++) {
        if (list[i].current)
            current = list[i].id;
        if (parent_of && list[i].id == *parent_of) {
            *parent_of = list[i].parent;
            parent_of = NULL;
        }
    }
    free(list);
    return current;
}

/* ---- keeping in files ----------------------------------------------------------------------- */

/* Writes the file of snapshot `memory`, which was taken just now. */
static int write_file(struct session *s, int memory, const char *name, char *why)
{
    struct snapshot_file *file = snapshot_new();
    int base = memory;
    current_memory(s, &base);
    base = base == memory ? 0 : base;
    int parent = file_of_memory(s, base), error = file && make_peer_room(s) ? 0 : -ENOMEM;
    if (error)
        snprintf(why, SESSION_ERROR, "the host has no memory left for a snapshot");
    else
        error = s->ops->save(s->backend, memory, parent ? base : 0, file, why);
    if (!error) {
        file->about.parent = parent;
        snprintf(file->about.name, sizeof file->about.name, "%s", name ? name : "");
        error = snapshot_dir_add(s->kept, file, why);
    }
    snapshot_free(file);
    if (error > 0)
        s->peer[s->peers++] = (struct snapshot_peer){error, memory};
    return error;
}

static int snapshot_file(struct session *s, const char *name, char *why)
{
    int memory = s->ops->snapshot(s->backend, name, why);
    int id = memory < 0 ? memory : write_file(s, memory, name, why);
    if (id < 0 && memory > 0)
        s->ops->snapshot_delete(s->backend, memory);
    return id;
}

static int restore_file(struct session *s, int id, char *why)
{
    char line[SNAPSHOT_ERROR];
    const struct snapshot_peer *peer = session_peer(s, id);
    if (peer)
        return s->ops->restore(s->backend, peer->memory, why);
    struct snapshot_file *file = snapshot_dir_load(s->kept, id, true, why);
    if (!file)
        return snapshot_dir_find(s->kept, id) ? -EINVAL : -ENOENT;
    int memory = make_peer_room(s) ? s->ops->load(s->backend, file, line) : -ENOMEM;
    if (memory > 0)
        s->peer[s->peers++] = (struct snapshot_peer){id, memory};
    else
        snprintf(why, SESSION_ERROR, "%.200s/snapshot-%d: %.250s", snapshot_dir_path(s->kept), id,
                 memory == -ENOMEM ? "the host has no memory left" : line);
    snapshot_free(file);
    return memory < 0 ? memory : 0;
}

static int list_files(struct session *s, struct view_snapshot *out, int max)
{
    int current = file_of_memory(s, current_memory(s, NULL));
    int count = snapshot_dir_count(s->kept);
    for (int i = 0; i < count && i < max; i++) {
        const struct snapshot_about *from = snapshot_dir_at(s->kept, i);
        out[i] = (struct view_snapshot){
            .id = from->id,
            .parent = from->parent,
            .pages = from->pages,
            .bytes = from->file_bytes + from->overlay_bytes,
            .exits = from->exits,
            .current = from->id == current,
        };
        snprintf(out[i].name, sizeof out[i].name, "%s", from->name);
    }
    return count;
}

static int delete_file(struct session *s, int id)
{
    char why[SNAPSHOT_ERROR];
    int error = snapshot_dir_delete(s->kept, id, why);
    struct snapshot_peer *peer = error ? NULL : session_peer(s, id);
    if (peer)
        session_forget_peer(s, peer);
    return error;
}

/* ---- the calls ------------------------------------------------------------------------------ */

int session_snapshot(struct session *s, const char *name, char *why)
{
    session_enter(s);
    int result = session_check_snapshots(s, s->ops->snapshot, why);
    if (!result)
        result = s->kept ? snapshot_file(s, name, why) : s->ops->snapshot(s->backend, name, why);
    session_leave(s);
    return result;
}

int session_restore(struct session *s, int id, char *why)
{
    session_enter(s);
    int error = session_check_snapshots(s, s->ops->restore, why);
    if (!error)
        error = s->kept ? restore_file(s, id, why) : s->ops->restore(s->backend, id, why);
    if (!error)
        session_start_anew(s, "restored");
    session_leave(s);
    return error;
}

int session_snapshots(struct session *s, struct view_snapshot *out, int max)
{
    session_enter(s);
    int count = s->kept             ? list_files(s, out, max)
                : s->ops->snapshots ? s->ops->snapshots(s->backend, out, max)
                                    : -ENOTSUP;
    session_leave(s);
    return count;
}

int session_snapshot_delete(struct session *s, int id)
{
    char why[SESSION_ERROR];
    session_enter(s);
    int error = session_check_snapshots(s, s->ops->snapshot_delete, why);
    if (!error)
        error = s->kept ? delete_file(s, id) : s->ops->snapshot_delete(s->backend, id);
    session_leave(s);
    return error;
}

int session_write_disk(struct session *s, char *why)
{
    session_enter(s);
    int error = s->state == SESSION_RUNNING || session_changeable(s) ? -EBUSY : 0;
    if (error)
        snprintf(why, SESSION_ERROR, "the guest %s", s->standing ? "is being moved" : "runs");
    else if (s->ops->write_disk)
        error = s->ops->write_disk(s->backend, why);
    session_leave(s);
    return error;
}

int session_forget_past(struct session *s, char *why)
{
    session_enter(s);
    int error = s->state == SESSION_RUNNING || s->kept ? -EBUSY : 0;
    if (error)
        snprintf(why, SESSION_ERROR, "%s",
                 s->kept ? "the guest's snapshots are kept in a directory" : "the guest runs");
    else if (s->ops->forget_past)
        error = s->ops->forget_past(s->backend, why);
    session_leave(s);
    return error;
}

void session_view_history(struct session *s, struct view_history *out)
{
    *out = (struct view_history){0};
    session_enter(s);
    if (s->ops->view_history)
        s->ops->view_history(s->backend, out);
    session_leave(s);
}

/* ---- a directory ---------------------------------------------------------------------------- */

/* The file by its absolute name, with size and digest. */
static int look_at(struct record_file *file, const char *path, char *why)
{
    if (!path)
        return 0;
    char *absolute = realpath(path, NULL);
    int error = absolute ? record_look_at(file, absolute, why) : -errno;
    if (!absolute)
        snprintf(why, SESSION_ERROR, "%.400s: %s", path, strerror(-error));
    free(absolute);
    return error;
}

static int copy_text(char *to, size_t size, const char *text, char *why)
{
    if (text && strlen(text) >= size) {
        snprintf(why, SESSION_ERROR, "%.60s...: too long to be kept", text);
        return -ENAMETOOLONG;
    }
    strcpy(to, text ? text : "");
    return 0;
}

/* What the directory has to know of a session. */
static int describe(const struct session_config *c, struct snapshot_config *out, char *why)
{
    *out = (struct snapshot_config){
        .under = (uint8_t)c->under,
        .misaligned_trap = c->misaligned_trap,
        .ad_trap = c->ad_trap,
        .host_clock = c->host_clock,
        .disk_readonly = c->disk_readonly,
        .virtio_console = c->virtio_console,
        .rng = c->rng,
        .balloon = c->balloon,
        .rng_seed = c->rng_seed,
        .memory = c->memory,
        .balloon_pages = c->balloon_pages,
        .cpus = c->cpus,
    };
    int error = look_at(&out->image, c->image, why);
    error = error ? error : look_at(&out->disk, c->disk, why);
    error = error ? error : look_at(&out->initrd, c->initrd, why);
    error = error ? error : look_at(&out->firmware, c->firmware, why);
    error =
        error ? error : copy_text(out->kernel_args, sizeof out->kernel_args, c->kernel_args, why);
    error =
        error ? error : copy_text(out->boot_format, sizeof out->boot_format, c->boot_format, why);
    return error ? error : copy_text(out->net, sizeof out->net, c->net, why);
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

/* The other way round, with the wishes that do not concern it. */
static struct session_config config_of(const struct snapshot_config *from,
                                       const struct session_config *wishes)
{
    struct session_config c = *wishes;
    c.under = (enum session_under)from->under;
    c.misaligned_trap = from->misaligned_trap;
    c.ad_trap = from->ad_trap;
    c.host_clock = from->host_clock;
    c.disk_readonly = from->disk_readonly;
    c.virtio_console = from->virtio_console;
    c.rng = from->rng;
    c.balloon = from->balloon;
    c.rng_seed = from->rng_seed;
    c.memory = from->memory;
    c.balloon_pages = from->balloon_pages;
    c.cpus = from->cpus;
    c.image = c.image && *from->image.path ? c.image : text_or_null(from->image.path);
    c.disk = c.disk && *from->disk.path ? c.disk : text_or_null(from->disk.path);
    c.initrd = c.initrd && *from->initrd.path ? c.initrd : text_or_null(from->initrd.path);
    c.firmware =
        c.firmware && *from->firmware.path ? c.firmware : text_or_null(from->firmware.path);
    c.kernel_args = text_or_null(from->kernel_args);
    c.boot_format = text_or_null(from->boot_format);
    c.net = text_or_null(from->net);
    c.disk_discard = true;
    return c;
}

/* A disk that comes with the guest from another host is that host's until then, so nobody can tell
 * what it will be, nor keep what is written to it apart. */
static int check_disk(const struct session_config *c, char *why)
{
    if (!c->disk_away || !c->disk || c->disk_readonly)
        return 0;
    snprintf(
        why, SESSION_ERROR,
        "%.300s: the guest comes from another host and brings its disk: no session directory can "
        "keep what it writes to that",
        c->disk);
    return -ENOTSUP;
}

/* Takes the directory over if all fits. */
static int attach(struct session *s, struct snapshot_dir *dir, char *why)
{
    int error = session_check_snapshots(s, s->ops->save, why);
    if (!error && (s->kept || s->ops->snapshots(s->backend, NULL, 0))) {
        snprintf(why, SESSION_ERROR, "the session has snapshots already");
        error = -EBUSY;
    }
    if (!error && s->moving) { /* from here on the disk's file would get nothing */
        snprintf(why, SESSION_ERROR, "the guest is being moved or protected");
        error = -EBUSY;
    }
    struct snapshot_config *config = error ? NULL : malloc(sizeof *config);
    if (!error && !config) {
        snprintf(why, SESSION_ERROR, "the host has no memory left");
        error = -ENOMEM;
    }
    error = error ? error : s->ops->keep_files(s->backend, why);
    error = error ? error : describe(&s->config, config, why);
    error = error ? error : snapshot_dir_configure(dir, config, why);
    free(config);
    if (error)
        return error;
    s->config.disk_discard = true;
    s->kept = dir;
    return 0;
}

int session_keep(struct session *s, const char *path, char *why)
{
    int error = check_disk(&s->config, why);
    struct snapshot_dir *dir = error ? NULL : snapshot_dir_open(path, SNAPSHOT_CREATE, why);
    if (!dir)
        return error ? error : -EINVAL;
    session_enter(s);
    error = attach(s, dir, why);
    session_leave(s);
    if (error)
        snapshot_dir_close(dir);
    return error;
}

static int newest(const struct snapshot_dir *dir)
{
    int count = snapshot_dir_count(dir);
    return count ? snapshot_dir_at(dir, count - 1)->id : 0;
}

struct session *session_open(const char *path, int id, const struct session_config *wishes,
                             char *why)
{
    struct snapshot_dir *dir = snapshot_dir_open(path, SNAPSHOT_WRITE, why);
    if (!dir)
        return NULL;
    id = id ? id : newest(dir);
    struct session_config config;
    struct session *s = NULL;
    if (!id || !snapshot_dir_config(dir))
        snprintf(why, SESSION_ERROR, "%.400s: there is no snapshot", path);
    else {
        config = config_of(snapshot_dir_config(dir), wishes);
        s = check_disk(&config, why) ? NULL : session_new(&config, why);
    }
    if (!s) {
        snapshot_dir_close(dir);
        return NULL;
    }
    session_enter(s);
    int error = attach(s, dir, why);
    bool attached = !error;
    error = error ? error : restore_file(s, id, why);
    if (!error)
        session_start_anew(s, "restored");
    session_leave(s);
    if (!error)
        return s;
    session_free(s);
    if (!attached)
        snapshot_dir_close(dir);
    return NULL;
}
