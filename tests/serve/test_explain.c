/* Why no more was reused: every reason, brought about; where prompts part; forecasts that hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "serve/flow_state.h"
#include "serve/job_state.h"

enum { CTX = 2048 };

struct env {
    struct fixture_home home;
    struct fg_flow *flow;
    int32_t a[CTX], b[CTX]; /* b parts from a where a test says */
};

static void open_flow(struct env *env, bool lightning, bool store, uint64_t cache_bytes)
{
    struct fake_settings s = {.softmax = true, .lightning = lightning, .n_ctx = CTX};
    struct fg_flow_options opt = {.model_path = env->home.model,
                                  .n_ctx = CTX,
                                  .n_seq = 2,
                                  .n_batch = 128,
                                  .n_pages = 40,
                                  .n_states = 3,
                                  .cache_dir = store ? env->home.cache : NULL,
                                  .cache_bytes = cache_bytes};

    fake_engine_set(&s);
    env->flow = fixture_flow(&opt);
}

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);
    uint64_t rng = 7;

    fixture_home_init(&env->home);
    for (int i = 0; i < CTX; i++)
        env->a[i] = env->b[i] = 'a' + (int32_t)(fixture_random(&rng) % 26);
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

static struct fg_job_account ask(struct env *env, const int32_t *prompt, size_t n, bool forecast)
{
    struct fg_job_request req = fixture_request(prompt, n, 2);
    struct reply r;

    req.ignore_eos = true;
    req.mode = forecast ? FG_MODE_FORECAST : FG_MODE_ANSWER;
    assert_int_equal(reply_start(&r, env->flow, &req, NULL), 0);
    reply_wait(&r);
    if (r.failed)
        fail_msg("failed: %s", r.error.text);
    assert_int_equal(r.account.completion_tokens, forecast ? 0 : 2);
    assert_int_equal(r.account.prompt_tokens, n);
    reply_finish(&r);
    return r.account;
}

static void same_why(const struct fg_cache_why *a, const struct fg_cache_why *b)
{
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->diverged_at, b->diverged_at);
    assert_int_equal(a->before_bytes, b->before_bytes);
    assert_memory_equal(a->prompt, b->prompt, sizeof a->prompt);
    assert_memory_equal(a->stored, b->stored, sizeof a->stored);
}

/* Forecasts twice, so that a forecast that changes something shows, then asks: all must agree. */
static void check(struct env *env, const int32_t *prompt, size_t n, enum fg_cache_reason reason,
                  uint32_t reused, int64_t diverged_at)
{
    struct fg_job_account first = ask(env, prompt, n, true), second = ask(env, prompt, n, true);
    struct fg_job_account real = ask(env, prompt, n, false);

    same_why(&first.why, &second.why);
    same_why(&first.why, &real.why);
    assert_string_equal(fg_reason_name(real.why.reason), fg_reason_name(reason));
    assert_int_equal(real.why.diverged_at, diverged_at);
    assert_int_equal(real.reused_tokens, reused);
    assert_int_equal(first.reused_tokens, reused);
    assert_int_equal(first.recomputed_tokens, n - reused);
    assert_int_equal(first.source, real.source);
}

/* The texts at token `at`: a dozen letters, one a token here. */
static void check_texts(const struct env *env, const struct fg_cache_why *why, uint32_t at,
                        uint32_t after)
{
    assert_int_equal(why->before_bytes, 12);
    assert_int_equal(why->prompt_bytes, 12);
    assert_int_equal(why->stored_bytes, after);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(why->before[i], env->a[at - 12 + i]);
        assert_int_equal(why->prompt[i], env->b[at + i]);
    }
    for (uint32_t i = 0; i < after; i++)
        assert_int_equal(why->stored[i], env->a[at + i]);
}

static void walk_dense(struct env *env)
{
    struct fg_job_account got;
    int32_t other[200];

    check(env, env->a, 300, FG_REASON_NEW_PREFIX, 0, -1);
    check(env, env->a, 300, FG_REASON_COMPLETE, 256, -1);
    check(env, env->a, 1000, FG_REASON_EXTENDED, 256, -1);
    for (int i = 200; i < CTX; i++)
        env->b[i] = env->a[i] == 'z' ? 'a' : env->a[i] + 1;
    got = ask(env, env->b, 500, true);
    check_texts(env, &got.why, 200, 12);
    check(env, env->b, 500, FG_REASON_DIVERGED, 192, 200);
    check(env, env->a, 64, FG_REASON_TOO_SHORT, 0, -1);
    /* The first tokens are the same, the first block is not. */
    memcpy(other, env->a, sizeof other);
    other[3] = '!';
    check(env, other, 200, FG_REASON_DIVERGED, 0, 3);
    other[0] = '!';
    check(env, other, 200, FG_REASON_NEW_PREFIX, 0, -1);
}

static void test_with_store(void **state)
{
    struct env *env = *state;

    open_flow(env, false, true, 64 << 20);
    walk_dense(env);
}

static void test_without_store(void **state)
{
    struct env *env = *state;

    open_flow(env, false, false, 0);
    walk_dense(env);
}

