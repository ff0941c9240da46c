#include "operation_json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "http/json_in.h"
#include "http/lossy.h"
#include "openai/request_json.h"

static const struct {
    const char *path;
    enum fg_operation_kind kind;
    bool body;
} operations[] = {
    {"/v1/fulgur/cache/ls", FG_OPERATION_LIST, false},
    {"/v1/fulgur/cache/find", FG_OPERATION_FIND, true},
    {"/v1/fulgur/cache/forget", FG_OPERATION_FORGET, true},
    {"/v1/fulgur/cache/gc", FG_OPERATION_COMPACT, true},
    {"/v1/fulgur/cache/verify", FG_OPERATION_VERIFY, true},
    {"/v1/fulgur/cache/export", FG_OPERATION_EXPORT, false},
    {"/v1/fulgur/cache/import", FG_OPERATION_IMPORT, false},
};

bool fg_operation_path_kind(const char *path, enum fg_operation_kind *kind)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(path, operations[i].path) == 0) {
            *kind = operations[i].kind;
            return true;
        }
    return false;
}

bool fg_operation_has_body(enum fg_operation_kind kind)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].kind == kind)
            return operations[i].body;
    return false;
}

/* A parameter of the query as a JSON string or number would be checked: the caller's. */
static json_t *query_json(const char *query, struct fg_http_error *e)
{
    struct evkeyvalq params;
    struct evkeyval *p;
    json_t *object = json_object();
    int r = 0;

    if (!object || !query)
        return object;
    if (evhttp_parse_query_str(query, &params) < 0) {
        json_decref(object);
        fg_http_fail(e, 400, NULL, NULL, "the query is malformed");
        return NULL;
    }
    TAILQ_FOREACH(p, &params, next)
    {
        char *end;
        long long n = strtoll(p->value, &end, 10);
        bool number = strcmp(p->key, "limit") == 0 && *p->value && !*end;

        r |= json_object_set_new(object, p->key,
                                 number ? json_integer(n) : fg_json_string(p->value));
    }
    evhttp_clear_headers(&params);
    if (r) {
        json_decref(object);
        fg_http_fail(e, 400, NULL, NULL, "the query is malformed");
        return NULL;
    }
    return object;
}

static int read_prompt(struct fg_operation_body body, const struct fg_flow_info *info,
                       struct fg_operation_request *out, struct fg_http_error *e)
{
    const struct fg_api_choice choice = {.text = body.text,
                                         .chat = fg_json_field(body.json, "messages") != NULL,
                                         .cache = FG_CACHE_READ_WRITE};
    struct fg_api_request parsed;
    int r = fg_api_request_parse_choice(body.json, &choice, info, &parsed, e);

    if (r)
        return r;
    out->prompt = parsed.job;
    parsed.job = (struct fg_job_request){0};
    fg_api_request_finish(&parsed);
    return 0;
}

/* `id`, or `all`: one of the two, so that nobody removes everything by leaving something out. */
static int read_choice(const json_t *fields, struct fg_operation_request *out,
                       struct fg_http_error *e)
{
    bool all = false;
    int r = fg_json_bool(fields, "all", &all, e);

    if (!r && !out->id == !all)
        r = fg_http_fail(e, 400, all ? "all" : "id", NULL,
                         all ? "all: there is an id as well; give one"
                             : "id: there is none; give the id of what is meant, or \"all\": true");
    return r;
}

static int read_fields(const json_t *fields, struct fg_operation_request *out, bool *stream,
                       struct fg_http_error *e)
{
    int64_t limit = FG_OPERATION_ROWS;
    int r = 0;

    if (out->kind == FG_OPERATION_LIST || out->kind == FG_OPERATION_VERIFY)
        r = fg_json_int(fields, "limit", 0, FG_OPERATION_MAX_ROWS, &limit, e);
    out->limit = (uint32_t)limit;
    if (!r && out->kind != FG_OPERATION_LIST && out->kind != FG_OPERATION_COMPACT)
        r = fg_json_text(fields, "id", "id", &out->id, e);
    if (!r && out->kind == FG_OPERATION_EXPORT && !out->id)
        r = fg_http_fail(e, 400, "id", NULL, "id: there is none; say what to export");
    if (!r && (out->kind == FG_OPERATION_FORGET || out->kind == FG_OPERATION_VERIFY))
        r = read_choice(fields, out, e);
    if (!r && out->kind == FG_OPERATION_FORGET) {
        r = fg_json_bool(fields, "before", &out->before, e);
    }
    if (!r && out->kind != FG_OPERATION_EXPORT)
        r = fg_json_bool(fields, "stream", stream, e);
    return r;
}

