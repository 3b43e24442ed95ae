/*
 * The exit log. The session keeps the last exits; this pane asks for those that are visible, so a
 * guest that exits a million times a second costs no more than one that does not.
 *
 * A simulated guest's exit has an instruction and a cost; an x86 guest's a port or an address, what
 * went through it, the device behind it and the time that the monitor took.
 */
#include "gui/exits-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/rows.h"

enum { KEPT = 4096, MOST = 160, DETAIL_ROWS = 5 };

struct _VitrineExitsView {
    GtkBox parent;
    VitrineRows *log, *details;
    struct session *session;
    gboolean bare, x86, vcpus;
    uint64_t total, base;   /* base: seq of row 0, less one */
    struct view_exit *exit; /* MOST */
    int count;
    struct view_exit chosen; /* seq 0: none */
};

G_DEFINE_FINAL_TYPE(VitrineExitsView, vitrine_exits_view, GTK_TYPE_BOX)

static guint chosen_signal;

static const char *mode_name(unsigned mode)
{
    static const char *const names[] = {"U", "S", "?", "M"};
    return names[mode & 3];
}

/* ---- the log ------------------------------------------------------------------------------ */

/* Without the 0x where it would not fit with it. */
static char *shortened(const char *text, int columns)
{
    GString *out = g_string_new(text);
    if ((int)strlen(text) > columns)
        g_string_replace(out, "0x", "", 0);
    return g_string_free(out, FALSE);
}

/* An exit for an interrupt, or for a fetch that failed, has no instruction. */
static const char *instruction_text(const struct view_exit *e)
{
    return e->insn ? e->text : e->cause >> 31 ? "-" : "(fetch)";
}

static void add_exit(VitrineExitsView *view, const struct view_exit *e, GString *row)
{
    int action = vitrine_rows_columns(view->log) - 62 + (view->bare ? 5 : 0);
    char *text = shortened(e->action, action);
    vitrine_rows_span(view->log, row, SPAN_DIM, "%5" G_GUINT64_FORMAT " ", e->seq);
    vitrine_rows_span(view->log, row, SPAN_PLAIN, "%08" PRIx64 " ", e->pc);
    vitrine_rows_span(view->log, row, SPAN_ACCENT, "%-16.16s ", e->reason_name);
    vitrine_rows_span(view->log, row, SPAN_PLAIN, "%-24.24s ", instruction_text(e));
    if (!view->bare)
        vitrine_rows_span(view->log, row, SPAN_DIM, "%4u ", e->cost);
    vitrine_rows_span(view->log, row, SPAN_PLAIN, "%s", text);
    g_free(text);
}

/* Above 4 GiB an address needs all of its digits. */
static int address_digits(VitrineExitsView *view)
{
    for (int i = 0; i < view->count; i++)
        if (view->exit[i].pc > UINT32_MAX)
            return 16;
    return 8;
}

static const char *x86_access(const struct view_exit *e)
{
    gboolean port = e->cause == 2; /* KVM_EXIT_IO */
    return !e->access ? "" : e->access == 'w' ? port ? "out" : "store" : port ? "in" : "load";
}

static void add_x86_exit(VitrineExitsView *view, const struct view_exit *e, GString *row)
{
    VitrineRows *rows = view->log;
    char address[24] = "", data[24] = "";
    if (e->access) {
        g_snprintf(address, sizeof address, "0x%" PRIx64, e->tval);
        g_snprintf(data, sizeof data, "%0*" PRIx64, 2 * MIN(e->size, 8), e->data);
    }
    vitrine_rows_span(rows, row, SPAN_DIM, "%7" G_GUINT64_FORMAT " ", e->seq);
    if (view->vcpus)
        vitrine_rows_span(rows, row, SPAN_DIM, "%4u ", e->vcpu);
    vitrine_rows_span(rows, row, SPAN_PLAIN, "%0*" PRIx64 " ", address_digits(view), e->pc);
    vitrine_rows_span(rows, row, SPAN_ACCENT, "%-14.14s ", e->reason_name);
    vitrine_rows_span(rows, row, SPAN_PLAIN, "%-5s %-10s %-8s ", x86_access(e), address, data);
    vitrine_rows_span(rows, row, SPAN_DIM, "%8.1f ", (double)e->ns / 1e3);
    vitrine_rows_span(rows, row, SPAN_PLAIN, "%s", e->action);
}

