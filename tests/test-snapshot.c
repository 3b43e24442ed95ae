/*
 * Snapshots as files. A guest that comes out of a file goes on as the one that was never put away,
 * in every engine, bare and under the monitor; directories agree with a model, also after the
 * program has died; what is torn, damaged, newer, hostile or of another guest is refused, by name.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "hv/link.h"
#include "hv/migrate.h"
#include "hv/protect.h"
#include "hv/qcow2.h"
#include "hv/session.h"
#include "hv/snapshot.h"
#include "tests/disk-writer.h"
#include "tests/random-elf.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/snapshot-plan.h"
#include "tests/tap.h"

static char folder[64], image[64], dir_path[80], disk[80];

static void set_up(void)
{
    const char *made = plan_folder();
    ck_assert_ptr_nonnull(made);
    strcpy(folder, made);
    snprintf(dir_path, sizeof dir_path, "%s/dir", folder);
    *image = *disk = 0;
}

static void tear_down(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    if (*image)
        unlink(image);
}

/* ---- guests --------------------------------------------------------------------------------- */

static void random_guest(uint64_t seed)
{
    strcpy(image, "/tmp/test-snapshot-XXXXXX");
    ck_assert(random_elf_write(image, seed, 0));
}

/* A guest that writes to one page. */
static void page_writer(void)
{
    guest_begin();
    guest_lui(S0, GUEST_DATA);
    guest_i(OP_addi, T0, T0, 1);
    guest_store(OP_sw, S0, T0, 0);
    guest_jump(1);
    guest_write(image);
}

static struct session_config config_for(const char *engine, enum session_under under)
{
    struct session_config config;
    session_config_init(&config);
    config.image = image;
    config.engine = engine;
    config.under = under;
    config.memory = 16u << 20;
    config.disk = *disk ? disk : NULL;
    return config;
}

static struct session *start(const char *engine, enum session_under under)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_for(engine, under);
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_msg(!session_keep(s, dir_path, why), "%s", why);
    return s;
}

static struct session *open_at(int id, const char *engine)
{
    char why[SESSION_ERROR] = "";
    struct session_config config = config_for(engine, SESSION_HV);
    struct session *s = session_open(dir_path, id, &config, why);
    ck_assert_msg(s != NULL, "%s", why);
    return s;
}

static void run_on(struct session *s, uint64_t count)
{
    int error = session_step(s, count);
    ck_assert(!error || error == -ESHUTDOWN);
    session_wait(s, -1);
}

static int keep(struct session *s, const char *name)
{
    char why[SESSION_ERROR] = "";
    int id = session_snapshot(s, name, why);
    ck_assert_msg(id > 0, "%s", why);
    return id;
}

/* ---- going on ------------------------------------------------------------------------------- */

enum { STEPS = 6, STEP = 3000, SEEDS = 4 };

static int ways(void)
{
    int engines = 0;
    while (engine_at((unsigned)engines))
        engines++;
    return 2 * engines;
}

struct seen {
    uint64_t digest, exits;
};

static struct seen see(struct session *s)
{
    struct view_status status;
    session_status(s, &status);
    return (struct seen){session_digest_all(s), status.exits};
}

static void same(struct seen a, struct seen b)
{
    ck_assert_uint_eq(a.digest, b.digest);
    ck_assert_uint_eq(a.exits, b.exits);
}

/* A chain of snapshots, and what the guest was at each and some time after. */
static void write_chain(const char *engine, enum session_under under, struct seen at[STEPS + 1])
{
    struct session *s = start(engine, under);
    for (int i = 0; i < STEPS; i++) {
        run_on(s, STEP);
        at[i] = see(s);
        ck_assert_int_eq(keep(s, "link"), i + 1);
        same(see(s), at[i]);
    }
    run_on(s, STEP);
    at[STEPS] = see(s);
    session_free(s);
}

START_TEST(test_goes_on)
{
    const char *engine = engine_at((unsigned)_i / 2)->name;
    enum session_under under = _i % 2 ? SESSION_HV : SESSION_BARE;
    struct seen at[STEPS + 1];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_guest(seed);
        snprintf(dir_path, sizeof dir_path, "%s/dir-%d", folder, (int)seed);
        write_chain(engine, under, at);
        for (int i = 0; i < STEPS; i++) {
            struct session *s = open_at(i + 1, engine);
            same(see(s), at[i]);
            run_on(s, STEP);
            same(see(s), at[i + 1]);
            session_free(s);
        }
        unlink(image);
    }
}
END_TEST

