/* The layers of both families, recorded from the step's tables. Buffers flow
 *   x -> n -> qkv -> attn -> x -> n -> feed-forward -> x
 * with a barrier wherever the next kernel reads what the last one wrote. */
#include "engine_priv.h"

#include <math.h>

static const uint32_t no_spec[FG_SPEC_COUNT] = {0};

static const char *kv_name(const struct fg_engine *e, const char *f16, const char *f32)
{
    return e->opt.kv_type == FG_KV_F16 ? f16 : f32;
}

static void record_rope(struct fg_engine *e, const struct fg_layer *l, uint32_t n)
{
    const struct fg_hparams *hp = &e->hp;
    struct fg_pipeline *p = fg_kernel(e, kv_name(e, "rope_kv.f16", "rope_kv.f32"), no_spec);
    struct fg_rope_push push = {.n_tokens = n,
                                .n_head = hp->n_head,
                                .n_head_kv = hp->n_head_kv,
                                .head_dim = hp->head_dim,
                                .rope_dim = hp->rope_dim,
                                .neox = hp->rope_neox,
                                .ld = e->s.ld_qkv,
                                .max_pages = e->max_pages};
    struct fg_bind binds[] = {{e->s.qkv, 0, 0},    {e->s.rotated, 0, 0}, {l->kv, 0, 0},
                              {e->s.tokens, 0, 0}, {e->s.rope, 0, 0},    {e->s.table, 0, 0}};
    uint32_t lanes = (hp->n_head + 2 * hp->n_head_kv) * (hp->head_dim / 8);
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 6, &push, sizeof push, (lanes + 31) / 32, n, 1);
}

/* The largest divisor of the query heads of a kv head with at most `most` rows of `tokens` tokens.
 */
static uint32_t heads_a_group(const struct fg_hparams *hp, uint32_t tokens, uint32_t most)
{
    uint32_t per_kv = hp->n_head / hp->n_head_kv, best = 1;
    for (uint32_t h = 1; h <= per_kv; h++)
        if (per_kv % h == 0 && h * tokens <= most)
            best = h;
    return best;
}

uint32_t fg_attend_tokens(const struct fg_engine *e)
{
    return e->attend_spread ? FG_ATTEND_TOKENS_SUBGROUP : FG_ATTEND_TOKENS;
}

/* The attention kernel for groups of `tokens` tokens; *heads: query heads of a workgroup. */
static struct fg_pipeline *attend_kernel(struct fg_engine *e, uint32_t tokens, uint32_t *heads)
{
    const struct fg_hparams *hp = &e->hp;
    const char *type = e->opt.kv_type == FG_KV_F16 ? "f16" : "f32";
    char name[48];
    if (e->attend_spread) {
        *heads = heads_a_group(hp, tokens, hp->head_dim > 64 ? 4 : 6);
        snprintf(name, sizeof name, "softmax_attend.%s.t%u.sg%u.tex", type, tokens,
                 e->attend_spread);
    } else {
        /* Queries and scores of the rows lie in the 16 KiB of shared memory that every device has.
         */
        uint32_t rows = 16000 / 4 / (hp->head_dim + 68);
        *heads = heads_a_group(hp, tokens, rows < 12 ? rows : 12);
        snprintf(name, sizeof name, "softmax_attend.%s", type);
    }
    const uint32_t spec[FG_SPEC_COUNT] = {tokens, *heads, hp->head_dim, 0, e->native_f16};
    return fg_kernel(e, name, spec);
}

static void record_attend_groups(struct fg_engine *e, const struct fg_layer *l, uint32_t tokens,
                                 uint32_t group0, uint32_t n_groups, uint32_t n_segments)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t heads;
    struct fg_pipeline *p = attend_kernel(e, tokens, &heads);
    struct fg_attend_push push = {.n_tokens = n_groups,
                                  .n_head = hp->n_head,
                                  .n_head_kv = hp->n_head_kv,
                                  .head_dim = hp->head_dim,
                                  .ldq = hp->n_head * hp->head_dim,
                                  .ldo = e->s.ld_heads,
                                  .max_pages = e->max_pages,
                                  .n_segments = n_segments,
                                  .group0 = group0,
                                  .scale = (float)(1.0 / sqrt((double)hp->head_dim))};
    struct fg_bind binds[] = {{e->s.rotated, 0, 0}, {l->kv, 0, 0},      {e->s.attn, 0, 0},
                              {e->s.tokens, 0, 0},  {e->s.table, 0, 0}, {e->s.groups, 0, 0},
                              {e->s.partial, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 7, &push, sizeof push, hp->n_head / heads, n_groups,
                        n_segments ? n_segments : 1);
}

