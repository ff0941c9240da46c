#include "tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct fg_tensor *find(const struct fg_gguf *g, int64_t layer, const char *name)
{
    size_t n = strlen(name);
    bool bare = name[n - 1] == '.';
    int length = (int)(bare ? n - 1 : n);
    const char *end = bare ? "" : ".weight";
    char full[96];

    if (layer < 0)
        snprintf(full, sizeof full, "%.*s%s", length, name, end);
    else
        snprintf(full, sizeof full, "blk.%" PRId64 ".%.*s%s", layer, length, name, end);
    return fg_gguf_tensor(g, full);
}

struct fg_ref_matrix fg_ref_tensor_matrix(const struct fg_gguf *g, int64_t layer, const char *name,
                                          bool int8)
{
    const struct fg_tensor *t = find(g, layer, name);

    if (!t)
        return (struct fg_ref_matrix){0};
    return (struct fg_ref_matrix){t->type, t->data, t->ne[0], t->ne[1] * t->ne[2], int8, t->scales};
}

const float *fg_ref_tensor_vector(const struct fg_gguf *g, int64_t layer, const char *name)
{
    const struct fg_tensor *t = find(g, layer, name);

    return t ? t->data : NULL;
}

struct fg_ref_matrix fg_ref_expert(const struct fg_ref_matrix *all, size_t n_expert, size_t e)
{
    struct fg_ref_matrix w = *all;

    w.n_rows = all->n_rows / n_expert;
    if (w.scales)
        w.scales += e;
    w.rows = (const char *)all->rows + e * w.n_rows * fg_dtype_row_bytes(w.type, w.k);
    return w;
}
