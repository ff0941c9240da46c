#include "operation.h"

#include <stdlib.h>
#include <string.h>

#include "sse.h"

struct feed {
    struct fg_client_sse sse;
    const struct fg_client_watch *watch; /* or NULL */
    json_t *result;
    struct fg_err *err;
};

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
    struct feed *f = ctx;
    return fg_client_sse_feed(&f->sse, bytes, n, f->err);
}

static int on_progress(struct feed *f, const json_t *progress)
{
    struct fg_client_json j = {progress, "progress", f->err};
    uint64_t done = 0, total = 0;
    int rc = fg_client_json_count(&j, "done", &done);

    rc = rc < 0 ? rc : fg_client_json_count(&j, "total", &total);
    if (rc < 0 || !f->watch) {
        return rc < 0 ? rc : 0;
    }
    return f->watch->progress(f->watch->ctx, done, total)
               ? fg_fail(f->err, FG_ECANCELED, "canceled")
               : 0;
}

static int on_event(void *ctx, const char *data, size_t bytes)
{
    struct feed *f = ctx;
    struct fg_client_json j = {NULL, "event", f->err};
    const json_t *member = NULL;
    json_t *root;
    int rc = fg_client_json_parse(data, bytes, "event", &root, f->err);

    if (rc < 0) {
        return rc;
    }
    j.object = root;
    if (json_object_get(root, "error")) {
        rc = fg_client_stream_error(root, f->err);
    } else if ((rc = fg_client_json_object(&j, "progress", &member)) > 0) {
        rc = on_progress(f, member);
    } else if (rc == 0 && (rc = fg_client_json_object(&j, "result", &member)) > 0 && !f->result) {
        f->result = json_deep_copy(member);
        rc = f->result ? 0 : fg_fail(f->err, FG_ENOMEM, "out of memory");
    }
    json_decref(root);
    return rc < 0 ? rc : 0;
}

static int run(struct fg_client *client, struct fg_client_exchange *x, struct feed *f,
               struct fg_err *err)
{
    int rc = fg_client_exchange_run(client, x, err);

    if (rc == FG_EIO && f->result) {
        return 0; /* only the transfer's own end is missing */
    }
    if (rc == 0 && x->status != 200) {
        rc = fg_client_refusal(client, x->status, x->answer.p, x->answer.n, err);
    }
    if (rc == 0 && !f->result) {
        rc = fg_fail(err, FG_EIO, "%s closed the connection before its answer ended",
                     client->address);
    }
    return rc;
}

int fg_client_operation_upload(struct fg_client *client, const struct fg_client_upload *upload,
                               const struct fg_client_watch *watch, json_t **result,
                               struct fg_err *err)
{
    struct feed f = {.watch = watch, .err = err};
    struct fg_client_exchange x = {.path = upload->path,
                                   .body = upload->body,
                                   .body_bytes = upload->bytes,
                                   .sink = on_bytes,
                                   .ctx = &f};
    int rc;

    *result = NULL;
    fg_client_sse_init(&f.sse, on_event, &f);
    rc = run(client, &x, &f, err);
    fg_client_sse_finish(&f.sse);
    free(x.answer.p);
    if (rc < 0) {
        json_decref(f.result);
        return rc;
    }
    *result = f.result;
    return 0;
}

int fg_client_operation(struct fg_client *client, const char *path, json_t *fields,
                        const struct fg_client_watch *watch, json_t **result, struct fg_err *err)
{
    char *body = NULL;
    int rc;

    *result = NULL;
    if (fields && json_object_set_new(fields, "stream", json_true()) == 0) {
        body = json_dumps(fields, JSON_COMPACT);
    }
    json_decref(fields);
    if (!body) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    struct fg_client_upload upload = {.path = path, .body = body, .bytes = strlen(body)};
    rc = fg_client_operation_upload(client, &upload, watch, result, err);
    free(body);
    return rc;
}
