/* Tool calls between OpenAI's JSON and the text that a MiniMax model reads and writes: explained,
 * written and read here:
 *
 *     <tool_calls>
 *     {"name": "get_weather", "arguments": {"city": "Oslo"}}
 *     </tool_calls>
 *
 * one call a line. Pure; any thread. */
#ifndef FG_TOOL_CALLS_H
#define FG_TOOL_CALLS_H

#include <stddef.h>
#include <jansson.h>

#include "fulgur/error.h"

struct fg_buffer;

/* What is parsed of the arguments of one call, in a request and in an answer: a text of some bytes
 * may cost a hundred times as many once it is parsed. */
enum { FG_ARGUMENTS_MAX_BYTES = 1 << 20, FG_ARGUMENTS_MAX_CONTAINERS = 1 << 14 };

/* What the model is told of that form, as its template words it; `quote` is what the template puts
 * around the two names. Running out of memory shows in out->failed. */
void fg_tool_calls_explain(struct fg_buffer *out, const char *quote);

/* Appends OpenAI's `calls` to the content of their message (malloc'd, replaced). FG_EINVAL,
 * also arguments beyond the limits above, FG_ENOMEM; *err then goes on after the field's name:
 * `: it must be an array`. The content is then as it was. */
int fg_tool_calls_append(const json_t *calls, char **content, size_t *bytes, struct fg_err *err);

/* How many leading bytes of an answer, still being written, cannot be part of a tool call block: up
 * to "<tool_calls>" or to the start of it at the end. `from`: bytes known to be clear already. */
size_t fg_tool_calls_clear(const char *text, size_t n, size_t from);

/* Reads the block in a complete answer. An array of {"id","type","function":{"name","arguments"}}
 * (the caller's) with *content_bytes the length of the text before the block, spaces before it left
 * out; NULL when there is none, or it is malformed or beyond the limits above: then the answer is
 * all text. `id` begins each call's id. */
json_t *fg_tool_calls_read(const char *text, size_t n, const char *id, size_t *content_bytes);

#endif
