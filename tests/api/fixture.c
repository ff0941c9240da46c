#include "fixture.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/dir.h"

static void on_drained(void *ctx)
{
    sem_post(&((struct fixture *)ctx)->drained);
}

static void on_command(evutil_socket_t fd, short what, void *arg)
{
    struct fixture *f = arg;
    char c;

    (void)what;
    if (read(fd, &c, 1) == 1 && c == 'd')
        fg_api_drain(f->api, on_drained, f);
    else
        event_base_loopbreak(f->base);
}

static void *serve(void *arg)
{
    struct fixture *f = arg;

    event_base_loop(f->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

void fixture_start(struct fixture *f, const struct fake_options *fake,
                   const struct fg_api_options *api)
{
    struct fg_api_options opt = api ? *api : (struct fg_api_options){0};
    const struct fake_options none = {0};
    struct fg_err err = {0};

    fg_log_set_level(FG_LOG_ERROR);
    memset(f, 0, sizeof *f);
    f->dir = dir_make();
    snprintf(f->path, sizeof f->path, "%s/run/fulgur.sock", f->dir);
    f->backend = fake_backend_create(fake ? fake : &none);
    f->base = event_base_new();
    assert_non_null(f->base);
    opt.base = f->base;
    fake_backend_table(f->backend, &f->table);
    opt.backend = &f->table;
    opt.socket_path = f->path;
    opt.version = "1.2.3";
    if (fg_api_create(&opt, &f->api, &err))
        fail_msg("%s", err.text);
    f->port = fg_api_tcp_port(f->api);
    assert_int_equal(sem_init(&f->drained, 0, 0), 0);
    assert_int_equal(pipe(f->command_fd), 0);
    f->command = event_new(f->base, f->command_fd[0], EV_READ | EV_PERSIST, on_command, f);
    assert_int_equal(event_add(f->command, NULL), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

void fixture_drain(struct fixture *f)
{
    assert_int_equal(write(f->command_fd[1], "d", 1), 1);
}

void fixture_stop(struct fixture *f)
{
    char path[128];

    assert_int_equal(write(f->command_fd[1], "q", 1), 1);
    pthread_join(f->thread, NULL);
    fg_api_destroy(f->api);
    event_free(f->command);
    event_base_free(f->base);
    fake_backend_destroy(f->backend);
    close(f->command_fd[0]);
    close(f->command_fd[1]);
    sem_destroy(&f->drained);
    assert_int_not_equal(access(f->path, F_OK), 0);
    snprintf(path, sizeof path, "%s.lock", f->path);
    unlink(path);
    snprintf(path, sizeof path, "%s/run", f->dir);
    rmdir(path);
    assert_int_equal(rmdir(f->dir), 0);
    free(f->dir);
}

/* receive: bytes that its end of the socket holds at most; 0: as the kernel has it. */
static void connect_to(struct client *c, const struct sockaddr *sa, socklen_t n, int receive)
{
    /* Only so that a failing test ends: nothing depends on how long it is. */
    const struct timeval patience = {.tv_sec = 60};

    memset(c, 0, sizeof *c);
    c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (receive) /* before the other end is told how much there is room for */
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
    assert_int_equal(connect(c->fd, sa, n), 0);
}

void client_unix(struct client *c, const struct fixture *f)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", f->path);
    connect_to(c, (struct sockaddr *)&sa, sizeof sa, 0);
}

void client_tcp(struct client *c, const struct fixture *f)
{
    client_tcp_small(c, f, 0);
}

void client_tcp_small(struct client *c, const struct fixture *f, int receive)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(f->port)};

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect_to(c, (struct sockaddr *)&sa, sizeof sa, receive);
}

void client_close(struct client *c)
{
    close(c->fd);
    free(c->buf);
}

bool client_send(struct client *c, const void *bytes, size_t n)
{
    size_t at = 0;

    while (at < n) {
        ssize_t r = send(c->fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);

        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return true;
}

void client_get(struct client *c, const char *path)
{
    char head[256];
    int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

    assert_true(client_send(c, head, (size_t)n));
}

static void send_body(struct client *c, const char *method, const char *path, const char *body)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     method, path, strlen(body));

    assert_true(client_send(c, head, (size_t)n));
    assert_true(client_send(c, body, strlen(body)));
}

void client_post(struct client *c, const char *path, const char *body)
{
    send_body(c, "POST", path, body);
}

/* False at the end of the stream. */
static bool more(struct client *c)
{
    ssize_t r;

    if (c->room - c->n < 65536) {
        c->room = c->room * 2 + 131072;
        c->buf = realloc(c->buf, c->room);
        assert_non_null(c->buf);
    }
    r = recv(c->fd, c->buf + c->n, c->room - c->n, 0);
    if (r <= 0)
        return false;
    c->n += (size_t)r;
    return true;
}

static char *take(struct client *c, size_t n)
{
    char *out = malloc(n + 1);

    while (c->n < n)
        assert_true(more(c));
    if (n)
        memcpy(out, c->buf, n);
    out[n] = '\0';
    c->n -= n;
    memmove(c->buf, c->buf + n, c->n);
    return out;
}

