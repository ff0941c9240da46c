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

static struct fg_str view(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

static struct fg_answer_form form_of(enum fg_tool_form tools)
{
    return (struct fg_answer_form){.tools = tools, .reasoning = FG_REASONING_THINK};
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
        {FG_TOOLS_MINIMAX_XML,
         "So.\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">x\ny</parameter>\n"
         "</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>"},
        {FG_TOOLS_QWEN_XML, "So.\n<tool_call>\n<function=f>\n<parameter=a>\nx\ny\n</parameter>\n"
                            "</function>\n</tool_call>\n<tool_call>\n<function=g>\n</function>\n"
                            "</tool_call>"},
        {FG_TOOLS_MISTRAL, "So.\n[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}, "
                           "{\"name\": \"g\", \"arguments\": {}}]"},
        {FG_TOOLS_DEEPSEEK,
         "So.\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}"
         "<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
         "<｜tool▁calls▁end｜>"},
        {FG_TOOLS_LFM2, "So.\n<|tool_call_start|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, "
                        "{\"name\": \"g\", \"arguments\": {}}]<|tool_call_end|>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_answer_form form = form_of(rows[i].form);
        struct fg_buffer content = {0};
        struct fg_tool_answer answer;
        char *list;

        assert_true(
            fg_tool_answer_read(&answer, &form, FG_STARTS_ANYHOW, view(rows[i].text), "id"));
        assert_false(answer.malformed);
        assert_int_equal(json_array_size(answer.calls), 2);
        assert_string_equal(answer.text.p, "So.");
        if (rows[i].form != FG_TOOLS_MISTRAL)
            assert_string_equal(
                json_string_value(json_object_get(json_array_get(answer.calls, 1), "id")),
                "call_id_1");
        list = json_dumps(answer.calls, JSON_ENSURE_ASCII);
        fg_buffer_str(&content, "So.");
        fg_tool_calls_append(rows[i].form, view(list), &content);
        assert_string_equal(content.p, rows[i].text);
        fg_buffer_finish(&content);
        free(list);
        fg_tool_answer_finish(&answer);
    }
}

/* Nine letters and digits, as its templates want them, and each another. */
static void ids_fit_the_form(void **state)
{
    char one[FG_TOOL_ID], two[FG_TOOL_ID], other[FG_TOOL_ID];

    (void)state;
    fg_tool_call_id(FG_TOOLS_MISTRAL, "0123456789ab", 0, one);
    fg_tool_call_id(FG_TOOLS_MISTRAL, "0123456789ab", 1, two);
    fg_tool_call_id(FG_TOOLS_MISTRAL, "0123456789ac", 0, other);
    assert_int_equal(strlen(one), 9);
    assert_int_equal(strspn(one, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                     9);
    assert_memory_equal(one, two, 8);
    assert_true(one[8] == '0' && two[8] == '1' && strcmp(one, other) != 0);
    fg_tool_call_id(FG_TOOLS_HERMES, "ab", 12, one);
    assert_string_equal(one, "call_ab_12");
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

static bool same(enum fg_tool_form tools, const char *text, const char *content,
                 const char *reasoning, const char *calls)
{
    const struct fg_answer_form form = form_of(tools);
    const struct fg_tool_message m = {.content = view(content),
                                      .reasoning = view(reasoning ? reasoning : ""),
                                      .calls = view(calls)};

    struct fg_buffer thought = {0};
    bool known = fg_tool_calls_same(&form, view(text), &m, &thought);

    assert_int_equal(thought.n != 0,
                     known && strstr(text, "</think>") && !strstr(content, "think"));
    fg_buffer_finish(&thought);
    return known;
}

/* A message says what an answer said, whatever a client made of its JSON. */
static void the_same_calls_are_known(void **state)
{
#define CALL(id, name, arguments)                                                                  \
    "{\"id\": \"" id "\", \"type\": \"function\", \"function\": {\"name\": \"" name                \
    "\", \"arguments\": \"" arguments "\"}}"
    static const char text[] = "So.\n\n<tool_calls>\n{\"name\":\"f\", \"arguments\": {\"a\":1e3, "
                               "\"b\": [\"\\u00e9\", 0.10]}}\n{\"name\": \"g\"}</tool_calls>";
    static const char equal[] = "{\\\"b\\\":[\\\"\xC3\xA9\\\",0.1],\\\"a\\\":1000.0}";
    char list[512];
    static const struct {
        const char *content, *id, *id2, *name, *arguments, *arguments2;
        bool same;
    } rows[] = {
        {"So.", "call_q_0", "call_q_1", "f", equal, "{}", true},
        {" So.\n", "call_q_0", "call_q_1", "f", equal, " { } ", true},
        {"So", "call_q_0", "call_q_1", "f", equal, "{}", false},
        {"", "call_q_0", "call_q_1", "f", equal, "{}", false},
        {"So.", "call_q_0", "call_q_0", "f", equal, "{}", false},
        {"So.", "call_q_1", "call_q_0", "f", equal, "{}", false},
        {"So.", "0", "1", "f", equal, "{}", false},
        {"So.", "call_q_0", "call_q_1", "ff", equal, "{}", false},
        {"So.", "call_q_0", "call_q_1", "f", "{\\\"a\\\": 1000}", "{}", false},
        {"So.", "call_q_0", "call_q_1", "f", equal, "{\\\"x\\\": 1}", false},
        {"So.", "call_q_0", "call_q_1", "f", equal, "{", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(list, sizeof list, "[" CALL("%s", "%s", "%s") ", " CALL("%s", "g", "%s") "]",
                 rows[i].id, rows[i].name, rows[i].arguments, rows[i].id2, rows[i].arguments2);
        assert_int_equal(same(FG_TOOLS_MINIMAX, text, rows[i].content, NULL, list), rows[i].same);
    }
    snprintf(list, sizeof list, "[" CALL("call_q_0", "f", "%s") "]", equal); /* one is missing */
    assert_false(same(FG_TOOLS_MINIMAX, text, "So.", NULL, list));
    assert_false(same(FG_TOOLS_MINIMAX, text, "So.", NULL, "[]"));
    assert_false(same(FG_TOOLS_HERMES, text, "So.", NULL, "[]"));
}

/* Reasoning before a call may come back, or not; but not other reasoning. A thought whose beginning
 * is the prompt's may have been told as text. */
static void reasoning_may_come_back(void **state)
{
    static const char calls[] = "[" CALL("call_q_0", "g", "{}") "]";
    static const char whole[] = "<think>\na\n</think>\n\nSo. <tool_calls>{\"name\": \"g\"}";
    static const char inside[] = "a\n</think>\n\nSo. <tool_calls>{\"name\": \"g\"}";

    (void)state;
    assert_true(same(FG_TOOLS_MINIMAX, whole, "So.", NULL, calls));
    assert_true(same(FG_TOOLS_MINIMAX, whole, "So.", "\na", calls));
    assert_false(same(FG_TOOLS_MINIMAX, whole, "So.", "b", calls));
    assert_true(same(FG_TOOLS_MINIMAX, inside, "So.", "a", calls));
    assert_true(same(FG_TOOLS_MINIMAX, inside, "So.", NULL, calls));
    assert_true(same(FG_TOOLS_MINIMAX, inside, "a\n</think>\n\nSo.", NULL, calls));
    assert_false(same(FG_TOOLS_MINIMAX, inside, "b\n</think>\n\nSo.", NULL, calls));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_survive_the_round_trip), cmocka_unit_test(ids_fit_the_form),
        cmocka_unit_test(reasoning_may_come_back),      cmocka_unit_test(the_same_calls_are_known),
        cmocka_unit_test(arguments_go_in_as_they_came),
    };

    return cmocka_run_group_tests_name("tool calls", tests, NULL, NULL);
}
