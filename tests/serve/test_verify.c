/* Verification and forgetting while other jobs run: nobody waits for a comparison, and what was
 * dropped does not come back by way of those who had begun before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ticket.h"
#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"
#include "told.h"
#include "serve/operation_parts.h"
#include "serve/flow_state.h"
#include "serve/job_state.h"

enum { N = 660, BLOCKS = N / 64, COMMON = 5, ANSWER = 3, LONG = 250, MOST_HELD = 8 };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct fg_flow *flow;
    struct fake_settings settings;
    struct reader_hold reader;
    sem_t stands;             /* the reader, or a transfer, is held */
    _Atomic bool stop_reader; /* at the next step */
    _Atomic int to_pass;      /* transfers before the next ones, which are as always */
    _Atomic int to_hold;      /* transfers that do not end */
    struct fg_ticket *held[MOST_HELD];
    _Atomic int n_held;
    sem_t reached, begun, known, ended; /* the steps of test_forget_amid() */
    _Atomic bool forgotten;
    struct told told;
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model,
                                        .n_ctx = 1024,
                                        .n_seq = 4,
                                        .cache_dir = env->home.cache,
                                        .cache_bytes = 64 << 20};
    sem_init(&env->stands, 0, 0);
    sem_init(&env->reached, 0, 0);
    sem_init(&env->begun, 0, 0);
    sem_init(&env->known, 0, 0);
    sem_init(&env->ended, 0, 0);
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
    fake_engine_set(&env->settings);
    env->flow = fixture_flow(&env->opt);
}

static void close_flow(struct env *env)
{
    fg_flow_destroy(env->flow);
    env->flow = NULL;
}

/* --- jobs and operations --- */

static struct fg_job_request ask(uint64_t who, int32_t answer, enum fg_cache_use cache)
{
    struct fg_job_request req = fixture_seeded_request(who, N, answer);

    req.cache = cache;
    return req;
}

/* The first one's up to block COMMON, and others behind it. */
static struct fg_job_request ask_branch(uint64_t branch, enum fg_cache_use cache)
{
    struct fg_job_request req = ask(1, ANSWER, cache), other = ask(100 + branch, 0, cache);

    memcpy(req.tokens + COMMON * 64, other.tokens + COMMON * 64,
           (N - COMMON * 64) * sizeof *req.tokens);
    fg_job_request_finish(&other);
    return req;
}

static void start(struct env *env, struct reply *r, struct fg_job_request req)
{
    assert_int_equal(reply_start(r, env->flow, &req, NULL), 0);
}

static struct reply run(struct env *env, struct fg_job_request req)
{
    struct reply r;

    start(env, &r, req);
    reply_wait(&r);
    assert_false(r.failed);
    return r;
}

static void store(struct env *env, uint64_t who)
{
    struct reply r = run(env, ask(who, ANSWER, FG_CACHE_READ_WRITE));

    reply_finish(&r);
}

static void begin(struct env *env, enum fg_operation_kind kind)
{
    told_begin(&env->told, env->flow, (struct fg_operation_request){.kind = kind, .limit = 100});
}

/* Verifies the one prefix that ends with the prompt. */
static void verify_one(struct env *env, uint64_t who)
{
    struct fg_operation_request req = {.kind = FG_OPERATION_FIND,
                                       .prompt = ask(who, 0, FG_CACHE_NONE)};

    told_begin(&env->told, env->flow, req);
    told_wait(&env->told);
    assert_int_equal(env->told.error.code, 0);
    assert_int_equal(env->told.result.tokens, BLOCKS * 64);
    req = (struct fg_operation_request){.kind = FG_OPERATION_VERIFY, .limit = 1};
    req.id = fixture_copy(env->told.result.id);
    told_begin(&env->told, env->flow, req);
    told_wait(&env->told);
    assert_int_equal(env->told.error.code, 0);
}

static struct fg_cache_stats stats_of(struct env *env)
{
    struct fg_cache_stats s;

    fg_cache_flush(env->flow->cache);
    assert_int_equal(fg_flow_cache_stats(env->flow, &s, NULL), 0);
    return s;
}

/* --- nobody waits --- */

/* The verification has found what to compute; now nothing is read any more. */
static void stop_reader(void *ctx, uint64_t step)
{
    struct env *env = ctx;

    (void)step;
    if (!env->stop_reader)
        return;
    env->stop_reader = false;
    reader_hold(&env->reader, env->flow->cache, &env->stands);
}

static bool hold(void *ctx, struct fg_ticket *ticket)
{
    struct env *env = ctx;

    if (env->to_pass > 0) {
        env->to_pass--;
        return false;
    }
    if (env->to_hold == 0)
        return false;
    env->to_hold--;
    env->held[env->n_held++] = ticket;
    sem_post(&env->stands);
    return true;
}

