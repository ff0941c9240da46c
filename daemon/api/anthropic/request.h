/* Requests of Anthropic's Messages API, written as bodies of chat completions: what is refused is
 * named as Anthropic's clients know it, the rest is checked where chats are. Pure; any thread. */
#ifndef FG_API_ANTHROPIC_REQUEST_H
#define FG_API_ANTHROPIC_REQUEST_H

#include <stdbool.h>
#include <jansson.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/errors.h"

struct fg_anthropic_options {
    bool count;        /* only counted: max_tokens may be absent */
    bool keep_billing; /* a first system block that says who pays stays in the prompt */
};

/* The first block of `system` says who pays, and is left out. */
bool fg_anthropic_bills(struct fg_str body, const struct fg_anthropic_options *opt);
/* Appends the chat that `body`, a JSON object that was parsed, asks for. FG_EINVAL with *e
 * filled. */
int fg_anthropic_chat(struct fg_str body, const struct fg_anthropic_options *opt,
                      struct fg_buffer *chat, struct fg_http_error *e);

/* The request's cache_control, in the order in which prompts have them: tools, system, messages. */
struct fg_anthropic_hints {
    size_t n;
    bool shorter; /* one of 5 minutes was there */
};
/* What a block, or the body, says: *value is empty where it says nothing. `path` is the block's, ""
 * for the body. FG_EINVAL with *e filled. */
int fg_anthropic_hint(struct fg_anthropic_hints *hints, struct fg_str block, const char *path,
                      struct fg_str *value, struct fg_http_error *e);

/* contents.c: `messages` and `system` as an array of chat messages, without its brackets. `last`
 * says whether the last one is an answer that goes on. */
int fg_anthropic_messages(struct fg_str body, const struct fg_anthropic_options *opt,
                          struct fg_anthropic_hints *hints, struct fg_buffer *messages,
                          bool *goes_on, struct fg_http_error *e);

/* The member, false where it is absent or null. */
bool fg_anthropic_find(struct fg_str object, const char *name, struct fg_str *value);

#endif
