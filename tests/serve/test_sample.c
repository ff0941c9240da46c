/* The sampler: known answers, ties, filters, seeds and distributions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/sample.h"

static int32_t draw(const float *logits, uint32_t n, const struct fg_sampling *p, uint64_t index)
{
    struct fg_sampler s;
    int32_t token = -1;

    assert_int_equal(fg_sampler_init(&s, n, NULL), 0);
    assert_int_equal(fg_sample(&s, logits, p, index, &token, NULL), 0);
    fg_sampler_finish(&s);
    return token;
}

/* How often each of n tokens comes out of `draws` draws. */
static void count(const float *logits, uint32_t n, struct fg_sampling p, uint32_t draws,
                  uint32_t *counts)
{
    struct fg_sampler s;

    memset(counts, 0, n * sizeof *counts);
    assert_int_equal(fg_sampler_init(&s, n, NULL), 0);
    for (uint32_t i = 0; i < draws; i++) {
        int32_t token;

        assert_int_equal(fg_sample(&s, logits, &p, i, &token, NULL), 0);
        assert_in_range(token, 0, n - 1);
        counts[token]++;
    }
    fg_sampler_finish(&s);
}

static void test_random(void **state)
{
    (void)state;
    /* The published SplitMix64's outputs for seed 1234567. */
    assert_true(fg_sample_random(1234567, 0) == UINT64_C(6457827717110365317));
    assert_true(fg_sample_random(1234567, 1) == UINT64_C(3203168211198807973));
    assert_true(fg_sample_random(1234567, 2) == UINT64_C(9817491932198370423));
    assert_true(fg_sample_random(1234567, 3) == UINT64_C(4593380528125082431));
    assert_true(fg_sample_random(1234567, 4) == UINT64_C(16408922859458223821));
}

static void test_greedy(void **state)
{
    const float logits[] = {-1, 3, 2, 3, -INFINITY};
    struct fg_sampling p = {.top_p = 1, .top_k = 3, .seed = 9};

    (void)state;
    assert_int_equal(draw(logits, 5, &p, 0), 1); /* the lowest id of equals */
    assert_int_equal(draw(logits + 2, 3, &p, 0), 1);
    assert_int_equal(draw(logits, 1, &p, 0), 0);
}

static void test_bad_logits(void **state)
{
    float logits[] = {1, 2, NAN, 3};
    struct fg_sampling p = {.top_p = 1};
    struct fg_sampler s;
    struct fg_err err;
    int32_t token;

    (void)state;
    assert_int_equal(fg_sampler_init(&s, 4, NULL), 0);
    assert_int_equal(fg_sample(&s, logits, &p, 0, &token, &err), FG_EDEVICE);
    assert_string_equal(err.text, "the device computed a logit of NaN for token 2");
    logits[2] = INFINITY;
    assert_int_equal(fg_sample(&s, logits, &p, 0, &token, &err), FG_EDEVICE);
    for (int i = 0; i < 4; i++)
        logits[i] = -INFINITY;
    assert_int_equal(fg_sample(&s, logits, &p, 0, &token, &err), FG_EDEVICE);
    fg_sampler_finish(&s);
}

/* Frequencies follow softmax(logits / temperature), within five standard deviations. */
static void check_distribution(const float *logits, uint32_t n, struct fg_sampling p,
                               const double *want)
{
    enum { DRAWS = 200000 };
    uint32_t counts[16];

    count(logits, n, p, DRAWS, counts);
    for (uint32_t i = 0; i < n; i++) {
        double sd = sqrt(want[i] * (1 - want[i]) * DRAWS);

        assert_true(fabs(counts[i] - want[i] * DRAWS) <= 5 * sd);
    }
}

static void softmax(const float *logits, uint32_t n, double t, double *out)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += out[i] = exp(logits[i] / t);
    for (uint32_t i = 0; i < n; i++)
        out[i] /= sum;
}

static const float eight[] = {0.5f, -1, 2, 1.25f, -3, 0, 2, 1};

static void test_temperature(void **state)
{
    double want[8];

    (void)state;
    softmax(eight, 8, 1, want);
    check_distribution(eight, 8, (struct fg_sampling){.temperature = 1, .top_p = 1}, want);
    softmax(eight, 8, 0.5, want);
    check_distribution(eight, 8, (struct fg_sampling){.temperature = 0.5f, .top_p = 1, .seed = 4},
                       want);
    softmax(eight, 8, 3, want);
    check_distribution(eight, 8, (struct fg_sampling){.temperature = 3, .top_p = 1, .seed = 5},
                       want);
}

