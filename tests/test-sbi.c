/* The built-in firmware: every call, with good and bad arguments, and how it hands over. */
#include "cpu/sbi.h"

#include <string.h>

#include "cpu/dev/uart.h"
#include "cpu/isa.h"
#include "cpu/machine.h"
#include "tests/device.h"
#include "tests/tap.h"

enum { OK = 0, NOT_SUPPORTED = -2, INVALID = -3, ALREADY = -6 };
#define BASE   0x10u
#define TIME   0x54494d45u
#define IPI    0x735049u
#define RFENCE 0x52464e43u
#define HSM    0x48534du
#define SRST   0x53525354u
#define DBCN   0x4442434eu
#define ALL    UINT32_MAX

enum { MEMORY = 8 << 20 };
#define BUFFER  (VIRT_RAM + 0x10000)
#define RAM_END (VIRT_RAM + MEMORY)

static struct machine *m;
static char printed[100000];
static size_t printed_count;
static struct {
    int calls;
    bool has_va, has_asid;
    uint32_t va, asid;
} fenced;

static void console(void *context, const uint8_t *bytes, size_t count)
{
    ck_assert_uint_le(printed_count + count, sizeof printed);
    memcpy(printed + printed_count, bytes, count);
    printed_count += count;
}

static void on_fence(struct machine *machine, const uint32_t *va, const uint32_t *asid)
{
    fenced.calls++;
    fenced.has_va = va;
    fenced.has_asid = asid;
    fenced.va = va ? *va : 0;
    fenced.asid = asid ? *asid : 0;
}

static void setup(void)
{
    struct machine_config config;
    char why[MACHINE_ERROR];
    machine_config_init(&config);
    config.memory = MEMORY;
    config.console = console;
    m = machine_new(&config, why);
    ck_assert_msg(m, "%s", m ? "" : why);
    m->firmware = true;
    m->on_fence = on_fence;
    printed_count = 0;
    memset(&fenced, 0, sizeof fenced);
    sbi_boot(m, VIRT_KERNEL, 0x80700000u);
}

static void teardown(void)
{
    machine_free(m);
}

static int32_t call(uint32_t extension, uint32_t function, uint32_t a0, uint32_t a1, uint32_t a2,
                    uint32_t a3)
{
    uint32_t *x = m->hart.x, pc = m->hart.pc;
    x[10] = a0, x[11] = a1, x[12] = a2, x[13] = a3, x[14] = 0x2a5, x[15] = 0;
    x[16] = function, x[17] = extension;
    sbi_call(m);
    ck_assert_uint_eq(m->hart.pc, pc); /* moving on is the caller's */
    ck_assert_uint_eq(x[16], function);
    ck_assert_uint_eq(x[17], extension);
    return (int32_t)x[10];
}

static uint32_t value(void)
{
    return m->hart.x[11];
}

START_TEST(hands_over)
{
    const struct hart *h = &m->hart;
    ck_assert_uint_eq(h->mode, MODE_S);
    ck_assert_uint_eq(h->pc, VIRT_KERNEL);
    ck_assert_uint_eq(h->x[10], 0);
    ck_assert_uint_eq(h->x[11], 0x80700000u);
    ck_assert_uint_eq(h->satp, 0);
    ck_assert_uint_eq(h->mstatus & MSTATUS_SIE, 0);
    ck_assert_uint_eq(h->mideleg & MIP_S_ALL, MIP_S_ALL);
    ck_assert_uint_eq(h->medeleg & 1u << CAUSE_ECALL_S, 0);
    ck_assert_uint_ne(h->medeleg & 1u << CAUSE_ECALL_U, 0);
    ck_assert_uint_ne(h->medeleg & 1u << CAUSE_LOAD_PAGE, 0);
    ck_assert(h->clock.stimecmp_on);
    uint32_t time;
    ck_assert_int_eq(csr_read(h, CSR_TIME, &time), CSR_OK);
    ck_assert_int_eq(csr_read(h, CSR_CYCLE, &time), CSR_OK);
}
END_TEST

