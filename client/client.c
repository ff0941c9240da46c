#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

static const char tcp_schemes[2][9] = {"http://", "https://"};

/* libcurl's own state is one a process; it counts its users, but only newer builds lock it. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int check_url(const char *url, struct fg_err *err)
{
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(tcp_schemes[i]);
        if (strncmp(url, tcp_schemes[i], n) != 0) {
            continue;
        }
        size_t host = strcspn(url + n, "/?#@ \t\r\n");
        const char *rest = url + n + host;
        if (host > 0 && (*rest == '\0' || strcmp(rest, "/") == 0)) {
            return 0;
        }
        break;
    }
    return fg_fail(err, FG_EINVAL, "base URL '%s': should be like http://127.0.0.1:8080", url);
}

static int check_key(const char *key, struct fg_err *err)
{
    for (const char *p = key; *p; p++) {
        if (*p <= ' ' || *p > '~') {
            return fg_fail(err, FG_EINVAL,
                           "the API key has a byte that is not printable ASCII at offset %zu",
                           (size_t)(p - key));
        }
    }
    return 0;
}

static int set_socket(struct fg_client *c, const char *path, struct fg_err *err)
{
    char fallback[FG_SOCKET_PATH_MAX];

    if (!path) {
        int rc = fg_default_socket_path(fallback, sizeof fallback);
        if (rc == FG_EACCESS) {
            return fg_fail(err, rc, "%s: its directory is not yours alone (should be mode 0700)",
                           fallback);
        }
        if (rc < 0) {
            return fg_fail(err, rc,
                           "the default socket's path is over %d bytes: set $FULGUR_SOCKET",
                           FG_SOCKET_PATH_MAX - 1);
        }
        path = fallback;
    }
    if (*path == '\0' || strlen(path) >= FG_SOCKET_PATH_MAX) {
        return fg_fail(err, FG_EINVAL, "socket path '%s': should have 1 to %d bytes", path,
                       FG_SOCKET_PATH_MAX - 1);
    }
    c->shared = fg_client_socket_is_shared(path);
    c->socket = strdup(path);
    c->address = strdup(path);
    c->base = strdup("http://localhost");
    return c->socket && c->address && c->base ? 0 : fg_fail(err, FG_ENOMEM, "out of memory");
}

static int set_url(struct fg_client *c, const char *url, struct fg_err *err)
{
    int rc = check_url(url, err);
    if (rc < 0) {
        return rc;
    }
    c->base = strdup(url);
    c->address = strdup(url);
    if (!c->base || !c->address) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    size_t n = strlen(c->base);
    if (c->base[n - 1] == '/') {
        c->base[n - 1] = '\0';
    }
    return 0;
}

static int add_header(struct fg_client *c, const char *line)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);
    if (!list) {
        return FG_ENOMEM;
    }
    c->headers = list;
    return 0;
}

static int set_headers(struct fg_client *c, const char *key, struct fg_err *err)
{
    /* Without the empty Expect, curl waits a second before it sends a large body. */
    int rc = add_header(c, "Content-Type: application/json");
    rc = rc < 0 ? rc : add_header(c, "Expect:");
    if (rc == 0 && key) {
        static const char prefix[] = "Authorization: Bearer ";
        rc = check_key(key, err);
        if (rc < 0) {
            return rc;
        }
        size_t n = sizeof prefix + strlen(key);
        char *line = malloc(n);
        if (line) {
            snprintf(line, n, "%s%s", prefix, key);
        }
        rc = line ? add_header(c, line) : FG_ENOMEM;
        free(line);
    }
    return rc < 0 ? fg_fail(err, rc, "out of memory") : 0;
}

static int64_t timeout_or(int64_t given, int64_t fallback)
{
    return given == 0 ? fallback : given;
}

static int fill(struct fg_client *c, const struct fg_client_options *opt, struct fg_err *err)
{
    atomic_init(&c->canceled, false);
    c->connect_timeout_ms = timeout_or(opt->connect_timeout_ms, 5000);
    c->call_timeout_ms = timeout_or(opt->call_timeout_ms, 60000);
    c->idle_timeout_ms = timeout_or(opt->idle_timeout_ms, -1);

    if (opt->socket_path && opt->base_url) {
        return fg_fail(err, FG_EINVAL, "both a socket path ('%s') and a base URL ('%s'): give one",
                       opt->socket_path, opt->base_url);
    }
    int rc = opt->base_url ? set_url(c, opt->base_url, err) : set_socket(c, opt->socket_path, err);
    if (rc == 0) {
        rc = set_headers(c, opt->api_key, err);
    }
    if (rc < 0) {
        return rc;
    }
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    return c->multi && c->easy ? 0 : fg_fail(err, FG_ENOMEM, "libcurl did not initialize");
}

int fg_client_create(const struct fg_client_options *opt, struct fg_client **out,
                     struct fg_err *err)
{
    static const struct fg_client_options none;

    *out = NULL;
    pthread_once(&curl_once, init_curl);
    struct fg_client *c = calloc(1, sizeof *c);
    if (!c) {
        return fg_fail(err, FG_ENOMEM, "out of memory");
    }
    int rc = fill(c, opt ? opt : &none, err);
    if (rc < 0) {
        fg_client_destroy(c);
        return rc;
    }
    *out = c;
    return 0;
}

void fg_client_destroy(struct fg_client *client)
{
    if (!client) {
        return;
    }
    if (client->easy) {
        curl_easy_cleanup(client->easy);
    }
    if (client->multi) {
        curl_multi_cleanup(client->multi);
    }
    curl_slist_free_all(client->headers);
    free(client->address);
    free(client->base);
    free(client->socket);
    free(client);
}

const char *fg_client_address(const struct fg_client *client)
{
    return client->address;
}

void fg_client_cancel(struct fg_client *client)
{
    atomic_store(&client->canceled, true);
    curl_multi_wakeup(client->multi);
}

void fg_client_reset(struct fg_client *client)
{
    atomic_store(&client->canceled, false);
}
