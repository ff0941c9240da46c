#include "request_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common/completion.h"
#include "api/common/hint_json.h"
#include "http/json_in.h"

enum { MAX_CHOICES = 128 };

/* `n` answers to each prompt are together never more than one body of that size. */
#define MAX_COPIED_BYTES ((size_t)64 << 20)

bool fg_api_model_matches(const char *name, const struct fg_flow_info *info)
{
    const char *base = info->model_path ? strrchr(info->model_path, '/') : NULL;

    base = base ? base + 1 : info->model_path;
    for (size_t i = 0; i < info->n_aliases; i++)
        if (strcmp(name, info->aliases[i]) == 0)
            return true;
    return info->any_model || strcmp(name, info->model_name) == 0 ||
           (base && strcmp(name, base) == 0);
}

int fg_api_request_model(const json_t *body, const struct fg_flow_info *info,
                         struct fg_http_error *e)
{
    char *name = NULL, found[64];
    int r = fg_json_text(body, "model", "model", &name, e);

    if (!r && name && *name && !fg_api_model_matches(name, info))
        r = fg_http_fail(e, 404, "model", "model_not_found",
                         "model: found %s, this daemon serves \"%s\"",
                         fg_json_found(json_object_get(body, "model"), found), info->model_name);
    free(name);
    return r;
}

/* An object that may be absent, or *out is NULL. */
static int read_object(const json_t *body, const char *name, const json_t **out,
                       struct fg_http_error *e)
{
    char found[64];

    *out = fg_json_field(body, name);
    if (*out && !json_is_object(*out))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be an object", name,
                            fg_json_found(*out, found));
    return 0;
}

/* Of several that say something the narrowest counts. `store` is OpenAI's, about transcripts that
 * nobody keeps here. */
static int read_cache(const json_t *body, const json_t *fulgur, enum fg_cache_use *use,
                      struct fg_http_error *e)
{
    const json_t *v = fg_json_field(fulgur, "cache");
    enum fg_cache_use given = FG_CACHE_READ_WRITE;
    bool cache = true;
    char found[64];
    int r = fg_json_bool(body, "cache", &cache, e);

    if (r)
        return r;
    if (v && fg_api_cache_use(json_string_value(v), &given))
        return fg_http_fail(e, 400, "fulgur.cache", NULL,
                            "fulgur.cache: found %s, it must be \"none\", \"read\" or "
                            "\"read_write\"",
                            fg_json_found(v, found));
    if (given < *use)
        *use = given;
    if (!cache)
        *use = FG_CACHE_NONE;
    return 0;
}

static int read_options(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    const json_t *stream_options, *fulgur;
    int r;

    if ((r = fg_json_bool(body, "stream", &out->stream, e)) ||
        (r = read_object(body, "stream_options", &stream_options, e)) ||
        (r = read_object(body, "fulgur", &fulgur, e)) ||
        (r = read_cache(body, fulgur, &out->job.cache, e)) ||
        (r = fg_json_bool(stream_options, "include_usage", &out->include_usage, e)) ||
        (r = fg_json_bool(fulgur, "progress", &out->progress, e)))
        return r;
    /* Progress has nowhere to go in an answer of one piece. */
    out->progress = out->progress && out->stream;
    out->job.want_progress = out->progress;
    return 0;
}

/* Log-probabilities of the prompt: with an echo, as many as of the answer; and by themselves. */
static int read_prompt_logprobs(const json_t *body, struct fg_api_request *out,
                                struct fg_http_error *e)
{
    const json_t *given = fg_json_field(body, "prompt_logprobs");
    int64_t n = -1;
    int r =
        json_is_false(given) ? 0 : fg_json_int(body, "prompt_logprobs", 0, FG_MAX_LOGPROBS, &n, e);

