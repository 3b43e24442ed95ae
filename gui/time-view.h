/* The run as a ruler to move on: where the guest stands, and going elsewhere. */
#ifndef VITRINE_GUI_TIME_VIEW_H
#define VITRINE_GUI_TIME_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_TIME_VIEW (vitrine_time_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineTimeView, vitrine_time_view, VITRINE, TIME_VIEW, GtkBox)

/* Signal "goto" (guint64 instruction): somebody wants to go there, and the guest stands. Signal
 * "pause": somebody wants to go somewhere, but the guest runs. */
GtkWidget *vitrine_time_view_new(void);
void vitrine_time_view_set_session(VitrineTimeView *view, struct session *session);
/* Also tells it that the guest has stopped: it then goes on to where it was dragged meanwhile. */
void vitrine_time_view_refresh(VitrineTimeView *view);
/* To the entry for the number of an instruction. */
void vitrine_time_view_focus(VitrineTimeView *view);
/* As draw_to_file(), at the size that is seen. */
int vitrine_time_view_export(VitrineTimeView *view, const char *path);

#endif
