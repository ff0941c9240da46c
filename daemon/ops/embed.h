/* y[t] = scale * row tokens[t].id of a matrix. */
#ifndef FG_OPS_EMBED_H
#define FG_OPS_EMBED_H

#include "matrix.h"
#include "ops.h"
#include "view.h"

struct fg_embed {
    const struct fg_matrix *m;
    struct fg_buffer *tokens; /* of struct fg_step_tables */
    struct fg_view y;
    float scale;
};
void fg_record_embed(struct fg_ops *o, const struct fg_embed *a);

#endif
