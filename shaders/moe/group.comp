// Groups (token, rank) pairs by expert, in ascending order, into tiles of up to tile_tokens pairs of one expert.
//   pairs: pair indices grouped by expert; tiles: (expert, first in pairs, count, 0), unused ones have count 0
// One workgroup; lane = expert, + 64, ... Table rows: n_pairs / tile_tokens + min(n_expert, n_pairs).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_group_push p; };
layout(std430, binding = 0) readonly buffer Experts { uint experts[]; };
layout(std430, binding = 1) writeonly buffer Pairs { uint pairs[]; };
layout(std430, binding = 2) writeonly buffer Tiles { uvec4 tiles[]; };

shared uint counts[1024], pair_at[1024], tile_at[1024];
shared uint n_tiles;

void main()
{
    uint lane = gl_LocalInvocationID.x;
    for (uint e = lane; e < p.n_expert; e += 64u) {
        uint n = 0u;
        for (uint i = 0u; i < p.n_pairs; i++)
            n += experts[i] == e ? 1u : 0u;
        counts[e] = n;
    }
    barrier();
    if (lane == 0u) {
        uint pair = 0u, tile = 0u;
        for (uint e = 0u; e < p.n_expert; e++) {
            pair_at[e] = pair;
            tile_at[e] = tile;
            pair += counts[e];
            tile += (counts[e] + p.tile_tokens - 1u) / p.tile_tokens;
        }
        n_tiles = tile;
    }
    barrier();
    for (uint e = lane; e < p.n_expert; e += 64u) {
        uint at = pair_at[e];
        for (uint i = 0u; i < p.n_pairs; i++)
            if (experts[i] == e)
                pairs[at++] = i;
        for (uint i = 0u; i < counts[e]; i += p.tile_tokens)
            tiles[tile_at[e] + i / p.tile_tokens] =
                uvec4(e, pair_at[e] + i, min(p.tile_tokens, counts[e] - i), 0u);
    }
    uint bound = p.n_pairs / p.tile_tokens + min(p.n_expert, p.n_pairs);
    for (uint i = n_tiles + lane; i < bound; i += 64u)
        tiles[i] = uvec4(0u);
}
