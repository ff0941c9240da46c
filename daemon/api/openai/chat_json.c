/* The chat half of a request: messages, content parts, tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/json_in.h"
#include "request_json.h"
#include "text/tools/tool_calls.h"

/* Joins the text parts of `parts` into m's content. */
static int join_parts(const json_t *parts, const char *path, struct fg_job_message *m,
                      struct fg_http_error *e)
{
    size_t total = 0, at = 0, i;
    const json_t *part;
    char *joined;

    json_array_foreach(parts, i, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");

        if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
            return fg_http_fail(e, 400, path, NULL,
                                "%s[%zu]: found a part of type \"%.40s\", it must be {\"type\": "
                                "\"text\", \"text\": string}",
                                path, i, type ? type : "");
        total += json_string_length(text); /* bounded by the body's size */
    }
    joined = malloc(total + 1);
    if (!joined)
        return fg_json_nomem(e);
    json_array_foreach(parts, i, part)
    {
        const json_t *text = json_object_get(part, "text");

        m->last_part = at;
        memcpy(joined + at, json_string_value(text), json_string_length(text));
        at += json_string_length(text);
    }
    joined[at] = '\0';
    m->content = joined;
    m->content_bytes = at;
    return 0;
}

static int read_content(const json_t *message, const char *path, bool may_lack,
                        struct fg_job_message *m, struct fg_http_error *e)
{
    const json_t *content = fg_json_field(message, "content");
    char field[64], found[64];

    snprintf(field, sizeof field, "%s.content", path);
    if (json_is_string(content))
        return fg_json_copy(content, &m->content, &m->content_bytes, e);
    if (json_is_array(content))
        return join_parts(content, field, m, e);
    if (!content && may_lack) {
        m->content = calloc(1, 1);
        return m->content ? 0 : fg_json_nomem(e);
    }
    return fg_http_fail(e, 400, field, NULL,
                        "%s: found %s, it must be a string or an array of text parts", field,
                        fg_json_found(content, found));
}

/* The model's templates know system, user, assistant and tool. */
static const char *role_of(const char *role)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};

    if (strcmp(role, "developer") == 0)
        return "system";
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, roles[i]) == 0)
            return roles[i];
    return NULL;
}

/* Notes id -> function name of the calls in a message that came earlier than the tools' answers. */
static int note_calls(json_t *called, const json_t *calls, struct fg_http_error *e)
{
    const json_t *call;
    size_t i;

    json_array_foreach(calls, i, call)
    {
        const char *id = json_string_value(json_object_get(call, "id"));
        json_t *name = json_object_get(json_object_get(call, "function"), "name");

        if (id && json_is_string(name) && json_object_set(called, id, name) < 0)
            return fg_json_nomem(e);
    }
    return 0;
}

/* `name`, or for a tool's answer the name of the function that its call named. */
static int read_name(const json_t *message, const json_t *called, const char *path,
                     struct fg_job_message *m, struct fg_http_error *e)
{
    const json_t *name;
    char field[64], *id = NULL;
    int r;

    snprintf(field, sizeof field, "%s.name", path);
    r = fg_json_text(message, "name", field, &m->name, e);
    if (r || m->name)
        return r;
    snprintf(field, sizeof field, "%s.tool_call_id", path);
    r = fg_json_text(message, "tool_call_id", field, &id, e);
    if (!r && id) {
        name = json_object_get(called, id);
        if (json_is_string(name) &&
            !memchr(json_string_value(name), '\0', json_string_length(name)))
            r = fg_json_copy(name, &m->name, NULL, e);
    }
    free(id);
    return r;
}

static int append_calls(const json_t *calls, const char *path, struct fg_job_message *m,
                        struct fg_http_error *e)
{
    struct fg_err err = {0};
    char field[64];
    int rc = fg_tool_calls_append(calls, &m->content, &m->content_bytes, &err);

    snprintf(field, sizeof field, "%s.tool_calls", path);
    if (rc == FG_ENOMEM)
        return fg_json_nomem(e);
    return rc ? fg_http_fail(e, 400, field, NULL, "%s%s", field, err.text) : 0;
}

static int read_message(const json_t *message, const char *path, json_t *called,
                        struct fg_job_message *m, struct fg_http_error *e)
{
    const json_t *role, *calls;
    char field[64], found[64];
    const char *known;
    int r;

