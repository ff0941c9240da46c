#include <string.h>

#include "filters.h"
#include "text.h"

struct jj_value jj_fold_key(struct jj *j, struct jj_value v, bool case_sensitive)
{
    return v.kind == JJ_STR && !case_sensitive ? jj_of_str(jj_lower(j, v.s)) : v;
}

/* Several paths with commas between, as one key: a list. */
static struct jj_value multi_key(struct jj *j, struct jj_value v, struct jj_value paths,
                                 bool case_sensitive)
{
    struct jj_list *key = jj_list(j);
    size_t from = 0, to;

    if (paths.kind != JJ_STR) {
        jj_push(j, key, jj_fold_key(j, jj_path(j, v, paths), case_sensitive));
        return jj_of_list(JJ_LIST, key);
    }
    do {
        const char *comma =
            paths.s->n > from ? memchr(paths.s->p + from, ',', paths.s->n - from) : NULL;
        struct jj_value path;

        to = comma ? (size_t)(comma - paths.s->p) : paths.s->n;
        path = jj_of_str(jj_str_cut(j, paths.s, from, to));
        jj_push(j, key, jj_fold_key(j, jj_path(j, v, path), case_sensitive));
        from = to + 1;
    } while (to < paths.s->n);
    return jj_of_list(JJ_LIST, key);
}

static bool is_reverse(struct jj *j, struct jj_value v)
{
    return v.kind != JJ_MISSING && jj_need_int(j, v, "whether to sort in reverse");
}

JJ_FILTER(sort)
{
    struct jj_list *items = jj_items(j, self), *l = jj_list(j);
    bool sensitive = jj_opt_bool(args->v[1], false);
    struct jj_pair *pairs = jj_alloc(j, items->n * sizeof *pairs);
    struct jj_value v = jj_of_list(JJ_LIST, l);

    for (size_t i = 0; i < items->n; i++) {
        pairs[i].key = multi_key(j, items->v[i], args->v[2], sensitive);
        pairs[i].value = items->v[i];
    }
    jj_sort(j, pairs, items->n, is_reverse(j, args->v[0]));
    for (size_t i = 0; i < items->n; i++)
        jj_push(j, l, pairs[i].value);
    v.src = self.kind == JJ_STR ? 0 : self.src;
    return v;
}

JJ_FILTER(dictsort)
{
    bool sensitive = jj_opt_bool(args->v[0], false), by_value = false;
    struct jj_list *l = jj_list(j);
    struct jj_pair *pairs;
    size_t n;

    jj_defined(j, self);
    if (args->v[1].kind != JJ_MISSING) {
        by_value = args->v[1].kind == JJ_STR && jj_str_is(args->v[1].s, "value");
        if (!by_value && (args->v[1].kind != JJ_STR || !jj_str_is(args->v[1].s, "key")))
            jj_raise(j, "You can only sort by either \"key\" or \"value\"");
    }
    if (self.kind != JJ_DICT)
        jj_raise(j, "'%s' object has no attribute 'items'", jj_type(self));
    n = self.dict->n;
    pairs = jj_alloc(j, n * sizeof *pairs);
    for (size_t i = 0; i < n; i++) {
        const struct jj_pair *p = &self.dict->pairs[i];
        struct jj_list *pair = jj_list(j);

        jj_push(j, pair, p->key);
        jj_push(j, pair, p->value);
        pairs[i].key = jj_fold_key(j, by_value ? p->value : p->key, sensitive);
        pairs[i].value = jj_of_list(JJ_TUPLE, pair);
    }
    jj_sort(j, pairs, n, is_reverse(j, args->v[2]));
    for (size_t i = 0; i < n; i++)
        jj_push(j, l, pairs[i].value);
    return (struct jj_value){.kind = JJ_LIST, .src = self.src, .list = l};
}

JJ_FILTER(unique)
{
    struct jj_list *items = jj_items(j, self), *l = jj_list(j);
    bool sensitive = jj_opt_bool(args->v[0], false);
    struct jj_dict *seen = jj_dict(j);

    for (size_t i = 0; i < items->n; i++) {
        struct jj_value key = jj_fold_key(j, jj_path(j, items->v[i], args->v[1]), sensitive);

        if (jj_dict_get(j, seen, key))
            continue;
        jj_dict_set(j, seen, key, jj_none());
        jj_push(j, l, items->v[i]);
    }
    return jj_iter(l, "generator");
}

static struct jj_value extreme(struct jj *j, struct jj_value self, const struct jj_args *args,
                               int side)
{
    struct jj_list *items = jj_items(j, self);
    bool sensitive = jj_opt_bool(args->v[0], false);
    struct jj_value best = {0}, best_key = {0};

    for (size_t i = 0; i < items->n; i++) {
        struct jj_value key = jj_fold_key(j, jj_path(j, items->v[i], args->v[1]), sensitive);

        if (i && jj_order(j, key, best_key, side < 0 ? "<" : ">") != side)
            continue;
        best = items->v[i];
        best_key = key;
    }
    if (!items->n)
        return jj_undefined(j, "No aggregated item, sequence was empty.");
    return best;
}

JJ_FILTER(min)
{
    return extreme(j, self, args, -1);
}

JJ_FILTER(max)
{
    return extreme(j, self, args, 1);
}

static struct jj_value group_value(struct jj *j, struct jj_value item, const struct jj_args *args)
{
    return jj_path_or(j, item, args->v[0], args->v[1]);
}

JJ_FILTER(groupby)
{
    struct jj_list *items = jj_items(j, self), *out = jj_list(j), *group = NULL;
    bool sensitive = jj_opt_bool(args->v[2], false);
    struct jj_pair *pairs = jj_alloc(j, items->n * sizeof *pairs);

    for (size_t i = 0; i < items->n; i++) {
        pairs[i].key = jj_fold_key(j, group_value(j, items->v[i], args), sensitive);
        pairs[i].value = items->v[i];
    }
    jj_sort(j, pairs, items->n, false);
    for (size_t i = 0; i < items->n; i++) {
        if (!i || !jj_equal(j, pairs[i].key, pairs[i - 1].key)) {
            struct jj_list *tuple = jj_list(j);

            group = jj_list(j);
            tuple->group = true;
            jj_push(j, tuple, sensitive ? pairs[i].key : group_value(j, pairs[i].value, args));
            jj_push(j, tuple, jj_of_list(JJ_LIST, group));
            jj_push(j, out, jj_of_list(JJ_TUPLE, tuple));
        }
        jj_push(j, group, pairs[i].value);
    }
    return jj_of_list(JJ_LIST, out);
}
