/* ns16550a UART: the guest's console. */
#ifndef VITRINE_CPU_UART_H
#define VITRINE_CPU_UART_H

#include <stddef.h>

#include "cpu/dev/device.h"

struct uart;

/* `out` is called during the guest's store with what it transmits. NULL: no memory. */
struct uart *uart_new(struct irq_line irq,
                      void (*out)(void *context, const uint8_t *bytes, size_t count),
                      void *context);
struct device *uart_device(struct uart *uart);
/* Bytes arrive at the receiver. Returns how many its FIFO had room for. */
size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t count);
/* Takes one received byte, or -1: for firmware that reads the console for its kernel. */
int uart_take(struct uart *uart);

#endif
