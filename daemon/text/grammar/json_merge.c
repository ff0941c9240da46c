/* Schemas that hold together: $ref with others beside it, allOf, and what stands beside anyOf. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "json_schema_parts.h"

enum { MOST_PAIRS = 1 << 20 };

bool fg_schema_is_note(const char *keyword)
{
    static const char *const names[] = {"title",
                                        "description",
                                        "default",
                                        "examples",
                                        "example",
                                        "$schema",
                                        "$id",
                                        "id",
                                        "$comment",
                                        "$defs",
                                        "definitions",
                                        "deprecated",
                                        "readOnly",
                                        "writeOnly",
                                        "externalDocs",
                                        "xml",
                                        "strict",
                                        "discriminator",
                                        "contentEncoding",
                                        "contentMediaType"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(keyword, names[i]) == 0)
            return true;
    return strncmp(keyword, "x-", 2) == 0;
}

/* Takes the reference. */
static json_t *keep(struct fg_schema_reader *r, json_t *made)
{
    if (made && json_array_append_new(r->made, made) == 0)
        return made;
    fg_schema_fail(r, FG_ENOMEM, "no memory for a JSON schema");
    return NULL;
}

const json_t *fg_schema_without(struct fg_schema_reader *r, const json_t *schema, const char *name)
{
    json_t *copy = keep(r, json_copy((json_t *)schema));

    if (copy)
        json_object_del(copy, name);
    return copy;
}

/* --- references --- */

/* One step of a JSON pointer: unescapes *p up to the next /, which it is moved to. */
static bool next_step(const char **p, struct fg_buffer *step)
{
    fg_buffer_clear(step);
    for (; **p && **p != '/'; ++*p) {
        char c = **p, hex[3] = {0};

        if (c == '%' && (*p)[1] && (*p)[2]) {
            memcpy(hex, *p + 1, 2);
            c = (char)strtol(hex, NULL, 16);
            *p += 2;
        } else if (c == '~' && ((*p)[1] == '0' || (*p)[1] == '1')) {
            c = *++*p == '0' ? '~' : '/';
        }
        fg_buffer_add(step, &c, 1);
    }
    fg_buffer_add(step, "", 1);
    return !step->failed;
}

const json_t *fg_schema_find(struct fg_schema_reader *r, const json_t *ref)
{
    const char *p = json_string_value(ref);
    const json_t *at = r->root;
    struct fg_buffer step = {0};

    if (!p || *p != '#' || (p[1] && p[1] != '/')) {
        fg_schema_fail(r, FG_EUNSUPPORTED, "$ref: only those that begin with #/ are done");
        return NULL;
    }
    for (p++; *p == '/' && at;) {
        p++;
        if (!next_step(&p, &step))
            fg_schema_fail(r, FG_ENOMEM, "no memory for a JSON schema");
        else if (json_is_array(at))
            at = json_array_get(at, (size_t)strtoul(step.p, NULL, 10));
        else
            at = json_object_get(at, step.p);
        if (r->rc)
            break;
    }
    fg_buffer_finish(&step);
    if (!at && !r->rc)
        fg_schema_fail(r, FG_EINVAL, "$ref: there is nothing at \"%.80s\"", json_string_value(ref));
    return r->rc ? NULL : at;
}

/* --- merging --- */

static bool fits_type(const char *name, const char *other)
{
    return strcmp(name, other) == 0 ||
           (strcmp(name, "integer") == 0 && strcmp(other, "number") == 0);
}

