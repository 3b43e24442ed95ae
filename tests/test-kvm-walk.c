/* The page walk of x86 guests: tables made by hand, and random ones against KVM's own walk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/walk.h"
#include "tests/kvm-probe.h"
#include "tests/random-tables.h"
#include "tests/tap.h"

enum { P = X86_PTE_P, RW = X86_PTE_RW, US = X86_PTE_US, PS = X86_PTE_PS, G = X86_PTE_G };
enum { ALL = P | RW | US };
#define XD X86_PTE_XD

enum { MEMORY = 4 << 20, WIDTH = 40 };

static struct kvm_memory memory;

static void setup(void)
{
    ck_assert_int_eq(kvm_memory_init(&memory, MEMORY), 0);
}

static void teardown(void)
{
    kvm_memory_free(&memory);
}

/* ---- tables made by hand -------------------------------------------------------------------- */

static struct kvm_paging paging_of(enum kvm_paging_mode mode)
{
    return (struct kvm_paging){.mode = mode,
                               .cr3 = 0x1000,
                               .width = WIDTH,
                               .pse = true,
                               .huge = true,
                               .nxe = true,
                               .wp = true};
}

static unsigned entry_size(const struct kvm_paging *p)
{
    return p->mode == KVM_PAGING_32 ? 4 : 8;
}

/* Entry of the table for `level`, which is the n-th page from the root at 0x1000 on. */
static uint64_t entry_at(const struct kvm_paging *p, unsigned level, uint64_t va)
{
    unsigned bits = p->mode == KVM_PAGING_32 ? 10 : 9;
    uint64_t index = va >> (12 + (level - 1) * bits) & ((1u << bits) - 1);
    uint64_t table = 0x1000 * (1 + (uint64_t)kvm_paging_levels(p->mode) - level);
    if (p->mode == KVM_PAGING_PAE && level == 3)
        index &= 3;
    return table + index * entry_size(p);
}

static void put_entry(const struct kvm_paging *p, unsigned level, uint64_t va, uint64_t entry)
{
    ck_assert(kvm_memory_write(&memory, entry_at(p, level, va), &entry, entry_size(p)));
}

/* Maps va by a leaf entry of `level`; the entries above it get the bits `above`. */
static void map(const struct kvm_paging *p, uint64_t va, unsigned level, uint64_t leaf,
                uint64_t above)
{
    for (unsigned l = kvm_paging_levels(p->mode); l > level; l--) {
        bool pointers = p->mode == KVM_PAGING_PAE && l == 3;
        uint64_t next = entry_at(p, l - 1, va) & ~0xfffull;
        put_entry(p, l, va, next | (pointers ? P : above));
    }
    put_entry(p, level, va, leaf);
}

static const enum kvm_paging_mode MODES[] = {KVM_PAGING_32, KVM_PAGING_PAE, KVM_PAGING_4_LEVEL,
                                             KVM_PAGING_5_LEVEL};

static const struct {
    enum kvm_paging_mode mode;
    unsigned level;
    uint64_t va, leaf, pa, size;
} PAGES[] = {
    {KVM_PAGING_32, 1, 0xc0123abc, 0x89abc000, 0x89abcabc, 0x1000},
    {KVM_PAGING_32, 2, 0xffc12345, 0x12400000 | PS, 0x12412345, 0x400000},
    {KVM_PAGING_32, 2, 0x00412345, 0x12400000 | PS | 0xab << 13, 0xab12412345, 0x400000},
    {KVM_PAGING_PAE, 1, 0xc0123abc, 0xfedcba9000, 0xfedcba9abc, 0x1000},
    {KVM_PAGING_PAE, 2, 0x7fe12345, 0xfedca00000 | PS, 0xfedca12345, 0x200000},
    {KVM_PAGING_4_LEVEL, 1, 0x7fffc0123abc, 0xfedcba9000, 0xfedcba9abc, 0x1000},
    {KVM_PAGING_4_LEVEL, 1, 0xffffffff80001008, 0x1ff000, 0x1ff008, 0x1000},
    {KVM_PAGING_4_LEVEL, 2, 0xffff800000201008, 0x40000000 | PS, 0x40001008, 0x200000},
    {KVM_PAGING_4_LEVEL, 3, 0x80c0ffee12, 0x80000000 | PS, 0x80c0ffee12 - 0x80c0000000 + 0x80000000,
     0x40000000},
    {KVM_PAGING_5_LEVEL, 1, 0xff00123456789abc, 0xabc0001000, 0xabc0001abc, 0x1000},
    {KVM_PAGING_5_LEVEL, 2, 0x00ff123456789abc, 0xabc0000000 | PS, 0xabc0189abc, 0x200000},
    {KVM_PAGING_5_LEVEL, 3, 0x0000123456789abc, 0xc0000000 | PS, 0xd6789abc, 0x40000000},
};