/* Calls that only answer. */
static const struct {
    uint32_t extension, function, a0;
    int32_t error;
    uint32_t value;
} answers[] = {
    {BASE, 0, 0, OK, 2u << 24},
    {BASE, 2, 0, OK, 1},
    {BASE, 3, BASE, OK, 1},
    {BASE, 3, TIME, OK, 1},
    {BASE, 3, IPI, OK, 1},
    {BASE, 3, RFENCE, OK, 1},
    {BASE, 3, HSM, OK, 1},
    {BASE, 3, SRST, OK, 1},
    {BASE, 3, DBCN, OK, 1},
    {BASE, 3, 0, OK, 1},
    {BASE, 3, 8, OK, 1},
    {BASE, 3, 9, OK, 0},
    {BASE, 3, 0x504d55, OK, 0}, /* PMU */
    {BASE, 4, 0, OK, 0},
    {BASE, 5, 0, OK, 0},
    {BASE, 6, 0, OK, 0},
    {BASE, 7, 0, NOT_SUPPORTED, 0},
    {TIME, 1, 0, NOT_SUPPORTED, 0},
    {RFENCE, 3, 0, NOT_SUPPORTED, 0}, /* of the hypervisor extension */
    {HSM, 0, 0, ALREADY, 0},
    {HSM, 0, 1, INVALID, 0},
    {HSM, 2, 0, OK, 0},
    {HSM, 2, 1, INVALID, 0},
    {HSM, 3, 0x80000000u, NOT_SUPPORTED, 0},
    {HSM, 3, 5, INVALID, 0},
    {0x504d55, 0, 0, NOT_SUPPORTED, 0},
    {ALL, ALL, ALL, NOT_SUPPORTED, 0},
};

START_TEST(answers_calls)
{
    uint64_t before = machine_digest(m);
    uint32_t x[32];
    memcpy(x, m->hart.x, sizeof x);
    ck_assert_int_eq(call(answers[_i].extension, answers[_i].function, answers[_i].a0, 0, 0, 0),
                     answers[_i].error);
    ck_assert_uint_eq(value(), answers[_i].value);
    ck_assert_int_eq(m->stop, STOP_NONE);
    memcpy(m->hart.x, x, sizeof x);
    ck_assert(machine_digest(m) == before);
}
END_TEST

START_TEST(implementation_is_nobody_elses)
{
    ck_assert_int_eq(call(BASE, 1, 0, 0, 0, 0), OK);
    ck_assert_uint_gt(value(), 12); /* 0 to 12 are given to others */
}
END_TEST

START_TEST(timer)
{
    ck_assert_int_eq(call(TIME, 0, 1000, 0, 0, 0), OK);
    ck_assert_uint_eq(m->hart.clock.stimecmp, 1000);
    ck_assert_uint_eq(m->hart.mip & MIP_STIP, 0);
    ck_assert_uint_eq(m->hart.clock.deadline, 1000 * CLOCK_INSNS_PER_TICK);
    ck_assert_int_eq(call(TIME, 0, 0, 0, 0, 0), OK);
    ck_assert_uint_ne(m->hart.mip & MIP_STIP, 0);
    ck_assert_int_eq(call(0, 0, ALL, ALL, 0, 0), OK); /* legacy, all ones: never */
    ck_assert_uint_eq(m->hart.mip & MIP_STIP, 0);
    ck_assert_uint_eq(m->hart.clock.stimecmp, UINT64_MAX);
}
END_TEST

static const struct {
    uint32_t mask, base;
    int32_t error;
    bool us;
} hart_masks[] = {
    {1, 0, OK, true}, {0, 0, OK, false}, {0, ALL, OK, true}, {5, ALL, OK, true},
    {2, 0, INVALID, false}, {3, 0, INVALID, false}, {1, 1, INVALID, false},
    {1, ALL - 1, INVALID, false},
};

START_TEST(hart_mask_of_an_ipi)
{
    ck_assert_int_eq(call(IPI, 0, hart_masks[_i].mask, hart_masks[_i].base, 0, 0),
                     hart_masks[_i].error);
    ck_assert_int_eq(!!(m->hart.mip & MIP_SSIP), hart_masks[_i].us);
}
END_TEST

START_TEST(hart_mask_of_a_fence)
{
    for (uint32_t function = 1; function <= 2; function++) {
        fenced.calls = 0;
        ck_assert_int_eq(call(RFENCE, function, hart_masks[_i].mask, hart_masks[_i].base, 0, 0),
                         hart_masks[_i].error);
        ck_assert_int_eq(fenced.calls, hart_masks[_i].us);
    }
}
END_TEST

/* One page by its address; nothing, everything and more than a page as everything. */
static const struct {
    uint32_t start, size;
    bool one;
} ranges[] = {
    {0x1000, 0x1000, true}, {0x12345678, 4, true}, {0, 0, false}, {0x1000, ALL, false},
    {0x1000, 0x1001, false}, {0x80000000u, 0x80000000u, false},
};

START_TEST(fenced_range)
{
    ck_assert_int_eq(call(RFENCE, 1, 1, 0, ranges[_i].start, ranges[_i].size), OK);
    ck_assert_int_eq(fenced.has_va, ranges[_i].one);
    ck_assert_uint_eq(fenced.va, ranges[_i].one ? ranges[_i].start : 0);
    ck_assert(!fenced.has_asid);
    ck_assert_int_eq(call(RFENCE, 2, 1, 0, ranges[_i].start, ranges[_i].size), OK);
    ck_assert_int_eq(fenced.has_va, ranges[_i].one);
    ck_assert(fenced.has_asid);
    ck_assert_uint_eq(fenced.asid, 0x2a5 & 0x1ff);
    ck_assert_int_eq(call(RFENCE, 0, 1, 0, 0, 0), OK);
    ck_assert_int_eq(fenced.calls, 2); /* fence.i fences no translation */
}
END_TEST