/* In one session: to files that this program has not written, and back to those that it has. */
START_TEST(test_to_and_fro)
{
    char why[SESSION_ERROR];
    struct seen at[STEPS + 1];
    enum session_under under = _i ? SESSION_HV : SESSION_BARE;
    random_guest(9);
    write_chain("auto", under, at);
    struct session *s = open_at(3, "auto");
    static const int WAY[] = {1, 5, 2, 6, 6, 4, 1, 3};
    for (unsigned i = 0; i < sizeof WAY / sizeof *WAY; i++) {
        ck_assert_msg(!session_restore(s, WAY[i], why), "%s", why);
        same(see(s), at[WAY[i] - 1]);
        run_on(s, STEP);
        same(see(s), at[WAY[i]]);
    }
    int branch = keep(s, "branch"); /* stands on 3, after one more step */
    ck_assert_int_eq(branch, STEPS + 1);
    struct view_snapshot list[16];
    ck_assert_int_eq(session_snapshots(s, list, 16), STEPS + 1);
    ck_assert_int_eq(list[STEPS].parent, 3);
    ck_assert(list[STEPS].current && !list[3].current);
    ck_assert_int_eq(session_restore(s, 77, why), -ENOENT);
    /* Without those it stands on it is still what it was. */
    ck_assert_int_eq(session_snapshot_delete(s, 3), 0);
    ck_assert_int_eq(session_snapshot_delete(s, 1), 0);
    ck_assert_int_eq(session_snapshot_delete(s, 1), -ENOENT);
    session_free(s);
    s = open_at(0, "interp");
    same(see(s), at[3]);
    session_free(s);
}
END_TEST

static void no_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    ck_abort_msg("%s: pages %u to %u differ", part, first, last);
}

static bool is_empty(const char *path)
{
    FILE *file = fopen(path, "r");
    int byte = 0;
    while (file && (byte = fgetc(file)) == 0)
        ;
    fclose(file);
    return byte == EOF;
}

/* What was written to the disk is in the snapshots, and not in its file. */
START_TEST(test_disk)
{
    char why[SESSION_ERROR] = "";
    guest_disk_writer(image);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    FILE *file = fopen(disk, "w");
    ck_assert(file && !ftruncate(fileno(file), 64 * 512) && !fclose(file));
    struct session *s = start("auto", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 200000);
    keep(s, "early");
    run_on(s, 100);
    struct seen soon = see(s);
    keep(s, "soon");
    session_free(s);
    s = open_at(1, "interp");
    run_on(s, 100);
    same(see(s), soon);
    keep(s, "again");
    session_free(s);
    ck_assert(is_empty(disk));
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    struct snapshot_file *a = snapshot_dir_load(dir, 2, true, why);
    struct snapshot_file *b = snapshot_dir_load(dir, 3, true, why);
    ck_assert_uint_eq(snapshot_dir_at(dir, 0)->blocks, 8);
    struct snapshot_differ differ = {.pages = no_pages};
    snapshot_diff(a, b, &differ);
    snapshot_free(a);
    snapshot_free(b);
    snapshot_dir_close(dir);
}
END_TEST

/* What was written to the disk is not in its file, so the guest cannot go where only that is. */
START_TEST(test_disk_stays)
{
    char why[SESSION_ERROR] = "";
    int fd[2];
    guest_disk_writer(image);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    FILE *file = fopen(disk, "w");
    ck_assert(file && !ftruncate(fileno(file), 64 * 512) && !fclose(file));
    struct session *s = start("auto", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 200000);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct link link = link_of_socket(fd[0], 1000);
    ck_assert_int_eq(migrate_send(s, &link, &(struct migrate_options){0}, why), MIGRATE_STAYED);
    ck_assert_msg(strstr(why, "directory of snapshots") != NULL, "%s", why);
    *why = 0;
    ck_assert_ptr_null(protect_begin(s, &link, &(struct protect_options){.epoch_ms = 10}, why));
    ck_assert_msg(strstr(why, "directory of snapshots") != NULL, "%s", why);
    ck_assert_int_eq(session_forget_past(s, why), -EBUSY);
    run_on(s, 100);
    keep(s, "goes on");
    session_free(s);
    link_close(&link);
    close(fd[1]);
    ck_assert(is_empty(disk));
}
END_TEST

/* ---- directories ---------------------------------------------------------------------------- */

START_TEST(test_model)
{
    char why[SNAPSHOT_ERROR] = "", export[100];
    struct snapshot_config config;
    struct plan plan;
    plan_begin(&plan, 100 + (unsigned)_i);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    plan_configure(&config, disk);
    snprintf(export, sizeof export, "%s/export", folder);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_CREATE, why);
    ck_assert_msg(dir != NULL, "%s", why);
    ck_assert_int_eq(snapshot_dir_configure(dir, &config, why), 0);
    for (int i = 0; i < 2 * PLAN_OPERATIONS; i++) {
        ck_assert_msg(plan_next(&plan, dir, export, why), "%s", why);
        ck_assert_msg(plan_agrees(&plan.model, dir, 0, 0, 0, why), "%s", why);
        struct snapshot_dir *again = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
        ck_assert_msg(again && plan_agrees(&plan.model, again, 0, 0, 0, why), "%s", why);
        snapshot_dir_close(again);
    }
    snapshot_dir_close(dir);
}
END_TEST

