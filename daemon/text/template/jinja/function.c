#include "function.h"

#include <string.h>

const struct jj_function *jj_find_function(const struct jj_function *table,
                                           const struct jj_str *name)
{
    for (; table->name; table++) {
        if (jj_str_is(name, table->name))
            return table;
    }
    return NULL;
}

/* The place of a parameter of this name; the number of parameters where there is none. */
static size_t find_parameter(const char *names, const struct jj_str *name)
{
    size_t i = 0;

    while (*names) {
        size_t n = strcspn(names, ",?");

        if (n == name->n && memcmp(names, name->p, n) == 0)
            return i;
        i++;
        names += n;
        names += strspn(names, "?");
        names += *names == ',';
    }
    return i;
}

static size_t count_parameters(const char *names)
{
    size_t n = *names != '\0';

    for (; *names; names++)
        n += *names == ',';
    return n;
}

static void check_required(struct jj *j, const struct jj_function *f, const struct jj_value *v)
{
    const char *names = f->parameters;

    for (size_t i = 0; *names; i++) {
        size_t n = strcspn(names, ",?");
        bool optional = names[n] == '?';

        if (!optional && v[i].kind == JJ_MISSING)
            jj_raise(j, "%s() misses its argument '%.*s'", f->name, (int)n, names);
        names += n + optional;
        names += *names == ',';
    }
}

struct jj_value jj_call_function(struct jj *j, const struct jj_function *f, struct jj_value self,
                                 const struct jj_args *args)
{
    struct jj_value v[JJ_MAX_PARAMETERS] = {0};
    struct jj_args bound = {.v = v};

    jj_spend(j, 1);
    if (!f->parameters)
        return f->call(j, self, args);
    bound.n = count_parameters(f->parameters);
    if (args->n > bound.n)
        jj_raise(j, "%s() takes at most %zu arguments, not %zu", f->name, bound.n, args->n);
    for (size_t i = 0; i < args->n; i++)
        v[i] = args->v[i];
    for (size_t i = 0; i < args->n_keywords; i++) {
        const struct jj_keyword *k = &args->keywords[i];
        size_t at = find_parameter(f->parameters, k->name);

        if (at >= bound.n)
            jj_raise(j, "%s() has no argument '%.*s'", f->name, (int)k->name->n, k->name->p);
        if (v[at].kind != JJ_MISSING)
            jj_raise(j, "%s() got two values for its argument '%.*s'", f->name, (int)k->name->n,
                     k->name->p);
        v[at] = k->value;
    }
    check_required(j, f, v);
    return f->call(j, self, &bound);
}

bool jj_given(struct jj_value v)
{
    return v.kind != JJ_MISSING && v.kind != JJ_NONE;
}

int64_t jj_opt_int(struct jj *j, struct jj_value v, int64_t otherwise, const char *what)
{
    return jj_given(v) ? jj_need_int(j, v, what) : otherwise;
}

bool jj_opt_bool(struct jj_value v, bool otherwise)
{
    return v.kind == JJ_MISSING ? otherwise : jj_true(v);
}

const struct jj_str *jj_opt_str(struct jj *j, struct jj_value v, const char *what)
{
    return jj_given(v) ? jj_need_str(j, v, what) : NULL;
}

struct jj_value jj_empty_str(struct jj *j)
{
    return jj_of_str(jj_str(j, "", 0, 0));
}

/* Merges: the same few steps whatever the order was, and stable. */
void jj_sort(struct jj *j, struct jj_pair *v, size_t n, bool reverse)
{
    struct jj_pair *a = v, *b = jj_alloc(j, (n + 1) * sizeof *b), *swap;
    int before = reverse ? 1 : -1;

    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n;
            size_t to = middle + width < n ? middle + width : n;
            size_t left = from, right = middle;

            for (size_t i = from; i < to; i++) {
                bool take_right =
                    right < to &&
                    (left == middle || jj_order(j, a[right].key, a[left].key, "<") == before);

                b[i] = take_right ? a[right++] : a[left++];
            }
        }
        swap = a;
        a = b;
        b = swap;
    }
    if (a != v)
        memcpy(v, a, n * sizeof *v);
}
