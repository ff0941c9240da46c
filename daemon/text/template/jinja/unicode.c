#include "unicode.h"

struct range {
    uint32_t first, last;
};

/* Each `step`-th character from first to last becomes the one `difference` away. */
struct run {
    uint32_t first, last, step;
    int32_t difference;
};

struct several {
    uint32_t c, to[3];
};

#include "unicode_cases.h"
#include "unicode_kinds.h"
#include "unicode_letters.h"

static bool within(const struct range *r, size_t n, uint32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (r[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && r[low].first <= c;
}

#define IS(name)                                                                                   \
    bool fg_unicode_##name(uint32_t c)                                                             \
    {                                                                                              \
        return within(name, sizeof name / sizeof name[0], c);                                      \
    }

IS(space)
IS(printable)
IS(alpha)
IS(decimal)
IS(digit)
IS(numeric)
IS(lower)
IS(upper)
IS(cased)
IS(ignorable)

/* Each set of ten digits is in order, and begins with its zero. */
int fg_unicode_digit_value(uint32_t c)
{
    for (size_t i = 0; i < sizeof decimal / sizeof decimal[0]; i++) {
        if (decimal[i].first <= c && c <= decimal[i].last)
            return (int)((c - decimal[i].first) % 10);
    }
    return -1;
}

bool fg_unicode_word(uint32_t c)
{
    return c == '_' || fg_unicode_alpha(c) || fg_unicode_numeric(c) || fg_unicode_digit(c);
}

static size_t map_several(const struct several *s, size_t n, uint32_t c, uint32_t out[3])
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i].c != c)
            continue;
        while (chars < 3 && s[i].to[chars]) {
            out[chars] = s[i].to[chars];
            chars++;
        }
    }
    return chars;
}

static uint32_t map_one(const struct run *r, size_t n, uint32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (r[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == n || r[low].first > c || (c - r[low].first) % r[low].step)
        return c;
    return (uint32_t)((int32_t)c + r[low].difference);
}

#define MAP(function, table)                                                                       \
    size_t fg_unicode_##function(uint32_t c, uint32_t out[3])                                      \
    {                                                                                              \
        size_t n = c < 0x80                                                                        \
                       ? 0                                                                         \
                       : map_several(table##_several,                                              \
                                     sizeof table##_several / sizeof table##_several[0], c, out);  \
                                                                                                   \
        if (n)                                                                                     \
            return n;                                                                              \
        out[0] = map_one(table, sizeof table / sizeof table[0], c);                                \
        return 1;                                                                                  \
    }

MAP(to_upper, to_upper)
MAP(to_lower, to_lower)
MAP(to_title, to_title)
MAP(fold, to_fold)
