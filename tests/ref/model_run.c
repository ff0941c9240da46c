#include "model_state.h"

#include "canon.h"
#include "tables.h"
#include "tensors.h"

#include <string.h>

#define GATE_EPS 1e-6f /* of the norm over the heads' outputs in lightning attention */

/* As the cache holds it. */
static float rounded(const struct fg_ref_model *m, float x)
{
    return m->kv == FG_KV_F16 ? fg_ref_f16_expand(fg_ref_f16_round(x)) : x;
}

/* A head of q or k, normed where the model does so, and rotated. */
static void rotate(const struct fg_ref_model_block *l, float *x, const float *norm,
                   const float *rope)
{
    const struct fg_heads *h = &l->s->heads;

    if (l->s->normed_heads)
        fg_ref_head_norm(x, norm, h->head_dim, l->s->norm_eps);
    fg_ref_rope(x, h->head_dim, h->rope_dim, h->neox, rope);
}

/* The queries of n tokens, and their keys, each row normed as one. */
static void norm_qk_rows(struct fg_ref_model *m, const struct fg_ref_model_block *l, uint32_t n)
{
    size_t width = fg_ref_heads_width(l), kv = fg_ref_kv_width(l);

    for (uint32_t t = 0; t < n; t++) {
        float *q = m->qkv + t * width, *k = l->k_rows + (m->length + t) * kv;

        fg_ref_rmsnorm(q, l->q_norm, width, l->s->norm_eps, q);
        fg_ref_rmsnorm(k, l->k_norm, kv, l->s->norm_eps, k);
    }
}

/* n tokens of a softmax layer: m->n to m->o. */
static void softmax_attention(struct fg_ref_model *m, const struct fg_ref_model_block *l,
                              uint32_t n)
{
    const struct fg_heads *heads = &l->s->heads;
    size_t d = heads->head_dim, group = heads->n_head / heads->n_head_kv, embd = m->hp.n_embd;
    size_t width = fg_ref_heads_width(l), kv = fg_ref_kv_width(l),
           q_step = l->s->gated_heads ? 2 * d : d;
    size_t ld = heads->n_head * q_step;
    struct fg_ref_attention how = {d, l->s->attend_scale, l->s->window, NULL};
    const float *ropes = l->s->local_rope ? m->rope_local : m->rope;
    struct fg_ref_rows x = {m->n, embd};

    fg_ref_matmul(&l->q, x, n, NULL, m->qkv, ld);
    fg_ref_matmul(&l->k, x, n, NULL, l->k_rows + m->length * kv, kv);
    fg_ref_matmul(&l->v, x, n, NULL, l->v_rows + m->length * kv, kv);
    fg_ref_bias(m->qkv, l->q_bias, ld, n);
    fg_ref_bias(l->k_rows + m->length * kv, l->k_bias, kv, n);
    fg_ref_bias(l->v_rows + m->length * kv, l->v_bias, kv, n);
    if (l->s->normed_rows)
        norm_qk_rows(m, l, n);
    if (how.scale == 0)
        how.scale = fg_ref_attend_scale(heads->head_dim);
    for (uint32_t t = 0; t < n; t++) {
        size_t pos = m->length + t;
        float *q = m->qkv + t * ld, *o = m->o + t * width, *k = l->k_rows + pos * kv,
              *v = l->v_rows + pos * kv;
        const float *rope = ropes + (size_t)t * heads->rope_dim;

        for (size_t h = 0; h < heads->n_head; h++)
            rotate(l, q + h * q_step, l->q_norm, rope);
        for (size_t h = 0; h < heads->n_head_kv; h++)
            rotate(l, k + h * d, l->k_norm, rope);
        for (size_t i = 0; i < kv; i++) {
            k[i] = rounded(m, k[i]);
            v[i] = rounded(m, v[i]);
        }
        for (size_t h = 0; h < heads->n_head; h++) {
            how.sink = l->sinks ? l->sinks + h : NULL;
            fg_ref_attend(q + h * q_step,
                          &(struct fg_ref_keys){l->k_rows + h / group * d,
                                                l->v_rows + h / group * d, kv, pos + 1},
                          &how, o + h * d);
            if (l->s->gated_heads)
                fg_ref_sigmoid_rows(o + h * d, q + h * q_step + d, d);
        }
    }
}

