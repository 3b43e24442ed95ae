/*
 * How a guest's migration and protection are, in lines and as JSON, see report.h. The members are
 * listed in vitrine(1). Times are in seconds, sizes in bytes, pages and blocks in units of 4 KiB.
 */
#include "config.h"

#include <time.h>

#include "hv/cmd/json.h"
#include "hv/cmd/report.h"
#include "hv/session.h"

static const char *name_of(const char *const *names, unsigned count, unsigned phase)
{
    return phase < count && names[phase] ? names[phase] : "unknown";
}

#define NAME_OF(names, phase) name_of(names, sizeof names / sizeof *names, phase)

static const char *const MIGRATION_NAMES[] = {
    [MIGRATION_NONE] = "none",   [MIGRATION_COPYING] = "copying", [MIGRATION_HANDOVER] = "handover",
    [MIGRATION_MOVED] = "moved", [MIGRATION_STAYED] = "stayed",   [MIGRATION_DOUBT] = "doubt",
};

static const char *const PROTECTION_NAMES[] = {
    [PROTECTION_NONE] = "none",     [PROTECTION_COPYING] = "copying", [PROTECTION_ON] = "on",
    [PROTECTION_ALONE] = "alone",   [PROTECTION_TAKEN] = "taken",     [PROTECTION_OVER] = "over",
    [PROTECTION_FENCED] = "fenced", [PROTECTION_DOUBT] = "doubt",     [PROTECTION_ENDED] = "ended",
};

/* The newest epoch that the backup has; NULL: none is known. */
static const struct view_epoch *last_epoch(const struct view_protection *v)
{
    for (unsigned i = v->recent; i; i--)
        if (v->log[i - 1].acknowledged > 0)
            return &v->log[i - 1];
    return NULL;
}

/* ---- lines ---------------------------------------------------------------------------------- */

void report_migration_line(const struct view_migration *v, char *line, size_t size)
{
    *line = 0;
    if (v->phase != MIGRATION_NONE)
        snprintf(line, size,
                 "migration %s%s%s: round %u, %llu of %llu pages dirty, %.1f MB in %.2f s, "
                 "expected downtime %.1f ms (limit %.1f ms)%s",
                 NAME_OF(MIGRATION_NAMES, v->phase), *v->to ? " to " : "", v->to, v->round,
                 (unsigned long long)v->dirty, (unsigned long long)v->pages, (double)v->bytes / 1e6,
                 v->seconds, v->expected * 1e3, v->limit * 1e3, v->throttle ? ", slowed down" : "");
}

static void last_words(const struct view_epoch *e, char *text, size_t size)
{
    *text = 0;
    if (e)
        snprintf(text, size,
                 "; the last: %llu pages, %llu bytes, stood %.2f ms, acknowledged after %.2f ms",
                 (unsigned long long)e->pages, (unsigned long long)e->bytes,
                 (e->copied - e->stood) * 1e3, (e->acknowledged - e->copied) * 1e3);
}

