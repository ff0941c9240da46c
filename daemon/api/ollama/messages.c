/* Ollama's messages as OpenAI's: arguments of calls are objects there and text here, calls have no
 * ids, and results name the function. */
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "request.h"

bool fg_ollama_find(struct fg_str object, const char *name, struct fg_str *value)
{
    return object.n && object.p[0] == '{' && fg_scan_find(object, name, value) &&
           !(value->n == 4 && memcmp(value->p, "null", 4) == 0);
}

static bool is_nothing(struct fg_str v)
{
    static const char *const nothing[] = {"false", "0", "\"\"", "[]"};

    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (v.n == strlen(nothing[i]) && memcmp(v.p, nothing[i], v.n) == 0)
            return true;
    return false;
}

int fg_ollama_refuse(struct fg_str object, const char *name, const char *right,
                     struct fg_http_error *e)
{
    struct fg_str v;

    if (!fg_ollama_find(object, name, &v) || is_nothing(v))
        return 0;
    return fg_http_fail(e, 400, name, "unsupported_parameter", "%s: it must be absent: %s", name,
                        right);
}

static void add_member(struct fg_buffer *out, const char *name, struct fg_str value)
{
    fg_buffer_str(out, ",\"");
    fg_buffer_str(out, name);
    fg_buffer_str(out, "\":");
    fg_buffer_view(out, value);
}

static int add_call(struct fg_str call, const char *path, struct fg_buffer *out,
                    struct fg_http_error *e)
{
    struct fg_str function, name, arguments = {"{}", 2}, id;

    if (!fg_ollama_find(call, "function", &function) || !fg_ollama_find(function, "name", &name) ||
        name.p[0] != '"' ||
        (fg_ollama_find(function, "arguments", &arguments) && arguments.p[0] != '{'))
        return fg_http_fail(e, 400, path, NULL,
                            "%s: it must be {\"function\": {\"name\": string, \"arguments\": "
                            "object}}",
                            path);
    fg_buffer_str(out, "{\"id\":");
    if (fg_ollama_find(call, "id", &id) && id.p[0] == '"')
        fg_buffer_view(out, id);
    else
        fg_scan_quote((struct fg_str){path, strlen(path)}, out);
    fg_buffer_str(out, ",\"type\":\"function\",\"function\":{\"name\":");
    fg_buffer_view(out, name);
    fg_buffer_str(out, ",\"arguments\":");
    fg_scan_quote(arguments, out);
    fg_buffer_str(out, "}}");
    return 0;
}

static int add_calls(struct fg_str message, size_t number, struct fg_buffer *out,
                     struct fg_http_error *e)
{
    struct fg_str calls;
    struct fg_scan s = {.text = {"", 0}};
    char path[64];
    int rc = 0;

    if (!fg_ollama_find(message, "tool_calls", &calls) || is_nothing(calls))
        return 0;
    snprintf(path, sizeof path, "messages[%zu].tool_calls", number);
    if (calls.p[0] != '[')
        return fg_http_fail(e, 400, path, NULL, "%s: it must be an array", path);
    fg_buffer_str(out, ",\"tool_calls\":[");
    s.text = calls;
    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++) {
        if (i)
            fg_buffer_str(out, ",");
        snprintf(path, sizeof path, "messages[%zu].tool_calls[%zu]", number, i);
        rc = add_call(s.value, path, out, e);
    }
    fg_buffer_str(out, "]");
    return rc;
}

static int add_message(struct fg_str message, size_t number, struct fg_buffer *out,
                       struct fg_http_error *e)
{
    static const char *const names[][2] = {
        {"tool_name", "name"}, {"tool_call_id", "tool_call_id"}, {"thinking", "reasoning_content"}};
    struct fg_str role = {"null", 4}, content = {"\"\"", 2}, v;
    int rc = fg_ollama_refuse(message, "images", "the model reads and writes text", e);

    if (rc)
        return rc;
    if (message.p[0] != '{') { /* what is wrong with it is said where chats are read */
        fg_buffer_view(out, message);
        return 0;
    }
    (void)fg_ollama_find(message, "role", &role);
    (void)fg_ollama_find(message, "content", &content);
    fg_buffer_str(out, "{\"role\":");
    fg_buffer_view(out, role);
    add_member(out, "content", content);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fg_ollama_find(message, names[i][0], &v) && !is_nothing(v))
            add_member(out, names[i][1], v);
    rc = add_calls(message, number, out, e);
    fg_buffer_str(out, "}");
    return rc;
}

int fg_ollama_messages(struct fg_str list, struct fg_buffer *out, struct fg_http_error *e)
{
    struct fg_scan s = {.text = list};
    int rc = 0;

    if (list.p[0] != '[') {
        fg_buffer_view(out, list);
        return 0;
    }
    fg_buffer_str(out, "[");
    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++) {
        if (i)
            fg_buffer_str(out, ",");
        rc = add_message(s.value, i, out, e);
    }
    fg_buffer_str(out, "]");
    return rc;
}
