/*
 * Printing on the first serial port without interrupts: one function a kind of value.
 *
 * Of the 16550A's eight registers two are enough: a byte that is written to the first goes out, and
 * bit 5 of the line status says that it can take the next one. They are ports, which only `in` and
 * `out` reach: x86 has a second address space of 64 KiB for devices.
 */
#ifndef SAMPLES_X86_COM1_H
#define SAMPLES_X86_COM1_H

#include <stdint.h>

#include "pc.h"

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void com1_putc(char c)
{
    while (!(inb(COM1_LSR) & LSR_THRE))
        ;
    outb(COM1, (uint8_t)c);
}

static inline void com1_puts(const char *text)
{
    while (*text)
        com1_putc(*text++);
}

/* As many digits as there are behind the leading zeros, but at least `digits`. */
static inline void com1_hex(uint64_t value, int digits)
{
    int shift = 60;
    while (shift >= 4 * digits && !(value >> shift))
        shift -= 4;
    com1_puts("0x");
    for (; shift >= 0; shift -= 4)
        com1_putc("0123456789abcdef"[value >> shift & 15]);
}

static inline void com1_dec(uint32_t value)
{
    if (value >= 10)
        com1_dec(value / 10);
    com1_putc((char)('0' + value % 10));
}

/* The end of the run. */
__attribute__((noreturn)) static inline void leave(uint8_t code)
{
    outb(DEBUG_EXIT, code);
    for (;;)
        __asm__ volatile("cli; hlt");
}

#endif
