/* The virtio devices of an x86 board: in their slots, driven from the host; and by a guest in a
 * session, with the vCPU threads confined as always. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "hv/kvm/board.h"
#include "hv/session.h"
#include "tests/kvm-guest.h"
#include "tests/virtio-driver.h"

enum { SECTORS = 8, SECTOR = 512, PAGE = 4096, LONG_MS = 300000 };
enum { BLOCK = 0, NET = 1, CONSOLE = 2, RNG = 3, BALLOON = 4, SLOTS };
#define SLOT(n) (0xd0000000u + 0x1000u * (n))

static char disk[] = "/tmp/vitrine-test-disk.XXXXXX";

static void make_disk(void)
{
    strcpy(disk + strlen(disk) - 6, "XXXXXX");
    int fd = mkstemp(disk);
    ck_assert_int_ge(fd, 0);
    for (int i = 0; i < SECTORS; i++) {
        char sector[SECTOR] = "";
        snprintf(sector, sizeof sector, i == 1 ? "" : "sector %d of the disk", i);
        ck_assert_int_eq(write(fd, sector, sizeof sector), sizeof sector);
    }
    close(fd);
}

static void drop_disk(void)
{
    unlink(disk);
}

/* ---- the board, from the host ------------------------------------------------------------- */

static struct kvm_vm vm;
static struct kvm_board *board;
static char printed[64];

static void keep(void *context, const uint8_t *bytes, size_t count)
{
    size_t had = strlen(printed);
    ck_assert_uint_lt(had + count, sizeof printed);
    memcpy(printed + had, bytes, count);
}

static void open_board(const struct kvm_board_config *config)
{
    char why[512] = "";
    struct kvm_vm_config c = {.kvm_fd = -1, .memory = 8 << 20, .vcpus = 1};
    memset(printed, 0, sizeof printed);
    ck_assert_msg(kvm_vm_init(&vm, &c, why) == 0, "%s", why);
    board = kvm_board_new(&vm, config, why);
    ck_assert_msg(board != NULL, "%s", why);
}

static void close_board(void)
{
    kvm_board_free(board);
    kvm_vm_free(&vm);
}

static struct driver driver_of(unsigned slot)
{
    struct driver d = {.device = bus_find(&vm.mmio, SLOT(slot)),
                       .dma = kvm_memory_dma(&vm.memory),
                       .rings = 0x100000 + 0x10000 * slot};
    ck_assert_ptr_nonnull(d.device);
    ck_assert_uint_eq(d.device->base, SLOT(slot));
    return d;
}

/* The level of a line as the first PIC has it. */
static bool line_is_up(unsigned line)
{
    struct kvm_irqchip chip = {.chip_id =
                                   line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE};
    ck_assert_int_eq(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), 0);
    return chip.chip.pic.last_irr >> line % 8 & 1;
}

START_TEST(the_slots)
{
    static const uint32_t ids[] = {2, 0, 3, 4, 5};
    struct kvm_board_config config = {.disk = _i ? disk : NULL};
    unsigned count, lines = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8 | 1u << 9;
    open_board(&config);
    const struct kvm_boot_device *told = kvm_board_announce(board, &count);
    ck_assert_uint_eq(count, _i ? 4 : 3);
    for (unsigned i = 0; i < count; i++) {
        struct device *d = bus_find(&vm.mmio, (uint32_t)told[i].base);
        ck_assert_ptr_nonnull(d);
        ck_assert_uint_eq(d->base, told[i].base);
        ck_assert_uint_eq(d->size, told[i].size);
        ck_assert_int_eq(d->irq, told[i].irq);
        ck_assert_uint_ne(device_get(d, REG_DEVICE_ID, 4), 0);
        ck_assert_msg(!(lines >> told[i].irq & 1), "line %d has another device", told[i].irq);
        lines |= 1u << told[i].irq;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct driver d = driver_of(slot);
        ck_assert_uint_eq(driver_get(&d, REG_MAGIC), 0x74726976);
        ck_assert_uint_eq(driver_get(&d, REG_DEVICE_ID), slot || _i ? ids[slot] : 0);
    }
    close_board();
}
END_TEST

START_TEST(a_disk_that_is_none)
{
    char why[512] = "";
    struct kvm_board_config config = {.disk = "/nowhere/disk.img"};
    struct kvm_vm_config c = {.kvm_fd = -1, .memory = 8 << 20, .vcpus = 1};
    ck_assert_int_eq(kvm_vm_init(&vm, &c, why), 0);
    ck_assert_ptr_null(kvm_board_new(&vm, &config, why));
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/disk.img"));
    kvm_vm_free(&vm);
}
END_TEST

