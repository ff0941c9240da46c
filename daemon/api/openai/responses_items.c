/* The items of a conversation: messages, calls, what tools answered, reasoning. */
#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "api/common/hint_json.h"
#include "base/json_scan.h"
#include "http/json_in.h"
#include "responses_request.h"

/* What the messages are made of, one behind the other. */
struct writing {
    struct fg_buffer *messages;
    struct fg_chat_draft now;
    char path[96]; /* of the item or part at hand */
    struct fg_http_error *e;
};

bool fg_responses_find(struct fg_str object, const char *name, struct fg_str *value)
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

static int refuse(struct writing *w, const char *right)
{
    return fg_http_fail(w->e, 400, w->path, NULL, "%s: it must be %s", w->path, right);
}

/* The message at hand is of that role from here on. */
static void turn_to(struct writing *w, const char *role)
{
    if (fg_chat_any(&w->now) && strcmp(w->now.role, role) != 0)
        fg_chat_draft_end(&w->now, w->messages);
    w->now.role = role;
}

static bool is_text(struct fg_str part, struct fg_str *text)
{
    static const char *const types[] = {"input_text", "output_text", "text", "reasoning_text",
                                        "summary_text"};
    struct fg_str type;

    if (!begins(part, '{') || !fg_responses_find(part, "type", &type) ||
        !fg_responses_find(part, "text", text) || !begins(*text, '"'))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (fg_scan_is(type, types[i]))
            return true;
    return false;
}

static int refuse_part(struct writing *w, struct fg_str part)
{
    struct fg_str type = {"", 0};

    if (begins(part, '{') && fg_responses_find(part, "type", &type) &&
        (fg_scan_is(type, "input_image") || fg_scan_is(type, "input_file") ||
         fg_scan_is(type, "input_audio")))
        return fg_http_fail(w->e, 400, w->path, NULL,
                            "%s: found a part of type %.*s: the model reads text alone", w->path,
                            (int)type.n, type.p);
    return refuse(w, "{\"type\": \"input_text\" or \"output_text\", \"text\": string}");
}

/* Where the part says that its end comes again. */
static int hint(struct writing *w, struct fg_str part)
{
    struct fg_str value;
    uint32_t seconds = 0;
    char path[sizeof w->path + 32];
    int rc;

    if (!fg_responses_find(part, FG_HINT_OPENAI, &value))
        return 0;
    snprintf(path, sizeof path, "%s." FG_HINT_OPENAI, w->path);
    rc = fg_hint_check(value, FG_HINT_OPENAI, path, &seconds, w->e);
    fg_chat_part_member(&w->now, FG_HINT_OPENAI, value);
    return rc;
}

/* A string, or a list of parts. */
static int content(struct writing *w, struct fg_str content)
{
    struct fg_scan s = {.text = content};
    char path[sizeof w->path];
    struct fg_str text;

    if (begins(content, '"')) {
        fg_chat_part(&w->now, content);
        return 0;
    }
    if (!begins(content, '['))
        return refuse(w, "a string or an array of parts");
    memcpy(path, w->path, sizeof path);
    for (size_t i = 0; fg_scan_next(&s); i++) {
        snprintf(w->path, sizeof w->path, "%.80s[%zu]", path, i);
        if (!is_text(s.value, &text))
            return refuse_part(w, s.value);
        fg_chat_part(&w->now, text);
        if (hint(w, s.value))
            return FG_EINVAL;
    }
    return 0;
}

static int message(struct writing *w, struct fg_str item, struct fg_str role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant"};
    const char *known = NULL;
    struct fg_str value;

    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (fg_scan_is(role, roles[i]))
            known = roles[i];
    if (!known || !fg_responses_find(item, "content", &value))
        return refuse(w, "a message with the role user, assistant, system or developer, and "
                         "content");
    if (strcmp(known, "developer") == 0)
        known = "system";
    turn_to(w, known);
    /* Instructions that follow each other are one message, as templates want it. */
    if (w->now.parts.n && strcmp(known, "system") == 0)
        fg_chat_part(&w->now, (struct fg_str){"\"\\n\\n\"", 6});
    else if (fg_chat_any(&w->now) && strcmp(known, "user") == 0)
        fg_chat_draft_end(&w->now, w->messages);
    return content(w, value);
}

static int call(struct writing *w, struct fg_str item)
{
    struct fg_str id, name, arguments;

    if (!fg_responses_find(item, "call_id", &id) || !begins(id, '"') ||
        !fg_responses_find(item, "name", &name) || !begins(name, '"') ||
        !fg_responses_find(item, "arguments", &arguments) || !begins(arguments, '"'))
        return refuse(w, "{\"type\": \"function_call\", \"call_id\": string, \"name\": string, "
                         "\"arguments\": string}");
    turn_to(w, "assistant");
    fg_chat_call(&w->now, id, name, arguments);
    return 0;
}

