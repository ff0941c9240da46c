/* Tenants share the queue and the places of the runner: what one submits keeps no other out, nor
 * behind all of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"

enum { A = 1, B, C, D, SHORT = 3, LONG = 60, ALL_STEPS = 1000000, PATIENCE_S = 20 };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct gate gate;
    struct fg_flow *flow;
    uint32_t asked; /* so that no two prompts are alike */
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt = (struct fg_flow_options){.model_path = env->home.model, .n_ctx = 1024, .n_seq = 1};
    gate_init(&env->gate);
    *state = env;
    return 0;
}

static int tear_down(void **state)
{
    struct env *env = *state;

    gate_finish(&env->gate);
    fixture_home_finish(&env->home);
    free(env);
    return 0;
}

/* The device stands still in its first step. */
static void open_flow(struct env *env, uint32_t n_seq, uint32_t max_jobs)
{
    struct fake_settings s = {.softmax = true, .on_step = gate_hold, .on_step_ctx = &env->gate};

    env->opt.n_seq = n_seq;
    env->opt.max_jobs = max_jobs;
    fake_engine_set(&s);
    env->flow = fixture_flow(&env->opt);
}

static int ask(struct env *env, struct reply *r, uint8_t tenant, int32_t max_tokens)
{
    struct fg_job_request req = fixture_random_request(20 + env->asked++, max_tokens);
    struct fg_err err = {0};
    int rc;

    req.tenant.id[0] = tenant;
    rc = reply_start(r, env->flow, &req, &err);
    if (rc == FG_EBUSY)
        assert_non_null(strstr(err.text, "requests of yours are in the queue already"));
    return rc;
}

static void take(struct env *env, struct reply *r, uint8_t tenant, int32_t max_tokens)
{
    assert_int_equal(ask(env, r, tenant, max_tokens), 0);
}

static void refuse(struct env *env, uint8_t tenant)
{
    struct reply r;

    assert_int_equal(ask(env, &r, tenant, SHORT), FG_EBUSY);
    reply_finish(&r);
}

/* Returns when the runner has all that was submitted. */
static void settle(struct env *env)
{
    struct fg_job_request req = fixture_random_request(10, 1);
    struct reply r;

    req.mode = FG_MODE_FORECAST;
    req.tenant.id[0] = 0xff;
    reply_run(&r, env->flow, &req);
    assert_false(r.failed);
    reply_finish(&r);
}

static void finish(struct reply *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        reply_wait(&r[i]);
        assert_false(r[i].failed);
        reply_finish(&r[i]);
    }
}

/* Who alone submits has all of the queue; whoever else comes gets in up to a share. */
static void test_queue(void **state)
{
    struct env *env = *state;
    struct reply r[256 + 128 + 2], again;
    size_t n = 0;

    open_flow(env, 1, 256);
    while (n < 256)
        take(env, &r[n++], A, 1);
    refuse(env, A);
    while (n < 256 + 128)
        take(env, &r[n++], B, 1);
    refuse(env, B);
    refuse(env, A);
    take(env, &r[n++], C, 1);
    take(env, &r[n++], D, 1);
    gate_allow(&env->gate, ALL_STEPS);
    finish(r, n);
    /* What has ended counts no more. */
    take(env, &again, A, 1);
    finish(&again, 1);
    fg_flow_destroy(env->flow);
}

/* Where there are more tenants than places, each may have one job. */
static void test_few_places(void **state)
{
    struct env *env = *state;
    struct reply r[4];

    open_flow(env, 1, 1);
    for (uint8_t i = 0; i < 4; i++) {
        take(env, &r[i], (uint8_t)(A + i), SHORT);
        refuse(env, (uint8_t)(A + i));
    }
    gate_allow(&env->gate, ALL_STEPS);
    finish(r, 4);
    fg_flow_destroy(env->flow);
}

/* A place that comes free goes to each tenant in turn, to its oldest job. */
static void test_turns(void **state)
{
    static const uint8_t of[] = {B, B, B, B, B, C, A, C};
    static const uint32_t order[] = {1, 4, 6, 7, 8, 2, 3, 5};
    enum { N = sizeof of };
    struct env *env = *state;
    struct reply r[N];
    uint32_t first;

    open_flow(env, 1, 0);
    take(env, &r[0], of[0], SHORT);
    gate_wait(&env->gate, 1);
    for (int i = 1; i < N; i++)
        take(env, &r[i], of[i], SHORT);
    settle(env);
    gate_allow(&env->gate, ALL_STEPS);
    for (int i = 0; i < N; i++)
        reply_wait(&r[i]);
    first = r[0].order;
    for (int i = 0; i < N; i++) {
        assert_int_equal(r[i].order - first + 1, order[i]);
        reply_finish(&r[i]);
    }
    fg_flow_destroy(env->flow);
}

/* Who has no place goes before who has one. */
static void test_fewest(void **state)
{
    struct env *env = *state;
    struct reply r[4];

    open_flow(env, 2, 0);
    take(env, &r[0], A, LONG);
    gate_wait(&env->gate, 1);
    take(env, &r[1], B, SHORT);
    take(env, &r[2], A, SHORT);
    take(env, &r[3], B, SHORT);
    settle(env);
    gate_allow(&env->gate, ALL_STEPS);
    for (int i = 0; i < 4; i++)
        reply_wait(&r[i]);
    assert_true(r[1].order < r[3].order);
    assert_true(r[3].order < r[2].order);
    assert_true(r[2].order < r[0].order);
    for (int i = 0; i < 4; i++)
        reply_finish(&r[i]);
    fg_flow_destroy(env->flow);
}

/* Holds the thread that prepares the prompt, once its text is read. */
static void hold_thread(void *go)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    sem_timedwait(go, &end);
}

/* A small prompt does not wait for another's large one to be made tokens of. */
static void test_texts(void **state)
{
    enum { BYTES = 100000 };
    struct env *env = *state;
    struct fg_job_request req = fixture_request(NULL, 0, SHORT);
    struct reply large, small;
    sem_t go;

    sem_init(&go, 0, 0);
    env->opt.n_ctx = 2 * BYTES;
    gate_allow(&env->gate, ALL_STEPS);
    open_flow(env, 2, 0);
    req.kind = FG_PROMPT_TEXT;
    req.text = malloc(BYTES);
    assert_non_null(req.text);
    memset(req.text, 'a', BYTES);
    req.text_bytes = BYTES;
    req.let_go = hold_thread;
    req.held = &go;
    req.tenant.id[0] = A;
    assert_int_equal(reply_start(&large, env->flow, &req, NULL), 0);
    take(env, &small, B, SHORT);
    reply_wait(&small);
    assert_false(small.failed);
    pthread_mutex_lock(&large.lock);
    assert_false(large.begun || large.ended);
    pthread_mutex_unlock(&large.lock);
    sem_post(&go);
    fg_job_cancel(large.job);
    reply_wait(&large);
    reply_finish(&large);
    reply_finish(&small);
    fg_flow_destroy(env->flow);
    sem_destroy(&go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_few_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fewest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
