/*
 * The drawings: what is in the scenes, that nothing sticks out or overlaps from the smallest size
 * to the largest, that text can be read, and that files come out whole and the same each time.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gui/draw/scene.h"
#include "tests/gui/fake-views.h"
#include "tests/gui/scene-checks.h"
#include "tests/tap.h"

static struct view_translation (*const translations[])(void) = {
    fake_translation, fake_guest_fault, fake_not_filled, fake_device,
    fake_superpage,   fake_off,         fake_bare_fault};
enum { TRANSLATIONS = sizeof translations / sizeof translations[0] };

START_TEST(translation_fits)
{
    for (int i = 0; i < CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        struct view_translation v = translations[_i]();
        scene_translation(&s, &v, check_sizes[i][0], check_sizes[i][1]);
        snprintf(what, sizeof what, "translation %d at %gx%g", _i, check_sizes[i][0],
                 check_sizes[i][1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

START_TEST(tables_fit)
{
    static const unsigned runs[] = {0, 1, 3, 9, 40, 300, VIEW_REGIONS};
    struct view_table *t = calloc(3, sizeof *t);
    for (int k = 0; k < 3; k++)
        fake_table(&t[k], (enum view_table_kind)k, runs[(_i + k) % 7]);
    const struct view_table *const tables[3] = {&t[0], _i % 2 ? NULL : &t[1], &t[2]};
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
    static const unsigned reasons[] = {0, 1, 5, 14, 64};
    struct view_exit_stats v = fake_stats(reasons[_i]);
    for (int i = 0; i < 2 * CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = check_sizes[i / 2];
        scene_exits(&s, &v, i % 2, false, size[0], size[1]);
        snprintf(what, sizeof what, "exits %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

START_TEST(charts_fit)
{
    static const unsigned shapes[][3] = {{1, 1, 0}, {3, 12, 8},  {3, 12, 0}, {2, 0, 5},
                                         {0, 0, 0}, {3, 40, 30}, {2, 4, 1}};
    struct speed_chart *chart = calloc(1, sizeof *chart);
    fake_chart(chart, shapes[_i][0], shapes[_i][1], shapes[_i][2]);
    for (int i = 0; i < CHECK_SIZES; i++) {
        char what[64];
        struct scene s;
        if (check_sizes[i][0] < 640 || check_sizes[i][1] < 360)
            continue; /* smaller ones are only scaled down */
        scene_chart(&s, chart, check_sizes[i][0], check_sizes[i][1]);
        snprintf(what, sizeof what, "chart %d at %gx%g", _i, check_sizes[i][0], check_sizes[i][1]);
        check_scene(&s, what);
        scene_free(&s);
    }
    free(chart);
}
END_TEST

/* ---- what is in them ---------------------------------------------------------------------- */

static struct scene scene_of(struct view_translation v)
{
    struct scene s;
    scene_translation(&s, &v, 1280, 720);
    return s;
}

START_TEST(shows_every_step)
{
    struct scene s = scene_of(fake_translation());
    must_say(&s, "address", "0x80401234");
    must_say(&s, "va.vpn1.value", "= 513");
    must_say(&s, "va.vpn0.value", "= 1");
    must_say(&s, "va.offset.value", "= 0x234");
    must_say(&s, "guest.1.table", "0x80410000");
    must_say(&s, "guest.1.pte", "0x20104c01");
    must_say(&s, "guest.0.table", "0x80413000");
    must_say(&s, "guest.0.pte", "0x201154d7");
    must_say(&s, "shadow.1.table", "0x80900000");
    must_say(&s, "shadow.0.pte", "0x20301cd7");
    must_say(&s, "guest.result.line", "gPA 0x80455234");
    must_say(&s, "map.result.line", "hPA 0x80c07234");
    must_say(&s, "shadow.result.line", "hPA 0x80c07234");
    must_say(&s, "class", "S+SUM");
    must(&s, "guest.to-map");
    must(&s, "map.equals-shadow");
    scene_free(&s);
}
END_TEST

START_TEST(marks_updated_bits)
{
    struct scene s = scene_of(fake_translation());
    ck_assert_int_eq(must(&s, "guest.0.bit.D")->role, ROLE_NEW);
    ck_assert_int_eq(must(&s, "guest.0.bit.A")->role, ROLE_SET);
    ck_assert_int_eq(must(&s, "guest.0.bit.X")->role, ROLE_CLEAR);
    ck_assert_int_eq(must(&s, "shadow.0.bit.D")->role, ROLE_SET);
    must_say(&s, "guest.result.detail.0", "4 KiB page");
    scene_free(&s);
}
END_TEST

