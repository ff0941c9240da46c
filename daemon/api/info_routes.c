#include "info_routes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/cache.h"
#include "caller.h"
#include "common/body.h"
#include "common/service.h"
#include "http/json_in.h"
#include "http/lossy.h"
#include "http/request.h"
#include "ollama/dialect.h"
#include "openai/request_json.h"

enum { MAX_JOB_ROWS = 256 };

void fg_route_health(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest)
{
    (void)rest;
    if (s->draining)
        fg_reply_json(r, 503, json_pack("{s:s}", "status", "draining"));
    else if (!caller) /* showed no key: is not told of the model */
        fg_reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
    else
        fg_reply_json(r, 200,
                      json_pack("{s:s, s:o, s:o}", "status", "ok", "model",
                                fg_json_string(s->info.model_name), "device",
                                fg_json_string(s->info.device)));
}

/* Where files lie is the owner's to know, on the socket: with a tenant for all everybody is the
 * owner, by TCP too. */
static bool sees_paths(const struct fg_caller *caller, const struct fg_request *r)
{
    return caller->owner && !r->tcp;
}

void fg_route_root(const struct fg_service *s, const struct fg_caller *caller, struct fg_request *r,
                   const char *rest)
{
    (void)s;
    (void)caller;
    (void)rest;
    fg_reply_json(r, 200, json_pack("{s:s}", "name", "fulgur"));
}

/* What Anthropic's clients look for in a model. False: out of memory. */
static bool add_anthropic(json_t *root, const struct fg_flow_info *info, const char *name)
{
    const time_t created = (time_t)info->model_created;
    char date[32] = "1970-01-01T00:00:00Z";
    struct tm utc;

    if (gmtime_r(&created, &utc))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_object_set_new(root, "type", json_string("model")) == 0 &&
           json_object_set_new(root, "display_name", fg_json_string(name)) == 0 &&
           json_object_set_new(root, "created_at", json_string(date)) == 0;
}

static json_t *model_json(const struct fg_flow_info *info, const char *name, bool paths)
{
    json_t *root =
        json_pack("{s:o, s:s, s:I, s:s, s:{s:I, s:o, s:s, s:o}}", "id", fg_json_string(name),
                  "object", "model", "created", (json_int_t)info->model_created, "owned_by",
                  "fulgur", "fulgur", "context_tokens", (json_int_t)info->context_tokens,
                  "architecture", fg_json_string(info->architecture), "numerics", info->numerics,
                  "numerics_id", fg_json_string(info->numerics_id));

    if (root && paths)
        json_object_set_new(json_object_get(root, "fulgur"), "path",
                            fg_json_string(info->model_path));
    if (root && !add_anthropic(root, info, name)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

void fg_route_models(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest)
{
    bool paths = sees_paths(caller, r);
    json_t *list = json_pack("[o]", model_json(&s->info, s->info.model_name, paths));

    (void)rest;
    for (size_t i = 0; list && i < s->info.n_aliases; i++)
        if (json_array_append_new(list, model_json(&s->info, s->info.aliases[i], paths)) < 0) {
            json_decref(list);
            list = NULL;
        }
    fg_reply_json(
        r, 200,
        json_pack("{s:s, s:b, s:o, s:o, s:o}", "object", "list", "has_more", 0, "first_id",
                  fg_json_string(s->info.model_name), "last_id",
                  fg_json_string(s->info.n_aliases ? s->info.aliases[s->info.n_aliases - 1]
                                                   : s->info.model_name),
                  "data", list));
}

static bool is_alias(const struct fg_flow_info *info, const char *name)
{
    for (size_t i = 0; i < info->n_aliases; i++)
        if (strcmp(name, info->aliases[i]) == 0)
            return true;
    return false;
}

void fg_route_model(const struct fg_service *s, const struct fg_caller *caller,
                    struct fg_request *r, const char *rest)
{
    struct fg_http_error e;

    if (fg_api_model_matches(rest, &s->info)) {
        const char *name = is_alias(&s->info, rest) ? rest : s->info.model_name;

        fg_reply_json(r, 200, model_json(&s->info, name, sees_paths(caller, r)));
        return;
    }
    fg_http_fail(&e, 404, "model", "model_not_found",
                 "model: found \"%.64s\", this daemon serves \"%s\"", rest, s->info.model_name);
    fg_reply_error(r, &e);
}

static json_t *token_text(const struct fg_special_token *t)
{
    return t->id < 0 ? json_null() : fg_json_stringn(t->text.p, t->text.n);
}

static json_t *token_id(const struct fg_special_token *t)
{
    return t->id < 0 ? json_null() : json_integer(t->id);
}

/* What tokenizer_config.json says elsewhere. */
void fg_route_tokenizer(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest)
{
    const struct fg_tokenizer_info *t = &s->info.tokenizer;
    const struct fg_str template = t->chat_template;

    (void)caller;
    (void)rest;
    fg_reply_json(
        r, 200,
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:I, s:I, s:b, s:o}",
                  "tokenizer_class", "PreTrainedTokenizerFast", "bos_token", token_text(&t->bos),
                  "eos_token", token_text(&t->eos), "unk_token", token_text(&t->unk), "pad_token",
                  token_text(&t->pad), "bos_token_id", token_id(&t->bos), "eos_token_id",
                  token_id(&t->eos), "unk_token_id", token_id(&t->unk), "pad_token_id",
                  token_id(&t->pad), "add_bos_token", t->add_bos, "add_eos_token", 0,
                  "model_max_length", (json_int_t)s->info.context_tokens, "vocab_size",
                  (json_int_t)s->info.n_vocab, "clean_up_tokenization_spaces", 0, "chat_template",
                  template.n ? fg_json_stringn(template.p, template.n) : json_null()));
}