/* Fits the rows that are there now: as wide as their addresses. */
static void set_header(VitrineExitsView *view)
{
    char x86[160];
    const char *text =
        "  seq pc       reason           instruction              cost what the monitor did";
    if (view->bare)
        text = "  seq pc       kind             instruction              trap";
    if (view->x86) {
        g_snprintf(x86, sizeof x86,
                   "    seq %s%-*s reason         what  address    data           \u00b5s device",
                   view->vcpus ? "vCPU " : "", address_digits(view), "rip");
        text = x86;
    }
    vitrine_rows_set_header(view->log, text);
}

static void fill_log(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineExitsView *view = data;
    GString *row = g_string_new(NULL);
    view->count = 0;
    if (view->session && view->total)
        view->count =
            session_exits(view->session, view->base + first, view->exit, (int)MIN(count, MOST));
    set_header(view);
    if (!view->total) {
        vitrine_rows_span(rows, row, SPAN_DIM, "%s",
                          view->bare ? "No traps yet: run, or press F10 to step to the next one."
                                     : "No exits yet: run, or press F10 to step to the next one.");
        vitrine_rows_set(rows, 0, row->str, ROW_PLAIN);
    } else if (!view->count) {
        vitrine_rows_span(rows, row, SPAN_DIM,
                          "%s before this moment are counted, but not listed; F10 steps to the "
                          "next one.",
                          view->bare ? "Traps" : "Exits");
        vitrine_rows_set(rows, 0, row->str, ROW_PLAIN);
    }
    for (int i = 0; i < view->count; i++) {
        g_string_truncate(row, 0);
        if (view->x86)
            add_x86_exit(view, &view->exit[i], row);
        else
            add_exit(view, &view->exit[i], row);
        vitrine_rows_set(rows, (guint)i, row->str,
                         view->exit[i].seq == view->chosen.seq ? ROW_SELECTED
                         : view->exit[i].seq == view->total    ? ROW_CURRENT
                                                               : ROW_PLAIN);
    }
    g_string_free(row, TRUE);
}

static char *log_tooltip(VitrineRows *rows, guint row, gpointer data)
{
    VitrineExitsView *view = data;
    if ((int)row >= view->count)
        return NULL;
    const struct view_exit *e = &view->exit[row];
    return g_strdup_printf("%s at 0x%08" PRIx64 "\n%s\n%s", e->reason_name, e->pc, e->text,
                           e->action);
}

/* ---- the one that is chosen --------------------------------------------------------------- */