START_TEST(marks_shadow_changes)
{
    struct scene s = scene_of(fake_translation());
    must_say(&s, "shadow.0.badge.text", "wider");
    must_say(&s, "change.text", "Exit 1234567 upgraded shadow entry for 0x80401000");
    ck_assert_ptr_null(scene_find(&s, "shadow.1.badge"));
    scene_free(&s);
    s = scene_of(fake_not_filled());
    must_say(&s, "shadow.0.badge.text", "gone");
    must_say(&s, "change.text", "dropped 17 shadow entries");
    scene_free(&s);
    struct view_translation other = fake_translation();
    other.change.va += 0x1000;
    s = scene_of(other);
    ck_assert_ptr_null(scene_find(&s, "shadow.0.badge"));
    scene_free(&s);
}
END_TEST

START_TEST(draws_a_fault_where_it_happens)
{
    struct scene s = scene_of(fake_guest_fault());
    ck_assert_int_eq(must(&s, "guest.1")->role, ROLE_PLAIN);
    ck_assert_int_eq(must(&s, "guest.0")->role, ROLE_FAULT);
    ck_assert_int_eq(must(&s, "guest.result")->role, ROLE_FAULT);
    must_say(&s, "guest.result.line", "store page fault");
    must_say(&s, "guest.result.detail.0", "level 0: a user page");
    ck_assert_int_eq(must(&s, "map.none")->role, ROLE_GHOST);
    ck_assert_int_eq(must(&s, "shadow.1")->role, ROLE_WAIT);
    ck_assert_ptr_null(scene_find(&s, "shadow.0"));
    ck_assert_ptr_null(scene_find(&s, "guest.to-map"));
    ck_assert_ptr_null(scene_find(&s, "map.equals-shadow"));
    scene_free(&s);
    s = scene_of(fake_bare_fault());
    ck_assert_int_eq(must(&s, "guest.1")->role, ROLE_FAULT);
    ck_assert_ptr_null(scene_find(&s, "guest.0"));
    scene_free(&s);
}
END_TEST

START_TEST(a_missing_shadow_entry_is_no_fault)
{
    struct scene s = scene_of(fake_not_filled());
    ck_assert_int_eq(must(&s, "guest.result")->role, ROLE_GOOD);
    ck_assert_int_eq(must(&s, "shadow.result")->role, ROLE_WAIT);
    scene_free(&s);
    s = scene_of(fake_device());
    ck_assert_int_eq(must(&s, "map.result")->role, ROLE_WAIT);
    must_say(&s, "map.result.detail.0", "virtual device");
    scene_free(&s);
    s = scene_of(fake_off());
    must_say(&s, "guest.none.text.0", "translation is off");
    must_say(&s, "shadow.result.line", "no table yet");
    scene_free(&s);
}
END_TEST

START_TEST(a_bare_machine_has_one_table)
{
    struct scene s = scene_of(fake_bare_fault());
    must_say(&s, "guest.title", "Page table");
    ck_assert_ptr_null(scene_find(&s, "map.title"));
    ck_assert_ptr_null(scene_find(&s, "shadow.title"));
    scene_free(&s);
}
END_TEST

START_TEST(a_superpage_skips_the_leaf_table)
{
    struct scene s = scene_of(fake_superpage());
    must(&s, "guest.1");
    ck_assert_ptr_null(scene_find(&s, "guest.0"));
    must_say(&s, "guest.result.detail.0", "4 MiB page");
    must(&s, "shadow.0");
    scene_free(&s);
}
END_TEST

START_TEST(tables_keep_every_page)
{
    static struct view_table t;
    const struct view_table *const tables[3] = {&t, NULL, NULL};
    struct scene s;
    fake_table(&t, VIEW_GUEST_TABLE, 5);
    scene_tables(&s, tables, 1920, 1080);
    must_say(&s, "guest.0.va", "0x10000000");
    must_say(&s, "guest.1.what", "8 KiB");
    must(&s, "guest.4");
    ck_assert_ptr_null(scene_find(&s, "guest.5"));
    scene_free(&s);
    fake_table(&t, VIEW_GUEST_TABLE, 300);
    scene_tables(&s, tables, 1280, 720);
    unsigned shown = 0;
    for (int i = 0; i < s.count; i++) {
        unsigned runs = 1;
        size_t length = strlen(s.items[i].id);
        if (length < 5 || strcmp(s.items[i].id + length - 5, ".what") != 0)
            continue;
        if (strstr(s.items[i].text, "runs"))
            sscanf(s.items[i].text, "%u runs", &runs);
        shown += runs;
    }
    ck_assert_uint_eq(shown, 300);
    scene_free(&s);
}
END_TEST

