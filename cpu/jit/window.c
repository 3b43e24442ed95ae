/*
 * Windows: guest address spaces mapped into the host's, so that the host's MMU translates.
 *
 * A window is 4 GiB of the host's addresses, one for each data context of the TLB (address space,
 * mode, SUM, MXR). At first nothing is mapped in it and every access faults. The fault handler only
 * leads to the call of the interpreter that stands behind the block; the interpreter makes the
 * access, with all its checks, and then the page of the guest's memory is mapped at the guest
 * address, with the rights that the walk has found. It is shadow paging once more: the window's host
 * page table is the shadow, filled on faults, write access only once D is set, dropped by fences.
 *
 * Mapping is dear (some microseconds), so a window is used only once its context has been steady for
 * a while, and neighbours that the guest's table maps alike are mapped in the same call. A page that
 * is mapped for the first time is taken to be worth it, for it will be used again: there are only so
 * many. Losses speak against a window: pages that fences unmap, and accesses that trap, for which the
 * host has faulted in vain. A guest that still maps its memory on demand is better off without.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* REG_RIP */
#endif
#include "cpu/jit/jit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define WINDOW_SIZE (1ull << 32)
enum {
    GUARD = 1 << 16,           /* behind the window: an access may begin at its last byte */
    PATIENCE = 1 << 20,        /* instructions without an upheaval before a window is used */
    PATIENCE_LIMIT = 1 << 28,
    MAPPINGS = 8192,           /* in one window; the host's limit is 65,530 for a process */
    NEIGHBOURS = 256,          /* pages looked at on either side of one that is mapped */
    NEAR = 16,                 /* of these, how many are taken to be written soon, too */
    REFUSALS = 3,              /* a site that faults so often in vain calls the interpreter at once */
    TRAPS = 8,                 /* the same, if it traps */
    REGIONS = 1 << 10,         /* of 4 MiB */
    PAGES = 1 << 20,
    LOSSES_FREE = 64,          /* losses allowed, however short the window's use was */
    LOSS_COST = 1 << 14,       /* instructions that one must be worth, beyond these */
};
enum { REGION_MAPPED = 1, REGION_SUPERPAGE = 2 };

/* Where a page of memory is mapped in a window. If in several places, the window is dropped when one
 * must be found. */
struct window_page {
    uint32_t va;
    bool used, several;
};

/* ---- mapping ------------------------------------------------------------------------------ */

