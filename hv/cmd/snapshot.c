/*
 * `vitrine snapshot`: states of a guest in a directory. One function an action.
 *
 * What only looks opens the directory for reading and needs no guest. What runs a guest does so as
 * `vitrine walk` does, or, to go on from a snapshot with a console, as `vitrine run` does.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "hv/cmd/cmd.h"
#include "hv/cmd/snapshot-show.h"
#include "hv/snapshot.h"

/* argv[0] is the directory. */
typedef int (*action_fn)(const struct options *options, int argc, char **argv);

/* NULL after a message. */
static struct snapshot_dir *open_dir(const char *path, enum snapshot_open how)
{
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = snapshot_dir_open(path, how, why);
    if (!dir)
        cmd_fail("%s", why);
    return dir;
}

/* Opens the directory and finds a snapshot; `id` 0 after a message. */
static struct snapshot_dir *open_at(const char *path, const char *name, enum snapshot_open how,
                                    int *id)
{
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = open_dir(path, how);
    *id = dir ? snapshot_dir_named(dir, name, why) : 0;
    if (dir && !*id)
        cmd_fail("%s", why);
    return dir;
}

static struct snapshot_file *load(struct snapshot_dir *dir, int id, bool whole)
{
    char why[SNAPSHOT_ERROR];
    struct snapshot_file *file = snapshot_dir_load(dir, id, whole, why);
    if (!file)
        cmd_fail("%s", why);
    return file;
}

/* ---- making --------------------------------------------------------------------------------- */

static int take(struct session *session, const char *name)
{
    char why[SESSION_ERROR];
    int id = session_snapshot(session, name, why);
    if (id < 0)
        return cmd_fail("%s", why);
    printf("snapshot %d\n", id);
    return 0;
}

/* DIR [NAME] GUEST, or DIR [NAME] --from SNAPSHOT */
static int action_create(const struct options *options, int argc, char **argv)
{
    struct options own = *options;
    int names = argc - 1 - !options->from;
    if (names < 0 || names > 1)
        return cmd_fail("snapshot create: needs %s (see vitrine snapshot --help)",
                        options->from ? "DIR [NAME]" : "DIR [NAME] GUEST");
    own.session = argv[0];
    own.config.image = options->from ? NULL : argv[argc - 1];
    if (!options->from && options_settle(&own))
        return EXIT_USAGE;
    struct session *session = cmd_open(&own);
    int status = session ? cmd_run_to(session, &own) : EXIT_USAGE;
    if (!status)
        status = take(session, names ? argv[1] : "");
    session_free(session);
    return status;
}

static int action_restore(const struct options *options, int argc, char **argv)
{
    struct options own = *options;
    own.session = argv[0];
    own.from = argv[1];
    return cmd_run(&own, 0, argv + argc);
}

/* A directory that was made for nothing; one with anything else in it stays. */
static void unmake(const char *path)
{
    char lock[PATH_MAX];
    snprintf(lock, sizeof lock, "%s/lock", path);
    unlink(lock);
    rmdir(path);
}

