/* What is read from the Jinja text of a chat template, without running it. Any thread. */
#ifndef FG_CHAT_TEMPLATE_H
#define FG_CHAT_TEMPLATE_H

#include <stdbool.h>

#include "fulgur/str.h"
#include "base/buffer.h"

/* True when `text` holds `needle`. */
bool fg_chat_template_has(struct fg_str text, const char *needle);

/* The content of the system message that a ChatML template writes of its own accord: the first
 * string literal of the form '<|im_start|>system\n...<|im_end|>...'. Appends it to `out` and
 * returns true; false when there is none. */
bool fg_chat_template_default_system(struct fg_str text, struct fg_buffer *out);

#endif
