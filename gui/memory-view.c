/*
 * Memory, 16 bytes a row. Bytes that are not there (unmapped, or a device's registers, which are
 * not read for the fear of side effects) are shown as two dots; those that changed since the last
 * look are marked. Of the word in the entry, and with the secondary button of any byte, it can be
 * asked who has written it.
 */
#include "gui/memory-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/lookup.h"
#include "gui/rows.h"

enum { PER_ROW = 16, MOST_ROWS = 160 };

struct _VitrineMemoryView {
    GtkBox parent;
    VitrineRows *rows;
    GtkWidget *entry, *physical, *who, *menu;
    GSimpleAction *ask[2]; /* of the menu: the byte, the word */
    uint64_t pointed;      /* the byte that the menu is about */
    struct session *session;
    uint64_t top;
    gboolean chosen; /* somebody has asked for an address */
    struct view_memory now, before;
    gboolean before_physical;
};

G_DEFINE_FINAL_TYPE(VitrineMemoryView, vitrine_memory_view, GTK_TYPE_BOX)

static guint who_signal;

static gboolean is_physical(VitrineMemoryView *view)
{
    return gtk_check_button_get_active(GTK_CHECK_BUTTON(view->physical));
}

static gboolean there(const struct view_memory *m, uint32_t i)
{
    return m->valid[i / 8] >> i % 8 & 1;
}

/* Was the byte there last time, with another value? */
static gboolean changed(VitrineMemoryView *view, uint32_t i)
{
    uint64_t at = view->now.address + i - view->before.address;
    return view->before_physical == is_physical(view) && at < view->before.length &&
           there(&view->before, at) && view->before.data[at] != view->now.data[i];
}

static int address_digits(const struct view_memory *m)
{
    return m->address + m->length > UINT32_MAX ? 16 : 8;
}

static void add_row(VitrineMemoryView *view, uint32_t offset, GString *row)
{
    const struct view_memory *m = &view->now;
    char text[PER_ROW + 1] = {0};
    int digits = address_digits(m);
    vitrine_rows_span(view->rows, row, SPAN_DIM, "%0*" PRIx64 " ", digits, m->address + offset);
    for (uint32_t i = 0; i < PER_ROW; i++) {
        uint8_t byte = m->data[offset + i];
        gboolean here = there(m, offset + i);
        g_string_append(row, i % 4 ? " " : "  ");
        if (here)
            vitrine_rows_span(view->rows, row,
                              changed(view, offset + i) ? SPAN_CHANGED
                              : byte                    ? SPAN_PLAIN
                                                        : SPAN_DIM,
                              "%02x", byte);
        else
            vitrine_rows_span(view->rows, row, SPAN_DIM, "..");
        text[i] = !here ? ' ' : byte >= 0x20 && byte < 0x7f ? (char)byte : '.';
    }
    vitrine_rows_span(view->rows, row, SPAN_ACCENT, "  %s", text);
}

static void fill(VitrineRows *rows, guint first, guint count, gpointer data)
{
    VitrineMemoryView *view = data;
    GString *row = g_string_new(NULL);
    if (!view->session)
        return;
    count = MIN(count, MOST_ROWS);
    session_view_memory(view->session, is_physical(view), view->top, count * PER_ROW, &view->now);
    for (guint i = 0; i < count; i++) {
        g_string_truncate(row, 0);
        add_row(view, i * PER_ROW, row);
        vitrine_rows_set(rows, i, row->str, ROW_PLAIN);
    }
    g_string_free(row, TRUE);
}

static void scroll(VitrineRows *rows, int delta, gpointer data)
{
    VitrineMemoryView *view = data;
    view->top += (uint64_t)((int64_t)delta * PER_ROW);
    vitrine_rows_refresh(rows);
}

static void show(VitrineMemoryView *view, uint64_t address)
{
    char text[24];
    view->top = address & ~(uint64_t)(PER_ROW - 1);
    g_snprintf(text, sizeof text, "0x%08" PRIx64, address);
    gtk_editable_set_text(GTK_EDITABLE(view->entry), text);
}

