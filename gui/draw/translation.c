/*
 * The translation of one address, as a scene: on top the address cut into its fields, below it a
 * column for each translation (guest table, monitor's map, shadow table; on a bare machine the page
 * table alone), at the bottom what they lead to and what happened last to the shadow table.
 *
 *     0x80401234                        VPN[1]  VPN[0]  offset
 *     guest table        monitor's map        shadow table
 *     [root  513 pte]                         [root  513 pte]
 *     [leaf    1 pte]    [page -> frame]      [leaf    1 pte]
 *     gPA 0x80413234 --> hPA 0x80c07234  ===  hPA 0x80c07234
 *
 * A guest with another ISA has a drawing of its own, see walk-x86.c.
 *
 * Sv32 is section 4.3 of the privileged specification. Colours tie an index to the field of the
 * address that it comes from. A walk that fails is drawn as far as it came, and the reason stands
 * in the place of the result.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* All lengths are in em. */
static const double COLUMNS = 46, ROWS = 31.6; /* the least that the layout needs */
static const double MARGIN = 1, COLUMN_GAP = 2.6, COLUMN_MAX = 22;
static const double STRIP_TOP = 2.9, STRIP_HEIGHT = 2.9;
static const double HEAD_TOP = 6.4, HEAD_HEIGHT = 2.7;
static const double TABLE_HEIGHT = 5.3, TABLE_HEAD = 1.5, TABLE_GAP = 1.5;
static const double RESULT_HEIGHT = 5, FOOT_HEIGHT = 2;
enum { LEVELS = 2 }; /* that there is room for: Sv32's */

struct layout {
    struct scene *s;
    const struct view_translation *v;
    double em;
    double x[3], w;        /* columns */
    double head, level[2]; /* tops: column heads; tables, level[1] is the root's */
    double table;          /* height of a table */
    double result, foot;   /* tops */
    bool bare;             /* one column */
};

static void lay_out(struct layout *l)
{
    double em = l->em, width = l->s->width, extra = fmax(0, l->s->height - ROWS * em);
    double gap = COLUMN_GAP * em;
    int columns = l->bare ? 1 : 3;
    l->w = (width - 2 * MARGIN * em - (columns - 1) * gap) / columns;
    l->w = fmin(l->w, COLUMN_MAX * em);
    if (!l->bare && width > 60 * em)
        gap = fmin((width - 2 * MARGIN * em - 3 * l->w) / 2, 6 * em);
    double left = (width - columns * l->w - (columns - 1) * gap) / 2;
    for (int i = 0; i < 3; i++)
        l->x[i] = left + i * (l->w + gap);
    l->table = TABLE_HEIGHT * em + fmin(extra * .2, 4 * em);
    double between = TABLE_GAP * em + fmin(extra * .15, 3 * em);
    double used = (ROWS - 2 * TABLE_HEIGHT - 2 * TABLE_GAP) * em + 2 * l->table + 2 * between;
    double down = fmax(0, l->s->height - used) / 2;
    l->head = HEAD_TOP * em + fmin(down, 2 * em);
    l->level[1] = l->head + HEAD_HEIGHT * em;
    l->level[0] = l->level[1] + l->table + between;
    l->result = l->level[0] + l->table + between;
    l->foot = l->result + RESULT_HEIGHT * em + .6 * em;
}

/* ---- the address and its fields ----------------------------------------------------------- */

static const char *mode_name(unsigned mode)
{
    static const char *const names[] = {"U", "S", "?", "M"};
    return names[mode & 3];
}

static const char *access_name(char access)
{
    return access == 'w' ? "write" : access == 'x' ? "fetch" : "read";
}

static void add_address(struct layout *l)
{
    struct scene *s = l->s;
    double em = l->em, half = (s->width - 2 * MARGIN * em) / 2;
    const struct view_translation *v = l->v;
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.25 * em, ALIGN_LEFT, MARGIN * em, .6 * em,
                half, 2 * em, "address", "%s 0x%08" PRIx64 ", %s in %s mode",
                l->bare ? "VA" : "gVA", v->va, access_name(v->access), mode_name(v->guest.mode));
    if (l->bare || !v->shadow_class[0])
        return;
    scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_RIGHT, MARGIN * em + half,
                .6 * em, half, 2 * em, "class", "shadow tables for %s  \u00b7  %u set%s alive",
                v->shadow_class, v->shadow_sets, v->shadow_sets == 1 ? "" : "s");
}