static json_t *as_list(const json_t *v)
{
    json_t *list = json_is_array(v) ? json_copy((json_t *)v) : json_array();

    if (list && !json_is_array(v) && json_array_append(list, (json_t *)v) < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *common_types(const json_t *a, const json_t *b)
{
    json_t *left = as_list(a), *right = as_list(b), *out = json_array(), *x, *y;
    size_t i, k;

    json_array_foreach(left, i, x)
    {
        json_array_foreach(right, k, y)
        {
            const char *p = json_string_value(x), *q = json_string_value(y);

            if (p && q && fits_type(p, q))
                json_array_append(out, x);
            else if (p && q && fits_type(q, p))
                json_array_append(out, y);
        }
    }
    json_decref(left);
    json_decref(right);
    return out;
}

static json_t *common_values(const json_t *a, const json_t *b)
{
    json_t *out = json_array(), *x, *y;
    size_t i, k;

    json_array_foreach(a, i, x)
    {
        json_array_foreach(b, k, y) if (json_equal(x, y)) json_array_append(out, x);
    }
    return out;
}

static json_t *both(const json_t *a, const json_t *b)
{
    if (json_equal(a, b))
        return json_incref((json_t *)a);
    return json_pack("{s:[O,O]}", "allOf", (json_t *)a, (json_t *)b);
}

static json_t *all_properties(const json_t *a, const json_t *b)
{
    json_t *out = json_copy((json_t *)a), *v;
    const char *name;

    json_object_foreach((json_t *)b, name, v)
    {
        const json_t *there = json_object_get(out, name);

        json_object_set_new(out, name, there ? both(there, v) : json_incref(v));
    }
    return out;
}

static json_t *joined(const json_t *a, const json_t *b)
{
    json_t *out = json_array();

    json_array_extend(out, (json_t *)a);
    json_array_extend(out, (json_t *)b);
    return out;
}

/* Each alternative of one with each of the other. */
static json_t *all_pairs(struct fg_schema_reader *r, const json_t *a, const json_t *b)
{
    json_t *out = json_array(), *x, *y;
    size_t i, k;

    r->steps += (unsigned)(json_array_size(a) * json_array_size(b));
    if (r->steps > FG_SCHEMA_MAX_STEPS) {
        fg_schema_fail(r, FG_EUNSUPPORTED, "the JSON schema is too large");
        return out;
    }
    json_array_foreach(a, i, x)
    {
        json_array_foreach(b, k, y) json_array_append_new(out, both(x, y));
    }
    return out;
}

static bool among(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

/* What both ask by one keyword; a new reference, NULL where that cannot be said. */
static json_t *combine(struct fg_schema_reader *r, const char *key, const json_t *a,
                       const json_t *b)
{
    static const char *const least[] = {"minimum", "exclusiveMinimum", "minLength", "minItems",
                                        "minProperties"};
    static const char *const most[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems",
                                       "maxProperties"};
    bool less = json_number_value(a) < json_number_value(b);

    if (json_equal(a, b))
        return json_incref((json_t *)a);
    if (json_array_size(a) * json_array_size(b) > MOST_PAIRS) {
        fg_schema_fail(r, FG_EUNSUPPORTED, "the lists of \"%.40s\" are too long", key);
        return NULL;
    }
    if (strcmp(key, "type") == 0)
        return common_types(a, b);
    if (strcmp(key, "enum") == 0)
        return common_values(a, b);
    if (strcmp(key, "const") == 0)
        return NULL;
    if (strcmp(key, "properties") == 0 && json_is_object(a) && json_is_object(b))
        return all_properties(a, b);
    if (strcmp(key, "required") == 0 || strcmp(key, "allOf") == 0)
        return joined(a, b);
    if (strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0)
        return all_pairs(r, a, b);
    if ((strcmp(key, "items") == 0 && !json_is_array(a) && !json_is_array(b)) ||
        strcmp(key, "additionalProperties") == 0)
        return both(a, b);
    if (strcmp(key, "nullable") == 0)
        return json_false();
    if (json_is_number(a) && json_is_number(b) && among(key, least, 5))
        return json_incref((json_t *)(less ? b : a));
    if (json_is_number(a) && json_is_number(b) && among(key, most, 5))
        return json_incref((json_t *)(less ? a : b));
    return NULL;
}

/* Do the properties of one lie outside of what the other leaves open? */
static bool adds_to_closed(const json_t *closed, const json_t *other)
{
    const json_t *rest = json_object_get(closed, "additionalProperties");
    json_t *v;
    const char *name;

    if (!rest || json_is_true(rest))
        return false;
    json_object_foreach(json_object_get(other, "properties"), name, v)
    {
        if (!json_object_get(json_object_get(closed, "properties"), name))
            return true;
    }
    return json_object_get(closed, "patternProperties") && json_object_get(other, "properties");
}

/* A schema whose $ref is in the place where it stood. */
static const json_t *without_ref(struct fg_schema_reader *r, const json_t *schema)
{
    const json_t *ref = json_object_get(schema, "$ref"), *rest;

    if (!ref)
        return schema;
    rest = fg_schema_without(r, schema, "$ref");
    schema = fg_schema_find(r, ref);
    return r->rc ? NULL : fg_schema_merge(r, schema, rest);
}

const json_t *fg_schema_merge(struct fg_schema_reader *r, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *out, *v;

    if (++r->steps > FG_SCHEMA_MAX_STEPS) {
        fg_schema_fail(r, FG_EUNSUPPORTED,
                       "the JSON schema is too large, or $ref goes in a circle");
        return NULL;
    }
    if (json_is_false(a) || json_is_true(b))
        return a;
    if (json_is_false(b) || json_is_true(a))
        return b;
    if (++r->depth > 2 * FG_SCHEMA_MAX_DEPTH)
        fg_schema_fail(r, FG_EUNSUPPORTED, "the JSON schema is too deep, or $ref goes in a circle");
    a = r->rc ? NULL : without_ref(r, a);
    b = r->rc ? NULL : without_ref(r, b);
    r->depth--;
    if (r->rc)
        return NULL;
    if (!json_is_object(a) || !json_is_object(b))
        return json_is_boolean(a) || json_is_boolean(b) ? fg_schema_merge(r, a, b) : a;
    if (adds_to_closed(a, b) || adds_to_closed(b, a)) {
        fg_schema_fail(r, FG_EUNSUPPORTED,
                       "allOf: properties of one schema are not in another one that has "
                       "additionalProperties, which is not done");
        return NULL;
    }
    out = keep(r, json_copy((json_t *)a));
    json_object_foreach(out ? (json_t *)b : NULL, key, v)
    {
        json_t *there = json_object_get(out, key), *now = v;

        if (there && fg_schema_is_note(key))
            continue;
        now = there ? combine(r, key, there, v) : json_incref(v);
        if (!now && !r->rc)
            fg_schema_fail(r, FG_EUNSUPPORTED, "allOf: two schemas with other \"%.40s\"", key);
        if (r->rc || json_object_set_new(out, key, now) < 0)
            return NULL;
    }
    return out;
}
