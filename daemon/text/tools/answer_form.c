#include "answer_form.h"

#include <string.h>

#include "answer_state.h"

enum { REASONING_OPEN = FG_TAG_THINK, REASONING_CLOSE = FG_TAG_THOUGHT };

#define DEEPSEEK(name) "<\xEF\xBD\x9C" name "\xEF\xBD\x9C>"
#define U "\xE2\x96\x81" /* the blank in DeepSeek's tags */

static const struct family {
    const char *name, *tags[FG_TAGS_OF_CALLS];
} families[] = {
    [FG_TOOLS_NONE] = {"none", {NULL}},
    [FG_TOOLS_MINIMAX] = {"minimax", {"<tool_calls>", "</tool_calls>"}},
    [FG_TOOLS_HERMES] = {"hermes",
                         {"<tool_call>", "</tool_call>", "<function=", "</function>",
                          "<parameter=", "</parameter>"}},
    [FG_TOOLS_MINIMAX_XML] = {"minimax_xml",
                              {"<minimax:tool_call>", "</minimax:tool_call>",
                               "<invoke name=", "</invoke>", "<parameter name=", "</parameter>"}},
    [FG_TOOLS_QWEN_XML] = {"qwen_xml",
                           {"<tool_call>", "</tool_call>", "<function=", "</function>",
                            "<parameter=", "</parameter>"}},
    [FG_TOOLS_LLAMA3] = {"llama3", {"<|python_tag|>"}},
    [FG_TOOLS_MISTRAL] = {"mistral",
                          {[FG_TAG_OPEN] = "[TOOL_CALLS]",
                           [FG_TAG_ARGUMENTS] = "[ARGS]",
                           [FG_TAG_ID] = "[CALL_ID]"}},
    [FG_TOOLS_HARMONY] = {"harmony",
                          {"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>",
                           "<|return|>", "<|constrain|>"}},
    [FG_TOOLS_GEMMA] = {"gemma", {"```", "```"}},
    [FG_TOOLS_DEEPSEEK] = {"deepseek",
                           {[FG_TAG_OPEN] = DEEPSEEK("tool" U "calls" U "begin"),
                            [FG_TAG_CLOSE] = DEEPSEEK("tool" U "calls" U "end"),
                            [FG_TAG_CALL] = DEEPSEEK("tool" U "call" U "begin"),
                            [FG_TAG_CALL_END] = DEEPSEEK("tool" U "call" U "end"),
                            [FG_TAG_ARGUMENTS] = DEEPSEEK("tool" U "sep")}},
    [FG_TOOLS_LFM2] = {"lfm2", {"<|tool_call_start|>", "<|tool_call_end|>"}},
};

static const struct {
    const char *name, *open, *close;
} reasonings[] = {
    [FG_REASONING_NONE] = {"none", NULL, NULL},
    [FG_REASONING_THINK] = {"think", "<think>", "</think>"},
    [FG_REASONING_BRACKET] = {"bracket", "[THINK]", "[/THINK]"},
    [FG_REASONING_SEED] = {"seed", "<seed:think>", "</seed:think>"},
    [FG_REASONING_HARMONY] = {"harmony", NULL, NULL},
};

const char *fg_answer_form_tag(const struct fg_answer_form *form, size_t i)
{
    bool harmony = form->tools == FG_TOOLS_HARMONY || form->reasoning == FG_REASONING_HARMONY;

    if (i == REASONING_OPEN)
        return reasonings[form->reasoning].open;
    if (i == REASONING_CLOSE)
        return reasonings[form->reasoning].close;
    if (i >= FG_TAGS_OF_CALLS)
        return NULL;
    return families[harmony ? FG_TOOLS_HARMONY : form->tools].tags[i];
}

const char *fg_tool_form_name(enum fg_tool_form form)
{
    return families[form].name;
}

const char *fg_reasoning_form_name(enum fg_reasoning_form form)
{
    return reasonings[form].name;
}

static const char *find(struct fg_str text, const char *word)
{
    return text.n ? memmem(text.p, text.n, word, strlen(word)) : NULL;
}

