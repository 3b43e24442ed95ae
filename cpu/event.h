/*
 * The event stream: what a machine does, told to observers, free when nobody listens.
 *
 * An observer has a mask of event types and a function; it sees each event when it happens, on the
 * machine's thread, and must not change the machine. The cost without observers is one test of a
 * mask at places that are off the fast path anyway; for the types that concern every instruction
 * (INSN, READ, WRITE) the engines look once per machine_run() and then take a slower path.
 *
 * The types are the rows of event.def.
 */
#ifndef VITRINE_CPU_EVENT_H
#define VITRINE_CPU_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum event_type {
#define EVENT(NAME, name, meaning) EVENT_##NAME,
#include "cpu/event.def"
#undef EVENT
    EVENT_TYPES
};

#define EVENT_BIT(type) (1u << (type))
/* These concern every instruction or access: engines leave their fast path while they are wanted. */
#define EVENTS_OF_EVERY_INSN (EVENT_BIT(EVENT_INSN) | EVENT_BIT(EVENT_READ) | EVENT_BIT(EVENT_WRITE))

struct event {
    uint64_t instruction; /* the hart's count when it happened; 0 where they are not counted */
    uint64_t pc;
    uint16_t type;   /* enum event_type */
    uint16_t source; /* 0 = the computer, 1.. = virtual machine number */
    uint32_t a, b, c, d;
};

typedef void (*observer_fn)(void *context, const struct event *event);

struct observer {
    uint32_t mask; /* EVENT_BIT()s that it wants */
    observer_fn see;
    void *context;
};

enum { EVENT_OBSERVERS = 4 };

struct events {
    uint32_t mask; /* of all observers together */
    uint16_t source;
    struct observer observer[EVENT_OBSERVERS];
};

/* Sets, changes or (mask 0) removes the observer with this function and context.
 * Returns 0, or -ENOSPC when all places are taken. Not while the machine runs. */
int events_observe(struct events *events, uint32_t mask, observer_fn see, void *context);

/* Tells all observers whose mask has the event's type. */
void events_publish(const struct events *events, const struct event *event);

static inline bool events_wanted(const struct events *events, enum event_type type)
{
    return __builtin_expect(events->mask & EVENT_BIT(type), 0);
}

/* "trap", "CSR write" ... and the row's line of prose; "" for a number out of range. */
const char *event_name(unsigned type);
const char *event_meaning(unsigned type);

#endif