/* --- of Ollama's API --- */

/* The model that a small body names, under either name that its clients have had for it. */
static int check_shown(const struct fg_service *s, struct fg_request *r, struct fg_http_error *e)
{
    bool large = fg_request_body_bytes(r) > FG_WORK_SMALL;
    struct fg_body *body = large ? NULL : fg_request_take_body(r);
    json_t *json = NULL;
    int rc = large   ? fg_http_fail(e, 413, NULL, NULL,
                                    "the body is larger than one that names a "
                                      "model can be")
             : !body ? fg_json_nomem(e)
                     : fg_body_parse(body, &json, e);

    if (rc == 0)
        rc = fg_ollama_model(json, &s->info, e);
    json_decref(json);
    fg_body_free(body);
    return rc;
}

void fg_route_ollama_show(const struct fg_service *s, const struct fg_caller *caller,
                          struct fg_request *r, const char *rest)
{
    struct fg_http_error e;

    (void)caller;
    (void)rest;
    if (check_shown(s, r, &e))
        fg_reply_error(r, &e);
    else
        fg_reply_json(r, 200, fg_ollama_show(s));
}

void fg_route_ollama_tags(const struct fg_service *s, const struct fg_caller *caller,
                          struct fg_request *r, const char *rest)
{
    (void)caller;
    (void)rest;
    fg_reply_json(r, 200, fg_ollama_tags(s));
}

void fg_route_ollama_ps(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest)
{
    (void)caller;
    (void)rest;
    fg_reply_json(r, 200, fg_ollama_running(s));
}

void fg_route_ollama_version(const struct fg_service *s, const struct fg_caller *caller,
                             struct fg_request *r, const char *rest)
{
    (void)caller;
    (void)rest;
    fg_reply_json(r, 200, json_pack("{s:o}", "version", fg_json_string(s->version)));
}

static json_t *job_json(const struct fg_job_status *j)
{
    static const char *const phases[] = {"queued", "restore", "prefill", "decode"};

    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:f}", "id", (json_int_t)j->id, "phase",
                     phases[j->phase], "prompt_tokens", (json_int_t)j->prompt_tokens, "done_tokens",
                     (json_int_t)j->done_tokens, "reused_tokens", (json_int_t)j->reused_tokens,
                     "generated_tokens", (json_int_t)j->generated_tokens, "age_ms", j->age_ms);
}

