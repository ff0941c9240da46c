/* The buffers that the kernels of attention work on, without an engine around them. */
#include "kernel_bench_priv.h"

#include <string.h>

#include "ops/softmax_attention.h"
#include "base/block_tokens.h"
#include "shaders/lib/rows.h"

enum { NOISE_BYTES = 1 << 20 };

uint64_t fg_kernel_page_bytes(const struct fg_kernel_bench *b)
{
    const struct fg_heads *h = &b->widths.heads;
    uint64_t value = b->opt.kv_type == FG_KV_F16 ? 2 : 4;
    return 2ull * h->n_head_kv * h->head_dim * FG_BLOCK_TOKENS * value;
}

uint64_t fg_kernel_state_bytes(const struct fg_kernel_bench *b)
{
    uint64_t d = b->widths.lightning_dim;
    return 4ull * b->widths.lightning_heads * d * d;
}

uint64_t fg_kernel_delta_state_bytes(const struct fg_kernel_bench *b)
{
    const struct fg_delta_shape *s = &b->widths.delta;
    return 4ull * s->n_head_v * s->head_dim * s->head_dim;
}

/* Deepest sequence, in pages. */
static uint32_t pages(const struct fg_kernel_bench *b)
{
    uint32_t deep = b->opt.depths[0] > b->opt.depths[1] ? b->opt.depths[0] : b->opt.depths[1];
    return deep / FG_BLOCK_TOKENS + 1;
}

static int make_noise(struct fg_kernel_bench *b, struct fg_err *err)
{
    uint32_t word = 1;
    int rc =
        fg_buffer_create(b->device, NOISE_BYTES, FG_BUFFER_HOST, "made-up words", &b->noise, err);

    if (rc == 0)
        rc = fg_buffer_create(b->device, NOISE_BYTES, FG_BUFFER_HOST, "made-up numbers", &b->floats,
                              err);
    for (uint32_t i = 0; rc == 0 && i < NOISE_BYTES / 4; i++) {
        word = word * 1664525u + 1013904223u;
        ((uint32_t *)fg_buffer_map(b->noise))[i] = 0x2c002c00u | (word >> 3 & 0x03ff03ffu);
        ((float *)fg_buffer_map(b->floats))[i] = (float)(word >> 8) * 0x1p-24f - 1;
    }
    return rc;
}

/* Copies made-up numbers to dst until it is full. */
static int fill(struct fg_kernel_bench *b, struct fg_buffer *from, struct fg_buffer *dst,
                struct fg_err *err)
{
    uint64_t bytes = fg_buffer_bytes(dst);
    fg_cmd_begin(b->cmd);
    for (uint64_t at = 0; at < bytes; at += NOISE_BYTES)
        fg_cmd_copy(b->cmd, from, 0, dst, at, bytes - at < NOISE_BYTES ? bytes - at : NOISE_BYTES);
    return fg_cmd_run(b->cmd, err);
}

int fg_kernel_bench_fill(struct fg_kernel_bench *b, struct fg_buffer *dst, struct fg_err *err)
{
    return fill(b, b->noise, dst, err);
}

/* A device buffer of made-up numbers; of no bytes, none. */
static int make(struct fg_kernel_bench *b, uint64_t bytes, struct fg_buffer **out,
                struct fg_err *err)
{
    int rc = bytes ? fg_buffer_create(b->device, bytes, FG_BUFFER_DEVICE, "a case", out, err) : 0;
    return rc || !bytes ? rc : fg_kernel_bench_fill(b, *out, err);
}

/* The same, of numbers that the gated delta rule keeps as large as they are. */
static int make_floats(struct fg_kernel_bench *b, uint64_t bytes, struct fg_buffer **out,
                       struct fg_err *err)
{
    int rc = bytes ? fg_buffer_create(b->device, bytes, FG_BUFFER_DEVICE, "a case", out, err) : 0;
    return rc || !bytes ? rc : fill(b, b->floats, *out, err);
}

