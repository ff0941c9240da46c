/* Requests that are not to be stored: they find what is there and leave nothing, in VRAM or on the
 * disk, whatever happens to them on the way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "serve/flow_state.h"
#include "serve/job_state.h"
#include "serve/operation_parts.h"

enum { PROMPT = 300, WHOLE = 256, ANSWER = 150, WINDOW = 4 };

struct env {
    struct fixture_home home;
    char cache[512];
    struct fg_flow_options opt;
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model,
                                        .n_ctx = 1024,
                                        .n_seq = 3,
                                        .cache_dir = env->cache,
                                        .cache_bytes = 16 << 20};
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

/* A flow with a store of its own for each family. */
static struct fg_flow *open_flow(struct env *env, int family)
{
    snprintf(env->cache, sizeof env->cache, "%s/cache%d", env->home.dir, family);
    return fixture_flow(&env->opt);
}

static void start(struct reply *r, struct fg_flow *flow, const int32_t *prompt, bool store)
{
    struct fg_job_request req = fixture_request(prompt, PROMPT, ANSWER);

    req.ignore_eos = true;
    req.cache = store ? FG_CACHE_READ_WRITE : FG_CACHE_READ;
    assert_int_equal(reply_start(r, flow, &req, NULL), 0);
}

/* The reply is the caller's to finish. */
static struct reply ask(struct fg_flow *flow, const int32_t *prompt, bool store,
                        enum fg_cache_source source, uint32_t reused)
{
    struct reply r;

    start(&r, flow, prompt, store);
    reply_wait(&r);
    if (r.failed)
        fail_msg("failed: %s", r.error.text);
    assert_int_equal(r.account.source, source);
    assert_int_equal(r.account.reused_tokens, reused);
    assert_int_equal(r.n_tokens, ANSWER);
    return r;
}

static void check(struct fg_flow *flow, const int32_t *prompt, bool store,
                  enum fg_cache_source source, const struct reply *first)
{
    struct reply r = ask(flow, prompt, store, source, source == FG_SOURCE_NONE ? 0 : WHOLE);

    assert_memory_equal(r.tokens, first->tokens, ANSWER * sizeof *r.tokens);
    assert_memory_equal(r.logprobs, first->logprobs, ANSWER * sizeof *r.logprobs);
    reply_finish(&r);
}

static struct fg_cache_stats stats_of(struct fg_flow *flow)
{
    struct fg_cache_stats s;

    assert_int_equal(fg_flow_cache_stats(flow, &s, NULL), 0);
    return s;
}

/* Does any run of WINDOW tokens lie in the store's file? */
static bool on_disk(const struct env *env, const int32_t *tokens, uint32_t n)
{
    char path[600], *bytes;
    bool found = false;
    long size;
    FILE *f;

    snprintf(path, sizeof path, "%s/data.mdb", env->cache);
    f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    bytes = malloc((size_t)size);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
    fclose(f);
    for (uint32_t i = 0; i + WINDOW <= n && !found; i++)
        found = memmem(bytes, (size_t)size, tokens + i, WINDOW * sizeof *tokens) != NULL;
    free(bytes);
    return found;
}

/* A request without a trace, beside one with. */
static void check_family(struct env *env, int family)
{
    int32_t kept[PROMPT], secret[PROMPT];
    struct reply first, known;
    struct fg_cache_stats before, after;
    struct fg_flow *flow;

    fixture_tokens(kept, PROMPT, 1);
    fixture_tokens(secret, PROMPT, 2);
    fake_engine_set(&fake_families[family]);
    flow = open_flow(env, family);
    known = ask(flow, kept, true, FG_SOURCE_NONE, 0);
    fg_flow_destroy(flow);
    flow = open_flow(env, family);
    before = stats_of(flow);
    assert_true(before.blocks > 0);
    first = ask(flow, secret, false, FG_SOURCE_NONE, 0);
    check(flow, secret, false, FG_SOURCE_NONE, &first); /* not in VRAM either */
    /* What others left is read, and not brought into VRAM: that would outlive the request. */
    check(flow, kept, false, FG_SOURCE_STORE, &known);
    check(flow, kept, false, FG_SOURCE_STORE, &known);
    fg_flow_destroy(flow);
    assert_true(on_disk(env, kept, PROMPT) && on_disk(env, known.tokens, ANSWER));
    assert_false(on_disk(env, secret, PROMPT) || on_disk(env, first.tokens, ANSWER));
    flow = open_flow(env, family);
    after = stats_of(flow);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.states, before.states);
    assert_int_equal(after.block_bytes, before.block_bytes);
    /* The same to be kept is cold, and then there for both. */
    check(flow, secret, true, FG_SOURCE_NONE, &first);
    check(flow, secret, false, FG_SOURCE_VRAM, &first);
    fg_flow_destroy(flow);
    assert_true(on_disk(env, secret, PROMPT));
    reply_finish(&first);
    reply_finish(&known);
}

