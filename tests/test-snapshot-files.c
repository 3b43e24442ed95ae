/*
 * Session directories: they agree with a model, also after the program has died; what is torn,
 * damaged, newer, hostile or of another guest is refused, by name; and QEMU's tools accept the
 * disks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/qcow2.h"
#include "hv/session.h"
#include "hv/snapshot_priv.h"
#include "tests/snapshot-guest.h"
#include "tests/snapshot-plan.h"
#include "tests/tap.h"

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

/* What a crash has left half written goes; files of others in the folder stay, whatever they are
 * called. */
START_TEST(test_files_of_others)
{
    static const struct {
        const char *name;
        bool ours;
    } FILES[] = {{"letter.new", false},         {"snapshot-1x.new", false}, {"snapshot.new", false},
                 {"disk-1.qcow2.1.new", false}, {"snapshot-7.new", true},   {"session.new", true},
                 {"disk-3.qcow2.new", true}};
    char path[120], why[SNAPSHOT_ERROR] = "";
    ck_assert_int_eq(mkdir(dir_path, 0777), 0);
    for (unsigned i = 0; i < ROWS(FILES); i++) {
        snprintf(path, sizeof path, "%s/%s", dir_path, FILES[i].name);
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fclose(file);
    }
    struct snapshot_dir *dir = snapshot_dir_open(dir_path, SNAPSHOT_CREATE, why);
    ck_assert_msg(dir != NULL, "%s", why);
    for (unsigned i = 0; i < ROWS(FILES); i++) {
        snprintf(path, sizeof path, "%s/%s", dir_path, FILES[i].name);
        ck_assert_msg((access(path, F_OK) == 0) == !FILES[i].ours, "%s", path);
    }
    snapshot_dir_close(dir);
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

/* A stranger's overlay whose checksum fits. Each of the entries of L1 names one table, all of
 * zeros: to go through it, entry by entry, would take ten seconds for each MiB of such a file. */
START_TEST(test_overlay_of_one_table)
{
    enum { ENTRIES = 65536, CONFIG = 7, AT_L1_OFFSET = 40 };
    const uint64_t size = (uint64_t)ENTRIES * SNAPSHOT_PAGE / 8 * SNAPSHOT_PAGE;
    char why[SNAPSHOT_ERROR] = "";
    uint64_t l1;
    struct state_buffer b = {0};
    struct snapshot_file *f = snapshot_new();
    ck_assert_ptr_nonnull(f);
    struct snapshot_part *part = snapshot_add_part(f, "disk", size, 1, true);
    ck_assert_ptr_nonnull(part);
    ck_assert_int_eq(snapshot_overlay_make(part, "disk.img", "raw", CONFIG, &b, why), 0);
    uint64_t table = (b.count + SNAPSHOT_PAGE - 1) / SNAPSHOT_PAGE * SNAPSHOT_PAGE;
    while (b.count < table + SNAPSHOT_PAGE)
        state_buffer_add(&b, "", 1);
    memcpy(&l1, b.bytes + AT_L1_OFFSET, sizeof l1);
    for (size_t i = 0; i < ENTRIES; i++)
        memcpy(b.bytes + be64toh(l1) + 8 * i, &(uint64_t){htobe64(table)}, 8);
    snapshot_overlay_seal(b.bytes, b.count, CONFIG);
    ck_assert_int_eq(snapshot_overlay_take(f, b.bytes, b.count, CONFIG, why), -EINVAL);
    ck_assert_str_eq(why, "damaged: its tables make no sense");
    snapshot_free(f); /* and the bytes, which it has taken */
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
    Suite *suite = suite_create("snapshot-files");
    TCase *tcase = tcase_create("snapshot-files");
    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, snapshot_set_up, snapshot_tear_down);
    tcase_add_loop_test(tcase, test_model, 0, 6);
    tcase_add_loop_test(tcase, test_dies, 0, 2 * PLAN_LOSSES);
    tcase_add_loop_test(tcase, test_old_directory, 0, 3);
    tcase_add_test(tcase, test_damaged_overlay);
    tcase_add_test(tcase, test_overlay_of_one_table);
    tcase_add_test(tcase, test_sweeps);
    tcase_add_test(tcase, test_one_writer);
    tcase_add_test(tcase, test_files_of_others);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_damage_is_named);
    tcase_add_loop_test(tcase, test_changed, 0, ROWS(CHANGES));
    tcase_add_test(tcase, test_refused_changes_nothing);
    tcase_add_test(tcase, test_other_guest);
    tcase_add_loop_test(tcase, test_qemu_img, 0, 2);
    suite_add_tcase(suite, tcase);
    return tap_run(suite);
}