    if (!json_is_object(message))
        return fg_http_fail(e, 400, path, NULL, "%s: found %s, it must be an object", path,
                            fg_json_found(message, found));
    role = json_object_get(message, "role");
    known = json_is_string(role) ? role_of(json_string_value(role)) : NULL;
    snprintf(field, sizeof field, "%s.role", path);
    if (!known)
        return fg_http_fail(e, 400, field, NULL,
                            "%s: found %s, it must be system, developer, user, assistant or tool",
                            field, fg_json_found(role, found));
    m->role = strdup(known);
    if (!m->role)
        return fg_json_nomem(e);
    calls = strcmp(known, "assistant") == 0 ? fg_json_field(message, "tool_calls") : NULL;
    r = read_content(message, path, strcmp(known, "assistant") == 0, m, e);
    if (!r)
        r = read_name(message, called, path, m, e);
    if (!r && calls)
        r = append_calls(calls, path, m, e);
    return r || !calls ? r : note_calls(called, calls, e);
}

static int read_messages(const json_t *body, struct fg_job_request *job, struct fg_http_error *e)
{
    const json_t *messages = fg_json_field(body, "messages");
    size_t n = json_array_size(messages);
    char path[32], found[64];
    json_t *called;
    int r = 0;

    if (!json_is_array(messages))
        return fg_http_fail(e, 400, "messages", NULL,
                            "messages: found %s, it must be an array of messages",
                            messages ? fg_json_found(messages, found) : "nothing");
    if (!n)
        return fg_http_fail(e, 400, "messages", NULL,
                            "messages: found an empty array, it must hold at least one message");
    job->messages = calloc(n, sizeof *job->messages);
    called = json_object();
    if (!job->messages || !called) {
        json_decref(called);
        return fg_json_nomem(e);
    }
    job->n_messages = n;
    for (size_t i = 0; i < n && !r; i++) {
        snprintf(path, sizeof path, "messages[%zu]", i);
        r = read_message(json_array_get(messages, i), path, called, &job->messages[i], e);
    }
    json_decref(called);
    return r;
}

/* "auto" or absent: the model decides; "none": it does not see the tools. */
static int read_tool_choice(const json_t *body, bool *hide, struct fg_http_error *e)
{
    const json_t *choice = fg_json_field(body, "tool_choice");
    const char *s = json_string_value(choice);
    char found[64];

    *hide = s && strcmp(s, "none") == 0;
    if (choice && !*hide && !(s && strcmp(s, "auto") == 0))
        return fg_http_fail(e, 400, "tool_choice", "unsupported_parameter",
                            "tool_choice: found %s, it must be \"auto\" or \"none\": a call cannot "
                            "be forced",
                            fg_json_found(choice, found));
    return 0;
}

static int read_tools(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    const json_t *tools = fg_json_field(body, "tools"), *tool;
    char path[32], found[64];
    bool hide;
    size_t i;
    int r = read_tool_choice(body, &hide, e);

    if (r || !tools)
        return r;
    if (!json_is_array(tools))
        return fg_http_fail(e, 400, "tools", NULL, "tools: found %s, it must be an array",
                            fg_json_found(tools, found));
    json_array_foreach(tools, i, tool)
    {
        const char *type = json_string_value(json_object_get(tool, "type"));
        const json_t *name = json_object_get(json_object_get(tool, "function"), "name");

        snprintf(path, sizeof path, "tools[%zu]", i);
        if (!type || strcmp(type, "function") != 0 || !json_is_string(name))
            return fg_http_fail(e, 400, path, NULL,
                                "%s: it must be {\"type\": \"function\", \"function\": {\"name\": "
                                "string, ...}}",
                                path);
    }
    if (hide || !json_array_size(tools))
        return 0;
    /* jansson keeps the order of members, so equal requests make equal prompts. */
    out->job.tools_json = json_dumps(tools, JSON_COMPACT);
    out->tools = true;
    return out->job.tools_json ? 0 : fg_json_nomem(e);
}

int fg_api_request_chat(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    int r = read_tools(body, out, e);

    out->job.kind = FG_PROMPT_CHAT;
    return r ? r : read_messages(body, &out->job, e);
}
