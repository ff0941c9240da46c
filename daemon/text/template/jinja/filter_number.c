#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters.h"
#include "text.h"

FG_JJ_FILTER(abs)
{
    bool minus;

    (void)args;
    fg_jj_defined(j, self);
    if (!fg_jj_is_number(self))
        fg_jj_raise(j, "bad operand type for abs(): '%s'", fg_jj_type(self));
    minus = self.kind == FG_JJ_FLOAT ? signbit(self.f) != 0
                                     : self.kind != FG_JJ_BIGINT && fg_jj_as_int(self) < 0;
    if (!minus && self.kind != FG_JJ_BOOL)
        return self;
    return fg_jj_negative(j, self, minus);
}

FG_JJ_FILTER(float)
{
    struct fg_jj_value v = self, otherwise = args->v[0];

    fg_jj_defined(j, self);
    if (self.kind == FG_JJ_STR && fg_jj_parse_float(j, self.s, &v.f)) {
        v = fg_jj_float(v.f);
        v.src = fg_jj_str_one_src(self.s);
        return v;
    }
    if (self.kind == FG_JJ_FLOAT)
        return self;
    if (!fg_jj_is_number(self))
        return otherwise.kind == FG_JJ_MISSING ? fg_jj_float(0) : otherwise;
    v = fg_jj_float(fg_jj_as_float(self));
    v.src = self.src;
    return v;
}

static bool float_to_int(struct fg_jj *j, double f, struct fg_jj_value *out)
{
    if (!isfinite(f))
        return false;
    if (f >= 0x1p63 || f < -0x1p63)
        fg_jj_raise(j, "an integer is larger than 64 bits");
    *out = fg_jj_int((int64_t)f);
    return true;
}

FG_JJ_FILTER(int)
{
    struct fg_jj_value v = args->v[0].kind == FG_JJ_MISSING ? fg_jj_int(0) : args->v[0];
    int64_t base = args->v[1].kind == FG_JJ_MISSING ? 10 : fg_jj_need_int(j, args->v[1], "a base");
    double f;

    fg_jj_defined(j, self);
    if (self.kind == FG_JJ_STR) {
        bool valid = base == 0 || (base >= 2 && base <= 36);

        if (!(valid && fg_jj_parse_int(j, self.s, (int)base, &v)) &&
            fg_jj_parse_float(j, self.s, &f))
            float_to_int(j, f, &v);
        v.src = v.kind == FG_JJ_INT ? fg_jj_str_one_src(self.s) : v.src;
        return v;
    }
    if (self.kind == FG_JJ_FLOAT) {
        if (isinf(self.f))
            fg_jj_raise(j, "cannot convert float infinity to integer");
        float_to_int(j, self.f, &v);
        v.src = self.src;
        return v;
    }
    if (self.kind == FG_JJ_BOOL)
        return fg_jj_int(self.b);
    return fg_jj_is_number(self) ? self : v;
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

static struct fg_jj_value round_int(struct fg_jj *j, struct fg_jj_value v, int64_t digits)
{
    int64_t i = fg_jj_as_int(v), scale = 1, rest, down;

    if (digits >= 0)
        return fg_jj_int(i);
    if (digits < -18)
        return fg_jj_int(0);
    while (digits++)
        scale *= 10;
    rest = i % scale;
    down = i - rest;
    if (rest < 0) {
        rest += scale;
        down -= scale;
    }
    if (rest > scale / 2 || (rest == scale / 2 && (down / scale) % 2))
        return fg_jj_compute(j, FG_JJ_ADD, fg_jj_int(down), fg_jj_int(scale));
    return fg_jj_int(down);
}

static struct fg_jj_value round_to_side(struct fg_jj *j, struct fg_jj_value self, int64_t digits,
                                        bool up)
{
    struct fg_jj_value scale = fg_jj_compute(j, FG_JJ_POW, fg_jj_int(10), fg_jj_int(digits));
    struct fg_jj_value scaled = fg_jj_compute(j, FG_JJ_MUL, self, scale), whole;

    if (scaled.kind == FG_JJ_FLOAT &&
        !float_to_int(j, up ? ceil(scaled.f) : floor(scaled.f), &whole))
        fg_jj_raise(j, "cannot convert float to integer");
    return fg_jj_compute(j, FG_JJ_DIV, scaled.kind == FG_JJ_FLOAT ? whole : scaled, scale);
}

FG_JJ_FILTER(round)
{
    int64_t digits =
        args->v[0].kind == FG_JJ_MISSING ? 0 : fg_jj_need_int(j, args->v[0], "a precision");
    const struct fg_jj_str *method =
        args->v[1].kind == FG_JJ_MISSING ? NULL : fg_jj_need_str(j, args->v[1], "a method");
    struct fg_jj_value v;

    if (method && !fg_jj_str_is(method, "common") && !fg_jj_str_is(method, "ceil") &&
        !fg_jj_str_is(method, "floor"))
        fg_jj_raise(j, "method must be common, ceil or floor");
    fg_jj_defined(j, self);
    if (!fg_jj_is_number(self))
        fg_jj_raise(j, "type %s doesn't define __round__ method", fg_jj_type(self));
    if (method && !fg_jj_str_is(method, "common"))
        v = round_to_side(j, self, digits, fg_jj_str_is(method, "ceil"));
    else if (self.kind == FG_JJ_FLOAT)
        v = fg_jj_float(round_float(self.f, digits));
    else if (self.kind == FG_JJ_BIGINT)
        fg_jj_raise(j, "an integer is larger than 64 bits");
    else
        v = round_int(j, self, digits);
    v.src = self.src;
    return v;
}

FG_JJ_FILTER(filesizeformat)
{
    static const char letters[] = "kMGTPEZY";
    bool binary = fg_jj_opt_bool(args->v[0], false);
    double base = binary ? 1024 : 1000, bytes, unit = base;
    char text[64];
    int i = 0;

    fg_jj_defined(j, self);
    if (self.kind == FG_JJ_STR ? !fg_jj_parse_float(j, self.s, &bytes) : !fg_jj_is_number(self))
        fg_jj_raise(j, "could not convert to float: '%s'", fg_jj_type(self));
    bytes = self.kind == FG_JJ_STR ? bytes : fg_jj_as_float(self);
    if (bytes == 1)
        return fg_jj_text_value(j, "1 Byte");
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
    return fg_jj_of_str(fg_jj_str_c(j, strcpy(fg_jj_alloc(j, strlen(text) + 1), text)));
}
