/*
 * `vitrine run --json`: what came of a run, as one JSON object.
 */
#ifndef VITRINE_HV_CMD_REPORT_H
#define VITRINE_HV_CMD_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_builder;
struct session;
struct view_migration;
struct view_protection;

struct report {
    int status;             /* the command's exit status */
    bool timed_out;         /* the host's time was up, which the session knows nothing of */
    double seconds;         /* of the host, running */
    const uint8_t *console; /* what the guest printed; NULL: it went elsewhere */
    size_t console_count;
    uint64_t console_lost; /* bytes beyond those */
};

/* The members "migration" and "protection" of the object that is open, each if there ever was one.
 * `vitrine control SESSION status --json` has the same ones. */
void report_moves(struct json_builder *builder, struct session *session);
/* Guest, state, counts and the above, as one object: the answer to `status json`. */
void report_status(FILE *out, struct session *session);
/* The last migration, the protection, in a line; "" if there was none. */
void report_migration_line(const struct view_migration *view, char *line, size_t size);
void report_protection_line(const struct view_protection *view, char *line, size_t size);

/* Writes the object and a newline. The session is stopped. */
void report_write(FILE *out, struct session *session, const struct report *report);

/* "poweroff", "limit", "idle" ...: the stop's name in the object. */
const char *report_stop_name(unsigned stop);

#endif
