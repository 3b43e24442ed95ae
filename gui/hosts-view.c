/*
 * Other hosts, drawn by gui/draw/protection.c and gui/draw/migration.c. What is asked for here is
 * done by window-hosts.c; how it goes comes from the session's views, like all else.
 */
#include "gui/hosts-view.h"

#include <string.h>

#include "gui/drawing-view.h"
#include "gui/rows.h"

enum { LEAST_HEIGHT = 120 };

struct _VitrineHostsView {
    GtkBox parent;
    GtkWidget *protection, *migration; /* which of the two is shown */
    GtkWidget *address, *fence, *secret, *postcopy, *button, *area, *problem;
    struct session *session;
    struct view_protection protected;
    struct view_migration moved;
    gboolean moving;
    gboolean asked[HOSTS_ASKS]; /* it was called off, and takes its time */
};

G_DEFINE_FINAL_TYPE(VitrineHostsView, vitrine_hosts_view, GTK_TYPE_BOX)

static guint asked_signal;

static gboolean shows_migration(VitrineHostsView *view)
{
    return gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(view->migration));
}

/* Is a backup there, or looked for? */
static gboolean is_protected(const struct view_protection *v)
{
    return v->searching || v->phase == PROTECTION_COPYING || v->phase == PROTECTION_ON;
}

/* ---- drawing ------------------------------------------------------------------------------ */

static struct drawing drawing_of(VitrineHostsView *view)
{
    return (struct drawing){.kind = shows_migration(view) ? DRAWING_MIGRATION : DRAWING_PROTECTION,
                            .protection = &view->protected,
                            .migration = &view->moved};
}

static void draw(GtkDrawingArea *area, cairo_t *cr, int width, int height, gpointer data)
{
    struct drawing drawing = drawing_of(data);
    draw_paint(cr, &drawing, width, height, vitrine_is_dark(GTK_WIDGET(area)));
}

int vitrine_hosts_view_export(VitrineHostsView *view, const char *path)
{
    struct drawing drawing = drawing_of(view);
    return vitrine_drawing_export(view->area, &drawing, path);
}

static void describe(VitrineHostsView *view)
{
    struct drawing drawing = drawing_of(view);
    vitrine_drawing_describe(view->area, &drawing);
}

/* ---- what can be asked for ---------------------------------------------------------------- */

static const struct {
    const char *label, *tooltip;
} ASKS[HOSTS_ASKS] = {
    [HOSTS_PROTECT] = {"Protect", "Protect the guest by the vitrine backup there"},
    [HOSTS_RELEASE] = {"Release", "End the protection in order"},
    [HOSTS_MOVE] = {"Move", "Move the guest to the vitrine run --incoming there"},
    [HOSTS_CANCEL] = {"Cancel", "Call the move off: the guest goes on here"},
    [HOSTS_RECOVER] = {"Recover", "Send the rest of the guest\u2019s memory over a new link"},
    [HOSTS_TAKE_BACK] = {"Take back", "The guest does not run there: let it go on here"},
};

/* What the button does. */
static enum hosts_ask offer(VitrineHostsView *view)
{
    if (!shows_migration(view))
        return is_protected(&view->protected) ? HOSTS_RELEASE : HOSTS_PROTECT;
    return view->moving                           ? HOSTS_CANCEL
           : view->moved.phase == MIGRATION_TORN  ? HOSTS_RECOVER
           : view->moved.phase == MIGRATION_DOUBT ? HOSTS_TAKE_BACK
                                                  : HOSTS_MOVE;
}

/* From the hand-over on there is no way back. */
static gboolean is_possible(VitrineHostsView *view, enum hosts_ask ask)
{
    enum view_migration_phase phase = view->moved.phase;
    gboolean before = phase != MIGRATION_HANDOVER && phase != MIGRATION_POSTCOPY &&
                      phase != MIGRATION_TORN && phase != MIGRATION_DOUBT;
    if (!view->session || view->asked[ask])
        return FALSE;
    switch (ask) {
    case HOSTS_PROTECT: return !view->moving;
    case HOSTS_MOVE: return !is_protected(&view->protected);
    case HOSTS_CANCEL: return before;
    default: return TRUE;
    }
}

