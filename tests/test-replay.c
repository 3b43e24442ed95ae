/*
 * Running backwards: whatever moment of the past one goes to, and however often, it is the moment
 * that there was. Random guests and a small system with a disk and somebody who types, in every
 * engine, bare and under the monitor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "cpu/isa.h"
#include "hv/session.h"
#include "tests/disk-writer.h"
#include "tests/random-elf.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

/* ---- guests --------------------------------------------------------------------------------- */

static char image[64], disk[64];

static void write_program(uint64_t seed, unsigned options)
{
    strcpy(image, "/tmp/test-replay-XXXXXX");
    ck_assert(random_elf_write(image, seed, options));
}

static char output[1 << 20];
static size_t printed;

static void print(void *context, const uint8_t *bytes, size_t count)
{
    if (count > sizeof output - printed)
        count = sizeof output - printed;
    memcpy(output + printed, bytes, count);
    printed += count;
}

static struct session *start(const char *path, const char *engine, enum session_under under,
                             uint64_t history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = path;
    config.engine = engine;
    config.under = under;
    config.memory = 16u << 20;
    config.history = history;
    config.output = print;
    config.disk = *disk ? disk : NULL;
    printed = 0;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

/* Check's loop index: engine and whether under the monitor. */
static int ways(void)
{
    int engines = 0;
    while (engine_at((unsigned)engines))
        engines++;
    return 2 * engines;
}

static struct session *start_way(int way, const char *path, uint64_t history)
{
    return start(path, engine_at((unsigned)way / 2)->name, way % 2 ? SESSION_HV : SESSION_BARE,
                 history);
}

static struct view_status wait_for(struct session *s, int failed)
{
    struct view_status status;
    ck_assert_int_eq(failed, 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    session_status(s, &status);
    return status;
}

/* ---- moments ----------------------------------------------------------------------------------
 */

/* All that can be asked of a moment. */
struct seen {
    uint64_t at, all, guest, exits, log, counts;
    size_t printed;
};

static void add(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x100000001b3u;
}

/* The newest exits, word by word, and the counts by reason. */
static void look_at_exits(struct session *s, struct seen *out)
{
    static struct view_exit list[64];
    static struct view_exit_stats stats;
    session_exit_stats(s, &stats);
    out->exits = stats.total;
    for (unsigned i = 0; i < stats.count; i++) {
        add(&out->counts, stats.by_reason[i].count);
        add(&out->counts, stats.by_reason[i].cost);
    }
    int count = session_exits(s, stats.total > 64 ? stats.total - 64 : 0, list, 64);
    for (int i = 0; i < count; i++) {
        add(&out->log, list[i].seq);
        add(&out->log, list[i].instruction);
        add(&out->log, list[i].pc);
        for (const char *c = list[i].action; *c; c++)
            add(&out->log, (uint8_t)*c);
    }
}

static struct seen look(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    struct seen seen = {.at = status.instructions,
                        .all = session_digest_all(s),
                        .guest = session_digest(s),
                        .printed = printed};
    look_at_exits(s, &seen);
    return seen;
}

static void check_seen(struct session *s, const struct seen *then)
{
    struct seen now = look(s);
    ck_assert_uint_eq(now.at, then->at);
    ck_assert_msg(now.guest == then->guest, "the guest differs at %llu",
                  (unsigned long long)then->at);
    ck_assert_msg(now.all == then->all, "the monitor differs at %llu",
                  (unsigned long long)then->at);
    ck_assert_uint_eq(now.exits, then->exits);
    ck_assert(now.counts == then->counts);
    ck_assert(now.log == then->log);
}

enum { MOMENTS = 60 };

/* Runs in steps of random length, and takes down what is there after each. */
static int run_along(struct session *s, struct seen *seen, uint64_t *seed, uint32_t most,
                     void (*between)(struct session *s, uint64_t *seed))
{
    int count = 0;
    seen[count++] = look(s);
    while (count < MOMENTS) {
        uint32_t length = random_below(seed, 3) ? most : 40;
        if (between)
            between(s, seed);
        struct view_status status = wait_for(s, session_step(s, 1 + random_below(seed, length)));
        if (status.stop == STOPPED_IDLE && between) { /* it wants something to be typed */
            session_input(s, (const uint8_t *)"ps\n", 3);
            continue;
        }
        if (status.stop != STOPPED_STEP)
            break;
        seen[count++] = look(s);
    }
    return count;
}

/* Goes there and back again at random. */
static void visit(struct session *s, const struct seen *seen, int count, uint64_t *seed, int visits)
{
    size_t before = printed;
    for (int n = 0; n < visits; n++) {
        const struct seen *to = &seen[random_below(seed, (uint32_t)count)];
        struct view_status status;
        session_status(s, &status);
        if (to->at < status.instructions && random_below(seed, 2))
            status = wait_for(s, session_step_back(s, status.instructions - to->at));
        else if (to->at > status.instructions && random_below(seed, 2))
            status = wait_for(s, session_step(s, to->at - status.instructions));
        else
            status = wait_for(s, session_goto(s, to->at));
        ck_assert_int_eq(status.state, SESSION_STOPPED);
        check_seen(s, to);
    }
    ck_assert_uint_eq(printed, before); /* nothing is printed twice */
}

/* ---- tests ------------------------------------------------------------------------------------
 */

START_TEST(test_random_guests)
{
    static struct seen seen[MOMENTS];
    *disk = 0;
    for (uint64_t n = 0, done = 0; done < 5; n++) {
        uint64_t seed = (uint64_t)_i * 100 + n + 1;
        write_program(seed, n % 3 == 2 ? PROGRAM_LONG : 0);
        struct session *s = start_way(_i, image, 64u << 20);
        int count = run_along(s, seen, &seed, n % 2 ? 2000 : 100000, NULL);
        if (count > 10) { /* else it has soon fallen asleep */
            visit(s, seen, count, &seed, 40);
            done++;
        }
        session_free(s);
        unlink(image);
    }
}
END_TEST

static char minios[512], rom[512];

static void find_minios(void)
{
    const char *top = getenv("top_builddir");
    snprintf(minios, sizeof minios, "%s/samples/minios/minios.elf", top ? top : ".");
    snprintf(rom, sizeof rom, "%s/samples/minios/fs.img", top ? top : ".");
}

static void copy_disk(void)
{
    static char bytes[1 << 22];
    FILE *from = fopen(rom, "r");
    ck_assert_msg(from != NULL, "%s", rom);
    size_t count = fread(bytes, 1, sizeof bytes, from);
    fclose(from);
    strcpy(disk, "/tmp/test-replay-disk-XXXXXX");
    int fd = mkstemp(disk);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static uint64_t disk_hash(void)
{
    uint64_t hash = 1;
    int c;
    FILE *file = fopen(disk, "r");
    ck_assert_ptr_nonnull(file);
    while ((c = getc(file)) != EOF)
        add(&hash, (uint64_t)c);
    fclose(file);
    return hash;
}

static void type_something(struct session *s, uint64_t *seed)
{
    static const char *const lines[] = {
        "ls\n", "echo hello > note\n", "cat note\n", "cat README\n", "echo again > note\n", "ps\n",
        "\n"};
    const char *line = lines[random_below(seed, sizeof lines / sizeof *lines)];
    if (random_below(seed, 3) == 0)
        session_input(s, (const uint8_t *)line, strlen(line));
}

/* A system with timers, a disk and a shell. */
START_TEST(test_minios)
{
    static struct seen seen[MOMENTS];
    uint64_t seed = (uint64_t)_i + 77;
    find_minios();
    copy_disk();
    uint64_t hash = disk_hash();
    struct session *s = start_way(_i, minios, 64u << 20);
    int count = run_along(s, seen, &seed, 1500000, type_something);
    ck_assert_int_gt(count, 10);
    visit(s, seen, count, &seed, 30);
    ck_assert(disk_hash() == hash); /* written blocks are in memory */
    session_free(s);
    unlink(disk);
}
END_TEST

/* ---- small guests, put together here ----------------------------------------------------------
 */

#define UART   0x10000000u

/* Counts in S0, stores the count at GUEST_DATA, prints a dot, asks the firmware something; for
 * ever. If it finds something typed it adds that to the count. */
enum { LOOP = 3, STORE = LOOP + 1 };

static void make_counter(void)
{
    guest_begin();
    guest_lui(T0, GUEST_DATA);
    guest_lui(T1, UART);
    guest_i(OP_addi, S0, 0, 0);
    guest_i(OP_addi, S0, S0, 1);   /* LOOP */
    guest_store(OP_sw, T0, S0, 0); /* STORE */
    guest_i(OP_addi, T2, 0, '.');
    guest_store(OP_sb, T1, T2, 0);
    guest_i(OP_addi, A7, 0, 0x10); /* SBI base */
    guest_i(OP_addi, A6, 0, 0);
    guest_word(isa_rows[OP_ecall].match);
    guest_i(OP_lbu, T2, T1, 5); /* LSR: is there something? */
    guest_i(OP_andi, T2, T2, 1);
    guest_branch(OP_beq, T2, 0, LOOP);
    guest_i(OP_lbu, T2, T1, 0);
    guest_r(OP_add, S0, S0, T2);
    guest_jump(LOOP);
    guest_write(image);
}

/* Writes its count to 64 pages in turn, and to 4096 now and then; for ever. */
static void make_writer(void)
{
    enum { AGAIN = 4, NEXT = 6, FAR = 12, FAR_NEXT = 14 };
    guest_begin();
    guest_lui(S1, 0x80600000);
    guest_lui(A0, 0x1000);
    guest_lui(A6, 0x80640000);
    guest_lui(A7, 0x81000000);
    guest_i(OP_addi, S0, S0, 1); /* AGAIN */
    guest_r(OP_add, T0, S1, 0);
    guest_store(OP_sw, T0, S0, 16); /* NEXT */
    guest_r(OP_add, T0, T0, A0);
    guest_branch(OP_bne, T0, A6, NEXT);
    guest_i(OP_slli, T1, S0, 19);
    guest_branch(OP_bne, T1, 0, AGAIN);
    guest_r(OP_add, T0, S1, 0);
    guest_store(OP_sw, T0, S0, 32); /* FAR */
    guest_r(OP_add, T0, T0, A0);
    guest_branch(OP_bne, T0, A7, FAR);
    guest_jump(AGAIN);
    guest_write(image);
}

static struct session *start_counter(int under)
{
    *disk = 0;
    make_counter();
    return start(image, "auto", under ? SESSION_HV : SESSION_BARE, 64u << 20);
}

static void finish(struct session *s)
{
    session_free(s);
    unlink(image);
}

static uint32_t reg(struct session *s, int number)
{
    static struct view_hart hart;
    struct view_status status;
    session_status(s, &status);
    session_view_hart(s, status.under_monitor ? VIEW_VIRTUAL : VIEW_REAL, &hart);
    return number == 32 ? (uint32_t)hart.pc : hart.x[number];
}

static uint32_t word_at(struct session *s, uint32_t address)
{
    static struct view_memory memory;
    uint32_t word;
    session_view_memory(s, false, address, 4, &memory);
    memcpy(&word, memory.data, 4);
    return word;
}

/* ---- what was written to a disk -----------------------------------------------------------------
 */

/* Sector n has the newest count that is n modulo 64, or one 64 less if that is being written. */
static void check_disk(uint32_t count)
{
    uint32_t wrong = 0;
    FILE *file = fopen(disk, "r");
    ck_assert_ptr_nonnull(file);
    for (uint32_t n = 0; n < 64; n++) {
        uint32_t found = 0, newest = count - (count - n) % 64;
        fseek(file, (long)n * 512, SEEK_SET);
        ck_assert_uint_eq(fread(&found, 4, 1, file), 1);
        wrong += newest != found && !(newest == count && found + 64 == count);
    }
    fclose(file);
    ck_assert_uint_eq(wrong, 0);
}

static void make_disk(void)
{
    strcpy(disk, "/tmp/test-replay-disk-XXXXXX");
    int fd = mkstemp(disk);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 64 * 512), 0);
    close(fd);
}

/* The file becomes what the disk was at the moment at which the guest stands when it is written. */
START_TEST(test_disk)
{
    char why[SESSION_ERROR];
    make_disk();
    guest_disk_writer(image);
    uint64_t empty = disk_hash();
    struct session *s = start_way(_i, image, 64u << 20);
    wait_for(s, session_step(s, 2000000));
    uint32_t late = reg(s, S0);
    wait_for(s, session_goto(s, 1300000));
    uint32_t early = reg(s, S0);
    ck_assert_uint_gt(early, 1000);
    ck_assert_uint_lt(early, late);
    ck_assert(disk_hash() == empty);
    ck_assert_int_eq(session_write_disk(s, why), 0);
    check_disk(early);
    ck_assert_int_eq(session_step_back(s, 1), -ENOTSUP);
    wait_for(s, session_step(s, 700000));
    ck_assert_uint_eq(reg(s, S0), late);
    finish(s);
    check_disk(late);
    unlink(disk);
    *disk = 0;
}
END_TEST

START_TEST(test_discarded_disk)
{
    struct session_config config;
    char why[SESSION_ERROR];
    make_disk();
    guest_disk_writer(image);
    uint64_t empty = disk_hash();
    session_config_init(&config);
    config.image = image;
    config.disk = disk;
    config.disk_discard = true;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    wait_for(s, session_step(s, 100000));
    finish(s);
    ck_assert(disk_hash() == empty);
    unlink(disk);
    *disk = 0;
}
END_TEST

/* ---- what the fastest engine writes -------------------------------------------------------------
 */

/* By the translator's windows: what it writes to a page that was frozen must be heard of. */
START_TEST(test_fast_writes)
{
    enum { KEEP = 20 };
    static struct seen seen[KEEP];
    int id[KEEP];
    uint64_t seed = 9;
    char why[SESSION_ERROR];
    *disk = 0;
    make_writer();
    struct session *s = start(image, "auto", _i ? SESSION_HV : SESSION_BARE, 0);
    wait_for(s, session_step(s, 5000000));
    for (int n = 0; n < KEEP; n++) {
        wait_for(s, session_step(s, 1 + random_below(&seed, n % 3 ? 3000000 : 300)));
        seen[n] = look(s);
        id[n] = session_snapshot(s, "", why);
        ck_assert_int_gt(id[n], 0);
    }
    for (int n = 0; n < 60; n++) {
        uint32_t at = random_below(&seed, KEEP);
        wait_for(s, session_step(s, 1 + random_below(&seed, n % 4 ? 1000 : 3000000)));
        ck_assert_int_eq(session_restore(s, id[at], why), 0);
        check_seen(s, &seen[at]);
    }
    finish(s);
}
END_TEST

/* So many of a debugger's writes that the beginning of what is recorded has to go. */
START_TEST(test_many_writes)
{
    struct view_history history;
    struct session *s = start_counter(_i);
    for (int n = 0; n < 2200; n++) {
        wait_for(s, session_step(s, 1));
        ck_assert_int_eq(session_write_register(s, 27, (uint32_t)n), 0);
    }
    session_view_history(s, &history);
    ck_assert(history.present);
    ck_assert_uint_gt(history.first, 0);
    wait_for(s, session_goto(s, 2000));
    ck_assert_uint_eq(reg(s, 27), 1999);
    ck_assert_int_eq(wait_for(s, session_goto(s, 1)).stop, STOPPED_BEGINNING);
    ck_assert_uint_eq(reg(s, 27), (uint32_t)history.first - 1);
    finish(s);
}
END_TEST

/* ---- to a stop ----------------------------------------------------------------------------------
 */

enum { STOPS = 40 };

static int add_break(struct session *s, unsigned kind, uint32_t address)
{
    struct session_break wanted = {.kind = kind, .address = address, .length = 4};
    int id = session_break_add(s, &wanted);
    ck_assert_int_gt(id, 0);
    return id;
}

/* The stops of a run, from the last to the first, and then the beginning. */
START_TEST(test_back_to_breakpoints)
{
    static struct seen stop[STOPS];
    struct session *s = start_counter(_i);
    add_break(s, BREAK_EXECUTE, GUEST_BASE + 4 * STORE);
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(wait_for(s, session_run(s)).stop, STOPPED_BREAKPOINT);
        stop[n] = look(s);
        ck_assert_uint_eq(reg(s, S0), (uint32_t)n + 1);
    }
    for (int n = STOPS - 2; n >= 0; n--) {
        struct view_status status = wait_for(s, session_run_back(s, BACK_POINT, false, 0, 0));
        ck_assert_int_eq(status.stop, STOPPED_BREAKPOINT);
        ck_assert_uint_eq(reg(s, 32), GUEST_BASE + 4 * STORE);
        ck_assert_uint_eq(status.instructions, stop[n].at);
        ck_assert(session_digest(s) == stop[n].guest);
    }
    ck_assert_int_eq(wait_for(s, session_run_back(s, BACK_POINT, false, 0, 0)).stop,
                     STOPPED_BEGINNING);
    ck_assert_uint_eq(look(s).at, 0);
    /* And forward again: the same stops. */
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(wait_for(s, session_run(s)).stop, STOPPED_BREAKPOINT);
        check_seen(s, &(struct seen){stop[n].at, stop[n].all, stop[n].guest, stop[n].exits,
                                     stop[n].log, stop[n].counts, 0});
    }
    finish(s);
}
END_TEST

