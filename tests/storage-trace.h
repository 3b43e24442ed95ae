/*
 * A storage in memory that records what is done to it, so that a test can look at every state in
 * which a crash could have left the file; and that fails where the test says.
 */
#ifndef VITRINE_TESTS_STORAGE_TRACE_H
#define VITRINE_TESTS_STORAGE_TRACE_H

#include "hv/storage.h"

/* Bytes of a file. */
struct bytes {
    uint8_t *at;
    size_t count, room;
};

/* A write, or a flush: then `bytes` is NULL. */
struct trace_op {
    size_t when; /* 1, 2 ... in the order of all operations that are counted by the same clock */
    uint64_t at;
    size_t count;
    uint8_t *bytes;
};

struct trace {
    struct storage storage;
    struct bytes now, first; /* the file's content, and what it was at first */
    bool recording;
    size_t *clock; /* counts the operations of several traces; NULL: of this one */
    struct trace_op *op;
    size_t ops, room;
    size_t reads;      /* counted, not recorded */
    size_t fail_write; /* the n-th write from now on fails with -ENOSPC; 0: none */
    size_t fail_flush; /* the n-th flush fails with -EIO; 0: none */
};

/* All of a file; empty if it cannot be read. */
struct bytes bytes_of_file(const char *path);
bool bytes_to_file(const struct bytes *bytes, const char *path);
void bytes_copy(struct bytes *to, const struct bytes *from);
void bytes_write(struct bytes *bytes, uint64_t at, const void *from, size_t count);
void bytes_free(struct bytes *bytes);

/* Takes a copy of the content. Closing frees nothing: trace_free() does. */
void trace_init(struct trace *trace, const struct bytes *content, bool recording);
void trace_free(struct trace *trace);

/* Calls back with every content that a crash after `n` operations may leave, for n = 0, every,
 * 2 * every ... ops: first with all writes done (the program was killed), then `subsets` times with
 * some of those that no flush has covered lost or torn (the machine was). `deaf`: as on a disk that
 * ignores flushes. Ends early when `visit` returns false. */
typedef bool (*trace_visit_fn)(void *context, size_t n, const struct bytes *content);
void trace_crash(const struct trace *trace, size_t every, unsigned subsets, bool deaf,
                 trace_visit_fn visit, void *context);

/* The same of two files that are changed in turns, by traces with one clock: after each `every`-th
 * operation on either, all that may be left of one with all that may be left of the other.
 * `subsets` choices of each, besides all that was written and only what was flushed. `deaf`: as
 * above. */
typedef bool (*trace_visit_pair_fn)(void *context, size_t when, const struct bytes *a,
                                    const struct bytes *b);
void trace_crash_pair(const struct trace *a, const struct trace *b, size_t every, unsigned subsets,
                      bool deaf, trace_visit_pair_fn visit, void *context);
/* What is in the file after the first `n` operations. */
void trace_content(const struct trace *trace, size_t n, struct bytes *content);

#endif
