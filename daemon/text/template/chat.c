#include "chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/str.h"
#include "chat_program.h"

enum { MAX_VARIABLES = 64, TOKENS = 4 };

static const char *const token_names[TOKENS] = {"bos_token", "eos_token", "unk_token", "pad_token"};

static struct fg_str view(const char *s)
{
    return (struct fg_str){s, strlen(s)};
}

/* --- compiling --- */

static int compile(struct fg_str text, struct fg_chat_program *out, struct fg_err *err)
{
    struct fg_jinja_error why;
    int rc = fg_jinja_compile(text, &out->jinja, &why);

    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "no memory for a chat template");
    if (rc)
        return fg_fail(err, rc == FG_EFULL ? FG_EUNSUPPORTED : FG_EFORMAT,
                       "its chat template is wrong at line %u, column %u: %.400s", why.line,
                       why.column, why.message);
    return 0;
}

static int set_up(struct fg_chat *c, const struct fg_chat_spec *spec, struct fg_err *err)
{
    const struct fg_str tokens[TOKENS] = {spec->bos, spec->eos, spec->unk, spec->pad};
    int rc;

    for (int i = 0; i < TOKENS; i++) {
        fg_scan_quote(tokens[i], &c->tokens[i]);
        if (c->tokens[i].failed)
            return fg_fail(err, FG_ENOMEM, "no memory for a chat template");
    }
    rc = compile(spec->text, &c->plain, err);
    if (rc == 0 && spec->tools_text.n)
        rc = compile(spec->tools_text, &c->with_tools, err);
    if (rc)
        return rc;
    rc = fg_chat_probe(c, &c->plain);
    if (rc == 0 && c->with_tools.jinja)
        rc = fg_chat_probe(c, &c->with_tools);
    if (rc)
        return fg_fail(err, rc, "no memory for a chat template");
    if (c->plain.wants.form == FG_TOOLS_NONE)
        c->plain.wants.form = c->with_tools.wants.form;
    if (c->plain.wants.reasoning == FG_REASONING_NONE)
        c->plain.wants.reasoning = c->with_tools.wants.reasoning;
    return 0;
}

int fg_chat_create(const struct fg_chat_spec *spec, struct fg_chat **out, struct fg_err *err)
{
    struct fg_chat *c;
    int rc;

    *out = NULL;
    if (!spec->text.n)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "its file has no tokenizer.chat_template; fulgurd --chat-template gives it "
                       "one");
    c = calloc(1, sizeof *c);
    rc = c ? set_up(c, spec, err) : fg_fail(err, FG_ENOMEM, "no memory for a chat template");
    if (rc)
        fg_chat_destroy(c);
    else
        *out = c;
    return rc;
}

const char *fg_chat_doubt(const struct fg_chat *c)
{
    return c->plain.doubt ? c->plain.doubt : c->with_tools.doubt;
}

void fg_chat_destroy(struct fg_chat *c)
{
    if (!c)
        return;
    fg_jinja_program_destroy(c->plain.jinja);
    fg_jinja_program_destroy(c->with_tools.jinja);
    for (int i = 0; i < TOKENS; i++)
        fg_buffer_finish(&c->tokens[i]);
    free(c);
}

struct fg_answer_form fg_chat_answer_form(const struct fg_chat *c)
{
    return (struct fg_answer_form){.tools = c->with_tools.jinja ? c->with_tools.wants.form
                                                                : c->plain.wants.form,
                                   .reasoning = c->plain.wants.reasoning};
}

bool fg_chat_writes_tools(const struct fg_chat *c)
{
    return c->plain.wants.tools || c->with_tools.wants.tools;
}

struct fg_answer_form fg_chat_form_of(const struct fg_chat_wants *wants,
                                      const struct fg_chat_request *r)
{
    return r->form ? *r->form
                   : (struct fg_answer_form){.tools = wants->form, .reasoning = wants->reasoning};
}

/* --- running --- */

struct variables {
    struct fg_jinja_variable list[MAX_VARIABLES];
    size_t n;
    struct fg_buffer messages, names; /* what they point into */
};

static bool known(const struct variables *v, struct fg_str name)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->list[i].name.n == name.n && memcmp(v->list[i].name.p, name.p, name.n) == 0)
            return true;
    return false;
}

static void add(struct variables *v, struct fg_str name, struct fg_str json,
                enum fg_jinja_source source)
{
    if (v->n < MAX_VARIABLES && !known(v, name))
        v->list[v->n++] = (struct fg_jinja_variable){name, json, source};
}

/* The request's own, which cannot take the place of the others. Names are decoded first, so that
 * the buffer that they lie in stays where it is. */
