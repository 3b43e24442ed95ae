/* Rows of monospaced text. See rows.h. */
#include "gui/rows.h"

#include <math.h>

enum { PAD = 6, MOST_ROWS = 160, HEADER_GAP = 3 };

struct _VitrineRows {
    GtkWidget parent;
    GtkWidget *header; /* GtkInscription, or NULL */
    char *header_text;
    GtkWidget *bar;
    GtkAdjustment *adjustment;
    GPtrArray *lines; /* of GtkInscription */
    RowLook look[MOST_ROWS];
    guint visible;
    int columns, least_columns, least_lines;
    int row_height;
    double char_width;
    gboolean follow;
    guint idle;
    VitrineRowsFill fill;
    VitrineRowsTooltip tooltip;
    VitrineRowsScroll scroll;
    gpointer data;
};

G_DEFINE_FINAL_TYPE(VitrineRows, vitrine_rows, GTK_TYPE_WIDGET)

static guint clicked_signal, menu_signal;

/* ---- colours ------------------------------------------------------------------------------ */

gboolean vitrine_is_dark(GtkWidget *widget)
{
    GdkRGBA colour;
    gtk_style_context_get_color(gtk_widget_get_style_context(widget), &colour);
    return colour.red + colour.green + colour.blue > 1.5;
}

static const char *const span_style[2][SPAN_NUMBER] = {
    {
        [SPAN_DIM] = "foreground='#5b6472'",
        [SPAN_STRONG] = "weight='bold'",
        [SPAN_CHANGED] = "weight='bold' foreground='#a04a00' background='#ffeed8'",
        [SPAN_ACCENT] = "foreground='#1d4f9c'",
        [SPAN_SENSITIVE] = "weight='bold' foreground='#553c88'",
        [SPAN_FAULT] = "weight='bold' foreground='#b3211a'",
    },
    {
        [SPAN_DIM] = "foreground='#9aa5b4'",
        [SPAN_STRONG] = "weight='bold'",
        [SPAN_CHANGED] = "weight='bold' foreground='#ffc27a' background='#4a3010'",
        [SPAN_ACCENT] = "foreground='#9cc0fb'",
        [SPAN_SENSITIVE] = "weight='bold' foreground='#cbb8f2'",
        [SPAN_FAULT] = "weight='bold' foreground='#ff9b93'",
    },
};

void vitrine_rows_span(VitrineRows *rows, GString *markup, RowSpan span, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = g_strdup_vprintf(format, args);
    va_end(args);
    char *valid = g_utf8_make_valid(text, -1);
    char *escaped = g_markup_escape_text(valid, -1);
    const char *style = span_style[vitrine_is_dark(GTK_WIDGET(rows))][span];
    if (style)
        g_string_append_printf(markup, "<span %s>%s</span>", style, escaped);
    else
        g_string_append(markup, escaped);
    g_free(escaped);
    g_free(valid);
    g_free(text);
}

/* ---- filling ------------------------------------------------------------------------------ */

guint vitrine_rows_first(VitrineRows *rows)
{
    return (guint)gtk_adjustment_get_value(rows->adjustment);
}

guint vitrine_rows_visible(VitrineRows *rows)
{
    return rows->visible;
}

int vitrine_rows_columns(VitrineRows *rows)
{
    return rows->columns;
}

static void set_markup(GtkWidget *line, const char *markup)
{
    if (g_strcmp0(g_object_get_data(G_OBJECT(line), "markup"), markup) == 0)
        return;
    gtk_inscription_set_markup(GTK_INSCRIPTION(line), markup);
    g_object_set_data_full(G_OBJECT(line), "markup", g_strdup(markup), g_free);
}

void vitrine_rows_set(VitrineRows *rows, guint row, const char *markup, RowLook look)
{
    if (row >= rows->visible)
        return;
    GtkWidget *line = g_ptr_array_index(rows->lines, row);
    set_markup(line, markup);
    if (rows->look[row] != look) {
        rows->look[row] = look;
        gtk_widget_queue_draw(GTK_WIDGET(rows));
    }
}

