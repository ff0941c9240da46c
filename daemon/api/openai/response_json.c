#include "response_json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/common/cache_json.h"
#include "base/hex.h"
#include "http/lossy.h"

int fg_answer_init(struct fg_answer *a, const struct fg_flow_info *info)
{
    if (!fg_hex_random(sizeof a->nonce / 2, a->nonce))
        return FG_EIO;
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

static json_t *usage_json(const struct fg_answer *a, const struct fg_answer_cost *c)
{
    json_t *of_chat =
        a->chat ? json_pack("{s:I}", "reasoning_tokens", (json_int_t)c->reasoning_tokens) : NULL;

    return json_pack("{s:I, s:I, s:I, s:{s:I, s:I}, s:o*}", "prompt_tokens",
                     (json_int_t)c->prompt_tokens, "completion_tokens",
                     (json_int_t)c->completion_tokens, "total_tokens",
                     (json_int_t)(c->prompt_tokens + c->completion_tokens), "prompt_tokens_details",
                     "cached_tokens", (json_int_t)c->cached_tokens, "cache_write_tokens",
                     (json_int_t)c->written_tokens, "completion_tokens_details", of_chat);
}

/* What every answer and chunk begins with. Takes over `choices`. */
static json_t *envelope(const struct fg_answer *a, json_t *choices)
{
    const char *object =
        a->chat ? (a->stream ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    char id[48];

    if (a->bare)
        return json_pack("{s:s, s:I, s:o, s:o, s:o}", "request_id",
                         a->request_id ? a->request_id : a->nonce, "created",
                         (json_int_t)a->created, "model", fg_json_string(a->model),
                         "system_fingerprint", fg_json_string(a->fingerprint), "choices", choices);
    snprintf(id, sizeof id, "%s-%s", a->chat ? "chatcmpl" : "cmpl", a->nonce);
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "id", id, "object", object, "created",
                     (json_int_t)a->created, "model", fg_json_string(a->model),
                     "system_fingerprint", fg_json_string(a->fingerprint), "choices", choices);
}

bool fg_answer_prompt_once(const struct fg_answer *a)
{
    return a->chat || a->bare;
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

/* Sets a member that may not be there; borrowed. */
static json_t *with_any(json_t *root, const char *name, json_t *value)
{
    return value ? with(root, name, json_incref(value)) : root;
}

/* What a choice says, by its name: a message, a delta or a text. Takes over `body`; a bare answer
 * has none. `logprobs` is borrowed and may be NULL. */
static json_t *choice(const struct fg_answer *a, uint32_t index, json_t *body, json_t *logprobs,
                      const char *finish)
{
    const char *name = !a->chat ? "text" : a->stream ? "delta" : "message";
    json_t *root = json_pack("{s:i, s:o}", "index", (int)index, name, body);

    if (root && a->bare)
        json_object_del(root, name);
    root = with(root, "logprobs", logprobs ? json_incref(logprobs) : json_null());
    return with(root, "finish_reason", finish ? json_string(finish) : json_null());
}

/* A list of that one, which it takes over. */
static json_t *list_of(json_t *one)
{
    return one ? json_pack("[o]", one) : NULL;
}

static json_t *message(const struct fg_answer_choice *c)
{
    json_t *content = c->calls && !c->text.n ? json_null() : fg_json_stringn(c->text.p, c->text.n);
    json_t *m = json_pack("{s:s, s:o}", "role", "assistant", "content", content);

    if (c->reasoning.n)
        m = with(m, "reasoning_content", fg_json_stringn(c->reasoning.p, c->reasoning.n));
    return c->calls ? with(m, "tool_calls", json_deep_copy(c->calls)) : m;
}

static const char *reason_of(const struct fg_answer_choice *c)
{
    return c->called ? "tool_calls" : finish_name(c->finish);
}

json_t *fg_answer_choice_json(const struct fg_answer *a, const struct fg_answer_choice *c)
{
    json_t *body = a->chat ? message(c) : fg_json_stringn(c->text.p, c->text.n);
    json_t *one =
        with_any(choice(a, c->index, body, c->logprobs, reason_of(c)), "token_ids", c->ids);

    if (fg_answer_prompt_once(a))
        return one;
    return with_any(with_any(one, "prompt_token_ids", c->prompt_ids), "prompt_logprobs",
                    c->prompt_logprobs);
}

json_t *fg_answer_whole(const struct fg_answer *a, json_t *choices,
                        const struct fg_answer_choice *first, const struct fg_answer_cost *cost)
{
    json_t *root = with(envelope(a, choices), "usage", usage_json(a, cost));

    if (a->bare)
        root = with(root, "kv_transfer_params", json_null());
    if (fg_answer_prompt_once(a)) {
        root = with_any(root, "prompt_token_ids", first->prompt_ids);
        root = with_any(root, "prompt_logprobs", first->prompt_logprobs);
    }
    return with(root, "fulgur", fg_cache_json(cost->account));
}

/* A call's name, or more of its arguments. */
static json_t *call_delta(const struct fg_answer_event *e)
{
    json_t *text = fg_json_stringn(e->text.p, e->text.n);

    if (e->part == FG_ANSWER_ARGUMENTS)
        return json_pack("{s:[{s:I, s:{s:o}}]}", "tool_calls", "index", (json_int_t)e->call,
                         "function", "arguments", text);
    return json_pack("{s:[{s:I, s:s, s:s, s:{s:o, s:s}}]}", "tool_calls", "index",
                     (json_int_t)e->call, "id", e->id, "type", "function", "function", "name", text,
                     "arguments", "");
}

static json_t *delta(const struct fg_answer_piece *p)
{
    bool reasons = p->event && p->event->part == FG_ANSWER_REASONING;
    json_t *text;

    if (p->event && p->event->part != FG_ANSWER_TEXT && !reasons)
        return call_delta(p->event);
    text = fg_json_stringn(p->text.p, p->text.n);
    if (p->role)
        return json_pack("{s:s, s:o}", "role", "assistant", "content", text);
    return json_pack("{s:o}", reasons ? "reasoning_content" : "content", text);
}

json_t *fg_answer_chunk(const struct fg_answer *a, const struct fg_answer_piece *p)
{
    json_t *body = a->chat ? delta(p) : fg_json_stringn(p->text.p, p->text.n), *one;

    one = choice(a, p->index, body, p->logprobs, NULL);
    one = with_any(one, "token_ids", p->ids);
    if (a->chat)
        return with_any(chunk(a, list_of(one)), "prompt_token_ids", p->prompt_ids);
    return chunk(a, list_of(with_any(one, "prompt_token_ids", p->prompt_ids)));
}

json_t *fg_answer_chunk_finish(const struct fg_answer *a, const struct fg_answer_choice *c,
                               const struct fg_job_account *account)
{
    json_t *body = a->chat ? json_object() : json_string("");

    return with(chunk(a, list_of(choice(a, c->index, body, NULL, reason_of(c)))), "fulgur",
                fg_cache_json(account));
}

json_t *fg_answer_chunk_usage(const struct fg_answer *a, const struct fg_answer_cost *cost)
{
    return with(with(envelope(a, json_array()), "usage", usage_json(a, cost)), "fulgur",
                fg_cache_json(cost->account));
}

json_t *fg_answer_chunk_progress(const struct fg_answer *a, uint64_t done, uint64_t total,
                                 uint64_t reused)
{
    return with(chunk(a, json_array()), "fulgur",
                json_pack("{s:{s:I, s:I, s:I}}", "progress", "done", (json_int_t)done, "total",
                          (json_int_t)total, "reused", (json_int_t)reused));
}
