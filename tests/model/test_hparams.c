/* Hyper-parameters: what sound models give, defaults, and each reason to refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hparams_lab.h"
#include "tiny_model.h"

static const float ones[512] = {1, 1, 1, 1, 1, 1, 1, 1};

static struct gguf_writer *minimax(void)
{
    struct tiny_model m = tiny_minimax();

    return tiny_model_write(&m);
}

static struct gguf_writer *llama(void)
{
    struct tiny_model m = tiny_llama();

    return tiny_model_write(&m);
}

/* What the keys said of all layers alike, as the blocks have it; the last softmax layer's heads. */
struct flat {
    uint32_t n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, n_expert, n_expert_used;
    uint32_t rope_dim;
    float residual_scale;
    bool neox, post_norm;
    uint8_t recurrent[16];
};

static struct flat flat_of(const struct fg_hparams *hp)
{
    struct flat f = {.n_layer = hp->n_layer,
                     .n_embd = hp->n_embd,
                     .n_vocab = hp->n_vocab,
                     .rope_dim = hp->rope_dim};

    assert_int_equal(hp->n_blocks, 2 * hp->n_layer);
    for (uint32_t i = 0; i < hp->n_blocks; i++) {
        const struct fg_block_shape *b = &hp->blocks[i];

        assert_int_equal(b->layer, i / 2);
        assert_int_equal(b->n_embd, hp->n_embd);
        assert_true(b->norm_eps == hp->norm_eps);
        assert_string_equal(b->norm, i % 2 ? "ffn_norm" : "attn_norm");
        f.residual_scale = b->residual_scale;
        f.post_norm = b->post_norm;
        if (b->kind == &fg_softmax_attention_block) {
            f.n_head = b->heads.n_head;
            f.n_head_kv = b->heads.n_head_kv;
            f.head_dim = b->heads.head_dim;
            f.neox = b->heads.neox;
            assert_int_equal(b->heads.rope_dim, hp->rope_dim);
        } else if (b->kind == &fg_lightning_block) {
            f.recurrent[i / 2] = 1;
            assert_int_equal(b->lightning.index, i / 2);
            assert_int_equal(b->lightning.count, hp->n_layer);
        } else if (b->kind == &fg_moe_block) {
            f.n_ff = b->moe.n_ff;
            f.n_expert = b->moe.n_expert;
            f.n_expert_used = b->moe.n_used;
        } else {
            f.n_ff = b->dense.n_ff;
        }
    }
    return f;
}

static void check_golden(const struct fg_hparams *all, const struct flat *w)
{
    struct flat f = flat_of(all), *hp = &f;

    assert_string_equal(fg_hparams_family(all), "minimax-01");
    assert_int_equal(hp->n_layer, w->n_layer);
    assert_int_equal(hp->n_embd, w->n_embd);
    assert_int_equal(hp->n_ff, w->n_ff);
    assert_int_equal(hp->n_head, w->n_head);
    assert_int_equal(hp->n_head_kv, w->n_head_kv);
    assert_int_equal(hp->head_dim, w->head_dim);
    assert_int_equal(hp->n_vocab, w->n_vocab);
    assert_int_equal(all->n_ctx_train, 1048576);
    assert_int_equal(hp->n_expert, w->n_expert);
    assert_int_equal(hp->n_expert_used, w->n_expert_used);
    assert_int_equal(hp->rope_dim, w->rope_dim);
    assert_true(all->rope_freq_base == 1e7f && all->norm_eps == 1e-5f);
    assert_true(hp->residual_scale == 3.5565588200778455f);
    assert_true(hp->neox && hp->post_norm && !all->tied_output && !all->rope_factors);
    for (uint32_t l = 0; l < hp->n_layer; l++)
        assert_int_equal(hp->recurrent[l], l != hp->n_layer - 1);
}

