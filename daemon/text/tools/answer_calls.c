/* Blocks of calls: where one begins and ends, calls that are JSON objects, and names before JSON.
 */
#include <stdio.h>
#include <string.h>

#include "answer_state.h"
#include "tool_calls.h"

void fg_answer_new_call(struct fg_answer_parts *p)
{
    fg_buffer_clear(&p->held);
    fg_buffer_clear(&p->name);
    fg_buffer_clear(&p->word);
    fg_buffer_clear(&p->late);
    p->json = (struct fg_json_steps){.state = FG_JSON_VALUE};
    p->member = FG_MEMBER_OTHER;
    p->has_name = p->has_arguments = p->told = false;
    p->argument_bytes = p->containers = 0;
    p->state = FG_CALL_BETWEEN;
}

void fg_answer_open_calls(struct fg_answer_parts *p, int tag)
{
    const char *text = tag >= 0 ? fg_answer_form_tag(&p->form, (size_t)tag) : "";

    p->mode = FG_IN_CALLS;
    p->n_in_block = 0;
    p->bare = tag < 0 || p->form.tools == FG_TOOLS_GEMMA;
    p->list = p->list_ended = false;
    fg_answer_new_call(p);
    fg_buffer_str(&p->held, text);
    p->nomem = p->nomem || p->held.failed;
    if (tag == FG_TAG_CALL)
        p->state = FG_CALL_NAME;
    else if (p->form.tools == FG_TOOLS_GEMMA && tag == FG_TAG_OPEN)
        p->state = FG_CALL_FENCE;
}

/* --- telling of a call --- */

/* Nine letters and digits, as Mistral's templates want them: eight of the answer, one of the call.
 */
static void short_id(const char *prefix, size_t call, char *out, size_t size)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *prefix; prefix++)
        hash = (hash ^ (unsigned char)*prefix) * 0x100000001b3u;
    hash = (hash ^ call / 62) * 0x100000001b3u;
    for (size_t i = 0; i < 8 && i + 1 < size; i++, hash /= 62)
        out[i] = digits[hash % 62];
    snprintf(out + 8, size - 8, "%c", digits[call % 62]);
}

void fg_tool_call_id(enum fg_tool_form form, const char *prefix, size_t call, char out[FG_TOOL_ID])
{
    if (form == FG_TOOLS_MISTRAL)
        short_id(prefix, call, out, FG_TOOL_ID);
    else
        snprintf(out, FG_TOOL_ID, "call_%.48s_%zu", prefix, call);
}

/* Control tokens are no part of names and arguments. */
static bool has_mark(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= FG_FIRST_MARK)
            return true;
    return false;
}

enum fg_answer_step fg_answer_tell(struct fg_answer_parts *p)
{
    struct fg_str name = {p->name.p, p->name.n};
    struct fg_answer_event e = {.part = FG_ANSWER_CALL, .call = p->n_calls, .text = name};
    char id[FG_TOOL_ID];

    if (!name.n || memchr(name.p, '\0', name.n) || has_mark(name.p, name.n))
        return FG_STEP_FAIL;
    if (p->bare && !fg_tool_schemas_has(p->form.schemas, name))
        return FG_STEP_FAIL;
    fg_tool_call_id(p->form.tools, p->prefix, p->n_calls, id);
    e.id = id;
    fg_answer_flush(p);
    fg_answer_turn(p);
    if (!p->nomem)
        p->fn(p->ctx, &e);
    p->told = true;
    fg_buffer_clear(&p->held);
    if (p->late.n)
        fg_answer_put(p, FG_ANSWER_ARGUMENTS, p->late.p, p->late.n);
    return FG_STEP_ON;
}

enum fg_answer_step fg_answer_arguments(struct fg_answer_parts *p, const char *s, size_t n)
{
    p->argument_bytes += n;
    if (has_mark(s, n) || p->argument_bytes > FG_ARGUMENTS_MAX_BYTES ||
        p->containers + p->json.containers > FG_ARGUMENTS_MAX_CONTAINERS)
        return FG_STEP_FAIL;
    if (!p->told)
        return fg_answer_keep(p, &p->late, s, n, FG_ARGUMENTS_MAX_BYTES) ? FG_STEP_ON
                                                                         : FG_STEP_FAIL;
    fg_answer_put(p, FG_ANSWER_ARGUMENTS, s, n);
    return FG_STEP_ON;
}

