/*
 * `vitrine compare` as a drawing: the figures are put into a chart, which gui/draw/chart.c draws.
 */
#include "config.h"

#include <string.h>

#include "gui/draw/draw.h"
#include "hv/cmd/compare.h"

static void add_series(struct speed_chart *chart, const struct comparison *c, unsigned engine,
                       enum compare_mode mode, unsigned shade)
{
    struct chart_series *series = &chart->series[chart->series_count++];
    series->family = engine;
    series->shade = shade;
    snprintf(series->name, sizeof series->name, "%s, %s", c->engines[engine],
             mode == MODE_HV ? "under the monitor" : compare_mode_text(mode));
}

static const struct row *kvm_row(const struct subject *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->rows[i].mode == MODE_KVM && !*s->rows[i].why)
            return &s->rows[i];
    return NULL;
}

/* One more family: the x86 guest. Its name tells what an exit took, over all kernels. */
static void add_kvm_series(struct speed_chart *chart, const struct comparison *c)
{
    struct chart_series *series = &chart->series[chart->series_count++];
    double exits = 0, ns = 0;
    for (unsigned i = 0; i < c->count; i++) {
        const struct row *row = kvm_row(&c->subjects[i]);
        exits += row ? (double)row->median.exits : 0;
        ns += row ? (double)row->median.exit_ns : 0;
    }
    series->family = c->engine_count;
    series->alone = true;
    snprintf(series->name, sizeof series->name, "KVM: x86-64, %.1f \u00b5s an exit",
             exits > 0 ? ns / exits / 1000 : 0);
}

static double kvm_ratio(const struct subject *s)
{
    const struct row *row = kvm_row(s);
    return row ? row->of_native : 0;
}

/* Rows of this kind in this engine and mode; an ELF from elsewhere is shown like Sv32. */
static const struct row *row_for(const struct comparison *c, const struct subject *s,
                                 unsigned engine, enum compare_mode mode)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct row *row = &s->rows[i];
        if (row->engine == c->engines[engine] && row->mode == mode && !*row->why)
            return row;
    }
    return NULL;
}

static void add_group(struct chart_panel *panel, const struct comparison *c,
                      const struct subject *s)
{
    static const enum compare_mode ORDER[] = {MODE_M, MODE_S, MODE_HV};
    struct chart_group *group = &panel->groups[panel->count];
    double any = 0;
    *group = (struct chart_group){0};
    snprintf(group->name, sizeof group->name, "%s", s->name);
    if (!panel->rates)
        snprintf(group->detail, sizeof group->detail, "%s", compare_kind_name(s->kind));
    for (unsigned i = 0; i < 3 * c->engine_count; i++) {
        const struct row *row = row_for(c, s, i / 3, ORDER[i % 3]);
        if (row)
            group->value[i] = panel->rates ? row->per_second : row->of_native;
        any += group->value[i];
    }
    if (c->kvm && !panel->rates)
        any += group->value[3 * c->engine_count] = kvm_ratio(s);
    if (any > 0 && panel->count < CHART_GROUPS - 1)
        panel->count++;
}

static void add_mean(struct chart_panel *panel, const struct comparison *c)
{
    if (panel->count < 2)
        return;
    struct chart_group *group = &panel->groups[panel->count++];
    *group = (struct chart_group){.name = "all", .detail = "geometric mean", .mean = true};
    for (unsigned i = 0; i < c->mean_count; i++)
        group->value[i] = panel->rates ? c->means[i].per_second : c->means[i].of_native[KIND_OTHER];
}

static void fill(struct speed_chart *chart, const struct comparison *c)
{
    static const enum compare_mode ORDER[] = {MODE_M, MODE_S, MODE_HV};
    for (unsigned i = 0; i < 3 * c->engine_count; i++)
        add_series(chart, c, i / 3, ORDER[i % 3], i % 3);
    if (c->kvm)
        add_kvm_series(chart, c);
    chart->rates.rates = true;
    snprintf(chart->title, sizeof chart->title, "Guests\u2019 speed on Vitrine");
    snprintf(chart->note, sizeof chart->note,
             "CPU time, medians of %u. Logarithmic axes; longer is faster.", c->runs);
    snprintf(chart->thin_note, sizeof chart->thin_note, "Figures beside thin bars: bare, Sv32.");
    snprintf(chart->ratios.title, sizeof chart->ratios.title, "Speed as a part of native");
    snprintf(chart->rates.title, sizeof chart->rates.title, "Trapping operations per second");
    for (unsigned i = 0; i < c->count; i++)
        if (c->subjects[i].kind == KIND_TRAP)
            add_group(&chart->rates, c, &c->subjects[i]);
        else
            add_group(&chart->ratios, c, &c->subjects[i]);
    add_mean(&chart->ratios, c);
}

int compare_draw(const struct comparison *c, const struct options *options)
{
    static struct speed_chart chart;
    struct drawing drawing = {.kind = DRAWING_CHART, .chart = &chart};
    chart = (struct speed_chart){0};
    fill(&chart, c);
    return draw_to_file(options->svg, &drawing, options->width, options->height, options->dark);
}
