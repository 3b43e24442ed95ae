/*
 * Goldfish RTC: the Android emulator's real-time clock, as QEMU's virt has it.
 *
 * A 64-bit count of nanoseconds since 1970. Reading TIME_LOW latches the high half. The alarm is
 * armed by ALARM_LOW; it is looked at when the guest touches the device, not at its very instant:
 * nothing that runs here sleeps by it (timers are the CLINT's and Sstc's task).
 */
#include "cpu/dev/rtc.h"

#include <stdlib.h>
#include <time.h>

#include "cpu/hart.h"

struct rtc {
    struct device device;
    struct irq_line irq;
    struct hart *hart;
    uint64_t offset; /* what the guest's setting of the time has added, ns */
    uint64_t alarm;  /* ns since 1970 */
    uint32_t time_high, time_high_written, alarm_high_written;
    bool armed, pending, enabled;
};

enum {
    TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10, CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c,
};

static const struct device_register registers[] = {
    {"TIME_LOW", TIME_LOW, 4, "rw", "ns since 1970, low word; reading latches the high word"},
    {"TIME_HIGH", TIME_HIGH, 4, "rw", "ns since 1970, high word as latched"},
    {"ALARM_LOW", ALARM_LOW, 4, "rw", "alarm time, low word; writing arms it"},
    {"ALARM_HIGH", ALARM_HIGH, 4, "rw", "alarm time, high word; written first"},
    {"IRQ_ENABLED", IRQ_ENABLED, 4, "rw", "1: the alarm interrupts"},
    {"CLEAR_ALARM", CLEAR_ALARM, 4, "w", "disarms the alarm"},
    {"ALARM_STATUS", ALARM_STATUS, 4, "r", "1: the alarm is armed"},
    {"CLEAR_INTERRUPT", CLEAR_INTERRUPT, 4, "w", "takes the interrupt back"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct rtc, device, "wiring"),
    STATE_NOT(struct rtc, irq, "wiring"),
    STATE_NOT(struct rtc, hart, "wiring"),
    STATE(struct rtc, U64, offset),
    STATE(struct rtc, U64, alarm),
    STATE(struct rtc, U32, time_high),
    STATE(struct rtc, U32, time_high_written),
    STATE(struct rtc, U32, alarm_high_written),
    STATE(struct rtc, BOOL, armed),
    STATE(struct rtc, BOOL, pending),
    STATE(struct rtc, BOOL, enabled),
};
static const struct state_table table = STATE_TABLE("rtc", struct rtc, 1, fields);

static uint64_t now(const struct rtc *r)
{
    if (r->hart->clock.host) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec + r->offset;
    }
    return RTC_START + hart_mtime(r->hart) * (1000000000u / TIMEBASE_HZ) + r->offset;
}

static void check_alarm(struct rtc *r)
{
    if (r->armed && now(r) >= r->alarm) {
        r->armed = false;
        r->pending = true;
    }
    irq_set(&r->irq, r->pending && r->enabled);
}

static uint32_t rtc_peek(const void *self, uint32_t offset, unsigned size)
{
    const struct rtc *r = self;
    switch (offset) {
    case TIME_LOW: return (uint32_t)now(r);
    case TIME_HIGH: return r->time_high;
    case ALARM_LOW: return (uint32_t)r->alarm;
    case ALARM_HIGH: return (uint32_t)(r->alarm >> 32);
    case IRQ_ENABLED: return r->enabled;
    case ALARM_STATUS: return r->armed;
    default: return 0;
    }
}

static bool rtc_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    struct rtc *r = self;
    check_alarm(r);
    if (offset == TIME_LOW)
        r->time_high = (uint32_t)(now(r) >> 32);
    *value = rtc_peek(self, offset, size);
    return size == 4;
}

static void set_time(struct rtc *r, uint32_t low)
{
    uint64_t wanted = (uint64_t)r->time_high_written << 32 | low;
    r->offset += wanted - now(r);
}

static bool rtc_write(void *self, uint32_t offset, unsigned size, uint32_t value)
{
    struct rtc *r = self;
    if (size != 4)
        return false;
    switch (offset) {
    case TIME_LOW: set_time(r, value); break;
    case TIME_HIGH: r->time_high_written = value; break;
    case ALARM_HIGH: r->alarm_high_written = value; break;
    case ALARM_LOW:
        r->alarm = (uint64_t)r->alarm_high_written << 32 | value;
        r->armed = true;
        break;
    case IRQ_ENABLED: r->enabled = value & 1; break;
    case CLEAR_ALARM: r->armed = false; break;
    case CLEAR_INTERRUPT: r->pending = false; break;
    }
    check_alarm(r);
    return true;
}

static void rtc_reset(void *self)
{
    struct rtc *r = self;
    r->offset = r->alarm = 0;
    r->time_high = r->time_high_written = r->alarm_high_written = 0;
    r->armed = r->pending = r->enabled = false;
}

static const struct device_ops ops = {rtc_read, rtc_write, rtc_peek, rtc_reset, free};

struct rtc *rtc_new(struct hart *hart, struct irq_line irq)
{
    struct rtc *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->hart = hart;
    r->irq = irq;
    r->device = (struct device){
        .name = "rtc",
        .about = "goldfish real-time clock: the date in nanoseconds",
        .size = 0x1000,
        .ops = &ops,
        .self = r,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, r},
    };
    return r;
}

struct device *rtc_device(struct rtc *rtc)
{
    return &rtc->device;
}
