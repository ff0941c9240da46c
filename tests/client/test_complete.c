/* Completions over a socket: requests, streams, cancellation. */
#include <jansson.h>

#include "asking.h"
#include "base/buffer.h"

static void test_stream(void **state)
{
    static const enum script_mode modes[] = {SCRIPT_WHOLE, SCRIPT_BYTES};

    (void)state;
    for (size_t i = 0; i < LENGTH(modes); i++) {
        struct script script = {OK, SSE "; charset=utf-8", CHAT_STREAM, modes[i]};
        struct scripted_server server;
        struct fg_client_result result;
        struct seen seen = {0};
        struct fg_err err;

        assert_int_equal(ask(&script, &seen, &result, &err, &server), 0);
        check_chat(&seen, &result);
        fg_client_result_finish(&result);
        scripted_server_finish(&server);
    }
}

static void test_collected(void **state)
{
    struct script scripts[] = {{OK, SSE, CHAT_STREAM, SCRIPT_WHOLE},
                               {OK, SSE, TEXT_STREAM, SCRIPT_WHOLE},
                               {OK, SSE,
                                "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n"
                                "data: [DONE]\n\n",
                                SCRIPT_WHOLE}};
    struct fg_client_request request;
    struct fg_client_result result;
    struct scripted_server server;

    (void)state;
    scripted_server_start(&server, scripts, LENGTH(scripts));
    struct fg_client *client = client_at(server.path);
    assert_string_equal(fg_client_address(client), server.path);
    chat_request(&request);
    assert_int_equal(fg_client_complete(client, &request, NULL, &result, NULL), 0);
    assert_int_equal(result.text_bytes, sizeof CHAT_TEXT - 1);
    assert_memory_equal(result.text, CHAT_TEXT, sizeof CHAT_TEXT); /* and the NUL */
    fg_client_result_finish(&result);

    /* The server closed the connection without notice: the next call opens another. */
    assert_int_equal(fg_client_complete(client, &request, NULL, &result, NULL), 0);
    assert_string_equal(result.text, "one");
    assert_int_equal(result.finish, FG_CLIENT_FINISH_LENGTH);
    assert_false(result.has_usage);
    assert_false(result.has_account);
    fg_client_result_finish(&result);

    assert_int_equal(fg_client_complete(client, &request, NULL, &result, NULL), 0);
    assert_string_equal(result.text, "");
    assert_true(result.first_text_ms < 0);
    fg_client_result_finish(&result);
    assert_int_equal(fg_client_complete(client, &request, NULL, NULL, NULL), 0);
    fg_client_destroy(client);
    scripted_server_stop(&server);
    assert_int_equal(server.n_requests, 4);
    scripted_server_finish(&server);
}

static int on_reasoning(void *ctx, const char *text, size_t bytes)
{
    struct fg_buffer *b = ctx;
    return fg_buffer_add_within(b, text, bytes, 64);
}

static void test_reasoning(void **state)
{
    static const struct script script = {
        OK, SSE,
        CHUNK("{\"delta\":{\"role\":\"assistant\",\"reasoning_content\":null}}")
            CHUNK("{\"delta\":{\"reasoning_content\":\"We\"}}")
                CHUNK("{\"delta\":{\"reasoning_content\":\"ll\",\"content\":\"one\"}}") TEXT_STREAM,
        SCRIPT_WHOLE};
    struct fg_buffer heard = {0};
    struct fg_client_handler handler = {.on_reasoning = on_reasoning, .ctx = &heard};
    struct fg_client_request request;
    struct fg_client_result result;
    struct scripted_server server;

    (void)state;
    scripted_server_start(&server, &script, 1);
    struct fg_client *client = client_at(server.path);
    chat_request(&request);
    assert_int_equal(fg_client_complete(client, &request, NULL, &result, NULL), 0);
    assert_string_equal(result.reasoning, "Well");
    assert_int_equal(result.reasoning_bytes, 4);
    assert_string_equal(result.text, "oneone");
    fg_client_result_finish(&result);

    assert_int_equal(fg_client_complete(client, &request, &handler, &result, NULL), 0);
    assert_memory_equal(heard.p, "Well", 4);
    assert_int_equal(heard.n, 4);
    assert_null(result.reasoning);
    assert_string_equal(result.text, "oneone");
    free(heard.p);
    fg_client_result_finish(&result);
    fg_client_destroy(client);
    scripted_server_stop(&server);
    scripted_server_finish(&server);
}

