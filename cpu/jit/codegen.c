/*
 * What each guest instruction becomes. One function, gen_<name>(), for each instruction that is
 * translated; what has none is left to the interpreter, which is always right. To translate another
 * instruction write its function and enter it in the table at the end.
 *
 * A guest register is either in a host register for as long as the mapping stands, or in memory at
 * [RBP + 4 * number]. RAX, RCX and RDX are free in every function. Values are kept zero-extended.
 */
#include "cpu/jit/jit.h"

/* ---- guest registers ---------------------------------------------------------------------- */

static unsigned home(const struct translation *t, unsigned g) { return t->jit->host_of[g]; }
static int32_t slot(unsigned g) { return (int32_t)(4 * g); }

static bool is_known(const struct translation *t, unsigned g) { return t->is_known >> g & 1; }

static void forget(struct translation *t, unsigned g) { t->is_known &= ~(1u << g); }

/* to = guest register g. */
static void get(struct translation *t, unsigned to, unsigned g)
{
    if (is_known(t, g))
        emit_mov_imm(t->e, to, t->known[g]);
    else if (home(t, g) != NO_REGISTER)
        emit_mov(t->e, to, home(t, g));
    else
        emit_rm(t->e, 0x8b, to, RBP, slot(g));
}

/* A host register that holds guest register g: its own, or `scratch`. */
static unsigned in(struct translation *t, unsigned g, unsigned scratch)
{
    if (g && home(t, g) != NO_REGISTER)
        return home(t, g);
    get(t, scratch, g);
    return scratch;
}

/* Where a result for guest register g is best computed: its own register, or RAX. */
static unsigned out(const struct translation *t, unsigned g)
{
    return g && home(t, g) != NO_REGISTER ? home(t, g) : RAX;
}

/* Guest register g = from. */
static void put(struct translation *t, unsigned g, unsigned from)
{
    forget(t, g);
    if (home(t, g) != NO_REGISTER)
        emit_mov(t->e, home(t, g), from);
    else
        emit_rm(t->e, 0x89, from, RBP, slot(g));
}

/* Guest register g = value, which is remembered. */
static void put_constant(struct translation *t, unsigned g, uint32_t value)
{
    if (g == 0)
        return;
    if (home(t, g) != NO_REGISTER)
        emit_mov_imm(t->e, home(t, g), value);
    else
        emit_store_imm(t->e, RBP, slot(g), value);
    t->is_known |= 1u << g;
    t->known[g] = value;
}

/* to = to op guest register g. */
static void alu_with(struct translation *t, enum alu op, unsigned to, unsigned g)
{
    if (is_known(t, g))
        emit_alu_imm(t->e, op, to, (int32_t)t->known[g]);
    else if (home(t, g) != NO_REGISTER)
        emit_alu(t->e, op, to, home(t, g));
    else
        emit_alu_load(t->e, op, to, RBP, slot(g));
}

/* ---- computing ---------------------------------------------------------------------------- */

static void two_operands(struct translation *t, const struct insn *i, enum alu op)
{
    unsigned d = out(t, i->rd);
    bool second_is_target = i->rd == i->rs2 && i->rd != i->rs1 && d != RAX;
    if (i->rd == 0)
        return;
    if (second_is_target && op == ALU_SUB) {
        get(t, RAX, i->rs1);
        alu_with(t, op, RAX, i->rs2);
        put(t, i->rd, RAX);
        return;
    }
    unsigned first = second_is_target ? i->rs2 : i->rs1;
    unsigned second = second_is_target ? i->rs1 : i->rs2;
    get(t, d, first);
    alu_with(t, op, d, second);
    put(t, i->rd, d);
}

