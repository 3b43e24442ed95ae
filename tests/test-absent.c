/*
 * Pages that are elsewhere: a machine whose memory comes page by page, each only after it was asked
 * for, computes what a machine computes that has all of it; its devices do, too; and nothing is
 * printed or counted twice.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/absent.h"
#include "cpu/isa.h"
#include "cpu/machine.h"
#include "tests/tap.h"
#include "tests/virtio-driver.h"

enum { MEMORY = 4 << 20, PAGES = MEMORY / RAM_PAGE, BASE = (int)0x80000000, SECTORS = 32 };
enum { BLOCK = 0x10001000, CONSOLE = 0x10003000, SECTOR = 512, STEPS = 4000 };

/* Where things lie, each on pages of its own. */
#define RINGS   0x80010000u /* the disk's */
#define HEADER  0x80020ff8u /* across two pages */
#define DATA    0x80030200u /* 16 sectors: three pages */
#define OUTCOME 0x80040000u
#define TALK    0x80050000u /* the console's rings */
#define TEXT    0x80060ffau /* across two pages */

static char path[] = "/tmp/vitrine-test-absent.XXXXXX";

/* Notifies both devices, then adds up what the disk has brought and counts, page after page. */
static const uint32_t program[] = {
    0x100012b7, /* lui  t0, 0x10001    the disk */
    0x10003337, /* lui  t1, 0x10003    the console */
    0x00100393, /* addi t2, zero, 1 */
    0x0402a823, /* sw   zero, 0x50(t0) notify queue 0 */
    0x04732823, /* sw   t2, 0x50(t1)   notify queue 1 */
    0x80030437, /* lui  s0, 0x80030 */
    0x800704b7, /* lui  s1, 0x80070 */
    0x00001937, /* lui  s2, 1 */
    0x00042503, /* again: lw a0, 0(s0) */
    0x00440413, /* addi s0, s0, 4 */
    0x00a585b3, /* add  a1, a1, a0 */
    0x00b4a023, /* sw   a1, 0(s1) */
    0x012484b3, /* add  s1, s1, s2 */
    0x800f0637, /* lui  a2, 0x800f0 */
    0xfec4c4e3, /* blt  s1, a2, again */
    0x800704b7, /* lui  s1, 0x80070 */
    0xfe1ff06f, /* j    again */
};

struct computer {
    struct machine *machine;
    struct driver disk, console;
    char printed[64];
    size_t count;
};

static void print(void *context, const uint8_t *bytes, size_t count)
{
    struct computer *c = context;
    ck_assert_uint_le(c->count + count, sizeof c->printed);
    memcpy(c->printed + c->count, bytes, count);
    c->count += count;
}

static struct driver driver_of(struct machine *m, uint32_t base, uint64_t rings, unsigned queues)
{
    struct driver driver = {bus_find(&m->bus, base), ram_dma(&m->ram), rings, {0}};
    ck_assert_ptr_nonnull(driver.device);
    driver_start(&driver, queues);
    return driver;
}

/* A request to read 16 sectors, and a line to print, wait in the rings. */
static void fill_rings(struct computer *c)
{
    const struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {0, 0, 3};
    for (uint32_t at = DATA; at < DATA + 16 * SECTOR + RAM_PAGE; at += RAM_PAGE)
        driver_write(&c->disk, at, "x", 1); /* what is read is written over something */
    driver_write(&c->disk, OUTCOME, "x", 1);
    driver_write(&c->disk, HEADER, &header, sizeof header);
    driver_describe(&c->disk, 0, 0, HEADER, sizeof header, D_NEXT, 1);
    driver_describe(&c->disk, 0, 1, DATA, 16 * SECTOR, D_NEXT | D_WRITE, 2);
    driver_describe(&c->disk, 0, 2, OUTCOME, 1, D_WRITE, 0);
    driver_offer(&c->disk, 0, 0);
    driver_write(&c->console, TEXT, "hello, everybody", 16);
    driver_describe(&c->console, 1, 0, TEXT, 16, 0, 0);
    driver_offer(&c->console, 1, 0);
}

static void open_computer(struct computer *c, const char *engine)
{
    struct machine_config config;
    char why[MACHINE_ERROR] = "";
    *c = (struct computer){0};
    machine_config_init(&config);
    config.memory = MEMORY;
    config.disk = path;
    config.disk_readonly = true;
    config.virtio_console = true;
    config.console = print;
    config.console_context = c;
    config.engine = engine_find(engine);
    c->machine = machine_new(&config, why);
    ck_assert_msg(c->machine != NULL, "%s", why);
    ck_assert(ram_write(&c->machine->ram, (uint32_t)BASE, program, sizeof program));
    c->disk = driver_of(c->machine, BLOCK, RINGS, 1);
    c->console = driver_of(c->machine, CONSOLE, TALK, 2);
    fill_rings(c);
}

static void make_disk(void)
{
    uint8_t sector[SECTOR];
    int fd = mkstemp(path);
    for (int i = 0; i < SECTORS; i++) {
        memset(sector, i + 1, sizeof sector);
        ck_assert_int_eq(write(fd, sector, sizeof sector), sizeof sector);
    }
    close(fd);
}

