/*
 * The binary translator's own interface: what its files share. README.md tells how it works.
 *
 *   run.c        the engine: which code runs next, and what happens between two entries
 *   block.c      finding, making, chaining and forgetting translated blocks
 *   translate.c  from guest instructions to a block
 *   codegen.c    what each guest instruction becomes
 *   glue.c       the code around the blocks: entering, leaving, calling the interpreter
 *   window.c     guest address spaces mapped into the host's, so that an access is one instruction
 *   emit.h       the x86-64 assembler
 *
 * Registers while translated code runs:
 *
 *   RBP           the machine (its first bytes are hart.x[])
 *   R15           instructions that may still be executed, less those of blocks begun
 *   RSP           the return stack: where the guest's calls were made from
 *   GS base       the window of the current address space
 *   RAX RCX RDX   scratch
 *   the others    ten guest registers; which ones, jit->host_of says
 */
#ifndef VITRINE_CPU_JIT_JIT_H
#define VITRINE_CPU_JIT_JIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/isa.h"
#include "cpu/jit/emit.h"
#include "cpu/machine.h"

enum {
    CODE_SIZE = 16 << 20,    /* bytes of translated code; when full, all is forgotten */
    BLOCKS = 1 << 16,
    LINKS = 1 << 18,
    SITES = 1 << 18,
    BLOCK_INSNS = 120,       /* guest instructions in a block at most; fits in a byte */
    BLOCK_CODE = 1 << 14,    /* host bytes in a block at most */
    BLOCK_HASH = 1 << 14,
    JUMP_CACHE = 1 << 10,    /* entries for indirect jumps */
    JUMP_TABLES = 2 * TLB_CONTEXTS, /* for each fetch context, with and without a window */
    HEAT = 1 << 14,          /* counters of how often cold code was come to */
    HOT = 6,                 /* then it is translated */
    BRIEF = 6,               /* instructions that are interpreted sooner than entered */
    QUANTUM = 1 << 16,       /* instructions in one entry at most: bounds the return stack */
    RETURN_STACK = QUANTUM * 8 + (256 << 10), /* each call pushes 8 bytes; the rest is for signals */
    MAPPED_REGISTERS = 10,
};

/* Why translated code has come back. */
enum exit_kind {
    EXIT_TO_LINK,    /* value: a link that leads nowhere yet */
    EXIT_TO_PC,      /* value: guest pc; the block there must be looked up */
    EXIT_INDIRECT,   /* the same, and the jump cache did not know it */
    EXIT_NO_BUDGET,  /* value: guest pc of a block that is longer than the budget */
    EXIT_DONE,       /* the interpreter has executed something after which hart.pc says where */
};

/* A jump out of a block. It leads to its own exit until the target is known. */
struct link {
    uint32_t field;  /* displacement of the host's jump */
    uint32_t pc;     /* guest address that it leads to */
    uint32_t from;   /* number of the block that it is in */
};

/* A place in a block where the interpreter may have to execute one instruction. */
struct site {
    uint32_t pc, word;
    uint32_t fault;   /* host instruction that may fault, or that jumps to the stub */
    uint32_t stub;    /* the call of the interpreter, where a fault goes on */
    uint32_t resume;  /* behind the instruction */
    uint32_t retry;   /* where it looks into the TLB; 0: it does not */
    uint16_t undo;    /* instructions of the block from this one on */
    uint32_t trapped; /* page whose access through the window has trapped last */
    uint8_t traps;    /* how often in a row */
    uint8_t faults;   /* how often the host's MMU has refused, up to 255 */
    uint8_t length;   /* of the host's access: 0 if it is none */
    uint8_t access;   /* enum access, if it looks into the TLB */
    uint8_t size;     /* the same: bytes */
};

