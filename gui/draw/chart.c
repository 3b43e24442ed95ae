/*
 * How fast programs ran: a group of bars for each program, a bar for each way to run it, on a
 * logarithmic axis. Ratios to native stand on the left and end at 1 where nothing is faster; rates
 * of trapping operations stand on the right. Each has the whole width when the other is missing.
 *
 * Bars on a logarithmic axis begin at a decade, not at zero: their ends can be compared, their
 * lengths cannot. So the figure stands beside the bar wherever there is room for it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene.h"

/* In em. */
static const double COLUMNS = 92, ROWS = 51;
static const double MARGIN = 2, HEAD_HEIGHT = 7.4, AXIS_HEIGHT = 3.4, PANEL_GAP = 3.4;
static const double NAME_WIDTH = 9.2, VALUE_WIDTH = 4.2, TITLE_HEIGHT = 2.2, THIN = .72;
static const double BAR_MOST = 1.5, GROUP_GAP = .5, FAMILY_GAP = .12, GROUP_MOST = 13;
static const double RATIO_SHARE = .6; /* of the width, if there are rates, too */

/* One panel on its place. */
struct panel {
    struct scene *s;
    const struct speed_chart *chart;
    const struct chart_panel *data;
    const char *id;
    double em, x, y, w, h;     /* all of it */
    double from, to;           /* where the axis begins and ends */
    double low, high;          /* what stands there: logarithms */
    unsigned families, bars;   /* series that have a value at all */
    unsigned at[CHART_SERIES]; /* their numbers */
    double pitch, bar;         /* of a group, of a bar */
    unsigned count;            /* groups that fit */
    bool thin;                 /* no bar has room for a figure of its own */
};

/* ---- numbers ------------------------------------------------------------------------------ */

static void ratio_text(double value, char out[16])
{
    snprintf(out, 16, value >= .1 ? "%.2f" : value >= .01 ? "%.3f" : "%.4f", value);
}

static void rate_text(double value, char out[16])
{
    static const char *const UNITS[] = {"", " k", " M", " G"};
    int unit = 0;
    for (; value >= 999.5 && unit < 3; unit++)
        value /= 1000;
    snprintf(out, 16, "%.*f%s", value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2, value, UNITS[unit]);
}

static void tick_text(const struct panel *p, double value, char out[16])
{
    static const char *const UNITS[] = {"", " k", " M", " G"};
    int unit = 0;
    if (!p->data->rates) {
        snprintf(out, 16, "%g", value);
        return;
    }
    for (; value >= 999.5 && unit < 3; unit++)
        value /= 1000;
    snprintf(out, 16, "%.0f%s", value, UNITS[unit]);
}

/* ---- where things are --------------------------------------------------------------------- */

static double place_of(const struct panel *p, double value)
{
    double part = (log10(value) - p->low) / (p->high - p->low);
    return p->from + (p->to - p->from) * fmin(1, fmax(0, part));
}

static bool has_values(const struct chart_panel *data, unsigned series)
{
    for (unsigned i = 0; i < data->count; i++)
        if (data->groups[i].value[series] > 0)
            return true;
    return false;
}

static void choose_bars(struct panel *p)
{
    unsigned family = UINT32_MAX;
    for (unsigned i = 0; i < p->chart->series_count; i++) {
        if (!has_values(p->data, i))
            continue;
        p->families += p->chart->series[i].family != family;
        family = p->chart->series[i].family;
        p->at[p->bars++] = i;
    }
}

/* Ratios end at native speed, or a little behind the fastest that is faster; both axes begin at a
 * decade that leaves the shortest bar some length. */
static void choose_axis(struct panel *p)
{
    double least = p->data->rates ? 1e12 : 1, most = p->data->rates ? 1 : 1;
    for (unsigned i = 0; i < p->data->count; i++)
        for (unsigned k = 0; k < p->bars; k++) {
            double value = p->data->groups[i].value[p->at[k]];
            if (value > 0) {
                least = fmin(least, value);
                most = fmax(most, value);
            }
        }
    p->low = floor(log10(fmin(least, most)) - .1);
    p->high = p->data->rates ? ceil(log10(most) * 4) / 4 : most > 1 ? log10(most) + .02 : 0;
    if (p->high - p->low < 1)
        p->high = p->low + 1;
}

