/*
 * The threaded engine's blocks: making them from instructions, finding and forgetting them.
 *
 * Making one does what a compiler would at no cost: writes to x0 and fences vanish, values that are
 * known from lui, auipc and addi become constants, comparisons with x0 get operations of their own,
 * and neighbours become pairs. What is not worth an operation is left to the interpreter.
 */
#include <string.h>

#include "cpu/threaded.h"

/* ---- making ------------------------------------------------------------------------------- */

enum {
    LINK = 0xff,                    /* in maker.id: the second half of the operation before */
    MOST_OPS = 3 * BLOCK_INSNS + 3, /* that a block may need */
};

struct maker {
    struct threaded *t;
    struct block *block;
    uint32_t pc;
    unsigned ops, insns;
    uint32_t fresh;    /* first address of the stretch that is not yet reported as derived */
    uint32_t is_known; /* a bit for each register */
    uint32_t known[32];
    bool done;
    uint8_t id[MOST_OPS];         /* enum threaded_op, or LINK */
    uint16_t offset[BLOCK_INSNS];
};

static union op *add(struct maker *k, unsigned id, const struct insn *i)
{
    union op *o = &k->block->op[k->ops];
    *o = (union op){.run = k->t->code[id],
                    .rd = i->rd,
                    .rs1 = i->rs1,
                    .rs2 = i->rs2,
                    .left = (uint8_t)k->insns, /* those before it; see count_backwards() */
                    .imm = i->imm};
    k->id[k->ops++] = (uint8_t)id;
    return o;
}

static void add_link(struct maker *k, uint32_t pc)
{
    k->block->op[k->ops] = (union op){.link = {k->t->nowhere, pc, k->pc + 4}};
    k->id[k->ops++] = LINK;
}

static void forget(struct maker *k, unsigned reg) { k->is_known &= ~(1u << reg); }

static bool knows(const struct maker *k, unsigned reg)
{
    return reg == 0 || k->is_known >> reg & 1;
}

static uint32_t value_of(const struct maker *k, unsigned reg) { return reg ? k->known[reg] : 0; }

/* rd becomes a constant. */
static void add_constant(struct maker *k, unsigned rd, uint32_t value)
{
    if (rd == 0)
        return;
    union op *last = k->ops ? &k->block->op[k->ops - 1] : NULL;
    if (last && k->id[k->ops - 1] == THREADED_li && last->rd == rd)
        last->imm = (int32_t)value;
    else
        add(k, THREADED_li, &(struct insn){.rd = (uint8_t)rd, .imm = (int32_t)value});
    k->is_known |= 1u << rd;
    k->known[rd] = value;
}

/* The interpreter executes it, and may change any register. */
static void add_interpreted(struct maker *k, const struct insn *i)
{
    add(k, THREADED_interpret, i);
    k->is_known = 0;
}

static bool commutes(unsigned id)
{
    return id == THREADED_add || id == THREADED_xor || id == THREADED_or || id == THREADED_and ||
           id == THREADED_mul || id == THREADED_beq || id == THREADED_bne;
}

/* The result of the operation before, if it is needed, is better rs1: then they may be chained. */
static void order_sources(const struct maker *k, unsigned id, struct insn *i)
{
    if (!k->ops || !commutes(id) || k->id[k->ops - 1] == LINK)
        return;
    if (k->block->op[k->ops - 1].rd == i->rs2 && i->rs1 != i->rs2) {
        uint8_t rs1 = i->rs1;
        i->rs1 = i->rs2;
        i->rs2 = rs1;
    }
}

static void make_compute(struct maker *k, unsigned id, struct insn *i)
{
    if (i->rd == 0)
        return;
    if (id == THREADED_addi && knows(k, i->rs1)) {
        add_constant(k, i->rd, value_of(k, i->rs1) + (uint32_t)i->imm);
        return;
    }
    if (id == THREADED_add && i->rs1 == 0) {
        i->rs1 = i->rs2;
        i->rs2 = 0;
    }
    if ((id == THREADED_addi && i->imm == 0) || (id == THREADED_add && i->rs2 == 0))
        id = THREADED_mv;
    order_sources(k, id, i);
    add(k, id, i);
    forget(k, i->rd);
}

/* A load whose value nobody wants may still trap or ask a device. */
static void make_access(struct maker *k, unsigned id, struct insn *i)
{
    bool load = id <= THREADED_lhu;
    if (load && i->rd == 0) {
        add_interpreted(k, i);
        return;
    }
    if (knows(k, i->rs1)) {
        i->imm = (int32_t)(value_of(k, i->rs1) + (uint32_t)i->imm);
        i->rs1 = 0;
    }
    add(k, id, i);
    if (load)
        forget(k, i->rd);
}

static unsigned compare_with_zero(unsigned id, struct insn *i)
{
    static const uint8_t right[] = {THREADED_beqz, THREADED_bnez, THREADED_bltz, THREADED_bgez};
    static const uint8_t left[] = {THREADED_beqz, THREADED_bnez, THREADED_bgtz, THREADED_blez};
    if (id > THREADED_bge || (i->rs1 && i->rs2))
        return id;
    if (i->rs2 == 0)
        return right[id - THREADED_beq];
    i->rs1 = i->rs2;
    i->rs2 = 0;
    return left[id - THREADED_beq];
}

