/* Whose a request is, by door, user and key, and what one tenant is shown of another. */
#include "fake_operation.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY "{\"prompt\": \"x\"}"

enum { OTHER_UID = 65534 };

static const char *const two_keys[] = {"alpha", "beta"};
static const struct fg_api_options with_keys = {
    .tcp_addr = "127.0.0.1:0", .api_keys = two_keys, .n_api_keys = 2};
static const struct fake_options waiting = {.fail_on_cancel = true};

/* `key`: shown in Authorization; NULL: no such header. `body` NULL: GET. */
static void send_request(struct client *c, const char *path, const char *key, const char *body)
{
    char request[512];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\n",
                     body ? "POST" : "GET", path);

    if (key)
        n += snprintf(request + n, sizeof request - (size_t)n, "Authorization: Bearer %s\r\n", key);
    n += snprintf(request + n, sizeof request - (size_t)n, "Content-Length: %zu\r\n\r\n%s",
                  body ? strlen(body) : 0, body ? body : "");
    assert_true(client_send(c, request, (size_t)n));
}

static json_t *receive(struct client *c, int status)
{
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, status);
    v = reply_json(&r);
    reply_free(&r);
    return v;
}

/* The tenant of the next job that is submitted, as the fake backend names it; ends the job. */
static void expect_tenant(const struct fixture *f, const char *name)
{
    struct fg_job *job = fake_backend_next(f->backend);
    char found[17] = "";

    memcpy(found, fake_job_request(job)->tenant.id, 16);
    assert_string_equal(found, name);
    fake_job_done(job, FG_FINISH_STOP);
}

static void complete(const struct fixture *f, struct client *c, const char *key, const char *tenant)
{
    send_request(c, "/v1/completions", key, BODY);
    expect_tenant(f, tenant);
    json_decref(receive(c, 200));
}

static void my_uid(char out[24])
{
    snprintf(out, 24, "uid:%lu", (unsigned long)geteuid());
}

static void the_socket_tells_the_user(void **state)
{
    struct fixture f;
    struct client c;
    char uid[24];

    (void)state;
    my_uid(uid);
    fixture_start(&f, NULL, &with_keys);
    client_unix(&c, &f);
    complete(&f, &c, NULL, uid);
    complete(&f, &c, "beta", uid); /* keys are TCP's */
    client_close(&c);
    fixture_stop(&f);
}

static void tcp_without_keys_is_one_tenant(void **state)
{
    const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0"};
    struct fixture f;
    struct client c;

    (void)state;
    fixture_start(&f, NULL, &opt);
    client_tcp(&c, &f);
    complete(&f, &c, NULL, "tcp:open");
    complete(&f, &c, "any", "tcp:open"); /* clients that must send one */
    client_close(&c);
    fixture_stop(&f);
}

/* The request's key counts, not the connection's. */
static void each_key_is_a_tenant(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_start(&f, NULL, &with_keys);
    client_tcp(&c, &f);
    complete(&f, &c, "alpha", "key:alpha");
    complete(&f, &c, "beta", "key:beta");
    send_request(&c, "/v1/completions", "gamma", BODY);
    json_decref(receive(&c, 401));
    client_close(&c);
    client_tcp(&c, &f);
    send_request(&c, "/v1/completions", NULL, BODY);
    json_decref(receive(&c, 401));
    client_close(&c);
    client_tcp(&c, &f);
    complete(&f, &c, "alpha", "key:alpha");
    /* Pipelined: the second is read while the first is computed. */
    send_request(&c, "/v1/completions", "beta", BODY);
    send_request(&c, "/v1/completions", "alpha", BODY);
    expect_tenant(&f, "key:beta");
    expect_tenant(&f, "key:alpha");
    json_decref(receive(&c, 200));
    json_decref(receive(&c, 200));
    assert_int_equal(fake_backend_submitted(f.backend), 5);
    client_close(&c);
    fixture_stop(&f);
}

