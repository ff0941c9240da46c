/* A growing byte buffer. A failed allocation is remembered, so that a chain of adds is checked once
 * at its end. Zero-initialized is empty. One thread at a time. */
#ifndef FG_BASE_BUFFER_H
#define FG_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/str.h"

struct fg_buffer {
    char *p;  /* malloc'd, NUL-terminated once anything was added; NULL before */
    size_t n; /* bytes, without the NUL */
    size_t cap;
    bool failed; /* out of memory: later adds do nothing */
};

void fg_buffer_add(struct fg_buffer *b, const void *p, size_t n);
void fg_buffer_str(struct fg_buffer *b, const char *s);
void fg_buffer_view(struct fg_buffer *b, struct fg_str s);
/* For text whose size another side decides: FG_EFULL when the buffer would then hold more than
 * `limit` bytes, FG_ENOMEM; the buffer is unchanged, and not failed, then. */
int fg_buffer_add_within(struct fg_buffer *b, const void *p, size_t n, size_t limit);
/* Empties the buffer and keeps its memory. */
void fg_buffer_clear(struct fg_buffer *b);
/* Frees the memory and zeroes *b. */
void fg_buffer_finish(struct fg_buffer *b);

/* Grows an array so that it holds at least `want` elements of `size` bytes: *p and *cap (elements)
 * are updated. False when out of memory, with both unchanged. */
bool fg_grow(void **p, size_t *cap, size_t want, size_t size);

#endif
