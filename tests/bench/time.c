/*
 * What going back in time costs. Prints lines of words and numbers, one figure each.
 *
 * - snapshot, restore: a guest of 256 MiB that has touched all of it and has written 100 pages
 *   since; in turns, medians
 * - directory: the same guest in a session directory: its first snapshot, which has all of it;
 *   one with 100 pages, and back to it, medians; and opening the newest in a new program
 * - layers: looking a page up under 1,000 layers beside one layer
 * - back: after a run of so many seconds with the fastest engine, at its end and at places all
 *   over it: one instruction, the next one, a million; to those places; and to the newest
 *   breakpoint. The slowest of each
 * - cost: of keeping account of written pages, and of a history, kernel by kernel, in processor
 *   time
 *
 *      bench/time [SECONDS [KERNEL.elf ...]]
 *      bench/time SECONDS back GUEST.elf ...     only steps back, of these guests
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cpu/isa.h"
#include "hv/overlay.h"
#include "hv/session.h"

enum { ROUNDS = 51, PAGES = 100, LAYERS = 1000, LOOKS = 1000000, RUNS = 5 };

static void check(int error, const char *what)
{
    if (error < 0) {
        fprintf(stderr, "time bench: %s: %s\n", what, strerror(-error));
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of all threads: the host may have other things to do. */
static double cpu_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

static struct session *start(const char *image, enum session_under under, uint64_t memory,
                             uint64_t history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = image;
    config.engine = "auto";
    config.under = under;
    config.memory = memory;
    config.history = history;
    struct session *s = session_new(&config, why);
    if (!s) {
        fprintf(stderr, "time bench: %s\n", why);
        exit(1);
    }
    return s;
}

static struct view_status follow(struct session *s, int error)
{
    struct view_status status;
    check(error, "session");
    session_wait(s, -1);
    session_status(s, &status);
    return status;
}

/* ---- a guest that writes ----------------------------------------------------------------------
 */

enum { T0 = 5, T1, T2, S0 = 8, S1 };

