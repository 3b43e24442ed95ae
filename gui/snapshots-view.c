/*
 * Snapshots. The session gives them oldest first, each with the number of the one it came from; the
 * list shows them as a tree, children below their parent. They are few, so the rows are made anew
 * when something has changed. All is done by keys as well: Up and Down choose, Enter goes back,
 * Delete deletes. "Compare" shows beside them how the chosen one differs from another.
 */
#include "gui/snapshots-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/differences-view.h"
#include "gui/draw/draw.h"

enum { MOST = 64, DEEPEST = 12, NAME_COLUMNS = 34, NARROW = 22, LEAST_WIDTH = 330 };

/* What the chosen one is compared with: these, and behind them the others by their place. */
enum { WITH_PARENT, WITH_NOW, WITH_OTHERS };

struct _VitrineSnapshotsView {
    GtkBox parent;
    GtkWidget *name, *take, *restore, *delete, *stack, *list, *empty;
    GtkWidget *compare, *with, *differences;
    int compared[2];         /* what `differences` shows: ids; 0: the guest at that stop */
    uint64_t compared_stops; /* 0: nothing */
    struct session *session;
    struct view_snapshot *shown, *fresh; /* MOST each */
    int count;
    int id_of_row[MOST]; /* in the order of the list */
    int rows;
};

G_DEFINE_FINAL_TYPE(VitrineSnapshotsView, vitrine_snapshots_view, GTK_TYPE_BOX)

enum { RESTORED, FAILED, SIGNALS };
static guint signals[SIGNALS];

/* ---- rows --------------------------------------------------------------------------------- */

static gboolean compares(VitrineSnapshotsView *view)
{
    return gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(view->compare));
}

/* Beside differences there is room for less. */
static char *row_text(VitrineSnapshotsView *view, const struct view_snapshot *s, const char *tree)
{
    char bytes[32];
    draw_size_text(s->bytes, bytes, sizeof bytes);
    char *left = g_strdup_printf("%s%s", tree, s->name);
    int pad = MAX(1, (compares(view) ? NARROW : NAME_COLUMNS) - (int)g_utf8_strlen(left, -1));
    const char *here = s->current ? "   \u25c0 here" : "";
    char *text = compares(view)
                     ? g_strdup_printf("%s%*s%8" PRIu64 " pages%s", left, pad, "", s->pages, here)
                     : g_strdup_printf("%s%*s%8" PRIu64 " pages %12s %8" PRIu64 " exits%s", left,
                                       pad, "", s->pages, bytes, s->exits, here);
    g_free(left);
    return text;
}

static GtkWidget *new_row(VitrineSnapshotsView *view, const struct view_snapshot *s,
                          const char *tree)
{
    char *text = row_text(view, s, tree);
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
    gtk_widget_add_css_class(label, "snapshot");
    GtkWidget *row = gtk_list_box_row_new();
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), label);
    gtk_accessible_update_property(GTK_ACCESSIBLE(row), GTK_ACCESSIBLE_PROPERTY_LABEL, text, -1);
    g_free(text);
    return row;
}

static gboolean has_parent(VitrineSnapshotsView *view, const struct view_snapshot *s)
{
    for (int i = 0; i < view->count; i++)
        if (view->shown[i].id == s->parent)
            return TRUE;
    return FALSE;
}

static gboolean is_child(VitrineSnapshotsView *view, int i, int parent)
{
    const struct view_snapshot *s = &view->shown[i];
    return parent ? s->parent == parent : !has_parent(view, s);
}

/* The children of `parent` (0: the roots), each with its own below it. `before` is what stands in
 * front of them: lines of branches that go on further down. */
