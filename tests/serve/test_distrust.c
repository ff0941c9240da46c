/* Records that are what was stored, and not what the model computes: what is computed from them is
 * not finite. They go, whichever tier they were in, and the request is answered without them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"
#include "serve/flow_state.h"

enum { N = 660, BLOCKS = N / 64, SHORT = 330, ANSWER = 3, LONG = 40, JOBS = 3 };

enum tier { ON_DISK, IN_MEMORY, ON_DEVICE, TIERS };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct fg_flow *flow;
    struct fake_settings settings;
    _Atomic bool fall_sick; /* in the step behind a job's first token */
};

/* On the device's thread. */
static void fall_sick(void *ctx, uint64_t step)
{
    struct env *env = ctx;
    struct fg_job_status jobs[JOBS];
    size_t n = fg_flow_jobs(env->flow, NULL, jobs, JOBS);

    (void)step;
    for (size_t i = 0; i < n && i < JOBS; i++)
        if (env->fall_sick && jobs[i].generated_tokens > 1)
            fake_engine_sick(true);
}

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model,
                                        .n_ctx = 1024,
                                        .n_seq = 4,
                                        .cache_dir = env->home.cache,
                                        .cache_bytes = 64 << 20};
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

static void open_flow(struct env *env)
{
    env->settings.on_step = fall_sick;
    env->settings.on_step_ctx = env;
    fake_engine_set(&env->settings);
    env->flow = fixture_flow(&env->opt);
}

static void close_flow(struct env *env)
{
    fg_flow_destroy(env->flow);
    env->flow = NULL;
}

static struct fg_job_request ask(uint64_t who, uint32_t n, int32_t answer, enum fg_cache_use cache)
{
    struct fg_job_request req = fixture_seeded_request(who, n, answer);

    req.cache = cache;
    return req;
}

static struct reply run(struct env *env, struct fg_job_request req)
{
    struct reply r;

    reply_run(&r, env->flow, &req);
    return r;
}

static void run_away(struct env *env, struct fg_job_request req)
{
    struct reply r = run(env, req);

    assert_false(r.failed);
    reply_finish(&r);
}

/* A device that computes no numbers leaves its records; nobody looks at its logits. */
static void store_bad(struct env *env, uint32_t n)
{
    fake_engine_sick(true);
    run_away(env, ask(1, n, 0, FG_CACHE_READ_WRITE));
    fake_engine_sick(false);
}

static struct fg_cache_stats stats_of(struct env *env)
{
    struct fg_cache_stats s;

    fg_cache_flush(env->flow->cache);
    assert_int_equal(fg_flow_cache_stats(env->flow, &s, NULL), 0);
    return s;
}

static void check(struct reply *r, const struct reply *want, enum fg_cache_reason reason,
                  uint32_t reused)
{
    if (r->failed)
        fail_msg("failed: %s", r->error.text);
    assert_int_equal(r->n_tokens, want->n_tokens);
    assert_memory_equal(r->tokens, want->tokens, r->n_tokens * sizeof *r->tokens);
    assert_memory_equal(r->logprobs, want->logprobs, r->n_tokens * sizeof *r->logprobs);
    assert_int_equal(r->account.why.reason, reason);
    assert_int_equal(r->account.reused_tokens, reused);
    assert_int_equal(r->account.recomputed_tokens, r->account.prompt_tokens - reused);
    assert_int_equal(r->account.source == FG_SOURCE_NONE, reused == 0);
    reply_finish(r);
}

/* Bad records of job 1 in that tier only, or in those above the disk too. */
static void open_with_bad(struct env *env, enum tier tier)
{
    env->opt.cache_dir = tier == IN_MEMORY ? NULL : env->home.cache;
    env->opt.ram_bytes = tier == ON_DISK ? 0 : 32 << 20;
    env->opt.n_pages = tier == IN_MEMORY && env->settings.softmax ? 16 : 0;
    env->opt.n_states = tier == IN_MEMORY ? 3 : 0;
    open_flow(env);
    store_bad(env, N);
    if (tier == ON_DISK) {
        close_flow(env);
        open_flow(env);
    }
    for (uint64_t who = 2; tier == IN_MEMORY && who < 6; who++)
        run_away(env, ask(who, N, ANSWER, FG_CACHE_READ_WRITE));
}

