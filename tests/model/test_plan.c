/* The plan of models and devices that are not there: sizes by hand, what is refused, MiniMax-M1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/device.h"
#include "model/plan.h"
#include "tiny_model.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct fg_device_info card(uint64_t heap)
{
    return (struct fg_device_info){.name = "a card",
                                   .type = "discrete",
                                   .max_storage_range = 4 * GIB - 1,
                                   .max_texel_elements = 1 << 28,
                                   .heap_bytes = heap};
}

/* --- a tiny model, by hand --- */

/* A tiny model's plan on a card: 3 lightning layers, 1 softmax; all F32. */
struct tiny {
    struct fg_engine_options opt;
    struct fg_device_info device;
    struct fg_hparams hp;
    struct fg_plan plan;
    struct fg_gguf *g;
};

static void make_plan(struct tiny *t)
{
    assert_int_equal(fg_plan_init(&t->plan, &t->opt, &t->hp, t->g, &t->device, NULL), 0);
}

static struct tiny begin(void)
{
    struct tiny_model m = tiny_minimax();
    struct gguf_writer *w = tiny_model_write(&m);
    struct tiny t = {
        .opt = {.kv_type = FG_KV_F16, .n_ctx = 130, .n_seq = 2, .n_states = 5, .n_batch = 64},
        .device = card(GIB)};

    assert_int_equal(gguf_writer_open(w, &t.g, NULL), 0);
    gguf_writer_destroy(w);
    assert_int_equal(fg_hparams_init(&t.hp, t.g, NULL), 0);
    make_plan(&t);
    return t;
}

static void finish(struct tiny *t)
{
    fg_hparams_finish(&t->hp);
    fg_gguf_close(t->g);
}

static void test_sizes(void **state)
{
    struct tiny tiny = begin();
    (void)state;

    assert_true(fg_plan_fits(&tiny.plan));
    assert_int_equal(tiny.plan.largest_slot, 4 * 4 * 32 * 64);
    assert_int_equal(tiny.plan.state_bytes, 3 * 4 * 4 * 32 * 32);
    assert_int_equal(tiny.plan.max_pages, 3);
    assert_int_equal(tiny.plan.opt.n_pages, 6);
    assert_int_equal(tiny.plan.kv_bytes, 6 * 2 * 2 * 32 * 64 * 2);
    assert_int_equal(tiny.plan.saved_bytes, 5 * 3 * 4 * 4 * 32 * 32);
    assert_int_equal(tiny.plan.seq_bytes,
                     2 * 3 * (4 * 4 * 32 * 32 + 2 * 4 * 4 * 32 * 64) + 3 * 4 * 4 * 65);
    /* Rows in tiles of 32: the router's 4 take the room of 32. */
    uint64_t lightning = 64 * (384 + 128) + 128 * 64, softmax = 64 * (128 + 64 + 64) + 128 * 64;
    uint64_t moe = 64 * 32 + 4 * 3 * 64 * 96, norms = 64 * (1 + 4 * 2) + 3 * 128;
    assert_int_equal(tiny.plan.weight_bytes,
                     4 * (2 * 64 * 96 + 3 * lightning + softmax + 4 * moe + norms));
    assert_int_equal(tiny.plan.n_types, 1);
    assert_int_equal(tiny.plan.types[0].type, FG_F32);
    assert_int_equal(tiny.plan.types[0].bytes, tiny.plan.weight_bytes);
    assert_int_equal(tiny.plan.types[0].n_tensors, fg_gguf_tensor_count(tiny.g));
    assert_int_equal(tiny.plan.device_bytes, tiny.plan.weight_bytes + tiny.plan.kv_bytes +
                                                 tiny.plan.seq_bytes + tiny.plan.saved_bytes +
                                                 tiny.plan.scratch_bytes);
    assert_int_equal(tiny.plan.needed_bytes, tiny.plan.device_bytes);
    assert_int_equal(tiny.plan.memory_bytes, GIB);
    finish(&tiny);
}

static void test_limits(void **state)
{
    struct tiny tiny = begin();
    (void)state;

    /* To the byte; where host and device share the memory, the host's part counts as well. */
    tiny.plan.memory_bytes = tiny.plan.needed_bytes;
    assert_true(fg_plan_fits(&tiny.plan));
    tiny.plan.memory_bytes--;
    assert_false(fg_plan_fits(&tiny.plan));
    tiny.device.unified = true;
    make_plan(&tiny);
    assert_int_equal(tiny.plan.needed_bytes, tiny.plan.device_bytes + tiny.plan.host_bytes);
    assert_int_equal(tiny.plan.host_bytes, tiny.plan.scratch_host_bytes + tiny.plan.transfer_bytes);

    /* What create() would refuse is no error here, and what was asked for is told. */
    tiny.opt.n_pages = 2;
    make_plan(&tiny);
    assert_int_equal(tiny.plan.refused.code, FG_EINVAL);
    assert_false(fg_plan_fits(&tiny.plan));
    tiny.opt.n_pages = 0;
    tiny.opt.n_ctx = 1 << 24;
    tiny.device.heap_bytes = 16 * MIB;
    make_plan(&tiny);
    assert_int_equal(tiny.plan.refused.code, FG_ENOMEM);
    assert_int_equal(tiny.plan.opt.n_pages, (1 << 24) / 64);
    assert_non_null(strstr(tiny.plan.refused.text, "the device's memory beside the weights"));
    assert_int_equal(tiny.plan.kv_bytes, (UINT64_C(1) << 24) / 64 * 2 * 2 * 32 * 64 * 2);
    finish(&tiny);
}