static void test_no_trace(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++)
        check_family(*state, f);
}

/* What continues a stored prefix is not stored with it. */
static void test_continuation(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < FAKE_FAMILIES; f++) {
        int32_t prompt[PROMPT];
        struct fg_cache_stats before, after;
        struct fg_job_request req;
        struct fg_flow *flow;
        struct reply r;

        fixture_tokens(prompt, PROMPT, 3);
        fake_engine_set(&fake_families[f]);
        flow = open_flow(env, f);
        req = fixture_request(prompt, 129, 1);
        assert_int_equal(reply_start(&r, flow, &req, NULL), 0);
        reply_wait(&r);
        reply_finish(&r);
        fg_flow_destroy(flow);
        flow = open_flow(env, f);
        before = stats_of(flow);
        r = ask(flow, prompt, false, FG_SOURCE_STORE, 128);
        reply_finish(&r);
        fg_flow_destroy(flow);
        assert_false(on_disk(env, prompt + 128, PROMPT - 128));
        flow = open_flow(env, f);
        after = stats_of(flow);
        assert_int_equal(after.blocks, before.blocks);
        assert_int_equal(after.states, before.states);
        r = ask(flow, prompt, true, FG_SOURCE_STORE, 128);
        reply_finish(&r);
        fg_flow_destroy(flow);
    }
}

enum { JOBS = 3 };

/* No step before all jobs are there. */
struct gate {
    sem_t open; /* once they are submitted */
    struct fg_flow *flow;
    bool passed;
};

/* Jobs that the text thread has handed on; on the GPU thread, whose lists these are. */
static void count_arrived(struct fg_flow *flow, void *count)
{
    uint32_t n = flow->sched.n_active;

    for (const struct fg_job *job = flow->sched.waiting; job; job = job->next)
        n++;
    pthread_mutex_lock(&flow->gpu_queue.lock);
    for (const struct fg_link *job = flow->gpu_queue.first; job; job = job->next)
        n++;
    pthread_mutex_unlock(&flow->gpu_queue.lock);
    *(uint32_t *)count = n;
}

static uint32_t arrived(struct fg_flow *flow)
{
    uint32_t n;

    fg_operation_on_gpu(flow, count_arrived, &n);
    return n;
}

static void wait_at_gate(void *ctx, uint64_t step)
{
    struct gate *gate = ctx;

    (void)step;
    if (gate->passed)
        return;
    sem_wait(&gate->open);
    while (arrived(gate->flow) < JOBS)
        sched_yield();
    gate->passed = true;
}

/* Jobs that lose their pages or their device begin again, from nothing, and still leave nothing. */
static void begin_again(struct env *env, int family, struct fake_settings settings)
{
    int32_t prompts[JOBS][PROMPT];
    struct reply r[JOBS];
    struct fake_counts counts;
    struct fg_flow *flow;
    struct gate gate = {.passed = false};

    assert_int_equal(sem_init(&gate.open, 0, 0), 0);
    settings.on_step = wait_at_gate;
    settings.on_step_ctx = &gate;
    fake_engine_set(&settings);
    flow = open_flow(env, family);
    for (int i = 0; i < JOBS; i++) {
        fixture_tokens(prompts[i], PROMPT, 10 + (uint64_t)i);
        start(&r[i], flow, prompts[i], false);
    }
    gate.flow = flow;
    sem_post(&gate.open);
    for (int i = 0; i < JOBS; i++) {
        reply_wait(&r[i]);
        if (r[i].failed)
            fail_msg("failed: %s", r[i].error.text);
    }
    fake_engine_counts(&counts);
    assert_true(counts.tokens > JOBS * (PROMPT + ANSWER)); /* some of it was computed twice */
    assert_int_equal(counts.page_reads + counts.state_reads, 0);
    for (int i = 0; i < JOBS; i++)
        check(flow, prompts[i], false, FG_SOURCE_NONE, &r[i]);
    fg_flow_destroy(flow);
    for (int i = 0; i < JOBS; i++) {
        assert_false(on_disk(env, prompts[i], PROMPT) || on_disk(env, r[i].tokens, ANSWER));
        reply_finish(&r[i]);
    }
    flow = open_flow(env, family);
    assert_int_equal(stats_of(flow).blocks + stats_of(flow).states, 0);
    fg_flow_destroy(flow);
    sem_destroy(&gate.open);
}

static void test_preempted(void **state)
{
    struct env *env = *state;

    env->opt.n_pages = 16; /* two jobs whole, three prompts */
    for (int f = 0; f < 2; f++)
        begin_again(env, f, fake_families[f]);
}

static void test_replayed(void **state)
{
    for (int f = 0; f < FAKE_FAMILIES; f++) {
        struct fake_settings s = fake_families[f];

        s.lose_at = 30;
        begin_again(*state, f, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_continuation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_preempted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replayed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