static void test_answered(void **state)
{
    static const enum fg_cache_use uses[] = {FG_CACHE_READ_WRITE, FG_CACHE_READ};
    struct env *env = *state;

    for (int way = 0; way < 3 * TIERS * 2; way++) {
        enum tier tier = way / 3 % TIERS;
        enum fg_cache_use use = uses[way / 3 / TIERS];
        uint32_t left = use == FG_CACHE_READ ? 0 : BLOCKS * 64;
        struct fake_counts before, counts;
        struct reply want, r;

        env->settings = fake_families[way % 3];
        open_with_bad(env, tier);
        want = run(env, ask(1, N, ANSWER, FG_CACHE_NONE));
        fake_engine_counts(&before);
        r = run(env, ask(1, N, ANSWER, use));
        check(&r, &want, FG_REASON_CORRUPT_DROPPED, 0);
        fake_engine_counts(&counts);
        assert_int_equal(counts.tokens - before.tokens, N % 64 + N + ANSWER - 1);
        assert_int_equal(env->flow->bad_prefixes, 1);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        assert_int_equal(r.account.reused_tokens, left);
        assert_memory_equal(r.logprobs, want.logprobs, ANSWER * sizeof *r.logprobs);
        reply_finish(&r);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        check(&r, &want, FG_REASON_COMPLETE, BLOCKS * 64);
        assert_int_equal(env->flow->bad_prefixes, 1);
        reply_finish(&want);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

/* Several at once that share what is bad, or follow one another behind it; and a stranger beside
 * them that keeps what it has. */
static void test_together(void **state)
{
    struct env *env = *state;

    for (int way = 0; way < 6; way++) {
        uint32_t n = way < 3 ? N : SHORT;
        struct reply want, r, replies[JOBS];
        struct reader_hold hold;
        struct fg_cache_stats s;
        sem_t stands;

        env->settings = fake_families[way % 3];
        env->opt.n_batch = 256;
        open_flow(env);
        store_bad(env, n);
        run_away(env, ask(2, N, ANSWER, FG_CACHE_READ_WRITE));
        close_flow(env);
        open_flow(env);
        want = run(env, ask(1, N, ANSWER, FG_CACHE_NONE));
        sem_init(&stands, 0, 0);
        reader_hold(&hold, env->flow->cache, &stands);
        sem_wait(&stands);
        for (int i = 0; i < JOBS; i++) {
            struct fg_job_request req = ask(1, N, ANSWER, FG_CACHE_READ_WRITE);

            assert_int_equal(reply_start(&replies[i], env->flow, &req, NULL), 0);
        }
        reader_let_go(&hold);
        sem_destroy(&stands);
        for (int i = 0; i < JOBS; i++) {
            reply_wait(&replies[i]);
            assert_false(replies[i].failed);
            assert_memory_equal(replies[i].tokens, want.tokens, ANSWER * sizeof *want.tokens);
            assert_memory_equal(replies[i].logprobs, want.logprobs, ANSWER * sizeof *want.logprobs);
            reply_finish(&replies[i]);
        }
        assert_in_range(env->flow->bad_prefixes, 1, JOBS);
        r = run(env, ask(2, N, ANSWER, FG_CACHE_READ_WRITE));
        assert_int_equal(r.account.reused_tokens, BLOCKS * 64);
        reply_finish(&r);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        check(&r, &want, FG_REASON_COMPLETE, BLOCKS * 64);
        s = stats_of(env);
        assert_int_equal(s.bad_prefixes, env->flow->bad_prefixes);
        reply_finish(&want);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

/* The device stays sick: computed anew once, then the error; nothing is left to anybody. */
static void test_sick_device(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 3; f++) {
        struct fake_counts before, counts;
        struct fg_cache_stats s;
        struct reply want, r;

        env->settings = fake_families[f];
        open_flow(env);
        store_bad(env, N);
        want = run(env, ask(1, N, ANSWER, FG_CACHE_NONE));
        fake_engine_sick(true);
        fake_engine_counts(&before);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        assert_true(r.failed);
        assert_int_equal(r.error.code, FG_EDEVICE);
        reply_finish(&r);
        fake_engine_counts(&counts);
        assert_int_equal(counts.tokens - before.tokens, N % 64 + N);
        s = stats_of(env);
        assert_int_equal(s.blocks + s.states, 0);
        /* Nor what one leaves that had nothing to take. */
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        assert_true(r.failed);
        reply_finish(&r);
        s = stats_of(env);
        assert_int_equal(s.blocks + s.states, 0);
        fake_engine_sick(false);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        check(&r, &want, FG_REASON_CORRUPT_DROPPED, 0);
        assert_int_equal(env->flow->bad_prefixes, 1);
        reply_finish(&want);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

/* An answer that has begun cannot begin anew; the next one does. */
static void test_amid_an_answer(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 3; f++) {
        struct fg_cache_stats s;
        struct reply want, r;

        env->settings = fake_families[f];
        open_flow(env);
        run_away(env, ask(1, N, 0, FG_CACHE_READ_WRITE));
        want = run(env, ask(1, N, ANSWER, FG_CACHE_NONE));
        env->fall_sick = true;
        r = run(env, ask(1, N, LONG, FG_CACHE_READ_WRITE));
        env->fall_sick = false;
        fake_engine_sick(false);
        assert_true(r.failed);
        assert_int_equal(r.error.code, FG_EDEVICE);
        assert_in_range(r.n_tokens, 1, LONG - 1);
        reply_finish(&r);
        s = stats_of(env);
        assert_int_equal(s.blocks + s.states, 0);
        assert_int_equal(s.bad_prefixes, 1);
        r = run(env, ask(1, N, ANSWER, FG_CACHE_READ_WRITE));
        check(&r, &want, FG_REASON_CORRUPT_DROPPED, 0);
        assert_int_equal(env->flow->bad_prefixes, 1);
        reply_finish(&want);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sick_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_amid_an_answer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
