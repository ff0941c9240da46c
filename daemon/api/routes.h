/* Paths to endpoints. Loop thread. */
#ifndef FG_API_ROUTES_H
#define FG_API_ROUTES_H

struct fg_callers;
struct fg_pending_list;
struct fg_request;
struct fg_service;

/* What answers requests. */
struct fg_endpoints {
    struct fg_service *service;
    const struct fg_callers *callers;
    struct fg_pending_list *completions;
    struct fg_pending_list *operations;
};

/* Answers a request, now or later. */
void fg_api_route(struct fg_endpoints *ends, struct fg_request *r, const char *path);

#endif