/* Far back, over many checkpoints. */
START_TEST(test_who_wrote)
{
    struct session *s = start_counter(_i);
    wait_for(s, session_step(s, 3000000));
    uint32_t written = word_at(s, GUEST_DATA);
    struct view_status status = wait_for(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA, 4));
    ck_assert_int_eq(status.stop, STOPPED_WATCHPOINT);
    ck_assert_int_eq(status.watch_access, 'w');
    ck_assert_uint_eq(status.watch_address, GUEST_DATA);
    ck_assert_uint_eq(reg(s, 32), GUEST_BASE + 4 * STORE);
    ck_assert_uint_eq(word_at(s, GUEST_DATA), written - 1);
    wait_for(s, session_step(s, 1));
    ck_assert_uint_eq(word_at(s, GUEST_DATA), written);
    /* Again from in front of it: the one before. */
    wait_for(s, session_step_back(s, 1));
    wait_for(s, session_run_back(s, BACK_WRITE, true, GUEST_DATA, 4));
    ck_assert_uint_eq(word_at(s, GUEST_DATA), written - 2);
    ck_assert_uint_eq(reg(s, 32), GUEST_BASE + 4 * STORE);
    /* Nobody ever writes here. */
    status = wait_for(s, session_run_back(s, BACK_WRITE, false, GUEST_DATA + 0x800, 4));
    ck_assert_int_eq(status.stop, STOPPED_BEGINNING);
    ck_assert_int_eq(session_run_back(s, BACK_WRITE, false, GUEST_DATA, 0), -EINVAL);
    ck_assert_int_eq(session_run_back(s, BACK_WRITE, false, UINT32_MAX, 2), -EINVAL);
    finish(s);
}
END_TEST

