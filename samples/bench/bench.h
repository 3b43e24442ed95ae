/*
 * A kernel of the speed comparison: one C file, compiled for the guest and for the host.
 *
 * It computes with uint32_t only and gives a checksum that depends on all of its work. Each file says
 * ROUNDS(long, short): how often it goes round in a measured run, and in a test.
 */
#ifndef SAMPLES_BENCH_H
#define SAMPLES_BENCH_H

#include <stdint.h>

uint32_t kernel(uint32_t rounds);
extern const uint32_t kernel_rounds;

#ifdef SHORT
#define ROUNDS(for_figures, for_tests) const uint32_t kernel_rounds = (for_tests)
#else
#define ROUNDS(for_figures, for_tests) const uint32_t kernel_rounds = (for_figures)
#endif

static inline uint32_t next_random(uint32_t x) { return x * 1664525u + 1013904223u; }

#endif
