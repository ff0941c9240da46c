/* /v1/chat/completions: messages and tools on their way in, answers and tool calls on their way
 * out. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define TOOLS                                                                                      \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"description\": "     \
    "\"b before a\", \"parameters\": {\"z\": 1.5, \"a\": 2}}}]"
#define USER "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]"

#define CALLS                                                                                      \
    "[{\"id\": \"c1\", \"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": "  \
    "\"{\\\"b\\\":2.0,\\\"a\\\":[1,1.5]}\"}},{\"id\": \"c2\", \"type\": \"function\", "            \
    "\"function\": "                                                                               \
    "{\"name\": \"raw\", \"arguments\": \"not json\"}}]"

static struct fg_job *post(struct fixture *f, struct client *c, const char *body)
{
    return fixture_post(f, c, "/v1/chat/completions", body);
}

static json_t *finish(struct client *c, struct fg_job *job, enum fg_finish_reason reason)
{
    fake_job_done(job, reason);
    return client_answer(c);
}

/* What the messages below come to. */
static const struct {
    const char *role, *content, *name, *calls, *extra;
} expected[] = {
    {"system", "be brief", NULL, NULL, NULL},
    {"system", "", NULL, NULL, NULL},
    {"user", "one two", "ann", NULL, NULL},
    {"assistant", "let me see", NULL, CALLS, "{\"n\": [1.50 , 1e3]}"},
    {"tool", "3", "add", NULL, "{\"tool_call_id\": \"c1\"}"},
    {"assistant", "", NULL, "[{\"function\": {\"name\": \"x\\\"y\", \"arguments\": \"{}\"}}]",
     NULL},
    {"tool", "4", "named", NULL, "{\"tool_call_id\": \"c1\"}"},
    {"tool", "5", NULL, NULL, "{\"tool_call_id\": \"unknown\"}"},
    {"user", "and?", NULL, NULL, "{\"refusal\": null}"},
};

static void expect_text(const char *got, const char *want)
{
    assert_int_equal(got != NULL, want != NULL);
    if (want)
        assert_string_equal(got, want);
}

