/* Untrusted bytes in messages. */
#ifndef FG_QUOTE_H
#define FG_QUOTE_H

#include "fulgur/str.h"

#define FG_QUOTE_BYTES 84

/* Writes the first 80 bytes of s to buf, everything but printable ASCII as '?', and "..." when s is
 * longer, so that a message stays one line whatever a file holds. Returns buf. Any thread. */
const char *fg_quote(char buf[FG_QUOTE_BYTES], struct fg_str s);

#endif
