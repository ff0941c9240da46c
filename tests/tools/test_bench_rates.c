/* fulgur-bench's tests as they follow from its options, its statistics, and its output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/rates.h"

static struct rates r;

static void init(const char *prompts, const char *gens, const char *depths, uint32_t reps)
{
    struct rates_options opt = {.model = "a \"model\"",
                                .prompts = prompts,
                                .gens = gens,
                                .depths = depths,
                                .reps = reps,
                                .kv = FG_KV_F32};
    struct fg_err err;

    if (rates_init(&r, &opt, &err))
        fail_msg("%s", err.text);
}

static void test_statistics(void **state)
{
    double odd[] = {9, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    struct bench_stats s;
    (void)state;

    s = bench_stats(odd, 3);
    assert_true(s.median == 2.0 && s.mean == 4.0);
    assert_true(s.stddev > 4.3588 && s.stddev < 4.3590); /* sqrt(19) */
    s = bench_stats(even, 4);
    assert_true(s.median == 2.5 && s.mean == 2.5);
    s = bench_stats(one, 1);
    assert_true(s.median == 7.0 && s.mean == 7.0 && s.stddev == 0.0);
}

/* Each at each depth; 0 is no test; the context holds the longest. */
static void test_each_test_at_each_depth(void **state)
{
    static const uint32_t want[][3] = {{512, 0, 0},    {64, 0, 0},    {0, 16, 0},
                                       {512, 0, 1000}, {64, 0, 1000}, {0, 16, 1000}};
    char name[64];
    (void)state;

    init("512,64", "0,16", "0,1000", 2);
    assert_int_equal(r.n_tests, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(r.tests[i].n_prompt, want[i][0]);
        assert_int_equal(r.tests[i].n_gen, want[i][1]);
        assert_int_equal(r.tests[i].n_depth, want[i][2]);
    }
    assert_int_equal(rates_longest(&r), 1512);
    assert_string_equal(rates_test_name(&r.tests[0], name), "prefill 512");
    assert_string_equal(rates_test_name(&r.tests[5], name), "decode 16 at 1000");
    rates_finish(&r);
}

static void test_wrong_lists_are_named(void **state)
{
    static const char *const wrong[][4] = {{"", "1", "0", "-p "},     {"1,,2", "1", "0", "-p 1,,2"},
                                           {"1", "x", "0", "-n x"},   {"1", "1", "-5", "-d -5"},
                                           {"1", "1", "0,", "-d 0,"}, {"16777217", "1", "0", "-p"},
                                           {"0", "0", "7", "nothing"}};
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct rates_options opt = {.model = "m",
                                    .prompts = wrong[i][0],
                                    .gens = wrong[i][1],
                                    .depths = wrong[i][2],
                                    .reps = 1};
        struct fg_err err = {0};

        assert_int_equal(rates_init(&r, &opt, &err), FG_EINVAL);
        if (!strstr(err.text, wrong[i][3]))
            fail_msg("\"%s\" does not name \"%s\"", err.text, wrong[i][3]);
        rates_finish(&r);
    }
}

static char *printed(enum rates_format format)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    r.opt.format = format;
    rates_print(&r, f);
    fclose(f);
    return text;
}

static void test_output(void **state)
{
    char *text;
    json_t *json, *one;
    (void)state;

    init("128", "0", "64", 3);
    strcpy(r.device, "a device, its name");
    strcpy(r.driver, "a driver");
    memcpy(r.tests[0].samples, (double[]){10, 12, 20}, 3 * sizeof(double));
    r.tests[0].ts = bench_stats(r.tests[0].samples, 3);
    text = printed(RATES_TABLE);
    assert_non_null(strstr(text, "| prefill 128 at 64 | 14.00 +- 5.29 | 12.00 |\n"));
    free(text);
    text = printed(RATES_CSV);
    assert_non_null(strstr(text,
                           "\n\"a \"\"model\"\"\",\"a device, its name\",\"a driver\",f32,exact,128,"
                           "0,64,3,14,5.2915,12\n"));
    free(text);
    text = printed(RATES_JSON);
    json = json_loads(text, 0, NULL);
    one = json_array_get(json, 0);
    assert_string_equal(json_string_value(json_object_get(one, "model_filename")), "a \"model\"");
    assert_int_equal(json_integer_value(json_object_get(one, "n_depth")), 64);
    assert_true(json_real_value(json_object_get(one, "median_ts")) == 12.0);
    assert_true(json_real_value(json_array_get(json_object_get(one, "samples_ts"), 2)) == 20.0);
    json_decref(json);
    free(text);
    rates_finish(&r);
}

/* Real tests of a small model with states: a depth kept, one that goes on from it, and one that
 * begins again; 130 has a chunk's beginning that is not kept. */
static void test_depths_are_measured(void **state)
{
    struct rates_options opt = {.model = FG_TEST_VECTORS "/m1-a.gguf",
                                .device = getenv("FG_TEST_DEVICE"),
                                .prompts = "70",
                                .gens = "2",
                                .depths = "64,130,0",
                                .reps = 2};
    struct fg_err err;
    (void)state;

    if (rates_init(&r, &opt, &err) || rates_measure(&r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(r.n_tests, 6);
    for (uint32_t i = 0; i < r.n_tests; i++) {
        const struct rates_test *t = &r.tests[i];

        assert_true(t->samples[0] > 0 && t->samples[0] <= t->samples[1]);
        assert_true(t->samples[0] <= t->ts.median && t->ts.median <= t->samples[1]);
    }
    assert_true(strlen(r.device) > 0);
    rates_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_each_test_at_each_depth),
        cmocka_unit_test(test_wrong_lists_are_named),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_depths_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
