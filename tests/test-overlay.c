/*
 * Layers of pages, against the simplest thing that can do the same: a whole copy of memory for each
 * layer. Random writes, freezes, restores and deletions; after each, memory is what the copy says,
 * and the index gives what the scan finds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/overlay.h"
#include "tests/random-program.h"
#include "tests/tap.h"

enum { PAGES = 24, SMALL = 3 * OVERLAY_PAGE - 100, LAYERS = 400, SIZE = PAGES * OVERLAY_PAGE };

/* Memory with an account of writes, and a small array that is compared. */
struct world {
    uint8_t bytes[SIZE], small[SMALL];
    struct ram_track track;
    struct overlay *overlay;
    struct copy {
        int id, parent;
        uint8_t bytes[SIZE], small[SMALL];
    } * copy;
    int copies;
    uint64_t seed;
};

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->seed = seed;
    w->copy = calloc(LAYERS, sizeof *w->copy);
    ck_assert_ptr_nonnull(w->copy);
    ck_assert_int_eq(ram_track_init(&w->track, PAGES), 0);
    struct overlay_part part[] = {
        {.name = "memory", .bytes = w->bytes, .size = SIZE, .track = &w->track},
        {.name = "array", .bytes = w->small, .size = SMALL},
    };
    w->overlay = overlay_new(part, 2);
    ck_assert_ptr_nonnull(w->overlay);
    return w;
}

static void world_free(struct world *w)
{
    overlay_free(w->overlay);
    ram_track_free(&w->track, PAGES);
    free(w->copy);
    free(w);
}

static uint32_t below(struct world *w, uint32_t limit)
{
    return random_below(&w->seed, limit);
}

static void scribble(struct world *w)
{
    for (uint32_t n = below(w, 6); n; n--) {
        uint32_t page = below(w, PAGES), at = below(w, OVERLAY_PAGE);
        w->bytes[page * OVERLAY_PAGE + at] = (uint8_t)below(w, 4);
        ram_track_write(&w->track, page);
    }
    if (below(w, 3) == 0)
        w->small[below(w, SMALL)] = (uint8_t)below(w, 4);
}

static void freeze(struct world *w)
{
    struct copy *c = &w->copy[w->copies++];
    c->parent = overlay_current(w->overlay);
    c->id = overlay_freeze(w->overlay);
    ck_assert_int_gt(c->id, 0);
    ck_assert_int_eq(overlay_current(w->overlay), c->id);
    ck_assert_int_eq(overlay_parent(w->overlay, c->id), c->parent);
    memcpy(c->bytes, w->bytes, SIZE);
    memcpy(c->small, w->small, SMALL);
}

static void restore(struct world *w)
{
    struct copy *c = &w->copy[below(w, (uint32_t)w->copies)];
    ck_assert_int_eq(overlay_restore(w->overlay, c->id), 0);
    ck_assert_int_eq(memcmp(w->bytes, c->bytes, SIZE), 0);
    ck_assert_int_eq(memcmp(w->small, c->small, SMALL), 0);
}

static void delete (struct world *w)
{
    struct copy *c = &w->copy[below(w, (uint32_t)w->copies)];
    int id = c->id, parent = c->parent;
    ck_assert_int_eq(overlay_delete(w->overlay, id), 0);
    *c = w->copy[--w->copies];
    for (int i = 0; i < w->copies; i++)
        if (w->copy[i].parent == id)
            w->copy[i].parent = parent;
}

static void check_look(struct world *w)
{
    for (unsigned part = 0; part < 2; part++) {
        for (uint32_t page = 0; page < (part ? 3 : PAGES); page++) {
            int id, steps;
            const uint8_t *found = overlay_scan(w->overlay, part, page, &id, &steps);
            ck_assert_ptr_eq(found, overlay_look(w->overlay, part, page));
            ck_assert_int_eq(found != NULL, id > 0);
        }
    }
}