static void add_field(struct layout *l, enum scene_role role, double x, double w, const char *id,
                      const char *name, unsigned bits, uint32_t value)
{
    char binary[16];
    double em = l->em, y = STRIP_TOP * em;
    int box = scene_box(l->s, SCENE_CANVAS, role, x, y, w, STRIP_HEIGHT * em, id);
    for (unsigned i = 0; i < bits; i++)
        binary[i] = (char)('0' + (value >> (bits - 1 - i) & 1));
    binary[bits] = 0;
    scene_label(l->s, box, role, FONT_TEXT, .85 * em, ALIGN_CENTRE, x + .3 * em, y + .15 * em,
                w - .6 * em, 1.2 * em, scene_name(l->s, id, "name"), "%s", name);
    scene_label(l->s, box, role, FONT_MONO_BOLD, em, ALIGN_CENTRE, x + .3 * em, y + 1.3 * em,
                w - .6 * em, 1.4 * em, scene_name(l->s, id, "value"),
                bits == 12 ? "%s = 0x%03x" : "%s = %u", binary, value);
}

static void add_fields(struct layout *l)
{
    double em = l->em, gap = .3 * em;
    double width = fmin(l->s->width - 2 * MARGIN * em, 60 * em);
    double x = (l->s->width - width) / 2, bit = (width - 2 * gap) / 32;
    uint32_t va = (uint32_t)l->v->va;
    add_field(l, ROLE_VPN1, x, 10 * bit, "va.vpn1", "VPN[1], bits 31..22", 10, va >> 22);
    x += 10 * bit + gap;
    add_field(l, ROLE_VPN0, x, 10 * bit, "va.vpn0", "VPN[0], bits 21..12", 10, va >> 12 & 0x3ff);
    x += 10 * bit + gap;
    add_field(l, ROLE_OFFSET, x, 12 * bit, "va.offset", "offset, bits 11..0", 12, va & 0xfff);
}

/* ---- tables ------------------------------------------------------------------------------- */

static void add_head(struct layout *l, int column, const char *id, const char *title,
                     const char *from_to)
{
    double em = l->em;
    scene_label(l->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.05 * em, ALIGN_LEFT, l->x[column],
                l->head, l->w, 1.4 * em, scene_name(l->s, id, "title"), "%s", title);
    scene_label(l->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_LEFT, l->x[column],
                l->head + 1.35 * em, l->w, 1.15 * em, scene_name(l->s, id, "from-to"), "%s",
                from_to);
}

/* The rows above and below the chosen entry, to show that it is one of many. */
static void add_ghost_rows(struct layout *l, int box, double x, double from, double to)
{
    double em = l->em, height = .45 * em, pitch = .7 * em;
    int count = (int)((to - from) / pitch);
    double y = from + ((to - from) - count * pitch) / 2 + (pitch - height) / 2;
    for (int i = 0; i < count; i++, y += pitch)
        scene_box(l->s, box, ROLE_DIM, x, y, l->w - em, height, "");
}

/* V is bit 0, D bit 7; drawn from D to V, as the specification does. */
static void add_bits(struct layout *l, int box, enum scene_role set, const char *id, double x,
                     double y, const struct view_walk_step *step)
{
    static const char letters[] = "VRWXUGAD";
    double em = l->em, w = (l->w - em) / 8;
    for (int i = 0; i < 8; i++) {
        int bit = 7 - i;
        bool on = step->pte_new >> bit & 1, fresh = on && !(step->pte >> bit & 1);
        enum scene_role role = fresh ? ROLE_NEW : on ? set : ROLE_CLEAR;
        const char name[] = {'b', 'i', 't', '.', letters[bit], 0};
        int cell = scene_box(l->s, box, role, x + i * w + .05 * em, y, w - .1 * em, 1.3 * em,
                             scene_name(l->s, id, name));
        scene_label(l->s, cell, role, on ? FONT_BOLD : FONT_TEXT, .8 * em, ALIGN_CENTRE, x + i * w,
                    y, w, 1.3 * em, "", "%c", letters[bit]);
    }
}

