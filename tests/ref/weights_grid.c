/* What a block of these types says of element i of its part b, field by field, and then the values:
 * q is a whole number, times that of its half; d takes the eighths. */
#include "weights_grid.h"
#include "canon.h"
#include "model/gguf/grid.h"

/* Of one element. */
struct field {
    size_t index; /* of the grid's entry */
    size_t nth;   /* element of that entry */
    bool minus;   /* negative; of IQ1, an eighth less instead of more */
    int scale;    /* 3 or 4 bits */
};

bool fg_ref_has_grid(enum fg_dtype type)
{
    return fg_grid_of(type).n > 0;
}

/* n bits from bit `at` on, across bytes. */
static size_t bits_at(const unsigned char *p, size_t at, size_t n)
{
    size_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (size_t)(p[(at + i) / 8] >> (at + i) % 8 & 1) << i;
    return v;
}

/* Sign i of 8, of which 7 are written from bit `at` on: their number is even. */
static bool even_sign(const unsigned char *p, size_t at, size_t i)
{
    size_t seven = bits_at(p, at, 7), count = 0;

    if (i < 7)
        return seven >> i & 1;
    for (size_t j = 0; j < 7; j++)
        count += seven >> j & 1;
    return count % 2;
}

static struct field field_of(enum fg_dtype type, const unsigned char *p, size_t b, size_t i)
{
    size_t e = 4 * b + i / 8, four = 8 * b + i / 4, half = 2 * b + i / 16; /* of the block's */
    struct field f = {.nth = i % 8};

    switch (type) {
    case FG_IQ1_S:
        f.index = p[2 + e] | bits_at(p + 34 + 2 * b, 3 * (i / 8), 3) << 8;
        f.scale = (int)bits_at(p + 34 + 2 * b, 12, 3);
        f.minus = bits_at(p + 34 + 2 * b, 15, 1);
        break;
    case FG_IQ1_M:
        f.index = p[e] | bits_at(p + 32, 4 * e, 3) << 8;
        f.scale = (int)bits_at(p + 48, 16 * (half / 4) + 3 * (half % 4), 3);
        f.minus = bits_at(p + 32, 4 * e + 3, 1);
        break;
    case FG_IQ2_XXS:
        f.index = p[2 + 8 * b + i / 8];
        f.scale = (int)bits_at(p + 2 + 8 * b, 60, 4);
        f.minus = even_sign(p + 2 + 8 * b, 32 + 7 * (i / 8), i % 8);
        break;
    case FG_IQ2_XS:
        f.index = bits_at(p + 2, 16 * e, 9);
        f.scale = (int)bits_at(p + 66, 4 * half, 4);
        f.minus = even_sign(p + 2, 16 * e + 9, i % 8);
        break;
    case FG_IQ2_S:
        f.index = p[2 + e] | bits_at(p + 66, 2 * e, 2) << 8;
        f.scale = (int)bits_at(p + 74, 4 * half, 4);
        f.minus = bits_at(p + 34, 8 * e + i % 8, 1);
        break;
    case FG_IQ3_XXS:
        f = (struct field){p[2 + four], i % 4, even_sign(p + 66 + 4 * b, 7 * (i / 8), i % 8),
                           (int)bits_at(p + 66 + 4 * b, 28, 4)};
        break;
    default: /* IQ3_S */
        f = (struct field){p[2 + four] | bits_at(p + 66, four, 1) << 8, i % 4,
                           bits_at(p + 74, 8 * e + i % 8, 1), (int)bits_at(p + 106, 4 * b, 4)};
        break;
    }
    return f;
}

/* The value that stands in a grid for the number v. */
static int value_of(enum fg_dtype type, int v, bool minus)
{
    static const int iq2[] = {8, 25, 43}, xxs[] = {4, 12, 20, 28, 36, 44, 52, 62};
    int value;

    if (type == FG_IQ1_S || type == FG_IQ1_M)
        return 8 * (v - 1) + (minus ? -1 : 1);
    value = type == FG_IQ3_S ? 2 * v + 1 : type == FG_IQ3_XXS ? xxs[v] : iq2[v];
    return minus ? -value : value;
}

static float d_of(enum fg_dtype type, const unsigned char *p)
{
    size_t h = bits_at(p, 0, 16);

    if (type == FG_IQ1_M) {
        h = 0;
        for (size_t i = 0; i < 4; i++)
            h |= bits_at(p + 48, 16 * i + 12, 4) << 4 * i;
    }
    return fg_ref_f16_expand((uint16_t)h);
}

void fg_ref_load_grid(enum fg_dtype type, const unsigned char *p, size_t b,
                      struct fg_ref_block *out)
{
    struct fg_grid g = fg_grid_of(type);
    bool halves = type == FG_IQ1_M || type == FG_IQ2_XS || type == FG_IQ2_S;
    float d = d_of(type, p);

    for (size_t i = 0; i < FG_REF_BLOCK; i++) {
        struct field f = field_of(type, p, b, i);
        size_t bits = 16 / g.elems;
        int v = g.entries[f.index] >> bits * f.nth & ((1 << bits) - 1);

        out->q[i] = (float)(value_of(type, v, f.minus) * (halves ? 2 * f.scale + 1 : 1));
    }
    out->d = d * (halves ? 1 : (float)(2 * field_of(type, p, b, 0).scale + 1));
    if (type == FG_IQ3_XXS)
        out->d *= 0.25f;
    else if (type != FG_IQ3_S)
        out->d *= 0.125f;
}
