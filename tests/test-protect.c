/*
 * Protection: a guest outlives the loss of its host or of the link to its backup; it goes on in one
 * place, and nothing that the world has seen of it is denied.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/dev/disk.h"
#include "hv/session_priv.h"
#include "hv/simulated_priv.h"
#include "tests/protect-pair.h"
#include "tests/tap.h"

enum { MORE = 50000, FENCE_MS = 100 };

static void check_pair(struct protect_pair *pair)
{
    const char *wrong = protect_pair_check(pair, MORE);
    ck_assert_msg(
        !wrong, "%s at call %u of the %s (fault %d, part %u): primary %d %s; backup %d %s", wrong,
        pair->plan.call, pair->plan.source ? "primary" : "backup", pair->plan.fault,
        pair->plan.part, pair->primary_end, pair->primary_why, pair->backup_end, pair->backup_why);
}

/* ---- in order ------------------------------------------------------------------------------- */

static const struct {
    enum session_under primary, backup;
    bool fenced;
} WAYS[] = {{SESSION_HV, SESSION_HV, true},
            {SESSION_BARE, SESSION_BARE, false},
            {SESSION_HV, SESSION_BARE, true},
            {SESSION_BARE, SESSION_HV, false}};

START_TEST(test_in_order)
{
    struct protect_pair pair = {.fenced = WAYS[_i].fenced, .epochs = 5};
    struct view_protection v;
    protect_pair_init(&pair, WAYS[_i].primary, WAYS[_i].backup);
    protect_pair_run(&pair);
    ck_assert_int_eq(pair.primary_end, PROTECT_OVER);
    ck_assert_int_eq(pair.backup_end, BACKUP_OVER);
    session_view_protection(pair.primary, &v);
    ck_assert_int_eq(v.phase, PROTECTION_OVER);
    ck_assert_uint_eq(v.epochs, 5);
    ck_assert_uint_eq(v.acknowledged, 5);
    ck_assert_uint_eq(v.instruction, 5 * PROTECT_STEP);
    ck_assert_uint_eq(v.generation, pair.fenced);
    ck_assert_uint_ge(v.pages, 5 * 32);
    ck_assert_uint_le(v.pages, 5 * 40);
    check_pair(&pair);
    ck_assert_uint_gt(pair.shown[1], 10);
    protect_pair_free(&pair);
}
END_TEST

/* Killed in the middle: the backup goes on, wherever it runs the guest. */
START_TEST(test_takes_over)
{
    struct protect_pair pair = {.fenced = WAYS[_i].fenced, .epochs = 6};
    protect_pair_init(&pair, WAYS[_i].primary, WAYS[_i].backup);
    pair.plan = (struct fault_plan){FAULT_CUT, false, 60, 0};
    protect_pair_run(&pair);
    if (!pair.fenced)
        ck_assert_int_eq(pair.backup_end, BACKUP_TAKEN);
    else
        ck_assert_int_ne(pair.primary_end == PROTECT_ALONE, pair.backup_end == BACKUP_TAKEN);
    check_pair(&pair);
    protect_pair_free(&pair);
}
END_TEST

START_TEST(test_one_fence)
{
    struct protect_pair pair = {.fenced = true, .one_sided = true};
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    protect_pair_run(&pair);
    ck_assert_int_eq(pair.backup_end, BACKUP_NONE);
    ck_assert_msg(strstr(pair.backup_why, "the primary has a fence") != NULL, "%s",
                  pair.backup_why);
    const char *wrong = protect_pair_check_primary(&pair, MORE);
    ck_assert_msg(!wrong, "%s", wrong);
    protect_pair_free(&pair);
}
END_TEST

/* Typed, printed and run in real time, with the guest going on meanwhile. */
START_TEST(test_real_time)
{
    struct protect_pair pair = {.fenced = true, .real_time = true};
    struct protect_options options = {.epoch_ms = 5, .epochs = 30};
    int fd[2];
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct link link = link_of_socket(fd[1], 10000);
        char why[SESSION_ERROR];
        bool runs;
        struct session *backup = pair_session(PAIR_STEADY, SESSION_HV, "auto");
        options.fence = &pair.fence[0];
        close(fd[0]);
        _exit((int)protect_receive(backup, &link, &options, &runs, why));
    }
    close(fd[1]);
    options.fence = &pair.fence[1];
    struct link link = link_of_socket(fd[0], 10000);
    /* The child's sessions are its own: this one's worker is not in it. */
    struct protection *p = protect_begin(pair.primary, &link, &options, pair.primary_why);
    ck_assert_msg(p != NULL, "%s", pair.primary_why);
    ck_assert_int_eq(session_run(pair.primary), 0);
    pair.primary_end = protect_run(p, pair.primary_why);
    protect_free(p);
    link_close(&link);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(pair.primary_end == PROTECT_OVER, "%s", pair.primary_why);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), BACKUP_OVER);
    pair.backup_end = BACKUP_OVER;
    const char *wrong = protect_pair_check_primary(&pair, MORE);
    ck_assert_msg(!wrong, "%s", wrong);
    protect_pair_free(&pair);
}
END_TEST

