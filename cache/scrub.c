/* Scrub: what no longer belongs to a snapshot is overwritten with zeros in the data file.
 *
 * LMDB deletes by forgetting: freed pages keep their bytes, a page that loses a record keeps them
 * in its gap, and the memory in which pages are built is used again as it is. So, in this order:
 * LMDB is closed and opened again (its page memory is new, no read is older than what was deleted);
 * an empty transaction makes both meta pages younger than the deletion; then every page that
 * neither of them reaches, and every gap in those that they do, is overwritten and synced. A mark
 * in `meta`, written with the first deletion and deleted at the end, has the next start finish what
 * a kill cut short. */
#include "scrub.h"
#include "commit.h"
#include "dir.h"
#include "handle.h"
#include "put_queue.h"
#include "reopen.h"
#include "batch.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN = 1 << 20 };

struct scrub {
    int fd;
    uint8_t *zeros, *buf; /* [RUN] */
    uint64_t written;
    int rc; /* an errno */
};

static bool is_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void overwrite(struct scrub *s, uint64_t off, size_t n)
{
    while (n && !s->rc) {
        ssize_t w = pwrite(s->fd, s->zeros, n < RUN ? n : RUN, (off_t)off);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            s->rc = w < 0 ? errno : EIO;
            return;
        }
        off += (uint64_t)w;
        n -= (size_t)w;
        s->written += (uint64_t)w;
    }
}

/* The gap of a page in use; fg_check_reach() has read it. */
static void on_gap(void *ctx, uint64_t off, const uint8_t *bytes, size_t n)
{
    struct scrub *s = ctx;

    if (!is_zero(bytes, n))
        overwrite(s, off, n);
}

/* [from, to) in pieces; what is zero already is only read. */
static void clear(struct scrub *s, uint64_t from, uint64_t to)
{
    while (from < to && !s->rc) {
        size_t n = to - from < RUN ? (size_t)(to - from) : RUN;
        ssize_t r = pread(s->fd, s->buf, n, (off_t)from);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            s->rc = errno;
        if (r <= 0)
            return;
        if (!is_zero(s->buf, (size_t)r))
            overwrite(s, from, (size_t)r);
        from += (uint64_t)r;
    }
}

static void clear_unreached(struct scrub *s, const struct fg_reach *reach, uint64_t file_bytes)
{
    uint64_t pages = (file_bytes + reach->psize - 1) / reach->psize;

    for (uint64_t p = 2, end; p < pages && !s->rc; p = end) {
        end = p + 1;
        if (fg_reached(reach, p))
            continue;
        while (end < pages && !fg_reached(reach, end))
            end++;
        clear(s, p * reach->psize,
              end * reach->psize < file_bytes ? end * reach->psize : file_bytes);
    }
}

static int scrub_file(struct fg_cache *c, struct fg_err *err)
{
    struct scrub s = {.fd = openat(c->dir_fd, FG_DATA_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    struct fg_reach reach = {0};
    struct stat st;
    int rc = 0;

    s.zeros = calloc(1, RUN);
    s.buf = malloc(RUN);
    if (!s.zeros || !s.buf)
        rc = fg_fail(err, FG_ENOMEM, "no memory to overwrite pages");
    else if (s.fd < 0 || fstat(s.fd, &st) != 0)
        s.rc = errno;
    if (!rc && !s.rc)
        rc = fg_check_reach(s.fd, on_gap, &s, &reach, err);
    if (!rc && !s.rc)
        clear_unreached(&s, &reach, (uint64_t)st.st_size);
    if (!rc && !s.rc && fdatasync(s.fd) != 0)
        s.rc = errno;
    if (!rc && s.rc)
        rc = fg_fail(err, fg_errno_code(s.rc), "%s/%s: overwriting what was removed: %s",
                     c->opt.dir, FG_DATA_FILE, strerror(s.rc));
    if (!rc)
        fg_cache_logf(c, FG_CACHE_LOG_INFO, "event=scrub dir=%s bytes=%llu", c->opt.dir,
                      (unsigned long long)s.written);
    free(reach.pages);
    free(s.buf);
    free(s.zeros);
    if (s.fd >= 0)
        close(s.fd);
    return rc;
}

static int commit_empty(struct fg_cache *c, unsigned what, struct fg_err *err)
{
    int rc;

    pthread_mutex_lock(&c->mu);
    c->writer.batch->clock = c->clock;
    c->writer.batch->quota = c->quota;
    pthread_mutex_unlock(&c->mu);
    rc = fg_reserve_commit(c, c->writer.batch, what);
    return rc ? fg_fail(err, rc > 0 ? fg_errno_code(rc) : FG_EIO,
                        "%s/%s: after removing records: %s", c->opt.dir, FG_DATA_FILE,
                        mdb_strerror(rc))
              : 0;
}

static void note_result(struct fg_cache *c, int rc, const struct fg_err *err)
{
    c->writer.unscrubbed = rc != 0;
    if (rc == 0) {
        c->writer.scrub = (struct fg_retry){.failures = 0};
        return;
    }
    fg_retry_failed(&c->writer.scrub);
    fg_cache_logf(c, FG_CACHE_LOG_ERROR, "event=scrub_failed dir=%s retry_ms=%u error=\"%s\"",
                  c->opt.dir, c->writer.scrub.after, err->text);
}

int fg_scrub(struct fg_cache *c, struct fg_err *err)
{
    struct fg_err why = {0};
    int rc = fg_store_reopen(c, NULL, &why);

    if (!rc)
        rc = commit_empty(c, 0, &why);
    if (!rc)
        rc = scrub_file(c, &why);
    if (rc == FG_ECORRUPT)
        fg_report_damage(c, "a page that does not verify was met while overwriting");
    if (!rc) {
        fg_dir_remove_aside(c);
        rc = commit_empty(c, FG_COMMIT_UNMARK, &why);
    }
    note_result(c, rc, &why);
    return rc ? fg_fail(err, rc, "%s", why.text) : 0;
}
