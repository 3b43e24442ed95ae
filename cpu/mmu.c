/*
 * The MMU: the Sv32 walk, and the accesses of instructions.
 *
 * Reading order: mmu_walk() (the specification's algorithm), then translate() (walk and TLB), then
 * mmu_load() and mmu_store(). An access goes: TLB hit -> host memory; miss -> walk -> RAM, or a
 * *special* page, whose bytes must be looked at one access at a time: a device, a page that PMP
 * splits, a page that a debugger or HTIF watches. Sections are those of the privileged ISA manual,
 * 20211203.
 */
#include "cpu/mmu.h"

#include <string.h>

#include "cpu/absent.h"
#include "cpu/isa.h"
#include "cpu/machine.h"

/* ---- context: what a translation depends on besides the address --------------------------- */

/* Loads and stores in M mode with MPRV set act as if in mode MPP (section 3.1.6.3). */
static unsigned effective_mode(const struct hart *h, enum access access)
{
    if (access != ACCESS_FETCH && h->mstatus & MSTATUS_MPRV)
        return (h->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
    return h->mode;
}

struct tlb_context mmu_context(const struct machine *m, enum access access)
{
    const struct hart *h = &m->hart;
    struct tlb_context context = {.mode = (uint8_t)effective_mode(h, access)};
    if (context.mode == MODE_M || !(h->satp & SATP_SV32))
        return context;
    context.satp = h->satp;
    if (access != ACCESS_FETCH) {
        context.sum = context.mode == MODE_S && h->mstatus & MSTATUS_SUM;
        context.mxr = h->mstatus & MSTATUS_MXR;
    }
    return context;
}

static bool is_entered(const struct tlb *tlb, unsigned n, const struct tlb_context *wanted)
{
    return n && n < tlb->contexts && tlb_context_equal(&tlb->context[n], wanted);
}

/* Enters the contexts that are wanted now, if they are not those that the machine has already. */
static void enter_contexts(struct machine *m, const struct tlb_context *data,
                           const struct tlb_context *fetch)
{
    if (is_entered(&m->tlb, m->data_context, data) && is_entered(&m->tlb, m->fetch_context, fetch))
        return;
    m->data_context = m->fetch_context = tlb_context(&m->tlb, *data);
    if (!tlb_context_equal(data, fetch)) {
        m->fetch_context = tlb_context(&m->tlb, *fetch);
        /* Again, because entering the second may have dropped the first. */
        m->data_context = tlb_context(&m->tlb, *data);
    }
}

void mmu_context_changed(struct machine *m)
{
    struct tlb_context data = mmu_context(m, ACCESS_READ);
    struct tlb_context fetch = mmu_context(m, ACCESS_FETCH);
    enter_contexts(m, &data, &fetch);
    m->context[ACCESS_FETCH] = m->tlb.number[m->fetch_context];
    m->context[ACCESS_READ] = m->context[ACCESS_WRITE] = m->tlb.number[m->data_context];
    m->tlb.changes++;
    m->window.size = 0;
}

void mmu_flush(struct machine *m)
{
    tlb_flush(&m->tlb);
    m->window.size = 0;
}

/* ---- the walk, section 4.3.2 -------------------------------------------------------------- */

static uint32_t page_fault(enum access access)
{
    static const uint8_t cause[] = {[ACCESS_FETCH] = CAUSE_FETCH_PAGE,
                                    [ACCESS_READ] = CAUSE_LOAD_PAGE,
                                    [ACCESS_WRITE] = CAUSE_STORE_PAGE};
    return cause[access];
}

static uint32_t access_fault(enum access access)
{
    static const uint8_t cause[] = {[ACCESS_FETCH] = CAUSE_FETCH_ACCESS,
                                    [ACCESS_READ] = CAUSE_LOAD_ACCESS,
                                    [ACCESS_WRITE] = CAUSE_STORE_ACCESS};
    return cause[access];
}

static bool fail(struct walk *w, enum walk_failure failure)
{
    w->failure = failure;
    w->cause = page_fault(w->access);
    if (failure == WALK_NO_TABLE || failure == WALK_PMP_TABLE || failure == WALK_PMP ||
        failure == WALK_BEYOND)
        w->cause = access_fault(w->access);
    return false;
}

/* Step 5: does the leaf allow this access, in this mode? */
enum walk_failure mmu_permission(const struct tlb_context *c, enum access access, uint32_t pte)
{
    bool allowed = false;
    switch (access) {
    case ACCESS_FETCH: allowed = pte & PTE_X; break;
    case ACCESS_READ: allowed = pte & PTE_R || (c->mxr && pte & PTE_X); break;
    case ACCESS_WRITE: allowed = pte & PTE_W; break;
    }
    if (!allowed)
        return WALK_NO_PERMISSION;
    if (c->mode == MODE_U && !(pte & PTE_U))
        return WALK_USER_ONLY_S;
    if (c->mode == MODE_S && pte & PTE_U && (!c->sum || access == ACCESS_FETCH))
        return WALK_KERNEL_ON_U;
    return WALK_OK;
}

/* Step 7: accessed and dirty. Hardware sets them, unless it is told to fault instead. */
static enum walk_failure update_ad(struct machine *m, struct walk *w, uint32_t va, uint32_t *entry)
{
    struct walk_step *step = &w->step[w->steps - 1];
    uint32_t want = w->access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
    if ((step->pte & want) == want)
        return WALK_OK;
    if (m->config.ad_trap)
        return WALK_AD_CLEAR;
    if (!pmp_allows(&m->hart.pmp, MODE_S, ACCESS_WRITE, step->pte_pa, 4))
        return WALK_PMP_TABLE;
    step->pte_new = step->pte | want;
    if (w->look_only)
        return WALK_OK;
    *entry = step->pte_new;
    ram_changed(&m->ram, (uint8_t *)entry, sizeof *entry);
    machine_publish(m, EVENT_PTE_UPDATE, step->pte_pa, step->pte, step->pte_new, va);
    return WALK_OK;
}

/* The page of a table. Who only looks must not touch it: in a virtual machine that gives it a frame. */
static uint8_t *table_page(struct machine *m, const struct walk *w, uint32_t pa)
{
    static uint8_t untouched[PAGE_SIZE]; /* never written */
    if (!w->look_only || !ram_has(&m->ram, pa))
        return ram_page(&m->ram, pa);
    uint8_t *page = (uint8_t *)ram_peek(&m->ram, pa);
    return page ? page : untouched;
}

/* Reads the entry for va in the table at `table`. NULL: the table is not in memory. */
static uint32_t *read_pte(struct machine *m, struct walk *w, uint64_t table, int level, uint32_t va)
{
    uint64_t at = table + 4 * VPN(va, level);
    uint8_t *page = at >> 32 ? NULL : table_page(m, w, (uint32_t)at);
    if (!page) {
        fail(w, WALK_NO_TABLE);
        return NULL;
    }
    if (!pmp_allows(&m->hart.pmp, MODE_S, ACCESS_READ, (uint32_t)at, 4)) {
        fail(w, WALK_PMP_TABLE);
        return NULL;
    }
    uint32_t *entry = (uint32_t *)(page + (at & PAGE_MASK));
    w->step[w->steps++] = (struct walk_step){(uint8_t)level, (uint32_t)at, *entry, *entry};
    if (!w->look_only)
        machine_publish(m, EVENT_PTE_READ, (uint32_t)at, *entry, (uint32_t)level, va);
    return entry;
}

/* The leaf is found, steps 5 to 8: check it, set A and D, and put the address together. (Step 6, a
 * 4 MiB page that is misaligned, comes first here; it ends in the same page fault as step 5.) */
static bool finish(struct machine *m, struct walk *w, uint32_t va, uint32_t *entry)
{
    struct walk_step *step = &w->step[w->steps - 1];
    if (step->level > 0 && PTE_PPN(step->pte) & 0x3ff)
        return fail(w, WALK_MISALIGNED);
    enum walk_failure failure = mmu_permission(&w->context, w->access, step->pte);
    if (failure == WALK_OK)
        failure = update_ad(m, w, va, entry);
    if (failure != WALK_OK)
        return fail(w, failure);

    uint32_t offset = va & (step->level ? SUPERPAGE_SIZE - 1 : PAGE_MASK);
    uint64_t pa = ((uint64_t)PTE_PPN(step->pte) << PAGE_SHIFT) + offset;
    if (pa >> 32)
        return fail(w, WALK_BEYOND);
    w->pa = (uint32_t)pa;
    w->pte = step->pte_new;
    w->level = step->level;
    return true;
}

bool mmu_walk(struct machine *m, uint32_t va, struct walk *w)
{
    w->failure = WALK_OK;
    w->steps = 0;
    if (!w->context.satp) { /* translation is off */
        w->pa = va;
        w->pte = PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D | PTE_V;
        w->level = 0;
        return true;
    }
    uint64_t table = (uint64_t)SATP_PPN(w->context.satp) << PAGE_SHIFT; /* step 1 */
    for (int level = MMU_LEVELS - 1; level >= 0; level--) {
        uint32_t *entry = read_pte(m, w, table, level, va); /* step 2 */
        if (!entry)
            return false;
        uint32_t pte = *entry;
        if (!(pte & PTE_V)) /* step 3 */
            return fail(w, WALK_INVALID);
        if ((pte & (PTE_R | PTE_W)) == PTE_W)
            return fail(w, WALK_RESERVED);
        if (PTE_IS_LEAF(pte)) /* step 4 */
            return finish(m, w, va, entry);
        if (pte & (PTE_A | PTE_D | PTE_U))
            return fail(w, WALK_RESERVED_BITS);
        table = (uint64_t)PTE_PPN(pte) << PAGE_SHIFT;
    }
    return fail(w, WALK_NOT_LEAF);
}

const char *mmu_failure_text(enum walk_failure failure)
{
    static const char *const text[] = {
        [WALK_OK] = "ok",
        [WALK_NO_TABLE] = "the page table is not in memory",
        [WALK_INVALID] = "the entry is not valid (V = 0)",
        [WALK_RESERVED] = "the entry has W without R, which is reserved",
        [WALK_NOT_LEAF] = "a level 0 entry points to a further table",
        [WALK_MISALIGNED] = "a 4 MiB page whose frame is not aligned to 4 MiB",
        [WALK_RESERVED_BITS] = "a pointer entry has A, D or U set, which is reserved",
        [WALK_NO_PERMISSION] = "the entry does not allow this kind of access",
        [WALK_USER_ONLY_S] = "a kernel page (U = 0), accessed from user mode",
        [WALK_KERNEL_ON_U] = "a user page (U = 1), accessed from S mode without SUM",
        [WALK_AD_CLEAR] = "A or D is clear, and hardware is told not to set it",
        [WALK_PMP_TABLE] = "PMP forbids access to the page table",
        [WALK_BEYOND] = "the frame lies above 4 GiB, where there is no memory",
        [WALK_PMP] = "PMP forbids the access",
    };
    return text[failure];
}

/* ---- special pages ------------------------------------------------------------------------ */

static bool page_is_watched(const struct machine *m, uint32_t va, uint32_t pa)
{
    for (unsigned i = 0; i < m->debug.count; i++) {
        const struct machine_break *b = &m->debug.point[i];
        if (!b->read && !b->write)
            continue;
        uint32_t page = (b->physical ? pa : va) & ~PAGE_MASK;
        if (b->address - page < PAGE_SIZE || page - b->address < b->length)
            return true;
    }
    return false;
}

bool mmu_page_is_special(const struct machine *m, uint32_t pa)
{
    if (!ram_has(&m->ram, pa) || !pmp_page_is_uniform(&m->hart.pmp, pa))
        return true;
    return m->tohost && (m->tohost ^ pa) < PAGE_SIZE;
}

/* ---- translation with the TLB ------------------------------------------------------------- */

/* Where an access goes. */
struct place {
    uint32_t pa;
    uint8_t *host; /* the page's bytes; NULL: a device, or nothing */
    bool special;
};

/* After the walk for a load: would the same walk for a store (or the other way round) end here, with
 * no bit left to be set? */
static bool answers_for(const struct machine *m, const struct walk *w, enum access access)
{
    uint32_t marks = access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
    if (w->context.satp && ((w->pte & marks) != marks ||
                            mmu_permission(&w->context, access, w->pte) != WALK_OK))
        return false;
    return pmp_allows(&m->hart.pmp, w->context.mode, access, w->pa & ~PAGE_MASK, PAGE_SIZE);
}

/* Writes to a page that holds code of the engine, or that was not written yet since somebody keeps
 * account, must come to mmu_store(). */
static bool takes_writes(const struct machine *m, const uint8_t *host)
{
    return ram_takes_writes(&m->ram, host);
}

static void fill_tlb(struct machine *m, uint32_t va, const struct walk *w, uint8_t *host)
{
    enum access other = w->access == ACCESS_READ ? ACCESS_WRITE : ACCESS_READ;
    struct tlb_entry *e = tlb_slot(&m->tlb, va);
    if (e->host != host)
        memset(e->tag, 0, sizeof e->tag);
    e->host = host;
    e->pa = w->pa & ~PAGE_MASK;
    e->pte = w->pte;
    if (w->access == ACCESS_WRITE)
        ram_will_write(&m->ram, host);
    if (w->access != ACCESS_WRITE || takes_writes(m, host))
        e->tag[w->access] = tlb_tag(va, m->context[w->access]);
    /* Who loads from a page often stores to it next, and the other way round. */
    if (w->access != ACCESS_FETCH && (other != ACCESS_WRITE || takes_writes(m, host)) &&
        answers_for(m, w, other))
        e->tag[other] = tlb_tag(va, m->context[other]);
    tlb_filled(&m->tlb, va, w->access, w->level);
    machine_publish(m, EVENT_TLB, va & ~PAGE_MASK, e->pa, w->pte, w->context.satp);
}

/* Walk, PMP, TLB fill. Raises the trap if there is one; tval is va. */
static bool translate_slowly(struct machine *m, uint32_t va, unsigned size, enum access access,
                             struct place *place)
{
    unsigned context = access == ACCESS_FETCH ? m->fetch_context : m->data_context;
    struct walk w = {.context = m->tlb.context[context], .access = access};
    m->tlb.misses++;
    if (!mmu_walk(m, va, &w))
        return machine_raise(m, w.cause, va);
    if (!pmp_allows(&m->hart.pmp, w.context.mode, access, w.pa, size))
        return machine_raise(m, access_fault(access), va);

    place->pa = w.pa;
    place->host = ram_page(&m->ram, w.pa);
    bool data_events = m->events.mask & (EVENT_BIT(EVENT_READ) | EVENT_BIT(EVENT_WRITE));
    place->special = mmu_page_is_special(m, w.pa) ||
                     (access != ACCESS_FETCH && (data_events || page_is_watched(m, va, w.pa)));
    if (!place->special && place->host)
        fill_tlb(m, va, &w, place->host);
    return true;
}

static bool translate(struct machine *m, uint32_t va, unsigned size, enum access access,
                      struct place *place)
{
    const struct tlb_entry *e = tlb_slot(&m->tlb, va);
    if (e->tag[access] != tlb_tag(va, m->context[access]))
        return translate_slowly(m, va, size, access, place);
    *place = (struct place){e->pa | (va & PAGE_MASK), e->host, false};
    return true;
}

/* What a special page or a listener wants to know, after the access was made. */
static void access_done(struct machine *m, uint32_t va, const struct place *p, unsigned size,
                        enum access access, uint32_t value)
{
    bool write = access == ACCESS_WRITE;
    if (p->host)
        machine_publish(m, write ? EVENT_WRITE : EVENT_READ, va, p->pa, size, value);
    else
        machine_publish(m, write ? EVENT_DEVICE_WRITE : EVENT_DEVICE_READ, p->pa, value, size, 0);
    if (m->debug.count)
        machine_watch(m, va, p->pa, size, access);
    if (write && m->tohost && p->pa - m->tohost < 8)
        machine_htif(m);
}

/* ---- the accesses ------------------------------------------------------------------------- */

/* Plain copies of 1, 2 or 4 bytes between host memory and a register. */
static uint32_t get(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, at, size);
    return value;
}

