/* The short calls: tokens, health, models, status, cache. And making a handle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fulgur/client.h"
#include "scripted_server.h"

#define JSON "application/json"
#define OK "200 OK"

/* A server with one answer, and a client of it. */
struct pair {
    struct script script;
    struct scripted_server server;
    struct fg_client *client;
    struct fg_err err;
};

static void begin(struct pair *p, const char *status, const char *body)
{
    struct fg_client_options options = {0};

    p->script = (struct script){status, JSON, body, SCRIPT_BYTES};
    scripted_server_start(&p->server, &p->script, 1);
    options.socket_path = p->server.path;
    assert_int_equal(fg_client_create(&options, &p->client, &p->err), 0);
}

/* Checks the request's line too. */
static void end(struct pair *p, const char *line)
{
    fg_client_destroy(p->client);
    scripted_server_stop(&p->server);
    assert_non_null(p->server.head);
    assert_memory_equal(p->server.head, line, strlen(line));
    scripted_server_finish(&p->server);
}

static void test_tokenize(void **state)
{
    static const struct {
        const char *body;
        const char *line;
    } bad[] = {
        {"{}", "answer.tokens is missing, should be an array of ids"},
        {"{\"tokens\":5}", "answer.tokens is an integer"},
        {"{\"tokens\":[1,\"2\"]}", "tokens[1] should be an id"},
        {"{\"tokens\":[-1]}", "tokens[0] should be an id"},
        {"{\"tokens\":[2147483648]}", "tokens[0] should be an id"},
        {"[1]", "/tokenize is an array, should be an object"},
        {"", "/tokenize is not JSON"},
    };
    struct pair p;
    struct fg_client_tokens tokens;

    (void)state;
    begin(&p, OK, "{\"tokens\":[1,0,2147483647]}");
    assert_int_equal(
        fg_client_tokenize(p.client, "a\0b", 3, FG_TOKENIZE_ADD_SPECIAL, &tokens, &p.err), 0);
    assert_int_equal(tokens.n, 3);
    assert_int_equal(tokens.ids[0], 1);
    assert_int_equal(tokens.ids[1], 0);
    assert_int_equal(tokens.ids[2], INT32_MAX);
    free(tokens.ids);
    assert_int_equal(fg_client_tokenize(p.client, "a\xFF", 2, 0, &tokens, &p.err), FG_EINVAL);
    assert_string_equal(p.err.text, "tokenize: the text is not UTF-8 at byte 1");
    fg_client_destroy(p.client);
    scripted_server_stop(&p.server);
    assert_memory_equal(p.server.head, "POST /tokenize HTTP/1.1\r\n", 25);
    assert_string_equal(p.server.body,
                        "{\"content\":\"a\\u0000b\",\"add_special\":true,\"parse_special\":true}");
    scripted_server_finish(&p.server);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(&p, OK, bad[i].body);
        assert_int_equal(fg_client_tokenize(p.client, "", 0, FG_TOKENIZE_PLAIN, &tokens, &p.err),
                         FG_EFORMAT);
        assert_non_null(strstr(p.err.text, bad[i].line));
        assert_null(tokens.ids);
        end(&p, "POST /tokenize HTTP/1.1\r\n");
    }
}

static void test_detokenize(void **state)
{
    static const int32_t ids[] = {5, 6};
    struct pair p;
    char *text;
    size_t n;

    (void)state;
    begin(&p, OK, "{\"content\":\"a\\u0000\\uFFFD\"}");
    assert_int_equal(fg_client_detokenize(p.client, ids, 2, &text, &n, &p.err), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "a\0\xEF\xBF\xBD\0", 6);
    free(text);
    fg_client_destroy(p.client);
    scripted_server_stop(&p.server);
    assert_string_equal(p.server.body, "{\"tokens\":[5,6]}");
    scripted_server_finish(&p.server);

    begin(&p, OK, "{\"content\":null}");
    assert_int_equal(fg_client_detokenize(p.client, NULL, 0, &text, &n, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "answer.content is missing, should be a string"));
    assert_null(text);
    end(&p, "POST /detokenize HTTP/1.1\r\n");
}

