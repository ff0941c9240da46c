#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "problem.h"

#include "ops/matmul.h"
#include "ops/quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 200 };

static const uint32_t token_counts[] = {1, 2, 3, 4, 5, 17, 64};

void problem_init(struct problem *p, struct lab *lab, enum fg_dtype type, uint32_t rows, uint32_t k,
                  uint64_t *seed)
{
    struct fg_ref_matrix w;
    struct fg_ref_residual residual;
    float *x, *r;

    *p = (struct problem){.type = type,
                          .rows = rows,
                          .k = k,
                          .ldx = fg_round_up(k, 32) + 4,
                          .ldy = rows + 5,
                          .ldr = rows + 1,
                          .alpha = 0.75f + lab_noise(seed) / 8};
    p->raw = lab_rows(seed, type, rows, k);
    x = lab_alloc((size_t)MOST_TOKENS * p->ldx, sizeof *x);
    r = lab_alloc((size_t)MOST_TOKENS * p->ldr, sizeof *r);
    for (size_t i = 0; i < (size_t)MOST_TOKENS * p->ldx; i++)
        x[i] = lab_wide(seed, -10, 4); /* what lies past k as well: it meets zero weights */
    for (size_t i = 0; i < (size_t)MOST_TOKENS * p->ldr; i++)
        r[i] = lab_wide(seed, -10, 4);
    w = (struct fg_ref_matrix){
        type, p->raw, k, rows, lab->ops.numerics == FG_NUMERICS_INT8, lab_scales(type)};
    residual = (struct fg_ref_residual){r, p->ldr, p->alpha};
    for (int i = 0; i < 2; i++) {
        p->want[i] = lab_alloc((size_t)MOST_TOKENS * rows, sizeof(float));
        fg_ref_matmul(&w, (struct fg_ref_rows){x, p->ldx}, MOST_TOKENS, i ? &residual : NULL,
                      p->want[i], rows);
    }
    p->quantized.buffer = lab_buffer(lab, NULL, (size_t)MOST_TOKENS * fg_quantized_row(k) * 4);
    p->x = lab_buffer(lab, x, (size_t)MOST_TOKENS * p->ldx * 4);
    p->residual = lab_buffer(lab, r, (size_t)MOST_TOKENS * p->ldr * 4);
    for (int i = 0; i < COUNTS; i++)
        p->y[i] = lab_buffer(lab, NULL, ((size_t)token_counts[i] + 1) * p->ldy * 4);
    free(x);
    free(r);
}

void *problem_gate(struct problem *p, struct lab *lab, uint64_t *seed)
{
    void *second = lab_rows(seed, p->type, p->rows, p->k);
    float *up = lab_alloc((size_t)MOST_TOKENS * p->rows, sizeof *up);
    struct fg_ref_matrix w = {
        p->type, second, p->k, p->rows, lab->ops.numerics == FG_NUMERICS_INT8, lab_scales(p->type)};

    fg_ref_matmul(&w, (struct fg_ref_rows){fg_buffer_map(p->x), p->ldx}, MOST_TOKENS, NULL, up,
                  p->rows);
    fg_ref_swiglu(FG_GATE_SILU, p->want[0], up, (size_t)MOST_TOKENS * p->rows);
    free(up);
    return second;
}

void problem_finish(struct problem *p)
{
    fg_buffer_destroy(p->x);
    fg_buffer_destroy(p->quantized.buffer);
    fg_buffer_destroy(p->residual);
    for (int i = 0; i < COUNTS; i++)
        fg_buffer_destroy(p->y[i]);
    fg_matrix_finish(&p->m);
    free(p->want[0]);
    free(p->want[1]);
    free(p->raw);
}

void problem_check(struct problem *p, struct lab *lab, const struct fg_tiling *t, bool residual,
                   int n_counts)
{
    struct fg_matmul product = {.m = &p->m, .alpha = p->alpha};
    char name[96], what[192];

    if (residual)
        product.residual = fg_view_of(p->residual, p->ldr, MOST_TOKENS, p->rows);
    lab->ops.one = lab->ops.many = *t;
    lab_begin(lab);
    for (int i = 0; i < n_counts; i++) {
        lab_wipe(p->y[i]);
        fg_cmd_barrier(lab->ops.cmd);
        product.x = fg_record_quantize(&lab->ops, fg_view_of(p->x, p->ldx, token_counts[i], p->k),
                                       &p->quantized);
        product.y = fg_view_of(p->y[i], p->ldy, token_counts[i], p->rows);
        fg_record_matmul(&lab->ops, &product);
    }
    lab_run(lab);
    for (int i = 0; i < n_counts; i++) {
        const float *y = fg_buffer_map(p->y[i]);

        snprintf(what, sizeof what, "%s: %u rows, k %u, %u tokens, residual %d",
                 variant_name(p->type, t, name), p->rows, p->k, token_counts[i], residual);
        for (uint32_t j = 0; j < token_counts[i]; j++) {
            lab_equal(what, y + (size_t)j * p->ldy, p->want[residual] + (size_t)j * p->rows,
                      p->rows);
            lab_untouched(what, y + (size_t)j * p->ldy + p->rows, p->ldy - p->rows);
        }
        lab_untouched(what, y + (size_t)token_counts[i] * p->ldy, p->ldy);
    }
}

void problem_reset(struct lab *lab)
{
    struct fg_err err;

    if (fg_ops_init(&lab->ops, &err))
        fail_msg("%s", err.text);
}

void problem_check_type(struct lab *lab, enum fg_dtype type, const uint32_t *rows, size_t n_rows,
                        const uint32_t *ks, size_t n_ks)
{
    struct variants v;
    uint64_t seed = 100 + (uint64_t)type;
    uint32_t turn = 0;

    variants_init(&v, lab, type, false, (MOST_ROWS + 31) / 32 * 32 * 1024 * 4);
    if (lab_few_shapes(type))
        variants_thin(&v, type, 2);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t k = 0; k < n_ks; k++) {
            struct problem p;

            if (ks[k] % fg_dtype_block_elems(type) != 0)
                continue;
            problem_init(&p, lab, type, rows[r], ks[k], &seed);
            lab_upload(
                lab, &(struct lab_weights){.type = type, .rows = p.raw, .k = p.k, .n_rows = p.rows},
                &p.m);
            assert_int_equal(p.m.n_parts, 1);
            /* The larger counts in turns: they cost the most and bring the least. */
            for (uint32_t i = 0; i < v.n; i++, turn++)
                problem_check(&p, lab, &v.list[i], turn % 2,
                              turn % 23 == 0 ? COUNTS : (turn % 5 == 0 ? COUNTS - 1 : COUNTS - 2));
            problem_finish(&p);
        }
    problem_reset(lab);
}
