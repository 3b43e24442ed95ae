/*
 * Writing JSON: one value, piece by piece, indented for people.
 *
 *     struct json_builder builder = {.out = stdout};
 *     json_builder_begin_object(&builder);
 *     json_builder_set_member_name(&builder, "exits");
 *     json_builder_add_int_value(&builder, 5);
 *     json_builder_end_object(&builder);
 *
 * Each piece is written at once; errors of the stream are the caller's to look at (ferror). Calls
 * in an order that makes no JSON are our bugs. By hand, because a library would be loaded and kept
 * in memory by every run of a guest, for a report that few ask for.
 *
 * Source: RFC 8259.
 */
#ifndef VITRINE_CMD_JSON_H
#define VITRINE_CMD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 16 };

struct json_builder {
    FILE *out;               /* all else begins as 0 */
    int depth;               /* objects and arrays that are open */
    bool filled[JSON_DEPTH]; /* it has a value already */
    bool named;              /* a member's name stands, its value comes next */
};

/* The end of the outermost ends the line, too. */
void json_builder_begin_object(struct json_builder *builder);
void json_builder_end_object(struct json_builder *builder);
void json_builder_begin_array(struct json_builder *builder);
void json_builder_end_array(struct json_builder *builder);
/* Before each value in an object. */
void json_builder_set_member_name(struct json_builder *builder, const char *name);

void json_builder_add_int_value(struct json_builder *builder, uint64_t value);
/* What is no number in JSON (infinity) becomes null. */
void json_builder_add_double_value(struct json_builder *builder, double value);
void json_builder_add_boolean_value(struct json_builder *builder, bool value);
void json_builder_add_null_value(struct json_builder *builder);
/* Any bytes: what is not UTF-8 becomes U+FFFD, and so does a NUL. */
void json_builder_add_bytes_value(struct json_builder *builder, const void *bytes, size_t count);
void json_builder_add_string_value(struct json_builder *builder, const char *value);

/* A member's name and value at once. */
void json_builder_add_string_member(struct json_builder *builder, const char *name,
                                    const char *value);
void json_builder_add_int_member(struct json_builder *builder, const char *name, uint64_t value);
void json_builder_add_double_member(struct json_builder *builder, const char *name, double value);

#endif