static uint32_t i_type(enum insn_op op, unsigned rd, unsigned rs1, int32_t imm)
{
    return isa_rows[op].match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static uint32_t branch_back(unsigned rs1, unsigned rs2, int words)
{
    uint32_t by = (uint32_t)(-4 * words);
    return isa_rows[OP_bne].match | rs1 << 15 | rs2 << 20 | (by >> 12 & 1) << 31 |
           (by >> 5 & 63) << 25 | (by >> 1 & 15) << 8 | (by >> 11 & 1) << 7;
}

/* Writes to every page of 0x80800000 .. end, then to the first PAGES of them again and again. */
static const char *write_writer(uint32_t end)
{
    static char path[32];
    uint32_t lui = 0x37, store = isa_rows[OP_sw].match | T0 << 15 | S0 << 20;
    uint32_t code[] = {
        0x80800000u | T0 << 7 | lui,
        end | T1 << 7 | lui,
        0x1000u | T2 << 7 | lui,
        i_type(OP_addi, S0, 0, 1),
        store,
        isa_rows[OP_add].match | T0 << 7 | T0 << 15 | T2 << 20,
        branch_back(T0, T1, 2),
        0x80864000u | T1 << 7 | lui, /* PAGES pages on */
        i_type(OP_addi, S0, S0, 1),
        0x80800000u | T0 << 7 | lui,
        store,
        isa_rows[OP_add].match | T0 << 7 | T0 << 15 | T2 << 20,
        branch_back(T0, T1, 2),
        branch_back(S0, 0, 5),
    };
    strcpy(path, "/tmp/vitrine-bench-XXXXXX.bin");
    int fd = mkstemps(path, 4);
    check(fd, path);
    if (write(fd, code, sizeof code) != (ssize_t)sizeof code)
        check(-EIO, path);
    close(fd);
    return path;
}

/* The same with a session directory: each snapshot is on the disk, flushed. */
static void measure_directory(void)
{
    char folder[] = "/tmp/vitrine-bench-dir-XXXXXX", dir[40], command[60], why[SESSION_ERROR];
    const char *image = write_writer(0x8f000000);
    struct session *s = start(image, SESSION_HV, 256u << 20, 0);
    double create[ROUNDS], restore[ROUNDS];
    check(mkdtemp(folder) ? 0 : -errno, folder);
    snprintf(dir, sizeof dir, "%s/dir", folder);
    check(session_keep(s, dir, why), "keep");
    follow(s, session_step(s, 1000000));
    double began = now();
    check(session_snapshot(s, "base", why), "snapshot");
    printf("directory first %.1f ms\n", (now() - began) * 1e3);
    for (int n = 0; n < ROUNDS; n++) {
        follow(s, session_step(s, 1000));
        began = now();
        int id = session_snapshot(s, "", why);
        create[n] = now() - began;
        check(id, "snapshot");
        follow(s, session_step(s, 1000));
        began = now();
        check(session_restore(s, id, why), "restore");
        restore[n] = now() - began;
    }
    session_free(s);
    struct session_config wishes;
    session_config_init(&wishes);
    wishes.engine = "auto";
    began = now();
    s = session_open(dir, 0, &wishes, why);
    double opened = now() - began;
    check(s ? 0 : -EINVAL, why);
    session_free(s);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    check(system(command) ? -EIO : 0, command);
    unlink(image);
    printf("directory create %.2f ms\n", median(create, ROUNDS) * 1e3);
    printf("directory restore %.2f ms\n", median(restore, ROUNDS) * 1e3);
    printf("directory open %.1f ms\n", opened * 1e3);
}

static void measure_snapshots(enum session_under under, const char *word)
{
    const char *image = write_writer(0x8f000000);
    struct session *s = start(image, under, 256u << 20, 0);
    double snapshot[ROUNDS], restore[ROUNDS];
    char why[SESSION_ERROR];
    follow(s, session_step(s, 1000000));
    check(session_snapshot(s, "base", why), "snapshot");
    for (int n = 0; n < ROUNDS; n++) {
        follow(s, session_step(s, 1000));
        double began = now();
        int id = session_snapshot(s, "", why);
        snapshot[n] = now() - began;
        check(id, "snapshot");
        follow(s, session_step(s, 1000));
        began = now();
        check(session_restore(s, id, why), "restore");
        restore[n] = now() - began;
    }
    session_free(s);
    unlink(image);
    printf("snapshot %s %.0f us\n", word, median(snapshot, ROUNDS) * 1e6);
    printf("restore %s %.0f us\n", word, median(restore, ROUNDS) * 1e6);
}

/* ---- layers -----------------------------------------------------------------------------------
 */

static double look_up(struct overlay *o, uint32_t pages)
{
    static volatile uint8_t sink;
    uint32_t at = 1;
    double began = now();
    for (int n = 0; n < LOOKS; n++) {
        at = at * 1664525 + 1013904223;
        sink = overlay_look(o, 0, (at >> 8) % pages)[at % OVERLAY_PAGE];
    }
    (void)sink;
    return (now() - began) / LOOKS;
}

static void write_pages(uint8_t *bytes, struct ram_track *track, uint32_t from, uint32_t count,
                        uint32_t pages, uint8_t value)
{
    for (uint32_t n = 0; n < count; n++) {
        uint32_t page = (from + n) % pages;
        bytes[(size_t)page * OVERLAY_PAGE] = value;
        ram_track_write(track, page);
    }
}

static void measure_layers(void)
{
    enum { COUNT = 4096 };
    uint8_t *bytes = calloc(COUNT, OVERLAY_PAGE);
    struct ram_track track;
    double one[RUNS], many[RUNS];
    check(bytes ? ram_track_init(&track, COUNT) : -ENOMEM, "layers");
    struct overlay_part part = {.bytes = bytes, .size = COUNT * OVERLAY_PAGE, .track = &track};
    struct overlay *o = overlay_new(&part, 1);
    check(o ? 0 : -ENOMEM, "layers");
    write_pages(bytes, &track, 0, COUNT, COUNT, 1);
    check(overlay_freeze(o), "freeze");
    for (int n = 0; n < RUNS; n++)
        one[n] = look_up(o, COUNT);
    for (uint32_t n = 1; n < LAYERS; n++) {
        write_pages(bytes, &track, n * 7, 4, COUNT, (uint8_t)n);
        check(overlay_freeze(o), "freeze");
    }
    for (int n = 0; n < RUNS; n++)
        many[n] = look_up(o, COUNT);
    double base = median(one, RUNS), deep = median(many, RUNS);
    printf("layers %.1f ns under 1, %.1f ns under %d: %.2f\n", base * 1e9, deep * 1e9, LAYERS,
           deep / base);
    overlay_free(o);
    ram_track_free(&track, COUNT);
    free(bytes);
}

/* ---- stepping back ----------------------------------------------------------------------------
 */

enum { BACKS = 10 };

/* The slowest answers of one run, in seconds of the processor's time. */
struct answers {
    double first, next, anywhere, far, run_back;
};

static double answer(struct session *s, int error)
{
    double began = cpu_time();
    follow(s, error);
    return cpu_time() - began;
}

static void note(double *slowest, double took)
{
    if (took > *slowest)
        *slowest = took;
}

/* Runs for so long, and to where the guest ends if it ends before. A shell has something to do. */
static uint64_t run_for(struct session *s, const char *typed, double seconds)
{
    struct view_status status;
    double until = now() + seconds;
    if (!*typed)
        session_input_end(s);
    check(session_run(s), "run");
    do {
        session_input(s, (const uint8_t *)typed, strlen(typed));
    } while (session_wait(s, 50) && now() < until);
    session_pause(s);
    session_wait(s, -1);
    session_status(s, &status);
    return status.instructions;
}

static void step_back_often(struct session *s, double *first, double *next)
{
    note(first, answer(s, session_step_back(s, 1)));
    for (int n = 0; n < 5; n++)
        note(next, answer(s, session_step_back(s, 1)));
}

/* The newest breakpoint that the guest has come by: it is where the guest stands now. */
static void run_back(struct session *s, double *slowest)
{
    struct view_hart hart;
    struct view_status status;
    session_status(s, &status);
    session_view_hart(s, status.under_monitor ? VIEW_VIRTUAL : VIEW_REAL, &hart);
    int id =
        session_break_add(s, &(struct session_break){.kind = BREAK_EXECUTE, .address = hart.pc});
    check(id, "breakpoint");
    note(slowest, answer(s, session_run_back(s, BACK_POINT, false, 0, 0)));
    session_break_remove(s, id);
}

static void measure_back(const char *image, enum session_under under, const char *typed,
                         double seconds)
{
    struct session *s = start(image, under, 256u << 20, (uint64_t)256 << 20);
    struct view_history history;
    struct answers a = {0};
    const char *name = strrchr(image, '/');
    uint64_t end = run_for(s, typed, seconds);
    session_view_history(s, &history);
    for (int n = 0; n < BACKS; n++) {
        step_back_often(s, &a.first, &a.next);
        note(&a.far, answer(s, session_step_back(s, 1000000)));
    }
    for (int n = 1; n <= BACKS; n++) {
        note(&a.anywhere, answer(s, session_goto(s, end / BACKS * (uint64_t)(n * 7 % BACKS))));
        step_back_often(s, &a.first, &a.next);
        run_back(s, &a.run_back);
    }
    printf("back %s %s %.1f ms a step, %.1f ms the next, %.1f ms a million, %.1f ms to anywhere, "
           "%.1f ms to a breakpoint; of %.0f M instructions; %u checkpoints, %llu MiB\n",
           name && !strstr(name, "vitrine-bench-") ? name + 1 : "writer",
           under == SESSION_HV ? "hv" : "bare", a.first * 1e3, a.next * 1e3, a.far * 1e3,
           a.anywhere * 1e3, a.run_back * 1e3, (double)end / 1e6, history.checkpoints,
           (unsigned long long)history.bytes >> 20);
    session_free(s);
}

/* ---- what a history costs ---------------------------------------------------------------------
 */

enum { PLAIN, TRACKED, RECORDED };

/* TRACKED: an account of written pages is kept, from the beginning on; RECORDED: with a history. */
static double run_to_end(const char *image, enum session_under under, int how)
{
    uint64_t history = how == RECORDED ? (uint64_t)256 << 20 : 0;
    struct session *s = start(image, under, 64u << 20, history);
    char why[SESSION_ERROR];
    if (how == TRACKED)
        check(session_snapshot(s, "", why), "snapshot");
    session_input_end(s);
    double began = cpu_time();
    follow(s, session_run(s));
    double took = cpu_time() - began;
    session_free(s);
    return took;
}

static void measure_history(const char *image, enum session_under under, const char *word)
{
    double took[3][RUNS];
    const char *name = strrchr(image, '/');
    for (int n = 0; n < RUNS; n++)
        for (int how = PLAIN; how <= RECORDED; how++)
            took[how][n] = run_to_end(image, under, how);
    double plain = median(took[PLAIN], RUNS);
    printf("cost %s %s %.0f ms, tracked %+.1f %%, with a history %+.1f %%\n",
           name ? name + 1 : image, word, plain * 1e3,
           100 * (median(took[TRACKED], RUNS) / plain - 1),
           100 * (median(took[RECORDED], RUNS) / plain - 1));
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 60;
    bool only_back = argc > 2 && !strcmp(argv[2], "back");
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 3; only_back && i < argc; i++) {
        measure_back(argv[i], SESSION_BARE, "ls\n", seconds);
        measure_back(argv[i], SESSION_HV, "ls\n", seconds);
    }
    if (only_back)
        return 0;
    measure_snapshots(SESSION_BARE, "bare");
    measure_snapshots(SESSION_HV, "hv");
    measure_directory();
    measure_layers();
    for (int i = 2; i < argc; i++) {
        measure_history(argv[i], SESSION_BARE, "bare");
        measure_history(argv[i], SESSION_HV, "hv");
    }
    const char *image = write_writer(0x82000000);
    measure_back(image, SESSION_BARE, "", seconds);
    measure_back(image, SESSION_HV, "", seconds);
    unlink(image);
    return 0;
}
