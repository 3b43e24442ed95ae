/*
 * A kernel for 64-bit x86 that shows the processor's part of an operating system: descriptor
 * tables, paging, traps, interrupts, a task at CPL 3. It tells what happens, line by line:
 */
// expect: long mode: paging is on, CS is a 64-bit segment, CPL 0
// expect: walk of 0x00100000: PML4 0 wxua-, PDPT 0 wx-a-, directory 0 wx-ad
// expect: timer: 10 interrupts have come while the kernel slept
// expect: walk of 0x40000000: PML4 0 wxua-, PDPT 1 not present
// expect: page fault: fetch by CPL 3 at 0x40000000, not present; program: a page of the image
// expect: page fault: write by CPL 3 at 0x7ffff000, not present; stack: a new page
// expect: page fault: read by CPL 0 at 0x40001000, not present; data: a page of the image
// expect: task: hello from CPL 3
// expect: task: these ports I may use myself
// expect: page fault: write by CPL 3 at 0x50000000, not present; heap: a new page
// expect: page fault: read by CPL 3 at 0x50001000, not present; heap: the page of zeros, read-only
// expect: page fault: write by CPL 3 at 0x50001000, protected; heap: a new page
// expect: page fault: write by CPL 3 at 0x5000a000, not present; heap: a new page
// expect: task: the heap is as it should be
// expect: task: 2262 primes below 20000, under 50 interrupts
// expect: task has left with status 7
// expect: walk of 0x40000000: PML4 0 wxua-, PDPT 1 wxua-, directory 0 wxua-, table 0 -xua-
// expect: page fault: read by CPL 3 at 0x00100000, protected; no region: not allowed
// expect: page fault at CPL 3: the task is ended
// expect: peek was ended by exception 14
// expect: general protection at CPL 3: the task is ended
// expect: stop was ended by exception 13
// expect: 7 page faults served; the end
#include "longmode.h"

static void say_mode(void)
{
    uint64_t cr0;
    uint16_t cs;
    __asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("movw %%cs, %0" : "=r"(cs));
    com1_puts(cr0 & (uint32_t)CR0_PG ? "long mode: paging is on" : "paging is off");
    com1_puts(cs == KERNEL_CS && sizeof(void *) == 8 ? ", CS is a 64-bit segment, CPL " : ", CPL ");
    com1_dec(cs & 3);
    com1_putc('\n');
}

/* `sti` takes effect behind the next instruction, so no interrupt can come between the two. */
static void sleep_until(uint64_t tick)
{
    while (ticks < tick)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* The stack is aligned as after a call: System V ABI for x86-64, 3.2.2. */
static void run(const char *name, void (*entry)(void))
{
    int status = task_run(entry, USER_END - 8);
    com1_puts(name);
    com1_puts(status < 0 ? " was ended by exception " : " has left with status ");
    com1_dec((uint32_t)(status < 0 ? -status : status));
    com1_putc('\n');
}

void main(void);
void main(void)
{
    segments_load();
    traps_load();
    vm_init();
    say_mode();
    vm_say_walk(0x100000);

    timer_start();
    sleep_until(10);
    com1_puts("timer: 10 interrupts have come while the kernel slept\n");

    vm_say_walk(USER_START);
    run("task", user_main);
    vm_say_walk(USER_START);
    run("peek", user_peek);
    run("stop", user_stop);

    com1_dec((uint32_t)faults_served);
    com1_puts(" page faults served; the end\n");
    leave(0);
}
