/*
 * Page tables as address maps: a column for each kind of table, a box for each run of pages that
 * translate alike. Boxes are all of the same height (an address space of 4 GiB with a few pages in
 * it has no useful scale); a gap between two boxes is a gap in the addresses. Where there are more
 * runs than fit, the nearest neighbours are put together. In an address space of 64 bits the hole
 * between its halves, whose addresses are not canonical, is a box of its own.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 46, ROWS = 22;
static const double MARGIN = 1, COLUMN_GAP = 1.6, COLUMN_MAX = 26, WIDE_MAX = 34;
static const double HEAD_HEIGHT = 4, BOX_HEIGHT = 2.9, GAP = .8, NO_GAP = .12, HOLE_HEIGHT = 1.7;

enum { GROUPS = 64 };

struct group {
    unsigned first, count; /* regions */
    uint64_t bytes;        /* mapped */
    uint32_t permissions;  /* of all together */
};

/* ---- putting regions together ------------------------------------------------------------- */

static uint64_t gap_before(const struct view_table *t, unsigned i)
{
    return t->region[i].va - (t->region[i - 1].va + t->region[i - 1].size);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The gap from which on two neighbours stay apart, so that at most `max` groups are left; `ties` is
 * how many gaps of exactly that size may separate. */
static uint64_t least_gap(const struct view_table *t, unsigned max, unsigned *ties)
{
    uint64_t *gaps = malloc(t->count * sizeof *gaps);
    uint64_t least = UINT64_MAX;
    *ties = 0;
    if (!gaps)
        return least;
    for (unsigned i = 1; i < t->count; i++)
        gaps[i - 1] = gap_before(t, i);
    qsort(gaps, t->count - 1, sizeof *gaps, by_size);
    if (max > 1) {
        least = gaps[max - 2];
        for (unsigned i = 0; i <= max - 2; i++)
            *ties += gaps[i] == least;
    }
    free(gaps);
    return least;
}

static unsigned make_groups(const struct view_table *t, unsigned max, struct group *groups)
{
    unsigned ties = 0, n = 0;
    uint64_t least = 0;
    bool all = t->count <= max;
    if (!all)
        least = least_gap(t, max, &ties);
    for (unsigned i = 0; i < t->count; i++) {
        const struct view_region *r = &t->region[i];
        bool apart = i == 0 || all || gap_before(t, i) > least;
        if (!apart && gap_before(t, i) == least && ties > 0) {
            apart = true;
            ties--;
        } else if (i > 0 && !all && gap_before(t, i) == least) {
            apart = false;
        }
        if (apart)
            groups[n++] = (struct group){.first = i};
        groups[n - 1].count++;
        groups[n - 1].bytes += r->size;
        groups[n - 1].permissions |= r->permissions;
    }
    return n;
}

/* ---- one column --------------------------------------------------------------------------- */

static enum scene_role role_of(uint32_t permissions)
{
    return permissions & SCENE_W ? ROLE_WRITE : permissions & SCENE_X ? ROLE_EXEC : ROLE_READ;
}

static void rights_text(uint32_t p, char text[8])
{
    snprintf(text, 8, "%c%c%c%s", p & SCENE_R ? 'r' : '-', p & SCENE_W ? 'w' : '-',
             p & SCENE_X ? 'x' : '-', p & SCENE_U ? " u" : "");
}

static void group_text(const struct view_table *t, const struct group *g, char *text, unsigned size)
{
    char bytes[24], rights[8], page[24], pages[40] = "";
    const struct view_region *r = &t->region[g->first];
    draw_size_text(r->page_size, page, sizeof page);
    if (r->page_size > 4096)
        snprintf(pages, sizeof pages, ", %s pages", page);
    draw_size_text(g->bytes, bytes, sizeof bytes);
    bool slot = t->isa == ISA_X86 && t->kind == VIEW_MAP; /* rights of user mode mean nothing */
    rights_text(slot ? g->permissions & ~(uint32_t)SCENE_U : g->permissions, rights);
    if (g->count > 1)
        snprintf(text, size, "%u runs, %s, %s", g->count, bytes, rights);
    else
        snprintf(text, size, "%s, %s%s", bytes, rights, pages);
}

static void add_group(struct scene *s, const struct view_table *t, const struct group *g,
                      const char *id, double x, double y, double w)
{
    double em = s->em, half = (w - 2.2 * em) / 2;
    const struct view_region *r = &t->region[g->first];
    const struct view_region *last = &t->region[g->first + g->count - 1];
    enum scene_role role = role_of(g->permissions);
    char text[SCENE_TEXT];
    int box = scene_box(s, SCENE_CANVAS, role, x, y, w, BOX_HEIGHT * em, id);
    scene_label(s, box, role, FONT_MONO_BOLD, .88 * em, ALIGN_LEFT, x + .5 * em, y + .1 * em, half,
                1.4 * em, scene_name(s, id, "va"), "0x%08" PRIx64, r->va);
    double right = x + w - .5 * em - half;
    if (g->count == 1) {
        double px[] = {x + .5 * em + half + .1 * em, right - .1 * em + .2 * em};
        double py[] = {y + .8 * em, y + .8 * em};
        scene_label(s, box, role, FONT_MONO, .88 * em, ALIGN_RIGHT, right, y + .1 * em, half,
                    1.4 * em, scene_name(s, id, "pa"), "0x%08" PRIx64, r->pa);
        scene_arrow(s, role, 2, px, py, "");
    } else {
        scene_label(s, box, role, FONT_MONO, .88 * em, ALIGN_RIGHT, right - .9 * em, y + .1 * em,
                    half + .9 * em, 1.4 * em, scene_name(s, id, "pa"), "..0x%08" PRIx64,
                    last->va + last->size - 1);
    }
    group_text(t, g, text, sizeof text);
    scene_label(s, box, role, FONT_TEXT, .85 * em, ALIGN_LEFT, x + .5 * em, y + 1.45 * em, w - em,
                1.3 * em, scene_name(s, id, "what"), "%s", text);
}

static void add_summary(struct scene *s, const struct view_table *t, const char *id, double x,
                        double w)
{
    char bytes[24];
    uint64_t total = 0;
    double em = s->em;
    for (unsigned i = 0; i < t->count; i++)
        total += t->region[i].size;
    draw_size_text(total, bytes, sizeof bytes);
    if (t->kind == VIEW_MAP && t->isa == ISA_X86)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_LEFT, x, 2.4 * em, w,
                    1.2 * em, scene_name(s, id, "summary"), "%s, which KVM's EPT or NPT maps",
                    bytes);
    else if (t->kind == VIEW_MAP)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_LEFT, x, 2.4 * em, w,
                    1.2 * em, scene_name(s, id, "summary"), "%s in use", bytes);
    else
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_LEFT, x, 2.4 * em, w,
                    1.2 * em, scene_name(s, id, "summary"), "%s%s, root 0x%08" PRIx64,
                    t->truncated ? "over " : "", bytes, t->root_pa);
}

