#include "request_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "http/json_in.h"

enum { MAX_STOP = 16, MAX_STOP_BYTES = 1024, COMPLETION_MAX_TOKENS = 16 };

/* Fields that would change the answer and that fulgur does not do: only the value that changes
 * nothing is taken. */
struct refused {
    const char *name;
    enum { ZERO, ONE, NEVER, NOT_TRUE, NOT_FALSE, NOT_FILLED } unless;
    const char *right; /* what would be right */
};

static const struct refused refused[] = {
    {"n", ONE, "1: one answer a request"},
    {"best_of", ONE, "1: one answer a request"},
    {"echo", NOT_TRUE, "false: the prompt is not repeated"},
    {"suffix", NOT_FILLED, "absent: text is not inserted"},
    {"logit_bias", NOT_FILLED, "empty: logits are not biased"},
    {"presence_penalty", ZERO, "0: logits are not penalised"},
    {"frequency_penalty", ZERO, "0: logits are not penalised"},
    {"repetition_penalty", ONE, "1: logits are not penalised"},
    {"repeat_penalty", ONE, "1: logits are not penalised"},
    {"audio", NEVER, "absent: the model reads and writes text"},
    {"functions", NEVER, "absent: use tools"},
    {"function_call", NEVER, "absent: use tool_choice"},
    {"web_search_options", NEVER, "absent: the daemon does not reach the web"},
    {"grammar", NOT_FILLED, "absent: the answer's form is not constrained"},
    {"json_schema", NEVER, "absent: the answer's form is not constrained"},
    {"parallel_tool_calls", NOT_FALSE, "true: the number of tool calls is not constrained"},
};

static bool changes_nothing(const json_t *v, int unless)
{
    switch (unless) {
    case ZERO: return json_is_number(v) && json_number_value(v) == 0;
    case ONE: return json_is_number(v) && json_number_value(v) == 1;
    case NOT_TRUE: return json_is_false(v);
    case NOT_FALSE: return json_is_true(v);
    case NOT_FILLED:
        return (json_is_string(v) && !json_string_length(v)) ||
               (json_is_object(v) && !json_object_size(v));
    }
    return false;
}

static int check_refused(const json_t *body, struct fg_http_error *e)
{
    char found[64];

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *v = fg_json_field(body, refused[i].name);

        if (v && !changes_nothing(v, refused[i].unless))
            return fg_http_fail(e, 400, refused[i].name, "unsupported_parameter",
                                "%s: found %s, it must be %s", refused[i].name,
                                fg_json_found(v, found), refused[i].right);
    }
    return 0;
}

static int check_form(const json_t *body, struct fg_http_error *e)
{
    const json_t *format = fg_json_field(body, "response_format");
    const json_t *modalities = fg_json_field(body, "modalities");
    const json_t *type = json_object_get(format, "type");
    const char *mode = json_string_value(json_array_get(modalities, 0));
    char found[64];

    if (format && !json_is_string(type))
        return fg_http_fail(e, 400, "response_format", NULL,
                            "response_format: it must be {\"type\": \"text\"}");
    if (format && strcmp(json_string_value(type), "text") != 0)
        return fg_http_fail(e, 400, "response_format", "unsupported_parameter",
                            "response_format.type: found %s, it must be \"text\": the answer's "
                            "form is not constrained",
                            fg_json_found(type, found));
    if (modalities && (json_array_size(modalities) != 1 || !mode || strcmp(mode, "text") != 0))
        return fg_http_fail(e, 400, "modalities", "unsupported_parameter",
                            "modalities: it must be [\"text\"]");
    return 0;
}

bool fg_api_model_matches(const char *name, const struct fg_flow_info *info)
{
    const char *base = info->model_path ? strrchr(info->model_path, '/') : NULL;

    base = base ? base + 1 : info->model_path;
    return strcmp(name, info->model_name) == 0 || (base && strcmp(name, base) == 0);
}

int fg_api_request_model(const json_t *body, const struct fg_flow_info *info,
                         struct fg_http_error *e)
{
    char *name = NULL, found[64];
    int r = fg_json_text(body, "model", "model", &name, e);

    if (!r && name && !fg_api_model_matches(name, info))
        r = fg_http_fail(e, 404, "model", "model_not_found",
                         "model: found %s, this daemon serves \"%s\"",
                         fg_json_found(json_object_get(body, "model"), found), info->model_name);
    free(name);
    return r;
}

