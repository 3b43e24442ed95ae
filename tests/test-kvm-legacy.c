/* A PC's small devices: keyboard controller, power management, debug ports, CMOS, fw_cfg. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "hv/kvm/boot.h"
#include "hv/kvm/dev/cmos.h"
#include "hv/kvm/dev/debugport.h"
#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/dev/i8042.h"
#include "hv/kvm/dev/pm.h"
#include "tests/device.h"
#include "tests/tap.h"

/* ---- power -------------------------------------------------------------------------------- */

static struct {
    unsigned count;
    enum power_request request;
    int code;
} asked;

static void on_request(void *context, enum power_request request, int code)
{
    ck_assert_ptr_eq(context, &asked);
    asked.count++;
    asked.request = request;
    asked.code = code;
}

static const struct power power = {on_request, &asked};

static void expect_request(enum power_request request, int code)
{
    ck_assert_uint_eq(asked.count, 1);
    ck_assert_int_eq(asked.request, request);
    ck_assert_int_eq(asked.code, code);
    asked.count = 0;
}

static void reset_requests(void)
{
    asked.count = 0;
}

/* ---- i8042 -------------------------------------------------------------------------------- */

enum { DATA = 0, STATUS = 4, COMMAND = 4 };

static struct wire wire;
static struct device *kbd;

static void kbd_setup(void)
{
    reset_requests();
    wire = (struct wire){0};
    kbd = i8042_device(i8042_new(power, wire_line(&wire)));
}

static void kbd_teardown(void)
{
    kbd->ops->free(kbd->self);
}

static uint8_t ask(uint8_t command)
{
    device_put(kbd, COMMAND, 1, command);
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 3, 1);
    uint8_t answer = (uint8_t)device_get(kbd, DATA, 1);
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 3, 0);
    return answer;
}

START_TEST(kbd_tests_itself)
{
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 4, 0);
    ck_assert_uint_eq(ask(0xaa), 0x55);
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 4, 4);
    ck_assert_uint_eq(ask(0xab), 0);
    ck_assert_uint_ne(ask(0xa9), 0); /* no mouse */
}
END_TEST

START_TEST(kbd_mode)
{
    device_put(kbd, COMMAND, 1, 0x60);
    device_put(kbd, DATA, 1, 0x45);
    ck_assert_uint_eq(ask(0x20), 0x45);
    ck_assert_uint_eq(wire.risen, 1); /* with bit 0 a byte interrupts */
    device_put(kbd, COMMAND, 1, 0xad);
    ck_assert_uint_eq(ask(0x20), 0x55);
    device_put(kbd, COMMAND, 1, 0xae);
    ck_assert_uint_eq(ask(0x20), 0x45);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(kbd_nobody_answers)
{
    device_put(kbd, DATA, 1, 0xff); /* reset the keyboard */
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 0x41, 0x41);
    ck_assert_uint_eq(device_get(kbd, DATA, 1), 0xfe);
    device_put(kbd, COMMAND, 1, 0xd4); /* the mouse */
    device_put(kbd, DATA, 1, 0xff);
    ck_assert_uint_eq(device_get(kbd, DATA, 1), 0xfe);
    ck_assert_uint_eq(device_get(kbd, STATUS, 1) & 0x41, 0);
}
END_TEST

START_TEST(kbd_resets)
{
    device_put(kbd, COMMAND, 1, 0xfe);
    expect_request(POWER_RESET, 0);
    device_put(kbd, COMMAND, 1, 0xff); /* pulses nothing */
    device_put(kbd, COMMAND, 1, 0xd1);
    device_put(kbd, DATA, 1, 0x03);
    ck_assert_uint_eq(asked.count, 0);
    ck_assert_uint_eq(ask(0xd0) & 3, 3);
    device_put(kbd, COMMAND, 1, 0xd1);
    device_put(kbd, DATA, 1, 0x02);
    expect_request(POWER_RESET, 0);
}
END_TEST

START_TEST(kbd_leaves_other_ports)
{
    uint32_t value;
    ck_assert(!kbd->ops->read(kbd->self, 1, 1, &value));
    ck_assert(!kbd->ops->write(kbd->self, 2, 1, 0));
    device_check_table(kbd);
    device_abuse(kbd, 100000);
}
END_TEST

/* ---- power management --------------------------------------------------------------------- */

static struct pm *pm;

static void pm_setup(void)
{
    reset_requests();
    pm = pm_new(power);
}

static void pm_teardown(void)
{
    pm_device(pm)->ops->free(pm);
    pm_reset_port(pm)->ops->free(pm);
    pm_port_92(pm)->ops->free(pm);
}

