/* How a model writes what it thinks, and tool calls: answer_form.h shows the forms. */
#ifndef FG_TOOL_FORM_H
#define FG_TOOL_FORM_H

enum fg_tool_form {
    FG_TOOLS_NONE,
    FG_TOOLS_MINIMAX,
    FG_TOOLS_HERMES,
    FG_TOOLS_MINIMAX_XML,
    FG_TOOLS_QWEN_XML,
    FG_TOOLS_LLAMA3,
    FG_TOOLS_MISTRAL,
    FG_TOOLS_HARMONY,
    FG_TOOLS_GEMMA,
    FG_TOOLS_DEEPSEEK,
    FG_TOOLS_LFM2,
};

enum fg_reasoning_form {
    FG_REASONING_NONE,
    FG_REASONING_THINK,   /* <think> ... </think> */
    FG_REASONING_BRACKET, /* [THINK] ... [/THINK] */
    FG_REASONING_SEED,    /* <seed:think> ... </seed:think> */
    FG_REASONING_HARMONY, /* channels */
};

/* Where an answer begins, by what its prompt ends with. */
enum fg_answer_start { FG_STARTS_ANYHOW, FG_STARTS_REASONING, FG_STARTS_TEXT };

#endif
