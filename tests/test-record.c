/*
 * Sessions as files: what was recorded comes again, in every engine; what is torn, damaged, newer
 * or does not fit is refused, and a run that comes to something else is found out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "cpu/state.h"
#include "hv/record.h"
#include "hv/session.h"
#include "tests/random-program.h"
#include "tests/small-guest.h"
#include "tests/tap.h"

/* ---- the file ---------------------------------------------------------------------------------
 */

static char path[] = "/tmp/test-record.XXXXXX";

static void new_path(void)
{
    strcpy(path, "/tmp/test-record.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static struct record *some_record(void)
{
    struct record *r = record_new();
    ck_assert_ptr_nonnull(r);
    r->under = SESSION_HV;
    r->ad_trap = true;
    r->memory = 64 << 20;
    strcpy(r->kernel_args, "quiet");
    strcpy(r->image.path, "/some/where/guest.elf");
    r->image.size = 12345;
    r->image.digest = 0x0123456789abcdef;
    ck_assert(record_add(r, (struct record_entry){RECORD_INPUT, 100, 'x', 7}));
    ck_assert(record_add(r, (struct record_entry){RECORD_RESET, 200, 0, 0}));
    ck_assert(record_add(r, (struct record_entry){RECORD_DIGEST, 50, 1, 0}));
    ck_assert(record_add(r, (struct record_entry){RECORD_END, 60, END_POWEROFF | 3 << 8, 9}));
    return r;
}

static uint8_t bytes[4096];

static size_t file_bytes(void)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return count;
}

static void seal(uint8_t *at, size_t count) /* the checksum is the last 8 */
{
    struct digest digest;
    digest_init(&digest);
    digest_bytes(&digest, at, count - 8);
    for (int i = 0; i < 8; i++)
        at[count - 8 + (size_t)i] = (uint8_t)(digest.value >> 8 * i);
}

START_TEST(test_comes_back)
{
    char why[RECORD_ERROR];
    struct record *a = some_record();
    new_path();
    ck_assert_int_eq(record_write(a, path, why), 0);
    struct record *b = record_read(path, why);
    ck_assert_msg(b != NULL, "%s", why);
    ck_assert_int_eq(b->under, a->under);
    ck_assert(b->ad_trap && !b->misaligned_trap && !b->disk_readonly);
    ck_assert_uint_eq(b->memory, a->memory);
    ck_assert_str_eq(b->kernel_args, a->kernel_args);
    ck_assert_str_eq(b->image.path, a->image.path);
    ck_assert_uint_eq(b->image.size, a->image.size);
    ck_assert_uint_eq(b->image.digest, a->image.digest);
    ck_assert_str_eq(b->disk.path, "");
    ck_assert_uint_eq(b->count, a->count);
    for (size_t i = 0; i < a->count; i++) {
        ck_assert_int_eq(b->entry[i].kind, a->entry[i].kind);
        ck_assert_uint_eq(b->entry[i].instruction, a->entry[i].instruction);
        ck_assert_uint_eq(b->entry[i].a, a->entry[i].a);
        ck_assert_uint_eq(b->entry[i].b, a->entry[i].b);
    }
    record_free(a);
    record_free(b);
    unlink(path);
}
END_TEST

START_TEST(test_damage)
{
    char why[RECORD_ERROR];
    struct record *a = some_record();
    new_path();
    ck_assert_int_eq(record_write(a, path, why), 0);
    size_t count = file_bytes();
    ck_assert_uint_eq(bytes[8], 1); /* what older programs can read they shall */
    for (size_t cut = 0; cut < count; cut++)
        ck_assert_ptr_null(record_parse(bytes, cut, why));
    ck_assert_ptr_null(record_parse(bytes, count + 1, why));
    for (size_t at = 0; at < count; at++) {
        bytes[at] ^= 0x10;
        ck_assert_ptr_null(record_parse(bytes, count, why));
        bytes[at] ^= 0x10;
    }
    /* With a checksum that fits, too: it is refused or makes sense, and never more. */
    for (size_t at = 12; at < count - 8; at++) {
        bytes[at] ^= 0xff;
        seal(bytes, count);
        struct record *b = record_parse(bytes, count, why);
        ck_assert(!b || b->entry[b->count - 1].kind == RECORD_END);
        record_free(b);
        bytes[at] ^= 0xff;
    }
    bytes[8] = RECORD_VERSION + 1;
    seal(bytes, count);
    ck_assert_ptr_null(record_parse(bytes, count, why));
    ck_assert_ptr_nonnull(strstr(why, "newer version"));
    record_free(a);
    unlink(path);
}
END_TEST

START_TEST(test_places)
{
    char why[RECORD_ERROR];
    struct record *a = some_record();
    ck_assert_int_eq(record_write(a, "/nowhere/at/all", why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all"));
    ck_assert_int_eq(record_write(a, "/dev/null", why), -EEXIST);
    ck_assert_ptr_null(record_read("/nowhere/at/all", why));
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all"));
    ck_assert_ptr_null(record_read("/dev/zero", why));
    record_free(a);
}
END_TEST

/* ---- recording and following ------------------------------------------------------------------
 */

/* Counts; looks now and then for what is typed, and adds it to the count. 'r' resets the machine, 'q'
 * switches it off. */
static char image[64];

static void make_guest(void)
{
    enum { LOOP = 3 };
    guest_begin();
    guest_lui(T0, GUEST_DATA);
    guest_lui(T1, 0x10000000);
    guest_lui(S1, 0x100000);     /* the finisher */
    guest_i(OP_addi, S0, S0, 1); /* LOOP */
    guest_store(OP_sw, T0, S0, 0);
    guest_i(OP_andi, T2, S0, 31);
    guest_branch(OP_bne, T2, 0, LOOP);
    guest_i(OP_lbu, T2, T1, 5);
    guest_i(OP_andi, T2, T2, 1);
    guest_branch(OP_beq, T2, 0, LOOP);
    guest_i(OP_lbu, T2, T1, 0);
    guest_r(OP_add, S0, S0, T2);
    guest_store(OP_sb, T1, T2, 0);
    guest_i(OP_addi, A0, 0, 'q');
    guest_branch(OP_beq, T2, A0, 21);
    guest_i(OP_addi, A0, 0, 'r');
    guest_branch(OP_bne, T2, A0, LOOP);
    guest_lui(T2, 0x7000);
    guest_i(OP_addi, T2, T2, 0x777);
    guest_store(OP_sw, S1, T2, 0);
    guest_jump(LOOP);
    guest_lui(T2, 0x5000); /* 21 */
    guest_i(OP_addi, T2, T2, 0x555);
    guest_store(OP_sw, S1, T2, 0);
    guest_write(image);
}

static char output[65536];
static size_t printed;

static void print(void *context, const uint8_t *more, size_t count)
{
    for (size_t i = 0; i < count && printed < sizeof output; i++)
        output[printed++] = (char)more[i];
}

static struct session_config config_for(const char *engine, int under)
{
    struct session_config config;
    session_config_init(&config);
    config.image = image;
    config.engine = engine;
    config.under = under ? SESSION_HV : SESSION_BARE;
    config.memory = 16u << 20;
    config.history = 64u << 20;
    config.balloon = true;
    config.output = print;
    printed = 0;
    return config;
}

static struct session *start(int under)
{
    struct session_config config = config_for("auto", under);
    char why[SESSION_ERROR];
    struct session *s = session_new(&config, why);
    ck_assert_msg(s != NULL, "%s", why);
    ck_assert_msg(session_record(s, path, why) == 0, "%s", why);
    return s;
}

static struct view_status wait_for(struct session *s, int failed)
{
    struct view_status status;
    ck_assert_int_eq(failed, 0);
    ck_assert_int_eq(session_wait(s, -1), 0);
    session_status(s, &status);
    return status;
}

static void type(struct session *s, const char *text)
{
    ck_assert_uint_eq(session_input(s, (const uint8_t *)text, strlen(text)), strlen(text));
}

static void end(struct session *s)
{
    char why[SESSION_ERROR];
    ck_assert_msg(session_record_end(s, why) == 0, "%s", why);
    session_free(s);
}

/* Follows the record in every engine: it ends so, with this digest, having printed this. */
static void check_replay(enum session_stop stop, uint64_t digest, int under)
{
    static char before[sizeof output];
    size_t count = printed;
    memcpy(before, output, count);
    for (unsigned e = 0; engine_at(e); e++) {
        char why[SESSION_ERROR];
        struct session_config wishes = config_for(engine_at(e)->name, under);
        struct session *s = session_replay(path, &wishes, why);
        ck_assert_msg(s != NULL, "%s", why);
        type(s, "nobody reads this");
        struct view_status status = wait_for(s, session_run(s));
        ck_assert_msg(status.stop == stop, "%s: %s", engine_at(e)->name, status.text);
        if (digest)
            ck_assert(session_digest(s) == digest);
        ck_assert_uint_eq(printed, count);
        ck_assert_int_eq(memcmp(output, before, count), 0);
        session_free(s);
    }
}

START_TEST(test_session)
{
    make_guest();
    new_path();
    struct session *s = start(_i);
    wait_for(s, session_step(s, 10345678));
    type(s, "abc");
    wait_for(s, session_step(s, 1000000));
    type(s, "xyz");
    wait_for(s, session_step(s, 100));
    uint64_t digest = session_digest(s);
    end(s);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_lt(st.st_size, 1000);
    check_replay(STOPPED_RECORD_END, digest, _i);
    unlink(path);
    unlink(image);
}
END_TEST

/* What the balloon is asked for is input, too, and needs the newer version of the format. */
START_TEST(test_balloon)
{
    char why[SESSION_ERROR];
    make_guest();
    new_path();
    struct session *s = start(_i);
    wait_for(s, session_step(s, 1000));
    uint64_t before = session_digest(s);
    ck_assert_int_eq(session_set_balloon(s, 7), 0);
    ck_assert(session_digest(s) != before);
    wait_for(s, session_step(s, 5000));
    type(s, "a");
    wait_for(s, session_step(s, 5000));
    ck_assert_int_eq(session_set_balloon(s, 9), 0);
    wait_for(s, session_step(s, 1)); /* what comes at the very end is not followed any more */
    uint64_t digest = session_digest(s);
    end(s);
    ck_assert_uint_gt(file_bytes(), 12);
    ck_assert_uint_eq(bytes[8], 2);
    check_replay(STOPPED_RECORD_END, digest, _i);
    struct session_config wishes = config_for("auto", _i);
    s = session_replay(path, &wishes, why);
    ck_assert_int_eq(session_set_balloon(s, 1), -EBUSY);
    session_free(s);
    /* Version 1 has no such entry. */
    size_t count = file_bytes();
    bytes[8] = 1;
    seal(bytes, count);
    ck_assert_ptr_null(record_parse(bytes, count, why));
    ck_assert_ptr_nonnull(strstr(why, "entries make no sense"));
    unlink(path);
    unlink(image);
}
END_TEST

/* Over two resets, to the guest's own end. */
START_TEST(test_resets)
{
    make_guest();
    new_path();
    struct session *s = start(_i);
    wait_for(s, session_step(s, 11000000));
    type(s, "ar");
    wait_for(s, session_step(s, 1000000));
    type(s, "br");
    wait_for(s, session_step(s, 500));
    type(s, "cq");
    ck_assert_int_eq(wait_for(s, session_run(s)).stop, STOPPED_POWEROFF);
    uint64_t digest = session_digest(s);
    end(s);
    check_replay(STOPPED_POWEROFF, digest, _i);
    unlink(path);
    unlink(image);
}
END_TEST

/* What was cut off is not in the record. */
START_TEST(test_another_future)
{
    make_guest();
    new_path();
    struct session *s = start(_i);
    wait_for(s, session_step(s, 11000000));
    type(s, "abc");
    wait_for(s, session_step(s, 1000000));
    wait_for(s, session_goto(s, 9000000));
    printed = 0;
    type(s, "x");
    wait_for(s, session_step(s, 2000000));
    uint64_t digest = session_digest(s);
    end(s);
    check_replay(STOPPED_RECORD_END, digest, _i);
    unlink(path);
    unlink(image);
}
END_TEST

/* The first digest that is another is named. */
START_TEST(test_differs)
{
    char why[SESSION_ERROR];
    make_guest();
    new_path();
    struct session *s = start(_i);
    wait_for(s, session_step(s, 35000000));
    end(s);
    struct record *r = record_read(path, why);
    ck_assert_uint_eq(r->count, 4); /* three digests and the end */
    r->entry[1].a ^= 1;
    ck_assert_int_eq(record_write(r, path, why), 0);
    struct session_config wishes = config_for("auto", _i);
    s = session_replay(path, &wishes, why);
    struct view_status status = wait_for(s, session_run(s));
    ck_assert_int_eq(status.stop, STOPPED_DIFFERS);
    ck_assert_ptr_nonnull(strstr(status.text, "instruction 20000000"));
    session_free(s);
    /* Something typed that was not: found out at the next digest. */
    r->entry[1].a ^= 1;
    r->entry[2] = (struct record_entry){RECORD_INPUT, 25000000, 'u', 0};
    ck_assert_int_eq(record_write(r, path, why), 0);
    s = session_replay(path, &wishes, why);
    ck_assert_int_eq(wait_for(s, session_run(s)).stop, STOPPED_DIFFERS);
    session_free(s);
    record_free(r);
    unlink(path);
    unlink(image);
}
END_TEST

START_TEST(test_refusals)
{
    char why[SESSION_ERROR];
    make_guest();
    new_path();
    struct session *s = start(_i);
    ck_assert_int_eq(session_record(s, path, why), -EBUSY);
    wait_for(s, session_step(s, 1000));
    end(s);
    /* Another image at the same place. */
    FILE *file = fopen(image, "a");
    fputc(0, file);
    fclose(file);
    struct session_config wishes = config_for("auto", _i);
    ck_assert_ptr_null(session_replay(path, &wishes, why));
    ck_assert_ptr_nonnull(strstr(why, "not the file"));
    wishes.image = "/nowhere/at/all";
    ck_assert_ptr_null(session_replay(path, &wishes, why));
    /* Not from the beginning; nor what no record can tell. */
    s = session_new(&(struct session_config){.image = image, .memory = 16 << 20}, why);
    wait_for(s, session_step(s, 1));
    ck_assert_int_eq(session_record(s, path, why), -EINVAL);
    ck_assert_int_eq(session_record_end(s, why), -EINVAL);
    session_free(s);
    s = start(_i);
    ck_assert_int_eq(session_write_register(s, 9, 1), 0);
    ck_assert_int_eq(session_record_end(s, why), -EIO);
    ck_assert_ptr_nonnull(strstr(why, "debugger"));
    session_free(s);
    unlink(path);
    unlink(image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("records");
    TCase *file = tcase_create("file");
    tcase_add_test(file, test_comes_back);
    tcase_add_test(file, test_damage);
    tcase_add_test(file, test_places);
    suite_add_tcase(suite, file);
    TCase *both = tcase_create("bare and under the monitor");
    tcase_set_timeout(both, 600);
    tcase_add_loop_test(both, test_session, 0, 2);
    tcase_add_loop_test(both, test_balloon, 0, 2);
    tcase_add_loop_test(both, test_resets, 0, 2);
    tcase_add_loop_test(both, test_another_future, 0, 2);
    tcase_add_loop_test(both, test_differs, 0, 2);
    tcase_add_loop_test(both, test_refusals, 0, 2);
    suite_add_tcase(suite, both);
    return tap_run(suite);
}
