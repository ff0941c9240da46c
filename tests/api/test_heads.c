/* Heads that two parsers could read differently are refused, before and behind a proxy. */
#include "fixture.h"

#include <string.h>

#include "http/head.h"

#define POST "POST / HTTP/1.1\r\n"

static const struct {
    const char *head;
    size_t n; /* 0: to the NUL */
    int rc;
    const char *says;
} heads[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 0, NULL},
    {"GET / HTTP/1.1\nHost: a\n\n", 0, 0, NULL},
    {POST "Content-Length: 10\r\n\r\n", 0, 0, NULL},
    {POST "content-length:10 \r\n\r\n", 0, 0, NULL},
    {POST "Transfer-Encoding: Chunked\r\n\r\n", 0, 0, NULL},
    {POST "X-A: b\r\nX-A: c\r\nX-Utf8: \xc3\xa9\r\n\r\n", 0, 0, NULL},
    {"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n", 0, 0, NULL},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, FG_EINVAL, "HTTP/1.0"},
    {POST "X: a\nContent-Length: 10\r\n\r\n", 0, FG_EINVAL, "LF alone"},
    {POST "X: a\r\nContent-Length: 10\n\r\n", 0, FG_EINVAL, "LF alone"},
    {POST "Content-Length: 10\r\n\n", 0, FG_EINVAL, "LF alone"},
    {"GET / HTTP/1.1\nX: a\r\n\n", 0, FG_EINVAL, "LF alone"},
    {"POST / HTTP/1.1\nContent-Length: 10\n\n", 0, FG_EINVAL, "CR and LF"},
    {"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n", 0, FG_EINVAL, "CR and LF"},
    {POST "Content-Length: 10\r\n", 0, FG_EBUSY, NULL},
    {POST "Content-Length: 10\r\n\r", 0, FG_EBUSY, NULL},
    {"", 0, FG_EBUSY, NULL},
    {POST "Content-Length: 10\r\nContent-Length: 10\r\n\r\n", 0, FG_EINVAL, "more than once"},
    {POST "Content-Length: 10\r\ncontent-length: 11\r\n\r\n", 0, FG_EINVAL, "more than once"},
    {POST "Content-Length: 10, 10\r\n\r\n", 0, FG_EINVAL, "number"},
    {POST "Content-Length: +16\r\n\r\n", 0, FG_EINVAL, "number"},
    {POST "Content-Length: 0x10\r\n\r\n", 0, FG_EINVAL, "number"},
    {POST "Content-Length: 1 0\r\n\r\n", 0, FG_EINVAL, "number"},
    {POST "Content-Length:\t10\r\n\r\n", 0, FG_EINVAL, "number"},
    {POST "Content-Length: \r\n\r\n", 0, FG_EINVAL, "empty"},
    {POST "Content-Length: 9999999999999999999\r\n\r\n", 0, FG_EINVAL, "18 digits"},
    {POST "Content-Length : 10\r\n\r\n", 0, FG_EINVAL, "name"},
    {POST ": 10\r\n\r\n", 0, FG_EINVAL, "name"},
    {POST "no colon\r\n\r\n", 0, FG_EINVAL, "name"},
    {POST "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n", 0, FG_EINVAL, "one of"},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, FG_EINVAL,
     "more than once"},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, FG_EINVAL, "must be chunked"},
    {POST "Transfer-Encoding:\tchunked\r\n\r\n", 0, FG_EINVAL, "must be chunked"},
    {POST "Host: a\r\nHost: b\r\n\r\n", 0, FG_EINVAL, "more than once"},
    {POST "Authorization: a\r\nAuthorization: b\r\n\r\n", 0, FG_EINVAL, "more than once"},
    {POST "X: a\r\n b\r\n\r\n", 0, FG_EINVAL, "second line"},
    {POST "X: a\r\n\tb\r\n\r\n", 0, FG_EINVAL, "second line"},
    {POST "X: a\rb\r\n\r\n", 0, FG_EINVAL, "control character"},
    {POST "X: a\0b\r\n\r\n", 27, FG_EINVAL, "control character"},
    {"GET /\0 HTTP/1.1\r\n\r\n", 19, FG_EINVAL, "control character"},
    {"GET / HTTP/0.9\r\n\r\n", 0, FG_EINVAL, "HTTP/1.1 or HTTP/1.0"},
    {"GET / HTTP/2.0\r\n\r\n", 0, FG_EINVAL, "HTTP/1.1 or HTTP/1.0"},
    {"GET / HTTP/1.12\r\n\r\n", 0, FG_EINVAL, "HTTP/1.1 or HTTP/1.0"},
    {"GET /\r\n\r\n", 0, FG_EINVAL, "HTTP/1.1 or HTTP/1.0"},
    {"HEAD / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 0, FG_EINVAL, "no body"},
    {"TRACE / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 0, FG_EINVAL, "no body"},
};

static void heads_are_strict(void **state)
{
    struct fg_http_error e;
    struct fg_head h;

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = heads[i].n ? heads[i].n : strlen(heads[i].head);
        int rc = FG_EBUSY;

        memset(&e, 0, sizeof e);
        /* As it comes, a byte at a time. */
        for (size_t at = n ? 1 : 0; at <= n && rc == FG_EBUSY; at++) {
            rc = fg_head_read(heads[i].head, at, at ? at - 1 : 0, &h, &e);
            if (rc != FG_EBUSY)
                assert_int_equal(at, n);
            if (!n)
                break;
        }
        if (rc != heads[i].rc || (heads[i].says && !strstr(e.message, heads[i].says)))
            fail_msg("%s: %d %s", heads[i].head, rc, e.message);
    }
}

