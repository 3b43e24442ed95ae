/*
 * The run as a ruler, drawn by gui/draw/timeline.c. One goes elsewhere by a click, by dragging, by
 * the keys of a slider, or by the number of an instruction.
 *
 * Going somewhere takes the session some milliseconds, and the pointer moves faster. So there is at
 * most one command under way; what is wanted meanwhile replaces what was wanted before, and is
 * asked for when the guest stands again. The handle is drawn where it is wanted all the time.
 */
#include "gui/time-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/drawing-view.h"
#include "gui/rows.h"

enum { LEAST_HEIGHT = 100, FINE = 100, COARSE = 10 }; /* parts of the run that a key moves by */

struct _VitrineTimeView {
    GtkBox parent;
    GtkWidget *ruler, *entry;
    struct session *session;
    struct view_timeline *run;
    gboolean bare, running;
    gboolean waiting; /* `wanted` is to be asked for when the guest stands */
    gboolean moving;  /* it was asked for, and the guest does not stand yet */
    uint64_t wanted;
};

G_DEFINE_FINAL_TYPE(VitrineTimeView, vitrine_time_view, GTK_TYPE_BOX)

enum { GOTO, PAUSE, SIGNALS };
static guint signals[SIGNALS];

/* ---- drawing ------------------------------------------------------------------------------ */

static struct drawing drawing_of(VitrineTimeView *view)
{
    return (struct drawing){.kind = DRAWING_TIMELINE, .timeline = view->run, .bare = view->bare};
}

static void draw(GtkDrawingArea *area, cairo_t *cr, int width, int height, gpointer data)
{
    VitrineTimeView *view = data;
    struct drawing drawing = drawing_of(view);
    draw_paint(cr, &drawing, width, height, vitrine_is_dark(GTK_WIDGET(area)));
}

int vitrine_time_view_export(VitrineTimeView *view, const char *path)
{
    struct drawing drawing = drawing_of(view);
    return vitrine_drawing_export(view->ruler, &drawing, path);
}

/* It is a slider, whose value is a number of instructions. */
static void describe(VitrineTimeView *view)
{
    char text[160];
    const struct view_timeline *run = view->run;
    draw_timeline_text(run, text, sizeof text);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->ruler), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION,
                                   text, GTK_ACCESSIBLE_PROPERTY_VALUE_MIN,
                                   (double)run->history.first, GTK_ACCESSIBLE_PROPERTY_VALUE_MAX,
                                   (double)MAX(run->history.end, run->here),
                                   GTK_ACCESSIBLE_PROPERTY_VALUE_NOW, (double)run->here,
                                   GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT, text, -1);
}

/* The handle is where it is wanted, not where the guest still is. */
static void show(VitrineTimeView *view)
{
    if (view->waiting || view->moving) {
        view->run->here = view->wanted;
        view->run->history.in_past = view->wanted < view->run->history.end;
    }
    describe(view);
    gtk_widget_queue_draw(view->ruler);
}

/* ---- going elsewhere ---------------------------------------------------------------------- */

static void ask(VitrineTimeView *view)
{
    if (view->moving)
        return;
    if (view->running) {
        g_signal_emit(view, signals[PAUSE], 0);
        return;
    }
    view->waiting = FALSE;
    view->moving = TRUE;
    g_signal_emit(view, signals[GOTO], 0, view->wanted);
}

static void want(VitrineTimeView *view, uint64_t instruction)
{
    const struct view_history *h = &view->run->history;
    if (!view->session || !h->present)
        return;
    view->wanted = MAX(instruction, h->first);
    view->waiting = TRUE;
    show(view);
    ask(view);
}

static void want_at(VitrineTimeView *view, double x)
{
    want(view, draw_timeline_at(view->run, gtk_widget_get_width(view->ruler),
                                gtk_widget_get_height(view->ruler), x));
}

static void on_drag_begin(GtkGestureDrag *drag, double x, double y, VitrineTimeView *view)
{
    gtk_widget_grab_focus(view->ruler);
    want_at(view, x);
}

static void on_drag(GtkGestureDrag *drag, double dx, double dy, VitrineTimeView *view)
{
    double x, y;
    if (gtk_gesture_drag_get_start_point(drag, &x, &y))
        want_at(view, x + dx);
}

/* Where a key leads; FALSE: it is none of a slider's. */
static gboolean place_of_key(VitrineTimeView *view, guint key, GdkModifierType state, uint64_t *at)
{
    const struct view_history *h = &view->run->history;
    uint64_t here = view->run->here, end = MAX(h->end, here), span = end - h->first;
    uint64_t fine = state & GDK_CONTROL_MASK ? 1 : MAX(span / FINE, 1);
    uint64_t coarse = MAX(span / COARSE, 1), by;
    switch (key) {
    case GDK_KEY_Left:
    case GDK_KEY_Down: by = fine; break;
    case GDK_KEY_Right:
    case GDK_KEY_Up: *at = end - here > fine ? here + fine : end; return TRUE;
    case GDK_KEY_Page_Down: by = coarse; break;
    case GDK_KEY_Page_Up: *at = end - here > coarse ? here + coarse : end; return TRUE;
    case GDK_KEY_Home: *at = h->first; return TRUE;
    case GDK_KEY_End: *at = end; return TRUE;
    default: return FALSE;
    }
    *at = here - h->first > by ? here - by : h->first;
    return TRUE;
}

