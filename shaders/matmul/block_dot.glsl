// One block of 32 k by integer dot products, for this lane's ROWS rows and TOKENS tokens of bytes:
// acc[t * ROWS + j] += W x. Included in the loop of matmul.comp, as block.glsl, whose sums it gives: they are whole
// numbers below 2^24, so exact as f32.
{
#include "block_load.glsl"
#ifdef FG_PARTS
    ivec4 parts[ROWS];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        parts[j] = ivec4(FG_PARTS(scale[j], scale_d[j], b));
#endif
    uvec4 x_word[TOKENS * 2];
    [[unroll]] for (uint i = 0u; i < TOKENS * 2u; i++)
        x_word[i] = x[x_row[i / 2u] + b * 2u + i % 2u];

    int dot_sum[TOKENS * ROWS];
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        dot_sum[i] = 0;
#if FG_SCALED == 3
    int dot_min[TOKENS * ROWS];
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        dot_min[i] = 0;
#endif
#if FG_SCALED >= 2
    int dot_x[TOKENS];
    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        dot_x[t] = 0;
#endif
    // Halves of 16 elements: what K-quants scale by themselves.
#define FG_HALF(h)                                                                              \
    {                                                                                           \
        uvec4 w[ROWS];                                                                          \
        [[unroll]] for (uint j = 0u; j < ROWS; j++)                                             \
            w[j] = uvec4(FG_PACKED(q[j], bits[j], 4 * h), FG_PACKED(q[j], bits[j], 4 * h + 1),   \
                         FG_PACKED(q[j], bits[j], 4 * h + 2), FG_PACKED(q[j], bits[j], 4 * h + 3)); \
        [[unroll]] for (uint t = 0u; t < TOKENS; t++) {                                         \
            uvec4 xw = x_word[t * 2u + h];                                                      \
            FG_HALF_X(t, xw)                                                                    \
            [[unroll]] for (uint j = 0u; j < ROWS; j++) {                                       \
                dot_sum[t * ROWS + j] += FG_HALF_PART(j, h) * fg_dot16(w[j], xw);               \
                FG_HALF_MIN(t, j, h)                                                            \
            }                                                                                   \
        }                                                                                       \
    }
#ifdef FG_PARTS
#define FG_HALF_PART(j, h) parts[j][h]
#else
#define FG_HALF_PART(j, h) 1
#endif
#if FG_SCALED == 3
#define FG_HALF_X(t, xw) dot_x[t] = fg_dot16(uvec4(0x01010101u), xw);
#define FG_HALF_MIN(t, j, h) dot_min[t * ROWS + j] += parts[j][2 + h] * dot_x[t];
#elif FG_SCALED == 2
#define FG_HALF_X(t, xw) dot_x[t] += fg_dot16(uvec4(0x01010101u), xw);
#define FG_HALF_MIN(t, j, h)
#else
#define FG_HALF_X(t, xw)
#define FG_HALF_MIN(t, j, h)
#endif
    FG_HALF(0)
    FG_HALF(1)

    float sum[TOKENS * ROWS];
#if FG_SCALED == 2
    float x_sum[TOKENS];
#elif FG_SCALED == 3
    float min_sum[TOKENS * ROWS];
#endif
    [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
        float d = fg_component(x_scale[t], b);
#if FG_SCALED == 2
        x_sum[t] = fg_mul(d, float(dot_x[t]));
#endif
        [[unroll]] for (uint j = 0u; j < ROWS; j++) {
            sum[t * ROWS + j] = fg_mul(d, float(dot_sum[t * ROWS + j]));
#if FG_SCALED == 3
            min_sum[t * ROWS + j] = fg_mul(d, float(dot_min[t * ROWS + j]));
#endif
        }
    }
#include "scale.glsl"
#undef FG_HALF
#undef FG_HALF_PART
#undef FG_HALF_X
#undef FG_HALF_MIN
}
