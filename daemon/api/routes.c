#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "anthropic/dialect.h"
#include "anthropic/event_json.h"
#include "caller.h"
#include "common/completion.h"
#include "common/service.h"
#include "http/request.h"
#include "info_routes.h"
#include "ollama/dialect.h"
#include "openai/dialect.h"
#include "openai/responses.h"
#include "openai/responses_kept.h"
#include "operations.h"
#include "tokens.h"

enum answered_by { AT_ONCE, TOKENS, COMPLETION, OPERATION, KEPT, NEVER };

struct route {
    const char *path; /* with a `/` at the end: and whatever follows */
    bool post;        /* POST, else GET and HEAD */
    bool remove;      /* and DELETE, beside either */
    enum answered_by by;
    void (*answer)(const struct fg_service *s, const struct fg_caller *caller, struct fg_request *r,
                   const char *rest); /* AT_ONCE */
    const struct fg_dialect *dialect; /* COMPLETION */
    bool to_text;                     /* TOKENS */
    bool open;                        /* no key is asked for */
    const char *why;                  /* NEVER */
};

#define NO_EMBEDDINGS "this daemon serves a model that writes text; it makes no embeddings"
#define ONE_MODEL "the daemon serves the model that it was started with; `fulgur pull` gets others"

static const struct route routes[] = {
    {.path = "/v1/chat/completions", .post = true, .by = COMPLETION, .dialect = &fg_openai_chat},
    {.path = "/v1/completions", .post = true, .by = COMPLETION, .dialect = &fg_openai_text},
    {.path = "/inference/v1/generate",
     .post = true,
     .by = COMPLETION,
     .dialect = &fg_openai_generate},
    {.path = "/v1/fulgur/cache/explain",
     .post = true,
     .by = COMPLETION,
     .dialect = &fg_openai_explain},
    {.path = "/v1/responses", .post = true, .by = COMPLETION, .dialect = &fg_openai_response},
    {.path = "/v1/responses/", .remove = true, .by = KEPT},
    {.path = "/v1/messages", .post = true, .by = COMPLETION, .dialect = &fg_anthropic_message},
    {.path = "/v1/messages/count_tokens",
     .post = true,
     .by = COMPLETION,
     .dialect = &fg_anthropic_count},
    {.path = "/tokenize", .post = true, .by = TOKENS, .to_text = false},
    {.path = "/detokenize", .post = true, .by = TOKENS, .to_text = true},
    {.path = "/api/chat", .post = true, .by = COMPLETION, .dialect = &fg_ollama_chat},
    {.path = "/api/generate", .post = true, .by = COMPLETION, .dialect = &fg_ollama_generate},
    {.path = "/api/show", .post = true, .by = AT_ONCE, .answer = fg_route_ollama_show},
    {.path = "/api/tags", .by = AT_ONCE, .answer = fg_route_ollama_tags},
    {.path = "/api/ps", .by = AT_ONCE, .answer = fg_route_ollama_ps},
    {.path = "/api/version", .by = AT_ONCE, .answer = fg_route_ollama_version},
    {.path = "/api/embed", .post = true, .by = NEVER, .why = NO_EMBEDDINGS},
    {.path = "/api/embeddings", .post = true, .by = NEVER, .why = NO_EMBEDDINGS},
    {.path = "/api/pull", .post = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/api/push", .post = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/api/create", .post = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/api/copy", .post = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/api/delete", .post = true, .remove = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/api/blobs/", .post = true, .by = NEVER, .why = ONE_MODEL},
    {.path = "/v1/embeddings", .post = true, .by = NEVER, .why = NO_EMBEDDINGS},
    {.path = "/", .by = AT_ONCE, .answer = fg_route_root, .open = true},
    {.path = "/tokenizer_info", .by = AT_ONCE, .answer = fg_route_tokenizer},
    {.path = "/health", .by = AT_ONCE, .answer = fg_route_health, .open = true},
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

/* Does `path` name the route at `pattern`? *rest: what follows it. */
static bool names(const char *path, const char *pattern, const char **rest)
{
    size_t n = strlen(pattern);
    bool more = n > 1 && pattern[n - 1] == '/', begins = strncmp(path, pattern, n) == 0;

    *rest = path + (begins ? n : 0);
    return begins && more == (**rest != '\0');
}

/* Clients whose base URL lacks /v1 are served as well. */
static const struct route *find_route(const char *path, const char **rest)
{
    static const char version[] = "/v1";
    const size_t n = sizeof version - 1;

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (names(path, routes[i].path, rest) ||
            (strncmp(routes[i].path, version, n) == 0 && names(path, routes[i].path + n, rest)))
            return &routes[i];
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

static const char *allowed(const struct route *route)
{
    if (route->post)
        return route->remove ? "POST, DELETE, OPTIONS" : "POST, OPTIONS";
    return route->remove ? "GET, HEAD, DELETE, OPTIONS" : "GET, HEAD, OPTIONS";
}

/* What the method calls for; false: *e says why not. */
static bool check_method(const struct route *route, struct fg_request *r, bool *options,
                         struct fg_http_error *e)
{
    enum evhttp_cmd_type method = fg_request_method(r);

    *options = method == EVHTTP_REQ_OPTIONS;
    if (*options || (route->remove && method == EVHTTP_REQ_DELETE) ||
        (route->post ? method == EVHTTP_REQ_POST
                     : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD))
        return !route->post || *options || check_media(r, e) == 0;
    fg_reply_header(r, "Allow", allowed(route));
    fg_http_fail(e, 405, NULL, NULL, "%s: the method must be %s", route->path,
                 route->post ? "POST" : "GET");
    return false;
}

/* What lets a page of an origin that may read answers read this one. */
static void allow_origin(const struct fg_callers *callers, struct fg_request *r)
{
    const char *origin = fg_request_header(r, "Origin");
    const char *headers = fg_request_header(r, "Access-Control-Request-Headers");

    if (!origin || !fg_caller_origin(callers, origin))
        return;
    fg_reply_header(r, "Access-Control-Allow-Origin", origin);
    fg_reply_header(r, "Vary", "Origin");
    fg_reply_header(r, "Access-Control-Expose-Headers", "Retry-After, Request-Id");
    if (fg_request_method(r) != EVHTTP_REQ_OPTIONS)
        return;
    fg_reply_header(r, "Access-Control-Allow-Methods", "GET, POST, HEAD, DELETE, OPTIONS");
    if (headers)
        fg_reply_header(r, "Access-Control-Allow-Headers", headers);
    fg_reply_header(r, "Access-Control-Max-Age", "600");
    if (fg_request_header(r, "Access-Control-Request-Private-Network"))
        fg_reply_header(r, "Access-Control-Allow-Private-Network", "true");
}

/* A browser asks beforehand, and shows no key. */
static bool is_preflight(const struct fg_callers *callers, const struct fg_request *r)
{
    const char *origin = fg_request_header(r, "Origin");

    return fg_request_method(r) == EVHTTP_REQ_OPTIONS && origin &&
           fg_request_header(r, "Access-Control-Request-Method") &&
           fg_caller_origin(callers, origin);
}

static bool shows_key(const struct fg_request *r)
{
    return fg_request_header(r, "Authorization") || fg_request_header(r, "X-Api-Key") ||
           fg_request_header(r, "Api-Key");
}

static void never(struct fg_request *r, const struct route *route)
{
    struct fg_http_error e;

    fg_http_fail(&e, 501, NULL, "unsupported_endpoint", "%s: %s", route->path, route->why);
    fg_reply_error(r, &e);
}

/* Clients of Anthropic's show it where something went wrong. */
static void name_request(struct fg_request *r, const char *path)
{
    char id[FG_ANTHROPIC_ID];

    if (fg_anthropic_target(path) && fg_anthropic_id("req", id))
        fg_reply_header(r, FG_REQUEST_ID_HEADER, id);
}

static void answer(struct fg_endpoints *ends, struct fg_request *r, const struct route *route,
                   const struct fg_caller *caller, const char *rest)
{
    switch (route->by) {
    case AT_ONCE: route->answer(ends->service, caller, r, rest); break;
    case TOKENS: fg_tokens_start(ends->service, r, &caller->tenant, route->to_text); break;
    case COMPLETION:
        fg_completions_start(ends->completions, r, &caller->tenant, route->dialect);
        break;
    case KEPT: fg_responses_kept(ends->service, &caller->tenant, r, rest); break;
    case OPERATION: fg_operations_start(ends->operations, r, caller, route->path); break;
    case NEVER: never(r, route); break;
    }
}

void fg_api_route(struct fg_endpoints *ends, struct fg_request *r, const char *path)
{
    const char *rest;
    const struct route *route = find_route(path, &rest);
    struct fg_caller caller;
    struct fg_http_error e;
    bool options;
    int rc = fg_caller_of_request(ends->callers, r, &caller, &e);
    bool open = rc && e.status == 401 &&
                ((route && route->open && !shows_key(r)) || is_preflight(ends->callers, r));

    allow_origin(ends->callers, r);
    name_request(r, path);
    if (rc && !open) {
        fg_reply_error(r, &e);
        return;
    }
    if (!route) {
        fg_http_fail(&e, 404, NULL, NULL, "%.128s: there is no such path; docs/api.md lists them",
                     path);
        fg_reply_error(r, &e);
        return;
    }
    if (!check_method(route, r, &options, &e))
        fg_reply_error(r, &e);
    else if (options)
        fg_reply_options(r, allowed(route));
    else
        answer(ends, r, route, open ? NULL : &caller, rest);
}
