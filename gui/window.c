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

/* Does the guest stand where a snapshot was taken? */
static gboolean is_restored(VitrineWindow *w, const struct view_status *s)
{
    return w->restored && s->state == SESSION_STOPPED && s->stops == w->restored_stop;
}

static const char *state_name(VitrineWindow *w, const struct view_status *s)
{
    if (s->state == SESSION_RUNNING)
        return "Running";
    if (is_stuck(s))
        return "Stuck";
    if (s->state == SESSION_STOPPED && *w->time_text)
        return "In the past";
    if (s->state == SESSION_ENDED)
        return "Ended";
    return s->stop == STOPPED_RESET && !is_restored(w, s) ? "Ready" : "Stopped";
}

static gboolean guest_sleeps(VitrineWindow *w)
{
    struct view_hart hart;
    session_view_hart(w->session, w->guest.under == SESSION_BARE ? VIEW_REAL : VIEW_VIRTUAL, &hart);
    return hart.waiting;
}

static void state_text(VitrineWindow *w, const struct view_status *s, char *text, size_t size)
{
    const char *what = s->under_monitor ? "VM exit" : "trap";
    if (s->state == SESSION_RUNNING)
        g_snprintf(text, size, "%s",
                   guest_sleeps(w) ? "the guest sleeps until a timer or input wakes it"
                                   : "type into the console, or pause to look around");
    else if (*w->time_text && s->stop == STOPPED_STEP) /* where is all that there is to say */
        g_snprintf(text, size, "%s", w->time_text);
    else if (is_restored(w, s))
        g_snprintf(text, size, "back at snapshot \u201c%s\u201d", w->restored);
    else if (s->stop == STOPPED_RESET)
        g_snprintf(text, size, "before the first instruction: run, or step to the first %s", what);
    else if (s->stop == STOPPED_POWEROFF)
        g_snprintf(text, size, "the guest switched off with exit code %d", s->exit_code);
    else if (s->stop == STOPPED_EXIT)
        g_snprintf(text, size,
                   s->under_monitor ? "after VM exit %" G_GUINT64_FORMAT
                                    : "after trap %" G_GUINT64_FORMAT,
                   s->exits);
    else if (is_stuck(s) && *s->detail) /* of which `text` is the beginning */
        g_snprintf(text, size, "%.*s", (int)strcspn(s->detail, "\n"), s->detail);
    else
        g_snprintf(text, size, "%s", s->text);
}

/* Instructions where they are counted; else the time that went into exits. */
static char *counts_text(const struct view_status *s)
{
    char instructions[40], exits[40], more[48] = "";
    draw_number_text(s->instructions, instructions, sizeof instructions);
    draw_number_text(s->exits, exits, sizeof exits);
    if (s->isa == ISA_X86) {
        double us = (double)s->exit_ns / 1e3;
        if (us > 0)
            g_snprintf(more, sizeof more,
                       us < 1e3 ? "   %.0f \u00b5s in them" : "   %.1f ms in them",
                       us < 1e3 ? us : us / 1e3);
        return g_strdup_printf("%s exit%s%s", exits, s->exits == 1 ? "" : "s", more);
    }
    if (s->mips >= .05)
        g_snprintf(more, sizeof more, "   %.*f MIPS", s->mips < 10 ? 1 : 0, s->mips);
    return g_strdup_printf("%s guest instruction%s   %s %s%s%s", instructions,
                           s->instructions == 1 ? "" : "s", exits,
                           s->under_monitor ? "exit" : "trap", s->exits == 1 ? "" : "s", more);
}