static void choose_sizes(struct panel *p)
{
    double space = p->h - (TITLE_HEIGHT + AXIS_HEIGHT) * p->em, least = 1.9 * p->em;
    unsigned fits = (unsigned)fmax(1, floor(space / least));
    p->count = p->data->count < fits ? p->data->count : fits;
    p->pitch = fmin(space / p->count, GROUP_MOST * p->em);
    double gaps = GROUP_GAP * p->em + (p->families - 1) * FAMILY_GAP * p->em;
    p->bar = fmin(BAR_MOST * p->em, (p->pitch - gaps) / p->bars);
    p->thin = p->bar < THIN * p->em;
}

/* ---- the parts ---------------------------------------------------------------------------- */

static void add_line(struct panel *p, enum scene_role role, double x0, double y0, double x1,
                     double y1, bool dashed, const char *id)
{
    const double px[] = {x0, x1}, py[] = {y0, y1};
    int line = scene_arrow(p->s, role, 2, px, py, id);
    scene_at(p->s, line)->plain = true;
    scene_at(p->s, line)->dashed = dashed;
}

static void add_tick(struct panel *p, double value, bool decade, double last)
{
    double em = p->em, x = place_of(p, value), top = p->y + TITLE_HEIGHT * em;
    double bottom = top + p->count * p->pitch;
    bool native = !p->data->rates && value == 1;
    char text[16], id[SCENE_ID];
    tick_text(p, value, text);
    snprintf(id, sizeof id, "%s.grid.%s", p->id, text);
    add_line(p, native ? ROLE_PLAIN : ROLE_DIM, x, top, x, bottom + .4 * em, !decade, id);
    if (!decade && last < 3.4 * em)
        return;
    snprintf(id, sizeof id, "%s.tick.%s", p->id, text);
    scene_label(p->s, SCENE_CANVAS, decade ? ROLE_PLAIN : ROLE_DIM, FONT_TEXT, .9 * em,
                ALIGN_CENTRE, x - 2 * em, bottom + .5 * em, 4 * em, 1.3 * em, id, "%s", text);
    if (native)
        scene_label(p->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, .9 * em, ALIGN_CENTRE, x - 3 * em,
                    bottom + 1.8 * em, 6 * em, 1.3 * em, "native", "native");
}

/* Decades, and 2 and 5 between them. */
static void add_grid(struct panel *p)
{
    static const double STEPS[] = {1, 2, 5};
    double decade_width = (p->to - p->from) / (p->high - p->low);
    for (double decade = p->low; decade <= p->high + 1e-9; decade++)
        for (int i = 0; i < 3; i++) {
            double value = STEPS[i] * pow(10, decade);
            if (log10(value) <= p->high + 1e-9)
                add_tick(p, value, i == 0, decade_width * .22);
        }
}

static enum scene_role role_of(const struct chart_series *s)
{
    return s->alone ? ROLE_ALONE : ROLE_SERIES + s->family % 3 * 3 + s->shade % 3;
}

/* Behind the end of a bar, on lines of the grid perhaps. */
static void add_figure(struct panel *p, double size, double end, double y, double h, const char *id,
                       const char *text)
{
    int label = scene_label(p->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, size, ALIGN_LEFT,
                            end + .4 * p->em, y, VALUE_WIDTH * p->em, h, id, "%s", text);
    scene_at(p->s, label)->halo = true;
}

