/*
 * A guard: a guest that has lost its backup, or has been one, gets the next; the fence's turn goes
 * on, and the guest is the same all the time.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/guard.h"
#include "tests/protect-pair.h"
#include "tests/tap.h"

enum { MORE = 50000, PATIENCE_MS = 10000, TRIES = 200000, EPOCHS = 5 };

static char folder[] = "/tmp/test-guard-XXXXXX", address[64], fence_path[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/test-guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/backup", folder);
    snprintf(fence_path, sizeof fence_path, "%s/fence", folder);
}

static void remove_folder(void)
{
    link_forget(address);
    unlink(fence_path);
    rmdir(folder);
}

/* A backup in a process of its own. Its exit status is its end. */
struct backup {
    pid_t child;
    int line; /* to it: a byte each way */
};

static void be_a_backup(bool fenced, int line)
{
    char why[SESSION_ERROR], word = 0;
    struct fence fence = {.fd = -1};
    struct protect_options options = {.fence = fenced ? &fence : NULL};
    bool runs;
    if (read(line, &word, 1) != 1)
        _exit(98);
    struct session *session = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    int listening = link_listen(address, why);
    if (listening < 0 || (fenced && fence_open(&fence, fence_path)) || write(line, &word, 1) != 1)
        _exit(99);
    struct link link = link_of_socket(link_accept(listening, PATIENCE_MS), PATIENCE_MS);
    link_forget(address);
    _exit((int)protect_receive(session, &link, &options, &runs, why));
}

/* Before a guest runs or a guard works: a thread that is just in the allocator has a lock there
 * which nobody in the child would ever give back. */
static struct backup make_backup(bool fenced)
{
    int line[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(line[1]);
        be_a_backup(fenced, line[0]);
    }
    close(line[0]);
    return (struct backup){child, line[1]};
}

/* It stands by when this returns. */
static pid_t start_backup(struct backup *backup)
{
    char word = 'b';
    ck_assert_int_eq(write(backup->line, &word, 1), 1);
    ck_assert_int_eq(read(backup->line, &word, 1), 1);
    close(backup->line);
    return backup->child;
}

