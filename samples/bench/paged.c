/*
 * A kernel in U mode, under Sv32, with a small supervisor below it.
 *
 * main() runs in M mode: it builds two address spaces, lets S mode take the traps, and goes to U mode.
 * Everything is mapped with pages of 4 KiB at its own physical address, A and D set beforehand: the
 * supervisor's pages for S, all others for U. What S mode executes or touches is marked KERNEL.
 */
#include "paged.h"

#include "csr.h"
#include "print.h"
#include "uart.h"

#define KERNEL      __attribute__((section(".kernel.text"), noinline))
#define KERNEL_DATA __attribute__((section(".kernel.data"), aligned(4096)))

enum { PAGE = 4096, TABLES = 24, ALL = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D };

extern char kernel_start[], kernel_end[], image_end[];
void supervisor_trap(void);
void machine_timer(void);

KERNEL_DATA static uint32_t root[2][1024];
KERNEL_DATA static uint32_t table[TABLES][1024];
KERNEL_DATA static uint32_t supervisor_stack[1024]; /* its end is the frame */
KERNEL_DATA static uint32_t *demand; /* the leaf table of DEMAND */
static char demand_page[16][PAGE] __attribute__((aligned(4096)));
static char shared_page[2][SHARED_PAGES][PAGE] __attribute__((aligned(4096)));
uint32_t other_space, other_space_asid, timer_frame[4];
volatile uint32_t ticks;
static unsigned tables;
__attribute__((weak)) uint32_t timer_interval = 0;

/* ---- in S mode ---------------------------------------------------------------------------- */

KERNEL static void map_on_demand(uint32_t va)
{
    uint32_t page = (va - DEMAND) / PAGE;
    uint32_t pa = (uint32_t)(uintptr_t)demand_page + page % 16 * PAGE;
    demand[page] = PTE_OF(pa) | ALL | PTE_U;
    __asm__ volatile("sfence.vma %0, zero" : : "r"(va) : "memory");
}

KERNEL static void unmap_all(void)
{
    for (int i = 0; i < DEMAND_PAGES; i++)
        demand[i] = 0;
    __asm__ volatile("sfence.vma" : : : "memory");
}

KERNEL static void finish(uint32_t code)
{
    MMIO32(FINISHER) = code ? FINISHER_FAIL | code << 16 : FINISHER_PASS;
    for (;;)
        ;
}

/* frame[0] is sepc, the others are the registers. */
KERNEL void supervisor(uint32_t *frame, uint32_t cause, uint32_t value);
KERNEL void supervisor(uint32_t *frame, uint32_t cause, uint32_t value)
{
    if (cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE) {
        if (value - DEMAND >= DEMAND_PAGES * PAGE)
            finish(98);
        map_on_demand(value);
        return;
    }
    if (cause != CAUSE_ECALL_U)
        finish(97);
    frame[0] += 4;
    uint32_t number = frame[17];
    if (number == CALL_ADD)
        frame[10]++;
    else if (number == CALL_UNMAP)
        unmap_all();
    else if (number == CALL_PUT)
        MMIO8(UART + UART_THR) = (uint8_t)frame[10];
    else
        finish(number == CALL_EXIT ? frame[10] : 96);
}

/* ---- in M mode: the address spaces -------------------------------------------------------- */

static uint32_t *leaf_of(uint32_t *of_root, uint32_t va)
{
    uint32_t *entry = &of_root[VPN1(va)];
    if (!*entry)
        *entry = PTE_OF(table[tables++]) | PTE_V;
    return (uint32_t *)(uintptr_t)PTE_PA(*entry);
}

static void map(int space, uint32_t va, uint32_t pa, uint32_t bits)
{
    leaf_of(root[space], va)[VPN0(va)] = PTE_OF(pa) | bits;
}

static void map_image(void)
{
    uint32_t first = (uint32_t)(uintptr_t)kernel_start, end = (uint32_t)(uintptr_t)kernel_end;
    for (uint32_t at = RAM; at < (uint32_t)(uintptr_t)image_end; at += PAGE)
        map(0, at, at, at >= first && at < end ? ALL : ALL | PTE_U);
    map(0, FINISHER, FINISHER, ALL);
    map(0, UART, UART, ALL);
    map(0, UART + PAGE, UART, ALL | PTE_U); /* for U mode to read */
}

/* The second shares all tables with the first but the one of SHARED. */
static void build_spaces(void)
{
    map_image();
    demand = leaf_of(root[0], DEMAND);
    for (int i = 0; i < 1024; i++)
        root[1][i] = root[0][i];
    for (int space = 0; space < 2; space++)
        for (uint32_t i = 0; i < SHARED_PAGES; i++)
            map(space, SHARED + i * PAGE, (uint32_t)(uintptr_t)shared_page[space][i], ALL | PTE_U);
    other_space = (uint32_t)(uintptr_t)root[0] >> 12 ^ (uint32_t)(uintptr_t)root[1] >> 12;
    other_space_asid = other_space | 3u << SATP_ASID; /* ASID 1 becomes 2 and back */
}

/* ---- in U mode ---------------------------------------------------------------------------- */

static void put(char c) { call(CALL_PUT, (uint32_t)c, 0); }

static void user(void)
{
    print(put, kernel_rounds, kernel(kernel_rounds));
    call(CALL_EXIT, 0, 0);
}

static void arm_timer(void)
{
    csr_write(mtvec, machine_timer);
    csr_write(mscratch, timer_frame);
    MMIO32(CLINT_MTIMECMP + 4) = 0;
    MMIO32(CLINT_MTIMECMP) = MMIO32(CLINT_MTIME) + timer_interval;
    csr_write(mie, 1u << IRQ_MTI);
}

int main(void)
{
    build_spaces();
    csr_write(pmpaddr0, -1);
    csr_write(pmpcfg0, 0x1f);
    csr_write(medeleg, 0xb1ff);
    csr_write(stvec, supervisor_trap);
    csr_write(sscratch, &supervisor_stack[1024 - 64]);
    csr_write(satp, SATP_SV32 | 1u << SATP_ASID | (uint32_t)(uintptr_t)root[0] >> 12);
    __asm__ volatile("sfence.vma");
    if (timer_interval)
        arm_timer();
    csr_clear(mstatus, MSTATUS_MPP);
    csr_write(mepc, user);
    __asm__ volatile("mret");
    __builtin_unreachable();
}
