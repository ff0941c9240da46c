/* What a request's tools say of their parameters: whether a value that a model writes as plain text
 * is a string or JSON. Immutable: any thread. */
#ifndef FG_TOOL_SCHEMAS_H
#define FG_TOOL_SCHEMAS_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "fulgur/str.h"

struct fg_tool_schemas; /* opaque */

/* Of OpenAI's `tools`, a JSON array, which is copied. NULL: out of memory. */
struct fg_tool_schemas *fg_tool_schemas_create(struct fg_str tools);
void fg_tool_schemas_destroy(struct fg_tool_schemas *s); /* NULL is fine */
/* Whether there is a tool of that name; true where s is NULL. */
bool fg_tool_schemas_has(const struct fg_tool_schemas *s, struct fg_str tool);
/* Whether the parameter's value is JSON; false: a string, which a parameter that is not described
 * is too. */
bool fg_tool_schemas_json(const struct fg_tool_schemas *s, struct fg_str tool, struct fg_str name);
/* The same of one schema, a part of `root`, the parameters of the tool: may a string be valid for
 * it, as far as its types tell? */
bool fg_tool_schema_takes_string(const json_t *root, const json_t *schema);

#endif
