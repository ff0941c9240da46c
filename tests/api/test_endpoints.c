/* The endpoints that answer at once, and HTTP itself. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fake_options automatic = {.automatic = true, .fail_on_cancel = true};

static void health_names_model_and_device(void **state)
{
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/health", NULL, 200);
    assert_string_equal(json_string_value(json_object_get(v, "status")), "ok");
    assert_string_equal(json_string_value(json_object_get(v, "model")), "tiny");
    assert_string_equal(json_string_value(json_object_get(v, "device")), "Fake GPU");
    json_decref(v);
    fixture_stop(&f);
}

static char *tcp_body(const struct fixture *f, const char *path)
{
    struct client c;
    struct reply r;

    client_tcp(&c, f);
    client_get(&c, path);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    client_close(&c);
    free(r.head);
    return r.body;
}

/* Where files lie is for the socket's owner, also where one tenant makes everybody the owner. */
static void tcp_sees_no_paths(void **state)
{
    static const char *const paths[] = {"/v1/models", "/v1/models/tiny", "/v1/fulgur/status",
                                        "/v1/fulgur/cache"};
    static const char *const tenants[] = {NULL, "us"};
    struct fixture f;

    (void)state;
    for (int k = 0; k < 2; k++) {
        const struct fg_api_options opt = {.tcp_addr = "127.0.0.1:0", .tenant = tenants[k]};

        fixture_start(&f, NULL, &opt);
        for (size_t i = 0; i < 4; i++) {
            char *body = tcp_body(&f, paths[i]);

            assert_null(strstr(body, "/models/"));
            assert_null(strstr(body, "/cache"));
            free(body);
        }
        fixture_stop(&f);
    }
}

static void models_are_listed_and_found(void **state)
{
    static const char *const names[] = {"/v1/models/tiny", "/v1/models/tiny-q8_0.gguf",
                                        "/v1/models/%74iny?x=1"};
    const char *object, *id, *architecture, *numerics, *mode, *path;
    int context, created;
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/v1/models", NULL, 200);
    unpack(v, "{s:s, s:[{s:s, s:i, s:{s:i, s:s, s:s, s:s, s:s}}]}", "object", &object, "data", "id",
           &id, "created", &created, "fulgur", "context_tokens", &context, "architecture",
           &architecture, "numerics", &mode, "numerics_id", &numerics, "path", &path);
    assert_string_equal(object, "list");
    assert_string_equal(id, "tiny");
    assert_int_equal(created, 1700000000);
    assert_int_equal(context, 4096);
    assert_string_equal(architecture, "minimax-01");
    assert_string_equal(mode, "exact");
    assert_string_equal(numerics, "0123456789abcdef0123456789abcdef");
    assert_string_equal(path, "/models/tiny-q8_0.gguf");
    json_decref(v);
    for (size_t i = 0; i < 3; i++) {
        v = ask(&f, "GET", names[i], NULL, 200);
        assert_string_equal(json_string_value(json_object_get(v, "object")), "model");
        assert_string_equal(json_string_value(json_object_get(v, "id")), "tiny");
        json_decref(v);
    }
    v = ask(&f, "GET", "/v1/models/gpt-4", NULL, 404);
    assert_non_null(strstr(error_message(v), "\"tiny\""));
    assert_string_equal(error_code(v), "model_not_found");
    json_decref(v);
    fixture_stop(&f);
}

#define TOKENS(ids, n) "{\"tokens\":[" ids "],\"count\":" n ",\"max_model_len\":4096}"
#define SAID(text) "{\"content\":\"" text "\",\"prompt\":\"" text "\"}"
#define USER(text) "{\"role\": \"user\", \"content\": \"" text "\"}"

static void tokenizer_is_described(void **state)
{
    struct fixture f;
    const char *bos, *eos, *class, *chat;
    int bos_id, eos_id, add_bos, add_eos, longest, vocabulary;
    json_t *v, *none;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/tokenizer_info", NULL, 200);
    unpack(v, "{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:i, s:i}", "tokenizer_class", &class,
           "bos_token", &bos, "eos_token", &eos, "chat_template", &chat, "bos_token_id", &bos_id,
           "eos_token_id", &eos_id, "add_bos_token", &add_bos, "add_eos_token", &add_eos,
           "model_max_length", &longest, "vocab_size", &vocabulary);
    assert_string_equal(class, "PreTrainedTokenizerFast");
    assert_string_equal(bos, "<s>");
    assert_string_equal(eos, "</s>");
    assert_string_equal(chat, "{{ messages }}");
    assert_int_equal(bos_id, 1000);
    assert_int_equal(eos_id, 1001);
    assert_true(add_bos);
    assert_false(add_eos);
    assert_int_equal(longest, 4096);
    assert_int_equal(vocabulary, 2000);
    none = json_object_get(v, "pad_token");
    assert_true(json_is_null(none));
    assert_true(json_is_null(json_object_get(v, "pad_token_id")));
    json_decref(v);
    fixture_stop(&f);
}

