/*
 * The interpreter: what the instructions do. This file is the specification that every faster
 * engine is checked against, state for state.
 *
 * One function for each row of isa.def, exec_<name>(). It returns true when the instruction has
 * retired, with pc moved on, or false when it trapped, with cause and tval noted by
 * machine_raise() and no other state changed. At the end of the file is the loop: fetch, decode,
 * execute. Sections are those of the unprivileged ISA manual, 20191213.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/machine.h"

typedef bool (*exec_fn)(struct machine *m, const struct insn *i);

/* ---- helpers ------------------------------------------------------------------------------ */

/* Writes rd and goes on to the next instruction. x0 stays zero. */
static inline bool result(struct hart *h, const struct insn *i, uint32_t value)
{
    h->x[i->rd] = value;
    h->x[0] = 0;
    h->pc += 4;
    return true;
}

/* Goes on elsewhere. The jump itself traps if the target is misaligned (section 2.5). */
static inline bool jump(struct machine *m, uint32_t target)
{
    if (target & 3)
        return machine_raise(m, CAUSE_FETCH_MISALIGNED, target);
    m->hart.pc = target;
    return true;
}

static bool illegal(struct machine *m, const struct insn *i)
{
    return machine_raise(m, CAUSE_ILLEGAL, i->word);
}

/* The TLB's fast path: where an aligned access of `size` hits, or NULL. */
static inline uint8_t *hit(struct machine *m, uint32_t va, unsigned size, enum access access)
{
    const struct tlb_entry *e = tlb_slot(&m->tlb, va);
    /* The low bits take part, so that a misaligned address misses. */
    uint32_t page_and_low_bits = va & (~PAGE_MASK | (size - 1));
    if (e->tag[access] != (page_and_low_bits | m->context[access]))
        return NULL;
    return e->host + (va & PAGE_MASK);
}

static inline bool load(struct machine *m, uint32_t va, unsigned size, uint32_t *value)
{
    const uint8_t *at = hit(m, va, size, ACCESS_READ);
    if (!at)
        return mmu_load(m, va, size, value);
    *value = 0;
    memcpy(value, at, size);
    return true;
}

static inline bool store(struct machine *m, uint32_t va, unsigned size, uint32_t value)
{
    uint8_t *at = hit(m, va, size, ACCESS_WRITE);
    if (!at)
        return mmu_store(m, va, size, value);
    memcpy(at, &value, size);
    return true;
}

/* ---- RV32I: computing, section 2.4 -------------------------------------------------------- */

#define COMPUTE(name, expression)                                                                \
    static bool exec_##name(struct machine *m, const struct insn *i)                             \
    {                                                                                            \
        struct hart *h = &m->hart;                                                               \
        uint32_t a = h->x[i->rs1], b = h->x[i->rs2], imm = (uint32_t)i->imm;                     \
        (void)a, (void)b, (void)imm;                                                             \
        return result(h, i, expression);                                                         \
    }
#define SIGNED(value) ((int32_t)(value))

COMPUTE(lui, imm)
COMPUTE(auipc, h->pc + imm)
COMPUTE(addi, a + imm)
COMPUTE(slti, SIGNED(a) < SIGNED(imm))
COMPUTE(sltiu, a < imm)
COMPUTE(xori, a ^ imm)
COMPUTE(ori, a | imm)
COMPUTE(andi, a & imm)
COMPUTE(slli, a << imm)
COMPUTE(srli, a >> imm)
COMPUTE(srai, (uint32_t)(SIGNED(a) >> imm))
COMPUTE(add, a + b)
COMPUTE(sub, a - b)
COMPUTE(sll, a << (b & 31))
COMPUTE(slt, SIGNED(a) < SIGNED(b))
COMPUTE(sltu, a < b)
COMPUTE(xor, a ^ b)
COMPUTE(srl, a >> (b & 31))
COMPUTE(sra, (uint32_t)(SIGNED(a) >> (b & 31)))
COMPUTE(or, a | b)
COMPUTE(and, a & b)

