/*
 * The simulated backend: what comes to the guest from outside, and goes into the log of its input.
 *
 * Each input has the instruction before which it came, and comes there again when the run is
 * replayed or follows a record. That place is certain only if nothing else has happened there yet:
 * an interrupt, say, that was taken just now would in the replay meet the input. So input waits
 * until the machine stands between two instructions or sleeps, one instruction at most.
 */
#include <errno.h>

#include "hv/simulated_priv.h"

/* Is this a place to which the input can come again? */
static bool is_certain(const struct simulated *s)
{
    return s->between || s->guest->hart.waiting;
}

/* false: not now, since there is no room, or since a page that it needs is on its way. */
static bool offer(struct simulated *s, uint8_t byte)
{
    simulated_absent_running(s, true);
    bool taken = machine_input(s->guest, &byte, 1);
    simulated_absent_running(s, false);
    return taken;
}

bool simulated_give(struct simulated *s, const struct input_record *r)
{
    if (r->kind == INPUT_BALLOON)
        return !machine_set_balloon(s->guest, r->value);
    return offer(s, (uint8_t)r->value);
}

static void given(struct simulated *s)
{
    s->history.delivered++;
    s->between = false;
}

/* Somebody waits for this, so it is asked for as soon as it can be. */
static void give_balloon(struct simulated *s)
{
    const struct hart *h = &s->guest->hart;
    struct input_record r = {h->executed, h->clock.idle, INPUT_BALLOON, s->balloon_wanted};
    s->balloon_asked = false;
    if (session_log_add(s->session, r) && simulated_give(s, &r))
        given(s);
}

/*
 * What had no room is offered again where the guest alone decides: at each multiple of so many
 * instructions, or when it sleeps. Were it offered after each slice, the input would arrive earlier
 * or later with the length of slices, which depends on the engine and on how fast the host is.
 */
enum { HELD_EACH = 100000 };

static bool is_held_here(const struct simulated *s)
{
    const struct hart *h = &s->guest->hart;
    return s->input_held && !h->waiting && h->executed % HELD_EACH;
}

uint64_t simulated_input_held(const struct simulated *s)
{
    return s->input_held ? HELD_EACH - s->guest->hart.executed % HELD_EACH : UINT64_MAX;
}

static void take_typed(struct simulated *s)
{
    const struct hart *h = &s->guest->hart;
    uint8_t byte;
    if (is_held_here(s))
        return;
    while (session_input_peek(s->session, &byte) && offer(s, byte)) {
        session_input_taken(s->session, h->executed, h->clock.idle);
        given(s);
    }
    s->input_held = session_input_peek(s->session, &byte);
}

static bool is_new(const struct simulated *s)
{
    return s->balloon_asked || session_typed(s->session) != s->history.typed;
}

void simulated_deliver(struct simulated *s)
{
    if (recorder_follows(s)) {
        replay_deliver(s);
        return;
    }
    if (!s->goal.travel && replay_in_past(s) && is_new(s))
        replay_cut(s);
    if (replay_in_past(s)) {
        replay_deliver(s);
    } else if (is_certain(s)) {
        if (s->balloon_asked)
            give_balloon(s);
        take_typed(s);
    }
}

bool simulated_input_waits(const struct simulated *s)
{
    uint8_t byte;
    bool here = !recorder_follows(s) && !replay_in_past(s) && !is_certain(s);
    return here && (s->balloon_asked || session_input_peek(s->session, &byte));
}

int simulated_set_balloon(void *self, uint32_t pages)
{
    struct simulated *s = self;
    if (!s->guest->balloon)
        return -ENOTSUP;
    if (recorder_follows(s))
        return -EBUSY;
    s->balloon_asked = true;
    s->balloon_wanted = pages;
    if (!replay_in_past(s) && is_certain(s)) /* else when the guest runs on */
        give_balloon(s);
    return 0;
}