static void detail_row(VitrineExitsView *view, guint i, GString *row)
{
    static const char *const changes[] = {"", "filled", "upgraded", "dropped"};
    const struct view_exit *e = &view->chosen;
    VitrineRows *rows = view->details;
    switch (i) {
    case 0:
        vitrine_rows_span(rows, row, SPAN_STRONG, "%s %" G_GUINT64_FORMAT ": %s",
                          view->bare ? "Trap" : "Exit", e->seq, e->reason_name);
        vitrine_rows_span(rows, row, SPAN_DIM,
                          "  at instruction %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                          " after the one before",
                          e->instruction, e->since);
        break;
    case 1:
        vitrine_rows_span(rows, row, SPAN_DIM, "guest  ");
        vitrine_rows_span(rows, row, SPAN_PLAIN, "pc %08" PRIx64 " in %s mode: %s", e->pc,
                          mode_name(e->mode), instruction_text(e));
        if (e->insn)
            vitrine_rows_span(rows, row, SPAN_DIM, "  (%08x)", e->insn);
        break;
    case 2:
        vitrine_rows_span(rows, row, SPAN_DIM, "cause  ");
        vitrine_rows_span(rows, row, SPAN_PLAIN, "real mcause %08x, mtval %08" PRIx64, e->cause,
                          e->tval);
        if (!view->bare)
            vitrine_rows_span(rows, row, SPAN_PLAIN, ", cost %u instructions", e->cost);
        break;
    case 3:
        vitrine_rows_span(rows, row, SPAN_DIM, "action ");
        vitrine_rows_span(rows, row, SPAN_PLAIN, "%s", e->action);
        break;
    case 4:
        if (e->shadow.kind == SHADOW_NONE || e->shadow.kind > SHADOW_DROPPED)
            break;
        vitrine_rows_span(rows, row, SPAN_DIM, "shadow ");
        if (e->shadow.count == 1)
            vitrine_rows_span(rows, row, SPAN_PLAIN,
                              "%s %08" PRIx64 ": %08" PRIx64 " -> %08" PRIx64 ", %s",
                              changes[e->shadow.kind], e->shadow.va, e->shadow.pte_old,
                              e->shadow.pte_new, e->shadow.reason);
        else
            vitrine_rows_span(rows, row, SPAN_PLAIN, "%s %u entries: %s", changes[e->shadow.kind],
                              e->shadow.count, e->shadow.reason);
        break;
    }
}

/* What the reason means comes with the counts. */
static void add_meaning(VitrineExitsView *view, GString *row)
{
    struct view_exit_stats *stats = g_new(struct view_exit_stats, 1);
    session_exit_stats(view->session, stats);
    for (unsigned i = 0; i < stats->count; i++)
        if (strcmp(stats->by_reason[i].name, view->chosen.reason_name) == 0)
            vitrine_rows_span(view->details, row, SPAN_PLAIN, "%s", stats->by_reason[i].meaning);
    g_free(stats);
}

static void x86_detail_row(VitrineExitsView *view, guint i, GString *row)
{
    const struct view_exit *e = &view->chosen;
    VitrineRows *rows = view->details;
    static const char *const names[] = {"", "guest  ", "access ", "action ", "means  "};
    vitrine_rows_span(rows, row, SPAN_DIM, "%s", names[i]);
    switch (i) {
    case 0:
        vitrine_rows_span(rows, row, SPAN_STRONG, "Exit %" G_GUINT64_FORMAT ": %s", e->seq,
                          e->reason_name);
        vitrine_rows_span(rows, row, SPAN_DIM, "  the monitor took %.1f \u00b5s",
                          (double)e->ns / 1e3);
        break;
    case 1:
        vitrine_rows_span(rows, row, SPAN_PLAIN, "vCPU %u at rip %08" PRIx64, e->vcpu, e->pc);
        break;
    case 2: vitrine_rows_span(rows, row, SPAN_PLAIN, "%s", *e->text ? e->text : "-"); break;
    case 3: vitrine_rows_span(rows, row, SPAN_PLAIN, "%s", e->action); break;
    case 4: add_meaning(view, row); break;
    }
}

static void fill_details(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineExitsView *view = data;
    GString *row = g_string_new(NULL);
    for (guint i = 0; i < count && view->chosen.seq; i++) {
        g_string_truncate(row, 0);
        if (view->x86)
            x86_detail_row(view, first + i, row);
        else
            detail_row(view, first + i, row);
        vitrine_rows_set(rows, i, row->str, ROW_PLAIN);
    }
    g_string_free(row, TRUE);
}

/* The virtual address that an exit is about: of a page or access fault mtval, else the instruction
 * (of x86 always, where the other address is a port or physical). */
static uint64_t subject(VitrineExitsView *view, const struct view_exit *e, char *access)
{
    switch (view->x86 ? 0 : e->cause) {
    case 5:
    case 13: *access = 'r'; return e->tval;
    case 7:
    case 15: *access = 'w'; return e->tval;
    case 1:
    case 12: *access = 'x'; return e->tval;
    default: *access = 'x'; return e->pc;
    }
}

