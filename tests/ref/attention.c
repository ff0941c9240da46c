#include "canon.h"
#include "ops.h"

float fg_ref_dot(const float *a, const float *b, size_t d)
{
    float part[4] = {0};

    for (size_t i = 0; i < d; i++)
        part[i % 4] = part[i % 4] + a[i] * b[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* A softmax over some of the keys: o / l is its result, m the greatest score. */
struct partial {
    float m, l, o[FG_REF_HEAD_DIM_MAX];
};

/* Takes in a tile of n <= 64 keys. */
static void add_tile(struct partial *p, const float *q, const struct fg_ref_keys *tile, size_t d,
                     float scale)
{
    const float *k = tile->k, *v = tile->v;
    size_t n = tile->n, ld = tile->ld;
    float s[FG_REF_CHUNK], max = p->m, sum = 0, keep;

    for (size_t j = 0; j < n; j++) {
        s[j] = fg_ref_dot(q, k + j * ld, d) * scale;
        max = max < s[j] ? s[j] : max;
    }
    keep = fg_ref_exp(p->m - max);
    for (size_t j = 0; j < n; j++) {
        s[j] = fg_ref_exp(s[j] - max);
        sum = sum + s[j];
    }
    p->m = max;
    p->l = p->l * keep + sum;
    for (size_t i = 0; i < d; i++) {
        float o = 0;

        for (size_t j = 0; j < n; j++)
            o = o + s[j] * v[j * ld + i];
        p->o[i] = p->o[i] * keep + o;
    }
}

/* a: the earlier keys; becomes both. */
static void merge(struct partial *a, const struct partial *b, size_t d)
{
    float max = a->m < b->m ? b->m : a->m;
    float ca = fg_ref_exp(a->m - max), cb = fg_ref_exp(b->m - max);

    a->m = max;
    a->l = a->l * ca + b->l * cb;
    for (size_t i = 0; i < d; i++)
        a->o[i] = a->o[i] * ca + b->o[i] * cb;
}

/* The keys of a tile, from position `at` to its end or that of all keys. */
static struct fg_ref_keys tile_at(const struct fg_ref_keys *keys, size_t at)
{
    size_t n = FG_REF_CHUNK - at % FG_REF_CHUNK;

    return (struct fg_ref_keys){keys->k + at * keys->ld, keys->v + at * keys->ld, keys->ld,
                                keys->n - at < n ? keys->n - at : n};
}

void fg_ref_attend(const float *q, const struct fg_ref_keys *keys,
                   const struct fg_ref_attention *how, float *o)
{
    struct partial all = {.m = FG_REF_LOWEST}, part = all;
    size_t first = how->window && how->window < keys->n ? keys->n - how->window : 0;
    float inv;

    for (size_t at = first, end; at < keys->n; at = end) {
        struct fg_ref_keys tile = tile_at(keys, at);

        end = at + tile.n;
        if (at % FG_REF_SEGMENT == 0)
            part = (struct partial){.m = FG_REF_LOWEST}; /* starts afresh */
        add_tile(&part, q, &tile, how->d, how->scale);
        if (end % FG_REF_SEGMENT != 0 && end != keys->n)
            continue;
        if (at / FG_REF_SEGMENT == first / FG_REF_SEGMENT)
            all = part;
        else
            merge(&all, &part, how->d);
    }
    if (how->sink)
        merge(&all, &(struct partial){.m = *how->sink, .l = 1}, how->d);
    inv = fg_ref_rcp(all.l);
    for (size_t i = 0; i < how->d; i++)
        o[i] = fg_ref_flush(all.o[i] * inv);
}

void fg_ref_recurrent_attend(const float *q, const struct fg_ref_chunk_rows *rows,
                             const float *state, const struct fg_ref_decay *decay, size_t d,
                             float *o)
{
    float w[FG_REF_CHUNK];

    for (size_t j = 0; j < rows->n; j++)
        w[j] = decay->to[j] * fg_ref_dot(q, rows->k + j * rows->ld_k, d);
    for (size_t e = 0; e < d; e++) {
        float before = 0, within = 0;

        for (size_t c = 0; c < d; c++)
            before = before + q[c] * state[c * d + e];
        for (size_t j = 0; j < rows->n; j++)
            within = within + w[j] * rows->u[j * rows->ld_u + e];
        o[e] = fg_ref_flush(decay->since * before + within);
    }
}

void fg_ref_recurrent_fold(float *state, const struct fg_ref_chunk_rows *rows,
                           const struct fg_ref_decay *decay, size_t d)
{
    for (size_t c = 0; c < d; c++)
        for (size_t e = 0; e < d; e++) {
            float sum = 0;

            for (size_t j = 0; j < rows->n; j++)
                sum = sum +
                      (decay->to[j] * rows->k[j * rows->ld_k + c]) * rows->u[j * rows->ld_u + e];
            state[c * d + e] = fg_ref_flush(decay->since * state[c * d + e] + sum);
        }
}

/* lambda^(n - 1 - j) for row j of n. */
static void constant_decay(const float decay[FG_REF_CHUNK + 1], size_t n, float to[FG_REF_CHUNK])
{
    for (size_t j = 0; j < n; j++)
        to[j] = decay[n - 1 - j];
}

void fg_ref_lightning_attend(const float *q, const struct fg_ref_keys *keys, const float *state,
                             const float decay[FG_REF_CHUNK + 1], size_t d, float *o)
{
    const struct fg_ref_chunk_rows rows = {keys->k, keys->v, keys->ld, keys->ld, keys->n};
    float to[FG_REF_CHUNK];

    constant_decay(decay, keys->n, to);
    fg_ref_recurrent_attend(q, &rows, state, &(struct fg_ref_decay){to, decay[keys->n]}, d, o);
}

void fg_ref_lightning_fold(float *state, const struct fg_ref_keys *chunk,
                           const float decay[FG_REF_CHUNK + 1], size_t d)
{
    const struct fg_ref_chunk_rows rows = {chunk->k, chunk->v, chunk->ld, chunk->ld, FG_REF_CHUNK};
    float to[FG_REF_CHUNK];

    constant_decay(decay, FG_REF_CHUNK, to);
    fg_ref_recurrent_fold(state, &rows, &(struct fg_ref_decay){to, decay[FG_REF_CHUNK]}, d);
}