static void heads_are_read(void **state)
{
    static const char bytes[] = POST "Origin: http://a\r\nAuthorization:  Bearer x \r\n"
                                     "Content-Length: 12\r\n\r\n{";
    struct fg_http_error e;
    struct fg_head h;

    (void)state;
    assert_int_equal(fg_head_read(bytes, sizeof bytes - 1, 0, &h, &e), 0);
    assert_int_equal(h.bytes, sizeof bytes - 2);
    assert_int_equal(h.length, 12);
    assert_false(h.chunked);
    assert_int_equal(h.authorization.n, 8);
    assert_memory_equal(h.authorization.p, "Bearer x", 8);
    assert_int_equal(h.origin.n, 8);
}

static void chunks_are_strict(void **state)
{
    static const struct {
        const char *bytes;
        bool bad;
        size_t used; /* 0: all */
    } rows[] = {
        {"5\r\nhello\r\n0\r\n\r\n", false, 0},
        {"005\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET /", false, 32},
        {"0\r\n\r\n", false, 0},
        {"5\r\nhel", false, 0},
        {"+5\r\nhello\r\n", true, 0},
        {"0x5\r\nhello\r\n", true, 0},
        {" 5\r\nhello\r\n", true, 0},
        {"5 \r\nhello\r\n", true, 0},
        {"5;a=b\r\nhello\r\n0;c;d=\"\xc3\xa9\"\r\n\r\n", false, 0},
        {"5 \t;\ta=\";;\"\r\nhello\r\n", false, 0},
        {"5;\r\nhello\r\n", false, 0},
        {";a\r\nhello\r\n", true, 0},
        {"5;a=b\nhello\r\n", true, 0},
        {"5;a=\x01\r\nhello\r\n", true, 0},
        {"5 a\r\nhello\r\n", true, 0},
        {"5\t\r\nhello\r\n", true, 0},
        {"5\nhello\r\n", true, 0},
        {"\r\n", true, 0},
        {"5\r\nhello5\r\n", true, 0},
        {"5\r\nhello\r\n\r\n", true, 0},
        {"000000005\r\n", true, 0},
        {"-1\r\n", true, 0},
        {"0\r\nX: y\r\n\r\n", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].bytes);

        for (size_t step = 1; step <= n; step++) {
            struct fg_chunks c = {0};
            size_t at = 0, used = 0;
            char bytes[128];
            int rc = 0;

            memcpy(bytes, rows[i].bytes, n);
            for (; at < n && rc == 0 && c.place != FG_CHUNK_END; at += used)
                rc = fg_chunks_follow(&c, bytes + at, n - at < step ? n - at : step, &used);
            if ((rc != 0) != rows[i].bad || (!rc && at != (rows[i].used ? rows[i].used : n)))
                fail_msg("%s in steps of %zu: %d, %zu used", rows[i].bytes, step, rc, at);
        }
    }
}

/* Extensions are skipped, however they arrive, up to a bound. */
static void extensions_are_ignored(void **state)
{
    static const char head[] = "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char body[] = "8;a=b\r\n{\"conten\r\n8 ;c=\"d;e\"\r\nt\":\"ab\"}\r\n0;f\r\n\r\n";
    char longer[FG_MAX_CHUNK_EXTENSIONS + 16];
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t step = 1; step < sizeof body; step += 6) {
        client_unix(&c, &f);
        client_send(&c, head, sizeof head - 1);
        for (size_t at = 0; at < sizeof body - 1; at += step)
            client_send(&c, body + at, sizeof body - 1 - at < step ? sizeof body - 1 - at : step);
        client_read(&c, &r, false);
        if (r.status != 200)
            fail_msg("in steps of %zu: %d %s", step, r.status, r.body);
        reply_free(&r);
        client_close(&c);
    }
    client_unix(&c, &f);
    client_send(&c, head, sizeof head - 1);
    memset(longer, 'x', sizeof longer);
    memcpy(longer, "1;", 2);
    client_send(&c, longer, sizeof longer);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

/* What evhttp would have taken. */
static void the_server_refuses_them(void **state)
{
    static const char *const rows[] = {
        "POST /tokenize HTTP/1.1\r\nContent-Length: +16\r\n\r\n{\"content\":\"ab\"}",
        "POST /tokenize HTTP/1.1\r\nContent-Length: 16\r\nContent-Length: 16\r\n\r\n"
        "{\"content\":\"ab\"}",
        "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0x10\r\n{\"content\":\"ab\"}\r\n0\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "+10\r\n{\"content\":\"ab\"}\r\n0\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /health HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "HEAD /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /",
    };
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_unix(&c, &f);
        client_send(&c, rows[i], strlen(rows[i]));
        client_read(&c, &r, false);
        if (r.status != 400)
            fail_msg("%s: %d", rows[i], r.status);
        reply_free(&r);
        client_close(&c);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_strict),        cmocka_unit_test(heads_are_read),
        cmocka_unit_test(chunks_are_strict),       cmocka_unit_test(extensions_are_ignored),
        cmocka_unit_test(the_server_refuses_them),
    };

    return cmocka_run_group_tests_name("api heads", tests, NULL, NULL);
}
