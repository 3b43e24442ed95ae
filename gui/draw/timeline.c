/*
 * The run as a ruler: from the beginning of what is recorded to the newest instruction, with the
 * moment where the guest stands. Above the ruler how often the guest left for the monitor (or
 * trapped), below it the checkpoints that going back uses, the input that was typed, and snapshots.
 *
 *     exits        ._ ..__|_.                      how dense, as far as it is known
 *     ruler        =======#- - - -                 past; the handle; recorded and to come again
 *     checkpoints  |    |  | |||
 *     input            |      |
 *     snapshots      | boot
 *                  0    500,000   1,000,000
 *
 * Marks lie in cells of some pixels' width, so that a thousand of them are drawn as what one sees
 * of them: a cell is marked or not.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 50, ROWS = 14;
static const double MARGIN = 1, LABELS = 8.2, RIGHT = 2.2, HEAD = 2.3, GAP = .35;
static const double RULER = 1.1, LANE = .95, SNAPSHOTS = 1.35, AXIS = 1.6, FOOT = .3;
static const double HANDLE = .7, CELL = .22;

enum { MOST_CELLS = 2048 };

struct ruler {
    struct scene *s;
    const struct view_timeline *v;
    double em, x, w; /* of the lanes */
    double y;        /* of the next lane */
    uint64_t first, span;
    unsigned cells;
};

