/* A drawing of gui/draw/ in the window, kept up to date from the session. */
#ifndef VITRINE_GUI_DRAWING_VIEW_H
#define VITRINE_GUI_DRAWING_VIEW_H

#include <gtk/gtk.h>

#include "gui/draw/draw.h"
#include "hv/session.h"

#define VITRINE_TYPE_DRAWING_VIEW (vitrine_drawing_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineDrawingView, vitrine_drawing_view, VITRINE, DRAWING_VIEW, GtkBox)

GtkWidget *vitrine_drawing_view_new(enum drawing_kind kind);
void vitrine_drawing_view_set_session(VitrineDrawingView *view, struct session *session);
void vitrine_drawing_view_refresh(VitrineDrawingView *view);
/* DRAWING_TRANSLATION: shows this address instead of following the guest; `access` r, w or x. */
void vitrine_drawing_view_show(VitrineDrawingView *view, uint64_t va, char access);
/* Goes back to following the newest access. */
void vitrine_drawing_view_follow(VitrineDrawingView *view);
/* As draw_to_file(), at the size that is seen. */
int vitrine_drawing_view_export(VitrineDrawingView *view, const char *path);

/* For any widget that shows a drawing: tells screen readers what that is; and as draw_to_file(), at
 * the size that is seen. */
void vitrine_drawing_describe(GtkWidget *area, const struct drawing *drawing);
int vitrine_drawing_export(GtkWidget *area, const struct drawing *drawing, const char *path);

#endif
