#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "json.h"

/* ---- Health -----------------------------------------------------------------------------------*/

static int read_health(const json_t *root, struct fg_client_health *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "health", err};
    int rc = fg_client_json_copy(&j, "status", &out->status);

    rc = rc < 0 ? rc : fg_client_json_copy(&j, "model", &out->model);
    rc = rc < 0 ? rc : fg_client_json_copy(&j, "device", &out->device);
    if (rc == 0 && *out->status == '\0') {
        rc = fg_client_json_missing(&j, "status", "a string");
    }
    return rc;
}

int fg_client_health(struct fg_client *client, struct fg_client_health *out, struct fg_err *err)
{
    struct fg_client_exchange x = {.path = "/health"};
    struct fg_client_health h = {0};
    json_t *root = NULL;
    int rc = fg_client_exchange_run(client, &x, err);

    /* 503 is how a draining daemon tells load balancers; its body is still a health object. */
    if (rc == 0 && x.status != 200 && x.status != 503) {
        rc = fg_client_refusal(client, x.status, x.answer.p, x.answer.n, err);
    }
    if (rc == 0) {
        rc = fg_client_json_parse(x.answer.p ? x.answer.p : "", x.answer.n, "health", &root, err);
    }
    if (rc == 0 && json_object_get(root, "error")) {
        rc = fg_client_refusal(client, x.status, x.answer.p, x.answer.n, err);
    }
    if (rc == 0) {
        rc = read_health(root, &h, err);
        h.draining = x.status == 503;
    }
    if (rc == 0) {
        *out = h;
    } else {
        fg_client_health_finish(&h);
    }
    json_decref(root);
    free(x.answer.p);
    return rc;
}

void fg_client_health_finish(struct fg_client_health *health)
{
    if (health) {
        free(health->status);
        free(health->model);
        free(health->device);
        memset(health, 0, sizeof *health);
    }
}

/* ---- Models -----------------------------------------------------------------------------------*/

static void model_finish(struct fg_client_model *m)
{
    free(m->name);
    free(m->architecture);
    free(m->numerics_id);
    free(m->path);
    memset(m, 0, sizeof *m);
}

/* The facts about a model lie beside its "id" in the status, in "fulgur" in OpenAI's model object.
 */
static int read_model(const struct fg_client_json *named, const struct fg_client_json *facts,
                      struct fg_client_model *out)
{
    int rc = fg_client_json_copy(named, "id", &out->name);

    rc = rc < 0 ? rc : fg_client_json_copy(facts, "architecture", &out->architecture);
    rc = rc < 0 ? rc : fg_client_json_copy(facts, "numerics_id", &out->numerics_id);
    rc = rc < 0 ? rc : fg_client_json_copy(facts, "path", &out->path);
    rc = rc < 0 ? rc : fg_client_json_count(facts, "context_tokens", &out->context_tokens);
    return rc < 0 ? rc : 0;
}

