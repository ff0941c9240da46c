/* Dense matrix products in the types with high bits, tables and scales of scales, in every variant
 * of the shader, against C; and matrices of every type split over several bindings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "problem.h"

#include <stdlib.h>
#include <string.h>

/* Blocks of 32: high bits and scales of a last group that is not full. */
static void check_32(struct lab *lab, enum fg_dtype type)
{
    static const uint32_t rows[] = {1, 33, 200}, ks[] = {32, 96, 352, 992};

    problem_check_type(lab, type, rows, 3, ks, 4);
}

/* Blocks of 256: up to 9 of them, so that the d of more than one group are looked at. */
static void check_256(struct lab *lab, enum fg_dtype type)
{
    static const uint32_t rows[] = {1, 33, 200}, ks[] = {256, 768, 2304};

    if (lab_few_shapes(type)) {
        problem_check_type(lab, type, rows + 1, 1, ks + 2, 1);
        return;
    }
    problem_check_type(lab, type, rows, 2, ks, 3);
    problem_check_type(lab, type, rows + 2, 1, ks + 1, 1);
}

static void test_q5(void **state)
{
    check_32(*state, FG_Q5_0);
    check_32(*state, FG_Q5_1);
}

static void test_iq4_nl(void **state)
{
    check_32(*state, FG_IQ4_NL);
}

static void test_mxfp4(void **state)
{
    check_32(*state, FG_MXFP4);
}

static void test_nvfp4(void **state)
{
    static const uint32_t rows = 33, k = 832; /* 26 blocks: of the last group two */

    problem_check_type(*state, FG_NVFP4, &rows, 1, &k, 1);
}

static void test_q2_k(void **state)
{
    check_256(*state, FG_Q2_K);
}

static void test_q3_k(void **state)
{
    check_256(*state, FG_Q3_K);
}

static void test_q4_k(void **state)
{
    check_256(*state, FG_Q4_K);
}

static void test_q5_k(void **state)
{
    check_256(*state, FG_Q5_K);
}

static void test_q6_k(void **state)
{
    check_256(*state, FG_Q6_K);
}

static void test_iq4_xs(void **state)
{
    check_256(*state, FG_IQ4_XS);
}

static void test_tq(void **state)
{
    check_256(*state, FG_TQ1_0);
    check_256(*state, FG_TQ2_0);
}

static void test_iq1(void **state)
{
    check_256(*state, FG_IQ1_S);
    check_256(*state, FG_IQ1_M);
}

static void test_iq2(void **state)
{
    check_256(*state, FG_IQ2_XXS);
    check_256(*state, FG_IQ2_XS);
    check_256(*state, FG_IQ2_S);
}

static void test_iq3(void **state)
{
    check_256(*state, FG_IQ3_XXS);
    check_256(*state, FG_IQ3_S);
}

/* Matrices whose rows do not fit one binding: 2 tiles a part, the last part ragged. */
static void test_split_rows(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 11;

    for (int i = 0; i < LAB_TYPES; i++) {
        enum fg_dtype type = lab_types[i];
        uint32_t k = fg_round_up(352, fg_dtype_block_elems(type));
        uint64_t range, tile = lab_tile_bytes(type, k), grid = lab_grid_bytes(type);
        struct problem p;
        struct variants v;

        problem_init(&p, lab, type, 200, k, &seed);
        range = lab_set_storage_range(lab, grid + 3 * tile - 16);
        lab_upload(lab,
                   &(struct lab_weights){.type = type, .rows = p.raw, .k = p.k, .n_rows = p.rows},
                   &p.m);
        lab_set_storage_range(lab, range);
        assert_int_equal(p.m.n_parts, 4);
        assert_int_equal(p.m.parts[3].row0, 192);
        assert_int_equal(p.m.parts[3].n_rows, 8);
        assert_int_equal(fg_buffer_bytes(p.m.parts[0].buffer), grid + 2 * tile);
        variants_init(&v, lab, type, false, 1 << 20);
        for (uint32_t j = 0; j < v.n; j++)
            problem_check(&p, lab, &v.list[j], j % 2, COUNTS - 1);
        problem_finish(&p);
        /* Not even one tile fits. */
        struct fg_err err;
        void *raw = lab_rows(&seed, type, 32, k);
        struct fg_tensor t = {
            .name = {"large", 5}, .type = type, .n_dims = 2, .ne = {k, 32, 1, 1}, .data = raw};
        const struct fg_matrix_source from = {.t = {&t}, .n = 1};

        lab_set_storage_range(lab, grid + tile - 1);
        assert_int_equal(fg_matrix_init(&p.m, lab->uploader, &from, &err), FG_EUNSUPPORTED);
        lab_set_storage_range(lab, range);
        assert_non_null(strstr(err.text, "large"));
        free(raw);
    }
    problem_reset(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_q5),         cmocka_unit_test(test_iq4_nl),
        cmocka_unit_test(test_mxfp4),      cmocka_unit_test(test_q2_k),
        cmocka_unit_test(test_q3_k),       cmocka_unit_test(test_q4_k),
        cmocka_unit_test(test_q5_k),       cmocka_unit_test(test_q6_k),
        cmocka_unit_test(test_iq4_xs),     cmocka_unit_test(test_nvfp4),
        cmocka_unit_test(test_tq),         cmocka_unit_test(test_iq1),
        cmocka_unit_test(test_iq2),        cmocka_unit_test(test_iq3),
        cmocka_unit_test(test_split_rows),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
