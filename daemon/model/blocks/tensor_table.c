#include "tensor_table.h"

#include <assert.h>
#include <stdio.h>

static struct fg_tensor_row *add(struct fg_tensor_table *t, struct fg_tensor_row row)
{
    assert(t->n < FG_BLOCK_TENSORS);
    t->rows[t->n] = row;
    return &t->rows[t->n++];
}

struct fg_tensor_row *fg_table_matrix(struct fg_tensor_table *t, uint32_t slot, const char *name,
                                      uint64_t k, uint64_t rows)
{
    return add(t, (struct fg_tensor_row){.name = name, .ne = {k, rows, 1}, .slot = slot});
}

struct fg_tensor_row *fg_table_vector(struct fg_tensor_table *t, uint32_t slot, const char *name,
                                      uint64_t n)
{
    return add(t,
               (struct fg_tensor_row){.name = name, .vector = true, .ne = {n, 1, 1}, .slot = slot});
}

static void write_name(char out[FG_TENSOR_NAME], int layer, const char *name, const char *end)
{
    if (layer >= 0)
        snprintf(out, FG_TENSOR_NAME, "blk.%d.%s%s", layer, name, end);
    else
        snprintf(out, FG_TENSOR_NAME, "%s%s", name, end);
}

void fg_tensor_name(char out[FG_TENSOR_NAME], int layer, const char *name)
{
    write_name(out, layer, name, ".weight");
}

void fg_tensor_row_name(char out[FG_TENSOR_NAME], int layer, const struct fg_tensor_row *row)
{
    write_name(out, layer, row->name, row->bare ? "" : ".weight");
}