static void make_branch(struct maker *k, unsigned id, struct insn *i)
{
    uint32_t target = k->pc + (uint32_t)i->imm;
    if (target & 3) {
        add_interpreted(k, i);
        return;
    }
    id = compare_with_zero(id, i);
    order_sources(k, id, i);
    i->rd = 0;
    add(k, id, i);
    add_link(k, target);
}

static void derive(struct maker *k, uint32_t end)
{
    struct machine *m = k->t->machine;
    if (end <= k->fresh)
        return;
    if (!ram_is_derived(&m->ram, k->block->host))
        threaded_data_protect(k->t, k->block->host);
    machine_derive(m, k->block->host + (k->fresh & PAGE_MASK), end - k->fresh);
}

/* Ends the block with a jump, which is no instruction of its own. */
static void leave_for(struct maker *k, uint32_t pc)
{
    add(k, THREADED_jump, &(struct insn){0});
    add_link(k, pc);
    k->done = true;
}

/* Goes on at the target, if the block can and has not been there. */
static void jump_to(struct maker *k, uint32_t target)
{
    bool known = (target ^ k->block->pc) >= PAGE_SIZE;
    for (unsigned n = 0; n < k->insns; n++)
        known |= k->offset[n] == (target & PAGE_MASK);
    derive(k, k->pc + 4);
    k->fresh = target;
    if (known) {
        leave_for(k, target);
        k->fresh = k->pc + 4;
    } else {
        k->pc = target - 4; /* make_one() adds 4 */
    }
}

static void make_jal(struct maker *k, struct insn *i)
{
    uint32_t target = k->pc + (uint32_t)i->imm;
    if (target & 3) {
        add_interpreted(k, i);
        return;
    }
    add_constant(k, i->rd, k->pc + 4);
    jump_to(k, target);
}

static void make_jalr(struct maker *k, struct insn *i)
{
    uint32_t target = (value_of(k, i->rs1) + (uint32_t)i->imm) & ~1u;
    if (knows(k, i->rs1) && !(target & 2)) {
        add_constant(k, i->rd, k->pc + 4);
        jump_to(k, target);
        return;
    }
    add(k, i->rd ? THREADED_jalr : THREADED_jr, i);
    add_link(k, 0);
    k->done = true;
}

/* After these the block is over, whatever they do. */
static bool ends_block(unsigned op)
{
    switch (op) {
    case OP_ecall: case OP_ebreak: case OP_sret: case OP_mret: case OP_wfi: case OP_sfence_vma:
    case OP_ILLEGAL:
        return true;
    default:
        return false;
    }
}

typedef void (*make_fn)(struct maker *k, unsigned id, struct insn *i);

/* By enum insn_op; what is not here is interpreted. */
static const struct making {
    make_fn make;
    uint8_t id;
} makings[OP_COUNT + 1] = {
#define MAKE(function, name) [OP_##name] = {make_##function, THREADED_##name}
    MAKE(compute, addi), MAKE(compute, slti), MAKE(compute, sltiu), MAKE(compute, xori),
    MAKE(compute, ori), MAKE(compute, andi), MAKE(compute, slli), MAKE(compute, srli),
    MAKE(compute, srai), MAKE(compute, add), MAKE(compute, sub), MAKE(compute, sll),
    MAKE(compute, slt), MAKE(compute, sltu), MAKE(compute, xor), MAKE(compute, srl),
    MAKE(compute, sra), MAKE(compute, or), MAKE(compute, and), MAKE(compute, mul),
    MAKE(compute, mulh), MAKE(compute, mulhsu), MAKE(compute, mulhu), MAKE(compute, div),
    MAKE(compute, divu), MAKE(compute, rem), MAKE(compute, remu),
    MAKE(access, lb), MAKE(access, lh), MAKE(access, lw), MAKE(access, lbu), MAKE(access, lhu),
    MAKE(access, sb), MAKE(access, sh), MAKE(access, sw),
    MAKE(branch, beq), MAKE(branch, bne), MAKE(branch, blt), MAKE(branch, bge),
    MAKE(branch, bltu), MAKE(branch, bgeu),
#undef MAKE
};

static void make_one(struct maker *k)
{
    uint32_t word;
    memcpy(&word, k->block->host + (k->pc & PAGE_MASK), sizeof word);
    struct insn i = *interp_decode(k->t->machine, word);
    const struct making *making = &makings[i.op];
    k->offset[k->insns] = (uint16_t)(k->pc & PAGE_MASK);
    unsigned before = k->insns; /* operations of this instruction have this number */
    if (making->make)
        making->make(k, making->id, &i);
    else if (i.op == OP_lui || i.op == OP_auipc)
        add_constant(k, i.rd, (uint32_t)i.imm + (i.op == OP_auipc ? k->pc : 0));
    else if (i.op == OP_jal)
        make_jal(k, &i);
    else if (i.op == OP_jalr)
        make_jalr(k, &i);
    else if (i.op != OP_fence && i.op != OP_fence_i)
        add_interpreted(k, &i);
    k->insns = before + 1;
    k->pc += 4;
    bool end = k->insns == BLOCK_INSNS || (k->pc & PAGE_MASK) == 0 || ends_block(i.op);
    if (!k->done && end)
        leave_for(k, k->pc);
}

