/* Lightning attention against C: the chunk's rows, the outputs, the folding of a full chunk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/block_tokens.h"
#include "lab.h"
#include "tables.h"
#include "shaders/lib/rows.h"
#include "shaders/lightning/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs of one round, a slot each: full chunks, parts that end one, begin one, and lie inside. */
static const struct fg_chunk_row runs[] = {
    {0, 64, 0, 1}, {64, 1, 0, 0}, {65, 1, 63, 4}, {66, 10, 54, 3}, {76, 23, 7, 2}, {99, 2, 61, 6},
};
enum { RUNS = sizeof runs / sizeof *runs, TOKENS = 101, SLOTS = 7, ROW0 = 3 };

static const struct {
    uint32_t n_head, d;
} shapes[] = {{3, 8}, {1, 16}, {5, 24}, {8, 64}, {2, 96}, {2, 128}, {1, 256}};

struct problem {
    uint32_t n_head, d, ldx, ldo, width; /* width: heads x d */
    float *qkv, *decay;
    float *q;     /* [TOKENS][head][d], after silu */
    float *k, *v; /* [slot][64][head][d]: rows of the chunk before the runs, then with them */
    float *state; /* [slot][head][d][d] */
    struct fg_buffer *b_qkv, *b_q, *b_k, *b_v, *b_state, *b_decay, *b_rows, *b_o;
    struct fg_lightning_push push;
};

static float *noise(uint64_t *seed, size_t n, float range)
{
    float *x = lab_alloc(n, 4);

    lab_fill_noise(seed, x, n, range);
    return x;
}

/* Between the plain rows and the device's: k [slot][head][d/4][64][4], v [slot][head][64][d]. */
static float *device_rows(const struct problem *p, bool is_v)
{
    const float *rows = is_v ? p->v : p->k;
    float *out = lab_alloc((size_t)SLOTS * FG_BLOCK_TOKENS * p->width, 4);

    for (size_t s = 0; s < SLOTS; s++)
        for (size_t j = 0; j < FG_BLOCK_TOKENS; j++)
            for (size_t h = 0; h < p->n_head; h++)
                for (size_t c = 0; c < p->d; c++) {
                    size_t slot = s * p->n_head + h;
                    size_t at =
                        is_v ? (slot * FG_BLOCK_TOKENS + j) * p->d + c
                             : ((slot * (p->d / 4) + c / 4) * FG_BLOCK_TOKENS + j) * 4 + c % 4;

                    out[at] = rows[(s * FG_BLOCK_TOKENS + j) * p->width + h * p->d + c];
                }
    return out;
}

static struct fg_buffer *upload_rows(struct lab *lab, const struct problem *p, bool is_v)
{
    float *rows = device_rows(p, is_v);
    struct fg_buffer *b = lab_buffer(lab, rows, (size_t)SLOTS * FG_BLOCK_TOKENS * p->width * 4);

    free(rows);
    return b;
}

static void problem_init(struct problem *p, struct lab *lab, uint32_t n_head, uint32_t d,
                         uint64_t *seed)
{
    struct fg_chunk_row rows[ROW0 + RUNS] = {0};

    *p = (struct problem){.n_head = n_head, .d = d, .width = n_head * d};
    p->ldx = 3 * p->width + 4;
    p->ldo = p->width + 8;
    p->push = (struct fg_lightning_push){ROW0, n_head, d, p->ldx, p->ldo};
    p->qkv = noise(seed, (size_t)TOKENS * p->ldx, 6);
    p->q = lab_alloc((size_t)TOKENS * p->width, 4);
    p->k = noise(seed, (size_t)SLOTS * FG_BLOCK_TOKENS * p->width, 2);
    p->v = noise(seed, (size_t)SLOTS * FG_BLOCK_TOKENS * p->width, 2);
    p->state = noise(seed, (size_t)SLOTS * p->width * d, 20);
    p->decay = lab_alloc((size_t)n_head * 65, 4);
    for (uint32_t h = 0; h < n_head; h++)
        fg_ref_decay_table(fg_ref_slope(h, n_head, 1, 4), p->decay + h * 65);
    memcpy(rows + ROW0, runs, sizeof runs);
    p->b_qkv = lab_buffer(lab, p->qkv, (size_t)TOKENS * p->ldx * 4);
    p->b_q = lab_buffer(lab, NULL, (size_t)TOKENS * p->width * 4);
    p->b_k = upload_rows(lab, p, false);
    p->b_v = upload_rows(lab, p, true);
    p->b_state = lab_buffer(lab, p->state, (size_t)SLOTS * p->width * d * 4);
    p->b_decay = lab_buffer(lab, p->decay, (size_t)n_head * 65 * 4);
    p->b_rows = lab_buffer(lab, rows, sizeof rows);
    p->b_o = lab_buffer(lab, NULL, (size_t)TOKENS * p->ldo * 4);
}