static void record_combine(struct fg_engine *e, uint32_t n, uint32_t n_segments)
{
    const struct fg_hparams *hp = &e->hp;
    struct fg_pipeline *p = fg_kernel(e, "softmax_combine", no_spec);
    struct fg_merge_push push = {.n_tokens = n,
                                 .n_head = hp->n_head,
                                 .head_dim = hp->head_dim,
                                 .ldo = e->s.ld_heads,
                                 .n_segments = n_segments};
    struct fg_bind binds[] = {{e->s.partial, 0, 0}, {e->s.tokens, 0, 0}, {e->s.attn, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 3, &push, sizeof push, (hp->head_dim + 63) / 64,
                        hp->n_head, n);
}

/* The queries, keys and values of a layer of either kind. */
static void record_qkv(struct fg_engine *e, const struct fg_layer *l, uint32_t n)
{
    fg_record_quantize(e, e->s.n, e->s.ld_embd, e->hp.n_embd, n);
    for (size_t i = 0; i < sizeof l->qkv / sizeof *l->qkv && l->qkv[i].n_parts; i++)
        fg_record_matmul(e, &l->qkv[i], e->s.n, e->s.ld_embd, e->s.qkv, e->s.ld_qkv, n, NULL, 0, 0);
}

static void record_softmax(struct fg_engine *e, const struct fg_layer *l,
                           const struct fg_step_shape *shape)
{
    uint32_t n = shape->n_tokens;
    record_qkv(e, l, n);
    fg_cmd_barrier(e->cmd);
    record_rope(e, l, n);
    fg_cmd_barrier(e->cmd);
    fg_record_attend(e, l, shape);
}

void fg_record_attend(struct fg_engine *e, const struct fg_layer *l,
                      const struct fg_step_shape *shape)
{
    const struct fg_hparams *hp = &e->hp;
    if (shape->n_single) {
        uint32_t segments = (shape->single_tiles + FG_C_SEGMENT_TILES - 1) / FG_C_SEGMENT_TILES;
        uint64_t partial = 4ull * shape->n_single * hp->n_head * segments * (hp->head_dim + 2);
        if (segments == 1 || partial > fg_buffer_bytes(e->s.partial))
            segments = 0;
        record_attend_groups(e, l, 1, 0, shape->n_single, segments);
        if (segments) {
            fg_cmd_barrier(e->cmd);
            record_combine(e, shape->n_single, segments);
        }
    }
    record_attend_groups(e, l, fg_attend_tokens(e), shape->n_single, shape->n_groups, 0);
    fg_cmd_barrier(e->cmd);
}

bool fg_lightning_by_lanes(const struct fg_engine *e)
{
    return e->attend_spread == 8;
}

/* Folds the runs that end their chunk into its state. */
static void record_fold(struct fg_engine *e, const struct fg_layer *l,
                        const struct fg_lightning_push *push, uint32_t n_rows)
{
    const struct fg_hparams *hp = &e->hp;
    const uint32_t spec[FG_SPEC_COUNT] = {0, 0, hp->head_dim, 0, 0};
    uint32_t d4 = hp->head_dim / 4, groups = (hp->head_dim * d4 + 63) / 64;
    char name[32] = "lightning_fold";
    struct fg_bind binds[] = {{l->k_rows, 0, 0},
                              {l->v_rows, 0, 0},
                              {l->state, 0, 0},
                              {l->decay, 0, 0},
                              {e->s.chunks, 0, 0}};
    if (fg_lightning_by_lanes(e)) {
        snprintf(name, sizeof name, "lightning_fold.sg8.tex");
        groups = d4;
    }
    struct fg_pipeline *p = fg_kernel(e, name, fg_lightning_by_lanes(e) ? spec : no_spec);
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 5, push, sizeof *push, groups, hp->n_head, n_rows);
    fg_cmd_barrier(e->cmd);
}