static void *map_zeroed(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void forget_space(struct space *s, const struct machine *m)
{
    if (s->base)
        munmap(s->base, WINDOW_SIZE + GUARD);
    if (s->mapped_bits)
        munmap(s->mapped_bits, PAGES / 8);
    if (s->writable_bits)
        munmap(s->writable_bits, PAGES / 8);
    if (s->page)
        munmap(s->page, m->ram.size / RAM_PAGE * sizeof *s->page);
    if (s->frame)
        munmap(s->frame, PAGES * sizeof *s->frame);
    free(s->region);
    s->base = NULL;
    s->mapped_bits = s->writable_bits = NULL;
    s->page = NULL;
    s->frame = NULL;
    s->region = NULL;
}

static bool reserve(struct space *s, const struct machine *m)
{
    void *at = mmap(NULL, WINDOW_SIZE + GUARD, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    s->base = at == MAP_FAILED ? NULL : at;
    s->mapped_bits = map_zeroed(PAGES / 8);
    s->writable_bits = map_zeroed(PAGES / 8);
    s->page = map_zeroed(m->ram.size / RAM_PAGE * sizeof *s->page);
    s->frame = map_zeroed(PAGES * sizeof *s->frame);
    s->region = calloc(REGIONS, sizeof *s->region);
    if (s->base && s->mapped_bits && s->writable_bits && s->page && s->frame && s->region)
        return true;
    forget_space(s, m);
    return false;
}

static void unmap(struct space *s, uint32_t va, uint64_t size)
{
    mmap(s->base + va, size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void clear_region(struct space *s, unsigned region)
{
    enum { WORDS = SUPERPAGE_SIZE / RAM_PAGE / 64 };
    if (s->region[region]) {
        memset(&s->mapped_bits[region * WORDS], 0, WORDS * 8);
        memset(&s->writable_bits[region * WORDS], 0, WORDS * 8);
    }
    s->region[region] = 0;
}

static void drop(struct space *s, const struct machine *m)
{
    if (s->mapped) {
        unmap(s, 0, WINDOW_SIZE);
        for (unsigned region = 0; region < REGIONS; region++)
            clear_region(s, region);
        memset(s->page, 0, m->ram.size / RAM_PAGE * sizeof *s->page);
    }
    s->mapped = 0;
}

void jit_windows_free(struct jit *jit)
{
    for (int n = 0; n < TLB_CONTEXTS; n++)
        forget_space(&jit->space[n], jit->machine);
}

/* ---- when a window is used ---------------------------------------------------------------- */

static bool allowed(const struct jit *jit)
{
    const struct machine *m = jit->machine;
    bool data_events = m->events.mask & (EVENT_BIT(EVENT_READ) | EVENT_BIT(EVENT_WRITE));
    return m->ram.fd >= 0 && !m->config.misaligned_trap && !machine_watches_data(&m->debug) &&
           !data_events;
}

/* Back to the table, with a longer wait for the next time. What is mapped stays. */
static void stop_using(struct space *s)
{
    if (s->used && s->patience < PATIENCE_LIMIT)
        s->patience *= 2;
    s->used = false;
    s->steady = 0;
    s->losses = 0;
}

/* Credits the instructions since the last time to the space that was current then. */
static void credit(struct jit *jit, unsigned number)
{
    uint64_t executed = jit->machine->hart.executed;
    if (executed > jit->credited) /* else the machine was reset */
        jit->space[jit->current].steady += executed - jit->credited;
    jit->credited = executed;
    jit->current = number;
}

struct space *jit_window(struct jit *jit)
{
    const struct machine *m = jit->machine;
    unsigned number = m->data_context;
    struct space *s = &jit->space[number];
    credit(jit, number);
    if (s->upheaval != m->tlb.upheaval[number]) {
        s->upheaval = m->tlb.upheaval[number];
        drop(s, m);
        stop_using(s);
    }
    if (s->used && s->losses > LOSSES_FREE + s->steady / LOSS_COST)
        stop_using(s);
    if (!s->patience)
        s->patience = PATIENCE;
    if (!s->used && s->steady > s->patience && allowed(jit)) {
        s->used = s->base || reserve(s, m);
        s->steady = 0;
    }
    return s->used ? s : NULL;
}

/* ---- filling ------------------------------------------------------------------------------ */

/* Does the access lead to this frame, without the walk having to set a bit? */
static bool leads_to(struct machine *m, struct walk *w, uint32_t va, uint32_t pa)
{
    w->look_only = true;
    if (!mmu_walk(m, va, w) || w->pa != pa || mmu_page_is_special(m, pa))
        return false;
    if (w->steps && w->step[w->steps - 1].pte != w->step[w->steps - 1].pte_new)
        return false;
    return pmp_allows(&m->hart.pmp, w->context.mode, w->access, pa, RAM_PAGE);
}

/* Would the page at va, `distance` pages from one that is being mapped, be mapped alike: the frame
 * next in order, and the same rights? */
static bool is_alike(struct machine *m, uint32_t va, uint32_t pa, bool writable, bool near)
{
    enum access access = writable ? ACCESS_WRITE : ACCESS_READ;
    struct walk w = {.context = mmu_context(m, access), .access = access};
    if (!leads_to(m, &w, va, pa))
        return false;
    if (ram_is_absent(&m->ram, pa)) /* it is not worth a journey */
        return false;
    const uint8_t *host = ram_page(&m->ram, pa);
    if (!host || !writable)
        return host;
    return near ? !ram_is_derived(&m->ram, host) : ram_may_take_writes(&m->ram, host);
}

static bool bit_of(const uint64_t *bits, uint32_t va)
{
    return bits[va / RAM_PAGE / 64] >> va / RAM_PAGE % 64 & 1;
}

/* How many pages from (va, pa) on, in steps of +1 or -1 page, are alike and not mapped so yet. */
static uint32_t neighbours(struct machine *m, const struct space *s, uint32_t va, uint32_t pa,
                           bool writable, int step)
{
    const uint64_t *mapped = writable ? s->writable_bits : s->mapped_bits;
    uint32_t n = 0, by = (uint32_t)step * RAM_PAGE;
    while (n < NEIGHBOURS) {
        uint32_t next = va + by * (n + 1);
        bool wraps = step > 0 ? next < va : next > va;
        if (wraps || bit_of(mapped, next) || !is_alike(m, next, pa + by * (n + 1), writable, n < NEAR))
            return n;
        n++;
    }
    return n;
}

static void note_page(struct space *s, uint32_t page, uint32_t va, unsigned level, bool writable)
{
    uint64_t bit = 1ull << va / RAM_PAGE % 64, *writables = &s->writable_bits[va / RAM_PAGE / 64];
    struct window_page *p = &s->page[page];
    p->several = p->used && (p->several || p->va != va);
    p->va = va;
    p->used = true;
    s->frame[va / RAM_PAGE] = page;
    s->mapped_bits[va / RAM_PAGE / 64] |= bit;
    *writables = writable ? *writables | bit : *writables & ~bit;
    s->region[va / SUPERPAGE_SIZE] |= level ? REGION_MAPPED | REGION_SUPERPAGE : REGION_MAPPED;
}

/* The level of the leaf that maps va. */
static unsigned leaf_level(struct machine *m, uint32_t va)
{
    struct walk w = {.context = mmu_context(m, ACCESS_READ), .access = ACCESS_READ,
                     .look_only = true};
    return mmu_walk(m, va, &w) ? w.level : 1;
}

static bool map_page(struct jit *jit, struct space *s, uint32_t va, const struct tlb_entry *e,
                     bool writable)
{
    struct machine *m = jit->machine;
    uint32_t page = va & ~PAGE_MASK;
    uint32_t before = neighbours(m, s, page, e->pa, writable, -1);
    uint32_t after = neighbours(m, s, page, e->pa, writable, 1);
    uint32_t count = before + 1 + after, first = page - before * RAM_PAGE;
    off_t offset = (e->host - m->ram.mapping) - (off_t)before * RAM_PAGE;
    int rights = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (s->mapped >= MAPPINGS) {
        drop(s, m);
        s->losses = UINT32_MAX / 2;
    }
    void *at = mmap(s->base + first, (size_t)count * RAM_PAGE, rights, MAP_SHARED | MAP_FIXED,
                    m->ram.fd, offset);
    if (at == MAP_FAILED)
        return false;
    s->mapped++;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at_va = first + n * RAM_PAGE;
        bool begins = n == 0 || at_va % SUPERPAGE_SIZE == 0;
        if (writable)
            ram_will_write(&m->ram, m->ram.mapping + offset + (size_t)n * RAM_PAGE);
        note_page(s, (uint32_t)(offset / RAM_PAGE) + n, at_va, begins ? leaf_level(m, at_va) : 0,
                  writable);
    }
    return true;
}

/* Overwrites the access with a jump to the call of the interpreter. */
static void give_up(struct jit *jit, const struct site *site)
{
    uint8_t *code = jit->write + site->fault;
    memset(code, 0x90, site->length);
    code[0] = 0xe9;
    emit_patch(jit->write, site->fault + 1, site->stub);
}

void jit_window_missed(struct jit *jit, struct site *site, uint32_t va, enum access access)
{
    struct machine *m = jit->machine;
    struct space *s = &jit->space[m->data_context];
    const struct tlb_entry *e = tlb_slot(&m->tlb, va);
    bool writable = e->tag[ACCESS_WRITE] == tlb_tag(va, m->context[ACCESS_WRITE]);
    bool readable = e->tag[ACCESS_READ] == tlb_tag(va, m->context[ACCESS_READ]);
    if (!s->used || site->faults > REFUSALS)
        return;
    if ((access == ACCESS_WRITE ? writable : readable || writable) &&
        map_page(jit, s, va, e, writable))
        return;
    if (++site->faults > REFUSALS)
        give_up(jit, site);
}

/* A page fault is mapped on demand and the access made again; but where the same page traps time and
 * again (a virtual device), the host's fault before that is in vain. */
void jit_window_trapped(struct jit *jit, struct site *site, uint32_t va)
{
    uint32_t page = va / RAM_PAGE;
    jit->space[jit->current].losses++;
    site->traps = site->trapped == page && site->traps < UINT8_MAX ? site->traps + 1 : 0;
    site->trapped = page;
    if (site->traps > TRAPS && site->faults <= REFUSALS) {
        site->faults = REFUSALS + 1;
        give_up(jit, site);
    }
}

/* ---- forgetting --------------------------------------------------------------------------- */

static void unmap_page(struct space *s, uint32_t va)
{
    unmap(s, va & ~PAGE_MASK, RAM_PAGE);
    s->mapped_bits[va / RAM_PAGE / 64] &= ~(1ull << va / RAM_PAGE % 64);
    s->writable_bits[va / RAM_PAGE / 64] &= ~(1ull << va / RAM_PAGE % 64);
    s->mapped++; /* it may have cut a mapping in two */
    s->losses++;
}

/* The fence of an address in a 4 MiB page concerns all of that page. */
void jit_window_fence(struct jit *jit, uint32_t va)
{
    for (int n = 0; n < TLB_CONTEXTS; n++) {
        struct space *s = &jit->space[n];
        if (!s->mapped)
            continue;
        if (s->region[va / SUPERPAGE_SIZE] & REGION_SUPERPAGE) {
            unmap(s, va & ~(SUPERPAGE_SIZE - 1), SUPERPAGE_SIZE);
            clear_region(s, va / SUPERPAGE_SIZE);
            s->losses++;
        } else if (bit_of(s->mapped_bits, va)) {
            unmap_page(s, va);
        }
    }
}

void jit_window_protect(struct jit *jit, uint32_t page)
{
    for (int n = 0; n < TLB_CONTEXTS; n++) {
        struct space *s = &jit->space[n];
        if (!s->mapped || !s->page[page].used)
            continue;
        if (s->page[page].several)
            drop(s, jit->machine);
        else
            unmap_page(s, s->page[page].va);
        s->page[page] = (struct window_page){0};
    }
}

/* Takes the right to write from the page at va and its neighbours that follow. */
static bool make_readonly(struct space *s, uint32_t va, uint32_t count)
{
    if (mprotect(s->base + va, (size_t)count * RAM_PAGE, PROT_READ))
        return false;
    for (uint32_t n = 0; n < count; n++, va += RAM_PAGE)
        s->writable_bits[va / RAM_PAGE / 64] &= ~(1ull << va / RAM_PAGE % 64);
    s->mapped -= count < s->mapped ? count : s->mapped - 1; /* to map them for writing will count */
    return true;
}

/* How many of the pages from the first on are mapped for writing side by side. */
static uint32_t writable_run(const struct space *s, const uint32_t *page, uint32_t count)
{
    uint32_t n = 0, va = s->page[page[0]].va;
    while (n < count && s->page[page[n]].used && !s->page[page[n]].several &&
           s->page[page[n]].va == va + n * RAM_PAGE && bit_of(s->writable_bits, va + n * RAM_PAGE))
        n++;
    return n;
}

static void clean_in_space(struct space *s, const struct machine *m, const uint32_t *page,
                           uint32_t count)
{
    for (uint32_t n = 0; n < count && s->mapped;) {
        const struct window_page *p = &s->page[page[n]];
        uint32_t run = p->used && !p->several ? writable_run(s, &page[n], count - n) : 0;
        if ((p->used && p->several) || (run && !make_readonly(s, p->va, run)))
            drop(s, m);
        n += run ? run : 1;
    }
}

void jit_windows_cleaned(struct jit *jit, const uint32_t *page, uint32_t count)
{
    for (int n = 0; n < TLB_CONTEXTS; n++)
        clean_in_space(&jit->space[n], jit->machine, page, count);
}

/* ---- another moment ------------------------------------------------------------------------ */

enum verdict { STAYS, READ_ONLY, GOES };

/* A stretch of pages that are treated alike. */
struct stretch {
    uint32_t va, count;
    enum verdict verdict;
};

/* Is what is mapped at va what a walk would find there now? */
static enum verdict judge(struct machine *m, struct space *s, const struct tlb_context *context,
                          uint32_t va)
{
    uint32_t page = s->frame[va / RAM_PAGE], pa = m->ram.base + page * RAM_PAGE;
    struct walk read = {.context = *context, .access = ACCESS_READ}, write = read;
    if (!bit_of(s->mapped_bits, va))
        return STAYS;
    if (!leads_to(m, &read, va, pa))
        return GOES;
    if (read.level)
        s->region[va / SUPERPAGE_SIZE] |= REGION_SUPERPAGE;
    if (!bit_of(s->writable_bits, va))
        return STAYS;
    write.access = ACCESS_WRITE;
    return leads_to(m, &write, va, pa) &&
                   ram_takes_writes(&m->ram, m->ram.mapping + page * RAM_PAGE)
               ? STAYS
               : READ_ONLY;
}

static void note_unmapped(struct space *s, uint32_t va)
{
    struct window_page *p = &s->page[s->frame[va / RAM_PAGE]];
    s->mapped_bits[va / RAM_PAGE / 64] &= ~(1ull << va / RAM_PAGE % 64);
    s->writable_bits[va / RAM_PAGE / 64] &= ~(1ull << va / RAM_PAGE % 64);
    if (!p->several)
        *p = (struct window_page){0};
}

static void carry_out(struct space *s, const struct machine *m, const struct stretch *t)
{
    if (t->verdict == READ_ONLY && !make_readonly(s, t->va, t->count))
        drop(s, m);
    if (t->verdict != GOES)
        return;
    unmap(s, t->va, (uint64_t)t->count * RAM_PAGE);
    for (uint32_t n = 0; n < t->count; n++)
        note_unmapped(s, t->va + n * RAM_PAGE);
    s->mapped++; /* it may have cut a mapping in two */
}

static void judge_region(struct machine *m, struct space *s, const struct tlb_context *context,
                         uint32_t region)
{
    struct stretch t = {.va = region * SUPERPAGE_SIZE};
    for (uint32_t n = 0; n < SUPERPAGE_SIZE / RAM_PAGE && s->mapped; n++) {
        uint32_t va = region * SUPERPAGE_SIZE + n * RAM_PAGE;
        enum verdict verdict = judge(m, s, context, va);
        if (verdict != t.verdict) {
            carry_out(s, m, &t);
            t = (struct stretch){.va = va, .verdict = verdict};
        }
        t.count++;
    }
    if (s->mapped)
        carry_out(s, m, &t);
}

/* It is not the guest's doing, so it does not speak against the window. */
static void judge_space(struct jit *jit, unsigned number)
{
    struct machine *m = jit->machine;
    struct space *s = &jit->space[number];
    s->upheaval = m->tlb.upheaval[number];
    if (!allowed(jit)) {
        drop(s, m);
        s->steady = s->used ? s->patience + 1 : 0; /* to be used again as soon as it may */
        s->used = false;
    }
    for (uint32_t region = 0; region < REGIONS && s->mapped; region++)
        if (s->region[region])
            judge_region(m, s, &m->tlb.context[number], region);
}

void jit_windows_flush(struct jit *jit)
{
    struct machine *m = jit->machine;
    bool right[TLB_CONTEXTS] = {false};
    for (unsigned n = 1; n < m->tlb.contexts; n++)
        right[n] = jit->space[n].upheaval == m->tlb.upheaval[n];
    mmu_flush(m);
    for (unsigned n = 1; n < m->tlb.contexts; n++)
        if (right[n])
            judge_space(jit, n);
}

/* ---- faults ------------------------------------------------------------------------------- */

static _Thread_local struct jit *running;
static struct sigaction before;

/* The site whose access is at this offset of the code, or NULL. Sites are in order. */
static const struct site *site_at(const struct jit *jit, uint64_t offset)
{
    uint32_t low = 0, high = jit->sites;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (jit->site[middle].fault < offset)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < jit->sites && jit->site[low].fault == offset && jit->site[low].length;
    return found ? &jit->site[low] : NULL;
}

/* Not ours: as if we had never been there. Returning executes the instruction again. */
static void hand_on(int signal, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signal, info, context);
    else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN)
        sigaction(signal, &before, NULL);
    else
        before.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    const struct jit *jit = running;
    uint64_t offset = jit ? (uint64_t)*rip - (uintptr_t)jit->run : CODE_SIZE;
    const struct site *site = offset < CODE_SIZE ? site_at(jit, offset) : NULL;
    if (site)
        *rip = (greg_t)((uintptr_t)jit->run + site->stub);
    else
        hand_on(signal, info, context);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before);
}

void jit_catch_faults(struct jit *jit)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (jit)
        pthread_once(&once, install);
    running = jit;
}