/* Every limit of hparams at once: more than 64 bits hold, and said so. */
static void test_overflow(void **state)
{
    static struct fg_block_shape blocks[2 * 1024];
    struct fg_hparams hp = {.n_layer = 1024,
                            .n_embd = 1024,
                            .n_vocab = 1,
                            .rope_dim = 2,
                            .n_blocks = 2 * 1024,
                            .blocks = blocks};
    struct fg_engine_options opt = {.kv_type = FG_KV_F32, .n_ctx = 1 << 30, .n_seq = 64};
    struct fg_device_info d = {.type = "cpu", .max_storage_range = UINT64_MAX};
    struct fg_plan p;
    struct fg_err err;
    (void)state;

    for (uint32_t i = 0; i < 2 * 1024; i += 2) {
        blocks[i] = (struct fg_block_shape){.kind = &fg_softmax_attention_block, .n_embd = 1024};
        blocks[i].heads = (struct fg_heads){4096, 4096, 512, 2, false};
        blocks[i + 1] = (struct fg_block_shape){.kind = &fg_dense_ffn_block, .n_embd = 1024};
        blocks[i + 1].dense.n_ff = 1024;
    }
    assert_int_equal(fg_plan_init(&p, &opt, &hp, NULL, &d, &err), FG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "2^64"));
    opt.n_seq = 1;
    opt.n_ctx = 1 << 20;
    assert_int_equal(fg_plan_init(&p, &opt, &hp, NULL, &d, &err), 0);
    assert_int_equal(p.kv_bytes, UINT64_C(1) << (30 + 14 + 10));
}

/* --- MiniMax-M1, 256 GB of Q4_0 that take no room on the disk --- */

static uint64_t claim(struct gguf_writer *w, uint64_t at, const char *name, enum fg_dtype type,
                      const uint64_t ne[3])
{
    uint64_t bytes = fg_dtype_row_bytes(type, ne[0]) * ne[1] * ne[2];
    struct gguf_writer_shape shape = {type, ne[2] > 1 ? 3 : ne[1] > 1 ? 2 : 1, ne};

    gguf_writer_tensor_raw(w, name, &shape, "", 0);
    gguf_writer_offset(w, at);
    return at + (bytes + 31) / 32 * 32;
}

static uint64_t claim_layer(struct gguf_writer *w, uint64_t at, uint32_t l)
{
    const struct {
        int where; /* 0: lightning, 1: softmax, 2: both */
        const char *name;
        enum fg_dtype type;
        uint64_t ne[3];
    } parts[] = {{2, "attn_norm", FG_F32, {6144, 1, 1}},
                 {2, "ffn_norm", FG_F32, {6144, 1, 1}},
                 {0, "attn_norm_2", FG_F32, {8192, 1, 1}},
                 {0, "attn_qkv", FG_Q4_0, {6144, 3 * 8192, 1}},
                 {0, "attn_gate", FG_Q4_0, {6144, 8192, 1}},
                 {1, "attn_q", FG_Q4_0, {6144, 8192, 1}},
                 {1, "attn_k", FG_Q4_0, {6144, 1024, 1}},
                 {1, "attn_v", FG_Q4_0, {6144, 1024, 1}},
                 {2, "attn_output", FG_Q4_0, {8192, 6144, 1}},
                 {2, "ffn_gate_inp", FG_F32, {6144, 32, 1}},
                 {2, "ffn_gate_exps", FG_Q4_0, {6144, 9216, 32}},
                 {2, "ffn_up_exps", FG_Q4_0, {6144, 9216, 32}},
                 {2, "ffn_down_exps", FG_Q4_0, {9216, 6144, 32}}};
    char name[64];

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].where != 2 && parts[i].where != (l % 8 == 7))
            continue;
        snprintf(name, sizeof name, "blk.%u.%s.weight", l, parts[i].name);
        at = claim(w, at, name, parts[i].type, parts[i].ne);
    }
    return at;
}

