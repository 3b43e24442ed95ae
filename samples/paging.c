/*
 * A walk through Sv32, one step after the other, in S mode.
 *
 * A virtual address has three parts: ten bits choose an entry of the root table, ten bits one of
 * the table that this points to, twelve bits are the place in the page of 4 KiB. If the root's
 * entry is a leaf already (has R, W or X), it maps 4 MiB.
 *
 *     31        22 21        12 11          0        entry: 31              10 9 8 7 6 5 4 3 2 1 0
 *    |   VPN[1]   |   VPN[0]   |   offset    |             | physical page    |RSW|D|A|G|U|X|W|R|V|
 *
 * main() is in M mode: it opens memory, hands the exceptions down and goes to S mode, where each
 * step changes an entry and prints what an access does then. S mode runs where it was loaded, on a
 * page of 4 MiB that maps RAM to itself; the steps play with what is at WINDOW.
 *
 * Whether hardware sets the A and D bits or a page fault asks for them, the result is the same
 * here: see on_trap(). Section 4.3 of volume II.
 */
// expect: paging: Sv32, step by step
// expect: 1 translation is off, satp is 0
// expect: 2 it is on, and this program still runs: RAM is mapped to itself
// expect: 3 a page of 4 KiB, untouched: entry -----WRV
// expect:   after a load:              entry -A---WRV, the load brought 0x000000aa
// expect:   after a store:             entry DA---WRV
// expect: 4 where nothing is mapped, a load ends in: load page fault at 0x40001000
// expect: 5 a page without W: load brought 0x00000077
// expect:   store page fault at 0x40002000
// expect: 6 a page without X: instruction page fault at 0x40002000
// expect:   with X the code there returns 42
// expect: 7 a page with X only: load page fault at 0x40003000
// expect:   with MXR load brought 0x02a00513
// expect: 8 a page of U mode: load page fault at 0x40004000
// expect:   with SUM load brought 0x02a00513
// expect:   but never execute it: instruction page fault at 0x40004000
// expect: 9 two addresses, one page: stored at 0x40005000, at 0x40006000 load brought 0x00000009
// expect: 10 a page of 4 MiB at 0x40400000: load brought 0x00000009
// expect:   one that does not begin at a multiple of 4 MiB: load page fault at 0x40800000
// expect: 11 W without R is reserved: load page fault at 0x40007000
// expect: 12 unmapped, after sfence.vma: load page fault at 0x40005000
// expect:   mapped to another page: load brought 0x000000bb
// expect: 13 another address space, the same address: load brought 0x00000077
// expect:   and back in the first: load brought 0x000000bb
// expect: done
#include "csr.h"
#include "uart.h"

#define WINDOW 0x40000000u /* root entry 256 */
#define PAGE   4096u

#define RWX (PTE_R | PTE_W | PTE_X)
#define AD  (PTE_A | PTE_D)

typedef uint32_t table[1024] __attribute__((aligned(4096)));

static table root, leaves;                      /* the first address space */
static table other_root, other_leaves;          /* the second */
static table page_a, page_b, page_c, page_code; /* memory to be mapped */

/* ---- probes: an access that may fault ---------------------------------------------------- */

static volatile uint32_t fault, fault_address; /* scause, stval of the last fault; cause 0: none */
static volatile uint32_t resume;               /* where a probe goes on after a fault */

static uint32_t *entry_of(uint32_t address)
{
    uint32_t *entry = &((uint32_t *)PTE_PA(csr_read(satp) << 10))[VPN1(address)];
    if ((*entry & PTE_V) && !(*entry & RWX))
        entry = &((uint32_t *)PTE_PA(*entry))[VPN0(address)];
    return entry;
}

/* A machine may leave the A and D bits to software: it faults where one is missing. Set what is,
 * and let the access be tried again. Else it is a fault indeed: write it down, leave the probe. */
__attribute__((interrupt("supervisor"), aligned(4))) static void on_trap(void)
{
    uint32_t cause = csr_read(scause), address = csr_read(stval);
    uint32_t needed = cause == CAUSE_STORE_PAGE ? AD : PTE_A;
    uint32_t *entry = entry_of(address);
    if (cause >= CAUSE_FETCH_PAGE && (*entry & PTE_V) && (*entry & needed) != needed) {
        *entry |= needed;
        __asm__ volatile("sfence.vma" : : : "memory");
        return;
    }
    fault = cause;
    fault_address = address;
    csr_write(sepc, resume);
}

