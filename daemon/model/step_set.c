#include "step_set.h"

#include <stdlib.h>
#include <string.h>

static int twin(struct fg_engine *e, const struct fg_buffer *of, struct fg_buffer **out,
                struct fg_err *err)
{
    uint64_t bytes = fg_buffer_bytes(of);
    int rc = fg_buffer_create(e->device, bytes, FG_BUFFER_HOST, "step tables", out, err);

    if (rc)
        return rc;
    memset(fg_buffer_map(*out), 0, bytes);
    e->s.bytes += bytes;
    return 0;
}

/* A set with tables like those of the scratch buffers. */
static int make_tables(struct fg_engine *e, struct fg_step *s, struct fg_err *err)
{
    const struct {
        const struct fg_buffer *of;
        struct fg_buffer **out;
    } all[] = {{e->s.tokens, &s->tokens},     {e->s.rope, &s->rope},
               {e->s.table, &s->table},       {e->s.chunks, &s->chunks},
               {e->s.groups, &s->groups},     {e->s.index, &s->index},
               {e->s.readback, &s->readback}, {e->s.best_readback, &s->best_readback}};
    int rc = 0;

    s->owns_tables = true;
    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        rc = twin(e, all[i].of, all[i].out, err);
    return rc;
}

int fg_step_sets_init(struct fg_engine *e, struct fg_err *err)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < FG_STEP_SETS; i++) {
        struct fg_step *s = calloc(1, sizeof *s);

        if (!s)
            return fg_fail(err, FG_ENOMEM, "out of memory for a step");
        e->steps[i] = s;
        s->engine = e;
        if (i > 0) {
            rc = make_tables(e, s, err);
            continue;
        }
        s->tokens = e->s.tokens;
        s->rope = e->s.rope;
        s->table = e->s.table;
        s->chunks = e->s.chunks;
        s->groups = e->s.groups;
        s->index = e->s.index;
        s->readback = e->s.readback;
        s->best_readback = e->s.best_readback;
    }
    return rc;
}

void fg_step_set_use(const struct fg_step *s)
{
    struct fg_scratch *to = &s->engine->s;

    to->tokens = s->tokens;
    to->rope = s->rope;
    to->table = s->table;
    to->chunks = s->chunks;
    to->groups = s->groups;
    to->index = s->index;
    to->readback = s->readback;
    to->best_readback = s->best_readback;
}

void fg_step_sets_finish(struct fg_engine *e)
{
    if (e->steps[0])
        fg_step_set_use(e->steps[0]); /* those that the scratch buffers' end takes along */
    for (int i = 0; i < FG_STEP_SETS; i++) {
        struct fg_step *s = e->steps[i];

        if (!s)
            continue;
        for (uint32_t j = 0; j < s->n_made; j++)
            fg_cmd_destroy(s->submissions[j].cmd);
        free(s->submissions);
        struct fg_buffer *const tables[] = {s->tokens, s->rope,  s->table,    s->chunks,
                                            s->groups, s->index, s->readback, s->best_readback};
        for (size_t j = 0; s->owns_tables && j < sizeof tables / sizeof *tables; j++)
            fg_buffer_destroy(tables[j]);
        free(s);
        e->steps[i] = NULL;
    }
}
