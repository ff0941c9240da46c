#include "responses_request.h"

#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "base/json_scan.h"
#include "http/json_in.h"

#define LIT(text) ((struct fg_str){text, sizeof text - 1})

/* Members of the body that are not a chat's of the same name. */
static const struct fg_chat_row rows[] = {
    {"input", FG_CHAT_OWN},
    {"instructions", FG_CHAT_OWN},
    {"tools", FG_CHAT_OWN},
    {"tool_choice", FG_CHAT_OWN},
    {"max_output_tokens", FG_CHAT_OWN},
    {"reasoning", FG_CHAT_OWN},
    {"text", FG_CHAT_OWN},
    {"previous_response_id", FG_CHAT_OWN},
    {"store", FG_CHAT_OWN},
    {"chat_template_kwargs", FG_CHAT_OWN},
    {"metadata", FG_CHAT_NOTHING},
    {"client_metadata", FG_CHAT_NOTHING},
    {"include", FG_CHAT_NOTHING},
    {"user", FG_CHAT_NOTHING},
    {"safety_identifier", FG_CHAT_NOTHING},
    {"service_tier", FG_CHAT_NOTHING},
    {"stream_options", FG_CHAT_NOTHING},
    {"max_tool_calls", FG_CHAT_NOTHING},
    {"parallel_tool_calls", FG_CHAT_NOTHING},
    {"truncation", FG_CHAT_NOTHING},
    {"background", FG_CHAT_NEVER},
    {"conversation", FG_CHAT_NEVER},
    {"context_management", FG_CHAT_NEVER},
    {"prompt", FG_CHAT_NEVER},
    {"top_logprobs", FG_CHAT_NEVER},
    {"n", FG_CHAT_NEVER},
    {"best_of", FG_CHAT_NEVER},
    {"echo", FG_CHAT_NEVER},
    {"messages", FG_CHAT_NEVER},
    {"logprobs", FG_CHAT_NEVER},
    {"return_token_ids", FG_CHAT_NEVER},
    {"response_format", FG_CHAT_NEVER},
    {"add_generation_prompt", FG_CHAT_NEVER},
    {"continue_final_message", FG_CHAT_NEVER},
    {"max_tokens", FG_CHAT_NEVER},
    {"max_completion_tokens", FG_CHAT_NEVER},
    {"n_predict", FG_CHAT_NEVER},
    {"num_predict", FG_CHAT_NEVER},
    {"max_new_tokens", FG_CHAT_NEVER},
};

static const struct fg_chat_members members = {"/v1/responses", rows, sizeof rows / sizeof *rows};

/* Tools that a service runs, or that are no functions. Agents send them beside functions that do
 * the same, and get along without: they are left out. */
static const char *const left_out[] = {
    "local_shell", "shell",     "apply_patch",      "web_search", "web_search_preview",
    "custom",      "namespace", "image_generation", "tool_search"};

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

/* Neither "false" nor 0 is a wish: what is kept against it would be kept unseen. */
static int check_store(struct fg_str body, struct fg_http_error *e)
{
    struct fg_str store;

    if (!fg_responses_find(body, "store", &store) || store.p[0] == 't' || store.p[0] == 'f')
        return 0;
    return fg_http_fail(e, 400, "store", NULL, "store: found %.*s, it must be true or false",
                        (int)(store.n < 40 ? store.n : 40), store.p);
}

int fg_responses_chat(struct fg_str body, struct fg_str before, struct fg_buffer *chat,
                      struct fg_http_error *e)
{
    struct fg_str whole = {"", 0}, max;
    struct fg_buffer messages = {0};
    int rc;

    (void)fg_scan_whole(body, &whole);
    if ((rc = check_store(whole, e)) || (rc = fg_chat_copy(&members, whole, chat, e)) || (rc = copy_tools(whole, chat, e)) ||
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
