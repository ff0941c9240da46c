/* A family that no published model is of, in this file alone: heads of other counts and widths in
 * some layers, dense layers first and last, experts that all tokens share, states of two shapes,
 * residuals of both kinds. It runs as the plain C reference says, and is planned, captured and
 * restored, by what its blocks list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"
#include "model/plan.h"
#include "pair.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 5, ROPE = 16, TOKENS = 200 };

/* --- the family --- */

static struct fg_block_shape block(const struct fg_hparams *hp, const struct fg_block_kind *kind,
                                   uint32_t layer, const char *norm, bool post_norm)
{
    return (struct fg_block_shape){.kind = kind,
                                   .layer = layer,
                                   .norm = norm,
                                   .n_embd = hp->n_embd,
                                   .norm_eps = hp->norm_eps,
                                   .residual_scale = post_norm ? 1.75f : 1,
                                   .post_norm = post_norm};
}

static void add_softmax(struct fg_hparams *hp, uint32_t layer, struct fg_heads heads)
{
    struct fg_block_shape b = block(hp, &fg_softmax_attention_block, layer, "attn_norm", layer > 0);

    b.heads = heads;
    hp->blocks[hp->n_blocks++] = b;
}

static void add_lightning(struct fg_hparams *hp, uint32_t layer, uint32_t n_head, uint32_t head_dim)
{
    struct fg_block_shape b = block(hp, &fg_lightning_block, layer, "attn_norm", layer < 4);

    b.lightning.n_head = n_head;
    b.lightning.head_dim = head_dim;
    b.lightning.index = layer;
    b.lightning.count = LAYERS;
    hp->blocks[hp->n_blocks++] = b;
}

static void add_dense(struct fg_hparams *hp, uint32_t layer, uint32_t n_ff)
{
    struct fg_block_shape b = block(hp, &fg_dense_ffn_block, layer, "ffn_norm", false);

    b.dense.n_ff = n_ff;
    hp->blocks[hp->n_blocks++] = b;
}

static void add_moe(struct fg_hparams *hp, uint32_t layer, uint32_t n_expert, uint32_t n_ff_shared)
{
    struct fg_block_shape b = block(hp, &fg_moe_block, layer, "ffn_norm", layer != 3);

    b.moe.n_ff = 96;
    b.moe.n_expert = n_expert;
    b.moe.n_used = n_expert / 2;
    b.moe.n_ff_shared = n_ff_shared;
    hp->blocks[hp->n_blocks++] = b;
}

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    int rc = fg_family_blocks(k, hp);

    if (rc)
        return rc;
    hp->rope_dim = ROPE;
    hp->rope_freq_base = 10000;
    add_softmax(hp, 0, (struct fg_heads){4, 2, 32, ROPE, true});
    add_dense(hp, 0, 160);
    add_lightning(hp, 1, 4, 32);
    add_moe(hp, 1, 4, 64);
    add_softmax(hp, 2, (struct fg_heads){3, 1, 64, ROPE, false});
    add_moe(hp, 2, 6, 0); /* takes over the norm behind it */
    add_lightning(hp, 3, 6, 16);
    add_moe(hp, 3, 4, 128);
    add_lightning(hp, 4, 1, 64);
    add_dense(hp, 4, 96);
    return 0;
}

static const struct fg_family odd_family = {.arch = "odd", .read = read};

static struct tiny_model odd_model(enum fg_dtype matrix)
{
    struct tiny_model m = tiny_minimax();

    m.family = &odd_family;
    m.n_layer = LAYERS;
    m.recurrent = NULL;
    m.matrix = matrix;
    m.seed = 71;
    return m;
}

static struct fg_engine_options odd_options(enum fg_kv_type kv)
{
    struct fg_engine_options opt = pair_options(kv);

    opt.family = &odd_family;
    return opt;
}