static void show_header(VitrineRows *rows)
{
    GString *markup = g_string_new(NULL);
    vitrine_rows_span(rows, markup, SPAN_DIM, "%s", rows->header_text);
    set_markup(rows->header, markup->str);
    g_string_free(markup, TRUE);
}

void vitrine_rows_refresh(VitrineRows *rows)
{
    if (!rows->fill || !gtk_widget_get_mapped(GTK_WIDGET(rows)))
        return;
    if (rows->header)
        show_header(rows);
    RowLook before[MOST_ROWS];
    memcpy(before, rows->look, sizeof before);
    for (guint i = 0; i < rows->visible; i++)
        rows->look[i] = (RowLook)-1; /* not filled yet */
    rows->fill(rows, vitrine_rows_first(rows), rows->visible, rows->data);
    for (guint i = 0; i < rows->visible; i++)
        if ((int)rows->look[i] == -1)
            vitrine_rows_set(rows, i, "", ROW_PLAIN);
    if (memcmp(before, rows->look, sizeof before) != 0)
        gtk_widget_queue_draw(GTK_WIDGET(rows));
}

static gboolean refresh_later(gpointer data)
{
    VitrineRows *rows = data;
    rows->idle = 0;
    vitrine_rows_refresh(rows);
    return G_SOURCE_REMOVE;
}

static void queue_refresh(VitrineRows *rows)
{
    if (!rows->idle)
        rows->idle = g_idle_add_full(GDK_PRIORITY_REDRAW - 1, refresh_later, rows, NULL);
}

/* ---- layout ------------------------------------------------------------------------------- */

static void measure_font(VitrineRows *rows)
{
    PangoContext *context = gtk_widget_get_pango_context(GTK_WIDGET(rows));
    PangoFontMetrics *metrics = pango_context_get_metrics(context, NULL, NULL);
    rows->char_width =
        (double)pango_font_metrics_get_approximate_digit_width(metrics) / PANGO_SCALE;
    rows->char_width = MAX(rows->char_width, 1);
    rows->row_height = (int)ceil((double)pango_font_metrics_get_height(metrics) / PANGO_SCALE) + 2;
    rows->row_height = MAX(rows->row_height, 8);
    pango_font_metrics_unref(metrics);
}

static int header_height(VitrineRows *rows)
{
    return rows->header ? rows->row_height + 2 * HEADER_GAP : 0;
}

static void rows_measure(GtkWidget *widget, GtkOrientation orientation, int for_size, int *minimum,
                         int *natural, int *minimum_baseline, int *natural_baseline)
{
    VitrineRows *rows = VITRINE_ROWS(widget);
    measure_font(rows);
    if (orientation == GTK_ORIENTATION_HORIZONTAL)
        *minimum = *natural = (int)(rows->least_columns * rows->char_width) + 2 * PAD;
    else
        *minimum = *natural = rows->least_lines * rows->row_height + header_height(rows);
    *minimum_baseline = *natural_baseline = -1;
}

static void allocate_child(GtkWidget *child, int x, int y, int w, int h)
{
    int minimum;
    gtk_widget_measure(child, GTK_ORIENTATION_HORIZONTAL, -1, &minimum, NULL, NULL, NULL);
    gtk_widget_size_allocate(child, &(GtkAllocation){x, y, MAX(w, minimum), h}, -1);
}

static GtkWidget *new_line(VitrineRows *rows)
{
    GtkWidget *line = gtk_inscription_new(NULL);
    gtk_inscription_set_min_chars(GTK_INSCRIPTION(line), 0);
    gtk_inscription_set_nat_chars(GTK_INSCRIPTION(line), 0);
    gtk_inscription_set_wrap_mode(GTK_INSCRIPTION(line), PANGO_WRAP_CHAR);
    gtk_inscription_set_text_overflow(GTK_INSCRIPTION(line),
                                      GTK_INSCRIPTION_OVERFLOW_ELLIPSIZE_END);
    gtk_widget_set_parent(line, GTK_WIDGET(rows));
    return line;
}