/* A terminal that takes no more, for longer than the backup is patient. */
static void slow_output(void *context, const uint8_t *bytes, size_t count)
{
    bool *slept = context;
    if (!*slept)
        usleep(5000000);
    *slept = true;
}

START_TEST(test_slow_terminal)
{
    struct protect_pair pair = {.fenced = true, .patience_ms = 4000};
    struct session_config config;
    bool slept = false;
    session_config_init(&config);
    config.image = pair_image(PAIR_STEADY);
    config.memory = 12 << 20;
    config.output = slow_output;
    config.context = &slept;
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    session_free(pair.primary);
    pair.primary = session_new(&config, pair.primary_why);
    ck_assert_msg(pair.primary != NULL, "%s", pair.primary_why);
    protect_pair_run(&pair);
    ck_assert(slept);
    ck_assert_msg(pair.primary_end == PROTECT_OVER && pair.backup_end == BACKUP_OVER, "%s; %s",
                  pair.primary_why, pair.backup_why);
    protect_pair_free(&pair);
}
END_TEST

/* ---- faults --------------------------------------------------------------------------------- */

static unsigned taken, alone;

static bool break_at(bool fenced, bool primary, unsigned call, enum fault fault, unsigned part)
{
    struct protect_pair pair = {.fenced = fenced};
    pair.plan = (struct fault_plan){fault, primary, call, part};
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    protect_pair_run(&pair);
    bool was = pair.calls[primary] > call;
    check_pair(&pair);
    taken += pair.backup_end == BACKUP_TAKEN;
    alone += pair.primary_end == PROTECT_ALONE;
    protect_pair_free(&pair);
    return was;
}

static const struct {
    enum fault fault;
    unsigned part;
    bool fenced;
} FAULTS[] = {
    {FAULT_CUT, 0, true}, {FAULT_CUT, 5, true}, {FAULT_LOSE, 0, true}, {FAULT_CUT, 3, false}};

/* Check's loop index: which fault, at which side. */
START_TEST(test_faults)
{
    unsigned points = 0;
    while (
        break_at(FAULTS[_i / 2].fenced, _i % 2, points, FAULTS[_i / 2].fault, FAULTS[_i / 2].part))
        points++;
    ck_assert_uint_gt(points, 25);
    ck_assert_uint_gt(FAULTS[_i / 2].fenced ? taken + alone : taken, 10);
}
END_TEST

/* ---- disks ---------------------------------------------------------------------------------- */

enum { DISK_BLOCKS = 3, DISK_BYTES = 2 * 4096 + 512 }; /* the last block is a short one */

static char disk_path[] = "/tmp/test-disk-XXXXXX";

static void make_disk(void)
{
    static const char zero[DISK_BYTES];
    strcpy(disk_path, "/tmp/test-disk-XXXXXX");
    int fd = mkstemp(disk_path);
    ck_assert_int_eq(write(fd, zero, sizeof zero), sizeof zero);
    close(fd);
}

static struct session *disk_session(bool away)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = pair_image(PAIR_STEADY);
    config.memory = 12 << 20;
    config.disk = disk_path;
    config.disk_away = away;
    struct session *session = session_new(&config, why);
    ck_assert_msg(session != NULL, "%s", why);
    return session;
}

static struct disk *disk_of(struct session *s)
{
    return ((struct simulated *)s->backend)->guest->disk_image;
}

/* As the guest's driver would: the first sector of a block. */
static void write_block(struct session *s, unsigned block, char value)
{
    char sector[512];
    memset(sector, value, sizeof sector);
    session_enter(s);
    ck_assert_int_eq(disk_write(disk_of(s), block * 8, sector, sizeof sector), 0);
    session_leave(s);
}

static char read_block(struct session *s, unsigned block)
{
    char sector[512];
    session_enter(s);
    ck_assert_int_eq(disk_read(disk_of(s), block * 8, sector, sizeof sector), 0);
    session_leave(s);
    return sector[511];
}