START_TEST(test_back_to_exits)
{
    static struct seen stop[STOPS];
    struct session *s = start_counter(_i);
    wait_for(s, session_step(s, 100));
    for (int n = 0; n < STOPS; n++) {
        ck_assert_int_eq(wait_for(s, session_step_exit(s)).stop, STOPPED_EXIT);
        stop[n] = look(s);
    }
    for (int n = STOPS - 2; n >= 0; n--) {
        struct view_status status = wait_for(s, session_run_back(s, BACK_EXIT, false, 0, 0));
        ck_assert_int_eq(status.stop, STOPPED_EXIT);
        check_seen(s, &stop[n]);
    }
    while (wait_for(s, session_run_back(s, BACK_EXIT, false, 0, 0)).stop == STOPPED_EXIT)
        ck_assert_uint_lt(look(s).exits, stop[0].exits);
    ck_assert_uint_eq(look(s).at, 0);
    finish(s);
}
END_TEST

/* ---- another future -----------------------------------------------------------------------------
 */

static void type(struct session *s, const char *text)
{
    ck_assert_uint_eq(session_input(s, (const uint8_t *)text, strlen(text)), strlen(text));
}

/* What was typed comes again when it came; something new typed in the past takes its place. */
START_TEST(test_typing_in_the_past)
{
    struct view_history history;
    struct session *s = start_counter(_i);
    wait_for(s, session_step(s, 10000));
    uint32_t before = reg(s, S0);
    type(s, "z");
    wait_for(s, session_step(s, 10000));
    struct seen with_z = look(s);
    ck_assert_uint_ge(reg(s, S0), before + 'z');
    wait_for(s, session_goto(s, 5000));
    wait_for(s, session_step(s, 15000));
    check_seen(s, &with_z);

    wait_for(s, session_goto(s, 5000));
    session_view_history(s, &history);
    ck_assert(history.in_past);
    ck_assert_uint_eq(history.end, 20000);
    type(s, "A");
    wait_for(s, session_step(s, 15000));
    ck_assert(session_digest(s) != with_z.guest);
    session_view_history(s, &history);
    ck_assert(!history.in_past);
    struct seen with_a = look(s);
    wait_for(s, session_goto(s, 100));
    wait_for(s, session_goto(s, 20000));
    check_seen(s, &with_a);
    finish(s);
}
END_TEST

