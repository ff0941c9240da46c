#include "download.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "fulgur/version.h"
#include "part.h"
#include "base/sha256.h"

enum { TRIES = 5 };

/* Of a file whose size neither the caller nor the server says. */
#define MOST_UNTOLD (INT64_C(1) << 40)

/* What the headers of the answer said; those of a redirect are forgotten, but for the hub's own. */
struct answer {
    char tag[FG_PART_TAG_BYTES], modified[64]; /* strong ETag, Last-Modified, or "" */
    char sha256[65];     /* X-Linked-Etag, the hub's: of a file that it keeps elsewhere */
    int64_t linked_size; /* X-Linked-Size, or -1 */
    int64_t length;      /* Content-Length, or -1 */
    int64_t from, total; /* Content-Range, or -1 */
    bool bad;            /* NUL in a header, or a number that is too large */
};

struct transfer {
    const struct fg_cli_download *d;
    struct fg_part *part;
    CURL *easy;
    struct answer answer;
    int64_t total, reused;
    bool begun; /* the answer's status was looked at */
    int rc;     /* why a callback ended it */
    struct fg_err *err;
};

/* The value of the header `name`, its length without white space at the end, or NULL. */
static const char *value_of(const char *line, size_t n, const char *name, size_t *length)
{
    size_t at = strlen(name);

    if (n <= at || strncasecmp(line, name, at) != 0 || line[at] != ':') {
        return NULL;
    }
    for (at++; at < n && isspace((unsigned char)line[at]); at++) {
    }
    while (n > at && isspace((unsigned char)line[n - 1])) {
        n--;
    }
    *length = n - at;
    return line + at;
}

static int64_t number(const char *p, size_t n, size_t *used)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        if (v > (INT64_MAX - 9) / 10) {
            *used = SIZE_MAX; /* too large */
            return -1;
        }
        v = v * 10 + (p[i] - '0');
    }
    *used = i;
    return i > 0 ? v : -1;
}

/* "bytes FROM-TO/TOTAL" or "bytes *" "/TOTAL". */
static void take_range(struct answer *a, const char *p, size_t n)
{
    const char *slash = memchr(p, '/', n);
    size_t used;

    if (n < 6 || strncasecmp(p, "bytes ", 6) != 0 || !slash) {
        return;
    }
    a->from = number(p + 6, n - 6, &used);
    a->bad = a->bad || used == SIZE_MAX;
    a->total = number(slash + 1, (size_t)(p + n - slash - 1), &used);
    a->bad = a->bad || used == SIZE_MAX;
}

static bool is_sha256(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!strchr("0123456789abcdef", p[i])) {
            return false;
        }
    }
    return n == 64;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct answer *a = &((struct transfer *)user)->answer;
    const char *v;
    size_t length, used, all = size * n;

    n = all;
    if (n >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        a->tag[0] = a->modified[0] = '\0';
        a->length = a->from = a->total = -1;
        a->bad = false;
    } else if (memchr(line, '\0', n)) {
        a->bad = true;
    } else if ((v = value_of(line, n, "ETag", &length)) && length < sizeof a->tag && *v == '"') {
        memcpy(a->tag, v, length);
        a->tag[length] = '\0';
    } else if ((v = value_of(line, n, "Last-Modified", &length)) && length < sizeof a->modified) {
        memcpy(a->modified, v, length);
        a->modified[length] = '\0';
    } else if ((v = value_of(line, n, "Content-Length", &length))) {
        a->length = number(v, length, &used);
        a->bad = a->bad || used == SIZE_MAX;
    } else if ((v = value_of(line, n, "Content-Range", &length))) {
        take_range(a, v, length);
    } else if ((v = value_of(line, n, "X-Linked-Size", &length))) {
        a->linked_size = number(v, length, &used);
        a->bad = a->bad || used == SIZE_MAX;
    } else if ((v = value_of(line, n, "X-Linked-Etag", &length)) && length == 66 &&
               is_sha256(v + 1, 64)) {
        memcpy(a->sha256, v + 1, 64);
        a->sha256[64] = '\0';
    }
    return all;
}

static int refuse(struct transfer *t, long status)
{
    const char *url = t->d->url;

    switch (status) {
    case 404: return fg_fail(t->err, FG_ENOTFOUND, "%s: there is no such file (404)", url);
    case 401:
    case 403:
        return fg_fail(t->err, FG_EACCESS,
                       "%s: not allowed (%ld); a file of the hub may need "
                       "$HF_TOKEN",
                       url, status);
    default: return fg_fail(t->err, FG_EIO, "%s: the server answers with status %ld", url, status);
    }
}

