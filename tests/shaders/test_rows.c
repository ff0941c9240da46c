/* Operations on rows against C: embedding, RMS norm, SwiGLU, lightning attention's output gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/embed.h"
#include "ops/norm.h"

#include "canon.h"
#include "lab.h"
#include "shaders/ffn/params.h"
#include "shaders/lib/rows.h"
#include "shaders/lightning/params.h"

#include <stdio.h>
#include <stdlib.h>

/* --- embedding --- */

enum { VOCAB = 173, TOKENS = 9 };

/* The matrix as one part, or as several when range is not 0. */
static void check_embed(struct lab *lab, enum fg_dtype type, uint32_t k, uint64_t range,
                        uint64_t *seed)
{
    const float scale = k % 64 ? 1 : 5.5f;
    static const uint32_t ids[TOKENS] = {0, 31, 32, 172, 100, 63, 64, 172, 5};
    struct fg_matrix m;
    struct fg_embed embed = {.m = &m, .scale = scale};
    uint32_t ld = fg_round_up(k, 32) + 32;
    struct fg_token_row tokens[TOKENS] = {0};
    void *raw = lab_rows(seed, type, VOCAB, k);
    struct fg_ref_matrix w = {type, raw, k, VOCAB, false, lab_scales(type)};
    float *want = lab_alloc(fg_round_up(k, 32), 4);
    const float *got;
    char what[64];

    if (range)
        range = lab_set_storage_range(lab, range);
    lab_upload(lab, &(struct lab_weights){.type = type, .rows = raw, .k = k, .n_rows = VOCAB}, &m);
    if (range)
        lab_set_storage_range(lab, range);
    assert_true(range ? m.n_parts > 1 : m.n_parts == 1);
    for (int t = 0; t < TOKENS; t++)
        tokens[t].id = ids[t];
    embed.tokens = lab_buffer(lab, tokens, sizeof tokens);
    embed.y = fg_view_of(lab_buffer(lab, NULL, (size_t)(TOKENS + 1) * ld * 4), ld, TOKENS, k);
    lab_begin(lab);
    fg_record_embed(&lab->ops, &embed);
    lab_run(lab);
    got = fg_buffer_map(embed.y.buffer);
    snprintf(what, sizeof what, "embed %s, k %u, %u parts", fg_type_suffix(type), k, m.n_parts);
    for (int t = 0; t < TOKENS; t++) {
        const float *row = got + (size_t)t * ld;

        fg_ref_embed(&w, ids[t], scale, want); /* what follows in the last block is 0 */
        lab_equal(what, row, want, fg_round_up(k, 32));
        lab_untouched(what, row + ld - 32, 32);
    }
    lab_untouched(what, got + (size_t)TOKENS * ld, ld);
    fg_buffer_destroy(embed.tokens);
    fg_buffer_destroy(embed.y.buffer);
    fg_matrix_finish(&m);
    free(raw);
    free(want);
}

static void test_embed(void **state)
{
    static const uint32_t ks[] = {31, 32, 64, 96, 160, 256, 352, 1000, 1056, 2304};
    struct lab *lab = *state;
    uint64_t seed = 1;

    for (int i = 0; i < LAB_TYPES; i++)
        for (size_t k = 0; k < sizeof ks / sizeof *ks; k++) {
            enum fg_dtype type = lab_types[i];

            if (ks[k] % fg_dtype_block_elems(type) != 0)
                continue;
            check_embed(lab, type, ks[k], 0, &seed);
            if (ks[k] == 352 || ks[k] == 2304) /* 2 tiles a part */
                check_embed(lab, type, ks[k],
                            lab_grid_bytes(type) + 3 * lab_tile_bytes(type, ks[k]) - 16, &seed);
        }
    /* Without the device's own f16 expansion. */
    uint32_t native = lab->ops.native_f16;
    lab->ops.native_f16 = 0;
    check_embed(lab, FG_F16, 352, 0, &seed);
    lab->ops.native_f16 = native;
}

/* --- norms --- */

enum { NORM_ROWS = 70 };
static const uint32_t widths[] = {1, 2, 63, 64, 65, 100, 128, 1000};
enum { WIDTHS = sizeof widths / sizeof *widths };

/* Rows of ordinary, of tiny, of large and of no values. */
static float *make_rows(uint64_t *seed, uint32_t n_rows, uint32_t ld)
{
    float *x = lab_alloc((size_t)n_rows * ld, sizeof *x);

    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t i = 0; i < ld; i++)
            switch (r % 5) {
            case 0: x[(size_t)r * ld + i] = lab_noise(seed); break;
            case 1: x[(size_t)r * ld + i] = lab_wide(seed, -12, 10); break;
            case 2: x[(size_t)r * ld + i] = lab_wide(seed, -99, -60); break;
            case 3: x[(size_t)r * ld + i] = lab_wide(seed, 20, 24); break;
            default: break;
            }
    return x;
}