static void choose(VitrineExitsView *view, const struct view_exit *e)
{
    char access = 0;
    uint64_t va = 0;
    gboolean again = !e || e->seq == view->chosen.seq;
    view->chosen = again ? (struct view_exit){0} : *e;
    gtk_widget_set_visible(GTK_WIDGET(view->details), view->chosen.seq != 0);
    if (view->chosen.seq)
        va = subject(view, &view->chosen, &access);
    vitrine_rows_refresh(view->log);
    vitrine_rows_refresh(view->details);
    g_signal_emit(view, chosen_signal, 0, va, (int)access);
}

static void on_clicked(VitrineRows *rows, guint row, int column, VitrineExitsView *view)
{
    if ((int)row < view->count)
        choose(view, &view->exit[row]);
}

static void on_details_clicked(VitrineRows *rows, guint row, int column, VitrineExitsView *view)
{
    choose(view, NULL);
}

/* ---- keeping up --------------------------------------------------------------------------- */

void vitrine_exits_view_refresh(VitrineExitsView *view)
{
    struct view_status status;
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    session_status(view->session, &status);
    view->total = status.exits;
    view->bare = !status.under_monitor;
    view->base = view->total > KEPT ? view->total - KEPT : 0;
    view->x86 = status.isa == ISA_X86;
    view->vcpus = status.vcpus > 1;
    vitrine_rows_set_total(view->log, (guint)(view->total - view->base), TRUE);
    vitrine_rows_refresh(view->log);
}

void vitrine_exits_view_set_session(VitrineExitsView *view, struct session *session)
{
    view->session = session;
    view->count = 0;
    view->chosen.seq = 0;
    gtk_widget_set_visible(GTK_WIDGET(view->details), FALSE);
    vitrine_exits_view_refresh(view);
}

static void finalize(GObject *object)
{
    g_free(VITRINE_EXITS_VIEW(object)->exit);
    G_OBJECT_CLASS(vitrine_exits_view_parent_class)->finalize(object);
}

static void vitrine_exits_view_class_init(VitrineExitsViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
    chosen_signal = g_signal_new("chosen", VITRINE_TYPE_EXITS_VIEW, G_SIGNAL_RUN_LAST, 0, NULL,
                                 NULL, NULL, G_TYPE_NONE, 2, G_TYPE_UINT64, G_TYPE_INT);
}

static void vitrine_exits_view_init(VitrineExitsView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->exit = g_new0(struct view_exit, MOST);
    view->log = VITRINE_ROWS(vitrine_rows_new("Exit log"));
    vitrine_rows_set_header(view->log, "");
    vitrine_rows_set_least(view->log, 60, 4);
    vitrine_rows_set_functions(view->log, fill_log, log_tooltip, NULL, view);
    g_signal_connect(view->log, "clicked", G_CALLBACK(on_clicked), view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->log));
    view->details = VITRINE_ROWS(vitrine_rows_new("Details of the exit"));
    gtk_widget_add_css_class(GTK_WIDGET(view->details), "details");
    gtk_widget_set_vexpand(GTK_WIDGET(view->details), FALSE);
    vitrine_rows_set_least(view->details, 60, DETAIL_ROWS);
    vitrine_rows_set_functions(view->details, fill_details, NULL, NULL, view);
    vitrine_rows_set_total(view->details, DETAIL_ROWS, FALSE);
    gtk_widget_set_visible(GTK_WIDGET(view->details), FALSE);
    gtk_widget_set_tooltip_text(GTK_WIDGET(view->details), "Click to close");
    g_signal_connect(view->details, "clicked", G_CALLBACK(on_details_clicked), view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->details));
    g_signal_connect(view, "map", G_CALLBACK(vitrine_exits_view_refresh), NULL);
}

GtkWidget *vitrine_exits_view_new(void)
{
    return g_object_new(VITRINE_TYPE_EXITS_VIEW, NULL);
}
