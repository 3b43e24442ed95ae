/* Virtio's console, entropy device and balloon, on the memory of both computers; and what devices
 * can do that answer later. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/dev/virtio-balloon.h"
#include "cpu/dev/virtio-console.h"
#include "cpu/dev/virtio-rng.h"
#include "cpu/ram.h"
#ifdef HAVE_KVM
#include "hv/kvm/memory.h"
#endif
#include "tests/tap.h"
#include "tests/virtio-driver.h"

enum { MEMORY = 16 << 20, PAGE = 4096 };

/* ---- two kinds of memory ------------------------------------------------------------------ */

/* Every test runs on each: the simulated computer's RAM, a KVM guest's memory, and the same after a
 * snapshot has made it private. */
enum memory_kind { OF_RAM, OF_KVM, OF_KVM_FROZEN };

#ifdef HAVE_KVM
enum { KINDS = 3 };
static struct kvm_memory kvm_memory;

static void freeze(void)
{
    void *at = mmap(kvm_memory.host, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                    kvm_memory.fd, 0);
    ck_assert(at == kvm_memory.host);
    kvm_memory.frozen = true;
}

static struct dma other_memory(bool frozen)
{
    ck_assert_int_eq(kvm_memory_init(&kvm_memory, MEMORY), 0);
    kvm_memory.written = calloc(MEMORY / PAGE / 64, sizeof *kvm_memory.written);
    if (frozen)
        freeze();
    return kvm_memory_dma(&kvm_memory);
}

static void free_other(void)
{
    kvm_memory_free(&kvm_memory);
}
#else
enum { KINDS = 1 };

static struct dma other_memory(bool frozen)
{
    return (struct dma){0};
}

static void free_other(void) {}
#endif

static struct ram ram;
static struct wire wire;
static struct driver driver;
static uint64_t base; /* of the memory */
static int kind;

static void use_memory(int memory_kind)
{
    kind = memory_kind;
    wire = (struct wire){0};
    driver = (struct driver){0};
    base = kind == OF_RAM ? 0x80000000u : 0;
    if (kind == OF_RAM)
        ck_assert_int_eq(ram_init(&ram, (uint32_t)base, MEMORY), 0);
    driver.dma = kind == OF_RAM ? ram_dma(&ram) : other_memory(kind == OF_KVM_FROZEN);
    driver.rings = base + 0x10000;
}

static void drop_memory(void)
{
    if (kind == OF_RAM)
        ram_free(&ram);
    else
        free_other();
}

#define DATA (base + 0x20000)

static void fill(uint64_t at, int byte, size_t count)
{
    uint8_t bytes[PAGE];
    memset(bytes, byte, sizeof bytes);
    for (size_t done = 0; done < count; done += PAGE)
        driver_write(&driver, at + done, bytes, count - done < PAGE ? count - done : PAGE);
}

static uint8_t byte_at(uint64_t at)
{
    uint8_t byte;
    driver_read(&driver, at, &byte, 1);
    return byte;
}

START_TEST(memory_is_guarded)
{
    uint8_t bytes[16];
    const struct dma *d = &driver.dma;
    use_memory(_i);
    static const uint64_t outside[] = {MEMORY,          MEMORY - 15, UINT64_MAX,
                                       UINT64_MAX - 15, 1ull << 32,  1ull << 63};
    for (unsigned i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        ck_assert(!dma_read(d, base + outside[i], bytes, sizeof bytes));
        ck_assert(!dma_write(d, base + outside[i], bytes, sizeof bytes));
    }
    ck_assert(!dma_discard(d, base + MEMORY, PAGE));
    ck_assert(!dma_discard(d, base + MEMORY - PAGE, 2 * PAGE));
    ck_assert(!dma_discard(d, base + 1, PAGE));
    ck_assert(!dma_discard(d, base, 1));
    ck_assert(!dma_discard(d, base + PAGE, UINT64_MAX - PAGE + 1));
    ck_assert(!dma_discard(d, (uint64_t)-PAGE, PAGE));
    drop_memory();
}
END_TEST

