#include "weights.h"

#include "gguf/grid.h"
#include "ops/ops.h"
#include "shaders/repack/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raw rows travel in pieces of this many bytes at most. */
enum { STAGING_BYTES = 16 << 20 };

struct fg_uploader {
    struct fg_device *device;
    struct fg_cmd *cmd;
    struct fg_buffer *staging;
    void (*progress)(void *ctx, uint64_t done, uint64_t all);
    void *progress_ctx;
    uint64_t done, all;
    bool import; /* the device reads the mapped file itself */
};

int fg_uploader_create(struct fg_device *d,
                       void (*progress)(void *ctx, uint64_t done, uint64_t all), void *progress_ctx,
                       uint64_t all_bytes, struct fg_uploader **out, struct fg_err *err)
{
    struct fg_uploader *u = calloc(1, sizeof *u);
    int rc;
    *out = NULL;
    if (!u)
        return fg_fail(err, FG_ENOMEM, "out of memory for the upload");
    u->device = d;
    u->progress = progress;
    u->progress_ctx = progress_ctx;
    u->all = all_bytes;
    u->import = fg_device_info(d)->unified && fg_device_info(d)->host_import;
    rc = fg_cmd_create(d, &u->cmd, err);
    if (rc == 0)
        rc = fg_buffer_create(d, STAGING_BYTES, FG_BUFFER_HOST, "weight upload", &u->staging, err);
    if (rc) {
        fg_uploader_destroy(u);
        return rc;
    }
    *out = u;
    return 0;
}

uint64_t fg_uploader_bytes(void)
{
    return STAGING_BYTES;
}

void fg_uploader_destroy(struct fg_uploader *u)
{
    if (!u)
        return;
    fg_cmd_destroy(u->cmd);
    fg_buffer_destroy(u->staging);
    free(u);
}

/* The tile layout: the table of shaders/matmul/weights.glsl, which explains its columns. */
struct layout {
    enum fg_dtype type;
    uint32_t low, high;              /* bits of an element in each plane of quants */
    uint32_t scale_blocks, d_blocks; /* blocks whose scales share a uvec4; 0: there are none */
};

static const struct layout layouts[] = {
    {FG_F32, 32, 0, 0, 0},     {FG_F16, 16, 0, 0, 0},        {FG_BF16, 16, 0, 0, 0},
    {FG_Q8_0, 8, 0, 8, 0},     {FG_Q4_0, 4, 0, 8, 0},        {FG_IQ4_NL, 4, 0, 8, 0},
    {FG_Q4_1, 4, 0, 4, 0},     {FG_Q5_0, 4, 1, 8, 0},        {FG_Q5_1, 4, 1, 4, 0},
    {FG_MXFP4, 4, 0, 16, 0},   {FG_NVFP4, 4, 0, 8, 1 << 24}, {FG_Q2_K, 2, 0, 8, 32},
    {FG_Q3_K, 2, 1, 8, 0},     {FG_Q4_K, 4, 0, 8, 0},        {FG_Q5_K, 4, 1, 8, 0},
    {FG_Q6_K, 4, 2, 8, 64},    {FG_IQ4_XS, 4, 0, 16, 0},     {FG_TQ1_0, 2, 0, 64, 0},
    {FG_TQ2_0, 2, 0, 64, 0},   {FG_IQ1_S, 0, 1, 8, 64},      {FG_IQ1_M, 0, 1, 8, 16},
    {FG_IQ2_XXS, 2, 0, 64, 0}, {FG_IQ2_XS, 2, 0, 16, 64},    {FG_IQ2_S, 2, 0, 8, 64},
    {FG_IQ3_XXS, 2, 1, 64, 0}, {FG_IQ3_S, 2, 1, 8, 0},
};

/* uvec4 of one row: a plane of `bits` an element, groups of `blocks` blocks that share one. */
static uint64_t plane(uint32_t bits, uint32_t n_blocks)
{
    return ((uint64_t)bits * n_blocks + 3) / 4;
}

static uint64_t groups(uint32_t blocks, uint32_t n_blocks)
{
    return blocks ? ((uint64_t)n_blocks + blocks - 1) / blocks : 0;
}

/* uvec4 of quants and of scales of one row. */
static void row_layout(enum fg_dtype type, uint32_t n_blocks, uint64_t *quants, uint64_t *scales)
{
    const struct layout *l = layouts;

    while (l->type != type)
        l++;
    *quants = plane(l->low, n_blocks) + plane(l->high, n_blocks);
    *scales = groups(l->scale_blocks, n_blocks) + groups(l->d_blocks, n_blocks);
}