enum fg_answer_step fg_answer_end_call(struct fg_answer_parts *p)
{
    if (!p->told && fg_answer_tell(p) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (!p->argument_bytes)
        fg_answer_put(p, FG_ANSWER_ARGUMENTS, "{}", 2);
    fg_answer_flush(p);
    p->fn(p->ctx, &(struct fg_answer_event){.part = FG_ANSWER_CALL_END, .call = p->n_calls});
    p->n_calls++;
    p->n_in_block++;
    fg_answer_new_call(p);
    return FG_STEP_ON;
}

/* --- {"name": ..., "arguments": {...}} --- */

static enum fg_answer_step begin_member(struct fg_answer_parts *p, char c)
{
    struct fg_str key = {p->word.p, p->word.n};

    if (fg_scan_is(key, "name")) {
        p->member = FG_MEMBER_NAME;
        if (p->has_name || c != '"')
            return FG_STEP_FAIL;
        fg_buffer_clear(&p->word);
    } else if (fg_scan_is(key, "arguments") || fg_scan_is(key, "parameters")) {
        p->member = FG_MEMBER_ARGUMENTS;
        if (p->has_arguments || c != '{')
            return FG_STEP_FAIL;
        p->has_arguments = true;
        p->containers = 0;
        if (p->has_name)
            return fg_answer_tell(p);
    } else {
        p->member = FG_MEMBER_OTHER;
        /* An answer that is JSON for other ends. */
        if (p->bare && !fg_scan_is(key, "type") && !fg_scan_is(key, "id"))
            return FG_STEP_FAIL;
    }
    return FG_STEP_ON;
}

static enum fg_answer_step read_name(struct fg_answer_parts *p)
{
    fg_scan_string((struct fg_str){p->word.p, p->word.n}, &p->name);
    p->nomem = p->nomem || p->name.failed;
    p->has_name = true;
    if (!p->name.n || memchr(p->name.p, '\0', p->name.n))
        return FG_STEP_FAIL;
    return p->has_arguments ? fg_answer_tell(p) : FG_STEP_ON;
}

/* What a byte of the object is part of, at the object's own level. */
static enum fg_answer_step take_member(struct fg_answer_parts *p, enum fg_json_state was, char c)
{
    struct fg_json_steps *j = &p->json;
    bool in_word = was == FG_JSON_STRING || was == FG_JSON_ESCAPE || was == FG_JSON_HEX;
    bool kept = true;

    if (was == FG_JSON_VALUE && j->depth <= 2 && !fg_answer_blank(c)) {
        if (begin_member(p, c) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
    } else if (was == FG_JSON_NAME || was == FG_JSON_NAME_OR_END) {
        fg_buffer_clear(&p->word);
        if (!fg_answer_blank(c))
            kept = fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME);
        return kept ? FG_STEP_ON : FG_STEP_FAIL;
    }
    if (in_word && j->in_name) {
        kept = fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME);
    } else if (p->member == FG_MEMBER_NAME && !p->has_name) {
        kept = fg_answer_keep(p, &p->word, &c, 1, FG_ANSWER_MAX_NAME);
        if (kept && j->state == FG_JSON_AFTER)
            return read_name(p);
    }
    return kept ? FG_STEP_ON : FG_STEP_FAIL;
}

static enum fg_answer_step object_step(struct fg_answer_parts *p, char c)
{
    struct fg_json_steps *j = &p->json;
    enum fg_json_state was = j->state;
    uint32_t depth = j->depth;
    enum fg_json_step step = fg_json_step(j, c);
    int tag;

