/*
 * What a kernel in U mode may ask of the small supervisor in paged.c and paged.S. The number is in a7.
 *
 *   CALL_NOTHING  sepc + 4, a0 + 1, by the shortest handler
 *   CALL_SWITCH   satp ^= a0; a1: with sfence.vma (1) or without (0); by a short handler
 *   CALL_ADD      a0 + 1, with all registers saved and a handler in C
 *   CALL_UNMAP    forgets the pages that were mapped on demand
 *   CALL_PUT      prints the character in a0
 *   CALL_EXIT     ends the run
 */
#ifndef SAMPLES_BENCH_PAGED_H
#define SAMPLES_BENCH_PAGED_H

#define CALL_NOTHING 0
#define CALL_SWITCH  1
#define CALL_ADD     2
#define CALL_UNMAP   3
#define CALL_PUT     4
#define CALL_EXIT    5

#define DEMAND       0x40000000 /* 256 pages, mapped when they are touched */
#define DEMAND_PAGES 256
#define SHARED       0x50000000 /* 64 pages, others in each of the two address spaces */
#define SHARED_PAGES 64

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What CALL_SWITCH xors into satp to come to the other address space; with an ASID of its own. */
extern uint32_t other_space, other_space_asid;
extern volatile uint32_t ticks;
/* M mode's timer, armed for this many ticks of mtime from now on, again and again. 0: not. */
extern uint32_t timer_interval;

static inline uint32_t call(uint32_t number, uint32_t a, uint32_t b)
{
    register uint32_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "t0", "memory");
    return a0;
}
#endif
#endif
