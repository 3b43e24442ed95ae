/* See qcow2-change.h. */
#include "tests/qcow2-change.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hv/qcow2.h"

#define KIB 1024ull

enum { OVER, BASE, FILES };
enum { OTHER_DISKS = 2 };

/* A disk as it is seen. */
struct disk {
    uint8_t *bytes;
    uint64_t size;
};

struct scene {
    const struct change *change;
    const char *folder;
    const struct crash_effort *effort;
    struct crash_result *result;
    struct trace trace[FILES];
    size_t clock;
    struct disk before, after;
    struct judge judge[FILES];
    char why[QCOW2_ERROR];
};

struct change {
    const char *base; /* format of the backing file */
    unsigned cluster_bits;
    uint64_t size;
    bool at_end;                      /* nothing before the end is seen by anybody */
    bool (*prepare)(struct scene *s); /* may be NULL */
    int (*run)(struct scene *s);      /* on the traces */
    int (*again)(struct scene *s);    /* on the files */
    void (*expect)(struct scene *s, struct disk *after); /* NULL: the disk stays what it is */
};

/* A path in the folder, good until the fourth call from now. */
static const char *in(const struct scene *s, const char *name)
{
    static char path[4][1400];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", s->folder, name);
    return p;
}

static const char *const NAMES[FILES] = {"over.qcow2", "base"};

/* ---- disks -------------------------------------------------------------------------------- */

/* All that an image and what is below it show; false and s->why. */
static bool look(struct scene *s, const char *path, struct disk *d)
{
    struct qcow2 *q = qcow2_open(path, QCOW2_READONLY, s->why);
    *d = (struct disk){0};
    if (!q)
        return false;
    d->size = qcow2_size(q);
    d->bytes = malloc(d->size);
    assert(d->bytes);
    int error = qcow2_read(q, 0, d->bytes, d->size);
    if (error)
        snprintf(s->why, sizeof s->why, "reading: %d %.400s", error, qcow2_trouble(q));
    qcow2_close(q);
    return !error;
}

static bool same(const struct disk *a, const struct disk *b)
{
    return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

static void random_ranges(uint8_t *bytes, uint64_t size, unsigned count, unsigned longest)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = (uint64_t)rand() % (size - longest);
        memset(bytes + at, rand(), 1 + (size_t)rand() % longest);
    }
}

static bool write_disk(struct scene *s, const char *name, const uint8_t *bytes, uint64_t size)
{
    struct bytes raw = {0};
    bytes_write(&raw, 0, bytes, size);
    bool well = bytes_to_file(&raw, in(s, name));
    bytes_free(&raw);
    return well;
}

/* Raw disks: "raw", and "other", which differs from it here and there. */
static bool make_raws(struct scene *s)
{
    uint64_t size = s->change->size;
    uint8_t *bytes = calloc(1, size);
    assert(bytes);
    random_ranges(bytes, size, 40, 3000);
    bool well = write_disk(s, "raw", bytes, size);
    random_ranges(bytes, size, 10, 3000);
    well = well && write_disk(s, "other", bytes, size);
    free(bytes);
    return well;
}

static bool make_base(struct scene *s)
{
    if (strcmp(s->change->base, "qcow2"))
        return rename(in(s, "raw"), in(s, "base")) == 0;
    struct qcow2_creation c = {.size = s->change->size, .cluster_bits = 9, .refcount_order = 4};
    struct bytes raw = bytes_of_file(in(s, "raw"));
    struct qcow2 *q =
        qcow2_create(in(s, "base"), &c, s->why) ? NULL : qcow2_open(in(s, "base"), 0, s->why);
    int error = q ? qcow2_write(q, 0, raw.at, raw.count / 2) : -1;
    bytes_free(&raw);
    return q && qcow2_close(q) == 0 && !error;
}

static int write_some(struct qcow2 *q, unsigned count)
{
    uint8_t bytes[3000];
    int error = 0;
    for (unsigned i = 0; i < count && !error; i++) {
        size_t part = 1 + (size_t)rand() % sizeof bytes;
        uint64_t at = (uint64_t)rand() % (qcow2_size(q) - part);
        memset(bytes, rand(), sizeof bytes);
        error = rand() % 4 ? qcow2_write(q, at, bytes, part) : qcow2_zero(q, at, part);
    }
    return error;
}

static bool make_overlay(struct scene *s)
{
    struct qcow2_creation c = {.backing = "base",
                               .backing_format = s->change->base,
                               .cluster_bits = s->change->cluster_bits,
                               .refcount_order = 4};
    const char *path = in(s, NAMES[OVER]);
    if (qcow2_create(path, &c, s->why))
        return false;
    struct qcow2 *q = qcow2_open(path, 0, s->why);
    int error = q ? write_some(q, 30) : -1;
    return q && qcow2_close(q) == 0 && !error;
}

