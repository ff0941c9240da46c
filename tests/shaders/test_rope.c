/* Rotation and the writing of KV pages against C: both layouts, partial rotation, both cache types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/block_tokens.h"
#include "canon.h"
#include "lab.h"
#include "model/blocks/block.h"
#include "model/rope_table.h"
#include "tables.h"
#include "shaders/lib/rows.h"
#include "shaders/rope/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    uint32_t n_head, n_kv, d, rope_dim;
};

static const struct shape shapes[] = {
    {1, 1, 16, 16}, {3, 1, 24, 8}, {8, 2, 64, 64}, {6, 3, 40, 32}, {4, 4, 128, 64}, {2, 1, 256, 2},
};

/* Tokens of two sequences: a run over a page border, another elsewhere. */
static const struct fg_token_row tokens[] = {
    {0, 62, 0, 0}, {0, 63, 0, 0},  {0, 64, 0, 0},  {0, 65, 0, 0},
    {0, 0, 1, 0},  {0, 191, 1, 0}, {0, 128, 0, 0}, {0, 32000, 2, 0},
};
#define NORM_EPS 1e-5f
enum { TOKENS = sizeof tokens / sizeof *tokens, MAX_PAGES = 512, N_PAGES = 9 };

/* Page tables in disorder; each used page is used once. */
static uint32_t *page_table(void)
{
    uint32_t *table = lab_alloc((size_t)3 * MAX_PAGES, 4);

    table[0] = 7, table[1] = 2, table[2] = 8;
    table[MAX_PAGES] = 4, table[MAX_PAGES + 2] = 1;
    table[2 * MAX_PAGES + 500] = 5;
    return table;
}

/* What the page holds then, in the place where it lies. */
static void put(void *pages, enum fg_kv_type kv, size_t at, float x)
{
    if (kv == FG_KV_F16)
        ((uint16_t *)pages)[at] = fg_ref_f16_round(x);
    else
        ((float *)pages)[at] = x;
}

/* What the shader is to do: to rows of ld floats, and to the pages that they are written to. */
struct problem {
    const struct shape *s;
    enum fg_kv_type kv;
    bool neox;
    uint32_t ld;
    const float *rope;
    const uint32_t *table;
    bool gated; /* and normed */
    const float *q_norm, *k_norm;
};

/* A head behind its norm, where it has one, and rotated. */
static void rotate(const struct problem *p, float *x, const float *norm, const float *cs)
{
    if (p->gated)
        fg_ref_head_norm(x, norm, p->s->d, NORM_EPS);
    fg_ref_rope(x, p->s->d, p->s->rope_dim, p->neox, cs);
}

static void reference(const struct problem *p, float *qkv, void *pages)
{
    const struct shape *s = p->s;
    struct lab_pages in = {p->kv, s->n_kv, s->d};

    for (uint32_t t = 0; t < TOKENS; t++) {
        uint32_t page = p->table[tokens[t].seq * MAX_PAGES + tokens[t].pos / FG_BLOCK_TOKENS];
        uint32_t j = tokens[t].pos % FG_BLOCK_TOKENS;
        const float *cs = p->rope + (size_t)t * s->rope_dim;
        uint32_t step = p->gated ? 2 * s->d : s->d;
        float *q = qkv + (size_t)t * p->ld, *k = q + s->n_head * step, *v = k + s->n_kv * s->d;

        for (uint32_t h = 0; h < s->n_head; h++)
            rotate(p, q + h * step, p->q_norm, cs);
        for (uint32_t h = 0; h < s->n_kv; h++) {
            rotate(p, k + h * s->d, p->k_norm, cs);
            for (uint32_t i = 0; i < s->d; i++) {
                struct lab_place at = {page, h, i, j};

                put(pages, p->kv, lab_page_at(&in, false, at), k[h * s->d + i]);
                put(pages, p->kv, lab_page_at(&in, true, at), v[h * s->d + i]);
            }
        }
    }
}

/* Magnitudes that f16 clamps, rounds and makes denormal; flushed, as products are. */
static float *make_rows(uint64_t *seed, uint32_t ld)
{
    float *x = lab_alloc((size_t)TOKENS * ld, 4);

    for (size_t i = 0; i < (size_t)TOKENS * ld; i++)
        x[i] = lab_wide(seed, i % 7 == 0 ? -99 : -27, i % 5 == 0 ? 18 : 3);
    return x;
}

