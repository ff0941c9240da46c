/* The chat half of a request: messages, content parts, tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common/hint_json.h"
#include "base/json_scan.h"
#include "http/json_in.h"
#include "request_json.h"
#include "text/tools/tool_calls.h"

enum { MAX_VARIABLES = 48 }; /* of chat_template_kwargs */

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

static int check_calls(const json_t *calls, const char *path, struct fg_http_error *e)
{
    const json_t *call;
    char field[64];
    size_t i;

    snprintf(field, sizeof field, "%s.tool_calls", path);
    if (!json_is_array(calls))
        return fg_http_fail(e, 400, field, NULL, "%s: it must be an array", field);
    json_array_foreach(calls, i, call)
    {
        const json_t *function = json_object_get(call, "function");
        const json_t *name = json_object_get(function, "name");
        const json_t *arguments = json_object_get(function, "arguments");

        if (!json_is_string(name) || !json_is_string(arguments))
            return fg_http_fail(e, 400, field, NULL,
                                "%s[%zu]: it must be {\"function\": {\"name\": string, "
                                "\"arguments\": string}}",
                                field, i);
        if (!fg_tool_arguments_fit(
                (struct fg_str){json_string_value(arguments), json_string_length(arguments)}))
            return fg_http_fail(
                e, 400, field, NULL,
                "%s[%zu].function.arguments: at most %d bytes with %d arrays and objects are read",
                field, i, FG_ARGUMENTS_MAX_BYTES, FG_ARGUMENTS_MAX_CONTAINERS);
    }
    return 0;
}

/* A copy of a part of the body's text; NULL where it is empty. */
static int copy_text(struct fg_str part, char **out, struct fg_http_error *e)
{
    if (!part.n)
        return 0;
    *out = strndup(part.p, part.n);
    return *out ? 0 : fg_json_nomem(e);
}

static bool is_ours(struct fg_str name)
{
    return fg_scan_is(name, "role") || fg_scan_is(name, "content") || fg_scan_is(name, "name") ||
           fg_scan_is(name, "tool_calls") || fg_hint_is(name);
}

/* What the template gets of the message as it was written: calls, and members that are of no
 * concern here. */
static int read_text(struct fg_str text, bool calls, struct fg_job_message *m,
                     struct fg_http_error *e)
{
    struct fg_scan s = {.text = text};
    struct fg_buffer extra = {0};
    struct fg_str list = {"", 0};

    while (fg_scan_next(&s)) {
        if (is_ours(s.name))
            continue;
        fg_buffer_str(&extra, extra.n ? ", " : "{");
        fg_buffer_view(&extra, s.name);
        fg_buffer_str(&extra, ": ");
        fg_buffer_view(&extra, s.value);
    }
    if (extra.n)
        fg_buffer_str(&extra, "}");
    m->extra_json = extra.p;
    if (extra.failed)
        return fg_json_nomem(e);
    if (calls && fg_scan_find(text, "tool_calls", &list))
        return copy_text(list, &m->calls_json, e);
    return 0;
}

/* A message, and the text that it was parsed from. */
struct source {
    const json_t *json;
    struct fg_str text;
};

static int read_message(struct source source, const char *path, json_t *called,
                        struct fg_job_message *m, struct fg_http_error *e)
{
    const json_t *message = source.json;
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
        r = check_calls(calls, path, e);
    if (!r)
        r = read_text(source.text, json_array_size(calls) > 0, m, e);
    return r || !calls ? r : note_calls(called, calls, e);
}

static int read_messages(const json_t *body, struct fg_str text, struct fg_job_request *job,
                         struct fg_http_error *e)
{
    struct fg_scan scan = {.text = {"", 0}};
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
    (void)fg_scan_find(text, "messages", &scan.text);
    for (size_t i = 0; i < n && !r; i++) {
        struct source source = {.json = json_array_get(messages, i)};

        snprintf(path, sizeof path, "messages[%zu]", i);
        if (fg_scan_next(&scan))
            source.text = scan.value;
        r = read_message(source, path, called, &job->messages[i], e);
    }
    json_decref(called);
    return r;
}