static void gen_add(struct translation *t, const struct insn *i)
{
    unsigned a = home(t, i->rs1), b = home(t, i->rs2), d = home(t, i->rd);
    bool three = i->rd && i->rs1 && i->rs2 && i->rd != i->rs1 && i->rd != i->rs2;
    if (three && a != NO_REGISTER && b != NO_REGISTER && d != NO_REGISTER) {
        emit_lea_sum(t->e, d, a, b);
        forget(t, i->rd);
    } else {
        two_operands(t, i, ALU_ADD);
    }
}
static void gen_sub(struct translation *t, const struct insn *i) { two_operands(t, i, ALU_SUB); }
static void gen_xor(struct translation *t, const struct insn *i) { two_operands(t, i, ALU_XOR); }
static void gen_or(struct translation *t, const struct insn *i) { two_operands(t, i, ALU_OR); }
static void gen_and(struct translation *t, const struct insn *i) { two_operands(t, i, ALU_AND); }

static void with_immediate(struct translation *t, const struct insn *i, enum alu op)
{
    unsigned d = out(t, i->rd);
    if (i->rd == 0)
        return;
    get(t, d, i->rs1);
    emit_alu_imm(t->e, op, d, i->imm);
    put(t, i->rd, d);
}

static void gen_xori(struct translation *t, const struct insn *i)
{
    if (i->imm == -1 && i->rd) { /* not */
        unsigned d = out(t, i->rd);
        get(t, d, i->rs1);
        emit_rr(t->e, 0xf7, 2, d);
        put(t, i->rd, d);
    } else {
        with_immediate(t, i, ALU_XOR);
    }
}
static void gen_ori(struct translation *t, const struct insn *i) { with_immediate(t, i, ALU_OR); }
static void gen_andi(struct translation *t, const struct insn *i) { with_immediate(t, i, ALU_AND); }

static void gen_addi(struct translation *t, const struct insn *i)
{
    unsigned a = home(t, i->rs1), d = home(t, i->rd);
    if (i->rd == 0)
        return;
    if (is_known(t, i->rs1)) {
        put_constant(t, i->rd, t->known[i->rs1] + (uint32_t)i->imm);
    } else if (i->rd == i->rs1 && d == NO_REGISTER) {
        emit_alu_mem_imm(t->e, ALU_ADD, RBP, slot(i->rd), i->imm);
    } else if (i->rd != i->rs1 && a != NO_REGISTER && d != NO_REGISTER && i->imm) {
        emit_lea(t->e, d, a, i->imm);
        forget(t, i->rd);
    } else {
        unsigned to = out(t, i->rd);
        get(t, to, i->rs1);
        if (i->imm)
            emit_alu_imm(t->e, ALU_ADD, to, i->imm);
        put(t, i->rd, to);
    }
}

static void gen_lui(struct translation *t, const struct insn *i)
{
    put_constant(t, i->rd, (uint32_t)i->imm);
}

static void gen_auipc(struct translation *t, const struct insn *i)
{
    put_constant(t, i->rd, t->pc + (uint32_t)i->imm);
}

/* rd = condition of a comparison just made. */
static void put_condition(struct translation *t, unsigned rd, enum condition cc)
{
    unsigned d = out(t, rd);
    emit_setcc(t->e, cc, d);
    put(t, rd, d);
}

static void compare(struct translation *t, const struct insn *i, bool immediate)
{
    unsigned a = in(t, i->rs1, RAX);
    if (immediate)
        emit_alu_imm(t->e, ALU_CMP, a, i->imm);
    else
        alu_with(t, ALU_CMP, a, i->rs2);
}

#define SET(name, immediate, cc)                                                                 \
    static void gen_##name(struct translation *t, const struct insn *i)                          \
    {                                                                                            \
        if (i->rd == 0)                                                                          \
            return;                                                                              \
        compare(t, i, immediate);                                                                \
        put_condition(t, i->rd, cc);                                                             \
    }
SET(slt, false, CC_LESS)
SET(sltu, false, CC_BELOW)
SET(slti, true, CC_LESS)
SET(sltiu, true, CC_BELOW)

static void shift_by_immediate(struct translation *t, const struct insn *i, enum shift op)
{
    unsigned d = out(t, i->rd);
    if (i->rd == 0)
        return;
    get(t, d, i->rs1);
    if (i->imm)
        emit_shift_imm(t->e, op, d, (unsigned)i->imm);
    put(t, i->rd, d);
}