/* Every third step, from another one for each kind of death; tests/faults/snapshot.c tries all. */
START_TEST(test_dies)
{
    struct plan_result r;
    plan_crash(7 + (unsigned)_i, (enum plan_loss)(_i % PLAN_LOSSES), (unsigned)_i % 3, 3, folder,
               &r);
    ck_assert_msg(!r.failed, "%u of %u: %s", r.failed, r.points, r.first);
    ck_assert_uint_gt(r.points, 30);
}
END_TEST

START_TEST(test_one_writer)
{
    char why[SNAPSHOT_ERROR] = "";
    random_guest(2);
    struct session *s = start("interp", SESSION_BARE);
    keep(s, "one");
    ck_assert_ptr_null(snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why));
    ck_assert_ptr_nonnull(strstr(why, "another program writes there"));
    struct snapshot_dir *reader = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    ck_assert_ptr_nonnull(reader);
    ck_assert_int_eq(snapshot_dir_delete(reader, 1, why), -EROFS);
    snapshot_dir_close(reader);
    session_free(s);
    struct snapshot_dir *writer = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_ptr_nonnull(writer);
    snapshot_dir_close(writer);
}
END_TEST

/* ---- files ---------------------------------------------------------------------------------- */

static uint8_t *read_all(const char *path, size_t *count)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    uint8_t *bytes = malloc(1 << 20);
    *count = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void write_all(const char *path, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static struct snapshot_file *parse_copy(const uint8_t *bytes, size_t count, char *why)
{
    uint8_t *copy = malloc(count + 1);
    memcpy(copy, bytes, count);
    return snapshot_parse(copy, count, why);
}

static void file_of(int id, char path[120])
{
    snprintf(path, 120, "%s/snapshot-%d", dir_path, id);
}

/* The name of the section that byte `at` is in; and of the one behind it, which may be told when it
 * is the length that is wrong. */
static void section_at(const uint8_t *bytes, size_t count, size_t at, char name[17])
{
    size_t from = 12;
    strcpy(name, "");
    while (from + 32 <= count && from <= at) {
        uint64_t length = 0;
        for (int i = 7; i >= 0; i--)
            length = length << 8 | bytes[from + 16 + (size_t)i];
        memcpy(name, bytes + from, 16);
        name[16] = 0;
        from += 32 + (size_t)length;
    }
}

START_TEST(test_damage)
{
    char path[120], why[SNAPSHOT_ERROR], name[17];
    size_t count;
    random_guest(3);
    struct session *s = start("interp", SESSION_HV);
    run_on(s, STEP);
    keep(s, "whole");
    session_free(s);
    file_of(1, path);
    uint8_t *bytes = read_all(path, &count);
    struct snapshot_file *f = parse_copy(bytes, count, why);
    ck_assert_ptr_nonnull(f);
    snapshot_free(f);
    for (size_t cut = 0; cut < count; cut += cut < 600 ? 1 : 97)
        ck_assert_ptr_null(parse_copy(bytes, cut, why));
    for (size_t at = 0; at < count; at += at < 2000 ? 1 : 61) {
        bytes[at] ^= 0x10;
        *why = 0;
        ck_assert_ptr_null(parse_copy(bytes, count, why));
        bytes[at] ^= 0x10;
        section_at(bytes, count, at, name);
        bool head = at < 12, in_size = !strcmp(name, "about") && strstr(why, "size");
        ck_assert_msg(head || in_size || strstr(why, "section"), "%zu %s: %s", at, name, why);
    }
    free(bytes);
}
END_TEST

/* In the content of each section: its name is said, by the command and the session alike. */
START_TEST(test_damage_is_named)
{
    static const char *const NAMES[] = {"about", "tables", "monitor", "p.memory", "p.map", "p.log"};
    char path[120], why[SNAPSHOT_ERROR];
    size_t count;
    random_guest(3);
    struct session *s = start("interp", SESSION_HV);
    run_on(s, STEP);
    keep(s, "whole");
    session_free(s);
    file_of(1, path);
    uint8_t *bytes = read_all(path, &count);
    struct session_config wishes = config_for("interp", SESSION_HV);
    for (unsigned i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        uint8_t *head = memmem(bytes, count, NAMES[i], strlen(NAMES[i]) + 1);
        ck_assert_ptr_nonnull(head);
        head[32] ^= 1;
        write_all(path, bytes, count);
        head[32] ^= 1;
        ck_assert_ptr_null(session_open(dir_path, 1, &wishes, why));
        ck_assert_msg(strstr(why, "snapshot-1") && strstr(why, NAMES[i]), "%s", why);
    }
    write_all(path, bytes, count - 1);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    ck_assert_ptr_nonnull(strstr(snapshot_dir_at(dir, 0)->damage, "torn"));
    snapshot_dir_close(dir);
    bytes[8] = SNAPSHOT_VERSION + 1;
    write_all(path, bytes, count);
    ck_assert_ptr_null(session_open(dir_path, 1, &wishes, why));
    ck_assert_ptr_nonnull(strstr(why, "newer version"));
    free(bytes);
}
END_TEST

/* ---- overlays ------------------------------------------------------------------------------- */

static void plan_dir(struct plan *plan, unsigned seed, int operations)
{
    char why[SNAPSHOT_ERROR] = "", export[100];
    struct snapshot_config config;
    snprintf(disk, sizeof disk, "%s/disk", folder);
    snprintf(export, sizeof export, "%s/export", folder);
    plan_begin(plan, seed);
    plan_configure(&config, disk);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_CREATE, why);
    ck_assert_msg(dir && !snapshot_dir_configure(dir, &config, why), "%s", why);
    for (int i = 0; i < operations; i++)
        ck_assert_msg(plan_next(plan, dir, export, why), "%s", why);
    snapshot_dir_close(dir);
}

