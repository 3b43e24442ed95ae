/*
 * What disks in layers cost: the same accesses by us and by `qemu-img bench`, in turns, in
 * processor time; copies beside `qemu-img convert`; and a chain of a thousand images beside one of
 * two.
 *
 *      bench/disk [ROUNDS]        prints a line for each; medians
 *
 * Random accesses are by a large stride, since that is what qemu-img can. Both work in the host's
 * page cache; writes are flushed each 64 accesses. The time that `qemu-img --version` takes is
 * taken off qemu-img's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/qcow2.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

enum { ROUNDS_MAX = 99, FLUSH_EVERY = 64, LAYERS = 1000, LAYER_READS = 20000 };

static const uint64_t SIZE = 128 * MIB, STRIDE = 37 * MIB + 20 * KIB;
static char folder[] = "/tmp/vitrine-bench-disk.XXXXXX";
static unsigned rounds = 5;

static void need(bool well, const char *what)
{
    if (well)
        return;
    fprintf(stderr, "disk bench: %s\n", what);
    exit(1);
}

static const char *in(const char *name)
{
    static char path[4][100];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

/* ---- time --------------------------------------------------------------------------------- */

/* Processor seconds, of this program or of the children that have ended. */
static double used(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, rounds, sizeof *values, ascending);
    return values[rounds / 2];
}

/* Of a shell command, without what it prints. */
static double time_of(const char *command)
{
    char whole[600];
    double before = used(RUSAGE_CHILDREN);
    snprintf(whole, sizeof whole, "%s >/dev/null 2>&1", command);
    need(system(whole) == 0, command);
    return used(RUSAGE_CHILDREN) - before;
}

