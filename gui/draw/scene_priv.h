/* What scene.c and paint.c share, and the test of the contrasts. */
#ifndef VITRINE_GUI_DRAW_SCENE_PRIV_H
#define VITRINE_GUI_DRAW_SCENE_PRIV_H

#include <stdint.h>

#include "gui/draw/scene.h"

#define PALETTE_NONE 0xff000000u

struct palette_row {
    uint32_t fill, border, text; /* 0xrrggbb, or PALETTE_NONE */
};

const struct palette_row *palette_row(enum scene_role role, bool dark);
uint32_t palette_canvas(bool dark);
void scene_set_font(cairo_t *cr, enum scene_font font, double size);

#endif
