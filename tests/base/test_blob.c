/* Blobs: pieces of at most 4 MiB, addressed as one run of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/blob.h"

enum { ODD = 2 * FG_PIECE_BYTES + 12345 };

static void test_pieces(void **state)
{
    struct fg_blob *b = fg_blob_create(ODD);
    size_t n;

    (void)state;
    assert_non_null(b);
    assert_int_equal(fg_blob_pieces(b), 3);
    fg_blob_piece(b, 0, &n);
    assert_int_equal(n, FG_PIECE_BYTES);
    assert_int_equal((uintptr_t)fg_blob_piece(b, 2, &n) % 64, 0);
    assert_int_equal(n, 12345);
    assert_int_equal(fg_blob_pieces_of(FG_PIECE_BYTES), 1);
    assert_int_equal(fg_blob_pieces_of(FG_PIECE_BYTES + 1), 2);
    fg_blob_unref(b);
}

/* What is written across the borders of pieces is read again, from any place and at any length. */
static void test_across_borders(void **state)
{
    unsigned char *all = malloc(ODD), *some = malloc(ODD);
    struct fg_blob *b;

    (void)state;
    for (size_t i = 0; i < ODD; i++)
        all[i] = (unsigned char)(i * 2654435761u >> 13);
    b = fg_blob_copy_of(all, ODD);
    fg_blob_read(b, FG_PIECE_BYTES - 7, some, FG_PIECE_BYTES + 20);
    assert_memory_equal(some, all + FG_PIECE_BYTES - 7, FG_PIECE_BYTES + 20);
    fg_blob_write(b, FG_PIECE_BYTES - 1, "xyz", 3);
    fg_blob_read(b, FG_PIECE_BYTES - 2, some, 5);
    assert_int_equal(some[0], all[FG_PIECE_BYTES - 2]);
    assert_memory_equal(some + 1, "xyz", 3);
    assert_int_equal(some[4], all[FG_PIECE_BYTES + 2]);
    fg_blob_unref(b);
    free(some);
    free(all);
}

static void test_references(void **state)
{
    struct fg_blob *b = fg_blob_copy_of("abc", 3);
    char out[3];

    (void)state;
    assert_ptr_equal(fg_blob_ref(b), b);
    fg_blob_unref(b);
    fg_blob_read(b, 0, out, 3); /* still there: the sanitizer would say otherwise */
    assert_memory_equal(out, "abc", 3);
    fg_blob_unref(b);
    fg_blob_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_across_borders),
                                       cmocka_unit_test(test_references)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
