/* /tokenize and /detokenize: text to token ids and back. A text of megabytes takes seconds, so all
 * of it happens on a worker. */
#ifndef FG_API_TOKENS_H
#define FG_API_TOKENS_H

#include <stdbool.h>

struct fg_request;
struct fg_service;
struct fg_tenant;

/* Answers the request. Loop thread. */
void fg_tokens_start(struct fg_service *s, struct fg_request *r, const struct fg_tenant *tenant,
                     bool to_text);

#endif
