/* See qcow2-crash.h. */
#include "tests/qcow2-crash.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/qcow2.h"
#include "tests/storage-trace.h"

enum { SECTOR = 512, WORDS = SECTOR / 8 };
enum { STAMP_ZERO = 0, STAMP_BASE = 1, STAMP_FIRST = 2 };

#define KIB 1024ull
#define MIB (1024 * KIB)

const struct crash_plan crash_plans[] = {
    {.name = "clusters of 512 bytes",
     .size = 256 * KIB,
     .cluster_bits = 9,
     .refcount_order = 4,
     .backing = "raw",
     .areas = 1,
     .area_sectors = 512,
     .steps = 150,
     .longest = 12,
     .flush_every = 8},
    {.name = "the refcount table moves",
     .size = 3 * MIB,
     .cluster_bits = 9,
     .refcount_order = 6,
     .areas = 1,
     .area_sectors = 6144,
     .steps = 50,
     .longest = 40,
     .flush_every = 8,
     .prefill = 3940,
     .moves = true},
    {.name = "counts of one bit, on an overlay",
     .size = 1 * MIB,
     .cluster_bits = 12,
     .refcount_order = 0,
     .backing = "qcow2",
     .areas = 1,
     .area_sectors = 2048,
     .steps = 150,
     .longest = 30,
     .flush_every = 6},
    {.name = "clusters of 64 KiB, far apart",
     .size = 2048 * MIB,
     .cluster_bits = 16,
     .refcount_order = 4,
     .backing = "raw",
     .area = {0, 512 * MIB - 128 * KIB, 1024 * MIB, 2048 * MIB - 256 * KIB},
     .areas = 4,
     .area_sectors = 512,
     .steps = 120,
     .longest = 200,
     .flush_every = 6},
    {.name = "version 2 by qemu-img",
     .size = 512 * KIB,
     .qemu = "compat=0.10,cluster_size=4096",
     .backing = "raw",
     .areas = 1,
     .area_sectors = 1024,
     .steps = 150,
     .longest = 20,
     .flush_every = 8},
    {.name = "compressed by qemu-img",
     .size = 512 * KIB,
     .qemu = "cluster_size=4096",
     .backing = "raw",
     .compressed = true,
     .areas = 1,
     .area_sectors = 1024,
     .steps = 150,
     .longest = 20,
     .flush_every = 8},
    {.name = "one flush at the end",
     .size = 256 * KIB,
     .cluster_bits = 9,
     .refcount_order = 4,
     .backing = "qcow2",
     .areas = 1,
     .area_sectors = 512,
     .steps = 150,
     .longest = 12,
     .flush_every = 1000},
};
const unsigned crash_plan_count = sizeof crash_plans / sizeof *crash_plans;

/* ---- the model ---------------------------------------------------------------------------- */

/* A write to a sector: what came there, and after how many operations on the file it began. */
struct event {
    uint32_t sector; /* of the model */
    uint32_t stamp;
    size_t begun;
    size_t before; /* 1 + the number of the event before it in this sector; 0: none */
};

struct model {
    const struct crash_plan *plan;
    uint32_t sectors;
    struct event *event;
    size_t events, room;
    size_t *last; /* of each sector: 1 + the number of its newest event; 0: none */
    struct {
        size_t events, ops; /* what it covers; how many operations were done when it had returned */
    } * flush;
    size_t flushes, flush_room;
};

static uint64_t disk_offset(const struct crash_plan *p, uint32_t sector)
{
    return p->area[sector / p->area_sectors] + (uint64_t)(sector % p->area_sectors) * SECTOR;
}

static void make_sector(uint64_t *words, uint32_t sector, uint32_t stamp)
{
    for (int i = 0; i < WORDS; i++)
        words[i] = stamp == STAMP_ZERO ? 0 : (uint64_t)stamp << 32 | sector;
}

/* Which write has made this sector; false: none has. */
static bool read_stamp(const uint64_t *words, uint32_t sector, uint32_t *stamp)
{
    for (int i = 1; i < WORDS; i++)
        if (words[i] != words[0])
            return false;
    *stamp = (uint32_t)(words[0] >> 32);
    return words[0] == 0 || (uint32_t)words[0] == sector;
}

