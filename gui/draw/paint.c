/*
 * Painting a scene: the palette, light and dark, and one function for each kind of item.
 *
 * Every text colour keeps a contrast of 4.5:1 or more against what it stands on
 * (tests/gui/test-draw.c computes it).
 */
#include <math.h>

#include "gui/draw/scene_priv.h"

/* fill, border, text as 0xrrggbb; NONE: not painted. */
#define NONE PALETTE_NONE

static const struct palette_row palette[2][ROLE_NUMBER] = {
    {
        [ROLE_PLAIN] = {0xffffff, 0xb5bdc7, 0x1c2128},
        [ROLE_DIM] = {0xf1f3f6, 0xd5dae1, 0x566070},
        [ROLE_HEADER] = {0xe4e8ee, NONE, 0x2b323c},
        [ROLE_GHOST] = {NONE, 0xc3cad3, 0x5d6776},
        [ROLE_VPN1] = {0xdbe7fb, 0x3566b8, 0x1d478c},
        [ROLE_VPN0] = {0xd6f0ea, 0x14796a, 0x0d5c50},
        [ROLE_VPN2] = {0xfbe3ee, 0xb0396f, 0x86234f},
        [ROLE_VPN3] = {0xf6eccb, 0x8a6d0b, 0x614c00},
        [ROLE_VPN4] = {0xe2ecd0, 0x587a1e, 0x3f5a10},
        [ROLE_OFFSET] = {0xebe5f7, 0x7456ad, 0x553c88},
        [ROLE_SET] = {0x45505f, NONE, 0xffffff},
        [ROLE_CLEAR] = {NONE, 0xd0d6de, 0x5a6371},
        [ROLE_NEW] = {0xa85a00, NONE, 0xffffff},
        [ROLE_GOOD] = {0xe0f2e3, 0x2f7d40, 0x1b5a2a},
        [ROLE_WAIT] = {0xfdf0d5, 0xb57a10, 0x714a00},
        [ROLE_FAULT] = {0xfde5e3, 0xc22b22, 0x9c1f18},
        [ROLE_READ] = {0xe0f2e3, 0x2f7d40, 0x1b5a2a},
        [ROLE_WRITE] = {0xfdf0d5, 0xb57a10, 0x714a00},
        [ROLE_EXEC] = {0xdbe7fb, 0x3566b8, 0x1d478c},
        [ROLE_COUNT] = {0x3566b8, NONE, 0x1d478c},
        [ROLE_COST] = {0xc98a2b, NONE, 0x714a00},
        [ROLE_NEEDLE] = {NONE, 0xa85a00, 0x8a4700},
        [ROLE_ALONE] = {0x2f8f5b, NONE, 0xffffff},
        [ROLE_SERIES + 0] = {0xaab4c1, NONE, 0x1c2128}, /* greys */
        [ROLE_SERIES + 1] = {0x77828f, NONE, 0x1c2128},
        [ROLE_SERIES + 2] = {0x48515d, NONE, 0xffffff},
        [ROLE_SERIES + 3] = {0xf2bd5c, NONE, 0x1c2128}, /* ambers */
        [ROLE_SERIES + 4] = {0xd08a1e, NONE, 0x1c2128},
        [ROLE_SERIES + 5] = {0x8c5600, NONE, 0xffffff},
        [ROLE_SERIES + 6] = {0x86b4f5, NONE, 0x1c2128}, /* blues */
        [ROLE_SERIES + 7] = {0x3b74cc, NONE, 0xffffff},
        [ROLE_SERIES + 8] = {0x1b3c80, NONE, 0xffffff},
        [ROLE_HEAT + 0] = {0xe9edf2, NONE, 0x1c2128}, /* lightness falls from step to step */
        [ROLE_HEAT + 1] = {0xfbe0ae, NONE, 0x1c2128},
        [ROLE_HEAT + 2] = {0xf7c673, NONE, 0x1c2128},
        [ROLE_HEAT + 3] = {0xefa640, NONE, 0x1c2128},
        [ROLE_HEAT + 4] = {0xde841f, NONE, 0x1c2128},
        [ROLE_HEAT + 5] = {0xc2620f, NONE, 0xffffff},
        [ROLE_HEAT + 6] = {0x9e420c, NONE, 0xffffff},
        [ROLE_HEAT + 7] = {0x76290c, NONE, 0xffffff},
        [ROLE_HEAT + 8] = {0x4c1307, NONE, 0xffffff},
    },
    {
        [ROLE_PLAIN] = {0x262b33, 0x4a5361, 0xe8ebf0},
        [ROLE_DIM] = {0x20242b, 0x363d48, 0xa3adbb},
        [ROLE_HEADER] = {0x343b46, NONE, 0xe8ebf0},
        [ROLE_GHOST] = {NONE, 0x454e5b, 0x949fae},
        [ROLE_VPN1] = {0x1d3154, 0x6f9fee, 0xa9c7fb},
        [ROLE_VPN0] = {0x143c36, 0x4dbfab, 0x86e0d0},
        [ROLE_VPN2] = {0x4a1c33, 0xe27aa9, 0xf7b3d0},
        [ROLE_VPN3] = {0x3d330c, 0xcfb04a, 0xecd588},
        [ROLE_VPN4] = {0x2b3a12, 0x9cc25a, 0xc6e292},
        [ROLE_OFFSET] = {0x332850, 0xa98be0, 0xcbb8f2},
        [ROLE_SET] = {0xaab4c2, NONE, 0x14171c},
        [ROLE_CLEAR] = {NONE, 0x414a57, 0x9aa5b4},
        [ROLE_NEW] = {0xf0a63c, NONE, 0x1c1203},
        [ROLE_GOOD] = {0x18381f, 0x5cb870, 0x9be0a9},
        [ROLE_WAIT] = {0x40300d, 0xd9a33a, 0xf3cd83},
        [ROLE_FAULT] = {0x4a1d1b, 0xf0685f, 0xffaaa3},
        [ROLE_READ] = {0x18381f, 0x5cb870, 0x9be0a9},
        [ROLE_WRITE] = {0x40300d, 0xd9a33a, 0xf3cd83},
        [ROLE_EXEC] = {0x1d3154, 0x6f9fee, 0xa9c7fb},
        [ROLE_COUNT] = {0x6f9fee, NONE, 0xa9c7fb},
        [ROLE_COST] = {0xd9a33a, NONE, 0xf3cd83},
        [ROLE_NEEDLE] = {NONE, 0xf0a63c, 0xf3cd83},
        [ROLE_ALONE] = {0x58c48a, NONE, 0x14171c},
        [ROLE_SERIES + 0] = {0xcbd3dd, NONE, 0x14171c},
        [ROLE_SERIES + 1] = {0x939eac, NONE, 0x14171c},
        [ROLE_SERIES + 2] = {0x646f7d, NONE, 0xffffff},
        [ROLE_SERIES + 3] = {0xffd88f, NONE, 0x14171c},
        [ROLE_SERIES + 4] = {0xe3a23a, NONE, 0x14171c},
        [ROLE_SERIES + 5] = {0xa87016, NONE, 0x14171c},
        [ROLE_SERIES + 6] = {0xb8d4fc, NONE, 0x14171c},
        [ROLE_SERIES + 7] = {0x6f9fee, NONE, 0x14171c},
        [ROLE_SERIES + 8] = {0x4170c8, NONE, 0xffffff},
        [ROLE_HEAT + 0] = {0x262b33, NONE, 0xe8ebf0}, /* ... and here it rises */
        [ROLE_HEAT + 1] = {0x4a2c12, NONE, 0xe8ebf0},
        [ROLE_HEAT + 2] = {0x6d3a0e, NONE, 0xe8ebf0},
        [ROLE_HEAT + 3] = {0x924c0c, NONE, 0xffffff},
        [ROLE_HEAT + 4] = {0xb8650f, NONE, 0x14171c},
        [ROLE_HEAT + 5] = {0xdb8326, NONE, 0x14171c},
        [ROLE_HEAT + 6] = {0xf2a852, NONE, 0x14171c},
        [ROLE_HEAT + 7] = {0xfbcd8d, NONE, 0x14171c},
        [ROLE_HEAT + 8] = {0xfff3d2, NONE, 0x14171c},
    },
};

