/*
 * Drawings: the public functions of draw.h, and writing to files.
 *
 * A file is made in memory first and written in one go, so that nothing half-written is left.
 * cairo writes SVG without words in it (text becomes glyphs), so a title and a description are put
 * in, which screen readers and browsers' tooltips use. A PDF gets a fixed date: the same view gives
 * the same file.
 */
#include "config.h"

#include <inttypes.h>
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gui/draw/scene.h"

static const char FIXED_DATE[] = "2000-01-01T00:00:00Z";

/* ---- drawing ------------------------------------------------------------------------------ */

void draw_paint(cairo_t *cr, const struct drawing *drawing, double width, double height, bool dark)
{
    struct scene scene;
    switch (drawing->kind) {
    case DRAWING_TRANSLATION: scene_translation(&scene, drawing->translation, width, height); break;
    case DRAWING_TABLES: scene_tables(&scene, drawing->tables, width, height); break;
    case DRAWING_CHART: scene_chart(&scene, drawing->chart, width, height); break;
    case DRAWING_HEAT: scene_heat(&scene, drawing->dirty, width, height); break;
    case DRAWING_TIMELINE:
        scene_timeline(&scene, drawing->timeline, drawing->bare, width, height);
        break;
    case DRAWING_LAYERS:
        scene_layers(&scene, drawing->layers, drawing->caption, width, height);
        break;
    case DRAWING_MIGRATION: scene_migration(&scene, drawing->migration, width, height); break;
    case DRAWING_PROTECTION: scene_protection(&scene, drawing->protection, width, height); break;
    case DRAWING_EXITS:
    default:
        scene_exits(&scene, drawing->exits, drawing->bare, drawing->by_time, width, height);
        break;
    }
    scene_paint(&scene, cr, dark);
    scene_free(&scene);
}

void draw_translation(cairo_t *cr, const struct view_translation *view, double width, double height,
                      bool dark)
{
    struct drawing drawing = {.kind = DRAWING_TRANSLATION, .translation = view};
    draw_paint(cr, &drawing, width, height, dark);
}

void draw_table_map(cairo_t *cr, const struct view_table *const tables[3], double width,
                    double height, bool dark)
{
    struct drawing drawing = {.kind = DRAWING_TABLES, .tables = {tables[0], tables[1], tables[2]}};
    draw_paint(cr, &drawing, width, height, dark);
}

void draw_exits(cairo_t *cr, const struct view_exit_stats *view, bool bare, double width,
                double height, bool dark)
{
    struct drawing drawing = {.kind = DRAWING_EXITS, .exits = view, .bare = bare};
    draw_paint(cr, &drawing, width, height, dark);
}

/* ---- in words ----------------------------------------------------------------------------- */

static const char *access_word(char access)
{
    return access == 'w' ? "write" : access == 'x' ? "fetch" : "read";
}

static void describe_translation(const struct view_translation *v, char *title, unsigned title_size,
                                 char *text, unsigned size)
{
    bool virtual = v->shadow.present || v->isa == ISA_X86;
    const char *name = virtual ? "guest-virtual" : "virtual";
    snprintf(title, title_size, "Translation of %s address 0x%08" PRIx64 " for a %s", name, v->va,
             access_word(v->access));
    if (!v->guest.ok)
        snprintf(text, size, "The page table refuses: %s (%s).", v->guest.fault, v->guest.why);
    else if (v->isa == ISA_X86)
        snprintf(text, size, "The guest's %u tables translate it to gPA 0x%08" PRIx64 "; %s%s.",
                 v->guest.step_count, v->guest.pa,
                 v->map.ok ? "there is memory behind it" : "no memory is behind it: ",
                 v->map.ok ? "" : v->map.why);
    else if (!v->shadow.present)
        snprintf(text, size, "The page table translates it to physical address 0x%08" PRIx64 ".",
                 v->guest.pa);
    else if (!v->map.ok)
        snprintf(text, size,
                 "The guest's table translates it to gPA 0x%08" PRIx64 "; the monitor's map: %s.",
                 v->guest.pa, v->map.why);
    else
        snprintf(text, size,
                 "The guest's table translates it to gPA 0x%08" PRIx64
                 ", the monitor's map that to hPA "
                 "0x%08" PRIx64 "; the shadow table %s.",
                 v->guest.pa, v->map.pa,
                 v->shadow.ok ? "leads there in one walk" : "has no entry for it yet");
}

