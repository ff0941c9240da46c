/* Blocks of 256 whose elements come out of a grid. The layouts are ggml's (block_iq2_xxs and its
 * like); b = 0..7 is a group of 32 elements, l = 0..3 its 8 elements from 8 l on. */
#include "grid.h"

#include <stddef.h>

struct fg_grid fg_grid_of(enum fg_dtype type)
{
    switch (type) {
    case FG_IQ1_S:
    case FG_IQ1_M: return (struct fg_grid){fg_grid_iq1, 2048, 8};
    case FG_IQ2_XXS: return (struct fg_grid){fg_grid_iq2_xxs, 256, 8};
    case FG_IQ2_XS: return (struct fg_grid){fg_grid_iq2_xs, 512, 8};
    case FG_IQ2_S: return (struct fg_grid){fg_grid_iq2_s, 1024, 8};
    case FG_IQ3_XXS: return (struct fg_grid){fg_grid_iq3_xxs, 256, 4};
    case FG_IQ3_S: return (struct fg_grid){fg_grid_iq3_s, 512, 4};
    default: return (struct fg_grid){0};
    }
}

uint32_t fg_grid_nibbles(const struct fg_grid *g, uint32_t i)
{
    uint32_t bits = 16 / g->elems, v = 0;

    for (uint32_t e = 0; e < g->elems; e++)
        v |= (uint32_t)(g->entries[i] >> bits * e & ((1 << bits) - 1)) << 4 * e;
    return v;
}

static uint32_t load_u16(const unsigned char *p)
{
    return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t load_u32(const unsigned char *p)
{
    return load_u16(p) | load_u16(p + 2) << 16;
}

/* 7 signs; the eighth makes the number of negative ones even. */
static uint32_t even_signs(uint32_t seven)
{
    uint32_t odd = seven ^ seven >> 4;

    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return (seven & 127) | (odd & 1) << 7;
}

/* Eight elements: places in a grid, then a value for each. */
struct eight {
    uint32_t places; /* 4 bits each */
    uint32_t signs;
    float scale;
};

static void put_eight(const struct eight *e, const int8_t values[8], float dst[8])
{
    for (int i = 0; i < 8; i++) {
        float v = (float)values[e->places >> 4 * i & 7] * e->scale;

        dst[i] = e->signs >> i & 1 ? -v : v;
    }
}

/* d * (2 * scale + 1) / 8 */
static float odd_eighths(float d, uint32_t scale)
{
    return d * (float)(2 * scale + 1) * 0.125f;
}

static void expand_iq2(enum fg_dtype type, const unsigned char *p, float *dst)
{
    static const int8_t values[8] = {8, 25, 43};
    struct fg_grid g = fg_grid_of(type);
    float d = fg_f16_to_f32((uint16_t)load_u16(p));

    for (int b = 0; b < 8; b++)
        for (int l = 0; l < 4; l++, dst += 8) {
            uint32_t index, signs, scale;

            if (type == FG_IQ2_XXS) {
                uint32_t word = load_u32(p + 2 + 8 * b + 4);

                index = p[2 + 8 * b + l];
                signs = even_signs(word >> 7 * l & 127);
                scale = word >> 28;
            } else if (type == FG_IQ2_XS) {
                uint32_t word = load_u16(p + 2 + 8 * b + 2 * l);

                index = word & 511;
                signs = even_signs(word >> 9);
                scale = p[66 + b] >> l / 2 * 4 & 15;
            } else {
                index = p[2 + 4 * b + l] | (uint32_t)(p[66 + b] >> 2 * l & 3) << 8;
                signs = p[34 + 4 * b + l];
                scale = p[74 + b] >> l / 2 * 4 & 15;
            }
            put_eight(&(struct eight){fg_grid_nibbles(&g, index), signs, odd_eighths(d, scale)},
                      values, dst);
        }
}

static void expand_iq3(enum fg_dtype type, const unsigned char *p, float *dst)
{
    static const int8_t xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62},
                        s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    struct fg_grid g = fg_grid_of(type);
    float d = fg_f16_to_f32((uint16_t)load_u16(p));

    for (int b = 0; b < 8; b++)
        for (int l = 0; l < 4; l++, dst += 8) {
            const unsigned char *q = p + 2 + 8 * b + 2 * l;
            uint32_t high = 0, signs;
            float scale;

            if (type == FG_IQ3_XXS) {
                uint32_t word = load_u32(p + 66 + 4 * b);

                signs = even_signs(word >> 7 * l & 127);
                scale = 2 * odd_eighths(d, word >> 28);
            } else {
                high = p[66 + b] >> 2 * l;
                signs = p[74 + 4 * b + l];
                scale = d * (float)(2 * (p[106 + b / 2] >> b % 2 * 4 & 15) + 1);
            }
            uint32_t first = fg_grid_nibbles(&g, q[0] | (high & 1) << 8);
            uint32_t second = fg_grid_nibbles(&g, q[1] | (high & 2) << 7);

            put_eight(&(struct eight){first | second << 16, signs, scale},
                      type == FG_IQ3_XXS ? xxs : s, dst);
        }
}

/* Eight elements -1, 0, 1, each an eighth more or less: in eighths. */
static void expand_iq1(enum fg_dtype type, const unsigned char *p, float *dst)
{
    static const int8_t more[8] = {-7, 1, 9}, less[8] = {-9, -1, 7};
    struct fg_grid g = fg_grid_of(type);
    const unsigned char *scales = p + 48; /* of IQ1_M: 4 times 16 bits, d in their highest ones */
    float d = fg_f16_to_f32((uint16_t)load_u16(p));

    if (type == FG_IQ1_M)
        d = fg_f16_to_f32((uint16_t)(scales[1] >> 4 | (scales[3] & 0xf0) | (scales[5] & 0xf0) << 4 |
                                     (scales[7] & 0xf0) << 8));
    for (int b = 0; b < 8; b++)
        for (int l = 0; l < 4; l++, dst += 8) {
            uint32_t index, scale, high;
            bool minus;

            if (type == FG_IQ1_S) {
                high = load_u16(p + 34 + 2 * b);
                index = p[2 + 4 * b + l] | (high >> 3 * l & 7) << 8;
                scale = high >> 12 & 7;
                minus = high >> 15;
            } else {
                high = p[32 + 2 * b + l / 2] >> l % 2 * 4;
                index = p[4 * b + l] | (high & 7) << 8;
                scale = load_u16(scales + b / 2 * 2) >> (b % 2 * 6 + l / 2 * 3) & 7;
                minus = high >> 3 & 1;
            }
            put_eight(&(struct eight){fg_grid_nibbles(&g, index), 0, odd_eighths(d, scale)},
                      minus ? less : more, dst);
        }
}

void fg_grid_expand(enum fg_dtype type, const unsigned char *block, float dst[256])
{
    switch (type) {
    case FG_IQ1_S:
    case FG_IQ1_M: expand_iq1(type, block, dst); break;
    case FG_IQ3_XXS:
    case FG_IQ3_S: expand_iq3(type, block, dst); break;
    default: expand_iq2(type, block, dst); break;
    }
}
