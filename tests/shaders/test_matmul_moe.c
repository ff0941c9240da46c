/* Matrix products by expert against C: random routing, experts that nobody chose, matrices split
 * over several bindings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/matmul.h"

#include "variants.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXPERTS = 7, MOST_PAIRS = 96 };

struct shape {
    uint32_t rows, k, n_pairs, x_div;
    uint32_t choice; /* experts chosen from: those i with bit i */
};

static const struct shape shapes[] = {
    {33, 64, 1, 1, 1u << 6},                           /* one pair, the last expert */
    {33, 64, 2, 2, 0x7f},                              /* fewer pairs than experts */
    {100, 160, 50, 2, 0x2d},                           /* some experts empty */
    {31, 352, 96, 1, 0x7f},  {64, 32, 36, 3, 1u << 3}, /* all for one */
    {1, 128, 24, 8, 0x41},                             /* the first and the last */
};

struct problem {
    enum fg_dtype type;
    struct shape s;
    uint32_t ldx, ldy;
    void *raw, *second; /* second: NULL, or of a gated matrix */
    float *want;        /* [n_pairs][rows] */
    uint32_t experts[MOST_PAIRS];
    struct fg_matrix m;
    struct fg_buffer *x, *y;
};

static uint32_t choose(uint64_t *seed, uint32_t choice)
{
    uint32_t e;

    do
        e = lab_below(seed, EXPERTS);
    while (!(choice >> e & 1));
    return e;
}

/* y = W x of one expert. */
static void product(const struct problem *p, const void *raw, uint32_t expert, const float *x,
                    float *y)
{
    size_t bytes = p->s.rows * fg_dtype_row_bytes(p->type, p->s.k);
    const float *scales = lab_scales(p->type);
    struct fg_ref_matrix w = {p->type, (const char *)raw + expert * bytes, p->s.k, p->s.rows,
                              false,   scales ? scales + expert : NULL};

    fg_ref_matmul(&w, (struct fg_ref_rows){x, 0}, 1, NULL, y, 0);
}

static void problem_init(struct problem *p, struct lab *lab, enum fg_dtype type, struct shape s,
                         bool gated, uint64_t *seed)
{
    uint32_t n_x = (s.n_pairs + s.x_div - 1) / s.x_div;
    float *x;

    *p = (struct problem){.type = type, .s = s, .ldx = fg_round_up(s.k, 32) + 8, .ldy = s.rows + 3};
    p->raw = lab_rows(seed, type, (size_t)EXPERTS * s.rows, s.k);
    p->second = gated ? lab_rows(seed, type, (size_t)EXPERTS * s.rows, s.k) : NULL;
    x = lab_alloc((size_t)n_x * p->ldx, sizeof *x);
    for (size_t i = 0; i < (size_t)n_x * p->ldx; i++)
        x[i] = lab_wide(seed, -8, 3);
    p->want = lab_alloc((size_t)s.n_pairs * s.rows, sizeof *p->want);
    for (uint32_t i = 0; i < s.n_pairs; i++) {
        const float *x_row = x + (size_t)(i / s.x_div) * p->ldx;
        float *want = p->want + (size_t)i * s.rows;

        p->experts[i] = choose(seed, s.choice);
        product(p, p->raw, p->experts[i], x_row, want);
        if (gated) {
            float *up = lab_alloc(s.rows, sizeof *up);

            product(p, p->second, p->experts[i], x_row, up);
            fg_ref_swiglu(FG_GATE_SILU, want, up, s.rows);
            free(up);
        }
    }
    p->x = lab_buffer(lab, x, (size_t)n_x * p->ldx * 4);
    p->y = lab_buffer(lab, NULL, ((size_t)s.n_pairs + 1) * p->ldy * 4);
    free(x);
}

static void problem_finish(struct problem *p)
{
    fg_buffer_destroy(p->x);
    fg_buffer_destroy(p->y);
    free(p->raw);
    free(p->second);
    free(p->want);
}

