/* Rules of an answer's tokens: which may be chosen, which end it, and what is told of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "fixture.h"

enum { ANSWER = 12 };

struct env {
    struct fixture_home home;
    struct fg_flow *flow;
};

static int set_up(void **state)
{
    struct fake_settings settings = {.softmax = true, .lightning = true};
    struct env *env = calloc(1, sizeof *env);
    struct fg_flow_options opt = {.n_ctx = 1024, .n_seq = 2};

    fixture_home_init(&env->home);
    opt.model_path = env->home.model;
    fake_engine_set(&settings);
    env->flow = fixture_flow(&opt);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    fg_flow_destroy(env->flow);
    fixture_home_finish(&env->home);
    free(env);
    return 0;
}

static int32_t *ids(const int32_t *list, size_t n)
{
    int32_t *copy = malloc(n * sizeof *copy);

    memcpy(copy, list, n * sizeof *copy);
    return copy;
}

/* Answers of small letters, so that their text is plain. */
static struct fg_job_request letters(uint32_t n_prompt)
{
    struct fg_job_request req = fixture_random_request(n_prompt, ANSWER);
    int32_t list[26];

    for (int32_t i = 0; i < 26; i++)
        list[i] = 'a' + i;
    req.ignore_eos = false;
    req.rules.allowed = ids(list, 26);
    req.rules.n_allowed = 26;
    return req;
}

static void add_bad_word(struct fg_job_request *req, const char *word)
{
    char **words = realloc(req->rules.bad_words, (req->rules.n_bad_words + 1) * sizeof *words);

    words[req->rules.n_bad_words++] = fixture_copy(word);
    req->rules.bad_words = words;
}

static void test_allowed(void **state)
{
    struct env *env = *state;

    for (int round = 0; round < 6; round++) {
        struct fg_job_request req = letters(30);
        struct reply r;

        req.sampling.temperature = round % 2 ? 1.5f : 0;
        req.sampling.top_k = round % 3 ? 4 : 0;
        req.sampling.seed = (uint64_t)round;
        reply_run(&r, env->flow, &req);
        assert_false(r.failed);
        assert_true(r.begun);
        assert_int_equal(r.n_text, ANSWER);
        for (size_t i = 0; i < r.n_text; i++)
            assert_true(r.text[i] >= 'a' && r.text[i] <= 'z');
        reply_finish(&r);
    }
}

/* No bad word is ever there, however its tokens fall; up to it the answer is the same. */
static void test_bad_words(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = letters(30);
    char word[4] = {0}, one[2] = {0};
    struct reply plain, r;

    reply_run(&plain, env->flow, &req);
    assert_int_equal(plain.n_text, ANSWER);
    memcpy(word, plain.text + 4, 3);
    req = letters(30);
    add_bad_word(&req, word);
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.n_text, ANSWER);
    assert_null(strstr(r.text, word));
    assert_memory_equal(r.text, plain.text, 4);
    reply_finish(&r);
    for (uint64_t seed = 0; seed < 8; seed++) {
        one[0] = plain.text[seed % ANSWER];
        req = letters(30);
        req.sampling.temperature = 2;
        req.sampling.seed = seed;
        add_bad_word(&req, one);
        add_bad_word(&req, word);
        reply_run(&r, env->flow, &req);
        assert_int_equal(r.n_text, ANSWER);
        assert_null(strstr(r.text, one));
        reply_finish(&r);
    }
    reply_finish(&plain);
}

/* The token is told; it has no text. */
static void test_stop_tokens(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = letters(30);
    struct reply plain, r;
    size_t at = 0;

    reply_run(&plain, env->flow, &req);
    while (plain.tokens[at] != plain.tokens[5])
        at++;
    req = letters(30);
    req.rules.stop = ids(&plain.tokens[5], 1);
    req.rules.n_stop = 1;
    req.ignore_eos = true; /* has nothing to do with it */
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.finish, FG_FINISH_STOP);
    assert_int_equal(r.n_tokens, at + 1);
    assert_int_equal(r.account.completion_tokens, at + 1);
    assert_int_equal(r.tokens[at], plain.tokens[5]);
    assert_int_equal(r.n_text, at);
    reply_finish(&r);
    reply_finish(&plain);
}

/* Before min_tokens nothing ends an answer: from all logits, and from the device's best alone. */
static void test_min_tokens(void **state)
{
    struct env *env = *state;
    struct reply plain, all, best;
    struct fg_job_request req = fixture_random_request(40, ANSWER);

    reply_run(&plain, env->flow, &req);
    for (int round = 0; round < 4; round++) {
        struct reply *both[] = {&all, &best};

        for (int i = 0; i < 2; i++) {
            req = fixture_random_request(40, ANSWER);
            req.rules.stop = ids(plain.tokens, 3);
            req.rules.n_stop = 3;
            req.rules.min_tokens = 4;
            req.n_logprobs = i ? -1 : 0;
            req.want_tokens = true;
            req.sampling.temperature = round ? 0.7f : 0;
            req.sampling.top_k = round ? 2 : 0;
            req.sampling.seed = (uint64_t)round;
            reply_run(both[i], env->flow, &req);
            assert_false(both[i]->failed);
            assert_true(both[i]->n_tokens > 4);
            for (int t = 0; t < 4; t++)
                for (int stop = 0; stop < 3; stop++)
                    assert_int_not_equal(both[i]->tokens[t], plain.tokens[stop]);
        }
        assert_int_equal(all.n_tokens, best.n_tokens);
        assert_memory_equal(all.tokens, best.tokens, all.n_tokens * sizeof *all.tokens);
        reply_finish(&all);
        reply_finish(&best);
    }
    reply_finish(&plain);
}

