/*
 * What came of a run, as one JSON object, see report.h. The members are listed in vitrine(1).
 */
#include "config.h"

#include "hv/cmd/report.h"

#include "hv/cmd/json.h"
#include "hv/session.h"

const char *report_stop_name(unsigned stop)
{
    static const char *const NAMES[] = {
        [STOPPED_RESET] = "reset",
        [STOPPED_STEP] = "step",
        [STOPPED_EXIT] = "exit",
        [STOPPED_BREAKPOINT] = "breakpoint",
        [STOPPED_WATCHPOINT] = "watchpoint",
        [STOPPED_PAUSE] = "pause",
        [STOPPED_LIMIT] = "limit",
        [STOPPED_IDLE] = "idle",
        [STOPPED_POWEROFF] = "poweroff",
        [STOPPED_STUCK] = "stuck",
        [STOPPED_SHUTDOWN] = "shutdown",
        [STOPPED_INTERNAL] = "internal",
        [STOPPED_FAIL_ENTRY] = "fail-entry",
        [STOPPED_BEGINNING] = "beginning",
        [STOPPED_RECORD_END] = "record-end",
        [STOPPED_DIFFERS] = "differs",
        [STOPPED_MOVED] = "moved",
        [STOPPED_MISSING] = "missing",
    };
    return stop < sizeof NAMES / sizeof *NAMES ? NAMES[stop] : "unknown";
}

static void add_string(struct json_builder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

static void add_number(struct json_builder *builder, const char *name, uint64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void add_double(struct json_builder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, value);
}

static const char *under_name(const struct view_status *status)
{
    return status->isa == ISA_X86 ? "kvm" : status->under_monitor ? "hv" : "bare";
}

static void add_status(struct json_builder *builder, const struct view_status *status,
                       const struct report *report)
{
    add_string(builder, "guest", status->guest);
    add_string(builder, "under", under_name(status));
    add_string(builder, "engine", status->engine);
    add_number(builder, "memory", status->memory);
    add_string(builder, "stop", report_stop_name(report->timed_out ? STOPPED_LIMIT : status->stop));
    add_string(builder, "text", report->timed_out ? "the time is up" : status->text);
    if (*status->detail)
        add_string(builder, "detail", status->detail);
    add_number(builder, "status", (uint64_t)report->status);
    if (status->stop == STOPPED_POWEROFF)
        add_number(builder, "exit_code", (uint64_t)status->exit_code);
    add_double(builder, "seconds", report->seconds);
    if (!status->counted)
        return;
    add_number(builder, "instructions", status->instructions);
    add_double(builder, "mips",
               report->seconds > 0 ? (double)status->instructions / report->seconds / 1e6 : 0);
}

static void add_exits(struct json_builder *builder, struct session *session)
{
    struct view_exit_stats stats;
    session_exit_stats(session, &stats);
    add_number(builder, "exits", stats.total);
    json_builder_set_member_name(builder, "exits_by_reason");
    json_builder_begin_object(builder);
    for (unsigned i = 0; i < stats.count; i++)
        if (stats.by_reason[i].count)
            add_number(builder, stats.by_reason[i].name, stats.by_reason[i].count);
    json_builder_end_object(builder);
    if (!stats.ns)
        return;
    add_number(builder, "exit_ns", stats.ns);
    json_builder_set_member_name(builder, "exit_ns_by_reason");
    json_builder_begin_object(builder);
    for (unsigned i = 0; i < stats.count; i++)
        if (stats.by_reason[i].count)
            add_number(builder, stats.by_reason[i].name, stats.by_reason[i].ns);
    json_builder_end_object(builder);
}

static void add_console(struct json_builder *builder, const struct report *report)
{
    json_builder_set_member_name(builder, "console");
    json_builder_add_bytes_value(builder, report->console, report->console_count);
    add_number(builder, "console_lost", report->console_lost);
}

void report_write(FILE *out, struct session *session, const struct report *report)
{
    struct view_status status;
    char digest[24];
    session_status(session, &status);
    snprintf(digest, sizeof digest, "0x%016llx", (unsigned long long)session_digest(session));
    struct json_builder json = {.out = out}, *builder = &json;
    json_builder_begin_object(builder);
    add_status(builder, &status, report);
    add_exits(builder, session);
    add_string(builder, "digest", digest);
    if (report->console)
        add_console(builder, report);
    json_builder_end_object(builder);
}
