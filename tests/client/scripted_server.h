/* A small HTTP server for the client's tests: a thread that answers each request with the next of a
 * list of scripts, and keeps the last request. One connection a request, closed without notice. */
#ifndef FG_TEST_SCRIPTED_SERVER_H
#define FG_TEST_SCRIPTED_SERVER_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/dir.h"

enum script_mode {
    SCRIPT_WHOLE, /* Content-Length, all at once */
    SCRIPT_BYTES, /* chunked, every byte a chunk of its own */
    SCRIPT_CUT,   /* chunked, and the connection closed before the last chunk */
    SCRIPT_HOLD,  /* chunked, then nothing until the client closes */
    SCRIPT_RAW,   /* the body is all that is sent */
};

struct script {
    const char *status; /* "200 OK" */
    const char *type;
    const char *body;
    enum script_mode mode;
};

struct scripted_server {
    char *dir, path[108];
    int listener, stop[2];
    pthread_t thread;
    const struct script *scripts;
    size_t n_scripts;
    /* To be read after scripted_server_stop(). */
    char *head, *body; /* of the last request */
    size_t n_requests;
    bool saw_close; /* the client closed while a SCRIPT_HOLD held */
};

static inline void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) {
            return;
        }
        p += k;
        n -= (size_t)k;
    }
}

static inline void send_text(int fd, const char *s)
{
    send_all(fd, s, strlen(s));
}

/* Waits for fd or for the server's end; true when fd has something, its end included. */
static inline bool wait_for(struct scripted_server *s, int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
    while (poll(p, 2, -1) < 0) {
    }
    return p[0].revents != 0;
}

static inline void send_script(struct scripted_server *s, int fd, const struct script *script)
{
    char line[256], byte;
    size_t n = strlen(script->body);

    if (script->mode == SCRIPT_RAW) {
        send_all(fd, script->body, n);
        return;
    }
    snprintf(line, sizeof line, "HTTP/1.1 %s\r\nContent-Type: %s\r\n", script->status,
             script->type);
    send_text(fd, line);
    if (script->mode == SCRIPT_WHOLE) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", n);
        send_text(fd, line);
        send_all(fd, script->body, n);
        return;
    }
    send_text(fd, "Transfer-Encoding: chunked\r\n\r\n");
    size_t step = script->mode == SCRIPT_BYTES ? 1 : n;
    for (size_t i = 0; i < n; i += step) {
        snprintf(line, sizeof line, "%zx\r\n", step);
        send_text(fd, line);
        send_all(fd, script->body + i, step);
        send_text(fd, "\r\n");
    }
    if (script->mode == SCRIPT_BYTES) {
        send_text(fd, "0\r\n\r\n");
    } else if (script->mode == SCRIPT_HOLD && wait_for(s, fd)) {
        s->saw_close = recv(fd, &byte, 1, 0) <= 0;
    }
}

/* Reads one request into s->head and s->body; false at the connection's end. */
static inline bool read_request(struct scripted_server *s, int fd)
{
    size_t n = 0, room = 1 << 20, body = 0;
    char *p = calloc(1, room + 1), *end = NULL;

    while (n < room && wait_for(s, fd)) {
        ssize_t k = recv(fd, p + n, room - n, 0);
        if (k <= 0) {
            break;
        }
        n += (size_t)k;
        end = strstr(p, "\r\n\r\n");
        if (!end) {
            continue;
        }
        const char *length = strstr(p, "Content-Length: ");
        body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
        if (n - (size_t)(end + 4 - p) >= body) {
            break;
        }
    }
    if (!end) {
        free(p);
        return false;
    }
    free(s->head);
    free(s->body);
    s->body = strdup(end + 4);
    *end = '\0';
    s->head = p;
    return true;
}

static inline void *serve(void *arg)
{
    struct scripted_server *s = arg;

    while (wait_for(s, s->listener)) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        if (read_request(s, fd)) {
            size_t i = s->n_requests < s->n_scripts ? s->n_requests : s->n_scripts - 1;
            s->n_requests++;
            send_script(s, fd, &s->scripts[i]);
        }
        close(fd);
    }
    return NULL;
}

/* Listens in a directory of its own. `scripts` answer the requests in order; the last one answers
 * all that follow. Ends the test program when it cannot. */
static inline void scripted_server_start(struct scripted_server *s, const struct script *scripts,
                                         size_t n_scripts)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(s, 0, sizeof *s);
    s->scripts = scripts;
    s->n_scripts = n_scripts;
    s->dir = dir_make();
    s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (s->listener < 0 || pipe(s->stop) != 0) {
        perror("scripted server");
        exit(1);
    }
    snprintf(s->path, sizeof s->path, "%s/s", s->dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    if (bind(s->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s->listener, 8) != 0 || pthread_create(&s->thread, NULL, serve, s) != 0) {
        perror("scripted server");
        exit(1);
    }
}

static inline void scripted_server_stop(struct scripted_server *s)
{
    if (write(s->stop[1], "x", 1) != 1) {
        perror("scripted server");
        exit(1);
    }
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
    dir_remove(s->dir);
}

/* After stop: frees the request that was kept. */
static inline void scripted_server_finish(struct scripted_server *s)
{
    free(s->head);
    free(s->body);
}

#endif