static void messages_reach_the_backend(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job =
        post(&f, &c,
             "{\"messages\": ["
             "{\"role\": \"system\", \"content\": \"be brief\"},"
             "{\"role\": \"developer\", \"content\": []},"
             "{\"role\": \"user\", \"name\": \"ann\", \"content\": [{\"type\": \"text\", \"text\": "
             "\"one \"}, {\"type\": \"text\", \"text\": \"two\"}]},"
             "{\"role\": \"assistant\", \"content\": \"let me see\", \"n\": [1.50 , 1e3], "
             "\"tool_calls\": " CALLS "},"
             "{\"role\": \"tool\", \"tool_call_id\": \"c1\", \"content\": \"3\"},"
             "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": "
             "{\"name\": \"x\\\"y\", \"arguments\": \"{}\"}}]},"
             "{\"role\": \"tool\", \"tool_call_id\": \"c1\", \"name\": \"named\", \"content\": "
             "\"4\"},"
             "{\"role\": \"tool\", \"tool_call_id\": \"unknown\", \"content\": \"5\"},"
             "{\"role\": \"user\", \"content\": \"and?\", \"refusal\": null}], " TOOLS
             ", \"max_tokens\": 3, \"max_completion_tokens\": 9, \"logprobs\": true, "
             "\"top_logprobs\": 4, \"tool_choice\": \"auto\", \"response_format\": {\"type\": "
             "\"text\"}, \"parallel_tool_calls\": true, \"modalities\": [\"text\"]}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_CHAT);
    assert_int_equal(r->n_messages, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < r->n_messages; i++) {
        assert_string_equal(r->messages[i].role, expected[i].role);
        assert_string_equal(r->messages[i].content, expected[i].content);
        assert_int_equal(r->messages[i].content_bytes, strlen(expected[i].content));
        assert_int_equal(r->messages[i].last_part, i == 2 ? strlen("one ") : 0);
        expect_text(r->messages[i].name, expected[i].name);
        expect_text(r->messages[i].calls_json, expected[i].calls);
        expect_text(r->messages[i].extra_json, expected[i].extra);
    }
    /* As it came: the same request must make the same prompt. */
    assert_memory_equal(TOOLS, "\"tools\": ", 9);
    assert_string_equal(r->tools_json, &TOOLS[9]);
    assert_int_equal(r->max_tokens, 9);
    assert_int_equal(r->n_logprobs, 4);
    json_decref(finish(&c, job, FG_FINISH_STOP));
    job = post(&f, &c, "{" USER ", " TOOLS ", \"tool_choice\": \"none\", \"logprobs\": true}");
    r = fake_job_request(job);
    assert_null(r->tools_json);
    assert_int_equal(r->max_tokens, -1);
    assert_int_equal(r->n_logprobs, 0);
    json_decref(finish(&c, job, FG_FINISH_STOP));
    fixture_stop(&f);
}

static void whole_answer_has_openai_form(void **state)
{
    struct fg_token_logprob top = {
        .token = 5, .logprob = -0.75f, .piece = "\xC3", .piece_bytes = 1};
    struct fg_job_token token = fake_token(4, "\xC3\xA9", -0.1f);
    const char *id, *object, *role, *content, *reason, *text, *top_text;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    int b0, b1, token_id, top_byte;
    double logprob, top_logprob;
    json_t *v;

    (void)state;
    token.n_top = 1;
    token.top = &top;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" USER ", \"logprobs\": true, \"top_logprobs\": 1}");
    fake_job_delta(job, "\xC3\xA9", &token, 1);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v, "{s:s, s:s, s:[{s:{s:s, s:s}, s:s}]}", "id", &id, "object", &object, "choices",
           "message", "role", &role, "content", &content, "finish_reason", &reason);
    assert_memory_equal(id, "chatcmpl-", 9);
    assert_string_equal(object, "chat.completion");
    assert_string_equal(role, "assistant");
    assert_string_equal(content, "\xC3\xA9");
    assert_string_equal(reason, "stop");
    unpack(v, "{s:[{s:{s:[{s:s, s:F, s:[i,i], s:i, s:[{s:s, s:F, s:[i]}]}]}}]}", "choices",
           "logprobs", "content", "token", &text, "logprob", &logprob, "bytes", &b0, &b1, "id",
           &token_id, "top_logprobs", "token", &top_text, "logprob", &top_logprob, "bytes",
           &top_byte);
    assert_string_equal(text, "\xC3\xA9");
    assert_true((float)logprob == -0.1f);
    assert_int_equal(b0, 0xC3);
    assert_int_equal(b1, 0xA9);
    assert_int_equal(token_id, 4);
    assert_string_equal(top_text, "bytes:\\xc3");
    assert_int_equal(top_byte, 0xC3);
    assert_true(top_logprob == -0.75);
    json_decref(v);
    fixture_stop(&f);
}

/* The delta of the next event; *v keeps it alive. */
static json_t *next_delta(struct client *c, json_t **v)
{
    *v = client_event(c);
    assert_string_equal(json_string_value(json_object_get(*v, "object")), "chat.completion.chunk");
    return json_object_get(json_array_get(json_object_get(*v, "choices"), 0), "delta");
}

static void expect_content(struct client *c, const char *content)
{
    json_t *v, *delta = next_delta(c, &v);

    assert_string_equal(json_string_value(json_object_get(delta, "content")), content);
    json_decref(v);
}

static void stream_has_openai_form(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v, *delta;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" USER ", \"stream\": true}");
    fake_job_delta(job, "Hel", NULL, 0);
    fake_job_delta(job, "lo <tool_calls>", NULL, 0); /* without tools it is text */
    fake_job_done(job, FG_FINISH_LENGTH);
    client_read_head(&c, &head);
    reply_free(&head);
    delta = next_delta(&c, &v);
    assert_string_equal(json_string_value(json_object_get(delta, "role")), "assistant");
    json_decref(v);
    expect_content(&c, "Hel");
    expect_content(&c, "lo <tool_calls>");
    delta = next_delta(&c, &v);
    assert_int_equal(json_object_size(delta), 0);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(v, "choices"), 0), "finish_reason")),
                        "length");
    assert_non_null(json_object_get(json_object_get(v, "fulgur"), "cache"));
    json_decref(v);
    assert_null(client_event(&c));
    /* An answer without any text still names its role. */
    client_post(&c, "/v1/chat/completions", "{" USER ", \"stream\": true}");
    fake_job_done(fake_backend_next(f.backend), FG_FINISH_STOP);
    client_read_head(&c, &head);
    reply_free(&head);
    delta = next_delta(&c, &v);
    assert_string_equal(json_string_value(json_object_get(delta, "role")), "assistant");
    json_decref(v);
    json_decref(client_event(&c));
    assert_null(client_event(&c));
    client_close(&c);
    fixture_stop(&f);
}