static void test_health(void **state)
{
    struct fg_client_health h;
    struct pair p;

    (void)state;
    begin(&p, OK, "{\"status\":\"ok\",\"model\":\"tiny\",\"device\":\"cpu\"}");
    assert_int_equal(fg_client_health(p.client, &h, &p.err), 0);
    assert_false(h.draining);
    assert_string_equal(h.status, "ok");
    assert_string_equal(h.model, "tiny");
    assert_string_equal(h.device, "cpu");
    fg_client_health_finish(&h);
    fg_client_health_finish(&h); /* all zero now */
    end(&p, "GET /health HTTP/1.1\r\n");

    begin(&p, "503 No", "{\"status\":\"draining\"}");
    assert_int_equal(fg_client_health(p.client, &h, &p.err), 0);
    assert_true(h.draining);
    assert_string_equal(h.status, "draining");
    assert_string_equal(h.model, "");
    fg_client_health_finish(&h);
    end(&p, "GET /health HTTP/1.1\r\n");

    begin(&p, "503 No", "{\"error\":{\"message\":\"too busy\"}}");
    assert_int_equal(fg_client_health(p.client, &h, &p.err), FG_EBUSY);
    assert_string_equal(p.err.text, "too busy");
    end(&p, "GET /health HTTP/1.1\r\n");

    begin(&p, OK, "{\"status\":\"ok\",\"model\":5}");
    assert_int_equal(fg_client_health(p.client, &h, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "health.model is an integer, should be a string"));
    end(&p, "GET /health HTTP/1.1\r\n");
}

static void test_models(void **state)
{
    struct fg_client_models m;
    struct pair p;

    (void)state;
    begin(&p, OK,
          "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\",\"fulgur\":{\"context_tokens\":4096,"
          "\"architecture\":\"llama\",\"numerics_id\":\"abc\"}},{\"id\":\"other\"}]}");
    assert_int_equal(fg_client_models(p.client, &m, &p.err), 0);
    assert_int_equal(m.n_models, 2);
    assert_string_equal(m.models[0].name, "tiny");
    assert_string_equal(m.models[0].architecture, "llama");
    assert_string_equal(m.models[0].numerics_id, "abc");
    assert_string_equal(m.models[0].path, "");
    assert_int_equal(m.models[0].context_tokens, 4096);
    assert_string_equal(m.models[1].name, "other");
    assert_int_equal(m.models[1].context_tokens, 0);
    fg_client_models_finish(&m);
    end(&p, "GET /v1/models HTTP/1.1\r\n");

    begin(&p, OK, "{\"data\":[{\"id\":\"tiny\"},7]}");
    assert_int_equal(fg_client_models(p.client, &m, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "data[1] should be an object"));
    end(&p, "GET /v1/models HTTP/1.1\r\n");

    begin(&p, OK, "{\"data\":[{\"id\":\"tiny\",\"fulgur\":{\"context_tokens\":\"4\"}}]}");
    assert_int_equal(fg_client_models(p.client, &m, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "data[].fulgur.context_tokens is a string"));
    end(&p, "GET /v1/models HTTP/1.1\r\n");
}

