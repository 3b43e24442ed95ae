/*
 * A first program that makes no system call: it computes, and tells the result by crashing.
 *
 * Where a monitor cannot run `syscall` (KVM without the processor's own virtualization), user space
 * ends with the first one. Page faults work there, so this program lives from them alone: each page
 * of `memory` comes into being when it is first written. At the end it reads from an address that
 * is no memory, and the kernel prints that address:
 *
 *     init[1]: segfault at 5eedc7e0 ip ... error 4 ...
 *     Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
 *
 * The address is 0x5eed0000 plus the low 16 bits of the sum below. With panic=-1 the kernel resets
 * the machine then, which with --no-reboot is the end of the run.
 */
#include <stdint.h>

enum { PAGES = 64, PAGE = 4096 };

static volatile uint32_t memory[PAGES][PAGE / sizeof(uint32_t)];

static uint32_t sum_of_pages(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < PAGES; i++)
        memory[i][i] = i * i + 1;
    for (uint32_t i = 0; i < PAGES; i++)
        for (uint32_t j = 0; j < PAGE / sizeof memory[0][0]; j++)
            sum = sum * 31 + memory[i][j];
    return sum;
}

__attribute__((noreturn)) void _start(void)
{
    uintptr_t address = 0x5eed0000u + (sum_of_pages() & 0xffff);
    for (;;)
        (void)*(volatile char *)address;
}