static const struct {
    const char *text, *content; /* content NULL: JSON null */
    int n;
    const char *name, *arguments; /* of the last call */
} answers[] = {
    {"plain", "plain", 0, NULL, NULL},
    {"I add.\n\n<tool_calls>\n{\"name\": \"add\", \"arguments\": {\"b\": 1, \"a\": "
     "2}}\n</tool_calls>\n",
     "I add.", 1, "add", "{\"b\": 1, \"a\": 2}"},
    {"<tool_calls>{\"name\": \"a\"}\n\n{\"name\": \"b\", \"arguments\": {}}", NULL, 2, "b", "{}"},
    /* Malformed blocks are text, whole. */
    {"x <tool_calls>\nadd(1)\n</tool_calls>", "x <tool_calls>\nadd(1)\n</tool_calls>", 0, NULL,
     NULL},
    {"<tool_calls>\n</tool_calls>", "<tool_calls>\n</tool_calls>", 0, NULL, NULL},
    {"<tool_calls>\n{\"name\": \"a\", \"arguments\": \"s\"}",
     "<tool_calls>\n{\"name\": \"a\", "
     "\"arguments\": \"s\"}",
     0, NULL, NULL},
    /* So are those that were cut. */
    {"<tool_calls>\n{\"name\": \"a\"}\n{\"name\": \"b\", \"arguments\": {\"x\":",
     "<tool_calls>\n{\"name\": \"a\"}\n{\"name\": \"b\", \"arguments\": {\"x\":", 0, NULL, NULL},
    {"<tool_calls>\n{\"name\": \"a\"}\n</tool_calls> and more", "and more", 1, "a", "{}"},
    {"<tool_call", "<tool_call", 0, NULL, NULL},
};

static void tool_calls_are_found_in_whole_answers(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        json_t *content, *calls, *call, *message;
        const char *reason;

        job = post(&f, &c, "{" USER ", " TOOLS "}");
        fake_job_delta(job, answers[i].text, NULL, 0);
        v = finish(&c, job, FG_FINISH_STOP);
        unpack(v, "{s:[{s:o, s:s}]}", "choices", "message", &message, "finish_reason", &reason);
        content = json_object_get(message, "content");
        calls = json_object_get(message, "tool_calls");
        assert_string_equal(reason, answers[i].n ? "tool_calls" : "stop");
        if (answers[i].content)
            assert_string_equal(json_string_value(content), answers[i].content);
        else
            assert_true(json_is_null(content));
        assert_int_equal(json_array_size(calls), answers[i].n);
        if (answers[i].n) {
            const char *id, *type, *name, *arguments;

            call = json_array_get(calls, (size_t)answers[i].n - 1);
            unpack(call, "{s:s, s:s, s:{s:s, s:s}}", "id", &id, "type", &type, "function", "name",
                   &name, "arguments", &arguments);
            assert_memory_equal(id, "call_", 5);
            assert_string_equal(type, "function");
            assert_string_equal(name, answers[i].name);
            assert_string_equal(arguments, answers[i].arguments);
        }
        json_decref(v);
    }
    fixture_stop(&f);
}

/* What was written goes to the backend with the first call's id, before the client has the answer;
 * not where the request is to leave nothing behind. */