/* The stack, once there is one; else the code. */
static uint64_t first_address(VitrineMemoryView *view)
{
    struct view_hart hart;
    struct view_insn insn;
    struct view_registers *list = g_new(struct view_registers, 1);
    uint64_t stack = 0;
    session_view_hart(view->session, VIEW_VIRTUAL, &hart);
    if (!hart.present)
        session_view_hart(view->session, VIEW_REAL, &hart);
    session_view_registers(view->session, list);
    for (unsigned i = 0; i < list->count && !hart.present; i++)
        if (strcmp(list->reg[i].name, "rsp") == 0)
            stack = list->reg[i].value;
    g_free(list);
    if (hart.present)
        return hart.x[2] ? hart.x[2] : hart.pc;
    if (!stack && session_disassemble_pc(view->session, 0, &insn, 1) == 1)
        return insn.va;
    return stack;
}

void vitrine_memory_view_refresh(VitrineMemoryView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    if (!view->chosen)
        show(view, first_address(view));
    view->before = view->now;
    view->before_physical = is_physical(view);
    vitrine_rows_refresh(view->rows);
}

static void on_entry(GtkEntry *entry, VitrineMemoryView *view)
{
    uint64_t address;
    if (!lookup_entry(GTK_EDITABLE(entry), view->session, &address))
        return;
    view->chosen = TRUE;
    show(view, address);
    vitrine_memory_view_refresh(view);
}

/* ---- who wrote this? ---------------------------------------------------------------------- */

/* Columns of add_row(): a byte has two digits and a space, each four of them one more. */
static int column_of(VitrineMemoryView *view, int byte)
{
    return address_digits(&view->now) + 3 + 3 * byte + byte / 4;
}

/* The byte at a column, in hex or as a character; -1: none is there. */
static int byte_at(VitrineMemoryView *view, int column)
{
    int text = column_of(view, PER_ROW - 1) + 4;
    for (int i = 0; i < PER_ROW; i++)
        if (column >= column_of(view, i) - 1 && column <= column_of(view, i) + 1)
            return i;
    return column >= text && column < text + PER_ROW ? column - text : -1;
}

static void on_menu(VitrineRows *rows, guint row, int column, VitrineMemoryView *view)
{
    int byte = byte_at(view, column);
    if (byte < 0 || !view->session)
        return;
    GdkRectangle place = vitrine_rows_place(rows, row, column_of(view, byte), 2);
    view->pointed = view->top + row * PER_ROW + (uint64_t)byte;
    gtk_popover_set_pointing_to(GTK_POPOVER(view->menu), &place);
    gtk_popover_popup(GTK_POPOVER(view->menu));
}

static void ask(VitrineMemoryView *view, uint64_t address, guint bytes)
{
    g_signal_emit(view, who_signal, 0, address, is_physical(view), bytes);
}

static void on_ask_byte(VitrineMemoryView *view)
{
    ask(view, view->pointed, 1);
}

static void on_ask_word(VitrineMemoryView *view)
{
    ask(view, view->pointed & ~(uint64_t)3, 4);
}

/* The word at the address in the entry; a byte where that is not the beginning of one. */
static void on_who(VitrineMemoryView *view)
{
    uint64_t address;
    if (!view->session || !lookup_entry(GTK_EDITABLE(view->entry), view->session, &address))
        return;
    view->chosen = TRUE;
    show(view, address);
    vitrine_memory_view_refresh(view);
    ask(view, address, address % 4 ? 1 : 4);
}

void vitrine_memory_view_focus(VitrineMemoryView *view)
{
    gtk_widget_grab_focus(view->entry);
    gtk_editable_select_region(GTK_EDITABLE(view->entry), 0, -1);
}

void vitrine_memory_view_set_history(VitrineMemoryView *view, const char *why_not)
{
    gtk_widget_set_sensitive(view->who, why_not == NULL);
    gtk_widget_set_tooltip_text(view->who, why_not ? why_not
                                                   : "Back to the newest store to the word at this "
                                                     "address (other bytes: secondary button)");
    for (int i = 0; i < 2; i++)
        g_simple_action_set_enabled(view->ask[i], why_not == NULL);
}

