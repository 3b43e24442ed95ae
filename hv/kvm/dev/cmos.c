/*
 * CMOS: an MC146818 clock with battery-backed memory.
 *
 * The time is the host's, in UTC, plus what the guest has set it forward or back. It is always
 * consistent: there is no "update in progress". While bit SET of register B is on the time stands
 * still and can be written. There are no alarms and no interrupts: whatever needs a timer has the
 * PIT or the local APIC.
 *
 *      0x00..0x09  time and date      0x17, 0x18  KiB from 1 MiB on, up to 63 MiB; also at
 *      0x0a..0x0d  registers A to D               0x30, 0x31
 *      0x0f        reset code         0x34, 0x35  64 KiB from 16 MiB on, below 4 GiB
 *      0x14        equipment          0x38, 0x3d  order of booting: disk, floppy
 *      0x15, 0x16  KiB below 640      0x5b..0x5d  64 KiB from 4 GiB on
 *      0x32        century            0x5f        processors - 1
 *
 * Source: Motorola MC146818A data sheet; the memory from 0x10 on as the AT BIOS and QEMU use it.
 */
#include "config.h"

#include "hv/kvm/dev/cmos.h"

#include <stdlib.h>
#include <time.h>

enum { CELLS = 128 };

struct cmos {
    struct device device;
    int64_t (*now)(void *context);
    void *context;
    uint8_t factory[CELLS]; /* what reset restores, but for the time */
    uint8_t cell[CELLS];
    uint8_t index;
    uint64_t ahead; /* what the guest has added to the host's time, seconds; wraps around */
};

enum { INDEX = 0, DATA = 1 };
enum {
    SECONDS = 0,
    MINUTES = 2,
    HOURS = 4,
    WEEKDAY = 6,
    DAY = 7,
    MONTH = 8,
    YEAR = 9,
    A = 10,
    B = 11,
    C = 12,
    D = 13,
    RESET_CODE = 15,
    CENTURY = 0x32
};
enum {
    A_DIVIDER = 0x26,
    B_24_HOURS = 0x02,
    B_BINARY = 0x04,
    B_SET = 0x80,
    D_VALID = 0x80,
    HOURS_PM = 0x80
};
enum { EQUIPMENT = 0x14, FPU = 0x02, BOOT_FLAGS_1 = 0x38, BOOT_FLAGS_2 = 0x3d };

static const struct device_register registers[] = {
    {"INDEX", INDEX, 1, "rw", "which byte is at DATA; bit 7 would mask NMIs"},
    {"DATA", DATA, 1, "rw", "the byte: time, date, sizes of memory"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct cmos, device, "wiring"),
    STATE_NOT(struct cmos, now, "wiring"),
    STATE_NOT(struct cmos, context, "wiring"),
    STATE_NOT(struct cmos, factory, "from the configuration"),
    STATE(struct cmos, U8, cell),
    STATE(struct cmos, U8, index),
    STATE(struct cmos, U64, ahead),
};
static const struct state_table table = STATE_TABLE("cmos", struct cmos, 1, fields);

/* ---- time --------------------------------------------------------------------------------- */

/* What the clock can show: years 0 to 9999. */
static struct tm calendar(const struct cmos *c)
{
    static const int64_t first = -62167219200, last = 253402300799;
    int64_t seconds = (int64_t)((uint64_t)c->now(c->context) + c->ahead);
    time_t clamped = seconds < first ? first : seconds > last ? last : seconds;
    struct tm tm;
    gmtime_r(&clamped, &tm);
    return tm;
}