/* ---- M: multiply and divide, chapter 7 ---------------------------------------------------- */

/* Division by zero and overflow do not trap; table 7.1 says what they give. */
static uint32_t divide(uint32_t a, uint32_t b)
{
    if (b == 0)
        return UINT32_MAX;
    if (a == 0x80000000u && b == UINT32_MAX)
        return a;
    return (uint32_t)(SIGNED(a) / SIGNED(b));
}

static uint32_t remainder_of(uint32_t a, uint32_t b)
{
    if (b == 0)
        return a;
    if (a == 0x80000000u && b == UINT32_MAX)
        return 0;
    return (uint32_t)(SIGNED(a) % SIGNED(b));
}

COMPUTE(mul, a *b)
COMPUTE(mulh, (uint32_t)((uint64_t)((int64_t)SIGNED(a) * SIGNED(b)) >> 32))
COMPUTE(mulhsu, (uint32_t)((uint64_t)((int64_t)SIGNED(a) * (int64_t)(uint64_t)b) >> 32))
COMPUTE(mulhu, (uint32_t)((uint64_t)a * b >> 32))
COMPUTE(div, divide(a, b))
COMPUTE(divu, b ? a / b : UINT32_MAX)
COMPUTE(rem, remainder_of(a, b))
COMPUTE(remu, b ? a % b : a)

/* ---- RV32I: jumps and branches, section 2.5 ----------------------------------------------- */

static bool exec_jal(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    uint32_t link = h->pc + 4;
    if (!jump(m, h->pc + (uint32_t)i->imm))
        return false;
    h->x[i->rd] = link;
    h->x[0] = 0;
    return true;
}

static bool exec_jalr(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    uint32_t link = h->pc + 4;
    if (!jump(m, (h->x[i->rs1] + (uint32_t)i->imm) & ~1u))
        return false;
    h->x[i->rd] = link;
    h->x[0] = 0;
    return true;
}

#define BRANCH(name, condition)                                                                  \
    static bool exec_##name(struct machine *m, const struct insn *i)                             \
    {                                                                                            \
        struct hart *h = &m->hart;                                                               \
        uint32_t a = h->x[i->rs1], b = h->x[i->rs2];                                             \
        if (condition)                                                                           \
            return jump(m, h->pc + (uint32_t)i->imm);                                            \
        h->pc += 4;                                                                              \
        return true;                                                                             \
    }

BRANCH(beq, a == b)
BRANCH(bne, a != b)
BRANCH(blt, SIGNED(a) < SIGNED(b))
BRANCH(bge, SIGNED(a) >= SIGNED(b))
BRANCH(bltu, a < b)
BRANCH(bgeu, a >= b)

/* ---- RV32I: loads and stores, section 2.6 ------------------------------------------------- */

#define LOAD(name, size, type)                                                                   \
    static bool exec_##name(struct machine *m, const struct insn *i)                             \
    {                                                                                            \
        uint32_t value;                                                                          \
        if (!load(m, m->hart.x[i->rs1] + (uint32_t)i->imm, size, &value))                        \
            return false;                                                                        \
        return result(&m->hart, i, (uint32_t)(type)value);                                       \
    }

LOAD(lb, 1, int8_t)
LOAD(lh, 2, int16_t)
LOAD(lw, 4, uint32_t)
LOAD(lbu, 1, uint8_t)
LOAD(lhu, 2, uint16_t)

#define STORE(name, size)                                                                        \
    static bool exec_##name(struct machine *m, const struct insn *i)                             \
    {                                                                                            \
        struct hart *h = &m->hart;                                                               \
        if (!store(m, h->x[i->rs1] + (uint32_t)i->imm, size, h->x[i->rs2]))                      \
            return false;                                                                        \
        h->pc += 4;                                                                              \
        return true;                                                                             \
    }

STORE(sb, 1)
STORE(sh, 2)
STORE(sw, 4)

/* ---- A: atomics, chapter 8 ---------------------------------------------------------------- */

