/* Answers read while they are written: every form, however the text is cut. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "text/tools/answer_parts.h"
#include "text/tools/tool_calls.h"
#include "text/tools/tool_schemas.h"

#define TOOLS                                                                                      \
    "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": "  \
    "{\"s\": {\"type\": \"string\"}, \"n\": {\"type\": \"integer\"}, \"b\": {\"type\": "           \
    "\"boolean\"}, \"o\": {\"type\": \"object\"}, \"u\": {\"anyOf\": [{\"type\": \"integer\"}, "   \
    "{\"type\": \"null\"}]}, \"m\": {\"type\": [\"string\", \"null\"]}, \"a\": {\"type\": "        \
    "\"array\"}}}}}, {\"type\": \"function\", \"function\": {\"name\": \"g\"}}]"

/* What was told, one part behind the other: (r)easoning, (t)ext, (c)all, (a)rguments, (e)nd. */
struct told {
    struct fg_buffer text;
    int last;
    size_t n_calls;
    bool open;
};

static void on_event(void *ctx, const struct fg_answer_event *e)
{
    static const char *const names[] = {"{r}", "{t}", "{c}", "{a}", "{e}"};
    struct told *t = ctx;

    assert_true(e->part == FG_ANSWER_CALL_END || e->text.n > 0);
    assert_int_equal(e->part == FG_ANSWER_CALL, e->id != NULL);
    if (e->part == FG_ANSWER_CALL) {
        assert_false(t->open);
        assert_int_equal(e->call, t->n_calls++);
        t->open = true;
    } else if (e->part == FG_ANSWER_ARGUMENTS || e->part == FG_ANSWER_CALL_END) {
        assert_true(t->open);
        assert_int_equal(e->call, t->n_calls - 1);
        t->open = e->part == FG_ANSWER_ARGUMENTS;
    } else {
        assert_false(t->open);
    }
    if (t->last != (int)e->part || e->part == FG_ANSWER_CALL)
        fg_buffer_str(&t->text, names[e->part]);
    t->last = (int)e->part;
    fg_buffer_view(&t->text, e->text);
}

struct row {
    enum fg_tool_form tools;
    enum fg_reasoning_form reasoning;
    enum fg_answer_start start;
    const char *text, *want;
    bool failed;
};

static const struct fg_tool_schemas *schemas;

static struct fg_answer_parts *begin(const struct row *row, uint16_t control, struct told *told)
{
    const struct fg_answer_form form = {
        .tools = row->tools, .reasoning = row->reasoning, .control = control, .schemas = schemas};
    struct fg_answer_parts *p = fg_answer_parts_create(&form, "id", on_event, told);

    *told = (struct told){.last = -1};
    assert_non_null(p);
    fg_answer_parts_start(p, row->start);
    return p;
}

static void finish(const struct row *row, struct fg_answer_parts *p, struct told *told)
{
    fg_answer_parts_end(p);
    assert_false(told->open);
    fg_buffer_str(&told->text, "");
    if (strcmp(told->text.p, row->want) != 0)
        fail_msg("%s\ncame to\n%s\nwanted\n%s", row->text, told->text.p ? told->text.p : "",
                 row->want);
    assert_int_equal(fg_answer_parts_failed(p), row->failed);
    assert_false(fg_answer_parts_nomem(p));
    fg_answer_parts_destroy(p);
    fg_buffer_finish(&told->text);
}

/* Pieces of 1 to `most` bytes, by a simple random sequence. */
static void push_in_pieces(struct fg_answer_parts *p, struct fg_str text, size_t most,
                           unsigned *random)
{
    while (text.n) {
        size_t n;

        *random = *random * 1103515245u + 12345u;
        n = 1 + (*random >> 16) % most;
        n = n < text.n ? n : text.n;
        fg_answer_parts_push(p, (struct fg_str){text.p, n});
        text.p += n;
        text.n -= n;
    }
}

/* Tags as their marks. */
static void mark_tags(const struct row *row, struct fg_buffer *out)
{
    const struct fg_answer_form form = {.tools = row->tools, .reasoning = row->reasoning};
    const char *at = row->text;

    while (*at) {
        char mark = 0;
        size_t n = 1;

        for (size_t i = 0; i < FG_FORM_TAGS; i++) {
            const char *tag = fg_answer_form_tag(&form, i);

            if (tag && strncmp(at, tag, strlen(tag)) == 0) {
                mark = (char)(FG_FIRST_MARK + (int)i);
                n = strlen(tag);
                break;
            }
        }
        fg_buffer_add(out, mark ? &mark : at, 1);
        at += n;
    }
}

