/*
 * `vitrine run --json`: what came of a run, as one JSON object.
 */
#ifndef VITRINE_HV_CMD_REPORT_H
#define VITRINE_HV_CMD_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct session;

struct report {
    int status;             /* the command's exit status */
    bool timed_out;         /* the host's time was up, which the session knows nothing of */
    double seconds;         /* of the host, running */
    const uint8_t *console; /* what the guest printed; NULL: it went elsewhere */
    size_t console_count;
    uint64_t console_lost; /* bytes beyond those */
};

/* Writes the object and a newline. The session is stopped. */
void report_write(FILE *out, struct session *session, const struct report *report);

/* "poweroff", "limit", "idle" ...: the stop's name in the object. */
const char *report_stop_name(unsigned stop);

#endif