/* The reservation is of one word, known by its virtual address. Whatever could make another word of
 * it ends it: a trap, the return from one, another satp. So does each SC. */

static bool exec_lr_w(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    uint32_t va = h->x[i->rs1], pa;
    const uint32_t *word = mmu_atomic(m, va, ACCESS_READ, &pa);
    if (!word)
        return false;
    h->reserved = true;
    h->reservation = va;
    uint32_t value = *word;
    mmu_atomic_done(m, va, pa, ACCESS_READ, value);
    return result(h, i, value);
}

/* The address is checked before the reservation: a failing SC may still fault. */
static bool exec_sc_w(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    uint32_t va = h->x[i->rs1], value = h->x[i->rs2], pa;
    uint32_t *word = mmu_atomic(m, va, ACCESS_WRITE, &pa);
    if (!word)
        return false;
    bool success = h->reserved && h->reservation == va;
    hart_unreserve(h);
    if (success) {
        *word = value;
        mmu_atomic_done(m, va, pa, ACCESS_WRITE, value);
    }
    return result(h, i, !success);
}

#define AMO(name, expression)                                                                    \
    static bool exec_##name(struct machine *m, const struct insn *i)                             \
    {                                                                                            \
        struct hart *h = &m->hart;                                                               \
        uint32_t va = h->x[i->rs1], b = h->x[i->rs2], pa;                                        \
        uint32_t *word = mmu_atomic(m, va, ACCESS_WRITE, &pa);                                   \
        if (!word)                                                                               \
            return false;                                                                        \
        uint32_t a = *word;                                                                      \
        uint32_t value = expression;                                                             \
        *word = value;                                                                           \
        mmu_atomic_done(m, va, pa, ACCESS_WRITE, value);                                         \
        return result(h, i, a);                                                                  \
    }

AMO(amoswap_w, b)
AMO(amoadd_w, a + b)
AMO(amoxor_w, a ^ b)
AMO(amoand_w, a &b)
AMO(amoor_w, a | b)
AMO(amomin_w, SIGNED(a) < SIGNED(b) ? a : b)
AMO(amomax_w, SIGNED(a) > SIGNED(b) ? a : b)
AMO(amominu_w, a < b ? a : b)
AMO(amomaxu_w, a > b ? a : b)

/* ---- fences, section 2.7 and chapter 3: with one hart and no caches nothing is to be ordered - */

static bool exec_fence(struct machine *m, const struct insn *i)
{
    m->hart.pc += 4;
    return true;
}

static bool exec_fence_i(struct machine *m, const struct insn *i)
{
    m->hart.pc += 4;
    return true;
}

/* ---- environment, section 2.8: traps on purpose ------------------------------------------- */

static bool exec_ecall(struct machine *m, const struct insn *i)
{
    return machine_raise(m, CAUSE_ECALL_U + m->hart.mode, 0);
}

static bool exec_ebreak(struct machine *m, const struct insn *i)
{
    return machine_raise(m, CAUSE_BREAKPOINT, m->hart.pc);
}

/* ---- Zicsr, chapter 9: csr.c knows what the CSRs are -------------------------------------- */

static bool exec_csr(struct machine *m, const struct insn *i)
{
    struct csr_access access;
    if (csr_execute(&m->hart, i, &access) != CSR_OK)
        return illegal(m, i);
    if (access.writes)
        machine_publish(m, EVENT_CSR, access.number, access.old,
                        csr_peek(&m->hart, access.number), 0);
    m->hart.pc += 4;
    machine_csr_effects(m, access.effects);
    return true;
}

#define exec_csrrw  exec_csr
#define exec_csrrs  exec_csr
#define exec_csrrc  exec_csr
#define exec_csrrwi exec_csr
#define exec_csrrsi exec_csr
#define exec_csrrci exec_csr

/* ---- privileged, sections 3.3 and 4.2 of volume II, 20211203 ------------------------------ */

