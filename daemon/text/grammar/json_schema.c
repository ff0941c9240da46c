#include "json_schema_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "regex.h"

fg_expr fg_schema_fail(struct fg_schema_reader *r, int code, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    if (r->rc)
        return FG_EXPR_NEVER;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->rc = fg_fail(r->err, code, "JSON schema: %s", text);
    return FG_EXPR_NEVER;
}

uint32_t fg_schema_count(struct fg_schema_reader *r, const json_t *schema, const char *name,
                         uint32_t otherwise)
{
    const json_t *v = json_object_get(schema, name);
    double n = json_number_value(v);

    if (!v)
        return otherwise;
    if (!json_is_number(v) || n < 0 || n != floor(n))
        fg_schema_fail(r, FG_EINVAL, "%s must be a whole number", name);
    else if (n > FG_EXPR_MAX_REPEAT)
        fg_schema_fail(r, FG_EUNSUPPORTED, "%s: at most %d is done", name, FG_EXPR_MAX_REPEAT);
    else
        return (uint32_t)n;
    return otherwise;
}

/* --- keywords --- */

static const struct keyword {
    const char *name, *type; /* the type that it is about; "": any */
} keywords[] = {
    {"type", ""},
    {"$ref", ""},
    {"enum", ""},
    {"const", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"allOf", ""},
    {"nullable", ""},
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"patternProperties", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"additionalItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
};

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(name, keywords[i].name) == 0)
            return &keywords[i];
    return NULL;
}

/* Refuses what is not done. `of`: keywords about this type alone are counted ("": about any);
 * returns how many there are. */
static size_t check(struct fg_schema_reader *r, const json_t *schema, const char *of)
{
    const char *name;
    size_t n = 0;
    json_t *v;

    json_object_foreach((json_t *)schema, name, v)
    {
        const struct keyword *k = find_keyword(name);

        if (!k && !fg_schema_is_note(name))
            fg_schema_fail(r, FG_EUNSUPPORTED, "\"%.40s\" is not done", name);
        else if (k && strcmp(name, "uniqueItems") == 0 && !json_is_false(v))
            fg_schema_fail(r, FG_EUNSUPPORTED, "\"uniqueItems\" is not done");
        n += k && (!*of || strcmp(k->type, of) == 0);
    }
    return n;
}

/* --- values that are listed --- */

static fg_expr blanks(struct fg_schema_reader *r)
{
    return fg_expr_rule(r->x, r->blanks);
}

static fg_expr real(struct fg_schema_reader *r, double v)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return fg_expr_alt(r->x, fg_expr_literal(r->x, text),
                       strpbrk(text, ".e") ? FG_EXPR_NEVER
                                           : fg_expr_literal(r->x, strcat(text, ".0")));
}

static fg_expr container(struct fg_schema_reader *r, const json_t *value)
{
    struct fg_exprs *x = r->x;
    bool object = json_is_object(value);
    fg_expr all = FG_EXPR_EMPTY, ends;
    const char *name;
    size_t i;
    json_t *v;

    json_array_foreach(value, i, v)
    {
        if (i)
            all = fg_expr_seq(x, all, fg_expr_seq(x, fg_expr_literal(x, ","), blanks(r)));
        all = fg_expr_seq(x, all, fg_schema_literal(r, v));
    }
    json_object_foreach((json_t *)value, name, v)
    {
        if (all != FG_EXPR_EMPTY)
            all = fg_expr_seq(x, all, fg_expr_seq(x, fg_expr_literal(x, ","), blanks(r)));
        all = fg_expr_seq(x, all, fg_expr_literal(x, "\""));
        all = fg_expr_seq(x, all, fg_schema_text(x, (struct fg_str){name, strlen(name)}));
        all = fg_expr_seq(x, all, fg_expr_seq(x, fg_expr_literal(x, "\":"), blanks(r)));
        all = fg_expr_seq(x, all, fg_schema_literal(r, v));
    }
    ends = fg_expr_literal(x, object ? "}" : "]");
    all = fg_expr_seq(x, blanks(r), fg_expr_seq(x, all, fg_expr_seq(x, blanks(r), ends)));
    return fg_expr_seq(x, fg_expr_literal(x, object ? "{" : "["), all);
}