/* `x` is its right end. */
static void add_badge(struct layout *l, int box, const char *id, const char *text, double x,
                      double y)
{
    double em = l->em;
    double width = scene_text_width(l->s, FONT_BOLD, .72 * em, text) + .6 * em;
    int badge = scene_box(l->s, box, ROLE_NEW, x - width, y, width, 1.2 * em,
                          scene_name(l->s, id, "badge"));
    scene_label(l->s, badge, ROLE_NEW, FONT_BOLD, .72 * em, ALIGN_CENTRE, x - width, y, width,
                1.2 * em, scene_name(l->s, id, "badge.text"), "%s", text);
}

/* One table with its chosen entry. `id` is "guest.1", `role` colours a refusal. */
static void add_table(struct layout *l, int column, const char *id,
                      const struct view_walk_step *step, enum scene_role role, const char *badge)
{
    struct scene *s = l->s;
    double em = l->em, x = l->x[column], y = l->level[step->level & 1], w = l->w;
    int box = scene_box(s, SCENE_CANVAS, role, x, y, w, l->table, id);
    double inside = x + .5 * em;
    scene_label(s, box, role, FONT_BOLD, .85 * em, ALIGN_LEFT, inside, y + .1 * em, w / 2 - .6 * em,
                TABLE_HEAD * em, scene_name(l->s, id, "name"),
                step->level ? "root table" : "leaf table");
    scene_label(s, box, role, FONT_MONO, .85 * em, ALIGN_RIGHT, x + w / 2, y + .1 * em,
                w / 2 - .5 * em, TABLE_HEAD * em, scene_name(l->s, id, "table"), "0x%08" PRIx64,
                step->table_pa);

    double body = y + TABLE_HEAD * em, space = (l->table - TABLE_HEAD * em - 3.3 * em) / 2;
    double row = body + space;
    enum scene_role field = step->level ? ROLE_VPN1 : ROLE_VPN0;
    add_ghost_rows(l, box, inside, body, row);
    int chip =
        scene_box(s, box, field, inside, row, 2.7 * em, 1.55 * em, scene_name(l->s, id, "index"));
    scene_label(s, chip, field, FONT_MONO_BOLD, .9 * em, ALIGN_CENTRE, inside, row, 2.7 * em,
                1.55 * em, "", "%u", step->index);
    scene_label(s, box, role, FONT_MONO_BOLD, .95 * em, ALIGN_LEFT, inside + 3 * em, row, 6.2 * em,
                1.55 * em, scene_name(l->s, id, "pte"), "0x%08" PRIx64, step->pte_new);
    if (badge)
        add_badge(l, box, id, badge, x + w - .4 * em, row + .18 * em);
    add_bits(l, box, role == ROLE_FAULT ? ROLE_FAULT : ROLE_SET, id, inside, row + 1.8 * em, step);
    add_ghost_rows(l, box, inside, row + 3.25 * em, y + l->table - .1 * em);
}

/* A dashed place with a few words, where there is no table. */
static void add_nothing(struct layout *l, int column, const char *id, double y, double h,
                        const char *text)
{
    double em = l->em;
    int box = scene_box(l->s, SCENE_CANVAS, ROLE_GHOST, l->x[column], y, l->w, h, id);
    scene_at(l->s, box)->dashed = true;
    scene_paragraph(l->s, box, ROLE_GHOST, .9 * em, ALIGN_CENTRE, l->x[column] + .6 * em,
                    y + h / 2 - 1.8 * em, l->w - 1.2 * em, 3, scene_name(l->s, id, "text"), text);
}

/* ---- what the walks lead to --------------------------------------------------------------- */

static void add_result(struct layout *l, int column, enum scene_role role, const char *id,
                       const char *line, bool mono, const char *detail)
{
    double em = l->em, x = l->x[column], y = l->result;
    int box = scene_box(l->s, SCENE_CANVAS, role, x, y, l->w, RESULT_HEIGHT * em, id);
    scene_label(l->s, box, role, mono ? FONT_MONO_BOLD : FONT_BOLD, em, ALIGN_CENTRE, x + .5 * em,
                y + .3 * em, l->w - em, 1.4 * em, scene_name(l->s, id, "line"), "%s", line);
    scene_paragraph(l->s, box, role, .8 * em, ALIGN_CENTRE, x + .5 * em, y + 1.65 * em, l->w - em,
                    3, scene_name(l->s, id, "detail"), detail);
}

