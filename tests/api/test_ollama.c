/* Ollama's API: requests to jobs, jobs to objects and lines. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAT "/api/chat"
#define GENERATE "/api/generate"
#define USER "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]"

static void options_are_read(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, CHAT,
        "{" USER ", \"model\": \"tiny:latest\", \"stream\": false, \"keep_alive\": -1, "
        "\"format\": \"\", \"think\": false, \"options\": {\"num_predict\": 5.0, "
        "\"temperature\": 0.5, \"top_k\": 7, \"top_p\": 0.25, \"min_p\": 0.125, \"seed\": 3, "
        "\"stop\": [\"x\", \"\"], \"num_ctx\": 4096, \"num_gpu\": 1e400, "
        "\"repeat_penalty\": 1.0, \"messages\": [], \"n\": 5, \"a\\u0000b\": 1}}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_CHAT);
    assert_int_equal(r->n_messages, 1);
    assert_string_equal(r->messages[0].content, "hi");
    assert_string_equal(r->variables_json, "{\"enable_thinking\":false}");
    assert_int_equal(r->max_tokens, 5);
    assert_true(r->sampling.temperature == 0.5f && r->sampling.top_p == 0.25f);
    assert_true(r->sampling.min_p == 0.125f && r->sampling.seed == 3);
    assert_int_equal(r->sampling.top_k, 7);
    assert_int_equal(r->n_stop, 1);
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(&c));
    for (int i = 0; i < 3; i++) { /* without an end */
        static const char *const rows[] = {"{" USER ", \"stream\": false}",
                                           "{" USER ", \"stream\": false, \"options\": "
                                           "{\"num_predict\": -1}}",
                                           "{" USER ", \"stream\": false, \"options\": "
                                           "{\"num_predict\": -2}}"};

        job = fixture_post(&f, &c, CHAT, rows[i]);
        assert_int_equal(fake_job_request(job)->max_tokens, -1);
        fake_job_done(job, FG_FINISH_STOP);
        json_decref(client_answer(&c));
    }
    fixture_stop(&f);
}

static void messages_become_a_chat(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, CHAT,
        "{\"stream\": false, \"tools\": [{\"type\": \"function\", \"function\": {\"name\": "
        "\"f\", \"x\": 1e400}}], \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
        "{\"role\": \"assistant\", \"thinking\": \"hm\", \"images\": null, \"tool_calls\": "
        "[{\"function\": {\"name\": \"f\", \"arguments\": {\"n\":  1.0}}}]}, "
        "{\"role\": \"tool\", \"content\": \"ok\", \"tool_name\": \"f\"}]}");
    r = fake_job_request(job);
    assert_int_equal(r->n_messages, 3);
    assert_string_equal(r->messages[1].role, "assistant");
    assert_non_null(strstr(r->messages[1].calls_json, "\"arguments\":\"{\\\"n\\\":  1.0}\""));
    assert_non_null(strstr(r->messages[1].extra_json, "\"hm\""));
    assert_string_equal(r->messages[2].name, "f");
    assert_non_null(strstr(r->tools_json, "1e400")); /* as it was written */
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(&c));
    fixture_stop(&f);
}

static void an_answer_is_whole(void **state)
{
    const char *model, *content, *reason, *name, *city;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    int64_t prompt_ns, eval_ns, total_ns, load_ns;
    int prompt, eval, reused, done;
    json_t *v, *call;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, CHAT,
                       "{" USER
                       ", \"stream\": false, \"tools\": [{\"type\": \"function\", \"function\": "
                       "{\"name\": \"f\"}}]}");
    fake_job_begun(job, NULL, 0);
    fake_job_delta(job, "So \"", NULL, 0);
    fake_job_delta(job, "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"city\": \"Oslo\"}}\n",
                   NULL, 0);
    fake_job_delta(job, "</tool_calls>", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    v = client_answer(&c);
    unpack(v, "{s:s, s:b, s:s, s:{s:s, s:[o]}, s:I, s:I, s:i, s:I, s:i, s:I, s:{s:{s:i}}}", "model",
           &model, "done", &done, "done_reason", &reason, "message", "content", &content,
           "tool_calls", &call, "total_duration", &total_ns, "load_duration", &load_ns,
           "prompt_eval_count", &prompt, "prompt_eval_duration", &prompt_ns, "eval_count", &eval,
           "eval_duration", &eval_ns, "fulgur", "cache", "reused_tokens", &reused);
    assert_string_equal(model, "tiny");
    assert_true(done);
    assert_string_equal(reason, "stop");
    assert_true(strncmp(content, "So \"", 4) == 0);
    assert_int_equal(prompt, 1000);
    assert_int_equal(prompt_ns, 21750000);
    assert_int_equal(eval, 7);
    assert_int_equal(eval_ns, 30750000);
    assert_true(total_ns > 0 && load_ns == 0);
    assert_int_equal(reused, 960);
    unpack(call, "{s:{s:s, s:{s:s}}}", "function", "name", &name, "arguments", "city", &city);
    assert_string_equal(name, "f");
    assert_string_equal(city, "Oslo");
    json_decref(v);
    fixture_stop(&f);
}

