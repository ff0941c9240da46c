/* The modes beside exact. int8: every quantized type in every variant, by f32 and by integer dot
 * products, and whole models, bit for bit the plain C reference. fused: near it, and the same
 * whatever a step holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine_state.h"
#include "ops/matmul.h"
#include "ops/quantize.h"
#include "pair.h"
#include "problem.h"
#include "shaders/matmul/params.h"

#include <stdlib.h>
#include <string.h>

static void set_mode(struct lab *lab, enum fg_numerics mode)
{
    lab->ops.numerics = mode;
    problem_reset(lab);
}

static bool is_plain(enum fg_dtype type)
{
    return type == FG_F32 || type == FG_F16 || type == FG_BF16 || type == FG_NVFP4;
}

/* --- int8: activations --- */

enum { Q_ROWS = 3 };

/* Blocks of all zeros, of ties, of the smallest and of large values; then random ones. */
static void fill_activations(float *x, uint32_t ld, uint32_t n_blocks)
{
    uint64_t seed = 3;

    for (uint32_t i = 0; i < Q_ROWS * ld; i++)
        x[i] = lab_wide(&seed, -20, 6);
    for (uint32_t i = 0; i < 32 && n_blocks > 3; i++) {
        x[i] = 0;
        x[32 + i] = i == 0 ? 127.0f : (float)i + 0.5f;
        x[64 + i] = i % 3 ? 0x1p-100f : -0x1p-99f;
        x[96 + i] = i % 2 ? 1e20f : -3e19f;
    }
}

static void check_quantize(struct lab *lab, uint32_t k, bool dot)
{
    struct fg_quantized_room room = {0};
    uint32_t nb = (k + 31) / 32, ld = nb * 32 + 4;
    size_t width = dot ? FG_C_BYTE_ROW(nb) : FG_C_WIDE_ROW(nb);
    float *x = lab_alloc((size_t)Q_ROWS * ld, sizeof *x), q[32];
    struct fg_buffer *from;
    const uint32_t *got;

    fill_activations(x, ld, nb);
    from = lab_buffer(lab, x, (size_t)Q_ROWS * ld * 4);
    room.buffer = lab_buffer(lab, NULL, (size_t)Q_ROWS * width * 16);
    lab->ops.int_dot = dot;
    lab_begin(lab);
    fg_record_quantize(&lab->ops, fg_view_of(from, ld, Q_ROWS, k), &room);
    lab_run(lab);
    got = fg_buffer_map(room.buffer);
    for (uint32_t r = 0; r < Q_ROWS; r++)
        for (uint32_t b = 0; b < nb; b++) {
            const uint32_t *row = got + r * width * 4;
            float d = fg_ref_quantize(x + r * ld + b * 32, q), got_d;

            memcpy(&got_d, row + (dot ? 8 : 32) * nb + b, 4);
            assert_true(d == got_d);
            for (uint32_t i = 0; i < 32; i++) {
                float value;

                assert_in_range((int)q[i] + 127, 0, 254);
                if (dot)
                    value = ((const int8_t *)row)[b * 32 + i];
                else
                    memcpy(&value, row + b * 32 + i, 4);
                assert_true(value == q[i]);
            }
        }
    fg_buffer_destroy(from);
    fg_buffer_destroy(room.buffer);
    free(x);
}

static void test_quantize(void **state)
{
    static const uint32_t ks[] = {32, 96, 128, 160, 352, 4160};
    struct lab *lab = *state;

    set_mode(lab, FG_NUMERICS_INT8);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (int dot = 0; dot < 2; dot++)
            check_quantize(lab, ks[i], dot);
    set_mode(lab, FG_NUMERICS_EXACT);
}

/* --- int8: products --- */

/* In every step-th variant, with a residual in every second one where there may be one. */
static void check_variants(struct lab *lab, struct problem *p, const struct variants *v,
                           uint32_t step, bool residual)
{
    for (uint32_t i = 0; i < v->n; i += step) {
        bool plain = !v->list[i].texel && v->list[i].spread == 0;

        lab->ops.int_dot = false;
        problem_check(p, lab, &v->list[i], residual && i % 2, COUNTS - 1);
        lab->ops.int_dot = lab->info->int_dot && plain;
        if (lab->ops.int_dot)
            problem_check(p, lab, &v->list[i], residual && i % 2, COUNTS - 1);
    }
}

