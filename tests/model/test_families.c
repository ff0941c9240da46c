/* The families whose layers are all attention and a feed-forward: their blocks, rotary scaling,
 * windows, and what is refused of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hparams_lab.h"
#include "tiny_model.h"

static struct gguf_writer *llama(void)
{
    struct tiny_model m = tiny_llama();

    return tiny_model_write(&m);
}

static struct gguf_writer *mixtral(void)
{
    struct tiny_model m = tiny_llama();

    m.n_expert = 4;
    m.n_expert_used = 2;
    return tiny_model_write(&m);
}

static struct gguf_writer *with_rope_scaling(struct gguf_writer *w, const char *type, float factor)
{
    gguf_writer_drop_key(w, "llama.rope.scaling.type");
    gguf_writer_str(w, "llama.rope.scaling.type", type);
    return with_f32(w, "llama.rope.scaling.factor", factor);
}

static struct fg_rope_scaling scaling_of(struct gguf_writer *w)
{
    struct fg_rope_scaling s;
    struct fg_hparams hp;
    struct fg_gguf *g = hparams_accept(w, &hp);

    s = hp.rope_scaling;
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    return s;
}

static void rope_scaling(void **state)
{
    struct fg_rope_scaling s = scaling_of(llama());
    struct gguf_writer *w;

    (void)state;
    assert_true(s.factor == 1 && s.magnitude == 1 && !s.yarn);
    s = scaling_of(with_f32(llama(), "llama.rope.scale_linear", 3));
    assert_true(s.factor == 3 && !s.yarn);
    w = with_f32(llama(), "llama.rope.scaling.factor", 4); /* without a type it is linear */
    s = scaling_of(with_f32(w, "llama.rope.scale_linear", 3));
    assert_true(s.factor == 4 && s.magnitude == 1 && !s.yarn);
    s = scaling_of(with_rope_scaling(llama(), "yarn", 8));
    assert_true(s.yarn && s.factor == 8 && s.beta_fast == 32 && s.beta_slow == 1 && s.mix == 1);
    assert_int_equal(s.n_ctx, 65536);
    w = with_rope_scaling(llama(), "yarn", 8);
    with_u32(w, "llama.rope.scaling.original_context_length", 4096);
    with_f32(w, "llama.rope.scaling.attn_factor", 0.5f);
    with_f32(w, "llama.rope.scaling.yarn_attn_factor", 0.5f);
    with_f32(w, "llama.rope.scaling.yarn_beta_fast", 64);
    with_f32(w, "llama.rope.scaling.yarn_beta_slow", 2);
    s = scaling_of(with_f32(w, "llama.rope.scaling.yarn_ext_factor", 0.5f));
    assert_true(s.magnitude == 0.25f && s.beta_fast == 64 && s.beta_slow == 2 && s.mix == 0.5f);
    assert_int_equal(s.n_ctx, 4096);
}

