/* Routing, grouping and adding up of experts against C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"
#include "shaders/moe/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EXPERTS = 128, MOST_TOKENS = 70 };

/* Logits: noise of a range that grows; every third token many ties; some far apart. */
static void make_logits(uint64_t *seed, float *l, uint32_t n_tokens, uint32_t n_expert, uint32_t ld)
{
    for (uint32_t t = 0; t < n_tokens; t++)
        for (uint32_t e = 0; e < n_expert; e++)
            switch (t % 4) {
            case 0: l[t * ld + e] = lab_noise(seed) * (float)(t + 1); break;
            case 1: l[t * ld + e] = (float)lab_below(seed, 3); break;
            case 2: l[t * ld + e] = t % 8 == 2 ? 0.5f : 200 * lab_noise(seed); break;
            default: l[t * ld + e] = lab_wide(seed, -20, 6); break;
            }
}

/* biased: by sigmoid and a bias, which is noise, or as wide as to choose by itself. */
static void check_route(struct lab *lab, const uint32_t n[3], bool biased, uint64_t *seed)
{
    const uint32_t n_tokens = n[0], n_expert = n[1], n_used = n[2];
    uint32_t ld = fg_round_up(n_expert, 32), pairs = n_tokens * n_used;
    struct fg_route_push push = {n_tokens, n_expert, n_used, ld};
    float *logits = lab_alloc((size_t)n_tokens * ld, sizeof *logits);
    float *weights = lab_alloc(pairs, sizeof *weights);
    uint32_t *experts = lab_alloc(pairs, sizeof *experts);
    uint32_t alone = n_tokens == 1 ? n_used : 0, *grouped, *tiles;
    float bias[MOST_EXPERTS];
    struct fg_buffer *b[6];
    char what[64];

    lab_fill_noise(seed, bias, n_expert, n_used % 3 ? 0.1f : 100);
    if (n_used == 5) /* ties are left to the index */
        memset(bias, 0, sizeof bias);
    make_logits(seed, logits, n_tokens, n_expert, ld);
    b[0] = lab_buffer(lab, logits, (size_t)n_tokens * ld * 4);
    b[1] = lab_buffer(lab, NULL, pairs * 4u + 64);
    b[2] = lab_buffer(lab, NULL, pairs * 4u + 64);
    b[3] = lab_buffer(lab, NULL, pairs * 4u + 64);
    b[4] = lab_buffer(lab, NULL, pairs * 16u + 64);
    b[5] = lab_buffer(lab, bias, sizeof bias);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = biased ? "moe_route.biased" : "moe_route",
                                             .buffers = b,
                                             .n = biased ? 6 : 5,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {(n_tokens + 7) / 8, 1, 1}});
    for (uint32_t t = 0; t < n_tokens; t++)
        fg_ref_route(
            logits + (size_t)t * ld, biased ? bias : NULL,
            &(struct fg_ref_choice){n_expert, n_used, experts + t * n_used, weights + t * n_used});
    snprintf(what, sizeof what, "%u of %u experts%s", n_used, n_expert, biased ? ", biased" : "");
    lab_equal(what, fg_buffer_map(b[1]), experts, pairs);
    lab_equal(what, fg_buffer_map(b[2]), weights, pairs);
    lab_untouched(what, (uint32_t *)fg_buffer_map(b[1]) + pairs, 16);
    lab_untouched(what, (uint32_t *)fg_buffer_map(b[2]) + pairs, 16);
    /* A single token's experts in tiles of their own; of several tokens nothing. */
    grouped = fg_buffer_map(b[3]);
    tiles = fg_buffer_map(b[4]);
    for (uint32_t i = 0; i < alone; i++) {
        assert_int_equal(grouped[i], i);
        lab_equal(what, tiles + 4 * i, (uint32_t[]){experts[i], i, 1, 0}, 4);
    }
    lab_untouched(what, grouped + alone, pairs - alone + 16);
    lab_untouched(what, tiles + 4 * alone, 4 * (pairs - alone) + 16);
    for (int i = 0; i < 6; i++)
        fg_buffer_destroy(b[i]);
    free(logits);
    free(weights);
    free(experts);
}

static void test_route(void **state)
{
    static const uint32_t experts[] = {1, 2, 4, 8, 32, 33, 100, MOST_EXPERTS};
    uint64_t seed = 1;

    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++)
        for (uint32_t used = 1; used <= 8 && used <= experts[i]; used++)
            for (int way = 0; way < 4; way++) {
                uint32_t tokens = way & 1 ? 1 : used == 2 ? MOST_TOKENS : 9;

                check_route(*state, (const uint32_t[]){tokens, experts[i], used}, way >= 2, &seed);
            }
}

