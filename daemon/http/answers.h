/* How much may be in memory of answers that their clients have not read: http->answers is the
 * budget. What is small is not counted: there is always room to say what is wrong. Loop thread. For
 * this folder's files only. */
#ifndef FG_HTTP_ANSWERS_H
#define FG_HTTP_ANSWERS_H

#include <stddef.h>

struct evbuffer;
struct fg_conn;
struct fg_http_error;

/* Bytes of an answer, or of what is not sent of a stream, that are not counted. */
enum { FG_ANSWER_SMALL = 32 * 1024 };

/* Adds a whole answer's text of n bytes to `out`, which takes it over; it is counted until it has
 * been sent. Where there is no room, connections whose clients have taken nothing for the server's
 * stall_ms make it: the longest ones first, those of the tenant where it is its share that is full.
 * A tenant's only answer has room in its share, however large it is. FG_EINVAL with *e filled (503;
 * 500: out of memory): the text is the caller's still. */
int fg_answers_add(struct fg_conn *c, struct evbuffer *out, char *text, size_t n,
                   struct fg_http_error *e);

/* More of a stream waits to be sent. FG_EBUSY: there is no room for it, or FG_ENOMEM. */
int fg_answers_grow(struct fg_conn *c);
/* Some of what waited has been sent. */
void fg_answers_sent(struct fg_conn *c);

#endif