/* Sets all but the listed ones to 0 and scales the rest to 1. */
static void keep(double *p, uint32_t n, uint32_t mask)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += p[i] = mask >> i & 1 ? p[i] : 0;
    for (uint32_t i = 0; i < n; i++)
        p[i] /= sum;
}

static void test_filters(void **state)
{
    struct fg_sampling p = {.temperature = 1, .top_p = 1, .seed = 1};
    double want[8];

    (void)state;
    /* Ranked: 2, 6 (2 each), 3 (1.25), 7 (1), 0 (0.5), 5 (0), 1, 4. */
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2 | 1 << 6 | 1 << 3);
    p.top_k = 3;
    check_distribution(eight, 8, p, want);
    /* Of two equals the lower id is in. */
    p.top_k = 1;
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2);
    check_distribution(eight, 8, p, want);
    /* 2, 6 and 3 have 0.303 + 0.303 + 0.143; 7 adds 0.111. */
    p = (struct fg_sampling){.temperature = 1, .top_p = 0.8f, .seed = 2};
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2 | 1 << 6 | 1 << 3 | 1 << 7);
    check_distribution(eight, 8, p, want);
    /* After top_k 3, the first two have 0.81 of what is left. */
    p.top_k = 3;
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2 | 1 << 6);
    check_distribution(eight, 8, p, want);
    /* exp(1 - 2) = 0.368 is in, exp(0.5 - 2) = 0.223 is out. */
    p = (struct fg_sampling){.temperature = 1, .top_p = 1, .min_p = 0.3f, .seed = 3};
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2 | 1 << 6 | 1 << 3 | 1 << 7);
    check_distribution(eight, 8, p, want);
    /* top_p 0 leaves the best. */
    p = (struct fg_sampling){.temperature = 1};
    softmax(eight, 8, 1, want);
    keep(want, 8, 1 << 2);
    check_distribution(eight, 8, p, want);
}

/* A draw depends on seed and index, not on the draws before it. */
static void test_seeds(void **state)
{
    struct fg_sampling p = {.temperature = 1, .top_p = 1, .seed = 77};
    uint32_t differ = 0;
    int32_t forward[64];

    (void)state;
    for (uint64_t i = 0; i < 64; i++)
        forward[i] = draw(eight, 8, &p, i);
    for (uint64_t i = 64; i-- > 0;)
        assert_int_equal(draw(eight, 8, &p, i), forward[i]);
    p.seed = 78;
    for (uint64_t i = 0; i < 64; i++)
        differ += draw(eight, 8, &p, i) != forward[i];
    assert_true(differ > 20);
}

/* Filtering by heap agrees with sorting everything, over many shapes. */
static void test_against_sort(void **state)
{
    enum { N = 500 };
    float logits[N];
    int32_t order[N];

    (void)state;
    for (uint64_t round = 0; round < 40; round++) {
        uint32_t k = 1 + (uint32_t)(fg_sample_random(round, 1000) % N);
        uint32_t counts[N];

        for (uint32_t i = 0; i < N; i++) {
            logits[i] = (float)(fg_sample_random(round, i) % 64) / 16;
            order[i] = (int32_t)i;
        }
        for (uint32_t i = 1; i < N; i++) /* stable: ids ascend among equals */
            for (uint32_t j = i; j > 0 && logits[order[j]] > logits[order[j - 1]]; j--) {
                int32_t t = order[j];

                order[j] = order[j - 1];
                order[j - 1] = t;
            }
        count(logits, N, (struct fg_sampling){.temperature = 5, .top_p = 1, .top_k = (int32_t)k},
              4000, counts);
        for (uint32_t i = k; i < N; i++)
            assert_int_equal(counts[order[i]], 0);
    }
}

static void test_logprobs(void **state)
{
    const float logits[] = {1, 4, 2, 4, -INFINITY};
    struct fg_token_logprob chosen = {.token = 2}, top[3] = {{0}}, five[5];
    double lse = log(exp(1) + 2 * exp(4) + exp(2));

    (void)state;
    assert_int_equal(fg_sample_logprobs(logits, 5, &chosen, top, 3), 3);
    assert_float_equal(chosen.logprob, 2 - lse, 1e-6);
    assert_int_equal(top[0].token, 1);
    assert_int_equal(top[1].token, 3);
    assert_int_equal(top[2].token, 2);
    assert_float_equal(top[0].logprob, 4 - lse, 1e-6);
    assert_float_equal(top[2].logprob, 2 - lse, 1e-6);
    assert_int_equal(fg_sample_logprobs(logits, 5, &chosen, NULL, 0), 0);
    /* What has no probability is not among the best. */
    assert_int_equal(fg_sample_logprobs(logits, 5, &chosen, five, 5), 4);
    assert_int_equal(five[3].token, 0);
    /* Large logits do not overflow. */
    fg_sample_logprobs((const float[]){1e4f, 1e4f}, 2, &(struct fg_token_logprob){.token = 1}, top,
                       2);
    assert_float_equal(top[1].logprob, -log(2), 1e-6);
}

