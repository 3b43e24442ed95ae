/*
 * The layers under the guest, drawn by gui/draw/layers.c: for the page that the guest uses next,
 * for one whose virtual address is typed; or for the block of the disk that was used last, or any.
 */
#include "gui/layers-view.h"

#include <inttypes.h>
#include <string.h>

#include "gui/drawing-view.h"
#include "gui/lookup.h"
#include "gui/rows.h"

enum { LEAST_HEIGHT = 120 };

struct _VitrineLayersView {
    GtkBox parent;
    GtkWidget *entry, *follow, *disk, *area;
    struct session *session;
    uint64_t va, byte; /* what is shown: of memory, of the disk */
    char access;       /* of the guest's next access; 0: the address was typed */
    struct view_layers *layers;
    char caption[160];
};

G_DEFINE_FINAL_TYPE(VitrineLayersView, vitrine_layers_view, GTK_TYPE_BOX)

static gboolean is_on(GtkWidget *toggle)
{
    return gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(toggle));
}

/* ---- drawing ------------------------------------------------------------------------------ */

static struct drawing drawing_of(VitrineLayersView *view)
{
    return (struct drawing){
        .kind = DRAWING_LAYERS, .layers = view->layers, .caption = view->caption};
}

static void draw(GtkDrawingArea *area, cairo_t *cr, int width, int height, gpointer data)
{
    VitrineLayersView *view = data;
    struct drawing drawing = drawing_of(view);
    draw_paint(cr, &drawing, width, height, vitrine_is_dark(GTK_WIDGET(area)));
}

int vitrine_layers_view_export(VitrineLayersView *view, const char *path)
{
    struct drawing drawing = drawing_of(view);
    return vitrine_drawing_export(view->area, &drawing, path);
}

static void describe(VitrineLayersView *view)
{
    struct drawing drawing = drawing_of(view);
    vitrine_drawing_describe(view->area, &drawing);
}

/* ---- asking ------------------------------------------------------------------------------- */

static const char *access_text(char access)
{
    return access == 'w'   ? "The guest\u2019s next store"
           : access == 'r' ? "The guest\u2019s next load"
           : access == 'x' ? "The guest\u2019s next fetch"
                           : "Chosen";
}

static void ask_memory(VitrineLayersView *view)
{
    struct view_translation *t = g_new(struct view_translation, 1);
    if (is_on(view->follow))
        session_last_access(view->session, &view->va, &view->access);
    session_translate(view->session, view->va, view->access ? view->access : 'r', t);
    session_view_layers(view->session, FALSE, t->guest.ok ? t->guest.pa : UINT64_MAX, view->layers);
    if (t->guest.ok)
        g_snprintf(view->caption, sizeof view->caption,
                   "%s: virtual address 0x%08" PRIx64 ", guest-physical 0x%08" PRIx64,
                   access_text(view->access), view->va, t->guest.pa);
    else
        g_snprintf(view->caption, sizeof view->caption,
                   "%s: virtual address 0x%08" PRIx64 " does not translate: %s",
                   access_text(view->access), view->va, t->guest.why);
    g_free(t);
}

static void ask_disk(VitrineLayersView *view)
{
    char access = 0;
    uint64_t byte;
    if (is_on(view->follow) && session_last_disk_access(view->session, &byte, &access))
        view->byte = byte;
    session_view_layers(view->session, TRUE, view->byte, view->layers);
    g_snprintf(view->caption, sizeof view->caption, "%s: byte 0x%" PRIx64 " of the disk",
               access == 'w'         ? "The guest\u2019s last write"
               : access == 'r'       ? "The guest\u2019s last read"
               : is_on(view->follow) ? "The guest has not used it yet"
                                     : "Chosen",
               view->byte);
}

static void show_address(VitrineLayersView *view)
{
    char text[24];
    g_snprintf(text, sizeof text, "0x%08" PRIx64, is_on(view->disk) ? view->byte : view->va);
    if (!(gtk_widget_get_state_flags(view->entry) & GTK_STATE_FLAG_FOCUS_WITHIN))
        gtk_editable_set_text(GTK_EDITABLE(view->entry), text);
}