static void down_arrow(struct layout *l, int column, enum scene_role role, double from, double to,
                       const char *id)
{
    double x = l->x[column] + l->w / 2;
    double px[] = {x, x}, py[] = {from + .1 * l->em, to - .1 * l->em};
    scene_arrow(l->s, role, 2, px, py, id);
}

/* "sets A and D" */
static void updated_bits(const struct view_walk *walk, char *text, unsigned size)
{
    text[0] = 0;
    for (int i = 0; i < walk->step_count && i < VIEW_WALK_STEPS; i++) {
        uint64_t fresh = walk->step[i].pte_new & ~walk->step[i].pte;
        if (fresh)
            snprintf(text, size, "; this walk sets %s%s%s", fresh & 0x40 ? "A" : "",
                     (fresh & 0xc0) == 0xc0 ? " and " : "", fresh & 0x80 ? "D" : "");
    }
}

static void page_text(const struct view_walk *walk, char *text, unsigned size)
{
    char updated[48];
    updated_bits(walk, updated, sizeof updated);
    if (walk->bare)
        snprintf(text, size, "the same address");
    else
        snprintf(text, size, "%s page 0x%08" PRIx64 "%s",
                 walk->page_size > 4096 ? "4 MiB" : "4 KiB",
                 walk->pa & ~(walk->page_size ? (uint64_t)walk->page_size - 1 : 0), updated);
}

/* Tables, arrows between them, and the arrow to the result. */
static void add_walk(struct layout *l, int column, const char *id, const struct view_walk *walk,
                     enum scene_role refused, const char *badge)
{
    int count = walk->step_count < LEVELS ? walk->step_count : LEVELS;
    double bottom = l->level[1] + l->table;
    for (int i = 0; i < count; i++) {
        const struct view_walk_step *step = &walk->step[i];
        bool last = i == count - 1;
        if (i > 0) {
            down_arrow(l, column, ROLE_VPN1, bottom, l->level[step->level & 1],
                       scene_name(l->s, id, "next"));
        }
        char name[SCENE_ID];
        snprintf(name, sizeof name, "%.8s.%u", id, step->level & 1);
        add_table(l, column, name, step, last && !walk->ok ? refused : ROLE_PLAIN,
                  last ? badge : NULL);
        bottom = l->level[step->level & 1] + l->table;
    }
    down_arrow(l, column, walk->ok ? ROLE_GOOD : refused, bottom, l->result,
               scene_name(l->s, id, "end"));
    if (!walk->ok)
        scene_at(l->s, l->s->count - 1)->dashed = true;
}

/* Where there is no table to walk: a place as high as both tables. */
static void add_no_walk(struct layout *l, int column, const char *id, const char *text, bool ok)
{
    double bottom = l->level[0] + l->table;
    add_nothing(l, column, scene_name(l->s, id, "none"), l->level[1], bottom - l->level[1], text);
    down_arrow(l, column, ok ? ROLE_GOOD : ROLE_GHOST, bottom, l->result,
               scene_name(l->s, id, "end"));
}

/* ---- the three columns -------------------------------------------------------------------- */

static void add_guest(struct layout *l)
{
    const struct view_walk *walk = &l->v->guest;
    char line[64], detail[SCENE_TEXT];
    if (l->bare)
        add_head(l, 0, "guest", "Page table", "virtual (VA) to physical (PA)");
    else
        add_head(l, 0, "guest", "Guest's table", "gVA to gPA, kept by the guest");
    if (walk->step_count == 0)
        add_no_walk(l, 0, "guest",
                    walk->bare ? "translation is off: no table is walked" : "no table is walked",
                    walk->ok);
    else
        add_walk(l, 0, "guest", walk, ROLE_FAULT, NULL);
    if (walk->ok) {
        snprintf(line, sizeof line, "%s 0x%08" PRIx64, l->bare ? "PA" : "gPA", walk->pa);
        page_text(walk, detail, sizeof detail);
        add_result(l, 0, ROLE_GOOD, "guest.result", line, true, detail);
    } else {
        add_result(l, 0, ROLE_FAULT, "guest.result", walk->fault, false, walk->why);
    }
}