static void show_choice(VitrineHostsView *view)
{
    enum hosts_ask ask = offer(view);
    gboolean moves = shows_migration(view), on = is_protected(&view->protected);
    gboolean free = view->session && !on && !view->moving;
    gtk_widget_set_visible(view->fence, !moves);
    gtk_widget_set_visible(view->postcopy, moves);
    gtk_button_set_label(GTK_BUTTON(view->button), ASKS[ask].label);
    gtk_widget_set_tooltip_text(view->button, ask == HOSTS_MOVE && on
                                                  ? "The guest is protected: release it first"
                                                  : ASKS[ask].tooltip);
    /* Not insensitive: the one with the cursor would miss that the cursor goes. */
    gtk_editable_set_editable(GTK_EDITABLE(view->address), free);
    gtk_editable_set_editable(GTK_EDITABLE(view->fence), free);
    gtk_editable_set_editable(GTK_EDITABLE(view->secret), free);
    gtk_widget_set_sensitive(view->postcopy, free);
    gtk_widget_set_sensitive(view->button, is_possible(view, ask));
}

void vitrine_hosts_view_refresh(VitrineHostsView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    session_view_protection(view->session, &view->protected);
    session_view_migration(view->session, &view->moved);
    view->asked[HOSTS_RELEASE] &= is_protected(&view->protected);
    show_choice(view);
    describe(view);
    gtk_widget_queue_draw(view->area);
}

void vitrine_hosts_view_say(VitrineHostsView *view, const char *text)
{
    gtk_label_set_text(GTK_LABEL(view->problem), text);
    gtk_widget_set_visible(view->problem, *text != 0);
}

void vitrine_hosts_view_set_session(VitrineHostsView *view, struct session *session)
{
    view->session = session;
    view->protected = (struct view_protection){0};
    view->moved = (struct view_migration){0};
    memset(view->asked, 0, sizeof view->asked);
    vitrine_hosts_view_say(view, "");
    vitrine_hosts_view_refresh(view);
}

void vitrine_hosts_view_focus(VitrineHostsView *view, gboolean migration)
{
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(migration ? view->migration : view->protection),
                                 TRUE);
    gtk_widget_grab_focus(view->address);
}

void vitrine_hosts_view_set_moving(VitrineHostsView *view, gboolean moving)
{
    view->moving = moving;
    view->asked[HOSTS_CANCEL] = FALSE;
    show_choice(view);
}

/* NULL: nothing was typed. */
static const char *typed(GtkWidget *entry)
{
    const char *text = gtk_editable_get_text(GTK_EDITABLE(entry));
    return *text ? text : NULL;
}

static void on_asked(VitrineHostsView *view)
{
    enum hosts_ask ask = offer(view);
    gboolean calls = ask == HOSTS_PROTECT || ask == HOSTS_MOVE || ask == HOSTS_RECOVER;
    const struct hosts_wish wish = {
        .address = typed(view->address),
        .secret = typed(view->secret),
        .fence = typed(view->fence),
        .postcopy = gtk_check_button_get_active(GTK_CHECK_BUTTON(view->postcopy)),
    };
    if (!gtk_widget_get_sensitive(view->button))
        return;
    vitrine_hosts_view_say(view, "");
    view->asked[ask] = ask == HOSTS_RELEASE || ask == HOSTS_CANCEL;
    if (calls && !wish.address)
        vitrine_hosts_view_say(view, "The address is missing: unix:PATH, or tcp:HOST:PORT");
    else
        g_signal_emit(view, asked_signal, 0, ask, &wish);
    vitrine_hosts_view_refresh(view);
}

static void on_toggled(GtkToggleButton *button, VitrineHostsView *view)
{
    if (!gtk_toggle_button_get_active(button))
        return;
    vitrine_hosts_view_say(view, "");
    show_choice(view);
    vitrine_hosts_view_refresh(view);
}

/* ---- the object --------------------------------------------------------------------------- */