/* What num_predict cuts is no object: all that the model wrote is text. */
static void a_cut_call_is_text(void **state)
{
    static const char written[] = "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"city\": \"Os";
    const char *content, *reason;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, CHAT,
                       "{" USER
                       ", \"stream\": false, \"tools\": [{\"type\": \"function\", \"function\": "
                       "{\"name\": \"f\"}}]}");
    fake_job_begun(job, NULL, 0);
    fake_job_delta(job, written, NULL, 0);
    fake_job_done(job, FG_FINISH_LENGTH);
    v = client_answer(&c);
    unpack(v, "{s:s, s:{s:s}}", "done_reason", &reason, "message", "content", &content);
    assert_string_equal(reason, "length");
    assert_string_equal(content, written);
    assert_null(json_object_get(json_object_get(v, "message"), "tool_calls"));
    json_decref(v);
    fixture_stop(&f);
}

/* The next line of a chunked answer as JSON. */
static json_t *line_of(struct client *c)
{
    char *text = client_chunk(c);
    json_t *v;

    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    v = json_loads(text, 0, NULL);
    assert_non_null(v);
    free(text);
    return v;
}

static void an_answer_is_lines(void **state)
{
    struct fg_job_token tokens[2] = {fake_token(11, "Hello", 0), fake_token(12, ", ", 0)};
    static const char *const said[] = {"Hello", ", "};
    char type[128];
    const char *text, *reason;
    struct fixture f;
    struct client c;
    struct reply head;
    struct fg_job *job;
    int done, a, b, x, y;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, GENERATE, "{\"prompt\": \"hi\", \"system\": \"s\"}");
    assert_int_equal(fake_job_request(job)->n_messages, 2);
    assert_string_equal(fake_job_request(job)->messages[0].content, "s");
    fake_job_begun(job, (const int32_t[]){5, 6}, 2);
    fake_job_delta(job, "Hello", tokens, 1);
    fake_job_delta(job, ", ", tokens + 1, 1);
    fake_job_done(job, FG_FINISH_LENGTH);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    assert_string_equal(reply_header(&head, "Content-Type", type), "application/x-ndjson");
    reply_free(&head);
    for (int i = 0; i < 2; i++) {
        v = line_of(&c);
        unpack(v, "{s:s, s:b}", "response", &text, "done", &done);
        assert_string_equal(text, said[i]);
        assert_false(done);
        json_decref(v);
    }
    v = line_of(&c);
    unpack(v, "{s:s, s:b, s:s, s:[i, i, i, i]}", "response", &text, "done", &done, "done_reason",
           &reason, "context", &a, &b, &x, &y);
    assert_string_equal(text, "");
    assert_true(done);
    assert_string_equal(reason, "length");
    assert_true(a == 5 && b == 6 && x == 11 && y == 12);
    json_decref(v);
    assert_null(client_chunk(&c));
    client_close(&c);
    fixture_stop(&f);
}

/* A call comes in one line, whole. */
static void calls_are_streamed(void **state)
{
    struct fixture f;
    struct client c;
    struct reply head;
    struct fg_job *job;
    const char *name, *content;
    bool called = false, done = false;
    json_t *v, *calls;
    int number;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, CHAT,
                       "{" USER
                       ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]}");
    fake_job_begun(job, NULL, 0);
    fake_job_delta(job, "<tool_calls>\n{\"name\": \"f\", ", NULL, 0);
    fake_job_delta(job, "\"arguments\": {\"n\": 3}}\n</tool_calls>", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read_head(&c, &head);
    reply_free(&head);
    while (!done) {
        v = line_of(&c);
        unpack(v, "{s:b, s:{s:s}}", "done", &number, "message", "content", &content);
        done = number;
        assert_string_equal(content, "");
        calls = json_object_get(json_object_get(v, "message"), "tool_calls");
        if (calls) {
            unpack(calls, "[{s:{s:s, s:{s:i}}}]", "function", "name", &name, "arguments", "n",
                   &number);
            assert_false(called || done);
            assert_string_equal(name, "f");
            assert_int_equal(number, 3);
            called = true;
        }
        json_decref(v);
    }
    assert_true(called);
    assert_null(client_chunk(&c));
    client_close(&c);
    fixture_stop(&f);
}

