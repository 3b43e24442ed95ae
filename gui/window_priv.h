/* What window.c, window-build.c and window-actions.c share. */
#ifndef VITRINE_GUI_WINDOW_PRIV_H
#define VITRINE_GUI_WINDOW_PRIV_H

#include "gui/code-view.h"
#include "gui/console-view.h"
#include "gui/drawing-view.h"
#include "gui/exits-view.h"
#include "gui/geometry.h"
#include "gui/hosts-view.h"
#include "gui/layers-view.h"
#include "gui/list-view.h"
#include "gui/memory-view.h"
#include "gui/registers-view.h"
#include "gui/registers-x86.h"
#include "gui/snapshots-view.h"
#include "gui/time-view.h"
#include "gui/window.h"

enum { WINDOW_BACKS = 3 };

struct _VitrineWindow {
    GtkApplicationWindow parent;
    struct session *session; /* NULL: no guest */
    struct guest guest;      /* what the session runs */
    gboolean running;        /* as far as the window knows */
    int stop_queued;         /* atomic: a stop is on its way to the main loop */
    struct guard *guard; /* of the session; NULL: it was never to be protected */
    int asked_once;      /* enum hosts_ask, of what is asked for twice; -1: nothing */
    struct mover *mover; /* NULL: it is not being moved */
    gboolean company;    /* window_has_company() at the last tick */
    guint tick;
    gint64 refreshed;
    char *restored;         /* name of the snapshot that the guest went back to */
    uint64_t restored_stop; /* view_status.stops then */
    char time_text[128];    /* window_time_text() */
    struct geometry geometry;
    gboolean remember;
    double zoom;
    GtkCssProvider *zoom_css;

    VitrineCodeView *code;
    VitrineRegistersView *registers;
    VitrineRegistersX86 *registers_x86;
    VitrineSnapshotsView *snapshots;
    VitrineDrawingView *translation, *chart, *tables, *heat;
    VitrineExitsView *exits;
    VitrineConsoleView *console;
    VitrineMemoryView *memory;
    VitrineTimeView *time;
    VitrineLayersView *layers;
    VitrineHostsView *hosts;
    VitrineListView *tlb, *devices;

    GtkWidget *title, *subtitle, *state, *state_text, *counts;
    GtkWidget *bar, *bar_text, *body, *tabs, *registers_stack;
    GtkWidget *back[WINDOW_BACKS];   /* the buttons that lead into the past */
    GtkWidget *reason, *reason_text; /* why KVM has given the vCPU up */
    GtkWidget *tab_before;           /* that was in sight until then */
    GtkWidget *pane[GEOMETRY_PANES];
};

/* window-build.c */
void window_build(VitrineWindow *w);
void window_show_kind(VitrineWindow *w); /* the panes that this kind of guest has */

/* window-actions.c */
void window_add_actions(VitrineWindow *w);
void window_enable(VitrineWindow *w, const char *action, gboolean enabled);

/* window-time.c */
void window_add_time(VitrineWindow *w); /* connects the panes */
void window_step_back(VitrineWindow *w);
void window_back_exit(VitrineWindow *w);
void window_back_point(VitrineWindow *w);
void window_ask_instruction(VitrineWindow *w);
void window_ask_writer(VitrineWindow *w);
/* Actions, buttons and their tooltips, as the guest stands. */
void window_enable_time(VitrineWindow *w, const struct view_status *status);
/* What is to be said of where in time the guest stands, behind what is said of its stop. "" if it
 * stands where it always did. */
void window_time_text(VitrineWindow *w, char *text, size_t size);

/* window-hosts.c */
void window_add_hosts(VitrineWindow *w); /* connects the pane */
void window_ask_backup(VitrineWindow *w);
void window_ask_host(VitrineWindow *w);
/* Is there something to be seen of other hosts, though the guest may stand? */
gboolean window_has_company(VitrineWindow *w);
/* The session (NULL: there was none) goes, and what other hosts have to do with it ends, in order;
 * if the window closes, some time later. */
void window_leave_hosts(VitrineWindow *w, struct session *session, gboolean closes);

/* window.c */
void window_refresh(VitrineWindow *w);
void window_watch(VitrineWindow *w); /* starts the tick callback */
void window_say(VitrineWindow *w, GtkMessageType type, const char *text);
/* Replaces the guest, if the new one can be loaded. It is copied. */
gboolean window_start(VitrineWindow *w, const struct guest *guest);
/* The guest went back to the snapshot of this name. */
void window_restored(VitrineWindow *w, const char *name);
/* A command was sent: follows the guest, and watches it. */
void window_sent(VitrineWindow *w);
void window_set_zoom(VitrineWindow *w, double zoom);

#endif