/* A debugger's write is part of the run from then on; before it, the run is as it was. */
START_TEST(test_writing)
{
    struct session *s = start_counter(_i);
    wait_for(s, session_step(s, 5000));
    struct seen before = look(s);
    wait_for(s, session_step(s, 5000));
    ck_assert_int_eq(session_write_register(s, S0, 1000000), 0);
    wait_for(s, session_step(s, 5000));
    ck_assert_uint_gt(reg(s, S0), 1000000);
    struct seen after = look(s);
    wait_for(s, session_goto(s, 5000));
    check_seen(s, &before);
    wait_for(s, session_goto(s, 15000));
    check_seen(s, &after);
    wait_for(s, session_goto(s, 5000));
    wait_for(s, session_step(s, 10000)); /* over the write, without jumping there */
    check_seen(s, &after);
    wait_for(s, session_goto(s, 5000));
    ck_assert_int_eq(session_write_memory(s, false, GUEST_DATA, (const uint8_t *)"none", 4), 0);
    wait_for(s, session_step(s, 10000));
    ck_assert_uint_lt(reg(s, S0), 1000000); /* the other write was in a future that is gone */
    finish(s);
}
END_TEST

/* ---- the ends of a run --------------------------------------------------------------------------
 */

START_TEST(test_after_the_end)
{
    find_minios();
    *disk = 0;
    char hello[512];
    const char *top = getenv("top_builddir");
    snprintf(hello, sizeof hello, "%s/samples/hello.elf", top ? top : ".");
    struct session *s = start_way(_i, hello, 64u << 20);
    wait_for(s, session_step(s, 20));
    struct seen early = look(s);
    struct view_status end = wait_for(s, session_run(s));
    ck_assert_int_eq(end.state, SESSION_ENDED);
    struct seen late = look(s);
    ck_assert_int_eq(session_step(s, 1), -ESHUTDOWN);
    struct view_status back = wait_for(s, session_step_back(s, end.instructions - 20));
    ck_assert_int_eq(back.state, SESSION_STOPPED);
    size_t before = printed;
    check_seen(s, &early);
    back = wait_for(s, session_run(s));
    ck_assert_int_eq(back.state, SESSION_ENDED);
    ck_assert_int_eq(back.exit_code, end.exit_code);
    check_seen(s, &late);
    ck_assert_uint_eq(printed, before);
    back = wait_for(s, session_goto(s, 20));
    back = wait_for(s, session_goto(s, end.instructions));
    ck_assert_int_eq(back.stop, STOPPED_POWEROFF);
    check_seen(s, &late);
    back = wait_for(s, session_goto(s, end.instructions + 1000)); /* there is nothing beyond */
    ck_assert_int_eq(back.stop, STOPPED_POWEROFF);
    check_seen(s, &late);
    ck_assert_int_eq(session_reset(s), 0);
    ck_assert_int_eq(wait_for(s, session_step_back(s, 1)).stop, STOPPED_BEGINNING);
    session_free(s);
}
END_TEST

