/*
 * What the operations of the threaded engine do: for execute() in threaded-execute.c alone.
 *
 * DO_<name>(o, a, v) executes the operation at `o`, whose rs1 has the value `a`, and leaves its
 * result, if it has one, in `v` and in rd. `x` are the hart's registers. Operations with rd = x0 do
 * not occur, so x[0] needs no care.
 */
#ifndef VITRINE_CPU_THREADED_OPS_H
#define VITRINE_CPU_THREADED_OPS_H

#define SIGNED(value) ((int32_t)(value))
#define B_OF(o) x[(o)->rs2]
#define IMM(o) ((uint32_t)(o)->imm)

#define COMPUTE(o, v, value) ((v) = (value), x[(o)->rd] = (v))

#define DO_li(o, a, v)     COMPUTE(o, v, ((void)(a), IMM(o)))
#define DO_mv(o, a, v)     COMPUTE(o, v, a)
#define DO_addi(o, a, v)   COMPUTE(o, v, (a) + IMM(o))
#define DO_slti(o, a, v)   COMPUTE(o, v, SIGNED(a) < (o)->imm)
#define DO_sltiu(o, a, v)  COMPUTE(o, v, (a) < IMM(o))
#define DO_xori(o, a, v)   COMPUTE(o, v, (a) ^ IMM(o))
#define DO_ori(o, a, v)    COMPUTE(o, v, (a) | IMM(o))
#define DO_andi(o, a, v)   COMPUTE(o, v, (a) & IMM(o))
#define DO_slli(o, a, v)   COMPUTE(o, v, (a) << (IMM(o) & 31))
#define DO_srli(o, a, v)   COMPUTE(o, v, (a) >> (IMM(o) & 31))
#define DO_srai(o, a, v)   COMPUTE(o, v, (uint32_t)(SIGNED(a) >> (IMM(o) & 31)))
#define DO_add(o, a, v)    COMPUTE(o, v, (a) + B_OF(o))
#define DO_sub(o, a, v)    COMPUTE(o, v, (a) - B_OF(o))
#define DO_sll(o, a, v)    COMPUTE(o, v, (a) << (B_OF(o) & 31))
#define DO_slt(o, a, v)    COMPUTE(o, v, SIGNED(a) < SIGNED(B_OF(o)))
#define DO_sltu(o, a, v)   COMPUTE(o, v, (a) < B_OF(o))
#define DO_xor(o, a, v)    COMPUTE(o, v, (a) ^ B_OF(o))
#define DO_srl(o, a, v)    COMPUTE(o, v, (a) >> (B_OF(o) & 31))
#define DO_sra(o, a, v)    COMPUTE(o, v, (uint32_t)(SIGNED(a) >> (B_OF(o) & 31)))
#define DO_or(o, a, v)     COMPUTE(o, v, (a) | B_OF(o))
#define DO_and(o, a, v)    COMPUTE(o, v, (a) & B_OF(o))

#define DO_mul(o, a, v)    COMPUTE(o, v, (a) * B_OF(o))
#define DO_mulh(o, a, v)                                                                         \
    COMPUTE(o, v, (uint32_t)((uint64_t)((int64_t)SIGNED(a) * SIGNED(B_OF(o))) >> 32))
#define DO_mulhsu(o, a, v)                                                                       \
    COMPUTE(o, v, (uint32_t)((uint64_t)((int64_t)SIGNED(a) * (int64_t)(uint64_t)B_OF(o)) >> 32))
#define DO_mulhu(o, a, v)  COMPUTE(o, v, (uint32_t)((uint64_t)(a) * B_OF(o) >> 32))
#define DO_div(o, a, v)    COMPUTE(o, v, divide(a, B_OF(o)))
#define DO_divu(o, a, v)   COMPUTE(o, v, B_OF(o) ? (a) / B_OF(o) : UINT32_MAX)
#define DO_rem(o, a, v)    COMPUTE(o, v, remainder_of(a, B_OF(o)))
#define DO_remu(o, a, v)   COMPUTE(o, v, B_OF(o) ? (a) % B_OF(o) : (a))

/* The fast path: `at` is where an aligned access of this type hits. The low bits of the
 * address take part in the comparison, so that a misaligned one misses. */
