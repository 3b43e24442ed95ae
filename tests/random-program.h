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
#include <stddef.h>
#include <stdint.h>

#include "cpu/machine.h"

enum { PROGRAM_INSNS = 2048 }; /* a power of two */

/* Or-ed. */
enum {
    PROGRAM_LONG = 1,    /* some loops run for a million instructions and more */
    /* Nothing that depends on time, on counts, on devices, or on what the specification leaves to
     * the machine. Ends after PROGRAM_TRAPS traps at PROGRAM_END, in M mode, with x1..x27 as they
     * were at the last. */
    PROGRAM_UNTIMED = 2,
};
enum { PROGRAM_TRAPS = 150 };
#define PROGRAM_END 0x80400000u

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

/* Its memory: these bytes, and zeroes between them. `context` is handed on to `write`. */
typedef void (*random_write_fn)(void *context, uint32_t pa, const void *bytes, size_t count);
void random_program_write(const struct random_program *program, random_write_fn write,
                          void *context);

#endif