static void calls_are_kept_as_they_were_written(void **state)
{
    static const char text[] = "So. <tool_calls>\n{\"name\" : \"f\", \"arguments\":{\"x\":1e3}}";
    static const char *const more[] = {"", ", \"cache\": false",
                                       ", \"fulgur\": {\"cache\": \"read\"}",
                                       ", \"skip_special_tokens\": false"};
    char kept[FAKE_SPOKEN], want[FAKE_SPOKEN], body[512];
    struct fixture f;
    struct client c;

    (void)state;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct fg_job *job;
        const char *id;
        int reasoning;
        json_t *v;

        fixture_start(&f, NULL, NULL);
        snprintf(body, sizeof body, "{" USER ", " TOOLS "%s}", more[i]);
        job = post(&f, &c, body);
        fake_job_delta(job, text, NULL, 0);
        v = finish(&c, job, FG_FINISH_STOP);
        unpack(v, "{s:[{s:{s:[{s:s}]}}], s:{s:{s:i}}}", "choices", "message", "tool_calls", "id",
               &id, "usage", "completion_tokens_details", "reasoning_tokens", &reasoning);
        assert_int_equal(reasoning, 4); /* as the backend counts */
        snprintf(want, sizeof want, "%s %s", id, text);
        fake_backend_spoken(f.backend, kept);
        assert_string_equal(kept, i == 0 ? want : "");
        json_decref(v);
        fixture_stop(&f);
    }
}

/* The next event's delta: `tool_calls` of one, with what is not NULL. */
static void expect_call(struct client *c, const char *name, const char *arguments)
{
    json_t *v, *delta = next_delta(c, &v), *call, *function;

    call = json_array_get(json_object_get(delta, "tool_calls"), 0);
    function = json_object_get(call, "function");
    assert_int_equal(json_integer_value(json_object_get(call, "index")), 0);
    assert_int_equal(json_object_get(call, "id") != NULL, name != NULL);
    assert_int_equal(json_object_get(call, "type") != NULL, name != NULL);
    if (name)
        assert_string_equal(json_string_value(json_object_get(function, "name")), name);
    assert_string_equal(json_string_value(json_object_get(function, "arguments")), arguments);
    json_decref(v);
}

static void expect_finish(struct client *c, const char *reason)
{
    json_t *v = client_event(c);
    const char *found;

    unpack(v, "{s:[{s:s}]}", "choices", "finish_reason", &found);
    assert_string_equal(found, reason);
    json_decref(v);
    assert_null(client_event(c));
}

static struct fg_job *begin_stream(struct fixture *f, struct client *c, const char *more)
{
    char body[1024];
    struct reply head;
    struct fg_job *job;

    snprintf(body, sizeof body, "{" USER ", \"stream\": true%s}", more);
    client_post(c, "/v1/chat/completions", body);
    job = fake_backend_next(f->backend);
    fake_job_begun(job, NULL, 0);
    client_read_head(c, &head);
    reply_free(&head);
    return job;
}

/* Each piece of a call goes out as it comes. */
static void tool_calls_are_told_in_streams(void **state)
{
    static const char *const pieces[] = {
        "A < B", " <",  "tool", " x <tool_", "calls>\n{\"na", "me\": \"add\", \"arguments\": {\"a",
        "\": 1", "}}\n"};
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    job = begin_stream(&f, &c, ", " TOOLS);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        fake_job_delta(job, pieces[i], NULL, 0);
    expect_content(&c, "");
    expect_content(&c, "A < B");
    expect_content(&c, " <tool x");
    expect_call(&c, "add", "");
    expect_call(&c, NULL, "{\"a");
    expect_call(&c, NULL, "\": 1");
    expect_call(&c, NULL, "}"); /* before the answer is complete */
    fake_job_done(job, FG_FINISH_STOP);
    expect_finish(&c, "tool_calls");
    /* What only looked like a call is sent as soon as that is known. */
    job = begin_stream(&f, &c, ", " TOOLS);
    fake_job_delta(job, "<tool_calls>\nno", NULL, 0);
    expect_content(&c, "");
    expect_content(&c, "<tool_calls>\nno");
    fake_job_done(job, FG_FINISH_STOP);
    expect_finish(&c, "stop");
    /* A call that goes wrong ends, and the rest is text. */
    job = begin_stream(&f, &c, ", " TOOLS);
    fake_job_delta(job, "<tool_calls>{\"name\": \"add\", \"arguments\": {\"a\": 1]} x", NULL, 0);
    expect_content(&c, "");
    expect_call(&c, "add", "");
    expect_call(&c, NULL, "{\"a\": 1");
    expect_content(&c, "]} x");
    fake_job_done(job, FG_FINISH_STOP);
    expect_finish(&c, "stop");
    /* So does one that is cut. */
    job = begin_stream(&f, &c, ", " TOOLS);
    fake_job_delta(job, "<tool_calls>{\"name\": \"add\", \"arguments\": {", NULL, 0);
    expect_content(&c, "");
    expect_call(&c, "add", "");
    expect_call(&c, NULL, "{");
    fake_job_done(job, FG_FINISH_LENGTH);
    expect_finish(&c, "length");
    client_close(&c);
    fixture_stop(&f);
}