static void release(struct env *env)
{
    while (env->n_held)
        fg_ticket_end(env->held[--env->n_held], 0, NULL);
}

/* The reader stands still, or the device does not give what was computed: meanwhile a job that
 * needs neither is answered, and the one that is verified rests. */
static void others_go_on(struct env *env, bool device)
{
    struct fake_counts before, counts;
    struct fg_cache_stats s;
    struct reply fast;

    store(env, 1);
    s = stats_of(env);
    fake_engine_counts(&before);
    env->to_hold = device;
    env->stop_reader = !device;
    begin(env, FG_OPERATION_VERIFY);
    sem_wait(&env->stands);
    fast = run(env, ask(2, ANSWER, FG_CACHE_NONE));
    reply_finish(&fast);
    fake_engine_counts(&counts);
    /* Without pages what is read first is a state. */
    if (device && !env->settings.softmax)
        assert_in_range(counts.tokens - before.tokens, 128 + N, 640 + N + ANSWER);
    else
        assert_int_equal(counts.tokens - before.tokens, 64 + N + ANSWER - 1);
    assert_false(told_ended(&env->told));
    if (device)
        release(env);
    else
        reader_let_go(&env->reader);
    told_wait(&env->told);
    assert_int_equal(env->told.error.code, 0);
    assert_int_equal(env->told.result.verified, s.blocks + s.states);
    assert_int_equal(env->told.result.wrong + env->told.result.unreadable + env->told.result.gone,
                     0);
}

static void test_others_go_on(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 3; f++) {
        env->settings = fake_families[f];
        env->settings.on_step = stop_reader;
        env->settings.on_step_ctx = env;
        env->settings.on_transfer = hold;
        env->settings.on_transfer_ctx = env;
        for (int device = 0; device < 2; device++) {
            open_flow(env);
            others_go_on(env, device);
            close_flow(env);
        }
        fixture_home_clear(&env->home);
    }
}

/* Canceled amid a comparison: its end does not wait for the disk; nor does the flow's, but for what
 * is under way. */
static void test_canceled(void **state)
{
    struct env *env = *state;

    env->settings = fake_families[1];
    env->settings.on_step = stop_reader;
    env->settings.on_step_ctx = env;
    env->opt.n_batch = 1024; /* several blocks at once */
    open_flow(env);
    store(env, 1);
    stats_of(env);
    env->stop_reader = true;
    begin(env, FG_OPERATION_VERIFY);
    sem_wait(&env->stands);
    fg_operation_cancel(env->told.operation);
    told_wait(&env->told);
    assert_int_equal(env->told.error.code, FG_ECANCELED);
    reader_let_go(&env->reader);
    begin(env, FG_OPERATION_VERIFY);
    told_wait(&env->told);
    assert_int_equal(env->told.error.code, 0);
    assert_true(env->told.result.verified > BLOCKS);
    close_flow(env);
}

/* The device is lost amid a comparison: nothing is compared twice, and nothing is left out. */
static void test_device_lost(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 3; f++) {
        struct fg_cache_stats s;

        env->settings = fake_families[f];
        open_flow(env);
        store(env, 1);
        s = stats_of(env);
        close_flow(env);
        env->settings.lose_capture_at = env->settings.softmax ? 1 : 0;
        env->settings.lose_at = env->settings.softmax ? 0 : 2;
        env->opt.n_batch = f ? 1024 : 64;
        open_flow(env);
        begin(env, FG_OPERATION_VERIFY);
        told_wait(&env->told);
        assert_int_equal(env->told.error.code, 0);
        assert_int_equal(env->told.result.verified, s.blocks + s.states);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

/* --- what was dropped stays away --- */

/* A job that is bringing in records when a verification finds them wrong begins again. */
static void test_restore_amid(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 2; f++) {
        struct reply first, r;

        env->settings = fake_families[f];
        env->settings.fault = 1;
        open_flow(env);
        store(env, 1);
        close_flow(env);
        env->settings.fault = 0;
        env->settings.on_transfer = hold;
        env->settings.on_transfer_ctx = env;
        open_flow(env);
        first = run(env, ask(1, ANSWER, FG_CACHE_NONE));
        env->to_hold = 1;
        start(env, &r, ask(1, ANSWER, FG_CACHE_READ_WRITE));
        sem_wait(&env->stands); /* a page is on its way to the device */
        begin(env, FG_OPERATION_VERIFY);
        told_wait(&env->told);
        assert_true(env->told.result.wrong > 0);
        release(env);
        reply_wait(&r);
        assert_false(r.failed);
        assert_int_equal(r.account.reused_tokens, 0);
        assert_memory_equal(r.tokens, first.tokens, ANSWER * sizeof *r.tokens);
        assert_memory_equal(r.logprobs, first.logprobs, ANSWER * sizeof *r.logprobs);
        reply_finish(&r);
        /* What it has stored is right; the next one fills the gaps where it met wrong records. */
        stats_of(env);
        begin(env, FG_OPERATION_VERIFY);
        told_wait(&env->told);
        assert_int_equal(env->told.result.wrong, 0);
        r = run(env, ask(1, ANSWER, FG_CACHE_READ_WRITE));
        assert_memory_equal(r.logprobs, first.logprobs, ANSWER * sizeof *r.logprobs);
        reply_finish(&r);
        stats_of(env);
        begin(env, FG_OPERATION_VERIFY);
        told_wait(&env->told);
        assert_int_equal(env->told.result.wrong, 0);
        assert_true(env->told.result.verified >= BLOCKS);
        reply_finish(&first);
        close_flow(env);
        fixture_home_clear(&env->home);
    }
}

