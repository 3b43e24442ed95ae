/*
 * Every trap cause of the machine, once.
 *
 * An experiment is a piece of code that is entered in some mode by MRET and never returns: it ends
 * in a trap. run_in() starts one; the trap vector does not go back to the trapped code but makes
 * run_in() return, with what the hardware wrote into mcause, mtval and mstatus.MPP. Nothing is
 * delegated, so M mode takes every trap.
 *
 * Printed is what the specification promises on every machine: the cause, the mode that trapped
 * (MPP) and, where an address has to be in mtval, whether it is the right one. Not printed is what
 * implementations may choose: mtval of an illegal instruction (the instruction or zero) and of
 * EBREAK, of a misaligned jump (QEMU 7.2 has the jump's own address there), and which cause a
 * misaligned atomic has (sections 3.1.15 and 3.1.16 of volume II).
 * With compressed instructions a jump to pc + 2 is no error, then the first experiment is left out.
 */
// expect: traps: every cause once, taken in M mode
// expect:   0  instruction address misaligned  from M
// expect:   1  instruction access fault        from M  mtval is the address
// expect:   2  illegal instruction             from M
// expect:   3  breakpoint                      from M
// expect:   4  load address misaligned         from M  mtval is the address
// expect:   5  load access fault               from M  mtval is the address
// expect:   6  store/AMO address misaligned    from M  mtval is the address
// expect:   7  store/AMO access fault          from M  mtval is the address
// expect:   8  environment call                from U
// expect:   9  environment call                from S
// expect:  11  environment call                from M
// expect:  12  instruction page fault          from U  mtval is the address
// expect:  13  load page fault                 from U  mtval is the address
// expect:  15  store/AMO page fault            from S  mtval is the address
// expect: irq  1  supervisor software          from S
// expect: irq  3  machine software             from M
// expect: irq  5  supervisor timer             from U
// expect: irq  7  machine timer                from M
// expect: irq  9  supervisor external          from S
// expect: irq 11  machine external             from M  PLIC source 10
// expect: 20 of 20 as expected
#include "csr.h"
#include "uart.h"

enum mode { MODE_U, MODE_S, MODE_M = 3 };

#define NOWHERE    0x00800000 /* no device and no memory on any `virt` machine */
#define UNMAPPED   0x40000000 /* a virtual address without a page table entry */
#define READ_ONLY  0x40400000 /* a virtual address that may be read only */
#define SUPERVISOR 0xc0000000 /* RAM again, for S mode: it must not execute pages of U mode */

/* ---- one experiment ---------------------------------------------------------------------- */

struct trap {
    uint32_t cause, tval, from;
} trap;

/*
 * uint32_t run_in(enum mode mode, void (*code)(void), uint32_t offset)
 *
 * Enters `code` + `offset` in `mode` with that mode's interrupts on, and returns mcause. What C
 * expects to find again after a call is saved on the stack, the stack in mscratch.
 */
uint32_t run_in(enum mode mode, void (*code)(void), uint32_t offset);

__asm__("    .text\n"
        "    .globl run_in\n"
        "run_in:\n"
        "    addi sp, sp, -64\n"
        "    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "    sw   s\\n, 4 * \\n(sp)\n"
        "    .endr\n"
        "    sw   ra, 48(sp)\n"
        "    csrw mscratch, sp\n"
        "    la   t0, trap_vector\n"
        "    csrw mtvec, t0\n"
        "    li   t0, 0x1888\n" /* MPP, MPIE, MIE: the machine's interrupts stay off until MRET */
        "    csrc mstatus, t0\n"
        "    slli t1, a0, 11\n"
        "    ori  t1, t1, 0x80\n" /* MPIE: MRET makes it MIE */
        "    csrs mstatus, t1\n"
        "    add  a1, a1, a2\n"
        "    csrw mepc, a1\n"
        "    mret\n"
        "    .balign 4\n"
        "trap_vector:\n"
        "    csrr sp, mscratch\n"
        "    csrw mie, zero\n"
        "    csrr a0, mcause\n"
        "    csrr t0, mtval\n"
        "    csrr t1, mstatus\n"
        "    la   t2, trap\n"
        "    sw   a0, 0(t2)\n"
        "    sw   t0, 4(t2)\n"
        "    sw   t1, 8(t2)\n"
        "    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "    lw   s\\n, 4 * \\n(sp)\n"
        "    .endr\n"
        "    lw   ra, 48(sp)\n"
        "    addi sp, sp, 64\n"
        "    ret\n");

/* ---- what is tried ----------------------------------------------------------------------- */

#define EXPERIMENT(name, text)                                                                     \
    __attribute__((naked)) static void name(void)                                                  \
    {                                                                                              \
        __asm__(text);                                                                             \
    }

