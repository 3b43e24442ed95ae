/*
 * Scenes: keeping items and measuring text. The layouts themselves are in translation.c, tables.c
 * and exits.c, colours and painting in paint.c.
 */
#include "gui/draw/scene_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MAX_EM = 21;    /* a projector's body text; beyond that, space grows instead */
static const double LEAST_FIT = .8; /* how small a label may become to fit */

static const struct {
    const char *family;
    cairo_font_weight_t weight;
} fonts[] = {
    [FONT_TEXT] = {"sans-serif", CAIRO_FONT_WEIGHT_NORMAL},
    [FONT_BOLD] = {"sans-serif", CAIRO_FONT_WEIGHT_BOLD},
    [FONT_MONO] = {"monospace", CAIRO_FONT_WEIGHT_NORMAL},
    [FONT_MONO_BOLD] = {"monospace", CAIRO_FONT_WEIGHT_BOLD},
};

void scene_set_font(cairo_t *cr, enum scene_font font, double size)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
    cairo_select_font_face(cr, fonts[font].family, CAIRO_FONT_SLANT_NORMAL, fonts[font].weight);
    cairo_set_font_size(cr, size);
}

void scene_init(struct scene *s, double width, double height, double columns, double rows)
{
    scene_init_least(s, width, height, DRAW_MIN_WIDTH, DRAW_MIN_HEIGHT, columns, rows);
}

void scene_init_least(struct scene *s, double width, double height, double least_width,
                      double least_height, double columns, double rows)
{
    memset(s, 0, sizeof *s);
    s->scale = fmin(1, fmin(width / least_width, height / least_height));
    if (!(s->scale > 0))
        s->scale = 1;
    s->width = fmax(width / s->scale, least_width);
    s->height = fmax(height / s->scale, least_height);
    s->em = fmin(MAX_EM, fmin(s->width / columns, s->height / rows));
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    s->measure = cairo_create(surface);
    cairo_surface_destroy(surface);
}

void scene_free(struct scene *s)
{
    cairo_destroy(s->measure);
    free(s->items);
    memset(s, 0, sizeof *s);
}

struct scene_item *scene_at(struct scene *s, int index)
{
    return index >= 0 && index < s->count ? &s->items[index] : &s->nowhere;
}

const struct scene_item *scene_find(const struct scene *s, const char *id)
{
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->items[i].id, id) == 0)
            return &s->items[i];
    return NULL;
}

double scene_text_width(struct scene *s, enum scene_font font, double size, const char *text)
{
    cairo_text_extents_t extents;
    scene_set_font(s->measure, font, size);
    cairo_text_extents(s->measure, text, &extents);
    return extents.x_advance;
}

const char *scene_name(struct scene *s, const char *id, const char *part)
{
    size_t length = strnlen(id, SCENE_ID - 2);
    memmove(s->name, id, length); /* `id` may be the last answer */
    s->name[length] = '.';
    snprintf(s->name + length + 1, SCENE_ID - length - 1, "%s", part);
    return s->name;
}

static int add(struct scene *s, enum scene_kind kind, int parent, enum scene_role role,
               const char *id)
{
    if (s->count == s->room) {
        int room = s->room * 2 + 64;
        struct scene_item *items = realloc(s->items, (size_t)room * sizeof *items);
        if (!items)
            return SCENE_NOWHERE;
        s->items = items;
        s->room = room;
    }
    s->items[s->count] = (struct scene_item){.kind = kind, .parent = parent, .role = role};
    snprintf(s->items[s->count].id, SCENE_ID, "%s", id);
    return s->count++;
}

int scene_box(struct scene *s, int parent, enum scene_role role, double x, double y, double w,
              double h, const char *id)
{
    int index = add(s, SCENE_BOX, parent, role, id);
    struct scene_item *item = scene_at(s, index);
    item->x = x;
    item->y = y;
    item->w = w;
    item->h = h;
    item->radius = fmin(s->em * .25, h / 2);
    return index;
}

/* Never in the middle of a character of several bytes. */
static size_t cut_before(const char *text, size_t length)
{
    while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return length;
}

/* Makes the label fit: smaller first, then shorter. */
static void fit(struct scene *s, struct scene_item *item, double w)
{
    double width = scene_text_width(s, item->font, item->size, item->text);
    if (width > w) {
        item->size *= fmax(LEAST_FIT, w / width * .995);
        width = scene_text_width(s, item->font, item->size, item->text);
    }
    size_t length = strlen(item->text);
    while (width > w && length > 0) {
        length = cut_before(item->text, length - 1);
        if (length > SCENE_TEXT - 4)
            continue;
        strcpy(item->text + length, "\u2026");
        item->elided = true;
        width = scene_text_width(s, item->font, item->size, item->text);
    }
    item->w = width;
}

