// The experts of a token: p = softmax(logits), the n_used largest (lower index first on a tie), divided by
// their sum. m = max; p_e = e^(l_e - m) / sum, sums ascend in e; the chosen are summed in rank order.
// FG_BIASED: p = sigmoid(logits), and what is compared is p_e + bias_e.
// Out: experts [token * n_used + rank], weights likewise. A single token's experts all differ, so it is grouped for the
// products here: pair r in a tile of its own. One invocation a token. Dispatch: x = ceil(tokens / 8).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 8) in;
layout(push_constant) uniform Push { fg_route_push p; };
layout(std430, binding = 0) buffer Logits { float logits[]; }; // becomes p
layout(std430, binding = 1) writeonly buffer Experts { uint experts[]; };
layout(std430, binding = 2) buffer Weights { float weights[]; };
layout(std430, binding = 3) writeonly buffer Pairs { uint pairs[]; };
layout(std430, binding = 4) writeonly buffer Tiles { uvec4 tiles[]; };

#ifdef FG_BIASED
layout(std430, binding = 5) readonly buffer Bias { float bias[]; };

void probabilities(uint at)
{
    for (uint e = 0u; e < p.n_expert; e++)
        logits[at + e] = fg_sigmoid(logits[at + e]);
}

// What expert e is compared by; those that are taken lie below all others.
float rank_of(uint at, uint e)
{
    float v = logits[at + e];
    return v < 0.0 ? FG_LOWEST : fg_add(v, bias[e]);
}
#else
void probabilities(uint at)
{
    float m = logits[at];
    for (uint e = 1u; e < p.n_expert; e++)
        m = m < logits[at + e] ? logits[at + e] : m;
    precise float sum = 0.0;
    for (uint e = 0u; e < p.n_expert; e++) {
        precise float d = logits[at + e] - m;
        float v = fg_exp(d);
        logits[at + e] = v;
        sum = sum + v;
    }
    float inv = fg_rcp(sum);
    for (uint e = 0u; e < p.n_expert; e++) {
        precise float v = logits[at + e] * inv;
        logits[at + e] = v;
    }
}

float rank_of(uint at, uint e)
{
    return logits[at + e];
}
#endif

void main()
{
    uint t = gl_GlobalInvocationID.x;
    if (t >= p.n_tokens)
        return;
    uint at = t * p.ld;
    probabilities(at);
    precise float chosen = 0.0;
    for (uint r = 0u; r < p.n_used; r++) {
        uint best = 0u;
        float most = FG_LOWEST;
        for (uint e = 0u; e < p.n_expert; e++) {
            float v = rank_of(at, e);
            if (v > most) {
                most = v;
                best = e;
            }
        }
        float high = logits[at + best];
        logits[at + best] = -2.0; // taken
        experts[t * p.n_used + r] = best;
        weights[t * p.n_used + r] = high;
        if (p.n_tokens == 1u) {
            pairs[r] = r;
            tiles[r] = uvec4(best, r, 1u, 0u);
        }
        chosen = chosen + high;
    }
    float scale = fg_rcp(chosen);
    for (uint r = 0u; r < p.n_used; r++) {
        precise float v = weights[t * p.n_used + r] * scale;
        weights[t * p.n_used + r] = fg_flush(v);
    }
}
