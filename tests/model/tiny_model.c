#include "tiny_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    const struct tiny_model *m;
    struct gguf_writer *w;
    uint64_t state;
    uint32_t n_matrices; /* that were written */
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

/* Values of mean - range .. mean + range. */
struct spread {
    float mean, range;
};

static void add(struct maker *k, const char *name, enum fg_dtype type, const uint64_t ne[3],
                struct spread s)
{
    uint64_t n = ne[0] * ne[1] * ne[2];
    float *v = malloc((size_t)n * sizeof *v);

    if (!v)
        abort();
    for (uint64_t i = 0; i < n; i++)
        v[i] = s.mean + s.range * draw(k);
    gguf_writer_tensor(k->w, name, type, ne[2] > 1 ? 3 : ne[1] > 1 ? 2 : 1, ne, v);
    free(v);
}

/* Norms, and of the gated delta rule: taps, logs of decays from next to none to a short memory. */
static void add_vector(struct maker *k, const char *name, const struct fg_tensor_row *row)
{
    struct spread s = {1, 0.1f};

    if (strcmp(row->name, "ssm_conv1d") == 0 || strcmp(row->name, "shortconv.conv") == 0)
        s = (struct spread){0, 1};
    else if (strcmp(row->name, "ssm_a") == 0)
        s = (struct spread){-1, 0.999f};
    else if (strcmp(row->name, "ssm_dt.bias") == 0)
        s = (struct spread){-1, 2};
    else if (row->bare)
        s = (struct spread){0, 0.5f}; /* biases */
    else if (strcmp(row->name, "attn_sinks") == 0)
        s = (struct spread){0, 3};
    add(k, name, FG_F32, row->ne, s);
}

static void add_matrix(struct maker *k, const char *name, enum fg_dtype type, const uint64_t ne[3])
{
    const uint64_t n[] = {ne[2], 1, 1};
    char scale[FG_TENSOR_NAME + 8];

    add(k, name, type, ne, (struct spread){0, sqrtf(3.0f / (float)ne[0])});
    if (type != FG_NVFP4)
        return;
    snprintf(scale, sizeof scale, "%.*s.scale", (int)(strlen(name) - strlen(".weight")), name);
    add(k, scale, FG_F32, n, (struct spread){1, 0.5f});
}

static enum fg_dtype matrix_type(struct maker *k)
{
    return k->m->mixed ? k->m->mixed[k->n_matrices++ % k->m->n_mixed] : k->m->matrix;
}

/* Every tensor of a table; layer < 0: of none. */
static void add_table(struct maker *k, int layer, const struct fg_tensor_table *t)
{
    char name[FG_TENSOR_NAME];

    for (uint32_t i = 0; i < t->n; i++) {
        const struct fg_tensor_row *row = &t->rows[i];
        bool router = strncmp(row->name, "ffn_gate_inp", 12) == 0;

        fg_tensor_row_name(name, layer, row);
        if (row->vector)
            add_vector(k, name, row);
        else
            add_matrix(k, name, router ? FG_F32 : matrix_type(k), row->ne);
    }
}

/* All layers alike, of families/plain_layers.h. */
static bool is_plain(const struct tiny_model *m)
{
    return m->family == &fg_llama || m->family == &fg_qwen2 || m->family == &fg_qwen3 ||
           m->family == &fg_qwen3moe || m->family == &fg_minimax_m2 || m->family == &fg_gemma3 ||
           m->family == &fg_gpt_oss;
}

static bool is_qwen35(const struct tiny_model *m)
{
    return m->family == &fg_qwen35 || m->family == &fg_qwen35moe;
}

static void add_qwen35_keys(struct maker *k, const char *arch)
{
    const struct tiny_model *m = k->m;
    const struct {
        const char *suffix;
        uint32_t v;
    } keys[] = {
        {"ssm.conv_kernel", m->taps},
        {"ssm.state_size", m->delta_dim},
        {"ssm.group_count", m->n_head_k},
        {"ssm.time_step_rank", m->n_head_v},
        {"ssm.inner_size", m->n_head_v * m->delta_dim},
        {"nextn_predict_layers", m->n_left_out},
        {"expert_shared_feed_forward_length", m->n_ff_shared},
    };
    char key[96];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", arch, keys[i].suffix);
        gguf_writer_u32(k->w, key, keys[i].v);
    }
}

/* Layers that are recurrent have no heads of keys. */
static void add_lfm2_keys(struct maker *k)
{
    const struct tiny_model *m = k->m;
    int32_t heads[64];

    if (m->n_layer > 64)
        abort();
    for (uint32_t i = 0; i < m->n_layer; i++)
        heads[i] = m->recurrent[i] ? 0 : (int32_t)m->n_head_kv;
    gguf_writer_drop_key(k->w, "lfm2.attention.head_count_kv");
    gguf_writer_i32_array(k->w, "lfm2.attention.head_count_kv", heads, m->n_layer);
    gguf_writer_u32(k->w, "lfm2.shortconv.l_cache", m->taps);
}

