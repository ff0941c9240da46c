#include "filters.h"

/* The arguments without the first `n`. */
static struct jj_args rest(const struct jj_args *args, size_t n)
{
    struct jj_args r = *args;

    r.v += n;
    r.n -= n;
    return r;
}

static const struct jj_function *named(struct jj *j, const struct jj_function *table,
                                       struct jj_value name, const char *what)
{
    const struct jj_str *s = jj_need_str(j, name, what);
    const struct jj_function *f = jj_find_function(table, s);

    if (!f)
        jj_raise(j, "No %s named '%.*s'.", what, (int)s->n, s->p);
    return f;
}

static struct jj_value keyword(const struct jj_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (jj_str_is(args->keywords[i].name, name))
            return args->keywords[i].value;
    }
    return (struct jj_value){0};
}

static struct jj_value map_attribute(struct jj *j, struct jj_list *items,
                                     const struct jj_args *args)
{
    struct jj_value path = keyword(args, "attribute"), otherwise = keyword(args, "default");
    struct jj_list *l = jj_list(j);

    if (path.kind == JJ_MISSING)
        jj_raise(j, "map requires a filter argument");
    if (args->n_keywords != 1u + (otherwise.kind != JJ_MISSING))
        jj_raise(j, "map() got an unexpected keyword argument");
    for (size_t i = 0; i < items->n; i++)
        jj_push(j, l, jj_path_or(j, items->v[i], path, otherwise));
    return jj_iter(l, "generator");
}

JJ_FILTER(map)
{
    struct jj_list *items, *l = jj_list(j);
    const struct jj_function *f;
    struct jj_args more;

    if (!jj_true(self))
        return jj_iter(l, "generator");
    items = jj_items(j, self);
    if (!args->n)
        return map_attribute(j, items, args);
    f = named(j, jj_filters, args->v[0], "filter");
    more = rest(args, 1);
    jj_enter(j);
    for (size_t i = 0; i < items->n; i++)
        jj_push(j, l, jj_call_function(j, f, items->v[i], &more));
    jj_leave(j);
    return jj_iter(l, "generator");
}

/* Items that the test, or their truth, lets through; of their attribute where `attribute`. */
static struct jj_value pick(struct jj *j, struct jj_value self, const struct jj_args *args,
                            bool attribute, bool want)
{
    struct jj_list *items, *l = jj_list(j);
    const struct jj_function *test = NULL;
    struct jj_value path = {0};
    struct jj_args more = {0};
    size_t skip = attribute;

    if (!jj_true(self))
        return jj_iter(l, "generator");
    items = jj_items(j, self);
    if (attribute && !args->n)
        jj_raise(j, "Missing parameter for attribute name");
    if (attribute)
        path = args->v[0];
    if (args->n > skip) {
        test = named(j, jj_tests, args->v[skip], "test");
        more = rest(args, skip + 1);
    }
    jj_enter(j);
    for (size_t i = 0; i < items->n; i++) {
        struct jj_value v = jj_path(j, items->v[i], path);

        if (test)
            v = jj_call_function(j, test, v, &more);
        if (jj_true(v) == want)
            jj_push(j, l, items->v[i]);
    }
    jj_leave(j);
    return jj_iter(l, "generator");
}

JJ_FILTER(select)
{
    return pick(j, self, args, false, true);
}

JJ_FILTER(reject)
{
    return pick(j, self, args, false, false);
}

JJ_FILTER(selectattr)
{
    return pick(j, self, args, true, true);
}

JJ_FILTER(rejectattr)
{
    return pick(j, self, args, true, false);
}
