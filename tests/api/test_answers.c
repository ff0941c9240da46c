/* Answers that their clients do not read: how much of them may be in memory. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MIB (1024 * 1024)

/* An answer of them has ANSWER bytes and a few more: more than a socket takes. */
enum { IDS = 2000000, ANSWER = 4 * IDS };

static const char *const keys[] = {"aaa", "bbb", "ccc"};

static void start(struct fixture *f, size_t max_answers, uint32_t stall_ms)
{
    const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0",
                                       .api_keys = keys,
                                       .n_api_keys = 3,
                                       .max_answers = max_answers,
                                       .stall_ms = stall_ms};

    fixture_start(f, NULL, &opt);
}

/* Asks for n ids of tokens, as whoever has that key. */
static void ask_ids(struct client *c, const struct fixture *f, const char *key, size_t n)
{
    char *request = malloc(n + 512);
    int head = sprintf(request,
                       "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: %zu\r\n\r\n{\"content\": \"",
                       key, n + strlen("{\"content\": \"\"}"));

    memset(request + head, 'x', n);
    memcpy(request + head + n, "\"}", 3);
    client_tcp_small(c, f, 4096);
    assert_true(client_send(c, request, (size_t)head + n + 2));
    free(request);
}

/* The head of its answer comes; the rest waits. */
static void expect_begun(struct client *c)
{
    struct reply r;

    client_read_head(c, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
}

static void expect_full(struct client *c)
{
    char value[128];
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, 503);
    assert_string_equal(reply_header(&r, "Retry-After", value), "1");
    v = reply_json(&r);
    assert_string_equal(error_code(v), "answers_full");
    json_decref(v);
    reply_free(&r);
    client_close(c);
}

static void expect_ids(struct client *c, size_t n)
{
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, 200);
    v = reply_json(&r);
    assert_int_equal(json_array_size(json_object_get(v, "tokens")), n);
    json_decref(v);
    reply_free(&r);
    client_close(c);
}

/* Bytes of a body, until it is whole or its connection ends. */
static size_t read_rest(struct client *c)
{
    size_t n = c->n;
    char piece[8192];
    ssize_t got;

    while (n < ANSWER && (got = recv(c->fd, piece, sizeof piece, 0)) > 0)
        n += (size_t)got;
    return n;
}

/* Until there is room. */
static void retry_ids(const struct fixture *f, const char *key, size_t n)
{
    struct client c;
    struct reply r;
    int status;

    do {
        ask_ids(&c, f, key, n);
        client_read(&c, &r, false);
        status = r.status;
        assert_true(status == 200 || status == 503);
        reply_free(&r);
        client_close(&c);
    } while (status != 200);
}

/* 20 MiB for all, 10 MiB for each tenant; what is held is there again when it was read, or when its
 * client has left. */
static void answers_share_a_budget(void **state)
{
    struct client a, b, c;
    struct fixture f;

    (void)state;
    start(&f, 20 * MIB, 0);
    ask_ids(&a, &f, "aaa", IDS);
    expect_begun(&a);
    ask_ids(&c, &f, "aaa", IDS);
    expect_full(&c);
    ask_ids(&c, &f, "aaa", 100); /* what is small always has room */
    expect_ids(&c, 100);
    ask_ids(&b, &f, "bbb", IDS);
    expect_begun(&b);
    ask_ids(&c, &f, "ccc", IDS);
    expect_full(&c);
    client_close(&b);
    retry_ids(&f, "ccc", IDS);
    ask_ids(&c, &f, "aaa", IDS);
    expect_full(&c);
    client_close(&a);
    retry_ids(&f, "aaa", IDS);
    fixture_stop(&f);
}

/* An answer that is larger than all that there is, to one who takes it a little at a time. */
static void one_answer_always_has_room(void **state)
{
    enum { SMALL = MIB, TAKEN = 128 * 1024 };
    struct client a, b, c;
    struct fixture f;
    char piece[TAKEN];
    size_t n = 0;
    ssize_t got;

    (void)state;
    start(&f, SMALL, 0);
    ask_ids(&a, &f, "aaa", IDS);
    expect_begun(&a);
    n = a.n;
    ask_ids(&b, &f, "bbb", IDS);
    expect_full(&b);
    while (n < ANSWER && (got = recv(a.fd, piece, sizeof piece, 0)) > 0) {
        n += (size_t)got;
        ask_ids(&c, &f, "ccc", 10);
        expect_ids(&c, 10);
    }
    assert_true(n >= ANSWER);
    client_close(&a);
    retry_ids(&f, "bbb", IDS);
    fixture_stop(&f);
}

/* Who has taken nothing for a while makes room for others. */
static void who_reads_nothing_makes_room(void **state)
{
    struct client a, b;
    struct fixture f;

    (void)state;
    start(&f, 20 * MIB, 50);
    ask_ids(&a, &f, "aaa", IDS);
    expect_begun(&a);
    ask_ids(&b, &f, "bbb", IDS);
    expect_begun(&b);
    retry_ids(&f, "aaa", IDS); /* its own share is full: b is left alone */
    assert_true(read_rest(&a) < ANSWER);
    client_close(&a);
    assert_true(read_rest(&b) >= ANSWER);
    client_close(&b);
    fixture_stop(&f);
}

/* A stream's unsent pieces count as well. */
static void streams_are_counted(void **state)
{
    char *text = calloc(1, 8193);
    struct client a, c;
    struct fixture f;
    struct fg_job *job;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 8192);
    start(&f, MIB, 0);
    job = fixture_post(&f, &c, "/v1/completions", "{\"prompt\": \"x\", \"stream\": true}");
    for (int i = 0; i < 400; i++) /* 3.2 MiB: more than the socket and its share */
        fake_job_delta(job, text, NULL, 0);
    fake_job_wait_canceled(job);
    fake_job_fail(job, FG_ECANCELED, "canceled");
    fake_backend_wait_released(f.backend);
    client_close(&c);
    client_unix(&a, &f);
    client_get(&a, "/health");
    client_expect(&a, 200);
    client_close(&a);
    free(text);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_share_a_budget),
        cmocka_unit_test(one_answer_always_has_room),
        cmocka_unit_test(who_reads_nothing_makes_room),
        cmocka_unit_test(streams_are_counted),
    };

    return cmocka_run_group_tests_name("api answers", tests, NULL, NULL);
}