static GtkWidget *build_choice(VitrineHostsView *view)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(box, "linked");
    view->protection = gtk_toggle_button_new_with_label("Protection");
    view->migration = gtk_toggle_button_new_with_label("Migration");
    gtk_toggle_button_set_group(GTK_TOGGLE_BUTTON(view->migration),
                                GTK_TOGGLE_BUTTON(view->protection));
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->protection), TRUE);
    gtk_box_append(GTK_BOX(box), view->protection);
    gtk_box_append(GTK_BOX(box), view->migration);
    return box;
}

static GtkWidget *build_entry(VitrineHostsView *view, const char *name, const char *hint,
                              const char *tooltip, int columns)
{
    GtkWidget *entry = gtk_entry_new();
    gtk_entry_set_placeholder_text(GTK_ENTRY(entry), hint);
    gtk_editable_set_width_chars(GTK_EDITABLE(entry), columns);
    gtk_widget_set_tooltip_text(entry, tooltip);
    gtk_accessible_update_property(GTK_ACCESSIBLE(entry), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    g_signal_connect_swapped(entry, "activate", G_CALLBACK(on_asked), view);
    return entry;
}

static void build_entries(VitrineHostsView *view)
{
    view->address = build_entry(view, "Address of the other host", "unix:PATH or tcp:HOST:PORT",
                                "Where the other vitrine waits", 16);
    gtk_widget_set_hexpand(view->address, TRUE);
    view->fence = build_entry(view, "Fence", "fence file",
                              "A file that both hosts reach: who has claimed it runs the guest. "
                              "Needed where the guest can write to a disk",
                              10);
    view->secret = build_entry(view, "Secret", "secret file",
                               "A file of 16 bytes or more that only you may read: the other "
                               "vitrine has the same by --secret. It demands one unless it waits "
                               "at a Unix socket or at 127.0.0.1",
                               10);
    view->postcopy = gtk_check_button_new_with_label("Post-copy");
    gtk_widget_set_tooltip_text(view->postcopy,
                                "A guest that writes faster than its pages can be sent is handed "
                                "over all the same, and its memory follows");
}

static GtkWidget *build_strip(VitrineHostsView *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    gtk_box_append(GTK_BOX(strip), build_choice(view));
    build_entries(view);
    view->button = gtk_button_new_with_label("Protect");
    g_signal_connect_swapped(view->button, "clicked", G_CALLBACK(on_asked), view);
    GtkWidget *const parts[] = {view->address, view->fence, view->secret, view->postcopy,
                                view->button};
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        gtk_box_append(GTK_BOX(strip), parts[i]);
    return strip;
}

static GtkWidget *build_problem(void)
{
    GtkWidget *label = gtk_label_new("");
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_widget_add_css_class(label, "problem");
    gtk_widget_set_visible(label, FALSE);
    return label;
}

static void vitrine_hosts_view_class_init(VitrineHostsViewClass *class)
{
    gtk_widget_class_set_accessible_role(GTK_WIDGET_CLASS(class), GTK_ACCESSIBLE_ROLE_GROUP);
    asked_signal = g_signal_new("asked", G_TYPE_FROM_CLASS(class), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                NULL, G_TYPE_NONE, 2, G_TYPE_INT, G_TYPE_POINTER);
}

static void vitrine_hosts_view_init(VitrineHostsView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Other hosts", -1);
    gtk_box_append(GTK_BOX(view), build_strip(view));
    view->problem = build_problem();
    gtk_box_append(GTK_BOX(view), view->problem);
    view->area =
        g_object_new(GTK_TYPE_DRAWING_AREA, "accessible-role", GTK_ACCESSIBLE_ROLE_IMG, NULL);
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(view->area), draw, view, NULL);
    gtk_widget_set_hexpand(view->area, TRUE);
    gtk_widget_set_vexpand(view->area, TRUE);
    gtk_widget_set_size_request(view->area, 200, LEAST_HEIGHT);
    gtk_box_append(GTK_BOX(view), view->area);
    g_signal_connect(view->protection, "toggled", G_CALLBACK(on_toggled), view);
    g_signal_connect(view->migration, "toggled", G_CALLBACK(on_toggled), view);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_hosts_view_refresh), NULL);
    show_choice(view);
}

GtkWidget *vitrine_hosts_view_new(void)
{
    return g_object_new(VITRINE_TYPE_HOSTS_VIEW, NULL);
}
