/* Requests of Ollama's API, written as bodies of completions: what is refused is named as its
 * clients know it, the rest is checked where completions are. Pure; any thread. */
#ifndef FG_API_OLLAMA_REQUEST_H
#define FG_API_OLLAMA_REQUEST_H

#include <stdbool.h>
#include <jansson.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/errors.h"
#include "serve/job.h"

struct fg_ollama_request {
    bool load; /* says nothing: only whether the model is there is asked */
    bool raw;  /* a text without the chat template: a body of /v1/completions */
};

/* Appends the body of a completion that `body`, a JSON object that was parsed as `json`, asks for.
 * `chat`: of /api/chat, else of /api/generate. FG_EINVAL with *e filled. */
int fg_ollama_read(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                   struct fg_ollama_request *out, struct fg_buffer *text, struct fg_http_error *e);
int fg_ollama_read_chat(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                        struct fg_ollama_request *out, struct fg_buffer *text,
                        struct fg_http_error *e);

/* messages.c: the chat's, as OpenAI writes them; an array. */
int fg_ollama_messages(struct fg_str list, struct fg_buffer *out, struct fg_http_error *e);
/* The member as it was written, false where it is absent or null. */
bool fg_ollama_find(struct fg_str object, const char *name, struct fg_str *value);
/* FG_EINVAL with *e filled, where the member is there and not null, false, 0, "" or []. */
int fg_ollama_refuse(struct fg_str object, const char *name, const char *right,
                     struct fg_http_error *e);

#endif
