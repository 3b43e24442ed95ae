/*
 * The translation of one address of an x86 guest, as a scene: on top the address cut into its
 * fields, below it a row for each table from CR3 down, at the bottom what they lead to.
 *
 *     0x00007f8a40001234         sign   PML4   PDPT   PD   PT   offset
 *     PML4            0x00200000   [255] 0x0000000000201027   XD G PS D A CD WT US RW P
 *     PDPT            0x00201000   [ 41] 0x0000000000202027   ...
 *     page directory  0x00202000   [  0] 0x00000000002000e3   ...
 *     gPA 0x00201234  -->  host 0x00007fd04e201234
 *
 * All of x86's formats: two tables of 4-byte entries (32-bit paging), three (PAE), four or five of
 * 8-byte entries. A large page ends the walk early, and what would have been the next index belongs
 * to the offset. Colours tie an index to the field of the address that it comes from. A walk that
 * fails is drawn as far as it came.
 *
 * There is no column for a second stage: it exists, but KVM keeps it inside the kernel. The drawing
 * says so in a line.
 *
 * Source: Intel SDM vol. 3A, chapter 4, tables 4-5 and 4-14 to 4-20 (formats of entries).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* All lengths are in em. */
static const double COLUMNS = 50, WIDTH_MAX = 76;
static const double MARGIN = 1, STRIP_TOP = 2.7, STRIP_HEIGHT = 2.8, BODY_TOP = 6.3;
static const double ROW_HEIGHT = 2.8, ROW_GAP = 1, RESULT_HEIGHT = 3.3, FOOT_HEIGHT = 2.2;
static const double SIGN_WIDTH = 5.2, ROOT_WIDTH = 6.4, NAME_WIDTH = 10.2, CHIP_WIDTH = 3,
                    ENTRY_WIDTH = 11.2;
static const double CELL_WIDTH = 1.9, RESULT_GAP = 3;

enum { LEVELS = 5, PAGE_BITS = 12 };

struct ladder {
    struct scene *s;
    const struct view_translation *v;
    double em, x, w;       /* of the rows */
    double row, gap;       /* height of a row, and between two */
    unsigned levels;       /* of tables: 0, 2 to 5 */
    unsigned index_bits;   /* of a table below the root: 9 or 10 */
    unsigned root_bits;    /* of the root: 2 with PAE */
    unsigned address_bits; /* that are translated: 32, 48 or 57 */
    unsigned walked;       /* the lowest level whose index is used: 1 for a 2 MiB page */
};

/* Level 0 is the table of 4 KiB pages. */
static const struct {
    const char *name, *field;
    enum scene_role role;
} tables[LEVELS] = {
    {"page table", "PT", ROLE_VPN0},   {"page directory", "PD", ROLE_VPN1},
    {"PDP table", "PDPT", ROLE_VPN2},  {"PML4 table", "PML4", ROLE_VPN3},
    {"PML5 table", "PML5", ROLE_VPN4},
};

/* ---- measures ----------------------------------------------------------------------------- */

static unsigned bits_of(const struct ladder *l, unsigned level)
{
    return level == l->levels - 1 ? l->root_bits : l->index_bits;
}

static unsigned lowest_bit(const struct ladder *l, unsigned level)
{
    return PAGE_BITS + level * l->index_bits;
}

static unsigned index_of(const struct ladder *l, unsigned level)
{
    return (unsigned)(l->v->va >> lowest_bit(l, level) & ((1u << bits_of(l, level)) - 1));
}

static void choose_format(struct ladder *l)
{
    const struct view_walk *walk = &l->v->guest;
    l->levels = l->v->levels <= LEVELS ? l->v->levels : LEVELS;
    l->index_bits = l->levels == 2 ? 10 : 9;
    l->root_bits = l->levels == 3 ? 2 : l->index_bits;
    l->address_bits = l->levels ? lowest_bit(l, l->levels - 1) + l->root_bits : 64;
    if (walk->step_count && walk->step_count <= LEVELS && walk->step[walk->step_count - 1].leaf)
        l->walked = walk->step[walk->step_count - 1].level;
}

