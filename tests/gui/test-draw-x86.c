/*
 * The drawings of x86 guests: the walk in all of x86's formats, address maps of 64 bits, exits by
 * time, dirty pages. As in test-draw.c: what is in the scenes, that it fits, that it can be read.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gui/draw/scene_priv.h"
#include "tests/gui/fake-views.h"
#include "tests/gui/scene-checks.h"
#include "tests/tap.h"

static const uint64_t USER = 0x00007f8a40001234, KERNEL = 0xffff800012345678;

/* Every format, and every way in which a walk can end. */
static struct view_translation nth(int n)
{
    switch (n) {
    case 0: return fake_x86(4, 0, USER);
    case 1: return fake_x86(4, 1, KERNEL);
    case 2: return fake_x86(4, 2, USER);
    case 3: return fake_x86(5, 0, 0xff12345678abcdef);
    case 4: return fake_x86(5, 2, USER);
    case 5: return fake_x86(3, 0, 0xc0101234);
    case 6: return fake_x86(3, 1, 0xc0101234);
    case 7: return fake_x86(2, 0, 0xc0101234);
    case 8: return fake_x86(2, 1, 0xc0101234);
    case 9: return fake_x86(0, 0, 0x7c00);
    case 10: return fake_x86_fault(1);
    case 11: return fake_x86_fault(4);
    case 12: return fake_x86_not_canonical();
    default: return fake_x86_device();
    }
}
enum { TRANSLATIONS = 14 };

/* ---- everything fits ---------------------------------------------------------------------- */

