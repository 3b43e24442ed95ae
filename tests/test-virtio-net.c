/* The virtio network device, driven as a guest's driver would, and as none should. */
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/virtio-net.h"
#include "cpu/ram.h"
#include "tests/tap.h"
#include "tests/virtio-driver.h"

enum { RECEIVE, TRANSMIT, QUEUES };
enum { MEMORY = 16 << 20, HEADER = 12, FRAME = 60 };
#define BASE 0x80000000u
#define DATA (BASE + 0x20000u)
#define END  (BASE + MEMORY)

static struct ram ram;
static struct wire wire;
static struct driver driver;
static struct virtio_net *net;

static struct {
    uint8_t bytes[VIRTIO_NET_FRAME_MAX];
    size_t size;
    unsigned count, ready;
} sent;

static void on_send(void *context, const uint8_t *frame, size_t size)
{
    ck_assert_ptr_eq(context, &sent);
    ck_assert(size >= VIRTIO_NET_FRAME_MIN && size <= VIRTIO_NET_FRAME_MAX);
    memcpy(sent.bytes, frame, size);
    sent.size = size;
    sent.count++;
}

static void on_ready(void *context)
{
    sent.ready++;
}

static const struct virtio_net_config CONFIG = {
    .mac = {2, 3, 4, 5, 6, 7}, .send = on_send, .ready = on_ready, .context = &sent};

static void make(const struct virtio_net_config *config)
{
    net = virtio_net_new(driver.dma, wire_line(&wire), config);
    ck_assert_ptr_nonnull(net);
    driver.device = virtio_net_device(net);
}

static void setup(void)
{
    memset(&sent, 0, sizeof sent);
    wire = (struct wire){0};
    ck_assert_int_eq(ram_init(&ram, BASE, MEMORY), 0);
    driver = (struct driver){.dma = ram_dma(&ram), .rings = BASE + 0x10000};
    make(&CONFIG);
}

static void teardown(void)
{
    virtio_net_free(net);
    ram_free(&ram);
}

static const uint8_t *sample(void)
{
    static uint8_t frame[VIRTIO_NET_FRAME_MAX];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(i * 7 + 1);
    return frame;
}

static struct virtio_net_counts counts(void)
{
    return virtio_net_counts(net);
}

/* ---- what it is ------------------------------------------------------------------------------ */

START_TEST(says_what_it_is)
{
    device_check_table(driver.device);
    ck_assert_uint_eq(driver_get(&driver, REG_DEVICE_ID), 1);
    driver_put(&driver, REG_FEATURES_SEL, 0);
    ck_assert_uint_eq(driver_get(&driver, REG_FEATURES), 1u << 5 | 1u << 16 | 1u << 28); /* MAC, STATUS */
    for (unsigned i = 0; i < VIRTIO_NET_MAC; i++)
        ck_assert_uint_eq(device_get(driver.device, REG_CONFIG + i, 1), CONFIG.mac[i]);
    ck_assert_uint_eq(device_get(driver.device, REG_CONFIG + 6, 2), 1); /* link up */
}
END_TEST

/* ---- sending -------------------------------------------------------------------------------- */

static void put_frame(uint64_t at, const void *header, const void *frame, size_t size)
{
    static const uint8_t none[HEADER];
    driver_write(&driver, at, header ? header : none, HEADER);
    driver_write(&driver, at + HEADER, frame, size);
}

static const size_t sizes[] = {VIRTIO_NET_FRAME_MIN, FRAME, VIRTIO_NET_FRAME_MAX};

START_TEST(sends)
{
    size_t size = sizes[_i];
    driver_start(&driver, QUEUES);
    put_frame(DATA, NULL, sample(), size);
    driver_send(&driver, TRANSMIT, DATA, (uint32_t)(HEADER + size), 0);
    ck_assert_uint_eq(sent.count, 1);
    ck_assert_uint_eq(sent.size, size);
    ck_assert_mem_eq(sent.bytes, sample(), size);
    ck_assert_uint_eq(driver_used(&driver, TRANSMIT), 1);
    ck_assert_uint_eq(driver_used_length(&driver, TRANSMIT, 0), 0);
    ck_assert(wire.level);
    ck_assert_uint_eq(counts().sent, 1);
}
END_TEST

