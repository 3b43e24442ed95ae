/*
 * The drawings of time: the run as a ruler, and the stack of layers. As in test-draw.c: what is in
 * the scenes, that it fits, that it can be read.
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

/* ---- everything fits ---------------------------------------------------------------------- */

static const struct {
    uint64_t end, here;
    unsigned checkpoints;
} runs[] = {
    {0, 0, 1},
    {1, 0, 1},
    {7, 7, 1},
    {38900, 12, 3},
    {1203441, 38900, 38},
    {1203441, 1203441, 38},
    {60000000000, 59999999999, 512},
    {900000000000, 899999999999, 100},
};
enum { RUNS = sizeof runs / sizeof runs[0] };

/* These two are laid out for less height than the others. */
static const double low[][2] = {{420, 140}, {770, 196}, {940, 260}, {2400, 140}};
enum { LOW = sizeof low / sizeof low[0], SIZES = CHECK_SIZES + LOW };

static const double *nth_size(int i)
{
    return i < CHECK_SIZES ? check_sizes[i] : low[i - CHECK_SIZES];
}

START_TEST(timelines_fit)
{
    static struct view_timeline v;
    fake_timeline(&v, runs[_i].end, runs[_i].here, runs[_i].checkpoints);
    for (int i = 0; i < 2 * SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = nth_size(i / 2);
        scene_timeline(&s, &v, i % 2, size[0], size[1]);
        snprintf(what, sizeof what, "run %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

static const struct {
    unsigned snapshots, checkpoints;
    int answer;
} stacks[] = {{0, 0, 0},  {0, 0, 1},  {1, 0, 1},    {1, 1, 3},    {3, 2, 4},
              {3, 0, -1}, {12, 3, 8}, {2, 120, 50}, {80, 2, 241}, {250, 0, 100}};
enum { STACKS = sizeof stacks / sizeof stacks[0] };

START_TEST(layers_fit)
{
    static struct view_layers v;
    fake_layers(&v, stacks[_i].snapshots, stacks[_i].checkpoints, stacks[_i].answer);
    for (int i = 0; i < SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = nth_size(i);
        scene_layers(&s, &v, "The guest\u2019s next load: virtual address 0x00403124", size[0],
                     size[1]);
        snprintf(what, sizeof what, "stack %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        scene_free(&s);
    }
}
END_TEST

/* ---- the run ------------------------------------------------------------------------------ */

static double middle(const struct scene_item *item)
{
    return item->x + item->w / 2;
}

START_TEST(the_handle_is_where_the_guest_stands)
{
    static struct view_timeline v;
    struct scene s;
    fake_timeline(&v, 1000000, 250000, 10);
    scene_timeline(&s, &v, false, 1280, 300);
    const struct scene_item *ruler = must(&s, "ruler");
    ck_assert_double_eq_tol(middle(must(&s, "handle")), ruler->x + ruler->w / 4, 1);
    ck_assert_double_eq_tol(must(&s, "here")->x, ruler->x + ruler->w / 4, .1);
    ck_assert(must(&s, "to-come")->dashed);
    must_say(&s, "title", "Instruction 250,000 of 1,000,000: in the past");
    must_say(&s, "memory", "10 checkpoints: 41 MiB of 256 MiB");
    must_say(&s, "axis.200000", "200,000");
    scene_free(&s);
    v.here = 1000000;
    v.history.in_past = false;
    scene_timeline(&s, &v, true, 1280, 300);
    must_say(&s, "title", "Instruction 1,000,000: the present");
    must_say(&s, "exits.name", "traps");
    ck_assert_ptr_null(scene_find(&s, "to-come"));
    scene_free(&s);
}
END_TEST

/* What is under the pointer is where one goes; that is the inverse of drawing. */
START_TEST(places_are_instructions)
{
    static struct view_timeline v;
    static const double sizes[][2] = {{1280, 300}, {770, 196}, {300, 80}};
    for (unsigned i = 0; i < 3; i++) {
        double w = sizes[i][0], h = sizes[i][1];
        for (uint64_t here = 0; here <= 1000000; here += 125000) {
            struct scene s;
            fake_timeline(&v, 1000000, here, 10);
            scene_timeline(&s, &v, false, w, h);
            uint64_t at = draw_timeline_at(&v, w, h, must(&s, "here")->x * s.scale);
            ck_assert_uint_le(at > here ? at - here : here - at, 1);
            scene_free(&s);
        }
        ck_assert_uint_eq(draw_timeline_at(&v, w, h, -50), 0);
        ck_assert_uint_eq(draw_timeline_at(&v, w, h, w + 50), 1000000);
    }
}
END_TEST

static unsigned count_of(const struct scene *s, const char *prefix)
{
    unsigned count = 0;
    for (int i = 0; i < s->count; i++)
        count +=
            strncmp(s->items[i].id, prefix, strlen(prefix)) == 0 && s->items[i].kind == SCENE_BOX;
    return count;
}

START_TEST(marks_are_there)
{
    static struct view_timeline v;
    struct scene s;
    fake_timeline(&v, 1000000, 1000000, 10);
    scene_timeline(&s, &v, false, 1280, 300);
    ck_assert_uint_eq(count_of(&s, "checkpoint."), 10);
    ck_assert_uint_eq(count_of(&s, "typed."), 40);
    ck_assert_uint_eq(count_of(&s, "snapshot."), 2); /* two are in the same place */
    unsigned named = 0;
    for (int i = 0; i < s.count; i++)
        named += strcmp(s.items[i].text, "booted") == 0;
    ck_assert_uint_eq(named, 1);
    scene_free(&s);
    v.history.present = false;
    scene_timeline(&s, &v, false, 1280, 300);
    must_say(&s, "none", "no history");
    scene_free(&s);
}
END_TEST

/* One stretch without exits, one with some, one with twice as many. */
START_TEST(bars_are_as_high_as_exits_are_dense)
{
    static struct view_timeline v;
    struct scene s;
    double height[3] = {0};
    fake_timeline(&v, 900, 900, 0);
    v.moments = 4;
    v.moment[0] = (struct view_moment){0, 0};
    v.moment[1] = (struct view_moment){300, 0};
    v.moment[2] = (struct view_moment){600, 30};
    v.moment[3] = (struct view_moment){900, 90};
    scene_timeline(&s, &v, false, 1280, 300);
    const struct scene_item *lane = must(&s, "exits");
    for (int i = 0; i < s.count; i++)
        for (int third = 0; third < 3; third++)
            if (strncmp(s.items[i].id, "exits.", 6) == 0 && s.items[i].kind == SCENE_BOX &&
                s.items[i].x <= lane->x + lane->w * (third + .5) / 3 &&
                s.items[i].x + s.items[i].w >= lane->x + lane->w * (third + .5) / 3)
                height[third] = s.items[i].h;
    ck_assert_double_eq(height[0], 0);
    ck_assert_double_eq_tol(height[2], lane->h, .1);
    ck_assert_double_eq_tol(height[1], lane->h / 2, .1);
    must_say(&s, "exits.most", "1 in 5");
    scene_free(&s);
}
END_TEST

/* ---- layers ------------------------------------------------------------------------------- */

START_TEST(the_scan_ends_at_who_answers)
{
    static struct view_layers v;
    struct scene s;
    fake_layers(&v, 2, 1, 3);
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "title", "Page 0x80403000: the 4th of 6 layers answers");
    must_say(&s, "layer.0.name", "top");
    must_say(&s, "layer.1.name", "after exit 9000");
    must_say(&s, "layer.1.verdict", "does not have it");
    must_say(&s, "layer.2.name", "checkpoint");
    must_say(&s, "layer.2.when", "instruction 899,998,000");
    must_say(&s, "layer.3.verdict", "answers");
    must_say(&s, "layer.3.pages", "52 pages");
    must_say(&s, "layer.4.verdict", "not asked");
    must_say(&s, "layer.5.name", "base");
    must_say(&s, "layer.5.when", "zeros");
    must_say(&s, "beside.3.name", "another try");
    const struct scene_item *scan = must(&s, "scan"), *answer = must(&s, "layer.3");
    ck_assert_double_eq_tol(scan->py[2], answer->y + answer->h / 2, .1);
    ck_assert_int_eq(answer->role, ROLE_GOOD);
    ck_assert(must(&s, "layer.4")->dashed && !must(&s, "layer.2")->dashed);
    scene_free(&s);
}
END_TEST

/* However many there are: what stands alone is top, base, who answers, and some snapshots. */
START_TEST(many_layers_become_few_rows)
{
    static struct view_layers v;
    struct scene s;
    fake_layers(&v, 1, 200, 90);
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "layer.1.name", "after exit 9000");
    must_say(&s, "layer.2.name", "88 checkpoints");
    must_say(&s, "layer.2.verdict", "do not have it");
    must_say(&s, "layer.3.verdict", "answers");
    must_say(&s, "layer.4.name", "111 checkpoints");
    must_say(&s, "layer.5.name", "base");
    scene_free(&s);
    fake_layers(&v, 40, 0, 30);
    scene_layers(&s, &v, NULL, 770, 196);
    unsigned answers = 0, rows = 0;
    for (int i = 0; i < s.count; i++) {
        answers += strcmp(s.items[i].text, "answers") == 0;
        rows += strstr(s.items[i].id, ".verdict") != NULL;
    }
    ck_assert_uint_eq(answers, 1);
    ck_assert_uint_ge(rows, 4);
    ck_assert_uint_le(rows, 6);
    scene_free(&s);
}
END_TEST

/* The scan goes on in the files that the disk is in layers of. */
START_TEST(files_are_layers)
{
    static struct view_layers v;
    struct scene s;
    fake_disk_layers(&v, 2, 2, 4);
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "title", "Disk block 0x00006000: the 5th of 6 layers answers");
    must_say(&s, "layer.2.name", "after exit 8900");
    must_say(&s, "layer.3.name", "layer-2.qcow2");
    must_say(&s, "layer.3.when", "the disk\u2019s file");
    must_say(&s, "layer.3.verdict", "does not have it");
    must_say(&s, "layer.4.name", "layer-1.qcow2");
    must_say(&s, "layer.4.when", "its backing file");
    must_say(&s, "layer.4.verdict", "answers");
    must_say(&s, "layer.5.verdict", "not asked");
    ck_assert_ptr_null(scene_find(&s, "layer.4.pages"));
    scene_free(&s);
    /* Where there is no room, snapshots make room for few files, */
    fake_disk_layers(&v, 20, 3, 22);
    scene_layers(&s, &v, NULL, 770, 196);
    must_say(&s, "layer.1.name", "layers");
    must_say(&s, "layer.2.name", "layer-3.qcow2");
    must_say(&s, "layer.3.verdict", "answers");
    scene_free(&s);
    /* and many files are told of together, but not with snapshots. */
    fake_disk_layers(&v, 20, 30, 40);
    scene_layers(&s, &v, NULL, 770, 196);
    must_say(&s, "layer.1.name", "20 layers");
    must_say(&s, "layer.2.name", "19 files");
    must_say(&s, "layer.3.verdict", "answers");
    must_say(&s, "layer.4.name", "10 files");
    scene_free(&s);
}
END_TEST

START_TEST(says_why_nobody_is_asked)
{
    static struct view_layers v;
    struct scene s;
    fake_layers(&v, 2, 0, -1);
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "title", "has not touched it yet");
    ck_assert_ptr_null(scene_find(&s, "scan"));
    scene_free(&s);
    memset(&v, 0, sizeof v);
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "none", "take a snapshot");
    scene_free(&s);
    v.disk = true;
    scene_layers(&s, &v, NULL, 1280, 720);
    must_say(&s, "none", "no disk");
    scene_free(&s);
}
END_TEST

