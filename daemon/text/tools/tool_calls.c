#include "tool_calls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"

static const struct form {
    const char *name, *open, *close;
} forms[] = {
    [FG_TOOLS_NONE] = {"none", "", ""},
    [FG_TOOLS_MINIMAX] = {"minimax", "<tool_calls>", "</tool_calls>"},
    [FG_TOOLS_HERMES] = {"hermes", "<tool_call>", "</tool_call>"},
};

enum fg_tool_form fg_tool_form_of(struct fg_str text)
{
    const char *minimax, *hermes;

    if (!text.n)
        return FG_TOOLS_NONE;
    minimax = memmem(text.p, text.n, "<tool_calls>", 12);
    hermes = memmem(text.p, text.n, "<tool_call>", 11);
    if (minimax && (!hermes || minimax < hermes))
        return FG_TOOLS_MINIMAX;
    return hermes ? FG_TOOLS_HERMES : FG_TOOLS_NONE;
}

const char *fg_tool_form_name(enum fg_tool_form form)
{
    return forms[form].name;
}

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

static void put_call(struct fg_str function, struct fg_buffer *out)
{
    struct fg_str name = {"\"\"", 2}, arguments = {"\"\"", 2}, whole;
    struct fg_buffer raw = {0};

    (void)fg_scan_find(function, "name", &name);
    (void)fg_scan_find(function, "arguments", &arguments);
    fg_scan_string(arguments, &raw);
    fg_buffer_str(out, "{\"name\": ");
    fg_buffer_view(out, name);
    fg_buffer_str(out, ", \"arguments\": ");
    if (fg_scan_whole((struct fg_str){raw.p, raw.n}, &whole))
        fg_buffer_view(out, whole);
    else
        fg_buffer_view(out, arguments);
    fg_buffer_str(out, "}\n");
    out->failed = out->failed || raw.failed;
    fg_buffer_finish(&raw);
}

void fg_tool_calls_append(enum fg_tool_form form, struct fg_str calls, struct fg_buffer *content)
{
    struct fg_scan s = {.text = calls};
    struct fg_str function = {"{}", 2};
    const char *between = content->n ? "\n" : "";
    bool one_block = form == FG_TOOLS_MINIMAX, any = false;

    while (fg_scan_next(&s)) {
        if (!any || !one_block) {
            fg_buffer_str(content, any ? "\n" : between);
            fg_buffer_str(content, forms[form].open);
            fg_buffer_str(content, "\n");
        }
        any = true;
        (void)fg_scan_find(s.value, "function", &function);
        put_call(function, content);
        if (!one_block)
            fg_buffer_str(content, forms[form].close);
    }
    if (any && one_block)
        fg_buffer_str(content, forms[form].close);
}

size_t fg_tool_calls_clear(enum fg_tool_form form, struct fg_str text, size_t from)
{
    const size_t tag = strlen(forms[form].open);
    size_t at = tag ? from : text.n;

    while (at < text.n) {
        const char *lt = memchr(text.p + at, '<', text.n - at);
        size_t left;

        if (!lt)
            return text.n;
        at = (size_t)(lt - text.p);
        left = text.n - at < tag ? text.n - at : tag;
        if (memcmp(lt, forms[form].open, left) == 0)
            return at;
        at++;
    }
    return text.n;
}

/* Well-formed, without a name twice, and what jansson cannot hold is only a number. */
static json_t *parse_call(struct fg_str text, bool *bad)
{
    json_error_t why;
    json_t *call = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);

    *bad = !call && json_error_code(&why) != json_error_numeric_overflow;
    return call;
}

