/* Several answers to a request, prompts that are repeated, token ids, and streams that wait. */
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT "/v1/completions"
#define CHAT "/v1/chat/completions"

static void post(struct fixture *f, struct client *c, const char *path, const char *body)
{
    client_unix(c, f);
    client_post(c, path, body);
}

static json_t *answer(struct client *c, int status)
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

/* The job with that prompt, of those that were submitted one after the other. */
static struct fg_job *job_of(struct fg_job *const *jobs, size_t n, const char *prompt)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fake_job_request(jobs[i])->text, prompt) == 0)
            return jobs[i];
    fail_msg("no job for %s", prompt);
    return NULL;
}

static void prompts_have_answers_of_their_own(void **state)
{
    static const char *const prompts[] = {"one", "two", "three"};
    struct fg_job *jobs[3];
    struct fixture f;
    struct client c;
    int prompt, total;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, TEXT, "{\"prompt\": [\"one\", \"two\", \"three\"]}");
    for (int i = 0; i < 3; i++)
        jobs[i] = fake_backend_next(f.backend);
    for (int i = 2; i >= 0; i--) {
        struct fg_job *job = job_of(jobs, 3, prompts[i]);

        fake_job_delta(job, prompts[i], NULL, 0);
        fake_job_done(job, FG_FINISH_STOP);
    }
    v = answer(&c, 200);
    for (int i = 0; i < 3; i++) {
        json_t *choice = json_array_get(json_object_get(v, "choices"), (size_t)i);
        const char *text;
        int index;

        unpack(choice, "{s:i, s:s}", "index", &index, "text", &text);
        assert_int_equal(index, i);
        assert_string_equal(text, prompts[i]);
    }
    unpack(v, "{s:{s:i, s:i}}", "usage", "prompt_tokens", &prompt, "total_tokens", &total);
    assert_int_equal(prompt, 3000);
    assert_int_equal(total, 3021);
    json_decref(v);
    fixture_stop(&f);
}

/* Of best_of answers the n likeliest are told, the best first, and all are paid for. */
static void the_likeliest_are_told(void **state)
{
    struct fg_job *jobs[3];
    struct fixture f;
    struct client c;
    const char *first, *second;
    uint64_t seeds[3];
    int prompt, completion;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, TEXT, "{\"prompt\": \"x\", \"n\": 2, \"best_of\": 3, \"seed\": 5}");
    for (int i = 0; i < 3; i++) {
        char text[2] = {0};
        struct fg_job_token token;

        jobs[i] = fake_backend_next(f.backend);
        seeds[i] = fake_job_request(jobs[i])->sampling.seed;
        assert_int_equal(fake_job_request(jobs[i])->n_logprobs, 0);
        text[0] = (char)('a' + seeds[i] - 5);
        token = fake_token(5, text, seeds[i] == 6 ? -2.0f : seeds[i] == 7 ? -0.5f : -1.0f);
        fake_job_delta(jobs[i], text, &token, 1);
    }
    assert_int_equal(seeds[0] + seeds[1] + seeds[2], 5 + 6 + 7);
    for (int i = 0; i < 3; i++)
        fake_job_done(jobs[i], FG_FINISH_LENGTH);
    v = answer(&c, 200);
    assert_int_equal(json_array_size(json_object_get(v, "choices")), 2);
    unpack(v, "{s:[{s:s, s:n}, {s:s}], s:{s:i, s:i}}", "choices", "text", &first, "logprobs",
           "text", &second, "usage", "prompt_tokens", &prompt, "completion_tokens", &completion);
    assert_string_equal(first, "c");
    assert_string_equal(second, "a");
    assert_int_equal(prompt, 1000);
    assert_int_equal(completion, 21);
    json_decref(v);
    fixture_stop(&f);
}

