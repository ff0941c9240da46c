/* Messages and their blocks. */
#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "api/common/hint_json.h"
#include "base/json_scan.h"
#include "http/json_in.h"
#include "request.h"

#define BILLING "\"x-anthropic-billing-header:"

/* What the messages are made of, one behind the other. */
struct writing {
    struct fg_buffer *messages;
    struct fg_chat_draft now;
    char path[96]; /* of the message or block at hand */
    bool skip_billing;
    struct fg_anthropic_hints *hints;
    struct fg_http_error *e;
};

bool fg_anthropic_find(struct fg_str object, const char *name, struct fg_str *value)
{
    *value = (struct fg_str){"", 0};
    if (fg_scan_find(object, name, value) && !(value->n == 4 && memcmp(value->p, "null", 4) == 0))
        return true;
    *value = (struct fg_str){"", 0};
    return false;
}

static bool begins(struct fg_str v, char c)
{
    return v.n && v.p[0] == c;
}

static void flush(struct writing *w)
{
    if (fg_chat_any(&w->now))
        fg_chat_draft_end(&w->now, w->messages);
}

static int refuse(struct writing *w, const char *right)
{
    return fg_http_fail(w->e, 400, w->path, NULL, "%s: it must be %s", w->path, right);
}

/* A block of a kind that is not taken here. */
static int refuse_block(struct writing *w, struct fg_str type, const char *taken)
{
    if (fg_scan_is(type, "image") || fg_scan_is(type, "document"))
        return fg_http_fail(w->e, 400, w->path, NULL,
                            "%s: found a block of type %.*s: the model reads text alone", w->path,
                            (int)type.n, type.p);
    return fg_http_fail(w->e, 400, w->path, NULL,
                        "%s: found a block of type %.*s, it must be one of %s", w->path,
                        (int)(type.n < 40 ? type.n : 40), type.n ? type.p : "", taken);
}

static int text_block(struct writing *w, struct fg_str block)
{
    struct fg_str text, control;
    int rc;

    if (!fg_anthropic_find(block, "text", &text) || !begins(text, '"'))
        return refuse(w, "{\"type\": \"text\", \"text\": string}");
    rc = fg_anthropic_hint(w->hints, block, w->path, &control, w->e);
    fg_chat_part(&w->now, text);
    if (control.n)
        fg_chat_part_member(&w->now, FG_HINT_ANTHROPIC, control);
    return rc;
}

/* A block that is no part of a text: where its message ends. */
static int whole_block(struct writing *w, struct fg_str block)
{
    struct fg_str control;
    int rc = fg_anthropic_hint(w->hints, block, w->path, &control, w->e);

    if (control.n)
        fg_chat_hint(&w->now, FG_HINT_ANTHROPIC, control);
    return rc;
}

static int no_hint(struct writing *w, struct fg_str block)
{
    struct fg_str control;

    return fg_anthropic_find(block, FG_HINT_ANTHROPIC, &control)
               ? fg_http_fail(w->e, 400, w->path, NULL,
                              "%s.cache_control: it must be absent: thinking takes none", w->path)
               : 0;
}

/* The client says who pays, with a number that changes: a prompt that began with it would never be
 * found again. */
static bool is_billing(struct fg_str text)
{
    return text.n >= sizeof BILLING - 1 && memcmp(text.p, BILLING, sizeof BILLING - 1) == 0;
}

bool fg_anthropic_bills(struct fg_str body, const struct fg_anthropic_options *opt)
{
    struct fg_str whole = {"", 0}, system, text;
    struct fg_scan s = {.text = {"", 0}};

    (void)fg_scan_whole(body, &whole);
    if (opt->keep_billing || !fg_anthropic_find(whole, "system", &system) || !begins(system, '['))
        return false;
    s.text = system;
    return fg_scan_next(&s) && begins(s.value, '{') && fg_anthropic_find(s.value, "text", &text) &&
           is_billing(text);
}

