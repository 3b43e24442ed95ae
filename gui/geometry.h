/* The window's size and the places of its dividers, kept from one time to the next. */
#ifndef VITRINE_GUI_GEOMETRY_H
#define VITRINE_GUI_GEOMETRY_H

#include <gtk/gtk.h>

enum { GEOMETRY_PANES = 4 };

struct geometry {
    int width, height;
    gboolean maximized;
    int pane[GEOMETRY_PANES]; /* positions; 0: not known */
};

/* Defaults where nothing, or nothing sensible, is stored. Never fails. */
void geometry_load(struct geometry *geometry);
/* In the user's state folder; says nothing if that cannot be written. */
void geometry_save(const struct geometry *geometry);

#endif