/* Now that the number of instructions is known: what is left from each operation on. */
static void count_backwards(struct maker *k)
{
    for (unsigned n = 0; n < k->ops; n++) {
        union op *o = &k->block->op[n];
        if (k->id[n] == LINK)
            continue;
        o->left = (uint8_t)(k->insns - o->left);
        if (k->id[n] >= THREADED_beq && k->id[n] <= THREADED_bgtz)
            o->imm = o->left - 1;
    }
}

/* The pair that two operations make: its number + 1, or 0. */
static unsigned pair_of(const struct maker *k, unsigned n)
{
    bool chained = k->block->op[n].rd && k->block->op[n].rd == k->block->op[n + 1].rs1;
    const uint16_t(*pair)[2] = &k->t->pair[k->id[n]][k->id[n + 1]];
    return chained && (*pair)[1] ? (*pair)[1] : (*pair)[0];
}

static void make_pairs(struct maker *k)
{
    for (unsigned n = 0; n + 1 < k->ops; n++) {
        if (k->id[n] == LINK || k->id[n + 1] == LINK)
            continue;
        unsigned pair = pair_of(k, n);
        if (!pair)
            continue;
        k->block->op[n].run = k->t->code[THREADED_OPS + pair - 1];
        n++;
    }
}

static uint32_t hash(uint32_t pc, const uint8_t *host)
{
    uint32_t h = (pc >> 2 ^ (uint32_t)((uintptr_t)host >> 2)) * 0x9e3779b1u;
    return h >> 20;
}

static void enter_in_tables(struct threaded *t, struct block *b)
{
    struct block **head = &t->hash[hash(b->pc, b->host)];
    b->next_in_hash = *head;
    *head = b;
    head = &t->in_page[threaded_page(t, b->host)];
    b->next_in_page = *head;
    *head = b;
}

struct block *threaded_make(struct threaded *t, uint32_t pc, const uint8_t *host)
{
    enum { HEADER = (sizeof(struct block) + sizeof(union op) - 1) / sizeof(union op),
           OFFSETS = (BLOCK_INSNS * sizeof(uint16_t) + sizeof(union op) - 1) / sizeof(union op) };
    _Static_assert(sizeof(union op) == 16, "operations are addressed by shifting");
    if (t->used + HEADER + MOST_OPS + OFFSETS > ARENA_OPS)
        return NULL;
    struct block *b = (struct block *)&t->arena[t->used];
    *b = (struct block){.pc = pc, .host = host};
    struct maker k = {.t = t, .block = b, .pc = pc, .fresh = pc};
    while (!k.done)
        make_one(&k);
    derive(&k, k.pc);
    count_backwards(&k);
    make_pairs(&k);
    b->insns = b->count = k.insns;
    b->offset = (uint16_t *)&b->op[k.ops];
    memcpy(b->offset, k.offset, k.insns * sizeof *b->offset);
    t->used += HEADER + k.ops + OFFSETS;
    enter_in_tables(t, b);
    return b;
}

/* ---- finding and forgetting --------------------------------------------------------------- */

struct block *threaded_find(struct threaded *t, uint32_t pc, const uint8_t *host)
{
    struct block *b = t->hash[hash(pc, host)];
    while (b && (b->pc != pc || b->host != host))
        b = b->next_in_hash;
    return b;
}

static void unhash(struct threaded *t, const struct block *b)
{
    struct block **at = &t->hash[hash(b->pc, b->host)];
    while (*at && *at != b)
        at = &(*at)->next_in_hash;
    if (*at)
        *at = b->next_in_hash;
}

void threaded_page_changed(void *context, uint32_t page)
{
    struct threaded *t = context;
    for (struct block *b = t->in_page[page]; b; b = b->next_in_page) {
        unhash(t, b);
        b->insns = INT64_MAX;
    }
    t->in_page[page] = NULL;
    if (t->unstable[page] < UNSTABLE_MOST)
        t->unstable[page] += UNSTABLE_STEP;
    t->stale = true;
}

void threaded_flush(struct threaded *t)
{
    struct machine *m = t->machine;
    ram_underive(&m->ram);
    memset(t->hash, 0, sizeof t->hash);
    memset(t->in_page, 0, m->ram.size / RAM_PAGE * sizeof *t->in_page);
    for (unsigned n = 0; n < JUMP_CACHE; n++)
        t->jump[n] = t->nowhere;
    t->used = 0;
    t->flushes++;
    threaded_data_flush(t);
    t->from = NULL;
    t->changes = m->tlb.changes - 1; /* the page must be looked up again */
}
