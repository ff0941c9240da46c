/* Requests of the Responses API, written as bodies of chat completions. Pure; any thread. */
#ifndef FG_API_RESPONSES_REQUEST_H
#define FG_API_RESPONSES_REQUEST_H

#include <stdbool.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/errors.h"

/* The member, false where it is absent or null. */
bool fg_responses_find(struct fg_str object, const char *name, struct fg_str *value);

/* Appends the chat that `body`, a JSON object that was parsed, asks for. `before`: the items of an
 * earlier conversation, as the inside of an array. FG_EINVAL with *e filled. */
int fg_responses_chat(struct fg_str body, struct fg_str before, struct fg_buffer *chat,
                      struct fg_http_error *e);
/* Appends the request's own items, as the inside of an array. */
void fg_responses_input(struct fg_str body, struct fg_buffer *items);
/* Appends what an answer repeats of its request, each member with a comma before it. */
void fg_responses_echo(struct fg_str body, struct fg_buffer *out);

/* responses_items.c: the messages of a chat, as the inside of an array. */
int fg_responses_messages(struct fg_str body, struct fg_str before, struct fg_buffer *messages,
                          struct fg_http_error *e);

#endif