void vitrine_layers_view_refresh(VitrineLayersView *view)
{
    if (!view->session || !gtk_widget_get_mapped(GTK_WIDGET(view)))
        return;
    if (is_on(view->disk))
        ask_disk(view);
    else
        ask_memory(view);
    show_address(view);
    describe(view);
    gtk_widget_queue_draw(view->area);
}

void vitrine_layers_view_set_session(VitrineLayersView *view, struct session *session)
{
    view->session = session;
    memset(view->layers, 0, sizeof *view->layers);
    view->byte = 0;
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), TRUE);
    vitrine_layers_view_refresh(view);
}

static void on_entry(GtkEntry *entry, VitrineLayersView *view)
{
    uint64_t address;
    if (!lookup_entry(GTK_EDITABLE(entry), view->session, &address))
        return;
    if (is_on(view->disk)) {
        view->byte = address;
    } else {
        view->va = address;
        view->access = 0;
    }
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), FALSE);
    vitrine_layers_view_refresh(view);
}

/* ---- the object --------------------------------------------------------------------------- */

/* A choice of two, linked. */
static GtkWidget *build_choice(VitrineLayersView *view)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    GtkWidget *memory = gtk_toggle_button_new_with_label("Memory");
    gtk_widget_add_css_class(box, "linked");
    view->disk = gtk_toggle_button_new_with_label("Disk");
    gtk_toggle_button_set_group(GTK_TOGGLE_BUTTON(view->disk), GTK_TOGGLE_BUTTON(memory));
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(memory), TRUE);
    g_signal_connect_swapped(view->disk, "toggled", G_CALLBACK(vitrine_layers_view_refresh), view);
    gtk_box_append(GTK_BOX(box), memory);
    gtk_box_append(GTK_BOX(box), view->disk);
    return box;
}

static GtkWidget *build_strip(VitrineLayersView *view)
{
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(strip, "strip");
    view->entry = gtk_entry_new();
    gtk_editable_set_width_chars(GTK_EDITABLE(view->entry), 12);
    gtk_widget_set_tooltip_text(view->entry, "Virtual address, symbol or file:line; or byte of the "
                                             "disk");
    gtk_accessible_update_property(GTK_ACCESSIBLE(view->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Look up in the layers", -1);
    g_signal_connect(view->entry, "activate", G_CALLBACK(on_entry), view);
    gtk_box_append(GTK_BOX(strip), view->entry);
    gtk_box_append(GTK_BOX(strip), build_choice(view));
    view->follow = gtk_toggle_button_new_with_label("Follow");
    gtk_widget_set_tooltip_text(view->follow, "Look up the page that the guest uses next, or the "
                                              "block of the disk that it has used last");
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(view->follow), TRUE);
    g_signal_connect_swapped(view->follow, "toggled", G_CALLBACK(vitrine_layers_view_refresh),
                             view);
    gtk_box_append(GTK_BOX(strip), view->follow);
    return strip;
}

static void finalize(GObject *object)
{
    g_free(VITRINE_LAYERS_VIEW(object)->layers);
    G_OBJECT_CLASS(vitrine_layers_view_parent_class)->finalize(object);
}

static void vitrine_layers_view_class_init(VitrineLayersViewClass *class)
{
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void vitrine_layers_view_init(VitrineLayersView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    view->layers = g_new0(struct view_layers, 1);
    gtk_box_append(GTK_BOX(view), build_strip(view));
    view->area =
        g_object_new(GTK_TYPE_DRAWING_AREA, "accessible-role", GTK_ACCESSIBLE_ROLE_IMG, NULL);
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(view->area), draw, view, NULL);
    gtk_widget_set_hexpand(view->area, TRUE);
    gtk_widget_set_vexpand(view->area, TRUE);
    gtk_widget_set_size_request(view->area, 200, LEAST_HEIGHT);
    gtk_box_append(GTK_BOX(view), view->area);
    g_signal_connect(view, "map", G_CALLBACK(vitrine_layers_view_refresh), NULL);
}

GtkWidget *vitrine_layers_view_new(void)
{
    return g_object_new(VITRINE_TYPE_LAYERS_VIEW, NULL);
}
