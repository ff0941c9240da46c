/* JSON as text: what is found in it, and when two texts are the same value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json_scan.h"

static struct fg_str view(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

static void values_are_taken_strictly(void **state)
{
    static const char *const good[] = {
        "null", " [1, -0.5e+10,\t\"\\u00e9\\\"\"]\n", "{}", "[]", "{\"a\":{\"b\":[{}]}}", "0", "-0",
        "\"\""};
    static const char *const bad[] = {
        "",      "nul", "01", "1.",      "[1,]", "{\"a\":}", "{a:1}", "\"\\x\"",   "\"\\u12g4\"",
        "[1 2]", "1 2", "\"", "{\"a\"}", "-",    "1e",       "[",     "{\"a\":1,}"};
    struct fg_str value;
    char *deep = malloc(2 * FG_SCAN_MAX_DEPTH + 8);

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(fg_scan_whole(view(good[i]), &value));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fg_scan_whole(view(bad[i]), &value))
            fail_msg("%s is taken", bad[i]);
    for (size_t n = FG_SCAN_MAX_DEPTH; n <= FG_SCAN_MAX_DEPTH + 2; n++) {
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        assert_int_equal(fg_scan_whole((struct fg_str){deep, 2 * n}, &value),
                         n <= FG_SCAN_MAX_DEPTH + 1);
    }
    free(deep);
}

/* A string is read in words of eight bytes: what ends it is found at every place of one, and in
 * memory that ends with it. */
static void a_string_ends_where_it_ends(void **state)
{
    (void)state;
    for (size_t n = 2; n < 40; n++) {
        char *text = malloc(n);

        for (size_t at = 1; at < n; at++) {
            struct fg_str value;

            for (unsigned c = 0; c < 256; c++) {
                bool ends = at == n - 1 && c == '"';
                bool plain = c >= 0x20 && c != '"' && c != '\\';

                memset(text, 0xe9, n);
                text[0] = text[n - 1] = '"';
                text[at] = (char)c;
                assert_int_equal(fg_scan_whole((struct fg_str){text, n}, &value),
                                 ends || (plain && at < n - 1));
            }
            if (at + 2 < n) { /* an escape stands for itself */
                memset(text, 0x20, n);
                text[0] = text[n - 1] = '"';
                memcpy(text + at, "\\\"", 2);
                assert_true(fg_scan_whole((struct fg_str){text, n}, &value));
            }
        }
        free(text);
    }
}

static void members_are_found_as_they_were_written(void **state)
{
    static const char text[] =
        "{\"a\" : 1.50 , \"\\u0062\":[1, {\"c\":2}],\"a\": \"\\ud83d\\ude00\"}";
    struct fg_scan s = {.text = view("[ 1 ,{\"x\\\"\":2} ]")};
    struct fg_buffer b = {0};
    struct fg_str v;

    (void)state;
    assert_true(fg_scan_find(view(text), "b", &v));
    assert_int_equal(v.n, 12);
    assert_memory_equal(v.p, "[1, {\"c\":2}]", 12);
    assert_true(fg_scan_find(view(text), "a", &v)); /* the last one */
    fg_scan_string(v, &b);
    assert_string_equal(b.p, "\xF0\x9F\x98\x80");
    assert_false(fg_scan_find(view(text), "c", &v));
    assert_false(fg_scan_find(view("[1]"), "c", &v));
    assert_true(fg_scan_next(&s) && s.value.n == 1 && s.name.n == 0);
    assert_true(fg_scan_next(&s) && s.value.n == 9);
    assert_false(fg_scan_next(&s));
    s = (struct fg_scan){.text = s.value};
    assert_true(fg_scan_next(&s) && fg_scan_is(s.name, "x\""));
    fg_buffer_clear(&b);
    fg_scan_string(view("\"\\ud800x\\n\\/\""), &b);
    assert_string_equal(b.p, "\xEF\xBF\xBDx\n/");
    fg_buffer_clear(&b);
    fg_scan_quote(view("a\"\\\n\xC3\xA9"), &b);
    assert_string_equal(b.p, "\"a\\\"\\\\\\u000a\xC3\xA9\"");
    fg_buffer_finish(&b);
}

static void the_same_value_has_many_texts(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"1e3", "1000", true},
        {"1e3", "1000.0", true},
        {"1e400", "1e500", false},
        {"1e400", "10e399", true},
        {"0.1", "0.10000000000000001", true},
        {"0.1", "0.11", false},
        {"-0", "0", true},
        {"-1", "1", false},
        {"12345678901234567890", "12345678901234567891", false},
        {"1", "\"1\"", false},
        {"\"\\u00e9\\/\"", "\"\xC3\xA9/\"", true},
        {"{\"a\":1,\"b\":[true,null]}", " {\"b\" : [true , null], \"a\": 1.0}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"a\":1}", false},
        {"{\"a\":{}}", "{\"a\":[]}", false},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1]", false},
        {"true", "false", false},
        {"[1", "[1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fg_scan_equal(view(rows[i].a), view(rows[i].b)) != rows[i].same)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_strictly),
        cmocka_unit_test(a_string_ends_where_it_ends),
        cmocka_unit_test(members_are_found_as_they_were_written),
        cmocka_unit_test(the_same_value_has_many_texts),
    };

    return cmocka_run_group_tests_name("json scan", tests, NULL, NULL);
}
