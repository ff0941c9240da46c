/* Recording: what is wrong becomes an error of fg_cmd_run(), the first one stays, and the recorder
 * works again after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include "shaders/matmul/params.h"
#include "shaders/moe/params.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t zeros[FG_SPEC_COUNT];

struct bench {
    struct fg_device *d;
    struct fg_cmd *c;
    struct fg_pipeline *combine, *texel; /* 4 buffers; u f s s */
    struct fg_buffer *b;                 /* 4 KiB of 1.0 */
    struct fg_combine_push push;
};

static int bench_open(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    const uint32_t spec[FG_SPEC_COUNT] = {8, 1, 0, 0, 0};
    struct fg_err err;
    float *v;

    assert_non_null(b);
    b->d = device_with_cache(NULL);
    assert_int_equal(fg_cmd_create(b->d, &b->c, &err), 0);
    if (fg_pipeline_get(b->d, "moe_combine", zeros, &b->combine, &err))
        fail_msg("%s", err.text);
    if (fg_device_info(b->d)->subgroup_size % 4 == 0 && fg_device_info(b->d)->subgroup_ballot &&
        fg_pipeline_get(b->d, "matmul.f32.r4t1.tex", spec, &b->texel, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fg_buffer_create(b->d, 4096, FG_BUFFER_HOST, "a test", &b->b, &err), 0);
    v = fg_buffer_map(b->b);
    for (int i = 0; i < 1024; i++)
        v[i] = 1;
    /* x = 2 * r + w * y of one element: 3 */
    b->push = (struct fg_combine_push){1, 1, 1, 1, 1, 1, 2};
    *state = b;
    return 0;
}

static int bench_close(void **state)
{
    struct bench *b = *state;

    fg_buffer_destroy(b->b);
    fg_cmd_destroy(b->c);
    fg_cmd_destroy(NULL);
    fg_device_close(b->d);
    free(b);
    return 0;
}

static void dispatch(struct bench *b, const struct fg_bind binds[4])
{
    fg_cmd_dispatch(b->c,
                    &(struct fg_dispatch){b->combine, binds, 4, sizeof b->push, &b->push, 1, 1, 1});
}

/* After a refusal: the same recorder computes. */
static void still_works(struct bench *b)
{
    struct fg_bind binds[4] = {{b->b, 0, 4}, {b->b, 256, 4}, {b->b, 512, 4}, {b->b, 1024, 4}};
    float *v = fg_buffer_map(b->b);
    struct fg_err err;

    v[256] = 0;
    fg_cmd_begin(b->c);
    dispatch(b, binds);
    if (fg_cmd_run(b->c, &err))
        fail_msg("%s", err.text);
    assert_true(v[256] == 3);
}

static void check_refused(struct bench *b, const struct fg_bind binds[4], const char *part)
{
    struct fg_err err;

    fg_cmd_begin(b->c);
    dispatch(b, binds);
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, part);
    assert_non_null(strstr(err.text, "moe_combine"));
    still_works(b);
}

static void test_bindings(void **state)
{
    struct bench *b = *state;
    const struct fg_bind good[4] = {{b->b, 0, 0}, {b->b, 256, 0}, {b->b, 512, 16}, {b->b, 1024, 0}};
    static const struct {
        uint64_t offset, bytes;
        const char *part;
    } bad[] = {{0, 4112, "4112 bytes"},
               {4096, 0, "at 4096"},
               {8192, 0, "at 8192"},
               {256, 4096, "at 256"},
               {16, 16, "multiple of 256"},
               {256, UINT64_MAX - 255, "buffer of 4096"},
               {UINT64_MAX - 255, 0, "buffer of 4096"}};

    for (int i = 0; i < 4; i++) {
        struct fg_bind binds[4];

        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            memcpy(binds, good, sizeof good);
            binds[i].offset = bad[j].offset;
            binds[i].bytes = bad[j].bytes;
            check_refused(b, binds, bad[j].part);
        }
        memcpy(binds, good, sizeof good);
        binds[i].buffer = NULL;
        check_refused(b, binds, "none");
    }
}

/* Larger than the device's largest binding. */
static void test_range(void **state)
{
    struct bench *b = *state;
    struct fg_device_info *info = (struct fg_device_info *)fg_device_info(b->d);
    const struct fg_bind binds[4] = {
        {b->b, 0, 256}, {b->b, 0, 256}, {b->b, 0, 256}, {b->b, 256, 0}};
    uint64_t range = info->max_storage_range, texels = info->max_texel_elements;
    struct fg_err err;

    info->max_storage_range = 2048;
    fg_cmd_begin(b->c);
    dispatch(b, binds);
    info->max_storage_range = range;
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "binding of 2048");
    still_works(b);
    if (!b->texel) {
        print_message("SKIPPED: no subgroups of 4 here\n");
        return;
    }
    /* Texel buffers are bound whole, and have their own limit. */
    struct fg_matmul_push push = {0};
    struct fg_bind whole[4] = {{b->b, 0, 0}, {b->b, 0, 0}, {b->b, 0, 0}, {b->b, 0, 0}};
    info->max_texel_elements = 255;
    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->texel, whole, 4, sizeof push, &push, 1, 1, 1});
    info->max_texel_elements = texels;
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "binding of 4080");
    whole[1].offset = 256;
    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->texel, whole, 4, sizeof push, &push, 1, 1, 1});
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "buffer 1");
    still_works(b);
}

