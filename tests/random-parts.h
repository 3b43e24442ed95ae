/*
 * What the two halves of the random programs share: random-program.c draws the instructions,
 * random-image.c has what stands around them. Here: where things are, and an assembler.
 */
#ifndef VITRINE_TESTS_RANDOM_PARTS_H
#define VITRINE_TESTS_RANDOM_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/isa.h"
#include "tests/random-program.h"

/* ---- where things are (physical; the first address space maps most of it one to one) ------- */

#define AT_ENTRY   0x80000000u
#define AT_M_TRAP  0x80000400u
#define AT_S_TRAP  0x80000800u
#define AT_LOTTERY 0x80000c00u /* words that the trap handlers draw from */
#define AT_ATOMICS 0x80000e00u /* on the same page */
#define AT_CODE    0x80010000u
#define AT_DATA    0x80020000u /* 16 pages */
#define AT_FUNC    0x80030000u /* functions: the same places in four pages, other code */
#define AT_CALLED  0x80038000u /* where they are called: one of the four, by address space; bare: a
                                * fifth page of functions */
#define AT_ROOT    0x80080000u /* three root tables */
#define AT_LEAF    0x80083000u /* a leaf table for each */
#define ALIAS      0x18000000u /* data again, at another virtual address; no physical one, nowhere */
#define SUPER      0xc0000000u /* all RAM as one 4 MiB page */
#define NOTHING    0x1c000000u /* neither memory nor a device, here and on other `virt` machines */

enum {
    ROOTS = 3,       /* the ASID of each is its number */
    FUNC_PAGES = 4,
    FUNCS = 16,      /* in a page */
    FUNC_INSNS = 64, /* between two functions */
    LEAF_CALLED = (AT_CALLED >> 12) & 0x3ff, /* entry of the leaf tables */
    LEAF_FUNC = (AT_FUNC >> 12) & 0x3ff,
    LOOP_COUNTER = 27, /* written by loops only */
    REGISTERS = 27,    /* 0.. are anybody's; 28.. are the handlers' and scratch */
};

/* ---- assembling --------------------------------------------------------------------------- */

static inline uint32_t r_type(uint32_t match, unsigned rd, unsigned rs1, unsigned rs2)
{
    return match | rd << 7 | rs1 << 15 | rs2 << 20;
}

static inline uint32_t i_type(uint32_t match, unsigned rd, unsigned rs1, int32_t imm)
{
    return match | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

static inline uint32_t s_type(uint32_t match, unsigned rs1, unsigned rs2, int32_t imm)
{
    uint32_t u = (uint32_t)imm;
    return match | (u & 31) << 7 | rs1 << 15 | rs2 << 20 | (u >> 5 & 127) << 25;
}

static inline uint32_t b_type(uint32_t match, unsigned rs1, unsigned rs2, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return match | (u >> 11 & 1) << 7 | (u >> 1 & 15) << 8 | rs1 << 15 | rs2 << 20 |
           (u >> 5 & 63) << 25 | (u >> 12 & 1) << 31;
}

static inline uint32_t j_type(unsigned rd, int32_t offset)
{
    uint32_t u = (uint32_t)offset;
    return 0x6f | rd << 7 | (u >> 12 & 255) << 12 | (u >> 11 & 1) << 20 | (u >> 1 & 1023) << 21 |
           (u >> 20 & 1) << 31;
}

static inline uint32_t row(enum insn_op op)
{
    return isa_rows[op].match;
}

struct writer {
    uint32_t *at, *start;
    uint16_t *soft; /* indices of instructions that other ones may overwrite; or NULL */
    uint16_t *branch; /* indices of branches to anywhere */
    bool *begins;   /* by instruction: nothing before it belongs to it */
    unsigned softs, branches, options;
};

static inline void emit(struct writer *w, uint32_t word)
{
    *w->at++ = word;
}

static inline void emit_li(struct writer *w, unsigned rd, uint32_t value)
{
    int32_t low = (int32_t)(value << 20) >> 20;
    emit(w, row(OP_lui) | rd << 7 | ((value - (uint32_t)low) & 0xfffff000));
    emit(w, i_type(row(OP_addi), rd, rd, low));
}

static inline void emit_csr(struct writer *w, enum insn_op op, unsigned rd, unsigned csr, unsigned rs1)
{
    emit(w, row(op) | rd << 7 | rs1 << 15 | csr << 20);
}

/* ---- what each half has for the other ----------------------------------------------------- */

/* An entry for a page at pa, with rights drawn by lot. */
uint32_t random_leaf(uint64_t *r, uint32_t pa);
/* What the page of called functions is mapped to. */
uint32_t random_called_leaf(uint64_t *r);
/* One page of functions: each computes, touches memory and returns. */
void random_functions(uint32_t *page, uint64_t *r, unsigned options);

#endif