/* Header and frame may be cut anywhere, section 2.6.4.1 */
START_TEST(sends_what_is_in_pieces)
{
    driver_start(&driver, QUEUES);
    put_frame(DATA, NULL, sample(), FRAME);
    for (uint32_t cut = 1; cut < HEADER + FRAME; cut++) {
        uint16_t n = driver.available[TRANSMIT] % QUEUE_SIZE, next = (n + 1) % QUEUE_SIZE;
        driver_describe(&driver, TRANSMIT, n, DATA, cut, D_NEXT, next);
        driver_describe(&driver, TRANSMIT, next, DATA + cut, HEADER + FRAME - cut, 0, 0);
        driver_offer(&driver, TRANSMIT, n);
        driver_notify(&driver, TRANSMIT);
        ck_assert_uint_eq(sent.count, cut);
        ck_assert_uint_eq(sent.size, FRAME);
        ck_assert_mem_eq(sent.bytes, sample(), FRAME);
    }
}
END_TEST

static const struct {
    const char *what;
    uint32_t size; /* with the header */
    uint16_t flags;
    uint8_t header[2]; /* flags, gso_type */
    uint64_t at;
} bad_cases[] = {
    {"nothing", 0, 0, {0}, DATA},
    {"half a header", 6, 0, {0}, DATA},
    {"a header", HEADER, 0, {0}, DATA},
    {"too short", HEADER + VIRTIO_NET_FRAME_MIN - 1, 0, {0}, DATA},
    {"too long", HEADER + VIRTIO_NET_FRAME_MAX + 1, 0, {0}, DATA},
    {"far too long", 2 << 20, 0, {0}, DATA},
    {"a checksum to be made", HEADER + FRAME, 0, {1}, DATA},
    {"a segmentation to be made", HEADER + FRAME, 0, {0, 1}, DATA},
    {"a buffer to be written", HEADER + FRAME, D_WRITE, {0}, DATA},
    {"half outside memory", HEADER + FRAME, 0, {0}, END - 32},
    {"outside memory", HEADER + FRAME, 0, {0}, 0},
    {"the end of all addresses", HEADER + FRAME, 0, {0}, UINT64_MAX - 8},
};

START_TEST(frames_that_are_none_go_nowhere)
{
    uint8_t header[HEADER] = {bad_cases[_i].header[0], bad_cases[_i].header[1]};
    driver_start(&driver, QUEUES);
    put_frame(DATA, header, sample(), VIRTIO_NET_FRAME_MAX);
    driver_send(&driver, TRANSMIT, bad_cases[_i].at, bad_cases[_i].size, bad_cases[_i].flags);
    ck_assert_msg(sent.count == 0, "%s", bad_cases[_i].what);
    ck_assert_uint_eq(counts().bad, 1);
    ck_assert_uint_eq(driver_used(&driver, TRANSMIT), 1);
    /* And the next one does. */
    put_frame(DATA, NULL, sample(), FRAME);
    driver_send(&driver, TRANSMIT, DATA, HEADER + FRAME, 0);
    ck_assert_uint_eq(sent.count, 1);
}
END_TEST

START_TEST(a_cable_to_nowhere)
{
    virtio_net_free(net);
    make(&(struct virtio_net_config){.mac = {2}});
    driver_start(&driver, QUEUES);
    put_frame(DATA, NULL, sample(), FRAME);
    driver_send(&driver, TRANSMIT, DATA, HEADER + FRAME, 0);
    driver_send(&driver, RECEIVE, DATA, 2048, D_WRITE);
    ck_assert_uint_eq(driver_used(&driver, TRANSMIT), 1);
    ck_assert_uint_eq(counts().sent, 1);
}
END_TEST

/* ---- receiving ------------------------------------------------------------------------------ */

static void expect_frame(uint64_t at, size_t size)
{
    static const uint8_t header[HEADER] = {[10] = 1}; /* num_buffers */
    uint8_t got[HEADER + VIRTIO_NET_FRAME_MAX];
    driver_read(&driver, at, got, HEADER + size);
    ck_assert_mem_eq(got, header, HEADER);
    ck_assert_mem_eq(got + HEADER, sample(), size);
}

START_TEST(receives)
{
    size_t size = sizes[_i];
    driver_start(&driver, QUEUES);
    driver_send(&driver, RECEIVE, DATA, (uint32_t)(HEADER + size), D_WRITE);
    ck_assert_uint_eq(sent.ready, 1);
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 0);
    ck_assert(!wire.level);
    ck_assert(virtio_net_receive(net, sample(), size));
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 1);
    ck_assert_uint_eq(driver_used_length(&driver, RECEIVE, 0), HEADER + size);
    ck_assert(wire.level);
    expect_frame(DATA, size);
    ck_assert_uint_eq(counts().received, 1);
}
END_TEST

