#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "calls_parts.h"
#include "json_schema_parts.h"
#include "text/tools/answer_tags.h"
#include "until.h"

enum { MAX_NAME = 80 /* bytes of a tool's */ };

/* A tool that may be called: its name, and its arguments as the form writes them. */
struct tool {
    struct fg_str name;
    fg_expr arguments;
};

struct reader {
    struct fg_exprs *x;
    const struct fg_turn *turn;
    struct tool *tools;
    size_t n;
    bool many;
    fg_expr any_text;   /* of a value in tags, and the tag behind it; made once */
    fg_expr any_object; /* of JSON; FG_EXPR_NEVER: not made yet */
    struct fg_err *err;
};

/* --- the tools --- */

static int make_any_text(struct reader *r)
{
    char mark[1];
    struct fg_until u = {.n = 1};
    uint32_t rule = fg_expr_new_rule(r->x);

    u.ends[0].word = fg_turn_tag(r->turn, FG_TAG_VALUE_END, mark);
    u.ends[0].then = FG_EXPR_EMPTY;
    r->any_text = fg_expr_rule(r->x, rule);
    return fg_expr_until(r->x, rule, &u, r->err);
}

static int read_arguments(struct reader *r, const json_t *parameters, fg_expr *out,
                          struct fg_err *err)
{
    const struct fg_call_writing *w = fg_call_writing(r->turn->form, NULL);
    struct fg_call_values values = {r->turn, w, r->any_text};
    json_t *any;
    int rc;

    if (w->value)
        return fg_call_values_read(r->x, &values, parameters, out, err);
    if (parameters)
        return fg_json_schema_read(r->x, parameters, out, err);
    *out = r->any_object;
    if (*out != FG_EXPR_NEVER)
        return 0;
    any = json_pack("{s:s}", "type", "object");
    rc = any ? fg_json_schema_read(r->x, any, out, err) : FG_ENOMEM;
    json_decref(any);
    r->any_object = *out;
    return rc;
}

/* Names that the reader of answers takes. One that is no string of JSON ends with what follows it;
 * DeepSeek's may stand behind the word `function`. */
static bool is_name(const struct fg_answer_form *form, struct fg_str name)
{
    if (name.n > MAX_NAME || memchr(name.p, '\0', name.n))
        return false;
    if (fg_call_writing(form, NULL)->quoted)
        return true;
    if (form->tools == FG_TOOLS_DEEPSEEK && name.n == 8 && memcmp(name.p, "function", 8) == 0)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');

        if (!letter && !memchr("_-.:/", c, 5))
            return false;
    }
    return true;
}

/* guarded: only a tool that is `strict` has a schema. */
static int read_tool(struct reader *r, const json_t *function, bool guarded)
{
    const json_t *parameters = json_object_get(function, "parameters");
    const json_t *name = json_object_get(function, "name");
    bool strict = !guarded || json_is_true(json_object_get(function, "strict"));
    struct tool *tool = &r->tools[r->n];
    struct fg_err why = {0};
    uint32_t rule;
    int rc;

    if (!json_string_length(name))
        return fg_fail(r->err, FG_EINVAL, "a tool has no name");
    tool->name = (struct fg_str){json_string_value(name), json_string_length(name)};
    if (!is_name(r->turn->form, tool->name))
        return fg_fail(r->err, FG_EUNSUPPORTED,
                       "tool \"%.64s\": such a name is not done in this form of calls",
                       tool->name.p);
    if (!strict || !json_is_object(parameters) || !json_object_size(parameters))
        parameters = NULL;
    rc = read_arguments(r, parameters, &tool->arguments, &why);
    if (rc)
        return fg_fail(r->err, rc, "tool \"%.64s\": %.380s", tool->name.p, why.text);
    rule = fg_expr_new_rule(r->x); /* each way of writing the call has them */
    fg_expr_set_rule(r->x, rule, tool->arguments);
    tool->arguments = fg_expr_rule(r->x, rule);
    r->n++;
    return 0;
}

static int read_tools(struct reader *r, const json_t *calls, bool guarded)
{
    const json_t *name = json_object_get(calls, "name"), *tools = json_object_get(calls, "tools");
    const struct fg_call_writing *w = fg_call_writing(r->turn->form, NULL);
    int rc = w && w->value ? make_any_text(r) : 0;

    r->many = json_is_true(json_object_get(calls, "many"));
    r->tools = calloc(json_array_size(tools) + 1, sizeof *r->tools);
    if (!r->tools)
        return fg_fail(r->err, FG_ENOMEM, "no memory for tools");
    for (size_t i = 0; rc == 0 && i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");

        if (!json_is_string(name) || json_equal(name, json_object_get(function, "name")))
            rc = read_tool(r, function, guarded);
    }
    if (rc == 0 && !r->n)
        rc = fg_fail(r->err, FG_EINVAL, "tool_choice: there is no such tool");
    return rc;
}

