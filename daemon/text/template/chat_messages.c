/* Messages as a template wants them. */
#include <string.h>

#include "base/json_scan.h"
#include "chat_program.h"

static void add_part(const struct fg_chat_message *m, struct fg_str content, struct fg_buffer *out)
{
    fg_buffer_str(out, "[{\"type\": \"text\", ");
    /* Templates of this form name the tool beside its result. */
    if (m->name.n && m->role.n == 4 && memcmp(m->role.p, "tool", 4) == 0) {
        fg_buffer_str(out, "\"name\": ");
        fg_scan_quote(m->name, out);
        fg_buffer_str(out, ", ");
    }
    fg_buffer_str(out, "\"text\": ");
    fg_scan_quote(content, out);
    fg_buffer_str(out, "}]");
}

/* A call's function, its arguments as what they say, where that is an object. */
static void add_function(struct fg_str function, struct fg_buffer *out)
{
    struct fg_scan s = {.text = function};
    const char *between = "{";

    while (fg_scan_next(&s)) {
        struct fg_str object = {NULL, 0};
        struct fg_buffer plain = {0};

        fg_buffer_str(out, between);
        fg_buffer_view(out, s.name);
        fg_buffer_str(out, ": ");
        if (fg_scan_is(s.name, "arguments") && s.value.p[0] == '"')
            fg_scan_string(s.value, &plain);
        if (plain.n && fg_scan_whole((struct fg_str){plain.p, plain.n}, &object) &&
            object.p[0] == '{')
            fg_buffer_view(out, object);
        else
            fg_buffer_view(out, s.value);
        out->failed = out->failed || plain.failed;
        fg_buffer_finish(&plain);
        between = ", ";
    }
    fg_buffer_str(out, *between == '{' ? "{}" : "}");
}

static void add_call(struct fg_str call, struct fg_buffer *out)
{
    struct fg_scan s = {.text = call};
    const char *between = "{";

    while (fg_scan_next(&s)) {
        fg_buffer_str(out, between);
        fg_buffer_view(out, s.name);
        fg_buffer_str(out, ": ");
        if (fg_scan_is(s.name, "function"))
            add_function(s.value, out);
        else
            fg_buffer_view(out, s.value);
        between = ", ";
    }
    fg_buffer_str(out, *between == '{' ? "{}" : "}");
}

static void add_calls(const struct fg_chat_wants *wants, struct fg_str calls, struct fg_buffer *out)
{
    struct fg_scan s = {.text = calls};
    const char *between = "";

    if (!wants->objects) {
        fg_buffer_view(out, calls);
        return;
    }
    fg_buffer_str(out, "[");
    while (fg_scan_next(&s)) {
        fg_buffer_str(out, between);
        add_call(s.value, out);
        between = ", ";
    }
    fg_buffer_str(out, "]");
}

void fg_chat_reasoning(const struct fg_chat_message *m, struct fg_buffer *out)
{
    struct fg_str value;

    if (m->extra.n && (fg_scan_find(m->extra, "reasoning_content", &value) ||
                       fg_scan_find(m->extra, "reasoning", &value)))
        fg_scan_string(value, out);
}

/* Reasoning under the name that templates read it by, where the client has another. */
static void add_reasoning(const struct fg_chat_wants *wants, const struct fg_chat_message *m,
                          struct fg_buffer *out)
{
    bool harmony = wants->reasoning == FG_REASONING_HARMONY;
    const char *name = harmony ? "thinking" : "reasoning_content";
    struct fg_str value = {"", 0}, own;
    bool given = m->extra.n && (fg_scan_find(m->extra, "reasoning_content", &value) ||
                                fg_scan_find(m->extra, "reasoning", &value));

    /* Harmony's template takes content or thinking beside calls, and refuses both. */
    if ((m->extra.n && fg_scan_find(m->extra, name, &own)) ||
        (harmony && m->calls.n && m->content.n) || (given && value.p[0] != '"') ||
        (!given && !m->thought.n))
        return;
    fg_buffer_str(out, ", \"");
    fg_buffer_str(out, name);
    fg_buffer_str(out, "\": ");
    if (given)
        fg_buffer_view(out, value);
    else
        fg_scan_quote(m->thought, out);
}

static void add_extra(struct fg_str extra, struct fg_buffer *out)
{
    struct fg_scan s = {.text = extra};

    while (fg_scan_next(&s)) {
        fg_buffer_str(out, ", ");
        fg_buffer_view(out, s.name);
        fg_buffer_str(out, ": ");
        fg_buffer_view(out, s.value);
    }
}

static void add_message(const struct fg_chat_wants *wants, enum fg_tool_form form,
                        const struct fg_chat_message *m, struct fg_buffer *out)
{
    struct fg_buffer joined = {0};
    struct fg_str content = m->content;

    if (m->calls.n && !wants->calls) {
        fg_buffer_view(&joined, content);
        fg_tool_calls_append(form, m->calls, &joined);
        content = (struct fg_str){joined.p, joined.n};
    }
    fg_buffer_str(out, "{\"role\": ");
    fg_scan_quote(m->role, out);
    fg_buffer_str(out, ", \"content\": ");
    if (wants->parts)
        add_part(m, content, out);
    else
        fg_scan_quote(content, out);
    if (m->name.n) {
        fg_buffer_str(out, ", \"name\": ");
        fg_scan_quote(m->name, out);
    }
    if (m->calls.n && wants->calls) {
        fg_buffer_str(out, ", \"tool_calls\": ");
        add_calls(wants, m->calls, out);
    }
    add_extra(m->extra, out);
    add_reasoning(wants, m, out);
    fg_buffer_str(out, "}");
    out->failed = out->failed || joined.failed;
    fg_buffer_finish(&joined);
}

void fg_chat_messages(const struct fg_chat_wants *wants, const struct fg_chat_request *r,
                      struct fg_buffer *out)
{
    enum fg_tool_form form = fg_chat_form_of(wants, r).tools;

    fg_buffer_str(out, "[");
    for (size_t i = 0; i < r->n_messages; i++) {
        fg_buffer_str(out, i ? ", " : "");
        add_message(wants, form, &r->messages[i], out);
    }
    fg_buffer_str(out, "]");
}
