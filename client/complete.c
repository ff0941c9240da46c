#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/clock.h"
#include "http.h"
#include "request.h"
#include "sse.h"

const char *fg_client_finish_name(enum fg_client_finish finish)
{
    switch (finish) {
    case FG_CLIENT_FINISH_NONE: return "none";
    case FG_CLIENT_FINISH_STOP: return "stop";
    case FG_CLIENT_FINISH_LENGTH: return "length";
    case FG_CLIENT_FINISH_OTHER: break;
    }
    return "other";
}

const char *fg_client_source_name(enum fg_client_source source)
{
    switch (source) {
    case FG_CLIENT_SOURCE_NONE: return "none";
    case FG_CLIENT_SOURCE_VRAM: return "vram";
    case FG_CLIENT_SOURCE_RAM: return "ram";
    case FG_CLIENT_SOURCE_STORE: return "store";
    case FG_CLIENT_SOURCE_OTHER: break;
    }
    return "other";
}

struct feed {
    struct fg_client_sse sse;
    struct fg_err *err;
};

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
    struct feed *f = ctx;
    return fg_client_sse_feed(&f->sse, bytes, n, f->err);
}

/* The stream is whole when it has a finish reason and "[DONE]"; only then is the answer. */
static int check_end(const struct fg_client *client, const struct fg_client_exchange *x,
                     const struct fg_client_answer *a, int rc, struct fg_err *err)
{
    if (rc == FG_EIO && a->done) {
        rc = 0; /* only the transfer's own end is missing */
    } else if (rc == 0 && x->status != 200) {
        return fg_client_refusal(client, x->status, x->answer.p, x->answer.n, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (!a->done) {
        return fg_fail(err, FG_EIO, "%s closed the connection before its answer ended",
                       client->address);
    }
    if (a->result->finish == FG_CLIENT_FINISH_NONE) {
        return fg_fail(err, FG_EFORMAT, "the daemon's answer ended without a finish_reason");
    }
    return 0;
}

static int run(struct fg_client *client, const char *path, char *body, struct fg_client_answer *a,
               struct fg_err *err)
{
    struct feed f = {.err = err};
    struct fg_client_exchange x = {
        .path = path, .body = body, .body_bytes = strlen(body), .sink = on_bytes, .ctx = &f};

    fg_client_sse_init(&f.sse, fg_client_answer_event, a);
    int rc = fg_client_exchange_run(client, &x, err);
    rc = check_end(client, &x, a, rc, err);
    fg_client_sse_finish(&f.sse);
    free(x.answer.p);
    return rc;
}

int fg_client_complete(struct fg_client *client, const struct fg_client_request *request,
                       const struct fg_client_handler *handler, struct fg_client_result *result,
                       struct fg_err *err)
{
    static const struct fg_client_handler no_handler;
    struct fg_client_result own;
    struct fg_client_answer a = {
        .handler = handler ? handler : &no_handler,
        .result = result ? result : &own,
        .err = err,
        .started = fg_clock_ms(),
    };
    const char *path;
    char *body;

    memset(a.result, 0, sizeof *a.result);
    a.result->first_text_ms = -1;
    int rc = fg_client_request_write(request, a.handler->on_progress != NULL, &path, &body, err);
    if (rc < 0) {
        return rc;
    }
    if (!a.handler->on_text) {
        /* An answer without text is "". */
        rc = fg_buffer_add_within(&a.text, "", 0, 0);
        if (rc == 0 && !a.handler->on_reasoning) {
            rc = fg_buffer_add_within(&a.reasoning, "", 0, 0);
        }
        rc = rc < 0 ? fg_fail(err, rc, "out of memory") : 0;
    }
    rc = rc < 0 ? rc : run(client, path, body, &a, err);
    free(body);
    a.result->text = a.text.p;
    a.result->text_bytes = a.text.n;
    a.result->reasoning = a.reasoning.p;
    a.result->reasoning_bytes = a.reasoning.n;
    a.result->total_ms = fg_clock_ms() - a.started;
    if (!result) {
        fg_client_result_finish(&own);
    }
    return rc;
}

void fg_client_result_finish(struct fg_client_result *result)
{
    if (result) {
        free(result->text);
        result->text = NULL;
        result->text_bytes = 0;
        free(result->reasoning);
        result->reasoning = NULL;
        result->reasoning_bytes = 0;
    }
}