/* What is there before and after is not touched, whatever the pages were. */
START_TEST(discarded_pages_read_as_zero)
{
    use_memory(_i);
    fill(DATA, 'x', 4 * PAGE);
#ifdef HAVE_KVM
    if (kind == OF_KVM) { /* now those of the first half are in the frozen file, the rest is not */
        freeze();
        memset(kvm_memory.written, 0, MEMORY / PAGE / 8);
        fill(DATA + 2 * PAGE, 'y', 2 * PAGE);
    }
#endif
    ck_assert(dma_discard(&driver.dma, DATA + PAGE, 2 * PAGE));
    ck_assert(dma_discard(&driver.dma, DATA + 64 * PAGE, 3 * PAGE)); /* never touched */
    for (int i = 0; i < PAGE; i += 512) {
        ck_assert_int_eq(byte_at(DATA + PAGE + (unsigned)i), 0);
        ck_assert_int_eq(byte_at(DATA + 2 * PAGE + (unsigned)i), 0);
    }
    ck_assert_int_eq(byte_at(DATA + PAGE - 1), 'x');
    ck_assert_int_ne(byte_at(DATA + 3 * PAGE), 0);
    fill(DATA + PAGE, 'z', PAGE); /* and the page is there when it is used again */
    ck_assert_int_eq(byte_at(DATA + PAGE), 'z');
    drop_memory();
}
END_TEST

#ifdef HAVE_KVM
/* A snapshot must hear of it: the pages differ from what it froze. */
START_TEST(discarded_pages_count_as_written)
{
    use_memory(_i ? OF_KVM_FROZEN : OF_KVM);
    uint64_t page = (DATA - base) / PAGE;
    ck_assert(dma_discard(&driver.dma, DATA, PAGE));
    ck_assert(kvm_memory.written[page / 64] >> page % 64 & 1);
    ck_assert(!(kvm_memory.written[(page + 1) / 64] >> (page + 1) % 64 & 1));
    drop_memory();
}
END_TEST

START_TEST(discarded_memory_goes_back_to_the_host)
{
    use_memory(OF_KVM);
    fill(base + (1 << 20), 'x', 8 << 20);
    struct {
        uint64_t before, after;
    } at;
    off_t offset = (off_t)(1 << 20);
    at.before = (uint64_t)lseek(kvm_memory.fd, offset, SEEK_HOLE);
    ck_assert(dma_discard(&driver.dma, base + (1 << 20), 8 << 20));
    at.after = (uint64_t)lseek(kvm_memory.fd, offset, SEEK_HOLE);
    ck_assert_uint_ge(at.before, 9 << 20);
    ck_assert_uint_eq(at.after, 1 << 20);
    drop_memory();
}
END_TEST
#endif

/* ---- console ------------------------------------------------------------------------------ */

enum { RECEIVE, TRANSMIT };

static struct virtio_console *console;
static char printed[8192];
static size_t printed_count;

static void keep(void *context, const uint8_t *bytes, size_t count)
{
    ck_assert_ptr_eq(context, printed);
    if (count > sizeof printed - printed_count)
        count = sizeof printed - printed_count;
    memcpy(printed + printed_count, bytes, count);
    printed_count += count;
}

static void make_console(int memory_kind)
{
    use_memory(memory_kind);
    printed_count = 0;
    console = virtio_console_new(driver.dma, wire_line(&wire), keep, printed);
    ck_assert_ptr_nonnull(console);
    driver.device = virtio_console_device(console);
}

static void free_console(void)
{
    virtio_console_free(console);
    drop_memory();
}

static size_t type(const char *text)
{
    return virtio_console_input(console, (const uint8_t *)text, strlen(text));
}

START_TEST(console_says_what_it_is)
{
    make_console(_i);
    ck_assert_uint_eq(driver_get(&driver, REG_DEVICE_ID), 3);
    driver_put(&driver, REG_QUEUE_SEL, 1);
    ck_assert_uint_eq(driver_get(&driver, REG_QUEUE_NUM_MAX), VIRTIO_QUEUE_MAX);
    driver_put(&driver, REG_QUEUE_SEL, 2);
    ck_assert_uint_eq(driver_get(&driver, REG_QUEUE_NUM_MAX), 0);
    device_check_table(driver.device);
    free_console();
}
END_TEST

