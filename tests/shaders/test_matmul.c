/* Dense matrix products in the plain and the oldest quantized types, in every variant of the
 * shader, against C.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/matmul.h"

#include "problem.h"

#include <stdio.h>
#include <string.h>

static const uint32_t all_rows[] = {1, 31, 33, 200};
static const uint32_t all_ks[] = {31, 32, 64, 65, 96, 160, 352, 1000};

static void check_type(struct lab *lab, enum fg_dtype type)
{
    problem_check_type(lab, type, all_rows, 4, all_ks, 8);
}

static void test_f32(void **state)
{
    check_type(*state, FG_F32);
}

/* The integer expansion of f16, and where the device's own is exact, that one. */
static void test_f16(void **state)
{
    struct lab *lab = *state;
    uint32_t native = lab->ops.native_f16;

    check_type(lab, FG_F16);
    if (native) {
        struct problem p;
        struct variants v;
        uint64_t seed = 7;

        variants_init(&v, lab, FG_F16, false, 1 << 20);
        problem_init(&p, lab, FG_F16, 65, 200, &seed);
        lab_upload(lab,
                   &(struct lab_weights){.type = FG_F16, .rows = p.raw, .k = p.k, .n_rows = p.rows},
                   &p.m);
        lab->ops.native_f16 = 0;
        for (uint32_t i = 0; i < v.n; i += 3)
            problem_check(&p, lab, &v.list[i], i % 2, COUNTS);
        problem_finish(&p);
        problem_reset(lab);
    }
}

static void test_bf16(void **state)
{
    check_type(*state, FG_BF16);
}

static void test_q8_0(void **state)
{
    check_type(*state, FG_Q8_0);
}

static void test_q4_0(void **state)
{
    check_type(*state, FG_Q4_0);
}

static void test_q4_1(void **state)
{
    check_type(*state, FG_Q4_1);
}

/* Whatever a device offers, the kernels that it gets are there, for every type. */
static void test_every_device_has_kernels(void **state)
{
    static const char *const types[] = {"cpu", "discrete"};
    static const char *const bases[] = {"matmul", "matmul_moe"};
    static const uint32_t subgroups[] = {1, 2, 4, 8, 16, 32, 64};
    struct fg_device_info d = {.max_storage_range = 128 << 20};
    (void)state;

    for (uint32_t i = 0; i < 2 * 2 * 2 * 2 * 7 * FG_NUMERICS_COUNT; i++) {
        enum fg_numerics mode = (enum fg_numerics)(i / (2 * 2 * 2 * 2 * 7));
        const char *variant = mode == FG_NUMERICS_FUSED ? ".fma" : "";
        struct fg_tiling tilings[2];
        struct fg_usual_tilings usual;
        char name[FG_KERNEL_NAME];

        snprintf(d.type, sizeof d.type, "%s", types[i % 2]);
        d.subgroup_ballot = i / 2 % 2;
        d.max_texel_elements = i / 4 % 2 ? 65536 : 128 << 20;
        d.max_workgroup_threads = i / 8 % 2 ? 128 : 1024;
        d.subgroup_size = subgroups[i / 16 % 7];
        usual = fg_tilings(&d, mode);
        tilings[0] = usual.one;
        tilings[1] = usual.many;
        for (int k = 0; k < 2; k++) {
            assert_true(tilings[k].lanes * tilings[k].slices <= d.max_workgroup_threads);
            for (int t = 0; t < 2 * LAB_TYPES; t++) {
                fg_matmul_name(name, bases[t % 2], lab_types[t / 2], &tilings[k], variant);
                if (!lab_is_shader(name))
                    fail_msg("%s, subgroups of %u, ballot %d: no shader %s", d.type,
                             d.subgroup_size, d.subgroup_ballot, name);
            }
        }
        snprintf(name, sizeof name, "softmax_attend.f16.t1.sg%u.tex", usual.attend_spread);
        assert_true(usual.attend_spread == 0 || lab_is_shader(name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_device_has_kernels),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_q8_0),
        cmocka_unit_test(test_q4_0),
        cmocka_unit_test(test_q4_1),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
