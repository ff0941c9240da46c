/* The head of a request as the bytes say it, before anything else reads them: where it ends, how
 * long its body is, and what says who sends it. Stricter than the parser behind it (evhttp), so
 * that a proxy before the daemon and the daemon never disagree on where a request ends. Pure; any
 * thread. */
#ifndef FG_HTTP_HEAD_H
#define FG_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

enum { FG_MAX_HEADER_BYTES = 64 * 1024 };

/* A value inside the head's bytes; p is NULL when the header is absent. */
struct fg_span {
    const char *p;
    size_t n;
};

struct fg_head {
    size_t bytes;    /* with the empty line at its end */
    uint64_t length; /* Content-Length; 0 without */
    bool chunked;
    struct fg_span target; /* the path and what follows it; also in a head that is malformed */
    struct fg_span authorization, key, origin; /* as long as the bytes; key: X-Api-Key, Api-Key */
};

/* Reads the head that `bytes` begin with; the first `seen` of them were looked at before, and its
 * end was not there. 0: it is whole, *out is filled. FG_EBUSY: its end is not
 * there yet. FG_EINVAL with *e filled: a head of more than FG_MAX_HEADER_BYTES, a first line that
 * ends with neither HTTP/1.1 nor HTTP/1.0, a NUL or another control character, a folded line, a
 * name that is none, two of Content-Length, Transfer-Encoding, Host, Authorization or of the keys'
 * headers, a length that is not all digits, both kinds of length, a coding other than chunked or in
 * HTTP/1.0, a body where the method has none, lines that end in different ways, or a body behind
 * lines that end without a CR. */
int fg_head_read(const char *bytes, size_t n, size_t seen, struct fg_head *out,
                 struct fg_http_error *e);

/* Where the chunks of a body are. Zero it for the first byte behind the head. */
struct fg_chunks {
    enum fg_chunk_place {
        FG_CHUNK_SIZE,
        FG_CHUNK_SEMICOLON,
        FG_CHUNK_EXTENSION,
        FG_CHUNK_SIZE_LF,
        FG_CHUNK_DATA,
        FG_CHUNK_DATA_CR,
        FG_CHUNK_DATA_LF,
        FG_CHUNK_LAST_CR,
        FG_CHUNK_LAST_LF,
        FG_CHUNK_END
    } place;
    unsigned digits;     /* of the size, so far */
    unsigned extensions; /* bytes, of all chunks so far */
    uint64_t left;       /* of the chunk */
    uint64_t body;       /* bytes of all chunks whose size was read */
};

/* What the extensions of all chunks of a body may take: nobody uses any. */
enum { FG_MAX_CHUNK_EXTENSIONS = 4096 };

/* Follows n more bytes; *used of them belong to the body (fewer than n: its end was among them,
 * place is FG_CHUNK_END). A size is 1 to 8 hexadecimal digits; trailers are not taken. Extensions
 * mean nothing and become blanks, which evhttp skips. FG_EINVAL: malformed, or more than
 * FG_MAX_CHUNK_EXTENSIONS bytes of these. */
int fg_chunks_follow(struct fg_chunks *c, char *bytes, size_t n, size_t *used);

#endif
