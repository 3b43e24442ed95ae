/*
 * The menu of samples. It is made when it is opened: a sample that has been built meanwhile is
 * there.
 */
#include "gui/samples-button.h"

#include "gui/guests.h"

static GtkWidget *heading(const char *text)
{
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_widget_add_css_class(label, "heading");
    gtk_widget_set_margin_top(label, 6);
    return label;
}

static GtkWidget *sample_row(const struct sample *sample)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    char *base = g_path_get_basename(sample->name);
    GtkWidget *name = gtk_label_new(base), *about = gtk_label_new(sample->about);
    gtk_label_set_xalign(GTK_LABEL(name), 0);
    gtk_label_set_xalign(GTK_LABEL(about), 0);
    gtk_widget_add_css_class(about, "dim-label");
    gtk_box_append(GTK_BOX(box), name);
    gtk_box_append(GTK_BOX(box), about);
    g_free(base);
    return box;
}

static void add_sample(GtkListBox *list, const struct sample *sample, unsigned number)
{
    GtkWidget *row = gtk_list_box_row_new();
    char *label = g_strdup_printf("%s: %s", sample->name, sample->about);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), sample_row(sample));
    gtk_accessible_update_property(GTK_ACCESSIBLE(row), GTK_ACCESSIBLE_PROPERTY_LABEL, label, -1);
    g_object_set_data(G_OBJECT(row), "sample", GUINT_TO_POINTER(number));
    gtk_list_box_append(list, row);
    g_free(label);
}

/* Headings stand above the first sample of their kind. */
static void set_heading(GtkListBoxRow *row, GtkListBoxRow *before, gpointer data)
{
    unsigned number = GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(row), "sample"));
    unsigned last = before ? GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(before), "sample")) : 0;
    gboolean x86 = sample_nth(number)->x86;
    gboolean first = !before || sample_nth(last)->x86 != x86;
    gtk_list_box_row_set_header(row, first ? heading(x86 ? "x86, through KVM" : "RISC-V, simulated")
                                           : NULL);
}

static void on_activated(GtkListBox *list, GtkListBoxRow *row, GtkPopover *popover)
{
    int number = (int)GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(row), "sample"));
    gtk_popover_popdown(popover);
    gtk_widget_activate_action(GTK_WIDGET(list), "win.sample", "i", number);
}

static void fill(GtkMenuButton *button, gpointer data)
{
    GtkWidget *popover = gtk_popover_new(), *list = gtk_list_box_new();
    const struct sample *sample;
    gboolean some = FALSE;
    for (unsigned i = 0; (sample = sample_nth(i)); i++) {
        struct guest guest;
        guest_init(&guest);
        if (sample_find(sample, &guest)) {
            add_sample(GTK_LIST_BOX(list), sample, i);
            some = TRUE;
        }
        guest_clear(&guest);
    }
    gtk_list_box_set_selection_mode(GTK_LIST_BOX(list), GTK_SELECTION_NONE);
    gtk_list_box_set_header_func(GTK_LIST_BOX(list), set_heading, NULL, NULL);
    gtk_list_box_set_placeholder(GTK_LIST_BOX(list), gtk_label_new("No samples were built."));
    gtk_accessible_update_property(GTK_ACCESSIBLE(list), GTK_ACCESSIBLE_PROPERTY_LABEL, "Samples",
                                   -1);
    gtk_widget_add_css_class(list, "samples");
    gtk_widget_set_size_request(list, some ? 380 : 200, -1);
    g_signal_connect(list, "row-activated", G_CALLBACK(on_activated), popover);
    gtk_popover_set_child(GTK_POPOVER(popover), list);
    gtk_menu_button_set_popover(button, popover);
}

GtkWidget *samples_button_new(void)
{
    GtkWidget *button = gtk_menu_button_new();
    gtk_menu_button_set_label(GTK_MENU_BUTTON(button), "Samples");
    gtk_widget_set_tooltip_text(button, "Open a guest that comes with the project");
    gtk_menu_button_set_create_popup_func(GTK_MENU_BUTTON(button), fill, NULL, NULL);
    return button;
}
