/*
 * The threaded engine: a fast interpreter in portable C.
 *
 * Code that was come to a few times is decoded once, into blocks of operations that run one after
 * the other without a loop around them. All that is rare, all that may trap and has not hit in the
 * TLB, and all code that is seldom come to is executed by the interpreter, instruction by
 * instruction. So this engine has no opinion on what privileged instructions do, on faults or on
 * devices; what it must get right is counting, and which code stands where.
 *
 * Fetching: the interpreter asks the TLB where a page is whenever it comes to another page than
 * that of the instruction before, or the translation may have changed. Here it is the same: within a
 * page a block leads directly to the next, into another page only by way of the TLB.
 */
#include "cpu/threaded.h"

#include <stdlib.h>
#include <string.h>

/* ---- life --------------------------------------------------------------------------------- */

static void threaded_release(struct machine *m)
{
    struct threaded *t = m->engine_data;
    if (!t)
        return;
    free(t->arena);
    free(t->nowhere);
    free(t->in_page);
    free(t->unstable);
    free(t);
    if (m->ram.code)
        m->ram.code->changed = NULL;
    m->engine_data = NULL;
}

static bool allocate(struct threaded *t, size_t pages)
{
    t->nowhere = calloc(1, sizeof *t->nowhere);
    t->arena = malloc(ARENA_OPS * sizeof *t->arena);
    t->in_page = calloc(pages, sizeof *t->in_page);
    t->unstable = calloc(pages, sizeof *t->unstable);
    return t->nowhere && t->arena && t->in_page && t->unstable;
}

static void number_pairs(struct threaded *t)
{
    for (unsigned n = 0; n < threaded_pair_count; n++) {
        const struct threaded_pair *p = &threaded_pairs[n];
        t->pair[p->first][p->second][p->chained] = (uint16_t)(n + 1);
    }
}

/* NULL: the host has no memory for it, and the interpreter does everything. */
static struct threaded *threaded_of(struct machine *m)
{
    if (m->engine_data)
        return m->engine_data;
    struct threaded *t = m->ram.mapping ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->machine = m;
    m->engine_data = t;
    if (!allocate(t, m->ram.size / RAM_PAGE)) {
        threaded_release(m);
        return NULL;
    }
    t->code = threaded_code();
    *t->nowhere = (struct block){.insns = INT64_MAX, .pc = 1};
    number_pairs(t);
    m->ram.code->changed = threaded_page_changed;
    m->ram.code->context = t;
    threaded_flush(t);
    return t;
}

static void threaded_invalidate(struct machine *m)
{
    if (m->engine_data)
        threaded_flush(m->engine_data);
}

static void threaded_fence(struct machine *m, uint32_t va)
{
    if (m->engine_data)
        threaded_data_fence(m->engine_data, va);
}

static void threaded_cleaned(struct machine *m, const uint32_t *page, uint32_t count)
{
    if (m->engine_data)
        threaded_data_cleaned(m->engine_data);
}

/* ---- by the interpreter ------------------------------------------------------------------- */

bool threaded_interpret(struct threaded *t, const struct block *block, const union op *op,
                        int64_t remaining)
{
    struct machine *m = t->machine;
    struct hart *h = &m->hart;
    uint32_t offset = block->offset[block->count - op->left], word;
    uint32_t pc = (block->pc & ~PAGE_MASK) | offset;
    memcpy(&word, block->host + offset, sizeof word);
    h->pc = pc;
    h->executed = t->end - (uint64_t)remaining - op->left;
    interp_execute(m, word);
    return h->pc == pc + 4 && !h->attention && !t->stale && m->tlb.changes == t->changes;
}