START_TEST(translates)
{
    struct kvm_paging p = paging_of(PAGES[_i].mode);
    struct kvm_walk w = {.access = 'w'};
    unsigned levels = kvm_paging_levels(p.mode);
    map(&p, PAGES[_i].va, PAGES[_i].level, PAGES[_i].leaf | P | RW | G, ALL);
    ck_assert_msg(kvm_walk(&p, &memory, PAGES[_i].va, &w), "%s", w.why);
    ck_assert_uint_eq(w.pa, PAGES[_i].pa);
    ck_assert_uint_eq(w.page_size, PAGES[_i].size);
    ck_assert_uint_eq(w.leaf, PAGES[_i].leaf | P | RW | G);
    ck_assert(w.writable && !w.user_page && w.executable && w.global);
    ck_assert_uint_eq(w.steps, levels - PAGES[_i].level + 1);
    for (unsigned i = 0; i < w.steps; i++) {
        const struct kvm_walk_step *s = &w.step[i];
        ck_assert_uint_eq(s->level, levels - i);
        ck_assert_uint_eq(s->table, 0x1000 * (i + 1));
        ck_assert_uint_eq(s->at, entry_at(&p, s->level, PAGES[_i].va));
        ck_assert_uint_eq(s->at, s->table + s->index * s->entry_size);
        ck_assert_int_eq(s->leaf, i + 1u == w.steps);
        ck_assert(s->writable && s->executable && s->user == !s->leaf);
    }
}
END_TEST

/* Each level's entry made not present in turn. */
START_TEST(not_present)
{
    struct kvm_paging p = paging_of(MODES[_i]);
    uint64_t va = 0x12345678;
    char begin[64];
    map(&p, va, 1, ALL | 0x5000, ALL);
    for (unsigned level = 1; level <= kvm_paging_levels(p.mode); level++) {
        struct kvm_walk w = {.access = 'w', .user = true};
        uint64_t none = 0xfffffffe;
        put_entry(&p, level, va, none);
        ck_assert(!kvm_walk(&p, &memory, va, &w));
        snprintf(begin, sizeof begin, "level %u entry (%s) is not present", level,
                 kvm_paging_table_name(p.mode, level));
        ck_assert_str_eq(w.why, begin);
        ck_assert_int_eq(w.vector, X86_PF);
        ck_assert_uint_eq(w.error_code, X86_PF_W | X86_PF_U);
        ck_assert_uint_eq(w.steps, kvm_paging_levels(p.mode) - level + 1);
    }
}
END_TEST

/* A table that lies where there is no memory: the hole, and beyond what the guest has. */
START_TEST(table_outside_memory)
{
    struct kvm_paging p = paging_of(MODES[_i]);
    struct kvm_walk w = {.access = 'r'};
    uint64_t va = 0x12345678;
    map(&p, va, 1, ALL | 0x5000, ALL);
    put_entry(&p, 2, va, ALL | 0xfee00000);
    ck_assert(!kvm_walk(&p, &memory, va, &w));
    ck_assert_str_eq(w.why,
                     "the level 1 table (page table) at 0xfee00000 is not in the guest's memory");
    ck_assert_int_eq(w.vector, -1);
    p.cr3 = MEMORY;
    ck_assert(!kvm_walk(&p, &memory, va, &w));
    ck_assert_uint_eq(w.steps, 0);
}
END_TEST