/* One text, and of a chat nothing that its prompt would not have. */
static void one_text_is_tokenized(void **state)
{
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{\"prompt\": \"a\", \"content\": \"a\"}", "content"},
        {"{\"prompt\": \"a\", \"messages\": [" USER("a") "]}", "messages"},
        {"{\"content\": \"a\", \"messages\": [" USER("a") "]}", "messages"},
        {"{\"prompt\": [97]}", "prompt"},
        {"{\"prompt\": null}", "content"},
        {"{\"prompt\": \"a\", \"add_special_tokens\": 2}", "add_special_tokens"},
        {"{\"messages\": []}", "messages"},
        {"{\"messages\": [" USER("a") "], \"add_special_tokens\": true}", "add_special_tokens"},
        {"{\"messages\": [" USER("a") "], \"chat_template\": \"x\"}", "chat_template"},
        {"{\"messages\": [" USER("a") "], \"continue_final_message\": true}", NULL},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *v = ask(&f, "POST", "/tokenize", rows[i].body, 400), *error;
        const char *param;

        error = json_object_get(v, "error");
        param = json_string_value(json_object_get(error, "param"));
        if (rows[i].param)
            assert_string_equal(param, rows[i].param);
        else
            assert_null(param);
        json_decref(v);
    }
    fixture_stop(&f);
}

static void status_shows_running_jobs(void **state)
{
    const struct fake_options canceling = {.fail_on_cancel = true};
    const char *version, *device, *driver, *phase;
    struct fixture f;
    struct client c;
    int prompt, done, n;
    json_t *v;

    (void)state;
    fixture_start(&f, &canceling, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/completions", "{\"prompt\": \"x\"}");
    fake_backend_next(f.backend);
    v = ask(&f, "GET", "/v1/fulgur/status", NULL, 200);
    unpack(v, "{s:s, s:s, s:s, s:i, s:[{s:s, s:i, s:i}]}", "version", &version, "device", &device,
           "driver", &driver, "n_jobs", &n, "jobs", "phase", &phase, "prompt_tokens", &prompt,
           "done_tokens", &done);
    assert_string_equal(version, "1.2.3");
    assert_string_equal(device, "Fake GPU");
    assert_string_equal(driver, "none 1.0");
    assert_string_equal(phase, "prefill");
    assert_int_equal(n, 1);
    assert_int_equal(prompt, 100);
    assert_int_equal(done, 64);
    json_decref(v);
    client_close(&c);
    fixture_stop(&f);
}

static void cache_stats_are_complete(void **state)
{
    static const char *const names[] = {"blocks",         "states",        "block_bytes",
                                        "state_bytes",    "file_bytes",    NULL,
                                        "queued_bytes",   "evicted",       "dropped_corrupt",
                                        "dropped_full",   "dropped_queue", "write_errors",
                                        "hits_blocks",    "hits_states",   "bytes_written",
                                        "dropped_budget", "dropped_orphan"};
    const struct fake_options no_store = {.no_store = true};
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/v1/fulgur/cache", NULL, 200);
    assert_string_equal(json_string_value(json_object_get(v, "dir")), "/cache");
    assert_true(json_integer_value(json_object_get(v, "max_bytes")) == 1ll << 40);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i])
            assert_int_equal(json_integer_value(json_object_get(v, names[i])), i + 1);
    json_decref(v);
    fixture_stop(&f);
    fixture_start(&f, &no_store, NULL);
    v = ask(&f, "GET", "/v1/fulgur/cache", NULL, 404);
    assert_non_null(strstr(error_message(v), "without a store"));
    json_decref(v);
    fixture_stop(&f);
}

