#include "request.h"

#include <stdio.h>
#include <string.h>

#include "api/common/chat_text.h"
#include "base/json_scan.h"
#include "dialect.h"
#include "http/json_in.h"

#define LIT(text) ((struct fg_str){text, sizeof text - 1})

/* Members of `options` that say how tokens are chosen, and what they are called in a completion;
 * what fulgur does not do of them is refused there. The others are about a model's loading. */
static const char *const options[][2] = {
    {"temperature", "temperature"},
    {"top_k", "top_k"},
    {"top_p", "top_p"},
    {"min_p", "min_p"},
    {"typical_p", "typical_p"},
    {"tfs_z", "tfs_z"},
    {"seed", "seed"},
    {"stop", "stop"},
    {"presence_penalty", "presence_penalty"},
    {"frequency_penalty", "frequency_penalty"},
    {"repeat_penalty", "repeat_penalty"},
    {"repeat_last_n", "repeat_last_n"},
    {"penalize_newline", "penalize_nl"},
    {"mirostat", "mirostat"},
    {"mirostat_tau", "mirostat_tau"},
    {"mirostat_eta", "mirostat_eta"},
    {"logit_bias", "logit_bias"},
    {"repetition_penalty", "repetition_penalty"},
    {"min_tokens", "min_tokens"},
    {"ignore_eos", "ignore_eos"},
};

static int check_context(const json_t *given, const struct fg_flow_info *info,
                         struct fg_http_error *e)
{
    int64_t wanted = 0;
    int rc = fg_json_int(given, "num_ctx", 0, INT64_MAX, &wanted, e);

    if (rc == 0 && wanted > (int64_t)info->context_tokens)
        return fg_http_fail(e, 400, "num_ctx", "unsupported_parameter",
                            "num_ctx: found %lld, it must be at most %u, the daemon's --ctx",
                            (long long)wanted, info->context_tokens);
    return rc;
}

/* -1, and -2 too: until the context is full. */
static int add_limit(const json_t *given, struct fg_buffer *out, struct fg_http_error *e)
{
    int64_t most = -1;
    char text[24];
    int rc = fg_json_int(given, "num_predict", -2, INT32_MAX, &most, e);

    snprintf(text, sizeof text, "%lld", (long long)(most < 0 ? -1 : most));
    fg_chat_member(out, "max_tokens", (struct fg_str){text, strlen(text)});
    return rc;
}

static int add_options(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                       struct fg_buffer *out, struct fg_http_error *e)
{
    const json_t *given = fg_json_field(json, "options");
    struct fg_str object = {"", 0}, v;
    char found[64];
    int rc;

    if (given && !json_is_object(given))
        return fg_http_fail(e, 400, "options", NULL, "options: found %s, it must be an object",
                            fg_json_found(given, found));
    if ((rc = check_context(given, info, e)) || (rc = add_limit(given, out, e)))
        return rc;
    (void)fg_ollama_find(body, "options", &object);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (fg_ollama_find(object, options[i][0], &v))
            fg_chat_member(out, options[i][1], v);
    return 0;
}

/* "json", or a schema. */
static int add_format(struct fg_str body, struct fg_buffer *out, struct fg_http_error *e)
{
    struct fg_str format;

    if (!fg_ollama_find(body, "format", &format) || fg_scan_is(format, ""))
        return 0;
    if (fg_scan_is(format, "json")) {
        fg_chat_member(out, "response_format", LIT("{\"type\":\"json_object\"}"));
        return 0;
    }
    if (format.p[0] != '{')
        return fg_http_fail(e, 400, "format", NULL, "format: it must be \"json\" or a schema");
    fg_chat_member(out, "response_format",
                   LIT("{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\","
                       "\"strict\":true,\"schema\":"));
    fg_buffer_view(out, format);
    fg_buffer_str(out, "}}");
    return 0;
}

/* Whether the model thinks, for templates that ask. */
static int add_think(const json_t *json, struct fg_buffer *out, struct fg_http_error *e)
{
    const json_t *think = fg_json_field(json, "think");
    bool on = false;
    int rc = fg_json_bool(json, "think", &on, e);

    if (rc == 0 && think)
        fg_chat_member(out, "chat_template_kwargs",
                       on ? LIT("{\"enable_thinking\":true}") : LIT("{\"enable_thinking\":false}"));
    return rc;
}

