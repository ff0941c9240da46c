#include "model.h"

#include "canon.h"
#include "delta.h"
#include "ops.h"
#include "tables.h"
#include "tensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GATE_EPS 1e-6f /* of the norm over the heads' outputs in lightning attention */

enum { BATCH = 64 }; /* tokens that go through a layer together */

/* A mixer or a feed-forward. */
struct block {
    const struct fg_block_shape *s;
    const float *norm, *gate_norm, *q_norm, *k_norm;
    const float *q_bias, *k_bias, *v_bias, *output_bias; /* or NULL */
    struct fg_ref_matrix q, k, v, qkv, attn_gate, attn_output, alpha, beta;
    struct fg_ref_matrix router, gate, up, down; /* rows of all experts one after the other */
    struct fg_ref_matrix shared_router, shared_gate, shared_up, shared_down;
    struct fg_ref_delta delta;
    float *k_rows, *v_rows, *state;
    float *decay; /* [n_head][65] */
};

struct fg_ref_model {
    const struct fg_gguf *g;
    struct fg_hparams hp;
    enum fg_kv_type kv;
    bool int8;
    struct fg_ref_matrix embd, head;
    const float *output_norm;
    struct block *blocks;  /* [hp.n_blocks] */
    uint32_t length, room; /* tokens that the k_rows and v_rows of softmax layers have room for */
    /* Of a batch: [BATCH] rows each; ff_* and y have as many rows a token as any block has experts.
     */
    float *x, *n, *qkv, *o, *attn_gate, *router, *ff_gate, *ff_up, *y, *rope;
    uint32_t *experts;
    float *weights;
};

/* All zero when there is none: fg_hparams_init() has seen to those that the layer uses. */
static struct fg_ref_matrix matrix(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    return fg_ref_tensor_matrix(m->g, layer, name, m->int8);
}

static const float *vector(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    return fg_ref_tensor_vector(m->g, layer, name);
}

/* Zeroed floats; 1 at least, so that NULL always means no memory. */
static float *floats(size_t rows, size_t width)
{
    return calloc(rows * width + 1, sizeof(float));
}

static bool is_softmax(const struct block *b)
{
    return b->s->kind == &fg_softmax_attention_block;
}

static bool is_delta(const struct block *b)
{
    return b->s->kind == &fg_delta_rule_block;
}

/* Widths of queries, and of keys or values. */
static size_t heads_width(const struct block *b)
{
    if (is_delta(b))
        return (size_t)b->s->delta.n_head_v * b->s->delta.head_dim;
    return is_softmax(b) ? (size_t)b->s->heads.n_head * b->s->heads.head_dim
                         : (size_t)b->s->lightning.n_head * b->s->lightning.head_dim;
}

static size_t kv_width(const struct block *b)
{
    return (size_t)b->s->heads.n_head_kv * b->s->heads.head_dim;
}

/* A row of the products that a mixer's q, k, v and gates come from. */
static size_t row_width(const struct block *b)
{
    if (is_delta(b))
        return 2 * b->s->delta.n_head_k * b->s->delta.head_dim + 2 * heads_width(b) +
               2 * b->s->delta.n_head_v;
    return (is_softmax(b) ? 2 : 3) * heads_width(b);
}

static void open_softmax(struct fg_ref_model *m, struct block *b)
{
    b->q = matrix(m, b->s->layer, "attn_q");
    b->k = matrix(m, b->s->layer, "attn_k");
    b->v = matrix(m, b->s->layer, "attn_v");
    b->attn_output = matrix(m, b->s->layer, "attn_output"); /* rows come as tokens do */
    b->q_norm = vector(m, b->s->layer, "attn_q_norm");
    b->k_norm = vector(m, b->s->layer, "attn_k_norm");
    b->q_bias = vector(m, b->s->layer, "attn_q.bias.");
    b->k_bias = vector(m, b->s->layer, "attn_k.bias.");
    b->v_bias = vector(m, b->s->layer, "attn_v.bias.");
    b->output_bias = vector(m, b->s->layer, "attn_output.bias.");
}

