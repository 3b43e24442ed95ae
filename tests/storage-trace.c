/* See storage-trace.h. */
#include "tests/storage-trace.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes -------------------------------------------------------------------------------- */

void bytes_write(struct bytes *bytes, uint64_t at, const void *from, size_t count)
{
    size_t end = (size_t)at + count;
    if (end > bytes->room) {
        bytes->room = 2 * end;
        bytes->at = realloc(bytes->at, bytes->room);
        assert(bytes->at);
    }
    if (end > bytes->count) {
        memset(bytes->at + bytes->count, 0, end - bytes->count);
        bytes->count = end;
    }
    memcpy(bytes->at + at, from, count);
}

void bytes_copy(struct bytes *to, const struct bytes *from)
{
    to->count = 0;
    if (from->count)
        bytes_write(to, 0, from->at, from->count);
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}

struct bytes bytes_of_file(const char *path)
{
    struct bytes bytes = {0};
    uint8_t part[65536];
    FILE *in = fopen(path, "re");
    for (size_t got; in && (got = fread(part, 1, sizeof part, in));)
        bytes_write(&bytes, bytes.count, part, got);
    if (in)
        fclose(in);
    return bytes;
}

bool bytes_to_file(const struct bytes *bytes, const char *path)
{
    FILE *out = fopen(path, "we");
    bool well = out && fwrite(bytes->at, 1, bytes->count, out) == bytes->count;
    return out && fclose(out) == 0 && well;
}

/* ---- the storage -------------------------------------------------------------------------- */

static struct trace *trace_of(struct storage *storage)
{
    return (struct trace *)storage;
}

static int trace_read(struct storage *storage, uint64_t at, void *bytes, size_t count)
{
    const struct bytes *now = &trace_of(storage)->now;
    size_t there = at < now->count ? now->count - (size_t)at : 0,
           part = count < there ? count : there;
    trace_of(storage)->reads++;
    if (part)
        memcpy(bytes, now->at + at, part);
    memset((uint8_t *)bytes + part, 0, count - part);
    return 0;
}

static void record(struct trace *t, uint64_t at, const void *bytes, size_t count)
{
    if (!t->recording)
        return;
    if (t->ops == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->op = realloc(t->op, t->room * sizeof *t->op);
        assert(t->op);
    }
    struct trace_op *op = &t->op[t->ops++];
    *op = (struct trace_op){.when = t->clock ? ++*t->clock : t->ops, .at = at, .count = count};
    if (bytes) {
        op->bytes = malloc(count ? count : 1);
        assert(op->bytes);
        memcpy(op->bytes, bytes, count);
    }
}

enum { SANE = 1 << 28 }; /* no test's file is larger: a write there is a mistake */

static int trace_write(struct storage *storage, uint64_t at, const void *bytes, size_t count)
{
    struct trace *t = trace_of(storage);
    if (at > SANE || (t->fail_write && --t->fail_write == 0))
        return -ENOSPC;
    record(t, at, bytes, count);
    bytes_write(&t->now, at, bytes, count);
    return 0;
}

static int trace_flush(struct storage *storage)
{
    struct trace *t = trace_of(storage);
    if (t->fail_flush && --t->fail_flush == 0)
        return -EIO;
    record(t, 0, NULL, 0);
    return 0;
}

static int trace_size(struct storage *storage, uint64_t *size)
{
    *size = trace_of(storage)->now.count;
    return 0;
}

static void trace_close(struct storage *storage) {}

static void trace_identity(struct storage *storage, uint64_t *device, uint64_t *inode)
{
    *device = *inode = 0;
}

static int trace_descriptor(const struct storage *storage)
{
    return -1;
}

static const struct storage_ops TRACE_OPS = {
    .read = trace_read,
    .write = trace_write,
    .flush = trace_flush,
    .size = trace_size,
    .close = trace_close,
    .descriptor = trace_descriptor,
    .identity = trace_identity,
};

void trace_init(struct trace *t, const struct bytes *content, bool recording)
{
    *t = (struct trace){.storage = {&TRACE_OPS}, .recording = recording};
    bytes_copy(&t->now, content);
    bytes_copy(&t->first, content);
}

void trace_free(struct trace *t)
{
    for (size_t i = 0; i < t->ops; i++)
        free(t->op[i].bytes);
    free(t->op);
    bytes_free(&t->now);
    bytes_free(&t->first);
    *t = (struct trace){0};
}

/* ---- crashes ------------------------------------------------------------------------------ */

