#include "engine_state.h"
#include "tune.h"

#include "model/blocks/block.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

#include <stdlib.h>
#include <string.h>

enum {
    MANY = 64,    /* tokens that stand for many */
    ROUNDS = 4,   /* each times every candidate once */
    MATRICES = 8, /* that a candidate's run goes through, so that no cache holds them all */
};

/* --- candidates --- */

static bool runs(const struct fg_device_info *d, const struct fg_tiling *t)
{
    uint32_t threads = t->lanes * t->slices;
    uint32_t shared = t->slices > 1 ? threads * t->rows * t->tokens * 4 : 0;
    return threads <= d->max_workgroup_threads && shared <= d->max_shared_bytes;
}

static void add(struct fg_tiling t, const struct fg_device_info *d, struct fg_tiling *out,
                uint32_t *n)
{
    if (*n == FG_TUNE_CANDIDATES || !runs(d, &t))
        return;
    for (uint32_t i = 0; i < *n; i++)
        if (fg_tiling_equal(&out[i], &t))
            return;
    out[(*n)++] = t;
}

uint32_t fg_tune_candidates(const struct fg_device_info *d, enum fg_numerics mode, bool dot,
                            bool many, struct fg_tiling out[FG_TUNE_CANDIDATES])
{
    static const uint32_t tiles[] = {1, 2, 4, 8}, slices[] = {1, 2, 4, 8, 16};
    bool texel = !dot && d->max_texel_elements >= d->max_storage_range / 16;
    uint32_t spread = 0, tokens = many ? 4 : 1, n = 0;
    struct fg_usual_tilings found = fg_tilings(d, mode);
    struct fg_tiling usual[2] = {found.one, found.many};

    if (dot && (usual[many].texel || usual[many].spread))
        usual[many] =
            (struct fg_tiling){many ? 64 : 32, many ? 1 : 4, many ? 2 : 1, tokens, 0, false};
    if (!dot && mode != FG_NUMERICS_FUSED && d->subgroup_ballot && d->subgroup_size >= 4)
        spread = d->subgroup_size >= 8 ? 8 : 4;
    add(usual[many], d, out, &n);
    /* Rows a lane for several rows, loads by texel buffers or shared by lanes. */
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t lanes = 8 * tiles[i];
        if (texel)
            add((struct fg_tiling){lanes, 1, 4, tokens, 0, true}, d, out, &n);
        if (spread)
            add((struct fg_tiling){lanes, 1, 4, tokens, spread, false}, d, out, &n);
    }
    for (uint32_t s = 0; s < 5; s++)
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t rows = many ? 2 : 1;
            add((struct fg_tiling){32 / rows * tiles[i], slices[s], rows, tokens, 0, false}, d, out,
                &n);
        }
    return n;
}

uint32_t fg_tune_choose(const double *seconds, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (seconds[i] > 0 && seconds[0] > 0 && seconds[i] < 0.97 * seconds[0] &&
            (best == 0 || seconds[i] < seconds[best]))
            best = i;
    return best;
}

/* --- what is measured --- */

/* Products of one type, for one token or many. */
struct job {
    struct fg_engine *e;
    enum fg_dtype type;
    bool many;
    struct fg_matrix matrices[MATRICES]; /* views: dense, of one part; experts: the first */
    struct fg_matrix_part parts[MATRICES];
    uint32_t n_matrices;
    struct fg_buffer *x, *y, *usual; /* usual: host, the usual tiling's result */
    struct fg_quantized_room quantized;
    struct fg_operand operand; /* of x */
    struct fg_tiling candidates[FG_TUNE_CANDIDATES];
    double seconds[FG_TUNE_CANDIDATES];
    bool dropped[FG_TUNE_CANDIDATES];
    uint32_t n;
};

static uint64_t size_of(const struct fg_matrix *m)
{
    return (uint64_t)m->parts[0].n_rows * m->k;
}

/* Adds m if it is of the type, and of the shape of those that are there, which multiply one x; a
 * larger one replaces them. */
static void offer(struct job *j, const struct fg_matrix *m)
{
    if (m->type != j->type || m->n_parts == 0)
        return;
    if (j->n_matrices && size_of(m) > size_of(&j->matrices[0]))
        j->n_matrices = 0;
    if (j->n_matrices == MATRICES || (j->n_matrices && size_of(m) < size_of(&j->matrices[0])) ||
        (j->n_matrices && m->k != j->matrices[0].k))
        return;
    struct fg_matrix *view = &j->matrices[j->n_matrices];
    struct fg_matrix_part *part = &j->parts[j->n_matrices++];
    *part = m->parts[0];
    *view = *m;
    view->n_experts = view->n_parts = 1;
    view->parts = part;
    view->n_rows = part->n_rows;
    view->y_at = 0;
}