const struct palette_row *palette_row(enum scene_role role, bool dark)
{
    return &palette[dark][role];
}

uint32_t palette_canvas(bool dark)
{
    return dark ? 0x1b1e24 : 0xfafbfc;
}

static void set_colour(cairo_t *cr, uint32_t rgb)
{
    cairo_set_source_rgb(cr, (rgb >> 16 & 0xff) / 255., (rgb >> 8 & 0xff) / 255.,
                         (rgb & 0xff) / 255.);
}

static void rounded_rectangle(cairo_t *cr, double x, double y, double w, double h, double r)
{
    r = fmin(r, fmin(w, h) / 2);
    cairo_new_sub_path(cr);
    cairo_arc(cr, x + w - r, y + r, r, -M_PI / 2, 0);
    cairo_arc(cr, x + w - r, y + h - r, r, 0, M_PI / 2);
    cairo_arc(cr, x + r, y + h - r, r, M_PI / 2, M_PI);
    cairo_arc(cr, x + r, y + r, r, M_PI, 3 * M_PI / 2);
    cairo_close_path(cr);
}

static double line_width(const struct scene *s)
{
    return fmax(1, s->em / 12);
}

static void set_dashes(const struct scene *s, cairo_t *cr, bool dashed)
{
    double dash[] = {s->em * .3, s->em * .25};
    cairo_set_dash(cr, dash, dashed ? 2 : 0, 0);
}

