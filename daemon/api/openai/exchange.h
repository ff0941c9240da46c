/* One completion: from its request to the job in the flow and back, as one answer or as a stream.
 * Loop thread. Lives until the job's last event, which may be long after its client has left. */
#ifndef FG_API_EXCHANGE_H
#define FG_API_EXCHANGE_H

#include <stdbool.h>
#include <sys/queue.h>
#include <event2/http.h>

struct fg_api;
struct fg_conn;
struct fg_exchange;
TAILQ_HEAD(fg_exchange_list, fg_exchange);

enum fg_exchange_kind {
    FG_EXCHANGE_COMPLETION, /* /v1/completions */
    FG_EXCHANGE_CHAT,       /* /v1/chat/completions */
    FG_EXCHANGE_EXPLAIN,    /* a body of either, "messages" telling which; a forecast */
};

/* Answers a request of that kind. */
void fg_exchange_start(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                       enum fg_exchange_kind kind);

/* The connection is going down (from its close callback): stops the job. */
void fg_exchange_lost(struct fg_exchange *x);

/* Takes what the mailbox holds; `wait`: until there is something. */
void fg_exchange_deliver(struct fg_api *api, bool wait);

/* Stops all jobs; their exchanges end when the flow says so. */
void fg_exchange_cancel_all(struct fg_api *api);

#endif