/* neox: 2 is that of gated heads with norms. */
static void check_shape(struct lab *lab, const struct shape *s, enum fg_kv_type kv, int neox,
                        uint64_t *seed)
{
    bool gated = neox == 2;
    uint32_t *table = page_table(), heads = s->n_head + 2 * s->n_kv;
    uint32_t step = gated ? 2 * s->d : s->d, ld = s->n_head * step + 2 * s->n_kv * s->d + 3;
    const struct fg_rope_heads_push push = {
        {TOKENS, s->n_head, s->n_kv, s->d, s->rope_dim, neox != 0, ld, MAX_PAGES},
        step,
        gated,
        (float)(1.0 / s->d),
        NORM_EPS};
    char shader[32];
    size_t page_bytes = N_PAGES * lab_page_values(s->n_kv, s->d) * (kv == FG_KV_F16 ? 2 : 4);
    float *rope = lab_alloc((size_t)TOKENS * s->rope_dim, 4);
    void *pages = malloc(page_bytes);
    char what[96];
    float *qkv = make_rows(seed, ld);

    assert_non_null(pages);
    memset(pages, LAB_CANARY & 0xff, page_bytes);
    for (uint32_t t = 0; t < TOKENS; t++)
        fg_ref_rope_table(tokens[t].pos, s->rope_dim, 10000, NULL, &(struct fg_rope_scaling){0},
                          rope + (size_t)t * s->rope_dim);
    struct fg_buffer *b[] = {lab_buffer(lab, qkv, (size_t)TOKENS * ld * 4),
                             lab_buffer(lab, NULL, ((size_t)TOKENS * s->n_head * s->d + 16) * 4),
                             lab_buffer(lab, NULL, page_bytes),
                             lab_buffer(lab, tokens, sizeof tokens),
                             lab_buffer(lab, rope, (size_t)TOKENS * s->rope_dim * 4),
                             lab_buffer(lab, table, (size_t)3 * MAX_PAGES * 4),
                             lab_buffer(lab, NULL, s->d * 4),
                             lab_buffer(lab, NULL, s->d * 4)};
    snprintf(shader, sizeof shader, "rope_kv.%s%s", kv == FG_KV_F16 ? "f16" : "f32",
             gated ? ".heads" : "");
    lab_fill_noise(seed, fg_buffer_map(b[6]), s->d, 2);
    lab_fill_noise(seed, fg_buffer_map(b[7]), s->d, 2);
    lab_dispatch(lab,
                 &(struct lab_dispatch){.shader = shader,
                                        .buffers = b,
                                        .n = gated ? 8 : 6,
                                        .push = &push,
                                        .push_bytes = gated ? sizeof push : sizeof push.rope,
                                        .groups = {(heads * (s->d / 8) + 31) / 32, TOKENS, 1}});
    reference(&(struct problem){s, kv, neox != 0, ld, rope, table, gated, fg_buffer_map(b[6]),
                                fg_buffer_map(b[7])},
              qkv, pages);
    snprintf(what, sizeof what, "rope: %u and %u heads of %u, %u rotated, neox %d, %s", s->n_head,
             s->n_kv, s->d, s->rope_dim, neox, kv == FG_KV_F16 ? "f16" : "f32");
    for (uint32_t t = 0; t < TOKENS; t++)
        for (uint32_t h = 0; h < s->n_head; h++)
            lab_equal(what, (float *)fg_buffer_map(b[1]) + (size_t)(t * s->n_head + h) * s->d,
                      qkv + (size_t)t * ld + h * step, s->d);
    lab_untouched(what, (float *)fg_buffer_map(b[1]) + (size_t)TOKENS * s->n_head * s->d, 16);
    lab_equal(what, fg_buffer_map(b[2]), pages, page_bytes / 4); /* other rows untouched too */
    for (int i = 0; i < 8; i++)
        fg_buffer_destroy(b[i]);
    free(qkv), free(rope), free(table), free(pages);
}

static void test_rope(void **state)
{
    uint64_t seed = 1;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kv = FG_KV_F16; kv <= FG_KV_F32; kv++)
            for (int neox = 0; neox < 3; neox++)
                check_shape(*state, &shapes[i], (enum fg_kv_type)kv, neox, &seed);
}

/* The host's tables are those of the reference. */
static void test_tables(void **state)
{
    static const uint32_t heads[] = {1, 2, 3, 6, 8, 12, 64};
    float *got = lab_alloc(64 * 65, 4), want[65];
    struct fg_block_shape s = {.kind = &fg_lightning_block};

    (void)state;
    for (uint32_t n_layer = 1; n_layer <= 80; n_layer = n_layer * 3 + 1)
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            for (uint32_t layer = 0; layer < n_layer; layer++) {
                s.lightning.n_head = heads[i];
                s.lightning.index = layer;
                s.lightning.count = n_layer;
                assert_int_equal(s.kind->table_floats(&s), heads[i] * 65);
                s.kind->fill_table(&s, got);
                for (uint32_t h = 0; h < heads[i]; h++) {
                    fg_ref_decay_table(fg_ref_slope(h, heads[i], layer, n_layer), want);
                    lab_equal("decay", got + h * 65, want, 65);
                }
            }
    free(got);
}

/* Frequencies and magnitude as the reference has them; what scaling does to the first and last. */
static void test_frequencies(void **state)
{
    static const float factors[8] = {1, 1, 1.5f, 2, 2, 4, 8, 8};
    static const struct fg_rope_scaling scalings[] = {
        {0},
        {.factor = 1, .magnitude = 1},
        {.factor = 2.5f, .magnitude = 1.25f},
        {4, 1, true, 32, 1, 1, 4096, false},
        {16, 0.5f, true, 16, 2, 0.75f, 1024, false},
        {4, 1, true, 32, 1, 1, 8, false},        /* every frequency is low */
        {1, 1, true, 32, 1, 1, 1u << 30, false}, /* every one is high, and nothing is stretched */
        {4, 1, true, 32, 1, 1, 512, true},
    };
    double inv_freq[8], plain[8], magnitude;
    float cos_sin[16];

    (void)state;
    fg_rope_frequencies(16, 10000, NULL, &scalings[0], plain);
    for (size_t s = 0; s < sizeof scalings / sizeof *scalings; s++)
        for (int with = 0; with < 2; with++) {
            magnitude =
                fg_rope_frequencies(16, 10000, with ? factors : NULL, &scalings[s], inv_freq);
            fg_ref_rope_table(3, 16, 10000, with ? factors : NULL, &scalings[s], cos_sin);
            for (int i = 0; i < 8; i++) {
                assert_true((float)(magnitude * cos(3 * inv_freq[i])) == cos_sin[2 * i]);
                assert_true((float)(magnitude * sin(3 * inv_freq[i])) == cos_sin[2 * i + 1]);
            }
            if (scalings[s].yarn && scalings[s].n_ctx == 4096 && !with) {
                assert_true(inv_freq[0] == plain[0]);
                assert_true(fabs(inv_freq[7] - plain[7] / 4) < 1e-12);
                assert_true(fabs(magnitude - 1.1386294361119891) < 1e-12);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_frequencies),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
