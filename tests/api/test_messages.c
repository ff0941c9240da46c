/* /v1/messages: Anthropic's requests on their way in, its messages, events and errors on their way
 * out. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define HI "\"max_tokens\": 9, \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]"
#define SCHEMA "{\"type\": \"object\",  \"properties\": {\"z\": {}, \"a\": {}}}"
#define TOOLS                                                                                      \
    "\"tools\": [{\"name\": \"add\", \"description\": \"d\", \"input_schema\": " SCHEMA "}]"
#define CALL                                                                                       \
    "Look.\n\n<tool_calls>\n{\"name\": \"add\", \"arguments\": {\"b\": 1.00000000000001e3}}"

static struct fg_job *post(struct fixture *f, struct client *c, const char *body)
{
    return fixture_post(f, c, "/v1/messages?beta=true", body);
}

static json_t *answer(struct client *c)
{
    char id[128];
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, 200);
    assert_memory_equal(reply_header(&r, "Request-Id", id), "req_", 4);
    v = reply_json(&r);
    reply_free(&r);
    client_close(c);
    return v;
}

static json_t *finish(struct client *c, struct fg_job *job, enum fg_finish_reason reason)
{
    fake_job_done(job, reason);
    return answer(c);
}

/* The next event of a stream, whose name and type are that. NULL: the stream has ended. */
static json_t *next_event(struct client *c, const char *type)
{
    char *chunk = client_chunk(c), *data, want[64];
    json_t *v;

    if (!type) {
        assert_null(chunk);
        return NULL;
    }
    assert_non_null(chunk);
    snprintf(want, sizeof want, "event: %s\ndata: ", type);
    if (strncmp(chunk, want, strlen(want)) != 0)
        fail_msg("%s is not %s", chunk, type);
    data = chunk + strlen(want);
    v = json_loads(data, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(v);
    assert_string_equal(json_string_value(json_object_get(v, "type")), type);
    free(chunk);
    return v;
}

static void skip_event(struct client *c, const char *type)
{
    json_decref(next_event(c, type));
}

static const struct {
    const char *role, *content, *calls, *extra;
    size_t last_part;
} expected[] = {
    {"system", "You are Claude.Be brief.", NULL, NULL, 15},
    {"user", "one two", NULL, NULL, 4},
    {"assistant", "Let me see.",
     "[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":"
     "\"{\\\"b\\\": 2.0,  \\\"a\\\": [1]}\"}},{\"id\":\"t2\",\"type\":\"function\",\"function\":{"
     "\"name\":\"add\",\"arguments\":\"{}\"}}]",
     "{\"reasoning_content\": \"hm \\u00e4\"}", 0},
    {"tool", "3", NULL, "{\"tool_call_id\": \"t1\"}", 0},
    {"tool", "Error: no", NULL, "{\"tool_call_id\": \"t2\"}", 0},
    {"user", "go on\n\nplease", NULL, NULL, 7},
    {"assistant", "Sure: ", NULL, NULL, 0},
};

static void expect_text(const char *got, const char *want)
{
    assert_int_equal(got != NULL, want != NULL);
    if (want)
        assert_string_equal(got, want);
}

#define TALK                                                                                       \
    "{\"model\": \"tiny\", \"max_tokens\": 5, \"temperature\": 0.5, \"top_k\": 3, \"top_p\": "     \
    "0.25, \"stop_sequences\": [\"END\"], \"metadata\": {\"user_id\": \"u\"}, \"service_tier\": "  \
    "\"auto\", \"thinking\": {\"type\": \"adaptive\"}, \"output_config\": {\"effort\": "           \
    "\"high\"}, "                                                                                  \
    "\"context_management\": {\"edits\": []}, \"tool_choice\": {\"type\": \"auto\", "              \
    "\"disable_parallel_tool_use\": true}, " TOOLS                                                 \
    ", \"system\": [{\"type\": \"text\", \"text\": "                                               \
    "\"x-anthropic-billing-header: cc=1;\"}, {\"type\": \"text\", \"text\": \"You are Claude.\", " \
    "\"cache_control\": {\"type\": \"ephemeral\"}}, {\"type\": \"text\", \"text\": \"Be "          \
    "brief.\"}], "                                                                                 \
    "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"one \"}, " \
    "{\"type\": \"text\", \"text\": \"two\", \"cache_control\": {\"type\": \"ephemeral\"}}]},"     \
    "{\"role\": \"assistant\", \"content\": [{\"type\": \"thinking\", \"thinking\": \"hm "         \
    "\\u00e4\", \"signature\": \"s\"}, {\"type\": \"redacted_thinking\", \"data\": \"x\"}, "       \
    "{\"type\": \"text\", \"text\": \"Let me see.\"}, {\"type\": \"tool_use\", \"id\": \"t1\", "   \
    "\"name\": \"add\", \"input\": {\"b\": 2.0,  \"a\": [1]}}, {\"type\": \"tool_use\", \"id\": "  \
    "\"t2\", \"name\": \"add\", \"input\": {}}]},"                                                 \
    "{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", \"tool_use_id\": \"t1\", "     \
    "\"content\": \"3\"}, {\"type\": \"tool_result\", \"tool_use_id\": \"t2\", \"is_error\": "     \
    "true, \"content\": [{\"type\": \"text\", \"text\": \"no\"}]}, {\"type\": \"text\", "          \
    "\"text\": "                                                                                   \
    "\"go on\"}]}, {\"role\": \"user\", \"content\": \"please\"}, {\"role\": \"assistant\", "      \
    "\"content\": \"Sure: \"}]}"

static void requests_become_chats(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, TALK);
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_CHAT);
    assert_int_equal(r->n_messages, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < r->n_messages; i++) {
        assert_string_equal(r->messages[i].role, expected[i].role);
        assert_string_equal(r->messages[i].content, expected[i].content);
        assert_int_equal(r->messages[i].last_part, expected[i].last_part);
        expect_text(r->messages[i].calls_json, expected[i].calls);
        expect_text(r->messages[i].extra_json, expected[i].extra);
    }
    assert_string_equal(r->messages[3].name, "add");
    assert_string_equal(r->tools_json,
                        "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":"
                        "\"d\",\"parameters\":" SCHEMA "}}]");
    assert_string_equal(r->variables_json, "{\"enable_thinking\":true}");
    assert_true(r->continue_final && r->no_answer_header);
    assert_int_equal(r->max_tokens, 5);
    assert_int_equal(r->sampling.top_k, 3);
    assert_true(r->sampling.temperature == 0.5f && r->sampling.top_p == 0.25f);
    assert_int_equal(r->n_stop, 1);
    assert_string_equal(r->stop[0], "END");
    json_decref(finish(&c, job, FG_FINISH_STOP));
    fixture_stop(&f);
}

