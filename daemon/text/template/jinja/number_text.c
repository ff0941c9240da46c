/* Texts as numbers, as Python's int() and float() read them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"
#include "unicode.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

static int prefix_base(const char *p, size_t n)
{
    if (n < 2 || p[0] != '0')
        return 0;
    switch (p[1] | 32) {
    case 'x': return 16;
    case 'o': return 8;
    case 'b': return 2;
    default: return 0;
    }
}

/* Digits with single underscores between; false: something else is there. */
static bool plain_digits(const char *p, size_t n, int base, char *out)
{
    bool digit = false;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '_') {
            if (!digit)
                return false;
            digit = false;
            continue;
        }
        digit = digit_value(p[i]) < base;
        if (!digit)
            return false;
        *out++ = p[i];
    }
    *out = '\0';
    return digit;
}

/* Without white space around, and with the digits of every script as those of ASCII. */
static const struct fg_jj_str *plain_number(struct fg_jj *j, const struct fg_jj_str *s)
{
    const struct fg_jj_str *t = fg_jj_strip(j, s, NULL, true, true);
    struct fg_jj_text plain = {0};

    if (t->chars == t->n)
        return t;
    for (size_t at = 0; at < t->n;) {
        uint32_t c = fg_jj_next_char(t, &at);
        int digit = fg_unicode_digit_value(c);

        fg_jj_text_char(j, &plain, digit < 0 ? c : (uint32_t)('0' + digit), 0);
    }
    return fg_jj_text_end(j, &plain);
}

bool fg_jj_parse_int(struct fg_jj *j, const struct fg_jj_str *s, int base, struct fg_jj_value *out)
{
    const struct fg_jj_str *t = plain_number(j, s);
    const char *p = t->p, *end = t->p + t->n;
    char *digits = fg_jj_alloc(j, t->n + 2), *d = digits;
    int prefix;

    if (p < end && (*p == '-' || *p == '+'))
        *d++ = *p++;
    prefix = prefix_base(p, (size_t)(end - p));
    if (prefix && (base == 0 || base == prefix)) {
        p += 2;
        p += p < end && *p == '_';
        base = prefix;
    } else if (base == 0) {
        base = 10;
        if (end - p > 1 && *p == '0' && strspn(p, "0_") < (size_t)(end - p))
            return false;
    }
    if (!plain_digits(p, (size_t)(end - p), base, d))
        return false;
    errno = 0;
    *out = fg_jj_int(strtoll(digits, NULL, base));
    if (errno)
        fg_jj_raise(j, "an integer is larger than 64 bits");
    out->src = fg_jj_str_one_src(s);
    return true;
}

static bool is_word(const char *p)
{
    p += *p == '-' || *p == '+';
    return strcasecmp(p, "inf") == 0 || strcasecmp(p, "infinity") == 0 || strcasecmp(p, "nan") == 0;
}

bool fg_jj_parse_float(struct fg_jj *j, const struct fg_jj_str *s, double *out)
{
    const struct fg_jj_str *t = plain_number(j, s);
    char *text = fg_jj_alloc(j, t->n + 1), *d = text, *end;

    for (size_t i = 0; i < t->n; i++) {
        bool digits =
            i && i + 1 < t->n && digit_value(t->p[i - 1]) < 10 && digit_value(t->p[i + 1]) < 10;

        if (t->p[i] == '_' && digits)
            continue;
        *d++ = t->p[i];
    }
    *d = '\0';
    if (!t->n || strlen(text) != (size_t)(d - text))
        return false;
    if (!is_word(text) && text[strspn(text, "0123456789.eE+-")])
        return false;
    *out = strtod(text, &end);
    return !*end && end != text;
}
