#include "model.h"

#include "canon.h"
#include "ops.h"
#include "tables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GATE_EPS 1e-6f /* of the norm over the heads' outputs in lightning attention */

enum { BATCH = 64 }; /* tokens that go through a layer together */

struct layer {
    const float *attn_norm, *ffn_norm, *gate_norm;
    struct fg_ref_matrix q, k, v, qkv, attn_gate, attn_output;
    struct fg_ref_matrix router, gate, up, down; /* rows of all experts one after the other */
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
    struct layer *layers;
    uint32_t length, room; /* tokens that the k_rows and v_rows of softmax layers have room for */
    float scale;
    uint32_t n_used; /* feed-forward results a token: experts, or 1 */
    size_t qkv_width, heads_width, kv_width;
    /* Of a batch: [BATCH] rows each; ff_* and y have n_used rows a token. */
    float *x, *n, *qkv, *o, *attn_gate, *router, *ff_gate, *ff_up, *y, *rope;
    uint32_t *experts;
    float *weights;
};

static const struct fg_tensor *tensor(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    char full[96];

    if (layer < 0)
        snprintf(full, sizeof full, "%s.weight", name);
    else
        snprintf(full, sizeof full, "blk.%" PRId64 ".%s.weight", layer, name);
    return fg_gguf_tensor(m->g, full);
}

/* All zero when there is none: fg_hparams_init() has seen to those that the layer uses. */
static struct fg_ref_matrix matrix(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    const struct fg_tensor *t = tensor(m, layer, name);

    if (!t)
        return (struct fg_ref_matrix){0};
    return (struct fg_ref_matrix){t->type, t->data, t->ne[0], t->ne[1] * t->ne[2], m->int8};
}

static const float *vector(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    const struct fg_tensor *t = tensor(m, layer, name);

    return t ? t->data : NULL;
}

/* Zeroed floats; 1 at least, so that NULL always means no memory. */
static float *floats(size_t rows, size_t width)
{
    return calloc(rows * width + 1, sizeof(float));
}

static int open_layer(struct fg_ref_model *m, uint32_t i)
{
    const struct fg_hparams *hp = &m->hp;
    struct layer *l = &m->layers[i];

    l->attn_norm = vector(m, i, "attn_norm");
    l->ffn_norm = vector(m, i, "ffn_norm");
    l->attn_output = matrix(m, i, "attn_output");
    l->router = matrix(m, i, "ffn_gate_inp");
    l->gate = matrix(m, i, hp->n_expert ? "ffn_gate_exps" : "ffn_gate");
    l->up = matrix(m, i, hp->n_expert ? "ffn_up_exps" : "ffn_up");
    l->down = matrix(m, i, hp->n_expert ? "ffn_down_exps" : "ffn_down");
    if (!hp->recurrent[i]) {
        l->q = matrix(m, i, "attn_q");
        l->k = matrix(m, i, "attn_k");
        l->v = matrix(m, i, "attn_v");
        return 0; /* rows come as tokens do */
    }
    l->qkv = matrix(m, i, "attn_qkv");
    l->attn_gate = matrix(m, i, "attn_gate");
    l->gate_norm = vector(m, i, "attn_norm_2");
    l->k_rows = floats(FG_REF_CHUNK, m->heads_width);
    l->v_rows = floats(FG_REF_CHUNK, m->heads_width);
    l->state = floats(hp->head_dim, m->heads_width);
    l->decay = floats(hp->n_head, FG_REF_CHUNK + 1);
    if (!l->k_rows || !l->v_rows || !l->state || !l->decay)
        return FG_ENOMEM;
    for (uint32_t h = 0; h < hp->n_head; h++)
        fg_ref_decay_table(fg_ref_slope(h, hp->n_head, i, hp->n_layer),
                           l->decay + h * (FG_REF_CHUNK + 1));
    return 0;
}

