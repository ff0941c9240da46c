/* Ollama's API: its completions as dialects, and what it says of the model. */
#ifndef FG_API_OLLAMA_DIALECT_H
#define FG_API_OLLAMA_DIALECT_H

#include <stdbool.h>
#include <jansson.h>

#include "api/common/dialect.h"

extern const struct fg_dialect fg_ollama_chat;     /* /api/chat */
extern const struct fg_dialect fg_ollama_generate; /* /api/generate */

/* Is it one of Ollama's paths? */
bool fg_ollama_target(const char *target);
/* An error as its clients know it, {"error": words}; new. */
json_t *fg_ollama_error(const struct fg_http_error *e);

/* Whether the model that a request names, as `model` or as `name`, with or without `:latest`, is
 * the one that is served. FG_EINVAL with *e filled (404). */
int fg_ollama_model(const json_t *body, const struct fg_flow_info *info, struct fg_http_error *e);

/* What the daemon serves, as its lists have it; new, NULL: out of memory. `details` of one that is
 * shown hold the chat template as well. Any thread. */
json_t *fg_ollama_tags(const struct fg_service *s);
json_t *fg_ollama_running(const struct fg_service *s);
json_t *fg_ollama_show(const struct fg_service *s);

#endif