/* ---- the changes -------------------------------------------------------------------------- */

static struct qcow2 *open_over(struct scene *s, unsigned flags)
{
    return qcow2_open_on(&s->trace[OVER].storage, in(s, NAMES[OVER]), flags, s->why);
}

/* The result of what was done to an image, and of closing it. */
static int close_over(struct qcow2 *q, int error)
{
    int closed = qcow2_close(q);
    return error ? error : closed;
}

static int run_commit(struct scene *s)
{
    struct qcow2 *q = open_over(s, QCOW2_ALONE);
    return q ? close_over(q, qcow2_commit_on(q, &s->trace[BASE].storage, in(s, "base"), s->why))
             : -1;
}

/* Afterwards the backing file shows the same disk, without the overlay. */
static int commit_again(struct scene *s)
{
    struct disk base = {0};
    struct qcow2_creation c = {.backing = "base", .backing_format = s->change->base};
    int error = qcow2_commit(in(s, NAMES[OVER]), s->why);
    remove(in(s, "empty"));
    error = error ? error : qcow2_create(in(s, "empty"), &c, s->why);
    if (!error && (!look(s, in(s, "empty"), &base) || !same(&base, &s->before)))
        error = -1;
    free(base.bytes);
    return error;
}

/* A crash between the counts and the references leaves leaks: so they are made. */
static bool prepare_leaks(struct scene *s)
{
    struct trace t;
    struct bytes content = bytes_of_file(in(s, NAMES[OVER]));
    trace_init(&t, &content, true);
    struct qcow2 *q = qcow2_open_on(&t.storage, in(s, NAMES[OVER]), 0, s->why);
    int error = q ? write_some(q, 30) : -1;
    error = q ? close_over(q, error) : error;
    size_t n = 0;
    while (n < t.ops && t.op[n].bytes)
        n++;
    trace_content(&t, n, &content);
    bool well = !error && bytes_to_file(&content, in(s, NAMES[OVER]));
    bytes_free(&content);
    trace_free(&t);
    return well;
}

static int repair(struct qcow2 *q, bool expect_leaks)
{
    struct qcow2_verdict v;
    int error = qcow2_check(q, true, NULL, NULL, &v);
    return error || v.leaks || (expect_leaks && !v.repaired) ? -1 : 0;
}

static int run_repair(struct scene *s)
{
    struct qcow2 *q = open_over(s, QCOW2_ALONE);
    return q ? close_over(q, repair(q, true)) : -1;
}

static int repair_again(struct scene *s)
{
    struct qcow2 *q = qcow2_open(in(s, NAMES[OVER]), QCOW2_ALONE, s->why);
    return q ? close_over(q, repair(q, false)) : -1;
}

static int rebase(struct scene *s, const struct qcow2_rebasing *how)
{
    struct qcow2 *q = open_over(s, how->unsafe ? QCOW2_ALONE : 0);
    const char *path = how->backing ? in(s, how->backing) : NULL;
    struct storage *file = q && path ? storage_open(path, true, s->why) : NULL;
    if (q && path && !file)
        return close_over(q, -1);
    return q ? close_over(q, qcow2_rebase_on(q, file, path, how, s->why)) : -1;
}

static const struct qcow2_rebasing TO_OTHER = {.backing = "other", .format = "raw"}, TO_NONE = {0};

static int run_rebase(struct scene *s)
{
    return rebase(s, &TO_OTHER);
}

static int rebase_again(struct scene *s)
{
    return qcow2_rebase(in(s, NAMES[OVER]), &TO_OTHER, s->why);
}

static int run_flatten(struct scene *s)
{
    return rebase(s, &TO_NONE);
}

static int flatten_again(struct scene *s)
{
    return qcow2_rebase(in(s, NAMES[OVER]), &TO_NONE, s->why);
}

/* A name that does not fit into the first sector: folders of a hundred letters. */
static const char *long_name(void)
{
    static char name[700];
    for (int i = 0; i < 6; i++) {
        memset(name + 101 * i, 'a' + i, 100);
        name[101 * i + 100] = '/';
    }
    strcpy(name + 606, "base");
    return name;
}

static bool prepare_long_name(struct scene *s)
{
    char part[700];
    for (size_t end = 100; end < 606; end += 101) {
        snprintf(part, sizeof part, "%.*s", (int)end, long_name());
        if (mkdir(in(s, part), 0777))
            return false;
    }
    struct bytes base = bytes_of_file(in(s, "base"));
    bool well = bytes_to_file(&base, in(s, long_name()));
    bytes_free(&base);
    return well;
}

static int run_rename(struct scene *s)
{
    struct qcow2_rebasing how = {.backing = long_name(), .format = s->change->base, .unsafe = true};
    return rebase(s, &how);
}