/* In every variant for two types; of the others, whose expansion test_matmul has seen in all of
 * them, in some. */
static void check_products(struct lab *lab, enum fg_dtype type, uint32_t rows, uint32_t k)
{
    uint32_t step = type == FG_Q4_1 || type == FG_Q4_K ? 1 : 3;
    uint64_t seed = 500 + (uint64_t)type;
    struct variants v;
    struct problem p;
    void *second;

    variants_init(&v, lab, type, false, 1 << 20);
    problem_init(&p, lab, type, rows, k, &seed);
    lab_upload(lab, &(struct lab_weights){.type = type, .rows = p.raw, .k = k, .n_rows = rows},
               &p.m);
    if (lab_few_shapes(type)) {
        check_variants(lab, &p, &v, v.n, true); /* one, with integer dot products and without */
        problem_finish(&p);
        return;
    }
    check_variants(lab, &p, &v, step, true);
    fg_matrix_finish(&p.m);
    second = problem_gate(&p, lab, &seed);
    lab_upload(lab,
               &(struct lab_weights){
                   .type = type, .rows = p.raw, .second = second, .k = k, .n_rows = rows},
               &p.m);
    check_variants(lab, &p, &v, step + 3, false);
    problem_finish(&p);
    free(second);
}

static void test_int8_products(void **state)
{
    struct lab *lab = *state;

    set_mode(lab, FG_NUMERICS_INT8);
    if (!lab->info->int_dot)
        print_message("[ SKIP ] integer dot products: %s has none\n", lab->info->name);
    for (int i = 0; i < LAB_TYPES; i++) {
        uint32_t block = fg_dtype_block_elems(lab_types[i]);

        check_products(lab, lab_types[i], 33, fg_round_up(352, block));
        if (!is_plain(lab_types[i]) && !lab_few_shapes(lab_types[i]))
            check_products(lab, lab_types[i], 100, fg_round_up(1100, block));
    }
    set_mode(lab, FG_NUMERICS_EXACT);
}

/* --- int8: which operand --- */

/* Two inputs are quantized, and the product is of the one that it is given, not of the last. */
static void test_earlier_operand(void **state)
{
    struct lab *lab = *state;
    struct fg_quantized_room other = {0};
    struct fg_operand first, second;
    uint64_t seed = 77;
    struct problem p;
    float *noise;

    set_mode(lab, FG_NUMERICS_INT8);
    problem_init(&p, lab, FG_Q8_0, 33, 352, &seed);
    lab_upload(lab,
               &(struct lab_weights){.type = FG_Q8_0, .rows = p.raw, .k = p.k, .n_rows = p.rows},
               &p.m);
    noise = lab_alloc((size_t)MOST_TOKENS * p.k, sizeof *noise);
    lab_fill_noise(&seed, noise, (size_t)MOST_TOKENS * p.k, 1);
    struct fg_buffer *x = lab_buffer(lab, noise, (size_t)MOST_TOKENS * p.k * 4);
    other.buffer = lab_buffer(lab, NULL, (size_t)MOST_TOKENS * fg_quantized_row(p.k) * 4);
    lab_begin(lab);
    first = fg_record_quantize(&lab->ops, fg_view_of(p.x, p.ldx, MOST_TOKENS, p.k), &p.quantized);
    second = fg_record_quantize(&lab->ops, fg_view_of(x, p.k, MOST_TOKENS, p.k), &other);
    fg_record_matmul(
        &lab->ops,
        &(struct fg_matmul){
            .m = &p.m, .x = first, .y = fg_view_of(p.y[COUNTS - 1], p.rows, MOST_TOKENS, p.rows)});
    lab_run(lab);
    lab_equal("a product of the operand quantized first", fg_buffer_map(p.y[COUNTS - 1]), p.want[0],
              (size_t)MOST_TOKENS * p.rows);
    assert_int_equal(second.quantized.rows, MOST_TOKENS);
    fg_buffer_destroy(x);
    fg_buffer_destroy(other.buffer);
    free(noise);
    problem_finish(&p);
    set_mode(lab, FG_NUMERICS_EXACT);
}

