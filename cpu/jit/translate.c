/*
 * Translation: from guest instructions to a block of host code.
 *
 * A block begins where a jump, a branch, a trap or the interpreter has led, and goes on past
 * branches that are not taken and along unconditional jumps forward in the page: a superblock, with
 * one entry and several exits. It never leaves the page that it begins in, because what the next
 * page is can change without a word of the block changing. Its layout:
 *
 *     gate:   mov  ecx, generation of the fetch context when the block was last looked up
 *             cmp  ecx, [what it is now]
 *             jne  again
 *     entry:  sub  r15d, instructions of the whole block
 *             js   no_budget
 *             ... the instructions ...
 *             side exits: add r15d, instructions not executed; jmp to another block
 *             no_budget: add r15d back; leave
 *             again:  leave, to look the block up
 *             calls of the interpreter, exits of links that lead nowhere yet
 *
 * Counting before executing costs one instruction a block; whoever leaves early puts back what was
 * not executed. So budgets are exact, and an interrupt comes before the instruction it must.
 */
#include "cpu/jit/jit.h"

enum { BUDGET_COUNT = 3 }; /* where in the instruction the operand is */

/* ---- what code generators ask for --------------------------------------------------------- */

struct site *jit_site(struct translation *t, const struct insn *i)
{
    struct jit *jit = t->jit;
    if (jit->sites == SITES) {
        t->e->full = true;
        return NULL;
    }
    struct site *s = &jit->site[jit->sites++];
    *s = (struct site){.pc = t->pc, .word = i->word, .undo = (uint16_t)t->index};
    return s;
}

void jit_leaves(struct translation *t)
{
    if (!t->block->brief && t->index < BRIEF)
        t->block->brief = (uint8_t)(t->index + 1);
}

void jit_call_interpreter(struct translation *t, struct site *s)
{
    s->stub = t->e->at;
    emit8(t->e, 0xb8 | RDX);
    emit32(t->e, (uint32_t)(s - t->jit->site));
    emit_jmp_to(t->e, t->jit->slow);
}

void jit_link(struct translation *t, unsigned opcode, uint32_t pc)
{
    struct jit *jit = t->jit;
    if (jit->links == LINKS) {
        t->e->full = true;
        return;
    }
    emit8(t->e, opcode);
    emit32(t->e, 0);
    jit->link[jit->links++] =
        (struct link){t->e->at - 4, pc, (uint32_t)(t->block - jit->block)};
}

/* ---- the parts of a block ----------------------------------------------------------------- */

static void leave(struct translation *t, enum exit_kind kind, uint32_t value)
{
    emit_mov_imm(t->e, RAX, value);
    emit_mov_imm(t->e, RCX, kind);
    emit_jmp_to(t->e, t->jit->leave);
}

/* Returns the jumps to `again` and `no_budget`. */
static void open_block(struct translation *t, uint32_t *to_again, uint32_t *to_no_budget)
{
    struct emitter *e = t->e;
    struct block *b = t->block;
    size_t generation = offsetof(struct machine, tlb.generation) + 4u * b->context;
    b->gate = e->at;
    emit_load_absolute(e, RCX, (int32_t)(uintptr_t)&b->generation);
    emit_alu_load(e, ALU_CMP, RCX, RBP, (int32_t)generation);
    *to_again = emit_jcc(e, CC_NOT_EQUAL);
    b->entry = e->at;
    emit_alu_imm(e, ALU_SUB, R15, 1);
    *to_no_budget = emit_jcc(e, CC_SIGN);
}

static void count_uses(struct block *b, const struct insn *i)
{
    b->uses[i->rd]++;
    b->uses[i->rs1]++;
    b->uses[i->rs2]++;
}

/* A breakpoint is in no block: run.c looks for them between two. */
static bool is_point(const struct translation *t, const uint8_t *host)
{
    const struct machine *m = t->jit->machine;
    uint32_t pa = m->ram.base + (uint32_t)(host - m->ram.mapping) + (t->pc & PAGE_MASK);
    return m->inspected && machine_has_point(m, t->pc, pa);
}