static double least_rows(unsigned levels)
{
    double rows = levels ? levels : 3, top = levels ? BODY_TOP : STRIP_TOP;
    return top + rows * (ROW_HEIGHT + ROW_GAP) + RESULT_HEIGHT + FOOT_HEIGHT;
}

/* Space that is left over makes rows higher and their distances larger, to a limit. */
static void lay_out(struct ladder *l)
{
    double em = l->em = l->s->em;
    unsigned count = l->levels - l->walked; /* rows that are drawn */
    double rows = count ? count : 3, extra = fmax(0, l->s->height - least_rows(count) * em);
    l->w = fmin(l->s->width - 2 * MARGIN * em, WIDTH_MAX * em);
    l->x = (l->s->width - l->w) / 2;
    l->row = ROW_HEIGHT * em + fmin(extra * .3 / rows, 1.4 * em);
    l->gap = ROW_GAP * em + fmin(extra * .3 / rows, 1.2 * em);
}

static double row_top(const struct ladder *l, unsigned level)
{
    return BODY_TOP * l->em + (l->levels - 1 - level) * (l->row + l->gap);
}

/* Where the walk's last row ends, or the place that stands for it. */
static double result_top(const struct ladder *l)
{
    if (!l->levels)
        return STRIP_TOP * l->em + 3 * (l->row + l->gap);
    return row_top(l, l->walked) + l->row + l->gap;
}

/* ---- the address and its fields ----------------------------------------------------------- */

static const char *paging_name(unsigned levels)
{
    static const char *const names[] = {"paging is off", "paging",         "32-bit paging",
                                        "PAE paging",    "4-level paging", "5-level paging"};
    return names[levels];
}

static void add_address(struct ladder *l)
{
    const struct view_translation *v = l->v;
    double em = l->em, left = l->w * .62, right = l->w - left;
    const char *access = v->access == 'w' ? "write" : v->access == 'x' ? "fetch" : "read";
    scene_label(l->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.2 * em, ALIGN_LEFT, l->x, .5 * em,
                left - em, 2 * em, "address", "gVA 0x%0*" PRIx64 ", %s in %s mode",
                l->levels > 3 ? 16 : 8, v->va, access, v->guest.mode ? "kernel" : "user");
    if (!l->levels)
        scene_label(l->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_RIGHT, l->x + left,
                    .5 * em, right, 2 * em, "class", "%s", paging_name(0));
    else
        scene_label(l->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_RIGHT, l->x + left,
                    .5 * em, right, 2 * em, "class", "%s, CR3 0x%08" PRIx64, paging_name(l->levels),
                    v->guest.root_pa);
}

static void binary(uint64_t value, unsigned bits, char *out)
{
    for (unsigned i = 0; i < bits; i++)
        out[i] = (char)('0' + (value >> (bits - 1 - i) & 1));
    out[bits] = 0;
}

static void add_field(struct ladder *l, enum scene_role role, double x, double w, const char *id,
                      const char *name, const char *value)
{
    double em = l->em, y = STRIP_TOP * em;
    int box = scene_box(l->s, SCENE_CANVAS, role, x, y, w, STRIP_HEIGHT * em, id);
    scene_label(l->s, box, role, FONT_TEXT, .8 * em, ALIGN_CENTRE, x + .2 * em, y + .15 * em,
                w - .4 * em, 1.2 * em, scene_name(l->s, id, "name"), "%s", name);
    scene_label(l->s, box, role, FONT_MONO_BOLD, .8 * em, ALIGN_CENTRE, x + .2 * em, y + 1.3 * em,
                w - .4 * em, 1.3 * em, scene_name(l->s, id, "value"), "%s", value);
}

/* The bits above those that are translated must all be copies of the highest of these. */
static void add_sign(struct ladder *l, double x, double w)
{
    uint64_t high = l->v->va >> (l->address_bits - 1), all = UINT64_MAX >> (l->address_bits - 1);
    bool canonical = high == 0 || high == all;
    char name[24];
    snprintf(name, sizeof name, "63..%u", l->address_bits);
    add_field(l, canonical ? ROLE_DIM : ROLE_FAULT, x, w, "va.sign", name,
              high == 0   ? "all 0"
              : canonical ? "all 1"
                          : "mixed");
}

