/* What is there at a moment of a run, and guests to look at. See moments.h. */
#include "tests/moments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "cpu/isa.h"
#include "tests/random-elf.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

int moments_share(int all)
{
    return getenv("VITRINE_TORTURE") || all < 4 ? all : all / 4;
}

/* ---- guests --------------------------------------------------------------------------------- */

char moments_image[64], moments_disk[64];

void moments_random(uint64_t seed, unsigned options)
{
    strcpy(moments_image, "/tmp/test-replay-XXXXXX");
    ck_assert(random_elf_write(moments_image, seed, options));
}

static char output[1 << 20];
size_t moments_printed;

static void print(void *context, const uint8_t *bytes, size_t count)
{
    if (count > sizeof output - moments_printed)
        count = sizeof output - moments_printed;
    memcpy(output + moments_printed, bytes, count);
    moments_printed += count;
}

struct session *moments_open(const char *path, const char *engine, enum session_under under,
                             uint64_t history)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = path;
    config.engine = engine;
    config.under = under;
    config.memory = 8u << 20;
    config.balloon = true;
    config.history = history;
    config.output = print;
    config.disk = *moments_disk ? moments_disk : NULL;
    moments_printed = 0;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

/* Check's loop index: engine and whether under the monitor. */
int moments_ways(void)
{
    int engines = 0;
    while (engine_at((unsigned)engines))
        engines++;
    return 2 * engines;
}

struct session *moments_start(int way, const char *path, uint64_t history)
{
    return moments_open(path, engine_at((unsigned)way / 2)->name,
                        way % 2 ? SESSION_HV : SESSION_BARE, history);
}

