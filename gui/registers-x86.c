/*
 * The registers of an x86 guest. The session gives them as one list, in which the registers of a
 * group stand together; each group gets a heading, and can be folded by a click on it or in the
 * menu "Groups". The general registers stand in two columns, all others in a line each, with their
 * value in words behind it, broken into further lines where it is long. What has changed since the
 * last stop is marked, in a folded group at its heading.
 */
#include "gui/registers-x86.h"

#include <inttypes.h>
#include <string.h>

#include "gui/rows.h"

/* The groups, as the session names them. */
static const struct {
    const char *name, *title;
    gboolean folded; /* at first */
} groups[] = {
    {"general", "General", FALSE}, {"segment", "Segments", FALSE},   {"control", "Control", FALSE},
    {"debug", "Debug", FALSE},     {"msr", "Model-specific", FALSE}, {"fpu", "x87", TRUE},
    {"sse", "SSE", TRUE},
};

enum {
    GROUPS = G_N_ELEMENTS(groups),
    PAIRS = 8,
    MOST_ROWS = 3 * VIEW_REGISTERS + GROUPS,
    INDENT = 7
};

/* A row is a heading, one register, or two of them. */
struct row {
    int group;          /* >= 0: the heading of this group */
    int first, second;  /* numbers in the list; second < 0: there is none */
    int from, length;   /* the part of its text in words that is shown */
    gboolean continued; /* nothing else is */
    guint changed;      /* heading: registers of the group that have changed */
};

struct _VitrineRegistersX86 {
    GtkBox parent;
    VitrineRows *rows;
    GtkWidget *vcpu, *fold[GROUPS];
    gboolean updating;
    struct session *session;
    struct view_registers *list;
    struct row row[MOST_ROWS];
    guint count;
    int columns; /* that the rows were made for */
};

G_DEFINE_FINAL_TYPE(VitrineRegistersX86, vitrine_registers_x86, GTK_TYPE_BOX)

static guint vcpu_signal;

/* ---- which rows there are ----------------------------------------------------------------- */

static int group_of(const struct view_register *r)
{
    for (guint i = 0; i < GROUPS; i++)
        if (strcmp(r->group, groups[i].name) == 0)
            return (int)i;
    return GROUPS - 1; /* a group that we do not know stands with the last */
}

static gboolean is_folded(VitrineRegistersX86 *view, int group)
{
    return !gtk_check_button_get_active(GTK_CHECK_BUTTON(view->fold[group]));
}

static void add_row(VitrineRegistersX86 *view, struct row row)
{
    if (view->count < MOST_ROWS)
        view->row[view->count++] = row;
}

static int name_columns(const struct view_register *r)
{
    return strlen(r->name) > 6 ? 16 : 7;
}

static int value_digits(const struct view_register *r)
{
    return (r->bits + 3) / 4;
}

/* How much of the text fits into so many columns: up to a space if not all; a word at least. */
static int part_length(const char *text, int columns)
{
    int length = (int)strlen(text), best = 0;
    if (length <= columns)
        return length;
    for (int i = 1; i <= columns; i++)
        if (text[i] == ' ')
            best = i;
    return best ? best : (int)strcspn(text, " ");
}

/* One line, and as many more as its text needs. */
static void add_lines(VitrineRegistersX86 *view, int i)
{
    const struct view_register *r = &view->list->reg[i];
    int columns = view->columns, room = columns - name_columns(r) - value_digits(r) - 2;
    struct row row = {.group = -1, .first = i, .second = -1};
    if (room >= (int)MIN(strlen(r->text), 12))
        row.length = part_length(r->text, room);
    add_row(view, row);
    for (row.from = row.length; r->text[row.from]; row.from += row.length) {
        row.from += r->text[row.from] == ' ';
        row.length = part_length(r->text + row.from, columns - INDENT);
        row.continued = TRUE;
        add_row(view, row);
    }
}

/* Registers first..end - 1 are those of `group`. rax to r15 are the first sixteen of theirs. */
static void add_group(VitrineRegistersX86 *view, int group, int first, int end)
{
    struct row heading = {.group = group};
    for (int i = first; i < end; i++)
        heading.changed += view->list->reg[i].changed;
    add_row(view, heading);
    if (is_folded(view, group))
        return;
    if (group == 0 && end - first >= 2 * PAIRS) {
        for (int i = 0; i < PAIRS; i++)
            add_row(view,
                    (struct row){.group = -1, .first = first + i, .second = first + i + PAIRS});
        first += 2 * PAIRS;
    }
    for (int i = first; i < end; i++)
        add_lines(view, i);
}

