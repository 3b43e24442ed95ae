/*
 * CLINT: the core-local interruptor of SiFive, for one hart.
 *
 * msip raises the machine software interrupt; mtime and mtimecmp are the machine timer (privileged
 * specification, section 3.2.1). The device keeps only msip: time itself is in cpu/clock.h. It
 * answers word accesses alone: bytes and halfwords are access faults, as on most hardware.
 */
#include "cpu/dev/clint.h"

#include <stdlib.h>

#include "cpu/hart.h"

struct clint {
    struct device device;
    struct hart *hart;
    bool msip;
};

enum { MSIP = 0x0000, MTIMECMP = 0x4000, MTIME = 0xbff8 };

static const struct device_register registers[] = {
    {"MSIP", MSIP, 4, "rw", "bit 0: machine software interrupt pending"},
    {"MTIMECMP", MTIMECMP, 4, "rw", "machine timer compare, low word"},
    {"MTIMECMPH", MTIMECMP + 4, 4, "rw", "machine timer compare, high word"},
    {"MTIME", MTIME, 4, "rw", "ticks of the 10 MHz time base, low word"},
    {"MTIMEH", MTIME + 4, 4, "rw", "ticks of the time base, high word"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct clint, device, "wiring"),
    STATE_NOT(struct clint, hart, "wiring"),
    STATE(struct clint, BOOL, msip),
};
static const struct state_table table = STATE_TABLE("clint", struct clint, 1, fields);

static uint32_t half(uint64_t value, bool high)
{
    return (uint32_t)(high ? value >> 32 : value);
}

static uint64_t with_half(uint64_t old, bool high, uint32_t value)
{
    return high ? (old & 0xffffffffu) | (uint64_t)value << 32 : (old & ~0xffffffffull) | value;
}

static uint32_t clint_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct clint *c = self;
    bool high = offset & 4;
    switch (offset & ~4u) {
    case MTIMECMP: return half(c->hart->clock.mtimecmp, high);
    case MTIME: return half(hart_mtime(c->hart), high);
    case MSIP: return !high && c->msip;
    default: return 0;
    }
}

static bool clint_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = clint_peek(self, offset, size);
    return size == 4;
}

static bool clint_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct clint *c = self;
    struct hart *h = c->hart;
    bool high = offset & 4;
    if (size != 4)
        return false;
    switch (offset & ~4u) {
    case MSIP:
        if (!high) {
            c->msip = value & 1;
            hart_interrupt_line(h, IRQ_MSI, c->msip);
        }
        break;
    case MTIMECMP:
        h->clock.mtimecmp = with_half(h->clock.mtimecmp, high, value);
        break;
    case MTIME:
        clock_set_mtime(&h->clock, h->executed, with_half(hart_mtime(h), high, value));
        break;
    }
    hart_update_timers(h);
    h->attention = true;
    return true;
}

static void clint_reset(void *self)
{
    struct clint *c = self;
    c->msip = false;
}

static const struct device_ops ops = {clint_read, clint_write, clint_peek, clint_reset, free};

struct clint *clint_new(struct hart *hart)
{
    struct clint *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->hart = hart;
    c->device = (struct device){
        .name = "clint",
        .about = "core-local interruptor: software interrupt and timer",
        .size = 0x10000,
        .ops = &ops,
        .self = c,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, c},
    };
    return c;
}

struct device *clint_device(struct clint *clint)
{
    return &clint->device;
}