START_TEST(walks_fit)
{
    for (int i = 0; i < CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        struct view_translation v = nth(_i);
        scene_translation(&s, &v, check_sizes[i][0], check_sizes[i][1]);
        snprintf(what, sizeof what, "walk %d at %gx%g", _i, check_sizes[i][0], check_sizes[i][1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

static const unsigned table_shapes[][3] = {{4, 0, 0}, {4, 3, 0},  {4, 0, 2},   {4, 40, 60},
                                           {5, 2, 3}, {3, 20, 0}, {2, 300, 0}, {0, 1, 0}};
enum { TABLES = sizeof table_shapes / sizeof table_shapes[0] };

START_TEST(tables_fit)
{
    struct view_table *t = calloc(2, sizeof *t);
    const struct view_table *const tables[3] = {&t[0], &t[1], NULL};
    fake_x86_table(&t[0], table_shapes[_i][0], table_shapes[_i][1], table_shapes[_i][2]);
    fake_x86_map(&t[1]);
    for (int i = 0; i < CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        scene_tables(&s, tables, check_sizes[i][0], check_sizes[i][1]);
        snprintf(what, sizeof what, "tables %d at %gx%g", _i, check_sizes[i][0], check_sizes[i][1]);
        check_scene(&s, what);
        scene_free(&s);
    }
    free(t);
}
END_TEST

START_TEST(exits_fit)
{
    static const unsigned reasons[] = {1, 5, 14, 64};
    struct view_exit_stats v = fake_timed_stats(reasons[_i]);
    for (int i = 0; i < 2 * CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = check_sizes[i / 2];
        scene_exits(&s, &v, false, i % 2, size[0], size[1]);
        snprintf(what, sizeof what, "exits %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

static const uint64_t memories[] = {1u << 20, 4096 * 300, 64u << 20, 3ull << 30, 1ull << 40};
enum { MEMORIES = sizeof memories / sizeof memories[0] };

START_TEST(heat_fits)
{
    struct view_dirty v;
    fake_dirty(&v, memories[_i]);
    for (int i = 0; i < CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        scene_heat(&s, &v, check_sizes[i][0], check_sizes[i][1]);
        snprintf(what, sizeof what, "heat %d at %gx%g", _i, check_sizes[i][0], check_sizes[i][1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

/* ---- what is in a walk -------------------------------------------------------------------- */

static struct scene scene_of(struct view_translation v)
{
    struct scene s;
    scene_translation(&s, &v, 1280, 720);
    return s;
}

START_TEST(shows_every_level)
{
    struct scene s = scene_of(fake_x86(4, 0, USER));
    must_say(&s, "address", "gVA 0x00007f8a40001234, write in user mode");
    must_say(&s, "class", "4-level paging, CR3 0x00200000");
    must_say(&s, "va.sign.value", "all 0");
    must_say(&s, "va.3.name", "PML4 47..39");
    must_say(&s, "va.3.value", "011111111 = 255");
    must_say(&s, "va.2.value", "000101001 = 41");
    must_say(&s, "va.0.value", "000000001 = 1");
    must_say(&s, "va.offset.value", "0x234");
    must_say(&s, "guest.3.name", "PML4");
    must_say(&s, "guest.3.table", "0x00200000");
    must_say(&s, "guest.3.pte", "0x0000000000201027");
    must_say(&s, "guest.0.pte", "0x8000000040000067");
    must_say(&s, "guest.result.line", "gPA 0x40000234");
    must_say(&s, "guest.result.detail", "4 KiB page, all levels allow rw-, user");
    must_say(&s, "map.result.line", "host 0x7f1190000234");
    must_say(&s, "second-stage", "EPT, NPT");
    must(&s, "guest.to-map");
    ck_assert_ptr_null(scene_find(&s, "shadow.title"));
    scene_free(&s);
}
END_TEST

START_TEST(marks_the_bits_of_an_entry)
{
    struct scene s = scene_of(fake_x86(4, 0, USER));
    ck_assert_int_eq(must(&s, "guest.0.bit.XD")->role, ROLE_SET);
    ck_assert_int_eq(must(&s, "guest.1.bit.XD")->role, ROLE_CLEAR);
    ck_assert_int_eq(must(&s, "guest.0.bit.D")->role, ROLE_SET);
    ck_assert_int_eq(must(&s, "guest.1.bit.PS")->role, ROLE_CLEAR);
    ck_assert_int_eq(must(&s, "guest.0.bit.PAT")->role, ROLE_CLEAR); /* bit 7 is PAT there */
    scene_free(&s);
    s = scene_of(fake_x86(2, 1, 0xc0101234));
    ck_assert_int_eq(must(&s, "guest.1.bit.PS")->role, ROLE_SET);
    ck_assert_ptr_null(scene_find(&s, "guest.1.bit.XD")); /* 32-bit entries have none */
    scene_free(&s);
}
END_TEST

START_TEST(a_large_page_ends_the_walk)
{
    struct scene s = scene_of(fake_x86(4, 1, KERNEL));
    must_say(&s, "va.sign.value", "all 1");
    must_say(&s, "va.offset.name", "offset 20..0");
    must_say(&s, "va.offset.value", "0x145678");
    must_say(&s, "guest.result.detail", "2 MiB page");
    ck_assert_ptr_null(scene_find(&s, "va.0"));
    ck_assert_ptr_null(scene_find(&s, "guest.0"));
    ck_assert_ptr_null(scene_find(&s, "unreached.0"));
    scene_free(&s);
    s = scene_of(fake_x86(4, 2, USER));
    must_say(&s, "va.offset.name", "offset 29..0");
    must_say(&s, "guest.result.detail", "1 GiB page");
    scene_free(&s);
    s = scene_of(fake_x86(2, 1, 0xc0101234));
    must_say(&s, "guest.result.detail", "4 MiB page");
    scene_free(&s);
}
END_TEST

START_TEST(knows_every_format)
{
    struct scene s = scene_of(fake_x86(5, 0, 0xff12345678abcdef));
    must_say(&s, "va.4.name", "PML5 56..48");
    must_say(&s, "va.sign.name", "63..57");
    must(&s, "guest.4");
    scene_free(&s);
    s = scene_of(fake_x86(3, 0, 0xc0101234));
    must_say(&s, "class", "PAE");
    must_say(&s, "va.2.name", "PDPT 31..30");
    must_say(&s, "va.2.value", "11 = 3");
    ck_assert_ptr_null(scene_find(&s, "va.sign"));
    scene_free(&s);
    s = scene_of(fake_x86(2, 0, 0xc0101234));
    must_say(&s, "address", "gVA 0xc0101234");
    must_say(&s, "va.1.name", "PD 31..22");
    must_say(&s, "guest.0.pte", "0x40000067");
    scene_free(&s);
    s = scene_of(fake_x86(0, 0, 0x7c00));
    must_say(&s, "guest.none.text", "Paging is off");
    must_say(&s, "guest.result.line", "gPA 0x00007c00");
    scene_free(&s);
}
END_TEST

/* Bits of the address to scale, in order and without overlap: field widths add up. */
START_TEST(fields_are_to_scale)
{
    struct scene s = scene_of(fake_x86(4, 1, USER));
    const struct scene_item *root = must(&s, "va.3"), *leaf = must(&s, "va.1"),
                            *offset = must(&s, "va.offset");
    ck_assert_double_eq_tol(leaf->w, root->w, .01);
    ck_assert_double_eq_tol(offset->w / leaf->w, 21. / 9, .01);
    ck_assert(root->x < leaf->x && leaf->x < offset->x);
    scene_free(&s);
}
END_TEST

START_TEST(draws_a_fault_where_it_happens)
{
    struct scene s = scene_of(fake_x86_fault(2));
    ck_assert_int_eq(must(&s, "guest.3")->role, ROLE_PLAIN);
    ck_assert_int_eq(must(&s, "guest.2")->role, ROLE_FAULT);
    must_say(&s, "unreached.1.name", "page directory: not reached");
    must(&s, "unreached.0");
    must_say(&s, "guest.result.line", "#PF, error code 0x6");
    must_say(&s, "guest.result.detail", "is not present");
    ck_assert_ptr_null(scene_find(&s, "map.result"));
    scene_free(&s);
    s = scene_of(fake_x86_not_canonical());
    ck_assert_int_eq(must(&s, "va.sign")->role, ROLE_FAULT);
    must_say(&s, "va.sign.value", "mixed");
    must(&s, "unreached.3");
    scene_free(&s);
    s = scene_of(fake_x86_device());
    ck_assert_int_eq(must(&s, "map.result")->role, ROLE_WAIT);
    must_say(&s, "map.result.line", "exit: MMIO");
    scene_free(&s);
}
END_TEST

/* A guest can set up anything; a view may say anything. */
START_TEST(nonsense_is_drawn)
{
    struct view_translation v = fake_x86(4, 0, USER);
    v.levels = 200;
    v.guest.step_count = 77;
    for (int i = 0; i < VIEW_WALK_STEPS; i++)
        v.guest.step[i].level = (uint8_t)(i * 50);
    struct scene s = scene_of(v);
    ck_assert_int_gt(s.count, 0);
    scene_free(&s);
}
END_TEST

/* ---- tables, exits, heat ------------------------------------------------------------------ */

START_TEST(tables_show_the_hole)
{
    static struct view_table guest, map;
    const struct view_table *const tables[3] = {&guest, &map, NULL};
    struct scene s;
    fake_x86_table(&guest, 4, 2, 2);
    fake_x86_map(&map);
    scene_tables(&s, tables, 1280, 720);
    const struct scene_item *hole = must(&s, "guest.hole");
    must_say(&s, "guest.hole.text", "not canonical: bits 63 to 47");
    must_say(&s, "guest.2.va", "0xffff800000000000");
    must_say(&s, "guest.1.what", "2 MiB pages");
    must_say(&s, "map.title", "Memory slots");
    must_say(&s, "map.summary", "16 GiB");
    ck_assert(must(&s, "guest.1")->y < hole->y && hole->y < must(&s, "guest.2")->y);
    scene_free(&s);
    fake_x86_table(&guest, 5, 2, 0);
    scene_tables(&s, tables, 1280, 720);
    must_say(&s, "guest.hole.text", "bits 63 to 56");
    scene_free(&s);
    fake_x86_table(&guest, 2, 2, 0);
    scene_tables(&s, tables, 1280, 720);
    ck_assert_ptr_null(scene_find(&s, "guest.hole"));
    scene_free(&s);
    fake_x86_table(&guest, 0, 1, 0);
    scene_tables(&s, tables, 1280, 720);
    must_say(&s, "guest.off.0", "Paging is off");
    scene_free(&s);
}
END_TEST

START_TEST(exits_by_number_and_by_time)
{
    struct view_exit_stats v = {.total = 1001, .ns = 5000000, .count = 2};
    struct scene s;
    v.by_reason[0] = (struct view_exit_count){.name = "port I/O", .count = 1000, .ns = 1000000};
    v.by_reason[1] = (struct view_exit_count){.name = "MMIO", .count = 1, .ns = 4000000};
    scene_exits(&s, &v, false, false, 1280, 720);
    must_say(&s, "title", "1,001 exits, handled in 5.00 ms");
    must_say(&s, "row.0.name", "port I/O");
    must_say(&s, "row.0.each.text", "1.0 \u00b5s");
    ck_assert_double_eq_tol(must(&s, "row.1.count")->w, 2, .01);
    scene_free(&s);
    scene_exits(&s, &v, false, true, 1280, 720);
    must_say(&s, "row.0.name", "MMIO");
    must_say(&s, "row.0.time.text", "4.00 ms");
    ck_assert_double_eq_tol(must(&s, "row.0.time")->w / must(&s, "row.1.time")->w, 4, .01);
    scene_free(&s);
}
END_TEST

START_TEST(heat_is_where_it_was_written)
{
    struct view_dirty v;
    struct scene s;
    fake_dirty(&v, 64u << 20);
    memset(v.heat, 0, sizeof v.heat);
    v.heat[0] = 255;
    v.heat[4095] = 1;
    v.dirty_now = 1;
    v.dirty_total = 7;
    scene_heat(&s, &v, 1280, 720);
    const struct scene_item *memory = must(&s, "memory"), *first = must(&s, "cell.0"),
                            *last = must(&s, "cell.4095");
    must_say(&s, "title", "1 page written lately, 7 in all");
    must_say(&s, "scale", "64 MiB of guest memory. A cell is 16 KiB, a row 1 MiB");
    must_say(&s, "address.0", "0x00000000");
    ck_assert_ptr_null(scene_find(&s, "cell.1"));
    ck_assert_int_eq(first->role, ROLE_HEAT_LAST);
    ck_assert_int_eq(last->role, ROLE_HEAT + 1);
    ck_assert_double_eq_tol(first->x, memory->x, .01);
    ck_assert_double_eq_tol(last->x + last->w, memory->x + memory->w, .01);
    ck_assert_double_eq_tol(last->y + last->h, memory->y + memory->h, .01);
    scene_free(&s);
    v.dirty_total = v.dirty_now = 0;
    scene_heat(&s, &v, 1280, 720);
    must_say(&s, "title", "No page written");
    scene_free(&s);
    v.present = false;
    scene_heat(&s, &v, 1280, 720);
    must_say(&s, "none", "not logged");
    scene_free(&s);
}
END_TEST

/* ---- colours ------------------------------------------------------------------------------ */

/* The steps of the heat map can be told apart by their lightness alone, and the next to the last
 * step from the paper. */
START_TEST(heat_has_a_ramp)
{
    for (int step = 1; step < SCENE_HEAT_STEPS; step++) {
        double a = luminance(palette_row(ROLE_HEAT + step - 1, _i)->fill) + .05;
        double b = luminance(palette_row(ROLE_HEAT + step, _i)->fill) + .05;
        double ratio = _i ? b / a : a / b;
        ck_assert_msg(ratio > 1.08, "step %d (%s): %.2f", step, _i ? "dark" : "light", ratio);
    }
}
END_TEST

START_TEST(text_can_be_read)
{
    static struct view_table guest, map;
    const struct view_table *const tables[3] = {&guest, &map, NULL};
    struct view_exit_stats v = fake_timed_stats(14);
    struct view_dirty dirty;
    struct scene s;
    for (int i = 0; i < TRANSLATIONS; i++) {
        s = scene_of(nth(i));
        check_contrast(&s, _i);
        scene_free(&s);
    }
    fake_x86_table(&guest, 4, 3, 3);
    fake_x86_map(&map);
    scene_tables(&s, tables, 1280, 720);
    check_contrast(&s, _i);
    scene_free(&s);
    for (int by_time = 0; by_time < 2; by_time++) {
        scene_exits(&s, &v, false, by_time, 800, 600);
        check_contrast(&s, _i);
        scene_free(&s);
    }
    fake_dirty(&dirty, 64u << 20);
    scene_heat(&s, &dirty, 800, 600);
    check_contrast(&s, _i);
    scene_free(&s);
}
END_TEST

START_TEST(describes_in_words)
{
    char title[160], text[320];
    struct view_translation v = fake_x86(4, 0, USER);
    struct view_dirty dirty;
    struct drawing drawing = {.kind = DRAWING_TRANSLATION, .translation = &v, .dirty = &dirty};
    draw_describe(&drawing, title, sizeof title, text, sizeof text);
    ck_assert_str_eq(title, "Translation of guest-virtual address 0x7f8a40001234 for a write");
    ck_assert_str_eq(text, "The guest's 4 tables translate it to gPA 0x40000234; there is memory "
                           "behind it.");
    fake_dirty(&dirty, 64u << 20);
    drawing.kind = DRAWING_HEAT;
    draw_describe(&drawing, title, sizeof title, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "12345678 in all"));
}
END_TEST

static Suite *draw_suite(void)
{
    Suite *suite = suite_create("draw-x86");
    TCase *fits = tcase_create("fits"), *content = tcase_create("content");
    tcase_set_timeout(fits, 600);
    tcase_add_loop_test(fits, walks_fit, 0, TRANSLATIONS);
    tcase_add_loop_test(fits, tables_fit, 0, TABLES);
    tcase_add_loop_test(fits, exits_fit, 0, 4);
    tcase_add_loop_test(fits, heat_fits, 0, MEMORIES);
    suite_add_tcase(suite, fits);
    tcase_add_test(content, shows_every_level);
    tcase_add_test(content, marks_the_bits_of_an_entry);
    tcase_add_test(content, a_large_page_ends_the_walk);
    tcase_add_test(content, knows_every_format);
    tcase_add_test(content, fields_are_to_scale);
    tcase_add_test(content, draws_a_fault_where_it_happens);
    tcase_add_test(content, nonsense_is_drawn);
    tcase_add_test(content, tables_show_the_hole);
    tcase_add_test(content, exits_by_number_and_by_time);
    tcase_add_test(content, heat_is_where_it_was_written);
    tcase_add_loop_test(content, heat_has_a_ramp, 0, 2);
    tcase_add_loop_test(content, text_can_be_read, 0, 2);
    tcase_add_test(content, describes_in_words);
    suite_add_tcase(suite, content);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(draw_suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
