#include "model/engine_priv.h"

#include <math.h>
#include <string.h>

const char *fg_type_suffix(enum fg_dtype type)
{
    switch (type) {
    case FG_F32: return "f32";
    case FG_F16: return "f16";
    case FG_BF16: return "bf16";
    case FG_Q8_0: return "q8_0";
    case FG_Q4_0: return "q4_0";
    case FG_Q4_1: return "q4_1";
    case FG_Q5_0: return "q5_0";
    case FG_Q5_1: return "q5_1";
    case FG_Q2_K: return "q2_k";
    case FG_Q3_K: return "q3_k";
    case FG_Q4_K: return "q4_k";
    case FG_Q5_K: return "q5_k";
    case FG_Q6_K: return "q6_k";
    case FG_IQ4_NL: return "iq4_nl";
    case FG_IQ4_XS: return "iq4_xs";
    case FG_MXFP4: return "mxfp4";
    }
    return "unknown";
}

struct fg_pipeline *fg_kernel(struct fg_engine *e, const char *name, const uint32_t *spec)
{
    struct fg_pipeline *p = NULL;
    struct fg_err err;
    int rc = fg_pipeline_get(e->device, name, spec, &p, &err);
    if (rc)
        fg_cmd_fail(e->cmd, rc, err.text);
    return p;
}

void fg_matmul_name(char name[FG_MATMUL_NAME], const char *base, enum fg_dtype type,
                    const struct fg_tiling *t, const char *variant)
{
    int n = snprintf(name, FG_MATMUL_NAME, "%s.%s.r%ut%u%s", base, fg_type_suffix(type), t->rows,
                     t->tokens, variant);
    if (t->texel)
        snprintf(name + n, FG_MATMUL_NAME - (size_t)n, ".tex");
    else if (t->spread)
        snprintf(name + n, FG_MATMUL_NAME - (size_t)n, ".sg%u", t->spread);
}

bool fg_takes_quantized(const struct fg_engine *e, enum fg_dtype type)
{
    bool plain = type == FG_F32 || type == FG_F16 || type == FG_BF16;
    return e->opt.numerics == FG_NUMERICS_INT8 && !plain;
}

static uint32_t quantized_stride(const struct fg_engine *e, uint32_t n_blocks)
{
    return e->int_dot ? FG_C_BYTE_ROW(n_blocks) : FG_C_WIDE_ROW(n_blocks);
}

static struct fg_pipeline *matmul_pipeline(struct fg_engine *e, const char *base,
                                           const struct fg_matrix *m, const struct fg_tiling *t)
{
    bool int8 = fg_takes_quantized(e, m->type);
    const uint32_t spec[FG_SPEC_COUNT] = {t->lanes, t->slices, m->gated, int8, e->native_f16};
    char name[FG_MATMUL_NAME];
    fg_matmul_name(name, base, m->type, t,
                   e->opt.numerics == FG_NUMERICS_FUSED ? ".fma"
                   : int8 && e->int_dot                 ? ".dot"
                                                        : "");
    return fg_kernel(e, name, spec);
}

uint32_t fg_quantized_row(uint32_t k)
{
    return FG_C_WIDE_ROW((k + 31) / 32) * 4;
}