/* A stop string counts from min_tokens on. */
static void test_early_stop_string(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = letters(30);
    struct reply plain, r;

    reply_run(&plain, env->flow, &req);
    for (uint32_t least = 0; least <= 6; least += 6) {
        req = letters(30);
        req.stop = calloc(1, sizeof *req.stop);
        req.stop[0] = strndup(plain.text + 1, 2);
        req.n_stop = 1;
        req.rules.min_tokens = least;
        reply_run(&r, env->flow, &req);
        if (least == 0)
            assert_int_equal(r.n_text, 1);
        else
            assert_true(r.n_text >= 6 && memcmp(r.text, plain.text, 6) == 0);
        reply_finish(&r);
    }
    reply_finish(&plain);
}

static struct fg_job_request biased(int32_t token)
{
    struct fg_job_request req = fixture_random_request(20, 3);

    req.ignore_eos = false;
    req.rules.bias = calloc(1, sizeof *req.rules.bias);
    req.rules.bias[0] = (struct fg_token_bias){token, 100};
    req.rules.n_bias = 1;
    return req;
}

/* The end token is told like others, and is no text; other control tokens are when asked for. */
static void test_control(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = biased(FIXTURE_END);
    struct reply r;

    reply_run(&r, env->flow, &req);
    assert_int_equal(r.finish, FG_FINISH_STOP);
    assert_int_equal(r.n_tokens, 1);
    assert_int_equal(r.tokens[0], FIXTURE_END);
    assert_true(isfinite(r.logprobs[0]));
    assert_int_equal(r.n_text, 0);
    reply_finish(&r);
    for (int shown = 0; shown < 2; shown++) {
        req = biased(FIXTURE_START);
        req.show_control = shown;
        reply_run(&r, env->flow, &req);
        assert_int_equal(r.n_tokens, 3);
        assert_string_equal(r.text, shown ? "<|im_start|><|im_start|><|im_start|>" : "");
        reply_finish(&r);
    }
}

/* The log-probabilities of a prompt are what they were when it was an answer. */
static void test_prompt_logprobs(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = fixture_random_request(90, 50);
    int32_t tokens[140];
    struct reply first, r;

    memcpy(tokens, req.tokens, 90 * sizeof *tokens);
    reply_run(&first, env->flow, &req);
    assert_int_equal(first.n_tokens, 50);
    memcpy(tokens + 90, first.tokens, 50 * sizeof *tokens);
    req = fixture_request(tokens, 140, 0);
    req.want_prompt = true;
    reply_run(&r, env->flow, &req);
    assert_false(r.failed);
    assert_int_equal(r.n_prompt, 140);
    assert_int_equal(r.told_prompt, 140);
    assert_true(isnan(r.prompt_logprobs[0]));
    for (int i = 1; i < 140; i++)
        assert_true(r.prompt_logprobs[i] <= 0);
    assert_memory_equal(r.prompt_logprobs + 90, first.logprobs, 50 * sizeof(float));
    assert_int_equal(r.account.reused_tokens, 0);
    assert_int_equal(r.n_tokens, 0);
    reply_finish(&r);
    /* And the answer goes on as it did. */
    req = fixture_request(tokens, 90, 50);
    req.ignore_eos = true;
    req.want_prompt = true;
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.told_prompt, 90);
    assert_int_equal(r.n_tokens, 50);
    assert_memory_equal(r.tokens, first.tokens, 50 * sizeof *r.tokens);
    reply_finish(&r);
    reply_finish(&first);
}

/* A prompt's are told where the answer's are not asked for, and what is drawn is not changed. */
static void test_prompt_alone(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = fixture_random_request(40, 5);
    int32_t tokens[40];
    struct reply plain, r;

    memcpy(tokens, req.tokens, sizeof tokens);
    reply_run(&plain, env->flow, &req);
    req = fixture_request(tokens, 40, 5);
    req.ignore_eos = true;
    req.want_prompt = req.want_tokens = true;
    req.n_logprobs = -1;
    reply_run(&r, env->flow, &req);
    assert_false(r.failed);
    assert_int_equal(r.told_prompt, 40);
    assert_int_equal(r.n_tokens, 5);
    assert_memory_equal(r.tokens, plain.tokens, 5 * sizeof *r.tokens);
    reply_finish(&r);
    reply_finish(&plain);
}

/* Of what was drawn from: greedily, the one token there is. */
static void test_drawn_logprobs(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = fixture_random_request(40, 5);
    struct reply r;

    req.drawn_logprobs = true;
    req.sampling.temperature = 0;
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.n_tokens, 5);
    for (int i = 0; i < 5; i++)
        assert_true(r.logprobs[i] == 0);
    reply_finish(&r);
}

/* Rules that leave no token are the request's fault. */
static void test_none_left(void **state)
{
    struct env *env = *state;
    const int32_t end = FIXTURE_END;
    struct fg_job_request req = fixture_random_request(20, 3);
    struct reply r;

    req.ignore_eos = false;
    req.rules.allowed = ids(&end, 1);
    req.rules.n_allowed = 1;
    req.rules.min_tokens = 1;
    reply_run(&r, env->flow, &req);
    assert_true(r.failed);
    assert_int_equal(r.error.code, FG_EINVAL);
    reply_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_min_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_early_stop_string, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_control, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prompt_logprobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prompt_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drawn_logprobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none_left, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
