#include "calls.h"

#include <string.h>

#include "json_schema_parts.h"

/* What is written around calls: before all of them, before each, behind each, behind all, and
 * between two of them. */
static const struct form {
    const char *name, *begin, *before, *behind, *end, *between;
} forms[] = {
    {"hermes", "", "<tool_call>\n", "\n</tool_call>", "", "\n"},
    {"minimax", "<tool_calls>\n", "", "\n", "</tool_calls>", ""},
};

static const struct form *find_form(const char *name)
{
    for (size_t i = 0; name && i < sizeof forms / sizeof *forms; i++)
        if (strcmp(name, forms[i].name) == 0)
            return &forms[i];
    return NULL;
}

/* {"name": "f", "arguments": {...}} */
static int read_call(struct fg_exprs *x, const json_t *function, fg_expr *out, struct fg_err *err)
{
    const json_t *parameters = json_object_get(function, "parameters");
    const char *name = json_string_value(json_object_get(function, "name"));
    json_t *any = json_pack("{s:s}", "type", "object");
    struct fg_err why = {0};
    fg_expr arguments = FG_EXPR_NEVER;
    int rc;

    if (!name || !any) {
        json_decref(any);
        return fg_fail(err, name ? FG_ENOMEM : FG_EINVAL, "a tool has no name");
    }
    rc = fg_json_schema_read(
        x, json_is_object(parameters) && json_object_size(parameters) ? parameters : any,
        &arguments, &why);
    json_decref(any);
    if (rc)
        return fg_fail(err, rc, "tool \"%.64s\": %.380s", name, why.text);
    *out = fg_expr_seq(x, fg_expr_literal(x, "{\"name\": \""),
                       fg_schema_text(x, (struct fg_str){name, strlen(name)}));
    *out = fg_expr_seq(x, *out, fg_expr_literal(x, "\", \"arguments\": "));
    *out = fg_expr_seq(x, *out, arguments);
    *out = fg_expr_seq(x, *out, fg_expr_literal(x, "}"));
    return 0;
}

int fg_calls_read(struct fg_exprs *x, const char *form, const json_t *calls, fg_expr *out,
                  struct fg_err *err)
{
    const struct form *f = find_form(form);
    const json_t *name = json_object_get(calls, "name"), *tools = json_object_get(calls, "tools");
    bool many = json_is_true(json_object_get(calls, "many"));
    fg_expr call = FG_EXPR_NEVER, one;
    uint32_t rule = fg_expr_new_rule(x);

    if (!f)
        return fg_fail(err, FG_EUNSUPPORTED, "calls of this model's tool form cannot be forced");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        int rc;

        if (json_is_string(name) && !json_equal(name, json_object_get(function, "name")))
            continue;
        rc = read_call(x, function, &one, err);
        if (rc)
            return rc;
        call = fg_expr_alt(x, call, one);
    }
    if (call == FG_EXPR_NEVER && !x->error)
        return fg_fail(err, FG_EINVAL, "tool_choice: there is no such tool");
    call = fg_expr_seq(x, fg_expr_literal(x, f->before), call);
    fg_expr_set_rule(x, rule, fg_expr_seq(x, call, fg_expr_literal(x, f->behind)));
    call = fg_expr_rule(x, rule);
    *out = fg_expr_seq(x, fg_expr_literal(x, f->begin), call);
    call = fg_expr_seq(x, fg_expr_literal(x, f->between), call);
    if (many)
        *out = fg_expr_seq(x, *out, fg_expr_repeat(x, call, 0, FG_CALLS_MOST - 1));
    *out = fg_expr_seq(x, *out, fg_expr_literal(x, f->end));
    return 0;
}
