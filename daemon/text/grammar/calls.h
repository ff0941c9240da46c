/* Calls of tools as a form of an answer: what the model's own tool form looks like, with arguments
 * that are valid under the tool's parameters. */
#ifndef FG_GRAMMAR_CALLS_H
#define FG_GRAMMAR_CALLS_H

#include <jansson.h>

#include "expr.h"
#include "fulgur/error.h"

enum { FG_CALLS_MOST = 32 /* in one answer */ };

/* calls: {"name": the only tool that is called, or null, "many": more than one call is fine,
 * "tools": OpenAI's, as the request has them}. form: the name of the model's tool form
 * (text/tools/tool_calls.h), or NULL. Errors of fg_json_schema_read(), and FG_EUNSUPPORTED: calls
 * of that form cannot be forced, FG_EINVAL: there is no such tool. */
int fg_calls_read(struct fg_exprs *x, const char *form, const json_t *calls, fg_expr *out,
                  struct fg_err *err);

#endif
