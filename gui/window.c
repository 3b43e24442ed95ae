/*
 * The window. It owns the session; the panes ask it. While the guest runs, a tick callback shows
 * the console's output each frame and refreshes the panes ten times a second; while it stands,
 * nothing happens until the session's worker reports a stop. Building the widgets is in
 * window-build.c, what menu and buttons do in window-actions.c.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "gui/guests.h"
#include "gui/window_priv.h"

enum {
    REFRESH_MICROSECONDS = 100000,
    WIDE = 1700, /* pixels: from here on there is room for larger text */
};

G_DEFINE_FINAL_TYPE(VitrineWindow, vitrine_window, GTK_TYPE_APPLICATION_WINDOW)

/* ---- the status line ---------------------------------------------------------------------- */

/* Did the guest stop because it cannot go on? */
static gboolean is_stuck(const struct view_status *s)
{
    return s->state != SESSION_RUNNING &&
           (s->stop == STOPPED_STUCK || s->stop == STOPPED_SHUTDOWN ||
            s->stop == STOPPED_INTERNAL || s->stop == STOPPED_FAIL_ENTRY);
}

static const char *state_name(const struct view_status *s)
{
    if (s->state == SESSION_RUNNING)
        return "Running";
    if (is_stuck(s))
        return "Stuck";
    if (s->state == SESSION_ENDED)
        return "Ended";
    return s->stop == STOPPED_RESET ? "Ready" : "Stopped";
}

static gboolean guest_sleeps(VitrineWindow *w)
{
    struct view_hart hart;
    session_view_hart(w->session, w->bare ? VIEW_REAL : VIEW_VIRTUAL, &hart);
    return hart.waiting;
}

static void state_text(VitrineWindow *w, const struct view_status *s, char *text, size_t size)
{
    const char *what = s->under_monitor ? "VM exit" : "trap";
    if (s->state == SESSION_RUNNING)
        g_snprintf(text, size, "%s",
                   guest_sleeps(w) ? "the guest sleeps until a timer or input wakes it"
                                   : "type into the console, or pause to look around");
    else if (s->stop == STOPPED_RESET)
        g_snprintf(text, size, "before the first instruction: run, or step to the first %s", what);
    else if (s->stop == STOPPED_POWEROFF)
        g_snprintf(text, size, "the guest switched off with exit code %d", s->exit_code);
    else if (s->stop == STOPPED_EXIT)
        g_snprintf(text, size,
                   s->under_monitor ? "after VM exit %" G_GUINT64_FORMAT
                                    : "after trap %" G_GUINT64_FORMAT,
                   s->exits);
    else
        g_snprintf(text, size, "%s", s->text);
}