static uint32_t word; /* something that may be read and written */

EXPERIMENT(do_jump_misaligned, "jal zero, . + 2")
EXPERIMENT(do_jump_nowhere, "li t0, 0x00800000; jr t0")
EXPERIMENT(do_illegal, ".word 0xffffffff")
EXPERIMENT(do_ebreak, "ebreak")
EXPERIMENT(do_lr_misaligned, "la t0, word + 2; lr.w t1, (t0)")
EXPERIMENT(do_load_nowhere, "li t0, 0x00800000; lw t1, 0(t0)")
EXPERIMENT(do_amo_misaligned, "la t0, word + 2; amoadd.w t1, t0, (t0)")
EXPERIMENT(do_store_nowhere, "li t0, 0x00800000; sw t1, 0(t0)")
EXPERIMENT(do_ecall, "ecall")
EXPERIMENT(do_jump_read_only, "li t0, 0x40400000; jr t0")
EXPERIMENT(do_load_unmapped, "li t0, 0x40000000; lw t1, 0(t0)")
EXPERIMENT(do_store_read_only, "li t0, 0x40400000; sw t1, 0(t0)")
EXPERIMENT(do_wait, "1: nop; j 1b") /* for an interrupt */

/* ---- what interrupts --------------------------------------------------------------------- */

static void raise_software(void)
{
    csr_write(mip, 1u << IRQ_SSI);
}

static void raise_machine_software(void)
{
    MMIO32(CLINT_MSIP) = 1;
}

static void raise_timer(void)
{
    csr_write(mip, 1u << IRQ_STI);
}

/* Two halves: first the upper one out of the way, so that no value in between is in the past. */
static void set_mtimecmp(uint32_t high, uint32_t low)
{
    MMIO32(CLINT_MTIMECMP + 4) = 0xffffffff;
    MMIO32(CLINT_MTIMECMP) = low;
    MMIO32(CLINT_MTIMECMP + 4) = high;
}

/* In 100 ticks, 10 microseconds. The run is too young for the lower half to wrap. */
static void raise_machine_timer(void)
{
    set_mtimecmp(MMIO32(CLINT_MTIME + 4), MMIO32(CLINT_MTIME) + 100);
}

static void raise_external(void)
{
    csr_write(mip, 1u << IRQ_SEI);
}

/* The UART has nothing to send, and interrupts to say so. */
static void raise_machine_external(void)
{
    MMIO32(PLIC + 4 * UART_IRQ) = 1;        /* priority, above the threshold 0 */
    MMIO32(PLIC + 0x2000) = 1u << UART_IRQ; /* enabled for M mode of hart 0 */
    MMIO8(UART + 1) = 1 << 1;               /* IER: transmitter empty */
}

static uint32_t plic_source;

static void calm_everything(void)
{
    csr_write(mip, 0);
    MMIO32(CLINT_MSIP) = 0;
    set_mtimecmp(0xffffffff, 0xffffffff);
    plic_source = MMIO32(PLIC + 0x200004); /* claim */
    MMIO8(UART + 1) = 0;
    if (plic_source)
        MMIO32(PLIC + 0x200004) = plic_source; /* complete */
}

/* ---- the table --------------------------------------------------------------------------- */

struct experiment {
    uint32_t cause;
    const char *name;
    enum mode mode;
    void (*code)(void);
    uint32_t tval;       /* what mtval must be, 0: not promised */
    void (*raise)(void); /* an interrupt's source */
};

#define IRQ(number) (CAUSE_INTERRUPT | (number))
#define WORD        1 /* stands for the address `word` + 2, which is no constant for C */

static const struct experiment experiments[] = {
    {0, "instruction address misaligned", MODE_M, do_jump_misaligned, 0, 0},
    {1, "instruction access fault", MODE_M, do_jump_nowhere, NOWHERE, 0},
    {2, "illegal instruction", MODE_M, do_illegal, 0, 0},
    {3, "breakpoint", MODE_M, do_ebreak, 0, 0},
    {4, "load address misaligned", MODE_M, do_lr_misaligned, WORD, 0},
    {5, "load access fault", MODE_M, do_load_nowhere, NOWHERE, 0},
    {6, "store/AMO address misaligned", MODE_M, do_amo_misaligned, WORD, 0},
    {7, "store/AMO access fault", MODE_M, do_store_nowhere, NOWHERE, 0},
    {8, "environment call", MODE_U, do_ecall, 0, 0},
    {9, "environment call", MODE_S, do_ecall, 0, 0},
    {11, "environment call", MODE_M, do_ecall, 0, 0},
    {12, "instruction page fault", MODE_U, do_jump_read_only, READ_ONLY, 0},
    {13, "load page fault", MODE_U, do_load_unmapped, UNMAPPED, 0},
    {15, "store/AMO page fault", MODE_S, do_store_read_only, READ_ONLY, 0},
    {IRQ(1), "supervisor software", MODE_S, do_wait, 0, raise_software},
    {IRQ(3), "machine software", MODE_M, do_wait, 0, raise_machine_software},
    {IRQ(5), "supervisor timer", MODE_U, do_wait, 0, raise_timer},
    {IRQ(7), "machine timer", MODE_M, do_wait, 0, raise_machine_timer},
    {IRQ(9), "supervisor external", MODE_S, do_wait, 0, raise_external},
    {IRQ(11), "machine external", MODE_M, do_wait, 0, raise_machine_external},
};

