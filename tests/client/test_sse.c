/* The parser of event streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/sse.h"

/* All events, each in brackets. */
struct log {
    char text[512];
    size_t n;
    int stop_at; /* the event that ends the feed with 7; 0: none */
    int events;
};

static int record(void *ctx, const char *data, size_t bytes)
{
    struct log *l = ctx;
    assert_true(l->n + bytes + 3 < sizeof l->text);
    assert_int_equal(data[bytes], '\0');
    l->text[l->n++] = '[';
    memcpy(l->text + l->n, data, bytes);
    l->n += bytes;
    l->text[l->n++] = ']';
    l->text[l->n] = '\0';
    return ++l->events == l->stop_at ? 7 : 0;
}

/* Feeds the stream in two pieces cut at `cut`, or byte by byte (cut == SIZE_MAX). */
static void check(const char *stream, size_t n, size_t cut, const char *wanted)
{
    struct log log = {0};
    struct fg_client_sse s;
    struct fg_err err;

    fg_client_sse_init(&s, record, &log);
    if (cut == SIZE_MAX) {
        for (size_t i = 0; i < n; i++) {
            /* From a heap copy, so that a read past the piece is seen. */
            char *byte = malloc(1);
            assert_non_null(byte);
            *byte = stream[i];
            assert_int_equal(fg_client_sse_feed(&s, byte, 1, &err), 0);
            free(byte);
        }
    } else {
        assert_int_equal(fg_client_sse_feed(&s, stream, cut, &err), 0);
        assert_int_equal(fg_client_sse_feed(&s, stream + cut, n - cut, &err), 0);
    }
    assert_string_equal(log.text, wanted);
    fg_client_sse_finish(&s);
}

static void check_all_cuts(const char *stream, const char *wanted)
{
    size_t n = strlen(stream);
    for (size_t cut = 0; cut <= n; cut++) {
        check(stream, n, cut, wanted);
    }
    check(stream, n, SIZE_MAX, wanted);
}

static void test_line_ends(void **state)
{
    (void)state;
    check_all_cuts("data: a\n\ndata: b\n\n", "[a][b]");
    check_all_cuts("data: a\r\n\r\ndata: b\r\n\r\n", "[a][b]");
    check_all_cuts("data: a\r\rdata: b\r\r", "[a][b]");
    check_all_cuts("data: a\r\n\ndata: b\n\r\n\n\n\r\r", "[a][b]");
}

static void test_fields(void **state)
{
    (void)state;
    check_all_cuts("\xEF\xBB\xBF"
                   "data: bom\n\n",
                   "[bom]");
    check_all_cuts(": comment\nevent: x\nid: 1\nretry: 5\ndata: a\n: more\n\n", "[a]");
    check_all_cuts("data:a\n\ndata:  two spaces\n\n", "[a][ two spaces]");
    check_all_cuts("data: a\ndata: b\ndata\ndata:\n\n", "[a\nb\n\n]");
    check_all_cuts("data\n\n", "[]");
    check_all_cuts("dat: a\ndatax: b\n data: c\n\nevent: x\n\n", "");
    check_all_cuts("data: {\"a\":\"\xC3\xA9\xF0\x9F\x98\x80\"}\n\n",
                   "[{\"a\":\"\xC3\xA9\xF0\x9F\x98\x80\"}]");
}

static void test_unended_event_is_dropped(void **state)
{
    (void)state;
    check_all_cuts("data: a\n\ndata: b\n", "[a]");
    check_all_cuts("data: a\n\ndata: b", "[a]");
}

static void test_callback_ends_the_feed(void **state)
{
    static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    struct log log = {.stop_at = 2};
    struct fg_client_sse s;

    (void)state;
    fg_client_sse_init(&s, record, &log);
    assert_int_equal(fg_client_sse_feed(&s, stream, sizeof stream - 1, NULL), 7);
    assert_string_equal(log.text, "[a][b]");
    fg_client_sse_finish(&s);
}

static int count_bytes(void *ctx, const char *data, size_t bytes)
{
    (void)data;
    *(size_t *)ctx += bytes;
    return 0;
}

static void test_limits(void **state)
{
    size_t total = 0, block = 4096, fed = 0;
    struct fg_client_sse s;
    struct fg_err err;
    char *a = malloc(block);
    int rc = 0;

    (void)state;
    assert_non_null(a);
    memset(a, 'a', block);

    /* A line of exactly the limit passes; one byte more does not. */
    fg_client_sse_init(&s, count_bytes, &total);
    assert_int_equal(fg_client_sse_feed(&s, "data: ", 6, &err), 0);
    for (fed = 6; fed + block <= FG_CLIENT_SSE_MAX; fed += block) {
        assert_int_equal(fg_client_sse_feed(&s, a, block, &err), 0);
    }
    assert_int_equal(fg_client_sse_feed(&s, a, FG_CLIENT_SSE_MAX - fed, &err), 0);
    assert_int_equal(fg_client_sse_feed(&s, "\n\n", 2, &err), 0);
    assert_int_equal(total, FG_CLIENT_SSE_MAX - 6);
    for (fed = 0; fed < FG_CLIENT_SSE_MAX; fed += block) {
        assert_int_equal(fg_client_sse_feed(&s, a, block, &err), 0);
    }
    assert_int_equal(fg_client_sse_feed(&s, "a", 1, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "a line of more than 1048576 bytes"));
    fg_client_sse_finish(&s);

    /* So is an event of many short lines. */
    fg_client_sse_init(&s, count_bytes, &total);
    for (fed = 0; rc == 0 && fed <= FG_CLIENT_SSE_MAX; fed += block) {
        rc = fg_client_sse_feed(&s, "data: ", 6, &err);
        rc = rc ? rc : fg_client_sse_feed(&s, a, block, &err);
        rc = rc ? rc : fg_client_sse_feed(&s, "\n", 1, &err);
    }
    assert_int_equal(rc, FG_EFORMAT);
    assert_non_null(strstr(err.text, "an event of more than"));
    fg_client_sse_finish(&s);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_unended_event_is_dropped),
        cmocka_unit_test(test_callback_ends_the_feed),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
