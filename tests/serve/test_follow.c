/* The same prefix at the same moment: computed once, by the first that needs it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"

enum { DOC = 640, QUESTION = 20, N = DOC + QUESTION, ANSWER = 3, MOST = 12 };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct fake_settings settings;
    struct gate gate;
    struct fg_flow *flow;
    struct reply replies[MOST];
    int32_t prompts[MOST + 1][N];
};

static void open_flow(struct env *env, bool softmax, bool lightning, uint32_t n_seq)
{
    env->settings = (struct fake_settings){.softmax = softmax,
                                           .lightning = lightning,
                                           .on_step = gate_hold,
                                           .on_step_ctx = &env->gate};
    env->opt.n_seq = n_seq;
    gate_init(&env->gate);
    fake_engine_set(&env->settings);
    env->flow = fixture_flow(&env->opt);
}

static void close_flow(struct env *env)
{
    fg_flow_destroy(env->flow);
    gate_finish(&env->gate);
}

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model, .n_ctx = 1024};
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    fixture_home_finish(&env->home);
    free(env);
    return 0;
}

/* The document, of which the first `common` tokens are those of all, then what only `who` has. */
static struct fg_job_request ask(struct env *env, uint32_t i, uint32_t common, uint32_t who)
{
    uint64_t doc = 7, own = (uint64_t)(who + 1) << 32;
    struct fg_job_request req;

    for (uint32_t t = 0; t < N; t++)
        env->prompts[i][t] = (int32_t)(fixture_random(t < common ? &doc : &own) % FIXTURE_BYTES);
    req = fixture_request(env->prompts[i], N, ANSWER);
    req.ignore_eos = true;
    return req;
}

static void start(struct env *env, uint32_t i, struct fg_job_request req)
{
    assert_int_equal(reply_start(&env->replies[i], env->flow, &req, NULL), 0);
}

/* Lets the runner go on, up to `steps`, when all that was submitted has reached it: the text thread
 * takes one job after the other, and ends the last of these itself. */
static void go_on(struct env *env, uint64_t steps)
{
    struct fg_job_request req = ask(env, MOST, DOC, 0);
    struct reply r;

    req.max_tokens = -2;
    assert_int_equal(reply_start(&r, env->flow, &req, NULL), 0);
    reply_wait(&r);
    assert_true(r.failed);
    reply_finish(&r);
    gate_allow(&env->gate, steps);
}

/* The answer's tokens are those that the model's definition gives. */
static void check_answer(struct env *env, uint32_t i)
{
    const struct reply *r = &env->replies[i];
    int32_t tokens[N + ANSWER];
    float logits[FAKE_VOCAB];

    assert_false(r->failed);
    assert_int_equal(r->n_tokens, ANSWER);
    memcpy(tokens, env->prompts[i], sizeof env->prompts[i]);
    for (uint32_t n = 0; n < ANSWER; n++) {
        int32_t best = 0;

        fake_model_logits(env->settings.softmax, env->settings.lightning, tokens, N + n, logits);
        for (int32_t t = 1; t < FIXTURE_TOKENS; t++)
            if (logits[t] > logits[best])
                best = t;
        assert_int_equal(r->tokens[n], best);
        tokens[N + n] = best;
    }
}

static uint64_t computed(void)
{
    struct fake_counts c;

    fake_engine_counts(&c);
    return c.tokens;
}

static void end_all(struct env *env, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        reply_wait(&env->replies[i]);
}

static void finish_all(struct env *env, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        reply_finish(&env->replies[i]);
}

typedef void for_kind(struct env *env, bool softmax, bool lightning);

static void each_kind(void **state, for_kind *fn)
{
    fn(*state, true, false);
    fn(*state, false, true);
    fn(*state, true, true);
}

/* --- computed once --- */

