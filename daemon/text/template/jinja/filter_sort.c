#include <string.h>

#include "filters.h"
#include "text.h"

/* A key that does not tell cases apart, unless it should. */
static struct fg_jj_value fold_key(struct fg_jj *j, struct fg_jj_value v, bool case_sensitive)
{
    return v.kind == FG_JJ_STR && !case_sensitive ? fg_jj_of_str(fg_jj_lower(j, v.s)) : v;
}

/* Several paths with commas between, as one key: a list. */
static struct fg_jj_value multi_key(struct fg_jj *j, struct fg_jj_value v, struct fg_jj_value paths,
                                    bool case_sensitive)
{
    struct fg_jj_list *key = fg_jj_list(j);
    size_t from = 0, to;

    if (paths.kind != FG_JJ_STR) {
        fg_jj_push(j, key, fold_key(j, fg_jj_path(j, v, paths), case_sensitive));
        return fg_jj_of_list(FG_JJ_LIST, key);
    }
    do {
        const char *comma =
            paths.s->n > from ? memchr(paths.s->p + from, ',', paths.s->n - from) : NULL;
        struct fg_jj_value path;

        to = comma ? (size_t)(comma - paths.s->p) : paths.s->n;
        path = fg_jj_of_str(fg_jj_str_cut(j, paths.s, from, to));
        fg_jj_push(j, key, fold_key(j, fg_jj_path(j, v, path), case_sensitive));
        from = to + 1;
    } while (to < paths.s->n);
    return fg_jj_of_list(FG_JJ_LIST, key);
}

static bool is_reverse(struct fg_jj *j, struct fg_jj_value v)
{
    return v.kind != FG_JJ_MISSING && fg_jj_need_int(j, v, "whether to sort in reverse");
}

FG_JJ_FILTER(sort)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *l = fg_jj_list(j);
    bool sensitive = fg_jj_opt_bool(args->v[1], false);
    struct fg_jj_pair *pairs = fg_jj_alloc(j, items->n * sizeof *pairs);
    struct fg_jj_value v = fg_jj_of_list(FG_JJ_LIST, l);

    for (size_t i = 0; i < items->n; i++) {
        pairs[i].key = multi_key(j, items->v[i], args->v[2], sensitive);
        pairs[i].value = items->v[i];
    }
    fg_jj_sort(j, pairs, items->n, is_reverse(j, args->v[0]));
    for (size_t i = 0; i < items->n; i++)
        fg_jj_push(j, l, pairs[i].value);
    v.src = self.kind == FG_JJ_STR ? 0 : self.src;
    return v;
}

FG_JJ_FILTER(dictsort)
{
    bool sensitive = fg_jj_opt_bool(args->v[0], false), by_value = false;
    struct fg_jj_list *l = fg_jj_list(j);
    struct fg_jj_pair *pairs;
    size_t n;

    fg_jj_defined(j, self);
    if (args->v[1].kind != FG_JJ_MISSING) {
        by_value = args->v[1].kind == FG_JJ_STR && fg_jj_str_is(args->v[1].s, "value");
        if (!by_value && (args->v[1].kind != FG_JJ_STR || !fg_jj_str_is(args->v[1].s, "key")))
            fg_jj_raise(j, "You can only sort by either \"key\" or \"value\"");
    }
    if (self.kind != FG_JJ_DICT)
        fg_jj_raise(j, "'%s' object has no attribute 'items'", fg_jj_type(self));
    n = self.dict->n;
    pairs = fg_jj_alloc(j, n * sizeof *pairs);
    for (size_t i = 0; i < n; i++) {
        const struct fg_jj_pair *p = &self.dict->pairs[i];
        struct fg_jj_list *pair = fg_jj_list(j);

        fg_jj_push(j, pair, p->key);
        fg_jj_push(j, pair, p->value);
        pairs[i].key = fold_key(j, by_value ? p->value : p->key, sensitive);
        pairs[i].value = fg_jj_of_list(FG_JJ_TUPLE, pair);
    }
    fg_jj_sort(j, pairs, n, is_reverse(j, args->v[2]));
    for (size_t i = 0; i < n; i++)
        fg_jj_push(j, l, pairs[i].value);
    return (struct fg_jj_value){.kind = FG_JJ_LIST, .src = self.src, .list = l};
}

FG_JJ_FILTER(unique)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *l = fg_jj_list(j);
    bool sensitive = fg_jj_opt_bool(args->v[0], false);
    struct fg_jj_dict *seen = fg_jj_dict(j);

    for (size_t i = 0; i < items->n; i++) {
        struct fg_jj_value key = fold_key(j, fg_jj_path(j, items->v[i], args->v[1]), sensitive);

        if (fg_jj_dict_get(j, seen, key))
            continue;
        fg_jj_dict_set(j, seen, key, fg_jj_none());
        fg_jj_push(j, l, items->v[i]);
    }
    return fg_jj_iter(l, "generator");
}

static struct fg_jj_value extreme(struct fg_jj *j, struct fg_jj_value self,
                                  const struct fg_jj_args *args, int side)
{
    struct fg_jj_list *items = fg_jj_items(j, self);
    bool sensitive = fg_jj_opt_bool(args->v[0], false);
    struct fg_jj_value best = {0}, best_key = {0};

    for (size_t i = 0; i < items->n; i++) {
        struct fg_jj_value key = fold_key(j, fg_jj_path(j, items->v[i], args->v[1]), sensitive);

        if (i && fg_jj_order(j, key, best_key, side < 0 ? "<" : ">") != side)
            continue;
        best = items->v[i];
        best_key = key;
    }
    if (!items->n)
        return fg_jj_undefined(j, "No aggregated item, sequence was empty.");
    return best;
}

FG_JJ_FILTER(min)
{
    return extreme(j, self, args, -1);
}

FG_JJ_FILTER(max)
{
    return extreme(j, self, args, 1);
}

static struct fg_jj_value group_value(struct fg_jj *j, struct fg_jj_value item,
                                      const struct fg_jj_args *args)
{
    return fg_jj_path_or(j, item, args->v[0], args->v[1]);
}

FG_JJ_FILTER(groupby)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *out = fg_jj_list(j), *group = NULL;
    bool sensitive = fg_jj_opt_bool(args->v[2], false);
    struct fg_jj_pair *pairs = fg_jj_alloc(j, items->n * sizeof *pairs);

    for (size_t i = 0; i < items->n; i++) {
        pairs[i].key = fold_key(j, group_value(j, items->v[i], args), sensitive);
        pairs[i].value = items->v[i];
    }
    fg_jj_sort(j, pairs, items->n, false);
    for (size_t i = 0; i < items->n; i++) {
        if (!i || !fg_jj_equal(j, pairs[i].key, pairs[i - 1].key)) {
            struct fg_jj_list *tuple = fg_jj_list(j);

            group = fg_jj_list(j);
            tuple->group = true;
            fg_jj_push(j, tuple, sensitive ? pairs[i].key : group_value(j, pairs[i].value, args));
            fg_jj_push(j, tuple, fg_jj_of_list(FG_JJ_LIST, group));
            fg_jj_push(j, out, fg_jj_of_list(FG_JJ_TUPLE, tuple));
        }
        fg_jj_push(j, group, pairs[i].value);
    }
    return fg_jj_of_list(FG_JJ_LIST, out);
}
