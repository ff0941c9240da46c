/* The log-probabilities of a chunk, in either of OpenAI's two shapes. */
#ifndef FG_CLIENT_LOGPROBS_H
#define FG_CLIENT_LOGPROBS_H

#include <jansson.h>

#include "fulgur/client.h"

struct fg_client_logprobs {
    struct fg_client_token *tokens; /* their strings live as long as the JSON */
    size_t n;
    struct fg_client_logprob *pool; /* what tokens[].top point into */
};

/* Reads {"tokens","token_logprobs","top_logprobs"} (completions) or {"content":[...]} (chat).
 * *out is written in every case and goes to fg_client_logprobs_finish(). FG_EFORMAT, FG_ENOMEM. */
int fg_client_logprobs_read(const json_t *logprobs, struct fg_client_logprobs *out,
                            struct fg_err *err);
void fg_client_logprobs_finish(struct fg_client_logprobs *l);

#endif
