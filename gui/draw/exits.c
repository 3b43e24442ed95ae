/*
 * How many exits there were of each reason, and what they cost: two bars a reason, the most
 * frequent first. On a bare machine the same for its traps, which cost nothing extra.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gui/draw/scene.h"

/* In em. */
static const double COLUMNS = 44, ROWS = 20;
static const double MARGIN = 1, HEAD_HEIGHT = 5.2, ROW_LEAST = 1.5, ROW_MOST = 3.2;
static const double NAME_WIDTH = 11.5, VALUE_WIDTH = 13;

enum {
    REASONS = sizeof((struct view_exit_stats){0}).by_reason /
              sizeof((struct view_exit_stats){0}).by_reason[0]
};

struct chart {
    struct scene *s;
    const struct view_exit_count *rows[REASONS];
    unsigned count;
    struct view_exit_count others; /* what has no room */
    uint64_t most, dearest, total, cost;
    bool bare;
    double em, row;
};

static int by_count(const void *a, const void *b)
{
    const struct view_exit_count *x = *(const struct view_exit_count *const *)a;
    const struct view_exit_count *y = *(const struct view_exit_count *const *)b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->cost < y->cost ? 1 : x->cost > y->cost ? -1 : 0;
}

/* The rows in order; what does not fit becomes one row. */
static void choose_rows(struct chart *c, const struct view_exit_stats *v)
{
    double space = c->s->height - (HEAD_HEIGHT + MARGIN) * c->em;
    unsigned fits = (unsigned)fmax(2, floor(space / (ROW_LEAST * c->em)));
    for (unsigned i = 0; i < v->count && i < REASONS; i++)
        if (v->by_reason[i].count)
            c->rows[c->count++] = &v->by_reason[i];
    qsort(c->rows, c->count, sizeof c->rows[0], by_count);
    if (c->count > fits) {
        snprintf(c->others.name, sizeof c->others.name, "%u others", c->count - fits + 1);
        for (unsigned i = fits - 1; i < c->count; i++) {
            c->others.count += c->rows[i]->count;
            c->others.cost += c->rows[i]->cost;
        }
        c->count = fits;
        c->rows[fits - 1] = &c->others;
    }
    for (unsigned i = 0; i < c->count; i++) {
        c->most = c->rows[i]->count > c->most ? c->rows[i]->count : c->most;
        c->dearest = c->rows[i]->cost > c->dearest ? c->rows[i]->cost : c->dearest;
        c->total += c->rows[i]->count;
        c->cost += c->rows[i]->cost;
    }
    c->row = fmin(ROW_MOST * c->em, c->count ? space / c->count : 0);
}

static void count_text(uint64_t n, char *text, unsigned size)
{
    if (n < 100000)
        snprintf(text, size, "%llu", (unsigned long long)n);
    else if (n < 1000000)
        snprintf(text, size, "%.1f k", (double)n / 1e3);
    else if (n < 1000000000)
        snprintf(text, size, "%.1f M", (double)n / 1e6);
    else
        snprintf(text, size, "%.1f G", (double)n / 1e9);
}

static void add_head(struct chart *c, const struct view_exit_stats *v)
{
    char total[24], instructions[24], cost[24];
    double em = c->em, w = c->s->width - 2 * MARGIN * em, x = MARGIN * em;
    count_text(v->total, total, sizeof total);
    count_text(v->instructions, instructions, sizeof instructions);
    count_text(c->cost, cost, sizeof cost);
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.15 * em, ALIGN_LEFT, x, .6 * em, w,
                1.7 * em, "title", "%s %s in %s guest instructions", total,
                c->bare ? "traps" : "exits", instructions);
    if (c->bare)
        return;
    scene_label(c->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 2.2 * em, w,
                1.3 * em, "cost",
                "They cost the monitor %s nominal instructions, %.2f for each of the guest's.",
                cost, v->instructions ? (double)c->cost / (double)v->instructions : 0.);
}

/* "count" over its numbers and "cost" over its own, with their colours. */
static void add_legend(struct chart *c, double values)
{
    double em = c->em, y = 3.6 * em, w = VALUE_WIDTH * em / 2;
    scene_label(c->s, SCENE_CANVAS, ROLE_COUNT, FONT_BOLD, .9 * em, ALIGN_RIGHT, values, y,
                c->bare ? 2 * w : w, 1.3 * em, "legend.count", "count");
    if (!c->bare)
        scene_label(c->s, SCENE_CANVAS, ROLE_COST, FONT_BOLD, .9 * em, ALIGN_RIGHT, values + w, y,
                    w, 1.3 * em, "legend.cost", "cost");
}

static void add_bar(struct chart *c, enum scene_role role, double x, double y, double w, double h,
                    uint64_t value, uint64_t most, const char *id)
{
    if (value && most)
        scene_box(c->s, SCENE_CANVAS, role, x, y, fmax(2, w * (double)value / (double)most), h, id);
}

static void add_row(struct chart *c, unsigned i, double values, double bars)
{
    const struct view_exit_count *r = c->rows[i];
    double em = c->em, y = HEAD_HEIGHT * em + i * c->row, x = MARGIN * em;
    double from = x + NAME_WIDTH * em + .6 * em, bar = (c->row - .3 * em) / (c->bare ? 1 : 2);
    bar = fmin(bar, 1.1 * em);
    double top = y + (c->row - bar * (c->bare ? 1 : 2)) / 2, w = VALUE_WIDTH * em / 2;
    char id[SCENE_ID], text[24];
    snprintf(id, sizeof id, "row.%u.name", i);
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, em, ALIGN_LEFT, x, y, NAME_WIDTH * em,
                c->row, id, "%s", r->name);
    snprintf(id, sizeof id, "row.%u.count", i);
    add_bar(c, ROLE_COUNT, from, top, bars, bar, r->count, c->most, id);
    count_text(r->count, text, sizeof text);
    snprintf(id, sizeof id, "row.%u.count.text", i);
    scene_label(c->s, SCENE_CANVAS, ROLE_COUNT, FONT_MONO, .95 * em, ALIGN_RIGHT, values, y,
                c->bare ? 2 * w : w, c->row, id, "%s", text);
    if (c->bare)
        return;
    snprintf(id, sizeof id, "row.%u.cost", i);
    add_bar(c, ROLE_COST, from, top + bar, bars, bar, r->cost, c->dearest, id);
    count_text(r->cost, text, sizeof text);
    snprintf(id, sizeof id, "row.%u.cost.text", i);
    scene_label(c->s, SCENE_CANVAS, ROLE_COST, FONT_MONO, .95 * em, ALIGN_RIGHT, values + w, y, w,
                c->row, id, "%s", text);
}

void scene_exits(struct scene *s, const struct view_exit_stats *view, bool bare, double width,
                 double height)
{
    scene_init(s, width, height, COLUMNS, ROWS);
    struct chart c = {.s = s, .bare = bare, .em = s->em};
    choose_rows(&c, view);
    if (!c.count) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, s->em, ALIGN_CENTRE, s->em, 0,
                    s->width - 2 * s->em, s->height, "none", "No %s yet.",
                    bare ? "traps" : "exits");
        return;
    }
    double values = s->width - (MARGIN + VALUE_WIDTH) * s->em;
    double bars = values - (MARGIN + NAME_WIDTH + 1.2) * s->em;
    add_head(&c, view);
    add_legend(&c, values);
    for (unsigned i = 0; i < c.count; i++)
        add_row(&c, i, values, bars);
}