static void text_and_tokens_convert(void **state)
{
    static const struct {
        const char *path, *body, *answer;
    } rows[] = {
        {"/tokenize", "{\"content\": \"ab\"}", TOKENS("97,98", "2")},
        {"/tokenize", "{\"content\": \"a\\u0000b\"}", TOKENS("97,0,98", "3")},
        {"/tokenize", "{\"content\": \"a\", \"add_special\": true}", TOKENS("1000,97", "2")},
        {"/tokenize", "{\"content\": \"a\", \"parse_special\": false}", TOKENS("97,1001", "2")},
        {"/tokenize", "{\"content\": \"\", \"model\": \"tiny\"}", TOKENS("", "0")},
        {"/tokenize", "{\"prompt\": \"a\"}", TOKENS("1000,97", "2")},
        {"/tokenize", "{\"prompt\": \"a\", \"add_special_tokens\": false}", TOKENS("97", "1")},
        {"/tokenize", "{\"prompt\": \"a\", \"content\": null, \"add_special\": false}",
         TOKENS("97", "1")},
        {"/tokenize", "{\"messages\": [" USER("x") "," USER("hi") "]}", TOKENS("2,104,105", "3")},
        {"/detokenize", "{\"tokens\": [104, 105]}", SAID("hi")},
        {"/detokenize", "{\"tokens\": []}", SAID("")},
        {"/detokenize", "{\"tokens\": [195, 169, 195, 33]}", SAID("\xC3\xA9\xEF\xBF\xBD!")},
    };
    struct fixture f;
    json_t *v;
    char *dumped;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        v = ask(&f, "POST", rows[i].path, rows[i].body, 200);
        dumped = json_dumps(v, JSON_COMPACT);
        assert_string_equal(dumped, rows[i].answer);
        free(dumped);
        json_decref(v);
    }
    v = ask(&f, "POST", "/detokenize", "{\"tokens\": [1999]}", 400);
    assert_non_null(strstr(error_message(v), "token 1999 has no text"));
    json_decref(v);
    fixture_stop(&f);
}

/* Sends `request` and expects a JSON error of this status. */
static void expect_error(const struct fixture *f, const char *request, int status,
                         const char *allow)
{
    char value[128];
    struct client c;
    struct reply r;
    json_t *v;

    client_unix(&c, f);
    client_send(&c, request, strlen(request));
    client_read(&c, &r, false);
    if (r.status != status)
        fail_msg("%.60s: status %d, expected %d", request, r.status, status);
    assert_string_equal(reply_header(&r, "Content-Type", value), "application/json");
    if (allow)
        assert_string_equal(reply_header(&r, "Allow", value), allow);
    v = reply_json(&r);
    assert_true(strlen(error_message(v)) > 10);
    json_decref(v);
    reply_free(&r);
    client_close(&c);
}