/* Blocks of the plain families, first of a mixer, then of a feed-forward. */
static void plain_families(void **state)
{
    static const struct {
        const char *name;
        unsigned biases;
        bool normed, neox;
        uint32_t n_ff, n_expert; /* 0: dense */
    } want[] = {
        {"qwen2-a", FG_BIAS_Q | FG_BIAS_K | FG_BIAS_V, false, true, 112, 0},
        {"qwen3-a", 0, true, true, 112, 0},
        {"qwen3moe-a", 0, true, true, 48, 6},
        {"llama-a", FG_BIAS_Q | FG_BIAS_K | FG_BIAS_V | FG_BIAS_OUTPUT, false, false, 112, 0},
        {"llama-b", 0, false, false, 64, 5},
        {"minimax-m2-a", 0, false, true, 48, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct fg_hparams hp;
        struct fg_gguf *g;
        struct fg_err err = {0};
        char path[1024];

        snprintf(path, sizeof path, "%s/%s.gguf", FG_TEST_VECTORS, want[i].name);
        assert_int_equal(fg_gguf_open(path, &g, &err), 0);
        assert_int_equal(fg_hparams_init(&hp, g, &err), 0);
        for (uint32_t b = 0; b < hp.n_blocks; b += 2) {
            const struct fg_block_shape *mixer = &hp.blocks[b], *ffn = &hp.blocks[b + 1];

            assert_int_equal(mixer->biases, want[i].biases);
            assert_true(mixer->normed_heads == want[i].normed);
            assert_true(mixer->heads.neox == want[i].neox);
            assert_int_equal(mixer->heads.head_dim, 24);
            assert_ptr_equal(ffn->kind, want[i].n_expert ? &fg_moe_block : &fg_dense_ffn_block);
            assert_int_equal(want[i].n_expert ? ffn->moe.n_ff : ffn->dense.n_ff, want[i].n_ff);
            assert_int_equal(fg_hparams_experts(&hp), want[i].n_expert);
            bool m2 = strcmp(want[i].name, "minimax-m2-a") == 0;
            assert_true(mixer->normed_rows == m2);
            assert_int_equal(mixer->heads.rope_dim, m2 ? 16 : 24);
            assert_true(!want[i].n_expert || ffn->moe.biased_choice == m2);
        }
        assert_true((hp.rope_factors != NULL) == (strcmp(want[i].name, "llama-a") == 0));
        fg_hparams_finish(&hp);
        fg_gguf_close(g);
    }
}

/* Biases are wanted whole; qwen2's of every layer. */
static void biases(void **state)
{
    struct tiny_model m = tiny_llama();
    struct gguf_writer *w;

    (void)state;
    hparams_refuse(
        with_tensor(llama(), "blk.0.attn_q.bias", FG_F32, 8, 1), FG_EFORMAT,
        "tensor 'blk.0.attn_q.bias': its shape is [8, 1, 1, 1], it must be [64, 1, 1, 1]");
    m.family = &fg_qwen2;
    w = tiny_model_write(&m);
    gguf_writer_drop_tensor(w, "blk.1.attn_v.bias");
    hparams_refuse(w, FG_EFORMAT, "tensor 'blk.1.attn_v.bias': it is missing");
    m.family = &fg_qwen3;
    w = tiny_model_write(&m);
    gguf_writer_drop_tensor(w, "blk.2.attn_k_norm.weight");
    hparams_refuse(w, FG_EFORMAT, "tensor 'blk.2.attn_k_norm.weight': it is missing");
}

static void scaling_refused(void **state)
{
    (void)state;
    hparams_refuse(
        with_rope_scaling(llama(), "longrope", 4), FG_EUNSUPPORTED,
        "key 'llama.rope.scaling.type': this rope scaling is not supported; it must be absent, "
        "'none', 'linear' or 'yarn'");
    hparams_refuse(with_rope_scaling(llama(), "none", 4), FG_EUNSUPPORTED,
                   "key 'llama.rope.scaling.factor': is 4, but rope.scaling.type is 'none'");
    hparams_refuse(with_f32(with_rope_scaling(llama(), "linear", 4),
                            "llama.rope.scaling.yarn_ext_factor", 0.5f),
                   FG_EUNSUPPORTED, "key 'llama.rope.scaling.yarn_ext_factor': is 0.5");
}

static void variants_refused(void **state)
{
    (void)state;
    hparams_refuse(with_u32(llama(), "llama.expert_count", 8), FG_EFORMAT,
                   "key 'llama.expert_used_count': is 0, it must be 1 to 8");
    hparams_refuse(with_u32(llama(), "llama.attention.sliding_window", 65535), FG_EUNSUPPORTED,
                   "key 'llama.attention.sliding_window': is 65535, which is not supported");
    hparams_refuse(with_f32(llama(), "llama.attention.temperature_scale", 0.1f), FG_EUNSUPPORTED,
                   "key 'llama.attention.temperature_scale'");
    hparams_refuse(with_f32(llama(), "llama.rope.scaling.yarn_log_multiplier", 0.1f),
                   FG_EUNSUPPORTED, "key 'llama.rope.scaling.yarn_log_multiplier'");
    hparams_refuse(with_bool(llama(), "llama.attention.causal", false), FG_EUNSUPPORTED,
                   "key 'llama.attention.causal': is false");
    hparams_refuse(with_bool(llama(), "llama.use_parallel_residual", true), FG_EUNSUPPORTED,
                   "key 'llama.use_parallel_residual': is true");
    hparams_refuse(with_bool(mixtral(), "llama.expert_weights_norm", false), FG_EUNSUPPORTED,
                   "key 'llama.expert_weights_norm': is false");
    hparams_refuse(with_f32(mixtral(), "llama.router_logit_softcapping", 30), FG_EUNSUPPORTED,
                   "key 'llama.router_logit_softcapping'");
    hparams_refuse(with_u32(mixtral(), "llama.expert_gating_func", 2), FG_EUNSUPPORTED,
                   "key 'llama.expert_gating_func'");
}

static struct gguf_writer *minimax_m2(void)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_minimax_m2;
    m.n_expert = 4;
    m.n_expert_used = 2;
    return tiny_model_write(&m);
}

