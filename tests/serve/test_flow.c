/* The flow from end to end over the toy model: what comes out is what an uncached, unbatched run
 * gives, whatever was restored, shared, preempted, lost or broken on the way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "serve/sample.h"

static int set_up(void **state)
{
    struct fixture_home *env = calloc(1, sizeof *env);

    fixture_home_init(env);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture_home *env = *state;

    fixture_home_finish(env);
    free(env);
    return 0;
}

static struct fg_flow_options options(const struct fixture_home *env)
{
    return (struct fg_flow_options){.model_path = env->model,
                                    .n_ctx = 2048,
                                    .n_seq = 4,
                                    .n_batch = 128,
                                    .n_states = 8,
                                    .cache_dir = env->cache,
                                    .cache_bytes = 64 << 20};
}

/* --- what the answer has to be --- */

static uint32_t expect(const struct fake_settings *s, const int32_t *prompt, uint32_t n,
                       const struct fg_sampling *sampling, uint32_t max_new, int32_t *out)
{
    float logits[FAKE_VOCAB];
    struct fg_sampler sampler;
    int32_t *all = malloc((n + max_new) * sizeof *all);
    uint32_t k = 0;

    memcpy(all, prompt, n * sizeof *all);
    assert_int_equal(fg_sampler_init(&sampler, FIXTURE_TOKENS, NULL), 0);
    while (k < max_new) {
        fake_model_logits(s->softmax, s->lightning, all, n + k, logits);
        assert_int_equal(fg_sample(&sampler, logits, sampling, k, &out[k], NULL), 0);
        if (out[k] == FIXTURE_END)
            break;
        all[n + k] = out[k];
        k++;
    }
    fg_sampler_finish(&sampler);
    free(all);
    return k; /* without the end token */
}

static void check_reply(const struct reply *r, const struct fake_settings *s, const int32_t *prompt,
                        uint32_t n, const struct fg_sampling *sampling, uint32_t max_new)
{
    int32_t *want = malloc((max_new + 1) * sizeof *want);
    uint32_t k = expect(s, prompt, n, sampling, max_new, want);

    if (r->failed)
        fail_msg("failed: %s", r->error.text);
    assert_int_equal(r->n_tokens, k == max_new ? k : k + 1); /* the end token is told too */
    assert_memory_equal(r->tokens, want, r->n_tokens * sizeof *want);
    assert_int_equal(r->finish, k == max_new ? FG_FINISH_LENGTH : FG_FINISH_STOP);
    assert_int_equal(r->account.completion_tokens, k == max_new ? k : k + 1);
    assert_int_equal(r->account.prompt_tokens, n);
    assert_int_equal(r->account.reused_tokens + r->account.recomputed_tokens, n);
    assert_int_equal(r->account.source == FG_SOURCE_NONE, r->account.reused_tokens == 0);
    assert_int_equal(r->account.reused_tokens % 64, 0);
    free(want);
}

static const struct fg_sampling greedy = {.top_p = 1};

/* Runs one job and checks its answer; returns its account. */
static struct fg_job_account run_one(struct fg_flow *flow, const struct fake_settings *s,
                                     const int32_t *prompt, uint32_t n, int32_t max_new)
{
    struct fg_job_request req = fixture_request(prompt, n, max_new);
    struct reply r;

    assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
    reply_wait(&r);
    check_reply(&r, s, prompt, n, &greedy, (uint32_t)max_new);
    reply_finish(&r);
    return r.account;
}

/* --- repeated prompts --- */

/* The n-th repeat of a prompt computes less than a block and what is new, from VRAM, and after a
 * restart from the store. */
static void repeat_family(const struct fixture_home *env, const struct fake_settings *s, uint32_t n)
{
    struct fg_flow_options opt = options(env);
    struct fg_job_account a;
    struct fg_flow *flow;
    int32_t prompt[1600];

    fixture_tokens(prompt, n, n + s->lightning);
    fake_engine_set(s);
    flow = fixture_flow(&opt);
    a = run_one(flow, s, prompt, n, 20);
    assert_int_equal(a.source, FG_SOURCE_NONE);
    a = run_one(flow, s, prompt, n, 20);
    assert_int_equal(a.reused_tokens, (n - 1) / 64 * 64);
    assert_int_equal(a.source, n > 64 ? FG_SOURCE_VRAM : FG_SOURCE_NONE);
    fg_flow_destroy(flow);
    flow = fixture_flow(&opt);
    a = run_one(flow, s, prompt, n, 20);
    assert_int_equal(a.reused_tokens, (n - 1) / 64 * 64);
    assert_int_equal(a.source, n > 64 ? FG_SOURCE_STORE : FG_SOURCE_NONE);
    a = run_one(flow, s, prompt, n, 20);
    assert_int_equal(a.source, n > 64 ? FG_SOURCE_VRAM : FG_SOURCE_NONE);
    fg_flow_destroy(flow);
}