static void golden_models(void **state)
{
    static const struct {
        const char *path;
        struct flat hp;
    } want[] = {
        {FG_TEST_VECTORS "/m1-a.gguf",
         {.n_layer = 4,
          .n_embd = 128,
          .n_ff = 96,
          .n_head = 4,
          .n_head_kv = 2,
          .head_dim = 32,
          .n_vocab = 510,
          .n_expert = 8,
          .n_expert_used = 2,
          .rope_dim = 16}},
        {FG_TEST_VECTORS "/m1-b.gguf",
         {.n_layer = 8,
          .n_embd = 64,
          .n_ff = 64,
          .n_head = 8,
          .n_head_kv = 4,
          .head_dim = 16,
          .n_vocab = 320,
          .n_expert = 4,
          .n_expert_used = 2,
          .rope_dim = 8}},
    };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fg_hparams hp;
        struct fg_gguf *g;
        struct fg_err err = {0};

        assert_int_equal(fg_gguf_open(want[i].path, &g, &err), 0);
        assert_int_equal(fg_hparams_init(&hp, g, &err), 0);
        check_golden(&hp, &want[i].hp);
        fg_hparams_finish(&hp);
        assert_null(hp.blocks);
        fg_gguf_close(g);
    }
}

static void llama_and_its_defaults(void **state)
{
    struct tiny_model m = tiny_llama();
    struct fg_hparams hp;
    struct gguf_writer *w;
    struct fg_gguf *g;

    (void)state;
    m.rope_factors = true;
    m.n_head_kv = 4;
    w = tiny_model_write(&m);
    gguf_writer_drop_key(w, "llama.attention.head_count_kv");
    gguf_writer_drop_key(w, "llama.attention.key_length");
    gguf_writer_drop_key(w, "llama.attention.value_length");
    gguf_writer_drop_key(w, "llama.rope.dimension_count");
    gguf_writer_drop_key(w, "llama.rope.freq_base");
    gguf_writer_drop_key(w, "llama.expert_count");
    gguf_writer_drop_key(w, "llama.expert_used_count");
    gguf_writer_str(w, "llama.rope.scaling.type", "none");
    g = hparams_accept(w, &hp);
    assert_string_equal(fg_hparams_family(&hp), "llama");
    struct flat f = flat_of(&hp);
    assert_int_equal(hp.n_layer, 3);
    assert_int_equal(f.n_head_kv, 4);
    assert_int_equal(f.head_dim, 16);
    assert_int_equal(hp.rope_dim, 16);
    assert_int_equal(hp.n_vocab, 96);
    assert_int_equal(f.n_expert, 0);
    assert_int_equal(f.n_expert_used, 0);
    assert_true(hp.rope_freq_base == 10000 && f.residual_scale == 1);
    assert_true(!f.neox && !f.post_norm && hp.tied_output);
    assert_non_null(hp.rope_factors);
    for (int i = 0; i < 8; i++)
        assert_true(hp.rope_factors[i] == 1 + (float)i / 8);
    for (int l = 0; l < 3; l++)
        assert_int_equal(f.recurrent[l], 0);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
}

static void every_type_and_tied_or_not(void **state)
{
    static const enum fg_dtype types[] = {
        FG_F32,     FG_F16,    FG_BF16,  FG_Q8_0,    FG_Q4_0,  FG_Q4_1,  FG_Q5_0,
        FG_Q5_1,    FG_Q2_K,   FG_Q3_K,  FG_Q4_K,    FG_Q5_K,  FG_Q6_K,  FG_IQ4_NL,
        FG_IQ4_XS,  FG_MXFP4,  FG_NVFP4, FG_TQ1_0,   FG_TQ2_0, FG_IQ1_S, FG_IQ1_M,
        FG_IQ2_XXS, FG_IQ2_XS, FG_IQ2_S, FG_IQ3_XXS, FG_IQ3_S};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct tiny_model m[2] = {tiny_minimax(), tiny_llama()};

        for (int k = 0; k < 2; k++) {
            struct fg_hparams hp;
            struct gguf_writer *w;
            struct fg_gguf *g;

            m[k].matrix = types[i];
            if (fg_dtype_block_elems(types[i]) > 32)
                m[k].n_embd = m[k].n_ff = 256, m[k].n_head = 256 / m[k].head_dim;
            m[k].tied = i % 2 == 0;
            w = tiny_model_write(&m[k]);
            gguf_writer_tensor(w, "something.else", FG_F32, 1, (uint64_t[]){3}, ones);
            g = hparams_accept(w, &hp);
            assert_int_equal(hp.tied_output, i % 2 == 0);
            fg_hparams_finish(&hp);
            fg_gguf_close(g);
        }
    }
}