/* {"name": string, "arguments": object} as OpenAI's call number `index`. NULL: it is not one. */
static json_t *read_call(struct fg_str text, const char *id, size_t index)
{
    struct fg_str name = {NULL, 0}, arguments = {"{}", 2};
    struct fg_buffer plain = {0};
    json_t *parsed, *out = NULL;
    char call_id[64];
    bool bad;

    if (!fg_tool_arguments_fit(text) || !fg_scan_find(text, "name", &name) || name.p[0] != '"')
        return NULL;
    (void)fg_scan_find(text, "arguments", &arguments);
    parsed = arguments.p[0] == '{' ? parse_call(text, &bad) : NULL;
    bad = arguments.p[0] != '{' || bad;
    json_decref(parsed);
    if (bad)
        return NULL;
    fg_scan_string(name, &plain);
    snprintf(call_id, sizeof call_id, "call_%s_%zu", id, index);
    if (!plain.failed && !memchr(plain.p, '\0', plain.n))
        out = json_pack("{s:s, s:s, s:{s:s%, s:s%}}", "id", call_id, "type", "function", "function",
                        "name", plain.p, plain.n, "arguments", arguments.p, arguments.n);
    fg_buffer_finish(&plain);
    return out;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_space(struct fg_str text, size_t at)
{
    while (at < text.n && is_space(text.p[at]))
        at++;
    return at;
}

static bool has(struct fg_str text, size_t at, const char *word)
{
    size_t n = strlen(word);

    return text.n - at >= n && memcmp(text.p + at, word, n) == 0;
}

/* The calls of the block whose inside begins at *at, which is moved behind its end. An answer cut
 * by a stop string or by its length may lack the closing tag. */
static bool read_block(enum fg_tool_form form, struct fg_str text, size_t *at, const char *id,
                       json_t *calls)
{
    for (;;) {
        size_t from = *at = skip_space(text, *at);
        json_t *call;

        if (from == text.n)
            return true;
        if (has(text, from, forms[form].close)) {
            *at += strlen(forms[form].close);
            return true;
        }
        if (!fg_scan_value(text, at))
            return false;
        call = read_call((struct fg_str){text.p + from, *at - from}, id, json_array_size(calls));
        if (!call || json_array_append_new(calls, call) < 0)
            return false;
    }
}

json_t *fg_tool_calls_read(enum fg_tool_form form, struct fg_str text, const char *id,
                           size_t *content_bytes)
{
    size_t start = fg_tool_calls_clear(form, text, 0), at = start, before = start;
    json_t *calls;
    bool ok = true;

    if (start == text.n)
        return NULL;
    calls = json_array();
    while (calls && ok && at < text.n) {
        ok = has(text, at, forms[form].open);
        at += strlen(forms[form].open);
        ok = ok && read_block(form, text, &at, id, calls);
        at = ok ? skip_space(text, at) : at;
    }
    if (!ok || !json_array_size(calls)) {
        json_decref(calls);
        return NULL;
    }
    while (before > 0 && is_space(text.p[before - 1]))
        before--;
    *content_bytes = before;
    return calls;
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

/* ours: a call as it was read; theirs: text of the client's JSON; `stem`: what all ids begin with.
 */
static bool same_call(const json_t *ours, struct fg_str theirs, struct fg_str stem, size_t index)
{
    const json_t *function = json_object_get(ours, "function");
    struct fg_str id, name, arguments, their_function;
    struct fg_buffer plain = {0};
    char want[96];
    bool same;

    snprintf(want, sizeof want, "%.*s%zu", (int)stem.n, stem.p, index);
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

bool fg_tool_calls_same(enum fg_tool_form form, struct fg_str text, struct fg_str content,
                        struct fg_str calls)
{
    size_t before = 0, n = 0;
    json_t *ours = fg_tool_calls_read(form, text, "", &before);
    struct fg_scan s = {.text = calls};
    struct fg_str stem = {"", 0}, words = trim((struct fg_str){text.p, before});
    bool same = ours && fg_tool_calls_id(calls, &stem) && stem.n > 1 && stem.n < 64 &&
                stem.p[stem.n - 1] == '0';

    content = trim(content);
    same = same && words.n == content.n && (!words.n || memcmp(words.p, content.p, words.n) == 0);
    stem.n -= same;
    while (same && fg_scan_next(&s)) {
        same = n < json_array_size(ours) && same_call(json_array_get(ours, n), s.value, stem, n);
        n++;
    }
    same = same && n == json_array_size(ours);
    json_decref(ours);
    return same;
}

static bool alike(const json_t *a, const json_t *b)
{
    const json_t *f = json_object_get(a, "function"), *g = json_object_get(b, "function");

    return strcmp(member(f, "name").p, member(g, "name").p) == 0 &&
           fg_scan_equal(member(f, "arguments"), member(g, "arguments"));
}

bool fg_tool_calls_alike(enum fg_tool_form form, struct fg_str a, struct fg_str b)
{
    size_t before_a = 0, before_b = 0, i;
    json_t *x = fg_tool_calls_read(form, a, "", &before_a), *call;
    json_t *y = fg_tool_calls_read(form, b, "", &before_b);
    struct fg_str u = trim((struct fg_str){a.p, before_a}),
                  v = trim((struct fg_str){b.p, before_b});
    bool same = x && y && json_array_size(x) == json_array_size(y) && u.n == v.n &&
                (!u.n || memcmp(u.p, v.p, u.n) == 0);

    json_array_foreach(x, i, call) same = same && alike(call, json_array_get(y, i));
    json_decref(x);
    json_decref(y);
    return same;
}