/* 1234567 as 1,234,567 */
void draw_number_text(uint64_t n, char *text, size_t size)
{
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (size_t i = 0; i < length && at + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
}

/* ---- places ------------------------------------------------------------------------------- */

static void init(struct ruler *r, struct scene *s, const struct view_timeline *v, double width,
                 double height)
{
    scene_init_least(s, width, height, DRAW_MIN_WIDTH, TIMELINE_MIN_HEIGHT, COLUMNS, ROWS);
    uint64_t first = v->history.first, end = v->history.end > v->here ? v->history.end : v->here;
    *r = (struct ruler){.s = s, .v = v, .em = s->em, .first = first};
    r->x = (MARGIN + LABELS) * r->em;
    r->w = s->width - r->x - RIGHT * r->em;
    r->y = HEAD * r->em;
    r->span = end > first ? end - first : 1;
    r->cells = (unsigned)fmin(MOST_CELLS, r->w / fmax(3, CELL * r->em));
}

/* Of all that is recorded, the part before this instruction: 0 to 1. */
static double part(const struct ruler *r, uint64_t instruction)
{
    if (instruction <= r->first)
        return 0;
    return fmin(1, (double)(instruction - r->first) / (double)r->span);
}

static unsigned cell_of(const struct ruler *r, uint64_t instruction)
{
    unsigned cell = (unsigned)(part(r, instruction) * r->cells);
    return cell < r->cells ? cell : r->cells - 1;
}

static double cell_x(const struct ruler *r, unsigned cell)
{
    return r->x + r->w * cell / r->cells;
}

uint64_t draw_timeline_at(const struct view_timeline *view, double width, double height, double x)
{
    struct scene s;
    struct ruler r;
    init(&r, &s, view, width, height);
    double p = fmin(1, fmax(0, (x / s.scale - r.x) / r.w));
    scene_free(&s);
    return r.first + (uint64_t)llround(p * (double)r.span);
}

/* ---- lanes -------------------------------------------------------------------------------- */

/* Its name on the left, and the box that its marks are in. */
static int add_lane(struct ruler *r, const char *id, const char *name, double height)
{
    double em = r->em;
    char label[SCENE_ID];
    snprintf(label, sizeof label, "%s.name", id);
    scene_label(r->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, .95 * em, ALIGN_RIGHT, MARGIN * em, r->y,
                (LABELS - .6) * em, fmin(height, 1.5 * em), label, "%s", name);
    int lane = scene_box(r->s, SCENE_CANVAS, ROLE_DIM, r->x, r->y, r->w, height, id);
    scene_at(r->s, lane)->radius = 0;
    r->y += height + GAP * em;
    return lane;
}

static int add_mark(struct ruler *r, int lane, enum scene_role role, unsigned cell, double inset,
                    const char *name)
{
    char id[SCENE_ID];
    struct scene_item box = *scene_at(r->s, lane);
    snprintf(id, sizeof id, "%s.%u", name, cell);
    int mark = scene_box(r->s, lane, role, cell_x(r, cell), box.y + inset,
                         cell_x(r, cell + 1) - cell_x(r, cell), box.h - 2 * inset, id);
    scene_at(r->s, mark)->radius = 0;
    return mark;
}

/* Positions are in their order, so a cell comes once. */
static void add_marks(struct ruler *r, int lane, enum scene_role role, const char *name,
                      const uint64_t *at, unsigned count)
{
    unsigned last = UINT32_MAX;
    for (unsigned i = 0; i < count; i++) {
        unsigned cell = cell_of(r, at[i]);
        if (at[i] < r->first || (last != UINT32_MAX && cell <= last))
            continue;
        add_mark(r, lane, role, cell, .12 * r->em, name);
        last = cell;
    }
}

/* ---- how dense exits are ------------------------------------------------------------------ */

/* Exits for each instruction between two moments; 0 where nothing can be said. */
static double density(const struct view_moment *from, const struct view_moment *to)
{
    if (to->instruction <= from->instruction || to->exits < from->exits)
        return 0;
    return (double)(to->exits - from->exits) / (double)(to->instruction - from->instruction);
}

/* A cell's density is that of all of it: each stretch counts for the part of it that it covers. */
static void spread(const struct ruler *r, double d, uint64_t from, uint64_t to,
                   float cell[MOST_CELLS])
{
    double begin = part(r, from) * r->cells, end = part(r, to) * r->cells;
    for (unsigned c = cell_of(r, from); c < r->cells && c < end; c++) {
        double left = fmax(begin, c), right = fmin(end, c + 1.);
        cell[c] += (float)(d * fmax(0, right - left));
    }
}

/* Returns the densest. */
static double find_densities(const struct ruler *r, float cell[MOST_CELLS])
{
    const struct view_timeline *v = r->v;
    double most = 0;
    memset(cell, 0, MOST_CELLS * sizeof *cell);
    for (unsigned i = 1; i < v->moments; i++) {
        double d = density(&v->moment[i - 1], &v->moment[i]);
        if (d > 0)
            spread(r, d, v->moment[i - 1].instruction, v->moment[i].instruction, cell);
    }
    for (unsigned c = 0; c < r->cells; c++)
        most = fmax(most, cell[c]);
    return most;
}

/* Neighbours of the same height are one bar. */
static void add_bars(struct ruler *r, int lane, const float cell[MOST_CELLS], double most)
{
    char id[SCENE_ID];
    struct scene_item box = *scene_at(r->s, lane);
    for (unsigned c = 0, end; c < r->cells; c = end) {
        for (end = c + 1; end < r->cells && cell[end] == cell[c]; end++)
            ;
        if (cell[c] <= 0)
            continue;
        double h = fmax(1, box.h * cell[c] / most);
        snprintf(id, sizeof id, "exits.%u", c);
        int bar = scene_box(r->s, lane, ROLE_COUNT, cell_x(r, c), box.y + box.h - h,
                            cell_x(r, end) - cell_x(r, c), h, id);
        scene_at(r->s, bar)->radius = 0;
    }
}

static void add_exits(struct ruler *r, bool bare)
{
    float cell[MOST_CELLS];
    double em = r->em, most = find_densities(r, cell), y = r->y;
    double rest = GAP * 4 + RULER + 2 * LANE + SNAPSHOTS + AXIS + FOOT;
    double h = fmax(2.6 * em, fmin(7 * em, r->s->height - y - (rest + GAP) * em));
    int lane = add_lane(r, "exits", bare ? "traps" : "exits", h);
    if (most > 0)
        scene_label(r->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .78 * em, ALIGN_RIGHT, MARGIN * em,
                    y + 1.4 * em, (LABELS - .6) * em, 1.1 * em, "exits.most", "to 1 in %.0f",
                    fmax(1, 1 / most));
    add_bars(r, lane, cell, most);
}

/* ---- the ruler ---------------------------------------------------------------------------- */

static void add_ruler(struct ruler *r, double top)
{
    double em = r->em, w = HANDLE * em, y = r->y;
    double x = r->x + part(r, r->v->here) * r->w,
           left = fmin(fmax(r->x, x - w / 2), r->x + r->w - w);
    int lane = add_lane(r, "ruler", "time", RULER * em);
    double end = r->x + r->w;
    if (left - r->x > 1)
        scene_box(r->s, lane, ROLE_EXEC, r->x, y + .2 * em, left - r->x, (RULER - .4) * em, "past");
    if (r->v->history.in_past && end - left - w > 1) {
        int box = scene_box(r->s, lane, ROLE_EXEC, left + w, y + .2 * em, end - left - w,
                            (RULER - .4) * em, "to-come");
        scene_at(r->s, box)->dashed = true;
    }
    scene_box(r->s, lane, ROLE_NEW, left, y, w, RULER * em, "handle");
    double bottom = r->y + (2 * (LANE + GAP) + SNAPSHOTS) * em;
    int line = scene_arrow(r->s, ROLE_NEEDLE, 2, (double[]){x, x}, (double[]){top, bottom}, "here");
    scene_at(r->s, line)->plain = true;
}

/* A name where there is room for it up to the next mark. */
static void add_snapshots(struct ruler *r)
{
    const struct view_timeline *v = r->v;
    double em = r->em;
    int lane = add_lane(r, "snapshots", "snapshots", SNAPSHOTS * em);
    struct scene_item box = *scene_at(r->s, lane);
    for (unsigned i = 0, next; i < v->snapshots; i = next) {
        unsigned cell = cell_of(r, v->snapshot[i].instruction), last = i;
        char id[SCENE_ID];
        for (next = i + 1;
             next < v->snapshots && cell_of(r, v->snapshot[next].instruction) == cell;)
            last = next++;
        int mark = add_mark(r, lane, ROLE_GOOD, cell, 0, "snapshot");
        struct scene_item at = *scene_at(r->s, mark);
        double x = at.x + at.w + .3 * em, end = box.x + box.w;
        if (next < v->snapshots)
            end = cell_x(r, cell_of(r, v->snapshot[next].instruction));
        const char *name = v->snapshot[last].name;
        if (scene_text_width(r->s, FONT_TEXT, .9 * em, name) > end - x - .4 * em)
            continue;
        snprintf(id, sizeof id, "snapshot.%u.name", cell);
        scene_label(r->s, lane, ROLE_PLAIN, FONT_TEXT, .9 * em, ALIGN_LEFT, x, box.y, end - x,
                    box.h, id, "%s", name);
    }
}

/* ---- axis and head ------------------------------------------------------------------------ */

/* 1, 2 or 5 times a power of ten, so that so many steps or fewer make the span. */
static uint64_t step_of(uint64_t span, double steps)
{
    static const unsigned factors[] = {2, 5, 10};
    for (uint64_t power = 1;; power *= 10) {
        if ((double)span / (double)power <= steps)
            return power;
        for (unsigned i = 0; i < 2; i++)
            if ((double)span / ((double)power * factors[i]) <= steps)
                return power * factors[i];
        if (power > UINT64_MAX / 100)
            return power;
    }
}

static void add_axis(struct ruler *r)
{
    double em = r->em, size = .85 * em, height = AXIS * em;
    char text[40], id[SCENE_ID];
    draw_number_text(r->first + r->span, text, sizeof text);
    double w = scene_text_width(r->s, FONT_TEXT, size, text) + .2 * em;
    uint64_t step = step_of(r->span, r->w / (w + 1.6 * em)),
             at = (r->first + step - 1) / step * step;
    for (; at >= r->first && at - r->first <= r->span; at += step) {
        double x = r->x + part(r, at) * r->w, half = w / 2;
        if (x + half > r->s->width)
            break;
        int tick = scene_arrow(r->s, ROLE_DIM, 2, (double[]){x, x},
                               (double[]){r->y - .15 * em, r->y + .2 * em}, "");
        scene_at(r->s, tick)->plain = true;
        draw_number_text(at, text, sizeof text);
        snprintf(id, sizeof id, "axis.%" PRIu64, at);
        scene_label(r->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, size, ALIGN_CENTRE, x - half,
                    r->y + .2 * em, w, height - .4 * em, id, "%s", text);
    }
}

void draw_timeline_text(const struct view_timeline *v, char *text, size_t size)
{
    char here[40], end[40];
    draw_number_text(v->here, here, sizeof here);
    draw_number_text(v->history.end, end, sizeof end);
    if (!v->history.present)
        snprintf(text, size, "There is no history");
    else if (v->history.in_past)
        snprintf(text, size, "Instruction %s of %s: in the past", here, end);
    else
        snprintf(text, size, "Instruction %s: the present", here);
}

static void add_head(struct ruler *r)
{
    const struct view_history *h = &r->v->history;
    double em = r->em, x = MARGIN * em, w = r->s->width - 2 * x, left = .63 * w;
    char text[SCENE_TEXT], taken[24], limit[24];
    draw_timeline_text(r->v, text, sizeof text);
    draw_size_text(h->bytes, taken, sizeof taken);
    draw_size_text(h->limit, limit, sizeof limit);
    scene_label(r->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.05 * em, ALIGN_LEFT, x, .3 * em, left,
                1.6 * em, "title", "%s", text);
    scene_label(r->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_RIGHT, x + left + em,
                .3 * em, w - left - em, 1.6 * em, "memory", "%u checkpoint%s: %s of %s",
                h->checkpoints, h->checkpoints == 1 ? "" : "s", taken, limit);
}

void scene_timeline(struct scene *s, const struct view_timeline *v, bool bare, double width,
                    double height)
{
    struct ruler r;
    init(&r, s, v, width, height);
    if (!v->history.present) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, s->em, ALIGN_CENTRE, s->em, 0,
                    s->width - 2 * s->em, s->height, "none",
                    "This guest has no history: it cannot be taken back.");
        return;
    }
    double top = r.y;
    add_head(&r);
    add_exits(&r, bare);
    add_ruler(&r, top);
    int lane = add_lane(&r, "checkpoints", "checkpoints", LANE * r.em);
    add_marks(&r, lane, ROLE_SET, "checkpoint", v->checkpoint, v->checkpoints);
    lane = add_lane(&r, "input", "input", LANE * r.em);
    add_marks(&r, lane, ROLE_COST, "typed", v->input, v->inputs);
    add_snapshots(&r);
    add_axis(&r);
}
