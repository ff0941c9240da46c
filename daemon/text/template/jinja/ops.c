#include "value.h"

#include <math.h>
#include <string.h>

static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

_Noreturn static void overflow(struct fg_jj *j)
{
    fg_jj_raise(j, "an integer is larger than 64 bits");
}

_Noreturn static void unsupported(struct fg_jj *j, enum fg_jj_math op, struct fg_jj_value a,
                                  struct fg_jj_value b)
{
    fg_jj_raise(j, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op], fg_jj_type(a),
                fg_jj_type(b));
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

static struct fg_jj_value float_power(struct fg_jj *j, double a, double b)
{
    double r;

    if (a == 0 && b < 0)
        fg_jj_raise(j, "0.0 cannot be raised to a negative power");
    if (a < 0 && b != floor(b) && isfinite(b))
        fg_jj_raise(j, "complex numbers are not supported");
    r = pow(a, b);
    if (isinf(r) && isfinite(a) && isfinite(b))
        fg_jj_raise(j, "(34, 'Numerical result out of range')");
    return fg_jj_float(r);
}

static struct fg_jj_value float_math(struct fg_jj *j, enum fg_jj_math op, double a, double b)
{
    if (b == 0 && (op == FG_JJ_DIV || op == FG_JJ_FLOORDIV || op == FG_JJ_MOD))
        fg_jj_raise(j, "float division by zero");
    switch (op) {
    case FG_JJ_ADD: return fg_jj_float(a + b);
    case FG_JJ_SUB: return fg_jj_float(a - b);
    case FG_JJ_MUL: return fg_jj_float(a * b);
    case FG_JJ_DIV: return fg_jj_float(a / b);
    case FG_JJ_FLOORDIV: return fg_jj_float(floor_div(a, b));
    case FG_JJ_MOD: return fg_jj_float(floor_mod(a, b));
    default: return float_power(j, a, b);
    }
}

static struct fg_jj_value int_power(struct fg_jj *j, int64_t base, int64_t exponent)
{
    int64_t r = 1;

    if (exponent < 0) {
        if (!base)
            fg_jj_raise(j, "0.0 cannot be raised to a negative power");
        return float_power(j, (double)base, (double)exponent);
    }
    while (exponent) {
        if ((exponent & 1) && __builtin_mul_overflow(r, base, &r))
            overflow(j);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            overflow(j);
    }
    return fg_jj_int(r);
}

static struct fg_jj_value int_division(struct fg_jj *j, enum fg_jj_math op, int64_t a, int64_t b)
{
    int64_t q, m;

    if (!b)
        fg_jj_raise(j, op == FG_JJ_DIV ? "division by zero" : "integer division or modulo by zero");
    if (op == FG_JJ_DIV)
        return fg_jj_float((double)a / (double)b);
    if (b == -1) {
        if (op == FG_JJ_MOD)
            return fg_jj_int(0);
        if (a == INT64_MIN)
            overflow(j);
        return fg_jj_int(-a);
    }
    q = a / b;
    m = a % b;
    if (m && (m < 0) != (b < 0)) {
        q--;
        m += b;
    }
    return fg_jj_int(op == FG_JJ_MOD ? m : q);
}

static struct fg_jj_value int_math(struct fg_jj *j, enum fg_jj_math op, int64_t a, int64_t b)
{
    int64_t r;
    bool over;

    switch (op) {
    case FG_JJ_ADD: over = __builtin_add_overflow(a, b, &r); break;
    case FG_JJ_SUB: over = __builtin_sub_overflow(a, b, &r); break;
    case FG_JJ_MUL: over = __builtin_mul_overflow(a, b, &r); break;
    case FG_JJ_POW: return int_power(j, a, b);
    default: return int_division(j, op, a, b);
    }
    if (over)
        overflow(j);
    return fg_jj_int(r);
}

static struct fg_jj_value number_math(struct fg_jj *j, enum fg_jj_math op, struct fg_jj_value a,
                                      struct fg_jj_value b)
{
    struct fg_jj_value r;

    if (a.kind == FG_JJ_FLOAT || b.kind == FG_JJ_FLOAT)
        r = float_math(j, op, fg_jj_as_float(a), fg_jj_as_float(b));
    else if (a.kind == FG_JJ_BIGINT || b.kind == FG_JJ_BIGINT)
        overflow(j);
    else
        r = int_math(j, op, fg_jj_as_int(a), fg_jj_as_int(b));
    r.src = fg_jj_src_both(a, b);
    return r;
}

static struct fg_jj_value repeat_str(struct fg_jj *j, const struct fg_jj_str *s, int64_t times)
{
    struct fg_jj_text t = {0};
    struct fg_jj_str *r;

    for (int64_t i = 0; i < times && s->n; i++) {
        fg_jj_spend(j, 1);
        fg_jj_text_str(j, &t, s);
    }
    r = (struct fg_jj_str *)fg_jj_text_end(j, &t);
    r->markup = s->markup;
    return fg_jj_of_str(r);
}

static struct fg_jj_value repeat(struct fg_jj *j, struct fg_jj_value v, int64_t times)
{
    struct fg_jj_list *l;

    if (v.kind == FG_JJ_STR)
        return repeat_str(j, v.s, times);
    l = fg_jj_list(j);
    for (int64_t i = 0; i < times && v.list->n; i++) {
        for (size_t k = 0; k < v.list->n; k++)
            fg_jj_push(j, l, v.list->v[k]);
    }
    return fg_jj_of_list(v.kind, l);
}

