/*
 * Which pages the guest writes, as a map of its memory: each cell is a run of pages, each row a
 * power of two of bytes, addresses go on from left to right and from top to bottom. A cell that was
 * written in the newest interval is hot, and cools down while nobody writes it.
 *
 * Colours differ in lightness above all, one step after the other, so that they can be told apart
 * without telling hues apart. Cells that nobody has written lately are left out: they are the
 * background.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 44, ROWS = 22;
static const double MARGIN = 1, HEAD_HEIGHT = 4.2, FOOT_HEIGHT = 2.4, ADDRESS_WIDTH = 7.2;
static const double LABEL_PITCH = 1.5, SWATCH_WIDTH = 1.7;

enum { PAGE = 4096, STEPS = SCENE_HEAT_STEPS }; /* eight, of a byte's bits, and cold */

struct map {
    struct scene *s;
    const struct view_dirty *v;
    double em, x, y, w, h; /* of the grid */
    unsigned columns, rows;
};

/* Heat halves with each interval in which nothing is written: a step is one interval. */
static unsigned step_of(uint8_t heat)
{
    unsigned step = 0;
    for (; heat; heat /= 2)
        step++;
    return step;
}

static enum scene_role role_of(unsigned step)
{
    return (enum scene_role)(ROLE_HEAT + step);
}

/* Columns are a power of two, so that rows begin at round addresses; cells near to squares. */
static void choose_grid(struct map *m)
{
    double best = INFINITY;
    for (unsigned columns = 1; columns <= VIEW_DIRTY_CELLS; columns *= 2) {
        unsigned rows = (m->v->cells + columns - 1) / columns;
        double shape = fabs(log(m->w / columns / (m->h / rows)));
        if (shape >= best)
            continue;
        best = shape;
        m->columns = columns;
        m->rows = rows;
    }
}

static void add_head(struct map *m)
{
    const struct view_dirty *v = m->v;
    double em = m->em, x = MARGIN * em, w = m->s->width - 2 * x;
    char title[SCENE_TEXT], memory[24], cell[24], row[24];
    draw_size_text(v->memory, memory, sizeof memory);
    draw_size_text((uint64_t)v->pages_per_cell * PAGE, cell, sizeof cell);
    draw_size_text((uint64_t)m->columns * v->pages_per_cell * PAGE, row, sizeof row);
    if (v->dirty_total)
        snprintf(title, sizeof title, "%" PRIu64 " page%s written lately, %" PRIu64 " in all",
                 v->dirty_now, v->dirty_now == 1 ? "" : "s", v->dirty_total);
    else
        snprintf(title, sizeof title, "No page written since the log began");
    scene_label(m->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.15 * em, ALIGN_LEFT, x, .5 * em, w,
                1.7 * em, "title", "%s", title);
    scene_label(m->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 2.2 * em, w,
                1.3 * em, "scale",
                "%s of guest memory. A cell is %s, a row %s. A page counts once in each interval.",
                memory, cell, row);
}

/* As many as there is room for, at rows in even distances. */
static void add_addresses(struct map *m)
{
    double em = m->em, pitch = m->h / m->rows;
    unsigned every = (unsigned)fmax(1, ceil(LABEL_PITCH * em / pitch));
    char id[SCENE_ID];
    for (unsigned row = 0; row < m->rows; row += every) {
        double y = m->y + row * pitch;
        uint64_t address = (uint64_t)row * m->columns * m->v->pages_per_cell * PAGE;
        if (row && y + 1.2 * em > m->y + m->h)
            break;
        snprintf(id, sizeof id, "address.%u", row);
        scene_label(m->s, SCENE_CANVAS, ROLE_DIM, FONT_MONO, .82 * em, ALIGN_RIGHT, MARGIN * em, y,
                    (ADDRESS_WIDTH - .6) * em, 1.2 * em, id, "0x%08" PRIx64, address);
    }
}

static void add_cells(struct map *m)
{
    double w = m->w / m->columns, h = m->h / m->rows;
    unsigned last = m->v->cells - (m->rows - 1) * m->columns;
    char id[SCENE_ID];
    int paper = scene_box(m->s, SCENE_CANVAS, role_of(0), m->x, m->y, m->w, m->h, "memory");
    scene_at(m->s, paper)->radius = 0;
    if (last < m->columns) /* what is behind the end of memory */
        scene_box(m->s, paper, ROLE_HEADER, m->x + last * w, m->y + (m->rows - 1) * h,
                  (m->columns - last) * w, h, "beyond");
    for (unsigned i = 0; i < m->v->cells && i < VIEW_DIRTY_CELLS; i++) {
        unsigned step = step_of(m->v->heat[i]);
        if (!step)
            continue;
        snprintf(id, sizeof id, "cell.%u", i);
        int cell = scene_box(m->s, paper, role_of(step), m->x + i % m->columns * w,
                             m->y + i / m->columns * h, w, h, id);
        scene_at(m->s, cell)->radius = 0;
    }
}

static void add_legend(struct map *m)
{
    double em = m->em, y = m->s->height - (FOOT_HEIGHT - .5) * em, x = m->x;
    char id[SCENE_ID];
    scene_label(m->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, y, 7.6 * em,
                1.3 * em, "legend.cold", "not lately");
    x += 5.4 * em;
    for (unsigned step = 0; step < STEPS; step++, x += SWATCH_WIDTH * em) {
        snprintf(id, sizeof id, "legend.%u", step);
        int box = scene_box(m->s, SCENE_CANVAS, role_of(step), x, y + .1 * em, SWATCH_WIDTH * em,
                            1.1 * em, id);
        scene_at(m->s, box)->radius = 0;
    }
    scene_label(m->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x + .7 * em, y,
                fmax(0, m->s->width - x - (MARGIN + .7) * em), 1.3 * em, "legend.hot",
                "just written");
}

void scene_heat(struct scene *s, const struct view_dirty *view, double width, double height)
{
    scene_init(s, width, height, COLUMNS, ROWS);
    double em = s->em;
    struct map m = {.s = s, .v = view, .em = em};
    if (!view->present || !view->cells || view->cells > VIEW_DIRTY_CELLS) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, em, ALIGN_CENTRE, em, 0,
                    s->width - 2 * em, s->height, "none",
                    "Which pages this guest writes is not logged.");
        return;
    }
    m.x = (MARGIN + ADDRESS_WIDTH) * em;
    m.y = HEAD_HEIGHT * em;
    m.w = s->width - m.x - MARGIN * em;
    m.h = s->height - m.y - FOOT_HEIGHT * em;
    choose_grid(&m);
    add_head(&m);
    add_addresses(&m);
    add_cells(&m);
    add_legend(&m);
}
