/*
 * What the files of this kernel know of each other. README.md has the order to read them in.
 *
 * The address space:
 *
 *      0x00000000  the first GiB of physical memory, for the kernel only
 *      0x40000000  the task: its program, its heap, its stack; see the table in vm.c
 *      0x80000000  nothing from here on
 */
#ifndef SAMPLES_X86_LONGMODE_H
#define SAMPLES_X86_LONGMODE_H

#include <stdbool.h>
#include <stdint.h>

#include "com1.h"

#define USER_START 0x40000000ul
#define USER_END   0x80000000ul

/* ---- segment.c: GDT and TSS ----------------------------------------------------------------- */

void segments_load(void);

/* ---- trap.S and trap.c ---------------------------------------------------------------------- */

/* What a trap finds on the stack: trap.S pushes the first part, the processor the rest. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error; /* error: 0 where the processor gives none */
    uint64_t rip, cs, rflags, rsp, ss;
};

void traps_load(void);

/* Runs `entry` at CPL 3, until it is ended by task_end(). Returns its status. */
int task_run(void (*entry)(void), uint64_t stack);
__attribute__((noreturn)) void task_end(int status);

/* ---- vm.c ----------------------------------------------------------------------------------- */

extern uint64_t faults_served;

void vm_init(void);
/* A page fault: maps what belongs to the address. false: nobody may do that. */
bool vm_fault(uint64_t address, uint64_t error);
/* Prints the way of an address through the four levels. */
void vm_say_walk(uint64_t address);

/* ---- timer.c -------------------------------------------------------------------------------- */

extern volatile uint64_t ticks;

void timer_start(void);
void timer_interrupt(void);

/* ---- user.c: what runs at CPL 3 ------------------------------------------------------------- */

/* System calls: `int SYSCALL`, number in rax, arguments in rdi and rsi, result in rax. */
#define SYSCALL 0x80
enum { SYS_EXIT, SYS_WRITE, SYS_TICKS };

void user_main(void);
void user_peek(void);
void user_stop(void);

#endif
