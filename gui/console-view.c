/*
 * The console. The guest's worker thread puts its output into a ring; the window takes some of it
 * out once a frame and writes it into a pseudo-terminal, whose other end the terminal widget shows.
 * What is typed comes back the same way. So a guest that floods its UART neither waits nor stops
 * the window.
 */
#include "gui/console-view.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <vte/vte.h>

enum { RING = 256 << 10, CHUNK = 8 << 10, KEPT_LINES = 10000 };

struct _VitrineConsoleView {
    GtkBox parent;
    VteTerminal *terminal;
    struct session *session;
    int slave;
    guint watch;
    FILE *log;
    GMutex lock; /* of what follows */
    uint8_t *ring;
    size_t head, count;
    uint64_t dropped;
};

G_DEFINE_FINAL_TYPE(VitrineConsoleView, vitrine_console_view, GTK_TYPE_BOX)

/* ---- from the guest ----------------------------------------------------------------------- */

void vitrine_console_view_write(VitrineConsoleView *view, const uint8_t *bytes, size_t count)
{
    g_mutex_lock(&view->lock);
    for (size_t i = 0; i < count; i++) {
        view->ring[(view->head + view->count) % RING] = bytes[i];
        if (view->count < RING) {
            view->count++;
        } else {
            view->head = (view->head + 1) % RING;
            view->dropped++;
        }
    }
    g_mutex_unlock(&view->lock);
}

/* Copies without taking. */
static size_t peek(VitrineConsoleView *view, uint8_t *bytes, size_t size, uint64_t *dropped)
{
    g_mutex_lock(&view->lock);
    size_t count = MIN(size, view->count);
    for (size_t i = 0; i < count; i++)
        bytes[i] = view->ring[(view->head + i) % RING];
    *dropped = view->dropped;
    g_mutex_unlock(&view->lock);
    return count;
}

static gboolean take(VitrineConsoleView *view, size_t count, uint64_t dropped)
{
    g_mutex_lock(&view->lock);
    /* What was dropped since peek() was the oldest: it has been shown, so it is taken already. */
    uint64_t gone = MIN(view->dropped - dropped, count);
    size_t now = count - (size_t)gone;
    view->head = (view->head + now) % RING;
    view->count -= now;
    view->dropped = view->dropped - dropped - gone;
    gboolean more = view->count > 0;
    g_mutex_unlock(&view->lock);
    return more;
}

static void note_dropped(VitrineConsoleView *view, uint64_t dropped)
{
    char note[96];
    int length = snprintf(note, sizeof note,
                          "\r\n\033[7m %llu bytes of output came too fast to show \033[0m\r\n",
                          (unsigned long long)dropped);
    if (write(view->slave, note, (size_t)length) != length)
        return; /* the terminal is full: the next note will say it */
}

gboolean vitrine_console_view_drain(VitrineConsoleView *view)
{
    uint8_t bytes[CHUNK];
    uint64_t dropped;
    size_t count = peek(view, bytes, sizeof bytes, &dropped);
    if (!count)
        return FALSE;
    if (dropped)
        note_dropped(view, dropped);
    ssize_t written = write(view->slave, bytes, count);
    if (written < 0)
        written = 0; /* the widget has not read yet: next frame */
    if (view->log && written) {
        fwrite(bytes, 1, (size_t)written, view->log);
        fflush(view->log);
    }
    return take(view, (size_t)written, dropped);
}

int vitrine_console_view_log(VitrineConsoleView *view, const char *path)
{
    view->log = fopen(path, "ab");
    return view->log ? 0 : -errno;
}

/* ---- from the keyboard -------------------------------------------------------------------- */

static gboolean on_typed(int fd, GIOCondition condition, gpointer data)
{
    VitrineConsoleView *view = data;
    uint8_t bytes[512];
    ssize_t count = read(fd, bytes, sizeof bytes);
    if (count > 0 && view->session)
        session_input(view->session, bytes, (size_t)count);
    if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)))
        return G_SOURCE_CONTINUE;
    view->watch = 0;
    return G_SOURCE_REMOVE;
}

void vitrine_console_view_set_session(VitrineConsoleView *view, struct session *session)
{
    view->session = session;
}

/* ---- the widget --------------------------------------------------------------------------- */

