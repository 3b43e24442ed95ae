/*
 * Session directories of x86 guests. The guest counts, and writes its count to sector count % 64 of
 * its disk, for ever: so registers, memory and disk of each moment are known. What comes out of a
 * directory goes on as what was never put away; what dies at any write has lost nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "hv/link.h"
#include "hv/migrate.h"
#include "hv/qcow2.h"
#include "hv/session.h"
#include "hv/session_priv.h"
#include "hv/snapshot.h"
#include "tests/kvm-guest.h"

enum { LONG_MS = 300000, SECTORS = 64, SECTOR = 512, CODE = 0x100000, AGAIN = 0x3b };

static char folder[64], image[100], disk[100], dir_path[100];

/* ---- the guest ------------------------------------------------------------------------------ */

enum { MMIO = 0xd0000000u, DESC = 0x20000, REQUEST = 0x21000, DATA = 0x22000, ANSWER = 0x23000 };
enum { AVAIL = 0x24000, USED = 0x25000, COUNT = 0x30000, TABLE_AT = 0x100 };

/* flat32 at 0x100000 */
static const uint8_t writer[] = {
    0x31, 0xdb,                                        /* 00: xor ebx, ebx */
    0xbe, 0x00, 0x01, 0x10, 0x00,                      /* 02: mov esi, 0x100100: the table below */
    0xad,                                              /* 07: lodsd */
    0x85, 0xc0,                                        /* 08: test eax, eax */
    0x74, 0x07,                                        /* 0a: jz 13 */
    0x89, 0xc7,                                        /* 0c: mov edi, eax */
    0xad,                                              /* 0e: lodsd */
    0x89, 0x07,                                        /* 0f: mov [edi], eax */
    0xeb, 0xf4,                                        /* 11: jmp 07 */
    0x43,                                              /* 13: inc ebx */
    0x89, 0x1d, 0x00, 0x20, 0x02, 0x00,                /* 14: mov [DATA], ebx */
    0x89, 0xd8,                                        /* 1a: mov eax, ebx */
    0x83, 0xe0, 0x3f,                                  /* 1c: and eax, 63 */
    0xa3, 0x08, 0x10, 0x02, 0x00,                      /* 1f: mov [REQUEST + 8], eax: the sector */
    0x66, 0xff, 0x05, 0x02, 0x40, 0x02, 0x00,          /* 24: inc word [AVAIL + 2] */
    0xff, 0x05, 0x00, 0x00, 0x03, 0x00,                /* 2b: inc dword [COUNT] */
    0xc7, 0x05, 0x50, 0x00, 0x00, 0xd0, 0,    0, 0, 0, /* 31: mov dword [QueueNotify], 0 */
    0xeb, 0xd6,                                        /* 3b: jmp 13 */
};

/* What is written where, before that. Virtio 1.2, 4.2.2 and 2.7. */
static const uint32_t table[] = {
    MMIO + 0x70, 1,
    MMIO + 0x70, 3, /* Status: ACKNOWLEDGE, DRIVER */
    MMIO + 0x24, 1,
    MMIO + 0x20, 1,  /* features 32..: VERSION_1 */
    MMIO + 0x70, 11, /* FEATURES_OK */
    MMIO + 0x30, 0,
    MMIO + 0x38, 8, /* queue 0 of 8 */
    MMIO + 0x80, DESC,
    MMIO + 0x90, AVAIL,
    MMIO + 0xa0, USED,
    MMIO + 0x44, 1,  /* ready */
    MMIO + 0x70, 15, /* DRIVER_OK */
    DESC,        REQUEST,
    DESC + 8,    16,           /* descriptor 0: what is wanted, */
    DESC + 12,   1 | 1u << 16, /* next: 1 */
    DESC + 16,   DATA,
    DESC + 24,   512,          /* 1: the sector's bytes, */
    DESC + 28,   1 | 2u << 16, /* next: 2 */
    DESC + 32,   ANSWER,
    DESC + 40,   1, /* 2: the answer, written by the device */
    DESC + 44,   2,
    REQUEST,     1, /* VIRTIO_BLK_T_OUT */
    0,
};

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    static uint8_t bytes[TABLE_AT + sizeof table], empty[SECTORS * SECTOR];
    bool memory = access("/dev/shm", W_OK | X_OK) == 0;
    snprintf(folder, sizeof folder, "%s/vitrine-kvm-snapshot.XXXXXX", memory ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/image", folder);
    snprintf(disk, sizeof disk, "%s/disk.img", folder);
    snprintf(dir_path, sizeof dir_path, "%s/dir", folder);
    memcpy(bytes, writer, sizeof writer);
    memcpy(bytes + TABLE_AT, table, sizeof table);
    write_file(image, bytes, sizeof bytes);
    write_file(disk, empty, sizeof empty);
}

