/* Whole small models in the engine against the plain C reference, bit for bit: shapes of both
 * families, every way to split a prompt into steps, and steps that sequences share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine_state.h"

#include "lab.h"
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One sequence by each of the splits, then by random ones. */
static void check_splits(const struct pair *p, const char *what, uint32_t n, uint64_t seed)
{
    static const uint32_t splits[] = {1, 7, 64, 100, 128};
    int32_t *tokens = pair_tokens(p, n, seed);
    float *want = pair_reference(p, tokens, n);
    struct run r;

    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        run_init(&r, p, what, tokens, want, n);
        if (splits[i] == 1) { /* one by one only at both ends, over a chunk's end */
            run_until(&r, 3, 1);
            run_until(&r, n - 70, p->info.n_batch);
        }
        run_until(&r, n, splits[i]);
        run_finish(&r);
    }
    run_init(&r, p, what, tokens, want, n);
    while (run_left(&r) > 0) {
        uint32_t most = run_left(&r) < p->info.n_batch ? run_left(&r) : p->info.n_batch;

        run_step(&r, 1 + lab_below(&seed, lab_below(&seed, 2) ? most : (most + 7) / 8));
    }
    run_finish(&r);
    assert_int_equal(fg_engine_free_pages(p->engine), p->info.n_pages);
    free(tokens);
    free(want);
}

/* --- shapes --- */

/* Each tensor of a layer in another type; or like its neighbours, as queries, keys and values of
 * one type are one matrix: the first two of every other layer, the last two of the rest. */
enum mix { UNMIXED, MIXED, MIXED_IN_PAIRS };

static enum fg_dtype mixed_type(enum mix mix, uint32_t layer, size_t i)
{
    if (mix == MIXED_IN_PAIRS && i < 3)
        i = layer % 2 ? i / 2 : (i + 1) / 2;
    return lab_types[(7 * layer + i) % LAB_TYPES];
}

static void mix_types(struct gguf_writer *w, const struct tiny_model *m, enum mix mix)
{
    static const char *const names[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                        "ffn_gate", "ffn_up", "ffn_down"};
    uint64_t seed = 9;

    for (uint32_t l = 0; l < m->n_layer; l++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            uint32_t heads = m->n_head * m->head_dim, kv = m->n_head_kv * m->head_dim;
            const uint64_t shapes[][2] = {
                {m->n_embd, heads},   {m->n_embd, kv},      {m->n_embd, kv},     {heads, m->n_embd},
                {m->n_embd, m->n_ff}, {m->n_embd, m->n_ff}, {m->n_ff, m->n_embd}};
            uint64_t n = shapes[i][0] * shapes[i][1];
            float *v = lab_alloc(n, sizeof *v);
            char name[64];

            snprintf(name, sizeof name, "blk.%u.%s.weight", l, names[i]);
            lab_fill_noise(&seed, v, n, 0.2f);
            gguf_writer_drop_tensor(w, name);
            gguf_writer_tensor(w, name, mixed_type(mix, l, i), 2, shapes[i], v);
            free(v);
        }
}

static void check_model(struct fg_device *d, const struct tiny_model *m, enum mix mix,
                        enum fg_kv_type kv, const char *what, uint32_t n)
{
    struct gguf_writer *w = tiny_model_write(m);
    struct fg_engine_options opt = pair_options(kv);
    struct pair p;

    if (mix)
        mix_types(w, m, mix);
    pair_init(&p, d, w, &opt);
    check_splits(&p, what, n, m->seed * 77);
    pair_finish(&p);
}

static void test_minimax(void **state)
{
    struct tiny_model m = tiny_minimax();

    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax", 200);
    check_model(*state, &m, UNMIXED, FG_KV_F32, "minimax, f32 cache", 140);
}

/* 3 heads of 24 (no powers of two), GQA 3, 5 experts of a width that fills no block, 77 words. */
static void test_minimax_odd(void **state)
{
    static const uint8_t recurrent[] = {1, 0, 1};
    struct tiny_model m = tiny_minimax();

    m.n_layer = 3;
    m.recurrent = recurrent;
    m.n_head = 3, m.n_head_kv = 1, m.head_dim = 24, m.rope_dim = 8;
    m.n_ff = 41, m.n_vocab = 77, m.n_embd = 72;
    m.n_expert = 5, m.n_expert_used = 3;
    m.matrix = FG_F16;
    m.tied = true;
    m.seed = 5;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax, odd", 140);
}

/* Lightning attention only: no KV pages at all. */
static void test_minimax_lightning(void **state)
{
    static const uint8_t recurrent[] = {1, 1};
    struct tiny_model m = tiny_minimax();

    m.n_layer = 2;
    m.recurrent = recurrent;
    m.n_head = 6, m.n_head_kv = 6, m.head_dim = 16;
    m.matrix = FG_Q8_0;
    m.n_expert = 2, m.n_expert_used = 1;
    m.n_ff = 32;
    m.seed = 6;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax, lightning only", 200);
}

