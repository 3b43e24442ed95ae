/* What every scene promises, as checks. See scene-checks.h. */
#include "tests/gui/scene-checks.h"

#include <math.h>
#include <string.h>

#include "gui/draw/scene_priv.h"
#include "tests/tap.h"

const double check_sizes[CHECK_SIZES][2] = {{420, 300},  {420, 700},  {560, 338},  {640, 360},
                                            {1000, 300}, {1280, 720}, {800, 1000}, {1920, 1080},
                                            {3840, 700}, {300, 200}};

static const double SLACK = .51; /* pixels */

static bool inside(const struct scene_item *a, double x, double y, double w, double h)
{
    return a->x >= x - SLACK && a->y >= y - SLACK && a->x + a->w <= x + w + SLACK &&
           a->y + a->h <= y + h + SLACK;
}

static bool overlap(const struct scene_item *a, const struct scene_item *b)
{
    return a->x + a->w > b->x + SLACK && b->x + b->w > a->x + SLACK && a->y + a->h > b->y + SLACK &&
           b->y + b->h > a->y + SLACK;
}

static void check_item(const struct scene *s, int i, const char *what)
{
    const struct scene_item *item = &s->items[i];
    ck_assert_msg(isfinite(item->x) && isfinite(item->y) && item->w >= 0 && item->h >= 0,
                  "%s: %s has no place", what, item->id);
    ck_assert_msg(inside(item, 0, 0, s->width, s->height), "%s: %s '%s' sticks out of the canvas",
                  what, item->id, item->text);
    ck_assert_msg(!item->elided, "%s: %s is cut off: '%s'", what, item->id, item->text);
    if (item->kind == SCENE_LABEL)
        ck_assert_msg(item->size * s->scale >= 4, "%s: %s is too small", what, item->id);
    if (item->parent >= 0) {
        const struct scene_item *box = &s->items[item->parent];
        ck_assert_msg(inside(item, box->x, box->y, box->w, box->h), "%s: %s '%s' leaves %s", what,
                      item->id, item->text, box->id);
    }
}

/* Things with the same parent do not overlap, and labels overlap no label at all. */
static void check_pair(const struct scene *s, int i, int j, const char *what)
{
    const struct scene_item *a = &s->items[i], *b = &s->items[j];
    bool labels = a->kind == SCENE_LABEL && b->kind == SCENE_LABEL;
    if (a->kind == SCENE_ARROW || b->kind == SCENE_ARROW || (a->parent != b->parent && !labels))
        return;
    ck_assert_msg(!overlap(a, b), "%s: %s '%s' overlaps %s '%s'", what, a->id, a->text, b->id,
                  b->text);
}

void check_scene(const struct scene *s, const char *what)
{
    ck_assert_msg(s->count > 0, "%s: nothing is drawn", what);
    for (int i = 0; i < s->count; i++) {
        check_item(s, i, what);
        for (int j = i + 1; j < s->count; j++)
            check_pair(s, i, j, what);
    }
}

/* ---- what is in it ------------------------------------------------------------------------ */

const struct scene_item *must(const struct scene *s, const char *id)
{
    const struct scene_item *item = scene_find(s, id);
    ck_assert_msg(item, "%s is missing", id);
    return item;
}

void must_say(const struct scene *s, const char *id, const char *text)
{
    const struct scene_item *item = must(s, id);
    ck_assert_msg(strstr(item->text, text), "%s says '%s', not '%s'", id, item->text, text);
}

/* ---- colours ------------------------------------------------------------------------------ */

static double channel(uint32_t rgb, int shift)
{
    double c = (rgb >> shift & 0xff) / 255.;
    return c <= .03928 ? c / 12.92 : pow((c + .055) / 1.055, 2.4);
}

double luminance(uint32_t rgb)
{
    return .2126 * channel(rgb, 16) + .7152 * channel(rgb, 8) + .0722 * channel(rgb, 0);
}

static double contrast(uint32_t a, uint32_t b)
{
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + .05) / (fmin(x, y) + .05);
}

/* What a label stands on: the nearest box around it that has a colour, or the canvas. */
void check_contrast(const struct scene *s, bool dark)
{
    for (int i = 0; i < s->count; i++) {
        const struct scene_item *item = &s->items[i];
        uint32_t paper = PALETTE_NONE;
        if (item->kind != SCENE_LABEL)
            continue;
        for (int box = item->parent; box >= 0 && paper == PALETTE_NONE; box = s->items[box].parent)
            if (!s->items[box].dashed)
                paper = palette_row(s->items[box].role, dark)->fill;
        if (paper == PALETTE_NONE)
            paper = palette_canvas(dark);
        double c = contrast(palette_row(item->role, dark)->text, paper);
        ck_assert_msg(c >= 4.5, "%s: '%s' has a contrast of %.2f (%s)", item->id, item->text, c,
                      dark ? "dark" : "light");
    }
}
