#include "info_routes.h"

#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>

#include "api.h"
#include "cache/cache.h"
#include "http/json_in.h"
#include "http/lossy.h"
#include "http/reply.h"
#include "api/openai/request_json.h"

enum { MAX_JOB_ROWS = 256 };

void fg_route_health(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    (void)rest;
    if (api->draining)
        fg_reply_json(api, req, 503, json_pack("{s:s}", "status", "draining"));
    else
        fg_reply_json(api, req, 200,
                      json_pack("{s:s, s:o, s:o}", "status", "ok", "model",
                                fg_api_string(api->info.model_name), "device",
                                fg_api_string(api->info.device)));
}

static json_t *model_json(const struct fg_flow_info *info)
{
    return json_pack("{s:o, s:s, s:I, s:s, s:{s:I, s:o, s:s, s:o, s:o}}", "id",
                     fg_api_string(info->model_name), "object", "model", "created",
                     (json_int_t)info->model_created, "owned_by", "fulgur", "fulgur",
                     "context_tokens", (json_int_t)info->context_tokens, "architecture",
                     fg_api_string(info->architecture), "numerics", info->numerics, "numerics_id",
                     fg_api_string(info->numerics_id), "path", fg_api_string(info->model_path));
}

void fg_route_models(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    (void)rest;
    fg_reply_json(api, req, 200,
                  json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(&api->info)));
}

void fg_route_model(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    struct fg_api_error e;

    if (fg_api_model_matches(rest, &api->info)) {
        fg_reply_json(api, req, 200, model_json(&api->info));
        return;
    }
    fg_api_fail(&e, 404, "model", "model_not_found",
                "model: found \"%.64s\", this daemon serves \"%s\"", rest, api->info.model_name);
    fg_reply_error(api, req, &e);
}

static json_t *job_json(const struct fg_job_status *j)
{
    static const char *const phases[] = {"queued", "restore", "prefill", "decode"};

    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:f}", "id", (json_int_t)j->id, "phase",
                     phases[j->phase], "prompt_tokens", (json_int_t)j->prompt_tokens, "done_tokens",
                     (json_int_t)j->done_tokens, "reused_tokens", (json_int_t)j->reused_tokens,
                     "generated_tokens", (json_int_t)j->generated_tokens, "age_ms", j->age_ms);
}

void fg_route_status(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    const struct fg_flow_info *info = &api->info;
    const struct fg_caller *caller = &fg_conn_of(api, req)->caller;
    struct fg_job_status *rows = calloc(MAX_JOB_ROWS, sizeof *rows);
    size_t total =
        rows ? api->backend.jobs(api->backend.ctx, &caller->tenant, rows, MAX_JOB_ROWS) : 0;
    size_t n = total < MAX_JOB_ROWS ? total : MAX_JOB_ROWS;
    json_t *jobs = rows ? json_array() : NULL, *root = NULL;

    (void)rest;
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(jobs, job_json(&rows[i])) < 0)
            break;
    free(rows);
    if (jobs)
        root = json_pack(
            "{s:s, s:o, s:b, s:o, s:I, s:o}", "version", api->version, "model",
            json_pack("{s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:I}", "id",
                      fg_api_string(info->model_name), "path", fg_api_string(info->model_path),
                      "architecture", fg_api_string(info->architecture), "numerics", info->numerics,
                      "numerics_id", fg_api_string(info->numerics_id), "context_tokens",
                      (json_int_t)info->context_tokens, "vocabulary", (json_int_t)info->n_vocab,
                      "weight_bytes", (json_int_t)info->weight_bytes),
            "draining", api->draining, "device", fg_api_string(info->device), "n_jobs",
            (json_int_t)total, "jobs", jobs);
    if (root)
        json_object_set_new(root, "driver", fg_api_string(info->driver));
    if (root && caller->owner)
        json_object_set_new(
            root, "n_jobs_all",
            json_integer((json_int_t)api->backend.jobs(api->backend.ctx, NULL, NULL, 0)));
    fg_reply_json(api, req, 200, root);
}

/* Counts of what all tenants do together are the owner's: from how they move another could learn
 * when, how much and whether again somebody asks. */
