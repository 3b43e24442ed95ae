/*
 * Address spaces: Sv32 page tables, filled when something is touched.
 *
 *   0x0c00_0000  PLIC    \
 *   0x1000_0000  UART, virtio   } the kernel's, in every address space, pages of 4 MiB,
 *   0x8040_0000  memory  /       at their physical addresses
 *   0x4000_0000 to 0x7fff_ffff: the process' own (abi.h), pages of 4 KiB
 *
 * A process has almost nothing at first. Touching a page faults, and vm_fault() finds out what
 * should be there: a piece of the program's file, a page of zeros in heap or stack, or nothing.
 * After fork() both processes have the same pages without the right to write; PTE_COPY remembers
 * that there was one. The first to write gets a copy.
 *
 * A and D bits are set at once: so nothing depends on whether hardware or the kernel has to.
 */
#include "minios.h"

#define PTE_COPY (1u << 8) /* one of two bits that the hardware leaves to software */

static uint32_t kernel_root[1024] __attribute__((aligned(PAGE)));

static void flush(void)
{
    __asm__ volatile("sfence.vma" : : : "memory");
}

static void flush_page(uint32_t va)
{
    __asm__ volatile("sfence.vma %0" : : "r"(va) : "memory");
}

static void map_kernel(uint32_t address)
{
    kernel_root[VPN1(address)] =
        PTE_OF(address & ~0x3fffffu) | PTE_V | PTE_R | PTE_W | PTE_X | PTE_G | PTE_A | PTE_D;
}

void vm_init(uint32_t memory_end)
{
    map_kernel(PLIC);
    map_kernel(UART);
    for (uint32_t address = KERNEL_START; address < memory_end; address += 0x400000)
        map_kernel(address);
    vm_use(NULL);
}

/* Without address space numbers each switch flushes the TLB: simple, and slower. */
void vm_use(const struct space *space)
{
    const uint32_t *root = space ? space->root : kernel_root;
    csr_write(satp, SATP_SV32 | (uint32_t)root >> 12);
    flush();
}

int vm_new(struct space *space)
{
    memset(space, 0, sizeof *space);
    space->root = page_new();
    if (!space->root)
        return -1;
    memcpy(space->root, kernel_root, PAGE);
    return 0;
}

/* The entry of a user page, NULL if there is no table for it (and none is wanted or left). */
static uint32_t *entry_of(struct space *space, uint32_t va, bool make_table)
{
    uint32_t *upper = &space->root[VPN1(va)];
    if (!(*upper & PTE_V)) {
        uint32_t *table = make_table ? page_new() : NULL;
        if (!table)
            return NULL;
        *upper = PTE_OF(table) | PTE_V;
    }
    return (uint32_t *)PTE_PA(*upper) + VPN0(va);
}

/* The space becomes a user of the page. */
int vm_map(struct space *space, uint32_t va, void *page, uint32_t rights)
{
    uint32_t *entry = entry_of(space, va, true);
    if (!entry)
        return -1;
    *entry = PTE_OF(page) | rights | PTE_V | PTE_U | PTE_A | (rights & PTE_W ? PTE_D : 0);
    flush_page(va);
    return 0;
}

/* ---- faults ------------------------------------------------------------------------------ */

static const struct segment *segment_at(const struct space *space, uint32_t va)
{
    for (int i = 0; i < space->segments; i++)
        if (va - space->segment[i].va < space->segment[i].memory_size)
            return &space->segment[i];
    return NULL;
}

/* What a page may be used for, 0: there is nothing at this address. */
static uint32_t rights_at(const struct space *space, uint32_t va, const struct segment *segment)
{
    if (segment)
        return segment->rights;
    bool heap = va >= space->heap && va < space->heap_end;
    bool stack = va >= USER_STACK && va < USER_TOP;
    return heap || stack ? PTE_R | PTE_W : 0;
}

/* The file's part of this page of the segment; the rest is zero already. */
static int load(const struct space *space, const struct segment *segment, uint32_t va, void *page)
{
    uint32_t start = va - segment->va;
    if (start >= segment->file_size)
        return 0;
    uint32_t count = segment->file_size - start < PAGE ? segment->file_size - start : PAGE;
    return fs_read(space->file, segment->offset + start, page, count) == (int)count ? 0 : -1;
}

/* First touch. */
static int provide(struct space *space, uint32_t va, enum access access)
{
    const struct segment *segment = segment_at(space, va);
    uint32_t rights = rights_at(space, va, segment);
    if (!(rights & access))
        return -1;
    void *page = page_new();
    if (!page)
        return -1;
    va &= ~(PAGE - 1u);
    if ((!segment || load(space, segment, va, page) == 0) && vm_map(space, va, page, rights) == 0)
        return 0;
    page_drop(page);
    return -1;
}

