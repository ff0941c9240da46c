/* Arguments with tags of their own: a value that may be a string is its plain text, others are
 * JSON. Text that a schema says more of has no < and no line feed, so that it is what is read. */
#include <string.h>

#include "calls_parts.h"
#include "json_schema_parts.h"
#include "regex.h"
#include "text/tools/answer_tags.h"
#include "text/tools/tool_schemas.h"

enum { MAX_NAME = 64 /* of an argument that no schema names */ };

struct values {
    struct fg_schema_reader r;
    const struct fg_call_values *v;
    fg_expr any;  /* any text, and the end of a value */
    fg_expr ends; /* the end of a value that is no such text */
};

static fg_expr written(struct values *s, const char *text)
{
    return fg_turn_text(s->r.x, s->v->turn, text);
}

static fg_expr plain(struct values *s, const char *text)
{
    return fg_expr_literal(s->r.x, text);
}

/* --- values that are strings --- */

static fg_expr text_value(struct values *s, const json_t *schema);

/* Those of a list that are strings. */
static fg_expr listed(struct values *s, const json_t *list)
{
    char mark[1];
    struct fg_str end = fg_turn_tag(s->v->turn, FG_TAG_VALUE_END, mark);
    fg_expr all = FG_EXPR_NEVER;
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        struct fg_str text = {json_string_value(one), json_string_length(one)};

        if (!json_is_string(one))
            continue;
        if (text.n && (text.p[0] == '\n' || text.p[text.n - 1] == '\n' ||
                       memmem(text.p, text.n, end.p, end.n)))
            return fg_schema_fail(&s->r, FG_EUNSUPPORTED,
                                  "a value that begins or ends with a line's end, or holds the "
                                  "tag behind it, is not done in this form of calls");
        all = fg_expr_alt(s->r.x, all, fg_expr_text(s->r.x, text));
    }
    return fg_expr_seq(s->r.x, all, s->ends);
}

static fg_expr matching(struct values *s, const char *pattern, size_t n, bool whole)
{
    fg_expr out = FG_EXPR_NEVER;
    struct fg_err err = {0};
    int rc =
        fg_regex_read(s->r.x, (struct fg_str){pattern, n}, FG_CHARS_IN_TAGS, whole, &out, &err);

    if (rc)
        return fg_schema_fail(&s->r, rc, "pattern: %.300s", err.text);
    return fg_expr_seq(s->r.x, out, s->ends);
}

static fg_expr counted(struct values *s, const json_t *schema)
{
    struct fg_chars all = {.n = 0};
    uint32_t least = fg_schema_count(&s->r, schema, "minLength", 0);
    uint32_t most = fg_schema_count(&s->r, schema, "maxLength", FG_EXPR_ANY_NUMBER);
    fg_expr one;

    fg_chars_invert(&all, FG_LAST_CHAR);
    one = fg_expr_chars(s->r.x, &all, FG_CHARS_IN_TAGS);
    return fg_expr_seq(s->r.x, fg_expr_repeat(s->r.x, one, least, most), s->ends);
}

/* anyOf and oneOf: of those that take strings, each with what stands beside. */
static fg_expr alternatives(struct values *s, const json_t *schema, const char *name)
{
    const json_t *list = json_object_get(schema, name), *one;
    const json_t *beside = fg_schema_without(&s->r, schema, name);
    fg_expr all = FG_EXPR_NEVER;

    for (size_t i = 0; i < json_array_size(list) && !s->r.rc; i++) {
        one = json_array_get(list, i);
        if (!fg_tool_schema_takes_string(s->r.root, one))
            continue;
        one = fg_schema_merge(&s->r, beside, one);
        if (!s->r.rc)
            all = fg_expr_alt(s->r.x, all, text_value(s, one));
    }
    return all;
}

static fg_expr all_of(struct values *s, const json_t *schema)
{
    const json_t *list = json_object_get(schema, "allOf");
    const json_t *merged = fg_schema_without(&s->r, schema, "allOf");

    for (size_t i = 0; i < json_array_size(list) && !s->r.rc; i++)
        merged = fg_schema_merge(&s->r, merged, json_array_get(list, i));
    return s->r.rc ? FG_EXPR_NEVER : text_value(s, merged);
}

static fg_expr of_string(struct values *s, const json_t *schema)
{
    const json_t *only = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    const char *named = fg_schema_format(json_string_value(format));
    bool length = json_object_get(schema, "minLength") || json_object_get(schema, "maxLength");

    if (only) {
        json_t *one = json_pack("[O]", only);
        fg_expr e = listed(s, one);

        json_decref(one);
        return e;
    }
    if (list)
        return listed(s, list);
    if ((pattern != NULL) + (format != NULL) + length > 1)
        return fg_schema_fail(&s->r, FG_EUNSUPPORTED,
                              "pattern, format and lengths beside one another are not done");
    if (format && !named)
        return fg_schema_fail(&s->r, FG_EUNSUPPORTED, "format \"%.40s\" is not done",
                              json_is_string(format) ? json_string_value(format) : "");
    if (named)
        return matching(s, named, strlen(named), true);
    if (json_is_string(pattern))
        return matching(s, json_string_value(pattern), json_string_length(pattern), false);
    return length ? counted(s, schema) : s->any;
}

