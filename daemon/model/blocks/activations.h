/* Where a step's activations lie, which its blocks take turns in: rows of the step's tokens, each a
 * multiple of 32 floats long. */
#ifndef FG_ACTIVATIONS_H
#define FG_ACTIVATIONS_H

#include "ops/ops.h"
#include "ops/rope_kv.h"
#include "ops/step_tables.h"
#include "ops/view.h"

struct fg_activations {
    struct fg_buffer *x, *n; /* the stream, and the normed input of a block */
    struct fg_buffer *qkv, *rotated, *attn, *gate, *gated;
    struct fg_buffer *system, *strength; /* of the gated delta rule */
    struct fg_buffer *ff_gate, *ff_up, *ff_down;
    struct fg_quantized_room quantized; /* of the mode int8 */
    struct fg_buffer *router, *experts, *expert_weights, *pairs, *pair_tiles;
    struct fg_buffer *partial; /* segments of softmax attention */
};

/* The most that any block needs. */
struct fg_activation_needs {
    uint32_t qkv, heads, gate; /* floats of a token; gate: 0 where no block has one */
    uint32_t system, strength; /* of a token; 0: no block is of the gated delta rule */
    uint32_t ff, ff_down;      /* of a token, all of its experts together */
    uint32_t router;           /* of a token */
    uint32_t pairs;            /* experts of a token */
    bool apart;                /* a gate and its up are always two matrices */
    uint32_t n_expert;
    uint64_t quantized;     /* floats of a token's widest input as quantized */
    struct fg_heads attend; /* softmax attention with the largest partial results; 0 heads: none */
};

/* *most = max(*most, n) */
void fg_need(uint32_t *most, uint32_t n);
/* rows inputs of products a token, of k columns each. */
void fg_need_operand(struct fg_activation_needs *n, uint32_t rows, uint32_t k);

/* The rows of a step's tokens in one of the buffers, k columns, whole blocks of 32 apart. */
static inline struct fg_view fg_activation_rows(struct fg_buffer *b, uint32_t rows, uint32_t k)
{
    return fg_view_of(b, fg_round_up(k, 32), rows, k);
}

#endif
