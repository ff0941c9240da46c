/* What the daemon's store holds, and removing it. */
#include <stdlib.h>
#include <string.h>

#include "operation.h"
#include "request.h"

/* ---- ls ---------------------------------------------------------------------------------------*/

static int read_entry(const json_t *object, struct fg_client_cache_entry *out, struct fg_err *err)
{
    struct fg_client_json j = {object, "entries[]", err};
    struct {
        const char *key;
        uint64_t *out;
    } counts[] = {
        {"tokens", &out->tokens},       {"states", &out->states}, {"bytes", &out->bytes},
        {"own_bytes", &out->own_bytes}, {"newer", &out->newer},
    };
    const char *kind = "";
    size_t n;
    int rc = fg_client_json_copy(&j, "id", &out->id);

    rc = rc < 0 ? rc : fg_client_json_copy(&j, "model", &out->model);
    rc = rc < 0 ? rc : fg_client_json_copy(&j, "text", &out->text);
    rc = rc < 0 ? rc : fg_client_json_string(&j, "kind", &kind, &n);
    for (size_t i = 0; rc >= 0 && i < sizeof counts / sizeof counts[0]; i++) {
        rc = fg_client_json_count(&j, counts[i].key, counts[i].out);
    }
    out->branch = strcmp(kind, "branch") == 0;
    out->current = json_is_true(json_object_get(object, "current"));
    return rc < 0 ? rc : 0;
}

static int read_list(const json_t *root, struct fg_client_cache_list *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "answer", err};
    const json_t *list;
    int rc = fg_client_json_count(&j, "total", &out->total);

    rc = rc < 0 ? rc : fg_client_json_array(&j, "entries", &list);
    if (rc <= 0) {
        return rc < 0 ? rc : fg_client_json_missing(&j, "entries", "an array");
    }
    size_t n = json_array_size(list);
    out->entries = calloc(n ? n : 1, sizeof *out->entries);
    if (!out->entries) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        if (!json_is_object(one)) {
            return fg_fail(err, FG_EFORMAT, "the daemon's answer: entries[%zu] should be an object",
                           i);
        }
        out->n_entries = i + 1;
        rc = read_entry(one, &out->entries[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int fg_client_cache_ls(struct fg_client *client, uint32_t limit, struct fg_client_cache_list *out,
                       struct fg_err *err)
{
    struct fg_client_cache_list list = {0};
    char path[64];
    json_t *root;

    snprintf(path, sizeof path, "/v1/fulgur/cache/ls?limit=%u", (unsigned)limit);
    int rc = fg_client_call(client, path, NULL, &root, err);
    if (rc < 0) {
        return rc;
    }
    rc = read_list(root, &list, err);
    json_decref(root);
    if (rc == 0) {
        *out = list;
    } else {
        fg_client_cache_list_finish(&list);
    }
    return rc;
}

void fg_client_cache_list_finish(struct fg_client_cache_list *list)
{
    if (list) {
        for (size_t i = 0; i < list->n_entries; i++) {
            free(list->entries[i].id);
            free(list->entries[i].model);
            free(list->entries[i].text);
        }
        free(list->entries);
        memset(list, 0, sizeof *list);
    }
}

/* ---- find -------------------------------------------------------------------------------------*/

/* An id in place of a string that the struct has room for. */
static int read_id(const struct fg_client_json *j, char out[FG_CLIENT_CACHE_ID])
{
    const char *id;
    size_t n;
    int rc = fg_client_json_string(j, "id", &id, &n);

    if (rc == 0) {
        rc = fg_client_json_missing(j, "id", "a string");
    }
    if (rc > 0 && (n == 0 || n >= FG_CLIENT_CACHE_ID)) {
        rc = fg_fail(j->err, FG_EFORMAT, "the daemon's answer: id has %zu bytes", n);
    }
    if (rc > 0) {
        snprintf(out, FG_CLIENT_CACHE_ID, "%s", id);
    }
    return rc < 0 ? rc : 0;
}

int fg_client_cache_find(struct fg_client *client, const struct fg_client_request *request,
                         struct fg_client_cache_found *out, struct fg_err *err)
{
    struct fg_client_cache_found found = {0};
    const char *path;
    json_t *root;
    char *body;
    int rc = fg_client_request_write(request, false, &path, &body, err);

    rc = rc < 0 ? rc : fg_client_call(client, "/v1/fulgur/cache/find", body, &root, err);
    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "answer", err};
    rc = read_id(&j, found.id);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "tokens", &found.tokens);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "prompt_tokens", &found.prompt_tokens);
    json_decref(root);
    if (rc >= 0) {
        *out = found;
    }
    return rc < 0 ? rc : 0;
}

/* ---- forget -----------------------------------------------------------------------------------*/

static int read_records(const json_t *root, struct fg_client_cache_records *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "result", err};
    int rc = fg_client_json_count(&j, "blocks", &out->blocks);

    rc = rc < 0 ? rc : fg_client_json_count(&j, "states", &out->states);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "bytes", &out->bytes);
    return rc < 0 ? rc : 0;
}

int fg_client_cache_forget(struct fg_client *client, const char *id, bool before,
                           struct fg_client_cache_records *out, struct fg_err *err)
{
    struct fg_client_cache_records records = {0};
    json_t *fields =
        id ? json_pack("{s:s, s:b}", "id", id, "before", before) : json_pack("{s:b}", "all", true);
    json_t *root;
    int rc;

