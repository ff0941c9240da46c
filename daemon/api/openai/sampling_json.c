/* How the answer's tokens are chosen, and what ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "http/json_in.h"
#include "request_json.h"

enum {
    MAX_STOP = 16,
    MAX_BAD_WORDS = 128,
    MAX_STRING = 1024, /* bytes of one of them */
    MAX_BIASES = 4096,
    COMPLETION_MAX_TOKENS = 16
};

static int read_penalties(const json_t *body, struct fg_sampling *s, struct fg_http_error *e)
{
    double presence = 0, frequency = 0, repetition = 1;
    int r;

    if ((r = fg_json_number(body, "presence_penalty", -2, 2, &presence, e)) ||
        (r = fg_json_number(body, "frequency_penalty", -2, 2, &frequency, e)) ||
        (r = fg_json_number(body, "repetition_penalty", 0.01, 100, &repetition, e)))
        return r;
    s->presence_penalty = (float)presence;
    s->frequency_penalty = (float)frequency;
    s->repetition_penalty = (float)repetition;
    return 0;
}

int fg_api_request_sampling(const json_t *body, struct fg_sampling *s, struct fg_http_error *e)
{
    double temperature = 1, top_p = 1, min_p = 0;
    int64_t top_k = 0, seed = -1;
    int r;

    if ((r = fg_json_number(body, "temperature", 0, 100, &temperature, e)) ||
        (r = fg_json_number(body, "top_p", 0, 1, &top_p, e)) ||
        (r = fg_json_number(body, "min_p", 0, 1, &min_p, e)) ||
        (r = fg_json_int(body, "top_k", -1, INT32_MAX, &top_k, e)) ||
        (r = fg_json_int(body, "seed", INT64_MIN, INT64_MAX, &seed, e)) ||
        (r = read_penalties(body, s, e)))
        return r;
    s->temperature = (float)temperature;
    s->top_p = (float)top_p;
    s->min_p = (float)min_p;
    s->top_k = top_k > 0 ? (int32_t)top_k : 0;
    s->seed = (uint64_t)seed;
    if (seed == -1 && getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed)
        return fg_http_fail(e, 500, NULL, NULL, "no random seed could be drawn");
    return 0;
}

/* --- lists of strings: `stop` and `bad_words` --- */

struct strings {
    const char *name;
    int most;
    char ***list;
    size_t *n;
};

/* An empty string says nothing. */
static int add_string(const json_t *v, const char *path, const struct strings *s,
                      struct fg_http_error *e)
{
    char found[64];

    if (!json_is_string(v))
        return fg_http_fail(e, 400, s->name, NULL, "%s: found %s, it must be a string", path,
                            fg_json_found(v, found));
    if (!json_string_length(v))
        return 0;
    if (memchr(json_string_value(v), '\0', json_string_length(v)))
        return fg_http_fail(e, 400, s->name, NULL, "%s: it must be a string without NUL", path);
    if (json_string_length(v) > MAX_STRING)
        return fg_http_fail(e, 400, s->name, NULL, "%s: found %zu bytes, at most %d are taken",
                            path, json_string_length(v), MAX_STRING);
    if (fg_json_copy(v, &(*s->list)[*s->n], NULL, e))
        return FG_EINVAL;
    ++*s->n;
    return 0;
}

static int read_strings(const json_t *body, const struct strings *s, struct fg_http_error *e)
{
    const json_t *given = fg_json_field(body, s->name), *v;
    char path[32], found[64];
    size_t i;
    int r = 0;

    if (!given)
        return 0;
    if (!json_is_string(given) && !json_is_array(given))
        return fg_http_fail(e, 400, s->name, NULL,
                            "%s: found %s, it must be a string or an array of strings", s->name,
                            fg_json_found(given, found));
    if (json_array_size(given) > (size_t)s->most)
        return fg_http_fail(e, 400, s->name, NULL, "%s: found %zu strings, at most %d are taken",
                            s->name, json_array_size(given), s->most);
    *s->list = calloc((size_t)s->most, sizeof **s->list);
    if (!*s->list)
        return fg_json_nomem(e);
    if (json_is_string(given))
        return add_string(given, s->name, s, e);
    json_array_foreach(given, i, v)
    {
        snprintf(path, sizeof path, "%s[%zu]", s->name, i);
        r = add_string(v, path, s, e);
        if (r)
            break;
    }
    return r;
}

