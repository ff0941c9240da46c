// A short convolution between two gates. A row of products is B, C and X of all channels:
//   s = B * X;  y = C * (sum over j of w[ch][j] * s[t - taps + 1 + j][ch]), j ascending; before the run s is the tail
//   tail [slot][taps - 1][channels], the latest last;  w [channels][taps]
// One invocation: a channel of a token. Dispatch: x = ceil(channels / 64), y = tokens of a run at most, z = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "../lib/canon.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_conv_push p; };
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Tail { float tail[]; };
layout(std430, binding = 2) readonly buffer W { float w[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 4) readonly buffer Rows { fg_chunk_row rows[]; };

void main()
{
    uint c = gl_GlobalInvocationID.x, i = gl_WorkGroupID.y, kept = p.taps - 1u;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.z];
    if (c >= p.channels || i >= row.n)
        return;
    float sum = 0.0;
    for (uint j = 0u; j < p.taps; j++) {
        uint at = i + j; // behind the tail's first
        uint from = (row.token + at - kept) * p.ldx + c;
        float s = at < kept ? tail[(row.seq * kept + at) * p.channels + c]
                            : fg_flush(fg_mul(x[from], x[from + 2u * p.channels]));
        sum = fg_madd(sum, w[c * p.taps + j], s);
    }
    uint token = row.token + i;
    y[token * p.ldy + c] = fg_flush(fg_mul(x[token * p.ldx + p.channels + c], sum));
}
