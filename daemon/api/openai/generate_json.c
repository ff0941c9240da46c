#include "generate_json.h"

#include "http/json_in.h"

/* Members of the body itself that go into the other one; what sampling_params says under such a
 * name is not its business. */
static const char *const own[] = {"token_ids",      "model",  "stream",
                                  "stream_options", "fulgur", "cache",
                                  "messages",       "prompt", "echo"};

enum { MINE = 6 /* of these are taken over */ };

static int refuse(const json_t *body, const char *name, struct fg_http_error *e)
{
    const json_t *v = fg_json_field(body, name);
    char found[64];

    if (!v || (json_is_integer(v) && !json_integer_value(v)))
        return 0;
    return fg_http_fail(e, 400, name, "unsupported_parameter", "%s: found %s, it must be absent",
                        name, fg_json_found(v, found));
}

static int merge(const json_t *body, json_t *params, json_t **out, struct fg_http_error *e)
{
    static const char *const limits[] = {"max_completion_tokens", "max_tokens", "n_predict",
                                         "num_predict", "max_new_tokens"};
    json_t *made = params ? json_copy(params) : json_object();
    bool ok = made != NULL, limited = false;

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        json_t *v = json_object_get(body, own[i]);

        json_object_del(made, own[i]);
        if (ok && v && i < MINE)
            ok = json_object_set(made, own[i], v) == 0;
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        limited = limited || fg_json_field(made, limits[i]);
    if (ok && !limited)
        ok = json_object_set_new(made, "max_tokens", json_integer(-1)) == 0;
    ok = ok && json_object_set_new(made, "return_token_ids", json_true()) == 0;
    if (ok) {
        *out = made;
        return 0;
    }
    json_decref(made);
    return fg_json_nomem(e);
}

int fg_generate_body(json_t **body, char **request_id, struct fg_http_error *e)
{
    json_t *params = fg_json_field(*body, "sampling_params"), *made = NULL;
    char found[64];
    int rc;

    if (params && !json_is_object(params))
        return fg_http_fail(e, 400, "sampling_params", NULL,
                            "sampling_params: found %s, it must be an object",
                            fg_json_found(params, found));
    if ((rc = refuse(*body, "features", e)) || (rc = refuse(*body, "kv_transfer_params", e)) ||
        (rc = refuse(*body, "priority", e)) ||
        (rc = fg_json_text(*body, "request_id", "request_id", request_id, e)) ||
        (rc = merge(*body, params, &made, e)))
        return rc;
    json_decref(*body);
    *body = made;
    return 0;
}