static void test_disabled(void **state)
{
    struct env *env = *state;
    struct fg_job_request req = fixture_request(env->a, 200, 1);
    struct reply r;

    open_flow(env, false, true, 64 << 20);
    req.cache = FG_CACHE_NONE;
    assert_int_equal(reply_start(&r, env->flow, &req, NULL), 0);
    reply_wait(&r);
    assert_int_equal(r.account.why.reason, FG_REASON_DISABLED);
    assert_int_equal(r.account.why.diverged_at, -1);
    reply_finish(&r);
}

/* A branch from where no state is: the blocks are there and cannot be used. The second branch from
 * there finds the state that the first one left. */
static void test_state_missing(void **state)
{
    struct env *env = *state;

    open_flow(env, true, true, 64 << 20);
    check(env, env->a, 1500, FG_REASON_NEW_PREFIX, 0, -1);
    for (int i = 450; i < CTX; i++)
        env->b[i] = '!';
    check(env, env->b, 1000, FG_REASON_STATE_MISSING, 0, 450);
    for (int i = 450; i < CTX; i++)
        env->b[i] = '?';
    check(env, env->b, 1000, FG_REASON_DIVERGED, 448, 450);
}

/* The store takes few prompts, the device fewer. Enough of them for the first to be worth least,
 * however long its tokens seem to have taken. */
static void test_evicted(void **state)
{
    struct env *env = *state;
    uint64_t rng = 99;
    int32_t other[1800];

    open_flow(env, false, true, 1 << 20);
    check(env, env->a, 1500, FG_REASON_NEW_PREFIX, 0, -1);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 1800; i++)
            other[i] = 'A' + (int32_t)(fixture_random(&rng) % 26);
        ask(env, other, 1800, false);
        fg_cache_flush(env->flow->cache);
    }
    assert_int_equal(ask(env, env->a, 1500, true).why.reason, FG_REASON_EVICTED);
}

/* What is stored under other roots of the same tenant: by another model, with another KV type. */
static void test_changed(void **state)
{
    struct env *env = *state;
    struct fg_tenant tenant = {{0}};
    struct fg_cache_root root;
    int32_t other[300];

    open_flow(env, false, true, 64 << 20);
    root = fg_flow_describe_root(env->flow, &tenant);
    for (int what = 0; what < 3; what++) {
        struct fg_cache_root elsewhere = root;
        struct fg_cache_put put;
        uint8_t bytes[100] = {0};
        struct fg_key key;

        memcpy(other, env->a, sizeof other);
        other[10] = what; /* another prompt each time */
        *(what == 0 ? elsewhere.model : what == 1 ? elsewhere.numerics : elsewhere.tenant) ^= 1;
        elsewhere.key = fg_key_root(elsewhere.model, elsewhere.numerics, elsewhere.tenant,
                                    what == 2 ? sizeof elsewhere.tenant : 0);
        fg_cache_note_root(env->flow->cache, &elsewhere);
        key = fg_key_next(&elsewhere.key, other);
        put = (struct fg_cache_put){
            .key = &key, .parent = &elsewhere.key, .tokens = other, .blob = fg_blob_create(100)};
        fg_blob_write(put.blob, 0, bytes, sizeof bytes);
        assert_int_equal(fg_cache_put(env->flow->cache, &put), 0);
        fg_blob_unref(put.blob);
        fg_cache_flush(env->flow->cache);
        assert_string_equal(fg_reason_name(ask(env, other, 300, true).why.reason),
                            what == 0   ? "model_changed"
                            : what == 1 ? "device_changed"
                                        : "new_prefix"); /* another tenant's is nobody's business */
    }
}

static void test_rate(void **state)
{
    struct fg_rate r = {0};
    (void)state;

    assert_true(fg_rate_seconds(&r, 0, 1000) == 0);
    fg_rate_add(&r, 128, fg_rate_positions(0, 128), 0.5);
    assert_true(fg_rate_seconds(&r, 1000, 1128) > 0);
    /* 2 ms a token and 1 us a position, exactly: found again, also where nothing was measured. */
    for (uint32_t at = 0; at < 64 * 400; at += 64)
        fg_rate_add(&r, 64, fg_rate_positions(at, at + 64),
                    64 * 2e-3 + fg_rate_positions(at, at + 64) * 1e-6);
    for (uint32_t to = 100; to < 200000; to *= 3) {
        double want = to * 2e-3 + fg_rate_positions(0, to) * 1e-6;

        assert_true(fg_rate_seconds(&r, 0, to) > 0.99 * want);
        assert_true(fg_rate_seconds(&r, 0, to) < 1.01 * want);
    }
    /* Never negative, whatever the noise. */
    fg_rate_add(&r, 64, 1e9, 1e-9);
    fg_rate_add(&r, 1e6, 1, 1e-9);
    assert_true(fg_rate_seconds(&r, 0, 100) >= 0);
    assert_true(fg_rate_seconds(&r, 100000, 200000) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_with_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disabled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evicted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
        cmocka_unit_test(test_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
