/* /v1/responses: items on their way in, items and events on their way out, and what is kept. */
#include "fake_documents.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define TOOLS                                                                                      \
    "\"tools\": [{\"type\": \"function\", \"name\": \"add\", \"description\": \"d\", "             \
    "\"strict\": false, \"parameters\": {\"z\": 1.50}}, {\"type\": \"web_search\"}, {\"type\": "   \
    "\"local_shell\"}, {\"type\": \"custom\", \"name\": \"p\"}]"
#define CALL "Look.\n\n<tool_calls>\n{\"name\": \"add\", \"arguments\": {\"b\": 1.50}}"

static struct fg_job *post(struct fixture *f, struct client *c, const char *body)
{
    return fixture_post(f, c, "/v1/responses", body);
}

static json_t *finish(struct client *c, struct fg_job *job, enum fg_finish_reason reason)
{
    fake_job_done(job, reason);
    return client_answer(c);
}

static const struct {
    const char *role, *content, *calls, *extra;
} expected[] = {
    {"system", "Be brief.\n\nRules", NULL, NULL},
    {"user", "one two", NULL, NULL},
    {"assistant", "So.",
     "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":"
     "\"{\\\"a\\\": 1.50}\"}}]",
     "{\"reasoning_content\": \"hm\"}"},
    {"tool", "3", NULL, "{\"tool_call_id\": \"c1\"}"},
    {"user", "go", NULL, NULL},
    {"user", "on", NULL, NULL},
};

static void requests_become_chats(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(
        &f, &c,
        "{\"model\": \"tiny\", \"instructions\": \"Be brief.\", \"max_output_tokens\": 5, " TOOLS
        ", \"reasoning\": {\"effort\": \"high\", \"summary\": \"auto\"}, \"include\": [\"x\"], "
        "\"text\": {\"format\": {\"type\": \"text\"}, \"verbosity\": \"low\"}, \"store\": false, "
        "\"prompt_cache_key\": \"k\", \"parallel_tool_calls\": false, \"input\": ["
        "{\"type\": \"message\", \"role\": \"developer\", \"content\": \"Rules\"},"
        "{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": \"one \"}, "
        "{\"type\": \"input_text\", \"text\": \"two\"}]},"
        "{\"type\": \"reasoning\", \"summary\": [], \"content\": [{\"type\": \"reasoning_text\", "
        "\"text\": \"hm\"}], \"encrypted_content\": \"x\"},"
        "{\"type\": \"message\", \"role\": \"assistant\", \"content\": [{\"type\": "
        "\"output_text\", \"text\": \"So.\", \"annotations\": []}]},"
        "{\"type\": \"function_call\", \"call_id\": \"c1\", \"name\": \"add\", \"arguments\": "
        "\"{\\\"a\\\": 1.50}\"},"
        "{\"type\": \"function_call_output\", \"call_id\": \"c1\", \"output\": \"3\"},"
        "{\"type\": \"web_search_call\", \"id\": \"w\"},"
        "{\"role\": \"user\", \"content\": \"go\"}, {\"role\": \"user\", \"content\": \"on\"}]}");
    r = fake_job_request(job);
    assert_int_equal(r->n_messages, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < r->n_messages; i++) {
        assert_string_equal(r->messages[i].role, expected[i].role);
        assert_string_equal(r->messages[i].content, expected[i].content);
        assert_string_equal(r->messages[i].calls_json ? r->messages[i].calls_json : "",
                            expected[i].calls ? expected[i].calls : "");
        assert_string_equal(r->messages[i].extra_json ? r->messages[i].extra_json : "",
                            expected[i].extra ? expected[i].extra : "");
    }
    assert_string_equal(r->tools_json,
                        "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":"
                        "\"d\",\"parameters\":{\"z\": 1.50}}}]");
    assert_string_equal(r->variables_json,
                        "{\"enable_thinking\":true,\"reasoning_effort\":\"high\"}");
    assert_int_equal(r->max_tokens, 5);
    json_decref(finish(&c, job, FG_FINISH_STOP));
    fixture_stop(&f);
}