static void add_event(struct model *m, uint32_t sector, uint32_t stamp, size_t begun)
{
    if (m->events == m->room) {
        m->room = m->room ? 2 * m->room : 1024;
        m->event = realloc(m->event, m->room * sizeof *m->event);
        assert(m->event);
    }
    m->event[m->events++] = (struct event){sector, stamp, begun, m->last[sector]};
    m->last[sector] = m->events;
}

static void add_flush(struct model *m, size_t ops)
{
    if (m->flushes == m->flush_room) {
        m->flush_room = m->flush_room ? 2 * m->flush_room : 64;
        m->flush = realloc(m->flush, m->flush_room * sizeof *m->flush);
        assert(m->flush);
    }
    m->flush[m->flushes].events = m->events;
    m->flush[m->flushes++].ops = ops;
}

/* Half of the backing disk has something. */
static uint32_t base_stamp(const struct crash_plan *p, uint32_t sector)
{
    return p->backing && sector / 16 % 2 ? STAMP_BASE : STAMP_ZERO;
}

/* Events that are covered by the flushes that were answered before operation `ops`. */
static size_t covered_by(const struct model *m, size_t ops)
{
    size_t covered = 0;
    for (size_t i = 0; i < m->flushes && m->flush[i].ops <= ops; i++)
        covered = m->flush[i].events;
    return covered;
}

/* May a sector have this content after `ops` operations? That of any write since the last flush,
 * if it had begun; else only the last before. */
static bool is_allowed(const struct model *m, size_t covered, size_t ops, uint32_t sector,
                       uint32_t stamp)
{
    for (size_t i = m->last[sector]; i; i = m->event[i - 1].before) {
        const struct event *e = &m->event[i - 1];
        if (i <= covered)
            return e->stamp == stamp;
        if (e->begun <= ops && e->stamp == stamp)
            return true;
    }
    return base_stamp(m->plan, sector) == stamp;
}

/* ---- the program -------------------------------------------------------------------------- */

/* Writes a run of sectors with one stamp, or makes it zero. */
static int do_write(struct qcow2 *image, struct model *m, struct trace *t, uint32_t sector,
                    uint32_t count, uint32_t stamp)
{
    uint64_t at = disk_offset(m->plan, sector);
    uint8_t *bytes = malloc((size_t)count * SECTOR);
    assert(bytes);
    for (uint32_t i = 0; i < count; i++) {
        make_sector((uint64_t *)(bytes + (size_t)i * SECTOR), sector + i, stamp);
        add_event(m, sector + i, stamp, t->ops);
    }
    int error = stamp == STAMP_ZERO ? qcow2_zero(image, at, (uint64_t)count * SECTOR)
                                    : qcow2_write(image, at, bytes, (size_t)count * SECTOR);
    free(bytes);
    return error;
}

/* Does what is read now equal the model? */
static int compare_now(struct qcow2 *image, const struct model *m, char *text)
{
    uint64_t words[WORDS];
    for (uint32_t s = 0; s < m->sectors; s++) {
        uint32_t stamp = 0;
        int error = qcow2_read(image, disk_offset(m->plan, s), words, SECTOR);
        if (error || !read_stamp(words, s, &stamp) ||
            !is_allowed(m, m->events, SIZE_MAX, s, stamp)) {
            snprintf(text, CRASH_TEXT, "sector %u: error %d, %llx read", s, error,
                     (unsigned long long)words[0]);
            return -1;
        }
    }
    return 0;
}

static int do_step(struct qcow2 *image, struct model *m, struct trace *t, uint32_t stamp)
{
    const struct crash_plan *p = m->plan;
    uint32_t area = (uint32_t)rand() % p->areas, in = (uint32_t)rand() % p->area_sectors;
    uint32_t count = 1 + (uint32_t)rand() % p->longest;
    if (count > p->area_sectors - in)
        count = p->area_sectors - in;
    int error =
        do_write(image, m, t, area * p->area_sectors + in, count, rand() % 4 ? stamp : STAMP_ZERO);
    if (!error && (unsigned)rand() % p->flush_every == 0) {
        error = qcow2_flush(image);
        add_flush(m, t->ops);
    }
    return error;
}