/* What a block begins with in the file. */
static char in_file(unsigned block)
{
    char byte = '?';
    FILE *file = fopen(disk_path, "re");
    ck_assert_int_eq(fseek(file, (long)block * 4096 + 511, SEEK_SET), 0);
    ck_assert_uint_eq(fread(&byte, 1, 1, file), 1);
    fseek(file, 0, SEEK_END);
    ck_assert_int_eq(ftell(file), DISK_BYTES);
    fclose(file);
    return byte;
}

static int count_block(void *context, uint32_t block, const uint8_t *bytes)
{
    char *seen = context;
    seen[block] = (char)bytes[511];
    return 0;
}

START_TEST(test_held_disk)
{
    make_disk();
    struct session *s = disk_session(false);
    const struct backend_move *move = s->ops->move;
    char seen[DISK_BLOCKS + 1] = "...", why[SESSION_ERROR];
    uint8_t block[4096];
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_HOLD), 0);
    write_block(s, 2, 'a');
    write_block(s, 0, 'b');
    write_block(s, 2, 'c');
    ck_assert_int_eq(in_file(2), 0);
    ck_assert_int_eq(move->blocks(s->backend, count_block, seen), 0);
    ck_assert_str_eq(seen, "b.c");
    strcpy(seen, "...");
    ck_assert_int_eq(move->blocks(s->backend, count_block, seen), 0);
    ck_assert_str_eq(seen, "...");
    /* Committed is what is given, not what is held by now. */
    memset(block, 'd', sizeof block);
    ck_assert_int_eq(move->commit_block(s->backend, 2, block), 0);
    ck_assert_int_eq(in_file(2), 'd');
    ck_assert_int_eq(read_block(s, 2), 'c');
    ck_assert_int_eq(move->commit_block(s->backend, DISK_BLOCKS, block), -EINVAL);
    ck_assert_int_eq(move->put_block(s->backend, DISK_BLOCKS, block), -EINVAL);
    ck_assert_int_eq(move->put_block(s->backend, 1, block), 0);
    ck_assert_int_eq(session_snapshot(s, "no", why), -EBUSY);
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_RELEASE), 0);
    ck_assert_int_eq(in_file(0), 'b');
    ck_assert_int_eq(in_file(1), 'd');
    ck_assert_int_eq(in_file(2), 'c');
    write_block(s, 0, 'e');
    ck_assert_int_eq(in_file(0), 'e');
    /* What is held at the end is dropped. */
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_HOLD), 0);
    write_block(s, 0, 'f');
    session_free(s);
    ck_assert_int_eq(in_file(0), 'e');
    unlink(disk_path);
}
END_TEST

struct half {
    struct protect_pair *pair;
    int fd;
    bool primary;
};

static void *run_half(void *context)
{
    struct half *half = context;
    protect_pair_half(half->pair, half->fd, half->primary);
    return NULL;
}

/* Waits until all that was done before has been acknowledged and let go. */
static void wait_for_epochs(struct session *session)
{
    struct view_protection v;
    session_view_protection(session, &v);
    uint64_t from = v.acknowledged;
    for (int i = 0; i < 300000 && v.acknowledged < from + 3; i++) {
        usleep(1000);
        session_view_protection(session, &v);
    }
    ck_assert_uint_ge(v.acknowledged, from + 3);
}

/* The link is cut right after a write: whoever goes on has the file to itself, and the other one's
 * write never gets there. */
START_TEST(test_disk_at_a_cut)
{
    make_disk();
    struct protect_pair pair = {.fenced = true, .epochs = 1000000};
    int fd[2];
    pthread_t primary, backup;
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    session_free(pair.primary);
    session_free(pair.backup);
    pair.primary = disk_session(false);
    pair.backup = disk_session(true);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    struct half halves[2] = {{&pair, fd[0], false}, {&pair, fd[1], true}};
    ck_assert_int_eq(pthread_create(&primary, NULL, run_half, &halves[1]), 0);
    ck_assert_int_eq(pthread_create(&backup, NULL, run_half, &halves[0]), 0);
    wait_for_epochs(pair.primary);
    write_block(pair.primary, 0, 'a');
    wait_for_epochs(pair.primary);
    ck_assert_int_eq(in_file(0), 'a');
    write_block(pair.primary, 0, 'b');
    write_block(pair.primary, 2, 'c');
    usleep((useconds_t)_i * 200);
    shutdown(fd[0], SHUT_RDWR);
    pthread_join(primary, NULL);
    pthread_join(backup, NULL);
    bool here = pair.primary_end == PROTECT_ALONE, there = pair.backup_end == BACKUP_TAKEN;
    ck_assert_msg(here != there, "%s; %s", pair.primary_why, pair.backup_why);
    struct session *survivor = here ? pair.primary : pair.backup;
    session_pause(survivor);
    ck_assert_int_eq(session_wait(survivor, -1), 0);
    char first = read_block(survivor, 0), last = read_block(survivor, 2);
    ck_assert(first == 'b' || (there && first == 'a'));
    ck_assert(last == 'c' || (there && last == 0));
    ck_assert_int_eq(in_file(0), first);
    ck_assert_int_eq(in_file(2), last);
    write_block(survivor, 1, 'd');
    ck_assert_int_eq(in_file(1), 'd');
    protect_pair_free(&pair);
    ck_assert_int_eq(in_file(0), first);
    ck_assert_int_eq(in_file(2), last);
    ck_assert_int_eq(in_file(1), 'd');
    unlink(disk_path);
}
END_TEST

