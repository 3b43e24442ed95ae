/*
 * The layers of memory under the top, and how a page is looked up in them: the scan from the top
 * down asks one layer after the other, and the first that has the page answers.
 *
 *     look-up of the page
 *          |
 *          +-- top                          does not have it
 *          +-- 37 checkpoints               do not have it
 *          +-> snapshot "booted"            answers
 *              snapshot "loaded"            not asked
 *              base                         not asked
 *
 * There may be thousands: neighbours that have nothing to tell are drawn as one row, as many as it
 * takes to fit. (The program finds the answer by an index, see hv/overlay.h; the scan is what a
 * reader should have in mind.)
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 50, ROWS = 16, BESIDE = 12;
static const double MARGIN = 1, HEAD = 4.1, FOOT = .7, SCAN = 3, ROW = 1.7, PITCH = 2.1,
                    LARGE = 2.6;

enum { MOST_ROWS = 128, FEW_FILES = 3 };

struct row {
    unsigned from, count; /* of view_layers.layer */
    uint64_t layers;      /* that it stands for, those that the view left out included */
};

struct stack {
    struct scene *s;
    const struct view_layers *v;
    double em, x, w, y, pitch;
    double beside; /* width of the column on the right */
    int rows;
    struct row row[MOST_ROWS];
};

/* ---- what becomes a row ------------------------------------------------------------------- */

static unsigned count_files(const struct view_layers *v)
{
    unsigned files = 0;
    for (unsigned i = 0; i < v->count; i++)
        files += v->layer[i].kind == LAYER_FILE;
    return files;
}

/* Top, base, who answers, and the files of a disk, if they are few, always have a row of their own;
 * snapshots while there is room. */
static bool is_own(const struct view_layers *v, unsigned i, int snapshots)
{
    const struct view_layer *l = &v->layer[i];
    if (l->kind == LAYER_FILE && count_files(v) <= FEW_FILES)
        return true;
    if (l->kind == LAYER_TOP || l->kind == LAYER_BASE || l->answered)
        return true;
    return l->kind == LAYER_SNAPSHOT && snapshots > 0;
}

/* A row is of layers that were all asked, or all not; and of files, or of none. Returns how many
 * rows that makes. */
static int make_rows(struct stack *k, int snapshots)
{
    const struct view_layers *v = k->v;
    struct row *open = NULL;
    k->rows = 0;
    for (unsigned i = 0; i < v->count; i++) {
        const struct view_layer *l = &v->layer[i];
        bool own = is_own(v, i, snapshots);
        snapshots -= l->kind == LAYER_SNAPSHOT && own;
        bool file = l->kind == LAYER_FILE;
        if (open && !own && v->layer[open->from].asked == l->asked &&
            file == (v->layer[open->from].kind == LAYER_FILE)) {
            open->count++;
            open->layers += l->layers;
            continue;
        }
        if (k->rows == MOST_ROWS)
            return MOST_ROWS + 1;
        k->row[k->rows] = (struct row){i, 1, l->layers};
        open = own ? NULL : &k->row[k->rows];
        k->rows++;
    }
    return k->rows;
}

/* As many snapshots by themselves as fit. */
static void choose_rows(struct stack *k, int room)
{
    int snapshots = room;
    while (make_rows(k, snapshots) > room && snapshots > 0)
        snapshots--;
}

/* ---- words -------------------------------------------------------------------------------- */

static bool has_snapshot(const struct stack *k, const struct row *row)
{
    for (unsigned i = 0; i < row->count; i++)
        if (k->v->layer[row->from + i].kind != LAYER_CHECKPOINT)
            return true;
    return false;
}

static void name_of(const struct stack *k, const struct row *row, char *text, size_t size)
{
    const struct view_layer *l = &k->v->layer[row->from];
    if (row->layers > 1)
        snprintf(text, size, "%" PRIu64 " %s", row->layers,
                 l->kind == LAYER_FILE  ? "files"
                 : has_snapshot(k, row) ? "layers"
                                        : "checkpoints");
    else if (l->kind == LAYER_TOP)
        snprintf(text, size, "top");
    else if (l->kind == LAYER_BASE)
        snprintf(text, size, "base");
    else if (l->kind == LAYER_SNAPSHOT || l->kind == LAYER_FILE)
        snprintf(text, size, "%s", l->name);
    else
        snprintf(text, size, "checkpoint");
}

/* The top one of the disk's files is the one that is written to; the others are backing files. */
static const char *file_text(const struct stack *k, const struct row *row)
{
    bool top = row->from == 0 || k->v->layer[row->from - 1].kind != LAYER_FILE;
    return top ? "the disk\u2019s file" : "its backing file";
}

