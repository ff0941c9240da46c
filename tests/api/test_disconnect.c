/* Clients that leave, stall or send too much while a job runs. */
#include "fixture.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

#define WHOLE "{\"prompt\": \"x\"}"
#define STREAM "{\"prompt\": \"x\", \"stream\": true}"

static const struct fg_api_options tcp = {.tcp_addr = "127.0.0.1:0"};

static void expect_alive(const struct fixture *f)
{
    json_decref(ask(f, "GET", "/health", NULL, 200));
}

/* Leaves in the way `how`: 0 closes, 1 closes the sending half, 2 resets. */
static void leave(struct client *c, int how)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (how == 1)
        shutdown(c->fd, SHUT_WR);
    if (how == 2)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (how != 1)
        client_close(c);
}

/* The job is canceled while it computes: nothing has been answered, nothing is being written. */
static void leaving_before_the_answer_cancels(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, &tcp);
    for (int i = 0; i < 12; i++) {
        int how = i % 3;

        if (i < 6)
            client_unix(&c, &f);
        else
            client_tcp(&c, &f);
        client_post(&c, i % 2 ? "/v1/completions" : "/v1/chat/completions",
                    i % 2 ? (i & 2 ? STREAM : WHOLE)
                          : "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}");
        job = fake_backend_next(f.backend);
        leave(&c, how);
        fake_job_wait_canceled(job);
        /* What was on its way already must go nowhere. */
        fake_job_delta(job, "late", NULL, 0);
        if (i % 4 == 3)
            fake_job_done(job, FG_FINISH_STOP);
        else
            fake_job_fail(job, FG_ECANCELED, "canceled");
        fake_backend_wait_released(f.backend);
        if (how == 1)
            client_close(&c);
    }
    expect_alive(&f);
    fixture_stop(&f);
}

static void leaving_inside_the_stream_cancels(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;

    (void)state;
    fixture_start(&f, NULL, &tcp);
    for (int i = 0; i < 6; i++) {
        if (i < 3)
            client_unix(&c, &f);
        else
            client_tcp(&c, &f);
        client_post(&c, "/v1/completions", STREAM);
        job = fake_backend_next(f.backend);
        fake_job_delta(job, "one", NULL, 0);
        client_read_head(&c, &head);
        reply_free(&head);
        json_decref(client_event(&c));
        leave(&c, i % 3);
        fake_job_wait_canceled(job);
        fake_job_delta(job, "late", NULL, 0);
        fake_job_fail(job, FG_ECANCELED, "canceled");
        fake_backend_wait_released(f.backend);
        if (i % 3 == 1)
            client_close(&c);
    }
    expect_alive(&f);
    fixture_stop(&f);
}

/* The next request arrives while the first is computed, and then the client goes. */
static void leaving_with_requests_in_the_pipe_cancels(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", WHOLE);
    client_post(&c, "/v1/completions", STREAM);
    client_get(&c, "/health");
    job = fake_backend_next(f.backend);
    client_close(&c);
    fake_job_wait_canceled(job);
    fake_job_fail(job, FG_ECANCELED, "canceled");
    fake_backend_wait_released(f.backend);
    assert_int_equal(fake_backend_submitted(f.backend), 1);
    expect_alive(&f);
    fixture_stop(&f);
}

enum { LATER = 40000 };

struct pipeline {
    struct client *c;
    char *bytes;
    size_t n, sent;
};

