/* The cap on bytes written a day: hours, a clock that jumps, restarts, and what the store drops. */
#include "util.h"

#include <signal.h>
#include <sys/resource.h>

#include "cache/quota.h"

#define HOUR 3600ull
#define NOW (500000 * HOUR)

static void test_a_day(void **state)
{
    struct fg_quota q = {0};
    (void)state;

    assert_true(fg_quota_take(&q, 100, 60, NOW));
    assert_false(fg_quota_take(&q, 100, 41, NOW));
    assert_true(fg_quota_take(&q, 100, 40, NOW + 10 * HOUR));
    assert_false(fg_quota_take(&q, 100, 1, NOW + 23 * HOUR));
    assert_false(fg_quota_take(&q, 100, 61, NOW + 24 * HOUR));
    assert_true(fg_quota_take(&q, 100, 60, NOW + 24 * HOUR));
    fg_quota_give(&q, 10);
    assert_true(fg_quota_take(&q, 100, 10, NOW + 24 * HOUR));
    assert_false(fg_quota_take(&q, 100, 1, NOW + 24 * HOUR));
    assert_false(fg_quota_take(&q, 100, UINT64_MAX, NOW + 1000 * HOUR));
    assert_true(fg_quota_take(&q, 100, 100, NOW + 1000 * HOUR));
    fg_quota_give(&q, UINT64_MAX);
    assert_true(fg_quota_take(&q, 100, 100, NOW + 1000 * HOUR));
}

static void test_a_clock_that_jumps(void **state)
{
    struct fg_quota q = {0};
    (void)state;

    assert_true(fg_quota_take(&q, 100, 30, NOW));
    assert_true(fg_quota_take(&q, 100, 70, NOW + 2 * HOUR));
    /* Back: all of it still counts, and ends as long after. */
    assert_false(fg_quota_take(&q, 100, 1, NOW - 900 * HOUR));
    assert_false(fg_quota_take(&q, 100, 1, NOW - (900 - 21) * HOUR));
    assert_true(fg_quota_take(&q, 100, 30, NOW - (900 - 22) * HOUR));
    assert_false(fg_quota_take(&q, 100, 1, 0));
    /* Forward: a day's bytes, once. */
    assert_true(fg_quota_take(&q, 100, 100, UINT64_MAX));
    assert_false(fg_quota_take(&q, 100, 1, NOW));
    assert_true(fg_quota_take(&q, 100, 1, NOW + 24 * HOUR));
}

static void test_bytes(void **state)
{
    struct fg_quota q = {0}, got;
    uint8_t buf[FG_QUOTA_BYTES];
    (void)state;

    for (uint64_t h = 0; h < 30; h++)
        assert_true(fg_quota_take(&q, 1000000, 7 * h, NOW + h * HOUR));
    fg_quota_encode(&q, buf);
    assert_int_equal(fg_quota_decode(buf, sizeof buf, &got), 0);
    assert_memory_equal(&got, &q, sizeof q);
    assert_int_equal(fg_quota_decode(buf, sizeof buf - 1, &got), FG_ECORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof buf; bit++) {
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(fg_quota_decode(buf, sizeof buf, &got), FG_ECORRUPT);
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* Sums that no counter holds. */
    memset(q.bytes, 0xff, sizeof q.bytes);
    assert_false(fg_quota_take(&q, UINT64_MAX - 1, 1, q.hour * HOUR));
}

static struct fg_cache *open_capped(const char *dir, uint64_t daily, struct log_count *log)
{
    struct fg_cache_options opt = {.dir = dir,
                                   .max_bytes = 64 * MIB,
                                   .write_budget = daily,
                                   .log = log_counter,
                                   .log_ctx = log};
    struct fg_cache *c = NULL;
    struct fg_err err = {0};

    if (fg_cache_open(&opt, &c, &err))
        fail_msg("open: %s", err.text);
    return c;
}

static void test_the_store_keeps_to_it(void **state)
{
    char *dir = dir_make();
    struct log_count log = {.word = "event=write_budget_used_up"};
    struct chain *a = chain_make(1, 0, 40);
    struct fg_cache *c = open_capped(dir, 2 * MIB, &log);
    uint32_t n;
    (void)state;

    for (uint32_t i = 0; i < 40; i++)
        put_block(c, a, i, 100000);
    fg_cache_flush(c);
    n = find_blocks(c, a);
    assert_true(n >= 18 && n <= 20);
    assert_int_equal(stats(c).dropped_budget, 40 - n);
    assert_int_equal(stats(c).bytes_written, n * 100000);
    assert_int_equal(log.n, 1);
    fg_cache_close(c);
    /* The next process knows; what is stored is found. */
    log.n = 0;
    c = open_capped(dir, 2 * MIB, &log);
    assert_int_equal(put_block(c, a, n, 100000), FG_EFULL);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, a), n);
    assert_int_equal(log.n, 1);
    fg_cache_close(c);
    /* A larger cap has room at once; none has no end. */
    c = open_capped(dir, 3 * MIB, &log);
    assert_int_equal(put_block(c, a, n, 100000), 0);
    fg_cache_close(c);
    c = open_capped(dir, 0, &log);
    put_blocks(c, a, n + 1, 40, 100000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, a), 40);
    assert_int_equal(stats(c).dropped_budget, 0);
    fg_cache_close(c);
    /* What was written without a cap counts once there is one. */
    c = open_capped(dir, 3 * MIB, &log);
    assert_false(fg_cache_admits(c, FG_AT_SYSTEM_END, 1000, 100000));
    fg_cache_close(c);
    free(a);
    dir_remove(dir);
}

/* Records that the disk refuses, more of them than may be written in a day. */
static void test_what_fails_counts_for_nothing(void **state)
{
    char *dir = dir_make();
    struct log_count log = {.word = "event=write_budget_used_up"};
    struct chain *a = chain_make(1, 0, 2);
    struct fg_cache *c = open_capped(dir, 2 * MIB, &log);
    struct rlimit old, small = {.rlim_cur = 0};
    (void)state;

    fg_cache_flush(c);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(put_block(c, a, 0, 100000), 0);
        fg_cache_flush(c);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(stats(c).write_errors, 40);
    put_blocks(c, a, 0, 2, 100000);
    fg_cache_flush(c);
    assert_int_equal(find_blocks(c, a), 2);
    assert_int_equal(stats(c).dropped_budget, 0);
    fg_cache_close(c);
    free(a);
    dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day),
        cmocka_unit_test(test_a_clock_that_jumps),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_the_store_keeps_to_it),
        cmocka_unit_test(test_what_fails_counts_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
