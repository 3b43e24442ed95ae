/*
 * A session that goes, and with it what other hosts have to do with it. That may take a while: a
 * guest that is being moved has to get there, a backup that is dead is waited for, a disk is
 * written. So it happens on a thread, and the application stays for that long, without a window.
 */
#ifndef VITRINE_GUI_FAREWELL_H
#define VITRINE_GUI_FAREWELL_H

#include <gio/gio.h>

#include "hv/guard.h"
#include "hv/mover.h"

struct farewell {
    struct session *session;
    struct guard *guard;       /* may be NULL */
    struct mover *mover;       /* may be NULL */
    GObject *window, *console; /* whom the session still calls; references are taken */
};

/* Returns at once. All three are gone some time later. */
void farewell(GApplication *app, const struct farewell *those);

#endif