/* Only NVFP4 has them. */
static void scales_of_other_types(void **state)
{
    struct tiny_model m = tiny_llama();
    struct gguf_writer *w;

    (void)state;
    m.matrix = FG_Q8_0;
    w = tiny_model_write(&m);
    gguf_writer_tensor(w, "blk.0.attn_q.scale", FG_F32, 1, (uint64_t[]){1}, ones);
    hparams_refuse(w, FG_EUNSUPPORTED, "'blk.0.attn_q.scale': scales of tensors are not supported");
}

static void recurrent_layers(void **state)
{
    static const uint8_t odd[] = {0, 1, 0, 1, 1, 0, 0, 0, 1};
    static const int32_t as_ints[] = {1, 1, 1, 0};
    struct tiny_model m = tiny_minimax();
    struct fg_hparams hp;
    struct gguf_writer *w;
    struct fg_gguf *g;

    (void)state;
    m.n_layer = 9;
    m.recurrent = NULL;
    g = hparams_accept(tiny_model_write(&m), &hp);
    for (int i = 0; i < 9; i++)
        assert_int_equal(flat_of(&hp).recurrent[i], i != 7);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    m.recurrent = odd;
    g = hparams_accept(tiny_model_write(&m), &hp);
    assert_memory_equal(flat_of(&hp).recurrent, odd, 9);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    w = with_i32s(minimax(), "minimax-01.attention.recurrent_layers", as_ints, 4);
    g = hparams_accept(w, &hp);
    assert_true(flat_of(&hp).recurrent[0] == 1 && flat_of(&hp).recurrent[3] == 0);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    hparams_refuse(with_i32s(minimax(), "minimax-01.attention.recurrent_layers", as_ints, 3),
                   FG_EFORMAT,
                   "key 'minimax-01.attention.recurrent_layers': has 3 elements, it must have "
                   "block_count, 4");
    w = without(minimax(), "minimax-01.attention.recurrent_layers");
    hparams_refuse(with_u32(w, "minimax-01.block_count", 1), FG_EUNSUPPORTED,
                   "key 'minimax-01.block_count': is 1");
}

static void arrays_for_each_layer(void **state)
{
    static const int32_t same[] = {2, 2, 2}, mixed[] = {2, 2, 1}, minus[] = {-2, -2, -2};
    const char *key = "llama.attention.head_count_kv";
    struct fg_hparams hp;
    struct fg_gguf *g = hparams_accept(with_i32s(llama(), key, same, 3), &hp);

    (void)state;
    assert_int_equal(flat_of(&hp).n_head_kv, 2);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    hparams_refuse(with_i32s(llama(), key, mixed, 3), FG_EUNSUPPORTED,
                   "key 'llama.attention.head_count_kv': layer 0 has 2 and layer 2 has 1");
    hparams_refuse(with_i32s(llama(), key, same, 2), FG_EFORMAT,
                   "an array of 2, wanted a u32 or one for");
    hparams_refuse(with_i32s(llama(), key, same, 0), FG_EFORMAT, "an array of 0");
    hparams_refuse(with_i32s(llama(), key, minus, 3), FG_EFORMAT, "head_count_kv': is -2");
}