fg_expr fg_schema_literal(struct fg_schema_reader *r, const json_t *value)
{
    struct fg_exprs *x = r->x;
    fg_expr text = FG_EXPR_NEVER;
    char number[32];

    switch (json_typeof(value)) {
    case JSON_NULL: return fg_expr_literal(x, "null");
    case JSON_TRUE: return fg_expr_literal(x, "true");
    case JSON_FALSE: return fg_expr_literal(x, "false");
    case JSON_REAL: return real(r, json_real_value(value));
    case JSON_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return fg_expr_literal(x, number);
    case JSON_STRING:
        text =
            fg_schema_text(x, (struct fg_str){json_string_value(value), json_string_length(value)});
        text = fg_expr_seq(x, fg_expr_literal(x, "\""), text);
        return fg_expr_seq(x, text, fg_expr_literal(x, "\""));
    case JSON_ARRAY:
    case JSON_OBJECT:
        if (++r->depth > FG_SCHEMA_MAX_DEPTH)
            text = fg_schema_fail(r, FG_EUNSUPPORTED, "it is too deep");
        else
            text = container(r, value);
        r->depth--;
        break;
    }
    return text;
}

/* Is the value of that type? */
static bool is_of(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_NULL: return strcmp(type, "null") == 0;
    case JSON_TRUE:
    case JSON_FALSE: return strcmp(type, "boolean") == 0;
    case JSON_STRING: return strcmp(type, "string") == 0;
    case JSON_ARRAY: return strcmp(type, "array") == 0;
    case JSON_OBJECT: return strcmp(type, "object") == 0;
    case JSON_INTEGER: return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0 ||
               (strcmp(type, "integer") == 0 &&
                json_real_value(value) == floor(json_real_value(value)));
    }
    return false;
}

static bool allows(const json_t *types, const json_t *value)
{
    bool any = !types || (json_is_string(types) && is_of(value, json_string_value(types)));
    const json_t *type;
    size_t i;

    json_array_foreach(types, i, type) any =
        any || (json_is_string(type) && is_of(value, json_string_value(type)));
    return any;
}

static fg_expr listed(struct fg_schema_reader *r, const json_t *schema)
{
    const json_t *list = json_object_get(schema, "enum"), *only = json_object_get(schema, "const");
    const json_t *types = json_object_get(schema, "type"), *v;
    fg_expr all = FG_EXPR_NEVER;
    size_t i;

    for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++)
        if (*keywords[k].type && json_object_get(schema, keywords[k].name))
            return fg_schema_fail(r, FG_EUNSUPPORTED, "\"%s\" beside enum or const is not done",
                                  keywords[k].name);
    if (list && !json_is_array(list))
        return fg_schema_fail(r, FG_EINVAL, "enum must be an array");
    json_array_foreach(list, i, v)
    {
        if (only && !json_equal(only, v))
            continue;
        if (allows(types, v))
            all = fg_expr_alt(r->x, all, fg_schema_literal(r, v));
    }
    if (only && !list && allows(types, only))
        all = fg_schema_literal(r, only);
    return all;
}

/* --- types and combinations --- */

static fg_expr of_type(struct fg_schema_reader *r, const json_t *schema, const char *type)
{
    if (strcmp(type, "object") == 0)
        return fg_schema_object(r, schema);
    if (strcmp(type, "array") == 0)
        return fg_schema_array(r, schema);
    if (strcmp(type, "string") == 0)
        return fg_schema_string(r, schema);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return fg_schema_number(r, schema, *type == 'i');
    if (strcmp(type, "boolean") == 0)
        return fg_expr_alt(r->x, fg_expr_literal(r->x, "true"), fg_expr_literal(r->x, "false"));
    if (strcmp(type, "null") == 0)
        return fg_expr_literal(r->x, "null");
    return fg_schema_fail(r, FG_EINVAL, "there is no type \"%.40s\"", type);
}

