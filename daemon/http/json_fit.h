/* JSON that is valid, but beyond what jansson holds: numbers beyond 64 bits or a double, and names
 * with a NUL. Any thread. */
#ifndef FG_HTTP_JSON_FIT_H
#define FG_HTTP_JSON_FIT_H

#include <stddef.h>

#include "base/buffer.h"

/* Writes the text with such integers as the nearest double, such reals as the largest double of
 * their sign, and U+FFFD for a NUL in a name. Text that is not JSON stays as it is.
 * out->failed: out of memory. */
void fg_json_fit(const char *text, size_t n, struct fg_buffer *out);

#endif