static void a_stream_that_fails_says_so(void **state)
{
    struct fixture f;
    struct client c;
    struct reply head;
    struct fg_job *job;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, CHAT, "{" USER "}");
    fake_job_begun(job, NULL, 0);
    fake_job_delta(job, "x", NULL, 0);
    fake_job_fail(job, FG_EDEVICE, "it broke");
    client_read_head(&c, &head);
    reply_free(&head);
    json_decref(line_of(&c));
    v = line_of(&c);
    assert_true(json_is_string(json_object_get(v, "error")));
    json_decref(v);
    assert_null(client_chunk(&c));
    client_close(&c);
    fixture_stop(&f);
}

static void prompts_go_on_from_ids(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(&f, &c, GENERATE,
                       "{\"prompt\": \"ab\", \"context\": [5, 6.0], \"stream\": false}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_TOKENS);
    assert_int_equal(r->n_tokens, 5); /* the fake's chat: how many messages, and the last one */
    assert_true(r->tokens[0] == 5 && r->tokens[1] == 6 && r->tokens[2] == 1);
    assert_true(r->tokens[3] == 'a' && r->tokens[4] == 'b');
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(&c));
    job = fixture_post(&f, &c, GENERATE, "{\"prompt\": \"ab\", \"raw\": true, \"stream\": false}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_TEXT);
    assert_string_equal(r->text, "ab");
    assert_int_equal(r->max_tokens, -1);
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(&c));
    fixture_stop(&f);
}

static void who_says_nothing_loads(void **state)
{
    static const struct {
        const char *path, *body;
    } rows[] = {{CHAT, "{\"model\": \"tiny\"}"},
                {CHAT, "{\"messages\": [], \"keep_alive\": 0}"},
                {GENERATE, "{\"model\": \"tiny:latest\"}"},
                {GENERATE, "{\"prompt\": \"\", \"stream\": false}"}};
    struct fixture f;
    struct client c;
    const char *reason;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_job *job = fixture_post(&f, &c, rows[i].path, rows[i].body);
        struct reply r;
        json_t *v;

        assert_int_equal(fake_job_request(job)->mode, FG_MODE_FORECAST);
        fake_job_done(job, FG_FINISH_STOP);
        client_read(&c, &r, false);
        assert_int_equal(r.status, 200);
        v = reply_json(&r);
        unpack(v, "{s:s}", "done_reason", &reason);
        assert_string_equal(reason, "load");
        json_decref(v);
        reply_free(&r);
        client_close(&c);
    }
    fixture_stop(&f);
}

static const struct {
    const char *path, *body;
    int status;
    const char *words;
} wrong[] = {
    {CHAT, "{", 400, "line 1"},
    {CHAT, "{" USER ", \"model\": \"llama3\"}", 404, "\"tiny\""},
    {CHAT, "{" USER ", \"model\": 5}", 400, "model"},
    {CHAT, "{" USER ", \"options\": 5}", 400, "options"},
    {CHAT, "{" USER ", \"options\": {\"num_ctx\": 4097}}", 400, "num_ctx"},
    {CHAT, "{" USER ", \"options\": {\"num_ctx\": 18446744073709551616}}", 400, "num_ctx"},
    {CHAT, "{" USER ", \"options\": {\"num_predict\": -3}}", 400, "num_predict"},
    {CHAT, "{" USER ", \"options\": {\"num_predict\": 1.5}}", 400, "num_predict"},
    {CHAT, "{" USER ", \"options\": {\"temperature\": 1e400}}", 400, "temperature"},
    {CHAT, "{" USER ", \"options\": {\"seed\": 9223372036854775808}}", 400, "seed"},
    {CHAT, "{" USER ", \"options\": {\"stop\": 3}}", 400, "stop"},
    {CHAT, "{" USER ", \"options\": {\"repeat_penalty\": 1.1}}", 400, "repeat_penalty"},
    {CHAT, "{" USER ", \"options\": {\"mirostat\": 1}}", 400, "mirostat"},
    {CHAT, "{" USER ", \"format\": 3}", 400, "format"},
    {CHAT, "{" USER ", \"think\": \"high\"}", 400, "think"},
    {CHAT, "{" USER ", \"logprobs\": true}", 400, "logprobs"},
    {CHAT, "{" USER ", \"stream\": 1}", 400, "stream"},
    {CHAT, "{\"messages\": 5}", 400, "messages"},
    {CHAT, "{\"messages\": [5]}", 400, "messages[0]"},
    {CHAT, "{\"messages\": [{\"content\": \"x\"}]}", 400, "role"},
    {CHAT, "{\"messages\": [{\"role\": \"user\", \"content\": 5}]}", 400, "content"},
    {CHAT, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\", \"images\": [\"YQ==\"]}]}",
     400, "images"},
    {CHAT, "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": 5}]}", 400, "tool_calls"},
    {CHAT, "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [5]}]}", 400,
     "tool_calls[0]"},
    {CHAT,
     "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": "
     "\"f\", \"arguments\": \"{}\"}}]}]}",
     400, "tool_calls[0]"},
    {GENERATE, "{\"prompt\": 5}", 400, "prompt"},
    {GENERATE, "{\"prompt\": \"x\", \"system\": 5}", 400, "system"},
    {GENERATE, "{\"prompt\": \"x\", \"suffix\": \"y\"}", 400, "suffix"},
    {GENERATE, "{\"prompt\": \"x\", \"template\": \"y\"}", 400, "template"},
    {GENERATE, "{\"prompt\": \"x\", \"images\": [\"YQ==\"]}", 400, "images"},
    {GENERATE, "{\"prompt\": \"x\", \"raw\": true, \"system\": \"y\"}", 400, "system"},
    {GENERATE, "{\"prompt\": \"x\", \"raw\": true, \"context\": [1]}", 400, "context"},
    {GENERATE, "{\"prompt\": \"x\", \"raw\": 1}", 400, "raw"},
    {GENERATE, "{\"prompt\": \"x\", \"context\": \"y\"}", 400, "context"},
    {GENERATE, "{\"prompt\": \"x\", \"context\": [2000]}", 400, "context[0]"},
    {"/api/show", "{\"model\": \"llama3\"}", 404, "\"tiny\""},
    {"/api/show", "{\"name\": \"a\\u0000b\"}", 400, "name"},
    {"/api/show", "[", 400, "line 1"},
    {"/api/embed", "{\"input\": \"x\"}", 501, "embeddings"},
    {"/api/pull", "{\"model\": \"x\"}", 501, "fulgur pull"},
    {"/api/nothing", "{}", 404, "/api/nothing"},
};