/* `stream=true` and `unsigned=true`, either, both or none. */
static int read_import(const char *query, struct fg_operation_request *out, bool *stream,
                       struct fg_http_error *e)
{
    static const char stream_on[] = "stream=true", unsigned_on[] = "unsigned=true";

    for (const char *at = query; at; at = strchr(at, '&')) {
        size_t n;

        at += at != query;
        n = strcspn(at, "&");
        if (n == sizeof stream_on - 1 && memcmp(at, stream_on, n) == 0)
            *stream = true;
        else if (n == sizeof unsigned_on - 1 && memcmp(at, unsigned_on, n) == 0)
            out->unsigned_too = true;
        else
            return fg_http_fail(e, 400, NULL, NULL,
                                "the query may be stream=true, unsigned=true, both with & between "
                                "them, or nothing");
    }
    if (out->unsigned_too && !out->runs_daemon)
        return fg_http_fail(e, 403, "unsigned", "operation_refused",
                            "unsigned: the user who runs the daemon may import a pack that nobody "
                            "signed, over the Unix socket");
    return 0;
}

int fg_operation_request_parse(struct fg_operation_body body, const char *query,
                               const struct fg_flow_info *info, struct fg_operation_request *out,
                               bool *stream, struct fg_http_error *e)
{
    json_t *params;
    int r;

    *stream = false;
    if (out->kind == FG_OPERATION_FIND)
        return read_prompt(body, info, out, e);
    if (out->kind == FG_OPERATION_IMPORT)
        return read_import(query, out, stream, e);
    if (body.json)
        return read_fields(body.json, out, stream, e);
    params = query_json(query, e);
    r = params ? read_fields(params, out, stream, e) : FG_EINVAL;
    json_decref(params);
    return r;
}

static json_t *row_json(const struct fg_operation_row *r)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:b, s:o}", "id", r->id, "kind",
                     r->leaf ? "leaf" : "branch", "tokens", (json_int_t)r->tokens, "states",
                     (json_int_t)r->states, "bytes", (json_int_t)r->bytes, "own_bytes",
                     (json_int_t)r->own_bytes, "newer", (json_int_t)r->newer, "model",
                     fg_json_string(r->model), "current", r->current, "text",
                     fg_json_string(r->text));
}

static json_t *list_json(const struct fg_operation_result *r)
{
    json_t *rows = json_array();

    for (size_t i = 0; rows && i < r->n_rows; i++)
        if (json_array_append_new(rows, row_json(&r->rows[i])) < 0) {
            json_decref(rows);
            rows = NULL;
        }
    return rows ? json_pack("{s:I, s:o}", "total", (json_int_t)r->total, "entries", rows) : NULL;
}

json_t *fg_operation_result_json(enum fg_operation_kind kind, const struct fg_operation_result *r)
{
    switch (kind) {
    case FG_OPERATION_LIST: return list_json(r);
    case FG_OPERATION_FIND:
        return json_pack("{s:s, s:I, s:I}", "id", r->id, "tokens", (json_int_t)r->tokens,
                         "prompt_tokens", (json_int_t)r->prompt_tokens);
    case FG_OPERATION_FORGET:
        return json_pack("{s:I, s:I, s:I, s:I}", "blocks", (json_int_t)r->blocks, "states",
                         (json_int_t)r->states, "documents", (json_int_t)r->documents, "bytes",
                         (json_int_t)r->bytes);
    case FG_OPERATION_COMPACT:
        return json_pack("{s:I, s:I}", "before", (json_int_t)r->before, "after",
                         (json_int_t)r->after);
    case FG_OPERATION_VERIFY:
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "prefixes", (json_int_t)r->total,
                         "verified", (json_int_t)r->verified, "wrong", (json_int_t)r->wrong,
                         "unreadable", (json_int_t)r->unreadable, "gone", (json_int_t)r->gone,
                         "skipped", (json_int_t)r->skipped);
    case FG_OPERATION_EXPORT: break; /* is answered with the pack */
    case FG_OPERATION_IMPORT:
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s?}", "id", r->id, "tokens",
                         (json_int_t)r->tokens, "blocks", (json_int_t)r->blocks, "states",
                         (json_int_t)r->states, "bytes", (json_int_t)r->bytes, "signed_by",
                         r->signer[0] ? r->signer : NULL);
    }
    return NULL;
}