/* Bytes up to and with `mark`. */
static size_t find(struct client *c, const char *mark)
{
    const char *p;

    while (!c->n || !(p = memmem(c->buf, c->n, mark, strlen(mark))))
        assert_true(more(c));
    return (size_t)(p - c->buf) + strlen(mark);
}

const char *reply_header(const struct reply *r, const char *name, char out[128])
{
    const char *line = strstr(r->head, "\r\n");

    out[0] = '\0';
    for (; line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, strlen(name)) == 0 && line[2 + strlen(name)] == ':') {
            const char *v = line + 3 + strlen(name);

            v += strspn(v, " ");
            snprintf(out, 128, "%.*s", (int)strcspn(v, "\r"), v);
            break;
        }
    return out;
}

void client_read_line(struct client *c, char line[128])
{
    char *bytes = take(c, find(c, "\r\n"));

    snprintf(line, 128, "%s", bytes);
    free(bytes);
}

void client_read_head(struct client *c, struct reply *r)
{
    memset(r, 0, sizeof *r);
    r->head = take(c, find(c, "\r\n\r\n"));
    assert_int_equal(sscanf(r->head, "HTTP/1.%*d %d", &r->status), 1);
    if (r->status == 100) {
        free(r->head);
        client_read_head(c, r);
    }
}

char *client_chunk(struct client *c)
{
    char *line = take(c, find(c, "\r\n"));
    size_t n = strtoul(line, NULL, 16);
    char *data;

    free(line);
    data = take(c, n + 2);
    assert_memory_equal(data + n, "\r\n", 2);
    data[n] = '\0';
    if (n)
        return data;
    free(data);
    return NULL;
}

json_t *client_event(struct client *c)
{
    char *data = client_chunk(c);
    json_t *v;

    while (data && data[0] == ':') { /* it waited for a while */
        free(data);
        data = client_chunk(c);
    }
    assert_non_null(data);
    assert_memory_equal(data, "data: ", 6);
    assert_string_equal(data + strlen(data) - 2, "\n\n");
    if (strcmp(data, "data: [DONE]\n\n") == 0) {
        free(data);
        assert_null(client_chunk(c));
        return NULL;
    }
    v = json_loads(data + 6, 0, NULL);
    assert_non_null(v);
    free(data);
    return v;
}

void client_read(struct client *c, struct reply *r, bool head)
{
    char value[128];

    client_read_head(c, r);
    if (head || r->status == 204) {
        r->body = take(c, 0);
    } else if (strcmp(reply_header(r, "Transfer-Encoding", value), "chunked") == 0) {
        char *chunk;

        r->body = calloc(1, 1);
        while ((chunk = client_chunk(c))) {
            size_t n = strlen(chunk);

            r->body = realloc(r->body, r->bytes + n + 1);
            memcpy(r->body + r->bytes, chunk, n + 1);
            r->bytes += n;
            free(chunk);
        }
    } else if (reply_header(r, "Content-Length", value)[0]) {
        r->bytes = strtoul(value, NULL, 10);
        r->body = take(c, r->bytes);
    } else {
        while (more(c))
            ;
        r->bytes = c->n;
        r->body = take(c, c->n);
    }
}

bool client_at_end(struct client *c)
{
    return c->n == 0 && !more(c);
}

void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
}

json_t *reply_json(const struct reply *r)
{
    json_error_t e;
    json_t *v = json_loadb(r->body, r->bytes, JSON_ALLOW_NUL, &e);

    if (!v)
        fail_msg("not JSON (%s): %s", e.text, r->body);
    return v;
}

json_t *ask(const struct fixture *f, const char *method, const char *path, const char *body,
            int status)
{
    struct client c;
    struct reply r;
    json_t *v;

    client_unix(&c, f);
    if (strcmp(method, "GET") == 0)
        client_get(&c, path);
    else
        send_body(&c, method, path, body);
    client_read(&c, &r, false);
    if (r.status != status)
        fail_msg("%s %s: status %d, expected %d: %s\n%s", method, path, r.status, status,
                 body ? body : "", r.body);
    v = reply_json(&r);
    reply_free(&r);
    client_close(&c);
    return v;
}

const char *error_message(const json_t *v)
{
    const char *s = json_string_value(json_object_get(json_object_get(v, "error"), "message"));

    assert_non_null(s);
    return s;
}

const char *error_code(const json_t *v)
{
    return json_string_value(json_object_get(json_object_get(v, "error"), "code"));
}

void client_expect(struct client *c, int status)
{
    struct reply r;

    client_read(c, &r, false);
    assert_int_equal(r.status, status);
    reply_free(&r);
}

struct fg_job *fixture_post(struct fixture *f, struct client *c, const char *path, const char *body)
{
    client_unix(c, f);
    client_post(c, path, body);
    return fake_backend_next(f->backend);
}

json_t *client_answer(struct client *c)
{
    struct reply r;
    json_t *v;

    client_read(c, &r, false);
    assert_int_equal(r.status, 200);
    v = reply_json(&r);
    reply_free(&r);
    client_close(c);
    return v;
}
