/*
 * Random programs for comparing two machines: bare against virtual, engine against engine.
 *
 * A program is a memory image with fixed parts (entry in M mode, trap handlers for M and S that go
 * on behind the trapping instruction in a mode drawn by lot, page tables) and a stretch of random
 * instructions: computing, branches, loads and stores through two address spaces, atomics, all CSRs,
 * xRET, ecall, WFI, sfence.vma, page-table changes that are followed by sfence.vma, timers, PMP,
 * devices, rubbish. The same seed gives the same program on every host.
 */
#ifndef VITRINE_TESTS_RANDOM_PROGRAM_H
#define VITRINE_TESTS_RANDOM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/machine.h"

enum { PROGRAM_INSNS = 1024 };

struct random_program {
    uint64_t seed;
    uint32_t code[PROGRAM_INSNS];
    uint64_t lottery; /* the trap handlers' first random number */
};

uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);

void random_program_make(struct random_program *program, uint64_t seed);
/* Writes it into the machine's memory and resets the hart to its entry. */
void random_program_load(const struct random_program *program, struct machine *machine);

#endif
