/*
 * The simulated backend: a guest that runs while some of its pages are still on another host
 * (hv/postcopy.h).
 *
 * A missing page has its place in the host's memory (under the monitor a frame) from the beginning,
 * but struct ram does not name it, so that whoever wants it comes to here(). The thread that takes
 * pages from the link writes to that place; it becomes the guest's memory when it is touched, or
 * when all are here. An instruction that needs a missing page is not executed: the slice ends, and
 * the next one tries again (cpu/absent.h). So the guest waits between two slices, where everybody
 * can ask the session.
 *
 * Nothing is kept for going back meanwhile: a layer of memory must be whole. The history begins
 * when the last page has come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/absent.h"
#include "hv/postcopy.h"
#include "hv/simulated_priv.h"

enum {
    WAIT_MS = 10,   /* within a slice: as long as callers may have to wait for an answer */
    LOOK_MS = 1000, /* for who looks at a page that is not here: a view, a digest */
};

struct simulated_absent {
    struct ram_absent ram;
    struct postcopy *from;
    bool runs;   /* the machine does: it must not wait */
    bool resets; /* the guest has asked for a reset, and stands until all is here */
};

static int put(void *context, uint64_t page, const uint8_t *bytes)
{
    const struct simulated *s = context;
    if (bytes)
        memcpy(s->absent->ram.host[page], bytes, RAM_PAGE);
    else
        memset(s->absent->ram.host[page], 0, RAM_PAGE);
    return 0;
}

static bool here(void *context, uint32_t page)
{
    struct simulated *s = context;
    const struct simulated_absent *a = s->absent;
    bool is = postcopy_here(a->from, page, a->runs ? 0 : LOOK_MS);
    if (!is && a->runs)
        machine_absent(s->guest, page);
    return is;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void forget(struct simulated *s)
{
    s->guest->ram.absent = NULL;
    if (s->absent)
        free(s->absent->ram.host);
    free(s->absent);
    s->absent = NULL;
}

/* Every missing page gets its place; what is there is old. */
static int take_away(struct simulated *s)
{
    struct ram *ram = &s->guest->ram;
    struct simulated_absent *a = s->absent;
    for (uint32_t i = 0; i < ram->size / RAM_PAGE; i++) {
        if (!postcopy_was_missing(a->from, i))
            continue;
        a->ram.host[i] = ram_page(ram, ram->base + i * RAM_PAGE);
        if (!a->ram.host[i])
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < ram->size / RAM_PAGE; i++)
        if (a->ram.host[i])
            ram->page[i] = NULL;
    return 0;
}

int simulated_absent(void *self, struct postcopy *from)
{
    struct simulated *s = self;
    if (s->guest->tohost) /* its calls are made behind the store that makes them */
        return -ENOTSUP;
    s->absent = calloc(1, sizeof *s->absent);
    if (!s->absent)
        return -ENOMEM;
    s->absent->from = from;
    s->absent->ram.here = here;
    s->absent->ram.context = s;
    s->absent->ram.host = calloc(s->guest->ram.size / RAM_PAGE, sizeof *s->absent->ram.host);
    int error = s->absent->ram.host ? take_away(s) : -ENOMEM;
    if (error) {
        forget(s);
        return error;
    }
    s->guest->ram.absent = &s->absent->ram;
    postcopy_deliver_to(from, put, s);
    simulated_restarted(s);
    return 0;
}

/* What came from the link was written behind the back of those who keep account of writes. */
static void give_page(struct ram *ram, uint32_t index, uint8_t *host)
{
    ram->page[index] = host;
    ram_will_write(ram, host);
}

void simulated_arrived(void *self)
{
    struct simulated *s = self;
    struct ram *ram = &s->guest->ram;
    if (!s->absent)
        return;
    for (uint32_t i = 0; i < ram->size / RAM_PAGE; i++)
        if (s->absent->ram.host[i])
            give_page(ram, i, s->absent->ram.host[i]);
    forget(s);
    replay_start(s);
}

/* ---- while it runs --------------------------------------------------------------------------- */

void simulated_absent_free(struct simulated *s)
{
    if (s->absent)
        forget(s);
}

void simulated_absent_running(struct simulated *s, bool runs)
{
    if (s->absent)
        s->absent->runs = runs;
}

/* True: the run is over, since the page does not come. */
bool simulated_at_absent(struct simulated *s, struct backend_stop *stop)
{
    char why[128];
    uint32_t page = s->guest->absent_page;
    if (!s->absent || postcopy_here(s->absent->from, page, WAIT_MS) ||
        !postcopy_lost(s->absent->from, why, sizeof why))
        return false;
    simulated_say(stop, SESSION_STOPPED, STOPPED_MISSING, "");
    snprintf(stop->text, sizeof stop->text, "page 0x%08x is missing: %.60s",
             s->guest->ram.base + page * RAM_PAGE, why);
    return true;
}

/* A reset throws memory away, and what is on its way to it must not come afterwards. */
bool simulated_reset_waits(struct simulated *s)
{
    if (s->absent)
        s->absent->resets = true;
    return s->absent;
}

bool simulated_resets(const struct simulated *s)
{
    return s->absent && s->absent->resets;
}

bool simulated_await_reset(struct simulated *s, struct backend_stop *stop)
{
    char why[128];
    if (postcopy_complete(s->absent->from, WAIT_MS)) {
        simulated_arrived(s);
        return false;
    }
    if (!postcopy_lost(s->absent->from, why, sizeof why))
        return false;
    simulated_say(stop, SESSION_STOPPED, STOPPED_MISSING, "");
    snprintf(stop->text, sizeof stop->text, "a reset, and %u pages are missing: %.50s",
             (unsigned)postcopy_missing(s->absent->from), why);
    return true;
}
