/*
 * The threaded engine's own TLB for data: a larger copy of what the machine's TLB has held, so that
 * programs that go through megabytes of memory do not walk the page tables again and again.
 *
 * What is in it must never be what the machine's TLB could not hold: an entry bears the number of
 * its context (tlb.h), so that a fence of a whole address space makes it unreachable; fences of
 * single addresses, and pages that come to hold code, are reported to it; and where the machine's
 * TLB clears its entries or numbers all contexts anew, so does it.
 */
#include <string.h>

#include "cpu/threaded.h"

static struct threaded_page *slot(struct threaded *t, uint32_t va)
{
    return &t->data[(va >> PAGE_SHIFT) % DATA_PAGES];
}

void threaded_data_flush(struct threaded *t)
{
    memset(t->data, 0, sizeof t->data);
    memset(t->superpages, 0, sizeof t->superpages);
}

/* A context that became void without getting another number: all entries were cleared. And when
 * numbers are given from the first again, old entries might answer for other contexts. */
void threaded_data_heed(struct threaded *t)
{
    enum { MANY = 256 }; /* fewer than there are numbers */
    const struct tlb *tlb = &t->machine->tlb;
    unsigned n = t->machine->data_context;
    bool again = tlb->next_number < t->next_number || tlb->changes - t->changes > MANY;
    bool cleared = t->upheaval[n] != tlb->upheaval[n] && t->number[n] == tlb->number[n];
    if (again || cleared)
        threaded_data_flush(t);
    t->next_number = tlb->next_number;
    t->upheaval[n] = tlb->upheaval[n];
    t->number[n] = tlb->number[n];
}

void threaded_data_fence(struct threaded *t, uint32_t va)
{
    unsigned region = va / SUPERPAGE_SIZE;
    if (!(t->superpages[region / 64] >> region % 64 & 1)) {
        memset(slot(t, va)->tag, 0, sizeof slot(t, va)->tag);
        return;
    }
    uint32_t page = va & ~(SUPERPAGE_SIZE - 1);
    for (unsigned i = 0; i < SUPERPAGE_SIZE / PAGE_SIZE; i++, page += PAGE_SIZE)
        memset(slot(t, page)->tag, 0, sizeof slot(t, page)->tag);
}

void threaded_data_protect(struct threaded *t, const uint8_t *host)
{
    for (unsigned n = 0; n < DATA_PAGES; n++) {
        struct threaded_page *p = &t->data[n];
        if (p->tag[ACCESS_WRITE - 1] &&
            p->host + (p->tag[ACCESS_WRITE - 1] & ~PAGE_MASK) == (uintptr_t)host)
            p->tag[ACCESS_WRITE - 1] = 0;
    }
}

void threaded_data_cleaned(struct threaded *t)
{
    for (unsigned n = 0; n < DATA_PAGES; n++) {
        uint32_t *tag = &t->data[n].tag[ACCESS_WRITE - 1];
        const uint8_t *host = (const uint8_t *)(t->data[n].host + (*tag & ~PAGE_MASK));
        if (*tag && !ram_takes_writes(&t->machine->ram, host))
            *tag = 0;
    }
}

bool threaded_data_fill(struct threaded *t, uint32_t va, unsigned size, enum access access)
{
    struct machine *m = t->machine;
    const struct tlb_entry *e = tlb_slot(&m->tlb, va);
    uint32_t tag = tlb_tag(va, m->context[access]);
    if (va % size)
        return false;
    if (e->tag[access] != tag && (mmu_fill(m, va, size, access) != MMU_FILLED || t->stale))
        return false;
    struct threaded_page *p = slot(t, va);
    uintptr_t host = (uintptr_t)e->host - (va & ~PAGE_MASK);
    unsigned region = va / SUPERPAGE_SIZE;
    for (unsigned other = 0; other < 2; other++)
        if (p->tag[other] != tag || p->host != host)
            p->tag[other] = 0;
    p->host = host;
    p->tag[access - 1] = tag;
    t->superpages[region / 64] |= m->tlb.superpages[region / 64] & 1ull << region % 64;
    return true;
}
