/*
 * A drawing in the window. What is drawn comes from gui/draw/; here is only what belongs to the
 * window: asking the session, the address entry, and a description for screen readers.
 */
#include "gui/drawing-view.h"

#include <inttypes.h>

#include "gui/lookup.h"
#include "gui/rows.h"

struct _VitrineDrawingView {
    GtkBox parent;
    enum drawing_kind kind;
    struct session *session;
    GtkWidget *area, *entry, *follow, *access[3];
    gboolean updating;
    uint64_t va;
    char letter;
    gboolean bare;
    struct view_translation translation;
    struct view_table *table; /* three */
    struct view_exit_stats exits;
    GtkWidget *strip, *by_time; /* DRAWING_EXITS: a choice, where exits have a time */
    struct view_dirty *dirty;
    gint64 dirty_taken;
    uint64_t dirty_stop; /* view_status.stops at that time */
};

G_DEFINE_FINAL_TYPE(VitrineDrawingView, vitrine_drawing_view, GTK_TYPE_BOX)

static const char letters[] = "rwx";

enum { DIRTY_MICROSECONDS = 200000 }; /* the least that an interval of the heat map takes */

static struct drawing drawing_of(VitrineDrawingView *view)
{
    gboolean by_time =
        view->by_time && gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(view->by_time));
    return (struct drawing){
        .kind = view->kind,
        .translation = &view->translation,
        .tables = {&view->table[0], &view->table[1], &view->table[2]},
        .exits = &view->exits,
        .bare = view->bare,
        .by_time = by_time,
        .dirty = view->dirty,
    };
}

static void draw(GtkDrawingArea *area, cairo_t *cr, int width, int height, gpointer data)
{
    VitrineDrawingView *view = data;
    struct drawing drawing = drawing_of(view);
    if (view->session)
        draw_paint(cr, &drawing, width, height, vitrine_is_dark(GTK_WIDGET(area)));
}

void vitrine_drawing_describe(GtkWidget *area, const struct drawing *drawing)
{
    char title[160], text[320];
    draw_describe(drawing, title, sizeof title, text, sizeof text);
    gtk_accessible_update_property(GTK_ACCESSIBLE(area), GTK_ACCESSIBLE_PROPERTY_LABEL, title,
                                   GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text, -1);
}

int vitrine_drawing_export(GtkWidget *area, const struct drawing *drawing, const char *path)
{
    return draw_to_file(path, drawing, gtk_widget_get_width(area), gtk_widget_get_height(area),
                        vitrine_is_dark(area));
}

int vitrine_drawing_view_export(VitrineDrawingView *view, const char *path)
{
    struct drawing drawing = drawing_of(view);
    return vitrine_drawing_export(view->area, &drawing, path);
}

/* ---- what to draw ------------------------------------------------------------------------- */

static gboolean follows(VitrineDrawingView *view)
{
    return gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(view->follow));
}

/* Entry and buttons say what is drawn. */
static void show_choice(VitrineDrawingView *view)
{
    char text[24];
    g_snprintf(text, sizeof text, "0x%08" PRIx64, view->va);
    view->updating = TRUE;
    if (!(gtk_widget_get_state_flags(view->entry) & GTK_STATE_FLAG_FOCUS_WITHIN))
        gtk_editable_set_text(GTK_EDITABLE(view->entry), text);
    for (int i = 0; i < 3; i++)
        if (letters[i] == view->letter)
            gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->access[i]), TRUE);
    view->updating = FALSE;
}

static void take_translation(VitrineDrawingView *view)
{
    if (follows(view)) {
        session_last_access(view->session, &view->va, &view->letter);
        show_choice(view);
    }
    session_translate(view->session, view->va, view->letter, &view->translation);
}

/* Each look ends an interval and begins the next; while the guest stands nothing is written. */
static void take_dirty(VitrineDrawingView *view, const struct view_status *status)
{
    gint64 now = g_get_monotonic_time();
    gboolean due =
        status->state == SESSION_RUNNING && now - view->dirty_taken >= DIRTY_MICROSECONDS;
    if (view->dirty_taken && !due && status->stops == view->dirty_stop)
        return;
    session_view_dirty(view->session, view->dirty);
    view->dirty_taken = g_get_monotonic_time(); /* a large memory takes its time */
    view->dirty_stop = status->stops;
}

static void take_exits(VitrineDrawingView *view)
{
    session_exit_stats(view->session, &view->exits);
    gtk_widget_set_visible(view->strip, view->exits.ns > 0);
}

static void describe(VitrineDrawingView *view)
{
    struct drawing drawing = drawing_of(view);
    vitrine_drawing_describe(view->area, &drawing);
}

void vitrine_drawing_view_refresh(VitrineDrawingView *view)
{
    struct view_status status;
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    session_status(view->session, &status);
    view->bare = !status.under_monitor;
    switch (view->kind) {
    case DRAWING_TRANSLATION: take_translation(view); break;
    case DRAWING_EXITS: take_exits(view); break;
    case DRAWING_HEAT: take_dirty(view, &status); break;
    case DRAWING_TABLES:
        for (int i = 0; i < 3; i++)
            session_view_table(view->session, (enum view_table_kind)i, &view->table[i]);
        break;
    case DRAWING_CHART: break; /* not a view of a session */
    case DRAWING_TIMELINE:
    case DRAWING_LAYERS:
    case DRAWING_MIGRATION:
    case DRAWING_PROTECTION: break; /* time-view.c, layers-view.c, hosts-view.c */
    }
    describe(view);
    gtk_widget_queue_draw(view->area);
}

