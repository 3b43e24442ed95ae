/*
 * How long a guest stands when it moves: 256 MiB, of which it writes so many MB a second, over TCP
 * on this host; by pre-copy, and by post-copy after one round.
 *
 *     make tests/bench/migrate && tests/bench/migrate [MB a second]        default: 50
 *
 * The guest writes to one page, and goes round an empty loop in between: so often that the rate is
 * right, which is measured, and is measured again before each move. A figure, not a test.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/migrate.h"
#include "tests/bench/pair.h"

enum { MEMORY = 256 << 20, PATIENCE_MS = 20000, RUNS = 5, PAGE = 4096, TRIES = 6 };

/* Flat image at 0x80400000. Touches 0x80800000 up to 240 MiB once, then writes page after page of
 * it, and after each goes round an empty loop s1 times. */
static const uint32_t guest[] = {
    0x808002b7, /* lui  t0, 0x80800    first page */
    0x8f800337, /* lui  t1, 0x8f800    behind the last */
    0x000013b7, /* lui  t2, 1          4096 */
    0x00000437, /* lui  s0, 0          (its low twelve bits stand in the next) */
    0x00000493, /* addi s1, zero, N    put in by write_image() */
    0x00028513, /* again: mv a0, t0 */
    0x00a52023, /* page: sw a0, 0(a0) */
    0x00048593, /* mv a1, s1 */
    0xfff58593, /* wait: addi a1, a1, -1 */
    0xfe059ee3, /* bne a1, zero, wait */
    0x00750533, /* add a0, a0, t2 */
    0xfe6546e3, /* blt a0, t1, page */
    0xfe5ff06f, /* j again */
};

static const double ALL_PAGES = 240 << 20; /* bytes */

static struct session *new_session(const char *image)
{
    struct session_config config;
    session_config_init(&config);
    config.image = image;
    config.memory = MEMORY;
    config.engine = "auto";
    return bench_session(&config);
}

/* ---- how fast the guest writes --------------------------------------------------------------- */

static void write_image(const char *path, uint32_t loops)
{
    uint32_t code[sizeof guest / sizeof *guest];
    memcpy(code, guest, sizeof code);
    code[3] = ((loops + 0x800) & 0xfffff000) | 9u << 7 | 0x37;   /* lui s1 */
    code[4] = (loops & 0xfff) << 20 | 9u << 15 | 9u << 7 | 0x13; /* addi s1, s1 */
    FILE *file = fopen(path, "we");
    if (!file || fwrite(code, sizeof code, 1, file) != 1 || fclose(file))
        exit(2);
}

/* Bytes a second of the pages that the guest writes to, over half a second. */
static double rate_of(struct session *session, uint32_t loops)
{
    uint64_t from = bench_instructions(session);
    double began = bench_now(CLOCK_MONOTONIC);
    bench_rest(0.5);
    double done = (double)(bench_instructions(session) - from);
    double seconds = bench_now(CLOCK_MONOTONIC) - began;
    return done / (4 + 2 * (double)loops) * PAGE / seconds;
}

/* How often the guest must go round, so that it writes `wanted` bytes a second on this host. */
static uint32_t calibrate(const char *path, double wanted)
{
    double loops = 10000;
    for (int n = 0; n < TRIES; n++) {
        write_image(path, (uint32_t)loops);
        struct session *session = new_session(path);
        session_run(session);
        bench_rest(0.3);
        double rate = rate_of(session, (uint32_t)loops);
        session_free(session);
        if (rate > 0.97 * wanted && rate < 1.03 * wanted)
            break;
        loops = loops * rate / wanted;
        loops = loops < 1 ? 1 : loops > 1e8 ? 1e8 : loops;
    }
    return (uint32_t)loops;
}

/* ---- one move -------------------------------------------------------------------------------- */

struct destination {
    int listening;
    struct session *session;
};

static void *receive(void *context)
{
    struct destination *d = context;
    char why[SESSION_ERROR] = "";
    bool runs;
    struct link link = link_of_socket(link_accept(d->listening, PATIENCE_MS), PATIENCE_MS);
    enum migrate_end end = migrate_receive(d->session, &link, &runs, why);
    if (end == MIGRATE_MOVED && session_run(d->session) == 0)
        end = migrate_receive_rest(d->session, why);
    if (end != MIGRATE_MOVED)
        fprintf(stderr, "bench/migrate: %s\n", why);
    link_close(&link);
    return NULL;
}

