/* Bodies before they are read: whose they are, and how many may be in memory. */
#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024 * 1024)

static const char *const keys[] = {"aaa", "bbb", "ccc"};

static void post_head(struct client *c, const char *key, const char *length)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Expect: 100-continue\r\n%s\r\n\r\n",
                     key, length);

    assert_true(client_send(c, head, (size_t)n));
}

/* An answer, and its error's code where it is one; frees it. */
static void check_error(struct reply *r, int status, const char *code)
{
    const char *found;
    json_t *v;

    assert_int_equal(r->status, status);
    v = reply_json(r);
    found = error_code(v);
    assert_int_equal(found == NULL, code == NULL);
    if (code)
        assert_string_equal(found, code);
    json_decref(v);
    reply_free(r);
}

/* The answer to a request of which only the head was sent. */
static void expect_refused(struct client *c, int status, const char *code)
{
    char value[128];
    struct reply r;

    client_read(c, &r, false);
    assert_string_equal(reply_header(&r, "Connection", value), "close");
    assert_string_equal(reply_header(&r, "Retry-After", value), status == 503 ? "1" : "");
    check_error(&r, status, code);
    client_close(c);
}

/* An answer; its error's code where it is one. Closes the connection. */
static void expect_error(struct client *c, int status, const char *code)
{
    struct reply r;

    client_read(c, &r, false);
    check_error(&r, status, code);
    client_close(c);
}

static void expect_taken(struct client *c)
{
    char line[128];

    client_read_line(c, line);
    assert_string_equal(line, "HTTP/1.1 100 Continue\r\n");
}

static void start(struct fixture *f, size_t max_body, size_t max_bodies)
{
    const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0",
                                       .api_keys = keys,
                                       .n_api_keys = 3,
                                       .max_body = max_body,
                                       .max_bodies = max_bodies};

    fixture_start(f, NULL, &opt);
}

static void refused_when_the_head_is_there(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    start(&f, 0, 0);
    client_tcp(&c, &f);
    post_head(&c, "xxx", "Content-Length: 60000000");
    expect_refused(&c, 401, "invalid_api_key");
    client_tcp(&c, &f);
    post_head(&c, "xxx", "Transfer-Encoding: chunked");
    expect_refused(&c, 401, "invalid_api_key");
    client_tcp(&c, &f);
    post_head(&c, "aaa", "Content-Length: 67108865");
    expect_refused(&c, 413, NULL);
    client_unix(&c, &f);
    post_head(&c, "", "Content-Length: 999999999999999999");
    expect_refused(&c, 413, NULL);
    client_tcp(&c, &f);
    post_head(&c, "aaa", "Content-Length: 67108864");
    expect_taken(&c);
    client_close(&c);
    fixture_stop(&f);
}

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long all, pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Many who have no key send nearly all of a large body. */
static void without_a_key_bodies_take_no_memory(void **state)
{
    enum { CLIENTS = 8, MOST = 15 };
    struct client c[CLIENTS];
    struct fixture f;
    struct reply r;
    size_t before;
    char *piece;

    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    print_message("skipped: sanitizers keep what was freed\n");
    skip();
#endif
    start(&f, 0, 0);
    piece = malloc(MIB);
    assert_non_null(piece);
    memset(piece, 'x', MIB);
    before = resident();
    for (int i = 0; i < CLIENTS; i++) {
        client_tcp(&c[i], &f);
        post_head(&c[i], "xxx", "Content-Length: 16777216");
        for (int j = 0; j < MOST; j++)
            assert_true(client_send(&c[i], piece, MIB));
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_read(&c[i], &r, false);
        assert_int_equal(r.status, 401);
        reply_free(&r);
    }
    assert_true(resident() < before + 32 * MIB);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    free(piece);
    fixture_stop(&f);
}

/* 2 MiB for all, 1 MiB for each tenant. What was held is there again when its client has left. */
static void bodies_share_a_budget(void **state)
{
    struct client a, b, c;
    struct fixture f;

    (void)state;
    start(&f, MIB, 2 * MIB);
    client_tcp(&a, &f);
    post_head(&a, "aaa", "Content-Length: 700000");
    expect_taken(&a);
    client_tcp(&c, &f);
    post_head(&c, "aaa", "Content-Length: 700000");
    expect_refused(&c, 503, "bodies_full");
    client_tcp(&b, &f);
    post_head(&b, "bbb", "Content-Length: 1048576");
    expect_taken(&b);
    client_tcp(&c, &f);
    post_head(&c, "ccc", "Content-Length: 700000");
    expect_refused(&c, 503, "bodies_full");
    client_close(&b);
    for (;;) { /* until the daemon has seen that it left */
        char line[128];

        client_tcp(&c, &f);
        post_head(&c, "ccc", "Content-Length: 700000");
        client_read_line(&c, line);
        client_close(&c);
        if (strcmp(line, "HTTP/1.1 100 Continue\r\n") == 0)
            break;
        assert_non_null(strstr(line, " 503 "));
    }
    client_close(&a);
    fixture_stop(&f);
}

