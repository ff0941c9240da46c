/* Anthropic's JSON: messages, events of a stream, errors. Pure; any thread. All returned objects
 * are the caller's; NULL: out of memory. */
#ifndef FG_API_ANTHROPIC_EVENT_JSON_H
#define FG_API_ANTHROPIC_EVENT_JSON_H

#include <stdbool.h>
#include <jansson.h>

#include "api/common/blocks.h"
#include "http/errors.h"
#include "serve/job.h"

/* What a message costs. Zeros: it is not known yet. */
struct fg_message_cost {
    uint32_t prompt, reused; /* tokens */
    uint32_t written;        /* left in the cache; of these, written_long for an hour */
    uint32_t written_long;
    uint32_t output;
};

/* {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", ...}:
 * the first three are disjoint, and the prompt together; the third is told apart once more. */
json_t *fg_message_usage(const struct fg_message_cost *cost);

/* What every message has; takes over `content` (NULL: that is left out) and `usage`. `stop_reason`:
 * NULL while it is written; `stop_sequence`: or NULL. */
struct fg_message_head {
    const char *id, *model;
    const char *stop_reason, *stop_sequence;
};
json_t *fg_message_json(const struct fg_message_head *head, json_t *content, json_t *usage);

/* Appends a block as it is in the end: what a model wrote as arguments goes over as it was written,
 * or as {} where it is no object. */
void fg_message_block(const struct fg_block *block, struct fg_buffer *out);

json_t *fg_event_block_start(size_t index, const struct fg_block *block);
json_t *fg_event_delta(size_t index, enum fg_block_kind kind, struct fg_str more);
json_t *fg_event_signature(size_t index);
json_t *fg_event_block_stop(size_t index);
/* Takes over `usage` and `fulgur`. */
json_t *fg_event_message_delta(const struct fg_message_head *head, json_t *usage, json_t *fulgur);

/* Is a request with that target answered in Anthropic's words? */
bool fg_anthropic_target(const char *target);
/* `id`: the request's, or NULL: a new one. */
json_t *fg_anthropic_error(const struct fg_http_error *e, const char *id);
/* Something new behind a prefix: `id` holds its NUL too. False: no random bytes could be had. */
enum { FG_ANTHROPIC_ID = 40 };
bool fg_anthropic_id(const char *prefix, char id[FG_ANTHROPIC_ID]);

#endif
