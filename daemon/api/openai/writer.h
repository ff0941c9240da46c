/* The answer to a completion as it is written: in one piece or as a stream of chunks. Loop thread,
 * unless said otherwise. */
#ifndef FG_API_WRITER_H
#define FG_API_WRITER_H

#include "base/buffer.h"
#include "http/request.h"
#include "response_json.h"
#include "text/tools/answer_parts.h"

struct telling;

/* One of the answers that a request asked for. */
struct fg_writer_choice {
    uint32_t index;        /* in the answer */
    struct fg_buffer text; /* as it was written, of an answer in one piece, or a stream whose calls
                            * are kept */
    enum fg_answer_start start;
    struct fg_answer_parts *parts; /* of a chat's stream */
    struct telling *telling;       /* writer.c: who is told of them now */
    char *first_call;              /* its id, or NULL */
    bool role_sent;
    char *echo; /* text that it begins with, not written yet, or NULL */
    size_t echo_bytes;
    json_t *logprobs; /* of an answer in one piece, so far */
    size_t n_logprobs, text_offset;
    json_t *ids, *prompt_ids;     /* of an answer in one piece, so far; NULL: not asked for */
    json_t *prompt_logprobs;      /* so far; NULL: not asked for */
    double likelihood;            /* log-probabilities of its tokens, added */
    uint32_t done, total, reused; /* of its prompt, as it said last */
    enum fg_finish_reason finish;
    struct fg_job_account account; /* once it is done */
};

struct fg_asking;

struct fg_writer {
    struct fg_request request; /* the first member: api/common/dialect.h */
    const struct fg_asking *asking;
    struct fg_answer answer;
    struct fg_answer_form form;       /* of a chat's answer */
    struct fg_tool_schemas *schemas;  /* which it leads to, or NULL */
    bool forecast;                    /* what would be reused, instead of an answer */
    bool echoes_logprobs;             /* those of the prompt stand before the answer's */
    struct fg_writer_choice *choices; /* [n_choices], those of a prompt side by side */
    size_t n_choices;
    uint32_t of_prompt, kept; /* choices of a prompt; how many of them, the likeliest, are told */
    double sent;              /* when something last went out; fg_clock_ms() */
    /* Told of each answer that calls tools, as it was written, with the id of its first call; NULL:
     * nobody asks. Where fg_writer_done() and fg_writer_build() run. */
    void (*spoke)(void *ctx, const char *id, struct fg_str text);
    void *spoke_ctx;
    struct fg_hold echoes; /* for the texts that choices begin with, while they are in memory */
    char *body;            /* the whole answer, once built */
};

/* Makes n choices. FG_ENOMEM. */
int fg_writer_init(struct fg_writer *w, size_t n);
void fg_writer_finish(struct fg_writer *w);

/* A stream's status and headers go out, at the first call. */
void fg_writer_begin(struct fg_writer *w);
/* A comment, where nothing went out for a while: whoever waits sees that it goes on. */
void fg_writer_keep_alive(struct fg_writer *w);

/* Text that the answer begins with, before its first event. False as below. */
bool fg_writer_echo(struct fg_writer *w, struct fg_writer_choice *c, const char *text, size_t n);
/* Takes any event but DONE and FAILED. False: memory ran out, the client has been told so, and the
 * jobs are of no more use. Nothing when the client has left. */
bool fg_writer_event(struct fg_writer *w, struct fg_writer_choice *c, const struct fg_job_event *e);
/* Ends the answer with an error, in whichever form still fits. */
void fg_writer_fail(struct fg_writer *w, const struct fg_http_error *e);
bool fg_writer_nomem(struct fg_writer *w); /* that one; returns false */
/* A choice is done (DONE): in a stream, its end. */
void fg_writer_done(struct fg_writer *w, struct fg_writer_choice *c, const struct fg_job_event *e);
/* All choices are done: the stream's end. */
void fg_writer_end_stream(struct fg_writer *w);
/* All choices are done: builds the whole answer (any thread; the writer is left alone meanwhile),
 * then sends it. */
void fg_writer_build(struct fg_writer *w);
void fg_writer_send(struct fg_writer *w);
/* About how many bytes the whole answer has, so far. */
size_t fg_writer_bytes(const struct fg_writer *w);

#endif
