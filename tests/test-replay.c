/*
 * Running backwards: whatever moment of the past one goes to, and however often, it is the moment that
 * there was. Random guests and a small system with a disk and somebody who types, in every engine,
 * bare and under the monitor.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "hv/session.h"
#include "tests/random-program.h"
#include "tests/tap.h"

/* ---- guests --------------------------------------------------------------------------------- */

enum { PIECES = 16 };

static char image[64], disk[64];

/* A random program as an ELF file with a segment for each piece. */
struct writer {
    Elf32_Phdr phdr[PIECES];
    unsigned count;
    uint32_t at;
    FILE *file;
};

static void add_piece(void *context, uint32_t pa, const void *bytes, size_t size)
{
    struct writer *w = context;
    ck_assert_uint_lt(w->count, PIECES);
    w->phdr[w->count++] = (Elf32_Phdr){.p_type = PT_LOAD,
                                       .p_offset = w->at,
                                       .p_vaddr = pa,
                                       .p_paddr = pa,
                                       .p_filesz = (uint32_t)size,
                                       .p_memsz = (uint32_t)size,
                                       .p_flags = PF_R | PF_W | PF_X,
                                       .p_align = 4};
    fseek(w->file, (long)w->at, SEEK_SET);
    ck_assert_uint_eq(fwrite(bytes, 1, size, w->file), size);
    w->at += (uint32_t)size;
}

static void write_program(uint64_t seed, unsigned options)
{
    static struct random_program program;
    struct writer w = {.at = 4096};
    random_program_make_as(&program, seed, options);
    strcpy(image, "/tmp/test-replay-XXXXXX");
    w.file = fdopen(mkstemp(image), "w");
    ck_assert_ptr_nonnull(w.file);
    random_program_write(&program, add_piece, &w);
    Elf32_Ehdr ehdr = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, 1},
                       .e_type = ET_EXEC,
                       .e_machine = EM_RISCV,
                       .e_version = 1,
                       .e_entry = VIRT_RAM,
                       .e_phoff = sizeof ehdr,
                       .e_ehsize = sizeof ehdr,
                       .e_phentsize = sizeof w.phdr[0],
                       .e_phnum = (Elf32_Half)w.count};
    rewind(w.file);
    fwrite(&ehdr, sizeof ehdr, 1, w.file);
    fwrite(w.phdr, sizeof w.phdr[0], w.count, w.file);
    ck_assert_int_eq(fclose(w.file), 0);
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
    ck_assert_int_eq(session_wait(s, 60000), 0);
    session_status(s, &status);
    return status;
}

/* ---- moments ---------------------------------------------------------------------------------- */

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

/* ---- tests ------------------------------------------------------------------------------------ */

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
    static const char *const lines[] = {"ls\n",       "echo hello > note\n", "cat note\n",
                                        "cat README\n", "echo again > note\n",   "ps\n", "\n"};
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

static Suite *suite(void)
{
    Suite *suite = suite_create("running backwards");
    TCase *t = tcase_create("every way");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, test_random_guests, 0, ways());
    tcase_add_loop_test(t, test_minios, 0, ways());
    suite_add_tcase(suite, t);
    return suite;
}

int main(void)
{
    return tap_run(suite());
}