static bool exec_sret(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    if (h->mode < MODE_S || (h->mode == MODE_S && h->mstatus & MSTATUS_TSR))
        return illegal(m, i);
    unsigned from = h->mode;
    trap_return_s(h);
    machine_publish(m, EVENT_MODE, from, h->mode, 0, 0);
    machine_mode_changed(m);
    return true;
}

static bool exec_mret(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    if (h->mode < MODE_M)
        return illegal(m, i);
    unsigned from = h->mode;
    trap_return_m(h);
    machine_publish(m, EVENT_MODE, from, h->mode, 0, 0);
    machine_mode_changed(m);
    return true;
}

/* In U mode WFI is always illegal: S mode exists, and it might not end soon (section 3.3.3). */
static bool exec_wfi(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    if (h->mode == MODE_U || (h->mode == MODE_S && h->mstatus & MSTATUS_TW))
        return illegal(m, i);
    h->waiting = true;
    h->attention = true;
    h->pc += 4;
    return true;
}

static bool exec_sfence_vma(struct machine *m, const struct insn *i)
{
    struct hart *h = &m->hart;
    if (h->mode == MODE_U || (h->mode == MODE_S && h->mstatus & MSTATUS_TVM))
        return illegal(m, i);
    uint32_t va = h->x[i->rs1], asid = h->x[i->rs2] & 0x1ff;
    h->pc += 4;
    machine_fence(m, i->rs1 ? &va : NULL, i->rs2 ? &asid : NULL);
    return true;
}

static bool exec_illegal(struct machine *m, const struct insn *i)
{
    return illegal(m, i);
}

/* ---- the loop ----------------------------------------------------------------------------- */

static const exec_fn exec_table[] = {
#define INSN(name, mnemonic, format, match, mask, kind, meaning) [OP_##name] = exec_##name,
#include "cpu/isa.def"
    [OP_ILLEGAL] = exec_illegal,
};

/*
 * Fetching and decoding cost more than executing, so both are remembered, in ways that cannot be
 * wrong:
 *
 *   memo   what a word decodes to depends on the word alone. No store can make it stale.
 *   window the page that the last instruction was fetched from (machine.h: it closes when the
 *          translation may have changed), with the decoded instruction that stood at each place of
 *          it last. Before one is executed its word is compared with memory, so self-modifying code
 *          needs no care at all.
 */
enum { MEMO_SIZE = 4096, PAGES = 256, PAGE_INSNS = PAGE_SIZE / 4 };

struct decoded {
    struct insn insn;
    exec_fn exec;
};

struct decoder {
    struct decoded memo[MEMO_SIZE];
    /* By host address, modulo; two pages that fall together only decode more often. */
    const struct decoded **page[PAGES];
    const struct decoded **place; /* of the page in the window */
};

static const struct decoded *decode(struct decoder *decoder, uint32_t word)
{
    struct decoded *d = &decoder->memo[(word * 0x9e3779b1u) >> 20];
    if (d->insn.word != word || !d->exec) {
        d->insn = isa_decode(word);
        d->exec = exec_table[d->insn.op];
    }
    return d;
}

/* Opens the window on the page of pc, if it can be cached at all. */
static bool open_window(struct machine *m, struct decoder *decoder)
{
    const struct tlb_entry *e = tlb_slot(&m->tlb, m->hart.pc);
    m->window.size = 0;
    if (e->tag[ACCESS_FETCH] != tlb_tag(m->hart.pc, m->context[ACCESS_FETCH]))
        return false;
    const struct decoded ***page = &decoder->page[((uintptr_t)e->host >> PAGE_SHIFT) % PAGES];
    if (!*page) {
        *page = malloc(PAGE_INSNS * sizeof **page);
        if (!*page)
            return false;
        const struct decoded *anything = decode(decoder, 0);
        for (int i = 0; i < PAGE_INSNS; i++)
            (*page)[i] = anything;
    }
    decoder->place = *page;
    m->window.page = m->hart.pc & ~PAGE_MASK;
    m->window.size = PAGE_SIZE;
    m->window.host = e->host;
    return true;
}