static void add_more(struct variables *v, struct fg_str object)
{
    struct fg_scan s = {.text = object};
    size_t ends[MAX_VARIABLES], n = 0, at = 0;

    while (n < MAX_VARIABLES && fg_scan_next(&s)) {
        fg_scan_string(s.name, &v->names);
        ends[n++] = v->names.n;
    }
    if (v->names.failed)
        return;
    s = (struct fg_scan){.text = object};
    for (size_t i = 0; i < n && fg_scan_next(&s); at = ends[i++])
        add(v, (struct fg_str){v->names.p + at, ends[i] - at}, s.value, FG_JINJA_INPUT);
}

int fg_chat_run(const struct fg_chat *c, const struct fg_chat_program *p,
                const struct fg_chat_request *r, struct fg_jinja_result *out,
                struct fg_jinja_error *error)
{
    struct variables v = {.n = 0};
    struct fg_jinja_input input = {.variables = v.list, .now = r->now};
    bool header = r->add_generation_prompt && !r->continue_final;
    int rc;

    *error = (struct fg_jinja_error){.cause = FG_JINJA_MEMORY, .message = "out of memory"};
    fg_chat_messages(&p->wants, r, &v.messages);
    add(&v, view("messages"), (struct fg_str){v.messages.p, v.messages.n}, FG_JINJA_MESSAGE);
    add(&v, view("tools"), r->tools.n ? r->tools : view("null"), FG_JINJA_INPUT);
    add(&v, view("add_generation_prompt"), view(header ? "true" : "false"), FG_JINJA_TEMPLATE);
    for (int i = 0; i < TOKENS; i++)
        add(&v, view(token_names[i]), (struct fg_str){c->tokens[i].p, c->tokens[i].n},
            FG_JINJA_TEMPLATE);
    add_more(&v, r->variables);
    add(&v, view("documents"), view("null"), FG_JINJA_INPUT);
    input.n_variables = v.n;
    if (v.messages.failed || v.names.failed)
        rc = FG_ENOMEM;
    else
        rc = fg_jinja_render(p->jinja, &input, &fg_jinja_default_limits, out, error);
    fg_buffer_finish(&v.messages);
    fg_buffer_finish(&v.names);
    return rc;
}

/* --- what comes of it --- */

void fg_chat_text_finish(struct fg_chat_text *t)
{
    free(t->content);
    fg_buffer_finish(&t->text);
    *t = (struct fg_chat_text){0};
}

bool fg_chat_of_content(const struct fg_jinja_span *s, size_t message)
{
    return s->source == FG_JINJA_MESSAGE && s->message == message && fg_str_is(s->field, "content");
}

static void mark_content(struct fg_chat_text *t, size_t begin, size_t end)
{
    void *mem = t->content;

    if (t->n_content && t->content[t->n_content - 1].end == begin) {
        t->content[t->n_content - 1].end = end;
        return;
    }
    if (!fg_grow(&mem, &t->content_cap, t->n_content + 1, sizeof *t->content)) {
        t->text.failed = true;
        return;
    }
    t->content = mem;
    t->content[t->n_content++] = (struct fg_span){begin, end};
}