static void check_text(const struct row *row)
{
    struct fg_str text = view(row->text);
    struct fg_answer_parts *p;
    struct told told;
    unsigned random = 1;

    for (size_t cut = 0; cut <= text.n; cut++) {
        p = begin(row, 0, &told);
        fg_answer_parts_push(p, (struct fg_str){text.p, cut});
        fg_answer_parts_push(p, (struct fg_str){text.p + cut, text.n - cut});
        finish(row, p, &told);
    }
    for (size_t most = 1; most < 12; most++) {
        p = begin(row, 0, &told);
        push_in_pieces(p, text, most, &random);
        finish(row, p, &told);
    }
}

/* Tags that are control tokens, where the vocabulary is known to have them and where not. */
static void check_marks(const struct row *row)
{
    static const uint16_t controls[] = {0, (1 << FG_FORM_TAGS) - 1};
    struct fg_buffer marked = {0};
    unsigned random = 1;

    mark_tags(row, &marked);
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        struct told told;
        struct fg_answer_parts *p = begin(row, controls[i], &told);

        push_in_pieces(p, (struct fg_str){marked.p ? marked.p : "", marked.n}, 3, &random);
        finish(row, p, &told);
    }
    fg_buffer_finish(&marked);
}

static void check(const struct row *row)
{
    check_text(row);
    if (row->tools != FG_TOOLS_GEMMA) /* which has no control tokens */
        check_marks(row);
}

static void check_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&rows[i]);
}

#define ROWS(rows) check_all(rows, sizeof rows / sizeof *rows)
#define NO FG_TOOLS_NONE
#define THINK FG_REASONING_THINK
#define ANY FG_STARTS_ANYHOW
#define INSIDE FG_STARTS_REASONING

static void reasoning_is_told_apart(void **state)
{
    static const struct row rows[] = {
        {NO, THINK, ANY, "Hello\n\nworld \n", "{t}Hello\n\nworld \n", false},
        {NO, THINK, ANY, " \n<think>\nI see.\n\nYes \n</think>\n\nHello ",
         "{r}I see.\n\nYes{t}Hello ", false},
        {NO, THINK, ANY, "<think></think>Hi", "{t}Hi", false},
        {NO, THINK, ANY, "<think>\n\n</think>\n\n", "", false},
        {NO, THINK, ANY, "<think>cut by its length \n", "{r}cut by its length", false},
        {NO, THINK, ANY, "<think>a </thin", "{r}a </thin", false},
        {NO, THINK, ANY, "<thinking>a", "{t}<thinking>a", false},
        {NO, THINK, ANY, " <thin", "{t} <thin", false},
        {NO, THINK, ANY, " \n", "{t} \n", false},
        {NO, THINK, INSIDE, "so\n</think>\n\nHi", "{r}so{t}Hi", false},
        {NO, THINK, INSIDE, "\nso", "{r}so", false},
        {NO, THINK, FG_STARTS_TEXT, "\n\nHi", "{t}Hi", false},
        {NO, THINK, ANY, "<think>a</think>\n<think>b</think>c", "{r}ab{t}c", false},
        {NO, FG_REASONING_NONE, INSIDE, "a</think>b", "{t}a</think>b", false},
        {NO, FG_REASONING_BRACKET, ANY, "[THINK]a[/THINK]b", "{r}a{t}b", false},
        {NO, FG_REASONING_SEED, ANY, "<seed:think>a</seed:think>b", "{r}a{t}b", false},
        {FG_TOOLS_HERMES, THINK, ANY,
         "<think>\n<tool_call>?\n</think>\n\n<tool_call>\n{\"name\": \"f\"}\n</tool_call>",
         "{r}<tool_call>?{c}f{a}{}{e}", false},
    };

    (void)state;
    ROWS(rows);
    /* In the middle of a text, a tag that is no control token is text. */
    check_text(
        &(struct row){NO, THINK, ANY, "<think>a</think>b<think>c", "{r}a{t}b<think>c", false});
    check_marks(&(struct row){FG_TOOLS_LFM2, THINK, ANY, "b<|tool_call_end|>",
                              "{t}b<|tool_call_end|>", false});
}