    if (!r && n >= 0 && out->stream)
        return fg_http_fail(e, 400, "prompt_logprobs", "unsupported_parameter",
                            "prompt_logprobs: found %lld, it must be absent in a stream",
                            (long long)n);
    out->n_prompt_logprobs = (int32_t)n;
    out->job.want_prompt = n >= 0 || (out->echo && out->job.n_logprobs >= 0);
    out->job.n_prompt_top = n > 0 ? (int32_t)n : 0;
    if (out->echo && out->job.n_logprobs > out->job.n_prompt_top)
        out->job.n_prompt_top = out->job.n_logprobs;
    return r;
}

/* How many answers, and what is repeated in them. */
static int read_choices(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    int64_t n = 1, best_of = 0;
    bool echo = false;
    int r = fg_json_int(body, "n", 1, MAX_CHOICES, &n, e);

    if (!r)
        r = fg_json_int(body, "best_of", 0, MAX_CHOICES, &best_of, e);
    if (!r)
        r = fg_json_bool(body, "echo", &echo, e);
    if (r)
        return r;
    out->n = (uint32_t)n;
    out->best_of = best_of ? (uint32_t)best_of : out->n;
    if (out->best_of < out->n)
        return fg_http_fail(e, 400, "best_of", NULL, "best_of: found %u, it must be at least n, %u",
                            out->best_of, out->n);
    if (out->best_of > out->n && (out->chat || out->stream))
        return fg_http_fail(e, 400, "best_of", "unsupported_parameter",
                            "best_of: found %u, it must be n, %u, in a chat or a stream",
                            out->best_of, out->n);
    if (echo && out->chat)
        return fg_http_fail(e, 400, "echo", "unsupported_parameter",
                            "echo: found true, it must be false in a chat");
    out->echo = echo;
    r = read_prompt_logprobs(body, out, e);
    out->wants_logprobs = out->job.n_logprobs >= 0;
    if (out->best_of > out->n && !out->wants_logprobs)
        out->job.n_logprobs = 0; /* they are what is compared */
    return r;
}

static int too_long(uint32_t context, size_t prompt, int32_t max_tokens, struct fg_http_error *e)
{
    struct fg_err err;

    fg_job_too_long(&err, context, prompt, false, max_tokens);
    fg_http_error_from(e, &err, false);
    return FG_EINVAL;
}

int fg_api_request_tokens(const json_t *array, const char *path, const struct fg_flow_info *info,
                          int32_t **ids, size_t *n, struct fg_http_error *e)
{
    size_t count = json_array_size(array), i;
    int32_t *out = count ? calloc(count, sizeof *out) : NULL;
    const json_t *v;
    char found[64];

    *ids = NULL;
    *n = 0;
    if (count && !out)
        return fg_json_nomem(e);
    json_array_foreach(array, i, v)
    {
        int64_t id;

        if (!fg_json_integral(v, &id) || id < 0 || id >= (int64_t)info->n_vocab) {
            free(out);
            return fg_http_fail(e, 400, path, NULL,
                                "%s[%zu]: found %s, it must be a token id from 0 to %u", path, i,
                                fg_json_found(v, found), info->n_vocab - 1);
        }
        out[i] = (int32_t)id;
    }
    *ids = out;
    *n = count;
    return 0;
}

/* `path`, in the member `name`. */
static int read_ids(const json_t *prompt, const char *name, const char *path,
                    const struct fg_flow_info *info, struct fg_job_request *job,
                    struct fg_http_error *e)
{
    if (!json_array_size(prompt))
        return fg_http_fail(e, 400, name, NULL,
                            "%s: found an empty array, it must hold at least one token id", path);
    if (json_array_size(prompt) > info->context_tokens)
        return too_long(info->context_tokens, json_array_size(prompt), job->max_tokens, e);
    job->kind = FG_PROMPT_TOKENS;
    return fg_api_request_tokens(prompt, path, info, &job->tokens, &job->n_tokens, e);
}

static int read_one_prompt(const json_t *prompt, const char *path, const struct fg_flow_info *info,
                           struct fg_job_request *job, struct fg_http_error *e)
{
    char found[64];

