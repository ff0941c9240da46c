#include <string.h>

#include "filters.h"

/* A part of a path: an index where it is digits. */
static struct fg_jj_value path_part(struct fg_jj *j, const struct fg_jj_str *path, size_t from,
                                    size_t to)
{
    int64_t i = 0;

    for (size_t k = from; k < to; k++) {
        if (path->p[k] < '0' || path->p[k] > '9' || to - from > 18)
            return fg_jj_of_str(fg_jj_str_cut(j, path, from, to));
        i = i * 10 + (path->p[k] - '0');
    }
    return from < to ? fg_jj_int(i) : fg_jj_empty_str(j);
}

struct fg_jj_value fg_jj_path_or(struct fg_jj *j, struct fg_jj_value v, struct fg_jj_value path,
                                 struct fg_jj_value otherwise)
{
    size_t from = 0, to = 0, n = 0;

    if (!fg_jj_given(path))
        return v;
    if (path.kind == FG_JJ_STR)
        n = path.s->n;
    do {
        const char *dot = n > from ? memchr(path.s->p + from, '.', n - from) : NULL;

        to = dot ? (size_t)(dot - path.s->p) : n;
        v = fg_jj_item(j, v, path.kind == FG_JJ_STR ? path_part(j, path.s, from, to) : path);
        if (v.kind == FG_JJ_UNDEFINED && fg_jj_given(otherwise))
            v = otherwise;
        from = to + 1;
    } while (to < n);
    return v;
}

struct fg_jj_value fg_jj_path(struct fg_jj *j, struct fg_jj_value v, struct fg_jj_value path)
{
    return fg_jj_path_or(j, v, path, fg_jj_none());
}

FG_JJ_FILTER(attr)
{
    const struct fg_jj_str *name = fg_jj_to_str(j, args->v[0]);
    struct fg_jj_value v;

    fg_jj_defined(j, self);
    v = fg_jj_python_attribute(j, self, name);
    if (v.kind == FG_JJ_MISSING)
        return fg_jj_undefined(j, "'%s object' has no attribute '%.*s'", fg_jj_type(self),
                               (int)name->n, name->p);
    return v;
}

FG_JJ_FILTER(batch)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *out = fg_jj_list(j), *part = fg_jj_list(j);
    int64_t n = fg_jj_need_int(j, args->v[0], "the length of a batch");

    for (size_t i = 0; i < items->n; i++) {
        if ((int64_t)part->n == n) {
            fg_jj_push(j, out, fg_jj_of_list(FG_JJ_LIST, part));
            part = fg_jj_list(j);
        }
        fg_jj_push(j, part, items->v[i]);
    }
    if (!part->n)
        return fg_jj_iter(out, "generator");
    while (fg_jj_given(args->v[1]) && (int64_t)part->n < n)
        fg_jj_push(j, part, args->v[1]);
    fg_jj_push(j, out, fg_jj_of_list(FG_JJ_LIST, part));
    return fg_jj_iter(out, "generator");
}

FG_JJ_FILTER(slice)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *out = fg_jj_list(j);
    int64_t slices = fg_jj_need_int(j, args->v[0], "the number of slices");
    size_t each, more, at = 0;

    if (!slices)
        fg_jj_raise(j, "integer division or modulo by zero");
    each = slices > 0 ? items->n / (size_t)slices : 0;
    more = slices > 0 ? items->n % (size_t)slices : 0;
    for (int64_t i = 0; i < slices; i++) {
        struct fg_jj_list *part = fg_jj_list(j);
        size_t end = at + each + ((size_t)i < more);

        while (at < end)
            fg_jj_push(j, part, items->v[at++]);
        if (fg_jj_given(args->v[1]) && (size_t)i >= more)
            fg_jj_push(j, part, args->v[1]);
        fg_jj_push(j, out, fg_jj_of_list(FG_JJ_LIST, part));
    }
    return fg_jj_iter(out, "generator");
}