static bool is_sequence(struct fg_jj_value v)
{
    return v.kind == FG_JJ_STR || v.kind == FG_JJ_LIST || v.kind == FG_JJ_TUPLE;
}

static struct fg_jj_value concat_lists(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b)
{
    struct fg_jj_list *l = fg_jj_list(j);

    for (size_t i = 0; i < a.list->n; i++)
        fg_jj_push(j, l, a.list->v[i]);
    for (size_t i = 0; i < b.list->n; i++)
        fg_jj_push(j, l, b.list->v[i]);
    return fg_jj_of_list(a.kind, l);
}

static struct fg_jj_value concat_strings(struct fg_jj *j, const struct fg_jj_str *a,
                                         const struct fg_jj_str *b)
{
    struct fg_jj_text t = {0};
    struct fg_jj_str *r;

    if (a->markup && !b->markup)
        b = fg_jj_escape(j, b);
    if (b->markup && !a->markup)
        a = fg_jj_escape(j, a);
    fg_jj_text_str(j, &t, a);
    fg_jj_text_str(j, &t, b);
    r = (struct fg_jj_str *)fg_jj_text_end(j, &t);
    r->markup = a->markup;
    return fg_jj_of_str(r);
}

_Noreturn static void fail_add(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b)
{
    if (a.kind == FG_JJ_STR)
        fg_jj_raise(j, "can only concatenate str (not \"%s\") to str", fg_jj_type(b));
    if (a.kind == FG_JJ_LIST || a.kind == FG_JJ_TUPLE)
        fg_jj_raise(j, "can only concatenate %s (not \"%s\") to %s", fg_jj_type(a), fg_jj_type(b),
                    fg_jj_type(a));
    unsupported(j, FG_JJ_ADD, a, b);
}

struct fg_jj_value fg_jj_compute(struct fg_jj *j, enum fg_jj_math op, struct fg_jj_value a,
                                 struct fg_jj_value b)
{
    fg_jj_defined(j, a);
    if (op == FG_JJ_MOD && a.kind == FG_JJ_STR)
        return fg_jj_percent(j, a.s, b);
    fg_jj_defined(j, b);
    if (fg_jj_is_number(a) && fg_jj_is_number(b))
        return number_math(j, op, a, b);
    if (op == FG_JJ_ADD) {
        if (a.kind == FG_JJ_STR && b.kind == FG_JJ_STR)
            return concat_strings(j, a.s, b.s);
        if (a.kind == b.kind && (a.kind == FG_JJ_LIST || a.kind == FG_JJ_TUPLE))
            return concat_lists(j, a, b);
        fail_add(j, a, b);
    }
    if (op == FG_JJ_MUL && is_sequence(a) && fg_jj_is_integer(b))
        return repeat(j, a, fg_jj_as_int(b));
    if (op == FG_JJ_MUL && is_sequence(b) && fg_jj_is_integer(a))
        return repeat(j, b, fg_jj_as_int(a));
    if (op == FG_JJ_MUL && (is_sequence(a) || is_sequence(b)))
        fg_jj_raise(j, "can't multiply sequence by non-int of type '%s'",
                    fg_jj_type(is_sequence(a) ? b : a));
    unsupported(j, op, a, b);
}

struct fg_jj_value fg_jj_negative(struct fg_jj *j, struct fg_jj_value v, bool minus)
{
    struct fg_jj_value r;

    fg_jj_defined(j, v);
    if (!fg_jj_is_number(v))
        fg_jj_raise(j, "bad operand type for unary %s: '%s'", minus ? "-" : "+", fg_jj_type(v));
    if (v.kind == FG_JJ_FLOAT)
        r = fg_jj_float(minus ? -v.f : v.f);
    else if (v.kind == FG_JJ_BIGINT || (minus && fg_jj_as_int(v) == INT64_MIN))
        overflow(j);
    else
        r = fg_jj_int(minus ? -fg_jj_as_int(v) : fg_jj_as_int(v));
    r.src = v.src;
    return r;
}

bool fg_jj_contains(struct fg_jj *j, struct fg_jj_value all, struct fg_jj_value item)
{
    const struct fg_jj_list *l;

    if (all.kind == FG_JJ_STR) {
        if (item.kind != FG_JJ_STR) {
            fg_jj_defined(j, item);
            fg_jj_raise(j, "'in <string>' requires string as left operand, not %s",
                        fg_jj_type(item));
        }
        return fg_jj_str_find(j, all.s, item.s, 0, all.s->n) != SIZE_MAX;
    }
    if (all.kind == FG_JJ_DICT)
        return fg_jj_dict_get(j, all.dict, item);
    if (all.kind != FG_JJ_UNDEFINED && all.kind != FG_JJ_LIST && all.kind != FG_JJ_TUPLE &&
        all.kind != FG_JJ_RANGE && all.kind != FG_JJ_ITER && all.kind != FG_JJ_VIEW)
        fg_jj_raise(j, "argument of type '%s' is not iterable", fg_jj_type(all));
    l = fg_jj_items(j, all);
    for (size_t i = 0; i < l->n; i++) {
        if (fg_jj_equal(j, l->v[i], item))
            return true;
    }
    return false;
}
