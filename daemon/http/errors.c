#include "errors.h"

#include <stdio.h>
#include <string.h>

#include "lossy.h"

int fg_http_fail(struct fg_http_error *e, int status, const char *param, const char *code,
                 const char *fmt, ...)
{
    va_list ap;

    e->status = status;
    e->code = code;
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    return FG_EINVAL;
}

void fg_http_error_from(struct fg_http_error *e, const struct fg_err *err, bool draining)
{
    int status = 500;
    const char *code = NULL;

    switch (err->code) {
    case FG_EINVAL:
    case FG_EFORMAT:
    case FG_EUNSUPPORTED: status = 400; break;
    case FG_ETOOLONG:
        status = 400;
        code = "context_length_exceeded";
        break;
    case FG_ENOTFOUND: status = 404; break;
    case FG_EBUSY:
        status = draining ? 503 : 429;
        code = draining ? "draining" : "queue_full";
        break;
    case FG_ECANCELED:
        status = 503;
        code = "canceled";
        break;
    case FG_EDEVICELOST: code = "device_lost"; break;
    default: break;
    }
    fg_http_fail(e, status, NULL, code, "%s", err->text[0] ? err->text : fg_strerror(err->code));
}

const char *fg_http_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    }
    return status < 400 ? "OK" : "Error";
}

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    case 501: return "invalid_request_error"; /* the method was */
    }
    return status < 500 ? "invalid_request_error" : "server_error";
}

json_t *fg_http_error_json(const struct fg_http_error *e)
{
    static const char too_long[] = "context_length_exceeded";
    char message[sizeof e->message + 32];
    json_t *error;

    /* Libraries hand on no more than the message, and what is built on them looks for this word in
     * it to shorten a conversation. */
    snprintf(message, sizeof message, "%s%s", e->message,
             e->code && strcmp(e->code, too_long) == 0 ? " (context_length_exceeded)" : "");
    error =
        json_pack("{s:o, s:s, s:o, s:s?}", "message", fg_json_string(message), "type",
                  error_type(e->status), "param",
                  e->param[0] ? fg_json_string(e->param) : json_null(), "code", e->code);

    /* json_pack refuses a NULL member, which is what fg_json_string gives when out of memory. */
    return error ? json_pack("{s:o}", "error", error) : NULL;
}
