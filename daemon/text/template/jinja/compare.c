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

static const char *digits_of(struct jj_value v, size_t *n, bool *minus)
{
    const char *p = v.text->p;

    *n = v.text->n;
    *minus = *p == '-';
    *n -= *minus;
    return p + *minus;
}

static int compare_big(struct jj_value a, struct jj_value b)
{
    bool minus_a, minus_b;
    size_t na, nb;
    const char *pa, *pb;
    int r;

    if (a.kind != JJ_BIGINT || b.kind != JJ_BIGINT)
        return sign(jj_as_float(a) - jj_as_float(b));
    pa = digits_of(a, &na, &minus_a);
    pb = digits_of(b, &nb, &minus_b);
    if (minus_a != minus_b)
        return minus_a ? -1 : 1;
    r = na != nb ? (na < nb ? -1 : 1) : memcmp(pa, pb, na);
    return minus_a ? -r : r;
}

/* Of numbers that are not NaN. */
static int compare_numbers(struct jj_value a, struct jj_value b)
{
    if (a.kind == JJ_BIGINT || b.kind == JJ_BIGINT)
        return compare_big(a, b);
    if (a.kind == JJ_FLOAT && b.kind == JJ_FLOAT)
        return a.f < b.f ? -1 : a.f > b.f;
    if (b.kind == JJ_FLOAT)
        return compare_int_float(jj_as_int(a), b.f);
    if (a.kind == JJ_FLOAT)
        return -compare_int_float(jj_as_int(b), a.f);
    return jj_as_int(a) < jj_as_int(b) ? -1 : jj_as_int(a) > jj_as_int(b);
}

static bool is_nan(struct jj_value v)
{
    return v.kind == JJ_FLOAT && isnan(v.f);
}

static bool equal_lists(struct jj *j, const struct jj_list *a, const struct jj_list *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!jj_equal(j, a->v[i], b->v[i]))
            return false;
    }
    return true;
}

static bool equal_dicts(struct jj *j, const struct jj_dict *a, const struct jj_dict *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        struct jj_value *other = jj_dict_get(j, b, a->pairs[i].key);

        if (!other || !jj_equal(j, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

static bool equal_ranges(const struct jj_range *a, const struct jj_range *b)
{
    return a->n == b->n && (!a->n || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

static bool equal_same_kind(struct jj *j, struct jj_value a, struct jj_value b)
{
    switch (a.kind) {
    case JJ_UNDEFINED:
    case JJ_MISSING:
    case JJ_NONE: return true;
    case JJ_STR: jj_spend_bytes(j, a.s->n); return jj_str_eq(a.s, b.s);
    case JJ_LIST:
    case JJ_TUPLE: return equal_lists(j, a.list, b.list);
    case JJ_DICT: return equal_dicts(j, a.dict, b.dict);
    case JJ_RANGE: return equal_ranges(a.range, b.range);
    case JJ_VIEW:
    case JJ_ITER:
    case JJ_CYCLER: return a.list == b.list;
    case JJ_NAMESPACE: return a.dict == b.dict;
    case JJ_LOOP: return a.loop == b.loop;
    case JJ_MACRO: return a.macro == b.macro;
    case JJ_JOINER: return a.used == b.used;
    case JJ_FUNCTION: return a.function == b.function;
    case JJ_METHOD: return a.method == b.method;
    default: return false; /* numbers were compared before */
    }
}

bool jj_equal(struct jj *j, struct jj_value a, struct jj_value b)
{
    bool equal;

    jj_spend(j, 1);
    if (jj_is_number(a) && jj_is_number(b))
        return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    jj_enter(j);
    equal = equal_same_kind(j, a, b);
    jj_leave(j);
    return equal;
}

static int order_lists(struct jj *j, const struct jj_list *a, const struct jj_list *b,
                       const char *op)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (!jj_equal(j, a->v[i], b->v[i]))
            return jj_order(j, a->v[i], b->v[i], op);
    }
    return (a->n > b->n) - (a->n < b->n);
}

int jj_order(struct jj *j, struct jj_value a, struct jj_value b, const char *op)
{
    int r;

    jj_spend(j, 1);
    jj_defined(j, a);
    jj_defined(j, b);
    if (jj_is_number(a) && jj_is_number(b)) {
        if (is_nan(a) || is_nan(b))
            return JJ_UNORDERED;
        return compare_numbers(a, b);
    }
    if (a.kind == JJ_STR && b.kind == JJ_STR) {
        jj_spend_bytes(j, a.s->n < b.s->n ? a.s->n : b.s->n);
        return jj_str_cmp(a.s, b.s);
    }
    if (a.kind != b.kind || (a.kind != JJ_LIST && a.kind != JJ_TUPLE))
        jj_raise(j, "'%s' not supported between instances of '%s' and '%s'", op, jj_type(a),
                 jj_type(b));
    jj_enter(j);
    r = order_lists(j, a.list, b.list, op);
    jj_leave(j);
    return r;
}