/* A list of text blocks, or a string, as parts of the message at hand. */
static int plain_content(struct writing *w, struct fg_str content, const char *before)
{
    struct fg_scan s = {.text = content};
    struct fg_str type, text, control;
    char path[sizeof w->path];
    int rc = 0;

    if (begins(content, '"')) {
        fg_chat_part_after(&w->now, before, content);
        return 0;
    }
    if (!begins(content, '['))
        return refuse(w, "a string or an array of text blocks");
    memcpy(path, w->path, sizeof path);
    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++) {
        snprintf(w->path, sizeof w->path, "%.80s[%zu]", path, i);
        if (!begins(s.value, '{') || !fg_anthropic_find(s.value, "type", &type))
            rc = refuse(w, "a block");
        else if (!fg_scan_is(type, "text"))
            rc = refuse_block(w, type, "text");
        else if (!fg_anthropic_find(s.value, "text", &text) || !begins(text, '"'))
            rc = refuse(w, "{\"type\": \"text\", \"text\": string}");
        else if ((rc = fg_anthropic_hint(w->hints, s.value, w->path, &control, w->e)) == 0 &&
                 (i || !w->skip_billing || !is_billing(text))) {
            fg_chat_part_after(&w->now, i ? "" : before, text);
            if (control.n)
                fg_chat_part_member(&w->now, FG_HINT_ANTHROPIC, control);
        }
    }
    memcpy(w->path, path, sizeof path);
    return rc;
}

/* A tool's answer is a message of its own. */
static int tool_result(struct writing *w, struct fg_str block)
{
    struct fg_str id, content, error;
    bool failed = fg_anthropic_find(block, "is_error", &error) && begins(error, 't');
    int rc = 0;

    if (!fg_anthropic_find(block, "tool_use_id", &id) || !begins(id, '"'))
        return refuse(w, "{\"type\": \"tool_result\", \"tool_use_id\": string, ...}");
    flush(w);
    w->now.role = "tool";
    fg_buffer_view(&w->now.call_id, id);
    if (fg_anthropic_find(block, "content", &content))
        rc = plain_content(w, content, failed ? "Error: " : "");
    else if (failed)
        fg_chat_part_after(&w->now, "Error", (struct fg_str){"\"\"", 2});
    if (rc == 0)
        rc = whole_block(w, block);
    if (rc == 0)
        flush(w);
    w->now.role = "user";
    return rc;
}

static int user_block(struct writing *w, struct fg_str type, struct fg_str block)
{
    if (fg_scan_is(type, "text"))
        return text_block(w, block);
    if (fg_scan_is(type, "tool_result"))
        return tool_result(w, block);
    return refuse_block(w, type, "text, tool_result");
}

static int assistant_block(struct writing *w, struct fg_str type, struct fg_str block)
{
    struct fg_str id, name, input;

    if (fg_scan_is(type, "text"))
        return text_block(w, block);
    if (fg_scan_is(type, "redacted_thinking"))
        return no_hint(w, block); /* nobody here can read it */
    if (fg_scan_is(type, "thinking")) {
        if (!fg_anthropic_find(block, "thinking", &input) || !begins(input, '"'))
            return refuse(w, "{\"type\": \"thinking\", \"thinking\": string, ...}");
        fg_chat_thought(&w->now, input);
        return no_hint(w, block);
    }
    if (!fg_scan_is(type, "tool_use"))
        return refuse_block(w, type, "text, thinking, redacted_thinking, tool_use");
    if (!fg_anthropic_find(block, "id", &id) || !begins(id, '"') ||
        !fg_anthropic_find(block, "name", &name) || !begins(name, '"') ||
        !fg_anthropic_find(block, "input", &input) || !begins(input, '{'))
        return refuse(w, "{\"type\": \"tool_use\", \"id\": string, \"name\": string, \"input\": "
                         "object}");
    fg_chat_call(&w->now, id, name, input);
    return whole_block(w, block);
}

