/* The endpoints that answer at once. Each ends the request. Loop thread. */
#ifndef FG_API_INFO_ROUTES_H
#define FG_API_INFO_ROUTES_H

#include <event2/http.h>

struct fg_api;

/* `rest`: what follows the route's path, decoded; "" when nothing does. */
void fg_route_health(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_models(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_model(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_status(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_cache(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_tokenize(struct fg_api *api, struct evhttp_request *req, const char *rest);
void fg_route_detokenize(struct fg_api *api, struct evhttp_request *req, const char *rest);

#endif