/* A misaligned atomic traps on every machine, but may do so as an access fault; and QEMU 7.2 takes
 * the load's cause for an AMO's. So any of the four counts as the expected one. */
static uint32_t cause_of_trap(const struct experiment *e)
{
    if (e->tval == WORD && trap.cause >= CAUSE_LOAD_MISALIGNED && trap.cause <= CAUSE_STORE_ACCESS)
        return e->cause;
    return trap.cause;
}

static uint32_t promised_tval(const struct experiment *e)
{
    if (e->tval == WORD)
        return (uint32_t)&word + 2;
    return e->tval;
}

/* ---- translation ------------------------------------------------------------------------- */

static uint32_t root[1024] __attribute__((aligned(4096)));

/* Pages of 4 MiB: RAM for U mode where it is and for S mode at SUPERVISOR, and one read-only. */
static void translation_on(enum mode mode)
{
    uint32_t flags = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D;
    root[VPN1(RAM)] = PTE_OF(RAM) | flags | PTE_U;
    root[VPN1(SUPERVISOR)] = PTE_OF(RAM) | flags;
    root[VPN1(READ_ONLY)] = PTE_OF(RAM) | PTE_V | PTE_R | PTE_A | PTE_D;
    if (mode == MODE_U)
        root[VPN1(READ_ONLY)] |= PTE_U;
    csr_write(satp, SATP_SV32 | (uint32_t)root >> 12);
    __asm__ volatile("sfence.vma" : : : "memory");
}

/* ---- the run ----------------------------------------------------------------------------- */

/* Returns whether all was as it has to be. */
static int try(const struct experiment *e)
{
    int paged = e->cause >= CAUSE_FETCH_PAGE && e->cause <= CAUSE_STORE_PAGE;
    if (paged)
        translation_on(e->mode);
    if (e->raise) {
        csr_write(mie, 1u << (e->cause & 31));
        e->raise();
    }
    run_in(e->mode, e->code, paged && e->mode == MODE_S ? SUPERVISOR - RAM : 0);
    csr_write(satp, 0);
    calm_everything();

    uint32_t cause = cause_of_trap(e), tval = promised_tval(e);
    uint32_t from = (trap.from & MSTATUS_MPP) >> 11, number = cause & 31;
    uart_puts(cause & CAUSE_INTERRUPT ? "irq " : " ");
    uart_puts(number < 10 ? " " : "");
    uart_dec(number);
    uart_puts("  ");
    uart_column(cause == e->cause ? e->name : "NOT AS EXPECTED", e->raise ? 27 : 30);
    uart_puts("  from ");
    uart_putc("US?M"[from]);
    if (tval)
        uart_puts(trap.tval == tval ? "  mtval is the address" : "  MTVAL IS ANOTHER ADDRESS");
    if (plic_source) {
        uart_puts("  PLIC source ");
        uart_dec(plic_source);
    }
    uart_putc('\n');
    return cause == e->cause && from == e->mode && (!tval || trap.tval == tval);
}

int main(void)
{
    uart_puts("traps: every cause once, taken in M mode\n");

    /* Without an entry of physical memory protection S and U mode may touch nothing. This one
     * opens everything: NAPOT over all addresses, read, write, execute. */
    csr_write(pmpaddr0, 0xffffffff);
    csr_write(pmpcfg0, 0x1f);
    calm_everything();

    uint32_t count = sizeof experiments / sizeof experiments[0], good = 0, first = 0;
    if (csr_read(misa) & 1 << ('C' - 'A')) {
        uart_puts("  (compressed instructions: a jump to pc + 2 is allowed here)\n");
        first = 1;
    }
    for (uint32_t i = first; i < count; i++)
        good += (uint32_t)try(&experiments[i]);
    uart_dec(good);
    uart_puts(" of ");
    uart_dec(count - first);
    uart_puts(" as expected\n");
    return good != count - first;
}