void report_protection_line(const struct view_protection *v, char *line, size_t size)
{
    char since[32] = "", last[160], fence[48] = "";
    time_t when = (time_t)v->since;
    struct tm tm;
    *line = 0;
    if (v->phase == PROTECTION_NONE && !v->searching)
        return;
    if (when && localtime_r(&when, &tm))
        strftime(since, sizeof since, " since %H:%M:%S", &tm);
    if (v->generation)
        snprintf(fence, sizeof fence, "; generation %llu of the fence",
                 (unsigned long long)v->generation);
    last_words(last_epoch(v), last, sizeof last);
    snprintf(
        line, size,
        "protection %s%s%s%s%s: %llu epochs acknowledged%s; %llu bytes of output held%s%s%s%s%s%s",
        NAME_OF(PROTECTION_NAMES, v->phase), v->backup ? ", as the backup" : "",
        *v->to && !v->searching ? " by " : "", v->searching ? "" : v->to, since,
        (unsigned long long)v->acknowledged, last, (unsigned long long)v->held, fence,
        v->searching ? "; looking for a backup at " : "", v->searching ? v->to : "",
        *v->why ? " (" : "", v->why, *v->why ? ")" : "");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

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

static void add_rounds(struct json_builder *builder, const struct view_migration *v)
{
    json_builder_set_member_name(builder, "log");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < v->rounds; i++) {
        const struct view_round *r = &v->log[i];
        json_builder_begin_object(builder);
        add_number(builder, "round", v->round - v->rounds + 1 + i);
        add_number(builder, "pages", r->pages);
        add_number(builder, "dirty", r->dirty);
        add_double(builder, "seconds", r->seconds);
        add_double(builder, "expected", r->expected);
        add_number(builder, "throttle", r->throttle);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void add_migration(struct json_builder *builder, const struct view_migration *v)
{
    json_builder_set_member_name(builder, "migration");
    json_builder_begin_object(builder);
    add_string(builder, "phase", NAME_OF(MIGRATION_NAMES, v->phase));
    add_string(builder, "role", v->incoming ? "destination" : "source");
    add_string(builder, "to", v->to);
    add_number(builder, "round", v->round);
    add_number(builder, "throttle", v->throttle);
    add_number(builder, "pages", v->pages);
    add_number(builder, "dirty", v->dirty);
    add_number(builder, "moved_pages", v->moved_pages);
    add_number(builder, "zero_pages", v->zero_pages);
    add_number(builder, "bytes", v->bytes);
    add_double(builder, "rate", v->rate);
    add_double(builder, "dirty_rate", v->dirty_rate);
    add_double(builder, "expected", v->expected);
    add_double(builder, "limit", v->limit);
    add_double(builder, "downtime", v->downtime);
    add_double(builder, "seconds", v->seconds);
    add_rounds(builder, v);
    json_builder_end_object(builder);
}

static void add_epoch(struct json_builder *builder, const struct view_epoch *e)
{
    json_builder_set_member_name(builder, "last");
    if (!e) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    add_number(builder, "number", e->number);
    add_number(builder, "pages", e->pages);
    add_number(builder, "blocks", e->blocks);
    add_number(builder, "bytes", e->bytes);
    add_number(builder, "output", e->output);
    add_double(builder, "pause", e->copied - e->stood);
    add_double(builder, "delay", e->acknowledged - e->copied);
    json_builder_end_object(builder);
}

static void add_protection(struct json_builder *builder, const struct view_protection *v)
{
    json_builder_set_member_name(builder, "protection");
    json_builder_begin_object(builder);
    add_string(builder, "phase", NAME_OF(PROTECTION_NAMES, v->phase));
    add_string(builder, "role", v->backup ? "backup" : "primary");
    add_string(builder, "to", v->to);
    add_string(builder, "why", v->why);
    json_builder_set_member_name(builder, "searching");
    json_builder_add_boolean_value(builder, v->searching);
    add_number(builder, "losses", v->losses);
    add_number(builder, "since", v->since > 0 ? (uint64_t)v->since : 0);
    add_number(builder, "generation", v->generation);
    add_number(builder, "epochs", v->epochs);
    add_number(builder, "acknowledged", v->acknowledged);
    add_number(builder, "instruction", v->instruction);
    add_number(builder, "pages", v->pages);
    add_number(builder, "blocks", v->blocks);
    add_number(builder, "bytes", v->bytes);
    add_number(builder, "held", v->held);
    add_number(builder, "released", v->released);
    add_number(builder, "shown_from", v->shown_from);
    add_double(builder, "pause", v->pause);
    add_double(builder, "pause_max", v->pause_max);
    add_double(builder, "delay", v->delay);
    add_double(builder, "seconds", v->seconds);
    add_epoch(builder, last_epoch(v));
    json_builder_end_object(builder);
}

void report_moves(struct json_builder *builder, struct session *session)
{
    struct view_migration migration;
    struct view_protection protection;
    session_view_migration(session, &migration);
    session_view_protection(session, &protection);
    if (migration.phase != MIGRATION_NONE)
        add_migration(builder, &migration);
    if (protection.phase != PROTECTION_NONE || protection.searching)
        add_protection(builder, &protection);
}

void report_status(FILE *out, struct session *session)
{
    static const char *const STATES[] = {
        [SESSION_STOPPED] = "stopped", [SESSION_RUNNING] = "running", [SESSION_ENDED] = "ended"};
    struct json_builder json = {.out = out}, *builder = &json;
    struct view_status status;
    session_status(session, &status);
    json_builder_begin_object(builder);
    add_string(builder, "guest", status.guest);
    add_string(builder, "state", NAME_OF(STATES, status.state));
    add_string(builder, "stop", report_stop_name(status.stop));
    add_string(builder, "text", status.text);
    add_number(builder, "instructions", status.instructions);
    add_number(builder, "exits", status.exits);
    report_moves(builder, session);
    json_builder_end_object(builder);
}
