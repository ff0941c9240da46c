#include "delta.h"

#include "canon.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float fg_ref_short_convolution(const float *x, const float *w, size_t taps)
{
    float sum = 0;

    for (size_t j = 0; j < taps; j++)
        sum = sum + w[j] * x[j];
    return fg_ref_flush(fg_ref_silu(sum));
}

void fg_ref_l2_norm(float *x, size_t n, const float *scale)
{
    float r = fg_ref_rsqrt(fg_ref_dot(x, x, n) + 1e-6f);

    for (size_t i = 0; i < n; i++)
        x[i] = fg_ref_flush(scale ? (x[i] * r) * *scale : x[i] * r);
}

float fg_ref_log_decay(float alpha, float decay, float bias)
{
    return fg_ref_flush(decay * fg_ref_softplus(alpha + bias));
}

void fg_ref_delta_u(const struct fg_ref_delta_chunk *c, size_t i, size_t d, const float *v,
                    float strength, float *u)
{
    const float *k = c->k + i * c->ld_k;
    float m[FG_REF_CHUNK], since = fg_ref_exp(c->log[i]);

    for (size_t j = 0; j < i; j++)
        m[j] =
            fg_ref_flush(fg_ref_exp(c->log[i] - c->log[j]) * fg_ref_dot(k, c->k + j * c->ld_k, d));
    for (size_t e = 0; e < d; e++) {
        float before = 0, within = 0, left;

        for (size_t a = 0; a < d; a++)
            before = before + k[a] * c->state[a * d + e];
        left = fg_ref_flush(v[e] - since * before);
        for (size_t j = 0; j < i; j++)
            within = within + m[j] * c->u[j * c->ld_u + e];
        u[e] = fg_ref_flush(strength * (left - within));
    }
}

void fg_ref_delta_attend(const struct fg_ref_delta_chunk *c, size_t i, size_t d, const float *q,
                         float *o)
{
    const struct fg_ref_chunk_rows rows = {c->k, c->u, c->ld_k, c->ld_u, i + 1};
    float to[FG_REF_CHUNK];

    for (size_t j = 0; j <= i; j++)
        to[j] = fg_ref_exp(c->log[i] - c->log[j]);
    fg_ref_recurrent_attend(q, &rows, c->state, &(struct fg_ref_decay){to, fg_ref_exp(c->log[i])},
                            d, o);
}

void fg_ref_delta_fold(const struct fg_ref_delta_chunk *c, size_t d, float *state)
{
    const struct fg_ref_chunk_rows rows = {c->k, c->u, c->ld_k, c->ld_u, FG_REF_CHUNK};
    float to[FG_REF_CHUNK], last = c->log[FG_REF_CHUNK - 1];

    for (size_t j = 0; j < FG_REF_CHUNK; j++)
        to[j] = fg_ref_exp(last - c->log[j]);
    fg_ref_recurrent_fold(state, &rows, &(struct fg_ref_decay){to, fg_ref_exp(last)}, d);
}

/* --- a layer --- */

static size_t channels(const struct fg_ref_delta_shape *s)
{
    return (2 * s->n_head_k + s->n_head_v) * s->d;
}

static float *floats(size_t n)
{
    return calloc(n + 1, sizeof(float));
}

bool fg_ref_delta_init(struct fg_ref_delta *l, const struct fg_ref_delta_shape *s,
                       const struct fg_ref_delta_weights *w)
{
    *l = (struct fg_ref_delta){.s = *s, .w = *w};
    l->tail = floats((s->taps - 1) * channels(s));
    l->k = floats(FG_REF_CHUNK * s->n_head_k * s->d);
    l->u = floats(FG_REF_CHUNK * s->n_head_v * s->d);
    l->log_decay = floats(FG_REF_CHUNK * s->n_head_v);
    l->state = floats(s->n_head_v * s->d * s->d);
    l->c = floats(channels(s));
    return l->tail && l->k && l->u && l->log_decay && l->state && l->c;
}

