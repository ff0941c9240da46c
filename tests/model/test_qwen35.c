/* What the families qwen35 and qwen35moe make of their keys, and each reason to refuse a file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tiny_model.h"

static const float values[512] = {1, 1, 1, 1};

static struct gguf_writer *dense(void)
{
    struct tiny_model m = tiny_qwen35();

    return tiny_model_write(&m);
}

static struct gguf_writer *experts(void)
{
    struct tiny_model m = tiny_qwen35moe();

    return tiny_model_write(&m);
}

/* Opens what the writer holds and destroys it. */
static struct fg_gguf *open_model(struct gguf_writer *w)
{
    struct fg_gguf *g;
    struct fg_err err = {0};

    if (gguf_writer_open(w, &g, &err))
        fail_msg("%s", err.text);
    gguf_writer_destroy(w);
    return g;
}

static struct fg_gguf *accept(struct gguf_writer *w, struct fg_hparams *hp)
{
    struct fg_gguf *g = open_model(w);
    struct fg_err err = {0};

    if (fg_hparams_init(hp, g, &err))
        fail_msg("%s", err.text);
    return g;
}

static void refuse(struct gguf_writer *w, int code, const char *text)
{
    struct fg_gguf *g = open_model(w);
    struct fg_hparams hp;
    struct fg_err err = {0};
    int rc = fg_hparams_init(&hp, g, &err);

    if (rc != code || !strstr(err.text, text))
        fail_msg("got %d '%s', wanted %d '%s'", rc, err.text, code, text);
    fg_gguf_close(g);
}

static struct gguf_writer *with_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    gguf_writer_drop_key(w, key);
    gguf_writer_u32(w, key, v);
    return w;
}

static struct gguf_writer *with_bool(struct gguf_writer *w, const char *key, bool v)
{
    gguf_writer_bool(w, key, v);
    return w;
}

static struct gguf_writer *with_tensor(struct gguf_writer *w, const char *name, enum fg_dtype type,
                                       uint64_t a, uint64_t b)
{
    const uint64_t ne[] = {a, b};

    gguf_writer_drop_tensor(w, name);
    gguf_writer_tensor(w, name, type, b > 1 ? 2 : 1, ne, values);
    return w;
}

static struct gguf_writer *without(struct gguf_writer *w, const char *tensor)
{
    gguf_writer_drop_tensor(w, tensor);
    return w;
}

static void expect_mixers(const struct fg_hparams *hp, const char *pattern)
{
    assert_int_equal(hp->n_layer, strlen(pattern));
    assert_int_equal(hp->n_blocks, 2 * hp->n_layer);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct fg_block_shape *b = &hp->blocks[2 * i];

        assert_ptr_equal(b->kind,
                         pattern[i] == 'd' ? &fg_delta_rule_block : &fg_softmax_attention_block);
        assert_string_equal(b->norm, "attn_norm");
        assert_string_equal(b[1].norm, "post_attention_norm");
        assert_false(b->post_norm);
        assert_true(b->residual_scale == 1);
    }
}

static void shapes(void **state)
{
    struct fg_hparams hp;
    struct fg_gguf *g = accept(dense(), &hp);
    const struct fg_block_shape *b = hp.blocks;

    (void)state;
    expect_mixers(&hp, "ddds");
    assert_int_equal(b[0].delta.n_head_k, 2);
    assert_int_equal(b[0].delta.n_head_v, 4);
    assert_int_equal(b[0].delta.head_dim, 16);
    assert_int_equal(b[0].delta.taps, 4);
    assert_true(b[6].gated_heads && b[6].normed_heads && b[6].heads.neox);
    assert_int_equal(b[6].heads.rope_dim, 16);
    assert_int_equal(hp.rope_dim, 16);
    assert_int_equal(b[1].dense.n_ff, 96);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);

    g = accept(with_u32(experts(), "qwen35moe.expert_shared_count", 1), &hp);
    b = hp.blocks;
    expect_mixers(&hp, "ddds");
    assert_int_equal(b[1].moe.n_ff, 96);
    assert_int_equal(b[1].moe.n_ff_shared, 64);
    assert_int_equal(b[1].moe.n_expert, 4);
    assert_int_equal(b[1].moe.n_used, 2);
    assert_true(b[1].moe.shared_gate && !b[1].moe.fused);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
}