/* The largest matrices of the type; the head and the embedding only where no layer has any. */
static void collect(struct job *j)
{
    for (uint32_t i = 0; i < j->e->hp.n_blocks; i++)
        for (uint32_t k = 0; k < FG_BLOCK_MATRICES; k++)
            offer(j, &j->e->blocks[i].matrices[k]);
    if (j->n_matrices == 0)
        offer(j, j->e->hp.tied_output ? &j->e->embd : &j->e->head);
}

static int make_buffers(struct job *j, struct fg_err *err)
{
    const struct fg_matrix *m = &j->matrices[0];
    struct fg_engine *e = j->e;
    uint32_t tokens = j->many ? MANY : 1, ldx = fg_round_up(m->k, 32), seed = 1;
    uint64_t x_floats = (uint64_t)tokens * ldx, y_floats = (uint64_t)tokens * m->n_rows;
    uint64_t q_floats = (uint64_t)tokens * fg_quantized_row(m->k);
    struct fg_buffer *staging = NULL;
    int rc = fg_buffer_create(e->device, x_floats * 4, FG_BUFFER_DEVICE, "tuning", &j->x, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, y_floats * 4, FG_BUFFER_DEVICE, "tuning", &j->y, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, y_floats * 4, FG_BUFFER_HOST, "tuning", &j->usual, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, x_floats * 4, FG_BUFFER_HOST, "tuning", &staging, err);
    if (rc == 0 && e->opt.numerics == FG_NUMERICS_INT8)
        rc = fg_buffer_create(e->device, q_floats * 4, FG_BUFFER_DEVICE, "tuning",
                              &j->quantized.buffer, err);
    if (rc == 0) {
        float *x = fg_buffer_map(staging);
        for (uint64_t i = 0; i < x_floats; i++) {
            seed = seed * 1664525u + 1013904223u; /* Numerical Recipes' generator */
            x[i] = (float)((int32_t)(seed >> 8) - (1 << 23)) / (float)(1 << 23);
        }
        fg_cmd_begin(e->ops.cmd);
        fg_cmd_copy(e->ops.cmd, staging, 0, j->x, 0, x_floats * 4);
        fg_cmd_barrier(e->ops.cmd);
        j->operand =
            fg_record_quantize(&e->ops, fg_view_of(j->x, ldx, tokens, m->k), &j->quantized);
        rc = fg_cmd_run(e->ops.cmd, err);
    }
    fg_buffer_destroy(staging);
    return rc;
}

/* One run of the products in tiling c, as often as there are matrices. */
static int run(struct job *j, uint32_t c, double (*now)(void), double *seconds, struct fg_err *err)
{
    struct fg_engine *e = j->e;
    struct fg_tiling one = e->ops.one, many = e->ops.many;
    double begun;
    int rc;
    e->ops.one = e->ops.many = j->candidates[c];
    fg_cmd_begin(e->ops.cmd);
    for (uint32_t i = 0; i < j->n_matrices; i++) {
        const struct fg_matrix *m = &j->matrices[j->n_matrices - 1 - i]; /* [0] last: compared */
        struct fg_view y = fg_view_of(j->y, m->n_rows, j->many ? MANY : 1, m->n_rows);
        fg_record_matmul(&e->ops, &(struct fg_matmul){.m = m, .x = j->operand, .y = y});
        fg_cmd_barrier(e->ops.cmd);
    }
    begun = now();
    rc = fg_cmd_run(e->ops.cmd, err);
    *seconds = now() - begun;
    e->ops.one = one;
    e->ops.many = many;
    return rc;
}

/* Whether what y holds is the usual tiling's result, which c = 0 sets. */
static int compare(struct job *j, uint32_t c, struct fg_err *err)
{
    struct fg_engine *e = j->e;
    uint64_t bytes = fg_buffer_bytes(j->usual);
    struct fg_buffer *got = j->usual;
    int rc = 0;
    if (c)
        rc = fg_buffer_create(e->device, bytes, FG_BUFFER_HOST, "tuning", &got, err);
    if (rc)
        return rc;
    fg_cmd_begin(e->ops.cmd);
    fg_cmd_copy(e->ops.cmd, j->y, 0, got, 0, bytes);
    rc = fg_cmd_run(e->ops.cmd, err);
    if (c) {
        j->dropped[c] = rc == 0 && memcmp(fg_buffer_map(got), fg_buffer_map(j->usual), bytes) != 0;
        fg_buffer_destroy(got);
    }
    return rc;
}

