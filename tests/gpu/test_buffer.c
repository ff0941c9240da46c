/* Device memory, and host memory imported where the device can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fg_buffer *make(struct fg_device *d, uint64_t bytes, enum fg_buffer_use use)
{
    struct fg_buffer *b;
    struct fg_err err;

    if (fg_buffer_create(d, bytes, use, "a test", &b, &err))
        fail_msg("%s", err.text);
    return b;
}

static void run(struct fg_cmd *c)
{
    struct fg_err err;

    if (fg_cmd_run(c, &err))
        fail_msg("%s", err.text);
}

static void test_sizes(void **state)
{
    static const uint64_t sizes[] = {0, 1, 15, 16, 17, 4096, (1 << 20) + 1};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int use = FG_BUFFER_DEVICE; use <= FG_BUFFER_HOST; use++) {
            struct fg_buffer *b = make(*state, sizes[i], (enum fg_buffer_use)use);
            uint64_t bytes = fg_buffer_bytes(b);

            assert_true(bytes >= sizes[i] && bytes >= 16 && bytes % 16 == 0);
            assert_true(bytes - sizes[i] <= 16);
            if (use == FG_BUFFER_HOST)
                assert_non_null(fg_buffer_map(b));
            if (fg_buffer_map(b))
                memset(fg_buffer_map(b), 1, bytes);
            fg_buffer_destroy(b);
        }
    fg_buffer_destroy(NULL);
}

static void test_no_memory(void **state)
{
    const struct fg_device_info *info = fg_device_info(*state);
    struct fg_buffer *b = (struct fg_buffer *)state;
    struct fg_err err;

    refused(fg_buffer_create(*state, info->heap_bytes * 4, FG_BUFFER_DEVICE, "KV pages", &b, &err),
            FG_ENOMEM, &err, "KV pages");
    assert_null(b);
    assert_non_null(strstr(err.text, "MiB"));
    assert_non_null(strstr(err.text, info->name));
}

/* Host to device and back, at offsets, with zeros in between. */
static void test_copies(void **state)
{
    enum { N = 1000 };
    struct fg_buffer *from = make(*state, N * 4, FG_BUFFER_HOST);
    struct fg_buffer *mid = make(*state, N * 4, FG_BUFFER_DEVICE);
    struct fg_buffer *to = make(*state, N * 4, FG_BUFFER_HOST);
    uint32_t *a = fg_buffer_map(from), *b = fg_buffer_map(to);
    struct fg_cmd *c;
    struct fg_err err;

    assert_int_equal(fg_cmd_create(*state, &c, &err), 0);
    for (uint32_t i = 0; i < N; i++) {
        a[i] = i * 2654435761u;
        b[i] = 7;
    }
    fg_cmd_begin(c);
    fg_cmd_copy(c, from, 0, mid, 0, N * 4);
    fg_cmd_barrier(c);
    fg_cmd_zero(c, mid, 400, 80);
    fg_cmd_barrier(c);
    fg_cmd_copy(c, mid, 40, to, 4, (N - 10) * 4 - 4);
    fg_cmd_copy(c, mid, 0, to, 0, 0); /* nothing */
    run(c);
    assert_int_equal(b[0], 7);
    for (uint32_t i = 10; i < N - 1; i++)
        assert_int_equal(b[i - 9], i >= 100 && i < 120 ? 0 : a[i]);
    assert_int_equal(b[N - 10], 7);
    fg_cmd_destroy(c);
    fg_buffer_destroy(from);
    fg_buffer_destroy(mid);
    fg_buffer_destroy(to);
}

/* A file mapped read-only, as a model is: imported from the middle of a page, copied by the device.
 */
static void test_import(void **state)
{
    enum { BYTES = 5 * 4096, AT = 4096 + 32, N = 8192 + 100 };
    FILE *f = tmpfile();
    uint8_t *bytes = malloc(BYTES);
    const uint8_t *map;
    struct fg_buffer *b = (struct fg_buffer *)f, *to;
    struct fg_cmd *c;
    struct fg_err err;
    uint64_t offset = 0;
    int rc;

    assert_non_null(f);
    assert_non_null(bytes);
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(fwrite(bytes, 1, BYTES, f), BYTES);
    assert_int_equal(fflush(f), 0);
    map = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fileno(f), 0);
    assert_true(map != MAP_FAILED);
    rc = fg_buffer_import(*state, map + AT, N, &b, &offset, &err);
    if (rc) {
        print_message("SKIPPED: %s\n", err.text);
        refused(rc, FG_EUNSUPPORTED, &err, fg_device_info(*state)->name);
        assert_null(b);
    } else {
        assert_true(fg_device_info(*state)->host_import);
        assert_true(offset + N <= fg_buffer_bytes(b));
        assert_null(fg_buffer_map(b));
        to = make(*state, N, FG_BUFFER_HOST);
        assert_int_equal(fg_cmd_create(*state, &c, &err), 0);
        fg_cmd_begin(c);
        fg_cmd_copy(c, b, offset, to, 0, N);
        run(c);
        assert_memory_equal(fg_buffer_map(to), bytes + AT, N);
        fg_cmd_destroy(c);
        fg_buffer_destroy(to);
        fg_buffer_destroy(b);
    }
    munmap((void *)(uintptr_t)map, BYTES);
    fclose(f);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_import),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
