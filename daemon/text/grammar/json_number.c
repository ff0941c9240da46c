/* Numbers between two others, digit by digit: as long as the digits so far are those of a bound,
 * the next one is held against the bound's; once they differ, any may follow. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_schema_parts.h"

enum { MOST_DIGITS = 20 /* before the point, and behind it */ };

/* A magnitude, without what is 0 at its ends. */
struct decimal {
    char whole[MOST_DIGITS + 4], part[MOST_DIGITS + 4];
    int n_whole, n_part;
};

struct bound {
    bool set, negative, strict; /* strict: the number itself is outside */
    struct decimal v;
};

/* Magnitudes from low to high; both may be unset. */
struct between {
    struct fg_exprs *x;
    const struct bound *low, *high;
    bool whole; /* no fractions */
    int length; /* digits before the point */
};

static fg_expr digits(struct fg_exprs *x, int least, int most)
{
    return fg_expr_repeat(x, fg_expr_byte(x, '0', '9'), (uint32_t)least, (uint32_t)most);
}

/* May it end here, behind k digits of the fraction? */
static bool may_end(const struct between *b, int k, bool low, bool high)
{
    if (low && (k < b->low->v.n_part || b->low->strict))
        return false;
    return !high || k < b->high->v.n_part || !b->high->strict;
}

static int digit_at(const struct decimal *v, int i, int length)
{
    if (i < length)
        return v->whole[i] - '0';
    return i - length < v->n_part ? v->part[i - length] - '0' : 0;
}

/* Digits from place i on (of the whole number and then the fraction), where those before are the
 * bounds' if low, high. */
static fg_expr from_digit(const struct between *b, int i, bool low, bool high);

static fg_expr behind_digit(const struct between *b, int i, bool low, bool high)
{
    struct fg_exprs *x = b->x;
    fg_expr more = FG_EXPR_NEVER;
    int k = i - b->length;

    if (k < 0)
        return from_digit(b, i, low, high);
    if (!b->whole && k < MOST_DIGITS)
        more = from_digit(b, i, low, high);
    if (k == 0)
        more = fg_expr_seq(x, fg_expr_literal(x, "."), more);
    return fg_expr_alt(x, more, may_end(b, k, low, high) ? FG_EXPR_EMPTY : FG_EXPR_NEVER);
}

/* Any digits, from place i on. */
static fg_expr any_from(const struct between *b, int i)
{
    struct fg_exprs *x = b->x;
    fg_expr whole = i < b->length ? digits(x, b->length - i, b->length - i) : FG_EXPR_EMPTY, part;

    if (b->whole)
        return whole;
    if (i > b->length)
        return digits(x, 0, MOST_DIGITS + b->length - i);
    part = fg_expr_seq(x, fg_expr_literal(x, "."), digits(x, 1, MOST_DIGITS));
    return fg_expr_seq(x, whole, fg_expr_optional(x, part));
}

static fg_expr from_digit(const struct between *b, int i, bool low, bool high)
{
    struct fg_exprs *x = b->x;
    int least = i == 0 && b->length > 1 ? 1 : 0, most = 9;
    int l = low ? digit_at(&b->low->v, i, b->length) : least - 1;
    int h = high ? digit_at(&b->high->v, i, b->length) : most + 1;
    fg_expr all = FG_EXPR_NEVER;

    if (l > h)
        return FG_EXPR_NEVER;
    for (int edge = 0; edge < 2; edge++) {
        int d = edge ? h : l;
        bool same = l == h;

        if (d < least || d > most || (edge && same))
            continue;
        all = fg_expr_alt(
            x, all,
            fg_expr_seq(x, fg_expr_byte(x, (uint8_t)('0' + d), (uint8_t)('0' + d)),
                        behind_digit(b, i + 1, low && (same || !edge), high && (same || edge))));
    }
    least = l + 1 > least ? l + 1 : least;
    most = h - 1 < most ? h - 1 : most;
    if (least <= most)
        all = fg_expr_alt(
            x, all,
            fg_expr_seq(x, fg_expr_byte(x, (uint8_t)('0' + least), (uint8_t)('0' + most)),
                        any_from(b, i + 1)));
    return all;
}

static fg_expr magnitudes(struct fg_exprs *x, const struct bound *low, const struct bound *high,
                          bool whole)
{
    struct between b = {.x = x, .low = low, .high = high, .whole = whole};
    int least = low->set ? low->v.n_whole : 1, most = high->set ? high->v.n_whole : MOST_DIGITS;
    fg_expr all = FG_EXPR_NEVER;

    for (b.length = least; b.length <= most; b.length++)
        all = fg_expr_alt(
            x, all,
            from_digit(&b, 0, low->set && b.length == least, high->set && b.length == most));
    return all;
}

