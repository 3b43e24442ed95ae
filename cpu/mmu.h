/*
 * The MMU: from a virtual address to memory or a device.
 *
 * mmu_walk() is the Sv32 walk of the privileged specification, section 4.3.2, written to be read;
 * it can record every step for a viewer. mmu_load(), mmu_store() and mmu_fetch() are what the
 * instructions use: TLB first, then the walk, then RAM or the bus.
 */
#ifndef VITRINE_CPU_MMU_H
#define VITRINE_CPU_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/tlb.h"

struct machine;

enum { MMU_LEVELS = 2 };

/* One page-table entry looked at. */
struct walk_step {
    uint8_t level;    /* 1 = root, 0 = leaf table */
    uint32_t pte_pa;
    uint32_t pte;     /* as read */
    uint32_t pte_new; /* after the A/D update, equal if none */
};

enum walk_failure {
    WALK_OK,
    WALK_NO_TABLE,       /* the table is not in memory: access fault */
    WALK_INVALID,        /* V = 0 */
    WALK_RESERVED,       /* W without R */
    WALK_NOT_LEAF,       /* pointer at level 0 */
    WALK_MISALIGNED,     /* superpage with PPN[0] != 0 */
    WALK_RESERVED_BITS,  /* pointer with A, D or U set */
    WALK_NO_PERMISSION,  /* R, W or X missing */
    WALK_USER_ONLY_S,    /* U mode, but U = 0 */
    WALK_KERNEL_ON_U,    /* S mode on a U page without SUM, or fetch */
    WALK_AD_CLEAR,       /* A or D clear and hardware is told not to set them */
    WALK_PMP_TABLE,      /* PMP forbids the walk itself */
    WALK_BEYOND,         /* the page lies above 4 GiB, where there is nothing */
    WALK_PMP,            /* PMP forbids the access to the page */
};

/* A walk and what came of it. Fill in `context` and `access`; mmu_walk() does the rest. */
struct walk {
    struct tlb_context context;
    enum access access;
    bool look_only; /* set no A/D bits, publish no events: for viewers */

    enum walk_failure failure;
    uint32_t cause; /* trap cause if failure != WALK_OK */
    uint32_t pa;    /* of the byte at va, if WALK_OK */
    uint32_t pte;   /* the leaf after the A/D update; bare: all permissions */
    uint8_t level;  /* of the leaf: 1 = 4 MiB page */
    uint8_t steps;
    struct walk_step step[MMU_LEVELS];
};

/* Translates va. Returns true and fills in pa, or false with failure and cause. */
bool mmu_walk(struct machine *machine, uint32_t va, struct walk *walk);

/* Does a leaf with these bits allow the access in this context (A and D left aside)? WALK_OK,
 * WALK_NO_PERMISSION, WALK_USER_ONLY_S or WALK_KERNEL_ON_U. */
enum walk_failure mmu_permission(const struct tlb_context *context, enum access access,
                                 uint32_t pte);

/* "level 0 entry is not valid" ... */
const char *mmu_failure_text(enum walk_failure failure);

/* The context that an access by the hart would have now (MPRV considered for reads and writes). */
struct tlb_context mmu_context(const struct machine *machine, enum access access);

/* To be called after any change to satp, the mode, or mstatus.{SUM,MXR,MPRV,MPP}. */
void mmu_context_changed(struct machine *machine);
/* To be called after any change to PMP or watchpoints: cached permissions are void. */
void mmu_flush(struct machine *machine);

/* The accesses of instructions. size is 1, 2 or 4 bytes, values are zero-extended. They return
 * false when the access trapped (machine->cause and ->tval are set by machine_raise()). */
bool mmu_fetch(struct machine *machine, uint32_t va, uint32_t *word);
bool mmu_load(struct machine *machine, uint32_t va, unsigned size, uint32_t *value);
bool mmu_store(struct machine *machine, uint32_t va, unsigned size, uint32_t value);
/* Enters va's page in the TLB for an aligned access of `size` bytes, as that access would. Nothing that
 * the guest can see has happened if it is not there now. */
enum mmu_fill {
    MMU_FILLED,
    MMU_WOULD_TRAP,
    MMU_NOT_CACHED, /* a device, or mmu_page_is_special() */
};
enum mmu_fill mmu_fill(struct machine *machine, uint32_t va, unsigned size, enum access access);
/* For LR, SC and AMO: the word at va, which must be aligned RAM, for reading (ACCESS_READ) or
 * reading and writing (ACCESS_WRITE: faults are store faults). `done` publishes the store. */
uint32_t *mmu_atomic(struct machine *machine, uint32_t va, enum access access, uint32_t *pa);
void mmu_atomic_done(struct machine *machine, uint32_t va, uint32_t pa, enum access access,
                     uint32_t value);

/* Does an instruction-visible access to this physical page need the slow path (a device, a watched
 * or HTIF page, a page that PMP splits)? */
bool mmu_page_is_special(const struct machine *machine, uint32_t pa);

#endif