static void test_repeats(void **state)
{
    static const uint32_t lengths[] = {1, 63, 64, 65, 127, 128, 129, 500, 1024, 1025, 1500};

    for (int f = 0; f < FAKE_FAMILIES; f++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            repeat_family(*state, &fake_families[f], lengths[i]);
}

/* --- conversations: each prompt is the last prompt, its answer and something new --- */

static void converse(const struct fixture_home *env, const struct fake_settings *s, bool restart)
{
    struct fg_flow_options opt = options(env);
    int32_t tokens[2048];
    uint32_t n = 90;
    struct fg_flow *flow;

    fixture_tokens(tokens, n, 77);
    fake_engine_set(s);
    flow = fixture_flow(&opt);
    for (int turn = 0; turn < 5; turn++) {
        uint32_t max_new = 150 + (uint32_t)turn * 37, before = n;
        struct fg_job_request req = fixture_request(tokens, n, (int32_t)max_new);
        struct reply r;

        req.ignore_eos = true;
        assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
        reply_wait(&r);
        assert_false(r.failed);
        assert_int_equal(r.n_tokens, max_new);
        if (turn)
            /* All but the answer's last token was computed; the new user's tokens follow. */
            assert_true(r.account.reused_tokens >= (before - 30 - 1) / 64 * 64);
        memcpy(tokens + n, r.tokens, max_new * sizeof *tokens);
        n += max_new;
        fixture_tokens(tokens + n, 30, (uint64_t)turn + 900);
        n += 30;
        reply_finish(&r);
        if (restart) {
            fg_flow_destroy(flow);
            flow = fixture_flow(&opt);
        }
    }
    fg_flow_destroy(flow);
}

static void test_conversations(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++)
        for (int restart = 0; restart < 2; restart++)
            converse(*state, &fake_families[f], restart);
}

/* --- prompts that part: the third one restores up to where they part --- */

static void test_branches(void **state)
{
    struct fg_flow_options opt = options(*state);

    for (int f = 0; f < FAKE_FAMILIES; f++) {
        int32_t prompt[700];
        struct fg_job_account a;
        struct fg_flow *flow;

        fixture_tokens(prompt, 700, 5 + (uint64_t)f);
        fake_engine_set(&fake_families[f]);
        flow = fixture_flow(&opt);
        run_one(flow, &fake_families[f], prompt, 700, 5);
        for (uint64_t branch = 0; branch < 3; branch++) {
            fixture_tokens(prompt + 400, 300, 50 + branch);
            a = run_one(flow, &fake_families[f], prompt, 700, 5);
            assert_int_equal(a.reused_tokens, fake_families[f].lightning && branch == 0 ? 0 : 384);
        }
        fg_flow_destroy(flow);
    }
}

/* --- many requests at once --- */

enum { MIX = 160 };

struct mix_job {
    int32_t prompt[900];
    uint32_t n, max_new;
    struct fg_sampling sampling;
    struct reply reply;
    bool cancel;
};

static void make_mix_job(struct mix_job *j, uint64_t *rng)
{
    uint32_t shared = fixture_random(rng) % 4, cut = fixture_random(rng) % 600;

    /* One of four texts up to somewhere, then something of its own. */
    fixture_tokens(j->prompt, 600, 1000 + shared);
    j->n = cut + 1 + fixture_random(rng) % 200;
    fixture_tokens(j->prompt + cut, j->n - cut, 2000 + fixture_random(rng) % 8);
    j->max_new = fixture_random(rng) % 90;
    j->sampling = greedy;
    if (fixture_random(rng) % 2)
        j->sampling = (struct fg_sampling){.temperature = 0.8f,
                                           .top_k = 40,
                                           .top_p = 0.9f,
                                           .min_p = 0.05f,
                                           .seed = fixture_random(rng)};
    j->cancel = fixture_random(rng) % 8 == 0;
}

static void start_mix_job(struct mix_job *j, struct fg_flow *flow, uint64_t *rng)
{
    struct fg_job_request req = fixture_request(j->prompt, j->n, (int32_t)j->max_new);

    req.sampling = j->sampling;
    if (fixture_random(rng) % 4 == 0)
        req.cache = FG_CACHE_READ;
    if (fixture_random(rng) % 5 == 0)
        req.cache = FG_CACHE_NONE;
    req.want_progress = fixture_random(rng) % 2;
    assert_int_equal(reply_start(&j->reply, flow, &req, NULL), 0);
    if (j->cancel)
        fg_job_cancel(j->reply.job);
}

