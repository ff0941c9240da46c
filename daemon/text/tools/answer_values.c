/* Calls whose values stand in tags: strings as they are, what the tool says is none as JSON. */
#include <string.h>

#include "answer_state.h"
#include "tool_calls.h"

static struct fg_str view(const struct fg_buffer *b)
{
    return (struct fg_str){b->p ? b->p : "", b->n};
}

static enum fg_answer_step put(struct fg_answer_parts *p, const char *s)
{
    return fg_answer_arguments(p, s, strlen(s));
}

enum fg_answer_step fg_answer_values_begin(struct fg_answer_parts *p)
{
    fg_answer_trim(&p->name);
    p->state = FG_CALL_VALUES;
    return fg_answer_tell(p);
}

/* A byte as it stands in a string of JSON. */
static enum fg_answer_step put_escaped(struct fg_answer_parts *p, char c)
{
    static const char digits[] = "0123456789abcdef";
    char hex[] = "\\u0000", two[] = "\\?";
    unsigned char u = (unsigned char)c;
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *at = c ? strchr(from, c) : NULL;

    if (at) {
        two[1] = to[at - from];
        return put(p, two);
    }
    if (u >= 0x20)
        return fg_answer_arguments(p, &c, 1);
    hex[4] = digits[u >> 4];
    hex[5] = digits[u & 15];
    return put(p, hex);
}

/* The line ends right behind the value's tag and before its end are the form's own. */
static enum fg_answer_step text_byte(struct fg_answer_parts *p, char c)
{
    const char *text;
    int tag;

    if (p->newline && put_escaped(p, '\n') == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    p->newline = c == '\n' && !p->first;
    if (c == '\n') {
        p->first = false;
        return FG_STEP_ON;
    }
    p->first = false;
    if (!fg_answer_is_mark(c, &tag))
        return put_escaped(p, c);
    text = fg_answer_form_tag(&p->form, (size_t)tag);
    for (; text && *text; text++)
        if (put_escaped(p, *text) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
    return FG_STEP_ON;
}

static struct fg_str without_blanks(struct fg_str s)
{
    while (s.n && fg_answer_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && fg_answer_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

/* Whether the text is that word, as Python prints it. */
static bool is_word(struct fg_str s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static enum fg_answer_step put_string(struct fg_answer_parts *p, struct fg_str s)
{
    if (put(p, "\"") == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    for (size_t i = 0; i < s.n; i++)
        if (put_escaped(p, s.p[i]) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
    return put(p, "\"");
}

/* What is no JSON, though the tool says so, is the string that it is. */
static enum fg_answer_step put_json(struct fg_answer_parts *p)
{
    struct fg_str text = without_blanks(view(&p->word)), value;

    if (is_word(text, "True"))
        return put(p, "true");
    if (is_word(text, "False"))
        return put(p, "false");
    if (is_word(text, "None"))
        return put(p, "null");
    if (!text.n || !fg_scan_whole(text, &value))
        return put_string(p, text);
    for (size_t i = 0; i < value.n; i++)
        p->containers += value.p[i] == '[' || value.p[i] == '{';
    return fg_answer_arguments(p, value.p, value.n);
}

static enum fg_answer_step json_byte(struct fg_answer_parts *p, char c)
{
    int tag;

    if (fg_answer_is_mark(c, &tag))
        return FG_STEP_FAIL;
    return fg_answer_keep(p, &p->word, &c, 1, FG_ARGUMENTS_MAX_BYTES) ? FG_STEP_ON : FG_STEP_FAIL;
}

static enum fg_answer_step end_value(struct fg_answer_parts *p)
{
    enum fg_answer_step step = p->state == FG_CALL_TEXT_VALUE ? put(p, "\"") : put_json(p);

    p->state = FG_CALL_VALUES;
    return step;
}

static enum fg_answer_step key_byte(struct fg_answer_parts *p, char c)
{
    struct fg_str key;
    bool json;
    int tag;

    if (fg_answer_is_mark(c, &tag))
        return FG_STEP_FAIL;
    if (c != '>')
        return fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME) ? FG_STEP_ON : FG_STEP_FAIL;
    fg_answer_trim(&p->word);
    key = view(&p->word);
    if (put(p, p->argument_bytes ? ", " : "{") == FG_STEP_FAIL ||
        put_string(p, key) == FG_STEP_FAIL || put(p, ": ") == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    json = fg_tool_schemas_json(p->form.schemas, view(&p->name), key);
    p->state = json ? FG_CALL_JSON_VALUE : FG_CALL_TEXT_VALUE;
    fg_buffer_clear(&p->word);
    p->newline = false;
    p->first = true;
    return json ? FG_STEP_ON : put(p, "\"");
}

static enum fg_answer_step end_function(struct fg_answer_parts *p)
{
    if (p->argument_bytes && put(p, "}") == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    return fg_answer_end_call(p);
}

static enum fg_answer_step take_tag(struct fg_answer_parts *p, int tag)
{
    if (tag == FG_TAG_VALUE_END)
        return end_value(p);
    if (tag == FG_TAG_VALUE) {
        fg_buffer_clear(&p->word);
        p->state = FG_CALL_KEY;
        return FG_STEP_ON;
    }
    if (end_function(p) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (tag == FG_TAG_CLOSE) { /* without the function's own end */
        p->mode = FG_IN_TEXT;
        p->strip = true;
    }
    return FG_STEP_ON;
}

static enum fg_answer_step value_byte(struct fg_answer_parts *p, char c)
{
    switch (p->state) {
    case FG_CALL_VALUES: return fg_answer_blank(c) ? FG_STEP_ON : FG_STEP_FAIL;
    case FG_CALL_KEY: return key_byte(p, c);
    case FG_CALL_TEXT_VALUE: return text_byte(p, c);
    default: return json_byte(p, c);
    }
}

enum fg_answer_step fg_answer_values_step(struct fg_answer_parts *p, char c)
{
    unsigned tags = fg_answer_bit(FG_TAG_VALUE_END);

    if (p->state == FG_CALL_KEY)
        return key_byte(p, c);
    if (p->state == FG_CALL_VALUES)
        tags = fg_answer_bit(FG_TAG_VALUE) | fg_answer_bit(FG_TAG_CALL_END) |
               fg_answer_bit(FG_TAG_CLOSE);
    p->look[p->n_look++] = c;
    while (p->n_look) {
        size_t n;
        int tag = fg_answer_match(p, tags, &n);

        if (tag == FG_LOOK_MORE)
            return FG_STEP_ON;
        if (tag != FG_LOOK_NONE) {
            p->n_look = 0;
            return take_tag(p, tag);
        }
        c = p->look[0];
        p->n_look--;
        memmove(p->look, p->look + 1, p->n_look);
        if (value_byte(p, c) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
    }
    return FG_STEP_ON;
}
