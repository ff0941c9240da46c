#include "request.h"

#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "api/common/hint_json.h"
#include "base/json_scan.h"
#include "http/json_in.h"

#define LIT(text) ((struct fg_str){text, sizeof text - 1})

/* Members of the body that are not a chat's of the same name. */
static const struct fg_chat_row rows[] = {
    {"messages", FG_CHAT_OWN},
    {"system", FG_CHAT_OWN},
    {"tools", FG_CHAT_OWN},
    {"tool_choice", FG_CHAT_OWN},
    {"stop_sequences", FG_CHAT_OWN},
    {"thinking", FG_CHAT_OWN},
    {"output_config", FG_CHAT_OWN},
    {"output_format", FG_CHAT_OWN},
    {"max_tokens", FG_CHAT_OWN},
    {"chat_template_kwargs", FG_CHAT_OWN},
    {"mcp_servers", FG_CHAT_OWN},
    {"metadata", FG_CHAT_NOTHING},
    {"service_tier", FG_CHAT_NOTHING},
    {"inference_geo", FG_CHAT_NOTHING},
    {"context_management", FG_CHAT_NOTHING},
    {"cache_control", FG_CHAT_OWN},
    {"container", FG_CHAT_NOTHING},
    {"betas", FG_CHAT_NOTHING},
    {"anthropic_beta", FG_CHAT_NOTHING},
    {"anthropic_version", FG_CHAT_NOTHING},
    {"n", FG_CHAT_NEVER},
    {"best_of", FG_CHAT_NEVER},
    {"echo", FG_CHAT_NEVER},
    {"prompt", FG_CHAT_NEVER},
    {"stop", FG_CHAT_NEVER},
    {"logprobs", FG_CHAT_NEVER},
    {"top_logprobs", FG_CHAT_NEVER},
    {"stream_options", FG_CHAT_NEVER},
    {"return_token_ids", FG_CHAT_NEVER},
    {"response_format", FG_CHAT_NEVER},
    {"add_generation_prompt", FG_CHAT_NEVER},
    {"continue_final_message", FG_CHAT_NEVER},
    {"max_completion_tokens", FG_CHAT_NEVER},
    {"n_predict", FG_CHAT_NEVER},
    {"num_predict", FG_CHAT_NEVER},
    {"max_new_tokens", FG_CHAT_NEVER},
};

static const struct fg_chat_members members = {"/v1/messages", rows, sizeof rows / sizeof *rows};

int fg_anthropic_hint(struct fg_anthropic_hints *hints, struct fg_str block, const char *path,
                      struct fg_str *value, struct fg_http_error *e)
{
    enum { SHORTER_S = 300 };
    uint32_t seconds = 0;
    char field[128];
    int rc;

    if (!fg_anthropic_find(block, FG_HINT_ANTHROPIC, value))
        return 0;
    snprintf(field, sizeof field, "%s%s" FG_HINT_ANTHROPIC, path, *path ? "." : "");
    rc = fg_hint_check(*value, FG_HINT_ANTHROPIC, field, &seconds, e);
    if (rc == 0 && hints->shorter && seconds > SHORTER_S)
        rc = fg_http_fail(e, 400, field, NULL,
                          "%s.ttl: found \"1h\", it must not come after one of \"5m\"; they count "
                          "in the order tools, system, messages",
                          field);
    hints->shorter = hints->shorter || seconds <= SHORTER_S;
    hints->n++;
    return rc;
}

static int check_number(const struct fg_anthropic_hints *hints, struct fg_http_error *e)
{
    enum { MOST = 4 };

    return hints->n <= MOST
               ? 0
               : fg_http_fail(e, 400, FG_HINT_ANTHROPIC, NULL,
                              "A maximum of %d blocks with cache_control may be provided. Found "
                              "%zu.",
                              MOST, hints->n);
}

/* Of the body: where the prompt ends. */
static int copy_hint(struct fg_str body, struct fg_anthropic_hints *hints, struct fg_buffer *chat,
                     struct fg_http_error *e)
{
    struct fg_str value;
    int rc = fg_anthropic_hint(hints, body, "", &value, e);

    if (value.n)
        fg_chat_member(chat, FG_HINT_ANTHROPIC, value);
    return rc;
}

static int copy_limit(struct fg_str body, bool count, struct fg_buffer *chat,
                      struct fg_http_error *e)
{
    struct fg_str max;

