/*
 * A session directory whose program dies: at every step of several random plans, in the step's
 * middle, and with names lost that were not flushed. Speaks TAP.
 *
 *     snapshot [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/snapshot-plan.h"

enum { SEEDS = 4 };

int main(int argc, char **argv)
{
    static const char *const LOSS[PLAN_LOSSES] = {"killed", "killed in a write", "power lost"};
    const char *folder = plan_folder();
    char command[100];
    unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1, number = 0;
    bool all = true;
    if (!folder)
        return 99;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%d\n", SEEDS * PLAN_LOSSES);
    for (unsigned s = seed; s < seed + SEEDS; s++)
        for (int loss = 0; loss < PLAN_LOSSES; loss++) {
            struct plan_result r;
            plan_crash(s, (enum plan_loss)loss, 0, 1, folder, &r);
            printf("# seed %u: %u steps, %u deaths, %u failed%s%s\n", s, r.steps, r.points,
                   r.failed, r.failed ? ": " : "", r.first);
            printf("%sok %u - %s at each step of plan %u\n", r.failed ? "not " : "", ++number,
                   LOSS[loss], s);
            all &= !r.failed;
        }
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 && all ? 0 : 1;
}
