/* Gated matrices, two in one, against C: silu of the first one's product times the second one's, in
 * every variant of the shader, whole and split over several bindings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "problem.h"

#include <stdlib.h>

/* Tiles have 16 rows of each. */
static const uint32_t all_rows[] = {1, 15, 16, 17, 33, 100};
static const uint32_t all_ks[] = {32, 160, 352};

static void check_shape(struct lab *lab, enum fg_dtype type, uint32_t rows, uint32_t k,
                        const struct variants *v, uint64_t *seed)
{
    struct problem p;
    uint64_t range, grid = lab_grid_bytes(type);
    void *second;

    problem_init(&p, lab, type, rows, k, seed);
    second = problem_gate(&p, lab, seed);
    lab_upload(lab,
               &(struct lab_weights){
                   .type = type, .rows = p.raw, .second = second, .k = k, .n_rows = rows},
               &p.m);
    assert_int_equal(p.m.n_parts, 1);
    assert_int_equal(p.m.bytes, grid + (rows + 15) / 16 * lab_tile_bytes(type, k));
    for (uint32_t i = 0; i < v->n; i++)
        problem_check(&p, lab, &v->list[i], false, i % 5 == 0 ? COUNTS - 1 : COUNTS - 2);
    fg_matrix_finish(&p.m);

    /* Three tiles to a part. */
    if (lab_tile_bytes(type, k) * 3 >= 8192 && rows > 48) {
        range = lab_set_storage_range(lab, grid + lab_tile_bytes(type, k) * 4 - 1);
        lab_upload(lab,
                   &(struct lab_weights){
                       .type = type, .rows = p.raw, .second = second, .k = k, .n_rows = rows},
                   &p.m);
        lab_set_storage_range(lab, range);
        assert_int_equal(p.m.n_parts, (rows + 47) / 48);
        assert_int_equal(p.m.parts[1].row0, 48);
        for (uint32_t i = 0; i < v->n; i++)
            problem_check(&p, lab, &v->list[i], false, 2);
    }
    problem_finish(&p);
    free(second);
}

/* Every variant of one type; of the others, whose expansion test_matmul has seen in all of them,
 * some. */
static void check_all(struct lab *lab)
{
    for (int i = 0; i < LAB_TYPES; i++) {
        enum fg_dtype type = lab_types[i];
        uint64_t seed = 300 + (uint64_t)type;
        struct variants v;

        variants_init(&v, lab, type, false, 1 << 20);
        if (lab_few_shapes(type)) {
            variants_thin(&v, type, 8);
            check_shape(lab, type, 100, 512, &v, &seed);
            continue;
        }
        variants_keep(&v, type == FG_Q4_1 ? 1 : 4);
        for (size_t r = 0; r < sizeof all_rows / sizeof *all_rows; r++)
            for (size_t k = 0; k < sizeof all_ks / sizeof *all_ks; k++)
                check_shape(lab, type, all_rows[r],
                            fg_round_up(all_ks[k], fg_dtype_block_elems(type)), &v, &seed);
    }
    problem_reset(lab);
}

static void test_exact(void **state)
{
    check_all(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
    };

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
