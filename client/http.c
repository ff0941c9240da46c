#include "http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "json.h"

/* An exchange under way. */
struct transfer {
    struct fg_client *client;
    struct fg_client_exchange *x;
    struct fg_err *err;
    double started, last_byte; /* fg_clock_ms() */
    int rc;                    /* why on_body stopped the transfer, or 0 */
};

static int check_stream_type(struct transfer *t)
{
    const char *type = NULL;
    const char *wanted = t->x->type ? t->x->type : "text/event-stream";

    curl_easy_getinfo(t->client->easy, CURLINFO_CONTENT_TYPE, &type);
    if (type && strncasecmp(type, wanted, strlen(wanted)) == 0) {
        return 0;
    }
    return fg_fail(t->err, FG_EFORMAT, "%s answered with %s, should be %s", t->client->address,
                   type ? type : "no content type", t->x->type ? t->x->type : "an event stream");
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct transfer *t = user;
    long status = 0;

    n *= size; /* size is 1, says libcurl */
    t->last_byte = fg_clock_ms();
    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && t->x->sink) {
        t->rc = check_stream_type(t);
        if (t->rc == 0) {
            t->rc = t->x->sink(t->x->ctx, data, n);
        }
        t->last_byte = fg_clock_ms();
    } else {
        t->rc = fg_buffer_add_within(&t->x->answer, data, n, FG_CLIENT_ANSWER_MAX);
        if (t->rc < 0) {
            fg_fail(t->err, t->rc, "the answer of %s to %s: %s", t->client->address, t->x->path,
                    t->rc == FG_EFULL ? "over 256 MiB" : "out of memory");
        }
    }
    if (t->rc != 0) {
        return n == 0 ? 1 : 0; /* any other count than n stops libcurl */
    }
    return n;
}

/* Connections are kept, so this is the one that is used. */
static curl_socket_t open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct fg_client *c = client;

    (void)purpose;
    c->fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    return c->fd;
}

/* In a place where anybody may make files, who listens must be who asks, or root, before a prompt
 * is sent. */
static int check_server(void *transfer, char *a, char *b, int c, int d)
{
    struct transfer *t = transfer;
    struct ucred peer;
    socklen_t n = sizeof peer;

    (void)a, (void)b, (void)c, (void)d;
    if (getsockopt(t->client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
        (peer.uid == geteuid() || peer.uid == 0)) {
        return CURL_PREREQFUNC_OK;
    }
    t->rc = fg_fail(t->err, FG_EACCESS,
                    "%s: user %ld listens there, in a place that is open to all; nothing was sent",
                    t->client->address, (long)peer.uid);
    return CURL_PREREQFUNC_ABORT;
}

bool fg_client_socket_is_shared(const char *path)
{
    char *dir = strdup(path), *slash;
    bool shared = !dir; /* not known */
    struct stat st;

    for (int i = 0; i < 2 && !shared && (slash = strrchr(dir, '/')); i++) {
        *slash = '\0';
        shared = stat(*dir ? dir : "/", &st) == 0 && (st.st_mode & S_IWOTH);
    }
    free(dir);
    return shared;
}

static int set_options(struct transfer *t, char *url)
{
    CURL *e = t->client->easy;
    int64_t connect_ms = t->client->connect_timeout_ms;
    CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc == CURLE_OK ? curl_easy_setopt(e, option, value) : rc
    curl_easy_reset(e);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "libfulgur/" FG_VERSION);
    SET(CURLOPT_HTTPHEADER, t->client->headers);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    /* 0 would be libcurl's own default of five minutes, not "none". */
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        connect_ms < 0 || connect_ms > INT32_MAX ? (long)INT32_MAX : (long)connect_ms);
    if (t->client->socket) {
        SET(CURLOPT_UNIX_SOCKET_PATH, t->client->socket);
    }
    if (t->client->socket && t->client->shared) {
        SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
        SET(CURLOPT_OPENSOCKETDATA, t->client);
        SET(CURLOPT_PREREQFUNCTION, check_server);
        SET(CURLOPT_PREREQDATA, t);
    }
    if (t->x->body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->x->body_bytes);
        SET(CURLOPT_POSTFIELDS, t->x->body);
    }
#undef SET
    return rc == CURLE_OK ? 0 : fg_fail(t->err, FG_ENOMEM, "libcurl: %s", curl_easy_strerror(rc));
}