static void add_index(struct ladder *l, unsigned level, double x, double w)
{
    unsigned bits = bits_of(l, level), low = lowest_bit(l, level);
    char id[SCENE_ID], name[32], digits[16], value[32];
    snprintf(id, sizeof id, "va.%u", level);
    snprintf(name, sizeof name, "%s %u..%u", tables[level].field, low + bits - 1, low);
    binary(index_of(l, level), bits, digits);
    snprintf(value, sizeof value, "%s = %u", digits, index_of(l, level));
    add_field(l, tables[level].role, x, w, id, name, value);
}

/* Bits to scale; only the sign is not, nor PAE's first index of two bits, which would be too narrow
 * for its name. */
static void add_fields(struct ladder *l)
{
    double em = l->em, gap = .3 * em, x = l->x;
    unsigned count = l->levels - l->walked, offset_bits = lowest_bit(l, l->walked);
    bool sign = l->levels > 3;
    bool narrow = l->root_bits == 2;
    double space = l->w - count * gap - (sign ? SIGN_WIDTH * em + gap : 0);
    double bit = narrow ? (space - ROOT_WIDTH * em) / (l->address_bits - l->root_bits)
                        : space / l->address_bits;
    char name[32], value[32], hex[17];
    if (sign) {
        add_sign(l, x, SIGN_WIDTH * em);
        x += SIGN_WIDTH * em + gap;
    }
    for (unsigned level = l->levels; level-- > l->walked;) {
        double w = narrow && level == l->levels - 1 ? ROOT_WIDTH * em : bits_of(l, level) * bit;
        add_index(l, level, x, w);
        x += w + gap;
    }
    snprintf(name, sizeof name, "offset %u..0", offset_bits - 1);
    uint64_t offset = l->v->va & ((UINT64_C(1) << offset_bits) - 1);
    snprintf(hex, sizeof hex, "%016" PRIx64, offset);
    snprintf(value, sizeof value, "0x%s", hex + 16 - (offset_bits + 3) / 4);
    add_field(l, ROLE_OFFSET, x, offset_bits * bit, "va.offset", name, value);
}

/* ---- a row: a table with its chosen entry ------------------------------------------------- */

/* From bit 63 down to 0, as the manual draws an entry. Bit 7 is PAT in an entry of 4 KiB. */
static const struct {
    uint8_t bit;
    const char *name;
} cells[] = {{63, "XD"}, {8, "G"},  {7, "PS"}, {6, "D"},  {5, "A"},
             {4, "CD"},  {3, "WT"}, {2, "US"}, {1, "RW"}, {0, "P"}};

static void add_cells(struct ladder *l, int box, enum scene_role set, const char *id, double right,
                      double y, const struct view_walk_step *step)
{
    double em = l->em, w = CELL_WIDTH * em;
    unsigned count = sizeof cells / sizeof cells[0];
    for (unsigned i = step->entry_bytes == 8 ? 0 : 1; i < count; i++) {
        const char *name = cells[i].bit == 7 && step->level == 0 ? "PAT" : cells[i].name;
        bool on = step->pte >> cells[i].bit & 1;
        enum scene_role role = on ? set : ROLE_CLEAR;
        char part[16];
        double x = right - (count - i) * w;
        snprintf(part, sizeof part, "bit.%s", name);
        int cell = scene_box(l->s, box, role, x + .05 * em, y, w - .1 * em, 1.4 * em,
                             scene_name(l->s, id, part));
        scene_label(l->s, cell, role, on ? FONT_BOLD : FONT_TEXT, .72 * em, ALIGN_CENTRE,
                    x + .1 * em, y, w - .2 * em, 1.4 * em, "", "%s", name);
    }
}

