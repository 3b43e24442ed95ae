/*
 * Fuzzes the walk of a guest's page tables: all formats, any registers, any entries.
 *
 * The input is struct head, then entries of eight bytes, each with two bytes that say where it
 * goes. A walk ends, looks at RAM only, and agrees with the list of regions.
 * Parts: cpu/state.c hv/kvm/memory.c hv/kvm/walk.c
 */
#include "config.h"

#include <linux/kvm.h>
#include <string.h>

#include "hv/kvm/walk.h"
#include "tests/fuzz/guarded.h"

enum { MEMORY = 128 << 10, LOW = 96 << 10, ENTRY = 10, REGIONS = 16, LISTS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed);

struct head {
    uint64_t cr0, cr3, cr4, efer, rflags, va;
    uint8_t width, dpl, access, wild; /* wild: entries keep address bits beyond memory */
};

static struct kvm_memory memory;

static void put_entries(const struct head *h, const uint8_t *bytes, size_t count)
{
    memset(memory.host, 0, MEMORY);
    for (; count >= ENTRY; bytes += ENTRY, count -= ENTRY) {
        uint16_t place;
        uint64_t entry;
        memcpy(&place, bytes, sizeof place);
        memcpy(&entry, bytes + 2, sizeof entry);
        if (!(h->wild & 1))
            entry &= (MEMORY - 1) | 1ull << 63;
        memcpy(memory.host + place % (MEMORY / 8) * 8, &entry, sizeof entry);
    }
}

static void check_steps(const struct kvm_paging *p, const struct kvm_walk *w)
{
    unsigned levels = kvm_paging_levels(p->mode);
    require(w->steps <= levels && levels <= KVM_WALK_LEVELS);
    for (unsigned i = 0; i < w->steps; i++) {
        const struct kvm_walk_step *s = &w->step[i];
        require(s->level == levels - i && *kvm_paging_table_name(p->mode, s->level));
        require(kvm_memory_at(&memory, s->at, s->entry_size) && s->at >= s->table);
        require(!s->leaf || i == w->steps - 1u || !w->ok);
    }
}

static void check_walk(const struct kvm_paging *p, struct kvm_walk *w, uint64_t va)
{
    bool ok = kvm_walk(p, &memory, va, w);
    require(ok == w->ok);
    check_steps(p, w);
    if (!ok) {
        require(w->vector == X86_PF || w->vector == X86_GP || w->vector == -1);
        require(*w->why && strnlen(w->why, KVM_WALK_TEXT) < KVM_WALK_TEXT && !strchr(w->why, '\n'));
        require(!p->mode || w->access || w->vector != X86_PF || w->error_code <= 31);
    } else if (w->page_size) {
        require(w->steps && w->step[w->steps - 1].leaf);
        require((w->pa ^ va) % w->page_size == 0 && w->pa >> 52 == 0);
    }
}

/* In order, without overlaps, and each as a walk of its first byte finds it. */
static void check_regions(const struct kvm_paging *p, uint64_t from)
{
    struct kvm_region region[REGIONS];
    uint64_t next;
    for (int list = 0; list < LISTS; list++) {
        int count = kvm_walk_regions(p, &memory, from, region, REGIONS, &next);
        require(count >= 0 && count <= REGIONS);
        for (int i = 0; i < count; i++) {
            struct kvm_walk w = {.access = 0};
            require(i == 0 || region[i].va > region[i - 1].va);
            require(kvm_walk(p, &memory, region[i].va, &w) && w.pa == region[i].pa);
            require(w.page_size == region[i].page_size && w.writable == region[i].writable);
        }
        if (!next)
            return;
        require(next != from || count > 0);
        from = next;
    }
}

static void check_copies(const struct kvm_paging *p, uint64_t va)
{
    uint8_t bytes[9000];
    size_t got = kvm_walk_read(p, &memory, va, bytes, sizeof bytes);
    require(got <= sizeof bytes);
    kvm_walk_write(p, &memory, va, bytes, got);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char ACCESS[] = {0, 'r', 'w', 'x'};
    struct head h;
    struct kvm_paging paging;
    if (count < sizeof h)
        return 0;
    if (!memory.host)
        memory = guarded_memory(MEMORY, LOW);
    memcpy(&h, bytes, sizeof h);
    if (!(h.wild & 2))
        h.cr3 &= MEMORY - 1;
    struct kvm_regs regs = {.rflags = h.rflags};
    struct kvm_sregs sregs = {
        .cr0 = h.cr0, .cr3 = h.cr3, .cr4 = h.cr4, .efer = h.efer, .ss.dpl = h.dpl & 3};
    put_entries(&h, bytes + sizeof h, count - sizeof h);
    kvm_paging_of(&paging, &regs, &sregs, h.width);
    struct kvm_walk w = {.access = ACCESS[h.access & 3], .user = h.access & 4};
    check_walk(&paging, &w, h.va);
    check_regions(&paging, 0);
    check_regions(&paging, h.va);
    check_copies(&paging, h.va);
    return 0;
}

/* ---- good tables to begin with ----------------------------------------------------------------
 */

/* Control registers of each format. */
static const struct {
    uint64_t cr4, efer;
} FORMAT[] = {
    {0x10, 0},         /* 32-bit, with large pages */
    {0x20, 0x800},     /* PAE */
    {0x20, 0xd00},     /* 4 levels */
    {0x1020, 0xd00},   /* 5 levels */
    {0x300020, 0x500}, /* 4 levels with SMEP and SMAP, without XD */
};

static size_t put_entry(uint8_t *bytes, size_t at, uint16_t place, uint64_t entry)
{
    memcpy(bytes + at, &place, sizeof place);
    memcpy(bytes + at + sizeof place, &entry, sizeof entry);
    return at + ENTRY;
}

/* Five tables, each of whose first entry is the next table, or at the end a page. */
static size_t good_tables(uint8_t *bytes, unsigned seed)
{
    enum { FORMATS = sizeof FORMAT / sizeof *FORMAT, TABLES = 5, PER_PAGE = KVM_PAGE / 8 };
    unsigned format = seed % FORMATS;
    struct head h = {.cr0 = 0x80010001,
                     .cr3 = KVM_PAGE,
                     .cr4 = FORMAT[format].cr4,
                     .efer = FORMAT[format].efer,
                     .width = 40};
    bool pae = format == 1;
    memcpy(bytes, &h, sizeof h);
    size_t at = sizeof h;
    for (unsigned i = 1; i <= TABLES; i++)
        at = put_entry(bytes, at, (uint16_t)(i * PER_PAGE),
                       (i + 1) * KVM_PAGE | (pae && i == 1 ? 1 : 7));
    return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t max, unsigned seed)
{
    enum { ROOM = 256 };
    if ((count < sizeof(struct head) || seed % 64 == 0) && max >= ROOM)
        count = good_tables(bytes, seed / 64);
    return LLVMFuzzerMutate(bytes, count, max);
}
