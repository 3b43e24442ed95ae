/* Both sides of protection in the command. See protect.h, and hv/protect.h for what they do. */
#include "config.h"

#include "hv/cmd/protect.h"

#include <errno.h>
#include <string.h>

#include "hv/cmd/incoming.h"
#include "hv/cmd/waker.h"

enum { PATIENCE_MS = 3000, EPOCHS_OF_PATIENCE = 4 };

static unsigned patience_of(const struct options *options)
{
    return options->patience ? (unsigned)options->patience : PATIENCE_MS;
}

static bool is_watched(const struct options *options)
{
    return options->record || options->trace || options->gdb;
}

int protect_check(const struct options *options)
{
    const char *what = options->backup ? "backup" : "--protect";
    if (options->secret && !options->protect && !options->backup && !options->incoming)
        return cmd_fail("--secret belongs to --incoming, to --protect and to backup");
    if (!options->protect && !options->backup)
        return options->fence || options->epoch || options->patience
                   ? cmd_fail("--fence, --epoch and --patience belong to --protect and to backup")
                   : 0;
    if (options->incoming)
        return cmd_fail("%s and --incoming do not go together", what);
    if (options->config.history)
        return cmd_fail("%s and --history do not go together", what);
    if (options->session)
        return cmd_fail("%s and --session do not go together", what);
    if (is_watched(options))
        return cmd_fail("%s does not go together with --record, --trace and --gdb", what);
    if (options->patience > 600000)
        return cmd_fail("--patience: at most 600000 (milliseconds)");
    if (options->protect && patience_of(options) < EPOCHS_OF_PATIENCE * options->epoch)
        return cmd_fail("--patience must be at least %d times --epoch", EPOCHS_OF_PATIENCE);
    return 0;
}

/* ---- the primary ---------------------------------------------------------------------------- */

static void tell_cost(struct session *session)
{
    struct view_protection v;
    session_view_protection(session, &v);
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

/* On the guard's thread. */
static void on_guard(void *context, enum guard_event event, const char *text)
{
    struct keeper *k = context;
    if (event == GUARD_PROTECTED && k->lost)
        fprintf(stderr, "vitrine: %s stands by: the guest is protected again\n", text);
    if (event == GUARD_LOST)
        cmd_fail("%s; the next backup is looked for there", text);
    if (event == GUARD_STANDS)
        cmd_fail("%s", text);
    if (event != GUARD_PROTECTED)
        tell_cost(k->session);
    k->lost |= event == GUARD_LOST;
    waker_wake(k->waker);
}

int keeper_init(struct keeper *k, struct session *session, const struct options *options, int waker)
{
    *k = (struct keeper){.session = session, .waker = waker};
    bool wanted = options->protect || options->backup || options->control;
    if (!wanted || is_watched(options))
        return 0;
    k->guard = guard_new(session, on_guard, k);
    return k->guard ? 0 : cmd_fail("--protect: the host has no memory left, or no thread");
}

static int start(struct keeper *k, const struct options *options, bool search)
{
    char why[SESSION_ERROR];
    struct guard_wish wish = {.address = options->protect,
                              .secret = options->secret,
                              .epoch_ms = (unsigned)options->epoch,
                              .patience_ms = patience_of(options)};
    return guard_protect(k->guard, &wish, search, why) ? cmd_fail("--protect %s", why) : 0;
}

int keeper_protect(struct keeper *k, const struct options *options)
{
    char why[SESSION_ERROR];
    if (options->fence && guard_set_fence(k->guard, options->fence, why))
        return cmd_fail("--fence %s", why);
    return start(k, options, false);
}

int keeper_end(struct keeper *k)
{
    struct view_protection v;
    if (!k->guard)
        return 0;
    guard_release(k->guard);
    session_view_protection(k->session, &v);
    return v.phase == PROTECTION_DOUBT ? EXIT_DOUBT : 0;
}

void keeper_free(struct keeper *k)
{
    guard_free(k->guard);
    k->guard = NULL;
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

static enum backup_end receive(struct keeper *k, const struct options *options, struct fence *fence,
                               bool *runs)
{
    char why[SESSION_ERROR];
    struct protect_options how = {.patience_ms = patience_of(options),
                                  .fence = options->fence ? fence : NULL};
    struct link link = incoming_caller(options, "backup", options->backup, (int)how.patience_ms);
    if (!link.ops)
        return BACKUP_NONE;
    enum backup_end end = protect_receive(k->session, &link, &how, runs, why);
    tell_end(k->session, options, end, why);
    link_close(&link);
    return end;
}

enum backup_end keeper_stand_by(struct keeper *k, const struct options *options, bool *runs)
{
    struct fence fence = {.fd = -1};
    int error = options->fence ? fence_open(&fence, options->fence) : 0;
    if (error) {
        cmd_fail("--fence %s: %s", options->fence,
                 error == -EINVAL ? "this is no fence" : strerror(-error));
        return BACKUP_NONE;
    }
    enum backup_end end = receive(k, options, &fence, runs);
    if (end != BACKUP_TAKEN && end != BACKUP_UNSURE) {
        fence_close(&fence);
        return end;
    }
    guard_take_fence(k->guard, &fence); /* the turn is ours as long as this program lives */
    k->lost = true;
    if (options->protect && end == BACKUP_TAKEN)
        start(k, options, true);
    return end;
}

/* `vitrine backup ADDRESS GUEST` is a `vitrine run GUEST` that begins in the middle. */
int cmd_backup(const struct options *options, int argc, char **argv)
{
    struct options standing_by = *options;
    standing_by.backup = argv[0];
    return cmd_run(&standing_by, 0, NULL);
}