START_TEST(console_prints)
{
    make_console(_i);
    driver_start(&driver, 2);
    driver_write(&driver, DATA, "hello", 5);
    driver_send(&driver, TRANSMIT, DATA, 5, 0);
    ck_assert_mem_eq(printed, "hello", 5);
    ck_assert_uint_eq(printed_count, 5);
    ck_assert_uint_eq(driver_used(&driver, TRANSMIT), 1);
    ck_assert_uint_eq(driver_used_length(&driver, TRANSMIT, 0), 0);
    ck_assert(wire.level);
    fill(DATA, 'x', 5000);
    driver_send(&driver, TRANSMIT, DATA, 5000, 0);
    ck_assert_uint_eq(printed_count, 5005);
    ck_assert_int_eq(printed[5004], 'x');
    driver_send(&driver, TRANSMIT, DATA, 100, D_WRITE); /* nothing to print in it */
    driver_send(&driver, TRANSMIT, base + MEMORY - 4, 8, 0);
    ck_assert_uint_eq(printed_count, 5005);
    ck_assert_uint_eq(driver_used(&driver, TRANSMIT), 4);
    free_console();
}
END_TEST

START_TEST(console_waits_for_buffers)
{
    make_console(_i);
    ck_assert_uint_eq(type("lost"), 0);
    driver_start(&driver, 2);
    ck_assert_uint_eq(type("no buffer yet"), 0);
    driver_send(&driver, RECEIVE, DATA, 4, D_WRITE);
    driver_send(&driver, RECEIVE, DATA + 4, 16, D_WRITE);
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 0); /* they wait */
    ck_assert(!wire.level);
    ck_assert_uint_eq(type("hi"), 2);
    ck_assert(wire.level);
    ck_assert_uint_eq(driver_get(&driver, REG_INTERRUPT), 1);
    driver_put(&driver, REG_ACK, 1);
    ck_assert(!wire.level);
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 1);
    ck_assert_uint_eq(driver_used_length(&driver, RECEIVE, 0), 2);
    ck_assert_int_eq(byte_at(DATA), 'h');
    ck_assert_uint_eq(type("0123456789abcdefgh"), 16); /* as much as the second buffer holds */
    ck_assert_uint_eq(driver_used_length(&driver, RECEIVE, 1), 16);
    ck_assert_int_eq(byte_at(DATA + 19), 'f');
    ck_assert_uint_eq(type("gh"), 0);
    for (int i = 0; i < 70000; i++) { /* indices wrap */
        driver_send(&driver, RECEIVE, DATA, 1, D_WRITE);
        ck_assert_uint_eq(type("w"), 1);
    }
    driver_put(&driver, REG_STATUS, 0);
    ck_assert(!wire.level);
    ck_assert_uint_eq(type("lost"), 0);
    free_console();
}
END_TEST

START_TEST(console_spreads_input_over_buffers)
{
    make_console(_i);
    driver_start(&driver, 2);
    for (unsigned i = 0; i < 4; i++)
        driver_send(&driver, RECEIVE, DATA + i, 1, D_WRITE);
    driver_send(&driver, RECEIVE, DATA + 8, 0, D_WRITE); /* no room at all: used, empty */
    ck_assert_uint_eq(type("abcdef"), 4);
    ck_assert_uint_eq(driver_used(&driver, RECEIVE), 5);
    ck_assert_uint_eq(driver_used_length(&driver, RECEIVE, 4), 0);
    ck_assert_int_eq(byte_at(DATA + 3), 'd');
    free_console();
}
END_TEST

START_TEST(console_driver_may_want_no_interrupts)
{
    uint16_t no_interrupt = 1;
    make_console(_i);
    driver_start(&driver, 2);
    driver_write(&driver, driver.rings + RING_AVAILABLE, &no_interrupt, 2);
    driver_send(&driver, RECEIVE, DATA, 4, D_WRITE);
    ck_assert_uint_eq(type("hi"), 2);
    ck_assert(!wire.level);
    free_console();
}
END_TEST