static void record_lightning_round(struct fg_engine *e, const struct fg_layer *l,
                                   const struct fg_step_round *round, bool single)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t tokens = single ? 1 : FG_ATTEND_TOKENS;
    const uint32_t spec[FG_SPEC_COUNT] = {fg_lightning_by_lanes(e) ? 0 : tokens, 0, hp->head_dim, 0,
                                          0};
    char name[48] = "lightning_attend";
    if (fg_lightning_by_lanes(e))
        snprintf(name, sizeof name, "lightning_attend.t%u.sg8.tex", tokens);
    struct fg_pipeline *rows = fg_kernel(e, "lightning_rows", no_spec);
    struct fg_pipeline *attend = fg_kernel(e, name, spec);
    struct fg_lightning_push push = {.row0 = round->row0,
                                     .n_head = hp->n_head,
                                     .head_dim = hp->head_dim,
                                     .ldx = e->s.ld_qkv,
                                     .ldo = e->s.ld_heads};
    struct fg_bind rows_binds[] = {{e->s.qkv, 0, 0},
                                   {e->s.rotated, 0, 0},
                                   {l->k_rows, 0, 0},
                                   {l->v_rows, 0, 0},
                                   {e->s.chunks, 0, 0}};
    struct fg_bind attend_binds[] = {{e->s.rotated, 0, 0}, {l->k_rows, 0, 0}, {l->v_rows, 0, 0},
                                     {l->state, 0, 0},     {l->decay, 0, 0},  {e->s.chunks, 0, 0},
                                     {e->s.attn, 0, 0}};
    uint32_t d4 = hp->head_dim / 4, most = single ? 1 : FG_CHUNK;
    if (!rows || !attend)
        return;
    fg_cmd_dispatch(e->cmd, rows, rows_binds, 5, &push, sizeof push, (hp->n_head * d4 + 31) / 32,
                    most, round->n_rows);
    fg_cmd_barrier(e->cmd);
    fg_cmd_dispatch(e->cmd, attend, attend_binds, 7, &push, sizeof push, hp->n_head,
                    (most + tokens - 1) / tokens, round->n_rows);
    fg_cmd_barrier(e->cmd);
    if (round->ends_chunk)
        record_fold(e, l, &push, round->n_rows);
}

static void record_lightning(struct fg_engine *e, const struct fg_layer *l,
                             const struct fg_step_shape *shape)
{
    uint32_t n = shape->n_tokens;
    record_qkv(e, l, n);
    fg_record_matmul(e, &l->gate, e->s.n, e->s.ld_embd, e->s.gate, e->s.ld_heads, n, NULL, 0, 0);
    fg_cmd_barrier(e->cmd);
    fg_record_lightning(e, l, shape);
    fg_record_gate(e, l, n);
}

void fg_record_lightning(struct fg_engine *e, const struct fg_layer *l,
                         const struct fg_step_shape *shape)
{
    for (uint32_t r = 0; r < shape->n_rounds; r++)
        record_lightning_round(e, l, &shape->rounds[r], shape->n_single == shape->n_tokens);
}

