/*
 * Test finisher, as on SiFive's test boards and QEMU's virt: one register that ends the run.
 *
 * The low half says what to do, the high half is the exit code of a failure. Other values do
 * nothing.
 */
#include "cpu/dev/finisher.h"

#include <stdlib.h>

struct finisher {
    struct device device;
    void (*power)(void *context, enum finisher_request request, int code);
    void *context;
};

enum { FINISH_FAIL = 0x3333, FINISH_PASS = 0x5555, FINISH_RESET = 0x7777 };

static const struct device_register registers[] = {
    {"FINISH", 0, 4, "w", "0x5555 off, code << 16 | 0x3333 off with a code, 0x7777 reset"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct finisher, device, "wiring"),
    STATE_NOT(struct finisher, power, "wiring"),
    STATE_NOT(struct finisher, context, "wiring"),
};
static const struct state_table table = STATE_TABLE("finisher", struct finisher, 1, fields);

static uint32_t finisher_peek(const void *self, uint32_t offset, unsigned size)
{
    return 0;
}

static bool finisher_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = 0;
    return true;
}

static bool finisher_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct finisher *f = self;
    if (offset != 0)
        return true;
    switch (value & 0xffff) {
    case FINISH_PASS: f->power(f->context, FINISHER_POWEROFF, 0); break;
    case FINISH_FAIL: f->power(f->context, FINISHER_POWEROFF, (int)(value >> 16)); break;
    case FINISH_RESET: f->power(f->context, FINISHER_RESET, 0); break;
    }
    return true;
}

static void finisher_reset(void *self)
{
}

static const struct device_ops ops = {finisher_read, finisher_write, finisher_peek, finisher_reset,
                                      free};

struct finisher *finisher_new(void (*power)(void *context, enum finisher_request request, int code),
                              void *context)
{
    struct finisher *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->power = power;
    f->context = context;
    f->device = (struct device){
        .name = "finisher",
        .about = "test finisher: switches the machine off with an exit code",
        .size = 0x1000,
        .ops = &ops,
        .self = f,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, f},
    };
    return f;
}

struct device *finisher_device(struct finisher *finisher)
{
    return &finisher->device;
}
