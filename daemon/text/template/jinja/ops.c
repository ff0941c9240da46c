#include "value.h"

#include <math.h>
#include <string.h>

static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

_Noreturn static void overflow(struct jj *j)
{
    jj_raise(j, "an integer is larger than 64 bits");
}

_Noreturn static void unsupported(struct jj *j, enum jj_math op, struct jj_value a,
                                  struct jj_value b)
{
    jj_raise(j, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op], jj_type(a),
             jj_type(b));
}

static double floor_mod(double a, double b)
{
    double m = fmod(a, b);

    if (m == 0)
        return copysign(0.0, b);
    return (m < 0) != (b < 0) ? m + b : m;
}

static double floor_div(double a, double b)
{
    double m = fmod(a, b), d = (a - m) / b, whole;

    if (m != 0 && (m < 0) != (b < 0))
        d -= 1;
    if (d == 0)
        return copysign(0.0, a / b);
    whole = floor(d);
    return d - whole > 0.5 ? whole + 1 : whole;
}

static struct jj_value float_power(struct jj *j, double a, double b)
{
    double r;

    if (a == 0 && b < 0)
        jj_raise(j, "0.0 cannot be raised to a negative power");
    if (a < 0 && b != floor(b) && isfinite(b))
        jj_raise(j, "complex numbers are not supported");
    r = pow(a, b);
    if (isinf(r) && isfinite(a) && isfinite(b))
        jj_raise(j, "(34, 'Numerical result out of range')");
    return jj_float(r);
}

static struct jj_value float_math(struct jj *j, enum jj_math op, double a, double b)
{
    if (b == 0 && (op == JJ_DIV || op == JJ_FLOORDIV || op == JJ_MOD))
        jj_raise(j, "float division by zero");
    switch (op) {
    case JJ_ADD: return jj_float(a + b);
    case JJ_SUB: return jj_float(a - b);
    case JJ_MUL: return jj_float(a * b);
    case JJ_DIV: return jj_float(a / b);
    case JJ_FLOORDIV: return jj_float(floor_div(a, b));
    case JJ_MOD: return jj_float(floor_mod(a, b));
    default: return float_power(j, a, b);
    }
}

static struct jj_value int_power(struct jj *j, int64_t base, int64_t exponent)
{
    int64_t r = 1;

    if (exponent < 0) {
        if (!base)
            jj_raise(j, "0.0 cannot be raised to a negative power");
        return float_power(j, (double)base, (double)exponent);
    }
    while (exponent) {
        if ((exponent & 1) && __builtin_mul_overflow(r, base, &r))
            overflow(j);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            overflow(j);
    }
    return jj_int(r);
}

static struct jj_value int_division(struct jj *j, enum jj_math op, int64_t a, int64_t b)
{
    int64_t q, m;

    if (!b)
        jj_raise(j, op == JJ_DIV ? "division by zero" : "integer division or modulo by zero");
    if (op == JJ_DIV)
        return jj_float((double)a / (double)b);
    if (b == -1) {
        if (op == JJ_MOD)
            return jj_int(0);
        if (a == INT64_MIN)
            overflow(j);
        return jj_int(-a);
    }
    q = a / b;
    m = a % b;
    if (m && (m < 0) != (b < 0)) {
        q--;
        m += b;
    }
    return jj_int(op == JJ_MOD ? m : q);
}

static struct jj_value int_math(struct jj *j, enum jj_math op, int64_t a, int64_t b)
{
    int64_t r;
    bool over;

    switch (op) {
    case JJ_ADD: over = __builtin_add_overflow(a, b, &r); break;
    case JJ_SUB: over = __builtin_sub_overflow(a, b, &r); break;
    case JJ_MUL: over = __builtin_mul_overflow(a, b, &r); break;
    case JJ_POW: return int_power(j, a, b);
    default: return int_division(j, op, a, b);
    }
    if (over)
        overflow(j);
    return jj_int(r);
}

static struct jj_value number_math(struct jj *j, enum jj_math op, struct jj_value a,
                                   struct jj_value b)
{
    struct jj_value r;

    if (a.kind == JJ_FLOAT || b.kind == JJ_FLOAT)
        r = float_math(j, op, jj_as_float(a), jj_as_float(b));
    else if (a.kind == JJ_BIGINT || b.kind == JJ_BIGINT)
        overflow(j);
    else
        r = int_math(j, op, jj_as_int(a), jj_as_int(b));
    r.src = jj_src_both(a, b);
    return r;
}

static struct jj_value repeat_str(struct jj *j, const struct jj_str *s, int64_t times)
{
    struct jj_text t = {0};
    struct jj_str *r;

    for (int64_t i = 0; i < times && s->n; i++) {
        jj_spend(j, 1);
        jj_text_str(j, &t, s);
    }
    r = (struct jj_str *)jj_text_end(j, &t);
    r->markup = s->markup;
    return jj_of_str(r);
}

