#include "block.h"

#include <string.h>

#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/quantize.h"

void fg_need(uint32_t *most, uint32_t n)
{
    if (n > *most)
        *most = n;
}

void fg_need_operand(struct fg_activation_needs *n, uint32_t rows, uint32_t k)
{
    uint64_t quantized = (uint64_t)rows * fg_quantized_row(fg_round_up(k, 32));

    if (quantized > n->quantized)
        n->quantized = quantized;
}

void fg_block_tensors(const struct fg_block_shape *s, struct fg_tensor_table *t)
{
    t->n = 0;
    fg_table_vector(t, FG_NORM_SLOT, s->norm, s->n_embd);
    if (s->post)
        fg_table_vector(t, FG_POST_SLOT, s->post, s->n_embd);
    s->kind->tensors(s, t);
}

uint64_t fg_block_table_bytes(const struct fg_block_shape *s)
{
    return s->kind->table_floats ? 4 * s->kind->table_floats(s) : 0;
}

int fg_block_make_table(struct fg_block *b, struct fg_ops *ops, struct fg_err *err)
{
    uint64_t bytes = fg_block_table_bytes(&b->shape);
    struct fg_buffer *staging = NULL;
    int rc;

    if (bytes == 0)
        return 0;
    rc = fg_buffer_create(ops->device, bytes, FG_BUFFER_DEVICE, "a block's table", &b->table, err);
    if (rc == 0)
        rc = fg_buffer_create(ops->device, bytes, FG_BUFFER_HOST, "a block's table", &staging, err);
    if (rc == 0) {
        b->shape.kind->fill_table(&b->shape, fg_buffer_map(staging));
        fg_cmd_begin(ops->cmd);
        fg_cmd_copy(ops->cmd, staging, 0, b->table, 0, bytes);
        rc = fg_cmd_run(ops->cmd, err);
    }
    fg_buffer_destroy(staging);
    return rc;
}

void fg_block_finish(struct fg_block *b)
{
    for (uint32_t i = 0; i < FG_BLOCK_MATRICES; i++)
        fg_matrix_finish(&b->matrices[i]);
    for (uint32_t i = 0; i < FG_BLOCK_VECTORS; i++)
        fg_buffer_destroy(b->vectors[i]);
    fg_buffer_destroy(b->norm);
    fg_buffer_destroy(b->table);
    memset(b, 0, sizeof *b);
}

struct fg_view fg_block_residual(const struct fg_block *b, const struct fg_block_run *r)
{
    return b->shape.post_norm ? r->n : r->x;
}

struct fg_buffer *fg_block_memory(const struct fg_block *b, const struct fg_block_run *r,
                                  uint32_t i)
{
    return r->memory->pieces[b->memory_at + i].buffer;
}

void fg_block_project(const struct fg_block *b, const struct fg_block_run *r, uint32_t matrix,
                      struct fg_view in)
{
    struct fg_matmul product = {.m = &b->matrices[matrix],
                                .x = fg_record_quantize(r->ops, in, &r->a->quantized),
                                .y = r->x,
                                .residual = fg_block_residual(b, r),
                                .alpha = b->shape.residual_scale};

    if (b->shape.post) {
        product.y = r->n; /* which nobody needs any more */
        product.residual = (struct fg_view){.buffer = NULL};
    }
    fg_record_matmul(r->ops, &product);
    fg_cmd_barrier(r->ops->cmd);
    if (!b->shape.post)
        return;
    fg_record_norm_add(r->ops, &(struct fg_norm_add){.n = r->n,
                                                     .x = r->x,
                                                     .w = b->vectors[FG_POST_SLOT],
                                                     .alpha = b->shape.residual_scale,
                                                     .eps = b->shape.norm_eps});
    fg_cmd_barrier(r->ops->cmd);
}
