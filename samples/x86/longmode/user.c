/*
 * The tasks: what runs at CPL 3. Each has the processor until it leaves, or does what it may not.
 *
 * They are linked to USER_START, on pages of their own (longmode.ld); of the kernel they know the
 * numbers of its system calls.
 */
#include "longmode.h"

static char greeting[] = "task: hello from CPL 3\n"; /* data, not program: a page of its own */

static uint64_t call(uint64_t number, uint64_t a, uint64_t b)
{
    __asm__ volatile("int %1" : "+a"(number) : "i"(SYSCALL), "D"(a), "S"(b) : "memory");
    return number;
}

static void say(const char *text)
{
    uint64_t length = 0;
    while (text[length])
        length++;
    call(SYS_WRITE, (uint64_t)text, length);
}

/* The pages are there when they are touched, and not before. */
static void touch_heap(void)
{
    volatile uint64_t *heap = (volatile uint64_t *)0x50000000;
    uint64_t sum = 0;
    heap[0] = 42;     /* the first page */
    sum += heap[512]; /* the second: read first, */
    heap[512] = 43;   /* and then written */
    heap[5120] = 44;  /* pages between are left out */
    sum += heap[0] + heap[512] + heap[5120];
    say(sum == 42 + 43 + 44 ? "task: the heap is as it should be\n" : "task: the heap is wrong\n");
}

/* Works until the timer has interrupted it often enough. Nothing of that is seen here: that is what
 * an interrupt is. */
static void work(void)
{
    enum { LIMIT = 20000 };
    uint64_t until = call(SYS_TICKS, 0, 0) + 50;
    uint32_t found = 1; /* the 2 */
    for (uint32_t n = 3; n < LIMIT; n += 2) {
        uint32_t d = 3;
        while (d * d <= n && n % d)
            d += 2;
        found += d * d > n;
    }
    while (call(SYS_TICKS, 0, 0) < until)
        ;
    say(found == 2262 ? "task: 2262 primes below 20000, under 50 interrupts\n"
                      : "task: miscounted\n");
}

void user_main(void)
{
    volatile uint64_t status = 7; /* on the stack, which begins to exist with it */
    call(SYS_WRITE, (uint64_t)greeting, sizeof greeting - 1); /* the kernel touches it first */
    for (const char *c = "task: these ports I may use myself\n"; *c; c++)
        com1_putc(*c); /* the TSS allows it: segment.c */
    touch_heap();
    work();
    call(SYS_EXIT, status, 0);
}

/* Reads the kernel. */
void user_peek(void)
{
    call(SYS_EXIT, *(volatile uint8_t *)0x100000, 0);
}

/* Turns interrupts off, to have the processor for ever. */
void user_stop(void)
{
    __asm__ volatile("cli");
    call(SYS_EXIT, 0, 0);
}