/* Splits m into parts whose buffers fit a binding. */
static int size_parts(struct fg_matrix *m, const struct fg_device_info *d,
                      const struct fg_tensor *t, struct fg_err *err)
{
    uint64_t quants, scales;
    row_layout(m->type, m->n_blocks, &quants, &scales);
    uint32_t tile_rows = fg_matrix_tile_rows(m);
    uint32_t tiles = (m->n_rows + tile_rows - 1) / tile_rows;
    uint64_t quant_bytes = quants * 32 * 16, tile_bytes = quant_bytes + scales * 32 * 16;
    uint64_t grid_bytes = (uint64_t)fg_grid_of(m->type).n * 4; /* in front, an entry a word */
    uint64_t range = d->max_storage_range > grid_bytes ? d->max_storage_range - grid_bytes : 0;
    uint64_t most = range / tile_bytes; /* tiles of a part */
    bool moe = m->n_experts > 1;
    uint64_t unit = moe ? tiles : 1, units = moe ? m->n_experts : tiles;
    uint64_t a_part = most / unit;

    if (a_part == 0)
        return fg_fail(
            err, FG_EUNSUPPORTED,
            "%.*s: %llu bytes of one piece exceed the largest binding of %s (%llu bytes)",
            (int)t->name.n, t->name.p, (unsigned long long)(grid_bytes + unit * tile_bytes),
            d->name, (unsigned long long)d->max_storage_range);
    m->n_parts = (uint32_t)((units + a_part - 1) / a_part);
    m->parts = calloc(m->n_parts, sizeof *m->parts);
    if (!m->parts)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u matrix parts", m->n_parts);
    for (uint32_t i = 0; i < m->n_parts; i++) {
        struct fg_matrix_part *part = &m->parts[i];
        uint64_t u0 = i * a_part, u1 = u0 + a_part < units ? u0 + a_part : units;
        uint64_t n_tiles = (u1 - u0) * unit;
        part->expert0 = moe ? (uint32_t)u0 : 0;
        part->n_experts = moe ? (uint32_t)(u1 - u0) : 1;
        part->row0 = moe ? 0 : (uint32_t)u0 * tile_rows;
        part->n_rows = m->n_rows - part->row0;
        if (!moe && u1 < units)
            part->n_rows = (uint32_t)(u1 - u0) * tile_rows;
        part->scale_at = (uint32_t)((grid_bytes + n_tiles * quant_bytes) / 16);
        part->bytes = grid_bytes + n_tiles * tile_bytes;
        m->bytes += part->bytes;
    }
    return 0;
}

static bool are_halves(const struct fg_matrix_source *from)
{
    return from->gated && from->t[0] == from->t[1];
}

/* Rows of the i-th tensor that are the matrix's. */
static uint32_t source_rows(const struct fg_matrix_source *from, uint32_t i)
{
    return (uint32_t)from->t[i]->ne[1] >> are_halves(from);
}

int fg_matrix_measure(struct fg_matrix *m, const struct fg_device_info *d,
                      const struct fg_matrix_source *from, struct fg_err *err)
{
    const struct fg_tensor *t = from->t[0];
    uint64_t row_bytes = fg_dtype_row_bytes(t->type, t->ne[0]);
    int rc;

    memset(m, 0, sizeof *m);
    m->type = t->type;
    m->gated = from->gated;
    m->k = (uint32_t)t->ne[0];
    m->n_blocks = (m->k + 31) / 32;
    m->n_rows = source_rows(from, 0);
    for (uint32_t i = 1; i < from->n && !from->gated; i++)
        m->n_rows += (uint32_t)from->t[i]->ne[1];
    m->n_experts = (uint32_t)t->ne[2];
    if (row_bytes > STAGING_BYTES / 32)
        return fg_fail(err, FG_EUNSUPPORTED, "%.*s: rows of %llu bytes, at most %u are supported",
                       (int)t->name.n, t->name.p, (unsigned long long)row_bytes,
                       STAGING_BYTES / 32);
    rc = size_parts(m, d, t, err);
    if (rc)
        fg_matrix_finish(m);
    return rc;
}

