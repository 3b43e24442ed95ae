/* x86 guests that move from session to session: see test-migrate.c for what is the same for all. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/migrate.h"
#include "hv/protect.h"
#include "tests/kvm-guest.h"

enum { PATIENCE_MS = 20000 };

static char image[] = "/tmp/vitrine-test-kvm.XXXXXX";

/* Counts in ebx and stores the count in one of 64 pages each time; at 0x200000 a letter each 64
 * times to COM1, up to 0x40000 counts; then the sum of all pages' words goes to the debug exit. */
static const uint8_t code[] = {
    0x31, 0xdb,                         /* 100000: xor ebx, ebx */
    0xff, 0xc3,                         /* 100002: again: inc ebx */
    0x89, 0xd9,                         /* mov ecx, ebx */
    0x83, 0xe1, 0x3f,                   /* and ecx, 63 */
    0xc1, 0xe1, 0x0c,                   /* shl ecx, 12 */
    0x01, 0x99, 0x00, 0x00, 0x20, 0x00, /* add [ecx + 0x200000], ebx */
    0xf7, 0xc3, 0xff, 0x0f, 0x00, 0x00, /* test ebx, 0xfff */
    0x75, 0xe8,                         /* jne again */
    0x66, 0xba, 0xf8, 0x03,             /* mov dx, 0x3f8 */
    0x89, 0xd8,                         /* mov eax, ebx */
    0xc1, 0xe8, 0x0c,                   /* shr eax, 12 */
    0x24, 0x0f,                         /* and al, 15 */
    0x04, 0x61,                         /* add al, 'a' */
    0xee,                               /* out dx, al */
    0x81, 0xfb, 0x00, 0x00, 0x04, 0x00, /* cmp ebx, 0x40000 */
    0x75, 0xd2,                         /* jne again */
    0x31, 0xc0,                         /* xor eax, eax */
    0xb9, 0x00, 0x00, 0x20, 0x00,       /* mov ecx, 0x200000 */
    0x03, 0x01,                         /* sum: add eax, [ecx] */
    0x81, 0xc1, 0x00, 0x10, 0x00, 0x00, /* add ecx, 4096 */
    0x81, 0xf9, 0x00, 0x00, 0x24, 0x00, /* cmp ecx, 0x240000 */
    0x75, 0xf0,                         /* jne sum */
    0x89, 0xc1,                         /* mov ecx, eax: fold it to a byte */
    0xc1, 0xe9, 0x0d,                   /* shr ecx, 13 */
    0x31, 0xc8,                         /* xor eax, ecx */
    0x66, 0xba, 0x01, 0x05,             /* mov dx, 0x501 */
    0xee,                               /* out dx, al */
    0xf4,
};

static struct session *guest(void)
{
    struct session_config config;
    char why[SESSION_ERROR] = "";
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.boot_format = "flat32";
    config.memory = 8 << 20;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

struct side {
    struct session *session;
    struct link link;
    enum migrate_end end;
    bool runs;
    char why[SESSION_ERROR];
};

static void *receive(void *context)
{
    struct side *d = context;
    d->end = migrate_receive(d->session, &d->link, &d->runs, d->why);
    link_close(&d->link);
    return NULL;
}

static void migrate(struct session *from, struct side *to)
{
    int fd[2];
    pthread_t thread;
    char why[SESSION_ERROR] = "";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], PATIENCE_MS);
    *to = (struct side){.session = guest(), .link = link_of_socket(fd[1], PATIENCE_MS)};
    ck_assert_int_eq(pthread_create(&thread, NULL, receive, to), 0);
    enum migrate_end end =
        migrate_send(from, &link, &(struct migrate_options){.downtime = 10}, why);
    pthread_join(thread, NULL);
    link_close(&link);
    ck_assert_msg(end == MIGRATE_MOVED && to->end == MIGRATE_MOVED, "%s; %s", why, to->why);
}

static size_t take_output(struct session *s, char *text, size_t count)
{
    return count + session_output(s, (uint8_t *)text + count, 255 - count);
}

static int run_to_end(struct session *s)
{
    struct view_status status;
    int error = session_run(s);
    ck_assert(error == 0 || error == -EBUSY);
    ck_assert_int_eq(session_wait(s, PATIENCE_MS), 0);
    session_status(s, &status);
    ck_assert_msg(status.stop == STOPPED_POWEROFF, "%s\n%s", status.text, status.detail);
    return status.exit_code;
}

static void setup(void)
{
    strcpy(image + strlen(image) - 6, "XXXXXX");
    int fd = mkstemp(image);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, code, sizeof code), (ssize_t)sizeof code);
    close(fd);
}

static void teardown(void)
{
    unlink(image);
}

/* Twice while it runs: what it has printed in three sessions, and the sum of its memory, are what
 * one would have. */
