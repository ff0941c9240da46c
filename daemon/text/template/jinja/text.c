#include "text.h"

#include <string.h>

#include "unicode.h"

static bool strips(const struct jj_str *chars, uint32_t c)
{
    if (!chars)
        return fg_unicode_space(c);
    for (size_t at = 0; at < chars->n;) {
        if (jj_next_char(chars, &at) == c)
            return true;
    }
    return false;
}

const struct jj_str *jj_strip(struct jj *j, const struct jj_str *s, const struct jj_str *chars,
                              bool left, bool right)
{
    size_t from = 0, to = s->n, next;

    for (; left && from < to; from = next) {
        next = from;
        jj_spend_chars(j, 8 + (chars ? chars->n : 0));
        if (!strips(chars, jj_next_char(s, &next)))
            break;
    }
    for (; right && to > from; to = next) {
        next = to;
        jj_spend_chars(j, 8 + (chars ? chars->n : 0));
        if (!strips(chars, jj_prev_char(s, &next)))
            break;
    }
    return jj_str_cut(j, s, from, to);
}

/* Between characters, as Python does for an empty text. */
static void replace_nothing(struct jj *j, struct jj_text *t, const struct jj_str *s,
                            const struct jj_str *to, int64_t count)
{
    size_t at = 0, from = 0;

    while (at < s->n && count) {
        jj_text_str(j, t, to);
        jj_next_char(s, &at);
        jj_text_cut(j, t, s, from, at);
        from = at;
        count -= count > 0;
    }
    jj_text_cut(j, t, s, from, s->n);
    if (count)
        jj_text_str(j, t, to);
}

const struct jj_str *jj_replace(struct jj *j, const struct jj_str *s, const struct jj_str *from,
                                const struct jj_str *to, int64_t count)
{
    struct jj_text t = {0};
    size_t at = 0, found;
    struct jj_str *r;

    if (!from->n) {
        replace_nothing(j, &t, s, to, count);
    } else {
        while (count && (found = jj_str_find(j, s, from, at, s->n)) != SIZE_MAX) {
            jj_spend(j, 1);
            jj_text_cut(j, &t, s, at, found);
            jj_text_str(j, &t, to);
            at = found + from->n;
            count -= count > 0;
        }
        if (!at)
            return s;
        jj_text_cut(j, &t, s, at, s->n);
    }
    r = (struct jj_str *)jj_text_end(j, &t);
    r->markup = s->markup;
    return r;
}

static void push_cut(struct jj *j, struct jj_list *l, const struct jj_str *s, size_t from,
                     size_t to)
{
    jj_push(j, l, jj_of_str(jj_str_cut(j, s, from, to)));
}

/* Behind (or before) the characters at `at` that are white space, or are not. */
static size_t skip(const struct jj_str *s, size_t at, bool space)
{
    while (at < s->n) {
        size_t next = at;

        if (fg_unicode_space(jj_next_char(s, &next)) != space)
            break;
        at = next;
    }
    return at;
}

static size_t skip_back(const struct jj_str *s, size_t at, bool space)
{
    while (at > 0) {
        size_t before = at;

        if (fg_unicode_space(jj_prev_char(s, &before)) != space)
            break;
        at = before;
    }
    return at;
}

static struct jj_list *split_words(struct jj *j, const struct jj_str *s, int64_t most)
{
    struct jj_list *l = jj_list(j);
    size_t at = skip(s, 0, true), end;

    for (; at < s->n; at = skip(s, end, true)) {
        if (most == 0) {
            push_cut(j, l, s, at, s->n);
            break;
        }
        end = skip(s, at, false);
        push_cut(j, l, s, at, end);
        most -= most > 0;
    }
    return l;
}

struct jj_list *jj_split(struct jj *j, const struct jj_str *s, const struct jj_str *by,
                         int64_t most)
{
    struct jj_list *l;
    size_t at = 0, found;

    jj_spend_chars(j, s->n);
    if (!by)
        return split_words(j, s, most);
    if (!by->n)
        jj_raise(j, "empty separator");
    l = jj_list(j);
    while (most && (found = jj_str_find(j, s, by, at, s->n)) != SIZE_MAX) {
        push_cut(j, l, s, at, found);
        at = found + by->n;
        most -= most > 0;
    }
    push_cut(j, l, s, at, s->n);
    return l;
}

static void turn_around(struct jj_list *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct jj_value v = l->v[i];

        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
}

static struct jj_list *rsplit_words(struct jj *j, const struct jj_str *s, int64_t most)
{
    struct jj_list *l = jj_list(j);
    size_t at = skip_back(s, s->n, true), from;

    for (; at > 0; at = skip_back(s, from, true)) {
        if (most == 0) {
            push_cut(j, l, s, 0, at);
            break;
        }
        from = skip_back(s, at, false);
        push_cut(j, l, s, from, at);
        most -= most > 0;
    }
    turn_around(l);
    return l;
}

struct jj_list *jj_rsplit(struct jj *j, const struct jj_str *s, const struct jj_str *by,
                          int64_t most)
{
    struct jj_list *l;
    size_t at = s->n, found;

    jj_spend_chars(j, s->n);
    if (!by)
        return rsplit_words(j, s, most);
    if (!by->n)
        jj_raise(j, "empty separator");
    l = jj_list(j);
    while (most && (found = jj_str_rfind(j, s, by, 0, at)) != SIZE_MAX) {
        push_cut(j, l, s, found + by->n, at);
        at = found;
        most -= most > 0;
    }
    push_cut(j, l, s, 0, at);
    turn_around(l);
    return l;
}

static bool ends_line(uint32_t c)
{
    return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

struct jj_list *jj_lines(struct jj *j, const struct jj_str *s, bool keep_ends)
{
    struct jj_list *l = jj_list(j);
    size_t from = 0, at = 0;

    jj_spend_chars(j, s->n);
    while (at < s->n) {
        size_t end = at;
        uint32_t c = jj_next_char(s, &at);

        if (!ends_line(c))
            continue;
        at += c == '\r' && at < s->n && s->p[at] == '\n';
        push_cut(j, l, s, from, keep_ends ? at : end);
        from = at;
    }
    if (from < s->n)
        push_cut(j, l, s, from, s->n);
    return l;
}

void jj_text_repeat(struct jj *j, struct jj_text *t, const struct jj_str *s, int64_t times)
{
    for (int64_t i = 0; i < times && s->n; i++) {
        jj_spend(j, 1);
        jj_text_str(j, t, s);
    }
}

const struct jj_str *jj_pad(struct jj *j, const struct jj_str *s, int64_t width,
                            const struct jj_str *fill, int side)
{
    struct jj_text t = {0};
    int64_t pad = width - (int64_t)s->chars, left;

    if (width <= 0 || pad <= 0)
        return s;
    if (fill->chars != 1)
        jj_raise(j, "The fill character must be exactly one character long");
    /* As Python centers: the odd one goes left where the width is odd. */
    left = side < 0 ? pad : side > 0 ? 0 : pad / 2 + (pad & width & 1);
    jj_text_repeat(j, &t, fill, left);
    jj_text_str(j, &t, s);
    jj_text_repeat(j, &t, fill, pad - left);
    return jj_text_end(j, &t);
}
