/*
 * Drawings: pure functions from a view to a cairo context.
 *
 * They know no toolkit, keep no state and ask nothing of a session: the window, `vitrine draw` and
 * the tests give them a view and get the same picture. A drawing is made in two steps: a *scene* is
 * laid out (scene.h: boxes, labels and arrows with their places), then painted. Tests look at the
 * scene; everybody else uses this header alone.
 *
 *     struct drawing drawing = {.kind = DRAWING_TRANSLATION, .translation = &view};
 *     int error = draw_to_file("walk.svg", &drawing, 0, 0, false);
 *
 * Sizes are in pixels (PNG) or points (SVG, PDF). Everything is laid out to fit: nothing is clipped
 * and no text overlaps from DRAW_MIN_WIDTH x DRAW_MIN_HEIGHT on. A smaller size is drawn as the
 * smallest and scaled down.
 */
#ifndef VITRINE_GUI_DRAW_DRAW_H
#define VITRINE_GUI_DRAW_DRAW_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gui/draw/chart.h"
#include "hv/view.h"

enum {
    DRAW_MIN_WIDTH = 420,
    DRAW_MIN_HEIGHT = 300,
    DRAW_DEFAULT_WIDTH = 1280, /* of a file, where none is asked for */
    DRAW_DEFAULT_HEIGHT = 720,
    DRAW_MAX_SIZE = 16384,
};

enum drawing_kind {
    DRAWING_TRANSLATION, /* one address through the three translations */
    DRAWING_TABLES,      /* what the three kinds of page table map, as address maps */
    DRAWING_EXITS,       /* how many exits of each reason, and their cost */
    DRAWING_CHART,       /* how fast programs ran */
    DRAWING_HEAT,        /* which pages the guest writes */
    DRAWING_TIMELINE, /* the run, with checkpoints, input, snapshots, and where the guest stands */
    DRAWING_LAYERS,   /* the layers under the guest, and who answers for a page */
    DRAWING_MIGRATION,  /* the rounds of a move to another host */
    DRAWING_PROTECTION, /* the last epochs that a backup has got */
};

/* What to draw: the member that belongs to `kind` must be set. All is only read. */
struct drawing {
    enum drawing_kind kind;
    const struct view_translation *translation;
    /* Guest table, monitor's map, shadow table, in this order; those that are NULL or not `present`
     * are left out, and with them all gone the drawing says so. */
    const struct view_table *tables[3];
    const struct view_exit_stats *exits;
    bool
        bare; /* DRAWING_EXITS, _TIMELINE: on a bare machine, where exits are traps, cost nothing */
    bool by_time; /* DRAWING_EXITS: by the time that they took, where they have one */
    const struct speed_chart *chart;
    const struct view_dirty *dirty;
    const struct view_timeline *timeline;
    const struct view_layers *layers;
    const struct view_migration *migration;
    const struct view_protection *protection;
    const char *caption; /* DRAWING_LAYERS: why this page; NULL: nothing is said */
};

/* Paints the whole rectangle (0, 0, width, height), background included. Never fails: an error of
 * cairo stays in the context's status. */
void draw_paint(cairo_t *cr, const struct drawing *drawing, double width, double height, bool dark);

/* The same as single functions; exits by their number. */
void draw_translation(cairo_t *cr, const struct view_translation *view, double width, double height,
                      bool dark);
void draw_table_map(cairo_t *cr, const struct view_table *const tables[3], double width,
                    double height, bool dark);
void draw_exits(cairo_t *cr, const struct view_exit_stats *view, bool bare, double width,
                double height, bool dark);

/* Writes the drawing to a file whose name ends in .svg, .pdf or .png (in any case). Width and
 * height of 0 mean the default size, each at most DRAW_MAX_SIZE. The same view gives the same
 * bytes, on the same version of cairo with the same fonts. 0; -EINVAL: no such format, or a bad
 * size; -ENOMEM; or the -errno of writing, and then no half-written file is left. */
int draw_to_file(const char *path, const struct drawing *drawing, double width, double height,
                 bool dark);

/* A title and a sentence that say what the drawing shows, for SVG and for screen readers. */
void draw_describe(const struct drawing *drawing, char *title, unsigned title_size, char *text,
                   unsigned text_size);

/* DRAWING_TIMELINE of this size: which instruction is at `x`, from the first to the last recorded.
 */
uint64_t draw_timeline_at(const struct view_timeline *view, double width, double height, double x);
/* What it says of where the guest stands; who answers for the page. */
void draw_timeline_text(const struct view_timeline *view, char *text, size_t size);
void draw_layers_text(const struct view_layers *view, char *text, size_t size);
/* How a migration and a protection are, in a line. */
void draw_migration_text(const struct view_migration *view, char *text, size_t size);
void draw_protection_text(const struct view_protection *view, char *text, size_t size);

/* 1234567 as "1,234,567". */
void draw_number_text(uint64_t n, char *text, size_t size);
/* A number of bytes as drawings say it: "12 KiB", "14.6 MiB", "1 GiB". */
void draw_size_text(uint64_t bytes, char *text, size_t size);

#endif