/* Splits m and creates the buffers. */
static int create_parts(struct fg_matrix *m, struct fg_device *d,
                        const struct fg_matrix_source *from, struct fg_err *err)
{
    const struct fg_tensor *t = from->t[0];
    char what[128];
    int rc = fg_matrix_measure(m, fg_device_info(d), from, err);

    snprintf(what, sizeof what, "weights of %.*s", (int)t->name.n, t->name.p);
    for (uint32_t i = 0; rc == 0 && i < m->n_parts; i++)
        rc = fg_buffer_create(d, m->parts[i].bytes, FG_BUFFER_DEVICE, what, &m->parts[i].buffer,
                              err);
    return rc;
}

/* The grid of the matrix's type, which each part begins with. */
static int upload_grid(struct fg_uploader *u, const struct fg_matrix *m,
                       const struct fg_matrix_part *part, struct fg_err *err)
{
    struct fg_grid grid = fg_grid_of(m->type);
    uint32_t *words = fg_buffer_map(u->staging);

    if (grid.n == 0)
        return 0;
    for (uint32_t i = 0; i < grid.n; i++)
        words[i] = fg_grid_nibbles(&grid, i);
    fg_cmd_begin(u->cmd);
    fg_cmd_copy(u->cmd, u->staging, 0, part->buffer, 0, grid.n * 4);
    return fg_cmd_run(u->cmd, err);
}

/* A part of a matrix that rows go to. */
struct target {
    struct fg_uploader *u;
    const struct fg_matrix *m;
    const struct fg_matrix_part *part;
    struct fg_pipeline *repack;
};

/* Raw rows, and where they go. */
struct raw_rows {
    const uint8_t *rows;
    uint64_t row_bytes;
    uint32_t n_rows, row0; /* row0: of the matrix whose first tile in the part is tile0 */
    uint32_t tile0, slot0; /* slot0: the first row of each tile that they take */
    float scale;
};

static int upload_rows(const struct target *to, const struct raw_rows *r, struct fg_err *err)
{
    struct fg_uploader *u = to->u;
    uint64_t bytes = r->row_bytes * r->n_rows, offset = 0;
    struct fg_buffer *import = NULL;
    int rc;

    if (u->import && fg_buffer_import(u->device, r->rows, bytes, &import, &offset, NULL))
        u->import = false;
    if (!import)
        memcpy(fg_buffer_map(u->staging), r->rows, bytes);
    struct fg_repack_push push = {.k = to->m->k,
                                  .row_bytes = (uint32_t)r->row_bytes,
                                  .n_rows = r->n_rows,
                                  .row0 = r->row0,
                                  .tile0 = r->tile0,
                                  .n_blocks = to->m->n_blocks,
                                  .scale_at = to->part->scale_at,
                                  .src_at = (uint32_t)offset,
                                  .tile_rows = fg_matrix_tile_rows(to->m),
                                  .slot0 = r->slot0,
                                  .scale = r->scale};
    struct fg_bind binds[] = {{import ? import : u->staging, 0, (offset + bytes + 3) / 4 * 4},
                              {to->part->buffer, 0, 0}};
    fg_cmd_begin(u->cmd);
    fg_cmd_dispatch(u->cmd,
                    &(struct fg_dispatch){to->repack, binds, 2, sizeof push, &push,
                                          (to->m->n_blocks + 7) / 8, (r->n_rows + 31) / 32, 1});
    rc = fg_cmd_run(u->cmd, err);
    fg_buffer_destroy(import);
    u->done += bytes;
    if (rc == 0 && u->progress)
        u->progress(u->progress_ctx, u->done, u->all);
    return rc;
}

/* What an expert's elements are multiplied by, as the shaders of NVFP4 want it: their numbers are
 * 2^10 times larger. */
static float scale_of(const struct fg_tensor *t, uint32_t expert)
{
    return (t->scales ? t->scales[expert] : 1) * 0x1p-10f;
}

/* What a tensor gives to a matrix. */
struct given {
    const struct fg_tensor *t;
    uint32_t skip, n_rows; /* rows of t, of each expert */
    uint32_t first;        /* row of the matrix */
    uint32_t slot0;        /* rows of its tiles from here on */
};

