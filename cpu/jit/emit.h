/*
 * An assembler for the x86-64 instructions that the translator needs; no more.
 *
 * Encodings follow Intel's manual, volume 2: [prefix] [REX] opcode ModRM [SIB] [displacement]
 * [immediate]. Operands are 32 bits wide unless a name says 64, as the guest's registers are; a
 * 32-bit result clears the upper half of its host register, which is what keeps them zero-extended.
 *
 * A buffer that is full swallows what follows and says so by `full`: nobody checks at each byte.
 */
#ifndef VITRINE_CPU_JIT_EMIT_H
#define VITRINE_CPU_JIT_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum host_register {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    NO_REGISTER = 0xff,
};

/* Two-operand arithmetic; the value is the number in opcode bits 3..5. */
enum alu { ALU_ADD = 0, ALU_OR = 1, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6, ALU_CMP = 7 };
/* Shifts; the value is the number in ModRM.reg. */
enum shift { SHIFT_LEFT = 4, SHIFT_RIGHT = 5, SHIFT_RIGHT_SIGNED = 7 };
/* Conditions, as in Jcc and SETcc. */
enum condition {
    CC_BELOW = 2, CC_NOT_BELOW = 3, CC_EQUAL = 4, CC_NOT_EQUAL = 5, CC_SIGN = 8,
    CC_LESS = 12, CC_NOT_LESS = 13,
};

/* Where code goes. It is written through one mapping and runs in another: `at` counts bytes from
 * the start of both. */
struct emitter {
    uint8_t *bytes;
    uint32_t at, end;
    bool full;
};

static inline void emit8(struct emitter *e, unsigned byte)
{
    if (e->at < e->end)
        e->bytes[e->at++] = (uint8_t)byte;
    else
        e->full = true;
}

static inline void emit32(struct emitter *e, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        emit8(e, word >> (8 * i));
}

static inline void emit64(struct emitter *e, uint64_t word)
{
    emit32(e, (uint32_t)word);
    emit32(e, (uint32_t)(word >> 32));
}

static inline bool fits8(int32_t value) { return value == (int8_t)value; }

/* ---- ModRM -------------------------------------------------------------------------------- */

/* REX.W, .R, .X, .B; `byte_register`: without any REX, 4..7 would be AH..BH. */
static inline void emit_rex(struct emitter *e, bool wide, unsigned reg, unsigned index,
                            unsigned base, bool byte_register)
{
    unsigned rex = 0x40u | (unsigned)wide << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
    if (rex != 0x40 || byte_register)
        emit8(e, rex);
}

/* One or two opcode bytes; 0x0fxx is two. */
static inline void emit_opcode(struct emitter *e, unsigned opcode)
{
    if (opcode > 0xff)
        emit8(e, opcode >> 8);
    emit8(e, opcode);
}

