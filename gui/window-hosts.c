/*
 * The window's part in other hosts: a guard that protects the guest, a mover that moves it. Both
 * work on threads of their own, and what they tell is queued to the main loop.
 */
#include "gui/window_priv.h"
#include "hv/guard.h"
#include "hv/mover.h"

/* ---- what comes from their threads -------------------------------------------------------- */

struct news {
    VitrineWindow *window;
    struct guard *guard;
    enum guard_event event;
    char *text;
};

/* The window may have another guest by now. */
static gboolean on_news(gpointer data)
{
    struct news *news = data;
    VitrineWindow *w = news->window;
    if (w->guard && w->guard == news->guard) {
        if (news->event == GUARD_LOST || news->event == GUARD_STANDS)
            window_say(w, news->event == GUARD_LOST ? GTK_MESSAGE_WARNING : GTK_MESSAGE_ERROR,
                       news->text);
        window_refresh(w);
        window_watch(w);
    }
    return G_SOURCE_REMOVE;
}

static void free_news(gpointer data)
{
    struct news *news = data;
    g_object_unref(news->window);
    g_free(news->text);
    g_free(news);
}

static void on_guard(void *context, enum guard_event event, const char *text)
{
    VitrineWindow *w = context;
    struct news *news = g_new(struct news, 1);
    *news = (struct news){g_object_ref(w), w->guard, event, g_strdup(text)};
    g_idle_add_full(G_PRIORITY_DEFAULT, on_news, news, free_news);
}

static gboolean on_moved_here(gpointer data)
{
    VitrineWindow *w = data;
    char why[SESSION_ERROR];
    if (!w->mover || !mover_is_over(w->mover)) /* it was another guest's */
        return G_SOURCE_REMOVE;
    if (mover_free(g_steal_pointer(&w->mover), why) != MIGRATE_MOVED)
        vitrine_hosts_view_say(w->hosts, why);
    window_refresh(w);
    return G_SOURCE_REMOVE;
}

static void on_moved(void *window)
{
    g_idle_add_full(G_PRIORITY_DEFAULT, on_moved_here, g_object_ref(window), g_object_unref);
}

/* ---- protection --------------------------------------------------------------------------- */

static gboolean has_past(VitrineWindow *w)
{
    struct view_history history;
    session_view_history(w->session, &history);
    return history.present || session_snapshots(w->session, NULL, 0) > 0;
}

/* The guest stands meanwhile. FALSE after a message. */
static gboolean give_up_past(VitrineWindow *w)
{
    char why[SESSION_ERROR];
    struct view_status status;
    session_status(w->session, &status);
    session_pause(w->session);
    session_wait(w->session, -1);
    int error = session_forget_past(w->session, why);
    if (error)
        vitrine_hosts_view_say(w->hosts, why);
    if (status.state == SESSION_RUNNING && session_run(w->session) == 0)
        window_sent(w);
    return error == 0;
}

static void protect(VitrineWindow *w, const char *address, const char *fence)
{
    char why[SESSION_ERROR] = "the host has no memory left";
    struct guard_wish wish = {.address = address};
    if (!w->guard)
        w->guard = guard_new(w->session, on_guard, w);
    if (!w->guard || (*fence && guard_set_fence(w->guard, fence, why)) ||
        guard_protect(w->guard, &wish, true, why))
        vitrine_hosts_view_say(w->hosts, why);
    window_refresh(w);
    window_watch(w);
}

/* A protected guest has no history: what another host may deny cannot be gone back to. Who wants
 * that asks twice. */
static void on_protect(VitrineHostsView *view, const char *address, const char *fence,
                       VitrineWindow *w)
{
    if (!w->session)
        return;
    gboolean asked = w->past_asked;
    w->past_asked = !asked && has_past(w);
    if (w->past_asked)
        vitrine_hosts_view_say(view, "A guest that is protected cannot be taken back in time: its "
                                     "history and its snapshots will be gone. Protect once more, "
                                     "if they may go.");
    else if (!has_past(w) || give_up_past(w))
        protect(w, address, fence);
}

static void on_release(VitrineHostsView *view, VitrineWindow *w)
{
    if (w->guard)
        guard_release(w->guard);
    window_refresh(w);
}

/* ---- moving ------------------------------------------------------------------------------- */

static void on_move(VitrineHostsView *view, const char *address, VitrineWindow *w)
{
    if (!w->session || w->mover)
        return;
    const struct mover_wish wish = {.address = address, .done = on_moved, .context = w};
    w->mover = mover_new(w->session, &wish);
    if (!w->mover)
        vitrine_hosts_view_say(view, "the host has no memory left");
    window_watch(w);
}

/* ---- for window.c ------------------------------------------------------------------------- */

static void ask(VitrineWindow *w, gboolean migration)
{
    gtk_stack_set_visible_child(GTK_STACK(w->tabs), GTK_WIDGET(w->hosts));
    vitrine_hosts_view_focus(w->hosts, migration);
}

void window_ask_backup(VitrineWindow *w)
{
    ask(w, FALSE);
}

void window_ask_host(VitrineWindow *w)
{
    ask(w, TRUE);
}

void window_add_hosts(VitrineWindow *w)
{
    g_signal_connect(w->hosts, "protect", G_CALLBACK(on_protect), w);
    g_signal_connect(w->hosts, "release", G_CALLBACK(on_release), w);
    g_signal_connect(w->hosts, "move", G_CALLBACK(on_move), w);
}

gboolean window_has_company(VitrineWindow *w)
{
    struct view_protection v = {0};
    if (w->mover)
        return TRUE;
    if (w->guard)
        session_view_protection(w->session, &v);
    return v.searching || v.phase == PROTECTION_COPYING || v.phase == PROTECTION_ON;
}

void window_leave_hosts(VitrineWindow *w)
{
    char why[SESSION_ERROR];
    w->past_asked = FALSE;
    mover_free(g_steal_pointer(&w->mover), why);
    guard_free(g_steal_pointer(&w->guard));
}