/* ---- What is sent -----------------------------------------------------------------------------*/

static void check_body(const struct scripted_server *server, const char *first_line,
                       const char *wanted)
{
    json_t *got = json_loads(server->body, 0, NULL), *want = json_loads(wanted, 0, NULL);

    assert_non_null(got);
    assert_non_null(want);
    if (!json_equal(got, want)) {
        fail_msg("sent %s\nwanted %s", server->body, wanted);
    }
    json_decref(got);
    json_decref(want);
    assert_memory_equal(server->head, first_line, strlen(first_line));
    assert_non_null(strstr(server->head, "Content-Type: application/json"));
    assert_non_null(strstr(server->head, "Authorization: Bearer secret"));
    assert_null(strstr(server->head, "Expect"));
}

static void send_request(const struct fg_client_request *request,
                         const struct fg_client_handler *handler, struct scripted_server *server)
{
    static const struct script script = {OK, SSE, TEXT_STREAM, SCRIPT_WHOLE};
    struct fg_client_options options = {.api_key = "secret"};
    struct fg_client *client;
    struct fg_err err;

    scripted_server_start(server, &script, 1);
    options.socket_path = server->path;
    assert_int_equal(fg_client_create(&options, &client, &err), 0);
    if (fg_client_complete(client, request, handler, NULL, &err) < 0) {
        fail_msg("%s", err.text);
    }
    fg_client_destroy(client);
    scripted_server_stop(server);
}

static void test_requests(void **state)
{
    static const char *const stops[] = {"\n\n", "END"};
    struct fg_client_handler progress = {.on_progress = on_progress};
    struct fg_client_request r;
    struct scripted_server server;
    struct seen seen = {0};

    (void)state;
    progress.ctx = &seen;
    chat_request(&r);
    send_request(&r, NULL, &server);
    check_body(&server, "POST /v1/chat/completions HTTP/1.1\r\n",
               "{\"messages\":[{\"role\":\"user\",\"content\":\"hi \\u00e9\"}],\"stream\":true,"
               "\"stream_options\":{\"include_usage\":true}}");
    scripted_server_finish(&server);

    /* A document goes as a part of its own. */
    struct fg_client_message about = {"user", "hi \xC3\xA9", 5, 3};
    r.messages = &about;
    send_request(&r, NULL, &server);
    check_body(
        &server, "POST /v1/chat/completions HTTP/1.1\r\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi \"},"
        "{\"type\":\"text\",\"text\":\"\\u00e9\"}]}],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true}}");
    scripted_server_finish(&server);
    chat_request(&r);

    r.model = "tiny";
    r.max_tokens = 7;
    r.temperature = 0;
    r.top_k = 0;
    r.top_p = 0.5;
    r.min_p = 0.25;
    r.seed = INT64_MAX;
    r.stop = stops;
    r.n_stop = 2;
    r.logprobs = 3;
    r.no_cache = true;
    r.ignore_eos = true;
    send_request(&r, &progress, &server);
    check_body(&server, "POST /v1/chat/completions HTTP/1.1\r\n",
               "{\"messages\":[{\"role\":\"user\",\"content\":\"hi \\u00e9\"}],\"stream\":true,"
               "\"stream_options\":{\"include_usage\":true},\"model\":\"tiny\",\"max_tokens\":7,"
               "\"temperature\":0.0,\"top_k\":0,\"top_p\":0.5,\"min_p\":0.25,"
               "\"seed\":9223372036854775807,\"stop\":[\"\\n\\n\",\"END\"],\"logprobs\":true,"
               "\"top_logprobs\":3,\"cache\":false,\"ignore_eos\":true,"
               "\"fulgur\":{\"progress\":true}}");
    scripted_server_finish(&server);
}

