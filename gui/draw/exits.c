/*
 * How many exits there were of each reason, and what they cost: two bars a reason, the most
 * frequent first. On a bare machine the same for its traps, which cost nothing extra. Where exits
 * have a time instead of a cost there is one bar a reason, for their number or their time, and the
 * figures say both and what one exit takes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gui/draw/scene.h"

/* In em. */
static const double COLUMNS = 44, ROWS = 20;
static const double MARGIN = 1, HEAD_HEIGHT = 5.2, ROW_LEAST = 1.5, ROW_MOST = 3.2;
static const double NAME_WIDTH = 11.5, VALUE_WIDTH = 13;
static const double TIMED_WIDTH = 17.4; /* three values */

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
    bool bare, timed, by_time;
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

static int by_time(const void *a, const void *b)
{
    const struct view_exit_count *x = *(const struct view_exit_count *const *)a;
    const struct view_exit_count *y = *(const struct view_exit_count *const *)b;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : by_count(a, b);
}

/* What a bar's length says. */
static uint64_t measure(const struct chart *c, const struct view_exit_count *r)
{
    return c->by_time ? r->ns : r->count;
}

/* The rows in order; what does not fit becomes one row. */
static void choose_rows(struct chart *c, const struct view_exit_stats *v)
{
    double space = c->s->height - (HEAD_HEIGHT + MARGIN) * c->em;
    unsigned fits = (unsigned)fmax(2, floor(space / (ROW_LEAST * c->em)));
    for (unsigned i = 0; i < v->count && i < REASONS; i++)
        if (v->by_reason[i].count)
            c->rows[c->count++] = &v->by_reason[i];
    qsort(c->rows, c->count, sizeof c->rows[0], c->by_time ? by_time : by_count);
    if (c->count > fits) {
        snprintf(c->others.name, sizeof c->others.name, "%u others", c->count - fits + 1);
        for (unsigned i = fits - 1; i < c->count; i++) {
            c->others.count += c->rows[i]->count;
            c->others.cost += c->rows[i]->cost;
            c->others.ns += c->rows[i]->ns;
        }
        c->count = fits;
        c->rows[fits - 1] = &c->others;
    }
    for (unsigned i = 0; i < c->count; i++) {
        c->most = measure(c, c->rows[i]) > c->most ? measure(c, c->rows[i]) : c->most;
        c->dearest = c->rows[i]->cost > c->dearest ? c->rows[i]->cost : c->dearest;
        c->total += c->rows[i]->count;
        c->cost += c->rows[i]->cost;
    }
    c->row = fmin(ROW_MOST * c->em, c->count ? space / c->count : 0);
}

static void count_text(uint64_t n, char *text, unsigned size)
{
    if (n < 100000)
        draw_number_text(n, text, size);
    else if (n < 1000000)
        snprintf(text, size, "%.1f k", (double)n / 1e3);
    else if (n < 1000000000)
        snprintf(text, size, "%.1f M", (double)n / 1e6);
    else
        snprintf(text, size, "%.1f G", (double)n / 1e9);
}

static void time_text(double ns, char *text, unsigned size)
{
    if (ns < 1e6)
        snprintf(text, size, "%.1f \u00b5s", ns / 1e3);
    else if (ns < 1e9)
        snprintf(text, size, "%.*f ms", ns < 1e8 ? 2 : 0, ns / 1e6);
    else
        snprintf(text, size, "%.2f s", ns / 1e9);
}

static void add_timed_head(struct chart *c, const struct view_exit_stats *v)
{
    char total[24], time[24], each[24];
    double em = c->em, w = c->s->width - 2 * MARGIN * em, x = MARGIN * em;
    count_text(v->total, total, sizeof total);
    time_text((double)v->ns, time, sizeof time);
    time_text(v->total ? (double)v->ns / (double)v->total : 0, each, sizeof each);
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.15 * em, ALIGN_LEFT, x, .6 * em, w,
                1.7 * em, "title", "%s exits, handled in %s", total, time);
    scene_label(c->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 2.2 * em, w,
                1.3 * em, "cost",
                "The monitor took %s for each. What KVM handles in the kernel is not counted.",
                each);
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