/* --- calls --- */

static fg_expr text(struct reader *r, const char *s)
{
    return fg_turn_text(r->x, r->turn, s);
}

/* A call of any of the tools, behind what stands before the name. */
static fg_expr one_call(struct reader *r, const struct fg_call_writing *w)
{
    uint32_t rule = fg_expr_new_rule(r->x);
    fg_expr all = FG_EXPR_NEVER;

    for (size_t i = 0; i < r->n; i++) {
        fg_expr e = w->quoted ? fg_schema_text(r->x, r->tools[i].name)
                              : fg_expr_text(r->x, r->tools[i].name);

        e = fg_expr_seq(r->x, e, text(r, w->name_end));
        all = fg_expr_alt(r->x, all, fg_expr_seq(r->x, e, r->tools[i].arguments));
    }
    fg_expr_set_rule(r->x, rule, fg_expr_seq(r->x, all, text(r, w->behind)));
    return fg_expr_rule(r->x, rule);
}

/* One call, or many, as `w` writes them. opened: the tag that they begin with was there. */
static fg_expr all_calls(struct reader *r, const struct fg_call_writing *w, bool many, bool opened)
{
    fg_expr call = one_call(r, w), more, all;
    const char *begin = w->begin, *before = w->before;

    if (opened && *begin)
        begin++;
    else if (opened && *before == '\1')
        before++;
    all = fg_expr_seq(r->x, text(r, begin), fg_expr_seq(r->x, text(r, before), call));
    if (many && w->between) {
        more = fg_expr_seq(r->x, text(r, w->between), fg_expr_seq(r->x, text(r, w->before), call));
        all = fg_expr_seq(r->x, all, fg_expr_repeat(r->x, more, 0, FG_CALLS_MOST - 1));
    }
    return fg_expr_seq(r->x, all, text(r, w->end));
}

static fg_expr any_calls(struct reader *r, bool many, bool opened)
{
    const struct fg_answer_form *form = r->turn->form;
    fg_expr all = FG_EXPR_NEVER;

    for (const struct fg_call_writing *w = NULL; (w = fg_call_writing(form, w)) != NULL;)
        all = fg_expr_alt(r->x, all, all_calls(r, w, many, opened));
    return all;
}

static bool is_known(const struct fg_turn *turn)
{
    return fg_call_writing(turn->form, NULL) &&
           (turn->form->tools != FG_TOOLS_HARMONY || fg_turn_is_harmony(turn));
}

int fg_calls_read(struct fg_exprs *x, const struct fg_turn *turn, const json_t *calls, fg_expr *out,
                  struct fg_err *err)
{
    struct reader r = {.x = x, .turn = turn, .err = err};
    fg_expr thought;
    int rc;

    *out = FG_EXPR_NEVER;
    if (!is_known(turn))
        return fg_fail(err, FG_EUNSUPPORTED, "calls of this model's tool form cannot be forced");
    rc = read_tools(&r, calls, false);
    if (rc == 0)
        rc = fg_turn_thought(x, turn, &thought, err);
    if (rc == 0)
        *out = fg_expr_seq(x, thought, any_calls(&r, r.many, false));
    free(r.tools);
    return rc;
}

/* --- any answer --- */

/* The marks that text may hold: those of thoughts. */
static void add_marks(const struct fg_turn *turn, char marks[3])
{
    size_t n = 0;

    for (size_t i = FG_TAG_THINK; i <= FG_TAG_THOUGHT; i++)
        if (turn->form->control >> i & 1)
            marks[n++] = (char)(FG_FIRST_MARK + (int)i);
    marks[n] = '\0';
}

/* Sets the rule to text with calls in it; *tag: such text that begins as the tag of calls does,
 * FG_EXPR_NEVER where that is a control token. */
