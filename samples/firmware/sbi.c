/*
 * A firmware for S-mode kernels: the part of the RISC-V Supervisor Binary Interface (SBI) that a
 * small kernel needs, in M mode, for one hart.
 *
 * A kernel asks with ECALL: a7 names the extension, a6 the function, a0.. are arguments; the answer
 * is an error in a0 and a value in a1. Everything else that traps belongs to the kernel and is
 * delegated to it by hardware. The firmware sees only ECALLs and the machine timer, which it turns
 * into the supervisor timer interrupt.
 *
 * Left out: more than one hart, suspend, performance counters, the debug console, and emulation of
 * anything that the hardware lacks. It keeps no state of its own in memory. "RISC-V Supervisor
 * Binary Interface Specification", 1.0.
 */
#include "csr.h"
#include "uart.h"

#define KERNEL 0x80400000

enum {
    EXT_SET_TIMER = 0x00, /* the legacy extensions: the answer is in a0 alone */
    EXT_PUTCHAR = 0x01,
    EXT_GETCHAR = 0x02,
    EXT_SHUTDOWN = 0x08,
    EXT_BASE = 0x10,
    EXT_TIME = 0x54494d45,
    EXT_IPI = 0x735049,
    EXT_RFENCE = 0x52464e43,
    EXT_HSM = 0x48534d,
    EXT_SRST = 0x53525354,
};

enum { OK = 0, NOT_SUPPORTED = -2, INVALID_PARAM = -3, ALREADY_AVAILABLE = -6 };

enum { RA = 1, A0 = 10, A1 = 11, A2 = 12, A3 = 13, A4 = 14, A6 = 16, A7 = 17 };

struct frame {
    uint32_t x[32];
};

struct answer {
    int32_t error;
    uint32_t value;
};

void sbi_init(void);
void sbi_trap(struct frame *frame);

static void end_run(uint32_t word)
{
    MMIO32(FINISHER) = word;
    for (;;)
        __asm__ volatile("wfi");
}

/* ---- the extensions ---------------------------------------------------------------------- */

/* The kernel's timer interrupt stays down until the machine timer fires. */
static void timer_set(uint32_t low, uint32_t high)
{
    MMIO32(CLINT_MTIMECMP + 4) = 0xffffffff; /* no value in between may be in the past */
    MMIO32(CLINT_MTIMECMP) = low;
    MMIO32(CLINT_MTIMECMP + 4) = high;
    csr_clear(mip, 1u << IRQ_STI);
    csr_set(mie, 1u << IRQ_MTI);
}

static uint32_t legacy(const struct frame *f)
{
    switch (f->x[A7]) {
    case EXT_SET_TIMER: timer_set(f->x[A0], f->x[A1]); return 0;
    case EXT_PUTCHAR: uart_putc((char)f->x[A0]); return 0;
    case EXT_GETCHAR: return MMIO8(UART + UART_LSR) & 1 ? MMIO8(UART) : (uint32_t)-1;
    case EXT_SHUTDOWN: end_run(FINISHER_PASS);
    }
    return (uint32_t)NOT_SUPPORTED;
}

static int is_known(uint32_t extension)
{
    static const uint32_t known[] = {
        EXT_SET_TIMER, EXT_PUTCHAR, EXT_GETCHAR, EXT_SHUTDOWN, EXT_BASE,
        EXT_TIME,      EXT_IPI,     EXT_RFENCE,  EXT_HSM,      EXT_SRST,
    };
    for (uint32_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == extension)
            return 1;
    return 0;
}

static struct answer base(const struct frame *f)
{
    switch (f->x[A6]) {
    case 0: return (struct answer){OK, 1u << 24};   /* the specification's version, 1.0 */
    case 1: return (struct answer){OK, 0x7fffffff}; /* which implementation: no registered one */
    case 2: return (struct answer){OK, 1};          /* and its version */
    case 3: return (struct answer){OK, (uint32_t)is_known(f->x[A0])};
    case 4: return (struct answer){OK, csr_read(mvendorid)};
    case 5: return (struct answer){OK, csr_read(marchid)};
    case 6: return (struct answer){OK, csr_read(mimpid)};
    }
    return (struct answer){NOT_SUPPORTED, 0};
}

static struct answer time(const struct frame *f)
{
    if (f->x[A6] != 0)
        return (struct answer){NOT_SUPPORTED, 0};
    timer_set(f->x[A0], f->x[A1]);
    return (struct answer){OK, 0};
}

/* A set of harts: a mask, and the number of the hart that is its lowest bit (-1: all harts). */
static int has_hart_0(uint32_t mask, uint32_t first)
{
    return first == (uint32_t)-1 || (first == 0 && (mask & 1));
}

