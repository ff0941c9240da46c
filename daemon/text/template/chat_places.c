/* Places in a rendered chat where others are likely to part, or where somebody said so. */
#include <string.h>

#include "base/json_scan.h"
#include "base/str.h"
#include "chat_program.h"

static const struct fg_jinja_span *first_of_content(const struct fg_jinja_result *r, size_t message)
{
    for (size_t i = 0; i < r->n_spans; i++)
        if (fg_chat_of_content(&r->spans[i], message))
            return &r->spans[i];
    return NULL;
}

/* Whether the template wrote the content in one piece, and how many blanks before it it left out.
 */
static bool whole_content(const struct fg_jinja_result *r, const struct fg_jinja_span *s,
                          const struct fg_chat_message *m, size_t *skip)
{
    *skip = 0;
    while (s->length < m->content.n && *skip < m->content.n &&
           fg_chat_is_blank(m->content.p[*skip]) && m->content.p[*skip] != r->text[s->offset])
        ++*skip;
    return m->content.n - *skip >= s->length &&
           memcmp(m->content.p + *skip, r->text + s->offset, s->length) == 0;
}

/* Where the last part of a message begins. */
static size_t find_part(const struct fg_jinja_result *r, const struct fg_chat_message *m,
                        size_t message)
{
    const struct fg_jinja_span *s = first_of_content(r, message);
    size_t skip;

    if (!s || !whole_content(r, s, m, &skip) || m->last_part < skip ||
        m->last_part - skip > s->length)
        return FG_CHAT_NOWHERE;
    return s->offset + m->last_part - skip;
}

static size_t turn_end(const struct fg_jinja_result *r, size_t message)
{
    for (size_t i = r->n_turns; i > 0; i--)
        if (r->turns[i - 1].message == message)
            return r->turns[i - 1].offset + r->turns[i - 1].length;
    return FG_CHAT_NOWHERE;
}

static bool is_blank(struct fg_str s)
{
    size_t i = 0;

    while (i < s.n && fg_chat_is_blank(s.p[i]))
        i++;
    return i == s.n;
}

/* Blanks that the template left out have their place where the content begins, or ends. */
static size_t find_in_content(const struct fg_jinja_result *r, const struct fg_chat_message *m,
                              const struct fg_chat_mark *mark)
{
    const struct fg_jinja_span *s = first_of_content(r, mark->index);
    size_t skip, at;

    if (s && whole_content(r, s, m, &skip)) {
        struct fg_str rest = {m->content.p + skip + s->length, m->content.n - skip - s->length};

        at = mark->at < skip ? 0 : mark->at - skip;
        if (at <= s->length || is_blank(rest))
            return s->offset + (at < s->length ? at : s->length);
    }
    if (mark->at < m->content.n)
        return FG_CHAT_NOWHERE; /* it wrote something else */
    for (size_t i = r->n_spans; i > 0; i--)
        if (fg_chat_of_content(&r->spans[i - 1], mark->index))
            return r->spans[i - 1].offset + r->spans[i - 1].length;
    return turn_end(r, mark->index);
}

/* Of the tools that one, and those before it. */
static bool tools_until(struct fg_str tools, size_t last, struct fg_buffer *out, bool *all)
{
    struct fg_scan s = {.text = tools};
    size_t n = 0;

    for (; n <= last && fg_scan_next(&s); n++) {
        fg_buffer_str(out, n ? ", " : "[");
        fg_buffer_view(out, s.value);
    }
    fg_buffer_str(out, "]");
    *all = !fg_scan_next(&s);
    return n > last;
}

/* Behind the last thing that came from the tools. */
static size_t tools_end(const struct fg_jinja_result *r)
{
    for (size_t i = r->n_spans; i > 0; i--)
        if (r->spans[i - 1].source == FG_JINJA_INPUT && fg_str_is(r->spans[i - 1].field, "tools"))
            return r->spans[i - 1].offset + r->spans[i - 1].length;
    return FG_CHAT_NOWHERE;
}

/* Where a prompt with more tools parts from one with these alone: both are rendered. */
static int find_tool(const struct fg_chat *c, const struct fg_chat_program *p,
                     const struct fg_chat_request *request, const struct fg_jinja_result *r,
                     const struct fg_chat_mark *mark, size_t *out)
{
    struct fg_chat_request less = *request;
    struct fg_jinja_result other;
    struct fg_jinja_error why;
    struct fg_buffer tools = {0};
    bool all = false;
    int rc = 0;

    *out = FG_CHAT_NOWHERE;
    if (!tools_until(request->tools, mark->index, &tools, &all)) {
        fg_buffer_finish(&tools);
        return 0;
    }
    less.tools = (struct fg_str){tools.p, tools.n};
    if (tools.failed)
        rc = FG_ENOMEM;
    else if (all)
        *out = tools_end(r);
    else if ((rc = fg_chat_run(c, p, &less, &other, &why)) == 0) {
        size_t n = 0;

        while (n < r->bytes && n < other.bytes && r->text[n] == other.text[n])
            n++;
        *out = n;
        fg_jinja_result_finish(&other);
    }
    fg_buffer_finish(&tools);
    return rc == FG_ENOMEM ? rc : 0; /* a template that does not take them has no such place */
}

static int find_marks(const struct fg_chat *c, const struct fg_chat_program *p,
                      const struct fg_chat_request *request, const struct fg_jinja_result *r,
                      struct fg_chat_text *t)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < request->n_marks && i < FG_CHAT_MARKS; i++) {
        const struct fg_chat_mark *m = &request->marks[i];

        if (m->kind == FG_CHAT_MARK_TOOL)
            rc = find_tool(c, p, request, r, m, &t->marks[i]);
        else if (m->index < request->n_messages)
            t->marks[i] = m->kind == FG_CHAT_MARK_TURN
                              ? turn_end(r, m->index)
                              : find_in_content(r, &request->messages[m->index], m);
    }
    return rc;
}

/* A template that writes no turns has none of these places. */
static void find_turns(const struct fg_jinja_result *r, const struct fg_chat_request *request,
                       size_t user, struct fg_chat_text *t)
{
    for (size_t i = 0; i < r->n_turns; i++) {
        const struct fg_jinja_range *turn = &r->turns[i];

        if (turn->message >= request->n_messages)
            continue;
        if (t->head_end == FG_CHAT_NOWHERE &&
            !fg_str_is(request->messages[turn->message].role, "system")) {
            t->head_end = turn->offset;
            t->first_end = turn->offset + turn->length;
        }
        if (turn->message == user && t->last_user == FG_CHAT_NOWHERE)
            t->last_user = turn->offset;
    }
}

int fg_chat_find_places(const struct fg_chat *c, const struct fg_chat_program *p,
                        const struct fg_chat_request *request, const struct fg_jinja_result *r,
                        struct fg_chat_text *out)
{
    size_t user = FG_CHAT_NOWHERE;

    out->head_end = out->first_end = out->last_user = out->last_part = FG_CHAT_NOWHERE;
    for (size_t i = 0; i < FG_CHAT_MARKS; i++)
        out->marks[i] = FG_CHAT_NOWHERE;
    for (size_t i = 0; i < request->n_messages; i++)
        if (fg_str_is(request->messages[i].role, "user"))
            user = i;
    find_turns(r, request, user, out);
    if (user != FG_CHAT_NOWHERE && request->messages[user].last_part > 0)
        out->last_part = find_part(r, &request->messages[user], user);
    return find_marks(c, p, request, r, out);
}
