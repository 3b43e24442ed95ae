/* The end of a session, on a thread. See farewell.h. */
#include "gui/farewell.h"

struct parting {
    GApplication *app;
    GThread *thread;
    struct farewell those;
};

/* Widgets are the main loop's. */
static gboolean on_over(gpointer data)
{
    struct parting *p = data;
    g_thread_join(p->thread);
    g_object_unref(p->those.console);
    g_object_unref(p->those.window);
    g_application_release(p->app);
    g_free(p);
    return G_SOURCE_REMOVE;
}

/* The move first: it may still succeed. */
static gpointer part(gpointer data)
{
    struct parting *p = data;
    char why[SESSION_ERROR];
    enum migrate_end end = mover_free(p->those.mover, why);
    if (p->those.mover && end != MIGRATE_MOVED)
        g_printerr("vitrine-gui: the guest was not moved: %s\n", why);
    guard_free(p->those.guard);
    session_free(p->those.session);
    g_idle_add(on_over, p);
    return NULL;
}

void farewell(GApplication *app, const struct farewell *those)
{
    struct parting *p = g_new(struct parting, 1);
    *p = (struct parting){.app = app, .those = *those};
    g_object_ref(those->window);
    g_object_ref(those->console);
    g_application_hold(app);
    p->thread = g_thread_new("farewell", part, p);
}
