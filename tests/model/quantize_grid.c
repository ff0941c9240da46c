/* Simple roundings to IQ1, IQ2 and IQ3: a scale for 16 or 32 elements from the largest one, then
 * the grid's entry that is nearest. */
#include "quantize_grid.h"

#include <math.h>
#include <string.h>

#include "model/gguf/grid.h"

/* An element is d * (2 * scale + 1) * part * value. */
struct kind {
    uint32_t group;  /* elements that share a scale */
    uint32_t scales; /* the greatest scale */
    float part;
    int values[8]; /* of a grid's places */
};

static const struct kind *kind_of(enum fg_dtype type)
{
    static const struct kind iq1_s = {32, 7, 0.125f, {-8, 0, 8}},
                             iq1_m = {16, 7, 0.125f, {-8, 0, 8}};
    static const struct kind iq2_xxs = {32, 15, 0.125f, {8, 25, 43}},
                             iq2 = {16, 15, 0.125f, {8, 25, 43}};
    static const struct kind iq3_xxs = {32, 15, 0.25f, {4, 12, 20, 28, 36, 44, 52, 62}};
    static const struct kind iq3_s = {32, 15, 1, {1, 3, 5, 7, 9, 11, 13, 15}};

    switch (type) {
    case FG_IQ1_S: return &iq1_s;
    case FG_IQ1_M: return &iq1_m;
    case FG_IQ2_XXS: return &iq2_xxs;
    case FG_IQ3_XXS: return &iq3_xxs;
    case FG_IQ3_S: return &iq3_s;
    default: return &iq2;
    }
}

static bool is_iq1(enum fg_dtype type)
{
    return type == FG_IQ1_S || type == FG_IQ1_M;
}

/* Into bytes that are 0: v from bit `at` on. */
static void put(uint8_t *p, size_t at, uint32_t v)
{
    for (; v; v >>= 1, at++)
        p[at / 8] |= (uint8_t)((v & 1) << at % 8);
}

static int distance(const struct fg_grid *g, const struct kind *k, uint32_t a, uint32_t b)
{
    uint32_t bits = 16 / g->elems, mask = (1u << bits) - 1;
    int sum = 0;

    for (uint32_t at = 0; at < 16; at += bits) {
        int d = k->values[a >> at & mask] - k->values[b >> at & mask];

        sum += d * d;
    }
    return sum;
}

/* The entry that is nearest to the values' own nearest places. It is searched for once. */
static uint32_t nearest(enum fg_dtype type, const float *want)
{
    static uint16_t found[FG_DTYPE_END][1 << 16]; /* an entry's number + 1 */
    const struct kind *k = kind_of(type);
    struct fg_grid g = fg_grid_of(type);
    uint32_t n_values = k->values[7] ? 8 : 3, places = 0, best = 0;

    for (uint32_t e = 0; e < g.elems; e++) {
        uint32_t place = 0;

        for (uint32_t v = 1; v < n_values; v++)
            if (fabsf((float)k->values[v] - want[e]) < fabsf((float)k->values[place] - want[e]))
                place = v;
        places |= place << e * (16 / g.elems);
    }
    if (found[type][places])
        return found[type][places] - 1u;
    for (uint32_t i = 1; i < g.n; i++)
        if (distance(&g, k, g.entries[i], places) < distance(&g, k, g.entries[best], places))
            best = i;
    found[type][places] = (uint16_t)(best + 1);
    return best;
}

/* Signs of 8 elements, the negative ones of an even number: the smallest changes its sign. */
static uint32_t even_signs(const float *src, uint32_t signs)
{
    int least = 0;

    if (__builtin_popcount(signs) % 2 == 0)
        return signs;
    for (int i = 1; i < 8; i++)
        if (fabsf(src[i]) < fabsf(src[least]))
            least = i;
    return signs ^ 1u << least;
}

