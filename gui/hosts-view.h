/*
 * The guest and other hosts: its protection by a backup, and its move to another one.
 *
 * Signal: "asked" (enum hosts_ask, const struct hosts_wish *).
 */
#ifndef VITRINE_GUI_HOSTS_VIEW_H
#define VITRINE_GUI_HOSTS_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_HOSTS_VIEW (vitrine_hosts_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineHostsView, vitrine_hosts_view, VITRINE, HOSTS_VIEW, GtkBox)

enum hosts_ask {
    HOSTS_PROTECT,
    HOSTS_RELEASE,
    HOSTS_MOVE,
    HOSTS_CANCEL,    /* the move */
    HOSTS_RECOVER,   /* a move whose link was lost */
    HOSTS_TAKE_BACK, /* a guest of which nobody knows whether it has moved */
    HOSTS_ASKS,
};

/* What was typed. Lent for the time of the signal. */
struct hosts_wish {
    const char *address;
    const char *secret, *fence; /* files; NULL: none */
    gboolean postcopy;
};

GtkWidget *vitrine_hosts_view_new(void);
void vitrine_hosts_view_set_session(VitrineHostsView *view, struct session *session);
void vitrine_hosts_view_refresh(VitrineHostsView *view);
/* Is somebody at work on a move? */
void vitrine_hosts_view_set_moving(VitrineHostsView *view, gboolean moving);
/* Shows the migration or the protection, with the cursor in the address. */
void vitrine_hosts_view_focus(VitrineHostsView *view, gboolean migration);
/* A line about what could not be done; "": there is nothing to say. */
void vitrine_hosts_view_say(VitrineHostsView *view, const char *text);
/* As draw_to_file(), at the size that is seen. */
int vitrine_hosts_view_export(VitrineHostsView *view, const char *path);

#endif
