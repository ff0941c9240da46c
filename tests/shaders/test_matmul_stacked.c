/* Several tensors as one matrix, rows below each other, against C: whole and split over bindings,
 * at the tensors' borders and within them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "problem.h"

enum { K = 512, TENSORS = 3 };
static const uint32_t all_rows[][TENSORS] = {{32, 32, 1}, {64, 32, 40}, {96, 64, 64}};

static void upload(struct lab *lab, struct problem *p, const uint32_t rows[TENSORS])
{
    uint64_t row_bytes = fg_dtype_row_bytes(p->type, p->k);
    struct fg_matrix_source from = {.n = TENSORS};
    const uint8_t *data = p->raw;
    struct fg_tensor t[TENSORS];
    struct fg_err err;

    for (int i = 0; i < TENSORS; i++) {
        t[i] = (struct fg_tensor){.name = {"a test's", 8},
                                  .type = p->type,
                                  .n_dims = 2,
                                  .ne = {p->k, rows[i], 1, 1},
                                  .data = data,
                                  .size = rows[i] * row_bytes,
                                  .scales = lab_scales(p->type)};
        from.t[i] = &t[i];
        data += t[i].size;
    }
    if (fg_matrix_init(&p->m, lab->uploader, &from, &err))
        fail_msg("%s", err.text);
}

static void check(struct lab *lab, struct problem *p, const struct variants *v)
{
    for (uint32_t i = 0; i < v->n; i += 7)
        problem_check(p, lab, &v->list[i], i % 2, 3);
    fg_matrix_finish(&p->m);
}

static void check_rows(struct lab *lab, enum fg_dtype type, const uint32_t rows[TENSORS],
                       const struct variants *v, uint64_t *seed)
{
    uint32_t all = rows[0] + rows[1] + rows[2];
    struct problem p;

    problem_init(&p, lab, type, all, K, seed);
    upload(lab, &p, rows);
    assert_int_equal(p.m.n_rows, all);
    assert_int_equal(p.m.n_parts, 1);
    check(lab, &p, v);
    for (uint32_t tiles = 1; tiles < 4; tiles++) {
        uint64_t tile = lab_tile_bytes(type, K), grid = lab_grid_bytes(type);
        uint64_t range = lab_set_storage_range(lab, grid + tile * (tiles + 1) - 1);

        upload(lab, &p, rows);
        lab_set_storage_range(lab, range);
        assert_int_equal(p.m.n_parts, (all + 32 * tiles - 1) / (32 * tiles));
        check(lab, &p, v);
    }
    problem_finish(&p);
}

static void test_stacked(void **state)
{
    for (int i = 0; i < LAB_TYPES; i++) {
        uint64_t seed = 500 + (uint64_t)lab_types[i];
        size_t n = lab_few_shapes(lab_types[i]) ? 1 : sizeof all_rows / sizeof *all_rows;
        struct variants v;

        variants_init(&v, *state, lab_types[i], false, 1 << 20);
        if (n == 1)
            variants_keep(&v, 4);
        for (size_t r = 0; r < n; r++)
            check_rows(*state, lab_types[i], all_rows[r], &v, &seed);
    }
    problem_reset(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stacked)};

    return cmocka_run_group_tests(tests, lab_open, lab_close);
}