static gboolean on_key(GtkEventControllerKey *controller, guint key, guint code,
                       GdkModifierType state, VitrineTimeView *view)
{
    uint64_t at;
    if (!view->run->history.present || !place_of_key(view, key, state, &at))
        return FALSE;
    want(view, at);
    return TRUE;
}

/* Decimal, as everything that counts instructions; commas do not matter. */
static gboolean parse(const char *text, uint64_t *instruction)
{
    char *end, *digits = g_strdup(text);
    char *to = digits;
    for (const char *from = digits; *from; from++)
        if (*from != ',' && *from != ' ')
            *to++ = *from;
    *to = 0;
    *instruction = g_ascii_strtoull(digits, &end, 10);
    gboolean ok = g_ascii_isdigit(*digits) && !*end;
    g_free(digits);
    return ok;
}

static void on_entry(GtkEntry *entry, VitrineTimeView *view)
{
    uint64_t instruction;
    gboolean ok = parse(gtk_editable_get_text(GTK_EDITABLE(entry)), &instruction);
    (ok ? gtk_widget_remove_css_class : gtk_widget_add_css_class)(GTK_WIDGET(entry), "error");
    if (ok)
        want(view, instruction);
}

void vitrine_time_view_focus(VitrineTimeView *view)
{
    gtk_widget_grab_focus(view->entry);
    gtk_editable_select_region(GTK_EDITABLE(view->entry), 0, -1);
}

/* ---- keeping up --------------------------------------------------------------------------- */

void vitrine_time_view_refresh(VitrineTimeView *view)
{
    struct view_status status;
    if (!view->session)
        return;
    session_status(view->session, &status);
    view->running = status.state == SESSION_RUNNING;
    if (!view->running)
        view->moving = FALSE;
    if (view->waiting && !view->running)
        ask(view);
    if (!gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    view->bare = !status.under_monitor;
    session_view_timeline(view->session, view->run);
    gtk_widget_set_sensitive(view->entry, view->run->history.present);
    show(view);
}

void vitrine_time_view_set_session(VitrineTimeView *view, struct session *session)
{
    view->session = session;
    view->waiting = view->moving = FALSE;
    memset(view->run, 0, sizeof *view->run);
    vitrine_time_view_refresh(view);
}

/* ---- the object --------------------------------------------------------------------------- */

static GtkWidget *build_strip(VitrineTimeView *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *label = gtk_label_new("Go to instruction");
    GtkWidget *keys =
        gtk_label_new("drag, click, or use the arrow keys (with Ctrl: one instruction)");
    gtk_widget_add_css_class(strip, "strip");
    gtk_box_append(GTK_BOX(strip), label);
    view->entry = gtk_entry_new();
    gtk_editable_set_width_chars(GTK_EDITABLE(view->entry), 13);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Go to instruction", -1);
    g_signal_connect(view->entry, "activate", G_CALLBACK(on_entry), view);
    gtk_box_append(GTK_BOX(strip), view->entry);
    gtk_widget_add_css_class(keys, "dim-label");
    gtk_label_set_ellipsize(GTK_LABEL(keys), PANGO_ELLIPSIZE_END);
    gtk_widget_set_hexpand(keys, TRUE);
    gtk_label_set_xalign(GTK_LABEL(keys), 1);
    gtk_box_append(GTK_BOX(strip), keys);
    return strip;
}

static void add_controllers(VitrineTimeView *view)
{
    GtkGesture *drag = gtk_gesture_drag_new();
    g_signal_connect(drag, "drag-begin", G_CALLBACK(on_drag_begin), view);
    g_signal_connect(drag, "drag-update", G_CALLBACK(on_drag), view);
    gtk_widget_add_controller(view->ruler, GTK_EVENT_CONTROLLER(drag));
    GtkEventController *key = gtk_event_controller_key_new();
    g_signal_connect(key, "key-pressed", G_CALLBACK(on_key), view);
    gtk_widget_add_controller(view->ruler, key);
}

static void finalize(GObject *object)
{
    g_free(VITRINE_TIME_VIEW(object)->run);
    G_OBJECT_CLASS(vitrine_time_view_parent_class)->finalize(object);
}

static void vitrine_time_view_class_init(VitrineTimeViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
    signals[GOTO] = g_signal_new("goto", VITRINE_TYPE_TIME_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_UINT64);
    signals[PAUSE] = g_signal_new("pause", VITRINE_TYPE_TIME_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 0);
}

static void vitrine_time_view_init(VitrineTimeView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->run = g_new0(struct view_timeline, 1);
    gtk_box_append(GTK_BOX(view), build_strip(view));
    view->ruler = g_object_new(GTK_TYPE_DRAWING_AREA, "accessible-role", GTK_ACCESSIBLE_ROLE_SLIDER,
                               "focusable", TRUE, NULL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->ruler), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Time", -1);
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(view->ruler), draw, view, NULL);
    gtk_widget_set_hexpand(view->ruler, TRUE);
    gtk_widget_set_vexpand(view->ruler, TRUE);
    gtk_widget_set_size_request(view->ruler, 200, LEAST_HEIGHT);
    gtk_widget_add_css_class(view->ruler, "ruler");
    add_controllers(view);
    gtk_box_append(GTK_BOX(view), view->ruler);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_time_view_refresh), NULL);
}

GtkWidget *vitrine_time_view_new(void)
{
    return g_object_new(VITRINE_TYPE_TIME_VIEW, NULL);
}
