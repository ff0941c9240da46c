/* /v1/completions: what reaches the backend, and what comes back, in one piece and as a stream. */
#include "fixture.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Posts on a new connection and returns the job; its answer is read from *c. */
static struct fg_job *post(struct fixture *f, struct client *c, const char *body)
{
    return fixture_post(f, c, "/v1/completions", body);
}

static json_t *finish(struct client *c, struct fg_job *job, int status)
{
    struct reply r;
    json_t *v;

    if (job)
        fake_job_done(job, FG_FINISH_LENGTH);
    client_read(c, &r, false);
    assert_int_equal(r.status, status);
    v = reply_json(&r);
    reply_free(&r);
    client_close(c);
    return v;
}

static void all_fields_reach_the_backend(void **state)
{
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job =
        post(&f, &c,
             "{\"model\": \"tiny-q8_0.gguf\", \"prompt\": \"a\\u0000\\u00e9b\", \"max_tokens\": 5,"
             " \"temperature\": 0.25, \"top_p\": 0.5, \"top_k\": 40, \"min_p\": 0.125,"
             " \"seed\": 9223372036854775807, \"stop\": [\"x\", \"\\n\\n\"], \"logprobs\": 3,"
             " \"ignore_eos\": true, \"cache\": false, \"n\": 1, \"echo\": false,"
             " \"logit_bias\": {}, \"presence_penalty\": 0, \"user\": \"me\", \"store\": true,"
             " \"suffix\": null, \"best_of\": 1, \"something\": [1, {}]}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_TEXT);
    assert_int_equal(r->text_bytes, 5);
    assert_memory_equal(r->text,
                        "a\0\xC3\xA9"
                        "b",
                        6);
    assert_int_equal(r->max_tokens, 5);
    assert_true(r->sampling.temperature == 0.25f);
    assert_true(r->sampling.top_p == 0.5f);
    assert_true(r->sampling.min_p == 0.125f);
    assert_int_equal(r->sampling.top_k, 40);
    assert_true(r->sampling.seed == INT64_MAX);
    assert_int_equal(r->n_stop, 2);
    assert_string_equal(r->stop[0], "x");
    assert_string_equal(r->stop[1], "\n\n");
    assert_int_equal(r->n_logprobs, 3);
    assert_true(r->ignore_eos);
    assert_int_equal(r->cache, FG_CACHE_NONE);
    assert_int_equal(r->mode, FG_MODE_ANSWER);
    assert_false(r->want_progress);
    json_decref(finish(&c, job, 200));
    fixture_stop(&f);
}

static void defaults_and_prompt_forms(void **state)
{
    static const char *const tokens[] = {
        "{\"prompt\": [1, 2, 1999], \"stop\": \"x\", \"seed\": null}",
        "{\"prompt\": [[1, 2, 1999]], \"stop\": \"x\"}"};
    const struct fg_job_request *r;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    uint64_t seed = 0;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        job = post(&f, &c, tokens[i]);
        r = fake_job_request(job);
        assert_int_equal(r->kind, FG_PROMPT_TOKENS);
        assert_int_equal(r->n_tokens, 3);
        assert_int_equal(r->tokens[0], 1);
        assert_int_equal(r->tokens[2], 1999);
        assert_int_equal(r->max_tokens, 16);
        assert_true(r->sampling.temperature == 1 && r->sampling.top_p == 1);
        assert_true(r->sampling.min_p == 0 && r->sampling.top_k == 0);
        assert_int_equal(r->n_logprobs, -1);
        assert_int_equal(r->n_stop, 1);
        assert_int_equal(r->cache, FG_CACHE_READ_WRITE);
        assert_false(r->ignore_eos);
        /* Without a seed each request draws its own. */
        assert_true(r->sampling.seed != seed);
        seed = r->sampling.seed;
        json_decref(finish(&c, job, 200));
    }
    job = post(&f, &c, "{\"prompt\": [\"one\"]}");
    assert_string_equal(fake_job_request(job)->text, "one");
    json_decref(finish(&c, job, 200));
    job = post(&f, &c, "{\"prompt\": \"x\", \"store\": false}");
    assert_int_equal(fake_job_request(job)->cache, FG_CACHE_READ_WRITE);
    json_decref(finish(&c, job, 200));
    job = post(&f, &c, "{\"prompt\": \"\"}");
    assert_int_equal(fake_job_request(job)->text_bytes, 0);
    json_decref(finish(&c, job, 200));
    fixture_stop(&f);
}