static void numbers_out_of_range(void **state)
{
    static const struct {
        const char *key;
        uint32_t v;
        const char *text;
    } rows[] = {
        {"block_count", 0, "is 0, it must be 1 to 1024"},
        {"block_count", 1025, "is 1025, it must be 1 to 1024"},
        {"context_length", 0, "is 0, it must be 1 to 1073741824"},
        {"embedding_length", 131073, "is 131073, it must be 1 to 131072"},
        {"feed_forward_length", 0, "is 0, it must be"},
        {"attention.head_count", 0, "is 0, it must be 1 to 4096"},
        {"attention.head_count", 4097, "is 4097, it must be 1 to 4096"},
        {"attention.head_count_kv", 0, "is 0, it must be 1 to 4"},
        {"attention.head_count_kv", 5, "is 5, it must be 1 to 4"},
        {"attention.head_count_kv", 3, "is 3, it must divide head_count, 4"},
        {"attention.key_length", 0, "is 0, it must be 1 to 512"},
        {"attention.key_length", 513, "is 513, it must be 1 to 512"},
        {"rope.dimension_count", 0, "is 0, it must be 2 to 32"},
        {"rope.dimension_count", 34, "is 34, it must be 2 to 32"},
        {"rope.dimension_count", 15, "is 15, it must be even"},
        {"expert_count", 0, "is 0, it must be 1 to 1024"},
        {"expert_count", 1025, "is 1025, it must be 1 to 1024"},
        {"expert_used_count", 0, "is 0, it must be 1 to 4"},
        {"expert_used_count", 5, "is 5, it must be 1 to 4"},
    };
    static const float bad[] = {0, -1, NAN, INFINITY};
    static const char *const floats[] = {"minimax-01.attention.layer_norm_rms_epsilon",
                                         "minimax-01.rope.freq_base", "minimax-01.residual_scale"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[96], text[200];

        snprintf(key, sizeof key, "minimax-01.%s", rows[i].key);
        snprintf(text, sizeof text, "key '%s': %s", key, rows[i].text);
        hparams_refuse(with_u32(minimax(), key, rows[i].v), FG_EFORMAT, text);
    }
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 4; i++) {
            char text[128];

            snprintf(text, sizeof text, "key '%s': is ", floats[k]);
            hparams_refuse(with_f32(minimax(), floats[k], bad[i]), FG_EFORMAT, text);
        }
}

static void keys_missing(void **state)
{
    static const char *const required[] = {
        "general.architecture",
        "minimax-01.block_count",
        "minimax-01.context_length",
        "minimax-01.embedding_length",
        "minimax-01.feed_forward_length",
        "minimax-01.attention.head_count",
        "minimax-01.attention.layer_norm_rms_epsilon",
        "minimax-01.rope.freq_base",
        "minimax-01.rope.dimension_count",
        "minimax-01.expert_count",
        "minimax-01.expert_used_count",
        "minimax-01.residual_scale",
    };

    (void)state;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        char text[128];

        snprintf(text, sizeof text, "key '%s': it is missing", required[i]);
        hparams_refuse(without(minimax(), required[i]), FG_EFORMAT, text);
    }
    hparams_refuse(with_f32(minimax(), "minimax-01.block_count", 4), FG_EFORMAT,
                   "key 'minimax-01.block_count': found f32, wanted a u32");
}

static void models_unsupported(void **state)
{
    struct gguf_writer *w = minimax();

    (void)state;
    gguf_writer_drop_key(w, "general.architecture");
    gguf_writer_str(w, "general.architecture", "qwen\n3");
    hparams_refuse(
        w, FG_EUNSUPPORTED,
        "'qwen?3' is not supported; minimax-01, minimax-m2, llama, qwen2, qwen3, qwen3moe, qwen35, "
        "qwen35moe, gemma3, gpt-oss and lfm2 are");
    hparams_refuse(with_u32(minimax(), "minimax-01.attention.value_length", 16), FG_EUNSUPPORTED,
                   "key 'minimax-01.attention.value_length': is 16, but key_length is 32");
    w = with_u32(minimax(), "minimax-01.attention.value_length", 31);
    hparams_refuse(with_u32(w, "minimax-01.attention.key_length", 31), FG_EUNSUPPORTED,
                   "key 'minimax-01.attention.key_length': is 31; only even");
    hparams_refuse(with_f32(llama(), "llama.residual_scale", 0.5f), FG_EUNSUPPORTED,
                   "key 'llama.residual_scale'");
    hparams_refuse(with_f32(llama(), "llama.logit_scale", NAN), FG_EUNSUPPORTED,
                   "key 'llama.logit_scale'");
}