/* The rows that belong to the part. */
static int upload_part(const struct target *to, const struct given *g, struct fg_err *err)
{
    const struct fg_matrix_part *part = to->part;
    const struct fg_tensor *t = g->t;
    uint32_t first = g->first, n_rows = g->n_rows, end = part->row0 + part->n_rows;
    uint32_t r0 = first > part->row0 ? first : part->row0;
    uint32_t r1 = first + n_rows < end ? first + n_rows : end;
    uint64_t row_bytes = fg_dtype_row_bytes(t->type, t->ne[0]);
    uint32_t tile_rows = fg_matrix_tile_rows(to->m);
    uint32_t tiles = (to->m->n_rows + tile_rows - 1) / tile_rows;
    uint32_t step = (uint32_t)(STAGING_BYTES / row_bytes / 32 * 32);
    int rc = 0;

    if (step > 32768 * 32)
        step = 32768 * 32;
    for (uint32_t e = 0; rc == 0 && e < part->n_experts; e++) {
        uint64_t skipped = (part->expert0 + e) * t->ne[1] + g->skip;
        for (uint32_t r = r0; rc == 0 && r < r1; r += step) {
            const struct raw_rows raw = {.rows = (const uint8_t *)t->data +
                                                 (skipped + r - first) * row_bytes,
                                         .row_bytes = row_bytes,
                                         .n_rows = r1 - r < step ? r1 - r : step,
                                         .row0 = r - part->row0,
                                         .tile0 = e * tiles,
                                         .slot0 = g->slot0,
                                         .scale = scale_of(t, part->expert0 + e)};
            rc = upload_rows(to, &raw, err);
        }
    }
    return rc;
}

int fg_matrix_init(struct fg_matrix *m, struct fg_uploader *u, const struct fg_matrix_source *from,
                   struct fg_err *err)
{
    const uint32_t spec[FG_SPEC_COUNT] = {0};
    struct fg_pipeline *repack;
    char name[32];
    int rc;

    memset(m, 0, sizeof *m);
    snprintf(name, sizeof name, "repack.%s", fg_type_suffix(from->t[0]->type));
    rc = fg_pipeline_get(u->device, name, spec, &repack, err);
    if (rc == 0)
        rc = create_parts(m, u->device, from, err);
    for (uint32_t i = 0; rc == 0 && i < m->n_parts; i++) {
        rc = upload_grid(u, m, &m->parts[i], err);
        for (uint32_t j = 0, first = 0; rc == 0 && j < from->n; j++) {
            const struct target to = {u, m, &m->parts[i], repack};
            uint32_t n_rows = source_rows(from, j);
            const struct given given = {.t = from->t[j],
                                        .skip = are_halves(from) ? j * n_rows : 0,
                                        .n_rows = n_rows,
                                        .first = first,
                                        .slot0 = m->gated ? j * fg_matrix_tile_rows(m) : 0};
            rc = upload_part(&to, &given, err);
            if (!m->gated)
                first += n_rows;
        }
    }
    if (rc)
        fg_matrix_finish(m);
    return rc;
}

int fg_matrix_blank(struct fg_matrix *m, struct fg_device *d, const struct fg_matrix_shape *shape,
                    struct fg_err *err)
{
    const struct fg_tensor t = {.name = {"blank", 5},
                                .type = shape->type,
                                .ne = {shape->k, shape->n_rows, shape->n_experts, 1}};
    const struct fg_matrix_source from = {.t = {&t}, .n = 1};
    int rc = create_parts(m, d, &from, err);

    if (rc)
        fg_matrix_finish(m);
    return rc;
}

int fg_vector_upload(struct fg_uploader *u, const struct fg_tensor *t, struct fg_buffer **out,
                     struct fg_err *err)
{
    uint64_t n = t->ne[0] * t->ne[1], bytes = n * 4;
    int rc;
    *out = NULL;
    if (bytes > STAGING_BYTES)
        return fg_fail(err, FG_EUNSUPPORTED, "%.*s: %llu elements are too many", (int)t->name.n,
                       t->name.p, (unsigned long long)n);
    rc = fg_buffer_create(u->device, bytes, FG_BUFFER_DEVICE, "norm weights", out, err);
    if (rc)
        return rc;
    fg_dtype_expand(t->type, t->data, fg_buffer_map(u->staging), n);
    fg_cmd_begin(u->cmd);
    fg_cmd_copy(u->cmd, u->staging, 0, *out, 0, bytes);
    rc = fg_cmd_run(u->cmd, err);
    u->done += t->size;
    if (rc) {
        fg_buffer_destroy(*out);
        *out = NULL;
    }
    return rc;
}
