/* Paths to handlers. Loop thread. */
#ifndef FG_API_ROUTES_H
#define FG_API_ROUTES_H

#include <event2/http.h>

/* evhttp's general callback; `door` is a struct fg_api_door. Answers every request. */
void fg_api_route(struct evhttp_request *req, void *door);

#endif