void fg_record_quantize(struct fg_engine *e, struct fg_buffer *x, uint32_t ldx, uint32_t k,
                        uint32_t n_rows)
{
    if (e->opt.numerics != FG_NUMERICS_INT8)
        return;
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_pipeline *p = fg_kernel(e, e->int_dot ? "quantize.dot" : "quantize", spec);
    struct fg_quantize_push push = {n_rows, (k + 31) / 32, ldx / 4};
    struct fg_bind binds[] = {{x, 0, 0}, {e->s.quantized, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 2, &push, sizeof push, (push.n_blocks + 127) / 128,
                        n_rows, 1);
    fg_cmd_barrier(e->cmd);
}

static const struct fg_tiling *tiling_for(const struct fg_engine *e, enum fg_dtype type, bool many)
{
    for (uint32_t i = 0; i < e->n_tuned; i++)
        if (e->tuned[i].type == type && e->tuned[i].many == many)
            return &e->tuned[i].tiling;
    return many ? &e->many : &e->one;
}

/* Workgroups along n_rows rows of what m gives. */
static uint32_t row_groups(const struct fg_tiling *t, const struct fg_matrix *m, uint32_t n_rows)
{
    uint32_t tile_rows = fg_matrix_tile_rows(m);
    uint32_t tiles = (n_rows + tile_rows - 1) / tile_rows, tiles_a_group = t->lanes * t->rows / 32;
    return (tiles + tiles_a_group - 1) / tiles_a_group;
}

void fg_record_matmul(struct fg_engine *e, const struct fg_matrix *m, struct fg_buffer *x,
                      uint32_t ldx, struct fg_buffer *y, uint32_t ldy, uint32_t n_tokens,
                      struct fg_buffer *residual, uint32_t ldr, float alpha)
{
    const struct fg_tiling *t = tiling_for(e, m->type, n_tokens > 1);
    struct fg_pipeline *p = matmul_pipeline(e, "matmul", m, t);
    uint32_t ldx4 = ldx / 4;
    if (fg_takes_quantized(e, m->type)) {
        x = e->s.quantized;
        ldx4 = quantized_stride(e, m->n_blocks);
    }
    for (uint32_t i = 0; p && i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_matmul_push push = {.n_tokens = n_tokens,
                                      .n_rows = part->n_rows,
                                      .n_blocks = m->n_blocks,
                                      .scale_at = part->scale_at,
                                      .ldx4 = ldx4,
                                      .ldy = ldy,
                                      .y_at = m->y_at + part->row0,
                                      .ldr = ldr,
                                      .residual = residual != NULL,
                                      .alpha = alpha};
        struct fg_bind binds[] = {
            {part->buffer, 0, 0}, {x, 0, 0}, {y, 0, 0}, {residual ? residual : x, 0, 0}};
        fg_cmd_dispatch(e->cmd, p, binds, 4, &push, sizeof push, row_groups(t, m, part->n_rows),
                        (n_tokens + t->tokens - 1) / t->tokens, 1);
    }
}

/* Tuning keeps to the tokens of the usual tilings, which is what grouping by expert needs. */
const struct fg_tiling *fg_moe_tiling(const struct fg_engine *e, uint32_t n_pairs)
{
    return n_pairs == e->hp.n_expert_used ? &e->one : &e->many; /* a token's experts differ */
}

void fg_record_matmul_moe(struct fg_engine *e, const struct fg_matrix *m, struct fg_buffer *x,
                          uint32_t ldx, struct fg_buffer *y, uint32_t ldy, uint32_t n_pairs,
                          uint32_t x_div)
{
    const struct fg_tiling *t = tiling_for(e, m->type, fg_moe_tiling(e, n_pairs) == &e->many);
    struct fg_pipeline *p = matmul_pipeline(e, "matmul_moe", m, t);
    uint32_t experts = e->hp.n_expert < n_pairs ? e->hp.n_expert : n_pairs;
    uint32_t ldx4 = ldx / 4;
    if (fg_takes_quantized(e, m->type)) {
        x = e->s.quantized;
        ldx4 = quantized_stride(e, m->n_blocks);
    }
    for (uint32_t i = 0; p && i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_matmul_push push = {.n_rows = m->n_rows,
                                      .n_blocks = m->n_blocks,
                                      .scale_at = part->scale_at,
                                      .ldx4 = ldx4,
                                      .ldy = ldy,
                                      .expert0 = part->expert0,
                                      .n_experts = part->n_experts,
                                      .x_div = x_div};
        struct fg_bind binds[] = {{part->buffer, 0, 0},    {x, 0, 0},         {y, 0, 0}, {x, 0, 0},
                                  {e->s.pair_tiles, 0, 0}, {e->s.pairs, 0, 0}};
        fg_cmd_dispatch(e->cmd, p, binds, 6, &push, sizeof push, row_groups(t, m, m->n_rows),
                        n_pairs == e->hp.n_expert_used ? n_pairs : n_pairs / t->tokens + experts,
                        1);
    }
}

uint32_t fg_best_choices(const struct fg_engine *e)
{
    uint32_t n = e->opt.n_choices;
    return n && n < e->hp.n_vocab ? n : e->hp.n_vocab;
}

void fg_record_best(struct fg_engine *e, uint32_t rows, uint32_t k)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_pipeline *p = fg_kernel(e, "best", spec);
    struct fg_buffer *from = e->s.logits, *to = NULL;
    struct fg_best_push push = {
        .n = fg_best_choices(e), .k = k, .ld_in = e->hp.n_vocab, .first = 1};
    uint32_t segments = 0;
    for (uint32_t pass = 0; p && segments != 1; pass++) {
        segments = (push.n + FG_C_BEST_SEGMENT - 1) / FG_C_BEST_SEGMENT;
        push.ld_out = segments * (k + 1);
        to = e->s.best[pass % 2];
        struct fg_bind binds[] = {{from, 0, 0}, {to, 0, 0}};
        fg_cmd_dispatch(e->cmd, p, binds, 2, &push, sizeof push, segments, rows, 1);
        fg_cmd_barrier(e->cmd);
        from = to;
        push.n = push.ld_in = push.ld_out;
        push.first = 0;
    }
    if (to)
        fg_cmd_copy(e->cmd, to, 0, e->s.best_readback, 0, (uint64_t)rows * (k + 1) * 8);
}