static void put(uint8_t *at, unsigned size, uint32_t value)
{
    memcpy(at, &value, size);
}

enum mmu_fill mmu_fill(struct machine *m, uint32_t va, unsigned size, enum access access)
{
    struct place p;
    if (!translate_slowly(m, va, size, access, &p))
        return MMU_WOULD_TRAP;
    bool there = tlb_slot(&m->tlb, va)->tag[access] == tlb_tag(va, m->context[access]);
    return there ? MMU_FILLED : MMU_NOT_CACHED;
}

bool mmu_fetch(struct machine *m, uint32_t va, uint32_t *word)
{
    struct place p;
    if (!translate(m, va, 4, ACCESS_FETCH, &p))
        return false;
    if (!p.host) /* devices do not hold instructions */
        return machine_raise(m, CAUSE_FETCH_ACCESS, va);
    *word = get(p.host + (va & PAGE_MASK), 4);
    return true;
}

/*
 * A misaligned access is done byte by byte (or traps, as configured). All its bytes are translated
 * before the first is touched, so that a store is done wholly or not at all. Devices take no
 * misaligned accesses.
 */
static bool misaligned(struct machine *m, uint32_t va, unsigned size, enum access access,
                       uint32_t *value)
{
    bool write = access == ACCESS_WRITE;
    if (m->config.misaligned_trap)
        return machine_raise(m, write ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED, va);

    struct place p[4];
    for (unsigned i = 0; i < size; i++) {
        if (!translate(m, va + i, 1, access, &p[i]))
            return false;
        if (!p[i].host)
            return machine_raise(m, access_fault(access), va + i);
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = p[i].host + ((va + i) & PAGE_MASK);
        if (write) {
            *byte = (uint8_t)(*value >> (8 * i));
            ram_changed(&m->ram, byte, 1);
        } else {
            *value |= (uint32_t)*byte << (8 * i);
        }
    }
    for (unsigned i = 0; i < size; i++)
        if (p[i].special)
            access_done(m, va + i, &p[i], 1, access, (*value >> (8 * i)) & 0xff);
    return true;
}

