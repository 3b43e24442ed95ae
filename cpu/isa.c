/*
 * The instruction set as data: everything that isa.def, csr.def and cause.def say, looked up.
 *
 * Decoding is a linear search of the table, the plainest thing that can be right; engines keep what
 * they decoded. See isa.h.
 */
#include "cpu/isa.h"

#include <stdio.h>
#include <string.h>

#include "cpu/rv.h"

const struct insn_row isa_rows[OP_COUNT + 1] = {
#define INSN(name, mnemonic, format, match, mask, kind, meaning)                                 \
    [OP_##name] = {mnemonic, match, mask, FORMAT_##format, KIND_##kind, meaning},
#include "cpu/isa.def"
    [OP_ILLEGAL] = {"illegal", 0, 0, FORMAT_NONE, KIND_TRAPS, "no such instruction"},
};

/* ---- decode ------------------------------------------------------------------------------- */

/* Bits high..low of w. */
static uint32_t bits(uint32_t w, unsigned high, unsigned low)
{
    return w << (31 - high) >> (31 - high + low);
}

static int32_t sign_extend(uint32_t value, unsigned width)
{
    return (int32_t)(value << (32 - width)) >> (32 - width);
}

static int32_t immediate(uint32_t w, enum insn_format format)
{
    switch (format) {
    case FORMAT_I:
    case FORMAT_L:
    case FORMAT_JR:
        return sign_extend(bits(w, 31, 20), 12);
    case FORMAT_S:
        return sign_extend(bits(w, 31, 25) << 5 | bits(w, 11, 7), 12);
    case FORMAT_B:
        return sign_extend(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 | bits(w, 30, 25) << 5 |
                               bits(w, 11, 8) << 1, 13);
    case FORMAT_U:
        return (int32_t)(w & 0xfffff000);
    case FORMAT_J:
        return sign_extend(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 | bits(w, 20, 20) << 11 |
                               bits(w, 30, 21) << 1, 21);
    case FORMAT_SH:
        return (int32_t)bits(w, 24, 20);
    case FORMAT_CSR:
    case FORMAT_CSRI:
        return (int32_t)bits(w, 31, 20);
    default:
        return 0;
    }
}

/* By bits 6..2: the first row of isa.def with this major opcode; 0 for lui, and where there is none
 * (then the search finds nothing). */
static const uint8_t first_row[32] = {
    [0x00] = OP_lb,   [0x03] = OP_fence, [0x04] = OP_addi, [0x05] = OP_auipc,
    [0x08] = OP_sb,   [0x0b] = OP_lr_w,  [0x0c] = OP_add,  [0x18] = OP_beq,
    [0x19] = OP_jalr, [0x1b] = OP_jal,   [0x1c] = OP_ecall,
};

struct insn isa_decode(uint32_t w)
{
    unsigned op = first_row[bits(w, 6, 2)];
    while (op < OP_COUNT && (w & isa_rows[op].mask) != isa_rows[op].match)
        op++;
    struct insn insn = {.word = w, .op = (uint16_t)op};
    enum insn_format format = isa_rows[op].format;
    if (format == FORMAT_NONE || format == FORMAT_FENCE)
        return insn;
    if (format != FORMAT_S && format != FORMAT_B && format != FORMAT_SFENCE)
        insn.rd = (uint8_t)bits(w, 11, 7);
    if (format != FORMAT_U && format != FORMAT_J)
        insn.rs1 = (uint8_t)bits(w, 19, 15);
    if (format == FORMAT_R || format == FORMAT_AMO || format == FORMAT_S || format == FORMAT_B ||
        format == FORMAT_SFENCE)
        insn.rs2 = (uint8_t)bits(w, 24, 20);
    insn.imm = immediate(w, format);
    return insn;
}

bool isa_traps_in_user_mode(uint32_t word)
{
    struct insn insn = isa_decode(word);
    switch ((enum insn_kind)isa_rows[insn.op].kind) {
    case KIND_PLAIN: return false;
    case KIND_TRAPS:
    case KIND_SENSITIVE: return true;
    /* The counters are U's only CSRs; a monitor keeps mcounteren clear, so that they trap too. */
    case KIND_CSRS: return true;
    }
    return true;
}

/* ---- disassemble -------------------------------------------------------------------------- */

static const char *const register_names[32] = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

const char *isa_register_name(unsigned n)
{
    return register_names[n % 32];
}

static int csr_operand(char *text, size_t size, const struct insn *i)
{
    const struct csr_row *csr = isa_csr((unsigned)i->imm);
    if (csr)
        return snprintf(text, size, "%s", csr->name);
    return snprintf(text, size, "0x%x", (unsigned)i->imm);
}

int isa_disassemble(uint32_t pc, uint32_t word, char *text, size_t size)
{
    struct insn i = isa_decode(word);
    const char *m = isa_rows[i.op].mnemonic;
    const char *rd = register_names[i.rd], *rs1 = register_names[i.rs1],
               *rs2 = register_names[i.rs2];
    char csr[24];

    if (i.op == OP_ILLEGAL)
        return snprintf(text, size, ".word 0x%08x", word);
    switch ((enum insn_format)isa_rows[i.op].format) {
    case FORMAT_R: return snprintf(text, size, "%s %s,%s,%s", m, rd, rs1, rs2);
    case FORMAT_I: return snprintf(text, size, "%s %s,%s,%d", m, rd, rs1, i.imm);
    case FORMAT_SH: return snprintf(text, size, "%s %s,%s,%d", m, rd, rs1, i.imm);
    case FORMAT_L:
    case FORMAT_JR: return snprintf(text, size, "%s %s,%d(%s)", m, rd, i.imm, rs1);
    case FORMAT_S: return snprintf(text, size, "%s %s,%d(%s)", m, rs2, i.imm, rs1);
    case FORMAT_B:
        return snprintf(text, size, "%s %s,%s,0x%x", m, rs1, rs2, pc + (uint32_t)i.imm);
    case FORMAT_U: return snprintf(text, size, "%s %s,0x%x", m, rd, (uint32_t)i.imm >> 12);
    case FORMAT_J: return snprintf(text, size, "%s %s,0x%x", m, rd, pc + (uint32_t)i.imm);
    case FORMAT_AMO: return snprintf(text, size, "%s %s,%s,(%s)", m, rd, rs2, rs1);
    case FORMAT_LR: return snprintf(text, size, "%s %s,(%s)", m, rd, rs1);
    case FORMAT_CSR:
        csr_operand(csr, sizeof csr, &i);
        return snprintf(text, size, "%s %s,%s,%s", m, rd, csr, rs1);
    case FORMAT_CSRI:
        csr_operand(csr, sizeof csr, &i);
        return snprintf(text, size, "%s %s,%s,%u", m, rd, csr, i.rs1);
    case FORMAT_SFENCE: return snprintf(text, size, "%s %s,%s", m, rs1, rs2);
    case FORMAT_FENCE:
    case FORMAT_NONE: break;
    }
    return snprintf(text, size, "%s", m);
}

/* ---- CSRs --------------------------------------------------------------------------------- */

/* Runs of CSRs, written out: "pmpaddr" with 16 gives pmpaddr0 .. pmpaddr15. */
#define ROW(name, number, k, first, mask, zero, meaning)                                         \
    [(number) + (k) - (first)] = {name #k, (number) + (k) - (first), mask, zero, meaning},
#define RUN_1(n, c, m, z, t) [c] = {n, c, m, z, t},
#define RUN_3(n, c, m, z, t)                                                                     \
    ROW(n, c, 1, 1, m, z, t) ROW(n, c, 2, 1, m, z, t) ROW(n, c, 3, 1, m, z, t)
#define RUN_4(n, c, m, z, t)                                                                     \
    ROW(n, c, 0, 0, m, z, t) ROW(n, c, 1, 0, m, z, t) ROW(n, c, 2, 0, m, z, t)                   \
    ROW(n, c, 3, 0, m, z, t)
#define RUN_16(n, c, m, z, t)                                                                    \
    RUN_4(n, c, m, z, t) ROW(n, c, 4, 0, m, z, t) ROW(n, c, 5, 0, m, z, t)                       \
    ROW(n, c, 6, 0, m, z, t) ROW(n, c, 7, 0, m, z, t) ROW(n, c, 8, 0, m, z, t)                   \
    ROW(n, c, 9, 0, m, z, t) ROW(n, c, 10, 0, m, z, t) ROW(n, c, 11, 0, m, z, t)                 \
    ROW(n, c, 12, 0, m, z, t) ROW(n, c, 13, 0, m, z, t) ROW(n, c, 14, 0, m, z, t)                \
    ROW(n, c, 15, 0, m, z, t)
#define RUN_29(n, c, m, z, t)                                                                    \
    ROW(n, c, 3, 3, m, z, t) ROW(n, c, 4, 3, m, z, t) ROW(n, c, 5, 3, m, z, t)                   \
    ROW(n, c, 6, 3, m, z, t) ROW(n, c, 7, 3, m, z, t) ROW(n, c, 8, 3, m, z, t)                   \
    ROW(n, c, 9, 3, m, z, t) ROW(n, c, 10, 3, m, z, t) ROW(n, c, 11, 3, m, z, t)                 \
    ROW(n, c, 12, 3, m, z, t) ROW(n, c, 13, 3, m, z, t) ROW(n, c, 14, 3, m, z, t)                \
    ROW(n, c, 15, 3, m, z, t) ROW(n, c, 16, 3, m, z, t) ROW(n, c, 17, 3, m, z, t)                \
    ROW(n, c, 18, 3, m, z, t) ROW(n, c, 19, 3, m, z, t) ROW(n, c, 20, 3, m, z, t)                \
    ROW(n, c, 21, 3, m, z, t) ROW(n, c, 22, 3, m, z, t) ROW(n, c, 23, 3, m, z, t)                \
    ROW(n, c, 24, 3, m, z, t) ROW(n, c, 25, 3, m, z, t) ROW(n, c, 26, 3, m, z, t)                \
    ROW(n, c, 27, 3, m, z, t) ROW(n, c, 28, 3, m, z, t) ROW(n, c, 29, 3, m, z, t)                \
    ROW(n, c, 30, 3, m, z, t) ROW(n, c, 31, 3, m, z, t)

/* Indexed by CSR number: 12 bits. Numbers without a row have no name. */
static const struct csr_row csr_rows[4096] = {
#define CSR(NAME, number, name, mask, meaning) [number] = {name, number, mask, false, meaning},
#define CSR_ZERO(NAME, number, count, name, meaning) RUN_##count(name, number, 0, true, meaning)
#define CSR_RUN(NAME, number, count, name, mask, meaning)                                        \
    RUN_##count(name, number, mask, false, meaning)
#include "cpu/csr.def"
};

const struct csr_row *isa_csr(unsigned number)
{
    return number < 4096 && csr_rows[number].name[0] ? &csr_rows[number] : NULL;
}

const struct csr_row *isa_csr_at(unsigned index)
{
    for (unsigned number = 0; number < 4096; number++)
        if (csr_rows[number].name[0] && index-- == 0)
            return &csr_rows[number];
    return NULL;
}

int isa_csr_by_name(const char *name)
{
    for (int number = 0; number < 4096; number++)
        if (csr_rows[number].name[0] && !strcmp(csr_rows[number].name, name))
            return number;
    return -1;
}

/* ---- causes ------------------------------------------------------------------------------- */

static const struct {
    const char *name, *meaning;
} exceptions[CAUSE_COUNT] = {
#define CAUSE(NAME, code, name, meaning) [code] = {name, meaning},
#include "cpu/cause.def"
}, interrupts[CAUSE_COUNT] = {
#define INTERRUPT(NAME, bit, name, meaning) [bit] = {name, meaning},
#include "cpu/cause.def"
};

const char *isa_cause_name(uint32_t cause)
{
    uint32_t code = cause & ~CAUSE_INTERRUPT;
    const char *name = NULL;
    if (code < CAUSE_COUNT)
        name = cause & CAUSE_INTERRUPT ? interrupts[code].name : exceptions[code].name;
    return name ? name : "reserved";
}

const char *isa_cause_meaning(uint32_t cause)
{
    uint32_t code = cause & ~CAUSE_INTERRUPT;
    const char *meaning = NULL;
    if (code < CAUSE_COUNT)
        meaning = cause & CAUSE_INTERRUPT ? interrupts[code].meaning : exceptions[code].meaning;
    return meaning ? meaning : "";
}
