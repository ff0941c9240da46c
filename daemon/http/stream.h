/* Answers in pieces: server-sent events, or bytes. Loop thread. A client that leaves, or does not
 * read what is sent, ends the request inside any of these: r->ev is NULL then. */
#ifndef FG_HTTP_STREAM_H
#define FG_HTTP_STREAM_H

#include "request.h"

#define FG_STREAM_EVENTS "text/event-stream"

/* Status 200 and the headers, at the first call. */
void fg_stream_start(struct fg_request *r, const char *type);
/* One server-sent event, `data: ...`; starts the stream. What a client leaves unread is bounded by
 * the server's max_buffered: beyond, the connection is closed. */
void fg_stream_event(struct fg_request *r, const char *data);
/* The same with a name, `event: ...`. */
void fg_stream_named(struct fg_request *r, const char *name, const char *data);
/* A server-sent event that says nothing: a comment. Bounded in the same way. */
void fg_stream_comment(struct fg_request *r);
/* A line of a stream that was started. Bounded in the same way. */
void fg_stream_line(struct fg_request *r, const char *data);
/* n bytes of a stream that was started; `sent` is called when the client has taken them, unless it
 * leaves. */
void fg_stream_bytes(struct fg_request *r, const void *bytes, size_t n, void (*sent)(void *arg));
/* The answer is complete. */
void fg_stream_end(struct fg_request *r);

#endif
