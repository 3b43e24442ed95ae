/*
 * The x86 page-table walk, for all formats of the tables. See walk.h.
 *
 * Reading order: LAYOUT, the formats as a table; reserved_bits(); kvm_walk(), the algorithm;
 * refuse_access(), the rights. Sections are those of the Intel SDM vol. 3A, chapter 4.
 */
#include "hv/kvm/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BIT(n)          (1ull << (n))
#define BITS(high, low) ((~0ull >> (63 - (high))) & (~0ull << (low)))

enum {
    CR0_WP = 1 << 16,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_LA57 = 1 << 12,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11,
    RFLAGS_AC = 1 << 18
};
#define CR0_PG 0x80000000u

/* ---- the formats, section 4.1.1 ------------------------------------------------------------- */

/*
 * A linear address is cut into an index for each level and an offset:
 *
 *      32-bit                         10 directory | 10 table | 12
 *      PAE                2 pointers | 9 directory |  9 table | 12
 *      4-level   9 PML4 | 9 pointers | 9 directory |  9 table | 12
 *      5-level   ... and 9 PML5 in front
 */
static const struct layout {
    const char *name;
    uint8_t levels, entry_size, index_bits;
    uint8_t va_bits; /* of a linear address that the tables translate */
} LAYOUT[] = {
    [KVM_PAGING_OFF] = {"paging off", 0, 0, 0, 32},
    [KVM_PAGING_32] = {"32-bit paging", 2, 4, 10, 32},
    [KVM_PAGING_PAE] = {"PAE paging", 3, 8, 9, 32},
    [KVM_PAGING_4_LEVEL] = {"4-level paging", 4, 8, 9, 48},
    [KVM_PAGING_5_LEVEL] = {"5-level paging", 5, 8, 9, 57},
};

static bool is_64_bit(const struct kvm_paging *p)
{
    return p->mode >= KVM_PAGING_4_LEVEL;
}

/* How far an address lies to the left of a level's index: what one entry maps is 1 << this bytes.
 */
static unsigned shift_of(const struct kvm_paging *p, unsigned level)
{
    return 12 + (level - 1) * LAYOUT[p->mode].index_bits;
}

static unsigned entries_of(const struct kvm_paging *p, unsigned level)
{
    if (p->mode == KVM_PAGING_PAE && level == 3)
        return 4;
    return 1u << LAYOUT[p->mode].index_bits;
}

const char *kvm_paging_name(enum kvm_paging_mode mode)
{
    return LAYOUT[mode].name;
}

unsigned kvm_paging_levels(enum kvm_paging_mode mode)
{
    return LAYOUT[mode].levels;
}

const char *kvm_paging_table_name(enum kvm_paging_mode mode, unsigned level)
{
    static const char *const name[] = {"page",           "page table",
                                       "page directory", "page-directory-pointer table",
                                       "PML4 table",     "PML5 table"};
    return level <= LAYOUT[mode].levels ? name[level] : "";
}

