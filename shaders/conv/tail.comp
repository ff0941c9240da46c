// What the next token's convolution reads of those before it: the last taps - 1 values of s, of this run or older.
// One invocation: a channel. Dispatch: x = ceil(channels / 64), y = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_conv_push p; };
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) buffer Tail { float tail[]; };
layout(std430, binding = 2) readonly buffer Rows { fg_chunk_row rows[]; };

void main()
{
    uint c = gl_GlobalInvocationID.x, kept = p.taps - 1u;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.y];
    if (c >= p.channels)
        return;
    // Ascending: what is read lies behind what is written.
    for (uint j = 0u; j < kept; j++) {
        uint at = j + row.n; // of the old tail, then the run
        uint from = (row.token + at - kept) * p.ldx + c;
        tail[(row.seq * kept + j) * p.channels + c] =
            at < kept ? tail[(row.seq * kept + at) * p.channels + c]
                      : fg_flush(fg_mul(x[from], x[from + 2u * p.channels]));
    }
}