static void test_ranks(void **state)
{
    const float logits[] = {1, 4, 2, 4, -INFINITY};
    const uint32_t ranks[] = {4, 1, 3, 2, 5};
    struct fg_token_logprob top[4] = {{0}};

    (void)state;
    for (int32_t i = 0; i < 5; i++) {
        struct fg_token_logprob chosen = {.token = i};

        assert_int_equal(fg_sample_logprobs(logits, 5, &chosen, top, 4), 4);
        assert_int_equal(chosen.rank, ranks[i]);
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(top[i].rank, i + 1);
}

/* Of what the token was drawn from: at the temperature, of those that the filters left. */
static void test_drawn(void **state)
{
    const float logits[] = {1, 4, 2, 3, 0};
    const struct fg_token_bias bias = {.token = 1, .bias = -1};
    const struct fg_adjust adjust = {.bias = &bias, .n_bias = 1};
    struct fg_sampling p = {.temperature = 0.5f, .top_p = 1, .top_k = 3};
    struct fg_token_logprob chosen = {0}, top[5] = {{0}};
    struct fg_sampler s;
    double sum = 2 * exp(6) + exp(4);

    (void)state;
    assert_int_equal(fg_sampler_init(&s, 5, NULL), 0);
    for (uint64_t i = 0; i < 20; i++) {
        p.seed = i;
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &adjust, &chosen.token, NULL), 0);
        assert_int_equal(fg_sample_drawn(&s, &chosen, top, 5), 3); /* tokens 1 and 3 are equal */
        assert_int_equal(top[0].token, 1);
        assert_int_equal(top[1].token, 3);
        assert_int_equal(top[2].token, 2);
        assert_float_equal(top[1].logprob, log(exp(6) / sum), 1e-6);
        assert_float_equal(top[2].logprob, log(exp(4) / sum), 1e-6);
        assert_true(top[chosen.rank - 1].token == chosen.token);
        assert_true(top[chosen.rank - 1].logprob == chosen.logprob);
    }
    p = (struct fg_sampling){.temperature = 1, .top_p = 0.5f};
    assert_int_equal(fg_sample(&s, logits, &p, 0, &chosen.token, NULL), 0);
    assert_int_equal(fg_sample_drawn(&s, &chosen, top, 5), 1);
    assert_true(chosen.logprob == 0 && chosen.token == 1);
    p.temperature = 0; /* the best one, certainly */
    assert_int_equal(fg_sample(&s, logits, &p, 0, &chosen.token, NULL), 0);
    assert_int_equal(fg_sample_drawn(&s, &chosen, top, 5), 1);
    assert_true(top[0].token == 1 && top[0].logprob == 0 && top[0].rank == 1);
    assert_true(chosen.logprob == 0 && chosen.rank == 1);
    fg_sampler_finish(&s);
}