void fg_ref_delta_reset(struct fg_ref_delta *l)
{
    memset(l->tail, 0, (l->s.taps - 1) * channels(&l->s) * sizeof(float));
    memset(l->state, 0, l->s.n_head_v * l->s.d * l->s.d * sizeof(float));
}

void fg_ref_delta_finish(struct fg_ref_delta *l)
{
    free(l->tail);
    free(l->k);
    free(l->u);
    free(l->log_decay);
    free(l->state);
    free(l->c);
}

/* row behind the convolution to l->c; the tail moves on. */
static void convolve(struct fg_ref_delta *l, const float *row)
{
    size_t n = channels(&l->s), before = l->s.taps - 1;

    for (size_t ch = 0; ch < n; ch++) {
        float x[16];

        for (size_t j = 0; j < before; j++)
            x[j] = l->tail[j * n + ch];
        x[before] = row[ch];
        l->c[ch] = fg_ref_short_convolution(x, l->w.taps + ch * l->s.taps, l->s.taps);
    }
    memmove(l->tail, l->tail + n, (before - 1) * n * sizeof(float));
    memcpy(l->tail + (before - 1) * n, row, n * sizeof(float));
}

/* (o * r) * w * silu(gate) of one head. */
static void gate(const struct fg_ref_delta *l, const float *o, const float *g, float *y)
{
    float inv_n = (float)(1.0 / (double)l->s.d);
    float r = fg_ref_rsqrt(fg_ref_dot(o, o, l->s.d) * inv_n + l->s.eps);

    for (size_t e = 0; e < l->s.d; e++)
        y[e] = fg_ref_flush(((o[e] * r) * l->w.norm[e]) * fg_ref_silu(g[e]));
}

static void head(struct fg_ref_delta *l, size_t p, size_t i, const float *row, float *y)
{
    const struct fg_ref_delta_shape *s = &l->s;
    size_t d = s->d, kh = p % s->n_head_k, n_k = s->n_head_k * d, n_v = s->n_head_v * d;
    const float *gates = row + channels(s), *alpha = gates + n_v, *beta = alpha + s->n_head_v;
    float *log = l->log_decay + p * FG_REF_CHUNK, o[FG_REF_HEAD_DIM_MAX];
    const struct fg_ref_delta_chunk chunk = {.k = l->k + kh * d,
                                             .u = l->u + p * d,
                                             .ld_k = n_k,
                                             .ld_u = n_v,
                                             .log = log,
                                             .state = l->state + p * d * d};

    log[i] = fg_ref_flush((i ? log[i - 1] : 0) +
                          fg_ref_log_decay(alpha[p], l->w.decay[p], l->w.bias[p]));
    fg_ref_delta_u(&chunk, i, d, l->c + 2 * n_k + p * d, fg_ref_flush(fg_ref_sigmoid(beta[p])),
                   l->u + i * n_v + p * d);
    fg_ref_delta_attend(&chunk, i, d, l->c + kh * d, o);
    gate(l, o, gates + p * d, y + p * d);
    if (i == FG_REF_CHUNK - 1)
        fg_ref_delta_fold(&chunk, d, l->state + p * d * d);
}

void fg_ref_delta_token(struct fg_ref_delta *l, size_t pos, const float *row, float *y)
{
    const struct fg_ref_delta_shape *s = &l->s;
    size_t i = pos % FG_REF_CHUNK, n_k = s->n_head_k * s->d;
    float scale = (float)(1.0 / sqrt((double)s->d));

    convolve(l, row);
    for (size_t h = 0; h < s->n_head_k; h++) {
        fg_ref_l2_norm(l->c + h * s->d, s->d, &scale);
        fg_ref_l2_norm(l->c + n_k + h * s->d, s->d, NULL);
    }
    memcpy(l->k + i * n_k, l->c + n_k, n_k * sizeof(float));
    for (size_t p = 0; p < s->n_head_v; p++)
        head(l, p, i, row, y);
}
