/* How many connections there may be, and how long each may take. Loop thread. For this folder's
 * files only.
 *
 * Of max_connections each door has its part: TCP leaves some to the Unix socket, and that some to
 * TCP. A door that is full still accepts as long as another of its connections can make room: one
 * that was refused, then one that has not shown yet that it may ask anything, then one that is
 * between requests; the oldest first. So whoever holds connections open without asking anything is
 * displaced by those who ask. When all of them are being answered, new ones wait in the listen
 * queue. */
#ifndef FG_HTTP_LIMITS_H
#define FG_HTTP_LIMITS_H

#include "conn.h"

struct fg_http_options;

/* Limits from the options; files are left for the rest of the process. Before the doors open. */
void fg_limits_init(struct fg_http *http, const struct fg_http_options *opt);
/* A door has its listener. */
void fg_limits_watch(struct fg_door *door);
/* Whether new connections are taken, after the count or the state has changed. */
void fg_limits_update(struct fg_http *http);
/* A connection is new: others make room for it where they must. */
void fg_limits_admit(struct fg_conn *c);
/* Requests with a body that the tenant of `c` has under way, besides c's. */
uint32_t fg_limits_under_way(const struct fg_conn *c);
/* The callback of http->tick: ends what is past its time. */
void fg_limits_tick(int fd, short what, void *http);
/* A request was refused for its key: the log says how many, once a second at most. By how many ms
 * the answer is to be late. */
double fg_limits_wrong_key(struct fg_conn *c);
/* Bytes of an answer were taken by its client, or begin to wait for it. */
void fg_limits_moved(struct fg_conn *c);

#endif