void draw_describe(const struct drawing *d, char *title, unsigned title_size, char *text,
                   unsigned size)
{
    switch (d->kind) {
    case DRAWING_TRANSLATION:
        describe_translation(d->translation, title, title_size, text, size);
        break;
    case DRAWING_TABLES:
        snprintf(title, title_size, "Page tables");
        snprintf(text, size, "Which runs of pages the page tables map, and to where.");
        break;
    case DRAWING_EXITS:
        snprintf(title, title_size, "%s by %s", d->bare ? "Traps" : "VM exits",
                 d->bare ? "cause" : "reason");
        if (d->exits->ns)
            snprintf(text, size, "%llu VM exits, in which the monitor worked for %.3f ms.",
                     (unsigned long long)d->exits->total, (double)d->exits->ns / 1e6);
        else
            snprintf(text, size, "%llu %s in %llu guest instructions.",
                     (unsigned long long)d->exits->total, d->bare ? "traps" : "VM exits",
                     (unsigned long long)d->exits->instructions);
        break;
    case DRAWING_HEAT:
        snprintf(title, title_size, "Pages that the guest writes");
        snprintf(text, size, "%llu pages written lately, %llu in all.",
                 (unsigned long long)d->dirty->dirty_now,
                 (unsigned long long)d->dirty->dirty_total);
        break;
    case DRAWING_TIMELINE:
        snprintf(title, title_size, "The run from its beginning to its newest instruction");
        draw_timeline_text(d->timeline, text, size);
        break;
    case DRAWING_LAYERS:
        snprintf(title, title_size, "Layers of %s", d->layers->disk ? "the disk" : "memory");
        draw_layers_text(d->layers, text, size);
        break;
    case DRAWING_MIGRATION:
        snprintf(title, title_size, "The guest\u2019s move to another host");
        draw_migration_text(d->migration, text, size);
        break;
    case DRAWING_PROTECTION:
        snprintf(title, title_size, "The guest\u2019s protection by another host");
        draw_protection_text(d->protection, text, size);
        break;
    case DRAWING_CHART:
        snprintf(title, title_size, "%s", d->chart->title);
        snprintf(text, size, "%u programs in %u ways. %s",
                 d->chart->ratios.count + d->chart->rates.count, d->chart->series_count,
                 d->chart->note);
        break;
    }
}

/* ---- files -------------------------------------------------------------------------------- */

struct buffer {
    char *bytes;
    size_t count, room;
};

static cairo_status_t buffer_add(void *closure, const unsigned char *bytes, unsigned count)
{
    struct buffer *b = closure;
    if (b->count + count > b->room) {
        size_t room = (b->count + count) * 2;
        char *grown = realloc(b->bytes, room);
        if (!grown)
            return CAIRO_STATUS_NO_MEMORY;
        b->bytes = grown;
        b->room = room;
    }
    memcpy(b->bytes + b->count, bytes, count);
    b->count += count;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *svg_new(struct buffer *b, double width, double height)
{
    return cairo_svg_surface_create_for_stream(buffer_add, b, width, height);
}

static cairo_surface_t *pdf_new(struct buffer *b, double width, double height)
{
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(buffer_add, b, width, height);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, FIXED_DATE);
    return surface;
}

static cairo_surface_t *png_new(struct buffer *b, double width, double height)
{
    (void)b;
    return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
}

static cairo_status_t svg_finish(cairo_surface_t *surface, const struct drawing *d,
                                 struct buffer *b);
static cairo_status_t pdf_finish(cairo_surface_t *surface, const struct drawing *d,
                                 struct buffer *b);

static cairo_status_t png_finish(cairo_surface_t *surface, const struct drawing *d,
                                 struct buffer *b)
{
    (void)d;
    return cairo_surface_write_to_png_stream(surface, buffer_add, b);
}

static const struct format {
    const char *suffix;
    cairo_surface_t *(*make)(struct buffer *b, double width, double height);
    cairo_status_t (*finish)(cairo_surface_t *surface, const struct drawing *d, struct buffer *b);
} formats[] = {
    {".svg", svg_new, svg_finish},
    {".pdf", pdf_new, pdf_finish},
    {".png", png_new, png_finish},
};

static void add_escaped(struct buffer *b, const char *text)
{
    for (; *text; text++) {
        const char *out = *text == '<'   ? "&lt;"
                          : *text == '>' ? "&gt;"
                          : *text == '&' ? "&amp;"
                                         : NULL;
        if (out)
            buffer_add(b, (const unsigned char *)out, (unsigned)strlen(out));
        else
            buffer_add(b, (const unsigned char *)text, 1);
    }
}

