#include "caller.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/request.h"
#include "http/server.h"
#include "server.h"

/* The tenant "kind:name". FG_ENOMEM. */
static int name_tenant(const struct fg_backend *backend, const char *kind, const char *name,
                       struct fg_tenant *out)
{
    size_t n = strlen(kind) + strlen(name) + 2;
    char *who = malloc(n);

    if (!who)
        return FG_ENOMEM;
    snprintf(who, n, "%s:%s", kind, name);
    backend->tenant(backend->ctx, who, out);
    free(who);
    return 0;
}

static int add_key(struct fg_callers *c, const char *text)
{
    struct fg_api_key *key = &c->keys[c->n_keys];

    key->text = strdup(text);
    if (!key->text)
        return FG_ENOMEM;
    c->n_keys++;
    if (!c->one_tenant)
        return name_tenant(c->backend, "key", text, &key->tenant);
    key->tenant = c->tcp;
    return 0;
}

int fg_callers_init(struct fg_callers *c, const struct fg_api_options *opt, struct fg_err *err)
{
    int r;

    *c = (struct fg_callers){.backend = opt->backend,
                             .one_tenant = opt->tenant != NULL,
                             .tcp_operations = opt->tcp_operations,
                             .origins = opt->cors_origins,
                             .n_origins = opt->n_cors_origins};
    if (opt->tenant && !*opt->tenant)
        return fg_fail(err, FG_EINVAL, "the tenant's name is empty; leave it out to use none");
    for (size_t i = 0; i < opt->n_api_keys; i++)
        if (!*opt->api_keys[i])
            return fg_fail(err, FG_EINVAL, "the API key is empty; leave it out to use none");
    r = opt->tenant ? name_tenant(c->backend, "name", opt->tenant, &c->tcp)
                    : name_tenant(c->backend, "tcp", "open", &c->tcp);
    if (!r && opt->n_api_keys) {
        c->keys = calloc(opt->n_api_keys, sizeof *c->keys);
        r = c->keys ? 0 : FG_ENOMEM;
    }
    for (size_t i = 0; !r && i < opt->n_api_keys; i++)
        r = add_key(c, opt->api_keys[i]);
    return r ? fg_fail(err, r, "out of memory") : 0;
}

void fg_callers_finish(struct fg_callers *c)
{
    for (size_t i = 0; i < c->n_keys; i++)
        free(c->keys[i].text);
    free(c->keys);
    *c = (struct fg_callers){0};
}

static bool caller_of_socket(const struct fg_callers *c, int fd, struct fg_caller *out)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    char uid[24];

    *out = (struct fg_caller){.tenant = c->tcp};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || n != sizeof peer ||
        peer.uid == (uid_t)-1)
        return false;
    out->runs_daemon = peer.uid == 0 || peer.uid == geteuid();
    out->owner = out->runs_daemon || c->one_tenant;
    out->may_change = out->runs_daemon || c->tcp_operations;
    out->alone = !c->one_tenant;
    if (c->one_tenant)
        return true;
    snprintf(uid, sizeof uid, "%lu", (unsigned long)peer.uid);
    return name_tenant(c->backend, "uid", uid, &out->tenant) == 0;
}

static bool same_secret(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned char differ = n != m;

    /* As long for a wrong first byte as for a wrong last one. */
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
    return !differ;
}

/* The key that is `given`, or NULL. */
static const struct fg_api_key *find_key(const struct fg_callers *c, const char *given)
{
    const struct fg_api_key *key = NULL;

    /* All of them, so that the time does not tell which one it was. */
    for (size_t i = 0; given && i < c->n_keys; i++)
        if (same_secret(given, c->keys[i].text))
            key = &c->keys[i];
    return key;
}

static int check_key(const struct fg_callers *c, const struct fg_arrival *a, struct fg_caller *out,
                     struct fg_http_error *e)
{
    static const char scheme[] = "Bearer ";
    const bool bearer =
        a->authorization && strncasecmp(a->authorization, scheme, sizeof scheme - 1) == 0;
    const struct fg_api_key *key =
        find_key(c, bearer ? a->authorization + sizeof scheme - 1 : a->api_key);

    if (!bearer && !a->api_key)
        return fg_http_fail(e, 401, NULL, "invalid_api_key",
                            "this daemon asks for a key: send Authorization: Bearer KEY, or "
                            "X-Api-Key: KEY");
    if (!key)
        return fg_http_fail(e, 401, NULL, "invalid_api_key", "the key in %s is not this daemon's",
                            bearer ? "Authorization" : "X-Api-Key");
    out->tenant = key->tenant;
    return 0;
}

