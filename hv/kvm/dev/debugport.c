/* Exit port and debug consoles. See debugport.h: they have no state and no interrupts. */
#include "hv/kvm/dev/debugport.h"

#include <stdlib.h>

struct debugport {
    struct device device, console_device, bochs_device;
    struct power power;
    void (*out)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    unsigned windows; /* not freed yet */
};

enum { READ_BACK = 0xe9 };

static const struct device_register exit_registers[] = {
    {"EXIT", 0, 1, "w", "ends the run with this exit code"},
};
static const struct device_register console_registers[] = {
    {"DEBUG", 0, 1, "rw", "byte for the debug console; reads as 0xe9"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct debugport, device, "wiring"),
    STATE_NOT(struct debugport, console_device, "wiring"),
    STATE_NOT(struct debugport, bochs_device, "wiring"),
    STATE_NOT(struct debugport, power, "wiring"),
    STATE_NOT(struct debugport, out, "wiring"),
    STATE_NOT(struct debugport, context, "wiring"),
    STATE_NOT(struct debugport, windows, "wiring"),
};
static const struct state_table table = STATE_TABLE("debugport", struct debugport, 1, fields);

static uint32_t exit_peek(const void *self, uint32_t offset, unsigned size)
{
    return 0;
}

static bool exit_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = 0;
    return true;
}

static bool exit_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct debugport *d = self;
    if (offset == 0)
        d->power.request(d->power.context, POWER_OFF, (int)value);
    return true;
}

static uint32_t console_peek(const void *self, uint32_t offset, unsigned size)
{
    return READ_BACK;
}

static bool console_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = READ_BACK;
    return true;
}

static bool console_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct debugport *d = self;
    uint8_t byte = (uint8_t)value;
    d->out(d->context, &byte, 1);
    return true;
}

static void no_state(void *self) {}

/* Whoever holds the windows frees each, in any order. */
static void debugport_free(void *self)
{
    struct debugport *d = self;
    if (--d->windows == 0)
        free(d);
}

static const struct device_ops exit_ops = {exit_read, exit_write, exit_peek, no_state,
                                           debugport_free};
static const struct device_ops console_ops = {
    console_read, console_write, console_peek, no_state, debugport_free,
};

static struct device console(struct debugport *d, const char *name, const char *about,
                             uint32_t base)
{
    return (struct device){
        .name = name,
        .about = about,
        .base = base,
        .size = 1,
        .ops = &console_ops,
        .self = d,
        .registers = console_registers,
        .register_count = 1,
    };
}

struct debugport *debugport_new(struct power power,
                                void (*out)(void *context, const uint8_t *bytes, size_t count),
                                void *context)
{
    struct debugport *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->power = power;
    d->windows = 3;
    d->out = out;
    d->context = context;
    d->device = (struct device){
        .name = "exit",
        .about = "exit port: ends the run",
        .base = DEBUG_EXIT_PORT,
        .size = 4,
        .ops = &exit_ops,
        .self = d,
        .registers = exit_registers,
        .register_count = 1,
        .state = {&table, d},
    };
    d->console_device = console(d, "debug", "debug console of firmware", DEBUG_CONSOLE_PORT);
    d->bochs_device = console(d, "bochs", "debug console as in Bochs", DEBUG_BOCHS_PORT);
    return d;
}

struct device *debugport_exit(struct debugport *d)
{
    return &d->device;
}

struct device *debugport_console(struct debugport *d)
{
    return &d->console_device;
}

struct device *debugport_bochs(struct debugport *d)
{
    return &d->bochs_device;
}