static void put_number(uint8_t *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* A snapshot's file as version 1 of it was: its blocks in it, and nothing of an overlay. */
static void write_old(struct snapshot_dir *dir, int id)
{
    enum { HEAD = 12, SECTION = 32 };
    char path[120], why[SNAPSHOT_ERROR];
    struct state_buffer b = {0};
    struct digest digest;
    struct snapshot_file *f = snapshot_dir_load(dir, id, false, why);
    ck_assert_msg(f != NULL, "%s", why);
    f->about.overlay = 0;
    ck_assert_int_eq(snapshot_serialise(f, &b), 0);
    size_t about = 8 + 7 * 8 + 2 + strlen(f->about.name), end = HEAD + SECTION + about;
    memmove(b.bytes + end, b.bytes + end + 4, b.count - end - 4);
    b.count -= 4;
    b.bytes[8] = 1;
    put_number(b.bytes + HEAD + 16, about, 8);
    put_number(b.bytes + HEAD + SECTION + 8, b.count, 8);
    digest_init(&digest);
    digest_bytes(&digest, b.bytes + HEAD, 16);
    digest_u64(&digest, about);
    digest_bytes(&digest, b.bytes + HEAD + SECTION, about);
    put_number(b.bytes + HEAD + 24, digest.value, 8);
    file_of(id, path);
    write_all(path, b.bytes, b.count);
    state_buffer_free(&b);
    snapshot_free(f);
}

static int count_overlays(void)
{
    int count = 0;
    for (int id = 1; id < PLAN_SNAPSHOTS; id++) {
        char path[120];
        snprintf(path, sizeof path, "%s/disk-%d.qcow2", dir_path, id);
        count += access(path, F_OK) == 0;
    }
    return count;
}

/* A directory of the time before there were overlays: it is read, and gets them as it is used. */
START_TEST(test_old_directory)
{
    char why[SNAPSHOT_ERROR] = "", export[100];
    struct plan plan;
    plan_dir(&plan, 300 + (unsigned)_i, PLAN_OPERATIONS);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    for (int i = 0; i < snapshot_dir_count(dir); i++)
        write_old(dir, snapshot_dir_at(dir, i)->id);
    snapshot_dir_close(dir);
    dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_ptr_nonnull(dir);
    ck_assert_int_eq(count_overlays(), 0); /* nobody needed them: they were swept away */
    ck_assert_msg(plan_agrees(&plan.model, dir, 0, 0, 0, why), "%s", why);
    snprintf(export, sizeof export, "%s/export", folder);
    for (int i = 0; i < PLAN_OPERATIONS; i++) {
        ck_assert_msg(plan_next(&plan, dir, export, why), "%s", why);
        ck_assert_msg(plan_agrees(&plan.model, dir, 0, 0, 0, why), "%s", why);
    }
    snapshot_dir_close(dir);
    ck_assert_int_gt(count_overlays(), 0);
}
END_TEST

static void overlay_of(int number, char path[120])
{
    snprintf(path, 120, "%s/disk-%d.qcow2", dir_path, number);
}

static void refused(int id, const char *complaint)
{
    char why[SNAPSHOT_ERROR] = "";
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    ck_assert_msg(dir != NULL, "%s", why);
    struct snapshot_file *f = snapshot_dir_load(dir, id, true, why);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(why, complaint) && strstr(why, "disk-1.qcow2"), "%s", why);
    snapshot_dir_close(dir);
}

