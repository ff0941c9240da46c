#include "engine_state.h"
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

/* What a set has of its own: tables, and what is read back. */
enum { OWNED = 9 };
struct owned {
    struct fg_buffer **buffer[OWNED];
};

static struct owned owned_by(struct fg_step_tables *t, struct fg_buffer **readback,
                             struct fg_buffer **best_readback)
{
    return (struct owned){{&t->tokens, &t->rope, &t->rope_local, &t->table, &t->chunks, &t->groups,
                           &t->index, readback, best_readback}};
}

/* A set with tables like those of the scratch buffers. */
static int make_tables(struct fg_engine *e, struct fg_step *s, struct fg_err *err)
{
    struct fg_scratch *scratch = &e->s;
    struct owned from = owned_by(&scratch->tables, &scratch->readback, &scratch->best_readback);
    struct owned to = owned_by(&s->tables, &s->readback, &s->best_readback);
    int rc = 0;

    s->owns_tables = true;
    s->tables.max_pages = scratch->tables.max_pages;
    for (size_t i = 0; rc == 0 && i < OWNED; i++)
        rc = twin(e, *from.buffer[i], to.buffer[i], err);
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
        s->tables = e->s.tables;
        s->readback = e->s.readback;
        s->best_readback = e->s.best_readback;
    }
    return rc;
}

void fg_step_set_use(const struct fg_step *s)
{
    struct fg_scratch *to = &s->engine->s;

    to->tables = s->tables;
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
        struct owned own = owned_by(&s->tables, &s->readback, &s->best_readback);
        for (size_t j = 0; s->owns_tables && j < OWNED; j++)
            fg_buffer_destroy(*own.buffer[j]);
        free(s);
        e->steps[i] = NULL;
    }
}
