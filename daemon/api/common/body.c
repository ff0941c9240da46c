#include "body.h"

#include "http/json_in.h"

int fg_body_parse(struct fg_body *body, json_t **out, struct fg_http_error *e)
{
    size_t n = evbuffer_get_length(body->bytes);
    const char *bytes = n ? (const char *)evbuffer_pullup(body->bytes, -1) : "";

    *out = NULL;
    return bytes ? fg_json_parse(bytes, n, out, e) : fg_json_nomem(e);
}