/* n tokens of a layer of the gated delta rule: m->n to m->o. */
static void delta_rule(struct fg_ref_model *m, struct fg_ref_model_block *l, uint32_t n)
{
    size_t width = fg_ref_heads_width(l), ld = fg_ref_row_width(l), heads = l->s->delta.n_head_v;
    struct fg_ref_rows x = {m->n, m->hp.n_embd};
    float *gates = m->qkv + ld - 2 * heads - width;

    fg_ref_matmul(&l->qkv, x, n, NULL, m->qkv, ld);
    fg_ref_matmul(&l->attn_gate, x, n, NULL, gates, ld);
    fg_ref_matmul(&l->alpha, x, n, NULL, gates + width, ld);
    fg_ref_matmul(&l->beta, x, n, NULL, gates + width + heads, ld);
    for (uint32_t t = 0; t < n; t++)
        fg_ref_delta_token(&l->delta, m->length + t, m->qkv + t * ld, m->o + t * width);
}

/* n tokens of a lightning layer: m->n to m->o. */
static void lightning_attention(struct fg_ref_model *m, const struct fg_ref_model_block *l,
                                uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;
    size_t d = l->s->lightning.head_dim, n_head = l->s->lightning.n_head,
           ld = fg_ref_heads_width(l);
    struct fg_ref_rows x = {m->n, hp->n_embd};

    fg_ref_matmul(&l->qkv, x, n, NULL, m->qkv, 3 * ld);
    fg_ref_matmul(&l->attn_gate, x, n, NULL, m->attn_gate, ld);
    fg_ref_silu_rows(m->qkv, n * 3 * ld);
    for (uint32_t t = 0; t < n; t++) {
        size_t i = (m->length + t) % FG_REF_CHUNK;
        float *o = m->o + t * ld;

        for (size_t h = 0; h < n_head; h++) {
            const float *q = m->qkv + t * 3 * ld + h * 3 * d;
            const float *decay = l->decay + h * (FG_REF_CHUNK + 1);
            float *k = l->k_rows + h * d, *v = l->v_rows + h * d, *state = l->state + h * d * d;

            memcpy(k + i * ld, q + d, d * sizeof *k);
            memcpy(v + i * ld, q + 2 * d, d * sizeof *v);
            fg_ref_lightning_attend(q, &(struct fg_ref_keys){k, v, ld, i + 1}, state, decay, d,
                                    o + h * d);
            if (i == FG_REF_CHUNK - 1)
                fg_ref_lightning_fold(state, &(struct fg_ref_keys){k, v, ld, FG_REF_CHUNK}, decay,
                                      d);
        }
        fg_ref_gate(o, m->attn_gate + t * ld, l->gate_norm, ld, GATE_EPS, o);
    }
}

/* One token of a short convolution: bcx is a row of products, B, C and X; the tail moves on. */
static void convolve(const struct fg_ref_model_block *l, const float *bcx, size_t width, float *y)
{
    size_t kept = l->s->conv.taps - 1;

    for (size_t c = 0; c < width; c++) {
        const float *w = l->taps + c * (kept + 1);
        float s = fg_ref_flush(bcx[c] * bcx[2 * width + c]), sum = 0;

        for (size_t j = 0; j < kept; j++)
            sum = sum + w[j] * l->tail[j * width + c];
        sum = sum + w[kept] * s;
        y[c] = fg_ref_flush(bcx[width + c] * sum);
        for (size_t j = 0; j + 1 < kept; j++)
            l->tail[j * width + c] = l->tail[(j + 1) * width + c];
        l->tail[(kept - 1) * width + c] = s;
    }
}

/* n tokens of a short convolution: m->n to m->o. */
static void short_convolution(struct fg_ref_model *m, const struct fg_ref_model_block *l,
                              uint32_t n)
{
    size_t width = l->s->n_embd;

    fg_ref_matmul(&l->conv_in, (struct fg_ref_rows){m->n, width}, n, NULL, m->qkv, 3 * width);
    for (size_t t = 0; t < n; t++)
        convolve(l, m->qkv + t * 3 * width, width, m->o + t * width);
}