void fg_route_status(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest)
{
    const struct fg_flow_info *info = &s->info;
    struct fg_job_status *rows = calloc(MAX_JOB_ROWS, sizeof *rows);
    size_t total = rows ? s->backend.jobs(s->backend.ctx, &caller->tenant, rows, MAX_JOB_ROWS) : 0;
    size_t n = total < MAX_JOB_ROWS ? total : MAX_JOB_ROWS;
    json_t *jobs = rows ? json_array() : NULL, *root = NULL;

    (void)rest;
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(jobs, job_json(&rows[i])) < 0)
            break;
    free(rows);
    if (jobs)
        root = json_pack(
            "{s:s, s:o, s:b, s:o, s:I, s:o}", "version", s->version, "model",
            json_pack("{s:o, s:o, s:s, s:o, s:I, s:I, s:I}", "id", fg_json_string(info->model_name),
                      "architecture", fg_json_string(info->architecture), "numerics",
                      info->numerics, "numerics_id", fg_json_string(info->numerics_id),
                      "context_tokens", (json_int_t)info->context_tokens, "vocabulary",
                      (json_int_t)info->n_vocab, "weight_bytes", (json_int_t)info->weight_bytes),
            "draining", s->draining, "device", fg_json_string(info->device), "n_jobs",
            (json_int_t)total, "jobs", jobs);
    if (root && sees_paths(caller, r))
        json_object_set_new(json_object_get(root, "model"), "path",
                            fg_json_string(info->model_path));
    if (root)
        json_object_set_new(root, "driver", fg_json_string(info->driver));
    if (root && s->sandbox)
        json_object_set_new(root, "sandbox", fg_json_string(s->sandbox));
    if (root && caller->owner)
        json_object_set_new(
            root, "n_jobs_all",
            json_integer((json_int_t)s->backend.jobs(s->backend.ctx, NULL, NULL, 0)));
    fg_reply_json(r, 200, root);
}

/* Counts of what all tenants do together are the owner's: from how they move another could learn
 * when, how much and whether again somebody asks. */
void fg_route_cache(const struct fg_service *s, const struct fg_caller *caller,
                    struct fg_request *r, const char *rest)
{
    const bool owner = caller->owner;
    struct fg_cache_stats c = {0};
    struct fg_http_error e;
    const char *dir = NULL;
    json_t *root;
    int rc = s->backend.cache_stats(s->backend.ctx, &c, &dir);
#define ROW(name, unit, who, help) {#name, help, FG_METRIC_##unit, FG_METRIC_##who, &c.name},
    const struct fg_metric rows[] = {FG_CACHE_METRICS(ROW)};
#undef ROW

    (void)rest;
    if (rc) {
        if (rc == FG_ENOTFOUND)
            fg_http_fail(&e, 404, NULL, "no_cache", "the daemon runs without a store");
        else
            fg_http_fail(&e, 500, NULL, NULL, "%s", fg_strerror(rc));
        fg_reply_error(r, &e);
        return;
    }
    root = json_pack("{s:s}", "scope", owner ? "all" : "tenant");
    if (root && sees_paths(caller, r))
        json_object_set_new(root, "dir", fg_json_string(dir));
    for (size_t i = 0; root && i < sizeof rows / sizeof *rows; i++)
        if (owner || rows[i].who == FG_METRIC_ALL)
            json_object_set_new(root, rows[i].name, json_integer((json_int_t)*rows[i].value));
    fg_reply_json(r, 200, root);
}

/* Public as it is, everybody may see it: who gives it to others can have packs imported there. */
void fg_route_cache_key(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest)
{
    struct fg_cache_stats stats;
    struct fg_http_error e;

    (void)caller;
    (void)rest;
    if (s->info.pack_key[0]) {
        fg_reply_json(r, 200, json_pack("{s:s}", "key", s->info.pack_key));
        return;
    }
    if (s->backend.cache_stats(s->backend.ctx, &stats, NULL) == FG_ENOTFOUND)
        fg_http_fail(&e, 404, NULL, "no_cache", "the daemon runs without a store");
    else
        fg_http_fail(&e, 500, NULL, NULL,
                     "the daemon has no key to sign packs with; its log says why");
    fg_reply_error(r, &e);
}