/* What a bias chooses has the weight that it has without it. */
static void test_route_biased(void **state)
{
    float logits[32] = {2, 1, 0, -1}, bias[32] = {-9, 0, 0, 9}, p[2];
    struct fg_route_push push = {1, 4, 2, 32};
    struct lab *lab = *state;
    struct fg_buffer *b[6];
    const float *got;

    b[0] = lab_buffer(lab, logits, sizeof logits);
    for (int i = 1; i < 4; i++)
        b[i] = lab_buffer(lab, NULL, 64);
    b[4] = lab_buffer(lab, NULL, 64);
    b[5] = lab_buffer(lab, bias, sizeof bias);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "moe_route.biased",
                                             .buffers = b,
                                             .n = 6,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {1, 1, 1}});
    lab_equal("experts", fg_buffer_map(b[1]), (uint32_t[]){3, 1}, 2);
    got = fg_buffer_map(b[2]);
    p[0] = 1 / (1 + expf(1)), p[1] = 1 / (1 + expf(-1));
    assert_true(fabsf(got[0] - p[0] / (p[0] + p[1])) < 1e-6f);
    assert_true(fabsf(got[1] - p[1] / (p[0] + p[1])) < 1e-6f);
    for (int i = 0; i < 6; i++)
        fg_buffer_destroy(b[i]);
}

/* All logits alike: the first n_used, in order, with equal weights. */
static void test_route_ties(void **state)
{
    struct lab *lab = *state;
    float logits[32], weights[4];
    struct fg_route_push push = {1, 8, 4, 32};
    struct fg_buffer *b[5];

    for (int i = 0; i < 32; i++)
        logits[i] = 3;
    b[0] = lab_buffer(lab, logits, sizeof logits);
    b[1] = lab_buffer(lab, NULL, 16);
    b[2] = lab_buffer(lab, NULL, 16);
    b[3] = lab_buffer(lab, NULL, 16);
    b[4] = lab_buffer(lab, NULL, 64);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "moe_route",
                                             .buffers = b,
                                             .n = 5,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {1, 1, 1}});
    lab_equal("experts", fg_buffer_map(b[1]), (uint32_t[]){0, 1, 2, 3}, 4);
    memcpy(weights, fg_buffer_map(b[2]), sizeof weights);
    for (int i = 0; i < 4; i++)
        assert_true(weights[i] == 0.25f);
    for (int i = 0; i < 5; i++)
        fg_buffer_destroy(b[i]);
}

static void check_group(struct lab *lab, const uint32_t *experts, uint32_t n_pairs,
                        uint32_t n_expert, uint32_t tile_tokens)
{
    struct fg_group_push push = {n_pairs, n_expert, tile_tokens};
    uint32_t rows = n_pairs / tile_tokens + (n_expert < n_pairs ? n_expert : n_pairs);
    uint32_t *pairs = lab_alloc(n_pairs, 4), *tiles = lab_alloc(rows, 16);
    struct fg_buffer *b[3];
    char what[64];

    b[0] = lab_buffer(lab, experts, n_pairs * 4u);
    b[1] = lab_buffer(lab, NULL, n_pairs * 4u + 64);
    b[2] = lab_buffer(lab, NULL, rows * 16u + 64);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "moe_group",
                                             .buffers = b,
                                             .n = 3,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {1, 1, 1}});
    assert_true(lab_group(experts, n_pairs, n_expert, tile_tokens, pairs, tiles) <= rows);
    snprintf(what, sizeof what, "%u pairs of %u experts in tiles of %u", n_pairs, n_expert,
             tile_tokens);
    lab_equal(what, fg_buffer_map(b[1]), pairs, n_pairs);
    lab_equal(what, fg_buffer_map(b[2]), tiles, (size_t)rows * 4);
    lab_untouched(what, (uint32_t *)fg_buffer_map(b[1]) + n_pairs, 16);
    lab_untouched(what, (uint32_t *)fg_buffer_map(b[2]) + rows * 4, 16);
    for (int i = 0; i < 3; i++)
        fg_buffer_destroy(b[i]);
    free(pairs);
    free(tiles);
}

static void test_group(void **state)
{
    static const uint32_t counts[] = {1, 2, 7, 64, 130, 1024}, of[] = {1, 2, 5, 64, 65, 1024};
    static const uint32_t tile_tokens[] = {1, 4, 8};
    uint32_t experts[1024];
    uint64_t seed = 2;

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t e = 0; e < sizeof of / sizeof *of; e++)
            for (size_t t = 0; t < 3; t++) {
                /* Evenly, or a few experts only. */
                uint32_t among = (c + e + t) % 3 == 0 ? (of[e] + 3) / 4 : of[e];

                for (uint32_t i = 0; i < counts[c]; i++)
                    experts[i] = of[e] - 1 - lab_below(&seed, among);
                check_group(*state, experts, counts[c], of[e], tile_tokens[t]);
            }
}