static void ask_four(struct env *env, bool softmax, bool lightning)
{
    enum { JOBS = 4 };

    open_flow(env, softmax, lightning, JOBS);
    start(env, 0, ask(env, 0, DOC, 0));
    gate_wait(&env->gate, 1); /* the first is on its way when the others come */
    for (uint32_t i = 1; i < JOBS; i++)
        start(env, i, ask(env, i, DOC, i));
    go_on(env, UINT64_MAX);
    end_all(env, JOBS);
    assert_int_equal(computed(), DOC + JOBS * (QUESTION + ANSWER - 1));
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct fg_job_account *a = &env->replies[i].account;

        check_answer(env, i);
        assert_int_equal(a->reused_tokens, i ? DOC : 0);
        assert_int_equal(a->recomputed_tokens, i ? QUESTION : N);
        assert_int_equal(a->source, i ? FG_SOURCE_VRAM : FG_SOURCE_NONE);
        if (i)
            assert_int_equal(a->why.reason, FG_REASON_COMPLETE);
    }
    finish_all(env, JOBS);
    close_flow(env);
}

static void test_four_questions(void **state)
{
    each_kind(state, ask_four);
}

static void ask_twelve(struct env *env, bool softmax, bool lightning)
{
    open_flow(env, softmax, lightning, 4);
    for (uint32_t i = 0; i < MOST; i++)
        start(env, i, ask(env, i, DOC, 0));
    go_on(env, UINT64_MAX);
    end_all(env, MOST);
    assert_int_equal(computed(), DOC + MOST * (QUESTION + ANSWER - 1));
    for (uint32_t i = 0; i < MOST; i++)
        check_answer(env, i);
    finish_all(env, MOST);
    close_flow(env);
}

static void test_twelve_equal_requests(void **state)
{
    each_kind(state, ask_twelve);
}

/* Each parts from the first at another place: a state is left at each of them. */
static void part_at_many(struct env *env, bool softmax, bool lightning)
{
    uint32_t common[] = {N, 200, 256, 500, 640};
    uint64_t want = N;

    open_flow(env, softmax, lightning, 5);
    start(env, 0, ask(env, 0, N, 0));
    gate_wait(&env->gate, 1);
    for (uint32_t i = 1; i < 5; i++) {
        start(env, i, ask(env, i, common[i], i));
        want += N - common[i] / 64 * 64;
    }
    go_on(env, UINT64_MAX);
    end_all(env, 5);
    assert_int_equal(computed(), want + 5 * (ANSWER - 1));
    for (uint32_t i = 0; i < 5; i++) {
        check_answer(env, i);
        assert_int_equal(env->replies[i].account.reused_tokens, i ? common[i] / 64 * 64 : 0);
    }
    finish_all(env, 5);
    close_flow(env);
}

static void test_parting_places(void **state)
{
    each_kind(state, part_at_many);
}

/* --- who computes goes away --- */

static void cancel_first(struct env *env, bool softmax, bool lightning)
{
    enum { JOBS = 3, AT = 6 };

    open_flow(env, softmax, lightning, JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        start(env, i, ask(env, i, DOC, i));
        gate_wait(&env->gate, 1);
    }
    env->gate.cancel = env->replies[0].job;
    env->gate.cancel_at = AT;
    go_on(env, UINT64_MAX);
    end_all(env, JOBS);
    assert_true(env->replies[0].failed);
    assert_int_equal(env->replies[0].error.code, FG_ECANCELED);
    /* The second goes on where the first stopped, and the third waits for it. */
    assert_int_equal(computed(), DOC + (JOBS - 1) * (QUESTION + ANSWER - 1));
    for (uint32_t i = 1; i < JOBS; i++)
        check_answer(env, i);
    assert_int_equal(env->replies[1].account.reused_tokens, AT * 64);
    assert_int_equal(env->replies[2].account.reused_tokens, DOC);
    finish_all(env, JOBS);
    close_flow(env);
}

static void test_cancel_of_the_first(void **state)
{
    each_kind(state, cancel_first);
}

/* Pages for one prompt and a bit: whoever is sent back begins again, and all end right. */
static void few_pages(struct env *env, bool softmax, bool lightning)
{
    enum { JOBS = 6 };

    env->opt.n_pages = N / 64 + 3;
    open_flow(env, softmax, lightning, JOBS);
    for (uint32_t i = 0; i < JOBS; i++)
        start(env, i, ask(env, i, i < 3 ? DOC : 320, i));
    go_on(env, UINT64_MAX);
    end_all(env, JOBS);
    for (uint32_t i = 0; i < JOBS; i++)
        check_answer(env, i);
    finish_all(env, JOBS);
    close_flow(env);
    env->opt.n_pages = 0;
}

static void test_few_pages(void **state)
{
    each_kind(state, few_pages);
}