START_TEST(test_no_history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    *disk = 0;
    make_counter();
    session_config_init(&config);
    config.image = image;
    struct session *s = session_new(&config, why);
    ck_assert_int_eq(session_step_back(s, 1), -ENOTSUP);
    session_free(s);
    config.history = 64u << 20;
    config.host_clock = true;
    s = session_new(&config, why);
    ck_assert_int_eq(session_goto(s, 1), -ENOTSUP);
    session_free(s);
    /* A bound that nothing fits into. */
    config.host_clock = false;
    config.history = 4096;
    s = session_new(&config, why);
    ck_assert_int_eq(session_run_back(s, BACK_EXIT, false, 0, 0), -ENOSPC);
    wait_for(s, session_step(s, 1000));
    finish(s);
}
END_TEST

/* Memory stays within its bound, and every moment can still be had. */
START_TEST(test_bound)
{
    static struct seen seen[MOMENTS];
    struct view_history history;
    uint64_t seed = 5, limit = 3u << 20;
    find_minios();
    copy_disk();
    struct session *s = start_way(_i, minios, limit);
    int count = run_along(s, seen, &seed, 3000000, type_something);
    session_view_history(s, &history);
    ck_assert(history.present);
    ck_assert_uint_le(history.bytes, limit);
    ck_assert_uint_ge(history.checkpoints, 2);
    ck_assert_uint_eq(history.first, 0);
    visit(s, seen, count, &seed, 12);
    session_view_history(s, &history);
    ck_assert_uint_le(history.bytes, limit);
    session_free(s);
    unlink(disk);
    *disk = 0;
}
END_TEST