/* --- token ids --- */

static int read_ids(const json_t *body, const char *name, const struct fg_flow_info *info,
                    int32_t **ids, size_t *n, struct fg_http_error *e)
{
    const json_t *v = fg_json_field(body, name);
    char found[64];

    if (!v)
        return 0;
    if (!json_is_array(v))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be an array of token ids",
                            name, fg_json_found(v, found));
    return fg_api_request_tokens(v, name, info, ids, n, e);
}

/* The token id that a member's name is, or -1. */
static int64_t id_of(const char *name, const struct fg_flow_info *info)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(name, &end, 10);
    return errno || !*name || *end || *name < '0' || *name > '9' || v >= (long)info->n_vocab ? -1
                                                                                             : v;
}

static int read_bias(const json_t *body, const struct fg_flow_info *info,
                     struct fg_token_rules *rules, struct fg_http_error *e)
{
    json_t *given = fg_json_field(body, "logit_bias"), *v;
    const char *name = "logit_bias", *key;
    char found[64];

    if (!given || (json_is_array(given) && !json_array_size(given)))
        return 0;
    if (!json_is_object(given) || json_object_size(given) > MAX_BIASES)
        return fg_http_fail(e, 400, name, NULL,
                            "logit_bias: found %s, it must be an object of at most %d token ids "
                            "with numbers",
                            fg_json_found(given, found), MAX_BIASES);
    rules->bias = calloc(json_object_size(given) + 1, sizeof *rules->bias);
    if (!rules->bias)
        return fg_json_nomem(e);
    json_object_foreach(given, key, v)
    {
        int64_t id = id_of(key, info);
        double bias = json_number_value(v);

        if (id < 0)
            return fg_http_fail(e, 400, name, NULL,
                                "logit_bias: found the name \"%.24s\", it must be a token id from "
                                "0 to %u",
                                key, info->n_vocab - 1);
        if (!json_is_number(v) || !(bias >= -100 && bias <= 100))
            return fg_http_fail(e, 400, name, NULL,
                                "logit_bias[\"%.24s\"]: found %s, it must be a number from -100 to "
                                "100",
                                key, fg_json_found(v, found));
        rules->bias[rules->n_bias++] =
            (struct fg_token_bias){.token = (int32_t)id, .bias = (float)bias};
    }
    return 0;
}

/* --- how long it is --- */

/* One limit has many names; the first that is there counts. */
static int read_max_tokens(const json_t *body, int64_t *max, struct fg_http_error *e)
{
    static const char *const names[] = {"max_completion_tokens", "max_tokens", "n_predict",
                                        "num_predict", "max_new_tokens"};
    const char *counts = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t given = *max;
        int r = fg_json_int(body, names[i], -1, INT32_MAX, &given, e);

        if (r)
            return r;
        if (!counts && fg_json_field(body, names[i])) {
            counts = names[i];
            *max = given;
        }
    }
    return 0;
}

static int read_logprobs(const json_t *body, bool chat, int64_t *n, struct fg_http_error *e)
{
    const json_t *given = fg_json_field(body, "logprobs");
    int64_t top = -1;
    bool on = false;
    int r;

    *n = -1;
    if (!chat)
        return json_is_false(given) ? 0 : fg_json_int(body, "logprobs", 0, FG_MAX_LOGPROBS, n, e);
    if (!(json_is_integer(given) && json_integer_value(given) == 0) &&
        (r = fg_json_bool(body, "logprobs", &on, e)))
        return r;
    r = fg_json_int(body, "top_logprobs", 0, FG_MAX_LOGPROBS, &top, e);
    if (!r && !on && top > 0)
        r = fg_http_fail(e, 400, "top_logprobs", NULL,
                         "top_logprobs: it needs logprobs to be true");
    if (on)
        *n = top > 0 ? top : 0;
    return r;
}