static int rename_again(struct scene *s)
{
    struct qcow2_rebasing how = {.backing = long_name(), .format = s->change->base, .unsafe = true};
    return qcow2_rebase(in(s, NAMES[OVER]), &how, s->why);
}

enum { LESS = 130560, MORE = 300032, MUCH_MORE = 5 << 20 };

static void expect_size(const struct scene *s, struct disk *after, uint64_t size)
{
    uint64_t kept = size < s->before.size ? size : s->before.size;
    *after = (struct disk){calloc(1, size), size};
    assert(after->bytes);
    memcpy(after->bytes, s->before.bytes, kept);
}

static int resize(struct scene *s, uint64_t size)
{
    struct qcow2 *q = open_over(s, 0);
    return q ? close_over(q, qcow2_resize_on(q, size, true, s->why)) : -1;
}

static int resize_again(struct scene *s)
{
    return qcow2_resize(in(s, NAMES[OVER]), s->after.size, true, s->why);
}

static int run_shrink(struct scene *s)
{
    return resize(s, LESS);
}

static void expect_less(struct scene *s, struct disk *after)
{
    expect_size(s, after, LESS);
}

static int run_grow(struct scene *s)
{
    return resize(s, MUCH_MORE);
}

static void expect_much_more(struct scene *s, struct disk *after)
{
    expect_size(s, after, MUCH_MORE);
}

/* Clusters behind the end, as a shrinking leaves them that was cut short; and a longer backing
 * file. */
static bool prepare_cut_short(struct scene *s)
{
    struct trace t;
    struct bytes content = bytes_of_file(in(s, NAMES[OVER]));
    trace_init(&t, &content, true);
    struct qcow2 *q = qcow2_open_on(&t.storage, in(s, NAMES[OVER]), 0, s->why);
    int error = q ? qcow2_resize_on(q, LESS, true, s->why) : -1;
    error = q ? close_over(q, error) : error;
    size_t n = 0;
    while (n < t.ops && !(t.op[n].bytes && t.op[n].at < 512)) /* the header: it is small by now */
        n++;
    trace_content(&t, n + 1, &content);
    bool well = !error && n < t.ops && bytes_to_file(&content, in(s, NAMES[OVER]));
    bytes_free(&content);
    trace_free(&t);
    return well;
}

static int run_grow_again(struct scene *s)
{
    return resize(s, MORE);
}

static void expect_more(struct scene *s, struct disk *after)
{
    expect_size(s, after, MORE);
}

static int run_create(struct scene *s)
{
    struct qcow2_creation c = {.backing = "base", .backing_format = "raw"};
    bytes_free(&s->trace[OVER].first);
    bytes_free(&s->trace[OVER].now);
    return qcow2_create_on(&s->trace[OVER].storage, in(s, NAMES[OVER]), &c, s->why);
}

static void expect_base(struct scene *s, struct disk *after)
{
    struct bytes base = bytes_of_file(in(s, "base"));
    *after = (struct disk){base.at, base.count};
}

static int nothing_again(struct scene *s)
{
    return 0;
}

static const struct change CHANGES[] = {
    {"raw", 9, 256 * KIB, false, NULL, run_commit, commit_again, NULL},
    {"qcow2", 12, 256 * KIB, false, NULL, run_commit, commit_again, NULL},
    {"raw", 9, 256 * KIB, false, prepare_leaks, run_repair, repair_again, NULL},
    {"raw", 9, 256 * KIB, false, NULL, run_rebase, rebase_again, NULL},
    {"qcow2", 12, 256 * KIB, false, NULL, run_rebase, rebase_again, NULL},
    {"qcow2", 9, 256 * KIB, false, NULL, run_flatten, flatten_again, NULL},
    {"qcow2", 12, 256 * KIB, false, prepare_long_name, run_rename, rename_again, NULL},
    {"raw", 9, 256 * KIB, false, NULL, run_shrink, resize_again, expect_less},
    {"raw", 9, 256 * KIB, false, NULL, run_grow, resize_again, expect_much_more},
    {"raw", 9, 256 * KIB, false, prepare_cut_short, run_grow_again, resize_again, expect_more},
    {"raw", 16, 256 * KIB, true, NULL, run_create, nothing_again, expect_base},
};

const char *const change_names[] = {
    "commit into a raw file",
    "commit into an image",
    "check --repair",
    "rebase to another file",
    "rebase from an image to a raw file",
    "rebase to none",
    "rebase to a name that is long",
    "resize: shrink",
    "resize: grow, with a new L1 table",
    "resize: grow after a shrinking that was cut short",
    "create",
};
const unsigned change_count = sizeof change_names / sizeof *change_names;
_Static_assert(sizeof change_names / sizeof *change_names == sizeof CHANGES / sizeof *CHANGES,
               "a name each");