static void neutral_variants_pass(void **state)
{
    struct gguf_writer *w = llama();
    struct fg_hparams hp;
    struct fg_gguf *g;

    (void)state;
    with_f32(w, "llama.logit_scale", 1);
    with_f32(w, "llama.rope.scaling.factor", 1);
    with_u32(w, "llama.attention.sliding_window", 65536); /* the context */
    with_bool(w, "llama.attention.causal", true);
    with_u32(w, "split.count", 1);
    g = hparams_accept(w, &hp);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
}

static void tensors_missing(void **state)
{
    static const char *const lightning[] = {
        "attn_qkv", "attn_gate",    "attn_norm_2",   "attn_output", "attn_norm",
        "ffn_norm", "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"};
    static const char *const dense[] = {"attn_q",      "attn_k",    "attn_v",
                                        "attn_output", "attn_norm", "ffn_norm",
                                        "ffn_gate",    "ffn_up",    "ffn_down"};
    struct gguf_writer *w;
    char name[64], text[100];

    (void)state;
    for (size_t i = 0; i < sizeof lightning / sizeof lightning[0]; i++) {
        snprintf(name, sizeof name, "blk.2.%s.weight", lightning[i]);
        snprintf(text, sizeof text, "tensor '%s': it is missing", name);
        w = minimax();
        gguf_writer_drop_tensor(w, name);
        hparams_refuse(w, FG_EFORMAT, text);
    }
    for (size_t i = 0; i < sizeof dense / sizeof dense[0]; i++) {
        snprintf(name, sizeof name, "blk.1.%s.weight", dense[i]);
        snprintf(text, sizeof text, "tensor '%s': it is missing", name);
        w = llama();
        gguf_writer_drop_tensor(w, name);
        hparams_refuse(w, FG_EFORMAT, text);
    }
    w = minimax();
    gguf_writer_drop_tensor(w, "token_embd.weight");
    hparams_refuse(w, FG_EFORMAT, "tensor 'token_embd.weight': it is missing");
    w = minimax();
    gguf_writer_drop_tensor(w, "output_norm.weight");
    hparams_refuse(w, FG_EFORMAT,
                   "tensor 'output_norm.weight': it is missing; one of shape [64, 1, 1]");
}

static void tensors_of_wrong_shape_or_type(void **state)
{
    (void)state;
    hparams_refuse(
        with_tensor(minimax(), "blk.3.attn_k.weight", FG_F32, 64, 8), FG_EFORMAT,
        "tensor 'blk.3.attn_k.weight': its shape is [64, 8, 1, 1], it must be [64, 64, 1, 1]");
    hparams_refuse(
        with_tensor(minimax(), "blk.0.attn_norm_2.weight", FG_F32, 64, 1), FG_EFORMAT,
        "tensor 'blk.0.attn_norm_2.weight': its shape is [64, 1, 1, 1], it must be [128, 1, 1");
    hparams_refuse(with_tensor(minimax(), "blk.1.ffn_down_exps.weight", FG_F32, 96, 4), FG_EFORMAT,
                   "its shape is [96, 4, 1, 1], it must be [96, 64, 4, 1]");
    hparams_refuse(with_tensor(minimax(), "output.weight", FG_F32, 64, 8), FG_EFORMAT,
                   "tensor 'output.weight': its shape is [64, 8, 1, 1], it must be [64, 96, 1, 1]");
    hparams_refuse(
        with_tensor(minimax(), "token_embd.weight", FG_F32, 32, 8), FG_EFORMAT,
        "tensor 'token_embd.weight': its shape is [32, 8, 1, 1], it must be [64, 8, 1, 1]");
    hparams_refuse(with_tensor(minimax(), "blk.0.ffn_norm.weight", FG_F16, 64, 1), FG_EUNSUPPORTED,
                   "tensor 'blk.0.ffn_norm.weight': its type is F16, it must be F32");
    hparams_refuse(
        with_u32(minimax(), "minimax-01.attention.head_count_kv", 4), FG_EFORMAT,
        "tensor 'blk.3.attn_k.weight': its shape is [64, 64, 1, 1], it must be [64, 128, 1, 1]");
    hparams_refuse(
        with_tensor(llama(), "blk.2.ffn_up.weight", FG_F32, 64, 2), FG_EFORMAT,
        "tensor 'blk.2.ffn_up.weight': its shape is [64, 2, 1, 1], it must be [64, 96, 1, 1]");
    hparams_refuse(
        with_tensor(llama(), "rope_freqs.weight", FG_F32, 16, 1), FG_EFORMAT,
        "tensor 'rope_freqs.weight': its shape is [16, 1, 1, 1], it must be [8, 1, 1, 1]");
    hparams_refuse(with_tensor(llama(), "rope_freqs.weight", FG_F16, 8, 1), FG_EUNSUPPORTED,
                   "tensor 'rope_freqs.weight': its type is F16");
}