static int guard_text(struct reader *r, uint32_t rule, fg_expr *tag)
{
    const struct fg_turn *turn = r->turn;
    enum fg_tool_form form = turn->form->tools;
    struct fg_until u = {.n = 1, .may_stop = true};
    char open[1], call[1], marks[3];
    fg_expr block = any_calls(r, r->many, true);
    int rc;

    *tag = FG_EXPR_NEVER;
    add_marks(turn, marks);
    u.marks = marks;
    u.ends[0].word = fg_turn_tag(turn, FG_TAG_OPEN, open);
    u.ends[0].then = r->many ? fg_expr_seq(r->x, block, fg_expr_rule(r->x, rule)) : block;
    /* A call without the tag around it is read as one too. */
    if (form == FG_TOOLS_HERMES || form == FG_TOOLS_QWEN_XML || form == FG_TOOLS_MINIMAX_XML) {
        u.ends[u.n].word = fg_turn_tag(turn, FG_TAG_CALL, call);
        u.ends[u.n++].then = FG_EXPR_NEVER;
    }
    rc = fg_expr_until(r->x, rule, &u, r->err);
    if (u.ends[0].word.n > 1)
        *tag = fg_expr_seq(r->x, fg_expr_text(r->x, (struct fg_str){u.ends[0].word.p, 1}),
                           fg_expr_rule(r->x, u.begun));
    return rc;
}

/* Text behind the beginning of an answer that may be a call without a tag. */
struct bare {
    struct fg_exprs *x;
    fg_expr rest; /* any text */
    fg_expr tag;  /* that begins with <, as the tag of calls does */
};

/* Any text that does not begin with one of these, or with a letter of `letters`. */
static fg_expr other_than(const struct bare *b, struct fg_chars *letters, const char *these)
{
    fg_expr all;

    for (; *these; these++)
        fg_chars_add(letters, (uint8_t)*these, (uint8_t)*these);
    fg_chars_add(letters, '<', '<');
    fg_chars_invert(letters, FG_LAST_CHAR);
    all = fg_expr_seq(b->x, fg_expr_chars(b->x, letters, FG_CHARS_PLAIN), b->rest);
    return fg_expr_optional(b->x, fg_expr_alt(b->x, all, b->tag));
}

/* What follows { and a quote in text that is no call: another name than those of a call's members,
 * which are `names` from their byte `at` on. One that is escaped could be one of them. */
static fg_expr other_name(const struct bare *b, const char *const *names, size_t n, size_t at)
{
    struct fg_chars letters = {.n = 0};
    fg_expr all = FG_EXPR_NEVER;

    for (size_t i = 0, from; i < n;) {
        char c = names[i][at] ? names[i][at] : '"';

        for (from = i; i < n && (names[i][at] ? names[i][at] : '"') == c;)
            i++;
        fg_chars_add(&letters, (uint8_t)c, (uint8_t)c);
        if (c != '"')
            all = fg_expr_alt(b->x, all,
                              fg_expr_seq(b->x, fg_expr_byte(b->x, (uint8_t)c, (uint8_t)c),
                                          other_name(b, names + from, i - from, at + 1)));
    }
    return fg_expr_alt(b->x, all, other_than(b, &letters, "\\"));
}

/* Llama 3 begins an answer with a call, without a tag. JSON that begins with another name is text.
 */
static fg_expr guard_bare(struct reader *r, fg_expr rest, fg_expr tag)
{
    static const char *const names[] = {"arguments", "id", "name", "parameters", "type"};
    static const char blanks_of_json[] = " \n\r\t";
    const struct bare b = {r->x, rest, tag};
    struct fg_exprs *x = r->x;
    fg_expr blank = FG_EXPR_NEVER, blanks, object, list, all;

    for (const char *c = blanks_of_json; *c; c++)
        blank = fg_expr_alt(x, blank, fg_expr_byte(x, (uint8_t)*c, (uint8_t)*c));
    blanks = fg_expr_repeat(x, blank, 0, FG_EXPR_ANY_NUMBER);
    object = fg_expr_seq(x, fg_expr_literal(x, "\""), other_name(&b, names, 5, 0));
    object = fg_expr_alt(x, object, other_than(&b, &(struct fg_chars){0}, "\" \n\r\t"));
    object = fg_expr_seq(x, fg_expr_literal(x, "{"), fg_expr_seq(x, blanks, object));
    /* A list of calls begins with [ and {. */
    list = other_than(&b, &(struct fg_chars){0}, "{ \n\r\t");
    list = fg_expr_seq(x, fg_expr_literal(x, "["), fg_expr_seq(x, blanks, list));
    all = fg_expr_alt(x, object, list);
    all = fg_expr_alt(x, all, other_than(&b, &(struct fg_chars){0}, "{[ \n\r\t"));
    if (tag == FG_EXPR_NEVER)
        all = fg_expr_alt(x, all, fg_expr_seq(x, text(r, "\1"), any_calls(r, r->many, false)));
    return fg_expr_seq(x, blanks, fg_expr_alt(x, all, any_calls(r, r->many, false)));
}

