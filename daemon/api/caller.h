/* Who calls, and which tenant that makes: on the Unix socket the user at its other end, on TCP the
 * API key that the request shows, or nobody in particular; with a tenant for all, that one. A
 * tenant's name may hold a key: it is never logged. Loop thread. */
#ifndef FG_API_CALLER_H
#define FG_API_CALLER_H

#include <stdbool.h>
#include <stddef.h>

#include "http/errors.h"
#include "serve/backend.h"
#include "serve/operation.h"

struct fg_api_options;
struct fg_arrival;
struct fg_request;

struct fg_caller {
    struct fg_tenant tenant;
    bool owner; /* may see what all tenants have together: runs the daemon, or shares one tenant */
    bool runs_daemon; /* its user or root, by the Unix socket */
    bool may_change;  /* what others find as well: runs the daemon, or the options allow it */
    bool alone;       /* the tenant is one user's or one key's, and nobody else's */
    bool tcp;
};

struct fg_api_key {
    char *text;
    struct fg_tenant tenant;
};

struct fg_callers {
    const struct fg_backend *backend; /* borrowed */
    struct fg_api_key *keys;          /* [n_keys]; none: TCP asks for no key */
    size_t n_keys;
    bool one_tenant;            /* `tcp` is everybody's */
    bool tcp_operations;        /* who does not run the daemon may change what is shared */
    const char *const *origins; /* of web pages that may come, [n_origins]; borrowed */
    size_t n_origins;
    struct fg_tenant tcp; /* of who comes by TCP without a key */
};

/* Takes keys and tenant from the options. FG_EINVAL: an empty key or name; FG_ENOMEM. On failure
 * too *c wants fg_callers_finish(). */
int fg_callers_init(struct fg_callers *c, const struct fg_api_options *opt, struct fg_err *err);
void fg_callers_finish(struct fg_callers *c);

/* May pages of that origin read answers? */
bool fg_caller_origin(const struct fg_callers *c, const char *origin);
/* Whose a request is of which the head has arrived. FG_EINVAL with *e filled: it may not come (401,
 * 403). */
int fg_caller_of_arrival(const struct fg_callers *c, const struct fg_arrival *a,
                         struct fg_caller *out, struct fg_http_error *e);
/* Who sends a request: the same, and it must name a host of ours. FG_EINVAL with *e filled: it may
 * not (401, 403). */
int fg_caller_of_request(const struct fg_callers *c, const struct fg_request *r,
                         struct fg_caller *out, struct fg_http_error *e);

/* May the caller have such an operation? FG_EINVAL with *e filled: no (403). */
int fg_caller_may(const struct fg_caller *caller, enum fg_operation_kind kind,
                  struct fg_http_error *e);

#endif
