/*
 * The instruction set as data: decode, disassemble, look up. Made from isa.def, csr.def, cause.def.
 *
 * Formats (volume I, section 2.2), bit 31 left:
 *
 *     R      | funct7   | rs2 | rs1 | f3 | rd       | opcode |   also AMO, SFENCE
 *     I      | imm[11:0]      | rs1 | f3 | rd       | opcode |   also L, JR, SH, CSR, CSRI
 *     S      | imm[11:5]| rs2 | rs1 | f3 | imm[4:0] | opcode |
 *     B      | imm[12|10:5] | rs2 | rs1 | f3 | imm[4:1|11] | opcode |
 *     U      | imm[31:12]                | rd       | opcode |
 *     J      | imm[20|10:1|11|19:12]     | rd       | opcode |
 */
#ifndef VITRINE_CPU_ISA_H
#define VITRINE_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_format {
    FORMAT_R, FORMAT_I, FORMAT_SH, FORMAT_L, FORMAT_JR, FORMAT_S, FORMAT_B, FORMAT_U, FORMAT_J,
    FORMAT_AMO, FORMAT_LR, FORMAT_CSR, FORMAT_CSRI, FORMAT_FENCE, FORMAT_SFENCE, FORMAT_NONE,
};

enum insn_kind { KIND_PLAIN, KIND_TRAPS, KIND_SENSITIVE, KIND_CSRS };

enum insn_op {
#define INSN(name, mnemonic, format, match, mask, kind, meaning) OP_##name,
#include "cpu/isa.def"
    OP_COUNT,
    OP_ILLEGAL = OP_COUNT,
};

struct insn_row {
    const char *mnemonic;
    uint32_t match, mask;
    uint8_t format; /* enum insn_format */
    uint8_t kind;   /* enum insn_kind */
    const char *meaning;
};

/* Rows of isa.def; [OP_ILLEGAL] is the row of every word that is no instruction. */
extern const struct insn_row isa_rows[OP_COUNT + 1];

/* An instruction taken apart. Fields that the format does not have are 0. */
struct insn {
    uint32_t word;
    uint16_t op; /* enum insn_op */
    uint8_t rd, rs1, rs2;
    int32_t imm; /* sign-extended; shamt for SH; CSR number for CSR and CSRI (zimm is rs1) */
};

/* Never fails: a word that is no instruction gives OP_ILLEGAL. */
struct insn isa_decode(uint32_t word);

/* Writes e.g. "addi a0,a1,-4" (GNU syntax; branches and jumps as absolute targets from pc).
 * Returns the length that was needed, as snprintf does. */
int isa_disassemble(uint32_t pc, uint32_t word, char *text, size_t size);

/* Would it trap in user mode (so that a virtual machine's monitor sees it)? */
bool isa_traps_in_user_mode(uint32_t word);

/* ABI names: "zero" "ra" "sp" ...; n is 0..31. */
const char *isa_register_name(unsigned n);

/* ---- csr.def ------------------------------------------------------------------------------ */

enum csr_number {
#define CSR(NAME, number, name, mask, meaning) CSR_##NAME = number,
#define CSR_ZERO(NAME, number, count, name, meaning) CSR_##NAME = number,
#define CSR_RUN(NAME, number, count, name, mask, meaning) CSR_##NAME = number,
#include "cpu/csr.def"
};

struct csr_row {
    char name[16];
    uint16_t number;
    uint32_t mask; /* writable bits */
    bool zero;     /* always reads zero */
    const char *meaning;
};

/* The row of a CSR number, or NULL: there is no such CSR. */
const struct csr_row *isa_csr(unsigned number);
/* Rows in order of their numbers, for listings: index 0.., NULL after the last. */
const struct csr_row *isa_csr_at(unsigned index);
/* The number of a name ("mstatus"), or -1. */
int isa_csr_by_name(const char *name);

static inline unsigned csr_privilege(unsigned number) { return (number >> 8) & 3; }
static inline bool csr_is_read_only(unsigned number) { return (number >> 10) == 3; }

/* ---- cause.def ---------------------------------------------------------------------------- */

enum trap_cause {
#define CAUSE(NAME, code, name, meaning) CAUSE_##NAME = code,
#include "cpu/cause.def"
    CAUSE_COUNT = 16,
};

/* "load page fault", "machine timer interrupt" (bit 31 set) ...; "reserved" if there is none. */
const char *isa_cause_name(uint32_t cause);
const char *isa_cause_meaning(uint32_t cause);

#endif