static int transport_error(struct transfer *t, CURLcode code)
{
    const char *address = t->client->address;
    long os = 0;

    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        curl_easy_getinfo(t->client->easy, CURLINFO_OS_ERRNO, &os);
        if (os == EACCES || os == EPERM) {
            return fg_fail(t->err, FG_EACCESS, "no permission to connect to %s", address);
        }
        return fg_fail(t->err, FG_ENOTFOUND, "no daemon at %s; start it with: fulgurd --model FILE",
                       address);
    case CURLE_OPERATION_TIMEDOUT:
        return fg_fail(t->err, FG_EIO, "%s did not accept the connection within %lld ms", address,
                       (long long)t->client->connect_timeout_ms);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return fg_fail(t->err, FG_EIO, "%s closed the connection before its answer ended", address);
    case CURLE_OUT_OF_MEMORY: return fg_fail(t->err, FG_ENOMEM, "libcurl: out of memory");
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fg_fail(t->err, FG_EFORMAT, "what listens at %s does not speak HTTP/1.1", address);
    default: return fg_fail(t->err, FG_EIO, "%s: %s", address, curl_easy_strerror(code));
    }
}

/* How long the loop may sleep, in milliseconds; an error once a limit is over. */
static int time_left(struct transfer *t)
{
    bool stream = t->x->sink != NULL;
    int64_t limit = stream ? t->client->idle_timeout_ms : t->client->call_timeout_ms;

    if (limit < 0) {
        return 60000;
    }
    double left = (double)limit - (fg_clock_ms() - (stream ? t->last_byte : t->started));
    if (left <= 0) {
        return fg_fail(t->err, FG_EIO,
                       stream ? "%s sent nothing for %lld ms" : "%s did not answer within %lld ms",
                       t->client->address, (long long)limit);
    }
    return left > 60000 ? 60000 : (int)left + 1;
}

static int drive(struct transfer *t)
{
    CURLM *multi = t->client->multi;
    int running = 1, queued, sleep_ms;

    for (;;) {
        if (atomic_load(&t->client->canceled)) {
            return fg_fail(t->err, FG_ECANCELED, "canceled");
        }
        CURLMcode mc = curl_multi_perform(multi, &running);
        if (mc != CURLM_OK) {
            return fg_fail(t->err, FG_EIO, "libcurl: %s", curl_multi_strerror(mc));
        }
        if (!running) {
            break;
        }
        sleep_ms = time_left(t);
        if (sleep_ms < 0) {
            return sleep_ms;
        }
        mc = curl_multi_poll(multi, NULL, 0, sleep_ms, NULL);
        if (mc != CURLM_OK) {
            return fg_fail(t->err, FG_EIO, "libcurl: %s", curl_multi_strerror(mc));
        }
    }
    if (t->rc != 0) {
        return t->rc;
    }
    const CURLMsg *msg = curl_multi_info_read(multi, &queued);
    if (!msg || msg->msg != CURLMSG_DONE) {
        return fg_fail(t->err, FG_EIO, "libcurl lost the transfer");
    }
    if (msg->data.result != CURLE_OK) {
        return transport_error(t, msg->data.result);
    }
    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &t->x->status);
    return 0;
}

int fg_client_exchange_run(struct fg_client *client, struct fg_client_exchange *x,
                           struct fg_err *err)
{
    struct transfer t = {.client = client, .x = x, .err = err};
    size_t n = strlen(client->base) + strlen(x->path) + 1;
    char *url = malloc(n);

    if (!url) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    snprintf(url, n, "%s%s", client->base, x->path);
    t.started = t.last_byte = fg_clock_ms();
    int rc = set_options(&t, url);
    free(url);
    if (rc < 0) {
        return rc;
    }
    if (curl_multi_add_handle(client->multi, client->easy) != CURLM_OK) {
        return fg_fail(err, FG_EINVAL, "the handle is busy with another call");
    }
    rc = drive(&t);
    /* Where the answer is not complete this closes the connection, which is how the daemon learns
     * that nobody listens any more. */
    curl_multi_remove_handle(client->multi, client->easy);
    return rc;
}

int fg_client_call(struct fg_client *client, const char *path, char *body, json_t **root,
                   struct fg_err *err)
{
    struct fg_client_exchange x = {
        .path = path, .body = body, .body_bytes = body ? strlen(body) : 0};
    int rc = fg_client_exchange_run(client, &x, err);

    *root = NULL;
    if (rc == 0 && x.status != 200) {
        rc = fg_client_refusal(client, x.status, x.answer.p, x.answer.n, err);
    }
    if (rc == 0) {
        rc = fg_client_json_parse(x.answer.p ? x.answer.p : "", x.answer.n, path, root, err);
    }
    free(x.answer.p);
    free(body);
    return rc;
}
