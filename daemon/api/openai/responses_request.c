#include "responses_request.h"

#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "base/json_scan.h"
#include "http/json_in.h"

#define LIT(text) ((struct fg_str){text, sizeof text - 1})

/* Members of the body that are not a chat's of the same name. */
enum use {
    OURS,    /* read below */
    NOTHING, /* changes no answer here */
    NEVER,   /* not known, or not done: refused */
};

static const struct {
    const char *name;
    enum use use;
} members[] = {
    {"input", OURS},
    {"instructions", OURS},
    {"tools", OURS},
    {"tool_choice", OURS},
    {"max_output_tokens", OURS},
    {"reasoning", OURS},
    {"text", OURS},
    {"previous_response_id", OURS},
    {"store", OURS},
    {"chat_template_kwargs", OURS},
    {"metadata", NOTHING},
    {"client_metadata", NOTHING},
    {"include", NOTHING},
    {"user", NOTHING},
    {"safety_identifier", NOTHING},
    {"prompt_cache_key", NOTHING},
    {"prompt_cache_retention", NOTHING},
    {"prompt_cache_options", NOTHING},
    {"service_tier", NOTHING},
    {"stream_options", NOTHING},
    {"max_tool_calls", NOTHING},
    {"parallel_tool_calls", NOTHING},
    {"truncation", NOTHING},
    {"background", NEVER},
    {"conversation", NEVER},
    {"context_management", NEVER},
    {"prompt", NEVER},
    {"top_logprobs", NEVER},
    {"n", NEVER},
    {"best_of", NEVER},
    {"echo", NEVER},
    {"messages", NEVER},
    {"logprobs", NEVER},
    {"return_token_ids", NEVER},
    {"response_format", NEVER},
    {"add_generation_prompt", NEVER},
    {"continue_final_message", NEVER},
    {"max_tokens", NEVER},
    {"max_completion_tokens", NEVER},
    {"n_predict", NEVER},
    {"num_predict", NEVER},
    {"max_new_tokens", NEVER},
};

/* Tools that a service runs, or that are no functions. Agents send them beside functions that do
 * the same, and get along without: they are left out. */
static const char *const left_out[] = {
    "local_shell", "shell",     "apply_patch",      "web_search", "web_search_preview",
    "custom",      "namespace", "image_generation", "tool_search"};

static bool changes_nothing(struct fg_str v)
{
    static const char *const off[] = {"null", "false", "0", "[]", "{}", "\"\""};

    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (v.n == strlen(off[i]) && memcmp(v.p, off[i], v.n) == 0)
            return true;
    return false;
}

static int copy_members(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_scan s = {.text = body};

    while (fg_scan_next(&s)) {
        size_t i = 0, n = sizeof members / sizeof *members;

        while (i < n && !fg_scan_is(s.name, members[i].name))
            i++;
        if (i < n && members[i].use == NEVER && !changes_nothing(s.value))
            return fg_http_fail(e, 400, members[i].name, "unsupported_parameter",
                                "%s: it must be absent: /v1/responses does not do it here",
                                members[i].name);
        if (i < n)
            continue;
        fg_buffer_str(chat, chat->n ? "," : "{");
        fg_buffer_view(chat, s.name);
        fg_buffer_str(chat, ":");
        fg_buffer_view(chat, s.value);
    }
    return 0;
}

static bool is_left_out(struct fg_str type)
{
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (fg_scan_is(type, left_out[i]))
            return true;
    return false;
}