static void problem_check(struct problem *p, struct lab *lab, const struct fg_tiling *t)
{
    struct fg_expert_groups groups = {.n_pairs = p->s.n_pairs, .n_used = 0, .n_expert = EXPERTS};
    uint32_t pairs[MOST_PAIRS], tiles[4 * (MOST_PAIRS + EXPERTS)], n = p->s.n_pairs;
    uint32_t rows = n / t->tokens + (EXPERTS < n ? EXPERTS : n);
    const float *y = fg_buffer_map(p->y);
    char name[96], what[192];

    lab_group(p->experts, n, EXPERTS, t->tokens, pairs, tiles);
    lab->ops.many = *t;
    groups.pairs = lab_buffer(lab, pairs, n * 4u);
    groups.pair_tiles = lab_buffer(lab, tiles, rows * 16u);
    lab_wipe(p->y);
    lab_begin(lab);
    fg_record_matmul_moe(&lab->ops, &(struct fg_matmul_moe){
                                        .m = &p->m,
                                        .x.plain = fg_view_of(p->x, p->ldx, n / p->s.x_div, p->s.k),
                                        .y = fg_view_of(p->y, p->ldy, n, p->s.rows),
                                        .groups = &groups,
                                        .x_div = p->s.x_div});
    lab_run(lab);
    fg_buffer_destroy(groups.pairs);
    fg_buffer_destroy(groups.pair_tiles);
    snprintf(what, sizeof what, "%s: %u rows, k %u, %u pairs, %u parts, gated %d",
             variant_name(p->type, t, name), p->s.rows, p->s.k, n, p->m.n_parts, p->m.gated);
    for (uint32_t i = 0; i < n; i++) {
        lab_equal(what, y + (size_t)i * p->ldy, p->want + (size_t)i * p->s.rows, p->s.rows);
        lab_untouched(what, y + (size_t)i * p->ldy + p->s.rows, p->ldy - p->s.rows);
    }
    lab_untouched(what, y + (size_t)n * p->ldy, p->ldy);
}

/* Whole, then three experts to a part. */
static void check_shape(struct lab *lab, enum fg_dtype type, struct shape s, bool gated,
                        const struct variants *v, uint64_t *seed)
{
    struct problem p;
    uint64_t bytes, range, grid = lab_grid_bytes(type);

    s.k = fg_round_up(s.k, fg_dtype_block_elems(type));
    problem_init(&p, lab, type, s, gated, seed);
    lab_upload(lab,
               &(struct lab_weights){.type = type,
                                     .rows = p.raw,
                                     .second = p.second,
                                     .k = s.k,
                                     .n_rows = s.rows,
                                     .n_experts = EXPERTS},
               &p.m);
    assert_int_equal(p.m.n_parts, 1);
    bytes = (fg_buffer_bytes(p.m.parts[0].buffer) - grid) / EXPERTS;
    for (uint32_t i = 0; i < v->n; i++)
        problem_check(&p, lab, &v->list[i]);
    fg_matrix_finish(&p.m);

    range = lab_set_storage_range(lab, grid + (4 * bytes - 1 > 8192 ? 4 * bytes - 1 : 8192));
    lab_upload(lab,
               &(struct lab_weights){.type = type,
                                     .rows = p.raw,
                                     .second = p.second,
                                     .k = s.k,
                                     .n_rows = s.rows,
                                     .n_experts = EXPERTS},
               &p.m);
    lab_set_storage_range(lab, range);
    if (4 * bytes > 8192) {
        assert_int_equal(p.m.n_parts, 3);
        assert_int_equal(p.m.parts[2].expert0, 6);
        assert_int_equal(p.m.parts[2].n_experts, 1);
    }
    for (uint32_t i = 0; i < v->n; i++)
        problem_check(&p, lab, &v->list[i]);
    fg_matrix_finish(&p.m);
    problem_finish(&p);
}

/* Every variant of one type; of the others, whose expansion test_matmul has seen in all of them,
 * some. */
static void test_moe(void **state)
{
    struct lab *lab = *state;
    struct fg_err err;

    for (int i = 0; i < LAB_TYPES; i++) {
        enum fg_dtype type = lab_types[i];
        uint64_t seed = 200 + (uint64_t)type;
        struct variants v;

        variants_init(&v, lab, type, true, 1 << 20);
        if (lab_few_shapes(type)) {
            variants_thin(&v, type, 8);
            check_shape(lab, type, shapes[3], false, &v, &seed);
            if (type == FG_NVFP4)
                check_shape(lab, type, shapes[2], true, &v, &seed);
            continue;
        }
        variants_keep(&v, type == FG_Q4_1 ? 1 : 4);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            check_shape(lab, type, shapes[s], false, &v, &seed);
        for (size_t s = 1; s < 4; s++)
            check_shape(lab, type, shapes[s], true, &v, &seed);
    }
    if (fg_ops_init(&lab->ops, &err))
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moe),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