    if (fg_anthropic_find(body, "max_tokens", &max)) {
        if (max.p[0] == '-' || (max.n == 1 && max.p[0] == '0'))
            return fg_http_fail(e, 400, "max_tokens", NULL,
                                "max_tokens: found %.*s, it must be at least 1", (int)max.n, max.p);
        fg_chat_member(chat, "max_tokens", max);
        return 0;
    }
    return count ? 0
                 : fg_http_fail(e, 400, "max_tokens", NULL,
                                "max_tokens: it is missing; it must be an integer of at least 1");
}

static int copy_stop(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str list;
    struct fg_scan s = {.text = {"", 0}};

    if (!fg_anthropic_find(body, "stop_sequences", &list))
        return 0;
    if (list.p[0] != '[')
        return fg_http_fail(e, 400, "stop_sequences", NULL,
                            "stop_sequences: it must be an array of strings");
    s.text = list;
    for (size_t i = 0; fg_scan_next(&s); i++)
        if (s.value.p[0] != '"' || s.value.n == 2)
            return fg_http_fail(e, 400, "stop_sequences", NULL,
                                "stop_sequences[%zu]: it must be a string that is not empty", i);
    fg_chat_member(chat, "stop", list);
    return 0;
}

static int one_tool(struct fg_str tool, size_t i, struct fg_anthropic_hints *hints,
                    struct fg_buffer *tools, struct fg_http_error *e)
{
    struct fg_str type, name, description, schema, control;
    char path[32];

    snprintf(path, sizeof path, "tools[%zu]", i);
    if (tool.p[0] == '{' && fg_anthropic_find(tool, "type", &type) && !fg_scan_is(type, "custom"))
        return fg_http_fail(e, 400, path, "unsupported_parameter",
                            "%s.type: found %.*s, it must be \"custom\": tools that have no "
                            "input_schema are not known here",
                            path, (int)(type.n < 40 ? type.n : 40), type.p);
    if (tool.p[0] != '{' || !fg_anthropic_find(tool, "name", &name) || name.p[0] != '"' ||
        !fg_anthropic_find(tool, "input_schema", &schema) || schema.p[0] != '{' ||
        (fg_anthropic_find(tool, "description", &description) && description.p[0] != '"'))
        return fg_http_fail(e, 400, path, NULL,
                            "%s: it must be {\"name\": string, \"description\": string, "
                            "\"input_schema\": object}",
                            path);
    if (fg_anthropic_hint(hints, tool, path, &control, e))
        return FG_EINVAL;
    fg_chat_tool(tools, name, description, schema);
    if (control.n && !tools->failed) {
        tools->n--; /* its bracket */
        fg_buffer_str(tools, ",\"" FG_HINT_ANTHROPIC "\":");
        fg_buffer_view(tools, control);
        fg_buffer_str(tools, "}");
    }
    return 0;
}

static int copy_tools(struct fg_str body, struct fg_anthropic_hints *hints, struct fg_buffer *chat,
                      struct fg_http_error *e)
{
    struct fg_buffer tools = {0};
    struct fg_str list;
    struct fg_scan s = {.text = {"", 0}};
    int rc = 0;

    if (!fg_anthropic_find(body, "tools", &list))
        return 0;
    if (list.p[0] != '[')
        return fg_http_fail(e, 400, "tools", NULL, "tools: it must be an array");
    s.text = list;
    for (size_t i = 0; rc == 0 && fg_scan_next(&s); i++)
        rc = one_tool(s.value, i, hints, &tools, e);
    if (rc == 0) {
        fg_buffer_str(chat, chat->n ? ",\"tools\":[" : "{\"tools\":[");
        fg_buffer_add(chat, tools.p, tools.n);
        fg_buffer_str(chat, "]");
        chat->failed = chat->failed || tools.failed;
    }
    fg_buffer_finish(&tools);
    return rc;
}

/* In OpenAI's words: what of it can be done is the chat's to say. */
static int copy_tool_choice(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str choice, type, name;

    if (!fg_anthropic_find(body, "tool_choice", &choice))
        return 0;
    if (choice.p[0] != '{' || !fg_anthropic_find(choice, "type", &type))
        type = (struct fg_str){"", 0};
    if (fg_scan_is(type, "auto") || fg_scan_is(type, "none")) {
        fg_chat_member(chat, "tool_choice", type);
    } else if (fg_scan_is(type, "any")) {
        fg_chat_member(chat, "tool_choice", LIT("\"required\""));
    } else if (fg_scan_is(type, "tool") && fg_anthropic_find(choice, "name", &name)) {
        fg_chat_member(chat, "tool_choice", LIT("{\"type\":\"function\",\"function\":{\"name\":"));
        fg_buffer_view(chat, name);
        fg_buffer_str(chat, "}}");
    } else {
        return fg_http_fail(e, 400, "tool_choice", NULL,
                            "tool_choice: it must be {\"type\": \"auto\", \"any\", \"tool\" with a "
                            "name, or \"none\"}");
    }
    return 0;
}