/* Every byte of an overlay counts, but for the name of what it stands on. */
START_TEST(test_damaged_overlay)
{
    char path[120], why[SNAPSHOT_ERROR] = "";
    struct plan plan;
    size_t count;
    plan_dir(&plan, 5, 1);
    overlay_of(1, path);
    uint8_t *bytes = read_all(path, &count);
    ck_assert_uint_ge(count, 4 * SNAPSHOT_PAGE);
    ck_assert_ptr_null(memmem(bytes + SNAPSHOT_PAGE, count - SNAPSHOT_PAGE, "disk", 4));
    for (size_t at = 0; at < count; at += at < 128 ? 1 : 499) {
        bool may = (at >= 8 && at < 20) || (at >= 80 && at < 96) || at >= 100;
        bytes[at] ^= 0x40;
        write_all(path, bytes, count);
        bytes[at] ^= 0x40;
        if (!may || at >= SNAPSHOT_PAGE)
            refused(1, "disk-1.qcow2: ");
    }
    write_all(path, bytes, count - 1);
    refused(1, "damaged");
    write_all(path, bytes, 100);
    refused(1, "torn or damaged");
    ck_assert_int_eq(unlink(path), 0);
    refused(1, "No such file");
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_ptr_nonnull(strstr(snapshot_dir_at(dir, 0)->damage, "snapshot-1: its disk"));
    snapshot_dir_close(dir);
    write_all(path, bytes, count);
    dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_msg(plan_agrees(&plan.model, dir, 0, 0, 0, why), "%s", why);
    snapshot_dir_close(dir);
    free(bytes);
}
END_TEST

/* What is not made here is not swept away; what was and is not needed, is. */
START_TEST(test_sweeps)
{
    char path[120], other[120], why[SNAPSHOT_ERROR] = "";
    struct plan plan;
    size_t count;
    plan_dir(&plan, 5, 1);
    overlay_of(1, path);
    uint8_t *bytes = read_all(path, &count);
    overlay_of(8, other);
    write_all(other, bytes, count);
    overlay_of(9, other);
    ck_assert_int_eq(qcow2_create(other, &(struct qcow2_creation){.backing = "disk-1.qcow2"}, why),
                     0);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    snapshot_dir_close(dir);
    ck_assert_int_eq(count_overlays(), 3);
    dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_int_eq(count_overlays(), 2);
    ck_assert_int_eq(access(other, F_OK), 0);
    /* And nothing new is written in its place. */
    char export[100];
    snprintf(export, sizeof export, "%s/export", folder);
    ck_assert_int_eq(snapshot_dir_export(dir, 1, export, why), 0);
    ck_assert_int_eq(snapshot_dir_import(dir, export, why), 10);
    snapshot_dir_close(dir);
    free(bytes);
}
END_TEST

/* ---- other versions, other guests, malice --------------------------------------------------- */

/* Writes the snapshot back as `change` has made it, with checksums that fit; tries to open it. */
static struct session *open_changed(void (*change)(struct snapshot_file *f), char *why)
{
    struct session_config wishes = config_for("interp", SESSION_HV);
    struct state_buffer b = {0};
    char path[120];
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    struct snapshot_file *f = snapshot_dir_load(dir, 1, false, why);
    ck_assert_msg(f != NULL, "%s", why);
    change(f);
    ck_assert_int_eq(snapshot_serialise(f, &b), 0);
    file_of(1, path);
    write_all(path, b.bytes, b.count);
    state_buffer_free(&b);
    snapshot_free(f);
    snapshot_dir_close(dir);
    return session_open(dir_path, 1, &wishes, why);
}

/* The first table is "machine", with one field: u16 version, u16 7, "machine", u32 1, ... */
static void newer_table(struct snapshot_file *f)
{
    f->tables.bytes[0]++;
}

static void older_table(struct snapshot_file *f)
{
    static const uint8_t head[] = {0, 0, 7, 0, 'm', 'a', 'c', 'h', 'i', 'n', 'e', 0, 0, 0, 0};
    struct snapshot_fields walk = {f->tables.bytes, f->tables.count, 0, "", 0};
    struct snapshot_field field;
    ck_assert(snapshot_next_field(&walk, &field) && !strcmp(field.table, "machine") && !walk.left);
    struct state_buffer b = {0};
    state_buffer_add(&b, head, sizeof head);
    state_buffer_add(&b, f->tables.bytes + walk.at, f->tables.count - walk.at);
    state_buffer_free(&f->tables);
    f->tables = b;
}

static void unknown_table(struct snapshot_file *f)
{
    f->tables.bytes[4] = 'M';
}

static void short_table(struct snapshot_file *f)
{
    f->tables.count--;
}

static void bad_mode(struct snapshot_file *f)
{
    struct snapshot_fields walk = {f->tables.bytes, f->tables.count, 0, "", 0};
    struct snapshot_field field;
    while (snapshot_next_field(&walk, &field))
        if (!strcmp(field.table, "hart") && !strcmp(field.name, "mode"))
            *(uint8_t *)field.values = 7;
}

/* A number in the monitor's tables. */
static void set_number(struct snapshot_file *f, const char *table, const char *name)
{
    struct snapshot_fields walk = {f->monitor.bytes, f->monitor.count, 0, "", 0};
    struct snapshot_field field;
    bool found = false;
    while (!found && snapshot_next_field(&walk, &field))
        if (!strcmp(field.table, table) && !strcmp(field.name, name)) {
            memset((uint8_t *)field.values, 0xf0, 1);
            found = true;
        }
    ck_assert(found);
}

