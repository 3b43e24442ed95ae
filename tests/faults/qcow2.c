/*
 * Every crash of every plan of tests/qcow2-crash.c and of every change of tests/qcow2-change.c:
 * after each operation on a file, with nothing lost and with several choices of what is. Each state
 * that differs in its metadata from all before is judged by qemu-img too. As many run at once as
 * there are processors. Speaks TAP.
 *
 *     qcow2 [SEED [N]]        only each N-th such state is judged; 0: none
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/qcow2-change.h"

struct options {
    unsigned seed;
    size_t judge;
    const char *folder;
    bool qemu;
};

static const char *name_of(unsigned i)
{
    return i < crash_plan_count ? crash_plans[i].name : change_names[i - crash_plan_count];
}

static bool run_one(unsigned i, const char *folder, const struct options *o, struct crash_result *r)
{
    struct crash_effort effort = {.seed = o->seed + i, .subsets = 8, .qemu_every = o->judge};
    if (i < crash_plan_count)
        return crash_run(&crash_plans[i], folder, &effort, r);
    effort.subsets = 2; /* of each file: sixteen products */
    return change_run(i - crash_plan_count, folder, &effort, r);
}

/* One test in a process and a folder of its own; its output goes to a file in that folder. */
static int run_apart(unsigned i, const struct options *o)
{
    char folder[100], path[120];
    struct crash_result r;
    snprintf(folder, sizeof folder, "%s/%u", o->folder, i);
    snprintf(path, sizeof path, "%s.tap", folder);
    if (run_quietly("mkdir '%s'", folder) || !freopen(path, "we", stdout))
        return 1;
    if (i < crash_plan_count && crash_plans[i].qemu && !o->qemu) {
        printf("ok %u - %s # SKIP no qemu-img\n", i + 1, name_of(i));
        return 0;
    }
    bool well = run_one(i, folder, o, &r) && !r.corrupt && !r.lost;
    printf("# %s: %zu operations, %zu flushes; %zu states: %zu with leaks, %zu corrupt, %zu with "
           "data lost; qemu-img has judged %zu of %zu that differ in metadata\n",
           name_of(i), r.operations, r.flushes, r.states, r.leaks, r.corrupt, r.lost, r.judged,
           r.distinct);
    if (!well)
        printf("# %s\n", r.first);
    printf("%sok %u - %s\n", well ? "" : "not ", i + 1, name_of(i));
    return well ? 0 : 1;
}

static bool wait_for_one(void)
{
    int status;
    return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_all(const struct options *o, unsigned count)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN), running = 0;
    bool all = true;
    for (unsigned i = 0; i < count; i++, running++) {
        if (running == (processors > 0 ? processors : 1)) {
            all &= wait_for_one();
            running--;
        }
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            int status = run_apart(i, o);
            fflush(stdout);
            _exit(status);
        }
        if (child < 0)
            return false;
    }
    for (; running; running--)
        all &= wait_for_one();
    return all;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/vitrine-faults-qcow2.XXXXXX";
    struct options o = {.seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1,
                        .folder = folder,
                        .qemu = have_qemu_img()};
    unsigned count = crash_plan_count + change_count;
    o.judge = !o.qemu ? 0 : argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
    if (!mkdtemp(folder))
        return 99;
    printf("1..%u\n", count);
    bool all = run_all(&o, count);
    for (unsigned i = 0; i < count; i++) {
        char path[120];
        snprintf(path, sizeof path, "%s/%u.tap", folder, i);
        struct bytes text = bytes_of_file(path);
        if (text.count)
            fwrite(text.at, 1, text.count, stdout);
        else
            printf("not ok %u - %s # it has said nothing\n", i + 1, name_of(i));
        bytes_free(&text);
    }
    return run_quietly("rm -r '%s'", folder) == 0 && all ? 0 : 1;
}