/* Of a write that no flush has covered: all of it, nothing, or some of its sectors. */
static void apply_torn(struct bytes *content, const struct trace_op *op)
{
    int fate = rand() % 4;
    if (fate == 0)
        return;
    for (uint64_t at = op->at, end = op->at + op->count; at < end;) {
        uint64_t next = at / STORAGE_TORN * STORAGE_TORN + STORAGE_TORN;
        size_t part = (size_t)((next < end ? next : end) - at);
        if (fate == 1 || rand() % 2)
            bytes_write(content, at, op->bytes + (at - op->at), part);
        at += part;
    }
}

/* Applies the operations of a range, whole or in part. */
static void apply(struct bytes *content, const struct trace *t, size_t from, size_t to, bool torn)
{
    for (size_t i = from; i < to; i++) {
        const struct trace_op *op = &t->op[i];
        if (op->bytes && torn)
            apply_torn(content, op);
        else if (op->bytes)
            bytes_write(content, op->at, op->bytes, op->count);
    }
}

static size_t last_flush(const struct trace *t, size_t n)
{
    while (n && t->op[n - 1].bytes)
        n--;
    return n;
}

void trace_crash(const struct trace *t, size_t every, unsigned subsets, bool deaf,
                 trace_visit_fn visit, void *context)
{
    struct bytes durable = {0}, content = {0};
    size_t done = 0;
    bool on = true;
    bytes_copy(&durable, &t->first);
    for (size_t n = 0; n <= t->ops && on; n += every) {
        size_t flushed = deaf ? 0 : last_flush(t, n);
        apply(&durable, t, done, flushed, false);
        done = flushed;
        for (unsigned i = 0; i <= subsets && on; i++) {
            bytes_copy(&content, &durable);
            apply(&content, t, done, n, i > 0);
            on = visit(context, n, &content);
        }
    }
    bytes_free(&durable);
    bytes_free(&content);
}

/* ---- two files ---------------------------------------------------------------------------- */

/* One of the two, as time goes on. */
struct side {
    const struct trace *trace;
    struct bytes durable, content;
    bool deaf;
    size_t flushed, done; /* operations that are durable, and that were done */
};

static void begin(struct side *s, const struct trace *t, bool deaf)
{
    *s = (struct side){.trace = t, .deaf = deaf};
    bytes_copy(&s->durable, &t->first);
}

static void go_on(struct side *s, size_t when)
{
    const struct trace *t = s->trace;
    while (s->done < t->ops && t->op[s->done].when <= when)
        s->done++;
    size_t flushed = s->deaf ? 0 : last_flush(t, s->done);
    apply(&s->durable, t, s->flushed, flushed, false);
    s->flushed = flushed;
}

/* Fates: everything, nothing but what was flushed, then random choices. */
static void suffer(struct side *s, unsigned fate)
{
    bytes_copy(&s->content, &s->durable);
    if (fate != 1)
        apply(&s->content, s->trace, s->flushed, s->done, fate > 1);
}

static unsigned fates_of(const struct side *s, unsigned subsets)
{
    return s->done == s->flushed ? 1 : 2 + subsets;
}

static bool visit_products(struct side *a, struct side *b, size_t when, unsigned subsets,
                           trace_visit_pair_fn visit, void *context)
{
    bool on = true;
    for (unsigned i = 0; i < fates_of(a, subsets) && on; i++) {
        suffer(a, i);
        for (unsigned k = 0; k < fates_of(b, subsets) && on; k++) {
            suffer(b, k);
            on = visit(context, when, &a->content, &b->content);
        }
    }
    return on;
}

void trace_crash_pair(const struct trace *a, const struct trace *b, size_t every, unsigned subsets,
                      bool deaf, trace_visit_pair_fn visit, void *context)
{
    struct side x, y;
    size_t end = 0;
    begin(&x, a, deaf);
    begin(&y, b, deaf);
    if (a->ops)
        end = a->op[a->ops - 1].when;
    if (b->ops && b->op[b->ops - 1].when > end)
        end = b->op[b->ops - 1].when;
    bool on = true;
    for (size_t when = 0; on; when = when + every < end ? when + every : end) {
        go_on(&x, when);
        go_on(&y, when);
        on = visit_products(&x, &y, when, subsets, visit, context) && when < end;
    }
    bytes_free(&x.durable);
    bytes_free(&x.content);
    bytes_free(&y.durable);
    bytes_free(&y.content);
}

void trace_content(const struct trace *t, size_t n, struct bytes *content)
{
    bytes_copy(content, &t->first);
    apply(content, t, 0, n, false);
}
