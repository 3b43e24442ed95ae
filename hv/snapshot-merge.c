/*
 * What changes several files of a session directory: deleting and committing, and what is taken out
 * of it and put in. See snapshot.h.
 *
 * A snapshot with a disk is two files, and no two files can be replaced at once. So an overlay is
 * replaced only by one that shows the same disk, first, and then the snapshot's file by one that
 * names it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2.h"
#include "hv/snapshot_priv.h"

/* ---- deleting and merging ------------------------------------------------------------------- */

/* The overlay of one that an older version has written gets the snapshot's number. */
static int write_both(struct snapshot_dir *d, struct snapshot_file *s, char *why)
{
    if (!s->about.overlay)
        s->about.overlay = s->about.id;
    int error = snapshot_dir_write_overlay(d, s, why);
    return error ? error : snapshot_dir_write_snapshot(d, s, why);
}

/* Snapshot `id` stands on `parent` from now on. `take`: and gets the pages of the one that it has
 * stood on. */
static int move_child(struct snapshot_dir *d, int id, int parent, bool take, char *why)
{
    struct snapshot_file *s = snapshot_dir_load_one(d, id, why), *old = NULL;
    int error = s ? 0 : -EINVAL;
    if (!error && take) {
        old = snapshot_dir_load_one(d, s->about.parent, why);
        error = old ? snapshot_dir_stand_alone(d, s, old, why) : -EINVAL;
    }
    if (!error) {
        s->about.parent = parent;
        error = take ? write_both(d, s, why) : snapshot_dir_write_snapshot(d, s, why);
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
    const struct snapshot_about *gone = snapshot_dir_about(d, id);
    int error = snapshot_dir_may_write(d, why);
    if (error)
        return error;
    if (!gone) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: there is no snapshot %d", d->path, id);
        return -ENOENT;
    }
    error = move_children(d, id, 0, gone->parent, true, why);
    return error ? error : snapshot_dir_remove(d, id, why);
}

/*
 * In this order every step leaves every other snapshot as it was:
 *
 *   those beside it take over the parent's pages, and need the parent no more
 *   this one's overlay gets the parent's blocks too, and shows the same disk as before
 *   the parent becomes what this one is, with this one's overlay; this one stays what it is
 *   those that stand on this one stand on the parent, which is the same
 *   this one goes, and the overlay that the parent had
 */
int snapshot_dir_commit(struct snapshot_dir *d, int id, char *why)
{
    const struct snapshot_about *about = snapshot_dir_about(d, id);
    int error = snapshot_dir_may_write(d, why);
    if (error)
        return error;
    if (!about || !about->parent) {
        snprintf(why, SNAPSHOT_ERROR, "%.400s: snapshot %d %s", d->path, id,
                 about ? "has no parent" : "is not there");
        return -ENOENT;
    }
    int parent = about->parent, grandparent, unused;
    struct snapshot_file *s = snapshot_dir_load_one(d, id, why),
                         *old = s ? snapshot_dir_load_one(d, parent, why) : NULL;
    error = old ? 0 : -EINVAL;
    grandparent = old ? old->about.parent : 0;
    unused = old ? old->about.overlay : 0;
    if (!error)
        error = move_children(d, parent, id, grandparent, true, why);
    if (!error) {
        error = snapshot_dir_stand_alone(d, s, old, why);
        old = NULL;
    }
    if (!error) {
        s->about.overlay = s->about.overlay ? s->about.overlay : id;
        s->about.id = parent;
        s->about.parent = grandparent;
        error = write_both(d, s, why);
    }
    snapshot_free(old);
    snapshot_free(s);
    error = error ? error : move_children(d, id, 0, parent, false, why);
    error = error ? error : snapshot_dir_drop_overlay(d, unused, why);
    return error ? error : snapshot_dir_remove(d, id, why);
}

/* ---- out and in ----------------------------------------------------------------------------- */

int snapshot_dir_export(struct snapshot_dir *d, int id, const char *path, char *why)
{
    int error = record_may_replace(path, why);
    struct snapshot_file *s = error ? NULL : snapshot_dir_load(d, id, true, why);
    if (!s)
        return error ? error : -EINVAL;
    s->about.parent = s->about.overlay = 0; /* all is in this one file */
    s->config = s->config ? s->config : malloc(sizeof *s->config);
    if (s->config)
        *s->config = *d->config;
    error = s->config ? snapshot_dir_write_file(d, s, path, why)
                      : snapshot_dir_fail(d, id, -ENOMEM, why);
    snapshot_free(s);
    return error;
}

int snapshot_dir_import(struct snapshot_dir *d, const char *path, char *why)
{
    char line[SNAPSHOT_ERROR] = "";
    size_t count;
    uint64_t size;
    int error = snapshot_dir_may_write(d, why);
    if (error)
        return error;
    uint8_t *bytes = snapshot_disk_read(path, SIZE_MAX - 1, &count, &size);
    if (!bytes)
        snprintf(line, sizeof line, "%s", errno == EINVAL ? "not a regular file" : strerror(errno));
    struct snapshot_file *s = bytes ? snapshot_parse(bytes, count, line) : NULL;
    if (s && (!s->config || s->about.parent || s->about.overlay || !s->about.id ||
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

/* ---- after an interruption ------------------------------------------------------------------ */

/* Does the snapshot's overlay stand on what it should? One that stands on the guest's own disk may
 * have been told where that has gone. */
static bool stands_right(struct snapshot_dir *d, const struct snapshot_about *a)
{
    char path[SNAPSHOT_PATH], name[QCOW2_NAME_MAX + 1], wanted[32] = "";
    const struct snapshot_about *parent = a->parent ? snapshot_dir_about(d, a->parent) : NULL;
    size_t count;
    uint64_t size;
    if (*a->damage || !a->overlay || (parent && parent->overlay == a->overlay))
        return true; /* or the parent has become what this one is, and this one shall go */
    snprintf(path, sizeof path, "%s/disk-%d.qcow2", d->path, a->overlay);
    uint8_t *bytes = snapshot_disk_read(path, SNAPSHOT_PAGE, &count, &size);
    bool has = bytes && snapshot_overlay_backing(bytes, count, name, sizeof name);
    free(bytes);
    if (parent && parent->overlay)
        snprintf(wanted, sizeof wanted, "disk-%d.qcow2", parent->overlay);
    return !has || (*wanted ? !strcmp(name, wanted) : strncmp(name, "disk-", 5) != 0);
}

/* What cannot be read is told of when somebody wants it. */
void snapshot_dir_heal(struct snapshot_dir *d)
{
    char why[SNAPSHOT_ERROR];
    for (int i = 0; i < d->count; i++) {
        if (stands_right(d, &d->about[i]))
            continue;
        struct snapshot_file *s = snapshot_dir_load_one(d, d->about[i].id, why);
        if (s)
            snapshot_dir_write_overlay(d, s, why);
        snapshot_free(s);
    }
}