static void problem_finish(struct problem *p)
{
    struct fg_buffer *const all[] = {p->b_qkv,   p->b_q,     p->b_k,    p->b_v,
                                     p->b_state, p->b_decay, p->b_rows, p->b_o};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fg_buffer_destroy(all[i]);
    free(p->qkv);
    free(p->q);
    free(p->k);
    free(p->v);
    free(p->state);
    free(p->decay);
}

/* q, k and v through silu, to their places; rows of other slots and positions stay. */
static void check_rows(struct problem *p, struct lab *lab, const char *what)
{
    struct fg_buffer *b[] = {p->b_qkv, p->b_q, p->b_k, p->b_v, p->b_rows};
    float *k, *v;

    lab_dispatch(lab, &(struct lab_dispatch){
                          .shader = "lightning_rows",
                          .buffers = b,
                          .n = 5,
                          .push = &p->push,
                          .push_bytes = sizeof p->push,
                          .groups = {(p->n_head * (p->d / 4) + 31) / 32, FG_BLOCK_TOKENS, RUNS}});
    for (uint32_t t = 0; t < TOKENS; t++)
        fg_ref_silu_rows(p->qkv + (size_t)t * p->ldx, 3 * p->width);
    for (int r = 0; r < RUNS; r++)
        for (uint32_t i = 0; i < runs[r].n; i++)
            for (uint32_t h = 0; h < p->n_head; h++) {
                const float *from = p->qkv + (size_t)(runs[r].token + i) * p->ldx + 3 * h * p->d;
                size_t row = ((size_t)runs[r].seq * FG_BLOCK_TOKENS + runs[r].first + i) * p->width;

                memcpy(p->q + (size_t)(runs[r].token + i) * p->width + h * p->d, from, p->d * 4);
                memcpy(p->k + row + h * p->d, from + p->d, p->d * 4);
                memcpy(p->v + row + h * p->d, from + 2 * p->d, p->d * 4);
            }
    k = device_rows(p, false);
    v = device_rows(p, true);
    lab_equal(what, fg_buffer_map(p->b_q), p->q, (size_t)TOKENS * p->width);
    lab_equal(what, fg_buffer_map(p->b_k), k, (size_t)SLOTS * FG_BLOCK_TOKENS * p->width);
    lab_equal(what, fg_buffer_map(p->b_v), v, (size_t)SLOTS * FG_BLOCK_TOKENS * p->width);
    free(k);
    free(v);
}

/* [TOKENS][ldo], the padding as the device must leave it. */
static float *reference_outputs(const struct problem *p)
{
    float *want = lab_alloc((size_t)TOKENS * p->ldo, 4);

    for (size_t i = 0; i < (size_t)TOKENS * p->ldo; i++)
        want[i] = lab_canary();
    for (int r = 0; r < RUNS; r++)
        for (uint32_t i = 0; i < runs[r].n; i++)
            for (uint32_t h = 0; h < p->n_head; h++) {
                size_t t = runs[r].token + i,
                       chunk = runs[r].seq * (size_t)FG_BLOCK_TOKENS * p->width;

                fg_ref_lightning_attend(p->q + t * p->width + h * p->d,
                                        &(struct fg_ref_keys){p->k + chunk + h * p->d,
                                                              p->v + chunk + h * p->d, p->width,
                                                              runs[r].first + i + 1},
                                        p->state + (runs[r].seq * p->n_head + h) * p->d * p->d,
                                        p->decay + h * 65, p->d, want + t * p->ldo + h * p->d);
            }
    return want;
}

/* Every variant, with 1, 2, 4 and 8 tokens a workgroup; on the smaller shapes only 1 and 4, which
 * the engine uses. */
