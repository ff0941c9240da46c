/* The gated delta rule against C, from rows of products to outputs: runs of all lengths and places
 * in their chunks, in every variant of the kernels; what is kept of a sequence is C's too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/block_tokens.h"
#include "delta.h"
#include "lab.h"
#include "ops/delta_rule.h"
#include "shaders/lib/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs of one round, a slot each: full chunks, parts that end one, begin one, and lie inside. */
static const struct fg_chunk_row runs[] = {
    {0, 64, 0, 1}, {64, 1, 0, 0}, {65, 1, 63, 4}, {66, 10, 54, 3}, {76, 23, 7, 2}, {99, 2, 61, 5},
};
/* One token each: what decoding does. */
static const struct fg_chunk_row singles[] = {{0, 1, 0, 0}, {1, 1, 63, 3}, {2, 1, 30, 5}};
enum { TOKENS = 101, SLOTS = 6, ROW0 = 3, MOST_RUNS = 6 };

static const struct fg_ref_delta_shape shapes[] = {
    {1, 1, 8, 4, 1e-6f},   {2, 6, 32, 4, 1e-6f},  {3, 3, 24, 2, 1e-5f},
    {2, 4, 128, 4, 1e-6f}, {1, 2, 256, 3, 1e-6f},
};

struct problem {
    struct fg_ref_delta_shape s;
    struct fg_delta_shape dims;
    size_t channels, columns, ld, width;
    float *rows, *want, *taps, *decay, *bias, *norm;
    struct fg_ref_delta slots[SLOTS];
    struct fg_buffer *b_rows, *b_taps, *b_decay, *b_bias, *b_norm, *b_state, *b_tail, *b_k, *b_u;
    struct fg_buffer *b_log, *b_q, *b_v, *b_system, *b_strength, *b_out, *b_y, *b_chunks;
};

static float *noise(uint64_t *seed, size_t n, float range)
{
    float *x = lab_alloc(n, 4);

    lab_fill_noise(seed, x, n, range);
    return x;
}

/* Memory of every slot as if tokens had gone before. */
static void fill_slots(struct problem *p, uint64_t *seed)
{
    const struct fg_ref_delta_weights w = {p->taps, p->decay, p->bias, p->norm};
    const struct fg_ref_delta_shape *s = &p->s;

    for (int i = 0; i < SLOTS; i++) {
        struct fg_ref_delta *l = &p->slots[i];

        assert_true(fg_ref_delta_init(l, s, &w));
        lab_fill_noise(seed, l->tail, (s->taps - 1) * p->channels, 3);
        lab_fill_noise(seed, l->k, FG_BLOCK_TOKENS * s->n_head_k * s->d, 0.4f);
        lab_fill_noise(seed, l->u, FG_BLOCK_TOKENS * p->width, 2);
        lab_fill_noise(seed, l->state, p->width * s->d, 2);
        for (size_t h = 0; h < s->n_head_v; h++)
            for (int j = 0; j < FG_BLOCK_TOKENS; j++) {
                float *log = l->log_decay + h * FG_BLOCK_TOKENS + j;

                *log = (j ? log[-1] : 0) - (float)lab_below(seed, 100) * 0.01f * (float)(h % 3);
            }
    }
}

/* Between a slot's plain rows and the device's: k [head][d/4][64][4], u [head][64][d]. */
static void device_k(const struct problem *p, const float *k, float *out)
{
    size_t d = p->s.d, heads = p->s.n_head_k;

    for (size_t j = 0; j < FG_BLOCK_TOKENS; j++)
        for (size_t h = 0; h < heads; h++)
            for (size_t c = 0; c < d; c++)
                out[((h * (d / 4) + c / 4) * FG_BLOCK_TOKENS + j) * 4 + c % 4] =
                    k[(j * heads + h) * d + c];
}

static void device_u(const struct problem *p, const float *u, float *out)
{
    size_t d = p->s.d, heads = p->s.n_head_v;

    for (size_t j = 0; j < FG_BLOCK_TOKENS; j++)
        for (size_t h = 0; h < heads; h++)
            memcpy(out + (h * FG_BLOCK_TOKENS + j) * d, u + (j * heads + h) * d, d * 4);
}

/* Floats of a slot. */
struct sizes {
    size_t state, tail, k, u, log;
};

static struct sizes sizes_of(const struct problem *p)
{
    size_t chunk = FG_BLOCK_TOKENS;

    return (struct sizes){p->width * p->s.d, (p->s.taps - 1) * p->channels,
                          chunk * p->s.n_head_k * p->s.d, chunk * p->width, chunk * p->s.n_head_v};
}