/* ---- after a crash ------------------------------------------------------------------------ */

static void found(struct scene *s, size_t *counter, size_t when, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void found(struct scene *s, size_t *counter, size_t when, const char *format, ...)
{
    char text[CRASH_TEXT - 64];
    va_list arguments;
    if ((*counter)++ || *s->result->first)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(s->result->first, CRASH_TEXT, "after %zu operations: %s", when, text);
}

/* Our own check, and qemu-img's. */
static void check_file(struct scene *s, size_t when, int file, const struct bytes *content)
{
    struct qcow2_verdict v = {0};
    struct qcow2 *q = qcow2_open(in(s, NAMES[file]), QCOW2_READONLY | QCOW2_ALONE, s->why);
    int error = q ? qcow2_check(q, false, NULL, NULL, &v) : -1;
    if (error || v.corruptions)
        found(s, &s->result->corrupt, when, "%s: check says %d, %s", NAMES[file], error,
              q ? qcow2_trouble(q) : s->why);
    s->result->leaks += v.leaks != 0;
    if (q)
        qcow2_close(q);
    int status = judge_ask(&s->judge[file], content);
    if (status != 0 && status != 3)
        found(s, &s->result->corrupt, when, "%s: qemu-img check: exit status %d", NAMES[file],
              status);
}

static void check_disk(struct scene *s, size_t when)
{
    struct disk now;
    *s->why = '\0';
    bool seen = look(s, in(s, NAMES[OVER]), &now);
    if (!seen || !(same(&now, &s->before) || same(&now, &s->after)))
        found(s, &s->result->lost, when, "the disk is neither of before nor of after: %s", s->why);
    free(now.bytes);
    int error = s->change->again(s);
    if (error) {
        found(s, &s->result->lost, when, "it cannot be done again: %d %s", error, s->why);
        return;
    }
    seen = look(s, in(s, NAMES[OVER]), &now);
    if (!seen || !same(&now, &s->after))
        found(s, &s->result->lost, when, "done again, the disk is not that of after");
    free(now.bytes);
}

static bool visit(void *context, size_t when, const struct bytes *over, const struct bytes *base)
{
    struct scene *s = context;
    if (s->change->at_end && when < s->clock)
        return true;
    if (!bytes_to_file(over, in(s, NAMES[OVER])) || !bytes_to_file(base, in(s, "base"))) {
        found(s, &s->result->corrupt, when, "cannot write the state");
        return false;
    }
    s->result->states++;
    check_file(s, when, OVER, over);
    if (!strcmp(s->change->base, "qcow2"))
        check_file(s, when, BASE, base);
    check_disk(s, when);
    return true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static bool prepare(struct scene *s)
{
    srand(s->effort->seed);
    bool well = make_raws(s) && make_base(s) && make_overlay(s);
    well = well && (!s->change->prepare || s->change->prepare(s));
    well = well && look(s, in(s, NAMES[OVER]), &s->before);
    if (well && s->change->expect)
        s->change->expect(s, &s->after);
    else if (well)
        expect_size(s, &s->after, s->before.size);
    for (int i = 0; i < FILES && well; i++) {
        struct bytes content = bytes_of_file(in(s, NAMES[i]));
        trace_init(&s->trace[i], &content, true);
        s->trace[i].clock = &s->clock;
        bytes_free(&content);
    }
    return well;
}

static void count(struct scene *s)
{
    for (int i = 0; i < FILES; i++) {
        s->result->operations += s->trace[i].ops;
        for (size_t n = 0; n < s->trace[i].ops; n++)
            s->result->flushes += !s->trace[i].op[n].bytes;
        s->result->distinct += s->judge[i].distinct;
        s->result->judged += s->judge[i].judged;
    }
}

bool change_run(unsigned which, const char *folder, const struct crash_effort *effort,
                struct crash_result *result)
{
    struct scene s = {
        .change = &CHANGES[which], .folder = folder, .effort = effort, .result = result};
    *result = (struct crash_result){0};
    for (int i = 0; i < FILES; i++)
        judge_init(&s.judge[i], folder, effort->qemu_every);
    bool well = prepare(&s);
    int error = well ? s.change->run(&s) : -1;
    size_t every = effort->points ? s.clock / effort->points + 1 : 1;
    if (well && !error)
        trace_crash_pair(&s.trace[OVER], &s.trace[BASE], every, effort->subsets, effort->deaf,
                         visit, &s);
    else
        snprintf(result->first, CRASH_TEXT, "%s: %d %.400s", well ? "it failed" : "no images",
                 error, s.why);
    count(&s);
    for (int i = 0; i < FILES; i++) {
        judge_free(&s.judge[i]);
        trace_free(&s.trace[i]);
    }
    free(s.before.bytes);
    free(s.after.bytes);
    return well && !error;
}
