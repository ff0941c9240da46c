/* The plain C model against logits of the models' published implementations, and its operations
 * against double where those models are too small to reach them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canon.h"
#include "model.h"
#include "ops.h"
#include "tables.h"

static void *read_file(const char *name, size_t *bytes)
{
    char path[1024];
    FILE *f;
    long n;
    void *data;

    snprintf(path, sizeof path, "%s/%s", FG_TEST_VECTORS, name);
    f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    assert_true(n > 0);
    rewind(f);
    data = malloc((size_t)n);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    fclose(f);
    *bytes = (size_t)n;
    return data;
}

/* A golden model: its file, tokens and wanted logits. */
struct golden {
    struct fg_gguf *g;
    int32_t *tokens;
    float *want, *got;
    uint32_t n, vocab;
};

static struct golden golden_open(const char *name)
{
    struct golden v = {0};
    char file[1100];
    struct fg_err err;
    size_t bytes;

    snprintf(file, sizeof file, "%s/%s.gguf", FG_TEST_VECTORS, name);
    if (fg_gguf_open(file, &v.g, &err))
        fail_msg("%s", err.text);
    snprintf(file, sizeof file, "%s.tokens.i32", name);
    v.tokens = read_file(file, &bytes);
    v.n = (uint32_t)(bytes / sizeof *v.tokens);
    snprintf(file, sizeof file, "%s.logits.f32", name);
    v.want = read_file(file, &bytes);
    v.vocab = (uint32_t)(bytes / sizeof *v.want / v.n);
    assert_int_equal(bytes, (size_t)v.n * v.vocab * sizeof *v.want);
    v.got = malloc(bytes);
    assert_non_null(v.got);
    return v;
}

static void golden_close(struct golden *v)
{
    fg_gguf_close(v->g);
    free(v->tokens);
    free(v->want);
    free(v->got);
}

static struct fg_ref_model *model_of(const struct fg_gguf *g, enum fg_kv_type kv)
{
    struct fg_ref_model *m;
    struct fg_err err;