static void add_children(VitrineSnapshotsView *view, int parent, const char *before, int depth)
{
    int last = -1;
    for (int i = 0; i < view->count; i++)
        if (is_child(view, i, parent))
            last = i;
    for (int i = 0; i <= last; i++) {
        if (!is_child(view, i, parent) || view->rows == MOST)
            continue;
        const char *branch = depth == 0 ? "" : i == last ? "\u2514\u2500 " : "\u251c\u2500 ";
        const char *below = depth == 0 ? "" : i == last ? "   " : "\u2502  ";
        char *tree = g_strconcat(before, branch, NULL), *next = g_strconcat(before, below, NULL);
        gtk_list_box_append(GTK_LIST_BOX(view->list), new_row(view, &view->shown[i], tree));
        view->id_of_row[view->rows++] = view->shown[i].id;
        add_children(view, view->shown[i].id, depth < DEEPEST ? next : before, depth + 1);
        g_free(next);
        g_free(tree);
    }
}

static void select_id(VitrineSnapshotsView *view, int id)
{
    for (int i = 0; i < view->rows; i++) {
        GtkListBoxRow *row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(view->list), i);
        if (view->id_of_row[i] != id)
            continue;
        gtk_list_box_select_row(GTK_LIST_BOX(view->list), row);
        if (gtk_widget_get_focus_child(view->list)) /* the keys are about this row then */
            gtk_widget_grab_focus(GTK_WIDGET(row));
    }
}

/* 0: none. */
static int selected_id(VitrineSnapshotsView *view)
{
    GtkListBoxRow *row = gtk_list_box_get_selected_row(GTK_LIST_BOX(view->list));
    int i = row ? gtk_list_box_row_get_index(row) : -1;
    return i >= 0 && i < view->rows ? view->id_of_row[i] : 0;
}

static void make_rows(VitrineSnapshotsView *view)
{
    GtkListBoxRow *row;
    int chosen = selected_id(view);
    gboolean focus = gtk_widget_get_focus_child(view->list) != NULL;
    while ((row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(view->list), 0)))
        gtk_list_box_remove(GTK_LIST_BOX(view->list), GTK_WIDGET(row));
    view->rows = 0;
    add_children(view, 0, "", 0);
    select_id(view, chosen);
    row = gtk_list_box_get_selected_row(GTK_LIST_BOX(view->list));
    if (!row)
        row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(view->list), 0);
    if (focus && row)
        gtk_widget_grab_focus(GTK_WIDGET(row));
}

/* ---- comparing ---------------------------------------------------------------------------- */

static const struct view_snapshot *find(VitrineSnapshotsView *view, int id)
{
    for (int i = 0; i < view->count; i++)
        if (view->shown[i].id == id)
            return &view->shown[i];
    return NULL;
}

/* The choice keeps its place, as far as there is one. */
static void offer_others(VitrineSnapshotsView *view)
{
    guint chosen = gtk_drop_down_get_selected(GTK_DROP_DOWN(view->with));
    GtkStringList *list =
        gtk_string_list_new((const char *[]){"its parent", "the guest now", NULL});
    for (int i = 0; i < view->count; i++)
        gtk_string_list_append(list, view->shown[i].name);
    gtk_drop_down_set_model(GTK_DROP_DOWN(view->with), G_LIST_MODEL(list));
    g_object_unref(list);
    if (chosen < (guint)(WITH_OTHERS + view->count))
        gtk_drop_down_set_selected(GTK_DROP_DOWN(view->with), chosen);
}

/* From which to which; FALSE, and why there is nothing to compare. */
static gboolean what_to_compare(VitrineSnapshotsView *view, const struct view_snapshot *one, int *a,
                                int *b, const char **why)
{
    guint with = gtk_drop_down_get_selected(GTK_DROP_DOWN(view->with));
    *why = "Choose a snapshot to see how it differs.";
    if (!one)
        return FALSE;
    *why = "It stands on nothing: all of it is its own.";
    *b = with == WITH_NOW ? 0 : one->id;
    *a = with == WITH_NOW                          ? one->id
         : with == WITH_PARENT                     ? one->parent
         : with - WITH_OTHERS < (guint)view->count ? view->shown[with - WITH_OTHERS].id
                                                   : 0;
    return *a != 0;
}

