/* The tool calls in what a model wrote, and those of a request in a message's text. */
#include "fuzz.h"

#include <jansson.h>

#include "text/tools/tool_calls.h"

static void append(const char *text, size_t n)
{
    json_t *calls = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    char *content = strdup("abc");
    size_t bytes = 3;
    struct fg_err err = {0};

    HOLDS(content);
    if (calls && fg_tool_calls_append(calls, &content, &bytes, &err) != 0)
        HOLDS(bytes == 3 && err.text[0]);
    HOLDS(memcmp(content, "abc", 3) == 0);
    free(content);
    json_decref(calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    size_t clear = fg_tool_calls_clear(text, n, 0), before = 0;
    json_t *calls = fg_tool_calls_read(text, n, "id", &before);

    HOLDS(clear <= n);
    for (size_t cut = n > 8 ? n - 8 : 0; cut <= n; cut++) /* what was clear stays so */
        HOLDS(fg_tool_calls_clear(text, cut, 0) <= clear || cut > clear);
    if (calls) {
        HOLDS(before <= n && json_array_size(calls));
        for (size_t i = 0; i < json_array_size(calls); i++)
            HOLDS(json_is_string(
                json_object_get(json_object_get(json_array_get(calls, i), "function"), "name")));
    }
    json_decref(calls);
    append(text, n);
    return 0;
}