static void set_visible_rows(VitrineRows *rows, guint visible)
{
    while (rows->lines->len < visible)
        g_ptr_array_add(rows->lines, new_line(rows));
    for (guint i = 0; i < rows->lines->len; i++)
        gtk_widget_set_child_visible(g_ptr_array_index(rows->lines, i), i < visible);
    for (guint i = rows->visible; i < visible; i++)
        rows->look[i] = ROW_PLAIN;
    rows->visible = visible;
}

static void place_bar(VitrineRows *rows, int width, int height, int top)
{
    int bar = 0;
    gboolean shown = gtk_adjustment_get_upper(rows->adjustment) > rows->visible;
    if (shown)
        gtk_widget_measure(rows->bar, GTK_ORIENTATION_HORIZONTAL, -1, &bar, NULL, NULL, NULL);
    gtk_widget_set_child_visible(rows->bar, shown);
    if (shown)
        gtk_widget_size_allocate(
            rows->bar, &(GtkAllocation){width - bar, top, bar, MAX(height - top, 40)}, -1);
}

static void rows_size_allocate(GtkWidget *widget, int width, int height, int baseline)
{
    VitrineRows *rows = VITRINE_ROWS(widget);
    measure_font(rows);
    int top = header_height(rows);
    guint visible = (guint)MAX(0, (height - top) / rows->row_height);
    gboolean scrolls = gtk_adjustment_get_upper(rows->adjustment) > visible;
    int text = width - 2 * PAD - (scrolls ? 8 : 0);
    set_visible_rows(rows, MIN(visible, MOST_ROWS));
    rows->columns = (int)(text / rows->char_width);
    if (rows->header)
        allocate_child(rows->header, PAD, HEADER_GAP, text, rows->row_height);
    for (guint i = 0; i < rows->visible; i++)
        allocate_child(g_ptr_array_index(rows->lines, i), PAD, top + (int)i * rows->row_height,
                       text, rows->row_height);
    gtk_adjustment_set_page_size(rows->adjustment, rows->visible);
    place_bar(rows, width, height, top);
    queue_refresh(rows);
}

static GdkRGBA look_colour(RowLook look, gboolean dark)
{
    switch (look) {
    case ROW_CURRENT: return dark ? (GdkRGBA){.25, .40, .66, .55} : (GdkRGBA){.83, .90, 1, 1};
    case ROW_SELECTED: return dark ? (GdkRGBA){.45, .33, .68, .5} : (GdkRGBA){.91, .87, .98, 1};
    case ROW_HEADING: return dark ? (GdkRGBA){1, 1, 1, .05} : (GdkRGBA){0, 0, 0, .04};
    default: return (GdkRGBA){0, 0, 0, 0};
    }
}

static void rows_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    VitrineRows *rows = VITRINE_ROWS(widget);
    gboolean dark = vitrine_is_dark(widget);
    int top = header_height(rows), width = gtk_widget_get_width(widget);
    for (guint i = 0; i < rows->visible; i++) {
        GdkRGBA colour = look_colour(rows->look[i], dark);
        graphene_rect_t area =
            GRAPHENE_RECT_INIT(0, top + (float)i * rows->row_height, width, rows->row_height);
        if (colour.alpha > 0)
            gtk_snapshot_append_color(snapshot, &colour, &area);
    }
    gtk_snapshot_push_clip(snapshot,
                           &GRAPHENE_RECT_INIT(0, 0, width, gtk_widget_get_height(widget)));
    GTK_WIDGET_CLASS(vitrine_rows_parent_class)->snapshot(widget, snapshot);
    gtk_snapshot_pop(snapshot);
}

/* ---- input -------------------------------------------------------------------------------- */

static int row_at(VitrineRows *rows, double y)
{
    int top = header_height(rows);
    int row = (int)floor((y - top) / rows->row_height);
    return y < top || row >= (int)rows->visible ? -1 : row;
}

static void on_pressed(GtkGestureClick *gesture, int n, double x, double y, gpointer data)
{
    VitrineRows *rows = data;
    int row = row_at(rows, y);
    guint button = gtk_gesture_single_get_current_button(GTK_GESTURE_SINGLE(gesture));
    gtk_widget_grab_focus(GTK_WIDGET(rows));
    if (row >= 0)
        g_signal_emit(rows, button == GDK_BUTTON_SECONDARY ? menu_signal : clicked_signal, 0,
                      (guint)row, (int)((x - PAD) / rows->char_width));
}

