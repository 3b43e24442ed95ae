/*
 * What came of a run, as one JSON object, see report.h. The members are listed in vitrine(1).
 */
#include "config.h"

#include "hv/cmd/report.h"

#include <json-glib/json-glib.h>

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
    };
    return stop < sizeof NAMES / sizeof *NAMES ? NAMES[stop] : "unknown";
}

static void add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

static void add_number(JsonBuilder *builder, const char *name, uint64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

static void add_double(JsonBuilder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, value);
}

static const char *under_name(const struct view_status *status)
{
    return status->isa == ISA_X86 ? "kvm" : status->under_monitor ? "hv" : "bare";
}

static void add_status(JsonBuilder *builder, const struct view_status *status,
                       const struct report *report)
{
    add_string(builder, "guest", status->guest);
    add_string(builder, "under", under_name(status));
    add_string(builder, "engine", status->engine);
    add_number(builder, "memory", status->memory);
    add_string(builder, "stop", report_stop_name(status->stop));
    add_string(builder, "text", status->text);
    add_number(builder, "status", (uint64_t)report->status);
    if (status->stop == STOPPED_POWEROFF)
        add_number(builder, "exit_code", (uint64_t)status->exit_code);
    add_number(builder, "instructions", status->instructions);
    add_double(builder, "seconds", report->seconds);
    add_double(builder, "mips",
               report->seconds > 0 ? (double)status->instructions / report->seconds / 1e6 : 0);
}

static void add_exits(JsonBuilder *builder, struct session *session)
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
}

/* JSON is UTF-8: bytes that are not become U+FFFD, and a NUL too. */
static void add_console(JsonBuilder *builder, const struct report *report)
{
    GString *text = g_string_new(NULL);
    for (size_t at = 0; at < report->console_count;) {
        const char *piece = (const char *)report->console + at;
        size_t length = strnlen(piece, report->console_count - at);
        char *valid = g_utf8_make_valid(piece, (gssize)length);
        g_string_append(text, valid);
        g_free(valid);
        at += length;
        if (at < report->console_count) {
            g_string_append(text, "\357\277\275");
            at++;
        }
    }
    add_string(builder, "console", text->str);
    add_number(builder, "console_lost", report->console_lost);
    g_string_free(text, TRUE);
}

void report_write(FILE *out, struct session *session, const struct report *report)
{
    struct view_status status;
    char digest[24];
    session_status(session, &status);
    snprintf(digest, sizeof digest, "0x%016llx", (unsigned long long)session_digest(session));
    JsonBuilder *builder = json_builder_new();
    json_builder_begin_object(builder);
    add_status(builder, &status, report);
    add_exits(builder, session);
    add_string(builder, "digest", digest);
    if (report->console)
        add_console(builder, report);
    json_builder_end_object(builder);

    JsonNode *root = json_builder_get_root(builder);
    char *text = json_to_string(root, TRUE);
    fprintf(out, "%s\n", text);
    g_free(text);
    json_node_unref(root);
    g_object_unref(builder);
}
