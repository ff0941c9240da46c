/* Bytes that should be UTF-8 as JSON strings: what is not UTF-8 becomes U+FFFD, so that every
 * answer is valid JSON whatever a token or a file name holds. Any thread. */
#ifndef FG_HTTP_LOSSY_H
#define FG_HTTP_LOSSY_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

/* New JSON string of n bytes (NUL bytes included); NULL: out of memory. */
json_t *fg_json_stringn(const char *bytes, size_t n);
/* The same for a C string; NULL gives JSON null. */
json_t *fg_json_string(const char *s);

/* How many code points begin in these bytes (continuation bytes do not count). */
size_t fg_api_code_points(const char *bytes, size_t n);

#endif
