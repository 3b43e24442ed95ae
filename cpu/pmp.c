/*
 * Physical memory protection, privileged specification section 3.7. See pmp.h.
 *
 * Grain is 4 bytes (G = 0). Addresses have 34 bits in the registers; what lies above 4 GiB cannot
 * be reached here, so ranges are cut there.
 */
#include "cpu/pmp.h"

#include "cpu/rv.h"

/* The bytes first .. first + size - 1 that an entry matches; size 0: none. */
struct range {
    uint64_t first, size;
};

static struct range entry_range(const struct pmp *pmp, int n)
{
    uint64_t address = (uint64_t)pmp->address[n] << 2;
    switch (pmp->config[n] & PMP_A) {
    case PMP_TOR: {
        uint64_t below = n ? (uint64_t)pmp->address[n - 1] << 2 : 0;
        return (struct range){below, address > below ? address - below : 0};
    }
    case PMP_NA4:
        return (struct range){address, 4};
    case PMP_NAPOT: {
        /* yyyy011..1: the ones below the lowest zero give the size, 8 bytes and up. */
        uint64_t ones = pmp->address[n] & ~((uint64_t)pmp->address[n] + 1);
        uint64_t size = (ones + 1) * 8;
        return (struct range){((uint64_t)pmp->address[n] & ~ones) << 2, size};
    }
    default:
        return (struct range){0, 0};
    }
}

static bool entry_allows(uint8_t config, unsigned mode, enum access access)
{
    if (mode == MODE_M && !(config & PMP_L))
        return true;
    static const uint8_t needed[] = {
        [ACCESS_FETCH] = PMP_X, [ACCESS_READ] = PMP_R, [ACCESS_WRITE] = PMP_W};
    return config & needed[access];
}

bool pmp_search(const struct pmp *pmp, unsigned mode, enum access access, uint32_t pa,
                unsigned size)
{
    for (int n = 0; n < PMP_ENTRIES; n++) {
        struct range r = entry_range(pmp, n);
        if (r.size == 0 || pa + (uint64_t)size <= r.first || pa >= r.first + r.size)
            continue;
        /* The lowest entry that matches any byte decides, and must match them all. */
        if (pa < r.first || pa + (uint64_t)size > r.first + r.size)
            return false;
        return entry_allows(pmp->config[n], mode, access);
    }
    return mode == MODE_M;
}

bool pmp_page_is_uniform(const struct pmp *pmp, uint32_t pa)
{
    if (pmp_is_open(pmp) || pmp_is_off(pmp))
        return true;
    uint64_t first = pa & ~PAGE_MASK, end = first + PAGE_SIZE;
    for (int n = 0; n < PMP_ENTRIES; n++) {
        struct range r = entry_range(pmp, n);
        if (r.size == 0 || end <= r.first || first >= r.first + r.size)
            continue;
        return first >= r.first && end <= r.first + r.size;
    }
    return true;
}

uint32_t pmp_read_config(const struct pmp *pmp, unsigned n)
{
    const uint8_t *c = &pmp->config[4 * n];
    return c[0] | c[1] << 8 | c[2] << 16 | (uint32_t)c[3] << 24;
}

void pmp_write_config(struct pmp *pmp, unsigned n, uint32_t value)
{
    for (unsigned i = 4 * n; i < 4 * n + 4; i++, value >>= 8) {
        uint8_t config = value & (PMP_R | PMP_W | PMP_X | PMP_A | PMP_L);
        if ((config & (PMP_R | PMP_W)) == PMP_W) /* reserved: WARL */
            config &= (uint8_t)~PMP_W;
        if (!(pmp->config[i] & PMP_L))
            pmp->config[i] = config;
    }
}

void pmp_write_address(struct pmp *pmp, unsigned n, uint32_t value)
{
    bool locked = pmp->config[n] & PMP_L;
    /* The base of a locked TOR range is locked with it. */
    if (n + 1 < PMP_ENTRIES && (pmp->config[n + 1] & (PMP_L | PMP_A)) == (PMP_L | PMP_TOR))
        locked = true;
    if (!locked)
        pmp->address[n] = value;
}
