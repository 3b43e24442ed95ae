/*
 * The window's part in other hosts: a guard that protects the guest, a mover that moves it. Both
 * work on threads of their own, and what they tell is queued to the main loop.
 */
#include <errno.h>

#include "gui/farewell.h"
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
    vitrine_hosts_view_set_moving(w->hosts, FALSE);
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

static void protect(VitrineWindow *w, const struct hosts_wish *wanted)
{
    char why[SESSION_ERROR] = "the host has no memory left";
    struct guard_wish wish = {.address = wanted->address, .secret = wanted->secret};
    if (!w->guard)
        w->guard = guard_new(w->session, on_guard, w);
    if (!w->guard || (wanted->fence && guard_set_fence(w->guard, wanted->fence, why)) ||
        guard_protect(w->guard, &wish, true, why))
        vitrine_hosts_view_say(w->hosts, why);
    window_refresh(w);
    window_watch(w);
}

/* Who wants what cannot be undone asks twice. TRUE: it is the second time. */
static gboolean asks_again(VitrineWindow *w, enum hosts_ask ask, const char *warning)
{
    gboolean again = w->asked_once == (int)ask;
    w->asked_once = again ? -1 : (int)ask;
    if (!again)
        vitrine_hosts_view_say(w->hosts, warning);
    return again;
}

/* A protected guest has no history: what another host may deny cannot be gone back to. */
static void ask_to_protect(VitrineWindow *w, const struct hosts_wish *wish)
{
    if (!has_past(w) ||
        (asks_again(w, HOSTS_PROTECT,
                    "A guest that is protected cannot be taken back in time: its history and its "
                    "snapshots will be gone. Protect once more, if they may go.") &&
         give_up_past(w)))
        protect(w, wish);
}

/* The view shows the end. */
static void release(VitrineWindow *w, const struct hosts_wish *wish)
{
    if (w->guard)
        guard_call_off(w->guard);
}

/* ---- moving ------------------------------------------------------------------------------- */

static void begin_to_move(VitrineWindow *w, const struct hosts_wish *wanted, gboolean recover)
{
    const struct mover_wish wish = {.address = wanted->address,
                                    .secret = wanted->secret,
                                    .recover = recover,
                                    .how.postcopy = wanted->postcopy,
                                    .done = on_moved,
                                    .context = w};
    if (w->mover)
        return;
    w->mover = mover_new(w->session, &wish);
    if (!w->mover)
        vitrine_hosts_view_say(w->hosts, "the host has no memory left");
    vitrine_hosts_view_set_moving(w->hosts, w->mover != NULL);
    window_watch(w);
}

static void move(VitrineWindow *w, const struct hosts_wish *wish)
{
    begin_to_move(w, wish, FALSE);
}

static void recover(VitrineWindow *w, const struct hosts_wish *wish)
{
    begin_to_move(w, wish, TRUE);
}

static void cancel(VitrineWindow *w, const struct hosts_wish *wish)
{
    if (w->mover)
        mover_call_off(w->mover);
}

static void take_back(VitrineWindow *w, const struct hosts_wish *wish)
{
    if (!asks_again(w, HOSTS_TAKE_BACK,
                    "Look at the other host first: if the guest runs there, it must not run here. "
                    "Take it back once more, if it does not."))
        return;
    int error = session_take_back(w->session);
    if (error)
        vitrine_hosts_view_say(
            w->hosts, error == -EBUSY ? "its disk is in use by another program: look whether "
                                        "the guest runs there"
                                      : g_strerror(-error));
    window_refresh(w);
}

static void on_asked(VitrineHostsView *view, int ask, const struct hosts_wish *wish,
                     VitrineWindow *w)
{
    static void (*const DO[HOSTS_ASKS])(VitrineWindow *, const struct hosts_wish *) = {
        [HOSTS_PROTECT] = ask_to_protect, [HOSTS_RELEASE] = release, [HOSTS_MOVE] = move,
        [HOSTS_CANCEL] = cancel,          [HOSTS_RECOVER] = recover, [HOSTS_TAKE_BACK] = take_back,
    };
    if (w->asked_once != ask)
        w->asked_once = -1;
    if (w->session)
        DO[ask](w, wish);
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
    g_signal_connect(w->hosts, "asked", G_CALLBACK(on_asked), w);
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

void window_leave_hosts(VitrineWindow *w, struct session *session, gboolean closes)
{
    const struct farewell those = {session, g_steal_pointer(&w->guard), g_steal_pointer(&w->mover),
                                   G_OBJECT(w), G_OBJECT(w->console)};
    char why[SESSION_ERROR];
    w->asked_once = -1;
    if (closes) {
        farewell(g_application_get_default(), &those);
        return;
    }
    mover_free(those.mover, why);
    guard_free(those.guard);
    session_free(session);
}