void fg_record_gate(struct fg_engine *e, const struct fg_layer *l, uint32_t n_tokens)
{
    uint32_t heads = e->hp.n_head * e->hp.head_dim;
    struct fg_pipeline *p = fg_kernel(e, "lightning_gate", no_spec);
    struct fg_gate_push push = {.n_tokens = n_tokens,
                                .n = heads,
                                .ldo = e->s.ld_heads,
                                .ldg = e->s.ld_heads,
                                .ldy = e->s.ld_heads,
                                .inv_n = (float)(1.0 / heads),
                                .eps = 1e-6f};
    struct fg_bind binds[] = {
        {e->s.attn, 0, 0}, {e->s.gate, 0, 0}, {l->attn_norm_2, 0, 0}, {e->s.gated, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 4, &push, sizeof push, n_tokens, 1, 1);
    fg_cmd_barrier(e->cmd);
}

static void record_swiglu(struct fg_engine *e, uint32_t n_rows)
{
    struct fg_pipeline *p = fg_kernel(e, "swiglu", no_spec);
    struct fg_swiglu_push push = {.n_rows = n_rows, .n = e->hp.n_ff, .ld = e->s.ld_ff};
    struct fg_bind binds[] = {{e->s.ff_gate, 0, 0}, {e->s.ff_up, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 2, &push, sizeof push, (e->hp.n_ff + 63) / 64, n_rows, 1);
}

/* silu(gate) * up into ff_gate: of n_rows pairs of token and expert, x_div to a token, or, with
 * x_div 0, of n_rows tokens of a dense layer. */
static void record_gate_up(struct fg_engine *e, const struct fg_layer *l, uint32_t n_rows,
                           uint32_t x_div)
{
    const struct fg_matrix *m[] = {&l->ffn_gate, &l->ffn_up};
    struct fg_buffer *y[] = {e->s.ff_gate, e->s.ff_up};

    for (int i = 0; i < (m[0]->gated ? 1 : 2); i++) {
        if (x_div)
            fg_record_matmul_moe(e, m[i], e->s.n, e->s.ld_embd, y[i], e->s.ld_ff, n_rows, x_div);
        else
            fg_record_matmul(e, m[i], e->s.n, e->s.ld_embd, y[i], e->s.ld_ff, n_rows, NULL, 0, 0);
    }
    fg_cmd_barrier(e->cmd);
    if (!m[0]->gated) {
        record_swiglu(e, n_rows);
        fg_cmd_barrier(e->cmd);
    }
}

static void record_dense(struct fg_engine *e, const struct fg_layer *l, uint32_t n,
                         struct fg_buffer *residual)
{
    fg_record_quantize(e, e->s.n, e->s.ld_embd, e->hp.n_embd, n);
    record_gate_up(e, l, n, 0);
    fg_record_quantize(e, e->s.ff_gate, e->s.ld_ff, e->hp.n_ff, n);
    fg_record_matmul(e, &l->ffn_down, e->s.ff_gate, e->s.ld_ff, e->s.x, e->s.ld_embd, n, residual,
                     e->s.ld_embd, e->hp.residual_scale);
    fg_cmd_barrier(e->cmd);
}

static void record_route(struct fg_engine *e, const struct fg_layer *l, uint32_t n)
{
    const struct fg_hparams *hp = &e->hp;
    struct fg_pipeline *route = fg_kernel(e, "moe_route", no_spec);
    struct fg_route_push route_push = {n, hp->n_expert, hp->n_expert_used, e->s.ld_router};
    struct fg_bind route_binds[] = {{e->s.router, 0, 0},
                                    {e->s.experts, 0, 0},
                                    {e->s.expert_weights, 0, 0},
                                    {e->s.pairs, 0, 0},
                                    {e->s.pair_tiles, 0, 0}};
    fg_record_quantize(e, e->s.n, e->s.ld_embd, hp->n_embd, n);
    fg_record_matmul(e, &l->router, e->s.n, e->s.ld_embd, e->s.router, e->s.ld_router, n, NULL, 0,
                     0);
    fg_cmd_barrier(e->cmd);
    if (!route)
        return;
    fg_cmd_dispatch(e->cmd, route, route_binds, 5, &route_push, sizeof route_push, (n + 7) / 8, 1,
                    1);
    fg_cmd_barrier(e->cmd);
    if (n > 1) /* a single token's are grouped already */
        fg_record_group(e, n * hp->n_expert_used);
}

void fg_record_group(struct fg_engine *e, uint32_t n_pairs)
{
    struct fg_pipeline *p = fg_kernel(e, "moe_group", no_spec);
    struct fg_group_push push = {n_pairs, e->hp.n_expert, fg_moe_tiling(e, n_pairs)->tokens};
    struct fg_bind binds[] = {{e->s.experts, 0, 0}, {e->s.pairs, 0, 0}, {e->s.pair_tiles, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 3, &push, sizeof push, 1, 1, 1);
    fg_cmd_barrier(e->cmd);
}

static void record_combine_experts(struct fg_engine *e, uint32_t n, struct fg_buffer *residual)
{
    const struct fg_hparams *hp = &e->hp;
    struct fg_pipeline *p = fg_kernel(e, "moe_combine", no_spec);
    struct fg_combine_push push = {.n_tokens = n,
                                   .n = hp->n_embd,
                                   .n_used = hp->n_expert_used,
                                   .ldy = e->s.ld_embd,
                                   .ldr = e->s.ld_embd,
                                   .ldx = e->s.ld_embd,
                                   .alpha = hp->residual_scale};
    struct fg_bind binds[] = {
        {e->s.ff_down, 0, 0}, {e->s.expert_weights, 0, 0}, {residual, 0, 0}, {e->s.x, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 4, &push, sizeof push, (hp->n_embd + 63) / 64, n, 1);
    fg_cmd_barrier(e->cmd);
}

/* The same with the norm w that the next layer begins with, its residual being what is normed. */
static void record_combine_norm(struct fg_engine *e, uint32_t n, struct fg_buffer *w)
{
    const struct fg_hparams *hp = &e->hp;
    struct fg_pipeline *p = fg_kernel(e, "moe_combine_norm", no_spec);
    struct fg_combine_norm_push push = {.n_tokens = n,
                                        .n = hp->n_embd,
                                        .n_used = hp->n_expert_used,
                                        .ld = e->s.ld_embd,
                                        .alpha = hp->residual_scale,
                                        .inv_n = (float)(1.0 / hp->n_embd),
                                        .eps = hp->norm_eps};
    struct fg_bind binds[] = {{e->s.ff_down, 0, 0},
                              {e->s.expert_weights, 0, 0},
                              {e->s.n, 0, 0},
                              {e->s.x, 0, 0},
                              {w, 0, 0}};
    if (p)
        fg_cmd_dispatch(e->cmd, p, binds, 5, &push, sizeof push, n, 1, 1);
    fg_cmd_barrier(e->cmd);
}

/* next_norm: see record_combine_norm(); NULL behind the last layer, and where the residual is the
 * input itself. */
static void record_moe(struct fg_engine *e, const struct fg_layer *l, uint32_t n,
                       struct fg_buffer *residual, struct fg_buffer *next_norm)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t pairs = n * hp->n_expert_used;
    record_route(e, l, n);
    record_gate_up(e, l, pairs, hp->n_expert_used);
    fg_record_quantize(e, e->s.ff_gate, e->s.ld_ff, hp->n_ff, pairs);
    fg_record_matmul_moe(e, &l->ffn_down, e->s.ff_gate, e->s.ld_ff, e->s.ff_down, e->s.ld_embd,
                         pairs, 1);
    fg_cmd_barrier(e->cmd);
    if (next_norm)
        record_combine_norm(e, n, next_norm);
    else
        record_combine_experts(e, n, residual);
}

/* Desktops share the card, and drivers reset one that is busy for seconds: no submission is to
 * take longer, as far as whole layers allow. */
static const double SUBMISSION_S = 0.05;

/* Ends the submission of `*layers` layers when one more would take it past its time. */
static void bound_submission(struct fg_engine *e, uint32_t n_tokens, uint32_t *layers)
{
    double a_layer = e->token_layer_s[n_tokens > 1] * n_tokens;

    if ((*layers + 1) * a_layer <= SUBMISSION_S)
        return;
    fg_step_cut(e, *layers);
    *layers = 0;
}

void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers)
{
    const struct fg_hparams *hp = &e->hp;
    uint32_t n = shape->n_tokens;
    /* The residual is the normed input (post-norm) or the input itself. */
    struct fg_buffer *residual = hp->post_norm ? e->s.n : e->s.x;

    *layers = 0;
    fg_record_embed(e, n);
    fg_cmd_barrier(e->cmd);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct fg_layer *l = &e->layers[i];
        bool last = i + 1 == hp->n_layer, fused = hp->n_expert && hp->post_norm;
        if (i == 0 || !fused) {
            fg_record_norm(e, e->s.x, e->s.ld_embd, l->attn_norm, e->s.n, e->s.ld_embd, n, NULL, 0);
            fg_cmd_barrier(e->cmd);
        }
        if (l->recurrent)
            record_lightning(e, l, shape);
        else
            record_softmax(e, l, shape);
        struct fg_buffer *heads = l->recurrent ? e->s.gated : e->s.attn;
        fg_record_quantize(e, heads, e->s.ld_heads, hp->n_head * hp->head_dim, n);
        fg_record_matmul(e, &l->output, heads, e->s.ld_heads, e->s.x, e->s.ld_embd, n, residual,
                         e->s.ld_embd, hp->residual_scale);
        fg_cmd_barrier(e->cmd);
        fg_record_norm(e, e->s.x, e->s.ld_embd, l->ffn_norm, e->s.n, e->s.ld_embd, n, NULL, 0);
        fg_cmd_barrier(e->cmd);
        if (hp->n_expert)
            record_moe(e, l, n, residual, fused && !last ? l[1].attn_norm : NULL);
        else
            record_dense(e, l, n, residual);
        ++*layers;
        if (!last)
            bound_submission(e, n, layers);
    }
}
