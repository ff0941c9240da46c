/* The forms in which models write reasoning and tool calls.
 *
 *     minimax      <tool_calls>\n{"name": "f", "arguments": {...}}\n...\n</tool_calls>
 *     hermes       <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>
 *     minimax_xml  <minimax:tool_call><invoke name="f"><parameter name="k">v</parameter></invoke>
 *                  </minimax:tool_call>
 *     qwen_xml     <tool_call><function=f><parameter=k>\nv\n</parameter></function></tool_call>
 *     llama3       {"name": "f", "parameters": {...}}, or that behind <|python_tag|>
 *     mistral      [TOOL_CALLS][{"name": "f", "arguments": {...}}], or [TOOL_CALLS]f[ARGS]{...}
 *     harmony      <|channel|>commentary to=functions.f <|constrain|>json<|message|>{...}<|call|>
 *     gemma        ```tool_code\nf(k=1)\n```, or {"name": "f", "parameters": {...}} so fenced
 *     deepseek     <|tool_calls_begin|><|tool_call_begin|>f<|tool_sep|>{...}<|tool_call_end|>
 *                  <|tool_calls_end|>, or function<|tool_sep|>f\n```json\n{...}\n``` inside,
 *                  with the bars and blanks that its vocabulary has
 *     lfm2         <|tool_call_start|>[f(k=1), g()]<|tool_call_end|>
 *
 * The tags may be control tokens, which have no text in an answer. Such a one is given to who reads
 * an answer's parts as its mark: one byte that is no UTF-8, so that it is never confused with what
 * the model wrote as text. Pure; any thread. */
#ifndef FG_ANSWER_FORM_H
#define FG_ANSWER_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/str.h"
#include "tool_form.h"

enum { FG_FORM_TAGS = 11, FG_FIRST_MARK = 0xF5 }; /* tag i has the mark FG_FIRST_MARK + i */

struct fg_tool_schemas; /* tool_schemas.h */

struct fg_answer_form {
    enum fg_tool_form tools;
    enum fg_reasoning_form reasoning;
    uint16_t control; /* bit i: tag i is a control token: it counts as its mark alone */
    /* The tools of the request, by which values and names are told; borrowed, or NULL. */
    const struct fg_tool_schemas *schemas;
};

/* The text of tag i < FG_FORM_TAGS, static storage, or NULL where the form has none. */
const char *fg_answer_form_tag(const struct fg_answer_form *form, size_t i);

/* What the text of a chat, rendered with a tool, or a call, or reasoning, says of the form; NONE:
 * it says nothing. */
enum fg_tool_form fg_tool_form_of(struct fg_str text);
enum fg_reasoning_form fg_reasoning_form_of(struct fg_str text);
/* Their names, static storage. */
const char *fg_tool_form_name(enum fg_tool_form form);
const char *fg_reasoning_form_name(enum fg_reasoning_form form);

/* Where the answer to a prompt with that end begins: all behind what the last message says. */
enum fg_answer_start fg_answer_start_of(enum fg_reasoning_form form, struct fg_str end);
/* Where a complete answer began whose prompt is not known: a thought that only ends in it began
 * before it. */
enum fg_answer_start fg_answer_start_of_whole(const struct fg_answer_form *form,
                                              struct fg_str text);

#endif