START_TEST(test_moves)
{
    char expected[256] = "", printed[256] = "";
    struct session *reference = guest(), *source = guest();
    struct side there, back;
    int code_expected = run_to_end(reference);
    take_output(reference, expected, 0);
    ck_assert_int_eq(session_run(source), 0);
    migrate(source, &there);
    if (there.runs)
        ck_assert_int_eq(session_run(there.session), 0);
    size_t count = take_output(source, printed, 0);
    ck_assert_int_eq(session_run(source), -ESHUTDOWN);
    migrate(there.session, &back);
    count = take_output(there.session, printed, count);
    ck_assert_int_eq(run_to_end(back.session), code_expected);
    take_output(back.session, printed, count);
    ck_assert_str_eq(printed, expected);
    session_free(source);
    session_free(there.session);
    session_free(back.session);
    session_free(reference);
}
END_TEST

/* A guest that stands is the same there, to the last bit of its state. */
START_TEST(test_digest)
{
    struct session *source = guest();
    struct side there;
    ck_assert_int_eq(session_step(source, 1000), 0);
    ck_assert_int_eq(session_wait(source, PATIENCE_MS), 0);
    static struct view_registers here, gone;
    session_view_registers(source, &here);
    migrate(source, &there);
    session_view_registers(there.session, &gone);
    ck_assert(!there.runs);
    ck_assert_uint_eq(here.count, gone.count);
    for (unsigned i = 0; i < here.count; i++)
        if (strncmp(here.reg[i].name, "tsc", 3))
            ck_assert_msg(here.reg[i].value == gone.reg[i].value, "%s", here.reg[i].name);
    session_free(source);
    session_free(there.session);
}
END_TEST

/* ---- protection ----------------------------------------------------------------------------- */

struct guarded {
    struct session *session;
    int fd;
    int end;
    char why[SESSION_ERROR];
};

static void *stand_by(void *context)
{
    struct guarded *b = context;
    struct link link = link_of_socket(b->fd, PATIENCE_MS);
    bool runs;
    b->end = (int)protect_receive(b->session, &link, &(struct protect_options){0}, &runs, b->why);
    link_close(&link);
    return NULL;
}

static void *protect(void *context)
{
    struct guarded *p = context;
    struct link link = link_of_socket(p->fd, PATIENCE_MS);
    struct protect_options options = {.epoch_ms = 10};
    struct protection *protection = protect_begin(p->session, &link, &options, p->why);
    p->end = protection && !session_run(p->session) ? (int)protect_run(protection, p->why) : -1;
    protect_free(protection);
    link_close(&link);
    return NULL;
}

/* The link is cut in the middle: the backup goes on, and what both have shown is what one prints. */
START_TEST(test_outlives)
{
    char expected[256] = "", printed[256] = "";
    struct session *reference = guest();
    struct guarded primary = {.session = guest()}, backup = {.session = guest()};
    struct view_protection v = {0};
    pthread_t threads[2];
    int fd[2], code_expected = run_to_end(reference);
    take_output(reference, expected, 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    primary.fd = fd[0];
    backup.fd = fd[1];
    ck_assert_int_eq(pthread_create(&threads[0], NULL, stand_by, &backup), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, protect, &primary), 0);
    for (int i = 0; i < 20000 && v.acknowledged < 5 && v.phase < PROTECTION_ALONE; i++) {
        usleep(1000);
        session_view_protection(primary.session, &v);
    }
    shutdown(fd[0], SHUT_RDWR);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_assert_msg(backup.end == BACKUP_TAKEN && primary.end == PROTECT_DOUBT, "%s; %s", primary.why,
                  backup.why);
    session_view_protection(backup.session, &v);
    size_t count = take_output(primary.session, printed, 0);
    ck_assert_uint_le(v.shown_from, count);
    ck_assert_int_eq(strncmp(printed, expected, count), 0);
    ck_assert_int_eq(run_to_end(backup.session), code_expected);
    take_output(backup.session, printed, (size_t)v.shown_from);
    ck_assert_str_eq(printed, expected);
    session_free(primary.session);
    session_free(backup.session);
    session_free(reference);
}
END_TEST

/* Its memory is KVM's to read, so nobody can be asked for a page: refused before anything is sent. */
START_TEST(test_no_postcopy)
{
    struct session *source = guest();
    struct view_status status;
    char why[SESSION_ERROR] = "";
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], PATIENCE_MS);
    ck_assert_int_eq(migrate_send(source, &link, &(struct migrate_options){.postcopy = true}, why),
                     MIGRATE_STAYED);
    link_close(&link);
    close(fd[1]);
    ck_assert_msg(strstr(why, "post-copy") && !strchr(why, '\n'), "%s", why);
    session_status(source, &status);
    ck_assert_int_eq(status.state, SESSION_STOPPED);
    ck_assert_int_ge(run_to_end(source), 0);
    session_free(source);
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-migrate");
    TCase *tests = tcase_create("moving");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_moves);
    tcase_add_test(tests, test_digest);
    tcase_add_test(tests, test_outlives);
    tcase_add_test(tests, test_no_postcopy);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
