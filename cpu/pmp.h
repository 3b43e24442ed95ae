/*
 * Physical memory protection, privileged specification section 3.7: 16 entries, OFF, TOR, NA4,
 * NAPOT, lock bit, lowest entry first.
 */
#ifndef VITRINE_CPU_PMP_H
#define VITRINE_CPU_PMP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/tlb.h"

enum { PMP_ENTRIES = 16 };

#define PMP_R    0x01
#define PMP_W    0x02
#define PMP_X    0x04
#define PMP_A    0x18 /* address matching: 0 off, 1 TOR, 2 NA4, 3 NAPOT */
#define PMP_L    0x80
#define PMP_TOR  0x08
#define PMP_NA4  0x10
#define PMP_NAPOT 0x18

struct pmp {
    uint8_t config[PMP_ENTRIES];
    uint32_t address[PMP_ENTRIES]; /* bits 33..2 of the address */
};

/* Most kernels open everything by entry 0, which ends the search: 4 GiB of NAPOT or TOR, RWX. */
static inline bool pmp_is_open(const struct pmp *pmp)
{
    const uint8_t all = PMP_R | PMP_W | PMP_X;
    const uint32_t napot_4g = 0x1fffffff, tor_4g = 0x40000000;
    uint8_t config = pmp->config[0];
    if ((config & all) != all)
        return false;
    if ((config & PMP_A) == PMP_NAPOT)
        return (pmp->address[0] & napot_4g) == napot_4g;
    return (config & PMP_A) == PMP_TOR && pmp->address[0] >= tor_4g;
}

/* No entry is in use, as after reset: M mode may do everything, nobody else anything. */
static inline bool pmp_is_off(const struct pmp *pmp)
{
    static const uint8_t off[PMP_ENTRIES];
    return memcmp(pmp->config, off, sizeof off) == 0;
}

/* May `mode` do this access to all of pa .. pa + size - 1? */
bool pmp_search(const struct pmp *pmp, unsigned mode, enum access access, uint32_t pa,
                unsigned size);
static inline bool pmp_allows(const struct pmp *pmp, unsigned mode, enum access access,
                              uint32_t pa, unsigned size)
{
    if (pmp_is_open(pmp))
        return true;
    return pmp_is_off(pmp) ? mode == MODE_M : pmp_search(pmp, mode, access, pa, size);
}

/* Does every byte of the 4 KiB page at pa have the same rights? If not, it cannot be cached. */
bool pmp_page_is_uniform(const struct pmp *pmp, uint32_t pa);

/* CSR accesses: registers 0..3 and 0..15. Locked fields ignore writes; W without R is not kept. */
uint32_t pmp_read_config(const struct pmp *pmp, unsigned n);
void pmp_write_config(struct pmp *pmp, unsigned n, uint32_t value);
void pmp_write_address(struct pmp *pmp, unsigned n, uint32_t value);

#endif