/* Softmax attention only: no states. */
static void test_minimax_softmax(void **state)
{
    static const uint8_t recurrent[] = {0, 0};
    struct tiny_model m = tiny_minimax();

    m.n_layer = 2;
    m.recurrent = recurrent;
    m.n_head = 8, m.n_head_kv = 2, m.head_dim = 32, m.rope_dim = 32;
    m.matrix = FG_Q4_0;
    m.seed = 7;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax, softmax only", 140);
}

/* Past the first segment of 512 keys, in one layer of each kind. */
static void test_long(void **state)
{
    static const uint8_t recurrent[] = {1, 0};
    struct tiny_model m = tiny_minimax();

    m.n_layer = 2;
    m.recurrent = recurrent;
    m.seed = 8;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax, long", 600);
}

static void test_llama(void **state)
{
    struct tiny_model m = tiny_llama();

    check_model(*state, &m, UNMIXED, FG_KV_F16, "llama", 200);
}

/* All types in one file, untied, rotary factors. */
static void test_llama_mixed(void **state)
{
    struct tiny_model m = tiny_llama();

    m.n_layer = 4; /* of 7 matrices each: every type comes at least once */
    m.tied = false;
    m.rope_factors = true;
    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.n_head_kv = 4, m.head_dim = 32, m.rope_dim = 32;
    m.matrix = FG_Q4_1;
    m.seed = 10;
    check_model(*state, &m, MIXED, FG_KV_F32, "llama, mixed", 140);
    check_model(*state, &m, MIXED_IN_PAIRS, FG_KV_F32, "llama, mixed in pairs", 70);
}

/* A width of 31 in the feed-forward, 50 words, BF16, one KV head for all. */
static void test_llama_odd(void **state)
{
    struct tiny_model m = tiny_llama();

    m.n_layer = 2;
    m.n_embd = 40, m.n_ff = 31, m.n_vocab = 50;
    m.n_head = 4, m.n_head_kv = 1, m.head_dim = 40, m.rope_dim = 24;
    m.matrix = FG_BF16;
    m.seed = 11;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "llama, odd", 140);
}

/* Biases of q, k and v, which are one product or three; heads that do not divide the width. */
static void test_qwen2(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_qwen2;
    m.head_dim = 24, m.rope_dim = 24;
    m.seed = 12;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "qwen2", 140);
    m.n_layer = 2;
    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.head_dim = 32, m.rope_dim = 32;
    check_model(*state, &m, MIXED, FG_KV_F32, "qwen2, mixed", 70);
}

static void test_qwen3moe(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_qwen3moe;
    m.n_layer = 2;
    m.n_expert = 5, m.n_expert_used = 3;
    m.matrix = FG_Q8_0;
    m.seed = 13;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "qwen3moe", 140);
    m.family = &fg_llama;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "llama with experts", 100);
}

/* Norms over all heads together, a part of each head rotated, experts chosen by a bias. */
static void test_minimax_m2(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_minimax_m2;
    m.n_layer = 2;
    m.n_head = 6, m.head_dim = 24, m.rope_dim = 8;
    m.n_expert = 9, m.n_expert_used = 4;
    m.seed = 14;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "minimax-m2", 140);
    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.head_dim = 32, m.rope_dim = 16;
    check_model(*state, &m, MIXED, FG_KV_F32, "minimax-m2, mixed", 70);
}

/* A window in five of six layers and other angles there, norms of what blocks give, gelu. */
static void test_gemma3(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_gemma3;
    m.n_layer = 7;
    m.window = 50;
    m.head_dim = 24, m.rope_dim = 24;
    m.matrix = FG_F16;
    m.seed = 15;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "gemma3", 140);
    m.n_layer = 2;
    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.head_dim = 32, m.rope_dim = 32;
    check_model(*state, &m, MIXED, FG_KV_F32, "gemma3, mixed", 70);
}

/* Sinks, windows in every other layer, biases of everything, experts behind a clamped gate. */
static void test_gpt_oss(void **state)
{
    struct tiny_model m = tiny_llama();

    m.family = &fg_gpt_oss;
    m.window = 30;
    m.head_dim = 24, m.rope_dim = 24;
    m.n_expert = 6, m.n_expert_used = 3;
    m.matrix = FG_MXFP4;
    m.seed = 16;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "gpt-oss", 140);
    m.n_layer = 2;
    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.head_dim = 32, m.rope_dim = 32;
    check_model(*state, &m, MIXED, FG_KV_F32, "gpt-oss, mixed", 70);
}