/* The steps, then as a program that ends well. */
static bool run_program(struct trace *t, const char *path, struct model *m, char *text)
{
    char why[QCOW2_ERROR];
    struct qcow2 *image = qcow2_open_on(&t->storage, path, 0, why);
    if (!image) {
        snprintf(text, CRASH_TEXT, "%s", why);
        return false;
    }
    int error = 0;
    if (m->plan->prefill) { /* nothing of this is a crash's business */
        t->recording = false;
        error = do_write(image, m, t, 0, m->plan->prefill, STAMP_FIRST);
        error = error ? error : qcow2_flush(image);
        add_flush(m, 0);
        bytes_copy(&t->first, &t->now);
        t->recording = true;
    }
    for (unsigned i = 0; i < m->plan->steps && !error; i++)
        error = do_step(image, m, t, STAMP_FIRST + 1 + i);
    if (error)
        snprintf(text, CRASH_TEXT, "a step failed: %d %s", error, qcow2_trouble(image));
    else
        error = compare_now(image, m, text);
    int closed = qcow2_close(image);
    add_flush(m, t->ops);
    if (closed && !error)
        snprintf(text, CRASH_TEXT, "closing failed: %d", closed);
    return !error && !closed;
}

/* ---- after a crash ------------------------------------------------------------------------ */

struct visit {
    struct model *model;
    const struct crash_effort *effort;
    struct crash_result *result;
    const char *path; /* of the image; backing files are beside it */
    struct judge judge;
};

