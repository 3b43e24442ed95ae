/*
 * Disks that change hands, broken at every point: a guest that writes to an overlay and flushes is
 * migrated and protected, with the link cut or losing all that follows at each call of each side,
 * and with either process killed there. tests/test-handover.c does a part of it.
 */
#include "config.h"

#include <stdio.h>

#include "tests/disk-pair.h"

enum { PARTS = 8, STEP = 2 };

static int points, failed;

static void report(const char *what, const struct fault_plan *plan, const char *wrong)
{
    points++;
    failed += wrong != NULL;
    if (wrong)
        printf("# %s, call %u of the %s, part %u: %s\n", what, plan->call,
               plan->source ? "first side" : "second side", plan->part, wrong);
}

typedef const char *(*break_fn)(enum disk_kind kind, enum session_under from,
                                enum session_under to, const struct fault_plan *plan,
                                unsigned *calls);
typedef const char *(*kill_fn)(enum disk_kind kind, const struct fault_plan *plan, bool *died);

static void each_call(const char *what, break_fn break_at, struct fault_plan plan)
{
    unsigned calls;
    do {
        report(what, &plan, break_at(DISK_CHAIN, SESSION_HV, SESSION_HV, &plan, &calls));
    } while (calls > plan.call++);
}

static void each_death(const char *what, kill_fn kill_at, struct fault_plan plan)
{
    bool died = true;
    for (plan.call = 0; died; plan.call++)
        report(what, &plan, kill_at(DISK_CHAIN, &plan, &died));
}

static void each_fault(bool first, unsigned part)
{
    enum fault fault = part < PARTS ? FAULT_CUT : FAULT_LOSE;
    each_call("migration", disk_pair_migrate, (struct fault_plan){fault, first, 0, part});
    each_call("protection", disk_pair_protect, (struct fault_plan){fault, first, 0, part});
    if (part == PARTS)
        return;
    each_death("migration, killed", disk_pair_kill_migration,
               (struct fault_plan){FAULT_DIE, first, 0, part});
    each_death("protection, killed", disk_pair_kill_protection,
               (struct fault_plan){FAULT_DIE, first, 0, part});
}

int main(void)
{
    int number = 0;
    for (int first = 0; first < 2; first++) {
        for (unsigned part = 0; part <= PARTS; part += STEP) {
            int before = failed;
            each_fault(first, part);
            printf("%sok %d - %s side, part %u of each call (%d points so far)\n",
                   failed > before ? "not " : "", ++number, first ? "first" : "second", part,
                   points);
            fflush(stdout);
        }
    }
    printf("1..%d\n", number);
    return failed != 0;
}