static void teardown(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static struct session_config config_of_guest(void)
{
    struct session_config config;
    session_config_init(&config);
    config.under = SESSION_KVM;
    config.image = image;
    config.disk = disk;
    config.memory = 4 << 20;
    config.boot_format = "flat32";
    return config;
}

static struct session *begin(void)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_of_guest();
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

static struct session *reopen(int id)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_of_guest();
    struct session *s = session_open(dir_path, id, &config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

static void keep(struct session *s)
{
    char why[SESSION_ERROR] = "";
    ck_assert_msg(!session_keep(s, dir_path, why), "%s", why);
}

static int take(struct session *s, const char *name)
{
    char why[SESSION_ERROR] = "";
    int id = session_snapshot(s, name, why);
    ck_assert_msg(id > 0, "%s", why);
    return id;
}

static uint64_t reg(struct session *s, const char *name)
{
    static struct view_registers all;
    session_view_registers(s, &all);
    for (unsigned i = 0; i < all.count; i++)
        if (!strcmp(all.reg[i].name, name))
            return all.reg[i].value;
    return UINT64_MAX;
}

/* Up to where the guest has counted `count`: a breakpoint behind each notification. */
static void count_to(struct session *s, uint64_t count)
{
    while (reg(s, "rbx") != count || reg(s, "rip") != CODE + AGAIN) {
        ck_assert_int_eq(session_run_to(s, CODE + AGAIN), 0);
        ck_assert_int_eq(session_wait(s, LONG_MS), 0);
        ck_assert_uint_le(reg(s, "rbx"), count);
    }
}

static uint32_t word_at(struct session *s, uint64_t address)
{
    struct view_memory memory;
    uint32_t word;
    session_view_memory(s, true, address, 4, &memory);
    memcpy(&word, memory.data, 4);
    return word;
}

static uint64_t exits_of(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    return status.exits;
}

/* The sector's first word: the count that was written there last, up to `count`. */
static uint32_t sector_after(unsigned sector, uint32_t count)
{
    uint32_t last = count - (count - sector) % SECTORS;
    return count < sector || !last ? 0 : last;
}

static void disk_is(const char *path, uint32_t count)
{
    char why[QCOW2_ERROR];
    struct qcow2 *q = qcow2_open(path, QCOW2_READONLY, why);
    ck_assert_msg(q != NULL, "%s", why);
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        uint32_t word;
        ck_assert_int_eq(qcow2_read(q, sector * SECTOR, &word, 4), 0);
        ck_assert_uint_eq(word, sector_after(sector, count));
    }
    qcow2_close(q);
}

static void file_is(uint32_t count)
{
    FILE *file = fopen(disk, "r");
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        uint32_t word;
        ck_assert_int_eq(fseek(file, sector * SECTOR, SEEK_SET), 0);
        ck_assert_uint_eq(fread(&word, 4, 1, file), 1);
        ck_assert_uint_eq(word, sector_after(sector, count));
    }
    fclose(file);
}

static void overlay_is(int number, uint32_t count)
{
    char path[140];
    snprintf(path, sizeof path, "%s/disk-%d.qcow2", dir_path, number);
    disk_is(path, count);
}

/* ---- in memory ------------------------------------------------------------------------------ */

