// What block b has to itself of the quants of this lane's ROWS rows, q and bits: the beginning of block.glsl and
// block_dot.glsl.
#if FG_QW
    uvec4 q[ROWS][FG_QW];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        [[unroll]] for (uint w = 0u; w < FG_QW; w++)
            q[j][w] = FG_WEIGHT(quant_row + (b * FG_QW + w) * 32u + j * LANES_A_TILE);
#endif
#if FG_SW
    uvec4 bits[ROWS];
    [[unroll]] for (uint j = 0u; j < ROWS; j++)
        bits[j] = FG_BITS(held[j], scale[j], b);
#endif
