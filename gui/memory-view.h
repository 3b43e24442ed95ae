/* Memory in hex and ASCII, by virtual or guest-physical address. */
#ifndef VITRINE_GUI_MEMORY_VIEW_H
#define VITRINE_GUI_MEMORY_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_MEMORY_VIEW (vitrine_memory_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineMemoryView, vitrine_memory_view, VITRINE, MEMORY_VIEW, GtkBox)

GtkWidget *vitrine_memory_view_new(void);
void vitrine_memory_view_set_session(VitrineMemoryView *view, struct session *session);
void vitrine_memory_view_refresh(VitrineMemoryView *view);

#endif
