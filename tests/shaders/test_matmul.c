/* Dense matrix products, in every variant of the shader, against C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "variants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t token_counts[] = {1, 2, 3, 4, 5, 17, 64};
enum { COUNTS = 7, MOST_TOKENS = 64, MOST_ROWS = 200, MOST_K = 1000 };

/* One matrix with its inputs, and what must come of them. */
struct problem {
    enum fg_dtype type;
    uint32_t rows, k, ldx, ldy, ldr;
    float alpha;
    void *raw;
    float *want[2]; /* [MOST_TOKENS][rows]: without residual, with */
    struct fg_matrix m;
    struct fg_buffer *x, *residual, *y[COUNTS];
};

static void problem_init(struct problem *p, struct lab *lab, enum fg_dtype type, uint32_t rows,
                         uint32_t k, uint64_t *seed)
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
    w = (struct fg_ref_matrix){type, p->raw, k, rows};
    residual = (struct fg_ref_residual){r, p->ldr, p->alpha};
    for (int i = 0; i < 2; i++) {
        p->want[i] = lab_alloc((size_t)MOST_TOKENS * rows, sizeof(float));
        fg_ref_matmul(&w, x, p->ldx, MOST_TOKENS, i ? &residual : NULL, p->want[i], rows);
    }
    p->x = lab_buffer(lab, x, (size_t)MOST_TOKENS * p->ldx * 4);
    p->residual = lab_buffer(lab, r, (size_t)MOST_TOKENS * p->ldr * 4);
    for (int i = 0; i < COUNTS; i++)
        p->y[i] = lab_buffer(lab, NULL, ((size_t)token_counts[i] + 1) * p->ldy * 4);
    free(x);
    free(r);
}

static void problem_finish(struct problem *p)
{
    fg_buffer_destroy(p->x);
    fg_buffer_destroy(p->residual);
    for (int i = 0; i < COUNTS; i++)
        fg_buffer_destroy(p->y[i]);
    fg_matrix_finish(&p->m);
    free(p->want[0]);
    free(p->want[1]);
    free(p->raw);
}

/* The first n_counts token counts with one variant. */
static void problem_check(struct problem *p, struct lab *lab, const struct fg_tiling *t,
                          bool residual, int n_counts)
{
    char name[96], what[192];

    lab->engine.one = lab->engine.many = *t;
    lab_begin(lab);
    for (int i = 0; i < n_counts; i++) {
        lab_wipe(p->y[i]);
        fg_record_matmul(&lab->engine, &p->m, p->x, p->ldx, p->y[i], p->ldy, token_counts[i],
                         residual ? p->residual : NULL, p->ldr, p->alpha);
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

/* The default tilings and the found way to expand f16, for the next test. */
static void reset(struct lab *lab)
{
    struct fg_err err;

    if (fg_kernels_init(&lab->engine, &err))
        fail_msg("%s", err.text);
}

static void check_type(struct lab *lab, enum fg_dtype type)
{
    static const uint32_t rows[] = {1, 31, 33, MOST_ROWS};
    static const uint32_t ks[] = {31, 32, 64, 65, 96, 160, 352, MOST_K};
    bool plain = fg_dtype_block_elems(type) == 1;
    struct variants v;
    uint64_t seed = 100 + (uint64_t)type;
    uint32_t turn = 0;

    variants_init(&v, lab, type, false, (MOST_ROWS + 31) / 32 * 32 * 1024 * 4);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t k = 0; k < sizeof ks / sizeof *ks; k++) {
            struct problem p;

            if (ks[k] % 32 != 0 && !plain)
                continue;
            problem_init(&p, lab, type, rows[r], ks[k], &seed);
            lab_upload(lab, type, p.raw, p.k, p.rows, 1, &p.m);
            assert_int_equal(p.m.n_parts, 1);
            /* The larger counts in turns: they cost the most and bring the least. */
            for (uint32_t i = 0; i < v.n; i++, turn++)
                problem_check(&p, lab, &v.list[i], turn % 2,
                              turn % 23 == 0 ? COUNTS : (turn % 5 == 0 ? COUNTS - 1 : COUNTS - 2));
            problem_finish(&p);
        }
    reset(lab);
}

static void test_f32(void **state)
{
    check_type(*state, FG_F32);
}

/* The integer expansion of f16, and where the device's own is exact, that one. */
static void test_f16(void **state)
{
    struct lab *lab = *state;
    uint32_t native = lab->engine.native_f16;

    check_type(lab, FG_F16);
    if (native) {
        struct problem p;
        struct variants v;
        uint64_t seed = 7;

        variants_init(&v, lab, FG_F16, false, 1 << 20);
        problem_init(&p, lab, FG_F16, 65, 200, &seed);
        lab_upload(lab, FG_F16, p.raw, p.k, p.rows, 1, &p.m);
        lab->engine.native_f16 = 0;
        for (uint32_t i = 0; i < v.n; i += 3)
            problem_check(&p, lab, &v.list[i], i % 2, COUNTS);
        problem_finish(&p);
        reset(lab);
    }
}

static void test_bf16(void **state)
{
    check_type(*state, FG_BF16);
}

static void test_q8_0(void **state)
{
    check_type(*state, FG_Q8_0);
}

static void test_q4_0(void **state)
{
    check_type(*state, FG_Q4_0);
}

static void test_q4_1(void **state)
{
    check_type(*state, FG_Q4_1);
}

/* Matrices whose rows do not fit one binding: 2 tiles a part, the last part ragged. */
static void test_split_rows(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 11;

    for (int i = 0; i < LAB_TYPES; i++) {
        enum fg_dtype type = lab_types[i];
        struct problem p;
        struct variants v;
        uint64_t range, tile = lab_tile_bytes(type, 352);

        problem_init(&p, lab, type, 200, 352, &seed);
        range = lab_set_storage_range(lab, 3 * tile - 16);
        lab_upload(lab, type, p.raw, p.k, p.rows, 1, &p.m);
        lab_set_storage_range(lab, range);
        assert_int_equal(p.m.n_parts, 4);
        assert_int_equal(p.m.parts[3].row0, 192);
        assert_int_equal(p.m.parts[3].n_rows, 8);
        assert_int_equal(fg_buffer_bytes(p.m.parts[0].buffer), 2 * tile);
        variants_init(&v, lab, type, false, 1 << 20);
        for (uint32_t j = 0; j < v.n; j++)
            problem_check(&p, lab, &v.list[j], j % 2, COUNTS - 1);
        problem_finish(&p);
        /* Not even one tile fits. */
        struct fg_err err;
        void *raw = lab_rows(&seed, type, 32, 352);
        struct fg_tensor t = {
            .name = {"large", 5}, .type = type, .n_dims = 2, .ne = {352, 32, 1, 1}, .data = raw};

        lab_set_storage_range(lab, tile - 1);
        assert_int_equal(fg_matrix_init(&p.m, lab->uploader, &t, &err), FG_EUNSUPPORTED);
        lab_set_storage_range(lab, range);
        assert_non_null(strstr(err.text, "large"));
        free(raw);
    }
    reset(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),        cmocka_unit_test(test_f16),  cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_q8_0),       cmocka_unit_test(test_q4_0), cmocka_unit_test(test_q4_1),
        cmocka_unit_test(test_split_rows),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
