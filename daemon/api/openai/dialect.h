/* OpenAI's completions as dialects. */
#ifndef FG_API_OPENAI_DIALECT_H
#define FG_API_OPENAI_DIALECT_H

#include "api/common/dialect.h"

struct fg_api_request;
struct fg_buffer;
struct fg_tool_schemas;

extern const struct fg_dialect fg_openai_text;     /* /v1/completions */
extern const struct fg_dialect fg_openai_chat;     /* /v1/chat/completions */
extern const struct fg_dialect fg_openai_generate; /* /inference/v1/generate, which is vLLM's */
extern const struct fg_dialect fg_openai_explain;  /* a body of either, "messages" telling which; a
                                                    * forecast */

/* Reads a request of another dialect that was written as the body of a chat (taken over), which
 * takes the place of a->json. FG_EINVAL with *e filled. */
int fg_openai_read_as_chat(struct fg_asking *a, struct fg_buffer *text, struct fg_api_request *out,
                           struct fg_http_error *e);

/* How the answer to a request is read. *schemas, to which the form leads, are the caller's; NULL:
 * there are none. FG_EINVAL with *e filled. */
int fg_openai_form(const struct fg_asking *a, const struct fg_api_request *r,
                   struct fg_answer_form *form, struct fg_tool_schemas **schemas,
                   struct fg_http_error *e);

#endif