/* Rows in order, then 64 of them by index, from entry 64 of the table on. */
static void check_norm(struct lab *lab, uint32_t n, uint64_t *seed)
{
    uint32_t ld = n + 3, ldy = n + 2, index[128] = {0};
    float *x = make_rows(seed, NORM_ROWS, ld), *w = make_rows(seed, 1, n), *want = lab_alloc(n, 4);
    struct fg_buffer *xb = lab_buffer(lab, x, (size_t)NORM_ROWS * ld * 4);
    struct fg_buffer *wb = lab_buffer(lab, w, n * 4u), *y[2];
    struct fg_buffer *ib;

    for (int i = 64; i < 128; i++)
        index[i] = lab_below(seed, NORM_ROWS);
    ib = lab_buffer(lab, index, sizeof index);
    y[0] = lab_buffer(lab, NULL, (size_t)NORM_ROWS * ldy * 4);
    y[1] = lab_buffer(lab, NULL, (size_t)64 * ldy * 4);
    struct fg_norm norm = {.x = fg_view_of(xb, ld, NORM_ROWS, n), .w = wb, .eps = 1e-5f};
    lab_begin(lab);
    norm.y = fg_view_of(y[0], ldy, NORM_ROWS, n);
    fg_record_norm(&lab->ops, &norm);
    norm.y = fg_view_of(y[1], ldy, 64, n);
    norm.index = ib;
    norm.index_at = 64;
    fg_record_norm(&lab->ops, &norm);
    lab_run(lab);
    for (uint32_t i = 0; i < NORM_ROWS + 64; i++) {
        uint32_t from = i < NORM_ROWS ? i : index[i - NORM_ROWS + 64];
        const float *got = i < NORM_ROWS
                               ? (float *)fg_buffer_map(y[0]) + (size_t)i * ldy
                               : (float *)fg_buffer_map(y[1]) + (size_t)(i - NORM_ROWS) * ldy;

        fg_ref_rmsnorm(x + (size_t)from * ld, w, n, 1e-5f, want);
        lab_equal(i < NORM_ROWS ? "norm" : "gathered norm", got, want, n);
        lab_untouched("norm", got + n, ldy - n);
    }
    fg_buffer_destroy(xb);
    fg_buffer_destroy(wb);
    fg_buffer_destroy(ib);
    fg_buffer_destroy(y[0]);
    fg_buffer_destroy(y[1]);
    free(x);
    free(w);
    free(want);
}

static void test_norm(void **state)
{
    uint64_t seed = 2;

    for (int i = 0; i < WIDTHS; i++)
        check_norm(*state, widths[i], &seed);
}

/* In place, of columns in the middle; others stay. */
static void test_norm_part(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 5;

    for (int i = 0; i < WIDTHS; i++) {
        uint32_t n = widths[i], at = i + 1, ld = fg_round_up(at + n + 3, 4);
        float *x = make_rows(&seed, NORM_ROWS, ld), *w = make_rows(&seed, 1, n);
        struct fg_buffer *xb = lab_buffer(lab, x, (size_t)NORM_ROWS * ld * 4);
        struct fg_buffer *wb = lab_buffer(lab, w, n * 4u);

        lab_begin(lab);
        fg_record_norm_part(
            &lab->ops,
            &(struct fg_norm_part){
                .x = fg_view_of(xb, ld, NORM_ROWS, ld), .at = at, .n = n, .w = wb, .eps = 1e-5f});
        lab_run(lab);
        for (size_t r = 0; r < NORM_ROWS; r++)
            fg_ref_rmsnorm(x + r * ld + at, w, n, 1e-5f, x + r * ld + at);
        lab_equal("norm of a part", fg_buffer_map(xb), x, (size_t)NORM_ROWS * ld);
        fg_buffer_destroy(xb);
        fg_buffer_destroy(wb);
        free(x);
        free(w);
    }
}

