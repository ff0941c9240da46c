/* What the files behind engine.h share. */
#ifndef FG_ENGINE_PRIV_H
#define FG_ENGINE_PRIV_H

#include "engine.h"
#include "gpu/command.h"
#include "plan.h"
#include "transfer.h"
#include "weights.h"

#include "shaders/abi/params.h"

/* Weights of one layer; what the family lacks stays empty. */
struct fg_layer {
    bool recurrent;
    uint32_t kind_index; /* index among the layers of its kind */
    struct fg_buffer *attn_norm, *ffn_norm, *attn_norm_2;
    struct fg_matrix qkv[3]; /* one, or of softmax attention what its types and tiles need */
    struct fg_matrix gate;   /* lightning */
    struct fg_matrix output; /* of attention */
    struct fg_matrix router; /* MoE */
    struct fg_matrix ffn_gate, ffn_up, ffn_down;       /* ffn_gate is gated, or there is ffn_up */
    struct fg_buffer *kv;                              /* softmax: [n_pages] pages */
    struct fg_buffer *state, *k_rows, *v_rows, *decay; /* lightning: [n_seq] slots */
};

/* Activations and step tables, rows of n_batch tokens; strides in floats, multiples of 32. */
struct fg_scratch {
    struct fg_buffer *x, *n, *qkv, *rotated, *attn, *gate;
    struct fg_buffer *gated, *ff_gate, *ff_up, *ff_down, *router;
    struct fg_buffer *quantized; /* in the mode int8: what fg_record_quantize() made last */
    struct fg_buffer *experts, *expert_weights, *pairs, *pair_tiles;
    struct fg_buffer *partial;       /* segments of softmax attention */
    struct fg_buffer *last, *logits; /* [FG_HEAD_ROWS] */
    struct fg_buffer *readback;      /* host */
    struct fg_buffer *best[2];       /* candidates of each row, from pass to pass */
    struct fg_buffer *best_readback; /* host: [FG_HEAD_ROWS][FG_BEST_MOST + 1] pairs */
    struct fg_buffer *tokens, *rope, *table, *chunks, *groups, *index; /* host, written a step */
    uint32_t ld_embd, ld_qkv, ld_heads, ld_ff, ld_router;
    uint64_t bytes;
};

enum {
    FG_TUNED_MOST = 32,   /* weight types, twice */
    FG_HEAD_ROWS = 64,    /* logits rows of one pass of the head */
    FG_ATTEND_TOKENS = 4, /* tokens of one sequence that share keys in a workgroup */
    FG_ATTEND_TOKENS_SUBGROUP = 2,
};

struct fg_seq {
    struct fg_engine *engine;
    uint32_t slot, length;
    uint32_t ahead;   /* tokens of steps that are prepared or submitted, and not finished */
    bool running;     /* in a submitted step */
    bool state_ready; /* the slot's state is the one at the last chunk boundary */
    uint32_t *pages;  /* [max_pages] */
    uint32_t n_pages;
};

enum { FG_STEP_SETS = 2 }; /* step_set.h */

struct fg_engine {
    struct fg_device *device;
    const struct fg_gguf *gguf;
    struct fg_hparams hp;
    struct fg_plan plan;
    struct fg_engine_options opt; /* as the plan settled them */
    uint32_t n_softmax, n_lightning, max_pages;
    uint64_t page_layer_bytes, state_layer_bytes, rows_layer_bytes; /* rows: k or v of one slot */
    struct fg_matrix embd, head;                                    /* head: empty when tied */
    struct fg_buffer *output_norm;
    struct fg_layer *layers;
    struct fg_tiling one, many; /* where `tuned` says nothing */
    struct fg_tuned tuned[FG_TUNED_MOST];
    uint32_t n_tuned;
    struct fg_err tune_note;
    bool int_dot; /* the mode int8 by integer dot products, rather than by f32 */
    uint32_t native_f16;
    uint32_t
        attend_spread; /* lanes of the subgroup kernel of softmax attention; 0: shared memory */
    struct fg_scratch s;
    struct fg_cmd *cmd;
    /* Of the last submission with layers: seconds a layer and token; [0] steps of one token. */
    double token_layer_s[2];
    uint64_t n_submissions; /* of steps */
    struct fg_step *steps[FG_STEP_SETS];
    struct fg_step *recording; /* what is being prepared */
    struct fg_step *submitted; /* and not finished */
    struct fg_transfers *transfers;
    struct fg_cmd **copiers; /* [n_copiers] of copies that nobody waits for */
    uint32_t n_copiers;
    struct fg_buffer **saved;     /* [n_states] */
    uint64_t *saved_after;        /* [n_states] submissions that the slot was last copied by */
    double *inv_freq;             /* [rope_dim / 2] */
    uint16_t *page_refs;          /* [n_pages] */
    uint32_t *free_pages, n_free; /* a stack */
    bool *slot_used;              /* [n_seq] */
    uint8_t numerics_id[16];
    bool canonical;
    uint64_t weight_bytes, kv_bytes, seq_bytes;
};

