#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "fulgur/error.h"

enum { CHUNK_BYTES = 64 << 10 };

struct fg_jj_chunk {
    struct fg_jj_chunk *next;
    max_align_t bytes[];
};

void fg_jj_arena_finish(struct fg_jj_arena *a)
{
    while (a->chunks) {
        struct fg_jj_chunk *c = a->chunks;

        a->chunks = c->next;
        free(c);
    }
    a->at = a->end = NULL;
}

bool fg_jj_try(struct fg_jj *j, void (*body)(struct fg_jj *j, void *arg), void *arg)
{
    if (setjmp(j->out))
        return false;
    body(j, arg);
    return true;
}

static int code_of(enum fg_jinja_cause cause)
{
    switch (cause) {
    case FG_JINJA_LIMIT: return FG_EFULL;
    case FG_JINJA_MEMORY: return FG_ENOMEM;
    default: return FG_EINVAL;
    }
}

void fg_jj_fail(struct fg_jj *j, enum fg_jinja_cause cause, const char *fmt, ...)
{
    struct fg_jinja_error *e = j->error;
    va_list ap;

    e->cause = cause;
    e->line = j->line;
    e->column = j->column;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    e->message[fg_utf8_valid(e->message, strlen(e->message))] = '\0';
    for (char *p = e->message; *p; p++) {
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    }
    j->code = code_of(cause);
    longjmp(j->out, 1);
}

void fg_jj_spend(struct fg_jj *j, uint64_t n)
{
    if (j->steps < n)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template takes too many steps");
    j->steps -= n;
}

void fg_jj_spend_bytes(struct fg_jj *j, size_t n)
{
    fg_jj_spend(j, n / 64);
}

void fg_jj_spend_chars(struct fg_jj *j, size_t n)
{
    fg_jj_spend(j, n / 8);
}

void fg_jj_enter(struct fg_jj *j)
{
    if (j->depth >= j->max_depth)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template nests more than %u levels", j->max_depth);
    j->depth++;
}

void fg_jj_leave(struct fg_jj *j)
{
    j->depth--;
}

static void add_chunk(struct fg_jj *j, size_t n)
{
    struct fg_jj_arena *a = &j->arena;
    size_t bytes = n > CHUNK_BYTES / 4 ? n : CHUNK_BYTES;
    struct fg_jj_chunk *c;

    if (bytes > a->limit || a->bytes > a->limit - bytes)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template takes more than %zu bytes of memory", a->limit);
    c = malloc(sizeof *c + bytes);
    if (!c)
        fg_jj_fail(j, FG_JINJA_MEMORY, "out of memory");
    a->bytes += bytes;
    c->next = a->chunks;
    a->chunks = c;
    /* A large piece has a chunk of its own, and what is left of the last one stays in use. */
    if (bytes == n && a->at && c->next) {
        a->chunks = c->next;
        c->next = a->chunks->next;
        a->chunks->next = c;
        return;
    }
    a->at = (char *)c->bytes;
    a->end = a->at + bytes;
}

void *fg_jj_alloc(struct fg_jj *j, size_t n)
{
    struct fg_jj_arena *a = &j->arena;
    const size_t align = sizeof(max_align_t);
    struct fg_jj_chunk *newest = a->chunks;
    void *p;

    if (n > SIZE_MAX / 2)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template takes more than %zu bytes of memory", a->limit);
    n = (n + !n + align - 1) / align * align;
    if ((size_t)(a->end - a->at) < n) {
        add_chunk(j, n);
        if (a->chunks == newest) { /* it went behind the newest */
            p = newest->next->bytes;
            return memset(p, 0, n);
        }
    }
    p = a->at;
    a->at += n;
    return memset(p, 0, n);
}

void *fg_jj_grow(struct fg_jj *j, void *array, size_t *cap, size_t want, size_t size)
{
    size_t to = *cap ? *cap : 8;
    void *p;

    if (want <= *cap)
        return array;
    while (to < want) {
        if (to > SIZE_MAX / 4 / size)
            fg_jj_fail(j, FG_JINJA_LIMIT, "the template takes too much memory");
        to *= 2;
    }
    p = fg_jj_alloc(j, to * size);
    if (*cap)
        memcpy(p, array, *cap * size);
    *cap = to;
    return p;
}