/* The highest bit of a virtual address that is translated, where there are more: 0 elsewhere. All
 * bits above it must equal it (Intel SDM vol. 1, section 3.3.7.1). */
static unsigned sign_bit(const struct view_table *t)
{
    bool has_hole = t->isa == ISA_X86 && t->kind == VIEW_GUEST_TABLE && t->levels > 3;
    return has_hole ? 12 + 9 * t->levels - 1u : 0;
}

static void add_hole(struct scene *s, const struct view_table *t, const char *id, double x,
                     double y, double w)
{
    double em = s->em;
    int box = scene_box(s, SCENE_CANVAS, ROLE_GHOST, x, y, w, HOLE_HEIGHT * em,
                        scene_name(s, id, "hole"));
    scene_at(s, box)->dashed = true;
    scene_label(s, box, ROLE_GHOST, FONT_TEXT, .82 * em, ALIGN_CENTRE, x + .5 * em, y, w - em,
                HOLE_HEIGHT * em, scene_name(s, id, "hole.text"),
                "not canonical: bits 63 to %u differ", sign_bit(t));
}

static void add_off(struct scene *s, const char *id, double x, double w)
{
    double em = s->em;
    scene_paragraph(s, SCENE_CANVAS, ROLE_DIM, .9 * em, ALIGN_LEFT, x, HEAD_HEIGHT * em, w, 3,
                    scene_name(s, id, "off"),
                    "Paging is off (CR0.PG is 0): a linear address is the guest-physical one.");
}

