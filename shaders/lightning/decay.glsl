// The decay between the tokens of a chunk: what makes lightning attention of the gated delta rule (FG_DELTA), of
// which it is the case u = v with a constant decay.
//   lightning attention: lambda^(i-j), from the host's table [head][65]
//   gated delta rule: e^(G_i - G_j), G [slot][head][64] the log of the decay since the chunk's start
#ifndef FG_DECAY_GLSL
#define FG_DECAY_GLSL

#ifdef FG_DELTA
#include "../delta/params.h"
#define FG_PUSH fg_delta_push
#else
#include "params.h"
#define FG_PUSH fg_lightning_push
#endif

layout(push_constant) uniform Push { FG_PUSH p; };
layout(std430, binding = FG_DECAY_BINDING) readonly buffer Decay { float decay[]; };

// From token j to token i >= j of the chunk; i and j at most 63.
float fg_decay(uint head, uint slot, uint i, uint j)
{
#ifdef FG_DELTA
    return fg_exp(fg_add(decay[slot * 64u + i], -decay[slot * 64u + j]));
#else
    return decay[head * 65u + i - j];
#endif
}

// From the chunk's start through token i.
float fg_decay_since(uint head, uint slot, uint i)
{
#ifdef FG_DELTA
    return fg_exp(decay[slot * 64u + i]);
#else
    return decay[head * 65u + i + 1u];
#endif
}

// Heads of q and k.
uint fg_k_heads()
{
#ifdef FG_DELTA
    return p.n_head_k;
#else
    return p.n_head;
#endif
}

uint fg_k_head(uint head)
{
#ifdef FG_DELTA
    return head % p.n_head_k;
#else
    return head;
#endif
}

#endif