/* Broken receive rings are found when something is typed: the wire goes up at that moment. */
START_TEST(console_gives_up_on_broken_receive_rings)
{
    make_console(_i);
    for (int n = 0; n < 3; n++) {
        uint16_t available = 1000;
        driver_start(&driver, 2);
        if (n == 0)
            driver_write(&driver, driver.rings + RING_AVAILABLE + 2, &available, 2);
        driver_describe(&driver, RECEIVE, 0, DATA, 8, D_NEXT | D_WRITE, 0); /* points to itself */
        if (n)
            driver_offer(&driver, RECEIVE, n == 1 ? 0 : 999);
        driver_notify(&driver, RECEIVE);
        ck_assert(!(driver_get(&driver, REG_STATUS) & S_NEEDS_RESET));
        ck_assert_uint_eq(type("x"), 0);
        ck_assert(driver_get(&driver, REG_STATUS) & S_NEEDS_RESET);
        ck_assert(wire.level);
        ck_assert_uint_eq(type("x"), 0);
        ck_assert_uint_eq(printed_count, 0);
    }
    free_console();
}
END_TEST

START_TEST(console_emergency_write)
{
    make_console(_i);
    device_put(driver.device, REG_CONFIG + 8, 4, 'e');
    device_put(driver.device, REG_CONFIG + 8, 1, 'w');
    device_put(driver.device, REG_CONFIG + 12, 4, 'n');
    device_put(driver.device, REG_CONFIG + 9, 1, 'n');
    device_put(driver.device, REG_CONFIG + 0xefc, 4, 'n');
    ck_assert_uint_eq(printed_count, 2);
    ck_assert_mem_eq(printed, "ew", 2);
    free_console();
}
END_TEST

static void poke_console(void *context)
{
    type("some text that is longer than many buffers are");
}

START_TEST(console_takes_abuse)
{
    make_console(_i);
    uint64_t fresh = device_digest(driver.device);
    ck_assert_uint_gt(driver_gone_wild(&driver, 2, 3000, poke_console, NULL), 100);
    driver_start(&driver, 2);
    device_abuse(driver.device, 50000);
    driver.device->ops->reset(driver.device->self);
    ck_assert_uint_eq(device_digest(driver.device), fresh);
    free_console();
}
END_TEST

/* ---- entropy ------------------------------------------------------------------------------ */

static struct virtio_rng *rng;

static void make_rng(int memory_kind, entropy_fn source, void *context, uint64_t seed)
{
    use_memory(memory_kind);
    rng = virtio_rng_new(driver.dma, wire_line(&wire), source, context, seed);
    ck_assert_ptr_nonnull(rng);
    driver.device = virtio_rng_device(rng);
}

static void free_rng(void)
{
    virtio_rng_free(rng);
    drop_memory();
}

static uint64_t draw(void)
{
    uint64_t number = 0;
    driver_send(&driver, 0, DATA, sizeof number, D_WRITE);
    driver_read(&driver, DATA, &number, sizeof number);
    return number;
}

START_TEST(rng_numbers_follow_from_the_seed)
{
    uint64_t first[4];
    make_rng(_i, NULL, NULL, 0);
    ck_assert_uint_eq(driver_get(&driver, REG_DEVICE_ID), 4);
    driver_start(&driver, 1);
    for (int i = 0; i < 4; i++)
        first[i] = draw();
    /* SplitMix64 from 0, as its authors' program prints it. */
    ck_assert_uint_eq(first[0], 0xe220a8397b1dcdaf);
    ck_assert_uint_eq(first[1], 0x6e789e6aa1b965f4);
    driver_start(&driver, 1);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_ne(draw(), first[i]); /* the driver's reset does not turn it back */
    driver.device->ops->reset(driver.device->self);
    driver_start(&driver, 1);
    ck_assert_uint_eq(draw(), first[0]); /* power-on does */
    free_rng();
    make_rng(_i, NULL, NULL, 1);
    driver_start(&driver, 1);
    ck_assert_uint_ne(draw(), first[0]);
    free_rng();
}
END_TEST

START_TEST(rng_state_is_saved)
{
    make_rng(_i, NULL, NULL, 7);
    driver_start(&driver, 1);
    draw();
    struct state_buffer saved = {0};
    size_t at = 0;
    ck_assert_int_eq(state_save(driver.device->more, &saved), 0);
    uint64_t next = draw();
    ck_assert_uint_ne(draw(), next);
    ck_assert_int_eq(state_load(driver.device->more, saved.bytes, saved.count, &at), 0);
    ck_assert_uint_eq(draw(), next);
    state_buffer_free(&saved);
    free_rng();
}
END_TEST