/* ---- a primary that comes back -------------------------------------------------------------- */

/* The primary in a process of its own that is stopped in the middle, for longer than anybody waits.
 * What it prints goes into a pipe. Its exit status is its end. */
static void frozen_primary(struct protect_pair *pair, int fd, int out)
{
    static uint8_t text[1 << 16];
    struct protect_options options = {.epoch_ms = 5, .patience_ms = 3000, .fence = &pair->fence[1]};
    struct link link = link_of_socket(fd, 10000);
    struct session *primary = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    session_input(primary, (const uint8_t *)"t", 1); /* as the pair's in real time */
    struct protection *p = protect_begin(primary, &link, &options, pair->primary_why);
    if (!p || session_run(primary))
        _exit(99);
    enum protect_end end = protect_run(p, pair->primary_why);
    size_t count = session_output(primary, text, sizeof text);
    if (write(out, text, count) != (ssize_t)count)
        _exit(98);
    _exit((int)end);
}

struct stopper {
    struct session *backup;
    pid_t primary;
};

/* When the guest has printed, and some epochs have come after that one, so that the world has seen
 * it, however long that takes. */
static void *stop_later(void *context)
{
    enum { HAS_PRINTED = 100000 /* instructions */ };
    struct stopper *s = context;
    struct view_protection v;
    do {
        wait_for_epochs(s->backup);
        session_view_protection(s->backup, &v);
    } while (v.instruction < HAS_PRINTED);
    wait_for_epochs(s->backup);
    kill(s->primary, SIGSTOP);
    return NULL;
}

START_TEST(test_frozen_primary)
{
    static char seen[1 << 16];
    struct protect_pair pair = {.fenced = true, .patience_ms = 5000, .real_time = true};
    int fd[2], out[2], status;
    pthread_t thread;
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    ck_assert_int_eq(pipe(out), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(fd[0]);
        frozen_primary(&pair, fd[1], out[1]);
    }
    close(fd[1]);
    close(out[1]);
    struct stopper stopper = {pair.backup, child};
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, &stopper), 0);
    protect_pair_half(&pair, fd[0], false);
    pthread_join(thread, NULL);
    /* The step's lock could be held by a process that stands just there: then nobody may go on. */
    ck_assert_msg(pair.backup_end == BACKUP_TAKEN || pair.backup_end == BACKUP_UNSURE, "%s",
                  pair.backup_why);
    kill(child, SIGCONT);
    ssize_t count = read(out[0], seen, sizeof seen);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (pair.backup_end == BACKUP_TAKEN) {
        ck_assert_int_eq(WEXITSTATUS(status), PROTECT_FENCED);
        ck_assert_int_gt(count, 0);
        const char *wrong = protect_pair_check_backup(&pair, MORE, seen, (size_t)count);
        ck_assert_msg(!wrong, "%s", wrong);
    }
    close(out[0]);
    protect_pair_free(&pair);
}
END_TEST

/* ---- the fence ------------------------------------------------------------------------------ */

static char fence_path[] = "/tmp/test-fence-XXXXXX";

