/* Operations on the store: a request to /v1/fulgur/cache/..., its task in the flow, its answer.
 * Loop thread. A call lives until its task's last event, which may be after its client has left. */
#ifndef FG_API_CACHE_ROUTES_H
#define FG_API_CACHE_ROUTES_H

#include <stdbool.h>
#include <sys/queue.h>
#include <event2/http.h>

struct fg_api;
struct fg_conn;
struct fg_cache_call;
TAILQ_HEAD(fg_cache_call_list, fg_cache_call);

/* Answers a request to `path`, one of those that routes.c sends here. */
void fg_cache_call_start(struct fg_api *api, struct fg_conn *conn, struct evhttp_request *req,
                         const char *path);
/* The connection is going down (from its close callback): stops the task. */
void fg_cache_call_lost(struct fg_cache_call *x);
/* Takes what the tasks' mailbox holds; `wait`: until there is something. */
void fg_cache_call_deliver(struct fg_api *api, bool wait);
/* Stops all tasks; their calls end when the flow says so. */
void fg_cache_call_cancel_all(struct fg_api *api);

#endif
