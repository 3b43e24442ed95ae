/* Guests of a few instructions for tests of sessions, put together word by word: flat images, which
 * begin in S mode at GUEST_BASE. The words from number 1024 on are data, at GUEST_DATA. */
#ifndef VITRINE_TESTS_SMALL_GUEST_H
#define VITRINE_TESTS_SMALL_GUEST_H

#include <stdint.h>

#include "cpu/isa.h"

#define GUEST_BASE 0x80400000u
#define GUEST_DATA 0x80401000u

enum { RA = 1, T0 = 5, T1, T2, S0, S1, A0 = 10, A6 = 16, A7 = 17 };
enum { GUEST_WORDS = 2048 };

extern uint32_t guest_code[GUEST_WORDS];
extern unsigned guest_count; /* words so far: also the number of the next one */

void guest_begin(void);
void guest_word(uint32_t word);
void guest_lui(unsigned rd, uint32_t value);
void guest_i(enum insn_op op, unsigned rd, unsigned rs1, int32_t imm);
void guest_r(enum insn_op op, unsigned rd, unsigned rs1, unsigned rs2);
void guest_store(enum insn_op op, unsigned base, unsigned rs2, uint32_t at);
/* To word number `to`. */
void guest_branch(enum insn_op op, unsigned rs1, unsigned rs2, unsigned to);
void guest_jump(unsigned to);
/* Writes the image to a new file, whose name goes to `path`. */
void guest_write(char path[64]);

#endif
