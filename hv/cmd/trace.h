/*
 * `vitrine run --trace`: one line for each exit, page-table event or instruction.
 */
#ifndef VITRINE_HV_CMD_TRACE_H
#define VITRINE_HV_CMD_TRACE_H

#include <stdint.h>
#include <stdio.h>

struct session;

struct trace {
    unsigned what; /* TRACE_* */
    FILE *out;
    uint64_t last_exit; /* seq of the newest exit printed */
    uint64_t dropped;   /* events that did not fit in the ring */
};

/* So many instructions at a time: with at most some twenty events and four exits each, what happens
 * fits in the session's ring and log. */
enum { TRACE_BATCH = 1000 };

/* Asks the session for the events. */
void trace_start(struct trace *trace, struct session *session, unsigned what, FILE *out);
/* Prints what has happened since the last call. The session is stopped. */
void trace_drain(struct trace *trace, struct session *session);

#endif
