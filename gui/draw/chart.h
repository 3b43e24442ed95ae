/*
 * How fast programs ran in several ways, to be drawn as bars on a logarithmic axis.
 *
 * A *series* is one way to run programs (an engine in a mode), a *group* one program with a value
 * for each series. There are two kinds of value, each with an axis of its own: ratios (native speed
 * is 1) and rates (operations per second). All is plain data, which the drawing only reads.
 */
#ifndef VITRINE_GUI_DRAW_CHART_H
#define VITRINE_GUI_DRAW_CHART_H

#include <stdbool.h>

enum { CHART_SERIES = 25, CHART_GROUPS = 64, CHART_NAME = 48 };

struct chart_series {
    char name[CHART_NAME]; /* "jit, Sv32" */
    unsigned family;       /* 0..: the engine, a hue */
    unsigned shade;        /* 0..2: the mode, from light to dark */
    bool alone;            /* its family has no other, and a hue of its own: last in the legend */
};

struct chart_group {
    char name[CHART_NAME];
    char detail[CHART_NAME];    /* small, below the name; may be "" */
    bool mean;                  /* set off from the others */
    double value[CHART_SERIES]; /* 0: none */
};

struct chart_panel {
    char title[CHART_NAME];
    bool rates; /* operations per second; else ratios */
    unsigned count;
    struct chart_group groups[CHART_GROUPS];
};

struct speed_chart {
    char title[96], note[160];
    char thin_note[96]; /* what the one figure is that several thin bars have: their shade 1 */
    unsigned series_count;
    struct chart_series series[CHART_SERIES];
    struct chart_panel ratios, rates; /* those without groups are left out */
};

#endif