static void whole_responses(void **state)
{
    char kept[FAKE_SPOKEN], want[FAKE_SPOKEN];
    const char *id, *object, *status, *text, *call, *name, *arguments, *reason, *repeated;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v;
    int cached, total, n;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"hi\",\n \"instructions\": \"i\", " TOOLS "}");
    fake_job_delta(job, CALL, NULL, 0);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v,
           "{s:s, s:s, s:s, s:s, s:n, s:n, s:{s:i, s:{s:i}}, s:[{s:[{s:s}]}, {s:s, s:s, s:s}!], "
           "s:{s:{s:i}}}",
           "id", &id, "object", &object, "status", &status, "instructions", &repeated, "error",
           "incomplete_details", "usage", "total_tokens", &total, "input_tokens_details",
           "cached_tokens", &cached, "output", "content", "text", &text, "call_id", &call, "name",
           &name, "arguments", &arguments, "fulgur", "cache", "reused_tokens", &n);
    assert_memory_equal(id, "resp_", 5);
    assert_string_equal(object, "response");
    assert_string_equal(status, "completed");
    assert_string_equal(repeated, "i");
    assert_string_equal(text, "Look.");
    assert_string_equal(name, "add");
    assert_string_equal(arguments, "{\"b\": 1.50}");
    assert_int_equal(cached, 960);
    assert_int_equal(total, 1007);
    snprintf(want, sizeof want, "%s %s", call, CALL);
    fake_backend_spoken(f.backend, kept);
    assert_string_equal(kept, want);
    json_decref(v);
    job = post(&f, &c, "{\"input\": \"hi\"}");
    v = finish(&c, job, FG_FINISH_LENGTH);
    unpack(v, "{s:s, s:{s:s}}", "status", &status, "incomplete_details", "reason", &reason);
    assert_string_equal(status, "incomplete");
    assert_string_equal(reason, "max_output_tokens");
    json_decref(v);
    fixture_stop(&f);
}

static const char *const events[] = {"response.created",
                                     "response.in_progress",
                                     "response.output_item.added",
                                     "response.content_part.added",
                                     "response.output_text.delta",
                                     "response.output_text.delta",
                                     "response.output_text.done",
                                     "response.content_part.done",
                                     "response.output_item.done",
                                     "response.output_item.added",
                                     "response.function_call_arguments.delta",
                                     "response.function_call_arguments.done",
                                     "response.output_item.done",
                                     "response.completed"};

static json_t *next_event(struct client *c, const char *name, int number)
{
    char *chunk = client_chunk(c), want[96];
    const char *type;
    json_t *v;
    int n;

    assert_non_null(chunk);
    snprintf(want, sizeof want, "event: %s\ndata: ", name);
    if (strncmp(chunk, want, strlen(want)) != 0)
        fail_msg("%s is not %s", chunk, name);
    assert_string_equal(strchr(chunk + strlen(want), '\n'), "\n\n"); /* one line of data */
    v = json_loads(chunk + strlen(want), JSON_DISABLE_EOF_CHECK, NULL);
    unpack(v, "{s:s, s:i}", "type", &type, "sequence_number", &n);
    assert_string_equal(type, name);
    assert_int_equal(n, number);
    free(chunk);
    return v;
}

static void streams_are_events(void **state)
{
    const char *status;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v, *output;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"hi\", \"stream\": true,\r\n\"metadata\": {\n}, " TOOLS "}");
    fake_job_delta(job, "Lo", NULL, 0);
    fake_job_delta(job, &CALL[2], NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    for (int i = 0; i < (int)(sizeof events / sizeof *events); i++) {
        v = next_event(&c, events[i], i);
        if (i + 1 == (int)(sizeof events / sizeof *events)) {
            unpack(v, "{s:{s:s, s:o}}", "response", "status", &status, "output", &output);
            assert_string_equal(status, "completed");
            assert_int_equal(json_array_size(output), 2);
        }
        json_decref(v);
    }
    assert_null(client_chunk(&c));
    client_close(&c);
    job = post(&f, &c, "{\"input\": \"hi\", \"stream\": true}");
    fake_job_begun(job, NULL, 0);
    fake_job_fail(job, FG_EDEVICELOST, "gone");
    client_read_head(&c, &head);
    reply_free(&head);
    json_decref(next_event(&c, "response.created", 0));
    json_decref(next_event(&c, "response.in_progress", 1));
    v = next_event(&c, "response.failed", 2);
    unpack(v, "{s:{s:{s:s}}}", "response", "error", "code", &status);
    assert_string_equal(status, "device_lost");
    json_decref(v);
    assert_null(client_chunk(&c));
    client_close(&c);
    fixture_stop(&f);
}