/* Writes what the slots hold to the device's buffers, or compares them. */
static void upload_slots(struct problem *p)
{
    struct sizes z = sizes_of(p);

    for (size_t i = 0; i < SLOTS; i++) {
        const struct fg_ref_delta *l = &p->slots[i];

        memcpy((float *)fg_buffer_map(p->b_state) + i * z.state, l->state, z.state * 4);
        memcpy((float *)fg_buffer_map(p->b_tail) + i * z.tail, l->tail, z.tail * 4);
        memcpy((float *)fg_buffer_map(p->b_log) + i * z.log, l->log_decay, z.log * 4);
        device_k(p, l->k, (float *)fg_buffer_map(p->b_k) + i * z.k);
        device_u(p, l->u, (float *)fg_buffer_map(p->b_u) + i * z.u);
    }
}

static void compare_slots(const struct problem *p, const char *what)
{
    struct sizes z = sizes_of(p);
    float *k = lab_alloc(z.k, 4), *u = lab_alloc(z.u, 4);

    for (size_t i = 0; i < SLOTS; i++) {
        const struct fg_ref_delta *l = &p->slots[i];

        device_k(p, l->k, k);
        device_u(p, l->u, u);
        lab_equal(what, (float *)fg_buffer_map(p->b_log) + i * z.log, l->log_decay, z.log);
        lab_equal(what, (float *)fg_buffer_map(p->b_k) + i * z.k, k, z.k);
        lab_equal(what, (float *)fg_buffer_map(p->b_u) + i * z.u, u, z.u);
        lab_equal(what, (float *)fg_buffer_map(p->b_tail) + i * z.tail, l->tail, z.tail);
        lab_equal(what, (float *)fg_buffer_map(p->b_state) + i * z.state, l->state, z.state);
    }
    free(k);
    free(u);
}

static void make_buffers(struct problem *p, struct lab *lab)
{
    struct sizes z = sizes_of(p);
    size_t heads = p->s.n_head_v;

    p->b_rows = lab_buffer(lab, p->rows, TOKENS * p->ld * 4);
    p->b_taps = lab_buffer(lab, p->taps, p->channels * p->s.taps * 4);
    p->b_decay = lab_buffer(lab, p->decay, heads * 4);
    p->b_bias = lab_buffer(lab, p->bias, heads * 4);
    p->b_norm = lab_buffer(lab, p->norm, p->s.d * 4);
    p->b_state = lab_buffer(lab, NULL, SLOTS * z.state * 4);
    p->b_tail = lab_buffer(lab, NULL, SLOTS * z.tail * 4);
    p->b_k = lab_buffer(lab, NULL, SLOTS * z.k * 4);
    p->b_u = lab_buffer(lab, NULL, SLOTS * z.u * 4);
    p->b_log = lab_buffer(lab, NULL, SLOTS * z.log * 4);
    p->b_q = lab_buffer(lab, NULL, TOKENS * p->s.n_head_k * p->s.d * 4);
    p->b_v = lab_buffer(lab, NULL, TOKENS * p->width * 4);
    p->b_system = lab_buffer(lab, NULL, (size_t)TOKENS * heads * FG_BLOCK_TOKENS * 4);
    p->b_strength = lab_buffer(lab, NULL, TOKENS * heads * 4);
    p->b_out = lab_buffer(lab, NULL, TOKENS * p->width * 4);
    p->b_y = lab_buffer(lab, NULL, TOKENS * p->width * 4);
    p->b_chunks = lab_buffer(lab, NULL, (ROW0 + MOST_RUNS) * sizeof *runs);
}

static void problem_init(struct problem *p, struct lab *lab, const struct fg_ref_delta_shape *s,
                         uint64_t *seed)
{
    *p = (struct problem){.s = *s};
    p->dims = (struct fg_delta_shape){(uint32_t)s->n_head_k, (uint32_t)s->n_head_v, (uint32_t)s->d,
                                      (uint32_t)s->taps};
    p->channels = fg_delta_channels(&p->dims);
    p->columns = fg_delta_columns(&p->dims);
    p->ld = (p->columns + 31) / 32 * 32;
    p->width = s->n_head_v * s->d;
    p->rows = noise(seed, TOKENS * p->ld, 3);
    p->want = lab_alloc(TOKENS * p->width, 4);
    p->taps = noise(seed, p->channels * s->taps, 1);
    p->bias = noise(seed, s->n_head_v, 4);
    p->norm = noise(seed, s->d, 2);
    p->decay = noise(seed, s->n_head_v, 1);
    /* From a memory of thousands of tokens to one of less than one. */
    for (size_t h = 0; h < s->n_head_v; h++)
        p->decay[h] = h % 3 == 0 ? -0.001f : h % 3 == 1 ? p->decay[h] - 1 : -20;
    make_buffers(p, lab);
    fill_slots(p, seed);
}

