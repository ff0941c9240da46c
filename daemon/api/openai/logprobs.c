/* The logprobs objects of the two endpoints. Chat: {"content": [{token, logprob, bytes, id,
 * top_logprobs}]}. Completions: parallel arrays {tokens, token_logprobs, top_logprobs, text_offset,
 * token_ids}. `id` and `token_ids` are fulgur's own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "http/lossy.h"
#include "response_json.h"

/* JSON has no infinity: OpenAI writes -9999 for a probability of 0. */
static json_t *logprob(float v)
{
    if (isnan(v))
        return json_null();
    return json_real(isinf(v) ? (v < 0 ? -9999.0 : 9999.0) : (double)v);
}

static size_t piece_bytes(const struct fg_token_logprob *t)
{
    return t->piece_bytes < sizeof t->piece ? t->piece_bytes : sizeof t->piece;
}

/* Its text; of a token that is a piece of characters its bytes, as OpenAI writes them, so that no
 * two such tokens look the same. */
static json_t *piece(const struct fg_token_logprob *t)
{
    char text[sizeof "bytes:" + 4 * sizeof t->piece] = "bytes:";
    size_t n = piece_bytes(t), at = strlen(text);
    bool whole = true;

    for (size_t i = 0, len; whole && i < n; i += len) {
        len = fg_utf8_length(t->piece + i, n - i);
        whole = len > 0;
        len += !len;
    }
    /* One that was cut at its end is long enough to be told apart. */
    if (whole || t->piece_bytes >= sizeof t->piece)
        return fg_json_stringn(t->piece, n);
    for (size_t i = 0; i < n; i++)
        at += (size_t)sprintf(text + at, "\\x%02x", (unsigned char)t->piece[i]);
    return json_stringn(text, at);
}

/* Where an answer has no text, its tokens have their ids in the place of theirs. */
static json_t *token_name(const struct fg_answer *a, const struct fg_token_logprob *t)
{
    return a->bare ? json_sprintf("token_id:%d", (int)t->token) : piece(t);
}

static json_t *chat_token(const struct fg_answer *a, const struct fg_token_logprob *t)
{
    json_t *bytes = json_array();

    for (size_t i = 0; i < piece_bytes(t); i++)
        if (json_array_append_new(bytes, json_integer((unsigned char)t->piece[i])) < 0) {
            json_decref(bytes);
            return NULL;
        }
    return json_pack("{s:o, s:o, s:o, s:i}", "token", token_name(a, t), "logprob",
                     logprob(t->logprob), "bytes", bytes, "id", (int)t->token);
}

static json_t *chat_entry(const struct fg_answer *a, const struct fg_job_token *t)
{
    json_t *entry = chat_token(a, &t->chosen), *top = json_array();

    for (uint32_t i = 0; i < t->n_top; i++)
        if (json_array_append_new(top, chat_token(a, &t->top[i])) < 0)
            goto fail;
    if (entry && json_object_set(entry, "top_logprobs", top) == 0) {
        json_decref(top);
        return entry;
    }
fail:
    json_decref(top);
    json_decref(entry);
    return NULL;
}

/* token text -> logprob, best first, then the chosen one. Of tokens whose text is the same the best
 * stays. */
static json_t *legacy_top(const struct fg_job_token *t)
{
    json_t *top = json_object();

    for (uint32_t i = 0; top && i <= t->n_top; i++) {
        const struct fg_token_logprob *one = i < t->n_top ? &t->top[i] : &t->chosen;
        json_t *name = piece(one);
        size_t n = json_string_length(name);
        int r = -1;

        if (name && json_object_getn(top, json_string_value(name), n))
            r = 0;
        else if (name)
            r = json_object_setn_new(top, json_string_value(name), n, logprob(one->logprob));
        json_decref(name);
        if (r < 0) {
            json_decref(top);
            return NULL;
        }
    }
    return top;
}

static int legacy_append(const struct fg_answer *a, json_t *lists, const struct fg_job_token *t,
                         size_t *text_offset)
{
    const char *const names[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset",
                                 "token_ids"};
    json_t *values[] = {
        piece(&t->chosen),
        logprob(t->chosen.logprob),
        a->n_logprobs > 0 && !isnan(t->chosen.logprob) ? legacy_top(t) : json_null(),
        json_integer((json_int_t)*text_offset),
        json_integer(t->chosen.token),
    };
    int r = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_array_append_new(json_object_get(lists, names[i]), values[i]) < 0)
            r = FG_ENOMEM;
    if (!t->chosen.control)
        *text_offset += fg_api_code_points(t->chosen.piece, piece_bytes(&t->chosen));
    return r;
}

json_t *fg_answer_logprobs(const struct fg_answer *a, const struct fg_job_token *tokens, size_t n,
                           size_t *text_offset)
{
    const bool chat = a->chat || a->bare;
    json_t *root = chat ? json_pack("{s:[]}", "content")
                        : json_pack("{s:[], s:[], s:[], s:[], s:[]}", "tokens", "token_logprobs",
                                    "top_logprobs", "text_offset", "token_ids");
    json_t *content = json_object_get(root, "content");

    for (size_t i = 0; root && i < n; i++) {
        int r = chat ? json_array_append_new(content, chat_entry(a, &tokens[i]))
                     : legacy_append(a, root, &tokens[i], text_offset);

        if (r < 0) {
            json_decref(root);
            return NULL;
        }
    }
    return root;
}

/* Adds a token under its id, unless it is there. */
static bool add_ranked(json_t *entry, const struct fg_token_logprob *t)
{
    char id[16];

    snprintf(id, sizeof id, "%d", (int)t->token);
    return json_object_get(entry, id) ||
           json_object_set_new(entry, id,
                               json_pack("{s:o, s:I, s:o}", "logprob", logprob(t->logprob), "rank",
                                         (json_int_t)t->rank, "decoded_token", piece(t))) == 0;
}

json_t *fg_answer_prompt_logprob(const struct fg_answer *a, const struct fg_job_token *t,
                                 bool first)
{
    json_t *entry = first ? json_null() : json_object();
    bool ok = first || add_ranked(entry, &t->chosen);

    for (uint32_t i = 0; ok && !first && i < t->n_top && i < (uint32_t)a->n_prompt_logprobs; i++)
        ok = add_ranked(entry, &t->top[i]);
    if (ok)
        return entry;
    json_decref(entry);
    return NULL;
}

int fg_answer_logprobs_extend(json_t *into, const json_t *more)
{
    const char *name;
    json_t *list;

    json_object_foreach((json_t *)more, name,
                        list) if (json_array_extend(json_object_get(into, name), list) <
                                  0) return FG_ENOMEM;
    return 0;
}