    if (fg_ref_model_create(g, NULL, kv, false, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

static void feed(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits)
{
    struct fg_err err;

    if (fg_ref_model_feed(m, tokens, n, logits, logits ? n : 0, &err))
        fail_msg("%s", err.text);
}

static uint64_t fnv1a(const float *values, size_t n)
{
    const unsigned char *p = (const unsigned char *)values;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n * sizeof *values; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* The hashes hold the order of every operation: when one changes on purpose, so does the kernel
 * order version, and with it every numerics id. */
static void check_golden(const char *name, enum fg_kv_type kv, double limit, uint64_t hash)
{
    struct golden v = golden_open(name);
    struct fg_ref_model *m = model_of(v.g, kv);
    double error;

    assert_int_equal(fg_ref_model_hparams(m)->n_vocab, v.vocab);
    feed(m, v.tokens, v.n, v.got);
    error = fg_ref_nmse(v.got, v.want, (size_t)v.n * v.vocab);
    print_message("%s, %s KV: NMSE %.3g, bits %016llx\n", name, kv == FG_KV_F16 ? "f16" : "f32",
                  error, (unsigned long long)fnv1a(v.got, (size_t)v.n * v.vocab));
    assert_true(error < limit);
    assert_int_equal(fnv1a(v.got, (size_t)v.n * v.vocab), hash);
    fg_ref_model_destroy(m);
    golden_close(&v);
}

static void test_m1_a_f32(void **state)
{
    (void)state;
    check_golden("m1-a", FG_KV_F32, 1e-10, 0x736c3af8da029c53);
}

static void test_m1_a_f16(void **state)
{
    (void)state;
    check_golden("m1-a", FG_KV_F16, 1e-5, 0xdda5fff9df5b6601);
}

static void test_m1_b_f32(void **state)
{
    (void)state;
    check_golden("m1-b", FG_KV_F32, 1e-10, 0x0879cfec2d610889);
}

static void test_m1_b_f16(void **state)
{
    (void)state;
    check_golden("m1-b", FG_KV_F16, 1e-5, 0x6ef20fd71e3de128);
}

static void test_q35_a(void **state)
{
    (void)state;
    check_golden("q35-a", FG_KV_F32, 1e-10, 0xc77c67569dd94b72);
    check_golden("q35-a", FG_KV_F16, 1e-6, 0xa551be8478028d55);
}

static void test_q35moe_b(void **state)
{
    (void)state;
    check_golden("q35moe-b", FG_KV_F32, 1e-10, 0xb88e7cca5e39f9d2);
    check_golden("q35moe-b", FG_KV_F16, 1e-6, 0x03a13b0581a3057c);
}

static void test_plain_families(void **state)
{
    static const struct {
        const char *name;
        uint64_t f32, f16;
    } rows[] = {
        {"qwen2-a", 0x9635698ec0290375, 0xadb458b09b2d3783},
        {"qwen3-a", 0xa298d4670d513c39, 0xf17d0d904099d7f8},
        {"qwen3moe-a", 0xe040a62d0431402d, 0xebac0ea09596688e},
        {"llama-a", 0xcfc301f01c13c129, 0x9822c85a50d77bb9},
        {"llama-b", 0xee666d2dc7b593b4, 0x9f053558c467b174},
        {"minimax-m2-a", 0xcfd1e20cc8206b58, 0xd4c6d99eb2a048da},
        {"gemma3-a", 0x330b68845776268d, 0x3d32545d2938ddb6},
        {"lfm2-a", 0xfc0e70a7f09088f8, 0xb0aaa2468cc954bb},
        {"gpt-oss-a", 0xa48a7cc945daaaa8, 0x878f2a7365b226ea},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_golden(rows[i].name, FG_KV_F32, 1e-10, rows[i].f32);
        check_golden(rows[i].name, FG_KV_F16, 1e-6, rows[i].f16);
    }
}

/* Tokens in pieces, and after a reset, give the bits of all at once. */
static void test_pieces(void **state)
{
    static const uint32_t pieces[] = {1, 1, 61, 3, 64, 20};
    struct golden v = golden_open("m1-b");
    struct fg_ref_model *m = model_of(v.g, FG_KV_F16);
    size_t bytes = (size_t)v.n * v.vocab * sizeof(float);
    float *other = malloc(bytes);
    uint32_t at = 0;

    (void)state;
    assert_non_null(other);
    assert_int_equal(v.n, 150);
    feed(m, v.tokens, v.n, v.got);
    fg_ref_model_reset(m);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        feed(m, v.tokens + at, pieces[i], other + (size_t)at * v.vocab);
        at += pieces[i];
    }
    assert_int_equal(at, v.n);
    assert_int_equal(fg_ref_model_length(m), v.n);
    assert_memory_equal(other, v.got, bytes);
    /* Fewer logits than tokens: the last ones. */
    fg_ref_model_reset(m);
    assert_int_equal(fg_ref_model_feed(m, v.tokens, v.n, other, 90, NULL), 0);
    assert_memory_equal(other, v.got + (size_t)(v.n - 90) * v.vocab,
                        (size_t)90 * v.vocab * sizeof(float));
    free(other);
    fg_ref_model_destroy(m);
    golden_close(&v);
}

static void test_refusals(void **state)
{
    struct golden v = golden_open("m1-b");
    struct fg_ref_model *m = model_of(v.g, FG_KV_F32);
    int32_t past = (int32_t)v.vocab, below = -1;
    struct fg_err err;

    (void)state;
    assert_int_equal(fg_ref_model_feed(m, &past, 1, v.got, 1, &err), FG_EINVAL);
    assert_string_equal(err.text, "token 0 is 320, it must be 0 to 319");
    assert_int_equal(fg_ref_model_feed(m, &below, 1, v.got, 1, &err), FG_EINVAL);
    assert_int_equal(fg_ref_model_feed(m, v.tokens, 1, v.got, 2, &err), FG_EINVAL);
    assert_int_equal(fg_ref_model_length(m), 0);
    fg_ref_model_destroy(m);
    golden_close(&v);
}

/* --- what the golden models are too small for, against plain double --- */

/* Deterministic values in -1..1. */
static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-23f - 1.0f;
}

enum { D = 24, KEYS = 1700, KV_HEADS = 2 };

static double dot_double(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* What attention is in double, of keys that are all before the end. */
static void attend_double(const float *q, const struct fg_ref_keys *keys,
                          const struct fg_ref_attention *how, double *o)
{
    size_t from = how->window && how->window < keys->n ? keys->n - how->window : 0;
    double l = how->sink ? exp(*how->sink) : 0;

    memset(o, 0, D * sizeof *o);
    for (size_t j = from; j < keys->n; j++) {
        double p = exp(how->scale * dot_double(q, keys->k + j * keys->ld, D));

        l += p;
        for (size_t i = 0; i < D; i++)
            o[i] += p * keys->v[j * keys->ld + i];
    }
    for (size_t i = 0; i < D; i++)
        o[i] /= l;
}

/* Keys that end inside, at and after tiles and segments, all or those of a window, with a sink and
 * without. */
static void test_long_softmax(void **state)
{
    static const size_t counts[] = {1, 63, 64, 65, 511, 512, 513, 1024, 1025, KEYS};
    static const size_t windows[] = {0, 1, 64, 100, 512, 1000, 5000};
    static float k[KEYS * KV_HEADS * D], v[KEYS * KV_HEADS * D];
    float q[D], o[D];
    double want[D];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < D; i++)
        q[i] = 4 * noise(&seed);
    for (size_t i = 0; i < sizeof k / sizeof k[0]; i++) {
        k[i] = noise(&seed);
        v[i] = noise(&seed);
    }
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t w = 0; w < 2 * sizeof windows / sizeof windows[0]; w++) {
            const float sink = 6 * noise(&seed);
            const struct fg_ref_keys keys = {k + D, v + D, KV_HEADS * D, counts[c]};
            const struct fg_ref_attention how = {D, 0.5f, windows[w / 2], w % 2 ? &sink : NULL};

            fg_ref_attend(q, &keys, &how, o);
            attend_double(q, &keys, &how, want);
            for (size_t i = 0; i < D; i++)
                assert_true(fabs(o[i] - want[i]) < 1e-6);
        }
}

/* gelu by tanh, of what is near 0 and of what is not. */
static void test_gelu(void **state)
{
    uint32_t seed = 4;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        float x = noise(&seed) * (i % 2 ? 30.0f : 2.0f);
        double z = 0.7978845608028654 * (x + 0.044715 * pow(x, 3));

        /* Where x is negative, the exponential of a large number has few correct digits. */
        assert_true(fabs(fg_ref_gelu(x) - 0.5 * x * (1 + tanh(z))) < 5e-7 * fmax(1, fabs(x)));
    }
    assert_true(fg_ref_gelu(0) == 0 && fg_ref_gelu(100) == 100);
}

