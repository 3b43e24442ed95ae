/*
 * The code around the blocks: how C enters translated code, how that comes back, and how it has the
 * interpreter execute one instruction and goes on.
 *
 * Entering changes stacks: translated code has RSP for its return stack. What C expects of RSP is
 * kept in the translator's struct.
 */
#include "cpu/jit/jit.h"

/* What C functions must leave as it was. */
static const uint8_t saved[] = {RBX, RBP, R12, R13, R14, R15};

static void move_registers(struct jit *jit, unsigned opcode)
{
    for (unsigned g = 1; g < 32; g++)
        if (jit->host_of[g] != NO_REGISTER)
            emit_rm(&jit->emit, opcode, jit->host_of[g], RBP, (int32_t)(4 * g));
}

static void load_registers(struct jit *jit) { move_registers(jit, 0x8b); }
static void store_registers(struct jit *jit) { move_registers(jit, 0x89); }

/* mov reg, [field of the translator], by way of `scratch`; and the reverse. */
static void load_field(struct jit *jit, unsigned reg, unsigned scratch, const uint64_t *field)
{
    emit_mov_imm64(&jit->emit, scratch, (uintptr_t)field);
    emit_rm64(&jit->emit, 0x8b, reg, scratch, 0);
}

static void store_field(struct jit *jit, unsigned reg, unsigned scratch, uint64_t *field)
{
    emit_mov_imm64(&jit->emit, scratch, (uintptr_t)field);
    emit_rm64(&jit->emit, 0x89, reg, scratch, 0);
}

static void push(struct emitter *e, unsigned reg)
{
    emit_rex(e, false, 0, 0, reg, false);
    emit8(e, 0x50 | (reg & 7));
}

static void pop(struct emitter *e, unsigned reg)
{
    emit_rex(e, false, 0, 0, reg, false);
    emit8(e, 0x58 | (reg & 7));
}

/* enter(machine RDI, code RSI, budget EDX, return stack RCX) */
static void make_enter(struct jit *jit)
{
    struct emitter *e = &jit->emit;
    jit->enter = e->at;
    for (unsigned i = 0; i < sizeof saved; i++)
        push(e, saved[i]);
    emit_rr64(e, 0x83, ALU_SUB, RSP); /* calls into C want it aligned to 16 */
    emit8(e, 8);
    store_field(jit, RSP, RAX, &jit->host_sp);
    emit_rr64(e, 0x8b, RSP, RCX);
    emit_rr64(e, 0x8b, RBP, RDI);
    emit_mov(e, R15, RDX);
    emit_rr64(e, 0x8b, RAX, RSI);
    load_registers(jit);
    emit_rr(e, 0xff, 4, RAX); /* jmp rax */
}

/* EAX = value, ECX = kind. Returns a struct jit_exit in RAX and RDX. The result is where
 * to come in when the registers are in memory already. */
static uint32_t make_leave(struct jit *jit)
{
    struct emitter *e = &jit->emit;
    jit->leave = e->at;
    store_registers(jit);
    uint32_t stored = e->at;
    emit_rr64(e, 0xc1, 4, RCX); /* shl rcx, 32 */
    emit8(e, 32);
    emit_rr64(e, 0x0b, RAX, RCX); /* or */
    load_field(jit, RSP, RCX, &jit->host_sp);
    emit_mov(e, RDX, R15);
    emit_rr64(e, 0x83, ALU_ADD, RSP);
    emit8(e, 8);
    for (unsigned i = sizeof saved; i-- > 0;)
        pop(e, saved[i]);
    emit8(e, 0xc3);
    return stored;
}

/*
 * The interpreter executes one instruction for translated code. Returns where to go on, or 0: leave.
 *
 * It must leave when the next instruction is not the next of the block, or when what the block was
 * translated for may no longer hold: an interrupt may be deliverable, the translation of addresses
 * has changed, code was overwritten.
 */
static uint64_t interpret(struct jit *jit, uint32_t number, uint32_t remaining)
{
    struct site *s = &jit->site[number];
    struct machine *m = jit->machine;
    struct hart *h = &m->hart;
    uint32_t changes = m->tlb.changes;
    uint64_t trapped = h->trapped;
    h->executed = jit->end - remaining - s->undo;
    h->pc = s->pc;
    const struct insn *i = interp_decode(m, s->word);
    uint32_t va = h->x[i->rs1] + (uint32_t)i->imm;
    bool stores = isa_rows[i->op].format == FORMAT_S;
    interp_execute(m, s->word);
    if (s->length && h->trapped != trapped)
        jit_window_trapped(jit, s, va);
    else if (s->length && m->tlb.changes == changes)
        jit_window_missed(jit, s, va, stores ? ACCESS_WRITE : ACCESS_READ);
    if (h->attention || h->pc != s->pc + 4 || m->tlb.changes != changes || jit->stale)
        return 0;
    return (uintptr_t)jit->run + s->resume;
}

/* The TLB has missed at va. Returns where to go on: to look again, or to the interpreter. A site that
 * cannot be helped this way a few times asks the interpreter at once from then on. */