/* Rights of a page, the access, and the error code (-1: it is allowed). Section 4.6.1. */
enum { WP = 1, SMEP = 2, SMAP = 4, AC = 8, NXE = 16 };

static const struct {
    uint64_t leaf, above;
    char access, mode; /* u: user, s: supervisor */
    int controls;
    int error;
    const char *why;
} RIGHTS[] = {
    /* the supervisor on its own page */
    {P | RW, ALL, 'r', 's', 0, -1, ""},
    {P, ALL, 'r', 's', WP, -1, ""},
    {P, ALL, 'w', 's', 0, -1, ""},
    {P, ALL, 'w', 's', WP, X86_PF_P | X86_PF_W, "CR0.WP"},
    {P | RW, P | US, 'w', 's', WP, X86_PF_P | X86_PF_W, "CR0.WP"},
    {P | RW, ALL, 'w', 's', WP | SMEP | SMAP, -1, ""},
    {P, ALL, 'x', 's', WP | SMEP | SMAP, -1, ""},
    {P | XD, ALL, 'x', 's', NXE, X86_PF_P | X86_PF_I, "XD"},
    {P, ALL | XD, 'x', 's', NXE, X86_PF_P | X86_PF_I, "XD"},
    {P | XD, ALL, 'r', 's', NXE, -1, ""},
    /* the supervisor on a user page */
    {ALL, ALL, 'r', 's', 0, -1, ""},
    {ALL, ALL, 'x', 's', NXE, -1, ""},
    {ALL, ALL, 'x', 's', SMEP, X86_PF_P | X86_PF_I, "SMEP"},
    {ALL, ALL, 'r', 's', SMEP, -1, ""},
    {ALL, ALL, 'r', 's', SMAP, X86_PF_P, "SMAP"},
    {ALL, ALL, 'w', 's', SMAP, X86_PF_P | X86_PF_W, "SMAP"},
    {ALL, ALL, 'w', 's', SMAP | AC, -1, ""},
    {P | US, ALL, 'w', 's', SMAP | AC, -1, ""},
    {P | US, ALL, 'w', 's', SMAP | AC | WP, X86_PF_P | X86_PF_W, "CR0.WP"},
    {ALL, ALL, 'x', 's', SMAP, -1, ""},
    /* user mode */
    {ALL, ALL, 'r', 'u', WP | SMEP | SMAP, -1, ""},
    {ALL, ALL, 'w', 'u', WP | SMEP | SMAP, -1, ""},
    {ALL, ALL, 'x', 'u', WP | SMEP | SMAP, -1, ""},
    {P | US, ALL, 'w', 'u', 0, X86_PF_P | X86_PF_W | X86_PF_U, "read-only"},
    {ALL, P | US, 'w', 'u', 0, X86_PF_P | X86_PF_W | X86_PF_U, "read-only"},
    {P | US, ALL, 'r', 'u', 0, -1, ""},
    {P | RW, ALL, 'r', 'u', 0, X86_PF_P | X86_PF_U, "supervisor"},
    {ALL, P | RW, 'r', 'u', 0, X86_PF_P | X86_PF_U, "supervisor"},
    {P | RW, ALL, 'x', 'u', 0, X86_PF_P | X86_PF_U, "supervisor"},
    {P | RW, ALL, 'x', 'u', SMEP, X86_PF_P | X86_PF_U | X86_PF_I, "supervisor"},
    {ALL | XD, ALL, 'x', 'u', NXE, X86_PF_P | X86_PF_U | X86_PF_I, "XD"},
    {ALL | XD, ALL, 'w', 'u', NXE, -1, ""},
    /* XD while NXE is 0 is a reserved bit, whatever the access */
    {ALL | XD, ALL, 'r', 's', 0, X86_PF_P | X86_PF_RSVD, "NXE"},
    {ALL, ALL | XD, 'w', 'u', 0, X86_PF_P | X86_PF_W | X86_PF_U | X86_PF_RSVD, "NXE"},
    /* where is it? */
    {P, P, 0, 'u', WP | SMEP | SMAP, -1, ""},
};

