/*
 * The bus: which device, or the RAM, answers at a physical address.
 *
 * RAM is reached page by page through ram.h by the MMU's fast path; everything else comes here.
 */
#ifndef VITRINE_CPU_BUS_H
#define VITRINE_CPU_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/dev/device.h"

enum { BUS_DEVICES = 20 };

struct bus {
    struct device *device[BUS_DEVICES]; /* in the order they were plugged in */
    unsigned count;
};

/* The device stays the caller's. 0, -ENOSPC, or -EADDRINUSE if its range overlaps another's. */
int bus_plug(struct bus *bus, struct device *device);

/* The device at `pa`, or NULL. */
struct device *bus_find(const struct bus *bus, uint32_t pa);

/* One access of size 1, 2 or 4 to a device. false: nothing answers (an access fault); also for an
 * address that is not a multiple of size. */
bool bus_read(struct bus *bus, uint32_t pa, unsigned size, uint32_t *value);
bool bus_write(struct bus *bus, uint32_t pa, unsigned size, uint32_t value);

#endif
