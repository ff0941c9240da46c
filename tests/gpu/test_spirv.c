/* What shaders take, read from their SPIR-V: of all embedded ones it is what the recording code
 * binds; damaged SPIR-V is refused and nothing beyond it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gpu/vk_program.h"

/* By the part of the name before the first '.': plain, and with ".tex" or ".heads". */
static const struct {
    const char *base, *plain, *other;
    uint32_t push_bytes[2]; /* of both; the second 0: the same */
} known[] = {
    {"repack", "ss", "", {44}},
    {"embed", "sss", "", {32}},
    {"rmsnorm", "ssss", "", {28}},
    {"quantize", "ss", "", {12}},
    {"matmul", "ssss", "ufss", {52}},
    {"matmul_moe", "ssssss", "ufssss", {52}},
    {"rope_kv", "ssssss", "ssssssss", {32, 48}},
    {"softmax_attend", "ssssssss", "fussssss", {48}},
    {"softmax_combine", "ssss", "", {28}},
    {"lightning_rows", "sssss", "", {20}},
    {"lightning_attend", "sssssss", "ffffsss", {20}},
    {"lightning_fold", "sssss", "ffsss", {20}},
    {"lightning_gate", "ssss", "", {28}},
    {"delta_rows", "sssssss", "", {32}},
    {"delta_gates", "ssssss", "", {32}},
    {"delta_system", "ssssss", "fssfss", {32}},
    {"delta_solve", "sssss", "", {32}},
    {"delta_attend", "sssssss", "ffffsss", {32}},
    {"delta_fold", "sssss", "ffsss", {32}},
    {"delta_tail", "sss", "", {32}},
    {"delta_gate", "ssss", "", {32}},
    {"head_gate", "ss", "", {16}},
    {"row_gate", "ss", "", {12}},
    {"bias", "ss", "sss", {12}},
    {"best", "ss", "", {20}},
    {"moe_route", "sssss", "ssssss", {16}},
    {"moe_group", "sss", "", {12}},
    {"moe_combine_norm", "sssss", "", {28}},
    {"moe_combine", "ssss", "", {28}},
    {"swiglu", "ss", "", {12}},
    {"bench_copy", "ss", "us", {12}},
    {"bench_madd", "s", "", {12}},
    {"self_test_canon", "ss", "", {4}},
    {"self_test_half", "s", "", {0}},
};

static void test_embedded(void **state)
{
    uint32_t seen = 0;

    (void)state;
    for (const struct fg_shader *s = fg_shaders; s->name; s++) {
        struct fg_signature got;
        struct fg_err err;

        if (fg_spirv_signature(s->code, s->code_bytes / 4, &got, &err))
            fail_msg("%s: %s", s->name, err.text);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            size_t n = strcspn(s->name, ".");
            if (strlen(known[i].base) != n || memcmp(known[i].base, s->name, n))
                continue;
            bool other = strstr(s->name, ".tex") || strstr(s->name, ".heads") ||
                         strstr(s->name, ".experts") || strstr(s->name, ".biased");
            const char *want = other ? known[i].other : known[i].plain;
            uint32_t bytes = known[i].push_bytes[other && known[i].push_bytes[1]];

            if (strcmp(got.kinds, want) || got.push_bytes != bytes || got.n_binds != strlen(want))
                fail_msg("%s: %s and %u bytes, not %s and %u", s->name, got.kinds, got.push_bytes,
                         want, bytes);
            seen++;
        }
    }
    assert_true(seen > 400);
}

/* Cut short anywhere, and with each word in turn made something else: refused or read, within its
 * bounds, which a copy at the end of its own allocation shows to the sanitizers. */
static void test_damaged(void **state)
{
    const struct fg_shader *s = fg_shader_find("matmul.q8_0.r4t1.tex");
    size_t words = s->code_bytes / 4;
    struct fg_signature got;
    struct fg_err err;

    (void)state;
    assert_int_equal(fg_spirv_signature(s->code, 4, &got, &err), FG_EFORMAT);
    assert_int_equal(fg_spirv_signature(s->code, 0, &got, &err), FG_EFORMAT);
    for (size_t n = 5; n < words; n += n < 600 ? 1 : 97) {
        uint32_t *cut = malloc(n * 4);
        assert_non_null(cut);
        memcpy(cut, s->code, n * 4);
        int rc = fg_spirv_signature(cut, n, &got, &err);
        assert_true(rc == 0 || rc == FG_EFORMAT);
        assert_true(got.n_binds <= FG_BIND_MAX);
        free(cut);
    }
    uint32_t *all = malloc(words * 4);
    assert_non_null(all);
    for (size_t i = 0; i < words; i += i < 900 ? 1 : 89) {
        const uint32_t wrong[] = {0, 1, UINT32_MAX, s->code[i] ^ 0x10000, s->code[i] + 1};
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            memcpy(all, s->code, words * 4);
            all[i] = wrong[w];
            int rc = fg_spirv_signature(all, words, &got, &err);
            assert_true(rc == 0 || rc == FG_EFORMAT);
        }
    }
    free(all);
}

/* A hand-written module: %1 = void's place, %2 float, %3 struct, %4 pointer, %5 variable. */
static int small(uint32_t binding, uint32_t set, uint32_t storage, struct fg_signature *got,
                 struct fg_err *err)
{
    const uint32_t code[] = {
        0x07230203,    0x00010300, 0,       8,       0, /* header: 8 ids */
        4u << 16 | 71, 5,          33,      binding,    /* OpDecorate %5 Binding */
        4u << 16 | 71, 5,          34,      set,        /* OpDecorate %5 DescriptorSet */
        3u << 16 | 22, 2,          32,                  /* %2 = OpTypeFloat 32 */
        3u << 16 | 30, 3,          2,                   /* %3 = OpTypeStruct %2 */
        4u << 16 | 32, 4,          storage, 3,          /* %4 = OpTypePointer storage %3 */
        4u << 16 | 59, 4,          5,       storage,    /* %5 = OpVariable %4 storage */
    };
    return fg_spirv_signature(code, sizeof code / 4, got, err);
}

static void test_refused(void **state)
{
    struct fg_signature got;
    struct fg_err err;

    (void)state;
    assert_int_equal(small(0, 0, 12, &got, &err), 0);
    assert_string_equal(got.kinds, "s");
    assert_int_equal(small(1, 0, 12, &got, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "binding 1, but none 0"));
    assert_int_equal(small(8, 0, 12, &got, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "binding 8 of set 0"));
    assert_int_equal(small(0, 1, 12, &got, &err), FG_EFORMAT);
    assert_non_null(strstr(err.text, "of set 1"));
    assert_int_equal(small(0, 0, 0, &got, &err), FG_EFORMAT); /* a struct is no texel buffer */
    assert_int_equal(small(0, 0, 9, &got, &err), FG_EFORMAT); /* its member has no offset */
    assert_non_null(strstr(err.text, "push constants"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
