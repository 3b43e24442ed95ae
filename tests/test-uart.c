/* The UART: registers, FIFO, interrupts, loopback. */
#include <string.h>

#include "cpu/dev/uart.h"
#include "tests/device.h"
#include "tests/tap.h"

enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

static struct wire wire;
static struct uart *uart;
static char sent[256];
static size_t sent_count;

static void out(void *context, const uint8_t *bytes, size_t count)
{
    ck_assert_ptr_eq(context, sent);
    for (size_t i = 0; i < count; i++)
        sent[sent_count++ % sizeof sent] = (char)bytes[i];
}

static void setup(void)
{
    wire = (struct wire){0};
    sent_count = 0;
    memset(sent, 0, sizeof sent);
    uart = uart_new(wire_line(&wire), out, sent);
    ck_assert_ptr_nonnull(uart);
}

static void teardown(void)
{
    uart_device(uart)->ops->free(uart_device(uart)->self);
}

static uint32_t get(unsigned reg)
{
    return device_get(uart_device(uart), reg, 1);
}

static void put(uint32_t offset, uint32_t value)
{
    device_put(uart_device(uart), offset, 1, value);
}

static size_t type(const char *text)
{
    return uart_input(uart, (const uint8_t *)text, strlen(text));
}

START_TEST(transmits_at_once)
{
    for (const char *c = "hello\n"; *c; c++) {
        ck_assert_uint_eq(get(LSR), 0x60);
        put(THR, (uint8_t)*c);
    }
    ck_assert_str_eq(sent, "hello\n");
    ck_assert(!wire.level);
}
END_TEST

START_TEST(receives_in_order)
{
    put(FCR, 1);
    ck_assert_uint_eq(type("ab"), 2);
    ck_assert_uint_eq(get(LSR) & 1, 1);
    ck_assert_uint_eq(get(RBR), 'a');
    ck_assert_uint_eq(type("c"), 1);
    ck_assert_uint_eq(get(RBR), 'b');
    ck_assert_int_eq(uart_take(uart), 'c');
    ck_assert_int_eq(uart_take(uart), -1);
    ck_assert_uint_eq(get(LSR) & 1, 0);
    ck_assert_uint_eq(get(RBR), 0);
}
END_TEST

/* The FIFO has 16 places, one when it is off; the rest stays outside. Wrapping around is tried. */
START_TEST(takes_what_fits)
{
    ck_assert_uint_eq(type("xyz"), 1);
    ck_assert_uint_eq(get(RBR), 'x');
    put(FCR, 1);
    for (int round = 0; round < 5; round++) {
        ck_assert_uint_eq(type("0123456789abcdefgh"), 16);
        ck_assert_uint_eq(type("more"), 0);
        for (const char *c = "0123456789abcdef"; *c; c++)
            ck_assert_uint_eq(get(RBR), (uint8_t)*c);
        ck_assert_uint_eq(type("now"), 3);
        put(FCR, 3); /* clears */
        ck_assert_uint_eq(get(LSR) & 1, 0);
    }
    type("q");
    put(FCR, 0); /* switching over clears, too */
    ck_assert_uint_eq(get(LSR) & 1, 0);
}
END_TEST

/* IIR by trigger level and number of bytes. */
static const struct {
    uint8_t fcr, bytes, iir;
} receiver_cases[] = {
    {0x00, 0, 0x01}, {0x00, 1, 0x04}, {0x01, 0, 0xc1}, {0x01, 1, 0xc4}, {0x01, 16, 0xc4},
    {0x41, 1, 0xcc}, {0x41, 3, 0xcc}, {0x41, 4, 0xc4}, {0x81, 7, 0xcc}, {0x81, 8, 0xc4},
    {0xc1, 13, 0xcc}, {0xc1, 14, 0xc4},
};

START_TEST(receiver_interrupts)
{
    put(FCR, receiver_cases[_i].fcr);
    ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"0123456789abcdef",
                                 receiver_cases[_i].bytes), receiver_cases[_i].bytes);
    ck_assert(!wire.level); /* not enabled */
    put(IER, 1);
    ck_assert_uint_eq(get(IIR), receiver_cases[_i].iir);
    ck_assert_int_eq(wire.level, receiver_cases[_i].bytes > 0);
    for (unsigned n = receiver_cases[_i].bytes; n; n--)
        get(RBR);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(transmitter_interrupts_once)
{
    put(IER, 2);
    ck_assert(wire.level); /* it is empty already */
    ck_assert_uint_eq(get(IIR), 2);
    ck_assert(!wire.level); /* reading IIR took it back */
    ck_assert_uint_eq(get(IIR), 1);
    put(THR, 'x');
    ck_assert(wire.level);
    put(IER, 0);
    ck_assert(!wire.level);
    put(IER, 2);
    ck_assert(wire.level);
}
END_TEST

START_TEST(receiver_comes_before_transmitter)
{
    put(IER, 3);
    type("a");
    ck_assert_uint_eq(get(IIR), 4);
    ck_assert_uint_eq(get(IIR), 4); /* reading does not take this one back */
    get(RBR);
    ck_assert_uint_eq(get(IIR), 2);
    ck_assert_uint_eq(get(IIR), 1);
}
END_TEST

