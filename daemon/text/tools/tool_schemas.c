#include "tool_schemas.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

struct fg_tool_schemas {
    json_t *tools; /* name -> {parameter: true where it is JSON} */
};

static bool is_string_type(const json_t *type)
{
    const json_t *one;
    size_t i;

    if (json_is_string(type))
        return strcmp(json_string_value(type), "string") == 0;
    json_array_foreach(type, i, one) if (is_string_type(one)) return true;
    return false;
}

/* What a reference into the root names; NULL: nothing. */
static const json_t *follow(const json_t *root, const char *ref)
{
    if (strncmp(ref, "#/", 2) != 0)
        return NULL;
    for (ref += 2; root && *ref; ref += strspn(ref, "/")) {
        size_t n = strcspn(ref, "/");

        root = json_object_getn(root, ref, n);
        ref += n;
    }
    return root;
}

static bool takes_string(const json_t *root, const json_t *schema, int depth)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    const json_t *type = json_object_get(schema, "type"), *list, *one;
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    size_t i;

    if (type)
        return is_string_type(type);
    list = json_object_get(schema, "enum");
    if (json_is_array(list)) {
        json_array_foreach(list, i, one) if (json_is_string(one)) return true;
        return false;
    }
    one = json_object_get(schema, "const");
    if (one)
        return json_is_string(one);
    one = ref && depth < 8 ? follow(root, ref) : NULL;
    if (one)
        return takes_string(root, one, depth + 1);
    for (size_t k = 0; depth < 8 && k < sizeof choices / sizeof *choices; k++) {
        list = json_object_get(schema, choices[k]);
        if (!json_is_array(list))
            continue;
        json_array_foreach(list, i, one) if (takes_string(root, one, depth + 1)) return true;
        return false;
    }
    return true;
}

bool fg_tool_schema_takes_string(const json_t *root, const json_t *schema)
{
    return takes_string(root, schema, 0);
}

static int add_tool(json_t *tools, const json_t *function)
{
    const json_t *name = json_object_get(function, "name");
    json_t *parameters = json_object_get(function, "parameters"), *schema, *known = json_object();
    const char *key;
    size_t n;

    json_object_keylen_foreach(json_object_get(parameters, "properties"), key, n, schema)
    {
        if (!takes_string(parameters, schema, 0) &&
            json_object_setn_new(known, key, n, json_true()) < 0)
            break;
    }
    if (!json_is_string(name)) {
        json_decref(known);
        return 0;
    }
    return json_object_setn_new(tools, json_string_value(name), json_string_length(name), known);
}

struct fg_tool_schemas *fg_tool_schemas_create(struct fg_str tools)
{
    struct fg_tool_schemas *s = calloc(1, sizeof *s);
    json_t *list = json_loadb(tools.p, tools.n, JSON_ALLOW_NUL, NULL), *tool;
    size_t i;
    int rc = 0;

    if (s)
        s->tools = json_object();
    rc = s && s->tools ? 0 : -1;
    json_array_foreach(list, i, tool) if (rc == 0) rc =
        add_tool(s->tools, json_object_get(tool, "function"));
    json_decref(list);
    if (rc == 0)
        return s;
    fg_tool_schemas_destroy(s);
    return NULL;
}

void fg_tool_schemas_destroy(struct fg_tool_schemas *s)
{
    if (s)
        json_decref(s->tools);
    free(s);
}

bool fg_tool_schemas_has(const struct fg_tool_schemas *s, struct fg_str tool)
{
    return !s || json_object_getn(s->tools, tool.p, tool.n);
}

bool fg_tool_schemas_json(const struct fg_tool_schemas *s, struct fg_str tool, struct fg_str name)
{
    return s && json_object_getn(json_object_getn(s->tools, tool.p, tool.n), name.p, name.n);
}