static void add_bar(struct panel *p, const struct chart_group *g, unsigned number, unsigned series,
                    double y)
{
    const struct chart_series *s = &p->chart->series[series];
    double value = g->value[series], end = place_of(p, value), em = p->em;
    char id[SCENE_ID], text[16];
    snprintf(id, sizeof id, "%s.%u.bar.%u", p->id, number, series);
    scene_at(p->s, scene_box(p->s, SCENE_CANVAS, role_of(s), p->from, y, fmax(2, end - p->from),
                             p->bar, id))
        ->radius = 0;
    if (p->thin)
        return;
    (p->data->rates ? rate_text : ratio_text)(value, text);
    snprintf(id, sizeof id, "%s.%u.value.%u", p->id, number, series);
    add_figure(p, fmin(.85 * em, p->bar / 1.2), fmax(end, p->from + 2), y, p->bar, id, text);
}

/* Bars too thin for a figure each: one for each family, of its middle shade, beside its longest. */
static void add_family_value(struct panel *p, const struct chart_group *g, unsigned number,
                             unsigned family, double y, double h)
{
    double most = 0, shown = 0, em = p->em;
    char id[SCENE_ID], text[16];
    for (unsigned i = 0; i < p->bars; i++) {
        const struct chart_series *s = &p->chart->series[p->at[i]];
        if (s->family != family)
            continue;
        most = fmax(most, g->value[p->at[i]]);
        if (s->shade == 1 || s->alone)
            shown = g->value[p->at[i]];
    }
    if (!p->thin || shown <= 0 || h < .7 * em)
        return;
    (p->data->rates ? rate_text : ratio_text)(shown, text);
    snprintf(id, sizeof id, "%s.%u.family.%u", p->id, number, family);
    add_figure(p, fmin(.8 * em, h / 1.2), place_of(p, most), y, h, id, text);
}

static void add_names(struct panel *p, const struct chart_group *g, unsigned number, double y,
                      double h)
{
    double em = p->em, w = p->from - p->x - .7 * em;
    bool two = *g->detail && h >= 2.5 * em;
    double top = y + (h - (two ? 2.4 : 1.3) * em) / 2;
    char id[SCENE_ID];
    snprintf(id, sizeof id, "%s.%u.name", p->id, number);
    scene_label(p->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, em, ALIGN_RIGHT, p->x, top, w, 1.3 * em,
                id, "%s", g->name);
    snprintf(id, sizeof id, "%s.%u.detail", p->id, number);
    if (two)
        scene_label(p->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .8 * em, ALIGN_RIGHT, p->x,
                    top + 1.3 * em, w, 1.1 * em, id, "%s", g->detail);
}

static void add_group(struct panel *p, unsigned number)
{
    const struct chart_group *g = &p->data->groups[number];
    double em = p->em, gap = FAMILY_GAP * em, y = p->y + TITLE_HEIGHT * em + number * p->pitch;
    double h = p->bars * p->bar + (p->families - 1) * gap, at = y + (p->pitch - h) / 2, start = at;
    add_names(p, g, number, y, p->pitch);
    for (unsigned i = 0; i < p->bars; i++) {
        unsigned family = p->chart->series[p->at[i]].family;
        bool last = i + 1 == p->bars || p->chart->series[p->at[i + 1]].family != family;
        if (g->value[p->at[i]] > 0)
            add_bar(p, g, number, p->at[i], at);
        at += p->bar;
        if (!last)
            continue;
        add_family_value(p, g, number, family, start, at - start);
        at += gap;
        start = at;
    }
    if (g->mean && number)
        add_line(p, ROLE_GHOST, p->x, y, p->to, y, false, "mean.line");
}

