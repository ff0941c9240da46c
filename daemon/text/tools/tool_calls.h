/* Tool calls between OpenAI's JSON and the text that a model reads and writes. Two forms are known:
 *
 *     minimax                                        hermes (Qwen2.5, Qwen3, Hermes 2 Pro, ...)
 *     <tool_calls>                                   <tool_call>
 *     {"name": "f", "arguments": {"city": "Oslo"}}   {"name": "f", "arguments": {"city": "Oslo"}}
 *     </tool_calls>                                  </tool_call>
 *
 * with any number of calls in a block, or of blocks. What is inside of `arguments` is never written
 * anew: it is the bytes that the model, or the client, wrote. Pure; any thread. */
#ifndef FG_TOOL_CALLS_H
#define FG_TOOL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "base/buffer.h"
#include "tool_form.h"

/* What is parsed of the arguments of one call, in a request and in an answer: a text of some bytes
 * may cost a hundred times as many once it is parsed. */
enum { FG_ARGUMENTS_MAX_BYTES = 1 << 20, FG_ARGUMENTS_MAX_CONTAINERS = 1 << 14 };

/* The form of the first tag in a text, as what a chat template writes of tools. */
enum fg_tool_form fg_tool_form_of(struct fg_str text);
/* Its name, static storage. */
const char *fg_tool_form_name(enum fg_tool_form form);

/* Whether the arguments of a call are within the limits above. */
bool fg_tool_arguments_fit(struct fg_str arguments);

/* Appends OpenAI's calls (a JSON array, checked by the API) to the content of their message, in
 * that form: arguments that are JSON as they are, others as the string that they are. Running out
 * of memory shows in out->failed. */
void fg_tool_calls_append(enum fg_tool_form form, struct fg_str calls, struct fg_buffer *content);

/* How many leading bytes of an answer, still being written, cannot be part of a tool call block: up
 * to the first tag or to the start of one at the end. `from`: bytes known to be clear already. */
size_t fg_tool_calls_clear(enum fg_tool_form form, struct fg_str text, size_t from);

/* Reads the calls at the end of a complete answer. An array of
 * {"id","type","function":{"name","arguments"}} (the caller's) with *content_bytes the length of
 * the text before the block, spaces before it left out; NULL when there is none, or it is malformed
 * or beyond the limits above: then the answer is all text. `id` begins each call's id. */
json_t *fg_tool_calls_read(enum fg_tool_form form, struct fg_str text, const char *id,
                           size_t *content_bytes);

/* Whether a message that a client sent, with that content and those calls (OpenAI's, a JSON array),
 * says what the answer `text` said: the same words before its calls but for the blanks around them,
 * calls of the same ids and names in the same order, arguments that are equal as JSON. */
bool fg_tool_calls_same(enum fg_tool_form form, struct fg_str text, struct fg_str content,
                        struct fg_str calls);
/* Whether two answers with calls say the same: as above, ids apart. */
bool fg_tool_calls_alike(enum fg_tool_form form, struct fg_str a, struct fg_str b);
/* The id of the first of OpenAI's calls, as JSON has it without its quotes; false: it has none, or
 * one that is not in plain ASCII. */
bool fg_tool_calls_id(struct fg_str calls, struct fg_str *id);

#endif