static int read_sampling(const json_t *body, struct fg_sampling *s, struct fg_http_error *e)
{
    double temperature = 1, top_p = 1, min_p = 0;
    int64_t top_k = 0, seed = -1;
    int r;

    if ((r = fg_json_number(body, "temperature", 0, 100, &temperature, e)) ||
        (r = fg_json_number(body, "top_p", 0, 1, &top_p, e)) ||
        (r = fg_json_number(body, "min_p", 0, 1, &min_p, e)) ||
        (r = fg_json_int(body, "top_k", 0, INT32_MAX, &top_k, e)) ||
        (r = fg_json_int(body, "seed", 0, INT64_MAX, &seed, e)))
        return r;
    s->temperature = (float)temperature;
    s->top_p = (float)top_p;
    s->min_p = (float)min_p;
    s->top_k = (int32_t)top_k;
    if (s->top_p == 0)
        return fg_http_fail(e, 400, "top_p", NULL,
                            "top_p: found %g, it must be a number above 0, at most 1", top_p);
    if (seed >= 0)
        s->seed = (uint64_t)seed;
    else if (getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed)
        return fg_http_fail(e, 500, NULL, NULL, "no random seed could be drawn");
    return 0;
}

static int add_stop(const json_t *v, const char *path, struct fg_job_request *job,
                    struct fg_http_error *e)
{
    char found[64];

    if (!json_is_string(v))
        return fg_http_fail(e, 400, "stop", NULL, "%s: found %s, it must be a string", path,
                            fg_json_found(v, found));
    if (!json_string_length(v) || memchr(json_string_value(v), '\0', json_string_length(v)))
        return fg_http_fail(e, 400, "stop", NULL,
                            "%s: it must be a string of at least one byte, without NUL", path);
    if (json_string_length(v) > MAX_STOP_BYTES)
        return fg_http_fail(e, 400, "stop", NULL, "%s: found %zu bytes, at most %d are taken", path,
                            json_string_length(v), MAX_STOP_BYTES);
    if (fg_json_copy(v, &job->stop[job->n_stop], NULL, e))
        return FG_EINVAL;
    job->n_stop++;
    return 0;
}

static int read_stop(const json_t *body, struct fg_job_request *job, struct fg_http_error *e)
{
    const json_t *stop = fg_json_field(body, "stop"), *v;
    char path[32], found[64];
    size_t i;
    int r = 0;

    if (!stop)
        return 0;
    if (!json_is_string(stop) && !json_is_array(stop))
        return fg_http_fail(e, 400, "stop", NULL,
                            "stop: found %s, it must be a string or an array of strings",
                            fg_json_found(stop, found));
    if (json_array_size(stop) > MAX_STOP)
        return fg_http_fail(e, 400, "stop", NULL, "stop: found %zu strings, at most %d are taken",
                            json_array_size(stop), MAX_STOP);
    job->stop = calloc(MAX_STOP, sizeof *job->stop);
    if (!job->stop)
        return fg_json_nomem(e);
    if (json_is_string(stop))
        return add_stop(stop, "stop", job, e);
    json_array_foreach(stop, i, v)
    {
        snprintf(path, sizeof path, "stop[%zu]", i);
        r = add_stop(v, path, job, e);
        if (r)
            break;
    }
    return r;
}

static int read_limits(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    int64_t max_tokens = out->chat ? -1 : COMPLETION_MAX_TOKENS, n_logprobs = -1;
    bool logprobs = false;
    int r = fg_json_int(body, "max_tokens", 1, INT32_MAX, &max_tokens, e);

    if (!r && out->chat)
        r = fg_json_int(body, "max_completion_tokens", 1, INT32_MAX, &max_tokens, e);
    if (!r && !out->chat)
        r = fg_json_int(body, "logprobs", 0, FG_MAX_LOGPROBS, &n_logprobs, e);
    if (!r && out->chat) {
        r = fg_json_bool(body, "logprobs", &logprobs, e);
        if (!r)
            r = fg_json_int(body, "top_logprobs", 0, FG_MAX_LOGPROBS, &n_logprobs, e);
        if (!r && !logprobs && n_logprobs > 0)
            r = fg_http_fail(e, 400, "top_logprobs", NULL,
                             "top_logprobs: it needs logprobs to be true");
        if (!logprobs)
            n_logprobs = -1;
        else if (n_logprobs < 0)
            n_logprobs = 0;
    }
    out->job.max_tokens = (int32_t)max_tokens;
    out->job.n_logprobs = (int32_t)n_logprobs;
    return r;
}

