/*
 * The disassembly. Headings name the symbols, lines of source stand above the instructions made
 * from them where the guest has debug information and the source file can be read. A click into the
 * gutter sets or removes a breakpoint; instructions that trap to the monitor stand out.
 */
#include "gui/code-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/lookup.h"
#include "gui/rows.h"

enum {
    MOST = 160,
    BEFORE = 5,
    GUTTER = 3,
    LONGEST = 15,
    FEW_BYTES = 3,
    SOME_BYTES = 5,
    MANY_BYTES = 8,
    WIDE = 62
};

struct _VitrineCodeView {
    GtkBox parent;
    VitrineRows *rows;
    GtkEntry *entry;
    struct session *session;
    GHashTable *sources;    /* path -> lines, or an empty vector if it cannot be read */
    struct view_insn *insn; /* MOST */
    int count;
    int insn_of_row[MOST]; /* -1: a heading */
    uint64_t top, pc, shown_end;
    gboolean x86; /* instructions are of 1 to 15 bytes */
};

G_DEFINE_FINAL_TYPE(VitrineCodeView, vitrine_code_view, GTK_TYPE_BOX)

/* ---- source lines ------------------------------------------------------------------------- */

static char **source_lines(VitrineCodeView *view, const char *path)
{
    char **lines = g_hash_table_lookup(view->sources, path);
    char *text = NULL;
    gsize length = 0;
    if (lines)
        return lines;
    if (g_file_test(path, G_FILE_TEST_IS_REGULAR) &&
        g_file_get_contents(path, &text, &length, NULL) && length < 1 << 20 &&
        g_utf8_validate(text, (gssize)length, NULL))
        lines = g_strsplit(text, "\n", -1);
    else
        lines = g_new0(char *, 1);
    g_free(text);
    g_hash_table_insert(view->sources, g_strdup(path), lines);
    return lines;
}

static void add_source(VitrineCodeView *view, const struct view_insn *insn, GString *row)
{
    char **lines = source_lines(view, insn->file);
    char *base = g_path_get_basename(insn->file);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "   %s:%d", base, insn->line);
    if ((guint)insn->line <= g_strv_length(lines)) {
        char *text = g_strstrip(g_strdup(lines[insn->line - 1]));
        g_strdelimit(text, "\t", ' ');
        vitrine_rows_span(view->rows, row, SPAN_ACCENT, "  %s", text);
        g_free(text);
    }
    g_free(base);
}

/* What is no instruction at all would trap, too; but it is most likely data. */
static gboolean is_sensitive(const struct view_insn *insn)
{
    return insn->sensitive && insn->text[0] != '.';
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Do addresses need all of their 16 digits? */
static gboolean is_wide(VitrineCodeView *view)
{
    return view->count && view->insn[view->count - 1].va > UINT32_MAX;
}

/* As they stand in memory; those that there is no room for are a plus sign. */
static void add_bytes(VitrineCodeView *view, const struct view_insn *insn, GString *row)
{
    char text[2 * LONGEST + 2] = "";
    gboolean narrow = vitrine_rows_columns(view->rows) < WIDE;
    guint room = !narrow ? MANY_BYTES : is_wide(view) ? FEW_BYTES : SOME_BYTES;
    guint count = MIN(insn->length, LONGEST), shown = MIN(count, room);
    for (guint i = 0; i < shown; i++)
        g_snprintf(text + 2 * i, 3, "%02x", insn->bytes[i]);
    if (count > room)
        g_strlcat(text, "+", sizeof text);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "%-*s ", (int)(2 * room + 1), text);
}

static void add_insn(VitrineCodeView *view, const struct view_insn *insn, GString *row)
{
    gboolean current = insn->va == view->pc;
    vitrine_rows_span(view->rows, row, SPAN_FAULT, "%s", insn->breakpoint ? "\u25cf" : " ");
    vitrine_rows_span(view->rows, row, SPAN_STRONG, "%s ", current ? "\u25b6" : " ");
    vitrine_rows_span(view->rows, row, current ? SPAN_STRONG : SPAN_DIM, "%0*" PRIx64 "  ",
                      is_wide(view) ? 16 : 8, insn->va);
    if (!insn->readable) {
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%s", insn->text);
        return;
    }
    if (view->x86)
        add_bytes(view, insn, row);
    else
        vitrine_rows_span(view->rows, row, SPAN_DIM, "%08x  ", insn->word);
    vitrine_rows_span(view->rows, row,
                      is_sensitive(insn) ? SPAN_SENSITIVE
                      : current          ? SPAN_STRONG
                                         : SPAN_PLAIN,
                      "%s", insn->text);
}

static gboolean same_line(const struct view_insn *a, const struct view_insn *b)
{
    return a->line == b->line && strcmp(a->file, b->file) == 0;
}

