#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fulgur/error.h"

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

/* FG_ENOMEM; nothing is changed then. */
static int add(struct fg_buffer *b, const void *p, size_t n)
{
    void *mem = b->p;

    if (n > SIZE_MAX - 1 - b->n || !fg_grow(&mem, &b->cap, b->n + n + 1, 1)) {
        return FG_ENOMEM;
    }
    b->p = mem;
    if (n) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
    return 0;
}

void fg_buffer_add(struct fg_buffer *b, const void *p, size_t n)
{
    if (!b->failed) {
        b->failed = add(b, p, n) < 0;
    }
}

int fg_buffer_add_within(struct fg_buffer *b, const void *p, size_t n, size_t limit)
{
    return b->n > limit || n > limit - b->n ? FG_EFULL : add(b, p, n);
}

void fg_buffer_str(struct fg_buffer *b, const char *s)
{
    fg_buffer_add(b, s, strlen(s));
}

void fg_buffer_view(struct fg_buffer *b, struct fg_str s)
{
    fg_buffer_add(b, s.p, s.n);
}

void fg_buffer_clear(struct fg_buffer *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p) {
        b->p[0] = '\0';
    }
}

void fg_buffer_finish(struct fg_buffer *b)
{
    free(b->p);
    *b = (struct fg_buffer){0};
}
