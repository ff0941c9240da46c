/* Tool calls between OpenAI's JSON and the text that a model reads and writes, in the forms of
 * answer_form.h. What is inside of `arguments` is never written anew where the form has it as JSON:
 * it is the bytes that the model, or the client, wrote. Pure; any thread. */
#ifndef FG_TOOL_CALLS_H
#define FG_TOOL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "base/buffer.h"
#include "answer_parts.h"

/* What is parsed of the arguments of one call, in a request and in an answer: a text of some bytes
 * may cost a hundred times as many once it is parsed. */
enum { FG_ARGUMENTS_MAX_BYTES = 1 << 20, FG_ARGUMENTS_MAX_CONTAINERS = 1 << 14 };

enum { FG_TOOL_ID = 96 };
/* The id of call number `call` of the answer that the prefix names. */
void fg_tool_call_id(enum fg_tool_form form, const char *prefix, size_t call, char out[FG_TOOL_ID]);

/* Whether the arguments of a call are within the limits above. */
bool fg_tool_arguments_fit(struct fg_str arguments);

/* Appends OpenAI's calls (a JSON array, checked by the API) to the content of their message, in
 * that form: arguments that are JSON as they are, others as the string that they are. Running out
 * of memory shows in out->failed. */
void fg_tool_calls_append(enum fg_tool_form form, struct fg_str calls, struct fg_buffer *content);

/* A complete answer's parts. */
struct fg_tool_answer {
    struct fg_buffer reasoning, text;
    json_t *calls;  /* an array of {"id","type","function":{"name","arguments"}} */
    bool malformed; /* as fg_answer_parts_failed() */
    struct fg_buffer arguments;
    bool failed;
};
/* Reads it. False: out of memory, and *a needs no finish. */
bool fg_tool_answer_read(struct fg_tool_answer *a, const struct fg_answer_form *form,
                         enum fg_answer_start start, struct fg_str text, const char *id);
void fg_tool_answer_finish(struct fg_tool_answer *a);

/* A message that a client sent. */
struct fg_tool_message {
    struct fg_str content, reasoning; /* reasoning empty: it did not say */
    struct fg_str calls;              /* OpenAI's, a JSON array */
};
/* Whether it says what the answer `text` said: the same words but for the blanks around them, and
 * reasoning, calls of the same ids and names in the same order, arguments that are equal as JSON.
 * Then the answer's reasoning is appended to *reasoning. */
bool fg_tool_calls_same(const struct fg_answer_form *form, struct fg_str text,
                        const struct fg_tool_message *m, struct fg_buffer *reasoning);
/* Whether two answers with calls say the same: as above, ids apart; b may lack the reasoning. */
bool fg_tool_calls_alike(const struct fg_answer_form *form, struct fg_str a, struct fg_str b);
/* The id of the first of OpenAI's calls, as JSON has it without its quotes; false: it has none, or
 * one that is not in plain ASCII. */
bool fg_tool_calls_id(struct fg_str calls, struct fg_str *id);

#endif
