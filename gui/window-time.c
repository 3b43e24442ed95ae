/*
 * The window's part in time: the actions that lead into the past, when they can be had, and what
 * they are called.
 */
#include <errno.h>

#include "gui/window_priv.h"

/* ---- commands ----------------------------------------------------------------------------- */

static void sent(VitrineWindow *w, int error)
{
    if (!error)
        window_sent(w);
    else if (error != -EBUSY)
        window_say(w, GTK_MESSAGE_ERROR,
                   error == -ENOSPC ? "The history did not fit into its memory, and was given up. "
                                      "Start with a larger --history."
                                    : "This guest cannot be taken back.");
}

static void run_back(VitrineWindow *w, enum session_back kind)
{
    if (w->session)
        sent(w, session_run_back(w->session, kind, false, 0, 0));
}

void window_step_back(VitrineWindow *w)
{
    if (w->session)
        sent(w, session_step_back(w->session, 1));
}

void window_back_exit(VitrineWindow *w)
{
    run_back(w, BACK_EXIT);
}

void window_back_point(VitrineWindow *w)
{
    run_back(w, BACK_POINT);
}

static void show_tab(VitrineWindow *w, gpointer tab)
{
    gtk_stack_set_visible_child(GTK_STACK(w->tabs), GTK_WIDGET(tab));
}

void window_ask_instruction(VitrineWindow *w)
{
    show_tab(w, w->time);
    vitrine_time_view_focus(w->time);
}

void window_ask_writer(VitrineWindow *w)
{
    show_tab(w, w->memory);
    vitrine_memory_view_focus(w->memory);
}

static void on_goto(VitrineTimeView *view, guint64 instruction, VitrineWindow *w)
{
    int error = w->session ? session_goto(w->session, instruction) : 0;
    sent(w, error);
    if (error)
        vitrine_time_view_refresh(view); /* the handle goes back to where the guest stands */
}

static void on_pause(VitrineTimeView *view, VitrineWindow *w)
{
    if (w->session)
        session_pause(w->session);
}

static void on_who_wrote(VitrineMemoryView *view, guint64 address, gboolean physical, guint bytes,
                         VitrineWindow *w)
{
    if (w->session)
        sent(w, session_run_back(w->session, BACK_WRITE, physical, address, bytes));
}

void window_add_time(VitrineWindow *w)
{
    g_signal_connect(w->time, "goto", G_CALLBACK(on_goto), w);
    g_signal_connect(w->time, "pause", G_CALLBACK(on_pause), w);
    g_signal_connect(w->memory, "who-wrote", G_CALLBACK(on_who_wrote), w);
}

/* ---- when they can be had ----------------------------------------------------------------- */

/* Why the guest cannot go back now; NULL: it can. */
static const char *why_not(VitrineWindow *w, const struct view_status *s,
                           const struct view_history *history)
{
    if (!w->session)
        return "There is no guest";
    if (s->stop == STOPPED_MOVED)
        return "The guest goes on at another host";
    if (s->isa == ISA_X86)
        return "A guest under KVM cannot go back: the host\u2019s processor repeats nothing";
    if (!w->guest.history)
        return "This guest was started without a history (--history off)";
    if (!history->present)
        return "There is no history: it did not fit into its memory, or the run cannot be repeated";
    if (s->state == SESSION_RUNNING)
        return "Pause the guest to go back";
    return s->instructions <= history->first ? "This is the beginning of what is recorded" : NULL;
}

/* Of the buttons, in the order of the header bar. The last is a menu, with its own conditions. */
static const struct {
    const char *action, *tooltip;
} backs[WINDOW_BACKS] = {
    {"step-back", "Step back one instruction (Shift+F11)"},
    {"back-exit", "Back to where the newest exit has just been handled (Shift+F10)"},
    {"back-point", "Back to a breakpoint, an instruction, a store"},
};

void window_enable_time(VitrineWindow *w, const struct view_status *status)
{
    struct view_history history = {0};
    if (w->session)
        session_view_history(w->session, &history);
    const char *why = why_not(w, status, &history);
    for (int i = 0; i < WINDOW_BACKS; i++) {
        window_enable(w, backs[i].action, why == NULL);
        gtk_widget_set_tooltip_text(w->back[i], why ? why : backs[i].tooltip);
    }
    gtk_widget_set_sensitive(w->back[2], history.present);
    if (history.present)
        gtk_widget_set_tooltip_text(w->back[2], backs[2].tooltip);
    window_enable(w, "goto", history.present && status->stop != STOPPED_MOVED);
    window_enable(w, "who-wrote", why == NULL);
    vitrine_memory_view_set_history(w->memory, why);
}

void window_time_text(VitrineWindow *w, char *text, size_t size)
{
    struct view_history history;
    struct view_status status;
    char here[40], end[40];
    *text = 0;
    session_view_history(w->session, &history);
    session_status(w->session, &status);
    if (!history.in_past)
        return;
    draw_number_text(status.instructions, here, sizeof here);
    draw_number_text(history.end, end, sizeof end);
    g_snprintf(text, size, "instruction %s of %s: in the past; run goes on as recorded", here, end);
}