static int open_delta(struct fg_ref_model *m, struct block *b)
{
    const struct fg_block_shape *s = b->s;
    const struct fg_ref_delta_weights w = {.taps = vector(m, s->layer, "ssm_conv1d"),
                                           .decay = vector(m, s->layer, "ssm_a."),
                                           .bias = vector(m, s->layer, "ssm_dt.bias."),
                                           .norm = vector(m, s->layer, "ssm_norm")};

    b->qkv = matrix(m, s->layer, "attn_qkv");
    b->attn_gate = matrix(m, s->layer, "attn_gate");
    b->alpha = matrix(m, s->layer, "ssm_alpha");
    b->beta = matrix(m, s->layer, "ssm_beta");
    b->attn_output = matrix(m, s->layer, "ssm_out");
    return fg_ref_delta_init(&b->delta,
                             &(struct fg_ref_delta_shape){s->delta.n_head_k, s->delta.n_head_v,
                                                          s->delta.head_dim, s->delta.taps,
                                                          s->norm_eps},
                             &w)
               ? 0
               : FG_ENOMEM;
}

static int open_lightning(struct fg_ref_model *m, struct block *b)
{
    const struct fg_block_shape *s = b->s;
    uint32_t n_head = s->lightning.n_head;

    b->qkv = matrix(m, s->layer, "attn_qkv");
    b->attn_gate = matrix(m, s->layer, "attn_gate");
    b->gate_norm = vector(m, s->layer, "attn_norm_2");
    b->attn_output = matrix(m, s->layer, "attn_output");
    b->k_rows = floats(FG_REF_CHUNK, heads_width(b));
    b->v_rows = floats(FG_REF_CHUNK, heads_width(b));
    b->state = floats(s->lightning.head_dim, heads_width(b));
    b->decay = floats(n_head, FG_REF_CHUNK + 1);
    if (!b->k_rows || !b->v_rows || !b->state || !b->decay)
        return FG_ENOMEM;
    for (uint32_t h = 0; h < n_head; h++)
        fg_ref_decay_table(fg_ref_slope(h, n_head, s->lightning.index, s->lightning.count),
                           b->decay + h * (FG_REF_CHUNK + 1));
    return 0;
}

static void open_ffn(struct fg_ref_model *m, struct block *b)
{
    uint32_t l = b->s->layer;
    bool moe = b->s->kind == &fg_moe_block;

    b->router = matrix(m, l, "ffn_gate_inp");
    b->gate = matrix(m, l, moe ? "ffn_gate_exps" : "ffn_gate");
    b->up = matrix(m, l, moe ? "ffn_up_exps" : "ffn_up");
    b->down = matrix(m, l, moe ? "ffn_down_exps" : "ffn_down");
    if (moe && b->s->moe.fused)
        b->gate = matrix(m, l, "ffn_gate_up_exps");
    b->shared_router = matrix(m, l, "ffn_gate_inp_shexp");
    b->shared_gate = matrix(m, l, "ffn_gate_shexp");
    b->shared_up = matrix(m, l, "ffn_up_shexp");
    b->shared_down = matrix(m, l, "ffn_down_shexp");
}

static int open_block(struct fg_ref_model *m, uint32_t i)
{
    struct block *b = &m->blocks[i];

    b->s = &m->hp.blocks[i];
    b->norm = vector(m, b->s->layer, b->s->norm);
    if (is_softmax(b))
        open_softmax(m, b);
    else if (b->s->kind == &fg_lightning_block)
        return open_lightning(m, b);
    else if (is_delta(b))
        return open_delta(m, b);
    else
        open_ffn(m, b);
    return 0;
}