static void test_raw_requests(void **state)
{
    static const int32_t ids[] = {1, 0, 77};
    struct fg_client_request r;
    struct scripted_server server;

    (void)state;
    fg_client_request_init(&r);
    r.tokens = ids;
    r.n_tokens = 3;
    r.logprobs = 0;
    send_request(&r, NULL, &server);
    check_body(&server, "POST /v1/completions HTTP/1.1\r\n",
               "{\"prompt\":[1,0,77],\"stream\":true,\"stream_options\":{\"include_usage\":true},"
               "\"logprobs\":0}");
    scripted_server_finish(&server);

    fg_client_request_init(&r);
    r.prompt = "a\0\"b";
    r.prompt_bytes = 4;
    send_request(&r, NULL, &server);
    assert_non_null(strstr(server.body, "\"prompt\":\"a\\u0000\\\"b\""));
    scripted_server_finish(&server);
}

static void refuse(const struct fg_client_request *r, const char *wanted)
{
    struct fg_client *client = client_at("/nowhere");
    struct fg_client_result result;
    struct fg_err err;

    assert_int_equal(fg_client_complete(client, r, NULL, &result, &err), FG_EINVAL);
    assert_string_equal(err.text, wanted);
    assert_int_equal(fg_client_complete(client, r, NULL, NULL, NULL), FG_EINVAL);
    assert_null(result.text);
    fg_client_destroy(client);
}

static void test_refused_requests(void **state)
{
    static const char *const no_stop[] = {"a", ""};
    static const int32_t negative[] = {5, -2};
    struct fg_client_message bad[] = {{"user", "ok", 2, 0}, {"user", "ab\xFF", 3, 0}};
    struct fg_client_request r;

    (void)state;
    fg_client_request_init(&r);
    refuse(&r, "request: should have exactly one of prompt, tokens and messages");
    chat_request(&r);
    r.prompt = "";
    refuse(&r, "request: should have exactly one of prompt, tokens and messages");
    chat_request(&r);
    r.messages = bad;
    r.n_messages = 2;
    refuse(&r, "request: messages[1].content is not UTF-8 at byte 2");
    bad[0].document_bytes = 3;
    refuse(&r, "request: messages[0].content: document_bytes is 3, should be at most 2");
    bad[0] = (struct fg_client_message){"user", "\xC3\xA9 ", 3, 1};
    refuse(&r, "request: messages[0].content is not UTF-8 at byte 0");
    bad[0].document_bytes = 0;
    bad[1].role = "";
    refuse(&r, "request: messages[1].role is empty");
    r.n_messages = 0;
    refuse(&r, "request: messages is empty");
    chat_request(&r);
    r.stop = no_stop;
    r.n_stop = 2;
    refuse(&r, "request: stop[1] is empty");
    r.n_stop = 17;
    refuse(&r, "request: the number of stop strings is 17, should be 0 to 16");
    chat_request(&r);
    r.top_p = 1.5;
    refuse(&r, "request: top_p is 1.5, should be 0 to 1");
    chat_request(&r);
    r.logprobs = 21;
    refuse(&r, "request: logprobs is 21, should be 0 to 20");
    fg_client_request_init(&r);
    r.tokens = negative;
    r.n_tokens = 2;
    refuse(&r, "request: tokens[1] is -2, should be 0 or more");
    fg_client_request_init(&r);
    r.prompt = "\xC3";
    r.prompt_bytes = 1;
    refuse(&r, "request: prompt is not UTF-8 at byte 0");
}