static int read_models(const json_t *root, struct fg_client_models *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "answer", err};
    const json_t *list;
    int rc = fg_client_json_array(&j, "data", &list);

    if (rc <= 0) {
        return rc < 0 ? rc : fg_client_json_missing(&j, "data", "an array of models");
    }
    size_t n = json_array_size(list);
    out->models = calloc(n ? n : 1, sizeof *out->models);
    if (!out->models) {
        return fg_fail(err, FG_ENOMEM, "models: out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct fg_client_json model = {json_array_get(list, i), "data[]", err};
        struct fg_client_json facts = {NULL, "data[].fulgur", err};
        if (!json_is_object(model.object)) {
            return fg_fail(err, FG_EFORMAT, "the daemon's answer: data[%zu] should be an object",
                           i);
        }
        rc = fg_client_json_object(&model, "fulgur", &facts.object);
        out->n_models = i + 1;
        rc = rc < 0 ? rc : read_model(&model, &facts, &out->models[i]);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int fg_client_models(struct fg_client *client, struct fg_client_models *out, struct fg_err *err)
{
    struct fg_client_models m = {0};
    json_t *root;
    int rc = fg_client_call(client, "/v1/models", NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    rc = read_models(root, &m, err);
    if (rc == 0) {
        *out = m;
    } else {
        fg_client_models_finish(&m);
    }
    json_decref(root);
    return rc;
}

void fg_client_models_finish(struct fg_client_models *models)
{
    if (models) {
        for (size_t i = 0; i < models->n_models; i++) {
            model_finish(&models->models[i]);
        }
        free(models->models);
        memset(models, 0, sizeof *models);
    }
}

/* ---- Status -----------------------------------------------------------------------------------*/

static int read_job(const struct fg_client_json *j, struct fg_client_job *out)
{
    struct {
        const char *key;
        uint64_t *out;
    } counts[] = {
        {"id", &out->id},
        {"prompt_tokens", &out->prompt_tokens},
        {"done_tokens", &out->done_tokens},
        {"reused_tokens", &out->reused_tokens},
        {"generated_tokens", &out->generated_tokens},
    };
    int rc = fg_client_json_copy(j, "phase", &out->phase);

    for (size_t i = 0; rc >= 0 && i < sizeof counts / sizeof counts[0]; i++) {
        rc = fg_client_json_count(j, counts[i].key, counts[i].out);
    }
    rc = rc < 0 ? rc : fg_client_json_number(j, "age_ms", &out->age_ms);
    return rc < 0 ? rc : 0;
}

static int read_jobs(const json_t *list, struct fg_client_status *out, struct fg_err *err)
{
    size_t n = json_array_size(list);
    int rc = 0;

    out->jobs = calloc(n ? n : 1, sizeof *out->jobs);
    if (!out->jobs) {
        return fg_fail(err, FG_ENOMEM, "status: out of memory");
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct fg_client_json job = {json_array_get(list, i), "jobs[]", err};
        if (!json_is_object(job.object)) {
            return fg_fail(err, FG_EFORMAT, "the daemon's answer: jobs[%zu] should be an object",
                           i);
        }
        out->n_jobs = i + 1;
        rc = read_job(&job, &out->jobs[i]);
    }
    return rc;
}

static int read_status(const json_t *root, struct fg_client_status *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "status", err};
    struct fg_client_json model = {NULL, "status.model", err};
    const json_t *jobs;
    int rc = fg_client_json_copy(&j, "version", &out->version);

    rc = rc < 0 ? rc : fg_client_json_copy(&j, "device", &out->device);
    rc = rc < 0 ? rc : fg_client_json_copy(&j, "driver", &out->driver);
    rc = rc < 0 ? rc : fg_client_json_object(&j, "model", &model.object);
    rc = rc < 0 ? rc : read_model(&model, &model, &out->model);
    if (rc < 0) {
        return rc;
    }
    rc = fg_client_json_array(&j, "jobs", &jobs);
    if (rc == 0) {
        return fg_client_json_missing(&j, "jobs", "an array");
    }
    return rc < 0 ? rc : read_jobs(jobs, out, err);
}

int fg_client_status(struct fg_client *client, struct fg_client_status *out, struct fg_err *err)
{
    struct fg_client_status s = {0};
    json_t *root;
    int rc = fg_client_call(client, "/v1/fulgur/status", NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    rc = read_status(root, &s, err);
    if (rc == 0) {
        *out = s;
    } else {
        fg_client_status_finish(&s);
    }
    json_decref(root);
    return rc;
}

void fg_client_status_finish(struct fg_client_status *status)
{
    if (status) {
        for (size_t i = 0; i < status->n_jobs; i++) {
            free(status->jobs[i].phase);
        }
        free(status->jobs);
        model_finish(&status->model);
        free(status->version);
        free(status->device);
        free(status->driver);
        memset(status, 0, sizeof *status);
    }
}

/* ---- Cache ------------------------------------------------------------------------------------*/

static int read_stats(const json_t *root, struct fg_client_cache_stats *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "cache", err};
#define ROW(name, unit, who, help) {#name, &out->name},
    struct {
        const char *key;
        uint64_t *out;
    } counts[] = {FG_CACHE_METRICS(ROW)};
#undef ROW
    int rc = fg_client_json_copy(&j, "dir", &out->dir);

    for (size_t i = 0; rc >= 0 && i < sizeof counts / sizeof counts[0]; i++) {
        rc = fg_client_json_count(&j, counts[i].key, counts[i].out);
    }
    return rc < 0 ? rc : 0;
}

int fg_client_cache_stats(struct fg_client *client, struct fg_client_cache_stats *out,
                          struct fg_err *err)
{
    struct fg_client_cache_stats s = {0};
    json_t *root;
    int rc = fg_client_call(client, "/v1/fulgur/cache", NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    rc = read_stats(root, &s, err);
    if (rc == 0) {
        *out = s;
    } else {
        fg_client_cache_stats_finish(&s);
    }
    json_decref(root);
    return rc;
}

void fg_client_cache_stats_finish(struct fg_client_cache_stats *stats)
{
    if (stats) {
        free(stats->dir);
        memset(stats, 0, sizeof *stats);
    }
}

/* ---- Anything ---------------------------------------------------------------------------------*/

int fg_client_get(struct fg_client *client, const char *path, char **json, size_t *bytes,
                  struct fg_err *err)
{
    struct fg_client_exchange x = {.path = path};
    json_t *root;

    *json = NULL;
    *bytes = 0;
    /* What is not printable or begins elsewhere could change the request's first line. */
    for (const char *p = path; *p; p++) {
        if (path[0] != '/' || *p <= ' ' || *p > '~') {
            return fg_fail(err, FG_EINVAL, "path '%s': should be like /v1/models", path);
        }
    }
    if (*path == '\0') {
        return fg_fail(err, FG_EINVAL, "the path is empty: should be like /v1/models");
    }
    int rc = fg_client_exchange_run(client, &x, err);
    if (rc == 0 && x.status != 200) {
        rc = fg_client_refusal(client, x.status, x.answer.p, x.answer.n, err);
    }
    if (rc == 0) {
        rc = fg_client_json_parse(x.answer.p ? x.answer.p : "", x.answer.n, path, &root, err);
    }
    if (rc < 0) {
        free(x.answer.p);
        return rc;
    }
    json_decref(root);
    *json = x.answer.p;
    *bytes = x.answer.n;
    return 0;
}