static void refused(struct lab *lab, const struct problem *p, struct fg_operand x, const char *why)
{
    struct fg_err err;

    lab_begin(lab);
    fg_record_matmul(
        &lab->ops,
        &(struct fg_matmul){.m = &p->m, .x = x, .y = fg_view_of(p->y[0], p->rows, 1, p->rows)});
    assert_int_equal(fg_cmd_run(lab->ops.cmd, &err), FG_EINVAL);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

/* An operand that was never quantized, one of another width, and one whose rows are gone. */
static void test_operands_refused(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 78;
    struct problem p;

    set_mode(lab, FG_NUMERICS_INT8);
    problem_init(&p, lab, FG_Q8_0, 33, 352, &seed);
    lab_upload(lab,
               &(struct lab_weights){.type = FG_Q8_0, .rows = p.raw, .k = p.k, .n_rows = p.rows},
               &p.m);
    lab_begin(lab);
    struct fg_view rows = fg_view_of(p.x, p.ldx, 4, p.k), narrow = fg_view_of(p.x, p.ldx, 4, 320);
    struct fg_operand gone = fg_record_quantize(&lab->ops, rows, &p.quantized);
    struct fg_operand other = fg_record_quantize(&lab->ops, narrow, &p.quantized);
    lab_run(lab);
    refused(lab, &p, (struct fg_operand){.plain = rows}, "the operand has none");
    refused(lab, &p, gone, "overwritten");
    refused(lab, &p, other, "of another shape");
    set_mode(lab, FG_NUMERICS_EXACT);
    refused(lab, &p, (struct fg_operand){.plain = narrow}, "of another shape");
    problem_finish(&p);
}

/* --- fused: products --- */

static void check_fused(struct lab *lab, enum fg_dtype type, const struct fg_tiling *one,
                        const struct fg_tiling *many)
{
    uint64_t seed = 900 + (uint64_t)type;
    struct problem p;
    float got[17 * 100];

    problem_init(&p, lab, type, 100, fg_round_up(352, fg_dtype_block_elems(type)), &seed);
    lab_upload(lab, &(struct lab_weights){.type = type, .rows = p.raw, .k = p.k, .n_rows = p.rows},
               &p.m);
    lab->ops.one = *one;
    lab->ops.many = *many;
    for (int i = 0; i < 2; i++) { /* of 1 and of 17 tokens */
        lab_begin(lab);
        fg_record_matmul(
            &lab->ops,
            &(struct fg_matmul){.m = &p.m,
                                .x.plain = fg_view_of(p.x, p.ldx, MOST_TOKENS, p.k),
                                .y = fg_view_of(p.y[i ? 5 : 0], p.ldy, i ? 17 : 1, p.rows),
                                .residual = fg_view_of(p.residual, p.ldr, MOST_TOKENS, p.rows),
                                .alpha = p.alpha});
        lab_run(lab);
    }
    for (uint32_t t = 0; t < 17; t++)
        memcpy(got + t * p.rows, (float *)fg_buffer_map(p.y[5]) + t * p.ldy, p.rows * 4);
    lab_equal("fused: one token, and among others", fg_buffer_map(p.y[0]), got, p.rows);
    assert_true(fg_ref_nmse(got, p.want[1], 17 * p.rows) < 1e-12);
    problem_finish(&p);
}

static void test_fused_products(void **state)
{
    struct lab *lab = *state;
    struct fg_tiling card[2] = {{32, 4, 1, 1, 0, false}, {64, 1, 2, 4, 0, false}};

    for (int i = 0; i < LAB_TYPES; i++) {
        if (lab_few_shapes(lab_types[i]) && lab_types[i] != FG_NVFP4 && lab_types[i] != FG_IQ2_S)
            continue; /* expanded as in the other modes */
        set_mode(lab, FG_NUMERICS_FUSED);
        struct fg_tiling here[2] = {lab->ops.one, lab->ops.many};

        check_fused(lab, lab_types[i], &here[0], &here[1]);
        check_fused(lab, lab_types[i], &card[0], &card[1]);
        /* How work is spread changes no bits on one device either. */
        check_fused(lab, lab_types[i], &here[0], &card[1]);
    }
    set_mode(lab, FG_NUMERICS_EXACT);
}

/* --- whole models --- */

static void check_splits(const struct pair *p, const char *what, const int32_t *tokens,
                         const float *want, uint32_t n)
{
    static const uint32_t splits[] = {1, 7, 64, 100};
    struct run r;

    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        run_init(&r, p, what, tokens, want, n);
        if (splits[i] == 1) {
            run_until(&r, 3, 1);
            run_until(&r, n - 5, 64);
        }
        run_until(&r, n, splits[i]);
        run_finish(&r);
    }
}