static const struct {
    unsigned offset, size;
    uint32_t value;
    bool off;
} sleeps[] = {
    {4, 2, 0x2000, true},  {4, 4, 0x2000, true},       {5, 1, 0x20, true},
    {4, 2, 0x0000, false}, {4, 2, 0x3400, false},      {0, 4, 0x20002000, false},
    {4, 2, 0x3c00, false}, {4, 4, 0x20000000u, false}, {6, 2, 0x2000, false},
};

START_TEST(pm_sleeps)
{
    device_put(pm_device(pm), sleeps[_i].offset, sleeps[_i].size, sleeps[_i].value);
    if (sleeps[_i].off)
        expect_request(POWER_OFF, 0);
    ck_assert_uint_eq(asked.count, 0);
    ck_assert_uint_eq(device_get(pm_device(pm), 4, 2) & 0x2001, 1); /* ACPI on, SLP_EN reads 0 */
}
END_TEST

START_TEST(pm_enables)
{
    device_put(pm_device(pm), 2, 2, 0x0120);
    ck_assert_uint_eq(device_get(pm_device(pm), 2, 2), 0x0120);
    device_put(pm_device(pm), 0, 2, 0xffff);
    ck_assert_uint_eq(device_get(pm_device(pm), 0, 4), 0x01200000);
}
END_TEST

START_TEST(pm_resets)
{
    ck_assert_uint_eq(device_get(pm_port_92(pm), 0, 1), 2); /* A20 is on */
    device_put(pm_port_92(pm), 0, 1, 3);
    expect_request(POWER_RESET, 0);
    device_put(pm_port_92(pm), 0, 1, 3); /* only when it rises */
    ck_assert_uint_eq(asked.count, 0);
    device_put(pm_reset_port(pm), 0, 1, 2);
    ck_assert_uint_eq(asked.count, 0);
    device_put(pm_reset_port(pm), 0, 1, 6);
    expect_request(POWER_RESET, 0);
    ck_assert_uint_eq(device_get(pm_reset_port(pm), 0, 1), 6);
}
END_TEST

START_TEST(pm_takes_abuse)
{
    struct device *windows[] = {pm_device(pm), pm_port_92(pm), pm_reset_port(pm)};
    for (int i = 0; i < 3; i++) {
        device_check_table(windows[i]);
        device_abuse(windows[i], 20000);
    }
    uint64_t used = device_digest(pm_device(pm));
    pm_device(pm)->ops->reset(pm);
    ck_assert_uint_eq(device_get(pm_device(pm), 4, 2), 1);
    ck_assert(device_digest(pm_device(pm)) != used);
}
END_TEST

/* ---- debug ports -------------------------------------------------------------------------- */

static char said[64];

static void say(void *context, const uint8_t *bytes, size_t count)
{
    size_t length = strlen(said);
    if (length + count < sizeof said)
        memcpy(said + length, bytes, count);
}

START_TEST(debug_ports)
{
    reset_requests();
    struct debugport *d = debugport_new(power, say, NULL);
    struct device *windows[] = {debugport_exit(d), debugport_console(d), debugport_bochs(d)};
    ck_assert_uint_eq(device_get(windows[1], 0, 1), 0xe9);
    ck_assert_uint_eq(device_get(windows[2], 0, 1), 0xe9);
    device_put(windows[1], 0, 1, 'h');
    device_put(windows[2], 0, 1, 'i');
    ck_assert_str_eq(said, "hi");
    device_put(windows[0], 0, 1, 42);
    expect_request(POWER_OFF, 42);
    device_put(windows[0], 0, 4, 0x10000);
    expect_request(POWER_OFF, 0x10000);
    device_put(windows[0], 1, 1, 1);
    ck_assert_uint_eq(asked.count, 0);
    for (int i = 0; i < 3; i++) {
        device_check_table(windows[i]);
        device_abuse(windows[i], 1000);
    }
    for (int i = 0; i < 3; i++)
        windows[i]->ops->free(d);
}
END_TEST

/* ---- CMOS --------------------------------------------------------------------------------- */

static int64_t host_time;
static struct kvm_memory memory;
static struct device *cmos;

static int64_t now(void *context)
{
    ck_assert_ptr_eq(context, &host_time);
    return host_time;
}

static void cmos_setup(void)
{
    host_time = 1767225599; /* 2025-12-31 23:59:59, a Wednesday */
    memory = (struct kvm_memory){.size = 5ull << 30, .low = KVM_LOW_MAX};
    struct cmos_config config = {&memory, 4, now, &host_time};
    cmos = cmos_device(cmos_new(&config));
}

