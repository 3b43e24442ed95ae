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
    [MIGRATION_NONE] = "none",          [MIGRATION_COPYING] = "copying",
    [MIGRATION_HANDOVER] = "handover",  [MIGRATION_MOVED] = "moved",
    [MIGRATION_STAYED] = "stayed",      [MIGRATION_DOUBT] = "doubt",
    [MIGRATION_POSTCOPY] = "post-copy", [MIGRATION_TORN] = "torn",
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

static void add_rounds(struct json_builder *builder, const struct view_migration *v)
{
    json_builder_set_member_name(builder, "log");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < v->rounds; i++) {
        const struct view_round *r = &v->log[i];
        json_builder_begin_object(builder);
        json_builder_add_int_member(builder, "round", v->round - v->rounds + 1 + i);
        json_builder_add_int_member(builder, "pages", r->pages);
        json_builder_add_int_member(builder, "dirty", r->dirty);
        json_builder_add_double_member(builder, "seconds", r->seconds);
        json_builder_add_double_member(builder, "expected", r->expected);
        json_builder_add_int_member(builder, "throttle", r->throttle);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void add_migration(struct json_builder *builder, const struct view_migration *v)
{
    json_builder_set_member_name(builder, "migration");
    json_builder_begin_object(builder);
    json_builder_add_string_member(builder, "phase", NAME_OF(MIGRATION_NAMES, v->phase));
    json_builder_add_string_member(builder, "role", v->incoming ? "destination" : "source");
    json_builder_add_string_member(builder, "to", v->to);
    json_builder_add_int_member(builder, "round", v->round);
    json_builder_add_int_member(builder, "throttle", v->throttle);
    json_builder_add_int_member(builder, "pages", v->pages);
    json_builder_add_int_member(builder, "dirty", v->dirty);
    json_builder_add_int_member(builder, "moved_pages", v->moved_pages);
    json_builder_add_int_member(builder, "zero_pages", v->zero_pages);
    json_builder_add_int_member(builder, "bytes", v->bytes);
    json_builder_add_double_member(builder, "rate", v->rate);
    json_builder_add_double_member(builder, "dirty_rate", v->dirty_rate);
    json_builder_add_double_member(builder, "expected", v->expected);
    json_builder_add_double_member(builder, "limit", v->limit);
    json_builder_add_double_member(builder, "downtime", v->downtime);
    json_builder_add_double_member(builder, "seconds", v->seconds);
    json_builder_add_int_member(builder, "missing", v->missing);
    json_builder_add_int_member(builder, "demands", v->demands);
    json_builder_add_double_member(builder, "waited", v->waited);
    json_builder_add_double_member(builder, "waited_max", v->waited_max);
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
    json_builder_add_int_member(builder, "number", e->number);
    json_builder_add_int_member(builder, "pages", e->pages);
    json_builder_add_int_member(builder, "blocks", e->blocks);
    json_builder_add_int_member(builder, "bytes", e->bytes);
    json_builder_add_int_member(builder, "output", e->output);
    json_builder_add_double_member(builder, "pause", e->copied - e->stood);
    json_builder_add_double_member(builder, "delay", e->acknowledged - e->copied);
    json_builder_end_object(builder);
}

static void add_protection(struct json_builder *builder, const struct view_protection *v)
{
    json_builder_set_member_name(builder, "protection");
    json_builder_begin_object(builder);
    json_builder_add_string_member(builder, "phase", NAME_OF(PROTECTION_NAMES, v->phase));
    json_builder_add_string_member(builder, "role", v->backup ? "backup" : "primary");
    json_builder_add_string_member(builder, "to", v->to);
    json_builder_add_string_member(builder, "why", v->why);
    json_builder_set_member_name(builder, "searching");
    json_builder_add_boolean_value(builder, v->searching);
    json_builder_add_int_member(builder, "losses", v->losses);
    json_builder_add_int_member(builder, "since", v->since > 0 ? (uint64_t)v->since : 0);
    json_builder_add_int_member(builder, "generation", v->generation);
    json_builder_add_int_member(builder, "epochs", v->epochs);
    json_builder_add_int_member(builder, "acknowledged", v->acknowledged);
    json_builder_add_int_member(builder, "instruction", v->instruction);
    json_builder_add_int_member(builder, "pages", v->pages);
    json_builder_add_int_member(builder, "blocks", v->blocks);
    json_builder_add_int_member(builder, "bytes", v->bytes);
    json_builder_add_int_member(builder, "held", v->held);
    json_builder_add_int_member(builder, "released", v->released);
    json_builder_add_int_member(builder, "shown_from", v->shown_from);
    json_builder_add_double_member(builder, "pause", v->pause);
    json_builder_add_double_member(builder, "pause_max", v->pause_max);
    json_builder_add_double_member(builder, "delay", v->delay);
    json_builder_add_double_member(builder, "seconds", v->seconds);
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
    json_builder_add_string_member(builder, "guest", status.guest);
    json_builder_add_string_member(builder, "state", NAME_OF(STATES, status.state));
    json_builder_add_string_member(builder, "stop", report_stop_name(status.stop));
    json_builder_add_string_member(builder, "text", status.text);
    json_builder_add_int_member(builder, "instructions", status.instructions);
    json_builder_add_int_member(builder, "exits", status.exits);
    report_moves(builder, session);
    json_builder_end_object(builder);
}
