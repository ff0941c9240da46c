/* The parts of what a model wrote, and the tool calls of a request in a message's text. */
#include "fuzz.h"

#include <jansson.h>

#include "base/json_scan.h"
#include "base/utf8.h"
#include "text/tools/tool_calls.h"
#include "text/tools/tool_schemas.h"

static void append(enum fg_tool_form form, struct fg_str text)
{
    struct fg_buffer content = {0};

    fg_buffer_str(&content, "abc");
    fg_tool_calls_append(form, text, &content);
    HOLDS(!content.failed && memcmp(content.p, "abc", 3) == 0);
    fg_buffer_finish(&content);
}

/* Arguments are JSON. */
static void check_call(const json_t *call)
{
    const json_t *function = json_object_get(call, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    struct fg_str whole;

    HOLDS(json_is_string(json_object_get(function, "name")) && json_is_string(arguments));
    HOLDS(fg_scan_whole(
        (struct fg_str){json_string_value(arguments), json_string_length(arguments)}, &whole));
    HOLDS(whole.p[0] == '{');
}

/* Events, one behind the other. */
struct told {
    struct fg_buffer text;
    int last;
};

static void on_event(void *ctx, const struct fg_answer_event *e)
{
    struct told *t = ctx;
    char part = (char)('0' + (int)e->part);

    if (t->last != (int)e->part || e->part == FG_ANSWER_CALL)
        fg_buffer_add(&t->text, &part, 1);
    t->last = (int)e->part;
    fg_buffer_view(&t->text, e->text);
}

static struct told tell(const struct fg_answer_form *form, struct fg_str text, size_t piece)
{
    struct told t = {.last = -1};
    struct fg_answer_parts *p = fg_answer_parts_create(form, "id", on_event, &t);

    HOLDS(p);
    for (size_t at = 0; at < text.n; at += piece)
        fg_answer_parts_push(
            p, (struct fg_str){text.p + at, text.n - at < piece ? text.n - at : piece});
    fg_answer_parts_end(p);
    HOLDS(!fg_answer_parts_nomem(p));
    fg_answer_parts_destroy(p);
    return t;
}

/* However it is cut. */
static void check_cuts(const struct fg_answer_form *form, struct fg_str text)
{
    struct told whole = tell(form, text, text.n + 1);

    for (size_t piece = 1; piece < 8; piece += 3) {
        struct told cut = tell(form, text, piece);

        HOLDS(cut.text.n == whole.text.n &&
              (!cut.text.n || memcmp(cut.text.p, whole.text.p, cut.text.n) == 0));
        fg_buffer_finish(&cut.text);
    }
    fg_buffer_finish(&whole.text);
}

/* An answer is UTF-8 and marks. */
static void make_answer(struct fg_str text, struct fg_buffer *out)
{
    while (text.n) {
        size_t n = 1;
        bool ok = (unsigned char)text.p[0] >= FG_FIRST_MARK ||
                  fg_utf8_next(text.p, text.n, &n) == FG_UTF8_CHAR;

        fg_buffer_add(out, ok ? text.p : "?", ok ? n : 1);
        text.p += n;
        text.n -= n;
    }
}

/* The first byte says which form, the second which reasoning and where the answer begins. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fg_answer_form form = {.tools = FG_TOOLS_MINIMAX, .reasoning = FG_REASONING_THINK};
    struct fg_str text = {(const char *)data, n};
    struct fg_tool_answer answer;
    struct fg_tool_schemas *schemas;
    struct fg_buffer made = {0};

    if (n > 1 && data[0] >= 'a' && data[0] <= 'a' + FG_TOOLS_LFM2) {
        form.tools = (enum fg_tool_form)(data[0] - 'a');
        form.reasoning = (enum fg_reasoning_form)(data[1] % (FG_REASONING_HARMONY + 1));
        text = (struct fg_str){text.p + 2, n - 2};
    }
    schemas = fg_tool_schemas_create(text);
    HOLDS(schemas);
    make_answer(text, &made);
    text = (struct fg_str){made.p ? made.p : "", made.n};
    HOLDS(fg_tool_answer_read(&answer, &form, FG_STARTS_ANYHOW, text, "id"));
    for (size_t i = 0; !answer.malformed && i < json_array_size(answer.calls); i++)
        check_call(json_array_get(answer.calls, i));
    fg_tool_answer_finish(&answer);
    form.schemas = schemas;
    check_cuts(&form, text);
    (void)fg_tool_calls_alike(&form, text, text);
    append(form.tools, text);
    fg_tool_schemas_destroy(schemas);
    fg_buffer_finish(&made);
    return 0;
}
