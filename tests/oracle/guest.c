/*
 * Runs random programs one after the other and prints a hash of what each has left: its registers,
 * its CSRs, its memory. The same lines must come from every machine that does what the
 * specification says. See programs.c.
 */
#include "csr.h"
#include "uart.h"

void run_program(void);
extern uint32_t registers[32];
extern const uint32_t programs[];

enum { PROGRAM_BYTES = 0x90000 }; /* of memory that a program may use */

#define MEMORY ((volatile uint32_t *)0x80000000u)

/* FNV-1a, by words. */
static uint32_t hash(uint32_t sum, uint32_t word)
{
    return (sum ^ word) * 16777619u;
}

/* -DVERBOSE tells what differs when hashes do. */
static void verbose(const char *name, uint32_t value)
{
#ifdef VERBOSE
    uart_puts(name);
    uart_puts(" ");
    uart_hex(value);
    uart_puts("\n");
#endif
}

#define RESET(csr) __asm__ volatile("csrw " #csr ", zero")
#define HASH(sum, csr, mask) do { \
        uint32_t value_; \
        __asm__ volatile("csrr %0, " #csr : "=r"(value_)); \
        (sum) = hash(sum, value_ & (mask)); \
        verbose(#csr, value_ & (mask)); \
    } while (0)

static void reset_csrs(void)
{
    RESET(mstatus);
    RESET(mie);
    RESET(mip);
    RESET(satp);
    RESET(mideleg);
    RESET(scounteren);
    RESET(sscratch);
    RESET(sepc);
    RESET(scause);
    RESET(stval);
    RESET(mscratch);
    RESET(mepc);
    RESET(mcause);
    RESET(mtval);
    RESET(pmpcfg0);
    RESET(pmpcfg1);
    RESET(pmpcfg2);
    RESET(pmpcfg3);
    RESET(pmpaddr0);
    RESET(pmpaddr1);
    RESET(pmpaddr2);
}

/* With one hart QEMU does an atomic as a load and a store, and says of it what it says of a load. */
static uint32_t alike(uint32_t cause)
{
    return cause == 4 || cause == 5 || cause == 13 ? cause | 2 : cause;
}

/* Only bits that every machine with M, S and U mode has. */
static uint32_t hash_csrs(void)
{
    uint32_t sum = 2166136261u;
    HASH(sum, mstatus, 0x007e19aa);
    HASH(sum, mie, 0xaaa);
    HASH(sum, mip, 0x222);
    HASH(sum, mideleg, 0x222);
    HASH(sum, satp, 0xffffffff);
    HASH(sum, sscratch, 0xffffffff);
    HASH(sum, sepc, 0xffffffff);
    HASH(sum, stval, 0xffffffff);
    HASH(sum, mscratch, 0xffffffff);
    HASH(sum, mepc, 0xffffffff);
    HASH(sum, mtval, 0xffffffff);
    uint32_t scause, mcause;
    __asm__ volatile("csrr %0, scause\n\tcsrr %1, mcause" : "=r"(scause), "=r"(mcause));
    sum = hash(hash(sum, alike(scause)), alike(mcause));
    HASH(sum, pmpaddr0, 0xffffffff);
    return sum;
}

static const uint32_t *load_program(const uint32_t *p)
{
    for (uint32_t n = 0; n < PROGRAM_BYTES / 4; n++)
        MEMORY[n] = 0;
    for (uint32_t pieces = *p++; pieces; pieces--) {
        volatile uint32_t *to = (volatile uint32_t *)*p++;
        for (uint32_t words = *p++; words; words--)
            *to++ = *p++;
    }
    return p;
}

static void report(uint32_t seed)
{
    uint32_t csrs = hash_csrs(), sum = 2166136261u;
    RESET(mstatus);
    RESET(satp);
    uart_dec(seed);
    uart_puts(" registers ");
    for (int n = 1; n < 28; n++) {
        sum = hash(sum, registers[n]);
        verbose("\nx", registers[n]);
    }
    uart_hex(sum);
    uart_puts(" csrs ");
    uart_hex(csrs);
    uart_puts(" memory ");
    sum = 2166136261u;
    for (uint32_t n = 0; n < PROGRAM_BYTES / 4; n++)
        sum = hash(sum, MEMORY[n]);
    uart_hex(sum);
    uart_puts("\n");
}

void main(void)
{
    const uint32_t *p = programs;
    MMIO32(CLINT + 0x4000) = 0xffffffff; /* mtimecmp: never */
    MMIO32(CLINT + 0x4004) = 0xffffffff;
    for (uint32_t count = *p++; count; count--) {
        uint32_t seed = *p++;
        p = load_program(p);
        reset_csrs();
        run_program();
        report(seed);
    }
    MMIO32(FINISHER) = 0x5555;
}
