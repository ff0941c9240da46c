#include "value.h"

#include <math.h>
#include <string.h>

static int sign(double x)
{
    return (x > 0) - (x < 0);
}

/* Between an integer and a float, exactly: a double does not hold every integer. */
static int compare_int_float(int64_t i, double f)
{
    int64_t whole;

    if (f >= 0x1p63)
        return -1;
    if (f < -0x1p63)
        return 1;
    whole = (int64_t)f;
    if (i != whole)
        return i < whole ? -1 : 1;
    return -sign(f - (double)whole);
}

static const char *digits_of(struct fg_jj_value v, size_t *n, bool *minus)
{
    const char *p = v.text->p;

    *n = v.text->n;
    *minus = *p == '-';
    *n -= *minus;
    return p + *minus;
}

static int compare_big(struct fg_jj_value a, struct fg_jj_value b)
{
    bool minus_a, minus_b;
    size_t na, nb;
    const char *pa, *pb;
    int r;

    if (a.kind != FG_JJ_BIGINT || b.kind != FG_JJ_BIGINT)
        return sign(fg_jj_as_float(a) - fg_jj_as_float(b));
    pa = digits_of(a, &na, &minus_a);
    pb = digits_of(b, &nb, &minus_b);
    if (minus_a != minus_b)
        return minus_a ? -1 : 1;
    r = na != nb ? (na < nb ? -1 : 1) : memcmp(pa, pb, na);
    return minus_a ? -r : r;
}

/* Of numbers that are not NaN. */
static int compare_numbers(struct fg_jj_value a, struct fg_jj_value b)
{
    if (a.kind == FG_JJ_BIGINT || b.kind == FG_JJ_BIGINT)
        return compare_big(a, b);
    if (a.kind == FG_JJ_FLOAT && b.kind == FG_JJ_FLOAT)
        return a.f < b.f ? -1 : a.f > b.f;
    if (b.kind == FG_JJ_FLOAT)
        return compare_int_float(fg_jj_as_int(a), b.f);
    if (a.kind == FG_JJ_FLOAT)
        return -compare_int_float(fg_jj_as_int(b), a.f);
    return fg_jj_as_int(a) < fg_jj_as_int(b) ? -1 : fg_jj_as_int(a) > fg_jj_as_int(b);
}

static bool is_nan(struct fg_jj_value v)
{
    return v.kind == FG_JJ_FLOAT && isnan(v.f);
}

static bool equal_lists(struct fg_jj *j, const struct fg_jj_list *a, const struct fg_jj_list *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!fg_jj_equal(j, a->v[i], b->v[i]))
            return false;
    }
    return true;
}

static bool equal_dicts(struct fg_jj *j, const struct fg_jj_dict *a, const struct fg_jj_dict *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        struct fg_jj_value *other = fg_jj_dict_get(j, b, a->pairs[i].key);

        if (!other || !fg_jj_equal(j, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

static bool equal_ranges(const struct fg_jj_range *a, const struct fg_jj_range *b)
{
    return a->n == b->n && (!a->n || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

static bool equal_same_kind(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b)
{
    switch (a.kind) {
    case FG_JJ_UNDEFINED:
    case FG_JJ_MISSING:
    case FG_JJ_NONE: return true;
    case FG_JJ_STR: fg_jj_spend_bytes(j, a.s->n); return fg_jj_str_eq(a.s, b.s);
    case FG_JJ_LIST:
    case FG_JJ_TUPLE: return equal_lists(j, a.list, b.list);
    case FG_JJ_DICT: return equal_dicts(j, a.dict, b.dict);
    case FG_JJ_RANGE: return equal_ranges(a.range, b.range);
    case FG_JJ_VIEW:
    case FG_JJ_ITER:
    case FG_JJ_CYCLER: return a.list == b.list;
    case FG_JJ_NAMESPACE: return a.dict == b.dict;
    case FG_JJ_LOOP: return a.loop == b.loop;
    case FG_JJ_MACRO: return a.macro == b.macro;
    case FG_JJ_JOINER: return a.used == b.used;
    case FG_JJ_FUNCTION: return a.function == b.function;
    case FG_JJ_METHOD: return a.method == b.method;
    default: return false; /* numbers were compared before */
    }
}

bool fg_jj_equal(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b)
{
    bool equal;

    fg_jj_spend(j, 1);
    if (fg_jj_is_number(a) && fg_jj_is_number(b))
        return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    fg_jj_enter(j);
    equal = equal_same_kind(j, a, b);
    fg_jj_leave(j);
    return equal;
}

static int order_lists(struct fg_jj *j, const struct fg_jj_list *a, const struct fg_jj_list *b,
                       const char *op)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (!fg_jj_equal(j, a->v[i], b->v[i]))
            return fg_jj_order(j, a->v[i], b->v[i], op);
    }
    return (a->n > b->n) - (a->n < b->n);
}

int fg_jj_order(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b, const char *op)
{
    int r;

    fg_jj_spend(j, 1);
    fg_jj_defined(j, a);
    fg_jj_defined(j, b);
    if (fg_jj_is_number(a) && fg_jj_is_number(b)) {
        if (is_nan(a) || is_nan(b))
            return FG_JJ_UNORDERED;
        return compare_numbers(a, b);
    }
    if (a.kind == FG_JJ_STR && b.kind == FG_JJ_STR) {
        fg_jj_spend_bytes(j, a.s->n < b.s->n ? a.s->n : b.s->n);
        return fg_jj_str_cmp(a.s, b.s);
    }
    if (a.kind != b.kind || (a.kind != FG_JJ_LIST && a.kind != FG_JJ_TUPLE))
        fg_jj_raise(j, "'%s' not supported between instances of '%s' and '%s'", op, fg_jj_type(a),
                    fg_jj_type(b));
    fg_jj_enter(j);
    r = order_lists(j, a.list, b.list, op);
    fg_jj_leave(j);
    return r;
}
