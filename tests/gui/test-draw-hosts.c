/*
 * The drawings of other hosts: epochs on a ruler, and the rounds of a move. As in test-draw.c: what
 * is in the scenes, that it fits, that it can be read.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"
#include "tests/gui/fake-views.h"
#include "tests/gui/scene-checks.h"
#include "tests/tap.h"

/* These are laid out for less height than the others, too. */
static const double low[][2] = {{420, 180}, {770, 196}, {940, 260}, {2400, 180}};
enum { LOW = sizeof low / sizeof low[0], SIZES = CHECK_SIZES + LOW };

static const double *nth_size(int i)
{
    return i < CHECK_SIZES ? check_sizes[i] : low[i - CHECK_SIZES];
}

static const struct {
    enum view_protection_phase phase;
    unsigned recent;
    double pause, delay;
} protections[] = {
    {PROTECTION_NONE, 0, 0, 0},         {PROTECTION_COPYING, 0, 0, 0},
    {PROTECTION_ON, 1, 3e-4, 2e-3},     {PROTECTION_ON, 2, 3e-4, 2e-3},
    {PROTECTION_ON, 16, 3e-4, 2e-3},    {PROTECTION_ON, 16, 0, 1e-5},
    {PROTECTION_ON, 16, .5, .03},       {PROTECTION_ALONE, 16, 3e-4, .039},
    {PROTECTION_TAKEN, 0, 0, 0},        {PROTECTION_OVER, 16, 2e-3, 2e-2},
    {PROTECTION_FENCED, 7, 3e-4, 2e-3}, {PROTECTION_DOUBT, 7, 3e-4, 2e-3},
    {PROTECTION_ENDED, 0, 0, 0},
};
enum { PROTECTIONS = sizeof protections / sizeof protections[0] };

static void take_protection(struct view_protection *v, int i)
{
    fake_protection(v, protections[i].phase, protections[i].recent, protections[i].pause,
                    protections[i].delay);
}

