/* Both sides of protection in the command. See protect.h, and hv/protect.h for what they do. */
#include "config.h"

#include "hv/cmd/protect.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cmd/incoming.h"
#include "hv/cmd/waker.h"

enum { PATIENCE_MS = 3000, EPOCHS_OF_PATIENCE = 4 };

struct guard {
    struct session *session;
    struct protection *protection;
    struct protect_options options;
    struct link link;
    struct fence fence;
    int waker;
    pthread_t thread;
    atomic_bool quit;
    enum protect_end end;
};

static unsigned patience_of(const struct options *options)
{
    return options->patience ? (unsigned)options->patience : PATIENCE_MS;
}

int guard_check(const struct options *options)
{
    const char *what = options->protect ? "--protect" : "backup";
    if (!options->protect && !options->backup)
        return options->fence || options->epoch || options->patience
                   ? cmd_fail("--fence, --epoch and --patience belong to --protect and to backup")
                   : 0;
    if (options->protect && options->backup)
        return cmd_fail("backup: what comes from one host cannot be protected by a third");
    if (options->incoming)
        return cmd_fail("%s and --incoming do not go together", what);
    if (options->config.history)
        return cmd_fail("%s and --history do not go together", what);
    if (options->record || options->trace || options->gdb)
        return cmd_fail("%s does not go together with --record, --trace and --gdb", what);
    if (options->patience > 600000)
        return cmd_fail("--patience: at most 600000 (milliseconds)");
    if (options->protect && patience_of(options) < EPOCHS_OF_PATIENCE * options->epoch)
        return cmd_fail("--patience must be at least %d times --epoch", EPOCHS_OF_PATIENCE);
    return 0;
}

/* Why a fence cannot be had. */
static int fence_failed(const char *path, int error)
{
    const char *reason = error == -EINVAL      ? "this is no fence"
                         : error == -EBUSY     ? "a guest runs under this fence"
                         : error == -ETIMEDOUT ? "somebody holds it"
                                               : strerror(-error);
    return cmd_fail("--fence %s: %s", path, reason);
}

/* ---- the primary ---------------------------------------------------------------------------- */

static void *protect(void *context)
{
    struct guard *g = context;
    char why[SESSION_ERROR];
    g->end = protect_run(g->protection, why);
    if (g->end != PROTECT_OVER)
        cmd_fail("%s: %s", g->options.to, why);
    waker_wake(g->waker);
    return NULL;
}

static int find_backup(struct guard *g, const struct options *options)
{
    char why[SESSION_ERROR];
    int patience = (int)patience_of(options);
    if (options->fence) {
        int error = fence_open(&g->fence, options->fence);
        error = error ? error : fence_begin(&g->fence, patience);
        if (error)
            return fence_failed(options->fence, error);
        g->options.fence = &g->fence;
    }
    if (incoming_call(options->protect, options->secret, patience, &g->link, why))
        return cmd_fail("--protect %s", why);
    g->protection = protect_begin(g->session, &g->link, &g->options, why);
    return g->protection ? 0 : cmd_fail("--protect %s: %s", options->protect, why);
}

static void release(struct guard *g)
{
    protect_free(g->protection);
    link_close(&g->link);
    fence_close(&g->fence);
    free(g);
}

struct guard *guard_new(struct session *session, const struct options *options, int waker)
{
    struct guard *g = calloc(1, sizeof *g);
    if (!g) {
        cmd_fail("--protect: the host has no memory left");
        return NULL;
    }
    g->session = session;
    g->waker = waker;
    g->fence.fd = -1;
    g->options = (struct protect_options){.epoch_ms = (unsigned)options->epoch,
                                          .patience_ms = patience_of(options),
                                          .quit = &g->quit,
                                          .to = options->protect};
    int failed = find_backup(g, options);
    if (!failed && pthread_create(&g->thread, NULL, protect, g))
        failed = cmd_fail("--protect: cannot start a thread");
    if (!failed)
        return g;
    release(g);
    return NULL;
}

static void tell_cost(const struct guard *g)
{
    struct view_protection v;
    session_view_protection(g->session, &v);
    if (!v.acknowledged)
        return;
    double epochs = (double)v.epochs;
    fprintf(
        stderr,
        "vitrine: protected for %.1f s: %llu epochs of %.0f pages, %.1f MB in all; the guest "
        "stood %.2f ms in each (%.1f %% of the time, at most %.1f ms); output was held for %.1f "
        "ms more\n",
        v.seconds, (unsigned long long)v.epochs, (double)v.pages / epochs, (double)v.bytes / 1e6,
        v.pause / epochs * 1e3, 100 * v.pause / v.seconds, v.pause_max * 1e3,
        v.delay / (double)v.acknowledged * 1e3);
}

int guard_end(struct guard *g)
{
    if (!g)
        return 0;
    atomic_store(&g->quit, true);
    pthread_join(g->thread, NULL);
    tell_cost(g);
    int status = g->end == PROTECT_DOUBT ? EXIT_DOUBT : 0;
    release(g);
    return status;
}

/* ---- the backup ----------------------------------------------------------------------------- */

static void tell_end(struct session *session, const struct options *options, enum backup_end end,
                     const char *why)
{
    struct view_protection v;
    session_view_protection(session, &v);
    switch (end) {
    case BACKUP_TAKEN:
        fprintf(
            stderr,
            "vitrine: the primary is lost (%s): the guest goes on here after epoch %llu; what the "
            "console shows here begins with byte %llu of its text\n",
            why, (unsigned long long)v.epochs, (unsigned long long)v.shown_from);
        break;
    case BACKUP_OVER: fprintf(stderr, "vitrine: the primary has ended in order\n"); break;
    case BACKUP_NONE: cmd_fail("backup %s: no guest has come: %s", options->backup, why); break;
    case BACKUP_FENCED:
        cmd_fail("backup %s: the link is lost, and the guest has gone on elsewhere: it is not run "
                 "here",
                 options->backup);
        break;
    case BACKUP_UNSURE:
        cmd_fail("backup %s: the guest is here, but is not run: %s%s", options->backup, why,
                 options->control ? " (\"resume\" on the control socket runs it)" : "");
        break;
    }
}

enum backup_end guard_stand_by(struct session *session, const struct options *options, bool *runs)
{
    char why[SESSION_ERROR];
    struct fence fence = {.fd = -1};
    struct protect_options how = {.patience_ms = patience_of(options),
                                  .fence = options->fence ? &fence : NULL};
    int error = options->fence ? fence_open(&fence, options->fence) : 0;
    if (error) {
        fence_failed(options->fence, error);
        return BACKUP_NONE;
    }
    struct link link = incoming_caller(options, "backup", options->backup, (int)how.patience_ms);
    enum backup_end end = BACKUP_NONE;
    if (link.ops) {
        end = protect_receive(session, &link, &how, runs, why);
        tell_end(session, options, end, why);
        link_close(&link);
    }
    /* The turn is ours as long as this program lives: who closes the fence gives it up. */
    if (end != BACKUP_TAKEN && end != BACKUP_UNSURE)
        fence_close(&fence);
    return end;
}

/* `vitrine backup ADDRESS GUEST` is a `vitrine run GUEST` that begins in the middle. */
int cmd_backup(const struct options *options, int argc, char **argv)
{
    struct options standing_by = *options;
    standing_by.backup = argv[0];
    return cmd_run(&standing_by, 0, NULL);
}
