/*
 * The TLB: translations that the walk has found, kept until the guest says sfence.vma.
 *
 * Direct-mapped by a hash of the virtual page number, so that two buffers at a distance of a power of
 * two do not always drive each other out. An entry answers for one kind of access at a time by
 * comparing one 32-bit tag, which holds the virtual page and a number for everything else that a
 * translation depends on: address space, effective privilege, SUM, MXR. That is a *context*. There
 * are 15, so that going back and forth between kernel and user, or between address spaces, forgets
 * nothing; when a sixteenth is needed the oldest is dropped.
 *
 * To forget all translations of a context it is given another number, which no entry has yet. Only
 * when the numbers are used up are all entries cleared. So a fence costs the same whatever the size
 * of the TLB.
 *
 * `host` is where the page's bytes are in the host's memory: a hit is one compare and one host
 * access. Pages of devices, pages that a PMP region covers in part and pages that a debugger
 * watches are never entered, so that they always take the slow path in mmu.c.
 *
 * Sv32's rules on stale entries (privileged specification, section 4.2.1) allow all this.
 */
#ifndef VITRINE_CPU_TLB_H
#define VITRINE_CPU_TLB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/rv.h"

enum { TLB_ENTRIES = 256, TLB_CONTEXTS = 16 };

enum access { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE };

/* What a translation depends on besides the address. */
struct tlb_context {
    uint32_t satp;  /* 0 when translation is off */
    uint8_t mode;   /* effective privilege, enum mode */
    bool sum, mxr;
    uint8_t zero;   /* fills it up to 8 bytes, so that comparing two is comparing a word */
};

struct tlb_entry {
    uint32_t tag[3]; /* by enum access: virtual page | context's number << 2; 0: does not answer */
    uint32_t pa;     /* of the page */
    uint8_t *host;   /* the page's bytes */
    uint32_t pte;    /* leaf's permission bits, for the viewer */
};

struct tlb {
    struct tlb_entry entry[TLB_ENTRIES];
    struct tlb_context context[TLB_CONTEXTS]; /* [0] is never used */
    uint32_t number[TLB_CONTEXTS];            /* of each, << 2: as it is in tags; never 0 */
    uint8_t contexts;                         /* in use, 1 .. TLB_CONTEXTS */
    uint8_t next;                             /* to be dropped next */
    uint32_t next_number;
    uint64_t misses;
    /* Addresses that instructions were fetched from (by page, modulo) and parts of 4 MiB pages that
     * were entered, since all was cleared: a fence of one address elsewhere concerns less. */
    uint64_t fetched[1024 / 64], superpages[1024 / 64];
    /* For who remembers translations elsewhere: another value whenever translations for fetching in
     * this context may have become invalid; and whenever all of its translations may. */
    uint32_t generation[TLB_CONTEXTS], upheaval[TLB_CONTEXTS];
    uint32_t changes; /* counts all of them, and changes of context */
};

void tlb_reset(struct tlb *tlb);

static inline bool tlb_context_equal(const struct tlb_context *a, const struct tlb_context *b)
{
    _Static_assert(sizeof *a == 8, "no padding");
    return memcmp(a, b, sizeof *a) == 0;
}

/* The index of a context, entering it if it is new. */
unsigned tlb_context(struct tlb *tlb, struct tlb_context wanted);

static inline struct tlb_entry *tlb_slot(struct tlb *tlb, uint32_t va)
{
    return &tlb->entry[((va ^ va >> 8) >> PAGE_SHIFT) % TLB_ENTRIES];
}

/* `number` as in tlb.number. The lowest two bits of a tag are clear, so that comparing it with an
 * address finds misaligned accesses, too. */
static inline uint32_t tlb_tag(uint32_t va, uint32_t number)
{
    return (va & ~PAGE_MASK) | number;
}

/* The context of a tag; NULL: the entry answers nobody (any longer). */
const struct tlb_context *tlb_context_of(const struct tlb *tlb, uint32_t tag);

/* To be told of each entry that is filled: what for, and from a leaf of which level. */
void tlb_filled(struct tlb *tlb, uint32_t va, enum access access, unsigned level);

void tlb_flush(struct tlb *tlb);
/* Forgets permissions to write to the page at `host`. */
void tlb_protect(struct tlb *tlb, const uint8_t *host);
/* sfence.vma: `va` NULL: all addresses; `asid` NULL: all address spaces. Global pages are dropped
 * too, which the specification allows. Translations of bare mode stay. Numbers of contexts may have
 * changed afterwards. */
void tlb_fence(struct tlb *tlb, const uint32_t *va, const uint32_t *asid);

#endif