static void add_action(VitrineMemoryView *view, int i, GSimpleActionGroup *group, const char *name,
                       GCallback activated)
{
    view->ask[i] = g_simple_action_new(name, NULL);
    g_signal_connect_swapped(view->ask[i], "activate", activated, view);
    g_action_map_add_action(G_ACTION_MAP(group), G_ACTION(view->ask[i]));
    g_object_unref(view->ask[i]); /* the group keeps it */
}

static void add_menu(VitrineMemoryView *view)
{
    GSimpleActionGroup *group = g_simple_action_group_new();
    GMenu *menu = g_menu_new();
    add_action(view, 0, group, "who-wrote-byte", G_CALLBACK(on_ask_byte));
    add_action(view, 1, group, "who-wrote-word", G_CALLBACK(on_ask_word));
    g_menu_append(menu, "Who wrote this byte?", "memory.who-wrote-byte");
    g_menu_append(menu, "Who wrote this word?", "memory.who-wrote-word");
    gtk_widget_insert_action_group(GTK_WIDGET(view), "memory", G_ACTION_GROUP(group));
    view->menu = gtk_popover_menu_new_from_model(G_MENU_MODEL(menu));
    gtk_widget_set_parent(view->menu, GTK_WIDGET(view->rows));
    g_signal_connect(view->rows, "menu", G_CALLBACK(on_menu), view);
    g_object_unref(menu);
    g_object_unref(group);
}

void vitrine_memory_view_set_session(VitrineMemoryView *view, struct session *session)
{
    view->session = session;
    view->chosen = FALSE;
    memset(&view->now, 0, sizeof view->now);
    vitrine_memory_view_refresh(view);
}

/* The menu hangs on the rows, which do not know of it. */
static void dispose(GObject *object)
{
    g_clear_pointer(&VITRINE_MEMORY_VIEW(object)->menu, gtk_widget_unparent);
    G_OBJECT_CLASS(vitrine_memory_view_parent_class)->dispose(object);
}

static void vitrine_memory_view_class_init(VitrineMemoryViewClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    who_signal =
        g_signal_new("who-wrote", VITRINE_TYPE_MEMORY_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                     G_TYPE_NONE, 3, G_TYPE_UINT64, G_TYPE_BOOLEAN, G_TYPE_UINT);
}

static void vitrine_memory_view_init(VitrineMemoryView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
    gtk_widget_add_css_class(strip, "strip");
    view->entry = gtk_entry_new();
    gtk_entry_set_placeholder_text(GTK_ENTRY(view->entry), "address or symbol");
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Show memory at", -1);
    g_signal_connect(view->entry, "activate", G_CALLBACK(on_entry), view);
    gtk_box_append(GTK_BOX(strip), view->entry);
    view->who = gtk_button_new_with_label("Who wrote this?");
    g_signal_connect_swapped(view->who, "clicked", G_CALLBACK(on_who), view);
    gtk_box_append(GTK_BOX(strip), view->who);
    GtkWidget *virtual = gtk_check_button_new_with_label("Virtual");
    view->physical = gtk_check_button_new_with_label("Guest-physical");
    gtk_check_button_set_group(GTK_CHECK_BUTTON(view->physical), GTK_CHECK_BUTTON(virtual));
    gtk_check_button_set_active(GTK_CHECK_BUTTON(virtual), TRUE);
    g_signal_connect_swapped(view->physical, "toggled", G_CALLBACK(vitrine_memory_view_refresh),
                             view);
    gtk_box_append(GTK_BOX(strip), virtual);
    gtk_box_append(GTK_BOX(strip), view->physical);
    gtk_box_append(GTK_BOX(view), strip);
    view->rows = VITRINE_ROWS(vitrine_rows_new("Memory"));
    vitrine_rows_set_functions(view->rows, fill, NULL, scroll, view);
    gtk_box_append(GTK_BOX(view), GTK_WIDGET(view->rows));
    add_menu(view);
    vitrine_memory_view_set_history(view, "There is no guest");
    g_signal_connect(view, "map", G_CALLBACK(vitrine_memory_view_refresh), NULL);
}

GtkWidget *vitrine_memory_view_new(void)
{
    return g_object_new(VITRINE_TYPE_MEMORY_VIEW, NULL);
}
