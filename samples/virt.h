/*
 * The map of the `virt` machine, for assembly and C: what is where in physical memory.
 *
 * Only what the samples use. Offsets of a device's registers stand with the code that uses them.
 */
#ifndef SAMPLES_VIRT_H
#define SAMPLES_VIRT_H

#define FINISHER 0x00100000 /* a store ends the run */
#define CLINT    0x02000000 /* software and timer interrupts of M mode */
#define PLIC     0x0c000000 /* interrupts of devices */
#define UART     0x10000000 /* ns16550a */
#define RAM      0x80000000

#define FINISHER_PASS 0x5555
#define FINISHER_FAIL 0x3333 /* exit code in the upper half */

#define CLINT_MSIP     (CLINT + 0)      /* 1: software interrupt */
#define CLINT_MTIMECMP (CLINT + 0x4000) /* timer interrupt while mtime >= mtimecmp; 64 bits */
#define CLINT_MTIME    (CLINT + 0xbff8) /* counts at 10 MHz; 64 bits */

#define UART_IRQ 10 /* the UART's source number at the PLIC */

#endif