/* ---- snapshots ----------------------------------------------------------------------------------
 */

enum { KEPT = 12 };

/* Snapshots form a tree, whatever is restored and deleted in which order; with and without a
 * history beside them. */
START_TEST(test_snapshots)
{
    static struct seen seen[KEPT];
    struct view_snapshot list[KEPT];
    int id[KEPT], parent[KEPT], current = 0, count = 0;
    uint64_t seed = (uint64_t)_i + 1;
    char why[SESSION_ERROR];
    find_minios();
    copy_disk();
    struct session *s = start_way(_i, minios, _i % 3 ? 64u << 20 : 0);
    for (int n = 0; n < 60; n++) {
        wait_for(s, session_step(s, 1 + random_below(&seed, 400000)));
        type_something(s, &seed);
        uint32_t at = count ? random_below(&seed, (uint32_t)count) : 0;
        uint32_t dice = random_below(&seed, 4);
        if (dice < 2 && count < KEPT) {
            seen[count] = look(s);
            id[count] = session_snapshot(s, "kept", why);
            ck_assert_int_gt(id[count], 0);
            parent[count] = current;
            current = id[count++];
        } else if (dice < 3 && count) {
            ck_assert_int_eq(session_restore(s, id[at], why), 0);
            check_seen(s, &seen[at]);
            current = id[at];
        } else if (count) {
            ck_assert_int_eq(session_snapshot_delete(s, id[at]), 0);
            for (int i = 0; i < count; i++)
                if (parent[i] == id[at])
                    parent[i] = parent[at];
            if (current == id[at])
                current = parent[at];
            for (int i = (int)at; i < count - 1; i++) {
                id[i] = id[i + 1];
                parent[i] = parent[i + 1];
                seen[i] = seen[i + 1];
            }
            count--;
        }
        ck_assert_int_eq(session_snapshots(s, list, KEPT), count);
        for (int i = 0; i < count; i++) {
            ck_assert_int_eq(list[i].id, id[i]);
            ck_assert_int_eq(list[i].parent, parent[i]);
            ck_assert_int_eq(list[i].current, id[i] == current);
            ck_assert_uint_eq(list[i].exits, seen[i].exits);
        }
    }
    ck_assert_int_eq(session_restore(s, 10000, why), -ENOENT);
    ck_assert_int_eq(session_snapshot_delete(s, 10000), -ENOENT);
    session_free(s);
    unlink(disk);
    *disk = 0;
}
END_TEST