/* Restoring takes the disk back, too; at the end its file is as the guest sees it. */
START_TEST(test_disk_goes_back)
{
    char why[SESSION_ERROR] = "";
    struct session *s = begin();
    count_to(s, 5);
    int first = take(s, "five");
    uint64_t exits = exits_of(s);
    count_to(s, 9);
    int second = take(s, "nine");
    count_to(s, 12);
    static struct view_differences d;
    ck_assert_msg(!session_snapshot_diff(s, first, second, &d, why), "%s", why);
    ck_assert_uint_eq(d.blocks, 2); /* sectors 6 to 9 */
    ck_assert_uint_eq(d.pages, 5);
    ck_assert_msg(!session_snapshot_diff(s, second, 0, &d, why), "%s", why);
    ck_assert_uint_eq(d.blocks, 1);
    ck_assert_uint_eq(reg(s, "rbx"), 12);
    ck_assert_msg(!session_restore(s, first, why), "%s", why);
    ck_assert_uint_eq(reg(s, "rbx"), 5);
    ck_assert_uint_eq(exits_of(s), exits);
    count_to(s, 7);
    ck_assert_int_eq(session_snapshot_delete(s, first), 0);
    ck_assert_msg(!session_restore(s, second, why), "%s", why);
    count_to(s, 10);
    session_free(s);
    file_is(10);
}
END_TEST

/* Who answers for a block: the top, a snapshot, or the disk's file. */
START_TEST(test_disk_layers)
{
    static struct view_layers v;
    char why[SESSION_ERROR] = "", access;
    uint64_t byte;
    struct session *s = begin();
    ck_assert(!session_last_disk_access(s, &byte, &access));
    session_view_layers(s, true, 0, &v);
    ck_assert(!v.present);
    count_to(s, 9); /* sector 9 is in the second block */
    ck_assert(session_last_disk_access(s, &byte, &access));
    ck_assert(access == 'w' && byte == 9 * SECTOR);
    int first = take(s, "first");
    count_to(s, 16); /* and 16 in the third */
    take(s, "second");
    count_to(s, 17);
    static const int ANSWERS[] = {3, 1, 0, 3}; /* of top, second, first, the file */
    for (unsigned block = 0; block < 4; block++) {
        session_view_layers(s, true, block * 4096 + 5, &v);
        ck_assert(v.present && v.there);
        ck_assert_uint_eq(v.layers, 4);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(v.layer[i].answered, i == ANSWERS[block]);
    }
    ck_assert_str_eq(v.layer[1].name, "second");
    ck_assert_msg(!session_restore(s, first, why), "%s", why);
    session_view_layers(s, true, 4096, &v);
    ck_assert_uint_eq(v.layers, 3);
    ck_assert(v.layer[2].answered);
    ck_assert_str_eq(v.layer[1].beside, "second");
    session_view_layers(s, true, 1 << 20, &v);
    ck_assert(!v.there && strstr(v.why, "ends before"));
    session_free(s);
}
END_TEST

START_TEST(test_disk_is_written)
{
    char why[SESSION_ERROR] = "";
    struct session *s = begin();
    count_to(s, 3);
    file_is(3);
    take(s, "three");
    count_to(s, 6);
    file_is(3);
    ck_assert_msg(!session_write_disk(s, why), "%s", why);
    file_is(6);
    ck_assert_int_eq(session_snapshots(s, NULL, 0), 0);
    count_to(s, 8);
    file_is(8);
    session_free(s);
}
END_TEST

/* A guest that moves has all in the file first, and no way back; one that is protected gets none.
 */
START_TEST(test_disk_moves)
{
    char why[SESSION_ERROR] = "";
    struct session *s = begin();
    const struct backend_move *move = s->ops->move;
    take(s, "one");
    count_to(s, 3);
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_HOLD), -EBUSY);
    ck_assert_int_eq(move->flush(s->backend), 0);
    file_is(3);
    ck_assert_int_eq(session_snapshots(s, NULL, 0), 0);
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_HOLD), 0);
    count_to(s, 5);
    file_is(3);
    ck_assert_int_eq(session_snapshot(s, "no", why), -EBUSY);
    ck_assert_ptr_nonnull(strstr(why, "protected"));
    ck_assert_int_eq(session_keep(s, dir_path, why), -EBUSY);
    ck_assert_int_eq(session_write_disk(s, why), 0);
    file_is(3);
    ck_assert_int_eq(move->disk(s->backend, MOVE_DISK_RELEASE), 0);
    file_is(5);
    take(s, "two");
    count_to(s, 7);
    ck_assert_int_eq(session_forget_past(s, why), 0);
    file_is(7);
    ck_assert_int_eq(session_snapshots(s, NULL, 0), 0);
    session_free(s);
}
END_TEST

