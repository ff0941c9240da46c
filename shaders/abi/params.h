/* Structs shared by C and GLSL: push constants and rows of parameter buffers. 4-byte scalars only, so
 * that both sides lay them out alike. In GLSL define FG_GLSL before including. */
#ifndef FG_PARAMS_H
#define FG_PARAMS_H

#ifdef FG_GLSL
#define FG_ABI_U32 uint
#define FG_ABI_F32 float
#else
#include <stdint.h>
#define FG_ABI_U32 uint32_t
#define FG_ABI_F32 float
#endif

/* Fixed by the numerics contract; changing one changes the kernel order version. */
#define FG_C_CHUNK 64u        /* tokens of a chunk, a KV page, a key tile */
#define FG_C_BLOCK 32u        /* k elements of a weight block */
#define FG_C_SLICE_BLOCKS 4u  /* weight blocks of a slice: 128 k */
#define FG_C_TILE_ROWS 32u    /* rows of a weight tile */
#define FG_C_SEGMENT_TILES 8u /* key tiles of an attention segment: 512 keys */
#define FG_C_NORM_LANES 64u   /* partial sums of a norm */

/* Units of 16 bytes of a row of nb blocks that is quantized for the mode int8 (shaders/matmul/quantize.comp):
 * whole numbers as f32, or as bytes; then the scales of 4 blocks each. */
#define FG_C_WIDE_ROW(nb) ((nb) * 8u + ((nb) + 3u) / 4u)
#define FG_C_BYTE_ROW(nb) ((nb) * 2u + ((nb) + 3u) / 4u)

/* One token of a step. */
struct fg_token_row {
    FG_ABI_U32 id;   /* vocabulary id */
    FG_ABI_U32 pos;  /* absolute position */
    FG_ABI_U32 seq;  /* row of the page table, slot of the lightning state */
    FG_ABI_U32 pad;
};

/* One run of tokens of one sequence inside one chunk, for lightning attention. */
struct fg_chunk_row {
    FG_ABI_U32 token; /* first row of the step */
    FG_ABI_U32 n;     /* tokens, 1..64 */
    FG_ABI_U32 first; /* position of the first inside its chunk */
    FG_ABI_U32 seq;   /* state slot */
};

struct fg_repack_push {
    FG_ABI_U32 k;        /* row length, elements */
    FG_ABI_U32 row_bytes; /* of the raw rows */
    FG_ABI_U32 n_rows;   /* raw rows in this upload, all of one matrix (expert) */
    FG_ABI_U32 row0;     /* their first row, a multiple of 32 */
    FG_ABI_U32 tile0;    /* tile of row 0 of the matrix in the destination */
    FG_ABI_U32 n_blocks; /* blocks of 32 in a row, rounded up */
    FG_ABI_U32 scale_at; /* uvec4 index of the scale area in the destination */
    FG_ABI_U32 src_at;   /* byte offset of the first row in the source */
    FG_ABI_U32 tile_rows; /* rows that go to one tile: 32, or 16 of each of two matrices */
    FG_ABI_U32 slot0;    /* where in a tile they begin: 0, or 16 */
};

struct fg_embed_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 k, ldy;
    FG_ABI_U32 n_blocks, scale_at;
    FG_ABI_U32 row0, n_rows; /* vocabulary rows of this part */
};

struct fg_norm_push {
    FG_ABI_U32 n_rows, n; /* n elements a row */
    FG_ABI_U32 ldx, ldy;
    FG_ABI_U32 gather; /* 1: row i of y comes from row index[i] of x */
    FG_ABI_F32 inv_n, eps;
};

struct fg_matmul_push {
    FG_ABI_U32 n_tokens; /* rows of x; MoE: unused */
    FG_ABI_U32 n_rows;   /* rows of y from this part (MoE: from one expert) */
    FG_ABI_U32 n_blocks; /* blocks of 32 in k */
    FG_ABI_U32 scale_at; /* uvec4 index of the scale area */
    FG_ABI_U32 ldx4;     /* x row stride in vec4, of the mode int8 in its own units of 16 bytes */
    FG_ABI_U32 ldy;      /* y row stride in floats */
    FG_ABI_U32 y_at;     /* column of y of this part's first row */
    FG_ABI_U32 ldr;      /* residual row stride */
    FG_ABI_U32 residual; /* 1: y = alpha * r + W x */
    FG_ABI_F32 alpha;
    FG_ABI_U32 expert0, n_experts; /* MoE: experts of this part */
    FG_ABI_U32 x_div;    /* MoE: row of x = pair / x_div */
};

struct fg_quantize_push {
    FG_ABI_U32 n_rows;
    FG_ABI_U32 n_blocks; /* blocks of 32 in a row */
    FG_ABI_U32 ldx4;     /* x row stride in vec4 */
};

struct fg_rope_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 n_head, n_head_kv, head_dim, rope_dim;
    FG_ABI_U32 neox;
    FG_ABI_U32 ld;         /* row stride of qkv */
    FG_ABI_U32 max_pages;  /* row length of the page table */
};

struct fg_attend_push {
    FG_ABI_U32 n_tokens;
    FG_ABI_U32 n_head, n_head_kv, head_dim;
    FG_ABI_U32 ldq, ldo;
    FG_ABI_U32 max_pages;
    FG_ABI_U32 n_segments; /* 0: whole rows at once; else one segment a workgroup, partial results */
    FG_ABI_U32 group0;     /* first row of groups */
    FG_ABI_F32 scale;
};

struct fg_merge_push {
    FG_ABI_U32 n_tokens, n_head, head_dim, ldo, n_segments;
};

struct fg_lightning_push {
    FG_ABI_U32 row0; /* first fg_chunk_row of this round */
    FG_ABI_U32 n_head, head_dim;
    FG_ABI_U32 ldx;  /* row stride of qkv */
    FG_ABI_U32 ldo;  /* row stride of the output */
};

struct fg_gate_push {
    FG_ABI_U32 n_tokens, n, ldo, ldg, ldy;
    FG_ABI_F32 inv_n, eps;
};

struct fg_swiglu_push {
    FG_ABI_U32 n_rows, n, ld;
};

struct fg_route_push {
    FG_ABI_U32 n_tokens, n_expert, n_used, ld;
};

struct fg_group_push {
    FG_ABI_U32 n_pairs, n_expert, tile_tokens;
};

struct fg_combine_push {
    FG_ABI_U32 n_tokens, n, n_used, ldy, ldr, ldx;
    FG_ABI_F32 alpha;
};

struct fg_combine_norm_push {
    FG_ABI_U32 n_tokens, n, n_used, ld;
    FG_ABI_F32 alpha, inv_n, eps;
};

/* Elements that a workgroup of sample/best.comp takes; no sum depends on it. */
#define FG_C_BEST_SEGMENT 1024u

struct fg_best_push {
    FG_ABI_U32 n;             /* elements of a row */
    FG_ABI_U32 k;             /* how many are wanted */
    FG_ABI_U32 ld_in, ld_out; /* row strides: in elements, in pairs */
    FG_ABI_U32 first;         /* 1: elements are f32, else pairs */
};

struct fg_bench_copy_push {
    FG_ABI_U32 n;     /* uvec4, a multiple of 512 */
    FG_ABI_U32 store; /* 0: only the loads */
    FG_ABI_U32 never; /* a word that does not come up */
};

struct fg_bench_madd_push {
    FG_ABI_U32 n; /* rounds */
    FG_ABI_F32 a, b;
};

#endif
