#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "info_routes.h"
#include "http/reply.h"

struct route {
    const char *path; /* with a `/` at the end: and whatever follows */
    bool post;        /* POST, else GET and HEAD */
    void (*answer)(struct fg_api *api, struct evhttp_request *req, const char *rest);
    bool job;                   /* instead of an answer at once */
    enum fg_exchange_kind kind; /* of a job */
    bool task;                  /* an operation on the store */
};

static const struct route routes[] = {
    {"/v1/chat/completions", true, NULL, true, FG_EXCHANGE_CHAT, false},
    {"/v1/completions", true, NULL, true, FG_EXCHANGE_COMPLETION, false},
    {"/v1/fulgur/cache/explain", true, NULL, true, FG_EXCHANGE_EXPLAIN, false},
    {"/tokenize", true, fg_route_tokenize, false, 0, false},
    {"/detokenize", true, fg_route_detokenize, false, 0, false},
    {"/health", false, fg_route_health, false, 0, false},
    {"/v1/models", false, fg_route_models, false, 0, false},
    {"/v1/models/", false, fg_route_model, false, 0, false},
    {"/v1/fulgur/status", false, fg_route_status, false, 0, false},
    {"/v1/fulgur/cache", false, fg_route_cache, false, 0, false},
    {.path = "/v1/fulgur/cache/ls", .task = true},
    {.path = "/v1/fulgur/cache/find", .post = true, .task = true},
    {.path = "/v1/fulgur/cache/forget", .post = true, .task = true},
    {.path = "/v1/fulgur/cache/gc", .post = true, .task = true},
    {.path = "/v1/fulgur/cache/verify", .post = true, .task = true},
    {.path = "/v1/fulgur/cache/export", .task = true},
    {.path = "/v1/fulgur/cache/import", .post = true, .task = true},
};

static const struct route *find_route(const char *path, const char **rest)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        size_t n = strlen(routes[i].path);

        *rest = path + n;
        if (routes[i].path[n - 1] == '/' ? strncmp(path, routes[i].path, n) == 0 && path[n] != '\0'
                                         : strcmp(path, routes[i].path) == 0)
            return &routes[i];
    }
    return NULL;
}

static int check_media(struct evhttp_request *req, struct fg_api_error *e)
{
    static const char form[] = "multipart/";
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    const char *type = evhttp_find_header(headers, "Content-Type");
    const char *coding = evhttp_find_header(headers, "Content-Encoding");

    if (type && strncasecmp(type, form, sizeof form - 1) == 0)
        return fg_api_fail(e, 415, NULL, NULL,
                           "Content-Type: found %.40s, it must be application/json", type);
    if (coding && strcasecmp(coding, "identity") != 0)
        return fg_api_fail(e, 415, NULL, NULL,
                           "Content-Encoding: found %.40s, the body must not be encoded", coding);
    return 0;
}

/* What the method calls for; false: *e says why not. */
static bool check_method(const struct route *route, struct evhttp_request *req, bool *options,
                         struct fg_api_error *e)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(req);

    *options = method == EVHTTP_REQ_OPTIONS;
    if (*options || (route->post ? method == EVHTTP_REQ_POST
                                 : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD))
        return !route->post || *options || check_media(req, e) == 0;
    fg_reply_header(req, "Allow", route->post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
    fg_api_fail(e, 405, NULL, NULL, "%s: the method must be %s", route->path,
                route->post ? "POST" : "GET");
    return false;
}

static void dispatch(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                     const char *path)
{
    const struct route *route;
    struct fg_api_error e;
    const char *rest;
    bool options;

    route = find_route(path, &rest);
    if (!route) {
        fg_api_fail(&e, 404, NULL, NULL, "%.128s: there is no such path; docs/api.md lists them",
                    path);
        fg_reply_error(api, req, &e);
    } else if (!check_method(route, req, &options, &e)) {
        fg_reply_error(api, req, &e);
    } else if (options) {
        fg_reply_options(api, req, route->post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
    } else if (route->task) {
        fg_cache_call_start(api, conn, req, route->path);
    } else if (route->job) {
        fg_exchange_start(api, conn, req, route->kind);
    } else {
        route->answer(api, req, rest);
    }
}

void fg_api_route(struct evhttp_request *req, void *arg)
{
    struct fg_api_door *door = arg;
    struct fg_api *api = door->api;
    struct fg_conn *conn = fg_conn_of(api, req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    struct fg_api_error e;
    size_t n = 0;
    char *path;

    if (!conn) { /* memory ran out when it was accepted */
        evhttp_connection_free(evhttp_request_get_connection(req));
        return;
    }
    fg_conn_begin(conn, req);
    path = evhttp_uridecode(raw ? raw : "", 0, &n);
    if (door->tcp && fg_caller_of_request(&api->callers, req, &conn->caller, &e)) {
        fg_reply_error(api, req, &e);
    } else if (!path || strlen(path) != n) {
        fg_api_fail(&e, 400, NULL, NULL, "the path holds a NUL byte");
        fg_reply_error(api, req, &e);
    } else {
        dispatch(api, conn, req, path);
    }
    free(path);
}
