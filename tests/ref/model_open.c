#include "model_state.h"

#include "tables.h"
#include "tensors.h"

#include <stdlib.h>

struct fg_ref_matrix fg_ref_model_matrix(const struct fg_ref_model *m, int64_t layer,
                                         const char *name)
{
    return fg_ref_tensor_matrix(m->g, layer, name, m->int8);
}

const float *fg_ref_model_vector(const struct fg_ref_model *m, int64_t layer, const char *name)
{
    return fg_ref_tensor_vector(m->g, layer, name);
}

/* Zeroed floats; 1 at least, so that NULL always means no memory. */
static float *floats(size_t rows, size_t width)
{
    return calloc(rows * width + 1, sizeof(float));
}

static void open_softmax(struct fg_ref_model *m, struct fg_ref_model_block *b)
{
    b->q = fg_ref_model_matrix(m, b->s->layer, "attn_q");
    b->k = fg_ref_model_matrix(m, b->s->layer, "attn_k");
    b->v = fg_ref_model_matrix(m, b->s->layer, "attn_v");
    b->attn_output =
        fg_ref_model_matrix(m, b->s->layer, "attn_output"); /* rows come as tokens do */
    b->q_norm = fg_ref_model_vector(m, b->s->layer, "attn_q_norm");
    b->k_norm = fg_ref_model_vector(m, b->s->layer, "attn_k_norm");
    b->q_bias = fg_ref_model_vector(m, b->s->layer, "attn_q.bias.");
    b->k_bias = fg_ref_model_vector(m, b->s->layer, "attn_k.bias.");
    b->v_bias = fg_ref_model_vector(m, b->s->layer, "attn_v.bias.");
    b->sinks = fg_ref_model_vector(m, b->s->layer, "attn_sinks");
    b->output_bias = fg_ref_model_vector(m, b->s->layer, "attn_output.bias.");
}

static int open_delta(struct fg_ref_model *m, struct fg_ref_model_block *b)
{
    const struct fg_block_shape *s = b->s;
    const struct fg_ref_delta_weights w = {.taps = fg_ref_model_vector(m, s->layer, "ssm_conv1d"),
                                           .decay = fg_ref_model_vector(m, s->layer, "ssm_a."),
                                           .bias = fg_ref_model_vector(m, s->layer, "ssm_dt.bias."),
                                           .norm = fg_ref_model_vector(m, s->layer, "ssm_norm")};

    b->qkv = fg_ref_model_matrix(m, s->layer, "attn_qkv");
    b->attn_gate = fg_ref_model_matrix(m, s->layer, "attn_gate");
    b->alpha = fg_ref_model_matrix(m, s->layer, "ssm_alpha");
    b->beta = fg_ref_model_matrix(m, s->layer, "ssm_beta");
    b->attn_output = fg_ref_model_matrix(m, s->layer, "ssm_out");
    return fg_ref_delta_init(&b->delta,
                             &(struct fg_ref_delta_shape){s->delta.n_head_k, s->delta.n_head_v,
                                                          s->delta.head_dim, s->delta.taps,
                                                          s->norm_eps},
                             &w)
               ? 0
               : FG_ENOMEM;
}

static int open_lightning(struct fg_ref_model *m, struct fg_ref_model_block *b)
{
    const struct fg_block_shape *s = b->s;
    uint32_t n_head = s->lightning.n_head;

    b->qkv = fg_ref_model_matrix(m, s->layer, "attn_qkv");
    b->attn_gate = fg_ref_model_matrix(m, s->layer, "attn_gate");
    b->gate_norm = fg_ref_model_vector(m, s->layer, "attn_norm_2");
    b->attn_output = fg_ref_model_matrix(m, s->layer, "attn_output");
    b->k_rows = floats(FG_REF_CHUNK, fg_ref_heads_width(b));
    b->v_rows = floats(FG_REF_CHUNK, fg_ref_heads_width(b));
    b->state = floats(s->lightning.head_dim, fg_ref_heads_width(b));
    b->decay = floats(n_head, FG_REF_CHUNK + 1);
    if (!b->k_rows || !b->v_rows || !b->state || !b->decay)
        return FG_ENOMEM;
    for (uint32_t h = 0; h < n_head; h++)
        fg_ref_decay_table(fg_ref_slope(h, n_head, s->lightning.index, s->lightning.count),
                           b->decay + h * (FG_REF_CHUNK + 1));
    return 0;
}

