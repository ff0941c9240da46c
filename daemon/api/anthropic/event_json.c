#include "event_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/json_scan.h"
#include "http/json_out.h"
#include "http/lossy.h"

/* What thinking is signed with: nothing, since nobody checks it here; clients want some text. */
#define SIGNATURE "fulgur"

json_t *fg_message_usage(const struct fg_message_cost *c)
{
    return json_pack("{s:I, s:I, s:{s:I, s:I}, s:I, s:I}", "input_tokens",
                     (json_int_t)c->prompt - c->reused - c->written, "cache_creation_input_tokens",
                     (json_int_t)c->written, "cache_creation", "ephemeral_5m_input_tokens",
                     (json_int_t)c->written - c->written_long, "ephemeral_1h_input_tokens",
                     (json_int_t)c->written_long, "cache_read_input_tokens", (json_int_t)c->reused,
                     "output_tokens", (json_int_t)c->output);
}

json_t *fg_message_json(const struct fg_message_head *h, json_t *content, json_t *usage)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o*, s:s?, s:o, s:o}", "id", h->id, "type", "message",
                     "role", "assistant", "model", fg_json_string(h->model), "content", content,
                     "stop_reason", h->stop_reason, "stop_sequence",
                     h->stop_sequence ? fg_json_string(h->stop_sequence) : json_null(), "usage",
                     usage);
}

/* Text and thinking, and a call without its arguments; `begins`: without text. */
static json_t *block_json(const struct fg_block *b, bool begins)
{
    struct fg_str text = begins ? (struct fg_str){"", 0} : fg_block_text(&b->text);
    struct fg_str name = fg_block_text(&b->name);

    switch (b->kind) {
    case FG_BLOCK_TEXT:
        return json_pack("{s:s, s:o}", "type", "text", "text", fg_json_stringn(text.p, text.n));
    case FG_BLOCK_REASONING:
        return json_pack("{s:s, s:o, s:s}", "type", "thinking", "thinking",
                         fg_json_stringn(text.p, text.n), "signature", begins ? "" : SIGNATURE);
    case FG_BLOCK_CALL: break;
    }
    return json_pack("{s:s, s:s, s:o, s:o*}", "type", "tool_use", "id", b->id, "name",
                     fg_json_stringn(name.p, name.n), "input", begins ? json_object() : NULL);
}

void fg_message_block(const struct fg_block *b, struct fg_buffer *out)
{
    json_t *root = block_json(b, false);
    char *text = fg_json_dump(root);
    struct fg_str input;

    json_decref(root);
    if (!text) {
        out->failed = true;
        return;
    }
    if (b->kind == FG_BLOCK_CALL) {
        if (!fg_scan_whole(fg_block_text(&b->text), &input) || input.p[0] != '{')
            input = (struct fg_str){"{}", 2};
        text[strlen(text) - 1] = '\0'; /* its last bracket */
        fg_buffer_str(out, text);
        fg_buffer_str(out, ",\"input\":");
        fg_buffer_view(out, input);
        fg_buffer_str(out, "}");
    } else {
        fg_buffer_str(out, text);
    }
    free(text);
}

json_t *fg_event_block_start(size_t index, const struct fg_block *block)
{
    return json_pack("{s:s, s:I, s:o}", "type", "content_block_start", "index", (json_int_t)index,
                     "content_block", block_json(block, true));
}

static json_t *delta(size_t index, const char *type, const char *name, json_t *value)
{
    return json_pack("{s:s, s:I, s:{s:s, s:o}}", "type", "content_block_delta", "index",
                     (json_int_t)index, "delta", "type", type, name, value);
}

json_t *fg_event_delta(size_t index, enum fg_block_kind kind, struct fg_str more)
{
    static const char *const types[] = {"thinking_delta", "text_delta", "input_json_delta"};
    static const char *const names[] = {"thinking", "text", "partial_json"};

    return delta(index, types[kind], names[kind], fg_json_stringn(more.p, more.n));
}

json_t *fg_event_signature(size_t index)
{
    return delta(index, "signature_delta", "signature", json_string(SIGNATURE));
}

json_t *fg_event_block_stop(size_t index)
{
    return json_pack("{s:s, s:I}", "type", "content_block_stop", "index", (json_int_t)index);
}

json_t *fg_event_message_delta(const struct fg_message_head *h, json_t *usage, json_t *fulgur)
{
    return json_pack("{s:s, s:{s:s?, s:o}, s:o, s:o}", "type", "message_delta", "delta",
                     "stop_reason", h->stop_reason, "stop_sequence",
                     h->stop_sequence ? fg_json_string(h->stop_sequence) : json_null(), "usage",
                     usage, "fulgur", fulgur);
}

/* --- errors --- */

bool fg_anthropic_target(const char *target)
{
    static const char version[] = "/v1", path[] = "/messages";
    const size_t n = sizeof path - 1;
    const char *at =
        strncmp(target, version, sizeof version - 1) == 0 ? target + sizeof version - 1 : target;

    return strncmp(at, path, n) == 0 && (!at[n] || at[n] == '/' || at[n] == '?');
}

bool fg_anthropic_id(const char *prefix, char id[FG_ANTHROPIC_ID])
{
    char random[25];

    if (!fg_hex_random(sizeof random / 2, random))
        return false;
    snprintf(id, FG_ANTHROPIC_ID, "%.8s_%s", prefix, random);
    return true;
}

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    case 501: return "invalid_request_error";
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

json_t *fg_anthropic_error(const struct fg_http_error *e, const char *id)
{
    /* Agents look for these words, and shorten their conversation then. */
    bool long_prompt = e->code && strcmp(e->code, "context_length_exceeded") == 0;
    char made[FG_ANTHROPIC_ID], message[sizeof e->message + 32];

    if (!id)
        id = fg_anthropic_id("req", made) ? made : NULL;
    snprintf(message, sizeof message, "%s%s", long_prompt ? "prompt is too long: " : "",
             e->message);
    return json_pack("{s:s, s:{s:s, s:o}, s:s?}", "type", "error", "error", "type",
                     error_type(e->status), "message", fg_json_string(message), "request_id", id);
}