static void shift_by_register(struct translation *t, const struct insn *i, enum shift op)
{
    unsigned d = out(t, i->rd);
    if (i->rd == 0)
        return;
    get(t, RCX, i->rs2);
    get(t, d, i->rs1);
    emit_shift_cl(t->e, op, d);
    put(t, i->rd, d);
}

#define SHIFT(name, how, op)                                                                     \
    static void gen_##name(struct translation *t, const struct insn *i) { how(t, i, op); }
SHIFT(slli, shift_by_immediate, SHIFT_LEFT)
SHIFT(srli, shift_by_immediate, SHIFT_RIGHT)
SHIFT(srai, shift_by_immediate, SHIFT_RIGHT_SIGNED)
SHIFT(sll, shift_by_register, SHIFT_LEFT)
SHIFT(srl, shift_by_register, SHIFT_RIGHT)
SHIFT(sra, shift_by_register, SHIFT_RIGHT_SIGNED)

/* ---- multiply and divide ------------------------------------------------------------------ */

static void gen_mul(struct translation *t, const struct insn *i)
{
    unsigned d = out(t, i->rd);
    if (i->rd == 0)
        return;
    bool swap = i->rd == i->rs2;
    unsigned other = in(t, swap ? i->rs1 : i->rs2, RCX);
    get(t, d, swap ? i->rs2 : i->rs1);
    emit_rr(t->e, 0x0faf, d, other);
    put(t, i->rd, d);
}

/* The upper half of the product: a 64-bit multiplication of operands widened as they need. */
static void multiply_high(struct translation *t, const struct insn *i, bool signed1, bool signed2)
{
    if (i->rd == 0)
        return;
    get(t, RAX, i->rs1);
    get(t, RCX, i->rs2);
    if (signed1)
        emit_rr64(t->e, 0x63, RAX, RAX); /* movsxd */
    if (signed2)
        emit_rr64(t->e, 0x63, RCX, RCX);
    emit_rr64(t->e, 0x0faf, RAX, RCX);
    emit_rr64(t->e, 0xc1, 5, RAX); /* shr rax, 32 */
    emit8(t->e, 32);
    put(t, i->rd, RAX);
}

static void gen_mulh(struct translation *t, const struct insn *i)
{
    multiply_high(t, i, true, true);
}
static void gen_mulhsu(struct translation *t, const struct insn *i)
{
    multiply_high(t, i, true, false);
}
static void gen_mulhu(struct translation *t, const struct insn *i)
{
    multiply_high(t, i, false, false);
}

/* The host faults where RISC-V has results: division by zero, and INT_MIN / -1. */
static void divide(struct translation *t, const struct insn *i, bool is_signed, bool remainder)
{
    struct emitter *e = t->e;
    if (i->rd == 0)
        return;
    get(t, RAX, i->rs1);
    get(t, RCX, i->rs2);
    emit_rr(e, 0x85, RCX, RCX); /* test */
    uint32_t by_zero = emit_jcc(e, CC_EQUAL), by_minus_one = 0;
    if (is_signed) {
        emit_alu_imm(e, ALU_CMP, RCX, -1);
        by_minus_one = emit_jcc(e, CC_EQUAL);
        emit8(e, 0x99); /* cdq */
        emit_rr(e, 0xf7, 7, RCX);
    } else {
        emit_mov_imm(e, RDX, 0);
        emit_rr(e, 0xf7, 6, RCX);
    }
    if (remainder)
        emit_mov(e, RAX, RDX);
    uint32_t end = emit_jmp(e), end_of_minus_one = 0;
    if (is_signed) {
        emit_target(e, by_minus_one, e->at);
        if (remainder)
            emit_mov_imm(e, RAX, 0);
        else
            emit_rr(e, 0xf7, 3, RAX); /* neg */
        end_of_minus_one = emit_jmp(e);
    }
    emit_target(e, by_zero, e->at); /* quotient: all ones; remainder: the dividend */
    if (!remainder)
        emit_mov_imm(e, RAX, UINT32_MAX);
    if (is_signed)
        emit_target(e, end_of_minus_one, e->at);
    emit_target(e, end, e->at);
    put(t, i->rd, RAX);
}