static void run_mix(const struct fg_flow_options *opt, const struct fake_settings *s, uint64_t seed)
{
    struct mix_job *jobs = calloc(MIX, sizeof *jobs);
    uint64_t rng = seed << 32;
    struct fg_flow *flow;

    fake_engine_set(s);
    flow = fixture_flow(opt);
    for (int i = 0; i < MIX; i++) {
        make_mix_job(&jobs[i], &rng);
        start_mix_job(&jobs[i], flow, &rng);
        if (i % 40 == 39) {
            for (int k = i - 39; k <= i; k++)
                reply_wait(&jobs[k].reply);
            fg_flow_destroy(flow);
            flow = fixture_flow(opt);
        }
    }
    fg_flow_destroy(flow);
    for (int i = 0; i < MIX; i++) {
        struct mix_job *j = &jobs[i];

        /* A cancel may come too late. */
        if (j->cancel && j->reply.failed)
            assert_int_equal(j->reply.error.code, FG_ECANCELED);
        else
            check_reply(&j->reply, s, j->prompt, j->n, &j->sampling, j->max_new);
        reply_finish(&j->reply);
    }
    free(jobs);
}

static void test_mix(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++) {
        struct fg_flow_options opt = options(*state);
        struct fake_counts counts;

        run_mix(&opt, &fake_families[f], (uint64_t)f);
        fake_engine_counts(&counts);
        assert_true(counts.shared_steps > 0);
    }
}

/* A pool that holds hardly more than one job, and fewer slots for states than jobs. */
static void test_mix_tiny_pool(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++) {
        struct fg_flow_options opt = options(*state);

        opt.n_ctx = 1024;
        opt.n_pages = 17;
        opt.n_states = 2;
        run_mix(&opt, &fake_families[f], 10 + (uint64_t)f);
    }
}

static void test_mix_without_store(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++) {
        struct fg_flow_options opt = options(*state);

        opt.cache_dir = NULL;
        opt.n_batch = 64;
        run_mix(&opt, &fake_families[f], 20 + (uint64_t)f);
    }
}

/* A store so small that it evicts all the time. */
static void test_mix_small_store(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++) {
        struct fg_flow_options opt = options(*state);

        opt.cache_bytes = 1 << 20;
        opt.n_pages = 40;
        run_mix(&opt, &fake_families[f], 30 + (uint64_t)f);
    }
}

/* --- a lost device --- */

static void test_device_lost(void **state)
{
    struct fake_settings s = fake_families[1];
    struct fg_flow_options opt = options(*state);

    /* In the prompt, in the answer; other jobs go on as well. */
    for (uint64_t at = 1; at < 60; at += 7) {
        s.lose_at = at;
        run_mix(&opt, &s, 40 + at);
    }
    s.lose_at = 0;
    /* While blocks or states are read back. */
    for (uint64_t at = 1; at < 20; at += 6) {
        s.lose_capture_at = at;
        run_mix(&opt, &s, 140 + at);
    }
}

static void test_device_lost_twice(void **state)
{
    struct fake_settings s = fake_families[0];
    struct fg_flow_options opt = options(*state);
    struct fg_job_request req;
    struct fake_counts counts;
    struct fg_flow *flow;
    int32_t prompt[300];
    struct reply r;

    fixture_tokens(prompt, 300, 3);
    s.lose_at = 2;
    s.lose_again_at = 4;
    fake_engine_set(&s);
    flow = fixture_flow(&opt);
    req = fixture_request(prompt, 300, 10);
    assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
    reply_wait(&r);
    assert_true(r.failed);
    assert_int_equal(r.error.code, FG_EDEVICELOST);
    reply_finish(&r);
    run_one(flow, &s, prompt, 300, 10); /* the next one is served */
    fg_flow_destroy(flow);
    fake_engine_counts(&counts);
    assert_int_equal(counts.engines, 3);
}

static void test_device_gone(void **state)
{
    struct fake_settings s = fake_families[0];
    struct fg_flow_options opt = options(*state);
    struct fg_flow *flow;
    int32_t prompt[300];

    fixture_tokens(prompt, 300, 3);
    s.lose_at = 2;
    s.no_reopen = true;
    fake_engine_set(&s);
    flow = fixture_flow(&opt);
    for (int i = 0; i < 2; i++) {
        struct fg_job_request req = fixture_request(prompt, 300, 10);
        struct reply r;

        assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
        reply_wait(&r);
        assert_true(r.failed);
        assert_int_equal(r.error.code, FG_EDEVICE);
        reply_finish(&r);
    }
    fg_flow_destroy(flow);
}