/* A double as its decimal digits; false: it has more of them than are done. */
static bool to_decimal(double v, struct decimal *out)
{
    char text[64], *e;
    int n = 0, exponent;

    if (v == 0) {
        *out = (struct decimal){.whole = "0", .n_whole = 1};
        return true;
    }
    for (int precision = 14; precision <= 16; precision++) { /* the shortest that is the same */
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    e = strchr(text, 'e');
    exponent = (int)strtol(e + 1, NULL, 10);
    memmove(text + 1, text + 2, (size_t)(e - text) - 2); /* the point goes */
    n = (int)(e - text) - 1;
    while (n > 1 && text[n - 1] == '0')
        n--;
    *out = (struct decimal){.n_whole = 0};
    if (exponent >= MOST_DIGITS || n - 1 - exponent > MOST_DIGITS)
        return false;
    for (int i = 0; i <= exponent; i++)
        out->whole[out->n_whole++] = i < n ? text[i] : '0';
    if (exponent < 0)
        out->whole[out->n_whole++] = '0';
    for (int i = exponent + 1; i < n; i++)
        out->part[out->n_part++] = i < 0 ? '0' : text[i];
    return true;
}

static void read_bound(struct fg_schema_reader *r, const json_t *v, const char *name, bool strict,
                       struct bound *out)
{
    double d = json_number_value(v);

    if (!json_is_number(v)) {
        fg_schema_fail(r, FG_EINVAL, "%s must be a number", name);
        return;
    }
    *out = (struct bound){.set = true, .negative = d < 0, .strict = strict};
    if (json_is_integer(v)) {
        long long n = json_integer_value(v);

        snprintf(out->v.whole, sizeof out->v.whole, "%llu",
                 n < 0 ? 0ull - (unsigned long long)n : (unsigned long long)n);
        out->v.n_whole = (int)strlen(out->v.whole);
    } else if (!to_decimal(fabs(d), &out->v)) {
        fg_schema_fail(r, FG_EUNSUPPORTED, "%s: numbers of more than %d digits are not done", name,
                       MOST_DIGITS);
    }
}

static int compare(const struct bound *a, const struct bound *b)
{
    int sign = a->negative ? -1 : 1, c;

    if (a->negative != b->negative)
        return sign;
    if (a->v.n_whole != b->v.n_whole)
        return a->v.n_whole < b->v.n_whole ? -sign : sign;
    c = strcmp(a->v.whole, b->v.whole);
    c = c ? c : strcmp(a->v.part, b->v.part);
    return c < 0 ? -sign : c > 0 ? sign : 0;
}

/* Of minimum and exclusiveMinimum, or their kin, the narrower; direction 1: the larger one. An
 * exclusive one that is true or false, as it was once, is about the other. */
static struct bound find_bound(struct fg_schema_reader *r, const json_t *schema,
                               const char *const names[2], int direction)
{
    const json_t *plain = json_object_get(schema, names[0]);
    const json_t *strict = json_object_get(schema, names[1]);
    struct bound a = {.set = false}, b = {.set = false};
    int c;

    if (plain)
        read_bound(r, plain, names[0], json_is_true(strict), &a);
    if (strict && !json_is_boolean(strict))
        read_bound(r, strict, names[1], true, &b);
    if (!a.set || !b.set)
        return a.set ? a : b;
    c = compare(&a, &b) * direction;
    return c > 0 ? a : b;
}

static fg_expr unbounded(struct fg_exprs *x, bool whole)
{
    fg_expr sign = fg_expr_optional(x, fg_expr_literal(x, "-"));
    fg_expr all = fg_expr_seq(x, fg_expr_byte(x, '1', '9'), digits(x, 0, MOST_DIGITS - 1)), e,
            power;

    all = fg_expr_alt(x, fg_expr_literal(x, "0"), all);

    if (whole)
        return fg_expr_seq(x, sign, all);
    e = fg_expr_seq(x, fg_expr_literal(x, "."), digits(x, 1, MOST_DIGITS));
    all = fg_expr_seq(x, all, fg_expr_optional(x, e));
    /* Up to 1e299: what any program takes for a finite number. */
    power = fg_expr_seq(x, fg_expr_byte(x, '1', '1'), digits(x, 2, 2));
    power = fg_expr_alt(x, power,
                        fg_expr_seq(x, fg_expr_byte(x, '2', '2'),
                                    fg_expr_seq(x, fg_expr_byte(x, '0', '7'), digits(x, 1, 1))));
    power = fg_expr_alt(x, power, digits(x, 1, 2));
    e = fg_expr_alt(x, fg_expr_literal(x, "e"), fg_expr_literal(x, "E"));
    e = fg_expr_seq(
        x, e,
        fg_expr_optional(x, fg_expr_alt(x, fg_expr_literal(x, "+"), fg_expr_literal(x, "-"))));
    e = fg_expr_optional(x, fg_expr_seq(x, e, power));
    return fg_expr_seq(x, fg_expr_seq(x, sign, all), e);
}

fg_expr fg_schema_number(struct fg_schema_reader *r, const json_t *schema, bool whole)
{
    static const char *const lows[] = {"minimum", "exclusiveMinimum"};
    static const char *const highs[] = {"maximum", "exclusiveMaximum"};
    struct bound low = find_bound(r, schema, lows, 1), high = find_bound(r, schema, highs, -1);
    struct bound zero = {.set = true, .v = {.whole = "0", .n_whole = 1}}, above;
    struct fg_exprs *x = r->x;
    fg_expr plus = FG_EXPR_NEVER, minus = FG_EXPR_NEVER;

    if (r->rc || (low.set && high.set && compare(&low, &high) > 0))
        return FG_EXPR_NEVER;
    if (!low.set && !high.set)
        return unbounded(x, whole);
    if (!high.set || !high.negative)
        plus = magnitudes(x, low.set && !low.negative ? &low : &zero, &high, whole);
    if (!low.set || low.negative) { /* without -0 */
        above = zero;
        above.strict = true;
        minus = magnitudes(x, high.set && high.negative ? &high : &above, &low, whole);
        minus = fg_expr_seq(x, fg_expr_literal(x, "-"), minus);
    }
    return fg_expr_alt(x, plus, minus);
}
