/* A growing byte buffer for the files of this folder. A failed allocation is remembered, so that a
 * chain of adds is checked once at its end. Zero-initialized is empty. One thread at a time. */
#ifndef FG_TEXTBUF_H
#define FG_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/str.h"

struct fg_textbuf {
    char *p;  /* NUL-terminated once anything was added; NULL before */
    size_t n; /* bytes, without the NUL */
    size_t cap;
    bool failed; /* out of memory: later adds do nothing */
};

void fg_textbuf_add(struct fg_textbuf *b, const void *p, size_t n);
void fg_textbuf_str(struct fg_textbuf *b, const char *s);
void fg_textbuf_view(struct fg_textbuf *b, struct fg_str s);
/* Empties the buffer and keeps its memory. */
void fg_textbuf_clear(struct fg_textbuf *b);
/* Frees the memory and zeroes *b. */
void fg_textbuf_finish(struct fg_textbuf *b);

/* Grows an array so that it holds at least `want` elements of `size` bytes: *p and *cap (elements)
 * are updated. False when out of memory, with both unchanged. */
bool fg_grow(void **p, size_t *cap, size_t want, size_t size);

#endif
