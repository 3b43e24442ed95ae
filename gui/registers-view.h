/* Registers and CSRs, the virtual hart's and the real one's side by side. */
#ifndef VITRINE_GUI_REGISTERS_VIEW_H
#define VITRINE_GUI_REGISTERS_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_REGISTERS_VIEW (vitrine_registers_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineRegistersView, vitrine_registers_view, VITRINE, REGISTERS_VIEW, GtkBox)

GtkWidget *vitrine_registers_view_new(void);
void vitrine_registers_view_set_session(VitrineRegistersView *view, struct session *session);
void vitrine_registers_view_refresh(VitrineRegistersView *view);

#endif