static void check_answer(struct reply *r, const struct reply *want)
{
    assert_false(r->failed);
    assert_int_equal(r->n_tokens, ANSWER);
    assert_memory_equal(r->tokens, want->tokens, ANSWER * sizeof *r->tokens);
    assert_memory_equal(r->logprobs, want->logprobs, ANSWER * sizeof *r->logprobs);
}

/* One prefix is verified, and wrong: a branch that was computed on top of it goes as well, from all
 * tiers, and does not come back by way of a job that brings it in meanwhile. */
static void test_branch_of_a_wrong_one(void **state)
{
    struct env *env = *state;

    env->opt.ram_bytes = 32 << 20;
    for (int f = 0; f < 3; f++) {
        struct fg_host_tier_stats host;
        struct fg_cache_stats s;
        struct reply want, r;

        env->settings = fake_families[f];
        env->settings.fault = 1;
        open_flow(env);
        store(env, 1);
        r = run(env, ask_branch(2, FG_CACHE_READ_WRITE)); /* leaves a state where they part */
        reply_finish(&r);
        close_flow(env);
        env->settings.fault = 0;
        env->settings.on_transfer = hold;
        env->settings.on_transfer_ctx = env;
        open_flow(env);
        want = run(env, ask_branch(1, FG_CACHE_NONE));
        r = run(env, ask_branch(1, FG_CACHE_READ_WRITE));
        assert_int_equal(r.account.reused_tokens, COMMON * 64);
        assert_memory_not_equal(r.logprobs, want.logprobs, ANSWER * sizeof *r.logprobs);
        reply_finish(&r);
        assert_true(stats_of(env).blocks > BLOCKS);
        close_flow(env);
        open_flow(env);
        env->to_hold = 1;
        start(env, &r, ask_branch(1, FG_CACHE_READ));
        sem_wait(&env->stands);
        verify_one(env, 1);
        assert_true(env->told.result.wrong >= 3);
        release(env);
        reply_wait(&r);
        check_answer(&r, &want);
        reply_finish(&r);
        s = stats_of(env);
        /* Without pages a block has nothing to be wrong: the first is a state's. */
        assert_int_equal(s.blocks, env->settings.softmax ? 0 : COMMON);
        assert_int_equal(s.states, 0);
        fg_host_tier_stats(env->flow->host, &host);
        assert_true(host.records <= s.blocks);
        store(env, 1);
        for (int again = 0; again < 2; again++) {
            r = run(env, ask_branch(1, FG_CACHE_READ_WRITE));
            check_answer(&r, &want);
            reply_finish(&r);
        }
        begin(env, FG_OPERATION_VERIFY);
        told_wait(&env->told);
        assert_int_equal(env->told.result.wrong, 0);
        close_flow(env);
        reply_finish(&want);
        fixture_home_clear(&env->home);
    }
}

static void find_doubted(struct fg_flow *flow, void *v)
{
    *(struct fg_verify **)v = flow->sched.doubted;
}

/* A kill while the rest of a prefix is compared leaves nothing on top of what is gone: it would be
 * found again with the next record of that key. */
static void test_wrong_one_goes_last(void **state)
{
    struct env *env = *state;
    struct fg_verify *v = NULL;
    bool held = true;

    env->settings = fake_families[0];
    env->settings.fault = 1;
    open_flow(env);
    store(env, 1);
    close_flow(env);
    env->settings.fault = 0;
    env->settings.on_transfer = hold;
    env->settings.on_transfer_ctx = env;
    open_flow(env);
    env->to_pass = BLOCKS - 1;
    env->to_hold = 1;
    begin(env, FG_OPERATION_VERIFY);
    sem_wait(&env->stands); /* the last block is not compared */
    while (!v)
        fg_operation_on_gpu(env->flow, find_doubted, &v);
    fg_cache_flush(env->flow->cache);
    for (int i = 0; i < BLOCKS; i++) {
        bool has = fg_cache_has_block(env->flow->cache, &v->path->keys[i]);

        assert_true(held || !has);
        held = has;
    }
    release(env);
    told_wait(&env->told);
    assert_true(env->told.result.wrong > 0);
    assert_int_equal(stats_of(env).blocks, 0);
    close_flow(env);
}