static const struct decoded *fetch_slowly(struct machine *m, struct decoder *decoder)
{
    uint32_t word, pc = m->hart.pc;
    const uint8_t *at = hit(m, pc, 4, ACCESS_FETCH);
    if (at)
        memcpy(&word, at, 4);
    else if (!mmu_fetch(m, pc, &word))
        return NULL;
    bool opened = open_window(m, decoder); /* before: what it decodes may fall together with word */
    const struct decoded *d = decode(decoder, word);
    if (opened)
        decoder->place[(pc & PAGE_MASK) / 4] = d;
    return d;
}

/* The instruction at pc, or NULL if fetching it has trapped. */
static inline const struct decoded *fetch(struct machine *m, struct decoder *decoder)
{
    uint32_t offset = m->hart.pc - m->window.page, word;
    if (__builtin_expect(offset >= m->window.size, 0))
        return fetch_slowly(m, decoder);
    const struct decoded *d = decoder->place[offset / 4];
    memcpy(&word, m->window.host + offset, 4);
    return __builtin_expect(d->insn.word == word, 1) ? d : fetch_slowly(m, decoder);
}

static inline void one(struct machine *m, struct decoder *decoder)
{
    const struct decoded *d = fetch(m, decoder);
    m->insn = d ? d->insn.word : 0;
    if (d && d->exec(m, &d->insn))
        m->hart.executed++;
    else
        machine_exception(m);
}

/* As one(), for when somebody looks on: breakpoints before, the event behind. */
static bool one_inspected(struct machine *m, struct decoder *decoder)
{
    if (!machine_inspect(m))
        return false;
    uint32_t pc = m->hart.pc;
    uint64_t trapped = m->hart.trapped;
    one(m, decoder);
    if (events_wanted(&m->events, EVENT_INSN) && m->hart.trapped == trapped &&
        !m->absent) {
        struct event e = {m->hart.executed, pc, EVENT_INSN, m->events.source, m->insn, m->hart.pc};
        events_publish(&m->events, &e);
    }
    return true;
}

bool interp_init(struct machine *m)
{
    m->decoder = calloc(1, sizeof *m->decoder);
    return m->decoder;
}

void interp_free(struct machine *m)
{
    for (int i = 0; m->decoder && i < PAGES; i++)
        free(m->decoder->page[i]);
    free(m->decoder);
}

static void interp_run(struct machine *m, uint64_t budget)
{
    struct hart *h = &m->hart;
    struct decoder *decoder = m->decoder;
    uint64_t target = budget < UINT64_MAX - h->executed ? h->executed + budget : UINT64_MAX;
    while (h->executed < target && machine_poll(m)) {
        uint64_t limit = target < h->clock.deadline ? target : h->clock.deadline;
        if (m->inspected) {
            while (h->executed < limit && !h->attention && one_inspected(m, decoder))
                ;
        } else {
            while (h->executed < limit && !h->attention)
                one(m, decoder);
        }
        if (m->stop != STOP_NONE)
            return;
    }
}

/* A virtual machine's TLB does not hear of code that the engine below has derived since. */
static void heed_code(struct machine *m)
{
    if (!m->ram.code || m->code_epoch == m->ram.code->epoch)
        return;
    m->code_epoch = m->ram.code->epoch;
    tlb_flush(&m->tlb);
}

void interp_execute(struct machine *m, uint32_t word)
{
    const struct decoded *d = decode(m->decoder, word);
    m->insn = word;
    if (d->exec(m, &d->insn))
        m->hart.executed++;
    else
        machine_exception(m);
}

void interp_step(struct machine *m)
{
    heed_code(m);
    one(m, m->decoder);
}

const struct insn *interp_decode(struct machine *m, uint32_t word)
{
    return &decode(m->decoder, word)->insn;
}

const struct engine engine_interp = {
    .name = "interp",
    .about = "the specification: one function for each instruction",
    .run = interp_run,
};