static void add_element(struct buffer *b, const char *name, const char *text)
{
    char tag[32];
    snprintf(tag, sizeof tag, "\n<%s>", name);
    buffer_add(b, (const unsigned char *)tag, (unsigned)strlen(tag));
    add_escaped(b, text);
    snprintf(tag, sizeof tag, "</%s>", name);
    buffer_add(b, (const unsigned char *)tag, (unsigned)strlen(tag));
}

/* cairo numbers the surfaces of a process, and writes the number: the same digits each time. */
static void forget_number(struct buffer *b)
{
    static const char id[] = "<g id=\"surface";
    char *at = memmem(b->bytes, b->count, id, sizeof id - 1);
    if (!at)
        return;
    char *digits = at + sizeof id - 1, *end = b->bytes + b->count, *quote = digits;
    while (quote < end && *quote >= '0' && *quote <= '9')
        quote++;
    if (quote > digits + 1) {
        memmove(digits + 1, quote, (size_t)(end - quote));
        b->count -= (size_t)(quote - digits - 1);
    }
    if (quote > digits)
        *digits = '1';
}

/* Puts the words behind the opening <svg ...>. */
static cairo_status_t svg_finish(cairo_surface_t *surface, const struct drawing *d,
                                 struct buffer *b)
{
    char title[160], text[320];
    struct buffer with_words = {0};
    cairo_surface_finish(surface);
    cairo_status_t status = cairo_surface_status(surface);
    const char *open = status || !b->count ? NULL : memmem(b->bytes, b->count, "<svg", 4);
    const char *end = open ? memchr(open, '>', b->count - (size_t)(open - b->bytes)) : NULL;
    if (!end)
        return status ? status : CAIRO_STATUS_WRITE_ERROR;
    forget_number(b);
    size_t head = (size_t)(end + 1 - b->bytes);
    draw_describe(d, title, sizeof title, text, sizeof text);
    status = buffer_add(&with_words, (const unsigned char *)b->bytes, (unsigned)head);
    add_element(&with_words, "title", title);
    add_element(&with_words, "desc", text);
    if (!status)
        status =
            buffer_add(&with_words, (const unsigned char *)end + 1, (unsigned)(b->count - head));
    free(b->bytes);
    *b = with_words;
    return status;
}

static cairo_status_t pdf_finish(cairo_surface_t *surface, const struct drawing *d,
                                 struct buffer *b)
{
    char title[160], text[320];
    (void)b;
    draw_describe(d, title, sizeof title, text, sizeof text);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, title);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, text);
    cairo_surface_finish(surface);
    return cairo_surface_status(surface);
}

static const struct format *format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof formats / sizeof formats[0]; i++)
        if (strcasecmp(dot, formats[i].suffix) == 0)
            return &formats[i];
    return NULL;
}

static int write_file(const char *path, const struct buffer *b)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    errno = 0;
    int error = fwrite(b->bytes, 1, b->count, file) == b->count ? 0 : -EIO;
    if (error && errno)
        error = -errno;
    if (fclose(file) && !error)
        error = errno ? -errno : -EIO;
    struct stat stat;
    if (error && lstat(path, &stat) == 0 && S_ISREG(stat.st_mode))
        unlink(path);
    return error;
}

static int render(const struct format *format, const struct drawing *drawing, double width,
                  double height, bool dark, struct buffer *b)
{
    cairo_surface_t *surface = format->make(b, width, height);
    cairo_t *cr = cairo_create(surface);
    draw_paint(cr, drawing, width, height, dark);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (!status)
        status = format->finish(surface, drawing, b);
    cairo_surface_finish(surface);
    cairo_surface_destroy(surface);
    return status == CAIRO_STATUS_SUCCESS ? 0 : status == CAIRO_STATUS_NO_MEMORY ? -ENOMEM : -EIO;
}

int draw_to_file(const char *path, const struct drawing *drawing, double width, double height,
                 bool dark)
{
    const struct format *format = format_of(path);
    struct buffer b = {0};
    width = width > 0 ? width : DRAW_DEFAULT_WIDTH;
    height = height > 0 ? height : DRAW_DEFAULT_HEIGHT;
    if (!format || width < 1 || height < 1 || width > DRAW_MAX_SIZE || height > DRAW_MAX_SIZE)
        return -EINVAL;
    int error = render(format, drawing, width, height, dark, &b);
    if (!error)
        error = write_file(path, &b);
    free(b.bytes);
    return error;
}