static int make_scratch(struct fg_ref_model *m)
{
    const struct fg_hparams *hp = &m->hp;
    size_t pairs = (size_t)BATCH * m->n_used;

    m->x = floats(BATCH, hp->n_embd);
    m->n = floats(BATCH, hp->n_embd);
    m->qkv = floats(BATCH, m->qkv_width);
    m->o = floats(BATCH, m->heads_width);
    m->attn_gate = floats(BATCH, m->heads_width);
    m->router = floats(BATCH, hp->n_expert);
    m->ff_gate = floats(pairs, hp->n_ff);
    m->ff_up = floats(pairs, hp->n_ff);
    m->y = floats(pairs, hp->n_embd);
    m->rope = floats(BATCH, hp->rope_dim);
    m->weights = floats(pairs, 1);
    m->experts = calloc(pairs, sizeof *m->experts);
    return m->x && m->n && m->qkv && m->o && m->attn_gate && m->router && m->ff_gate && m->ff_up &&
                   m->y && m->rope && m->weights && m->experts
               ? 0
               : FG_ENOMEM;
}

int fg_ref_model_create(const struct fg_gguf *g, enum fg_kv_type kv, bool int8,
                        struct fg_ref_model **out, struct fg_err *err)
{
    struct fg_ref_model *m = calloc(1, sizeof *m);
    int rc;

    *out = NULL;
    if (!m)
        return fg_fail(err, FG_ENOMEM, "%s: out of memory", fg_gguf_name(g));
    m->g = g;
    m->kv = kv;
    m->int8 = int8;
    rc = fg_hparams_init(&m->hp, g, err);
    if (rc) {
        free(m);
        return rc;
    }
    m->heads_width = (size_t)m->hp.n_head * m->hp.head_dim;
    m->kv_width = (size_t)m->hp.n_head_kv * m->hp.head_dim;
    m->qkv_width = 3 * m->heads_width;
    m->n_used = m->hp.n_expert ? m->hp.n_expert_used : 1;
    m->scale = fg_ref_attend_scale(m->hp.head_dim);
    m->embd = matrix(m, -1, "token_embd");
    m->head = m->hp.tied_output ? m->embd : matrix(m, -1, "output");
    m->output_norm = vector(m, -1, "output_norm");
    m->layers = calloc(m->hp.n_layer, sizeof *m->layers);
    rc = m->layers ? make_scratch(m) : FG_ENOMEM;
    for (uint32_t i = 0; i < m->hp.n_layer && !rc; i++)
        rc = open_layer(m, i);
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
    for (uint32_t i = 0; m->layers && i < m->hp.n_layer; i++) {
        free(m->layers[i].k_rows);
        free(m->layers[i].v_rows);
        free(m->layers[i].state);
        free(m->layers[i].decay);
    }
    free(m->layers);
    free(m->x);
    free(m->n);
    free(m->qkv);
    free(m->o);
    free(m->attn_gate);
    free(m->router);
    free(m->ff_gate);
    free(m->ff_up);
    free(m->y);
    free(m->rope);
    free(m->weights);
    free(m->experts);
    fg_hparams_finish(&m->hp);
    free(m);
}

void fg_ref_model_reset(struct fg_ref_model *m)
{
    m->length = 0;
    for (uint32_t i = 0; i < m->hp.n_layer; i++)
        if (m->hp.recurrent[i])
            memset(m->layers[i].state, 0, m->heads_width * m->hp.head_dim * sizeof(float));
}

