/*
 * Running backwards to a stop: the newest breakpoint, watchpoint hit or write before this moment.
 *
 * Nobody can run a processor backwards, so the stretches between two checkpoints are run forwards,
 * newest first, each with the breakpoints set:
 *
 *      0 ----+-----------+---------+-------+--| here
 *            3rd         2nd       1st stretch
 *
 * The last stop in the first stretch that has one is what was wanted. Where there are thousands of
 * them its end is looked at first: most of it is run without breakpoints, and if there is no stop
 * in the tail, a longer tail is tried. What is found is a position like any other (replay_go_to()).
 */
#include <inttypes.h>
#include <stdio.h>

#include "hv/replay_priv.h"
#include "hv/simulated_priv.h"

enum {
    SEARCH_STOPS = 200,     /* in one slice */
    MANY = 1000,            /* stops, before it pays to look near the end of a stretch first */
    WIDER = 16,             /* ... and if there is none, so much farther from the end */
    SEARCH_SLICE = 1000000, /* instructions */
};

/* Nothing is looked for before the last `tail` instructions of the stretch. */
static void look_at_tail(struct simulated *s, uint64_t tail)
{
    struct search *search = &s->history.search;
    search->tail = tail;
    search->blind = search->upper > simulated_now(s) && tail < search->upper - simulated_now(s);
    search->dark = search->blind ? search->upper - tail : 0;
    simulated_load_points(s);
}

/* Runs the stretch from checkpoint search.at to search.upper, or its tail, from the beginning. */
static int begin_part(struct simulated *s, uint64_t tail)
{
    struct search *search = &s->history.search;
    int error = replay_return_to(s, search->at);
    search->found = false;
    search->stops = 0;
    look_at_tail(s, tail);
    s->guest->debug.skip = UINT64_MAX;
    return error;
}

/* Begins the stretch behind checkpoint search.at. */
static int begin_stretch(struct simulated *s)
{
    struct history *h = &s->history;
    struct search *search = &h->search;
    uint64_t next =
        search->at + 1 < h->count ? h->point[search->at + 1].moment.executed : UINT64_MAX;
    search->upper = replay_least(next, search->from);
    return begin_part(s, UINT64_MAX);
}

/* So many stops that the last one is likely to be near the end: there first. */
static void skip_most(struct simulated *s)
{
    struct search *search = &s->history.search;
    uint64_t tail =
        simulated_now(s) - s->history.point[search->at].moment.executed; /* as many again */
    if (search->stops >= MANY && !search->dark && search->upper - simulated_now(s) > tail)
        look_at_tail(s, tail);
}

/* From here on there may be what is wanted. */
static void open_eyes(struct simulated *s)
{
    struct search *search = &s->history.search;
    if (!search->blind || simulated_now(s) < search->dark)
        return;
    search->blind = false;
    simulated_load_points(s);
    s->guest->debug.skip = UINT64_MAX;
}

/* A stretch of the memory that is asked for, as devices know it: by physical addresses. Those
 * pages count that the address leads to now. */
static void add_piece(struct search *search, uint32_t va, uint32_t pa, uint32_t length)
{
    struct search_piece *last = search->pieces ? &search->piece[search->pieces - 1] : NULL;
    if (last && last->pa + last->length == pa)
        last->length += length;
    else if (search->pieces < SEARCH_PIECES)
        search->piece[search->pieces++] = (struct search_piece){va, pa, length};
}

static void find_pieces(struct simulated *s)
{
    struct search *search = &s->history.search;
    uint32_t va = (uint32_t)search->point.address, left = search->point.length;
    while (left) {
        uint32_t rest = RAM_PAGE - va % RAM_PAGE, part = left < rest ? left : rest;
        struct walk w = {.context = mmu_context(s->guest, ACCESS_READ),
                         .access = ACCESS_READ,
                         .look_only = true};
        if (search->point.physical)
            add_piece(search, va, va, part);
        else if (mmu_walk(s->guest, va, &w))
            add_piece(search, va, w.pa, part);
        va += part;
        left -= part;
    }
}

