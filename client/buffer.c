#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fulgur/error.h"

int fg_client_buffer_add(struct fg_client_buffer *b, const char *data, size_t bytes, size_t limit)
{
    if (limit > SIZE_MAX / 2 - 1) {
        limit = SIZE_MAX / 2 - 1;
    }
    if (b->bytes > limit || bytes > limit - b->bytes) {
        return FG_EFULL;
    }
    size_t need = b->bytes + bytes + 1;
    if (need > b->room) {
        size_t room = b->room < 256 ? 256 : b->room;
        while (room < need) {
            room *= 2;
        }
        char *p = realloc(b->data, room);
        if (!p) {
            return FG_ENOMEM;
        }
        b->data = p;
        b->room = room;
    }
    if (bytes > 0) {
        memcpy(b->data + b->bytes, data, bytes);
    }
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
    return 0;
}
