/*
 * A session directory beside a model of it: random operations, and a program that dies at any step.
 *
 * The model has the whole content of every snapshot. What the directory says must be equal after
 * each operation; and after a death at any write, flush, rename or removal every snapshot that was
 * acknowledged must be there as it was, but for the one that was being deleted or merged.
 */
#ifndef VITRINE_TESTS_SNAPSHOT_PLAN_H
#define VITRINE_TESTS_SNAPSHOT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/snapshot.h"

enum { PLAN_PAGES = 24, PLAN_BLOCKS = 8, PLAN_SNAPSHOTS = 64, PLAN_OPERATIONS = 24 };

/* What one snapshot is: a number a page; each page is full of its number. 0: zeros; of blocks: as
 * in the disk's file. */
struct plan_content {
    bool there;
    int parent;
    uint8_t page[PLAN_PAGES], block[PLAN_BLOCKS];
};

struct plan_model {
    struct plan_content snapshot[PLAN_SNAPSHOTS]; /* by id */
    int last;
};

/* What an operation may leave of the snapshots that it touches. */
struct plan_step {
    enum { PLAN_ADD, PLAN_DELETE, PLAN_COMMIT, PLAN_MOVE } what;
    int id; /* of the operation; ADD: the new one */
};

struct plan {
    unsigned seed;
    struct plan_model model; /* after the operations that were acknowledged */
    uint64_t random;
};

void plan_begin(struct plan *plan, unsigned seed);
/* Does the next operation, first in the directory (if it is not NULL) and then in the model; false
 * and `why`: the directory has refused. `export` is a file for its use. */
bool plan_next(struct plan *plan, struct snapshot_dir *dir, const char *export, char *why);
/* The configuration that the directories have; `disk` is that guest's disk: made if it is not there
 * yet. */
void plan_configure(struct snapshot_config *config, const char *disk);
/* Does the directory have exactly what the model has? And is each overlay in it a sound image that
 * shows the snapshot's disk, by way of all that it stands on? `spare`: ids that may be there or
 * not, and `changed`: one that may also be what `as` is (0: none). */
bool plan_agrees(const struct plan_model *model, struct snapshot_dir *dir, int spare, int changed,
                 int as, char *why);

/* ---- dying ---------------------------------------------------------------------------------- */

enum plan_loss {
    PLAN_KILLED, /* the program ends in front of the step */
    PLAN_TORN,   /* ... in the middle of it, if it is a write */
    PLAN_POWER,  /* the host ends: names that were not flushed are as they were before */
    PLAN_LOSSES,
};

struct plan_result {
    unsigned steps;  /* that a whole run takes */
    unsigned points; /* deaths tried */
    unsigned failed;
    char first[SNAPSHOT_ERROR + 100]; /* what failed first */
};

/* A new folder, in memory where the host has such: a step is what is tried here, not the disk.
 * NULL: there is none. It is another one each time. */
const char *plan_folder(void);
/* Runs the plan of this seed to each `every`-th step from `from` on, in new folders below `folder`,
 * and looks at what is left. */
void plan_crash(unsigned seed, enum plan_loss loss, unsigned from, unsigned every,
                const char *folder, struct plan_result *result);

#endif
