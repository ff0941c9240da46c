/* fulgurd: settings, flow, API, and the event loop until a signal ends it. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/server.h"
#include "config.h"
#include "confine.h"
#include "serve/account.h"
#include "serve/backend.h"
#include "serve/flow.h"
#include "fulgur/socket.h"
#include "fulgur/version.h"
#include "base/file.h"
#include "base/log.h"
#include "plan_report.h"
#include "tune_report.h"

enum {
    DRAIN_S = 30, /* how long running jobs may go on after the first signal */
    CANCEL_S = 5, /* how long canceled ones may take to say so to their clients */
};

#define DEFAULT_CACHE_BYTES (UINT64_C(16) << 30)
#define MIN_CACHE_BYTES (UINT64_C(1) << 20)

struct daemon {
    struct fg_config config;
    struct fg_confined confined;
    char socket_path[FG_SOCKET_PATH_MAX];
    struct event_base *base;
    struct event *term, *interrupt, *timer;
    struct fg_flow *flow;
    struct fg_backend backend;
    struct fg_api *api;
    int signals;
    bool canceled;
};

/* Free bytes of the file system that dir is on, or will be; what the store takes already counts as
 * free. 0 when that cannot be found out. */
static uint64_t free_bytes(const char *dir)
{
    char path[4096];
    struct statvfs fs;
    struct stat st;
    uint64_t held = 0;

    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (stat(path, &st) == 0 && st.st_blocks > 0)
        held = (uint64_t)st.st_blocks * 512;
    snprintf(path, sizeof path, "%s", dir);
    while (statvfs(path, &fs) != 0) {
        char *slash = strrchr(path, '/');

        if (errno != ENOENT || !slash)
            return 0;
        slash[slash == path] = '\0';
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize + held;
}

static uint64_t default_cache_bytes(const char *dir)
{
    uint64_t room = free_bytes(dir) / 5 * 4;

    if (room == 0 || room > DEFAULT_CACHE_BYTES)
        return DEFAULT_CACHE_BYTES;
    return room > MIN_CACHE_BYTES ? room : MIN_CACHE_BYTES;
}

/* *dir: where compiled pipelines are kept; NULL where no directory can be made. One that others may
 * write to is an error: the driver believes what it reads there. */
static int find_pipeline_dir(const struct fg_config *c, const char **dir, struct fg_err *err)
{
    *dir = c->pipeline_dir;
    if (c->pipeline_dir && fg_make_dirs(c->pipeline_dir, 0700, NULL) == 0)
        return fg_make_private_dir(c->pipeline_dir, err);
    fg_log(FG_LOG_WARN, "main", "pipelines=not_kept dir=%s", *dir ? *dir : "none");
    *dir = NULL;
    return 0;
}

static int open_flow(struct daemon *d, struct fg_err *err)
{
    const struct fg_config *c = &d->config;
    struct fg_flow_options opt;
    int rc;

    fg_config_flow_options(c, &opt);
    if (c->cache_dir && !opt.cache_bytes)
        opt.cache_bytes = default_cache_bytes(c->cache_dir);
    rc = find_pipeline_dir(c, &opt.pipeline_dir, err);
    return rc ? rc : fg_flow_create(&opt, &d->flow, err);
}

static int find_socket(struct daemon *d, struct fg_err *err)
{
    int rc;

    if (d->config.socket) {
        if (strlen(d->config.socket) >= sizeof d->socket_path)
            return fg_fail(err, FG_EINVAL, "--socket is longer than %zu bytes: %s",
                           sizeof d->socket_path - 1, d->config.socket);
        strcpy(d->socket_path, d->config.socket);
        return 0;
    }
    rc = fg_default_socket_path(d->socket_path, sizeof d->socket_path);
    if (rc)
        return fg_fail(err, rc, "no usable place for the socket (%s%s%s); name one with --socket",
                       fg_strerror(rc), d->socket_path[0] ? ": " : "", d->socket_path);
    return 0;
}

static int open_api(struct daemon *d, struct fg_err *err)
{
    struct fg_api_options opt = {.base = d->base,
                                 .backend = &d->backend,
                                 .socket_path = d->socket_path,
                                 .tcp_addr = d->config.tcp,
                                 .api_keys = (const char *const *)d->config.api_keys,
                                 .n_api_keys = d->config.n_api_keys,
                                 .cors_origins = (const char *const *)d->config.cors.list,
                                 .n_cors_origins = d->config.cors.n,
                                 .aliases = (const char *const *)d->config.aliases.list,
                                 .n_aliases = d->config.aliases.n,
                                 .any_model = d->config.any_model,
                                 .keep_billing = d->config.keep_billing,
                                 .tenant = d->config.tenant,
                                 .tcp_operations = d->config.tcp_operations,
                                 .version = FG_VERSION,
                                 .sandbox = d->confined.words,
                                 .max_body = (size_t)d->config.max_body,
                                 .max_bodies = (size_t)d->config.max_bodies};

    fg_backend_local(d->flow, &d->backend);
    return fg_api_create(&opt, &d->api, err);
}

/* --- the end --- */

static void on_drained(void *ctx)
{
    struct daemon *d = ctx;

    event_base_loopbreak(d->base);
}

static void cancel_jobs(struct daemon *d)
{
    struct timeval limit = {.tv_sec = CANCEL_S};

    fg_log(FG_LOG_WARN, "main", "cancel jobs=%zu", fg_flow_jobs(d->flow, NULL, NULL, 0));
    d->canceled = true;
    fg_flow_cancel_all(d->flow);
    event_add(d->timer, &limit);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct daemon *d = ctx;

    (void)fd;
    (void)what;
    if (d->canceled)
        event_base_loopbreak(d->base);
    else
        cancel_jobs(d);
}

/* The first signal lets running jobs end, the second cancels them, the third waits for nobody. */
static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct daemon *d = ctx;
    struct timeval limit = {.tv_sec = DRAIN_S};

    (void)what;
    switch (++d->signals) {
    case 1:
        fg_log(FG_LOG_INFO, "main", "drain signal=%d jobs=%zu", (int)number,
               fg_flow_jobs(d->flow, NULL, NULL, 0));
        event_add(d->timer, &limit);
        fg_flow_drain(d->flow);
        fg_api_drain(d->api, on_drained, d);
        break;
    case 2: cancel_jobs(d); break;
    default: event_base_loopbreak(d->base); break;
    }
}