static void problem_finish(struct problem *p)
{
    struct fg_buffer *const all[] = {p->b_rows,  p->b_taps,  p->b_decay,  p->b_bias,     p->b_norm,
                                     p->b_state, p->b_tail,  p->b_k,      p->b_u,        p->b_log,
                                     p->b_q,     p->b_v,     p->b_system, p->b_strength, p->b_out,
                                     p->b_y,     p->b_chunks};
    float *const plain[] = {p->rows, p->want, p->taps, p->decay, p->bias, p->norm};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fg_buffer_destroy(all[i]);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        free(plain[i]);
    for (int i = 0; i < SLOTS; i++)
        fg_ref_delta_finish(&p->slots[i]);
}

/* Records one round of n runs and its gates, and runs it. */
static void compute(struct problem *p, struct lab *lab, const struct fg_chunk_row *rows, uint32_t n)
{
    const struct fg_step_round round = {ROW0, n, true};
    uint32_t tokens = rows[n - 1].token + rows[n - 1].n;
    const struct fg_step_shape step = {
        .n_tokens = tokens, .n_single = tokens == n ? n : 0, .n_rounds = 1, .rounds = &round};
    const struct fg_step_tables tables = {.chunks = p->b_chunks};
    struct fg_view x = fg_view_of(p->b_rows, (uint32_t)p->ld, tokens, (uint32_t)p->columns);
    struct fg_view out = fg_view_of(p->b_out, (uint32_t)p->width, tokens, (uint32_t)p->width);

    memcpy((struct fg_chunk_row *)fg_buffer_map(p->b_chunks) + ROW0, rows, n * sizeof *rows);
    lab_begin(lab);
    fg_record_delta_rule(&lab->ops, &(struct fg_delta_rule){.shape = p->dims,
                                                            .rows = x,
                                                            .taps = p->b_taps,
                                                            .decay = p->b_decay,
                                                            .bias = p->b_bias,
                                                            .state = p->b_state,
                                                            .tail = p->b_tail,
                                                            .k_rows = p->b_k,
                                                            .u_rows = p->b_u,
                                                            .log_decay = p->b_log,
                                                            .q = p->b_q,
                                                            .v = p->b_v,
                                                            .system = p->b_system,
                                                            .strength = p->b_strength,
                                                            .out = out,
                                                            .tables = &tables,
                                                            .step = &step});
    fg_record_delta_gate(&lab->ops,
                         &(struct fg_delta_gate){.shape = &p->dims,
                                                 .x = out,
                                                 .rows = x,
                                                 .y = fg_view_of(p->b_y, out.stride, tokens, out.k),
                                                 .w = p->b_norm,
                                                 .eps = p->s.eps});
    lab_run(lab);
}

static void reference(struct problem *p, const struct fg_chunk_row *rows, uint32_t n)
{
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < rows[r].n; i++) {
            size_t t = rows[r].token + i;

            fg_ref_delta_token(&p->slots[rows[r].seq], rows[r].first + i, p->rows + t * p->ld,
                               p->want + t * p->width);
        }
}

static void check(struct lab *lab, const struct fg_ref_delta_shape *s,
                  const struct fg_chunk_row *rows, uint32_t n)
{
    uint32_t spread = lab->ops.attend_spread, tokens = rows[n - 1].token + rows[n - 1].n;
    uint64_t seed = 1;
    struct problem p;
    char what[96];

    /* Through shared memory, and as the device likes it. */
    for (int own = 0; own < 2; own++) {
        problem_init(&p, lab, s, &seed);
        lab->ops.attend_spread = own ? spread : 0;
        upload_slots(&p);
        compute(&p, lab, rows, n);
        reference(&p, rows, n);
        snprintf(what, sizeof what, "%zu and %zu heads of %zu, %u runs, spread %u", s->n_head_k,
                 s->n_head_v, s->d, n, lab->ops.attend_spread);
        lab->ops.attend_spread = spread;
        compare_slots(&p, what);
        lab_equal(what, fg_buffer_map(p.b_y), p.want, tokens * p.width);
        lab_untouched(what, (float *)fg_buffer_map(p.b_y) + tokens * p.width,
                      (TOKENS - tokens) * p.width);
        problem_finish(&p);
    }
}

static void test_runs(void **state)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check(*state, &shapes[i], runs, sizeof runs / sizeof *runs);
}

static void test_singles(void **state)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check(*state, &shapes[i], singles, sizeof singles / sizeof *singles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_singles),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