static void add_keys(struct maker *k, const char *arch)
{
    const struct tiny_model *m = k->m;
    const struct {
        const char *suffix;
        uint32_t v;
    } keys[] = {
        {"block_count", m->n_layer + m->n_left_out},
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
        {"expert_feed_forward_length", m->n_ff},
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
    gguf_writer_f32(k->w, key, is_plain(m) ? 10000.0f : 1e7f);
    snprintf(key, sizeof key, "%s.attention.sliding_window", arch);
    if (m->window)
        gguf_writer_u32(k->w, key, m->window);
    snprintf(key, sizeof key, "%s.expert_gating_func", arch);
    if (m->family == &fg_minimax_m2)
        gguf_writer_u32(k->w, key, 2);
    if (is_qwen35(m))
        add_qwen35_keys(k, arch);
    if (m->family == &fg_lfm2)
        add_lfm2_keys(k);
    if (is_plain(m) || is_qwen35(m) || m->family == &fg_lfm2)
        return;
    snprintf(key, sizeof key, "%s.residual_scale", arch);
    gguf_writer_f32(k->w, key, 3.5565588f);
    snprintf(key, sizeof key, "%s.attention.recurrent_layers", arch);
    if (m->recurrent)
        gguf_writer_bool_array(k->w, key, m->recurrent, m->n_layer);
}

struct tiny_model tiny_minimax(void)
{
    static const uint8_t recurrent[] = {1, 1, 1, 0};

    return (struct tiny_model){
        .family = &fg_minimax_01,
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
        .family = &fg_llama,
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

struct tiny_model tiny_lfm2(void)
{
    static const uint8_t recurrent[] = {1, 0, 1, 1};
    struct tiny_model m = tiny_llama();

    m.family = &fg_lfm2;
    m.n_layer = 4;
    m.recurrent = recurrent;
    m.taps = 3;
    return m;
}

struct tiny_model tiny_qwen35(void)
{
    return (struct tiny_model){
        .family = &fg_qwen35,
        .n_layer = 4,
        .n_embd = 64,
        .n_ff = 96,
        .n_head = 4,
        .n_head_kv = 2,
        .head_dim = 32,
        .n_vocab = 96,
        .rope_dim = 16,
        .n_head_k = 2,
        .n_head_v = 4,
        .delta_dim = 16,
        .taps = 4,
        .matrix = FG_F32,
        .seed = 1,
    };
}

struct tiny_model tiny_qwen35moe(void)
{
    struct tiny_model m = tiny_qwen35();

    m.family = &fg_qwen35moe;
    m.n_expert = 4;
    m.n_expert_used = 2;
    m.n_ff_shared = 64;
    m.n_head_k = 3;
    m.n_head_v = 6;
    m.delta_dim = 24;
    return m;
}

/* What the family makes of the keys that are written. */
static void read_shape(const struct maker *k, struct fg_hparams *hp)
{
    struct fg_gguf *g;
    struct fg_err err = {0};

    if (gguf_writer_open(k->w, &g, &err) || fg_hparams_read_keys(hp, g, k->m->family, &err)) {
        fprintf(stderr, "a tiny model: %s\n", err.text);
        abort();
    }
    fg_gguf_close(g);
    hp->n_vocab = k->m->n_vocab;
    hp->tied_output = k->m->tied;
}

struct gguf_writer *tiny_model_write(const struct tiny_model *m)
{
    struct maker k = {.m = m, .w = gguf_writer_create(), .state = m->seed};
    struct fg_tensor_table t = {.n = 0};
    struct fg_hparams hp;

    add_keys(&k, m->family->arch);
    read_shape(&k, &hp);
    fg_model_tensors(&hp, &t);
    add_table(&k, -1, &t);
    for (uint32_t i = 0; i < hp.n_blocks; i++) {
        fg_block_tensors(&hp.blocks[i], &t);
        add_table(&k, (int)hp.blocks[i].layer, &t);
    }
    fg_hparams_finish(&hp);
    if (m->rope_factors) {
        float factors[256];
        uint64_t n = m->rope_dim / 2;

        for (uint64_t i = 0; i < n; i++)
            factors[i] = 1 + (float)i / 8;
        gguf_writer_tensor(k.w, "rope_freqs.weight", FG_F32, 1, &n, factors);
    }
    return k.w;
}

void tiny_model_fuse_experts(struct gguf_writer *w, uint32_t layer)
{
    static const char *const parts[] = {"gate", "up"};
    const struct fg_tensor *t[2];
    struct fg_gguf *g;
    struct fg_err err;
    char name[64];
    uint8_t *fused;

    if (gguf_writer_open(w, &g, &err))
        abort();
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "blk.%" PRIu32 ".ffn_%s_exps.weight", layer, parts[i]);
        t[i] = fg_gguf_tensor(g, name);
        gguf_writer_drop_tensor(w, name);
    }
    size_t part = (size_t)(t[0]->size / t[0]->ne[2]);
    const uint64_t ne[] = {t[0]->ne[0], 2 * t[0]->ne[1], t[0]->ne[2]};

    fused = malloc(2 * (size_t)t[0]->size);
    if (!fused)
        abort();
    for (size_t e = 0; e < ne[2]; e++)
        for (size_t i = 0; i < 2; i++)
            memcpy(fused + (2 * e + i) * part, (const uint8_t *)t[i]->data + e * part, part);
    snprintf(name, sizeof name, "blk.%" PRIu32 ".ffn_gate_up_exps.weight", layer);
    gguf_writer_tensor_raw(w, name, &(struct gguf_writer_shape){(uint32_t)t[0]->type, 3, ne}, fused,
                           2 * (size_t)t[0]->size);
    free(fused);
    fg_gguf_close(g);
}