static int watch_signals(struct daemon *d, struct fg_err *err)
{
    d->term = evsignal_new(d->base, SIGTERM, on_signal, d);
    d->interrupt = evsignal_new(d->base, SIGINT, on_signal, d);
    d->timer = evtimer_new(d->base, on_timer, d);
    if (!d->term || !d->interrupt || !d->timer || evsignal_add(d->term, NULL) != 0 ||
        evsignal_add(d->interrupt, NULL) != 0)
        return fg_fail(err, FG_ENOMEM, "the signals cannot be watched");
    return 0;
}

static void close_all(struct daemon *d)
{
    fg_api_destroy(d->api);
    fg_flow_destroy(d->flow);
    if (d->timer)
        event_free(d->timer);
    if (d->interrupt)
        event_free(d->interrupt);
    if (d->term)
        event_free(d->term);
    if (d->base)
        event_base_free(d->base);
    fg_config_finish(&d->config);
}

static int serve(struct daemon *d, struct fg_err *err)
{
    double begun = fg_account_now();
    struct fg_flow_info info;
    int rc;

    d->base = event_base_new();
    if (!d->base)
        return fg_fail(err, FG_ENOMEM, "no event loop");
    rc = open_flow(d, err);
    if (rc)
        fg_confine_explain(&d->confined, &d->config, err);
    if (rc == 0)
        rc = fg_confine_syscalls(&d->config, &d->confined, err);
    if (rc == 0)
        rc = watch_signals(d, err);
    if (rc == 0)
        rc = open_api(d, err);
    if (rc)
        return rc;
    fg_flow_info(d->flow, &info);
    fg_log(FG_LOG_INFO, "main",
           "ready socket=%s model=%s context=%u device=\"%s\" mode=%s numerics=%s cache=%s "
           "sandbox=\"%s\" ms=%.0f",
           d->socket_path, info.model_name, info.context_tokens, info.device, info.numerics,
           info.numerics_id, d->config.cache_dir ? d->config.cache_dir : "none", d->confined.words,
           fg_account_now() - begun);
    if (event_base_dispatch(d->base) != 0)
        return fg_fail(err, FG_EIO, "the event loop failed");
    fg_log(FG_LOG_INFO, "main", "stop jobs=%zu", fg_flow_jobs(d->flow, NULL, NULL, 0));
    return 0;
}