static void test_check(void **state)
{
    static const struct {
        struct fg_sampling p;
        const char *name; /* NULL: fine */
    } cases[] = {
        {{.temperature = 1, .top_p = 1}, NULL},
        {{.temperature = 0, .top_p = 0}, NULL},
        {{.temperature = -0.1f, .top_p = 1}, "temperature"},
        {{.temperature = NAN, .top_p = 1}, "temperature"},
        {{.temperature = INFINITY, .top_p = 1}, "temperature"},
        {{.top_p = 1, .top_k = -1}, "top_k"},
        {{.top_p = 1.01f}, "top_p"},
        {{.top_p = NAN}, "top_p"},
        {{.top_p = 1, .min_p = -1}, "min_p"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fg_err err = {0};
        int rc = fg_sampling_check(&cases[i].p, &err);

        assert_int_equal(rc, cases[i].name ? FG_EINVAL : 0);
        if (cases[i].name)
            assert_true(strncmp(err.text, cases[i].name, strlen(cases[i].name)) == 0);
    }
}

/* The n best of the logits, as the device ranks them. */
static void rank(const float *logits, int32_t n_vocab, struct fg_best *best, uint32_t n)
{
    for (uint32_t b = 0; b < n; b++) {
        best[b] = (struct fg_best){-1, -INFINITY};
        for (int32_t i = 0; i < n_vocab; i++) {
            bool taken = false;

            for (uint32_t j = 0; j < b; j++)
                taken = taken || best[j].id == i;
            if (!taken && (best[b].id < 0 || logits[i] > best[b].logit))
                best[b] = (struct fg_best){i, logits[i]};
        }
    }
}

/* From the device's best alone: the same token as from all logits, for every setting. */
static void best_are_enough(void **state)
{
    enum { VOCAB = 300 };
    struct fg_sampler s;
    struct fg_err err;
    float logits[VOCAB];
    uint64_t seed = 9;

    (void)state;
    assert_int_equal(fg_sampler_init(&s, VOCAB, &err), 0);
    for (int round = 0; round < 500; round++) {
        struct fg_sampling p = {.temperature = round % 5 ? 0.3f * (float)(round % 5) : 0,
                                .top_k = 1 + round % FG_BEST_MOST,
                                .top_p = round % 3 ? 0.25f * (float)(round % 3 + 1) : 1,
                                .min_p = round % 7 ? 0 : 0.05f,
                                .seed = (uint64_t)round};
        struct fg_best best[FG_BEST_MOST];
        uint32_t n = fg_sample_needs(&p, VOCAB);
        int32_t want, got;

        /* Few values, so that there are ties at the edges. */
        for (int i = 0; i < VOCAB; i++)
            logits[i] = (float)(fg_sample_random(seed++, 0) % 40) / 8;
        assert_int_equal(n, p.temperature > 0 ? (uint32_t)p.top_k : 1);
        rank(logits, VOCAB, best, n);
        assert_int_equal(fg_sample(&s, logits, &p, (uint64_t)round, &want, &err), 0);
        assert_int_equal(fg_sample_best(&s, best, &p, (uint64_t)round, &got, &err), 0);
        assert_int_equal(got, want);
        best[0].logit = round % 2 ? NAN : -INFINITY;
        assert_int_equal(fg_sample_best(&s, best, &p, 0, &got, &err), FG_EDEVICE);
    }
    /* All logits are needed where nothing bounds them. */
    struct fg_sampling all = {.temperature = 1, .top_p = 0.9f};
    assert_int_equal(fg_sample_needs(&all, VOCAB), 0);
    all.top_k = FG_BEST_MOST + 1;
    assert_int_equal(fg_sample_needs(&all, VOCAB), 0);
    all.top_k = 40;
    assert_int_equal(fg_sample_needs(&all, 40), 0);
    assert_int_equal(fg_sample_needs(&all, 41), 40);
    fg_sampler_finish(&s);
}

/* Under a mask: the few best tell the same token as all logits do, or say that they do not. */
static void few_under_a_mask(void **state)
{
    enum { VOCAB = 200, BEST = 20 };
    struct fg_sampler s;
    struct fg_err err;
    float logits[VOCAB];
    uint64_t seed = 5;
    int told = 0, untold = 0, all_told = 0;

    (void)state;
    assert_int_equal(fg_sampler_init(&s, VOCAB, &err), 0);
    for (int round = 0; round < 3000; round++) {
        struct fg_sampling p = {.temperature = round % 4 ? 0.4f * (float)(round % 4) : 0,
                                .top_k = 1 + round % 9,
                                .top_p = round % 3 ? 0.3f * (float)(round % 3 + 1) : 1,
                                .min_p = round % 7 ? 0 : 0.05f,
                                .seed = (uint64_t)round};
        const int32_t banned[] = {round % VOCAB, (round * 7) % VOCAB};
        uint64_t mask[(VOCAB + 63) / 64] = {0};
        struct fg_adjust a = {.mask = mask,
                              .banned = banned,
                              .n_banned = round % 2 ? 2 : 0,
                              .index = (uint64_t)round};
        /* From all tokens to a few of them. */
        uint64_t share = (uint64_t[]){1, 2, 10, 40, 100}[round % 5];
        struct fg_best best[BEST];
        int32_t want, got;
        int rc;

        for (int i = 0; i < VOCAB; i++) {
            logits[i] = (float)(fg_sample_random(seed++, 0) % 60) / 8;
            if (fg_sample_random(seed++, 1) % 11 == 0)
                logits[i] = -INFINITY;
            if (fg_sample_random(seed++, 2) % share == 0) {
                mask[i / 64] |= UINT64_C(1) << i % 64;
                a.n_mask++;
            }
        }
        rank(logits, VOCAB, best, BEST);
        rc = fg_sample_adjusted(&s, logits, &p, &a, &want, &err);
        if (!fg_sample_few(&s, best, BEST, &p, &a, &got)) {
            untold++;
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(got, want);
        told++;
        all_told += a.n_mask <= (size_t)p.top_k;
        best[0].logit = NAN;
        assert_false(fg_sample_few(&s, best, BEST, &p, &a, &got));
    }
    assert_true(told > 1000 && untold > 100 && all_told > 10);
    fg_sampler_finish(&s);
}

/* Penalties and biases change the logits that are chosen from; what is banned does not count among
 * the k best. */
static void adjusted(void **state)
{
    const float logits[6] = {4, 3, -2, 3.5f, 1, -1};
    const int32_t said[] = {0, 2, 3, 3, 3};
    const struct fg_token_bias bias[] = {{5, 7}};
    const int32_t banned[] = {0, 3};
    const int32_t allowed[] = {2, 4};
    struct fg_sampling p = {.top_p = 1};
    struct fg_adjust a = {.tokens = said, .n_prompt = 2, .n_tokens = 5};
    struct fg_sampler s;
    struct fg_err err;
    int32_t token;

    (void)state;
    assert_int_equal(fg_sampler_init(&s, 6, &err), 0);
    /* Twice each: nothing of a call stays. */
    for (int i = 0; i < 2; i++) {
        p.presence_penalty = 1; /* 3 is said, 0 is only in the prompt */
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
        assert_int_equal(token, 0);
        p = (struct fg_sampling){.top_p = 1, .repetition_penalty = 2}; /* 0 and 3 are halved */
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
        assert_int_equal(token, 1);
        /* 3: 3.5 + 3 * 0.25 is above 4. */
        p = (struct fg_sampling){.top_p = 1, .frequency_penalty = -0.25f};
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
        assert_int_equal(token, 3);
        p = (struct fg_sampling){.top_p = 1};
        a.bias = bias;
        a.n_bias = 1;
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
        assert_int_equal(token, 5);
        a.n_bias = 0;
        a.allowed = allowed;
        a.n_allowed = 2;
        assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
        assert_int_equal(token, 4);
        a.n_allowed = 0;
        a.banned = banned;
        a.n_banned = 2;
        for (uint64_t seed = 0; seed < 50; seed++) {
            p = (struct fg_sampling){.temperature = 9, .top_k = 2, .top_p = 1, .seed = seed};
            assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), 0);
            assert_true(token == 1 || token == 4);
        }
        a.n_banned = 0;
    }
    fg_sampler_finish(&s);
}