/* How experts are weighed is said by the file, and only one way is computed. */
static void minimax_m2_refused(void **state)
{
    struct gguf_writer *w = minimax_m2();

    (void)state;
    hparams_refuse(without(minimax_m2(), "minimax-m2.expert_gating_func"), FG_EFORMAT,
                   "key 'minimax-m2.expert_gating_func': it is missing");
    hparams_refuse(with_u32(minimax_m2(), "minimax-m2.expert_gating_func", 1), FG_EFORMAT,
                   "key 'minimax-m2.expert_gating_func': is 1, it must be 2 to 2");
    hparams_refuse(with_f32(minimax_m2(), "minimax-m2.expert_weights_scale", 2), FG_EUNSUPPORTED,
                   "key 'minimax-m2.expert_weights_scale'");
    hparams_refuse(with_tensor(minimax_m2(), "blk.1.attn_k_norm.weight", FG_F32, 16, 1), FG_EFORMAT,
                   "tensor 'blk.1.attn_k_norm.weight': its shape is [16, 1, 1, 1], it "
                   "must be [32, 1, 1, 1]");
    gguf_writer_drop_tensor(w, "blk.2.exp_probs_b.bias");
    hparams_refuse(w, FG_EFORMAT, "tensor 'blk.2.exp_probs_b.bias': it is missing");
}

static struct gguf_writer *windowed(const struct fg_family *family, uint32_t n_layer)
{
    struct tiny_model m = tiny_llama();

    m.family = family;
    m.n_layer = n_layer;
    m.window = 50;
    m.n_expert = family == &fg_gpt_oss ? 4 : 0;
    m.n_expert_used = family == &fg_gpt_oss ? 2 : 0;
    return tiny_model_write(&m);
}

/* Bit i: layer i sees a window; the file is closed. */
static uint32_t windows_of(struct gguf_writer *w)
{
    struct fg_hparams hp;
    struct fg_gguf *g = hparams_accept(w, &hp);
    uint32_t seen = 0;

    for (uint32_t i = 0; i < hp.n_layer; i++) {
        const struct fg_block_shape *s = &hp.blocks[2 * i];

        assert_true(s->window == 0 || s->window == 50);
        assert_true(s->local_rope == (s->window != 0 && hp.family == &fg_gemma3));
        seen |= (uint32_t)(s->window != 0) << i;
    }
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    return seen;
}

static void windows(void **state)
{
    static const uint8_t given[] = {0, 1, 1};
    struct gguf_writer *w = windowed(&fg_gemma3, 3);

    (void)state;
    assert_int_equal(windows_of(windowed(&fg_gemma3, 8)), 0xdf);
    assert_int_equal(windows_of(windowed(&fg_gpt_oss, 5)), 0x15);
    assert_int_equal(
        windows_of(with_u32(windowed(&fg_gemma3, 5), "gemma3.attention.sliding_window_pattern", 2)),
        0x15);
    gguf_writer_bool_array(w, "gemma3.attention.sliding_window_pattern", given, 3);
    assert_int_equal(windows_of(w), 6);
    w = windowed(&fg_gemma3, 3);
    gguf_writer_bool_array(w, "gemma3.attention.sliding_window_pattern", given, 2);
    hparams_refuse(w, FG_EFORMAT, "key 'gemma3.attention.sliding_window_pattern': has 2 elements");
    hparams_refuse(without(windowed(&fg_gpt_oss, 2), "gpt-oss.attention.sliding_window"),
                   FG_EFORMAT, "key 'gpt-oss.attention.sliding_window': it is missing");
}

static void gemma3(void **state)
{
    struct gguf_writer *w = windowed(&fg_gemma3, 2);
    struct fg_hparams hp;
    struct fg_gguf *g = hparams_accept(w, &hp);

    (void)state;
    assert_true(hp.embd_scale == 8 && hp.rope_freq_base_local == 10000);
    assert_true(hp.blocks[0].normed_heads && hp.blocks[0].attend_scale == 0);
    assert_string_equal(hp.blocks[0].post, "post_attention_norm");
    assert_string_equal(hp.blocks[1].post, "post_ffw_norm");
    assert_int_equal(hp.blocks[1].gate, FG_GATE_GELU);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    g = hparams_accept(with_f32(windowed(&fg_gemma3, 62), "gemma3.rope.freq_base_swa", 5000), &hp);
    assert_true(hp.rope_freq_base_local == 5000);
    assert_true(hp.blocks[0].attend_scale == 0.25f); /* 64 wide, 4 heads */
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    hparams_refuse(with_f32(windowed(&fg_gemma3, 2), "gemma3.final_logit_softcapping", 30),
                   FG_EUNSUPPORTED, "key 'gemma3.final_logit_softcapping'");
    w = windowed(&fg_gemma3, 2);
    gguf_writer_drop_tensor(w, "blk.1.post_ffw_norm.weight");
    hparams_refuse(w, FG_EFORMAT, "tensor 'blk.1.post_ffw_norm.weight': it is missing");
}

