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
        struct fg_str whole = {rows[i].text, n};

        assert_int_equal(fg_tool_calls_clear(FG_TOOLS_MINIMAX, whole, 0), rows[i].clear);
        assert_int_equal(fg_tool_calls_clear(FG_TOOLS_NONE, whole, 0), n);
        /* Byte by byte comes to the same. */
        for (size_t k = 0; k <= n; k++) {
            size_t now =
                fg_tool_calls_clear(FG_TOOLS_MINIMAX, (struct fg_str){rows[i].text, k}, at);

            assert_true(now >= at && now <= k);
            at = now;
        }
        assert_int_equal(at, rows[i].clear);
    }
}

static struct fg_str view(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

/* What the model wrote, read as calls and put into the next prompt, is what it wrote: blanks,
 * digits and escapes too. */
static void calls_survive_the_round_trip(void **state)
{
    static const struct {
        enum fg_tool_form form;
        const char *text;
    } rows[] = {
        {FG_TOOLS_MINIMAX,
         "So.\n<tool_calls>\n"
         "{\"name\": \"f\", \"arguments\": {\"z\":[1, 2.50,1e3 ], \"a\": \"\\u00e9\\/\xC3\xA9\"}}\n"
         "{\"name\": \"g\", \"arguments\": {\"n\": 0.1, \"big\": 123456789012345678901}}\n"
         "</tool_calls>"},
        {FG_TOOLS_HERMES, "So.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":1.0}}\n"
                          "</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n"
                          "</tool_call>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_buffer content = {0};
        size_t before;
        json_t *calls = fg_tool_calls_read(rows[i].form, view(rows[i].text), "id", &before);
        char *list;

        assert_int_equal(json_array_size(calls), 2);
        assert_int_equal(before, 3);
        assert_string_equal(json_string_value(json_object_get(json_array_get(calls, 1), "id")),
                            "call_id_1");
        list = json_dumps(calls, JSON_ENSURE_ASCII);
        fg_buffer_str(&content, "So.");
        fg_tool_calls_append(rows[i].form, view(list), &content);
        assert_string_equal(content.p, rows[i].text);
        fg_buffer_finish(&content);
        free(list);
        json_decref(calls);
    }
}

static void blocks_are_read_or_stay_text(void **state)
{
    static const struct {
        enum fg_tool_form form;
        const char *text, *arguments; /* of the last call; NULL: it is text */
        size_t n, content;
    } rows[] = {
        {FG_TOOLS_MINIMAX, "a \n<tool_calls>\n{\"arguments\" : { \"b\":2 }, \"name\":\"f\"}",
         "{ \"b\":2 }", 1, 1},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\"}\n{\"name\": \"g\"}</tool_calls> \n", "{}",
         2, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\"}</tool_calls> more", NULL, 0, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\", \"arguments\": []}", NULL, 0, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\", \"name\": \"g\"}", NULL, 0, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\\u0000\"}", NULL, 0, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": 1}", NULL, 0, 0},
        {FG_TOOLS_MINIMAX, "<tool_calls>{\"name\": \"f\", \"arguments\": {\"x\": 1e999}}",
         "{\"x\": 1e999}", 1, 0},
        {FG_TOOLS_MINIMAX, "<tool_call>{\"name\": \"f\"}</tool_call>", NULL, 0, 0},
        {FG_TOOLS_HERMES, "x<tool_call>{\"name\": \"f\"}</tool_call>", "{}", 1, 1},
        {FG_TOOLS_HERMES, "<tool_call>\n<function=f>\n</function>\n</tool_call>", NULL, 0, 0},
        {FG_TOOLS_HERMES, "<tool_call>", NULL, 0, 0},
        {FG_TOOLS_NONE, "<tool_call>{\"name\": \"f\"}</tool_call>", NULL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t content = 99, n;
        json_t *calls = fg_tool_calls_read(rows[i].form, view(rows[i].text), "id", &content);
        const char *arguments;

        n = json_array_size(calls);
        assert_int_equal(n, rows[i].n);
        if (n) {
            arguments = json_string_value(json_object_get(
                json_object_get(json_array_get(calls, n - 1), "function"), "arguments"));
            assert_string_equal(arguments, rows[i].arguments);
            assert_int_equal(content, rows[i].content);
        }
        json_decref(calls);
    }
}