static void add_row(struct ladder *l, const struct view_walk_step *step, enum scene_role role)
{
    struct scene *s = l->s;
    unsigned level = step->level < LEVELS ? step->level : LEVELS - 1;
    double em = l->em, x = l->x, y = row_top(l, level), middle = y + (l->row - 1.5 * em) / 2;
    enum scene_role field = tables[level].role;
    char id[SCENE_ID];
    snprintf(id, sizeof id, "guest.%u", level);
    int box = scene_box(s, SCENE_CANVAS, role, x, y, l->w, l->row, id);
    x += .5 * em;
    scene_label(s, box, role, FONT_BOLD, .85 * em, ALIGN_LEFT, x, y + l->row / 2 - 1.3 * em,
                NAME_WIDTH * em, 1.25 * em, scene_name(s, id, "name"), "%s", tables[level].name);
    scene_label(s, box, role, FONT_MONO, .8 * em, ALIGN_LEFT, x, y + l->row / 2 + .02 * em,
                NAME_WIDTH * em, 1.2 * em, scene_name(s, id, "table"), "0x%08" PRIx64,
                step->table_pa);
    x += (NAME_WIDTH + .3) * em;
    int chip =
        scene_box(s, box, field, x, middle, CHIP_WIDTH * em, 1.5 * em, scene_name(s, id, "index"));
    scene_label(s, chip, field, FONT_MONO_BOLD, .9 * em, ALIGN_CENTRE, x, middle, CHIP_WIDTH * em,
                1.5 * em, "", "%u", step->index);
    x += (CHIP_WIDTH + .5) * em;
    scene_label(s, box, role, FONT_MONO_BOLD, .95 * em, ALIGN_LEFT, x, middle, ENTRY_WIDTH * em,
                1.5 * em, scene_name(s, id, "pte"), "0x%0*" PRIx64, step->entry_bytes == 8 ? 16 : 8,
                step->pte);
    add_cells(l, box, role == ROLE_FAULT ? ROLE_FAULT : ROLE_SET, id, l->x + l->w - .5 * em,
              y + (l->row - 1.4 * em) / 2, step);
}

/* A table that the walk did not come to. */
static void add_unreached(struct ladder *l, unsigned level)
{
    double em = l->em, y = row_top(l, level);
    char id[SCENE_ID];
    snprintf(id, sizeof id, "unreached.%u", level);
    int box = scene_box(l->s, SCENE_CANVAS, ROLE_GHOST, l->x, y, l->w, l->row, id);
    scene_at(l->s, box)->dashed = true;
    scene_label(l->s, box, ROLE_GHOST, FONT_TEXT, .85 * em, ALIGN_LEFT, l->x + .5 * em, y,
                l->w - em, l->row, scene_name(l->s, id, "name"), "%s: not reached",
                tables[level].name);
}

/* From a row's entry down to what it points to. */
static void down_arrow(struct ladder *l, enum scene_role role, double from, double to, bool dashed,
                       const char *id)
{
    double x = l->x + (.5 + NAME_WIDTH + .3 + CHIP_WIDTH + .5 + ENTRY_WIDTH / 2) * l->em;
    double px[] = {x, x}, py[] = {from + .08 * l->em, to - .08 * l->em};
    int arrow = scene_arrow(l->s, role, 2, px, py, id);
    scene_at(l->s, arrow)->dashed = dashed;
}

static void add_rows(struct ladder *l)
{
    const struct view_walk *walk = &l->v->guest;
    unsigned count = walk->step_count <= LEVELS ? walk->step_count : LEVELS;
    char id[SCENE_ID];
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        unsigned level = walk->step[i].level;
        double bottom = row_top(l, level) + l->row;
        add_row(l, &walk->step[i], last && !walk->ok ? ROLE_FAULT : ROLE_PLAIN);
        snprintf(id, sizeof id, "guest.%u.next", level);
        if (last)
            down_arrow(l, walk->ok ? ROLE_GOOD : ROLE_FAULT, bottom, bottom + l->gap, !walk->ok,
                       id);
        else
            down_arrow(l, tables[walk->step[i + 1].level % LEVELS].role, bottom, bottom + l->gap,
                       false, id);
    }
    for (unsigned level = l->levels - count; level-- > l->walked;)
        add_unreached(l, level);
}

static void add_no_tables(struct ladder *l)
{
    double em = l->em, y = STRIP_TOP * em, h = 3 * (l->row + l->gap) - l->gap;
    int box = scene_box(l->s, SCENE_CANVAS, ROLE_GHOST, l->x, y, l->w, h, "guest.none");
    scene_at(l->s, box)->dashed = true;
    scene_label(l->s, box, ROLE_GHOST, FONT_TEXT, em, ALIGN_CENTRE, l->x + em, y, l->w - 2 * em, h,
                "guest.none.text",
                "Paging is off (CR0.PG is 0): the linear address is the guest-physical one.");
    down_arrow(l, ROLE_GOOD, y + h, y + h + l->gap, false, "guest.none.next");
}