static void many_free(struct snapshot_file *f)
{
    set_number(f, "frames", "free_count");
}

static void next_frame(struct snapshot_file *f)
{
    set_number(f, "frames", "next");
}

static void wild_root(struct snapshot_file *f)
{
    set_number(f, "shadow set", "root");
}

static void wild_set(struct snapshot_file *f)
{
    set_number(f, "shadow", "active");
}

/* The first page of the guest is said to be one of the monitor's. */
static void wild_map(struct snapshot_file *f)
{
    struct snapshot_part *map = snapshot_find_part(f, "map");
    ck_assert(map && map->count);
    for (int i = 0; i < SNAPSHOT_PAGE; i += 4)
        if (map->page[0].bytes[i + 2])
            ((uint8_t *)map->page[0].bytes)[i + 2] ^= 0x40;
}

static void other_part(struct snapshot_file *f)
{
    snapshot_find_part(f, "log")->unit++;
}

static void no_part(struct snapshot_file *f)
{
    free(f->part[--f->parts].page);
}

static const struct {
    void (*change)(struct snapshot_file *f);
    const char *complaint; /* NULL: it is loaded */
} CHANGES[] = {
    {newer_table, "newer version"},
    {older_table, NULL},
    {unknown_table, "makes no sense"},
    {short_table, "makes no sense"},
    {bad_mode, "'hart' makes no sense"},
    {many_free, "never have been"},
    {next_frame, "never have been"},
    {wild_root, "never have been"},
    {wild_set, "never have been"},
    {wild_map, "never have been"},
    {other_part, "log is not of this guest"},
    {no_part, "log is not of this guest"},
};

START_TEST(test_changed)
{
    char why[SNAPSHOT_ERROR] = "";
    random_guest(3);
    struct session *s = start("interp", SESSION_HV);
    run_on(s, STEP);
    keep(s, "one");
    struct seen before = see(s);
    session_free(s);
    s = open_changed(CHANGES[_i].change, why);
    if (!CHANGES[_i].complaint) {
        ck_assert_msg(s != NULL, "%s", why);
        same(see(s), before);
        session_free(s);
        return;
    }
    ck_assert_ptr_null(s);
    ck_assert_msg(strstr(why, CHANGES[_i].complaint) && strstr(why, "snapshot-1"), "%s", why);
}
END_TEST

/* A refused file leaves the guest that is there as it is. */
START_TEST(test_refused_changes_nothing)
{
    char why[SNAPSHOT_ERROR] = "", export[100];
    random_guest(3);
    struct session *s = start("interp", SESSION_HV);
    run_on(s, STEP);
    keep(s, "one");
    run_on(s, STEP);
    keep(s, "two");
    run_on(s, STEP);
    struct seen after = see(s);
    session_free(s);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    snprintf(export, sizeof export, "%s/export", folder);
    ck_assert_msg(!snapshot_dir_export(dir, 2, export, why), "%s", why);
    ck_assert_int_eq(snapshot_dir_import(dir, export, why), 3);
    snapshot_dir_close(dir);
    ck_assert_ptr_null(open_changed(wild_map, why));
    s = open_at(3, "interp"); /* which stands on nothing */
    run_on(s, STEP);
    same(see(s), after);
    ck_assert_int_eq(session_restore(s, 1, why), -EINVAL);
    same(see(s), after);
    run_on(s, STEP);
    session_free(s);
}
END_TEST

START_TEST(test_other_guest)
{
    char why[SNAPSHOT_ERROR] = "";
    random_guest(3);
    struct session *s = start("interp", SESSION_HV);
    keep(s, "one");
    session_free(s);
    struct session_config config = config_for("interp", SESSION_BARE);
    s = session_new(&config, why);
    ck_assert_int_eq(session_keep(s, dir_path, why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "bare, hv and kvm"));
    session_free(s);
    FILE *file = fopen(image, "a");
    fputc(0, file);
    fclose(file);
    ck_assert_ptr_null(session_open(dir_path, 1, &config, why));
    ck_assert_ptr_nonnull(strstr(why, "the guest is another file"));
}
END_TEST

static void count_field(void *context, const char *table, const char *field, uint32_t index,
                        uint32_t count, uint64_t a, uint64_t b)
{
    unsigned *seen = context;
    seen[0] += !strcmp(table, "hart") && !strcmp(field, "executed") && b - a == 100;
}

static void count_pages(void *context, const char *part, uint32_t first, uint32_t last)
{
    unsigned *seen = context;
    ck_assert_str_eq(part, "memory");
    for (uint32_t page = first; page <= last; page++)
        seen[1 + (page == (GUEST_DATA - 0x80000000u) / SNAPSHOT_PAGE ? 0 : 1)]++;
}