static void test_status(void **state)
{
    struct fg_client_status s;
    struct pair p;

    (void)state;
    begin(&p, OK,
          "{\"version\":\"0.1.0\",\"model\":{\"id\":\"tiny\",\"architecture\":\"llama\","
          "\"context_tokens\":512},\"device\":\"cpu\",\"driver\":\"d\",\"jobs\":[{\"id\":7,"
          "\"phase\":\"prefill\",\"prompt_tokens\":100,\"done_tokens\":64,\"reused_tokens\":32,"
          "\"generated_tokens\":1,\"age_ms\":12.5},{\"id\":8,\"phase\":\"queued\"}]}");
    assert_int_equal(fg_client_status(p.client, &s, &p.err), 0);
    assert_string_equal(s.version, "0.1.0");
    assert_string_equal(s.device, "cpu");
    assert_string_equal(s.driver, "d");
    assert_string_equal(s.model.name, "tiny");
    assert_int_equal(s.model.context_tokens, 512);
    assert_int_equal(s.n_jobs, 2);
    assert_int_equal(s.jobs[0].id, 7);
    assert_string_equal(s.jobs[0].phase, "prefill");
    assert_int_equal(s.jobs[0].prompt_tokens, 100);
    assert_int_equal(s.jobs[0].done_tokens, 64);
    assert_int_equal(s.jobs[0].reused_tokens, 32);
    assert_int_equal(s.jobs[0].generated_tokens, 1);
    assert_true(s.jobs[0].age_ms == 12.5);
    assert_int_equal(s.jobs[1].id, 8);
    fg_client_status_finish(&s);
    end(&p, "GET /v1/fulgur/status HTTP/1.1\r\n");

    begin(&p, OK, "{\"jobs\":[{\"phase\":\"x\"},{\"phase\":1}]}");
    assert_int_equal(fg_client_status(p.client, &s, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "jobs[].phase is an integer"));
    end(&p, "GET /v1/fulgur/status HTTP/1.1\r\n");

    begin(&p, OK, "{\"model\":\"tiny\",\"jobs\":[]}");
    assert_int_equal(fg_client_status(p.client, &s, &p.err), FG_EFORMAT);
    assert_non_null(strstr(p.err.text, "status.model is a string, should be an object"));
    end(&p, "GET /v1/fulgur/status HTTP/1.1\r\n");
}

/* The words for where a prompt's beginning came from; one that this library does not know is not an
 * error. */
static void test_sources(void **state)
{
    static const struct {
        const char *word, *name;
        enum fg_client_source source;
    } rows[] = {
        {"none", "none", FG_CLIENT_SOURCE_NONE},     {"vram", "vram", FG_CLIENT_SOURCE_VRAM},
        {"ram", "ram", FG_CLIENT_SOURCE_RAM},        {"store", "store", FG_CLIENT_SOURCE_STORE},
        {"clouds", "other", FG_CLIENT_SOURCE_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fg_client_request request;
        struct fg_client_forecast f;
        struct pair p;
        char body[256];

        snprintf(body, sizeof body,
                 "{\"prompt_tokens\":3,\"fulgur\":{\"cache\":{\"source\":\"%s\"}}}", rows[i].word);
        begin(&p, OK, body);
        fg_client_request_init(&request);
        request.prompt = "a";
        request.prompt_bytes = 1;
        assert_int_equal(fg_client_explain(p.client, &request, &f, &p.err), 0);
        assert_int_equal(f.account.source, rows[i].source);
        assert_string_equal(fg_client_source_name(f.account.source), rows[i].name);
        end(&p, "POST /v1/fulgur/cache/explain HTTP/1.1\r\n");
    }
}

static void test_cache(void **state)
{
    struct fg_client_cache_stats s;
    struct pair p;

    (void)state;
    begin(&p, OK,
          "{\"dir\":\"/var/cache/f\",\"blocks\":1,\"states\":2,\"block_bytes\":3,\"state_bytes\":4,"
          "\"file_bytes\":5,\"max_bytes\":9007199254740993,\"queued_bytes\":7,\"evicted\":8,"
          "\"dropped_corrupt\":9,\"dropped_full\":10,\"dropped_queue\":11,\"write_errors\":12,"
          "\"hits_blocks\":13,\"hits_states\":14,\"bytes_written\":15,\"dropped_budget\":16,"
          "\"dropped_orphan\":17,\"documents\":18,\"document_bytes\":19,\"hits_documents\":20}");
    assert_int_equal(fg_client_cache_stats(p.client, &s, &p.err), 0);
    assert_string_equal(s.dir, "/var/cache/f");
    const uint64_t got[] = {s.blocks,          s.states,       s.block_bytes,    s.state_bytes,
                            s.file_bytes,      s.max_bytes,    s.queued_bytes,   s.evicted,
                            s.dropped_corrupt, s.dropped_full, s.dropped_queue,  s.write_errors,
                            s.hits_blocks,     s.hits_states,  s.bytes_written,  s.dropped_budget,
                            s.dropped_orphan,  s.documents,    s.document_bytes, s.hits_documents};
    for (size_t i = 0; i < sizeof got / sizeof got[0]; i++) {
        assert_int_equal(got[i], i == 5 ? 9007199254740993 : i + 1);
    }
    fg_client_cache_stats_finish(&s);
    end(&p, "GET /v1/fulgur/cache HTTP/1.1\r\n");

    begin(&p, "404 Not Found", "{\"error\":{\"message\":\"runs without a store\"}}");
    assert_int_equal(fg_client_cache_stats(p.client, &s, &p.err), FG_ENOTFOUND);
    assert_string_equal(p.err.text, "runs without a store");
    end(&p, "GET /v1/fulgur/cache HTTP/1.1\r\n");
}

static void test_get(void **state)
{
    static const char *const bad[] = {"", "v1", "/a b", "/a\r\nX: y", "/\xC3\xA9"};
    struct pair p;
    char *json;
    size_t n;

    (void)state;
    begin(&p, OK, " {\"a\" : 1}\n");
    assert_int_equal(fg_client_get(p.client, "/v1/x", &json, &n, &p.err), 0);
    assert_int_equal(n, 11);
    assert_string_equal(json, " {\"a\" : 1}\n"); /* as it came */
    free(json);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(fg_client_get(p.client, bad[i], &json, &n, &p.err), FG_EINVAL);
    }
    end(&p, "GET /v1/x HTTP/1.1\r\n");
}