static void when_of(const struct stack *k, const struct row *row, char *text, size_t size)
{
    const struct view_layer *l = &k->v->layer[row->from];
    char number[40], older[40];
    draw_number_text(l->instruction, number, sizeof number);
    draw_number_text(k->v->layer[row->from + row->count - 1].instruction, older, sizeof older);
    if (l->kind == LAYER_TOP)
        snprintf(text, size, "written since");
    else if (l->kind == LAYER_BASE)
        snprintf(text, size, "%s", k->v->base);
    else if (l->kind == LAYER_FILE && row->layers == 1)
        snprintf(text, size, "%s", file_text(k, row));
    else if (row->count > 1 && l->timed)
        snprintf(text, size, "%s to %s", older, number);
    else if (row->layers == 1 && l->timed)
        snprintf(text, size, "instruction %s", number);
    else
        text[0] = 0;
}

static uint64_t pages_of(const struct stack *k, const struct row *row)
{
    uint64_t pages = 0;
    for (unsigned i = 0; i < row->count; i++)
        pages += k->v->layer[row->from + i].pages;
    return pages;
}

static const char *verdict_of(const struct stack *k, const struct row *row)
{
    const struct view_layer *l = &k->v->layer[row->from];
    if (l->answered)
        return "answers";
    if (!l->asked)
        return "not asked";
    return row->layers > 1 ? "do not have it" : "does not have it";
}

/* ---- drawing ------------------------------------------------------------------------------ */

static enum scene_role role_of(const struct view_layer *l)
{
    return l->answered ? ROLE_GOOD : l->asked ? ROLE_PLAIN : ROLE_GHOST;
}

static void add_texts(struct stack *k, int box, int i, double y)
{
    const struct row *row = &k->row[i];
    const struct view_layer *l = &k->v->layer[row->from];
    enum scene_role role = l->answered ? ROLE_GOOD : ROLE_PLAIN;
    enum scene_role dim = l->answered ? ROLE_GOOD : ROLE_DIM;
    double em = k->em, x = k->x + .7 * em, w = k->w - 1.4 * em, h = ROW * em, gap = .6 * em;
    double column[] = {.31 * w, .31 * w, .17 * w, .21 * w};
    char id[SCENE_ID], name[SCENE_TEXT], when[SCENE_TEXT], pages[40];
    snprintf(id, sizeof id, "layer.%d", i);
    name_of(k, row, name, sizeof name);
    when_of(k, row, when, sizeof when);
    draw_number_text(pages_of(k, row), pages, sizeof pages);
    scene_label(k->s, box, role, FONT_BOLD, .95 * em, ALIGN_LEFT, x, y, column[0] - gap, h,
                scene_name(k->s, id, "name"), "%s", name);
    x += column[0];
    if (*when)
        scene_label(k->s, box, dim, FONT_TEXT, .9 * em, ALIGN_LEFT, x, y, column[1] - gap, h,
                    scene_name(k->s, id, "when"), "%s", when);
    x += column[1];
    if (l->kind != LAYER_BASE && l->kind != LAYER_FILE)
        scene_label(k->s, box, dim, FONT_TEXT, .9 * em, ALIGN_RIGHT, x, y, column[2] - gap, h,
                    scene_name(k->s, id, "pages"), "%s page%s", pages,
                    strcmp(pages, "1") ? "s" : "");
    x += column[2];
    scene_label(k->s, box, role, l->answered ? FONT_BOLD : FONT_TEXT, .9 * em, ALIGN_RIGHT, x, y,
                column[3], h, scene_name(k->s, id, "verdict"), "%s", verdict_of(k, row));
}

/* What else stands on this layer: another branch of the tree. */
static void add_beside(struct stack *k, int i, double y)
{
    const struct row *row = &k->row[i];
    double em = k->em, left = k->x + k->w, x = left + 1.2 * em, h = ROW * em;
    char id[SCENE_ID];
    const char *name = NULL;
    for (unsigned j = 0; j < row->count && !name; j++)
        if (k->v->layer[row->from + j].beside[0])
            name = k->v->layer[row->from + j].beside;
    if (!name)
        return;
    snprintf(id, sizeof id, "beside.%d", i);
    int box = scene_box(k->s, SCENE_CANVAS, ROLE_GHOST, x, y, k->beside - 1.2 * em, h, id);
    scene_label(k->s, box, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x + .5 * em, y,
                k->beside - 2.2 * em, h, scene_name(k->s, id, "name"), "%s", name);
    int line =
        scene_arrow(k->s, ROLE_DIM, 2, (double[]){left, x}, (double[]){y + h / 2, y + h / 2}, "");
    scene_at(k->s, line)->plain = true;
}

