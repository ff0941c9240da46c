/* Stop strings: the same answer for every way to cut the text into pieces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/sample.h"
#include "serve/stop.h"

struct out {
    char text[512];
    size_t n;
    bool hit;
};

static void take(struct out *o, struct fg_str s)
{
    assert_true(o->n + s.n < sizeof o->text);
    memcpy(o->text + o->n, s.p, s.n);
    o->n += s.n;
    o->text[o->n] = '\0';
}

/* Feeds text in pieces that end where bit i of cuts is set. */
static struct out feed(const char *text, const uint8_t *cut_after, char **stops, size_t n_stops)
{
    size_t n = strlen(text), from = 0;
    struct out o = {{0}, 0, false};
    struct fg_stop s;
    struct fg_str piece;

    fg_stop_init(&s, stops, n_stops);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && !cut_after[i])
            continue;
        assert_int_equal(fg_stop_push(&s, (struct fg_str){text + from, i + 1 - from}, &piece, NULL),
                         0);
        take(&o, piece);
        from = i + 1;
    }
    fg_stop_flush(&s, &piece);
    take(&o, piece);
    o.hit = s.hit;
    fg_stop_finish(&s);
    return o;
}

/* What must come out, found without streaming: the stop that is complete first, the longest there.
 */
static struct out expect(const char *text, char **stops, size_t n_stops)
{
    struct out o = {{0}, 0, false};
    size_t n = strlen(text);

    for (size_t end = 1; end <= n && !o.hit; end++)
        for (size_t i = 0; i < n_stops; i++) {
            size_t len = strlen(stops[i]);

            if (len == 0 || len > end || memcmp(text + end - len, stops[i], len) != 0)
                continue;
            if (!o.hit || end - len < o.n)
                o.n = end - len;
            o.hit = true;
        }
    if (!o.hit)
        o.n = n;
    memcpy(o.text, text, o.n);
    return o;
}

static void check(const char *text, const uint8_t *cuts, char **stops, size_t n_stops)
{
    struct out want = expect(text, stops, n_stops), got = feed(text, cuts, stops, n_stops);

    assert_string_equal(got.text, want.text);
    assert_int_equal(got.hit, want.hit);
}

/* All 2^(n-1) ways to cut. */
static void check_all_cuts(const char *text, char **stops, size_t n_stops)
{
    size_t n = strlen(text);

    assert_true(n <= 14);
    for (uint32_t bits = 0; bits < 1u << (n - 1); bits++) {
        uint8_t cuts[16] = {0};

        for (size_t i = 0; i + 1 < n; i++)
            cuts[i] = bits >> i & 1;
        check(text, cuts, stops, n_stops);
    }
}

static void test_all_cuts(void **state)
{
    (void)state;
    check_all_cuts("hello END x", (char *[]){"END"}, 1);
    check_all_cuts("ENEND", (char *[]){"END"}, 1);
    check_all_cuts("EENENDEND", (char *[]){"END", "ENEN"}, 2);
    check_all_cuts("abcabcabd", (char *[]){"abcabd"}, 1);
    check_all_cuts("aaaaab", (char *[]){"aaab", "aaaaaa"}, 2);
    check_all_cuts("a\n\nUser:", (char *[]){"\nUser", "\n\n"}, 2);
    check_all_cuts("x abcd", (char *[]){"abcd", "bc"}, 2);
    check_all_cuts("x abc", (char *[]){"bc", "abc", "c"}, 3);
    check_all_cuts("unfinished EN", (char *[]){"END"}, 1);
    check_all_cuts("gr\xc3\xbc\xc3\x9f"
                   "e",
                   (char *[]){"\xc3\xbc\xc3\x9f"}, 1);
    check_all_cuts("nothing", NULL, 0);
    check_all_cuts("empty stop", (char *[]){""}, 1);
}

static void test_random_cuts(void **state)
{
    uint64_t at = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[64], stop_text[4][8], *stops[4];
        uint8_t cuts[64];
        size_t n = 1 + fg_sample_random(5, at++) % 60, n_stops = fg_sample_random(5, at++) % 5;

        for (size_t i = 0; i < n; i++) {
            text[i] = (char)('a' + fg_sample_random(5, at++) % 2);
            cuts[i] = fg_sample_random(5, at++) % 3 == 0;
        }
        text[n] = '\0';
        for (size_t k = 0; k < n_stops; k++) {
            size_t len = 1 + fg_sample_random(5, at++) % 7;

            for (size_t i = 0; i < len; i++)
                stop_text[k][i] = (char)('a' + fg_sample_random(5, at++) % 2);
            stop_text[k][len] = '\0';
            stops[k] = stop_text[k];
        }
        check(text, cuts, stops, n_stops);
    }
}

/* Nothing is held back longer than it has to be. */
static void test_holds_back_little(void **state)
{
    char *stops[] = {"<end>"};
    struct fg_stop s;
    struct fg_str out;

    (void)state;
    fg_stop_init(&s, stops, 1);
    fg_stop_push(&s, (struct fg_str){"text <e", 7}, &out, NULL);
    assert_int_equal(out.n, 5);
    fg_stop_push(&s, (struct fg_str){"m>", 2}, &out, NULL);
    assert_int_equal(out.n, 4);
    assert_memory_equal(out.p, "<em>", 4);
    fg_stop_push(&s, (struct fg_str){"<end", 4}, &out, NULL);
    assert_int_equal(out.n, 0);
    fg_stop_push(&s, (struct fg_str){"> and more", 10}, &out, NULL);
    assert_int_equal(out.n, 0);
    assert_true(s.hit);
    fg_stop_push(&s, (struct fg_str){"more", 4}, &out, NULL);
    assert_int_equal(out.n, 0);
    fg_stop_finish(&s);
}

/* Of several that end together the longest is the one that was found. */
static void test_says_which(void **state)
{
    char *stops[] = {"x", "end", "the end", "d"};
    static const struct {
        const char *text;
        size_t which;
    } rows[] = {{"at the end", 2}, {"an end", 1}, {"axd", 0}, {"ad", 3}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_stop s;
        struct fg_str out;

        fg_stop_init(&s, stops, 4);
        fg_stop_push(&s, (struct fg_str){rows[i].text, strlen(rows[i].text)}, &out, NULL);
        assert_true(s.hit);
        assert_int_equal(s.which, rows[i].which);
        fg_stop_finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_cuts),
        cmocka_unit_test(test_random_cuts),
        cmocka_unit_test(test_holds_back_little),
        cmocka_unit_test(test_says_which),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
