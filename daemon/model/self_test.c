/* The known-answer battery: kernels on fixed inputs, whose output hashes are committed. A device
 * that gives them is canonical: its caches are every other canonical device's caches. */
#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Goes up with every change of a kernel's order of operations or of what is stored. */
#define KERNEL_ORDER "fulgur kernel order 1"

enum {
    CANON_INPUTS = FG_BATTERY_INPUTS,
    MAT_ROWS = FG_BATTERY_ROWS,
    MAT_K = FG_BATTERY_K,
    MAT_TOKENS = FG_BATTERY_TOKENS,
};

/* The same on every canonical device. */
const struct fg_battery_hashes fg_battery_known = {
    .canon = 0xa769462c2273904e,
    .q8_0 = {0xd0a82c68ee820061, 0x46f13a64810e5422},
    .q4_1 = {0x5d2e8e2ac1c3c8f9, 0x1ea841c861301f8a}};

static uint32_t battery_input(uint32_t i)
{
    /* A 32-bit mix (Steele, Lea, Flood: SplitMix's finalizer, 32-bit form): all bit patterns alike.
     */
    uint32_t x = i * 0x9E3779B9u + 0x85EBCA6Bu;
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0x735A2D97u;
    return x ^ (x >> 15);
}

/* A value in [-1, 1) with 16 bits. */
static float battery_value(uint32_t i)
{
    return (float)((int32_t)(battery_input(i) >> 16) - 32768) / 32768.0f;
}

void fg_battery_canon_inputs(uint32_t bits[FG_BATTERY_INPUTS])
{
    for (uint32_t i = 0; i < CANON_INPUTS; i++) {
        /* Exponents around 0, where the functions are used; NaN and infinity left out. */
        bits[i] = battery_input(i) & 0x8fffffffu;
        bits[i] = bits[i] + (i % 2 ? 0x30000000u : 0x38000000u);
    }
}

static int run_canon(struct fg_engine *e, uint64_t *hash, struct fg_err *err)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_buffer *in = NULL, *out = NULL;
    struct fg_pipeline *p;
    uint32_t n = CANON_INPUTS;
    int rc = fg_pipeline_get(e->device, "battery_canon", spec, &p, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, n * 4, FG_BUFFER_HOST, "battery", &in, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, n * 24, FG_BUFFER_HOST, "battery", &out, err);
    if (rc == 0) {
        fg_battery_canon_inputs(fg_buffer_map(in));
        struct fg_bind binds[] = {{in, 0, 0}, {out, 0, 0}};
        fg_cmd_begin(e->cmd);
        fg_cmd_dispatch(e->cmd, p, binds, 2, &n, 4, n / 64, 1, 1);
        rc = fg_cmd_run(e->cmd, err);
        *hash = rc ? 0 : XXH3_64bits(fg_buffer_map(out), n * 24);
    }
    fg_buffer_destroy(in);
    fg_buffer_destroy(out);
    return rc;
}

void fg_battery_matmul_inputs(enum fg_dtype type, uint8_t *raw, float *x)
{
    uint32_t head = type == FG_Q4_1 ? 4 : 2, bytes = fg_dtype_block_bytes(type), at = 0;
    for (uint32_t b = 0; b < MAT_ROWS * MAT_K / 32; b++, raw += bytes) {
        for (uint32_t i = 0; i < head; i += 2) {
            uint16_t h = fg_f16_from_f32(battery_value(at++) / 16.0f);
            memcpy(raw + i, &h, 2);
        }
        for (uint32_t i = head; i < bytes; i++)
            raw[i] = (uint8_t)(battery_input(at++) >> 24);
    }
    for (uint32_t i = 0; i < MAT_TOKENS * MAT_K; i++)
        x[i] = battery_value(i + 77777);
}

