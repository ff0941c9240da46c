/* The plain families, qwen2, qwen3, qwen3moe and llama: their blocks, rotary scaling, and what is
 * refused of them. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rope_scaling),     cmocka_unit_test(plain_families),
        cmocka_unit_test(biases),           cmocka_unit_test(scaling_refused),
        cmocka_unit_test(variants_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
