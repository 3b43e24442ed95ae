/* The window's widgets: header, panes, status line. */
#include <string.h>

#include "gui/samples-button.h"
#include "gui/window_priv.h"

static GtkWidget *with_action(GtkWidget *button, const char *label, const char *action,
                              const char *tooltip)
{
    gtk_actionable_set_action_name(GTK_ACTIONABLE(button), action);
    gtk_widget_set_tooltip_text(button, tooltip);
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, label,
                                   -1);
    gtk_widget_set_focus_on_click(button, FALSE);
    return button;
}

static GtkWidget *labelled_button(const char *icon, const char *label, const char *action,
                                  const char *tooltip)
{
    GtkWidget *button = gtk_button_new(), *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_box_append(GTK_BOX(box), gtk_image_new_from_icon_name(icon));
    gtk_box_append(GTK_BOX(box), gtk_label_new(label));
    gtk_button_set_child(GTK_BUTTON(button), box);
    return with_action(button, label, action, tooltip);
}

/* Where there is no room for words: they are in the tooltip. */
static GtkWidget *icon_button(const char *icon, const char *label, const char *action)
{
    return with_action(gtk_button_new_from_icon_name(icon), label, action, label);
}

static GtkWidget *linked(GtkWidget *const *buttons)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(box, "linked");
    for (; *buttons; buttons++)
        gtk_box_append(GTK_BOX(box), *buttons);
    return box;
}

static GtkWidget *build_title(VitrineWindow *w)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    w->title = gtk_label_new("Vitrine");
    w->subtitle = gtk_label_new("no guest");
    gtk_widget_add_css_class(w->title, "title");
    gtk_widget_add_css_class(w->subtitle, "subtitle");
    gtk_label_set_ellipsize(GTK_LABEL(w->title), PANGO_ELLIPSIZE_MIDDLE);
    gtk_label_set_ellipsize(GTK_LABEL(w->subtitle), PANGO_ELLIPSIZE_END);
    gtk_widget_set_valign(box, GTK_ALIGN_CENTER);
    gtk_box_append(GTK_BOX(box), w->title);
    gtk_box_append(GTK_BOX(box), w->subtitle);
    return box;
}

static GtkWidget *menu_button(VitrineWindow *w, const char *icon, const char *menu,
                              const char *name)
{
    GtkWidget *button = gtk_menu_button_new();
    GMenu *model = gtk_application_get_menu_by_id(gtk_window_get_application(GTK_WINDOW(w)), menu);
    gtk_menu_button_set_icon_name(GTK_MENU_BUTTON(button), icon);
    gtk_menu_button_set_menu_model(GTK_MENU_BUTTON(button), G_MENU_MODEL(model));
    gtk_widget_set_tooltip_text(button, name);
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    return button;
}

static GtkWidget *build_header(VitrineWindow *w)
{
    GtkWidget *header = gtk_header_bar_new();
    GtkWidget *run[] = {
        labelled_button("media-playback-start-symbolic", "Run", "win.run", "Run (F5)"),
        labelled_button("media-playback-pause-symbolic", "Pause", "win.pause", "Pause (F6)"), NULL};
    w->back[0] = labelled_button("go-previous-symbolic", "Step back", "win.step-back", NULL);
    w->back[1] = icon_button("go-first-symbolic", "Back to exit", "win.back-exit");
    w->back[2] = menu_button(w, "pan-down-symbolic", "back-menu", "More ways back");
    GtkWidget *back[] = {w->back[0], w->back[1], w->back[2], NULL};
    GtkWidget *step[] = {
        labelled_button("go-next-symbolic", "Step", "win.step", "Step one instruction (F11)"),
        labelled_button("go-jump-symbolic", "Step over", "win.step-over",
                        "Step, but run through a call or a trap (F8)"),
        labelled_button("go-last-symbolic", "Step to exit", "win.step-exit",
                        "Run until the next VM exit has been handled (F10)"),
        NULL};
    gtk_header_bar_set_title_widget(GTK_HEADER_BAR(header), build_title(w));
    gtk_header_bar_pack_start(GTK_HEADER_BAR(header), linked(run));
    gtk_header_bar_pack_start(GTK_HEADER_BAR(header), linked(back));
    gtk_header_bar_pack_start(GTK_HEADER_BAR(header), linked(step));
    gtk_header_bar_pack_start(GTK_HEADER_BAR(header),
                              labelled_button("view-refresh-symbolic", "Reset", "win.reset",
                                              "Back to the first instruction (Ctrl+Shift+R)"));
    gtk_header_bar_pack_end(GTK_HEADER_BAR(header),
                            menu_button(w, "open-menu-symbolic", "primary-menu", "Main menu"));
    GtkWidget *open[] = {labelled_button("document-open-symbolic", "Open", "win.open",
                                         "Open a guest (Ctrl+Shift+O)"),
                         samples_button_new(), NULL};
    gtk_header_bar_pack_end(GTK_HEADER_BAR(header), linked(open));
    return header;
}