static void show_status(VitrineWindow *w, const struct view_status *s)
{
    static const char *const classes[] = {"stopped", "running", "ended", NULL};
    const char *class = is_stuck(s) ? "stuck" : classes[s->state];
    char text[320];
    window_time_text(w, w->time_text, sizeof w->time_text);
    if (*w->time_text && s->state == SESSION_STOPPED)
        class = "past";
    state_text(w, s, text, sizeof text);
    if (*w->time_text && !strstr(text, w->time_text)) {
        size_t length = strlen(text);
        g_snprintf(text + length, sizeof text - length, "; %s", w->time_text);
    }
    gtk_label_set_text(GTK_LABEL(w->state), state_name(w, s));
    gtk_widget_set_css_classes(w->state, (const char *[]){"state", class, NULL});
    gtk_label_set_text(GTK_LABEL(w->state_text), text);
    gtk_widget_set_tooltip_text(w->state_text, text);
    char *counts = counts_text(s);
    gtk_label_set_text(GTK_LABEL(w->counts), counts);
    g_free(counts);
}

/* The first line is the summary of the others. */
static void show_detail(VitrineWindow *w, const char *detail)
{
    char **lines = g_strsplit(detail, "\n", -1);
    GString *markup = g_string_new(NULL);
    for (guint i = 0; lines[i]; i++) {
        char *escaped = g_markup_escape_text(lines[i], -1);
        if (i == 0)
            g_string_append_printf(markup, "<b>%s</b>\n", escaped);
        else if (*escaped)
            g_string_append_printf(markup, "\n\u2022 %s", escaped);
        g_free(escaped);
    }
    gtk_label_set_markup(GTK_LABEL(w->reason_text), markup->str);
    g_string_free(markup, TRUE);
    g_strfreev(lines);
}

/* Why KVM has given the vCPU up: a page among the tabs that is there only then, and comes up by
 * itself. */
static void show_reason(VitrineWindow *w, const struct view_status *s)
{
    GtkStack *tabs = GTK_STACK(w->tabs);
    GtkStackPage *page = gtk_stack_get_page(tabs, w->reason);
    gboolean wanted = is_stuck(s) && *s->detail, shown = gtk_stack_page_get_visible(page);
    if (wanted && !shown) {
        show_detail(w, s->detail);
        w->tab_before = gtk_stack_get_visible_child(tabs);
        gtk_stack_page_set_visible(page, TRUE);
        gtk_stack_set_visible_child(tabs, w->reason);
    } else if (!wanted && shown) {
        if (gtk_stack_get_visible_child(tabs) == w->reason)
            gtk_stack_set_visible_child(tabs, w->tab_before);
        gtk_stack_page_set_visible(page, FALSE);
    }
}

static void enable_actions(VitrineWindow *w, const struct view_status *s)
{
    static const char *const when_stopped[] = {"step", "step-over", "step-exit", "run"};
    gboolean stopped = w->session && s->state == SESSION_STOPPED;
    for (gsize i = 0; i < G_N_ELEMENTS(when_stopped); i++)
        window_enable(w, when_stopped[i], stopped);
    window_enable(w, "pause", w->session && s->state == SESSION_RUNNING);
    window_enable(w, "reset", w->session && s->stop != STOPPED_MOVED);
    window_enable(w, "breakpoint", w->session != NULL);
    window_enable(w, "monitor", w->session && s->isa == ISA_RV32 && !w->guest.kept);
    window_enable(w, "snapshot",
                  w->session && s->state != SESSION_RUNNING &&
                      session_snapshots(w->session, NULL, 0) >= 0);
    window_enable(w, "export", w->session != NULL);
    window_enable(w, "protect", w->session != NULL);
    window_enable(w, "move", w->session != NULL);
    window_enable_time(w, s);
}

/* ---- refreshing --------------------------------------------------------------------------- */