struct block {
    uint32_t generation; /* of the fetch context, when the page was last found to be where it was */
    uint32_t pc;
    uint32_t page;       /* of the memory's mapping, that it was made from */
    uint32_t gate;       /* entry that first compares the fetch generation */
    uint32_t entry;      /* entry from the same page */
    uint32_t again;      /* leaves with EXIT_TO_PC */
    uint16_t insns;
    uint8_t brief;       /* it leaves for C after so few instructions; 0: not soon */
    uint8_t context;     /* number of the TLB context that it was fetched in */
    uint8_t mode;        /* that it was translated for: its CSR accesses need no check */
    bool fast;           /* accesses memory through the window */
    uint32_t next_in_hash, next_in_page; /* block number + 1; 0: none */
    uint8_t uses[32];    /* how often its instructions name each register */
};

#define JUMP_EMPTY UINT64_MAX /* no 32-bit address, not even an odd one */

/* From a guest address to the gate of its block. */
struct jump {
    uint64_t pc;  /* JUMP_EMPTY: no jump */
    uint64_t code;
};

/* What is known of one data context (number in the TLB) and its window. */
struct space {
    uint8_t *base;          /* 4 GiB of addresses, or NULL */
    struct window_page *page; /* by page of memory: where it is mapped */
    uint64_t *mapped_bits;  /* by guest page: a bit if it is mapped */
    uint64_t *writable_bits; /* the same: for writing, too */
    uint32_t *frame;         /* by guest page: the page of memory, if it is mapped */
    uint8_t *region;        /* by 4 MiB: REGION_ flags */
    uint32_t upheaval;      /* of the TLB context, when last looked at */
    uint32_t mapped;        /* mappings made */
    uint64_t steady;        /* instructions executed since the last change */
    uint64_t patience;      /* how many there must be before the window is used */
    uint32_t losses;        /* since then: see window.c */
    bool used;
};

struct jit {
    struct machine *machine;

    /* Read and written by the glue; keep together. */
    uint64_t ras, host_sp;

    uint8_t *write, *run;   /* two mappings of the code: one writable, one executable */
    struct emitter emit;
    uint32_t glue_end;      /* where blocks begin */
    uint32_t enter, leave, slow, fill, lost, bottom; /* in the glue */

    struct block *block;    /* below 2 GiB, so that gates can name it */
    struct link *link;
    struct site *site;
    uint32_t blocks, links, sites;
    uint32_t *hash;         /* BLOCK_HASH block numbers + 1 */
    uint32_t *page;         /* by page of memory: newest block + 1 */
    uint8_t *unstable;      /* by page of memory: how often code in it was overwritten */
    uint8_t *heat;
    struct jump *jumps;     /* JUMP_TABLES * JUMP_CACHE, below 2 GiB so that code can name it */
    uint32_t *known;        /* by jump: number of the block */

    uint8_t host_of[32];    /* host register of a guest register, NO_REGISTER: in memory */
    uint32_t weight[32];    /* register uses seen where the budget ended */
    uint32_t samples;

    uint64_t end;           /* hart.executed when the budget of this entry is used up */
    bool stale;             /* code was overwritten: do not go on in the block */
    bool full;              /* no room: forget everything before the next translation */

    uint8_t *stack;         /* the return stack */
    struct space space[TLB_CONTEXTS];
    unsigned current;       /* the space that runs, and hart.executed when that was last looked at */
    uint64_t credited;
};

/* ---- glue.c ------------------------------------------------------------------------------- */

/* Writes the code around the blocks, for the current register mapping. */
void jit_make_glue(struct jit *jit);

/* Looks EAX up among the indirect jumps of such blocks: ECX * 4 = offset in the table. Returns the
 * jump that is taken when it is not there. */
uint32_t jit_probe(struct emitter *e, const struct jit *jit, const struct block *b);

struct jit_exit {
    uint64_t kind_and_value; /* kind << 32 | value */
    uint64_t remaining;      /* of the budget */
};
/* Runs translated code from `code` (an offset) for at most `budget` instructions. */
struct jit_exit jit_enter(struct jit *jit, uint32_t code, uint32_t budget);

/* ---- codegen.c, translate.c --------------------------------------------------------------- */

