/* Tool calls: what the model is told, what it wrote read back, what goes into the next prompt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "text/tools/tool_calls.h"

static void clear_text_stops_at_a_possible_call(void **state)
{
    static const struct {
        const char *text;
        size_t clear;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"abc<", 3},
        {"abc<t", 3},
        {"abc<x", 5},
        {"a<<tool_", 2},
        {"<tool_calls", 0},
        {"<tool_calls>x", 0},
        {"<tool_call>", 11},
        {"a<b<tool_calls>c<", 3},
        {"< tool", 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text), at = 0;

        assert_int_equal(fg_tool_calls_clear(rows[i].text, n, 0), rows[i].clear);
        /* Byte by byte comes to the same. */
        for (size_t k = 0; k <= n; k++) {
            size_t now = fg_tool_calls_clear(rows[i].text, k, at);

            assert_true(now >= at && now <= k);
            at = now;
        }
        assert_int_equal(at, rows[i].clear);
    }
}

/* What the model wrote, read as calls and put into the next prompt, is what it wrote. */
static void calls_survive_the_round_trip(void **state)
{
    static const char text[] =
        "So.\n<tool_calls>\n"
        "{\"name\": \"f\", \"arguments\": {\"z\": [1, 2.5], \"a\": \"\xC3\xA9\"}}\n"
        "{\"name\": \"g\", \"arguments\": {}}\n</tool_calls>";
    char *content = strdup("So.");
    struct fg_err err = {0};
    size_t before, bytes = 3;
    json_t *calls = fg_tool_calls_read(text, sizeof text - 1, "id", &before);

    (void)state;
    assert_int_equal(json_array_size(calls), 2);
    assert_int_equal(before, 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(calls, 1), "id")),
                        "call_id_1");
    assert_int_equal(fg_tool_calls_append(calls, &content, &bytes, &err), 0);
    assert_int_equal(bytes, sizeof text - 1);
    assert_string_equal(content, text);
    free(content);
    json_decref(calls);
}

/* The form that is explained is the one that is read. */
static void the_form_explained_is_read(void **state)
{
    struct fg_buffer t = {0};
    const char *block;
    size_t before;
    json_t *calls;
    char answer[256];

    (void)state;
    fg_tool_calls_explain(&t, "\"");
    assert_false(t.failed);
    block = strstr(t.p, "<tool_calls>\n{");
    assert_non_null(block);
    assert_non_null(
        strstr(block, "{\"name\": <tool-name-1>, \"arguments\": <args-json-object-1>}"));
    snprintf(answer, sizeof answer, "%.*s\n{\"name\": \"f\", \"arguments\": {}}\n%s",
             (int)strlen("<tool_calls>"), block, strstr(block, "</tool_calls>"));
    calls = fg_tool_calls_read(answer, strlen(answer), "id", &before);
    assert_int_equal(json_array_size(calls), 1);
    assert_int_equal(before, 0);
    json_decref(calls);
    fg_buffer_finish(&t);
}

static void malformed_calls_leave_the_content(void **state)
{
    static const struct {
        const char *calls, *error;
    } rows[] = {
        {"{}", ": it must be an array"},
        {"[{\"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}, 1]", "[1]: it must be "},
        {"[{\"function\": {\"name\": \"f\"}}]", "[0]: it must be "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *calls = json_loads(rows[i].calls, 0, NULL);
        char *content = strdup("So.");
        struct fg_err err = {0};
        size_t bytes = 3;

        assert_int_equal(fg_tool_calls_append(calls, &content, &bytes, &err), FG_EINVAL);
        assert_memory_equal(err.text, rows[i].error, strlen(rows[i].error));
        assert_int_equal(bytes, 3);
        assert_string_equal(content, "So.");
        free(content);
        json_decref(calls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_text_stops_at_a_possible_call),
        cmocka_unit_test(calls_survive_the_round_trip),
        cmocka_unit_test(the_form_explained_is_read),
        cmocka_unit_test(malformed_calls_leave_the_content),
    };

    return cmocka_run_group_tests_name("tool calls", tests, NULL, NULL);
}
