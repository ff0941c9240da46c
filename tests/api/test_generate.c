/* Token ids in and out as trainers want them: /inference/v1/generate, and prompt_logprobs of the
 * other endpoints. */
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/inference/v1/generate"

static json_t *answer_of(struct client *c, int status)
{
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, status);
    v = reply_json(&r);
    reply_free(&r);
    client_close(c);
    return v;
}

static void tokens_in_tokens_out(void **state)
{
    struct fg_job_token tokens[2] = {fake_token(11, "Hello", -0.5f), fake_token(12, "\xe2", -1.5f)};
    const struct fg_job_request *r;
    const char *id, *finish, *name;
    struct fixture f;
    struct client c;
    struct fg_job *job;
    int index, first, second, n_prompt;
    double logprob;
    json_t *v, *choice;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, PATH,
        "{\"token_ids\": [5, 6.0], \"request_id\": \"mine\", \"model\": \"tiny\", "
        "\"cache_salt\": \"x\", \"priority\": 0, \"features\": null, \"sampling_params\": "
        "{\"temperature\": 0.5, \"seed\": 3, \"top_k\": -1, \"logprobs\": 0, \"echo\": true,"
        " \"stop_token_ids\": [7], \"detokenize\": false, \"prompt\": \"no\"}}");
    r = fake_job_request(job);
    assert_int_equal(r->kind, FG_PROMPT_TOKENS);
    assert_int_equal(r->n_tokens, 2);
    assert_int_equal(r->tokens[1], 6);
    assert_int_equal(r->max_tokens, -1);
    assert_true(r->sampling.temperature == 0.5f && r->sampling.seed == 3);
    assert_int_equal(r->rules.n_stop, 1);
    assert_int_equal(r->n_logprobs, 0);
    assert_true(r->want_tokens);
    fake_job_begun(job, (const int32_t[]){5, 6}, 2);
    fake_job_delta(job, "Hello", tokens, 1);
    fake_job_delta(job, "", tokens + 1, 1);
    fake_job_done(job, FG_FINISH_STOP);
    v = answer_of(&c, 200);
    unpack(v, "{s:s, s:[o], s:{s:i}, s:n}", "request_id", &id, "choices", &choice, "usage",
           "prompt_tokens", &n_prompt, "kv_transfer_params");
    assert_string_equal(id, "mine");
    assert_null(json_object_get(choice, "text"));
    unpack(choice, "{s:i, s:s, s:[i, i], s:{s:[{s:s, s:f}, {}]}}", "index", &index, "finish_reason",
           &finish, "token_ids", &first, &second, "logprobs", "content", "token", &name, "logprob",
           &logprob);
    assert_int_equal(index, 0);
    assert_string_equal(finish, "stop");
    assert_int_equal(first, 11);
    assert_int_equal(second, 12);
    assert_string_equal(name, "token_id:11");
    assert_true(logprob == -0.5);
    json_decref(v);
    fixture_stop(&f);
}