static double start_up(void)
{
    double times[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        times[i] = time_of("qemu-img --version");
    return median(times);
}

/* ---- images ------------------------------------------------------------------------------- */

static void make_image(const char *name, const char *backing, unsigned cluster_bits, uint64_t size)
{
    char why[QCOW2_ERROR];
    struct qcow2_creation c = {
        .size = size, .backing = backing, .cluster_bits = cluster_bits, .refcount_order = 4};
    unlink(in(name));
    need(qcow2_create(in(name), &c, why) == 0, why);
}

static struct qcow2 *open_image(const char *name, unsigned flags)
{
    char why[QCOW2_ERROR];
    struct qcow2 *q = qcow2_open(in(name), flags, why);
    need(q, why);
    return q;
}

static void fill(const char *name)
{
    static uint8_t part[64 * KIB];
    struct qcow2 *q = open_image(name, 0);
    for (uint64_t at = 0; at < SIZE; at += sizeof part) {
        memset(part, (int)(at / sizeof part) | 1, sizeof part);
        need(qcow2_write(q, at, part, sizeof part) == 0, "writing");
    }
    need(qcow2_close(q) == 0, "closing");
}

/* "full" has everything, "raw" too, "top" stands empty on "full". */
static void make_images(void)
{
    char why[QCOW2_ERROR];
    make_image("full", NULL, 16, SIZE);
    fill("full");
    need(qcow2_convert(in("full"), in("raw"), "raw", why) == 0, why);
    make_image("top", "full", 16, 0);
}

/* ---- accesses ----------------------------------------------------------------------------- */

struct row {
    const char *name, *image, *format;
    size_t part;
    bool random, write, fresh; /* fresh: on a new overlay each time */
    unsigned count;
};

static const struct row ROWS[] = {
    {"raw, read 64 KiB in order", "raw", "raw", 64 * KIB, false, false, false, 8192},
    {"raw, read 4 KiB at random", "raw", "raw", 4 * KIB, true, false, false, 40000},
    {"qcow2, read 64 KiB in order", "full", "qcow2", 64 * KIB, false, false, false, 8192},
    {"qcow2, read 4 KiB at random", "full", "qcow2", 4 * KIB, true, false, false, 40000},
    {"overlay, read 4 KiB at random", "top", "qcow2", 4 * KIB, true, false, false, 40000},
    {"qcow2, write 4 KiB at random", "full", "qcow2", 4 * KIB, true, true, false, 20000},
    {"qcow2, write 64 KiB in order", "full", "qcow2", 64 * KIB, false, true, false, 2048},
    {"new overlay, write 64 KiB in order", "top", "qcow2", 64 * KIB, false, true, true, 2048},
    {"new overlay, write 4 KiB at random", "top", "qcow2", 4 * KIB, true, true, true, 2000},
};

static uint64_t stride_of(const struct row *r)
{
    return r->random ? STRIDE : r->part;
}

static int access_raw(struct storage *s, const struct row *r, uint64_t at, void *bytes)
{
    return r->write ? storage_write(s, at, bytes, r->part) : storage_read(s, at, bytes, r->part);
}

static int access_image(struct qcow2 *q, const struct row *r, uint64_t at, void *bytes)
{
    return r->write ? qcow2_write(q, at, bytes, r->part) : qcow2_read(q, at, bytes, r->part);
}

static double run_ours(const struct row *r)
{
    char why[QCOW2_ERROR];
    static uint8_t bytes[64 * KIB];
    bool raw = !strcmp(r->format, "raw");
    double before = used(RUSAGE_SELF);
    struct qcow2 *q = raw ? NULL : open_image(r->image, r->write ? 0 : QCOW2_READONLY);
    struct storage *s = raw ? storage_open(in(r->image), !r->write, why) : NULL;
    need(q || s, why);
    uint64_t at = 0;
    for (unsigned i = 0; i < r->count; i++, at = (at + stride_of(r)) % SIZE) {
        int error = q ? access_image(q, r, at, bytes) : access_raw(s, r, at, bytes);
        if (!error && r->write && i % FLUSH_EVERY == FLUSH_EVERY - 1)
            error = q ? qcow2_flush(q) : storage_flush(s);
        need(!error, r->name);
    }
    need(!q || qcow2_close(q) == 0, "closing");
    storage_close(s);
    return used(RUSAGE_SELF) - before;
}

static double run_peer(const struct row *r)
{
    char command[500], flush[40] = "";
    if (r->write)
        snprintf(flush, sizeof flush, "-w --flush-interval=%d", FLUSH_EVERY);
    snprintf(command, sizeof command,
             "qemu-img bench -t writeback -d 1 -f %s -c %u -s %zu -S %llu %s '%s'", r->format,
             r->count, r->part, (unsigned long long)stride_of(r), flush, in(r->image));
    return time_of(command);
}

static void renew(const struct row *r)
{
    if (r->fresh)
        make_image("top", "full", 16, 0);
}

static void write_row(const char *name, double ours, double peer, double bytes)
{
    printf("  %-38s %8.0f MB/s  %8.3f s", name, bytes / ours / 1e6, ours);
    if (peer > 0)
        printf("   qemu-img %8.3f s   ratio %5.2f", peer, ours / peer);
    printf("\n");
}

static void measure(const struct row *r, bool qemu, double off)
{
    double ours[ROUNDS_MAX], peer[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        renew(r);
        ours[i] = run_ours(r);
        renew(r);
        peer[i] = qemu ? run_peer(r) - off : 0;
    }
    write_row(r->name, median(ours), median(peer), (double)r->part * r->count);
}

static void measure_convert(const char *from, const char *format, bool qemu, double off)
{
    char why[QCOW2_ERROR], name[60], command[500];
    double ours[ROUNDS_MAX], peer[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        unlink(in("copy"));
        double before = used(RUSAGE_SELF);
        need(qcow2_convert(in(from), in("copy"), format, why) == 0, why);
        ours[i] = used(RUSAGE_SELF) - before;
        snprintf(command, sizeof command, "qemu-img convert -O %s '%s' '%s'", format, in(from),
                 in("copy"));
        peer[i] = qemu ? time_of(command) - off : 0;
    }
    snprintf(name, sizeof name, "convert %s to %s", from, format);
    write_row(name, median(ours), median(peer), (double)SIZE);
}

/* ---- a thousand layers -------------------------------------------------------------------- */

/* Copies of the first overlay with another name in the header: to create each would open all below
 * it. The lowest has everything. */
static void make_chain(unsigned layers)
{
    enum { CLUSTER_BITS = 12, BYTES = 1 << 16 };
    static char image[BYTES];
    make_image("l0000", NULL, CLUSTER_BITS, 4 * MIB);
    make_image("l0001", "l0000", CLUSTER_BITS, 0);
    FILE *file = fopen(in("l0001"), "re");
    size_t count = file ? fread(image, 1, sizeof image, file) : 0;
    need(count && count < sizeof image && fclose(file) == 0, "reading l0001");
    char *name = memmem(image, count, "l0000", 5);
    need(name, "no name in l0001");
    for (unsigned i = 2; i < layers; i++) {
        char path[16];
        snprintf(path, sizeof path, "l%04u", i - 1);
        memcpy(name, path, 5);
        snprintf(path, sizeof path, "l%04u", i);
        file = fopen(in(path), "we");
        need(file && fwrite(image, 1, count, file) == count && fclose(file) == 0, path);
    }
    struct qcow2 *q = open_image("l0000", 0);
    for (uint64_t at = 0; at < 4 * MIB; at += 4 * KIB)
        need(qcow2_write(q, at, image, 4 * KIB) == 0, "writing l0000");
    need(qcow2_close(q) == 0, "closing l0000");
}

/* Reads that were done before. */
static double time_layers(const char *top)
{
    static uint8_t bytes[4 * KIB];
    struct qcow2 *q = open_image(top, QCOW2_READONLY);
    double before = 0;
    for (unsigned i = 0; i < 1024 + LAYER_READS; i++) {
        if (i == 1024) /* all clusters have been asked for once */
            before = used(RUSAGE_SELF);
        uint64_t at = i < 1024 ? i * 4 * KIB : (uint64_t)i * 389 % 1024 * 4 * KIB;
        need(qcow2_read(q, at, bytes, sizeof bytes) == 0, "reading the chain");
    }
    double time = used(RUSAGE_SELF) - before;
    qcow2_close(q);
    return time;
}

static void measure_layers(void)
{
    double deep[ROUNDS_MAX], flat[ROUNDS_MAX], alone[ROUNDS_MAX];
    char name[16];
    make_chain(LAYERS);
    snprintf(name, sizeof name, "l%04u", LAYERS - 1);
    for (unsigned i = 0; i < rounds; i++) {
        alone[i] = time_layers("l0000");
        flat[i] = time_layers("l0001");
        deep[i] = time_layers(name);
    }
    double d = median(deep), f = median(flat), a = median(alone);
    printf("  read 4 KiB through %d layers: %.0f ns; two layers %.0f ns, ratio %.2f; one %.0f ns, "
           "ratio %.2f (goal: below 1.2)\n",
           LAYERS, d / LAYER_READS * 1e9, f / LAYER_READS * 1e9, d / f, a / LAYER_READS * 1e9,
           d / a);
}

int main(int argc, char **argv)
{
    char command[100];
    if (argc > 1)
        rounds = (unsigned)strtoul(argv[1], NULL, 0);
    need(rounds >= 1 && rounds <= ROUNDS_MAX, "1 to 99 rounds");
    need(mkdtemp(folder), "no folder in /tmp");
    bool qemu = system("qemu-img --version >/dev/null 2>&1") == 0;
    double off = qemu ? start_up() : 0;
    make_images();
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        measure(&ROWS[i], qemu, off);
    measure_convert("full", "raw", qemu, off);
    measure_convert("raw", "qcow2", qemu, off);
    measure_layers();
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
