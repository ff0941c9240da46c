#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fulgur/error.h"

enum {
    LINE_MAX_BYTES = 1100,
    TIME_BYTES = 32,      /* put_time() writes 31 with its newline */
    RING_BYTES = 1 << 18, /* a power of two: about 2,500 lines */
    BATCH_BYTES = 4096,   /* one write: a pipe takes it whole (PIPE_BUF) */
};

_Static_assert(BATCH_BYTES > 2 * LINE_MAX_BYTES, "a batch holds a line and a note");

/* The writer's life. STUCK: it was left waiting for a reader when the log was stopped. */
enum state { DIRECT, RUNNING, STOPPING, STUCK };

static _Atomic int max_level = FG_LOG_INFO;
static _Atomic int state = DIRECT; /* changed under the lock only */
static bool discards;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, ended;

/* Under the lock: lines as a length of two bytes and so many bytes; or GAP and a uint64_t, how many
 * lines were dropped there. */
enum { GAP = UINT16_MAX };
static unsigned char ring[RING_BYTES];
static uint64_t head, tail; /* bytes ever put in, ever taken out */
static uint64_t dropped;    /* lines, after what is queued */

/* Before main() opens anything: a descriptor 2 that is free now is another file's later. */
__attribute__((constructor)) static void look_at_descriptor(void)
{
    discards = fcntl(STDERR_FILENO, F_GETFD) < 0 && errno == EBADF;
}

/* Ends a line: ` time=2026-01-31T23:59:59.999Z`, in UTC, and the newline; returns the length. */
static size_t put_time(char *out, size_t room)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    return (size_t)snprintf(out, room, " time=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\n",
                            tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                            tm.tm_sec, now.tv_nsec / 1000000);
}

/* All of it, however long that takes; false where the other end is gone or refuses. */
static bool write_all(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, n);
        struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

        if (done >= 0) {
            bytes += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            /* Whoever shares the descriptor made it non-blocking. */
            poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* --- the queue; the lock is held --- */

static void ring_put(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring[head++ % RING_BYTES] = ((const unsigned char *)bytes)[i];
}

static void ring_take(void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)bytes)[i] = ring[tail++ % RING_BYTES];
}

static bool fits(size_t n)
{
    return RING_BYTES - (head - tail) >= sizeof(uint16_t) + n;
}

static void put_record(uint16_t kind, const void *bytes, size_t n)
{
    ring_put(&kind, sizeof kind);
    ring_put(bytes, n);
}

static void enqueue(const char *line, size_t n)
{
    if (!fits(n + (dropped ? sizeof(uint16_t) + sizeof dropped : 0))) {
        dropped++;
        return;
    }
    if (dropped)
        put_record(GAP, &dropped, sizeof dropped);
    dropped = 0;
    put_record((uint16_t)n, line, n);
    pthread_cond_signal(&filled);
}

/* --- the writer --- */

struct batch {
    char bytes[BATCH_BYTES];
    size_t n;
    uint64_t lines; /* that are lost when it cannot be written */
};

static void add_note(struct batch *b, uint64_t lines)
{
    b->n += (size_t)snprintf(b->bytes + b->n, sizeof b->bytes - b->n, "warn log dropped=%llu",
                             (unsigned long long)lines);
    b->n += put_time(b->bytes + b->n, sizeof b->bytes - b->n);
    b->lines += lines;
}

/* Takes whole lines, or the note that some were dropped after the last. The lock is held. */
static void take_batch(struct batch *b)
{
    b->n = b->lines = 0;
    while (tail < head && b->n + LINE_MAX_BYTES <= sizeof b->bytes) {
        uint16_t length;
        uint64_t gap;

        ring_take(&length, sizeof length);
        if (length == GAP) {
            ring_take(&gap, sizeof gap);
            add_note(b, gap);
        } else {
            ring_take(b->bytes + b->n, length);
            b->n += length;
            b->lines++;
        }
    }
    if (b->n == 0 && dropped) {
        add_note(b, dropped);
        dropped = 0;
    }
}