static void billing_line_stays_where_it_is_asked_for(void **state)
{
    static const char body[] =
        "{\"system\": [{\"type\": \"text\", \"text\": \"x-anthropic-billing-header: 1\"}], " HI "}";
    const struct fg_api_options keep = {.keep_billing = true};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct client c;
        struct fg_job *job;

        fixture_start(&f, NULL, i ? &keep : NULL);
        job = post(&f, &c, body);
        assert_int_equal(fake_job_request(job)->n_messages, i ? 2 : 1);
        assert_int_equal(fake_job_request(job)->billing_left_out, !i);
        assert_string_equal(fake_job_request(job)->messages[0].role, i ? "system" : "user");
        assert_string_equal(fake_job_request(job)->variables_json, "{\"enable_thinking\":false}");
        json_decref(finish(&c, job, FG_FINISH_STOP));
        fixture_stop(&f);
    }
}

/* The fake backend's prompts have 1000 tokens, 960 of them reused; 15 blocks of 64 are 960. */
static void expect_usage(const json_t *v, int input, int read, int created, int output)
{
    int got[4];

    unpack((json_t *)v, "{s:i, s:i, s:i, s:i}", "input_tokens", &got[0], "cache_read_input_tokens",
           &got[1], "cache_creation_input_tokens", &got[2], "output_tokens", &got[3]);
    assert_int_equal(got[0], input);
    assert_int_equal(got[1], read);
    assert_int_equal(got[2], created);
    assert_int_equal(got[3], output);
}

