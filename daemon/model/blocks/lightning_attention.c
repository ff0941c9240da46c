/* Lightning attention: a state that decays, the rows of the chunk under way, and a gate on the
 * output. */
#include "block.h"
#include "shaders/abi/params.h"

#include <math.h>

#include "ops/lightning_attention.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

enum { QKV, GATE, OUTPUT };            /* slots of matrices */
enum { GATE_NORM };                    /* of vectors */
enum { STATE, K_ROWS, V_ROWS };        /* of memory */
enum { POWERS = FG_BLOCK_TOKENS + 1 }; /* of a head's decay: 0 .. 64 */

static uint32_t width(const struct fg_block_shape *s)
{
    return s->lightning.n_head * s->lightning.head_dim;
}

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    fg_table_matrix(t, QKV, "attn_qkv", s->n_embd, 3ull * width(s));
    fg_table_matrix(t, GATE, "attn_gate", s->n_embd, width(s));
    fg_table_vector(t, GATE_NORM, "attn_norm_2", width(s));
    fg_table_matrix(t, OUTPUT, "attn_output", width(s), s->n_embd);
}

static void memory(const struct fg_block_shape *s, enum fg_kv_type kv, struct fg_block_memory *m)
{
    uint64_t rows = 4ull * width(s) * FG_BLOCK_TOKENS;
    (void)kv;
    fg_block_memory_add(m, FG_MEMORY_STATE, "states", 4ull * width(s) * s->lightning.head_dim);
    fg_block_memory_add(m, FG_MEMORY_ROWS, "chunk rows", rows);
    fg_block_memory_add(m, FG_MEMORY_ROWS, "chunk rows", rows);
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    fg_need(&n->qkv, 3 * width(s));
    fg_need(&n->heads, width(s));
    fg_need(&n->gate, width(s));
    fg_need_operand(n, 1, width(s));
}

static int check(const struct fg_block_shape *s, struct fg_err *err)
{
    uint32_t d = s->lightning.head_dim;
    if (d % 8)
        return fg_fail(err, FG_EUNSUPPORTED, "head dimension %u: must be a multiple of 8", d);
    if (d > 256)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "head dimension %u: lightning attention supports up to 256", d);
    return 0;
}

static uint64_t table_floats(const struct fg_block_shape *s)
{
    return (uint64_t)s->lightning.n_head * POWERS;
}

/* ALiBi's slopes for a power of two: 2^(-8 (h+1) / n). */
static double slope_pow2(uint32_t n, uint32_t h)
{
    return exp2(-8.0 * (h + 1) / n);
}

/* For other counts: those of the nearest lower power of two P, then every other one of 2P. */
static double base_slope(uint32_t n_head, uint32_t h)
{
    uint32_t p = 1;
    while (p * 2 <= n_head)
        p *= 2;
    if (h < p)
        return slope_pow2(p, h);
    return slope_pow2(2 * p, 2 * (h - p));
}

/* lambda^0 .. lambda^64 of each head, in double, rounded once. */
static void fill_table(const struct fg_block_shape *s, float *out)
{
    uint32_t n_head = s->lightning.n_head, count = s->lightning.count;
    double depth = count > 1 ? (double)s->lightning.index / (count - 1) : 0.0;
    for (uint32_t h = 0; h < n_head; h++) {
        double slope = base_slope(n_head, h) * (1.0 - depth + 1e-5);
        for (uint32_t n = 0; n < POWERS; n++) {
            float v = (float)exp(-slope * n);
            out[h * POWERS + n] = v < 0x1p-100f ? 0.0f : v;
        }
    }
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    const struct fg_block_shape *s = &b->shape;
    uint32_t n = r->shape->n_tokens;
    struct fg_view qkv = fg_activation_rows(r->a->qkv, n, 3 * width(s));
    struct fg_view gate = fg_activation_rows(r->a->gate, n, width(s));
    struct fg_view attn = fg_activation_rows(r->a->attn, n, width(s));
    struct fg_view gated = fg_activation_rows(r->a->gated, n, width(s));
    struct fg_operand x = fg_record_quantize(r->ops, r->n, &r->a->quantized);

    fg_record_matmul(r->ops, &(struct fg_matmul){.m = &b->matrices[QKV], .x = x, .y = qkv});
    fg_record_matmul(r->ops, &(struct fg_matmul){.m = &b->matrices[GATE], .x = x, .y = gate});
    fg_cmd_barrier(r->ops->cmd);
    fg_record_lightning_attention(
        r->ops, &(struct fg_lightning_attention){.n_head = s->lightning.n_head,
                                                 .head_dim = s->lightning.head_dim,
                                                 .qkv = qkv,
                                                 .rotated = r->a->rotated,
                                                 .state = fg_block_memory(b, r, STATE),
                                                 .k_rows = fg_block_memory(b, r, K_ROWS),
                                                 .v_rows = fg_block_memory(b, r, V_ROWS),
                                                 .decay = b->table,
                                                 .out = attn,
                                                 .tables = r->tables,
                                                 .shape = r->shape});
    fg_record_gate(
        r->ops, &(struct fg_gate){.x = attn, .gate = gate, .y = gated, .w = b->vectors[GATE_NORM]});
    fg_block_project(b, r, OUTPUT, gated);
    return false;
}

const struct fg_block_kind fg_lightning_block = {.name = "lightning attention",
                                                 .tensors = tensors,
                                                 .memory = memory,
                                                 .needs = needs,
                                                 .check = check,
                                                 .table_floats = table_floats,
                                                 .fill_table = fill_table,
                                                 .record = record};