/* What a text has in it that models of a form write, or are told to. */
static const struct {
    const char *word;
    enum fg_tool_form form;
} words[] = {
    {"<tool_calls>", FG_TOOLS_MINIMAX},
    {"<minimax:tool_call>", FG_TOOLS_MINIMAX_XML},
    {"<tool_call>", FG_TOOLS_HERMES},
    {"<function=", FG_TOOLS_QWEN_XML},
    {"[TOOL_CALLS]", FG_TOOLS_MISTRAL},
    {"[AVAILABLE_TOOLS]", FG_TOOLS_MISTRAL},
    {"<|channel|>", FG_TOOLS_HARMONY},
    {DEEPSEEK("tool" U "calls" U "begin"), FG_TOOLS_DEEPSEEK},
    {"<|tool_call_start|>", FG_TOOLS_LFM2},
    {"<|tool_list_start|>", FG_TOOLS_LFM2},
    {"```tool_code", FG_TOOLS_GEMMA},
    {"```tool_call", FG_TOOLS_GEMMA},
    {"<start_of_turn>", FG_TOOLS_GEMMA},
    {"<|python_tag|>", FG_TOOLS_LLAMA3},
    {"<|start_header_id|>", FG_TOOLS_LLAMA3},
};

enum fg_tool_form fg_tool_form_of(struct fg_str text)
{
    enum fg_tool_form form = FG_TOOLS_NONE;
    const char *first = NULL;
    bool tag_first = false;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        /* That of a turn says less than a tag of calls, wherever this is. */
        bool of_turn = strncmp(words[i].word, "<start_of", 9) == 0 ||
                       strncmp(words[i].word, "<|start_h", 9) == 0;
        const char *at = find(text, words[i].word);

        if (!at || (of_turn ? first != NULL : tag_first && at > first))
            continue;
        first = at;
        tag_first = tag_first || !of_turn;
        form = words[i].form;
    }
    if (form == FG_TOOLS_HERMES && find(text, "<function="))
        form = FG_TOOLS_QWEN_XML;
    return form;
}

enum fg_reasoning_form fg_reasoning_form_of(struct fg_str text)
{
    if (find(text, "<|channel|>"))
        return FG_REASONING_HARMONY;
    for (int i = FG_REASONING_THINK; i <= FG_REASONING_SEED; i++)
        if (find(text, reasonings[i].open) || find(text, reasonings[i].close))
            return (enum fg_reasoning_form)i;
    return FG_REASONING_NONE;
}

static const char *find_last(struct fg_str text, const char *word)
{
    const char *at = NULL, *next;

    while ((next = find(text, word)) != NULL) {
        at = next;
        text.n -= (size_t)(next + 1 - text.p);
        text.p = next + 1;
    }
    return at;
}

static enum fg_answer_start start_of_channel(struct fg_str end)
{
    const char *channel = find_last(end, "<|channel|>"), *message = find_last(end, "<|message|>");

    if (!channel || !message || message < channel || find_last(end, "<|end|>") > message)
        return FG_STARTS_ANYHOW;
    return strncmp(channel + strlen("<|channel|>"), "analysis", 8) == 0 ? FG_STARTS_REASONING
                                                                        : FG_STARTS_TEXT;
}

enum fg_answer_start fg_answer_start_of(enum fg_reasoning_form form, struct fg_str end)
{
    const char *open, *close;

    if (form == FG_REASONING_HARMONY)
        return start_of_channel(end);
    if (form == FG_REASONING_NONE)
        return FG_STARTS_ANYHOW;
    open = find_last(end, reasonings[form].open);
    close = find_last(end, reasonings[form].close);
    if (open && (!close || close < open))
        return FG_STARTS_REASONING;
    return close ? FG_STARTS_TEXT : FG_STARTS_ANYHOW;
}

static const char *find_tag(const struct fg_answer_form *form, size_t tag, struct fg_str text)
{
    const char *written = fg_answer_form_tag(form, tag);
    const char *as_text = written ? find(text, written) : NULL;
    const char *mark = text.n ? memchr(text.p, FG_FIRST_MARK + (int)tag, text.n) : NULL;

    return !mark || (as_text && as_text < mark) ? as_text : mark;
}

enum fg_answer_start fg_answer_start_of_whole(const struct fg_answer_form *form, struct fg_str text)
{
    const char *open = find_tag(form, FG_TAG_THINK, text);
    const char *close = find_tag(form, FG_TAG_THOUGHT, text);

    if (form->reasoning == FG_REASONING_HARMONY)
        return FG_STARTS_ANYHOW;
    return close && (!open || close < open) ? FG_STARTS_REASONING : FG_STARTS_ANYHOW;
}
