/* Every shader operation as one plain C function: the formula in its canonical order, and nothing
 * of how a GPU spreads the work. A shader in the mode `exact` gives the same bits
 * (docs/numerics.md).
 *
 * Matrices of activations are rows of floats; ld* are row strides in floats. Outputs are flushed as
 * the shaders flush them. Pure functions of their arguments, any thread; nothing is allocated.
 * Arguments are trusted: these serve tests. */
#ifndef FG_REF_OPS_H
#define FG_REF_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/gguf/dtype.h"
#include "ops/swiglu.h"

enum {
    FG_REF_CHUNK = 64,      /* tokens of a chunk, keys of a tile */
    FG_REF_SEGMENT = 512,   /* keys of a softmax attention segment */
    FG_REF_BLOCK = 32,      /* k of a weight block */
    FG_REF_SLICE = 4,       /* weight blocks of a slice */
    FG_REF_NORM_PARTS = 64, /* partial sums of a norm */
    FG_REF_HEAD_DIM_MAX = 512,
};

/* sum (a - b)^2 / sum b^2 */
double fg_ref_nmse(const float *a, const float *b, size_t n);

/* --- weights: matmul.c --- */

/* Plain GGUF rows, one after the other, of k elements each. k need not be a multiple of 32 where
 * the type allows that. */
struct fg_ref_matrix {
    enum fg_dtype type;
    const void *rows; /* [n_rows] rows of fg_dtype_row_bytes(type, k), any alignment */
    size_t k, n_rows;
    bool int8;           /* the mode int8, where the type is quantized */
    const float *scales; /* NVFP4: of each expert; NULL: 1 */
};

struct fg_ref_rows {
    const float *rows; /* the first */
    size_t ld;
};

/* y = alpha * rows + W x. */
struct fg_ref_residual {
    const float *rows;
    size_t ld;
    float alpha;
};

/* 32 activations as whole numbers -127..127 (in f32); returns their scale. */
float fg_ref_quantize(const float x[FG_REF_BLOCK], float q[FG_REF_BLOCK]);
/* y[t][r] = sum_k W[r][k] x[t][k], plus the residual unless that is NULL. y may be the residual's
 * rows, not x. */
void fg_ref_matmul(const struct fg_ref_matrix *w, struct fg_ref_rows x, size_t n_tokens,
                   const struct fg_ref_residual *residual, float *y, size_t ldy);
/* y[k] = scale * row `id` of w: d * q (+ m, or + m * min), or the element itself. */
void fg_ref_embed(const struct fg_ref_matrix *w, uint32_t id, float scale, float *y);

/* --- rows: rows.c --- */

/* Of n columns. */
struct fg_ref_norm {
    const float *w;
    size_t n;
    float eps;
};
/* y[i] = (x[i] * r) * w[i], r = rsqrt(sum of x^2 * inv_n + eps), inv_n = (float)(1.0 / n). y may be
 * x. */
void fg_ref_rmsnorm(const float *x, const float *w, size_t n, float eps, float *y);
/* y[i] = sigmoid(g[i]) * ((o[i] * r) * w[i]), r as for the norm, of o. y may be o or g. */
void fg_ref_gate(const float *o, const float *g, const float *w, size_t n, float eps, float *y);
/* g[i] = silu(g[i]) * u[i], or by another gate. */
void fg_ref_swiglu(enum fg_ffn_gate kind, float *g, const float *u, size_t n);
/* x[i] = alpha * x[i] + (y[i] * r) * w[i], r as for the norm, of y. */
void fg_ref_norm_add(float *x, float alpha, const float *y, const struct fg_ref_norm *norm);
/* x[i] = silu(x[i]): q, k and v of lightning attention. */
void fg_ref_silu_rows(float *x, size_t n);
/* One head: x[0..rope_dim) rotated, the rest of x[head_dim] only flushed. cos_sin: [rope_dim /
 * 2][2]. neox: element i pairs with i + rope_dim / 2; else 2i with 2i + 1. */
