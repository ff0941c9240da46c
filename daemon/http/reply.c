#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>

#include "api/api.h"
#include "api/openai/response_json.h"

void fg_reply_header(struct evhttp_request *req, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

void fg_reply_common(struct fg_api *api, struct evhttp_request *req, const char *type)
{
    fg_reply_header(req, "Content-Type", type);
    fg_reply_header(req, "Cache-Control", "no-cache");
    /* A web page that got hold of an answer must not be able to run it as something else. */
    fg_reply_header(req, "X-Content-Type-Options", "nosniff");
    if (api->draining)
        fg_reply_header(req, "Connection", "close");
}

static void free_body(const void *data, size_t n, void *body)
{
    (void)data;
    (void)n;
    free(body);
}

void fg_reply_json(struct fg_api *api, struct evhttp_request *req, int status, json_t *root)
{
    struct evbuffer *out = evbuffer_new();
    char *body = fg_api_dump(root), length[24];
    size_t n = body ? strlen(body) : 0;

    json_decref(root);
    if (!body || !out)
        status = 500;
    fg_reply_common(api, req, "application/json");
    if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
        snprintf(length, sizeof length, "%zu", n);
        fg_reply_header(req, "Content-Length", length);
    } else if (body && out && evbuffer_add_reference(out, body, n, free_body, body) == 0) {
        body = NULL;
    }
    evhttp_send_reply(req, status, fg_api_reason(status), out);
    free(body);
    if (out)
        evbuffer_free(out);
}

void fg_reply_error(struct fg_api *api, struct evhttp_request *req, const struct fg_api_error *e)
{
    if (e->status == 429)
        fg_reply_header(req, "Retry-After", "1");
    if (e->status == 401)
        fg_reply_header(req, "WWW-Authenticate", "Bearer");
    fg_reply_json(api, req, e->status, fg_api_error_json(e));
}

void fg_reply_options(struct fg_api *api, struct evhttp_request *req, const char *allow)
{
    fg_reply_header(req, "Allow", allow);
    if (api->draining)
        fg_reply_header(req, "Connection", "close");
    evhttp_send_reply(req, 204, fg_api_reason(204), NULL);
}
