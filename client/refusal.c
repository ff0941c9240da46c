#include <string.h>

#include "http.h"
#include "json.h"

static int code_of_status(long status)
{
    switch (status) {
    case 400:
    case 405:
    case 409:
    case 413:
    case 415:
    case 422: return FG_EINVAL;
    case 401:
    case 403: return FG_EACCESS;
    case 404: return FG_ENOTFOUND;
    case 429:
    case 503: return FG_EBUSY;
    case 501: return FG_EUNSUPPORTED;
    default: return FG_ESERVER;
    }
}

/* The daemon's line, on one line: it goes to logs and terminals as it is. */
static int fail_with(struct fg_err *err, int code, const char *text, size_t bytes)
{
    fg_fail(err, code, "%.*s", (int)(bytes > 500 ? 500 : bytes), text);
    if (err) {
        for (char *p = err->text; *p; p++) {
            if ((unsigned char)*p < ' ' || *p == 0x7F) {
                *p = ' ';
            }
        }
        /* A cut may have gone through a character. */
        err->text[fg_client_utf8_span(err->text, strlen(err->text))] = '\0';
    }
    return code;
}

/* Fills `err` from {"error":{"message","type","code"}}; 0 when root is not that. */
static int from_object(const json_t *root, long status, struct fg_err *err)
{
    const json_t *error = json_object_get(root, "error");
    const json_t *message = json_is_string(error) ? error : json_object_get(error, "message");
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *name = json_string_value(json_object_get(error, "code"));
    int code = code_of_status(status);

    if (!json_is_string(message) || json_string_length(message) == 0) {
        return 0;
    }
    if (name && strcmp(name, "context_length_exceeded") == 0) {
        code = FG_ETOOLONG;
    } else if (status == 0 && type && strcmp(type, "invalid_request_error") == 0) {
        code = FG_EINVAL;
    }
    return fail_with(err, code, json_string_value(message), json_string_length(message));
}

int fg_client_refusal(const struct fg_client *client, long status, const char *body, size_t bytes,
                      struct fg_err *err)
{
    json_t *root = body ? json_loadb(body, bytes, JSON_ALLOW_NUL, NULL) : NULL;
    int rc = from_object(root, status, err);

    json_decref(root);
    if (rc != 0) {
        return rc;
    }
    if (status / 100 == 2 || status / 100 == 3) {
        return fg_fail(err, FG_EFORMAT, "%s answered with HTTP status %ld, should be 200",
                       client->address, status);
    }
    return fg_fail(err, code_of_status(status), "%s answered with HTTP status %ld and no reason",
                   client->address, status);
}

int fg_client_stream_error(const json_t *root, struct fg_err *err)
{
    int rc = from_object(root, 0, err);
    return rc != 0 ? rc
                   : fg_fail(err, FG_ESERVER, "the daemon reported an error without a message");
}
