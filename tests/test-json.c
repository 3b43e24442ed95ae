/* Writing JSON: layout, numbers, and strings of any bytes. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cmd/json.h"
#include "tests/tap.h"

static char *text;
static size_t length;
static struct json_builder builder;

static void setup(void)
{
    builder = (struct json_builder){.out = open_memstream(&text, &length)};
    ck_assert_ptr_nonnull(builder.out);
}

static void teardown(void)
{
    free(text);
}

static void expect(const char *wanted)
{
    ck_assert_int_eq(fclose(builder.out), 0);
    ck_assert_str_eq(text, wanted);
}

START_TEST(layout)
{
    struct json_builder *b = &builder;
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "none");
    json_builder_begin_object(b);
    json_builder_end_object(b);
    json_builder_set_member_name(b, "list");
    json_builder_begin_array(b);
    json_builder_add_int_value(b, 1);
    json_builder_add_null_value(b);
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "a\"b");
    json_builder_add_string_value(b, "");
    json_builder_end_object(b);
    json_builder_end_array(b);
    json_builder_end_object(b);
    expect(
        "{\n  \"none\" : {},\n  \"list\" : [\n    1,\n    null,\n    {\n      \"a\\\"b\" : \"\"\n"
        "    }\n  ]\n}\n");
}
END_TEST

START_TEST(numbers)
{
    json_builder_begin_array(&builder);
    json_builder_add_int_value(&builder, UINT64_MAX);
    json_builder_add_double_value(&builder, 0.1);
    json_builder_add_double_value(&builder, 3);
    json_builder_add_double_value(&builder, 1e300);
    json_builder_add_double_value(&builder, INFINITY);
    json_builder_add_double_value(&builder, NAN);
    json_builder_end_array(&builder);
    expect("[\n  18446744073709551615,\n  0.10000000000000001,\n  3.0,\n  "
           "1.0000000000000001e+300,\n  null,\n  null\n]\n");
}
END_TEST

#define BAD "\357\277\275"

static const struct {
    const char *bytes;
    size_t count;
    const char *wanted;
} STRINGS[] = {
    {"plain", 5, "plain"},
    {"\b\f\n\r\t\"\\/", 8, "\\b\\f\\n\\r\\t\\\"\\\\/"},
    {"\1\37\177", 3, "\\u0001\\u001f\\u007f"},
    {"a\0b", 3, "a" BAD "b"},
    {"\303\244\342\202\254\360\237\220\247", 9, "\303\244\342\202\254\360\237\220\247"},
    {"\200\377", 2, BAD BAD},                         /* no beginnings */
    {"\303", 1, BAD},                                 /* torn */
    {"\342\202x", 3, BAD BAD "x"},                    /* broken off */
    {"\300\200\340\200\200", 5, BAD BAD BAD BAD BAD}, /* longer than needed */
    {"\355\240\200", 3, BAD BAD BAD},                 /* half of a surrogate pair */
    {"\364\220\200\200\370\210\200\200\200", 9, BAD BAD BAD BAD BAD BAD BAD BAD BAD}, /* too high */
};

START_TEST(strings)
{
    char wanted[256];
    json_builder_begin_array(&builder);
    json_builder_add_bytes_value(&builder, STRINGS[_i].bytes, STRINGS[_i].count);
    json_builder_end_array(&builder);
    snprintf(wanted, sizeof wanted, "[\n  \"%s\"\n]\n", STRINGS[_i].wanted);
    expect(wanted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, layout);
    tcase_add_test(tests, numbers);
    tcase_add_loop_test(tests, strings, 0, ROWS(STRINGS));
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