/* A candidate's first run compiles it and shows its bits. One that the driver cannot compile is
 * dropped, as one with other bits is; what the device itself reports is an error. */
static int try_first(struct job *j, uint32_t c, double (*now)(void), struct fg_err *err)
{
    double seconds;
    int rc = run(j, c, now, &seconds, err);
    if (rc == 0)
        return compare(j, c, err);
    if (c == 0 || rc == FG_EDEVICELOST)
        return rc;
    j->dropped[c] = true;
    return 0;
}

static int measure(struct job *j, double until, double (*now)(void), uint32_t *tried,
                   struct fg_err *err)
{
    /* Compiling may take most of the time; what was compiled is to be timed as well. */
    double begun = now(), tries_end = begun + 0.6 * (until - begun);
    int rc = 0;
    *tried = 0;
    for (uint32_t c = 0; rc == 0 && c < j->n && (c == 0 || now() < tries_end); c++) {
        rc = try_first(j, c, now, err);
        *tried = c + 1;
    }
    for (uint32_t round = 0; rc == 0 && round < ROUNDS && (round == 0 || now() < until); round++)
        for (uint32_t c = 0; rc == 0 && c < *tried; c++) {
            double seconds;
            if (j->dropped[c])
                continue;
            rc = run(j, c, now, &seconds, err);
            if (round == 0 || seconds < j->seconds[c])
                j->seconds[c] = seconds;
        }
    return rc;
}

static int tune_job(struct job *j, double until, double (*now)(void), struct fg_err *err)
{
    struct fg_engine *e = j->e;
    uint32_t best, tried;
    int rc = make_buffers(j, err);
    j->n = fg_tune_candidates(fg_device_info(e->device), e->opt.numerics,
                              e->ops.int_dot && fg_takes_quantized(&e->ops, j->type), j->many,
                              j->candidates);
    if (rc == 0)
        rc = measure(j, until, now, &tried, err);
    if (rc == 0) {
        best = fg_tune_choose(j->seconds, j->n);
        e->ops.tuned[e->ops.n_tuned++] = (struct fg_tuned){.type = j->type,
                                                           .many = j->many,
                                                           .tiling = j->candidates[best],
                                                           .usual = j->candidates[0],
                                                           .seconds = j->seconds[best],
                                                           .usual_seconds = j->seconds[0],
                                                           .tried = tried,
                                                           .candidates = j->n};
    }
    fg_buffer_destroy(j->x);
    fg_buffer_destroy(j->y);
    fg_buffer_destroy(j->usual);
    fg_buffer_destroy(j->quantized.buffer);
    return rc;
}

static bool is_tuned(const struct fg_engine *e, enum fg_dtype type)
{
    for (uint32_t i = 0; i < e->ops.n_tuned; i++)
        if (e->ops.tuned[i].type == type)
            return true;
    return false;
}

void fg_tune_forget(struct fg_engine *e)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->ops.n_tuned; i++) {
        struct job probe = {.e = e, .type = e->ops.tuned[i].type};
        collect(&probe);
        if (probe.n_matrices == 0)
            e->ops.tuned[kept++] = e->ops.tuned[i];
    }
    e->ops.n_tuned = kept;
}

int fg_tune_measure(struct fg_engine *e, double seconds, double (*now)(void),
                    void (*progress)(void *ctx, double share), void *ctx, struct fg_err *err)
{
    double begun = now();
    uint32_t jobs = 0, done = 0;
    int rc = 0;

    /* Twice through the types: first to count. */
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t type = 0; rc == 0 && type < FG_DTYPE_END; type++) {
            struct job probe = {.e = e, .type = (enum fg_dtype)type};
            collect(&probe);
            if (probe.n_matrices == 0 || is_tuned(e, probe.type) || (pass == 0 && ++jobs))
                continue;
            for (int many = 0; rc == 0 && many < 2; many++) {
                struct job *j = calloc(1, sizeof *j);
                if (!j)
                    return fg_fail(err, FG_ENOMEM, "out of memory for tuning");
                j->e = e;
                j->type = (enum fg_dtype)type;
                j->many = many;
                collect(j);
                if (progress)
                    progress(ctx, done / (2.0 * jobs));
                rc = tune_job(j, begun + seconds * ++done / (2.0 * jobs), now, err);
                free(j);
            }
        }
    if (rc == 0 && progress)
        progress(ctx, 1);
    return rc;
}