/* The instructions, until the block has to end. */
static void body(struct translation *t, const uint8_t *host)
{
    uint32_t page = t->pc & ~PAGE_MASK;
    do {
        struct insn i;
        uint32_t word;
        const uint8_t *at = host + (t->pc & PAGE_MASK);
        memcpy(&word, at, sizeof word);
        i = isa_decode(word);
        machine_derive(t->jit->machine, at, sizeof word);
        count_uses(t->block, &i);
        t->next = t->pc + 4;
        jit_generate(t, &i);
        t->index++;
        t->pc = t->next;
        if (jit_ends_block(i.op))
            break;
    } while (!t->done && (t->pc & ~PAGE_MASK) == page && t->index < BLOCK_INSNS && !t->e->full &&
             !is_point(t, host));
    if (!t->done)
        jit_link(t, LINK_JUMP, t->pc);
}

/* Branches taken: put back what they skip. */
static void side_exits(struct translation *t)
{
    for (unsigned n = 0; n < t->sides; n++) {
        emit_target(t->e, t->side[n].field, t->e->at);
        int skipped = (int)t->block->insns - (int)t->side[n].index;
        if (skipped)
            emit_alu_imm(t->e, ALU_ADD, R15, skipped);
        jit_link(t, LINK_JUMP, t->side[n].pc);
    }
}

static void close_block(struct translation *t, uint32_t to_again, uint32_t to_no_budget)
{
    struct emitter *e = t->e;
    struct block *b = t->block;
    emit_target(e, to_no_budget, e->at);
    emit_alu_imm(e, ALU_ADD, R15, b->insns);
    leave(t, EXIT_NO_BUDGET, b->pc);
    emit_target(e, to_again, e->at);
    b->again = e->at;
    leave(t, EXIT_TO_PC, b->pc);
    if (!e->full)
        e->bytes[b->entry + BUDGET_COUNT] = (uint8_t)b->insns;
}

static void site_stubs(struct translation *t)
{
    for (uint32_t n = t->first_site; n < t->jit->sites; n++) {
        struct site *s = &t->jit->site[n];
        s->undo = (uint16_t)(t->block->insns - s->undo);
        if (s->stub)
            continue;
        jit_call_interpreter(t, s);
        if (s->length)
            continue;
        /* The jump of the TLB's miss leads to where the TLB is filled, if it can be. */
        emit_target(t->e, s->fault, s->retry ? t->e->at : s->stub);
        if (s->retry) {
            emit8(t->e, 0xb8 | RDX);
            emit32(t->e, n);
            emit_jmp_to(t->e, t->jit->fill);
        }
    }
}

static void link_stubs(struct translation *t)
{
    for (uint32_t n = t->first_link; n < t->jit->links; n++) {
        emit_target(t->e, t->jit->link[n].field, t->e->at);
        leave(t, EXIT_TO_LINK, n);
    }
}

struct block *jit_translate(struct jit *jit, const uint8_t *host, bool fast)
{
    struct machine *m = jit->machine;
    struct translation t = {
        .jit = jit,
        .e = &jit->emit,
        .block = &jit->block[jit->blocks],
        .pc = m->hart.pc,
        .is_known = 1, /* x0 is 0 */
        .first_site = jit->sites,
        .first_link = jit->links,
    };
    uint32_t to_again, to_no_budget;
    if (jit->blocks == BLOCKS || jit->emit.end - jit->emit.at < BLOCK_CODE)
        return NULL;
    *t.block = (struct block){
        .pc = t.pc,
        .page = (uint32_t)((size_t)(host - m->ram.code->base) / PAGE_SIZE),
        .context = (uint8_t)m->fetch_context,
        .mode = m->hart.mode,
        .fast = fast,
    };
    uint32_t watched = m->ram.code->epoch;
    open_block(&t, &to_again, &to_no_budget);
    body(&t, host);
    if (m->ram.code->epoch != watched) /* the page may be mapped for writing */
        jit_window_protect(jit, t.block->page);
    t.block->insns = (uint16_t)t.index;
    side_exits(&t);
    close_block(&t, to_again, to_no_budget);
    site_stubs(&t);
    link_stubs(&t);
    if (jit->emit.full)
        return NULL;
    jit->blocks++;
    jit_add(jit, t.block);
    return t.block;
}
