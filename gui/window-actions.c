/*
 * What the menu, the buttons and the shortcuts do. One table; commands to the guest return at once,
 * and the window hears of the result when the session stops.
 */
#include "config.h"

#include <errno.h>

#include "gui/window_priv.h"

typedef void (*window_action_fn)(VitrineWindow *w);

/* ---- stepping and running ----------------------------------------------------------------- */

/* Every command follows the guest again, whatever was looked at before. */
static void command(VitrineWindow *w, int (*send)(struct session *))
{
    if (!w->session || send(w->session) != 0)
        return;
    window_sent(w);
}

static int send_step(struct session *session)
{
    return session_step(session, 1);
}

static void do_step(VitrineWindow *w)
{
    command(w, send_step);
}

static void do_step_over(VitrineWindow *w)
{
    command(w, session_step_over);
}

static void do_step_exit(VitrineWindow *w)
{
    command(w, session_step_exit);
}

static void do_run(VitrineWindow *w)
{
    command(w, session_run);
    window_refresh(w);
    gtk_widget_grab_focus(vitrine_console_view_terminal(w->console));
}

static void do_pause(VitrineWindow *w)
{
    if (w->session)
        session_pause(w->session);
}

static void do_reset(VitrineWindow *w)
{
    if (!w->session)
        return;
    session_pause(w->session);
    session_wait(w->session, 1000);
    w->running = FALSE;
    if (session_reset(w->session) != 0)
        return;
    vitrine_console_view_clear(w->console);
    vitrine_drawing_view_follow(w->translation);
    vitrine_exits_view_set_session(w->exits, w->session);
    window_refresh(w);
}

static void do_snapshot(VitrineWindow *w)
{
    gtk_stack_set_visible_child(GTK_STACK(w->tabs), GTK_WIDGET(w->snapshots));
    vitrine_snapshots_view_take(w->snapshots);
}

static void do_breakpoint(VitrineWindow *w)
{
    vitrine_code_view_toggle_breakpoint(w->code);
}

/* ---- files -------------------------------------------------------------------------------- */

/* What was said of the guest before goes on to hold for one of the same kind. */
static void open_file(VitrineWindow *w, const char *path, const char *processor)
{
    struct guest guest;
    gboolean x86 = g_strcmp0(processor, "x86") == 0 ||
                   (g_strcmp0(processor, "rv32") != 0 && session_is_x86(path));
    guest_init(&guest);
    guest.image = g_strdup(path);
    guest.kvm_fd = w->guest.kvm_fd;
    guest.under = x86 ? SESSION_KVM : w->guest.under == SESSION_BARE ? SESSION_BARE : SESSION_HV;
    if (x86 == (w->guest.under == SESSION_KVM)) {
        guest.memory = w->guest.memory;
        guest.cpus = w->guest.cpus;
        guest.net = g_strdup(w->guest.net);
    }
    window_start(w, &guest);
    guest_clear(&guest);
}

static void open_directory(VitrineWindow *w, const char *path)
{
    struct guest guest;
    guest_init(&guest);
    guest.kept = g_strdup(path);
    guest.kvm_fd = w->guest.kvm_fd;
    window_start(w, &guest);
    guest_clear(&guest);
}

static void on_open_response(GtkNativeDialog *dialog, int response, VitrineWindow *w)
{
    GFile *file = response == GTK_RESPONSE_ACCEPT
                      ? gtk_file_chooser_get_file(GTK_FILE_CHOOSER(dialog))
                      : NULL;
    char *path = file ? g_file_get_path(file) : NULL;
    if (path && g_file_test(path, G_FILE_TEST_IS_DIR))
        open_directory(w, path);
    else if (path)
        open_file(w, path, gtk_file_chooser_get_choice(GTK_FILE_CHOOSER(dialog), "processor"));
    g_free(path);
    g_clear_object(&file);
    g_object_unref(dialog);
}

static void do_open(VitrineWindow *w)
{
    GtkFileChooserNative *dialog = gtk_file_chooser_native_new(
        "Open a guest", GTK_WINDOW(w), GTK_FILE_CHOOSER_ACTION_OPEN, "Open", "Cancel");
    static const char *ids[] = {"auto", "rv32", "x86", NULL};
    static const char *labels[] = {"As the file says", "RISC-V, simulated", "x86, through KVM",
                                   NULL};
    gtk_file_chooser_add_choice(GTK_FILE_CHOOSER(dialog), "processor", "Processor", ids, labels);
    gtk_file_chooser_set_choice(GTK_FILE_CHOOSER(dialog), "processor", "auto");
    g_signal_connect(dialog, "response", G_CALLBACK(on_open_response), w);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(dialog));
}

static void do_open_directory(VitrineWindow *w)
{
    GtkFileChooserNative *dialog =
        gtk_file_chooser_native_new("Open a session directory: its newest snapshot", GTK_WINDOW(w),
                                    GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER, "Open", "Cancel");
    g_signal_connect(dialog, "response", G_CALLBACK(on_open_response), w);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(dialog));
}

