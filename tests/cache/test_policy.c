/* What the policy learns, what it prefers, and what it admits. */
#include "util.h"

#include "cache/policy.h"

#define TURN FG_POLICY_TURN
#define STATE (280ull << 20)

static double value(const struct fg_policy *p, enum fg_boundary kind, double seconds,
                    uint64_t bytes, uint64_t age)
{
    return fg_policy_value(p, kind, 0, seconds, bytes, age);
}

static void test_value_is_seconds_a_byte(void **state)
{
    struct fg_policy p;
    (void)state;

    fg_policy_init(&p);
    assert_true(value(&p, FG_AT_BLOCK, 2, 1000, 0) - value(&p, FG_AT_BLOCK, 1, 1000, 0) > 0.999);
    assert_true(value(&p, FG_AT_BLOCK, 2, 1000, 0) - value(&p, FG_AT_BLOCK, 2, 4000, 0) > 1.999);
    assert_true(value(&p, FG_AT_BLOCK, 2, 4000, 0) == value(&p, FG_AT_BLOCK, 1, 2000, 0));
    /* Nothing to divide by, nothing saved, an unknown kind: numbers still. */
    assert_true(value(&p, FG_AT_BLOCK, 1, 0, 0) > value(&p, FG_AT_BLOCK, 1, 2, 0));
    assert_true(value(&p, FG_AT_BLOCK, 0, UINT64_MAX, UINT64_MAX) > FG_POLICY_NOTHING / 2);
    assert_true(value(&p, FG_AT_BLOCK, -1, 1, 0) == value(&p, FG_AT_BLOCK, 0, 1, 0));
    assert_true(value(&p, (enum fg_boundary)99, 1, 1, 0) == value(&p, FG_AT_BLOCK, 1, 1, 0));
}

static void test_value_falls_with_age(void **state)
{
    struct fg_policy p;
    double before;
    (void)state;

    fg_policy_init(&p);
    for (enum fg_boundary k = 0; k < FG_BOUNDARIES; k++) {
        before = value(&p, k, 1, STATE, 0);
        for (uint64_t age = TURN / 1024; age < 64 * TURN; age *= 2) {
            assert_true(value(&p, k, 1, STATE, age) < before);
            before = value(&p, k, 1, STATE, age);
        }
    }
}

/* n records of a kind, of which one in `every` is used after `wait` ticks. */
static void live(struct fg_policy *p, enum fg_boundary kind, int n, int every, uint64_t wait)
{
    for (int i = 0; i < n; i++) {
        fg_policy_put(p, kind);
        if (i % every == 0)
            fg_policy_use(p, kind, 0, wait);
    }
}

static void test_learns_what_is_used(void **state)
{
    struct fg_policy p;
    (void)state;

    fg_policy_init(&p);
    live(&p, FG_AT_PROMPT_END, 1000, 50, TURN / 10);
    live(&p, FG_AT_ANSWER_END, 1000, 1, TURN / 10);
    assert_true(fg_policy_chance(&p, FG_AT_PROMPT_END, 0) < 0.05);
    assert_true(fg_policy_chance(&p, FG_AT_ANSWER_END, 0) > 0.9);
    /* Once used they were not used again. */
    assert_true(fg_policy_chance(&p, FG_AT_ANSWER_END, 1) < 0.05);
    assert_true(value(&p, FG_AT_ANSWER_END, 1, STATE, 0) >
                value(&p, FG_AT_PROMPT_END, 4, STATE, 0));
    /* Other times: what was learnt is forgotten. */
    live(&p, FG_AT_PROMPT_END, 2000, 1, TURN / 10);
    assert_true(fg_policy_chance(&p, FG_AT_PROMPT_END, 0) > 0.9);
    for (enum fg_boundary k = 0; k < FG_BOUNDARIES; k++)
        for (uint32_t u = 0; u < 10; u++)
            assert_true(fg_policy_chance(&p, k, u) >= 0 && fg_policy_chance(&p, k, u) <= 1);
}

