#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters.h"
#include "text.h"

JJ_FILTER(abs)
{
    bool minus;

    (void)args;
    jj_defined(j, self);
    if (!jj_is_number(self))
        jj_raise(j, "bad operand type for abs(): '%s'", jj_type(self));
    minus = self.kind == JJ_FLOAT ? signbit(self.f) != 0
                                  : self.kind != JJ_BIGINT && jj_as_int(self) < 0;
    if (!minus && self.kind != JJ_BOOL)
        return self;
    return jj_negative(j, self, minus);
}

JJ_FILTER(float)
{
    struct jj_value v = self, otherwise = args->v[0];

    jj_defined(j, self);
    if (self.kind == JJ_STR && jj_parse_float(j, self.s, &v.f)) {
        v = jj_float(v.f);
        v.src = jj_str_one_src(self.s);
        return v;
    }
    if (self.kind == JJ_FLOAT)
        return self;
    if (!jj_is_number(self))
        return otherwise.kind == JJ_MISSING ? jj_float(0) : otherwise;
    v = jj_float(jj_as_float(self));
    v.src = self.src;
    return v;
}

static bool float_to_int(struct jj *j, double f, struct jj_value *out)
{
    if (!isfinite(f))
        return false;
    if (f >= 0x1p63 || f < -0x1p63)
        jj_raise(j, "an integer is larger than 64 bits");
    *out = jj_int((int64_t)f);
    return true;
}

JJ_FILTER(int)
{
    struct jj_value v = args->v[0].kind == JJ_MISSING ? jj_int(0) : args->v[0];
    int64_t base = args->v[1].kind == JJ_MISSING ? 10 : jj_need_int(j, args->v[1], "a base");
    double f;

    jj_defined(j, self);
    if (self.kind == JJ_STR) {
        bool valid = base == 0 || (base >= 2 && base <= 36);

        if (!(valid && jj_parse_int(j, self.s, (int)base, &v)) && jj_parse_float(j, self.s, &f))
            float_to_int(j, f, &v);
        v.src = v.kind == JJ_INT ? jj_str_one_src(self.s) : v.src;
        return v;
    }
    if (self.kind == JJ_FLOAT) {
        if (isinf(self.f))
            jj_raise(j, "cannot convert float infinity to integer");
        float_to_int(j, self.f, &v);
        v.src = self.src;
        return v;
    }
    if (self.kind == JJ_BOOL)
        return jj_int(self.b);
    return jj_is_number(self) ? self : v;
}

/* 10 to the n-th, exactly up to 22. */
static double power_of_ten(int64_t n)
{
    return pow(10, (double)n);
}

/* To so many digits behind the point, halves to the even digit, of the exact value. */
static double round_float(double x, int64_t digits)
{
    char text[400];
    double scale;

    if (!isfinite(x) || digits > 300)
        return x;
    if (digits < -310)
        return x * 0;
    if (digits < 0) {
        scale = power_of_ten(-digits);
        return nearbyint(x / scale) * scale;
    }
    if (fabs(x) > 1e22)
        return x;
    snprintf(text, sizeof text, "%.*f", (int)digits, x);
    return strtod(text, NULL);
}

static struct jj_value round_int(struct jj *j, struct jj_value v, int64_t digits)
{
    int64_t i = jj_as_int(v), scale = 1, rest, down;

    if (digits >= 0)
        return jj_int(i);
    if (digits < -18)
        return jj_int(0);
    while (digits++)
        scale *= 10;
    rest = i % scale;
    down = i - rest;
    if (rest < 0) {
        rest += scale;
        down -= scale;
    }
    if (rest > scale / 2 || (rest == scale / 2 && (down / scale) % 2))
        return jj_compute(j, JJ_ADD, jj_int(down), jj_int(scale));
    return jj_int(down);
}

static struct jj_value round_to_side(struct jj *j, struct jj_value self, int64_t digits, bool up)
{
    struct jj_value scale = jj_compute(j, JJ_POW, jj_int(10), jj_int(digits));
    struct jj_value scaled = jj_compute(j, JJ_MUL, self, scale), whole;

    if (scaled.kind == JJ_FLOAT && !float_to_int(j, up ? ceil(scaled.f) : floor(scaled.f), &whole))
        jj_raise(j, "cannot convert float to integer");
    return jj_compute(j, JJ_DIV, scaled.kind == JJ_FLOAT ? whole : scaled, scale);
}

JJ_FILTER(round)
{
    int64_t digits = args->v[0].kind == JJ_MISSING ? 0 : jj_need_int(j, args->v[0], "a precision");
    const struct jj_str *method =
        args->v[1].kind == JJ_MISSING ? NULL : jj_need_str(j, args->v[1], "a method");
    struct jj_value v;

    if (method && !jj_str_is(method, "common") && !jj_str_is(method, "ceil") &&
        !jj_str_is(method, "floor"))
        jj_raise(j, "method must be common, ceil or floor");
    jj_defined(j, self);
    if (!jj_is_number(self))
        jj_raise(j, "type %s doesn't define __round__ method", jj_type(self));
    if (method && !jj_str_is(method, "common"))
        v = round_to_side(j, self, digits, jj_str_is(method, "ceil"));
    else if (self.kind == JJ_FLOAT)
        v = jj_float(round_float(self.f, digits));
    else if (self.kind == JJ_BIGINT)
        jj_raise(j, "an integer is larger than 64 bits");
    else
        v = round_int(j, self, digits);
    v.src = self.src;
    return v;
}

JJ_FILTER(filesizeformat)
{
    static const char letters[] = "kMGTPEZY";
    bool binary = jj_opt_bool(args->v[0], false);
    double base = binary ? 1024 : 1000, bytes, unit = base;
    char text[64];
    int i = 0;

    jj_defined(j, self);
    if (self.kind == JJ_STR ? !jj_parse_float(j, self.s, &bytes) : !jj_is_number(self))
        jj_raise(j, "could not convert to float: '%s'", jj_type(self));
    bytes = self.kind == JJ_STR ? bytes : jj_as_float(self);
    if (bytes == 1)
        return jj_text_value(j, "1 Byte");
    if (bytes < base) {
        snprintf(text, sizeof text, "%.0f Bytes", trunc(bytes));
    } else {
        while (i < 7 && bytes >= unit * base) {
            unit *= base;
            i++;
        }
        snprintf(text, sizeof text, "%.1f %c%s", bytes / unit, binary && !i ? 'K' : letters[i],
                 binary ? "iB" : "B");
    }
    return jj_of_str(jj_str_c(j, strcpy(jj_alloc(j, strlen(text) + 1), text)));
}
