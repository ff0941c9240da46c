#include "block_answer.h"

#include <stddef.h>
#include <stdlib.h>

_Static_assert(offsetof(struct fg_block_answer, request) == 0, "the first member");

void fg_block_answer_read(struct fg_block_answer *b, struct fg_asking *a,
                          const struct fg_job_request *job, bool stream)
{
    b->asking = a;
    b->stream = a->stream = stream;
    b->keeps = job->cache == FG_CACHE_READ_WRITE && !job->show_control;
}

void fg_block_answer_start(struct fg_block_answer *b, const char *id, fg_block_fn *fn, void *ctx)
{
    fg_blocks_init(&b->blocks, &b->form, id, b->stream ? fn : NULL, ctx);
}

const struct fg_block *fg_block_answer_done(struct fg_block_answer *b, const struct fg_job_event *e)
{
    const struct fg_backend *backend = &b->asking->service->backend;
    const struct fg_block *call;

    b->account = e->account;
    fg_blocks_end(&b->blocks);
    call = fg_blocks_call(&b->blocks);
    if (call && b->keeps)
        backend->keep(backend->ctx, b->asking->job, FG_DOCUMENT_CALL, call->id,
                      fg_blocks_whole(&b->blocks));
    return call;
}

size_t fg_block_answer_size(const struct fg_request *answer)
{
    return ((const struct fg_block_answer *)answer)->blocks.whole.n;
}

void fg_block_answer_send(struct fg_request *answer)
{
    struct fg_block_answer *b = fg_block_answer_of(answer);

    fg_reply_text(answer, 200, b->body);
    b->body = NULL;
}

void fg_block_answer_finish(struct fg_request *answer)
{
    struct fg_block_answer *b = fg_block_answer_of(answer);

    fg_blocks_finish(&b->blocks);
    fg_tool_schemas_destroy(b->schemas);
    free(b->body);
}
