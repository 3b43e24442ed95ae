/* The log of VM exits (bare: traps), and the details of the one that is chosen. */
#ifndef VITRINE_GUI_EXITS_VIEW_H
#define VITRINE_GUI_EXITS_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_EXITS_VIEW (vitrine_exits_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineExitsView, vitrine_exits_view, VITRINE, EXITS_VIEW, GtkBox)

/* Signal "chosen" (guint64 va, int access): an exit was clicked; the address that it is about and
 * 'r', 'w' or 'x'; access 0 when the choice is taken back. */
GtkWidget *vitrine_exits_view_new(void);
void vitrine_exits_view_set_session(VitrineExitsView *view, struct session *session);
void vitrine_exits_view_refresh(VitrineExitsView *view);

#endif