struct translation;
typedef void (*gen_fn)(struct translation *t, const struct insn *i);
/* Writes what the instruction at t->pc becomes. */
void jit_generate(struct translation *t, const struct insn *i);
/* Is the block over after this instruction? */
bool jit_ends_block(unsigned op);

/* A block being translated. */
struct translation {
    struct jit *jit;
    struct emitter *e;
    struct block *block;
    uint32_t pc;            /* of the instruction */
    unsigned index;         /* its number in the block */
    bool follows;           /* the next instruction is at `next` */
    uint32_t next;
    bool done;              /* the block has left by itself */

    /* Known values: a register that lui, auipc and addi have made a constant. */
    uint32_t is_known;      /* a bit for each register */
    uint32_t known[32];

    struct {
        uint32_t field;     /* the jump that leads here */
        uint32_t pc;        /* where the guest goes on */
        uint16_t index;     /* instructions executed until then */
    } side[BLOCK_INSNS + 2];
    unsigned sides;
    uint32_t first_site, first_link;
};

/* Translates from hart.pc on, where the page's bytes are at `host`. NULL: no room. */
struct block *jit_translate(struct jit *jit, const uint8_t *host, bool fast);

enum { LINK_CALL = 0xe8, LINK_JUMP = 0xe9 };
/* Writes a host jump or call that will lead to the block at `pc`. */
void jit_link(struct translation *t, unsigned opcode, uint32_t pc);
/* Writes the jump to the interpreter, which executes the site's instruction and resumes. */
void jit_call_interpreter(struct translation *t, struct site *site);
/* Notes that translated code is left after the current instruction, or most often is. */
void jit_leaves(struct translation *t);
/* Adds a site for the current instruction. NULL when there is no room. */
struct site *jit_site(struct translation *t, const struct insn *i);

/* ---- block.c ------------------------------------------------------------------------------ */

/* The block for this place in the machine's mode and fetch context, or NULL. */
struct block *jit_find(struct jit *jit, uint32_t pc, uint32_t page, bool fast);
void jit_add(struct jit *jit, struct block *block);
/* The table that indirect jumps of such blocks look up. */
static inline struct jump *jit_jumps(const struct jit *jit, const struct block *b)
{
    return jit->jumps + (size_t)(2 * b->context + b->fast) * JUMP_CACHE;
}
/* Forgets every block. */
void jit_flush(struct jit *jit);
/* Breakpoints have come or gone: forgets the blocks that they are in, or were. */
void jit_points(struct jit *jit, const struct machine_debug *debug);
/* Are there breakpoints that are not worth translating around? */
bool jit_points_everywhere(const struct machine_debug *debug);
/* Code in this page of memory was overwritten. */
void jit_page_changed(void *jit, uint32_t page);
/* Leads the link to the block, from now on. */
void jit_connect(struct jit *jit, struct link *link, const struct block *block);

/* ---- window.c ----------------------------------------------------------------------------- */

void jit_windows_free(struct jit *jit);
/* The window for the machine's data context if it is to be used now, else NULL. */
struct space *jit_window(struct jit *jit);
/* The interpreter has just made an access that the window did not allow: may the page be mapped? */
void jit_window_missed(struct jit *jit, struct site *site, uint32_t va, enum access access);
/* The access has trapped instead. */
void jit_window_trapped(struct jit *jit, struct site *site, uint32_t va);
/* sfence.vma of one address. */
void jit_window_fence(struct jit *jit, uint32_t va);
/* Code was translated from this page of memory: no window may write to it. */
void jit_window_protect(struct jit *jit, uint32_t page);

/* These pages of memory were not written yet: no window may write to them. */
void jit_windows_cleaned(struct jit *jit, const uint32_t *page, uint32_t count);

/* As mmu_flush(); but what a walk still finds as it is mapped stays mapped. */
void jit_windows_flush(struct jit *jit);

/* SIGSEGV: while set, faults of this translator's code go to their sites. Thread-local. */
void jit_catch_faults(struct jit *jit);

#endif