/* The most that any block has of each. */
struct widths {
    size_t heads, rows, ff, expert, used;
};

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static struct widths widths_of(const struct fg_ref_model *m)
{
    struct widths w = {.used = 1};

    for (uint32_t i = 0; i < m->hp.n_blocks; i++) {
        const struct fg_block_shape *s = &m->hp.blocks[i];
        const struct block b = {.s = s};

        if (s->kind == &fg_moe_block) {
            w.ff = max_size(w.ff, max_size(s->moe.n_ff, s->moe.n_ff_shared));
            w.expert = max_size(w.expert, s->moe.n_expert);
            w.used = max_size(w.used, s->moe.n_used);
        } else if (s->kind == &fg_dense_ffn_block) {
            w.ff = max_size(w.ff, s->dense.n_ff);
        } else {
            w.heads = max_size(w.heads, heads_width(&b));
            w.rows = max_size(w.rows, row_width(&b));
        }
    }
    return w;
}

static int make_scratch(struct fg_ref_model *m)
{
    const struct fg_hparams *hp = &m->hp;
    struct widths w = widths_of(m);
    size_t pairs = (size_t)BATCH * w.used;

    m->x = floats(BATCH, hp->n_embd);
    m->n = floats(BATCH, hp->n_embd);
    m->qkv = floats(BATCH, w.rows);
    m->o = floats(BATCH, w.heads);
    m->attn_gate = floats(BATCH, w.heads);
    m->router = floats(BATCH, w.expert);
    m->ff_gate = floats(pairs, w.ff);
    m->ff_up = floats(pairs, w.ff);
    m->y = floats(pairs, hp->n_embd);
    m->rope = floats(BATCH, hp->rope_dim);
    m->weights = floats(pairs, 1);
    m->experts = calloc(pairs, sizeof *m->experts);
    return m->x && m->n && m->qkv && m->o && m->attn_gate && m->router && m->ff_gate && m->ff_up &&
                   m->y && m->rope && m->weights && m->experts
               ? 0
               : FG_ENOMEM;
}

int fg_ref_model_create(const struct fg_gguf *g, const struct fg_family *family, enum fg_kv_type kv,
                        bool int8, struct fg_ref_model **out, struct fg_err *err)
{
    struct fg_ref_model *m = calloc(1, sizeof *m);
    int rc;

    *out = NULL;
    if (!m)
        return fg_fail(err, FG_ENOMEM, "%s: out of memory", fg_gguf_name(g));
    m->g = g;
    m->kv = kv;
    m->int8 = int8;
    rc = family ? fg_hparams_init_as(&m->hp, g, family, err) : fg_hparams_init(&m->hp, g, err);
    if (rc) {
        free(m);
        return rc;
    }
    m->embd = matrix(m, -1, "token_embd");
    m->head = m->hp.tied_output ? m->embd : matrix(m, -1, "output");
    m->output_norm = vector(m, -1, "output_norm");
    m->blocks = calloc(m->hp.n_blocks + 1, sizeof *m->blocks);
    rc = m->blocks ? make_scratch(m) : FG_ENOMEM;
    for (uint32_t i = 0; i < m->hp.n_blocks && !rc; i++)
        rc = open_block(m, i);
    if (rc) {
        fg_ref_model_destroy(m);
        return fg_fail(err, rc, "%s: out of memory", fg_gguf_name(g));
    }
    *out = m;
    return 0;
}

void fg_ref_model_destroy(struct fg_ref_model *m)
{
    if (!m)
        return;
    void *const rows[] = {m->x,       m->n,     m->qkv, m->o,    m->attn_gate, m->router,
                          m->ff_gate, m->ff_up, m->y,   m->rope, m->weights,   m->experts};
    for (uint32_t i = 0; m->blocks && i < m->hp.n_blocks; i++) {
        free(m->blocks[i].k_rows);
        free(m->blocks[i].v_rows);
        free(m->blocks[i].state);
        free(m->blocks[i].decay);
        fg_ref_delta_finish(&m->blocks[i].delta);
    }
    free(m->blocks);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        free(rows[i]);
    fg_hparams_finish(&m->hp);
    free(m);
}

