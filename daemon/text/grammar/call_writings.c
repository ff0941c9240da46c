/* How each form writes calls, when an answer is held to them: as the models were taught. */
#include <stddef.h>

#include "calls_parts.h"
#include "text/tools/answer_tags.h"

#define OPEN "\1"
#define CLOSE "\2"
#define CALL "\3"
#define CALL_END "\4"
#define VALUE "\5"
#define ARGUMENTS "\7"
#define CHANNEL "\1"
#define MESSAGE "\2"
#define CONSTRAIN "\7"
#define BIT(tag) (1u << (tag))

static const struct fg_call_writing writings[] = {
    {.form = FG_TOOLS_MINIMAX,
     .begin = OPEN "\n",
     .before = "{\"name\": \"",
     .name_end = "\", \"arguments\": ",
     .behind = "}\n",
     .end = CLOSE,
     .between = "",
     .quoted = true},
    {.form = FG_TOOLS_HERMES,
     .begin = "",
     .before = OPEN "\n{\"name\": \"",
     .name_end = "\", \"arguments\": ",
     .behind = "}\n" CLOSE,
     .end = "",
     .between = "\n",
     .quoted = true},
    {.form = FG_TOOLS_MINIMAX_XML,
     .begin = OPEN "\n",
     .before = CALL "\"",
     .name_end = "\">\n",
     .behind = CALL_END "\n",
     .end = CLOSE,
     .between = "",
     .value = VALUE "\"",
     .value_begin = "\">",
     .value_end = ""},
    {.form = FG_TOOLS_QWEN_XML,
     .begin = "",
     .before = OPEN "\n" CALL,
     .name_end = ">\n",
     .behind = CALL_END "\n" CLOSE,
     .end = "",
     .between = "\n",
     .value = VALUE,
     .value_begin = ">\n",
     .value_end = "\n"},
    {.form = FG_TOOLS_LLAMA3,
     .begin = "",
     .before = "{\"name\": \"",
     .name_end = "\", \"parameters\": ",
     .behind = "}",
     .end = "",
     .between = "; ",
     .quoted = true},
    {.form = FG_TOOLS_MISTRAL,
     .needs = BIT(FG_TAG_ARGUMENTS),
     .begin = "",
     .before = OPEN,
     .name_end = ARGUMENTS,
     .behind = "",
     .end = "",
     .between = ""},
    {.form = FG_TOOLS_MISTRAL,
     .lacks = BIT(FG_TAG_ARGUMENTS),
     .begin = OPEN "[",
     .before = "{\"name\": \"",
     .name_end = "\", \"arguments\": ",
     .behind = "}",
     .end = "]",
     .between = ", ",
     .quoted = true},
    /* <|call|> ends the answer: it is one call. */
    {.form = FG_TOOLS_HARMONY,
     .begin = "",
     .before = CHANNEL "commentary to=functions.",
     .name_end = " " CONSTRAIN "json" MESSAGE,
     .behind = "",
     .end = ""},
    {.form = FG_TOOLS_HARMONY,
     .begin = "",
     .before = " to=functions.",
     .name_end = CHANNEL "commentary json" MESSAGE,
     .behind = "",
     .end = ""},
    {.form = FG_TOOLS_GEMMA,
     .begin = "",
     .before = OPEN "tool_call\n{\"name\": \"",
     .name_end = "\", \"parameters\": ",
     .behind = "}\n" CLOSE,
     .end = "",
     .between = "\n",
     .quoted = true},
    /* Of V3.1, and of those before it. */
    {.form = FG_TOOLS_DEEPSEEK,
     .begin = OPEN,
     .before = CALL,
     .name_end = ARGUMENTS,
     .behind = CALL_END,
     .end = CLOSE,
     .between = ""},
    {.form = FG_TOOLS_DEEPSEEK,
     .begin = OPEN,
     .before = CALL "function" ARGUMENTS,
     .name_end = "\n```json\n",
     .behind = "\n```" CALL_END,
     .end = CLOSE,
     .between = "\n"},
    {.form = FG_TOOLS_LFM2,
     .begin = OPEN "[",
     .before = "{\"name\": \"",
     .name_end = "\", \"arguments\": ",
     .behind = "}",
     .end = "]" CLOSE,
     .between = ", ",
     .quoted = true},
};

const struct fg_call_writing *fg_call_writing(const struct fg_answer_form *form,
                                              const struct fg_call_writing *last)
{
    const struct fg_call_writing *end = writings + sizeof writings / sizeof *writings;

    for (const struct fg_call_writing *w = last ? last + 1 : writings; w < end; w++)
        if (w->form == form->tools && (form->control & w->needs) == w->needs &&
            !(form->control & w->lacks))
            return w;
    return NULL;
}
