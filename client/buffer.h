/* A growing byte buffer with a ceiling, for text whose size the other side decides. */
#ifndef FG_CLIENT_BUFFER_H
#define FG_CLIENT_BUFFER_H

#include <stddef.h>

/* All zero is an empty buffer. `data` is malloc'd and, when not NULL, NUL-terminated beyond
 * `bytes`; whoever holds the struct frees it. */
struct fg_client_buffer {
    char *data;
    size_t bytes, room;
};

/* Appends data[0..bytes). FG_EFULL when that would exceed `limit` bytes, FG_ENOMEM; the buffer is
 * unchanged then. */
int fg_client_buffer_add(struct fg_client_buffer *b, const char *data, size_t bytes, size_t limit);

#endif
