/*
 * How long a guest stands when it moves: 256 MiB, of which it writes so many MB a second, over TCP
 * on this host.
 *
 *     make tests/bench/migrate && tests/bench/migrate [MB a second]        default: 50
 *
 * The guest counts its own speed in pages: it writes one, and waits for the time base in between. A
 * figure, not a test.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/migrate.h"

enum { MEMORY = 256 << 20, PATIENCE_MS = 20000, RUNS = 5 };

/* Flat image at 0x80400000. Touches 0x80800000 up to 240 MiB once, then writes page after page of
 * it, and after each goes round an empty loop s1 times. */
static const uint32_t guest[] = {
    0x808002b7, /* lui  t0, 0x80800    first page */
    0x8f800337, /* lui  t1, 0x8f800    behind the last */
    0x000013b7, /* lui  t2, 1          4096 */
    0x00000437, /* lui  s0, 0          (its low twelve bits stand in the next) */
    0x00000493, /* addi s1, zero, N    put in by main() */
    0x00028513, /* again: mv a0, t0 */
    0x00a52023, /* page: sw a0, 0(a0) */
    0x00048593, /* mv a1, s1 */
    0xfff58593, /* wait: addi a1, a1, -1 */
    0xfe059ee3, /* bne a1, zero, wait */
    0x00750533, /* add a0, a0, t2 */
    0xfe6546e3, /* blt a0, t1, page */
    0xfe5ff06f, /* j again */
};

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
    if (migrate_receive(d->session, &link, &runs, why) != MIGRATE_MOVED)
        fprintf(stderr, "bench/migrate: %s\n", why);
    link_close(&link);
    return NULL;
}

static struct session *new_session(const char *image)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = image;
    config.memory = MEMORY;
    config.engine = "auto";
    struct session *session = session_new(&config, why);
    if (!session) {
        fprintf(stderr, "bench/migrate: %s\n", why);
        exit(2);
    }
    return session;
}

static uint64_t instructions(struct session *session)
{
    struct view_status status;
    session_status(session, &status);
    return status.instructions;
}

static void rest(double seconds)
{
    struct timespec ts = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&ts, NULL);
}

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

/* Goes round the empty loop so often that the rate is `mb` a second on this host. */
static uint32_t calibrate(const char *path, double mb)
{
    write_image(path, 10000);
    struct session *session = new_session(path);
    session_run(session);
    rest(0.5);
    uint64_t from = instructions(session);
    rest(1);
    double speed = (double)(instructions(session) - from);
    session_free(session);
    return (uint32_t)(speed / (mb * 1e6 / 4096) / 2);
}

static void migrate(const char *path, double mb)
{
    char why[SESSION_ERROR] = "", address[32];
    struct view_migration v;
    pthread_t thread;
    struct session *source = new_session(path);
    struct destination d = {.session = new_session(path)};
    session_run(source);
    rest(240e6 / (mb * 1e6) + 1); /* each page was written once */
    snprintf(address, sizeof address, "tcp:127.0.0.1:%d", 20000 + (int)(getpid() % 20000));
    d.listening = link_listen(address, why);
    if (d.listening < 0 || pthread_create(&thread, NULL, receive, &d))
        exit(2);
    struct link link = link_of_socket(link_connect(address, why), PATIENCE_MS);
    enum migrate_end end =
        migrate_send(source, &link, &(struct migrate_options){.throttle = 80, .rounds = 100}, why);
    pthread_join(thread, NULL);
    session_view_migration(source, &v);
    printf("  %s  %6.2f s  %3u rounds  %7.0f MB  %6.1f MB/s written  downtime %6.2f ms  slowed %u "
           "%%\n",
           end == MIGRATE_MOVED ? "moved" : why, v.seconds, v.round, (double)v.bytes / 1e6,
           v.dirty_rate / 1e6, v.downtime * 1e3, v.throttle);
    link_close(&link);
    close(d.listening);
    session_free(source);
    session_free(d.session);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/bench-migrate-XXXXXX.bin";
    setvbuf(stdout, NULL, _IOLBF, 0);
    double mb = argc > 1 ? atof(argv[1]) : 50;
    int fd = mkstemps(path, 4);
    if (fd < 0 || mb <= 0)
        return 2;
    close(fd);
    uint32_t loops = calibrate(path, mb);
    write_image(path, loops ? loops : 1);
    printf("migration of 256 MiB over TCP on this host, writing %.0f MB/s (goal: downtime below 10 "
           "ms)\n",
           mb);
    for (int run = 0; run < RUNS; run++)
        migrate(path, mb);
    unlink(path);
    return 0;
}