static const char *const timed_columns[] = {"count", "time", "each"};

static void add_timed_legend(struct chart *c, double values)
{
    double em = c->em, y = 3.6 * em, w = TIMED_WIDTH * em / 3;
    for (int i = 0; i < 3; i++) {
        enum scene_role role = i == c->by_time ? i ? ROLE_COST : ROLE_COUNT : ROLE_DIM;
        scene_label(c->s, SCENE_CANVAS, role, FONT_BOLD, .9 * em, ALIGN_RIGHT, values + i * w, y, w,
                    1.3 * em, scene_name(c->s, "legend", timed_columns[i]), "%s", timed_columns[i]);
    }
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

static void add_timed_row(struct chart *c, unsigned i, double values, double bars)
{
    const struct view_exit_count *r = c->rows[i];
    double em = c->em, y = HEAD_HEIGHT * em + i * c->row, x = MARGIN * em;
    double bar = fmin(c->row - .3 * em, 1.6 * em), w = TIMED_WIDTH * em / 3;
    char id[SCENE_ID], row[SCENE_ID], text[3][24];
    snprintf(row, sizeof row, "row.%u", i);
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, em, ALIGN_LEFT, x, y, NAME_WIDTH * em,
                c->row, scene_name(c->s, row, "name"), "%s", r->name);
    snprintf(id, sizeof id, "row.%u.%s", i, timed_columns[c->by_time]);
    add_bar(c, c->by_time ? ROLE_COST : ROLE_COUNT, x + (NAME_WIDTH + .6) * em,
            y + (c->row - bar) / 2, bars, bar, measure(c, r), c->most, id);
    count_text(r->count, text[0], sizeof text[0]);
    time_text((double)r->ns, text[1], sizeof text[1]);
    time_text((double)r->ns / (double)r->count, text[2], sizeof text[2]);
    for (int k = 0; k < 3; k++) {
        enum scene_role role = k == c->by_time ? k ? ROLE_COST : ROLE_COUNT : ROLE_DIM;
        snprintf(id, sizeof id, "row.%u.%s.text", i, timed_columns[k]);
        scene_label(c->s, SCENE_CANVAS, role, FONT_MONO, .92 * em, ALIGN_RIGHT,
                    values + k * w + .3 * em, y, w - .3 * em, c->row, id, "%s", text[k]);
    }
}

static void add_timed(struct chart *c, const struct view_exit_stats *v)
{
    double values = c->s->width - (MARGIN + TIMED_WIDTH) * c->em;
    double bars = values - (MARGIN + NAME_WIDTH + 1.2) * c->em;
    add_timed_head(c, v);
    add_timed_legend(c, values);
    for (unsigned i = 0; i < c->count; i++)
        add_timed_row(c, i, values, bars);
}

void scene_exits(struct scene *s, const struct view_exit_stats *view, bool bare, bool time,
                 double width, double height)
{
    scene_init(s, width, height, COLUMNS, ROWS);
    struct chart c = {.s = s, .bare = bare, .em = s->em, .timed = view->ns > 0};
    c.by_time = c.timed && time;
    choose_rows(&c, view);
    if (!c.count) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, s->em, ALIGN_CENTRE, s->em, 0,
                    s->width - 2 * s->em, s->height, "none", "No %s yet.",
                    bare ? "traps" : "exits");
        return;
    }
    if (c.timed) {
        add_timed(&c, view);
        return;
    }
    double values = s->width - (MARGIN + VALUE_WIDTH) * s->em;
    double bars = values - (MARGIN + NAME_WIDTH + 1.2) * s->em;
    add_head(&c, view);
    add_legend(&c, values);
    for (unsigned i = 0; i < c.count; i++)
        add_row(&c, i, values, bars);
}