/* 1234567 as 1,234,567 */
static void grouped(uint64_t n, char *text, size_t size)
{
    char digits[32];
    size_t length = (size_t)g_snprintf(digits, sizeof digits, "%" G_GUINT64_FORMAT, n), at = 0;
    for (size_t i = 0; i < length && at + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
}

static void show_status(VitrineWindow *w, const struct view_status *s)
{
    static const char *const classes[] = {"stopped", "running", "ended", NULL};
    char text[192], instructions[40], exits[40], mips[32] = "";
    const char *class = is_stuck(s) ? "stuck" : classes[s->state];
    state_text(w, s, text, sizeof text);
    grouped(s->instructions, instructions, sizeof instructions);
    grouped(s->exits, exits, sizeof exits);
    if (s->mips >= .05)
        g_snprintf(mips, sizeof mips, "   %.*f MIPS", s->mips < 10 ? 1 : 0, s->mips);
    gtk_label_set_text(GTK_LABEL(w->state), state_name(s));
    gtk_widget_set_css_classes(w->state, (const char *[]){"state", class, NULL});
    gtk_label_set_text(GTK_LABEL(w->state_text), text);
    char *counts = g_strdup_printf(
        "%s guest instruction%s   %s %s%s%s", instructions, s->instructions == 1 ? "" : "s", exits,
        s->under_monitor ? "exit" : "trap", s->exits == 1 ? "" : "s", mips);
    gtk_label_set_text(GTK_LABEL(w->counts), counts);
    g_free(counts);
}

static void enable_actions(VitrineWindow *w, const struct view_status *s)
{
    static const char *const when_stopped[] = {"step", "step-over", "step-exit", "run"};
    gboolean stopped = w->session && s->state == SESSION_STOPPED;
    for (gsize i = 0; i < G_N_ELEMENTS(when_stopped); i++)
        window_enable(w, when_stopped[i], stopped);
    window_enable(w, "pause", w->session && s->state == SESSION_RUNNING);
    window_enable(w, "reset", w->session != NULL);
    window_enable(w, "breakpoint", w->session != NULL);
    window_enable(w, "monitor", w->session != NULL);
    window_enable(w, "export", w->session != NULL);
}

/* ---- refreshing --------------------------------------------------------------------------- */

static void refresh_panes(VitrineWindow *w)
{
    vitrine_code_view_refresh(w->code, TRUE);
    vitrine_registers_view_refresh(w->registers);
    vitrine_drawing_view_refresh(w->translation);
    vitrine_exits_view_refresh(w->exits);
    vitrine_drawing_view_refresh(w->chart);
    vitrine_drawing_view_refresh(w->tables);
    vitrine_list_view_refresh(w->tlb);
    vitrine_memory_view_refresh(w->memory);
    vitrine_list_view_refresh(w->devices);
}

void window_refresh(VitrineWindow *w)
{
    struct view_status status = {.state = SESSION_ENDED};
    if (w->session)
        session_status(w->session, &status);
    enable_actions(w, &status);
    if (!w->session)
        return;
    show_status(w, &status);
    refresh_panes(w);
    w->refreshed = g_get_monotonic_time();
}

static gboolean on_tick(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    VitrineWindow *w = VITRINE_WINDOW(widget);
    gboolean more = vitrine_console_view_drain(w->console);
    if (w->running && g_get_monotonic_time() - w->refreshed >= REFRESH_MICROSECONDS)
        window_refresh(w);
    if (more || w->running)
        return G_SOURCE_CONTINUE;
    w->tick = 0;
    return G_SOURCE_REMOVE;
}

void window_watch(VitrineWindow *w)
{
    if (!w->tick)
        w->tick = gtk_widget_add_tick_callback(GTK_WIDGET(w), on_tick, NULL, NULL);
}

/* ---- from the worker thread --------------------------------------------------------------- */

static void on_output(void *context, const uint8_t *bytes, size_t count)
{
    VitrineWindow *w = context;
    vitrine_console_view_write(w->console, bytes, count);
}

static gboolean on_stopped_here(gpointer data)
{
    VitrineWindow *w = data;
    struct view_status status;
    g_atomic_int_set(&w->stop_queued, 0);
    if (!w->session)
        return G_SOURCE_REMOVE;
    session_status(w->session, &status);
    w->running = status.state == SESSION_RUNNING;
    window_refresh(w);
    window_watch(w); /* for what the console has not shown yet */
    return G_SOURCE_REMOVE;
}

static void on_stopped(void *context)
{
    VitrineWindow *w = context;
    if (g_atomic_int_compare_and_exchange(&w->stop_queued, 0, 1))
        g_idle_add_full(G_PRIORITY_DEFAULT, on_stopped_here, g_object_ref(w), g_object_unref);
}

/* ---- guests ------------------------------------------------------------------------------- */

void window_say(VitrineWindow *w, GtkMessageType type, const char *text)
{
    gtk_info_bar_set_message_type(GTK_INFO_BAR(w->bar), type);
    gtk_label_set_text(GTK_LABEL(w->bar_text), text);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), TRUE);
}

static void set_session(VitrineWindow *w, struct session *session)
{
    struct session *old = w->session;
    w->session = session;
    w->running = FALSE;
    vitrine_console_view_set_session(w->console, session);
    session_free(old);
    vitrine_console_view_clear(w->console);
    vitrine_code_view_set_session(w->code, session);
    vitrine_registers_view_set_session(w->registers, session);
    vitrine_drawing_view_set_session(w->translation, session);
    vitrine_exits_view_set_session(w->exits, session);
    vitrine_drawing_view_set_session(w->chart, session);
    vitrine_drawing_view_set_session(w->tables, session);
    vitrine_list_view_set_session(w->tlb, session);
    vitrine_memory_view_set_session(w->memory, session);
    vitrine_list_view_set_session(w->devices, session);
}

static void show_guest(VitrineWindow *w)
{
    char *name = g_path_get_basename(w->guest);
    char *title = g_strdup_printf("%s \u2013 Vitrine", name);
    gtk_window_set_title(GTK_WINDOW(w), title);
    gtk_label_set_text(GTK_LABEL(w->title), name);
    gtk_label_set_text(GTK_LABEL(w->subtitle),
                       w->bare ? "on the bare machine" : "under the monitor");
    gtk_stack_set_visible_child_name(GTK_STACK(w->body), "guest");
    g_free(title);
    g_free(name);
}

