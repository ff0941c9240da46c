// The K best of each row, in descending order, the lower index first on a tie; so that no whole vocabulary need leave the
// device. A pass takes segments of 1024 apart; the next one takes what all of them gave, until it is one segment.
//   in:  FIRST 1: rows of f32, element i has index i;  0: rows of (bits of f32, index)
//   out: per segment K pairs (bits, index), then (1 if anything was NaN or +infinity else 0, 0), which the next pass
//        hands on. Where fewer than K are left: (-infinity, 0xffffffff).
// Comparisons are of integers: the bits, with the order of the numbers they stand for.
// Dispatch: x = segments, y = rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_best_push p; };
layout(std430, binding = 0) readonly buffer In { uint source[]; };
layout(std430, binding = 1) writeonly buffer Out { uvec2 best[]; };

const uint NONE = 0u, LOWEST = 0xff800000u; // -infinity
shared uint keys[FG_C_BEST_SEGMENT], ids[FG_C_BEST_SEGMENT];
shared uint lane_best[64], lane_at[64], lane_bad[64];

uint key_of(uint bits)
{
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

uint bits_of(uint key)
{
    return (key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key;
}

bool better(uint a, uint b)
{
    return keys[a] > keys[b] || (keys[a] == keys[b] && ids[a] < ids[b]);
}

// The best of this lane's elements: lane, lane + 64, ...
void scan(uint lane)
{
    uint at = lane;
    for (uint i = lane + 64u; i < FG_C_BEST_SEGMENT; i += 64u)
        at = better(i, at) ? i : at;
    lane_at[lane] = at;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, row = gl_WorkGroupID.y, bad = 0u;
    for (uint i = lane; i < FG_C_BEST_SEGMENT; i += 64u) {
        uint from = gl_WorkGroupID.x * FG_C_BEST_SEGMENT + i, bits = LOWEST;
        keys[i] = NONE;
        ids[i] = from;
        if (from >= p.n)
            continue;
        if (p.first != 0u) {
            bits = source[row * p.ld_in + from];
        } else if (from % (p.k + 1u) == p.k) {
            bad |= source[2u * (row * p.ld_in + from)];
            continue;
        } else {
            bits = source[2u * (row * p.ld_in + from)];
            ids[i] = source[2u * (row * p.ld_in + from) + 1u];
        }
        bad |= (bits & 0x7f800000u) == 0x7f800000u && bits != LOWEST ? 1u : 0u;
        keys[i] = key_of(bits);
    }
    lane_bad[lane] = bad;
    scan(lane);
    uint out_at = row * p.ld_out + gl_WorkGroupID.x * (p.k + 1u);
    for (uint r = 0u; r < p.k; r++) {
        uint mine = lane_at[lane];
        lane_best[lane] = mine;
        barrier();
        for (uint s = 32u; s > 0u; s >>= 1) {
            if (lane < s)
                lane_best[lane] = better(lane_best[lane + s], lane_best[lane]) ? lane_best[lane + s] : lane_best[lane];
            barrier();
        }
        uint at = lane_best[0];
        if (lane == 0u)
            best[out_at + r] =
                keys[at] == NONE ? uvec2(LOWEST, 0xffffffffu) : uvec2(bits_of(keys[at]), ids[at]);
        barrier();
        if (mine == at) {
            keys[at] = NONE;
            scan(lane);
        }
        barrier();
    }
    if (lane == 0u) {
        for (uint i = 1u; i < 64u; i++)
            bad |= lane_bad[i];
        best[out_at + p.k] = uvec2(bad, 0u);
    }
}