static void ok(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

/* --- what it computes --- */

struct bench {
    struct pair p;
    int32_t *tokens;
    float *want;
};

static void bench_init(struct bench *b, struct fg_device *d, enum fg_dtype matrix,
                       const struct fg_engine_options *opt)
{
    struct tiny_model m = odd_model(matrix);

    pair_init(&b->p, d, tiny_model_write(&m), opt);
    b->tokens = pair_tokens(&b->p, TOKENS, 3);
    b->want = pair_reference(&b->p, b->tokens, TOKENS);
}

static void bench_finish(struct bench *b)
{
    free(b->tokens);
    free(b->want);
    pair_finish(&b->p);
}

static void check_reference(struct fg_device *d, enum fg_dtype matrix,
                            const struct fg_engine_options *opt)
{
    static const uint32_t splits[] = {64, 1, 7, 100};
    struct bench b;
    struct run r;

    bench_init(&b, d, matrix, opt);
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        run_init(&r, &b.p, "odd", b.tokens, b.want, TOKENS);
        if (splits[i] == 1) {
            run_until(&r, 4, 1);
            run_until(&r, TOKENS - 10, 64);
        }
        run_until(&r, TOKENS, splits[i]);
        run_finish(&r);
    }
    bench_finish(&b);
}

static void test_reference(void **state)
{
    struct fg_engine_options opt = odd_options(FG_KV_F16);

    check_reference(*state, FG_F32, &opt);
    opt.kv_type = FG_KV_F32;
    check_reference(*state, FG_F16, &opt);
    opt.numerics = FG_NUMERICS_INT8;
    check_reference(*state, FG_Q8_0, &opt);
}

/* Three sequences in steps of their own lengths, one behind the other in the text. */
static void test_together(void **state)
{
    static const uint32_t counts[][3] = {{60, 1, 5}, {1, 1, 1}, {30, 64, 1}, {1, 20, 90}};
    struct fg_engine_options opt = odd_options(FG_KV_F16);
    struct run runs[3];
    struct bench b;

    bench_init(&b, *state, FG_Q4_1, &opt);
    for (int i = 0; i < 3; i++)
        run_init(&runs[i], &b.p, "odd, together", b.tokens, b.want, TOKENS);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        run_steps(runs, counts[i], 3);
    for (int i = 0; i < 3; i++)
        run_finish(&runs[i]);
    bench_finish(&b);
}

/* --- what it owns --- */

static void test_plan(void **state)
{
    /* Keys and values of 2 x 32 and 1 x 64, in f16; states of 4 x 32^2, 6 x 16^2 and 64^2. */
    const uint64_t page = 2 * 64 * 2 * (2 * 32 + 64);
    const uint64_t slot = 4 * (4 * 32 * 32 + 6 * 16 * 16 + 64 * 64);
    const uint64_t rows = 2 * 4 * 64 * (4 * 32 + 6 * 16 + 64), tables = 4 * 65 * (4 + 6 + 1);
    struct tiny_model m = odd_model(FG_F32);
    struct fg_engine_options opt = odd_options(FG_KV_F16);
    struct gguf_writer *w = tiny_model_write(&m);
    struct fg_engine_info info;
    struct fg_engine *e;
    struct fg_hparams hp;
    struct fg_gguf *g;
    struct fg_plan p;
    struct fg_err err;

    ok(gguf_writer_open(w, &g, &err), &err);
    ok(fg_hparams_init_as(&hp, g, &odd_family, &err), &err);
    ok(fg_plan_init(&p, &opt, &hp, g, fg_device_info(*state), &err), &err);
    ok(fg_engine_create(&opt, g, *state, &e, &err), &err);
    fg_engine_info(e, &info);
    assert_int_equal(p.page_bytes, page);
    assert_int_equal(p.state_bytes, slot);
    assert_int_equal(p.seq_bytes, opt.n_seq * (slot + rows) + tables);
    assert_int_equal(p.saved_bytes, opt.n_states * slot);
    assert_int_equal(info.page_bytes, page);
    assert_int_equal(info.state_bytes, slot);
    assert_int_equal(info.weight_bytes, p.weight_bytes);
    assert_int_equal(info.kv_bytes, p.kv_bytes);
    assert_int_equal(info.seq_bytes, p.seq_bytes + p.saved_bytes);
    assert_int_equal(info.scratch_bytes, p.scratch_bytes + p.scratch_host_bytes);
    fg_engine_destroy(e);
    fg_hparams_finish(&hp);
    fg_gguf_close(g);
    gguf_writer_destroy(w);
}