static void check_attend(struct problem *p, struct lab *lab, const char *shape)
{
    struct fg_buffer *b[] = {p->b_q, p->b_k, p->b_v, p->b_state, p->b_decay, p->b_rows, p->b_o};
    float *want = reference_outputs(p);
    uint64_t largest = fg_buffer_bytes(p->b_state);
    const char *name;
    char what[128];

    if (fg_buffer_bytes(p->b_k) > largest)
        largest = fg_buffer_bytes(p->b_k);
    for (uint32_t i = 0; (name = lab_variant(lab, "lightning_attend", largest, i)) != NULL; i++)
        for (uint32_t tokens = 1; tokens <= 8; tokens *= 2) {
            const uint32_t spec[FG_SPEC_COUNT] = {tokens, 0, p->d, 0, 0};
            const char *own = strstr(name, ".t"); /* the variant's own number */

            if (own ? strtoul(own + 2, NULL, 10) != tokens
                    : p->d != 64 && (tokens == 2 || tokens == 8))
                continue;
            lab_wipe(p->b_o);
            lab_dispatch(lab,
                         &(struct lab_dispatch){
                             .shader = name,
                             .spec = spec,
                             .buffers = b,
                             .n = 7,
                             .push = &p->push,
                             .push_bytes = sizeof p->push,
                             .groups = {p->n_head, (FG_BLOCK_TOKENS + tokens - 1) / tokens, RUNS}});
            snprintf(what, sizeof what, "%s, %u tokens, %s", name, tokens, shape);
            lab_equal(what, fg_buffer_map(p->b_o), want, (size_t)TOKENS * p->ldo);
        }
    free(want);
}

/* Every variant; only the runs that end their chunk fold it. */
static void check_fold(struct problem *p, struct lab *lab, const char *shape)
{
    struct fg_buffer *b[] = {p->b_k, p->b_v, p->b_state, p->b_decay, p->b_rows};
    const uint32_t spec[FG_SPEC_COUNT] = {0, 0, p->d, 0, 0};
    uint64_t bytes = fg_buffer_bytes(p->b_k);
    float *before = lab_alloc((size_t)SLOTS * p->width * p->d, 4);
    const char *name;
    char what[128];

    memcpy(before, p->state, (size_t)SLOTS * p->width * p->d * 4);
    for (int r = 0; r < RUNS; r++)
        for (uint32_t h = 0; h < p->n_head && runs[r].first + runs[r].n == FG_BLOCK_TOKENS; h++) {
            size_t chunk = runs[r].seq * (size_t)FG_BLOCK_TOKENS * p->width + h * p->d;

            fg_ref_lightning_fold(
                p->state + (runs[r].seq * p->n_head + h) * p->d * p->d,
                &(struct fg_ref_keys){p->k + chunk, p->v + chunk, p->width, FG_REF_CHUNK},
                p->decay + h * 65, p->d);
        }
    for (uint32_t i = 0; (name = lab_variant(lab, "lightning_fold", bytes, i)) != NULL; i++) {
        uint32_t groups = strstr(name, ".tex") ? p->d / 4 : (p->d * (p->d / 4) + 63) / 64;

        memcpy(fg_buffer_map(p->b_state), before, (size_t)SLOTS * p->width * p->d * 4);
        lab_dispatch(lab, &(struct lab_dispatch){.shader = name,
                                                 .spec = spec,
                                                 .buffers = b,
                                                 .n = 5,
                                                 .push = &p->push,
                                                 .push_bytes = sizeof p->push,
                                                 .groups = {groups, p->n_head, RUNS}});
        snprintf(what, sizeof what, "%s, %s", name, shape);
        lab_equal(what, fg_buffer_map(p->b_state), p->state, (size_t)SLOTS * p->width * p->d);
    }
    free(before);
}

static void test_lightning(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 1;
    char what[64];

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct problem p;

        problem_init(&p, lab, shapes[i].n_head, shapes[i].d, &seed);
        snprintf(what, sizeof what, "lightning: %u heads of %u", p.n_head, p.d);
        check_rows(&p, lab, what);
        check_attend(&p, lab, what);
        check_fold(&p, lab, what);
        problem_finish(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lightning),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