static void make_fence(const char *text)
{
    strcpy(fence_path, "/tmp/test-fence-XXXXXX");
    int fd = mkstemp(fence_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(test_fence_turns)
{
    struct fence a, b, c;
    make_fence("");
    ck_assert_int_eq(fence_open(&a, fence_path), 0);
    ck_assert_int_eq(fence_open(&b, fence_path), 0);
    ck_assert_int_eq(fence_open(&c, fence_path), 0);
    ck_assert_int_eq(fence_begin(&a, FENCE_MS), 0);
    ck_assert_uint_eq(a.generation, 1);
    ck_assert_int_eq(fence_begin(&c, FENCE_MS), -EBUSY);
    ck_assert_int_eq(fence_know(&b, 1, a.owner + 1, FENCE_MS), -ESTALE);
    ck_assert_int_eq(fence_know(&b, 1, a.owner, FENCE_MS), 0);
    /* While somebody writes nobody can claim. */
    ck_assert_int_eq(fence_enter(&a, FENCE_MS), 0);
    ck_assert_int_eq(fence_claim(&b, FENCE_MS), -ETIMEDOUT);
    fence_leave(&a);
    /* Of two that know the same turn one gets the next. */
    ck_assert_int_eq(fence_claim(&b, FENCE_MS), 0);
    ck_assert_uint_eq(b.generation, 2);
    ck_assert_int_eq(fence_claim(&a, FENCE_MS), -ESTALE);
    ck_assert_int_eq(fence_enter(&a, FENCE_MS), -ESTALE);
    ck_assert_int_eq(fence_enter(&b, FENCE_MS), 0);
    fence_leave(&b);
    /* A guest can begin again when nobody's lives. */
    fence_close(&a);
    ck_assert_int_eq(fence_begin(&c, FENCE_MS), -EBUSY);
    fence_close(&b);
    ck_assert_int_eq(fence_begin(&c, FENCE_MS), 0);
    ck_assert_uint_eq(c.generation, 3);
    fence_close(&c);
    unlink(fence_path);
}
END_TEST

static const char *const NO_FENCES[] = {"x", "vitrine fence 1 2\n",
                                        "vitrine fence 99999999999999999999 0000000000000000\n",
                                        "vitrine fence 00000000000000000001 0000000000000000\nmore",
                                        "vitrine fence 00000000000000000001 00000000000000"};

START_TEST(test_no_fence)
{
    struct fence f;
    make_fence(NO_FENCES[_i]);
    ck_assert_int_eq(fence_open(&f, fence_path), 0);
    ck_assert_int_eq(fence_begin(&f, FENCE_MS), -EINVAL);
    fence_close(&f);
    unlink(fence_path);
    ck_assert_int_eq(fence_open(&f, "/tmp"), -EISDIR);
    ck_assert_int_eq(fence_open(&f, "/dev/null"), -EINVAL);
}
END_TEST

/* Both sides must have the same fence, or none. */
START_TEST(test_other_fence)
{
    struct protect_pair pair = {.fenced = true};
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    make_fence("vitrine fence 00000000000000000001 0000000000000007\n");
    fence_close(&pair.fence[0]);
    ck_assert_int_eq(fence_open(&pair.fence[0], fence_path), 0);
    protect_pair_run(&pair);
    ck_assert_int_eq(pair.backup_end, BACKUP_NONE);
    ck_assert_msg(strstr(pair.backup_why, "do not have the same fence") != NULL, "%s",
                  pair.backup_why);
    ck_assert_msg(strstr(pair.primary_why, "the other side: ") != NULL, "%s", pair.primary_why);
    const char *wrong = protect_pair_check_primary(&pair, MORE);
    ck_assert_msg(!wrong, "%s", wrong);
    unlink(fence_path);
    protect_pair_free(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protect");
    TCase *order = tcase_create("order"), *faults = tcase_create("faults");
    TCase *fence = tcase_create("fence");
    tcase_set_timeout(order, 600);
    tcase_add_loop_test(order, test_in_order, 0, ROWS(WAYS));
    tcase_add_loop_test(order, test_takes_over, 0, ROWS(WAYS));
    tcase_add_test(order, test_one_fence);
    tcase_add_test(order, test_real_time);
    tcase_add_test(order, test_slow_terminal);
    suite_add_tcase(suite, order);
    tcase_set_timeout(faults, 600);
    tcase_add_loop_test(faults, test_faults, 0, 2 * ROWS(FAULTS));
    tcase_add_test(faults, test_held_disk);
    tcase_add_loop_test(faults, test_disk_at_a_cut, 0, 12);
    tcase_add_test(faults, test_frozen_primary);
    suite_add_tcase(suite, faults);
    tcase_add_test(fence, test_fence_turns);
    tcase_add_loop_test(fence, test_no_fence, 0, ROWS(NO_FENCES));
    tcase_add_test(fence, test_other_fence);
    suite_add_tcase(suite, fence);
    return tap_run(suite);
}