/* Short convolutions, of as few taps as there can be, and of more than a run has tokens. */
static void test_lfm2(void **state)
{
    static const uint8_t recurrent[] = {1, 0};
    struct tiny_model m = tiny_lfm2();

    check_model(*state, &m, UNMIXED, FG_KV_F16, "lfm2", 200);
    m.n_layer = 2;
    m.recurrent = recurrent;
    m.n_embd = 100;
    m.matrix = FG_F16;
    m.taps = 2;
    check_model(*state, &m, UNMIXED, FG_KV_F32, "lfm2, 2 taps", 70);
    m.taps = 9;
    check_model(*state, &m, UNMIXED, FG_KV_F16, "lfm2, 9 taps", 140);
}

/* --- several sequences --- */

enum { SEQS = 4 };

/* Sequences of different lengths in random company: tokens one by one and many together, some
 * sequences waiting. */
static void check_company(struct fg_device *d, struct gguf_writer *w, enum fg_kv_type kv,
                          const char *what)
{
    static const uint32_t lengths[SEQS] = {150, 70, 200, 33};
    struct fg_engine_options opt = pair_options(kv);
    struct run runs[SEQS];
    int32_t *tokens[SEQS];
    float *want[SEQS];
    struct pair p;
    uint64_t seed = 3;
    uint32_t left;

    pair_init(&p, d, w, &opt);
    for (int i = 0; i < SEQS; i++) {
        tokens[i] = pair_tokens(&p, lengths[i], 50 + (uint64_t)i);
        want[i] = pair_reference(&p, tokens[i], lengths[i]);
        run_init(&runs[i], &p, what, tokens[i], want[i], lengths[i]);
    }
    do {
        uint32_t counts[SEQS], room = p.info.n_batch, in_step = 0;

        left = 0;
        for (int i = 0; i < SEQS; i++) {
            uint32_t most = run_left(&runs[i]) < room ? run_left(&runs[i]) : room;
            uint32_t way = lab_below(&seed, 4);

            counts[i] = most == 0 || way == 0 ? 0 : way < 3 ? 1 : 1 + lab_below(&seed, most);
            room -= counts[i];
            in_step += counts[i];
        }
        if (in_step > 0)
            run_steps(runs, counts, SEQS);
        for (int i = 0; i < SEQS; i++)
            left += run_left(&runs[i]);
    } while (left > 0);
    for (int i = 0; i < SEQS; i++) {
        run_finish(&runs[i]);
        free(tokens[i]);
        free(want[i]);
    }
    assert_int_equal(fg_engine_free_pages(p.engine), p.info.n_pages);
    pair_finish(&p);
}

/* Layers of the gated delta rule and gated softmax attention with norms. */
static void test_qwen35(void **state)
{
    struct tiny_model m = tiny_qwen35();

    check_model(*state, &m, UNMIXED, FG_KV_F16, "qwen35", 200);
    /* Heads of 64 and more of v than of k, in whole tiles; one KV head of 128; tied; more left out.
     */
    m.n_layer = 5;
    m.n_head = 3, m.n_head_kv = 1, m.head_dim = 128, m.rope_dim = 32;
    m.n_head_k = 1, m.n_head_v = 3, m.delta_dim = 64;
    m.n_left_out = 2;
    m.tied = true;
    m.matrix = FG_Q8_0;
    m.seed = 41;
    check_model(*state, &m, UNMIXED, FG_KV_F32, "qwen35, other heads", 140);
}

static void test_qwen35moe(void **state)
{
    struct tiny_model m = tiny_qwen35moe();

    check_model(*state, &m, UNMIXED, FG_KV_F16, "qwen35moe", 200);
}

/* Every type at least once, so that nothing is joined. */
static void test_qwen35_mixed(void **state)
{
    struct tiny_model m = tiny_qwen35();

    m.n_embd = m.n_ff = 256;
    m.n_head = 8, m.n_head_kv = 4, m.head_dim = 32;
    m.n_head_k = 4, m.n_head_v = 8, m.delta_dim = 32;
    m.mixed = lab_types;
    m.n_mixed = LAB_TYPES;
    m.seed = 43;
    check_model(*state, &m, UNMIXED, FG_KV_F32, "qwen35, mixed", 100);
}

/* Gate and up of the experts in one tensor: the same bits as in two. */
static void test_fused_experts(void **state)
{
    struct tiny_model m = tiny_qwen35moe();

    m.n_layer = 2;
    m.n_ff = 72;
    m.matrix = FG_F16;
    m.seed = 44;
    for (int fused = 0; fused < 2; fused++) {
        struct gguf_writer *w = tiny_model_write(&m);
        struct fg_engine_options opt = pair_options(FG_KV_F16);
        struct pair p;

        if (fused)
            for (uint32_t l = 0; l < m.n_layer; l++)
                tiny_model_fuse_experts(w, l);
        pair_init(&p, *state, w, &opt);
        assert_int_equal(p.info.hp->blocks[1].moe.fused, fused);
        check_splits(&p, fused ? "fused experts" : "split experts", 80, 9);
        pair_finish(&p);
    }
}