void vitrine_console_view_clear(VitrineConsoleView *view)
{
    g_mutex_lock(&view->lock);
    view->count = 0;
    view->dropped = 0;
    g_mutex_unlock(&view->lock);
    vte_terminal_reset(view->terminal, TRUE, TRUE);
}

void vitrine_console_view_set_scale(VitrineConsoleView *view, double scale)
{
    vte_terminal_set_font_scale(view->terminal, scale);
}

GtkWidget *vitrine_console_view_terminal(VitrineConsoleView *view)
{
    return GTK_WIDGET(view->terminal);
}

static gboolean open_terminal(VitrineConsoleView *view, GError **why)
{
    int master;
    struct termios raw;
    if (openpty(&master, &view->slave, NULL, NULL, NULL)) {
        g_set_error(why, G_IO_ERROR, g_io_error_from_errno(errno), "no pseudo-terminal: %s",
                    g_strerror(errno));
        return FALSE;
    }
    tcgetattr(view->slave, &raw);
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR; /* as a terminal on a serial line does it */
    tcsetattr(view->slave, TCSANOW, &raw);
    fcntl(view->slave, F_SETFL, fcntl(view->slave, F_GETFL) | O_NONBLOCK);
    fcntl(view->slave, F_SETFD, FD_CLOEXEC);
    VtePty *pty = vte_pty_new_foreign_sync(master, NULL, why);
    if (!pty)
        return FALSE;
    vte_terminal_set_pty(view->terminal, pty);
    g_object_unref(pty);
    view->watch = g_unix_fd_add(view->slave, G_IO_IN, on_typed, view);
    return TRUE;
}

static void dispose(GObject *object)
{
    VitrineConsoleView *view = VITRINE_CONSOLE_VIEW(object);
    g_clear_handle_id(&view->watch, g_source_remove);
    if (view->slave >= 0)
        close(view->slave);
    view->slave = -1;
    g_clear_pointer(&view->log, fclose);
    G_OBJECT_CLASS(vitrine_console_view_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_mutex_clear(&VITRINE_CONSOLE_VIEW(object)->lock);
    g_free(VITRINE_CONSOLE_VIEW(object)->ring);
    G_OBJECT_CLASS(vitrine_console_view_parent_class)->finalize(object);
}

static void vitrine_console_view_class_init(VitrineConsoleViewClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
}

static void set_looks(VteTerminal *terminal)
{
    GdkRGBA paper = {.094, .106, .129, 1}, ink = {.906, .918, .937, 1};
    PangoFontDescription *font = pango_font_description_from_string("monospace");
    pango_font_description_set_absolute_size(font, 11.5 * PANGO_SCALE);
    vte_terminal_set_font(terminal, font);
    pango_font_description_free(font);
    vte_terminal_set_colors(terminal, &ink, &paper, NULL, 0);
    vte_terminal_set_scrollback_lines(terminal, KEPT_LINES);
    vte_terminal_set_audible_bell(terminal, FALSE);
    vte_terminal_set_cursor_blink_mode(terminal, VTE_CURSOR_BLINK_OFF);
    vte_terminal_set_size(terminal, 40, 5);
}

static void vitrine_console_view_init(VitrineConsoleView *view)
{
    gtk_orientable_set_orientation(GTK_ORIENTABLE(view), GTK_ORIENTATION_VERTICAL);
    g_mutex_init(&view->lock);
    view->ring = g_malloc(RING);
    view->slave = -1;
    view->terminal = VTE_TERMINAL(vte_terminal_new());
    set_looks(view->terminal);
    GtkWidget *widget = GTK_WIDGET(view->terminal);
    gtk_widget_add_css_class(widget, "console");
    gtk_widget_set_vexpand(widget, TRUE);
    gtk_widget_set_hexpand(widget, TRUE);
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   "Guest's console", -1);
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), widget);
    gtk_box_append(GTK_BOX(view), scroller);
}

GtkWidget *vitrine_console_view_new(GError **why)
{
    VitrineConsoleView *view = g_object_new(VITRINE_TYPE_CONSOLE_VIEW, NULL);
    if (open_terminal(view, why))
        return GTK_WIDGET(view);
    g_object_ref_sink(view);
    g_object_unref(view);
    return NULL;
}
