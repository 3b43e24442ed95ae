/* The disassembly: symbols, source lines, breakpoints, and where the guest is. */
#ifndef VITRINE_GUI_CODE_VIEW_H
#define VITRINE_GUI_CODE_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_CODE_VIEW (vitrine_code_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineCodeView, vitrine_code_view, VITRINE, CODE_VIEW, GtkBox)

GtkWidget *vitrine_code_view_new(void);
void vitrine_code_view_set_session(VitrineCodeView *view, struct session *session);
/* `follow`: bring the current instruction into sight. */
void vitrine_code_view_refresh(VitrineCodeView *view, gboolean follow);
void vitrine_code_view_show(VitrineCodeView *view, uint64_t va);
void vitrine_code_view_focus(VitrineCodeView *view);
/* Sets or removes a breakpoint at the current instruction. */
void vitrine_code_view_toggle_breakpoint(VitrineCodeView *view);

#endif