static void test_company(void **state)
{
    struct tiny_model minimax = tiny_minimax(), llama = tiny_llama(), qwen = tiny_qwen35moe();

    minimax.seed = 20;
    minimax.matrix = FG_Q8_0;
    check_company(*state, tiny_model_write(&minimax), FG_KV_F16, "minimax in company");
    llama.seed = 21;
    check_company(*state, tiny_model_write(&llama), FG_KV_F16, "llama in company");
    llama.family = &fg_qwen2;
    check_company(*state, tiny_model_write(&llama), FG_KV_F16, "qwen2 in company");
    qwen.seed = 22;
    check_company(*state, tiny_model_write(&qwen), FG_KV_F16, "qwen35 in company");
}

/* Only the logits that are asked for, of the last tokens, and none at all. */
static void test_some_logits(void **state)
{
    struct tiny_model m = tiny_minimax();
    struct fg_engine_options opt = pair_options(FG_KV_F16);
    struct fg_step_span pieces[2];
    struct fg_seq *a, *b;
    struct pair p;

    pair_init(&p, *state, tiny_model_write(&m), &opt);
    int32_t *tokens = pair_tokens(&p, 90, 4);
    float *want = pair_reference(&p, tokens, 90), *got = lab_alloc((size_t)90 * p.vocab, 4);

    assert_int_equal(fg_seq_create(p.engine, &a, NULL), 0);
    assert_int_equal(fg_seq_create(p.engine, &b, NULL), 0);
    pieces[0] = (struct fg_step_span){a, tokens, 60, 0, NULL, 0, NULL};
    pieces[1] = (struct fg_step_span){b, tokens, 1, 1, got, 0, NULL};
    assert_int_equal(fg_engine_step(p.engine, pieces, 2, NULL), 0);
    lab_equal("first of b", got, want, p.vocab);
    pieces[0] = (struct fg_step_span){b, tokens + 1, 4, 2, got, 0, NULL};
    pieces[1] = (struct fg_step_span){a, tokens + 60, 30, 3, got + 2 * p.vocab, 0, NULL};
    assert_int_equal(fg_engine_step(p.engine, pieces, 2, NULL), 0);
    lab_equal("last two of b", got, want + (size_t)3 * p.vocab, 2 * p.vocab);
    lab_equal("last three of a", got + 2 * p.vocab, want + (size_t)87 * p.vocab, 3 * p.vocab);
    fg_seq_destroy(a);
    fg_seq_destroy(b);
    free(tokens);
    free(want);
    free(got);
    pair_finish(&p);
}

/* A slow device: each layer is a submission of its own, and the bits stay. */
static void test_short_submissions(void **state)
{
    struct tiny_model models[] = {tiny_minimax(), tiny_llama()};

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct fg_engine_options opt = pair_options(FG_KV_F16);
        struct pair p;
        struct run r;
        int32_t *tokens;
        float *want;
        uint64_t before;

        pair_init(&p, *state, tiny_model_write(&models[i]), &opt);
        tokens = pair_tokens(&p, 130, 5);
        want = pair_reference(&p, tokens, 130);
        run_init(&r, &p, "short submissions", tokens, want, 130);
        for (uint32_t at = 0, n; at < 130; at += n) {
            n = at == 0 ? 100 : at == 100 ? 29 : 1;
            /* As if the last step had taken a second a layer and token. */
            p.engine->token_layer_s[0] = p.engine->token_layer_s[1] = 1;
            before = p.engine->n_submissions;
            run_step(&r, n);
            /* The second layer's time is known again, and short. */
            assert_true(p.engine->n_submissions - before >= 2);
            assert_true(p.engine->token_layer_s[n > 1] < 1);
        }
        run_finish(&r);
        free(tokens);
        free(want);
        pair_finish(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_submissions),
        cmocka_unit_test(test_minimax),
        cmocka_unit_test(test_minimax_odd),
        cmocka_unit_test(test_minimax_lightning),
        cmocka_unit_test(test_minimax_softmax),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_llama_mixed),
        cmocka_unit_test(test_llama_odd),
        cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_qwen3moe),
        cmocka_unit_test(test_minimax_m2),
        cmocka_unit_test(test_gemma3),
        cmocka_unit_test(test_gpt_oss),
        cmocka_unit_test(test_lfm2),
        cmocka_unit_test(test_qwen35),
        cmocka_unit_test(test_qwen35moe),
        cmocka_unit_test(test_qwen35_mixed),
        cmocka_unit_test(test_fused_experts),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_some_logits),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