static void check_rights(const struct kvm_paging *p, int row)
{
    struct kvm_walk w = {.access = RIGHTS[row].access, .user = RIGHTS[row].mode == 'u'};
    uint64_t va = 0x40201123;
    map(p, va, 1, RIGHTS[row].leaf | 0x7000, RIGHTS[row].above);
    bool ok = kvm_walk(p, &memory, va, &w);
    ck_assert_msg(ok == (RIGHTS[row].error < 0), "row %d in %s: %s", row, kvm_paging_name(p->mode),
                  ok ? "allowed" : w.why);
    if (ok) {
        ck_assert_uint_eq(w.pa, 0x7123);
        return;
    }
    ck_assert_int_eq(w.vector, X86_PF);
    ck_assert_msg(w.error_code == (uint32_t)RIGHTS[row].error, "row %d: %x", row, w.error_code);
    ck_assert_msg(strstr(w.why, RIGHTS[row].why), "row %d: %s", row, w.why);
}

START_TEST(rights)
{
    bool has_xd = (RIGHTS[_i].leaf | RIGHTS[_i].above) & XD;
    int controls = RIGHTS[_i].controls;
    for (int m = has_xd ? 1 : 0; m < ROWS(MODES); m++) {
        struct kvm_paging p = paging_of(MODES[m]);
        p.wp = controls & WP;
        p.smep = controls & SMEP;
        p.smap = controls & SMAP;
        p.ac = controls & AC;
        p.nxe = controls & NXE;
        if (RIGHTS[_i].access == 'x' && controls & NXE && p.mode == KVM_PAGING_32)
            continue; /* no XD there, and so no bit I in the error code */
        check_rights(&p, _i);
    }
}
END_TEST

/* Bits of a leaf or of the entries above it that must be 0. */
static const struct {
    enum kvm_paging_mode mode;
    unsigned level; /* of the leaf */
    uint64_t leaf, above;
    unsigned width;
    bool refused;
} RESERVED[] = {
    {KVM_PAGING_32, 2, PS | 1 << 21, 0, 40, true},
    {KVM_PAGING_32, 2, PS | 1 << 20, 0, 40, false},
    {KVM_PAGING_32, 2, PS | 1 << 20, 0, 39, true},
    {KVM_PAGING_32, 2, PS | 1 << 13, 0, 32, true},
    {KVM_PAGING_32, 2, PS | 1 << 20, 0, 52, false},
    {KVM_PAGING_32, 1, 0xffc, 0xff8 & ~PS, 32, false},
    {KVM_PAGING_PAE, 1, 1ull << 40, 0, 40, true},
    {KVM_PAGING_PAE, 1, 1ull << 39, 0, 40, false},
    {KVM_PAGING_PAE, 1, 1ull << 62, 0, 52, true},
    {KVM_PAGING_PAE, 2, PS | 1 << 13, 0, 40, true},
    {KVM_PAGING_PAE, 2, PS | 1 << 20, 0, 40, true},
    {KVM_PAGING_PAE, 2, PS | 1 << 12, 0, 40, false},
    {KVM_PAGING_4_LEVEL, 1, 1ull << 40, 0, 40, true},
    {KVM_PAGING_4_LEVEL, 1, 1ull << 51, 0, 52, false},
    {KVM_PAGING_4_LEVEL, 1, 1ull << 52 | 1ull << 62, 0, 40, false},
    {KVM_PAGING_4_LEVEL, 2, PS | 1 << 20, 0, 40, true},
    {KVM_PAGING_4_LEVEL, 3, PS | 1 << 29, 0, 40, true},
    {KVM_PAGING_4_LEVEL, 3, PS | 1 << 13, 0, 40, true},
    {KVM_PAGING_4_LEVEL, 3, PS | 1 << 12, 0, 40, false},
    {KVM_PAGING_4_LEVEL, 1, 0, 1ull << 45, 40, true},
    {KVM_PAGING_4_LEVEL, 3, PS, PS, 40, true},
    {KVM_PAGING_5_LEVEL, 3, PS, PS, 40, true},
    {KVM_PAGING_5_LEVEL, 1, 0, 1ull << 51, 51, true},
};

