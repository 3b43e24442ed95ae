/*
 * `vitrine compare` as one JSON object. The members are listed in vitrine(1); what is not known, or
 * makes no sense for a row, is null.
 */
#include "config.h"

#include "hv/cmd/compare.h"
#include "hv/cmd/json.h"

static void add_string(struct json_builder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void add_number(struct json_builder *builder, const char *name, uint64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

/* 0 is "not known". */
static void add_figure(struct json_builder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    if (value > 0)
        json_builder_add_double_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void add_row(struct json_builder *builder, const struct row *row)
{
    const struct outcome *o = &row->median;
    bool guest = row->mode != MODE_NATIVE;
    json_builder_begin_object(builder);
    add_string(builder, "engine", row->engine);
    add_string(builder, "mode", compare_mode_name(row->mode));
    add_string(builder, "file", row->path);
    add_string(builder, "error", *row->why ? row->why : NULL);
    if (!*row->why) {
        add_figure(builder, "seconds", o->seconds);
        if (guest && row->mode != MODE_KVM) {
            add_number(builder, "instructions", o->instructions);
            add_figure(builder, "mips",
                       o->seconds > 0 ? (double)o->instructions / o->seconds / 1e6 : 0);
        }
        if (guest)
            add_number(builder, row->mode == MODE_HV || row->mode == MODE_KVM ? "exits" : "traps",
                       o->exits);
        add_figure(builder, "of_native", row->of_native);
        add_figure(builder, "ns_per_exit", row->ns_per_exit);
        add_figure(builder, "operations_per_second", row->per_second);
    }
    json_builder_end_object(builder);
}

static void add_subject(struct json_builder *builder, const struct subject *s)
{
    const struct outcome *result = compare_result(s);
    char checksum[12];
    snprintf(checksum, sizeof checksum, "%08x", result ? (unsigned)result->checksum : 0);
    json_builder_begin_object(builder);
    add_string(builder, "name", s->name);
    add_string(builder, "kind", compare_kind_name(s->kind));
    add_string(builder, "meaning", s->meaning);
    if (result)
        add_number(builder, "rounds", result->rounds);
    else
        add_figure(builder, "rounds", 0);
    add_string(builder, "checksum", result ? checksum : NULL);
    add_string(builder, "native_missing", s->no_native);
    add_string(builder, "kvm_missing", s->no_kvm);
    json_builder_set_member_name(builder, "rows");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < s->count; i++)
        add_row(builder, &s->rows[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void add_mean(struct json_builder *builder, const struct mean *mean)
{
    json_builder_begin_object(builder);
    add_string(builder, "engine", mean->engine);
    add_string(builder, "mode", compare_mode_name(mean->mode));
    for (int kind = 0; kind < KIND_TRAP; kind++)
        add_figure(builder, compare_kind_name((enum compare_kind)kind), mean->of_native[kind]);
    add_figure(builder, "all", mean->of_native[KIND_OTHER]);
    add_figure(builder, "operations_per_second", mean->per_second);
    json_builder_end_object(builder);
}

void compare_write_json(FILE *out, const struct comparison *c)
{
    struct json_builder json = {.out = out}, *builder = &json;
    json_builder_begin_object(builder);
    add_number(builder, "runs", c->runs);
    json_builder_set_member_name(builder, "engines");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < c->engine_count; i++)
        json_builder_add_string_value(builder, c->engines[i]);
    if (c->kvm)
        json_builder_add_string_value(builder, compare_kvm);
    json_builder_end_array(builder);
    add_string(builder, "no_kvm", c->no_kvm);
    json_builder_set_member_name(builder, "kernels");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < c->count; i++)
        add_subject(builder, &c->subjects[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "means");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < c->mean_count; i++)
        add_mean(builder, &c->means[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}
