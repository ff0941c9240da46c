// Two partial softmax results (m, l, o) in ascending order of keys:
//   M = max(m1, m2), c1 = e^(m1 - M), c2 = e^(m2 - M), l = l1 c1 + l2 c2, o = o1 c1 + o2 c2
#ifndef FG_MERGE_GLSL
#define FG_MERGE_GLSL

struct fg_merge_factors {
    float m, c1, c2;
};

fg_merge_factors fg_merge(float m1, float m2)
{
    fg_merge_factors f;
    f.m = m1 < m2 ? m2 : m1;
    precise float d1 = m1 - f.m;
    precise float d2 = m2 - f.m;
    f.c1 = fg_exp(d1);
    f.c2 = fg_exp(d2);
    return f;
}

float fg_merge_value(fg_merge_factors f, float a1, float a2)
{
    precise float v = a1 * f.c1 + a2 * f.c2;
    return v;
}

// The first position that a token sees.
uint fg_first_key(uint pos, uint window)
{
    return pos < window ? 0u : pos - window + 1u;
}

#endif