static void make_rows(VitrineRegistersX86 *view)
{
    int count = (int)MIN(view->list->count, VIEW_REGISTERS), end;
    view->count = 0;
    view->columns = vitrine_rows_columns(view->rows);
    for (int first = 0; first < count; first = end) {
        int group = group_of(&view->list->reg[first]);
        for (end = first + 1; end < count && group_of(&view->list->reg[end]) == group;)
            end++;
        add_group(view, group, first, end);
    }
    vitrine_rows_set_total(view->rows, view->count, FALSE);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* In hex, with leading zeros set back, as most values are small. */
static void add_value(VitrineRows *rows, GString *row, const struct view_register *r)
{
    char text[40];
    if (r->bits > 64)
        g_snprintf(text, sizeof text, "%0*" PRIx64 "%016" PRIx64, (r->bits - 64) / 4, r->high,
                   r->value);
    else
        g_snprintf(text, sizeof text, "%0*" PRIx64, value_digits(r), r->value);
    if (r->changed) {
        vitrine_rows_span(rows, row, SPAN_CHANGED, "%s", text);
        return;
    }
    size_t zeros = strspn(text, "0");
    if (zeros == strlen(text))
        zeros--;
    vitrine_rows_span(rows, row, SPAN_DIM, "%.*s", (int)zeros, text);
    vitrine_rows_span(rows, row, SPAN_PLAIN, "%s", text + zeros);
}

static void add_pair(VitrineRegistersX86 *view, GString *row, const struct row *r)
{
    const struct view_register *a = &view->list->reg[r->first], *b = &view->list->reg[r->second];
    vitrine_rows_span(view->rows, row, SPAN_DIM, "%-4s", a->name);
    add_value(view->rows, row, a);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "  %-4s", b->name);
    add_value(view->rows, row, b);
}

static void add_single(VitrineRegistersX86 *view, GString *row, const struct row *r)
{
    const struct view_register *a = &view->list->reg[r->first];
    RowSpan words = a->changed ? SPAN_STRONG : SPAN_ACCENT;
    if (!r->continued) {
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%-*s", name_columns(a), a->name);
        add_value(view->rows, row, a);
    }
    if (r->length)
        vitrine_rows_span(view->rows, row, words, "%*s%.*s", r->continued ? INDENT : 2, "",
                          r->length, a->text + r->from);
}

static void add_heading(VitrineRegistersX86 *view, GString *row, const struct row *r)
{
    gboolean folded = is_folded(view, r->group);
    vitrine_rows_span(view->rows, row, SPAN_STRONG, "%s %s", folded ? "\u25b8" : "\u25be",
                      groups[r->group].title);
    if (folded && r->changed)
        vitrine_rows_span(view->rows, row, SPAN_CHANGED, "  %u changed", r->changed);
}

static void fill(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineRegistersX86 *view = data;
    GString *text = g_string_new(NULL);
    if (view->columns != vitrine_rows_columns(rows))
        make_rows(view); /* the pane has another width now */
    for (guint i = 0; i < count && first + i < view->count; i++) {
        const struct row *r = &view->row[first + i];
        g_string_truncate(text, 0);
        if (r->group >= 0)
            add_heading(view, text, r);
        else if (r->second >= 0)
            add_pair(view, text, r);
        else
            add_single(view, text, r);
        vitrine_rows_set(rows, i, text->str, r->group >= 0 ? ROW_HEADING : ROW_PLAIN);
    }
    g_string_free(text, TRUE);
}

static char *tooltip(VitrineRows *rows, guint visible, gpointer data)
{
    VitrineRegistersX86 *view = data;
    guint i = vitrine_rows_first(rows) + visible;
    if (i >= view->count || view->row[i].group >= 0 || view->row[i].second >= 0)
        return NULL;
    const struct view_register *r = &view->list->reg[view->row[i].first];
    return *r->text ? g_strdup_printf("%s: %s", r->name, r->text) : NULL;
}

static void on_clicked(VitrineRows *rows, guint visible, int column, VitrineRegistersX86 *view)
{
    guint i = vitrine_rows_first(rows) + visible;
    if (i < view->count && view->row[i].group >= 0) {
        GtkWidget *fold = view->fold[view->row[i].group];
        gtk_check_button_set_active(GTK_CHECK_BUTTON(fold),
                                    !gtk_check_button_get_active(GTK_CHECK_BUTTON(fold)));
    }
}

/* ---- keeping up --------------------------------------------------------------------------- */

