/* Virtio: transport, queues and the block device, driven as a guest's driver would, and as none
 * should. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/dev/virtio-blk.h"
#include "cpu/dev/virtio.h"
#include "cpu/ram.h"
#include "tests/device.h"
#include "tests/tap.h"

enum {
    MAGIC = 0x000, VERSION = 0x004, DEVICE_ID = 0x008, DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014, DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030, QUEUE_NUM_MAX = 0x034, QUEUE_NUM = 0x038, QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060, INTERRUPT_ACK = 0x064, STATUS = 0x070,
    QUEUE_DESC = 0x080, QUEUE_DRIVER = 0x090, QUEUE_DEVICE = 0x0a0, CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_UNTOUCHED = 0xff };

enum { SECTORS = 8, QUEUE = 8 };
enum { RAM = 0x80000000u };
#define DESC    (RAM + 0x1000)
#define AVAIL   (RAM + 0x2000)
#define USED    (RAM + 0x3000)
#define HEADER  (RAM + 0x4000)
#define DATA    (RAM + 0x5000)
#define STATUS_BYTE (RAM + 0x9000)
#define TABLE   (RAM + 0xa000) /* of indirect descriptors */
#define RAM_END (RAM + 0x100000)
#define F_INDIRECT (1u << 28)

static struct ram ram;
static struct wire wire;
static struct disk *disk;
static struct virtio_blk *blk;
static struct device *device;
static char path[] = "/tmp/vitrine-test-virtio.XXXXXX";
static uint16_t available;

static void open_device(bool readonly)
{
    char why[DISK_ERROR];
    disk = disk_open(path, readonly, why);
    ck_assert_msg(disk, "%s", disk ? "" : why);
    blk = virtio_blk_new(ram_dma(&ram), wire_line(&wire), disk);
    ck_assert_ptr_nonnull(blk);
    device = virtio_blk_device(blk);
}

static void close_device(void)
{
    virtio_blk_free(blk);
    disk_close(disk);
}

static void setup(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    for (int i = 0; i < SECTORS * DISK_SECTOR; i += DISK_SECTOR) {
        char sector[DISK_SECTOR];
        memset(sector, 'A' + i / DISK_SECTOR, sizeof sector);
        ck_assert_int_eq(write(fd, sector, sizeof sector), sizeof sector);
    }
    close(fd);
    ck_assert_int_eq(ram_init(&ram, RAM, RAM_END - RAM), 0);
    wire = (struct wire){0};
    available = 0;
    open_device(false);
}

static void teardown(void)
{
    close_device();
    ram_free(&ram);
    unlink(path);
}

static uint32_t get(uint32_t offset)
{
    return device_get(device, offset, 4);
}

static void put(uint32_t offset, uint32_t value)
{
    device_put(device, offset, 4, value);
}

/* ---- a driver ----------------------------------------------------------------------------- */

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

static void describe(unsigned n, uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
    struct descriptor d = {address, length, flags, next};
    ck_assert(ram_write(&ram, DESC + 16 * n, &d, sizeof d));
}