static size_t some_bytes(void *context, uint8_t *bytes, size_t count)
{
    size_t *left = context, got = count < *left ? count : *left;
    memset(bytes, 'r', got);
    *left -= got;
    return got;
}

START_TEST(rng_has_a_source)
{
    size_t left = 300;
    make_rng(_i, some_bytes, &left, 0);
    driver_start(&driver, 1);
    driver_send(&driver, 0, DATA, 200, D_WRITE);
    driver_send(&driver, 0, DATA, 200, D_WRITE); /* there are only 100 more */
    driver_send(&driver, 0, DATA, 200, D_WRITE);
    ck_assert_uint_eq(driver_used(&driver, 0), 3);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 0), 200);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 1), 100);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 2), 0);
    left = 1 << 20;
    driver_send(&driver, 0, DATA, 1 << 20, D_WRITE); /* no more than 4 KiB at once */
    driver_send(&driver, 0, DATA, 16, 0);            /* nothing to fill */
    driver_send(&driver, 0, base + MEMORY - 8, 16, D_WRITE);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 3), 4096);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 4), 0);
    ck_assert_uint_eq(driver_used_length(&driver, 0, 5), 0);
    ck_assert_uint_ge(left, (1 << 20) - 4096 - 16);
    free_rng();
}
END_TEST

START_TEST(rng_takes_abuse)
{
    make_rng(_i, NULL, NULL, 1);
    uint64_t fresh = device_digest(driver.device);
    device_check_table(driver.device);
    ck_assert_uint_gt(driver_gone_wild(&driver, 1, 3000, NULL, NULL), 100);
    driver_start(&driver, 1);
    device_abuse(driver.device, 50000);
    driver.device->ops->reset(driver.device->self);
    ck_assert_uint_eq(device_digest(driver.device), fresh);
    free_rng();
}
END_TEST

/* ---- balloon ------------------------------------------------------------------------------ */

enum { INFLATE, DEFLATE };
enum { NUM_PAGES = REG_CONFIG, ACTUAL = REG_CONFIG + 4 };

static struct virtio_balloon *balloon;

static void make_balloon(int memory_kind, uint32_t pages)
{
    use_memory(memory_kind);
    balloon = virtio_balloon_new(driver.dma, wire_line(&wire), pages);
    ck_assert_ptr_nonnull(balloon);
    driver.device = virtio_balloon_device(balloon);
}

static void free_balloon(void)
{
    virtio_balloon_free(balloon);
    drop_memory();
}

START_TEST(balloon_tells_what_the_host_wants)
{
    make_balloon(_i, 5);
    ck_assert_uint_eq(driver_get(&driver, REG_DEVICE_ID), 5);
    ck_assert_uint_eq(driver_get(&driver, NUM_PAGES), 5);
    uint32_t generation = driver_get(&driver, REG_GENERATION);
    virtio_balloon_set(balloon, 6); /* no driver: no interrupt, but the number is there */
    ck_assert(!wire.level);
    ck_assert_uint_eq(driver_get(&driver, NUM_PAGES), 6);
    ck_assert_uint_ne(driver_get(&driver, REG_GENERATION), generation);
    driver_start(&driver, 2);
    generation = driver_get(&driver, REG_GENERATION);
    virtio_balloon_set(balloon, 6); /* nothing new */
    ck_assert(!wire.level);
    ck_assert_uint_eq(driver_get(&driver, REG_GENERATION), generation);
    virtio_balloon_set(balloon, 7);
    ck_assert(wire.level);
    ck_assert_uint_eq(driver_get(&driver, REG_INTERRUPT), 2);
    ck_assert_uint_ne(driver_get(&driver, REG_GENERATION), generation);
    driver_put(&driver, REG_ACK, 2);
    ck_assert(!wire.level);
    virtio_balloon_set(balloon, 8);
    driver_put(&driver, REG_STATUS, 0);
    ck_assert(!wire.level);
    ck_assert_uint_eq(driver_get(&driver, NUM_PAGES), 8);
    driver_start(&driver, 2);
    virtio_balloon_set(balloon, 7);
    ck_assert(wire.level);
    driver.device->ops->reset(driver.device->self);
    ck_assert(!wire.level);
    ck_assert_uint_eq(driver_get(&driver, NUM_PAGES), 5); /* as at power-on */
    free_balloon();
}
END_TEST