START_TEST(exits_are_sorted_and_complete)
{
    struct view_exit_stats v = fake_stats(5);
    struct scene s;
    scene_exits(&s, &v, false, false, 1280, 720);
    must_say(&s, "row.0.name", "MMIO 4");
    must_say(&s, "row.4.name", "MMIO 0");
    ck_assert_double_gt(must(&s, "row.0.count")->w, must(&s, "row.1.count")->w);
    scene_free(&s);
    v = fake_stats(32);
    scene_exits(&s, &v, false, false, 420, 300);
    bool others = false;
    for (int i = 0; i < s.count; i++)
        others |= strstr(s.items[i].text, "others") != NULL;
    ck_assert(others);
    scene_free(&s);
}
END_TEST

/* Bars end where their values are on the axis, native at 1, and every program has its group. */
START_TEST(bars_have_their_lengths)
{
    struct speed_chart *chart = calloc(1, sizeof *chart);
    struct scene s;
    fake_chart(chart, 2, 3, 2);
    chart->ratios.groups[0].value[5] = 1;
    chart->ratios.groups[1].value[4] = .1;
    chart->ratios.groups[1].value[3] = .01;
    scene_chart(&s, chart, 1280, 720);
    const struct scene_item *native = must(&s, "ratio.grid.1"), *tenth = must(&s, "ratio.grid.0.1");
    const struct scene_item *all = must(&s, "ratio.0.bar.5"), *part = must(&s, "ratio.1.bar.4");
    ck_assert_double_eq_tol(all->x + all->w, native->x, .5);
    ck_assert_double_eq_tol(part->x + part->w, tenth->x, .5);
    ck_assert_double_eq_tol(must(&s, "ratio.1.bar.3")->w, part->w - (native->x - tenth->x), .5);
    ck_assert_ptr_null(scene_find(&s, "ratio.1.bar.0"));
    ck_assert_str_eq(must(&s, "ratio.1.value.4")->text, "0.10");
    ck_assert_str_eq(must(&s, "ratio.0.name")->text, "sort");
    ck_assert_str_eq(must(&s, "rate.1.name")->text, "switch-1");
    must(&s, "rate.1.bar.5");
    scene_free(&s);
    free(chart);
}
END_TEST

START_TEST(text_can_be_read)
{
    struct speed_chart *chart = calloc(1, sizeof *chart);
    struct scene drawn;
    fake_chart(chart, 3, 9, 5);
    scene_chart(&drawn, chart, 1280, 720);
    check_contrast(&drawn, _i);
    scene_free(&drawn);
    free(chart);
    for (int i = 0; i < TRANSLATIONS; i++) {
        struct scene s = scene_of(translations[i]());
        check_contrast(&s, _i);
        scene_free(&s);
    }
    struct view_exit_stats v = fake_stats(14);
    struct scene s;
    scene_exits(&s, &v, false, false, 800, 600);
    check_contrast(&s, _i);
    scene_free(&s);
}
END_TEST

/* ---- files -------------------------------------------------------------------------------- */

static char folder[] = "/tmp/vitrine-draw-XXXXXX";

static char *slurp(const char *path, size_t *size)
{
    struct stat stat_;
    ck_assert_int_eq(stat(path, &stat_), 0);
    char *bytes = calloc(1, (size_t)stat_.st_size + 1);
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    *size = fread(bytes, 1, (size_t)stat_.st_size, file);
    fclose(file);
    return bytes;
}

static bool has(const char *bytes, size_t size, const char *word)
{
    return memmem(bytes, size, word, strlen(word)) != NULL;
}

static const struct {
    const char *name, *magic, *contains;
} files[] = {
    {"a.svg", "<?xml",
     "<title>Translation of guest-virtual address 0x80401234 for a write</title>"},
    {"a.PDF", "%PDF-", "20000101000000Z"},
    {"a.png", "\x89PNG", "IHDR"},
};

