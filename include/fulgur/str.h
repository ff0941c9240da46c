/* A view of bytes that need not end in NUL, as they lie in files and messages. Owns nothing. */
#ifndef FULGUR_STR_H
#define FULGUR_STR_H

#include <stddef.h>

struct fg_str {
    const char *p;
    size_t n; /* bytes */
};

#endif