    if (json_is_string(prompt)) {
        job->kind = FG_PROMPT_TEXT;
        return fg_json_copy(prompt, &job->text, &job->text_bytes, e);
    }
    if (!json_is_array(prompt))
        return fg_http_fail(e, 400, "prompt", NULL,
                            "%s: found %s, it must be a string or an array of token ids", path,
                            fg_json_found(prompt, found));
    return read_ids(prompt, "prompt", path, info, job, e);
}

/* A string, an array of token ids, or an array of these. */
static int read_prompt(const json_t *body, const struct fg_api_choice *choice,
                       const struct fg_flow_info *info, struct fg_api_request *out,
                       struct fg_http_error *e)
{
    const json_t *prompt = fg_json_field(body, "prompt"), *first = json_array_get(prompt, 0);
    char path[32] = "prompt";

    if (!prompt)
        return fg_http_fail(e, 400, path, NULL,
                            "prompt: it is missing; it must be a string or an array of token ids");
    out->n_prompts = 1;
    if (json_is_string(first) || json_is_array(first)) {
        out->n_prompts = json_array_size(prompt);
        if (out->n_prompts > MAX_CHOICES)
            return fg_http_fail(e, 400, path, NULL,
                                "prompt: found %zu prompts, at most %d are taken", out->n_prompts,
                                MAX_CHOICES);
        prompt = json_array_get(prompt, choice->prompt);
        snprintf(path, sizeof path, "prompt[%zu]", choice->prompt);
    }
    return read_one_prompt(prompt, path, info, &out->job, e);
}

static int read_ids_member(const json_t *body, const char *name, const struct fg_flow_info *info,
                           struct fg_api_request *out, struct fg_http_error *e)
{
    const json_t *ids = fg_json_field(body, name);
    char found[64];

    if (!json_is_array(ids))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be an array of token ids",
                            name, ids ? fg_json_found(ids, found) : "nothing");
    return read_ids(ids, name, name, info, &out->job, e);
}

static int read_input(const json_t *body, const struct fg_api_choice *choice,
                      const struct fg_flow_info *info, struct fg_api_request *out,
                      struct fg_http_error *e)
{
    if (out->chat)
        return fg_api_request_chat(body, choice->text, out, e);
    return choice->ids ? read_ids_member(body, choice->ids, info, out, e)
                       : read_prompt(body, choice, info, out, e);
}

int fg_api_request_parse_choice(const json_t *body, const struct fg_api_choice *choice,
                                const struct fg_flow_info *info, struct fg_api_request *out,
                                struct fg_http_error *e)
{
    int r;

    memset(out, 0, sizeof *out);
    out->chat = choice->chat;
    out->n_prompts = 1;
    out->job.marks = out->chat;
    out->job.cache = choice->cache;
    if ((r = fg_api_request_model(body, info, e)) ||
        (r = fg_api_request_refuse(body, out->chat, e)) || (r = read_options(body, out, e)) ||
        (r = fg_api_request_rules(body, info, out, e)) ||
        (r = fg_api_request_form(body, choice->text, out, e)) ||
        (r = fg_api_request_sampling(body, &out->job.sampling, e)) ||
        (r = read_choices(body, out, e)) || (r = read_input(body, choice, info, out, e)) ||
        (r = fg_hint_read(body, &out->job, e)))
        fg_api_request_finish(out);
    out->job.sampling.seed += choice->number;
    return r;
}

int fg_api_request_count(const struct fg_api_request *r, size_t body_bytes, size_t *n,
                         struct fg_http_error *e)
{
    *n = r->n_prompts * r->best_of;
    if (*n > MAX_CHOICES)
        return fg_http_fail(e, 400, "n", NULL,
                            "n: %zu prompts with %u answers each are too many, at most %d answers "
                            "are given",
                            r->n_prompts, r->best_of, MAX_CHOICES);
    if (r->best_of > 1 && body_bytes > MAX_COPIED_BYTES / r->best_of)
        return fg_http_fail(e, 400, "n", NULL, "n: the prompt is too large for %u answers to it",
                            r->best_of);
    return 0;
}

void fg_api_request_finish(struct fg_api_request *r)
{
    fg_job_request_finish(&r->job);
}