FG_JJ_FILTER(default)
{
    bool falsy = fg_jj_opt_bool(args->v[1], false);

    if (self.kind != FG_JJ_UNDEFINED && !(falsy && !fg_jj_true(self)))
        return self;
    return args->v[0].kind == FG_JJ_MISSING ? fg_jj_empty_str(j) : args->v[0];
}

FG_JJ_FILTER(first)
{
    struct fg_jj_list *l;

    (void)args;
    if (self.kind == FG_JJ_ITER && self.list->at < self.list->n)
        return self.list->v[self.list->at++];
    l = fg_jj_items(j, self);
    return l->n ? l->v[0] : fg_jj_undefined(j, "No first item, sequence was empty.");
}

FG_JJ_FILTER(last)
{
    struct fg_jj_list *l;

    (void)args;
    if (self.kind == FG_JJ_ITER)
        fg_jj_raise(j, "'%s' object is not reversible", fg_jj_type(self));
    l = fg_jj_items(j, self);
    return l->n ? l->v[l->n - 1] : fg_jj_undefined(j, "No last item, sequence was empty.");
}

FG_JJ_FILTER(items)
{
    struct fg_jj_list *l = fg_jj_list(j);

    (void)args;
    if (self.kind == FG_JJ_UNDEFINED)
        return fg_jj_iter(l, "generator");
    if (self.kind != FG_JJ_DICT)
        fg_jj_raise(j, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < self.dict->n; i++) {
        struct fg_jj_list *pair = fg_jj_list(j);

        fg_jj_push(j, pair, self.dict->pairs[i].key);
        fg_jj_push(j, pair, self.dict->pairs[i].value);
        fg_jj_push(j, l, fg_jj_of_list(FG_JJ_TUPLE, pair));
    }
    return fg_jj_iter(l, "generator");
}

FG_JJ_FILTER(join)
{
    const struct fg_jj_str *between =
        args->v[0].kind == FG_JJ_MISSING ? NULL : fg_jj_to_str(j, args->v[0]);
    struct fg_jj_list *items = fg_jj_items(j, self);
    struct fg_jj_text t = {0};

    for (size_t i = 0; i < items->n; i++) {
        if (i && between)
            fg_jj_text_str(j, &t, between);
        fg_jj_print(j, &t, fg_jj_path(j, items->v[i], args->v[1]));
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

FG_JJ_FILTER(length)
{
    (void)args;
    return fg_jj_int((int64_t)fg_jj_length(j, self));
}

FG_JJ_FILTER(list)
{
    struct fg_jj_list *items = fg_jj_items(j, self), *l = fg_jj_list(j);
    struct fg_jj_value v = fg_jj_of_list(FG_JJ_LIST, l);

    (void)args;
    for (size_t i = 0; i < items->n; i++)
        fg_jj_push(j, l, items->v[i]);
    v.src = self.kind == FG_JJ_STR ? 0 : self.src;
    return v;
}

FG_JJ_FILTER(reverse)
{
    struct fg_jj_list *items, *l;

    (void)args;
    if (self.kind == FG_JJ_STR) {
        struct fg_jj_value back[3] = {{0}, {0}, fg_jj_int(-1)};

        return fg_jj_slice(j, self, back);
    }
    items = fg_jj_items(j, self);
    l = fg_jj_list(j);
    for (size_t i = items->n; i > 0; i--)
        fg_jj_push(j, l, items->v[i - 1]);
    return self.kind == FG_JJ_ITER ? fg_jj_of_list(FG_JJ_LIST, l)
                                   : fg_jj_iter(l, "list_reverseiterator");
}

FG_JJ_FILTER(sum)
{
    struct fg_jj_list *items = fg_jj_items(j, self);
    struct fg_jj_value sum = args->v[1].kind == FG_JJ_MISSING ? fg_jj_int(0) : args->v[1];

    if (sum.kind == FG_JJ_STR)
        fg_jj_raise(j, "sum() can't sum strings [use ''.join(seq) instead]");
    for (size_t i = 0; i < items->n; i++)
        sum = fg_jj_compute(j, FG_JJ_ADD, sum, fg_jj_path(j, items->v[i], args->v[0]));
    return sum;
}
