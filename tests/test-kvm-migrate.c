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
#include "tests/disk-pair.h"
#include "tests/kvm-guest.h"

enum { PATIENCE_MS = 20000, RUN_MS = 120000 }; /* with the other side; a guest's whole run */

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

/* Counts in ebx up to 0x4000, and writes the count to the first sector of cluster (64 KiB) count %
 * 32 of its disk; after each 16 writes it flushes, after each 0x400 there is a letter on COM1. ebp
 * counts requests. The debug exit gets 0 if the device has done all of them well. */
static const uint8_t disk_code[] = {
    0xbe, 0x00, 0x00, 0x00, 0xd0,                               /* mov esi,0xd0000000 */
    0xbf, 0x00, 0x00, 0x20, 0x00,                               /* mov edi,0x200000 */
    0x8d, 0x87, 0x00, 0x03, 0x00, 0x00,                         /* lea eax,[edi+0x300] */
    0x89, 0x07,                                                 /* mov [edi],eax */
    0xc7, 0x47, 0x08, 0x10, 0x00, 0x00, 0x00,                   /* mov [edi+0x8],0x10 */
    0xc7, 0x47, 0x0c, 0x01, 0x00, 0x01, 0x00,                   /* mov [edi+0xc],0x10001 */
    0x8d, 0x87, 0x00, 0x04, 0x00, 0x00,                         /* lea eax,[edi+0x400] */
    0x89, 0x47, 0x10,                                           /* mov [edi+0x10],eax */
    0xc7, 0x47, 0x18, 0x00, 0x02, 0x00, 0x00,                   /* mov [edi+0x18],0x200 */
    0xc7, 0x47, 0x1c, 0x01, 0x00, 0x02, 0x00,                   /* mov [edi+0x1c],0x20001 */
    0x8d, 0x87, 0x00, 0x06, 0x00, 0x00,                         /* lea eax,[edi+0x600] */
    0x89, 0x47, 0x20,                                           /* mov [edi+0x20],eax */
    0xc7, 0x47, 0x28, 0x01, 0x00, 0x00, 0x00,                   /* mov [edi+0x28],0x1 */
    0xc7, 0x47, 0x2c, 0x02, 0x00, 0x00, 0x00,                   /* mov [edi+0x2c],0x2 */
    0xc7, 0x87, 0x00, 0x03, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, /* mov [edi+0x300],0x1 */
    0xc7, 0x46, 0x70, 0x03, 0x00, 0x00, 0x00,                   /* mov [esi+0x70],0x3 */
    0xc7, 0x46, 0x24, 0x00, 0x00, 0x00, 0x00,                   /* mov [esi+0x24],0x0 */
    0xc7, 0x46, 0x20, 0x00, 0x02, 0x00, 0x00,                   /* mov [esi+0x20],0x200 */
    0xc7, 0x46, 0x24, 0x01, 0x00, 0x00, 0x00,                   /* mov [esi+0x24],0x1 */
    0xc7, 0x46, 0x20, 0x01, 0x00, 0x00, 0x00,                   /* mov [esi+0x20],0x1 */
    0xc7, 0x46, 0x70, 0x0b, 0x00, 0x00, 0x00,                   /* mov [esi+0x70],0xb */
    0xc7, 0x46, 0x38, 0x08, 0x00, 0x00, 0x00,                   /* mov [esi+0x38],0x8 */
    0x89, 0xbe, 0x80, 0x00, 0x00, 0x00,                         /* mov [esi+0x80],edi */
    0x8d, 0x87, 0x00, 0x01, 0x00, 0x00,                         /* lea eax,[edi+0x100] */
    0x89, 0x86, 0x90, 0x00, 0x00, 0x00,                         /* mov [esi+0x90],eax */
    0x8d, 0x87, 0x00, 0x02, 0x00, 0x00,                         /* lea eax,[edi+0x200] */
    0x89, 0x86, 0xa0, 0x00, 0x00, 0x00,                         /* mov [esi+0xa0],eax */
    0xc7, 0x46, 0x44, 0x01, 0x00, 0x00, 0x00,                   /* mov [esi+0x44],0x1 */
    0xc7, 0x46, 0x70, 0x0f, 0x00, 0x00, 0x00,                   /* mov [esi+0x70],0xf */
    0x31, 0xdb,                                                 /* xor ebx,ebx */
    0x31, 0xed,                                                 /* xor ebp,ebp */
    0x43,                                                       /* inc ebx */
    0x89, 0x9f, 0x00, 0x04, 0x00, 0x00,                         /* mov [edi+0x400],ebx */
    0x89, 0xd8,                                                 /* mov eax,ebx */
    0x83, 0xe0, 0x1f,                                           /* and eax,0x1f */
    0xc1, 0xe0, 0x07,                                           /* shl eax,0x7 */
    0x89, 0x87, 0x08, 0x03, 0x00, 0x00,                         /* mov [edi+0x308],eax */
    0x45,                                                       /* inc ebp */
    0x89, 0xe8,                                                 /* mov eax,ebp */
    0xc1, 0xe0, 0x10,                                           /* shl eax,0x10 */
    0x89, 0x87, 0x00, 0x01, 0x00, 0x00,                         /* mov [edi+0x100],eax */
    0xc7, 0x46, 0x50, 0x00, 0x00, 0x00, 0x00,                   /* mov [esi+0x50],0x0 */
    0xf6, 0xc3, 0x0f,                                           /* test bl,0xf */
    0x75, 0xd3,                                                 /* jne b9 <again> */
    0xc7, 0x87, 0x00, 0x03, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, /* mov [edi+0x300],0x4 */
    0x45,                                                       /* inc ebp */
    0x89, 0xe8,                                                 /* mov eax,ebp */
    0xc1, 0xe0, 0x10,                                           /* shl eax,0x10 */
    0x89, 0x87, 0x00, 0x01, 0x00, 0x00,                         /* mov [edi+0x100],eax */
    0xc7, 0x46, 0x50, 0x00, 0x00, 0x00, 0x00,                   /* mov [esi+0x50],0x0 */
    0xc7, 0x87, 0x00, 0x03, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, /* mov [edi+0x300],0x1 */
    0xf7, 0xc3, 0xff, 0x03, 0x00, 0x00,                         /* test ebx,0x3ff */
    0x75, 0xa4,                                                 /* jne b9 <again> */
    0x66, 0xba, 0xf8, 0x03,                                     /* mov dx,0x3f8 */
    0x89, 0xd8,                                                 /* mov eax,ebx */
    0xc1, 0xe8, 0x0a,                                           /* shr eax,0xa */
    0x24, 0x0f,                                                 /* and al,0xf */
    0x04, 0x61,                                                 /* add al,0x61 */
    0xee,                                                       /* out dx,al */
    0x81, 0xfb, 0x00, 0x40, 0x00, 0x00,                         /* cmp ebx,0x4000 */
    0x75, 0x8e,                                                 /* jne b9 <again> */
    0x0f, 0xb7, 0x87, 0x02, 0x02, 0x00, 0x00,                   /* movzx eax,[edi+0x202] */
    0x66, 0x29, 0xe8,                                           /* sub ax,bp */
    0x08, 0xe0,                                                 /* or al,ah */
    0x0a, 0x87, 0x00, 0x06, 0x00, 0x00,                         /* or al,BYTE PTR [edi+0x600] */
    0x66, 0xba, 0x01, 0x05,                                     /* mov dx,0x501 */
    0xee,                                                       /* out dx,al */
    0xf4,                                                       /* hlt */
};

