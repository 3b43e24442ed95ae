/*
 * The serial line, an ns16550a. Output waits for the transmitter; input comes by interrupt into a
 * ring, from which uart_get() takes it.
 *
 * When the ring is full, the receive interrupt is switched off until there is room again: then the
 * device holds what arrives, and nothing is lost if the other side heeds that it is full. The
 * FIFO control register is left alone, because writing it may throw away what was typed early.
 */
#include "minios.h"

enum { DATA = 0, IER = 1, LSR = 5 }; /* registers */
enum { IER_RECEIVED = 1 };           /* interrupt when there is data */
enum { LSR_READY = 1, LSR_CAN_TAKE = 1 << 5 };
enum { RING = 512 };

static char ring[RING];
static uint32_t taken, arrived; /* counted on for ever; arrived - taken are in the ring */

void uart_init(void)
{
    plic_enable(UART_IRQ, uart_interrupt);
    MMIO8(UART + IER) = IER_RECEIVED;
}

void uart_put(char c)
{
    while (!(MMIO8(UART + LSR) & LSR_CAN_TAKE))
        ;
    MMIO8(UART + DATA) = (uint8_t)c;
}

void uart_interrupt(void)
{
    while (MMIO8(UART + LSR) & LSR_READY) {
        if (arrived - taken == RING) {
            MMIO8(UART + IER) = 0;
            break;
        }
        ring[arrived++ % RING] = (char)MMIO8(UART + DATA);
    }
    proc_wakeup(ring);
}

char uart_get(void)
{
    while (arrived == taken)
        proc_sleep(ring);
    char c = ring[taken++ % RING];
    MMIO8(UART + IER) = IER_RECEIVED;
    return c;
}