/* The groups from the top down, and the hole where it belongs. */
static void add_groups(struct scene *s, const struct view_table *t, const struct group *groups,
                       unsigned count, const char *id, double x, double w)
{
    double em = s->em, y = HEAD_HEIGHT * em;
    unsigned sign = sign_bit(t);
    bool above = !sign; /* in the upper half already, or there is none */
    char name[SCENE_ID];
    for (unsigned i = 0; i <= count; i++) {
        const struct view_region *r = i < count ? &t->region[groups[i].first] : NULL;
        if (!above && (!r || r->va >> sign)) {
            y += i ? GAP * em : 0;
            add_hole(s, t, id, x, y, w);
            y += (HOLE_HEIGHT + GAP) * em;
            above = true;
        } else if (r && i > 0) {
            y += (gap_before(t, groups[i].first) ? GAP : NO_GAP) * em;
        }
        if (!r)
            break;
        snprintf(name, sizeof name, "%.8s.%u", id, i);
        add_group(s, t, &groups[i], name, x, y, w);
        y += BOX_HEIGHT * em;
    }
}

static void add_column(struct scene *s, const struct view_table *t, const char *id,
                       const char *title, double x, double w)
{
    struct group groups[GROUPS];
    double em = s->em, y = HEAD_HEIGHT * em;
    double space = s->height - y - MARGIN * em + GAP * em;
    space -= sign_bit(t) ? (HOLE_HEIGHT + GAP) * em : 0;
    unsigned max = (unsigned)fmin(GROUPS, floor(space / ((BOX_HEIGHT + GAP) * em)));
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.05 * em, ALIGN_LEFT, x, .8 * em, w,
                1.5 * em, scene_name(s, id, "title"), "%s", title);
    if (t->isa == ISA_X86 && t->kind == VIEW_GUEST_TABLE && !t->levels) {
        add_off(s, id, x, w);
        return;
    }
    if (t->count == 0) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, y, w, 1.5 * em,
                    scene_name(s, id, "empty"), "maps nothing yet");
        return;
    }
    add_summary(s, t, id, x, w);
    unsigned count = make_groups(t, max, groups);
    add_groups(s, t, groups, count, id, x, w);
}

/* Addresses of 64 bits need a wide column; there are never three then. */
static double column_width(const struct scene *s, int present, bool wide)
{
    double em = s->em, space = s->width - 2 * MARGIN * em;
    int columns = wide ? present : 3;
    return fmin((wide ? WIDE_MAX : COLUMN_MAX) * em,
                (space - (columns - 1) * COLUMN_GAP * em) / columns);
}

void scene_tables(struct scene *s, const struct view_table *const tables[3], double width,
                  double height)
{
    static const char *const ids[] = {"guest", "map", "shadow"};
    static const char *const titles[] = {"Guest's table, gVA to gPA", "Monitor's map, gPA to hPA",
                                         "Shadow table, gVA to hPA"};
    int present = 0, at = 0;
    bool x86 = false;
    scene_init(s, width, height, COLUMNS, ROWS);
    double em = s->em;
    for (int i = 0; i < 3; i++) {
        present += tables[i] && tables[i]->present;
        x86 = x86 || (tables[i] && tables[i]->present && tables[i]->isa == ISA_X86);
    }
    if (!present) {
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, em, ALIGN_CENTRE, em, 0,
                    s->width - 2 * em, s->height, "none",
                    "No page table is in use: translation is off.");
        return;
    }
    double w = column_width(s, present, x86);
    double used = present * w + (present - 1) * COLUMN_GAP * em, left = (s->width - used) / 2;
    for (int i = 0; i < 3; i++)
        if (tables[i] && tables[i]->present)
            add_column(s, tables[i], ids[i],
                       x86 && i == 1                    ? "Memory slots, gPA to host"
                       : !x86 && present == 1 && i == 0 ? "Page table, VA to PA"
                                                        : titles[i],
                       left + at++ * (w + COLUMN_GAP * em), w);
}