/* A block request: header at `at`, data behind it, then the status. */
static uint8_t block_request(struct driver *d, uint32_t type, uint64_t sector)
{
    const uint64_t at = 0x200000;
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {type, 0, sector};
    uint8_t status = 0xff;
    driver_write(d, at, &header, sizeof header);
    driver_write(d, at + 0x1000, &status, 1);
    driver_describe(d, 0, 0, at, sizeof header, D_NEXT, 1);
    driver_describe(d, 0, 1, at + 0x200, SECTOR, type ? D_NEXT : D_NEXT | D_WRITE, 2);
    driver_describe(d, 0, 2, at + 0x1000, 1, D_WRITE, 0);
    driver_offer(d, 0, 0);
    driver_notify(d, 0);
    driver_read(d, at + 0x1000, &status, 1);
    return status;
}

START_TEST(reads_and_writes_the_disk)
{
    char text[SECTOR];
    struct kvm_board_config config = {.disk = disk, .disk_readonly = _i};
    open_board(&config);
    struct driver d = driver_of(BLOCK);
    driver_start(&d, 1);
    ck_assert(!line_is_up(5));
    ck_assert_uint_eq(block_request(&d, 0, 3), 0);
    driver_read(&d, 0x200200, text, sizeof text);
    ck_assert_str_eq(text, "sector 3 of the disk");
    ck_assert(line_is_up(5));
    driver_put(&d, REG_ACK, 1);
    ck_assert(!line_is_up(5));
    ck_assert_uint_eq(block_request(&d, 1, 7), _i ? 1 : 0);
    ck_assert_uint_eq(block_request(&d, 0, SECTORS), 1);
    ck_assert_uint_eq(block_request(&d, 0, 7), 0);
    driver_read(&d, 0x200200, text, sizeof text);
    ck_assert_str_eq(text, _i ? "sector 7 of the disk" : "sector 3 of the disk");
    close_board();
}
END_TEST

START_TEST(prints_and_is_typed_at)
{
    struct kvm_board_config config = {.console = keep, .virtio_console = _i};
    open_board(&config);
    struct driver d = driver_of(CONSOLE);
    size_t taken = kvm_board_input(board, (const uint8_t *)"c", 1);
    ck_assert_uint_eq(taken, !_i); /* COM1 has room for one; the other has no driver yet */
    driver_start(&d, 2);
    driver_write(&d, 0x300000, "hello", 5);
    driver_send(&d, 1, 0x300000, 5, 0);
    ck_assert_str_eq(printed, "hello");
    ck_assert(line_is_up(11));
    driver_put(&d, REG_ACK, 1);
    driver_send(&d, 0, 0x300000, 8, D_WRITE);
    ck_assert_uint_eq(kvm_board_input(board, (const uint8_t *)"v", 1), _i);
    ck_assert_uint_eq(driver_used(&d, 0), _i);
    ck_assert_int_eq(line_is_up(11), _i);
    close_board();
}
END_TEST

START_TEST(gives_the_hosts_random_numbers)
{
    uint8_t number[2][4096] = {{0}};
    struct kvm_board_config config = {.disk = NULL};
    open_board(&config);
    struct driver d = driver_of(RNG);
    driver_start(&d, 1);
    for (int i = 0; i < 2; i++) {
        driver_send(&d, 0, 0x300000, 4096, D_WRITE);
        ck_assert_uint_eq(driver_used_length(&d, 0, (unsigned)i), 4096);
        driver_read(&d, 0x300000, number[i], 4096);
    }
    ck_assert_mem_ne(number[0], number[1], 4096);
    ck_assert_mem_ne(number[0] + 2048, number[0], 2048);
    close_board();
}
END_TEST

