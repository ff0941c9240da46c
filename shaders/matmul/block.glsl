// One block of 32 k for this lane's ROWS rows and TOKENS tokens: acc[t * ROWS + j] += W x.
// Included in the loop of matmul.comp; uses quant_row, b, held, scale, scale_d, x_row, acc.
{
#include "block_load.glsl"
#ifdef FG_PARTS
    vec4 parts[ROWS];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        parts[j] = FG_PARTS(scale[j], scale_d[j], b);
#define FG_VALUES(j, g) fg_mul4(FG_EXPAND(q[j], bits[j], g), parts[j][(g) / 4])
#else
#define FG_VALUES(j, g) FG_EXPAND(q[j], bits[j], g)
#endif
    float sum[TOKENS * ROWS];
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        sum[i] = 0.0;
#if FG_SCALED == 2
    float x_sum[TOKENS];
    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        x_sum[t] = 0.0;
#define FG_ADD_X(t, xv) \
    x_sum[t] = fg_add(fg_add(fg_add(fg_add(x_sum[t], xv.x), xv.y), xv.z), xv.w);
#else
#define FG_ADD_X(t, xv)
#endif
#if FG_SCALED == 3
    float min_sum[TOKENS * ROWS];
    [[unroll]] for (uint i = 0u; i < TOKENS * ROWS; i++)
        min_sum[i] = 0.0;
// Four products at a time: one factor is common to them, and SPIRV-Tools (SwiftShader runs it), having lost
// `precise` on the copies of an unrolled loop's body, makes m * a + m * b of scalars m * (a + b).
#define FG_ADD_MIN(t, j, g, xv)                                                  \
    {                                                                            \
        vec4 mx = fg_mul4(xv, parts[j][2 + (g) / 4]);                            \
        float s = fg_add(fg_add(min_sum[t * ROWS + j], mx.x), mx.y);             \
        min_sum[t * ROWS + j] = fg_add(fg_add(s, mx.z), mx.w);                   \
    }
#else
#define FG_ADD_MIN(t, j, g, xv)
#endif

#ifdef FG_SUBGROUP
    vec4 x_lane[TOKENS * (8u / SPREAD)];
    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        [[unroll]] for (uint i = 0u; i < 8u / SPREAD; i++)
            x_lane[t * (8u / SPREAD) + i] =
                FG_X_AT(x_row[t] + b * 8u + i * SPREAD + gl_SubgroupInvocationID % SPREAD);
#define FG_X(t, g) subgroupBroadcast(x_lane[t * (8u / SPREAD) + (g) / SPREAD], (g) % SPREAD)
#elif defined(FG_TEXEL)
    // All of the block's x first: a fetch is a call there, which the sums in registers would not outlive.
    vec4 x_block[TOKENS * 8u];
    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            x_block[t * 8u + i] = FG_X_AT(x_row[t] + b * 8u + i);
#define FG_X(t, g) x_block[t * 8u + (g)]
#else
#define FG_X(t, g) FG_X_AT(x_row[t] + b * 8u + (g))
#endif

#define FG_GROUP(g)                                                              \
    {                                                                            \
        vec4 wv[ROWS];                                                           \
        [[unroll]] for (uint j = 0u; j < ROWS; j++)                              \
            wv[j] = FG_VALUES(j, g);                                             \
        [[unroll]] for (uint t = 0u; t < TOKENS; t++) {                          \
            vec4 xv = FG_X(t, g);                                                \
            FG_ADD_X(t, xv)                                                      \
            [[unroll]] for (uint j = 0u; j < ROWS; j++) {                        \
                sum[t * ROWS + j] = fg_madd(sum[t * ROWS + j], wv[j].x, xv.x);   \
                sum[t * ROWS + j] = fg_madd(sum[t * ROWS + j], wv[j].y, xv.y);   \
                sum[t * ROWS + j] = fg_madd(sum[t * ROWS + j], wv[j].z, xv.z);   \
                sum[t * ROWS + j] = fg_madd(sum[t * ROWS + j], wv[j].w, xv.w);   \
                FG_ADD_MIN(t, j, g, xv)                                          \
            }                                                                    \
        }                                                                        \
    }
    FG_GROUP(0)
    FG_GROUP(1)
    FG_GROUP(2)
    FG_GROUP(3)
    FG_GROUP(4)
    FG_GROUP(5)
    FG_GROUP(6)
    FG_GROUP(7)

#if FG_SCALED != 0
    if (INT8 != 0u)
        [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
            float d = fg_component(x_scale[t], b);
#if FG_SCALED == 2
            x_sum[t] = fg_mul(d, x_sum[t]);
#endif
            [[unroll]] for (uint j = 0u; j < ROWS; j++) {
                sum[t * ROWS + j] = fg_mul(d, sum[t * ROWS + j]);
#if FG_SCALED == 3
                min_sum[t * ROWS + j] = fg_mul(d, min_sum[t * ROWS + j]);
#endif
            }
        }
#endif
#include "scale.glsl"
#undef FG_GROUP
#undef FG_X
#undef FG_ADD_X
#undef FG_ADD_MIN
#undef FG_VALUES
}
