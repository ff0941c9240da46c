#include "stop.h"

#include <stdlib.h>
#include <string.h>

void fg_stop_init(struct fg_stop *s, char *const *strings, size_t n_strings)
{
    *s = (struct fg_stop){.strings = strings, .n_strings = n_strings};
}

void fg_stop_finish(struct fg_stop *s)
{
    free(s->buf);
    s->buf = NULL;
}

static int append(struct fg_stop *s, struct fg_str text, struct fg_err *err)
{
    s->n -= s->given;
    if (s->n)
        memmove(s->buf, s->buf + s->given, s->n);
    s->given = 0;
    if (text.n > s->cap - s->n) {
        size_t cap = 2 * (s->n + text.n);
        char *buf = realloc(s->buf, cap);

        if (!buf)
            return fg_fail(err, FG_ENOMEM, "no memory for %zu bytes of answer", s->n + text.n);
        s->buf = buf;
        s->cap = cap;
    }
    if (text.n)
        memcpy(s->buf + s->n, text.p, text.n);
    s->n += text.n;
    return 0;
}

/* Bytes of the longest stop string that ends at buf[end), or 0; *which: its number. */
static size_t match_at(const struct fg_stop *s, size_t end, size_t *which)
{
    size_t best = 0;

    for (size_t i = 0; i < s->n_strings; i++) {
        size_t len = strlen(s->strings[i]);

        if (len > best && len <= end && memcmp(s->buf + end - len, s->strings[i], len) == 0) {
            best = len;
            *which = i;
        }
    }
    return best;
}

/* Bytes of the longest end of buf that begins a stop string. */
static size_t undecided(const struct fg_stop *s)
{
    size_t best = 0;

    for (size_t i = 0; i < s->n_strings; i++) {
        size_t len = strlen(s->strings[i]);

        for (size_t k = len - (len > 0); k > best; k--)
            if (k <= s->n && memcmp(s->buf + s->n - k, s->strings[i], k) == 0)
                best = k;
    }
    return best;
}

int fg_stop_push(struct fg_stop *s, struct fg_str text, struct fg_str *out, struct fg_err *err)
{
    int rc;

    *out = (struct fg_str){"", 0};
    if (s->hit)
        return 0;
    rc = append(s, text, err);
    if (rc)
        return rc;
    for (size_t end = s->n - text.n + 1; end <= s->n; end++) {
        size_t len = match_at(s, end, &s->which);

        if (len == 0)
            continue;
        s->hit = true;
        s->n = end - len;
        break;
    }
    s->given = s->hit ? s->n : s->n - undecided(s);
    if (s->given)
        *out = (struct fg_str){s->buf, s->given};
    return 0;
}

void fg_stop_flush(struct fg_stop *s, struct fg_str *out)
{
    *out = (struct fg_str){"", 0};
    if (s->hit || s->n == s->given)
        return;
    *out = (struct fg_str){s->buf + s->given, s->n - s->given};
    s->given = s->n;
}