static void refresh_panes(VitrineWindow *w)
{
    vitrine_code_view_refresh(w->code, TRUE);
    vitrine_registers_view_refresh(w->registers);
    vitrine_registers_x86_refresh(w->registers_x86);
    vitrine_drawing_view_refresh(w->translation);
    vitrine_exits_view_refresh(w->exits);
    vitrine_drawing_view_refresh(w->chart);
    vitrine_drawing_view_refresh(w->tables);
    vitrine_list_view_refresh(w->tlb);
    vitrine_memory_view_refresh(w->memory);
    vitrine_list_view_refresh(w->devices);
    vitrine_drawing_view_refresh(w->heat);
    vitrine_snapshots_view_refresh(w->snapshots);
    vitrine_layers_view_refresh(w->layers);
    vitrine_hosts_view_refresh(w->hosts);
    vitrine_time_view_refresh(w->time); /* the last: it may send the guest elsewhere */
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
    show_reason(w, &status);
    refresh_panes(w);
    w->refreshed = g_get_monotonic_time();
}

static gboolean on_tick(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    VitrineWindow *w = VITRINE_WINDOW(widget);
    gboolean more = vitrine_console_view_drain(w->console);
    gboolean company = window_has_company(w), lively = w->running || company;
    if (w->company && !company) /* how that has ended */
        window_refresh(w);
    else if (lively && g_get_monotonic_time() - w->refreshed >= REFRESH_MICROSECONDS)
        window_refresh(w);
    w->company = company;
    if (more || lively)
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
    g_clear_pointer(&w->restored, g_free);
    vitrine_console_view_set_session(w->console, session);
    window_leave_hosts(w, old, session == NULL);
    vitrine_console_view_clear(w->console);
    vitrine_code_view_set_session(w->code, session);
    vitrine_registers_view_set_session(w->registers, session);
    vitrine_registers_x86_set_session(w->registers_x86, session);
    vitrine_drawing_view_set_session(w->translation, session);
    vitrine_exits_view_set_session(w->exits, session);
    vitrine_drawing_view_set_session(w->chart, session);
    vitrine_drawing_view_set_session(w->tables, session);
    vitrine_list_view_set_session(w->tlb, session);
    vitrine_memory_view_set_session(w->memory, session);
    vitrine_list_view_set_session(w->devices, session);
    vitrine_drawing_view_set_session(w->heat, session);
    vitrine_snapshots_view_set_session(w->snapshots, session);
    vitrine_layers_view_set_session(w->layers, session);
    vitrine_hosts_view_set_session(w->hosts, session);
    vitrine_time_view_set_session(w->time, session);
}

static void show_guest(VitrineWindow *w)
{
    static const char *const places[] = {[SESSION_BARE] = "on the bare machine",
                                         [SESSION_HV] = "under the monitor",
                                         [SESSION_KVM] = "on the host\u2019s processor (KVM)"};
    char *name = g_path_get_basename(guest_path(&w->guest));
    char *title = g_strdup_printf("%s \u2013 Vitrine", name);
    gtk_window_set_title(GTK_WINDOW(w), title);
    gtk_label_set_text(GTK_LABEL(w->title), name);
    gtk_label_set_text(GTK_LABEL(w->subtitle), places[w->guest.under]);
    gtk_stack_set_visible_child_name(GTK_STACK(w->body), "guest");
    g_free(title);
    g_free(name);
}

/* Where the guest of a session directory runs. */
static enum session_under under_of(struct session *session)
{
    struct view_status status;
    session_status(session, &status);
    return status.isa == ISA_X86 ? SESSION_KVM : status.under_monitor ? SESSION_HV : SESSION_BARE;
}

/* Says which one. */
static void come_from_snapshot(VitrineWindow *w)
{
    int count = session_snapshots(w->session, NULL, 0);
    struct view_snapshot *list = g_new0(struct view_snapshot, MAX(count, 1));
    count = MIN(session_snapshots(w->session, list, count), count);
    for (int i = 0; i < count; i++) {
        char number[16];
        g_snprintf(number, sizeof number, "%d", list[i].id);
        if (list[i].current)
            window_restored(w, *list[i].name ? list[i].name : number);
    }
    g_free(list);
}

