#include "canon.h"
#include "ops.h"

/* 1 / sqrt(mean of x^2 + eps): 64 interleaved partial sums, added up by halves. */
static float inverse_rms(const float *x, size_t n, float eps)
{
    float inv_n = (float)(1.0 / (double)n);
    float part[FG_REF_NORM_PARTS] = {0};

    for (size_t i = 0; i < n; i++) {
        float *p = &part[i % FG_REF_NORM_PARTS];

        *p = *p + x[i] * x[i];
    }
    for (size_t half = FG_REF_NORM_PARTS / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            part[i] = part[i] + part[i + half];
    return fg_ref_rsqrt(part[0] * inv_n + eps);
}

double fg_ref_nmse(const float *a, const float *b, size_t n)
{
    double diff = 0, power = 0;

    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        power += (double)b[i] * b[i];
    }
    return diff / power;
}

void fg_ref_rmsnorm(const float *x, const float *w, size_t n, float eps, float *y)
{
    float r = inverse_rms(x, n, eps);

    for (size_t i = 0; i < n; i++)
        y[i] = fg_ref_flush((x[i] * r) * w[i]);
}

void fg_ref_gate(const float *o, const float *g, const float *w, size_t n, float eps, float *y)
{
    float r = inverse_rms(o, n, eps);

    for (size_t i = 0; i < n; i++)
        y[i] = fg_ref_flush(fg_ref_sigmoid(g[i]) * ((o[i] * r) * w[i]));
}

static float at_most(float x, float most)
{
    return x > most ? most : x;
}

static float gated(enum fg_ffn_gate kind, float g, float u)
{
    if (kind == FG_GATE_SILU)
        return fg_ref_silu(g) * u;
    if (kind == FG_GATE_GELU)
        return fg_ref_gelu(g) * u;
    g = at_most(g, 7);
    u = at_most(u, 7);
    u = u < -7 ? -7 : u;
    return (g * fg_ref_sigmoid(1.702f * g)) * (u + 1);
}

void fg_ref_swiglu(enum fg_ffn_gate kind, float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g[i] = fg_ref_flush(gated(kind, g[i], u[i]));
}

void fg_ref_norm_add(float *x, float alpha, const float *y, const struct fg_ref_norm *norm)
{
    float r = inverse_rms(y, norm->n, norm->eps);

    for (size_t i = 0; i < norm->n; i++)
        x[i] = fg_ref_flush(alpha * x[i] + (y[i] * r) * norm->w[i]);
}

void fg_ref_silu_rows(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fg_ref_flush(fg_ref_silu(x[i]));
}

void fg_ref_rope(float *x, size_t head_dim, size_t rope_dim, bool neox, const float *cos_sin)
{
    size_t n = rope_dim / 2;

    for (size_t i = 0; i < n; i++) {
        float *first = neox ? &x[i] : &x[2 * i];
        float *second = neox ? &x[i + n] : &x[2 * i + 1];
        float c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
        float y0 = *first * c - *second * s;
        float y1 = *first * s + *second * c;

        *first = y0;
        *second = y1;
    }
    for (size_t i = 0; i < head_dim; i++)
        x[i] = fg_ref_flush(x[i]);
}

void fg_ref_head_norm(float *x, const float *w, size_t d, float eps)
{
    float inv_n = (float)(1.0 / (double)d);
    float r = fg_ref_rsqrt(fg_ref_dot(x, x, d) * inv_n + eps);

    for (size_t i = 0; i < d; i++)
        x[i] = fg_ref_flush((x[i] * r) * w[i]);
}

void fg_ref_bias(float *x, const float *b, size_t n, size_t n_rows)
{
    for (size_t i = 0; b && i < n * n_rows; i++)
        x[i] = fg_ref_flush(x[i] + b[i % n]);
}

void fg_ref_sigmoid_rows(float *x, const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fg_ref_flush(x[i] * fg_ref_sigmoid(g[i]));
}

void fg_ref_scale_row(float *x, float s, size_t n)
{
    float weight = fg_ref_sigmoid(s);

    for (size_t i = 0; i < n; i++)
        x[i] = fg_ref_flush(weight * x[i]);
}

static void softmax(float *x, size_t n)
{
    float max = x[0], sum = 0, inv;

    for (size_t i = 1; i < n; i++)
        max = max < x[i] ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = fg_ref_exp(x[i] - max);
        sum = sum + x[i];
    }
    inv = fg_ref_rcp(sum);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * inv;
}

/* What an expert of probability p is compared by; those that are taken lie below all others. */
static float rank_of(float p, const float *bias, size_t e)
{
    if (!bias)
        return p;
    return p < 0 ? FG_REF_LOWEST : p + bias[e];
}

void fg_ref_route(float *logits, const float *bias, const struct fg_ref_choice *c)
{
    float chosen = 0, scale;

    if (!bias)
        softmax(logits, c->n_expert);
    for (size_t e = 0; bias && e < c->n_expert; e++)
        logits[e] = fg_ref_sigmoid(logits[e]);
    for (size_t r = 0; r < c->n_used; r++) {
        size_t best = 0;

        for (size_t e = 1; e < c->n_expert; e++)
            if (rank_of(logits[e], bias, e) > rank_of(logits[best], bias, best))
                best = e; /* the lower index on a tie */
        c->experts[r] = (uint32_t)best;
        c->weights[r] = logits[best];
        chosen = chosen + logits[best];
        logits[best] = -2; /* below every probability: taken */
    }
    scale = fg_ref_rcp(chosen);
    for (size_t r = 0; r < c->n_used; r++)
        c->weights[r] = fg_ref_flush(c->weights[r] * scale);
}

void fg_ref_combine(struct fg_ref_rows y, const float *weights, size_t n_used,
                    const struct fg_ref_residual *residual, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;

        for (size_t r = 0; r < n_used; r++)
            sum = sum + weights[r] * y.rows[r * y.ld + i];
        x[i] = fg_ref_flush(residual->alpha * residual->rows[i] + sum);
    }
}