static void test_logprobs(void **state)
{
    struct script chat = {
        OK, SSE,
        "data: {\"choices\":[{\"delta\":{\"content\":\"ab\"},\"logprobs\":{\"content\":["
        "{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":["
        "{\"token\":\"a\",\"logprob\":-0.5},{\"token\":\"x\",\"logprob\":-2},{\"token\":\"z\","
        "\"logprob\":null}]},"
        "{\"token\":\"b\",\"logprob\":-1,\"top_logprobs\":[]}]}}]}\n\n" TEXT_STREAM,
        SCRIPT_WHOLE};
    struct script legacy = {
        OK, SSE,
        "data: {\"choices\":[{\"text\":\"ab\",\"logprobs\":{\"tokens\":[\"a\",\"b\"],"
        "\"token_logprobs\":[-0.5,-1],\"top_logprobs\":[{\"z\":null,\"x\":-2,\"a\":-0.5},null],"
        "\"text_offset\":[0,1]}}]}\n\n"
        "data: {\"choices\":[{\"text\":\"c\",\"logprobs\":null}]}\n\n" TEXT_STREAM,
        SCRIPT_WHOLE};
    const struct script *scripts[] = {&chat, &legacy};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fg_client_result result;
        struct scripted_server server;
        struct seen seen = {0};
        struct fg_err err = {0};

        if (ask(scripts[i], &seen, &result, &err, &server) < 0) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(seen.tokens, "a:-0.5(a:-0.5,x:-2,z:nan,) b:-1() ");
        fg_client_result_finish(&result);
        scripted_server_finish(&server);
    }
}

/* ---- Cancellation -----------------------------------------------------------------------------*/

static void test_cancel_from_callback(void **state)
{
    struct script script = {OK, SSE, CHUNK("{\"text\":\"one\"}") CHUNK("{\"text\":\"two\"}"),
                            SCRIPT_HOLD};
    struct fg_client_result result;
    struct scripted_server server;
    struct seen seen = {.stop_at = 1};
    struct fg_err err;

    (void)state;
    assert_int_equal(ask(&script, &seen, &result, &err, &server), FG_ECANCELED);
    assert_int_equal(seen.texts, 1);
    assert_memory_equal(seen.text, "one", 3);
    assert_int_equal(result.finish, FG_CLIENT_FINISH_NONE);
    assert_true(result.first_text_ms >= 0);
    assert_true(server.saw_close);
    fg_client_result_finish(&result);
    scripted_server_finish(&server);
}

static void *cancel_when_posted(void *arg)
{
    struct seen *s = arg;
    while (sem_wait(s->posted) != 0) {
    }
    fg_client_cancel(s->client);
    return NULL;
}

static void test_cancel_from_thread(void **state)
{
    struct script scripts[] = {{OK, SSE, CHUNK("{\"text\":\"one\"}"), SCRIPT_HOLD},
                               {OK, SSE, TEXT_STREAM, SCRIPT_WHOLE}};
    struct seen seen = {0};
    struct fg_client_handler handler = {.on_text = on_text, .ctx = &seen};
    struct fg_client_request request;
    struct fg_client_result result;
    struct scripted_server server;
    struct fg_err err;
    pthread_t thread;
    sem_t posted;

    (void)state;
    scripted_server_start(&server, scripts, 2);
    seen.client = client_at(server.path);
    seen.posted = &posted;
    sem_init(&posted, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_posted, &seen), 0);
    chat_request(&request);
    assert_int_equal(fg_client_complete(seen.client, &request, &handler, &result, &err),
                     FG_ECANCELED);
    assert_string_equal(err.text, "canceled");
    pthread_join(thread, NULL);
    sem_destroy(&posted);

    /* The cancel sticks until it is taken back. */
    handler.on_text = NULL;
    assert_int_equal(fg_client_complete(seen.client, &request, &handler, &result, &err),
                     FG_ECANCELED);
    fg_client_result_finish(&result);
    fg_client_reset(seen.client);
    assert_int_equal(fg_client_complete(seen.client, &request, &handler, &result, &err), 0);
    assert_string_equal(result.text, "one");
    fg_client_result_finish(&result);
    fg_client_destroy(seen.client);
    scripted_server_stop(&server);
    assert_int_equal(server.n_requests, 2);
    assert_true(server.saw_close);
    scripted_server_finish(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_collected),
        cmocka_unit_test(test_reasoning),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_raw_requests),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_cancel_from_callback),
        cmocka_unit_test(test_cancel_from_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
