/* The known-answer self-test: kernels on fixed inputs, whose output hashes are committed. A device
 * that gives them is canonical: its caches are every other canonical device's caches. */
#include "self_test.h"

#include "ops/matmul.h"
#include "ops/quantize.h"
#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Goes up with every change of a kernel's order of operations or of what is stored. */
#define KERNEL_ORDER "fulgur kernel order 1"

enum {
    CANON_INPUTS = FG_SELF_TEST_INPUTS,
    MAT_ROWS = FG_SELF_TEST_ROWS,
    MAT_K = FG_SELF_TEST_K,
    MAT_TOKENS = FG_SELF_TEST_TOKENS,
};

/* The same on every canonical device. */
const struct fg_self_test_hashes fg_self_test_known = {
    .canon = 0xa769462c2273904e,
    .q8_0 = {0xd0a82c68ee820061, 0x46f13a64810e5422},
    .q4_1 = {0x5d2e8e2ac1c3c8f9, 0x1ea841c861301f8a}};

static uint32_t mixed_word(uint32_t i)
{
    /* A 32-bit mix (Steele, Lea, Flood: SplitMix's finalizer, 32-bit form): all bit patterns alike.
     */
    uint32_t x = i * 0x9E3779B9u + 0x85EBCA6Bu;
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0x735A2D97u;
    return x ^ (x >> 15);
}

/* A value in [-1, 1) with 16 bits. */
static float mixed_value(uint32_t i)
{
    return (float)((int32_t)(mixed_word(i) >> 16) - 32768) / 32768.0f;
}

void fg_self_test_canon_inputs(uint32_t bits[FG_SELF_TEST_INPUTS])
{
    for (uint32_t i = 0; i < CANON_INPUTS; i++) {
        /* Exponents around 0, where the functions are used; NaN and infinity left out. */
        bits[i] = mixed_word(i) & 0x8fffffffu;
        bits[i] = bits[i] + (i % 2 ? 0x30000000u : 0x38000000u);
    }
}

static int run_canon(struct fg_ops *o, uint64_t *hash, struct fg_err *err)
{
    const struct fg_kernel_key key = {.base = "self_test_canon"};
    struct fg_buffer *in = NULL, *out = NULL;
    uint32_t n = CANON_INPUTS;
    int rc = fg_buffer_create(o->device, n * 4, FG_BUFFER_HOST, "self-test", &in, err);
    if (rc == 0)
        rc = fg_buffer_create(o->device, n * 24, FG_BUFFER_HOST, "self-test", &out, err);
    if (rc == 0) {
        fg_self_test_canon_inputs(fg_buffer_map(in));
        struct fg_bind binds[] = {{in, 0, 0}, {out, 0, 0}};
        fg_cmd_begin(o->cmd);
        fg_ops_dispatch(o, &key,
                        &(struct fg_ops_call){.binds = binds,
                                              .n_binds = 2,
                                              .push = &n,
                                              .push_bytes = 4,
                                              .groups = {n / 64, 1, 1}});
        rc = fg_cmd_run(o->cmd, err);
        *hash = rc ? 0 : XXH3_64bits(fg_buffer_map(out), n * 24);
    }
    fg_buffer_destroy(in);
    fg_buffer_destroy(out);
    return rc;
}

void fg_self_test_matmul_inputs(enum fg_dtype type, uint8_t *raw, float *x)
{
    uint32_t head = type == FG_Q4_1 ? 4 : 2, bytes = fg_dtype_block_bytes(type), at = 0;
    for (uint32_t b = 0; b < MAT_ROWS * MAT_K / 32; b++, raw += bytes) {
        for (uint32_t i = 0; i < head; i += 2) {
            uint16_t h = fg_f16_from_f32(mixed_value(at++) / 16.0f);
            memcpy(raw + i, &h, 2);
        }
        for (uint32_t i = head; i < bytes; i++)
            raw[i] = (uint8_t)(mixed_word(at++) >> 24);
    }
    for (uint32_t i = 0; i < MAT_TOKENS * MAT_K; i++)
        x[i] = mixed_value(i + 77777);
}