static void json_calls(void **state)
{
    static const struct row rows[] = {
        {FG_TOOLS_MINIMAX, THINK, ANY,
         "So.\n\n<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"z\":[1, 2.50,1e3 ], \"a\": "
         "\"\\u00e9\\/\xC3\xA9\"}}\n{\"name\":\"g\",\"arguments\":{}}\n</tool_calls>\n",
         "{t}So.{c}f{a}{\"z\":[1, 2.50,1e3 ], \"a\": \"\\u00e9\\/\xC3\xA9\"}{e}{c}g{a}{}{e}",
         false},
        {FG_TOOLS_MINIMAX, THINK, ANY,
         "a <tool_calls>{\"arguments\" : { \"b\":2 }, \"name\":\"f\"}", "{t}a{c}f{a}{ \"b\":2 }{e}",
         false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>\n</tool_calls>",
         "{t}<tool_calls>\n</tool_calls>", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "x <tool_calls>\nadd(1)\n</tool_calls> y",
         "{t}x <tool_calls>\nadd(1)\n</tool_calls> y", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"f\", \"arguments\": []}",
         "{t}<tool_calls>{\"name\": \"f\", \"arguments\": []}", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"f\", \"name\": \"g\"}",
         "{t}<tool_calls>{\"name\": \"f\", \"name\": \"g\"}", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"f\\u0000\"}",
         "{t}<tool_calls>{\"name\": \"f\\u0000\"}", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"x\": {\"name\": \"f\"}}",
         "{t}<tool_calls>{\"x\": {\"name\": \"f\"}}", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"\"}",
         "{t}<tool_calls>{\"name\": \"\"}", false},
        {FG_TOOLS_MINIMAX, THINK, ANY,
         "<tool_calls>{\"i\": [{\"name\": 1}], \"n\\\"ame\": 2, \"name\" :\"a\\\"b\"}",
         "{c}a\"b{a}{}{e}", false},
        /* One that goes wrong once its name is known. */
        {FG_TOOLS_MINIMAX, THINK, ANY,
         "<tool_calls>{\"name\": \"f\", \"arguments\": {\"a\": nul1}} z",
         "{c}f{a}{\"a\": nul{e}{t}1}} z", true},
        {FG_TOOLS_MINIMAX, THINK, ANY,
         "<tool_calls>{\"name\": \"f\", \"arguments\": {\"a\": ", "{c}f{a}{\"a\": {e}", true},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"f\"}\nno</tool_calls>",
         "{c}f{a}{}{e}{t}no</tool_calls>", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_calls>{\"name\": \"f\"}</tool_calls> and more ",
         "{c}f{a}{}{e}{t}and more", false},
        {FG_TOOLS_MINIMAX, THINK, ANY, "<tool_call", "{t}<tool_call", false},
        {FG_TOOLS_HERMES, THINK, ANY,
         "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1.0}}\n</tool_call>\n<tool_call>\n"
         "{\"name\": \"g\", \"arguments\": {\"y\": {}}}\n</tool_call>",
         "{c}f{a}{\"x\": 1.0}{e}{c}g{a}{\"y\": {}}{e}", false},
        {FG_TOOLS_HERMES, THINK, ANY,
         "Use <tool_call> so: <tool_call>{\"name\": \"g\"}</tool_call>.",
         "{t}Use <tool_call> so:{c}g{a}{}{e}{t}.", false},
        {FG_TOOLS_HERMES, THINK, ANY,
         "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>\"}}",
         "{c}f{a}{\"a\": \"</tool_call>\"}{e}", false},
    };

    (void)state;
    ROWS(rows);
}

