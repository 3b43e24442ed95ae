/*
 * One line on stderr for each thing that is traced, see trace.h.
 *
 * A line begins with the number of instructions that the hart in question (real: "hw", virtual:
 * "vm") had executed. Exits are printed from
 * the session's log, which knows what the monitor did, at the place in the stream of events where
 * they happened.
 */
#include "config.h"

#include "hv/cmd/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cpu/event.h"
#include "cpu/isa.h"
#include "hv/cmd/cmd.h"
#include "hv/cmd/show.h"

enum { EVENTS_AT_ONCE = 512, EXITS_AT_ONCE = 64 };

static uint32_t mask_of(unsigned what)
{
    uint32_t mask = 0;
    if (what & TRACE_EXITS)
        mask |= EVENT_BIT(EVENT_EXIT) | EVENT_BIT(EVENT_TRAP);
    if (what & TRACE_MMU)
        mask |= EVENT_BIT(EVENT_PTE_READ) | EVENT_BIT(EVENT_PTE_UPDATE) | EVENT_BIT(EVENT_TLB) |
                EVENT_BIT(EVENT_TLB_FLUSH) | EVENT_BIT(EVENT_SHADOW);
    if (what & TRACE_INSNS)
        mask |= EVENT_BIT(EVENT_INSN);
    return mask;
}

void trace_start(struct trace *trace, struct session *session, unsigned what, FILE *out)
{
    *trace = (struct trace){.what = what, .out = out};
    session_events_mask(session, mask_of(what));
    setvbuf(out, NULL, _IOFBF, 65536); /* lines come by the million; trace_drain() flushes */
}

static void print_insn(FILE *out, const struct event *event)
{
    char text[VIEW_TEXT];
    isa_disassemble((uint32_t)event->pc, event->a, text, sizeof text);
    fprintf(out, "0x%08" PRIx64 " %08x %s", event->pc, event->a, text);
}

static void print_pte_read(FILE *out, const struct event *event)
{
    fprintf(out, "level %u entry at 0x%08x is 0x%08x, for 0x%08x", event->c, event->a, event->b,
            event->d);
}

static void print_pte_update(FILE *out, const struct event *event)
{
    fprintf(out, "entry at 0x%08x from 0x%08x to 0x%08x, for 0x%08x", event->a, event->b, event->c,
            event->d);
}

static void print_tlb(FILE *out, const struct event *event)
{
    char bits[10];
    fprintf(out, "0x%08x -> 0x%08x %s, satp 0x%08x", event->a, event->b,
            show_permissions(event->c, bits), event->d);
}

static void print_tlb_flush(FILE *out, const struct event *event)
{
    if (event->a == ~0u)
        fprintf(out, "every address");
    else
        fprintf(out, "address 0x%08x", event->a);
    if (event->b == ~0u)
        fprintf(out, ", every address space");
    else
        fprintf(out, ", address space %u", event->b);
}

static void print_shadow(FILE *out, const struct event *event)
{
    static const char *const KINDS[] = {"unchanged", "filled", "upgraded", "dropped"};
    fprintf(out, "%s 0x%08x, from 0x%08x to 0x%08x", KINDS[event->d & 3], event->a, event->b,
            event->c);
}

static void (*const PRINT[EVENT_TYPES])(FILE *, const struct event *) = {
    [EVENT_INSN] = print_insn,
    [EVENT_PTE_READ] = print_pte_read,
    [EVENT_PTE_UPDATE] = print_pte_update,
    [EVENT_TLB] = print_tlb,
    [EVENT_TLB_FLUSH] = print_tlb_flush,
    [EVENT_SHADOW] = print_shadow,
};

static void print_event(struct trace *trace, const struct event *event)
{
    if (event->type >= EVENT_TYPES || !PRINT[event->type])
        return;
    fprintf(trace->out, "%10" PRIu64 " %s %s: ", event->instruction, event->source ? "vm" : "hw",
            event_name(event->type));
    PRINT[event->type](trace->out, event);
    fputc('\n', trace->out);
}

/* Prints up to `max` exits after the newest one that was printed; returns how many. */
static int print_exits(struct trace *trace, struct session *session, int max)
{
    struct view_exit exits[EXITS_AT_ONCE];
    int count =
        session_exits(session, trace->last_exit, exits, max < EXITS_AT_ONCE ? max : EXITS_AT_ONCE);
    for (int i = 0; i < count; i++) {
        show_exit(trace->out, &exits[i]);
        trace->last_exit = exits[i].seq;
    }
    return count;
}

void trace_drain(struct trace *trace, struct session *session)
{
    struct event events[EVENTS_AT_ONCE];
    struct view_status status;
    uint64_t dropped = 0;
    int count;
    session_status(session, &status);
    enum event_type mark = status.under_monitor ? EVENT_EXIT : EVENT_TRAP;
    while ((count = session_events(session, events, EVENTS_AT_ONCE, &dropped)) > 0) {
        for (int i = 0; i < count; i++) {
            print_event(trace, &events[i]);
            if (trace->what & TRACE_EXITS && events[i].type == mark)
                print_exits(trace, session, 1);
        }
        trace->dropped += dropped;
    }
    while (trace->what & TRACE_EXITS && print_exits(trace, session, EXITS_AT_ONCE) > 0)
        ;
    fflush(trace->out);
}
