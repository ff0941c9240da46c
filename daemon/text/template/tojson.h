/* JSON as the `tojson` filter of chat templates prints it: Python's json.dumps(x,
 * ensure_ascii=False), with ", " and ": " between things, keys in the order they came in, numbers
 * as Python's repr writes them. Models were trained on exactly these bytes. Pure, any thread. */
#ifndef FG_TOJSON_H
#define FG_TOJSON_H

#include <jansson.h>

#include "base/buffer.h"

/* Appends `value`. Running out of memory shows in out->failed. */
void fg_tojson(struct fg_buffer *out, const json_t *value);

#endif