static struct gguf_writer *write_m1(uint64_t *bytes)
{
    static const struct {
        const char *key;
        uint32_t v;
    } keys[] = {{"block_count", 80},           {"context_length", 10240000},
                {"embedding_length", 6144},    {"feed_forward_length", 9216},
                {"attention.head_count", 64},  {"attention.head_count_kv", 8},
                {"attention.key_length", 128}, {"attention.value_length", 128},
                {"rope.dimension_count", 64},  {"expert_count", 32},
                {"expert_used_count", 2}};
    static const uint64_t head[] = {6144, 200064, 1};
    struct gguf_writer *w = gguf_writer_create();
    char key[96];

    gguf_writer_str(w, "general.architecture", "minimax-01");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(key, sizeof key, "minimax-01.%s", keys[i].key);
        gguf_writer_u32(w, key, keys[i].v);
    }
    gguf_writer_f32(w, "minimax-01.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_writer_f32(w, "minimax-01.rope.freq_base", 1e7f);
    gguf_writer_f32(w, "minimax-01.residual_scale", 3.5565588f);
    *bytes = claim(w, 0, "token_embd.weight", FG_Q4_0, head);
    *bytes = claim(w, *bytes, "output_norm.weight", FG_F32, (uint64_t[]){6144, 1, 1});
    *bytes = claim(w, *bytes, "output.weight", FG_Q4_0, head);
    for (uint32_t l = 0; l < 80; l++)
        *bytes = claim_layer(w, *bytes, l);
    return w;
}

/* A file of that length with nothing behind the header. */
static struct fg_gguf *open_m1(void)
{
    uint64_t bytes;
    struct gguf_writer *w = write_m1(&bytes);
    char path[128];
    struct fg_gguf *g = NULL;
    struct fg_err err;
    size_t header;
    int fd = gguf_temp_file(path, sizeof path);

    free(gguf_writer_image(w, &header));
    assert_true(gguf_writer_save(w, path));
    gguf_writer_destroy(w);
    if (ftruncate(fd, (off_t)((header + 31) / 32 * 32 + bytes)) != 0) {
        print_message("SKIP: no sparse file of %llu bytes here\n", (unsigned long long)bytes);
        skip();
    }
    close(fd);
    if (fg_gguf_open(path, &g, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return g;
}

static void test_minimax_m1(void **state)
{
    struct fg_engine_options opt = {
        .kv_type = FG_KV_F16, .n_ctx = 1000000, .n_seq = 1, .n_states = 5};
    struct fg_device_info d = card(80 * GIB);
    struct fg_gguf *g = open_m1();
    struct fg_hparams hp;
    struct fg_plan p;
    struct fg_err err;
    (void)state;

    if (fg_hparams_init(&hp, g, &err) || fg_plan_init(&p, &opt, &hp, g, &d, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fg_hparams_count(&hp, &fg_lightning_block), 70);
    assert_int_equal(fg_hparams_count(&hp, &fg_softmax_attention_block), 10);
    /* 456 billion weights: the published count. */
    uint64_t experts = UINT64_C(80) * 3 * 32 * 6144 * 9216;
    uint64_t attention =
        UINT64_C(70) * 5 * 6144 * 8192 + UINT64_C(10) * 6144 * (2 * 8192 + 2 * 1024);
    uint64_t q4_0 = experts + attention + UINT64_C(2) * 6144 * 200064;
    uint64_t f32 = 80 * (2 + 32) * 6144 + 6144 + 70 * 8192;
    assert_true(q4_0 + f32 > UINT64_C(455000000000) && q4_0 + f32 < UINT64_C(457000000000));
    assert_int_equal(p.weight_bytes, q4_0 / 32 * 18 + f32 * 4);
    assert_int_equal(p.page_bytes, 64 * 40 << 10);
    assert_int_equal(p.state_bytes, 280 * MIB);
    assert_int_equal(p.saved_bytes, 5 * 280 * MIB);
    assert_int_equal(p.refused.code, FG_ENOMEM);
    assert_false(fg_plan_fits(&p));
    assert_int_equal(p.kv_bytes, 15625 * 64 * (UINT64_C(40) << 10)); /* of a million tokens */
    assert_true(p.needed_bytes > 275 * GIB && p.memory_bytes == 80 * GIB);

    d.heap_bytes = 512 * GIB;
    assert_int_equal(fg_plan_init(&p, &opt, &hp, g, &d, &err), 0);
    assert_int_equal(p.refused.code, 0);
    assert_true(fg_plan_fits(&p));
    assert_int_equal(p.kv_bytes, 15625 * 64 * (UINT64_C(40) << 10));
    d.max_storage_range = 16 * MIB; /* below one expert */
    assert_int_equal(fg_plan_init(&p, &opt, &hp, g, &d, &err), FG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "blk.0.ffn_gate_exps"));
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_minimax_m1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
