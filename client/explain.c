#include "account.h"
#include "http.h"
#include "json.h"
#include "request.h"

static int read_forecast(const json_t *root, struct fg_client_forecast *out, struct fg_err *err)
{
    struct fg_client_json j = {root, "answer", err}, fulgur = {NULL, "fulgur", err};
    const json_t *cache;
    int rc = fg_client_json_count(&j, "prompt_tokens", &out->prompt_tokens);

    rc = rc < 0 ? rc : fg_client_json_object(&j, "fulgur", &fulgur.object);
    if (rc == 0) {
        rc = fg_client_json_missing(&j, "fulgur", "an object");
    }
    rc = rc < 0 ? rc : fg_client_json_object(&fulgur, "cache", &cache);
    if (rc == 0) {
        rc = fg_client_json_missing(&fulgur, "cache", "an object");
    }
    return rc < 0 ? rc : fg_client_account_read(cache, &out->account, err);
}

int fg_client_explain(struct fg_client *client, const struct fg_client_request *request,
                      struct fg_client_forecast *out, struct fg_err *err)
{
    struct fg_client_forecast forecast = {0};
    const char *path;
    json_t *root;
    char *body;
    int rc = fg_client_request_write(request, false, &path, &body, err);

    if (rc < 0) {
        return rc;
    }
    rc = fg_client_call(client, "/v1/fulgur/cache/explain", body, &root, err);
    if (rc < 0) {
        return rc;
    }
    rc = read_forecast(root, &forecast, err);
    json_decref(root);
    if (rc == 0) {
        *out = forecast;
    }
    return rc;
}
