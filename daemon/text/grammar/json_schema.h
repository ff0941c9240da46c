/* JSON Schema to expressions: the texts are JSON that is valid under the schema.
 *
 * Members come in the order of `properties`. Blanks may stand behind brackets, commas and colons
 * and before closing brackets: none, one space, or a line's end and up to FG_JSON_INDENT more. What
 * constrains nothing (title, description, default, ...) is not looked at; what is not done is
 * refused by its name (docs/api.md has the list). */
#ifndef FG_JSON_SCHEMA_H
#define FG_JSON_SCHEMA_H

#include <jansson.h>

#include "expr.h"

enum { FG_JSON_INDENT = 40 };

/* An expression of the JSON texts that are valid under `schema`, which stays the caller's. What is
 * wrong with the expressions themselves is in x->error. FG_EINVAL (malformed), FG_EUNSUPPORTED (a
 * keyword that is not done; err names it), FG_ENOMEM. */
int fg_json_schema_read(struct fg_exprs *x, const json_t *schema, fg_expr *out, struct fg_err *err);

#endif
