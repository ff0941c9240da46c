/* Server-sent events, parsed as the bytes arrive, cut anywhere (WHATWG HTML, 9.2.6).
 * Only the `data` field is kept; `event`, `id`, `retry` and comments are skipped. */
#ifndef FG_CLIENT_SSE_H
#define FG_CLIENT_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "fulgur/error.h"

/* The longest line, and the longest data of one event. A chunk of an answer is far below it. */
#define FG_CLIENT_SSE_MAX ((size_t)1 << 20)

/* One event's data, its lines joined by '\n', NUL-terminated beyond `bytes`; lives during the call.
 * A return other than 0 ends the feed with that value. */
typedef int fg_client_sse_event(void *ctx, const char *data, size_t bytes);

struct fg_client_sse {
    fg_client_sse_event *event;
    void *ctx;
    struct fg_buffer line, data;
    size_t lines;  /* that ended so far; the next one's index */
    bool has_data; /* the event under way has at least one data field */
    bool after_cr; /* a '\n' that follows belongs to the line end already seen */
};

void fg_client_sse_init(struct fg_client_sse *s, fg_client_sse_event *event, void *ctx);
void fg_client_sse_finish(struct fg_client_sse *s);
/* Takes the next bytes and calls `event` for each event that they complete. What `event` returned,
 * or FG_EFORMAT (a line or an event is over FG_CLIENT_SSE_MAX), FG_ENOMEM; the parser is of no more
 * use after a failure. An event that no blank line ended is never delivered. */
int fg_client_sse_feed(struct fg_client_sse *s, const char *bytes, size_t n, struct fg_err *err);

#endif