static uint8_t encode(const struct cmos *c, int value)
{
    return (uint8_t)(c->cell[B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int decode(const struct cmos *c, uint8_t value)
{
    return c->cell[B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hours(const struct cmos *c, int hour)
{
    if (c->cell[B] & B_24_HOURS)
        return encode(c, hour);
    return encode(c, (hour + 11) % 12 + 1) | (hour >= 12 ? HOURS_PM : 0);
}

static int decode_hours(const struct cmos *c, uint8_t value)
{
    if (c->cell[B] & B_24_HOURS)
        return decode(c, value);
    return decode(c, value & (uint8_t)~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

static bool is_time(uint8_t index)
{
    return index == SECONDS || index == MINUTES || index == HOURS ||
           (index >= WEEKDAY && index <= YEAR) || index == CENTURY;
}

static uint8_t read_time(const struct cmos *c, uint8_t index)
{
    if (c->cell[B] & B_SET)
        return c->cell[index];
    struct tm tm = calendar(c);
    int year = tm.tm_year + 1900;
    switch (index) {
    case SECONDS: return encode(c, tm.tm_sec);
    case MINUTES: return encode(c, tm.tm_min);
    case HOURS: return encode_hours(c, tm.tm_hour);
    case WEEKDAY: return encode(c, tm.tm_wday + 1);
    case DAY: return encode(c, tm.tm_mday);
    case MONTH: return encode(c, tm.tm_mon + 1);
    case YEAR: return encode(c, year % 100);
    default: return encode(c, year / 100);
    }
}

/* The time stands still in the cells, where it can be written one byte after the other. */
static void stop_clock(struct cmos *c)
{
    for (uint8_t i = 0; i <= CENTURY; i++)
        if (is_time(i))
            c->cell[i] = read_time(c, i);
}

/* It goes on from what stands there. What is no date (a 31st of June) counts on: the 1st of July.
 */
static void start_clock(struct cmos *c)
{
    struct tm tm = {
        .tm_sec = decode(c, c->cell[SECONDS]),
        .tm_min = decode(c, c->cell[MINUTES]),
        .tm_hour = decode_hours(c, c->cell[HOURS]),
        .tm_mday = decode(c, c->cell[DAY]),
        .tm_mon = decode(c, c->cell[MONTH]) - 1,
        .tm_year = decode(c, c->cell[CENTURY]) * 100 + decode(c, c->cell[YEAR]) - 1900,
    };
    c->ahead = (uint64_t)timegm(&tm) - (uint64_t)c->now(c->context);
}

static void write_time(struct cmos *c, uint8_t index, uint8_t value)
{
    bool running = !(c->cell[B] & B_SET);
    if (running)
        stop_clock(c);
    c->cell[index] = value;
    if (running)
        start_clock(c);
}

static void write_b(struct cmos *c, uint8_t value)
{
    bool was_set = c->cell[B] & B_SET, set = value & B_SET;
    if (set && !was_set)
        stop_clock(c);
    c->cell[B] = value;
    if (was_set && !set)
        start_clock(c);
}

/* ---- ports -------------------------------------------------------------------------------- */

static uint32_t cmos_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct cmos *c = self;
    uint8_t index = c->index % CELLS;
    if (offset == INDEX)
        return c->index;
    return is_time(index) ? read_time(c, index) : c->cell[index];
}

static bool cmos_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    *value = cmos_peek(self, offset, size);
    return true;
}

static bool cmos_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct cmos *c = self;
    uint8_t index = c->index % CELLS, byte = (uint8_t)value;
    if (offset == INDEX)
        c->index = byte;
    else if (is_time(index))
        write_time(c, index, byte);
    else if (index == B)
        write_b(c, byte);
    else if (index != C && index != D)
        c->cell[index] = byte;
    return true;
}

/* ---- what stands in it from the factory --------------------------------------------------- */

static void put16(uint8_t *cell, uint64_t value, uint64_t most)
{
    uint64_t clamped = value < most ? value : most;
    cell[0] = (uint8_t)clamped;
    cell[1] = (uint8_t)(clamped >> 8);
}

static void describe_memory(uint8_t *cell, const struct kvm_memory *m)
{
    enum { MIB = 1 << 20 };
    uint64_t above_1 = m->low > MIB ? (m->low - MIB) >> 10 : 0;
    uint64_t above_16 = m->low > 16 * MIB ? (m->low - 16 * MIB) >> 16 : 0;
    uint64_t high = (m->size - m->low) >> 16;
    put16(cell + 0x15, 640, 640);
    put16(cell + 0x17, above_1, 63 << 10);
    put16(cell + 0x30, above_1, 63 << 10);
    put16(cell + 0x34, above_16, 0xffff);
    put16(cell + 0x5b, high & 0xffff, 0xffff);
    cell[0x5d] = (uint8_t)(high >> 16);
}

/* The clock goes on over a reset, and so does what the guest has set. */
static void cmos_reset(void *self)
{
    struct cmos *c = self;
    uint8_t code = c->cell[RESET_CODE];
    if (c->cell[B] & B_SET)
        write_b(c, c->cell[B] & (uint8_t)~B_SET);
    for (unsigned i = 0; i < CELLS; i++)
        c->cell[i] = c->factory[i];
    c->cell[RESET_CODE] = code; /* for the BIOS: why this reset */
    c->index = 0;
}

static const struct device_ops ops = {cmos_read, cmos_write, cmos_peek, cmos_reset, free};

struct cmos *cmos_new(const struct cmos_config *config)
{
    struct cmos *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->now = config->now;
    c->context = config->context;
    c->factory[A] = A_DIVIDER;
    c->factory[B] = B_24_HOURS;
    c->factory[D] = D_VALID;
    c->factory[EQUIPMENT] = FPU;
    c->factory[BOOT_FLAGS_1] = 0x01; /* no signature is asked of a floppy's boot sector */
    c->factory[BOOT_FLAGS_2] = 0x12; /* first the disk, then the floppy */
    c->factory[0x5f] = (uint8_t)(config->cpus ? config->cpus - 1 : 0);
    describe_memory(c->factory, config->memory);
    c->device = (struct device){
        .name = "cmos",
        .about = "CMOS: clock, and sizes of memory",
        .base = CMOS_PORT,
        .size = 2,
        .ops = &ops,
        .self = c,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, c},
    };
    cmos_reset(c);
    return c;
}

struct device *cmos_device(struct cmos *c)
{
    return &c->device;
}
