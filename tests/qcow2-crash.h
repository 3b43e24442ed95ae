/*
 * Random programs on a qcow2 image, beside a model of its disk; and every crash that can happen to
 * them.
 *
 * Each sector that a program writes says which sector it is and by which write it came. So a sector
 * that is read after a crash can be traced to its write, and the model knows which writes are
 * allowed there: the last one before the last flush that was answered, and all since.
 */
#ifndef VITRINE_TESTS_QCOW2_CRASH_H
#define VITRINE_TESTS_QCOW2_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/qcow2-judge.h"

enum { CRASH_AREAS = 4, CRASH_TEXT = 512 };

/* What to do. Programs work in areas of the disk, since most of a large one stays empty. */
struct crash_plan {
    const char *name;
    uint64_t size;                         /* of the disk */
    unsigned cluster_bits, refcount_order; /* as in struct qcow2_creation */
    const char *qemu;                      /* instead: options for qemu-img create */
    bool compressed;                       /* qemu-img convert makes it, of the backing disk */
    const char *backing;                   /* NULL, "raw" or "qcow2" */
    uint64_t area[CRASH_AREAS];            /* where they begin; the first may be 0 */
    unsigned areas, area_sectors;
    unsigned steps, longest; /* operations; sectors of the longest write */
    unsigned flush_every;    /* on the average */
    unsigned prefill;        /* sectors, from the first on, that are there already */
    bool moves;              /* the refcount table should become too small */
};

extern const struct crash_plan crash_plans[];
extern const unsigned crash_plan_count;

struct crash_effort {
    unsigned seed;
    size_t points;     /* crash after this many operations on the file; 0: after each */
    unsigned subsets;  /* losses to try at each, besides none */
    size_t qemu_every; /* let qemu-img judge each n-th state that is new to it; 0: none */
    bool deaf;         /* a disk that ignores flushes: then something should be found */
};

struct crash_result {
    size_t operations, flushes, moves; /* on the file; moves of the refcount table */
    size_t states, leaks, corrupt, lost, distinct, judged;
    char first[CRASH_TEXT]; /* the first thing found wrong; "" none */
};

/* Runs a plan in `folder`, which is there and is left with files. False: it could not be done, and
 * `first` says why. */
bool crash_run(const struct crash_plan *plan, const char *folder, const struct crash_effort *effort,
               struct crash_result *result);

#endif