/* What is used soon or not at all loses its value sooner. */
static void test_learns_how_long_to_wait(void **state)
{
    struct fg_policy p;
    (void)state;

    fg_policy_init(&p);
    live(&p, FG_AT_PROMPT_END, 1000, 2, TURN / 100);
    live(&p, FG_AT_ANSWER_END, 1000, 2, TURN);
    assert_true(value(&p, FG_AT_PROMPT_END, 1, STATE, TURN / 2) + 3 <
                value(&p, FG_AT_ANSWER_END, 1, STATE, TURN / 2));
}

static void test_more_uses_than_records(void **state)
{
    struct fg_policy p;
    (void)state;

    fg_policy_init(&p);
    for (int i = 0; i < 5000; i++)
        fg_policy_use(&p, FG_AT_SYSTEM_END, (uint32_t)i, TURN / 50);
    assert_true(fg_policy_chance(&p, FG_AT_SYSTEM_END, 5000) > 0.9);
    assert_true(fg_policy_chance(&p, FG_AT_SYSTEM_END, 5000) <= 1);
    assert_true(fg_policy_chance(&p, FG_AT_SYSTEM_END, 0) <= 1);
}

static void test_epoch_tells_of_changes(void **state)
{
    struct fg_policy p;
    uint32_t before;
    (void)state;

    fg_policy_init(&p);
    before = p.epoch;
    live(&p, FG_AT_SPACING, 100, 1, TURN);
    assert_int_not_equal(p.epoch, before);
    live(&p, FG_AT_SPACING, 5000, 1, TURN);
    before = p.epoch;
    live(&p, FG_AT_SPACING, 1000, 1, TURN); /* nothing new */
    assert_true(p.epoch - before <= 4);
}

static void test_admits_what_is_worth_it(void **state)
{
    struct fg_policy p;
    double level;
    (void)state;

    fg_policy_init(&p);
    /* With room, writing is all that a state costs. */
    assert_true(fg_policy_admits(&p, FG_AT_SPACING, 8, STATE, 0));
    assert_false(fg_policy_admits(&p, FG_AT_SPACING, 0.1, STATE, 0));
    assert_true(fg_policy_admits(&p, FG_AT_SPACING, 0.1, STATE / 100, 0));
    /* Under pressure, what had to go for it counts; the pressure is forgotten. */
    level = value(&p, FG_AT_SPACING, 8, STATE, 0) + 0.5;
    fg_policy_evicted(&p, level, 10 * TURN);
    assert_false(fg_policy_admits(&p, FG_AT_SPACING, 8, STATE, 10 * TURN));
    assert_true(fg_policy_admits(&p, FG_AT_SPACING, 16, STATE, 10 * TURN));
    assert_true(fg_policy_admits(&p, FG_AT_SPACING, 8, STATE, 11 * TURN));
    assert_false(fg_policy_admits(&p, FG_AT_SPACING, 8, STATE, 9 * TURN)); /* a clock behind */
    /* What can never serve says nothing about prices. */
    fg_policy_evicted(&p, FG_POLICY_NOTHING, 12 * TURN);
    assert_true(p.level == level);
}

static void test_ticks(void **state)
{
    (void)state;

    assert_true(fg_policy_ticks(1 << 20, 1 << 20) == TURN);
    assert_true(fg_policy_ticks(1 << 20, 4 << 20) == TURN / 4);
    assert_true(fg_policy_ticks(0, 4 << 20) == 1);
    assert_true(fg_policy_ticks(UINT64_MAX, 1) == TURN);
    assert_true(fg_policy_ticks(5, 0) == TURN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_is_seconds_a_byte),
        cmocka_unit_test(test_value_falls_with_age),
        cmocka_unit_test(test_learns_what_is_used),
        cmocka_unit_test(test_learns_how_long_to_wait),
        cmocka_unit_test(test_more_uses_than_records),
        cmocka_unit_test(test_epoch_tells_of_changes),
        cmocka_unit_test(test_admits_what_is_worth_it),
        cmocka_unit_test(test_ticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
