#include "tool_calls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"

/* Brackets in strings count too: this is a bound, not a count. */
bool fg_tool_arguments_fit(struct fg_str arguments)
{
    size_t containers = 0;

    if (arguments.n > FG_ARGUMENTS_MAX_BYTES)
        return false;
    for (size_t i = 0; i < arguments.n; i++)
        containers += arguments.p[i] == '[' || arguments.p[i] == '{';
    return containers <= FG_ARGUMENTS_MAX_CONTAINERS;
}

/* How a form writes calls: around all of them, around each, and between its name and arguments. */
static const struct writing {
    const char *open, *close, *call, *name_end, *call_end, *between;
    bool values; /* arguments in tags of their own */
} writings[] = {
#define JSON "{\"name\": ", ", \"arguments\": ", "}"
    [FG_TOOLS_NONE] = {"", "", JSON, "\n", false},
    [FG_TOOLS_MINIMAX] = {"<tool_calls>\n", "\n</tool_calls>", JSON, "\n", false},
    [FG_TOOLS_HERMES] = {"", "", "<tool_call>\n{\"name\": ", ", \"arguments\": ", "}\n</tool_call>",
                         "\n", false},
    [FG_TOOLS_MINIMAX_XML] = {"<minimax:tool_call>\n", "\n</minimax:tool_call>", "<invoke name=\"",
                              "\">\n", "</invoke>", "\n", true},
    [FG_TOOLS_QWEN_XML] = {"", "", "<tool_call>\n<function=", ">\n", "</function>\n</tool_call>",
                           "\n", true},
    [FG_TOOLS_LLAMA3] = {"", "", "{\"name\": ", ", \"parameters\": ", "}", "; ", false},
    [FG_TOOLS_MISTRAL] = {"[TOOL_CALLS][", "]", JSON, ", ", false},
    [FG_TOOLS_HARMONY] = {"", "", "<|channel|>commentary to=functions.",
                          " <|constrain|>json<|message|>", "<|call|>", "<|start|>assistant", false},
    [FG_TOOLS_GEMMA] = {"", "", "```tool_call\n{\"name\": ", ", \"parameters\": ", "}\n```", "\n",
                        false},
    [FG_TOOLS_DEEPSEEK] = {"<\xEF\xBD\x9Ctool\xE2\x96\x81"
                           "calls\xE2\x96\x81"
                           "begin\xEF\xBD\x9C>",
                           "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                           "calls\xE2\x96\x81"
                           "end\xEF\xBD\x9C>",
                           "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                           "call\xE2\x96\x81"
                           "begin\xEF\xBD\x9C>",
                           "<\xEF\xBD\x9Ctool\xE2\x96\x81sep\xEF\xBD\x9C>",
                           "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                           "call\xE2\x96\x81"
                           "end\xEF\xBD\x9C>",
                           "", false},
    [FG_TOOLS_LFM2] = {"<|tool_call_start|>[", "]<|tool_call_end|>", JSON, ", ", false},
#undef JSON
};

/* A string of JSON as what it stands for. */
static void put_plain(struct fg_str quoted, struct fg_buffer *out)
{
    if (quoted.p[0] == '"')
        fg_scan_string(quoted, out);
    else
        fg_buffer_view(out, quoted);
}

static void put_values(enum fg_tool_form form, struct fg_str object, struct fg_buffer *out)
{
    bool qwen = form == FG_TOOLS_QWEN_XML;
    struct fg_scan s = {.text = object};

    while (object.p[0] == '{' && fg_scan_next(&s)) {
        fg_buffer_str(out, qwen ? "<parameter=" : "<parameter name=\"");
        fg_scan_string(s.name, out);
        fg_buffer_str(out, qwen ? ">\n" : "\">");
        put_plain(s.value, out);
        fg_buffer_str(out, qwen ? "\n</parameter>\n" : "</parameter>\n");
    }
}

static void put_call(enum fg_tool_form form, struct fg_str function, struct fg_buffer *out)
{
    const struct writing *w = &writings[form];
    struct fg_str name = {"\"\"", 2}, arguments = {"\"\"", 2}, whole;
    bool quoted = strstr(w->call, "\"name\": ") != NULL;
    struct fg_buffer raw = {0};

    (void)fg_scan_find(function, "name", &name);
    (void)fg_scan_find(function, "arguments", &arguments);
    fg_scan_string(arguments, &raw);
    if (!fg_scan_whole((struct fg_str){raw.p, raw.n}, &whole))
        whole = arguments;
    fg_buffer_str(out, w->call);
    if (quoted)
        fg_buffer_view(out, name);
    else
        put_plain(name, out);
    fg_buffer_str(out, w->name_end);
    if (w->values)
        put_values(form, whole, out);
    else
        fg_buffer_view(out, whole);
    fg_buffer_str(out, w->call_end);
    out->failed = out->failed || raw.failed;
    fg_buffer_finish(&raw);
}

