#include "chat.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chat_template.h"
#include "text/tools/tool_calls.h"
#include "tojson.h"

#define ROLES "system, user, assistant, tool"

static const char *const format_names[] = {
    [FG_CHAT_CHATML] = "chatml",
    [FG_CHAT_MINIMAX_M1] = "minimax-m1",
};

const char *fg_chat_format_name(enum fg_chat_format format)
{
    return format_names[format];
}

static bool is(struct fg_str s, const char *text)
{
    return s.n == strlen(text) && (s.n == 0 || !memcmp(s.p, text, s.n));
}

/* A message must stay one printable line, whatever a request put into the string. */
static const char *quoted(struct fg_str s, char room[64])
{
    size_t n = s.n < 60 ? s.n : 60;

    for (size_t i = 0; i < n; i++) {
        room[i] = s.p[i] < 0x20 || s.p[i] > 0x7e ? '?' : s.p[i];
    }
    strcpy(room + n, n < s.n ? "..." : "");
    return room;
}

static int find_format(struct fg_chat *c, struct fg_str text, struct fg_str name,
                       struct fg_err *err)
{
    char room[64];

    for (size_t i = 0; name.n && i < sizeof format_names / sizeof format_names[0]; i++) {
        if (is(name, format_names[i])) {
            c->format = (enum fg_chat_format)i;
            return 0;
        }
    }
    if (name.n) {
        return fg_fail(err, FG_EUNSUPPORTED,
                       "chat format \"%s\" is not known; known are: chatml, minimax-m1",
                       quoted(name, room));
    }
    if (fg_chat_template_has(text, "<beginning_of_sentence>")) {
        c->format = FG_CHAT_MINIMAX_M1;
    } else if (fg_chat_template_has(text, "<|im_start|>")) {
        c->format = FG_CHAT_CHATML;
    } else {
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s; known are the families chatml and minimax-m1, "
                       "and either can be named",
                       text.n ? "tokenizer.chat_template writes neither <|im_start|> nor "
                                "<beginning_of_sentence>"
                              : "the file has no tokenizer.chat_template");
    }
    return 0;
}

int fg_chat_init(struct fg_chat *c, struct fg_str template_text, struct fg_str name,
                 struct fg_err *err)
{
    int rc;

    *c = (struct fg_chat){.tool_quote = "\""};
    rc = find_format(c, template_text, name, err);
    if (rc < 0) {
        return rc;
    }
    if (c->format == FG_CHAT_CHATML) {
        (void)fg_chat_template_default_system(template_text, &c->default_system);
    } else if (fg_chat_template_has(template_text, "{''name''")) {
        /* Jinja joins neighbouring literals: '{''name'': ' is `{name: `. The published template has
         * '{''"name"'': ' there. A file may carry either; the model sees what its file says. */
        c->tool_quote = "";
    }
    if (c->default_system.failed) {
        fg_chat_finish(c);
        return fg_fail(err, FG_ENOMEM, "out of memory for a chat template");
    }
    return 0;
}

void fg_chat_finish(struct fg_chat *c)
{
    fg_buffer_finish(&c->default_system);
}

void fg_chat_text_finish(struct fg_chat_text *t)
{
    free(t->content);
    fg_buffer_finish(&t->text);
    *t = (struct fg_chat_text){0};
}

static void add(struct fg_chat_text *t, const char *s)
{
    fg_buffer_str(&t->text, s);
}

/* Marks what was added since `begin` as content. */
static void mark_content(struct fg_chat_text *t, size_t begin)
{
    void *mem = t->content;

    if (t->text.failed || t->text.n == begin) {
        return;
    }
    if (!fg_grow(&mem, &t->content_cap, t->n_content + 1, sizeof *t->content)) {
        t->text.failed = true;
        return;
    }
    t->content = mem;
    t->content[t->n_content++] = (struct fg_span){begin, t->text.n};
}

static void add_content(struct fg_chat_text *t, struct fg_str s)
{
    size_t begin = t->text.n;

    fg_buffer_view(&t->text, s);
    mark_content(t, begin);
}

/* The content of a user message, the last one so far. */
static void add_user(struct fg_chat_text *t, const struct fg_chat_message *m)
{
    t->last_part = m->last_part > 0 ? t->text.n + m->last_part : FG_CHAT_NOWHERE;
    add_content(t, m->content);
}

static int check_messages(const struct fg_chat *c, const struct fg_chat_request *r,
                          struct fg_err *err)
{
    char room[64];

    if (r->n_messages == 0) {
        return fg_fail(err, FG_EINVAL, "messages is empty; wanted at least one message");
    }
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct fg_chat_message *m = &r->messages[i];
        if (!is(m->role, "system") && !is(m->role, "user") && !is(m->role, "assistant") &&
            !is(m->role, "tool")) {
            return fg_fail(err, FG_EINVAL, "messages[%zu].role is \"%s\"; wanted one of " ROLES, i,
                           quoted(m->role, room));
        }
        if (m->last_part > m->content.n) {
            return fg_fail(err, FG_EINVAL, "messages[%zu]: its last part begins at byte %zu of %zu",
                           i, m->last_part, m->content.n);
        }
        if (c->format == FG_CHAT_MINIMAX_M1 && is(m->role, "tool") && m->name.n == 0) {
            return fg_fail(err, FG_EINVAL,
                           "messages[%zu] is a tool result without a name; wanted "
                           "the name of the tool that was called",
                           i);
        }
    }
    return 0;
}

