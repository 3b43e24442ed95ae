/* Random page tables. See random-tables.h. */
#include "tests/random-tables.h"
#include "tests/tap.h"

enum { P = X86_PTE_P, PS = X86_PTE_PS, FRAMES = TABLES_BYTES / 4096 - 1 };

static uint64_t state;

void tables_seed(uint64_t seed)
{
    state = 0x9e3779b97f4a7c15 + seed;
}

static uint64_t any(void)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool one_in(unsigned n)
{
    return any() % n == 0;
}

/* Mostly a pointer to another frame of tables; sometimes a large page, a reserved bit, or anything.
 */
static uint64_t random_entry(const struct kvm_paging *p)
{
    uint64_t physical = (1ull << p->width) - 1;
    uint64_t entry = ((any() % FRAMES + 1) << 12) | (any() & 0x6f) | (one_in(16) ? 0 : P);
    if (one_in(8))
        entry |= PS;
    if (one_in(8))
        entry = (entry & 0xfff) | (any() & physical & ~0xfffull);
    if (one_in(8)) /* aligned as a large page wants it */
        entry = (entry & 0xfff) | (any() & physical & ~0x3fffffffull);
    if (one_in(24))
        entry |= 1ull << (any() % 64);
    if (one_in(8))
        entry |= X86_PTE_XD;
    return entry;
}

/* PAE's four pointers: without reserved bits, or loading CR3 refuses them. */
static uint64_t random_pointer(void)
{
    return ((any() % FRAMES + 1) << 12) | (one_in(8) ? 0 : P);
}

void tables_fill(const struct kvm_paging *p, struct kvm_memory *memory)
{
    unsigned size = p->mode == KVM_PAGING_32 ? 4 : 8;
    for (unsigned at = 0; at < TABLES_BYTES; at += size) {
        bool is_pointer = p->mode == KVM_PAGING_PAE && at >= TABLES_ROOT && at < TABLES_ROOT + 32;
        uint64_t entry = is_pointer ? random_pointer() : random_entry(p);
        ck_assert(kvm_memory_write(memory, at, &entry, size));
    }
}

uint64_t tables_address(const struct kvm_paging *p)
{
    unsigned unused = p->mode == KVM_PAGING_4_LEVEL ? 16 : 7;
    return p->mode < KVM_PAGING_4_LEVEL ? any() >> 32 : (uint64_t)((int64_t)any() >> unused);
}