START_TEST(reserved)
{
    struct kvm_paging p = paging_of(RESERVED[_i].mode);
    struct kvm_walk w = {.access = 'r'};
    p.width = RESERVED[_i].width;
    map(&p, 0x80201123, RESERVED[_i].level, RESERVED[_i].leaf | ALL, RESERVED[_i].above | ALL);
    ck_assert_int_eq(kvm_walk(&p, &memory, 0x80201123, &w), !RESERVED[_i].refused);
    if (RESERVED[_i].refused) {
        ck_assert_uint_eq(w.error_code, X86_PF_P | X86_PF_RSVD);
        ck_assert_ptr_nonnull(strstr(w.why, "reserved"));
    }
}
END_TEST

START_TEST(odd_cases)
{
    struct kvm_paging p = paging_of(KVM_PAGING_4_LEVEL);
    struct kvm_walk w = {.access = 'r'};
    ck_assert(!kvm_walk(&p, &memory, 0x800000000000, &w));
    ck_assert_str_eq(w.why, "the address is not canonical (48 bits)");
    ck_assert_int_eq(w.vector, X86_GP);

    /* no 1 GiB pages: the bit that would make one is reserved */
    p.huge = false;
    map(&p, 0x1000, 3, ALL | PS, ALL);
    ck_assert(!kvm_walk(&p, &memory, 0x1000, &w));
    ck_assert_uint_eq(w.error_code, X86_PF_P | X86_PF_RSVD);

    p = paging_of(KVM_PAGING_5_LEVEL);
    ck_assert(!kvm_walk(&p, &memory, 1ull << 56, &w));
    ck_assert_str_eq(w.why, "the address is not canonical (57 bits)");

    /* PAE: CR3 points to 32 bytes anywhere; a reserved bit there is a matter of loading CR3 */
    p = paging_of(KVM_PAGING_PAE);
    p.cr3 = 0x1020;
    uint64_t pointer = 0x2000 | P, entry = PS | ALL;
    kvm_memory_write(&memory, 0x1028, &pointer, 8);
    kvm_memory_write(&memory, 0x2000, &entry, 8);
    ck_assert(kvm_walk(&p, &memory, 0x40000123, &w));
    ck_assert_uint_eq(w.pa, 0x123);
    pointer |= RW;
    kvm_memory_write(&memory, 0x1028, &pointer, 8);
    ck_assert(!kvm_walk(&p, &memory, 0x40000123, &w));
    ck_assert_int_eq(w.vector, X86_GP);

    /* without PSE, PS means nothing */
    p = paging_of(KVM_PAGING_32);
    p.pse = false;
    map(&p, 0x1234, 1, ALL | 0x9000, ALL | PS);
    ck_assert(kvm_walk(&p, &memory, 0x1234, &w));
    ck_assert_uint_eq(w.pa, 0x9234);
    ck_assert(!kvm_walk(&p, &memory, 1ull << 32, &w));
    ck_assert_int_eq(w.vector, -1);

    p = paging_of(KVM_PAGING_OFF);
    ck_assert(kvm_walk(&p, &memory, 0xfffffff0, &w));
    ck_assert_uint_eq(w.pa, 0xfffffff0);
    ck_assert_uint_eq(w.page_size, 0);
    ck_assert_uint_eq(w.steps, 0);
}
END_TEST