static void reasoning_is_an_item(void **state)
{
    const char *type, *thought, *text;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v;
    int tokens;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"hi\"}");
    fake_job_begun_at(job, FG_STARTS_REASONING);
    fake_job_delta(job, "H", NULL, 0);
    fake_job_delta(job, "m.", NULL, 0);
    fake_job_delta(job, "</think>", NULL, 0);
    fake_job_delta(job, "Hi", NULL, 0);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v, "{s:[{s:s, s:[], s:[{s:s}]}, {s:[{s:s}]}!], s:{s:{s:i}}}", "output", "type", &type,
           "summary", "content", "text", &thought, "content", "text", &text, "usage",
           "output_tokens_details", "reasoning_tokens", &tokens);
    assert_string_equal(type, "reasoning");
    assert_string_equal(thought, "Hm.");
    assert_string_equal(text, "Hi");
    assert_int_equal(tokens, 4); /* as the backend counts */
    json_decref(v);
    fixture_stop(&f);
}

/* What was said before stands before what is said now. */
static void conversations_go_on(void **state)
{
    char body[256], path[128];
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct reply reply;
    struct fg_job *job;
    const char *id;
    json_t *v, *first;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"one\", \"instructions\": \"gone\", " TOOLS "}");
    fake_job_delta(job, CALL, NULL, 0);
    first = finish(&c, job, FG_FINISH_STOP);
    unpack(first, "{s:s}", "id", &id);
    snprintf(body, sizeof body,
             "{\"previous_response_id\": \"%s\", \"input\": [{\"role\": "
             "\"user\", \"content\": \"two\"}]}",
             id);
    job = post(&f, &c, body);
    r = fake_job_request(job);
    assert_int_equal(r->n_messages, 3);
    assert_string_equal(r->messages[0].content, "one");
    assert_string_equal(r->messages[1].content, "Look.");
    assert_non_null(strstr(r->messages[1].calls_json, "{\\\"b\\\": 1.50}"));
    assert_string_equal(r->messages[2].content, "two");
    json_decref(finish(&c, job, FG_FINISH_STOP));
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    v = ask(&f, "GET", path, NULL, 200);
    assert_true(json_equal(v, first));
    json_decref(v);
    client_unix(&c, &f);
    snprintf(body, sizeof body, "DELETE %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    client_send(&c, body, strlen(body));
    client_read(&c, &reply, false);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    client_close(&c);
    json_decref(ask(&f, "GET", path, NULL, 404));
    json_decref(first);
    fixture_stop(&f);
}

/* What is kept is no response: as if it were not there. */
static void damaged_is_a_miss(void **state)
{
    char body[256], path[128];
    struct fixture f;
    struct client c;
    struct fg_job *job;
    const char *id, *code;
    json_t *first, *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"one\"}");
    first = finish(&c, job, FG_FINISH_STOP);
    unpack(first, "{s:s}", "id", &id);
    fake_documents_damage();
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    json_decref(ask(&f, "GET", path, NULL, 404));
    snprintf(body, sizeof body, "{\"previous_response_id\": \"%s\", \"input\": \"two\"}", id);
    v = ask(&f, "POST", "/v1/responses", body, 404);
    unpack(v, "{s:{s:s}}", "error", "code", &code);
    assert_string_equal(code, "previous_response_not_found");
    json_decref(v);
    json_decref(first);
    fixture_stop(&f);
}

/* A streamed response is kept as it was told at the end. */
static void streamed_is_kept(void **state)
{
    char path[128];
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    const char *id;
    json_t *v = NULL, *kept;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"input\": \"hi\", \"stream\": true}");
    fake_job_delta(job, "Hi", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read_head(&c, &head);
    reply_free(&head);
    for (int i = 0; i < 9; i++) {
        json_decref(v);
        v = next_event(&c, i < 4 ? events[i] : i < 8 ? events[i + (i > 4)] : events[13], i);
    }
    unpack(v, "{s:{s:s}}", "response", "id", &id);
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    kept = ask(&f, "GET", path, NULL, 200);
    assert_true(json_equal(kept, json_object_get(v, "response")));
    json_decref(kept);
    json_decref(v);
    client_close(&c);
    fixture_stop(&f);
}

