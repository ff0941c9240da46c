/* The runner waits for nobody: while the store's reader stands still, jobs that need nothing of it
 * go on, and those that do wait on their own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"
#include "serve/flow_state.h"
#include "serve/job_state.h"

enum { N = 660, ANSWER = 3, PATIENCE_S = 60 };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct fg_flow *flow;
    struct reader_hold hold;
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

static void open_flow(struct env *env, bool softmax, bool lightning)
{
    struct fake_settings s = {.softmax = softmax, .lightning = lightning};

    fake_engine_set(&s);
    env->flow = fixture_flow(&env->opt);
}

static struct fg_job_request ask(uint64_t who)
{
    return fixture_seeded_request(who, N, ANSWER);
}

static void start(struct env *env, struct reply *r, struct fg_job_request req)
{
    assert_int_equal(reply_start(r, env->flow, &req, NULL), 0);
}

static void stop_reader(struct env *env)
{
    sem_t stands;

    sem_init(&stands, 0, 0);
    reader_hold(&env->hold, env->flow->cache, &stands);
    sem_wait(&stands);
    sem_destroy(&stands);
}

static bool ended(struct reply *r)
{
    bool yes;

    pthread_mutex_lock(&r->lock);
    yes = r->ended;
    pthread_mutex_unlock(&r->lock);
    return yes;
}

static void store(struct env *env, uint64_t who)
{
    struct reply r;

    start(env, &r, ask(who));
    reply_wait(&r);
    assert_false(r.failed);
    reply_finish(&r);
}

static void check_kind(struct env *env, bool softmax, bool lightning)
{
    struct reply slow, twin, gone, fast;
    struct fg_job_request req = ask(2);
    struct fake_counts counts;

    open_flow(env, softmax, lightning);
    store(env, 1);
    fg_flow_destroy(env->flow);
    open_flow(env, softmax, lightning); /* what is stored is on the disk only */
    stop_reader(env);
    start(env, &slow, ask(1));
    start(env, &twin, ask(1));
    start(env, &gone, ask(1));
    req.cache = FG_CACHE_NONE;
    start(env, &fast, req);
    reply_wait(&fast);
    assert_false(fast.failed);
    fg_job_cancel(gone.job); /* wakes the runner, which has nothing else to do */
    reply_wait(&gone);
    assert_int_equal(gone.error.code, FG_ECANCELED);
    assert_false(ended(&slow) || ended(&twin));
    reader_let_go(&env->hold);
    reply_wait(&slow);
    reply_wait(&twin);
    assert_int_equal(slow.account.reused_tokens, 640);
    assert_int_equal(twin.account.reused_tokens, 640);
    assert_int_equal(slow.account.source, FG_SOURCE_STORE);
    fake_engine_counts(&counts);
    assert_int_equal(counts.tokens, N + ANSWER - 1 + 2 * (N - 640 + ANSWER - 1));
    fg_flow_destroy(env->flow);
    reply_finish(&slow);
    reply_finish(&twin);
    reply_finish(&gone);
    reply_finish(&fast);
    fixture_home_clear(&env->home);
}

static void test_others_go_on(void **state)
{
    check_kind(*state, true, false);
    check_kind(*state, false, true);
    check_kind(*state, true, true);
}

/* How often the runner looked for something new, and how often it was ready to sleep for that. */
static _Atomic(struct fg_queue *) watched;
static sem_t rests;

struct fg_link *__real_fg_queue_take(struct fg_queue *q, bool wait);
struct fg_link *__wrap_fg_queue_take(struct fg_queue *q, bool wait);
struct fg_link *__wrap_fg_queue_take(struct fg_queue *q, bool wait)
{
    if (wait && q == watched)
        sem_post(&rests);
    return __real_fg_queue_take(q, wait);
}

static sem_t writing;
static struct fg_ticket *_Atomic held;

/* The first transfer does not end. */
static bool hold_first(void *ctx, struct fg_ticket *ticket)
{
    (void)ctx;
    if (held)
        return false;
    held = ticket;
    sem_post(&writing);
    return true;
}

