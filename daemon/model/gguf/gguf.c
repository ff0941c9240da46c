#include "gguf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void fg_gguf_subject(struct fg_gguf_reader *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->subject, sizeof r->subject, fmt, ap);
    va_end(ap);
    r->in_array = false;
}

int fg_gguf_refuse(struct fg_gguf_reader *r, int code, const char *fmt, ...)
{
    char text[300], elem[40] = "";
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->in_array)
        snprintf(elem, sizeof elem, ", element %" PRIu64, r->elem);
    return fg_fail(r->err, code, "%s: %s%s: %s", r->g->name, r->subject, elem, text);
}

const unsigned char *fg_gguf_take(struct fg_gguf_reader *r, uint64_t n, const char *what)
{
    const unsigned char *p = r->g->base + r->at;

    if (n > r->g->size - r->at) {
        fg_gguf_refuse(r, FG_EFORMAT,
                       "%s wants %" PRIu64 " bytes at byte %" PRIu64
                       ", but the file ends at byte %" PRIu64,
                       what, n, r->at, r->g->size);
        return NULL;
    }
    r->at += n;
    return p;
}

int fg_gguf_take_u32(struct fg_gguf_reader *r, uint32_t *out, const char *what)
{
    const unsigned char *p = fg_gguf_take(r, sizeof *out, what);

    if (!p)
        return FG_EFORMAT;
    memcpy(out, p, sizeof *out);
    return 0;
}

int fg_gguf_take_u64(struct fg_gguf_reader *r, uint64_t *out, const char *what)
{
    const unsigned char *p = fg_gguf_take(r, sizeof *out, what);

    if (!p)
        return FG_EFORMAT;
    memcpy(out, p, sizeof *out);
    return 0;
}

int fg_gguf_take_str(struct fg_gguf_reader *r, struct fg_str *out, uint64_t max, const char *what)
{
    const unsigned char *p;
    uint64_t n;
    char label[64];

    snprintf(label, sizeof label, "the length of %s", what);
    if (fg_gguf_take_u64(r, &n, label))
        return FG_EFORMAT;
    /* What exceeds both is called truncated: a length that is cut off reads the same. */
    p = fg_gguf_take(r, n, what);
    if (!p)
        return FG_EFORMAT;
    if (n > max)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "%s has %" PRIu64 " bytes, at most %" PRIu64 " are allowed", what, n,
                              max);
    out->p = (const char *)p;
    out->n = (size_t)n;
    return 0;
}

int fg_gguf_order(struct fg_str a, struct fg_str b)
{
    int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return d ? d : (a.n > b.n) - (a.n < b.n);
}

static int read_version(struct fg_gguf_reader *r, struct fg_gguf *g)
{
    const unsigned char *magic;
    uint32_t swapped;

    magic = fg_gguf_take(r, 4, "the magic");
    if (!magic)
        return FG_EFORMAT;
    if (memcmp(magic, "GGUF", 4) != 0)
        return fg_gguf_refuse(
            r, FG_EFORMAT, "the magic is %02x %02x %02x %02x, a GGUF file begins with 47 47 55 46",
            magic[0], magic[1], magic[2], magic[3]);
    if (fg_gguf_take_u32(r, &g->version, "the version"))
        return FG_EFORMAT;
    swapped = __builtin_bswap32(g->version);
    if (swapped >= 1 && swapped <= 3)
        return fg_gguf_refuse(r, FG_EUNSUPPORTED,
                              "the version is byte-swapped: a big-endian file; little-endian "
                              "ones are supported");
    if (g->version != 2 && g->version != 3)
        return fg_gguf_refuse(r, FG_EUNSUPPORTED,
                              "version %" PRIu32 " is not supported; 2 and 3 are", g->version);
    return 0;
}

/* A count of entries of at least `bytes` each: what claims more than the file holds is refused
 * before anything is allocated for it. */
static int read_count(struct fg_gguf_reader *r, uint64_t *out, uint64_t bytes, uint64_t limit,
                      const char *what)
{
    if (fg_gguf_take_u64(r, out, what))
        return FG_EFORMAT;
    if (*out > (r->g->size - r->at) / bytes)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "%s is %" PRIu64 ", at least %" PRIu64 " bytes each, but the file "
                              "ends at byte %" PRIu64,
                              what, *out, bytes, r->g->size);
    if (*out > limit)
        return fg_gguf_refuse(r, FG_EUNSUPPORTED,
                              "%s is %" PRIu64 ", at most %" PRIu64 " are supported", what, *out,
                              limit);
    return 0;
}

