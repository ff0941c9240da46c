#include "server.h"

#include <stdlib.h>
#include <string.h>

#include "anthropic/event_json.h"
#include "base/log.h"
#include "caller.h"
#include "common/completion.h"
#include "common/pending.h"
#include "http/server.h"
#include "ollama/dialect.h"
#include "operations.h"
#include "routes.h"

struct fg_api {
    struct fg_service service;
    struct fg_endpoints ends;
    struct fg_callers callers;
    struct fg_http *http;
    char *version, *sandbox;
    bool drain_told;
    struct event *drained;
    void (*drain_done)(void *ctx);
    void *drain_ctx;
};

/* Tells the drain's caller when nothing is left. */
static void check_drained(void *arg)
{
    struct fg_api *api = arg;

    if (!api->service.draining || api->drain_told || api->service.closing ||
        fg_pending_any(api->ends.completions) || fg_pending_any(api->ends.operations) ||
        fg_http_busy(api->http))
        return;
    api->drain_told = true;
    event_active(api->drained, EV_TIMEOUT, 0);
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
    struct fg_api *api = arg;

    (void)fd;
    (void)what;
    if (api->drain_done)
        api->drain_done(api->drain_ctx);
}

static void on_request(void *ctx, struct fg_request *r, const char *path)
{
    struct fg_api *api = ctx;

    fg_api_route(&api->ends, r, path);
}

static int admit(void *ctx, const struct fg_arrival *a, uint8_t tenant[FG_HTTP_TENANT_BYTES],
                 struct fg_http_error *e)
{
    const struct fg_api *api = ctx;
    struct fg_caller caller;
    int rc = fg_caller_of_arrival(&api->callers, a, &caller, e);

    _Static_assert(sizeof caller.tenant.id == FG_HTTP_TENANT_BYTES, "a tenant is its id");
    if (rc == 0)
        memcpy(tenant, caller.tenant.id, FG_HTTP_TENANT_BYTES);
    return rc;
}

static json_t *error_json(void *ctx, const char *target, const char *id,
                          const struct fg_http_error *e)
{
    (void)ctx;
    if (fg_ollama_target(target))
        return fg_ollama_error(e);
    return fg_anthropic_target(target) ? fg_anthropic_error(e, id) : fg_http_error_json(e);
}

static int listen_for(struct fg_api *api, const struct fg_api_options *opt, struct fg_err *err)
{
    const struct fg_http_options http = {.base = opt->base,
                                         .socket_path = opt->socket_path,
                                         .tcp_addr = opt->tcp_addr,
                                         .tcp_public = opt->n_api_keys > 0,
                                         .max_body = opt->max_body,
                                         .max_bodies = opt->max_bodies,
                                         .max_buffered = opt->max_buffered,
                                         .max_answers = opt->max_answers,
                                         .max_connections = opt->max_connections,
                                         .head_ms = opt->head_ms,
                                         .stall_ms = opt->stall_ms,
                                         .idle_s = opt->idle_s,
                                         .request_s = opt->request_s,
                                         .admit = admit,
                                         .handle = on_request,
                                         .quiet = check_drained,
                                         .error = error_json,
                                         .ctx = api};

    return fg_http_create(&http, &api->http, err);
}

static int set_up(struct fg_api *api, const struct fg_api_options *opt, struct fg_err *err)
{
    struct fg_service *s = &api->service;
    int rc;

    s->backend = *opt->backend;
    s->backend.info(s->backend.ctx, &s->info);
    s->info.aliases = opt->aliases;
    s->info.n_aliases = opt->n_aliases;
    s->info.any_model = opt->any_model;
    s->keep_billing = opt->keep_billing;
    s->ended = check_drained;
    s->ended_ctx = api;
    s->version = api->version = strdup(opt->version ? opt->version : "");
    s->sandbox = api->sandbox = opt->sandbox ? strdup(opt->sandbox) : NULL;
    api->ends.service = s;
    api->ends.callers = &api->callers;
    api->drained = event_new(opt->base, -1, 0, on_drained, api);
    rc = fg_callers_init(&api->callers, opt, err);
    if (rc)
        return rc;
    if (!api->version || !api->drained || (opt->sandbox && !api->sandbox))
        return fg_fail(err, FG_ENOMEM, "no memory for the API");
    api->callers.backend = &s->backend; /* the caller's may go */
    rc = fg_workers_create(opt->base, &s->workers, err);
    if (rc == 0)
        rc = fg_completions_create(s, opt->base, &api->ends.completions, err);
    if (rc == 0)
        rc = fg_operations_create(s, opt->base, &api->ends.operations, err);
    if (rc == 0)
        rc = listen_for(api, opt, err);
    return rc;
}

int fg_api_create(const struct fg_api_options *opt, struct fg_api **out, struct fg_err *err)
{
    struct fg_api *api = calloc(1, sizeof *api);
    int rc;

    *out = NULL;
    if (!api)
        return fg_fail(err, FG_ENOMEM, "no memory for the API");
    rc = set_up(api, opt, err);
    if (rc)
        fg_api_destroy(api);
    else
        *out = api;
    return rc;
}

void fg_api_destroy(struct fg_api *api)
{
    if (!api)
        return;
    api->service.closing = true;
    fg_workers_destroy(api->service.workers);
    fg_pending_destroy(api->ends.completions);
    fg_pending_destroy(api->ends.operations);
    fg_http_destroy(api->http);
    if (api->drained)
        event_free(api->drained);
    fg_callers_finish(&api->callers);
    free(api->version);
    free(api->sandbox);
    free(api);
}

void fg_api_drain(struct fg_api *api, void (*done)(void *ctx), void *ctx)
{
    if (api->service.draining)
        return;
    api->service.draining = true;
    api->drain_done = done;
    api->drain_ctx = ctx;
    fg_http_stop(api->http);
    fg_log(FG_LOG_INFO, "api", "draining");
    check_drained(api);
}

uint16_t fg_api_tcp_port(const struct fg_api *api)
{
    return fg_http_tcp_port(api->http);
}