static int end_of(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Waits until the guest is protected, and some epochs have been acknowledged. */
static struct view_protection await_epochs(struct session *session)
{
    struct view_protection v = {0};
    for (int i = 0; i < TRIES; i++) {
        session_view_protection(session, &v);
        if (v.phase == PROTECTION_ON && v.acknowledged >= EPOCHS)
            return v;
        usleep(1000);
    }
    ck_abort_msg("no epoch is acknowledged: phase %d, %s", v.phase, v.why);
    return v;
}

static struct view_protection await_search(struct session *session)
{
    struct view_protection v = {0};
    for (int i = 0; i < TRIES; i++) {
        session_view_protection(session, &v);
        if (v.searching && *v.why)
            return v;
        usleep(1000);
    }
    ck_abort_msg("no backup is looked for: phase %d", v.phase);
    return v;
}

/* ---- what is told --------------------------------------------------------------------------- */

static unsigned told[GUARD_OVER + 1];

static void on_event(void *context, enum guard_event event, const char *text)
{
    (void)context;
    told[event] += *text != 0;
}

static struct guard *new_guard(struct session *session)
{
    memset(told, 0, sizeof told);
    struct guard *g = guard_new(session, on_event, NULL);
    ck_assert_ptr_nonnull(g);
    return g;
}

static struct guard_wish wish(void)
{
    return (struct guard_wish){
        .address = address, .epoch_ms = 5, .patience_ms = PATIENCE_MS, .retry_ms = 20};
}

static void check_primary(struct protect_pair *pair)
{
    const char *wrong = protect_pair_check_primary(pair, MORE);
    ck_assert_msg(!wrong, "%s", wrong);
}

/* ---- the next backup ------------------------------------------------------------------------ */

START_TEST(test_the_next_backup)
{
    struct protect_pair pair = {.real_time = true};
    char why[SESSION_ERROR];
    bool fenced = _i;
    make_folder();
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    struct guard *g = new_guard(pair.primary);
    struct guard_wish to = wish();
    if (fenced)
        ck_assert_int_eq(guard_set_fence(g, fence_path, why), 0);
    struct backup backups[3];
    for (unsigned i = 0; i < (fenced ? 3 : 1); i++)
        backups[i] = make_backup(fenced);
    pid_t child = start_backup(&backups[0]);
    ck_assert_msg(guard_protect(g, &to, false, why) == 0, "%s", why);
    ck_assert_int_eq(guard_protect(g, &to, false, why), -EBUSY);
    ck_assert_int_eq(session_run(pair.primary), 0);
    for (unsigned loss = 0; loss < 2 && fenced; loss++) {
        struct view_protection v = await_epochs(pair.primary);
        ck_assert_uint_eq(v.generation, loss + 1);
        ck_assert_uint_eq(v.losses, loss);
        kill(child, SIGKILL);
        ck_assert_int_eq(end_of(child), -1);
        v = await_search(pair.primary);
        ck_assert_int_eq(v.phase, PROTECTION_ALONE);
        child = start_backup(&backups[loss + 1]);
    }
    await_epochs(pair.primary);
    ck_assert_int_eq(guard_release(g), 0);
    ck_assert_int_eq(end_of(child), BACKUP_OVER);
    ck_assert_int_eq(guard_release(g), -ESRCH);
    guard_free(g);
    ck_assert_uint_eq(told[GUARD_PROTECTED], fenced ? 3 : 1);
    ck_assert_uint_eq(told[GUARD_LOST], fenced ? 2 : 0);
    ck_assert_uint_eq(told[GUARD_OVER], 1);
    check_primary(&pair);
    protect_pair_free(&pair);
    remove_folder();
}
END_TEST

/* Without a fence nobody knows who has the guest: it stands, and nobody is looked for. */
START_TEST(test_in_doubt)
{
    struct protect_pair pair = {.real_time = true};
    struct view_protection v;
    char why[SESSION_ERROR];
    make_folder();
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    struct guard *g = new_guard(pair.primary);
    struct guard_wish to = wish();
    struct backup first = make_backup(false), second = make_backup(false);
    pid_t child = start_backup(&first);
    ck_assert_msg(guard_protect(g, &to, false, why) == 0, "%s", why);
    ck_assert_int_eq(session_run(pair.primary), 0);
    await_epochs(pair.primary);
    kill(child, SIGKILL);
    end_of(child);
    ck_assert_int_eq(session_wait(pair.primary, PATIENCE_MS), 0);
    while (guard_release(g) == 0)
        ;
    session_view_protection(pair.primary, &v);
    ck_assert_int_eq(v.phase, PROTECTION_DOUBT);
    ck_assert(!v.searching);
    ck_assert_uint_eq(told[GUARD_STANDS], 1);
    /* A person knows: it goes on, and can be protected again. */
    ck_assert_int_eq(session_take_back(pair.primary), 0);
    child = start_backup(&second);
    ck_assert_msg(guard_protect(g, &to, false, why) == 0, "%s", why);
    ck_assert_int_eq(session_run(pair.primary), 0);
    await_epochs(pair.primary);
    guard_free(g);
    ck_assert_int_eq(end_of(child), BACKUP_OVER);
    check_primary(&pair);
    protect_pair_free(&pair);
    remove_folder();
}
END_TEST

/* A primary in a process of its own, for a backup that is here. What it shows goes into a pipe. */
static pid_t start_primary(struct protect_pair *pair, int fd, int out)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child)
        return child;
    struct link link = link_of_socket(fd, PATIENCE_MS);
    struct protect_options options = {.epoch_ms = 5, .fence = &pair->fence[1]};
    char why[SESSION_ERROR];
    struct session *session = pair_session_to(PAIR_STEADY, SESSION_HV, &out);
    session_input(session, (const uint8_t *)"t", 1); /* as the pair's in real time */
    struct protection *p = protect_begin(session, &link, &options, why);
    if (p && session_run(session) == 0)
        protect_run(p, why);
    _exit(0);
}

struct victim {
    struct session *backup;
    pid_t primary;
};

/* Kills the first host when the guest is somewhere in the middle. */
static void *kill_later(void *context)
{
    struct victim *victim = context;
    struct view_protection v = {0};
    for (int i = 0; i < TRIES && v.acknowledged < 30; i++) {
        usleep(1000);
        session_view_protection(victim->backup, &v);
    }
    kill(victim->primary, SIGKILL);
    return NULL;
}

