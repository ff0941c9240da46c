/* The answer to a completion as it is written: in one piece or as a stream of chunks. Loop thread,
 * unless said otherwise. */
#ifndef FG_API_WRITER_H
#define FG_API_WRITER_H

#include "base/buffer.h"
#include "http/request.h"
#include "response_json.h"

struct fg_writer {
    struct fg_request request;
    struct fg_answer answer;
    bool tools;    /* the answer may hold tool calls */
    bool forecast; /* what would be reused, instead of an answer */
    bool role_sent;
    struct fg_buffer text; /* an answer in one piece, or a stream that may hold tool calls */
    size_t n_sent;         /* of text, in a stream */
    json_t *logprobs;      /* of an answer in one piece, so far */
    size_t n_logprobs;
    char *body; /* the whole answer, once built */
};

void fg_writer_finish(struct fg_writer *w);

/* Takes a DELTA, sends a PROGRESS. False: memory ran out, the client has been told so, and the job
 * is of no more use. Nothing when the client has left. */
bool fg_writer_delta(struct fg_writer *w, const struct fg_job_event *e);
bool fg_writer_progress(struct fg_writer *w, const struct fg_job_event *e);
/* Ends the answer with an error, in whichever form still fits. */
void fg_writer_fail(struct fg_writer *w, const struct fg_http_error *e);
bool fg_writer_nomem(struct fg_writer *w); /* that one; returns false */
/* The job is done: the stream's end. */
void fg_writer_end_stream(struct fg_writer *w, const struct fg_job_event *e);
/* The job is done: builds the whole answer (any thread; the writer is left alone meanwhile), then
 * sends it. */
void fg_writer_build(struct fg_writer *w, const struct fg_job_event *e);
void fg_writer_send(struct fg_writer *w);
/* About how many bytes the whole answer has. */
size_t fg_writer_bytes(const struct fg_writer *w);

#endif
