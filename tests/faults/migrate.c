/*
 * Migration, by pre-copy and by post-copy, broken at every point: each call of each side on the link,
 * cut after each eighth of its bytes, or with all that follows lost; and either process killed there.
 * tests/test-migrate.c does a part of it.
 *
 * What post-copy can lose it may lose: when the process dies that has the rest of the guest's memory,
 * the guest must stand where it needs it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/migrate-pair.h"

enum { MORE = 20000, PARTS = 8 };

static const struct migrate_options WAYS[] = {{.downtime = 10},
                                             {.downtime = 1e-9, .postcopy = true}};
static const struct migrate_options *way;

static int points, failed, torn;

static void report(const struct fault_plan *plan, const char *what, const char *wrong)
{
    points++;
    if (!wrong)
        return;
    failed++;
    printf("# %s%s at call %u of the %s, part %u: %s\n", way->postcopy ? "post-copy: " : "", what,
           plan->call, plan->source ? "source" : "destination", plan->part, wrong);
}

/* Returns whether there was such a call. */
static bool break_link(const struct fault_plan *plan)
{
    struct pair pair = {.source = pair_session(PAIR_STEADY, SESSION_HV, "auto"),
                        .destination = pair_session(PAIR_STEADY, SESSION_HV, "auto"),
                        .plan = *plan};
    session_run(pair.source);
    pair_migrate(&pair, way);
    bool was = pair.calls[plan->source] > plan->call;
    report(plan, plan->fault == FAULT_CUT ? "link cut" : "bytes lost", pair_check(&pair, MORE));
    torn += pair.torn;
    pair_free(&pair);
    return was;
}

/* ---- processes that die --------------------------------------------------------------------- */

static struct session *survivor_of(struct pair *pair, bool source, const char **wrong)
{
    struct session *s = source ? pair->source : pair->destination;
    enum migrate_end end = source ? pair->source_end : pair->destination_end;
    *wrong = NULL;
    if (end == MIGRATE_TORN) {
        torn++;
        if (!source)
            *wrong = pair_check_torn(s);
        else if (session_run(s) != -ESHUTDOWN || session_take_back(s) != -EINVAL)
            *wrong = "the source can run a guest that it has given away";
        return NULL; /* the other half of it has died */
    }
    if (end == MIGRATE_MOVED) {
        session_pause(s);
        session_wait(s, -1);
    }
    if (source && end == MIGRATE_STAYED) {
        session_pause(s);
        session_wait(s, -1);
    } else if (source && end == MIGRATE_DOUBT && session_take_back(s)) {
        *wrong = "the source cannot take the guest back";
    } else if (end == MIGRATE_STAYED) {
        return NULL; /* it has died with its process */
    }
    return s;
}

static const char *check_survivor(struct pair *pair, bool source)
{
    const char *wrong;
    struct session *s = survivor_of(pair, source, &wrong);
    if (!s || wrong)
        return wrong;
    if (source && pair->source_end == MIGRATE_MOVED)
        return "the source believes that a dead process runs the guest"; /* see kill_side() */
    if (session_step(s, MORE) || session_wait(s, -1))
        return "the guest does not go on";
    return pair_same(s) ? NULL : "the state is another than that of a run that never moved";
}

static void run_half(struct pair *pair, int fd, bool source)
{
    if (source) {
        pair->source = pair_session(PAIR_STEADY, SESSION_HV, "auto");
        session_run(pair->source);
    } else {
        pair->destination = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    }
    pair_half(pair, fd, source, way);
}

/* One side in a process of its own, which dies at the call. false: it came to its end before. */
static bool kill_side(const struct fault_plan *plan)
{
    struct pair pair = {.plan = *plan};
    int fd[2], status;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        abort();
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        run_half(&pair, fd[1], plan->source);
        _exit(0);
    }
    close(fd[1]);
    run_half(&pair, fd[0], !plan->source);
    waitpid(child, &status, 0);
    bool died = WIFSIGNALED(status);
    if (died)
        report(plan, "process killed", check_survivor(&pair, !plan->source));
    pair_free(&pair);
    return died;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void each_call(enum fault fault, bool source, unsigned part)
{
    struct fault_plan plan = {fault, source, 0, part, way->postcopy};
    while (fault == FAULT_DIE ? kill_side(&plan) : break_link(&plan))
        plan.call++;
}

/* Returns the number of the last line. */
static int each_point(int number)
{
    for (int source = 0; source < 2; source++) {
        for (unsigned part = 0; part <= PARTS; part++) {
            int before = failed;
            each_call(part < PARTS ? FAULT_CUT : FAULT_LOSE, source, part);
            if (part < PARTS)
                each_call(FAULT_DIE, source, part);
            printf("%sok %d - %s%s, part %u of each call (%d points so far, %d torn)\n",
                   failed > before ? "not " : "", ++number, way->postcopy ? "post-copy: " : "",
                   source ? "source" : "destination", part, points, torn);
            fflush(stdout);
        }
    }
    return number;
}

int main(void)
{
    int number = 0;
    for (way = WAYS; way < WAYS + sizeof WAYS / sizeof *WAYS; way++)
        number = each_point(number);
    printf("%sok %d - some points tear the guest and its memory apart\n", torn ? "" : "not ",
           ++number);
    printf("1..%d\n", number);
    return failed != 0 || !torn;
}
