/* What measures kernels: its own two shaders against C, and that each case is what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"
#include "tools/bench/kernel_bench.h"
#include "tiny_model.h"
#include "shaders/bench/params.h"

#include <stdlib.h>
#include <string.h>

/* --- copies --- */

enum { UNITS = 3 * 512, WORDS = UNITS * 4 };

static void test_copy(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 1;
    uint32_t words[WORDS];
    const char *name;
    uint32_t n = 0;

    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = lab_bits(&seed);
    struct fg_buffer *x = lab_buffer(lab, words, sizeof words);
    struct fg_buffer *y = lab_buffer(lab, NULL, sizeof words);
    for (; (name = lab_variant(lab, "bench_copy", sizeof words, n)); n++) {
        struct fg_buffer *const both[] = {x, y};
        struct fg_bench_copy_push push = {UNITS - 512, 0, 0xffffffffu};

        lab_wipe(y);
        lab_dispatch(lab, &(struct lab_dispatch){.shader = name,
                                                 .buffers = both,
                                                 .n = 2,
                                                 .push = &push,
                                                 .push_bytes = sizeof push,
                                                 .groups = {UNITS / 512, 1, 1}});
        lab_untouched(name, fg_buffer_map(y), WORDS);
        push.store = 1;
        lab_dispatch(lab, &(struct lab_dispatch){.shader = name,
                                                 .buffers = both,
                                                 .n = 2,
                                                 .push = &push,
                                                 .push_bytes = sizeof push,
                                                 .groups = {UNITS / 512, 1, 1}});
        lab_equal(name, fg_buffer_map(y), words, WORDS - 512 * 4);
        lab_untouched(name, (uint32_t *)fg_buffer_map(y) + WORDS - 512 * 4, 512 * 4);
    }
    assert_true(n >= 1);
    fg_buffer_destroy(x);
    fg_buffer_destroy(y);
}

/* Loads are not left out: where the words ask for it, they are written. */
static void test_loads_count(void **state)
{
    struct lab *lab = *state;
    struct fg_bench_copy_push push = {512, 0, 0x1234u};
    uint32_t words[2048] = {0};

    for (uint32_t k = 0; k < 4; k++)
        words[(3 * 64 + 5) * 4 + k] = 0x1234u; /* one of the eight that lane 5 loads */
    struct fg_buffer *both[] = {lab_buffer(lab, words, sizeof words),
                                lab_buffer(lab, NULL, sizeof words)};
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "bench_copy",
                                             .buffers = both,
                                             .n = 2,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {1, 1, 1}});
    const uint32_t *y = fg_buffer_map(both[1]);
    lab_untouched("before", y, 5 * 4);
    for (uint32_t k = 0; k < 4; k++)
        assert_int_equal(y[5 * 4 + k], 0x1234u);
    lab_untouched("behind", y + 6 * 4, 2048 - 6 * 4);
    fg_buffer_destroy(both[0]);
    fg_buffer_destroy(both[1]);
}

/* --- multiply and add --- */