static void setup(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    make_disk();
}

static void teardown(void)
{
    unlink(path);
}

/* ---- memory that comes late ------------------------------------------------------------------ */

struct elsewhere {
    struct ram_absent absent;
    struct machine *machine;
    uint8_t *host[PAGES];
    uint8_t bytes[PAGES][RAM_PAGE];
    unsigned asked[PAGES];
    unsigned misses;
    bool runs;
};

/* The first time it is not here, the second time it is. */
static bool here(void *context, uint32_t page)
{
    struct elsewhere *e = context;
    if (e->runs && !e->asked[page]++) {
        e->misses++;
        machine_absent(e->machine, page);
        return false;
    }
    memcpy(e->host[page], e->bytes[page], RAM_PAGE);
    return true;
}

/* Every page that has content goes away; what was there is rubbish. */
static struct elsewhere *take_away(struct machine *m)
{
    struct elsewhere *e = calloc(1, sizeof *e);
    e->machine = m;
    e->absent = (struct ram_absent){e->host, here, e};
    for (int i = 0; i < PAGES; i++) {
        if (!m->ram.page[i])
            continue;
        e->host[i] = m->ram.page[i];
        memcpy(e->bytes[i], e->host[i], RAM_PAGE);
        memset(e->host[i], 0xee, RAM_PAGE);
        m->ram.page[i] = NULL;
    }
    m->ram.absent = &e->absent;
    mmu_flush(m);
    return e;
}

static void run_to(struct machine *m, uint64_t target, struct elsewhere *e)
{
    while (m->hart.executed < target) {
        uint64_t from = m->hart.executed;
        if (e)
            e->runs = true;
        enum stop_reason reason = machine_run(m, target - from);
        if (e)
            e->runs = false;
        ck_assert(reason == STOP_NONE || (e && reason == STOP_ABSENT));
        ck_assert(reason == STOP_NONE || m->hart.executed < target);
    }
}

static const char *const ENGINES[] = {"interp", "threaded", "auto"};

/* Check's loop index: which engine. */
START_TEST(test_same_as_whole)
{
    struct computer whole, late;
    open_computer(&whole, ENGINES[_i]);
    open_computer(&late, ENGINES[_i]);
    ck_assert_uint_eq(machine_digest(whole.machine), machine_digest(late.machine));
    struct elsewhere *e = take_away(late.machine);
    for (uint64_t target = 1; target <= STEPS; target += target < 40 ? 1 : 500) {
        run_to(whole.machine, target, NULL);
        run_to(late.machine, target, e);
    }
    /* code; the disk's ring, header (two), data (three), outcome; the console's ring, text (two) */
    ck_assert_uint_ge(e->misses, 11);
    ck_assert_uint_eq(whole.count, 16);
    ck_assert_uint_eq(late.count, 16);
    ck_assert(memcmp(whole.printed, late.printed, 16) == 0);
    ck_assert_uint_eq(driver_used(&whole.disk, 0), 1);
    ck_assert_uint_eq(machine_digest(whole.machine), machine_digest(late.machine));
    machine_free(whole.machine);
    machine_free(late.machine);
    free(e);
}
END_TEST

/* ---- who looks ---------------------------------------------------------------------------------
 */

static bool never(void *context, uint32_t page)
{
    return false;
}

/* What does not come is not taken for zeros. */
START_TEST(test_lost_page)
{
    struct ram ram;
    uint8_t *host[16] = {0}, byte = 7;
    struct ram_absent absent = {host, never, NULL};
    struct digest with, without;
    ck_assert_int_eq(ram_init(&ram, (uint32_t)BASE, 16 * RAM_PAGE), 0);
    digest_init(&without);
    ram_digest(&ram, &without);
    host[3] = ram.mapping + 3 * RAM_PAGE;
    ram.absent = &absent;
    uint32_t at = (uint32_t)BASE + 3 * RAM_PAGE;
    ck_assert(ram_is_absent(&ram, at + 5));
    ck_assert(!ram_is_absent(&ram, at - 1));
    ck_assert_ptr_null(ram_page(&ram, at));
    ck_assert_ptr_null(ram_peek(&ram, at));
    ck_assert(!ram_read(&ram, at, &byte, 1));
    ck_assert(!ram_write(&ram, at, &byte, 1));
    ck_assert(ram_read(&ram, at - 1, &byte, 1));
    ck_assert_uint_eq(byte, 0);
    digest_init(&with);
    ram_digest(&ram, &with);
    ck_assert_uint_ne(with.value, without.value);
    ram_free(&ram);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("absent");
    TCase *machines = tcase_create("machines"), *pages = tcase_create("pages");
    tcase_add_checked_fixture(machines, setup, teardown);
    tcase_add_loop_test(machines, test_same_as_whole, 0, sizeof ENGINES / sizeof *ENGINES);
    suite_add_tcase(suite, machines);
    tcase_add_test(pages, test_lost_page);
    suite_add_tcase(suite, pages);
    return tap_run(suite);
}