static void chunks_say_whose_they_are(void **state)
{
    bool finished[2] = {false, false};
    struct fg_job *jobs[2];
    char said[2][16] = {"", ""};
    struct fixture f;
    struct client c;
    struct reply head;
    json_t *v;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, CHAT,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"n\": 2, \"seed\": 1,"
         " \"stream\": true}");
    for (int i = 0; i < 2; i++)
        jobs[i] = fake_backend_next(f.backend);
    for (int i = 0; i < 4; i++) {
        char text[2] = {(char)('0' + fake_job_request(jobs[i % 2])->sampling.seed), 0};

        fake_job_delta(jobs[i % 2], text, NULL, 0);
    }
    for (int i = 0; i < 2; i++)
        fake_job_done(jobs[i], FG_FINISH_STOP);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    while ((v = client_event(&c))) {
        json_t *choice = json_array_get(json_object_get(v, "choices"), 0);
        size_t index = (size_t)json_integer_value(json_object_get(choice, "index"));
        const char *text =
            json_string_value(json_object_get(json_object_get(choice, "delta"), "content"));

        assert_true(index < 2 && !finished[index]);
        strcat(said[index], text ? text : "");
        finished[index] = json_is_string(json_object_get(choice, "finish_reason"));
        json_decref(v);
    }
    assert_true(finished[0] && finished[1]);
    assert_string_equal(said[0], "11");
    assert_string_equal(said[1], "22");
    client_close(&c);
    fixture_stop(&f);
}

/* One that fails ends the whole request, and the others. */
static void a_failure_ends_all(void **state)
{
    const struct fake_options fake = {.fail_on_cancel = true};
    struct fg_job *jobs[2];
    struct fixture f;
    struct client c;

    (void)state;
    fixture_start(&f, &fake, NULL);
    post(&f, &c, TEXT, "{\"prompt\": \"x\", \"n\": 2}");
    for (int i = 0; i < 2; i++)
        jobs[i] = fake_backend_next(f.backend);
    fake_job_fail(jobs[0], FG_EDEVICE, "vkQueueSubmit failed");
    json_decref(answer(&c, 500));
    fake_job_wait_canceled(jobs[1]);
    fake_backend_wait_released(f.backend);
    fixture_stop(&f);
}

static void prompts_are_repeated_with_their_logprobs(void **state)
{
    const int32_t prompt[] = {72, 105};
    struct fg_job_token tokens[3] = {fake_token(72, "H", NAN), fake_token(105, "i", -0.5f),
                                     fake_token(33, "!", -0.25f)};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    const char *text;
    json_t *v, *names, *values, *offsets;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, TEXT,
         "{\"prompt\": [72, 105], \"echo\": true, \"logprobs\": 0, \"max_tokens\": 1}");
    job = fake_backend_next(f.backend);
    assert_true(fake_job_request(job)->want_prompt);
    fake_job_begun(job, prompt, 2);
    fake_job_prompt(job, tokens, 2);
    fake_job_delta(job, "!", tokens + 2, 1);
    fake_job_done(job, FG_FINISH_LENGTH);
    v = answer(&c, 200);
    unpack(v, "{s:[{s:s, s:{s:o, s:o, s:o}}]}", "choices", "text", &text, "logprobs", "tokens",
           &names, "token_logprobs", &values, "text_offset", &offsets);
    assert_string_equal(text, "Hi!");
    assert_int_equal(json_array_size(names), 3);
    assert_true(json_is_null(json_array_get(values, 0)));
    assert_true(json_number_value(json_array_get(values, 1)) == -0.5);
    assert_true(json_number_value(json_array_get(values, 2)) == -0.25);
    assert_int_equal(json_integer_value(json_array_get(offsets, 2)), 2);
    json_decref(v);
    /* Without logprobs nothing more is computed for it. */
    post(&f, &c, TEXT, "{\"prompt\": \"Hi\", \"echo\": true, \"max_tokens\": 0}");
    job = fake_backend_next(f.backend);
    assert_false(fake_job_request(job)->want_prompt);
    assert_int_equal(fake_job_request(job)->max_tokens, 0);
    fake_job_done(job, FG_FINISH_LENGTH);
    v = answer(&c, 200);
    unpack(v, "{s:[{s:s}]}", "choices", "text", &text);
    assert_string_equal(text, "Hi");
    json_decref(v);
    fixture_stop(&f);
}