static int read_options(const json_t *body, struct fg_api_request *out, struct fg_http_error *e)
{
    const json_t *stream_options = fg_json_field(body, "stream_options");
    const json_t *fulgur = fg_json_field(body, "fulgur");
    char found[64];
    bool cache = true, store = true;
    int r;

    if ((r = fg_json_bool(body, "stream", &out->stream, e)) ||
        (r = fg_json_bool(body, "cache", &cache, e)) ||
        (r = fg_json_bool(body, "store", &store, e)) ||
        (r = fg_json_bool(body, "ignore_eos", &out->job.ignore_eos, e)))
        return r;
    out->job.cache = !cache ? FG_CACHE_NONE : store ? FG_CACHE_READ_WRITE : FG_CACHE_READ;
    if (stream_options && !json_is_object(stream_options))
        return fg_http_fail(e, 400, "stream_options", NULL,
                            "stream_options: found %s, it must be an object",
                            fg_json_found(stream_options, found));
    if (fulgur && !json_is_object(fulgur))
        return fg_http_fail(e, 400, "fulgur", NULL, "fulgur: found %s, it must be an object",
                            fg_json_found(fulgur, found));
    if ((stream_options &&
         (r = fg_json_bool(stream_options, "include_usage", &out->include_usage, e))) ||
        (fulgur && (r = fg_json_bool(fulgur, "progress", &out->progress, e))))
        return r;
    /* Progress has nowhere to go in an answer of one piece. */
    out->progress = out->progress && out->stream;
    out->job.want_progress = out->progress;
    return 0;
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
        if (!json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) >= (json_int_t)info->n_vocab) {
            free(out);
            return fg_http_fail(e, 400, path, NULL,
                                "%s[%zu]: found %s, it must be a token id from 0 to %u", path, i,
                                fg_json_found(v, found), info->n_vocab - 1);
        }
        out[i] = (int32_t)json_integer_value(v);
    }
    *ids = out;
    *n = count;
    return 0;
}

/* A string, an array of token ids, or an array of one of these. */
static int read_prompt(const json_t *body, const struct fg_flow_info *info,
                       struct fg_job_request *job, struct fg_http_error *e)
{
    const char *path = "prompt";
    const json_t *prompt = fg_json_field(body, path), *first = json_array_get(prompt, 0);
    char found[64];

    if (!prompt)
        return fg_http_fail(e, 400, path, NULL,
                            "prompt: it is missing; it must be a string or an array of token ids");
    if (json_is_string(first) || json_is_array(first)) {
        if (json_array_size(prompt) > 1)
            return fg_http_fail(e, 400, path, "unsupported_parameter",
                                "prompt: found %zu prompts, one a request is served",
                                json_array_size(prompt));
        prompt = first;
        path = json_is_array(first) ? "prompt[0]" : path;
    }
    if (json_is_string(prompt)) {
        job->kind = FG_PROMPT_TEXT;
        return fg_json_copy(prompt, &job->text, &job->text_bytes, e);
    }
    if (!json_is_array(prompt))
        return fg_http_fail(e, 400, "prompt", NULL,
                            "prompt: found %s, it must be a string or an array of token ids",
                            fg_json_found(prompt, found));
    if (!json_array_size(prompt))
        return fg_http_fail(e, 400, "prompt", NULL,
                            "prompt: found an empty array, it must hold at least one token id");
    if (json_array_size(prompt) > info->context_tokens)
        return fg_http_fail(e, 400, "prompt", "context_length_exceeded",
                            "prompt has %zu tokens, the context holds %u", json_array_size(prompt),
                            info->context_tokens);
    job->kind = FG_PROMPT_TOKENS;
    return fg_api_request_tokens(prompt, path, info, &job->tokens, &job->n_tokens, e);
}

int fg_api_request_parse(const json_t *body, bool chat, const struct fg_flow_info *info,
                         struct fg_api_request *out, struct fg_http_error *e)
{
    int r;

    memset(out, 0, sizeof *out);
    out->chat = chat;
    if ((r = fg_api_request_model(body, info, e)) || (r = check_refused(body, e)) ||
        (r = check_form(body, e)) || (r = read_options(body, out, e)) ||
        (r = read_limits(body, out, e)) || (r = read_sampling(body, &out->job.sampling, e)) ||
        (r = read_stop(body, &out->job, e)) ||
        (r = chat ? fg_api_request_chat(body, out, e) : read_prompt(body, info, &out->job, e)))
        fg_api_request_finish(out);
    return r;
}

void fg_api_request_finish(struct fg_api_request *r)
{
    fg_job_request_finish(&r->job);
}