START_TEST(balloon_hears_how_large_it_is)
{
    make_balloon(_i, 0);
    driver_put(&driver, ACTUAL, 3);
    ck_assert_uint_eq(driver_get(&driver, ACTUAL), 3);
    ck_assert_uint_eq(virtio_balloon_actual(balloon), 3);
    driver_put(&driver, NUM_PAGES, 9); /* the host's to set */
    device_put(driver.device, ACTUAL, 1, 9);
    device_put(driver.device, ACTUAL + 4, 4, 9);
    ck_assert_uint_eq(driver_get(&driver, NUM_PAGES), 0);
    ck_assert_uint_eq(virtio_balloon_actual(balloon), 3);
    driver_put(&driver, REG_STATUS, 0);
    ck_assert_uint_eq(virtio_balloon_actual(balloon), 0);
    free_balloon();
}
END_TEST

static void send_pages(unsigned q, const uint32_t *page, unsigned count)
{
    driver_write(&driver, DATA, page, count * sizeof *page);
    driver_send(&driver, q, DATA, count * (uint32_t)sizeof *page, 0);
}

/* The driver has seen one reason for the interrupt, and takes it back when there is another: a
 * controller that waits for edges gets a second one. */
START_TEST(each_reason_is_an_edge)
{
    make_balloon(_i, 0);
    driver_start(&driver, 2);
    unsigned before = wire.risen;
    const uint32_t page = (uint32_t)((base + (1 << 20)) / PAGE);
    send_pages(DEFLATE, &page, 1);
    ck_assert_uint_eq(driver_get(&driver, REG_INTERRUPT), 1);
    ck_assert_uint_eq(wire.risen, before + 1);
    virtio_balloon_set(balloon, 1);
    ck_assert_uint_eq(driver_get(&driver, REG_INTERRUPT), 3);
    ck_assert_uint_eq(wire.risen, before + 1);
    driver_put(&driver, REG_ACK, 1);
    ck_assert(wire.level);
    ck_assert_uint_eq(wire.risen, before + 2);
    driver_put(&driver, REG_ACK, 1); /* which is not there any more */
    ck_assert_uint_eq(wire.risen, before + 2);
    driver_put(&driver, REG_ACK, 2);
    ck_assert(!wire.level);
    ck_assert_uint_eq(wire.risen, before + 2);
    free_balloon();
}
END_TEST

START_TEST(balloon_takes_pages)
{
    make_balloon(_i, 4);
    uint32_t first = (uint32_t)((base + (1 << 20)) / PAGE);
    /* Neighbours, one from elsewhere, one that is no RAM, one twice, and one that is far away. */
    const uint32_t page[] = {first,     first + 1,  first + 9, first + MEMORY / PAGE,
                             first + 9, UINT32_MAX, first + 3};
    driver_start(&driver, 2);
    fill(base + (1 << 20), 'x', 16 * PAGE);
    send_pages(INFLATE, page, sizeof page / sizeof page[0]);
    ck_assert_uint_eq(driver_used(&driver, INFLATE), 1);
    ck_assert(wire.level);
    for (uint32_t i = 0; i < 16; i++) {
        bool taken = i == 0 || i == 1 || i == 3 || i == 9;
        ck_assert_int_eq(byte_at(base + (1 << 20) + i * PAGE), taken ? 0 : 'x');
        ck_assert_int_eq(byte_at(base + (1 << 20) + i * PAGE + PAGE - 1), taken ? 0 : 'x');
    }
    send_pages(DEFLATE, page, 1); /* is answered, and changes nothing */
    ck_assert_uint_eq(driver_used(&driver, DEFLATE), 1);
    fill(base + (1 << 20), 'y', PAGE);
    ck_assert_int_eq(byte_at(base + (1 << 20)), 'y');
    free_balloon();
}
END_TEST