/* The drawing that the tabs show, else the translation. */
static int export_drawing(VitrineWindow *w, const char *path)
{
    GtkWidget *page = gtk_stack_get_visible_child(GTK_STACK(w->tabs));
    if (VITRINE_IS_TIME_VIEW(page))
        return vitrine_time_view_export(w->time, path);
    if (VITRINE_IS_LAYERS_VIEW(page))
        return vitrine_layers_view_export(w->layers, path);
    if (VITRINE_IS_HOSTS_VIEW(page))
        return vitrine_hosts_view_export(w->hosts, path);
    return vitrine_drawing_view_export(
        VITRINE_IS_DRAWING_VIEW(page) ? VITRINE_DRAWING_VIEW(page) : w->translation, path);
}

static const char *export_name(VitrineWindow *w)
{
    GtkWidget *page = gtk_stack_get_visible_child(GTK_STACK(w->tabs));
    return VITRINE_IS_TIME_VIEW(page)      ? "time.svg"
           : VITRINE_IS_LAYERS_VIEW(page)  ? "layers.svg"
           : VITRINE_IS_HOSTS_VIEW(page)   ? "hosts.svg"
           : VITRINE_IS_DRAWING_VIEW(page) ? "drawing.svg"
                                           : "translation.svg";
}

static void on_export_response(GtkNativeDialog *dialog, int response, VitrineWindow *w)
{
    GFile *file = response == GTK_RESPONSE_ACCEPT
                      ? gtk_file_chooser_get_file(GTK_FILE_CHOOSER(dialog))
                      : NULL;
    char *path = file ? g_file_get_path(file) : NULL;
    if (path) {
        int error = export_drawing(w, path);
        char *text = g_strdup_printf("%s: %s", path,
                                     error == -EINVAL ? "the name must end in .svg, .pdf or .png"
                                                      : g_strerror(-error));
        if (error)
            window_say(w, GTK_MESSAGE_ERROR, text);
        g_free(text);
    }
    g_free(path);
    g_clear_object(&file);
    g_object_unref(dialog);
}

static void do_export(VitrineWindow *w)
{
    GtkFileChooserNative *dialog =
        gtk_file_chooser_native_new("Export the drawing (.svg, .pdf or .png)", GTK_WINDOW(w),
                                    GTK_FILE_CHOOSER_ACTION_SAVE, "Export", "Cancel");
    gtk_file_chooser_set_current_name(GTK_FILE_CHOOSER(dialog), export_name(w));
    g_signal_connect(dialog, "response", G_CALLBACK(on_export_response), w);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(dialog));
}

/* ---- looks -------------------------------------------------------------------------------- */

static void do_zoom_in(VitrineWindow *w)
{
    window_set_zoom(w, w->zoom * 1.1);
}

static void do_zoom_out(VitrineWindow *w)
{
    window_set_zoom(w, w->zoom / 1.1);
}

static void do_zoom_normal(VitrineWindow *w)
{
    window_set_zoom(w, 1);
}

static void do_close(VitrineWindow *w)
{
    gtk_window_close(GTK_WINDOW(w));
}

static void do_about(VitrineWindow *w)
{
    gtk_show_about_dialog(GTK_WINDOW(w), "program-name", "Vitrine", "version", PACKAGE_VERSION,
                          "comments", "A hypervisor in a glass case", "license-type",
                          GTK_LICENSE_MIT_X11, "logo-icon-name", "org.vitrine.Vitrine", NULL);
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    window_action_fn run;
    const char *keys[3];
} table[] = {
    {"step", do_step, {"F11"}},
    {"step-over", do_step_over, {"F8"}},
    {"step-exit", do_step_exit, {"F10"}},
    {"step-back", window_step_back, {"<Shift>F11"}},
    {"back-exit", window_back_exit, {"<Shift>F10"}},
    {"back-point", window_back_point, {"<Shift>F5"}},
    {"goto", window_ask_instruction, {"<Control><Shift>g"}},
    {"who-wrote", window_ask_writer, {"<Control><Shift>l"}},
    {"run", do_run, {"F5"}},
    {"pause", do_pause, {"F6"}},
    {"reset", do_reset, {"<Control><Shift>r"}},
    {"breakpoint", do_breakpoint, {"F9"}},
    {"snapshot", do_snapshot, {"<Control><Shift>s"}},
    {"protect", window_ask_backup, {"<Control><Shift>b"}},
    {"move", window_ask_host, {"<Control><Shift>m"}},
    {"open", do_open, {"<Control><Shift>o"}},
    {"open-directory", do_open_directory, {"<Control><Shift>d"}},
    {"export", do_export, {"<Control><Shift>e"}},
    {"zoom-in", do_zoom_in, {"<Control>plus"}},
    {"zoom-out", do_zoom_out, {"<Control>minus"}},
    {"zoom-normal", do_zoom_normal, {"<Control>0"}},
    {"close", do_close, {"<Control><Shift>w", "<Control><Shift>q"}},
    {"about", do_about, {NULL}},
};