/* Room for `need` tokens in the softmax layers. */
static int grow(struct fg_ref_model *m, uint32_t need)
{
    uint32_t room = m->room ? m->room : 256;

    while (room < need)
        room *= 2;
    for (uint32_t i = 0; i < m->hp.n_layer && room > m->room; i++) {
        struct layer *l = &m->layers[i];
        float *k, *v;

        if (m->hp.recurrent[i])
            continue;
        k = realloc(l->k_rows, room * m->kv_width * sizeof *k);
        l->k_rows = k ? k : l->k_rows;
        v = realloc(l->v_rows, room * m->kv_width * sizeof *v);
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

/* n tokens of a softmax layer: m->n to m->o. */
static void softmax_attention(struct fg_ref_model *m, const struct layer *l, uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;
    size_t d = hp->head_dim, group = hp->n_head / hp->n_head_kv;

    fg_ref_matmul(&l->q, m->n, hp->n_embd, n, NULL, m->qkv, m->heads_width);
    fg_ref_matmul(&l->k, m->n, hp->n_embd, n, NULL, l->k_rows + m->length * m->kv_width,
                  m->kv_width);
    fg_ref_matmul(&l->v, m->n, hp->n_embd, n, NULL, l->v_rows + m->length * m->kv_width,
                  m->kv_width);
    for (uint32_t t = 0; t < n; t++) {
        size_t pos = m->length + t;
        float *q = m->qkv + t * m->heads_width;
        float *k = l->k_rows + pos * m->kv_width, *v = l->v_rows + pos * m->kv_width;
        const float *rope = m->rope + (size_t)t * hp->rope_dim;

        for (size_t h = 0; h < hp->n_head; h++)
            fg_ref_rope(q + h * d, d, hp->rope_dim, hp->rope_neox, rope);
        for (size_t h = 0; h < hp->n_head_kv; h++)
            fg_ref_rope(k + h * d, d, hp->rope_dim, hp->rope_neox, rope);
        for (size_t i = 0; i < m->kv_width; i++) {
            k[i] = rounded(m, k[i]);
            v[i] = rounded(m, v[i]);
        }
        for (size_t h = 0; h < hp->n_head; h++)
            fg_ref_attend(q + h * d, l->k_rows + h / group * d, l->v_rows + h / group * d,
                          m->kv_width, pos + 1, d, m->scale, m->o + t * m->heads_width + h * d);
    }
}

/* n tokens of a lightning layer: m->n to m->o. */
static void lightning_attention(struct fg_ref_model *m, const struct layer *l, uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;
    size_t d = hp->head_dim, ld = m->heads_width;

    fg_ref_matmul(&l->qkv, m->n, hp->n_embd, n, NULL, m->qkv, 3 * ld);
    fg_ref_matmul(&l->attn_gate, m->n, hp->n_embd, n, NULL, m->attn_gate, ld);
    fg_ref_silu_rows(m->qkv, n * 3 * ld);
    for (uint32_t t = 0; t < n; t++) {
        size_t i = (m->length + t) % FG_REF_CHUNK;
        float *o = m->o + t * ld;

        for (size_t h = 0; h < hp->n_head; h++) {
            const float *q = m->qkv + t * 3 * ld + h * 3 * d;
            const float *decay = l->decay + h * (FG_REF_CHUNK + 1);
            float *k = l->k_rows + h * d, *v = l->v_rows + h * d, *state = l->state + h * d * d;

            memcpy(k + i * ld, q + d, d * sizeof *k);
            memcpy(v + i * ld, q + 2 * d, d * sizeof *v);
            fg_ref_lightning_attend(q, k, v, ld, state, decay, i, d, o + h * d);
            if (i == FG_REF_CHUNK - 1)
                fg_ref_lightning_fold(state, k, v, ld, decay, d);
        }
        fg_ref_gate(o, m->attn_gate + t * ld, l->gate_norm, ld, GATE_EPS, o);
    }
}

static struct fg_ref_matrix expert(const struct fg_ref_matrix *all, size_t n_expert, size_t e)
{
    struct fg_ref_matrix w = *all;

    w.n_rows = all->n_rows / n_expert;
    w.rows = (const char *)all->rows + e * w.n_rows * fg_dtype_row_bytes(w.type, w.k);
    return w;
}

/* m->x = alpha * residual + sum of the experts' results for m->n. */
static void experts(struct fg_ref_model *m, const struct layer *l, const float *residual,
                    uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;

    fg_ref_matmul(&l->router, m->n, hp->n_embd, n, NULL, m->router, hp->n_expert);
    for (size_t t = 0; t < n; t++) {
        float *y = m->y + t * m->n_used * hp->n_embd, *weights = m->weights + t * m->n_used;
        uint32_t *chosen = m->experts + t * m->n_used;

        fg_ref_route(m->router + t * hp->n_expert, hp->n_expert, m->n_used, chosen, weights);
        for (size_t r = 0; r < m->n_used; r++) {
            struct fg_ref_matrix gate = expert(&l->gate, hp->n_expert, chosen[r]);
            struct fg_ref_matrix up = expert(&l->up, hp->n_expert, chosen[r]);
            struct fg_ref_matrix down = expert(&l->down, hp->n_expert, chosen[r]);

            fg_ref_matmul(&gate, m->n + t * hp->n_embd, 0, 1, NULL, m->ff_gate, 0);
            fg_ref_matmul(&up, m->n + t * hp->n_embd, 0, 1, NULL, m->ff_up, 0);
            fg_ref_swiglu(m->ff_gate, m->ff_up, hp->n_ff);
            fg_ref_matmul(&down, m->ff_gate, 0, 1, NULL, y + r * hp->n_embd, 0);
        }
        fg_ref_combine(y, hp->n_embd, weights, m->n_used, residual + t * hp->n_embd,
                       hp->residual_scale, hp->n_embd, m->x + t * hp->n_embd);
    }
}

static void norm_rows(const struct fg_ref_model *m, const float *w, uint32_t n)
{
    size_t width = m->hp.n_embd;

    for (size_t t = 0; t < n; t++)
        fg_ref_rmsnorm(m->x + t * width, w, width, m->hp.norm_eps, m->n + t * width);
}

static void run_layer(struct fg_ref_model *m, uint32_t i, uint32_t n)
{
    const struct fg_hparams *hp = &m->hp;
    const struct layer *l = &m->layers[i];
    /* minimax-01 keeps the normed input as the residual, llama the input itself. */
    struct fg_ref_residual residual = {hp->post_norm ? m->n : m->x, hp->n_embd, hp->residual_scale};

    norm_rows(m, l->attn_norm, n);
    if (hp->recurrent[i])
        lightning_attention(m, l, n);
    else
        softmax_attention(m, l, n);
    fg_ref_matmul(&l->attn_output, m->o, m->heads_width, n, &residual, m->x, hp->n_embd);
    norm_rows(m, l->ffn_norm, n);
    if (hp->n_expert) {
        experts(m, l, residual.rows, n);
        return;
    }
    fg_ref_matmul(&l->gate, m->n, hp->n_embd, n, NULL, m->ff_gate, hp->n_ff);
    fg_ref_matmul(&l->up, m->n, hp->n_embd, n, NULL, m->ff_up, hp->n_ff);
    fg_ref_swiglu(m->ff_gate, m->ff_up, (size_t)n * hp->n_ff);
    fg_ref_matmul(&l->down, m->ff_gate, hp->n_ff, n, &residual, m->x, hp->n_embd);
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
                          m->rope + (size_t)t * hp->rope_dim);
    }
    for (uint32_t i = 0; i < hp->n_layer; i++)
        run_layer(m, i, n);
    m->length += n;
    if (n_logits == 0)
        return;
    norm_rows(m, m->output_norm, n);
    fg_ref_matmul(&m->head, m->n + (n - n_logits) * width, width, n_logits, NULL, logits,
                  hp->n_vocab);
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

struct fg_ref_layer_rows fg_ref_model_layer(const struct fg_ref_model *m, uint32_t layer)
{
    const struct layer *l = &m->layers[layer];

    return (struct fg_ref_layer_rows){l->k_rows, l->v_rows, l->state};
}
