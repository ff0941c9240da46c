#include "response_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "api/common/cache_json.h"
#include "http/lossy.h"

int fg_answer_init(struct fg_answer *a, const struct fg_flow_info *info)
{
    unsigned char random[12];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return FG_EIO;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(a->nonce + 2 * i, 3, "%02x", random[i]);
    a->created = (int64_t)time(NULL);
    a->model = info->model_name;
    snprintf(a->fingerprint, sizeof a->fingerprint, "fulgur-%.12s",
             info->numerics_id ? info->numerics_id : "");
    return 0;
}

static const char *finish_name(enum fg_finish_reason finish)
{
    return finish == FG_FINISH_STOP ? "stop" : "length";
}

static json_t *usage_json(const struct fg_job_account *u)
{
    uint64_t total = (uint64_t)u->prompt_tokens + u->completion_tokens;

    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", (json_int_t)u->prompt_tokens,
                     "completion_tokens", (json_int_t)u->completion_tokens, "total_tokens",
                     (json_int_t)total, "prompt_tokens_details", "cached_tokens",
                     (json_int_t)u->reused_tokens);
}

/* What every answer and chunk begins with. Takes over `choices`. */
static json_t *envelope(const struct fg_answer *a, json_t *choices)
{
    const char *object =
        a->chat ? (a->stream ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    char id[48];

    snprintf(id, sizeof id, "%s-%s", a->chat ? "chatcmpl" : "cmpl", a->nonce);
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "id", id, "object", object, "created",
                     (json_int_t)a->created, "model", fg_json_string(a->model),
                     "system_fingerprint", fg_json_string(a->fingerprint), "choices", choices);
}

/* Sets a new member; a NULL root or value gives NULL, so that calls chain. */
static json_t *with(json_t *root, const char *name, json_t *value)
{
    if (!root || !value || json_object_set_new(root, name, value) < 0) {
        if (!root)
            json_decref(value);
        json_decref(root);
        return NULL;
    }
    return root;
}

/* One chunk; with include_usage each chunk but the last says "usage": null. Takes over `choices`.
 */
static json_t *chunk(const struct fg_answer *a, json_t *choices)
{
    json_t *root = envelope(a, choices);

    return a->include_usage ? with(root, "usage", json_null()) : root;
}

/* Takes over `delta` (chat) or `text`; `logprobs` is borrowed and may be NULL. */
static json_t *choice(const char *body_name, json_t *body, json_t *logprobs, const char *finish)
{
    return json_pack("[{s:i, s:o, s:O?, s:s?}]", "index", 0, body_name, body, "logprobs", logprobs,
                     "finish_reason", finish);
}

static json_t *message(const char *text, size_t bytes, const json_t *calls)
{
    json_t *content = calls && !bytes ? json_null() : fg_json_stringn(text, bytes);
    json_t *m = json_pack("{s:s, s:o}", "role", "assistant", "content", content);

    return calls ? with(m, "tool_calls", json_deep_copy(calls)) : m;
}

json_t *fg_answer_whole(const struct fg_answer *a, const struct fg_answer_parts *p)
{
    json_t *body =
        a->chat ? message(p->text.p, p->text.n, p->calls) : fg_json_stringn(p->text.p, p->text.n);
    json_t *root = envelope(a, choice(a->chat ? "message" : "text", body, p->logprobs,
                                      p->calls ? "tool_calls" : finish_name(p->finish)));

    return with(with(root, "usage", usage_json(p->account)), "fulgur", fg_cache_json(p->account));
}

json_t *fg_answer_chunk_role(const struct fg_answer *a)
{
    json_t *delta = json_pack("{s:s, s:s}", "role", "assistant", "content", "");

    return chunk(a, choice("delta", delta, NULL, NULL));
}

json_t *fg_answer_chunk_text(const struct fg_answer *a, const char *text, size_t bytes,
                             json_t *logprobs)
{
    json_t *body = fg_json_stringn(text, bytes);

    if (a->chat)
        body = json_pack("{s:o}", "content", body);
    return chunk(a, choice(a->chat ? "delta" : "text", body, logprobs, NULL));
}

json_t *fg_answer_chunk_calls(const struct fg_answer *a, const json_t *calls)
{
    json_t *list = json_deep_copy(calls), *call;
    size_t i;

    json_array_foreach(
        list, i, call) if (json_object_set_new(call, "index", json_integer((json_int_t)i)) < 0)
    {
        json_decref(list);
        return NULL;
    }
    return chunk(a, choice("delta", json_pack("{s:o}", "tool_calls", list), NULL, NULL));
}

json_t *fg_answer_chunk_finish(const struct fg_answer *a, bool with_calls,
                               enum fg_finish_reason finish, const struct fg_job_account *account)
{
    json_t *body = a->chat ? json_object() : json_string("");
    const char *reason = with_calls ? "tool_calls" : finish_name(finish);

    return with(chunk(a, choice(a->chat ? "delta" : "text", body, NULL, reason)), "fulgur",
                fg_cache_json(account));
}

json_t *fg_answer_chunk_usage(const struct fg_answer *a, const struct fg_job_account *account)
{
    return with(with(envelope(a, json_array()), "usage", usage_json(account)), "fulgur",
                fg_cache_json(account));
}

json_t *fg_answer_chunk_progress(const struct fg_answer *a, uint32_t done, uint32_t total,
                                 uint32_t reused)
{
    return with(chunk(a, json_array()), "fulgur",
                json_pack("{s:{s:I, s:I, s:I}}", "progress", "done", (json_int_t)done, "total",
                          (json_int_t)total, "reused", (json_int_t)reused));
}