static void show_vcpus(VitrineRegistersX86 *view)
{
    struct view_status status;
    session_status(view->session, &status);
    GtkDropDown *down = GTK_DROP_DOWN(view->vcpu);
    GListModel *model = gtk_drop_down_get_model(down);
    view->updating = TRUE;
    if (!model || g_list_model_get_n_items(model) != status.vcpus) {
        GtkStringList *names = gtk_string_list_new(NULL);
        for (unsigned i = 0; i < status.vcpus; i++)
            gtk_string_list_take(names, g_strdup_printf("vCPU %u", i));
        gtk_drop_down_set_model(down, G_LIST_MODEL(names));
        g_object_unref(names);
    }
    gtk_drop_down_set_selected(down, status.vcpu);
    gtk_widget_set_visible(view->vcpu, status.vcpus > 1);
    view->updating = FALSE;
}

void vitrine_registers_x86_refresh(VitrineRegistersX86 *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    show_vcpus(view);
    session_view_registers(view->session, view->list);
    vitrine_rows_set_header(view->rows, view->list->mode);
    make_rows(view);
    vitrine_rows_refresh(view->rows);
}

void vitrine_registers_x86_set_session(VitrineRegistersX86 *view, struct session *session)
{
    view->session = session;
    vitrine_registers_x86_refresh(view);
}

static void on_vcpu(GtkDropDown *down, GParamSpec *property, VitrineRegistersX86 *view)
{
    guint index = gtk_drop_down_get_selected(down);
    if (view->updating || !view->session || index == GTK_INVALID_LIST_POSITION)
        return;
    if (session_set_vcpu(view->session, index) == 0)
        g_signal_emit(view, vcpu_signal, 0);
}

static void on_fold(VitrineRegistersX86 *view)
{
    make_rows(view);
    vitrine_rows_refresh(view->rows);
}

/* ---- the object --------------------------------------------------------------------------- */

static GtkWidget *build_groups_menu(VitrineRegistersX86 *view)
{
    GtkWidget *button = gtk_menu_button_new(), *popover = gtk_popover_new();
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    for (guint i = 0; i < GROUPS; i++) {
        view->fold[i] = gtk_check_button_new_with_label(groups[i].title);
        gtk_check_button_set_active(GTK_CHECK_BUTTON(view->fold[i]), !groups[i].folded);
        g_signal_connect_swapped(view->fold[i], "toggled", G_CALLBACK(on_fold), view);
        gtk_box_append(GTK_BOX(box), view->fold[i]);
    }
    gtk_popover_set_child(GTK_POPOVER(popover), box);
    gtk_menu_button_set_popover(GTK_MENU_BUTTON(button), popover);
    gtk_menu_button_set_label(GTK_MENU_BUTTON(button), "Groups");
    gtk_widget_set_tooltip_text(button, "Which groups of registers are unfolded");
    return button;
}

static GtkWidget *build_strip(VitrineRegistersX86 *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    GtkWidget *title = gtk_label_new("Registers");
    gtk_widget_add_css_class(title, "heading");
    gtk_widget_set_hexpand(title, TRUE);
    gtk_label_set_xalign(GTK_LABEL(title), 0);
    gtk_box_append(GTK_BOX(strip), title);
    view->vcpu = gtk_drop_down_new(NULL, NULL);
    gtk_widget_set_tooltip_text(view->vcpu, "Whose registers, code and translation are shown");
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->vcpu), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "vCPU", -1);
    g_signal_connect(view->vcpu, "notify::selected", G_CALLBACK(on_vcpu), view);
    gtk_box_append(GTK_BOX(strip), view->vcpu);
    gtk_box_append(GTK_BOX(strip), build_groups_menu(view));
    return strip;
}

static void finalize(GObject *object)
{
    g_free(VITRINE_REGISTERS_X86(object)->list);
    G_OBJECT_CLASS(vitrine_registers_x86_parent_class)->finalize(object);
}

static void vitrine_registers_x86_class_init(VitrineRegistersX86Class *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
    vcpu_signal = g_signal_new("vcpu-chosen", VITRINE_TYPE_REGISTERS_X86, G_SIGNAL_RUN_LAST, 0,
                               NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void vitrine_registers_x86_init(VitrineRegistersX86 *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->list = g_new0(struct view_registers, 1);
    view->rows = VITRINE_ROWS(vitrine_rows_new("x86 registers"));
    gtk_box_append(GTK_BOX(view), build_strip(view));
    vitrine_rows_set_header(view->rows, "");
    vitrine_rows_set_least(view->rows, 46, 6);
    vitrine_rows_set_functions(view->rows, fill, tooltip, NULL, view);
    g_signal_connect(view->rows, "clicked", G_CALLBACK(on_clicked), view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->rows));
    g_signal_connect(view, "map", G_CALLBACK(vitrine_registers_x86_refresh), NULL);
}

GtkWidget *vitrine_registers_x86_new(void)
{
    return g_object_new(VITRINE_TYPE_REGISTERS_X86, NULL);
}
