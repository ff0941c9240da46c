/* The scheduler beside a step that runs: the next one is prepared, jobs are admitted, and what was
 * chosen is told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "fake_engine.h"
#include "fixture.h"
#include "gate.h"

enum { PROMPT = 200, ANSWER = 60, JOBS = 4, PATIENCE_MS = 10000 };

struct env {
    struct fixture_home home;
    struct fg_flow_options opt;
    struct gate gate;
    struct fg_flow *flow;
    struct reply replies[JOBS];
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    env->opt =
        (struct fg_flow_options){.model_path = env->home.model, .n_ctx = 1024, .n_seq = JOBS};
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

static void open_flow(struct env *env, struct fake_settings s)
{
    env->gate.allowed = env->gate.reached = 0;
    fake_engine_set(&s);
    env->flow = fixture_flow(&env->opt);
}

static void start(struct env *env, uint32_t i)
{
    struct fg_job_request req = fixture_seeded_request(i + 1, PROMPT, ANSWER);

    assert_int_equal(reply_start(&env->replies[i], env->flow, &req, NULL), 0);
}

static void end(struct env *env, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        reply_wait(&env->replies[i]);
        assert_false(env->replies[i].failed);
        assert_int_equal(env->replies[i].n_tokens, ANSWER);
        reply_finish(&env->replies[i]);
    }
    fg_flow_destroy(env->flow);
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Of the steps of prompts and of answers, most were prepared while the one before them ran. */
static void test_prepared(void **state)
{
    struct env *env = *state;

    for (int family = 1; family < 4; family++) {
        struct fake_settings s = {.softmax = family & 1, .lightning = family & 2, .step_us = 2000};
        struct fake_counts c;

        open_flow(env, s);
        for (uint32_t i = 0; i < JOBS; i++)
            start(env, i);
        end(env, JOBS);
        fake_engine_counts(&c);
        assert_true(c.steps >= ANSWER);
        assert_true(2 * c.ahead > c.steps);
    }
}

static bool in_phase(struct env *env, enum fg_job_phase phase)
{
    struct fg_tenant shared = {{0}};
    struct fg_job_status jobs[JOBS];
    size_t n = fg_flow_jobs(env->flow, &shared, jobs, JOBS);
    bool found = false;

    for (size_t i = 0; i < n; i++)
        found = found || jobs[i].phase == phase;
    return found;
}

/* Another job gets its place while a step runs. */
static void test_admitted_beside(void **state)
{
    struct env *env = *state;
    struct fake_settings s = {
        .softmax = true, .lightning = true, .on_step = gate_hold, .on_step_ctx = &env->gate};
    int ms = 0;

    open_flow(env, s);
    start(env, 0);
    gate_wait(&env->gate, 1);
    start(env, 1);
    while (!in_phase(env, FG_PHASE_RESTORE) && ms++ < PATIENCE_MS)
        rest();
    assert_true(ms < PATIENCE_MS);
    assert_int_equal(gate_reached(&env->gate), 1);
    gate_allow(&env->gate, UINT64_MAX);
    end(env, 2);
}

static size_t told(struct reply *r)
{
    size_t n;

    pthread_mutex_lock(&r->lock);
    n = r->n_tokens;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* A token is told while the next one is computed, and not held back until it is. */
static void test_told_beside(void **state)
{
    struct env *env = *state;
    struct fake_settings s = {.softmax = true, .on_step = gate_hold, .on_step_ctx = &env->gate};
    uint64_t first = 0;
    int ms = 0;

    open_flow(env, s);
    start(env, 0);
    while (!told(&env->replies[0]) && ms++ < PATIENCE_MS) {
        first = gate_reached(&env->gate);
        if (!in_phase(env, FG_PHASE_DECODE))
            gate_allow(&env->gate, first);
        rest();
    }
    assert_true(ms < PATIENCE_MS);
    assert_int_equal(told(&env->replies[0]), 1);
    assert_true(env->gate.allowed < UINT64_MAX);
    gate_allow(&env->gate, UINT64_MAX);
    end(env, 1);
}

/* The device is lost in a step; before that is known a job gets its place beside it, which fails:
 * the job begins again with the others. */
static void test_lost_beside(void **state)
{
    struct env *env = *state;
    struct fake_settings s = {.softmax = true,
                              .lightning = true,
                              .lose_at = 2, /* an even step's loss is seen when it ends */
                              .on_step = gate_hold,
                              .on_step_ctx = &env->gate};
    struct fake_counts c = {0};
    int ms = 0;

    open_flow(env, s);
    start(env, 0);
    gate_allow(&env->gate, 1);
    gate_wait(&env->gate, 2);
    start(env, 1);
    while (!c.lost_seqs && ms++ < PATIENCE_MS) {
        rest();
        fake_engine_counts(&c);
    }
    assert_int_equal(c.lost_seqs, 1);
    gate_allow(&env->gate, UINT64_MAX);
    end(env, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prepared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_admitted_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_told_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_beside, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