/* Looks at the answer before its first byte: from where it goes on, and whether there is room. */
static int begin(struct transfer *t)
{
    struct answer *a = &t->answer;
    long status = 0;
    int rc = 0;

    t->begun = true;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (a->bad) {
        return fg_fail(t->err, FG_EFORMAT, "%s: the server's headers make no sense", t->d->url);
    }
    if (status == 206 && t->part->bytes == 0) {
        return fg_fail(t->err, FG_EFORMAT, "%s: the server sends a part that nobody asked for",
                       t->d->url);
    }
    if (status == 206 && a->from == t->part->bytes) {
        t->total = a->total;
    } else if (status == 206) {
        return fg_fail(t->err, FG_EFORMAT,
                       "%s: asked for the bytes from %" PRId64 " on, the server sends those from "
                       "%" PRId64,
                       t->d->url, t->part->bytes, a->from);
    } else if (status == 200) {
        t->total = a->length;
        rc = fg_part_restart(t->part, t->err);
    } else {
        return refuse(t, status);
    }
    t->reused = t->part->bytes;
    int64_t wanted = t->d->size >= 0 ? t->d->size : a->linked_size;
    if (rc == 0 && wanted >= 0 && t->total >= 0 && wanted != t->total) {
        rc = fg_fail(t->err, FG_ECORRUPT, "%s: the file has %" PRId64 " bytes, should be %" PRId64,
                     t->d->url, t->total, wanted);
    }
    if (rc == 0) {
        rc = fg_part_tag(t->part, t->d->url, a->tag[0] ? a->tag : a->modified, t->err);
    }
    if (rc == 0 && t->total >= 0) {
        rc = fg_part_room(t->part, t->total - t->part->bytes, t->err);
    }
    return rc;
}

/* How many bytes the file may have. */
static int64_t most(const struct transfer *t)
{
    return t->total >= 0 ? t->total : t->d->size >= 0 ? t->d->size : MOST_UNTOLD;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct transfer *t = user;

    n *= size;
    if (!t->begun) {
        t->rc = begin(t);
    }
    if (t->rc == 0 && (int64_t)n > most(t) - t->part->bytes) {
        t->rc = fg_fail(t->err, FG_ECORRUPT, "%s: more than %" PRId64 " bytes come", t->d->url,
                        most(t));
    }
    if (t->rc == 0) {
        t->rc = fg_part_add(t->part, data, n, t->err);
    }
    if (t->rc < 0) {
        return n == 0 ? 1 : 0; /* any other count than n stops libcurl */
    }
    if (t->d->progress) {
        t->d->progress(t->d->ctx, t->part->bytes, t->total, t->reused);
    }
    return n;
}

static int set_options(struct transfer *t, struct curl_slist *headers, char *why)
{
    /* What was asked for in secret does not come from whoever is on the way. */
    bool secure = strncasecmp(t->d->url, "https:", 6) == 0;
    CURL *e = t->easy;
    CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc == CURLE_OK ? curl_easy_setopt(e, option, value) : rc
    curl_easy_reset(e);
    SET(CURLOPT_URL, t->d->url);
    SET(CURLOPT_ERRORBUFFER, why);
    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    SET(CURLOPT_REDIR_PROTOCOLS,
        secure ? (long)CURLPROTO_HTTPS : (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 10L);
    SET(CURLOPT_USERAGENT, "fulgur/" FG_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_CONNECTTIMEOUT, 30L);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, 60L);
#undef SET
    return rc == CURLE_OK ? 0 : fg_fail(t->err, FG_ENOMEM, "libcurl: %s", curl_easy_strerror(rc));
}

static struct curl_slist *add_header(struct curl_slist *list, bool *ok, const char *name,
                                     const char *value)
{
    char line[FG_PART_TAG_BYTES + 64];
    int n = snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer =
        n > 0 && (size_t)n < sizeof line ? curl_slist_append(list, line) : NULL;

    *ok = *ok && longer;
    return longer ? longer : list;
}

static int transport_error(struct transfer *t, CURLcode code, const char *why)
{
    const char *text = *why ? why : curl_easy_strerror(code);

    switch (code) {
    case CURLE_OUT_OF_MEMORY: return fg_fail(t->err, FG_ENOMEM, "out of memory");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return fg_fail(t->err, FG_EINVAL, "%s: %s", t->d->url, text);
    case CURLE_COULDNT_RESOLVE_HOST:
        return fg_fail(t->err, FG_ENOTFOUND, "%s: %s", t->d->url, text);
    default:
        return fg_fail(t->err, FG_EIO, "%s: broke off after %" PRId64 " bytes%s: %s", t->d->url,
                       t->part->bytes, t->part->tag[0] ? ", which are kept" : "", text);
    }
}