static void http_errors_are_json(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *allow;
    } rows[] = {
        {"GET /nowhere HTTP/1.1\r\n\r\n", 404, NULL},
        {"GET /v1/models/ HTTP/1.1\r\n\r\n", 404, NULL},
        {"GET /health/ HTTP/1.1\r\n\r\n", 404, NULL},
        {"GET /he%00alth HTTP/1.1\r\n\r\n", 400, NULL},
        {"POST /health HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 405, "GET, HEAD, OPTIONS"},
        {"DELETE /v1/models/tiny HTTP/1.1\r\n\r\n", 405, "GET, HEAD, OPTIONS"},
        {"GET /v1/chat/completions HTTP/1.1\r\n\r\n", 405, "POST, OPTIONS"},
        {"PUT /v1/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405, "POST, OPTIONS"},
        {"PATCH /tokenize HTTP/1.1\r\n\r\n", 405, "POST, OPTIONS"},
        {"POST /tokenize HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, NULL},
        {"POST /tokenize HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415,
         NULL},
        /* What evhttp answers itself. */
        {"BREW /coffee HTTP/1.1\r\n\r\n", 501, NULL},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", 501, NULL},
        {"nonsense\r\n\r\n", 400, NULL},
        {"GET /health HTTP/1.1\r\nno colon\r\n\r\n", 400, NULL},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, NULL},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, NULL},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: 2\r\nExpect: miracles\r\n\r\n{}", 417, NULL},
        {"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, NULL},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(&f, rows[i].request, rows[i].status, rows[i].allow);
    fixture_stop(&f);
}

static void large_headers_and_bodies_are_refused(void **state)
{
    const struct fg_api_options api = {.max_body = 4096};
    const size_t n = 100000;
    char *request = malloc(n + 256);
    struct fixture f;
    int head;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, &api);
    head = sprintf(request, "GET /health HTTP/1.1\r\nX: ");
    memset(request + head, 'x', n);
    strcpy(request + head + n, "\r\n\r\n");
    expect_error(&f, request, 400, NULL);
    /* The whole body is sent before the answer is read, as simple clients do. */
    head = sprintf(request, "POST /tokenize HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
    memset(request + head, 'x', n);
    request[head + n] = '\0';
    expect_error(&f, request, 413, NULL);
    expect_error(&f,
                 "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "1001\r\n",
                 413, NULL);
    /* One that just fits. */
    head = sprintf(request, "{\"content\": \"");
    memset(request + head, 'x', 4096 - (size_t)head - 2);
    strcpy(request + 4094, "\"}");
    v = ask(&f, "POST", "/tokenize", request, 200);
    assert_int_equal(json_array_size(json_object_get(v, "tokens")), 4096 - head - 2);
    json_decref(v);
    free(request);
    fixture_stop(&f);
}

static void head_and_options_have_no_body(void **state)
{
    static const char request[] = "HEAD /health HTTP/1.1\r\n\r\nOPTIONS /tokenize HTTP/1.1\r\n\r\n"
                                  "GET /health HTTP/1.1\r\n\r\n";
    char value[128];
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    client_send(&c, request, sizeof request - 1);
    client_read(&c, &r, true);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Length", value), "50");
    reply_free(&r);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 204);
    assert_string_equal(reply_header(&r, "Allow", value), "POST, OPTIONS");
    reply_free(&r);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.bytes, 50);
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

static void connections_are_kept_and_pipelined(void **state)
{
    static const char completion[] = "POST /v1/completions HTTP/1.1\r\nContent-Length: 34\r\n\r\n"
                                     "{\"prompt\": \"abc\", \"stream\": false}";
    static const char stream[] = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                                 "\r\n8\r\n{\"prompt\r\n19\r\n\": \"abc\", \"stream\": true}\r\n"
                                 "0\r\n\r\n";
    char all[1024];
    struct fixture f;
    struct client c;
    struct reply r;
    int n;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    client_unix(&c, &f);
    n = snprintf(all, sizeof all, "%s%sGET /health HTTP/1.1\r\n\r\n%s", completion, stream,
                 completion);
    for (int round = 0; round < 20; round++) {
        client_send(&c, all, (size_t)n);
        for (int i = 0; i < 4; i++) {
            client_read(&c, &r, false);
            assert_int_equal(r.status, 200);
            assert_non_null(strstr(r.body, i == 2 ? "Fake GPU" : "world"));
            assert_true((strstr(r.body, "[DONE]") != NULL) == (i == 1));
            reply_free(&r);
        }
    }
    client_close(&c);
    fixture_stop(&f);
}

static void old_clients_and_continue_work(void **state)
{
    static const char old[] = "POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\n"
                              "Content-Length: 31\r\n\r\n{\"prompt\": \"a\", \"stream\": true}";
    static const char expect[] = "POST /tokenize HTTP/1.1\r\nExpect: 100-continue\r\n"
                                 "Content-Length: 16\r\nConnection: close\r\n\r\n";
    char value[128], line[128];
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    client_unix(&c, &f);
    client_send(&c, old, sizeof old - 1);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Transfer-Encoding", value), "");
    assert_non_null(strstr(r.body, "data: [DONE]\n\n"));
    reply_free(&r);
    client_close(&c);
    client_unix(&c, &f);
    client_send(&c, expect, sizeof expect - 1);
    client_read_line(&c, line); /* before the body has been sent */
    assert_string_equal(line, "HTTP/1.1 100 Continue\r\n");
    client_read_line(&c, line);
    client_send(&c, "{\"content\":\"ab\"}", 16);
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, TOKENS("97,98", "2"));
    assert_true(client_at_end(&c));
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

/* An answer that cannot be put together is an error in its API's form, with a text. */
static void no_memory_is_an_error(void **state)
{
    static const struct fake_options no_time = {.no_time = true};
    static const struct {
        const char *path, *body;
    } asked[] = {
        {"/v1/chat/completions", "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}"},
        {"/v1/messages",
         "{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}"},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, &no_time, NULL);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const char *message, *type;
        struct client c;
        struct fg_job *job = fixture_post(&f, &c, asked[i].path, asked[i].body);
        struct reply r;
        json_t *v;

        fake_job_delta(job, "Hi", NULL, 0);
        fake_job_done(job, FG_FINISH_STOP);
        client_read(&c, &r, false);
        assert_int_equal(r.status, 500);
        v = json_loads(r.body, 0, NULL);
        unpack(v, "{s:{s:s, s:s}}", "error", "message", &message, "type", &type);
        assert_string_equal(message, "out of memory");
        assert_string_equal(type, i ? "api_error" : "server_error");
        json_decref(v);
        reply_free(&r);
        client_close(&c);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_names_model_and_device),
        cmocka_unit_test(tcp_sees_no_paths),
        cmocka_unit_test(models_are_listed_and_found),
        cmocka_unit_test(status_shows_running_jobs),
        cmocka_unit_test(cache_stats_are_complete),
        cmocka_unit_test(text_and_tokens_convert),
        cmocka_unit_test(tokenizer_is_described),
        cmocka_unit_test(one_text_is_tokenized),
        cmocka_unit_test(http_errors_are_json),
        cmocka_unit_test(large_headers_and_bodies_are_refused),
        cmocka_unit_test(head_and_options_have_no_body),
        cmocka_unit_test(connections_are_kept_and_pipelined),
        cmocka_unit_test(old_clients_and_continue_work),
        cmocka_unit_test(no_memory_is_an_error),
    };

    return cmocka_run_group_tests_name("api endpoints", tests, NULL, NULL);
}
