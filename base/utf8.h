/* UTF-8 as Unicode defines it (table 3-7: no surrogates, no overlong forms, nothing above
 * U+10FFFF). Pure functions, any thread. */
#ifndef FG_UTF8_H
#define FG_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum fg_utf8_kind {
    FG_UTF8_CHAR,    /* a well-formed sequence */
    FG_UTF8_BAD,     /* a maximal subpart of an ill-formed sequence: one U+FFFD */
    FG_UTF8_PARTIAL, /* the bytes end inside a sequence that is well-formed so far */
};

/* Looks at the start of p[0..n), n > 0. *len gets the bytes it speaks of: 1..4 for a character,
 * 1..3 otherwise. */
enum fg_utf8_kind fg_utf8_next(const char *p, size_t n, size_t *len);

/* Bytes of the longest prefix of p[0..n) that is well-formed UTF-8. */
size_t fg_utf8_valid(const char *p, size_t n);

/* Bytes of the well-formed sequence at the start of p[0..n), n > 0; 0 when there is none. */
size_t fg_utf8_length(const char *p, size_t n);

/* Writes a code point, at most U+10FFFF, and returns its bytes. */
size_t fg_utf8_put(uint32_t c, char out[4]);

/* Where to cut a text so that at most n bytes stay and no character is divided. The text has more
 * than n bytes: p[n] is looked at. */
size_t fg_utf8_cut(const char *p, size_t n);

#endif
