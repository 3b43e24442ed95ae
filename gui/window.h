/* The window: one guest, its session, and the panes that show it. */
#ifndef VITRINE_GUI_WINDOW_H
#define VITRINE_GUI_WINDOW_H

#include <gtk/gtk.h>

#include "gui/guests.h"

#define VITRINE_TYPE_WINDOW (vitrine_window_get_type())
G_DECLARE_FINAL_TYPE(VitrineWindow, vitrine_window, VITRINE, WINDOW, GtkApplicationWindow)

/* What the command line asked for. Strings are copied. */
struct window_options {
    struct guest guest; /* without an image: the demo guest, if it is found, or the firmware's */
    gboolean dark;
    int width, height;       /* 0: as it was last time */
    const char *console_log; /* a copy of the console's text goes there; NULL: nowhere */
};

/* NULL and `why` set if the host lacks what the window needs (a pseudo-terminal). A guest that
 * cannot be loaded is no such case: the window says so. */
GtkWidget *vitrine_window_new(GtkApplication *app, const struct window_options *options,
                              GError **why);

#endif