static void gen_div(struct translation *t, const struct insn *i) { divide(t, i, true, false); }
static void gen_divu(struct translation *t, const struct insn *i) { divide(t, i, false, false); }
static void gen_rem(struct translation *t, const struct insn *i) { divide(t, i, true, true); }
static void gen_remu(struct translation *t, const struct insn *i) { divide(t, i, false, true); }

static void gen_fence(struct translation *t, const struct insn *i)
{
    (void)t, (void)i; /* one hart: nothing to order */
}

/* ---- branches and jumps ------------------------------------------------------------------- */

/* The interpreter executes the instruction; it may go on anywhere. */
static void leave_to_interpreter(struct translation *t, const struct insn *i)
{
    struct site *s = jit_site(t, i);
    if (!s)
        return;
    s->fault = t->e->at;
    jit_call_interpreter(t, s);
    s->resume = t->e->at;
    t->is_known = 1; /* x0 */
    t->known[0] = 0;
}

static void branch(struct translation *t, const struct insn *i, enum condition cc)
{
    uint32_t target = t->pc + (uint32_t)i->imm;
    if (target & 3) { /* traps, but only if it is taken */
        leave_to_interpreter(t, i);
        return;
    }
    compare(t, i, false);
    if (target == t->block->pc) { /* a loop: from its end to its beginning */
        emit_jcc_to(t->e, cc, t->block->entry);
        jit_link(t, LINK_JUMP, t->pc + 4);
        t->done = true;
        return;
    }
    t->side[t->sides].field = emit_jcc(t->e, cc);
    t->side[t->sides].pc = target;
    t->side[t->sides].index = (uint16_t)(t->index + 1);
    t->sides++;
}

#define BRANCH(name, cc)                                                                         \
    static void gen_##name(struct translation *t, const struct insn *i) { branch(t, i, cc); }
BRANCH(beq, CC_EQUAL)
BRANCH(bne, CC_NOT_EQUAL)
BRANCH(blt, CC_LESS)
BRANCH(bge, CC_NOT_LESS)
BRANCH(bltu, CC_BELOW)
BRANCH(bgeu, CC_NOT_BELOW)

/*
 * Calls and returns use the host's own: a guest call is a host call, and a guest return a host
 * return, which the host predicts well. That the guest really returns to where it was called from is
 * checked where the return lands, with the guest address that it wants to go to in EAX. By the
 * psABI's convention, calls link to ra or t0, and returns jump there.
 */
static bool is_link(unsigned g) { return g == 1 || g == 5; }

/* Behind a host call. */
static void land(struct translation *t)
{
    emit_alu_imm(t->e, ALU_CMP, RAX, (int32_t)(t->pc + 4));
    emit_jcc_to(t->e, CC_NOT_EQUAL, t->jit->lost);
    jit_link(t, LINK_JUMP, t->pc + 4);
}

static void gen_jal(struct translation *t, const struct insn *i)
{
    uint32_t target = t->pc + (uint32_t)i->imm;
    bool inside = (target ^ t->pc) < PAGE_SIZE && target > t->pc;
    if (target & 3) {
        leave_to_interpreter(t, i);
        return;
    }
    put_constant(t, i->rd, t->pc + 4);
    if (i->rd == 0 && inside) { /* the block goes on there */
        t->next = target;
        return;
    }
    t->done = true;
    if (is_link(i->rd)) {
        jit_link(t, LINK_CALL, target);
        land(t);
    } else if (target == t->block->pc) {
        emit_jmp_to(t->e, t->block->entry);
    } else {
        jit_link(t, LINK_JUMP, target);
    }
}

/* A jump to the guest address in EAX through the cache of indirect jumps. A misaligned address is
 * never in the cache; the interpreter makes it trap. Does what must be done before with `rd`. */
