/* The endpoints that answer at once. Each ends the request. Loop thread. */
#ifndef FG_API_INFO_ROUTES_H
#define FG_API_INFO_ROUTES_H

struct fg_caller;
struct fg_request;
struct fg_service;

/* The root's and health's `caller` is NULL when it showed no key that is asked for.
 * `rest`: what follows the route's path, decoded; "" when nothing does. */
void fg_route_health(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest);
/* That there is a daemon. */
void fg_route_root(const struct fg_service *s, const struct fg_caller *caller, struct fg_request *r,
                   const char *rest);
void fg_route_models(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest);
void fg_route_model(const struct fg_service *s, const struct fg_caller *caller,
                    struct fg_request *r, const char *rest);
void fg_route_tokenizer(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest);
void fg_route_ollama_show(const struct fg_service *s, const struct fg_caller *caller,
                          struct fg_request *r, const char *rest);
void fg_route_ollama_tags(const struct fg_service *s, const struct fg_caller *caller,
                          struct fg_request *r, const char *rest);
void fg_route_ollama_ps(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest);
void fg_route_ollama_version(const struct fg_service *s, const struct fg_caller *caller,
                             struct fg_request *r, const char *rest);
void fg_route_status(const struct fg_service *s, const struct fg_caller *caller,
                     struct fg_request *r, const char *rest);
void fg_route_cache(const struct fg_service *s, const struct fg_caller *caller,
                    struct fg_request *r, const char *rest);
void fg_route_cache_key(const struct fg_service *s, const struct fg_caller *caller,
                        struct fg_request *r, const char *rest);

#endif
