/*
 * Random programs for comparing two machines: bare against virtual, engine against engine.
 *
 * A program is a memory image with fixed parts (entry in M mode, trap handlers for M and S that go
 * on behind the trapping instruction in a mode drawn by lot, page tables) and a stretch of random
 * instructions: computing, branches, loops, calls, loads and stores through three address spaces,
 * misaligned accesses, atomics, all CSRs, xRET, ecall, WFI, sfence.vma, page-table changes that are
 * followed by sfence.vma, other code at the same address, code that changes itself, timers that the
 * handlers set again, PMP, devices, rubbish. The same seed gives the same program on every host.
 *
 * What a program does never depends on what a TLB happens to keep: each change of a table is fenced
 * before anything else can use it.
 */
#ifndef VITRINE_TESTS_RANDOM_PROGRAM_H
#define VITRINE_TESTS_RANDOM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/machine.h"

enum { PROGRAM_INSNS = 2048 }; /* a power of two */

/* Or-ed. */
enum {
    PROGRAM_LONG = 1,    /* some loops run for a million instructions and more */
    PROGRAM_UNTIMED = 2, /* nothing that depends on time, on counts, or on this machine alone */
};

#define PROGRAM_CODE 0x80010000u /* address of the code */

struct random_program {
    uint64_t seed;
    uint32_t code[PROGRAM_INSNS];
    unsigned options;
    uint64_t lottery; /* the trap handlers' first random number */
};

uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);

void random_program_make(struct random_program *program, uint64_t seed);
void random_program_make_as(struct random_program *program, uint64_t seed, unsigned options);
/* Writes it into the machine's memory and resets the hart to its entry. */
void random_program_load(const struct random_program *program, struct machine *machine);

#endif