static void tensors_unsupported(void **state)
{
    static const char *const names[] = {
        "blk.0.attn_qkv.bias",        "blk.2.ffn_down.bias",      "output.bias",
        "blk.1.attn_q_norm.weight",   "blk.0.attn_k_norm.weight", "blk.0.ffn_up_shexp.weight",
        "rope_factors_long.weight",   "blk.0.attn_sinks.weight",  "blk.1.post_ffw_norm.weight",
        "blk.2.attn_sub_norm.weight", "blk.0.attn_output.scale",
    };
    const uint64_t eight = 8;
    float factors[8] = {1, 2, 3, 4, 5, 6, 0, 8};
    struct gguf_writer *w;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(text, sizeof text, "tensor '%s': ", names[i]);
        hparams_refuse(with_tensor(llama(), names[i], FG_F32, 8, 1), FG_EUNSUPPORTED, text);
        hparams_refuse(with_tensor(minimax(), names[i], FG_F32, 8, 1), FG_EUNSUPPORTED, text);
    }
    hparams_refuse(with_tensor(minimax(), "rope_freqs.weight", FG_F32, 8, 1), FG_EUNSUPPORTED,
                   "tensor 'rope_freqs.weight': rotary factors are supported in llama files only");
    w = llama();
    gguf_writer_tensor(w, "rope_freqs.weight", FG_F32, 1, &eight, factors);
    hparams_refuse(w, FG_EFORMAT, "tensor 'rope_freqs.weight': element 6 is 0");
}

static void vocabulary_must_agree(void **state)
{
    const char *const tokens[] = {"a", "b"};
    struct gguf_writer *w = minimax();

    (void)state;
    gguf_writer_str_array(w, "tokenizer.ggml.tokens", tokens, 2);
    hparams_refuse(
        w, FG_EFORMAT,
        "key 'tokenizer.ggml.tokens': has 2 elements, but token_embd.weight has 96 rows");
    hparams_refuse(with_u32(minimax(), "tokenizer.ggml.tokens", 1), FG_EFORMAT,
                   "key 'tokenizer.ggml.tokens': found u32, wanted an array of strings");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models),
        cmocka_unit_test(llama_and_its_defaults),
        cmocka_unit_test(every_type_and_tied_or_not),
        cmocka_unit_test(scales_of_other_types),
        cmocka_unit_test(recurrent_layers),
        cmocka_unit_test(arrays_for_each_layer),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(keys_missing),
        cmocka_unit_test(models_unsupported),
        cmocka_unit_test(neutral_variants_pass),
        cmocka_unit_test(tensors_missing),
        cmocka_unit_test(tensors_of_wrong_shape_or_type),
        cmocka_unit_test(tensors_unsupported),
        cmocka_unit_test(vocabulary_must_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