/* ... and what a directory has of the disk is nowhere else: it stays where that is. */
START_TEST(test_kept_disk_stays)
{
    char why[SESSION_ERROR] = "";
    int fd[2];
    struct session *s = begin();
    keep(s);
    count_to(s, 3);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], 1000);
    ck_assert_int_eq(migrate_send(s, &link, &(struct migrate_options){0}, why), MIGRATE_STAYED);
    ck_assert_msg(strstr(why, "directory of snapshots") != NULL, "%s", why);
    ck_assert_int_eq(session_forget_past(s, why), -EBUSY);
    take(s, "goes on");
    session_free(s);
    link_close(&link);
    close(fd[1]);
    file_is(0);
}
END_TEST

/* ---- directories ---------------------------------------------------------------------------- */

static void is_at(struct session *s, uint32_t count)
{
    ck_assert_uint_eq(reg(s, "rbx"), count);
    ck_assert_uint_eq(word_at(s, COUNT), count);
    ck_assert_uint_eq(word_at(s, DATA), count);
}

START_TEST(test_round_trip)
{
    char why[SESSION_ERROR] = "";
    struct session *s = begin();
    keep(s);
    count_to(s, 4);
    ck_assert_int_eq(take(s, "four"), 1);
    count_to(s, 9);
    ck_assert_int_eq(take(s, "nine"), 2);
    uint64_t exits = exits_of(s), digest = session_digest(s);
    count_to(s, 20);
    uint64_t later = exits_of(s);
    session_free(s);
    file_is(0);
    overlay_is(1, 4);
    overlay_is(2, 9);
    s = reopen(2);
    is_at(s, 9);
    ck_assert_uint_eq(exits_of(s), exits);
    ck_assert_uint_eq(session_digest(s), digest);
    count_to(s, 20); /* equal continuation: what the guest counts, and what it has left */
    is_at(s, 20);
    ck_assert_uint_eq(exits_of(s), later);
    ck_assert_msg(!session_restore(s, 1, why), "%s", why);
    is_at(s, 4);
    count_to(s, 6);
    ck_assert_int_eq(take(s, "six"), 3);
    session_free(s);
    overlay_is(3, 6);
    s = reopen(3);
    is_at(s, 6);
    session_free(s);
}
END_TEST

struct seen {
    unsigned memory, blocks, rbx;
};

static void see_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    struct seen *seen = context;
    *(strcmp(part, "disk") ? &seen->memory : &seen->blocks) += last - first + 1;
}

static void see_piece(void *context, const char *name, const uint8_t *a, const uint8_t *b,
                      size_t count)
{
    struct seen *seen = context;
    uint64_t x, y;
    if (strcmp(name, "regs") || count < 16)
        return;
    memcpy(&x, a + 8, 8); /* struct kvm_regs: rax, rbx */
    memcpy(&y, b + 8, 8);
    seen->rbx = (unsigned)(y - x);
}

START_TEST(test_diff_delete_commit)
{
    char why[SNAPSHOT_ERROR] = "";
    struct session *s = begin();
    keep(s);
    for (unsigned i = 1; i <= 4; i++) {
        count_to(s, 8 * i);
        take(s, "one of four");
    }
    session_free(s);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    struct snapshot_file *a = snapshot_dir_load(dir, 1, true, why);
    struct snapshot_file *b = snapshot_dir_load(dir, 2, true, why);
    struct seen seen = {0};
    snapshot_diff(a, b, &(struct snapshot_differ){NULL, see_pages, see_piece, &seen});
    ck_assert_uint_eq(seen.rbx, 8);
    ck_assert_uint_eq(seen.blocks, 2); /* sectors 9 to 16 */
    ck_assert_uint_eq(seen.memory, 5); /* REQUEST, DATA, AVAIL, USED, COUNT */
    snapshot_free(a);
    snapshot_free(b);
    ck_assert_msg(!snapshot_dir_delete(dir, 2, why), "%s", why);
    ck_assert_msg(!snapshot_dir_commit(dir, 4, why), "%s", why);
    snapshot_dir_close(dir);
    overlay_is(1, 8);
    overlay_is(4, 32);
    s = reopen(3); /* is what 4 was */
    is_at(s, 32);
    ck_assert_msg(!session_restore(s, 1, why), "%s", why);
    is_at(s, 8);
    session_free(s);
}
END_TEST