/* A schema without a type is about those that its keywords are about. */
static fg_expr typed(struct fg_schema_reader *r, const json_t *schema)
{
    static const char *const kinds[] = {"object", "array", "string", "number"};
    const json_t *types = json_object_get(schema, "type"), *type;
    fg_expr all = FG_EXPR_NEVER;
    bool any = false;
    size_t i;

    if (json_is_string(types))
        return of_type(r, schema, json_string_value(types));
    if (types && !json_is_array(types))
        return fg_schema_fail(r, FG_EINVAL, "type must be a string or an array of strings");
    json_array_foreach(types, i, type)
    {
        if (!json_is_string(type))
            return fg_schema_fail(r, FG_EINVAL, "type must be a string or an array of strings");
        all = fg_expr_alt(r->x, all, of_type(r, schema, json_string_value(type)));
    }
    if (types)
        return all;
    for (i = 0; i < 4; i++) {
        if (!check(r, schema, kinds[i]))
            continue;
        any = true;
        all = fg_expr_alt(r->x, all, of_type(r, schema, kinds[i]));
    }
    return any ? all : fg_expr_rule(r->x, r->value);
}

/* anyOf, or oneOf, which is taken for the same: each alternative with what stands beside. */
static fg_expr alternatives(struct fg_schema_reader *r, const json_t *schema, const char *name)
{
    const json_t *list = json_object_get(schema, name), *beside, *one;
    fg_expr all = FG_EXPR_NEVER;
    bool alone;
    size_t i;

    if (!json_array_size(list))
        return fg_schema_fail(r, FG_EINVAL, "%s must be an array that is not empty", name);
    beside = fg_schema_without(r, schema, name);
    alone = beside && check(r, beside, "") == 0;
    for (i = 0; i < json_array_size(list) && !r->rc; i++) {
        one = json_array_get(list, i);
        if (!alone)
            one = fg_schema_merge(r, beside, one);
        if (!r->rc)
            all = fg_expr_alt(r->x, all, fg_schema_value(r, one));
    }
    return all;
}

static fg_expr all_of(struct fg_schema_reader *r, const json_t *schema)
{
    const json_t *list = json_object_get(schema, "allOf");
    const json_t *merged = fg_schema_without(r, schema, "allOf");

    if (!json_array_size(list))
        return fg_schema_fail(r, FG_EINVAL, "allOf must be an array that is not empty");
    for (size_t i = 0; i < json_array_size(list) && !r->rc; i++)
        merged = fg_schema_merge(r, merged, json_array_get(list, i));
    return r->rc ? FG_EXPR_NEVER : fg_schema_value(r, merged);
}

static fg_expr reference(struct fg_schema_reader *r, const json_t *schema)
{
    const json_t *to = fg_schema_find(r, json_object_get(schema, "$ref"));
    const json_t *beside = fg_schema_without(r, schema, "$ref");

    if (!r->rc && check(r, beside, ""))
        to = fg_schema_merge(r, to, beside);
    return r->rc ? FG_EXPR_NEVER : fg_schema_value(r, to);
}

static fg_expr read(struct fg_schema_reader *r, const json_t *schema)
{
    check(r, schema, "");
    if (r->rc)
        return FG_EXPR_NEVER;
    if (json_is_true(json_object_get(schema, "nullable"))) {
        const json_t *same = fg_schema_without(r, schema, "nullable");

        return r->rc ? FG_EXPR_NEVER
                     : fg_expr_alt(r->x, fg_schema_value(r, same), fg_expr_literal(r->x, "null"));
    }
    if (json_object_get(schema, "$ref"))
        return reference(r, schema);
    if (json_object_get(schema, "allOf"))
        return all_of(r, schema);
    if (json_object_get(schema, "anyOf"))
        return alternatives(r, schema, "anyOf");
    if (json_object_get(schema, "oneOf"))
        return alternatives(r, schema, "oneOf");
    if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return listed(r, schema);
    return typed(r, schema);
}

