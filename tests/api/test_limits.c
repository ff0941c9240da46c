/* How many connections there may be, and how long each may take. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define POST "{\"prompt\": \"x\"}"

static const char *const keys[] = {"secret"};

static void expect_code(struct client *c, const char *code)
{
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, 429);
    v = reply_json(&r);
    assert_string_equal(error_code(v), code);
    json_decref(v);
    reply_free(&r);
}

static void ask_with_key(const struct fixture *f)
{
    static const char request[] = "GET /health HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n";
    struct client c;

    client_tcp(&c, f);
    client_send(&c, request, sizeof request - 1);
    client_expect(&c, 200);
    client_close(&c);
}

/* Many more than may be, none of which ends its head: who asks is served, at both doors. */
static void slow_connections_make_room(void **state)
{
    enum { SLOW = 60 };
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1, .max_connections = 16};
    struct client slow[2 * SLOW];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    for (int i = 0; i < SLOW; i++) {
        client_tcp(&slow[i], &f);
        client_send(&slow[i], "GET /hea", 8);
    }
    ask_with_key(&f);
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    for (int i = SLOW; i < 2 * SLOW; i++) {
        client_unix(&slow[i], &f);
        client_send(&slow[i], "GET /hea", 8);
    }
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    ask_with_key(&f);
    for (int i = 0; i < 2 * SLOW; i++)
        client_close(&slow[i]);
    fixture_stop(&f);
}

/* Half of the connections are a tenant's to be answered on; the others go on. */
static void a_tenant_leaves_room(void **state)
{
    const struct fg_api_options opt = {.max_connections = 4};
    struct fg_job *job[2];
    struct client c[3];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    for (int i = 0; i < 2; i++) {
        client_unix(&c[i], &f);
        client_post(&c[i], "/v1/completions", POST);
        job[i] = fake_backend_next(f.backend);
    }
    client_unix(&c[2], &f);
    client_post(&c[2], "/v1/completions", POST);
    expect_code(&c[2], "too_many_requests");
    client_close(&c[2]);
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    for (int i = 0; i < 2; i++) {
        fake_job_done(job[i], FG_FINISH_STOP);
        client_expect(&c[i], 200);
        client_close(&c[i]);
    }
    fixture_stop(&f);
}

/* An address has half of the connections by TCP. */
static void an_address_leaves_room(void **state)
{
    const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0", .max_connections = 8};
    struct fg_job *job[3];
    struct client c[4];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    for (int i = 0; i < 3; i++) {
        client_tcp(&c[i], &f);
        client_post(&c[i], "/v1/completions", POST);
        job[i] = fake_backend_next(f.backend);
    }
    client_tcp(&c[3], &f);
    expect_code(&c[3], "too_many_connections");
    client_close(&c[3]);
    json_decref(ask(&f, "GET", "/health", NULL, 200));
    for (int i = 0; i < 3; i++) {
        fake_job_done(job[i], FG_FINISH_STOP);
        client_expect(&c[i], 200);
        client_close(&c[i]);
    }
    fixture_stop(&f);
}

/* A head and a body have their own, shorter times; who is between requests has the long one. */
static void heads_and_bodies_must_come(void **state)
{
    const struct fg_api_options opt = {
        .head_ms = 300, .stall_ms = 300, .idle_s = 1000, .request_s = 1000};
    struct client head, silent, body, kept;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    client_unix(&kept, &f);
    client_get(&kept, "/health");
    client_expect(&kept, 200);
    client_unix(&head, &f);
    client_send(&head, "GET /hea", 8);
    client_unix(&silent, &f);
    client_unix(&body, &f);
    client_send(&body, "POST /tokenize HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", 47);
    assert_true(client_at_end(&head));
    assert_true(client_at_end(&silent));
    assert_true(client_at_end(&body));
    client_get(&kept, "/health");
    client_expect(&kept, 200);
    client_close(&head);
    client_close(&silent);
    client_close(&body);
    client_close(&kept);
    fixture_stop(&f);
}