/* Messages, of which a call is the last. */
static fg_expr guard_harmony(struct reader *r)
{
    struct fg_exprs *x = r->x;
    struct fg_chars all = {.n = 0};
    uint32_t rule = fg_expr_new_rule(x);
    fg_expr said, channel, next;

    fg_chars_invert(&all, FG_LAST_CHAR);
    said = fg_expr_repeat(x, fg_expr_chars(x, &all, FG_CHARS_PLAIN), 0, FG_EXPR_ANY_NUMBER);
    next = fg_expr_seq(x, text(r, "\4\3assistant"), fg_expr_rule(x, rule));
    said = fg_expr_seq(x, said, fg_expr_optional(x, next));
    channel = fg_expr_alt(x, fg_expr_literal(x, "analysis"), fg_expr_literal(x, "final"));
    channel = fg_expr_alt(x, channel, fg_expr_literal(x, "commentary"));
    channel = fg_expr_seq(x, fg_expr_seq(x, text(r, "\1"), channel), text(r, "\2"));
    fg_expr_set_rule(x, rule,
                     fg_expr_alt(x, fg_expr_seq(x, channel, said), any_calls(r, false, false)));
    return r->turn->start == FG_STARTS_ANYHOW ? fg_expr_rule(x, rule) : said;
}

/* The text of an answer that may begin with a thought, which the prompt may have begun. */
static int guard(struct reader *r, fg_expr *out)
{
    const struct fg_turn *turn = r->turn;
    char think[1], thought[1];
    struct fg_until u = {.n = 1, .may_stop = true};
    uint32_t rule = fg_expr_new_rule(r->x), in_thought;
    struct fg_str opens = fg_turn_tag(turn, FG_TAG_THINK, think);
    fg_expr tag;
    int rc = guard_text(r, rule, &tag);

    *out = fg_expr_rule(r->x, rule);
    if (turn->form->tools == FG_TOOLS_LLAMA3)
        *out = guard_bare(r, *out, tag);
    u.ends[0].word = fg_turn_tag(turn, FG_TAG_THOUGHT, thought);
    u.ends[0].then = *out;
    if (rc || !opens.n || turn->start == FG_STARTS_TEXT)
        return rc;
    in_thought = fg_expr_new_rule(r->x);
    rc = fg_expr_until(r->x, in_thought, &u, r->err);
    if (turn->start == FG_STARTS_REASONING)
        *out = fg_expr_rule(r->x, in_thought);
    else
        *out = fg_expr_alt(
            r->x, *out,
            fg_expr_seq(r->x, fg_expr_text(r->x, opens), fg_expr_rule(r->x, in_thought)));
    return rc;
}

static bool any_strict(const json_t *tools)
{
    const json_t *tool;
    size_t i;

    json_array_foreach(tools, i,
                       tool) if (json_is_true(json_object_get(json_object_get(tool, "function"),
                                                              "strict"))) return true;
    return false;
}

/* Gemma's calls stand in the fences that code stands in: they cannot be told from text before they
 * are whole. */
static int guard_fences(struct reader *r, const json_t *calls, fg_expr *out)
{
    struct fg_until u = {.may_stop = true};
    uint32_t rule = fg_expr_new_rule(r->x);

    if (any_strict(json_object_get(calls, "tools")))
        return fg_fail(r->err, FG_EUNSUPPORTED,
                       "tools: \"strict\" is not done for this model's tool form where the model "
                       "may also answer otherwise");
    *out = fg_expr_rule(r->x, rule);
    return fg_expr_until(r->x, rule, &u, r->err);
}

int fg_calls_guard(struct fg_exprs *x, const struct fg_turn *turn, const json_t *calls,
                   fg_expr *out, struct fg_err *err)
{
    struct reader r = {.x = x, .turn = turn, .err = err};
    int rc;

    *out = FG_EXPR_NEVER;
    if (!is_known(turn))
        return fg_fail(err, FG_EUNSUPPORTED, "calls of this model's tool form cannot be guarded");
    if (turn->form->tools == FG_TOOLS_GEMMA)
        return guard_fences(&r, calls, out);
    rc = read_tools(&r, calls, true);
    if (rc == 0 && turn->form->tools == FG_TOOLS_HARMONY)
        *out = guard_harmony(&r);
    else if (rc == 0)
        rc = guard(&r, out);
    free(r.tools);
    return rc;
}
