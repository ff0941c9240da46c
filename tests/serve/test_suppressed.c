/* tokenizer.ggml.suppress_tokens: such tokens are never chosen, and told of nowhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "fixture.h"

enum { ANSWER = 10, PROMPT = 40 };

struct env {
    char *dir, *model;
    struct fg_flow *flow;
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    env->dir = dir_make();
    *state = env;
    return 0;
}

static void close_model(struct env *env)
{
    fg_flow_destroy(env->flow);
    free(env->model);
    env->flow = NULL;
    env->model = NULL;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    close_model(env);
    dir_remove(env->dir);
    free(env);
    return 0;
}

/* ids NULL: the file has no list. */
static int open_model(struct env *env, const int32_t *ids, size_t n, struct fg_err *err)
{
    struct fake_settings settings = {.softmax = true, .lightning = true};
    struct fg_flow_options opt = {.n_ctx = 1024, .n_seq = 2};

    close_model(env);
    env->model = ids ? fixture_model_suppressing(env->dir, ids, n) : fixture_model(env->dir);
    opt.model_path = env->model;
    fake_engine_set(&settings);
    return fg_flow_create(&opt, &env->flow, err);
}

static void open_sound(struct env *env, const int32_t *ids, size_t n)
{
    struct fg_err err = {0};

    if (open_model(env, ids, n, &err))
        fail_msg("%s", err.text);
}

/* From the device's best alone, and from all logits. */
static void run(struct env *env, struct reply *r, bool best, int top_k)
{
    struct fg_job_request req = fixture_random_request(PROMPT, ANSWER);

    req.n_logprobs = best ? -1 : 5;
    req.want_tokens = true;
    req.sampling.temperature = top_k ? 0.9f : 0;
    req.sampling.top_k = top_k;
    req.sampling.seed = 3;
    reply_run(r, env->flow, &req);
    assert_false(r->failed);
    assert_int_equal(r->n_tokens, ANSWER);
}

static bool among(const int32_t *ids, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* The model's own first choices are taken away, one after the other, until more are suppressed than
 * the device picks. */
static void never_chosen(void **state)
{
    struct env *env = *state;
    int32_t ids[100];
    size_t n = 0;
    struct reply r, all;

    while (n < 80) {
        open_sound(env, n ? ids : NULL, n);
        for (int top_k = 0; top_k < 8; top_k += 4) {
            run(env, &r, true, top_k);
            run(env, &all, false, top_k);
            assert_memory_equal(r.tokens, all.tokens, ANSWER * sizeof *r.tokens);
            for (size_t i = 0; i < ANSWER; i++) {
                assert_false(among(ids, n, r.tokens[i]));
                assert_true(isfinite(all.logprobs[i]));
            }
            for (size_t i = 0; top_k == 4 && i < ANSWER; i++)
                if (!among(ids, n, r.tokens[i]))
                    ids[n++] = r.tokens[i];
            reply_finish(&r);
            reply_finish(&all);
        }
    }
}

/* A bias does not bring one back; a request that allows no other is told so. */
static void wins_over_requests(void **state)
{
    struct env *env = *state;
    const int32_t id = 'q';
    struct fg_job_request req = fixture_random_request(PROMPT, ANSWER);
    struct reply r;

    open_sound(env, &id, 1);
    req.rules.bias = calloc(1, sizeof *req.rules.bias);
    req.rules.bias[0] = (struct fg_token_bias){id, 100};
    req.rules.n_bias = 1;
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.n_tokens, ANSWER);
    assert_false(among(r.tokens, ANSWER, id));
    reply_finish(&r);
    req = fixture_random_request(PROMPT, ANSWER);
    req.rules.allowed = calloc(1, sizeof *req.rules.allowed);
    req.rules.allowed[0] = id;
    req.rules.n_allowed = 1;
    reply_run(&r, env->flow, &req);
    assert_true(r.failed);
    assert_int_equal(r.error.code, FG_EINVAL);
    reply_finish(&r);
}

/* Among the best of the other tokens is none that is suppressed, and they share all probability. */
static void has_no_logprob(void **state)
{
    struct env *env = *state;
    int32_t ids[FAKE_VOCAB], prompt[] = {1, 2, 'q', 3, 4};
    struct fg_job_request req;
    struct reply r;
    size_t n = 0;

    ids[n++] = 'q';
    open_sound(env, ids, n);
    req = fixture_request(prompt, 5, 1);
    req.want_prompt = true;
    req.n_logprobs = 5;
    reply_run(&r, env->flow, &req);
    assert_int_equal(r.told_prompt, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(isnan(r.prompt_logprobs[i]) != 0, i == 0 || prompt[i] == 'q');
    reply_finish(&r);
    /* One token of the vocabulary is left, so greedy decoding takes it again and again. */
    for (n = 0; n < FIXTURE_TOKENS - 1; n++)
        ids[n] = (int32_t)n + ((int32_t)n >= 'z');
    open_sound(env, ids, n);
    run(env, &r, false, 0);
    for (int i = 0; i < ANSWER; i++)
        assert_int_equal(r.tokens[i], 'z');
    reply_finish(&r);
}

static void bad_lists(void **state)
{
    struct env *env = *state;
    int32_t ids[2 * FIXTURE_TOKENS];
    struct fg_err err = {0};

    for (int32_t i = 0; i < 2 * FIXTURE_TOKENS; i++)
        ids[i] = i / 2;
    open_sound(env, ids, 0); /* an empty list */
    open_sound(env, ids, 2 * FIXTURE_TOKENS - 2);
    assert_int_equal(open_model(env, ids, 2 * FIXTURE_TOKENS, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "tokenizer.ggml.suppress_tokens names every token"));
    ids[1] = -1;
    assert_int_equal(open_model(env, ids, 2, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "tokenizer.ggml.suppress_tokens[1] is -1"));
    ids[1] = FIXTURE_TOKENS;
    assert_int_equal(open_model(env, ids, 2, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "suppress_tokens[1] is 259, but the vocabulary has 259"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(never_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wins_over_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(has_no_logprob, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_lists, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
