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

static void add_norm(struct maker *k, const char *name, uint64_t n)
{
    add(k, name, FG_F32, (uint64_t[]){n, 1, 1}, (struct spread){1, 0.1f});
}

static void add_matrix(struct maker *k, const char *name, enum fg_dtype type, const uint64_t ne[3])
{
    add(k, name, type, ne, (struct spread){0, sqrtf(3.0f / (float)ne[0])});
}

/* Every tensor of a table; layer < 0: of none. */
static void add_table(struct maker *k, int layer, const struct fg_tensor_table *t)
{
    char name[FG_TENSOR_NAME];

    for (uint32_t i = 0; i < t->n; i++) {
        const struct fg_tensor_row *row = &t->rows[i];
        bool router = strcmp(row->name, "ffn_gate_inp") == 0;

        fg_tensor_name(name, layer, row->name);
        if (row->vector)
            add_norm(k, name, row->ne[0]);
        else
            add_matrix(k, name, router ? FG_F32 : k->m->matrix, row->ne);
    }
}

static bool is_llama(const struct tiny_model *m)
{
    return m->family == &fg_llama;
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
    gguf_writer_f32(k->w, key, is_llama(m) ? 10000.0f : 1e7f);
    if (is_llama(m))
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
