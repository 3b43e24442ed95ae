/* How two snapshots of the guest differ: registers and devices, pages of memory, blocks of the
 * disk. */
#ifndef VITRINE_GUI_DIFFERENCES_VIEW_H
#define VITRINE_GUI_DIFFERENCES_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_DIFFERENCES_VIEW (vitrine_differences_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineDifferencesView, vitrine_differences_view, VITRINE, DIFFERENCES_VIEW,
                     GtkBox)

GtkWidget *vitrine_differences_view_new(void);
/* Asks the session, which must stand: session_snapshot_diff(). The names are those of the two. */
void vitrine_differences_view_show(VitrineDifferencesView *view, struct session *session, int a,
                                   const char *a_name, int b, const char *b_name);
/* A line in the place of differences. */
void vitrine_differences_view_say(VitrineDifferencesView *view, const char *text);

#endif