void fg_ref_model_reset(struct fg_ref_model *m)
{
    m->length = 0;
    for (uint32_t i = 0; i < m->hp.n_blocks; i++)
        if (is_delta(&m->blocks[i]))
            fg_ref_delta_reset(&m->blocks[i].delta);
        else if (m->blocks[i].state)
            memset(m->blocks[i].state, 0,
                   heads_width(&m->blocks[i]) * m->blocks[i].s->lightning.head_dim * sizeof(float));
}

/* Room for `need` tokens in the softmax layers. */
static int grow(struct fg_ref_model *m, uint32_t need)
{
    uint32_t room = m->room ? m->room : 256;

    while (room < need)
        room *= 2;
    for (uint32_t i = 0; i < m->hp.n_blocks && room > m->room; i++) {
        struct block *l = &m->blocks[i];
        float *k, *v;

        if (!is_softmax(l))
            continue;
        k = realloc(l->k_rows, room * kv_width(l) * sizeof *k);
        l->k_rows = k ? k : l->k_rows;
        v = realloc(l->v_rows, room * kv_width(l) * sizeof *v);
        l->v_rows = v ? v : l->v_rows;
        if (!k || !v)
            return FG_ENOMEM;
    }
    m->room = room;
    return 0;
}

/* As the cache holds it. */
static float rounded(const struct fg_ref_model *m, float x)
{
    return m->kv == FG_KV_F16 ? fg_ref_f16_expand(fg_ref_f16_round(x)) : x;
}

/* A head of q or k, normed where the model does so, and rotated. */
static void rotate(const struct block *l, float *x, const float *norm, const float *rope)
{
    const struct fg_heads *h = &l->s->heads;

    if (l->s->normed_heads)
        fg_ref_head_norm(x, norm, h->head_dim, l->s->norm_eps);
    fg_ref_rope(x, h->head_dim, h->rope_dim, h->neox, rope);
}

/* n tokens of a softmax layer: m->n to m->o. */
static void softmax_attention(struct fg_ref_model *m, const struct block *l, uint32_t n)
{
    const struct fg_heads *heads = &l->s->heads;
    size_t d = heads->head_dim, group = heads->n_head / heads->n_head_kv, embd = m->hp.n_embd;
    size_t width = heads_width(l), kv = kv_width(l), q_step = l->s->gated_heads ? 2 * d : d;
    size_t ld = heads->n_head * q_step;
    float scale = fg_ref_attend_scale(heads->head_dim);
    struct fg_ref_rows x = {m->n, embd};

    fg_ref_matmul(&l->q, x, n, NULL, m->qkv, ld);
    fg_ref_matmul(&l->k, x, n, NULL, l->k_rows + m->length * kv, kv);
    fg_ref_matmul(&l->v, x, n, NULL, l->v_rows + m->length * kv, kv);
    fg_ref_bias(m->qkv, l->q_bias, ld, n);
    fg_ref_bias(l->k_rows + m->length * kv, l->k_bias, kv, n);
    fg_ref_bias(l->v_rows + m->length * kv, l->v_bias, kv, n);
    for (uint32_t t = 0; t < n; t++) {
        size_t pos = m->length + t;
        float *q = m->qkv + t * ld, *o = m->o + t * width, *k = l->k_rows + pos * kv,
              *v = l->v_rows + pos * kv;
        const float *rope = m->rope + (size_t)t * heads->rope_dim;

        for (size_t h = 0; h < heads->n_head; h++)
            rotate(l, q + h * q_step, l->q_norm, rope);
        for (size_t h = 0; h < heads->n_head_kv; h++)
            rotate(l, k + h * d, l->k_norm, rope);
        for (size_t i = 0; i < kv; i++) {
            k[i] = rounded(m, k[i]);
            v[i] = rounded(m, v[i]);
        }
        for (size_t h = 0; h < heads->n_head; h++) {
            fg_ref_attend(q + h * q_step,
                          &(struct fg_ref_keys){l->k_rows + h / group * d,
                                                l->v_rows + h / group * d, kv, pos + 1},
                          d, scale, o + h * d);
            if (l->s->gated_heads)
                fg_ref_sigmoid_rows(o + h * d, q + h * q_step + d, d);
        }
    }
}