/* Each comparison is asked for once. */
static void compare(VitrineSnapshotsView *view)
{
    struct view_status status;
    const char *why;
    int a = 0, b = 0;
    if (!view->session || !compares(view))
        return;
    session_status(view->session, &status);
    if (status.state == SESSION_RUNNING) {
        /* What was compared still holds, but for the guest; it is asked when that stands. */
        if (!view->compared_stops)
            vitrine_differences_view_say(VITRINE_DIFFERENCES_VIEW(view->differences),
                                         "Pause the guest to compare its snapshots.");
        return;
    }
    if (!what_to_compare(view, find(view, selected_id(view)), &a, &b, &why)) {
        view->compared_stops = 0;
        vitrine_differences_view_say(VITRINE_DIFFERENCES_VIEW(view->differences), why);
        return;
    }
    gboolean same = view->compared_stops && view->compared[0] == a && view->compared[1] == b &&
                    (b || view->compared_stops == status.stops + 1);
    if (same)
        return;
    const struct view_snapshot *to = find(view, b), *from = find(view, a);
    vitrine_differences_view_show(VITRINE_DIFFERENCES_VIEW(view->differences), view->session, a,
                                  from ? from->name : "?", b, to ? to->name : "the guest now");
    view->compared[0] = a, view->compared[1] = b;
    view->compared_stops = status.stops + 1;
}

/* ---- keeping up --------------------------------------------------------------------------- */

static void enable_buttons(VitrineSnapshotsView *view)
{
    struct view_status status = {.state = SESSION_RUNNING};
    if (view->session)
        session_status(view->session, &status);
    gboolean stands = status.state != SESSION_RUNNING, chosen = stands && selected_id(view);
    gtk_widget_set_sensitive(view->take, stands);
    gtk_widget_set_sensitive(view->restore, chosen);
    gtk_widget_set_sensitive(view->delete, chosen);
    gtk_label_set_text(GTK_LABEL(view->empty),
                       stands ? "No snapshots yet. Take one here, and go back to it whenever the "
                                "guest stands."
                              : "No snapshots yet. Pause the guest to take one.");
}

static gboolean is_news(VitrineSnapshotsView *view, int count)
{
    for (int i = 0; i < count && count == view->count; i++) {
        const struct view_snapshot *a = &view->shown[i], *b = &view->fresh[i];
        if (a->id != b->id || a->parent != b->parent || a->pages != b->pages ||
            a->bytes != b->bytes || a->current != b->current || strcmp(a->name, b->name) != 0)
            return TRUE;
    }
    return count != view->count;
}

void vitrine_snapshots_view_refresh(VitrineSnapshotsView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    int count = CLAMP(session_snapshots(view->session, view->fresh, MOST), 0, MOST);
    if (is_news(view, count)) {
        memcpy(view->shown, view->fresh, (size_t)count * sizeof *view->fresh);
        view->count = count;
        make_rows(view);
        offer_others(view);
        view->compared_stops = 0;
    }
    gtk_stack_set_visible_child_name(GTK_STACK(view->stack), count ? "list" : "empty");
    enable_buttons(view);
    compare(view);
}

/* The rows are narrower beside differences. */
static void on_compare(VitrineSnapshotsView *view)
{
    gtk_widget_set_visible(view->differences, compares(view));
    gtk_widget_set_visible(view->with, compares(view));
    make_rows(view);
    view->compared_stops = 0;
    compare(view);
}

static void on_selected(VitrineSnapshotsView *view)
{
    enable_buttons(view);
    compare(view);
}

void vitrine_snapshots_view_set_session(VitrineSnapshotsView *view, struct session *session)
{
    view->session = session;
    view->compared_stops = 0;
    vitrine_snapshots_view_refresh(view);
}

/* ---- what the buttons do ------------------------------------------------------------------ */

