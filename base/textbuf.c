#include "textbuf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool fg_grow(void **p, size_t *cap, size_t want, size_t size)
{
    size_t n = *cap ? *cap : 16;
    void *q;

    if (want <= *cap) {
        return true;
    }
    while (n < want) {
        if (n > SIZE_MAX / 2) {
            return false;
        }
        n *= 2;
    }
    if (n > SIZE_MAX / size) {
        return false;
    }
    q = realloc(*p, n * size);
    if (!q) {
        return false;
    }
    *p = q;
    *cap = n;
    return true;
}

void fg_textbuf_add(struct fg_textbuf *b, const void *p, size_t n)
{
    void *mem = b->p;

    if (b->failed) {
        return;
    }
    if (n > SIZE_MAX - 1 - b->n || !fg_grow(&mem, &b->cap, b->n + n + 1, 1)) {
        b->failed = true;
        return;
    }
    b->p = mem;
    if (n) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
}

void fg_textbuf_str(struct fg_textbuf *b, const char *s)
{
    fg_textbuf_add(b, s, strlen(s));
}

void fg_textbuf_view(struct fg_textbuf *b, struct fg_str s)
{
    fg_textbuf_add(b, s.p, s.n);
}

void fg_textbuf_clear(struct fg_textbuf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p) {
        b->p[0] = '\0';
    }
}

void fg_textbuf_finish(struct fg_textbuf *b)
{
    free(b->p);
    *b = (struct fg_textbuf){0};
}
