/* Memory in hex and ASCII, by virtual or guest-physical address. */
#ifndef VITRINE_GUI_MEMORY_VIEW_H
#define VITRINE_GUI_MEMORY_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_MEMORY_VIEW (vitrine_memory_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineMemoryView, vitrine_memory_view, VITRINE, MEMORY_VIEW, GtkBox)

/* Signal "who-wrote" (guint64 address, gboolean physical, guint bytes): who has written there? */
GtkWidget *vitrine_memory_view_new(void);
void vitrine_memory_view_set_session(VitrineMemoryView *view, struct session *session);
void vitrine_memory_view_refresh(VitrineMemoryView *view);
/* To the entry for the address. */
void vitrine_memory_view_focus(VitrineMemoryView *view);
/* Whether it can be asked who has written, else why not. */
void vitrine_memory_view_set_history(VitrineMemoryView *view, const char *why_not);

#endif
