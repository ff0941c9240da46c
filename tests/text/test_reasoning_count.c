/* Tokens of reasoning: counted as they were sampled, tags among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "text/tools/reasoning_count.h"

/* 0xF5 + 9 and 10 are the marks of <think> and </think>; Harmony's are 0xF5 + 0, 1, 2, 3. */
#define THINK "\xFE"
#define THOUGHT "\xFF"
#define CHANNEL "\xF5"
#define MESSAGE "\xF6"
#define START "\xF7"
#define END "\xF8"

enum { TEXT_TAGS, CONTROL_TAGS, HARMONY, NO_REASONING };

static const struct {
    int form;
    enum fg_answer_start start;
    uint32_t want;
    const char *tokens[24]; /* ended by NULL */
} answers[] = {
    {TEXT_TAGS, FG_STARTS_REASONING, 4, {"H", "m.", "\n", "</think>", "Hi", "!"}},
    {TEXT_TAGS, FG_STARTS_ANYHOW, 3, {"<think>", "Hm.", "</think>", "\n\n", "Hi"}},
    {TEXT_TAGS, FG_STARTS_ANYHOW, 4, {"\n", "<think>", "Hm.", "H", "</think>", "\n\n", "Hi"}},
    {TEXT_TAGS, FG_STARTS_ANYHOW, 0, {"Hi", " <think>", "no", "</think>"}},
    {TEXT_TAGS, FG_STARTS_TEXT, 0, {"Hi", "</think>"}},
    /* Tags of several tokens; what only looked like one; tokens across a tag's end. */
    {TEXT_TAGS, FG_STARTS_ANYHOW, 8, {"<", "th", "ink", ">", "H", "</", "think", ">\n\nHi", "!"}},
    {TEXT_TAGS, FG_STARTS_ANYHOW, 0, {"<", "th", "row", ">", "H", "</", "think", ">", "Hi"}},
    {TEXT_TAGS, FG_STARTS_REASONING, 5, {"a", "</", "thin", "g>", "b"}},
    {TEXT_TAGS, FG_STARTS_REASONING, 1, {"a</think>Hi", "", "!"}},
    /* Tokens that have no text of their own yet: bytes of a character. */
    {TEXT_TAGS,
     FG_STARTS_REASONING,
     5,
     {"a", "", "", "\xE2\x82\xAC", "</think>", "", "\xE2\x82\xAC"}},
    {CONTROL_TAGS, FG_STARTS_ANYHOW, 3, {THINK, "Hm", THOUGHT, "Hi"}},
    {CONTROL_TAGS, FG_STARTS_REASONING, 4, {"Hm", "</think>", "Hm", THOUGHT, "Hi", "<think>"}},
    {CONTROL_TAGS, FG_STARTS_ANYHOW, 6, {THINK, "a", THOUGHT, "b", THINK, "c", THOUGHT, "d"}},
    {HARMONY,
     FG_STARTS_ANYHOW,
     6,
     {CHANNEL, "analysis", MESSAGE, "H", "m", END, START, "assistant", CHANNEL, "final", MESSAGE,
      "Hi"}},
    {HARMONY, FG_STARTS_ANYHOW, 0, {CHANNEL, "final", MESSAGE, "Hi"}},
    {HARMONY,
     FG_STARTS_REASONING,
     3,
     {"H", "m", END, START, "assistant", CHANNEL, "final", MESSAGE}},
    {NO_REASONING, FG_STARTS_REASONING, 0, {"H", "m.", "</think>", "Hi"}},
};

static struct fg_answer_form form_of(int kind)
{
    struct fg_answer_form f = {.tools = FG_TOOLS_HERMES, .reasoning = FG_REASONING_THINK};

    if (kind == CONTROL_TAGS)
        f.control = 3 << 9;
    if (kind == HARMONY)
        f = (struct fg_answer_form){
            .tools = FG_TOOLS_HARMONY, .reasoning = FG_REASONING_HARMONY, .control = 0x7F};
    if (kind == NO_REASONING)
        f.reasoning = FG_REASONING_NONE;
    return f;
}

static void tokens_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fg_answer_form form = form_of(answers[i].form);
        struct fg_reasoning_count *c = fg_reasoning_count_create(&form, answers[i].start);

        assert_non_null(c);
        for (const char *const *t = answers[i].tokens; *t; t++)
            assert_int_equal(fg_reasoning_count_push(c, (struct fg_str){*t, strlen(*t)}), 0);
        if (fg_reasoning_count_tokens(c) != answers[i].want)
            fail_msg("answer %zu: %u tokens, not %u", i, fg_reasoning_count_tokens(c),
                     answers[i].want);
        fg_reasoning_count_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_counted)};

    return cmocka_run_group_tests_name("reasoning count", tests, NULL, NULL);
}
