#include "quantize.h"

#include "shaders/matmul/params.h"

bool fg_takes_quantized(const struct fg_ops *o, enum fg_dtype type)
{
    /* NVFP4's scales differ too much within a block for its sums to be whole numbers that fit. */
    bool plain = type == FG_F32 || type == FG_F16 || type == FG_BF16 || type == FG_NVFP4;
    return o->numerics == FG_NUMERICS_INT8 && !plain;
}

uint32_t fg_quantized_row(uint32_t k)
{
    return FG_C_WIDE_ROW((k + 31) / 32) * 4;
}

static enum fg_quantized_layout layout_of(const struct fg_ops *o)
{
    return o->int_dot ? FG_QUANTIZED_BYTES : FG_QUANTIZED_WIDE;
}

struct fg_operand fg_record_quantize(struct fg_ops *o, struct fg_view x,
                                     struct fg_quantized_room *room)
{
    struct fg_quantize_push push = {x.rows, (x.k + 31) / 32, x.stride / 4};
    struct fg_operand out = {.plain = x};
    struct fg_kernel_key key = {.base = o->int_dot ? "quantize.dot" : "quantize"};

    if (o->numerics != FG_NUMERICS_INT8)
        return out;
    const struct fg_bind binds[] = {{x.buffer, 0, 0}, {room->buffer, 0, 0}};
    fg_ops_dispatch(o, &key,
                    &(struct fg_ops_call){.binds = binds,
                                          .n_binds = 2,
                                          .push = &push,
                                          .push_bytes = sizeof push,
                                          .groups = {(push.n_blocks + 127) / 128, x.rows, 1}});
    fg_cmd_barrier(o->cmd);
    out.quantized = (struct fg_quantized){.room = room,
                                          .generation = ++room->generation,
                                          .stride = o->int_dot ? FG_C_BYTE_ROW(push.n_blocks)
                                                               : FG_C_WIDE_ROW(push.n_blocks),
                                          .rows = x.rows,
                                          .k = x.k,
                                          .layout = layout_of(o)};
    return out;
}

const char *fg_quantized_refuses(const struct fg_ops *o, const struct fg_operand *x, uint32_t k,
                                 uint32_t n_rows)
{
    const struct fg_quantized *q = &x->quantized;

    if (!q->room)
        return "the matrix multiplies quantized activations, the operand has none";
    if (q->generation != q->room->generation)
        return "the operand's quantized rows were overwritten by a later operand's";
    if (q->k != k || q->rows < n_rows)
        return "the operand's quantized rows are of another shape";
    if (q->layout != layout_of(o))
        return "the operand's quantized rows are of another layout";
    return NULL;
}