static fg_expr text_value(struct values *s, const json_t *schema)
{
    const json_t *to, *beside;
    fg_expr e = FG_EXPR_NEVER;

    if (s->r.rc || ++s->r.steps > FG_SCHEMA_MAX_STEPS || ++s->r.depth > FG_SCHEMA_MAX_DEPTH)
        return fg_schema_fail(&s->r, FG_EUNSUPPORTED, "it is too large, or too deep");
    if (json_object_get(schema, "$ref")) {
        to = fg_schema_find(&s->r, json_object_get(schema, "$ref"));
        beside = fg_schema_without(&s->r, schema, "$ref");
        to = s->r.rc ? NULL : fg_schema_merge(&s->r, to, beside);
        e = s->r.rc ? FG_EXPR_NEVER : text_value(s, to);
    } else if (json_object_get(schema, "allOf")) {
        e = all_of(s, schema);
    } else if (json_object_get(schema, "anyOf")) {
        e = alternatives(s, schema, "anyOf");
    } else if (json_object_get(schema, "oneOf")) {
        e = alternatives(s, schema, "oneOf");
    } else {
        /* What is not done in JSON is not done here either. */
        (void)fg_schema_value(&s->r, schema);
        e = s->r.rc ? FG_EXPR_NEVER : of_string(s, schema);
    }
    s->r.depth--;
    return e;
}

/* --- arguments --- */

static fg_expr argument(struct values *s, fg_expr name, fg_expr value)
{
    const struct fg_call_writing *w = s->v->writing;
    fg_expr head = fg_expr_seq(s->r.x, written(s, w->value), name);

    head = fg_expr_seq(s->r.x, head, written(s, w->value_begin));
    return fg_expr_seq(s->r.x, fg_expr_seq(s->r.x, head, value), plain(s, "\n"));
}

static fg_expr any_arguments(struct values *s)
{
    fg_expr name = FG_EXPR_NEVER;

    (void)fg_regex_read(s->r.x, (struct fg_str){"[A-Za-z0-9_.-]", 14}, FG_CHARS_PLAIN, true, &name,
                        NULL);
    name = fg_expr_repeat(s->r.x, name, 1, MAX_NAME);
    return fg_expr_repeat(s->r.x, argument(s, name, s->any), 0, FG_EXPR_ANY_NUMBER);
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);

    return n && n <= 256 && !strpbrk(name, "<>\"\n") && name[0] != ' ' && name[n - 1] != ' ';
}

static bool is_required(const json_t *list, const char *name)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one) if (json_is_string(one) &&
                                         strcmp(json_string_value(one), name) == 0) return true;
    return false;
}

static fg_expr named(struct values *s, const char *name, const json_t *schema)
{
    bool text = !schema || json_is_true(schema) || fg_tool_schema_takes_string(s->r.root, schema);
    fg_expr value;

    if (!is_name(name))
        return fg_schema_fail(&s->r, FG_EUNSUPPORTED,
                              "the name \"%.60s\" is not done in this form of calls", name);
    if (text && json_is_object(schema))
        value = text_value(s, schema);
    else if (text)
        value = s->any;
    else
        value = fg_expr_seq(s->r.x, fg_schema_value(&s->r, schema), s->ends);
    return argument(s, plain(s, name), value);
}

/* What says more of the object than which members it has. */
static bool says_more(const json_t *parameters)
{
    static const char *const known[] = {"type", "properties", "required", "additionalProperties"};
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)parameters, name, v)
    {
        bool is_known = fg_schema_is_note(name);

        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (!is_known)
            return true;
    }
    return false;
}

static fg_expr arguments(struct values *s, const json_t *parameters)
{
    const json_t *required = json_object_get(parameters, "required"), *one;
    json_t *properties = json_object_get(parameters, "properties"), *v;
    fg_expr all = FG_EXPR_EMPTY;
    const char *name;
    size_t i;

    if (says_more(parameters))
        return fg_schema_fail(&s->r, FG_EUNSUPPORTED,
                              "in this form of calls only type, properties, required and "
                              "additionalProperties are done of the arguments as a whole");
    if (!json_object_size(properties) && !json_array_size(required))
        return json_is_false(json_object_get(parameters, "additionalProperties")) || properties
                   ? FG_EXPR_EMPTY
                   : any_arguments(s);
    json_object_foreach(properties, name, v)
    {
        fg_expr e = named(s, name, v);

        all =
            fg_expr_seq(s->r.x, all, is_required(required, name) ? e : fg_expr_optional(s->r.x, e));
    }
    json_array_foreach(required, i, one)
    {
        name = json_string_value(one);
        if (name && !json_object_get(properties, name))
            all = fg_expr_seq(s->r.x, all, named(s, name, NULL));
    }
    return all;
}

int fg_call_values_read(struct fg_exprs *x, const struct fg_call_values *v,
                        const json_t *parameters, fg_expr *out, struct fg_err *err)
{
    struct values s = {.v = v, .any = v->any_text};
    json_t *none = json_object();

    *out = FG_EXPR_NEVER;
    if (fg_schema_reader_init(&s.r, x, parameters ? parameters : none, err) == 0) {
        s.ends =
            fg_expr_seq(x, written(&s, v->writing->value_end), written(&s, FG_TAG_BYTE_VALUE_END));
        *out = parameters ? arguments(&s, parameters) : any_arguments(&s);
    }
    fg_schema_reader_finish(&s.r);
    json_decref(none);
    return s.r.rc;
}