START_TEST(files_are_whole_and_repeatable)
{
    char path[2][64];
    char *bytes[2];
    size_t size[2];
    struct view_translation v = fake_translation();
    struct drawing drawing = {.kind = DRAWING_TRANSLATION, .translation = &v};
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d%s", folder, i, files[_i].name);
        ck_assert_int_eq(draw_to_file(path[i], &drawing, 640, 360, i * 0), 0);
        bytes[i] = slurp(path[i], &size[i]);
        unlink(path[i]);
    }
    ck_assert_uint_gt(size[0], 1000);
    ck_assert_int_eq(memcmp(bytes[0], files[_i].magic, strlen(files[_i].magic)), 0);
    ck_assert_msg(has(bytes[0], size[0], files[_i].contains), "no '%s'", files[_i].contains);
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_int_eq(memcmp(bytes[0], bytes[1], size[0]), 0);
    free(bytes[0]);
    free(bytes[1]);
}
END_TEST

START_TEST(bad_files_are_refused)
{
    char path[64];
    struct view_translation v = fake_translation();
    struct drawing drawing = {.kind = DRAWING_TRANSLATION, .translation = &v};
    ck_assert_int_eq(draw_to_file("a.gif", &drawing, 0, 0, false), -EINVAL);
    ck_assert_int_eq(draw_to_file("svg", &drawing, 0, 0, false), -EINVAL);
    ck_assert_int_eq(draw_to_file("a.png", &drawing, 20000, 100, false), -EINVAL);
    ck_assert_int_eq(draw_to_file("/nowhere/at/all.svg", &drawing, 0, 0, false), -ENOENT);
    ck_assert_int_eq(access("a.png", F_OK), -1);
    snprintf(path, sizeof path, "%s/full.svg", folder);
    if (symlink("/dev/full", path) == 0) {
        ck_assert_int_eq(draw_to_file(path, &drawing, 0, 0, false), -ENOSPC);
        unlink(path);
    }
}
END_TEST

/* The same view gives the same pixels, light and dark differ, and something is painted. */
START_TEST(pixels)
{
    cairo_surface_t *surface[3];
    struct view_translation v = fake_translation();
    for (int i = 0; i < 3; i++) {
        surface[i] = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 560, 338);
        cairo_t *cr = cairo_create(surface[i]);
        draw_translation(cr, &v, 560, 338, i == 2);
        ck_assert_int_eq(cairo_status(cr), CAIRO_STATUS_SUCCESS);
        cairo_destroy(cr);
        cairo_surface_flush(surface[i]);
    }
    size_t size = (size_t)cairo_image_surface_get_stride(surface[0]) * 338;
    const unsigned char *a = cairo_image_surface_get_data(surface[0]);
    ck_assert_int_eq(memcmp(a, cairo_image_surface_get_data(surface[1]), size), 0);
    ck_assert_int_ne(memcmp(a, cairo_image_surface_get_data(surface[2]), size), 0);
    for (int i = 0; i < 3; i++)
        cairo_surface_destroy(surface[i]);
}
END_TEST

static Suite *draw_suite(void)
{
    Suite *suite = suite_create("draw");
    TCase *fits = tcase_create("fits"), *content = tcase_create("content"),
          *output = tcase_create("files");
    tcase_set_timeout(fits, 600);
    tcase_add_loop_test(fits, translation_fits, 0, TRANSLATIONS);
    tcase_add_loop_test(fits, tables_fit, 0, 7);
    tcase_add_loop_test(fits, exits_fit, 0, 5);
    tcase_add_loop_test(fits, charts_fit, 0, 7);
    suite_add_tcase(suite, fits);
    tcase_add_test(content, shows_every_step);
    tcase_add_test(content, marks_updated_bits);
    tcase_add_test(content, marks_shadow_changes);
    tcase_add_test(content, draws_a_fault_where_it_happens);
    tcase_add_test(content, a_missing_shadow_entry_is_no_fault);
    tcase_add_test(content, a_bare_machine_has_one_table);
    tcase_add_test(content, a_superpage_skips_the_leaf_table);
    tcase_add_test(content, tables_keep_every_page);
    tcase_add_test(content, exits_are_sorted_and_complete);
    tcase_add_test(content, bars_have_their_lengths);
    tcase_add_loop_test(content, text_can_be_read, 0, 2);
    suite_add_tcase(suite, content);
    tcase_add_loop_test(output, files_are_whole_and_repeatable, 0, 3);
    tcase_add_test(output, bad_files_are_refused);
    tcase_add_test(output, pixels);
    suite_add_tcase(suite, output);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(draw_suite());
    if (!mkdtemp(folder)) {
        printf("1..0 # SKIP no temporary folder\n");
        return 0;
    }
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(folder);
    return failed != 0;
}
