#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "caller.h"
#include "common/service.h"
#include "http/request.h"
#include "info_routes.h"
#include "openai/completion.h"
#include "operations.h"
#include "tokens.h"

enum answered_by { AT_ONCE, TOKENS, COMPLETION, OPERATION };

struct route {
    const char *path; /* with a `/` at the end: and whatever follows */
    bool post;        /* POST, else GET and HEAD */
    enum answered_by by;
    void (*answer)(const struct fg_service *s, const struct fg_caller *caller, struct fg_request *r,
                   const char *rest); /* AT_ONCE */
    enum fg_completion_kind kind;     /* COMPLETION */
    bool to_text;                     /* TOKENS */
};

static const struct route routes[] = {
    {.path = "/v1/chat/completions", .post = true, .by = COMPLETION, .kind = FG_COMPLETION_CHAT},
    {.path = "/v1/completions", .post = true, .by = COMPLETION, .kind = FG_COMPLETION_TEXT},
    {.path = "/v1/fulgur/cache/explain",
     .post = true,
     .by = COMPLETION,
     .kind = FG_COMPLETION_EXPLAIN},
    {.path = "/tokenize", .post = true, .by = TOKENS, .to_text = false},
    {.path = "/detokenize", .post = true, .by = TOKENS, .to_text = true},
    {.path = "/health", .by = AT_ONCE, .answer = fg_route_health},
    {.path = "/v1/models", .by = AT_ONCE, .answer = fg_route_models},
    {.path = "/v1/models/", .by = AT_ONCE, .answer = fg_route_model},
    {.path = "/v1/fulgur/status", .by = AT_ONCE, .answer = fg_route_status},
    {.path = "/v1/fulgur/cache", .by = AT_ONCE, .answer = fg_route_cache},
    {.path = "/v1/fulgur/cache/key", .by = AT_ONCE, .answer = fg_route_cache_key},
    {.path = "/v1/fulgur/cache/ls", .by = OPERATION},
    {.path = "/v1/fulgur/cache/find", .post = true, .by = OPERATION},
    {.path = "/v1/fulgur/cache/forget", .post = true, .by = OPERATION},
    {.path = "/v1/fulgur/cache/gc", .post = true, .by = OPERATION},
    {.path = "/v1/fulgur/cache/verify", .post = true, .by = OPERATION},
    {.path = "/v1/fulgur/cache/export", .by = OPERATION},
    {.path = "/v1/fulgur/cache/import", .post = true, .by = OPERATION},
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

static int check_media(const struct fg_request *r, struct fg_http_error *e)
{
    static const char form[] = "multipart/";
    const char *type = fg_request_header(r, "Content-Type");
    const char *coding = fg_request_header(r, "Content-Encoding");

    if (type && strncasecmp(type, form, sizeof form - 1) == 0)
        return fg_http_fail(e, 415, NULL, NULL,
                            "Content-Type: found %.40s, it must be application/json", type);
    if (coding && strcasecmp(coding, "identity") != 0)
        return fg_http_fail(e, 415, NULL, NULL,
                            "Content-Encoding: found %.40s, the body must not be encoded", coding);
    return 0;
}

/* What the method calls for; false: *e says why not. */
static bool check_method(const struct route *route, struct fg_request *r, bool *options,
                         struct fg_http_error *e)
{
    enum evhttp_cmd_type method = fg_request_method(r);

    *options = method == EVHTTP_REQ_OPTIONS;
    if (*options || (route->post ? method == EVHTTP_REQ_POST
                                 : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD))
        return !route->post || *options || check_media(r, e) == 0;
    fg_reply_header(r, "Allow", route->post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
    fg_http_fail(e, 405, NULL, NULL, "%s: the method must be %s", route->path,
                 route->post ? "POST" : "GET");
    return false;
}

void fg_api_route(struct fg_endpoints *ends, struct fg_request *r, const char *path)
{
    const struct route *route;
    struct fg_caller caller;
    struct fg_http_error e;
    const char *rest;
    bool options;

    if (fg_caller_of_request(ends->callers, r, &caller, &e)) {
        fg_reply_error(r, &e);
        return;
    }
    route = find_route(path, &rest);
    if (!route) {
        fg_http_fail(&e, 404, NULL, NULL, "%.128s: there is no such path; docs/api.md lists them",
                     path);
        fg_reply_error(r, &e);
        return;
    }
    if (!check_method(route, r, &options, &e)) {
        fg_reply_error(r, &e);
        return;
    }
    if (options) {
        fg_reply_options(r, route->post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
        return;
    }
    switch (route->by) {
    case AT_ONCE: route->answer(ends->service, &caller, r, rest); break;
    case TOKENS: fg_tokens_start(ends->service, r, route->to_text); break;
    case COMPLETION: fg_completions_start(ends->completions, r, &caller.tenant, route->kind); break;
    case OPERATION: fg_operations_start(ends->operations, r, &caller, route->path); break;
    }
}