START_TEST(paging_from_registers)
{
    struct kvm_paging p;
    struct kvm_regs regs = {.rflags = 1 << 18};
    struct kvm_sregs sregs = {.cr0 = 0x80010001, .cr3 = 0x5000, .ss.dpl = 3};
    static const struct {
        uint64_t cr4, efer;
        enum kvm_paging_mode mode;
    } CASES[] = {
        {0x10, 0, KVM_PAGING_32},
        {0x20, 0x800, KVM_PAGING_PAE},
        {0x20, 0xd00, KVM_PAGING_4_LEVEL},
        {0x1020, 0xd00, KVM_PAGING_5_LEVEL},
    };
    for (int i = 0; i < ROWS(CASES); i++) {
        sregs.cr4 = CASES[i].cr4;
        sregs.efer = CASES[i].efer;
        kvm_paging_of(&p, &regs, &sregs, 39);
        ck_assert_int_eq(p.mode, CASES[i].mode);
        ck_assert(p.wp && p.user && p.ac && !p.smep && !p.smap && p.width == 39);
        ck_assert_int_eq(p.nxe, CASES[i].efer >> 11 & 1);
    }
    sregs.cr0 = 1;
    kvm_paging_of(&p, &regs, &sregs, 39);
    ck_assert_int_eq(p.mode, KVM_PAGING_OFF);
}
END_TEST

/* ---- a whole address space ------------------------------------------------------------------ */

START_TEST(regions)
{
    struct kvm_paging p = paging_of(KVM_PAGING_4_LEVEL);
    struct kvm_region r[8];
    uint64_t next;
    for (unsigned i = 0; i < 5; i++) /* 3 pages, then 2 that are elsewhere */
        map(&p, 0x1000 * (i + 1), 1, ALL | (0x10000 + 0x1000 * i + (i < 3 ? 0 : 0x10000)), ALL);
    put_entry(&p, 3, 1 << 30, P | PS | 0x40000000);
    put_entry(&p, 4, ~0ull, 0x2000 | P); /* the same again above, for the supervisor to read */
    int count = kvm_walk_regions(&p, &memory, 0, r, 8, &next);
    ck_assert_int_eq(count, 6);
    ck_assert_uint_eq(next, 0);
    ck_assert_uint_eq(r[0].va, 0x1000);
    ck_assert_uint_eq(r[0].pa, 0x10000);
    ck_assert_uint_eq(r[0].size, 0x3000);
    ck_assert_uint_eq(r[1].va, 0x4000);
    ck_assert_uint_eq(r[1].pa, 0x23000);
    ck_assert_uint_eq(r[1].size, 0x2000);
    ck_assert(r[1].writable && r[1].user && r[1].executable);
    ck_assert_uint_eq(r[2].page_size, 1 << 30);
    ck_assert(!r[2].writable && !r[2].user);
    ck_assert_uint_eq(r[3].va, 0xffffff8000001000);
    ck_assert(!r[3].writable && !r[3].user && r[3].executable);

    /* in parts, and from the middle of a run */
    ck_assert_int_eq(kvm_walk_regions(&p, &memory, 0x2000, r, 1, &next), 1);
    ck_assert_uint_eq(r[0].size, 0x2000);
    ck_assert_uint_eq(next, 0x4000);
    ck_assert_int_eq(kvm_walk_regions(&p, &memory, 0x7fffffffffff, r, 8, &next), 3);
    ck_assert_int_eq(kvm_walk_regions(&p, &memory, 0x800000000000, r, 8, &next), 3);
    ck_assert_int_eq(kvm_walk_regions(&p, &memory, ~0ull, r, 8, &next), 0);
    ck_assert_uint_eq(next, 0);
}
END_TEST

/* A table whose entries all point to itself: 2^48 bytes are mapped. The work is bounded, and goes
 * on. */