/* A page in a browser may send requests to this machine: they carry Origin, or, where its name was
 * made to point here, a Host that is not ours. */
static bool local_host(const struct fg_request *r)
{
    const char *host = fg_request_host(r);
    unsigned char addr[16];
    char bare[64];
    size_t n;

    if (!host || strcasecmp(host, "localhost") == 0)
        return true;
    n = strlen(host);
    if (n > 2 && n < sizeof bare && host[0] == '[' && host[n - 1] == ']') {
        memcpy(bare, host + 1, n - 2);
        bare[n - 2] = '\0';
        return inet_pton(AF_INET6, bare, addr) == 1;
    }
    return inet_pton(AF_INET, host, addr) == 1;
}

bool fg_caller_origin(const struct fg_callers *c, const char *origin)
{
    for (size_t i = 0; i < c->n_origins; i++)
        if (strcmp(c->origins[i], "*") == 0 || strcmp(c->origins[i], origin) == 0)
            return true;
    return false;
}

static int caller_by_tcp(const struct fg_callers *c, const struct fg_arrival *a,
                         struct fg_caller *out, struct fg_http_error *e)
{
    *out = (struct fg_caller){.tenant = c->tcp,
                              .owner = c->one_tenant,
                              .may_change = c->tcp_operations,
                              .alone = c->n_keys && !c->one_tenant,
                              .tcp = true};
    if (c->n_keys)
        return check_key(c, a, out, e);
    if (a->origin && !fg_caller_origin(c, a->origin))
        return fg_http_fail(e, 403, NULL, NULL,
                            "requests from web pages (Origin) are refused; run the daemon with an "
                            "API key, or with --cors and the page's origin, to allow them");
    return 0;
}

int fg_caller_of_arrival(const struct fg_callers *c, const struct fg_arrival *a,
                         struct fg_caller *out, struct fg_http_error *e)
{
    if (a->tcp)
        return caller_by_tcp(c, a, out, e);
    if (!caller_of_socket(c, a->fd, out))
        return fg_http_fail(e, 403, NULL, NULL, "the kernel does not say who is at the other end");
    return 0;
}

int fg_caller_of_request(const struct fg_callers *c, const struct fg_request *r,
                         struct fg_caller *out, struct fg_http_error *e)
{
    struct fg_arrival a = {.tcp = r->tcp,
                           .fd = fg_request_fd(r),
                           .authorization = fg_request_header(r, "Authorization"),
                           .api_key = fg_request_header(r, "X-Api-Key"),
                           .origin = fg_request_header(r, "Origin")};
    int rc;

    if (!a.api_key)
        a.api_key = fg_request_header(r, "Api-Key");
    rc = fg_caller_of_arrival(c, &a, out, e);

    if (rc)
        return rc;
    if (r->tcp && !c->n_keys && !local_host(r))
        return fg_http_fail(e, 403, NULL, NULL,
                            "Host: it must be an address or localhost; run the daemon with an API "
                            "key to allow names");
    return 0;
}

static int refuse_change(const struct fg_caller *caller, enum fg_operation_kind kind,
                         struct fg_http_error *e)
{
    const char *what = kind == FG_OPERATION_FORGET ? "forget" : "import";

    if (caller->alone)
        return fg_http_fail(e, 403, NULL, "operation_refused",
                            "%s: not over TCP; use the Unix socket, or run the daemon with "
                            "--tcp-operations",
                            what);
    return fg_http_fail(e, 403, NULL, "operation_refused",
                        "%s: what is stored here is shared with others; the user who runs the "
                        "daemon may do that over the Unix socket, others where the daemon runs "
                        "with --tcp-operations",
                        what);
}

int fg_caller_may(const struct fg_caller *caller, enum fg_operation_kind kind,
                  struct fg_http_error *e)
{
    switch (kind) {
    case FG_OPERATION_COMPACT:
        if (caller->runs_daemon || (caller->owner && caller->may_change))
            return 0;
        return fg_http_fail(e, 403, NULL, "operation_refused",
                            "gc: the file is all callers' together; the user who runs the daemon "
                            "may compact it, over the Unix socket");
    case FG_OPERATION_FORGET:
        return caller->may_change || caller->alone ? 0 : refuse_change(caller, kind, e);
    case FG_OPERATION_IMPORT:
        return caller->may_change || (caller->alone && !caller->tcp)
                   ? 0
                   : refuse_change(caller, kind, e);
    case FG_OPERATION_LIST:
    case FG_OPERATION_FIND:
    case FG_OPERATION_EXPORT:
    case FG_OPERATION_VERIFY: break; /* take nothing away that is right */
    }
    return 0;
}