void vitrine_snapshots_view_take(VitrineSnapshotsView *view)
{
    char why[SESSION_ERROR], made_up[40];
    struct view_status status;
    const char *name = gtk_editable_get_text(GTK_EDITABLE(view->name));
    if (!view->session)
        return;
    session_status(view->session, &status);
    g_snprintf(made_up, sizeof made_up, "after exit %" PRIu64, status.exits);
    int id = session_snapshot(view->session, *name ? name : made_up, why);
    if (id < 0) {
        g_signal_emit(view, signals[FAILED], 0, why);
        return;
    }
    gtk_editable_set_text(GTK_EDITABLE(view->name), "");
    vitrine_snapshots_view_refresh(view);
    select_id(view, id);
    enable_buttons(view);
}

static void restore(VitrineSnapshotsView *view)
{
    char why[SESSION_ERROR];
    int id = selected_id(view);
    const struct view_snapshot *s = find(view, id);
    if (!view->session || !s)
        return;
    char *name = g_strdup(s->name);
    if (session_restore(view->session, id, why) < 0)
        g_signal_emit(view, signals[FAILED], 0, why);
    else
        g_signal_emit(view, signals[RESTORED], 0, name);
    g_free(name);
}

static void delete (VitrineSnapshotsView *view)
{
    int id = selected_id(view);
    int error = view->session && id ? session_snapshot_delete(view->session, id) : 0;
    if (error) {
        char *why = g_strdup_printf("the snapshot cannot be deleted: %s", g_strerror(-error));
        g_signal_emit(view, signals[FAILED], 0, why);
        g_free(why);
    }
    vitrine_snapshots_view_refresh(view);
}

static gboolean on_key(GtkEventControllerKey *controller, guint key, guint code,
                       GdkModifierType state, VitrineSnapshotsView *view)
{
    if (key != GDK_KEY_Delete || !gtk_widget_get_sensitive(view->delete))
        return FALSE;
    delete (view);
    return TRUE;
}

static void on_activated(VitrineSnapshotsView *view)
{
    if (gtk_widget_get_sensitive(view->restore))
        restore(view);
}

/* ---- the object --------------------------------------------------------------------------- */

static GtkWidget *add_button(VitrineSnapshotsView *view, GtkWidget *strip, const char *label,
                             const char *tooltip, GCallback clicked)
{
    GtkWidget *button = gtk_button_new_with_label(label);
    gtk_widget_set_tooltip_text(button, tooltip);
    g_signal_connect_swapped(button, "clicked", clicked, view);
    gtk_box_append(GTK_BOX(strip), button);
    return button;
}

/* The second half of the strip. */
static void add_comparing(VitrineSnapshotsView *view, GtkWidget *strip)
{
    view->compare = gtk_toggle_button_new_with_label("Compare");
    gtk_widget_set_tooltip_text(view->compare, "Show how the chosen snapshot differs from another");
    gtk_widget_set_hexpand(view->compare, TRUE);
    gtk_widget_set_halign(view->compare, GTK_ALIGN_END);
    g_signal_connect_swapped(view->compare, "toggled", G_CALLBACK(on_compare), view);
    gtk_box_append(GTK_BOX(strip), view->compare);
    view->with = gtk_drop_down_new(NULL, NULL);
    gtk_widget_set_visible(view->with, FALSE);
    gtk_widget_set_size_request(view->with, 180, -1);
    gtk_widget_set_tooltip_text(view->with, "What the chosen snapshot is compared with");
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->with), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Compare with", -1);
    offer_others(view);
    g_signal_connect_swapped(view->with, "notify::selected", G_CALLBACK(compare), view);
    gtk_box_append(GTK_BOX(strip), view->with);
}

static GtkWidget *build_strip(VitrineSnapshotsView *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    view->name = gtk_entry_new();
    gtk_entry_set_placeholder_text(GTK_ENTRY(view->name), "name of the next snapshot");
    gtk_entry_set_max_length(GTK_ENTRY(view->name), 40);
    gtk_editable_set_width_chars(GTK_EDITABLE(view->name), 24);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->name), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Name of the snapshot", -1);
    g_signal_connect_swapped(view->name, "activate", G_CALLBACK(vitrine_snapshots_view_take), view);
    gtk_box_append(GTK_BOX(strip), view->name);
    view->take = add_button(view, strip, "Take", "Keep the whole machine as it is now",
                            G_CALLBACK(vitrine_snapshots_view_take));
    view->restore =
        add_button(view, strip, "Restore", "Put the machine back (Enter)", G_CALLBACK(restore));
    view->delete =
        add_button(view, strip, "Delete", "Delete this snapshot (Delete)", G_CALLBACK(delete));
    add_comparing(view, strip);
    return strip;
}

