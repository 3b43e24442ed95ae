/*
 * Differences of two snapshots as rows: a heading for each part of the state, values as "old ->
 * new" below it, ranges of memory and disk as addresses.
 */
#include "gui/differences-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/rows.h"

struct row {
    char *markup;
    RowLook look;
};

struct _VitrineDifferencesView {
    GtkBox parent;
    VitrineRows *rows;
    GArray *list; /* of struct row */
    struct view_differences *differences;
};

G_DEFINE_FINAL_TYPE(VitrineDifferencesView, vitrine_differences_view, GTK_TYPE_BOX)

static void clear_row(gpointer data)
{
    g_free(((struct row *)data)->markup);
}

/* Takes the markup. */
static void add(VitrineDifferencesView *view, GString *markup, RowLook look)
{
    struct row row = {g_string_free(markup, FALSE), look};
    g_array_append_val(view->list, row);
}

static void add_text(VitrineDifferencesView *view, RowSpan span, RowLook look, const char *text)
{
    GString *row = g_string_new(NULL);
    vitrine_rows_span(view->rows, row, span, "%s", text);
    add(view, row, look);
}

/* ---- rows --------------------------------------------------------------------------------- */

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void add_summary(VitrineDifferencesView *view, const char *a, const char *b)
{
    const struct view_differences *d = view->differences;
    uint64_t values = d->total[DIFFERENCE_VALUE] + d->total[DIFFERENCE_PIECE];
    GString *row = g_string_new(NULL);
    vitrine_rows_span(view->rows, row, SPAN_STRONG, "%s \u2192 %s", a, b);
    add(view, row, ROW_HEADING);
    row = g_string_new(NULL);
    vitrine_rows_span(
        view->rows, row, SPAN_DIM,
        "%" PRIu64 " value%s, %" PRIu64 " page%s of memory, %" PRIu64 " block%s of the disk",
        values, plural(values), d->pages, plural(d->pages), d->blocks, plural(d->blocks));
    add(view, row, ROW_PLAIN);
}

static void add_heading(VitrineDifferencesView *view, const struct view_difference *d)
{
    add_text(view, SPAN_STRONG, ROW_HEADING,
             d->kind == DIFFERENCE_MEMORY ? "memory"
             : d->kind == DIFFERENCE_DISK ? "disk"
                                          : d->part);
}

static void add_difference(VitrineDifferencesView *view, const struct view_difference *d)
{
    GString *row = g_string_new("  ");
    uint64_t pages = (d->b - d->a) / 4096 + 1;
    switch (d->kind) {
    case DIFFERENCE_VALUE:
        vitrine_rows_span(view->rows, row, SPAN_PLAIN, "%-16s ", d->name);
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%10" PRIx64 " \u2192 ", d->a);
        vitrine_rows_span(view->rows, row, SPAN_CHANGED, "%" PRIx64, d->b);
        break;
    case DIFFERENCE_MEMORY:
    case DIFFERENCE_DISK:
        vitrine_rows_span(view->rows, row, SPAN_PLAIN, "%08" PRIx64 "..%08" PRIx64, d->a, d->b);
        vitrine_rows_span(view->rows, row, SPAN_DIM, "  %" PRIu64 " %s%s", pages,
                          d->kind == DIFFERENCE_DISK ? "block" : "page", plural(pages));
        break;
    default:
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%s",
                          d->kind == DIFFERENCE_PIECE ? "differs" : "is not in both of them");
    }
    add(view, row, ROW_PLAIN);
}

/* Behind the last one of a kind that the view has: how many it has not. */
static void add_left(VitrineDifferencesView *view, enum view_difference_kind kind)
{
    const struct view_differences *d = view->differences;
    uint64_t shown = 0;
    for (unsigned i = 0; i < d->count; i++)
        shown += d->difference[i].kind == kind;
    if (d->total[kind] == shown)
        return;
    GString *row = g_string_new(NULL);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "  and %" PRIu64 " more", d->total[kind] - shown);
    add(view, row, ROW_PLAIN);
}

static void make_rows(VitrineDifferencesView *view, const char *a, const char *b)
{
    const struct view_differences *d = view->differences;
    const char *part = "";
    if (!d->count) {
        add_text(view, SPAN_DIM, ROW_PLAIN, "They are equal.");
        return;
    }
    add_summary(view, a, b);
    for (unsigned i = 0; i < d->count; i++) {
        const struct view_difference *one = &d->difference[i];
        if (strcmp(one->part, part) != 0)
            add_heading(view, one);
        part = one->part;
        add_difference(view, one);
        if (i + 1 == d->count || d->difference[i + 1].kind != one->kind)
            add_left(view, one->kind);
    }
}

/* ---- showing ------------------------------------------------------------------------------ */

static void begin(VitrineDifferencesView *view)
{
    g_array_set_size(view->list, 0);
}

static void end(VitrineDifferencesView *view)
{
    vitrine_rows_set_total(view->rows, view->list->len, FALSE);
    vitrine_rows_scroll_to(view->rows, 0);
    vitrine_rows_refresh(view->rows);
}

void vitrine_differences_view_say(VitrineDifferencesView *view, const char *text)
{
    begin(view);
    add_text(view, SPAN_DIM, ROW_PLAIN, text);
    end(view);
}

void vitrine_differences_view_show(VitrineDifferencesView *view, struct session *session, int a,
                                   const char *a_name, int b, const char *b_name)
{
    char why[SESSION_ERROR];
    if (session_snapshot_diff(session, a, b, view->differences, why)) {
        vitrine_differences_view_say(view, why);
        return;
    }
    begin(view);
    make_rows(view, a_name, b_name);
    end(view);
}

/* ---- the object --------------------------------------------------------------------------- */

static void fill(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineDifferencesView *view = data;
    for (guint i = 0; i < count && first + i < view->list->len; i++) {
        const struct row *row = &g_array_index(view->list, struct row, first + i);
        vitrine_rows_set(rows, i, row->markup, row->look);
    }
}

static void finalize(GObject *object)
{
    VitrineDifferencesView *view = VITRINE_DIFFERENCES_VIEW(object);
    g_array_unref(view->list);
    g_free(view->differences);
    G_OBJECT_CLASS(vitrine_differences_view_parent_class)->finalize(object);
}

static void vitrine_differences_view_class_init(VitrineDifferencesViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void vitrine_differences_view_init(VitrineDifferencesView *view)
{
    view->differences = g_new0(struct view_differences, 1);
    view->list = g_array_new(FALSE, FALSE, sizeof(struct row));
    g_array_set_clear_func(view->list, clear_row);
    view->rows = VITRINE_ROWS(vitrine_rows_new("Differences"));
    vitrine_rows_set_functions(view->rows, fill, NULL, NULL, view);
    vitrine_rows_set_least(view->rows, 36, 4);
    gtk_widget_set_hexpand(GTK_WIDGET(view->rows), TRUE);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->rows));
}

GtkWidget *vitrine_differences_view_new(void)
{
    return g_object_new(VITRINE_TYPE_DIFFERENCES_VIEW, NULL);
}
