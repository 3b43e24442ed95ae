/* What the layouts share beside scene.h: colours, for paint.c and the test of the contrasts;
 * permissions. */
#ifndef VITRINE_GUI_DRAW_SCENE_PRIV_H
#define VITRINE_GUI_DRAW_SCENE_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "gui/draw/scene.h"

#define PALETTE_NONE 0xff000000u

struct palette_row {
    uint32_t fill, border, text; /* 0xrrggbb, or PALETTE_NONE */
};

const struct palette_row *palette_row(enum scene_role role, bool dark);
uint32_t palette_canvas(bool dark);
/* Permissions in views: bits of a PTE, privileged specification section 4.3.1. */
enum { SCENE_R = 1 << 1, SCENE_W = 1 << 2, SCENE_X = 1 << 3, SCENE_U = 1 << 4 };

/* Of an x86 guest: scene_translation() comes here by itself. */
void scene_walk_x86(struct scene *scene, const struct view_translation *view, double width,
                    double height);

void scene_set_font(cairo_t *cr, enum scene_font font, double size);

#endif