static void tokens_are_streamed(void **state)
{
    struct fg_job_token tokens[2] = {fake_token(11, "Hello", -0.5f), fake_token(12, ", ", -1.5f)};
    struct fixture f;
    struct client c;
    struct reply head;
    struct fg_job *job;
    const char *finish, *id;
    json_t *v;
    int token;

    (void)state;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, PATH,
        "{\"token_ids\": [5], \"stream\": true, \"request_id\": \"s\", \"sampling_params\": "
        "{\"max_tokens\": 4}}");
    assert_int_equal(fake_job_request(job)->max_tokens, 4);
    fake_job_begun(job, (const int32_t[]){5}, 1);
    fake_job_delta(job, "Hello", tokens, 1);
    fake_job_delta(job, ", ", tokens + 1, 1);
    fake_job_delta(job, "text that was held back", NULL, 0); /* no token of its own */
    fake_job_done(job, FG_FINISH_LENGTH);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    for (int i = 0; i < 2; i++) {
        v = client_event(&c);
        unpack(v, "{s:s, s:[{s:[i], s:n, s:n}]}", "request_id", &id, "choices", "token_ids", &token,
               "finish_reason", "logprobs");
        assert_int_equal(token, 11 + i);
        assert_string_equal(id, "s");
        json_decref(v);
    }
    v = client_event(&c);
    unpack(v, "{s:[{s:s}]}", "choices", "finish_reason", &finish);
    assert_string_equal(finish, "length");
    json_decref(v);
    assert_null(client_event(&c));
    client_close(&c);
    fixture_stop(&f);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{}", "token_ids"},
        {"{\"token_ids\": \"x\"}", "token_ids"},
        {"{\"prompt\": \"x\"}", "token_ids"},
        {"{\"token_ids\": []}", "token_ids"},
        {"{\"token_ids\": [[1]]}", "token_ids"},
        {"{\"token_ids\": [1, 2000]}", "token_ids"},
        {"{\"token_ids\": [1.5]}", "token_ids"},
        {"{\"token_ids\": [1], \"sampling_params\": 3}", "sampling_params"},
        {"{\"token_ids\": [1], \"sampling_params\": {\"temperature\": 1e400}}", "temperature"},
        {"{\"token_ids\": [1], \"sampling_params\": {\"seed\": 18446744073709551616}}", "seed"},
        {"{\"token_ids\": [1], \"sampling_params\": {\"max_tokens\": -2}}", "max_tokens"},
        {"{\"token_ids\": [1], \"sampling_params\": {\"truncate_prompt_tokens\": 3}}",
         "truncate_prompt_tokens"},
        {"{\"token_ids\": [1], \"features\": {\"mm_hashes\": {}}}", "features"},
        {"{\"token_ids\": [1], \"kv_transfer_params\": {\"a\": 1}}", "kv_transfer_params"},
        {"{\"token_ids\": [1], \"priority\": 1}", "priority"},
        {"{\"token_ids\": [1], \"request_id\": \"a\\u0000b\"}", "request_id"},
        {"{\"token_ids\": [1], \"request_id\": 5}", "request_id"},
        {"{\"token_ids\": [1], \"stream\": true, \"sampling_params\": {\"prompt_logprobs\": 1}}",
         "prompt_logprobs"},
        {"{\"token_ids\": [1], \"sampling_params\": {\"logprobs_mode\": \"raw_logits\"}}",
         "logprobs_mode"},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *v = ask(&f, "POST", PATH, rows[i].body, 400);
        const char *param =
            json_string_value(json_object_get(json_object_get(v, "error"), "param"));

        if (!param || strcmp(param, rows[i].param) != 0)
            fail_msg("%s: param is %s", rows[i].body, param ? param : "null");
        json_decref(v);
    }
    assert_int_equal(fake_backend_submitted(f.backend), 0);
    fixture_stop(&f);
}

/* Each of the prompt's tokens under its id, the first without anything that predicts it. */
static void check_prompt(const json_t *list)
{
    const json_t *entry = json_array_get(list, 1), *top;
    double logprob;
    int rank;
    const char *text;

    assert_int_equal(json_array_size(list), 2);
    assert_true(json_is_null(json_array_get(list, 0)));
    unpack((json_t *)entry, "{s:{s:f, s:i, s:s}}", "98", "logprob", &logprob, "rank", &rank,
           "decoded_token", &text);
    assert_true(logprob == -2.5);
    assert_int_equal(rank, 9);
    assert_string_equal(text, "b");
    top = json_object_get(entry, "99");
    assert_int_equal(json_object_size(entry), 2); /* one of the two best was asked for */
    assert_true(json_real_value(json_object_get(top, "logprob")) == -0.25);
}