/* The first host dies; the second one has the guest, and protects it by a third one. */
START_TEST(test_a_backup_gets_a_backup)
{
    static char seen[1 << 16];
    struct protect_pair pair = {.fenced = true, .real_time = true, .patience_ms = PATIENCE_MS};
    int fd[2], out[2];
    pthread_t thread;
    char why[SESSION_ERROR];
    make_folder();
    protect_pair_init(&pair, SESSION_HV, SESSION_HV);
    strcpy(fence_path, pair.path);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    ck_assert_int_eq(pipe(out), 0);
    pid_t first = start_primary(&pair, fd[1], out[1]);
    fence_close(&pair.fence[1]); /* the turn lasts as long as that process */
    close(fd[1]);
    close(out[1]);
    struct backup last = make_backup(true);
    struct guard *g = new_guard(pair.backup);
    struct guard_wish to = wish();
    struct victim victim = {pair.backup, first};
    ck_assert_int_eq(pthread_create(&thread, NULL, kill_later, &victim), 0);
    protect_pair_half(&pair, fd[0], false);
    pthread_join(thread, NULL);
    end_of(first);
    ck_assert_msg(pair.backup_end == BACKUP_TAKEN, "%s", pair.backup_why);
    ssize_t count = read(out[0], seen, sizeof seen);
    ck_assert_int_gt(count, 0);
    guard_take_fence(g, &pair.fence[0]);
    ck_assert_int_eq(guard_protect(g, &to, true, why), 0);
    ck_assert_int_eq(session_run(pair.backup), 0);
    struct view_protection v = await_search(pair.backup);
    ck_assert_int_eq(v.phase, PROTECTION_TAKEN);
    pid_t third = start_backup(&last);
    v = await_epochs(pair.backup);
    ck_assert_uint_eq(v.generation, 2);
    ck_assert(!v.backup && !v.searching && v.released > v.shown_from);
    guard_release(g);
    ck_assert_int_eq(end_of(third), BACKUP_OVER);
    const char *wrong = protect_pair_check_backup(&pair, MORE, seen, (size_t)count);
    ck_assert_msg(!wrong, "%s", wrong);
    guard_free(g);
    pair.fence[0].fd = -1;
    close(out[0]);
    protect_pair_free(&pair);
    remove_folder();
}
END_TEST

/* ---- searches ------------------------------------------------------------------------------- */

START_TEST(test_a_search_is_called_off)
{
    struct session *session = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    struct view_protection v;
    char why[SESSION_ERROR] = "";
    make_folder();
    struct guard *g = new_guard(session);
    struct guard_wish to = wish();
    ck_assert_int_lt(guard_protect(g, &to, false, why), 0);
    ck_assert_msg(strstr(why, "No such file") != NULL, "%s", why);
    session_view_protection(session, &v);
    ck_assert(!v.searching);
    ck_assert_int_eq(guard_release(g), -ESRCH);
    ck_assert_int_eq(guard_protect(g, &to, true, why), 0);
    v = await_search(session);
    ck_assert_str_eq(v.to, address);
    ck_assert_msg(strstr(v.why, "No such file") != NULL, "%s", v.why);
    /* Another wish takes its place. */
    to.address = "unix:/nowhere";
    ck_assert_int_lt(guard_protect(g, &to, false, why), 0);
    ck_assert_int_eq(guard_protect(g, &to, true, why), 0);
    ck_assert_int_eq(guard_release(g), 0);
    session_view_protection(session, &v);
    ck_assert(!v.searching);
    ck_assert_int_eq(v.phase, PROTECTION_NONE);
    guard_free(g);
    session_free(session);
    remove_folder();
}
END_TEST

START_TEST(test_the_guards_fence)
{
    struct session *session = pair_session(PAIR_STEADY, SESSION_HV, "auto");
    char why[SESSION_ERROR] = "", other[80];
    struct fence rival;
    make_folder();
    struct guard *g = new_guard(session);
    snprintf(other, sizeof other, "%s/other", folder);
    ck_assert_int_lt(guard_set_fence(g, folder, why), 0);
    ck_assert_int_eq(guard_set_fence(g, fence_path, why), 0);
    ck_assert_int_eq(guard_set_fence(g, fence_path, why), 0);
    ck_assert_int_eq(guard_set_fence(g, other, why), -EALREADY);
    ck_assert_int_eq(access(other, F_OK), -1);
    /* The turn lasts as long as the guard. */
    ck_assert_int_eq(fence_open(&rival, fence_path), 0);
    ck_assert_int_eq(fence_begin(&rival, 100), -EBUSY);
    guard_free(g);
    ck_assert_int_eq(fence_begin(&rival, 100), 0);
    fence_close(&rival);
    session_free(session);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *next = tcase_create("next"), *search = tcase_create("search");
    tcase_set_timeout(next, 600);
    tcase_add_loop_test(next, test_the_next_backup, 0, 2);
    tcase_add_test(next, test_in_doubt);
    tcase_add_test(next, test_a_backup_gets_a_backup);
    suite_add_tcase(suite, next);
    tcase_set_timeout(search, 600);
    tcase_add_test(search, test_a_search_is_called_off);
    tcase_add_test(search, test_the_guards_fence);
    suite_add_tcase(suite, search);
    return tap_run(suite);
}