void fg_record_embed(struct fg_engine *e, uint32_t n_tokens)
{
    const struct fg_matrix *m = &e->embd;
    const uint32_t spec[FG_SPEC_COUNT] = {0, 0, 0, 0, e->native_f16};
    char name[32];
    snprintf(name, sizeof name, "embed.%s", fg_type_suffix(m->type));
    struct fg_pipeline *p = fg_kernel(e, name, spec);
    for (uint32_t i = 0; p && i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_embed_push push = {.n_tokens = n_tokens,
                                     .k = m->k,
                                     .ldy = e->s.ld_embd,
                                     .n_blocks = m->n_blocks,
                                     .scale_at = part->scale_at,
                                     .row0 = part->row0,
                                     .n_rows = part->n_rows};
        struct fg_bind binds[] = {{part->buffer, 0, 0}, {e->s.tokens, 0, 0}, {e->s.x, 0, 0}};
        fg_cmd_dispatch(e->cmd, p, binds, 3, &push, sizeof push, (m->n_blocks + 31) / 32, n_tokens,
                        1);
    }
}

void fg_record_norm(struct fg_engine *e, struct fg_buffer *x, uint32_t ldx, struct fg_buffer *w,
                    struct fg_buffer *y, uint32_t ldy, uint32_t n_rows, struct fg_buffer *index,
                    uint32_t index_at)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_pipeline *p = fg_kernel(e, "rmsnorm", spec);
    struct fg_norm_push push = {.n_rows = n_rows,
                                .n = e->hp.n_embd,
                                .ldx = ldx,
                                .ldy = ldy,
                                .gather = index != NULL,
                                .inv_n = (float)(1.0 / e->hp.n_embd),
                                .eps = e->hp.norm_eps};
    struct fg_bind binds[] = {
        {x, 0, 0}, {w, 0, 0}, {y, 0, 0}, {index ? index : e->s.index, (uint64_t)index_at * 4, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 4, &push, sizeof push, n_rows, 1, 1);
}

/* Counts the f16 values that unpackHalf2x16 expands inexactly here. */
static int probe_half(struct fg_engine *e, struct fg_err *err)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_buffer *out = NULL;
    struct fg_pipeline *p;
    int rc = fg_pipeline_get(e->device, "battery_half", spec, &p, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, 16, FG_BUFFER_HOST, "f16 probe", &out, err);
    if (rc == 0) {
        struct fg_bind bind = {out, 0, 0};
        memset(fg_buffer_map(out), 0, 16);
        fg_cmd_begin(e->cmd);
        fg_cmd_dispatch(e->cmd, p, &bind, 1, NULL, 0, 65536 / 64, 1, 1);
        rc = fg_cmd_run(e->cmd, err);
        e->native_f16 = rc == 0 && *(uint32_t *)fg_buffer_map(out) == 0;
    }
    fg_buffer_destroy(out);
    return rc;
}

void fg_tilings(const struct fg_device_info *d, enum fg_numerics mode, struct fg_tiling *one,
                struct fg_tiling *many, uint32_t *attend_spread)
{
    uint32_t spread =
        d->subgroup_ballot && d->subgroup_size >= 4 ? (d->subgroup_size >= 8 ? 8 : 4) : 0;
    bool texel = d->max_texel_elements >= d->max_storage_range / 16;
    *attend_spread = 0;
    /* There are no fused kernels that spread x. */
    if (strcmp(d->type, "cpu") == 0 && (texel || (spread && mode != FG_NUMERICS_FUSED))) {
        /* A lane is one of a vector register's: it owns several rows, x is the same for all. */
        uint32_t lanes = 16;
        *one = (struct fg_tiling){lanes, 1, 4, 1, texel ? 0 : spread, texel};
        *many = (struct fg_tiling){lanes, 1, 4, 4, texel ? 0 : spread, texel};
        if (texel)
            *attend_spread = spread;
    } else {
        uint32_t slices = d->max_workgroup_threads >= 256 ? 8 : 4;
        *one = (struct fg_tiling){32, slices, 1, 1, 0, false};
        *many = (struct fg_tiling){64, 1, 2, 4, 0, false};
    }
}

int fg_kernels_init(struct fg_engine *e, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    fg_tilings(d, e->opt.numerics, &e->one, &e->many, &e->attend_spread);
    /* Without an instruction for it f32 gives the same whole numbers sooner. */
    e->int_dot = e->opt.numerics == FG_NUMERICS_INT8 && d->int_dot_fast;
    return probe_half(e, err);
}
