/* JSON from clients: bounded parsing, and fields with types and ranges. Every failure names the
 * field, what was found and what would be right. A field that is absent or null reads as its
 * default. Pure; any thread. */
#ifndef FG_HTTP_JSON_IN_H
#define FG_HTTP_JSON_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "errors.h"

/* What one body may hold; above it a small body would cost gigabytes once parsed. */
enum {
    FG_JSON_MAX_CONTAINERS = 1 << 18,
    FG_JSON_MAX_VALUES = 1 << 22,
    FG_JSON_MAX_MEMBERS = 1 << 18
};

/* Parses a request body: one JSON object, at most 2048 levels deep, no duplicate names. NUL bytes
 * in strings (\u0000) are kept; what JSON allows and jansson does not hold is made to fit
 * (json_fit.h). The object is the caller's. FG_EINVAL with *e filled. */
int fg_json_parse(const char *body, size_t n, json_t **out, struct fg_http_error *e);

/* The field, or NULL when it is absent or null. Borrowed. */
json_t *fg_json_field(const json_t *object, const char *name);

/* `the string "abc"`, `an array`, `42`: for messages. Returns `buf`. */
const char *fg_json_found(const json_t *v, char buf[64]);

/* An integer, also when it is written 2.0. */
bool fg_json_integral(const json_t *v, int64_t *out);

/* Typed fields: 0, or FG_EINVAL with *e filled; *out is untouched when absent. `path` is the name
 * shown in errors. */
int fg_json_bool(const json_t *object, const char *name, bool *out, struct fg_http_error *e);
int fg_json_int(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *out,
                struct fg_http_error *e);
int fg_json_number(const json_t *object, const char *name, double min, double max, double *out,
                   struct fg_http_error *e);
/* A copy, the caller's, NUL-terminated; strings with a NUL byte inside are refused. */
int fg_json_text(const json_t *object, const char *name, const char *path, char **out,
                 struct fg_http_error *e);

/* Copies a JSON string's bytes and a NUL behind them; the caller's. FG_ENOMEM as a 500 in *e. */
int fg_json_copy(const json_t *string, char **out, size_t *bytes, struct fg_http_error *e);

int fg_json_nomem(struct fg_http_error *e); /* the 500 for that; FG_EINVAL */

#endif
