#include "filters.h"

/* The arguments without the first `n`. */
static struct fg_jj_args rest(const struct fg_jj_args *args, size_t n)
{
    struct fg_jj_args r = *args;

    r.v += n;
    r.n -= n;
    return r;
}

static const struct fg_jj_function *named(struct fg_jj *j, const struct fg_jj_function *table,
                                          struct fg_jj_value name, const char *what)
{
    const struct fg_jj_str *s = fg_jj_need_str(j, name, what);
    const struct fg_jj_function *f = fg_jj_find_function(table, s);

    if (!f)
        fg_jj_raise(j, "No %s named '%.*s'.", what, (int)s->n, s->p);
    return f;
}

static struct fg_jj_value keyword(const struct fg_jj_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (fg_jj_str_is(args->keywords[i].name, name))
            return args->keywords[i].value;
    }
    return (struct fg_jj_value){0};
}

static struct fg_jj_value map_attribute(struct fg_jj *j, struct fg_jj_list *items,
                                        const struct fg_jj_args *args)
{
    struct fg_jj_value path = keyword(args, "attribute"), otherwise = keyword(args, "default");
    struct fg_jj_list *l = fg_jj_list(j);

    if (path.kind == FG_JJ_MISSING)
        fg_jj_raise(j, "map requires a filter argument");
    if (args->n_keywords != 1u + (otherwise.kind != FG_JJ_MISSING))
        fg_jj_raise(j, "map() got an unexpected keyword argument");
    for (size_t i = 0; i < items->n; i++)
        fg_jj_push(j, l, fg_jj_path_or(j, items->v[i], path, otherwise));
    return fg_jj_iter(l, "generator");
}

FG_JJ_FILTER(map)
{
    struct fg_jj_list *items, *l = fg_jj_list(j);
    const struct fg_jj_function *f;
    struct fg_jj_args more;

    if (!fg_jj_true(self))
        return fg_jj_iter(l, "generator");
    items = fg_jj_items(j, self);
    if (!args->n)
        return map_attribute(j, items, args);
    f = named(j, fg_jj_filters, args->v[0], "filter");
    more = rest(args, 1);
    fg_jj_enter(j);
    for (size_t i = 0; i < items->n; i++)
        fg_jj_push(j, l, fg_jj_call_function(j, f, items->v[i], &more));
    fg_jj_leave(j);
    return fg_jj_iter(l, "generator");
}

/* Items that the test, or their truth, lets through; of their attribute where `attribute`. */
static struct fg_jj_value pick(struct fg_jj *j, struct fg_jj_value self,
                               const struct fg_jj_args *args, bool attribute, bool want)
{
    struct fg_jj_list *items, *l = fg_jj_list(j);
    const struct fg_jj_function *test = NULL;
    struct fg_jj_value path = {0};
    struct fg_jj_args more = {0};
    size_t skip = attribute;

    if (!fg_jj_true(self))
        return fg_jj_iter(l, "generator");
    items = fg_jj_items(j, self);
    if (attribute && !args->n)
        fg_jj_raise(j, "Missing parameter for attribute name");
    if (attribute)
        path = args->v[0];
    if (args->n > skip) {
        test = named(j, fg_jj_tests, args->v[skip], "test");
        more = rest(args, skip + 1);
    }
    fg_jj_enter(j);
    for (size_t i = 0; i < items->n; i++) {
        struct fg_jj_value v = fg_jj_path(j, items->v[i], path);

        if (test)
            v = fg_jj_call_function(j, test, v, &more);
        if (fg_jj_true(v) == want)
            fg_jj_push(j, l, items->v[i]);
    }
    fg_jj_leave(j);
    return fg_jj_iter(l, "generator");
}

FG_JJ_FILTER(select)
{
    return pick(j, self, args, false, true);
}

FG_JJ_FILTER(reject)
{
    return pick(j, self, args, false, false);
}

FG_JJ_FILTER(selectattr)
{
    return pick(j, self, args, true, true);
}

FG_JJ_FILTER(rejectattr)
{
    return pick(j, self, args, true, false);
}
