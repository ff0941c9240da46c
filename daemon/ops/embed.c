#include "embed.h"

#include <stdio.h>

#include "shaders/embed/params.h"

static void write_name(const struct fg_kernel_key *k, char name[FG_KERNEL_NAME])
{
    snprintf(name, FG_KERNEL_NAME, "embed.%s", fg_type_suffix((enum fg_dtype)k->variant));
}

void fg_record_embed(struct fg_ops *o, const struct fg_embed *a)
{
    const struct fg_matrix *m = a->m;
    const struct fg_kernel_key key = {.base = "embed",
                                      .write_name = write_name,
                                      .variant = m->type,
                                      .spec = {[4] = o->native_f16}};

    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct fg_matrix_part *part = &m->parts[i];
        struct fg_embed_push push = {.n_tokens = a->y.rows,
                                     .k = m->k,
                                     .ldy = a->y.stride,
                                     .n_blocks = m->n_blocks,
                                     .scale_at = part->scale_at,
                                     .row0 = part->row0,
                                     .n_rows = part->n_rows,
                                     .scale = a->scale};
        const struct fg_bind binds[] = {
            {part->buffer, 0, 0}, {a->tokens, 0, 0}, {a->y.buffer, 0, 0}};
        fg_ops_dispatch(o, &key,
                        &(struct fg_ops_call){.binds = binds,
                                              .n_binds = 3,
                                              .push = &push,
                                              .push_bytes = sizeof push,
                                              .groups = {(m->n_blocks + 31) / 32, a->y.rows, 1}});
    }
}