static uint64_t fill(struct jit *jit, uint32_t number, uint32_t va, uint32_t remaining)
{
    enum { REFUSALS = 3 };
    struct site *s = &jit->site[number];
    struct machine *m = jit->machine;
    m->hart.executed = jit->end - remaining - s->undo;
    m->hart.pc = s->pc;
    enum mmu_fill found = va % s->size ? MMU_NOT_CACHED : mmu_fill(m, va, s->size, s->access);
    if (found == MMU_FILLED)
        return (uintptr_t)jit->run + s->retry;
    if (found == MMU_NOT_CACHED && ++s->faults > REFUSALS)
        emit_patch(jit->write, s->fault, s->stub);
    return (uintptr_t)jit->run + s->stub;
}

/* EDX = number of the site, EAX = address. Keeps only what a C function may change. */
static void make_fill(struct jit *jit)
{
    static const uint8_t lost_in_calls[] = {RSI, RDI, R8, R9, R10, R11};
    struct emitter *e = &jit->emit;
    jit->fill = e->at;
    for (unsigned i = 0; i < sizeof lost_in_calls; i++)
        push(e, lost_in_calls[i]);
    push(e, RAX);
    store_field(jit, RSP, RCX, &jit->ras);
    load_field(jit, RSP, RCX, &jit->host_sp);
    emit_mov(e, RSI, RDX);
    emit_mov(e, RDX, RAX);
    emit_mov(e, RCX, R15);
    emit_mov_imm64(e, RDI, (uintptr_t)jit);
    emit_mov_imm64(e, RAX, (uintptr_t)fill);
    emit_rr(e, 0xff, 2, RAX); /* call rax */
    emit_rr64(e, 0x8b, RCX, RAX);
    load_field(jit, RSP, RDX, &jit->ras);
    pop(e, RAX);
    for (unsigned i = sizeof lost_in_calls; i-- > 0;)
        pop(e, lost_in_calls[i]);
    emit_rr(e, 0xff, 4, RCX); /* jmp rcx */
}

/* EDX = number of the site. */
static void make_slow(struct jit *jit, uint32_t leave_stored)
{
    struct emitter *e = &jit->emit;
    jit->slow = e->at;
    store_registers(jit);
    store_field(jit, RSP, RAX, &jit->ras);
    load_field(jit, RSP, RAX, &jit->host_sp);
    emit_mov(e, RSI, RDX);
    emit_mov(e, RDX, R15);
    emit_mov_imm64(e, RDI, (uintptr_t)jit);
    emit_mov_imm64(e, RAX, (uintptr_t)interpret);
    emit_rr(e, 0xff, 2, RAX); /* call rax */
    emit_rr64(e, 0x85, RAX, RAX);
    uint32_t done = emit_jcc(e, CC_EQUAL);
    load_field(jit, RSP, RCX, &jit->ras);
    load_registers(jit);
    emit_rr(e, 0xff, 4, RAX); /* jmp rax */
    emit_target(e, done, e->at);
    emit_mov_imm(e, RCX, EXIT_DONE);
    emit_jmp_to(e, leave_stored);
}

/* A return that lands where the guest does not want to go, or that has no call: EAX is where it
 * does. The last entry of the return stack leads here, too, and must stay. */
static void make_lost(struct jit *jit, uint32_t *bottom)
{
    struct emitter *e = &jit->emit;
    *bottom = e->at;
    emit_rr64(e, 0x83, ALU_SUB, RSP);
    emit8(e, 8);
    jit->lost = e->at;
    emit_mov_imm(e, RCX, EXIT_INDIRECT);
    emit_jmp_to(e, jit->leave);
}

uint32_t jit_probe(struct emitter *e, const struct jit *jit, const struct block *b)
{
    _Static_assert(sizeof(struct jump) == 16, "4 bytes an instruction, times 4");
    emit_mov(e, RCX, RAX);
    emit_alu_imm(e, ALU_AND, RCX, (JUMP_CACHE - 1) * 4);
    emit_compare_entry(e, RCX, (int32_t)(uintptr_t)jit_jumps(jit, b));
    return emit_jcc(e, CC_NOT_EQUAL);
}

void jit_make_glue(struct jit *jit)
{
    make_enter(jit);
    uint32_t stored = make_leave(jit);
    make_slow(jit, stored);
    make_fill(jit);
    make_lost(jit, &jit->bottom);
    jit->glue_end = jit->emit.at;
}

struct jit_exit jit_enter(struct jit *jit, uint32_t code, uint32_t budget)
{
    typedef struct jit_exit (*enter_fn)(struct machine *, const uint8_t *, uint32_t, uint64_t *);
    uint64_t *top = (uint64_t *)(jit->stack + RETURN_STACK) - 4;
    top[0] = (uintptr_t)jit->run + jit->bottom;
    enter_fn enter = (enter_fn)(uintptr_t)(jit->run + jit->enter);
    jit->stale = false;
    return enter(jit->machine, jit->run + code, budget, top);
}