/* Sends until the API has stopped reading: it answers others, and still takes no more. */
static void send_until_refused(const struct fixture *f, struct pipeline *p)
{
    for (int refused = 0; refused < 3 && p->sent < p->n;) {
        ssize_t r = send(p->c->fd, p->bytes + p->sent, p->n - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (r > 0)
            p->sent += (size_t)r;
        refused = r > 0 ? 0 : refused + 1;
        expect_alive(f);
    }
}

static void *send_rest(void *arg)
{
    struct pipeline *p = arg;

    client_send(p->c, p->bytes + p->sent, p->n - p->sent);
    return NULL;
}

/* Requests that arrive while a job runs wait their turn, and not all of them in memory. */
static void a_long_pipe_is_served_in_order(void **state)
{
    static const char *const requests[] = {"GET /v1/models/tiny HTTP/1.1\r\n\r\n",
                                           "GET /health HTTP/1.1\r\n\r\n"};
    struct pipeline p = {0};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply r;
    pthread_t rest;

    (void)state;
    p.c = &c;
    p.bytes = malloc(LATER * 64);
    for (int i = 0; i < LATER; i++) {
        memcpy(p.bytes + p.n, requests[i % 2], strlen(requests[i % 2]));
        p.n += strlen(requests[i % 2]);
    }
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", WHOLE);
    job = fake_backend_next(f.backend);
    send_until_refused(&f, &p);
    assert_true(p.sent < p.n);
    fake_job_delta(job, "first", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    assert_int_equal(pthread_create(&rest, NULL, send_rest, &p), 0);
    client_read(&c, &r, false);
    assert_non_null(strstr(r.body, "first"));
    reply_free(&r);
    for (int i = 0; i < LATER; i++) {
        client_read(&c, &r, false);
        assert_int_equal(r.status, 200);
        assert_true((strstr(r.body, "status") != NULL) == (i % 2 == 1));
        reply_free(&r);
    }
    pthread_join(rest, NULL);
    client_close(&c);
    free(p.bytes);
    fixture_stop(&f);
}

/* A stream that nobody reads is given up at the bound, not buffered for ever. */
static void a_client_that_does_not_read_is_cut_off(void **state)
{
    const struct fg_api_options small = {.max_buffered = 256 * 1024};
    char *text = calloc(1, 8193);
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, &small);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", STREAM);
    job = fake_backend_next(f.backend);
    memset(text, 'x', 8192);
    for (int i = 0; i < 400; i++) /* 3.2 MiB: more than the socket and the bound */
        fake_job_delta(job, text, NULL, 0);
    fake_job_wait_canceled(job);
    fake_job_fail(job, FG_ECANCELED, "canceled");
    fake_backend_wait_released(f.backend);
    expect_alive(&f);
    client_close(&c);
    free(text);
    fixture_stop(&f);
}

/* A reader that is merely slow gets everything. */
static void a_slow_reader_loses_nothing(void **state)
{
    char *text = calloc(1, 8193);
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", STREAM);
    job = fake_backend_next(f.backend);
    memset(text, 'x', 8192);
    for (int i = 0; i < 400; i++)
        fake_job_delta(job, text, NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    fake_backend_wait_released(f.backend);
    client_read(&c, &r, false);
    assert_true(r.bytes > 400 * 8192);
    assert_string_equal(r.body + r.bytes - 14, "data: [DONE]\n\n");
    reply_free(&r);
    client_close(&c);
    free(text);
    fixture_stop(&f);
}

/* A connection that sends nothing, one that stops inside a request, and one that is alive. */
static void silent_clients_are_closed(void **state)
{
    const struct fg_api_options hasty = {.idle_s = 1, .request_s = 1};
    struct pollfd p = {.events = POLLIN};
    struct client idle, partial, body, trickle;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &hasty);
    client_unix(&idle, &f);
    client_unix(&partial, &f);
    client_unix(&body, &f);
    client_unix(&trickle, &f);
    client_send(&partial, "GET /hea", 8);
    client_send(&body, "POST /tokenize HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", 47);
    client_send(&trickle, "GET / HTTP/1.1\r\nA: ", 19);
    p.fd = trickle.fd; /* a byte now and then, and the request never ends */
    while (poll(&p, 1, 10) == 0)
        client_send(&trickle, "b", 1);
    assert_true(client_at_end(&trickle));
    assert_true(client_at_end(&idle));
    assert_true(client_at_end(&partial));
    assert_true(client_at_end(&body));
    client_close(&idle);
    client_close(&partial);
    client_close(&body);
    client_close(&trickle);
    fixture_stop(&f);
}

/* Neither deadline runs while a job does. */
static void a_long_job_is_not_a_silent_client(void **state)
{
    const struct fg_api_options hasty = {.idle_s = 1, .request_s = 1};
    struct client idle, whole, stream;
    struct fg_job *one, *two;
    struct fixture f;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, &hasty);
    client_unix(&whole, &f);
    client_post(&whole, "/v1/completions", WHOLE);
    one = fake_backend_next(f.backend);
    client_unix(&stream, &f);
    client_post(&stream, "/v1/completions", STREAM);
    two = fake_backend_next(f.backend);
    fake_job_delta(two, "a", NULL, 0);
    /* Two connections that idle for the whole time, one after the other: the jobs outlast them. */
    for (int i = 0; i < 2; i++) {
        client_unix(&idle, &f);
        assert_true(client_at_end(&idle));
        client_close(&idle);
    }
    fake_job_done(one, FG_FINISH_STOP);
    fake_job_done(two, FG_FINISH_STOP);
    client_read(&whole, &r, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    client_read(&stream, &r, false);
    assert_non_null(strstr(r.body, "[DONE]"));
    reply_free(&r);
    /* And they run again afterwards. */
    assert_true(client_at_end(&whole));
    assert_true(client_at_end(&stream));
    client_close(&whole);
    client_close(&stream);
    fixture_stop(&f);
}

struct writer {
    struct fg_job *job;
    atomic_bool stop;
};

/* Goes on writing, a little at a time. */
static void *write_on(void *arg)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    struct writer *w = arg;

    while (!atomic_load(&w->stop)) {
        fake_job_delta(w->job, "more", NULL, 0);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* A stream that nobody reads is cut after a time, though more is written to it all the while. */
static void an_unread_stream_is_cut(void **state)
{
    const struct fg_api_options hasty = {.idle_s = 1};
    char *text = calloc(1, 2 * 1024 * 1024);
    struct writer w = {0};
    struct fixture f;
    struct client c;
    pthread_t thread;

    (void)state;
    fixture_start(&f, NULL, &hasty);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", STREAM);
    w.job = fake_backend_next(f.backend);
    memset(text, 'x', 2 * 1024 * 1024 - 1); /* more than the socket takes */
    fake_job_delta(w.job, text, NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    fake_job_wait_canceled(w.job);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    fake_job_fail(w.job, FG_ECANCELED, "canceled");
    fake_backend_wait_released(f.backend);
    client_close(&c);
    free(text);
    fixture_stop(&f);
}

/* Two seconds for a part of a large answer, where nothing may stand still for one: all of it
 * arrives. */
static void a_slow_reader_of_a_whole_answer_is_not_cut(void **state)
{
    enum { TEXT = 4 * 1024 * 1024, STEPS = 200 };
    const struct fg_api_options hasty = {.idle_s = 1};
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    char *text = calloc(1, TEXT + 1), *got = malloc(TEXT);
    struct fixture f;
    struct client c;
    struct fg_job *job;
    size_t n = 0;

    (void)state;
    fixture_start(&f, NULL, &hasty);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", WHOLE);
    job = fake_backend_next(f.backend);
    memset(text, 'x', TEXT);
    fake_job_delta(job, text, NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    for (int i = 0; i < STEPS; i++) { /* so little that the socket seldom takes more */
        ssize_t r = recv(c.fd, got, 1000, 0);

        assert_true(r > 0);
        n += (size_t)r;
        nanosleep(&pause, NULL);
    }
    while (n < TEXT) {
        ssize_t r = recv(c.fd, got, TEXT, 0);

        assert_true(r > 0);
        n += (size_t)r;
    }
    client_close(&c);
    free(got);
    free(text);
    fixture_stop(&f);
}

/* The socket that listens on TCP: what it is told, the sockets that it accepts have. */
static int find_listener(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        int domain = 0, listens = 0;
        socklen_t n = sizeof domain;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_INET &&
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens)
            return fd;
    }
    fail_msg("nothing listens");
    return -1;
}

/* Of a socket that was full the kernel says that it takes more once so much of it is free that a
 * write of libevent, 16 KiB, finds room. A client that takes less in all that time lets the server
 * write once at most: of what it reads only the kernel knows. All of the answer arrives. */
static void read_below_the_mark(const char *body)
{
    enum { TEXT = 2 * 1024 * 1024, IDLE_S = 2, STEPS = 100 * (3 * IDLE_S + 1), STEP = 20 };
    const struct fg_api_options hasty = {.tcp_addr = "127.0.0.1:0", .idle_s = IDLE_S};
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    const int much = 1 << 20, some = 1 << 18;
    char *text = calloc(1, TEXT + 1);
    struct fixture f;
    struct client c;
    struct fg_job *job;
    size_t n = 0;

    _Static_assert(STEPS * STEP < 16384, "less than a write");
    fixture_start(&f, NULL, &hasty);
    assert_int_equal(setsockopt(find_listener(), SOL_SOCKET, SO_SNDBUF, &some, sizeof some), 0);
    client_tcp_small(&c, &f, 1); /* the least that the kernel allows */
    client_post(&c, "/v1/completions", body);
    job = fake_backend_next(f.backend);
    memset(text, 'x', TEXT);
    fake_job_delta(job, text, NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    for (int i = 0; i < STEPS; i++) {
        ssize_t r = recv(c.fd, text, STEP, 0);

        assert_true(r > 0);
        n += (size_t)r;
        nanosleep(&pause, NULL);
    }
    setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &much, sizeof much);
    while (n < TEXT) {
        ssize_t r = recv(c.fd, text, TEXT, 0);

        if (r <= 0)
            fail_msg("cut after %zu of %d bytes", n, TEXT);
        n += (size_t)r;
    }
    client_close(&c);
    free(text);
    fixture_stop(&f);
}

static void what_a_slow_reader_takes_counts(void **state)
{
    (void)state;
    read_below_the_mark(WHOLE);
    read_below_the_mark(STREAM);
}

/* Nobody reads it: it is cut, but not before the time is over. */
static void an_unread_answer_is_cut(void **state)
{
    enum { TEXT = 4 * 1024 * 1024 };
    const struct fg_api_options hasty = {.idle_s = 1};
    char *text = calloc(1, TEXT + 1);
    struct pollfd p = {.events = POLLRDHUP};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    double begun;
    size_t n = 0;
    ssize_t r;

    (void)state;
    fixture_start(&f, NULL, &hasty);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", WHOLE);
    job = fake_backend_next(f.backend);
    memset(text, 'x', TEXT);
    fake_job_delta(job, text, NULL, 0);
    begun = fg_clock_ms();
    fake_job_done(job, FG_FINISH_STOP);
    p.fd = c.fd;
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_true(fg_clock_ms() - begun > 1000);
    while ((r = recv(c.fd, text, TEXT, 0)) > 0)
        n += (size_t)r;
    assert_true(n > 0 && n < TEXT);
    client_close(&c);
    free(text);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_before_the_answer_cancels),
        cmocka_unit_test(leaving_inside_the_stream_cancels),
        cmocka_unit_test(leaving_with_requests_in_the_pipe_cancels),
        cmocka_unit_test(a_long_pipe_is_served_in_order),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(a_slow_reader_loses_nothing),
        cmocka_unit_test(an_unread_stream_is_cut),
        cmocka_unit_test(a_slow_reader_of_a_whole_answer_is_not_cut),
        cmocka_unit_test(what_a_slow_reader_takes_counts),
        cmocka_unit_test(an_unread_answer_is_cut),
        cmocka_unit_test(silent_clients_are_closed),
        cmocka_unit_test(a_long_job_is_not_a_silent_client),
    };

    return cmocka_run_group_tests_name("api disconnect", tests, NULL, NULL);
}
