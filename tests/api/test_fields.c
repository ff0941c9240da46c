/* Fields of requests that other servers know: each is done, or refused by name; and what is valid
 * JSON, or means the same, is taken. */
#include "fixture.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAT "/v1/chat/completions"
#define TEXT "/v1/completions"

/* `{"prompt": ..., "messages": ..., "NAME": VALUE}`, which either endpoint takes; the caller's. */
static char *body_with(const char *field)
{
    char *body;

    assert_true(asprintf(&body,
                         "{\"prompt\": \"x\", \"messages\": [{\"role\": \"user\", \"content\": "
                         "\"x\"}], %s}",
                         field) > 0);
    return body;
}

static const char *const not_done[] = {
    "guided_whitespace_pattern\": \"x\"",
    "structural_tag\": \"x\"",
    "format\": \"json\"",
    "logprobs_mode\": \"raw_logits\"",
    "chat_template\": \"x\"",
    "reasoning_effort\": \"high\"",
    "verbosity\": \"low\"",
    "thinking\": {\"type\": \"enabled\"}",
    "use_beam_search\": true",
    "typical_p\": 0.5",
    "mirostat\": 2",
    "mirostat_tau\": 3",
    "xtc_probability\": 0.5",
    "xtc_threshold\": 0.2",
    "dry_multiplier\": 0.8",
    "dry_base\": 2",
    "dry_allowed_length\": 3",
    "dry_sequence_breakers\": [\"x\"]",
    "top_a\": 0.2",
    "tfs_z\": 0.9",
    "top_n_sigma\": 2",
    "dynatemp_range\": 0.5",
    "repeat_penalty\": 1.1",
    "repeat_last_n\": 10",
    "length_penalty\": 1.5",
    "suffix\": \"x\"",
    "include_stop_str_in_output\": true",
    "truncate_prompt_tokens\": 5",
    "logits_processors\": [\"x\"]",
    "samplers\": [\"top_k\"]",
    "min_keep\": 2",
    "no_repeat_ngram_size\": 3",
};

static void what_is_not_done_is_named(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < 2 * (sizeof not_done / sizeof *not_done); i++) {
        const char *row = not_done[i / 2];
        char field[96], name[64];
        char *body;
        json_t *v, *e;

        snprintf(field, sizeof field, "\"%s", row);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(row, "\""), row);
        body = body_with(field);
        v = ask(&f, "POST", i % 2 ? CHAT : TEXT, body, 400);
        e = json_object_get(v, "error");
        assert_string_equal(json_string_value(json_object_get(e, "param")), name);
        assert_string_equal(json_string_value(json_object_get(e, "code")), "unsupported_parameter");
        json_decref(v);
        free(body);
    }
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