/* A guest that writes to one page: that page and the hart differ, and no other page. */
START_TEST(test_diff)
{
    char why[SNAPSHOT_ERROR] = "";
    page_writer();
    struct session *s = start("interp", _i ? SESSION_HV : SESSION_BARE);
    run_on(s, 300);
    keep(s, "a");
    run_on(s, 100);
    keep(s, "b");
    session_free(s);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    struct snapshot_file *a = snapshot_dir_load(dir, 1, true, why);
    struct snapshot_file *b = snapshot_dir_load(dir, 2, true, why);
    unsigned seen[3] = {0};
    struct snapshot_differ differ = {.field = count_field, .pages = count_pages, .context = seen};
    snapshot_diff(a, b, &differ);
    ck_assert_uint_eq(seen[0], 1);
    ck_assert_uint_eq(seen[1], 1);
    ck_assert_uint_eq(seen[2], 0);
    ck_assert_uint_le(snapshot_dir_at(dir, 1)->pages, 4); /* and the log of exits */
    snapshot_free(a);
    snapshot_free(b);
    snapshot_dir_close(dir);
}
END_TEST

/* ---- the calls of a running session --------------------------------------------------------- */

/* How often the value `name` of `part` changes by `by`. */
static int changes(const struct view_differences *d, const char *part, const char *name,
                   uint64_t by)
{
    int count = 0;
    for (unsigned i = 0; i < d->count; i++)
        count += d->difference[i].kind == DIFFERENCE_VALUE &&
                 d->difference[i].b - d->difference[i].a == by &&
                 !strcmp(d->difference[i].part, part) && !strcmp(d->difference[i].name, name);
    return count;
}

/* In memory and in files alike; and the guest is what it was before. */
START_TEST(test_session_diff)
{
    static struct view_differences d;
    char why[SESSION_ERROR] = "";
    page_writer();
    struct session_config config = config_for("interp", SESSION_HV);
    struct session *s = _i ? start("interp", SESSION_HV) : session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    run_on(s, 300);
    int a = keep(s, "a");
    run_on(s, 100);
    int b = keep(s, "b");
    run_on(s, 60);
    struct seen before = see(s);
    ck_assert_msg(!session_snapshot_diff(s, a, b, &d, why), "%s", why);
    ck_assert_int_eq(changes(&d, "hart", "executed", 100), 1);
    ck_assert_int_eq(changes(&d, "hart", "t0", 33) + changes(&d, "hart", "t0", 34), 1);
    ck_assert_uint_eq(d.pages, 1);
    ck_assert_uint_eq(d.total[DIFFERENCE_MEMORY], 1);
    ck_assert_uint_eq(d.difference[d.count - 1].a, GUEST_DATA);
    ck_assert_msg(!session_snapshot_diff(s, b, 0, &d, why), "%s", why);
    ck_assert_int_eq(changes(&d, "hart", "executed", 60), 1);
    ck_assert_msg(!session_snapshot_diff(s, a, a, &d, why), "%s", why);
    ck_assert_uint_eq(d.count, 0);
    ck_assert_int_eq(session_snapshot_diff(s, a, 77, &d, why), -ENOENT);
    ck_assert_int_eq(session_snapshots(s, NULL, 0), 2);
    same(see(s), before);
    ck_assert_msg(!session_restore(s, a, why), "%s", why);
    ck_assert_msg(!session_snapshot_diff(s, a, 0, &d, why), "%s", why);
    ck_assert_uint_eq(d.count, 0);
    session_free(s);
}
END_TEST

START_TEST(test_session_directory)
{
    char why[SESSION_ERROR] = "", export[100], path[120];
    struct view_snapshot list[8];
    struct seen at[4];
    snprintf(export, sizeof export, "%s/export", folder);
    page_writer();
    struct session *s = start("interp", SESSION_BARE);
    for (int i = 0; i < 3; i++) {
        run_on(s, 100);
        at[i] = see(s);
        keep(s, "chain");
    }
    ck_assert_msg(!session_restore(s, 1, why), "%s", why);
    run_on(s, 50);
    at[3] = see(s);
    keep(s, "beside");
    ck_assert_int_eq(session_snapshot_tree(s, list, 8), 4);
    static const int TREE[][3] = {{1, 0, 1}, {2, 1, 0}, {3, 2, 1}, {4, 1, 1}}; /* id, depth, last */
    for (int i = 0; i < 4; i++)
        ck_assert(list[i].id == TREE[i][0] && list[i].depth == TREE[i][1] &&
                  list[i].last == TREE[i][2]);
    ck_assert_int_eq(session_snapshot_tree(s, list, 2), 4);
    ck_assert_msg(!session_snapshot_export(s, 3, export, why), "%s", why);
    ck_assert_msg(!session_snapshot_commit(s, 2, why), "%s", why); /* 1 is what 2 was */
    ck_assert_int_eq(session_snapshot_commit(s, 1, why), -ENOENT);
    ck_assert_int_eq(session_snapshot_import(s, export, why), 5);
    static const int IS[][2] = {{1, 1}, {3, 2}, {4, 3}, {5, 2}, {1, 1}};
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(!session_restore(s, IS[i][0], why), "%s", why);
        same(see(s), at[IS[i][1]]);
    }
    run_on(s, 100);
    same(see(s), at[2]);
    keep(s, "after all that"); /* on 1, as it is now */
    ck_assert_int_eq(session_snapshot_check(s, why), 0);
    session_free(s);
    s = open_at(6, "interp");
    same(see(s), at[2]);
    file_of(4, path);
    ck_assert_int_eq(truncate(path, 300), 0);
    ck_assert_int_eq(session_snapshot_check(s, why), 1);
    ck_assert_ptr_nonnull(strstr(why, "snapshot-4"));
    session_free(s);
}
END_TEST