/* Up to the next jump, or until somebody must look. */
static void interpret(struct threaded *t, uint64_t limit)
{
    struct machine *m = t->machine;
    struct hart *h = &m->hart;
    uint32_t word, next;
    do {
        next = h->pc + 4;
        memcpy(&word, t->host + (h->pc & PAGE_MASK), sizeof word);
        interp_execute(m, word);
    } while (h->pc == next && next & PAGE_MASK && h->executed < limit && !h->attention &&
             m->tlb.changes == t->changes);
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* Finds the page of the instruction at pc, with all that fetching it does. false: it has trapped,
 * or its page cannot be remembered; then it was executed. */
static bool fetch(struct threaded *t)
{
    struct machine *m = t->machine;
    uint32_t pc = m->hart.pc, word;
    if (t->changes == m->tlb.changes && (pc ^ t->page) < PAGE_SIZE)
        return true;
    const struct tlb_entry *e = tlb_slot(&m->tlb, pc);
    uint32_t tag = tlb_tag(pc, m->context[ACCESS_FETCH]);
    if (t->changes != m->tlb.changes)
        threaded_data_heed(t);
    t->changes = m->tlb.changes - 1;
    m->insn = 0;
    if (e->tag[ACCESS_FETCH] != tag) {
        if (!mmu_fetch(m, pc, &word)) {
            machine_exception(m);
            return false;
        }
        if (e->tag[ACCESS_FETCH] != tag) {
            interp_execute(m, word);
            return false;
        }
    }
    t->page = pc & ~PAGE_MASK;
    t->host = e->host;
    t->changes = m->tlb.changes;
    return true;
}

/* Is this the time to make a block of what begins here? */
static bool is_hot(struct threaded *t)
{
    uint32_t pc = t->machine->hart.pc, page = threaded_page(t, t->host);
    if (t->unstable[page] >= UNSTABLE) {
        t->unstable[page]--;
        return false;
    }
    uint8_t *heat = &t->heat[(pc >> 2 ^ page << 6) % HEAT];
    if (*heat < HOT)
        (*heat)++;
    return *heat == HOT;
}

/* The block at pc, remembered for jumps that lead here. NULL: there is none (yet). */
static struct block *look_up(struct threaded *t)
{
    uint32_t pc = t->machine->hart.pc;
    struct block **jump = threaded_jump(t, pc), *b = *jump;
    if (b->pc == pc && b->host == t->host && b->insns != INT64_MAX)
        return b;
    b = threaded_find(t, pc, t->host);
    if (!b && is_hot(t)) {
        b = threaded_make(t, pc, t->host);
        if (!b) {
            threaded_flush(t);
            t->changes = t->machine->tlb.changes; /* the page is still where it is */
            b = threaded_make(t, pc, t->host);
        }
    }
    if (b)
        *jump = b;
    return b;
}

static void run_blocks(struct threaded *t, uint64_t limit)
{
    struct hart *h = &t->machine->hart;
    while (h->executed < limit && !h->attention) {
        union op *from = t->from;
        uint32_t flushes = t->flushes;
        const uint8_t *host = t->host;
        t->from = NULL;
        if (!fetch(t))
            continue;
        struct block *b = look_up(t);
        if (b && from && from->link.pc == b->pc && host == b->host && flushes == t->flushes)
            from->link.to = b;
        if (b && (uint64_t)b->insns <= limit - h->executed)
            threaded_execute(t, b, limit - h->executed);
        else
            interpret(t, limit);
    }
}

/* Breakpoints, and listeners to each instruction or each miss of the TLB, are the interpreter's. */
static bool must_interpret(const struct machine *m)
{
    const uint32_t walks =
        EVENT_BIT(EVENT_TLB) | EVENT_BIT(EVENT_PTE_READ) | EVENT_BIT(EVENT_PTE_UPDATE);
    return m->inspected || m->events.mask & walks;
}

static void threaded_run(struct machine *m, uint64_t budget)
{
    struct hart *h = &m->hart;
    struct threaded *t = threaded_of(m);
    uint64_t target = budget < UINT64_MAX - h->executed ? h->executed + budget : UINT64_MAX;
    if (!t || must_interpret(m)) {
        engine_interp.run(m, budget);
        return;
    }
    while (h->executed < target && machine_poll(m)) {
        uint64_t limit = target < h->clock.deadline ? target : h->clock.deadline;
        run_blocks(t, limit);
    }
}

const struct engine engine_threaded = {
    .name = "threaded",
    .about = "a fast interpreter in portable C: decodes once, runs block by block",
    .run = threaded_run,
    .invalidate = threaded_invalidate,
    .fence = threaded_fence,
    .cleaned = threaded_cleaned,
    .release = threaded_release,
};
