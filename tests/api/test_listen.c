/* Sockets: who may listen, who may connect, and how it ends. */
#include "fixture.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/dir.h"

#define STREAM "{\"prompt\": \"x\", \"stream\": true}"

/* An API that is created and destroyed without its loop ever running. */
struct bare {
    struct fake_backend *backend;
    struct fg_backend table;
    struct event_base *base;
    char *dir, path[128];
};

static void bare_start(struct bare *b)
{
    const struct fake_options none = {0};

    fg_log_set_level(FG_LOG_ERROR);
    b->backend = fake_backend_create(&none);
    fake_backend_table(b->backend, &b->table);
    b->base = event_base_new();
    b->dir = dir_make();
    snprintf(b->path, sizeof b->path, "%s/d/s", b->dir);
}

static void bare_stop(struct bare *b)
{
    char path[160];

    snprintf(path, sizeof path, "%s.lock", b->path);
    unlink(path);
    snprintf(path, sizeof path, "%s/d", b->dir);
    rmdir(path);
    assert_int_equal(rmdir(b->dir), 0);
    free(b->dir);
    event_base_free(b->base);
    fake_backend_destroy(b->backend);
}

static int create(const struct bare *b, const char *socket_path, const char *tcp, const char *key,
                  struct fg_api **api, struct fg_err *err)
{
    struct fg_api_options opt = {.base = b->base,
                                 .backend = &b->table,
                                 .socket_path = socket_path,
                                 .tcp_addr = tcp,
                                 .api_keys = &key,
                                 .n_api_keys = key ? 1 : 0};

    memset(err, 0, sizeof *err);
    *api = NULL;
    return fg_api_create(&opt, api, err);
}

/* A bound socket file; with `listening` somebody answers there. */
static int other_socket(const char *path, bool listening)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void the_socket_is_private(void **state)
{
    struct fg_api *api;
    struct fg_err err;
    struct stat st;
    struct bare b;
    char dir[160];

    (void)state;
    bare_start(&b);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), 0);
    snprintf(dir, sizeof dir, "%s/d", b.dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(lstat(b.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    fg_api_destroy(api);
    assert_int_not_equal(access(b.path, F_OK), 0);
    bare_stop(&b);
}

static void stale_is_replaced_and_live_is_not(void **state)
{
    struct fg_api *api, *second;
    struct fg_err err;
    struct stat st;
    struct bare b;
    char dir[160];
    int fd;

    (void)state;
    bare_start(&b);
    snprintf(dir, sizeof dir, "%s/d", b.dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    close(other_socket(b.path, true)); /* stale: the file stays */
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), 0);
    /* Live: a second daemon must not take it away. */
    assert_int_equal(create(&b, b.path, NULL, NULL, &second, &err), FG_EBUSY);
    assert_int_equal(err.code, FG_EBUSY);
    assert_non_null(strstr(err.text, b.path));
    assert_int_equal(lstat(b.path, &st), 0);
    /* Somebody else's by now: it stays when ours goes. */
    assert_int_equal(unlink(b.path), 0);
    fd = other_socket(b.path, true);
    fg_api_destroy(api);
    assert_int_equal(lstat(b.path, &st), 0);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), FG_EBUSY);
    close(fd);
    unlink(b.path);
    bare_stop(&b);
}

/* A lock that somebody holds for ever is an error, not a wait. */
static void a_held_lock_is_named(void **state)
{
    char dir[160], path[160];
    struct fg_api *api;
    struct fg_err err;
    struct bare b;
    int fd;

    (void)state;
    bare_start(&b);
    snprintf(dir, sizeof dir, "%s/d", b.dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(path, sizeof path, "%s.lock", b.path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), FG_EBUSY);
    assert_non_null(strstr(err.text, path));
    close(fd);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), 0);
    fg_api_destroy(api);
    bare_stop(&b);
}

/* Where all may write, others may have made the directory first, or a link in its place. */
static void a_shared_place_is_checked(void **state)
{
    char dir[160], link[160], path[200];
    struct fg_api *api;
    struct fg_err err;
    struct bare b;

    (void)state;
    bare_start(&b);
    assert_int_equal(chmod(b.dir, 01777), 0);
    snprintf(dir, sizeof dir, "%s/d", b.dir);
    assert_int_equal(mkdir(dir, 0700) | chmod(dir, 0775), 0);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), FG_EACCESS);
    assert_non_null(strstr(err.text, dir));
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(link, sizeof link, "%s/link", b.dir);
    assert_int_equal(symlink(dir, link), 0);
    snprintf(path, sizeof path, "%s/s", link);
    assert_int_equal(create(&b, path, NULL, NULL, &api, &err), FG_EACCESS);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(create(&b, b.path, NULL, NULL, &api, &err), 0);
    fg_api_destroy(api);
    bare_stop(&b);
}

