// The fixed tree of 64 partial sums: lane i adds lane i + 32, then + 16, ... , + 1.
// For workgroups of 64; every lane gets the sum.
#ifndef FG_SUM64_GLSL
#define FG_SUM64_GLSL

shared float fg_tree[64];

float fg_sum64(float partial)
{
    uint lane = gl_LocalInvocationID.x;
    fg_tree[lane] = partial;
    barrier();
    for (uint s = 32u; s > 0u; s >>= 1) {
        if (lane < s) {
            precise float v = fg_tree[lane] + fg_tree[lane + s];
            fg_tree[lane] = v;
        }
        barrier();
    }
    return fg_tree[0];
}

#endif
