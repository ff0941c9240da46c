/* What is asked of a view of bytes. Pure; any thread. */
#ifndef FG_BASE_STR_H
#define FG_BASE_STR_H

#include <stdbool.h>
#include <string.h>

#include "fulgur/str.h"

/* Is it that word, byte for byte? */
static inline bool fg_str_is(struct fg_str s, const char *word)
{
    size_t n = strlen(word);

    return s.n == n && (n == 0 || memcmp(s.p, word, n) == 0);
}

#endif