/* What tool_choice says: none where it is absent, or "auto". */
struct tool_choice {
    bool hide;        /* the model does not see the tools */
    bool call;        /* the answer is a call, or some */
    const char *name; /* of that tool; NULL: of any */
};

static int read_tool_choice(const json_t *body, struct tool_choice *out, struct fg_http_error *e)
{
    const json_t *choice = fg_json_field(body, "tool_choice");
    const json_t *function = json_object_get(choice, "function");
    const char *s = json_string_value(choice), *type;
    char found[64];

    type = json_string_value(json_object_get(choice, "type"));
    *out = (struct tool_choice){.hide = s && strcmp(s, "none") == 0,
                                .call = s && strcmp(s, "required") == 0};
    if (!choice || out->hide || out->call || (s && strcmp(s, "auto") == 0))
        return 0;
    out->call = type && strcmp(type, "function") == 0;
    out->name = json_string_value(json_object_get(function, "name"));
    if (out->call && out->name)
        return 0;
    return fg_http_fail(e, 400, "tool_choice", "unsupported_parameter",
                        "tool_choice: found %s, it must be \"auto\", \"none\", \"required\" or "
                        "{\"type\": \"function\", \"function\": {\"name\": string}}",
                        fg_json_found(choice, found));
}

/* The answer is of that form of calls of these tools (a part of the body's text). */
static int set_calls(const json_t *body, const struct tool_choice *choice, struct fg_str tools,
                     struct fg_job_request *job, struct fg_http_error *e)
{
    struct fg_buffer text = {0};
    bool many = !choice->name && !json_is_false(fg_json_field(body, "parallel_tool_calls"));

    fg_buffer_str(&text, "{\"name\": ");
    if (choice->name)
        fg_scan_quote((struct fg_str){choice->name, strlen(choice->name)}, &text);
    else
        fg_buffer_str(&text, "null");
    fg_buffer_str(&text, many ? ", \"many\": true" : ", \"many\": false");
    fg_buffer_str(&text, ", \"tools\": ");
    fg_buffer_view(&text, tools);
    fg_buffer_str(&text, "}");
    job->form_text = text.p;
    job->form_bytes = text.n;
    job->form = choice->call ? FG_FORM_CALLS : FG_FORM_GUARDED;
    return text.failed ? fg_json_nomem(e) : 0;
}

/* Where the model need not call: a strict tool's arguments are held to its parameters, and the
 * calls to one where there is to be no other. Another form of the answer has no calls at all. */
static bool guards_calls(const json_t *body, const json_t *tools, const struct fg_job_request *job)
{
    bool guards = json_is_false(fg_json_field(body, "parallel_tool_calls"));
    const json_t *tool;
    size_t i;

    json_array_foreach(tools, i, tool) guards =
        guards || json_is_true(json_object_get(json_object_get(tool, "function"), "strict"));
    return guards && !job->form;
}

static int read_tools(const json_t *body, struct fg_str text, struct fg_api_request *out,
                      struct fg_http_error *e)
{
    struct fg_str list = {"", 0};
    const json_t *tools = fg_json_field(body, "tools"), *tool;
    struct tool_choice choice;
    char path[32], found[64];
    size_t i;
    int r = read_tool_choice(body, &choice, e);

    if (r || (!tools && !choice.call))
        return r;
    if (choice.call && !(json_is_array(tools) && json_array_size(tools)))
        return fg_http_fail(e, 400, "tool_choice", NULL,
                            "tool_choice: found %s, it needs tools that can be called",
                            fg_json_found(fg_json_field(body, "tool_choice"), found));
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
    if (choice.hide || !json_array_size(tools))
        return 0;
    out->tools = true;
    (void)fg_scan_find(text, "tools", &list);
    if (fg_hint_strip_tools(list, &out->job.tools_json))
        return fg_json_nomem(e);
    if (out->job.tools_json)
        list = (struct fg_str){out->job.tools_json, strlen(out->job.tools_json)};
    if (choice.call && out->job.form)
        return fg_http_fail(e, 400, "tool_choice", NULL,
                            "tool_choice: another field gives the answer's form already");
    if (choice.call || guards_calls(body, tools, &out->job))
        r = set_calls(body, &choice, list, &out->job, e);
    return r || out->job.tools_json ? r : copy_text(list, &out->job.tools_json, e);
}