/* ---- panes -------------------------------------------------------------------------------- */

static GtkWidget *paned(VitrineWindow *w, int number, GtkOrientation orientation, GtkWidget *start,
                        gboolean start_grows, GtkWidget *end, gboolean end_grows, int position)
{
    GtkWidget *pane = gtk_paned_new(orientation);
    gtk_paned_set_start_child(GTK_PANED(pane), start);
    gtk_paned_set_end_child(GTK_PANED(pane), end);
    gtk_paned_set_resize_start_child(GTK_PANED(pane), start_grows);
    gtk_paned_set_resize_end_child(GTK_PANED(pane), end_grows);
    gtk_paned_set_shrink_start_child(GTK_PANED(pane), FALSE);
    gtk_paned_set_shrink_end_child(GTK_PANED(pane), FALSE);
    int stored = w->geometry.pane[number];
    gtk_paned_set_position(GTK_PANED(pane), stored ? stored : position);
    w->pane[number] = pane;
    return pane;
}

static void add_tab(VitrineWindow *w, GtkWidget *child, const char *label)
{
    gtk_stack_add_titled(GTK_STACK(w->tabs), child, label, label);
}

static void on_restored(VitrineWindow *w, const char *name)
{
    char *text = g_strdup_printf("\r\n\033[7m back to snapshot \u201c%s\u201d \033[0m\r\n", name);
    vitrine_console_view_write(w->console, (const uint8_t *)text, strlen(text));
    g_free(text);
    window_restored(w, name);
}

static void on_failed(VitrineWindow *w, const char *why)
{
    window_say(w, GTK_MESSAGE_ERROR, why);
}

/* What KVM and its explanation say, to be read and copied. */
static GtkWidget *build_reason(VitrineWindow *w)
{
    w->reason_text = gtk_label_new("");
    gtk_label_set_wrap(GTK_LABEL(w->reason_text), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(w->reason_text), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_xalign(GTK_LABEL(w->reason_text), 0);
    gtk_label_set_yalign(GTK_LABEL(w->reason_text), 0);
    gtk_label_set_selectable(GTK_LABEL(w->reason_text), TRUE);
    gtk_widget_add_css_class(w->reason_text, "reason");
    w->reason = gtk_scrolled_window_new();
    gtk_accessible_update_property(GTK_ACCESSIBLE(w->reason), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Reasons", -1);
    gtk_widget_add_css_class(w->reason, "view");
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(w->reason), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(w->reason), w->reason_text);
    return w->reason;
}

static GtkWidget *build_tabs(VitrineWindow *w)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *switcher = gtk_stack_switcher_new();
    w->tabs = gtk_stack_new();
    gtk_widget_add_css_class(strip, "strip");
    gtk_stack_switcher_set_stack(GTK_STACK_SWITCHER(switcher), GTK_STACK(w->tabs));
    gtk_widget_add_css_class(switcher, "many");
    gtk_box_append(GTK_BOX(strip), switcher);
    gtk_box_append(GTK_BOX(box), strip);
    gtk_box_append(GTK_BOX(box), w->tabs);
    w->exits = VITRINE_EXITS_VIEW(vitrine_exits_view_new());
    w->chart = VITRINE_DRAWING_VIEW(vitrine_drawing_view_new(DRAWING_EXITS));
    w->tables = VITRINE_DRAWING_VIEW(vitrine_drawing_view_new(DRAWING_TABLES));
    w->tlb = VITRINE_LIST_VIEW(vitrine_list_view_new(LIST_TLB));
    w->memory = VITRINE_MEMORY_VIEW(vitrine_memory_view_new());
    w->devices = VITRINE_LIST_VIEW(vitrine_list_view_new(LIST_DEVICES));
    w->heat = VITRINE_DRAWING_VIEW(vitrine_drawing_view_new(DRAWING_HEAT));
    w->snapshots = VITRINE_SNAPSHOTS_VIEW(vitrine_snapshots_view_new());
    w->time = VITRINE_TIME_VIEW(vitrine_time_view_new());
    w->layers = VITRINE_LAYERS_VIEW(vitrine_layers_view_new());
    w->hosts = VITRINE_HOSTS_VIEW(vitrine_hosts_view_new());
    window_add_time(w);
    window_add_hosts(w);
    g_signal_connect_swapped(w->snapshots, "restored", G_CALLBACK(on_restored), w);
    g_signal_connect_swapped(w->snapshots, "failed", G_CALLBACK(on_failed), w);
    add_tab(w, build_reason(w), "Why");
    gtk_stack_page_set_visible(gtk_stack_get_page(GTK_STACK(w->tabs), w->reason), FALSE);
    add_tab(w, GTK_WIDGET(w->exits), "Exits");
    add_tab(w, GTK_WIDGET(w->chart), "Counts");
    add_tab(w, GTK_WIDGET(w->tables), "Page tables");
    add_tab(w, GTK_WIDGET(w->tlb), "TLB");
    add_tab(w, GTK_WIDGET(w->memory), "Memory");
    add_tab(w, GTK_WIDGET(w->devices), "Devices");
    add_tab(w, GTK_WIDGET(w->heat), "Dirty pages");
    add_tab(w, GTK_WIDGET(w->time), "Time");
    add_tab(w, GTK_WIDGET(w->snapshots), "Snapshots");
    add_tab(w, GTK_WIDGET(w->layers), "Layers");
    add_tab(w, GTK_WIDGET(w->hosts), "Hosts");
    gtk_stack_set_visible_child(GTK_STACK(w->tabs), GTK_WIDGET(w->exits));
    return box;
}

