/*
 * Segments: what long mode has left of them.
 *
 * Base and limit no longer count: every code and data segment is the whole address space. What
 * remains is the privilege level, so there are two pairs, for CPL 0 and CPL 3, and one system
 * segment: the TSS. It once held all registers of a task; now it says which stack a trap from CPL 3
 * starts on, and which ports CPL 3 may use.
 *
 * Source: Intel SDM volume 3, 3.4.5 (descriptors) and 8.7 (TSS); volume 1, 19.5.2 (ports).
 */
#include "longmode.h"

extern char trap_stack_end[];

enum { PORTS = 0x400 }; /* the bitmap is for these; the others are behind its end, so forbidden */

static struct {
    uint32_t reserved0;
    uint64_t rsp[3]; /* the stack for each level that a trap may lead to */
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, bitmap_offset;
    uint8_t forbidden[PORTS / 8 + 1]; /* a bit for each port; a byte of ones ends it */
} __attribute__((packed)) tss;

/* Bits of a descriptor: type, S (no system segment), DPL, P (present), L (64-bit code). */
#define CODE     (0xbull << 40 | 1ull << 44 | 1ull << 47 | 1ull << 53)
#define DATA     (0x3ull << 40 | 1ull << 44 | 1ull << 47)
#define FOR_CPL3 (3ull << 45)
#define A_TSS    (0x9ull << 40 | 1ull << 47)

static uint64_t gdt[7] = {
    [KERNEL_CS / 8] = CODE,
    [KERNEL_DS / 8] = DATA,
    [USER_DS / 8] = DATA | FOR_CPL3,
    [USER_CS / 8] = CODE | FOR_CPL3,
};

/* The only segment whose base and limit count. It takes two entries. */
static void describe_tss(void)
{
    uint64_t base = (uintptr_t)&tss, limit = sizeof tss - 1;
    gdt[TSS_SEL / 8] = A_TSS | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    gdt[TSS_SEL / 8 + 1] = base >> 32;
}

static void allow_com1(void)
{
    for (unsigned i = 0; i < sizeof tss.forbidden; i++)
        tss.forbidden[i] = 0xff;
    tss.forbidden[COM1 / 8] = 0; /* its eight ports are one byte of the bitmap */
}

void segments_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof gdt - 1, (uintptr_t)gdt};

    tss.rsp[0] = (uintptr_t)trap_stack_end;
    tss.bitmap_offset = (uint16_t)((uintptr_t)tss.forbidden - (uintptr_t)&tss);
    allow_com1();
    describe_tss();
    __asm__ volatile("lgdt %0" : : "m"(pointer)); /* KERNEL_CS and KERNEL_DS are as before */
    __asm__ volatile("ltr %w0" : : "r"(TSS_SEL));
}