static void jump_by_cache(struct translation *t, const struct insn *i)
{
    struct emitter *e = t->e;
    bool call = is_link(i->rd);
    uint32_t known = t->is_known;
    uint32_t miss = jit_probe(e, t->jit, t->block);
    put_constant(t, i->rd, t->pc + 4);
    emit_jump_entry(e, call, (int32_t)(uintptr_t)jit_jumps(t->jit, t->block));
    if (call)
        land(t);
    emit_target(e, miss, e->at);
    t->is_known = known;
    emit8(e, 0xa8); /* test al, 2 */
    emit8(e, 2);
    uint32_t aligned = emit_jcc(e, CC_EQUAL);
    leave_to_interpreter(t, i);
    t->is_known = known;
    emit_target(e, aligned, e->at);
    emit_alu_imm(e, ALU_AND, RAX, -2);
    put_constant(t, i->rd, t->pc + 4);
    emit_mov_imm(e, RCX, EXIT_INDIRECT);
    emit_jmp_to(e, t->jit->leave);
}

static void gen_jalr(struct translation *t, const struct insn *i)
{
    struct emitter *e = t->e;
    bool is_return = i->rd == 0 && is_link(i->rs1) && i->imm == 0;
    t->done = true;
    get(t, RAX, i->rs1);
    if (i->imm)
        emit_alu_imm(e, ALU_ADD, RAX, i->imm);
    if (is_return) {
        emit8(e, 0xa8); /* test al, 3 */
        emit8(e, 3);
        uint32_t odd = emit_jcc(e, CC_NOT_EQUAL);
        emit8(e, 0xc3);
        emit_target(e, odd, e->at);
    }
    jump_by_cache(t, i);
}

/* ---- loads and stores --------------------------------------------------------------------- */

enum { LOAD_BYTE = 0x0fbe, LOAD_BYTE_U = 0x0fb6, LOAD_HALF = 0x0fbf, LOAD_HALF_U = 0x0fb7,
       LOAD_WORD = 0x8b, STORE_BYTE = 0x88, STORE_WORD = 0x89 };

/* A base register and displacement for rs1 + imm. */
static unsigned address(struct translation *t, const struct insn *i, int32_t *disp)
{
    *disp = i->imm;
    return in(t, i->rs1, RCX);
}

/*
 * Through the window: GS base plus the 32-bit effective address, by the prefixes 65 and 67. What the
 * window does not hold faults, and the fault goes on at the stub. All forms have at least five
 * bytes, so that a site that faults too often can be overwritten with a jump.
 */
static void access_window(struct translation *t, const struct insn *i, unsigned opcode, bool half,
                          unsigned value)
{
    struct site *s = jit_site(t, i);
    int32_t disp;
    unsigned base = address(t, i, &disp);
    if (!s)
        return;
    s->fault = t->e->at;
    emit8(t->e, 0x65);
    emit8(t->e, 0x67);
    if (half)
        emit8(t->e, 0x66);
    emit_rex(t->e, false, value, 0, base, opcode == STORE_BYTE && value >= RSP);
    emit_opcode(t->e, opcode);
    emit_address(t->e, value, base, disp);
    s->length = (uint8_t)(t->e->at - s->fault);
}

static int32_t tlb_field(size_t field)
{
    return (int32_t)(offsetof(struct machine, tlb.entry) + field);
}

/* Through the TLB, as hit() in interp.c: RAX = host address in RDX + RAX, else to the stub. */
static struct site *look_up(struct translation *t, const struct insn *i, enum access access,
                            unsigned size)
{
    struct emitter *e = t->e;
    struct site *s = jit_site(t, i);
    if (!s)
        return NULL;
    _Static_assert(sizeof(struct tlb_entry) == 32, "entries are indexed by shifting");
    get(t, RAX, i->rs1);
    if (i->imm)
        emit_alu_imm(e, ALU_ADD, RAX, i->imm);
    s->retry = e->at;
    s->access = (uint8_t)access;
    s->size = (uint8_t)size;
    emit_mov(e, RCX, RAX); /* as tlb_slot() */
    emit_shift_imm(e, SHIFT_RIGHT, RCX, 8);
    emit_rr(e, 0x33, RCX, RAX);
    emit_shift_imm(e, SHIFT_RIGHT, RCX, PAGE_SHIFT - 5);
    emit_alu_imm(e, ALU_AND, RCX, (TLB_ENTRIES - 1) << 5);
    emit_mov(e, RDX, RAX);
    emit_alu_imm(e, ALU_AND, RDX, (int32_t)(~PAGE_MASK | (size - 1)));
    emit_alu_load(e, ALU_OR, RDX, RBP, (int32_t)offsetof(struct machine, context[ACCESS_READ]));
    emit_rmx(e, false, 0x3b, RDX, RBP, RCX,
             tlb_field(offsetof(struct tlb_entry, tag) + 4 * access), false);
    s->fault = emit_jcc(e, CC_NOT_EQUAL);
    emit_rmx(e, true, 0x8b, RDX, RBP, RCX, tlb_field(offsetof(struct tlb_entry, host)), false);
    emit_alu_imm(e, ALU_AND, RAX, PAGE_MASK);
    return s;
}