static void what_changes_nothing_is_taken(void **state)
{
    static const char *const rows[] = {
        "\"guided_json\": null, \"guided_regex\": \"\", \"guided_choice\": [], \"grammar\": \"\"",
        "\"structured_outputs\": {}, \"chat_template_kwargs\": {}, \"json_schema\": null",
        "\"typical_p\": 1.0, \"tfs_z\": 1, \"top_a\": 0, \"mirostat\": 0, \"mirostat_tau\": 5.0",
        "\"mirostat\": 0, \"mirostat_tau\": 3, \"mirostat_eta\": 0.2",
        "\"xtc_probability\": 0, \"xtc_threshold\": 0.3, \"dry_multiplier\": 0.0, \"dry_base\": 2",
        "\"dry_allowed_length\": 2, \"dry_penalty_last_n\": -1, \"repeat_last_n\": 64",
        "\"top_n_sigma\": -1, \"dynatemp_range\": 0, \"dynatemp_exponent\": 1, \"min_keep\": 0",
        "\"repeat_penalty\": 1.0, \"length_penalty\": 1.0, \"use_beam_search\": false",
        "\"add_generation_prompt\": true, \"continue_final_message\": false, \"echo\": false",
        "\"reasoning_effort\": null, \"verbosity\": \"medium\", \"thinking\": {\"type\": "
        "\"disabled\"}",
        "\"prompt_logprobs\": null, \"suffix\": \"\", \"functions\": [], \"function_call\": "
        "\"none\"",
        "\"n\": 1, \"best_of\": 1, \"logit_bias\": {}, \"stop_token_ids\": [], \"bad_words\": []",
        "\"seed\": -1, \"top_k\": -1, \"top_p\": 0, \"stop\": \"\", \"model\": \"\"",
        "\"stop\": [], \"stream_options\": null, \"user\": \"u\", \"metadata\": {\"a\": \"b\"}",
        "\"parallel_tool_calls\": false, \"logprobs\": null, \"tools\": []",
        "\"parallel_tool_calls\": true, \"logprobs\": 0, \"service_tier\": \"auto\"",
        "\"max_tokens\": 2.0, \"seed\": 5.0, \"top_k\": 3.0, \"n\": 1.0",
        "\"max_tokens\": -1, \"stop\": [\"\", \"a\"], \"seed\": -9223372036854775808",
        "\"max_tokens\": 0, \"cache_prompt\": true, \"store\": \"x\"",
        "\"metadata\": {\"a\": 18446744073709551615, \"b\": [1e400, -1e400, 1e-400]}",
        "\"metadata\": {\"a\\u0000b\": 1, \"a\": \"\\u0000\"}, \"x\": 123456789012345678901234",
        "\"response_format\": {\"type\": \"text\"}, \"modalities\": [\"text\"]",
    };
    const struct fake_options automatic = {.automatic = true};
    struct fixture f;

    (void)state;
    fixture_start(&f, &automatic, NULL);
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        char *body = body_with(rows[i / 2]);

        json_decref(ask(&f, "POST", i % 2 ? CHAT : TEXT, body, 200));
        free(body);
    }
    fixture_stop(&f);
}

static void finish(struct client *c, struct fg_job *job)
{
    fake_job_done(job, FG_FINISH_STOP);
    json_decref(client_answer(c));
}

/* What is said to the chat template is for chats. */
static void templates_are_for_chats(void **state)
{
    static const char *const rows[] = {"chat_template_kwargs\": {\"a\": 1}",
                                       "add_generation_prompt\": false",
                                       "continue_final_message\": true"};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char field[96], *body;
        const struct fg_job_request *r;
        struct fg_job *job;
        struct client c;
        json_t *v;

        snprintf(field, sizeof field, "\"%s", rows[i]);
        body = body_with(field);
        v = ask(&f, "POST", TEXT, body, 400);
        assert_non_null(
            strstr(json_string_value(json_object_get(json_object_get(v, "error"), "message")),
                   "no template is used"));
        json_decref(v);
        job = fixture_post(&f, &c, CHAT, body);
        r = fake_job_request(job);
        assert_int_equal(r->variables_json != NULL, i == 0);
        if (i == 0)
            assert_string_equal(r->variables_json, "{\"a\": 1}");
        assert_int_equal(r->no_answer_header, i > 0);
        assert_int_equal(r->continue_final, i == 2);
        finish(&c, job);
        free(body);
    }
    json_decref(ask(&f, "POST", CHAT,
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], "
                    "\"continue_final_message\": true, \"add_generation_prompt\": true}",
                    400));
    json_decref(ask(&f, "POST", CHAT,
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], "
                    "\"chat_template_kwargs\": {\"messages\": []}}",
                    400));
    json_decref(ask(&f, "POST", CHAT,
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], "
                    "\"chat_template_kwargs\": [1]}",
                    400));
    fixture_stop(&f);
}