gboolean window_start(VitrineWindow *w, const char *guest, const char *disk, gboolean bare)
{
    struct session_config config;
    char why[SESSION_ERROR];
    session_config_init(&config);
    config.image = guest;
    config.disk = disk;
    config.disk_readonly = w->disk_readonly;
    config.under = bare ? SESSION_BARE : SESSION_HV;
    config.memory = w->memory_size ? w->memory_size : config.memory;
    config.paced = true;
    config.output = on_output;
    config.stopped = on_stopped;
    config.context = w;
    struct session *session = session_new(&config, why);
    if (!session) {
        window_say(w, GTK_MESSAGE_ERROR, why);
        g_printerr("vitrine-gui: %s\n", why);
        return FALSE;
    }
    char *new_guest = g_strdup(guest), *new_disk = g_strdup(disk);
    g_free(w->guest);
    g_free(w->disk);
    w->guest = new_guest;
    w->disk = new_disk;
    w->bare = bare;
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), FALSE);
    show_guest(w);
    set_session(w, session);
    vitrine_code_view_focus(w->code);
    window_refresh(w);
    return TRUE;
}

static void start_first(VitrineWindow *w, const struct window_options *options)
{
    char *guest = g_strdup(options->guest), *disk = g_strdup(options->disk), *demo_disk = NULL;
    if (!guest) {
        guest = guests_find_demo(&demo_disk);
        if (!disk && demo_disk) {
            disk = demo_disk;
            demo_disk = NULL;
            w->disk_readonly = TRUE;
        }
    }
    if (guest)
        window_start(w, guest, disk, options->bare);
    w->disk_readonly = FALSE;
    g_free(demo_disk);
    g_free(disk);
    g_free(guest);
}

/* ---- the object --------------------------------------------------------------------------- */

void window_set_zoom(VitrineWindow *w, double zoom)
{
    char css[96];
    w->zoom = CLAMP(zoom, .7, 2.5);
    char size[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(size, sizeof size, "%.2f", 11.6 * w->zoom);
    g_snprintf(css, sizeof css, "rows { font-family: monospace; font-size: %spx; }", size);
    gtk_css_provider_load_from_data(w->zoom_css, css, -1);
    vitrine_console_view_set_scale(w->console, w->zoom);
}

static void save_geometry(VitrineWindow *w)
{
    gtk_window_get_default_size(GTK_WINDOW(w), &w->geometry.width, &w->geometry.height);
    w->geometry.maximized = gtk_window_is_maximized(GTK_WINDOW(w));
    for (int i = 0; i < GEOMETRY_PANES; i++)
        w->geometry.pane[i] = gtk_paned_get_position(GTK_PANED(w->pane[i]));
    geometry_save(&w->geometry);
}

static gboolean on_close(GtkWindow *window)
{
    VitrineWindow *w = VITRINE_WINDOW(window);
    if (w->remember)
        save_geometry(w);
    return GTK_WINDOW_CLASS(vitrine_window_parent_class)->close_request(window);
}

static void dispose(GObject *object)
{
    VitrineWindow *w = VITRINE_WINDOW(object);
    if (w->session)
        set_session(w, NULL);
    if (w->zoom_css)
        gtk_style_context_remove_provider_for_display(gdk_display_get_default(),
                                                      GTK_STYLE_PROVIDER(w->zoom_css));
    g_clear_object(&w->zoom_css);
    g_clear_pointer(&w->guest, g_free);
    g_clear_pointer(&w->disk, g_free);
    G_OBJECT_CLASS(vitrine_window_parent_class)->dispose(object);
}

static void vitrine_window_class_init(VitrineWindowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    GTK_WINDOW_CLASS(class)->close_request = on_close;
}

static void vitrine_window_init(VitrineWindow *w)
{
    w->zoom_css = gtk_css_provider_new();
    gtk_style_context_add_provider_for_display(gdk_display_get_default(),
                                               GTK_STYLE_PROVIDER(w->zoom_css),
                                               GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
}

GtkWidget *vitrine_window_new(GtkApplication *app, const struct window_options *options,
                              GError **why)
{
    GtkWidget *console = vitrine_console_view_new(why);
    if (!console)
        return NULL;
    VitrineWindow *w = g_object_new(VITRINE_TYPE_WINDOW, "application", app, NULL);
    w->console = VITRINE_CONSOLE_VIEW(console);
    w->memory_size = options->memory;
    geometry_load(&w->geometry);
    w->remember = options->width == 0;
    if (options->width) {
        w->geometry = (struct geometry){.width = options->width, .height = options->height};
    }
    window_build(w);
    window_add_actions(w, options->bare);
    window_set_zoom(w, w->geometry.width < WIDE ? 1 : 1.15);
    if (options->console_log) {
        int error = vitrine_console_view_log(w->console, options->console_log);
        if (error)
            window_say(w, GTK_MESSAGE_ERROR, g_strerror(-error));
    }
    window_refresh(w);
    start_first(w, options);
    return GTK_WIDGET(w);
}