static void cmos_teardown(void)
{
    cmos->ops->free(cmos->self);
}

static uint8_t cell(uint8_t index)
{
    device_put(cmos, 0, 1, index);
    return (uint8_t)device_get(cmos, 1, 1);
}

static void set_cell(uint8_t index, uint8_t value)
{
    device_put(cmos, 0, 1, index);
    device_put(cmos, 1, 1, value);
}

/* Century, year, month, day, weekday, hour, minute, second. */
static void expect_time(const uint8_t time[8])
{
    static const uint8_t index[8] = {0x32, 9, 8, 7, 6, 4, 2, 0};
    for (int i = 0; i < 8; i++)
        ck_assert_msg(cell(index[i]) == time[i], "register 0x%02x: 0x%02x, not 0x%02x", index[i],
                      cell(index[i]), time[i]);
}
#define EXPECT_TIME(...) expect_time((const uint8_t[8]){__VA_ARGS__})

START_TEST(cmos_tells_the_time)
{
    EXPECT_TIME(0x20, 0x25, 0x12, 0x31, 4, 0x23, 0x59, 0x59);
    ck_assert_uint_eq(cell(10) & 0x80, 0);
    ck_assert_uint_eq(cell(13), 0x80);
    host_time++;
    EXPECT_TIME(0x20, 0x26, 0x01, 0x01, 5, 0, 0, 0);
    set_cell(11, 0x06); /* binary */
    host_time += 3600 * 13 + 60 * 45 + 12;
    EXPECT_TIME(20, 26, 1, 1, 5, 13, 45, 12);
    set_cell(11, 0x00); /* BCD, 12 hours */
    EXPECT_TIME(0x20, 0x26, 0x01, 0x01, 5, 0x81, 0x45, 0x12);
    host_time -= 3600 * 13;
    ck_assert_uint_eq(cell(4), 0x12); /* after midnight is 12 am */
}
END_TEST

START_TEST(cmos_is_set)
{
    static const uint8_t values[][2] = {{0x32, 0x19}, {9, 0x99}, {8, 0x02}, {7, 0x28}, {4, 0x21},
                                        {2, 0x30}, {0, 0x15}};
    set_cell(11, 0x82); /* SET: the time stands still */
    host_time += 100;
    EXPECT_TIME(0x20, 0x25, 0x12, 0x31, 4, 0x23, 0x59, 0x59);
    for (int i = 0; i < ROWS(values); i++)
        set_cell(values[i][0], values[i][1]);
    set_cell(11, 0x02);
    EXPECT_TIME(0x19, 0x99, 0x02, 0x28, 1, 0x21, 0x30, 0x15);
    host_time += 2 * 3600 + 30 * 60;
    EXPECT_TIME(0x19, 0x99, 0x03, 0x01, 2, 0x00, 0x00, 0x15);
    cmos->ops->reset(cmos->self); /* the battery keeps it */
    EXPECT_TIME(0x19, 0x99, 0x03, 0x01, 2, 0x00, 0x00, 0x15);
    set_cell(0, 0x40); /* without SET, too */
    EXPECT_TIME(0x19, 0x99, 0x03, 0x01, 2, 0x00, 0x00, 0x40);
}
END_TEST

START_TEST(cmos_knows_memory)
{
    ck_assert_uint_eq(cell(0x15) | cell(0x16) << 8, 640);
    ck_assert_uint_eq(cell(0x17) | cell(0x18) << 8, 63 << 10);
    ck_assert_uint_eq(cell(0x30) | cell(0x31) << 8, 63 << 10);
    ck_assert_uint_eq(cell(0x34) | cell(0x35) << 8, (KVM_LOW_MAX - (16 << 20)) >> 16);
    ck_assert_uint_eq(cell(0x5b) | cell(0x5c) << 8 | cell(0x5d) << 16, 2 << 14);
    ck_assert_uint_eq(cell(0x5f), 3);
    set_cell(0x0f, 0x0a);
    set_cell(0x5f, 77);
    cmos->ops->reset(cmos->self);
    ck_assert_uint_eq(cell(0x0f), 0x0a); /* tells the BIOS why */
    ck_assert_uint_eq(cell(0x5f), 3);
    ck_assert_uint_eq(cell(0x80 | 0x5f), 3); /* bit 7 is another thing */
}
END_TEST