enum { DISK_COUNT = 0x4000 };

static struct disk_pair files;

static struct session *guest_with(const char *disk, bool away)
{
    struct session_config config;
    char why[SESSION_ERROR] = "";
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.disk = disk;
    config.disk_away = away;
    config.boot_format = "flat32";
    config.memory = 8 << 20;
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

static struct session *guest(void)
{
    return guest_with(NULL, false);
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

static void migrate_to(struct session *from, struct side *to, struct session *session)
{
    int fd[2];
    pthread_t thread;
    char why[SESSION_ERROR] = "";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], PATIENCE_MS);
    *to = (struct side){.session = session, .link = link_of_socket(fd[1], PATIENCE_MS)};
    ck_assert_int_eq(pthread_create(&thread, NULL, receive, to), 0);
    enum migrate_end end =
        migrate_send(from, &link, &(struct migrate_options){.downtime = 10}, why);
    pthread_join(thread, NULL);
    link_close(&link);
    ck_assert_msg(end == MIGRATE_MOVED && to->end == MIGRATE_MOVED, "%s; %s", why, to->why);
}

static void migrate(struct session *from, struct side *to)
{
    migrate_to(from, to, guest());
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
    ck_assert_int_eq(session_wait(s, RUN_MS), 0);
    session_status(s, &status);
    ck_assert_msg(status.stop == STOPPED_POWEROFF, "%s\n%s", status.text, status.detail);
    return status.exit_code;
}

