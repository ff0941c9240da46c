#include "json_scan.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "utf8.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_blanks(struct fg_str t, size_t *at)
{
    while (*at < t.n && is_blank(t.p[*at]))
        ++*at;
}

static bool is_digit(struct fg_str t, size_t at)
{
    return at < t.n && t.p[at] >= '0' && t.p[at] <= '9';
}

static bool skip_digits(struct fg_str t, size_t *at)
{
    if (!is_digit(t, *at))
        return false;
    while (is_digit(t, *at))
        ++*at;
    return true;
}

static bool skip_number(struct fg_str t, size_t *at)
{
    if (t.p[*at] == '-')
        ++*at;
    if (*at < t.n && t.p[*at] == '0')
        ++*at;
    else if (!skip_digits(t, at))
        return false;
    if (*at < t.n && t.p[*at] == '.') {
        ++*at;
        if (!skip_digits(t, at))
            return false;
    }
    if (*at < t.n && (t.p[*at] == 'e' || t.p[*at] == 'E')) {
        ++*at;
        if (*at < t.n && (t.p[*at] == '+' || t.p[*at] == '-'))
            ++*at;
        return skip_digits(t, at);
    }
    return true;
}

/* The value of four hexadecimal digits, or -1. */
static int32_t read_hex(struct fg_str t, size_t at)
{
    int32_t v = 0;

    for (size_t i = at; i < at + 4; i++) {
        int digit = i < t.n ? fg_hex_digit(t.p[i]) : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* Has one of eight bytes the value 0? */
static bool has_zero(uint64_t w)
{
    return ((w - 0x0101010101010101u) & ~w & 0x8080808080808080u) != 0;
}

/* Where the next quote, backslash or control character may be, eight bytes at a time. */
static size_t skip_plain(struct fg_str t, size_t at)
{
    uint64_t w;

    for (; t.n - at >= sizeof w; at += sizeof w) {
        memcpy(&w, t.p + at, sizeof w);
        if (has_zero(w ^ 0x2222222222222222u) || has_zero(w ^ 0x5c5c5c5c5c5c5c5cu) ||
            has_zero(w & 0xe0e0e0e0e0e0e0e0u))
            break;
    }
    return at;
}

static bool skip_string(struct fg_str t, size_t *at)
{
    for (size_t i = skip_plain(t, *at + 1); i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];

        if (c == '"') {
            *at = i + 1;
            return true;
        }
        if (c < 0x20)
            return false;
        if (c != '\\') {
            i = skip_plain(t, i + 1) - 1;
            continue;
        }
        if (++i == t.n || !t.p[i] || !strchr("\"\\/bfnrtu", t.p[i]) ||
            (t.p[i] == 'u' && read_hex(t, i + 1) < 0))
            return false;
    }
    return false;
}

static bool skip_word(struct fg_str t, size_t *at, const char *word)
{
    size_t n = strlen(word);

    if (t.n - *at < n || memcmp(t.p + *at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

static bool skip_value(struct fg_str t, size_t *at, int depth);

/* A name and its colon. */
static bool skip_name(struct fg_str t, size_t *at)
{
    skip_blanks(t, at);
    if (*at == t.n || t.p[*at] != '"' || !skip_string(t, at))
        return false;
    skip_blanks(t, at);
    return *at < t.n && t.p[(*at)++] == ':';
}

static bool skip_container(struct fg_str t, size_t *at, int depth)
{
    bool object = t.p[(*at)++] == '{';
    char end = object ? '}' : ']';

    skip_blanks(t, at);
    if (*at < t.n && t.p[*at] == end) {
        ++*at;
        return true;
    }
    while (depth < FG_SCAN_MAX_DEPTH) {
        if ((object && !skip_name(t, at)) || !skip_value(t, at, depth + 1))
            return false;
        skip_blanks(t, at);
        if (*at == t.n || (t.p[*at] != end && t.p[*at] != ','))
            return false;
        if (t.p[(*at)++] == end)
            return true;
    }
    return false;
}

static bool skip_value(struct fg_str t, size_t *at, int depth)
{
    skip_blanks(t, at);
    if (*at >= t.n)
        return false;
    switch (t.p[*at]) {
    case '{':
    case '[': return skip_container(t, at, depth);
    case '"': return skip_string(t, at);
    case 't': return skip_word(t, at, "true");
    case 'f': return skip_word(t, at, "false");
    case 'n': return skip_word(t, at, "null");
    default: return skip_number(t, at);
    }
}

bool fg_scan_value(struct fg_str text, size_t *at)
{
    return skip_value(text, at, 0);
}

bool fg_scan_whole(struct fg_str text, struct fg_str *value)
{
    size_t from = 0, at;

    skip_blanks(text, &from);
    at = from;
    if (!fg_scan_value(text, &at))
        return false;
    *value = (struct fg_str){text.p + from, at - from};
    skip_blanks(text, &at);
    return at == text.n;
}

bool fg_scan_next(struct fg_scan *s)
{
    bool object = s->text.n && s->text.p[0] == '{';
    size_t at = s->at ? s->at : 1, from;

    if (!s->text.n || (s->text.p[0] != '{' && s->text.p[0] != '['))
        return false;
    skip_blanks(s->text, &at);
    if (s->at && (at == s->text.n || s->text.p[at++] != ','))
        return false;
    s->name = (struct fg_str){"", 0};
    if (object) {
        skip_blanks(s->text, &at);
        from = at;
        if (!skip_name(s->text, &at))
            return false;
        s->name.p = s->text.p + from;
        while (s->name.p[s->name.n] != '"' || s->name.n == 0)
            s->name.n += s->name.p[s->name.n] == '\\' ? 2 : 1;
        s->name.n++;
    }
    skip_blanks(s->text, &at);
    from = at;
    if (at == s->text.n || s->text.p[at] == ']' || !fg_scan_value(s->text, &at))
        return false;
    s->value = (struct fg_str){s->text.p + from, at - from};
    s->at = at;
    return true;
}

bool fg_scan_find(struct fg_str object, const char *name, struct fg_str *value)
{
    struct fg_scan s = {.text = object};
    bool found = false;

    if (!object.n || object.p[0] != '{')
        return false;
    while (fg_scan_next(&s))
        if (fg_scan_is(s.name, name)) {
            *value = s.value;
            found = true;
        }
    return found;
}

static void add_code(uint32_t c, struct fg_buffer *out)
{
    char b[4];

    fg_buffer_add(out, b, fg_utf8_put(c, b));
}

/* The character of an escape at the backslash t.p[at]; returns where the text goes on. */
static size_t add_escape(struct fg_str t, size_t at, struct fg_buffer *out)
{
    static const char plain[] = "b\bf\fn\nr\rt\t";
    char c = t.p[at + 1];
    uint32_t code;

    if (c != 'u') {
        for (size_t i = 0; i + 1 < sizeof plain; i += 2)
            if (plain[i] == c)
                c = plain[i + 1];
        fg_buffer_add(out, &c, 1);
        return at + 2;
    }
    code = (uint32_t)read_hex(t, at + 2);
    at += 6;
    if (code >= 0xd800 && code < 0xdc00 && at + 6 <= t.n && t.p[at] == '\\' && t.p[at + 1] == 'u') {
        int32_t low = read_hex(t, at + 2);

        if (low >= 0xdc00 && low < 0xe000) {
            add_code(0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00), out);
            return at + 6;
        }
    }
    add_code(code >= 0xd800 && code < 0xe000 ? 0xfffd : code, out);
    return at;
}

void fg_scan_string(struct fg_str quoted, struct fg_buffer *out)
{
    size_t at = 1, plain = 1, end = quoted.n ? quoted.n - 1 : 0;

    fg_buffer_str(out, "");
    while (at < end) {
        if (quoted.p[at] != '\\') {
            at++;
            continue;
        }
        fg_buffer_add(out, quoted.p + plain, at - plain);
        at = plain = add_escape(quoted, at, out);
    }
    if (plain < end)
        fg_buffer_add(out, quoted.p + plain, end - plain);
}

bool fg_scan_is(struct fg_str quoted, const char *text)
{
    struct fg_buffer b = {0};
    size_t n = strlen(text);
    bool same;

    if (quoted.n < 2)
        return false;
    if (!memchr(quoted.p, '\\', quoted.n))
        return quoted.n == n + 2 && memcmp(quoted.p + 1, text, n) == 0;
    fg_scan_string(quoted, &b);
    same = !b.failed && b.n == n && memcmp(b.p, text, n) == 0;
    fg_buffer_finish(&b);
    return same;
}

void fg_scan_quote(struct fg_str s, struct fg_buffer *out)
{
    size_t plain = 0;

    fg_buffer_str(out, "\"");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char escape[8];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else
            snprintf(escape, sizeof escape, "\\u%04x", c);
        fg_buffer_add(out, s.p + plain, i - plain);
        fg_buffer_str(out, escape);
        plain = i + 1;
    }
    if (plain < s.n) /* an empty text may be no address */
        fg_buffer_add(out, s.p + plain, s.n - plain);
    fg_buffer_str(out, "\"");
}

/* --- the same value --- */

/* A number as digits without zeros at either end, times a power of ten. */
struct decimal {
    bool negative, whole; /* whole: written without fraction and exponent */
    struct fg_buffer digits;
    long exponent;
};

static void read_decimal(struct fg_str t, struct decimal *d)
{
    size_t i = t.p[0] == '-', point = 0, zeros = 0;
    bool fraction = false;

    *d = (struct decimal){.negative = i == 1, .whole = true};
    fg_buffer_str(&d->digits, "");
    for (; i < t.n && t.p[i] != 'e' && t.p[i] != 'E'; i++) {
        if (t.p[i] == '.') {
            fraction = true;
            d->whole = false;
            continue;
        }
        point += fraction;
        if (t.p[i] != '0' || d->digits.n)
            fg_buffer_add(&d->digits, t.p + i, 1);
    }
    if (i < t.n) {
        d->whole = false;
        d->exponent = strtol(t.p + i + 1, NULL, 10); /* a value ends where it does */
    }
    while (zeros < d->digits.n && d->digits.p[d->digits.n - 1 - zeros] == '0')
        zeros++;
    d->digits.n -= zeros;
    if (d->exponent > -1000000000 && d->exponent < 1000000000)
        d->exponent += (long)zeros - (long)point;
    if (!d->digits.n) {
        d->exponent = 0;
        d->negative = false;
    }
}

static double as_double(struct fg_str t)
{
    struct fg_buffer b = {0};
    double v;

    fg_buffer_view(&b, t);
    v = b.p ? strtod(b.p, NULL) : 0;
    fg_buffer_finish(&b);
    return v;
}

static bool same_number(struct fg_str a, struct fg_str b)
{
    struct decimal x, y;
    bool same, whole, failed;

    read_decimal(a, &x);
    read_decimal(b, &y);
    failed = x.digits.failed || y.digits.failed;
    same = x.negative == y.negative && x.exponent == y.exponent && x.digits.n == y.digits.n &&
           (!x.digits.n || memcmp(x.digits.p, y.digits.p, x.digits.n) == 0);
    whole = x.whole && y.whole;
    fg_buffer_finish(&x.digits);
    fg_buffer_finish(&y.digits);
    return !failed && (same || (!whole && isfinite(as_double(a)) && as_double(a) == as_double(b)));
}

static bool same_string(struct fg_str a, struct fg_str b)
{
    struct fg_buffer x = {0}, y = {0};
    bool same;

    fg_scan_string(a, &x);
    fg_scan_string(b, &y);
    same = !x.failed && !y.failed && x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
    fg_buffer_finish(&x);
    fg_buffer_finish(&y);
    return same;
}

/* What comparing may still cost, in bytes that are looked at. */
struct budget {
    size_t bytes;
};

static bool spend(struct budget *left, size_t bytes)
{
    left->bytes = left->bytes > bytes ? left->bytes - bytes : 0;
    return left->bytes > 0;
}

static bool same_value(struct fg_str a, struct fg_str b, struct budget *left);

static size_t count(struct fg_str container)
{
    struct fg_scan s = {.text = container};
    size_t n = 0;

    while (fg_scan_next(&s))
        n++;
    return n;
}

/* Member for member of a, the one of b with that name. They are mostly in one order, so the search
 * goes on where the last one ended. */
static bool same_object(struct fg_str a, struct fg_str b, struct budget *left)
{
    struct fg_scan x = {.text = a}, y = {.text = b};
    size_t n = count(a), steps;

    if (n != count(b))
        return false;
    while (fg_scan_next(&x)) {
        for (steps = 0; steps <= n; steps++) {
            if (!fg_scan_next(&y)) {
                y = (struct fg_scan){.text = b};
                continue;
            }
            if (!spend(left, y.name.n + y.value.n))
                return false;
            if (same_string(x.name, y.name))
                break;
        }
        if (steps > n || !same_value(x.value, y.value, left))
            return false;
    }
    return true;
}

static bool same_array(struct fg_str a, struct fg_str b, struct budget *left)
{
    struct fg_scan x = {.text = a}, y = {.text = b};
    bool more_x, more_y;

    do {
        more_x = fg_scan_next(&x);
        more_y = fg_scan_next(&y);
        if (more_x != more_y || (more_x && !same_value(x.value, y.value, left)))
            return false;
    } while (more_x);
    return true;
}

static bool same_value(struct fg_str a, struct fg_str b, struct budget *left)
{
    char x = a.p[0], y = b.p[0];
    bool numbers = (x == '-' || is_digit(a, 0)) && (y == '-' || is_digit(b, 0));

    if (!spend(left, a.n + b.n))
        return false;
    if (numbers)
        return same_number(a, b);
    if (x != y)
        return false;
    switch (x) {
    case '"': return same_string(a, b);
    case '{': return same_object(a, b, left);
    case '[': return same_array(a, b, left);
    default: return true;
    }
}

bool fg_scan_equal(struct fg_str a, struct fg_str b)
{
    struct budget left = {(a.n + b.n) * 64 + 4096};

    return fg_scan_whole(a, &a) && fg_scan_whole(b, &b) && same_value(a, b, &left);
}
