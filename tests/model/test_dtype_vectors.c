/* Expansion of quantized blocks against vectors of ggml's Python package
 * (tests/vectors/make-weights.py). The values are equal, not only near: scales times quants are
 * exact in f32 whichever way they are grouped, so each value is rounded once, at the subtraction or
 * addition of its minimum, or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "model/gguf/dtype.h"

enum { MOST_BYTES = 512, MOST_VALUES = 512 };

static void check_record(FILE *f, const uint32_t head[2])
{
    static unsigned char raw[MOST_BYTES];
    static float want[MOST_VALUES], got[MOST_VALUES];
    enum fg_dtype type = (enum fg_dtype)head[0];
    size_t bytes, values;

    assert_true(fg_dtype_known(head[0]));
    bytes = (size_t)head[1] * fg_dtype_block_bytes(type);
    values = (size_t)head[1] * fg_dtype_block_elems(type);
    assert_true(bytes > 0 && bytes <= MOST_BYTES && values <= MOST_VALUES);
    assert_int_equal(fread(raw, 1, bytes, f), bytes);
    assert_int_equal(fread(want, sizeof *want, values, f), values);
    fg_dtype_expand(type, raw, got, values);
    for (size_t i = 0; i < values; i++)
        if (got[i] != want[i]) /* -0 equals 0 */
            fail_msg("%s: element %zu is %.9g, must be %.9g", fg_dtype_name(type), i,
                     (double)got[i], (double)want[i]);
}

static void blocks_equal_ggml(void **state)
{
    FILE *f = fopen(FG_TEST_VECTORS "/weights.bin", "rb");
    uint32_t head[2];
    int n = 0;

    (void)state;
    assert_non_null(f);
    for (; fread(head, sizeof head, 1, f) == 1; n++)
        check_record(f, head);
    fclose(f);
    assert_int_equal(n, 23); /* all but F32, F16 and BF16 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_equal_ggml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