START_TEST(regions_without_end)
{
    struct kvm_paging p = paging_of(_i ? KVM_PAGING_5_LEVEL : KVM_PAGING_4_LEVEL);
    static struct kvm_region r[4096];
    uint64_t next, before = 0;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = 0x1000 | ALL;
        kvm_memory_write(&memory, 0x1000 + 8 * i, &entry, 8);
    }
    for (int i = 0; i < 4; i++) {
        int count = kvm_walk_regions(&p, &memory, before, r, 4096, &next);
        ck_assert_int_gt(count, 0);
        ck_assert_uint_gt(next, before);
        before = next;
    }
    /* nothing is mapped, but there is much to look at */
    for (unsigned i = 0; i < 512; i++) {
        uint64_t zero = 0, entry = 0x2000 | ALL;
        for (unsigned page = 1; page < 4; page++) {
            kvm_memory_write(&memory, 0x1000 * page + 8 * i, &entry, 8);
            entry += 0x1000;
        }
        kvm_memory_write(&memory, 0x4000 + 8 * i, &zero, 8);
    }
    ck_assert_int_eq(kvm_walk_regions(&p, &memory, 0, r, 4096, &next), 0);
    ck_assert_uint_gt(next, 0);
}
END_TEST

START_TEST(memory_by_linear_address)
{
    struct kvm_paging p = paging_of(KVM_PAGING_PAE);
    char text[16] = "";
    map(&p, 0x5000, 1, P | 0x20000, ALL);
    map(&p, 0x6000, 1, P | 0x30000, ALL);
    map(&p, 0x7000, 1, P | 0xfee00000, ALL); /* no RAM */
    ck_assert_uint_eq(kvm_walk_write(&p, &memory, 0x5ffd, "abcdef", 6), 6);
    ck_assert(kvm_memory_read(&memory, 0x20ffd, text, 3));
    ck_assert_str_eq(text, "abc");
    ck_assert_uint_eq(kvm_walk_read(&p, &memory, 0x5ffd, text, 7), 7);
    ck_assert_str_eq(text, "abcdef");
    ck_assert_uint_eq(kvm_walk_read(&p, &memory, 0x6ffe, text, 7), 2);
    ck_assert_uint_eq(kvm_walk_write(&p, &memory, 0x6ffe, text, 7), 2);
    ck_assert_uint_eq(kvm_walk_read(&p, &memory, 0x8000, text, 7), 0);
    ck_assert_uint_eq(kvm_walk_read(&p, &memory, ~0ull, text, 7), 0);
}
END_TEST

/* ---- random tables against KVM's walk ------------------------------------------------------- */

enum { WORLDS = 8, QUERIES = 500, RANDOM_MEMORY = 1 << 20 };

static const struct {
    enum kvm_paging_mode mode;
    unsigned width;
    uint64_t cr4, efer;
} WORLD[] = {
    {KVM_PAGING_32, 40, 0x00, 0},
    {KVM_PAGING_32, 40, 0x10, 0},
    {KVM_PAGING_32, 36, 0x10, 0},
    {KVM_PAGING_PAE, 40, 0x20, 0},
    {KVM_PAGING_PAE, 36, 0x20, 0x800},
    {KVM_PAGING_4_LEVEL, 40, 0x20, 0xd00},
    {KVM_PAGING_4_LEVEL, 46, 0x20, 0x500},     /* NXE is 0 */
    {KVM_PAGING_4_LEVEL, 40, 0x200020, 0xd00}, /* SMAP */
    {KVM_PAGING_5_LEVEL, 40, 0x1020, 0xd00},
    {KVM_PAGING_5_LEVEL, 46, 0x201020, 0x500},
};

static void enter(struct kvm_probe *probe, int world)
{
    struct kvm_sregs s;
    ck_assert_int_eq(ioctl(probe->vcpu, KVM_GET_SREGS, &s), 0);
    s.cr0 = 0x80010001;
    s.cr3 = 0x1000;
    s.cr4 = WORLD[world].cr4;
    s.efer = WORLD[world].efer;
    s.cs.l = s.efer != 0 && s.efer & 0x400;
    s.cs.db = !s.cs.l;
    ck_assert_int_eq(ioctl(probe->vcpu, KVM_SET_SREGS, &s), 0);
}

/*
 * KVM_TRANSLATE walks as for a read by the supervisor, whatever the CPL: it finds read-only pages,
 * and refuses user pages under SMAP. It says neither what the rights are (`writeable` is always 1
 * and `usermode` 0) nor what was wrong, and takes addresses that are not canonical. So what is
 * compared is whether there is a translation, and to which address; the rights are tested by hand
 * above.
 */
