/*
 * Registers and CSRs. Under the monitor each value stands twice: what the guest believes (virtual)
 * and what the computer has (real). What changed since the last stop is marked; a real value that
 * differs from the virtual one is coloured, because there the monitor has its hand in between.
 */
#include "gui/registers-view.h"

#include "gui/rows.h"

struct _VitrineRegistersView {
    GtkBox parent;
    GtkWidget *stack;
    VitrineRows *general, *csrs;
    struct session *session;
    struct view_hart real, virt;
};

G_DEFINE_FINAL_TYPE(VitrineRegistersView, vitrine_registers_view, GTK_TYPE_BOX)

static const char *const abi_name[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *mode_name(unsigned mode)
{
    static const char *const names[] = {"U", "S", "?", "M"};
    return names[mode & 3];
}

/* The guest's hart: the virtual one if there is one. */
static const struct view_hart *guest_hart(VitrineRegistersView *view)
{
    return view->virt.present ? &view->virt : &view->real;
}

static void add_value(VitrineRows *rows, GString *row, uint32_t value, gboolean changed,
                      gboolean differs)
{
    g_string_append_c(row, ' ');
    vitrine_rows_span(rows, row,
                      changed   ? SPAN_CHANGED
                      : differs ? SPAN_ACCENT
                                : SPAN_PLAIN,
                      "%08x", value);
}

/* Name, value, and under the monitor the real value. */
static void add_pair(VitrineRegistersView *view, VitrineRows *rows, GString *row, int name_width,
                     const char *name, uint32_t value, uint32_t real, gboolean changed,
                     gboolean real_changed)
{
    vitrine_rows_span(rows, row, SPAN_DIM, "%-*s", name_width, name);
    add_value(rows, row, value, changed, FALSE);
    if (view->virt.present)
        add_value(rows, row, real, real_changed, real != value);
}

static void add_x(VitrineRegistersView *view, GString *row, int i)
{
    const struct view_hart *h = guest_hart(view);
    add_pair(view, view->general, row, 4, abi_name[i], h->x[i], view->real.x[i],
             h->x_changed >> i & 1, view->real.x_changed >> i & 1);
}

static void add_mode(VitrineRegistersView *view, GString *row)
{
    const struct view_hart *h = guest_hart(view);
    vitrine_rows_span(view->general, row, SPAN_DIM, "  mode ");
    vitrine_rows_span(view->general, row, h->mode_changed ? SPAN_CHANGED : SPAN_STRONG, "%s",
                      mode_name(h->mode));
    if (view->virt.present)
        vitrine_rows_span(view->general, row, SPAN_ACCENT, ", real U");
    if (h->waiting)
        vitrine_rows_span(view->general, row, SPAN_STRONG, "  asleep");
}

static void general_row(VitrineRegistersView *view, guint i, GString *row)
{
    const struct view_hart *h = guest_hart(view);
    if (i == 0) {
        add_pair(view, view->general, row, 4, "pc", h->pc, view->real.pc, h->pc_changed,
                 view->real.pc_changed);
        add_mode(view, row);
    } else if (i <= 16) {
        add_x(view, row, (int)i - 1);
        g_string_append(row, "  ");
        add_x(view, row, (int)i + 15);
    } else if (i == 17) {
        vitrine_rows_span(view->general, row, SPAN_DIM, "time %" G_GUINT64_FORMAT " ticks",
                          h->mtime);
    }
}

static void fill_general(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineRegistersView *view = data;
    GString *row = g_string_new(NULL);
    for (guint i = 0; i < count; i++) {
        g_string_truncate(row, 0);
        if (guest_hart(view)->present)
            general_row(view, first + i, row);
        vitrine_rows_set(rows, i, row->str, ROW_PLAIN);
    }
    g_string_free(row, TRUE);
}

static void fill_csrs(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineRegistersView *view = data;
    const struct view_hart *h = guest_hart(view);
    GString *row = g_string_new(NULL);
    for (guint i = 0; i < count && first + i < h->csr_count; i++) {
        const struct view_csr *csr = &h->csr[first + i], *real = &view->real.csr[first + i];
        g_string_truncate(row, 0);
        vitrine_rows_span(rows, row, SPAN_DIM, "%03x ", csr->number);
        add_pair(view, rows, row, 13, csr->name, csr->value, real->value, csr->changed,
                 real->changed);
        vitrine_rows_set(rows, i, row->str, ROW_PLAIN);
    }
    g_string_free(row, TRUE);
}

/* The address space in words. */
static char *csr_tooltip(VitrineRows *rows, guint row, gpointer data)
{
    VitrineRegistersView *view = data;
    const struct view_hart *h = guest_hart(view);
    guint i = vitrine_rows_first(rows) + row;
    if (i >= h->csr_count)
        return NULL;
    const struct view_csr *csr = &h->csr[i];
    if (csr->number != 0x180)
        return g_strdup_printf("%s, for %s mode and above", csr->name, mode_name(csr->privilege));
    if (!(csr->value >> 31))
        return g_strdup("satp: translation is off");
    return g_strdup_printf("satp: Sv32, ASID %u, root table at 0x%08x", csr->value >> 22 & 0x1ff,
                           (csr->value & 0x3fffff) << 12);
}

void vitrine_registers_view_refresh(VitrineRegistersView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    session_view_hart(view->session, VIEW_REAL, &view->real);
    session_view_hart(view->session, VIEW_VIRTUAL, &view->virt);
    gboolean both = view->virt.present;
    vitrine_rows_set_header(view->general, both ? "     virtual  real          virtual  real"
                                                : "     value             value");
    vitrine_rows_set_header(view->csrs,
                            both ? "CSR               virtual  real" : "CSR               value");
    vitrine_rows_set_total(view->general, 18, FALSE);
    vitrine_rows_set_total(view->csrs, guest_hart(view)->csr_count, FALSE);
    vitrine_rows_refresh(view->general);
    vitrine_rows_refresh(view->csrs);
}

void vitrine_registers_view_set_session(VitrineRegistersView *view, struct session *session)
{
    view->session = session;
    vitrine_registers_view_refresh(view);
}

static void vitrine_registers_view_class_init(VitrineRegistersViewClass *class) {}

static void vitrine_registers_view_init(VitrineRegistersView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->stack = gtk_stack_new();
    view->general = VITRINE_ROWS(vitrine_rows_new("Registers"));
    view->csrs = VITRINE_ROWS(vitrine_rows_new("Control and status registers"));
    vitrine_rows_set_least(view->general, 46, 6);
    vitrine_rows_set_functions(view->general, fill_general, NULL, NULL, view);
    vitrine_rows_set_functions(view->csrs, fill_csrs, csr_tooltip, NULL, view);
    gtk_stack_add_titled(GTK_STACK(view->stack), GTK_WIDGET(view->general), "general", "Registers");
    gtk_stack_add_titled(GTK_STACK(view->stack), GTK_WIDGET(view->csrs), "csrs", "CSRs");
    GtkWidget *switcher = gtk_stack_switcher_new();
    gtk_stack_switcher_set_stack(GTK_STACK_SWITCHER(switcher), GTK_STACK(view->stack));
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    gtk_box_append(GTK_BOX(strip), switcher);
    gtk_box_append(GTK_BOX(view), strip);
    gtk_box_append(GTK_BOX(view), view->stack);
    g_signal_connect_swapped(view->stack, "notify::visible-child",
                             G_CALLBACK(vitrine_registers_view_refresh), view);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_registers_view_refresh), NULL);
}

GtkWidget *vitrine_registers_view_new(void)
{
    return g_object_new(VITRINE_TYPE_REGISTERS_VIEW, NULL);
}