static int read_header(struct fg_gguf *g, struct fg_err *err)
{
    struct fg_gguf_reader r = {.g = g, .err = err};
    uint64_t n_tensors, n_kv;
    int rc;

    fg_gguf_subject(&r, "header");
    rc = read_version(&r, g);
    if (rc)
        return rc;
    /* Smallest entries: a name of one byte, one dimension; a key of one byte, a value of one. */
    rc = read_count(&r, &n_tensors, 8 + 1 + 4 + 8 + 4 + 8, FG_GGUF_MAX_TENSORS, "the tensor count");
    if (!rc)
        rc = read_count(&r, &n_kv, 8 + 1 + 4 + 1, FG_GGUF_MAX_KEYS, "the metadata count");
    if (rc)
        return rc;
    g->n_kv = n_kv;
    rc = fg_gguf_read_kv(&r, g);
    if (rc)
        return rc;
    g->n_tensors = n_tensors;
    return fg_gguf_read_tensors(&r, g);
}

static int refuse_open(const struct fg_gguf *g, struct fg_err *err)
{
    int e = errno;

    switch (e) {
    case ENOENT:
    case ENOTDIR: return fg_fail(err, FG_ENOTFOUND, "%s: no such file", g->name);
    case EACCES:
    case EPERM: return fg_fail(err, FG_EACCESS, "%s: no permission to read it", g->name);
    }
    return fg_fail(err, FG_EIO, "%s: cannot open it: %s", g->name, strerror(e));
}

static int map_file(struct fg_gguf *g, const char *path, struct fg_err *err)
{
    struct stat st;
    void *base;
    int rc = 0;
    /* O_NONBLOCK: opening a FIFO would wait for its writer before we could see what it is. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return refuse_open(g, err);
    if (fstat(fd, &st) != 0) {
        rc = fg_fail(err, FG_EIO, "%s: cannot examine it: %s", g->name, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        rc = fg_fail(err, FG_EIO, "%s: is a directory; a GGUF file is wanted", g->name);
    } else if (!S_ISREG(st.st_mode)) {
        rc = fg_fail(err, FG_EIO, "%s: is not a regular file; a GGUF file is wanted", g->name);
    } else if (st.st_size == 0) {
        rc = fg_fail(err, FG_EFORMAT, "%s: is empty; a GGUF file is wanted", g->name);
    } else if ((uint64_t)st.st_size > SIZE_MAX) {
        rc = fg_fail(err, FG_ENOMEM, "%s: %" PRIu64 " bytes exceed the address space", g->name,
                     (uint64_t)st.st_size);
    } else {
        base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (base == MAP_FAILED) {
            rc = fg_fail(err, errno == ENOMEM ? FG_ENOMEM : FG_EIO, "%s: cannot map it: %s",
                         g->name, strerror(errno));
        } else {
            g->base = base;
            g->size = (uint64_t)st.st_size;
        }
    }
    close(fd);
    return rc;
}

int fg_gguf_open_file(const char *path, struct fg_gguf **out, struct fg_err *err)
{
    struct fg_gguf *g = calloc(1, sizeof *g);
    size_t len = strlen(path), room = sizeof g->name - 1;
    int rc;

    *out = NULL;
    if (!g)
        return fg_fail(err, FG_ENOMEM, "%.160s: out of memory", path);
    /* The end of a long path says more than its beginning. */
    snprintf(g->name, sizeof g->name, "%s", len > room ? path + len - room : path);
    rc = map_file(g, path, err);
    if (!rc)
        rc = read_header(g, err);
    if (rc) {
        fg_gguf_close(g);
        return rc;
    }
    *out = g;
    return 0;
}

void fg_gguf_close(struct fg_gguf *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->n_parts; i++)
        fg_gguf_close(g->parts[i]);
    free(g->parts);
    free(g->by_name);
    free(g->tensors);
    fg_gguf_free_kv(g);
    if (g->base)
        munmap((void *)(uintptr_t)g->base, (size_t)g->size);
    free(g);
}

const char *fg_gguf_name(const struct fg_gguf *g)
{
    return g->name;
}
