/*
 * Power management: ACPI's fixed hardware as far as switching off needs it, and two older ways to
 * reset. Nothing here wakes or interrupts: the status bits are never set, so the SCI stays silent.
 *
 * The A20 gate is a bit to be read back; the address line itself is always on, as KVM has no gate.
 *
 * Source: ACPI Specification 6.3, 4.8.3 (PM1 registers); Intel PIIX3 and ICH data sheets (ports
 * 92h, CF9h).
 */
#include "hv/kvm/dev/pm.h"

#include <stdlib.h>

struct pm {
    struct device device, port_92_device, reset_device;
    struct power power;
    unsigned windows; /* not freed yet */
    uint8_t block[8]; /* as bytes, because a guest may write half a register */
    uint8_t port_92, reset;
};

enum { SCI_ENABLED = 1 << 0, SLEEP_TYPE_SHIFT = 10, SLEEP_TYPE = 7, SLEEP_ENABLE = 1 << 13 };
enum { FAST_RESET = 1, A20 = 2 };       /* port 92h */
enum { RESET_HARD = 2, RESET_CPU = 4 }; /* port CF9h: bit 2, when it rises, does it */

static const struct device_register registers[] = {
    {"PM1_STS", PM_STATUS, 2, "rw", "events, cleared by writing 1: none ever happens"},
    {"PM1_EN", PM_ENABLE, 2, "rw", "which events interrupt"},
    {"PM1_CNT", PM_CONTROL, 2, "rw", "bit 13 with bits 12:10 = 0 switches off; bit 0: ACPI is on"},
};
static const struct device_register port_92_registers[] = {
    {"PORT92", 0, 1, "rw", "bit 0, when it rises, resets; bit 1 is the A20 gate"},
};
static const struct device_register reset_registers[] = {
    {"RST_CNT", 0, 1, "rw", "bit 2, when it rises, resets; bit 1: the whole board"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct pm, device, "wiring"),
    STATE_NOT(struct pm, port_92_device, "wiring"),
    STATE_NOT(struct pm, reset_device, "wiring"),
    STATE_NOT(struct pm, power, "wiring"),
    STATE_NOT(struct pm, windows, "wiring"),
    STATE(struct pm, U8, block),
    STATE(struct pm, U8, port_92),
    STATE(struct pm, U8, reset),
};
static const struct state_table table = STATE_TABLE("pm", struct pm, 1, fields);

/* Whoever holds the windows frees each, in any order. */
static void pm_free(void *self)
{
    struct pm *p = self;
    if (--p->windows == 0)
        free(p);
}

/* ---- the PM1a block ----------------------------------------------------------------------- */

static uint32_t pm_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct pm *p = self;
    uint32_t value = 0;
    for (unsigned i = size; i--;)
        value = value << 8 | p->block[offset + i];
    return value;
}

static bool pm_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = pm_peek(self, offset, size);
    return true;
}

static void write_byte(struct pm *p, uint32_t offset, uint8_t value)
{
    if (offset < PM_ENABLE)
        p->block[offset] &= (uint8_t)~value;
    else if (offset == PM_CONTROL)
        p->block[offset] = value | SCI_ENABLED;
    else if (offset == PM_CONTROL + 1)
        p->block[offset] = value & (uint8_t) ~(SLEEP_ENABLE >> 8); /* reads as 0 */
    else if (offset < PM_CONTROL)
        p->block[offset] = value;
}

static bool pm_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct pm *p = self;
    bool sleep = false;
    for (unsigned i = 0; i < size; i++, value >>= 8) {
        write_byte(p, offset + i, (uint8_t)value);
        sleep |= offset + i == PM_CONTROL + 1 && value & SLEEP_ENABLE >> 8;
    }
    unsigned type = pm_peek(p, PM_CONTROL, 2) >> SLEEP_TYPE_SHIFT & SLEEP_TYPE;
    if (sleep && type == PM_SLEEP_OFF)
        p->power.request(p->power.context, POWER_OFF, 0);
    return true;
}

static void pm_reset(void *self)
{
    struct pm *p = self;
    for (unsigned i = 0; i < sizeof p->block; i++)
        p->block[i] = 0;
    p->block[PM_CONTROL] = SCI_ENABLED;
    p->port_92 = A20;
    p->reset = 0;
}

static const struct device_ops ops = {pm_read, pm_write, pm_peek, pm_reset, pm_free};

/* ---- the two single ports ----------------------------------------------------------------- */

static uint32_t port_92_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct pm *p = self;
    return p->port_92;
}

static bool port_92_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = port_92_peek(self, offset, size);
    return true;
}

static bool port_92_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct pm *p = self;
    bool rises = value & FAST_RESET && !(p->port_92 & FAST_RESET);
    p->port_92 = value & (FAST_RESET | A20);
    if (rises)
        p->power.request(p->power.context, POWER_RESET, 0);
    return true;
}

static uint32_t reset_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct pm *p = self;
    return p->reset;
}

static bool reset_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = reset_peek(self, offset, size);
    return true;
}

static bool reset_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct pm *p = self;
    bool rises = value & RESET_CPU && !(p->reset & RESET_CPU);
    p->reset = value & (RESET_HARD | RESET_CPU);
    if (rises)
        p->power.request(p->power.context, POWER_RESET, 0);
    return true;
}

/* The whole of it is reset by the first window. */
static void leave_to_the_first(void *self) {}

static const struct device_ops port_92_ops = {
    port_92_read, port_92_write, port_92_peek, leave_to_the_first, pm_free,
};
static const struct device_ops reset_ops = {
    reset_read, reset_write, reset_peek, leave_to_the_first, pm_free,
};

struct pm *pm_new(struct power power)
{
    struct pm *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->power = power;
    p->windows = 3;
    p->device = (struct device){
        .name = "pm",
        .about = "ACPI power management: switches off",
        .base = PM_PORT,
        .size = sizeof p->block,
        .ops = &ops,
        .self = p,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, p},
    };
    p->port_92_device = (struct device){
        .name = "port92",
        .about = "system control port A: fast reset, A20",
        .base = PM_PORT_92,
        .size = 1,
        .ops = &port_92_ops,
        .self = p,
        .registers = port_92_registers,
        .register_count = 1,
    };
    p->reset_device = (struct device){
        .name = "reset",
        .about = "reset control",
        .base = PM_RESET_PORT,
        .size = 1,
        .ops = &reset_ops,
        .self = p,
        .registers = reset_registers,
        .register_count = 1,
    };
    pm_reset(p);
    return p;
}

struct device *pm_device(struct pm *pm)
{
    return &pm->device;
}

struct device *pm_port_92(struct pm *pm)
{
    return &pm->port_92_device;
}

struct device *pm_reset_port(struct pm *pm)
{
    return &pm->reset_device;
}