static void compare(struct kvm_probe *probe, const struct kvm_paging *p, unsigned *valid)
{
    struct kvm_walk w = {.access = 'r'};
    struct kvm_translation t = {.linear_address = tables_address(p)};
    bool ok = kvm_walk(p, &probe->memory, t.linear_address, &w);
    ck_assert_int_eq(ioctl(probe->vcpu, KVM_TRANSLATE, &t), 0);
    ck_assert_msg(ok == t.valid && (!ok || w.pa == t.physical_address),
                  "%s, width %u: 0x%llx: we say %d 0x%llx (%s), KVM %d 0x%llx",
                  kvm_paging_name(p->mode), p->width, (unsigned long long)t.linear_address, ok,
                  (unsigned long long)w.pa, w.why, t.valid, (unsigned long long)t.physical_address);
    *valid += ok;
}

START_TEST(agrees_with_kvm)
{
    unsigned valid = 0;
    if (WORLD[_i].mode == KVM_PAGING_5_LEVEL && !kvm_probe_offers(7, 'c', 16)) {
        printf("# left out: 5-level paging against KVM, because this host has no LA57\n");
        return;
    }
    tables_seed((unsigned)_i);
    struct kvm_probe probe = kvm_probe_new(RANDOM_MEMORY, WORLD[_i].width);
    for (int i = 0; i < WORLDS; i++) {
        struct kvm_paging p;
        struct kvm_regs regs;
        struct kvm_sregs sregs;
        p.width = WORLD[_i].width;
        p.mode = WORLD[_i].mode;
        tables_fill(&p, &probe.memory);
        enter(&probe, _i);
        ck_assert_int_eq(ioctl(probe.vcpu, KVM_GET_REGS, &regs), 0);
        ck_assert_int_eq(ioctl(probe.vcpu, KVM_GET_SREGS, &sregs), 0);
        kvm_paging_of(&p, &regs, &sregs, WORLD[_i].width);
        p.huge = kvm_probe_offers(0x80000001, 'd', 26);
        if (p.mode == KVM_PAGING_OFF) {
            printf("# left out: %s against KVM, which switches it off here\n",
                   kvm_paging_name(WORLD[_i].mode));
            kvm_probe_free(&probe);
            return;
        }
        ck_assert_int_eq(p.mode, WORLD[_i].mode);
        for (int q = 0; q < QUERIES; q++)
            compare(&probe, &p, &valid);
    }
    kvm_probe_free(&probe);
    /* else the tables were too bad, or too good, to try anything */
    ck_assert_uint_gt(valid, WORLDS * QUERIES / 10);
    ck_assert_uint_lt(valid, WORLDS * QUERIES * 9 / 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the page walk of x86 guests");
    TCase *hand = tcase_create("tables by hand");
    tcase_add_checked_fixture(hand, setup, teardown);
    tcase_add_loop_test(hand, translates, 0, ROWS(PAGES));
    tcase_add_loop_test(hand, not_present, 0, ROWS(MODES));
    tcase_add_loop_test(hand, table_outside_memory, 0, ROWS(MODES));
    tcase_add_loop_test(hand, rights, 0, ROWS(RIGHTS));
    tcase_add_loop_test(hand, reserved, 0, ROWS(RESERVED));
    tcase_add_test(hand, odd_cases);
    tcase_add_test(hand, paging_from_registers);
    tcase_add_test(hand, regions);
    tcase_add_loop_test(hand, regions_without_end, 0, 2);
    tcase_add_test(hand, memory_by_linear_address);
    suite_add_tcase(suite, hand);
    if (kvm_probe_can()) {
        TCase *kvm = tcase_create("random tables against KVM");
        tcase_set_timeout(kvm, 600);
        tcase_add_loop_test(kvm, agrees_with_kvm, 0, ROWS(WORLD));
        suite_add_tcase(suite, kvm);
    }
    return tap_run(suite);
}
