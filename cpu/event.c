/* The event stream: observers and the names of event.def. See event.h. */
#include "cpu/event.h"

#include <errno.h>
#include <stddef.h>

static void recompute_mask(struct events *events)
{
    events->mask = 0;
    for (int i = 0; i < EVENT_OBSERVERS; i++)
        events->mask |= events->observer[i].mask;
}

int events_observe(struct events *events, uint32_t mask, observer_fn see, void *context)
{
    struct observer *place = NULL;
    for (int i = 0; i < EVENT_OBSERVERS; i++) {
        struct observer *o = &events->observer[i];
        if (o->see == see && o->context == context) {
            place = o;
            break;
        }
        if (!place && !o->see)
            place = o;
    }
    if (!place)
        return mask ? -ENOSPC : 0;
    *place = mask ? (struct observer){mask, see, context} : (struct observer){0};
    recompute_mask(events);
    return 0;
}

void events_publish(const struct events *events, const struct event *event)
{
    for (int i = 0; i < EVENT_OBSERVERS; i++) {
        const struct observer *o = &events->observer[i];
        if (o->mask & EVENT_BIT(event->type))
            o->see(o->context, event);
    }
}

static const struct {
    const char *name, *meaning;
} event_rows[] = {
#define EVENT(NAME, name, meaning) {name, meaning},
#include "cpu/event.def"
#undef EVENT
};

const char *event_name(unsigned type)
{
    return type < EVENT_TYPES ? event_rows[type].name : "";
}

const char *event_meaning(unsigned type)
{
    return type < EVENT_TYPES ? event_rows[type].meaning : "";
}