static int action_import(const struct options *options, int argc, char **argv)
{
    char why[SNAPSHOT_ERROR];
    bool is_new = access(argv[0], F_OK) && errno == ENOENT;
    struct snapshot_dir *dir = open_dir(argv[0], SNAPSHOT_CREATE);
    if (!dir)
        return EXIT_USAGE;
    int id = snapshot_dir_import(dir, argv[1], why);
    snapshot_dir_close(dir);
    if (id < 0 && is_new)
        unmake(argv[0]);
    if (id < 0)
        return cmd_fail("%s", why);
    printf("snapshot %d\n", id);
    return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static int show_all(const char *path, void (*show)(FILE *out, const struct snapshot_dir *dir))
{
    struct snapshot_dir *dir = open_dir(path, SNAPSHOT_READ);
    if (!dir)
        return EXIT_USAGE;
    show(stdout, dir);
    snapshot_dir_close(dir);
    return 0;
}

static int action_list(const struct options *options, int argc, char **argv)
{
    return show_all(argv[0], show_snapshot_list);
}

static int action_tree(const struct options *options, int argc, char **argv)
{
    return show_all(argv[0], show_snapshot_tree);
}

static int action_show(const struct options *options, int argc, char **argv)
{
    int id;
    struct snapshot_dir *dir = open_at(argv[0], argv[1], SNAPSHOT_READ, &id);
    struct snapshot_file *own = id ? load(dir, id, false) : NULL;
    struct snapshot_file *whole = own ? load(dir, id, true) : NULL;
    if (whole)
        show_one_snapshot(stdout, dir, own, whole);
    int status = whole ? 0 : EXIT_USAGE;
    snapshot_free(own);
    snapshot_free(whole);
    snapshot_dir_close(dir);
    return status;
}

static int action_diff(const struct options *options, int argc, char **argv)
{
    int id, other = 0;
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = open_at(argv[0], argv[1], SNAPSHOT_READ, &id);
    if (id && !(other = snapshot_dir_named(dir, argv[2], why)))
        cmd_fail("%s", why);
    struct snapshot_file *a = other ? load(dir, id, true) : NULL;
    struct snapshot_file *b = a ? load(dir, other, true) : NULL;
    int status = b ? 0 : EXIT_USAGE;
    if (b && !show_snapshot_diff(stdout, a, b))
        printf("they are equal\n");
    snapshot_free(a);
    snapshot_free(b);
    snapshot_dir_close(dir);
    return status;
}

static void tell_damage(void *context, const char *why)
{
    cmd_fail("%s", why);
}

/* Reads every file whole. */
static int action_check(const struct options *options, int argc, char **argv)
{
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = open_dir(argv[0], SNAPSHOT_READ);
    int damaged = dir ? snapshot_dir_check(dir, tell_damage, NULL, why) : 0;
    if (dir)
        printf("%d snapshots, %d damaged\n", snapshot_dir_count(dir), damaged);
    int status = dir && !damaged ? 0 : EXIT_USAGE;
    snapshot_dir_close(dir);
    return status;
}

/* ---- changing ------------------------------------------------------------------------------- */

static int change(char **argv, int (*function)(struct snapshot_dir *dir, int id, char *why))
{
    int id;
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = open_at(argv[0], argv[1], SNAPSHOT_WRITE, &id);
    int failed = id ? function(dir, id, why) : 0;
    snapshot_dir_close(dir);
    return failed ? cmd_fail("%s", why) : id ? 0 : EXIT_USAGE;
}

static int action_delete(const struct options *options, int argc, char **argv)
{
    return change(argv, snapshot_dir_delete);
}

static int action_commit(const struct options *options, int argc, char **argv)
{
    return change(argv, snapshot_dir_commit);
}

static int action_export(const struct options *options, int argc, char **argv)
{
    int id;
    char why[SNAPSHOT_ERROR];
    struct snapshot_dir *dir = open_at(argv[0], argv[1], SNAPSHOT_READ, &id);
    int failed = id ? snapshot_dir_export(dir, id, argv[2], why) : 0;
    snapshot_dir_close(dir);
    return failed ? cmd_fail("%s", why) : id ? 0 : EXIT_USAGE;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct action {
    const char *name, *arguments;
    int min, max; /* arguments with the directory */
    action_fn run;
    const char *help;
} ACTIONS[] = {
    {"create", "DIR [NAME] GUEST", 1, 3, action_create,
     "run GUEST to --at and keep its state; --from in the place of GUEST: go on from there"},
    {"list", "DIR", 1, 1, action_list, "the snapshots, one a line"},
    {"tree", "DIR", 1, 1, action_tree, "which stands on which"},
    {"show", "DIR ID", 2, 2, action_show, "registers, layers, and how many pages each has"},
    {"diff", "DIR ID ID", 3, 3, action_diff,
     "registers, devices, pages and disk blocks that differ"},
    {"restore", "DIR ID", 2, 2, action_restore, "go on from there, with the console here"},
    {"delete", "DIR ID", 2, 2, action_delete, "forget it; those that stand on it get its pages"},
    {"commit", "DIR ID", 2, 2, action_commit, "make its parent what it is, and forget it"},
    {"export", "DIR ID FILE", 3, 3, action_export, "one file that needs no other snapshot"},
    {"import", "DIR FILE", 2, 2, action_import, "such a file as a snapshot without a parent"},
    {"check", "DIR", 1, 1, action_check, "read every file, and name those that are damaged"},
};

enum { ACTION_COUNT = sizeof ACTIONS / sizeof *ACTIONS };

void cmd_snapshot_help(FILE *out)
{
    fprintf(out, "\nActions (ID is a number or a name):\n");
    for (int i = 0; i < ACTION_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", ACTIONS[i].name, ACTIONS[i].arguments);
        fprintf(out, "  %-24s %s\n", left, ACTIONS[i].help);
    }
}

int cmd_snapshot(const struct options *options, int argc, char **argv)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        const struct action *action = &ACTIONS[i];
        if (strcmp(argv[0], action->name))
            continue;
        if (argc - 1 < action->min || argc - 1 > action->max)
            return cmd_fail("snapshot %s: needs %s (see vitrine snapshot --help)", action->name,
                            action->arguments);
        return action->run(options, argc - 1, argv + 1);
    }
    return cmd_fail("snapshot: unknown action '%s' (see vitrine snapshot --help)", argv[0]);
}