static void found(struct visit *v, size_t *counter, size_t n, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void found(struct visit *v, size_t *counter, size_t n, const char *format, ...)
{
    char text[CRASH_TEXT - 64];
    va_list arguments;
    if (!(*counter)++ && !*v->result->first) {
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        snprintf(v->result->first, CRASH_TEXT, "after %zu operations: %s", n, text);
    }
}

static void keep_line(void *context, const char *line)
{
    char *text = context;
    if (!*text && !strncmp(line, "corrupt", 7))
        snprintf(text, CRASH_TEXT, "%s", line);
}

static void check_image(struct visit *v, struct qcow2 *image, size_t n)
{
    char line[CRASH_TEXT] = "";
    struct qcow2_verdict verdict;
    int error = qcow2_check(image, false, keep_line, line, &verdict);
    if (error || verdict.corruptions)
        found(v, &v->result->corrupt, n, "check says %d, %.300s", error, line);
    v->result->leaks += verdict.leaks != 0;
}

static void check_data(struct visit *v, struct qcow2 *image, size_t n)
{
    const struct model *m = v->model;
    size_t covered = covered_by(m, n);
    uint64_t words[WORDS];
    for (uint32_t s = 0; s < m->sectors; s++) {
        uint32_t stamp = 0;
        int error = qcow2_read(image, disk_offset(m->plan, s), words, SECTOR);
        if (!error && read_stamp(words, s, &stamp) && is_allowed(m, covered, n, s, stamp))
            continue;
        found(v, &v->result->lost, n, "sector %u: error %d, %llx read", s, error,
              (unsigned long long)words[0]);
        return;
    }
}

/* What a crash leaves can be opened, is not corrupt, has what was flushed, and can be gone on with.
 */
static bool visit(void *context, size_t n, const struct bytes *content)
{
    struct visit *v = context;
    struct trace t;
    char why[QCOW2_ERROR];
    trace_init(&t, content, false);
    struct qcow2 *image = qcow2_open_on(&t.storage, v->path, 0, why);
    if (image) {
        uint64_t words[WORDS];
        make_sector(words, 0, STAMP_BASE);
        check_image(v, image, n);
        check_data(v, image, n);
        int error = qcow2_write(image, v->model->plan->area[0], words, SECTOR);
        int closed = qcow2_close(image);
        if (error || closed)
            found(v, &v->result->corrupt, n, "a write afterwards: %d, %d", error, closed);
    } else {
        found(v, &v->result->corrupt, n, "%s", why);
    }
    int status = judge_ask(&v->judge, content);
    if (status != 0 && status != 3)
        found(v, &v->result->corrupt, n, "qemu-img check: exit status %d", status);
    v->result->states++;
    trace_free(&t);
    return true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* The backing disk: half of the sectors have something (base_stamp). */
static bool make_base(const struct crash_plan *p, const char *folder, char *text)
{
    char raw[300], image[300], why[QCOW2_ERROR] = "";
    uint64_t words[WORDS];
    snprintf(raw, sizeof raw, "%s/base.raw", folder);
    snprintf(image, sizeof image, "%s/base.qcow2", folder);
    remove(raw);
    remove(image);
    struct storage *file = storage_create(raw, why);
    int error = file ? storage_write(file, p->size - 1, "", 1) : -1;
    for (uint32_t s = 0; s < p->areas * p->area_sectors && !error; s++) {
        make_sector(words, s, base_stamp(p, s));
        if (words[0])
            error = storage_write(file, disk_offset(p, s), words, SECTOR);
    }
    storage_close(file);
    error = error ? error : qcow2_convert(raw, image, "qcow2", why);
    snprintf(text, CRASH_TEXT, "%s", error ? why : "");
    return !error;
}

static bool make_overlay(const struct crash_plan *p, const char *path, char *text)
{
    int error;
    char why[QCOW2_ERROR] = "", options[100] = "";
    const char *base = !p->backing ? NULL : !strcmp(p->backing, "raw") ? "base.raw" : "base.qcow2";
    struct qcow2_creation c = {.size = p->size,
                               .backing = base,
                               .backing_format = p->backing,
                               .cluster_bits = p->cluster_bits,
                               .refcount_order = p->refcount_order};
    remove(path);
    if (p->compressed) {
        error = run_quietly("qemu-img convert -c -f raw -O qcow2 -o %s '%.*s/base.raw' '%s'",
                            p->qemu, (int)(strrchr(path, '/') - path), path, path);
        snprintf(text, CRASH_TEXT, "%s", error ? "qemu-img convert failed" : "");
        return !error;
    }
    if (base)
        snprintf(options, sizeof options, "-b %s -F %s", base, p->backing);
    error = p->qemu ? run_quietly("qemu-img create -f qcow2 -o %s %s '%s' %llu", p->qemu, options,
                                  path, (unsigned long long)p->size)
                    : qcow2_create(path, &c, why);
    if (error)
        snprintf(text, CRASH_TEXT, "%s", p->qemu ? "qemu-img create failed" : why);
    return !error;
}

/* What the trace has: among others, changes of where the header says that the refcount table is. */
static void count_operations(const struct trace *t, struct crash_result *r)
{
    r->operations = t->ops;
    for (size_t i = 0; i < t->ops; i++) {
        r->flushes += !t->op[i].bytes;
        r->moves += t->op[i].bytes && t->op[i].at == 48;
    }
}

bool crash_run(const struct crash_plan *plan, const char *folder, const struct crash_effort *effort,
               struct crash_result *result)
{
    char path[256];
    struct trace trace;
    struct model model = {.plan = plan, .sectors = plan->areas * plan->area_sectors};
    model.last = calloc(model.sectors, sizeof *model.last);
    assert(model.last);
    *result = (struct crash_result){0};
    srand(effort->seed);
    snprintf(path, sizeof path, "%s/overlay.qcow2", folder);
    if (!make_base(plan, folder, result->first) || !make_overlay(plan, path, result->first)) {
        free(model.last);
        return false;
    }
    struct bytes content = bytes_of_file(path);
    trace_init(&trace, &content, true);
    bytes_free(&content);
    bool well = run_program(&trace, path, &model, result->first);
    count_operations(&trace, result);
    struct visit v = {.model = &model, .effort = effort, .result = result, .path = path};
    judge_init(&v.judge, folder, effort->qemu_every);
    size_t every = effort->points ? trace.ops / effort->points + 1 : 1;
    if (well)
        trace_crash(&trace, every, effort->subsets, effort->deaf, visit, &v);
    result->distinct = v.judge.distinct;
    result->judged = v.judge.judged;
    judge_free(&v.judge);
    free(model.last);
    free(model.event);
    free(model.flush);
    trace_free(&trace);
    return well;
}
