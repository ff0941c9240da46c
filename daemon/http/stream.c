#include "stream.h"

#include <event2/http_struct.h>

#include "base/log.h"
#include "answers.h"
#include "conn.h"
#include "server.h"

void fg_stream_start(struct fg_request *r, const char *type)
{
    if (r->started)
        return;
    r->started = true;
    r->status = 200;
    fg_reply_common(r, type);
    /* HTTP/1.0 knows no chunks: the end of the connection ends the answer, also when the client
     * asked for it to be kept; evhttp would promise a length of 0 then. */
    if (r->ev->major == 1 && r->ev->minor == 0) {
        evhttp_remove_header(evhttp_request_get_input_headers(r->ev), "Connection");
        fg_reply_header(r, "Connection", "close");
    }
    evhttp_send_reply_start(r->ev, 200, fg_http_reason(200));
}

/* `ok`: all of the piece is in it. */
static void send_piece(struct fg_request *r, struct evbuffer *piece, bool ok)
{
    if (ok)
        evhttp_send_reply_chunk(r->ev, piece);
    else
        fg_request_abort(r); /* a stream with a hole in it would look whole */
    if (piece)
        evbuffer_free(piece);
    if (r->ev &&
        (fg_conn_unsent(r->conn) > r->conn->http->max_buffered || fg_answers_grow(r->conn))) {
        fg_log(FG_LOG_WARN, "api", "cause=\"the client does not read\" unsent=%zu",
               fg_conn_unsent(r->conn));
        fg_request_abort(r);
    }
}

/* A line and an empty one; before them the event's name, where it has one. */
static void send_lines(struct fg_request *r, const char *name, const char *field, const char *data)
{
    struct evbuffer *line = evbuffer_new();

    fg_stream_start(r, FG_STREAM_EVENTS);
    send_piece(r, line,
               line && (!name || evbuffer_add_printf(line, "event: %s\n", name) > 0) &&
                   evbuffer_add_printf(line, "%s: %s\n\n", field, data) > 0);
}

void fg_stream_line(struct fg_request *r, const char *data)
{
    struct evbuffer *line = evbuffer_new();

    send_piece(r, line, line && evbuffer_add_printf(line, "%s\n", data) > 0);
}

void fg_stream_event(struct fg_request *r, const char *data)
{
    send_lines(r, NULL, "data", data);
}

void fg_stream_named(struct fg_request *r, const char *name, const char *data)
{
    send_lines(r, name, "data", data);
}

void fg_stream_comment(struct fg_request *r)
{
    send_lines(r, NULL, "", "wait");
}

/* evhttp says so when all that was sent is on its way. */
static void on_sent(struct evhttp_connection *evcon, void *arg)
{
    struct fg_request *r = arg;

    (void)evcon;
    if (r->ev && r->sent)
        r->sent(r->arg);
}

void fg_stream_bytes(struct fg_request *r, const void *bytes, size_t n, void (*sent)(void *arg))
{
    struct evbuffer *piece = evbuffer_new();

    if (piece && evbuffer_add(piece, bytes, n) == 0) {
        r->sent = sent;
        evhttp_send_reply_chunk_with_cb(r->ev, piece, on_sent, r);
    } else {
        fg_request_abort(r);
    }
    if (piece)
        evbuffer_free(piece);
}

void fg_stream_end(struct fg_request *r)
{
    evhttp_send_reply_end(fg_conn_let_go(r));
}