static void set_row(VitrineCodeView *view, guint row, int insn, GString *markup, RowLook look)
{
    view->insn_of_row[row] = insn;
    vitrine_rows_set(view->rows, row, markup->str, look);
    g_string_truncate(markup, 0);
}

static void fill(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineCodeView *view = data;
    GString *markup = g_string_new(NULL);
    guint row = 0;
    count = MIN(count, MOST);
    view->count =
        view->session ? session_disassemble(view->session, view->top, view->insn, (int)count) : 0;
    for (int i = 0; i < view->count && row < count; i++) {
        const struct view_insn *insn = &view->insn[i];
        if (insn->symbol_start || (i == 0 && insn->symbol[0])) {
            vitrine_rows_span(rows, markup, SPAN_STRONG, "   %s:", insn->symbol);
            set_row(view, row++, -1, markup, ROW_HEADING);
        }
        if (insn->line && row < count && (i == 0 || !same_line(insn, insn - 1))) {
            add_source(view, insn, markup);
            set_row(view, row++, -1, markup, ROW_PLAIN);
        }
        if (row < count) {
            add_insn(view, insn, markup);
            set_row(view, row++, i, markup, insn->va == view->pc ? ROW_CURRENT : ROW_PLAIN);
            view->shown_end = insn->va + insn->length;
        }
    }
    for (; row < count; row++)
        set_row(view, row, -1, markup, ROW_PLAIN);
    g_string_free(markup, TRUE);
}

static char *tooltip(VitrineRows *rows, guint row, gpointer data)
{
    VitrineCodeView *view = data;
    int i = row < MOST ? view->insn_of_row[row] : -1;
    if (i < 0 || i >= view->count || !view->insn[i].readable)
        return NULL;
    const struct view_insn *insn = &view->insn[i];
    GString *text = g_string_new(insn->text);
    if (view->x86) {
        g_string_append_c(text, '\n');
        for (guint k = 0; k < insn->length && k < LONGEST; k++)
            g_string_append_printf(text, "%s%02x", k ? " " : "", insn->bytes[k]);
    }
    if (*insn->meaning || !view->x86)
        g_string_append_printf(text, "\n%s", insn->meaning);
    if (is_sensitive(insn) && !view->x86)
        g_string_append(text, "\nSensitive: in a virtual machine it traps to the monitor.");
    return g_string_free(text, FALSE);
}

/* ---- going back --------------------------------------------------------------------------- */

/* Decodes from `from` on. Returns the address `count` instructions before `va`, or, if there are
 * not as many, `from`; 0 if no instruction begins at `va` in this reading. */
static uint64_t count_back(VitrineCodeView *view, uint64_t from, uint64_t va, guint count)
{
    enum { LIST = 512 };
    struct view_insn *list = g_new(struct view_insn, LIST);
    int n = session_disassemble(view->session, from, list, LIST), at = 0;
    while (at < n && list[at].va < va)
        at++;
    uint64_t found = 0;
    if (at < n && list[at].va == va)
        found = list[MAX(0, at - (int)count)].va;
    g_free(list);
    return found;
}

/* Where the symbol begins that `va` is in, if that is near. */
static gboolean symbol_start(VitrineCodeView *view, uint64_t va, uint64_t *start)
{
    enum { NEAR = 1024 };
    char text[VIEW_SYMBOL];
    if (!session_symbol(view->session, va, text, sizeof text))
        return FALSE;
    const char *plus = strrchr(text, '+');
    uint64_t offset = plus ? g_ascii_strtoull(plus + 1, NULL, 0) : 0;
    *start = va - offset;
    return offset > 0 && offset <= NEAR;
}

/* The address `count` instructions before `va`. Where they have no fixed length there is no sure
 * way back: from the symbol's start if it is known; else from a place before it from which on the
 * instructions fit together. */
static uint64_t before(VitrineCodeView *view, uint64_t va, guint count)
{
    uint64_t start, found = 0;
    if (!view->x86)
        return va - 4 * count;
    if (symbol_start(view, va, &start) && (found = count_back(view, start, va, count)) &&
        (found > start || count == 1))
        return found;
    uint64_t far = MIN(va, (uint64_t)LONGEST * (count + 1));
    for (uint64_t back = far; back > count && !found; back--)
        found = count_back(view, va - back, va, count);
    return found ? found : va;
}

static void scroll(VitrineRows *rows, int delta, gpointer data)
{
    VitrineCodeView *view = data;
    if (!view->session)
        return;
    if (!view->x86)
        view->top += (uint32_t)delta * 4;
    else if (delta < 0)
        view->top = before(view, view->top, (guint)-delta);
    else if (view->count)
        view->top = view->insn[MIN(delta, view->count - 1)].va;
    vitrine_rows_refresh(rows);
}

/* ---- breakpoints -------------------------------------------------------------------------- */

