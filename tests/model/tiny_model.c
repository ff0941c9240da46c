#include "tiny_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct maker {
    const struct tiny_model *m;
    struct gguf_writer *w;
    uint64_t state;
};

/* SplitMix64, to a float in [-1, 1). */
static float draw(struct maker *k)
{
    uint64_t z = k->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-23f - 1;
}

static void add(struct maker *k, const char *name, enum fg_dtype type, float mean, float range,
                uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t ne[3] = {a, b, c}, n = a * b * c;
    float *v = malloc((size_t)n * sizeof *v);

    if (!v)
        abort();
    for (uint64_t i = 0; i < n; i++)
        v[i] = mean + range * draw(k);
    gguf_writer_tensor(k->w, name, type, c > 1 ? 3 : b > 1 ? 2 : 1, ne, v);
    free(v);
}

static void add_norm(struct maker *k, const char *name, uint64_t n)
{
    add(k, name, FG_F32, 1, 0.1f, n, 1, 1);
}

static void add_matrix(struct maker *k, const char *name, enum fg_dtype type, uint64_t a,
                       uint64_t b, uint64_t c)
{
    add(k, name, type, 0, sqrtf(3.0f / (float)a), a, b, c);
}

struct name {
    char text[64];
};

static struct name blk(uint32_t layer, const char *part)
{
    struct name n;

    snprintf(n.text, sizeof n.text, "blk.%" PRIu32 ".%s.weight", layer, part);
    return n;
}

static void add_layer(struct maker *k, uint32_t l, bool recurrent)
{
    const struct tiny_model *m = k->m;
    uint64_t embd = m->n_embd, ff = m->n_ff, e = m->n_expert;
    uint64_t heads = (uint64_t)m->n_head * m->head_dim;
    uint64_t kv = (uint64_t)m->n_head_kv * m->head_dim;

    add_norm(k, blk(l, "attn_norm").text, embd);
    add_norm(k, blk(l, "ffn_norm").text, embd);
    if (recurrent) {
        add_matrix(k, blk(l, "attn_qkv").text, m->matrix, embd, 3 * heads, 1);
        add_matrix(k, blk(l, "attn_gate").text, m->matrix, embd, heads, 1);
        add_norm(k, blk(l, "attn_norm_2").text, heads);
    } else {
        add_matrix(k, blk(l, "attn_q").text, m->matrix, embd, heads, 1);
        add_matrix(k, blk(l, "attn_k").text, m->matrix, embd, kv, 1);
        add_matrix(k, blk(l, "attn_v").text, m->matrix, embd, kv, 1);
    }
    add_matrix(k, blk(l, "attn_output").text, m->matrix, heads, embd, 1);
    if (e > 0) {
        add_matrix(k, blk(l, "ffn_gate_inp").text, FG_F32, embd, e, 1);
        add_matrix(k, blk(l, "ffn_gate_exps").text, m->matrix, embd, ff, e);
        add_matrix(k, blk(l, "ffn_up_exps").text, m->matrix, embd, ff, e);
        add_matrix(k, blk(l, "ffn_down_exps").text, m->matrix, ff, embd, e);
    } else {
        add_matrix(k, blk(l, "ffn_gate").text, m->matrix, embd, ff, 1);
        add_matrix(k, blk(l, "ffn_up").text, m->matrix, embd, ff, 1);
        add_matrix(k, blk(l, "ffn_down").text, m->matrix, ff, embd, 1);
    }
}

static void add_keys(struct maker *k, const char *arch)
{
    const struct tiny_model *m = k->m;
    const struct {
        const char *suffix;
        uint32_t v;
    } keys[] = {
        {"block_count", m->n_layer},
        {"context_length", 65536},
        {"embedding_length", m->n_embd},
        {"feed_forward_length", m->n_ff},
        {"attention.head_count", m->n_head},
        {"attention.head_count_kv", m->n_head_kv},
        {"attention.key_length", m->head_dim},
        {"attention.value_length", m->head_dim},
        {"rope.dimension_count", m->rope_dim},
        {"expert_count", m->n_expert},
        {"expert_used_count", m->n_expert_used},
    };
    char key[96];

    gguf_writer_str(k->w, "general.architecture", arch);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, keys[i].suffix);
        gguf_writer_u32(k->w, key, keys[i].v);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    gguf_writer_f32(k->w, key, 1e-5f);
    snprintf(key, sizeof key, "%s.rope.freq_base", arch);
    gguf_writer_f32(k->w, key, m->family == FG_FAMILY_LLAMA ? 10000.0f : 1e7f);
    if (m->family == FG_FAMILY_LLAMA)
        return;
    gguf_writer_f32(k->w, "minimax-01.residual_scale", 3.5565588f);
    if (m->recurrent)
        gguf_writer_bool_array(k->w, "minimax-01.attention.recurrent_layers", m->recurrent,
                               m->n_layer);
}

struct tiny_model tiny_minimax(void)
{
    static const uint8_t recurrent[] = {1, 1, 1, 0};

    return (struct tiny_model){
        .family = FG_FAMILY_MINIMAX_01,
        .n_layer = 4,
        .n_embd = 64,
        .n_ff = 96,
        .n_head = 4,
        .n_head_kv = 2,
        .head_dim = 32,
        .n_vocab = 96,
        .rope_dim = 16,
        .n_expert = 4,
        .n_expert_used = 2,
        .matrix = FG_F32,
        .recurrent = recurrent,
        .seed = 1,
    };
}

struct tiny_model tiny_llama(void)
{
    return (struct tiny_model){
        .family = FG_FAMILY_LLAMA,
        .n_layer = 3,
        .n_embd = 64,
        .n_ff = 96,
        .n_head = 4,
        .n_head_kv = 2,
        .head_dim = 16,
        .n_vocab = 96,
        .rope_dim = 16,
        .matrix = FG_F32,
        .tied = true,
        .seed = 1,
    };
}

struct gguf_writer *tiny_model_write(const struct tiny_model *m)
{
    struct maker k = {.m = m, .w = gguf_writer_create(), .state = m->seed};
    bool llama = m->family == FG_FAMILY_LLAMA;

    add_keys(&k, llama ? "llama" : "minimax-01");
    add_matrix(&k, "token_embd.weight", m->matrix, m->n_embd, m->n_vocab, 1);
    add_norm(&k, "output_norm.weight", m->n_embd);
    if (!m->tied)
        add_matrix(&k, "output.weight", m->matrix, m->n_embd, m->n_vocab, 1);
    for (uint32_t l = 0; l < m->n_layer; l++)
        add_layer(&k, l, !llama && (m->recurrent ? m->recurrent[l] : (l + 1) % 8 != 0));
    if (m->rope_factors) {
        float factors[256];
        uint64_t n = m->rope_dim / 2;

        for (uint64_t i = 0; i < n; i++)
            factors[i] = 1 + (float)i / 8;
        gguf_writer_tensor(k.w, "rope_freqs.weight", FG_F32, 1, &n, factors);
    }
    return k.w;
}
