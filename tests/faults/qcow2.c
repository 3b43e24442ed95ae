/*
 * Every crash of every plan of tests/qcow2-crash.c: after each operation on the image's file, with
 * nothing lost and with eight choices of what is, each judged by qemu-img too. Speaks TAP.
 *
 *     qcow2 [SEED [N]]        only each N-th state is judged by qemu-img, which takes most of the
 * time
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/qcow2-crash.h"

static bool run_plan(const struct crash_plan *plan, const char *folder, unsigned seed, size_t judge)
{
    struct crash_result r;
    struct crash_effort effort = {.seed = seed, .subsets = 8, .qemu_every = judge};
    bool well = crash_run(plan, folder, &effort, &r) && !r.corrupt && !r.lost;
    printf(
        "# %s: %zu operations, %zu flushes; %zu states: %zu with leaks, %zu corrupt, %zu with data "
        "lost; %zu judged by qemu-img\n",
        plan->name, r.operations, r.flushes, r.states, r.leaks, r.corrupt, r.lost, r.judged);
    if (!well)
        printf("# %s\n", r.first);
    return well;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/vitrine-faults-qcow2.XXXXXX", command[100];
    unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1;
    bool qemu = have_qemu_img(), all = true;
    size_t judge = !qemu ? 0 : argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
    if (!mkdtemp(folder))
        return 99;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%u\n", crash_plan_count);
    for (unsigned i = 0; i < crash_plan_count; i++) {
        if (crash_plans[i].qemu && !qemu) {
            printf("ok %u - %s # SKIP no qemu-img\n", i + 1, crash_plans[i].name);
            continue;
        }
        bool well = run_plan(&crash_plans[i], folder, seed + i, judge);
        printf("%sok %u - %s\n", well ? "" : "not ", i + 1, crash_plans[i].name);
        all &= well;
    }
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 && all ? 0 : 1;
}