static void bad_paths_are_refused(void **state)
{
    char path[256], longer[160];
    struct fg_api *api;
    struct fg_err err;
    struct bare b;
    FILE *file;

    (void)state;
    bare_start(&b);
    snprintf(path, sizeof path, "%s/file", b.dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(create(&b, path, NULL, NULL, &api, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "not a socket"));
    assert_int_equal(unlink(path), 0); /* it is still there */
    strcat(path, ".lock");
    unlink(path);
    snprintf(path, sizeof path, "%s/no/such/s", b.dir);
    assert_int_equal(create(&b, path, NULL, NULL, &api, &err), FG_EIO);
    assert_non_null(strstr(err.text, "/no/such"));
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(create(&b, longer, NULL, NULL, &api, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "159 bytes"));
    assert_int_equal(create(&b, "", NULL, NULL, &api, &err), FG_EINVAL);
    assert_int_equal(create(&b, NULL, NULL, NULL, &api, &err), FG_EINVAL);
    bare_stop(&b);
}

static void tcp_addresses_are_checked(void **state)
{
    static const struct {
        const char *addr, *key;
        int code;
    } rows[] = {
        {"127.0.0.1:0", NULL, 0},
        {"localhost:0", NULL, 0},
        {"127.1.2.3:0", NULL, 0},
        {"[::1]:0", NULL, 0},
        {"0.0.0.0:0", "secret", 0},
        {"0.0.0.0:0", NULL, FG_EUNSUPPORTED},
        {"[::]:0", NULL, FG_EUNSUPPORTED},
        {"192.0.2.1:0", NULL, FG_EUNSUPPORTED},
        {"127.0.0.1:0", "", FG_EINVAL},
        {"127.0.0.1", NULL, FG_EINVAL},
        {"127.0.0.1:", NULL, FG_EINVAL},
        {"127.0.0.1:65536", NULL, FG_EINVAL},
        {"127.0.0.1:-1", NULL, FG_EINVAL},
        {"127.0.0.1:80x", NULL, FG_EINVAL},
        {"::1:80", NULL, FG_EINVAL},
        {":80", NULL, FG_EINVAL},
        {"example.org:80", NULL, FG_EINVAL},
    };
    struct fg_api *api, *second;
    struct fg_err err;
    struct bare b;
    char addr[32];

    (void)state;
    bare_start(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int r = create(&b, NULL, rows[i].addr, rows[i].key, &api, &err);

        if (r == FG_EIO && strstr(err.text, "Address family")) {
            print_message("skipped %s: %s\n", rows[i].addr, err.text);
            continue;
        }
        if (r != rows[i].code)
            fail_msg("%s: %d %s", rows[i].addr, r, err.text);
        if (r == FG_EUNSUPPORTED)
            assert_non_null(strstr(err.text, "API key"));
        if (r == 0)
            assert_true(fg_api_tcp_port(api) > 0);
        fg_api_destroy(api);
    }
    assert_int_equal(create(&b, NULL, "127.0.0.1:0", NULL, &api, &err), 0);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", fg_api_tcp_port(api));
    assert_int_equal(create(&b, NULL, addr, NULL, &second, &err), FG_EBUSY);
    assert_non_null(strstr(err.text, addr));
    fg_api_destroy(api);
    bare_stop(&b);
}

static int tcp_status(const struct fixture *f, const char *headers, const char *method)
{
    char request[512];
    struct client c;
    struct reply r;
    json_t *v;
    int n = snprintf(request, sizeof request, "%s /v1/models HTTP/1.1\r\n%s\r\n", method, headers);

    client_tcp(&c, f);
    client_send(&c, request, (size_t)n);
    client_read(&c, &r, false);
    v = reply_json(&r);
    json_decref(v);
    n = r.status;
    reply_free(&r);
    client_close(&c);
    return n;
}

static void keys_are_asked_of_tcp_only(void **state)
{
    const char *const keys[] = {"s3cret"};
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    json_decref(ask(&f, "GET", "/health", NULL, 200)); /* the Unix socket has its own lock */
    assert_int_equal(tcp_status(&f, "", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer s3cret\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "authorization: bearer s3cret\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "X-Api-Key: s3cret\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "api-key: s3cret\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "x-api-key: s3cre\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "x-api-key: \r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "X-Api-Key: s3cret\r\nApi-Key: s3cret\r\n", "GET"), 400);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer no\r\nX-Api-Key: s3cret\r\n", "GET"),
                     401);
    assert_int_equal(tcp_status(&f, "Authorization: s3cret\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer \r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer s3cre\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer s3crets\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer s3crets3cret\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer S3cret\r\n", "GET"), 401);
    assert_int_equal(tcp_status(&f, "Authorization: Bearer s3cret\r\nOrigin: http://x\r\n", "GET"),
                     200);
    fixture_stop(&f);
}

/* Sends a request by TCP and takes the head of its answer; returns the status. */
static int tcp_ask(const struct fixture *f, const char *request, struct reply *r)
{
    struct client c;

    client_tcp(&c, f);
    assert_true(client_send(&c, request, strlen(request)));
    client_read(&c, r, false);
    client_close(&c);
    return r->status;
}

/* Who only wants to know whether the daemon is there shows no key, and learns nothing else. */
static void health_needs_no_key(void **state)
{
    const char *const keys[] = {"s3cret"};
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1};
    struct fixture f;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, &opt);
    assert_int_equal(tcp_ask(&f, "GET /health HTTP/1.1\r\n\r\n", &r), 200);
    assert_string_equal(r.body, "{\"status\":\"ok\"}");
    reply_free(&r);
    assert_int_equal(tcp_ask(&f, "GET /health HTTP/1.1\r\nX-Api-Key: s3cret\r\n\r\n", &r), 200);
    assert_non_null(strstr(r.body, "tiny"));
    reply_free(&r);
    assert_int_equal(tcp_ask(&f, "GET /health HTTP/1.1\r\nX-Api-Key: guess\r\n\r\n", &r), 401);
    reply_free(&r);
    assert_int_equal(tcp_ask(&f, "POST /tokenize HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &r), 401);
    reply_free(&r);
    fixture_stop(&f);
}

/* Pages of an origin that was named may ask, beforehand too; others may not. */
static void named_pages_may_ask(void **state)
{
    static const char preflight[] =
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nOrigin: %s\r\n"
        "Access-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: authorization,content-type\r\n\r\n";
    static const char get[] = "GET /v1/models HTTP/1.1\r\nOrigin: %s\r\n%s\r\n";
    const char *const keys[] = {"s3cret"}, *const named[] = {"https://a.example", "http://b:1"};
    const char *const all[] = {"*"};
    char request[512], value[128];

    (void)state;
    for (int round = 0; round < 4; round++) {
        const bool any = round & 1, keyed = round & 2;
        const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0",
                                           .api_keys = keys,
                                           .n_api_keys = keyed,
                                           .cors_origins = any ? all : named,
                                           .n_cors_origins = any ? 1 : 2};
        const char *key = keyed ? "X-Api-Key: s3cret\r\n" : "";
        struct fixture f;
        struct reply r;

        fixture_start(&f, NULL, &opt);
        snprintf(request, sizeof request, preflight, "https://a.example");
        assert_int_equal(tcp_ask(&f, request, &r), 204);
        assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin", value),
                            "https://a.example");
        assert_string_equal(reply_header(&r, "Access-Control-Allow-Headers", value),
                            "authorization,content-type");
        assert_non_null(strstr(reply_header(&r, "Access-Control-Allow-Methods", value), "POST"));
        reply_free(&r);
        snprintf(request, sizeof request, get, "http://b:1", key);
        assert_int_equal(tcp_ask(&f, request, &r), 200);
        assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin", value), "http://b:1");
        assert_string_equal(reply_header(&r, "Vary", value), "Origin");
        reply_free(&r);
        snprintf(request, sizeof request, get, "https://other.example", key);
        assert_int_equal(tcp_ask(&f, request, &r), any || keyed ? 200 : 403);
        assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin", value),
                            any ? "https://other.example" : "");
        reply_free(&r);
        if (keyed) {
            snprintf(request, sizeof request, get, "http://b:1", "");
            assert_int_equal(tcp_ask(&f, request, &r), 401);
            reply_free(&r);
            snprintf(request, sizeof request, preflight, "https://other.example");
            assert_int_equal(tcp_ask(&f, request, &r), any ? 204 : 401);
            reply_free(&r);
        }
        fixture_stop(&f);
    }
}

