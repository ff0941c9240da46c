/* Stop strings: passes an answer's text on up to the first stop string, holding back what may be
 * the beginning of one. What comes out does not depend on how the text is cut into pieces: the stop
 * that is complete first wins, and of several that end together the longest. One thread at a time.
 */
#ifndef FG_STOP_H
#define FG_STOP_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/error.h"
#include "fulgur/str.h"

struct fg_stop {
    char *const *strings; /* the caller's, [n_strings], NUL-terminated; empty ones never match */
    size_t n_strings;
    char *buf;
    size_t n, cap, given; /* bytes held; allocated; handed out by the last call */
    bool hit;
    size_t which; /* the string that was found */
};

void fg_stop_init(struct fg_stop *s, char *const *strings, size_t n_strings);
void fg_stop_finish(struct fg_stop *s);
/* Takes more text. *out (valid until the next call) is what can be passed on. After a hit (s->hit)
 * nothing comes out any more. Whole UTF-8 in, whole UTF-8 out. FG_ENOMEM. */
int fg_stop_push(struct fg_stop *s, struct fg_str text, struct fg_str *out, struct fg_err *err);
/* The text ended: what was held back. */
void fg_stop_flush(struct fg_stop *s, struct fg_str *out);

#endif