/* First write after fork(). The last user of the page may keep it. */
static int copy_on_write(uint32_t *entry)
{
    void *old = (void *)PTE_PA(*entry);
    void *page = old;
    if (page_users(old) > 1) {
        page = page_new();
        if (!page)
            return -1;
        memcpy(page, old, PAGE);
        page_drop(old);
    }
    *entry = PTE_OF(page) | (*entry & 0x3ff & ~PTE_COPY) | PTE_W | PTE_D;
    return 0;
}

int vm_fault(struct space *space, uint32_t va, enum access access)
{
    if (va < USER_START || va >= USER_TOP)
        return -1;
    uint32_t *entry = entry_of(space, va, false);
    if (!entry || !(*entry & PTE_V))
        return provide(space, va, access);
    if (access == ACCESS_WRITE && (*entry & PTE_COPY) && copy_on_write(entry) != 0)
        return -1;
    if (!(*entry & access))
        return -1;
    flush_page(va);
    return 0;
}

/* ---- fork and the end -------------------------------------------------------------------- */

/* Both get the page, neither may write it. */
static int share(struct space *to, uint32_t va, uint32_t *entry)
{
    uint32_t *copy = entry_of(to, va, true);
    if (!copy)
        return -1;
    if (*entry & PTE_W)
        *entry = (*entry & ~(PTE_W | PTE_D)) | PTE_COPY;
    *copy = *entry;
    page_share((void *)PTE_PA(*entry));
    return 0;
}

int vm_fork(struct space *to, struct space *from)
{
    if (vm_new(to) != 0)
        return -1;
    uint32_t *root = to->root;
    *to = *from;
    to->root = root;
    int result = 0;
    for (uint32_t i = VPN1(USER_START); i <= VPN1(USER_TOP) && result == 0; i++) {
        if (!(from->root[i] & PTE_V))
            continue;
        uint32_t *table = (uint32_t *)PTE_PA(from->root[i]);
        for (uint32_t j = 0; j < 1024 && result == 0; j++)
            if (table[j] & PTE_V)
                result = share(to, i << 22 | j << 12, &table[j]);
    }
    flush();
    if (result != 0)
        vm_free(to);
    return result;
}

static void drop_table(uint32_t *table)
{
    for (uint32_t j = 0; j < 1024; j++)
        if (table[j] & PTE_V)
            page_drop((void *)PTE_PA(table[j]));
    page_drop(table);
}

void vm_free(struct space *space)
{
    for (uint32_t i = VPN1(USER_START); i <= VPN1(USER_TOP); i++)
        if (space->root[i] & PTE_V)
            drop_table((uint32_t *)PTE_PA(space->root[i]));
    page_drop(space->root);
    space->root = NULL;
}

/* Gives back the pages of the heap from `end` on. */
void vm_shrink_heap(struct space *space, uint32_t end)
{
    for (uint32_t va = (end + PAGE - 1) & ~(PAGE - 1u); va < space->heap_end; va += PAGE) {
        uint32_t *entry = entry_of(space, va, false);
        if (entry && *entry & PTE_V) {
            page_drop((void *)PTE_PA(*entry));
            *entry = 0;
        }
    }
    space->heap_end = end;
    flush();
}

/* ---- between kernel and process ---------------------------------------------------------- */

/* The kernel's address for a user address, after the fault that the process would have had. */
static char *reach(struct space *space, uint32_t va, enum access access)
{
    uint32_t *entry = va < USER_TOP && va >= USER_START ? entry_of(space, va, false) : NULL;
    if (!entry || !(*entry & PTE_V) || !(*entry & access)) {
        if (vm_fault(space, va, access) != 0)
            return NULL;
        entry = entry_of(space, va, false);
    }
    return (char *)PTE_PA(*entry) + va % PAGE;
}

static uint32_t piece(uint32_t va, uint32_t count)
{
    uint32_t rest = PAGE - va % PAGE;
    return count < rest ? count : rest;
}

int vm_copy_out(struct space *space, uint32_t va, const void *from, uint32_t count)
{
    const char *f = from;
    while (count > 0) {
        uint32_t part = piece(va, count);
        char *to = reach(space, va, ACCESS_WRITE);
        if (!to)
            return -1;
        memcpy(to, f, part);
        va += part, f += part, count -= part;
    }
    return 0;
}

int vm_copy_in(struct space *space, void *to, uint32_t va, uint32_t count)
{
    char *t = to;
    while (count > 0) {
        uint32_t part = piece(va, count);
        const char *from = reach(space, va, ACCESS_READ);
        if (!from)
            return -1;
        memcpy(t, from, part);
        va += part, t += part, count -= part;
    }
    return 0;
}

/* Its length, -1 if it is too long or not the process' own. */
int vm_copy_in_string(struct space *space, char *to, uint32_t va, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        const char *from = reach(space, va + i, ACCESS_READ);
        if (!from)
            return -1;
        to[i] = *from;
        if (!to[i])
            return (int)i;
    }
    return -1;
}