/* *tools is NULL when there are none; an empty array counts as none, as in the template. */
static int parse_tools(const struct fg_chat *c, struct fg_str text, json_t **tools,
                       struct fg_err *err)
{
    json_error_t where;
    size_t i = 0;

    *tools = NULL;
    if (text.n == 0) {
        return 0;
    }
    *tools = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &where);
    if (!*tools) {
        return fg_fail(err, FG_EINVAL, "tools is not JSON: %s at byte %d", where.text,
                       where.position);
    }
    while (json_is_object(json_array_get(*tools, i))) {
        i++;
    }
    if (!json_is_array(*tools) || i < json_array_size(*tools)) {
        bool array = json_is_array(*tools);
        json_decref(*tools);
        *tools = NULL;
        return array ? fg_fail(err, FG_EINVAL, "tools[%zu] is not an object", i)
                     : fg_fail(err, FG_EINVAL, "tools is not an array; wanted one of objects");
    }
    if (i > 0 && c->format == FG_CHAT_CHATML) {
        json_decref(*tools);
        *tools = NULL;
        return fg_fail(err, FG_EUNSUPPORTED,
                       "tools has %zu entries, but the chat format chatml "
                       "has no tools; leave tools out",
                       i);
    }
    return 0;
}

static void render_chatml(const struct fg_chat *c, const struct fg_chat_request *r,
                          struct fg_chat_text *t)
{
    bool head = true;

    if (c->default_system.p && !is(r->messages[0].role, "system")) {
        add(t, "<|im_start|>system\n");
        fg_buffer_add(&t->text, c->default_system.p, c->default_system.n);
        add(t, "<|im_end|>\n");
    }
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct fg_chat_message *m = &r->messages[i];
        head = head && is(m->role, "system");
        if (is(m->role, "user")) {
            t->last_user = t->text.n;
        }
        if (!head && t->head_end == FG_CHAT_NOWHERE) {
            t->head_end = t->text.n;
        }
        add(t, "<|im_start|>");
        fg_buffer_view(&t->text, m->role);
        add(t, "\n");
        if (is(m->role, "user")) {
            add_user(t, m);
        } else {
            add_content(t, m->content);
        }
        add(t, "<|im_end|>\n");
    }
    if (t->head_end == FG_CHAT_NOWHERE) {
        t->head_end = t->text.n;
    }
    if (r->add_generation_prompt) {
        add(t, "<|im_start|>assistant\n");
    }
}

static void render_minimax_head(const struct fg_chat *c, const struct fg_chat_request *r,
                                const json_t *tools, struct fg_chat_text *t)
{
    bool open = false;

    add(t, "<begin_of_document>");
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct fg_chat_message *m = &r->messages[i];
        if (is(m->role, "system") && m->content.n) {
            add(t, open ? "" : "<beginning_of_sentence>system ai_setting=assistant\n");
            open = true;
            add_content(t, m->content);
        }
    }
    add(t, open ? "<end_of_sentence>\n" : "");
    if (json_array_size(tools) == 0) {
        return;
    }
    add(t, "<beginning_of_sentence>system tool_setting=tools\n"
           "You are provided with these tools:\n<tools>\n");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        size_t begin = t->text.n;
        fg_tojson(&t->text, json_array_get(tools, i));
        mark_content(t, begin);
        add(t, "\n");
    }
    add(t, "</tools>\n\n");
    fg_tool_calls_explain(&t->text, c->tool_quote);
    add(t, "<end_of_sentence>\n");
}

static void render_minimax(const struct fg_chat *c, const struct fg_chat_request *r,
                           const json_t *tools, struct fg_chat_text *t)
{
    render_minimax_head(c, r, tools, t);
    t->head_end = t->text.n;
    for (size_t i = 0; i < r->n_messages; i++) {
        const struct fg_chat_message *m = &r->messages[i];
        if (is(m->role, "system")) {
            continue;
        }
        if (is(m->role, "user")) {
            t->last_user = t->text.n;
            add(t, "<beginning_of_sentence>user name=user\n");
            add_user(t, m);
        } else if (is(m->role, "assistant")) {
            add(t, "<beginning_of_sentence>ai name=assistant\n");
            add_content(t, m->content);
        } else {
            add(t, "<beginning_of_sentence>tool name=tools\ntool name: ");
            add_content(t, m->name);
            add(t, "\ntool result: ");
            add_content(t, m->content);
            add(t, "\n\n");
        }
        add(t, "<end_of_sentence>\n");
    }
    if (r->add_generation_prompt) {
        add(t, "<beginning_of_sentence>ai name=assistant\n");
    }
}

int fg_chat_render(const struct fg_chat *c, const struct fg_chat_request *request,
                   struct fg_chat_text *out, struct fg_err *err)
{
    json_t *tools = NULL;
    int rc = check_messages(c, request, err);

    *out = (struct fg_chat_text){
        .head_end = FG_CHAT_NOWHERE, .last_user = FG_CHAT_NOWHERE, .last_part = FG_CHAT_NOWHERE};
    if (rc == 0) {
        rc = parse_tools(c, request->tools, &tools, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (c->format == FG_CHAT_CHATML) {
        render_chatml(c, request, out);
    } else {
        render_minimax(c, request, tools, out);
    }
    json_decref(tools);
    if (out->text.failed) {
        fg_chat_text_finish(out);
        return fg_fail(err, FG_ENOMEM, "out of memory for a chat of %zu messages",
                       request->n_messages);
    }
    return 0;
}
