#include "canon.h"
#include "weights.h"

#include <math.h>
#include <string.h>

/* Rows and tokens are computed side by side for speed; each output's own sum keeps its order. */
enum { TILE = 32, TOKENS = 64 };

/* GCC and Clang: four outputs at a time, lane by lane the same operations. */
typedef float v4 __attribute__((vector_size(16)));

/* One block of 32 k of up to 32 rows. */
struct tile {
    v4 w[FG_REF_BLOCK][TILE / 4];   /* [k][row]; rows past the matrix are 0 */
    v4 min[FG_REF_BLOCK][TILE / 4]; /* the same of minima, for FG_REF_MINIMA only */
    float d[TILE], m[TILE];
};

static void load_tile(const struct fg_ref_matrix *w, size_t row0, size_t b, struct tile *tile)
{
    uint64_t row_bytes = fg_dtype_row_bytes(w->type, w->k);
    size_t n = w->n_rows - row0 < TILE ? w->n_rows - row0 : TILE;
    bool minima = fg_ref_form(w->type) == FG_REF_MINIMA;

    if (n < TILE)
        memset(tile, 0, sizeof *tile);
    for (size_t r = 0; r < n; r++) {
        struct fg_ref_block block;

        fg_ref_load_block(w->type, (const unsigned char *)w->rows + (row0 + r) * row_bytes, w->k, b,
                          &block);
        tile->d[r] = w->scales ? block.d * *w->scales : block.d;
        tile->m[r] = block.m;
        for (size_t i = 0; i < FG_REF_BLOCK; i++)
            tile->w[i][r / 4][r % 4] = block.q[i];
        for (size_t i = 0; minima && i < FG_REF_BLOCK; i++)
            tile->min[i][r / 4][r % 4] = block.min[i];
    }
}

/* sum[r] = the running sums of 32 products, k ascending. */
static void sum_block(v4 (*row)[TILE / 4], const float *x, float sum[TILE])
{
    v4 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
    v4 all[TILE / 4];

    for (size_t i = 0; i < FG_REF_BLOCK; i++) {
        const v4 *w = row[i];
        v4 xv = {x[i], x[i], x[i], x[i]};

        s0 = s0 + w[0] * xv;
        s1 = s1 + w[1] * xv;
        s2 = s2 + w[2] * xv;
        s3 = s3 + w[3] * xv;
        s4 = s4 + w[4] * xv;
        s5 = s5 + w[5] * xv;
        s6 = s6 + w[6] * xv;
        s7 = s7 + w[7] * xv;
    }
    all[0] = s0, all[1] = s1, all[2] = s2, all[3] = s3;
    all[4] = s4, all[5] = s5, all[6] = s6, all[7] = s7;
    memcpy(sum, all, sizeof all);
}

float fg_ref_quantize(const float x[FG_REF_BLOCK], float q[FG_REF_BLOCK])
{
    float most = 0, scale;

    for (size_t i = 0; i < FG_REF_BLOCK; i++)
        most = most < fabsf(x[i]) ? fabsf(x[i]) : most;
    scale = most == 0 ? 0 : 127.0f * fg_ref_rcp(most);
    for (size_t i = 0; i < FG_REF_BLOCK; i++)
        q[i] = (x[i] * scale + 12582912.0f) - 12582912.0f; /* 1.5 x 2^23: to a whole number */
    return fg_ref_flush(most * 7.87401575e-3f);
}

/* acc[r] += the block's sum, scaled as its type is. int8: x is quantized first. */
static void add_block(enum fg_ref_form form, bool int8, struct tile *tile, const float *from,
                      float acc[TILE])
{
    float x[FG_REF_BLOCK], sum[TILE], min_sum[TILE], x_sum = 0, d = 1;

    /* Whole numbers below 2^24: any order gives their sums. */
    if (int8)
        d = fg_ref_quantize(from, x);
    else
        memcpy(x, from, sizeof x);
    sum_block(tile->w, x, sum);
    for (size_t r = 0; int8 && r < TILE; r++)
        sum[r] = d * sum[r];
    switch (form) {
    case FG_REF_PLAIN:
        for (size_t r = 0; r < TILE; r++)
            acc[r] = acc[r] + sum[r];
        break;
    case FG_REF_SCALED:
        for (size_t r = 0; r < TILE; r++)
            acc[r] = acc[r] + tile->d[r] * sum[r];
        break;
    case FG_REF_MINIMUM:
        for (size_t i = 0; i < FG_REF_BLOCK; i++)
            x_sum = x_sum + x[i];
        x_sum = int8 ? d * x_sum : x_sum;
        for (size_t r = 0; r < TILE; r++)
            acc[r] = acc[r] + (tile->d[r] * sum[r] + tile->m[r] * x_sum);
        break;
    case FG_REF_MINIMA:
        sum_block(tile->min, x, min_sum);
        for (size_t r = 0; int8 && r < TILE; r++)
            min_sum[r] = d * min_sum[r];
        for (size_t r = 0; r < TILE; r++)
            acc[r] = acc[r] + (tile->d[r] * sum[r] + tile->m[r] * min_sum[r]);
        break;
    }
}