/* ---- what they lead to -------------------------------------------------------------------- */

static void add_result(struct ladder *l, enum scene_role role, double x, double w, const char *id,
                       const char *line, bool mono, const char *detail)
{
    double em = l->em, y = result_top(l);
    int box = scene_box(l->s, SCENE_CANVAS, role, x, y, w, RESULT_HEIGHT * em, id);
    scene_label(l->s, box, role, mono ? FONT_MONO_BOLD : FONT_BOLD, em, ALIGN_CENTRE, x + .4 * em,
                y + .25 * em, w - .8 * em, 1.4 * em, scene_name(l->s, id, "line"), "%s", line);
    scene_label(l->s, box, role, FONT_TEXT, .82 * em, ALIGN_CENTRE, x + .4 * em, y + 1.75 * em,
                w - .8 * em, 1.2 * em, scene_name(l->s, id, "detail"), "%s", detail);
}

static void page_text(const struct view_walk *walk, char *text, size_t size)
{
    char page[24];
    uint32_t p = walk->permissions;
    draw_size_text(walk->page_size, page, sizeof page);
    if (walk->bare || !walk->page_size)
        snprintf(text, size, "the same address");
    else
        snprintf(text, size, "%s page, all levels allow %s%s%s%s", page, p & SCENE_R ? "r" : "-",
                 p & SCENE_W ? "w" : "-", p & SCENE_X ? "x" : "-",
                 p & SCENE_U ? ", user" : ", kernel only");
}

/* Without an address there is one wide box, with the fault in it. */
static void add_refusal(struct ladder *l)
{
    add_result(l, ROLE_FAULT, l->x, l->w, "guest.result", l->v->guest.fault, false,
               l->v->guest.why);
}

static void add_results(struct ladder *l)
{
    const struct view_walk *walk = &l->v->guest, *map = &l->v->map;
    double em = l->em, w = (l->w - RESULT_GAP * em) / 2, right = l->x + w + RESULT_GAP * em;
    double y = result_top(l) + RESULT_HEIGHT * em / 2;
    double px[] = {l->x + w + .2 * em, right - .2 * em}, py[] = {y, y};
    char line[64], detail[SCENE_TEXT];
    snprintf(line, sizeof line, "gPA 0x%08" PRIx64, walk->pa);
    page_text(walk, detail, sizeof detail);
    add_result(l, ROLE_GOOD, l->x, w, "guest.result", line, true, detail);
    if (map->ok) {
        snprintf(line, sizeof line, "host 0x%012" PRIx64, map->pa);
        add_result(l, ROLE_GOOD, right, w, "map.result", line, true,
                   "this program's address of that memory");
    } else {
        add_result(l, ROLE_WAIT, right, w, "map.result",
                   *map->fault ? map->fault : "no memory there", false, map->why);
    }
    scene_arrow(l->s, map->ok ? ROLE_GOOD : ROLE_WAIT, 2, px, py, "guest.to-map");
}

static void add_foot(struct ladder *l)
{
    double em = l->em, y = result_top(l) + (RESULT_HEIGHT + .4) * em;
    scene_label(l->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .82 * em, ALIGN_CENTRE, l->x, y, l->w,
                1.4 * em, "second-stage",
                "The hardware walks a second table from gPA on (EPT, NPT): KVM keeps it inside "
                "the kernel.");
}

void scene_walk_x86(struct scene *s, const struct view_translation *view, double width,
                    double height)
{
    struct ladder l = {.s = s, .v = view};
    choose_format(&l);
    scene_init(s, width, height, COLUMNS, least_rows(l.levels));
    lay_out(&l);
    add_address(&l);
    if (l.levels) {
        add_fields(&l);
        add_rows(&l);
    } else {
        add_no_tables(&l);
    }
    if (view->guest.ok)
        add_results(&l);
    else
        add_refusal(&l);
    add_foot(&l);
}
