/* The API's server with a backend that answers by itself: bytes on a connection, cut into a few
 * sends, until the server closes it. Whatever came, it answers HTTP or nothing, and serves the next
 * one. */
#include "fuzz.h"

#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/server.h"
#include "base/log.h"
#include "fake_backend.h"
#include "tests/dir.h"

static char *dir;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void *serve(void *base)
{
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void clean(void)
{
    dir_remove(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct fake_options automatic = {.automatic = true};
    static struct fg_backend table;
    static struct fg_api *api; /* reachable: not a leak */
    struct fg_api_options opt = {.backend = &table, .version = "1", .max_body = 1 << 20};
    struct fg_err err = {0};
    pthread_t thread;

    (void)argc;
    (void)argv;
    fg_log_set_level(FG_LOG_ERROR);
    dir = dir_make();
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", dir);
    atexit(clean);
    fake_backend_table(fake_backend_create(&automatic), &table);
    opt.base = event_base_new();
    opt.socket_path = address.sun_path;
    HOLDS(opt.base && fg_api_create(&opt, &api, &err) == 0);
    HOLDS(pthread_create(&thread, NULL, serve, opt.base) == 0);
    return 0;
}

static int connected(void)
{
    const struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    HOLDS(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    HOLDS(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    bool leave = take(&in, 1) & 1;
    size_t step = (size_t)take(&in, 1) * 8 + 1, got = 0, m;
    char answer[4096];
    int fd = connected();
    ssize_t r;

    while (in.n) {
        const uint8_t *p = take_bytes(&in, in.n > 4 * step ? in.n : step, &m);

        if (send(fd, p, m, MSG_NOSIGNAL) < 0)
            break;
    }
    if (!leave) {
        shutdown(fd, SHUT_WR);
        while ((r = recv(fd, answer + got, sizeof answer - got, 0)) > 0)
            got = got + (size_t)r < 8 ? got + (size_t)r : 8; /* its first bytes stay */
        HOLDS(r == 0 || got == 0 || r < 0);
        HOLDS(got < 8 || memcmp(answer, "HTTP/1.", 7) == 0);
    }
    close(fd);
    return 0;
}