/* One byte of the overlay, or of the file: named, and the guest that is there stays as it is. */
START_TEST(test_damaged)
{
    static const char *const NAMES[] = {"disk-1.qcow2", "snapshot-1"};
    char why[SESSION_ERROR] = "", path[140];
    struct session *s = begin();
    keep(s);
    count_to(s, 4);
    take(s, "four");
    session_free(s);
    snprintf(path, sizeof path, "%s/%s", dir_path, NAMES[_i]);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert(!fseek(file, -10, SEEK_END) && fputc(0x5a, file) == 0x5a && !fclose(file));
    struct session_config config = config_of_guest();
    ck_assert_ptr_null(session_open(dir_path, 1, &config, why));
    ck_assert_msg(strstr(why, NAMES[_i]) && strstr(why, "damaged"), "%s", why);
    s = begin();
    keep(s);
    count_to(s, 2);
    ck_assert_int_eq(session_restore(s, 1, why), -EINVAL);
    is_at(s, 2);
    session_free(s);
}
END_TEST

/* ---- dying ---------------------------------------------------------------------------------- */

enum { TAKES = 3, DIED = 42 };

struct death {
    unsigned at, steps;
};

static void on_step(void *context, const struct snapshot_step *step)
{
    struct death *d = context;
    if (++d->steps != d->at)
        return;
    if (step->fd >= 0 && step->bytes && write(step->fd, step->bytes, step->count / 2) < 0)
        _exit(1);
    _exit(DIED);
}

/* In the child. `taken`: how many were acknowledged. */
static void live(unsigned at, volatile unsigned *taken)
{
    struct death d = {.at = at};
    char why[SESSION_ERROR];
    struct session_config config = config_of_guest();
    struct session *s = session_new(&config, why);
    if (!s || session_keep(s, dir_path, why))
        _exit(1);
    snapshot_dir_watch(s->kept, on_step, &d);
    for (unsigned i = 1; i <= TAKES; i++) {
        count_to(s, 3 * i);
        if (session_snapshot(s, "", why) < 0)
            _exit(1);
        taken[0] = i;
    }
    session_free(s);
    _exit(0);
}

/* Whether it died there; else it has lived to its end. */
static bool die(unsigned at, unsigned *taken)
{
    volatile unsigned *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t child = fork();
    if (child == 0)
        live(at, shared);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    *taken = *shared;
    munmap((void *)shared, 4096);
    ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED));
    return WEXITSTATUS(status) == DIED;
}

START_TEST(test_dies)
{
    unsigned taken, points = 0;
    for (unsigned at = 1 + (unsigned)_i; die(at, &taken); at += 3) {
        char why[SNAPSHOT_ERROR] = "", command[140];
        points++;
        struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
        ck_assert_msg(dir != NULL, "%s", why);
        ck_assert_int_ge(snapshot_dir_count(dir), (int)taken);
        for (int id = 1; id <= snapshot_dir_count(dir); id++) {
            struct snapshot_file *f = snapshot_dir_load(dir, id, true, why);
            ck_assert_msg(f != NULL, "%s", why);
            snapshot_free(f);
            overlay_is(id, 3 * (unsigned)id);
        }
        snapshot_dir_close(dir);
        if (taken) {
            struct session *s = reopen((int)taken);
            is_at(s, 3 * taken);
            session_free(s);
        }
        snprintf(command, sizeof command, "rm -r '%s'", dir_path);
        ck_assert_int_eq(system(command), 0);
    }
    ck_assert_uint_ge(points, 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-snapshot");
    TCase *tests = tcase_create("kvm-snapshot");
    if (kvm_is_missing())
        return 0;
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_disk_goes_back);
    tcase_add_test(tests, test_disk_layers);
    tcase_add_test(tests, test_disk_is_written);
    tcase_add_test(tests, test_disk_moves);
    tcase_add_test(tests, test_kept_disk_stays);
    tcase_add_test(tests, test_round_trip);
    tcase_add_test(tests, test_diff_delete_commit);
    tcase_add_loop_test(tests, test_damaged, 0, 2);
    tcase_add_loop_test(tests, test_dies, 0, 3);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
