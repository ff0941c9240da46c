/* The tool calls in what a model wrote, and those of a request in a message's text. */
#include "fuzz.h"

#include <jansson.h>

#include "base/json_scan.h"
#include "text/tools/tool_calls.h"

static void append(enum fg_tool_form form, struct fg_str text)
{
    struct fg_buffer content = {0};

    fg_buffer_str(&content, "abc");
    fg_tool_calls_append(form, text, &content);
    HOLDS(!content.failed && memcmp(content.p, "abc", 3) == 0);
    fg_buffer_finish(&content);
}

/* Arguments are bytes of the text, and JSON. */
static void check_call(const json_t *call, struct fg_str text)
{
    const json_t *function = json_object_get(call, "function");
    const char *arguments = json_string_value(json_object_get(function, "arguments"));
    struct fg_str whole;

    HOLDS(json_is_string(json_object_get(function, "name")) && arguments);
    HOLDS(strcmp(arguments, "{}") == 0 ||
          memmem(text.p, text.n, arguments, strlen(arguments)) != NULL);
    HOLDS(fg_scan_whole((struct fg_str){arguments, strlen(arguments)}, &whole));
    HOLDS(fg_scan_equal(whole, whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum fg_tool_form form = n && data[0] == 'h' ? FG_TOOLS_HERMES : FG_TOOLS_MINIMAX;
    struct fg_str text = {(const char *)data, n};
    size_t clear = fg_tool_calls_clear(form, text, 0), before = 0;
    json_t *calls = fg_tool_calls_read(form, text, "id", &before);

    HOLDS(clear <= n);
    for (size_t cut = n > 8 ? n - 8 : 0; cut <= n; cut++) /* what was clear stays so */
        HOLDS(fg_tool_calls_clear(form, (struct fg_str){text.p, cut}, 0) <= clear || cut > clear);
    if (calls) {
        HOLDS(before <= n && json_array_size(calls));
        for (size_t i = 0; i < json_array_size(calls); i++)
            check_call(json_array_get(calls, i), text);
    }
    json_decref(calls);
    append(form, text);
    return 0;
}