/* Added to another row, which is weighed. */
static void test_norm_add(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 6;

    for (int i = 0; i < WIDTHS; i++) {
        uint32_t n = widths[i], ld = fg_round_up(n + 1, 4);
        const struct fg_ref_norm norm = {make_rows(&seed, 1, n), n, 1e-5f};
        float *x = make_rows(&seed, NORM_ROWS, ld), *y = make_rows(&seed, NORM_ROWS + 1, ld);
        struct fg_buffer *xb = lab_buffer(lab, x, (size_t)NORM_ROWS * ld * 4);
        /* From the second row on: other kinds of values come together. */
        struct fg_buffer *yb = lab_buffer(lab, y + ld, (size_t)NORM_ROWS * ld * 4);
        struct fg_buffer *wb = lab_buffer(lab, norm.w, n * 4u);

        lab_begin(lab);
        fg_record_norm_add(&lab->ops, &(struct fg_norm_add){.n = fg_view_of(yb, ld, NORM_ROWS, n),
                                                            .x = fg_view_of(xb, ld, NORM_ROWS, n),
                                                            .w = wb,
                                                            .alpha = i % 2 ? 1 : 0.75f,
                                                            .eps = norm.eps});
        lab_run(lab);
        for (size_t r = 0; r < NORM_ROWS; r++)
            fg_ref_norm_add(x + r * ld, i % 2 ? 1 : 0.75f, y + (r + 1) * ld, &norm);
        lab_equal("norm added", fg_buffer_map(xb), x, (size_t)NORM_ROWS * ld);
        fg_buffer_destroy(xb);
        fg_buffer_destroy(yb);
        fg_buffer_destroy(wb);
        free(x);
        free(y);
        free((void *)norm.w);
    }
}

static void check_gate(struct lab *lab, uint32_t n, uint64_t *seed)
{
    enum { ROWS = 20 };
    uint32_t ldo = n + 1, ldg = n + 2, ldy = n + 3;
    struct fg_gate_push push = {ROWS, n, ldo, ldg, ldy, (float)(1.0 / n), 1e-6f};
    float *o = make_rows(seed, ROWS, ldo), *g = make_rows(seed, ROWS, ldg);
    float *w = make_rows(seed, 1, n), *want = lab_alloc(n, 4);
    struct fg_buffer *b[] = {lab_buffer(lab, o, (size_t)ROWS * ldo * 4),
                             lab_buffer(lab, g, (size_t)ROWS * ldg * 4), lab_buffer(lab, w, n * 4u),
                             lab_buffer(lab, NULL, (size_t)ROWS * ldy * 4)};
    const float *got = fg_buffer_map(b[3]);

    lab_dispatch(lab, &(struct lab_dispatch){.shader = "lightning_gate",
                                             .buffers = b,
                                             .n = 4,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {ROWS, 1, 1}});
    for (uint32_t t = 0; t < ROWS; t++) {
        fg_ref_gate(o + (size_t)t * ldo, g + (size_t)t * ldg, w, n, 1e-6f, want);
        lab_equal("gate", got + (size_t)t * ldy, want, n);
        lab_untouched("gate", got + (size_t)t * ldy + n, ldy - n);
    }
    for (int i = 0; i < 4; i++)
        fg_buffer_destroy(b[i]);
    free(o);
    free(g);
    free(w);
    free(want);
}

static void test_gate(void **state)
{
    uint64_t seed = 3;

    for (int i = 0; i < WIDTHS; i++)
        check_gate(*state, widths[i], &seed);
}

/* --- SwiGLU --- */

static void check_swiglu(struct lab *lab, enum fg_ffn_gate kind, uint32_t n, uint64_t *seed)
{
    static const char *const names[] = {"swiglu", "swiglu.gelu", "swiglu.clamped"};
    enum { ROWS = 20 };
    uint32_t ld = n + 5;
    struct fg_swiglu_push push = {ROWS, n, ld};
    float *g = make_rows(seed, ROWS, ld), *u = make_rows(seed, ROWS, ld);
    struct fg_buffer *b[] = {lab_buffer(lab, g, (size_t)ROWS * ld * 4),
                             lab_buffer(lab, u, (size_t)ROWS * ld * 4)};

    lab_dispatch(lab, &(struct lab_dispatch){.shader = names[kind],
                                             .buffers = b,
                                             .n = 2,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {(n + 63) / 64, ROWS, 1}});
    for (uint32_t t = 0; t < ROWS; t++)
        fg_ref_swiglu(kind, g + (size_t)t * ld, u + (size_t)t * ld, n);
    lab_equal(names[kind], fg_buffer_map(b[0]), g, (size_t)ROWS * ld); /* the padding stays */
    fg_buffer_destroy(b[0]);
    fg_buffer_destroy(b[1]);
    free(g);
    free(u);
}

static void test_swiglu(void **state)
{
    uint64_t seed = 4;

    for (int i = 0; i < WIDTHS; i++)
        for (int kind = FG_GATE_SILU; kind <= FG_GATE_CLAMPED; kind++)
            check_swiglu(*state, (enum fg_ffn_gate)kind, widths[i], &seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),     cmocka_unit_test(test_norm),
        cmocka_unit_test(test_norm_part), cmocka_unit_test(test_norm_add),
        cmocka_unit_test(test_gate),      cmocka_unit_test(test_swiglu),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
