/* Two machines that must stay equal: run both in steps, compare, tell where they part. */
#ifndef VITRINE_TESTS_LOCKSTEP_H
#define VITRINE_TESTS_LOCKSTEP_H

#include <stdbool.h>
#include <stdio.h>

#include "cpu/machine.h"
#include "hv/vm.h"

/* A bare machine and a virtual one on a computer of its own, with equal configuration. */
struct pair {
    struct machine *bare, *computer;
    struct vmm vmm;
    struct vm *vm;
};

bool pair_new(struct pair *pair, const struct machine_config *config);
void pair_free(struct pair *pair);
void pair_clear(struct pair *pair);

/* Are all objects and the memory equal? If not, says what differs to `report`. */
bool machines_equal(struct machine *a, struct machine *b, FILE *report);

/* Runs both up to `total` instructions, comparing the harts every `chunk` and everything at the
 * end. Returns false, with a report, if they part; also if they stop for different reasons. */
bool lockstep(struct machine *a, struct machine *b, uint64_t total, uint64_t chunk, FILE *report);

#endif