static float sum4(const float *v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

static void test_madd(void **state)
{
    struct lab *lab = *state;
    struct fg_bench_madd_push push = {23, 0.7f, 0.3f};
    struct fg_buffer *y = lab_buffer(lab, NULL, 256 * 4);
    float want[256], v[16];

    for (int lane = 0; lane < 256; lane++) {
        for (int j = 0; j < 16; j++) {
            v[j] = (float)(lane % 64 + j);
            for (uint32_t i = 0; i < push.n; i++)
                v[j] = push.b + v[j] * push.a;
        }
        want[lane] = (sum4(v) + sum4(v + 4)) + (sum4(v + 8) + sum4(v + 12));
    }
    lab_dispatch(lab, &(struct lab_dispatch){.shader = "bench_madd",
                                             .buffers = &y,
                                             .n = 1,
                                             .push = &push,
                                             .push_bytes = sizeof push,
                                             .groups = {4, 1, 1}});
    lab_equal("multiply and add", fg_buffer_map(y), want, 256);
    fg_buffer_destroy(y);
}

/* --- cases --- */

static struct fg_kernel_bench *create(struct lab *lab, const struct fg_gguf *g)
{
    struct fg_kernel_bench_options opt = {
        .kv_type = FG_KV_F16, .reps = 2, .copies_bytes = 100000, .depths = {64, 128}};
    struct fg_kernel_bench *b;
    struct fg_err err;

    if (fg_kernel_bench_create(&opt, lab->device, g, &b, &err))
        fail_msg("%s", err.text);
    return b;
}

static struct fg_kernel_time run(struct fg_kernel_bench *b, const char *kernel, const char *shape)
{
    struct fg_kernel_time t;
    struct fg_err err;

    for (uint32_t i = 0; i < fg_kernel_bench_count(b); i++) {
        fg_kernel_bench_name(b, i, &t);
        if (strcmp(t.kernel, kernel) != 0 || strcmp(t.shape, shape) != 0)
            continue;
        if (fg_kernel_bench_run(b, i, &t, &err))
            fail_msg("%s", err.text);
        assert_true(t.seconds > 0);
        return t;
    }
    fail_msg("no case %s %s", kernel, shape);
    return t;
}

/* Every case of a small model runs. */
static struct fg_kernel_bench *run_all(struct lab *lab, struct tiny_model m, struct fg_gguf **g)
{
    struct gguf_writer *w = tiny_model_write(&m);
    struct fg_kernel_bench *b;
    struct fg_kernel_time t;
    struct fg_err err;

    if (gguf_writer_open(w, g, &err))
        fail_msg("%s", err.text);
    gguf_writer_destroy(w);
    b = create(lab, *g);
    for (uint32_t i = 0; i < fg_kernel_bench_count(b); i++) {
        if (fg_kernel_bench_run(b, i, &t, &err))
            fail_msg("%s, %s: %s", t.kernel, t.shape, err.text);
        assert_true(t.seconds > 0 && t.bytes > 0 && t.flops > 0);
    }
    return b;
}

/* Bytes and operations are those of the formulas. */
static void test_cases_of_a_model(void **state)
{
    struct fg_gguf *g;
    struct fg_kernel_bench *b = run_all(*state, tiny_minimax(), &g);
    struct fg_kernel_time t;

    t = run(b, "matmul attn_qkv", "F32 384x64, 64");
    assert_true(t.flops == 2.0 * 384 * 64 * 64);
    assert_true(t.bytes == 384 * 64 * 4 + 64 * 4 * (64 + 384));
    t = run(b, "matmul_moe ffn_gate_exps", "F32 4x96x64 top 2, 1");
    assert_true(t.flops == 2.0 * 2 * 96 * 64);
    assert_true(t.bytes == 2 * 96 * 64 * 4 + 4 * (64 + 2 * 96)); /* two experts, one row of x */
    t = run(b, "matmul_moe ffn_down_exps", "F32 4x64x96 top 2, 64");
    assert_true(t.bytes == 4 * 64 * 96 * 4 + 4 * 128 * (64 + 96)); /* all experts, a row a pair */
    t = run(b, "softmax attention", "4/2 heads x 32, 1 at 128");
    assert_true(t.flops == 4.0 * 128 * 129); /* its own key as well */
    assert_true(t.bytes == 3 * 2.0 * 2 * 32 * 64 * 2 + 2 * 128 * 4);
    t = run(b, "lightning", "4 heads x 32, 64 at 0");
    assert_true(t.bytes == 3.0 * 4 * 32 * 32 * 4 + 64 * 7 * 128 * 4);
    fg_kernel_bench_destroy(b);
    fg_gguf_close(g);
}

static void test_cases_of_qwen35(void **state)
{
    struct fg_gguf *g;
    struct fg_kernel_bench *b = run_all(*state, tiny_qwen35(), &g);
    struct fg_kernel_time t;

    t = run(b, "delta rule", "4/2 heads x 16, 64 at 0");
    assert_true(t.bytes == 3.0 * 4 * 16 * 16 * 4 + 4 * 64 * (200 + 128 + 2 * 64));
    t = run(b, "delta gate", "64, 64");
    assert_true(t.bytes == 3.0 * 64 * 64 * 4);
    fg_kernel_bench_destroy(b);
    fg_gguf_close(g);
}

static void test_built_in_shapes(void **state)
{
    struct lab *lab = *state;
    struct fg_kernel_bench *b = create(lab, NULL);
    struct fg_kernel_time t;
    uint32_t seen = 0;

    for (int i = 0; i < LAB_TYPES; i++) {
        char shape[64];

        snprintf(shape, sizeof shape, "%s 4096x4096, 1", fg_dtype_name(lab_types[i]));
        for (uint32_t j = 0; j < fg_kernel_bench_count(b); j++) {
            fg_kernel_bench_name(b, j, &t);
            seen += strcmp(t.shape, shape) == 0;
        }
    }
    assert_int_equal(seen, LAB_TYPES);
    t = run(b, "matmul", "Q4_0 4096x4096, 1");
    assert_true(t.bytes == 4096 * 4096 / 32 * 18 + 4 * 2 * 4096);
    fg_kernel_bench_destroy(b);
}

static void test_wrong_options(void **state)
{
    struct lab *lab = *state;
    struct fg_kernel_bench_options opt = {.reps = 1, .depths = {64, 100}};
    struct fg_kernel_bench *b;
    struct fg_err err;

    assert_int_equal(fg_kernel_bench_create(&opt, lab->device, NULL, &b, &err), FG_EINVAL);
    opt = (struct fg_kernel_bench_options){.reps = 0};
    assert_int_equal(fg_kernel_bench_create(&opt, lab->device, NULL, &b, &err), FG_EINVAL);
    assert_null(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_loads_count),
        cmocka_unit_test(test_madd),
        cmocka_unit_test(test_cases_of_a_model),
        cmocka_unit_test(test_cases_of_qwen35),
        cmocka_unit_test(test_built_in_shapes),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
