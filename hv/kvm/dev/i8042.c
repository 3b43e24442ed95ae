/*
 * i8042: the keyboard controller of a PC. No keyboard and no mouse are plugged in: what is sent to
 * them is answered by the controller itself with "timeout" (data FEh, status bit 6), as it does
 * when nobody replies, so that a driver gives up at once instead of waiting.
 *
 * Real: self-test, command byte, output port, and the pulse on the reset line (command FEh), by
 * which most guests reset the machine. The A20 gate is a bit to be read back; the address line
 * itself is always on.
 *
 * Source: IBM PC AT Technical Reference, "Keyboard Controller" (commands, status register).
 */
#include "hv/kvm/dev/i8042.h"

#include <stdlib.h>

struct i8042 {
    struct device device;
    struct power power;
    struct irq_line keyboard;
    uint8_t status, data;
    uint8_t mode;    /* the command byte */
    uint8_t output;  /* the output port */
    uint8_t command; /* which waits for its data byte; 0: none */
};

enum { DATA = 0, COMMAND = 4 };
enum {
    STATUS_FULL = 0x01,    /* a byte for the host */
    STATUS_SYSTEM = 0x04,  /* self-test passed */
    STATUS_COMMAND = 0x08, /* last write was to the command port */
    STATUS_UNLOCKED = 0x10,
    STATUS_TIMEOUT = 0x40,
};
enum { MODE_INTERRUPT = 0x01, MODE_SYSTEM = 0x04, MODE_KEYBOARD_OFF = 0x10, MODE_MOUSE_OFF = 0x20 };
enum { OUTPUT_RUN = 0x01, OUTPUT_A20 = 0x02, OUTPUT_FULL = 0x10 };
enum { SELF_TEST_PASSED = 0x55, KEYBOARD_TEST_PASSED = 0, MOUSE_TEST_FAILED = 1, NOBODY = 0xfe };

static const struct device_register registers[] = {
    {"DATA", DATA, 1, "rw", "a byte from the controller; data of a command, or for the keyboard"},
    {"STATUS", COMMAND, 1, "rw", "1 byte to read, 4 tested, 8 command, 0x40 timeout; w: command"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct i8042, device, "wiring"),
    STATE_NOT(struct i8042, power, "wiring"),
    STATE_NOT(struct i8042, keyboard, "wiring"),
    STATE(struct i8042, U8, status),
    STATE(struct i8042, U8, data),
    STATE(struct i8042, U8, mode),
    STATE(struct i8042, U8, output),
    STATE(struct i8042, U8, command),
};
static const struct state_table table = STATE_TABLE("i8042", struct i8042, 1, fields);

static void update(struct i8042 *k)
{
    irq_set(&k->keyboard, k->status & STATUS_FULL && k->mode & MODE_INTERRUPT);
}

static void answer(struct i8042 *k, uint8_t byte, uint8_t status)
{
    k->data = byte;
    k->status = (uint8_t)((k->status & ~STATUS_TIMEOUT) | STATUS_FULL | status);
}

/* ---- commands ----------------------------------------------------------------------------- */

/* The output port drives the reset line with its lowest bit: 0 resets. */
static void write_output(struct i8042 *k, uint8_t value)
{
    k->output = value & (OUTPUT_RUN | OUTPUT_A20);
    if (!(value & OUTPUT_RUN))
        k->power.request(k->power.context, POWER_RESET, 0);
}

static void set_mode(struct i8042 *k, uint8_t set, uint8_t clear)
{
    k->mode = (uint8_t)((k->mode & ~clear) | set);
}

static void on_command(struct i8042 *k, uint8_t command)
{
    k->command = 0;
    switch (command) {
    case 0x20: answer(k, k->mode, 0); break;
    case 0x60: /* write the mode */
    case 0xd1: /* write the output port */
    case 0xd2: /* as if from the keyboard */
    case 0xd3: /* as if from the mouse */
    case 0xd4: /* to the mouse */ k->command = command; break;
    case 0xa7: set_mode(k, MODE_MOUSE_OFF, 0); break;
    case 0xa8: set_mode(k, 0, MODE_MOUSE_OFF); break;
    case 0xa9: answer(k, MOUSE_TEST_FAILED, 0); break;
    case 0xaa:
        k->status |= STATUS_SYSTEM;
        answer(k, SELF_TEST_PASSED, 0);
        break;
    case 0xab: answer(k, KEYBOARD_TEST_PASSED, 0); break;
    case 0xad: set_mode(k, MODE_KEYBOARD_OFF, 0); break;
    case 0xae: set_mode(k, 0, MODE_KEYBOARD_OFF); break;
    case 0xd0: answer(k, k->output | (k->status & STATUS_FULL ? OUTPUT_FULL : 0), 0); break;
    default:
        /* F0h to FFh pulse the output port's low lines whose bit is 0. */
        if (command >= 0xf0 && !(command & OUTPUT_RUN))
            k->power.request(k->power.context, POWER_RESET, 0);
    }
}

static void on_data(struct i8042 *k, uint8_t value)
{
    switch (k->command) {
    case 0x60: k->mode = value; break;
    case 0xd1: write_output(k, value); break;
    case 0xd2: answer(k, value, 0); break;
    case 0xd3: break; /* there is no mouse's channel to loop back by */
    default: answer(k, NOBODY, STATUS_TIMEOUT);
    }
    k->command = 0;
}

/* ---- ports -------------------------------------------------------------------------------- */

static uint32_t i8042_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct i8042 *k = self;
    return offset == DATA ? k->data : offset == COMMAND ? k->status : 0;
}

/* The ports between the two are not the controller's. */
static bool i8042_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    struct i8042 *k = self;
    *value = i8042_peek(k, offset, size);
    if (offset == DATA) {
        k->status &= (uint8_t) ~(STATUS_FULL | STATUS_TIMEOUT);
        update(k);
    }
    return offset == DATA || offset == COMMAND;
}

static bool i8042_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct i8042 *k = self;
    if (offset == COMMAND) {
        k->status |= STATUS_COMMAND;
        on_command(k, (uint8_t)value);
    } else if (offset == DATA) {
        k->status &= (uint8_t)~STATUS_COMMAND;
        on_data(k, (uint8_t)value);
    }
    update(k);
    return offset == DATA || offset == COMMAND;
}

static void i8042_reset(void *self)
{
    struct i8042 *k = self;
    k->status = STATUS_UNLOCKED;
    k->data = k->command = 0;
    k->mode = MODE_SYSTEM | MODE_KEYBOARD_OFF | MODE_MOUSE_OFF;
    k->output = OUTPUT_RUN | OUTPUT_A20;
}

static const struct device_ops ops = {i8042_read, i8042_write, i8042_peek, i8042_reset, free};

struct i8042 *i8042_new(struct power power, struct irq_line keyboard)
{
    struct i8042 *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->power = power;
    k->keyboard = keyboard;
    k->device = (struct device){
        .name = "i8042",
        .about = "keyboard controller without a keyboard",
        .base = I8042_PORT,
        .size = COMMAND + 1,
        .irq = keyboard.number,
        .ops = &ops,
        .self = k,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, k},
    };
    i8042_reset(k);
    return k;
}

struct device *i8042_device(struct i8042 *k)
{
    return &k->device;
}