int replay_begin_search(struct simulated *s, const struct backend_command *command)
{
    struct history *h = &s->history;
    struct search *search = &h->search;
    *search = (struct search){.active = true, .from = simulated_now(s)};
    if (command->back == BACK_WRITE)
        search->point = (struct session_break){.kind = BREAK_WRITE,
                                               .physical = command->physical,
                                               .address = command->va,
                                               .length = (uint32_t)command->count};
    find_pieces(s);
    search->at = simulated_now(s) ? replay_newest_before(h, simulated_now(s) - 1) : -1;
    if (search->at < 0) {
        search->active = false;
        return replay_not_found(s);
    }
    s->goal = (struct goal){.target = UINT64_MAX, .travel = true};
    simulated_load_points(s);
    return begin_stretch(s);
}

/* A device has written at `position`, where the guest shall stand before it does; and before the
 * input that has come there, if that is why. */
static void note_device(struct simulated *s, uint64_t position, bool input)
{
    struct search *search = &s->history.search;
    struct backend_stop *stop = &search->stop;
    const struct machine_break *watch = &s->guest->watch;
    simulated_say(stop, SESSION_STOPPED, STOPPED_WATCHPOINT, "");
    snprintf(stop->text, sizeof stop->text, "written by device %s at instruction %" PRIu64,
             s->guest->watch_device, position);
    for (unsigned i = 0; i < search->pieces; i++)
        if (search->piece[i].pa == watch->address)
            stop->watch_address = search->piece[i].va;
    stop->watch_access = 'w';
    search->position = position;
    search->input = input;
    search->found = true;
}

/* Recorded input may be written to memory by a device, before anything is executed here. */
static void deliver_watched(struct simulated *s)
{
    s->guest->watch_device = NULL;
    replay_deliver(s);
    if (s->guest->watch_device)
        note_device(s, simulated_now(s), true);
    s->guest->watch_device = NULL;
}

/* A stop in this stretch: the newest so far. */
static void note_stop(struct simulated *s, enum stop_reason reason)
{
    struct search *search = &s->history.search;
    if (reason == STOP_BREAKPOINT) {
        s->guest->debug.skip = simulated_now(s);
        if (simulated_now(s) >= search->from || !simulated_at_point(s))
            return;
        simulated_say(&search->stop, SESSION_STOPPED, STOPPED_BREAKPOINT, "breakpoint");
        search->position = simulated_now(s);
    } else if (s->guest->watch_device) {
        note_device(s, simulated_now(s) - 1,
                    false); /* in front of the instruction that has made it do so */
    } else {
        simulated_say_watch(s, &search->stop);
        search->input = false;
        search->position = simulated_now(s) - 1; /* in front of the instruction that did it */
    }
    search->found = true;
}

/* The stretch is done: there, or on to the one before. */
static int end_stretch(struct simulated *s)
{
    struct history *h = &s->history;
    struct search *search = &h->search;
    if (search->dark && !(search->found && search->position >= search->dark)) {
        search->upper = search->dark; /* not in the tail: in what is before it? */
        return begin_part(s, search->tail * WIDER);
    }
    if (!search->found && search->at > 0) {
        search->at--;
        return begin_stretch(s);
    }
    search->active = false;
    if (!search->found)
        return replay_not_found(s);
    h->told = search->stop;
    h->to_point = search->stop.stop == STOPPED_BREAKPOINT;
    h->in_front = !h->to_point && !search->input;
    return replay_go_to(s, search->position);
}

bool replay_search(struct simulated *s, struct backend_stop *stop)
{
    struct search *search = &s->history.search;
    open_eyes(s);
    uint64_t until_then =
        replay_least(search->blind ? search->dark : search->upper, simulated_now(s) + SEARCH_SLICE);
    bool over = simulated_now(s) >= search->upper;
    for (int stops = 0; stops < SEARCH_STOPS && simulated_now(s) < until_then && !over;) {
        deliver_watched(s);
        uint64_t bound = replay_least(until_then - simulated_now(s), replay_bound(s));
        enum stop_reason reason = machine_run(s->guest, bound);
        bool hit = reason == STOP_BREAKPOINT || reason == STOP_WATCHPOINT;
        const struct input_record *r = replay_next_record(s);
        if (hit)
            note_stop(s, reason);
        stops += hit;
        search->stops += hit;
        over = reason == STOP_POWEROFF || reason == STOP_STUCK || reason == STOP_RESET ||
               (reason == STOP_IDLE && !(r && replay_is_here(s, r)));
    }
    over |= simulated_now(s) >= search->upper;
    if (!over)
        skip_most(s);
    if (over && end_stretch(s)) {
        search->active = false;
        simulated_say(stop, SESSION_ENDED, STOPPED_STUCK, "the host has no memory left");
        return true;
    }
    return false;
}