/* --- kernels.c: one operation into e->cmd --- */

/* y[t][y_at ..] = W x[t] (+ alpha * r[t]) for n_tokens rows; residual may be NULL. */
void fg_record_matmul(struct fg_engine *e, const struct fg_matrix *m, struct fg_buffer *x,
                      uint32_t ldx, struct fg_buffer *y, uint32_t ldy, uint32_t n_tokens,
                      struct fg_buffer *residual, uint32_t ldr, float alpha);
/* How products of n_pairs (token, rank) pairs are tiled, and so how these are grouped. */
const struct fg_tiling *fg_moe_tiling(const struct fg_engine *e, uint32_t n_pairs);
/* The same for (token, rank) pairs grouped by expert: row of x = pair / x_div, row of y = pair. */
void fg_record_matmul_moe(struct fg_engine *e, const struct fg_matrix *m, struct fg_buffer *x,
                          uint32_t ldx, struct fg_buffer *y, uint32_t ldy, uint32_t n_pairs,
                          uint32_t x_div);
/* In the mode int8, n_rows rows of k activations for the products that follow: their x is ignored
 * where the matrix is of a quantized type. Nothing in other modes. Ends with a barrier. */
void fg_record_quantize(struct fg_engine *e, struct fg_buffer *x, uint32_t ldx, uint32_t k,
                        uint32_t n_rows);
/* Whether the mode has matrices of this type multiply quantized activations. */
bool fg_takes_quantized(const struct fg_engine *e, enum fg_dtype type);
/* Floats of a row of k activations as quantized, at most. */
uint32_t fg_quantized_row(uint32_t k);
void fg_record_embed(struct fg_engine *e, uint32_t n_tokens);
/* y[i] = rmsnorm(x[index ? index[index_at + i] : i]) */
void fg_record_norm(struct fg_engine *e, struct fg_buffer *x, uint32_t ldx, struct fg_buffer *w,
                    struct fg_buffer *y, uint32_t ldy, uint32_t n_rows, struct fg_buffer *index,
                    uint32_t index_at);
/* n_choices of the options, or the vocabulary. */
uint32_t fg_best_choices(const struct fg_engine *e);
/* The k best of each of `rows` rows of s.logits, to s.best_readback: rows of k + 1 pairs as
 * sample/best.comp writes them. */
void fg_record_best(struct fg_engine *e, uint32_t rows, uint32_t k);
/* The pipeline `name` with spec; a failure sticks to e->cmd. NULL then. */
struct fg_pipeline *fg_kernel(struct fg_engine *e, const char *name, const uint32_t *spec);
const char *fg_type_suffix(enum fg_dtype type);
enum { FG_MATMUL_NAME = 48 };
/* The shader of a product: base "matmul" or "matmul_moe"; variant "", ".dot" or ".fma". */
void fg_matmul_name(char name[FG_MATMUL_NAME], const char *base, enum fg_dtype type,
                    const struct fg_tiling *t, const char *variant);
/* What a device's features and the mode ask for. attend_spread: see struct fg_engine. */
void fg_tilings(const struct fg_device_info *d, enum fg_numerics mode, struct fg_tiling *one,
                struct fg_tiling *many, uint32_t *attend_spread);
/* Tilings for the device; probes unpackHalf2x16. */
int fg_kernels_init(struct fg_engine *e, struct fg_err *err);

/* --- forward.c: the layers of a step whose tables are filled --- */

/* Runs of tokens inside a chunk, one of each sequence at most. */
struct fg_step_round {
    uint32_t row0, n_rows; /* in `chunks` */
    bool ends_chunk;       /* one of them ends its chunk */
};
struct fg_step_shape {
    uint32_t n_tokens;
    uint32_t n_single, single_tiles;    /* leading one-token pieces; key tiles of the longest */
    uint32_t n_groups;                  /* of the others, behind the single ones in `groups` */
    uint32_t n_rounds;                  /* lightning rounds */
    const struct fg_step_round *rounds; /* [n_rounds] */
};
enum { FG_STEP_ROUNDS = 4096 / FG_CHUNK + 3 };
/* The rows whose logits are wanted, in the order of pieces; returns how many. */
uint32_t fg_step_fill_index(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                            const uint32_t *row_of);
/* Rows of the head that a piece wants. */
static inline uint32_t fg_piece_wants(const struct fg_step_piece *p)
{
    return p->n_best ? 1 : p->n_logits;
}
/* step_tables.c: fills the tables of a step of n pieces. row_of: [n], each piece's first row;
 * rounds: [FG_STEP_ROUNDS], what shape->rounds points to. Pages must have been reserved. */