static GtkWidget *build_list(VitrineSnapshotsView *view)
{
    view->list = gtk_list_box_new();
    gtk_list_box_set_activate_on_single_click(GTK_LIST_BOX(view->list), FALSE);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->list), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Snapshots", -1);
    g_signal_connect_swapped(view->list, "row-selected", G_CALLBACK(on_selected), view);
    g_signal_connect_swapped(view->list, "row-activated", G_CALLBACK(on_activated), view);
    GtkEventController *key = gtk_event_controller_key_new();
    g_signal_connect(key, "key-pressed", G_CALLBACK(on_key), view);
    gtk_widget_add_controller(view->list, key);
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), view->list);
    gtk_widget_set_vexpand(scroller, TRUE);
    return scroller;
}

/* The list, and beside it what was compared. */
static GtkWidget *build_page(VitrineSnapshotsView *view)
{
    GtkWidget *page = gtk_paned_new(GTK_ORIENTATION_HORIZONTAL);
    view->differences = vitrine_differences_view_new();
    gtk_widget_set_visible(view->differences, FALSE);
    gtk_paned_set_start_child(GTK_PANED(page), build_list(view));
    gtk_paned_set_end_child(GTK_PANED(page), view->differences);
    gtk_paned_set_shrink_end_child(GTK_PANED(page), FALSE);
    gtk_paned_set_shrink_start_child(GTK_PANED(page), FALSE);
    gtk_widget_set_size_request(gtk_paned_get_start_child(GTK_PANED(page)), LEAST_WIDTH, -1);
    gtk_paned_set_position(GTK_PANED(page), LEAST_WIDTH);
    return page;
}

/* A list that goes loses its choice, and says so. */
static void dispose(GObject *object)
{
    VitrineSnapshotsView *view = VITRINE_SNAPSHOTS_VIEW(object);
    if (view->list)
        g_signal_handlers_disconnect_by_data(view->list, view);
    view->list = NULL;
    G_OBJECT_CLASS(vitrine_snapshots_view_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_free(VITRINE_SNAPSHOTS_VIEW(object)->shown);
    g_free(VITRINE_SNAPSHOTS_VIEW(object)->fresh);
    G_OBJECT_CLASS(vitrine_snapshots_view_parent_class)->finalize(object);
}

static void vitrine_snapshots_view_class_init(VitrineSnapshotsViewClass *class)
{
    static const char *const names[SIGNALS] = {"restored", "failed"};
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
    for (int i = 0; i < SIGNALS; i++)
        signals[i] = g_signal_new(names[i], VITRINE_TYPE_SNAPSHOTS_VIEW, G_SIGNAL_RUN_LAST, 0, NULL,
                                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void vitrine_snapshots_view_init(VitrineSnapshotsView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->shown = g_new0(struct view_snapshot, MOST);
    view->fresh = g_new0(struct view_snapshot, MOST);
    gtk_box_append(GTK_BOX(view), build_strip(view));
    view->empty = gtk_label_new("");
    gtk_widget_add_css_class(view->empty, "dim-label");
    gtk_label_set_wrap(GTK_LABEL(view->empty), TRUE);
    view->stack = gtk_stack_new();
    gtk_widget_add_css_class(view->stack, "view");
    gtk_stack_add_named(GTK_STACK(view->stack), view->empty, "empty");
    gtk_stack_add_named(GTK_STACK(view->stack), build_page(view), "list");
    gtk_box_append(GTK_BOX(view), view->stack);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_snapshots_view_refresh), NULL);
}

GtkWidget *vitrine_snapshots_view_new(void)
{
    return g_object_new(VITRINE_TYPE_SNAPSHOTS_VIEW, NULL);
}
