/*
 * Printing on the UART without interrupts, for the small samples: one function a kind of value.
 *
 * The ns16550a has eight byte-wide registers. Two are enough to print: a byte that is written to
 * THR (offset 0) goes out, and bit 5 of LSR (offset 5) says that THR can take the next one.
 */
#ifndef SAMPLES_UART_H
#define SAMPLES_UART_H

#include <stdint.h>

#include "virt.h"

#define MMIO8(address)  (*(volatile uint8_t *)(uintptr_t)(address))
#define MMIO32(address) (*(volatile uint32_t *)(uintptr_t)(address))

enum { UART_THR = 0, UART_LSR = 5, UART_LSR_THRE = 1 << 5 };

static inline void uart_putc(char c)
{
    while (!(MMIO8(UART + UART_LSR) & UART_LSR_THRE))
        ;
    MMIO8(UART + UART_THR) = (uint8_t)c;
}

static inline void uart_puts(const char *text)
{
    while (*text)
        uart_putc(*text++);
}

/* Pads the text with blanks up to `width`. */
static inline void uart_column(const char *text, int width)
{
    for (; *text; width--)
        uart_putc(*text++);
    while (width-- > 0)
        uart_putc(' ');
}

static inline void uart_hex(uint32_t value)
{
    uart_puts("0x");
    for (int shift = 28; shift >= 0; shift -= 4)
        uart_putc("0123456789abcdef"[value >> shift & 15]);
}

static inline void uart_dec(uint32_t value)
{
    if (value >= 10)
        uart_dec(value / 10);
    uart_putc((char)('0' + value % 10));
}

#endif
