/*
 * Protection, broken at every point: each call of each side on the link, cut after each eighth of
 * its bytes, or with all that follows lost; and either process killed there; with a fence and
 * without. tests/test-protect.c does a part of it.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/protect-pair.h"

enum { MORE = 20000, PARTS = 8, SEEN = 1 << 16 };

static int points, failed, taken, alone;

static void report(const struct protect_pair *pair, const char *what, const char *wrong)
{
    points++;
    taken += pair->backup && pair->backup_end == BACKUP_TAKEN;
    alone += pair->primary && pair->primary_end == PROTECT_ALONE;
    if (!wrong)
        return;
    failed++;
    printf("# %s at call %u of the %s, part %u, %s fence: %s (%s; %s)\n", what, pair->plan.call,
           pair->plan.source ? "primary" : "backup", pair->plan.part,
           pair->fenced ? "with a" : "without", wrong, pair->primary_why, pair->backup_why);
}

/* Returns whether there was such a call. */
static bool break_link(const struct fault_plan *plan, bool fenced)
{
    struct protect_pair pair = {.fenced = fenced, .plan = *plan};
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    protect_pair_run(&pair);
    bool was = pair.calls[plan->source] > plan->call;
    report(&pair, plan->fault == FAULT_CUT ? "link cut" : "bytes lost",
           protect_pair_check(&pair, MORE));
    protect_pair_free(&pair);
    return was;
}

/* ---- processes that die --------------------------------------------------------------------- */

static size_t read_all(int fd, char *bytes, size_t size)
{
    size_t count = 0;
    for (ssize_t got = 1; got > 0 && count<size; count += got> 0 ? (size_t)got : 0)
        got = read(fd, bytes + count, size - count);
    return count;
}

static const char *check_backup(struct protect_pair *pair, int seen)
{
    static char text[SEEN];
    size_t count = read_all(seen, text, sizeof text);
    if (pair->backup_end == BACKUP_NONE)
        return count ? "the world has seen a guest that nobody has" : NULL;
    if (pair->backup_end == BACKUP_OVER)
        return NULL; /* it died when all was done */
    if (pair->backup_end != BACKUP_TAKEN)
        return "the backup does not take over from a process that is dead";
    return protect_pair_check_backup(pair, MORE, text, count);
}

static const char *check_primary(struct protect_pair *pair)
{
    if (pair->primary_end == PROTECT_FENCED)
        return "the primary believes that a dead process runs the guest";
    if (pair->primary_end == PROTECT_DOUBT && pair->fenced)
        return "the fence does not settle it";
    if (pair->primary_end == PROTECT_DOUBT && session_take_back(pair->primary))
        return "the primary cannot take the guest back";
    return protect_pair_check_primary(pair, MORE);
}

/* One side in a process of its own, which dies at the call. false: it came to its end before. */
static bool kill_side(const struct fault_plan *plan, bool fenced)
{
    struct protect_pair pair = {.fenced = fenced, .plan = *plan};
    char path[] = "/tmp/test-protect-XXXXXX";
    int fd[2], out[2], status, file = mkstemp(path);
    if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) || pipe(out))
        abort();
    close(file);
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        pair.out = out[1];
        protect_pair_init_half(&pair, plan->source, path);
        protect_pair_half(&pair, fd[1], plan->source);
        _exit(0);
    }
    close(fd[1]);
    close(out[1]);
    protect_pair_init_half(&pair, !plan->source, path);
    protect_pair_half(&pair, fd[0], !plan->source);
    waitpid(child, &status, 0);
    bool died = WIFSIGNALED(status);
    if (died)
        report(&pair, "process killed",
               plan->source ? check_backup(&pair, out[0]) : check_primary(&pair));
    close(out[0]);
    protect_pair_free(&pair);
    unlink(path);
    return died;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void each_call(enum fault fault, bool primary, unsigned part, bool fenced)
{
    struct fault_plan plan = {fault, primary, 0, part};
    while (fault == FAULT_DIE ? kill_side(&plan, fenced) : break_link(&plan, fenced))
        plan.call++;
}

static void each_fault(bool primary, unsigned part, bool fenced)
{
    each_call(part < PARTS ? FAULT_CUT : FAULT_LOSE, primary, part, fenced);
    if (part < PARTS)
        each_call(FAULT_DIE, primary, part, fenced);
}

int main(void)
{
    int number = 0;
    for (int way = 0; way < 4; way++) {
        for (unsigned part = 0; part <= PARTS; part++) {
            int before = failed;
            each_fault(way & 1, part, !(way & 2));
            printf("%sok %d - %s, part %u of each call, %s fence (%d points so far; %d times the "
                   "backup has taken over, %d times the primary went on)\n",
                   failed > before ? "not " : "", ++number, way & 1 ? "primary" : "backup", part,
                   way & 2 ? "without" : "with a", points, taken, alone);
            fflush(stdout);
        }
    }
    printf("1..%d\n", number);
    return failed != 0;
}