/* The array wins over the interval; without both every fourth layer is softmax. */
static void patterns(void **state)
{
    static const uint8_t recurrent[] = {1, 1, 1, 0}, other[] = {1, 0, 1};
    struct tiny_model m = tiny_qwen35();
    struct gguf_writer *w = dense();
    struct fg_hparams hp;
    struct fg_gguf *g;

    (void)state;
    gguf_writer_u32(w, "qwen35.full_attention_interval", 2);
    gguf_writer_bool_array(w, "qwen35.attention.recurrent_layers", recurrent, 4);
    g = accept(w, &hp);
    expect_mixers(&hp, "ddds");
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    m.n_layer = 6;
    g = accept(tiny_model_write(&m), &hp);
    expect_mixers(&hp, "dddsdd");
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    w = dense();
    gguf_writer_bool_array(w, "qwen35.attention.recurrent_layers", other, 3);
    refuse(w, FG_EFORMAT,
           "key 'qwen35.attention.recurrent_layers': has 3 elements, it must have block_count, 4");
    refuse(without(with_u32(dense(), "qwen35.full_attention_interval", 2), "blk.1.ssm_dt.bias"),
           FG_EFORMAT, "tensor 'blk.1.attn_q.weight': it is missing");
}

/* Layers that predict tokens further on are left out, whatever is in them. */
static void left_out(void **state)
{
    static const char *const names[] = {"blk.4.attn_q_norm.weight", "blk.4.nextn.eh_proj.weight",
                                        "blk.4.attn_q.bias", "blk.4.ffn_gate_shexp.weight"};
    struct tiny_model m = tiny_qwen35();
    struct gguf_writer *w;
    struct fg_hparams hp;
    struct fg_gguf *g;

    (void)state;
    for (int run = 0; run < 2; run++) {
        m.n_left_out = run == 0;
        w = tiny_model_write(&m);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            with_tensor(w, names[i], FG_F32, 64, 2);
        if (run == 1) { /* the same file without the key that says so */
            refuse(w, FG_EUNSUPPORTED, "'blk.4.attn_q_norm.weight': norms of q are not supported");
            continue;
        }
        g = accept(w, &hp);
        expect_mixers(&hp, "ddds");
        assert_int_equal(hp.n_left_out, 1);
        fg_hparams_finish(&hp);
        fg_gguf_close(g);
    }
    refuse(with_u32(dense(), "qwen35.nextn_predict_layers", 4), FG_EFORMAT,
           "key 'qwen35.nextn_predict_layers': is 4, it must be 0 to 3");
}

static void fused(void **state)
{
    struct gguf_writer *w = experts();
    struct fg_hparams hp;
    struct fg_gguf *g;

    (void)state;
    tiny_model_fuse_experts(w, 2);
    g = accept(w, &hp);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(hp.blocks[2 * i + 1].moe.fused, i == 2);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    refuse(without(experts(), "blk.0.ffn_up_exps.weight"), FG_EFORMAT,
           "tensor 'blk.0.ffn_up_exps.weight': it is missing");
}

