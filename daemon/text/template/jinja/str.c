#include "value.h"

#include <string.h>

#include "base/utf8.h"

static size_t count_chars(const char *p, size_t n)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)p[i] & 0xc0) != 0x80;
    return chars;
}

const struct fg_jj_str *fg_jj_str(struct fg_jj *j, const char *p, size_t n, uint32_t src)
{
    struct fg_jj_str *s = fg_jj_alloc(j, sizeof *s);

    s->p = p;
    s->n = n;
    s->chars = count_chars(p, n);
    s->src = src;
    fg_jj_spend_bytes(j, n);
    return s;
}

const struct fg_jj_str *fg_jj_str_c(struct fg_jj *j, const char *literal)
{
    return fg_jj_str(j, literal, strlen(literal), 0);
}

struct fg_jj_value fg_jj_text_value(struct fg_jj *j, const char *literal)
{
    return fg_jj_of_str(fg_jj_str_c(j, literal));
}

/* The run that the byte at `at` lies in. */
static size_t run_at(const struct fg_jj_str *s, size_t at)
{
    size_t low = 0, high = s->n_runs - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (s->runs[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct fg_jj_str *fg_jj_str_cut(struct fg_jj *j, const struct fg_jj_str *s, size_t from,
                                      size_t to)
{
    struct fg_jj_str *c;
    struct fg_jj_run *runs;
    size_t first, last;

    if (from == 0 && to == s->n)
        return s;
    if (from >= to)
        return fg_jj_str(j, "", 0, s->n_runs ? s->runs[0].src : s->src);
    c = (struct fg_jj_str *)fg_jj_str(j, s->p + from, to - from, s->src);
    c->markup = s->markup;
    if (!s->n_runs)
        return c;
    first = run_at(s, from);
    last = run_at(s, to - 1);
    if (first == last) {
        c->src = s->runs[first].src;
        return c;
    }
    c->n_runs = last - first + 1;
    c->runs = runs = fg_jj_alloc(j, c->n_runs * sizeof *runs);
    for (size_t i = first; i <= last; i++) {
        size_t end = s->runs[i].end < to ? s->runs[i].end : to;

        runs[i - first] = (struct fg_jj_run){.end = end - from, .src = s->runs[i].src};
    }
    return c;
}

uint32_t fg_jj_str_src(const struct fg_jj_str *s, size_t at)
{
    return s->n_runs && at < s->n ? s->runs[run_at(s, at)].src : s->src;
}

uint32_t fg_jj_str_one_src(const struct fg_jj_str *s)
{
    for (size_t i = 0; i < s->n_runs; i++) {
        if (s->runs[i].src)
            return s->runs[i].src;
    }
    return s->n_runs ? 0 : s->src;
}

size_t fg_jj_str_offset(const struct fg_jj_str *s, size_t chars)
{
    size_t at = 0;

    if (chars >= s->chars)
        return s->n;
    if (s->chars == s->n)
        return chars;
    while (chars) {
        at++;
        while (((unsigned char)s->p[at] & 0xc0) == 0x80)
            at++;
        chars--;
    }
    return at;
}

bool fg_jj_str_eq(const struct fg_jj_str *a, const struct fg_jj_str *b)
{
    return a == b || (a->n == b->n && memcmp(a->p, b->p, a->n) == 0);
}

bool fg_jj_str_is(const struct fg_jj_str *s, const char *literal)
{
    return s->n == strlen(literal) && memcmp(s->p, literal, s->n) == 0;
}

int fg_jj_str_cmp(const struct fg_jj_str *a, const struct fg_jj_str *b)
{
    int r = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

    return r ? (r < 0 ? -1 : 1) : (a->n > b->n) - (a->n < b->n);
}

size_t fg_jj_str_find(struct fg_jj *j, const struct fg_jj_str *s, const struct fg_jj_str *needle,
                      size_t from, size_t to)
{
    const char *at;

    if (from > to || to > s->n || needle->n > to - from)
        return SIZE_MAX;
    at = memmem(s->p + from, to - from, needle->p, needle->n);
    fg_jj_spend_bytes(j, at ? (size_t)(at - s->p) - from : to - from);
    return at ? (size_t)(at - s->p) : SIZE_MAX;
}

size_t fg_jj_str_rfind(struct fg_jj *j, const struct fg_jj_str *s, const struct fg_jj_str *needle,
                       size_t from, size_t to)
{
    if (from > to || to > s->n || needle->n > to - from)
        return SIZE_MAX;
    fg_jj_spend_bytes(j, to - from);
    for (size_t at = to - needle->n;; at--) {
        if (needle->n && s->p[at] == needle->p[0])
            fg_jj_spend_bytes(j, needle->n);
        if (memcmp(s->p + at, needle->p, needle->n) == 0)
            return at;
        if (at == from)
            return SIZE_MAX;
    }
}

uint32_t fg_jj_next_char(const struct fg_jj_str *s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s->p + *at;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    *at += n;
    return c;
}

uint32_t fg_jj_prev_char(const struct fg_jj_str *s, size_t *at)
{
    size_t start = *at - 1, ignored;

    while (((unsigned char)s->p[start] & 0xc0) == 0x80)
        start--;
    *at = ignored = start;
    return fg_jj_next_char(s, &ignored);
}

void fg_jj_text_add(struct fg_jj *j, struct fg_jj_text *t, const char *p, size_t n, uint32_t src)
{
    if (!n)
        return;
    if (t == j->root && n > j->max_output - t->n)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template prints more than %zu bytes", j->max_output);
    t->p = fg_jj_grow(j, t->p, &t->cap, t->n + n, 1);
    memcpy(t->p + t->n, p, n);
    t->n += n;
    fg_jj_spend_bytes(j, n);
    if (t->n_runs && t->runs[t->n_runs - 1].src == src) {
        t->runs[t->n_runs - 1].end = t->n;
        return;
    }
    t->runs = fg_jj_grow(j, t->runs, &t->cap_runs, t->n_runs + 1, sizeof *t->runs);
    t->runs[t->n_runs++] = (struct fg_jj_run){.end = t->n, .src = src};
}

void fg_jj_text_c(struct fg_jj *j, struct fg_jj_text *t, const char *literal, uint32_t src)
{
    fg_jj_text_add(j, t, literal, strlen(literal), src);
}

void fg_jj_text_char(struct fg_jj *j, struct fg_jj_text *t, uint32_t c, uint32_t src)
{
    char p[4];

    fg_jj_text_add(j, t, p, fg_utf8_put(c, p), src);
}

void fg_jj_text_str(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s)
{
    fg_jj_text_cut(j, t, s, 0, s->n);
}

void fg_jj_text_cut(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                    size_t to)
{
    if (from >= to)
        return;
    if (!s->n_runs) {
        fg_jj_text_add(j, t, s->p + from, to - from, s->src);
        return;
    }
    for (size_t i = run_at(s, from); from < to; i++) {
        size_t end = s->runs[i].end < to ? s->runs[i].end : to;

        fg_jj_text_add(j, t, s->p + from, end - from, s->runs[i].src);
        from = end;
    }
}

const struct fg_jj_str *fg_jj_text_end(struct fg_jj *j, struct fg_jj_text *t)
{
    struct fg_jj_str *s = (struct fg_jj_str *)fg_jj_str(j, t->p ? t->p : "", t->n, 0);

    if (t->n_runs == 1) {
        s->src = t->runs[0].src;
    } else if (t->n_runs) {
        s->runs = t->runs;
        s->n_runs = t->n_runs;
    }
    return s;
}