START_TEST(protections_fit)
{
    struct view_protection v;
    take_protection(&v, _i);
    for (int i = 0; i < 2 * SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = nth_size(i / 2);
        v.searching = i % 2;
        strcpy(v.why, v.searching ? "unix:/run/vitrine/backup: No such file or directory" : "");
        scene_protection(&s, &v, size[0], size[1]);
        snprintf(what, sizeof what, "protection %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        check_contrast(&s, i % 4 < 2);
        scene_free(&s);
    }
}
END_TEST

static const struct {
    enum view_migration_phase phase;
    unsigned rounds;
} migrations[] = {{MIGRATION_NONE, 0},    {MIGRATION_COPYING, 0},  {MIGRATION_COPYING, 1},
                  {MIGRATION_COPYING, 4}, {MIGRATION_HANDOVER, 5}, {MIGRATION_MOVED, 1},
                  {MIGRATION_MOVED, 5},   {MIGRATION_STAYED, 30},  {MIGRATION_STAYED, 99999},
                  {MIGRATION_DOUBT, 3},   {MIGRATION_POSTCOPY, 1}, {MIGRATION_TORN, 3}};
enum { MIGRATIONS = sizeof migrations / sizeof migrations[0] };

START_TEST(migrations_fit)
{
    struct view_migration v;
    fake_migration(&v, migrations[_i].phase, migrations[_i].rounds);
    for (int i = 0; i < 2 * SIZES; i++) {
        char what[64];
        struct scene s;
        const double *size = nth_size(i / 2);
        v.throttle = i % 2 ? 80 : 0;
        scene_migration(&s, &v, size[0], size[1]);
        snprintf(what, sizeof what, "migration %d at %gx%g", _i, size[0], size[1]);
        check_scene(&s, what);
        check_contrast(&s, i % 4 < 2);
        scene_free(&s);
    }
}
END_TEST

/* ---- epochs ------------------------------------------------------------------------------- */

static double end_of(const struct scene_item *item)
{
    return item->x + item->w;
}

START_TEST(the_world_is_behind)
{
    struct view_protection v;
    struct scene s;
    fake_protection(&v, PROTECTION_ON, 6, 4e-3, .02);
    scene_protection(&s, &v, 1280, 300);
    must_say(&s, "title", "Protected by unix:/run/vitrine/backup: it has epoch 1,506");
    must_say(&s, "more", "generation 2 of the fence");
    must_say(&s, "runs.1504.text", "1,504");
    const struct scene_item *runs = must(&s, "runs.1504"), *stands = must(&s, "stands.1504");
    const struct scene_item *next = must(&s, "runs.1505"), *flight = must(&s, "flight.1504");
    const struct scene_item *held = must(&s, "held.1504"), *seen = must(&s, "seen.1504");
    ck_assert_double_eq_tol(end_of(runs), stands->x, .1);
    ck_assert_double_eq_tol(end_of(stands), next->x, .1);
    ck_assert_double_eq_tol(flight->x, next->x, .1);
    ck_assert_double_eq_tol(flight->w / runs->w, .5, .02);
    ck_assert_double_eq_tol(stands->w / runs->w, .1, .02);
    ck_assert_double_eq_tol(held->x, runs->x, .1);
    ck_assert_double_eq_tol(end_of(held), seen->x, .1);
    ck_assert_double_gt(seen->x, end_of(flight));
    must_say(&s, "held.1504.text", "2.9 KiB");
    ck_assert_ptr_null(scene_find(&s, "held.1505"));
    ck_assert(must(&s, "runs.1507")->dashed && !next->dashed);
    must_say(&s, "fact.stood", "4.00 ms");
    must_say(&s, "fact.on its way", "20.0 ms");
    must_say(&s, "fact.pages", "82");
    must_say(&s, "axis.0", "now");
    scene_free(&s);
}
END_TEST

/* On its way until there is an acknowledgement, and held until then. */
START_TEST(what_is_not_acknowledged_is_held)
{
    struct view_protection v;
    struct scene s;
    fake_protection(&v, PROTECTION_ON, 4, 4e-3, .02);
    v.log[3].acknowledged = v.log[3].released = 0;
    v.seconds = v.log[3].copied + .01;
    scene_protection(&s, &v, 1280, 300);
    const struct scene_item *lane = must(&s, "link"), *flight = must(&s, "flight.1504");
    ck_assert(flight->dashed);
    ck_assert_double_eq_tol(end_of(flight), end_of(lane), .1);
    ck_assert_double_eq_tol(end_of(must(&s, "held.1504")), end_of(lane), .1);
    ck_assert_ptr_null(scene_find(&s, "seen.1504"));
    must_say(&s, "fact.on its way", "20.0 ms"); /* of the one before */
    scene_free(&s);
}
END_TEST

static const struct {
    enum view_protection_phase phase;
    const char *title;
} titles[] = {
    {PROTECTION_ALONE, "The backup is lost: the guest runs unprotected"},
    {PROTECTION_TAKEN, "The primary is lost: the guest goes on here, unprotected"},
    {PROTECTION_FENCED, "unix:/run/vitrine/backup has taken the guest over"},
    {PROTECTION_DOUBT, "The guest stands: unix:/run/vitrine/backup may have taken it over"},
    {PROTECTION_OVER, "No longer protected"},
};
enum { TITLES = sizeof titles / sizeof titles[0] };

START_TEST(losses_are_told)
{
    struct view_protection v;
    struct scene s;
    fake_protection(&v, titles[_i].phase, 5, 4e-3, .02);
    strcpy(v.why, "the link broke");
    scene_protection(&s, &v, 1280, 300);
    must_say(&s, "title", titles[_i].title);
    must_say(&s, "more", "the link broke");
    must_say(&s, "axis.0", "the end");
    ck_assert_ptr_null(scene_find(&s, "runs.1506"));
    scene_free(&s);
    v.searching = true;
    scene_protection(&s, &v, 1280, 300);
    must_say(&s, "more", "Looking for a backup at unix:/run/vitrine/backup: the link broke");
    scene_free(&s);
}
END_TEST

START_TEST(nothing_is_said_well)
{
    struct view_protection v = {0};
    struct view_migration m = {0};
    struct scene s;
    scene_protection(&s, &v, 770, 220);
    must_say(&s, "none", "This guest is not protected");
    must_say(&s, "hint", "vitrine backup");
    scene_free(&s);
    v.searching = true;
    strcpy(v.to, "unix:/x");
    scene_protection(&s, &v, 770, 220);
    must_say(&s, "hint", "Looking for a backup at unix:/x");
    scene_free(&s);
    scene_migration(&s, &m, 770, 220);
    must_say(&s, "none", "This guest has not moved");
    must_say(&s, "hint", "vitrine run --incoming");
    scene_free(&s);
}
END_TEST

/* ---- rounds ------------------------------------------------------------------------------- */

START_TEST(rounds_shrink_to_the_limit)
{
    struct view_migration v;
    struct scene s;
    fake_migration(&v, MIGRATION_MOVED, 4);
    scene_migration(&s, &v, 1280, 400);
    must_say(&s, "title", "Moved to tcp:there.example:7000: the guest stood for 3.1 ms");
    must_say(&s, "round.1.pages.text", "65,536");
    must_say(&s, "round.1.dirty.text", "16,384");
    must_say(&s, "round.4.time.text", "2.2 ms");
    ck_assert_double_eq_tol(must(&s, "round.1.pages")->w / must(&s, "round.2.pages")->w, 4, .01);
    ck_assert_double_eq(must(&s, "round.1.dirty")->w, must(&s, "round.2.pages")->w);
    double limit = must(&s, "limit")->px[0];
    for (unsigned i = 0; i < 4; i++) {
        char id[SCENE_ID];
        snprintf(id, sizeof id, "round.%u.time", i + 1);
        bool good = v.log[i].expected <= v.limit;
        ck_assert_int_eq(end_of(must(&s, id)) <= limit, good);
        ck_assert_int_eq(must(&s, id)->role, good ? ROLE_ALONE : ROLE_COST);
    }
    must_say(&s, "stood.time.text", "3.1 ms");
    must_say(&s, "limit.text", "limit 10 ms");
    scene_free(&s);
}
END_TEST

START_TEST(the_last_of_many_rounds)
{
    struct view_migration v;
    struct scene s;
    fake_migration(&v, MIGRATION_STAYED, 100);
    scene_migration(&s, &v, 770, 220);
    must(&s, "round.100.name");
    ck_assert_ptr_null(scene_find(&s, "round.1.name"));
    must_say(&s, "title", "was not moved to");
    scene_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("draw-hosts");
    TCase *fit = tcase_create("fit"), *epochs = tcase_create("epochs"),
          *rounds = tcase_create("rounds");
    tcase_set_timeout(fit, 600);
    tcase_add_loop_test(fit, protections_fit, 0, PROTECTIONS);
    tcase_add_loop_test(fit, migrations_fit, 0, MIGRATIONS);
    suite_add_tcase(suite, fit);
    tcase_set_timeout(epochs, 600);
    tcase_set_timeout(rounds, 600);
    tcase_add_test(epochs, the_world_is_behind);
    tcase_add_test(epochs, what_is_not_acknowledged_is_held);
    tcase_add_loop_test(epochs, losses_are_told, 0, TITLES);
    tcase_add_test(epochs, nothing_is_said_well);
    suite_add_tcase(suite, epochs);
    tcase_add_test(rounds, rounds_shrink_to_the_limit);
    tcase_add_test(rounds, the_last_of_many_rounds);
    suite_add_tcase(suite, rounds);
    return tap_run(suite);
}