static void load(struct translation *t, const struct insn *i, unsigned opcode, unsigned size)
{
    unsigned d = out(t, i->rd);
    if (t->block->fast) {
        access_window(t, i, opcode, false, d);
    } else {
        if (!look_up(t, i, ACCESS_READ, size))
            return;
        emit_rmx(t->e, false, opcode, d, RDX, RAX, 0, false);
    }
    if (i->rd)
        put(t, i->rd, d);
    t->jit->site[t->jit->sites - 1].resume = t->e->at;
}

static void store(struct translation *t, const struct insn *i, unsigned opcode, bool half,
                  unsigned size)
{
    if (t->block->fast) {
        unsigned value = in(t, i->rs2, RAX);
        access_window(t, i, opcode, half, value);
    } else {
        if (!look_up(t, i, ACCESS_WRITE, size))
            return;
        unsigned value = in(t, i->rs2, RCX);
        if (half)
            emit8(t->e, 0x66);
        emit_rmx(t->e, false, opcode, value, RDX, RAX, 0, opcode == STORE_BYTE && value >= RSP);
    }
    t->jit->site[t->jit->sites - 1].resume = t->e->at;
}

#define LOAD(name, opcode, size)                                                                 \
    static void gen_##name(struct translation *t, const struct insn *i)                          \
    {                                                                                            \
        load(t, i, opcode, size);                                                                \
    }
LOAD(lb, LOAD_BYTE, 1)
LOAD(lbu, LOAD_BYTE_U, 1)
LOAD(lh, LOAD_HALF, 2)
LOAD(lhu, LOAD_HALF_U, 2)
LOAD(lw, LOAD_WORD, 4)

static void gen_sb(struct translation *t, const struct insn *i)
{
    store(t, i, STORE_BYTE, false, 1);
}
static void gen_sh(struct translation *t, const struct insn *i)
{
    store(t, i, STORE_WORD, true, 2);
}
static void gen_sw(struct translation *t, const struct insn *i)
{
    store(t, i, STORE_WORD, false, 4);
}

/* ---- CSRs --------------------------------------------------------------------------------- */

/* Only those that are a word, and sstatus; the block's mode, which is known, allows them. */
static bool csr_is_simple(const struct translation *t, const struct insn *i, bool writes)
{
    const struct machine *m = t->jit->machine;
    unsigned number = (unsigned)i->imm;
    bool swaps = i->op == OP_csrrw || i->op == OP_csrrwi;
    return (swaps || !writes) && csr_check(&m->hart, number, writes) == CSR_OK &&
           csr_privilege(number) != MODE_U && !events_wanted(&m->events, EVENT_CSR);
}

static void get_csr_operand(struct translation *t, const struct insn *i)
{
    if (isa_rows[i->op].format == FORMAT_CSRI)
        emit_mov_imm(t->e, RAX, i->rs1);
    else
        get(t, RAX, i->rs1);
}

static void plain_csr(struct translation *t, const struct insn *i, int32_t field, bool writes)
{
    uint32_t mask = isa_csr((unsigned)i->imm)->mask;
    emit_rm(t->e, 0x8b, RCX, RBP, field);
    if (writes) {
        get_csr_operand(t, i);
        emit_alu_imm(t->e, ALU_AND, RAX, (int32_t)mask);
        emit_rm(t->e, 0x89, RAX, RBP, field);
    }
    if (i->rd)
        put(t, i->rd, RCX);
}

