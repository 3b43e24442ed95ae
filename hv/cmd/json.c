/* Writing JSON. See json.h. */
#include "hv/cmd/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { INDENT = 2 };

/* ---- between values ------------------------------------------------------------------------- */

static void new_line(struct json_builder *b)
{
    fprintf(b->out, "\n%*s", b->depth * INDENT, "");
}

/* What stands before a member's name, or before a value that has none. */
static void separate(struct json_builder *b)
{
    if (b->depth) {
        if (b->filled[b->depth - 1])
            putc(',', b->out);
        b->filled[b->depth - 1] = true;
        new_line(b);
    }
}

static void begin_value(struct json_builder *b)
{
    if (!b->named)
        separate(b);
    b->named = false;
}

static void begin(struct json_builder *b, char bracket)
{
    begin_value(b);
    putc(bracket, b->out);
    assert(b->depth < JSON_DEPTH);
    b->filled[b->depth++] = false;
}

static void end(struct json_builder *b, char bracket)
{
    assert(b->depth > 0 && !b->named);
    bool filled = b->filled[--b->depth];
    if (filled)
        new_line(b);
    putc(bracket, b->out);
    if (!b->depth)
        putc('\n', b->out);
}

void json_builder_begin_object(struct json_builder *b)
{
    begin(b, '{');
}

void json_builder_end_object(struct json_builder *b)
{
    end(b, '}');
}

void json_builder_begin_array(struct json_builder *b)
{
    begin(b, '[');
}

void json_builder_end_array(struct json_builder *b)
{
    end(b, ']');
}

/* ---- strings -------------------------------------------------------------------------------- */

/* The length of the UTF-8 sequence at `s` (RFC 3629: no longer ones than needed, no surrogates,
 * nothing above U+10FFFF), or 0. */
static size_t utf8_length(const uint8_t *s, size_t count)
{
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80         ? 1
                    : s[0] >> 5 == 0x06 ? 2
                    : s[0] >> 4 == 0x0e ? 3
                    : s[0] >> 3 == 0x1e ? 4
                                        : 0;
    if (length <= 1 || length > count)
        return length > count ? 0 : length;
    uint32_t code = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < LEAST[length] || surrogate || code > 0x10ffff ? 0 : length;
}

static void put_character(FILE *out, const uint8_t *s, size_t length)
{
    static const char ESCAPED[] = "\"\\\b\f\n\r\t", LETTER[] = "\"\\bfnrt";
    const char *found = length == 1 ? memchr(ESCAPED, s[0], sizeof ESCAPED - 1) : NULL;
    if (!length || !s[0])
        fputs("\357\277\275", out); /* U+FFFD */
    else if (found)
        fprintf(out, "\\%c", LETTER[found - ESCAPED]);
    else if (length == 1 && (s[0] < 0x20 || s[0] == 0x7f))
        fprintf(out, "\\u%04x", s[0]);
    else
        fwrite(s, 1, length, out);
}

static void put_string(struct json_builder *b, const uint8_t *s, size_t count)
{
    putc('"', b->out);
    for (size_t at = 0, length; at < count; at += length ? length : 1) {
        length = utf8_length(s + at, count - at);
        put_character(b->out, s + at, length);
    }
    putc('"', b->out);
}

void json_builder_set_member_name(struct json_builder *b, const char *name)
{
    assert(!b->named);
    separate(b);
    put_string(b, (const uint8_t *)name, strlen(name));
    fputs(" : ", b->out);
    b->named = true;
}

/* ---- values --------------------------------------------------------------------------------- */

void json_builder_add_bytes_value(struct json_builder *b, const void *bytes, size_t count)
{
    begin_value(b);
    put_string(b, bytes, count);
}

void json_builder_add_string_value(struct json_builder *b, const char *value)
{
    json_builder_add_bytes_value(b, value, strlen(value));
}

void json_builder_add_int_value(struct json_builder *b, uint64_t value)
{
    begin_value(b);
    fprintf(b->out, "%llu", (unsigned long long)value);
}

void json_builder_add_double_value(struct json_builder *b, double value)
{
    char text[40];
    if (!isfinite(value)) {
        json_builder_add_null_value(b);
        return;
    }
    begin_value(b);
    snprintf(text, sizeof text, "%.17g", value);
    fprintf(b->out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0"); /* to be read as such again */
}

void json_builder_add_boolean_value(struct json_builder *b, bool value)
{
    begin_value(b);
    fputs(value ? "true" : "false", b->out);
}

void json_builder_add_null_value(struct json_builder *b)
{
    begin_value(b);
    fputs("null", b->out);
}

/* ---- members -------------------------------------------------------------------------------- */

void json_builder_add_string_member(struct json_builder *b, const char *name, const char *value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, value);
}

void json_builder_add_int_member(struct json_builder *b, const char *name, uint64_t value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_int_value(b, value);
}

void json_builder_add_double_member(struct json_builder *b, const char *name, double value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_double_value(b, value);
}
