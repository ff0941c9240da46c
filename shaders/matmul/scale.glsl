// acc[t * ROWS + j] += a block's sums, scaled as its type is: the end of block.glsl and block_dot.glsl. Uses sum,
// x_sum or min_sum.
    [[unroll]] for (uint j = 0u; j < ROWS; j++) {
#if FG_SCALED == 1
        float d = FG_SCALE(held[j], scale[j], scale_d[j], b);
        [[unroll]] for (uint t = 0u; t < TOKENS; t++)
            acc[t * ROWS + j] = fg_madd(acc[t * ROWS + j], d, sum[t * ROWS + j]);
#elif FG_SCALED != 0
        vec2 dm = FG_SCALE(held[j], scale[j], scale_d[j], b);
        [[unroll]] for (uint t = 0u; t < TOKENS; t++) {
#if FG_SCALED == 2
            float minimum = x_sum[t];
#else
            float minimum = min_sum[t * ROWS + j];
#endif
            float scaled = fg_madd(fg_mul(dm.x, sum[t * ROWS + j]), dm.y, minimum);
            acc[t * ROWS + j] = fg_add(acc[t * ROWS + j], scaled);
        }
#else
        [[unroll]] for (uint t = 0u; t < TOKENS; t++)
            acc[t * ROWS + j] = fg_add(acc[t * ROWS + j], sum[t * ROWS + j]);
#endif
    }
