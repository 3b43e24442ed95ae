/*
 * Requests to the firmware, which runs below the kernel in M mode: the timer, and the end of the
 * run. An ECALL with the extension in a7, the function in a6.
 */
#include "minios.h"

enum { EXT_TIME = 0x54494d45, EXT_SRST = 0x53525354 };

static void sbi_call(uint32_t extension, uint32_t function, uint32_t arg0, uint32_t arg1)
{
    register uint32_t a0 __asm__("a0") = arg0;
    register uint32_t a1 __asm__("a1") = arg1;
    register uint32_t a6 __asm__("a6") = function;
    register uint32_t a7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
}

/* Takes the timer interrupt down until `when`. */
void sbi_set_timer(uint64_t when)
{
    sbi_call(EXT_TIME, 0, (uint32_t)when, (uint32_t)(when >> 32));
}

/* SBI knows success (0) and failure (1) only. */
void sbi_poweroff(int status)
{
    sbi_call(EXT_SRST, 0, 0, status != 0);
    for (;;)
        __asm__ volatile("wfi");
}

/* Two halves of a running counter: read again if the lower one wrapped in between. */
uint64_t time_now(void)
{
    uint32_t high, low;
    do {
        high = csr_read(timeh);
        low = csr_read(time);
    } while (csr_read(timeh) != high);
    return (uint64_t)high << 32 | low;
}