void fg_step_fill(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n, uint32_t *row_of,
                  struct fg_step_round *rounds, struct fg_step_shape *shape);
/* sequence.c: makes room for a sequence of `length` tokens. FG_ETOOLONG, FG_EBUSY. */
int fg_seq_reserve(struct fg_seq *s, uint32_t length, struct fg_err *err);
/* Waits for the copies of states that are under way. */
void fg_copiers_finish(struct fg_engine *e);
/* Tokens of one sequence that softmax attention takes as a group. */
uint32_t fg_attend_tokens(const struct fg_engine *e);
/* Lightning attention by lanes, through texel buffers: for subgroups of 8; with 4, compilers take
 * minutes for it. */
bool fg_lightning_by_lanes(const struct fg_engine *e);
/* Begins another submission at the end of a layer, where the next one would make it too long;
 * *layers gets the number of layers that the last one has. */
void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers);
/* step.c: what is recorded from here on is another submission than the last `layers` layers. */
void fg_step_cut(struct fg_engine *e, uint32_t layers);
/* Parts of it, which end with a barrier. Attention over the pages, of queries that are rotated and
 * keys and values that are stored. */
void fg_record_attend(struct fg_engine *e, const struct fg_layer *l,
                      const struct fg_step_shape *shape);
/* Lightning attention from qkv to its output, and the folding of chunks that are full. */
void fg_record_lightning(struct fg_engine *e, const struct fg_layer *l,
                         const struct fg_step_shape *shape);
/* gated = sigmoid(gate) * rmsnorm(attn), all heads together */
void fg_record_gate(struct fg_engine *e, const struct fg_layer *l, uint32_t n_tokens);
/* Groups n_pairs choices of s.experts for the products of experts. */
void fg_record_group(struct fg_engine *e, uint32_t n_pairs);

/* --- engine.c --- */

/* An engine of shape hp without weights: layers have their KV pages and states, matrices and norms
 * are empty. For what runs single kernels; steps and the battery do not run. It takes over hp (and
 * finishes it on failure). Errors of fg_engine_create(). */
int fg_engine_create_bare(const struct fg_engine_options *opt, struct fg_hparams *hp,
                          struct fg_device *dev, struct fg_engine **out, struct fg_err *err);

/* --- load.c --- */

/* Uploads everything that the model's layers and the head need. */
int fg_weights_load(struct fg_engine *e, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *progress_ctx, struct fg_err *err);
/* Adds the bytes of the same tensors on a device of limits d to p->weight_bytes and p->types. */
int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err);

/* --- scratch.c, tables.c, battery.c --- */

/* Cuts p->opt.n_batch to what bindings hold, and sets the bytes of scratch. */
int fg_scratch_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_device_info *d,
                    struct fg_err *err);
/* Creates the buffers of e->plan. */
int fg_scratch_init(struct fg_engine *e, struct fg_err *err);
void fg_scratch_finish(struct fg_scratch *s);
/* lambda^0 .. lambda^64 for each head of layer l: out [n_head][65]. */
void fg_decay_table(const struct fg_hparams *hp, uint32_t layer, float *out);
/* inv_freq[i], i < rope_dim / 2. */
void fg_rope_frequencies(const struct fg_hparams *hp, double *inv_freq);
/* Runs the known-answer battery; sets e->canonical and e->numerics_id. */
int fg_battery_run(struct fg_engine *e, struct fg_err *err);

/* The battery's inputs and the committed XXH3-64 of its outputs: tests compute these from the plain
 * C reference as well. */
enum {
    FG_BATTERY_INPUTS = 4096, /* bit patterns; six results each, in order of battery/canon.comp */
    FG_BATTERY_ROWS = 96,
    FG_BATTERY_K = 352, /* 11 blocks: a partial slice */
    FG_BATTERY_TOKENS = 5,
};
struct fg_battery_hashes {
    uint64_t canon, q8_0[2], q4_1[2]; /* the products, by portable mode: y [tokens][rows] */
};
extern const struct fg_battery_hashes fg_battery_known;
void fg_battery_canon_inputs(uint32_t bits[FG_BATTERY_INPUTS]);
/* raw: [rows] raw rows of k elements, a quantized type; x: [tokens][k]. */
void fg_battery_matmul_inputs(enum fg_dtype type, uint8_t *raw, float *x);

static inline uint32_t fg_round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

#endif