    if (step == FG_JSON_BAD || fg_answer_is_mark(c, &tag) ||
        j->containers > FG_ARGUMENTS_MAX_CONTAINERS)
        return FG_STEP_FAIL;
    if (step == FG_JSON_DONE)
        return p->has_name ? fg_answer_end_call(p) : FG_STEP_FAIL;
    if (depth == 1 && take_member(p, was, c) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (p->member == FG_MEMBER_ARGUMENTS && (depth > 1 || j->depth > 1))
        return fg_answer_arguments(p, &c, 1);
    return FG_STEP_ON;
}

/* --- a name, then JSON --- */

void fg_answer_trim(struct fg_buffer *b)
{
    size_t from = 0;

    while (b->n && (fg_answer_blank(b->p[b->n - 1]) || b->p[b->n - 1] == '"'))
        b->n--;
    while (from < b->n && (fg_answer_blank(b->p[from]) || b->p[from] == '"'))
        from++;
    if (from)
        memmove(b->p, b->p + from, b->n - from);
    b->n -= from;
}

static bool is_name(struct fg_answer_parts *p, const char *name)
{
    return p->name.n == strlen(name) && memcmp(p->name.p, name, p->name.n) == 0;
}

/* The end of a name: by a tag, or by a byte of what follows. */
static enum fg_answer_step end_name(struct fg_answer_parts *p, enum fg_call_state next)
{
    fg_answer_trim(&p->name);
    if (p->form.tools == FG_TOOLS_DEEPSEEK && is_name(p, "function")) {
        fg_buffer_clear(&p->name);
        p->state = FG_CALL_NAME_LINE;
        return FG_STEP_ON;
    }
    p->state = next;
    return p->name.n ? FG_STEP_ON : FG_STEP_FAIL;
}

static enum fg_answer_step keep_name(struct fg_answer_parts *p, char c)
{
    int tag;

    if (fg_answer_is_mark(c, &tag))
        return FG_STEP_FAIL;
    return fg_answer_keep(p, &p->name, &c, 1, FG_ANSWER_MAX_NAME) ? FG_STEP_ON : FG_STEP_FAIL;
}

static enum fg_answer_step name_byte(struct fg_answer_parts *p, char c)
{
    bool values = fg_answer_form_tag(&p->form, FG_TAG_VALUE) != NULL;

    if (values && c == '>')
        return fg_answer_values_begin(p);
    if (p->form.tools == FG_TOOLS_MISTRAL && c == '{') {
        if (end_name(p, FG_CALL_BEFORE_JSON) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
        return FG_STEP_BACK;
    }
    if (p->form.tools == FG_TOOLS_LFM2 || p->form.tools == FG_TOOLS_GEMMA) {
        if (c == '(')
            return fg_answer_python_begin(p);
        if (!fg_answer_in_name(c))
            return FG_STEP_FAIL;
    }
    return keep_name(p, c);
}

/* A tag that ends the name, or the id behind it. */
static enum fg_answer_step name_tag(struct fg_answer_parts *p, int tag)
{
    p->n_look = 0;
    if (p->state == FG_CALL_NAME)
        return end_name(p, tag == FG_TAG_ID ? FG_CALL_ID : FG_CALL_BEFORE_JSON);
    p->state = tag == FG_TAG_ID ? FG_CALL_ID : FG_CALL_BEFORE_JSON;
    return FG_STEP_ON;
}

static enum fg_answer_step name_step(struct fg_answer_parts *p, char c)
{
    unsigned tags = fg_answer_bit(FG_TAG_ARGUMENTS) | fg_answer_bit(FG_TAG_ID);

    p->look[p->n_look++] = c;
    while (p->n_look) {
        size_t n;
        int tag = fg_answer_match(p, tags, &n);
        enum fg_answer_step step;

        if (tag == FG_LOOK_MORE)
            return FG_STEP_ON;
        if (tag != FG_LOOK_NONE)
            return name_tag(p, tag);
        c = p->look[0];
        p->n_look--;
        memmove(p->look, p->look + 1, p->n_look);
        if (p->state == FG_CALL_ID)
            continue;
        step = name_byte(p, c); /* what ends a name is no part of a tag: nothing is looked at */
        if (step != FG_STEP_ON || p->state != FG_CALL_NAME)
            return step;
    }
    return FG_STEP_ON;
}

enum fg_answer_step fg_answer_json_step(struct fg_answer_parts *p, char c)
{
    enum fg_json_step step = fg_json_step(&p->json, c);
    int tag;