/* *same: one token's product is that of the token among others. */
static int run_matmul(struct fg_ops *o, enum fg_dtype type, uint64_t *hash, bool *same,
                      struct fg_err *err)
{
    struct fg_uploader *u = NULL;
    struct fg_matrix m = {0};
    struct fg_buffer *x = NULL, *y = NULL;
    struct fg_quantized_room room = {0};
    struct fg_operand operand;
    uint32_t floats = MAT_TOKENS * MAT_ROWS;
    uint8_t *raw = malloc((size_t)MAT_ROWS * fg_dtype_row_bytes(type, MAT_K));
    struct fg_tensor t = {.name = {"self-test", 9},
                          .type = type,
                          .n_dims = 2,
                          .ne = {MAT_K, MAT_ROWS, 1, 1},
                          .data = raw};
    const struct fg_matrix_source from = {.t = {&t}, .n = 1};
    int rc = raw ? 0 : fg_fail(err, FG_ENOMEM, "out of memory for the self-test");
    if (rc == 0)
        rc = fg_buffer_create(o->device, MAT_TOKENS * MAT_K * 4, FG_BUFFER_HOST, "self-test", &x,
                              err);
    if (rc == 0)
        rc = fg_buffer_create(o->device, 2 * floats * 4, FG_BUFFER_HOST, "self-test", &y, err);
    if (rc == 0) {
        fg_self_test_matmul_inputs(type, raw, fg_buffer_map(x));
        rc = fg_uploader_create(o->device, NULL, NULL, 0, &u, err);
    }
    if (rc == 0)
        rc = fg_matrix_init(&m, u, &from, err);
    if (rc == 0)
        rc = fg_buffer_create(o->device, MAT_TOKENS * fg_quantized_row(MAT_K) * 4, FG_BUFFER_DEVICE,
                              "self-test", &room.buffer, err);
    if (rc == 0) {
        fg_cmd_begin(o->cmd);
        operand = fg_record_quantize(o, fg_view_of(x, MAT_K, MAT_TOKENS, MAT_K), &room);
        fg_record_matmul(
            o, &(struct fg_matmul){
                   .m = &m, .x = operand, .y = fg_view_of(y, MAT_ROWS, MAT_TOKENS, MAT_ROWS)});
        fg_cmd_barrier(o->cmd);
        rc = fg_cmd_run(o->cmd, err);
        *hash = rc ? 0 : XXH3_64bits(fg_buffer_map(y), floats * 4);
    }
    if (rc == 0) { /* the one-token kernel must give the many-token kernel's first row */
        float *many = (float *)fg_buffer_map(y) + floats;
        memcpy(many, fg_buffer_map(y), MAT_ROWS * 4);
        fg_cmd_begin(o->cmd);
        fg_record_matmul(o, &(struct fg_matmul){
                                .m = &m, .x = operand, .y = fg_view_of(y, MAT_ROWS, 1, MAT_ROWS)});
        rc = fg_cmd_run(o->cmd, err);
        *same = rc == 0 && memcmp(many, fg_buffer_map(y), MAT_ROWS * 4) == 0;
    }
    fg_buffer_destroy(room.buffer);
    fg_buffer_destroy(x);
    fg_buffer_destroy(y);
    fg_matrix_finish(&m);
    fg_uploader_destroy(u);
    free(raw);
    return rc;
}

int fg_self_test_run(struct fg_ops *o, struct fg_self_test *out, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(o->device);
    enum fg_numerics mode = o->numerics;
    uint64_t canon = 0, matmul[2] = {0, 0};
    bool same[2] = {false, false};
    char text[768];
    int n, rc;

    rc = run_canon(o, &canon, err);
    if (rc == 0)
        rc = run_matmul(o, FG_Q8_0, &matmul[0], &same[0], err);
    if (rc == 0)
        rc = run_matmul(o, FG_Q4_1, &matmul[1], &same[1], err);
    if (rc)
        return rc;
    /* Without this no cached answer is the one that would be computed. */
    if (!same[0] || !same[1])
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s with %s: in the mode %s a product of one token differs from that of the "
                       "token among others; another --numerics may do",
                       d->name, d->driver, fg_numerics_name(mode));
    out->canonical = fg_numerics_portable(mode) && canon == fg_self_test_known.canon &&
                     matmul[0] == fg_self_test_known.q8_0[mode] &&
                     matmul[1] == fg_self_test_known.q4_1[mode];
    n = snprintf(text, sizeof text, "%s; %s; kv %s", KERNEL_ORDER, fg_numerics_name(mode),
                 o->kv_type == FG_KV_F16 ? "f16" : "f32");
    if (!out->canonical)
        n += snprintf(text + n, sizeof text - (size_t)n, "; %s; %s", d->name, d->driver);
    XXH128_canonicalFromHash((XXH128_canonical_t *)out->numerics_id, XXH3_128bits(text, (size_t)n));
    return 0;
}