static void check_account(const json_t *v)
{
    const char *source, *reason, *before, *prompt, *stored;
    double restore, prefill, first, decode, queue, saved;
    int reused, recomputed, token;

    unpack((json_t *)v, "{s:{s:{s:i, s:i, s:s, s:F, s:F, s:F, s:F, s:F, s:F, s:s}}}", "fulgur",
           "cache", "reused_tokens", &reused, "recomputed_tokens", &recomputed, "source", &source,
           "restore_ms", &restore, "prefill_ms", &prefill, "first_token_ms", &first, "decode_ms",
           &decode, "queue_ms", &queue, "saved_ms", &saved, "reason", &reason);
    unpack((json_t *)v, "{s:{s:{s:{s:i, s:s, s:s, s:s}}}}", "fulgur", "cache", "diverged", "token",
           &token, "before", &before, "prompt", &prompt, "stored", &stored);
    assert_true(saved == 512.5);
    assert_string_equal(reason, "diverged");
    assert_int_equal(token, 987);
    assert_string_equal(before, "as \xef\xbf\xbd"); /* a piece of a character */
    assert_string_equal(prompt, "here");
    assert_string_equal(stored, "there");
    assert_int_equal(reused, 960);
    assert_int_equal(recomputed, 40);
    assert_string_equal(source, "store");
    assert_true(restore == 1.25 && prefill == 20.5 && first == 25 && decode == 30.75 &&
                queue == 0.5);
}

static void check_usage(const json_t *v)
{
    int prompt, completion, total, cached;

    unpack((json_t *)v, "{s:{s:i, s:i, s:i, s:{s:i}}}", "usage", "prompt_tokens", &prompt,
           "completion_tokens", &completion, "total_tokens", &total, "prompt_tokens_details",
           "cached_tokens", &cached);
    assert_int_equal(prompt, 1000);
    assert_int_equal(completion, 7);
    assert_int_equal(total, 1007);
    assert_int_equal(cached, 960);
}

static void whole_answer_has_openai_form(void **state)
{
    const char *id, *object, *model, *fingerprint, *text, *reason;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    int created, index;
    json_t *v, *logprobs;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"prompt\": \"x\"}");
    fake_job_delta(job, "Gr\xC3\xBC\xC3", NULL, 0); /* a broken character must not break the JSON */
    fake_job_delta(job, "", NULL, 0);
    fake_job_delta(job, "\"e\n", NULL, 0);
    v = finish(&c, job, 200);
    unpack(v, "{s:s, s:s, s:i, s:s, s:s, s:[{s:i, s:s, s:o, s:s}]}", "id", &id, "object", &object,
           "created", &created, "model", &model, "system_fingerprint", &fingerprint, "choices",
           "index", &index, "text", &text, "logprobs", &logprobs, "finish_reason", &reason);
    assert_memory_equal(id, "cmpl-", 5);
    assert_int_equal(strlen(id), 29);
    assert_string_equal(object, "text_completion");
    assert_true(created > 1700000000);
    assert_string_equal(model, "tiny");
    assert_string_equal(fingerprint, "fulgur-0123456789ab");
    assert_int_equal(index, 0);
    assert_string_equal(text, "Gr\xC3\xBC\xEF\xBF\xBD\"e\n");
    assert_true(json_is_null(logprobs));
    assert_string_equal(reason, "length");
    check_usage(v);
    check_account(v);
    json_decref(v);
    fixture_stop(&f);
}