/* x = alpha * residual + W rows, or alpha * x + the norm of W rows. minimax-01 keeps the normed
 * input as the residual, llama the input itself. */
static void project(struct fg_ref_model *m, const struct fg_ref_model_block *b,
                    const struct fg_ref_matrix *w, struct fg_ref_rows rows, uint32_t n)
{
    size_t embd = m->hp.n_embd;
    const struct fg_ref_residual residual = {b->s->post_norm ? m->n : m->x, embd,
                                             b->s->residual_scale};

    fg_ref_matmul(w, rows, n, b->post ? NULL : &residual, b->post ? m->n : m->x, embd);
    for (size_t t = 0; b->post && t < n; t++)
        fg_ref_norm_add(m->x + t * embd, b->s->residual_scale, m->n + t * embd,
                        &(struct fg_ref_norm){b->post, embd, b->s->norm_eps});
}

/* m->x = residual + down(silu(gate n) * (up n)); with a router, what goes into down is weighed by
 * the sigmoid of router . n. */
static void swiglu_ffn(struct fg_ref_model *m, const struct fg_ref_model_block *b,
                       const struct fg_ref_matrix w[3], const struct fg_ref_matrix *router,
                       uint32_t n)
{
    size_t embd = m->hp.n_embd, ff = w[0].n_rows;

    fg_ref_matmul(&w[0], (struct fg_ref_rows){m->n, embd}, n, NULL, m->ff_gate, ff);
    fg_ref_matmul(&w[1], (struct fg_ref_rows){m->n, embd}, n, NULL, m->ff_up, ff);
    fg_ref_swiglu(b->s->gate, m->ff_gate, m->ff_up, (size_t)n * ff);
    if (router)
        fg_ref_matmul(router, (struct fg_ref_rows){m->n, embd}, n, NULL, m->router, 1);
    for (size_t t = 0; router && t < n; t++)
        fg_ref_scale_row(m->ff_gate + t * ff, m->router[t], ff);
    project(m, b, &w[2], (struct fg_ref_rows){m->ff_gate, ff}, n);
}

/* Row `i` of n floats, where there are any. */
static const float *row_of(const float *rows, uint32_t i, size_t n)
{
    return rows ? rows + i * n : NULL;
}

/* Result of one expert for a token. */
static void one_expert(struct fg_ref_model *m, const struct fg_ref_model_block *l, uint32_t chosen,
                       const float *n, float *y)
{
    uint32_t n_expert = l->s->moe.n_expert;
    size_t ff = l->s->moe.n_ff;
    struct fg_ref_matrix gate = fg_ref_expert(&l->gate, n_expert, chosen);
    struct fg_ref_matrix down = fg_ref_expert(&l->down, n_expert, chosen);
    struct fg_ref_matrix up =
        fg_ref_expert(l->s->moe.fused ? &gate : &l->up, l->s->moe.fused ? 2 : n_expert,
                      l->s->moe.fused ? 1 : chosen);

    if (l->s->moe.fused) /* the gate's rows, then up's */
        gate = fg_ref_expert(&gate, 2, 0);
    fg_ref_matmul(&gate, (struct fg_ref_rows){n, 0}, 1, NULL, m->ff_gate, 0);
    fg_ref_matmul(&up, (struct fg_ref_rows){n, 0}, 1, NULL, m->ff_up, 0);
    fg_ref_bias(m->ff_gate, row_of(l->gate_bias, chosen, ff), ff, 1);
    fg_ref_bias(m->ff_up, row_of(l->up_bias, chosen, ff), ff, 1);
    fg_ref_swiglu(l->s->gate, m->ff_gate, m->ff_up, ff);
    fg_ref_matmul(&down, (struct fg_ref_rows){m->ff_gate, 0}, 1, NULL, y, 0);
    fg_ref_bias(y, row_of(l->down_bias, chosen, m->hp.n_embd), m->hp.n_embd, 1);
}