static void expect_reasoning(struct client *c, const char *text)
{
    json_t *v, *delta = next_delta(c, &v);

    assert_string_equal(json_string_value(json_object_get(delta, "reasoning_content")), text);
    assert_null(json_object_get(delta, "content"));
    json_decref(v);
}

static void reasoning_is_told_apart_in_streams(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    job = begin_stream(&f, &c, "");
    fake_job_delta(job, "<think>\nI", NULL, 0);
    fake_job_delta(job, " see\n</th", NULL, 0);
    fake_job_delta(job, "ink>\n\nHi", NULL, 0);
    expect_content(&c, "");
    expect_reasoning(&c, "I");
    expect_reasoning(&c, " see");
    expect_content(&c, "Hi");
    fake_job_done(job, FG_FINISH_STOP);
    expect_finish(&c, "stop");
    job = begin_stream(&f, &c, ", \"reasoning_format\": \"none\"");
    fake_job_delta(job, "<think>I</think>Hi", NULL, 0);
    expect_content(&c, "");
    expect_content(&c, "<think>I</think>Hi");
    fake_job_done(job, FG_FINISH_STOP);
    expect_finish(&c, "stop");
    client_close(&c);
    fixture_stop(&f);
}

static void reasoning_is_told_apart_in_whole_answers(void **state)
{
    static const struct {
        const char *more, *text, *content, *reasoning;
        enum fg_answer_start start;
    } rows[] = {
        {"", "<think>\nI see\n</think>\n\nHi", "Hi", "I see", FG_STARTS_ANYHOW},
        {"", "I see\n</think>\n\nHi", "Hi", "I see", FG_STARTS_REASONING},
        {"", "I see", "", "I see", FG_STARTS_REASONING},
        {", \"reasoning_format\": \"none\"", "<think>a</think>b", "<think>a</think>b", NULL,
         FG_STARTS_ANYHOW},
        {", \"reasoning_format\": \"auto\"", "Hi</think>", "Hi</think>", NULL, FG_STARTS_ANYHOW},
        /* A malformed call is text, and what was thought before it is not. */
        {", " TOOLS, "a</think><tool_calls>{\"name\": \"add\", \"arguments\": {",
         "<tool_calls>{\"name\": \"add\", \"arguments\": {", "a", FG_STARTS_REASONING},
    };
    struct fixture f;
    char body[1024];

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client c;
        struct fg_job *job;
        json_t *v, *message;

        snprintf(body, sizeof body, "{" USER "%s}", rows[i].more);
        job = post(&f, &c, body);
        assert_true(fake_job_request(job)->marks);
        fake_job_begun_at(job, rows[i].start);
        fake_job_delta(job, rows[i].text, NULL, 0);
        v = finish(&c, job, FG_FINISH_STOP);
        unpack(v, "{s:[{s:o}]}", "choices", "message", &message);
        expect_text(json_string_value(json_object_get(message, "content")), rows[i].content);
        expect_text(json_string_value(json_object_get(message, "reasoning_content")),
                    rows[i].reasoning);
        json_decref(v);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_reach_the_backend),
        cmocka_unit_test(whole_answer_has_openai_form),
        cmocka_unit_test(stream_has_openai_form),
        cmocka_unit_test(tool_calls_are_found_in_whole_answers),
        cmocka_unit_test(calls_are_kept_as_they_were_written),
        cmocka_unit_test(tool_calls_are_told_in_streams),
        cmocka_unit_test(reasoning_is_told_apart_in_streams),
        cmocka_unit_test(reasoning_is_told_apart_in_whole_answers),
    };

    return cmocka_run_group_tests_name("api chat", tests, NULL, NULL);
}