/* The first span that ends behind a place. */
static size_t span_at(const struct fg_jinja_result *r, size_t at)
{
    size_t low = 0, high = r->n_spans;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (r->spans[mid].offset + r->spans[mid].length <= at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Bytes [from, to) of the result. */
static void take_text(const struct fg_jinja_result *r, size_t from, size_t to,
                      struct fg_chat_text *t)
{
    size_t move = t->text.n - from;

    fg_buffer_add(&t->text, r->text + from, to - from);
    for (size_t i = span_at(r, from); i < r->n_spans && r->spans[i].offset < to && !t->text.failed;
         i++) {
        const struct fg_jinja_span *s = &r->spans[i];
        size_t end = s->offset + s->length;

        if (s->source != FG_JINJA_TEMPLATE && end > from)
            mark_content(t, (s->offset > from ? s->offset : from) + move,
                         (end < to ? end : to) + move);
    }
}

/* A place in the result, in the text of which `bytes` were taken and words put in. */
static size_t move_place(size_t place, size_t bytes, const struct fg_chat_words_list *words)
{
    size_t moved = place;

    if (place == FG_CHAT_NOWHERE || place > bytes)
        return FG_CHAT_NOWHERE;
    for (size_t i = 0; i < words->n && words->list[i].to <= place; i++)
        moved += words->list[i].bytes - (words->list[i].to - words->list[i].from);
    return moved;
}

/* The model's own words, of which its control tokens are control tokens again, and nothing else
 * is. */
static void take_words(const struct fg_answer_form *form, struct fg_str words,
                       struct fg_chat_text *t)
{
    size_t begin = t->text.n;

    for (size_t i = 0; i < words.n && !t->text.failed; i++) {
        size_t tag = (size_t)(unsigned char)words.p[i] - FG_FIRST_MARK;
        const char *text = tag < FG_FORM_TAGS ? fg_answer_form_tag(form, tag) : NULL;

        if (!text) {
            fg_buffer_add(&t->text, &words.p[i], 1);
            continue;
        }
        if (t->text.n > begin)
            mark_content(t, begin, t->text.n);
        fg_buffer_str(&t->text, text);
        begin = t->text.n;
    }
    if (t->text.n > begin)
        mark_content(t, begin, t->text.n);
}

/* The first `bytes` of the result, with the words in their places. */
static void compose(const struct fg_jinja_result *r, size_t bytes,
                    const struct fg_answer_form *form, const struct fg_chat_words_list *words,
                    struct fg_chat_text *t)
{
    size_t at = 0;

    for (size_t i = 0; i < words->n && words->list[i].to <= bytes; i++) {
        take_text(r, at, words->list[i].from, t);
        take_words(form, words->list[i].words, t);
        at = words->list[i].to;
    }
    take_text(r, at, bytes, t);
    t->head_end = move_place(t->head_end, bytes, words);
    t->last_user = move_place(t->last_user, bytes, words);
    t->last_part = move_place(t->last_part, bytes, words);
    t->first_end = move_place(t->first_end, bytes, words);
    for (size_t i = 0; i < FG_CHAT_MARKS; i++)
        t->marks[i] = move_place(t->marks[i], bytes, words);
}

/* Behind what the last message says; or all of the message that goes on. */
static void find_start(const struct fg_chat_request *request, enum fg_reasoning_form form,
                       struct fg_chat_text *t)
{
    size_t skip = request->continue_final ? 2 : 1, from;

    from = t->n_content >= skip ? t->content[t->n_content - skip].end : 0;
    t->start = fg_answer_start_of(form, (struct fg_str){t->text.p + from, t->text.n - from});
}

/* Where the content of the last message ends, so that the answer goes on with it. */
static int find_final(const struct fg_jinja_result *r, size_t message, size_t *bytes,
                      struct fg_err *err)
{
    for (size_t i = r->n_spans; i > 0; i--)
        if (fg_chat_of_content(&r->spans[i - 1], message)) {
            *bytes = r->spans[i - 1].offset + r->spans[i - 1].length;
            return 0;
        }
    return fg_fail(err, FG_EINVAL,
                   "continue_final_message: messages[%zu] has no content that the model's chat "
                   "template writes",
                   message);
}

static int explain(int rc, const struct fg_jinja_error *why, struct fg_err *err)
{
    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "no memory for a chat");
    if (why->cause == FG_JINJA_RAISED)
        return fg_fail(err, FG_EINVAL, "the model's chat template refuses this: %.400s",
                       why->message);
    return fg_fail(err, FG_EINVAL, "the model's chat template fails at line %u, column %u: %.400s",
                   why->line, why->column, why->message);
}

static int check(const struct fg_chat_wants *wants, const struct fg_chat_request *r,
                 struct fg_err *err)
{
    struct fg_answer_form form = fg_chat_form_of(wants, r);

    if (r->n_messages == 0)
        return fg_fail(err, FG_EINVAL, "messages is empty; wanted at least one message");
    if (r->tools.n && !wants->tools)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "tools: the model's chat template writes no tools; leave them out");
    for (size_t i = 0; i < r->n_messages; i++)
        if (r->messages[i].calls.n && !wants->calls && form.tools == FG_TOOLS_NONE)
            return fg_fail(err, FG_EUNSUPPORTED,
                           "messages[%zu].tool_calls: the model's chat template writes no calls of "
                           "tools",
                           i);
    return 0;
}

int fg_chat_render(const struct fg_chat *c, const struct fg_chat_request *request,
                   struct fg_chat_text *out, struct fg_err *err)
{
    const struct fg_chat_program *p =
        request->tools.n && c->with_tools.jinja ? &c->with_tools : &c->plain;
    struct fg_jinja_error why;
    struct fg_chat_words_list words = {.n = 0};
    struct fg_answer_form form = fg_chat_form_of(&p->wants, request);
    struct fg_jinja_result r;
    size_t bytes;
    int rc = check(&p->wants, request, err);

    *out = (struct fg_chat_text){.n_content = 0};
    if (rc)
        return rc;
    rc = fg_chat_run(c, p, request, &r, &why);
    if (rc)
        return explain(rc, &why, err);
    bytes = r.bytes;
    if (request->continue_final)
        rc = find_final(&r, request->n_messages - 1, &bytes, err);
    if (rc == 0) {
        rc = fg_chat_find_words(c, p, request, &r, &words);
        if (rc == 0)
            rc = fg_chat_find_places(c, p, request, &r, out);
        compose(&r, bytes, &form, &words, out);
        if (rc || out->text.failed)
            rc = fg_fail(err, FG_ENOMEM, "no memory for a chat");
        else
            find_start(request, form.reasoning, out);
    }
    free(words.list);
    fg_jinja_result_finish(&r);
    if (rc)
        fg_chat_text_finish(out);
    return rc;
}