static void make_image(const uint8_t *bytes, size_t count)
{
    strcpy(image + strlen(image) - 6, "XXXXXX");
    int fd = mkstemp(image);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static void setup(void)
{
    make_image(code, sizeof code);
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
    ck_assert_int_eq(session_wait(source, RUN_MS), 0);
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

/* ---- disks ---------------------------------------------------------------------------------- */

static void setup_disk(void)
{
    make_image(disk_code, sizeof disk_code);
}

static void teardown_disk(void)
{
    disk_pair_remove(&files);
    teardown();
}

/* Runs to its end, with the text that is left; all is in the file then. */
static void expect_end(struct session *s, char *printed, size_t count)
{
    ck_assert_int_eq(run_to_end(s), 0);
    take_output(s, printed, count);
    ck_assert_str_eq(printed, "bcdefghijklmnopa");
    session_free(s);
    const char *wrong = disk_pair_check_file(&files, DISK_COUNT);
    ck_assert_msg(!wrong, "%s", wrong);
}

/* There and back while it writes: no write is lost, and who does not have the guest does not have
 * the disk. */
START_TEST(test_disk_moves)
{
    char printed[256] = "";
    disk_pair_make(&files, (enum disk_kind)_i);
    struct session *source = guest_with(files.disk, false);
    struct session *second = guest_with(files.disk, true), *third;
    struct side there, back;
    ck_assert_int_eq(session_run(second), -ENOLCK);
    ck_assert_int_eq(session_run(source), 0);
    migrate_to(source, &there, second);
    third = guest_with(files.disk, true);
    ck_assert(there.runs);
    ck_assert_int_eq(session_run(second), 0);
    size_t count = take_output(source, printed, 0);
    migrate_to(second, &back, third);
    count = take_output(second, printed, count);
    ck_assert_int_eq(session_run(second), -ESHUTDOWN);
    session_free(source);
    expect_end(third, printed, count);
    session_free(second);
    const char *wrong = disk_pair_check_file(&files, DISK_COUNT);
    ck_assert_msg(!wrong, "%s", wrong);
}
END_TEST

/* ---- protection ----------------------------------------------------------------------------- */

struct guarded {
    struct session *session;
    struct fence *fence;
    int fd;
    int end;
    char why[SESSION_ERROR];
};

static void *stand_by(void *context)
{
    struct guarded *b = context;
    struct link link = link_of_socket(b->fd, PATIENCE_MS);
    bool runs;
    b->end = (int)protect_receive(b->session, &link, &(struct protect_options){.fence = b->fence},
                                  &runs, b->why);
    link_close(&link);
    return NULL;
}

static void *protect(void *context)
{
    struct guarded *p = context;
    struct link link = link_of_socket(p->fd, PATIENCE_MS);
    struct protect_options options = {.epoch_ms = 10, .fence = p->fence};
    struct protection *protection = protect_begin(p->session, &link, &options, p->why);
    p->end = protection && !session_run(p->session) ? (int)protect_run(protection, p->why) : -1;
    protect_free(protection);
    link_close(&link);
    return NULL;
}

/* Protects, and cuts the link after so many epochs. */
static void protect_and_cut(struct guarded *primary, struct guarded *backup, uint64_t epochs)
{
    struct view_protection v = {0};
    pthread_t threads[2];
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    primary->fd = fd[0];
    backup->fd = fd[1];
    ck_assert_int_eq(pthread_create(&threads[0], NULL, stand_by, backup), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, protect, primary), 0);
    for (int i = 0; i < 20000 && v.acknowledged < epochs && v.phase < PROTECTION_ALONE; i++) {
        usleep(1000);
        session_view_protection(primary->session, &v);
    }
    shutdown(fd[0], SHUT_RDWR);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

/* The link is cut in the middle: the backup goes on, and what both have shown is what one prints.
 */
START_TEST(test_outlives)
{
    char expected[256] = "", printed[256] = "";
    struct session *reference = guest();
    struct guarded primary = {.session = guest()}, backup = {.session = guest()};
    struct view_protection v = {0};
    int code_expected = run_to_end(reference);
    take_output(reference, expected, 0);
    protect_and_cut(&primary, &backup, 5);
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

/* The same with a disk, and a fence that says who may have it: whoever that is, the disk is whole
 * at the end, and the other one cannot write to it. */
START_TEST(test_disk_outlives)
{
    char printed[256] = "", path[] = "/tmp/test-fence-XXXXXX";
    struct fence fence[2];
    struct view_protection v;
    disk_pair_make(&files, DISK_CHAIN);
    close(mkstemp(path));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fence_open(&fence[i], path), 0);
    ck_assert_int_eq(fence_begin(&fence[0], PATIENCE_MS), 0);
    struct guarded primary = {.session = guest_with(files.disk, false), .fence = &fence[0]};
    struct guarded backup = {.session = guest_with(files.disk, true), .fence = &fence[1]};
    protect_and_cut(&primary, &backup, (uint64_t)_i);
    bool there = backup.end == BACKUP_TAKEN, here = primary.end == PROTECT_ALONE;
    ck_assert_msg(here != there, "%s; %s", primary.why, backup.why);
    struct session *survivor = there ? backup.session : primary.session;
    struct session *other = there ? primary.session : backup.session;
    ck_assert_int_eq(session_run(other), there ? -ESHUTDOWN : -ENOLCK);
    session_view_protection(survivor, &v);
    size_t count = there ? take_output(other, printed, 0) : 0;
    ck_assert_uint_le(there ? v.shown_from : 0, count);
    expect_end(survivor, printed, there ? (size_t)v.shown_from : 0);
    session_free(other);
    const char *wrong = disk_pair_check_file(&files, DISK_COUNT);
    ck_assert_msg(!wrong, "%s", wrong);
    fence_close(&fence[0]);
    fence_close(&fence[1]);
    unlink(path);
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
    TCase *tests = tcase_create("moving"), *disks = tcase_create("disks");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_moves);
    tcase_add_test(tests, test_digest);
    tcase_add_test(tests, test_outlives);
    tcase_add_test(tests, test_no_postcopy);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(disks, 600);
    tcase_add_checked_fixture(disks, setup_disk, teardown_disk);
    tcase_add_loop_test(disks, test_disk_moves, 0, DISK_KINDS);
    tcase_add_loop_test(disks, test_disk_outlives, 1, 4);
    suite_add_tcase(suite, disks);
    return tap_run(suite);
}
