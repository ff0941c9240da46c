#include "limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "gate.h"
#include "server.h"
#include "wrong_keys.h"

enum {
    SPARE_FILES = 128,
    FEWEST_CONNECTIONS = 16,
    LINGER_MS = 5000,
    REST_MS = 250,
    TELL_MS = 1000,
    SLOWEST = 4 /* bytes of a body a millisecond */
};

/* --- how many --- */

/* Every connection is a file, and so is much else: running out of them stops more than the server.
 */
static uint32_t bounded_connections(uint32_t wanted)
{
    struct rlimit files;
    rlim_t most;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return wanted;
    most = files.rlim_cur > SPARE_FILES + FEWEST_CONNECTIONS ? files.rlim_cur - SPARE_FILES
                                                             : FEWEST_CONNECTIONS;
    return wanted < most ? wanted : (uint32_t)most;
}

void fg_limits_init(struct fg_http *http, const struct fg_http_options *opt)
{
    const bool both = opt->socket_path && opt->tcp_addr;
    uint32_t all = bounded_connections(opt->max_connections ? opt->max_connections : 512);
    uint32_t kept = all / 4 < 64 ? all / 4 : 64; /* for the Unix socket */

    http->max_connections = all;
    http->doors[FG_DOOR_UNIX].most = both ? all - all / 4 : all;
    http->doors[FG_DOOR_TCP].most = both ? all - kept : all;
    http->per_peer = (http->doors[FG_DOOR_TCP].most + 1) / 2;
    http->per_tenant = (all + 1) / 2;
    http->head_ms = opt->head_ms ? opt->head_ms : 10000;
    http->stall_ms = opt->stall_ms ? opt->stall_ms : 10000;
    http->idle_ms = 1000.0 * (opt->idle_s ? opt->idle_s : 120);
    http->request_ms = 1000.0 * (opt->request_s ? opt->request_s : 120);
}

/* How little is lost when it is closed; 0: somebody's answer. */
static int rank(const struct fg_conn *c)
{
    if (c->phase == FG_CONN_REFUSED || c->held)
        return 3;
    if (c->phase != FG_CONN_HEAD || c->refused)
        return 0;
    return c->known ? 1 : 2;
}

struct search {
    const struct fg_door *door; /* only of this one; NULL: of any */
    const uint8_t *peer;        /* only of this one; or NULL */
    const struct fg_conn *but;
};

/* Who makes room, or NULL. */
static struct fg_conn *find_displaced(const struct fg_http *http, const struct search *s)
{
    struct fg_conn *c, *best = NULL;

    LIST_FOREACH(c, &http->conns, link)
    {
        if (c == s->but || !rank(c) || (s->door && c->door != s->door) ||
            (s->peer && memcmp(c->peer, s->peer, sizeof c->peer) != 0))
            continue;
        if (!best || rank(c) > rank(best) || (rank(c) == rank(best) && c->since < best->since))
            best = c;
    }
    return best;
}

/* Whether `extra` more find room; else *s is among whom to look for who makes it. */
static bool has_room(const struct fg_door *door, uint32_t extra, struct search *s)
{
    const struct fg_http *http = door->http;

    *s = (struct search){.door = door->n + extra > door->most ? door : NULL};
    return !s->door && http->n_conns + extra <= http->max_connections;
}

void fg_limits_update(struct fg_http *http)
{
    for (int i = 0; i < FG_DOORS; i++) {
        struct fg_door *door = &http->doors[i];
        struct search s;
        bool open;

        if (!door->listener || http->closing)
            continue;
        open = has_room(door, 1, &s) ||
               (STAILQ_EMPTY(&http->fresh) && find_displaced(http, &s) != NULL);
        if (open && !door->rests_until)
            evconnlistener_enable(door->listener);
        else
            evconnlistener_disable(door->listener);
    }
}

static void read_peer(struct fg_conn *c)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;

    if (!c->door->tcp || getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&sa, &n) < 0)
        return;
    if (sa.ss_family == AF_INET)
        memcpy(c->peer, &((struct sockaddr_in *)&sa)->sin_addr, 4);
    else if (sa.ss_family == AF_INET6) /* whoever has one of these has its network */
        memcpy(c->peer, &((struct sockaddr_in6 *)&sa)->sin6_addr, 8);
    c->ipv6 = sa.ss_family == AF_INET6;
}

static uint32_t count_peer(const struct fg_conn *of)
{
    const struct fg_conn *c;
    uint32_t n = 0;

    LIST_FOREACH(c, &of->http->conns, link)
    n += c->door == of->door && memcmp(c->peer, of->peer, sizeof c->peer) == 0;
    return n;
}

void fg_limits_admit(struct fg_conn *c)
{
    struct fg_conn *displaced;
    struct fg_http_error e;
    struct search s;

    c->since = fg_clock_ms();
    read_peer(c);
    if (c->door->tcp && count_peer(c) > c->http->per_peer)
        s = (struct search){.door = c->door, .peer = c->peer};
    else if (has_room(c->door, 0, &s))
        return;
    s.but = c;
    displaced = find_displaced(c->http, &s);
    if (displaced) {
        fg_conn_close(displaced);
        return;
    }
    fg_http_fail(&e, 429, NULL, "too_many_connections",
                 "there are too many connections from this address");
    fg_gate_refuse(c, &e);
}

