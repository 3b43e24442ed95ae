/*
 * A device's way to memory in a machine: that of any memory (ram_dma()), but it is known who
 * writes, for a debugger that asks who did.
 */
#include "cpu/dev/dma.h"
#include "cpu/machine.h"

static bool port_read(void *memory, uint64_t pa, void *bytes, size_t count)
{
    const struct machine_port *port = memory;
    struct dma dma = ram_dma(&port->machine->ram);
    return dma_read(&dma, pa, bytes, count);
}

static void tell(const struct machine_port *port, uint64_t pa, uint64_t count)
{
    if (port->machine->debug.count && count)
        machine_watch_device(port->machine, (uint32_t)pa, (uint32_t)count, port->name);
}

static bool port_write(void *memory, uint64_t pa, const void *bytes, size_t count)
{
    const struct machine_port *port = memory;
    struct dma dma = ram_dma(&port->machine->ram);
    if (!dma_write(&dma, pa, bytes, count))
        return false;
    tell(port, pa, count);
    return true;
}

/* The pages read as zero from now on, so this is a write, too. */
static bool port_discard(void *memory, uint64_t pa, uint64_t count)
{
    const struct machine_port *port = memory;
    struct dma dma = ram_dma(&port->machine->ram);
    if (!dma_discard(&dma, pa, count))
        return false;
    tell(port, pa, count);
    return true;
}

struct dma machine_dma(struct machine *m, unsigned slot, const char *name)
{
    m->port[slot] = (struct machine_port){m, name};
    return (struct dma){port_read, port_write, port_discard, &m->port[slot]};
}
