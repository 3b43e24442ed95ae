/* The commands of `vitrine debug` that are about snapshots. See debug-commands.c. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/debug.h"
#include "hv/cmd/show.h"

/* All of them, oldest first or as a tree; the caller frees. NULL after a message: `*count` -1; or
 * there are none: 0. */
static struct view_snapshot *list_of(struct debug *debug, bool tree, int *count)
{
    int (*ask)(struct session *, struct view_snapshot *, int) =
        tree ? session_snapshot_tree : session_snapshots;
    int most = session_snapshots(debug->session, NULL, 0);
    struct view_snapshot *list = most > 0 ? calloc((size_t)most, sizeof *list) : NULL;
    *count = list ? ask(debug->session, list, most) : most == 0 ? 0 : -1;
    if (*count < 0)
        debug_fail("snapshots", "this guest has none");
    return list;
}

/* By number, or by a name that only one has. */
static int take_id(struct debug *debug, const char *text, int *id)
{
    int count, named = 0;
    struct view_snapshot *list = list_of(debug, false, &count);
    char *end;
    long number = strtol(text, &end, 0);
    *id = 0;
    for (int i = 0; i < count; i++) {
        if (*text && !*end && list[i].id == number)
            *id = list[i].id, named = 1;
        else if ((!*text || *end) && !strcmp(list[i].name, text))
            *id = list[i].id, named++;
    }
    free(list);
    if (count < 0 || named == 1)
        return count < 0 ? -1 : 0;
    return debug_fail(text, named ? "several snapshots have the name" : "no such snapshot");
}

int debug_snapshot(struct debug *debug, char **words)
{
    char why[SESSION_ERROR] = "this guest has no snapshots";
    int id = session_snapshot(debug->session, words[1] ? words[1] : "", why);
    if (id < 0)
        return debug_fail(words[0], why);
    printf("snapshot %d\n", id);
    return 0;
}

int debug_snapshots(struct debug *debug, char **words)
{
    int count;
    struct view_snapshot *list = list_of(debug, false, &count);
    for (int i = 0; i < count; i++)
        show_snapshot(stdout, &list[i]);
    free(list);
    return count < 0 ? -1 : 0;
}

int debug_tree(struct debug *debug, char **words)
{
    int count;
    struct view_snapshot *list = list_of(debug, true, &count);
    if (list)
        show_snapshots_tree(stdout, list, count);
    free(list);
    return count < 0 ? -1 : 0;
}

int debug_restore(struct debug *debug, char **words)
{
    char why[SESSION_ERROR] = "this guest has no snapshots";
    int id;
    if (take_id(debug, words[1], &id))
        return -1;
    if (session_restore(debug->session, id, why))
        return debug_fail(words[1], why);
    show_stop(stdout, debug->session);
    return 0;
}

int debug_forget(struct debug *debug, char **words)
{
    int id;
    if (take_id(debug, words[1], &id))
        return -1;
    int error = session_snapshot_delete(debug->session, id);
    return error ? debug_fail(words[1], strerror(-error)) : 0;
}

int debug_diff(struct debug *debug, char **words)
{
    char why[SESSION_ERROR];
    int a, b = 0;
    if (take_id(debug, words[1], &a) || (words[2] && take_id(debug, words[2], &b)))
        return -1;
    struct view_differences *d = malloc(sizeof *d);
    if (!d)
        return debug_fail(words[0], "the host has no memory left");
    int error = session_snapshot_diff(debug->session, a, b, d, why);
    if (error)
        debug_fail(words[0], why);
    else
        show_differences(stdout, d);
    free(d);
    return error ? -1 : 0;
}

int debug_commit(struct debug *debug, char **words)
{
    char why[SESSION_ERROR];
    int id;
    if (take_id(debug, words[1], &id))
        return -1;
    return session_snapshot_commit(debug->session, id, why) ? debug_fail(words[1], why) : 0;
}

int debug_export(struct debug *debug, char **words)
{
    char why[SESSION_ERROR];
    int id;
    if (take_id(debug, words[1], &id))
        return -1;
    return session_snapshot_export(debug->session, id, words[2], why) ? debug_fail(words[1], why)
                                                                      : 0;
}

int debug_import(struct debug *debug, char **words)
{
    char why[SESSION_ERROR];
    int id = session_snapshot_import(debug->session, words[1], why);
    if (id < 0)
        return debug_fail(words[0], why);
    printf("snapshot %d\n", id);
    return 0;
}

int debug_check(struct debug *debug, char **words)
{
    char why[SESSION_ERROR];
    int damaged = session_snapshot_check(debug->session, why);
    if (damaged)
        return debug_fail(words[0], why);
    printf("%d snapshots, 0 damaged\n", session_snapshots(debug->session, NULL, 0));
    return 0;
}