/* ln(1 + e^x), relatively, from where it is e^x to where it is x. */
static void test_softplus(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        float x = noise(&seed) * (i % 2 ? 86.0f : 4.0f);
        double want = x > 0 ? x + log1p(exp(-(double)x)) : log1p(exp((double)x));

        assert_true(fabs(fg_ref_softplus(x) - want) < 4e-7 * want);
    }
    assert_true(fg_ref_softplus(-90) == 0 && fg_ref_softplus(200) == 200);
}

/* The slopes of 12 heads: those of 8, then every other one of 16. */
static void test_slopes(void **state)
{
    (void)state;
    assert_true(fg_ref_slope(0, 8, 0, 4) == 0.5 * (1.0 + 1e-5));
    assert_true(fg_ref_slope(7, 12, 3, 4) == exp2(-8) * 1e-5);
    assert_true(fg_ref_slope(8, 12, 0, 4) == exp2(-0.5) * (1.0 + 1e-5));
    assert_true(fg_ref_slope(11, 12, 0, 4) == exp2(-3.5) * (1.0 + 1e-5));
    assert_true(fg_ref_slope(2, 3, 0, 1) == exp2(-2) * (1.0 + 1e-5));
}

/* --- SmolLM2 --- */

static int32_t *ids_of(const json_t *list, uint32_t *n)
{
    int32_t *ids;

    assert_true(json_is_array(list));
    *n = (uint32_t)json_array_size(list);
    ids = malloc(*n * sizeof *ids + 1);
    assert_non_null(ids);
    for (uint32_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

struct deviation {
    double top, logsumexp, greedy; /* the greatest seen */
    uint32_t other_greedy;         /* positions where another token is the greatest */
};

static double logsumexp(const float *x, uint32_t n)
{
    double sum = 0, max = x[0];

    for (uint32_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (uint32_t i = 0; i < n; i++)
        sum += exp(x[i] - max);
    return max + log(sum);
}

static void check_prompt(struct fg_ref_model *m, const json_t *entry, struct deviation *dev)
{
    uint32_t vocab = fg_ref_model_hparams(m)->n_vocab, n, n_greedy;
    int32_t *ids = ids_of(json_object_get(entry, "ids"), &n);
    int32_t *greedy = ids_of(json_object_get(entry, "greedy"), &n_greedy);
    float *logits = malloc(((size_t)n + n_greedy) * vocab * sizeof *logits);

    assert_non_null(logits);
    fg_ref_model_reset(m);
    feed(m, ids, n, logits);
    feed(m, greedy, n_greedy, logits + (size_t)n * vocab);
    for (uint32_t t = 0; t < n; t++) {
        const float *row = logits + (size_t)t * vocab;
        const json_t *top = json_array_get(json_object_get(entry, "top"), t);
        double lse = json_number_value(json_array_get(json_object_get(entry, "logsumexp"), t));

        assert_int_equal(json_array_size(top), 20);
        for (size_t i = 0; i < 20; i++) {
            const json_t *pair = json_array_get(top, i);
            json_int_t id = json_integer_value(json_array_get(pair, 0));

            assert_in_range(id, 0, vocab - 1);
            dev->top = fmax(dev->top, fabs(row[id] - json_number_value(json_array_get(pair, 1))));
        }
        dev->logsumexp = fmax(dev->logsumexp, fabs(logsumexp(row, vocab) - lse));
    }
    for (uint32_t t = 0; t < n_greedy; t++) {
        const float *row = logits + (size_t)(n - 1 + t) * vocab;
        uint32_t best = 0;

        for (uint32_t i = 1; i < vocab; i++)
            best = row[i] > row[best] ? i : best;
        dev->other_greedy += best != (uint32_t)greedy[t];
        dev->greedy = fmax(dev->greedy, (double)row[best] - row[greedy[t]]);
    }
    free(logits);
    free(ids);
    free(greedy);
}

static void check_smollm2(enum fg_kv_type kv, double limit)
{
    const char *path = getenv("FG_TEST_SMOLLM2");
    struct deviation dev = {0};
    struct fg_ref_model *m;
    struct fg_gguf *g;
    struct fg_err err;
    size_t bytes;
    char *text;
    json_t *all;

    if (!path || !*path) {
        print_message("SKIPPED: FG_TEST_SMOLLM2 is not set to SmolLM2-135M-Instruct.Q4_1.gguf\n");
        skip();
    }
    if (fg_gguf_open(path, &g, &err))
        fail_msg("%s", err.text);
    text = read_file("smollm2.json", &bytes);
    all = json_loadb(text, bytes, 0, NULL);
    assert_true(json_array_size(all) > 0);
    m = model_of(g, kv);
    for (size_t i = 0; i < json_array_size(all); i++)
        check_prompt(m, json_array_get(all, i), &dev);
    print_message("SmolLM2, %s KV: 20 best logits within %.4f, logsumexp within %.4f, "
                  "%u other greedy tokens, by %.4f at most\n",
                  kv == FG_KV_F16 ? "f16" : "f32", dev.top, dev.logsumexp, dev.other_greedy,
                  dev.greedy);
    assert_true(dev.top < limit);
    assert_true(dev.logsumexp < limit);
    assert_true(dev.greedy < limit);
    fg_ref_model_destroy(m);
    json_decref(all);
    free(text);
    fg_gguf_close(g);
}

static void test_smollm2_f32(void **state)
{
    (void)state;
    check_smollm2(FG_KV_F32, 0.005);
}

static void test_smollm2_f16(void **state)
{
    (void)state;
    check_smollm2(FG_KV_F16, 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m1_a_f32),       cmocka_unit_test(test_m1_a_f16),
        cmocka_unit_test(test_m1_b_f32),       cmocka_unit_test(test_m1_b_f16),
        cmocka_unit_test(test_q35_a),          cmocka_unit_test(test_q35moe_b),
        cmocka_unit_test(test_plain_families), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_softplus),
        cmocka_unit_test(test_gelu),           cmocka_unit_test(test_long_softmax),
        cmocka_unit_test(test_slopes),         cmocka_unit_test(test_smollm2_f32),
        cmocka_unit_test(test_smollm2_f16),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
