/* Bytes to JSON and back: lossy UTF-8, typed fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http/json_in.h"
#include "http/lossy.h"
#include "http/json_out.h"

#define BAD "\xEF\xBF\xBD"

static void bytes_become_utf8(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\x80", BAD},
        {"a\xFF"
         "b",
         "a" BAD "b"},
        {"\xC3", BAD},
        {"\xC0\xAF", BAD BAD},                 /* overlong */
        {"\xE0\x80\xAF", BAD BAD BAD},         /* overlong */
        {"\xED\xA0\x80", BAD BAD BAD},         /* a surrogate */
        {"\xED\x9F\xBF", "\xED\x9F\xBF"},      /* the last before them */
        {"\xF4\x90\x80\x80", BAD BAD BAD BAD}, /* past U+10FFFF */
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        {"\xF0\x8F\xBF\xBF", BAD BAD BAD BAD},
        {"\xE2\x82", BAD BAD},
        {"\xE2\x82x", BAD BAD "x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *s = fg_json_stringn(rows[i].in, strlen(rows[i].in)), *checked;

        assert_string_equal(json_string_value(s), rows[i].out);
        /* jansson's own check agrees that it is UTF-8. */
        checked = json_stringn(json_string_value(s), json_string_length(s));
        assert_non_null(checked);
        json_decref(checked);
        json_decref(s);
    }
    assert_int_equal(fg_api_code_points("a\xC3\xA9\xE2\x82\xAC", 6), 3);
}

static void numbers_keep_their_bits(void **state)
{
    uint32_t bits = 0x80000000u;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        float in, out;
        json_t *v, *back;
        char *text;

        bits = bits * 1664525u + 1013904223u;
        memcpy(&in, &(uint32_t){bits | 0x80000000u}, sizeof in);
        if (!(in >= -3e38f))
            continue; /* not a number, or no finite one */
        v = json_pack("[f]", (double)in);
        text = fg_json_dump(v);
        back = json_loads(text, 0, NULL);
        out = (float)json_number_value(json_array_get(back, 0));
        assert_memory_equal(&in, &out, sizeof in);
        free(text);
        json_decref(back);
        json_decref(v);
    }
}

static void found_values_are_named(void **state)
{
    static const char *const rows[][2] = {
        {"{}", "an object"},
        {"[]", "an array"},
        {"-5", "-5"},
        {"0.5", "0.5"},
        {"true", "true"},
        {"false", "false"},
        {"null", "null"},
        {"\"x\"", "the string \"x\""},
        {"\"aaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9z\"",
         "the string \"aaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9...\""},
    };
    char buf[64];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *v = json_loads(rows[i][0], JSON_DECODE_ANY, NULL);

        assert_string_equal(fg_json_found(v, buf), rows[i][1]);
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_utf8),
        cmocka_unit_test(numbers_keep_their_bits),
        cmocka_unit_test(found_values_are_named),
    };

    return cmocka_run_group_tests_name("api json", tests, NULL, NULL);
}