/* What both paths have in common. */
static int add_common(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                      struct fg_buffer *out, struct fg_http_error *e)
{
    static const char *const same[] = {"cache", "fulgur"};
    struct fg_str v = LIT("true");
    int rc;

    (void)fg_ollama_find(body, "stream", &v);
    fg_chat_member(out, "stream", v);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (fg_ollama_find(body, same[i], &v))
            fg_chat_member(out, same[i], v);
    if ((rc = fg_ollama_model(json, info, e)) ||
        (rc = fg_ollama_refuse(body, "images", "the model reads and writes text", e)) ||
        (rc = fg_ollama_refuse(body, "logprobs", "/v1/chat/completions has them", e)) ||
        (rc = fg_ollama_refuse(body, "top_logprobs", "/v1/chat/completions has them", e)) ||
        (rc = add_options(body, json, info, out, e)))
        return rc;
    return add_format(body, out, e);
}

int fg_ollama_read_chat(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                        struct fg_ollama_request *out, struct fg_buffer *text,
                        struct fg_http_error *e)
{
    const json_t *given = fg_json_field(json, "messages");
    struct fg_str whole = {"", 0}, list = LIT("[]"), tools;
    struct fg_buffer messages = {0};
    int rc;

    (void)fg_scan_whole(body, &whole);
    out->load = !given || (json_is_array(given) && !json_array_size(given));
    if ((rc = add_common(whole, json, info, text, e)) || (rc = add_think(json, text, e)))
        return rc;
    if (fg_ollama_find(whole, "tools", &tools))
        fg_chat_member(text, "tools", tools);
    (void)fg_ollama_find(whole, "messages", &list);
    rc = fg_ollama_messages(list, &messages, e);
    if (rc == 0 && !messages.failed)
        fg_chat_member(text, "messages", (struct fg_str){messages.p, messages.n});
    text->failed = text->failed || messages.failed;
    fg_buffer_finish(&messages);
    fg_buffer_str(text, "}");
    return rc;
}

static int check_text(const json_t *json, const char *name, struct fg_http_error *e)
{
    const json_t *v = fg_json_field(json, name);
    char found[64];

    return !v || json_is_string(v)
               ? 0
               : fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be a string", name,
                              fg_json_found(v, found));
}

static int check_generate(struct fg_str body, const json_t *json, bool raw, struct fg_http_error *e)
{
    int rc;

    if ((rc = check_text(json, "prompt", e)) || (rc = check_text(json, "system", e)) ||
        (rc = fg_ollama_refuse(body, "suffix", "text is not inserted", e)) ||
        (rc = fg_ollama_refuse(body, "template", "the model's own chat template is used", e)))
        return rc;
    if (raw && ((rc = fg_ollama_refuse(body, "system", "a raw prompt is all that there is", e)) ||
                (rc = fg_ollama_refuse(body, "context", "a raw prompt is all that there is", e))))
        return rc;
    return 0;
}

int fg_ollama_read(struct fg_str body, const json_t *json, const struct fg_flow_info *info,
                   struct fg_ollama_request *out, struct fg_buffer *text, struct fg_http_error *e)
{
    struct fg_str whole = {"", 0}, prompt = LIT("\"\""), system;
    int rc = fg_json_bool(json, "raw", &out->raw, e);

    (void)fg_scan_whole(body, &whole);
    if (rc || (rc = check_generate(whole, json, out->raw, e)) ||
        (rc = add_common(whole, json, info, text, e)) ||
        (!out->raw && (rc = add_think(json, text, e))))
        return rc;
    out->load = !fg_ollama_find(whole, "prompt", &prompt) || fg_scan_is(prompt, "");
    if (out->raw) {
        fg_chat_member(text, "prompt", prompt);
        fg_buffer_str(text, "}");
        return 0;
    }
    fg_buffer_str(text, ",\"messages\":[");
    if (fg_ollama_find(whole, "system", &system) && !fg_scan_is(system, "")) {
        fg_buffer_str(text, "{\"role\":\"system\",\"content\":");
        fg_buffer_view(text, system);
        fg_buffer_str(text, "},");
    }
    fg_buffer_str(text, "{\"role\":\"user\",\"content\":");
    fg_buffer_view(text, prompt);
    fg_buffer_str(text, "}]}");
    return 0;
}