static void check_combine(struct lab *lab, uint32_t n_tokens, uint32_t n, uint32_t n_used,
                          uint64_t *seed)
{
    uint32_t ldy = n + 2, ldr = n + 1, ldx = n + 4, pairs = n_tokens * n_used;
    struct fg_combine_push push = {n_tokens, n, n_used, ldy, ldr, ldx, 3.5565588f};
    float *y = lab_alloc((size_t)pairs * ldy, 4), *w = lab_alloc(pairs, 4);
    float *r = lab_alloc((size_t)n_tokens * ldr, 4), *want = lab_alloc(n, 4);
    struct fg_buffer *b[4];
    const float *got;

    for (size_t i = 0; i < (size_t)pairs * ldy; i++)
        y[i] = lab_wide(seed, -40, 8);
    for (uint32_t i = 0; i < pairs; i++)
        w[i] = (lab_noise(seed) + 1) / 2;
    for (size_t i = 0; i < (size_t)n_tokens * ldr; i++)
        r[i] = lab_wide(seed, -99, 4);
    b[0] = lab_buffer(lab, y, (size_t)pairs * ldy * 4);
    b[1] = lab_buffer(lab, w, pairs * 4u);
    b[2] = lab_buffer(lab, r, (size_t)n_tokens * ldr * 4);
    b[3] = lab_buffer(lab, NULL, (size_t)n_tokens * ldx * 4);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "moe_combine",
                                             .buffers = b,
                                             .n = 4,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {(n + 63) / 64, n_tokens, 1}});
    got = fg_buffer_map(b[3]);
    for (uint32_t t = 0; t < n_tokens; t++) {
        fg_ref_combine((struct fg_ref_rows){y + (size_t)t * n_used * ldy, ldy}, w + t * n_used,
                       n_used, &(struct fg_ref_residual){r + (size_t)t * ldr, n, push.alpha}, n,
                       want);
        lab_equal("combine", got + (size_t)t * ldx, want, n);
        lab_untouched("combine", got + (size_t)t * ldx + n, ldx - n);
    }
    for (int i = 0; i < 4; i++)
        fg_buffer_destroy(b[i]);
    free(y);
    free(w);
    free(r);
    free(want);
}

/* The sum and the next norm in one kernel. */
static void check_combine_norm(struct lab *lab, uint32_t n_tokens, uint32_t n, uint32_t n_used,
                               uint64_t *seed)
{
    uint32_t ld = n + 4, pairs = n_tokens * n_used;
    struct fg_combine_norm_push push = {n_tokens,         n,    n_used, ld, 3.5565588f,
                                        (float)(1.0 / n), 1e-6f};
    float *y = lab_alloc((size_t)pairs * ld, 4), *w = lab_alloc(pairs, 4);
    float *r = lab_alloc((size_t)n_tokens * ld, 4), *norm = lab_alloc(n, 4);
    float *x = lab_alloc(n, 4), *want = lab_alloc(n, 4);
    struct fg_buffer *b[5];

    lab_fill_noise(seed, y, (size_t)pairs * ld, 3);
    lab_fill_noise(seed, r, (size_t)n_tokens * ld, 3);
    lab_fill_noise(seed, norm, n, 2);
    for (uint32_t i = 0; i < pairs; i++)
        w[i] = (lab_noise(seed) + 1) / 2;
    b[0] = lab_buffer(lab, y, (size_t)pairs * ld * 4);
    b[1] = lab_buffer(lab, w, pairs * 4u);
    b[2] = lab_buffer(lab, r, (size_t)n_tokens * ld * 4);
    b[3] = lab_buffer(lab, NULL, (size_t)n_tokens * ld * 4);
    b[4] = lab_buffer(lab, norm, n * 4u);
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "moe_combine_norm",
                                             .buffers = b,
                                             .n = 5,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {n_tokens, 1, 1}});
    for (uint32_t t = 0; t < n_tokens; t++) {
        fg_ref_combine((struct fg_ref_rows){y + (size_t)t * n_used * ld, ld}, w + t * n_used,
                       n_used, &(struct fg_ref_residual){r + (size_t)t * ld, n, push.alpha}, n, x);
        fg_ref_rmsnorm(x, norm, n, push.eps, want);
        lab_equal("combined", (float *)fg_buffer_map(b[3]) + (size_t)t * ld, x, n);
        lab_untouched("combined", (float *)fg_buffer_map(b[3]) + (size_t)t * ld + n, ld - n);
        lab_equal("normed", (float *)fg_buffer_map(b[2]) + (size_t)t * ld, want, n);
        lab_equal("the residual's end", (float *)fg_buffer_map(b[2]) + (size_t)t * ld + n,
                  r + (size_t)t * ld + n, ld - n);
    }
    for (int i = 0; i < 5; i++)
        fg_buffer_destroy(b[i]);
    free(y);
    free(w);
    free(r);
    free(norm);
    free(x);
    free(want);
}

static void test_combine_norm(void **state)
{
    static const uint32_t widths[] = {1, 63, 64, 65, 200, 768};
    uint64_t seed = 4;

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (uint32_t used = 1; used <= 4; used++)
            check_combine_norm(*state, 1 + used, widths[i], used, &seed);
}

static void test_combine(void **state)
{
    static const uint32_t widths[] = {1, 63, 64, 65, 200};
    uint64_t seed = 3;

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (uint32_t used = 1; used <= 8; used++)
            check_combine(*state, 1 + used, widths[i], used, &seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route),        cmocka_unit_test(test_route_ties),
        cmocka_unit_test(test_group),        cmocka_unit_test(test_combine),
        cmocka_unit_test(test_combine_norm), cmocka_unit_test(test_route_biased),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
