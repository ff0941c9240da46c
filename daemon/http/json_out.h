/* JSON as the daemon writes it. Any thread. */
#ifndef FG_HTTP_JSON_OUT_H
#define FG_HTTP_JSON_OUT_H

#include <jansson.h>

/* Bytes of any JSON of ours: compact, floats with 9 significant digits (each f32 its own), UTF-8.
 * The caller's (free); NULL: `v` is, or out of memory. */
char *fg_json_dump(const json_t *v);

#endif