static void whole_messages(void **state)
{
    const char *type, *role, *id, *reason, *text, *model;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v, *stop, *usage;
    int reused;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI "}");
    fake_job_delta(job, "Hel", NULL, 0);
    fake_job_delta(job, "lo", NULL, 0);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v, "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:[{s:s}!], s:{s:{s:i}}}", "type", &type, "role",
           &role, "id", &id, "model", &model, "stop_reason", &reason, "stop_sequence", &stop,
           "usage", &usage, "content", "text", &text, "fulgur", "cache", "reused_tokens", &reused);
    assert_string_equal(type, "message");
    assert_true(strcmp(role, "assistant") == 0 && strncmp(id, "msg_", 4) == 0);
    assert_string_equal(model, "tiny");
    assert_string_equal(reason, "end_turn");
    assert_true(json_is_null(stop) && strcmp(text, "Hello") == 0);
    expect_usage(usage, 40, 960, 0, 7);
    assert_int_equal(reused, 960);
    json_decref(v);
    job = post(&f, &c, "{" HI ", \"stop_sequences\": [\"A\", \"B\"]}");
    fake_job_stopped(job, FG_FINISH_STOP, 2);
    v = answer(&c);
    unpack(v, "{s:s, s:s}", "stop_reason", &reason, "stop_sequence", &text);
    assert_string_equal(reason, "stop_sequence");
    assert_string_equal(text, "B");
    json_decref(v);
    job = post(&f, &c, "{" HI "}");
    v = finish(&c, job, FG_FINISH_LENGTH);
    unpack(v, "{s:s, s:[{s:s}!]}", "stop_reason", &reason, "content", "text", &text);
    assert_string_equal(reason, "max_tokens");
    assert_string_equal(text, "");
    json_decref(v);
    fixture_stop(&f);
}

/* The model's own digits come back, and its words are kept under the id of the call. */
static void calls_are_blocks(void **state)
{
    char kept[FAKE_SPOKEN], want[FAKE_SPOKEN];
    const char *reason, *text, *type, *id, *name;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply r;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI ", " TOOLS "}");
    fake_job_delta(job, CALL, NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read(&c, &r, false);
    assert_non_null(strstr(r.body, "\"input\":{\"b\": 1.00000000000001e3}"));
    v = reply_json(&r);
    unpack(v, "{s:s, s:[{s:s}, {s:s, s:s, s:s}!]}", "stop_reason", &reason, "content", "text",
           &text, "type", &type, "id", &id, "name", &name);
    assert_string_equal(reason, "tool_use");
    assert_string_equal(text, "Look.");
    assert_string_equal(type, "tool_use");
    assert_string_equal(name, "add");
    snprintf(want, sizeof want, "%s %s", id, CALL);
    fake_backend_spoken(f.backend, kept);
    assert_string_equal(kept, want);
    json_decref(v);
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

/* What max_tokens cuts is no object: all that the model wrote is text. */
static void a_cut_call_is_text(void **state)
{
    static const char cut[] = "<tool_calls>\n{\"name\": \"add\", \"arguments\": {\"b\": 1.0";
    struct fixture f;
    struct client c;
    struct fg_job *job;
    const char *text;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI ", " TOOLS "}");
    fake_job_delta(job, cut, NULL, 0);
    v = finish(&c, job, FG_FINISH_LENGTH);
    unpack(v, "{s:[{s:s}!]}", "content", "text", &text);
    assert_string_equal(text, cut);
    json_decref(v);
    fixture_stop(&f);
}