/* Most who lack /dev/kvm lack a right to it, which another command explains. */
static void say_refusal(VitrineWindow *w, const struct guest *guest, const char *why)
{
    gboolean kvm = guest->under == SESSION_KVM && strstr(why, "/dev/kvm");
    char *text = g_strconcat(why,
                             kvm ? "\n\u201cvitrine kvm-info\u201d says what this host lacks and "
                                   "what to do about it."
                             : guest->kept ? "\n\u201cvitrine snapshot list\u201d and "
                                             "\u201cvitrine snapshot check\u201d tell more."
                                           : "",
                             NULL);
    window_say(w, GTK_MESSAGE_ERROR, text);
    g_printerr("vitrine-gui: %s\n", why);
    g_free(text);
}

gboolean window_start(VitrineWindow *w, const struct guest *guest)
{
    struct session_config config;
    struct guest copy;
    char why[SESSION_ERROR];
    session_config_init(&config);
    guest_configure(guest, &config);
    config.paced = true;
    config.output = on_output;
    config.stopped = on_stopped;
    config.context = w;
    if (window_has_company(w)) {
        window_say(w, GTK_MESSAGE_WARNING,
                   w->mover ? "The guest is being moved: wait for the end, or cancel that first."
                            : "The guest is protected: release it first.");
        return FALSE;
    }
    struct session *session =
        guest->kept ? session_open(guest->kept, 0, &config, why) : session_new(&config, why);
    if (!session) {
        say_refusal(w, guest, why);
        return FALSE;
    }
    guest_copy(&copy, guest); /* `guest` may be the old one */
    guest_clear(&w->guest);
    w->guest = copy;
    if (copy.kept)
        w->guest.under = under_of(session);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), FALSE);
    window_show_kind(w);
    show_guest(w);
    set_session(w, session);
    vitrine_code_view_focus(w->code);
    if (copy.kept)
        come_from_snapshot(w);
    window_refresh(w);
    return TRUE;
}

void window_sent(VitrineWindow *w)
{
    vitrine_drawing_view_follow(w->translation);
    w->running = TRUE;
    window_watch(w);
}

void window_restored(VitrineWindow *w, const char *name)
{
    struct view_status status;
    session_status(w->session, &status);
    g_free(w->restored);
    w->restored = g_strdup(name);
    w->restored_stop = status.stops;
    vitrine_drawing_view_follow(w->translation);
    window_refresh(w);
    window_watch(w);
}

/* The demo guest, in the way and with the disk that the command line asks for. */
static void find_demo(struct guest *guest)
{
    struct guest demo;
    guest_init(&demo);
    if (sample_find(sample_nth(0), &demo)) {
        guest->image = g_strdup(demo.image);
        if (!guest->disk && demo.disk) {
            guest->disk = g_strdup(demo.disk);
            guest->disk_readonly = TRUE;
        }
    }
    guest_clear(&demo);
}

static void start_first(VitrineWindow *w, const struct window_options *options)
{
    struct guest guest;
    guest_copy(&guest, &options->guest);
    if (guest.under != SESSION_KVM && !guest.image && !guest.kept)
        find_demo(&guest);
    if (guest.image || guest.firmware || guest.kept)
        window_start(w, &guest);
    guest_clear(&guest);
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
    g_clear_pointer(&w->restored, g_free);
    guest_clear(&w->guest);
    G_OBJECT_CLASS(vitrine_window_parent_class)->dispose(object);
}

static void vitrine_window_class_init(VitrineWindowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    GTK_WINDOW_CLASS(class)->close_request = on_close;
}

static void vitrine_window_init(VitrineWindow *w)
{
    guest_init(&w->guest);
    w->asked_once = -1;
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
    geometry_load(&w->geometry);
    w->remember = options->width == 0;
    if (options->width) {
        w->geometry = (struct geometry){.width = options->width, .height = options->height};
    }
    window_build(w);
    w->guest.under = options->guest.under;
    window_add_actions(w);
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