/* opcode reg, rm: both registers. */
static inline void emit_rr(struct emitter *e, unsigned opcode, unsigned reg, unsigned rm)
{
    emit_rex(e, false, reg, 0, rm, false);
    emit_opcode(e, opcode);
    emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void emit_rr64(struct emitter *e, unsigned opcode, unsigned reg, unsigned rm)
{
    emit_rex(e, true, reg, 0, rm, false);
    emit_opcode(e, opcode);
    emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* The ModRM byte and displacement of [base + disp]. RSP and R12 as a base need a SIB byte. */
static inline void emit_address(struct emitter *e, unsigned reg, unsigned base, int32_t disp)
{
    bool short_form = fits8(disp);
    emit8(e, (short_form ? 0x40 : 0x80) | (reg & 7) << 3 | (base & 7));
    if ((base & 7) == RSP)
        emit8(e, 0x24);
    if (short_form)
        emit8(e, (uint8_t)disp);
    else
        emit32(e, (uint32_t)disp);
}

/* opcode reg, [base + disp]. */
static inline void emit_rm(struct emitter *e, unsigned opcode, unsigned reg, unsigned base,
                           int32_t disp)
{
    emit_rex(e, false, reg, 0, base, false);
    emit_opcode(e, opcode);
    emit_address(e, reg, base, disp);
}

static inline void emit_rm64(struct emitter *e, unsigned opcode, unsigned reg, unsigned base,
                             int32_t disp)
{
    emit_rex(e, true, reg, 0, base, false);
    emit_opcode(e, opcode);
    emit_address(e, reg, base, disp);
}

/* opcode reg, [base + index + disp32]. */
static inline void emit_rmx(struct emitter *e, bool wide, unsigned opcode, unsigned reg,
                            unsigned base, unsigned index, int32_t disp, bool byte_register)
{
    emit_rex(e, wide, reg, index, base, byte_register);
    emit_opcode(e, opcode);
    emit8(e, 0x84 | (reg & 7) << 3);
    emit8(e, (index & 7) << 3 | (base & 7));
    emit32(e, (uint32_t)disp);
}

/* ---- instructions ------------------------------------------------------------------------- */

static inline void emit_mov(struct emitter *e, unsigned to, unsigned from)
{
    if (to != from)
        emit_rr(e, 0x8b, to, from);
}

static inline void emit_mov_imm(struct emitter *e, unsigned to, uint32_t value)
{
    if (value == 0) {
        emit_rr(e, 0x31, to, to); /* xor: changes the flags */
        return;
    }
    emit_rex(e, false, 0, 0, to, false);
    emit8(e, 0xb8 | (to & 7));
    emit32(e, value);
}

static inline void emit_mov_imm64(struct emitter *e, unsigned to, uint64_t value)
{
    emit_rex(e, true, 0, 0, to, false);
    emit8(e, 0xb8 | (to & 7));
    emit64(e, value);
}

/* mov dword [base + disp], value */
static inline void emit_store_imm(struct emitter *e, unsigned base, int32_t disp, uint32_t value)
{
    emit_rm(e, 0xc7, 0, base, disp);
    emit32(e, value);
}

static inline void emit_alu(struct emitter *e, enum alu op, unsigned to, unsigned from)
{
    emit_rr(e, (unsigned)op << 3 | 3, to, from);
}

static inline void emit_alu_load(struct emitter *e, enum alu op, unsigned to, unsigned base,
                                 int32_t disp)
{
    emit_rm(e, (unsigned)op << 3 | 3, to, base, disp);
}

static inline void emit_alu_imm(struct emitter *e, enum alu op, unsigned to, int32_t value)
{
    emit_rr(e, fits8(value) ? 0x83 : 0x81, op, to);
    if (fits8(value))
        emit8(e, (uint8_t)value);
    else
        emit32(e, (uint32_t)value);
}

/* op dword [base + disp], value */
static inline void emit_alu_mem_imm(struct emitter *e, enum alu op, unsigned base, int32_t disp,
                                    int32_t value)
{
    emit_rm(e, fits8(value) ? 0x83 : 0x81, op, base, disp);
    if (fits8(value))
        emit8(e, (uint8_t)value);
    else
        emit32(e, (uint32_t)value);
}

/* mov to, [address]; `address` is below 2 GiB. */
static inline void emit_load_absolute(struct emitter *e, unsigned to, int32_t address)
{
    emit_rex(e, false, to, 0, 0, false);
    emit8(e, 0x8b);
    emit8(e, 0x04 | (to & 7) << 3);
    emit8(e, 0x25);
    emit32(e, (uint32_t)address);
}

static inline void emit_shift_imm(struct emitter *e, enum shift op, unsigned to, unsigned count)
{
    emit_rr(e, 0xc1, op, to);
    emit8(e, count);
}

/* Shift by CL, which the hardware takes modulo 32, as RISC-V does. */
static inline void emit_shift_cl(struct emitter *e, enum shift op, unsigned to)
{
    emit_rr(e, 0xd3, op, to);
}

static inline void emit_lea(struct emitter *e, unsigned to, unsigned base, int32_t disp)
{
    emit_rm(e, 0x8d, to, base, disp);
}

/* lea to, [base + index] */
static inline void emit_lea_sum(struct emitter *e, unsigned to, unsigned base, unsigned index)
{
    emit_rmx(e, false, 0x8d, to, base, index, 0, false);
}

/* to = condition ? 1 : 0, by way of the byte register `to`. Flags survive. */
static inline void emit_setcc(struct emitter *e, enum condition cc, unsigned to)
{
    emit_rex(e, false, 0, 0, to, to >= RSP);
    emit_opcode(e, 0x0f90 | (unsigned)cc);
    emit8(e, 0xc0 | (to & 7));
    emit_rex(e, false, to, 0, to, to >= RSP);
    emit_opcode(e, 0x0fb6);
    emit8(e, 0xc0 | (to & 7) << 3 | (to & 7));
}

/* cmp rax, [index * 4 + table]; `table` is below 2 GiB. */
static inline void emit_compare_entry(struct emitter *e, unsigned index, int32_t table)
{
    emit_rex(e, true, RAX, index, 0, false);
    emit8(e, 0x3b);
    emit8(e, 0x04);
    emit8(e, 0x80 | (index & 7) << 3 | 5);
    emit32(e, (uint32_t)table);
}

/* jmp or call [rcx * 4 + table + 8] */
static inline void emit_jump_entry(struct emitter *e, bool call, int32_t table)
{
    emit8(e, 0xff);
    emit8(e, call ? 0x14 : 0x24);
    emit8(e, 0x80 | RCX << 3 | 5);
    emit32(e, (uint32_t)table + 8);
}

/* ---- jumps: each returns where its 32-bit displacement is --------------------------------- */

static inline uint32_t emit_jcc(struct emitter *e, enum condition cc)
{
    emit_opcode(e, 0x0f80 | (unsigned)cc);
    emit32(e, 0);
    return e->at - 4;
}

static inline uint32_t emit_jmp(struct emitter *e)
{
    emit8(e, 0xe9);
    emit32(e, 0);
    return e->at - 4;
}

static inline uint32_t emit_call(struct emitter *e)
{
    emit8(e, 0xe8);
    emit32(e, 0);
    return e->at - 4;
}

/* Lets the jump whose displacement is at `field` go to `target`. */
static inline void emit_patch(uint8_t *bytes, uint32_t field, uint32_t target)
{
    uint32_t displacement = target - (field + 4);
    memcpy(bytes + field, &displacement, 4);
}

/* The same for a jump just written; harmless when the buffer is full. */
static inline void emit_target(struct emitter *e, uint32_t field, uint32_t target)
{
    if (!e->full)
        emit_patch(e->bytes, field, target);
}

static inline void emit_jmp_to(struct emitter *e, uint32_t target)
{
    uint32_t field = emit_jmp(e);
    emit_target(e, field, target);
}

static inline void emit_jcc_to(struct emitter *e, enum condition cc, uint32_t target)
{
    uint32_t field = emit_jcc(e, cc);
    emit_target(e, field, target);
}

#endif