/* Given back when a body has been read, not when its answer has been sent. */
static void given_back_when_read(void **state)
{
    enum { BODY = 600000 };
    char *body = malloc(BODY + 1);
    struct client c[8];
    struct fixture f;
    struct reply r;
    struct fg_job *job[8];

    (void)state;
    start(&f, MIB, 2 * MIB);
    memset(body, ' ', BODY);
    body[BODY] = '\0';
    memcpy(body, "{\"prompt\": \"x\"", 14);
    body[BODY - 1] = '}';
    for (int i = 0; i < 8; i++) {
        client_unix(&c[i], &f);
        client_post(&c[i], "/v1/completions", body);
        job[i] = fake_backend_next(f.backend);
    }
    for (int i = 0; i < 8; i++) {
        fake_job_done(job[i], FG_FINISH_STOP);
        client_read(&c[i], &r, false);
        assert_int_equal(r.status, 200);
        reply_free(&r);
        client_close(&c[i]);
    }
    free(body);
    fixture_stop(&f);
}

/* Whether the job of a request came, or else its refusal. */
static bool is_taken(const struct fixture *f, const struct client *c, unsigned n_jobs)
{
    for (;;) {
        struct pollfd answer = {.fd = c->fd, .events = POLLIN};

        if (fake_backend_submitted(f->backend) == n_jobs)
            return true;
        if (poll(&answer, 1, 10) == 1)
            return false;
    }
}

enum { TEXT = 700000, MOST = 12 };

/* Asks with large texts until one is refused, and ends them all. How many were taken. */
static unsigned fill(const struct fixture *f, const char *before, const char *after)
{
    char *body = malloc(TEXT + 128);
    struct client c[MOST + 1];
    struct fg_job *job[MOST];
    unsigned n = 0, old = fake_backend_submitted(f->backend);
    size_t head = strlen(before);

    assert_non_null(body);
    strcpy(body, before);
    memset(body + head, 'x', TEXT);
    strcpy(body + head + TEXT, after);
    for (;; n++) {
        assert_in_range(n, 0, MOST - 1); /* 5 MiB are a tenant's, and a text is read in 2 more */
        client_unix(&c[n], f);
        client_post(&c[n], "/v1/completions", body);
        if (!is_taken(f, &c[n], old + n + 1))
            break;
        job[n] = fake_backend_next(f->backend);
    }
    expect_error(&c[n], 503, "bodies_full");
    for (unsigned i = 0; i < n; i++) {
        fake_job_done(job[i], FG_FINISH_STOP);
        expect_error(&c[i], 200, NULL);
    }
    client_unix(&c[0], f);
    client_post(&c[0], "/v1/completions", body);
    fake_job_done(fake_backend_next(f->backend), FG_FINISH_STOP);
    expect_error(&c[0], 200, NULL);
    free(body);
    return n;
}

/* Texts that wait to be read are memory that was sent: they count until their jobs drop them. */
static void waiting_texts_are_counted(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, MIB, 2 * MIB);
    assert_true(fill(&f, "{\"prompt\": \"", "\"}") >= 2);
    fixture_stop(&f);
}

/* A text that the answer begins with is there a second time. */
static void echoed_texts_are_counted(void **state)
{
    struct fixture f;
    unsigned n;

    (void)state;
    start(&f, MIB, 2 * MIB);
    n = fill(&f, "{\"echo\": true, \"prompt\": \"", "\"}");
    assert_in_range(n, 1, 5 * MIB / (2 * TEXT));
    fixture_stop(&f);
}

/* A small body may become much more than it is. */
static void parsed_json_is_counted(void **state)
{
    enum { VALUES = 300000 };
    char *body = malloc(3 * VALUES + 64), *at = body;
    struct fixture f;
    struct client c;

    (void)state;
    assert_non_null(body);
    start(&f, MIB, 2 * MIB);
    at = stpcpy(at, "{\"prompt\": \"x\", \"a\": [");
    for (int i = 0; i < VALUES; i++)
        at = stpcpy(at, i ? ",\"\"" : "\"\"");
    strcpy(at, "]}");
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", body); /* 20 MB of JSON values; 5 are a tenant's */
    expect_error(&c, 413, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", "{\"prompt\": \"x\"}");
    fake_job_done(fake_backend_next(f.backend), FG_FINISH_STOP);
    expect_error(&c, 200, NULL);
    free(body);
    fixture_stop(&f);
}

/* Chunks are counted when their sizes are told. */
static void chunks_are_counted(void **state)
{
    struct client a, c;
    struct fixture f;

    (void)state;
    start(&f, MIB, 2 * MIB);
    client_tcp(&a, &f);
    post_head(&a, "aaa", "Content-Length: 700000");
    expect_taken(&a);
    client_tcp(&c, &f);
    post_head(&c, "aaa", "Transfer-Encoding: chunked");
    expect_taken(&c);
    client_send(&c, "4\r\n{\"a\"\r\nc0000\r\n", 16);
    assert_int_equal(c.n >= 2, 1); /* the empty line behind 100 Continue */
    c.n = 0;
    expect_refused(&c, 503, "bodies_full");
    client_tcp(&c, &f);
    post_head(&c, "bbb", "Transfer-Encoding: chunked");
    expect_taken(&c);
    client_send(&c, "100001\r\n", 8);
    c.n = 0;
    expect_refused(&c, 413, NULL);
    client_close(&a);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_when_the_head_is_there),
        cmocka_unit_test(without_a_key_bodies_take_no_memory),
        cmocka_unit_test(bodies_share_a_budget),
        cmocka_unit_test(given_back_when_read),
        cmocka_unit_test(waiting_texts_are_counted),
        cmocka_unit_test(echoed_texts_are_counted),
        cmocka_unit_test(parsed_json_is_counted),
        cmocka_unit_test(chunks_are_counted),
    };

    return cmocka_run_group_tests_name("api bodies", tests, NULL, NULL);
}