static void ids_are_told(void **state)
{
    const int32_t prompt[] = {7, 8};
    struct fg_job_token tokens[2] = {fake_token(11, "a", 0), fake_token(12, "", 0)};
    struct fixture f;
    struct client c;
    struct fg_job *job;
    int a, b, p, q;
    json_t *v, *logprobs;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, TEXT, "{\"prompt\": \"x\", \"return_token_ids\": true}");
    job = fake_backend_next(f.backend);
    assert_true(fake_job_request(job)->want_tokens);
    fake_job_begun(job, prompt, 2);
    fake_job_delta(job, "a", tokens, 1);
    fake_job_delta(job, "", tokens + 1, 1);
    fake_job_done(job, FG_FINISH_STOP);
    v = answer(&c, 200);
    unpack(v, "{s:[{s:[i,i], s:[i,i], s:o}]}", "choices", "token_ids", &a, &b, "prompt_token_ids",
           &p, &q, "logprobs", &logprobs);
    assert_true(a == 11 && b == 12 && p == 7 && q == 8);
    assert_true(json_is_null(logprobs));
    json_decref(v);
    fixture_stop(&f);
}

/* A stream begins when its prompt is known to fit, and is never silent for long. */
static void streams_wait_aloud(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    char *chunk;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, TEXT, "{\"prompt\": \"x\", \"stream\": true}");
    job = fake_backend_next(f.backend);
    fake_job_begun(job, NULL, 0);
    client_read_head(&c, &head); /* the job says nothing more */
    assert_int_equal(head.status, 200);
    reply_free(&head);
    for (int i = 0; i < 2; i++) {
        chunk = client_chunk(&c);
        assert_non_null(chunk);
        assert_int_equal(chunk[0], ':');
        assert_string_equal(chunk + strlen(chunk) - 2, "\n\n");
        free(chunk);
    }
    fake_job_fail(job, FG_EDEVICE, "vkQueueSubmit failed");
    json_decref(client_event(&c));
    assert_null(client_chunk(&c));
    client_close(&c);
    /* It also begins when nothing is known for a while. */
    post(&f, &c, TEXT, "{\"prompt\": \"x\", \"stream\": true}");
    job = fake_backend_next(f.backend);
    client_read_head(&c, &head);
    assert_int_equal(head.status, 200);
    reply_free(&head);
    fake_job_fail(job, FG_ETOOLONG, "too long");
    for (chunk = client_chunk(&c); chunk[0] == ':'; chunk = client_chunk(&c))
        free(chunk);
    assert_non_null(strstr(chunk, "context_length_exceeded"));
    free(chunk);
    client_close(&c);
    fixture_stop(&f);
}

/* So does one whose text may turn out to be a tool call. */
static void withheld_text_is_no_silence(void **state)
{
    struct fixture f;
    struct client c;
    struct fg_job *job;
    struct reply head;
    char *chunk;

    (void)state;
    fixture_start(&f, NULL, NULL);
    post(&f, &c, CHAT,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"stream\": true, \"tools\": "
         "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]}");
    job = fake_backend_next(f.backend);
    fake_job_delta(job, "<tool_calls>\n", NULL, 0);
    client_read_head(&c, &head);
    reply_free(&head);
    json_decref(client_event(&c)); /* the role */
    chunk = client_chunk(&c);
    assert_int_equal(chunk[0], ':');
    free(chunk);
    fake_job_done(job, FG_FINISH_STOP);
    while ((chunk = client_chunk(&c)))
        free(chunk);
    client_close(&c);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_have_answers_of_their_own),
        cmocka_unit_test(the_likeliest_are_told),
        cmocka_unit_test(chunks_say_whose_they_are),
        cmocka_unit_test(a_failure_ends_all),
        cmocka_unit_test(prompts_are_repeated_with_their_logprobs),
        cmocka_unit_test(ids_are_told),
        cmocka_unit_test(streams_wait_aloud),
        cmocka_unit_test(withheld_text_is_no_silence),
    };

    return cmocka_run_group_tests_name("api choices", tests, NULL, NULL);
}
