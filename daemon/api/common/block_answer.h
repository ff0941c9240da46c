/* An answer that is a list of blocks, in whatever dialect: what the request said of it, the blocks,
 * and the text that they become. The first member of such a dialect's answer. Threads: dialect.h.
 */
#ifndef FG_API_BLOCK_ANSWER_H
#define FG_API_BLOCK_ANSWER_H

#include "blocks.h"
#include "dialect.h"
#include "text/tools/tool_schemas.h"

struct fg_block_answer {
    struct fg_request request; /* the first member */
    const struct fg_asking *asking;
    bool stream;
    bool keeps; /* the answer's calls, as they were written */
    struct fg_answer_form form;
    struct fg_tool_schemas *schemas; /* which the form leads to, or NULL */
    struct fg_blocks blocks;
    struct fg_job_account account; /* once it is done */
    char *body;                    /* the whole answer, once built; NULL: out of memory */
};

static inline struct fg_block_answer *fg_block_answer_of(struct fg_request *answer)
{
    return (struct fg_block_answer *)answer;
}

/* The request is read; the form and its schemas are set before. */
void fg_block_answer_read(struct fg_block_answer *b, struct fg_asking *a,
                          const struct fg_job_request *job, bool stream);
/* `id` is put into the ids of calls; fn(ctx) is told of the blocks of a stream. */
void fg_block_answer_start(struct fg_block_answer *b, const char *id, fg_block_fn *fn, void *ctx);
/* Its job is done, and has written blocks: ends them, and keeps the calls. The first of these, or
 * NULL. */
const struct fg_block *fg_block_answer_done(struct fg_block_answer *b,
                                            const struct fg_job_event *e);

/* A dialect's size, send and finish; of the last, the part that is this one's. */
size_t fg_block_answer_size(const struct fg_request *answer);
void fg_block_answer_send(struct fg_request *answer);
void fg_block_answer_finish(struct fg_request *answer);

#endif