static void negotiate(uint32_t low, uint32_t high)
{
    put(STATUS, 0);
    put(STATUS, ACKNOWLEDGE | DRIVER);
    put(DRIVER_FEATURES_SEL, 0);
    put(DRIVER_FEATURES, low);
    put(DRIVER_FEATURES_SEL, 1);
    put(DRIVER_FEATURES, high);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void set_queue(uint32_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
    put(QUEUE_SEL, 0);
    put(QUEUE_NUM, size);
    put(QUEUE_DESC, (uint32_t)desc);
    put(QUEUE_DESC + 4, (uint32_t)(desc >> 32));
    put(QUEUE_DRIVER, (uint32_t)avail);
    put(QUEUE_DRIVER + 4, (uint32_t)(avail >> 32));
    put(QUEUE_DEVICE, (uint32_t)used);
    put(QUEUE_DEVICE + 4, (uint32_t)(used >> 32));
    put(QUEUE_READY, 1);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void start(void)
{
    negotiate(1u << 9, 1);
    ck_assert_uint_eq(get(STATUS), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    set_queue(QUEUE, DESC, AVAIL, USED);
}

static void make_available(uint16_t head)
{
    ck_assert(ram_write(&ram, AVAIL + 4 + 2 * (available % QUEUE), &head, 2));
    available++;
    ck_assert(ram_write(&ram, AVAIL + 2, &available, 2));
}

static void put_header(uint32_t type, uint64_t sector)
{
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {type, 0, sector};
    uint8_t untouched = S_UNTOUCHED;
    ck_assert(ram_write(&ram, HEADER, &header, sizeof header));
    ck_assert(ram_write(&ram, STATUS_BYTE, &untouched, 1));
}

static uint8_t status_byte(void)
{
    uint8_t status;
    ck_assert(ram_read(&ram, STATUS_BYTE, &status, 1));
    return status;
}

/* A usual request: header, data, status. Returns the status. */
static uint8_t request(uint32_t type, uint64_t sector, uint64_t data, uint32_t length)
{
    bool reads = type != T_OUT;
    put_header(type, sector);
    describe(0, HEADER, 16, NEXT, length ? 1 : 2);
    describe(1, data, length, (uint16_t)(NEXT | (reads ? WRITE : 0)), 2);
    describe(2, STATUS_BYTE, 1, WRITE, 0);
    make_available(0);
    put(QUEUE_NOTIFY, 0);
    return status_byte();
}

static uint32_t used_length(unsigned n)
{
    uint32_t entry[2];
    ck_assert(ram_read(&ram, USED + 4 + 8 * n, entry, sizeof entry));
    return entry[1];
}

static uint16_t used_index(void)
{
    uint16_t index;
    ck_assert(ram_read(&ram, USED + 2, &index, 2));
    return index;
}

static char byte_at(uint32_t pa)
{
    char byte;
    ck_assert(ram_read(&ram, pa, &byte, 1));
    return byte;
}

/* ---- transport ---------------------------------------------------------------------------- */

START_TEST(says_what_it_is)
{
    ck_assert_uint_eq(get(MAGIC), 0x74726976);
    ck_assert_uint_eq(get(VERSION), 2);
    ck_assert_uint_eq(get(DEVICE_ID), 2);
    ck_assert_uint_eq(get(QUEUE_NUM_MAX), VIRTIO_QUEUE_MAX);
    put(QUEUE_SEL, 1);
    ck_assert_uint_eq(get(QUEUE_NUM_MAX), 0);
    ck_assert_uint_eq(get(CONFIG), SECTORS);
    ck_assert_uint_eq(get(CONFIG + 4), 0);
    ck_assert_uint_eq(get(CONFIG + 8), 32 << 10);              /* size_max */
    ck_assert_uint_eq(get(CONFIG + 12), VIRTIO_QUEUE_MAX - 2); /* seg_max */
    ck_assert_uint_eq(get(CONFIG + 40), 1);                    /* max_discard_seg */
    ck_assert_uint_eq(get(CONFIG + 52), 1);                    /* max_write_zeroes_seg */
    ck_assert_uint_eq(device_get(device, CONFIG + 56, 1), 1);  /* write_zeroes_may_unmap */
    ck_assert_uint_eq(device_get(device, CONFIG, 1), SECTORS);
    ck_assert_uint_eq(device_get(device, 0xffc, 4), 0);
    put(DEVICE_FEATURES_SEL, 1);
    ck_assert_uint_eq(get(DEVICE_FEATURES), 1);
    put(DEVICE_FEATURES_SEL, 0);
    ck_assert_uint_eq(get(DEVICE_FEATURES),
                      1u << 1 | 1u << 2 | 1u << 9 | 1u << 13 | 1u << 14 | F_INDIRECT);
    put(DEVICE_FEATURES_SEL, 2);
    ck_assert_uint_eq(get(DEVICE_FEATURES), 0);
    device_check_table(device);
}
END_TEST

static const struct {
    uint32_t low, high;
    bool accepted;
} feature_cases[] = {
    {0, 1, true}, {1u << 9, 1, true}, {0, 0, false}, {1u << 5, 1, false}, {0, 3, false},
    {UINT32_MAX, UINT32_MAX, false},
};

START_TEST(features)
{
    negotiate(feature_cases[_i].low, feature_cases[_i].high);
    ck_assert_int_eq(!!(get(STATUS) & FEATURES_OK), feature_cases[_i].accepted);
}
END_TEST

START_TEST(features_are_settled_by_features_ok)
{
    start();
    uint64_t before = device_digest(device);
    put(DRIVER_FEATURES_SEL, 1); /* where it stands already */
    put(DRIVER_FEATURES, 0);
    ck_assert(device_digest(device) == before);
}
END_TEST

START_TEST(an_empty_slot)
{
    struct device slot = virtio_empty_slot();
    ck_assert_uint_eq(device_get(&slot, MAGIC, 4), 0x74726976);
    ck_assert_uint_eq(device_get(&slot, VERSION, 4), 2);
    ck_assert_uint_eq(device_get(&slot, DEVICE_ID, 4), 0);
    device_check_table(&slot);
    device_abuse(&slot, 10000);
}
END_TEST

/* ---- block requests ----------------------------------------------------------------------- */

START_TEST(reads)
{
    start();
    ck_assert_uint_eq(request(T_IN, 2, DATA, 1024), S_OK);
    ck_assert_int_eq(byte_at(DATA), 'C');
    ck_assert_int_eq(byte_at(DATA + 511), 'C');
    ck_assert_int_eq(byte_at(DATA + 512), 'D');
    ck_assert_int_eq(byte_at(DATA + 1023), 'D');
    ck_assert_int_eq(byte_at(DATA + 1024), 0);
    ck_assert_uint_eq(used_index(), 1);
    ck_assert_uint_eq(used_length(0), 1025);
    ck_assert(wire.level);
    ck_assert_uint_eq(get(INTERRUPT_STATUS), 1);
    put(INTERRUPT_ACK, 1);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(writes)
{
    static char text[512] = "written by the guest";
    char back[512];
    start();
    ck_assert(ram_write(&ram, DATA, text, sizeof text));
    ck_assert_uint_eq(request(T_OUT, 7, DATA, 512), S_OK);
    ck_assert_uint_eq(used_length(0), 1);
    ck_assert_uint_eq(request(T_FLUSH, 0, 0, 0), S_OK);
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(pread(fd, back, sizeof back, 7 * 512), sizeof back);
    ck_assert_mem_eq(back, text, sizeof text);
    ck_assert_int_eq(pread(fd, back, 1, 7 * 512 - 1), 1);
    ck_assert_int_eq(back[0], 'G');
    close(fd);
}
END_TEST

START_TEST(tells_its_name)
{
    start();
    ck_assert_uint_eq(request(T_GET_ID, 0, DATA, 20), S_OK);
    ck_assert_int_eq(byte_at(DATA), 'v');
    ck_assert_uint_eq(request(T_GET_ID, 0, DATA, 8), S_IOERR);
}
END_TEST

/* Discard and write zeroes: a header and one range. */
static uint8_t range_request(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range = {sector, sectors, flags};
    put_header(type, 0);
    ck_assert(ram_write(&ram, DATA, &range, sizeof range));
    describe(0, HEADER, 16, NEXT, 1);
    describe(1, DATA, sizeof range, NEXT, 2);
    describe(2, STATUS_BYTE, 1, WRITE, 0);
    make_available(0);
    put(QUEUE_NOTIFY, 0);
    return status_byte();
}

static int sector_begins_with(int sector)
{
    char bytes[DISK_SECTOR];
    ck_assert_int_eq(disk_read(disk, (uint64_t)sector, bytes, sizeof bytes), 0);
    return bytes[0];
}

START_TEST(ranges_become_zeroes)
{
    start();
    ck_assert_uint_eq(range_request(T_ZEROES, 2, 3, _i), S_OK); /* also with "may unmap" */
    for (int n = 0; n < SECTORS; n++)
        ck_assert_int_eq(sector_begins_with(n), n >= 2 && n < 5 ? 0 : 'A' + n);
    ck_assert_uint_eq(range_request(T_DISCARD, 6, 1, 0), S_OK);
    ck_assert(sector_begins_with(6) == 0 || sector_begins_with(6) == 'G');
    ck_assert_int_eq(sector_begins_with(5), 'F');
    ck_assert_int_eq(sector_begins_with(7), 'H');
    ck_assert_uint_eq(range_request(T_ZEROES, SECTORS, 0, 0), S_OK); /* nothing at all */
}
END_TEST

static const struct {
    uint64_t sector;
    uint32_t sectors, flags;
    uint8_t status;
} range_cases[] = {
    {SECTORS, 1, 0, S_IOERR},       {SECTORS - 1, 2, 0, S_IOERR},  {UINT64_MAX, 1, 0, S_IOERR},
    {1ull << 55, 8, 0, S_IOERR},    {0, UINT32_MAX, 0, S_IOERR},   {0, 1u << 23, 0, S_IOERR},
    {UINT64_MAX - 3, 8, 0, S_IOERR}, {0, 1, 2, S_UNSUPP},           {0, 1, UINT32_MAX, S_UNSUPP},
};

START_TEST(ranges_that_are_refused)
{
    start();
    for (int t = 0; t < 2; t++)
        ck_assert_uint_eq(range_request(t ? T_ZEROES : T_DISCARD, range_cases[_i].sector,
                                        range_cases[_i].sectors, range_cases[_i].flags),
                          range_cases[_i].status);
    for (int n = 0; n < SECTORS; n++)
        ck_assert_int_eq(sector_begins_with(n), 'A' + n);
    ck_assert_uint_eq(range_request(T_DISCARD, 0, 1, 1), S_UNSUPP);
    /* No range, half a range, two ranges. */
    for (uint32_t length = 0; length <= 32; length += 8) {
        if (length == 16)
            continue;
        put_header(T_ZEROES, 0);
        describe(0, HEADER, 16, NEXT, 1);
        describe(1, DATA, length, NEXT, 2);
        describe(2, STATUS_BYTE, 1, WRITE, 0);
        make_available(0);
        put(QUEUE_NOTIFY, 0);
        ck_assert_uint_eq(status_byte(), S_IOERR);
    }
}
END_TEST

/* What is refused, and that the answer says so. */
static const struct {
    uint32_t type;
    uint64_t sector, data;
    uint32_t length;
    uint8_t status;
} refused_cases[] = {
    {T_IN, SECTORS, DATA, 512, S_IOERR},
    {T_IN, SECTORS - 1, DATA, 1024, S_IOERR},
    {T_IN, UINT64_MAX, DATA, 512, S_IOERR},
    {T_IN, 1ull << 55, DATA, 512, S_IOERR},
    {T_IN, 0, DATA, 511, S_IOERR},
    {T_OUT, SECTORS, DATA, 512, S_IOERR},
    {T_OUT, SECTORS - 1, DATA, 1024, S_IOERR},
    {T_OUT, UINT64_MAX, DATA, 512, S_IOERR},
    {T_OUT, 0, DATA, 100, S_IOERR},
    {T_OUT, 0, RAM_END, 512, S_IOERR},
    {T_OUT, 0, RAM_END - 511, 512, S_IOERR},
    {T_OUT, 0, 0, 512, S_IOERR},
    {T_OUT, 0, 0x100000000ull + DATA, 512, S_IOERR},
    {99, 0, DATA, 512, S_UNSUPP},
    {UINT32_MAX, 0, DATA, 512, S_UNSUPP},
};

START_TEST(refuses)
{
    char before[SECTORS * DISK_SECTOR], after[sizeof before];
    start();
    ck_assert_int_eq(disk_read(disk, 0, before, sizeof before), 0);
    ck_assert_uint_eq(request(refused_cases[_i].type, refused_cases[_i].sector,
                              refused_cases[_i].data, refused_cases[_i].length),
                      refused_cases[_i].status);
    ck_assert_uint_eq(used_index(), 1);
    ck_assert_int_eq(disk_read(disk, 0, after, sizeof after), 0);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK); /* and it goes on */
}
END_TEST

START_TEST(a_bad_buffer_to_read_into_hurts_nobody)
{
    start();
    request(T_IN, 0, RAM_END - 100, 512);
    ck_assert_uint_eq(status_byte(), S_UNTOUCHED);
    ck_assert_uint_eq(used_index(), 1);
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
}
END_TEST

START_TEST(readonly_disk)
{
    close_device();
    ck_assert_int_eq(chmod(path, 0444), 0);
    open_device(true);
    ck_assert_uint_eq(get(DEVICE_FEATURES), 1u << 1 | 1u << 2 | 1u << 5 | 1u << 9 | F_INDIRECT);
    start();
    ck_assert_uint_eq(request(T_OUT, 0, DATA, 512), S_IOERR);
    ck_assert_uint_eq(range_request(T_ZEROES, 0, 1, 0), S_IOERR);
    ck_assert_uint_eq(range_request(T_DISCARD, 0, 1, 0), S_IOERR);
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
    ck_assert_int_eq(byte_at(DATA), 'A');
    ck_assert_uint_eq(request(T_FLUSH, 0, 0, 0), S_OK);
}
END_TEST

/* Data in many pieces, some of them empty, in an order of descriptors that is not 0, 1, 2. */
START_TEST(scattered_buffers)
{
    start();
    put_header(T_IN, 1);
    describe(5, HEADER, 7, NEXT, 1);
    describe(1, HEADER + 7, 9, NEXT, 7);
    describe(7, DATA, 500, NEXT | WRITE, 0);
    describe(0, RAM, 0, NEXT | WRITE, 3);
    describe(3, DATA + 0x800, 12, NEXT | WRITE, 6);
    describe(6, STATUS_BYTE, 1, WRITE, 0);
    make_available(5);
    put(QUEUE_NOTIFY, 0);
    ck_assert_uint_eq(status_byte(), S_OK);
    ck_assert_int_eq(byte_at(DATA + 499), 'B');
    ck_assert_int_eq(byte_at(DATA + 500), 0);
    ck_assert_int_eq(byte_at(DATA + 0x80b), 'B');
    ck_assert_int_eq(byte_at(DATA + 0x80c), 0);
    ck_assert_uint_eq(used_length(0), 513);
}
END_TEST

START_TEST(several_requests_at_once)
{
    start();
    put_header(T_IN, 0);
    for (uint16_t i = 0; i < 2; i++) {
        describe(3u * i, HEADER, 16, NEXT, (uint16_t)(3 * i + 1));
        describe(3u * i + 1, DATA + 512u * i, 512, NEXT | WRITE, (uint16_t)(3 * i + 2));
        describe(3u * i + 2, STATUS_BYTE, 1, WRITE, 0);
        make_available((uint16_t)(3 * i));
    }
    put(QUEUE_NOTIFY, 0);
    ck_assert_uint_eq(used_index(), 2);
    ck_assert_uint_eq(wire.risen, 1);
    for (int i = 0; i < 70000; i++) /* the indices wrap at 2^16 */
        ck_assert_uint_eq(request(T_GET_ID, 0, DATA, 20), S_OK);
    ck_assert_uint_eq(used_index(), (uint16_t)70002);
}
END_TEST

/* ---- indirect descriptors ------------------------------------------------------------------ */

/* `of_table`: in the table of indirect descriptors, else in the queue's. */
static void describe_at(bool of_table, unsigned n, struct descriptor d)
{
    ck_assert(ram_write(&ram, (of_table ? TABLE : DESC) + 16 * n, &d, sizeof d));
}

static void start_indirect(void)
{
    negotiate(1u << 9 | F_INDIRECT, 1);
    ck_assert_uint_eq(get(STATUS), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    set_queue(QUEUE, DESC, AVAIL, USED);
}

/* The whole request in a table of three, or its header in the queue's and the rest in a table. That
 * the descriptor says "to write" means nothing. */
START_TEST(requests_in_a_table)
{
    uint16_t flags = INDIRECT | (_i & 1 ? WRITE : 0);
    start_indirect();
    for (unsigned round = 0; round < 20; round++) {
        unsigned n = 0, direct = _i & 2 ? 1 : 0;
        put_header(T_IN, round % SECTORS);
        if (direct)
            describe_at(false, 3, (struct descriptor){HEADER, 16, NEXT, 5});
        else
            describe_at(true, n++, (struct descriptor){HEADER, 16, NEXT, 2});
        /* in the table each follows the one after it */
        describe_at(true, direct ? 0 : 2, (struct descriptor){DATA, 512, NEXT | WRITE, 1});
        describe_at(true, 1, (struct descriptor){STATUS_BYTE, 1, WRITE, 0});
        describe_at(false, direct ? 5 : 3, (struct descriptor){TABLE, 3 * 16, flags, 0x1234});
        make_available(3);
        put(QUEUE_NOTIFY, 0);
        ck_assert_uint_eq(status_byte(), S_OK);
        ck_assert_int_eq(byte_at(DATA), 'A' + (int)(round % SECTORS));
        ck_assert_uint_eq(used_index(), round + 1);
        ck_assert_uint_eq(used_length(round % QUEUE), 513);
    }
}
END_TEST

/* A table with `parts` of 4 bytes for a sector and more, behind the header and before the status. */
static void offer_table_of(unsigned parts)
{
    put_header(T_IN, 2);
    describe_at(true, 0, (struct descriptor){HEADER, 16, NEXT, 1});
    for (unsigned n = 1; n <= parts; n++)
        describe_at(true, n, (struct descriptor){DATA + 4 * n, 4, NEXT | WRITE, (uint16_t)(n + 1)});
    describe_at(true, parts + 1, (struct descriptor){STATUS_BYTE, 1, WRITE, 0});
    describe_at(false, 0, (struct descriptor){TABLE, (parts + 2) * 16, INDIRECT, 0});
    make_available(0);
    put(QUEUE_NOTIFY, 0);
}

/* A request may have more parts than the queue has entries, and not more than there is room for. */
START_TEST(a_table_longer_than_the_queue)
{
    start_indirect();
    offer_table_of(VIRTIO_QUEUE_MAX - 2);
    ck_assert_uint_eq(get(STATUS) & NEEDS_RESET, 0);
    ck_assert_uint_eq(used_index(), 1);
    ck_assert_uint_eq(used_length(0), 4 * (VIRTIO_QUEUE_MAX - 2) + 1);
    offer_table_of(VIRTIO_QUEUE_MAX - 1);
    ck_assert_uint_eq(used_index(), 1);
    ck_assert(get(STATUS) & NEEDS_RESET);
}
END_TEST

static const struct {
    const char *what;
    uint32_t features;
    struct descriptor queue, table[3];
} table_cases[] = {
    {"not agreed upon", 0, {TABLE, 48, INDIRECT, 0}, {{HEADER, 16, 0, 0}}},
    {"a table and more", F_INDIRECT, {TABLE, 48, INDIRECT | NEXT, 1}, {{HEADER, 16, 0, 0}}},
    {"a table in a table", F_INDIRECT, {TABLE, 48, INDIRECT, 0}, {{TABLE, 48, INDIRECT, 0}}},
    {"a table at the end of one",
     F_INDIRECT,
     {TABLE, 48, INDIRECT, 0},
     {{HEADER, 16, NEXT, 1}, {TABLE, 48, INDIRECT, 0}}},
    {"no whole entries", F_INDIRECT, {TABLE, 47, INDIRECT, 0}, {{HEADER, 16, 0, 0}}},
    {"no entry", F_INDIRECT, {TABLE, 0, INDIRECT, 0}, {{HEADER, 16, 0, 0}}},
    {"next beyond the table",
     F_INDIRECT,
     {TABLE, 32, INDIRECT, 0},
     {{HEADER, 16, NEXT, 2}, {DATA, 4, 0, 0}, {DATA, 4, 0, 0}}},
    {"a circle in the table",
     F_INDIRECT,
     {TABLE, 48, INDIRECT, 0},
     {{HEADER, 16, NEXT, 1}, {DATA, 4, NEXT, 0}}},
    {"reading after writing",
     F_INDIRECT,
     {TABLE, 48, INDIRECT, 0},
     {{DATA, 4, NEXT | WRITE, 1}, {HEADER, 16, 0, 0}}},
    {"too long",
     F_INDIRECT,
     {TABLE, 48, INDIRECT, 0},
     {{DATA, 4 << 20, NEXT, 1}, {DATA, 1, WRITE, 0}}},
    {"no memory", F_INDIRECT, {RAM_END, 48, INDIRECT, 0}, {{0}}},
    {"the end of memory", F_INDIRECT, {RAM_END - 8, 48, INDIRECT, 0}, {{0}}},
    {"the end of all", F_INDIRECT, {UINT64_MAX - 7, 0xfffffff0, INDIRECT, 0}, {{0}}},
};

START_TEST(broken_tables)
{
    negotiate(table_cases[_i].features, 1);
    set_queue(QUEUE, DESC, AVAIL, USED);
    describe_at(false, 0, table_cases[_i].queue);
    for (unsigned n = 0; n < 3; n++)
        describe_at(true, n, table_cases[_i].table[n]);
    make_available(0);
    put(QUEUE_NOTIFY, 0);
    ck_assert_msg(get(STATUS) & NEEDS_RESET, "%s", table_cases[_i].what);
    ck_assert_uint_eq(used_index(), 0);
}
END_TEST

START_TEST(driver_may_want_no_interrupts)
{
    uint16_t no_interrupt = 1;
    start();
    ck_assert(ram_write(&ram, AVAIL, &no_interrupt, 2));
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
    ck_assert(!wire.level);
}
END_TEST

/* ---- drivers gone wrong ------------------------------------------------------------------- */

static void expect_needs_reset(void)
{
    ck_assert(get(STATUS) & NEEDS_RESET);
    ck_assert(wire.level);
    ck_assert_uint_eq(get(INTERRUPT_STATUS) & 2, 2);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    ck_assert(get(STATUS) & NEEDS_RESET); /* only a reset helps */
    put(STATUS, 0);
    ck_assert(!wire.level);
    ck_assert_uint_eq(get(STATUS), 0);
    uint16_t zero = 0;
    available = 0;
    ram_write(&ram, AVAIL + 2, &zero, 2);
    start();
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
}

/* Chains by their first three descriptors; the head is 0 unless given. */
static const struct {
    const char *what;
    struct descriptor d[3];
    uint16_t head;
} chain_cases[] = {
    {"itself", {{HEADER, 16, NEXT, 0}}, 0},
    {"a ring of two", {{HEADER, 16, NEXT, 1}, {DATA, 16, NEXT, 0}}, 0},
    {"next out of range", {{HEADER, 16, NEXT, QUEUE}}, 0},
    {"next far out of range", {{HEADER, 16, NEXT, 0xffff}}, 0},
    {"head out of range", {{HEADER, 16, 0, 0}}, QUEUE},
    {"reading after writing", {{DATA, 16, NEXT | WRITE, 1}, {HEADER, 16, 0, 0}}, 0},
    {"4 GiB", {{HEADER, 16, NEXT, 1}, {DATA, UINT32_MAX, WRITE, 0}}, 0},
    {"more than a request may have",
     {{HEADER, 16, NEXT, 1}, {DATA, 3 << 20, NEXT | WRITE, 2}, {DATA, 2 << 20, WRITE, 0}}, 0},
};

START_TEST(broken_chains)
{
    start();
    for (unsigned n = 0; n < 3; n++) {
        const struct descriptor *d = &chain_cases[_i].d[n];
        describe(n, d->address, d->length, d->flags, d->next);
    }
    make_available(chain_cases[_i].head);
    put(QUEUE_NOTIFY, 0);
    expect_needs_reset();
}
END_TEST

static const struct {
    uint64_t desc, avail, used;
} ring_cases[] = {
    {0, AVAIL, USED},
    {RAM_END, AVAIL, USED},
    {RAM_END - 8, AVAIL, USED},
    {0xffffffff, AVAIL, USED},
    {DESC + (1ull << 32), AVAIL, USED},
    {UINT64_MAX, AVAIL, USED},
    {DESC, 0, USED},
    {DESC, RAM_END - 3, USED},
    {DESC, UINT64_MAX - 1, USED},
    {DESC, 0xfffffffe, USED},
    {DESC, AVAIL, 0},
    {DESC, AVAIL, RAM_END - 4},
    {DESC, AVAIL, UINT64_MAX - 3},
};

START_TEST(rings_outside_memory)
{
    negotiate(0, 1);
    set_queue(QUEUE, ring_cases[_i].desc, ring_cases[_i].avail, ring_cases[_i].used);
    request(T_IN, 0, DATA, 512);
    expect_needs_reset();
}
END_TEST

START_TEST(more_available_than_the_queue_holds)
{
    uint16_t far = QUEUE + 1;
    start();
    ck_assert(ram_write(&ram, AVAIL + 2, &far, 2));
    put(QUEUE_NOTIFY, 0);
    ck_assert_uint_eq(used_index(), 0);
    expect_needs_reset();
}
END_TEST

/* A request that overwrites the ring it came from: served once, no more. */
START_TEST(reading_over_the_rings)
{
    start();
    ck_assert_uint_eq(request(T_IN, 0, AVAIL, 512), S_OK);
    ck_assert_uint_eq(request(T_IN, 0, DESC, 512), S_OK);
    put(QUEUE_NOTIFY, 0);
    put(STATUS, 0);
}
END_TEST

START_TEST(not_before_it_is_set_up)
{
    request(T_IN, 0, DATA, 512);
    ck_assert_uint_eq(status_byte(), S_UNTOUCHED);
    negotiate(0, 1);
    put(QUEUE_NOTIFY, 0);
    put(QUEUE_NUM, VIRTIO_QUEUE_MAX + 1);
    put(QUEUE_READY, 1);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    put(QUEUE_NOTIFY, 0);
    put(QUEUE_NOTIFY, 1);
    put(QUEUE_NOTIFY, UINT32_MAX);
    ck_assert_uint_eq(get(STATUS) & NEEDS_RESET, 0);
    ck_assert_uint_eq(status_byte(), S_UNTOUCHED);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(registers_stand_while_the_queue_is_ready)
{
    start();
    put(QUEUE_NUM, 0);
    put(QUEUE_DESC, 0);
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
    put(QUEUE_SEL, 77);
    put(QUEUE_READY, 0);
    put(QUEUE_NUM, 1);
    put(QUEUE_SEL, 0);
    ck_assert_uint_eq(get(QUEUE_READY), 1);
}
END_TEST

/* A saved state may hold any queue size; registers could not set this one. */
START_TEST(a_state_with_an_impossible_queue)
{
    uint32_t table = RAM + 0x10000;
    negotiate(0, 1);
    set_queue(QUEUE, table, AVAIL, USED);
    for (unsigned f = 0; f < device->state.table->count; f++) {
        const struct state_field *field = &device->state.table->fields[f];
        uint32_t huge = 1024;
        if (!strcmp(field->name, "num"))
            memcpy((uint8_t *)device->state.object + field->offset, &huge, sizeof huge);
    }
    for (uint16_t n = 0; n < 1000; n++) {
        struct descriptor d = {HEADER, 1, NEXT, (uint16_t)(n + 1)};
        ck_assert(ram_write(&ram, table + 16u * n, &d, sizeof d));
    }
    make_available(0);
    put(QUEUE_NOTIFY, 0);
    ck_assert_uint_eq(used_index(), 0);
    ck_assert(!wire.level);
}
END_TEST

START_TEST(takes_abuse)
{
    uint64_t fresh = device_digest(device);
    struct random r = {7};
    uint8_t noise[0x1000];
    for (uint32_t page = RAM; page < RAM + 0xa000; page += sizeof noise) {
        for (unsigned i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)random_below(&r, 16);
        ck_assert(ram_write(&ram, page, noise, sizeof noise));
    }
    start();
    device_abuse(device, 100000);
    device->ops->reset(device->self);
    ck_assert(device_digest(device) == fresh);
}
END_TEST

/* Registers that are nearly right, over memory that is nearly right, again and again. */
START_TEST(takes_drivers_gone_wild)
{
    struct random r = {11};
    unsigned answered = 0;
    for (int round = 0; round < 20000; round++) {
        negotiate(round % 2 ? F_INDIRECT : 0, 1);
        available = (uint16_t)random_below(&r, 4);
        ck_assert(ram_write(&ram, AVAIL + 2, &available, 2));
        put_header(random_below(&r, 10), random_below(&r, 12));
        for (unsigned n = 0; n < QUEUE; n++) {
            uint16_t flags = (uint16_t)(n == 2                ? WRITE
                                        : random_below(&r, 8) ? NEXT
                                        : random_below(&r, 4) ? WRITE
                                                              : INDIRECT);
            describe(n, random_below(&r, 8) ? HEADER + random_below(&r, 0x6000) : random_next(&r),
                     random_below(&r, 4) ? 512 * random_below(&r, 4) : random_below(&r, 100),
                     flags, (uint16_t)random_below(&r, QUEUE + 1));
        }
        set_queue(1 + random_below(&r, QUEUE), DESC, AVAIL, USED);
        put(QUEUE_NOTIFY, 0);
        answered += !(get(STATUS) & NEEDS_RESET);
    }
    ck_assert_uint_gt(answered, 1000); /* it was not all refused at the door */
}
END_TEST

/* ---- disk images -------------------------------------------------------------------------- */

START_TEST(images_that_are_no_disks)
{
    char why[DISK_ERROR] = "";
    ck_assert_int_eq(truncate(path, 513), 0);
    ck_assert_ptr_null(disk_open(path, false, why));
    ck_assert_ptr_nonnull(strstr(why, "multiple of 512"));
    ck_assert_ptr_nonnull(strstr(why, path));
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_ptr_null(disk_open(path, true, why));
    ck_assert_ptr_nonnull(strstr(why, "empty"));
    ck_assert_ptr_null(disk_open("/tmp", true, why));
    ck_assert_ptr_nonnull(strstr(why, "regular file"));
    ck_assert_ptr_null(disk_open("/tmp", false, why));
    ck_assert_ptr_null(disk_open("/dev/null", false, why));
    ck_assert_ptr_nonnull(strstr(why, "regular file"));
    ck_assert_ptr_null(disk_open("/nowhere/at/all", false, why));
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_ptr_null(disk_open(path, true, why)); /* must not wait for a writer */
    ck_assert_ptr_nonnull(strstr(why, "regular file"));
    for (const char *c = why; *c; c++)
        ck_assert_int_ne(*c, '\n');
}
END_TEST

START_TEST(a_disk_that_shrinks_meanwhile)
{
    start();
    ck_assert_int_eq(truncate(path, 512), 0);
    ck_assert_uint_eq(request(T_IN, 0, DATA, 512), S_OK);
    ck_assert_uint_eq(request(T_IN, 1, DATA, 512), S_IOERR);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("virtio");
    TCase *tests = tcase_create("virtio");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, says_what_it_is);
    tcase_add_loop_test(tests, features, 0, ROWS(feature_cases));
    tcase_add_test(tests, features_are_settled_by_features_ok);
    tcase_add_test(tests, an_empty_slot);
    tcase_add_test(tests, reads);
    tcase_add_test(tests, writes);
    tcase_add_test(tests, tells_its_name);
    tcase_add_loop_test(tests, ranges_become_zeroes, 0, 2);
    tcase_add_loop_test(tests, ranges_that_are_refused, 0, ROWS(range_cases));
    tcase_add_loop_test(tests, refuses, 0, ROWS(refused_cases));
    tcase_add_test(tests, a_bad_buffer_to_read_into_hurts_nobody);
    tcase_add_test(tests, readonly_disk);
    tcase_add_test(tests, scattered_buffers);
    tcase_add_test(tests, several_requests_at_once);
    tcase_add_loop_test(tests, requests_in_a_table, 0, 4);
    tcase_add_test(tests, a_table_longer_than_the_queue);
    tcase_add_loop_test(tests, broken_tables, 0, ROWS(table_cases));
    tcase_add_test(tests, driver_may_want_no_interrupts);
    tcase_add_loop_test(tests, broken_chains, 0, ROWS(chain_cases));
    tcase_add_loop_test(tests, rings_outside_memory, 0, ROWS(ring_cases));
    tcase_add_test(tests, more_available_than_the_queue_holds);
    tcase_add_test(tests, reading_over_the_rings);
    tcase_add_test(tests, not_before_it_is_set_up);
    tcase_add_test(tests, registers_stand_while_the_queue_is_ready);
    tcase_add_test(tests, a_state_with_an_impossible_queue);
    tcase_add_test(tests, takes_abuse);
    tcase_add_test(tests, takes_drivers_gone_wild);
    tcase_add_test(tests, images_that_are_no_disks);
    tcase_add_test(tests, a_disk_that_shrinks_meanwhile);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return tap_run(make_suite());
}
