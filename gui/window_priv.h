/* What window.c, window-build.c and window-actions.c share. */
#ifndef VITRINE_GUI_WINDOW_PRIV_H
#define VITRINE_GUI_WINDOW_PRIV_H

#include "gui/code-view.h"
#include "gui/console-view.h"
#include "gui/drawing-view.h"
#include "gui/exits-view.h"
#include "gui/geometry.h"
#include "gui/list-view.h"
#include "gui/memory-view.h"
#include "gui/registers-view.h"
#include "gui/window.h"

struct _VitrineWindow {
    GtkApplicationWindow parent;
    struct session *session; /* NULL: no guest */
    char *guest, *disk;
    gboolean bare, disk_readonly;
    uint64_t memory_size;
    gboolean running; /* as far as the window knows */
    int stop_queued;  /* atomic: a stop is on its way to the main loop */
    guint tick;
    gint64 refreshed;
    struct geometry geometry;
    gboolean remember;
    double zoom;
    GtkCssProvider *zoom_css;

    VitrineCodeView *code;
    VitrineRegistersView *registers;
    VitrineDrawingView *translation, *chart, *tables;
    VitrineExitsView *exits;
    VitrineConsoleView *console;
    VitrineMemoryView *memory;
    VitrineListView *tlb, *devices;

    GtkWidget *title, *subtitle, *state, *state_text, *counts;
    GtkWidget *bar, *bar_text, *body, *tabs;
    GtkWidget *pane[GEOMETRY_PANES];
};

/* window-build.c */
void window_build(VitrineWindow *w);

/* window-actions.c */
void window_add_actions(VitrineWindow *w, gboolean bare);
void window_enable(VitrineWindow *w, const char *action, gboolean enabled);

/* window.c */
void window_refresh(VitrineWindow *w);
void window_watch(VitrineWindow *w); /* starts the tick callback */
void window_say(VitrineWindow *w, GtkMessageType type, const char *text);
/* Replaces the guest, if the new one can be loaded. */
gboolean window_start(VitrineWindow *w, const char *guest, const char *disk, gboolean bare);
void window_set_zoom(VitrineWindow *w, double zoom);

#endif
