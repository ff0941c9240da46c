#include "form.h"

#include <string.h>

#include "calls.h"
#include "gbnf.h"
#include "json_schema.h"
#include "regex.h"

static json_t *parse(struct fg_str text, struct fg_err *err)
{
    json_error_t why;
    json_t *v = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);

    if (!v)
        fg_fail(err, FG_EINVAL, "it is not JSON: %.200s", why.text);
    return v;
}

static int read_schema(struct fg_exprs *x, struct fg_str text, fg_expr *out, struct fg_err *err)
{
    json_t *schema = parse(text, err);
    int rc = schema ? fg_json_schema_read(x, schema, out, err) : FG_EINVAL;

    json_decref(schema);
    return rc;
}

static int read_object(struct fg_exprs *x, fg_expr *out, struct fg_err *err)
{
    static const char any[] = "{\"type\": \"object\"}";

    return read_schema(x, (struct fg_str){any, sizeof any - 1}, out, err);
}

static int read_choice(struct fg_exprs *x, struct fg_str text, fg_expr *out, struct fg_err *err)
{
    json_t *list = parse(text, err), *v;
    int rc = list ? 0 : FG_EINVAL;
    size_t i;

    if (rc == 0 && !json_array_size(list))
        rc = fg_fail(err, FG_EINVAL, "choice: it must be an array of strings that is not empty");
    json_array_foreach(list, i, v)
    {
        if (rc == 0 && !json_string_length(v))
            rc = fg_fail(err, FG_EINVAL, "choice[%zu]: it must be a string that is not empty", i);
        if (rc == 0)
            *out = fg_expr_alt(
                x, *out,
                fg_expr_text(x, (struct fg_str){json_string_value(v), json_string_length(v)}));
    }
    json_decref(list);
    return rc;
}

static int read_calls(struct fg_exprs *x, const struct fg_form *form, fg_expr *out,
                      struct fg_err *err)
{
    json_t *calls = parse(form->text, err);
    int rc = FG_EINVAL;

    if (calls && !form->turn.form)
        rc = fg_fail(err, FG_EUNSUPPORTED, "only answers to chats have calls");
    else if (calls && form->kind == FG_FORM_CALLS)
        rc = fg_calls_read(x, &form->turn, calls, out, err);
    else if (calls)
        rc = fg_calls_guard(x, &form->turn, calls, out, err);
    json_decref(calls);
    return rc;
}

static int read_text(struct fg_exprs *x, const struct fg_form *form, fg_expr *out,
                     struct fg_err *err)
{
    switch (form->kind) {
    case FG_FORM_JSON_SCHEMA: return read_schema(x, form->text, out, err);
    case FG_FORM_JSON_OBJECT: return read_object(x, out, err);
    case FG_FORM_REGEX: return fg_regex_read(x, form->text, FG_CHARS_PLAIN, true, out, err);
    case FG_FORM_CHOICE: return read_choice(x, form->text, out, err);
    case FG_FORM_GBNF: return fg_gbnf_read(x, form->text, out, err);
    default: return fg_fail(err, FG_EINVAL, "there is no form");
    }
}

static int read_form(struct fg_exprs *x, const struct fg_form *form, fg_expr *out,
                     struct fg_err *err)
{
    fg_expr begin = FG_EXPR_EMPTY;
    int rc;

    if (form->kind == FG_FORM_CALLS || form->kind == FG_FORM_GUARDED)
        return read_calls(x, form, out, err);
    rc = read_text(x, form, out, err);
    if (rc == 0 && form->turn.form)
        rc = fg_turn_begin(x, &form->turn, &begin, err);
    *out = fg_expr_seq(x, begin, *out);
    return rc;
}

int fg_form_compile(const struct fg_form *form, struct fg_grammar **out, struct fg_err *err)
{
    struct fg_exprs x;
    fg_expr body = FG_EXPR_NEVER;
    struct fg_err why = {0};
    uint32_t root;
    int rc;

    *out = NULL;
    if (form->text.n > FG_GRAMMAR_MAX_TEXT)
        return fg_fail(err, FG_EINVAL, "the answer's form has %zu bytes, at most %d are taken",
                       form->text.n, FG_GRAMMAR_MAX_TEXT);
    fg_exprs_init(&x);
    root = fg_expr_new_rule(&x);
    rc = read_form(&x, form, &body, &why);
    fg_expr_set_rule(&x, root, body);
    if (rc == 0)
        rc = fg_grammar_compile(&x, root, out, &why);
    fg_exprs_finish(&x);
    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "no memory for the answer's form");
    return rc ? fg_fail(err, FG_EINVAL, "the answer's form: %.400s", why.text) : 0;
}