static struct jj_value repeat(struct jj *j, struct jj_value v, int64_t times)
{
    struct jj_list *l;

    if (v.kind == JJ_STR)
        return repeat_str(j, v.s, times);
    l = jj_list(j);
    for (int64_t i = 0; i < times && v.list->n; i++) {
        for (size_t k = 0; k < v.list->n; k++)
            jj_push(j, l, v.list->v[k]);
    }
    return jj_of_list(v.kind, l);
}

static bool is_sequence(struct jj_value v)
{
    return v.kind == JJ_STR || v.kind == JJ_LIST || v.kind == JJ_TUPLE;
}

static struct jj_value concat_lists(struct jj *j, struct jj_value a, struct jj_value b)
{
    struct jj_list *l = jj_list(j);

    for (size_t i = 0; i < a.list->n; i++)
        jj_push(j, l, a.list->v[i]);
    for (size_t i = 0; i < b.list->n; i++)
        jj_push(j, l, b.list->v[i]);
    return jj_of_list(a.kind, l);
}

static struct jj_value concat_strings(struct jj *j, const struct jj_str *a, const struct jj_str *b)
{
    struct jj_text t = {0};
    struct jj_str *r;

    if (a->markup && !b->markup)
        b = jj_escape(j, b);
    if (b->markup && !a->markup)
        a = jj_escape(j, a);
    jj_text_str(j, &t, a);
    jj_text_str(j, &t, b);
    r = (struct jj_str *)jj_text_end(j, &t);
    r->markup = a->markup;
    return jj_of_str(r);
}

_Noreturn static void fail_add(struct jj *j, struct jj_value a, struct jj_value b)
{
    if (a.kind == JJ_STR)
        jj_raise(j, "can only concatenate str (not \"%s\") to str", jj_type(b));
    if (a.kind == JJ_LIST || a.kind == JJ_TUPLE)
        jj_raise(j, "can only concatenate %s (not \"%s\") to %s", jj_type(a), jj_type(b),
                 jj_type(a));
    unsupported(j, JJ_ADD, a, b);
}

struct jj_value jj_compute(struct jj *j, enum jj_math op, struct jj_value a, struct jj_value b)
{
    jj_defined(j, a);
    if (op == JJ_MOD && a.kind == JJ_STR)
        return jj_percent(j, a.s, b);
    jj_defined(j, b);
    if (jj_is_number(a) && jj_is_number(b))
        return number_math(j, op, a, b);
    if (op == JJ_ADD) {
        if (a.kind == JJ_STR && b.kind == JJ_STR)
            return concat_strings(j, a.s, b.s);
        if (a.kind == b.kind && (a.kind == JJ_LIST || a.kind == JJ_TUPLE))
            return concat_lists(j, a, b);
        fail_add(j, a, b);
    }
    if (op == JJ_MUL && is_sequence(a) && jj_is_integer(b))
        return repeat(j, a, jj_as_int(b));
    if (op == JJ_MUL && is_sequence(b) && jj_is_integer(a))
        return repeat(j, b, jj_as_int(a));
    if (op == JJ_MUL && (is_sequence(a) || is_sequence(b)))
        jj_raise(j, "can't multiply sequence by non-int of type '%s'",
                 jj_type(is_sequence(a) ? b : a));
    unsupported(j, op, a, b);
}

struct jj_value jj_negative(struct jj *j, struct jj_value v, bool minus)
{
    struct jj_value r;

    jj_defined(j, v);
    if (!jj_is_number(v))
        jj_raise(j, "bad operand type for unary %s: '%s'", minus ? "-" : "+", jj_type(v));
    if (v.kind == JJ_FLOAT)
        r = jj_float(minus ? -v.f : v.f);
    else if (v.kind == JJ_BIGINT || (minus && jj_as_int(v) == INT64_MIN))
        overflow(j);
    else
        r = jj_int(minus ? -jj_as_int(v) : jj_as_int(v));
    r.src = v.src;
    return r;
}

bool jj_contains(struct jj *j, struct jj_value all, struct jj_value item)
{
    const struct jj_list *l;

    if (all.kind == JJ_STR) {
        if (item.kind != JJ_STR) {
            jj_defined(j, item);
            jj_raise(j, "'in <string>' requires string as left operand, not %s", jj_type(item));
        }
        return jj_str_find(j, all.s, item.s, 0, all.s->n) != SIZE_MAX;
    }
    if (all.kind == JJ_DICT)
        return jj_dict_get(j, all.dict, item);
    if (all.kind != JJ_UNDEFINED && all.kind != JJ_LIST && all.kind != JJ_TUPLE &&
        all.kind != JJ_RANGE && all.kind != JJ_ITER && all.kind != JJ_VIEW)
        jj_raise(j, "argument of type '%s' is not iterable", jj_type(all));
    l = jj_items(j, all);
    for (size_t i = 0; i < l->n; i++) {
        if (jj_equal(j, l->v[i], item))
            return true;
    }
    return false;
}
