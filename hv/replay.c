/*
 * Running backwards. See replay.h for the idea.
 *
 * Two kinds of ways lead into the past. To a *position* (goto, step back) there is one: the nearest
 * checkpoint, then forward. To a *stop* (the last breakpoint, the last write) one must search
 * (replay-search.c), and what is found is a position like any other.
 */
#include "hv/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/replay_priv.h"
#include "hv/simulated_priv.h"

enum {
    POINTS_MOST = 2048,     /* checkpoints */
    INTERVAL_NS = 20000000, /* what the engine shall take from one to the next, ... */
    ANSWER_NS = 50000000, /* ... or more, if they are dear, up to this with the way back to one: */
    PRICE = 25,           /* a checkpoint may take this part of the time between two */
    PAGE_NS = 1500,       /* of that, for each page that was written */
    INTERVAL_FIRST = 5000000, /* instructions */
    INTERVAL_LEAST = 100000,
    INTERVAL_MOST = 200000000,
    FRESH = 8,     /* intervals before a position in the past that get checkpoints */
    NEAR = 16,     /* this part of an interval before such a position is one, too; ... */
    NEAREST = 256, /* ... and so is this */
    SOON = 1000,   /* instructions until a checkpoint that is due may be taken */
};

/* ---- checkpoints ---------------------------------------------------------------------------- */