/* ---- both --------------------------------------------------------------------------------- */

START_TEST(text_can_be_read)
{
    static struct view_timeline run;
    static struct view_layers layers;
    struct scene s;
    fake_timeline(&run, 1203441, 38900, 38);
    scene_timeline(&s, &run, false, 1280, 300);
    check_contrast(&s, _i);
    scene_free(&s);
    fake_layers(&layers, 2, 1, 3);
    scene_layers(&s, &layers, NULL, 1280, 720);
    check_contrast(&s, _i);
    scene_free(&s);
}
END_TEST

START_TEST(describes_in_words)
{
    static struct view_timeline run;
    static struct view_layers layers;
    char title[160], text[320];
    struct drawing drawing = {.kind = DRAWING_TIMELINE, .timeline = &run, .layers = &layers};
    fake_timeline(&run, 1203441, 38900, 38);
    fake_layers(&layers, 9, 1, 12);
    draw_describe(&drawing, title, sizeof title, text, sizeof text);
    ck_assert_str_eq(text, "Instruction 38,900 of 1,203,441: in the past");
    drawing.kind = DRAWING_LAYERS;
    draw_describe(&drawing, title, sizeof title, text, sizeof text);
    ck_assert_str_eq(title, "Layers of memory");
    ck_assert_str_eq(text, "Page 0x80403000: the 13th of 20 layers answers");
}
END_TEST