fg_expr fg_schema_value(struct fg_schema_reader *r, const json_t *schema)
{
    char key[32];
    const json_t *known;
    uint32_t rule;

    if (r->rc || json_is_false(schema))
        return FG_EXPR_NEVER;
    if (json_is_true(schema))
        return fg_expr_rule(r->x, r->value);
    if (!json_is_object(schema))
        return fg_schema_fail(r, FG_EINVAL, "a schema must be an object or a boolean");
    snprintf(key, sizeof key, "%p", (const void *)schema);
    known = json_object_get(r->rules, key);
    if (known)
        return fg_expr_rule(r->x, (uint32_t)json_integer_value(known));
    if (++r->steps > FG_SCHEMA_MAX_STEPS)
        return fg_schema_fail(r, FG_EUNSUPPORTED, "it is too large");
    rule = fg_expr_new_rule(r->x);
    if (json_object_set_new(r->rules, key, json_integer(rule)) < 0)
        return fg_schema_fail(r, FG_ENOMEM, "no memory");
    if (++r->depth > FG_SCHEMA_MAX_DEPTH)
        fg_schema_fail(r, FG_EUNSUPPORTED, "it is too deep");
    else
        fg_expr_set_rule(r->x, rule, read(r, schema));
    r->depth--;
    return fg_expr_rule(r->x, rule);
}

/* --- what every schema needs --- */

static void add_blanks(struct fg_schema_reader *r)
{
    struct fg_exprs *x = r->x;
    fg_expr blank = fg_expr_alt(x, fg_expr_byte(x, ' ', ' '), fg_expr_byte(x, '\t', '\t'));
    fg_expr line = fg_expr_alt(x, fg_expr_literal(x, "\n"), fg_expr_literal(x, "\r\n"));

    line = fg_expr_seq(x, line, fg_expr_repeat(x, blank, 0, FG_JSON_INDENT));
    r->blanks = fg_expr_new_rule(x);
    fg_expr_set_rule(x, r->blanks,
                     fg_expr_alt(x, fg_expr_alt(x, FG_EXPR_EMPTY, fg_expr_literal(x, " ")), line));
}

/* Any value, and any string. */
static void add_any(struct fg_schema_reader *r)
{
    static const char *const types[] = {"array", "string", "number", "boolean", "null"};
    const json_t *none = json_array_get(r->made, 0);
    fg_expr all;

    r->string = fg_expr_new_rule(r->x);
    r->value = fg_expr_new_rule(r->x);
    fg_expr_set_rule(r->x, r->string, fg_schema_string(r, none));
    all = fg_schema_object(r, none);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        all = fg_expr_alt(r->x, all, of_type(r, none, types[i]));
    fg_expr_set_rule(r->x, r->value, all);
}

int fg_schema_reader_init(struct fg_schema_reader *r, struct fg_exprs *x, const json_t *schema,
                          struct fg_err *err)
{
    *r = (struct fg_schema_reader){.x = x, .root = schema, .err = err};
    r->rules = json_object();
    r->made = json_array();
    if (!r->rules || !r->made || json_array_append_new(r->made, json_object()) < 0)
        return r->rc = fg_fail(err, FG_ENOMEM, "no memory for a JSON schema");
    add_blanks(r);
    add_any(r);
    return r->rc;
}

void fg_schema_reader_finish(struct fg_schema_reader *r)
{
    json_decref(r->rules);
    json_decref(r->made);
}

int fg_json_schema_read(struct fg_exprs *x, const json_t *schema, fg_expr *out, struct fg_err *err)
{
    struct fg_schema_reader r;

    *out = FG_EXPR_NEVER;
    if (fg_schema_reader_init(&r, x, schema, err) == 0)
        *out = fg_schema_value(&r, schema);
    fg_schema_reader_finish(&r);
    return r.rc;
}
