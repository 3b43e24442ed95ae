/* The bus: which device answers at a physical address. See bus.h. */
#include "cpu/bus.h"

#include <errno.h>
#include <stddef.h>

int bus_plug(struct bus *bus, struct device *device)
{
    if (bus->count == BUS_DEVICES)
        return -ENOSPC;
    for (unsigned i = 0; i < bus->count; i++) {
        const struct device *d = bus->device[i];
        if (device->base - d->base < d->size || d->base - device->base < device->size)
            return -EADDRINUSE;
    }
    bus->device[bus->count++] = device;
    return 0;
}

struct device *bus_find(const struct bus *bus, uint32_t pa)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (pa - bus->device[i]->base < bus->device[i]->size)
            return bus->device[i];
    return NULL;
}

bool bus_read(struct bus *bus, uint32_t pa, unsigned size, uint32_t *value)
{
    struct device *d = bus_find(bus, pa);
    *value = 0;
    return d && pa % size == 0 && d->ops->read(d->self, pa - d->base, size, value);
}

bool bus_write(struct bus *bus, uint32_t pa, unsigned size, uint32_t value)
{
    struct device *d = bus_find(bus, pa);
    return d && pa % size == 0 && d->ops->write(d->self, pa - d->base, size, value);
}
