/*
 * What protection costs a guest: minios with programs that keep it busy, unprotected and with so
 * many epochs a second, in turns, against a backup in a process of its own.
 *
 *     make tests/bench/protect && tests/bench/protect [--json] [epochs a second]        default: 25
 *
 * Measured is how many instructions the guest gets done in a second: of the wall clock, and, for a
 * host that has other work, too, of the processor time that the whole program takes (while the
 * guest stands the program copies, so that this counts in both). A figure, not a test.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/protect.h"
#include "tests/bench/pair.h"

enum { PATIENCE_MS = 20000, RUNS = 9 };

static const double SECONDS = 2;
static const char *image = "samples/minios/minios.elf", *disk = "samples/minios/fs.img";
/* Two programs side by side, for longer than this takes: many switches, system calls and faults. */
static const char TYPED[] = "primes\nforktest\ncowtest\nprimes\nforktest\ncowtest\nprimes\n";

static struct session *new_session(void)
{
    struct session_config config;
    session_config_init(&config);
    config.image = image;
    config.disk = disk;
    config.disk_readonly = true;
    config.engine = "auto";
    return bench_session(&config);
}

static void begin(struct session *session)
{
    for (int i = 0; i < 200; i++)
        session_input(session, (const uint8_t *)TYPED, sizeof TYPED - 1);
    session_run(session);
}

/* Million instructions a second. */
struct speed {
    double wall, cpu;
};

/* Over the time after the first half second. */
static struct speed speed_of(struct session *session)
{
    bench_rest(0.5);
    uint64_t from = bench_instructions(session);
    double wall = bench_now(CLOCK_MONOTONIC), cpu = bench_now(CLOCK_PROCESS_CPUTIME_ID);
    bench_rest(SECONDS);
    double done = (double)(bench_instructions(session) - from) / 1e6;
    return (struct speed){done / (bench_now(CLOCK_MONOTONIC) - wall),
                          done / (bench_now(CLOCK_PROCESS_CPUTIME_ID) - cpu)};
}

static struct speed alone(void)
{
    struct session *session = new_session();
    begin(session);
    struct speed speed = speed_of(session);
    session_free(session);
    return speed;
}

static void be_backup(int fd)
{
    char why[SESSION_ERROR];
    bool runs;
    struct link link = link_of_socket(fd, PATIENCE_MS);
    struct session *session = new_session();
    _exit(protect_receive(session, &link, &(struct protect_options){0}, &runs, why) != BACKUP_OVER);
}

struct primary {
    struct protection *protection;
    struct session *session;
    struct speed speed;
};

static void *measure(void *context)
{
    struct primary *p = context;
    begin(p->session);
    p->speed = speed_of(p->session);
    return NULL;
}

static struct speed protected_at(unsigned rate, struct view_protection *view)
{
    char why[SESSION_ERROR] = "";
    int fd[2], status;
    pthread_t thread;
    atomic_bool quit = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        exit(2);
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        be_backup(fd[1]);
    }
    close(fd[1]);
    struct link link = link_of_socket(fd[0], PATIENCE_MS);
    /* As many epochs as the measured time has, and some for what comes before it. */
    struct protect_options options = {
        .epoch_ms = 1000 / rate, .epochs = (uint64_t)((SECONDS + 1) * rate), .quit = &quit};
    struct primary p = {.session = new_session()};
    p.protection = protect_begin(p.session, &link, &options, why);
    if (!p.protection || pthread_create(&thread, NULL, measure, &p)) {
        fprintf(stderr, "bench/protect: %s\n", why);
        exit(2);
    }
    if (protect_run(p.protection, why) != PROTECT_OVER)
        fprintf(stderr, "bench/protect: %s\n", why);
    pthread_join(thread, NULL);
    session_view_protection(p.session, view);
    protect_free(p.protection);
    link_close(&link);
    waitpid(child, &status, 0);
    session_free(p.session);
    return p.speed;
}

/* Of RUNS speeds: with `cpu` of the second member. */
static double median(const struct speed *speeds, bool cpu)
{
    double values[RUNS];
    for (int i = 0; i < RUNS; i++)
        values[i] = cpu ? speeds[i].cpu : speeds[i].wall;
    return bench_median(values, RUNS);
}

static void write_list(const char *name, const struct speed *speeds, bool cpu)
{
    printf("  \"%s%s\": [", name, cpu ? ", by processor time" : "");
    for (int i = 0; i < RUNS; i++)
        printf("%s%.3f", i ? ", " : "", cpu ? speeds[i].cpu : speeds[i].wall);
    puts("],");
}

/* For tests/bench/bench.py: every single speed, in millions of instructions a second, and of the
 * last run what an epoch was. */
static void write_json(int rate, const struct speed *without, const struct speed *with,
                       const struct view_protection *v)
{
    double epochs = (double)v->epochs;
    printf("{\n  \"epochs a second\": %d,\n", rate);
    for (int cpu = 0; cpu < 2; cpu++) {
        write_list("alone", without, cpu);
        write_list("protected", with, cpu);
    }
    printf("  \"pages\": %.1f,\n  \"pause ms\": %.3f,\n  \"longest pause ms\": %.3f,\n"
           "  \"delay ms\": %.3f\n}\n",
           (double)v->pages / epochs, v->pause / epochs * 1e3, v->pause_max * 1e3,
           v->delay / epochs * 1e3);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    int rate = argc > 1 + json ? atoi(argv[1 + json]) : 25;
    struct speed without[RUNS], with[RUNS];
    struct view_protection v = {0};
    if (rate < 1 || rate > 1000)
        return 2;
    FILE *out = json ? stderr : stdout;
    fprintf(out, "minios, protected with %d epochs a second (goal: below 20 %%)\n", rate);
    for (int run = 0; run < RUNS; run++) {
        without[run] = alone();
        with[run] = protected_at((unsigned)rate, &v);
        double epochs = (double)v.epochs;
        fprintf(out,
                "  MIPS %6.1f alone %6.1f protected, by processor time %6.1f %6.1f  %5.0f pages an "
                "epoch  %6.3f ms pause (max %.2f)"
                "  %6.2f ms to the acknowledgement  %6.1f MB\n",
                without[run].wall, with[run].wall, without[run].cpu, with[run].cpu,
                (double)v.pages / epochs, v.pause / epochs * 1e3, v.pause_max * 1e3,
                v.delay / epochs * 1e3, (double)v.bytes / 1e6);
    }
    if (json)
        write_json(rate, without, with, &v);
    for (int cpu = 0; cpu < 2 && !json; cpu++) {
        double a = median(without, cpu), b = median(with, cpu);
        printf("median of %d%s: %.1f MIPS alone, %.1f protected: protection costs %.1f %%\n", RUNS,
               cpu ? ", by processor time" : "", a, b, 100 * (1 - b / a));
    }
    return 0;
}
