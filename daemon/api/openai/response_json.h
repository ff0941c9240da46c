/* Answers of the completion endpoints: events of jobs to OpenAI's JSON. Pure; any thread. All
 * returned strings and objects are the caller's; NULL: out of memory. */
#ifndef FG_API_RESPONSE_JSON_H
#define FG_API_RESPONSE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "fulgur/str.h"
#include "serve/job.h"

/* How one answer is written. */
struct fg_answer {
    bool chat, stream, include_usage;
    int32_t n_logprobs; /* as in fg_job_request */
    char nonce[25];     /* hex; the id is cmpl-NONCE or chatcmpl-NONCE */
    int64_t created;    /* unix seconds */
    const char *model;  /* borrowed */
    char fingerprint[32];
    size_t text_offset; /* code points of the tokens written so far */
};

/* Draws the nonce, takes the time, and what else an answer says about its daemon. 0, or FG_EIO. */
int fg_answer_init(struct fg_answer *a, const struct fg_flow_info *info);

/* The logprobs object for n tokens, as the endpoint has it; advances a->text_offset. */
json_t *fg_answer_logprobs(struct fg_answer *a, const struct fg_job_token *tokens, size_t n);
/* Appends the arrays of `more` to those of `into` (both from fg_answer_logprobs). 0 or FG_ENOMEM.
 */
int fg_answer_logprobs_extend(json_t *into, const json_t *more);

/* What a whole answer is made of; all borrowed. */
struct fg_answer_parts {
    struct fg_str text;
    const json_t *calls; /* tool calls, or NULL */
    json_t *logprobs;    /* or NULL */
    enum fg_finish_reason finish;
    const struct fg_job_account *account;
};

json_t *fg_answer_whole(const struct fg_answer *a, const struct fg_answer_parts *parts);

/* Stream chunks. The first of a chat names the role; `logprobs` and `calls` as above. */
json_t *fg_answer_chunk_role(const struct fg_answer *a);
json_t *fg_answer_chunk_text(const struct fg_answer *a, const char *text, size_t bytes,
                             json_t *logprobs);
json_t *fg_answer_chunk_calls(const struct fg_answer *a, const json_t *calls);
json_t *fg_answer_chunk_finish(const struct fg_answer *a, bool with_calls,
                               enum fg_finish_reason finish, const struct fg_job_account *account);
json_t *fg_answer_chunk_usage(const struct fg_answer *a, const struct fg_job_account *account);
json_t *fg_answer_chunk_progress(const struct fg_answer *a, uint32_t done, uint32_t total,
                                 uint32_t reused);

#endif
