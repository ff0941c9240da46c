/* The blocks of a model, recorded from the step's tables: the stream of activations goes through
 * their norms and through them, one after the other. */
#include "engine_state.h"
#include "forward.h"
#include "gpu/command.h"
#include "model/blocks/block.h"
#include "ops/embed.h"
#include "ops/norm.h"

/* Desktops share the card, and drivers reset one that is busy for seconds: no submission is to
 * take longer, as far as whole layers allow. */
static const double SUBMISSION_S = 0.05;

/* Ends the submission of `*layers` layers when one more would take it past its time. */
static void bound_submission(struct fg_engine *e, uint32_t n_tokens, uint32_t *layers)
{
    double a_layer = e->token_layer_s[n_tokens > 1] * n_tokens;

    if ((*layers + 1) * a_layer <= SUBMISSION_S)
        return;
    fg_step_cut(e, *layers);
    *layers = 0;
}

static void record_norm(const struct fg_block *b, const struct fg_block_run *r)
{
    fg_record_norm(r->ops,
                   &(struct fg_norm){.x = r->x, .y = r->n, .w = b->norm, .eps = b->shape.norm_eps});
    fg_cmd_barrier(r->ops->cmd);
}

static struct fg_block_run begin(struct fg_engine *e, const struct fg_step_shape *shape)
{
    uint32_t n = shape->n_tokens;
    return (struct fg_block_run){.ops = &e->ops,
                                 .a = &e->s.a,
                                 .memory = &e->memory,
                                 .tables = &e->s.tables,
                                 .shape = shape,
                                 .n = fg_activation_rows(e->s.a.n, n, e->hp.n_embd),
                                 .x = fg_activation_rows(e->s.a.x, n, e->hp.n_embd)};
}

void fg_record_layers(struct fg_engine *e, const struct fg_step_shape *shape, uint32_t *layers)
{
    struct fg_block_run r = begin(e, shape);
    bool normed = false;

    *layers = 0;
    fg_record_embed(&e->ops, &(struct fg_embed){.m = &e->embd,
                                                .tokens = e->s.tables.tokens,
                                                .y = r.x,
                                                .scale = e->hp.embd_scale});
    fg_cmd_barrier(e->ops.cmd);
    for (uint32_t i = 0; i < e->hp.n_blocks; i++) {
        const struct fg_block *b = &e->blocks[i];
        const struct fg_block *next = i + 1 < e->hp.n_blocks ? b + 1 : NULL;

        if (!normed)
            record_norm(b, &r);
        r.next = (struct fg_next_norm){.w = NULL};
        if (next)
            r.next = (struct fg_next_norm){next->norm, next->shape.norm_eps};
        normed = b->shape.kind->record(b, &r);
        if (next && next->shape.layer == b->shape.layer)
            continue;
        ++*layers;
        if (next)
            bound_submission(e, shape->n_tokens, layers);
    }
}
