/*
 * Devices and TLB. Both are made anew at each refresh as an array of rows of markup, which is
 * small: some hundred at most.
 */
#include "gui/list-view.h"

#include <inttypes.h>

#include "gui/rows.h"

struct row {
    char *markup;
    RowLook look;
    char *tooltip;
};

struct _VitrineListView {
    GtkBox parent;
    enum list_kind kind;
    VitrineRows *rows;
    struct session *session;
    GArray *list; /* of struct row */
    struct view_devices *devices;
    struct view_tlb *tlb;
};

G_DEFINE_FINAL_TYPE(VitrineListView, vitrine_list_view, GTK_TYPE_BOX)

static void clear_row(gpointer data)
{
    struct row *row = data;
    g_free(row->markup);
    g_free(row->tooltip);
}

/* Takes the markup and the tooltip. */
static void add(VitrineListView *view, GString *markup, RowLook look, char *tooltip)
{
    struct row row = {g_string_free(markup, FALSE), look, tooltip};
    g_array_append_val(view->list, row);
}

/* ---- devices ------------------------------------------------------------------------------ */

static void add_device(VitrineListView *view, const struct view_device *d)
{
    GString *row = g_string_new(NULL);
    vitrine_rows_span(view->rows, row, SPAN_STRONG, "%s", d->name);
    if (d->ports)
        vitrine_rows_span(view->rows, row, SPAN_DIM, "  ports 0x%03" PRIx64 "..0x%03" PRIx64,
                          d->base, d->base + d->size - 1);
    else
        vitrine_rows_span(view->rows, row, SPAN_DIM, "  0x%08" PRIx64 "..0x%08" PRIx64, d->base,
                          d->base + d->size - 1);
    if (d->irq)
        vitrine_rows_span(view->rows, row, SPAN_DIM, "  interrupt %d", d->irq);
    vitrine_rows_span(view->rows, row, SPAN_ACCENT, "  %s", d->about);
    add(view, row, ROW_HEADING, g_strdup(d->about));
    for (unsigned i = 0; i < d->count && i < VIEW_DEVICE_REGS; i++) {
        const struct view_device_register *r = &d->reg[i];
        row = g_string_new(NULL);
        vitrine_rows_span(view->rows, row, SPAN_DIM, "  +%06x  ", r->offset);
        vitrine_rows_span(view->rows, row, SPAN_PLAIN, "%-18s ", r->name);
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%-2s  ", r->access);
        if (r->access[0] == 'w')
            vitrine_rows_span(view->rows, row, SPAN_DIM, "%*s", 8, "-");
        else
            vitrine_rows_span(view->rows, row, SPAN_STRONG, "%*s%0*" PRIx64,
                              8 - 2 * MIN(r->size, 4), "", 2 * MIN(r->size, 4), r->value);
        vitrine_rows_span(view->rows, row, SPAN_PLAIN, "  %s", r->meaning);
        add(view, row, ROW_PLAIN, g_strdup_printf("%s: %s", r->name, r->meaning));
    }
}

static void take_devices(VitrineListView *view)
{
    session_view_devices(view->session, view->devices);
    for (unsigned i = 0; i < view->devices->count && i < VIEW_DEVICES; i++)
        add_device(view, &view->devices->device[i]);
}

/* ---- TLB ---------------------------------------------------------------------------------- */

static void add_tlb_entry(VitrineListView *view, const struct view_tlb_entry *e)
{
    static const char letters[] = "vrwxugad";
    static const char modes[] = "US?M";
    GString *row = g_string_new(NULL);
    char bits[9] = {0};
    for (int i = 0; i < 8; i++)
        bits[7 - i] = e->permissions >> i & 1 ? letters[i] : '-';
    vitrine_rows_span(view->rows, row, SPAN_PLAIN, "%08" PRIx64 "  %08" PRIx64 "  ", e->va, e->pa);
    vitrine_rows_span(view->rows, row, SPAN_ACCENT, "%s  ", bits);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "%c     ", modes[e->mode & 3]);
    if (e->satp)
        vitrine_rows_span(view->rows, row, SPAN_DIM, "root %08x, ASID %u",
                          (e->satp & 0x3fffff) << 12, e->satp >> 22 & 0x1ff);
    else
        vitrine_rows_span(view->rows, row, SPAN_DIM, "translation off");
    add(view, row, ROW_PLAIN, NULL);
}

static void take_tlb(VitrineListView *view)
{
    session_view_tlb(view->session, view->tlb);
    GString *row = g_string_new(NULL);
    vitrine_rows_span(view->rows, row, SPAN_STRONG, "%u entries", view->tlb->count);
    vitrine_rows_span(view->rows, row, SPAN_DIM, ", %" G_GUINT64_FORMAT " misses so far",
                      view->tlb->misses);
    add(view, row, ROW_HEADING, NULL);
    for (unsigned i = 0; i < view->tlb->count && i < VIEW_TLB; i++)
        add_tlb_entry(view, &view->tlb->entry[i]);
}

/* ---- rows --------------------------------------------------------------------------------- */

static void fill(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineListView *view = data;
    for (guint i = 0; i < count && first + i < view->list->len; i++) {
        const struct row *row = &g_array_index(view->list, struct row, first + i);
        vitrine_rows_set(rows, i, row->markup, row->look);
    }
}

static char *tooltip(VitrineRows *rows, guint visible_row, gpointer data)
{
    VitrineListView *view = data;
    guint i = vitrine_rows_first(rows) + visible_row;
    return i < view->list->len ? g_strdup(g_array_index(view->list, struct row, i).tooltip) : NULL;
}

void vitrine_list_view_refresh(VitrineListView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    g_array_set_size(view->list, 0);
    if (view->kind == LIST_DEVICES)
        take_devices(view);
    else
        take_tlb(view);
    vitrine_rows_set_total(view->rows, view->list->len, FALSE);
    vitrine_rows_refresh(view->rows);
}

void vitrine_list_view_set_session(VitrineListView *view, struct session *session)
{
    view->session = session;
    vitrine_list_view_refresh(view);
}

static void finalize(GObject *object)
{
    VitrineListView *view = VITRINE_LIST_VIEW(object);
    g_array_unref(view->list);
    g_free(view->devices);
    g_free(view->tlb);
    G_OBJECT_CLASS(vitrine_list_view_parent_class)->finalize(object);
}

static void vitrine_list_view_class_init(VitrineListViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void vitrine_list_view_init(VitrineListView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->devices = g_new0(struct view_devices, 1);
    view->tlb = g_new0(struct view_tlb, 1);
    view->list = g_array_new(FALSE, FALSE, sizeof(struct row));
    g_array_set_clear_func(view->list, clear_row);
}

GtkWidget *vitrine_list_view_new(enum list_kind kind)
{
    VitrineListView *view = g_object_new(VITRINE_TYPE_LIST_VIEW, NULL);
    view->kind = kind;
    view->rows = VITRINE_ROWS(vitrine_rows_new(kind == LIST_DEVICES ? "Devices" : "TLB"));
    vitrine_rows_set_header(view->rows, kind == LIST_DEVICES
                                            ? "  offset   register           rw     value  meaning"
                                            : "page      frame     rights    mode  address space");
    vitrine_rows_set_functions(view->rows, fill, tooltip, NULL, view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->rows));
    g_signal_connect(view, "map", G_CALLBACK(vitrine_list_view_refresh), NULL);
    return GTK_WIDGET(view);
}