static void a_named_tenant_is_everybodys(void **state)
{
    struct fg_api_options opt = with_keys;
    struct fixture f;
    struct client unix_client, tcp;

    (void)state;
    opt.tenant = "team";
    fixture_start(&f, NULL, &opt);
    client_unix(&unix_client, &f);
    client_tcp(&tcp, &f);
    complete(&f, &unix_client, NULL, "name:team");
    complete(&f, &tcp, "alpha", "name:team");
    complete(&f, &tcp, "beta", "name:team");
    send_request(&tcp, "/v1/completions", "gamma", BODY); /* a key is asked all the same */
    json_decref(receive(&tcp, 401));
    client_close(&tcp);
    client_close(&unix_client);
    opt.n_api_keys = 0;
    fixture_stop(&f);
    fixture_start(&f, NULL, &opt);
    client_tcp(&tcp, &f);
    complete(&f, &tcp, NULL, "name:team");
    client_close(&tcp);
    fixture_stop(&f);
}

/* --- what is shown --- */

static int count(const json_t *v, const char *name)
{
    const json_t *n = json_object_get(v, name);

    return n ? (int)json_integer_value(n) : -1;
}

/* Jobs listed in the status, their count, and the count of all (-1: not shown). */
static void check_status(struct client *c, const char *key, int mine, int all)
{
    json_t *v;

    send_request(c, "/v1/fulgur/status", key, NULL);
    v = receive(c, 200);
    assert_int_equal(json_array_size(json_object_get(v, "jobs")), mine);
    assert_int_equal(count(v, "n_jobs"), mine);
    assert_int_equal(count(v, "n_jobs_all"), all);
    json_decref(v);
}

static void check_stats(struct client *c, const char *key, bool all)
{
    json_t *v;

    send_request(c, "/v1/fulgur/cache", key, NULL);
    v = receive(c, 200);
    assert_string_equal(json_string_value(json_object_get(v, "scope")), all ? "all" : "tenant");
    assert_true(json_integer_value(json_object_get(v, "max_bytes")) == 1ll << 40);
    if (all)
        assert_int_equal(count(v, "hits_blocks"), 13);
    else
        assert_int_equal(json_object_size(v), 2);
    json_decref(v);
}

static void others_see_their_own(void **state)
{
    struct client jobs[3], tcp, unix_client;
    struct fixture f;

    (void)state;
    fixture_start(&f, &waiting, &with_keys);
    for (int i = 0; i < 2; i++) {
        client_tcp(&jobs[i], &f);
        send_request(&jobs[i], "/v1/completions", "alpha", BODY);
        fake_backend_next(f.backend);
    }
    client_unix(&jobs[2], &f);
    send_request(&jobs[2], "/v1/completions", NULL, BODY);
    fake_backend_next(f.backend);
    client_tcp(&tcp, &f);
    client_unix(&unix_client, &f);
    check_status(&tcp, "alpha", 2, -1);
    check_status(&tcp, "beta", 0, -1);
    check_status(&unix_client, NULL, 1, 3);
    check_stats(&tcp, "alpha", false);
    check_stats(&unix_client, NULL, true);
    for (int i = 0; i < 3; i++)
        client_close(&jobs[i]);
    client_close(&unix_client);
    client_close(&tcp);
    fixture_stop(&f);
}

static void a_named_tenant_sees_all(void **state)
{
    struct fg_api_options opt = with_keys;
    struct client job, tcp;
    struct fixture f;

    (void)state;
    opt.tenant = "team";
    fixture_start(&f, &waiting, &opt);
    client_unix(&job, &f);
    send_request(&job, "/v1/completions", NULL, BODY);
    fake_backend_next(f.backend);
    client_tcp(&tcp, &f);
    check_status(&tcp, "beta", 1, 1);
    check_stats(&tcp, "beta", true);
    client_close(&job);
    client_close(&tcp);
    fixture_stop(&f);
}

/* --- another user --- */