void fg_ref_rope(float *x, size_t head_dim, size_t rope_dim, bool neox, const float *cos_sin);
/* One head before its rotation: the RMS norm of x[d], by four partial sums. */
void fg_ref_head_norm(float *x, const float *w, size_t d, float eps);
/* x[i] = x[i] + b[i] in each row of n; b may be NULL: nothing is added. */
void fg_ref_bias(float *x, const float *b, size_t n, size_t n_rows);
/* x[i] = x[i] * sigmoid(g[i]) */
void fg_ref_sigmoid_rows(float *x, const float *g, size_t n);
/* x[i] = x[i] * sigmoid(s) */
void fg_ref_scale_row(float *x, float s, size_t n);
/* The n_used best of n_expert experts, and their weights, in rank order. */
struct fg_ref_choice {
    size_t n_expert, n_used;
    uint32_t *experts; /* [n_used] out */
    float *weights;    /* [n_used] out */
};
/* By the softmax of the logits, or with a bias[n_expert] by sigmoid plus bias. The logits are
 * overwritten. */
void fg_ref_route(float *logits, const float *bias, const struct fg_ref_choice *c);
/* x[i] = alpha * residual[i] + sum over ranks of weights[rank] * y[rank][i]. One row of a residual;
 * x may be that row. */
void fg_ref_combine(struct fg_ref_rows y, const float *weights, size_t n_used,
                    const struct fg_ref_residual *residual, size_t n, float *x);

/* --- attention: attention.c. One token and one head each. --- */

/* n >= 1 rows k + j * ld and v + j * ld of d floats, the token's own last. */
struct fg_ref_keys {
    const float *k, *v;
    size_t ld, n;
};

/* How a head attends. */
struct fg_ref_attention {
    size_t d; /* <= FG_REF_HEAD_DIM_MAX */
    float scale;
    size_t window;     /* the last keys that count; 0: all do */
    const float *sink; /* one more score, of no value; or NULL */
};
/* o[d] = softmax(scale * q K^T) V. The rows hold what the cache holds, already rounded to its type.
 */
void fg_ref_attend(const float *q, const struct fg_ref_keys *keys,
                   const struct fg_ref_attention *how, float *o);
/* Four partial sums over d mod 4, (0 + 1) + (2 + 3). */
float fg_ref_dot(const float *a, const float *b, size_t d);
/* n <= 64 rows of a chunk: k + j * ld_k, and u + j * ld_u. */
struct fg_ref_chunk_rows {
    const float *k, *u;
    size_t ld_k, ld_u, n;
};
/* Decays to the present token: to[j] from row j, `since` from the chunk's start. */
struct fg_ref_decay {
    const float *to;
    float since;
};
/* o = since * (q S) + sum over rows of (to[j] * (q . k_j)) u_j */
void fg_ref_recurrent_attend(const float *q, const struct fg_ref_chunk_rows *rows,
                             const float *state, const struct fg_ref_decay *decay, size_t d,
                             float *o);
/* S = since * S + sum over the rows of (to[j] * k_j) u_j^T */
void fg_ref_recurrent_fold(float *state, const struct fg_ref_chunk_rows *rows,
                           const struct fg_ref_decay *decay, size_t d);
/* Those two of lightning attention, where u is v and the decay constant. The last token of `keys`,
 * the first n <= 64 of its chunk: q[d], state [d of k][d of v] at the chunk's start, decay[n] =
 * lambda^n. */
void fg_ref_lightning_attend(const float *q, const struct fg_ref_keys *keys, const float *state,
                             const float decay[FG_REF_CHUNK + 1], size_t d, float *o);
/* Folds a full chunk of 64 rows into the state. */
void fg_ref_lightning_fold(float *state, const struct fg_ref_keys *chunk,
                           const float decay[FG_REF_CHUNK + 1], size_t d);

#endif
