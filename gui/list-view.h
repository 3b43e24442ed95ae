/* Panes that are one list: the devices' registers, and the TLB. */
#ifndef VITRINE_GUI_LIST_VIEW_H
#define VITRINE_GUI_LIST_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_LIST_VIEW (vitrine_list_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineListView, vitrine_list_view, VITRINE, LIST_VIEW, GtkBox)

enum list_kind { LIST_DEVICES, LIST_TLB };

GtkWidget *vitrine_list_view_new(enum list_kind kind);
void vitrine_list_view_set_session(VitrineListView *view, struct session *session);
void vitrine_list_view_refresh(VitrineListView *view);

#endif