static void scroll_by(VitrineRows *rows, int delta)
{
    if (rows->scroll) {
        rows->scroll(rows, delta, rows->data);
        return;
    }
    gtk_adjustment_set_value(rows->adjustment, gtk_adjustment_get_value(rows->adjustment) + delta);
}

static gboolean on_scroll(GtkEventControllerScroll *controller, double dx, double dy, gpointer data)
{
    int delta = (int)(dy * 3);
    scroll_by(data, delta ? delta : dy > 0 ? 1 : -1);
    return TRUE;
}

static gboolean on_key(GtkEventControllerKey *controller, guint key, guint code,
                       GdkModifierType state, gpointer data)
{
    VitrineRows *rows = data;
    int page = (int)MAX(rows->visible, 2) - 1;
    switch (key) {
    case GDK_KEY_Up: scroll_by(rows, -1); return TRUE;
    case GDK_KEY_Down: scroll_by(rows, 1); return TRUE;
    case GDK_KEY_Page_Up: scroll_by(rows, -page); return TRUE;
    case GDK_KEY_Page_Down: scroll_by(rows, page); return TRUE;
    default: return FALSE;
    }
}

static void on_value_changed(VitrineRows *rows)
{
    double end = gtk_adjustment_get_upper(rows->adjustment) - rows->visible;
    rows->follow = gtk_adjustment_get_value(rows->adjustment) >= end - .5;
    queue_refresh(rows);
}

static gboolean on_tooltip(GtkWidget *widget, int x, int y, gboolean keyboard, GtkTooltip *tooltip,
                           gpointer data)
{
    VitrineRows *rows = VITRINE_ROWS(widget);
    int row = keyboard ? -1 : row_at(rows, y);
    char *text = row >= 0 && rows->tooltip ? rows->tooltip(rows, (guint)row, rows->data) : NULL;
    if (!text)
        return FALSE;
    gtk_tooltip_set_text(tooltip, text);
    g_free(text);
    return TRUE;
}

/* ---- the object --------------------------------------------------------------------------- */

GdkRectangle vitrine_rows_place(VitrineRows *rows, guint visible_row, int column, int columns)
{
    return (GdkRectangle){PAD + (int)(column * rows->char_width),
                          header_height(rows) + (int)visible_row * rows->row_height,
                          (int)(columns * rows->char_width), rows->row_height};
}

void vitrine_rows_set_functions(VitrineRows *rows, VitrineRowsFill fill, VitrineRowsTooltip tooltip,
                                VitrineRowsScroll scroll, gpointer data)
{
    rows->fill = fill;
    rows->tooltip = tooltip;
    rows->scroll = scroll;
    rows->data = data;
    gtk_widget_set_has_tooltip(GTK_WIDGET(rows), tooltip != NULL);
}

void vitrine_rows_set_header(VitrineRows *rows, const char *text)
{
    if (!rows->header)
        rows->header = new_line(rows);
    g_free(rows->header_text);
    rows->header_text = g_strdup(text);
    show_header(rows);
}

void vitrine_rows_set_least(VitrineRows *rows, int columns, int lines)
{
    rows->least_columns = columns;
    rows->least_lines = lines;
    gtk_widget_queue_resize(GTK_WIDGET(rows));
}

void vitrine_rows_set_total(VitrineRows *rows, guint total, gboolean follow)
{
    double before = gtk_adjustment_get_upper(rows->adjustment);
    gboolean at_end = rows->follow;
    if (before != total) {
        gtk_adjustment_set_upper(rows->adjustment, total);
        gtk_widget_queue_allocate(GTK_WIDGET(rows));
    }
    if (follow && at_end)
        gtk_adjustment_set_value(rows->adjustment, MAX(0, (double)total - rows->visible));
    rows->follow = at_end;
}