/* One look-up: page number to frame number. */
static void add_frame(struct layout *l, const struct view_walk *map)
{
    struct scene *s = l->s;
    double em = l->em, x = l->x[1], y = l->level[0], w = l->w, row = y + l->table / 2;
    enum scene_role role = map->ok ? ROLE_PLAIN : ROLE_WAIT;
    int box = scene_box(s, SCENE_CANVAS, role, x, y, w, l->table, "map.frame");
    double cell = (w - 3.2 * em) / 2;
    scene_label(s, box, role, FONT_BOLD, .85 * em, ALIGN_LEFT, x + .5 * em, y + .1 * em, cell + em,
                TABLE_HEAD * em, "map.frame.from", "page");
    scene_label(s, box, role, FONT_BOLD, .85 * em, ALIGN_RIGHT, x + w - .5 * em - cell, y + .1 * em,
                cell, TABLE_HEAD * em, "map.frame.to", "frame");
    double left = x + .5 * em, right = x + w - .5 * em - cell;
    int from = scene_box(s, box, ROLE_GOOD, left, row, cell, 1.7 * em, "map.frame.page");
    scene_label(s, from, ROLE_GOOD, FONT_MONO_BOLD, .95 * em, ALIGN_CENTRE, left, row, cell,
                1.7 * em, "", "0x%05" PRIx64, map->va >> 12);
    enum scene_role to_role = map->ok ? ROLE_GOOD : ROLE_GHOST;
    int to = scene_box(s, box, to_role, right, row, cell, 1.7 * em, "map.frame.frame");
    scene_label(s, to, to_role, FONT_MONO_BOLD, .95 * em, ALIGN_CENTRE, right, row, cell, 1.7 * em,
                "", map->ok ? "0x%05" PRIx64 : "none", map->pa >> 12);
    double px[] = {left + cell + .3 * em, right - .3 * em};
    double py[] = {row + .85 * em, row + .85 * em};
    scene_arrow(s, to_role, 2, px, py, "map.frame.arrow");
}

/* From the guest's result to the map: right, up, right. */
static void add_link(struct layout *l)
{
    double middle = (l->x[0] + l->w + l->x[1]) / 2, y = l->result + l->em;
    double row = l->level[0] + l->table / 2 + .85 * l->em;
    double px[] = {l->x[0] + l->w + .1 * l->em, middle, middle, l->x[1] - .1 * l->em};
    double py[] = {y, y, row, row};
    scene_arrow(l->s, ROLE_GOOD, 4, px, py, "guest.to-map");
}

static void add_map(struct layout *l)
{
    const struct view_walk *map = &l->v->map;
    char line[64], detail[SCENE_TEXT];
    double em = l->em;
    add_head(l, 1, "map", "Monitor's map", "gPA to hPA, kept by the monitor");
    scene_paragraph(l->s, SCENE_CANVAS, ROLE_DIM, .85 * em, ALIGN_LEFT, l->x[1],
                    l->level[1] + .2 * em, l->w, 4, "map.about",
                    "No table of the hardware: a list of the frames that the guest was given.");
    if (!map->present) {
        add_nothing(l, 1, "map.none", l->level[0], l->table, "not asked: there is no gPA");
        add_result(l, 1, ROLE_GHOST, "map.result", "no hPA", false, "");
        return;
    }
    add_frame(l, map);
    add_link(l);
    down_arrow(l, 1, map->ok ? ROLE_GOOD : ROLE_WAIT, l->level[0] + l->table, l->result, "map.end");
    if (map->ok) {
        snprintf(line, sizeof line, "hPA 0x%08" PRIx64, map->pa);
        snprintf(detail, sizeof detail, "the same offset in frame 0x%05" PRIx64, map->pa >> 12);
        add_result(l, 1, ROLE_GOOD, "map.result", line, true, detail);
    } else {
        add_result(l, 1, ROLE_WAIT, "map.result", "no hPA", false, map->why);
    }
}

