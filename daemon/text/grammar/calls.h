/* Calls of tools as a form of an answer: what the model's own tool form looks like, with arguments
 * that are valid under the tool's parameters. */
#ifndef FG_GRAMMAR_CALLS_H
#define FG_GRAMMAR_CALLS_H

#include <jansson.h>

#include "expr.h"
#include "fulgur/error.h"
#include "turn.h"

enum { FG_CALLS_MOST = 32 /* in one answer that is calls alone */ };

/* An answer that is calls and nothing else but the thought before them. calls: {"name": the only
 * tool that is called, or null, "many": more than one call is fine, "tools": OpenAI's, as the
 * request has them}. Errors of fg_json_schema_read(), and FG_EUNSUPPORTED: calls of that form
 * cannot be forced, FG_EINVAL: there is no such tool. */
int fg_calls_read(struct fg_exprs *x, const struct fg_turn *turn, const json_t *calls, fg_expr *out,
                  struct fg_err *err);

/* Any answer; where it begins a call, that is one of the tools', and its arguments are valid under
 * the parameters of a tool that is `strict`, else any object. Without "many" it ends with the first
 * call. calls and errors as above. */
int fg_calls_guard(struct fg_exprs *x, const struct fg_turn *turn, const json_t *calls,
                   fg_expr *out, struct fg_err *err);

#endif