    if (step == FG_JSON_BAD || fg_answer_is_mark(c, &tag) ||
        fg_answer_arguments(p, &c, 1) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (step == FG_JSON_MORE)
        return FG_STEP_ON;
    if (fg_answer_end_call(p) == FG_STEP_FAIL)
        return FG_STEP_FAIL;
    if (p->form.tools == FG_TOOLS_DEEPSEEK)
        p->state = FG_CALL_TAIL;
    return FG_STEP_ON;
}

/* Behind a name: the fence that some models write, then an object. */
static enum fg_answer_step before_json_step(struct fg_answer_parts *p, char c)
{
    static const char fence[] = "```json";

    if (c == '{') {
        if (fg_answer_tell(p) == FG_STEP_FAIL)
            return FG_STEP_FAIL;
        p->state = FG_CALL_JSON;
        return FG_STEP_BACK;
    }
    if (fg_answer_blank(c))
        return FG_STEP_ON;
    if (p->form.tools != FG_TOOLS_DEEPSEEK || p->word.n >= strlen(fence) || c != fence[p->word.n])
        return FG_STEP_FAIL;
    return fg_answer_keep(p, &p->word, &c, 1, sizeof fence) ? FG_STEP_ON : FG_STEP_FAIL;
}

static enum fg_answer_step name_line_step(struct fg_answer_parts *p, char c)
{
    if (c != '\n')
        return keep_name(p, c);
    fg_answer_trim(&p->name);
    p->state = FG_CALL_BEFORE_JSON;
    return p->name.n ? FG_STEP_ON : FG_STEP_FAIL;
}

/* --- between calls --- */

static void end_block(struct fg_answer_parts *p)
{
    bool none = p->n_in_block == 0;

    p->mode = FG_IN_TEXT;
    if (none) /* tags around nothing */
        for (size_t i = 0; i < p->held.n; i++)
            fg_answer_say_any(p, FG_ANSWER_TEXT, p->held.p[i]);
    else
        p->strip = true;
    fg_buffer_clear(&p->held);
}

static enum fg_answer_step take_tag(struct fg_answer_parts *p, int tag)
{
    switch (tag) {
    case FG_TAG_CLOSE:
        if (p->list && !p->list_ended)
            return FG_STEP_FAIL;
        end_block(p);
        return FG_STEP_ON;
    case FG_TAG_CALL: p->state = FG_CALL_NAME; return FG_STEP_ON;
    case FG_TAG_OPEN:
        if (p->n_in_block == 0)
            return FG_STEP_FAIL;
        p->list = p->list_ended = false;
        return FG_STEP_ON;
    default: return FG_STEP_ON; /* the end of a call */
    }
}

static bool may_be_list(const struct fg_answer_parts *p)
{
    enum fg_tool_form f = p->form.tools;

    return f == FG_TOOLS_MISTRAL || f == FG_TOOLS_LFM2 || f == FG_TOOLS_GEMMA ||
           f == FG_TOOLS_LLAMA3;
}

static bool begins_name(const struct fg_answer_parts *p, char c)
{
    enum fg_tool_form f = p->form.tools;

    return (f == FG_TOOLS_MISTRAL || f == FG_TOOLS_LFM2 || f == FG_TOOLS_GEMMA) &&
           (((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_');
}

static enum fg_answer_step between_byte(struct fg_answer_parts *p, char c)
{
    bool closed = p->list && p->list_ended, lists = may_be_list(p);

    if (fg_answer_blank(c))
        return FG_STEP_ON;
    if (lists && c == '[' && !p->list && p->n_in_block == 0) {
        p->list = true;
        return FG_STEP_ON;
    }
    if (p->list && c == ']' && !closed) {
        p->list_ended = true;
        return FG_STEP_ON;
    }
    if (p->n_in_block && !closed && (c == ',' || (p->form.tools == FG_TOOLS_LLAMA3 && c == ';')))
        return FG_STEP_ON;
    if (closed)
        return FG_STEP_FAIL;
    if (c == '{') {
        p->state = FG_CALL_OBJECT;
        return object_step(p, c);
    }
    if (!begins_name(p, c))
        return FG_STEP_FAIL;
    p->state = FG_CALL_NAME;
    return keep_name(p, c);
}

static enum fg_answer_step between_step(struct fg_answer_parts *p, char c)
{
    unsigned tags = fg_answer_bit(FG_TAG_OPEN) | fg_answer_bit(FG_TAG_CLOSE) |
                    fg_answer_bit(FG_TAG_CALL) | fg_answer_bit(FG_TAG_CALL_END);
    size_t n;
    int tag;

    if (p->form.tools == FG_TOOLS_GEMMA)
        tags &= ~fg_answer_bit(FG_TAG_OPEN);
    p->look[p->n_look++] = c;
    tag = fg_answer_match(p, tags, &n);
    if (tag == FG_LOOK_MORE)
        return FG_STEP_ON;
    if (tag == FG_LOOK_NONE && p->n_look > 1) {
        /* A list may begin like a tag. */
        bool list = p->look[0] == '[' && may_be_list(p) && !p->list && p->n_in_block == 0;
        char again[FG_ANSWER_MAX_TAG];

        if (!list)
            return FG_STEP_FAIL;
        n = p->n_look - 1;
        memcpy(again, p->look + 1, n);
        p->n_look = 0;
        p->list = true;
        for (size_t i = 0; i < n; i++)
            if (fg_answer_calls_step(p, again[i]) == FG_STEP_FAIL)
                return FG_STEP_FAIL;
        return FG_STEP_ON;
    }
    p->n_look = 0;
    return tag == FG_LOOK_NONE ? between_byte(p, c) : take_tag(p, tag);
}

/* Between a call's arguments and its end: what closes the fence. */
static enum fg_answer_step tail_step(struct fg_answer_parts *p, char c)
{
    if (fg_answer_blank(c) || c == '`')
        return FG_STEP_ON;
    p->state = FG_CALL_BETWEEN;
    return FG_STEP_BACK;
}

/* Only what is known to be of calls is read as such. */
static enum fg_answer_step fence_step(struct fg_answer_parts *p, char c)
{
    static const char *const known[] = {"",           "tool_code", "tool_call",
                                        "tool_calls", "json",      "python"};

    if (((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_')
        return fg_answer_keep(p, &p->word, &c, 1, 16) ? FG_STEP_ON : FG_STEP_FAIL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (p->word.n == strlen(known[i]) &&
            (!p->word.n || memcmp(p->word.p, known[i], p->word.n) == 0)) {
            p->state = FG_CALL_BETWEEN;
            fg_buffer_clear(&p->word);
            return FG_STEP_BACK;
        }
    return FG_STEP_FAIL;
}

/* A control token inside of a string is its text there. */
static enum fg_answer_step mark_step(struct fg_answer_parts *p, int tag)
{
    const char *text = fg_answer_form_tag(&p->form, (size_t)tag);
    enum fg_answer_step step = text ? FG_STEP_ON : FG_STEP_FAIL;

    for (; step == FG_STEP_ON && *text; text++)
        step = fg_answer_calls_step(p, *text);
    return step;
}

static bool in_string(const struct fg_answer_parts *p)
{
    return p->state == FG_CALL_PYTHON_STRING ||
           ((p->state == FG_CALL_OBJECT || p->state == FG_CALL_JSON) &&
            p->json.state == FG_JSON_STRING);
}

enum fg_answer_step fg_answer_calls_step(struct fg_answer_parts *p, char c)
{
    int tag;

    if (in_string(p) && fg_answer_is_mark(c, &tag))
        return mark_step(p, tag);
    switch (p->state) {
    case FG_CALL_BETWEEN: return between_step(p, c);
    case FG_CALL_FENCE: return fence_step(p, c);
    case FG_CALL_OBJECT: return object_step(p, c);
    case FG_CALL_NAME:
    case FG_CALL_ID: return name_step(p, c);
    case FG_CALL_NAME_LINE: return name_line_step(p, c);
    case FG_CALL_BEFORE_JSON: return before_json_step(p, c);
    case FG_CALL_JSON: return fg_answer_json_step(p, c);
    case FG_CALL_TAIL: return tail_step(p, c);
    case FG_CALL_VALUES:
    case FG_CALL_KEY:
    case FG_CALL_TEXT_VALUE:
    case FG_CALL_JSON_VALUE: return fg_answer_values_step(p, c);
    default: return fg_answer_python_step(p, c);
    }
}