/* Variables that a template gets from elsewhere, or that would undo what the request says. */
static bool is_taken(const char *name)
{
    static const char *const names[] = {
        "messages",  "tools",    "add_generation_prompt",  "bos_token",    "eos_token", "unk_token",
        "pad_token", "tokenize", "continue_final_message", "chat_template"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int read_variables(const json_t *body, struct fg_str text, struct fg_job_request *job,
                          struct fg_http_error *e)
{
    json_t *given = fg_json_field(body, "chat_template_kwargs"), *v;
    struct fg_str object = {"", 0};
    const char *name;
    char found[64];

    if (!given)
        return 0;
    if (!json_is_object(given) || json_object_size(given) > MAX_VARIABLES)
        return fg_http_fail(e, 400, "chat_template_kwargs", NULL,
                            "chat_template_kwargs: found %s, it must be an object with at most %d "
                            "members",
                            fg_json_found(given, found), MAX_VARIABLES);
    json_object_foreach(given, name, v) if (is_taken(name)) return fg_http_fail(
        e, 400, "chat_template_kwargs", "unsupported_parameter",
        "chat_template_kwargs.%s: it must be absent: the variable has its value from elsewhere",
        name);
    (void)fg_scan_find(text, "chat_template_kwargs", &object);
    return copy_text(object, &job->variables_json, e);
}

/* Whether the prompt ends with the header of an answer, with the last message, or inside of it. */
static int read_end(const json_t *body, struct fg_job_request *job, struct fg_http_error *e)
{
    bool header = true, go_on = false;
    int r = fg_json_bool(body, "continue_final_message", &go_on, e);

    header = !go_on;
    if (!r)
        r = fg_json_bool(body, "add_generation_prompt", &header, e);
    if (!r && header && go_on)
        r = fg_http_fail(e, 400, "continue_final_message", NULL,
                         "continue_final_message: found true, it must be false where "
                         "add_generation_prompt is true: one begins a message, the other goes on "
                         "with one");
    job->no_answer_header = !header;
    job->continue_final = go_on;
    return r;
}

/* As llama.cpp has it: "none" leaves all in the content. */
static int read_reasoning(const json_t *body, bool *as_text, struct fg_http_error *e)
{
    const json_t *format = fg_json_field(body, "reasoning_format");
    const char *s = json_string_value(format);
    char found[64];

    *as_text = s && strcmp(s, "none") == 0;
    if (format && !*as_text && !(s && (strcmp(s, "auto") == 0 || strcmp(s, "deepseek") == 0)))
        return fg_http_fail(e, 400, "reasoning_format", "unsupported_parameter",
                            "reasoning_format: found %s, it must be \"auto\", \"deepseek\" or "
                            "\"none\"",
                            fg_json_found(format, found));
    return 0;
}

int fg_api_request_chat(const json_t *body, struct fg_str text, struct fg_api_request *out,
                        struct fg_http_error *e)
{
    struct fg_str whole = {"", 0};
    int r;

    (void)fg_scan_whole(text, &whole);
    out->job.kind = FG_PROMPT_CHAT;
    r = read_reasoning(body, &out->reasoning_as_text, e);
    if (!r)
        r = read_tools(body, whole, out, e);
    if (!r)
        r = read_variables(body, whole, &out->job, e);
    if (!r)
        r = read_end(body, &out->job, e);
    return r ? r : read_messages(body, whole, &out->job, e);
}
