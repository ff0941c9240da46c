/* Tool calls between OpenAI's JSON and the text that the model reads and writes:
 *
 *     <tool_calls>
 *     {"name": "get_weather", "arguments": {"city": "Oslo"}}
 *     </tool_calls>
 *
 * one call a line. Pure; any thread. */
#ifndef FG_API_TOOL_CALLS_H
#define FG_API_TOOL_CALLS_H

#include <stddef.h>
#include <jansson.h>

#include "http/errors.h"

/* Appends OpenAI's `calls` of the message `path` to its content (malloc'd, replaced). FG_EINVAL
 * with *e filled; the content is then as it was. */
int fg_tool_calls_append(const json_t *calls, const char *path, char **content, size_t *bytes,
                         struct fg_api_error *e);

/* How many leading bytes of an answer, still being written, cannot be part of a tool call block: up
 * to "<tool_calls>" or to the start of it at the end. `from`: bytes known to be clear already. */
size_t fg_tool_calls_clear(const char *text, size_t n, size_t from);

/* Reads the block in a complete answer. An array of {"id","type","function":{"name","arguments"}}
 * (the caller's) with *content_bytes the length of the text before the block, spaces before it left
 * out; NULL when there is none or it is malformed: then the answer is all text. `id` begins each
 * call's id. */
json_t *fg_tool_calls_read(const char *text, size_t n, const char *id, size_t *content_bytes);

#endif