static int call_output(struct writing *w, struct fg_str item)
{
    struct fg_str id, output;
    int rc;

    if (!fg_responses_find(item, "call_id", &id) || !begins(id, '"') ||
        !fg_responses_find(item, "output", &output))
        return refuse(w, "{\"type\": \"function_call_output\", \"call_id\": string, \"output\": "
                         "string or parts}");
    if (fg_chat_any(&w->now))
        fg_chat_draft_end(&w->now, w->messages);
    w->now.role = "tool";
    fg_buffer_view(&w->now.call_id, id);
    rc = content(w, output);
    if (rc == 0)
        fg_chat_draft_end(&w->now, w->messages);
    return rc;
}

/* What it was thinking, or else a summary of it; what is encrypted nobody here can read. */
static void reasoning(struct writing *w, struct fg_str item)
{
    struct fg_str list, text;
    struct fg_scan s = {.text = {"", 0}};

    if (fg_chat_any(&w->now) && w->now.calls.n)
        fg_chat_draft_end(&w->now, w->messages);
    turn_to(w, "assistant");
    if (fg_responses_find(item, "content", &list) || fg_responses_find(item, "summary", &list))
        s.text = list;
    while (fg_scan_next(&s))
        if (is_text(s.value, &text))
            fg_chat_thought(&w->now, text);
}

static int one_item(struct writing *w, struct fg_str item)
{
    struct fg_str type = {"", 0}, role;

    if (!begins(item, '{'))
        return refuse(w, "an object");
    if (fg_responses_find(item, "type", &type) && fg_scan_is(type, "function_call"))
        return call(w, item);
    if (fg_scan_is(type, "function_call_output"))
        return call_output(w, item);
    if (fg_scan_is(type, "reasoning")) {
        reasoning(w, item);
        return 0;
    }
    if (fg_scan_is(type, "web_search_call"))
        return 0; /* what it found stands in the message behind it */
    if ((!type.n || fg_scan_is(type, "message")) && fg_responses_find(item, "role", &role))
        return message(w, item, role);
    return fg_http_fail(w->e, 400, w->path, "unsupported_parameter",
                        "%s.type: found %.*s, it must be message, function_call, "
                        "function_call_output or reasoning",
                        w->path, (int)(type.n < 40 ? type.n : 40), type.n ? type.p : "nothing");
}

static int items(struct writing *w, struct fg_str list, const char *name)
{
    struct fg_scan s = {.text = list};
    int rc = 0;

    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++) {
        snprintf(w->path, sizeof w->path, "%s[%zu]", name, i);
        rc = one_item(w, s.value);
    }
    return rc;
}

/* Items of before, which stand without their brackets. */
static int earlier(struct writing *w, struct fg_str before)
{
    struct fg_buffer list = {0};
    int rc;

    fg_buffer_str(&list, "[");
    fg_buffer_view(&list, before);
    fg_buffer_str(&list, "]");
    rc = list.failed ? fg_json_nomem(w->e)
                     : items(w, (struct fg_str){list.p, list.n}, "previous_response_id: item");
    fg_buffer_finish(&list);
    return rc;
}

int fg_responses_messages(struct fg_str body, struct fg_str before, struct fg_buffer *messages,
                          struct fg_http_error *e)
{
    struct writing w = {.messages = messages, .e = e};
    struct fg_str given;
    int rc = 0;

    snprintf(w.path, sizeof w.path, "instructions");
    if (fg_responses_find(body, "instructions", &given)) {
        w.now.role = "system";
        rc = begins(given, '"') ? content(&w, given) : items(&w, given, "instructions");
    }
    if (rc == 0 && before.n)
        rc = earlier(&w, before);
    snprintf(w.path, sizeof w.path, "input");
    if (rc == 0 && !fg_responses_find(body, "input", &given))
        rc = before.n ? 0 : refuse(&w, "a string or an array of items");
    else if (rc == 0 && begins(given, '[')) {
        rc = items(&w, given, "input");
    } else if (rc == 0) {
        if (fg_chat_any(&w.now))
            fg_chat_draft_end(&w.now, messages);
        w.now.role = "user";
        rc = begins(given, '"') ? content(&w, given) : refuse(&w, "a string or an array of items");
    }
    if (rc == 0 && fg_chat_any(&w.now))
        fg_chat_draft_end(&w.now, messages);
    fg_chat_draft_finish(&w.now);
    return rc;
}
