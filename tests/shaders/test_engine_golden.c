/* The engine on the golden models: near the published implementation's logits, and the plain C
 * reference's bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>

static void *read_vector(const char *name, const char *suffix, size_t *bytes)
{
    char path[1024];
    FILE *f;
    void *data;

    snprintf(path, sizeof path, "%s/%s.%s", FG_TEST_VECTORS, name, suffix);
    f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(f);
    rewind(f);
    data = lab_alloc(*bytes, 1);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

static void check_golden(struct fg_device *d, const char *name, enum fg_kv_type kv, double limit)
{
    struct fg_engine_options opt = {.kv_type = kv, .n_ctx = 320, .n_seq = 1, .n_batch = 320};
    struct pair p;
    struct fg_err err;
    struct fg_seq *seq;
    size_t bytes;
    char path[1024];
    double error;

    snprintf(path, sizeof path, "%s/%s.gguf", FG_TEST_VECTORS, name);
    pair_init_file(&p, d, path, &opt);
    int32_t *tokens = read_vector(name, "tokens.i32", &bytes);
    uint32_t n = (uint32_t)(bytes / sizeof *tokens);
    float *want = read_vector(name, "logits.f32", &bytes);
    float *got = lab_alloc((size_t)n * p.vocab, sizeof *got);
    float *reference = pair_reference(&p, tokens, n);
    struct fg_step_span piece = {.tokens = tokens, .n = n, .n_logits = n, .logits = got};

    assert_int_equal(bytes, (size_t)n * p.vocab * sizeof *want);
    assert_int_equal(fg_seq_create(p.engine, &seq, &err), 0);
    piece.seq = seq;
    if (fg_engine_step(p.engine, &piece, 1, &err))
        fail_msg("%s", err.text);
    error = fg_ref_nmse(got, want, (size_t)n * p.vocab);
    print_message("%s, %s KV: NMSE %.3g\n", name, kv == FG_KV_F16 ? "f16" : "f32", error);
    assert_true(error < limit);
    lab_equal(name, got, reference, (size_t)n * p.vocab);
    fg_seq_destroy(seq);
    free(tokens);
    free(want);
    free(got);
    free(reference);
    pair_finish(&p);
}

static void test_m1_a_f32(void **state)
{
    check_golden(*state, "m1-a", FG_KV_F32, 1e-10);
}

static void test_m1_a_f16(void **state)
{
    check_golden(*state, "m1-a", FG_KV_F16, 1e-5);
}

static void test_m1_b_f32(void **state)
{
    check_golden(*state, "m1-b", FG_KV_F32, 1e-10);
}

static void test_m1_b_f16(void **state)
{
    check_golden(*state, "m1-b", FG_KV_F16, 1e-5);
}

static void test_q35_a(void **state)
{
    check_golden(*state, "q35-a", FG_KV_F32, 1e-10);
    check_golden(*state, "q35-a", FG_KV_F16, 1e-6);
}

static void test_q35moe_b(void **state)
{
    check_golden(*state, "q35moe-b", FG_KV_F32, 1e-10);
    check_golden(*state, "q35moe-b", FG_KV_F16, 1e-6);
}

/* Biases, norms of heads, experts, and each kind of rotary scaling. */
static void test_plain_families(void **state)
{
    static const char *const names[] = {"qwen2-a",  "qwen3-a",   "qwen3moe-a",
                                        "llama-a",  "llama-b",   "minimax-m2-a",
                                        "gemma3-a", "gpt-oss-a", "lfm2-a"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_golden(*state, names[i], FG_KV_F32, 1e-10);
        check_golden(*state, names[i], FG_KV_F16, 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m1_a_f32),       cmocka_unit_test(test_m1_a_f16),
        cmocka_unit_test(test_m1_b_f32),       cmocka_unit_test(test_m1_b_f16),
        cmocka_unit_test(test_q35_a),          cmocka_unit_test(test_q35moe_b),
        cmocka_unit_test(test_plain_families),
    };

    return cmocka_run_group_tests(tests, pair_open_device, pair_close_device);
}