struct result {
    struct view_migration source, destination;
    double rate; /* at which the guest wrote just before */
};

static bool move(struct session *source, struct destination *d, bool postcopy, struct result *out)
{
    char why[SESSION_ERROR] = "", address[32];
    pthread_t thread;
    snprintf(address, sizeof address, "tcp:127.0.0.1:%d", 20000 + (int)(getpid() % 20000));
    d->listening = link_listen(address, why);
    if (d->listening < 0 || pthread_create(&thread, NULL, receive, d))
        exit(2);
    struct link link = link_of_socket(link_connect(address, PATIENCE_MS, why), PATIENCE_MS);
    const struct migrate_options options = {
        .throttle = 80, .rounds = postcopy ? 1 : 100, .postcopy = postcopy};
    enum migrate_end end = migrate_send(source, &link, &options, why);
    pthread_join(thread, NULL);
    link_close(&link);
    close(d->listening);
    session_view_migration(source, &out->source);
    session_view_migration(d->session, &out->destination);
    if (end != MIGRATE_MOVED)
        fprintf(stderr, "bench/migrate: %s\n", why);
    return end == MIGRATE_MOVED;
}

static bool run_once(const char *path, uint32_t loops, double wanted, bool postcopy,
                     struct result *out)
{
    struct session *source = new_session(path);
    struct destination d = {.session = new_session(path)};
    session_run(source);
    bench_rest(ALL_PAGES / wanted + 1); /* each page was written once */
    out->rate = rate_of(source, loops);
    bool moved = move(source, &d, postcopy, out);
    session_free(source);
    session_free(d.session);
    return moved;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void show(const struct result *r, bool postcopy)
{
    const struct view_migration *v = &r->source, *there = &r->destination;
    printf("  %s %5.1f MB/s written  %5.2f s  %2u rounds  %6.0f MB  stood %6.2f ms",
           postcopy ? "post-copy" : "pre-copy ", r->rate / 1e6, v->seconds, v->round,
           (double)v->bytes / 1e6, v->downtime * 1e3);
    if (postcopy && there->demands)
        printf("  asked for %5llu pages, %.0f us each, %.2f ms at most",
               (unsigned long long)there->demands, there->waited / (double)there->demands * 1e6,
               there->waited_max * 1e3);
    else if (!postcopy)
        printf("  slowed %u %%", v->throttle);
    printf("\n");
}

static bool measure(const char *path, uint32_t loops, double wanted, bool postcopy)
{
    double downtime[RUNS], demands[RUNS], waited[RUNS];
    for (int run = 0; run < RUNS; run++) {
        struct result r;
        if (!run_once(path, loops, wanted, postcopy, &r))
            return false;
        show(&r, postcopy);
        downtime[run] = r.source.downtime * 1e3;
        demands[run] = (double)r.destination.demands;
        waited[run] = demands[run] > 0 ? r.destination.waited / demands[run] * 1e6 : 0;
    }
    printf("  %s median downtime %.2f ms", postcopy ? "post-copy" : "pre-copy",
           bench_median(downtime, RUNS));
    if (postcopy)
        printf(", demands %.0f, each waited %.0f us", bench_median(demands, RUNS),
               bench_median(waited, RUNS));
    printf("\n");
    return true;
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/bench-migrate-XXXXXX.bin";
    setvbuf(stdout, NULL, _IOLBF, 0);
    double wanted = (argc > 1 ? atof(argv[1]) : 50) * 1e6;
    int fd = mkstemps(path, 4);
    if (fd < 0 || wanted <= 0)
        return 2;
    close(fd);
    uint32_t loops = calibrate(path, wanted);
    write_image(path, loops);
    printf(
        "256 MiB over TCP on this host, the guest writes %.0f MB/s (goal: it stands for less than "
        "10 ms)\n",
        wanted / 1e6);
    bool moved = measure(path, loops, wanted, false) && measure(path, loops, wanted, true);
    unlink(path);
    return !moved;
}
