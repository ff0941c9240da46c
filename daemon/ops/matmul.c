#include "matmul.h"

#include <stdio.h>

#include "quantize.h"
#include "shaders/matmul/params.h"

void fg_matmul_name(char name[FG_KERNEL_NAME], const char *base, enum fg_dtype type,
                    const struct fg_tiling *t, const char *variant)
{
    int n = snprintf(name, FG_KERNEL_NAME, "%s.%s.r%ut%u%s", base, fg_type_suffix(type), t->rows,
                     t->tokens, variant);
    if (t->texel)
        snprintf(name + n, FG_KERNEL_NAME - (size_t)n, ".tex");
    else if (t->spread)
        snprintf(name + n, FG_KERNEL_NAME - (size_t)n, ".sg%u", t->spread);
}

/* What a kernel's name is made of, in one word. */
enum { FUSED = 1, DOT = 2 };
static uint32_t variant_of(enum fg_dtype type, const struct fg_tiling *t, uint32_t arithmetic)
{
    return (uint32_t)type | t->rows << 8 | t->tokens << 12 | t->spread << 16 |
           (uint32_t)t->texel << 20 | arithmetic << 21;
}

static void write_name(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    static const char *const arithmetic[] = {"", ".fma", ".dot"};
    const struct fg_tiling t = {.rows = k->variant >> 8 & 15,
                                .tokens = k->variant >> 12 & 15,
                                .spread = k->variant >> 16 & 15,
                                .texel = k->variant >> 20 & 1};
    fg_matmul_name(name, k->base, (enum fg_dtype)(k->variant & 255), &t,
                   arithmetic[k->variant >> 21]);
}

static struct fg_kernel_key key_of(const struct fg_ops *o, const char *base,
                                   const struct fg_matrix *m, const struct fg_tiling *t)
{
    bool int8 = fg_takes_quantized(o, m->type);
    uint32_t arithmetic = o->numerics == FG_NUMERICS_FUSED ? FUSED : int8 && o->int_dot ? DOT : 0;
    return (struct fg_kernel_key){.base = base,
                                  .write_name = write_name,
                                  .variant = variant_of(m->type, t, arithmetic),
                                  .spec = {t->lanes, t->slices, m->gated, int8, o->native_f16}};
}

static const struct fg_tiling *tiling_for(const struct fg_ops *o, enum fg_dtype type, bool many)
{
    for (uint32_t i = 0; i < o->n_tuned; i++)
        if (o->tuned[i].type == type && o->tuned[i].many == many)
            return &o->tuned[i].tiling;
    return many ? &o->many : &o->one;
}

/* Workgroups along n_rows rows of what m gives. */
static uint32_t row_groups(const struct fg_tiling *t, const struct fg_matrix *m, uint32_t n_rows)
{
    uint32_t tile_rows = fg_matrix_tile_rows(m);
    uint32_t tiles = (n_rows + tile_rows - 1) / tile_rows, tiles_a_group = t->lanes * t->rows / 32;
    return (tiles + tiles_a_group - 1) / tiles_a_group;
}

/* The side of the operand that m multiplies; false: there is none, which fails the commands. */
static bool choose_side(struct fg_ops *o, const struct fg_matrix *m, const struct fg_operand *x,
                        uint32_t n_rows, struct fg_bind *bind, uint32_t *ldx4)
{
    const char *why = NULL;

    if (fg_takes_quantized(o, m->type)) {
        why = fg_quantized_refuses(o, x, m->k, n_rows);
        if (!why) {
            *bind = (struct fg_bind){x->quantized.room->buffer, 0, 0};
            *ldx4 = x->quantized.stride;
        }
    } else if (x->plain.k != m->k || x->plain.rows < n_rows) {
        why = "the operand is of another shape than the matrix wants";
    } else {
        *bind = (struct fg_bind){x->plain.buffer, 0, 0};
        *ldx4 = x->plain.stride / 4;
    }
    if (why)
        fg_ops_refuse(o, "matrix product", why);
    return !why;
}

void fg_record_matmul(struct fg_ops *o, const struct fg_matmul *a)
{
    const struct fg_matrix *m = a->m;
    uint32_t n_tokens = a->y.rows, ldx4;
    const struct fg_tiling *t = tiling_for(o, m->type, n_tokens > 1);
    struct fg_kernel_key key = key_of(o, "matmul", m, t);
    struct fg_bind x;

    if (!choose_side(o, m, &a->x, n_tokens, &x, &ldx4))
        return;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_matmul_push push = {.n_tokens = n_tokens,
                                      .n_rows = part->n_rows,
                                      .n_blocks = m->n_blocks,
                                      .scale_at = part->scale_at,
                                      .ldx4 = ldx4,
                                      .ldy = a->y.stride,
                                      .y_at = m->y_at + part->row0,
                                      .ldr = a->residual.stride,
                                      .residual = a->residual.buffer != NULL,
                                      .alpha = a->alpha};
        const struct fg_bind binds[] = {{part->buffer, 0, 0},
                                        x,
                                        {a->y.buffer, 0, 0},
                                        {a->residual.buffer ? a->residual.buffer : x.buffer, 0, 0}};
        fg_ops_dispatch(
            o, &key,
            &(struct fg_ops_call){.binds = binds,
                                  .n_binds = 4,
                                  .push = &push,
                                  .push_bytes = sizeof push,
                                  .groups = {row_groups(t, m, part->n_rows),
                                             (n_tokens + t->tokens - 1) / t->tokens, 1}});
    }
}

/* Tuning keeps to the tokens of the usual tilings, which is what grouping by expert needs. */
const struct fg_tiling *fg_moe_tiling(const struct fg_ops *o, const struct fg_expert_groups *g)
{
    return g->n_pairs == g->n_used ? &o->one : &o->many; /* a token's experts differ */
}

void fg_record_matmul_moe(struct fg_ops *o, const struct fg_matmul_moe *a)
{
    const struct fg_matrix *m = a->m;
    const struct fg_expert_groups *g = a->groups;
    const struct fg_tiling *t = tiling_for(o, m->type, g->n_pairs != g->n_used);
    struct fg_kernel_key key = key_of(o, "matmul_moe", m, t);
    uint32_t experts = g->n_expert < g->n_pairs ? g->n_expert : g->n_pairs, ldx4;
    struct fg_bind x;

    if (!choose_side(o, m, &a->x, g->n_pairs / a->x_div, &x, &ldx4))
        return;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_matmul_push push = {.n_rows = m->n_rows,
                                      .n_blocks = m->n_blocks,
                                      .scale_at = part->scale_at,
                                      .ldx4 = ldx4,
                                      .ldy = a->y.stride,
                                      .expert0 = part->expert0,
                                      .n_experts = part->n_experts,
                                      .x_div = a->x_div};
        const struct fg_bind binds[] = {{part->buffer, 0, 0},  x,
                                        {a->y.buffer, 0, 0},   x,
                                        {g->pair_tiles, 0, 0}, {g->pairs, 0, 0}};
        uint32_t tiles = g->n_pairs == g->n_used ? g->n_pairs : g->n_pairs / t->tokens + experts;
        fg_ops_dispatch(o, &key,
                        &(struct fg_ops_call){.binds = binds,
                                              .n_binds = 6,
                                              .push = &push,
                                              .push_bytes = sizeof push,
                                              .groups = {row_groups(t, m, m->n_rows), tiles, 1}});
    }
}
