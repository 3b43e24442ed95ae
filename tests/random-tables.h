/*
 * Random page tables of every format of x86, for comparing walks: most entries point to other
 * tables, some to pages, some are absent, some break a rule.
 */
#ifndef VITRINE_TESTS_RANDOM_TABLES_H
#define VITRINE_TESTS_RANDOM_TABLES_H

#include <stdint.h>

#include "hv/kvm/walk.h"

/* All tables lie in the first TABLES_BYTES of memory; the root at TABLES_ROOT. */
enum { TABLES_ROOT = 0x1000, TABLES_BYTES = 25 * 4096 };

/* The same numbers after the same seed. */
void tables_seed(uint64_t seed);
/* Fills tables for a mode and a width of physical addresses. */
void tables_fill(const struct kvm_paging *paging, struct kvm_memory *memory);
/* A linear address, canonical. */
uint64_t tables_address(const struct kvm_paging *paging);

#endif