START_TEST(legacy_ipi_and_fences)
{
    ck_assert_int_eq(call(4, 0, 0, 0, 0, 0), OK);
    ck_assert_uint_ne(m->hart.mip & MIP_SSIP, 0);
    ck_assert_int_eq(call(3, 0, 0, 0, 0, 0), OK);
    ck_assert_uint_eq(m->hart.mip & MIP_SSIP, 0);
    ck_assert_int_eq(call(5, 0, 0, 0, 0, 0), OK);
    ck_assert_int_eq(call(6, 0, 0, 0, 0, 0), OK);
    ck_assert_int_eq(call(7, 0, 0, 0, 0, 0), OK);
    ck_assert_int_eq(fenced.calls, 2);
}
END_TEST

START_TEST(legacy_console)
{
    ck_assert_int_eq(call(2, 0, 0, 77, 0, 0), -1);
    ck_assert_uint_eq(value(), 77); /* legacy calls leave a1 alone */
    ck_assert_uint_eq(machine_input(m, (const uint8_t *)"k", 1), 1);
    ck_assert_int_eq(call(2, 0, 0, 0, 0, 0), 'k');
    ck_assert_int_eq(call(2, 0, 0, 0, 0, 0), -1);
    ck_assert_int_eq(call(1, 0, 'x', 0, 0, 0), OK);
    ck_assert_int_eq(call(1, 99, 'y', 0, 0, 0), OK); /* a6 says nothing here */
    ck_assert_mem_eq(printed, "xy", 2);
}
END_TEST

START_TEST(debug_console_writes)
{
    ck_assert(ram_write(&m->ram, BUFFER, "hello", 5));
    ck_assert_int_eq(call(DBCN, 0, 5, BUFFER, 0, 0), OK);
    ck_assert_uint_eq(value(), 5);
    ck_assert_int_eq(call(DBCN, 2, '!', 0, 0, 0), OK);
    ck_assert_uint_eq(printed_count, 6);
    ck_assert_mem_eq(printed, "hello!", 6);
    printed_count = 0;
    ck_assert_int_eq(call(DBCN, 0, 1000, RAM_END - 1000, 0, 0), OK);
    ck_assert_uint_eq(printed_count, 1000);
    printed_count = 0;
    ck_assert_int_eq(call(DBCN, 0, MEMORY, VIRT_RAM, 0, 0), OK); /* a part is allowed */
    ck_assert_uint_eq(printed_count, value());
    ck_assert_uint_lt(value(), sizeof printed);
}
END_TEST

START_TEST(debug_console_reads)
{
    char back[4] = "";
    ck_assert_int_eq(call(DBCN, 1, 10, BUFFER, 0, 0), OK);
    ck_assert_uint_eq(value(), 0);
    device_put(uart_device(m->uart), 2, 1, 1); /* FIFO on */
    ck_assert_uint_eq(machine_input(m, (const uint8_t *)"abc", 3), 3);
    ck_assert_int_eq(call(DBCN, 1, 2, BUFFER, 0, 0), OK);
    ck_assert_uint_eq(value(), 2);
    ck_assert_int_eq(call(DBCN, 1, 2, BUFFER + 2, 0, 0), OK);
    ck_assert_uint_eq(value(), 1);
    ck_assert(ram_read(&m->ram, BUFFER, back, 3));
    ck_assert_str_eq(back, "abc");
}
END_TEST

/* Buffers that a guest must not have the firmware touch. */
static const struct {
    uint32_t count, low, high;
} bad_buffers[] = {
    {1, 0, 0}, {1, VIRT_UART, 0}, {1, RAM_END, 0}, {2, RAM_END - 1, 0}, {1, VIRT_RAM - 1, 0},
    {1, BUFFER, 1}, {1, BUFFER, ALL}, {1, ALL, 0}, {ALL, ALL, ALL},
};

START_TEST(debug_console_buffers)
{
    for (uint32_t function = 0; function <= 1; function++) {
        ck_assert_int_eq(call(DBCN, function, bad_buffers[_i].count, bad_buffers[_i].low,
                              bad_buffers[_i].high, 0), INVALID);
        ck_assert_uint_eq(value(), 0);
    }
    ck_assert_uint_eq(printed_count, 0);
}
END_TEST

