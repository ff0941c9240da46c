/* The best tokens on the device against a sort in C; and steps in which some pieces want them, some
 * logits, some nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine_state.h"
#include "ops/best.h"

#include "lab.h"
#include "pair.h"
#include "shaders/sample/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* best[0..k) of logits[0..n): the largest that is left, the first of equal ones. */
static void find_best(const float *logits, uint32_t n, uint32_t k, struct fg_best *best)
{
    bool *taken = lab_alloc(n, sizeof *taken);

    for (uint32_t b = 0; b < k; b++) {
        uint32_t at = n;

        for (uint32_t i = 0; i < n; i++)
            if (!taken[i] && (at == n || logits[i] > logits[at]))
                at = i;
        taken[at] = true;
        best[b] = (struct fg_best){(int32_t)at, logits[at]};
    }
    free(taken);
}

enum kind { RANDOM, FEW_VALUES, MANY_LOWEST, WITH_NAN, WITH_INFINITY, KINDS };

static void fill(enum kind kind, float *v, uint32_t n, uint64_t *seed)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = kind == FEW_VALUES ? (float)lab_below(seed, 3) - 1 : lab_wide(seed, -30, 30);
    for (uint32_t i = 0; kind == MANY_LOWEST && i < n; i++)
        if (lab_below(seed, 8))
            v[i] = -INFINITY;
    if (kind == WITH_NAN)
        v[lab_below(seed, n)] = lab_below(seed, 2) ? NAN : -NAN;
    if (kind == WITH_INFINITY)
        v[lab_below(seed, n)] = INFINITY;
}

/* Rows of 3 logits more than there are tokens to choose from; they are the highest. */
static void check_rows(struct lab *lab, enum kind kind, uint32_t n, uint32_t rows, uint32_t k)
{
    struct fg_best_rows best = {.k = k};
    uint64_t seed = n * 131 + rows + k + kind;
    uint32_t segments = (n + FG_C_BEST_SEGMENT - 1) / FG_C_BEST_SEGMENT;
    size_t pairs = (size_t)rows * (k + 1);
    uint32_t ld = n + 3;
    float *v = lab_alloc((size_t)rows * ld, sizeof *v);
    struct fg_best want[FG_BEST_MOST];
    char what[96];

    for (uint32_t r = 0; r < rows; r++)
        fill(kind, v + (size_t)r * ld, n, &seed);
    for (uint32_t i = 0; i < rows * ld; i++)
        v[i] = i % ld < n ? v[i] : 3e38f;
    best.logits = fg_view_of(lab_buffer(lab, v, (size_t)rows * ld * 4), ld, rows, n);
    for (int i = 0; i < 2; i++)
        best.passes[i] = lab_buffer(lab, NULL, pairs * segments * 8);
    best.readback = lab_buffer(lab, NULL, pairs * 8 + 64);
    lab_begin(lab);
    fg_record_best(&lab->ops, &best);
    lab_run(lab);
    const uint32_t *got = fg_buffer_map(best.readback);
    for (uint32_t r = 0; r < rows; r++, got += 2 * (k + 1)) {
        snprintf(what, sizeof what, "kind %d, row %u of %u, the %u best of %u", (int)kind, r, rows,
                 k, n);
        assert_int_equal(got[2 * k], kind == WITH_NAN || kind == WITH_INFINITY);
        find_best(v + (size_t)r * ld, n, k, want);
        for (uint32_t b = 0; kind < WITH_NAN && b < k; b++) {
            uint32_t bits;

            memcpy(&bits, &want[b].logit, 4);
            lab_equal(what, got + 2 * b, (uint32_t[]){bits, (uint32_t)want[b].id}, 2);
        }
    }
    lab_untouched("behind the best", (uint32_t *)fg_buffer_map(best.readback) + 2 * pairs, 16);
    fg_buffer_destroy(best.logits.buffer);
    fg_buffer_destroy(best.passes[0]);
    fg_buffer_destroy(best.passes[1]);
    fg_buffer_destroy(best.readback);
    free(v);
}

static void test_rows(void **state)
{
    static const uint32_t sizes[] = {1, 2, 63, 65, 1024, 1025, 5000, 70000};
    static const uint32_t ks[] = {1, 2, 40, FG_BEST_MOST};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
            for (int kind = 0; kind < KINDS; kind++)
                if (ks[i] <= sizes[s])
                    check_rows(*state, (enum kind)kind, sizes[s],
                               sizes[s] == 63 ? FG_HEAD_ROWS : 1 + (uint32_t)s % 3, ks[i]);
}

/* Sequences in a step: one wants the best, one logits of its last two, one the best and the
 * logits. */
static void test_step(void **state)
{
    struct lab *lab = *state;
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct tiny_model m = tiny_minimax();
    struct fg_best got[2][8], want[8];
    struct fg_err err;
    struct pair p;

    m.seed = 61;
    pair_init(&p, lab->device, tiny_model_write(&m), &opt);
    int32_t *tokens = pair_tokens(&p, 20, 6);
    float *reference = pair_reference(&p, tokens, 20);
    float *logits = lab_alloc((size_t)2 * p.vocab, sizeof *logits);
    float *spare = lab_alloc(p.vocab, sizeof *spare);
    struct fg_step_span pieces[] = {
        {.tokens = tokens, .n = 20, .n_best = 8, .best = got[0]},
        {.tokens = tokens, .n = 20, .n_logits = 2, .logits = logits},
        {.tokens = tokens, .n = 19},
        {.tokens = tokens, .n = 7, .n_best = 1, .best = got[1], .n_logits = 1, .logits = spare},
    };

    for (int i = 0; i < 4; i++)
        assert_int_equal(fg_seq_create(p.engine, &pieces[i].seq, &err), 0);
    if (fg_engine_step(p.engine, pieces, 4, &err))
        fail_msg("%s", err.text);
    lab_equal("logits beside the best", logits, reference + 18 * p.vocab, 2 * p.vocab);
    find_best(reference + 19 * p.vocab, p.vocab, 8, want);
    for (int b = 0; b < 8; b++)
        assert_true(got[0][b].id == want[b].id && got[0][b].logit == want[b].logit);
    find_best(reference + 6 * p.vocab, p.vocab, 1, want);
    assert_true(got[1][0].id == want[0].id && got[1][0].logit == want[0].logit);
    lab_equal("logits of the same token", spare, reference + 6 * p.vocab, p.vocab);
    /* Refused, and nothing grows. */
    const struct fg_step_span wrong[] = {
        {pieces[2].seq, tokens, 2, 2, logits, 1, got[0]},
        {pieces[2].seq, tokens, 1, 0, NULL, FG_BEST_MOST + 1, got[0]},
        {pieces[2].seq, tokens, 1, 0, NULL, 1, NULL},
    };
    for (int i = 0; i < 3; i++)
        assert_int_equal(fg_engine_step(p.engine, &wrong[i], 1, &err), FG_EINVAL);
    assert_int_equal(fg_seq_length(pieces[2].seq), 19);
    for (int i = 0; i < 4; i++)
        fg_seq_destroy(pieces[i].seq);
    free(tokens);
    free(reference);
    free(logits);
    free(spare);
    pair_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_step),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