static void rules_reach_the_backend(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, TEXT,
        "{\"prompt\": \"x\", \"min_tokens\": 3, \"stop_token_ids\": [5, 6.0], \"bad_words\":"
        " [\"no\"], \"allowed_token_ids\": [1, 2, 5], \"logit_bias\": {\"7\": -1.5},"
        " \"presence_penalty\": 0.5, \"frequency_penalty\": -0.25, \"repetition_penalty\":"
        " 1.5, \"min_p\": 0.1, \"skip_special_tokens\": false, \"add_special_tokens\": "
        "false, \"return_token_ids\": true, \"ignore_eos\": true, \"n_predict\": 9}");
    r = fake_job_request(job);
    assert_int_equal(r->rules.min_tokens, 3);
    assert_int_equal(r->rules.n_stop, 2);
    assert_int_equal(r->rules.stop[1], 6);
    assert_int_equal(r->rules.n_bad_words, 1);
    assert_string_equal(r->rules.bad_words[0], "no");
    assert_int_equal(r->rules.n_allowed, 3);
    assert_int_equal(r->rules.allowed[2], 5);
    assert_int_equal(r->rules.n_bias, 1);
    assert_int_equal(r->rules.bias[0].token, 7);
    assert_true(r->rules.bias[0].bias == -1.5f);
    assert_true(r->sampling.presence_penalty == 0.5f);
    assert_true(r->sampling.frequency_penalty == -0.25f);
    assert_true(r->sampling.repetition_penalty == 1.5f);
    assert_true(r->show_control && r->no_begin && r->want_tokens && r->ignore_eos);
    assert_int_equal(r->max_tokens, 9);
    finish(&c, job);
    /* The stronger name counts, wherever it stands. */
    job = fixture_post(&f, &c, TEXT,
                       "{\"prompt\": \"x\", \"n_predict\": 3, \"max_completion_tokens\": 4}");
    assert_int_equal(fake_job_request(job)->max_tokens, 4);
    assert_false(fake_job_request(job)->no_begin || fake_job_request(job)->show_control);
    finish(&c, job);
    fixture_stop(&f);
}

/* A tool's schema goes to the template as it was written: numbers beyond 64 bits, blanks, names. */
static void schemas_go_on_as_they_are(void **state)
{
    static const char tools[] =
        "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"maximum\" : "
        "18446744073709551615, \"minimum\":-1e400, \"a\\u0000\": [1.50, -7]}}} ]";
    char body[512];
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    snprintf(body, sizeof body,
             " {\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": "
             "\"assistant\", \"content\": null}], \"to\\u006fls\" : %s}",
             tools);
    job = fixture_post(&f, &c, CHAT, body);
    assert_string_equal(fake_job_request(job)->tools_json, tools);
    assert_int_equal(fake_job_request(job)->messages[1].content_bytes, 0);
    finish(&c, job);
    fixture_stop(&f);
}

static void post_with(struct client *c, const char *header, const char *body)
{
    char request[512];
    int n = snprintf(request, sizeof request,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: %zu\r\n\r\n%s",
                     TEXT, header, strlen(body), body);

    assert_true(client_send(c, request, (size_t)n));
}

/* OpenAI's `store` is about transcripts; the cache has a name of its own, in field and header. */
static void the_cache_has_its_own_switch(void **state)
{
    static const struct {
        const char *header, *body;
        enum fg_cache_use use;
    } rows[] = {
        {"X-A: b", "{\"prompt\": \"x\"}", FG_CACHE_READ_WRITE},
        {"X-A: b", "{\"prompt\": \"x\", \"store\": false}", FG_CACHE_READ_WRITE},
        {"X-A: b", "{\"prompt\": \"x\", \"fulgur\": {\"cache\": \"read\"}}", FG_CACHE_READ},
        {"X-A: b", "{\"prompt\": \"x\", \"fulgur\": {\"cache\": \"none\"}}", FG_CACHE_NONE},
        {"X-A: b", "{\"prompt\": \"x\", \"fulgur\": {\"cache\": \"read_write\"}}",
         FG_CACHE_READ_WRITE},
        {"X-A: b", "{\"prompt\": \"x\", \"cache\": false, \"fulgur\": {\"cache\": \"read\"}}",
         FG_CACHE_NONE},
        {"x-fulgur-cache: read", "{\"prompt\": \"x\", \"store\": true}", FG_CACHE_READ},
        {"x-fulgur-cache: none", "{\"prompt\": \"x\", \"cache\": true}", FG_CACHE_NONE},
        /* The narrowest counts. */
        {"x-fulgur-cache: read", "{\"prompt\": \"x\", \"fulgur\": {\"cache\": \"read_write\"}}",
         FG_CACHE_READ},
        {"x-fulgur-cache: read_write", "{\"prompt\": \"x\", \"fulgur\": {\"cache\": \"read\"}}",
         FG_CACHE_READ},
    };
    struct fixture f;
    struct client c;
    struct reply r;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_job *job;

        client_unix(&c, &f);
        post_with(&c, rows[i].header, rows[i].body);
        job = fake_backend_next(f.backend);
        if (fake_job_request(job)->cache != rows[i].use)
            fail_msg("%s %s: %d", rows[i].header, rows[i].body, fake_job_request(job)->cache);
        finish(&c, job);
    }
    client_unix(&c, &f);
    post_with(&c, "x-fulgur-cache: off", "{\"prompt\": \"x\"}");
    client_read(&c, &r, false);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "X-Fulgur-Cache: found \\\"off\\\""));
    reply_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