static void lose_device(struct env *env, bool softmax, bool lightning)
{
    enum { JOBS = 4 };

    open_flow(env, softmax, lightning, JOBS);
    close_flow(env);
    env->settings.lose_at = 5;
    env->gate.allowed = 0;
    fake_engine_set(&env->settings);
    pthread_mutex_init(&env->gate.lock, NULL);
    pthread_cond_init(&env->gate.change, NULL);
    env->flow = fixture_flow(&env->opt);
    for (uint32_t i = 0; i < JOBS; i++)
        start(env, i, ask(env, i, DOC, i));
    go_on(env, UINT64_MAX);
    end_all(env, JOBS);
    for (uint32_t i = 0; i < JOBS; i++)
        check_answer(env, i);
    finish_all(env, JOBS);
    close_flow(env);
}

static void test_lost_device(void **state)
{
    each_kind(state, lose_device);
}

/* --- who waits holds up nobody --- */

static void pass_by(struct env *env, bool softmax, bool lightning)
{
    open_flow(env, softmax, lightning, 2);
    start(env, 0, ask(env, 0, DOC, 0));
    gate_wait(&env->gate, 1);
    start(env, 1, ask(env, 1, DOC, 1)); /* waits for the first, in the last place */
    go_on(env, 3);
    gate_wait(&env->gate, 4);
    start(env, 2, ask(env, 2, 0, 2)); /* has nothing to do with them */
    go_on(env, 5);
    gate_wait(&env->gate, 6);
    /* The third computes beside the first: the second gave up its place. */
    {
        struct fg_job_status rows[3];

        assert_int_equal(fg_flow_jobs(env->flow, NULL, rows, 3), 3);
        assert_int_equal(rows[1].phase, FG_PHASE_QUEUED);
        assert_int_equal(rows[2].phase, FG_PHASE_PREFILL);
    }
    go_on(env, UINT64_MAX);
    end_all(env, 3);
    for (uint32_t i = 0; i < 3; i++)
        check_answer(env, i);
    assert_int_equal(env->replies[1].account.reused_tokens, DOC);
    assert_int_equal(computed(), DOC + N + 2 * QUESTION + 3 * (ANSWER - 1));
    finish_all(env, 3);
    close_flow(env);
}

static void test_others_pass_by(void **state)
{
    each_kind(state, pass_by);
}

/* --- who does not share --- */

static void keep_apart(struct env *env, bool softmax, bool lightning)
{
    struct fg_job_request req;

    open_flow(env, softmax, lightning, 4);
    req = ask(env, 0, DOC, 0);
    req.cache = FG_CACHE_READ; /* leaves nothing for others */
    start(env, 0, req);
    gate_wait(&env->gate, 1);
    req = ask(env, 1, DOC, 1);
    req.cache = FG_CACHE_NONE;
    start(env, 1, req);
    req = ask(env, 2, DOC, 2);
    req.tenant.id[0] = 1;
    start(env, 2, req);
    start(env, 3, ask(env, 3, DOC, 3));
    go_on(env, UINT64_MAX);
    end_all(env, 4);
    for (uint32_t i = 0; i < 4; i++) {
        check_answer(env, i);
        assert_int_equal(env->replies[i].account.reused_tokens, 0);
    }
    finish_all(env, 4);
    close_flow(env);
}

static void test_kept_apart(void **state)
{
    each_kind(state, keep_apart);
}

/* Who reads only may take over what others compute. */
static void read_along(struct env *env, bool softmax, bool lightning)
{
    struct fg_job_request req;

    open_flow(env, softmax, lightning, 2);
    start(env, 0, ask(env, 0, DOC, 0));
    gate_wait(&env->gate, 1);
    req = ask(env, 1, DOC, 1);
    req.cache = FG_CACHE_READ;
    start(env, 1, req);
    go_on(env, UINT64_MAX);
    end_all(env, 2);
    check_answer(env, 0);
    check_answer(env, 1);
    assert_int_equal(env->replies[1].account.reused_tokens, DOC);
    finish_all(env, 2);
    close_flow(env);
}

static void test_reads_along(void **state)
{
    each_kind(state, read_along);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_four_questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_twelve_equal_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parting_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_of_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_few_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_others_pass_by, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reads_along, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