START_TEST(receives_into_pieces)
{
    driver_start(&driver, QUEUES);
    driver_describe(&driver, RECEIVE, 0, DATA + 4096, HEADER, D_NEXT | D_WRITE, 1);
    driver_describe(&driver, RECEIVE, 1, DATA + 4096 + HEADER, 7, D_NEXT | D_WRITE, 2);
    driver_describe(&driver, RECEIVE, 2, DATA + 4096 + HEADER + 7, 2000, D_WRITE, 0);
    driver_offer(&driver, RECEIVE, 0);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    ck_assert_uint_eq(driver_used_length(&driver, RECEIVE, 0), HEADER + FRAME);
    expect_frame(DATA + 4096, FRAME);
}
END_TEST

/* With no buffer a frame is to be offered again; without a driver it is gone. */
START_TEST(waits_for_buffers)
{
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    ck_assert_uint_eq(counts().dropped, 1);
    driver_start(&driver, QUEUES);
    ck_assert(!virtio_net_receive(net, sample(), FRAME));
    ck_assert_uint_eq(counts().dropped, 1);
    for (int i = 0; i < 3 * QUEUE_SIZE; i++) {
        driver_send(&driver, RECEIVE, DATA, 2048, D_WRITE);
        ck_assert_uint_eq(sent.ready, i + 1);
        ck_assert(virtio_net_receive(net, sample(), FRAME));
        ck_assert(!virtio_net_receive(net, sample(), FRAME));
    }
    ck_assert_uint_eq(counts().received, 3 * QUEUE_SIZE);
    driver_put(&driver, REG_STATUS, 0);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    ck_assert_uint_eq(counts().dropped, 2);
}
END_TEST

static const struct {
    const char *what;
    uint64_t at;
    uint32_t size;
    uint16_t flags;
} short_cases[] = {
    {"no room at all", DATA, 0, D_WRITE},
    {"room for the header only", DATA, HEADER, D_WRITE},
    {"a byte too little", DATA, HEADER + FRAME - 1, D_WRITE},
    {"a buffer to be read", DATA, 2048, 0},
    {"outside memory", 0, 2048, D_WRITE},
    {"half outside memory", END - 16, 2048, D_WRITE},
    {"the end of all addresses", UINT64_MAX - 8, 2048, D_WRITE},
};

START_TEST(buffers_that_are_none)
{
    driver_start(&driver, QUEUES);
    driver_send(&driver, RECEIVE, short_cases[_i].at, short_cases[_i].size, short_cases[_i].flags);
    driver_send(&driver, RECEIVE, DATA + 4096, 2048, D_WRITE);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    ck_assert_msg(counts().dropped == 1, "%s", short_cases[_i].what);
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 1);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    expect_frame(DATA + 4096, FRAME);
}
END_TEST

/* A chain that loops, and one that is not there: the device asks for a reset, and is as new then.
 */
START_TEST(broken_rings)
{
    driver_start(&driver, QUEUES);
    if (_i)
        driver_describe(&driver, RECEIVE, 0, DATA, 2048, D_WRITE | D_NEXT, 0);
    driver_offer(&driver, RECEIVE, _i ? 0 : QUEUE_SIZE);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    ck_assert_uint_ne(driver_get(&driver, REG_STATUS) & S_NEEDS_RESET, 0);
    ck_assert(wire.level);
    ck_assert_uint_eq(counts().dropped, 1);
    driver_start(&driver, QUEUES);
    driver_send(&driver, RECEIVE, DATA, 2048, D_WRITE);
    ck_assert(virtio_net_receive(net, sample(), FRAME));
    expect_frame(DATA, FRAME);
}
END_TEST

/* ---- rough handling ------------------------------------------------------------------------- */

static void poke(void *context)
{
    virtio_net_receive(net, sample(), VIRTIO_NET_FRAME_MAX);
}

START_TEST(takes_abuse)
{
    device_abuse(driver.device, 200000);
    ck_assert_uint_gt(driver_gone_wild(&driver, QUEUES, 3000, poke, NULL), 0);
    ck_assert_uint_gt(sent.count, 0);
    ck_assert_uint_gt(counts().received, 0);
    ck_assert_uint_gt(counts().bad, 0);
    ck_assert_uint_gt(counts().dropped, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-net");
    TCase *tests = tcase_create("virtio-net");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, says_what_it_is);
    tcase_add_loop_test(tests, sends, 0, ROWS(sizes));
    tcase_add_test(tests, sends_what_is_in_pieces);
    tcase_add_loop_test(tests, frames_that_are_none_go_nowhere, 0, ROWS(bad_cases));
    tcase_add_test(tests, a_cable_to_nowhere);
    tcase_add_loop_test(tests, receives, 0, ROWS(sizes));
    tcase_add_test(tests, receives_into_pieces);
    tcase_add_test(tests, waits_for_buffers);
    tcase_add_loop_test(tests, buffers_that_are_none, 0, ROWS(short_cases));
    tcase_add_loop_test(tests, broken_rings, 0, 2);
    tcase_add_test(tests, takes_abuse);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
