/* Calls as Python writes them: f(a=1, b='x'). What the arguments come to in JSON goes through
 * the same checks as JSON that a model writes. */
#include <string.h>

#include "answer_state.h"
#include "tool_calls.h"

bool fg_answer_in_name(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '+';
}

/* Bytes of the arguments, as JSON. */
static enum fg_answer_step put(struct fg_answer_parts *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fg_json_step(&p->json, s[i]) == FG_JSON_BAD)
            return FG_STEP_FAIL;
    return fg_answer_arguments(p, s, n);
}

static enum fg_answer_step put_text(struct fg_answer_parts *p, const char *s)
{
    return put(p, s, strlen(s));
}

enum fg_answer_step fg_answer_python_begin(struct fg_answer_parts *p)
{
    struct fg_str name = {p->name.p, p->name.n};

    if (!name.n || !fg_tool_schemas_has(p->form.schemas, name))
        return FG_STEP_FAIL;
    p->state = FG_CALL_PYTHON_KEY;
    fg_buffer_clear(&p->word);
    return FG_STEP_ON;
}

static enum fg_answer_step end_call(struct fg_answer_parts *p)
{
    if (p->argument_bytes && put_text(p, "}") == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    return fg_answer_end_call(p);
}

/* KEY=, of which the first one makes it a call. */
static enum fg_answer_step key_step(struct fg_answer_parts *p, char c)
{
    if (c == ')' && !p->word.n)
        return end_call(p);
    if (c != '=') {
        if (fg_answer_blank(c))
            return FG_STEP_ON;
        return fg_answer_in_name(c) && fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME)
                   ? FG_STEP_ON
                   : FG_STEP_FAIL;
    }
    if (!p->word.n || (!p->told && fg_answer_tell(p) == FG_STEP_FAIL) ||
        put_text(p, p->argument_bytes ? ", \"" : "{\"") == FG_STEP_FAIL ||
        put(p, p->word.p, p->word.n) == FG_STEP_FAIL || put_text(p, "\": ") == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    fg_buffer_clear(&p->word);
    p->state = FG_CALL_PYTHON_VALUE;
    return FG_STEP_ON;
}

static enum fg_answer_step begin_string(struct fg_answer_parts *p, char c)
{
    p->quote = c;
    p->state = FG_CALL_PYTHON_STRING;
    return put_text(p, "\"");
}

/* Inside of a value, or between two: what JSON has as well, and tuples. */
static enum fg_answer_step value_step(struct fg_answer_parts *p, char c)
{
    bool outside = p->json.depth == 1;

    if (fg_answer_blank(c))
        return FG_STEP_ON;
    if (outside && p->json.state == FG_JSON_AFTER) {
        if (c == ')')
            return end_call(p);
        p->state = FG_CALL_PYTHON_KEY;
        return c == ',' ? FG_STEP_ON : FG_STEP_FAIL;
    }
    if (c == '"' || c == '\'')
        return begin_string(p, c);
    if (fg_answer_in_name(c)) {
        p->state = FG_CALL_PYTHON_WORD;
        return FG_STEP_BACK;
    }
    if (outside && (c == '}' || c == ']' || c == ')'))
        return FG_STEP_FAIL;
    if (c == '(' || c == ')')
        c = c == '(' ? '[' : ']';
    if (!strchr("[]{},:", c))
        return FG_STEP_FAIL;
    return put(p, &c, 1);
}

/* A number, or a word. */
static enum fg_answer_step word_step(struct fg_answer_parts *p, char c)
{
    static const struct {
        const char *python, *json;
    } words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
    enum fg_answer_step step;

    if (fg_answer_in_name(c))
        return fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME) ? FG_STEP_ON : FG_STEP_FAIL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (p->word.n == strlen(words[i].python) &&
            memcmp(p->word.p, words[i].python, p->word.n) == 0) {
            fg_buffer_clear(&p->word);
            fg_buffer_str(&p->word, words[i].json);
        }
    step = put(p, p->word.p, p->word.n);
    /* A number ends with the byte behind it, which a blank is as well. */
    if (step == FG_STEP_ON && p->json.state != FG_JSON_AFTER &&
        fg_json_step(&p->json, ' ') == FG_JSON_BAD)
        step = FG_STEP_FAIL;
    fg_buffer_clear(&p->word);
    p->state = FG_CALL_PYTHON_VALUE;
    return step == FG_STEP_ON ? FG_STEP_BACK : step;
}

static enum fg_answer_step string_step(struct fg_answer_parts *p, char c)
{
    static const char from[] = "\n\r\t\b\f\"";
    static const char *const to[] = {"\\n", "\\r", "\\t", "\\b", "\\f", "\\\""};
    const char *at;
    int tag;

    if (c == p->quote) {
        p->state = FG_CALL_PYTHON_VALUE;
        return put_text(p, "\"");
    }
    if (c == '\\') {
        p->state = FG_CALL_PYTHON_ESCAPE;
        p->hex = 0;
        return FG_STEP_ON;
    }
    at = c ? strchr(from, c) : NULL;
    if (at)
        return put_text(p, to[at - from]);
    return fg_answer_is_mark(c, &tag) ? FG_STEP_FAIL : put(p, &c, 1);
}

/* \xHH and \uHHHH, of which the digits are counted down. */
static enum fg_answer_step hex_step(struct fg_answer_parts *p, char c)
{
    if (put(p, &c, 1) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (--p->hex == 0)
        p->state = FG_CALL_PYTHON_STRING;
    return FG_STEP_ON;
}

static enum fg_answer_step escape_step(struct fg_answer_parts *p, char c)
{
    char two[] = {'\\', c};

    if (p->hex)
        return hex_step(p, c);
    if (c == 'u' || c == 'x') {
        p->hex = c == 'u' ? 4 : 2;
        return put_text(p, c == 'u' ? "\\u" : "\\u00");
    }
    p->state = FG_CALL_PYTHON_STRING;
    if (c == '\'')
        return put(p, &c, 1);
    if (c == '\n') /* the line goes on */
        return FG_STEP_ON;
    if (c && strchr("\"\\/bfnrt", c))
        return put(p, two, 2);
    /* Python keeps what is no escape as it is. */
    return put_text(p, "\\\\") == FG_STEP_FAIL ? FG_STEP_FAIL : FG_STEP_BACK;
}

enum fg_answer_step fg_answer_python_step(struct fg_answer_parts *p, char c)
{
    switch (p->state) {
    case FG_CALL_PYTHON_KEY: return key_step(p, c);
    case FG_CALL_PYTHON_VALUE: return value_step(p, c);
    case FG_CALL_PYTHON_WORD: return word_step(p, c);
    case FG_CALL_PYTHON_STRING: return string_step(p, c);
    case FG_CALL_PYTHON_ESCAPE: return escape_step(p, c);
    default: return FG_STEP_FAIL;
    }
}