static void test_counts(void **state)
{
    struct bench *b = *state;
    const struct fg_bind binds[5] = {
        {b->b, 0, 0}, {b->b, 0, 0}, {b->b, 0, 0}, {b->b, 0, 0}, {b->b, 0, 0}};
    struct fg_err err;

    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c,
                    &(struct fg_dispatch){b->combine, binds, 3, sizeof b->push, &b->push, 1, 1, 1});
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "4 buffers");
    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c,
                    &(struct fg_dispatch){b->combine, binds, 5, sizeof b->push, &b->push, 1, 1, 1});
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "got 5");
    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->combine, binds, 4, 4, &b->push, 1, 1, 1});
    refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "28 bytes");
    /* A count of 0 records nothing, whatever the rest is. */
    fg_cmd_begin(b->c);
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->combine, binds, 3, 0, NULL, 0, 1, 1});
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->combine, binds, 3, 0, NULL, 1, 0, 1});
    fg_cmd_dispatch(b->c, &(struct fg_dispatch){b->combine, binds, 3, 0, NULL, 1, 1, 0});
    assert_int_equal(fg_cmd_run(b->c, &err), 0);
    still_works(b);
}

/* The first failure is the one that is told, and nothing of the recording runs. */
static void test_errors_stick(void **state)
{
    struct bench *b = *state;
    const struct fg_bind good[4] = {{b->b, 0, 4}, {b->b, 256, 4}, {b->b, 512, 4}, {b->b, 1024, 4}};
    float *v = fg_buffer_map(b->b);
    struct fg_err err;

    v[256] = 42;
    fg_cmd_begin(b->c);
    dispatch(b, good);
    fg_cmd_fail(b->c, FG_EFORMAT, "the first");
    fg_cmd_fail(b->c, FG_EIO, "the second");
    fg_cmd_copy(b->c, b->b, 0, b->b, 4000, 200);
    fg_cmd_barrier(b->c);
    dispatch(b, good);
    refused(fg_cmd_run(b->c, &err), FG_EFORMAT, &err, "the first");
    assert_true(v[256] == 42);
    /* Without a buffer for the cause. */
    fg_cmd_begin(b->c);
    fg_cmd_fail(b->c, FG_EFORMAT, "the third");
    assert_int_equal(fg_cmd_run(b->c, NULL), FG_EFORMAT);
    still_works(b);
}

static void test_copies_leave_nothing(void **state)
{
    struct bench *b = *state;
    static const uint64_t at[][3] = {
        {0, 4000, 97}, {4096, 0, 1}, {0, 0, 4097}, {UINT64_MAX, 0, 2}, {0, UINT64_MAX - 1, 4}};
    struct fg_buffer *other;
    struct fg_err err;

    assert_int_equal(fg_buffer_create(b->d, 4096, FG_BUFFER_DEVICE, "a test", &other, &err), 0);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        fg_cmd_begin(b->c);
        fg_cmd_copy(b->c, b->b, at[i][0], other, at[i][1], at[i][2]);
        refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "copy");
    }
    for (size_t i = 0; i < 2; i++) {
        fg_cmd_begin(b->c);
        fg_cmd_zero(b->c, other, i ? 2 : 4000, i ? 4 : 100);
        refused(fg_cmd_run(b->c, &err), FG_EINVAL, &err, "zeros");
    }
    fg_buffer_destroy(other);
    still_works(b);
}

/* More dispatches than one descriptor pool holds, each reading what the one before wrote. */
static void test_many_dispatches(void **state)
{
    enum { MANY = 1500 };
    struct bench *b = *state;
    struct fg_bind binds[4] = {{b->b, 0, 4}, {b->b, 256, 4}, {b->b, 1024, 4}, {b->b, 1024, 4}};
    struct fg_combine_push push = b->push;
    float *v = fg_buffer_map(b->b);
    struct fg_err err;

    push.alpha = 1; /* x = x + 1 */
    for (int round = 0; round < 2; round++) {
        v[256] = 0;
        fg_cmd_begin(b->c);
        for (int i = 0; i < MANY; i++) {
            fg_cmd_dispatch(
                b->c, &(struct fg_dispatch){b->combine, binds, 4, sizeof push, &push, 1, 1, 1});
            fg_cmd_barrier(b->c);
        }
        if (fg_cmd_run(b->c, &err))
            fail_msg("%s", err.text);
        assert_true(v[256] == MANY);
    }
}

static void test_pipelines(void **state)
{
    struct bench *b = *state;
    struct fg_pipeline *p, *again;
    struct fg_err err;
    uint32_t n = 0;

    refused(fg_pipeline_get(b->d, "no_such_shader", zeros, &p, &err), FG_ENOTFOUND, &err,
            "no_such_shader");
    assert_null(p);
    refused(fg_pipeline_get(b->d, "matmul", zeros, &p, &err), FG_ENOTFOUND, &err, "matmul");
    assert_int_equal(fg_pipeline_get(b->d, "swiglu", zeros, &p, &err), 0);
    assert_int_equal(fg_pipeline_get(b->d, "swiglu", zeros, &again, &err), 0);
    assert_ptr_equal(p, again);
    assert_int_equal(
        fg_pipeline_get(b->d, "swiglu", (const uint32_t[FG_SPEC_COUNT]){7}, &again, &err), 0);
    assert_ptr_not_equal(p, again); /* another specialization */
    while (fg_shader_name(n))
        n++;
    assert_true(n > 40);
    assert_null(fg_shader_name(n + 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bindings),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_copies_leave_nothing),
        cmocka_unit_test(test_many_dispatches),
        cmocka_unit_test(test_pipelines),
    };

    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