/* The log's lines, in memory instead of standard error. */
struct kept_log {
    int file, err;
};

static void keep_log(struct kept_log *k)
{
    k->file = memfd_create("log", MFD_CLOEXEC);
    k->err = dup(2);
    assert_true(k->file >= 0 && k->err >= 0);
    fflush(stderr);
    dup2(k->file, 2);
    fg_log_set_level(FG_LOG_WARN);
}

static unsigned count_lines(const struct kept_log *k)
{
    unsigned n = 0;
    char c;

    for (off_t at = 0; pread(k->file, &c, 1, at) == 1; at++)
        n += c == '\n';
    return n;
}

/* Standard error is what it was; the lines can still be read. */
static void end_log(struct kept_log *k)
{
    fg_log_set_level(FG_LOG_ERROR);
    dup2(k->err, 2);
    close(k->err);
}

/* No file is left to accept with: the others are served, and it is tried again now and then. */
static void no_files_are_left(void **state)
{
    int spare[256], n = 0;
    struct rlimit old, few;
    struct kept_log log;
    struct client kept, late;
    struct fixture f;
    double begun;
    unsigned lines;

    (void)state;
    fixture_start(&f, NULL, NULL);
    keep_log(&log);
    client_unix(&kept, &f);
    client_get(&kept, "/health");
    client_expect(&kept, 200);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < 256 && (spare[n] = dup(log.file)) >= 0)
        n++;
    assert_true(n > 0 && n < 256);
    close(spare[--n]); /* for the client's own end */
    begun = fg_clock_ms();
    client_unix(&late, &f);
    client_get(&late, "/health");
    while (!count_lines(&log))
        ;
    for (int i = 0; i < 2000; i++) {
        client_get(&kept, "/health");
        client_expect(&kept, 200);
    }
    lines = count_lines(&log);
    begun = fg_clock_ms() - begun;
    end_log(&log);
    while (n)
        close(spare[--n]);
    client_expect(&late, 200);
    setrlimit(RLIMIT_NOFILE, &old);
    if ((double)lines > 2 + begun / 250)
        fail_msg("%u lines in %.0f ms", lines, begun);
    client_close(&late);
    client_close(&kept);
    close(log.file);
    fixture_stop(&f);
}

/* Hundreds of wrong keys are a line or two of the log, which counts them and names the peer. */
static void wrong_keys_are_logged(void **state)
{
    static const char guess[] = "GET /health HTTP/1.1\r\nAuthorization: Bearer guess\r\n\r\n";
    static const char none[] = "GET /v1/models HTTP/1.1\r\n\r\n";
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1};
    char line[4096] = "";
    struct kept_log log;
    struct fixture f;
    struct client c;

    (void)state;
    fixture_start(&f, NULL, &opt);
    keep_log(&log);
    client_tcp(&c, &f);
    for (int i = 0; i < 500; i++) {
        client_send(&c, i ? none : guess, i ? sizeof none - 1 : sizeof guess - 1);
        client_expect(&c, 401);
    }
    while (!count_lines(&log))
        ;
    end_log(&log);
    assert_true(pread(log.file, line, sizeof line - 1, 0) > 0);
    assert_true(count_lines(&log) < 50);
    assert_non_null(strstr(line, "audit api event=key_refused cause=\"wrong keys\" requests="));
    assert_non_null(strstr(line, "last_peer=127.0.0.1 time="));
    assert_null(strstr(line, "guess"));
    client_close(&c);
    close(log.file);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_connections_make_room), cmocka_unit_test(a_tenant_leaves_room),
        cmocka_unit_test(an_address_leaves_room),     cmocka_unit_test(heads_and_bodies_must_come),
        cmocka_unit_test(no_files_are_left),          cmocka_unit_test(wrong_keys_are_logged),
    };

    return cmocka_run_group_tests_name("api limits", tests, NULL, NULL);
}