/* One tile of rows times up to TOKENS rows of x. */
static void multiply_tile(const struct fg_ref_matrix *w, size_t row0, const float *x, size_t ldx,
                          size_t n_tokens, float total[TOKENS][TILE])
{
    size_t n_blocks = (w->k + FG_REF_BLOCK - 1) / FG_REF_BLOCK;
    enum fg_ref_form form = fg_ref_form(w->type);
    bool int8 = w->int8 && form != FG_REF_PLAIN && w->type != FG_NVFP4;
    float acc[TOKENS][TILE];
    struct tile tile;

    memset(total, 0, n_tokens * sizeof *total);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t k0 = b * FG_REF_BLOCK, n = w->k - k0 < FG_REF_BLOCK ? w->k - k0 : FG_REF_BLOCK;
        bool slice_ends = b % FG_REF_SLICE == FG_REF_SLICE - 1 || b + 1 == n_blocks;

        if (b % FG_REF_SLICE == 0)
            memset(acc, 0, n_tokens * sizeof *acc);
        load_tile(w, row0, b, &tile);
        for (size_t t = 0; t < n_tokens; t++) {
            float xb[FG_REF_BLOCK] = {0};

            memcpy(xb, x + t * ldx + k0, n * sizeof *xb);
            add_block(form, int8, &tile, xb, acc[t]);
            for (size_t r = 0; slice_ends && r < TILE; r++)
                total[t][r] = total[t][r] + acc[t][r];
        }
    }
}

void fg_ref_matmul(const struct fg_ref_matrix *w, struct fg_ref_rows x, size_t n_tokens,
                   const struct fg_ref_residual *residual, float *y, size_t ldy)
{
    float total[TOKENS][TILE];

    for (size_t t0 = 0; t0 < n_tokens; t0 += TOKENS) {
        size_t nt = n_tokens - t0 < TOKENS ? n_tokens - t0 : TOKENS;

        for (size_t row0 = 0; row0 < w->n_rows; row0 += TILE) {
            size_t nr = w->n_rows - row0 < TILE ? w->n_rows - row0 : TILE;

            multiply_tile(w, row0, x.rows + t0 * x.ld, x.ld, nt, total);
            for (size_t t = 0; t < nt; t++)
                for (size_t r = 0; r < nr; r++) {
                    float v = total[t][r];

                    if (residual)
                        v = residual->alpha * residual->rows[(t0 + t) * residual->ld + row0 + r] +
                            v;
                    y[(t0 + t) * ldy + row0 + r] = fg_ref_flush(v);
                }
        }
    }
}

void fg_ref_embed(const struct fg_ref_matrix *w, uint32_t id, float scale, float *y)
{
    const unsigned char *row =
        (const unsigned char *)w->rows + id * fg_dtype_row_bytes(w->type, w->k);
    enum fg_ref_form form = fg_ref_form(w->type);
    struct fg_ref_block block;

    for (size_t k = 0; k < w->k; k++) {
        size_t i = k % FG_REF_BLOCK;

        if (i == 0)
            fg_ref_load_block(w->type, row, w->k, k / FG_REF_BLOCK, &block);
        if (i == 0 && w->scales)
            block.d = block.d * *w->scales;
        y[k] = block.q[i];
        if (form != FG_REF_PLAIN)
            y[k] = block.d * y[k];
        if (form == FG_REF_MINIMUM)
            y[k] = y[k] + block.m;
        if (form == FG_REF_MINIMA)
            y[k] = y[k] + block.m * block.min[i];
        y[k] = fg_ref_flush(scale * y[k]);
    }
}
