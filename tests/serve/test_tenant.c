/* Tenants: ids from names, the secret beside the store, and that they keep apart what they should.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache.h"
#include "fake_engine.h"
#include "fixture.h"
#include "base/siphash.h"
#include "serve/tenant.h"
#include "base/log.h"

/* The authors' vectors (vectors_sip128): key 00 01 .. 0f, input 00 01 .. n-1. */
static void test_siphash(void **state)
{
    static const struct {
        size_t n;
        uint8_t out[16];
    } rows[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {7,
         {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82,
          0x39}},
        {8,
         {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97,
          0xb4}},
        {9,
         {0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab, 0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d, 0x71,
          0xed}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3,
          0xd9}},
        {16,
         {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05,
          0x77}},
        {63,
         {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd,
          0x7c}},
    };
    uint8_t key[16], data[64], out[16];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    memcpy(key, data, sizeof key);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fg_siphash128(key, data, rows[i].n, out);
        assert_memory_equal(out, rows[i].out, sizeof out);
    }
}

static struct fg_tenant derive(const uint8_t *secret, const char *who)
{
    struct fg_tenant t;

    fg_tenant_derive(secret, who, &t);
    return t;
}

static bool same(struct fg_tenant a, struct fg_tenant b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void test_ids(void **state)
{
    static const char *const names[] = {"uid:0",    "uid:1",  "uid:10", "key:uid:1",
                                        "key:",     "key:a",  "key:A",  "key:ab",
                                        "tcp:open", "name:a", "name:b", "tcp:open "};
    const uint8_t secret[FG_SECRET_BYTES] = {1}, other[FG_SECRET_BYTES] = {2};
    const struct fg_tenant zero = {0};
    enum { N = sizeof names / sizeof *names };

    (void)state;
    for (int i = 0; i < N; i++) {
        assert_true(same(derive(secret, names[i]), derive(secret, names[i])));
        assert_false(same(derive(secret, names[i]), derive(other, names[i])));
        assert_false(same(derive(secret, names[i]), zero));
        for (int j = 0; j < i; j++)
            assert_false(same(derive(secret, names[i]), derive(secret, names[j])));
    }
}

/* --- the secret's file --- */

static void load(const char *dir, uint8_t secret[FG_SECRET_BYTES])
{
    struct fg_err err = {0};

    if (fg_tenant_secret(dir, secret, &err))
        fail_msg("%s", err.text);
}

static void test_secret(void **state)
{
    uint8_t a[FG_SECRET_BYTES], b[FG_SECRET_BYTES];
    char path[512], *dir = dir_make();
    struct stat st;

    (void)state;
    fg_log_set_level(FG_LOG_ERROR); /* what follows is meant to be warned of */
    snprintf(path, sizeof path, "%s/tenant.secret", dir);
    load(dir, a);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, FG_SECRET_BYTES);
    load(dir, b);
    assert_memory_equal(a, b, sizeof a);
    /* Cut or grown it is no secret, and a new one takes its place. */
    for (off_t size = 15; size <= 17; size += 2) {
        assert_int_equal(truncate(path, size), 0);
        load(dir, b);
        assert_memory_not_equal(a, b, sizeof a);
        load(dir, a);
        assert_memory_equal(a, b, sizeof a);
    }
    snprintf(path, sizeof path, "%s/tenant.secret.new", dir);
    assert_int_not_equal(access(path, F_OK), 0);
    /* Nowhere to keep it: never the same twice. */
    snprintf(path, sizeof path, "%s/none", dir);
    load(path, a);
    load(path, b);
    assert_memory_not_equal(a, b, sizeof a);
    load(NULL, a);
    assert_memory_not_equal(a, b, sizeof a);
    dir_remove(dir);
    fg_log_set_level(FG_LOG_INFO);
}

/* --- in the flow --- */

struct env {
    struct fixture_home home;
    char cache[512];
    struct fg_flow_options opt;
};