static Suite *suite(void)
{
    find_minios();
    bool samples = !access(minios, R_OK) && !access(rom, R_OK);
    if (!samples)
        printf("# the samples were not built: no tests with minios\n");
    Suite *suite = suite_create("running backwards");
    TCase *t = tcase_create("every way");
    tcase_set_timeout(t, 900);
    tcase_add_loop_test(t, test_random_guests, 0, ways());
    tcase_add_loop_test(t, test_minios, 0, samples ? ways() : 0);
    tcase_add_loop_test(t, test_disk, 0, ways());
    tcase_add_loop_test(t, test_after_the_end, 0, samples ? ways() : 0);
    tcase_add_loop_test(t, test_bound, 0, samples ? ways() : 0);
    suite_add_tcase(suite, t);
    TCase *snapshots = tcase_create("snapshots");
    tcase_set_timeout(snapshots, 900);
    tcase_add_loop_test(snapshots, test_snapshots, 0, samples ? ways() : 0);
    suite_add_tcase(suite, snapshots);
    TCase *both = tcase_create("bare and under the monitor");
    tcase_set_timeout(both, 900);
    tcase_add_loop_test(both, test_back_to_breakpoints, 0, 2);
    tcase_add_loop_test(both, test_who_wrote, 0, 2);
    tcase_add_loop_test(both, test_back_to_exits, 0, 2);
    tcase_add_loop_test(both, test_typing_in_the_past, 0, 2);
    tcase_add_loop_test(both, test_writing, 0, 2);
    tcase_add_loop_test(both, test_fast_writes, 0, 2);
    tcase_add_loop_test(both, test_many_writes, 0, 2);
    tcase_add_test(both, test_no_history);
    tcase_add_test(both, test_discarded_disk);
    suite_add_tcase(suite, both);
    return suite;
}

int main(void)
{
    return tap_run(suite());
}