void vitrine_drawing_view_show(VitrineDrawingView *view, uint64_t va, char access)
{
    view->va = va;
    view->letter = access;
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), FALSE);
    show_choice(view);
    vitrine_drawing_view_refresh(view);
}

void vitrine_drawing_view_follow(VitrineDrawingView *view)
{
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), TRUE);
}

static void on_entry(GtkEntry *entry, VitrineDrawingView *view)
{
    uint64_t va;
    if (lookup_entry(GTK_EDITABLE(entry), view->session, &va))
        vitrine_drawing_view_show(view, va, view->letter ? view->letter : 'r');
}

static void on_access(GtkToggleButton *button, VitrineDrawingView *view)
{
    if (view->updating || !gtk_toggle_button_get_active(button))
        return;
    for (int i = 0; i < 3; i++)
        if (GTK_WIDGET(button) == view->access[i])
            vitrine_drawing_view_show(view, view->va, letters[i]);
}

void vitrine_drawing_view_set_session(VitrineDrawingView *view, struct session *session)
{
    view->session = session;
    view->dirty_taken = 0;
    if (session && view->follow)
        vitrine_drawing_view_follow(view);
    vitrine_drawing_view_refresh(view);
}

/* ---- the object --------------------------------------------------------------------------- */

static void add_access_buttons(VitrineDrawingView *view, GtkWidget *strip)
{
    static const char *const names[] = {"Read", "Write", "Execute"};
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(box, "linked");
    for (int i = 0; i < 3; i++) {
        view->access[i] = gtk_toggle_button_new_with_label(names[i]);
        if (i)
            gtk_toggle_button_set_group(GTK_TOGGLE_BUTTON(view->access[i]),
                                        GTK_TOGGLE_BUTTON(view->access[0]));
        g_signal_connect(view->access[i], "toggled", G_CALLBACK(on_access), view);
        gtk_box_append(GTK_BOX(box), view->access[i]);
    }
    gtk_box_append(GTK_BOX(strip), box);
}

static void add_strip(VitrineDrawingView *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    GtkWidget *title = gtk_label_new("Translation");
    gtk_widget_add_css_class(title, "heading");
    gtk_widget_set_hexpand(title, TRUE);
    gtk_label_set_xalign(GTK_LABEL(title), 0);
    gtk_box_append(GTK_BOX(strip), title);
    view->entry = gtk_entry_new();
    gtk_editable_set_width_chars(GTK_EDITABLE(view->entry), 12);
    gtk_editable_set_max_width_chars(GTK_EDITABLE(view->entry), 18);
    gtk_widget_set_tooltip_text(view->entry, "Virtual address, symbol or file:line to translate");
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Address to translate", -1);
    g_signal_connect(view->entry, "activate", G_CALLBACK(on_entry), view);
    gtk_box_append(GTK_BOX(strip), view->entry);
    add_access_buttons(view, strip);
    view->follow = gtk_toggle_button_new_with_label("Follow");
    gtk_widget_set_tooltip_text(view->follow, "Show the address that the guest uses next");
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), TRUE);
    g_signal_connect_swapped(view->follow, "toggled", G_CALLBACK(vitrine_drawing_view_refresh),
                             view);
    gtk_box_append(GTK_BOX(strip), view->follow);
    gtk_box_append(GTK_BOX(view), strip);
}

/* What the bars stand for. */
static void add_exits_strip(VitrineDrawingView *view)
{
    view->strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(view->strip, "strip");
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(box, "linked");
    GtkWidget *by_count = gtk_toggle_button_new_with_label("By number");
    view->by_time = gtk_toggle_button_new_with_label("By time");
    gtk_toggle_button_set_group(GTK_TOGGLE_BUTTON(view->by_time), GTK_TOGGLE_BUTTON(by_count));
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(by_count), TRUE);
    gtk_box_append(GTK_BOX(box), by_count);
    gtk_box_append(GTK_BOX(box), view->by_time);
    gtk_box_append(GTK_BOX(view->strip), box);
    gtk_box_append(GTK_BOX(view), view->strip);
    g_signal_connect_swapped(view->by_time, "toggled", G_CALLBACK(vitrine_drawing_view_refresh),
                             view);
    gtk_widget_set_visible(view->strip, FALSE);
}

static void finalize(GObject *object)
{
    g_free(VITRINE_DRAWING_VIEW(object)->table);
    g_free(VITRINE_DRAWING_VIEW(object)->dirty);
    G_OBJECT_CLASS(vitrine_drawing_view_parent_class)->finalize(object);
}

static void vitrine_drawing_view_class_init(VitrineDrawingViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void vitrine_drawing_view_init(VitrineDrawingView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->letter = 'x';
    view->table = g_new0(struct view_table, 3);
    view->dirty = g_new0(struct view_dirty, 1);
}

GtkWidget *vitrine_drawing_view_new(enum drawing_kind kind)
{
    VitrineDrawingView *view = g_object_new(VITRINE_TYPE_DRAWING_VIEW, NULL);
    view->kind = kind;
    if (kind == DRAWING_TRANSLATION)
        add_strip(view);
    if (kind == DRAWING_EXITS)
        add_exits_strip(view);
    view->area =
        g_object_new(GTK_TYPE_DRAWING_AREA, "accessible-role", GTK_ACCESSIBLE_ROLE_IMG, NULL);
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(view->area), draw, view, NULL);
    gtk_widget_set_hexpand(view->area, TRUE);
    gtk_widget_set_vexpand(view->area, TRUE);
    gtk_widget_set_size_request(view->area, 200, 120);
    gtk_box_append(GTK_BOX(view), view->area);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_drawing_view_refresh), NULL);
    return GTK_WIDGET(view);
}