void fg_tool_calls_append(enum fg_tool_form form, struct fg_str calls, struct fg_buffer *content)
{
    const struct writing *w = &writings[form];
    struct fg_scan s = {.text = calls};
    struct fg_str function = {"{}", 2};
    bool any = false;

    while (fg_scan_next(&s)) {
        if (!any) {
            fg_buffer_str(content, content->n ? "\n" : "");
            fg_buffer_str(content, w->open);
        } else {
            fg_buffer_str(content, w->between);
        }
        any = true;
        (void)fg_scan_find(s.value, "function", &function);
        put_call(form, function, content);
    }
    if (any)
        fg_buffer_str(content, w->close);
}

/* --- reading --- */

static void take_event(void *ctx, const struct fg_answer_event *e)
{
    struct fg_tool_answer *a = ctx;

    switch (e->part) {
    case FG_ANSWER_REASONING: fg_buffer_view(&a->reasoning, e->text); break;
    case FG_ANSWER_TEXT: fg_buffer_view(&a->text, e->text); break;
    case FG_ANSWER_CALL: {
        json_t *call = json_pack("{s:s, s:s, s:{s:s%}}", "id", e->id, "type", "function",
                                 "function", "name", e->text.p, e->text.n);

        fg_buffer_clear(&a->arguments);
        a->failed = a->failed || !call || json_array_append_new(a->calls, call) < 0;
        break;
    }
    case FG_ANSWER_ARGUMENTS: fg_buffer_view(&a->arguments, e->text); break;
    case FG_ANSWER_CALL_END: {
        json_t *call = json_array_get(a->calls, json_array_size(a->calls) - 1);
        json_t *arguments = json_stringn(a->arguments.p ? a->arguments.p : "", a->arguments.n);

        a->failed = a->failed || json_object_set_new(json_object_get(call, "function"), "arguments",
                                                     arguments) < 0;
        break;
    }
    }
}

bool fg_tool_answer_read(struct fg_tool_answer *a, const struct fg_answer_form *form,
                         enum fg_answer_start start, struct fg_str text, const char *id)
{
    struct fg_answer_parts *p = fg_answer_parts_create(form, id, take_event, a);

    *a = (struct fg_tool_answer){.calls = json_array()};
    a->failed = !p || !a->calls;
    if (!a->failed) {
        fg_answer_parts_start(p, start);
        fg_answer_parts_push(p, text);
        fg_answer_parts_end(p);
        a->malformed = fg_answer_parts_failed(p);
        a->failed = a->failed || fg_answer_parts_nomem(p) || a->reasoning.failed ||
                    a->text.failed || a->arguments.failed;
    }
    fg_answer_parts_destroy(p);
    if (a->failed)
        fg_tool_answer_finish(a);
    return !a->failed;
}