    if (!fields && id) {
        return fg_fail(err, FG_EINVAL, "the id is not UTF-8");
    }
    rc = fg_client_operation(client, "/v1/fulgur/cache/forget", fields, NULL, &root, err);
    if (rc < 0) {
        return rc;
    }
    rc = read_records(root, &records, err);
    json_decref(root);
    if (rc == 0 && out) {
        *out = records;
    }
    return rc;
}

/* ---- verify -----------------------------------------------------------------------------------*/

int fg_client_cache_verify(struct fg_client *client, const char *id, uint32_t limit,
                           const struct fg_client_watch *watch,
                           struct fg_client_cache_verified *out, struct fg_err *err)
{
    struct fg_client_cache_verified v = {0};
    struct {
        const char *key;
        uint64_t *out;
    } counts[] = {
        {"prefixes", &v.prefixes},     {"verified", &v.verified}, {"wrong", &v.wrong},
        {"unreadable", &v.unreadable}, {"gone", &v.gone},         {"skipped", &v.skipped},
    };
    json_t *fields = id ? json_pack("{s:s}", "id", id)
                        : json_pack("{s:b, s:i}", "all", true, "limit", (int)limit);
    json_t *root;
    int rc;

    if (!fields && id) {
        return fg_fail(err, FG_EINVAL, "the id is not UTF-8");
    }
    rc = fg_client_operation(client, "/v1/fulgur/cache/verify", fields, watch, &root, err);
    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "result", err};
    for (size_t i = 0; rc >= 0 && i < sizeof counts / sizeof counts[0]; i++) {
        rc = fg_client_json_count(&j, counts[i].key, counts[i].out);
    }
    json_decref(root);
    if (rc >= 0) {
        *out = v;
    }
    return rc < 0 ? rc : 0;
}

/* ---- gc ---------------------------------------------------------------------------------------*/

int fg_client_cache_gc(struct fg_client *client, uint64_t *before, uint64_t *after,
                       struct fg_err *err)
{
    uint64_t was = 0, is = 0;
    json_t *root;
    int rc = fg_client_operation(client, "/v1/fulgur/cache/gc", json_object(), NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "result", err};
    rc = fg_client_json_count(&j, "before", &was);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "after", &is);
    json_decref(root);
    if (rc < 0) {
        return rc;
    }
    *before = was;
    *after = is;
    return 0;
}

/* ---- packs ------------------------------------------------------------------------------------*/

int fg_client_cache_export(struct fg_client *client, const char *id,
                           int (*write)(void *ctx, const char *bytes, size_t n), void *ctx,
                           struct fg_err *err)
{
    struct fg_client_exchange x = {.sink = write, .ctx = ctx, .type = "application/octet-stream"};
    char path[128];
    int rc;

    if (strlen(id) >= FG_CLIENT_CACHE_ID || strspn(id, "0123456789abcdefABCDEF") != strlen(id)) {
        return fg_fail(err, FG_EINVAL, "id '%.40s': should be 1 to 32 hexadecimal digits", id);
    }
    snprintf(path, sizeof path, "/v1/fulgur/cache/export?id=%s", id);
    x.path = path;
    rc = fg_client_exchange_run(client, &x, err);
    if (rc == 0 && x.status != 200) {
        rc = fg_client_refusal(client, x.status, x.answer.p, x.answer.n, err);
    } else if (rc > 0) {
        rc = fg_fail(err, FG_ECANCELED, "canceled");
    }
    free(x.answer.p);
    return rc;
}

int fg_client_cache_import(struct fg_client *client, const void *pack, size_t bytes,
                           const struct fg_client_import *how, struct fg_client_cache_found *out,
                           struct fg_err *err)
{
    const struct fg_client_upload upload = {
        .path = how && how->unsigned_too ? "/v1/fulgur/cache/import?stream=true&unsigned=true"
                                         : "/v1/fulgur/cache/import?stream=true",
        .body = pack,
        .bytes = bytes};
    struct fg_client_cache_found found = {0};
    json_t *root;
    int rc = fg_client_operation_upload(client, &upload, NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "result", err};
    rc = read_id(&j, found.id);
    rc = rc < 0 ? rc : fg_client_json_count(&j, "tokens", &found.tokens);
    found.prompt_tokens = found.tokens;
    json_decref(root);
    if (rc >= 0) {
        *out = found;
    }
    return rc < 0 ? rc : 0;
}

int fg_client_cache_key(struct fg_client *client, char out[FG_CLIENT_PACK_KEY], struct fg_err *err)
{
    const char *key;
    json_t *root;
    size_t n;
    int rc = fg_client_call(client, "/v1/fulgur/cache/key", NULL, &root, err);

    if (rc < 0) {
        return rc;
    }
    struct fg_client_json j = {root, "answer", err};
    rc = fg_client_json_string(&j, "key", &key, &n);
    if (rc == 0) {
        rc = fg_client_json_missing(&j, "key", "a string");
    }
    if (rc > 0 && (n == 0 || n >= FG_CLIENT_PACK_KEY)) {
        rc = fg_fail(err, FG_EFORMAT, "the daemon's answer: key has %zu bytes", n);
    }
    if (rc > 0) {
        snprintf(out, FG_CLIENT_PACK_KEY, "%s", key);
    }
    json_decref(root);
    return rc < 0 ? rc : 0;
}