static uint32_t load(uint32_t address)
{
    uint32_t value = 0;
    fault = 0;
    __asm__ volatile("la t0, 1f\n\tsw t0, %1\n\tlw %0, 0(%2)\n1:"
                     : "+&r"(value), "=m"(resume)
                     : "r"(address)
                     : "t0", "memory");
    return value;
}

static void store(uint32_t address, uint32_t value)
{
    fault = 0;
    __asm__ volatile("la t0, 1f\n\tsw t0, %0\n\tsw %2, 0(%1)\n1:"
                     : "=m"(resume)
                     : "r"(address), "r"(value)
                     : "t0", "memory");
}

/* Calls the code at an address, which must not touch more than a0. */
static uint32_t call(uint32_t address)
{
    register uint32_t a0 __asm__("a0") = 0;
    fault = 0;
    __asm__ volatile("la t0, 1f\n\tsw t0, %1\n\tjalr ra, 0(%2)\n1:"
                     : "+r"(a0), "=m"(resume)
                     : "r"(address)
                     : "t0", "ra", "memory");
    return a0;
}

/* ---- printing ---------------------------------------------------------------------------- */

static void say_fault(void)
{
    static const char *const names[] = {
        [CAUSE_FETCH_PAGE] = "instruction page fault",
        [CAUSE_LOAD_PAGE] = "load page fault",
        [CAUSE_STORE_PAGE] = "store page fault",
    };
    uart_puts(fault < sizeof names / sizeof names[0] && names[fault] ? names[fault] : "OTHER TRAP");
    uart_puts(" at ");
    uart_hex(fault_address);
    uart_putc('\n');
}

static void say_load(const char *before, uint32_t address)
{
    uart_puts(before);
    uint32_t value = load(address);
    if (fault) {
        say_fault();
        return;
    }
    uart_puts("load brought ");
    uart_hex(value);
    uart_putc('\n');
}

static void say_store(const char *before, uint32_t address, uint32_t value)
{
    uart_puts(before);
    store(address, value);
    if (fault)
        say_fault();
    else
        uart_puts("STORED\n");
}

static void say_call(const char *before, uint32_t address)
{
    uart_puts(before);
    uint32_t value = call(address);
    if (fault) {
        say_fault();
        return;
    }
    uart_puts("the code there returns ");
    uart_dec(value);
    uart_putc('\n');
}

static void say_entry(const char *before, uint32_t entry)
{
    uart_puts(before);
    uart_puts("entry ");
    for (int bit = 7; bit >= 0; bit--)
        uart_putc(entry >> bit & 1 ? "VRWXUGAD"[bit] : '-');
}

/* ---- mapping ----------------------------------------------------------------------------- */

static void fence(void)
{
    __asm__ volatile("sfence.vma" : : : "memory");
}

static void map(uint32_t *tables, uint32_t address, const void *page, uint32_t bits)
{
    tables[VPN0(address)] = PTE_OF(page) | bits;
    fence();
}

/* What every address space needs so that this program goes on: RAM and devices at their own
 * addresses, and the window's table. */
static void make_root(uint32_t *new_root, uint32_t *window)
{
    new_root[VPN1(RAM)] = PTE_OF(RAM) | RWX | AD | PTE_G | PTE_V;
    new_root[VPN1(UART)] = PTE_OF(UART) | PTE_R | PTE_W | AD | PTE_G | PTE_V;
    new_root[VPN1(FINISHER)] = PTE_OF(0) | PTE_R | PTE_W | AD | PTE_G | PTE_V;
    new_root[VPN1(WINDOW)] = PTE_OF(window) | PTE_V; /* no R, W, X: not a leaf */
}

static void use(const uint32_t *new_root, uint32_t asid)
{
    csr_write(satp, SATP_SV32 | asid << SATP_ASID | (uint32_t)new_root >> 12);
    fence(); /* the machine may have fewer bits for the ASID than we use */
}

/* ---- the steps --------------------------------------------------------------------------- */

static void switch_on(void)
{
    uart_puts(csr_read(satp) == 0 ? "1 translation is off, satp is 0\n" : "1 TRANSLATION IS ON\n");
    make_root(root, leaves);
    use(root, 1);
    uart_puts("2 it is on, and this program still runs: RAM is mapped to itself\n");
}

static void accessed_and_dirty(void)
{
    uint32_t *entry = &leaves[VPN0(WINDOW)];
    page_a[0] = 0xaa;
    map(leaves, WINDOW, page_a, PTE_R | PTE_W | PTE_V);
    say_entry("3 a page of 4 KiB, untouched: ", *entry);
    uint32_t value = load(WINDOW), after_load = *entry;
    say_entry("\n  after a load:              ", after_load);
    uart_puts(", the load brought ");
    uart_hex(value);
    store(WINDOW, 0x77);
    say_entry("\n  after a store:             ", *entry);
    uart_putc('\n');
}