static int set_up(void **state)
{
    struct env *env = calloc(1, sizeof *env);

    fixture_home_init(&env->home);
    snprintf(env->cache, sizeof env->cache, "%s/cache", env->home.dir);
    env->opt = (struct fg_flow_options){.model_path = env->home.model,
                                        .n_ctx = 1024,
                                        .n_seq = 2,
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

enum { PROMPT = 300, WHOLE = 256, NEW = 70 };

/* The same prompt each time, of `who`; *r is the caller's to finish. */
static void ask(struct fg_flow *flow, const char *who, struct reply *r)
{
    int32_t tokens[PROMPT];
    struct fg_job_request req;
    uint64_t rng = 7;

    for (int i = 0; i < PROMPT; i++)
        tokens[i] = (int32_t)(fixture_random(&rng) % FIXTURE_BYTES);
    req = fixture_request(tokens, PROMPT, NEW);
    req.ignore_eos = true;
    fg_flow_tenant(flow, who, &req.tenant);
    assert_int_equal(reply_start(r, flow, &req, NULL), 0);
    reply_wait(r);
    if (r->failed)
        fail_msg("failed: %s", r->error.text);
}

static void check(struct fg_flow *flow, const char *who, enum fg_cache_source source,
                  const struct reply *answer)
{
    struct reply r;

    ask(flow, who, &r);
    assert_int_equal(r.account.source, source);
    assert_int_equal(r.account.reused_tokens, source == FG_SOURCE_NONE ? 0 : WHOLE);
    assert_int_equal(r.n_tokens, NEW);
    assert_memory_equal(r.tokens, answer->tokens, NEW * sizeof *r.tokens);
    assert_memory_equal(r.logprobs, answer->logprobs, NEW * sizeof *r.logprobs);
    reply_finish(&r);
}

/* One tenant's blocks and states are another's neither in VRAM nor in the store, and each has its
 * own after a restart. */
static void test_apart(void **state)
{
    struct env *env = *state;

    for (size_t i = 0; i < FAKE_FAMILIES; i++) {
        struct fg_cache_stats one, two;
        struct fg_flow *flow;
        struct reply first;

        fake_engine_set(&fake_families[i]);
        snprintf(env->cache, sizeof env->cache, "%s/cache%zu", env->home.dir, i);
        flow = fixture_flow(&env->opt);
        ask(flow, "key:a", &first);
        assert_int_equal(first.account.source, FG_SOURCE_NONE);
        check(flow, "key:a", FG_SOURCE_VRAM, &first);
        fg_flow_destroy(flow);
        flow = fixture_flow(&env->opt);
        assert_int_equal(fg_flow_cache_stats(flow, &one, NULL), 0);
        assert_true(one.blocks > 0);
        check(flow, "key:b", FG_SOURCE_NONE, &first);
        check(flow, "uid:0", FG_SOURCE_NONE, &first);
        check(flow, "key:b", FG_SOURCE_VRAM, &first);
        check(flow, "key:a", FG_SOURCE_STORE, &first);
        fg_flow_destroy(flow);
        flow = fixture_flow(&env->opt);
        assert_int_equal(fg_flow_cache_stats(flow, &two, NULL), 0);
        assert_int_equal(two.blocks, 3 * one.blocks);
        assert_int_equal(two.states, 3 * one.states);
        check(flow, "tcp:open", FG_SOURCE_NONE, &first);
        check(flow, "key:b", FG_SOURCE_STORE, &first);
        fg_flow_destroy(flow);
        reply_finish(&first);
    }
}

/* --- jobs --- */

static void wait_at_gate(void *ctx, uint64_t step)
{
    (void)step;
    sem_wait(ctx);
    sem_post(ctx);
}

static size_t count_jobs(struct fg_flow *flow, const char *who, struct fg_job_status *row)
{
    struct fg_tenant t;

    fg_flow_tenant(flow, who, &t);
    return fg_flow_jobs(flow, &t, row, 1);
}

/* A tenant is told of its own jobs only. */
static void test_jobs(void **state)
{
    static const char *const names[] = {"key:a", "key:b", "key:b"};
    struct fake_settings settings = {.softmax = true, .on_step = wait_at_gate};
    struct env *env = *state;
    struct fg_job_status row;
    struct fg_flow *flow;
    struct reply r[3];
    sem_t gate;

    assert_int_equal(sem_init(&gate, 0, 0), 0);
    settings.on_step_ctx = &gate;
    fake_engine_set(&settings);
    flow = fixture_flow(&env->opt);
    for (int i = 0; i < 3; i++) {
        struct fg_job_request req = fixture_request((int32_t[]){1, 2, 3}, 3, 2);

        fg_flow_tenant(flow, names[i], &req.tenant);
        assert_int_equal(reply_start(&r[i], flow, &req, NULL), 0);
    }
    assert_int_equal(fg_flow_jobs(flow, NULL, NULL, 0), 3);
    assert_int_equal(count_jobs(flow, "key:a", &row), 1);
    assert_int_equal(row.id, fg_job_id(r[0].job));
    assert_int_equal(count_jobs(flow, "key:b", &row), 2);
    assert_int_equal(row.id, fg_job_id(r[1].job));
    assert_int_equal(count_jobs(flow, "key:c", &row), 0);
    sem_post(&gate);
    for (int i = 0; i < 3; i++) {
        reply_wait(&r[i]);
        reply_finish(&r[i]);
    }
    assert_int_equal(count_jobs(flow, "key:b", &row), 0);
    fg_flow_destroy(flow);
    sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_secret),
        cmocka_unit_test_setup_teardown(test_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
