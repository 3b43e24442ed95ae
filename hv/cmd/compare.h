/*
 * `vitrine compare`: what its files share. One program is run in many ways, and the times compared.
 *
 * A *subject* is a kernel of samples/bench/ or any ELF. A *row* is one way to run it: natively, or
 * as a guest of one engine in one mode. An *outcome* is one run. compare.c makes the subjects and
 * has them run in turns, compare-run.c does one run in a process of its own, and the others say
 * what came of it: as a table, as JSON, as a drawing.
 */
#ifndef VITRINE_HV_CMD_COMPARE_H
#define VITRINE_HV_CMD_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hv/cmd/cmd.h"

enum {
    COMPARE_ENGINES = 8,
    COMPARE_RUNS = 99,
    COMPARE_ROWS = 2 + 3 * COMPARE_ENGINES,
    COMPARE_WHY = 200,
};

enum compare_kind {
    KIND_COMPUTE,
    KIND_MEMORY,
    KIND_CALL,
    KIND_TRAP,  /* operations that trap: no native twin, operations per second instead */
    KIND_OTHER, /* an ELF from elsewhere */
    KINDS,
};

enum compare_mode {
    MODE_NATIVE,
    MODE_M,    /* bare, M mode, no paging */
    MODE_S,    /* bare, S and U mode with Sv32 */
    MODE_HV,   /* the same in a virtual machine */
    MODE_KVM,  /* compiled for x86-64, at CPL 3 of a guest on the host's processor */
    MODE_BARE, /* an ELF from elsewhere, which has its own way */
    MODES,
};

/* One run of one program. Plain data: it comes through a pipe. */
struct outcome {
    char why[COMPARE_WHY]; /* "": it ended well; else what went wrong */
    double seconds;        /* CPU time of the host, of all threads, in user and system mode */
    uint64_t instructions; /* guest instructions; 0: a native program */
    uint64_t exits;        /* VM exits, on the bare computer traps */
    uint64_t exit_ns;      /* the monitor's time for them, where it is measured; else 0 */
    bool has_line;         /* it printed "NAME rounds N checksum XXXXXXXX" */
    uint64_t rounds;
    uint32_t checksum;
};

struct row {
    enum compare_mode mode;
    const char *engine; /* NULL: native */
    char *path;
    struct outcome *outcomes; /* room for the runs */
    unsigned count;
    char why[COMPARE_WHY]; /* "": fine; else this row is an error, and the rest of it is void */
    struct outcome median; /* the run in the middle */
    double of_native;      /* native time / this time; 0: unknown */
    double per_second;     /* rounds a second, for KIND_TRAP; 0: unknown */
    double ns_per_exit;    /* 0: unknown, or too few exits to say */
};

struct subject {
    char *name;
    const char *meaning;
    enum compare_kind kind;
    struct row rows[COMPARE_ROWS];
    unsigned count;
    char *no_native; /* where a native twin was looked for in vain; NULL: there is one, or none is
                      * expected */
    char *no_kvm;    /* the same of the x86 guest */
};

/* The geometric mean of a kind's rows that have the same engine and mode. */
struct mean {
    const char *engine;
    enum compare_mode mode;
    double of_native[KINDS]; /* 0: none; [KIND_OTHER]: of all that have a native twin */
    double per_second;       /* of the trap kernels */
};

/* The engine of MODE_KVM. */
extern const char compare_kvm[];

struct comparison {
    unsigned runs;
    uint64_t max_instructions;
    uint32_t memory;
    const char *engines[COMPARE_ENGINES];
    unsigned engine_count;
    bool kvm;           /* and as an x86 guest */
    const char *no_kvm; /* why not, though nobody has said so; NULL: it was not asked for */
    struct subject *subjects;
    unsigned count;
    struct mean means[COMPARE_ROWS];
    unsigned mean_count;
};

const char *compare_kind_name(enum compare_kind kind); /* "compute" */
const char *compare_mode_name(enum compare_mode mode); /* "m", "s", "hv", "kvm", "bare", "native" */
const char *compare_mode_text(enum compare_mode mode); /* "bare, Sv32" */
/* Rounds and checksum of what the first row that is fine printed; NULL: none did. */
const struct outcome *compare_result(const struct subject *subject);

/* Runs the row's program once. A native program gets `rounds` as its argument, unless 0. */
void compare_run(const struct comparison *comparison, const struct row *row, uint64_t rounds,
                 struct outcome *out);

/* Checks results, fills in medians, ratios and means. Returns whether all rows are fine. */
bool compare_evaluate(struct comparison *comparison);

void compare_write_table(FILE *out, const struct comparison *comparison);
void compare_write_json(FILE *out, const struct comparison *comparison);
/* 0 or -errno, as draw_to_file(). */
int compare_draw(const struct comparison *comparison, const struct options *options);

#endif