static void rights(void)
{
    say_load("4 where nothing is mapped, a load ends in: ", WINDOW + PAGE);

    uint32_t at = WINDOW + 2 * PAGE;
    map(leaves, at, page_a, PTE_R | AD | PTE_V);
    say_load("5 a page without W: ", at);
    say_store("  ", at, 1);
    say_call("6 a page without X: ", at);

    page_code[0] = 0x02a00513; /* addi a0, zero, 42 */
    page_code[1] = 0x00008067; /* ret */
    __asm__ volatile("fence.i" : : : "memory");
    at += PAGE;
    map(leaves, at, page_code, PTE_X | AD | PTE_V);
    say_call("  with X ", at);
    say_load("7 a page with X only: ", at);
    csr_set(sstatus, MSTATUS_MXR); /* "make executable readable" */
    say_load("  with MXR ", at);
    csr_clear(sstatus, MSTATUS_MXR);

    at += PAGE;
    map(leaves, at, page_code, PTE_R | PTE_X | PTE_U | AD | PTE_V);
    say_load("8 a page of U mode: ", at);
    csr_set(sstatus, MSTATUS_SUM); /* "supervisor may access user memory" */
    say_load("  with SUM ", at);
    fence(); /* without it QEMU 7.2 goes on with what it has noted for the load */
    say_call("  but never execute it: ", at);
    csr_clear(sstatus, MSTATUS_SUM);
}

static void alias_and_large_page(void)
{
    uint32_t one = WINDOW + 5 * PAGE, two = WINDOW + 6 * PAGE;
    map(leaves, one, page_b, PTE_R | PTE_W | AD | PTE_V);
    map(leaves, two, page_b, PTE_R | PTE_W | AD | PTE_V);
    store(one, 9);
    say_load("9 two addresses, one page: stored at 0x40005000, at 0x40006000 ", two);

    /* The same memory a third time: RAM's first 4 MiB, in which this program lies. */
    uint32_t large = WINDOW + (4u << 20), crooked = WINDOW + (8u << 20);
    root[VPN1(large)] = PTE_OF(RAM) | PTE_R | AD | PTE_V;
    root[VPN1(crooked)] = PTE_OF(RAM + PAGE) | PTE_R | AD | PTE_V;
    fence();
    say_load("10 a page of 4 MiB at 0x40400000: ", large + (uint32_t)page_b - RAM);
    say_load("  one that does not begin at a multiple of 4 MiB: ", crooked);

    map(leaves, WINDOW + 7 * PAGE, page_b, PTE_W | AD | PTE_V);
    say_load("11 W without R is reserved: ", WINDOW + 7 * PAGE);
}

/* Between a change and SFENCE.VMA the old entry may be used still, or not: so print nothing. */
static void remap(void)
{
    uint32_t at = WINDOW + 5 * PAGE;
    leaves[VPN0(at)] = 0;
    fence();
    say_load("12 unmapped, after sfence.vma: ", at);
    page_c[0] = 0xbb;
    map(leaves, at, page_c, PTE_R | AD | PTE_V);
    say_load("  mapped to another page: ", at);

    make_root(other_root, other_leaves);
    map(other_leaves, at, page_a, PTE_R | AD | PTE_V);
    use(other_root, 2);
    say_load("13 another address space, the same address: ", at);
    use(root, 1);
    say_load("  and back in the first: ", at);
}

static void supervisor(void)
{
    csr_write(stvec, (uint32_t)on_trap);
    uart_puts("paging: Sv32, step by step\n");
    switch_on();
    accessed_and_dirty();
    rights();
    alias_and_large_page();
    remap();
    uart_puts("done\n");
    MMIO32(FINISHER) = FINISHER_PASS;
    for (;;)
        ;
}

int main(void)
{
    csr_write(pmpaddr0, 0xffffffff); /* all of memory, */
    csr_write(pmpcfg0, 0x1f);        /* for S and U mode too: NAPOT R W X */
    csr_write(medeleg, 1u << CAUSE_FETCH_PAGE | 1u << CAUSE_LOAD_PAGE | 1u << CAUSE_STORE_PAGE);
    csr_clear(mstatus, MSTATUS_MPP);
    csr_set(mstatus, 1u << 11); /* MPP = S */
    csr_write(mepc, (uint32_t)supervisor);
    __asm__ volatile("mret");
    __builtin_unreachable();
}
