#include "responses_json.h"

#include <stdio.h>

#include "http/lossy.h"

void fg_item_id(const char *nonce, const struct fg_block *b, size_t index, char id[FG_ITEM_ID])
{
    static const char *const kinds[] = {"rs", "msg", "fc"};

    snprintf(id, FG_ITEM_ID, "%s_%.24s_%zu", kinds[b->kind], nonce, index);
}

json_t *fg_item_text(const struct fg_buffer *text)
{
    struct fg_str t = fg_block_text(text);

    return fg_json_stringn(t.p, t.n);
}

json_t *fg_item_part(const struct fg_block *b, struct fg_str text)
{
    if (b->kind == FG_BLOCK_REASONING)
        return json_pack("{s:s, s:o}", "type", "reasoning_text", "text",
                         fg_json_stringn(text.p, text.n));
    return json_pack("{s:s, s:o, s:[], s:[]}", "type", "output_text", "text",
                     fg_json_stringn(text.p, text.n), "annotations", "logprobs");
}

json_t *fg_item_json(const char *nonce, const struct fg_block *b, size_t index, bool begins)
{
    const char *status = begins ? "in_progress" : "completed";
    json_t *parts = begins || b->kind == FG_BLOCK_CALL
                        ? json_array()
                        : json_pack("[o]", fg_item_part(b, fg_block_text(&b->text)));
    char id[FG_ITEM_ID];

    fg_item_id(nonce, b, index, id);
    switch (b->kind) {
    case FG_BLOCK_TEXT:
        return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", id, "type", "message", "status", status,
                         "role", "assistant", "content", parts);
    case FG_BLOCK_REASONING:
        return json_pack("{s:s, s:s, s:s, s:[], s:o, s:n}", "id", id, "type", "reasoning", "status",
                         status, "summary", "content", parts, "encrypted_content");
    case FG_BLOCK_CALL: break;
    }
    json_decref(parts);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "id", id, "type", "function_call", "status",
                     status, "call_id", b->id, "name", fg_item_text(&b->name), "arguments",
                     begins ? json_string("") : fg_item_text(&b->text));
}

json_t *fg_response_usage(const struct fg_job_account *a)
{
    return json_pack(
        "{s:I, s:{s:I, s:I}, s:I, s:{s:I}, s:I}", "input_tokens", (json_int_t)a->prompt_tokens,
        "input_tokens_details", "cached_tokens", (json_int_t)a->reused_tokens, "cache_write_tokens",
        (json_int_t)a->written_tokens, "output_tokens", (json_int_t)a->completion_tokens,
        "output_tokens_details", "reasoning_tokens", (json_int_t)a->reasoning_tokens,
        "total_tokens", (json_int_t)a->prompt_tokens + a->completion_tokens);
}