static void test_call_timeout(void **state)
{
    struct script script = {OK, JSON, "{", SCRIPT_HOLD};
    struct fg_client_options options = {.call_timeout_ms = 50};
    struct fg_client_health h;
    struct scripted_server server;
    struct fg_client *client;
    struct fg_err err;

    (void)state;
    scripted_server_start(&server, &script, 1);
    options.socket_path = server.path;
    assert_int_equal(fg_client_create(&options, &client, &err), 0);
    assert_int_equal(fg_client_health(client, &h, &err), FG_EIO);
    assert_non_null(strstr(err.text, "did not answer within 50 ms"));
    fg_client_destroy(client);
    scripted_server_stop(&server);
    assert_true(server.saw_close);
    scripted_server_finish(&server);
}

static void test_create(void **state)
{
    static const char *const bad_urls[] = {"127.0.0.1:80", "ftp://x",    "http://", "http://x/v1",
                                           "http://u@x",   "http://x?a", "http:///"};
    struct fg_client_options options = {0};
    struct fg_client *client;
    struct fg_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad_urls / sizeof bad_urls[0]; i++) {
        options.base_url = bad_urls[i];
        assert_int_equal(fg_client_create(&options, &client, &err), FG_EINVAL);
        assert_non_null(strstr(err.text, bad_urls[i]));
        assert_null(client);
    }
    options.base_url = "http://127.0.0.1:1/";
    assert_int_equal(fg_client_create(&options, &client, &err), 0);
    assert_string_equal(fg_client_address(client), "http://127.0.0.1:1/");
    fg_client_destroy(client);
    options.socket_path = "/x";
    assert_int_equal(fg_client_create(&options, &client, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "give one"));
    options.base_url = NULL;
    options.api_key = "a\r\nX-Evil: 1";
    assert_int_equal(fg_client_create(&options, &client, &err), FG_EINVAL);
    assert_non_null(strstr(err.text, "at offset 1"));
    options.api_key = NULL;
    options.socket_path = "";
    assert_int_equal(fg_client_create(&options, &client, &err), FG_EINVAL);
    fg_client_destroy(NULL);
    fg_client_result_finish(NULL);
    assert_string_equal(fg_version(), FG_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenize),     cmocka_unit_test(test_detokenize),
        cmocka_unit_test(test_health),       cmocka_unit_test(test_models),
        cmocka_unit_test(test_status),       cmocka_unit_test(test_cache),
        cmocka_unit_test(test_sources),      cmocka_unit_test(test_get),
        cmocka_unit_test(test_call_timeout), cmocka_unit_test(test_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