static void paint_box(const struct scene *s, cairo_t *cr, const struct scene_item *item, bool dark)
{
    const struct palette_row *row = palette_row(item->role, dark);
    double half = line_width(s) / 2;
    if (row->border == PALETTE_NONE && item->radius == 0)
        half = .25; /* a hair between bars that lie close */
    if (item->w < 2 * half || item->h < 2 * half)
        half = 0;
    rounded_rectangle(cr, item->x + half, item->y + half, item->w - 2 * half, item->h - 2 * half,
                      item->radius);
    if (row->fill != NONE && !item->dashed) {
        set_colour(cr, row->fill);
        cairo_fill_preserve(cr);
    }
    if (row->border != NONE) {
        set_colour(cr, row->border);
        cairo_set_line_width(cr, line_width(s));
        set_dashes(s, cr, item->dashed);
        cairo_stroke_preserve(cr);
    }
    cairo_new_path(cr);
}

static void paint_label(cairo_t *cr, const struct scene_item *item, bool dark)
{
    cairo_font_extents_t extents;
    scene_set_font(cr, item->font, item->size);
    cairo_font_extents(cr, &extents);
    double y = item->y + (item->h - extents.ascent - extents.descent) / 2 + extents.ascent;
    if (item->halo) {
        set_colour(cr, palette_canvas(dark));
        cairo_rectangle(cr, item->x - item->size * .2, item->y, item->w + item->size * .4, item->h);
        cairo_fill(cr);
    }
    set_colour(cr, palette_row(item->role, dark)->text);
    cairo_move_to(cr, item->x, y);
    cairo_show_text(cr, item->text);
}

static void paint_head(cairo_t *cr, double size, double x0, double y0, double x, double y)
{
    double angle = atan2(y - y0, x - x0);
    cairo_move_to(cr, x, y);
    cairo_line_to(cr, x - size * cos(angle - .45), y - size * sin(angle - .45));
    cairo_line_to(cr, x - size * cos(angle + .45), y - size * sin(angle + .45));
    cairo_close_path(cr);
    cairo_fill(cr);
}

static void paint_equals(const struct scene *s, cairo_t *cr, const struct scene_item *item)
{
    double gap = line_width(s) * 1.8;
    for (int side = -1; side <= 1; side += 2) {
        cairo_move_to(cr, item->px[0], item->py[0] + side * gap);
        cairo_line_to(cr, item->px[1], item->py[1] + side * gap);
    }
    cairo_stroke(cr);
}

static void paint_arrow(const struct scene *s, cairo_t *cr, const struct scene_item *item,
                        bool dark)
{
    const struct palette_row *row = palette_row(item->role, dark);
    double head = s->em * .6;
    int last = item->points - 1;
    set_colour(cr, row->border != NONE ? row->border : row->text);
    cairo_set_line_width(cr, line_width(s) * 1.4);
    set_dashes(s, cr, item->dashed);
    if (item->equals) {
        paint_equals(s, cr, item);
        return;
    }
    if (item->plain) {
        cairo_set_line_width(cr, line_width(s));
        cairo_move_to(cr, item->px[0], item->py[0]);
        cairo_line_to(cr, item->px[last], item->py[last]);
        cairo_stroke(cr);
        return;
    }
    double x0 = item->px[last - 1], y0 = item->py[last - 1], x = item->px[last], y = item->py[last];
    double length = hypot(x - x0, y - y0);
    double part = length > head ? 1 - head * .8 / length : .5;
    cairo_move_to(cr, item->px[0], item->py[0]);
    for (int i = 1; i < last; i++)
        cairo_line_to(cr, item->px[i], item->py[i]);
    cairo_line_to(cr, x0 + (x - x0) * part, y0 + (y - y0) * part);
    cairo_stroke(cr);
    set_dashes(s, cr, false);
    paint_head(cr, head, x0, y0, x, y);
}

void scene_paint(const struct scene *s, cairo_t *cr, bool dark)
{
    cairo_save(cr);
    cairo_scale(cr, s->scale, s->scale);
    set_colour(cr, palette_canvas(dark));
    cairo_rectangle(cr, 0, 0, s->width, s->height);
    cairo_fill(cr);
    for (int i = 0; i < s->count; i++) {
        const struct scene_item *item = &s->items[i];
        switch (item->kind) {
        case SCENE_BOX: paint_box(s, cr, item, dark); break;
        case SCENE_LABEL: paint_label(cr, item, dark); break;
        case SCENE_ARROW: paint_arrow(s, cr, item, dark); break;
        }
    }
    cairo_restore(cr);
}
