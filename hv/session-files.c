/*
 * A session's snapshots: comparing them, and what else there is to do with those in a directory.
 *
 * The functions of hv/snapshot.h do it; here is what a running guest makes necessary: the file of a
 * snapshot and the same snapshot in memory, its peer, must go on being the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/session_priv.h"
#include "hv/snapshot.h"

/* As for all that concerns snapshots; and there must be a directory. */
static int check_directory(struct session *s, char *why)
{
    int error = session_check_snapshots(s, s->ops->save, why);
    if (!error && !s->kept) {
        snprintf(why, SESSION_ERROR, "the session keeps its snapshots in no directory");
        error = -ENOTSUP;
    }
    return error;
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* The snapshot in memory, whole. NULL, -errno and `why`. */
static struct snapshot_file *save_whole(struct session *s, int memory, int *error, char *why)
{
    struct snapshot_file *file = snapshot_new();
    *error = file ? s->ops->save(s->backend, memory, 0, file, why) : -ENOMEM;
    if (!file)
        snprintf(why, SESSION_ERROR, "the host has no memory left");
    if (!*error)
        return file;
    snapshot_free(file);
    return NULL;
}

static struct snapshot_file *read_whole(struct session *s, int id, int *error, char *why)
{
    if (!s->kept)
        return save_whole(s, id, error, why);
    struct snapshot_file *file = snapshot_dir_load(s->kept, id, true, why);
    *error = file ? 0 : snapshot_dir_find(s->kept, id) ? -EINVAL : -ENOENT;
    return file;
}

/* `present`: the guest as it is now, kept meanwhile. */
static int diff(struct session *s, int a, int b, int present, struct view_differences *out,
                char *why)
{
    int error;
    struct snapshot_file *second = NULL, *first = read_whole(s, a, &error, why);
    if (first)
        second = b ? read_whole(s, b, &error, why) : save_whole(s, present, &error, why);
    if (second)
        snapshot_view_differences(first, second, out);
    snapshot_free(first);
    snapshot_free(second);
    return error;
}

int session_snapshot_diff(struct session *s, int a, int b, struct view_differences *out, char *why)
{
    session_enter(s);
    int error = session_check_snapshots(s, s->ops->save, why);
    int present = error || b ? 0 : s->ops->snapshot(s->backend, "", why);
    error = present < 0 ? present : error;
    error = error ? error : diff(s, a, b, present, out, why);
    if (present > 0)
        s->ops->snapshot_delete(s->backend, present);
    session_leave(s);
    return error;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool has(const struct view_snapshot *list, int count, int id)
{
    for (int i = 0; i < count; i++)
        if (list[i].id == id)
            return true;
    return false;
}

/* In the order in which one draws them: each with those that stand on it behind it. A parent that
 * is not in the list is none. */
struct walk {
    const struct view_snapshot *list;
    int count;
    struct view_snapshot *out;
    int max, done;
};

static bool is_child(const struct walk *w, int i, int parent)
{
    int its = w->list[i].parent;
    return (has(w->list, w->count, its) ? its : 0) == parent;
}

/* The next child from place `from` on; w->count: there is none. */
static int next_child(const struct walk *w, int parent, int from)
{
    while (from < w->count && !is_child(w, from, parent))
        from++;
    return from;
}

/* Without recursion: a chain may be long. `at` is where the search among the children of `parent`
 * goes on. */
static void put_in_order(struct walk *w)
{
    int parent = 0, depth = 0, at = 0;
    for (;;) {
        at = next_child(w, parent, at);
        if (at < w->count) {
            struct view_snapshot one = w->list[at];
            one.depth = depth;
            one.last = next_child(w, parent, at + 1) == w->count;
            if (w->done < w->max)
                w->out[w->done] = one;
            w->done++;
            parent = one.id, depth++, at = 0;
            continue;
        }
        if (!parent)
            return;
        for (at = 0; w->list[at].id != parent;)
            at++;
        parent = has(w->list, w->count, w->list[at].parent) ? w->list[at].parent : 0;
        depth--, at++;
    }
}

int session_snapshot_tree(struct session *s, struct view_snapshot *out, int max)
{
    int count = session_snapshots(s, NULL, 0);
    struct view_snapshot *list = count > 0 ? calloc((size_t)count, sizeof *list) : NULL;
    if (count <= 0)
        return count;
    if (!list)
        return -ENOMEM;
    int now = session_snapshots(s, list, count);
    count = now < count ? now : count;
    struct walk walk = {list, count, out, max, 0};
    put_in_order(&walk);
    free(list);
    return count;
}

/* ---- with a directory ----------------------------------------------------------------------- */

/* The parent's file is what this one was: so its peer is the one that this one had. */
static void peers_committed(struct session *s, int id, int parent)
{
    struct snapshot_peer *old = session_peer(s, parent);
    if (old)
        session_forget_peer(s, old);
    struct snapshot_peer *its = session_peer(s, id);
    if (its)
        its->file = parent;
}

int session_snapshot_commit(struct session *s, int id, char *why)
{
    session_enter(s);
    int error = check_directory(s, why);
    const struct snapshot_about *about = error ? NULL : snapshot_dir_find(s->kept, id);
    int parent = about ? about->parent : 0;
    error = error ? error : snapshot_dir_commit(s->kept, id, why);
    if (!error)
        peers_committed(s, id, parent);
    session_leave(s);
    return error;
}

int session_snapshot_export(struct session *s, int id, const char *path, char *why)
{
    session_enter(s);
    int error = check_directory(s, why);
    error = error ? error : snapshot_dir_export(s->kept, id, path, why);
    session_leave(s);
    return error;
}

int session_snapshot_import(struct session *s, const char *path, char *why)
{
    session_enter(s);
    int error = check_directory(s, why);
    int id = error ? error : snapshot_dir_import(s->kept, path, why);
    session_leave(s);
    return id;
}

int session_snapshot_check(struct session *s, char *why)
{
    session_enter(s);
    int error = check_directory(s, why);
    int damaged = error ? error : snapshot_dir_check(s->kept, NULL, NULL, why);
    session_leave(s);
    return damaged;
}