static struct answer ipi(const struct frame *f)
{
    if (f->x[A6] != 0)
        return (struct answer){NOT_SUPPORTED, 0};
    if (!has_hart_0(f->x[A0], f->x[A1]))
        return (struct answer){INVALID_PARAM, 0};
    csr_set(mip, 1u << IRQ_SSI);
    return (struct answer){OK, 0};
}

/* The "remote" hart is the one that asks. Fencing more than was asked for is always right. */
static struct answer rfence(const struct frame *f)
{
    if (f->x[A6] > 2)
        return (struct answer){NOT_SUPPORTED, 0};
    if (!has_hart_0(f->x[A0], f->x[A1]))
        return (struct answer){INVALID_PARAM, 0};
    if (f->x[A6] == 0)
        __asm__ volatile("fence.i" : : : "memory");
    else
        __asm__ volatile("sfence.vma" : : : "memory");
    return (struct answer){OK, 0};
}

static struct answer hsm(const struct frame *f)
{
    switch (f->x[A6]) {
    case 0: /* start: the one hart runs already, others do not exist */
        return (struct answer){f->x[A0] == 0 ? ALREADY_AVAILABLE : INVALID_PARAM, 0};
    case 1: /* stop: and there is no other hart that could start it again */
        csr_write(mie, 0);
        for (;;)
            __asm__ volatile("wfi");
    case 2: /* status: 0 is started */
        return (struct answer){f->x[A0] == 0 ? OK : INVALID_PARAM, 0};
    }
    return (struct answer){NOT_SUPPORTED, 0};
}

/* a0: 0 shut down, 1 and 2 reboot; a1: reason, 1 is a failure. */
static struct answer srst(const struct frame *f)
{
    if (f->x[A6] != 0)
        return (struct answer){NOT_SUPPORTED, 0};
    if (f->x[A0] > 2 || f->x[A1] > 1)
        return (struct answer){INVALID_PARAM, 0};
    if (f->x[A0] != 0)
        end_run(0x7777); /* the finisher's word for a reset */
    end_run(f->x[A1] ? 1u << 16 | FINISHER_FAIL : FINISHER_PASS);
    return (struct answer){OK, 0};
}

/* ---- dispatch ---------------------------------------------------------------------------- */

static void sbi_call(struct frame *f)
{
    static const struct {
        uint32_t extension;
        struct answer (*serve)(const struct frame *frame);
    } table[] = {
        {EXT_BASE, base},     {EXT_TIME, time}, {EXT_IPI, ipi},
        {EXT_RFENCE, rfence}, {EXT_HSM, hsm},   {EXT_SRST, srst},
    };
    if (f->x[A7] < EXT_BASE) {
        f->x[A0] = legacy(f);
        return;
    }
    struct answer answer = {NOT_SUPPORTED, 0};
    for (uint32_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].extension == f->x[A7])
            answer = table[i].serve(f);
    f->x[A0] = (uint32_t)answer.error;
    f->x[A1] = answer.value;
}

void sbi_trap(struct frame *f)
{
    uint32_t cause = csr_read(mcause);
    if (cause == (CAUSE_INTERRUPT | IRQ_MTI)) {
        csr_clear(mie, 1u << IRQ_MTI); /* its level stays up until the next timer_set() */
        csr_set(mip, 1u << IRQ_STI);
    } else if (cause == CAUSE_ECALL_S) {
        csr_write(mepc, csr_read(mepc) + 4);
        sbi_call(f);
    } else {
        uart_puts("firmware: trap ");
        uart_hex(cause);
        uart_puts(" at ");
        uart_hex(csr_read(mepc));
        uart_puts(", mtval ");
        uart_hex(csr_read(mtval));
        uart_putc('\n');
        end_run(98u << 16 | FINISHER_FAIL);
    }
}

void sbi_init(void)
{
    /* Physical memory protection: the first entry that fits decides. The firmware's 4 MiB are
     * closed to S and U mode, everything else is open. NAPOT: the number of low one bits of the
     * address says how long the region is. */
    csr_write(pmpaddr0, RAM >> 2 | (0x400000 / 8 - 1));
    csr_write(pmpaddr1, 0xffffffff);
    csr_write(pmpcfg0, 0x1f18); /* entry 1: NAPOT R W X; entry 0: NAPOT, nothing */

    /* The kernel looks after its own traps, save calls to the firmware and M mode's. */
    csr_write(medeleg, 0xffff & ~(1u << CAUSE_ECALL_S | 1u << CAUSE_ECALL_M));
    csr_write(mideleg, 1u << IRQ_SSI | 1u << IRQ_STI | 1u << IRQ_SEI);
    csr_write(mie, 0);
    csr_write(mcounteren, 7); /* cycle, time and instret may be read below M mode */

    csr_write(mepc, KERNEL);
    csr_clear(mstatus, MSTATUS_MPP | MSTATUS_MPIE);
    csr_set(mstatus, 1u << 11); /* MPP = S */
}
