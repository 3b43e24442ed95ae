/* PLIC: from the devices' interrupt wires to the hart's external interrupts. */
#ifndef VITRINE_CPU_PLIC_H
#define VITRINE_CPU_PLIC_H

#include "cpu/dev/device.h"

enum { PLIC_SOURCES = 96 }; /* 1..95; 0 means none */

struct plic;

/* `set_line` is called with IRQ_MEI or IRQ_SEI (cpu/rv.h) and that wire's level whenever it may have
 * changed. NULL: no memory. */
struct plic *plic_new(void (*set_line)(void *context, unsigned number, bool level), void *context);
struct device *plic_device(struct plic *plic);
/* The wire of a source, 1 .. PLIC_SOURCES - 1, for a device to pull. */
struct irq_line plic_input(struct plic *plic, int source);

#endif