/* Why the shadow table has nothing here, and what comes of it. */
static const char *shadow_consequence(const struct view_translation *v)
{
    if (!v->guest.ok)
        return "exits; the guest's fault is injected";
    if (!v->map.ok && strncmp(v->map.why, "no frame", 8) != 0)
        return "exits each time, to be emulated";
    return "exits; the monitor fills it in";
}

static const char *shadow_badge(const struct view_translation *v)
{
    const struct view_shadow_change *c = &v->change;
    bool here = c->va == (v->va & ~0xfffull) && c->count <= 1;
    switch (c->kind) {
    case SHADOW_FILLED: return here && v->shadow.ok ? "new" : NULL;
    case SHADOW_UPGRADED: return here && v->shadow.ok ? "wider" : NULL;
    case SHADOW_DROPPED: return (here || c->count > 1) && !v->shadow.ok ? "gone" : NULL;
    case SHADOW_NONE: break;
    }
    return NULL;
}

static void add_shadow(struct layout *l)
{
    const struct view_walk *walk = &l->v->shadow;
    char line[64], detail[2 * SCENE_TEXT];
    add_head(l, 2, "shadow", "Shadow table", "gVA to hPA, walked by hardware");
    if (walk->step_count == 0)
        add_no_walk(l, 2, "shadow", "no tables yet for this root and mode", walk->ok);
    else
        add_walk(l, 2, "shadow", walk, ROLE_WAIT, shadow_badge(l->v));
    if (walk->ok) {
        snprintf(line, sizeof line, "hPA 0x%08" PRIx64, walk->pa);
        page_text(walk, detail, sizeof detail);
        add_result(l, 2, ROLE_GOOD, "shadow.result", line, true, detail);
    } else {
        snprintf(detail, sizeof detail, "%s; %s", walk->why, shadow_consequence(l->v));
        add_result(l, 2, ROLE_WAIT, "shadow.result", walk->step_count ? "no entry" : "no table yet",
                   false, walk->step_count ? detail : shadow_consequence(l->v));
    }
    if (walk->ok && l->v->map.ok && walk->pa == l->v->map.pa) {
        double y = l->result + 1 * l->em;
        double px[] = {l->x[1] + l->w + .5 * l->em, l->x[2] - .5 * l->em}, py[] = {y, y};
        int link = scene_arrow(l->s, ROLE_GOOD, 2, px, py, "map.equals-shadow");
        scene_at(l->s, link)->equals = true;
    }
}

/* ---- what happened last ------------------------------------------------------------------- */

static void add_change(struct layout *l)
{
    static const char *const words[] = {"", "filled", "upgraded", "dropped"};
    const struct view_shadow_change *c = &l->v->change;
    double em = l->em, x = MARGIN * em, w = l->s->width - 2 * MARGIN * em;
    char what[48];
    if (c->kind == SHADOW_NONE || c->kind > SHADOW_DROPPED) {
        scene_label(l->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_CENTRE, x, l->foot, w,
                    FOOT_HEIGHT * em, "change", "The shadow tables have not changed yet.");
        return;
    }
    if (c->kind == SHADOW_DROPPED && c->count != 1)
        snprintf(what, sizeof what, "%u shadow %s", c->count, c->count == 1 ? "entry" : "entries");
    else
        snprintf(what, sizeof what, "shadow entry for 0x%08" PRIx64, c->va);
    int box = scene_box(l->s, SCENE_CANVAS, ROLE_DIM, x, l->foot, w, FOOT_HEIGHT * em, "change");
    scene_label(l->s, box, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_CENTRE, x + .5 * em, l->foot, w - em,
                FOOT_HEIGHT * em, "change.text", "Exit %llu %s %s: %s",
                (unsigned long long)c->exit_seq, words[c->kind], what, c->reason);
}

void scene_translation(struct scene *s, const struct view_translation *view, double width,
                       double height)
{
    if (view->isa == ISA_X86) {
        scene_walk_x86(s, view, width, height);
        return;
    }
    scene_init(s, width, height, COLUMNS, ROWS);
    struct layout l = {.s = s, .v = view, .em = s->em, .bare = !view->shadow.present};
    lay_out(&l);
    add_address(&l);
    add_fields(&l);
    add_guest(&l);
    if (l.bare)
        return;
    add_map(&l);
    add_shadow(&l);
    add_change(&l);
}