static void on_action(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    VitrineWindow *w = data;
    window_action_fn run = (window_action_fn)g_object_get_data(G_OBJECT(action), "run");
    run(w);
}

/* The switch between monitor and bare machine starts the guest anew. */
static void on_monitor(GSimpleAction *action, GVariant *wanted, gpointer data)
{
    VitrineWindow *w = data;
    struct guest guest;
    if (!w->session)
        return;
    guest_copy(&guest, &w->guest);
    guest.under = g_variant_get_boolean(wanted) ? SESSION_HV : SESSION_BARE;
    if (window_start(w, &guest))
        g_simple_action_set_state(action, wanted);
    guest_clear(&guest);
}

/* A sample, by its number in guests.h's list. */
static void on_sample(GSimpleAction *action, GVariant *number, gpointer data)
{
    VitrineWindow *w = data;
    struct guest guest;
    const struct sample *sample = sample_nth((unsigned)g_variant_get_int32(number));
    guest_init(&guest);
    guest.kvm_fd = w->guest.kvm_fd;
    if (sample && sample_find(sample, &guest)) {
        if (!sample->x86 && w->guest.under == SESSION_BARE)
            guest.under = SESSION_BARE;
        window_start(w, &guest);
    }
    guest_clear(&guest);
}

static void on_dark(GSimpleAction *action, GVariant *wanted, gpointer data)
{
    g_object_set(gtk_settings_get_default(), "gtk-application-prefer-dark-theme",
                 g_variant_get_boolean(wanted), NULL);
    g_simple_action_set_state(action, wanted);
    window_refresh(data);
}

/*
 * Function keys are the window's, whatever has the focus. They are taken before anybody else sees
 * them: the console would send them to the guest while their action is disabled, and GTK looks for
 * a menu bar at F10.
 */
static gboolean on_key(GtkEventControllerKey *controller, guint key, guint code,
                       GdkModifierType state, gpointer data)
{
    GdkModifierType held = state & gtk_accelerator_get_default_mod_mask(), modifiers;
    guint wanted;
    for (gsize i = 0; key >= GDK_KEY_F1 && key <= GDK_KEY_F12 && i < G_N_ELEMENTS(table); i++) {
        if (!table[i].keys[0] || !gtk_accelerator_parse(table[i].keys[0], &wanted, &modifiers) ||
            wanted != key || modifiers != held)
            continue;
        g_action_group_activate_action(G_ACTION_GROUP(data), table[i].name, NULL);
        return TRUE;
    }
    return FALSE;
}

static void take_function_keys(VitrineWindow *w)
{
    GtkEventController *key = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(key, GTK_PHASE_CAPTURE);
    g_signal_connect(key, "key-pressed", G_CALLBACK(on_key), w);
    gtk_widget_add_controller(GTK_WIDGET(w), key);
}

static void add_toggle(VitrineWindow *w, const char *name, gboolean on, GCallback changed)
{
    GSimpleAction *action = g_simple_action_new_stateful(name, NULL, g_variant_new_boolean(on));
    g_signal_connect(action, "change-state", changed, w);
    g_action_map_add_action(G_ACTION_MAP(w), G_ACTION(action));
    g_object_unref(action);
}

void window_enable(VitrineWindow *w, const char *name, gboolean enabled)
{
    GAction *action = g_action_map_lookup_action(G_ACTION_MAP(w), name);
    if (g_action_get_enabled(action) != enabled)
        g_simple_action_set_enabled(G_SIMPLE_ACTION(action), enabled);
}

void window_add_actions(VitrineWindow *w)
{
    gboolean dark;
    GtkApplication *app = gtk_window_get_application(GTK_WINDOW(w));
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        GSimpleAction *action = g_simple_action_new(table[i].name, NULL);
        g_object_set_data(G_OBJECT(action), "run", (gpointer)table[i].run);
        g_signal_connect(action, "activate", G_CALLBACK(on_action), w);
        g_action_map_add_action(G_ACTION_MAP(w), G_ACTION(action));
        g_object_unref(action);
        char *name = g_strconcat("win.", table[i].name, NULL);
        if (table[i].keys[0])
            gtk_application_set_accels_for_action(app, name, (const char *const *)table[i].keys);
        g_free(name);
    }
    take_function_keys(w);
    g_object_get(gtk_settings_get_default(), "gtk-application-prefer-dark-theme", &dark, NULL);
    add_toggle(w, "monitor", w->guest.under != SESSION_BARE, G_CALLBACK(on_monitor));
    add_toggle(w, "dark", dark, G_CALLBACK(on_dark));
    GSimpleAction *sample = g_simple_action_new("sample", G_VARIANT_TYPE_INT32);
    g_signal_connect(sample, "activate", G_CALLBACK(on_sample), w);
    g_action_map_add_action(G_ACTION_MAP(w), G_ACTION(sample));
    g_object_unref(sample);
}