static void streams_are_events(void **state)
{
    const char *text, *reason;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v, *usage;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI ", " TOOLS ", \"stream\": true}");
    fake_job_begun(job, NULL, 0);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    fake_job_progress(job, 500, 1000, 320);
    v = next_event(&c, "message_start");
    unpack(v, "{s:{s:o, s:[!], s:n}}", "message", "usage", &usage, "content", "stop_reason");
    expect_usage(usage, 40, 320, 640, 0);
    json_decref(v);
    fake_job_progress(job, 1000, 1000, 320); /* says nothing */
    fake_job_delta(job, "Lo", NULL, 0);
    skip_event(&c, "content_block_start");
    v = next_event(&c, "content_block_delta");
    unpack(v, "{s:{s:s}}", "delta", "text", &text);
    assert_string_equal(text, "Lo");
    json_decref(v);
    fake_job_delta(job, &CALL[2], NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    skip_event(&c, "content_block_delta");
    skip_event(&c, "content_block_stop");
    v = next_event(&c, "content_block_start");
    unpack(v, "{s:i, s:{s:s, s:s, s:{!}}}", "index", &(int){0}, "content_block", "type", &text,
           "name", &reason, "input");
    assert_string_equal(text, "tool_use");
    json_decref(v);
    v = next_event(&c, "content_block_delta");
    unpack(v, "{s:{s:s, s:s}}", "delta", "type", &reason, "partial_json", &text);
    assert_string_equal(reason, "input_json_delta");
    assert_string_equal(text, "{\"b\": 1.00000000000001e3}");
    json_decref(v);
    skip_event(&c, "content_block_stop");
    v = next_event(&c, "message_delta");
    unpack(v, "{s:{s:s}, s:o, s:{}}", "delta", "stop_reason", &reason, "usage", &usage, "fulgur");
    assert_string_equal(reason, "tool_use");
    expect_usage(usage, 40, 960, 0, 7);
    json_decref(v);
    skip_event(&c, "message_stop");
    next_event(&c, NULL);
    client_close(&c);
    fixture_stop(&f);
}

/* What the model thinks is a block of its own, and is signed. */
static void thinking_is_a_block(void **state)
{
    const char *type, *thinking, *signature, *text;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI "}");
    fake_job_begun_at(job, FG_STARTS_REASONING);
    fake_job_delta(job, "Hm.</think>Hi", NULL, 0);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v, "{s:[{s:s, s:s, s:s}, {s:s}!]}", "content", "type", &type, "thinking", &thinking,
           "signature", &signature, "text", &text);
    assert_string_equal(type, "thinking");
    assert_string_equal(thinking, "Hm.");
    assert_true(signature[0]);
    assert_string_equal(text, "Hi");
    json_decref(v);
    job = post(&f, &c, "{" HI ", \"stream\": true}");
    fake_job_begun_at(job, FG_STARTS_REASONING);
    fake_job_delta(job, "Hm.", NULL, 0);
    fake_job_delta(job, "</think>Hi", NULL, 0);
    fake_job_done(job, FG_FINISH_STOP);
    client_read_head(&c, &head);
    reply_free(&head);
    skip_event(&c, "message_start");
    v = next_event(&c, "content_block_start");
    unpack(v, "{s:{s:s, s:s, s:s}}", "content_block", "type", &type, "thinking", &thinking,
           "signature", &signature);
    assert_string_equal(type, "thinking");
    assert_string_equal(thinking, "");
    json_decref(v);
    v = next_event(&c, "content_block_delta");
    unpack(v, "{s:{s:s, s:s}}", "delta", "type", &type, "thinking", &thinking);
    assert_string_equal(type, "thinking_delta");
    assert_string_equal(thinking, "Hm.");
    json_decref(v);
    v = next_event(&c, "content_block_delta");
    unpack(v, "{s:{s:s, s:s}}", "delta", "type", &type, "signature", &signature);
    assert_string_equal(type, "signature_delta");
    json_decref(v);
    skip_event(&c, "content_block_stop");
    skip_event(&c, "content_block_start");
    skip_event(&c, "content_block_delta");
    skip_event(&c, "content_block_stop");
    skip_event(&c, "message_delta");
    skip_event(&c, "message_stop");
    next_event(&c, NULL);
    client_close(&c);
    fixture_stop(&f);
}