/* Memory of the gated delta rule. */
static int make_delta_layer(struct fg_kernel_bench *b, struct fg_kernel_layer *l,
                            struct fg_err *err)
{
    const struct fg_delta_shape *s = &b->widths.delta;
    uint64_t k = 4ull * s->n_head_k * s->head_dim, v = 4ull * s->n_head_v * s->head_dim;
    const struct {
        struct fg_buffer **out;
        uint64_t bytes;
    } all[] = {
        {&l->delta_state, fg_kernel_delta_state_bytes(b)},
        {&l->tail, s->n_head_v ? 4ull * (s->taps - 1) * fg_delta_channels(s) : 0},
        {&l->delta_k, k * FG_BLOCK_TOKENS},
        {&l->u_rows, v * FG_BLOCK_TOKENS},
        {&l->log_decay, 4ull * s->n_head_v * FG_BLOCK_TOKENS},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        rc = make_floats(b, all[i].bytes, all[i].out, err);
    return rc;
}

/* Rows of tokens of the gated delta rule, and its vectors. */
static int make_delta(struct fg_kernel_bench *b, struct fg_err *err)
{
    const struct fg_delta_shape *s = &b->widths.delta;
    uint64_t row = 4ull * FG_KERNEL_TOKENS;
    const struct {
        struct fg_buffer **out;
        uint64_t bytes;
    } all[] = {
        {&b->delta_rows, row * fg_round_up(fg_delta_columns(s), 32)},
        {&b->delta_taps, 4ull * s->taps * fg_delta_channels(s)},
        {&b->delta_decay, 4ull * s->n_head_v},
        {&b->delta_q, row * s->n_head_k * s->head_dim},
        {&b->delta_v, row * s->n_head_v * s->head_dim},
        {&b->system, row * s->n_head_v * FG_BLOCK_TOKENS},
        {&b->strength, row * s->n_head_v},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        rc = make_floats(b, all[i].bytes, all[i].out, err);
    for (uint32_t i = 0; rc == 0 && i < FG_KERNEL_LAYERS; i++)
        rc = make_delta_layer(b, &b->layers[i], err);
    return rc;
}

static int make_layers(struct fg_kernel_bench *b, struct fg_err *err)
{
    const struct fg_kernel_widths *w = &b->widths;
    uint64_t rows = 4ull * w->lightning_heads * w->lightning_dim * FG_BLOCK_TOKENS;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < FG_KERNEL_LAYERS; i++) {
        struct fg_kernel_layer *l = &b->layers[i];

        rc = make(b, fg_kernel_page_bytes(b) * pages(b), &l->kv, err);
        if (rc == 0)
            rc = make(b, fg_kernel_state_bytes(b), &l->state, err);
        if (rc == 0)
            rc = make(b, rows, &l->k_rows, err);
        if (rc == 0)
            rc = make(b, rows, &l->v_rows, err);
    }
    return rc;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static int make_activations(struct fg_kernel_bench *b, struct fg_err *err)
{
    const struct fg_kernel_widths *w = &b->widths;
    uint32_t softmax = w->heads.n_head * w->heads.head_dim;
    uint32_t lightning = w->lightning_heads * w->lightning_dim;
    uint32_t delta = w->delta.n_head_v * w->delta.head_dim;
    uint32_t heads = max_u32(max_u32(softmax, lightning), delta), gate = max_u32(lightning, delta);
    uint64_t row = 4ull * FG_KERNEL_TOKENS, pairs = FG_KERNEL_TOKENS * (uint64_t)w->n_used;
    const struct {
        struct fg_buffer **out;
        uint64_t bytes;
    } all[] = {
        {&b->wide, 4ull * fg_round_up(max_u32(w->n_embd, heads), 32)},
        {&b->x, row * fg_round_up(w->n_embd, 32)},
        {&b->n, row * fg_round_up(w->n_embd, 32)},
        {&b->qkv, row * fg_round_up(3 * lightning, 32)},
        {&b->rotated, row * heads},
        {&b->attn, row * fg_round_up(heads, 32)},
        {&b->gate, row * fg_round_up(gate, 32)},
        {&b->gated, row * fg_round_up(gate, 32)},
        {&b->partial, 4 * fg_attend_partial(&w->heads, pages(b))},
        {&b->decay, 4ull * w->lightning_heads * (FG_BLOCK_TOKENS + 1)},
        {&b->experts, 4 * pairs},
        {&b->pairs, 4 * pairs},
        {&b->pair_tiles, pairs ? 16 * (pairs + w->n_expert) : 0},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        rc = make(b, all[i].bytes, all[i].out, err);
    return rc;
}

static int make_tables(struct fg_kernel_bench *b, struct fg_err *err)
{
    struct fg_step_tables *t = &b->tables;
    const struct {
        struct fg_buffer **out;
        uint64_t bytes;
    } all[] = {
        {&t->tokens, FG_KERNEL_TOKENS * sizeof(struct fg_token_row)},
        {&t->table, 4ull * pages(b)},
        {&t->chunks, sizeof(struct fg_chunk_row)},
        {&t->groups, 8 * FG_KERNEL_TOKENS},
    };
    int rc = 0;

    t->max_pages = pages(b);
    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        rc = fg_buffer_create(b->device, all[i].bytes, FG_BUFFER_HOST, "tables", all[i].out, err);
    return rc;
}

int fg_kernel_bench_make_room(struct fg_kernel_bench *b, struct fg_err *err)
{
    int rc = make_noise(b, err);

    if (rc == 0)
        rc = make_layers(b, err);
    if (rc == 0)
        rc = make_activations(b, err);
    if (rc == 0)
        rc = make_delta(b, err);
    return rc ? rc : make_tables(b, err);
}

void fg_kernel_bench_free_room(struct fg_kernel_bench *b)
{
    struct fg_buffer *const all[] = {b->noise,
                                     b->floats,
                                     b->wide,
                                     b->x,
                                     b->n,
                                     b->qkv,
                                     b->rotated,
                                     b->attn,
                                     b->gate,
                                     b->gated,
                                     b->partial,
                                     b->decay,
                                     b->experts,
                                     b->pairs,
                                     b->pair_tiles,
                                     b->delta_rows,
                                     b->delta_taps,
                                     b->delta_decay,
                                     b->delta_q,
                                     b->delta_v,
                                     b->system,
                                     b->strength,
                                     b->tables.tokens,
                                     b->tables.table,
                                     b->tables.chunks,
                                     b->tables.groups};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fg_buffer_destroy(all[i]);
    for (uint32_t i = 0; i < FG_KERNEL_LAYERS; i++) {
        const struct fg_kernel_layer *l = &b->layers[i];
        struct fg_buffer *const of_layer[] = {l->kv,      l->state,       l->k_rows,
                                              l->v_rows,  l->delta_state, l->tail,
                                              l->delta_k, l->u_rows,      l->log_decay};

        for (size_t j = 0; j < sizeof of_layer / sizeof *of_layer; j++)
            fg_buffer_destroy(of_layer[j]);
    }
}

void fg_kernel_bench_stand_at(struct fg_kernel_bench *b, uint32_t depth, uint32_t n,
                              struct fg_step_round *round, struct fg_step_shape *shape)
{
    struct fg_token_row *tokens = fg_buffer_map(b->tables.tokens);
    struct fg_chunk_row *chunk = fg_buffer_map(b->tables.chunks);
    uint32_t *table = fg_buffer_map(b->tables.table), *groups = fg_buffer_map(b->tables.groups);
    uint32_t step = n == 1 ? 1 : fg_attend_tokens(&b->ops), first = depth % FG_BLOCK_TOKENS, g = 0;

    for (uint32_t i = 0; i < b->tables.max_pages; i++)
        table[i] = i;
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (struct fg_token_row){0, depth + i, 0, 0};
    for (uint32_t i = 0; i < n; i += step, g++) {
        groups[2 * g] = i;
        groups[2 * g + 1] = n - i < step ? n - i : step;
    }
    *chunk = (struct fg_chunk_row){0, n, first, 0};
    *round = (struct fg_step_round){0, 1, (first + n) % FG_BLOCK_TOKENS == 0};
    *shape = (struct fg_step_shape){.n_tokens = n,
                                    .n_single = n == 1,
                                    .single_tiles = n == 1 ? depth / FG_BLOCK_TOKENS + 1 : 0,
                                    .n_groups = n == 1 ? 0 : g,
                                    .n_rounds = 1,
                                    .rounds = round};
}