/* Whether the model thinks, for templates that ask; as Anthropic has it, it does not unless it is
 * told to. */
static int copy_thinking(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str thinking, type = {"", 0}, given;
    bool on = false;

    if (fg_anthropic_find(body, "thinking", &thinking)) {
        if (thinking.p[0] == '{')
            (void)fg_anthropic_find(thinking, "type", &type);
        on = fg_scan_is(type, "enabled") || fg_scan_is(type, "adaptive");
        if (!on && !fg_scan_is(type, "disabled"))
            return fg_http_fail(e, 400, "thinking", NULL,
                                "thinking.type: it must be enabled, adaptive or disabled");
    }
    if (fg_anthropic_find(body, "chat_template_kwargs", &given))
        fg_chat_member(chat, "chat_template_kwargs", given);
    else
        fg_chat_member(chat, "chat_template_kwargs",
                       on ? LIT("{\"enable_thinking\":true}") : LIT("{\"enable_thinking\":false}"));
    return 0;
}

/* {"type": "json_schema", "schema": {...}} in the chat's words. */
static int copy_format(struct fg_str body, struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_str config, format, type = {"", 0}, schema;

    if ((!fg_anthropic_find(body, "output_config", &config) || config.p[0] != '{' ||
         !fg_anthropic_find(config, "format", &format)) &&
        !fg_anthropic_find(body, "output_format", &format))
        return 0;
    if (format.p[0] == '{')
        (void)fg_anthropic_find(format, "type", &type);
    if (!fg_scan_is(type, "json_schema") || !fg_anthropic_find(format, "schema", &schema))
        return fg_http_fail(e, 400, "output_config", NULL,
                            "output_config.format: it must be {\"type\": \"json_schema\", "
                            "\"schema\": object}");
    fg_chat_member(chat, "response_format",
                   LIT("{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\","
                       "\"strict\":true,\"schema\":"));
    fg_buffer_view(chat, schema);
    fg_buffer_str(chat, "}}");
    return 0;
}

static int check_servers(struct fg_str body, struct fg_http_error *e)
{
    struct fg_str servers;
    struct fg_scan s = {.text = {"", 0}};

    if (fg_anthropic_find(body, "mcp_servers", &servers))
        s.text = servers;
    return s.text.n && fg_scan_next(&s)
               ? fg_http_fail(e, 400, "mcp_servers", "unsupported_parameter",
                              "mcp_servers: it must be empty: the daemon calls no servers")
               : 0;
}

static int copy_messages(struct fg_str body, const struct fg_anthropic_options *opt,
                         struct fg_anthropic_hints *hints, struct fg_buffer *chat,
                         struct fg_http_error *e)
{
    struct fg_buffer messages = {0};
    bool goes_on = false;
    int rc = fg_anthropic_messages(body, opt, hints, &messages, &goes_on, e);

    if (rc == 0)
        rc = copy_hint(body, hints, chat, e);
    if (rc == 0)
        rc = check_number(hints, e);
    if (rc == 0) {
        fg_buffer_str(chat, ",\"messages\":[");
        fg_buffer_add(chat, messages.p, messages.n);
        fg_buffer_str(chat, goes_on ? "],\"continue_final_message\":true}" : "]}");
        chat->failed = chat->failed || messages.failed;
    }
    fg_buffer_finish(&messages);
    return rc;
}

int fg_anthropic_chat(struct fg_str body, const struct fg_anthropic_options *opt,
                      struct fg_buffer *chat, struct fg_http_error *e)
{
    struct fg_anthropic_hints hints = {.n = 0};
    struct fg_str whole = {"", 0};
    int rc;

    (void)fg_scan_whole(body, &whole);
    if ((rc = fg_chat_copy(&members, whole, chat, e)) ||
        (rc = copy_limit(whole, opt->count, chat, e)) || (rc = copy_stop(whole, chat, e)) ||
        (rc = copy_tools(whole, &hints, chat, e)) || (rc = copy_tool_choice(whole, chat, e)) ||
        (rc = copy_thinking(whole, chat, e)) || (rc = copy_format(whole, chat, e)) ||
        (rc = check_servers(whole, e)))
        return rc;
    return copy_messages(whole, opt, &hints, chat, e);
}