static void place(struct scene_item *item, enum scene_align align, double x, double y, double w,
                  double h)
{
    item->x = align == ALIGN_LEFT    ? x
              : align == ALIGN_RIGHT ? x + w - item->w
                                     : x + (w - item->w) / 2;
    item->h = fmin(h, item->size * 1.2);
    item->y = y + (h - item->h) / 2;
}

int scene_label(struct scene *s, int parent, enum scene_role role, enum scene_font font,
                double size, enum scene_align align, double x, double y, double w, double h,
                const char *id, const char *format, ...)
{
    int index = add(s, SCENE_LABEL, parent, role, id);
    struct scene_item *item = scene_at(s, index);
    va_list args;
    va_start(args, format);
    vsnprintf(item->text, SCENE_TEXT, format, args);
    va_end(args);
    item->font = font;
    item->size = size;
    fit(s, item, w);
    place(item, align, x, y, w, h);
    return index;
}

/* How many bytes of `text` make a line of width w. At least one word, however long. */
static size_t line_length(struct scene *s, double size, double w, const char *text)
{
    char line[SCENE_TEXT];
    size_t best = 0;
    for (size_t end = 0; end < SCENE_TEXT - 1;) {
        end += strcspn(text + end, " ");
        snprintf(line, sizeof line, "%.*s", (int)end, text);
        if (best && scene_text_width(s, FONT_TEXT, size, line) > w)
            break;
        best = end;
        if (!text[end])
            break;
        end++;
    }
    return best;
}

/* "V = 0" is one word: its spaces become unbreakable. */
static void keep_equations(const char *text, char *out, size_t size)
{
    size_t at = 0;
    while (*text && at + 6 < size) {
        bool equation = strncmp(text, " = ", 3) == 0;
        const char *part = equation ? "\u00a0=\u00a0" : text;
        size_t length = equation ? strlen(part) : 1;
        memcpy(out + at, part, length);
        at += length;
        text += equation ? 3 : 1;
    }
    out[at] = 0;
}

int scene_paragraph(struct scene *s, int parent, enum scene_role role, double size,
                    enum scene_align align, double x, double y, double w, int lines, const char *id,
                    const char *words)
{
    double pitch = size * 1.3;
    int used = 0;
    char kept[4 * SCENE_TEXT];
    const char *text = kept;
    keep_equations(words, kept, sizeof kept);
    char base[SCENE_ID];
    snprintf(base, sizeof base, "%s", id); /* `id` may be scene_name()'s answer */
    for (; *text && used < lines; used++) {
        size_t length = used == lines - 1 ? strlen(text) : line_length(s, size, w, text);
        char line[12];
        snprintf(line, sizeof line, "%d", used);
        scene_label(s, parent, role, FONT_TEXT, size, align, x, y + used * pitch, w, pitch,
                    scene_name(s, base, line), "%.*s", (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
    return used;
}

int scene_arrow(struct scene *s, enum scene_role role, int points, const double *px,
                const double *py, const char *id)
{
    int index = add(s, SCENE_ARROW, SCENE_CANVAS, role, id);
    struct scene_item *item = scene_at(s, index);
    item->points = points < SCENE_POINTS ? points : SCENE_POINTS;
    double right = px[0], bottom = py[0];
    item->x = px[0];
    item->y = py[0];
    for (int i = 0; i < item->points; i++) {
        item->px[i] = px[i];
        item->py[i] = py[i];
        item->x = fmin(item->x, px[i]);
        item->y = fmin(item->y, py[i]);
        right = fmax(right, px[i]);
        bottom = fmax(bottom, py[i]);
    }
    item->w = right - item->x;
    item->h = bottom - item->y;
    return index;
}

/* In the largest unit that says it exactly; what is large and odd gets a digit behind the point. */
void draw_size_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    unsigned unit = 0;
    double n = (double)bytes / 1024;
    for (; unit < 4 && n >= 1024 && (fmod(n, 1024) == 0 || n >= 10 * 1024); unit++)
        n /= 1024;
    snprintf(text, size, n == floor(n) || n >= 100 ? "%.0f %s" : "%.1f %s", n, units[unit]);
}
