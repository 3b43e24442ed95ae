/* SeaBIOS on KVM with the legacy devices that it finds in this machine: its messages on the debug
 * port, and a boot sector that prints by INT 10h and on COM1. Debian's package is used, if it is
 * there; the boot sector is on a floppy image that fw_cfg hands over. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cpu/dev/uart.h"
#include "hv/kvm/dev/cmos.h"
#include "hv/kvm/dev/debugport.h"
#include "hv/kvm/dev/i8042.h"
#include "hv/kvm/dev/pm.h"
#include "tests/kvm-harness.h"
#include "tests/tap.h"

#define SEABIOS "/usr/share/seabios/bios-256k.bin"
enum { MEMORY = 64 << 20, PATIENCE = 300000, FLOPPY = 1440 << 10 };

static struct harness h;
static struct fwcfg *cfg;
static const char *awaited; /* stop when this has been said */
static char said[HARNESS_OUTPUT], typed[HARNESS_OUTPUT]; /* on the debug port, on COM1 */
static int code;

static void append(char *text, const uint8_t *bytes, size_t count)
{
    size_t length = strlen(text);
    if (length + count < HARNESS_OUTPUT)
        memcpy(text + length, bytes, count);
}

static void on_debug(void *context, const uint8_t *bytes, size_t count)
{
    append(said, bytes, count);
    if (awaited && strstr(said, awaited))
        h.stop = true;
}

static void on_serial(void *context, const uint8_t *bytes, size_t count)
{
    append(typed, bytes, count);
}

static void on_power(void *context, enum power_request request, int value)
{
    code = request == POWER_OFF ? value : -1;
    h.stop = true;
}

static int64_t now(void *context)
{
    return time(NULL);
}

static void plug(struct device *device)
{
    h.port[h.ports++] = device;
}

static void setup(void)
{
    struct power power = {on_power, NULL};
    struct cmos_config clock = {&h.memory, 1, now, NULL};
    struct kvm_boot_config config = {.firmware = SEABIOS};
    harness_open(&h, MEMORY);
    struct debugport *debug = debugport_new(power, on_debug, NULL);
    struct pm *pm = pm_new(power);
    struct device *uart = uart_device(uart_new(harness_irq(&h, 4), on_serial, NULL));
    uart->base = 0x3f8;
    uart->size = 8;
    plug(uart);
    plug(debugport_exit(debug));
    plug(debugport_console(debug));
    plug(debugport_bochs(debug));
    plug(pm_device(pm));
    plug(pm_port_92(pm));
    plug(pm_reset_port(pm));
    plug(i8042_device(i8042_new(power, harness_irq(&h, 1))));
    plug(cmos_device(cmos_new(&clock)));
    cfg = fwcfg_new(&h.memory);
    plug(fwcfg_device(cfg));
    ck_assert_int_eq(kvm_boot_fwcfg(&config, &h.memory, cfg), 0);
    harness_boot(&h, &config);
}

static void teardown(void)
{
    for (unsigned i = 0; i < h.ports; i++)
        h.port[i]->ops->free(h.port[i]->self);
    harness_close(&h);
}

START_TEST(seabios_starts)
{
    awaited = "qemu/e820: addr 0x0000000000000000 len 0x0000000004000000 [RAM]";
    enum harness_end end = harness_run(&h, PATIENCE);
    ck_assert_msg(end == HARNESS_STOP, "ended by %d after \"%s\"", end, said);
    ck_assert_ptr_nonnull(strstr(said, "SeaBIOS (version"));
    ck_assert_ptr_nonnull(strstr(said, "QEMU fw_cfg DMA interface supported"));
}
END_TEST

/* Prints a text, each byte by INT 10h and on COM1, and ends with code 33. SeaBIOS's serial console
 * holds each byte back until the next one or the next tick of the timer. So that what comes does not
 * depend on the host's speed there are no ticks, and the last letter is followed by a backspace. */
static const uint8_t boot_sector[] = {
    0xfa,                         /* cli */
    0x31, 0xc0,                   /* xor ax, ax */
    0x8e, 0xd8,                   /* mov ds, ax */
    0xbe, 0x21, 0x7c,             /* mov si, 0x7c21 */
    0xac,                         /* lodsb */
    0x84, 0xc0,                   /* test al, al */
    0x74, 0x0d,                   /* jz end */
    0xb4, 0x0e,                   /* mov ah, 0x0e */
    0xbb, 0x07, 0x00,             /* mov bx, 7 */
    0xcd, 0x10,                   /* int 0x10 */
    0xba, 0xf8, 0x03,             /* mov dx, 0x3f8 */
    0xee,                         /* out dx, al */
    0xeb, 0xee,                   /* jmp lodsb */
    0xba, 0x01, 0x05,             /* end: mov dx, 0x501 */
    0xb0, 0x21,                   /* mov al, 33 */
    0xee,                         /* out dx, al */
    0xf4,                         /* hlt */
    'F', 'i', 'n', 'e', '\b', 0,
};

START_TEST(seabios_boots)
{
    uint8_t *floppy = calloc(1, FLOPPY);
    memcpy(floppy, boot_sector, sizeof boot_sector);
    floppy[510] = 0x55;
    floppy[511] = 0xaa;
    ck_assert_int_eq(fwcfg_add_file(cfg, "floppyimg/test.img", floppy, FLOPPY), 0);
    free(floppy);
    enum harness_end end = harness_run(&h, PATIENCE);
    ck_assert_msg(end == HARNESS_STOP, "ended by %d after \"%s\"", end, said);
    ck_assert_int_eq(code, 33);
    /* Each byte comes twice: SeaBIOS's INT 10h prints on COM1, too, being told so. */
    ck_assert_ptr_nonnull(strstr(typed, "FFiinnee"));
    ck_assert_ptr_nonnull(strstr(said, "ACPI: parse DSDT"));
    ck_assert_ptr_nonnull(strstr(said, "Booting from 0000:7c00"));
}
END_TEST

int main(void)
{
    if (!harness_available()) {
        printf("1..0 # SKIP /dev/kvm: %s\n", strerror(errno));
        return 0;
    }
    if (access(SEABIOS, R_OK)) {
        printf("1..0 # SKIP %s: %s (Debian/Ubuntu: seabios)\n", SEABIOS, strerror(errno));
        return 0;
    }
    Suite *suite = suite_create("kvm-firmware");
    TCase *tests = tcase_create("kvm-firmware");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, seabios_starts);
    tcase_add_test(tests, seabios_boots);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
