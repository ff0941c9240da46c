/* Reading fields of JSON from the daemon, whose types are not trusted. */
#ifndef FG_CLIENT_JSON_H
#define FG_CLIENT_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "fulgur/error.h"

/* An object, what messages call it ("usage", "choices[0]"), and where they go. */
struct fg_client_json {
    const json_t *object;
    const char *name;
    struct fg_err *err;
};

/* Parses one JSON object; `name` is for messages. *out is the caller's to json_decref().
 * FG_EFORMAT. */
int fg_client_json_parse(const char *text, size_t bytes, const char *name, json_t **out,
                         struct fg_err *err);

/* Each returns 1 and writes *out when the field is there, 0 when it is missing or null (*out is
 * untouched), FG_EFORMAT when it is of another type. Pointers live as long as the object. */
int fg_client_json_string(const struct fg_client_json *j, const char *key, const char **out,
                          size_t *bytes);
int fg_client_json_count(const struct fg_client_json *j, const char *key, uint64_t *out);
int fg_client_json_number(const struct fg_client_json *j, const char *key, double *out);
int fg_client_json_object(const struct fg_client_json *j, const char *key, const json_t **out);
int fg_client_json_array(const struct fg_client_json *j, const char *key, const json_t **out);
/* As the _string above, but a malloc'd, NUL-terminated copy (cut at an inner NUL), the caller's; a
 * missing field gives "". 0, FG_EFORMAT, FG_ENOMEM; *out is NULL on failure. */
int fg_client_json_copy(const struct fg_client_json *j, const char *key, char **out);
/* FG_EFORMAT for a field that had to be there. */
int fg_client_json_missing(const struct fg_client_json *j, const char *key, const char *wanted);

#endif