void fg_tool_answer_finish(struct fg_tool_answer *a)
{
    json_decref(a->calls);
    a->calls = NULL;
    fg_buffer_finish(&a->reasoning);
    fg_buffer_finish(&a->text);
    fg_buffer_finish(&a->arguments);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static struct fg_str trim(struct fg_str s)
{
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

bool fg_tool_calls_id(struct fg_str calls, struct fg_str *id)
{
    struct fg_scan s = {.text = calls};
    struct fg_str quoted;

    if (!fg_scan_next(&s) || !fg_scan_find(s.value, "id", &quoted) || quoted.p[0] != '"')
        return false;
    *id = (struct fg_str){quoted.p + 1, quoted.n - 2};
    for (size_t i = 0; i < id->n; i++)
        if (id->p[i] <= ' ' || id->p[i] > '~' || id->p[i] == '\\')
            return false;
    return true;
}

static struct fg_str member(const json_t *object, const char *name)
{
    const json_t *s = json_object_get(object, name);

    return (struct fg_str){json_string_value(s), json_string_length(s)};
}

/* ours: a call as it was read; theirs: text of the client's JSON. */
static bool same_call(const json_t *ours, struct fg_str theirs, const char *want)
{
    const json_t *function = json_object_get(ours, "function");
    struct fg_str id, name, arguments, their_function;
    struct fg_buffer plain = {0};
    bool same;

    if (!fg_scan_find(theirs, "id", &id) || !fg_scan_is(id, want) ||
        !fg_scan_find(theirs, "function", &their_function) ||
        !fg_scan_find(their_function, "name", &name) ||
        !fg_scan_is(name, member(function, "name").p) ||
        !fg_scan_find(their_function, "arguments", &arguments) || arguments.p[0] != '"')
        return false;
    fg_scan_string(arguments, &plain);
    same = !plain.failed &&
           fg_scan_equal(member(function, "arguments"), (struct fg_str){plain.p, plain.n});
    fg_buffer_finish(&plain);
    return same;
}

static struct fg_str words(const struct fg_buffer *b)
{
    return trim((struct fg_str){b->p ? b->p : "", b->n});
}

static bool equal(struct fg_str a, struct fg_str b)
{
    return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

/* Arguments with a name twice cannot be compared. */
static bool names_once(const json_t *call)
{
    struct fg_str arguments = member(json_object_get(call, "function"), "arguments");
    json_error_t why;
    json_t *v = json_loadb(arguments.p, arguments.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    bool once = v || json_error_code(&why) == json_error_numeric_overflow;

    json_decref(v);
    return once;
}

/* The answer as a whole. False: it has no calls, or cannot be compared. */
static bool read_whole(const struct fg_answer_form *form, enum fg_answer_start start,
                       struct fg_str text, struct fg_tool_answer *out)
{
    const json_t *call;
    bool ok = fg_tool_answer_read(out, form, start, text, "");
    size_t i;

    if (!ok)
        return false;
    ok = !out->malformed && json_array_size(out->calls) > 0;
    json_array_foreach(out->calls, i, call) ok = ok && names_once(call);
    if (!ok)
        fg_tool_answer_finish(out);
    return ok;
}

/* The id of the call number `index`, where that of the first one is known. */
static bool next_id(enum fg_tool_form form, struct fg_str first, size_t index, char *out,
                    size_t size)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (first.n < 2 || first.n >= 64 || first.p[first.n - 1] != '0' || index >= 62)
        return false;
    if (form == FG_TOOLS_MISTRAL)
        snprintf(out, size, "%.*s%c", (int)first.n - 1, first.p, digits[index]);
    else
        snprintf(out, size, "%.*s%zu", (int)first.n - 1, first.p, index);
    return true;
}

static bool same_from(const struct fg_answer_form *form, enum fg_answer_start start,
                      struct fg_str text, const struct fg_tool_message *m,
                      struct fg_buffer *reasoning)
{
    struct fg_tool_answer ours;
    struct fg_scan s = {.text = m->calls};
    struct fg_str first;
    size_t n = 0;
    bool same;

    if (!read_whole(form, start, text, &ours))
        return false;
    same = fg_tool_calls_id(m->calls, &first) && equal(words(&ours.text), trim(m->content)) &&
           (!m->reasoning.n || equal(words(&ours.reasoning), trim(m->reasoning)));
    while (same && fg_scan_next(&s)) {
        char id[96];

        same = n < json_array_size(ours.calls) && next_id(form->tools, first, n, id, sizeof id) &&
               same_call(json_array_get(ours.calls, n), s.value, id);
        n++;
    }
    same = same && n == json_array_size(ours.calls);
    if (same)
        fg_buffer_view(reasoning, words(&ours.reasoning));
    fg_tool_answer_finish(&ours);
    return same;
}

/* Where the answer began is not known: a thought that only ends in it may have begun before. */
bool fg_tool_calls_same(const struct fg_answer_form *form, struct fg_str text,
                        const struct fg_tool_message *m, struct fg_buffer *reasoning)
{
    enum fg_answer_start start = fg_answer_start_of_whole(form, text);

    return same_from(form, start, text, m, reasoning) ||
           (start != FG_STARTS_ANYHOW && same_from(form, FG_STARTS_ANYHOW, text, m, reasoning));
}

static bool alike(const json_t *a, const json_t *b)
{
    const json_t *f = json_object_get(a, "function"), *g = json_object_get(b, "function");

    return strcmp(member(f, "name").p, member(g, "name").p) == 0 &&
           fg_scan_equal(member(f, "arguments"), member(g, "arguments"));
}

static bool alike_from(const struct fg_answer_form *form, enum fg_answer_start start,
                       struct fg_str a, struct fg_str b)
{
    struct fg_tool_answer x, y;
    json_t *call;
    bool same;
    size_t i;

    if (!read_whole(form, start, a, &x))
        return false;
    if (!read_whole(form, start, b, &y)) {
        fg_tool_answer_finish(&x);
        return false;
    }
    same = json_array_size(x.calls) == json_array_size(y.calls) &&
           equal(words(&x.text), words(&y.text)) &&
           (!words(&y.reasoning).n || equal(words(&x.reasoning), words(&y.reasoning)));
    json_array_foreach(x.calls, i, call) same = same && alike(call, json_array_get(y.calls, i));
    fg_tool_answer_finish(&x);
    fg_tool_answer_finish(&y);
    return same;
}

bool fg_tool_calls_alike(const struct fg_answer_form *form, struct fg_str a, struct fg_str b)
{
    enum fg_answer_start start = fg_answer_start_of_whole(form, a);

    return alike_from(form, start, a, b) ||
           (start != FG_STARTS_ANYHOW && alike_from(form, FG_STARTS_ANYHOW, a, b));
}
