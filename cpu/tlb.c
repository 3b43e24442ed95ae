/* The TLB: entering contexts and forgetting entries. See tlb.h; entries are filled by mmu.c. */
#include "cpu/tlb.h"

#include <string.h>

/* What was remembered of a context outside the TLB is void. */
static void outdate(struct tlb *tlb, uint32_t number, bool wholly)
{
    tlb->generation[number] = ++tlb->changes;
    if (wholly)
        tlb->upheaval[number] = tlb->changes;
}

void tlb_reset(struct tlb *tlb)
{
    uint32_t changes = tlb->changes;
    memset(tlb, 0, sizeof *tlb);
    tlb->contexts = tlb->next = 1;
    tlb->changes = changes;
    for (uint32_t n = 0; n < TLB_CONTEXTS; n++)
        outdate(tlb, n, true);
}

void tlb_flush(struct tlb *tlb)
{
    for (uint32_t n = 1; n < tlb->contexts; n++)
        outdate(tlb, n, true);
    for (int i = 0; i < TLB_ENTRIES; i++)
        memset(tlb->entry[i].tag, 0, sizeof tlb->entry[i].tag);
}

void tlb_protect(struct tlb *tlb, const uint8_t *host)
{
    for (int i = 0; i < TLB_ENTRIES; i++)
        if (tlb->entry[i].host == host)
            tlb->entry[i].tag[ACCESS_WRITE] = 0;
}

/* Forgets all entries of a context whose number is about to mean something else. */
static void drop_context(struct tlb *tlb, uint32_t number)
{
    outdate(tlb, number, true);
    for (int i = 0; i < TLB_ENTRIES; i++)
        for (int a = 0; a < 3; a++)
            if ((tlb->entry[i].tag[a] & PAGE_MASK) == number << 2)
                tlb->entry[i].tag[a] = 0;
}

static bool same_context(const struct tlb_context *a, const struct tlb_context *b)
{
    return a->satp == b->satp && a->mode == b->mode && a->sum == b->sum && a->mxr == b->mxr;
}

uint32_t tlb_context(struct tlb *tlb, struct tlb_context wanted)
{
    for (uint32_t n = 1; n < tlb->contexts; n++)
        if (same_context(&tlb->context[n], &wanted))
            return n << 2;
    uint32_t n;
    if (tlb->contexts < TLB_CONTEXTS) {
        n = tlb->contexts++;
    } else {
        n = tlb->next;
        tlb->next = n + 1 < TLB_CONTEXTS ? (uint8_t)(n + 1) : 1;
        drop_context(tlb, n);
    }
    tlb->context[n] = wanted;
    return n << 2;
}

/* Is this tag a translation that sfence.vma of va and asid (NULL: all) must forget? */
static bool is_fenced(const struct tlb *tlb, uint32_t tag, const uint32_t *va, const uint32_t *asid)
{
    if (!tag)
        return false;
    const struct tlb_context *context = tlb_context_of(tlb, tag);
    if (!context->satp)
        return false;
    if (va && (tag ^ *va) & ~PAGE_MASK)
        return false;
    return !asid || SATP_ASID(context->satp) == *asid;
}

static void fence_slot(struct tlb *tlb, struct tlb_entry *e, const uint32_t *va,
                       const uint32_t *asid)
{
    for (int a = 0; a < 3; a++)
        if (is_fenced(tlb, e->tag[a], va, asid))
            e->tag[a] = 0;
}

void tlb_fence(struct tlb *tlb, const uint32_t *va, const uint32_t *asid)
{
    for (uint32_t n = 1; n < tlb->contexts; n++) {
        uint32_t satp = tlb->context[n].satp;
        if (satp && (!asid || SATP_ASID(satp) == *asid))
            outdate(tlb, n, !va);
    }
    if (va) {
        fence_slot(tlb, tlb_slot(tlb, *va), va, asid);
        return;
    }
    for (int i = 0; i < TLB_ENTRIES; i++)
        fence_slot(tlb, &tlb->entry[i], NULL, asid);
}
