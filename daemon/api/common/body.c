#include "body.h"

#include <stdlib.h>
#include <string.h>

#include "http/json_in.h"
#include "http/json_memory.h"
#include "serve/job.h"

static int refuse(const struct fg_body *body, size_t wanted, struct fg_http_error *e)
{
    size_t most = fg_budget_share(body->budget);

    if (wanted > most)
        return fg_http_fail(e, 413, NULL, NULL,
                            "the body's JSON takes more than %zu bytes of memory when it is read",
                            most);
    return fg_http_fail(e, 503, NULL, "bodies_full",
                        "there is no room to read this body beside others; send it again");
}

int fg_body_parse(struct fg_body *body, json_t **out, struct fg_http_error *e)
{
    size_t n = evbuffer_get_length(body->bytes), wanted;
    const char *bytes = n ? (const char *)evbuffer_pullup(body->bytes, -1) : "";
    int rc;

    *out = NULL;
    if (!bytes)
        return fg_json_nomem(e);
    fg_json_memory_begin(&body->made, body->budget, body->tenant);
    rc = fg_json_parse(bytes, n, out, e);
    return fg_json_memory_end(&wanted) && rc ? refuse(body, wanted, e) : rc;
}

static void free_text(const void *data, size_t n, void *p)
{
    (void)data;
    (void)n;
    free(p);
}

int fg_body_rewrite(struct fg_body *body, struct fg_buffer *text, json_t **json,
                    struct fg_http_error *e)
{
    size_t before = evbuffer_get_length(body->bytes), n = text->n;
    int rc;

    json_decref(*json);
    *json = NULL;
    fg_hold_release(&body->made);
    if (text->failed || evbuffer_drain(body->bytes, before) < 0 ||
        evbuffer_add_reference(body->bytes, text->p, n, free_text, text->p) < 0) {
        fg_buffer_finish(text);
        return fg_json_nomem(e);
    }
    *text = (struct fg_buffer){.p = NULL};
    rc = fg_body_parse(body, json, e);
    /* What the first text took is held until the body goes. */
    if (rc == 0 && n > before)
        rc = fg_body_charge(body, n - before, e);
    return rc;
}

struct fg_str fg_body_text(struct fg_body *body)
{
    size_t n = evbuffer_get_length(body->bytes);
    const char *bytes = n ? (const char *)evbuffer_pullup(body->bytes, -1) : NULL;

    return bytes ? (struct fg_str){bytes, n} : (struct fg_str){"", 0};
}

int fg_body_hold(const struct fg_body *body, struct fg_hold *hold, size_t n,
                 struct fg_http_error *e)
{
    int rc = fg_hold_more(hold, body->budget, body->tenant, n);

    return rc == FG_EBUSY ? refuse(body, hold->bytes + n, e) : rc ? fg_json_nomem(e) : 0;
}

int fg_body_charge(struct fg_body *body, size_t n, struct fg_http_error *e)
{
    return fg_body_hold(body, &body->made, n, e);
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

size_t fg_body_texts(const struct fg_job_request *r)
{
    size_t n = r->text_bytes + r->n_tokens * sizeof *r->tokens +
               r->n_messages * sizeof *r->messages + length(r->tools_json) +
               length(r->variables_json);

    for (size_t i = 0; r->messages && i < r->n_messages; i++)
        n += r->messages[i].content_bytes + length(r->messages[i].calls_json) +
             length(r->messages[i].extra_json);
    return n;
}

static void let_go(void *held)
{
    fg_hold_release(held);
    free(held);
}

void fg_body_pass(struct fg_body *body, struct fg_job_request *job, size_t n)
{
    struct fg_hold *hold = job && body->made.budget ? malloc(sizeof *hold) : NULL;

    if (hold) {
        *hold = body->made;
        body->made = (struct fg_hold){0};
        fg_hold_keep(hold, n + fg_body_texts(job));
        job->let_go = let_go;
        job->held = hold;
    }
    fg_body_free(body);
}
