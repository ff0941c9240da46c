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
#include "text/tools/answer_parts.h"

/* How one answer is written. */
struct fg_answer {
    bool chat, stream, include_usage;
    bool bare;                 /* token ids and no text, as vLLM's /inference/v1/generate has it */
    char *request_id;          /* such a request's own, or NULL */
    int32_t n_prompt_logprobs; /* as in fg_api_request */
    int32_t n_logprobs;        /* as in fg_job_request; -1: none are told */
    bool ids;                  /* tell token ids */
    char nonce[25];            /* hex; the id is cmpl-NONCE or chatcmpl-NONCE */
    int64_t created;           /* unix seconds */
    const char *model;         /* borrowed */
    char fingerprint[32];
};

/* Draws the nonce, takes the time, and what else an answer says about its daemon. 0, or FG_EIO. */
int fg_answer_init(struct fg_answer *a, const struct fg_flow_info *info);

/* The logprobs object for n tokens, as the endpoint has it; *text_offset, code points of the tokens
 * written before, goes on. */
json_t *fg_answer_logprobs(const struct fg_answer *a, const struct fg_job_token *tokens, size_t n,
                           size_t *text_offset);
/* Appends the arrays of `more` to those of `into` (both from fg_answer_logprobs). 0 or FG_ENOMEM.
 */
int fg_answer_logprobs_extend(json_t *into, const json_t *more);

/* The entry of prompt_logprobs for a token: its own, and those of the best alternatives by their
 * ids. `first`: nothing predicts it, null. */
json_t *fg_answer_prompt_logprob(const struct fg_answer *a, const struct fg_job_token *t,
                                 bool first);

/* One choice of a whole answer; all borrowed. */
struct fg_answer_choice {
    uint32_t index;
    struct fg_str text;
    struct fg_str reasoning;  /* empty: there is none */
    const json_t *calls;      /* tool calls, or NULL */
    bool called;              /* that is why it ended */
    json_t *logprobs;         /* or NULL */
    json_t *ids, *prompt_ids; /* or NULL */
    json_t *prompt_logprobs;  /* or NULL */
    enum fg_finish_reason finish;
};
json_t *fg_answer_choice_json(const struct fg_answer *a, const struct fg_answer_choice *c);

/* What all of an answer's choices cost together. */
struct fg_answer_cost {
    uint64_t prompt_tokens, completion_tokens, cached_tokens, written_tokens;
    uint64_t reasoning_tokens;
    const struct fg_job_account *account; /* of the first */
};

/* Takes over `choices`. What is told of the prompt beside them is that of `first`. */
json_t *fg_answer_whole(const struct fg_answer *a, json_t *choices,
                        const struct fg_answer_choice *first, const struct fg_answer_cost *cost);
/* Is the prompt told of beside the choices (else in each)? */
bool fg_answer_prompt_once(const struct fg_answer *a);

/* A piece of a choice in a stream; all borrowed, NULL what there is none of. */
struct fg_answer_piece {
    uint32_t index;
    struct fg_str text;
    const struct fg_answer_event *event; /* what the text is of a chat's answer; NULL: its text */
    bool role;                           /* the first of a chat: names the role */
    json_t *logprobs, *ids, *prompt_ids;
};
json_t *fg_answer_chunk(const struct fg_answer *a, const struct fg_answer_piece *piece);
json_t *fg_answer_chunk_finish(const struct fg_answer *a, const struct fg_answer_choice *c,
                               const struct fg_job_account *account);
json_t *fg_answer_chunk_usage(const struct fg_answer *a, const struct fg_answer_cost *cost);
json_t *fg_answer_chunk_progress(const struct fg_answer *a, uint64_t done, uint64_t total,
                                 uint64_t reused);

#endif