/* A trap handler puts back the sstatus that it found: most often nothing changes that anything
 * depends on before the next sret. If it does, the interpreter sees to it. */
static void write_sstatus(struct translation *t, const struct insn *i)
{
    const uint32_t matters = MSTATUS_SIE | MSTATUS_SUM | MSTATUS_MXR;
    int32_t mstatus = (int32_t)offsetof(struct machine, hart.mstatus);
    struct site *s = jit_site(t, i);
    if (!s)
        return;
    get_csr_operand(t, i);
    emit_alu_load(t->e, ALU_XOR, RAX, RBP, mstatus);
    emit_rr(t->e, 0xf7, 0, RAX); /* test eax, imm32 */
    emit32(t->e, matters);
    s->fault = emit_jcc(t->e, CC_NOT_EQUAL);
    emit_alu_imm(t->e, ALU_AND, RAX, (int32_t)SSTATUS_MASK);
    emit_rm(t->e, 0x31, RAX, RBP, mstatus); /* xor [mstatus], eax */
    s->resume = t->e->at;
}

static void read_sstatus(struct translation *t, const struct insn *i)
{
    emit_rm(t->e, 0x8b, RCX, RBP, (int32_t)offsetof(struct machine, hart.mstatus));
    emit_alu_imm(t->e, ALU_AND, RCX, (int32_t)SSTATUS_MASK);
    put(t, i->rd, RCX);
}

static void gen_csr(struct translation *t, const struct insn *i)
{
    bool writes = i->op == OP_csrrw || i->op == OP_csrrwi || i->rs1;
    int field = csr_plain_word((unsigned)i->imm);
    bool simple = csr_is_simple(t, i, writes);
    if (simple && field >= 0)
        plain_csr(t, i, field, writes);
    else if (simple && i->imm == CSR_SSTATUS && writes && i->rd == 0)
        write_sstatus(t, i);
    else if (simple && i->imm == CSR_SSTATUS && !writes && i->rd)
        read_sstatus(t, i);
    else {
        if (writes || csr_check(&t->jit->machine->hart, (unsigned)i->imm, writes) != CSR_OK)
            jit_leaves(t);
        leave_to_interpreter(t, i);
    }
}

/* ---- the table ---------------------------------------------------------------------------- */

#define ROW(name) [OP_##name] = gen_##name
static const gen_fn generators[OP_COUNT + 1] = {
    ROW(lui), ROW(auipc), ROW(jal), ROW(jalr),
    ROW(beq), ROW(bne), ROW(blt), ROW(bge), ROW(bltu), ROW(bgeu),
    ROW(lb), ROW(lh), ROW(lw), ROW(lbu), ROW(lhu), ROW(sb), ROW(sh), ROW(sw),
    ROW(addi), ROW(slti), ROW(sltiu), ROW(xori), ROW(ori), ROW(andi),
    ROW(slli), ROW(srli), ROW(srai),
    ROW(add), ROW(sub), ROW(sll), ROW(slt), ROW(sltu), ROW(xor), ROW(srl), ROW(sra),
    ROW(or), ROW(and), ROW(fence),
    [OP_csrrw] = gen_csr, [OP_csrrs] = gen_csr, [OP_csrrc] = gen_csr,
    [OP_csrrwi] = gen_csr, [OP_csrrsi] = gen_csr, [OP_csrrci] = gen_csr,
    ROW(mul), ROW(mulh), ROW(mulhsu), ROW(mulhu), ROW(div), ROW(divu), ROW(rem), ROW(remu),
};

void jit_generate(struct translation *t, const struct insn *i)
{
    gen_fn gen = generators[i->op];
    if (gen)
        gen(t, i);
    else
        leave_to_interpreter(t, i);
    if (jit_ends_block(i->op))
        jit_leaves(t);
}

/* After these the interpreter never goes on with the next instruction of the block. */
bool jit_ends_block(unsigned op)
{
    switch (op) {
    case OP_ecall:
    case OP_ebreak:
    case OP_sret:
    case OP_mret:
    case OP_wfi:
    case OP_sfence_vma:
    case OP_ILLEGAL: return true;
    default: return false;
    }
}