static GtkWidget *build_console(VitrineWindow *w)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    GtkWidget *strip = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *title = gtk_label_new("Console");
    gtk_widget_add_css_class(strip, "strip");
    gtk_widget_add_css_class(title, "heading");
    gtk_box_append(GTK_BOX(strip), title);
    gtk_box_append(GTK_BOX(box), strip);
    gtk_box_append(GTK_BOX(box), GTK_WIDGET(w->console));
    return box;
}

static void on_vcpu_chosen(VitrineWindow *w)
{
    vitrine_drawing_view_follow(w->translation);
    window_refresh(w);
}

static GtkWidget *build_guest(VitrineWindow *w)
{
    int width = w->geometry.width, height = w->geometry.height;
    w->code = VITRINE_CODE_VIEW(vitrine_code_view_new());
    w->registers = VITRINE_REGISTERS_VIEW(vitrine_registers_view_new());
    w->translation = VITRINE_DRAWING_VIEW(vitrine_drawing_view_new(DRAWING_TRANSLATION));
    int code = width < 1500 ? 372 : 540, registers = width < 1500 ? 350 : 400;
    int console = width < 1500 ? 510 : 680;
    w->registers_x86 = VITRINE_REGISTERS_X86(vitrine_registers_x86_new());
    w->registers_stack = gtk_stack_new();
    gtk_stack_add_child(GTK_STACK(w->registers_stack), GTK_WIDGET(w->registers));
    gtk_stack_add_child(GTK_STACK(w->registers_stack), GTK_WIDGET(w->registers_x86));
    g_signal_connect_swapped(w->registers_x86, "vcpu-chosen", G_CALLBACK(on_vcpu_chosen), w);
    GtkWidget *inner = paned(w, 1, GTK_ORIENTATION_HORIZONTAL, GTK_WIDGET(w->translation), TRUE,
                             w->registers_stack, FALSE, width - code - registers);
    GtkWidget *top =
        paned(w, 0, GTK_ORIENTATION_HORIZONTAL, GTK_WIDGET(w->code), FALSE, inner, TRUE, code);
    GtkWidget *bottom = paned(w, 2, GTK_ORIENTATION_HORIZONTAL, build_tabs(w), TRUE,
                              build_console(w), TRUE, width - console);
    return paned(w, 3, GTK_ORIENTATION_VERTICAL, top, TRUE, bottom, TRUE, (height - 72) * 58 / 100);
}

static GtkWidget *build_empty(void)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 12);
    GtkWidget *icon = gtk_image_new_from_icon_name("org.vitrine.Vitrine");
    GtkWidget *title = gtk_label_new("No guest yet");
    GtkWidget *text =
        gtk_label_new("Open a 32-bit RISC-V program or kernel, or an x86 one through KVM.\n"
                      "The demo guest, minios, is built with the project "
                      "when a RISC-V compiler is installed.");
    GtkWidget *open = gtk_button_new_with_label("Open a guest");
    gtk_image_set_pixel_size(GTK_IMAGE(icon), 96);
    gtk_widget_add_css_class(title, "title-1");
    gtk_label_set_justify(GTK_LABEL(text), GTK_JUSTIFY_CENTER);
    gtk_actionable_set_action_name(GTK_ACTIONABLE(open), "win.open");
    gtk_widget_add_css_class(open, "suggested-action");
    gtk_widget_set_halign(open, GTK_ALIGN_CENTER);
    gtk_widget_set_valign(box, GTK_ALIGN_CENTER);
    gtk_widget_set_vexpand(box, TRUE);
    gtk_box_append(GTK_BOX(box), icon);
    gtk_box_append(GTK_BOX(box), title);
    gtk_box_append(GTK_BOX(box), text);
    gtk_box_append(GTK_BOX(box), open);
    return box;
}

