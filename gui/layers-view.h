/* The layers under the guest, and which of them answers for a page. */
#ifndef VITRINE_GUI_LAYERS_VIEW_H
#define VITRINE_GUI_LAYERS_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_LAYERS_VIEW (vitrine_layers_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineLayersView, vitrine_layers_view, VITRINE, LAYERS_VIEW, GtkBox)

GtkWidget *vitrine_layers_view_new(void);
void vitrine_layers_view_set_session(VitrineLayersView *view, struct session *session);
void vitrine_layers_view_refresh(VitrineLayersView *view);
/* As draw_to_file(), at the size that is seen. */
int vitrine_layers_view_export(VitrineLayersView *view, const char *path);

#endif