static void web_pages_are_refused_without_a_key(void **state)
{
    const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0"};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &opt);
    assert_int_equal(tcp_status(&f, "", "GET"), 200);
    assert_int_equal(tcp_status(&f, "Host: localhost:8080\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "Host: 127.0.0.1\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "Host: [::1]:8080\r\n", "GET"), 200);
    assert_int_equal(tcp_status(&f, "Host: rebound.example:8080\r\n", "GET"), 403);
    assert_int_equal(tcp_status(&f, "Host: localhost.example\r\n", "GET"), 403);
    assert_int_equal(tcp_status(&f, "Host: localhost\r\nOrigin: null\r\n", "GET"), 403);
    assert_int_equal(tcp_status(&f, "Origin: https://page.example\r\n", "OPTIONS"), 403);
    fixture_stop(&f);
}

static void draining_finishes_what_runs(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct client stream, kept, refused;
    struct fg_job *job;
    struct fixture f;
    struct reply r;
    char value[128];

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&kept, &f);
    client_get(&kept, "/health");
    client_read(&kept, &r, false);
    reply_free(&r);
    client_unix(&stream, &f);
    client_post(&stream, "/v1/completions", STREAM);
    job = fake_backend_next(f.backend);
    fixture_drain(&f);
    fixture_drain(&f); /* the second changes nothing */
    /* Old connections hear that it is over; new ones are not taken. */
    do {
        client_get(&kept, "/health");
        client_read(&kept, &r, false);
        if (r.status == 200)
            reply_free(&r); /* asked before the drain began */
    } while (r.status == 200);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "{\"status\":\"draining\"}");
    assert_string_equal(reply_header(&r, "Connection", value), "close");
    reply_free(&r);
    assert_true(client_at_end(&kept));
    client_close(&kept);
    refused.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", f.path);
    assert_int_equal(connect(refused.fd, (struct sockaddr *)&sa, sizeof sa), -1);
    close(refused.fd);
    /* The stream ends as it would have; only then is the drain over. */
    assert_int_equal(sem_trywait(&f.drained), -1);
    fake_job_delta(job, "text", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read(&stream, &r, false);
    assert_non_null(strstr(r.body, "text"));
    assert_non_null(strstr(r.body, "[DONE]"));
    reply_free(&r);
    assert_true(client_at_end(&stream));
    client_close(&stream);
    assert_int_equal(sem_wait(&f.drained), 0);
    fixture_stop(&f);
}