void vitrine_rows_scroll_to(VitrineRows *rows, guint first)
{
    gtk_adjustment_set_value(rows->adjustment, first);
}

static void vitrine_rows_map(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(vitrine_rows_parent_class)->map(widget);
    queue_refresh(VITRINE_ROWS(widget));
}

static void vitrine_rows_dispose(GObject *object)
{
    VitrineRows *rows = VITRINE_ROWS(object);
    g_clear_handle_id(&rows->idle, g_source_remove);
    for (guint i = 0; rows->lines && i < rows->lines->len; i++)
        gtk_widget_unparent(g_ptr_array_index(rows->lines, i));
    g_clear_pointer(&rows->lines, g_ptr_array_unref);
    g_clear_pointer(&rows->header, gtk_widget_unparent);
    g_clear_pointer(&rows->header_text, g_free);
    g_clear_pointer(&rows->bar, gtk_widget_unparent);
    rows->visible = 0;
    G_OBJECT_CLASS(vitrine_rows_parent_class)->dispose(object);
}

static void vitrine_rows_class_init(VitrineRowsClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = vitrine_rows_dispose;
    widget_class->measure = rows_measure;
    widget_class->size_allocate = rows_size_allocate;
    widget_class->snapshot = rows_snapshot;
    widget_class->map = vitrine_rows_map;
    gtk_widget_class_set_css_name(widget_class, "rows");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_LIST);
    clicked_signal = g_signal_new("clicked", VITRINE_TYPE_ROWS, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_INT);
    menu_signal = g_signal_new("menu", VITRINE_TYPE_ROWS, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                               G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_INT);
}

static void add_controllers(VitrineRows *rows)
{
    GtkWidget *widget = GTK_WIDGET(rows);
    GtkGesture *click = gtk_gesture_click_new(), *menu = gtk_gesture_click_new();
    g_signal_connect(click, "pressed", G_CALLBACK(on_pressed), rows);
    gtk_widget_add_controller(widget, GTK_EVENT_CONTROLLER(click));
    gtk_gesture_single_set_button(GTK_GESTURE_SINGLE(menu), GDK_BUTTON_SECONDARY);
    g_signal_connect(menu, "pressed", G_CALLBACK(on_pressed), rows);
    gtk_widget_add_controller(widget, GTK_EVENT_CONTROLLER(menu));
    GtkEventController *scroll =
        gtk_event_controller_scroll_new(GTK_EVENT_CONTROLLER_SCROLL_VERTICAL);
    g_signal_connect(scroll, "scroll", G_CALLBACK(on_scroll), rows);
    gtk_widget_add_controller(widget, scroll);
    GtkEventController *key = gtk_event_controller_key_new();
    g_signal_connect(key, "key-pressed", G_CALLBACK(on_key), rows);
    gtk_widget_add_controller(widget, key);
}

static void vitrine_rows_init(VitrineRows *rows)
{
    rows->lines = g_ptr_array_new();
    rows->least_columns = 20;
    rows->least_lines = 4;
    rows->follow = TRUE;
    rows->adjustment = gtk_adjustment_new(0, 0, 0, 1, 10, 0);
    rows->bar = gtk_scrollbar_new(GTK_ORIENTATION_VERTICAL, rows->adjustment);
    gtk_widget_set_parent(rows->bar, GTK_WIDGET(rows));
    g_signal_connect_swapped(rows->adjustment, "value-changed", G_CALLBACK(on_value_changed), rows);
    g_signal_connect(rows, "query-tooltip", G_CALLBACK(on_tooltip), NULL);
    gtk_widget_set_focusable(GTK_WIDGET(rows), TRUE);
    gtk_widget_set_hexpand(GTK_WIDGET(rows), TRUE);
    gtk_widget_set_vexpand(GTK_WIDGET(rows), TRUE);
    gtk_widget_set_overflow(GTK_WIDGET(rows), GTK_OVERFLOW_HIDDEN);
    add_controllers(rows);
}

GtkWidget *vitrine_rows_new(const char *name)
{
    GtkWidget *widget = g_object_new(VITRINE_TYPE_ROWS, NULL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    return widget;
}