START_TEST(balloon_takes_only_so_many_at_once)
{
    static uint32_t page[2048];
    make_balloon(_i, 0);
    for (uint32_t i = 0; i < 2048; i++)
        page[i] = (uint32_t)((base + (8 << 20)) / PAGE) + i;
    fill(base + (8 << 20), 'x', 8 << 20);
    driver_start(&driver, 2);
    send_pages(INFLATE, page, 2048);
    ck_assert_int_eq(byte_at(base + (8 << 20) + 255 * PAGE), 0);
    ck_assert_int_eq(byte_at(base + (8 << 20) + 256 * PAGE), 'x');
    driver_send(&driver, INFLATE, DATA, 7, 0); /* one number and three bytes of another */
    driver_send(&driver, INFLATE, base + MEMORY - 2, 4, 0);
    driver_send(&driver, INFLATE, DATA, 4, D_WRITE);
    ck_assert_uint_eq(driver_used(&driver, INFLATE), 4);
    free_balloon();
}
END_TEST

/* It may even take the rings away: they are zero then, and nothing is available. */
START_TEST(balloon_takes_its_own_rings)
{
    make_balloon(_i, 0);
    uint32_t page = (uint32_t)(driver.rings / PAGE);
    driver_start(&driver, 2);
    send_pages(INFLATE, &page, 1);
    ck_assert(!(driver_get(&driver, REG_STATUS) & S_NEEDS_RESET));
    ck_assert_uint_eq(driver_used(&driver, INFLATE), 1); /* counted from zero */
    driver_notify(&driver, INFLATE); /* the available index is behind what was taken */
    ck_assert(driver_get(&driver, REG_STATUS) & S_NEEDS_RESET);
    free_balloon();
}
END_TEST

static void poke_balloon(void *context)
{
    static uint32_t pages;
    virtio_balloon_set(balloon, pages++);
}

START_TEST(balloon_takes_abuse)
{
    make_balloon(_i, 0);
    uint64_t fresh = device_digest(driver.device);
    device_check_table(driver.device);
    ck_assert_uint_gt(driver_gone_wild(&driver, 2, 1000, poke_balloon, NULL), 100);
    driver_start(&driver, 2);
    device_abuse(driver.device, 50000);
    driver.device->ops->reset(driver.device->self);
    ck_assert_uint_eq(device_digest(driver.device), fresh);
    free_balloon();
}
END_TEST

/* An engine that has code of a page must hear that the page is zero now; see cpu/ram.h. */
static uint32_t stale_page;

static void note_stale(void *context, uint32_t index)
{
    stale_page = index;
}

START_TEST(ram_that_is_discarded_is_no_code_any_longer)
{
    make_balloon(OF_RAM, 0);
    uint32_t page = (uint32_t)((base + (1 << 20)) / PAGE);
    fill(base + (1 << 20), 'x', PAGE);
    ram.code->changed = note_stale;
    ram_derive(&ram, ram_peek(&ram, (uint32_t)base + (1 << 20)), 4);
    driver_start(&driver, 2);
    stale_page = 0;
    send_pages(INFLATE, &page, 1);
    ck_assert_uint_eq(stale_page, (1 << 20) / PAGE);
    free_balloon();
}
END_TEST

static Suite *make_suite(void)
{
    const TTest *const each[] = {
        memory_is_guarded,
        discarded_pages_read_as_zero,
        console_says_what_it_is,
        console_prints,
        console_waits_for_buffers,
        console_spreads_input_over_buffers,
        console_driver_may_want_no_interrupts,
        console_gives_up_on_broken_receive_rings,
        console_emergency_write,
        console_takes_abuse,
        rng_numbers_follow_from_the_seed,
        rng_state_is_saved,
        rng_has_a_source,
        rng_takes_abuse,
        balloon_tells_what_the_host_wants,
        balloon_hears_how_large_it_is,
        each_reason_is_an_edge,
        balloon_takes_pages,
        balloon_takes_only_so_many_at_once,
        balloon_takes_its_own_rings,
        balloon_takes_abuse,
    };
    Suite *suite = suite_create("virtio-devices");
    TCase *tests = tcase_create("virtio-devices");
    tcase_set_timeout(tests, 600);
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++)
        tcase_add_loop_test(tests, each[i], 0, KINDS);
#ifdef HAVE_KVM
    tcase_add_loop_test(tests, discarded_pages_count_as_written, 0, 2);
    tcase_add_test(tests, discarded_memory_goes_back_to_the_host);
#endif
    tcase_add_test(tests, ram_that_is_discarded_is_no_code_any_longer);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return tap_run(make_suite());
}