START_TEST(saves_what_devices_remember)
{
    struct kvm_board_config config = {.disk = disk, .balloon_pages = 3};
    struct state_buffer saved = {0};
    struct digest before, after, changed;
    size_t at = 0;
    open_board(&config);
    struct driver d = driver_of(BALLOON);
    driver_start(&d, 2);
    driver_put(&d, REG_CONFIG + 4, 2);
    digest_init(&before);
    kvm_board_digest(board, &before);
    ck_assert_int_eq(kvm_board_save(board, &saved), 0);
    kvm_board_set_balloon(board, 9);
    kvm_board_reset(board);
    digest_init(&changed);
    kvm_board_digest(board, &changed);
    ck_assert_uint_ne(changed.value, before.value);
    ck_assert_uint_eq(driver_get(&d, REG_CONFIG), 3);
    ck_assert_int_eq(kvm_board_load(board, saved.bytes, saved.count, &at), 0);
    ck_assert_uint_eq(at, saved.count);
    digest_init(&after);
    kvm_board_digest(board, &after);
    ck_assert_uint_eq(after.value, before.value);
    ck_assert_uint_eq(driver_get(&d, REG_CONFIG + 4), 2);
    state_buffer_free(&saved);
    close_board();
}
END_TEST

/* ---- a guest ------------------------------------------------------------------------------ */

static struct session *s;
static struct session_config config;
static char text[4096];

static void open_sample(void)
{
    char why[SESSION_ERROR] = "";
    s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    memset(text, 0, sizeof text);
}

static void sample_setup(void)
{
    make_disk();
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = "samples/x86/virtio.elf";
    config.memory = 32 << 20;
    config.disk = disk;
    s = NULL;
}

static void sample_teardown(void)
{
    session_free(s);
    drop_disk();
}

static void take_output(void)
{
    size_t had = strlen(text);
    session_output(s, (uint8_t *)text + had, sizeof text - 1 - had);
}

static void expect_printed(const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "missing: %s\nin:\n%s", line, text);
}

static void wait_for_the_end(void)
{
    struct view_status status;
    ck_assert_int_eq(session_wait(s, LONG_MS), 0);
    session_status(s, &status);
    ck_assert_msg(status.stop == STOPPED_POWEROFF && status.exit_code == 0, "%s\n%s", status.text,
                  status.detail);
    take_output();
}

static uint32_t read_word(uint64_t at)
{
    static struct view_memory view;
    uint32_t word;
    session_view_memory(s, true, at, sizeof word, &view);
    memcpy(&word, view.data, sizeof word);
    return word;
}

/* Every device, with the vCPU confined: what its filter forbids would be seen as an error here. */
START_TEST(a_guest_uses_all_of_them)
{
    for (int n = 1; n <= 2; n++) {
        char counted[32];
        config.balloon_pages = 16;
        open_sample();
        ck_assert_int_eq(session_run(s), 0);
        wait_for_the_end();
        snprintf(counted, sizeof counted, "block: run number %d\n", n);
        expect_printed("block: 8 sectors; the first begins with \"sector 0 of the disk\"");
        expect_printed(counted);
        expect_printed("console: hello from a queue");
        expect_printed("entropy: 16 bytes, twice, and they differ");
        expect_printed("balloon: gave back 16 pages of 16; what was 42 reads as 0");
        session_free(s);
    }
    config.disk_readonly = true;
    open_sample();
    ck_assert_int_eq(session_run(s), 0);
    wait_for_the_end();
    expect_printed("block: run number 3, which cannot be kept");
}
END_TEST

/* Until the guest waits for input with an empty buffer in its receive queue. */
static void run_to_the_wait(void)
{
    uint64_t receive;
    ck_assert_int_eq(session_lookup(s, "receive", &receive), 0);
    ck_assert_int_eq(session_run(s), 0);
    for (int i = 0; i < LONG_MS / 10; i++) {
        session_wait(s, 10);
        if (read_word(receive + 64) >> 16 == 1) /* index of the available ring */
            break;
    }
    ck_assert_int_eq(session_pause(s), 0);
    ck_assert_int_eq(session_wait(s, LONG_MS), 0);
    ck_assert_uint_eq(read_word(receive + 64) >> 16, 1);
    take_output();
    expect_printed("hello from a queue");
}

static void type(const char *line)
{
    ck_assert_uint_eq(session_input(s, (const uint8_t *)line, strlen(line)), strlen(line));
    ck_assert_int_eq(session_run(s), 0);
    wait_for_the_end();
}

#define SPARE 0x800000 /* where the guest takes the pages for its balloon from */

