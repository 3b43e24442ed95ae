/*
 * A scene: what a drawing consists of, before it has any pixels.
 *
 * Boxes, labels and arrows with their places, in the order of painting. Coordinates are pixels from
 * the top left. A label belongs to a box (or to the canvas, -1) and lies inside it; boxes of the
 * same parent do not overlap. The layout functions keep these promises and the tests check them.
 *
 * Text is measured with cairo's own fonts, so a scene fits on every surface that it is painted on.
 */
#ifndef VITRINE_GUI_DRAW_SCENE_H
#define VITRINE_GUI_DRAW_SCENE_H

#include <cairo.h>
#include <stdbool.h>

#include "gui/draw/draw.h"

enum { SCENE_CANVAS = -1, SCENE_NOWHERE = -2, SCENE_TEXT = 128, SCENE_ID = 40, SCENE_POINTS = 4 };

enum { SCENE_HEAT_STEPS = 9 };

enum scene_kind { SCENE_BOX, SCENE_LABEL, SCENE_ARROW };

/* What a thing means; the palette says which colours that is. */
enum scene_role {
    ROLE_PLAIN,  /* ordinary */
    ROLE_DIM,    /* secondary */
    ROLE_HEADER, /* head of a table */
    ROLE_GHOST,  /* a place that is not reached */
    ROLE_VPN1,   /* belongs to the first index */
    ROLE_VPN0,   /* belongs to the second index */
    ROLE_VPN2,   /* x86: the third, fourth and fifth, counted from the pages up */
    ROLE_VPN3,
    ROLE_VPN4,
    ROLE_OFFSET, /* belongs to the offset */
    ROLE_SET,    /* a permission bit that is set */
    ROLE_CLEAR,  /* one that is not */
    ROLE_NEW,    /* filled, or a bit that this walk sets */
    ROLE_GOOD,   /* the result */
    ROLE_WAIT,   /* not there yet, no error */
    ROLE_FAULT,  /* refused */
    ROLE_READ,
    ROLE_WRITE,
    ROLE_EXEC,   /* regions, by the most that they allow */
    ROLE_NEEDLE, /* "here", across everything */
    ROLE_ALONE,  /* the bars of a series with a hue of its own */
    ROLE_COUNT,
    ROLE_COST,   /* bars */
    ROLE_SERIES, /* nine: three hues with three shades each */
    ROLE_SERIES_LAST = ROLE_SERIES + 8,
    ROLE_HEAT, /* nine, from cold to hot */
    ROLE_HEAT_LAST = ROLE_HEAT + SCENE_HEAT_STEPS - 1,
    ROLE_NUMBER,
};

enum scene_font { FONT_TEXT, FONT_BOLD, FONT_MONO, FONT_MONO_BOLD, FONT_NUMBER };

enum scene_align { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT };

struct scene_item {
    enum scene_kind kind;
    enum scene_role role;
    char id[SCENE_ID]; /* "guest.1.entry"; "" for decoration */
    int parent;        /* index of the box around it, SCENE_CANVAS if none */
    double x, y, w, h;

    char text[SCENE_TEXT]; /* label */
    enum scene_font font;
    double size;
    bool elided; /* the text did not fit and ends in an ellipsis */
    bool halo;   /* what is behind the text is wiped out around it */

    bool dashed; /* box, arrow */
    double radius;
    int points; /* arrow: from px[0] to px[points - 1] */
    double px[SCENE_POINTS], py[SCENE_POINTS];
    bool equals; /* arrow: two lines and no head, "is the same as" */
    bool plain;  /* arrow: a line and no head */
};

struct scene {
    double width, height;
    double em;    /* the body's font size: everything else is a multiple */
    double scale; /* painted at this factor, 1 unless the size asked for is below the minimum */
    int count, room;
    struct scene_item *items;
    struct scene_item nowhere; /* what did not fit into memory goes here and is not painted */
    cairo_t *measure;
    char name[SCENE_ID]; /* scene_name()'s answer */
};

/* An empty scene; `columns` and `rows` say how many em the layout needs at least, which makes em.
 */
void scene_init(struct scene *scene, double width, double height, double columns, double rows);
/* The same for a drawing that is not laid out for DRAW_MIN_WIDTH x DRAW_MIN_HEIGHT as the least. */
void scene_init_least(struct scene *scene, double width, double height, double least_width,
                      double least_height, double columns, double rows);
void scene_free(struct scene *scene);

/* "guest.1" and "pte" make "guest.1.pte"; good until the next call. */
const char *scene_name(struct scene *scene, const char *id, const char *part);

/* Each returns the index of the new item, for `parent` and for scene_at(); SCENE_NOWHERE, which is
 * good for both, when memory is lacking. */
int scene_box(struct scene *scene, int parent, enum scene_role role, double x, double y, double w,
              double h, const char *id);
/* One line in the rectangle, vertically in its middle. What is too wide is set smaller, down to
 * four fifths; then it ends in an ellipsis. */
int scene_label(struct scene *scene, int parent, enum scene_role role, enum scene_font font,
                double size, enum scene_align align, double x, double y, double w, double h,
                const char *id, const char *format, ...) __attribute__((format(printf, 12, 13)));
/* Words broken into at most `lines` lines from the top of the rectangle on. Returns lines used. */
int scene_paragraph(struct scene *scene, int parent, enum scene_role role, double size,
                    enum scene_align align, double x, double y, double w, int lines, const char *id,
                    const char *text);
int scene_arrow(struct scene *scene, enum scene_role role, int points, const double *px,
                const double *py, const char *id);

struct scene_item *scene_at(struct scene *scene, int index);
const struct scene_item *scene_find(const struct scene *scene,
                                    const char *id); /* NULL: not there */
double scene_text_width(struct scene *scene, enum scene_font font, double size, const char *text);

void scene_paint(const struct scene *scene, cairo_t *cr, bool dark);

/* The layouts. A translation of an x86 guest is laid out by walk-x86.c. */
void scene_translation(struct scene *scene, const struct view_translation *view, double width,
                       double height);
void scene_tables(struct scene *scene, const struct view_table *const tables[3], double width,
                  double height);
/* `by_time`: where exits have a time, sort and draw by it instead of by their number. */
void scene_exits(struct scene *scene, const struct view_exit_stats *view, bool bare, bool by_time,
                 double width, double height);
void scene_heat(struct scene *scene, const struct view_dirty *view, double width, double height);
/* These get along with less height than the others. `bare`: exits are traps. */
enum {
    TIMELINE_MIN_HEIGHT = 140,
    LAYERS_MIN_HEIGHT = 180,
    MIGRATION_MIN_HEIGHT = 160,
    PROTECTION_MIN_HEIGHT = 180,
};
void scene_migration(struct scene *scene, const struct view_migration *view, double width,
                     double height);
void scene_protection(struct scene *scene, const struct view_protection *view, double width,
                      double height);
void scene_timeline(struct scene *scene, const struct view_timeline *view, bool bare, double width,
                    double height);
/* `caption`: a line about why this page; NULL: none. */
void scene_layers(struct scene *scene, const struct view_layers *view, const char *caption,
                  double width, double height);
/* Needs more room than the others: below CHART_MIN_WIDTH x CHART_MIN_HEIGHT it is scaled down. */
enum { CHART_MIN_WIDTH = 960, CHART_MIN_HEIGHT = 540 };
void scene_chart(struct scene *scene, const struct speed_chart *chart, double width, double height);

#endif