static void keys_refused(void **state)
{
    static const int32_t sections[] = {3, 3, 2, 0}, negative[] = {3, -1, 2, 0};
    struct gguf_writer *w = dense();
    struct fg_hparams hp;
    struct fg_gguf *g;

    (void)state;
    gguf_writer_i32_array(w, "qwen35.rope.dimension_sections", sections, 4);
    gguf_writer_str(w, "qwen35.rope.scaling.type", "none");
    g = accept(with_bool(w, "qwen35.attention.causal", true), &hp);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    w = dense();
    gguf_writer_i32_array(w, "qwen35.rope.dimension_sections", negative, 4);
    refuse(w, FG_EFORMAT, "key 'qwen35.rope.dimension_sections': it must be at most 4 numbers");
    w = dense();
    gguf_writer_str(w, "qwen35.rope.scaling.type", "longrope");
    refuse(w, FG_EUNSUPPORTED, "key 'qwen35.rope.scaling.type'");
    refuse(with_bool(dense(), "qwen35.attention.causal", false), FG_EUNSUPPORTED,
           "key 'qwen35.attention.causal': is false");
    refuse(with_u32(dense(), "qwen35.expert_count", 4), FG_EFORMAT, "key 'qwen35.expert_count'");
    refuse(with_bool(experts(), "qwen35moe.expert_weights_norm", false), FG_EUNSUPPORTED,
           "key 'qwen35moe.expert_weights_norm': is false");
    refuse(with_u32(experts(), "qwen35moe.expert_gating_func", 2), FG_EUNSUPPORTED,
           "key 'qwen35moe.expert_gating_func': is set");
    refuse(with_u32(experts(), "qwen35moe.expert_shared_count", 2), FG_EFORMAT,
           "key 'qwen35moe.expert_shared_count'");
    refuse(with_u32(experts(), "qwen35moe.expert_group_count", 2), FG_EUNSUPPORTED,
           "key 'qwen35moe.expert_group_count'");
}

static void heads_refused(void **state)
{
    (void)state;
    refuse(with_u32(dense(), "qwen35.ssm.inner_size", 128), FG_EUNSUPPORTED,
           "key 'qwen35.ssm.inner_size': is 128, only time_step_rank x state_size, 64");
    refuse(with_u32(dense(), "qwen35.ssm.group_count", 3), FG_EFORMAT,
           "key 'qwen35.ssm.group_count': is 3, it must divide time_step_rank, 4");
    refuse(with_u32(dense(), "qwen35.ssm.conv_kernel", 1), FG_EFORMAT,
           "key 'qwen35.ssm.conv_kernel': is 1, it must be 2 to 16");
    refuse(with_u32(dense(), "qwen35.ssm.conv_kernel", 3), FG_EFORMAT,
           "tensor 'blk.0.ssm_conv1d.weight': its shape is [4, 128, 1, 1]");
}

static void tensors_refused(void **state)
{
    (void)state;
    refuse(without(dense(), "blk.1.ssm_a"), FG_EFORMAT, "tensor 'blk.1.ssm_a': it is missing");
    refuse(without(dense(), "blk.1.ssm_dt.bias"), FG_EFORMAT,
           "tensor 'blk.1.ssm_dt.bias': it is missing");
    refuse(with_tensor(dense(), "blk.1.ssm_a", FG_F16, 4, 1), FG_EUNSUPPORTED,
           "tensor 'blk.1.ssm_a': its type is F16, it must be F32");
    refuse(with_tensor(dense(), "blk.1.ssm_alpha.weight", FG_F32, 64, 5), FG_EFORMAT,
           "tensor 'blk.1.ssm_alpha.weight': its shape is [64, 5, 1, 1]");
    refuse(with_tensor(dense(), "blk.3.attn_q.bias", FG_F32, 64, 1), FG_EUNSUPPORTED,
           "tensor 'blk.3.attn_q.bias': biases are not supported");
    refuse(without(experts(), "blk.0.ffn_gate_inp_shexp.weight"), FG_EFORMAT,
           "tensor 'blk.0.ffn_gate_inp_shexp.weight': it is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),          cmocka_unit_test(patterns),
        cmocka_unit_test(left_out),        cmocka_unit_test(fused),
        cmocka_unit_test(keys_refused),    cmocka_unit_test(heads_refused),
        cmocka_unit_test(tensors_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