static void failed_streams_end_with_an_error(void **state)
{
    const char *type;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{" HI ", \"stream\": true}");
    fake_job_delta(job, "a", NULL, 0);
    fake_job_fail(job, FG_EDEVICELOST, "gone");
    client_read_head(&c, &head);
    reply_free(&head);
    skip_event(&c, "message_start");
    skip_event(&c, "content_block_start");
    skip_event(&c, "content_block_delta");
    v = next_event(&c, "error");
    unpack(v, "{s:{s:s}}", "error", "type", &type);
    assert_string_equal(type, "api_error");
    json_decref(v);
    next_event(&c, NULL);
    client_close(&c);
    fixture_stop(&f);
}

static void tokens_are_counted(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v;
    int n;

    (void)state;
    fixture_start(&f, NULL, NULL);
    client_unix(&c, &f);
    client_post(&c, "/v1/messages/count_tokens",
                "{\"model\": \"tiny\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}");
    job = fake_backend_next(f.backend);
    assert_int_equal(fake_job_request(job)->mode, FG_MODE_FORECAST);
    v = finish(&c, job, FG_FINISH_STOP);
    unpack(v, "{s:i!}", "input_tokens", &n);
    assert_int_equal(n, 1000);
    json_decref(v);
    fixture_stop(&f);
}

static const struct {
    const char *body, *type, *message;
    int status;
} refused[] = {
    {"{}", "invalid_request_error", "max_tokens: it is missing", 400},
    {"{\"max_tokens\": 0, \"messages\": []}", "invalid_request_error", "max_tokens: found 0", 400},
    {"{\"max_tokens\": \"5\"}", "invalid_request_error", "messages: it must be", 400},
    {"{\"max_tokens\": 1, \"messages\": []}", "invalid_request_error", "messages: it must be", 400},
    {"{\"model\": \"gpt\", " HI "}", "not_found_error", "model: found", 404},
    {"{" HI ", \"temperature\": -1}", "invalid_request_error", "temperature: found", 400},
    {"{" HI ", \"n\": 2}", "invalid_request_error", "n: it must be absent", 400},
    {"{" HI ", \"typical_p\": 0.5}", "invalid_request_error", "typical_p: found", 400},
    {"{" HI ", \"stop_sequences\": [\"\"]}", "invalid_request_error", "stop_sequences[0]", 400},
    {"{" HI ", \"thinking\": {\"type\": \"x\"}}", "invalid_request_error", "thinking.type", 400},
    {"{" HI ", \"tool_choice\": {\"type\": \"x\"}}", "invalid_request_error", "tool_choice", 400},
    {"{" HI ", \"tools\": [{\"name\": \"f\"}]}", "invalid_request_error", "tools[0]", 400},
    {"{" HI ", \"tools\": [{\"type\": \"bash_20250124\", \"name\": \"bash\"}]}",
     "invalid_request_error", "tools[0].type: found \"bash_20250124\"", 400},
    {"{" HI ", \"mcp_servers\": [{}]}", "invalid_request_error", "mcp_servers", 400},
    {"{" HI ", \"system\": [{\"type\": \"image\"}]}", "invalid_request_error",
     "system[0]: found a block of type \"image\": the model reads text alone", 400},
    {"{\"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": "
     "\"document\"}]}]}",
     "invalid_request_error", "messages[0].content[0]: found a block of type \"document\"", 400},
    {"{\"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": "
     "\"tool_result\", \"tool_use_id\": \"x\", \"content\": [{\"type\": \"image\"}]}]}]}",
     "invalid_request_error", "messages[0].content[0][0]: found a block of type \"image\"", 400},
    {"{\"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": 5}]}",
     "invalid_request_error", "messages[0].content: it must be", 400},
    {"{\"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": [5, {}]}]}",
     "invalid_request_error", "messages[0].content[0]: it must be", 400},
    {"{\"max_tokens\": 1, \"messages\": [{\"role\": \"tool\", \"content\": \"\"}]}",
     "invalid_request_error", "messages[0].role", 400},
    {"{\"max_tokens\": 1, \"messages\": [7]}", "invalid_request_error", "messages[0].role", 400},
    {"[1]", "invalid_request_error", "", 400},
    {"{", "invalid_request_error", "", 400},
};