static void *write_lines(void *unused)
{
    static struct batch b; /* there is one writer */
    bool taken = true;

    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        /* What could not be written is said, but not in answer to itself: a reader that is gone
         * would keep the writer turning. */
        while (head == tail && state == RUNNING && (!dropped || !taken))
            pthread_cond_wait(&filled, &lock);
        if (head == tail && (!dropped || !taken))
            break;
        take_batch(&b);
        pthread_mutex_unlock(&lock);
        taken = write_all(b.bytes, b.n);
        pthread_mutex_lock(&lock);
        if (!taken)
            dropped += b.lines;
    }
    state = DIRECT;
    dropped = 0;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int start_writer(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t writer;
    int rc;

    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_attr_init(&attr);
    /* It may have to be left behind, and touches static memory only. */
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&writer, &attr, write_lines, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc ? FG_ENOMEM : 0;
}

int fg_log_start(void)
{
    static bool prepared;
    pthread_condattr_t attr;
    int before, rc = 0;

    pthread_mutex_lock(&lock);
    if (!prepared) {
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&ended, &attr);
        pthread_condattr_destroy(&attr);
        prepared = true;
    }
    before = state;
    state = RUNNING; /* a writer that is stuck goes on where it is */
    if (before == DIRECT)
        rc = start_writer();
    if (rc)
        state = DIRECT;
    pthread_mutex_unlock(&lock);
    return rc;
}

void fg_log_stop(void)
{
    struct timespec until = fg_clock_in_ms(FG_LOG_STOP_MS);
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (state != RUNNING) {
        pthread_mutex_unlock(&lock);
        return;
    }
    state = STOPPING;
    pthread_cond_signal(&filled);
    while (state == STOPPING && rc == 0)
        rc = pthread_cond_timedwait(&ended, &lock, &until);
    if (state == STOPPING)
        state = STUCK;
    pthread_mutex_unlock(&lock);
}

/* --- lines --- */

static void emit(const char *line, size_t n)
{
    bool direct = state == DIRECT;

    if (discards || n == 0)
        return;
    if (!direct) {
        pthread_mutex_lock(&lock);
        direct = state == DIRECT;
        if (state == RUNNING || state == STOPPING)
            enqueue(line, n);
        pthread_mutex_unlock(&lock);
    }
    if (direct)
        write_all(line, n);
}

/* Ends the line, at n or where it was cut, and writes it. A line must stay a line whatever a file
 * name or a driver's message holds. */
static void end_line(char line[LINE_MAX_BYTES], bool timed, const char *fmt, va_list ap)
{
    size_t begun = strlen(line), n;

    vsnprintf(line + begun, LINE_MAX_BYTES - TIME_BYTES - begun, fmt, ap);
    n = begun + strlen(line + begun);
    for (size_t i = begun; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    if (timed)
        n += put_time(line + n, LINE_MAX_BYTES - n);
    else
        line[n++] = '\n';
    emit(line, n);
}

void fg_log_set_level(enum fg_log_level level)
{
    atomic_store(&max_level, (int)level);
}

void fg_log(enum fg_log_level level, const char *stage, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char line[LINE_MAX_BYTES];
    va_list ap;

    if ((int)level > atomic_load(&max_level))
        return;
    snprintf(line, 64, "%s %s ", names[level], stage);
    va_start(ap, fmt);
    end_line(line, true, fmt, ap);
    va_end(ap);
}

void fg_log_audit(const char *stage, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    snprintf(line, 64, "audit %s ", stage);
    va_start(ap, fmt);
    end_line(line, true, fmt, ap);
    va_end(ap);
}

const char *fg_log_text(char out[FG_LOG_TEXT], const char *text)
{
    size_t n = 0;

    for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < FG_LOG_TEXT; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
            n += (size_t)snprintf(out + n, FG_LOG_TEXT - n, "\\x%02x", *p);
        else
            out[n++] = (char)*p;
    }
    out[n] = '\0';
    return out;
}

void fg_log_say(const char *who, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    snprintf(line, 64, "%s: ", who);
    va_start(ap, fmt);
    end_line(line, false, fmt, ap);
    va_end(ap);
}

void fg_log_bar(const char *what, double share)
{
    static const char full[] = "##############################";
    int width = (int)sizeof full - 1, n = (int)(share * width + 0.5);
    char bar[128];

    if (n < 0 || n > width || !isatty(STDERR_FILENO))
        return;
    snprintf(bar, sizeof bar, "\r%.48s [%-*.*s] %3.0f%%%s", what, width, n, full, 100 * share,
             share >= 1 ? "\n" : "");
    emit(bar, strlen(bar));
}
