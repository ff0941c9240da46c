#include "chat_text.h"

#include <string.h>

#include "base/json_scan.h"

#define PART "{\"type\":\"text\",\"text\":"

void fg_chat_comma(struct fg_buffer *list)
{
    if (list->n)
        fg_buffer_str(list, ",");
}

void fg_chat_member(struct fg_buffer *object, const char *name, struct fg_str value)
{
    fg_buffer_str(object, object->n ? ",\"" : "{\"");
    fg_buffer_str(object, name);
    fg_buffer_str(object, "\":");
    fg_buffer_view(object, value);
}

/* What stands between the quotes. */
static struct fg_str inside(struct fg_str quoted)
{
    return quoted.n >= 2 ? (struct fg_str){quoted.p + 1, quoted.n - 2} : (struct fg_str){"", 0};
}

void fg_chat_part_after(struct fg_chat_draft *m, const char *words, struct fg_str quoted)
{
    fg_chat_comma(&m->parts);
    fg_buffer_str(&m->parts, PART "\"");
    fg_buffer_str(&m->parts, words);
    fg_buffer_view(&m->parts, inside(quoted));
    fg_buffer_str(&m->parts, "\"}");
    m->n_parts++;
}

void fg_chat_part(struct fg_chat_draft *m, struct fg_str quoted)
{
    fg_chat_part_after(m, "", quoted);
}

void fg_chat_part_member(struct fg_chat_draft *m, const char *name, struct fg_str value)
{
    if (m->parts.failed)
        return;
    if (!m->parts.n) {
        fg_chat_hint(m, name, value);
        return;
    }
    m->parts.n--; /* its bracket */
    fg_buffer_str(&m->parts, ",\"");
    fg_buffer_str(&m->parts, name);
    fg_buffer_str(&m->parts, "\":");
    fg_buffer_view(&m->parts, value);
    fg_buffer_str(&m->parts, "}");
    m->hinted = true;
}

void fg_chat_hint(struct fg_chat_draft *m, const char *name, struct fg_str value)
{
    fg_buffer_clear(&m->hint);
    fg_buffer_str(&m->hint, ",\"");
    fg_buffer_str(&m->hint, name);
    fg_buffer_str(&m->hint, "\":");
    fg_buffer_view(&m->hint, value);
}

void fg_chat_thought(struct fg_chat_draft *m, struct fg_str quoted)
{
    fg_buffer_view(&m->reasoning, inside(quoted));
}

void fg_chat_call(struct fg_chat_draft *m, struct fg_str id, struct fg_str name,
                  struct fg_str arguments)
{
    fg_chat_comma(&m->calls);
    fg_buffer_str(&m->calls, "{\"id\":");
    fg_buffer_view(&m->calls, id);
    fg_buffer_str(&m->calls, ",\"type\":\"function\",\"function\":{\"name\":");
    fg_buffer_view(&m->calls, name);
    fg_buffer_str(&m->calls, ",\"arguments\":");
    if (arguments.n && arguments.p[0] == '"')
        fg_buffer_view(&m->calls, arguments);
    else
        fg_scan_quote(arguments, &m->calls);
    fg_buffer_str(&m->calls, "}}");
}

bool fg_chat_any(const struct fg_chat_draft *m)
{
    return m->parts.n || m->reasoning.n || m->calls.n || m->call_id.n;
}

void fg_chat_draft_end(struct fg_chat_draft *m, struct fg_buffer *messages)
{
    fg_chat_comma(messages);
    fg_buffer_str(messages, "{\"role\":\"");
    fg_buffer_str(messages, m->role);
    fg_buffer_str(messages, "\"");
    if (m->call_id.n) {
        fg_buffer_str(messages, ",\"tool_call_id\":");
        fg_buffer_add(messages, m->call_id.p, m->call_id.n);
    }
    fg_buffer_add(messages, m->hint.p, m->hint.n);
    if (m->n_parts == 1 && !m->hinted && !m->parts.failed) { /* a string takes less than a list */
        fg_buffer_str(messages, ",\"content\":");
        fg_buffer_add(messages, m->parts.p + sizeof PART - 1, m->parts.n - sizeof PART);
    } else if (m->parts.n || !m->calls.n) {
        fg_buffer_str(messages, ",\"content\":[");
        fg_buffer_add(messages, m->parts.p, m->parts.n);
        fg_buffer_str(messages, "]");
    }
    if (m->reasoning.n) {
        fg_buffer_str(messages, ",\"reasoning_content\":\"");
        fg_buffer_add(messages, m->reasoning.p, m->reasoning.n);
        fg_buffer_str(messages, "\"");
    }
    if (m->calls.n) {
        fg_buffer_str(messages, ",\"tool_calls\":[");
        fg_buffer_add(messages, m->calls.p, m->calls.n);
        fg_buffer_str(messages, "]");
    }
    fg_buffer_str(messages, "}");
    if (m->parts.failed || m->reasoning.failed || m->calls.failed || m->call_id.failed ||
        m->hint.failed)
        messages->failed = true;
    fg_chat_draft_finish(m);
}

void fg_chat_draft_finish(struct fg_chat_draft *m)
{
    fg_buffer_finish(&m->parts);
    fg_buffer_finish(&m->reasoning);
    fg_buffer_finish(&m->calls);
    fg_buffer_finish(&m->call_id);
    fg_buffer_finish(&m->hint);
    m->n_parts = 0;
    m->hinted = false;
}

static bool changes_nothing(struct fg_str v)
{
    static const char *const off[] = {"null", "false", "0", "[]", "{}", "\"\""};

    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (v.n == strlen(off[i]) && memcmp(v.p, off[i], v.n) == 0)
            return true;
    return false;
}

int fg_chat_copy(const struct fg_chat_members *members, struct fg_str body, struct fg_buffer *chat,
                 struct fg_http_error *e)
{
    struct fg_scan s = {.text = body};

    while (fg_scan_next(&s)) {
        const struct fg_chat_row *row = members->rows, *end = row + members->n;

        while (row < end && !fg_scan_is(s.name, row->name))
            row++;
        if (row < end && row->use == FG_CHAT_NEVER && !changes_nothing(s.value))
            return fg_http_fail(e, 400, row->name, "unsupported_parameter",
                                "%s: it must be absent: %s does not do it", row->name,
                                members->path);
        if (row < end)
            continue;
        fg_buffer_str(chat, chat->n ? "," : "{");
        fg_buffer_view(chat, s.name);
        fg_buffer_str(chat, ":");
        fg_buffer_view(chat, s.value);
    }
    return 0;
}

void fg_chat_tool(struct fg_buffer *tools, struct fg_str name, struct fg_str description,
                  struct fg_str parameters)
{
    fg_chat_comma(tools);
    fg_buffer_str(tools, "{\"type\":\"function\",\"function\":{\"name\":");
    fg_buffer_view(tools, name);
    if (description.n) {
        fg_buffer_str(tools, ",\"description\":");
        fg_buffer_view(tools, description);
    }
    if (parameters.n) {
        fg_buffer_str(tools, ",\"parameters\":");
        fg_buffer_view(tools, parameters);
    }
    fg_buffer_str(tools, "}}");
}