/* The exit code of --plan. */
static int plan(const struct fg_config *c)
{
    struct fg_err err = {0};
    bool fits;
    int rc = fg_plan_report(c, stdout, &fits, &err);

    if (rc == 0 && fflush(stdout) != 0)
        rc = fg_fail(&err, FG_EIO, "standard output: %s", strerror(errno));
    if (rc)
        fprintf(stderr, "fulgurd: %s\n", err.text[0] ? err.text : fg_strerror(rc));
    return rc ? 1 : fits ? 0 : 3;
}

/* The exit code of --tune. */
static int tune(const struct fg_config *c)
{
    struct fg_err err = {0};
    int rc;

    if (!c->pipeline_dir)
        rc = fg_fail(&err, FG_EIO, "no cache directory: the tuning cannot be kept");
    else
        rc = fg_make_private_dir(c->pipeline_dir, &err);
    if (rc == 0)
        rc = fg_tune_report(c, stdout, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = fg_fail(&err, FG_EIO, "standard output: %s", strerror(errno));
    if (rc)
        fprintf(stderr, "fulgurd: %s\n", err.text[0] ? err.text : fg_strerror(rc));
    return rc ? 1 : 0;
}

/* Whatever is opened first would else become what standard error's lines are written to. Standard
 * output stays one that cannot be written, so that --plan does not succeed unheard. */
static int hold_standard_files(void)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) != fd)
            return FG_EIO;
    return 0;
}

/* From one thread to all of them. */
static int run(struct daemon *d, struct fg_err *err)
{
    int rc = find_socket(d, err);

    tzset(); /* for chat templates; later its file may not be opened */
    if (rc == 0)
        rc = fg_confine_files(&d->config, d->socket_path, &d->confined, err);
    if (rc)
        return rc;
    rc = fg_log_start();
    return rc ? fg_fail(err, rc, "the log's thread cannot be started") : serve(d, err);
}

/* What is on the command line everybody can read (ps); the settings have their copy. */
static void hide_keys(int argc, char **argv)
{
    static const char option[] = "--api-key";
    const size_t n = sizeof option - 1;

    for (int i = 1; i < argc; i++) {
        char *key = NULL;

        if (strncmp(argv[i], option, n) == 0 && argv[i][n] == '=')
            key = argv[i] + n + 1;
        else if (strcmp(argv[i], option) == 0 && i + 1 < argc)
            key = argv[++i];
        if (key)
            memset(key, 'x', strlen(key));
    }
}

/* glibc raises the thresholds by itself once a large block was freed, up to 32 and 64 MiB, and then
 * keeps that much of what large requests took; and an arena for each thread keeps what was freed in
 * it: mallopt(3). */
static void give_back_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct fg_err err = {0};
    int rc;

    if (hold_standard_files())
        return 1; /* there is nowhere to say so */
    give_back_memory();
    /* A limit on file sizes is a full disk, also for the files that Vulkan drivers write. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    rc = fg_config_init(&d.config, argc, argv, &err);
    hide_keys(argc, argv);
    if (rc) {
        fprintf(stderr, "fulgurd: %s\n", err.text);
        return 2;
    }
    if (d.config.action != FG_CONFIG_RUN) {
        rc = 0;
        if (d.config.action == FG_CONFIG_PLAN)
            rc = plan(&d.config);
        else if (d.config.action == FG_CONFIG_TUNE)
            rc = tune(&d.config);
        else if (d.config.action == FG_CONFIG_HELP)
            fputs(fg_config_help(), stdout);
        else
            printf("fulgurd %s\n", FG_VERSION);
        fg_config_finish(&d.config);
        return rc;
    }
    fg_log_set_level(d.config.log_level);
    rc = run(&d, &err);
    if (rc)
        fg_log_say("fulgurd", "%s", err.text[0] ? err.text : fg_strerror(rc));
    close_all(&d);
    fg_log_stop();
    return rc ? 1 : 0;
}