/* Nothing runs: it is over at once. New jobs on old connections are refused. */
static void draining_refuses_new_jobs(void **state)
{
    struct client kept;
    struct fixture f;
    struct reply r;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&kept, &f);
    client_get(&kept, "/health");
    client_read(&kept, &r, false);
    reply_free(&r);
    fixture_drain(&f);
    assert_int_equal(sem_wait(&f.drained), 0);
    client_post(&kept, "/v1/completions", STREAM);
    client_read(&kept, &r, false);
    assert_int_equal(r.status, 503);
    v = reply_json(&r);
    assert_non_null(strstr(error_message(v), "shutting down"));
    json_decref(v);
    reply_free(&r);
    client_close(&kept);
    fixture_stop(&f);
}

/* Destroying ends what runs, streams and waiting clients alike. */
static void destroy_cancels_what_runs(void **state)
{
    const struct fake_options canceling = {.fail_on_cancel = true};
    struct client stream, whole;
    struct fixture f;
    struct reply r;

    (void)state;
    fixture_start(&f, &canceling, NULL);
    client_unix(&stream, &f);
    client_post(&stream, "/v1/completions", STREAM);
    fake_job_delta(fake_backend_next(f.backend), "a", NULL, 0);
    client_read_head(&stream, &r);
    reply_free(&r);
    client_unix(&whole, &f);
    client_post(&whole, "/v1/completions", "{\"prompt\": \"x\"}");
    fake_backend_next(f.backend);
    fixture_stop(&f); /* checks that every handle was released */
    client_close(&stream);
    client_close(&whole);
}

/* One more than may be, and the one that has been idle the longest makes room. */
static void connections_are_bounded(void **state)
{
    const struct fg_api_options few = {.max_connections = 3};
    struct client c[5];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, &few);
    for (int i = 0; i < 5; i++) {
        client_unix(&c[i], &f);
        client_get(&c[i], "/health");
        client_expect(&c[i], 200);
    }
    assert_true(client_at_end(&c[0]));
    assert_true(client_at_end(&c[1]));
    for (int i = 2; i < 5; i++) {
        client_get(&c[i], "/health");
        client_expect(&c[i], 200);
    }
    for (int i = 0; i < 5; i++)
        client_close(&c[i]);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_is_private),
        cmocka_unit_test(stale_is_replaced_and_live_is_not),
        cmocka_unit_test(a_held_lock_is_named),
        cmocka_unit_test(a_shared_place_is_checked),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(tcp_addresses_are_checked),
        cmocka_unit_test(keys_are_asked_of_tcp_only),
        cmocka_unit_test(health_needs_no_key),
        cmocka_unit_test(named_pages_may_ask),
        cmocka_unit_test(web_pages_are_refused_without_a_key),
        cmocka_unit_test(draining_finishes_what_runs),
        cmocka_unit_test(draining_refuses_new_jobs),
        cmocka_unit_test(destroy_cancels_what_runs),
        cmocka_unit_test(connections_are_bounded),
    };

    return cmocka_run_group_tests_name("api listen", tests, NULL, NULL);
}