/* Nothing where the request is to leave nothing, or says so; and what was forgotten is gone. */
static void some_are_not_kept(void **state)
{
    char path[128];
    struct fixture f;
    struct client c;
    struct fg_job *job;
    const char *id;
    json_t *first;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        job = post(&f, &c,
                   i ? "{\"input\": \"a\", \"fulgur\": {\"cache\": \"read\"}}"
                     : "{\"input\": \"a\", \"store\": false}");
        first = finish(&c, job, FG_FINISH_STOP);
        unpack(first, "{s:s}", "id", &id);
        snprintf(path, sizeof path, "/v1/responses/%s", id);
        json_decref(ask(&f, "GET", path, NULL, 404));
        json_decref(first);
    }
    job = post(&f, &c, "{\"input\": \"a\"}");
    first = finish(&c, job, FG_FINISH_STOP);
    unpack(first, "{s:s}", "id", &id);
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    json_decref(ask(&f, "GET", path, NULL, 200));
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"all\": true}", 200));
    json_decref(ask(&f, "GET", path, NULL, 404));
    json_decref(first);
    /* One that is under way meanwhile is not kept when it ends. */
    job = post(&f, &c, "{\"input\": \"a\"}");
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/forget", "{\"all\": true}", 200));
    first = finish(&c, job, FG_FINISH_STOP);
    unpack(first, "{s:s}", "id", &id);
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    json_decref(ask(&f, "GET", path, NULL, 404));
    json_decref(first);
    fixture_stop(&f);
}

static const struct {
    const char *body, *message;
    int status;
} refused[] = {
    {"{}", "input: it must be", 400},
    {"{\"input\": 5}", "input: it must be", 400},
    {"{\"input\": [5]}", "input[0]: it must be", 400},
    {"{\"input\": [{\"type\": \"item_reference\", \"id\": \"x\"}]}", "input[0].type: found", 400},
    {"{\"input\": [{\"role\": \"tool\", \"content\": \"x\"}]}", "input[0]: it must be", 400},
    {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_image\"}]}]}",
     "input[0][0]: found a part of type \"input_image\"", 400},
    {"{\"input\": [{\"type\": \"function_call\", \"name\": \"x\"}]}", "input[0]: it must be", 400},
    {"{\"input\": [{\"type\": \"function_call_output\", \"output\": \"x\"}]}",
     "input[0]: it must be", 400},
    {"{\"input\": \"a\", \"background\": true}", "background: it must be absent", 400},
    {"{\"input\": \"a\", \"store\": \"false\"}", "store: found \"false\"", 400},
    {"{\"input\": \"a\", \"store\": 0}", "store: found 0", 400},
    {"{\"input\": \"a\", \"n\": 2}", "n: it must be absent", 400},
    {"{\"input\": \"a\", \"max_output_tokens\": 0}", "max_output_tokens: found 0", 400},
    {"{\"input\": \"a\", \"temperature\": \"x\"}", "temperature: found", 400},
    {"{\"input\": \"a\", \"tools\": [{\"type\": \"file_search\"}]}", "tools[0].type: found", 400},
    {"{\"input\": \"a\", \"tools\": [{\"type\": \"function\"}]}", "tools[0]: it must be", 400},
    {"{\"input\": \"a\", \"reasoning\": 5}", "reasoning: it must be", 400},
    {"{\"input\": \"a\", \"text\": 5}", "text: it must be", 400},
    {"{\"input\": \"a\", \"previous_response_id\": \"resp_1\"}", "previous_response_id: found",
     404},
    {"{\"input\": \"a\", \"model\": \"x\"}", "model: found", 404},
};

static void wrong_requests_are_named(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *v = ask(&f, "POST", "/v1/responses", refused[i].body, refused[i].status);

        if (strncmp(error_message(v), refused[i].message, strlen(refused[i].message)) != 0)
            fail_msg("%s: %s", refused[i].body, error_message(v));
        json_decref(v);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_become_chats), cmocka_unit_test(whole_responses),
        cmocka_unit_test(streams_are_events),    cmocka_unit_test(conversations_go_on),
        cmocka_unit_test(some_are_not_kept),     cmocka_unit_test(wrong_requests_are_named),
        cmocka_unit_test(reasoning_is_an_item),  cmocka_unit_test(damaged_is_a_miss),
        cmocka_unit_test(streamed_is_kept),
    };

    return cmocka_run_group_tests_name("api responses", tests, NULL, NULL);
}