START_TEST(cmos_takes_abuse)
{
    device_check_table(cmos);
    device_abuse(cmos, 200000);
    for (int i = 0; i < 20000; i++) {
        set_cell((uint8_t)(i * 7), (uint8_t)(i * 13));
        host_time += i;
    }
    host_time = INT64_MAX;
    cell(9);
    host_time = INT64_MIN;
    cell(9);
}
END_TEST

/* ---- fw_cfg ------------------------------------------------------------------------------- */

static struct fwcfg *cfg;

static void cfg_setup(void)
{
    ck_assert_int_eq(kvm_memory_init(&memory, 1 << 20), 0);
    cfg = fwcfg_new(&memory);
}

static void cfg_teardown(void)
{
    fwcfg_device(cfg)->ops->free(cfg);
    kvm_memory_free(&memory);
}

static void cfg_read(uint16_t item, void *bytes, size_t count)
{
    uint8_t *to = bytes;
    device_put(fwcfg_device(cfg), 0, 2, item);
    while (count--)
        *to++ = (uint8_t)device_get(fwcfg_device(cfg), 1, 1);
}

struct request {
    uint32_t control, length;
    uint64_t address;
};

/* A request at 0x1000; returns its control word afterwards. */
static uint32_t cfg_dma(uint32_t control, uint32_t length, uint64_t address)
{
    struct request r = {htobe32(control), htobe32(length), htobe64(address)};
    ck_assert(kvm_memory_write(&memory, 0x1000, &r, sizeof r));
    device_put(fwcfg_device(cfg), 8, 4, htobe32(0x1000));
    ck_assert(kvm_memory_read(&memory, 0x1000, &r, sizeof r));
    return be32toh(r.control);
}

START_TEST(cfg_is_there)
{
    char bytes[8];
    cfg_read(0, bytes, 8);
    ck_assert_mem_eq(bytes, "QEMU\0\0\0\0", 8);
    cfg_read(1, bytes, 4);
    ck_assert_mem_eq(bytes, "\3\0\0\0", 4);
    cfg_read(0x7777, bytes, 4); /* no such item */
    ck_assert_mem_eq(bytes, "\0\0\0\0", 4);
    ck_assert_uint_eq(device_get(fwcfg_device(cfg), 4, 4), htobe32(0x51454d55));
    ck_assert_uint_eq(device_get(fwcfg_device(cfg), 8, 4), htobe32(0x20434647));
}
END_TEST

START_TEST(cfg_has_files)
{
    uint8_t entry[4 + 2 * 64];
    char bytes[5];
    ck_assert_int_eq(fwcfg_add_file(cfg, "etc/one", "first", 5), 0);
    ck_assert_int_eq(fwcfg_add_file(cfg, "etc/two", "2nd", 3), 0);
    cfg_read(0x19, entry, sizeof entry);
    ck_assert_mem_eq(entry, "\0\0\0\2\0\0\0\5\0\x20\0\0etc/one", 20);
    ck_assert_mem_eq(entry + 68, "\0\0\0\3\0\x21\0\0etc/two", 16);
    cfg_read(0x21, bytes, 5);
    ck_assert_mem_eq(bytes, "2nd\0\0", 5);
    for (int i = 4; i < FWCFG_ITEMS; i++)
        ck_assert_int_eq(fwcfg_add_file(cfg, "more", "", 0), 0);
    ck_assert_int_eq(fwcfg_add_file(cfg, "more", "", 0), -ENOSPC);
}
END_TEST

START_TEST(cfg_does_dma)
{
    char bytes[8];
    fwcfg_add(cfg, 0x100, "abcdefgh", 8);
    ck_assert_uint_eq(cfg_dma(0x100 << 16 | 8 | 4, 2, 0), 0);     /* select, skip */
    ck_assert_uint_eq(cfg_dma(2, 4, 0x2000), 0);                  /* read */
    ck_assert(kvm_memory_read(&memory, 0x2000, bytes, 4));
    ck_assert_mem_eq(bytes, "cdef", 4);
    memset(kvm_memory_at(&memory, 0x2000, 8), 0xff, 8);
    ck_assert_uint_eq(cfg_dma(2, 8, 0x2000), 0); /* beyond the end: zeros */
    ck_assert(kvm_memory_read(&memory, 0x2000, bytes, 8));
    ck_assert_mem_eq(bytes, "gh\0\0\0\0\0\0", 8);
    ck_assert_uint_eq(cfg_dma(0x100 << 16 | 8 | 2, 0x1000, (1 << 20) - 0xfff), 1);
    ck_assert_uint_eq(cfg_dma(0x100 << 16 | 8 | 2, UINT32_MAX, 0), 1);
    ck_assert_uint_eq(cfg_dma(2, 1, UINT64_MAX), 1);
    ck_assert_uint_eq(cfg_dma(16, 1, 0x2000), 1); /* write */
    ck_assert_uint_eq(cfg_dma(4, UINT32_MAX, 0), 0);
    device_put(fwcfg_device(cfg), 4, 4, UINT32_MAX); /* a request that is nowhere */
    device_put(fwcfg_device(cfg), 8, 4, UINT32_MAX);
}
END_TEST