/* A client's arguments that are no JSON are the string that they are. */
static void arguments_go_in_as_they_came(void **state)
{
    struct fg_buffer content = {0};

    (void)state;
    fg_tool_calls_append(FG_TOOLS_MINIMAX,
                         view("[{\"function\": {\"name\": \"x\\\"y\", \"arguments\": \"not "
                              "json\"}}, {\"function\": {\"name\": \"f\", \"arguments\": "
                              "\"\\u007b\\\"x\\\":1e3}\"}}]"),
                         &content);
    assert_string_equal(content.p, "<tool_calls>\n{\"name\": \"x\\\"y\", \"arguments\": \"not "
                                   "json\"}\n{\"name\": \"f\", \"arguments\": {\"x\":1e3}}\n"
                                   "</tool_calls>");
    fg_buffer_finish(&content);
}

static void the_form_is_that_of_the_first_tag(void **state)
{
    (void)state;
    assert_int_equal(fg_tool_form_of(view("with <tool_calls></tool_calls>")), FG_TOOLS_MINIMAX);
    assert_int_equal(fg_tool_form_of(view("in <tool_call></tool_call>")), FG_TOOLS_HERMES);
    assert_int_equal(fg_tool_form_of(view("[TOOL_CALLS]")), FG_TOOLS_NONE);
    assert_int_equal(fg_tool_form_of(view("")), FG_TOOLS_NONE);
}

/* A message says what an answer said, whatever a client made of its JSON. */
static void the_same_calls_are_known(void **state)
{
#define CALL(id, name, arguments)                                                                  \
    "{\"id\": \"" id "\", \"type\": \"function\", \"function\": {\"name\": \"" name                \
    "\", \"arguments\": \"" arguments "\"}}"
    static const char text[] = "So.\n\n<tool_calls>\n{\"name\":\"f\", \"arguments\": {\"a\":1e3, "
                               "\"b\": [\"\\u00e9\", 0.10]}}\n{\"name\": \"g\"}</tool_calls>";
    static const char same[] = "{\\\"b\\\":[\\\"\xC3\xA9\\\",0.1],\\\"a\\\":1000.0}";
    char list[512];
    static const struct {
        const char *content, *id, *id2, *name, *arguments, *arguments2;
        bool same;
    } rows[] = {
        {"So.", "call_q_0", "call_q_1", "f", same, "{}", true},
        {" So.\n", "call_q_0", "call_q_1", "f", same, " { } ", true},
        {"So", "call_q_0", "call_q_1", "f", same, "{}", false},
        {"", "call_q_0", "call_q_1", "f", same, "{}", false},
        {"So.", "call_q_0", "call_q_0", "f", same, "{}", false},
        {"So.", "call_q_1", "call_q_0", "f", same, "{}", false},
        {"So.", "0", "1", "f", same, "{}", false},
        {"So.", "call_q_0", "call_q_1", "ff", same, "{}", false},
        {"So.", "call_q_0", "call_q_1", "f", "{\\\"a\\\": 1000}", "{}", false},
        {"So.", "call_q_0", "call_q_1", "f", same, "{\\\"x\\\": 1}", false},
        {"So.", "call_q_0", "call_q_1", "f", same, "{", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(list, sizeof list, "[" CALL("%s", "%s", "%s") ", " CALL("%s", "g", "%s") "]",
                 rows[i].id, rows[i].name, rows[i].arguments, rows[i].id2, rows[i].arguments2);
        assert_int_equal(
            fg_tool_calls_same(FG_TOOLS_MINIMAX, view(text), view(rows[i].content), view(list)),
            rows[i].same);
    }
    snprintf(list, sizeof list, "[" CALL("call_q_0", "f", "%s") "]", same); /* one is missing */
    assert_false(fg_tool_calls_same(FG_TOOLS_MINIMAX, view(text), view("So."), view(list)));
    assert_false(fg_tool_calls_same(FG_TOOLS_MINIMAX, view(text), view("So."), view("[]")));
    assert_false(fg_tool_calls_same(FG_TOOLS_HERMES, view(text), view("So."), view("[]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_text_stops_at_a_possible_call),
        cmocka_unit_test(calls_survive_the_round_trip),
        cmocka_unit_test(blocks_are_read_or_stay_text),
        cmocka_unit_test(the_same_calls_are_known),
        cmocka_unit_test(arguments_go_in_as_they_came),
        cmocka_unit_test(the_form_is_that_of_the_first_tag),
    };

    return cmocka_run_group_tests_name("tool calls", tests, NULL, NULL);
}