static void other_json_calls(void **state)
{
    static const struct row rows[] = {
        {FG_TOOLS_LLAMA3, THINK, ANY, "{\"name\": \"f\", \"parameters\": {\"s\": \"x\"}}",
         "{c}f{a}{\"s\": \"x\"}{e}", false},
        {FG_TOOLS_LLAMA3, THINK, ANY,
         "<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": "
         "\"g\"}",
         "{c}f{a}{}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_LLAMA3, THINK, ANY, "{\"name\": \"Ann\", \"parameters\": {}}",
         "{t}{\"name\": \"Ann\", \"parameters\": {}}", false},
        {FG_TOOLS_LLAMA3, THINK, ANY, "{\"city\": \"Oslo\"}", "{t}{\"city\": \"Oslo\"}", false},
        {FG_TOOLS_LLAMA3, THINK, ANY, "So {\"name\": \"f\"}", "{t}So {\"name\": \"f\"}", false},
        {FG_TOOLS_MISTRAL, THINK, ANY,
         "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"n\": 1}}, {\"name\": \"g\", "
         "\"arguments\": {}, \"id\": \"abc\"}]",
         "{c}f{a}{\"n\": 1}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_MISTRAL, THINK, ANY,
         "A [TOOL_CALLS]f[ARGS]{\"s\": \"[ARGS]\"}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}",
         "{t}A{c}f{a}{\"s\": \"[ARGS]\"}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_MISTRAL, THINK, ANY, "[TOOL_CALLS]f{\"n\": 1}", "{c}f{a}{\"n\": 1}{e}", false},
        {FG_TOOLS_MISTRAL, THINK, ANY, "[TOOL_CALLS]f[ARGS]x", "{t}[TOOL_CALLS]f[ARGS]x", false},
        {FG_TOOLS_DEEPSEEK, THINK, INSIDE,
         "a</think>b<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n"
         "{\"n\": "
         "1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}"
         "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
         "{r}a{t}b{c}f{a}{\"n\": 1}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_DEEPSEEK, THINK, ANY,
         "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"n\": 1}<｜tool▁call▁end｜>"
         "<｜tool▁calls▁end｜>",
         "{c}f{a}{\"n\": 1}{e}", false},
        {FG_TOOLS_DEEPSEEK, THINK, ANY, "<｜tool▁calls▁begin｜>?", "{t}<｜tool▁calls▁begin｜>?",
         false},
        {FG_TOOLS_GEMMA, THINK, ANY,
         "```tool_call\n{\"name\": \"f\", \"parameters\": {\"n\": 1}}\n```", "{c}f{a}{\"n\": 1}{e}",
         false},
        {FG_TOOLS_GEMMA, THINK, ANY, "Here:\n```json\n{\"a\": 1}\n```\nok",
         "{t}Here:\n```json\n{\"a\": 1}\n```\nok", false},
        {FG_TOOLS_GEMMA, THINK, ANY, "{\"name\": \"g\", \"parameters\": {}}", "{c}g{a}{}{e}",
         false},
        {FG_TOOLS_GEMMA, THINK, ANY, "[f(n=1), g()]", "{c}f{a}{\"n\": 1}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_GEMMA, THINK, ANY, "```tool_code\nf(s=\"x\")\n```\nDone.",
         "{c}f{a}{\"s\": \"x\"}{e}{t}Done.", false},
        {FG_TOOLS_GEMMA, THINK, ANY, "```python\nprint(1)\n```", "{t}```python\nprint(1)\n```",
         false},
    };

    (void)state;
    ROWS(rows);
}

static void values_are_typed_by_the_schema(void **state)
{
    static const struct row rows[] = {
        {FG_TOOLS_QWEN_XML, THINK, INSIDE,
         "I call.\n</think>\n\n<tool_call>\n<function=f>\n<parameter=s>\n12\n\"x\"\\\n\n"
         "</parameter>\n<parameter=n>\n12\n</parameter>\n<parameter=b>\nTrue\n</parameter>\n"
         "<parameter=o>\n{\"k\": [1.50]}\n</parameter>\n</function>\n</tool_call>",
         "{r}I call.{c}f{a}{\"s\": \"12\\n\\\"x\\\"\\\\\\n\", \"n\": 12, \"b\": true, \"o\": "
         "{\"k\": [1.50]}}{e}",
         false},
        {FG_TOOLS_QWEN_XML, THINK, ANY,
         "<tool_call>\n<function=f>\n<parameter=n>\nmany\n</parameter>\n<parameter=u>\nNone\n"
         "</parameter>\n<parameter=m>\nnull\n</parameter>\n<parameter=x>\n1\n</parameter>\n"
         "<parameter=a>\n[1,\n2]\n</parameter>\n</function>\n</tool_call>",
         "{c}f{a}{\"n\": \"many\", \"u\": null, \"m\": \"null\", \"x\": \"1\", \"a\": [1,\n2]}{e}",
         false},
        {FG_TOOLS_QWEN_XML, THINK, ANY, "<tool_call>\n<function=g>\n</function>\n</tool_call>",
         "{c}g{a}{}{e}", false},
        {FG_TOOLS_QWEN_XML, THINK, ANY,
         "Ok.\n<function=f>\n<parameter=s>\n<b>\tx</b></param\n</parameter>\n</function>\n</"
         "tool_call>",
         "{t}Ok.{c}f{a}{\"s\": \"<b>\\tx</b></param\"}{e}", false},
        {FG_TOOLS_QWEN_XML, THINK, ANY,
         "<tool_call>\n<function=f>\nwhat\n</function>\n</tool_call>",
         "{c}f{e}{t}what\n</function>\n</tool_call>", true},
        {FG_TOOLS_QWEN_XML, THINK, ANY, "<tool_call>\n<function=f>\n<parameter=s>\nab",
         "{c}f{a}{\"s\": \"ab{e}", true},
        {FG_TOOLS_HERMES, THINK, ANY,
         "<tool_call>\n<function=f>\n<parameter=n>\n1\n</parameter>\n</function>\n</tool_call>",
         "{c}f{a}{\"n\": 1}{e}", false},
        {FG_TOOLS_QWEN_XML, THINK, ANY,
         "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}\n</tool_call>",
         "{c}f{a}{\"n\": 1}{e}", false},
        {FG_TOOLS_MINIMAX_XML, THINK, INSIDE,
         "Hm.\n</think>\n\nSo:\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter "
         "name=\"s\">Oslo \n"
         "</parameter>\n<parameter name=\"n\">3</parameter>\n</invoke>\n<invoke name=\"g\">\n"
         "</invoke>\n</minimax:tool_call>",
         "{r}Hm.{t}So:{c}f{a}{\"s\": \"Oslo \", \"n\": 3}{e}{c}g{a}{}{e}", false},
        {FG_TOOLS_LFM2, THINK, ANY,
         "<|tool_call_start|>[f(s='it\\'s \"x\"\\n', n=-1.5, b=True, o={'k': [None, (1, 2)]}), g()]"
         "<|tool_call_end|>Calling.",
         "{c}f{a}{\"s\": \"it's \\\"x\\\"\\n\", \"n\": -1.5, \"b\": true, \"o\": "
         "{\"k\":[null,[1,2]]}}"
         "{e}{c}g{a}{}{e}{t}Calling.",
         false},
        {FG_TOOLS_LFM2, THINK, ANY, "<|tool_call_start|>[f(\"x\")]<|tool_call_end|>",
         "{t}<|tool_call_start|>[f(\"x\")]<|tool_call_end|>", false},
        {FG_TOOLS_LFM2, THINK, ANY, "<|tool_call_start|>[f(n=1 2)]<|tool_call_end|>",
         "{c}f{a}{\"n\": 1{e}{t}2)]<|tool_call_end|>", true},
        {FG_TOOLS_LFM2, THINK, ANY,
         "<|tool_call_start|>[{\"name\": \"f\", \"arguments\": {\"n\": 1}}]<|tool_call_end|>",
         "{c}f{a}{\"n\": 1}{e}", false},
    };

    (void)state;
    ROWS(rows);
}

#define HARMONY FG_TOOLS_HARMONY, FG_REASONING_HARMONY, ANY

static void harmony_channels(void **state)
{
    static const struct row rows[] = {
        {HARMONY,
         "<|channel|>analysis<|message|>Think. <|end|><|start|>assistant<|channel|>final<|message|>"
         "Hello <b>\n",
         "{r}Think.{t}Hello <b>\n", false},
        {HARMONY,
         "<|channel|>analysis<|message|>Call.<|end|><|start|>assistant<|channel|>commentary "
         "to=functions.f <|constrain|>json<|message|>{\"n\": 1}<|call|>",
         "{r}Call.{c}f{a}{\"n\": 1}{e}", false},
        {HARMONY,
         "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.g"
         "<|channel|>commentary json<|message|>{}",
         "{t}I look.{c}g{a}{}{e}", false},
        {HARMONY, "<|channel|>commentary to=functions.f<|message|>", "{c}f{a}{}{e}", false},
        {HARMONY, "<|channel|>commentary to=functions.f<|message|>{\"n\": <|call|>",
         "{c}f{a}{\"n\": {e}", true},
        {HARMONY, "<|channel|>commentary to=functions.f<|message|>what?<|call|>",
         "{t}<|channel|>commentary to=functions.f<|message|>what?", false},
        {HARMONY, "Hello ", "{t}Hello ", false},
        {HARMONY, "<|channel|>analysis<|message|>cut ", "{r}cut", false},
        {FG_TOOLS_HARMONY, FG_REASONING_HARMONY, INSIDE,
         "a<|end|><|start|>assistant<|channel|>final"
         "<|message|>b",
         "{r}a{t}b", false},
        {FG_TOOLS_NONE, FG_REASONING_HARMONY, ANY,
         "<|channel|>commentary to=functions.f<|message|>{}<|call|>", "{t}{}", false},
    };

    (void)state;
    ROWS(rows);
}

/* Arguments within the limits are a call, larger ones are none. */
static void arguments_have_limits(void **state)
{
    const struct row row = {.tools = FG_TOOLS_HERMES};

    (void)state;
    for (int over = 0; over < 2; over++) {
        struct fg_buffer text = {0};
        struct fg_answer_parts *p;
        struct told told;

        fg_buffer_str(&text, "<tool_call>{\"arguments\": {\"s\": \"");
        /* 9 bytes are around it. */
        for (int i = 0; i < FG_ARGUMENTS_MAX_BYTES - 9 + over; i++)
            fg_buffer_str(&text, "x");
        fg_buffer_str(&text, "\"}, \"name\": \"f\"}</tool_call>");
        p = begin(&row, 0, &told);
        fg_answer_parts_push(p, (struct fg_str){text.p, text.n});
        fg_answer_parts_end(p);
        assert_int_equal(told.n_calls, !over);
        if (over)
            assert_memory_equal(told.text.p + 3, text.p, text.n);
        fg_answer_parts_destroy(p);
        fg_buffer_finish(&text);
        fg_buffer_finish(&told.text);
    }
}

static void forms_are_found(void **state)
{
    static const struct {
        const char *text;
        enum fg_tool_form form;
    } rows[] = {
        {"with <tool_calls></tool_calls>", FG_TOOLS_MINIMAX},
        {"in <tool_call></tool_call>", FG_TOOLS_HERMES},
        {"in <tool_call><function=a>", FG_TOOLS_QWEN_XML},
        {"<minimax:tool_call>", FG_TOOLS_MINIMAX_XML},
        {"[AVAILABLE_TOOLS][]", FG_TOOLS_MISTRAL},
        {"<start_of_turn>user ```tool_code", FG_TOOLS_GEMMA},
        {"<start_of_turn>user <tool_call>", FG_TOOLS_HERMES},
        {"<|start_header_id|>system", FG_TOOLS_LLAMA3},
        {"<|start|>assistant<|channel|>", FG_TOOLS_HARMONY},
        {"<｜tool▁calls▁begin｜>", FG_TOOLS_DEEPSEEK},
        {"List: <|tool_list_start|>", FG_TOOLS_LFM2},
        {"other", FG_TOOLS_NONE},
        {"", FG_TOOLS_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(fg_tool_form_of(view(rows[i].text)), rows[i].form);
    assert_int_equal(fg_answer_start_of(THINK, view("<think>\n")), INSIDE);
    assert_int_equal(fg_answer_start_of(THINK, view("<think>\n\n</think>\n\n")), FG_STARTS_TEXT);
    assert_int_equal(fg_answer_start_of(THINK, view("assistant\n")), ANY);
    assert_int_equal(fg_answer_start_of(FG_REASONING_HARMONY, view("<|channel|>final<|message|>")),
                     FG_STARTS_TEXT);
    assert_int_equal(fg_answer_start_of(FG_REASONING_HARMONY, view("<|start|>assistant")), ANY);
}

static int make_schemas(void **state)
{
    (void)state;
    schemas = fg_tool_schemas_create(view(TOOLS));
    return schemas ? 0 : -1;
}

static int drop_schemas(void **state)
{
    (void)state;
    fg_tool_schemas_destroy((struct fg_tool_schemas *)schemas);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasoning_is_told_apart), cmocka_unit_test(json_calls),
        cmocka_unit_test(other_json_calls),        cmocka_unit_test(values_are_typed_by_the_schema),
        cmocka_unit_test(harmony_channels),        cmocka_unit_test(arguments_have_limits),
        cmocka_unit_test(forms_are_found),
    };

    return cmocka_run_group_tests_name("answer parts", tests, make_schemas, drop_schemas);
}