/* One request for what is missing. *again: it broke off, and to ask again makes sense. */
static int attempt(struct transfer *t, bool *again)
{
    struct curl_slist *headers = NULL;
    char range[48], why[CURL_ERROR_SIZE] = "", bearer[FG_PART_TAG_BYTES];
    int64_t before = t->part->bytes;
    bool ok = true;
    long status = 0;

    *again = t->begun = false;
    if (before > 0) {
        snprintf(range, sizeof range, "bytes=%" PRId64 "-", before);
        headers = add_header(headers, &ok, "Range", range);
        headers = add_header(headers, &ok, "If-Range", t->part->tag);
    }
    if (t->d->token) {
        ok =
            ok && (size_t)snprintf(bearer, sizeof bearer, "Bearer %s", t->d->token) < sizeof bearer;
        headers = add_header(headers, &ok, "Authorization", bearer);
    }
    t->rc = ok ? set_options(t, headers, why) : fg_fail(t->err, FG_ENOMEM, "no room for headers");
    CURLcode code = t->rc == 0 ? curl_easy_perform(t->easy) : CURLE_OK;
    curl_slist_free_all(headers);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 416 && before > 0) { /* all of it is here, or it is of another file */
        t->total = t->answer.total;
        *again = t->total != before;
        t->rc = *again ? fg_part_restart(t->part, t->err) : 0;
    } else if (t->rc == 0 && code == CURLE_OK && !t->begun) { /* an answer without a body */
        t->rc = begin(t);
    } else if (t->rc == 0 && code != CURLE_OK) {
        t->rc = transport_error(t, code, why);
        *again = t->rc == FG_EIO && t->part->bytes > before && t->part->tag[0];
    }
    return t->rc;
}

static int fetch(struct transfer *t)
{
    bool again = true;
    int rc = 0;

    for (int i = 0; i < TRIES && again; i++) {
        rc = attempt(t, &again);
    }
    if (rc == 0 && t->total >= 0 && t->part->bytes != t->total) {
        rc = fg_fail(t->err, FG_ECORRUPT, "%s: %" PRId64 " bytes came, should be %" PRId64,
                     t->d->url, t->part->bytes, t->total);
    }
    return rc;
}

static int check(struct transfer *t, char hex[65])
{
    const char *wanted = t->d->sha256          ? t->d->sha256
                         : t->answer.sha256[0] ? t->answer.sha256
                                               : NULL;
    int64_t size = t->d->size >= 0 ? t->d->size : t->answer.linked_size;
    int rc = 0;

    if (size >= 0 && t->part->bytes != size) {
        rc = fg_fail(t->err, FG_ECORRUPT, "%s: the file has %" PRId64 " bytes, should be %" PRId64,
                     t->d->url, t->part->bytes, size);
    }
    if (rc == 0) {
        rc = fg_part_check(t->part, t->d->checking, t->d->ctx, hex, t->err);
    }
    if (rc == FG_EFORMAT) {
        rc = fg_fail(t->err, rc, "%s: this is no GGUF file: it does not begin with 'GGUF'",
                     t->d->url);
    } else if (rc == 0 && wanted && strcmp(hex, wanted) != 0) {
        rc = fg_fail(t->err, FG_ECORRUPT, "%s: the file's SHA-256 is %s, should be %s", t->d->url,
                     hex, wanted);
    }
    if (rc == FG_EFORMAT || rc == FG_ECORRUPT) {
        fg_part_remove(t->part);
    }
    return rc;
}

int fg_cli_download_run(const struct fg_cli_download *d, char sha256[65], struct fg_err *err)
{
    struct fg_part part;
    struct transfer t = {.d = d,
                         .part = &part,
                         .total = -1,
                         .err = err,
                         .answer = {.linked_size = -1, .length = -1, .from = -1, .total = -1}};
    int rc = fg_part_init(&part, d->path, d->url, err);

    if (rc < 0) {
        return rc;
    }
    t.easy = curl_easy_init();
    rc = t.easy ? fetch(&t) : fg_fail(err, FG_ENOMEM, "libcurl: out of memory");
    if (rc == 0) {
        rc = check(&t, sha256);
    }
    if (rc == 0) {
        rc = fg_part_finish_file(&part, d->path, err);
    }
    curl_easy_cleanup(t.easy);
    fg_part_finish(&part);
    return rc;
}