static void stream_has_openai_form(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    const char *text;
    json_t *v, *usage, *reason;
    char value[128];

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c,
               "{\"prompt\": \"x\", \"stream\": true, \"stream_options\": {\"include_usage\": "
               "true}, \"fulgur\": {\"progress\": true}}");
    assert_true(fake_job_request(job)->want_progress);
    fake_job_progress(job, 640, 1000, 512);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    assert_string_equal(reply_header(&head, "Content-Type", value), "text/event-stream");
    assert_string_equal(reply_header(&head, "Cache-Control", value), "no-cache");
    reply_free(&head);
    v = client_event(&c);
    {
        int done, total, reused;

        unpack(v, "{s:[], s:{s:{s:i, s:i, s:i}}}", "choices", "fulgur", "progress", "done", &done,
               "total", &total, "reused", &reused);
        assert_int_equal(done, 640);
        assert_int_equal(total, 1000);
        assert_int_equal(reused, 512);
    }
    json_decref(v);
    fake_job_delta(job, "one", NULL, 0);
    v = client_event(&c); /* comes before the job goes on */
    unpack(v, "{s:[{s:s, s:o}], s:o}", "choices", "text", &text, "finish_reason", &reason, "usage",
           &usage);
    assert_string_equal(text, "one");
    assert_true(json_is_null(reason));
    assert_true(json_is_null(usage));
    assert_null(json_object_get(v, "fulgur"));
    json_decref(v);
    fake_job_delta(job, "", NULL, 0); /* says nothing */
    fake_job_done(job, FG_FINISH_STOP);
    v = client_event(&c);
    unpack(v, "{s:[{s:s, s:s}]}", "choices", "text", &text, "finish_reason", &text);
    assert_string_equal(text, "stop");
    check_account(v);
    json_decref(v);
    v = client_event(&c);
    assert_int_equal(json_array_size(json_object_get(v, "choices")), 0);
    check_usage(v);
    check_account(v);
    json_decref(v);
    assert_null(client_event(&c));
    client_close(&c);
    fixture_stop(&f);
}

static void logprobs_keep_their_bits(void **state)
{
    const float values[] = {-0.1f,         -FLT_MIN,     -1.17549449e-30f,
                            -0.333333343f, -16.6355324f, -1e-7f,
                            -103.972084f,  0.0f,         -2.38418577e-07f};
    struct fg_token_logprob top[2] = {
        {.token = 7, .logprob = -0.25f, .piece = "A", .piece_bytes = 1},
        {.token = 8, .logprob = -INFINITY, .piece = "\xE2", .piece_bytes = 1}};
    struct fg_job_token tokens[9];
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v, *lp, *text, *numbers, *tops, *offsets, *ids, *one;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (int i = 0; i < 9; i++) {
        tokens[i] = fake_token(100 + i, i == 1 ? "\xC3\xA9t" : "z", values[i]);
        tokens[i].n_top = 2;
        tokens[i].top = top;
    }
    job = post(&f, &c, "{\"prompt\": \"x\", \"logprobs\": 2}");
    fake_job_delta(job, "z", tokens, 1);
    fake_job_delta(job, "\xC3\xA9tzzzzzzz", tokens + 1, 8);
    v = finish(&c, job, 200);
    unpack(v, "{s:[{s:o}]}", "choices", "logprobs", &lp);
    unpack(lp, "{s:o, s:o, s:o, s:o, s:o}", "tokens", &text, "token_logprobs", &numbers,
           "top_logprobs", &tops, "text_offset", &offsets, "token_ids", &ids);
    assert_int_equal(json_array_size(text), 9);
    assert_string_equal(json_string_value(json_array_get(text, 1)), "\xC3\xA9t");
    for (size_t i = 0; i < 9; i++) {
        float got = (float)json_number_value(json_array_get(numbers, i));

        assert_memory_equal(&got, &values[i], sizeof got);
        assert_int_equal(json_integer_value(json_array_get(ids, i)), 100 + i);
        /* "zétz...": characters, not bytes. */
        assert_int_equal(json_integer_value(json_array_get(offsets, i)), i < 2 ? i : i + 1);
    }
    one = json_array_get(tops, 0);
    assert_int_equal(json_object_size(one), 3);
    assert_true(json_number_value(json_object_get(one, "A")) == -0.25);
    assert_true(json_number_value(json_object_get(one, "bytes:\\xe2")) == -9999);
    assert_true((float)json_number_value(json_object_get(one, "z")) == values[0]);
    json_decref(v);
    /* An answer that ended before its first token has lists, and they are empty. */
    v = finish(&c, post(&f, &c, "{\"prompt\": \"x\", \"logprobs\": 2}"), 200);
    unpack(v, "{s:[{s:{s:o, s:o}}]}", "choices", "logprobs", "token_ids", &ids, "tokens", &text);
    assert_true(json_is_array(ids) && json_array_size(ids) == 0 && json_is_array(text));
    json_decref(v);
    fixture_stop(&f);
}

