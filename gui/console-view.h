/* The guest's console, in a terminal widget. */
#ifndef VITRINE_GUI_CONSOLE_VIEW_H
#define VITRINE_GUI_CONSOLE_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_CONSOLE_VIEW (vitrine_console_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineConsoleView, vitrine_console_view, VITRINE, CONSOLE_VIEW, GtkBox)

/* NULL and `why` set if the host gives no pseudo-terminal. */
GtkWidget *vitrine_console_view_new(GError **why);
/* Where typing goes; NULL: nowhere. Does not clear the screen. */
void vitrine_console_view_set_session(VitrineConsoleView *view, struct session *session);
/* What the guest wrote. Never waits; what does not fit into the bounded ring is dropped, the oldest
 * first, and the screen says so. May be called from any thread. */
void vitrine_console_view_write(VitrineConsoleView *view, const uint8_t *bytes, size_t count);
/* Shows what was written since; once a frame. TRUE: there is more to show. */
gboolean vitrine_console_view_drain(VitrineConsoleView *view);
/* Forgets screen, history and what is not shown yet. */
void vitrine_console_view_clear(VitrineConsoleView *view);
/* A copy of all that is shown is appended to this file, for tests and for keeping. 0 or -errno. */
int vitrine_console_view_log(VitrineConsoleView *view, const char *path);
void vitrine_console_view_set_scale(VitrineConsoleView *view, double scale);
GtkWidget *vitrine_console_view_terminal(VitrineConsoleView *view);

#endif