static void wait_for_all_reads(struct env *env)
{
    stop_reader(env); /* behind what it was given */
    reader_let_go(&env->hold);
}

/* A record has gone, and lies behind one that still comes: the runner sleeps until that has come.
 */
static void gone_behind(struct env *env, bool is_state)
{
    struct fake_settings s = {.softmax = true, .lightning = true, .on_transfer = hold_first};
    struct fg_job_status job;
    struct timespec end;
    struct reply r;

    open_flow(env, true, true);
    store(env, 1);
    fg_flow_destroy(env->flow);
    sem_init(&rests, 0, 0);
    sem_init(&writing, 0, 0);
    held = NULL;
    fake_engine_set(&s);
    env->flow = fixture_flow(&env->opt);
    stop_reader(env);
    start(env, &r, ask(1));
    while (fg_flow_jobs(env->flow, NULL, &job, 1) == 0 || job.phase < FG_PHASE_RESTORE)
        sched_yield();
    fg_cache_drop(env->flow->cache, &r.job->prefix.keys[is_state ? N / 64 - 1 : 4], is_state);
    reader_let_go(&env->hold);
    sem_wait(&writing);
    wait_for_all_reads(env);
    watched = &env->flow->gpu_queue;
    fg_queue_wake(&env->flow->gpu_queue);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    /* Once for the wake, which it may have been asleep for, and once more behind it. */
    for (int i = 0; i < 2; i++) {
        fg_queue_wake(&env->flow->gpu_queue);
        assert_int_equal(sem_timedwait(&rests, &end), 0);
    }
    watched = NULL;
    assert_false(ended(&r));
    fg_ticket_end(held, 0, NULL);
    reply_wait(&r);
    assert_false(r.failed);
    fg_flow_destroy(env->flow);
    reply_finish(&r);
    sem_destroy(&rests);
    sem_destroy(&writing);
    fixture_home_clear(&env->home);
}

static void test_gone_behind(void **state)
{
    gone_behind(*state, false);
    gone_behind(*state, true);
}

/* What left the device comes back from host memory, whatever is on the disk. */
static void from_memory(struct env *env, bool softmax, bool lightning, bool disk)
{
    struct reply r, first;

    env->opt.cache_dir = disk ? env->home.cache : NULL;
    env->opt.ram_bytes = 32 << 20;
    env->opt.n_pages = softmax ? 16 : 0;
    env->opt.n_states = 3;
    open_flow(env, softmax, lightning);
    start(env, &first, ask(1));
    reply_wait(&first);
    for (uint64_t who = 2; who < 6; who++)
        store(env, who);
    start(env, &r, ask(1));
    reply_wait(&r);
    assert_int_equal(r.account.reused_tokens, 640);
    assert_int_equal(r.account.source, FG_SOURCE_RAM);
    assert_int_equal(r.n_tokens, ANSWER);
    assert_memory_equal(r.tokens, first.tokens, sizeof *r.tokens * ANSWER);
    fg_flow_destroy(env->flow);
    reply_finish(&first);
    reply_finish(&r);
}

static void test_from_memory(void **state)
{
    for (int disk = 0; disk < 2; disk++) {
        from_memory(*state, true, false, disk);
        from_memory(*state, true, true, disk);
        from_memory(*state, false, true, disk);
    }
}

/* The flow ends while restores are under way. */
static void test_end_amid(void **state)
{
    struct env *env = *state;
    struct reply r;

    open_flow(env, true, true);
    store(env, 1);
    fg_flow_destroy(env->flow);
    open_flow(env, true, true);
    stop_reader(env);
    start(env, &r, ask(1));
    fg_flow_cancel_all(env->flow);
    reply_wait(&r);
    reader_let_go(&env->hold);
    fg_flow_destroy(env->flow);
    assert_int_equal(r.error.code, FG_ECANCELED);
    reply_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_others_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_amid, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