START_TEST(divisor_latch_hides_registers)
{
    put(IER, 1);
    put(LCR, 0x83);
    put(0, 0x34);
    put(1, 0x12);
    type("a");
    ck_assert_uint_eq(get(RBR), 0x34);
    ck_assert_uint_eq(get(IER), 0x12);
    ck_assert_uint_eq(sent_count, 0);
    put(LCR, 0x03);
    ck_assert_uint_eq(get(IER), 1);
    ck_assert_uint_eq(get(RBR), 'a');
    ck_assert_uint_eq(get(LCR), 3);
}
END_TEST

START_TEST(loopback)
{
    put(FCR, 1);
    put(MCR, 0x10);
    put(THR, 'L');
    ck_assert_uint_eq(sent_count, 0);
    ck_assert_uint_eq(type("from outside"), 0); /* the line is cut off */
    ck_assert_uint_eq(get(LSR), 0x61);
    ck_assert_uint_eq(get(RBR), 'L');
    for (int i = 0; i < 17; i++)
        put(THR, (uint32_t)i);
    put(IER, 4);
    ck_assert_uint_eq(get(IIR), 0xc6);
    ck_assert(wire.level);
    ck_assert_uint_eq(get(LSR), 0x63); /* overrun, until it is read */
    ck_assert_uint_eq(get(LSR), 0x61);
    ck_assert(!wire.level);
    put(MCR, 0);
    put(FCR, 3);
    put(THR, 'x');
    ck_assert_str_eq(sent, "x");
}
END_TEST

/* In loopback DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
static const struct {
    uint8_t mcr, lines;
} modem_cases[] = {
    {0x00, 0xb0}, {0x0f, 0xb0}, {0x10, 0x00}, {0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40},
    {0x18, 0x80}, {0x1f, 0xf0}, {0x1a, 0x90},
};

START_TEST(modem_lines)
{
    put(MCR, modem_cases[_i].mcr);
    ck_assert_uint_eq(get(MSR) & 0xf0, modem_cases[_i].lines);
    ck_assert_uint_eq(get(MSR), modem_cases[_i].lines); /* reading forgets what has changed */
    ck_assert_uint_eq(get(MCR), modem_cases[_i].mcr);
}
END_TEST

START_TEST(modem_interrupt)
{
    put(IER, 8);
    ck_assert(!wire.level);
    put(MCR, 0x12); /* DSR and DCD fall */
    ck_assert(wire.level);
    ck_assert_uint_eq(get(IIR), 0);
    ck_assert_uint_eq(get(MSR), 0x1a);
    ck_assert(!wire.level);
    put(MCR, 0x16); /* ringing begins: says nothing yet */
    ck_assert_uint_eq(get(MSR), 0x50);
    put(MCR, 0x12);
    ck_assert_uint_eq(get(MSR), 0x14);
}
END_TEST

START_TEST(scratch_and_what_does_not_exist)
{
    put(SCR, 0x5a);
    ck_assert_uint_eq(get(SCR), 0x5a);
    put(IER, 0xff);
    ck_assert_uint_eq(get(IER), 0x0f);
    put(LSR, 0xff);
    ck_assert_uint_eq(get(LSR), 0x60);
    device_put(uart_device(uart), 0x80, 4, 1);
    ck_assert_uint_eq(device_get(uart_device(uart), 0xfc, 4), 0);
}
END_TEST

START_TEST(peek_takes_nothing)
{
    struct device *d = uart_device(uart);
    put(IER, 2);
    type("a");
    ck_assert_uint_eq(d->ops->peek(d->self, 0, 1), 'a');
    ck_assert_uint_eq(d->ops->peek(d->self, 2, 1), 2);
    ck_assert(wire.level);
    device_check_table(d);
    ck_assert_uint_eq(get(RBR), 'a');
}
END_TEST

START_TEST(reset_forgets)
{
    uint64_t fresh = device_digest(uart_device(uart));
    put(FCR, 0xc1);
    put(IER, 0xf);
    put(MCR, 0x1f);
    put(LCR, 0x80);
    put(0, 1);
    type("abc");
    ck_assert(device_digest(uart_device(uart)) != fresh);
    uart_device(uart)->ops->reset(uart_device(uart)->self);
    ck_assert(device_digest(uart_device(uart)) == fresh);
}
END_TEST

START_TEST(takes_abuse)
{
    device_abuse(uart_device(uart), 100000);
    uint8_t bytes[300] = {0};
    uart_input(uart, bytes, sizeof bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uart");
    TCase *tests = tcase_create("uart");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, transmits_at_once);
    tcase_add_test(tests, receives_in_order);
    tcase_add_test(tests, takes_what_fits);
    tcase_add_loop_test(tests, receiver_interrupts, 0, ROWS(receiver_cases));
    tcase_add_test(tests, transmitter_interrupts_once);
    tcase_add_test(tests, receiver_comes_before_transmitter);
    tcase_add_test(tests, divisor_latch_hides_registers);
    tcase_add_test(tests, loopback);
    tcase_add_loop_test(tests, modem_lines, 0, ROWS(modem_cases));
    tcase_add_test(tests, modem_interrupt);
    tcase_add_test(tests, scratch_and_what_does_not_exist);
    tcase_add_test(tests, peek_takes_nothing);
    tcase_add_test(tests, reset_forgets);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
