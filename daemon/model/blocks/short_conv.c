/* A short convolution between two gates, in place of attention. What it keeps of a sequence is the
 * convolution's tail. */
#include "block.h"

#include "ops/matmul.h"
#include "ops/quantize.h"
#include "ops/short_conv.h"

enum { IN, OUTPUT }; /* slots of matrices */
enum { TAPS };       /* of vectors */
enum { TAIL };       /* of memory */

static void tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    fg_table_matrix(t, IN, "shortconv.in_proj", s->n_embd, 3ull * s->n_embd);
    fg_table_vector(t, TAPS, "shortconv.conv", s->conv.taps)->ne[1] = s->n_embd;
    fg_table_matrix(t, OUTPUT, "shortconv.out_proj", s->n_embd, s->n_embd);
}

static void memory(const struct fg_block_shape *s, enum fg_kv_type kv, struct fg_block_memory *m)
{
    (void)kv;
    fg_block_memory_add(m, FG_MEMORY_TAIL, "convolution tails",
                        4ull * (s->conv.taps - 1) * s->n_embd);
}

static void needs(const struct fg_block_shape *s, struct fg_activation_needs *n)
{
    fg_need(&n->qkv, 3 * s->n_embd);
    fg_need(&n->heads, s->n_embd);
    fg_need_operand(n, 1, s->n_embd);
}

static int check(const struct fg_block_shape *s, struct fg_err *err)
{
    if (s->n_embd % 4)
        return fg_fail(err, FG_EUNSUPPORTED, "width %u: a short convolution needs a multiple of 4",
                       s->n_embd);
    return 0;
}

static bool record(const struct fg_block *b, const struct fg_block_run *r)
{
    uint32_t n = r->shape->n_tokens, width = b->shape.n_embd;
    struct fg_view rows = fg_activation_rows(r->a->qkv, n, 3 * width);
    struct fg_view out = fg_activation_rows(r->a->attn, n, width);

    fg_record_matmul(r->ops,
                     &(struct fg_matmul){.m = &b->matrices[IN],
                                         .x = fg_record_quantize(r->ops, r->n, &r->a->quantized),
                                         .y = rows});
    fg_cmd_barrier(r->ops->cmd);
    fg_record_short_conv(r->ops, &(struct fg_short_conv){.channels = width,
                                                         .taps = b->shape.conv.taps,
                                                         .rows = rows,
                                                         .w = b->vectors[TAPS],
                                                         .tail = fg_block_memory(b, r, TAIL),
                                                         .out = out,
                                                         .tables = r->tables,
                                                         .step = r->shape});
    fg_block_project(b, r, OUTPUT, out);
    return false;
}

const struct fg_block_kind fg_short_conv_block = {.name = "short convolution",
                                                  .tensors = tensors,
                                                  .memory = memory,
                                                  .needs = needs,
                                                  .check = check,
                                                  .record = record};