static int one_tool(struct fg_str tool, size_t i, struct fg_buffer *tools, struct fg_http_error *e)
{
    struct fg_str type = {"", 0}, name, description, parameters;
    char path[32];

    snprintf(path, sizeof path, "tools[%zu]", i);
    if (tool.p[0] == '{')
        (void)fg_responses_find(tool, "type", &type);
    if (is_left_out(type))
        return 0;
    if (type.n && !fg_scan_is(type, "function"))
        return fg_http_fail(e, 400, path, "unsupported_parameter",
                            "%s.type: found %.*s, it must be \"function\": the daemon runs no "
                            "tools",
                            path, (int)(type.n < 40 ? type.n : 40), type.p);
    if (!type.n || !fg_responses_find(tool, "name", &name) || name.p[0] != '"' ||
        (fg_responses_find(tool, "description", &description) && description.p[0] != '"'))
        return fg_http_fail(e, 400, path, NULL,
                            "%s: it must be {\"type\": \"function\", \"name\": string, "
                            "\"description\": string, \"parameters\": object}",
                            path);
    (void)fg_responses_find(tool, "parameters", &parameters);
    fg_chat_tool(tools, name, description, parameters);
    return 0;
}

static int copy_tools(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_buffer tools = {0};
    struct fg_str list;
    struct fg_scan s = {.text = {"", 0}};
    int rc = 0;

    if (!fg_responses_find(body, "tools", &list))
        return 0;
    if (list.p[0] != '[')
        return fg_http_fail(e, 400, "tools", NULL, "tools: it must be an array");
    s.text = list;
    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++)
        rc = one_tool(s.value, i, &tools, e);
    if (rc == 0) {
        fg_chat_member(chat, "tools", LIT("["));
        fg_buffer_add(chat, tools.p, tools.n);
        fg_buffer_str(chat, "]");
        chat->failed = chat->failed || tools.failed;
    }
    fg_buffer_finish(&tools);
    return rc;
}

/* In a chat's words: what of it can be done is the chat's to say. */
static void copy_tool_choice(struct fg_str body, struct fg_buffer *chat)
{
    struct fg_str choice, type, name;

    if (!fg_responses_find(body, "tool_choice", &choice))
        return;
    if (choice.p[0] == '{' && fg_responses_find(choice, "type", &type) &&
        fg_scan_is(type, "function") && fg_responses_find(choice, "name", &name)) {
        fg_chat_member(chat, "tool_choice", LIT("{\"type\":\"function\",\"function\":{\"name\":"));
        fg_buffer_view(chat, name);
        fg_buffer_str(chat, "}}");
        return;
    }
    fg_chat_member(chat, "tool_choice", choice);
}

/* How much the model thinks, for templates that ask. */
static int copy_reasoning(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str given, effort;

    if (fg_responses_find(body, "chat_template_kwargs", &given)) {
        fg_chat_member(chat, "chat_template_kwargs", given);
        return 0;
    }
    if (!fg_responses_find(body, "reasoning", &given))
        return 0;
    if (given.p[0] != '{')
        return fg_http_fail(e, 400, "reasoning", NULL, "reasoning: it must be an object");
    if (!fg_responses_find(given, "effort", &effort))
        return 0;
    if (effort.p[0] != '"')
        return fg_http_fail(e, 400, "reasoning", NULL, "reasoning.effort: it must be a string");
    if (fg_scan_is(effort, "none") || fg_scan_is(effort, "minimal"))
        fg_chat_member(chat, "chat_template_kwargs", LIT("{\"enable_thinking\":false"));
    else
        fg_chat_member(chat, "chat_template_kwargs", LIT("{\"enable_thinking\":true"));
    fg_buffer_str(chat, ",\"reasoning_effort\":");
    fg_buffer_view(chat, effort);
    fg_buffer_str(chat, "}");
    return 0;
}

static int copy_format(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str text, format, type, schema, value;

    if (!fg_responses_find(body, "text", &text))
        return 0;
    if (text.p[0] != '{')
        return fg_http_fail(e, 400, "text", NULL, "text: it must be an object");
    if (!fg_responses_find(text, "format", &format))
        return 0;
    if (format.p[0] != '{' || !fg_responses_find(format, "type", &type))
        return fg_http_fail(e, 400, "text", NULL, "text.format: it must be an object with a type");
    if (!fg_scan_is(type, "json_schema")) {
        fg_chat_member(chat, "response_format", format);
        return 0;
    }
    if (!fg_responses_find(format, "schema", &schema))
        return fg_http_fail(e, 400, "text", NULL, "text.format.schema: it is missing");
    fg_chat_member(chat, "response_format",
                   LIT("{\"type\":\"json_schema\",\"json_schema\":{\"schema\":"));
    fg_buffer_view(chat, schema);
    fg_buffer_str(chat, ",\"name\":");
    fg_buffer_view(chat, fg_responses_find(format, "name", &value) ? value : LIT("\"answer\""));
    if (fg_responses_find(format, "strict", &value)) {
        fg_buffer_str(chat, ",\"strict\":");
        fg_buffer_view(chat, value);
    }
    fg_buffer_str(chat, "}}");
    return 0;
}