static void failures_have_statuses(void **state)
{
    static const struct {
        int code, status;
        const char *type, *error_code;
    } rows[] = {
        {FG_EINVAL, 400, "invalid_request_error", NULL},
        {FG_EUNSUPPORTED, 400, "invalid_request_error", NULL},
        {FG_ETOOLONG, 400, "invalid_request_error", "context_length_exceeded"},
        {FG_EBUSY, 429, "rate_limit_error", "queue_full"},
        {FG_EDEVICE, 500, "server_error", NULL},
        {FG_EDEVICELOST, 500, "server_error", "device_lost"},
        {FG_ENOMEM, 500, "server_error", NULL},
        {FG_ECANCELED, 503, "server_error", "canceled"},
    };
    struct fixture f;
    struct client c;
    struct fg_job *job;
    const char *code;
    json_t *v, *e;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        /* Before a stream has begun, its failure is an HTTP status as well. */
        job = post(&f, &c, i % 2 ? "{\"prompt\": \"x\", \"stream\": true}" : "{\"prompt\": \"x\"}");
        fake_job_fail(job, rows[i / 2].code, "5000 tokens, the context holds 4096");
        v = finish(&c, NULL, rows[i / 2].status);
        e = json_object_get(v, "error");
        assert_string_equal(json_string_value(json_object_get(e, "type")), rows[i / 2].type);
        assert_string_equal(error_message(v),
                            rows[i / 2].code == FG_ETOOLONG
                                ? "5000 tokens, the context holds 4096 (context_length_exceeded)"
                                : "5000 tokens, the context holds 4096");
        code = json_string_value(json_object_get(e, "code"));
        if (rows[i / 2].error_code)
            assert_string_equal(code, rows[i / 2].error_code);
        else
            assert_null(code);
        json_decref(v);
    }
    fixture_stop(&f);
}

static void failure_inside_a_stream_is_an_event(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = post(&f, &c, "{\"prompt\": \"x\", \"stream\": true}");
    fake_job_delta(job, "one", NULL, 0);
    client_read_head(&c, &head);
    reply_free(&head);
    json_decref(client_event(&c));
    fake_job_fail(job, FG_EDEVICE, "vkQueueSubmit failed");
    v = client_event(&c);
    assert_string_equal(error_message(v), "vkQueueSubmit failed");
    json_decref(v);
    assert_null(client_chunk(&c));
    /* The connection is as good as before. */
    client_get(&c, "/health");
    client_read(&c, &head, false);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    client_close(&c);
    fixture_stop(&f);
}

static void a_full_queue_is_429(void **state)
{
    const struct fake_options busy = {.busy = 1};
    struct fixture f;
    json_t *v;

    (void)state;
    fixture_start(&f, &busy, NULL);
    v = ask(&f, "POST", "/v1/completions", "{\"prompt\": \"x\"}", 429);
    assert_string_equal(error_message(v), "32 jobs wait already");
    json_decref(v);
    fixture_stop(&f);
}

/* What a body of either endpoint would find in the cache. */
static void explain_is_a_forecast(void **state)
{
    static const char *const bodies[] = {
        "{\"prompt\": \"x\", \"stream\": true}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}"};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (int chat = 0; chat < 2; chat++) {
        struct client c;
        struct fg_job *job;
        const char *object;
        int prompt_tokens;
        json_t *v;

        client_unix(&c, &f);
        client_post(&c, "/v1/fulgur/cache/explain", bodies[chat]);
        job = fake_backend_next(f.backend);
        assert_int_equal(fake_job_request(job)->mode, FG_MODE_FORECAST);
        assert_int_equal(fake_job_request(job)->kind, chat ? FG_PROMPT_CHAT : FG_PROMPT_TEXT);
        v = finish(&c, job, 200);
        unpack(v, "{s:s, s:i, s:{s:{s:F, s:F, s:F}}}", "object", &object, "prompt_tokens",
               &prompt_tokens, "fulgur", "cache", "restore_ms", &(double){0}, "prefill_ms",
               &(double){0}, "first_token_ms", &(double){0});
        assert_string_equal(object, "fulgur.cache.forecast");
        assert_int_equal(prompt_tokens, 1000);
        assert_null(json_object_get(v, "choices"));
        json_decref(v);
    }
    json_decref(ask(&f, "POST", "/v1/fulgur/cache/explain", "{}", 400));
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_reach_the_backend),
        cmocka_unit_test(defaults_and_prompt_forms),
        cmocka_unit_test(whole_answer_has_openai_form),
        cmocka_unit_test(stream_has_openai_form),
        cmocka_unit_test(logprobs_keep_their_bits),
        cmocka_unit_test(failures_have_statuses),
        cmocka_unit_test(failure_inside_a_stream_is_an_event),
        cmocka_unit_test(a_full_queue_is_429),
        cmocka_unit_test(explain_is_a_forecast),
    };

    return cmocka_run_group_tests_name("api completions", tests, NULL, NULL);
}
