#include "text.h"

#include <string.h>

#include "unicode.h"

static bool strips(const struct fg_jj_str *chars, uint32_t c)
{
    if (!chars)
        return fg_unicode_space(c);
    for (size_t at = 0; at < chars->n;) {
        if (fg_jj_next_char(chars, &at) == c)
            return true;
    }
    return false;
}

const struct fg_jj_str *fg_jj_strip(struct fg_jj *j, const struct fg_jj_str *s,
                                    const struct fg_jj_str *chars, bool left, bool right)
{
    size_t from = 0, to = s->n, next;

    for (; left && from < to; from = next) {
        next = from;
        fg_jj_spend_chars(j, 8 + (chars ? chars->n : 0));
        if (!strips(chars, fg_jj_next_char(s, &next)))
            break;
    }
    for (; right && to > from; to = next) {
        next = to;
        fg_jj_spend_chars(j, 8 + (chars ? chars->n : 0));
        if (!strips(chars, fg_jj_prev_char(s, &next)))
            break;
    }
    return fg_jj_str_cut(j, s, from, to);
}

/* Between characters, as Python does for an empty text. */
static void replace_nothing(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                            const struct fg_jj_str *to, int64_t count)
{
    size_t at = 0, from = 0;

    while (at < s->n && count) {
        fg_jj_text_str(j, t, to);
        fg_jj_next_char(s, &at);
        fg_jj_text_cut(j, t, s, from, at);
        from = at;
        count -= count > 0;
    }
    fg_jj_text_cut(j, t, s, from, s->n);
    if (count)
        fg_jj_text_str(j, t, to);
}

const struct fg_jj_str *fg_jj_replace(struct fg_jj *j, const struct fg_jj_str *s,
                                      const struct fg_jj_str *from, const struct fg_jj_str *to,
                                      int64_t count)
{
    struct fg_jj_text t = {0};
    size_t at = 0, found;
    struct fg_jj_str *r;

    if (!from->n) {
        replace_nothing(j, &t, s, to, count);
    } else {
        while (count && (found = fg_jj_str_find(j, s, from, at, s->n)) != SIZE_MAX) {
            fg_jj_spend(j, 1);
            fg_jj_text_cut(j, &t, s, at, found);
            fg_jj_text_str(j, &t, to);
            at = found + from->n;
            count -= count > 0;
        }
        if (!at)
            return s;
        fg_jj_text_cut(j, &t, s, at, s->n);
    }
    r = (struct fg_jj_str *)fg_jj_text_end(j, &t);
    r->markup = s->markup;
    return r;
}

static void push_cut(struct fg_jj *j, struct fg_jj_list *l, const struct fg_jj_str *s, size_t from,
                     size_t to)
{
    fg_jj_push(j, l, fg_jj_of_str(fg_jj_str_cut(j, s, from, to)));
}

/* Behind (or before) the characters at `at` that are white space, or are not. */
static size_t skip(const struct fg_jj_str *s, size_t at, bool space)
{
    while (at < s->n) {
        size_t next = at;

        if (fg_unicode_space(fg_jj_next_char(s, &next)) != space)
            break;
        at = next;
    }
    return at;
}

static size_t skip_back(const struct fg_jj_str *s, size_t at, bool space)
{
    while (at > 0) {
        size_t before = at;

        if (fg_unicode_space(fg_jj_prev_char(s, &before)) != space)
            break;
        at = before;
    }
    return at;
}

static struct fg_jj_list *split_words(struct fg_jj *j, const struct fg_jj_str *s, int64_t most)
{
    struct fg_jj_list *l = fg_jj_list(j);
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

struct fg_jj_list *fg_jj_split(struct fg_jj *j, const struct fg_jj_str *s,
                               const struct fg_jj_str *by, int64_t most)
{
    struct fg_jj_list *l;
    size_t at = 0, found;

    fg_jj_spend_chars(j, s->n);
    if (!by)
        return split_words(j, s, most);
    if (!by->n)
        fg_jj_raise(j, "empty separator");
    l = fg_jj_list(j);
    while (most && (found = fg_jj_str_find(j, s, by, at, s->n)) != SIZE_MAX) {
        push_cut(j, l, s, at, found);
        at = found + by->n;
        most -= most > 0;
    }
    push_cut(j, l, s, at, s->n);
    return l;
}

static void turn_around(struct fg_jj_list *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct fg_jj_value v = l->v[i];

        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
}

static struct fg_jj_list *rsplit_words(struct fg_jj *j, const struct fg_jj_str *s, int64_t most)
{
    struct fg_jj_list *l = fg_jj_list(j);
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

struct fg_jj_list *fg_jj_rsplit(struct fg_jj *j, const struct fg_jj_str *s,
                                const struct fg_jj_str *by, int64_t most)
{
    struct fg_jj_list *l;
    size_t at = s->n, found;

    fg_jj_spend_chars(j, s->n);
    if (!by)
        return rsplit_words(j, s, most);
    if (!by->n)
        fg_jj_raise(j, "empty separator");
    l = fg_jj_list(j);
    while (most && (found = fg_jj_str_rfind(j, s, by, 0, at)) != SIZE_MAX) {
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

struct fg_jj_list *fg_jj_lines(struct fg_jj *j, const struct fg_jj_str *s, bool keep_ends)
{
    struct fg_jj_list *l = fg_jj_list(j);
    size_t from = 0, at = 0;

    fg_jj_spend_chars(j, s->n);
    while (at < s->n) {
        size_t end = at;
        uint32_t c = fg_jj_next_char(s, &at);

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

void fg_jj_text_repeat(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                       int64_t times)
{
    for (int64_t i = 0; i < times && s->n; i++) {
        fg_jj_spend(j, 1);
        fg_jj_text_str(j, t, s);
    }
}

const struct fg_jj_str *fg_jj_pad(struct fg_jj *j, const struct fg_jj_str *s, int64_t width,
                                  const struct fg_jj_str *fill, int side)
{
    struct fg_jj_text t = {0};
    int64_t pad = width - (int64_t)s->chars, left;

    if (width <= 0 || pad <= 0)
        return s;
    if (fill->chars != 1)
        fg_jj_raise(j, "The fill character must be exactly one character long");
    /* As Python centers: the odd one goes left where the width is odd. */
    left = side < 0 ? pad : side > 0 ? 0 : pad / 2 + (pad & width & 1);
    fg_jj_text_repeat(j, &t, fill, left);
    fg_jj_text_str(j, &t, s);
    fg_jj_text_repeat(j, &t, fill, pad - left);
    return fg_jj_text_end(j, &t);
}