static void check_int8_model(struct fg_device *d, const struct tiny_model *m, const char *what)
{
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    uint32_t n = 150;
    struct pair p, exact;

    pair_init(&exact, d, tiny_model_write(m), &opt);
    opt.numerics = FG_NUMERICS_INT8;
    pair_init(&p, d, tiny_model_write(m), &opt);
    int32_t *tokens = pair_tokens(&p, n, m->seed);
    float *want = pair_reference(&p, tokens, n), *was = pair_reference(&exact, tokens, n);
    double error = fg_ref_nmse(want, was, (size_t)n * p.vocab);

    print_message("%s: NMSE of int8 to exact %.3g\n", what, error);
    assert_true(error > 0 && error < 1e-2);
    check_splits(&p, what, tokens, want, n);
    if (fg_device_info(d)->int_dot) {
        p.engine->ops.int_dot = true;
        p.engine->ops.one = (struct fg_tiling){32, 4, 1, 1, 0, false};
        p.engine->ops.many = (struct fg_tiling){64, 1, 2, 4, 0, false};
        check_splits(&p, "int8 by dot products", tokens, want, n);
    }
    free(tokens);
    free(want);
    free(was);
    pair_finish(&p);
    pair_finish(&exact);
}

static void test_int8_models(void **state)
{
    struct lab *lab = *state;
    struct tiny_model m = tiny_minimax();

    m.matrix = FG_Q8_0;
    m.seed = 41;
    check_int8_model(lab->device, &m, "minimax, int8");
    m = tiny_llama();
    m.matrix = FG_Q4_1;
    m.seed = 42;
    check_int8_model(lab->device, &m, "llama, int8");
}

static void test_fused_model(void **state)
{
    struct lab *lab = *state;
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct tiny_model m = tiny_minimax();
    uint32_t n = 128;
    struct fg_err err;
    struct pair p;

    m.matrix = FG_Q4_0;
    m.seed = 43;
    opt.numerics = FG_NUMERICS_FUSED;
    pair_init(&p, lab->device, tiny_model_write(&m), &opt);
    int32_t *tokens = pair_tokens(&p, n, m.seed);
    float *exact = pair_reference(&p, tokens, n);
    float *want = lab_alloc((size_t)n * p.vocab, sizeof *want);
    struct fg_step_span all = {.tokens = tokens, .n = n, .n_logits = n, .logits = want};

    if (fg_seq_create(p.engine, &all.seq, &err) || fg_engine_step(p.engine, &all, 1, &err))
        fail_msg("%s", err.text);
    fg_seq_destroy(all.seq);
    assert_true(fg_ref_nmse(want, exact, (size_t)n * p.vocab) < 1e-9);
    check_splits(&p, "minimax, fused", tokens, want, n);
    free(tokens);
    free(exact);
    free(want);
    pair_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize),        cmocka_unit_test(test_int8_products),
        cmocka_unit_test(test_earlier_operand), cmocka_unit_test(test_operands_refused),
        cmocka_unit_test(test_fused_products),  cmocka_unit_test(test_int8_models),
        cmocka_unit_test(test_fused_model),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