void fg_route_cache(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    const bool owner = fg_conn_of(api, req)->caller.owner;
    struct fg_cache_stats s = {0};
    struct fg_api_error e;
    const char *dir = NULL;
    json_t *root;
    int r = api->backend.cache_stats(api->backend.ctx, &s, &dir);
#define ROW(name, unit, who, help) {#name, help, FG_METRIC_##unit, FG_METRIC_##who, &s.name},
    const struct fg_metric rows[] = {FG_CACHE_METRICS(ROW)};
#undef ROW

    (void)rest;
    if (r) {
        if (r == FG_ENOTFOUND)
            fg_api_fail(&e, 404, NULL, "no_cache", "the daemon runs without a store");
        else
            fg_api_fail(&e, 500, NULL, NULL, "%s", fg_strerror(r));
        fg_reply_error(api, req, &e);
        return;
    }
    root = json_pack("{s:s}", "scope", owner ? "all" : "tenant");
    if (owner && root)
        json_object_set_new(root, "dir", fg_api_string(dir));
    for (size_t i = 0; root && i < sizeof rows / sizeof *rows; i++)
        if (owner || rows[i].who == FG_METRIC_ALL)
            json_object_set_new(root, rows[i].name, json_integer((json_int_t)*rows[i].value));
    fg_reply_json(api, req, 200, root);
}

/* The JSON object of the request's body, the caller's; NULL: *e says why. */
static json_t *read_body(struct fg_api *api, struct evhttp_request *req, struct fg_api_error *e)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(in);
    const char *bytes = n ? (const char *)evbuffer_pullup(in, -1) : "";
    json_t *body = NULL;

    if (!bytes) {
        fg_json_nomem(e);
    } else if (fg_json_parse(bytes, n, &body, e) == 0 &&
               fg_api_request_model(body, &api->info, e)) {
        json_decref(body);
        body = NULL;
    }
    return body;
}

static int tokenize(struct fg_api *api, const json_t *body, json_t **out, struct fg_api_error *e)
{
    const json_t *content = fg_json_field(body, "content");
    struct fg_tokenize_request request = {.parse_special = true};
    struct fg_err err = {0};
    int32_t *ids = NULL;
    char found[64];
    size_t n = 0;
    json_t *list;
    int r;

    if (!json_is_string(content))
        return fg_api_fail(e, 400, "content", NULL, "content: found %s, it must be a string",
                           content ? fg_json_found(content, found) : "nothing");
    if ((r = fg_json_bool(body, "add_special", &request.add_special, e)) ||
        (r = fg_json_bool(body, "parse_special", &request.parse_special, e)))
        return r;
    request.text = json_string_value(content);
    request.bytes = json_string_length(content);
    if (api->backend.tokenize(api->backend.ctx, &request, &ids, &n, &err)) {
        fg_api_error_from(e, &err, api->draining);
        return FG_EINVAL;
    }
    list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_integer(ids[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    free(ids);
    *out = list ? json_pack("{s:o}", "tokens", list) : NULL;
    return *out ? 0 : fg_json_nomem(e);
}

static int detokenize(struct fg_api *api, const json_t *body, json_t **out, struct fg_api_error *e)
{
    const json_t *tokens = fg_json_field(body, "tokens");
    struct fg_err err = {0};
    int32_t *ids = NULL;
    char *text = NULL, found[64];
    size_t n = 0, bytes = 0;
    int r;

    if (!json_is_array(tokens))
        return fg_api_fail(e, 400, "tokens", NULL,
                           "tokens: found %s, it must be an array of token ids",
                           tokens ? fg_json_found(tokens, found) : "nothing");
    r = fg_api_request_tokens(tokens, "tokens", &api->info, &ids, &n, e);
    if (r)
        return r;
    r = api->backend.detokenize(api->backend.ctx, ids, n, &text, &bytes, &err);
    free(ids);
    if (r) {
        fg_api_error_from(e, &err, api->draining);
        return FG_EINVAL;
    }
    *out = json_pack("{s:o}", "content", fg_api_stringn(text, bytes));
    free(text);
    return *out ? 0 : fg_json_nomem(e);
}

static void answer_body(struct fg_api *api, struct evhttp_request *req,
                        int (*work)(struct fg_api *, const json_t *, json_t **,
                                    struct fg_api_error *))
{
    struct fg_api_error e;
    json_t *body = read_body(api, req, &e), *out = NULL;

    if (body && work(api, body, &out, &e) == 0)
        fg_reply_json(api, req, 200, out);
    else
        fg_reply_error(api, req, &e);
    json_decref(body);
}

void fg_route_tokenize(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    (void)rest;
    answer_body(api, req, tokenize);
}

void fg_route_detokenize(struct fg_api *api, struct evhttp_request *req, const char *rest)
{
    (void)rest;
    answer_body(api, req, detokenize);
}
