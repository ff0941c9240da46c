/* What clients write about the prompt cache: where what they ask for comes again, and how long it
 * is to stay. Pure; any thread. */
#ifndef FG_API_HINT_JSON_H
#define FG_API_HINT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "fulgur/str.h"
#include "http/errors.h"
#include "serve/job.h"

/* Members of content parts, messages and tools that no template is to see. */
#define FG_HINT_ANTHROPIC "cache_control"
#define FG_HINT_OPENAI "prompt_cache_breakpoint"

/* {"type": "ephemeral", "ttl": "5m" or "1h"}, 5m unless it says: *seconds. FG_EINVAL, *e names
 * `path`. */
int fg_hint_cache_control(const json_t *v, const char *path, uint32_t *seconds,
                          struct fg_http_error *e);
/* {"mode": "explicit", "ttl": "30m" or "12h"}; without a ttl *seconds stays. */
int fg_hint_breakpoint(const json_t *v, const char *path, uint32_t *seconds,
                       struct fg_http_error *e);
/* One of the two, in the text of a body: only looked at. */
int fg_hint_check(struct fg_str value, const char *name, const char *path, uint32_t *seconds,
                  struct fg_http_error *e);

/* What is said of the whole prompt: `cache_control`, `prompt_cache_key`, `prompt_cache_options`,
 * `prompt_cache_retention`; and of parts of a chat's messages and tools. Of these the last four
 * count. */
int fg_hint_read(const json_t *body, struct fg_job_request *job, struct fg_http_error *e);

/* Whether a member's name, with its quotes, is one of the two. */
bool fg_hint_is(struct fg_str name);
/* The list of tools, a part of the body's text, without hints, as it would be written without them:
 * *out is malloc'd, or NULL where there are none. FG_ENOMEM. */
int fg_hint_strip_tools(struct fg_str list, char **out);

#endif