bool mmu_load(struct machine *m, uint32_t va, unsigned size, uint32_t *value)
{
    struct place p;
    *value = 0;
    if (va & (size - 1))
        return misaligned(m, va, size, ACCESS_READ, value);
    if (!translate(m, va, size, ACCESS_READ, &p))
        return false;
    if (p.host)
        *value = get(p.host + (va & PAGE_MASK), size);
    else if (!bus_read(&m->bus, p.pa, size, value))
        return machine_raise(m, CAUSE_LOAD_ACCESS, va);
    if (p.special)
        access_done(m, va, &p, size, ACCESS_READ, *value);
    return true;
}

bool mmu_store(struct machine *m, uint32_t va, unsigned size, uint32_t value)
{
    struct place p;
    if (va & (size - 1))
        return misaligned(m, va, size, ACCESS_WRITE, &value);
    if (!translate(m, va, size, ACCESS_WRITE, &p))
        return false;
    if (p.host) {
        put(p.host + (va & PAGE_MASK), size, value);
        ram_changed(&m->ram, p.host + (va & PAGE_MASK), size);
    } else if (!absent_device_write(m, p.pa, size, value))
        return machine_raise(m, CAUSE_STORE_ACCESS, va);
    if (p.special)
        access_done(m, va, &p, size, ACCESS_WRITE, value);
    return true;
}

/* Atomics are for RAM only: devices answer with an access fault (PMA, section 3.6.3). */
uint32_t *mmu_atomic(struct machine *m, uint32_t va, enum access access, uint32_t *pa)
{
    struct place p;
    if (va & 3) {
        bool write = access == ACCESS_WRITE;
        machine_raise(m, write ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED, va);
        return NULL;
    }
    if (!translate(m, va, 4, access, &p))
        return NULL;
    if (!p.host) {
        machine_raise(m, access_fault(access), va);
        return NULL;
    }
    *pa = p.pa;
    return (uint32_t *)(p.host + (va & PAGE_MASK));
}

void mmu_atomic_done(struct machine *m, uint32_t va, uint32_t pa, enum access access, uint32_t value)
{
    struct place p = {pa, ram_page(&m->ram, pa), true};
    if (access == ACCESS_WRITE)
        ram_changed(&m->ram, p.host + (pa & PAGE_MASK), 4);
    access_done(m, va, &p, 4, access, value);
}