/* What is not in the top is what the layers say. */
static void check_top(struct world *w)
{
    static const uint8_t zero[OVERLAY_PAGE];
    for (uint32_t page = 0; page < PAGES; page++) {
        const uint8_t *was = overlay_look(w->overlay, 0, page);
        if (!overlay_in_top(w->overlay, 0, page))
            ck_assert_int_eq(memcmp(&w->bytes[page * OVERLAY_PAGE], was ? was : zero, OVERLAY_PAGE),
                             0);
    }
}

START_TEST(test_random)
{
    struct world *w = world_new((uint64_t)_i + 1);
    for (int n = 0; n < 2000; n++) {
        uint32_t dice = below(w, 10);
        if (dice < 5)
            scribble(w);
        else if (dice < 7 && w->copies < LAYERS)
            freeze(w);
        else if (dice < 9 && w->copies)
            restore(w);
        else if (w->copies > 3)
            delete (w);
        check_look(w);
        check_top(w);
    }
    for (int i = 0; i < w->copies; i++)
        ck_assert_int_eq(overlay_parent(w->overlay, w->copy[i].id), w->copy[i].parent);
    uint8_t now[SIZE];
    memcpy(now, w->bytes, SIZE);
    while (w->copies)
        delete (w);
    ck_assert_uint_eq(overlay_bytes(w->overlay), 0);
    ck_assert_int_eq(memcmp(now, w->bytes, SIZE), 0);
    world_free(w);
}
END_TEST

START_TEST(test_no_such_layer)
{
    struct world *w = world_new(1);
    ck_assert_int_eq(overlay_restore(w->overlay, 1), -ENOENT);
    ck_assert_int_eq(overlay_delete(w->overlay, 0), -ENOENT);
    freeze(w);
    ck_assert_int_eq(overlay_restore(w->overlay, 2), -ENOENT);
    ck_assert_int_eq(overlay_delete(w->overlay, 1), 0);
    ck_assert_int_eq(overlay_delete(w->overlay, 1), -ENOENT);
    world_free(w);
}
END_TEST

/* A layer has the pages that have changed, and no others. */
START_TEST(test_cost_is_what_changed)
{
    struct world *w = world_new(1);
    memset(w->bytes, 7, SIZE);
    for (uint32_t page = 0; page < PAGES; page++)
        ram_track_write(&w->track, page);
    int all = overlay_freeze(w->overlay);
    ck_assert_uint_eq(overlay_pages(w->overlay, all), PAGES);
    w->bytes[5 * OVERLAY_PAGE]++;
    ram_track_write(&w->track, 5);
    ram_track_write(&w->track, 6); /* written, but with what it held */
    int some = overlay_freeze(w->overlay);
    ck_assert_uint_eq(overlay_pages(w->overlay, some), 1);
    ck_assert_uint_eq(overlay_pages(w->overlay, overlay_freeze(w->overlay)), 0);
    world_free(w);
}
END_TEST

/* A thousand layers: the index does not ask them. */
START_TEST(test_deep)
{
    struct world *w = world_new(1);
    int id, steps, first;
    w->bytes[0] = 42;
    ram_track_write(&w->track, 0);
    first = overlay_freeze(w->overlay);
    for (int n = 0; n < 1000; n++) {
        w->bytes[OVERLAY_PAGE * (1 + n % (PAGES - 1))]++;
        ram_track_write(&w->track, 1 + (uint32_t)n % (PAGES - 1));
        ck_assert_int_gt(overlay_freeze(w->overlay), 0);
    }
    const uint8_t *page = overlay_look(w->overlay, 0, 0);
    ck_assert_ptr_eq(page, overlay_scan(w->overlay, 0, 0, &id, &steps));
    ck_assert_int_eq(id, first);
    ck_assert_int_eq(steps, 1001);
    ck_assert_int_eq(page[0], 42);
    ck_assert_int_eq(overlay_restore(w->overlay, first), 0);
    ck_assert_int_eq(w->bytes[OVERLAY_PAGE], 0);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("overlay");
    TCase *t = tcase_create("overlay");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, test_random, 0, 20);
    tcase_add_test(t, test_no_such_layer);
    tcase_add_test(t, test_cost_is_what_changed);
    tcase_add_test(t, test_deep);
    suite_add_tcase(suite, t);
    return tap_run(suite);
}