static void test_nan(void **state)
{
    struct fake_settings s = fake_families[0];
    struct fg_flow_options opt = options(*state);
    struct fg_job_request req;
    struct fg_flow *flow;
    int32_t prompt[100];
    struct reply r;

    fixture_tokens(prompt, 100, 3);
    s.nan_at = 5;
    fake_engine_set(&s);
    flow = fixture_flow(&opt);
    req = fixture_request(prompt, 100, 10);
    req.ignore_eos = true;
    assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
    reply_wait(&r);
    assert_true(r.failed);
    assert_int_equal(r.error.code, FG_EDEVICE);
    assert_non_null(strstr(r.error.text, "NaN for token 17"));
    reply_finish(&r);
    fg_flow_destroy(flow);
}

/* --- a broken store --- */

/* Flips a bit in a part of the stored payloads: in one of `every`. */
static void damage(const char *dir, uint64_t seed, uint32_t every)
{
    uint64_t rng = seed << 32, marker = FAKE_MARKER;
    char path[600], *bytes;
    FILE *f;
    long n;

    snprintf(path, sizeof path, "%s/data.mdb", dir);
    f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    bytes = malloc((size_t)n);
    rewind(f);
    assert_int_equal(fread(bytes, 1, (size_t)n, f), n);
    for (long at = 0; at + 8 <= n; at++) {
        if (memcmp(bytes + at, &marker, 8) != 0 || fixture_random(&rng) % every)
            continue;
        fseek(f, at + fixture_random(&rng) % 8, SEEK_SET);
        fputc(0x55, f);
    }
    free(bytes);
    fclose(f);
}

static uint64_t dropped_records(struct fg_flow *flow)
{
    struct fg_cache_stats stats;
    const char *dir;

    assert_int_equal(fg_flow_cache_stats(flow, &stats, &dir), 0);
    return stats.dropped_corrupt;
}

/* A bad record is found when it is read, and some lie behind the first: each start replaces one at
 * least, until the store holds all again. */
static void heal(const struct fg_flow_options *opt, const struct fake_settings *s,
                 const int32_t *prompt, uint32_t n)
{
    struct fg_job_account a = {0};

    for (uint32_t left = n / 32; a.reused_tokens != (n - 1) / 64 * 64; left--) {
        struct fg_flow *flow = fixture_flow(opt);
        uint64_t dropped;

        a = run_one(flow, s, prompt, n, 5);
        dropped = dropped_records(flow);
        fg_flow_destroy(flow);
        assert_true(left > 0);
        assert_true(dropped > 0 || a.reused_tokens == (n - 1) / 64 * 64);
    }
    assert_int_equal(a.source, FG_SOURCE_STORE);
}

/* What is broken is computed again, kept again, and never served. */
static void test_damaged_store(void **state)
{
    const struct fixture_home *env = *state;
    struct fg_flow_options opt = options(env);
    int32_t prompt[1700];

    for (int f = 0; f < 2; f++) {
        uint32_t reused = 1664, dropped = 0;

        fixture_tokens(prompt, 1700, 8);
        fake_engine_set(&fake_families[f]);
        for (uint64_t round = 0; round < 6; round++) {
            struct fg_flow *flow = fixture_flow(&opt);
            struct fg_job_account a = run_one(flow, &fake_families[f], prompt, 1700, 5);

            if (round > 0 && a.reused_tokens < reused)
                reused = a.reused_tokens;
            a = run_one(flow, &fake_families[f], prompt, 1700, 5);
            assert_int_equal(a.reused_tokens, 1664);
            dropped += (uint32_t)dropped_records(flow);
            fg_flow_destroy(flow);
            heal(&opt, &fake_families[f], prompt, 1700);
            damage(env->cache, round, round % 2 ? 2 : 12);
        }
        assert_true(dropped > 0);
        assert_true(reused < 1664);
    }
}

/* The same with everything at once. */
static void test_mix_damaged_store(void **state)
{
    const struct fixture_home *env = *state;
    struct fg_flow_options opt = options(env);

    for (uint64_t round = 0; round < 2; round++) {
        for (int f = 0; f < FAKE_FAMILIES; f++) {
            run_mix(&opt, &fake_families[f], 60);
            damage(env->cache, round, 4);
            run_mix(&opt, &fake_families[f], 60);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_repeats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_conversations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_branches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mix_tiny_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mix_without_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mix_small_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_device_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_device_lost_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_device_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mix_damaged_store, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
