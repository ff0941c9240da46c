/* The gated delta rule in plain C, in its canonical order (docs/numerics.md): its operations, and a
 * layer of them that takes a sequence's tokens one at a time. */
#ifndef FG_REF_DELTA_H
#define FG_REF_DELTA_H

#include "ops.h"

struct fg_ref_delta_shape {
    size_t n_head_k, n_head_v; /* of q and k; of v: head p takes q and k of p % n_head_k */
    size_t d, taps;
    float eps; /* of the norm of the output */
};

struct fg_ref_delta_weights {
    const float *taps;         /* [channels][taps], channels = (2 n_head_k + n_head_v) * d */
    const float *decay, *bias; /* [n_head_v] */
    const float *norm;         /* [d] */
};

/* silu of the short convolution of one channel: x[taps] with the token's own last. */
float fg_ref_short_convolution(const float *x, const float *w, size_t taps);
/* x = (x * r) * scale, r = rsqrt(x . x + 1e-6); without a scale x * r. */
void fg_ref_l2_norm(float *x, size_t n, const float *scale);
/* The log of a token's decay. */
float fg_ref_log_decay(float alpha, float decay, float bias);

/* A chunk's rows of one head, for its token i; the log decay since the chunk's start. */
struct fg_ref_delta_chunk {
    const float *k; /* [64] rows, ld_k apart */
    const float *u;
    size_t ld_k, ld_u;
    const float *log;   /* [64] */
    const float *state; /* [d of k][d of v] at the chunk's start */
};
/* u of token i: what it adds of v (strength: of the rule). */
void fg_ref_delta_u(const struct fg_ref_delta_chunk *c, size_t i, size_t d, const float *v,
                    float strength, float *u);
/* o of token i, whose own k and u are in the rows. */
void fg_ref_delta_attend(const struct fg_ref_delta_chunk *c, size_t i, size_t d, const float *q,
                         float *o);
/* Folds a full chunk into the state. */
void fg_ref_delta_fold(const struct fg_ref_delta_chunk *c, size_t d, float *state);

/* A layer's memory of one sequence. */
struct fg_ref_delta {
    struct fg_ref_delta_shape s;
    struct fg_ref_delta_weights w;
    float *tail;      /* [taps - 1][channels] before the convolution, the latest last */
    float *k, *u;     /* [64][n_head_k][d], [64][n_head_v][d] */
    float *log_decay; /* [n_head_v][64] */
    float *state;     /* [n_head_v][d of k][d of v] */
    float *c;         /* [channels] of the present token, behind the convolution */
};
/* False: out of memory; end with fg_ref_delta_finish() all the same. */
bool fg_ref_delta_init(struct fg_ref_delta *l, const struct fg_ref_delta_shape *s,
                       const struct fg_ref_delta_weights *w);
void fg_ref_delta_reset(struct fg_ref_delta *l);
void fg_ref_delta_finish(struct fg_ref_delta *l);
/* The token at position pos: row [channels | n_head_v * d gates | n_head_v | n_head_v] of the
 * products in, y[n_head_v * d] out. */
void fg_ref_delta_token(struct fg_ref_delta *l, size_t pos, const float *row, float *y);

#endif