static void gpt_oss(void **state)
{
    struct fg_hparams hp;
    struct fg_gguf *g =
        hparams_accept(with_u32(windowed(&fg_gpt_oss, 2), "gpt-oss.expert_gating_func", 3), &hp);
    struct gguf_writer *w = windowed(&fg_gpt_oss, 2);

    (void)state;
    assert_true(hp.blocks[0].sinks && hp.rope_scaling.fractional && hp.blocks[1].moe.biased);
    assert_int_equal(hp.blocks[0].biases, FG_BIAS_Q | FG_BIAS_K | FG_BIAS_V | FG_BIAS_OUTPUT);
    assert_string_equal(hp.blocks[1].norm, "post_attention_norm");
    assert_int_equal(hp.blocks[1].gate, FG_GATE_CLAMPED);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    hparams_refuse(with_u32(windowed(&fg_gpt_oss, 2), "gpt-oss.expert_gating_func", 1), FG_EFORMAT,
                   "key 'gpt-oss.expert_gating_func': is 1, it must be 3 to 3");
    hparams_refuse(with_f32(windowed(&fg_gpt_oss, 2), "gpt-oss.swiglu_clamp_exp", 5),
                   FG_EUNSUPPORTED, "key 'gpt-oss.swiglu_clamp_exp'");
    gguf_writer_drop_tensor(w, "blk.0.attn_sinks.weight");
    hparams_refuse(w, FG_EFORMAT, "tensor 'blk.0.attn_sinks.weight': it is missing");
    w = windowed(&fg_gpt_oss, 2);
    gguf_writer_drop_tensor(w, "blk.1.ffn_up_exps.bias");
    hparams_refuse(w, FG_EFORMAT,
                   "tensor 'blk.1.ffn_up_exps.bias': it is missing; one of shape "
                   "[96, 4, 1] is wanted");
}

static struct gguf_writer *lfm2(void)
{
    struct tiny_model m = tiny_lfm2();

    return tiny_model_write(&m);
}

static void lfm2_layers(void **state)
{
    const int32_t all[] = {2, 4, 1, 0}, uneven[] = {0, 3, 0, 0};
    struct fg_hparams hp;
    struct fg_gguf *g = hparams_accept(lfm2(), &hp);
    struct gguf_writer *w = lfm2();

    (void)state;
    assert_string_equal(hp.output_norm, "token_embd_norm");
    for (uint32_t i = 0; i < 4; i++)
        assert_ptr_equal(hp.blocks[2 * i].kind,
                         i == 1 ? &fg_softmax_attention_block : &fg_short_conv_block);
    assert_int_equal(hp.blocks[0].conv.taps, 3);
    assert_true(hp.blocks[2].normed_heads && hp.blocks[2].heads.n_head_kv == 2);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    hparams_refuse(with_i32s(lfm2(), "lfm2.attention.head_count_kv", all, 3), FG_EFORMAT,
                   "key 'lfm2.attention.head_count_kv': has 3 elements, it must have block_count");
    hparams_refuse(with_i32s(lfm2(), "lfm2.attention.head_count_kv", uneven, 4), FG_EFORMAT,
                   "key 'lfm2.attention.head_count_kv': layer 1 has 3, it must be 0 or divide");
    hparams_refuse(without(lfm2(), "lfm2.shortconv.l_cache"), FG_EFORMAT,
                   "key 'lfm2.shortconv.l_cache': it is missing");
    gguf_writer_drop_tensor(w, "blk.2.shortconv.conv.weight");
    hparams_refuse(w, FG_EFORMAT,
                   "tensor 'blk.2.shortconv.conv.weight': it is missing; one of shape [3, 64, 1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rope_scaling),     cmocka_unit_test(plain_families),
        cmocka_unit_test(biases),           cmocka_unit_test(scaling_refused),
        cmocka_unit_test(variants_refused), cmocka_unit_test(minimax_m2_refused),
        cmocka_unit_test(windows),          cmocka_unit_test(gemma3),
        cmocka_unit_test(gpt_oss),          cmocka_unit_test(lfm2_layers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