/* m->x = alpha * residual + sum of the experts' results for m->n, the shared one's first. */
static void experts(struct fg_ref_model *m, const struct fg_ref_model_block *l, uint32_t n)
{
    size_t embd = m->hp.n_embd, n_expert = l->s->moe.n_expert, used = l->s->moe.n_used;
    struct fg_ref_residual residual = {l->s->post_norm ? m->n : m->x, embd, l->s->residual_scale};

    if (l->s->moe.n_ff_shared) {
        const struct fg_ref_matrix shared[] = {l->shared_gate, l->shared_up, l->shared_down};

        swiglu_ffn(m, l, shared, l->s->moe.shared_gate ? &l->shared_router : NULL, n);
        residual = (struct fg_ref_residual){m->x, embd, 1};
    }
    fg_ref_matmul(&l->router, (struct fg_ref_rows){m->n, embd}, n, NULL, m->router, n_expert);
    fg_ref_bias(m->router, l->router_bias, n_expert, n);
    for (size_t t = 0; t < n; t++) {
        float *y = m->y + t * used * embd, *weights = m->weights + t * used;
        uint32_t *chosen = m->experts + t * used;

        fg_ref_route(m->router + t * n_expert, l->choice_bias,
                     &(struct fg_ref_choice){n_expert, used, chosen, weights});
        for (size_t r = 0; r < used; r++)
            one_expert(m, l, chosen[r], m->n + t * embd, y + r * embd);
        fg_ref_combine((struct fg_ref_rows){y, embd}, weights, used,
                       &(struct fg_ref_residual){residual.rows + t * embd, embd, residual.alpha},
                       embd, m->x + t * embd);
    }
}

static void norm_rows(const struct fg_ref_model *m, const float *w, uint32_t n)
{
    size_t width = m->hp.n_embd;

    for (size_t t = 0; t < n; t++)
        fg_ref_rmsnorm(m->x + t * width, w, width, m->hp.norm_eps, m->n + t * width);
}

static void run_block(struct fg_ref_model *m, struct fg_ref_model_block *b, uint32_t n)
{
    const struct fg_ref_matrix dense[] = {b->gate, b->up, b->down};

    norm_rows(m, b->norm, n);
    if (b->s->kind == &fg_moe_block) {
        experts(m, b, n);
        return;
    }
    if (b->s->kind == &fg_dense_ffn_block) {
        swiglu_ffn(m, b, dense, NULL, n);
        return;
    }
    if (fg_ref_is_softmax(b))
        softmax_attention(m, b, n);
    else if (fg_ref_is_delta(b))
        delta_rule(m, b, n);
    else if (fg_ref_is_conv(b))
        short_convolution(m, b, n);
    else
        lightning_attention(m, b, n);
    project(m, b, &b->attn_output, (struct fg_ref_rows){m->o, fg_ref_heads_width(b)}, n);
    fg_ref_bias(m->x, b->output_bias, m->hp.n_embd, n);
}

void fg_ref_run_batch(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits)
{
    const struct fg_hparams *hp = &m->hp;
    size_t width = hp->n_embd;

    for (uint32_t t = 0; t < n; t++) {
        fg_ref_embed(&m->embd, (uint32_t)tokens[t], hp->embd_scale, m->x + t * width);
        fg_ref_rope_table(m->length + t, hp->rope_dim, hp->rope_freq_base, hp->rope_factors,
                          &hp->rope_scaling, m->rope + (size_t)t * hp->rope_dim);
        if (hp->rope_freq_base_local > 0)
            fg_ref_rope_table(m->length + t, hp->rope_dim, hp->rope_freq_base_local, NULL,
                              &(struct fg_rope_scaling){.factor = 1},
                              m->rope_local + (size_t)t * hp->rope_dim);
    }
    for (uint32_t i = 0; i < hp->n_blocks; i++)
        run_block(m, &m->blocks[i], n);
    m->length += n;
    if (n_logits == 0)
        return;
    norm_rows(m, m->output_norm, n);
    fg_ref_matmul(&m->head, (struct fg_ref_rows){m->n + (n - n_logits) * width, width}, n_logits,
                  NULL, logits, hp->n_vocab);
}