static int open_conv(struct fg_ref_model *m, struct fg_ref_model_block *b)
{
    b->conv_in = fg_ref_model_matrix(m, b->s->layer, "shortconv.in_proj");
    b->attn_output = fg_ref_model_matrix(m, b->s->layer, "shortconv.out_proj");
    b->taps = fg_ref_model_vector(m, b->s->layer, "shortconv.conv");
    b->tail = floats(b->s->conv.taps - 1, b->s->n_embd);
    return b->tail ? 0 : FG_ENOMEM;
}

static void open_ffn(struct fg_ref_model *m, struct fg_ref_model_block *b)
{
    uint32_t l = b->s->layer;
    bool moe = b->s->kind == &fg_moe_block;

    b->router = fg_ref_model_matrix(m, l, "ffn_gate_inp");
    b->router_bias = fg_ref_model_vector(m, l, "ffn_gate_inp.bias.");
    b->gate_bias = fg_ref_model_vector(m, l, "ffn_gate_exps.bias.");
    b->up_bias = fg_ref_model_vector(m, l, "ffn_up_exps.bias.");
    b->down_bias = fg_ref_model_vector(m, l, "ffn_down_exps.bias.");
    b->choice_bias = fg_ref_model_vector(m, l, "exp_probs_b.bias.");
    b->gate = fg_ref_model_matrix(m, l, moe ? "ffn_gate_exps" : "ffn_gate");
    b->up = fg_ref_model_matrix(m, l, moe ? "ffn_up_exps" : "ffn_up");
    b->down = fg_ref_model_matrix(m, l, moe ? "ffn_down_exps" : "ffn_down");
    if (moe && b->s->moe.fused)
        b->gate = fg_ref_model_matrix(m, l, "ffn_gate_up_exps");
    b->shared_router = fg_ref_model_matrix(m, l, "ffn_gate_inp_shexp");
    b->shared_gate = fg_ref_model_matrix(m, l, "ffn_gate_shexp");
    b->shared_up = fg_ref_model_matrix(m, l, "ffn_up_shexp");
    b->shared_down = fg_ref_model_matrix(m, l, "ffn_down_shexp");
}

int fg_ref_open_block(struct fg_ref_model *m, uint32_t i)
{
    struct fg_ref_model_block *b = &m->blocks[i];

    b->s = &m->hp.blocks[i];
    b->norm = fg_ref_model_vector(m, b->s->layer, b->s->norm);
    b->post = b->s->post ? fg_ref_model_vector(m, b->s->layer, b->s->post) : NULL;
    if (fg_ref_is_softmax(b))
        open_softmax(m, b);
    else if (b->s->kind == &fg_lightning_block)
        return open_lightning(m, b);
    else if (fg_ref_is_delta(b))
        return open_delta(m, b);
    else if (fg_ref_is_conv(b))
        return open_conv(m, b);
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
        const struct fg_ref_model_block b = {.s = s};

        if (s->kind == &fg_moe_block) {
            w.ff = max_size(w.ff, max_size(s->moe.n_ff, s->moe.n_ff_shared));
            w.expert = max_size(w.expert, s->moe.n_expert);
            w.used = max_size(w.used, s->moe.n_used);
        } else if (s->kind == &fg_dense_ffn_block) {
            w.ff = max_size(w.ff, s->dense.n_ff);
        } else {
            w.heads = max_size(w.heads, fg_ref_heads_width(&b));
            w.rows = max_size(w.rows, fg_ref_row_width(&b));
        }
    }
    return w;
}

int fg_ref_make_scratch(struct fg_ref_model *m)
{
    const struct fg_hparams *hp = &m->hp;
    struct widths w = widths_of(m);
    size_t pairs = (size_t)FG_REF_BATCH * w.used;

    m->x = floats(FG_REF_BATCH, hp->n_embd);
    m->n = floats(FG_REF_BATCH, hp->n_embd);
    m->qkv = floats(FG_REF_BATCH, w.rows);
    m->o = floats(FG_REF_BATCH, w.heads);
    m->attn_gate = floats(FG_REF_BATCH, w.heads);
    m->router = floats(FG_REF_BATCH, w.expert);
    m->ff_gate = floats(pairs, w.ff);
    m->ff_up = floats(pairs, w.ff);
    m->y = floats(pairs, hp->n_embd);
    m->rope = floats(FG_REF_BATCH, hp->rope_dim);
    m->rope_local = floats(FG_REF_BATCH, hp->rope_dim);
    m->weights = floats(pairs, 1);
    m->experts = calloc(pairs, sizeof *m->experts);
    return m->x && m->n && m->qkv && m->o && m->attn_gate && m->router && m->ff_gate && m->ff_up &&
                   m->y && m->rope && m->rope_local && m->weights && m->experts
               ? 0
               : FG_ENOMEM;
}