int fg_responses_chat(struct fg_str body, struct fg_str before, struct fg_buffer *chat,
                      struct fg_http_error *e)
{
    struct fg_str whole = {"", 0}, max;
    struct fg_buffer messages = {0};
    int rc;

    (void)fg_scan_whole(body, &whole);
    if ((rc = copy_members(whole, chat, e)) || (rc = copy_tools(whole, chat, e)) ||
        (rc = copy_reasoning(whole, chat, e)) || (rc = copy_format(whole, chat, e)))
        return rc;
    copy_tool_choice(whole, chat);
    if (fg_responses_find(whole, "max_output_tokens", &max)) {
        if (max.p[0] == '-' || (max.n == 1 && max.p[0] == '0'))
            return fg_http_fail(e, 400, "max_output_tokens", NULL,
                                "max_output_tokens: found %.*s, it must be at least 1", (int)max.n,
                                max.p);
        fg_chat_member(chat, "max_tokens", max);
    }
    rc = fg_responses_messages(whole, before, &messages, e);
    if (rc == 0) {
        fg_chat_member(chat, "messages", LIT("["));
        fg_buffer_add(chat, messages.p, messages.n);
        fg_buffer_str(chat, "]}");
        chat->failed = chat->failed || messages.failed;
    }
    fg_buffer_finish(&messages);
    return rc;
}

void fg_responses_input(struct fg_str body, struct fg_buffer *items)
{
    struct fg_str whole = {"", 0}, input;

    (void)fg_scan_whole(body, &whole);
    if (!fg_responses_find(whole, "input", &input))
        return;
    if (input.p[0] == '[') {
        struct fg_scan s = {.text = input};

        while (fg_scan_next(&s)) {
            fg_chat_comma(items);
            fg_buffer_view(items, s.value);
        }
        return;
    }
    fg_chat_comma(items);
    fg_buffer_str(items, "{\"role\":\"user\",\"content\":");
    fg_buffer_view(items, input);
    fg_buffer_str(items, "}");
}

void fg_responses_echo(struct fg_str body, struct fg_buffer *out)
{
    static const struct {
        const char *name, *absent;
    } repeated[] = {{"instructions", "null"},
                    {"max_output_tokens", "null"},
                    {"metadata", "{}"},
                    {"parallel_tool_calls", "true"},
                    {"previous_response_id", "null"},
                    {"reasoning", "{\"effort\":null,\"summary\":null}"},
                    {"store", "true"},
                    {"temperature", "1.0"},
                    {"text", "{\"format\":{\"type\":\"text\"}}"},
                    {"tool_choice", "\"auto\""},
                    {"tools", "[]"},
                    {"top_p", "1.0"},
                    {"truncation", "\"disabled\""},
                    {"user", "null"}};
    const size_t most = 256 << 10;
    struct fg_str whole = {"", 0}, value;

    (void)fg_scan_whole(body, &whole);
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        fg_buffer_str(out, ",\"");
        fg_buffer_str(out, repeated[i].name);
        fg_buffer_str(out, "\":");
        if (fg_responses_find(whole, repeated[i].name, &value) && value.n <= most)
            fg_buffer_view(out, value);
        else
            fg_buffer_str(out, repeated[i].absent);
    }
    /* An event of a stream is one line. */
    for (size_t i = 0; i < out->n; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
}