static void what_is_wrong_is_named(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *v = ask(&f, "POST", wrong[i].path, wrong[i].body, wrong[i].status);
        const char *words = json_string_value(json_object_get(v, "error"));

        if (!words || !strstr(words, wrong[i].words))
            fail_msg("%s %s: %s", wrong[i].path, wrong[i].body, words ? words : "no words");
        json_decref(v);
    }
    for (int i = 0; i < 2; i++) { /* Ollama's own method, and POST */
        json_t *v = ask(&f, i ? "POST" : "DELETE", "/api/delete", "{\"model\": \"x\"}", 501);

        assert_non_null(strstr(json_string_value(json_object_get(v, "error")), "fulgur pull"));
        json_decref(v);
    }
    json_decref(ask(&f, "GET", "/api/delete", NULL, 405));
    json_decref(ask(&f, "DELETE", "/api/copy", "{}", 405));
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

static void the_model_is_described(void **state)
{
    const char *name, *architecture, *template, *version, *ability;
    int64_t length, size;
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/api/tags", NULL, 200);
    unpack(v, "{s:[{s:s, s:I}]}", "models", "name", &name, "size", &size);
    assert_string_equal(name, "tiny");
    assert_int_equal(size, 123456789);
    json_decref(v);
    v = ask(&f, "GET", "/api/ps", NULL, 200);
    unpack(v, "{s:[{s:s, s:I}]}", "models", "model", &name, "context_length", &length);
    assert_string_equal(name, "tiny");
    assert_int_equal(length, 4096);
    json_decref(v);
    v = ask(&f, "POST", "/api/show", "{\"model\": \"tiny:latest\", \"verbose\": true}", 200);
    unpack(v, "{s:s, s:[s, s], s:{s:s, s:I}}", "template", &template, "capabilities", &ability,
           &version, "model_info", "general.architecture", &architecture,
           "minimax-01.context_length", &length);
    assert_string_equal(template, "{{ messages }}");
    assert_string_equal(ability, "completion");
    assert_string_equal(version, "tools");
    assert_string_equal(architecture, "minimax-01");
    assert_int_equal(length, 4096);
    json_decref(v);
    v = ask(&f, "GET", "/api/version", NULL, 200);
    unpack(v, "{s:s}", "version", &version);
    assert_string_equal(version, "1.2.3");
    json_decref(v);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(messages_become_a_chat),
        cmocka_unit_test(an_answer_is_whole),
        cmocka_unit_test(an_answer_is_lines),
        cmocka_unit_test(a_cut_call_is_text),
        cmocka_unit_test(prompts_go_on_from_ids),
        cmocka_unit_test(a_stream_that_fails_says_so),
        cmocka_unit_test(who_says_nothing_loads),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_model_is_described),
        cmocka_unit_test(calls_are_streamed),
    };

    return cmocka_run_group_tests_name("api ollama", tests, NULL, NULL);
}