void kvm_paging_of(struct kvm_paging *p, const struct kvm_regs *regs, const struct kvm_sregs *sregs,
                   unsigned width)
{
    *p = (struct kvm_paging){
        .mode = KVM_PAGING_OFF,
        .cr3 = sregs->cr3,
        .width = width < 32   ? 32
                 : width > 52 ? 52
                              : width,
        .pse = sregs->cr4 & CR4_PSE,
        .huge = true,
        .nxe = sregs->efer & EFER_NXE,
        .wp = sregs->cr0 & CR0_WP,
        .smep = sregs->cr4 & CR4_SMEP,
        .smap = sregs->cr4 & CR4_SMAP,
        .ac = regs->rflags & RFLAGS_AC,
        .user = sregs->ss.dpl == 3, /* KVM keeps the CPL there, as VMX and SVM do */
    };
    if (!(sregs->cr0 & CR0_PG))
        return;
    if (!(sregs->cr4 & CR4_PAE))
        p->mode = KVM_PAGING_32;
    else if (!(sregs->efer & EFER_LMA))
        p->mode = KVM_PAGING_PAE;
    else
        p->mode = sregs->cr4 & CR4_LA57 ? KVM_PAGING_5_LEVEL : KVM_PAGING_4_LEVEL;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Does the entry hold a page? In level 1 always; above, if its PS bit says so and counts there. */
static bool is_leaf(const struct kvm_paging *p, unsigned level, uint64_t entry)
{
    if (level == 1)
        return true;
    if (!(entry & X86_PTE_PS))
        return false;
    if (p->mode == KVM_PAGING_32)
        return p->pse;
    return level == 2 || (level == 3 && is_64_bit(p) && p->huge);
}

/*
 * The bits that must be 0 in a present entry: sections 4.3 (table 4-4, for 4 MiB
 * pages), 4.4.1, 4.4.2 and 4.5.4. Bits of a physical address that the processor does not have are
 * reserved everywhere, except in 32-bit paging, whose entries are too short to hold them.
 */
static uint64_t reserved_bits(const struct kvm_paging *p, unsigned level, bool leaf)
{
    if (p->mode == KVM_PAGING_32) {
        /* PSE-36: bits 20:13 of a 4 MiB page's entry are address bits 39:32. */
        unsigned width = p->width < 40 ? p->width : 40;
        return leaf && level == 2 ? BITS(21, width - 19) : 0;
    }
    if (p->mode == KVM_PAGING_PAE && level == 3)
        return BITS(63, p->width) | BITS(8, 5) | BITS(2, 1);

    unsigned top = p->mode == KVM_PAGING_PAE ? 62 : 51;
    uint64_t reserved = p->width <= top ? BITS(top, p->width) : 0;
    if (!p->nxe)
        reserved |= X86_PTE_XD;
    if (level > 1 && leaf) /* the frame of a large page is aligned; bit 12 is PAT */
        reserved |= BITS(shift_of(p, level) - 1, 13);
    if (level > 2 && !leaf) /* no large pages here */
        reserved |= X86_PTE_PS;
    return reserved;
}

/* The guest-physical address that an entry holds: of a page's first byte, or of a table. */
static uint64_t address_in(const struct kvm_paging *p, unsigned level, uint64_t entry, bool leaf)
{
    if (p->mode == KVM_PAGING_32 && leaf && level == 2)
        return (entry & BITS(31, 22)) | (entry >> 13 & 0xff) << 32;
    unsigned low = leaf ? shift_of(p, level) : 12;
    return entry & BITS(51, low);
}

static uint64_t root_of(const struct kvm_paging *p)
{
    switch (p->mode) {
    case KVM_PAGING_32: return p->cr3 & BITS(31, 12);
    case KVM_PAGING_PAE: return p->cr3 & BITS(31, 5); /* 4 entries are 32 bytes */
    default: return p->cr3 & BITS(51, 12);
    }
}

/* Rights are restricted from level to level, section 4.6. PAE's pointer entries have none to
 * restrict. */
static void add_rights(const struct kvm_paging *p, struct kvm_walk_step *s)
{
    if (p->mode == KVM_PAGING_PAE && s->level == 3)
        return;
    s->writable = s->writable && s->entry & X86_PTE_RW;
    s->user = s->user && s->entry & X86_PTE_US;
    s->executable = s->executable && !(p->nxe && s->entry & X86_PTE_XD);
}

/* Reads entry `index` of a table and adds what it says to the rights in `step`. False: not RAM. */
static bool read_entry(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t table,
                       unsigned level, unsigned index, struct kvm_walk_step *step)
{
    uint8_t size = LAYOUT[p->mode].entry_size;
    step->level = (uint8_t)level;
    step->entry_size = size;
    step->index = (uint16_t)index;
    step->table = table;
    step->at = table + (uint64_t)index * size;
    step->entry = 0;
    step->leaf = false;
    if (!kvm_memory_read(memory, step->at, &step->entry, size)) /* little-endian, as the host */
        return false;
    step->leaf = is_leaf(p, level, step->entry);
    if (step->entry & X86_PTE_P)
        add_rights(p, step);
    return true;
}

/* ---- refusals ------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool refuse(struct kvm_walk *w, int vector,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->why, sizeof w->why, format, arguments);
    va_end(arguments);
    w->ok = false;
    w->vector = vector;
    return false;
}

/* A page fault: the error code tells of the access and adds `more`, section 4.7. */
static void fault(const struct kvm_paging *p, struct kvm_walk *w, uint32_t more)
{
    bool tells_fetches = p->smep || (p->mode >= KVM_PAGING_PAE && p->nxe);
    w->error_code = more;
    if (w->access == 'w')
        w->error_code |= X86_PF_W;
    if (w->user)
        w->error_code |= X86_PF_U;
    if (w->access == 'x' && tells_fetches)
        w->error_code |= X86_PF_I;
}

/* About the entry of the last step. */
static bool refuse_entry(const struct kvm_paging *p, struct kvm_walk *w, uint32_t more,
                         const char *what)
{
    unsigned level = w->step[w->steps - 1].level;
    fault(p, w, more);
    return refuse(w, X86_PF, "level %u entry (%s) %s", level, kvm_paging_table_name(p->mode, level),
                  what);
}

static bool refuse_reserved(const struct kvm_paging *p, struct kvm_walk *w)
{
    /* PAE's pointer entries were refused already when CR3 was loaded, section 4.4.1. */
    if (p->mode == KVM_PAGING_PAE && w->steps == 1)
        return refuse(w, X86_GP,
                      "level 3 entry (%s) has a reserved bit set: loading CR3 raises #GP",
                      kvm_paging_table_name(p->mode, 3));
    const struct kvm_walk_step *s = &w->step[w->steps - 1];
    bool only_xd = !p->nxe && (s->entry & reserved_bits(p, s->level, s->leaf)) == X86_PTE_XD;
    return refuse_entry(p, w, X86_PF_P | X86_PF_RSVD,
                        only_xd ? "has XD set, which is reserved while EFER.NXE is 0"
                                : "has a reserved bit set");
}

/* Why the access is not allowed on a page with these rights, or NULL: section 4.6.1. */
static const char *refuse_access(const struct kvm_paging *p, const struct kvm_walk *w,
                                 const struct kvm_walk_step *leaf)
{
    bool supervisor = !w->user;
    if (w->access == 0)
        return NULL;
    if (w->user && !leaf->user)
        return "the page is the supervisor's (U/S is 0), and this is user mode";
    if (w->access == 'x') {
        if (supervisor && leaf->user && p->smep)
            return "SMEP: the supervisor may not fetch from a user page";
        return leaf->executable ? NULL : "the page is not executable (XD is 1)";
    }
    if (supervisor && leaf->user && p->smap && !p->ac)
        return "SMAP: the supervisor may not touch a user page while RFLAGS.AC is 0";
    if (w->access == 'w' && !leaf->writable && (w->user || p->wp))
        return w->user ? "the page is read-only (R/W is 0)"
                       : "the page is read-only (R/W is 0), and CR0.WP is 1";
    return NULL;
}

/* ---- the walk ------------------------------------------------------------------------------- */

/* In 64-bit mode the bits above those translated repeat the highest one, vol. 1, section 3.3.7.1.
 */
static uint64_t canonical(const struct kvm_paging *p, uint64_t va)
{
    unsigned unused = 64 - LAYOUT[p->mode].va_bits;
    return is_64_bit(p) ? (uint64_t)((int64_t)(va << unused) >> unused) : va & UINT32_MAX;
}

static bool finish(const struct kvm_paging *p, uint64_t va, struct kvm_walk *w)
{
    const struct kvm_walk_step *leaf = &w->step[w->steps - 1];
    const char *why = refuse_access(p, w, leaf);
    if (why) {
        fault(p, w, X86_PF_P);
        return refuse(w, X86_PF, "%s", why);
    }
    w->page_size = BIT(shift_of(p, leaf->level));
    w->pa = address_in(p, leaf->level, leaf->entry, true) | (va & (w->page_size - 1));
    w->leaf = leaf->entry;
    w->writable = leaf->writable;
    w->user_page = leaf->user;
    w->executable = leaf->executable;
    w->global = leaf->entry & X86_PTE_G;
    return w->ok = true;
}

bool kvm_walk(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t va,
              struct kvm_walk *w)
{
    *w = (struct kvm_walk){.access = w->access, .user = w->user, .vector = -1};
    if (va != canonical(p, va))
        return is_64_bit(p) ? refuse(w, X86_GP, "the address is not canonical (%u bits)",
                                     LAYOUT[p->mode].va_bits)
                            : refuse(w, -1, "linear addresses have 32 bits in this mode");
    if (p->mode == KVM_PAGING_OFF) {
        w->pa = va;
        w->writable = w->user_page = w->executable = true;
        return w->ok = true;
    }

    struct kvm_walk_step rights = {.writable = true, .user = true, .executable = true};
    uint64_t table = root_of(p);
    for (unsigned level = LAYOUT[p->mode].levels;; level--) {
        struct kvm_walk_step *step = &w->step[w->steps];
        unsigned index = va >> shift_of(p, level) & (entries_of(p, level) - 1);
        *step = rights;
        if (!read_entry(p, memory, table, level, index, step))
            return refuse(w, -1, "the level %u table (%s) at 0x%llx is not in the guest's memory",
                          level, kvm_paging_table_name(p->mode, level), (unsigned long long)table);
        w->steps++;
        if (!(step->entry & X86_PTE_P))
            return refuse_entry(p, w, 0, "is not present");
        if (step->entry & reserved_bits(p, level, step->leaf))
            return refuse_reserved(p, w);
        if (step->leaf)
            return finish(p, va, w);
        table = address_in(p, level, step->entry, false);
        rights = *step;
    }
}

/* ---- a whole address space ------------------------------------------------------------------ */

/* Tables that point to themselves map 2^36 pages with one page of memory: look at so many entries.
 */
enum { LIST_ENTRIES = 1 << 19 };

struct listing {
    const struct kvm_paging *paging;
    const struct kvm_memory *memory;
    uint64_t from; /* not sign-extended */
    struct kvm_region *out;
    int count, max;
    unsigned looked_at;
    uint64_t next;
};

/* Adds one page, to the run before it if it goes on. False: there is no room. */
static bool list_page(struct listing *l, uint64_t va, const struct kvm_walk_step *leaf)
{
    const struct kvm_paging *p = l->paging;
    uint64_t size = BIT(shift_of(p, leaf->level));
    struct kvm_region page = {
        .va = canonical(p, va),
        .pa = address_in(p, leaf->level, leaf->entry, true),
        .size = size,
        .page_size = size,
        .writable = leaf->writable,
        .user = leaf->user,
        .executable = leaf->executable,
        .global = leaf->entry & X86_PTE_G,
    };
    struct kvm_region *run = l->count ? &l->out[l->count - 1] : NULL;
    if (run && run->va + run->size == page.va && run->pa + run->size == page.pa &&
        run->page_size == page.page_size && run->writable == page.writable &&
        run->user == page.user && run->executable == page.executable &&
        run->global == page.global) {
        run->size += size;
        return true;
    }
    if (l->count == l->max)
        return false;
    l->out[l->count++] = page;
    return true;
}

/* Lists what the table at `table` maps; its first entry is for `base`. False: go on at l->next. */
static bool list_table(struct listing *l, uint64_t table, unsigned level, uint64_t base,
                       const struct kvm_walk_step *rights)
{
    const struct kvm_paging *p = l->paging;
    unsigned shift = shift_of(p, level);
    uint64_t first = l->from > base ? (l->from - base) >> shift : 0;
    for (unsigned i = (unsigned)first; i < entries_of(p, level); i++) {
        struct kvm_walk_step step = *rights;
        uint64_t va = base + ((uint64_t)i << shift);
        l->next = canonical(p, va);
        if (l->looked_at++ == LIST_ENTRIES)
            return false;
        if (!read_entry(p, l->memory, table, level, i, &step))
            return true; /* the rest of the table is not there either */
        if (!(step.entry & X86_PTE_P) || step.entry & reserved_bits(p, level, step.leaf))
            continue;
        bool done = step.leaf ? list_page(l, va, &step)
                              : list_table(l, address_in(p, level, step.entry, false), level - 1,
                                           va, &step);
        if (!done)
            return false;
    }
    return true;
}

int kvm_walk_regions(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t from,
                     struct kvm_region *out, int max, uint64_t *next)
{
    struct listing l = {.paging = p, .memory = memory, .out = out, .max = max};
    struct kvm_walk_step rights = {.writable = true, .user = true, .executable = true};
    unsigned bits = LAYOUT[p->mode].va_bits;
    *next = 0;
    if (max <= 0 || (!is_64_bit(p) && from >> 32))
        return 0;
    if (p->mode == KVM_PAGING_OFF) {
        out[0] = (struct kvm_region){.va = from,
                                     .pa = from,
                                     .size = BIT(32) - from,
                                     .writable = true,
                                     .user = true,
                                     .executable = true};
        return 1;
    }
    if (from != canonical(p, from)) /* in the hole between the halves: the upper one comes next */
        from = BIT(bits - 1);
    l.from = from & BITS(bits - 1, 0);
    if (!list_table(&l, root_of(p), LAYOUT[p->mode].levels, 0, &rights))
        *next = l.next;
    return l.count;
}

/* ---- memory by linear address --------------------------------------------------------------- */

/* The physical address of the bytes from va on that lie in one page: at most `count`, which is set
 * to how many they are. False: not mapped. */
static bool page_part(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t va,
                      uint64_t *pa, size_t *count)
{
    struct kvm_walk w = {.access = 0};
    size_t left = KVM_PAGE - (size_t)(va & (KVM_PAGE - 1));
    if (*count > left)
        *count = left;
    bool ok = kvm_walk(p, memory, va, &w);
    *pa = w.pa;
    return ok;
}

size_t kvm_walk_read(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t va,
                     void *bytes, size_t count)
{
    uint64_t pa;
    size_t done = 0, part = count;
    while (done < count && page_part(p, memory, va + done, &pa, &part) &&
           kvm_memory_read(memory, pa, (uint8_t *)bytes + done, part)) {
        done += part;
        part = count - done;
    }
    return done;
}

size_t kvm_walk_write(const struct kvm_paging *p, const struct kvm_memory *memory, uint64_t va,
                      const void *bytes, size_t count)
{
    uint64_t pa;
    size_t done = 0, part = count;
    while (done < count && page_part(p, memory, va + done, &pa, &part) &&
           kvm_memory_write(memory, pa, (const uint8_t *)bytes + done, part)) {
        done += part;
        part = count - done;
    }
    return done;
}
