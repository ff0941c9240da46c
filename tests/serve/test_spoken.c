/* Answers in the model's own words: whose they are, how many are kept, and when they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "serve/spoken.h"

static const struct fg_tenant one = {{1}}, two = {{2}};
static const struct fg_spoken_job by_one = {{{1}}, 7}, by_two = {{{2}}, 8};

static bool has(struct fg_spoken *s, const struct fg_tenant *tenant, const char *id,
                const char *want)
{
    struct fg_str text;
    bool found = fg_spoken_find(s, tenant, (struct fg_str){id, strlen(id)}, &text);

    if (found) {
        assert_int_equal(text.n, strlen(want));
        assert_memory_equal(text.p, want, text.n);
        free((char *)text.p);
    }
    return found;
}

static void texts_are_a_tenants_own(void **state)
{
    struct fg_spoken s;

    (void)state;
    fg_spoken_init(&s);
    assert_false(has(&s, &one, "call_a_0", ""));
    fg_spoken_keep(&s, &by_one, "call_a_0", (struct fg_str){"hello", 5});
    fg_spoken_keep(&s, &by_two, "call_b_0", (struct fg_str){"there", 5});
    assert_true(has(&s, &one, "call_a_0", "hello"));
    assert_false(has(&s, &two, "call_a_0", ""));
    assert_false(has(&s, &one, "call_a_", ""));
    fg_spoken_forget(&s, &by_one);
    assert_false(has(&s, &one, "call_a_0", ""));
    assert_true(has(&s, &two, "call_b_0", "there"));
    fg_spoken_finish(&s);
}

static void the_oldest_go_first(void **state)
{
    static char large[FG_SPOKEN_MAX_BYTES / 4 + 1];
    struct fg_spoken s;
    char id[32];

    (void)state;
    fg_spoken_init(&s);
    for (int i = 0; i < FG_SPOKEN_MAX_TEXTS + 3; i++) {
        snprintf(id, sizeof id, "call_%d", i);
        fg_spoken_keep(&s, &by_one, id, (struct fg_str){"x", 1});
    }
    assert_false(has(&s, &one, "call_2", ""));
    assert_true(has(&s, &one, "call_3", "x"));
    memset(large, 'y', sizeof large);
    fg_spoken_keep(&s, &by_one, "too_large", (struct fg_str){large, sizeof large});
    assert_true(has(&s, &one, "call_3", "x"));
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "large_%d", i);
        fg_spoken_keep(&s, &by_two, id, (struct fg_str){large, sizeof large - 1});
    }
    assert_false(has(&s, &one, "call_4000", ""));
    assert_int_equal(s.bytes, FG_SPOKEN_MAX_BYTES);
    assert_int_equal(s.n, 4);
    fg_spoken_forget(&s, &by_two);
    assert_int_equal(s.bytes, 0);
    fg_spoken_finish(&s);
}

static bool keeps(struct fg_spoken *s, uint8_t tenant, uint64_t job)
{
    const struct fg_spoken_job by = {{{tenant}}, job};
    char id[32];

    snprintf(id, sizeof id, "call_%d_%d", tenant, (int)job);
    fg_spoken_keep(s, &by, id, (struct fg_str){"x", 1});
    return has(s, &by.tenant, id, "x");
}

/* A job that runs while its tenant's texts are dropped has its own kept no more. */
static void what_was_under_way_is_not_kept(void **state)
{
    struct fg_spoken s;

    (void)state;
    fg_spoken_init(&s);
    fg_spoken_forget(&s, &by_one);
    assert_false(keeps(&s, 1, 6));
    assert_false(keeps(&s, 1, 7));
    assert_true(keeps(&s, 1, 8));
    assert_true(keeps(&s, 2, 6));
    /* Many others: it is not known any more whose it was. */
    for (int i = 0; i < FG_SPOKEN_FORGOTTEN; i++)
        fg_spoken_forget(&s, &(struct fg_spoken_job){{{(uint8_t)(10 + i)}}, 20});
    assert_false(keeps(&s, 1, 7));
    assert_true(keeps(&s, 1, 9));
    assert_false(keeps(&s, 10, 20));
    assert_true(keeps(&s, 10, 21));
    /* Again and again is once. */
    for (int i = 0; i < FG_SPOKEN_FORGOTTEN; i++)
        fg_spoken_forget(&s, &(struct fg_spoken_job){{{10}}, 30});
    assert_true(keeps(&s, 1, 10));
    assert_false(keeps(&s, 10, 30));
    fg_spoken_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_a_tenants_own),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(what_was_under_way_is_not_kept),
    };

    return cmocka_run_group_tests_name("spoken", tests, NULL, NULL);
}