/* The newest checkpoint at or before this position; -1: there is none. */
int replay_newest_before(const struct history *h, uint64_t position)
{
    int low = 0, high = h->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (h->point[middle].moment.executed <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

static void forget_point(struct simulated *s, int at)
{
    struct history *h = &s->history;
    if (simulated_forget(s, &h->point[at].moment)) /* no memory to merge with: it stays */
        return;
    h->count--;
    memmove(&h->point[at], &h->point[at + 1], (size_t)(h->count - at) * sizeof *h->point);
}

/* Where there is no memory to merge a layer with those above it stays, but nobody goes there any
 * more: no checkpoint may outlive its history. */
static void forget_all(struct simulated *s)
{
    struct history *h = &s->history;
    while (h->count) {
        struct moment *moment = &h->point[--h->count].moment;
        if (simulated_forget(s, moment))
            free(moment->packed);
    }
}

/* The history does not fit into its memory, or the host has none left: it ends. */
static void give_up(struct simulated *s)
{
    forget_all(s);
    s->history.on = false;
    s->history.full = true;
    if (!s->snapshots)
        simulated_keep_end(s);
}

/* The checkpoint that is missed least: the one that leaves the smallest gap for its distance from
 * here. The first, the newest and pinned ones stay. -1: there is none. */
static int least_missed(const struct simulated *s)
{
    const struct history *h = &s->history;
    double least = 0;
    int best = -1;
    for (int i = 1; i < h->count - 1; i++) {
        uint64_t at = h->point[i].moment.executed;
        uint64_t gap = h->point[i + 1].moment.executed - h->point[i - 1].moment.executed;
        uint64_t away = at > simulated_now(s) ? at - simulated_now(s) : simulated_now(s) - at;
        double missed = (double)gap / (double)(away + h->interval / NEAREST + 1);
        if (!h->point[i].pinned && (best < 0 || missed < least)) {
            best = i;
            least = missed;
        }
    }
    return best;
}

uint64_t replay_bytes(const struct simulated *s)
{
    const struct history *h = &s->history;
    return simulated_kept_bytes(s) + (uint64_t)h->count * sizeof *h->point +
           (h->count ? (uint64_t)h->count * h->point[0].moment.size : 0);
}

static bool too_many(const struct simulated *s)
{
    return replay_bytes(s) > s->config->history || s->history.count > POINTS_MOST;
}

/* If nothing between can go, the beginning does: what is recorded begins later then. */
static void thin(struct simulated *s)
{
    struct history *h = &s->history;
    while (too_many(s)) {
        int at = least_missed(s), before = h->count;
        if (before > 2)
            forget_point(s, at < 0 ? 0 : at);
        if (h->count == before) {
            give_up(s);
            return;
        }
    }
}

static bool make_room(struct history *h)
{
    if (h->count < h->room)
        return true;
    int room = h->room * 2 + 64;
    struct checkpoint *grown = realloc(h->point, (size_t)room * sizeof *grown);
    if (!grown)
        return false;
    h->point = grown;
    h->room = room;
    return true;
}

static void take_checkpoint(struct simulated *s, bool pinned)
{
    struct history *h = &s->history;
    struct checkpoint new = {.delivered = h->delivered, .pinned = pinned};
    if (!make_room(h) || simulated_freeze(s, &new.moment)) {
        give_up(s);
        return;
    }
    int at = replay_newest_before(h, new.moment.executed) + 1;
    memmove(&h->point[at + 1], &h->point[at], (size_t)(h->count - at) * sizeof *h->point);
    h->point[at] = new;
    h->count++;
    h->spent = 0;
    if (pinned)
        h->barrier = new.moment.layer;
    thin(s);
}

/* What a checkpoint here will take: the last ones tell, and how much there is to look at. */
static uint64_t expected_price(const struct simulated *s)
{
    uint64_t pages = s->overlay ? simulated_written_pages(s) : 0;
    return pages * PAGE_NS > s->history.price ? pages * PAGE_NS : s->history.price;
}

/* What the engine may take from one checkpoint to the next: dear ones are fewer, but the way back
 * to one and forward again has its limit. */
static uint64_t time_between(const struct simulated *s)
{
    uint64_t price = expected_price(s), twice = 2 * (price + s->history.price_back);
    uint64_t most = ANSWER_NS > twice + INTERVAL_NS ? ANSWER_NS - twice : INTERVAL_NS;
    return replay_least(most, INTERVAL_NS + PRICE * price);
}

/* Is there a gap here that is worth a checkpoint? */
static bool is_due(const struct simulated *s)
{
    const struct history *h = &s->history;
    int before = replay_newest_before(h, simulated_now(s));
    if (before < 0 || h->point[before].moment.executed == simulated_now(s))
        return false;
    if (before + 1 == h->count)
        return h->spent >= time_between(s);
    return simulated_now(s) - h->point[before].moment.executed >= h->interval &&
           h->point[before + 1].moment.executed - simulated_now(s) > h->interval / 2;
}

/* One is wanted here, and only has to wait for the guest to come out of what it is in. */
static bool is_overdue(const struct simulated *s)
{
    const struct history *h = &s->history;
    return replay_newest_before(h, simulated_now(s)) + 1 == h->count && h->spent >= time_between(s);
}

/* A long way to a position in the past needs no checkpoints before the end of it is near. */
static bool is_far(const struct simulated *s)
{
    return s->goal.travel && s->goal.target != UINT64_MAX &&
           s->goal.target - simulated_now(s) > FRESH * s->history.interval;
}

/* On the way to a position: how far before it the next checkpoint for steps back from there
 * belongs; 0: there is none. Two, unless they are dear. */
static uint64_t next_step(const struct simulated *s)
{
    const struct history *h = &s->history;
    uint64_t left = s->goal.target - simulated_now(s);
    if (!h->on || !s->goal.travel || h->search.active || s->goal.target == UINT64_MAX ||
        s->goal.target <= simulated_now(s))
        return 0;
    int before = replay_newest_before(h, simulated_now(s));
    for (unsigned part = NEAR; part <= NEAREST; part *= NEAREST / NEAR) {
        uint64_t step = h->interval / part;
        bool dear = part == NEAREST && 10 * h->price > INTERVAL_NS;
        bool there = before < 0 || s->goal.target - h->point[before].moment.executed <= 2 * step;
        if (left >= step && step && !there && !dear)
            return step;
    }
    return 0;
}

static bool is_step(const struct simulated *s)
{
    uint64_t step = next_step(s);
    return step && s->goal.target - simulated_now(s) == step;
}

void replay_mark(struct simulated *s)
{
    struct history *h = &s->history;
    if (!h->on || !s->between || is_far(s) || !(is_due(s) || is_step(s)))
        return;
    uint64_t began = simulated_cpu_ns();
    take_checkpoint(s, false);
    h->price = (3 * h->price + simulated_cpu_ns() - began) / 4;
}

void replay_start(struct simulated *s)
{
    struct history *h = &s->history;
    forget_all(s);
    session_log_cut(s->session, 0);
    h->on = s->config->history && !s->config->host_clock && !s->absent;
    h->full = false;
    h->delivered = 0;
    h->barrier = 0;
    h->end = simulated_now(s);
    h->run++;
    h->typed = session_typed(s->session);
    h->search.active = false;
    if (!h->interval)
        h->interval = INTERVAL_FIRST;
    profile_begin(s);
    if (h->on)
        take_checkpoint(s, false);
}

void replay_end(struct simulated *s)
{
    forget_all(s);
    s->history.on = false;
}

void replay_free(struct simulated *s)
{
    for (int i = 0; i < s->history.count; i++)
        free(s->history.point[i].moment.packed);
    free(s->history.point);
}

/* ---- running on in the past ----------------------------------------------------------------- */

bool replay_in_past(const struct simulated *s)
{
    const struct history *h = &s->history;
    return h->on && (h->delivered < session_log_count(s->session) || simulated_now(s) < h->end);
}

/* The next record of input. NULL: there is none. */
const struct input_record *replay_next_record(const struct simulated *s)
{
    return session_log_at(s->session, s->history.delivered);
}

/* Input may have arrived while the guest slept: then it must have slept as long before it comes. */
bool replay_is_here(const struct simulated *s, const struct input_record *r)
{
    return r->instruction == simulated_now(s) && r->idle <= s->guest->hart.clock.idle;
}

void replay_deliver(struct simulated *s)
{
    const struct input_record *r;
    while ((r = replay_next_record(s)) && replay_is_here(s, r) && simulated_give(s, r)) {
        s->history.delivered++;
        s->between = false;
    }
}

/* The first pinned checkpoint that is still before us; -1: there is none. */
static int next_barrier(const struct simulated *s)
{
    const struct history *h = &s->history;
    int first = replay_newest_before(h, simulated_now(s)) + 1;
    while (first > 0 && h->point[first - 1].moment.executed == simulated_now(s) &&
           h->point[first - 1].moment.layer != h->barrier)
        first--;
    for (int i = first; i < h->count; i++)
        if (h->point[i].pinned)
            return i;
    return -1;
}

static uint64_t until(const struct simulated *s, uint64_t position)
{
    return position > simulated_now(s) ? position - simulated_now(s) : 1;
}

uint64_t replay_bound(const struct simulated *s)
{
    const struct history *h = &s->history;
    uint64_t bound = UINT64_MAX;
    const struct input_record *r = replay_next_record(s);
    uint64_t step = next_step(s);
    if (h->on && !h->search.active && h->count)
        bound = is_overdue(s) ? SOON : h->interval / 8;
    if (step && s->goal.target - simulated_now(s) > step)
        bound = replay_least(bound, s->goal.target - simulated_now(s) - step);
    if (r)
        bound = replay_least(bound, until(s, r->instruction));
    if (replay_in_past(s)) {
        int barrier = next_barrier(s);
        if (h->end > simulated_now(s))
            bound = replay_least(bound, h->end - simulated_now(s));
        if (barrier >= 0)
            bound = replay_least(bound, until(s, h->point[barrier].moment.executed));
    }
    return bound;
}

int replay_return_to(struct simulated *s, int at)
{
    struct history *h = &s->history;
    uint64_t began = simulated_cpu_ns();
    int error = simulated_return(s, &h->point[at].moment);
    if (error)
        return error;
    h->price_back = (3 * h->price_back + simulated_cpu_ns() - began) / 4;
    h->spent = 0;
    h->delivered = h->point[at].delivered;
    h->barrier = 0;
    for (int i = 0; i <= at; i++)
        if (h->point[i].pinned)
            h->barrier = h->point[i].moment.layer;
    return 0;
}

/* Where a debugger wrote, what comes behind does not follow from what was before. */
static void cross_barrier(struct simulated *s)
{
    int barrier = replay_in_past(s) ? next_barrier(s) : -1;
    if (barrier >= 0 && s->history.point[barrier].moment.executed == simulated_now(s) &&
        replay_return_to(s, barrier))
        give_up(s);
}

void replay_ran(struct simulated *s, uint64_t from, uint64_t ns)
{
    enum { ENOUGH = 50000 };
    struct history *h = &s->history;
    if (!h->on)
        return;
    cross_barrier(s);
    h->spent += ns;
    if (simulated_now(s) > h->end) {
        h->end = simulated_now(s);
        profile_note(s);
    }
    if (!replay_in_past(s))
        h->typed = session_typed(s->session);
    if (simulated_now(s) < from + ENOUGH || !ns || s->goal.travel)
        return;
    double wanted = (double)(simulated_now(s) - from) / (double)ns * (double)time_between(s);
    double smooth = 0.7 * (double)h->interval + 0.3 * wanted;
    h->interval = smooth < INTERVAL_LEAST  ? INTERVAL_LEAST
                  : smooth > INTERVAL_MOST ? INTERVAL_MOST
                                           : (uint64_t)smooth;
}

/* ---- another run from here on --------------------------------------------------------------- */

void replay_cut(struct simulated *s)
{
    struct history *h = &s->history;
    int barrier = next_barrier(s), keep = replay_newest_before(h, simulated_now(s)) + 1;
    if (barrier >= 0 && barrier < keep) /* written to here, but later than we stand */
        keep = barrier;
    while (h->count > keep) {
        int before = h->count;
        forget_point(s, h->count - 1);
        if (h->count == before) {
            give_up(s);
            return;
        }
    }
    for (int i = 0; i < s->snapshots; i++)
        if (s->snapshot[i].moment.executed > simulated_now(s))
            s->snapshot[i].run = 0;
    session_log_cut(s->session, h->delivered);
    recorder_cut(s);
    profile_cut(s);
    h->end = simulated_now(s);
    h->typed = session_typed(s->session);
    s->console.shown = s->console.printed;
}

void replay_written(struct simulated *s)
{
    struct history *h = &s->history;
    recorder_spoil(s, "a debugger has written to the guest");
    if (!h->on)
        return;
    if (s->goal.travel) /* somebody wrote while the guest was on its way: it stops here */
        s->goal = (struct goal){.target = simulated_now(s)};
    h->search.active = false;
    if (replay_in_past(s))
        replay_cut(s);
    int last = h->count - 1;
    if (last > 0 && h->point[last].pinned && h->point[last].moment.executed == simulated_now(s))
        forget_point(s, last);
    take_checkpoint(s, true);
}

/* ---- to a position -------------------------------------------------------------------------- */

/* Begins the way to a position, from the nearest checkpoint or from here. */
int replay_go_to(struct simulated *s, uint64_t position)
{
    struct history *h = &s->history;
    int at = replay_newest_before(h, position), error = 0;
    if (at < 0) {
        at = 0;
        position = h->point[0].moment.executed;
    }
    bool behind =
        h->ended || simulated_now(s) > position || (simulated_now(s) == position && !s->between);
    if (behind || h->point[at].moment.executed > simulated_now(s))
        error = replay_return_to(s, at);
    s->goal = (struct goal){.target = position, .travel = true, .points = POINTS_NONE};
    simulated_load_points(s);
    return error;
}

/* What was before is another history. */
static void say_beginning(struct simulated *s, const char *text)
{
    struct backend_stop *told = &s->history.told;
    size_t length;
    simulated_say(told, SESSION_STOPPED, STOPPED_BEGINNING, text);
    length = strlen(told->text);
    if (s->history.run > 1)
        snprintf(told->text + length, sizeof told->text - length,
                 ": there the guest was reset, or a snapshot restored");
}

static int go_to_instruction(struct simulated *s, uint64_t position)
{
    struct history *h = &s->history;
    uint64_t first = h->point[0].moment.executed;
    bool beyond = position < first;
    char text[VIEW_TEXT];
    snprintf(text, sizeof text, "at instruction %" PRIu64 "%s", beyond ? first : position,
             beyond ? ", the beginning of what is recorded" : "");
    if (beyond)
        say_beginning(s, text);
    else
        simulated_say(&h->told, SESSION_STOPPED, STOPPED_STEP, text);
    return replay_go_to(s, beyond ? first : position);
}

static int go_to_beginning(struct simulated *s, const char *text)
{
    say_beginning(s, text);
    return replay_go_to(s, 0);
}

int replay_not_found(struct simulated *s)
{
    return go_to_beginning(s, "not found: this is the beginning of what is recorded");
}

static int step_back(struct simulated *s, uint64_t count)
{
    if (count > simulated_now(s) - s->history.point[0].moment.executed)
        return go_to_beginning(s, "at the beginning of what is recorded");
    return go_to_instruction(s, simulated_now(s) - count);
}

/* ---- to an exit ----------------------------------------------------------------------------- */

/* Has nothing happened since this one? A trap counts as an instruction, an interrupt does not. */
static bool just_handled(const struct simulated *s, const struct exit_record *r)
{
    return s->vm ? s->vm->last_exit == simulated_now(s)
                 : r->instruction + !(r->cause & CAUSE_INTERRUPT) == simulated_now(s);
}

/* The newest exit before this moment: not the one that has just been handled. */
static int go_to_exit(struct simulated *s)
{
    struct history *h = &s->history;
    uint64_t seq = simulated_exits(s);
    seq -= seq && just_handled(s, simulated_exit_record(s, seq));
    if (!seq || seq <= h->point[0].moment.exits || simulated_exit_record(s, seq)->seq != seq)
        return replay_not_found(s);
    h->exits = seq;
    simulated_say(&h->told, SESSION_STOPPED, STOPPED_EXIT,
                  s->vm ? "VM exit handled" : "trap taken");
    return replay_go_to(s, simulated_exit_record(s, seq)->instruction);
}

/* ---- commands ------------------------------------------------------------------------------- */

static int begin_back(struct simulated *s, const struct backend_command *command)
{
    return command->back == BACK_EXIT ? go_to_exit(s) : replay_begin_search(s, command);
}

int replay_begin(struct simulated *s, const struct backend_command *command)
{
    struct history *h = &s->history;
    if (!h->on)
        return h->full ? -ENOSPC : -ENOTSUP;
    h->exits = 0;
    h->to_point = h->in_front = false;
    if (!replay_in_past(s))
        h->typed = session_typed(s->session);
    switch (command->goal) {
    case GOAL_GOTO: return go_to_instruction(s, command->count);
    case GOAL_STEP_BACK: return step_back(s, command->count);
    default: return begin_back(s, command);
    }
}

/* Would the machine take an interrupt, or wait for one, before its next instruction? */
static bool is_interrupted(const struct simulated *s)
{
    struct hart hart = s->guest->hart;
    hart_update_timers(&hart);
    const struct input_record *r = replay_next_record(s);
    return hart.waiting || trap_pending_interrupt(&hart) || (r && replay_is_here(s, r));
}

bool replay_arrived(struct simulated *s, struct backend_stop *stop)
{
    struct history *h = &s->history;
    if (h->exits) { /* from here to the exit, which may be one of several here */
        s->goal = (struct goal){.target = UINT64_MAX,
                                .travel = true,
                                .points = POINTS_NONE,
                                .exit = true,
                                .exits = h->exits};
        h->exits = 0;
        return false;
    }
    if (h->to_point || (h->in_front && is_interrupted(s))) {
        s->goal = (struct goal){.target = UINT64_MAX, .travel = true};
        s->goal.points = h->to_point ? POINTS_USER : POINTS_ANY;
        h->to_point = h->in_front = false;
        simulated_load_points(s);
        s->guest->debug.skip = UINT64_MAX;
        return false;
    }
    *stop = h->told;
    return true;
}