static void expect_error(json_t *v, const char *type, const char *message)
{
    const char *is, *got, *said, *id;

    unpack(v, "{s:s, s:s, s:{s:s, s:s!}!}", "type", &is, "request_id", &id, "error", "type", &got,
           "message", &said);
    assert_string_equal(is, "error");
    assert_memory_equal(id, "req_", 4);
    assert_string_equal(got, type);
    if (strncmp(said, message, strlen(message)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", said, message);
    json_decref(v);
}

static void errors_have_anthropics_form(void **state)
{
    struct fake_options busy = {.busy = FG_EBUSY};
    const struct fg_api_options small = {.max_body = 4096};
    struct fixture f;
    struct client c;
    struct reply r;
    char *large = calloc(1, 5000);

    (void)state;
    fixture_start(&f, NULL, &small);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_error(ask(&f, "POST", "/v1/messages", refused[i].body, refused[i].status),
                     refused[i].type, refused[i].message);
    memset(large, ' ', 4999);
    expect_error(ask(&f, "POST", "/v1/messages", large, 413), "request_too_large", "the body");
    free(large);
    expect_error(ask(&f, "POST", "/messages/batches", "{}", 404), "not_found_error", "");
    expect_error(ask(&f, "GET", "/v1/messages", NULL, 405), "invalid_request_error", "");
    json_decref(ask(&f, "POST", "/v1/completions", "{}", 400));
    client_unix(&c, &f);
    client_post(&c, "/v1/messages", "{" HI "}");
    fake_job_fail(fake_backend_next(f.backend), FG_ETOOLONG, "9 tokens");
    client_read(&c, &r, false);
    assert_int_equal(r.status, 400);
    expect_error(reply_json(&r), "invalid_request_error", "prompt is too long: 9 tokens");
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
    fixture_start(&f, &busy, NULL);
    expect_error(ask(&f, "POST", "/v1/messages", "{" HI "}", 429), "rate_limit_error", "");
    fixture_stop(&f);
}

static void wrong_keys_are_told_so(void **state)
{
    static const char *const keys[] = {"secret"};
    const struct fg_api_options opt = {
        .tcp_addr = "127.0.0.1:0", .api_keys = keys, .n_api_keys = 1};
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, &opt);
    client_tcp(&c, &f);
    client_post(&c, "/v1/messages", "{" HI "}");
    client_read(&c, &r, false);
    assert_int_equal(r.status, 401);
    expect_error(reply_json(&r), "authentication_error", "this daemon asks for a key");
    reply_free(&r);
    client_close(&c);
    client_tcp(&c, &f);
    client_get(&c, "/"); /* no key is asked for */
    client_read(&c, &r, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

static void models_are_anthropics_too(void **state)
{
    const char *type, *name, *created, *first, *last;
    struct fixture f;
    json_t *v;
    int more;

    (void)state;
    fixture_start(&f, NULL, NULL);
    v = ask(&f, "GET", "/v1/models", NULL, 200);
    unpack(v, "{s:b, s:s, s:s, s:[{s:s, s:s, s:s}]}", "has_more", &more, "first_id", &first,
           "last_id", &last, "data", "type", &type, "display_name", &name, "created_at", &created);
    assert_false(more);
    assert_string_equal(first, "tiny");
    assert_string_equal(last, "tiny");
    assert_string_equal(type, "model");
    assert_string_equal(name, "tiny");
    assert_string_equal(created, "2023-11-14T22:13:20Z");
    json_decref(v);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_become_chats),
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(billing_line_stays_where_it_is_asked_for),
        cmocka_unit_test(calls_are_blocks),
        cmocka_unit_test(a_cut_call_is_text),
        cmocka_unit_test(streams_are_events),
        cmocka_unit_test(thinking_is_a_block),
        cmocka_unit_test(failed_streams_end_with_an_error),
        cmocka_unit_test(tokens_are_counted),
        cmocka_unit_test(errors_have_anthropics_form),
        cmocka_unit_test(wrong_keys_are_told_so),
        cmocka_unit_test(models_are_anthropics_too),
    };

    return cmocka_run_group_tests_name("api messages", tests, NULL, NULL);
}
