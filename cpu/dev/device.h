/*
 * What a device is to the bus, and what the bus and the interrupt wires are to a device.
 *
 * A device is one file: a struct with its state, a state table, a register table, and functions. It
 * knows neither the machine nor its controller: it gets an irq_line to pull, functions to call for
 * what leaves the computer, and RAM if it does DMA. The register table is what the GUI shows and
 * documents; `peek` reads a register without the side effects of a guest's read.
 *
 * A guest may do anything to a device: every offset, size and value must be harmless. An access
 * that the device does not answer returns false, which the hart turns into an access fault.
 */
#ifndef VITRINE_CPU_DEVICE_H
#define VITRINE_CPU_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"

/* A wire to an interrupt controller. The device does not know which one. */
struct irq_line {
    void (*set)(void *opaque, int number, bool level);
    void *opaque;
    int number;
};

static inline void irq_set(const struct irq_line *irq, bool level)
{
    if (irq->set)
        irq->set(irq->opaque, irq->number, level);
}

struct device_register {
    const char *name; /* as the data sheet has it: "RBR", "IER" */
    uint32_t offset;
    uint8_t size;       /* bytes: 1, 2 or 4 */
    const char *access; /* "r", "w" or "rw" */
    const char *meaning;
};

struct device_ops {
    /* offset < device.size, size is 1, 2 or 4, offset is a multiple of size.
     * false: nothing answers there (access fault). */
    bool (*read)(void *self, uint32_t offset, unsigned size, uint32_t *value);
    bool (*write)(void *self, uint32_t offset, unsigned size, uint32_t value);
    /* The value of a register of the table, changing nothing. */
    uint32_t (*peek)(const void *self, uint32_t offset, unsigned size);
    void (*reset)(void *self);
    void (*free)(void *self); /* may be NULL */
};

struct device {
    const char *name;  /* "uart", "plic" */
    const char *about; /* one line for the GUI */
    uint32_t base;     /* physical address, set by whoever plugs it in */
    uint32_t size;     /* bytes of address space */
    int irq;           /* its PLIC source, 0 if none */
    const struct device_ops *ops;
    void *self;
    const struct device_register *registers;
    unsigned register_count;
    struct state_object state; /* table NULL: no state of its own */
    struct state_object more;  /* of what is behind a transport (virtio); table NULL: none */
};

#endif
