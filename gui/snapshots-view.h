/* The snapshots of the guest as a tree: taking one, going back to one, deleting one. */
#ifndef VITRINE_GUI_SNAPSHOTS_VIEW_H
#define VITRINE_GUI_SNAPSHOTS_VIEW_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_SNAPSHOTS_VIEW (vitrine_snapshots_view_get_type())
G_DECLARE_FINAL_TYPE(VitrineSnapshotsView, vitrine_snapshots_view, VITRINE, SNAPSHOTS_VIEW, GtkBox)

/* Signal "restored" (const char *name): the guest is another one now; "failed" (const char *why).
 */
GtkWidget *vitrine_snapshots_view_new(void);
void vitrine_snapshots_view_set_session(VitrineSnapshotsView *view, struct session *session);
void vitrine_snapshots_view_refresh(VitrineSnapshotsView *view);
/* Takes a snapshot, with the name that is in the entry, or one made up. */
void vitrine_snapshots_view_take(VitrineSnapshotsView *view);

#endif
