/*
 * The threaded engine's own interface: what its files share.
 *
 *   threaded.c          the engine: which block runs next, and what happens between two blocks
 *   threaded-block.c    making, finding and forgetting blocks
 *   threaded-execute.c  executing them
 *   threaded-data.c     where loads and stores go
 *   threaded-ops.h      what each operation does
 *   threaded-ops.def    all operations; threaded-pairs.def: which of them are done two at a time
 *
 * A block is a stretch of instructions of one page that is entered at its beginning only, decoded
 * into operations that each end by jumping to the next one's code. It goes on behind branches (not
 * taken) and at the target of jumps, if that is in the same page.
 *
 *     block | insns | pc | host ... | op | op | op | op | link |      op: code, registers, immediate
 *                                                   \______/
 *                                              a branch and where it leads
 *
 * Operations are 16 bytes; one that may leave the block takes two, the second of which is its link.
 */
#ifndef VITRINE_CPU_THREADED_H
#define VITRINE_CPU_THREADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/isa.h"
#include "cpu/machine.h"

enum {
    BLOCK_INSNS = 64,     /* guest instructions in a block at most */
    ARENA_OPS = 1 << 18,  /* 16 bytes each: memory for blocks; when full, all are forgotten */
    BLOCK_HASH = 1 << 12,
    JUMP_CACHE = 1 << 12, /* entries for jumps whose target is not linked */
    DATA_PAGES = 1 << 12, /* of the engine's own TLB */
    HEAT = 1 << 12,       /* counters of how often code without a block was come to */
    HOT = 3,              /* then a block is made */
    UNSTABLE = 64,        /* a page whose code is overwritten often is interpreted for a while */
    UNSTABLE_STEP = 32,
    UNSTABLE_MOST = 1024,
};

/* ---- threaded-ops.def --------------------------------------------------------------------- */

enum threaded_op {
#define OP(name) THREADED_##name,
#define LEAVES(name) THREADED_##name,
#include "cpu/threaded-ops.def"
    THREADED_OPS,
};

/* An operation that does the work of two that follow each other. `chained`: the first's result is
 * the second's rs1. */
struct threaded_pair {
    uint8_t first, second;
    bool chained;
};
extern const struct threaded_pair threaded_pairs[];
extern const unsigned threaded_pair_count;

struct block;

union op {
    struct {
        const void *run;  /* where its code is in execute() */
        uint8_t rd, rs1, rs2;
        uint8_t left;     /* instructions of the block from this one on */
        int32_t imm;      /* branches, and jumps that are linked: those after this one */
    };
    struct {
        struct block *to; /* the target in the same page, or threaded->nowhere */
        uint32_t pc;
        uint32_t next;    /* address of the following instruction, where it is needed */
    } link;
};

struct block {
    int64_t insns;   /* INT64_MAX: never to be entered (again) */
    uint32_t pc;
    uint32_t count;  /* instructions, also when it is not to be entered */
    const uint8_t *host; /* of the page's bytes */
    struct block *next_in_hash, *next_in_page;
    uint16_t *offset; /* of each instruction in the page */
    union op op[];
};

/* An entry of the engine's own TLB, which is larger than the machine's: the compilers' loops that
 * stride through memory would miss there all the time. Tags are as there (tlb.h), 0: none. */
struct threaded_page {
    uint32_t tag[2]; /* for reading and writing: by enum access - 1 */
    uintptr_t host;  /* added to a virtual address of the page gives the host's */
};

struct threaded {
    struct machine *machine;
    const void *const *code; /* by enum threaded_op and pair: see threaded_code() */
    uint16_t pair[THREADED_OPS][THREADED_OPS][2]; /* number + 1; [1]: chained */

    /* The page that instructions are fetched from, until the translation may have changed. */
    uint32_t page;
    uint32_t changes; /* of the TLB, when it was found */
    const uint8_t *host;

    /* Where data are: entered from the machine's TLB, and valid as long as what is there could be. */
    struct threaded_page data[DATA_PAGES];
    uint64_t superpages[1024 / 64];   /* 4 MiB pages that parts were entered of */
    uint32_t next_number;             /* of the TLB, when last looked at */
    uint32_t upheaval[TLB_CONTEXTS], number[TLB_CONTEXTS]; /* the same, when they were current */

    uint64_t end;     /* hart.executed when the budget of this entry is used up */
    bool stale;       /* code was overwritten: do not go on in the block */
    union op *from;   /* the link that led out of the last block within its page, or NULL */

    struct block *nowhere;
    struct block *jump[JUMP_CACHE];
    struct block *hash[BLOCK_HASH];
    uint8_t heat[HEAT];
    struct block **in_page;  /* by page of memory */
    uint16_t *unstable;      /* by page of memory: how often code in it was overwritten lately */
    union op *arena;
    size_t used;             /* of the arena, in operations */
    uint32_t flushes;
};

static inline struct block **threaded_jump(struct threaded *t, uint32_t pc)
{
    return &t->jump[(pc >> 2) % JUMP_CACHE];
}

static inline uint32_t threaded_page(const struct threaded *t, const uint8_t *host)
{
    return (uint32_t)((size_t)(host - t->machine->ram.mapping) / RAM_PAGE);
}

/* ---- threaded-block.c --------------------------------------------------------------------- */

/* The block at pc in the page at `host`, or NULL. */
struct block *threaded_find(struct threaded *t, uint32_t pc, const uint8_t *host);
/* Makes it. NULL: the arena is full. */
struct block *threaded_make(struct threaded *t, uint32_t pc, const uint8_t *host);
/* Forgets all blocks. Not while one runs. */
void threaded_flush(struct threaded *t);
/* Code in this page of memory was overwritten. */
void threaded_page_changed(void *threaded, uint32_t page);

/* ---- threaded-execute.c ------------------------------------------------------------------- */

/* Runs from the block on, for at most `budget` instructions, no fewer than the block has. */
void threaded_execute(struct threaded *t, struct block *block, uint64_t budget);
/* The operations' code, then the pairs' in the order of threaded_pairs. */
const void *const *threaded_code(void);

/* ---- threaded-data.c ---------------------------------------------------------------------- */

/* The translation may have changed: drops what is no longer valid of the current context. */
void threaded_data_heed(struct threaded *t);
void threaded_data_flush(struct threaded *t);
/* sfence.vma of one address. */
void threaded_data_fence(struct threaded *t, uint32_t va);
/* Nothing may write to the page at `host` unnoticed any longer. */
void threaded_data_protect(struct threaded *t, const uint8_t *host);
/* Some pages became clean: nothing writes to pages that do not take it. */
void threaded_data_cleaned(struct threaded *t);
/* Enters the page of an access that has missed. false: the interpreter must do the access. */
bool threaded_data_fill(struct threaded *t, uint32_t va, unsigned size, enum access access);

/* ---- threaded.c --------------------------------------------------------------------------- */

/* Executes the instruction of `op` by the interpreter, with `remaining` as execute() has it. true:
 * the block goes on behind it. */
bool threaded_interpret(struct threaded *t, const struct block *block, const union op *op,
                        int64_t remaining);

#endif