static int message_blocks(struct writing *w, struct fg_str content, size_t number)
{
    struct fg_scan s = {.text = content};
    const bool assistant = strcmp(w->now.role, "assistant") == 0;
    struct fg_str type;
    int rc = 0;

    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++) {
        snprintf(w->path, sizeof w->path, "messages[%zu].content[%zu]", number, i);
        if (!begins(s.value, '{') || !fg_anthropic_find(s.value, "type", &type))
            rc = refuse(w, "a block with a type");
        else
            rc = assistant ? assistant_block(w, type, s.value) : user_block(w, type, s.value);
    }
    return rc;
}

static const char *role_of(struct fg_str message)
{
    static const char *const roles[] = {"user", "assistant", "system"};
    struct fg_str role;

    if (!fg_anthropic_find(message, "role", &role))
        return NULL;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (fg_scan_is(role, roles[i]))
            return roles[i];
    return NULL;
}

static int one_message(struct writing *w, struct fg_str message, size_t number)
{
    struct fg_str content;
    const char *role = begins(message, '{') ? role_of(message) : NULL;

    snprintf(w->path, sizeof w->path, "messages[%zu].role", number);
    if (!role)
        return refuse(w, "user or assistant (or system)");
    snprintf(w->path, sizeof w->path, "messages[%zu].content", number);
    if (!fg_anthropic_find(message, "content", &content))
        return refuse(w, "a string or an array of blocks");
    /* Messages of one role that follow each other are one turn. */
    if (fg_chat_any(&w->now) && strcmp(w->now.role, role) != 0)
        flush(w);
    else if (w->now.parts.n)
        fg_chat_part(&w->now, (struct fg_str){"\"\\n\\n\"", 6});
    w->now.role = role;
    if (begins(content, '[') && strcmp(role, "system") != 0)
        return message_blocks(w, content, number);
    return plain_content(w, content, "");
}

static int system_message(struct writing *w, struct fg_str system, bool keep_billing)
{
    int rc;

    snprintf(w->path, sizeof w->path, "system");
    w->now.role = "system";
    w->skip_billing = !keep_billing;
    rc = plain_content(w, system, "");
    w->skip_billing = false;
    if (rc == 0)
        flush(w);
    return rc;
}

/* Whether the model goes on with that message: an answer's text. */
static bool is_begun(struct fg_str message)
{
    struct fg_str content, type = {"", 0};
    struct fg_scan blocks = {.text = {"", 0}};

    if (strcmp(role_of(message), "assistant") != 0 ||
        !fg_anthropic_find(message, "content", &content))
        return false;
    blocks.text = content;
    while (begins(content, '[') && fg_scan_next(&blocks))
        (void)fg_anthropic_find(blocks.value, "type", &type);
    return begins(content, '"') || fg_scan_is(type, "text");
}

int fg_anthropic_messages(struct fg_str body, const struct fg_anthropic_options *opt,
                          struct fg_anthropic_hints *hints, struct fg_buffer *messages,
                          bool *goes_on, struct fg_http_error *e)
{
    struct writing w = {.messages = messages, .hints = hints, .e = e};
    struct fg_str list, system;
    struct fg_scan s = {.text = {"", 0}};
    size_t n = 0;
    int rc = 0;

    if (fg_anthropic_find(body, "system", &system))
        rc = system_message(&w, system, opt->keep_billing);
    snprintf(w.path, sizeof w.path, "messages");
    if (rc == 0 && (!fg_anthropic_find(body, "messages", &list) || !begins(list, '[')))
        rc = refuse(&w, "an array of messages");
    if (rc == 0)
        s.text = list;
    for (; rc == 0 && fg_scan_next(&s); n++) {
        rc = one_message(&w, s.value, n);
        *goes_on = rc == 0 && is_begun(s.value);
    }
    flush(&w);
    if (rc == 0 && !n) {
        snprintf(w.path, sizeof w.path, "messages");
        rc = refuse(&w, "an array with at least one message");
    }
    fg_chat_draft_finish(&w.now);
    return rc;
}