/* The buffer that waits is part of the snapshot, and so is what the balloon takes away later. */
START_TEST(a_snapshot_with_a_queue_in_flight)
{
    char why[SESSION_ERROR];
    uint32_t pattern = 0x12345678;
    config.virtio_console = true;
    config.kernel_args = "echo";
    config.balloon_pages = 16;
    open_sample();
    run_to_the_wait();
    ck_assert_int_eq(
        session_write_memory(s, true, SPARE + PAGE, (const uint8_t *)&pattern, sizeof pattern), 0);
    int id = session_snapshot(s, "waiting", why);
    ck_assert_msg(id > 0, "%s", why);
    uint64_t digest = session_digest(s);
    static const char *const lines[] = {"first\n", "second\n", "third\n"};
    for (int i = 0; i < 3; i++) {
        char echoed[64];
        memset(text, 0, sizeof text);
        type(lines[i]);
        snprintf(echoed, sizeof echoed, "console: you typed %s", lines[i]);
        expect_printed(echoed);
        expect_printed("balloon: gave back 16 pages of 16; what was 42 reads as 0");
        ck_assert_uint_eq(read_word(SPARE + PAGE), 0);
        ck_assert_msg(session_restore(s, id, why) == 0, "%s", why);
        ck_assert_uint_eq(session_digest(s), digest);
        ck_assert_uint_eq(read_word(SPARE + PAGE), pattern);
    }
}
END_TEST

static uint32_t device_register(const char *device, const char *name)
{
    static struct view_devices view;
    session_view_devices(s, &view);
    for (unsigned i = 0; i < view.count; i++)
        for (unsigned r = 0; r < view.device[i].count; r++)
            if (!strcmp(view.device[i].name, device) && !strcmp(view.device[i].reg[r].name, name))
                return view.device[i].reg[r].value;
    ck_abort_msg("no register %s of a device %s", name, device);
    return 0;
}

START_TEST(the_balloon_of_a_session)
{
    config.virtio_console = true;
    config.kernel_args = "echo";
    open_sample();
    ck_assert_uint_eq(device_register("virtio-blk", "capacity"), SECTORS);
    ck_assert_uint_eq(device_register("virtio-console", "DeviceID"), 3);
    ck_assert_uint_eq(device_register("virtio-rng", "DeviceID"), 4);
    ck_assert_int_eq(session_set_balloon(s, config.memory / PAGE + 1), -EINVAL);
    ck_assert_int_eq(session_set_balloon(s, UINT64_MAX), -EINVAL);
    run_to_the_wait();
    ck_assert_int_eq(session_set_balloon(s, 7), 0);
    ck_assert_uint_eq(device_register("virtio-balloon", "num_pages"), 7);
    ck_assert_uint_eq(device_register("virtio-balloon", "actual"), 0);
    type("go on\n");
    expect_printed("balloon: gave back 7 pages of 7");
    ck_assert_uint_eq(device_register("virtio-balloon", "actual"), 7);
    ck_assert_int_eq(session_reset(s), 0);
    ck_assert_uint_eq(device_register("virtio-balloon", "num_pages"), 0);
    ck_assert_uint_eq(device_register("virtio-balloon", "actual"), 0);
}
END_TEST

/* Reset in the midst of a wait: the devices are as new, and the guest finds them so. */
START_TEST(a_reset_with_a_queue_in_flight)
{
    config.virtio_console = true;
    config.kernel_args = "echo";
    open_sample();
    for (int i = 0; i < 3; i++) {
        run_to_the_wait();
        ck_assert_int_eq(session_reset(s), 0);
        ck_assert_uint_eq(device_register("virtio-console", "Status"), 0);
    }
    run_to_the_wait();
    type("at last\n");
    expect_printed("console: you typed at last");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("kvm-virtio");
    TCase *slots = tcase_create("board"), *guest = tcase_create("guest");
    tcase_add_checked_fixture(slots, make_disk, drop_disk);
    tcase_add_loop_test(slots, the_slots, 0, 2);
    tcase_add_test(slots, a_disk_that_is_none);
    tcase_add_loop_test(slots, reads_and_writes_the_disk, 0, 2);
    tcase_add_loop_test(slots, prints_and_is_typed_at, 0, 2);
    tcase_add_test(slots, gives_the_hosts_random_numbers);
    tcase_add_test(slots, saves_what_devices_remember);
    suite_add_tcase(suite, slots);
    tcase_add_checked_fixture(guest, sample_setup, sample_teardown);
    tcase_set_timeout(guest, 600);
    tcase_add_test(guest, a_guest_uses_all_of_them);
    tcase_add_test(guest, a_snapshot_with_a_queue_in_flight);
    tcase_add_test(guest, the_balloon_of_a_session);
    tcase_add_test(guest, a_reset_with_a_queue_in_flight);
    suite_add_tcase(suite, guest);
    return suite;
}

int main(void)
{
    return kvm_is_missing() ? 0 : tap_run(make_suite());
}
