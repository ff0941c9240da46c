#include "function.h"

#include <string.h>

const struct fg_jj_function *fg_jj_find_function(const struct fg_jj_function *table,
                                                 const struct fg_jj_str *name)
{
    for (; table->name; table++) {
        if (fg_jj_str_is(name, table->name))
            return table;
    }
    return NULL;
}

/* The place of a parameter of this name; the number of parameters where there is none. */
static size_t find_parameter(const char *names, const struct fg_jj_str *name)
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

static void check_required(struct fg_jj *j, const struct fg_jj_function *f,
                           const struct fg_jj_value *v)
{
    const char *names = f->parameters;

    for (size_t i = 0; *names; i++) {
        size_t n = strcspn(names, ",?");
        bool optional = names[n] == '?';

        if (!optional && v[i].kind == FG_JJ_MISSING)
            fg_jj_raise(j, "%s() misses its argument '%.*s'", f->name, (int)n, names);
        names += n + optional;
        names += *names == ',';
    }
}

struct fg_jj_value fg_jj_call_function(struct fg_jj *j, const struct fg_jj_function *f,
                                       struct fg_jj_value self, const struct fg_jj_args *args)
{
    struct fg_jj_value v[FG_JJ_MAX_PARAMETERS] = {0};
    struct fg_jj_args bound = {.v = v};

    fg_jj_spend(j, 1);
    if (!f->parameters)
        return f->call(j, self, args);
    bound.n = count_parameters(f->parameters);
    if (args->n > bound.n)
        fg_jj_raise(j, "%s() takes at most %zu arguments, not %zu", f->name, bound.n, args->n);
    for (size_t i = 0; i < args->n; i++)
        v[i] = args->v[i];
    for (size_t i = 0; i < args->n_keywords; i++) {
        const struct fg_jj_keyword *k = &args->keywords[i];
        size_t at = find_parameter(f->parameters, k->name);

        if (at >= bound.n)
            fg_jj_raise(j, "%s() has no argument '%.*s'", f->name, (int)k->name->n, k->name->p);
        if (v[at].kind != FG_JJ_MISSING)
            fg_jj_raise(j, "%s() got two values for its argument '%.*s'", f->name, (int)k->name->n,
                        k->name->p);
        v[at] = k->value;
    }
    check_required(j, f, v);
    return f->call(j, self, &bound);
}

bool fg_jj_given(struct fg_jj_value v)
{
    return v.kind != FG_JJ_MISSING && v.kind != FG_JJ_NONE;
}

int64_t fg_jj_opt_int(struct fg_jj *j, struct fg_jj_value v, int64_t otherwise, const char *what)
{
    return fg_jj_given(v) ? fg_jj_need_int(j, v, what) : otherwise;
}

bool fg_jj_opt_bool(struct fg_jj_value v, bool otherwise)
{
    return v.kind == FG_JJ_MISSING ? otherwise : fg_jj_true(v);
}

const struct fg_jj_str *fg_jj_opt_str(struct fg_jj *j, struct fg_jj_value v, const char *what)
{
    return fg_jj_given(v) ? fg_jj_need_str(j, v, what) : NULL;
}

struct fg_jj_value fg_jj_empty_str(struct fg_jj *j)
{
    return fg_jj_of_str(fg_jj_str(j, "", 0, 0));
}

/* Merges: the same few steps whatever the order was, and stable. */
void fg_jj_sort(struct fg_jj *j, struct fg_jj_pair *v, size_t n, bool reverse)
{
    struct fg_jj_pair *a = v, *b = fg_jj_alloc(j, (n + 1) * sizeof *b), *swap;
    int before = reverse ? 1 : -1;

    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n;
            size_t to = middle + width < n ? middle + width : n;
            size_t left = from, right = middle;

            for (size_t i = from; i < to; i++) {
                bool take_right =
                    right < to &&
                    (left == middle || fg_jj_order(j, a[right].key, a[left].key, "<") == before);

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