/* In a child: no assertion of cmocka's may run there. True when `text` is in the answer. */
static bool child_asks(const struct fixture *f, const char *path, const char *body,
                       const char *text)
{
    struct client c;
    struct reply r;
    bool found;

    client_unix(&c, f);
    send_request(&c, path, NULL, body);
    client_read(&c, &r, false);
    found = r.status == 200 && strstr(r.body, text);
    reply_free(&r);
    client_close(&c);
    return found;
}

static pid_t as_other_user(const struct fixture *f, bool (*work)(const struct fixture *f))
{
    pid_t pid = fork();

    if (pid == 0) {
        if (setgid(OTHER_UID) != 0 || setuid(OTHER_UID) != 0)
            _exit(2);
        _exit(work(f) ? 0 : 1);
    }
    assert_true(pid > 0);
    return pid;
}

static bool looks_around(const struct fixture *f)
{
    return child_asks(f, "/v1/fulgur/status", NULL, "\"jobs\":[]") &&
           !child_asks(f, "/v1/fulgur/status", NULL, "n_jobs_all") &&
           child_asks(f, "/v1/fulgur/cache", NULL, "\"scope\":\"tenant\"");
}

static bool completes(const struct fixture *f)
{
    return child_asks(f, "/v1/completions", BODY, "text_completion");
}

static void another_user_is_another_tenant(void **state)
{
    char name[24], dir[128];
    struct fixture f;
    struct client c;
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    fixture_start(&f, &waiting, NULL);
    /* The socket is 0600 in a 0700 directory; whoever opens it up is told apart all the same. */
    snprintf(dir, sizeof dir, "%s/run", f.dir);
    assert_int_equal(chmod(f.dir, 0711) | chmod(dir, 0711) | chmod(f.path, 0666), 0);
    client_unix(&c, &f);
    send_request(&c, "/v1/completions", NULL, BODY);
    fake_backend_next(f.backend);
    pid = as_other_user(&f, looks_around);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    client_close(&c);
    pid = as_other_user(&f, completes);
    snprintf(name, sizeof name, "uid:%d", OTHER_UID);
    expect_tenant(&f, name);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fixture_stop(&f);
}

/* --- who may change what is stored --- */

/* The status that each of the operations gets: all of them, and what of the answer's message. */
static void check_changes(struct client *c, const char *key, const int expected[4])
{
    static const struct {
        const char *path, *body;
    } asked[4] = {{"/v1/fulgur/cache/forget", "{\"all\": true}"},
                  {"/v1/fulgur/cache/import", "pack"},
                  {"/v1/fulgur/cache/gc", "{}"},
                  {"/v1/fulgur/cache/import?unsigned=true", "pack"}};
    unsigned before;

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        json_t *v;

        before = fake_operation_started();
        send_request(c, asked[i].path, key, asked[i].body);
        v = receive(c, expected[i]);
        if (expected[i] == 403) {
            assert_non_null(strstr(error_message(v), "the Unix socket"));
            assert_int_equal(fake_operation_started(), before);
        }
        json_decref(v);
    }
    /* What changes nothing that is right is everybody's. */
    send_request(c, "/v1/fulgur/cache/verify", key, "{\"all\": true}");
    json_decref(receive(c, 200));
    send_request(c, "/v1/fulgur/cache/ls", key, NULL);
    json_decref(receive(c, 200));
}

static void changes_are_for_who_runs_the_daemon(void **state)
{
    static const struct {
        bool keys, tenant, option;
        int tcp[4]; /* forget, import, gc, import unsigned */
    } rows[] = {
        {false, false, false, {403, 403, 403, 403}}, {false, false, true, {200, 200, 403, 403}},
        {true, false, false, {200, 403, 403, 403}},  {true, false, true, {200, 200, 403, 403}},
        {false, true, false, {403, 403, 403, 403}},  {false, true, true, {200, 200, 200, 403}},
        {true, true, false, {403, 403, 403, 403}},   {true, true, true, {200, 200, 200, 403}},
    };
    static const int all[4] = {200, 200, 200, 200};
    const struct fake_options fake = {.automatic = true};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0",
                                     .api_keys = two_keys,
                                     .n_api_keys = rows[i].keys ? 2 : 0,
                                     .tenant = rows[i].tenant ? "team" : NULL,
                                     .tcp_operations = rows[i].option};
        struct client tcp, unix_client;
        struct fixture f;

        fixture_start(&f, &fake, &opt);
        client_tcp(&tcp, &f);
        client_unix(&unix_client, &f);
        check_changes(&tcp, rows[i].keys ? "alpha" : NULL, rows[i].tcp);
        check_changes(&unix_client, NULL, all);
        client_close(&tcp);
        client_close(&unix_client);
        fixture_stop(&f);
    }
}