static void toggle(VitrineCodeView *view, uint64_t va)
{
    struct session_break list[SESSION_BREAKS];
    gboolean removed = FALSE;
    if (!view->session)
        return;
    int count = session_break_list(view->session, list, SESSION_BREAKS);
    for (int i = 0; i < count; i++)
        if (list[i].kind == BREAK_EXECUTE && !list[i].physical && list[i].address == va) {
            session_break_remove(view->session, list[i].id);
            removed = TRUE;
        }
    if (!removed && session_break_add(view->session, &(struct session_break){.kind = BREAK_EXECUTE,
                                                                             .address = va}) < 0)
        gtk_widget_error_bell(GTK_WIDGET(view));
    vitrine_rows_refresh(view->rows);
}

static void on_clicked(VitrineRows *rows, guint row, int column, VitrineCodeView *view)
{
    int i = row < MOST ? view->insn_of_row[row] : -1;
    if (column < GUTTER && i >= 0 && i < view->count)
        toggle(view, view->insn[i].va);
}

void vitrine_code_view_toggle_breakpoint(VitrineCodeView *view)
{
    toggle(view, view->pc);
}

/* ---- where to look ------------------------------------------------------------------------ */

void vitrine_code_view_show(VitrineCodeView *view, uint64_t va)
{
    if (!view->session)
        return;
    view->top = before(view, view->x86 ? va : va & ~3ull, BEFORE);
    vitrine_rows_refresh(view->rows);
}

static void on_entry(GtkEntry *entry, VitrineCodeView *view)
{
    uint64_t va;
    if (lookup_entry(GTK_EDITABLE(entry), view->session, &va))
        vitrine_code_view_show(view, va);
    else if (!*gtk_editable_get_text(GTK_EDITABLE(entry)))
        vitrine_code_view_refresh(view, TRUE);
}

/* Is the current instruction, and the one behind it, among those that are shown? The bytes may be
 * shown as other instructions: then it is not. */
static gboolean is_in_sight(VitrineCodeView *view)
{
    gboolean inside =
        view->pc - view->top < view->shown_end - view->top && view->pc + 8 < view->shown_end;
    for (int i = 0; inside && i < view->count; i++)
        if (view->insn[i].va == view->pc)
            return TRUE;
    return FALSE;
}

void vitrine_code_view_refresh(VitrineCodeView *view, gboolean follow)
{
    struct view_insn current;
    if (!view->session || session_disassemble_pc(view->session, 0, &current, 1) != 1)
        return;
    view->pc = current.va;
    if (follow && !is_in_sight(view))
        view->top = current.symbol_start ? view->pc : before(view, view->pc, BEFORE);
    vitrine_rows_refresh(view->rows);
}

void vitrine_code_view_set_session(VitrineCodeView *view, struct session *session)
{
    struct view_status status = {0};
    view->session = session;
    view->top = view->shown_end = 0;
    view->count = 0;
    if (session)
        session_status(session, &status);
    view->x86 = status.isa == ISA_X86;
    g_hash_table_remove_all(view->sources);
    if (session)
        vitrine_code_view_refresh(view, TRUE);
}

void vitrine_code_view_focus(VitrineCodeView *view)
{
    gtk_widget_grab_focus(GTK_WIDGET(view->rows));
}

/* ---- the object --------------------------------------------------------------------------- */

static void finalize(GObject *object)
{
    g_hash_table_unref(VITRINE_CODE_VIEW(object)->sources);
    g_free(VITRINE_CODE_VIEW(object)->insn);
    G_OBJECT_CLASS(vitrine_code_view_parent_class)->finalize(object);
}

static void vitrine_code_view_class_init(VitrineCodeViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void vitrine_code_view_init(VitrineCodeView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->insn = g_new0(struct view_insn, MOST);
    view->sources =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    GtkWidget *title = gtk_label_new("Instructions");
    gtk_widget_add_css_class(title, "heading");
    gtk_widget_set_hexpand(title, TRUE);
    gtk_label_set_xalign(GTK_LABEL(title), 0);
    gtk_box_append(GTK_BOX(strip), title);
    view->entry = GTK_ENTRY(gtk_entry_new());
    gtk_entry_set_placeholder_text(view->entry, "address or symbol");
    gtk_editable_set_width_chars(GTK_EDITABLE(view->entry), 18);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Show instructions at", -1);
    g_signal_connect(view->entry, "activate", G_CALLBACK(on_entry), view);
    gtk_box_append(GTK_BOX(strip), GTK_WIDGET(view->entry));
    gtk_box_append(GTK_BOX(view), strip);
    view->rows = VITRINE_ROWS(vitrine_rows_new("Instructions"));
    vitrine_rows_set_least(view->rows, 44, 6);
    vitrine_rows_set_functions(view->rows, fill, tooltip, scroll, view);
    g_signal_connect(view->rows, "clicked", G_CALLBACK(on_clicked), view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->rows));
}

GtkWidget *vitrine_code_view_new(void)
{
    return g_object_new(VITRINE_TYPE_CODE_VIEW, NULL);
}