static void banned_and_none_left(void **state)
{
    const float logits[6] = {4, 3, -2, 3.5f, 1, -1};
    const int32_t banned[] = {0, 3};
    const int32_t said[] = {0, 2, 3, 3, 3};
    struct fg_best best[4] = {{0, 4}, {3, 3.5f}, {1, 3}, {4, 1}};
    struct fg_adjust a = {.tokens = said, .n_prompt = 2, .n_tokens = 5};
    struct fg_sampling p;
    struct fg_sampler s;
    struct fg_err err;
    int32_t token;

    (void)state;
    assert_int_equal(fg_sampler_init(&s, 6, &err), 0);
    /* A negative logit is lowered by repetition_penalty, not raised. */
    p = (struct fg_sampling){.top_p = 1, .repetition_penalty = 3};
    a.allowed = (const int32_t[]){2, 5};
    a.n_allowed = 2;
    assert_int_equal(
        fg_sample_adjusted(&s, (const float[]){0, 0, -0.5f, 0, 0, -1}, &p, &a, &token, &err), 0);
    assert_int_equal(token, 5);
    assert_int_equal(fg_sample_unban(best, 4, banned, 2), 2);
    assert_int_equal(best[0].id, 1);
    assert_int_equal(best[1].id, 4);
    a.banned = (const int32_t[]){2, 5};
    a.n_banned = 2;
    assert_int_equal(fg_sample_adjusted(&s, logits, &p, &a, &token, &err), FG_EINVAL);
    fg_sampler_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adjusted),          cmocka_unit_test(banned_and_none_left),
        cmocka_unit_test(best_are_enough),   cmocka_unit_test(few_under_a_mask),
        cmocka_unit_test(test_random),       cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_bad_logits),   cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_filters),      cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_against_sort), cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_ranks),        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
