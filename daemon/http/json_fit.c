#include "json_fit.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t digits(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] >= '0' && p[i] <= '9')
        i++;
    return i;
}

/* Bytes of the JSON number at p, 0 when there is none; *integer: it has neither a fraction nor an
 * exponent. */
static size_t number_bytes(const char *p, size_t n, bool *integer)
{
    size_t at = n && p[0] == '-', d = digits(p + at, n - at);

    *integer = true;
    if (!d || (d > 1 && p[at] == '0'))
        return 0;
    at += d;
    if (at < n && p[at] == '.') {
        d = digits(p + at + 1, n - at - 1);
        if (!d)
            return 0;
        at += 1 + d;
        *integer = false;
    }
    if (at < n && (p[at] == 'e' || p[at] == 'E')) {
        size_t sign = at + 1 < n && (p[at + 1] == '+' || p[at + 1] == '-');

        d = digits(p + at + 1 + sign, n - at - 1 - sign);
        if (!d)
            return 0;
        at += 1 + sign + d;
        *integer = false;
    }
    return at;
}

static void put_number(const char *p, size_t n, bool integer, struct fg_buffer *out)
{
    char *copy = strndup(p, n), fit[40];
    double v;

    if (!copy) {
        out->failed = true;
        return;
    }
    errno = 0;
    if (integer)
        strtoll(copy, NULL, 10);
    v = strtod(copy, NULL);
    free(copy);
    if (integer ? errno != ERANGE : !isinf(v)) {
        fg_buffer_add(out, p, n);
        return;
    }
    if (isinf(v))
        v = v < 0 ? -DBL_MAX : DBL_MAX;
    snprintf(fit, sizeof fit, "%.17g", v); /* of that size it has an exponent: no integer */
    fg_buffer_str(out, fit);
}

/* Bytes of the string at p, both quotes counted; n when it does not end. */
static size_t string_bytes(const char *p, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (p[i] == '\\')
            i++;
        else if (p[i] == '"')
            return i + 1;
    return n;
}

static bool is_name(const char *after, size_t n)
{
    size_t i = 0;

    while (i < n && (after[i] == ' ' || after[i] == '\t' || after[i] == '\n' || after[i] == '\r'))
        i++;
    return i < n && after[i] == ':';
}

static void put_name(const char *p, size_t n, struct fg_buffer *out)
{
    for (size_t i = 0, len; i < n; i += len) {
        len = p[i] == '\\' && i + 1 < n ? 2 : 1;
        if (n - i >= 6 && memcmp(p + i, "\\u0000", 6) == 0) {
            len = 6;
            fg_buffer_str(out, "\\ufffd");
        } else {
            fg_buffer_add(out, p + i, len);
        }
    }
}

void fg_json_fit(const char *text, size_t n, struct fg_buffer *out)
{
    for (size_t i = 0, len; i < n && !out->failed; i += len) {
        const char *p = text + i;
        bool integer;

        if (*p == '"') {
            len = string_bytes(p, n - i);
            if (is_name(p + len, n - i - len))
                put_name(p, len, out);
            else
                fg_buffer_add(out, p, len);
        } else if ((len = number_bytes(p, n - i, &integer)) > 0) {
            put_number(p, len, integer, out);
        } else {
            len = 1;
            fg_buffer_add(out, p, 1);
        }
    }
}