START_TEST(test_session_without_directory)
{
    char why[SESSION_ERROR] = "";
    page_writer();
    struct session_config config = config_for("interp", SESSION_BARE);
    struct session *s = session_new(&config, why);
    keep(s, "one");
    ck_assert_int_eq(session_snapshot_commit(s, 1, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, "no directory"));
    ck_assert_int_eq(session_snapshot_export(s, 1, "/nowhere/file", why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_import(s, "/nowhere/file", why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_check(s, why), -ENOTSUP);
    ck_assert_int_eq(session_snapshot_tree(s, NULL, 0), 1);
    session_free(s);
}
END_TEST

/* QEMU's tools take each overlay, and see the disk that the guest had. */
static void judge(const char *format, ...)
{
    char command[600];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(command + length, sizeof command - (size_t)length, " >/dev/null 2>&1");
    ck_assert_msg(system(command) == 0, "%s", command);
}

START_TEST(test_qemu_img)
{
    char why[SNAPSHOT_ERROR] = "";
    struct plan plan;
    if (system("command -v qemu-img >/dev/null"))
        return;
    plan_dir(&plan, 11 + (unsigned)_i, PLAN_OPERATIONS);
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_READ, why);
    for (int i = 0; i < snapshot_dir_count(dir); i++) {
        char raw[100];
        int number = snapshot_dir_at(dir, i)->overlay;
        const struct plan_content *is = &plan.model.snapshot[snapshot_dir_at(dir, i)->id];
        snprintf(raw, sizeof raw, "%s/raw", folder);
        FILE *file = fopen(raw, "w");
        for (int block = 0; block < PLAN_BLOCKS; block++)
            for (int byte = 0; byte < SNAPSHOT_PAGE; byte++)
                fputc(is->block[block] ? is->block[block] : 77, file);
        fclose(file);
        judge("qemu-img info --backing-chain '%s/disk-%d.qcow2'", dir_path, number);
        judge("qemu-img check '%s/disk-%d.qcow2'", dir_path, number);
        judge("qemu-img compare -f raw -F qcow2 '%s' '%s/disk-%d.qcow2'", raw, dir_path, number);
    }
    /* The disk has gone to another place: the overlays that stand on it can be told. */
    judge("mv '%s' '%s/moved'", disk, folder);
    for (int i = 0; i < snapshot_dir_count(dir); i++)
        if (!snapshot_dir_at(dir, i)->parent)
            judge("qemu-img rebase -u -F raw -b '%s/moved' '%s/disk-%d.qcow2'", folder, dir_path,
                  snapshot_dir_at(dir, i)->overlay);
    snapshot_dir_close(dir);
    dir = snapshot_dir_open(dir_path, SNAPSHOT_WRITE, why);
    ck_assert_msg(plan_agrees(&plan.model, dir, 0, 0, 0, why), "%s", why);
    snapshot_dir_close(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tcase = tcase_create("snapshot");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_goes_on, 0, ways());
    tcase_add_loop_test(tcase, test_to_and_fro, 0, 2);
    tcase_add_loop_test(tcase, test_disk, 0, 2);
    tcase_add_loop_test(tcase, test_disk_stays, 0, 2);
    tcase_add_loop_test(tcase, test_model, 0, 6);
    tcase_add_loop_test(tcase, test_dies, 0, 2 * PLAN_LOSSES);
    tcase_add_loop_test(tcase, test_old_directory, 0, 3);
    tcase_add_test(tcase, test_damaged_overlay);
    tcase_add_test(tcase, test_sweeps);
    tcase_add_test(tcase, test_one_writer);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_damage_is_named);
    tcase_add_loop_test(tcase, test_changed, 0, ROWS(CHANGES));
    tcase_add_test(tcase, test_refused_changes_nothing);
    tcase_add_test(tcase, test_other_guest);
    tcase_add_loop_test(tcase, test_diff, 0, 2);
    tcase_add_loop_test(tcase, test_session_diff, 0, 2);
    tcase_add_test(tcase, test_session_directory);
    tcase_add_test(tcase, test_session_without_directory);
    tcase_add_loop_test(tcase, test_qemu_img, 0, 2);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