struct view_status moments_wait(struct session *s, int failed)
{
    struct view_status status;
    ck_assert_int_eq(failed, 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    session_status(s, &status);
    return status;
}

/* ---- moments ----------------------------------------------------------------------------------
 */

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

struct seen moments_look(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    struct seen seen = {.at = status.instructions,
                        .all = session_digest_all(s),
                        .guest = session_digest(s),
                        .printed = moments_printed};
    look_at_exits(s, &seen);
    return seen;
}

void moments_check(struct session *s, const struct seen *then)
{
    struct seen now = moments_look(s);
    ck_assert_uint_eq(now.at, then->at);
    ck_assert_msg(now.guest == then->guest, "the guest differs at %llu",
                  (unsigned long long)then->at);
    ck_assert_msg(now.all == then->all, "the monitor differs at %llu",
                  (unsigned long long)then->at);
    ck_assert_uint_eq(now.exits, then->exits);
    ck_assert(now.counts == then->counts);
    ck_assert(now.log == then->log);
}

/* Runs in steps of random length, and takes down what is there after each. */
int moments_along(struct session *s, struct seen *seen, uint64_t *seed, uint32_t most,
                  void (*between)(struct session *s, uint64_t *seed))
{
    int count = 0;
    seen[count++] = moments_look(s);
    while (count < moments_share(MOMENTS)) {
        uint32_t length = random_below(seed, 3) ? most : 40;
        if (between)
            between(s, seed);
        struct view_status status =
            moments_wait(s, session_step(s, 1 + random_below(seed, length)));
        if (status.stop == STOPPED_IDLE && between) { /* it wants something to be typed */
            session_input(s, (const uint8_t *)"ps\n", 3);
            continue;
        }
        if (status.stop != STOPPED_STEP)
            break;
        seen[count++] = moments_look(s);
    }
    return count;
}

/* Goes there and back again at random. */
void moments_visit(struct session *s, const struct seen *seen, int count, uint64_t *seed,
                   int visits)
{
    size_t before = moments_printed;
    for (int n = 0; n < moments_share(visits); n++) {
        const struct seen *to = &seen[random_below(seed, (uint32_t)count)];
        struct view_status status;
        session_status(s, &status);
        if (to->at < status.instructions && random_below(seed, 2))
            status = moments_wait(s, session_step_back(s, status.instructions - to->at));
        else if (to->at > status.instructions && random_below(seed, 2))
            status = moments_wait(s, session_step(s, to->at - status.instructions));
        else
            status = moments_wait(s, session_goto(s, to->at));
        ck_assert_int_eq(status.state, SESSION_STOPPED);
        moments_check(s, to);
    }
    ck_assert_uint_eq(moments_printed, before); /* nothing is printed twice */
}

char moments_minios[512], moments_rom[512];

void moments_find_minios(void)
{
    const char *top = getenv("top_builddir");
    snprintf(moments_minios, sizeof moments_minios, "%s/samples/minios/minios.elf",
             top ? top : ".");
    snprintf(moments_rom, sizeof moments_rom, "%s/samples/minios/fs.img", top ? top : ".");
}

void moments_copy_disk(void)
{
    static char bytes[1 << 22];
    FILE *from = fopen(moments_rom, "r");
    ck_assert_msg(from != NULL, "%s", moments_rom);
    size_t count = fread(bytes, 1, sizeof bytes, from);
    fclose(from);
    strcpy(moments_disk, "/tmp/test-replay-disk-XXXXXX");
    int fd = mkstemp(moments_disk);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

uint64_t moments_disk_hash(void)
{
    uint64_t hash = 1;
    int c;
    FILE *file = fopen(moments_disk, "r");
    ck_assert_ptr_nonnull(file);
    while ((c = getc(file)) != EOF)
        add(&hash, (uint64_t)c);
    fclose(file);
    return hash;
}

void moments_type(struct session *s, uint64_t *seed)
{
    static const char *const lines[] = {
        "ls\n", "echo hello > note\n", "cat note\n", "cat README\n", "echo again > note\n", "ps\n",
        "\n"};
    const char *line = lines[random_below(seed, sizeof lines / sizeof *lines)];
    if (random_below(seed, 3) == 0)
        session_input(s, (const uint8_t *)line, strlen(line));
}

#define UART 0x10000000u

/* Counts in S0, stores the count at GUEST_DATA, prints a dot, asks the firmware something; for
 * ever. If it finds something typed it adds that to the count. */

void moments_make_counter(void)
{
    guest_begin();
    guest_lui(T0, GUEST_DATA);
    guest_lui(T1, UART);
    guest_i(OP_addi, S0, 0, 0);
    guest_i(OP_addi, S0, S0, 1);   /* COUNTER_LOOP */
    guest_store(OP_sw, T0, S0, 0); /* COUNTER_STORE */
    guest_i(OP_addi, T2, 0, '.');
    guest_store(OP_sb, T1, T2, 0);
    guest_i(OP_addi, A7, 0, 0x10); /* SBI base */
    guest_i(OP_addi, A6, 0, 0);
    guest_word(isa_rows[OP_ecall].match);
    guest_i(OP_lbu, T2, T1, 5); /* LSR: is there something? */
    guest_i(OP_andi, T2, T2, 1);
    guest_branch(OP_beq, T2, 0, COUNTER_LOOP);
    guest_i(OP_lbu, T2, T1, 0);
    guest_r(OP_add, S0, S0, T2);
    guest_jump(COUNTER_LOOP);
    guest_write(moments_image);
}

/* Writes its count to 64 pages in turn, and to 4096 now and then; for ever. */
void moments_make_writer(void)
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
    guest_write(moments_image);
}

struct session *moments_start_counter(int under)
{
    *moments_disk = 0;
    moments_make_counter();
    return moments_open(moments_image, "auto", under ? SESSION_HV : SESSION_BARE, 64u << 20);
}

void moments_finish(struct session *s)
{
    session_free(s);
    unlink(moments_image);
}

uint32_t moments_register(struct session *s, int number)
{
    static struct view_hart hart;
    struct view_status status;
    session_status(s, &status);
    session_view_hart(s, status.under_monitor ? VIEW_VIRTUAL : VIEW_REAL, &hart);
    return number == 32 ? (uint32_t)hart.pc : hart.x[number];
}

uint32_t moments_word(struct session *s, uint32_t address)
{
    static struct view_memory memory;
    uint32_t word;
    session_view_memory(s, false, address, 4, &memory);
    memcpy(&word, memory.data, 4);
    return word;
}
/* 64 sectors of zeros. */
void moments_make_disk(void)
{
    strcpy(moments_disk, "/tmp/test-replay-disk-XXXXXX");
    int fd = mkstemp(moments_disk);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 64 * 512), 0);
    close(fd);
}