/* True when the answer has that status. */
static bool child_gets(const struct fixture *f, const char *path, const char *body, int status)
{
    struct client c;
    struct reply r;
    bool right;

    client_unix(&c, f);
    send_request(&c, path, NULL, body);
    client_read(&c, &r, false);
    right = r.status == status;
    reply_free(&r);
    client_close(&c);
    return right;
}

static bool may_change_its_own(const struct fixture *f)
{
    return child_gets(f, "/v1/fulgur/cache/forget", "{\"all\": true}", 200) &&
           child_gets(f, "/v1/fulgur/cache/import", "pack", 200) &&
           child_gets(f, "/v1/fulgur/cache/import?unsigned=true", "pack", 403) &&
           child_gets(f, "/v1/fulgur/cache/gc", "{}", 403);
}

static bool may_change_nothing(const struct fixture *f)
{
    return child_gets(f, "/v1/fulgur/cache/forget", "{\"all\": true}", 403) &&
           child_gets(f, "/v1/fulgur/cache/import", "pack", 403) &&
           child_gets(f, "/v1/fulgur/cache/import?unsigned=true", "pack", 403) &&
           child_gets(f, "/v1/fulgur/cache/gc", "{}", 403);
}

static void another_user_changes_its_own(void **state)
{
    const struct fake_options fake = {.automatic = true};

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    for (int shared = 0; shared < 2; shared++) {
        const struct fg_api_options opt = {.tenant = shared ? "team" : NULL};
        struct fixture f;
        char dir[128];
        int status;
        pid_t pid;

        fixture_start(&f, &fake, &opt);
        snprintf(dir, sizeof dir, "%s/run", f.dir);
        assert_int_equal(chmod(f.dir, 0711) | chmod(dir, 0711) | chmod(f.path, 0666), 0);
        pid = as_other_user(&f, shared ? may_change_nothing : may_change_its_own);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        fixture_stop(&f);
    }
}

static void empty_names_are_refused(void **state)
{
    static const char *const empty[] = {"good", ""};
    struct fg_api_options opt = {.socket_path = "/nonexistent/s", .tenant = ""};
    const struct fake_options none = {0};
    struct fake_backend *backend = fake_backend_create(&none);
    struct fg_backend table;
    struct fg_err err = {0};
    struct fg_api *api;

    (void)state;
    fake_backend_table(backend, &table);
    opt.backend = &table;
    assert_int_equal(fg_api_create(&opt, &api, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "tenant"));
    opt.tenant = NULL;
    opt.api_keys = empty;
    opt.n_api_keys = 2;
    assert_int_equal(fg_api_create(&opt, &api, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "API key"));
    assert_null(strstr(err.text, "good"));
    fake_backend_destroy(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_tells_the_user),
        cmocka_unit_test(tcp_without_keys_is_one_tenant),
        cmocka_unit_test(each_key_is_a_tenant),
        cmocka_unit_test(a_named_tenant_is_everybodys),
        cmocka_unit_test(others_see_their_own),
        cmocka_unit_test(a_named_tenant_sees_all),
        cmocka_unit_test(another_user_is_another_tenant),
        cmocka_unit_test(changes_are_for_who_runs_the_daemon),
        cmocka_unit_test(another_user_changes_its_own),
        cmocka_unit_test(empty_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