/* From the head down to who answers, with a branch to each that is asked on the way. */
static void add_scan(struct stack *k, int i, double y)
{
    const struct view_layer *l = &k->v->layer[k->row[i].from];
    double x = (MARGIN + .9) * k->em, middle = y + ROW * k->em / 2, top = k->y - .55 * k->em;
    if (l->answered)
        scene_arrow(k->s, ROLE_GOOD, 3, (double[]){x, x, k->x}, (double[]){top, middle, middle},
                    "scan");
    else if (l->asked) {
        int line =
            scene_arrow(k->s, ROLE_DIM, 2, (double[]){x, k->x}, (double[]){middle, middle}, "");
        scene_at(k->s, line)->plain = true;
    }
}

static void add_row(struct stack *k, int i)
{
    const struct view_layer *l = &k->v->layer[k->row[i].from];
    double y = k->y + i * k->pitch;
    char id[SCENE_ID];
    snprintf(id, sizeof id, "layer.%d", i);
    int box = scene_box(k->s, SCENE_CANVAS, role_of(l), k->x, y, k->w, ROW * k->em, id);
    scene_at(k->s, box)->dashed = !l->asked;
    add_texts(k, box, i, y);
    add_beside(k, i, y);
    add_scan(k, i, y);
}

static void ordinal(uint64_t n, char *text, size_t size)
{
    uint64_t last = n % 10;
    const char *ending = n / 10 % 10 == 1 ? "th"
                         : last == 1      ? "st"
                         : last == 2      ? "nd"
                         : last == 3      ? "rd"
                                          : "th";
    snprintf(text, size, "%" PRIu64 "%s", n, ending);
}

void draw_layers_text(const struct view_layers *v, char *text, size_t size)
{
    char nth[32];
    ordinal(v->asked, nth, sizeof nth);
    if (!v->present)
        snprintf(text, size, "Nothing is kept in layers");
    else if (!v->there)
        snprintf(text, size, "%s 0x%08" PRIx64 ": %s", v->disk ? "Disk block" : "Page", v->page,
                 v->why);
    else
        snprintf(text, size, "%s 0x%08" PRIx64 ": the %s of %" PRIu64 " layers answers",
                 v->disk ? "Disk block" : "Page", v->page, nth, v->layers);
}

static void add_head(struct stack *k, const char *caption)
{
    double em = k->em, x = MARGIN * em, w = k->s->width - 2 * x;
    char text[SCENE_TEXT];
    draw_layers_text(k->v, text, sizeof text);
    scene_label(k->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.1 * em, ALIGN_LEFT, x, .3 * em, w,
                1.6 * em, "title", "%s", text);
    scene_label(k->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 1.9 * em, w,
                1.4 * em, "caption", "%s", caption ? caption : "Asked from the top down.");
}

static void init(struct stack *k, struct scene *s, const struct view_layers *v)
{
    *k = (struct stack){.s = s, .v = v, .em = s->em};
    for (unsigned i = 0; i < v->count; i++)
        if (v->layer[i].beside[0])
            k->beside = BESIDE * s->em;
    k->x = (MARGIN + SCAN) * s->em;
    k->w = s->width - k->x - MARGIN * s->em - k->beside;
    k->y = HEAD * s->em;
    choose_rows(k, (int)((s->height - k->y - FOOT * s->em) / (PITCH * s->em)));
    k->pitch = fmin(LARGE * s->em, (s->height - k->y - FOOT * s->em) / fmax(1, k->rows));
}

void scene_layers(struct scene *s, const struct view_layers *v, const char *caption, double width,
                  double height)
{
    bool branches = false;
    for (unsigned i = 0; i < v->count; i++)
        branches |= v->layer[i].beside[0] != 0;
    scene_init_least(s, width, height, DRAW_MIN_WIDTH, LAYERS_MIN_HEIGHT,
                     branches ? COLUMNS + BESIDE : COLUMNS, ROWS);
    if (!v->present || !v->count) {
        double em = s->em;
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, em, ALIGN_CENTRE, em, 0,
                    s->width - 2 * em, s->height, "none", "%s",
                    v->disk ? "This guest has no disk whose blocks are kept in layers."
                            : "Nothing is kept in layers yet: take a snapshot.");
        return;
    }
    struct stack *k = malloc(sizeof *k);
    if (!k)
        return;
    init(k, s, v);
    add_head(k, caption);
    for (int i = 0; i < k->rows; i++)
        add_row(k, i);
    free(k);
}