/* Pages and states through host memory into a new engine; pages shared and a state loaded from its
 * slot in the first. */
static void check_restore(struct fg_device *d, bool staged)
{
    struct fg_engine_options opt = odd_options(FG_KV_F16);
    void *pages[3], *state;
    struct bench b, other;
    struct run r, s;
    struct fg_err err;

    opt.stage_transfers = staged;
    bench_init(&b, d, FG_F32, &opt);
    run_init(&r, &b.p, "odd, stored", b.tokens, b.want, TOKENS);
    run_until(&r, 192, 50);
    for (uint32_t i = 0; i < 3; i++) {
        pages[i] = lab_alloc(b.p.info.page_bytes, 1);
        ok(fg_seq_capture_page(r.seq, i, pages[i], &err), &err);
    }
    state = lab_alloc(b.p.info.state_bytes, 1);
    ok(fg_seq_capture_state(r.seq, state, &err), &err);
    ok(fg_seq_save_state(r.seq, 1, &err), &err);

    bench_init(&other, d, FG_F32, &opt);
    run_init(&s, &other.p, "odd, restored", other.tokens, other.want, TOKENS);
    for (uint32_t i = 0; i < 3; i++)
        ok(fg_seq_restore_page(s.seq, pages[i], &err), &err);
    ok(fg_seq_restore_state(s.seq, state, &err), &err);
    run_until(&s, TOKENS, 3);
    run_finish(&s);
    bench_finish(&other);

    run_init(&s, &b.p, "odd, shared", b.tokens, b.want, TOKENS);
    for (uint32_t i = 0; i < 3; i++)
        ok(fg_seq_share_page(s.seq, fg_seq_page(r.seq, i), &err), &err);
    run_until(&r, TOKENS, 64); /* its own state moves on */
    ok(fg_seq_load_state(s.seq, 1, &err), &err);
    run_until(&s, TOKENS, 5);
    run_finish(&s);
    run_finish(&r);

    /* A sequence begins with zeros in every state, whatever was in its slot. */
    run_init(&r, &b.p, "odd, anew", b.tokens, b.want, TOKENS);
    run_until(&r, 70, 70);
    run_finish(&r);
    for (int i = 0; i < 3; i++)
        free(pages[i]);
    free(state);
    bench_finish(&b);
}

static void test_restore(void **state)
{
    check_restore(*state, false);
    check_restore(*state, true);
}

/* --- what it refuses --- */

static void refused(struct gguf_writer *w, const char *text)
{
    struct fg_hparams hp;
    struct fg_gguf *g;
    struct fg_err err;

    ok(gguf_writer_open(w, &g, &err), &err);
    gguf_writer_destroy(w);
    assert_int_equal(fg_hparams_init_as(&hp, g, &odd_family, &err), FG_EFORMAT);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
    fg_gguf_close(g);
}

static void test_tensors(void **state)
{
    struct tiny_model m = odd_model(FG_F32);
    struct gguf_writer *w = tiny_model_write(&m);
    const float none[96] = {0};
    struct fg_hparams hp;
    struct fg_gguf *g;
    struct fg_err err;
    (void)state;

    /* By its own name nobody knows it. */
    ok(gguf_writer_open(w, &g, &err), &err);
    assert_int_equal(fg_hparams_init(&hp, g, &err), FG_EUNSUPPORTED);
    fg_gguf_close(g);
    gguf_writer_drop_tensor(w, "blk.3.ffn_down_shexp.weight");
    refused(w, "tensor 'blk.3.ffn_down_shexp.weight': it is missing; one of shape [128, 64, 1]");
    w = tiny_model_write(&m);
    gguf_writer_drop_tensor(w, "blk.3.attn_norm_2.weight");
    gguf_writer_tensor(w, "blk.3.attn_norm_2.weight", FG_F32, 2, (uint64_t[]){48, 2}, none);
    refused(w, "tensor 'blk.3.attn_norm_2.weight': its shape is [48, 2, 1, 1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_together),
        cmocka_unit_test(test_plan),      cmocka_unit_test(test_restore),
        cmocka_unit_test(test_tensors),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