START_TEST(becomes_files)
{
    static struct view_timeline run;
    static struct view_layers layers;
    struct drawing drawing = {.kind = DRAWING_TIMELINE, .timeline = &run, .layers = &layers};
    const char *path = _i ? "test-draw-time.pdf" : "test-draw-time.svg";
    fake_timeline(&run, 1203441, 38900, 38);
    fake_layers(&layers, 9, 1, 12);
    ck_assert_int_eq(draw_to_file(path, &drawing, 0, 0, _i), 0);
    drawing.kind = DRAWING_LAYERS;
    ck_assert_int_eq(draw_to_file(path, &drawing, 0, 0, _i), 0);
    unlink(path);
}
END_TEST

static Suite *draw_suite(void)
{
    Suite *suite = suite_create("draw-time");
    TCase *fits = tcase_create("fits"), *content = tcase_create("content");
    tcase_set_timeout(fits, 600);
    tcase_add_loop_test(fits, timelines_fit, 0, RUNS);
    tcase_add_loop_test(fits, layers_fit, 0, STACKS);
    suite_add_tcase(suite, fits);
    tcase_set_timeout(content, 600);
    tcase_add_test(content, the_handle_is_where_the_guest_stands);
    tcase_add_test(content, places_are_instructions);
    tcase_add_test(content, marks_are_there);
    tcase_add_test(content, bars_are_as_high_as_exits_are_dense);
    tcase_add_test(content, the_scan_ends_at_who_answers);
    tcase_add_test(content, many_layers_become_few_rows);
    tcase_add_test(content, files_are_layers);
    tcase_add_test(content, says_why_nobody_is_asked);
    tcase_add_loop_test(content, text_can_be_read, 0, 2);
    tcase_add_test(content, describes_in_words);
    tcase_add_loop_test(content, becomes_files, 0, 2);
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