/* Of the model, or of what a token was drawn from. */
static int read_logprobs_mode(const json_t *body, bool *drawn, struct fg_http_error *e)
{
    const json_t *given = fg_json_field(body, "logprobs_mode");
    const char *mode = json_string_value(given);
    char found[64];

    *drawn = mode && strcmp(mode, "processed_logprobs") == 0;
    if (!given || *drawn || (mode && (!*mode || strcmp(mode, "raw_logprobs") == 0)))
        return 0;
    return fg_http_fail(e, 400, "logprobs_mode", mode ? "unsupported_parameter" : NULL,
                        "logprobs_mode: found %s, it must be \"raw_logprobs\" or "
                        "\"processed_logprobs\"",
                        fg_json_found(given, found));
}

static int read_min_tokens(const json_t *body, struct fg_job_request *job, struct fg_http_error *e)
{
    int64_t least = 0;
    int r = fg_json_int(body, "min_tokens", 0, INT32_MAX, &least, e);

    if (!r && !least)
        r = fg_json_int(body, "min_new_tokens", 0, INT32_MAX, &least, e);
    if (!r && job->max_tokens >= 0 && least > job->max_tokens)
        return fg_http_fail(e, 400, "min_tokens", NULL,
                            "min_tokens: found %lld, it must be at most max_tokens, %d",
                            (long long)least, job->max_tokens);
    job->rules.min_tokens = (uint32_t)least;
    return r;
}

static int read_length(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    int64_t max_tokens = out->chat ? -1 : COMPLETION_MAX_TOKENS, n_logprobs;
    int r = read_max_tokens(body, &max_tokens, e);

    out->job.max_tokens = (int32_t)max_tokens;
    if (!r)
        r = read_logprobs(body, out->chat, &n_logprobs, e);
    if (!r)
        r = read_logprobs_mode(body, &out->job.drawn_logprobs, e);
    if (r)
        return r;
    out->job.n_logprobs = (int32_t)n_logprobs;
    return read_min_tokens(body, &out->job, e);
}

int fg_api_request_rules(const json_t *body, const struct fg_flow_info *info,
                         struct fg_api_request *out, struct fg_http_error *e)
{
    struct fg_job_request *job = &out->job;
    struct fg_token_rules *rules = &job->rules;
    const struct strings stop = {"stop", MAX_STOP, &job->stop, &job->n_stop};
    const struct strings bad = {"bad_words", MAX_BAD_WORDS, &rules->bad_words, &rules->n_bad_words};
    bool skip_special = true, add_special = true;
    int r;

    if ((r = read_length(body, out, e)) || (r = read_strings(body, &stop, e)) ||
        (r = read_strings(body, &bad, e)) || (r = read_bias(body, info, rules, e)) ||
        (r = read_ids(body, "stop_token_ids", info, &rules->stop, &rules->n_stop, e)) ||
        (r = read_ids(body, "allowed_token_ids", info, &rules->allowed, &rules->n_allowed, e)) ||
        (r = fg_json_bool(body, "ignore_eos", &job->ignore_eos, e)) ||
        (r = fg_json_bool(body, "skip_special_tokens", &skip_special, e)) ||
        (r = fg_json_bool(body, "add_special_tokens", &add_special, e)) ||
        (r = fg_json_bool(body, "return_token_ids", &job->want_tokens, e)))
        return r;
    job->show_control = !skip_special;
    job->no_begin = !add_special;
    if (out->chat && fg_json_field(body, "add_special_tokens") && add_special)
        return fg_http_fail(e, 400, "add_special_tokens", "unsupported_parameter",
                            "add_special_tokens: found true, it must be false: a chat's template "
                            "writes all of its tokens");
    return 0;
}