/* A store of the guest's fills so much memory with zeros, and no more. */
START_TEST(cfg_does_little_at_once)
{
    enum { MOST = 4 << 20 };
    struct kvm_memory small = memory;
    ck_assert_int_eq(kvm_memory_init(&memory, 2 * MOST), 0);
    ck_assert_uint_eq(cfg_dma(2, MOST, 0x2000), 0);
    memset(kvm_memory_at(&memory, 0x2000, 1), 0xff, 1);
    ck_assert_uint_eq(cfg_dma(2, MOST + 1, 0x2000), 1);
    ck_assert_uint_eq(*kvm_memory_at(&memory, 0x2000, 1), 0xff);
    kvm_memory_free(&small);
}
END_TEST

START_TEST(cfg_describes_a_machine)
{
    static const struct kvm_boot_device device = {0xd0000000u, 4096, 5};
    struct kvm_boot_config config = {.cpus = 2, .virtio = &device, .virtio_count = 1};
    uint64_t size;
    uint16_t cpus;
    ck_assert_int_eq(kvm_boot_fwcfg(&config, &memory, cfg), 0);
    cfg_read(FWCFG_RAM_SIZE, &size, sizeof size);
    ck_assert_uint_eq(size, memory.size);
    cfg_read(FWCFG_CPUS, &cpus, sizeof cpus);
    ck_assert_uint_eq(cpus, 2);
    struct {
        uint32_t count;
        struct {
            uint32_t size;
            uint16_t number, reserved;
            char name[56];
        } file[8];
    } directory;
    cfg_read(0x19, &directory, sizeof directory);
    ck_assert_uint_eq(be32toh(directory.count), 5);
    ck_assert_str_eq(directory.file[0].name, "etc/e820");
    ck_assert_uint_eq(be32toh(directory.file[0].size), 20);
    ck_assert_str_eq(directory.file[4].name, "etc/table-loader");
    ck_assert_uint_eq(be32toh(directory.file[4].size) % 128, 0);
}
END_TEST

START_TEST(cfg_takes_abuse)
{
    device_check_table(fwcfg_device(cfg));
    device_abuse(fwcfg_device(cfg), 100000);
}
END_TEST

static TCase *tests_of(Suite *suite, const char *name, SFun setup, SFun teardown)
{
    TCase *tests = tcase_create(name);
    if (setup)
        tcase_add_checked_fixture(tests, setup, teardown);
    suite_add_tcase(suite, tests);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("kvm-legacy");
    TCase *tests = tests_of(suite, "i8042", kbd_setup, kbd_teardown);
    tcase_add_test(tests, kbd_tests_itself);
    tcase_add_test(tests, kbd_mode);
    tcase_add_test(tests, kbd_nobody_answers);
    tcase_add_test(tests, kbd_resets);
    tcase_add_test(tests, kbd_leaves_other_ports);
    tests = tests_of(suite, "pm", pm_setup, pm_teardown);
    tcase_add_loop_test(tests, pm_sleeps, 0, ROWS(sleeps));
    tcase_add_test(tests, pm_enables);
    tcase_add_test(tests, pm_resets);
    tcase_add_test(tests, pm_takes_abuse);
    tests = tests_of(suite, "debugport", NULL, NULL);
    tcase_add_test(tests, debug_ports);
    tests = tests_of(suite, "cmos", cmos_setup, cmos_teardown);
    tcase_add_test(tests, cmos_tells_the_time);
    tcase_add_test(tests, cmos_is_set);
    tcase_add_test(tests, cmos_knows_memory);
    tcase_add_test(tests, cmos_takes_abuse);
    tests = tests_of(suite, "fwcfg", cfg_setup, cfg_teardown);
    tcase_add_test(tests, cfg_is_there);
    tcase_add_test(tests, cfg_has_files);
    tcase_add_test(tests, cfg_does_dma);
    tcase_add_test(tests, cfg_does_little_at_once);
    tcase_add_test(tests, cfg_describes_a_machine);
    tcase_add_test(tests, cfg_takes_abuse);
    return tap_run(suite);
}
