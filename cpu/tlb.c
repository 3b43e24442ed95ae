/* The TLB: entering contexts and forgetting entries. See tlb.h; entries are filled by mmu.c. */
#include "cpu/tlb.h"

#include <stddef.h>
#include <string.h>

/* What fits in a tag beside the page, above the two bits that stay clear. */
enum { NUMBERS = PAGE_SIZE / 4 };

/* What was remembered of a context outside the TLB is void. */
static void outdate(struct tlb *tlb, unsigned context, bool wholly)
{
    tlb->generation[context] = ++tlb->changes;
    if (wholly)
        tlb->upheaval[context] = tlb->changes;
}

static void clear_entries(struct tlb *tlb)
{
    for (int i = 0; i < TLB_ENTRIES; i++)
        memset(tlb->entry[i].tag, 0, sizeof tlb->entry[i].tag);
}

/* All contexts are numbered anew; nothing of them is left. */
static void renumber_all(struct tlb *tlb)
{
    clear_entries(tlb);
    memset(tlb->superpages, 0, sizeof tlb->superpages);
    for (unsigned n = 0; n < TLB_CONTEXTS; n++)
        tlb->number[n] = n << 2;
    tlb->next_number = TLB_CONTEXTS;
}

/* Forgets all entries of a context. */
static void renumber(struct tlb *tlb, unsigned context)
{
    if (tlb->next_number == NUMBERS)
        renumber_all(tlb);
    tlb->number[context] = tlb->next_number++ << 2;
    outdate(tlb, context, true);
}

void tlb_reset(struct tlb *tlb)
{
    uint32_t changes = tlb->changes;
    memset(tlb, 0, sizeof *tlb);
    tlb->contexts = tlb->next = 1;
    tlb->changes = changes;
    renumber_all(tlb);
    for (unsigned n = 0; n < TLB_CONTEXTS; n++)
        outdate(tlb, n, true);
}

void tlb_flush(struct tlb *tlb)
{
    clear_entries(tlb);
    for (unsigned n = 1; n < tlb->contexts; n++)
        outdate(tlb, n, true);
}

void tlb_protect(struct tlb *tlb, const uint8_t *host)
{
    for (int i = 0; i < TLB_ENTRIES; i++)
        if (tlb->entry[i].host == host)
            tlb->entry[i].tag[ACCESS_WRITE] = 0;
}

unsigned tlb_context(struct tlb *tlb, struct tlb_context wanted)
{
    for (unsigned n = 1; n < tlb->contexts; n++)
        if (tlb_context_equal(&tlb->context[n], &wanted))
            return n;
    unsigned n;
    if (tlb->contexts < TLB_CONTEXTS) {
        n = tlb->contexts++;
    } else {
        n = tlb->next;
        tlb->next = n + 1 < TLB_CONTEXTS ? (uint8_t)(n + 1) : 1;
        renumber(tlb, n);
    }
    tlb->context[n] = wanted;
    return n;
}

const struct tlb_context *tlb_context_of(const struct tlb *tlb, uint32_t tag)
{
    for (unsigned n = 1; tag && n < tlb->contexts; n++)
        if (tlb->number[n] == (tag & PAGE_MASK))
            return &tlb->context[n];
    return NULL;
}

static bool is_fenced(const struct tlb_context *context, const uint32_t *asid)
{
    return context && context->satp && (!asid || SATP_ASID(context->satp) == *asid);
}

/* Drops what an entry knows of the page (or with another mask: the 4 MiB) at va. */
static void fence_slot(struct tlb *tlb, struct tlb_entry *e, uint32_t va, uint32_t mask,
                       const uint32_t *asid)
{
    for (int a = 0; a < 3; a++)
        if (((e->tag[a] ^ va) & mask) == 0 && is_fenced(tlb_context_of(tlb, e->tag[a]), asid))
            e->tag[a] = 0;
}

static bool bit(const uint64_t *bits, unsigned n) { return bits[n / 64] >> n % 64 & 1; }
static void set_bit(uint64_t *bits, unsigned n) { bits[n / 64] |= 1ull << n % 64; }

void tlb_filled(struct tlb *tlb, uint32_t va, enum access access, unsigned level)
{
    if (access == ACCESS_FETCH)
        set_bit(tlb->fetched, (va >> PAGE_SHIFT) % 1024);
    if (level)
        set_bit(tlb->superpages, va / SUPERPAGE_SIZE);
}

/* A 4 MiB page is in the TLB in parts of 4 KiB: all of them go. */
static void fence_address(struct tlb *tlb, uint32_t va, const uint32_t *asid)
{
    bool parts = bit(tlb->superpages, va / SUPERPAGE_SIZE);
    if (parts)
        for (int i = 0; i < TLB_ENTRIES; i++)
            fence_slot(tlb, &tlb->entry[i], va, ~(SUPERPAGE_SIZE - 1), asid);
    else
        fence_slot(tlb, tlb_slot(tlb, va), va, ~PAGE_MASK, asid);
    if (!parts && !bit(tlb->fetched, (va >> PAGE_SHIFT) % 1024))
        return;
    for (unsigned n = 1; n < tlb->contexts; n++)
        if (is_fenced(&tlb->context[n], asid))
            outdate(tlb, n, false);
}

void tlb_fence(struct tlb *tlb, const uint32_t *va, const uint32_t *asid)
{
    if (va) {
        fence_address(tlb, *va, asid);
        return;
    }
    for (unsigned n = 1; n < tlb->contexts; n++)
        if (is_fenced(&tlb->context[n], asid))
            renumber(tlb, n);
}