uint32_t fg_limits_under_way(const struct fg_conn *of)
{
    const struct fg_conn *c;
    uint32_t n = 0;

    LIST_FOREACH(c, &of->http->conns, link)
    n += c != of && (c->phase == FG_CONN_BODY || c->phase == FG_CONN_WHOLE) &&
         memcmp(c->tenant, of->tenant, sizeof c->tenant) == 0;
    return n;
}

/* --- accepting fails: there is no file left --- */

struct door_search {
    const struct evconnlistener *listener;
    struct fg_door *found;
};

/* libevent says which listener it was, and evhttp has taken the place for more. */
static int find_door(const struct event_base *base, const struct event *ev, void *arg)
{
    struct door_search *s = arg;
    struct fg_http *http;

    (void)base;
    if (event_get_callback(ev) != fg_limits_tick)
        return 0;
    http = event_get_callback_arg(ev);
    for (int i = 0; i < FG_DOORS; i++)
        if (http->doors[i].listener == s->listener)
            s->found = &http->doors[i];
    return s->found != NULL;
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct door_search s = {.listener = listener};
    int error = errno;

    (void)arg;
    event_base_foreach_event(evconnlistener_get_base(listener), find_door, &s);
    if (!s.found) {
        evconnlistener_disable(listener);
        return;
    }
    fg_log(FG_LOG_WARN, "api", "cause=\"no connection can be accepted\" error=\"%s\" tcp=%d",
           strerror(error), s.found->tcp);
    s.found->rests_until = fg_clock_ms() + REST_MS;
    fg_limits_update(s.found->http);
}

void fg_limits_watch(struct fg_door *door)
{
    evconnlistener_set_error_cb(door->listener, on_accept_error);
}

/* --- how long --- */

void fg_limits_moved(struct fg_conn *c)
{
    c->moved = fg_clock_ms();
}

static bool body_stalls(struct fg_conn *c, double now)
{
    bool stalls;

    if (now - c->window < c->http->stall_ms)
        return false;
    stalls = (double)c->arrived < SLOWEST * c->http->stall_ms;
    c->window = now;
    c->arrived = 0;
    return stalls;
}

/* The socket takes more only when a good part of its buffer is free: what a slow reader takes
 * meanwhile shows in the kernel's count. */
static bool is_unread(struct fg_conn *c, double now)
{
    int queued = 0;

    if (!fg_conn_unsent(c))
        return false;
    if (ioctl(bufferevent_getfd(c->bev), SIOCOUTQ, &queued) == 0 && queued < c->queued)
        c->moved = now;
    c->queued = queued;
    return now - c->moved > c->http->idle_ms;
}

double fg_limits_wrong_key(struct fg_conn *c)
{
    c->http->wrong_keys++;
    c->http->wrong_ipv6 = c->ipv6;
    memcpy(c->http->wrong_peer, c->peer, sizeof c->peer);
    return fg_wrong_keys_note(c->http->guessers, c->peer, fg_clock_ms());
}

static void tell_wrong_keys(struct fg_http *http, double now)
{
    char peer[INET6_ADDRSTRLEN] = "";

    if (!http->wrong_keys || now - http->wrong_told < TELL_MS)
        return;
    inet_ntop(http->wrong_ipv6 ? AF_INET6 : AF_INET, http->wrong_peer, peer, sizeof peer);
    fg_log_audit("api", "event=key_refused cause=\"wrong keys\" requests=%u last_peer=%s",
                 http->wrong_keys, peer);
    http->wrong_keys = 0;
    http->wrong_told = now;
}

/* Why it is past its time, or NULL. */
static const char *find_expired(struct fg_conn *c, double now)
{
    const struct fg_http *http = c->http;
    double age = now - c->since;

    switch (c->phase) {
    case FG_CONN_HEAD:
        if (evbuffer_get_length(bufferevent_get_input(c->bev)))
            return age > fmin(http->head_ms, http->request_ms) ? "a head does not end" : NULL;
        return age > (c->served ? http->idle_ms : fmin(http->head_ms, http->idle_ms))
                   ? "nothing is asked"
                   : NULL;
    case FG_CONN_BODY:
        if (body_stalls(c, now))
            return "a body stalls";
        return age > http->request_ms ? "a request does not end" : NULL;
    case FG_CONN_WHOLE: return is_unread(c, now) ? "the client does not read" : NULL;
    case FG_CONN_REFUSED: return age > LINGER_MS ? "it was refused" : NULL;
    }
    return NULL;
}

static double tick_ms(const struct fg_http *http)
{
    double ms = fmin(fmin(http->head_ms, http->stall_ms), fmin(http->idle_ms, http->request_ms));

    ms /= 4;
    return ms < 10 ? 10 : fmin(ms, REST_MS);
}

void fg_limits_tick(int fd, short what, void *arg)
{
    struct fg_http *http = arg;
    const struct timeval tv = {.tv_usec = (suseconds_t)(tick_ms(http) * 1000)};
    double now = fg_clock_ms();
    struct fg_conn *c, *next;

    (void)fd;
    (void)what;
    for (c = LIST_FIRST(&http->conns); c; c = next) {
        const char *why = find_expired(c, now);

        next = LIST_NEXT(c, link);
        if (why) {
            fg_log(FG_LOG_DEBUG, "api", "closed cause=\"%s\" tcp=%d", why, c->door->tcp);
            fg_conn_close(c);
        }
    }
    for (int i = 0; i < FG_DOORS; i++)
        if (http->doors[i].rests_until <= now)
            http->doors[i].rests_until = 0;
    tell_wrong_keys(http, now);
    fg_limits_update(http);
    event_add(http->tick, &tv);
}