/* Returns whether its bars are thin. */
static bool add_panel(struct scene *s, const struct speed_chart *chart,
                      const struct chart_panel *data, const char *id, double x, double w)
{
    struct panel p = {.s = s, .chart = chart, .data = data, .id = id, .em = s->em, .x = x, .w = w};
    p.y = HEAD_HEIGHT * s->em;
    p.h = s->height - p.y - MARGIN * s->em / 2;
    p.from = x + NAME_WIDTH * s->em;
    p.to = x + w - VALUE_WIDTH * s->em;
    choose_bars(&p);
    choose_axis(&p);
    choose_sizes(&p);
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.1 * s->em, ALIGN_LEFT, p.from, p.y,
                p.to - p.from, 1.6 * s->em, scene_name(s, id, "title"), "%s", data->title);
    add_grid(&p);
    for (unsigned i = 0; i < p.count; i++)
        add_group(&p, i);
    if (p.count < data->count)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * s->em, ALIGN_LEFT, x,
                    s->height - 1.5 * s->em, NAME_WIDTH * s->em, 1.3 * s->em,
                    scene_name(s, id, "more"), "and %u more", data->count - p.count);
    return p.thin;
}

/* ---- head --------------------------------------------------------------------------------- */

static bool is_used(const struct speed_chart *chart, unsigned series)
{
    return has_values(&chart->ratios, series) || has_values(&chart->rates, series);
}

/* A column for each family, a line for each shade; one that stands alone is below the last. */
static void add_legend(struct scene *s, const struct speed_chart *chart)
{
    double em = s->em, w = 16.6 * em, right = s->width - MARGIN * em;
    unsigned families = 0;
    for (unsigned i = 0; i < chart->series_count; i++)
        if (!chart->series[i].alone && chart->series[i].family + 1 > families)
            families = chart->series[i].family + 1;
    families = families ? families : 1;
    for (unsigned i = 0; i < chart->series_count; i++) {
        const struct chart_series *series = &chart->series[i];
        unsigned column = series->alone ? families - 1 : series->family;
        double x = right - (families - column) * w;
        double y = (1.2 + 1.5 * (series->alone ? 3 : series->shade)) * em;
        char id[SCENE_ID];
        if (!is_used(chart, i))
            continue;
        snprintf(id, sizeof id, "legend.%u", i);
        scene_box(s, SCENE_CANVAS, role_of(series), x, y + .25 * em, 1.6 * em, .8 * em, id);
        scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, .95 * em, ALIGN_LEFT, x + 2.1 * em, y,
                    w - 2.4 * em, 1.3 * em, scene_name(s, id, "text"), "%s", series->name);
    }
}

static void add_head(struct scene *s, const struct speed_chart *chart)
{
    double em = s->em, w = s->width - 2 * MARGIN * em - 50 * em;
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.7 * em, ALIGN_LEFT, MARGIN * em, 1.2 * em,
                w, 2.2 * em, "title", "%s", chart->title);
    scene_paragraph(s, SCENE_CANVAS, ROLE_DIM, .95 * em, ALIGN_LEFT, MARGIN * em, 3.7 * em, w, 1,
                    "note", chart->note);
}

static void init(struct scene *s, double width, double height)
{
    double scale = fmin(1, fmin(width / CHART_MIN_WIDTH, height / CHART_MIN_HEIGHT));
    scale = scale > 0 ? scale : 1;
    scene_init(s, width / scale, height / scale, COLUMNS, ROWS);
    s->scale *= scale;
}

void scene_chart(struct scene *s, const struct speed_chart *chart, double width, double height)
{
    bool ratios = chart->ratios.count, rates = chart->rates.count;
    init(s, width, height);
    double x = MARGIN * s->em, w = s->width - 2 * x;
    double part = ratios && rates ? (w - PANEL_GAP * s->em) * RATIO_SHARE : w;
    add_head(s, chart);
    if (!ratios && !rates)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, s->em, ALIGN_CENTRE, x, 0, w, s->height,
                    "none", "No ratios and no rates were measured.");
    else
        add_legend(s, chart);
    bool thin = ratios && add_panel(s, chart, &chart->ratios, "ratio", x, part);
    if (rates) {
        double gap = ratios ? part + PANEL_GAP * s->em : 0;
        thin |= add_panel(s, chart, &chart->rates, "rate", x + gap, w - gap);
    }
    if (thin)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .95 * s->em, ALIGN_LEFT, x, 5.1 * s->em,
                    w - 52 * s->em, 1.3 * s->em, "thin", "%s", chart->thin_note);
}
