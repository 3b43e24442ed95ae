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

static const char *under_name(const struct view_status *status)
{
    return status->isa == ISA_X86 ? "kvm" : status->under_monitor ? "hv" : "bare";
}

static void add_status(struct json_builder *builder, const struct view_status *status,
                       const struct report *report)
{
    json_builder_add_string_member(builder, "guest", status->guest);
    json_builder_add_string_member(builder, "under", under_name(status));
    json_builder_add_string_member(builder, "engine", status->engine);
    json_builder_add_int_member(builder, "memory", status->memory);
    json_builder_add_string_member(
        builder, "stop", report_stop_name(report->timed_out ? STOPPED_LIMIT : status->stop));
    json_builder_add_string_member(builder, "text",
                                   report->timed_out ? "the time is up" : status->text);
    if (*status->detail)
        json_builder_add_string_member(builder, "detail", status->detail);
    json_builder_add_int_member(builder, "status", (uint64_t)report->status);
    if (status->stop == STOPPED_POWEROFF)
        json_builder_add_int_member(builder, "exit_code", (uint64_t)status->exit_code);
    json_builder_add_double_member(builder, "seconds", report->seconds);
    if (!status->counted)
        return;
    json_builder_add_int_member(builder, "instructions", status->instructions);
    json_builder_add_double_member(
        builder, "mips",
        report->seconds > 0 ? (double)status->instructions / report->seconds / 1e6 : 0);
}

static void add_exits(struct json_builder *builder, struct session *session)
{
    struct view_exit_stats stats;
    session_exit_stats(session, &stats);
    json_builder_add_int_member(builder, "exits", stats.total);
    json_builder_set_member_name(builder, "exits_by_reason");
    json_builder_begin_object(builder);
    for (unsigned i = 0; i < stats.count; i++)
        if (stats.by_reason[i].count)
            json_builder_add_int_member(builder, stats.by_reason[i].name, stats.by_reason[i].count);
    json_builder_end_object(builder);
    if (!stats.ns)
        return;
    json_builder_add_int_member(builder, "exit_ns", stats.ns);
    json_builder_set_member_name(builder, "exit_ns_by_reason");
    json_builder_begin_object(builder);
    for (unsigned i = 0; i < stats.count; i++)
        if (stats.by_reason[i].count)
            json_builder_add_int_member(builder, stats.by_reason[i].name, stats.by_reason[i].ns);
    json_builder_end_object(builder);
}

static void add_console(struct json_builder *builder, const struct report *report)
{
    json_builder_set_member_name(builder, "console");
    json_builder_add_bytes_value(builder, report->console, report->console_count);
    json_builder_add_int_member(builder, "console_lost", report->console_lost);
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
    json_builder_add_string_member(builder, "digest", digest);
    if (report->console)
        add_console(builder, report);
    report_moves(builder, session);
    json_builder_end_object(builder);
}