static void prompts_have_logprobs(void **state)
{
    static const struct {
        const char *path, *body;
        bool in_choice;
    } rows[] = {
        {"/v1/completions", "{\"prompt\": \"ab\", \"prompt_logprobs\": 1}", true},
        {"/v1/completions", "{\"prompt\": \"ab\", \"prompt_logprobs\": 1, \"echo\": true}", true},
        {"/v1/chat/completions",
         "{\"messages\": [{\"role\": \"user\", \"content\": \"ab\"}], \"prompt_logprobs\": 1.0}",
         false},
        {PATH, "{\"token_ids\": [97, 98], \"sampling_params\": {\"prompt_logprobs\": 1}}", false},
    };
    struct fg_token_logprob best[2] = {{.token = 99, .logprob = -0.25f, .rank = 1},
                                       {.token = 97, .logprob = -0.5f, .rank = 2}};
    struct fg_job_token prompt[2] = {fake_token(97, "a", NAN), fake_token(98, "b", -2.5f)};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v, *choice;

    (void)state;
    prompt[1].chosen.rank = 9;
    prompt[1].top = best;
    prompt[1].n_top = 2;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        job = fixture_post(&f, &c, rows[i].path, rows[i].body);
        assert_true(fake_job_request(job)->want_prompt);
        assert_int_equal(fake_job_request(job)->n_prompt_top, 1);
        assert_int_equal(fake_job_request(job)->n_logprobs, -1);
        fake_job_begun(job, NULL, 0);
        fake_job_prompt(job, prompt, 2);
        fake_job_delta(job, "c", NULL, 0);
        fake_job_done(job, FG_FINISH_LENGTH);
        v = answer_of(&c, 200);
        choice = json_array_get(json_object_get(v, "choices"), 0);
        check_prompt(json_object_get(rows[i].in_choice ? choice : v, "prompt_logprobs"));
        assert_null(json_object_get(rows[i].in_choice ? v : choice, "prompt_logprobs"));
        assert_true(json_is_null(json_object_get(choice, "logprobs")));
        json_decref(v);
    }
    fixture_stop(&f);
}

/* An echo tells as many alternatives of the prompt as of the answer, whatever prompt_logprobs says.
 */
static void echoes_have_their_own_count(void **state)
{
    struct fg_token_logprob best[3] = {
        {.token = 1, .logprob = -1}, {.token = 2, .logprob = -2}, {.token = 3, .logprob = -3}};
    struct fg_job_token prompt[2] = {fake_token(97, "a", NAN), fake_token(98, "b", -4)};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    json_t *v, *choice, *top;

    (void)state;
    for (int i = 0; i < 3; i++) {
        best[i].piece[0] = (char)('x' + i);
        best[i].piece_bytes = 1;
    }
    prompt[1].top = best;
    prompt[1].n_top = 3;
    fixture_start(&f, NULL, NULL);
    job = fixture_post(
        &f, &c, "/v1/completions",
        "{\"prompt\": \"ab\", \"echo\": true, \"logprobs\": 1, \"prompt_logprobs\": 3}");
    assert_int_equal(fake_job_request(job)->n_prompt_top, 3);
    fake_job_begun(job, NULL, 0);
    fake_job_prompt(job, prompt, 2);
    fake_job_done(job, FG_FINISH_LENGTH);
    v = answer_of(&c, 200);
    choice = json_array_get(json_object_get(v, "choices"), 0);
    top = json_array_get(json_object_get(json_object_get(choice, "logprobs"), "top_logprobs"), 1);
    assert_int_equal(json_object_size(top), 2); /* the best one and its own */
    assert_int_equal(
        json_object_size(json_array_get(json_object_get(choice, "prompt_logprobs"), 1)), 4);
    json_decref(v);
    fixture_stop(&f);
}

static void the_mode_is_passed_on(void **state)
{
    static const struct {
        const char *mode;
        bool drawn;
    } rows[] = {{"null", false},
                {"\"\"", false},
                {"\"raw_logprobs\"", false},
                {"\"processed_logprobs\"", true}};
    struct fixture f;
    struct client c;
    char body[128];

    (void)state;
    fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_job *job;

        snprintf(body, sizeof body, "{\"prompt\": \"a\", \"logprobs\": 1, \"logprobs_mode\": %s}",
                 rows[i].mode);
        job = fixture_post(&f, &c, "/v1/completions", body);
        assert_int_equal(fake_job_request(job)->drawn_logprobs, rows[i].drawn);
        fake_job_done(job, FG_FINISH_STOP);
        json_decref(answer_of(&c, 200));
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_in_tokens_out),        cmocka_unit_test(tokens_are_streamed),
        cmocka_unit_test(what_is_wrong_is_named),      cmocka_unit_test(prompts_have_logprobs),
        cmocka_unit_test(echoes_have_their_own_count), cmocka_unit_test(the_mode_is_passed_on),
    };

    return cmocka_run_group_tests_name("api generate", tests, NULL, NULL);
}