static const struct {
    uint32_t extension, function, a0, a1;
    int32_t error;
    enum stop_reason stop;
    int exit_code;
} endings[] = {
    {SRST, 0, 0, 0, OK, STOP_POWEROFF, 0},
    {SRST, 0, 0, 1, OK, STOP_POWEROFF, 1},
    {SRST, 0, 1, 0, OK, STOP_RESET, 0},
    {SRST, 0, 2, 0, OK, STOP_RESET, 0},
    {SRST, 0, 3, 0, INVALID, STOP_NONE, 0},
    {SRST, 0, 0, 2, INVALID, STOP_NONE, 0},
    {SRST, 0, ALL, ALL, INVALID, STOP_NONE, 0},
    {SRST, 1, 0, 0, NOT_SUPPORTED, STOP_NONE, 0},
    {8, 0, 0, 0, OK, STOP_POWEROFF, 0},
    {HSM, 1, 0, 0, OK, STOP_POWEROFF, 0},
};

START_TEST(ends)
{
    m->exit_code = 0;
    ck_assert_int_eq(call(endings[_i].extension, endings[_i].function, endings[_i].a0,
                          endings[_i].a1, 0, 0), endings[_i].error);
    ck_assert_int_eq(m->stop, endings[_i].stop);
    ck_assert_int_eq(m->exit_code, endings[_i].exit_code);
}
END_TEST

START_TEST(suspends_until_an_interrupt)
{
    ck_assert_int_eq(call(HSM, 3, 0, 0, 0, 0), OK);
    ck_assert(m->hart.waiting);
    ck_assert_int_eq(machine_run(m, 100), STOP_IDLE);
}
END_TEST

/* From the kernel's side: an ecall instruction, and the way back. */
START_TEST(through_an_instruction)
{
    static const uint32_t code[] = {
        0x00000073, /* ecall */
        0x0000006f, /* j . */
    };
    ck_assert(ram_write(&m->ram, VIRT_KERNEL, code, sizeof code));
    m->hart.x[17] = DBCN, m->hart.x[16] = 2, m->hart.x[10] = '*';
    m->hart.x[11] = 1, m->hart.x[5] = 1234;
    ck_assert_int_eq(machine_run(m, 1), STOP_NONE);
    ck_assert_uint_eq(m->hart.pc, VIRT_KERNEL + 4);
    ck_assert_uint_eq(m->hart.mode, MODE_S);
    ck_assert_uint_eq(m->hart.x[10], 0);
    ck_assert_uint_eq(m->hart.x[11], 0);
    ck_assert_uint_eq(m->hart.x[5], 1234);
    ck_assert_uint_eq(printed_count, 1);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(sbi_call_name(TIME, 0), "set_timer");
    ck_assert_str_eq(sbi_call_name(DBCN, 0), "console_write");
    ck_assert_str_eq(sbi_call_name(1, 5), "legacy console_putchar");
    ck_assert_str_eq(sbi_call_name(TIME, 7), "unknown call");
    ck_assert_str_eq(sbi_call_name(ALL, 0), "unknown call");
}
END_TEST

START_TEST(takes_abuse)
{
    static const uint32_t extensions[] = {BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN};
    struct random r = {5};
    for (int i = 0; i < 100000; i++) {
        uint32_t a[4];
        for (int n = 0; n < 4; n++)
            a[n] = random_below(&r, 2) ? random_next(&r) : random_below(&r, 4) + BUFFER * (n == 1);
        uint32_t extension = random_below(&r, 2) ? extensions[random_below(&r, ROWS(extensions))]
                                                 : random_below(&r, 12);
        printed_count = 0;
        call(extension, random_below(&r, 5), a[0], a[1], a[2], a[3]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sbi");
    TCase *tests = tcase_create("sbi");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, hands_over);
    tcase_add_loop_test(tests, answers_calls, 0, ROWS(answers));
    tcase_add_test(tests, implementation_is_nobody_elses);
    tcase_add_test(tests, timer);
    tcase_add_loop_test(tests, hart_mask_of_an_ipi, 0, ROWS(hart_masks));
    tcase_add_loop_test(tests, hart_mask_of_a_fence, 0, ROWS(hart_masks));
    tcase_add_loop_test(tests, fenced_range, 0, ROWS(ranges));
    tcase_add_test(tests, legacy_ipi_and_fences);
    tcase_add_test(tests, legacy_console);
    tcase_add_test(tests, debug_console_writes);
    tcase_add_test(tests, debug_console_reads);
    tcase_add_loop_test(tests, debug_console_buffers, 0, ROWS(bad_buffers));
    tcase_add_loop_test(tests, ends, 0, ROWS(endings));
    tcase_add_test(tests, suspends_until_an_interrupt);
    tcase_add_test(tests, through_an_instruction);
    tcase_add_test(tests, names);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