/* A prompt that is too long for the context says so in words that clients look for. */
static void a_small_context_is_told(void **state)
{
    char *body = malloc(4097 * 2 + 64), *at = body;
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    at = stpcpy(at, "{\"max_tokens\": 10, \"prompt\": [1");
    for (int i = 0; i < 4096; i++)
        at = stpcpy(at, ",1");
    strcpy(at, "]}");
    v = ask(&f, "POST", TEXT, body, 400);
    assert_string_equal(error_code(v), "context_length_exceeded");
    assert_string_equal(error_message(v),
                        "This model's maximum context length is 4096 tokens. However, you requested"
                        " 4107 tokens (4097 in the messages, 10 in the completion). Please reduce "
                        "the length of the messages or completion. (context_length_exceeded)");
    json_decref(v);
    free(body);
    fixture_stop(&f);
}

/* A model has as many names as it was given, or any; and paths may lack /v1. */
static void models_have_names(void **state)
{
    static const char *const aliases[] = {"gpt-4o", "a/b"};
    const struct fg_api_options named = {.aliases = aliases, .n_aliases = 2};
    const struct fg_api_options any = {.any_model = true};
    const struct fake_options automatic = {.automatic = true};
    struct fixture f;
    const char *id;
    json_t *v;

    (void)state;
    fixture_start(&f, &automatic, &named);
    v = ask(&f, "GET", "/v1/models", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(v, "data")), 3);
    unpack(json_array_get(json_object_get(v, "data"), 1), "{s:s}", "id", &id);
    assert_string_equal(id, "gpt-4o");
    json_decref(v);
    v = ask(&f, "GET", "/v1/models/a%2Fb", NULL, 200);
    unpack(v, "{s:s}", "id", &id);
    assert_string_equal(id, "a/b");
    json_decref(v);
    json_decref(ask(&f, "GET", "/models", NULL, 200));
    json_decref(ask(&f, "GET", "/models/gpt-4o", NULL, 200));
    json_decref(ask(&f, "GET", "/models/gpt-5", NULL, 404));
    json_decref(ask(&f, "POST", "/completions", "{\"model\": \"gpt-4o\", \"prompt\": \"x\"}", 200));
    json_decref(ask(&f, "POST", TEXT, "{\"model\": \"tiny\", \"prompt\": \"x\"}", 200));
    json_decref(ask(&f, "POST", TEXT, "{\"model\": \"gpt-5\", \"prompt\": \"x\"}", 404));
    json_decref(ask(&f, "POST", "/chat/completions",
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", 200));
    v = ask(&f, "POST", "/v1/embeddings", "{\"input\": \"x\"}", 501);
    assert_non_null(strstr(error_message(v), "no embeddings"));
    json_decref(v);
    fixture_stop(&f);
    fixture_start(&f, &automatic, &any);
    json_decref(ask(&f, "POST", TEXT, "{\"model\": \"gpt-5\", \"prompt\": \"x\"}", 200));
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_done_is_named),
        cmocka_unit_test(templates_are_for_chats),
        cmocka_unit_test(what_changes_nothing_is_taken),
        cmocka_unit_test(rules_reach_the_backend),
        cmocka_unit_test(schemas_go_on_as_they_are),
        cmocka_unit_test(the_cache_has_its_own_switch),
        cmocka_unit_test(a_small_context_is_told),
        cmocka_unit_test(models_have_names),
    };

    return cmocka_run_group_tests_name("api fields", tests, NULL, NULL);
}