/* ---- status line, messages ---------------------------------------------------------------- */

static GtkWidget *build_status(VitrineWindow *w)
{
    GtkWidget *box = g_object_new(GTK_TYPE_BOX, "spacing", 12, "accessible-role",
                                  GTK_ACCESSIBLE_ROLE_GROUP, NULL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(box), GTK_ACCESSIBLE_PROPERTY_LABEL, "Status",
                                   -1);
    gtk_widget_add_css_class(box, "status");
    w->state = gtk_label_new("");
    w->state_text = gtk_label_new("");
    w->counts = gtk_label_new("");
    gtk_widget_add_css_class(w->counts, "numeric");
    gtk_widget_set_hexpand(w->state_text, TRUE);
    gtk_label_set_xalign(GTK_LABEL(w->state_text), 0);
    gtk_label_set_ellipsize(GTK_LABEL(w->state_text), PANGO_ELLIPSIZE_END);
    gtk_box_append(GTK_BOX(box), w->state);
    gtk_box_append(GTK_BOX(box), w->state_text);
    gtk_box_append(GTK_BOX(box), w->counts);
    return box;
}

static GtkWidget *build_message_bar(VitrineWindow *w)
{
    w->bar = gtk_info_bar_new();
    w->bar_text = gtk_label_new("");
    gtk_label_set_wrap(GTK_LABEL(w->bar_text), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(w->bar_text), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_xalign(GTK_LABEL(w->bar_text), 0);
    gtk_info_bar_add_child(GTK_INFO_BAR(w->bar), w->bar_text);
    gtk_info_bar_set_show_close_button(GTK_INFO_BAR(w->bar), TRUE);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), FALSE);
    g_signal_connect(w->bar, "response", G_CALLBACK(gtk_info_bar_set_revealed), FALSE);
    return w->bar;
}

static void on_chosen(VitrineExitsView *view, guint64 va, int access, VitrineWindow *w)
{
    if (access)
        vitrine_drawing_view_show(w->translation, va, (char)access);
    else
        vitrine_drawing_view_follow(w->translation);
}

void window_build(VitrineWindow *w)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_window_set_title(GTK_WINDOW(w), "Vitrine");
    gtk_window_set_icon_name(GTK_WINDOW(w), "org.vitrine.Vitrine");
    gtk_window_set_default_size(GTK_WINDOW(w), w->geometry.width, w->geometry.height);
    if (w->geometry.maximized)
        gtk_window_maximize(GTK_WINDOW(w));
    gtk_window_set_titlebar(GTK_WINDOW(w), build_header(w));
    w->body = gtk_stack_new();
    gtk_stack_add_named(GTK_STACK(w->body), build_empty(), "empty");
    gtk_stack_add_named(GTK_STACK(w->body), build_guest(w), "guest");
    gtk_stack_set_hhomogeneous(GTK_STACK(w->body), FALSE);
    gtk_stack_set_vhomogeneous(GTK_STACK(w->body), FALSE);
    gtk_stack_set_visible_child_name(GTK_STACK(w->body), "empty");
    gtk_box_append(GTK_BOX(box), build_message_bar(w));
    gtk_box_append(GTK_BOX(box), w->body);
    gtk_box_append(GTK_BOX(box), build_status(w));
    gtk_window_set_child(GTK_WINDOW(w), box);
    g_signal_connect(w->exits, "chosen", G_CALLBACK(on_chosen), w);
}

static void show_tab(VitrineWindow *w, GtkWidget *tab, gboolean shown)
{
    GtkStack *tabs = GTK_STACK(w->tabs);
    if (!shown && gtk_stack_get_visible_child(tabs) == tab)
        gtk_stack_set_visible_child(tabs, GTK_WIDGET(w->exits));
    gtk_stack_page_set_visible(gtk_stack_get_page(tabs, tab), shown);
}

void window_show_kind(VitrineWindow *w)
{
    gboolean kvm = w->guest.under == SESSION_KVM;
    gtk_stack_set_visible_child(GTK_STACK(w->registers_stack),
                                kvm ? GTK_WIDGET(w->registers_x86) : GTK_WIDGET(w->registers));
    show_tab(w, GTK_WIDGET(w->tlb), !kvm); /* KVM shows nobody the processor's */
    show_tab(w, GTK_WIDGET(w->heat), kvm);
    show_tab(w, GTK_WIDGET(w->time), !kvm); /* which cannot be repeated */
    show_tab(w, w->reason, FALSE);
}