/* n tokens of a layer of the gated delta rule: m->n to m->o. */
static void delta_rule(struct fg_ref_model *m, struct block *l, uint32_t n)
{
    size_t width = heads_width(l), ld = row_width(l), heads = l->s->delta.n_head_v;
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
static void lightning_attention(struct fg_ref_model *m, const struct block *l, uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;
    size_t d = l->s->lightning.head_dim, n_head = l->s->lightning.n_head, ld = heads_width(l);
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

/* m->x = residual + down(silu(gate n) * (up n)); with a router, what goes into down is weighed by
 * the sigmoid of router . n. */
static void swiglu_ffn(struct fg_ref_model *m, const struct fg_ref_matrix w[3],
                       const struct fg_ref_matrix *router, const struct fg_ref_residual *residual,
                       uint32_t n)
{
    size_t embd = m->hp.n_embd, ff = w[0].n_rows;

    fg_ref_matmul(&w[0], (struct fg_ref_rows){m->n, embd}, n, NULL, m->ff_gate, ff);
    fg_ref_matmul(&w[1], (struct fg_ref_rows){m->n, embd}, n, NULL, m->ff_up, ff);
    fg_ref_swiglu(m->ff_gate, m->ff_up, (size_t)n * ff);
    if (router)
        fg_ref_matmul(router, (struct fg_ref_rows){m->n, embd}, n, NULL, m->router, 1);
    for (size_t t = 0; router && t < n; t++)
        fg_ref_scale_row(m->ff_gate + t * ff, m->router[t], ff);
    fg_ref_matmul(&w[2], (struct fg_ref_rows){m->ff_gate, ff}, n, residual, m->x, embd);
}

/* Result of one expert for a token. */
static void one_expert(struct fg_ref_model *m, const struct block *l, uint32_t chosen,
                       const float *n, float *y)
{
    uint32_t n_expert = l->s->moe.n_expert;
    struct fg_ref_matrix gate = fg_ref_expert(&l->gate, n_expert, chosen);
    struct fg_ref_matrix down = fg_ref_expert(&l->down, n_expert, chosen);
    struct fg_ref_matrix up =
        fg_ref_expert(l->s->moe.fused ? &gate : &l->up, l->s->moe.fused ? 2 : n_expert,
                      l->s->moe.fused ? 1 : chosen);

    if (l->s->moe.fused) /* the gate's rows, then up's */
        gate = fg_ref_expert(&gate, 2, 0);
    fg_ref_matmul(&gate, (struct fg_ref_rows){n, 0}, 1, NULL, m->ff_gate, 0);
    fg_ref_matmul(&up, (struct fg_ref_rows){n, 0}, 1, NULL, m->ff_up, 0);
    fg_ref_swiglu(m->ff_gate, m->ff_up, l->s->moe.n_ff);
    fg_ref_matmul(&down, (struct fg_ref_rows){m->ff_gate, 0}, 1, NULL, y, 0);
}

/* m->x = alpha * residual + sum of the experts' results for m->n, the shared one's first. */
static void experts(struct fg_ref_model *m, const struct block *l, struct fg_ref_residual residual,
                    uint32_t n)
{
    size_t embd = m->hp.n_embd, n_expert = l->s->moe.n_expert, used = l->s->moe.n_used;

    if (l->s->moe.n_ff_shared) {
        const struct fg_ref_matrix shared[] = {l->shared_gate, l->shared_up, l->shared_down};

        swiglu_ffn(m, shared, l->s->moe.shared_gate ? &l->shared_router : NULL, &residual, n);
        residual = (struct fg_ref_residual){m->x, embd, 1};
    }
    fg_ref_matmul(&l->router, (struct fg_ref_rows){m->n, embd}, n, NULL, m->router, n_expert);
    for (size_t t = 0; t < n; t++) {
        float *y = m->y + t * used * embd, *weights = m->weights + t * used;
        uint32_t *chosen = m->experts + t * used;

        fg_ref_route(m->router + t * n_expert, n_expert, used, chosen, weights);
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

static void run_block(struct fg_ref_model *m, struct block *b, uint32_t n)
{
    /* minimax-01 keeps the normed input as the residual, llama the input itself. */
    struct fg_ref_residual residual = {b->s->post_norm ? m->n : m->x, m->hp.n_embd,
                                       b->s->residual_scale};
    const struct fg_ref_matrix dense[] = {b->gate, b->up, b->down};

    norm_rows(m, b->norm, n);
    if (b->s->kind == &fg_moe_block) {
        experts(m, b, residual, n);
    } else if (b->s->kind == &fg_dense_ffn_block) {
        swiglu_ffn(m, dense, NULL, &residual, n);
    } else {
        if (is_softmax(b))
            softmax_attention(m, b, n);
        else if (is_delta(b))
            delta_rule(m, b, n);
        else
            lightning_attention(m, b, n);
        fg_ref_matmul(&b->attn_output, (struct fg_ref_rows){m->o, heads_width(b)}, n, &residual,
                      m->x, m->hp.n_embd);
        fg_ref_bias(m->x, b->output_bias, m->hp.n_embd, n);
    }
}

/* Up to BATCH tokens; logits of the last n_logits of them. */
static void run_batch(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits)
{
    const struct fg_hparams *hp = &m->hp;
    size_t width = hp->n_embd;

    for (uint32_t t = 0; t < n; t++) {
        fg_ref_embed(&m->embd, (uint32_t)tokens[t], m->x + t * width);
        fg_ref_rope_table(m->length + t, hp->rope_dim, hp->rope_freq_base, hp->rope_factors,
                          &hp->rope_scaling, m->rope + (size_t)t * hp->rope_dim);
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

int fg_ref_model_feed(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits, struct fg_err *err)
{
    uint32_t vocab = m->hp.n_vocab;

    if (n_logits > n)
        return fg_fail(err, FG_EINVAL, "n_logits is %" PRIu32 ", it must be at most n, %" PRIu32,
                       n_logits, n);
    for (uint32_t t = 0; t < n; t++)
        if (tokens[t] < 0 || (uint32_t)tokens[t] >= vocab)
            return fg_fail(err, FG_EINVAL,
                           "token %" PRIu32 " is %" PRId32 ", it must be 0 to %" PRIu32, t,
                           tokens[t], vocab - 1);
    if (n > UINT32_MAX / 4 - m->length || grow(m, m->length + n))
        return fg_fail(err, FG_ENOMEM, "%s: out of memory for %" PRIu32 " tokens",
                       fg_gguf_name(m->g), n);
    while (n > 0) {
        uint32_t now = n < BATCH ? n : BATCH;
        uint32_t wanted = n_logits > n - now ? n_logits - (n - now) : 0;

        run_batch(m, tokens, now, logits, wanted);
        if (wanted > 0)
            logits += (size_t)wanted * vocab;
        n_logits -= wanted;
        tokens += now;
        n -= now;
    }
    return 0;
}

const struct fg_hparams *fg_ref_model_hparams(const struct fg_ref_model *m)
{
    return &m->hp;
}

uint32_t fg_ref_model_length(const struct fg_ref_model *m)
{
    return m->length;
}