/* *same: one token's product is that of the token among others. */
static int run_matmul(struct fg_engine *e, enum fg_dtype type, uint64_t *hash, bool *same,
                      struct fg_err *err)
{
    struct fg_uploader *u = NULL;
    struct fg_matrix m = {0};
    struct fg_buffer *x = NULL, *y = NULL;
    uint32_t floats = MAT_TOKENS * MAT_ROWS;
    uint8_t *raw = malloc((size_t)MAT_ROWS * fg_dtype_row_bytes(type, MAT_K));
    struct fg_tensor t = {.name = {"battery", 7},
                          .type = type,
                          .n_dims = 2,
                          .ne = {MAT_K, MAT_ROWS, 1, 1},
                          .data = raw};
    const struct fg_matrix_source from = {.t = {&t}, .n = 1};
    int rc = raw ? 0 : fg_fail(err, FG_ENOMEM, "out of memory for the battery");
    if (rc == 0)
        rc =
            fg_buffer_create(e->device, MAT_TOKENS * MAT_K * 4, FG_BUFFER_HOST, "battery", &x, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, 2 * floats * 4, FG_BUFFER_HOST, "battery", &y, err);
    if (rc == 0) {
        fg_battery_matmul_inputs(type, raw, fg_buffer_map(x));
        rc = fg_uploader_create(e->device, NULL, NULL, 0, &u, err);
    }
    if (rc == 0)
        rc = fg_matrix_init(&m, u, &from, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, MAT_TOKENS * fg_quantized_row(MAT_K) * 4, FG_BUFFER_DEVICE,
                              "battery", &e->s.quantized, err);
    if (rc == 0) {
        fg_cmd_begin(e->cmd);
        fg_record_quantize(e, x, MAT_K, MAT_K, MAT_TOKENS);
        fg_record_matmul(e, &m, x, MAT_K, y, MAT_ROWS, MAT_TOKENS, NULL, 0, 0);
        fg_cmd_barrier(e->cmd);
        rc = fg_cmd_run(e->cmd, err);
        *hash = rc ? 0 : XXH3_64bits(fg_buffer_map(y), floats * 4);
    }
    if (rc == 0) { /* the one-token kernel must give the many-token kernel's first row */
        float *many = (float *)fg_buffer_map(y) + floats;
        memcpy(many, fg_buffer_map(y), MAT_ROWS * 4);
        fg_cmd_begin(e->cmd);
        fg_record_matmul(e, &m, x, MAT_K, y, MAT_ROWS, 1, NULL, 0, 0);
        rc = fg_cmd_run(e->cmd, err);
        *same = rc == 0 && memcmp(many, fg_buffer_map(y), MAT_ROWS * 4) == 0;
    }
    fg_buffer_destroy(e->s.quantized);
    e->s.quantized = NULL;
    fg_buffer_destroy(x);
    fg_buffer_destroy(y);
    fg_matrix_finish(&m);
    fg_uploader_destroy(u);
    free(raw);
    return rc;
}

int fg_battery_run(struct fg_engine *e, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    enum fg_numerics mode = e->opt.numerics;
    uint64_t canon = 0, matmul[2] = {0, 0};
    bool same[2] = {false, false};
    char text[768];
    int n, rc;

    rc = run_canon(e, &canon, err);
    if (rc == 0)
        rc = run_matmul(e, FG_Q8_0, &matmul[0], &same[0], err);
    if (rc == 0)
        rc = run_matmul(e, FG_Q4_1, &matmul[1], &same[1], err);
    if (rc)
        return rc;
    /* Without this no cached answer is the one that would be computed. */
    if (!same[0] || !same[1])
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s with %s: in the mode %s a product of one token differs from that of the "
                       "token among others; another --numerics may do",
                       d->name, d->driver, fg_numerics_name(mode));
    e->canonical = fg_numerics_portable(mode) && canon == fg_battery_known.canon &&
                   matmul[0] == fg_battery_known.q8_0[mode] &&
                   matmul[1] == fg_battery_known.q4_1[mode];
    n = snprintf(text, sizeof text, "%s; %s; kv %s", KERNEL_ORDER, fg_numerics_name(mode),
                 e->opt.kv_type == FG_KV_F16 ? "f16" : "f32");
    if (!e->canonical)
        n += snprintf(text + n, sizeof text - (size_t)n, "; %s; %s", d->name, d->driver);
    XXH128_canonicalFromHash((XXH128_canonical_t *)e->numerics_id, XXH3_128bits(text, (size_t)n));
    return 0;
}
