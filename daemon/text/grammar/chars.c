#include "chars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void fg_chars_add(struct fg_chars *c, uint32_t first, uint32_t last)
{
    if (c->n == FG_CHARS_MAX) {
        c->full = true;
        return;
    }
    c->range[c->n].first = first;
    c->range[c->n++].last = last;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return x[0] < y[0] ? -1 : x[0] > y[0];
}

void fg_chars_sort(struct fg_chars *c)
{
    size_t n = 0;

    qsort(c->range, c->n, sizeof *c->range, compare);
    for (size_t i = 0; i < c->n; i++) {
        if (n && c->range[i].first <= c->range[n - 1].last + 1) {
            if (c->range[i].last > c->range[n - 1].last)
                c->range[n - 1].last = c->range[i].last;
        } else {
            c->range[n++] = c->range[i];
        }
    }
    c->n = n;
}

void fg_chars_invert(struct fg_chars *c, uint32_t most)
{
    struct fg_chars out = {.full = c->full};
    uint32_t next = 0;

    fg_chars_sort(c);
    for (size_t i = 0; i < c->n && next <= most; i++) {
        if (c->range[i].first > next) {
            uint32_t last = c->range[i].first - 1;

            fg_chars_add(&out, next, last < most ? last : most);
        }
        next = c->range[i].last + 1;
    }
    if (next <= most)
        fg_chars_add(&out, next, most);
    *c = out;
}

fg_expr fg_expr_char(struct fg_exprs *x, uint32_t c, enum fg_char_form form)
{
    static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *known = c && c < 0x80 ? strchr(escaped, (int)c) : NULL;
    char text[8];

    if (form == FG_CHARS_IN_TAGS && (c == '<' || c == '\n'))
        return FG_EXPR_NEVER;
    if (form != FG_CHARS_IN_JSON || (c >= 0x20 && !known))
        return fg_expr_code_points(x, c, c);
    if (known)
        snprintf(text, sizeof text, "\\%c", letters[known - escaped]);
    else
        snprintf(text, sizeof text, "\\u%04x", c);
    return fg_expr_literal(x, text);
}

fg_expr fg_expr_chars(struct fg_exprs *x, struct fg_chars *c, enum fg_char_form form)
{
    static const uint32_t json[][2] = {
        {0x20, 0x21}, {0x23, 0x5b}, {0x5d, FG_LAST_CHAR}}; /* not escaped */
    static const uint32_t tags[][2] = {{0, '\n' - 1}, {'\n' + 1, '<' - 1}, {'<' + 1, FG_LAST_CHAR}};
    const uint32_t(*parts)[2] = form == FG_CHARS_IN_JSON ? json : tags;
    fg_expr all = FG_EXPR_NEVER;

    if (c->full && !x->error)
        x->error = FG_EFULL;
    fg_chars_sort(c);
    for (size_t i = 0; i < c->n; i++) {
        uint32_t first = c->range[i].first, last = c->range[i].last;

        if (form == FG_CHARS_PLAIN) {
            all = fg_expr_alt(x, all, fg_expr_code_points(x, first, last));
            continue;
        }
        for (size_t p = 0; p < 3; p++) {
            uint32_t low = first > parts[p][0] ? first : parts[p][0];
            uint32_t high = last < parts[p][1] ? last : parts[p][1];

            if (low <= high)
                all = fg_expr_alt(x, all, fg_expr_code_points(x, low, high));
        }
        for (uint32_t ch = first; form == FG_CHARS_IN_JSON && ch <= last && ch <= '\\'; ch++)
            if (ch < 0x20 || ch == '"' || ch == '\\')
                all = fg_expr_alt(x, all, fg_expr_char(x, ch, form));
    }
    return all;
}

bool fg_next_char(struct fg_str text, size_t *at, uint32_t *c)
{
    const uint8_t *p = (const uint8_t *)text.p + *at;
    size_t n = fg_utf8_length(text.p + *at, text.n - *at);

    static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};

    if (!n)
        return false;
    *c = p[0] & first[n];
    for (size_t i = 1; i < n; i++)
        *c = *c << 6 | (p[i] & 0x3f);
    *at += n;
    return true;
}
