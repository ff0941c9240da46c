#include "responses_kept.h"

#include <stdlib.h>
#include <string.h>

#include "http/json_in.h"
#include "http/json_out.h"
#include "http/lossy.h"

void fg_responses_keep(const struct fg_service *s, const struct fg_job *job, const char *id,
                       struct fg_str items, struct fg_str response)
{
    struct fg_buffer text = {0};

    if (items.n + response.n + 2 > FG_DOCUMENT_BYTES)
        return;
    fg_buffer_add(&text, items.p, items.n);
    fg_buffer_add(&text, "", 1);
    fg_buffer_add(&text, response.p, response.n);
    fg_buffer_add(&text, "", 1);
    if (!text.failed)
        s->backend.keep(s->backend.ctx, job, FG_DOCUMENT_RESPONSE, id,
                        (struct fg_str){text.p, text.n});
    fg_buffer_finish(&text);
}

bool fg_responses_recall(const struct fg_service *s, const struct fg_tenant *tenant,
                         struct fg_str id, struct fg_kept_response *out)
{
    const struct fg_backend *b = &s->backend;
    struct fg_str text;
    const char *end;

    *out = (struct fg_kept_response){.items = ""};
    if (!b->recall(b->ctx, tenant, FG_DOCUMENT_RESPONSE, id, &text))
        return false;
    end = memchr(text.p, '\0', text.n);
    if (!end || end + 1 >= text.p + text.n || text.p[text.n - 1] != '\0') {
        free((char *)text.p);
        return false;
    }
    *out = (struct fg_kept_response){.text = (char *)text.p, .items = text.p, .response = end + 1};
    return true;
}

/* A request for one of them. */
struct asked {
    struct fg_work work;
    const struct fg_service *service;
    struct fg_request request;
    struct fg_tenant tenant;
    bool drops, looked, there;
    struct fg_kept_response kept;
    char id[];
};

/* On a worker. */
static void look(struct fg_work *work)
{
    struct asked *x = (struct asked *)work;
    const struct fg_backend *b = &x->service->backend;
    const struct fg_str id = {x->id, strlen(x->id)};

    x->looked = true;
    x->there = x->drops ? b->drop(b->ctx, &x->tenant, FG_DOCUMENT_RESPONSE, id)
                        : fg_responses_recall(x->service, &x->tenant, id, &x->kept);
}

/* The response stands behind the items: it is moved to the text's beginning. */
static char *take_response(struct fg_kept_response *k)
{
    char *text = k->text;

    memmove(text, k->response, strlen(k->response) + 1);
    *k = (struct fg_kept_response){0};
    return text;
}

static void reply(struct asked *x)
{
    struct fg_http_error e;

    if (x->there && x->drops) {
        fg_reply_json(&x->request, 200,
                      json_pack("{s:o, s:s, s:b}", "id", fg_json_string(x->id), "object",
                                "response", "deleted", 1));
        return;
    }
    if (x->there) {
        fg_reply_text(&x->request, 200, take_response(&x->kept));
        return;
    }
    if (x->looked)
        fg_http_fail(&e, 404, NULL, "response_not_found",
                     "%.64s: there is no such response here (any more)", x->id);
    else
        fg_http_fail(&e, 503, NULL, "draining", "the daemon is shutting down");
    fg_reply_error(&x->request, &e);
}

static void on_looked(struct fg_work *work)
{
    struct asked *x = (struct asked *)work;

    if (x->request.ev)
        reply(x);
    free(x->kept.text);
    free(x);
}

/* The client has left: the answer goes nowhere. */
static void on_lost(void *arg)
{
    (void)arg;
}

void fg_responses_kept(const struct fg_service *s, const struct fg_tenant *tenant,
                       struct fg_request *r, const char *id)
{
    struct asked *x = calloc(1, sizeof *x + strlen(id) + 1);
    struct fg_http_error e;

    if (!x) {
        fg_json_nomem(&e);
        fg_reply_error(r, &e);
        return;
    }
    x->service = s;
    x->tenant = *tenant;
    x->drops = fg_request_method(r) == EVHTTP_REQ_DELETE;
    strcpy(x->id, id);
    x->work.run = look;
    x->work.done = on_looked;
    fg_request_keep(&x->request, r, on_lost, x);
    fg_workers_post(s->workers, &x->work, FG_WORK_QUICK);
}
