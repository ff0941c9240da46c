// What the next token's convolution reads of those before it: the last taps - 1 rows, of this run or older.
//   tail [slot][taps - 1][channels], the latest last
// One invocation: 4 channels. Dispatch: x = ceil(channels/4 / 64), y = chunk rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Push { fg_delta_push p; };
layout(std430, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, binding = 1) buffer Tail { vec4 tail[]; };
layout(std430, binding = 2) readonly buffer Rows { fg_chunk_row rows[]; };

void main()
{
    uint channels4 = (2u * p.n_head_k + p.n_head) * p.head_dim / 4u;
    uint c = gl_GlobalInvocationID.x;
    fg_chunk_row row = rows[p.row0 + gl_WorkGroupID.y];
    if (c >= channels4)
        return;
    uint kept = p.taps - 1u;
    // Ascending: what is read lies behind what is written.
    for (uint j = 0u; j < kept; j++) {
        uint from = j + row.n; // of the old tail, then the run
        tail[(row.seq * kept + j) * channels4 + c] =
            from < kept ? tail[(row.seq * kept + from) * channels4 + c]
                        : x[(row.token + from - kept) * (p.ldx / 4u) + c];
    }
}