/* Jobs that have come so far. */
static size_t jobs_in(struct fg_flow *flow, enum fg_job_phase phase)
{
    struct fg_job_status jobs[8];
    size_t all = fg_flow_jobs(flow, NULL, jobs, 8), n = 0;

    for (size_t i = 0; i < all; i++)
        n += jobs[i].phase >= phase;
    return n;
}

/* Steps: the first job is amid its answer; the second one comes beside it and has ended before the
 * second of these. At the last one the first job has still a lot to compute, and the third one has
 * ended, however long the store's reader takes to say what it differs from. */
enum { AMID = 20, BEHIND = AMID + 10, LAST = 200 };

/* On the device's thread, in a step. All is forgotten in the first step that computes both jobs. */
static void pace(void *ctx, uint64_t step)
{
    struct env *env = ctx;

    if (step == AMID) {
        sem_post(&env->reached);
        while (jobs_in(env->flow, FG_PHASE_RESTORE) < 2)
            sched_yield();
    }
    if (step > AMID && !env->forgotten && jobs_in(env->flow, FG_PHASE_PREFILL) == 2) {
        sem_post(&env->reached);
        sem_wait(&env->begun);
    }
    if (step == BEHIND) {
        sem_wait(&env->known);
        while (jobs_in(env->flow, FG_PHASE_RESTORE) < 2)
            sched_yield();
    }
    if (step == LAST)
        sem_wait(&env->ended);
}

/* Is what the job says kept? */
static bool spoke(struct env *env, const struct reply *r, const char *id)
{
    struct fg_str text = {.p = NULL};
    struct fg_documents *calls = &env->flow->documents[FG_DOCUMENT_CALL];
    const struct fg_document_job by = {.tenant = r->job->req.tenant, .id = r->job->id};
    const struct fg_str its = {id, strlen(id)};

    fg_documents_keep(calls, &by, id, its);
    fg_documents_find(calls, &by.tenant, its, &text);
    free((char *)text.p);
    return text.p != NULL;
}

/* Two jobs are amid their answers, or at its beginning, when all is forgotten. What they go on to
 * compute is not stored behind it, though somebody stores the same prompt anew. */
static void test_forget_amid(void **state)
{
    struct env *env = *state;

    for (int f = 0; f < 2; f++) {
        struct reply old, late, anew;
        struct fg_cache_stats s;

        env->settings = fake_families[f];
        env->settings.on_step = pace;
        env->settings.on_step_ctx = env;
        env->forgotten = false;
        open_flow(env);
        start(env, &old, ask(1, LONG, FG_CACHE_READ_WRITE));
        sem_wait(&env->reached);
        start(env, &late, ask(1, ANSWER, FG_CACHE_READ_WRITE));
        sem_wait(&env->reached);
        assert_true(spoke(env, &old, "call_old"));
        begin(env, FG_OPERATION_FORGET);
        told_wait(&env->told);
        assert_int_equal(env->told.error.code, 0);
        assert_false(spoke(env, &old, "call_old"));
        env->forgotten = true;
        sem_post(&env->begun);
        reply_wait(&late);
        assert_int_equal(late.account.reused_tokens, BLOCKS * 64);
        s = stats_of(env);
        assert_int_equal(s.blocks + s.states, 0);
        start(env, &anew, ask(1, ANSWER, FG_CACHE_READ_WRITE));
        assert_true(spoke(env, &anew, "call_anew"));
        sem_post(&env->known);
        reply_wait(&anew);
        sem_post(&env->ended);
        reply_wait(&old);
        assert_false(old.failed || late.failed || anew.failed);
        assert_true(anew.order < old.order);
        assert_int_equal(anew.account.reused_tokens, 0);
        assert_memory_equal(late.tokens, old.tokens, ANSWER * sizeof *old.tokens);
        assert_memory_equal(anew.tokens, old.tokens, ANSWER * sizeof *old.tokens);
        s = stats_of(env);
        assert_int_equal(s.blocks, BLOCKS); /* the last one's, none of the long answer's */
        assert_int_equal(s.dropped_orphan, 0);
        close_flow(env);
        reply_finish(&old);
        reply_finish(&late);
        reply_finish(&anew);
        fixture_home_clear(&env->home);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_others_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_canceled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_device_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restore_amid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_branch_of_a_wrong_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_one_goes_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forget_amid, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