/* Eight elements, number e of the block's 32, in units of their scale. */
static void put_eight(enum fg_dtype type, const float *src, uint32_t e, uint8_t *dst)
{
    struct fg_grid g = fg_grid_of(type);
    uint32_t b = e / 4, l = e % 4, signs = 0, even, index, second = 0;
    float want[8];

    for (int i = 0; i < 8; i++) {
        signs |= (uint32_t)(src[i] < 0) << i;
        want[i] = is_iq1(type) ? src[i] : fabsf(src[i]);
    }
    even = even_signs(src, signs);
    index = nearest(type, want);
    if (g.elems == 4)
        second = nearest(type, want + 4);
    switch (type) {
    case FG_IQ1_S:
        put(dst + 2, 8 * e, index & 255);
        put(dst + 34 + 2 * b, 3 * l, index >> 8);
        break;
    case FG_IQ1_M:
        put(dst, 8 * e, index & 255);
        put(dst + 32, 4 * e,
            index >> 8 | (signs & 1) << 3); /* any: the eighth lies below the error */
        break;
    case FG_IQ2_XXS:
        put(dst + 2 + 8 * b, 8 * l, index);
        put(dst + 6 + 8 * b, 7 * l, even & 127);
        break;
    case FG_IQ2_XS: put(dst + 2, 16 * e, index | (even & 127) << 9); break;
    case FG_IQ2_S:
        put(dst + 2, 8 * e, index & 255);
        put(dst + 34, 8 * e, signs);
        put(dst + 66, 2 * e, index >> 8);
        break;
    case FG_IQ3_XXS:
        put(dst + 2, 16 * e, index | second << 8);
        put(dst + 66 + 4 * b, 7 * l, even & 127);
        break;
    default: /* IQ3_S */
        put(dst + 2, 16 * e, (index & 255) | (second & 255) << 8);
        put(dst + 66, 2 * e, index >> 8 | second >> 8 << 1);
        put(dst + 74, 8 * e, signs);
        break;
    }
}

/* Scale n of the block's. */
static void put_scale(enum fg_dtype type, uint32_t n, uint32_t scale, uint8_t *dst)
{
    switch (type) {
    case FG_IQ1_S: put(dst + 34 + 2 * n, 12, scale | (n % 2) << 3); break;
    case FG_IQ1_M: put(dst + 48, 16 * (n / 4) + 3 * (n % 4), scale); break;
    case FG_IQ2_XXS: put(dst + 6 + 8 * n, 28, scale); break;
    case FG_IQ2_XS: put(dst + 66, 4 * n, scale); break;
    case FG_IQ2_S: put(dst + 74, 4 * n, scale); break;
    case FG_IQ3_XXS: put(dst + 66 + 4 * n, 28, scale); break;
    default: put(dst + 106, 4 * n, scale); break; /* IQ3_S */
    }
}

static float most_of(const float *src, uint32_t n)
{
    float most = 0;

    for (uint32_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(src[i]));
    return most;
}

void gguf_quantize_grid(enum fg_dtype type, const float *src, uint8_t *dst)
{
    const struct kind *k = kind_of(type);
    float top = is_iq1(type) ? 9 : (float)(k->values[7] ? k->values[7] : k->values[2]);
    float most = (float)(2 * k->scales + 1) * k->part * top;
    uint16_t h = fg_f16_from_f32(most_of(src, 256) / most);
    float d = fg_f16_to_f32(h), scaled[8];

    if (type == FG_IQ1_M) {
        for (uint32_t i = 0; i < 4; i++)
            put(dst + 48, 16 * i + 12, h >> 4 * i & 15);
    } else {
        put(dst, 0, h);
    }
    for (uint32_t at = 0; at < 256; at += k->group) {
        float one = d * k->part, odd = one > 0 ? most_of(src + at, k->group) / (one * top) : 0;
        float scale = fminf(fmaxf(rintf((odd - 1) / 2), 0), (float)k->scales);

        put_scale(type, at / k->group, (uint32_t)scale, dst);
        for (uint32_t i = at; i < at + k->group; i += 8) {
            for (uint32_t j = 0; j < 8; j++)
                scaled[j] = one > 0 ? src[i + j] / (one * (2 * scale + 1)) : 0;
            put_eight(type, scaled, i / 8, dst);
        }
    }
}
