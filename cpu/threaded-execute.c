/*
 * Executing the threaded engine's blocks: one function, in which each operation has a place and ends
 * by jumping to the next one's ("labels as values" of GNU C). What is used all the time stays in the
 * host's registers: where in the block, what is left of the budget, where the registers are.
 *
 * The function is left when the next block is not known or is longer than the budget, and behind an
 * instruction after which somebody must look: see threaded_interpret().
 */
#include <string.h>

#include "cpu/threaded-ops.h"
#include "cpu/threaded.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Chapter 7 of volume I, table 7.1. */
static uint32_t divide(uint32_t a, uint32_t b)
{
    if (b == 0)
        return UINT32_MAX;
    if (b == UINT32_MAX) /* overflow gives a, too */
        return 0u - a;
    return (uint32_t)(SIGNED(a) / SIGNED(b));
}

static uint32_t remainder_of(uint32_t a, uint32_t b)
{
    if (b == 0)
        return a;
    return b == UINT32_MAX ? 0 : (uint32_t)(SIGNED(a) % SIGNED(b));
}

/* Is this block, found by its address, the code that is there now? Within a page it is if it was
 * made from the same one; what other pages are, the TLB must know. */
static inline bool is_there(struct machine *m, const struct block *from, const struct block *to)
{
    if ((from->pc ^ to->pc) < PAGE_SIZE)
        return to->host == from->host;
    const struct tlb_entry *e = tlb_slot(&m->tlb, to->pc);
    return e->tag[ACCESS_FETCH] == tlb_tag(to->pc, m->context[ACCESS_FETCH]) &&
           e->host == to->host;
}

#define NEXT goto *ip->run

#define ENTER(to)                                                                                \
    do {                                                                                         \
        remaining -= (to)->insns;                                                                \
        block = (to);                                                                            \
        ip = block->op;                                                                          \
        NEXT;                                                                                    \
    } while (0)

#define FOLLOW(way)                                                                              \
    do {                                                                                         \
        struct block *to = (way)->link.to;                                                       \
        if (UNLIKELY(to->insns > remaining))                                                     \
            goto unlinked;                                                                       \
        ENTER(to);                                                                               \
    } while (0)

#define FIND(pc_wanted)                                                                          \
    do {                                                                                         \
        struct block *to = *threaded_jump(t, pc_wanted);                                         \
        if (UNLIKELY(to->pc != (pc_wanted) || to->insns > remaining || !is_there(m, block, to))) \
            goto lost;                                                                           \
        ENTER(to);                                                                               \
    } while (0)

/* Operations and pairs: OP goes on behind itself, LEAVES behind its link. */
#define PLACE(name, length)                                                                      \
    do_##name:                                                                                   \
    {                                                                                            \
        uint32_t a = x[ip->rs1], v = 0;                                                          \
        DO_##name(ip, a, v);                                                                     \
        (void)a, (void)v;                                                                        \
        ip += (length);                                                                          \
        NEXT;                                                                                    \
    }
#define TWO(kind, first, second, value, length)                                                  \
    kind##_##first##_##second:                                                                   \
    {                                                                                            \
        uint32_t a = x[ip->rs1], b, v = 0, w = 0;                                                \
        DO_##first(ip, a, v);                                                                    \
        b = (value);                                                                             \
        DO_##second(ip + 1, b, w);                                                               \
        (void)a, (void)b, (void)v, (void)w;                                                      \
        ip += (length);                                                                          \
        NEXT;                                                                                    \
    }

static const void *const *execute(struct threaded *t, struct block *block, int64_t remaining)
{
    static const void *const code[] = {
#define OP(name) &&do_##name,
#define LEAVES(name) &&do_##name,
#include "cpu/threaded-ops.def"
#define PAIR(first, second) &&pair_##first##_##second,
#define CHAIN(first, second) &&chain_##first##_##second,
#define PAIR_LEAVES(first, second) &&pair_##first##_##second,
#define CHAIN_LEAVES(first, second) &&chain_##first##_##second,
#include "cpu/threaded-pairs.def"
    };
    if (!t)
        return code;

    struct machine *m = t->machine;
    uint32_t *x = m->hart.x;
    union op *ip = block->op;
    uint32_t target;
    remaining -= block->insns;
    NEXT;

#define OP(name) PLACE(name, 1)
#define LEAVES(name) PLACE(name, 2)
#include "cpu/threaded-ops.def"
#define PAIR(first, second) TWO(pair, first, second, x[ip[1].rs1], 2)
#define CHAIN(first, second) TWO(chain, first, second, v, 2)
#define PAIR_LEAVES(first, second) TWO(pair, first, second, x[ip[1].rs1], 3)
#define CHAIN_LEAVES(first, second) TWO(chain, first, second, v, 3)
#include "cpu/threaded-pairs.def"

    /* Done again if it hits now, by itself or in its pair. */
#define MISS(access, type)                                                                       \
    miss_##access##_##type : if (threaded_data_fill(t, target, sizeof(type), access)) NEXT;      \
    goto interpret;
    MISS(ACCESS_READ, uint8_t)
    MISS(ACCESS_READ, uint16_t)
    MISS(ACCESS_READ, uint32_t)
    MISS(ACCESS_WRITE, uint8_t)
    MISS(ACCESS_WRITE, uint16_t)
    MISS(ACCESS_WRITE, uint32_t)

interpret:
    if (threaded_interpret(t, block, ip, remaining)) {
        ip++;
        NEXT;
    }
    goto left;

unlinked:
    target = ip->link.pc;
    if ((target ^ block->pc) < PAGE_SIZE) {
        t->from = ip;
        goto lost;
    }
    FIND(target);

lost:
    m->hart.pc = target;
    m->hart.executed = t->end - (uint64_t)remaining;
left:
    t->page = block->pc & ~PAGE_MASK;
    t->host = block->host;
    return NULL;
}

void threaded_execute(struct threaded *t, struct block *block, uint64_t budget)
{
    const uint64_t most = INT64_MAX / 2;
    if (budget > most)
        budget = most;
    t->end = t->machine->hart.executed + budget;
    t->from = NULL;
    t->stale = false;
    execute(t, block, (int64_t)budget);
}

const void *const *threaded_code(void)
{
    return execute(NULL, NULL, 0);
}

const struct threaded_pair threaded_pairs[] = {
#define PAIR(first, second) {THREADED_##first, THREADED_##second, false},
#define CHAIN(first, second) {THREADED_##first, THREADED_##second, true},
#define PAIR_LEAVES(first, second) {THREADED_##first, THREADED_##second, false},
#define CHAIN_LEAVES(first, second) {THREADED_##first, THREADED_##second, true},
#include "cpu/threaded-pairs.def"
};
const unsigned threaded_pair_count = sizeof threaded_pairs / sizeof threaded_pairs[0];
