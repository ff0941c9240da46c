#include "head.h"

#include <string.h>
#include <strings.h>

#include "base/hex.h"

static int malformed(struct fg_http_error *e, const char *why)
{
    return fg_http_fail(e, 400, NULL, NULL, "%s", why);
}

/* Behind the empty line at the head's end; 0: it is not there. */
static size_t find_end(const char *bytes, size_t n, size_t seen)
{
    for (const char *p = bytes + (seen > 2 ? seen - 2 : 0);
         (p = memchr(p, '\n', n - (size_t)(p - bytes))); p++) {
        size_t left = n - (size_t)(p - bytes);

        if (left > 1 && p[1] == '\n')
            return (size_t)(p - bytes) + 2;
        if (left > 2 && p[1] == '\r' && p[2] == '\n')
            return (size_t)(p - bytes) + 3;
    }
    return 0;
}

static bool is_name(const char *p, size_t n)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < n; i++) {
        char c = p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(others, c))))
            return false;
    }
    return n > 0;
}

static bool is_printed(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
            return false;
    return true;
}

static bool same(struct fg_span s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* Those that may come once. */
struct known {
    struct fg_span length, coding, host, authorization, key, origin;
};

/* The place of a header that is looked at, or NULL. */
static struct fg_span *place_of(struct known *k, struct fg_span name)
{
    if (same(name, "Content-Length"))
        return &k->length;
    if (same(name, "Transfer-Encoding"))
        return &k->coding;
    if (same(name, "Host"))
        return &k->host;
    if (same(name, "Authorization"))
        return &k->authorization;
    if (same(name, "X-Api-Key") || same(name, "Api-Key"))
        return &k->key;
    return same(name, "Origin") ? &k->origin : NULL;
}

static int read_header(const char *line, size_t n, struct known *k, struct fg_http_error *e)
{
    const char *colon = memchr(line, ':', n);
    struct fg_span name = {line, colon ? (size_t)(colon - line) : 0}, value, *place;

    if (*line == ' ' || *line == '\t')
        return malformed(e, "a header goes on in a second line, which is not taken");
    if (!is_name(name.p, name.n))
        return malformed(e, "a header has no name, or one with a character that names do not have");
    if (!is_printed(line, n))
        return malformed(e, "a header holds a control character");
    value.p = colon + 1;
    value.n = n - name.n - 1;
    while (value.n && *value.p == ' ')
        value.p++, value.n--;
    while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    place = place_of(k, name);
    if (place && place->p)
        return fg_http_fail(e, 400, NULL, NULL, "%.*s: it came more than once", (int)name.n,
                            name.p);
    if (place)
        *place = value;
    return 0;
}

/* evhttp reads no body behind these. */
static bool has_no_body(const char *line, size_t n)
{
    return (n > 5 && memcmp(line, "HEAD ", 5) == 0) || (n > 6 && memcmp(line, "TRACE ", 6) == 0);
}

static int read_length(const struct known *k, bool old, struct fg_head *out,
                       struct fg_http_error *e)
{
    if (k->length.p && k->coding.p)
        return malformed(e, "Content-Length and Transfer-Encoding: one of them is taken");
    if (k->coding.p && !same(k->coding, "chunked"))
        return malformed(e, "Transfer-Encoding: it must be chunked");
    if (k->coding.p && old)
        return malformed(e, "Transfer-Encoding: HTTP/1.0 has none");
    out->chunked = k->coding.p != NULL;
    if (!k->length.p)
        return 0;
    for (size_t i = 0; i < k->length.n; i++) {
        if (k->length.p[i] < '0' || k->length.p[i] > '9' || i >= 18)
            return malformed(e, "Content-Length: it must be a number of at most 18 digits");
        out->length = out->length * 10 + (uint64_t)(k->length.p[i] - '0');
    }
    return k->length.n ? 0 : malformed(e, "Content-Length: it is empty");
}

/* evhttp takes any version, and answers with the same. */
static bool is_http_1(const char *line, size_t n)
{
    return n > 9 && memcmp(line + n - 9, " HTTP/1.", 8) == 0 &&
           (line[n - 1] == '0' || line[n - 1] == '1');
}

/* What stands between the first two blanks of the first line. */
static struct fg_span read_target(const char *line, size_t n)
{
    const char *from = memchr(line, ' ', n), *to;

    if (!from)
        return (struct fg_span){NULL, 0};
    from++;
    to = memchr(from, ' ', n - (size_t)(from - line));
    return to ? (struct fg_span){from, (size_t)(to - from)} : (struct fg_span){NULL, 0};
}

int fg_head_read(const char *bytes, size_t n, size_t seen, struct fg_head *out,
                 struct fg_http_error *e)
{
    size_t most = n < FG_MAX_HEADER_BYTES ? n : FG_MAX_HEADER_BYTES, line;
    struct known known = {0};
    bool first_cr = true, old = false;
    int rc = 0;

    *out = (struct fg_head){.bytes = find_end(bytes, most, seen)};
    if (!out->bytes)
        return n < FG_MAX_HEADER_BYTES
                   ? FG_EBUSY
                   : fg_http_fail(e, 400, NULL, NULL,
                                  "the request's first line and headers are longer than %d bytes",
                                  FG_MAX_HEADER_BYTES);
    for (size_t at = 0; at < out->bytes && rc == 0; at += line + 1) {
        size_t text;
        bool cr;

        line = (size_t)((const char *)memchr(bytes + at, '\n', out->bytes - at) - (bytes + at));
        cr = line && bytes[at + line - 1] == '\r';
        text = line - cr;
        if (!at) {
            first_cr = cr;
            out->target = read_target(bytes, text);
        }
        if (!at)
            old = text > 9 && memcmp(bytes + text - 9, " HTTP/1.0", 9) == 0;
        if (cr != first_cr)
            rc = malformed(e, "some lines of the head end with CR and LF, some with LF alone");
        else if (!at && !is_printed(bytes, text))
            rc = malformed(e, "the request's first line holds a control character");
        else if (!at && !is_http_1(bytes, text))
            rc = malformed(e, "the request's first line must end with HTTP/1.1 or HTTP/1.0");
        else if (at && text)
            rc = read_header(bytes + at, text, &known, e);
    }
    if (rc == 0)
        rc = read_length(&known, old, out, e);
    if (rc == 0 && (out->length || out->chunked) && has_no_body(bytes, out->bytes))
        rc = malformed(e, "a request of this method has no body");
    if (rc == 0 && (out->length || out->chunked) && !first_cr)
        rc = malformed(e, "the lines before a body must end with CR and LF");
    out->authorization = known.authorization;
    out->key = known.key;
    out->origin = known.origin;
    return rc;
}

/* Behind a size: blanks and `;` begin an extension, which ends with the line. */
static bool extension_byte(struct fg_chunks *c, char *byte)
{
    const bool blank = *byte == ' ' || *byte == '\t', inside = c->place == FG_CHUNK_EXTENSION;

    if (*byte == '\r') {
        c->place = FG_CHUNK_SIZE_LF;
        return inside;
    }
    if (!inside && *byte != ';' && !blank)
        return false;
    c->place = inside || *byte == ';' ? FG_CHUNK_EXTENSION : FG_CHUNK_SEMICOLON;
    if (!is_printed(byte, 1))
        return false;
    *byte = ' ';
    return ++c->extensions <= FG_MAX_CHUNK_EXTENSIONS;
}

static bool size_byte(struct fg_chunks *c, char *byte)
{
    int digit = fg_hex_digit(*byte);

    if (digit < 0 && *byte != '\r')
        return c->digits && extension_byte(c, byte);
    if (digit < 0) {
        c->place = FG_CHUNK_SIZE_LF;
        return c->digits > 0;
    }
    c->left = c->left * 16 + (uint64_t)digit;
    return ++c->digits <= 8;
}

/* One byte that is not a chunk's data. */
static bool framing_byte(struct fg_chunks *c, char *at)
{
    const char byte = *at;

    switch (c->place) {
    case FG_CHUNK_SIZE: return size_byte(c, at);
    case FG_CHUNK_SEMICOLON:
    case FG_CHUNK_EXTENSION: return extension_byte(c, at);
    case FG_CHUNK_SIZE_LF:
        c->body += c->left;
        c->place = c->left ? FG_CHUNK_DATA : FG_CHUNK_LAST_CR;
        return byte == '\n';
    case FG_CHUNK_DATA_CR: c->place = FG_CHUNK_DATA_LF; return byte == '\r';
    case FG_CHUNK_DATA_LF:
        c->place = FG_CHUNK_SIZE;
        c->digits = 0;
        return byte == '\n';
    case FG_CHUNK_LAST_CR: c->place = FG_CHUNK_LAST_LF; return byte == '\r';
    case FG_CHUNK_LAST_LF: c->place = FG_CHUNK_END; return byte == '\n';
    case FG_CHUNK_DATA:
    case FG_CHUNK_END: break;
    }
    return false;
}

int fg_chunks_follow(struct fg_chunks *c, char *bytes, size_t n, size_t *used)
{
    size_t at = 0;

    while (at < n && c->place != FG_CHUNK_END) {
        if (c->place == FG_CHUNK_DATA) {
            size_t take = n - at < c->left ? n - at : (size_t)c->left;

            at += take;
            c->left -= take;
            if (!c->left)
                c->place = FG_CHUNK_DATA_CR;
        } else if (!framing_byte(c, &bytes[at++])) {
            return FG_EINVAL;
        }
    }
    *used = at;
    return 0;
}