#define LOOK_UP(o, a, type, access)                                                              \
    uint32_t va = (a) + IMM(o);                                                                  \
    const struct threaded_page *page = &t->data[(va >> PAGE_SHIFT) % DATA_PAGES];                \
    if (UNLIKELY(page->tag[(access)-1] !=                                                        \
                 ((va & (~PAGE_MASK | (uint32_t)(sizeof(type) - 1))) | m->context[access]))) {   \
        ip = (o);                                                                                \
        target = va;                                                                             \
        goto miss_##access##_##type;                                                             \
    }                                                                                            \
    uint8_t *at = (uint8_t *)(page->host + va)

#define LOAD(o, a, v, type, extended)                                                            \
    do {                                                                                         \
        LOOK_UP(o, a, type, ACCESS_READ);                                                        \
        type loaded;                                                                             \
        memcpy(&loaded, at, sizeof loaded);                                                      \
        (v) = (uint32_t)(extended)loaded;                                                        \
        x[(o)->rd] = (v);                                                                        \
    } while (0)

#define DO_lb(o, a, v)     LOAD(o, a, v, uint8_t, int8_t)
#define DO_lh(o, a, v)     LOAD(o, a, v, uint16_t, int16_t)
#define DO_lw(o, a, v)     LOAD(o, a, v, uint32_t, uint32_t)
#define DO_lbu(o, a, v)    LOAD(o, a, v, uint8_t, uint8_t)
#define DO_lhu(o, a, v)    LOAD(o, a, v, uint16_t, uint16_t)

#define STORE(o, a, v, type)                                                                     \
    do {                                                                                         \
        LOOK_UP(o, a, type, ACCESS_WRITE);                                                       \
        type stored = (type)B_OF(o);                                                             \
        memcpy(at, &stored, sizeof stored);                                                      \
        (v) = 0;                                                                                 \
    } while (0)

#define DO_sb(o, a, v)     STORE(o, a, v, uint8_t)
#define DO_sh(o, a, v)     STORE(o, a, v, uint16_t)
#define DO_sw(o, a, v)     STORE(o, a, v, uint32_t)

/* A branch that is taken gives back the instructions of its block that are not executed. */
#define BRANCH(o, condition)                                                                     \
    do {                                                                                         \
        if (condition) {                                                                         \
            remaining += (o)->imm;                                                               \
            ip = (o) + 1;                                                                        \
            FOLLOW(ip);                                                                          \
        }                                                                                        \
    } while (0)

#define DO_beq(o, a, v)    BRANCH(o, (a) == B_OF(o))
#define DO_bne(o, a, v)    BRANCH(o, (a) != B_OF(o))
#define DO_blt(o, a, v)    BRANCH(o, SIGNED(a) < SIGNED(B_OF(o)))
#define DO_bge(o, a, v)    BRANCH(o, SIGNED(a) >= SIGNED(B_OF(o)))
#define DO_bltu(o, a, v)   BRANCH(o, (a) < B_OF(o))
#define DO_bgeu(o, a, v)   BRANCH(o, (a) >= B_OF(o))
#define DO_beqz(o, a, v)   BRANCH(o, (a) == 0)
#define DO_bnez(o, a, v)   BRANCH(o, (a) != 0)
#define DO_bltz(o, a, v)   BRANCH(o, SIGNED(a) < 0)
#define DO_bgez(o, a, v)   BRANCH(o, SIGNED(a) >= 0)
#define DO_blez(o, a, v)   BRANCH(o, SIGNED(a) <= 0)
#define DO_bgtz(o, a, v)   BRANCH(o, SIGNED(a) > 0)

/* A misaligned target is the interpreter's to trap on. */
#define JUMP_TO(o, a, link_register)                                                             \
    do {                                                                                         \
        target = ((a) + IMM(o)) & ~1u;                                                           \
        if (UNLIKELY(target & 2)) {                                                              \
            ip = (o);                                                                            \
            goto interpret;                                                                      \
        }                                                                                        \
        link_register;                                                                           \
        FIND(target);                                                                            \
    } while (0)
#define DO_jr(o, a, v)     JUMP_TO(o, a, (void)0)
#define DO_jalr(o, a, v)   JUMP_TO(o, a, x[(o)->rd] = (o)[1].link.next)
#define DO_jump(o, a, v)                                                                         \
    do {                                                                                         \
        (void)(a);                                                                               \
        ip = (o) + 1;                                                                            \
        FOLLOW(ip);                                                                              \
    } while (0)

#define DO_interpret(o, a, v)                                                                    \
    do {                                                                                         \
        (void)(a);                                                                               \
        ip = (o);                                                                                \
        goto interpret;                                                                          \
    } while (0)

#endif
