#include "tool_calls.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static const char open_tag[] = "<tool_calls>", close_tag[] = "</tool_calls>";

void fg_tool_calls_explain(struct fg_buffer *out, const char *quote)
{
    fg_buffer_str(out, "If you need to call tools, please respond with ");
    fg_buffer_str(out, open_tag);
    fg_buffer_str(out, close_tag);
    fg_buffer_str(out, " XML tags, and provide tool-name and json-object of arguments, following "
                       "the format below:\n");
    fg_buffer_str(out, open_tag);
    fg_buffer_str(out, "\n{");
    fg_buffer_str(out, quote);
    fg_buffer_str(out, "name");
    fg_buffer_str(out, quote);
    fg_buffer_str(out, ": <tool-name-1>, ");
    fg_buffer_str(out, quote);
    fg_buffer_str(out, "arguments");
    fg_buffer_str(out, quote);
    fg_buffer_str(out, ": <args-json-object-1>}\n...\n");
    fg_buffer_str(out, close_tag);
}

/* Whether it is within what is parsed. Brackets in strings count too: this is a bound, not a count.
 */
static bool is_parsed(const char *text, size_t n)
{
    size_t containers = 0;

    if (n > FG_ARGUMENTS_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        containers += text[i] == '[' || text[i] == '{';
    return containers <= FG_ARGUMENTS_MAX_CONTAINERS;
}

/* One line. `arguments` is JSON in a string; when it is not, it goes in as the string it is. */
static void put_call(struct fg_buffer *out, const json_t *name, const json_t *arguments)
{
    const char *raw = json_string_value(arguments);
    json_t *parsed = json_loads(raw, JSON_REJECT_DUPLICATES, NULL);
    char *quoted_name = json_dumps(name, JSON_ENCODE_ANY);
    char *value = json_dumps(parsed ? parsed : arguments, JSON_ENCODE_ANY);

    if (quoted_name && value) {
        fg_buffer_str(out, "{\"name\": ");
        fg_buffer_str(out, quoted_name);
        fg_buffer_str(out, ", \"arguments\": ");
        fg_buffer_str(out, value);
        fg_buffer_str(out, "}\n");
    } else {
        out->failed = true;
    }
    free(value);
    free(quoted_name);
    json_decref(parsed);
}

int fg_tool_calls_append(const json_t *calls, char **content, size_t *bytes, struct fg_err *err)
{
    struct fg_buffer t = {0};
    const json_t *call;
    size_t i;

    if (!json_is_array(calls))
        return fg_fail(err, FG_EINVAL, ": it must be an array");
    if (!json_array_size(calls))
        return 0;
    fg_buffer_add(&t, *content, *bytes);
    fg_buffer_str(&t, *bytes ? "\n" : "");
    fg_buffer_str(&t, open_tag);
    fg_buffer_str(&t, "\n");
    json_array_foreach(calls, i, call)
    {
        const json_t *function = json_object_get(call, "function");
        const json_t *name = json_object_get(function, "name");
        const json_t *arguments = json_object_get(function, "arguments");

        if (!json_is_string(name) || !json_is_string(arguments)) {
            fg_buffer_finish(&t);
            return fg_fail(err, FG_EINVAL,
                           "[%zu]: it must be {\"function\": {\"name\": string, "
                           "\"arguments\": string}}",
                           i);
        }
        if (!is_parsed(json_string_value(arguments), json_string_length(arguments))) {
            fg_buffer_finish(&t);
            return fg_fail(err, FG_EINVAL,
                           "[%zu].function.arguments: at most %d bytes with %d arrays and objects "
                           "are read",
                           i, FG_ARGUMENTS_MAX_BYTES, FG_ARGUMENTS_MAX_CONTAINERS);
        }
        put_call(&t, name, arguments);
    }
    fg_buffer_str(&t, close_tag);
    if (t.failed) {
        fg_buffer_finish(&t);
        return fg_fail(err, FG_ENOMEM, ": no memory for %zu calls", json_array_size(calls));
    }
    free(*content);
    *content = t.p;
    *bytes = t.n;
    return 0;
}

size_t fg_tool_calls_clear(const char *text, size_t n, size_t from)
{
    const size_t tag = sizeof open_tag - 1;
    size_t at = from;

    while (at < n) {
        const char *lt = memchr(text + at, '<', n - at);
        size_t left;

        if (!lt)
            return n;
        at = (size_t)(lt - text);
        left = n - at < tag ? n - at : tag;
        if (memcmp(lt, open_tag, left) == 0)
            return at;
        at++;
    }
    return n;
}

/* {"name": string, "arguments": object} as OpenAI's call number `index`. NULL: it is not one. */
static json_t *read_call(const char *line, size_t n, const char *id, size_t index)
{
    json_t *call = is_parsed(line, n) ? json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *out = NULL;
    json_t *name = json_object_get(call, "name");
    const json_t *arguments = json_object_get(call, "arguments");
    char *dumped = NULL, call_id[64];

    if (json_is_string(name) && (!arguments || json_is_object(arguments))) {
        dumped = arguments ? json_dumps(arguments, 0) : strdup("{}");
        snprintf(call_id, sizeof call_id, "call_%s_%zu", id, index);
        if (dumped)
            out = json_pack("{s:s, s:s, s:{s:O, s:s}}", "id", call_id, "type", "function",
                            "function", "name", name, "arguments", dumped);
    }
    free(dumped);
    json_decref(call);
    return out;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

json_t *fg_tool_calls_read(const char *text, size_t n, const char *id, size_t *content_bytes)
{
    size_t start = fg_tool_calls_clear(text, n, 0), at, end, before = start;
    const char *close;
    json_t *calls;

    if (n - start < sizeof open_tag - 1)
        return NULL;
    at = start + sizeof open_tag - 1;
    /* An answer cut by a stop string or by its length may lack the end. */
    close = memmem(text + at, n - at, close_tag, sizeof close_tag - 1);
    end = close ? (size_t)(close - text) : n;
    for (size_t i = close ? end + sizeof close_tag - 1 : n; i < n; i++)
        if (!is_space(text[i]))
            return NULL;
    calls = json_array();
    while (calls && at < end) {
        const char *newline = memchr(text + at, '\n', end - at);
        size_t stop = newline ? (size_t)(newline - text) : end;
        json_t *call;

        while (at < stop && is_space(text[at]))
            at++;
        if (at < stop) {
            call = read_call(text + at, stop - at, id, json_array_size(calls));
            if (!call || json_array_append_new(calls, call) < 0) {
                json_decref(calls);
                return NULL;
            }
        }
        at = stop + 1;
    }
    if (!json_array_size(calls)) {
        json_decref(calls);
        return NULL;
    }
    while (before > 0 && is_space(text[before - 1]))
        before--;
    *content_bytes = before;
    return calls;
}
