/*
 * Machines that must stay equal: run them in steps, compare, tell where they part.
 *
 * A *lane* is one way to run a machine: an engine, bare or below the monitor. A comparison runs the
 * same program in several lanes; the first is the reference that the others are compared with.
 */
#ifndef VITRINE_TESTS_LOCKSTEP_H
#define VITRINE_TESTS_LOCKSTEP_H

#include <stdbool.h>
#include <stdio.h>

#include "cpu/machine.h"
#include "hv/vm.h"

enum { LANES = 12 };

struct lane {
    char name[32];            /* "interp", "jit below hv" ... */
    struct machine *machine;  /* what the program sees */
    struct machine *computer; /* below the monitor; NULL: the machine is bare */
    struct vmm vmm;
    struct vm *vm;
};

struct lanes {
    unsigned count;
    struct lane lane[LANES];
};

/* Every engine that there is, each bare and below the monitor, with equal configuration (its engine
 * does not matter). The first lane is the specification: interp, bare. */
bool lanes_new(struct lanes *lanes, const struct machine_config *config);
/* Only these ways, by index of lanes_new(). */
bool lanes_new_two(struct lanes *lanes, const struct machine_config *config, unsigned first,
                   unsigned second);
void lanes_free(struct lanes *lanes);
void lanes_clear(struct lanes *lanes);

/* Gives a lane another engine: its machine's, or its computer's below the monitor. */
void lane_set_engine(struct lane *lane, const struct engine *engine);

/* Are all objects and the memory equal? If not, says what differs to `report` (NULL: silent). */
bool machines_equal(struct machine *a, struct machine *b, FILE *report);

/* Runs both up to `total` instructions, comparing the harts every `chunk` and everything at the
 * end. Returns false, with a report, if they part; also if they stop for different reasons. */
bool lockstep(struct machine *a, struct machine *b, uint64_t total, uint64_t chunk, FILE *report);

/* The same with all lanes. `chunk` 0: steps of many lengths, from 1 to 65,536, drawn from `seed`.
 * `between`, if not NULL, is called between two steps. */
struct schedule {
    uint64_t total, chunk, seed;
    void (*between)(void *context, struct lanes *lanes);
    void *context;
};
bool lanes_run(struct lanes *lanes, const struct schedule *schedule, FILE *report);

#endif
